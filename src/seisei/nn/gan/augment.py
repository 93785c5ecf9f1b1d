"""Differentiable augmentation of discriminator inputs, real and generated alike, for training on little data.

A discriminator that never sees the same image twice cannot memorize the training images. Generated images are augmented
too, and gradients flow through the augmentation, so that the generator's optimum does not move as long as some images
stay unaugmented: the augmented distributions are then equal only if the distributions are (*Training Generative
Adversarial Networks with Limited Data (Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, 2020)*; *Differentiable
Augmentation for Data-Efficient GAN Training (Zhao, Liu, Lin, Zhu, Han, 2020)*).
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.spec import Range, listed

# Above this probability augmentations leak into the generated images.
STRONGEST = 0.8


@listed
class Augment(nn.Module):
    """Applies each augmentation to each example with probability `strength`.

    Translation by up to an eighth of the sides, with edge padding; cutout of a square of half the sides; brightness and
    contrast.

    Arguments:
        strength: initial augmentation probability, 0 to 0.8.
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
        """Augmented images, (B, C, H, W)."""
        if not float(self.strength):
            return x
        u = seeds.uniform(len(x), 9, device=x.device).to(x.dtype)
        happens = (u[:, :3] < self.strength.to(x.dtype)).to(x.dtype)
        x = _lit(x, happens[:, 0], u[:, 3], u[:, 4])
        x = shift_images(x, (happens[:, 1:2] * (2 * u[:, 5:7] - 1) * x.new_tensor(x.shape[2:]) / 8).round().long())
        return _cut(x, happens[:, 2], u[:, 7:9])

    def adapt(self, known: float) -> None:
        """Adaptive augmentation (ADA): raise the probability if the discriminator overfits, lower it if it does not.

        Arguments:
            known: share of pairs of a training and a held-out example in which the training example gets the higher
                output; ½ without overfitting.
        """
        if self.adapts:
            step = 0.1 if known > 0.56 else -0.05 if known < 0.53 else 0.0
            self.strength.add_(step).clamp_(0.0, STRONGEST)


def _lit(x: Tensor, happens: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Brightness ±0.3, contrast × 0.6 to 1.4."""
    by = (happens * 0.6 * (brightness - 0.5)).view(-1, 1, 1, 1)
    times = (1 + happens * 0.8 * (contrast - 0.5)).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return x * times + (mean * (1 - times) + by)  # exact where nothing happens


def shift_images(x: Tensor, by: Tensor) -> Tensor:
    """Translate images down and to the right by whole pixels, (B, 2), with edge padding.

    With black padding the generator would learn black lines at the edges, where most translated images have them.
    """
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        source = torch.arange(size, device=x.device) - by[:, axis - 2 : axis - 1]
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        x = x.gather(axis, source.clamp(0, size - 1).view(shape).expand_as(x))
    return x


def _cut(x: Tensor, happens: Tensor, center: Tensor) -> Tensor:
    """Cutout: a square of half the sides becomes black; `center` is given as a share of the sides."""
    inside = happens.bool().view(-1, 1, 1, 1)
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        position = (torch.arange(size, device=x.device) + 0.5) / size
        shape = [len(x), 1, 1, 1]
        shape[axis] = size
        inside = inside & ((position - center[:, axis - 2 : axis - 1]).abs() < 0.25).view(shape)
    return x.masked_fill(inside, 0.0)
