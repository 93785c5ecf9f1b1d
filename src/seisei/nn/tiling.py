"""Tiled inference for image-to-image networks: overlapping tiles, blended, for images of any size.

Tiles begin at multiples of the network's stride, so that each sees its part of the image as it would within the whole.
Two neighboring tiles are cross-faded over n pixels in the middle of their overlap,

    x_k = (1 − r_k) x + r_k x',   r_k = ½ − ½ cos(π (k + ½) / n),   k = 0 … n − 1,

across columns first, then down rows of tiles. The weights sum to 1 everywhere, and where both tiles agree the result is
exact, bit by bit. The outermost `margin` pixels at an inner edge are discarded, since they lack context: with a margin
of half the receptive field, tiles give the same result as the whole image.

Only one row of tiles is held in memory, and rows of the output are yielded as they are done. Two checks for visible
seams: `disagreement` of the blended tiles, and `Tiling.seam_energy` of the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from seisei.nn.unet import pad_to_stride

Function = Callable[[Tensor], Tensor]


class Band(NamedTuple):
    """Finished rows of an output, and the disagreement of the tiles blended in them.

    Arguments:
        rows: (C, h, W).
        apart: sum of |x' − x| over values covered by two tiles.
        blended: number of those values.
    """

    rows: Tensor
    apart: float = 0.0
    blended: int = 0


class Share(NamedTuple):
    """A tile of an image.

    Arguments:
        rows: its rows in the image.
        columns: its columns in the image.
        own: rows and columns of the tile that are assigned to it alone.
    """

    rows: slice
    columns: slice
    own: tuple[slice, slice]


def disagreement(bands: Iterable[Band]) -> float:
    """Mean |x' − x| where two tiles overlap, in units of the image.

    0 with a single tile; large if the network's output depends on where the tile lies.

    Example:
        >>> disagreement([Band(torch.zeros(1, 2, 2), 0.5, 4), Band(torch.zeros(1, 2, 2), 1.5, 4)])
        0.25
    """
    apart, blended = 0.0, 0
    for band in bands:
        apart, blended = apart + band.apart, blended + band.blended
    return apart / blended if blended else 0.0


@dataclass(frozen=True)
class Tiling:
    """How images are cut into tiles.

    Arguments:
        tile: side of a tile in pixels, a multiple of the stride. A smaller image is one tile.
        overlap: smallest overlap of neighbors in pixels; tiles are spaced evenly, so it may be more.
        stride: the network's total stride: pixels per position of its smallest map.
        margin: pixels discarded at the inner edges of tiles, at most half the overlap; a quarter of it by default. The
            rest, in the middle of the overlap, is blended.

    Raises:
        ValueError: the numbers do not fit.

    Example:
        >>> tiling = Tiling(tile=16, overlap=8, stride=4)
        >>> tiling.starts(40), tiling.seams(40), tiling.blend
        ([0, 8, 16, 24], [10, 18, 26], 4)
    """

    tile: int
    overlap: int
    stride: int = 1
    margin: int | None = None

    def __post_init__(self) -> None:
        if self.stride < 1 or self.tile < 1 or self.tile % self.stride:
            raise ValueError(f"tile size {self.tile}, wanted a multiple of the network's stride, {self.stride}")
        if not 0 <= self.overlap <= self.tile - self.stride:
            most = self.tile - self.stride
            raise ValueError(f"overlap {self.overlap}, wanted 0 to {most} pixels: the tile size minus the stride")
        if self.margin is not None and not 0 <= 2 * self.margin <= self.overlap:
            raise ValueError(f"margin {self.margin}, wanted 0 to {self.overlap // 2} pixels: half the overlap")

    @property
    def blend(self) -> int:
        """n: width of the cross-fade in pixels."""
        return self.overlap - 2 * (self.overlap // 4 if self.margin is None else self.margin)

    def starts(self, size: int) -> list[int]:
        """Where tiles begin along a side: evenly spaced multiples of the stride."""
        beyond = -(-size // self.stride) - self.tile // self.stride
        if beyond <= 0:
            return [0]
        gaps = -(-beyond // ((self.tile - self.overlap) // self.stride))
        return [i * beyond // gaps * self.stride for i in range(gaps + 1)]

    def seams(self, size: int) -> list[int]:
        """Where cross-fades begin along a side."""
        return [b + (a + self.tile - b - self.blend) // 2 for a, b in pairwise(self.starts(size))]

    def shares(self, height: int, width: int) -> list[Share]:
        """All tiles of an image, each with the part assigned to it alone.

        Example:
            >>> [(share.rows, share.own[0]) for share in Tiling(16, 8, 4).shares(24, 16)]
            [(slice(0, 16, None), slice(0, 12, None)), (slice(8, 24, None), slice(4, None, None))]
        """
        sides = []
        for size in (height, width):
            starts = self.starts(size)
            # Cut in the middle of the overlap.
            cuts = [b + (a + self.tile - b) // 2 // self.stride * self.stride for a, b in pairwise(starts)]
            begins, ends = [0, *cuts], [*cuts, None]
            sides.append(
                [
                    (slice(start, start + self.tile), slice(begin - start, None if end is None else end - start))
                    for start, begin, end in zip(starts, begins, ends, strict=True)
                ]
            )
        return [Share(rows, columns, (down, right)) for rows, down in sides[0] for columns, right in sides[1]]

    def bands(self, function: Function, image: Tensor) -> Iterator[Band]:
        """Apply a function tile by tile, yielding output rows from the top.

        Arguments:
            function: (1, C, h, w) to (1, C', h, w), h and w multiples of the stride; called for one tile after the
                other, row by row, without gradients.
            image: (C, H, W).

        Returns:
            Bands whose rows together are (C', H, W).
        """
        height, width = image.shape[1:]

        def tile(top: int, left: int) -> Band:
            part = image[:, top : top + self.tile, left : left + self.tile]
            with torch.no_grad():
                whole = pad_to_stride(part[None], self.stride)
                made = function(whole)
            assert made.shape[2:] == whole.shape[2:], f"{tuple(whole.shape)} became {tuple(made.shape)}"
            return Band(made[0, :, : part.shape[1], : part.shape[2]])

        def row(top: int) -> Band:
            tiles = (tile(top, left) for left in self.starts(width))
            parts = list(self._joined(tiles, self.starts(width), self.seams(width), 2))
            rows = torch.cat([part.rows for part in parts], 2) if len(parts) > 1 else parts[0].rows
            return Band(rows, sum(part.apart for part in parts), sum(part.blended for part in parts))

        tops = self.starts(height)
        yield from self._joined((row(top) for top in tops), tops, self.seams(height), 1)

    def _joined(self, parts: Iterable[Band], starts: list[int], seams: list[int], axis: int) -> Iterator[Band]:
        """Concatenate parts along an axis, blending overlaps; each is yielded up to the next cross-fade."""
        held: Tensor | None = None
        for i, (part, start) in enumerate(zip(parts, starts, strict=True)):
            values, apart, blended = part
            before = seams[i - 1] if i else 0
            if held is not None:
                now = values.narrow(axis, before - start, values.shape[axis] - (before - start))
                old, new = held.narrow(axis, 0, self.blend), now.narrow(axis, 0, self.blend)
                apart, blended = apart + float((new - old).abs().double().sum()), blended + new.numel()
                rest = now.narrow(axis, self.blend, now.shape[axis] - self.blend)
                values = torch.cat([old.lerp(new, self._ramp(new, axis)), rest], axis)
            if i == len(seams):
                yield Band(values, apart, blended)
                return
            done = seams[i] - before
            yield Band(values.narrow(axis, 0, done), apart, blended)
            held = values.narrow(axis, done, values.shape[axis] - done)

    def _ramp(self, like: Tensor, axis: int) -> Tensor:
        """r along an axis of (C, H, W)."""
        places = (torch.arange(self.blend, dtype=torch.float64) + 0.5) / max(self.blend, 1)
        ramp = (0.5 - 0.5 * torch.cos(math.pi * places)).to(like)
        return ramp.view(-1, 1) if axis == 1 else ramp

    def seam_energy(self, image: Tensor) -> float:
        """Whether the seams of a tiled output are visible.

        The mean squared difference of neighboring pixels, across and down, inside the cross-fades, divided by that
        elsewhere. About 1 or less if nothing is visible: a blend of disagreeing tiles is smoother than the tiles are, a
        step between them is not.

        Arguments:
            image: (C, H, W).

        Returns:
            The ratio; 0 without seams, or without any differences.
        """
        across, within = [0.0, 0], [0.0, 0]
        for axis in (1, 2):
            steps = image.diff(dim=axis).square()
            energy = steps.sum([0, 3 - axis], dtype=torch.float64)
            seam = torch.zeros(len(energy), dtype=torch.bool, device=energy.device)
            for begin in self.seams(image.shape[axis]):
                # From the difference that enters the cross-fade to the one that leaves it.
                seam[begin - 1 : begin + self.blend] = True
            for sums, chosen in ((across, seam), (within, ~seam)):
                sums[0] += float(energy[chosen].sum())
                sums[1] += int(chosen.sum()) * image.shape[0] * image.shape[3 - axis]
        if not across[0]:
            return 0.0
        return across[0] / across[1] * within[1] / within[0] if within[0] else math.inf


def tiled(
    function: Function, image: Tensor, *, tile: int, overlap: int, stride: int = 1, margin: int | None = None
) -> Tensor:
    """Apply a function to an image tile by tile; see `Tiling`.

    An image no larger than a tile is passed whole, padded to multiples of the stride.

    Arguments:
        function: (1, C, h, w) to (1, C', h, w), h and w multiples of the stride.
        image: (C, H, W).
        tile: side of a tile in pixels, a multiple of the stride.
        overlap: smallest overlap of neighbors in pixels.
        stride: the network's total stride.
        margin: pixels discarded at the inner edges of tiles; a quarter of the overlap by default.

    Returns:
        (C', H, W).

    Example:
        >>> image = torch.rand(3, 33, 50)
        >>> torch.equal(tiled(lambda x: 1 - x, image, tile=16, overlap=8, stride=4), 1 - image)
        True
    """
    out, top = image, 0
    for band in Tiling(tile, overlap, stride, margin).bands(function, image):
        rows = band.rows
        if not top:
            if rows.shape[1] == image.shape[1]:
                return rows
            out = rows.new_empty(rows.shape[0], *image.shape[1:])
        out[:, top : top + rows.shape[1]] = rows
        top += rows.shape[1]
    return out
