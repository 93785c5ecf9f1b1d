"""Changes that a discriminator's examples go through, real and drawn ones alike, so that few data last longer.

A discriminator that never sees the same image twice cannot learn the training images by heart. Since drawn images go
through the same changes, and the gradient through them, the generator's optimum stays where it was as long as some
images come unchanged: the changed distributions are then equal only where the distributions are (*Training Generative
Adversarial Networks with Limited Data (Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, 2020)*; *Differentiable
Augmentation for Data-Efficient GAN Training (Zhao, Liu, Lin, Zhu, Han, 2020)*).
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.spec import Range, listed

# Beyond it a change is the rule, and what is drawn begins to have it too.
STRONGEST = 0.8


@listed
class Augment(nn.Module):
    """Each kind of change happens to an example with a probability, the strength.

    It is moved by up to an eighth of its sides, its edge repeated where it is not any more; a square of half its sides
    is blacked out; it gets lighter or darker, with more or less contrast.

    Arguments:
        strength: at the start, 0 to 0.8.
        adapts: whether `adapt` changes it.

    Example:
        >>> Augment(0.5)(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 1, 8, 8])
    """

    strength: Tensor

    def __init__(self, strength: Annotated[float, Range(ge=0, le=STRONGEST)] = 0.0, adapts: bool = True) -> None:
        super().__init__()
        self.adapts = adapts
        self.register_buffer("strength", torch.tensor(float(strength)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        if not float(self.strength):
            return x
        u = seeds.uniform(len(x), 9, device=x.device).to(x.dtype)
        happens = (u[:, :3] < self.strength.to(x.dtype)).to(x.dtype)
        x = _lit(x, happens[:, 0], u[:, 3], u[:, 4])
        x = moved(x, (happens[:, 1:2] * (2 * u[:, 5:7] - 1) * x.new_tensor(x.shape[2:]) / 8).round().long())
        return _cut(x, happens[:, 2], u[:, 7:9])

    def adapt(self, known: float) -> None:
        """Grow where the discriminator tells training examples from held-out ones, and shrink where it does not.

        Arguments:
            known: the share of pairs of a training and a held-out example that it tells apart, ½ for none.
        """
        if self.adapts:
            step = 0.1 if known > 0.56 else -0.05 if known < 0.53 else 0.0
            self.strength.add_(step).clamp_(0.0, STRONGEST)


def _lit(x: Tensor, happens: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Lighter or darker by up to 0.3, contrast times 0.6 to 1.4."""
    by = (happens * 0.6 * (brightness - 0.5)).view(-1, 1, 1, 1)
    times = (1 + happens * 0.8 * (contrast - 0.5)).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return x * times + (mean * (1 - times) + by)  # exact where nothing happens


def moved(x: Tensor, by: Tensor) -> Tensor:
    """Images moved down and to the right by so many pixels, (B, 2), the edge repeated.

    Black in its place would be drawn, as a line at the edge: it is where most of those that moved have it.
    """
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        source = torch.arange(size, device=x.device) - by[:, axis - 2 : axis - 1]
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        x = x.gather(axis, source.clamp(0, size - 1).view(shape).expand_as(x))
    return x


def _cut(x: Tensor, happens: Tensor, center: Tensor) -> Tensor:
    """A square of half the sides round a center, given as a share of the sides, becomes black."""
    inside = happens.bool().view(-1, 1, 1, 1)
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        place = (torch.arange(size, device=x.device) + 0.5) / size
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        inside = inside & ((place - center[:, axis - 2 : axis - 1]).abs() < 0.25).view(shape)
    return x.masked_fill(inside, 0.0)
