"""Convolutional encoder and decoder between images and spatial feature maps, as in VQ-VAE.

As in `seisei.nn.conv`, patches are the features of the first map, maps are downsampled with channels doubling, and
blocks start as the identity. Nothing is flattened: a code depends on its part of the image, and a larger image just has
more codes.

A linear map runs in parallel with the layers: in the encoder from each square of pixels to its vector, in the decoder
from the vectors of a square and its neighbors, since seams between squares would show otherwise. It is initialized to
the optimal linear autoencoder, PCA and least squares, while the layers are zero-initialized and learn the rest. So
training starts closer to the images than k-means of pixel squares would end.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Depth, Patch, ResidualBlock, Width, widths_of, zero_init
from seisei.nn.densities.pca import least_squares, pca
from seisei.nn.mlp import Outputs, Shape
from seisei.spec import Range, listed

Factor = Annotated[int, Range(ge=1, le=256)]
# Largest channel multiplier.
WIDEST = 4
# Kernel size of the decoder's linear map: with the square's own vector alone, seams would show.
AROUND = 3
# Most squares used for the least-squares fit, and the fewest per coefficient.
FITTED, EACH = 1 << 16, 10


def halvings(height: int, width: int, factor: int, patch: int) -> list[tuple[int, int]]:
    """Map sizes from one feature per patch to one per factor × factor pixels.

    Example:
        >>> halvings(30, 28, factor=4, patch=2)
        [(15, 14), (8, 7)]
    """
    assert factor % patch == 0 and math.log2(factor // patch).is_integer(), "factor must be patch times a power of 2"
    sizes = [(-(-height // patch), -(-width // patch))]
    for _ in range(int(math.log2(factor // patch))):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def map_of(shape: Shape, factor: int, width: int, patch: int) -> list[int]:
    """Output shape of `MapEncoder` for this input shape.

    Example:
        >>> map_of([3, 30, 28], factor=4, width=8, patch=2)
        [16, 8, 7]
    """
    sizes = halvings(shape[1], shape[2], factor, patch)
    return [widths_of(width, len(sizes), WIDEST)[-1], *sizes[-1]]


def rows_of(map_: Tensor) -> Tensor:
    """The vectors of a map, (B, C, H, W) to (B H W, C)."""
    return map_.movedim(1, 3).flatten(0, 2)


def _whole(x: Tensor, side: int) -> Tensor:
    """Pad by the edge to a whole number of squares."""
    margin = (0, -x.shape[3] % side, 0, -x.shape[2] % side)
    return F.pad(x, margin, mode="replicate") if any(margin) else x


def _squares(x: Tensor, side: int) -> Tensor:
    """Each square of pixels as a row, channel by channel."""
    return rows_of(F.pixel_unshuffle(_whole(x, side), side))


def _around(map_: Tensor, side: int) -> Tensor:
    """The side × side neighborhood of each position as a row; edge padding."""
    return F.unfold(F.pad(map_, [side // 2] * 4, mode="replicate"), side).movedim(1, 2).flatten(0, 1)


@listed
class MapEncoder(nn.Module):
    """(B, C, H, W) to (B, outputs, ⌈H/factor⌉, ⌈W/factor⌉).

    Arguments:
        shape: (C, H, W) of the input.
        factor: downsampling factor.
        width: channels of the first map; they double with each downsampling, up to four times as many.
        depth: residual blocks at each size.
        patch: side of the square of values that becomes a feature of the first map.

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
        self.out = zero_init(nn.Conv2d(self.outputs, self.outputs, 1))
        self.straight_through = nn.Conv2d(channels, self.outputs, factor, stride=factor)

    def forward(self, x: Tensor) -> Tensor:
        """The map of x."""
        hidden = self.stages(self.stem(F.pixel_unshuffle(F.pad(x, self.margin), self.patch)))
        return self.out(F.silu(hidden)) + self.straight_through(_whole(x, self.straight_through.stride[0]))  # type: ignore[no-any-return]

    @torch.no_grad()
    def start_from(self, x: Tensor, worth: Tensor) -> Tensor:
        """Initialize the linear map to the whitened PCA of the squares of x.

        Arguments:
            x: (B, C, H, W).
            worth: weight of each channel of x, (C,).

        Returns:
            Weight of each output channel, (outputs,): its standard deviation before whitening.
        """
        straight_through = self.straight_through
        every = worth.repeat_interleave(straight_through.stride[0] ** 2)
        found = pca(_squares(x, straight_through.stride[0]) * every)
        count = min(self.outputs, len(found.directions))
        deviations = found.whitening_scales(count)
        into = found.directions[:count] / deviations[:, None]
        straight_through.weight.zero_()
        straight_through.weight[:count] = (into * every).reshape(count, *straight_through.weight.shape[1:])
        straight_through.bias.zero_()  # type: ignore[union-attr]
        straight_through.bias[:count] = -(into @ found.middle)  # type: ignore[index]
        return F.pad(deviations, (0, self.outputs - count))


@listed
class MapDecoder(nn.Module):
    """(B, inputs, ⌈H/factor⌉, ⌈W/factor⌉) to (B, C, H, W).

    Arguments:
        shape: (C, H, W) of the output.
        inputs: channels of the input map.
        factor: upsampling factor.
        width: channels of the last map before the output; see `MapEncoder`.
        depth: residual blocks at each size.
        patch: side of the square of values that a feature of the last map expands to.
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
        self.out = zero_init(nn.Conv2d(widths[-1], channels * patch**2, 3, padding=1))
        self.straight_through = nn.Conv2d(
            inputs, channels * factor**2, AROUND, padding=AROUND // 2, padding_mode="replicate"
        )
        self.factor = factor

    @torch.no_grad()
    def start_from(self, given: Tensor, wanted: Tensor) -> None:
        """Initialize the linear map by least squares; without neighbors if there are too few squares to fit them.

        Arguments:
            given: input maps, (B, inputs, ⌈H/factor⌉, ⌈W/factor⌉).
            wanted: target images, (B, C, H, W).
        """
        few = max(1, FITTED // given[0, 0].numel())
        given, squares = given[:few], _squares(wanted[:few], self.factor)
        enough = len(squares) >= EACH * given.shape[1] * AROUND**2
        side = AROUND if enough else 1
        slope, offset = least_squares(_around(given, side), squares)
        weight = slope.reshape(len(slope), -1, side, side)
        self.straight_through.weight.copy_(F.pad(weight, [(AROUND - side) // 2] * 4))
        self.straight_through.bias.copy_(offset)  # type: ignore[union-attr]

    def forward(self, hidden: Tensor) -> Tensor:
        """The decoded output, (B, C, H, W)."""
        squares = F.pixel_shuffle(self.straight_through(hidden), self.factor)
        hidden = self.stages[0](self.enter(hidden))
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):  # type: ignore[arg-type]
            hidden = stage(F.interpolate(narrow(hidden), size=size, mode="nearest"))
        patches = F.pixel_shuffle(self.out(F.silu(hidden)), self.patch)
        return squares[..., : self.height, : self.wide] + patches[..., : self.height, : self.wide]
