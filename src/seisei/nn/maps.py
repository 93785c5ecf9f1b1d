"""Convolutions from a map to a smaller map, and back: what a picture's codes are laid out on.

As in `seisei.nn.conv`, patches are features of the first map, maps are halved with their channels doubling, and blocks
start as the identity. Nothing is flattened: a code sees the part of the picture that it stands for, and the size of the
picture is only a matter of how many codes there are.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Depth, Patch, ResidualBlock, Width, widths_of
from seisei.nn.mlp import Outputs, Shape
from seisei.spec import Range, listed

Factor = Annotated[int, Range(ge=1, le=256)]
# Channels at most so many times those of the first map.
WIDEST = 4


def halvings(height: int, width: int, factor: int, patch: int) -> list[tuple[int, int]]:
    """The sizes of maps from the first, a feature for each patch, to that of one for factor × factor pixels.

    Example:
        >>> halvings(30, 28, factor=4, patch=2)
        [(15, 14), (8, 7)]
    """
    assert factor % patch == 0 and math.log2(factor // patch).is_integer(), "a factor that is no power of 2 of patches"
    sizes = [(-(-height // patch), -(-width // patch))]
    for _ in range(int(math.log2(factor // patch))):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def map_of(shape: Shape, factor: int, width: int, patch: int) -> list[int]:
    """The shape of what `MapEncoder` makes of one of this shape.

    Example:
        >>> map_of([3, 30, 28], factor=4, width=8, patch=2)
        [16, 8, 7]
    """
    sizes = halvings(shape[1], shape[2], factor, patch)
    return [widths_of(width, len(sizes), WIDEST)[-1], *sizes[-1]]


@listed
class MapEncoder(nn.Module):
    """(B, C, H, W) to (B, outputs, ⌈H/factor⌉, ⌈W/factor⌉).

    Arguments:
        shape: (C, H, W) of what is read.
        factor: how many times smaller the map is, each way.
        width: channels of the first map; they double with each halving, at most to four times as many.
        depth: residual blocks at each size.
        patch: side of the square of values that a feature of the first map begins as.

    Example:
        >>> import torch
        >>> encoder = MapEncoder([3, 30, 28], factor=4, width=8)
        >>> encoder(torch.zeros(2, 3, 30, 28)).shape, encoder.outputs, encoder.grid
        (torch.Size([2, 16, 8, 7]), 16, (8, 7))
    """

    def __init__(self, shape: Shape, factor: Factor = 4, width: Width = 64, depth: Depth = 2, patch: Patch = 2) -> None:
        super().__init__()
        channels, height, wide = shape
        sizes = halvings(height, wide, factor, patch)
        widths = widths_of(width, len(sizes), WIDEST)
        self.grid, self.outputs, self.patch = sizes[-1], widths[-1], patch
        self.margin = (0, -wide % patch, 0, -height % patch)
        self.stem = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        stages: list[nn.Module] = []
        for i, now in enumerate(widths):
            if i:
                stages += [nn.SiLU(), nn.Conv2d(widths[i - 1], now, 3, stride=2, padding=1)]
            stages += [ResidualBlock(now) for _ in range(depth)]
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """The map of x."""
        hidden = self.stem(F.pixel_unshuffle(F.pad(x, self.margin), self.patch))
        return F.silu(self.stages(hidden))


@listed
class MapDecoder(nn.Module):
    """(B, inputs, ⌈H/factor⌉, ⌈W/factor⌉) to (B, C, H, W).

    Arguments:
        shape: (C, H, W) of what comes out.
        inputs: channels of the map that is read.
        factor: how many times larger what comes out is, each way.
        width: channels of the last map before what comes out; see `MapEncoder`.
        depth: residual blocks at each size.
        patch: side of the square of values that a feature of the last map ends as.
    """

    def __init__(
        self, shape: Shape, inputs: Outputs, factor: Factor = 4, width: Width = 64, depth: Depth = 2, patch: Patch = 2
    ) -> None:
        super().__init__()
        channels, self.height, self.wide = shape
        self.sizes, self.patch = halvings(self.height, self.wide, factor, patch)[::-1], patch
        widths = widths_of(width, len(self.sizes), WIDEST)[::-1]
        self.outputs = channels
        self.enter = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(nn.Sequential(*[ResidualBlock(w) for _ in range(depth)]) for w in widths)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.out = nn.Conv2d(widths[-1], channels * patch**2, 3, padding=1)

    @torch.no_grad()
    def enlarge(self, times: float) -> None:
        """Make what comes out so many times as large."""
        self.out.weight.mul_(times)
        if self.out.bias is not None:
            self.out.bias.mul_(times)

    def forward(self, hidden: Tensor) -> Tensor:
        """What a map stands for."""
        hidden = self.stages[0](self.enter(hidden))
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):  # type: ignore[arg-type]
            hidden = stage(F.interpolate(narrow(hidden), size=size, mode="nearest"))
        return F.pixel_shuffle(self.out(F.silu(hidden)), self.patch)[..., : self.height, : self.wide]
