"""Images: both ways between a file or an array and a tensor.

An image is held as uint8 values 0 … levels - 1, shape (C, H, W), and a model sees them divided by levels - 1; above
256 levels they are uint16. One of floating point has no levels: it is held as float32 in its own units, and a model
sees where it lies in a span.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.errors import UserError
from seisei.modalities.image_io.color import check_range
from seisei.modalities.image_io.read import DecodedImage, read_image
from seisei.modalities.image_io.resize import resized
from seisei.modalities.pixels import WHITE, Fit, fractions, largest, with_channels
from seisei.spec import listed

DEEP = 1 << 16  # levels of 16 bits


@listed
@dataclass(frozen=True)
class Image:
    """Images of one size.

    Arguments:
        height: in pixels.
        width: in pixels.
        channels: 1 for gray, 3 for color; any number for arrays and TIFFs.
        levels: how many values a pixel takes: 256, 2 for black and white, 65536 for 16 bits; 0 where there is a span.
        background: what shows through where an image is transparent, and around it where it is padded.
        fit: how an image of another size is made to fit; None refuses it.
        span: of images of floating point, what a model sees as 0 and as 1; values may lie outside of it. Whole
            numbers are taken as shares of it: black is its lower end, white its upper one.

    Example:
        >>> image = Image(2, 2, 1)
        >>> image.pack(np.array([[0, 51], [102, 255]], np.uint8)).tolist()
        [[[0, 51], [102, 255]]]
        >>> image.decode(torch.tensor([[[0.0, 0.2], [0.4, 7.0]]])).tolist()
        [[0, 51], [102, 255]]
        >>> Image(1, 2, 1, 0, span=(-40.0, 60.0)).encode(np.array([[-40.0, 80.0]])).tolist()
        [[[0.0, 1.2000000476837158]]]
    """

    height: int
    width: int
    channels: int = 3
    levels: int = 256
    background: tuple[int, int, int] = WHITE
    fit: Fit | None = None
    span: tuple[float, float] | None = None

    noun: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if self.span is None:
            assert 2 <= self.levels <= DEEP, f"an image has 2 to {DEEP} levels"
            return
        object.__setattr__(self, "span", tuple(float(v) for v in self.span))
        assert self.levels == 0, "an image with a span has no levels"
        assert len(self.span) == 2 and self.span[0] < self.span[1], "a span goes from a number to a larger one"
        assert all(math.isfinite(v) for v in self.span), "a span has two ends"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def values(self) -> int:
        """How many numbers an image holds."""
        return self.channels * self.height * self.width

    @property
    def deep(self) -> bool:
        """Whether images have to be read as deep as their files; see `read_image`."""
        return self.span is not None or self.levels > 256

    @property
    def dtype(self) -> torch.dtype:
        """Of what is stored: uint8, uint16 or float32."""
        return torch.float32 if self.span is not None else torch.uint16 if self.levels > 256 else torch.uint8

    def pack(self, raw: Any) -> Tensor:
        """One image in compact form: values 0 … levels - 1, or in their own units; (C, H, W), see `dtype`.

        Arguments:
            raw: a path, the bytes of a file, a PIL image or an array (H, W) or (H, W, C). Arrays of uint8 are
                0 … 255, of uint16 0 … 65535, of bool or floating point 0 … 1; where `levels` is 2, uint8 arrays of only
                0 and 1 are those. With a span, floating point is in its own units.

        Raises:
            UserError: the image cannot be read, or has another size and `fit` is None.
        """
        where = str(raw) if isinstance(raw, (str, os.PathLike)) else "image"
        if isinstance(raw, np.ndarray) and raw.dtype == np.uint8 and self.levels == 2 and raw.max(initial=0) == 1:
            raw = raw.astype(bool)
        at_least = None if self.fit is None else (self.height, self.width)
        image = read_image(raw, where=where, background=self.background, at_least=at_least, deep=self.deep)
        return self.pack_image(image, where)

    def pack_image(self, image: DecodedImage, where: object) -> Tensor:
        """The compact form of an image that was already read; see `pack`."""
        if image.size != (self.height, self.width) and self.fit is None:
            found, wanted = f"{image.size[1]}x{image.size[0]}", f"{self.width}x{self.height}"
            problem = f"is {found} pixels, wanted {wanted}"
            raise UserError("E-*-19", where, problem, "pass --fit crop|pad|stretch", found=found, wanted=wanted)
        if image.pixels.dtype.kind == "f" and self.span is None:
            check_range(image.pixels, 1, where)
        fit = self.fit or "stretch"
        pixels = resized(image.pixels, self.height, self.width, fit, background=self.background, span=self.span)
        pixels = self._scaled(with_channels(pixels, self.channels, where))
        # A copy: what Pillow or the user gave may be read-only, and is not to change with the tensor.
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def _scaled(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels of any depth as they are stored."""
        floating = pixels.dtype.kind == "f"
        if self.span is not None:
            low, high = self.span
            return pixels if floating else (low + (high - low) * fractions(pixels)).astype(np.float32)
        top, limit = self.levels - 1, 1 if floating else largest(pixels)
        if top == limit:
            return pixels
        levels = np.rint(pixels.astype(np.float64) * (top / limit))
        # Sharpening at edges goes beyond black and white.
        return levels.clip(0, top).astype(np.uint16 if self.deep else np.uint8)

    def unpack(self, stored: Tensor) -> Tensor:
        """Compact images, one or a batch, as a model sees them: float32, in [0, 1] where there is no span."""
        if self.span is not None:
            low, high = self.span
            return (stored.to(torch.float32) - low) / (high - low)
        return stored.to(torch.float32) / (self.levels - 1)

    def encode(self, raw: Any) -> Tensor:
        """One image as a model sees it, float32, (C, H, W); see `unpack`."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> NDArray[Any]:
        """The image of one model tensor (C, H, W): its nearest level, spread over 0 … 255 to be looked at.

        Returns:
            uint8, uint16 of 0 … 65535 above 256 levels, or float32 in its own units; (H, W) where there is one channel,
            else (H, W, C).
        """
        x = x.detach().to("cpu")
        if self.span is not None:
            low, high = self.span
            pixels = (x.double() * (high - low) + low).to(torch.float32)
        else:
            level = (x.to(torch.float32).clamp(0, 1) * (self.levels - 1)).round()
            if self.deep:
                pixels = (level.double() * ((DEEP - 1) / (self.levels - 1))).round().to(torch.uint16)
            else:
                pixels = (level * (255 / (self.levels - 1))).round().to(torch.uint8)
        array: NDArray[Any] = pixels.permute(1, 2, 0).contiguous().numpy()
        return array[..., 0] if self.channels == 1 else array

    def observed(self, stored: Tensor) -> None:
        """All pixels are."""
