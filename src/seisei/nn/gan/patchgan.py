"""PatchGAN discriminator: one logit per image patch, which judges texture rather than content.

4×4 convolutions, the first of which have stride 2. The receptive field of a logit, in pixels:

    halving layers       1    2    3    4
    field               16   34   70  142

Reference: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Width
from seisei.nn.distributions import precise
from seisei.nn.mlp import Shape
from seisei.spec import Range, listed

Halvings = Annotated[int, Range(ge=1, le=6)]
KERNEL, SLOPE = 4, 0.2


def layers_for(side: int) -> int:
    """Number of stride-2 layers for images with this shorter side.

    The receptive field is about a quarter of the side, half of it for small images, and at most 70 pixels.

    Example:
        >>> [layers_for(side) for side in (28, 64, 256)]
        [1, 2, 3]
    """
    return 3 if side >= 128 else 2 if side >= 32 else 1


@listed
class PatchDiscriminator(nn.Module):
    """(B, C, H, W) to P patch logits, (B, P).

    Arguments:
        shape: (C, H, W) of the input.
        width: channels after the first layer; they double with each stride-2 layer, up to eight times as many.
        layers: number of stride-2 layers.

    Example:
        >>> import torch
        >>> discriminator = PatchDiscriminator([3, 70, 70], width=8)
        >>> discriminator.field, discriminator(torch.zeros(2, 3, 70, 70)).shape
        (70, torch.Size([2, 36]))
    """

    def __init__(self, shape: Shape, width: Width = 64, layers: Halvings = 3) -> None:
        super().__init__()
        widths = [shape[0], *(width * min(2**i, 8) for i in range(layers + 1))]
        strides = [2] * layers + [1]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, KERNEL, stride, padding=1)
            for a, b, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.verdict = nn.Conv2d(widths[-1], 1, KERNEL, padding=1, bias=False)
        self.field = KERNEL
        for stride in reversed(strides):
            self.field = stride * self.field + KERNEL - stride

    def features(self, seen: Tensor) -> list[Tensor]:
        """The feature maps of all layers."""
        found, hidden = [], 2 * seen - 1
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), SLOPE)
            found.append(hidden)
        return found

    def logits_and_features(self, seen: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Patch logits, (B, P), and the feature maps."""
        found = self.features(seen)
        return precise(self.verdict(found[-1])).flatten(1), found

    def forward(self, seen: Tensor) -> Tensor:
        """The patch logits."""
        return self.logits_and_features(seen)[0]
