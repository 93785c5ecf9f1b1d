"""Label maps (segmentation masks): images whose colors are per-pixel classes.

A map is stored as class indices, uint8 (1, H, W); model input is one-hot, one channel per class. Colors are never
interpolated: maps are resized with nearest-neighbor sampling.
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
# With more colors it is an image.
MOST_COLORS = 64


@listed
@dataclass(frozen=True)
class LabelMap:
    """Maps of one size.

    Arguments:
        height: in pixels.
        width: in pixels.
        colors: red, green and blue of each class, 0 … 255, in order of class index.
        fit: how to fit maps of another size; None refuses them.
        background: color behind transparent pixels and of padding.

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
        """Number of classes."""
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
        """The class indices of one map, uint8 (1, H, W).

        Arguments:
            raw: a path, a file's bytes, a PIL image or a uint8 array (H, W) or (H, W, 3).

        Raises:
            UserError: the map cannot be read, has another size and `fit` is None, or has an unknown color.
        """
        where = str(raw) if isinstance(raw, (str, os.PathLike)) else "image"
        return self.pack_image(read_image(raw, where=where, background=self.background, deep=True), where)

    def pack_image(self, image: DecodedImage, where: object) -> Tensor:
        """The class indices of a decoded map; see `pack`."""
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
            problem = f"has the color {stranger}, which was not in training, among {int(wrong.sum())} such pixels"
            remedy = f"use the colors of the classes: {listed_}"
            raise UserError("E-TRL-22", where, problem, remedy, found=stranger, wanted=known.tolist())
        return np.asarray(order[places], np.uint8)

    def unpack(self, stored: Tensor) -> Tensor:
        """Class indices (1, H, W) or (B, 1, H, W) as one-hot model input, float32 (K, H, W) or (B, K, H, W)."""
        shape = (*stored.shape[:-3], self.channels, *stored.shape[-2:])
        return torch.zeros(shape, device=stored.device).scatter_(-3, stored.long(), 1.0)

    def encode(self, raw: Any) -> Tensor:
        """One map as one-hot model input, float32 (K, H, W)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> NDArray[np.uint8]:
        """The map of one model tensor (K, H, W): the color of each pixel's most likely class.

        Returns:
            uint8, (H, W) if all colors are grays, else (H, W, 3).
        """
        pixels = np.array(self.colors, np.uint8)[x.detach().cpu().argmax(0).numpy()]
        return np.ascontiguousarray(pixels[..., 0]) if self.gray else pixels

    def observed(self, stored: Tensor) -> None:
        """None: nothing is missing."""

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        plain = {"height": self.height, "width": self.width, "fit": self.fit, "background": list(self.background)}
        return {**plain, "colors": [list(color) for color in self.colors]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> LabelMap:
        """Restore the output of `to_json`.

        Raises:
            TypeError: an invalid value; AssertionError likewise.
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
    """A color as one integer.

    Example:
        >>> hex(code_of((255, 128, 0)))
        '0xff8000'
    """
    return color[0] << 16 | color[1] << 8 | color[2]


def color_codes(pixels: NDArray[Any], where: object) -> Codes:
    """Each pixel's color as one integer, (H, W).

    Raises:
        UserError: more than 8 bits, or neither gray nor color.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.uint8 or channels not in (1, 3):
        problem = f"holds {pixels.dtype} in {channels} channels, wanted 8-bit gray or color for a label map"
        raise UserError("E-CHK-12", where, problem, "save it as an 8-bit PNG", found=str(pixels.dtype), wanted="uint8")
    red, green, blue = np.moveaxis(with_channels(pixels, 3).astype(np.uint32), -1, 0)
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def nearest(codes: Codes, height: int, width: int, fit: Fit, background: int) -> Codes:
    """Resize a map with nearest-neighbor sampling; see `resized`.

    Arguments:
        codes: (H, W).
        height: target height.
        width: target width.
        fit: as for images.
        background: color of padding.

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
    # Size of the centered region of the old map that the new map shows.
    shown_height, shown_width = float(old_height), float(old_width)
    if fit == "crop":
        scale = max(height / old_height, width / old_width)
        shown_height, shown_width = height / scale, width / scale
    down = _places(old_height, shown_height, height)
    right = _places(old_width, shown_width, width)
    return codes[np.ix_(down, right)]


def _places(old: int, shown: float, new: int) -> NDArray[np.intp]:
    """The old positions whose centers are nearest to the new ones', along one axis."""
    middles = (old - shown) / 2 + (np.arange(new) + 0.5) * (shown / new)
    return np.asarray(np.floor(middles).clip(0, old - 1), np.intp)
