"""From image to image of any size, tile by tile, with overlaps that are blended.

Tiles begin at multiples of the network's stride, so that each sees its part of the image as it would within the
whole. Of two neighbors the first gives way to the second over n places in the middle of what both have,

    x_k = (1 − r_k) x + r_k x',   r_k = ½ − ½ cos(π (k + ½) / n),   k = 0 … n − 1,

across tiles first, then down rows of tiles. The two shares add up to 1 at every place, and where both say the same that
is what comes out, to the bit. The outermost `margin` places of an inner edge are left out, since they were made without
what lies beyond: with as many of them as a network sees to one side (half its field), tiles give what the whole would.

Only a row of tiles is held at a time, and rows of the image are handed out as they are done. Neither the edges of
tiles nor the blends between them should be seen: `disagreement` tells of what was blended, `Tiling.seam_energy` of what
came out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from seisei.nn.unet import extended

Function = Callable[[Tensor], Tensor]


class Band(NamedTuple):
    """Rows of an image that are done, and how far the tiles were apart that were blended on the way.

    Arguments:
        rows: (C, h, W).
        apart: the sum of |x' − x| over values that two tiles gave.
        blended: how many values that were.
    """

    rows: Tensor
    apart: float = 0.0
    blended: int = 0


class Share(NamedTuple):
    """A tile of an image.

    Arguments:
        rows: of the image.
        columns: of the image.
        own: rows and columns of the tile that no other tile answers for.
    """

    rows: slice
    columns: slice
    own: tuple[slice, slice]


def disagreement(bands: Iterable[Band]) -> float:
    """How far two neighboring tiles are apart where they are blended: the mean of |x' − x|, in units of the image.

    0 where there is a single tile. Large where a network says something else of a place by where the tile lies.

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
        overlap: pixels that two neighbors share, at least; tiles are spread evenly, so it may be more.
        stride: of the network: how many pixels one place of its smallest map stands for.
        margin: pixels at the inner edges of tiles that are not used, at most half the overlap; a quarter of it where
            none is given. The rest, in the middle of the overlap, is blended.

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
            raise ValueError(f"tiles of {self.tile} pixels, wanted a multiple of {self.stride}, the network's stride")
        if not 0 <= self.overlap <= self.tile - self.stride:
            most = self.tile - self.stride
            raise ValueError(f"an overlap of {self.overlap} pixels, wanted 0 to {most}: a tile less a stride")
        if self.margin is not None and not 0 <= 2 * self.margin <= self.overlap:
            raise ValueError(f"a margin of {self.margin} pixels, wanted 0 to {self.overlap // 2}: half the overlap")

    @property
    def blend(self) -> int:
        """n: over how many pixels a tile gives way to the next."""
        return self.overlap - 2 * (self.overlap // 4 if self.margin is None else self.margin)

    def starts(self, size: int) -> list[int]:
        """Where tiles begin along a side, spread evenly over multiples of the stride."""
        beyond = -(-size // self.stride) - self.tile // self.stride
        if beyond <= 0:
            return [0]
        gaps = -(-beyond // ((self.tile - self.overlap) // self.stride))
        return [i * beyond // gaps * self.stride for i in range(gaps + 1)]

    def seams(self, size: int) -> list[int]:
        """Where tiles begin to give way to the next, along a side."""
        return [b + (a + self.tile - b - self.blend) // 2 for a, b in pairwise(self.starts(size))]

    def shares(self, height: int, width: int) -> list[Share]:
        """Tiles of an image, each with what of it is taken from that tile alone.

        Example:
            >>> [(share.rows, share.own[0]) for share in Tiling(16, 8, 4).shares(24, 16)]
            [(slice(0, 16, None), slice(0, 12, None)), (slice(8, 24, None), slice(4, None, None))]
        """
        sides = []
        for size in (height, width):
            starts = self.starts(size)
            # Where one ends and the next begins: in the middle of what both have.
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
        """What a function makes of an image, some rows at a time, from above.

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
                whole = extended(part[None], self.stride)
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
        """One behind the other along an axis, blended, each up to where it begins to give way to the next."""
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
        """r, along an axis of (C, H, W)."""
        places = (torch.arange(self.blend, dtype=torch.float64) + 0.5) / max(self.blend, 1)
        ramp = (0.5 - 0.5 * torch.cos(math.pi * places)).to(like)
        return ramp.view(-1, 1) if axis == 1 else ramp

    def seam_energy(self, image: Tensor) -> float:
        """Whether the seams of an image that was made of tiles are seen.

        The mean square of the differences between neighboring pixels, across and down, where tiles give way to the
        next, divided by the mean square elsewhere. About 1, or less, where nothing is seen; a blend of tiles that say
        different things is smoother than they are, and a step between them is not.

        Arguments:
            image: (C, H, W).

        Returns:
            The ratio; 0 where there are no seams, or no differences at all.
        """
        across, within = [0.0, 0], [0.0, 0]
        for axis in (1, 2):
            steps = image.diff(dim=axis).square()
            energy = steps.sum([0, 3 - axis], dtype=torch.float64)
            seam = torch.zeros(len(energy), dtype=torch.bool, device=energy.device)
            for begin in self.seams(image.shape[axis]):
                # From the step that enters the blend to the one that leaves it.
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
    """What a function makes of an image, tile by tile; see `Tiling`.

    An image that is no larger than a tile is given to the function as it is, made larger only to multiples of the
    stride.

    Arguments:
        function: (1, C, h, w) to (1, C', h, w), h and w multiples of the stride.
        image: (C, H, W).
        tile: side of a tile in pixels, a multiple of the stride.
        overlap: pixels that two neighbors share, at least.
        stride: of the network.
        margin: pixels at the inner edges of tiles that are not used; a quarter of the overlap where none is given.

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
