"""Images: conversion between files or arrays and tensors.

An image is stored as uint8 values 0 … levels - 1, shape (C, H, W), uint16 above 256 levels; model input is divided by
levels - 1. A floating-point image has no levels: it is stored as float32 in its own units, and model input is its
position in a value range (`span`).
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
from seisei.modalities.measure import Measure
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
        levels: number of values per channel: 256, 2 for black and white, 65536 for 16 bits; 0 with a span.
        background: color behind transparent pixels and of padding.
        fit: how to fit images of another size; None refuses them.
        span: for floating-point images, the values that map to 0 and 1 in model input; values may lie outside.
            Integer images are scaled to it: black to its lower end, white to its upper end.

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
        """Number of values per image."""
        return self.channels * self.height * self.width

    @property
    def deep(self) -> bool:
        """Whether images are read at their files' bit depth; see `read_image`."""
        return self.span is not None or self.levels > 256

    @property
    def dtype(self) -> torch.dtype:
        """The storage dtype: uint8, uint16 or float32."""
        return torch.float32 if self.span is not None else torch.uint16 if self.levels > 256 else torch.uint8

    def pack(self, raw: Any) -> Tensor:
        """One image in storage format: values 0 … levels - 1, or in their own units; (C, H, W), see `dtype`.

        Arguments:
            raw: a path, a file's bytes, a PIL image or an array (H, W) or (H, W, C). uint8 arrays are 0 … 255, uint16
                0 … 65535, bool and floating point 0 … 1; with 2 levels, uint8 arrays of only 0 and 1 are binary. With a
                span, floating point is in its own units.

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
        """The storage format of a decoded image; see `pack`."""
        if image.size != (self.height, self.width) and self.fit is None:
            found, wanted = f"{image.size[1]}x{image.size[0]}", f"{self.width}x{self.height}"
            problem = f"is {found} pixels, wanted {wanted}"
            raise UserError("E-*-19", where, problem, "pass --fit crop|pad|stretch", found=found, wanted=wanted)
        if image.pixels.dtype.kind == "f" and self.span is None:
            check_range(image.pixels, 1, where)
        fit = self.fit or "stretch"
        pixels = resized(image.pixels, self.height, self.width, fit, background=self.background, span=self.span)
        pixels = self._scaled(with_channels(pixels, self.channels, where))
        # A copy: the source may be read-only, and must not share memory with the tensor.
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def _scaled(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels of any bit depth in storage format."""
        floating = pixels.dtype.kind == "f"
        if self.span is not None:
            low, high = self.span
            return pixels if floating else (low + (high - low) * fractions(pixels)).astype(np.float32)
        top, limit = self.levels - 1, 1 if floating else largest(pixels)
        if top == limit:
            return pixels
        levels = np.rint(pixels.astype(np.float64) * (top / limit))
        # Resampling overshoots beyond black and white at edges.
        return levels.clip(0, top).astype(np.uint16 if self.deep else np.uint8)

    def unpack(self, stored: Tensor) -> Tensor:
        """Stored images, one or a batch, as model input: float32, in [0, 1] without a span."""
        if self.span is not None:
            low, high = self.span
            return (stored.to(torch.float32) - low) / (high - low)
        return stored.to(torch.float32) / (self.levels - 1)

    def encode(self, raw: Any) -> Tensor:
        """One image as model input, float32, (C, H, W); see `unpack`."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> NDArray[Any]:
        """The image of one model tensor (C, H, W): rounded to the nearest level and scaled to 0 … 255.

        Returns:
            uint8, uint16 of 0 … 65535 above 256 levels, or float32 in its own units; (H, W) for one channel, else
            (H, W, C).
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

    def measure(self, stored: Tensor) -> Measure:
        """Bits are per stored value."""
        return Measure(torch.full((len(stored),), self.values))

    def within(self, x: Tensor) -> Tensor:
        """Generated examples as they are: every value of model input is one of the data's."""
        return x

    def observed(self, stored: Tensor) -> None:
        """None: nothing is missing."""
