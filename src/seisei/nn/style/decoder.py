"""Decoder of style transfer: feature maps to an image of any size, mirroring the encoder's sizes and channels.

The output is a residual of an image, initially zero. Convolutions use reflection padding, so that no frame of zeros
shows, and maps are upsampled by nearest neighbor followed by a convolution, which avoids checkerboard artifacts. There
is no normalization: the style is the mean and deviation that it would remove. Noise is an input at each scale: smooth
areas would otherwise get their texture from the upsampling grid only, a weave of rows and columns.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Patch, zero_init
from seisei.nn.mlp import Outputs
from seisei.spec import Range, listed

Channels = Annotated[int, Range(ge=1, le=4096)]
# Channels of the full-resolution map, before which features are patches of pixels.
DETAIL = 16


def reflecting(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3×3 convolution with reflection padding; for maps of at least 2×2."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


class ReflectingBlock(nn.Module):
    """Residual block x + W₂ φ(W₁ φ(x)) with reflection padding, see `seisei.nn.conv.ResidualBlock`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = reflecting(channels, channels), zero_init(reflecting(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.second(F.silu(self.first(F.silu(x))))  # type: ignore[no-any-return]


def whitened(noise: Tensor, like: Tensor) -> Tensor:
    """White noise downsampled to the size of a map at unchanged deviation: block means, rescaled.

    Example:
        >>> whitened(torch.full((1, 1, 8, 4), 0.5), torch.zeros(1, 7, 4, 2)).flatten().tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    stride = noise.shape[2] // like.shape[2]
    return F.avg_pool2d(noise, stride) * stride if stride > 1 else noise


@listed
class StyleDecoder(nn.Module):
    """Maps (B, inputs_l, H/s_l, W/s_l) to (B, channels, H, W), zero-initialized.

    The coarsest map has s = patch · 2^(widths − 1), and each finer one half of that; finer maps enter by skip
    connections.

    Arguments:
        inputs: channels of the input maps, the coarsest first.
        widths: channels at each scale, the coarsest first.
        channels: output channels.
        patch: side of the square of pixels that a value of the finest map expands to.

    Example:
        >>> decoder = StyleDecoder([16, 8], [16, 4], channels=3, patch=4)
        >>> decoder([torch.zeros(1, 8, 8, 6), torch.zeros(1, 16, 4, 3)], torch.randn(1, 1, 32, 24)).shape
        torch.Size([1, 3, 32, 24])
    """

    def __init__(self, inputs: list[Outputs], widths: list[Channels], channels: Channels = 3, patch: Patch = 1) -> None:
        super().__init__()
        self.channels, self.patch = channels, patch
        self.enter = reflecting(inputs[0] + 1, widths[0])
        self.beside = nn.ModuleList(nn.Conv2d(a + 1, b, 1) for a, b in zip(inputs[1:], widths[1:], strict=True))
        self.stages = nn.ModuleList(ReflectingBlock(width) for width in widths)
        self.narrow = nn.ModuleList(reflecting(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.out = reflecting(widths[-1], DETAIL * patch**2)
        self.last = zero_init(reflecting(DETAIL, channels))

    def forward(self, maps: list[Tensor], noise: Tensor) -> Tensor:
        """The change that maps, the finest first, and noise (B, 1, H, W) stand for."""
        seen = [torch.cat([one, whitened(noise, one)], 1) for one in maps]
        hidden = self.stages[0](self.enter(seen[-1]))
        finer = zip(self.narrow, self.beside, self.stages[1:], seen[-2::-1], strict=True)  # type: ignore[arg-type]
        for narrow, beside, stage, map_ in finer:
            hidden = narrow(F.interpolate(F.silu(hidden), scale_factor=2, mode="nearest"))
            hidden = stage(hidden + beside(map_))
        fine = F.pixel_shuffle(self.out(F.silu(hidden)), self.patch)
        return self.last(F.silu(fine))  # type: ignore[no-any-return]
