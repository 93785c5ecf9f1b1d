"""Reading and validating one image pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from seisei.data.images.buffers import Frame, Room
from seisei.data.images.pack import PackOptions
from seisei.data.pairs.source import PairSource
from seisei.errors import UserError
from seisei.modalities.image_io import DecodedImage, read_image

Sizes = tuple[int, int]
_NOTHING = np.empty((0, 0), np.uint8)


@dataclass(frozen=True)
class PairWishes:
    """Requested options.

    Arguments:
        plain: options of single images.
        bits: 8 converts all to 8 bits.
        mapped: index of the side with label maps, or None.
    """

    plain: PackOptions
    bits: Literal[8] | None = None
    mapped: int | None = None

    @property
    def resizes(self) -> bool:
        """Whether a size or fit was requested."""
        return self.plain.size is not None or self.plain.fit is not None


class Made(NamedTuple):
    """A pair that was read: its size, and each side's findings and packed image."""

    size: Sizes
    found: tuple[DecodedImage, DecodedImage]
    made: tuple[Any, Any]


def reader(
    source: PairSource, wishes: PairWishes, frame: Frame, rooms: Sequence[Room]
) -> Callable[[int], Made | UserError]:
    """Returns a function that reads one pair, in a thread, or returns its error."""
    plain = wishes.plain

    def image(place: int, index: int) -> DecodedImage:
        side = source.sides[place]
        maps = wishes.mapped is not None and (source.beside or place == wishes.mapped)
        # JPEG draft decoding would mix label colors, or give halves an odd width.
        at_least = None if maps or source.beside else (frame.height, frame.width)
        return read_image(
            side.read(index), where=side.names[index], max_pixels=plain.max_pixels, min_size=plain.min_size,
            first_frame=plain.first_frame, at_least=at_least, deep=maps or wishes.bits is None,
        )  # fmt: skip

    def read(index: int) -> Made | UserError:
        names = [side.names[index] for side in source.sides]
        try:
            if source.beside:
                both = halves(image(0, index), names[0])
            else:
                both = image(0, index), image(1, index)
                _check_alike(both, names, wishes.resizes)
            for each, name in zip(both, names, strict=True):
                _check_large(each, name, plain.min_size)
            made = [room.make(each, name) for room, each, name in zip(rooms, both, names, strict=True)]
        except UserError as error:
            return error
        # Drop the pixels: those of many large images would not fit in memory.
        facts = [replace(each, pixels=_NOTHING) for each in both]
        return Made(both[0].size, (facts[0], facts[1]), (made[0], made[1]))

    return read


def halves(image: DecodedImage, name: str) -> tuple[DecodedImage, DecodedImage]:
    """The left and the right half of an image.

    Raises:
        UserError: its width is odd.
    """
    height, width = image.size
    if width % 2:
        problem = f"is {width}x{height} pixels, but two images of one size side by side have an even width"
        raise UserError(
            "E-CHK-19", name, problem, "cut it to an even width or remove it", found=width, wanted=width - 1
        )
    size = height, width // 2
    left, right = image.pixels[:, : width // 2], image.pixels[:, width // 2 :]
    return replace(image, pixels=left, size=size), replace(image, pixels=right, size=size)


def _check_alike(both: tuple[DecodedImage, DecodedImage], names: Sequence[str], resizes: bool) -> None:
    """Refuse sides of different sizes, or, if they are resized, of different proportions."""
    one, other = both[0].size, both[1].size
    if one == other or (resizes and _same_shape(one, other)):
        return
    sizes = [f"{width}x{height}" for height, width in (one, other)]
    problem = f"is {sizes[1]} pixels, and {names[0]} {sizes[0]}"
    remedy = "cut one of them to the other's proportions" if resizes else "give them one size, or pass --size or --fit"
    raise UserError("E-CHK-19", names[1], problem, remedy, found=sizes[1], wanted=sizes[0])


def _same_shape(one: Sizes, other: Sizes) -> bool:
    """Whether two sizes have the same proportions, up to rounding of the smaller one.

    Example:
        >>> _same_shape((341, 512), (171, 256)), _same_shape((256, 171), (512, 341)), _same_shape((64, 64), (64, 72))
        (True, True, False)
    """
    small, large = sorted((one, other))
    height, width = large[0] * small[1] / large[1], large[1] * small[0] / large[0]
    return abs(height - small[0]) <= 0.5 or abs(width - small[1]) <= 0.5


def _check_large(image: DecodedImage, name: str, least: int) -> None:
    """Refuse halves and arrays with a shorter side; files were checked on opening."""
    height, width = image.size
    if min(height, width) < least:
        found, wanted = f"{width}x{height}", f"{least}x{least}"
        problem = f"is {found} pixels on each side, wanted at least {wanted}"
        raise UserError("E-CHK-10", name, problem, "lower --min-size or remove it", found=found, wanted=wanted)
