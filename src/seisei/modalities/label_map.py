"""Label maps: images whose colors are names of classes, one for each pixel.

A map is held as the number of each pixel's class, uint8 (1, H, W), and a model sees a channel for each class, 1 where a
pixel is of it. Colors are never mixed: between two of them there is no third, so a map of another size is fitted by
taking the nearest pixel.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.errors import UserError
from seisei.modalities.image_io import DecodedImage, read_image
from seisei.modalities.pixels import WHITE, Color, Fit, with_channels
from seisei.spec import listed

Codes = NDArray[np.uint32]
# More would be an image.
MOST_COLORS = 64


@listed
@dataclass(frozen=True)
class LabelMap:
    """Maps of one size.

    Arguments:
        height: in pixels.
        width: in pixels.
        colors: red, green and blue of each class, 0 … 255; a class's number is its place here.
        fit: how a map of another size is made to fit; None refuses it.
        background: what shows through where a map is transparent, and around it where it is padded.

    Example:
        >>> maps = LabelMap(1, 2, ((0, 0, 0), (255, 0, 0)))
        >>> maps.encode(np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)).tolist()
        [[[0.0, 1.0]], [[1.0, 0.0]]]
        >>> maps.decode(torch.tensor([[[0.2, 1.0]], [[0.8, 0.0]]])).tolist()
        [[[255, 0, 0], [0, 0, 0]]]
    """

    height: int
    width: int
    colors: tuple[Color, ...]
    fit: Fit | None = None
    background: Color = WHITE

    noun: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        colors = tuple((int(red), int(green), int(blue)) for red, green, blue in self.colors)
        object.__setattr__(self, "colors", colors)
        object.__setattr__(self, "background", tuple(self.background))
        assert 0 < len(set(colors)) == len(colors) <= MOST_COLORS, "classes need colors that differ"

    @property
    def channels(self) -> int:
        """How many classes there are."""
        return len(self.colors)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, H, W), K classes."""
        return self.channels, self.height, self.width

    @property
    def gray(self) -> bool:
        """Whether all colors are grays."""
        return all(red == green == blue for red, green, blue in self.colors)

    def pack(self, raw: Any) -> Tensor:
        """The class numbers of one map, uint8 (1, H, W).

        Arguments:
            raw: a path, the bytes of a file, a PIL image or an array (H, W) or (H, W, 3) of uint8.

        Raises:
            UserError: the map cannot be read, has another size and `fit` is None, or has a color of no class.
        """
        where = str(raw) if isinstance(raw, (str, os.PathLike)) else "image"
        return self.pack_image(read_image(raw, where=where, background=self.background, deep=True), where)

    def pack_image(self, image: DecodedImage, where: object) -> Tensor:
        """The class numbers of a map that was already read; see `pack`."""
        if image.size != (self.height, self.width) and self.fit is None:
            found, wanted = f"{image.size[1]}x{image.size[0]}", f"{self.width}x{self.height}"
            problem = f"is {found} pixels, wanted {wanted}"
            raise UserError("E-*-19", where, problem, "pass --fit crop|pad|stretch", found=found, wanted=wanted)
        codes = color_codes(image.pixels, where)
        codes = nearest(codes, self.height, self.width, self.fit or "stretch", code_of(self.background))
        return torch.from_numpy(self._numbers(codes, where)[None])

    def _numbers(self, codes: Codes, where: object) -> NDArray[np.uint8]:
        known = np.array([code_of(color) for color in self.colors], np.uint32)
        order = np.argsort(known)
        places = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
        wrong = known[order][places] != codes
        if wrong.any():
            stranger = f"#{int(codes[wrong][0]):06x}"
            listed_ = ", ".join(f"#{code:06x}" for code in known[:8]) + (" …" if len(known) > 8 else "")
            problem = f"has the color {stranger}, which no map in training had, among {int(wrong.sum())} such pixels"
            remedy = f"paint them in the colors of classes: {listed_}"
            raise UserError("E-TRL-22", where, problem, remedy, found=stranger, wanted=known.tolist())
        return np.asarray(order[places], np.uint8)

    def unpack(self, stored: Tensor) -> Tensor:
        """Class numbers (1, H, W) or (B, 1, H, W) as a model sees them, float32 (K, H, W) or (B, K, H, W)."""
        shape = (*stored.shape[:-3], self.channels, *stored.shape[-2:])
        return torch.zeros(shape, device=stored.device).scatter_(-3, stored.long(), 1.0)

    def encode(self, raw: Any) -> Tensor:
        """One map as a model sees it, float32 (K, H, W)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> NDArray[np.uint8]:
        """The map of one model tensor (K, H, W): of each pixel the color of its likeliest class.

        Returns:
            uint8, (H, W) where all colors are grays, else (H, W, 3).
        """
        pixels = np.array(self.colors, np.uint8)[x.detach().cpu().argmax(0).numpy()]
        return np.ascontiguousarray(pixels[..., 0]) if self.gray else pixels

    def observed(self, stored: Tensor) -> None:
        """All pixels are."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        plain = {"height": self.height, "width": self.width, "fit": self.fit, "background": list(self.background)}
        return {**plain, "colors": [list(color) for color in self.colors]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> LabelMap:
        """What `to_json` wrote.

        Raises:
            TypeError: a value that no map has; AssertionError likewise.
        """
        if set(data) != {"height", "width", "colors", "fit", "background"}:
            raise TypeError(f"{where} has {', '.join(data)} of a label map")
        for name in ("height", "width"):
            if not isinstance(data[name], int) or isinstance(data[name], bool) or data[name] < 1:
                raise TypeError(f"{name} is {data[name]!r}")
        if data["fit"] not in (None, "crop", "pad", "stretch"):
            raise TypeError(f"fit is {data['fit']!r}")
        colors = data["colors"]
        if not isinstance(colors, list) or not all(_is_color(each) for each in [*colors, data["background"]]):
            raise TypeError("colors are no lists of red, green and blue")
        return cls(**data)


def _is_color(value: Any) -> bool:
    three = isinstance(value, list) and len(value) == 3
    return three and all(type(part) is int and 0 <= part < 256 for part in value)


def code_of(color: Color) -> int:
    """A color as one number.

    Example:
        >>> hex(code_of((255, 128, 0)))
        '0xff8000'
    """
    return color[0] << 16 | color[1] << 8 | color[2]


def color_codes(pixels: NDArray[Any], where: object) -> Codes:
    """Each pixel's color as one number, (H, W).

    Raises:
        UserError: more than 8 bits, or channels that are no colors.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.uint8 or channels not in (1, 3):
        problem = f"holds {pixels.dtype} in {channels} channels, wanted colors of 8 bits for a label map"
        raise UserError("E-CHK-12", where, problem, "save it as an 8-bit PNG", found=str(pixels.dtype), wanted="uint8")
    red, green, blue = np.moveaxis(with_channels(pixels, 3).astype(np.uint32), -1, 0)
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def nearest(codes: Codes, height: int, width: int, fit: Fit, background: int) -> Codes:
    """The map at another size, each pixel that of the old map whose place is nearest; see `resized`.

    Arguments:
        codes: (H, W).
        height: wanted.
        width: wanted.
        fit: as of images.
        background: what surrounds a padded map.

    Example:
        >>> nearest(np.array([[1, 2, 3, 4]], np.uint32), 1, 2, "stretch", 0).tolist()
        [[2, 4]]
    """
    old_height, old_width = codes.shape
    if (old_height, old_width) == (height, width):
        return codes
    if fit == "pad":
        scale = min(height / old_height, width / old_width)
        inner_height, inner_width = max(1, round(old_height * scale)), max(1, round(old_width * scale))
        framed = np.full((height, width), background, np.uint32)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        inner = nearest(codes, inner_height, inner_width, "stretch", background)
        framed[top : top + inner_height, left : left + inner_width] = inner
        return framed
    # As many old pixels as the new map shows, around the middle.
    shown_height, shown_width = float(old_height), float(old_width)
    if fit == "crop":
        scale = max(height / old_height, width / old_width)
        shown_height, shown_width = height / scale, width / scale
    down = _places(old_height, shown_height, height)
    right = _places(old_width, shown_width, width)
    return codes[np.ix_(down, right)]


def _places(old: int, shown: float, new: int) -> NDArray[np.intp]:
    """The old places whose middles are nearest to those of the new ones, along one side."""
    middles = (old - shown) / 2 + (np.arange(new) + 0.5) * (shown / new)
    return np.asarray(np.floor(middles).clip(0, old - 1), np.intp)
