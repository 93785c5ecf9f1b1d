"""Pixel arrays: channels, bit depth, and conversion for display.

uint8 is 0 … 255, uint16 is 0 … 65535, float32 is in its own units, with a span that gives the values of black and
white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.errors import UserError

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]
Fit = Literal["crop", "pad", "stretch"]
Span = tuple[float, float]

WHITE: Color = (255, 255, 255)


def largest(pixels: NDArray[Any]) -> int:
    """The white level of an integer image: 255 or 65535."""
    return int(np.iinfo(pixels.dtype).max)


def with_channels(pixels: NDArray[Any], channels: int, where: object = "image") -> NDArray[Any]:
    """The image with this many channels, (H, W, C): gray repeated, or color converted to luma (ITU-R 601).

    Raises:
        UserError: the number of channels differs in another way.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if found == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if found == 3 and channels == 1:
        if pixels.dtype.kind == "f":
            weights = np.array([19595, 38470, 7471]) / 65536
            return (pixels @ weights).astype(pixels.dtype)[..., None]
        # The maximum, 65535 * 65536 + 32768, just fits in 32 bits.
        red, green, blue = (pixels[..., c].astype(np.uint32) for c in range(3))
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[..., None]
    problem = f"has {found} channels, wanted {channels}"
    raise UserError("E-*-20", where, problem, f"give an image with {channels} channels", found=found, wanted=channels)


def fractions(pixels: NDArray[Any], span: Span | None = None) -> NDArray[np.float64]:
    """The image scaled to 0 for black and 1 for white.

    Arguments:
        pixels: an image of any bit depth.
        span: values of black and white for floating point, (0, 1) by default; values outside map outside 0 … 1.

    Example:
        >>> fractions(np.array([[13107]], np.uint16)).tolist(), fractions(np.array([[3.0]]), (1, 5)).tolist()
        ([[0.2]], [[0.5]])
    """
    if pixels.dtype.kind != "f":
        return pixels.astype(np.float64) / largest(pixels)
    low, high = span or (0.0, 1.0)
    return (pixels.astype(np.float64) - low) / (high - low)


def eight_bits(pixels: NDArray[Any], span: Span | None = None) -> Pixels:
    """The image as uint8, for display.

    Arguments:
        pixels: an image of any bit depth.
        span: values of black and white for floating point; by default its minimum and maximum.

    Example:
        >>> eight_bits(np.array([[0, 257, 65535]], np.uint16)).tolist()
        [[0, 1, 255]]
        >>> eight_bits(np.array([[-4.0, 0.0, 4.0, 9.0]]), (-4.0, 4.0)).tolist()
        [[0, 128, 255, 255]]
    """
    if pixels.dtype == np.uint8:
        return pixels
    shares = fractions(pixels, span or _found_span([pixels]))
    levels: Pixels = np.rint(shares.clip(0, 1) * 255).astype(np.uint8)
    return levels


def _found_span(images: Sequence[NDArray[Any]]) -> Span | None:
    floating = [p for p in images if p.dtype.kind == "f"]
    if not floating:
        return None
    low, high = min(float(p.min()) for p in floating), max(float(p.max()) for p in floating)
    return low, high if high > low else low + 1


def shown(pixels: NDArray[Any], span: Span | None = None) -> Pixels:
    """A displayable version of an image: the first three of more than three channels, the first of two.

    Arguments:
        pixels: (H, W) or (H, W, C).
        span: values of black and white for floating point.

    Example:
        >>> shown(np.zeros((8, 6, 5), np.uint8)).shape, shown(np.zeros((8, 6, 2), np.uint8)).shape
        ((8, 6, 3), (8, 6, 1))
    """
    return eight_bits(pixels if pixels.ndim == 2 else pixels[..., : 3 if pixels.shape[2] > 2 else 1], span)


def grid(
    images: Tensor | Sequence[NDArray[Any]],
    columns: int | None = None,
    gap: int = 2,
    enlarge: int | None = None,
    span: Span | None = None,
) -> Pixels:
    """A grid of equally sized images on white, enlarged by pixel repetition.

    Arguments:
        images: arrays (H, W) or (H, W, C), or a tensor (N, C, H, W) in [0, 1]; see `shown`.
        columns: images per row; by default for a roughly square grid.
        gap: pixels between images.
        enlarge: enlargement factor; by default such that the shorter side has at least 64 pixels.
        span: values of black and white for floating point; by default shared by all images, to keep them comparable.

    Example:
        >>> grid([np.zeros((1, 1), np.uint8)] * 2, columns=2, gap=1, enlarge=1).tolist()
        [[0, 255, 0]]
    """
    if isinstance(images, Tensor):
        scaled = (images.detach().to("cpu", torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)
        images = list(scaled.permute(0, 2, 3, 1).numpy())
    span = span or _found_span(images)
    looks = [shown(p, span) for p in images]
    color = any(p.ndim == 3 and p.shape[2] == 3 for p in looks)
    arrays = [with_channels(p, 3 if color else 1) for p in looks]
    assert arrays, "no images"
    height, width = arrays[0].shape[:2]
    times = enlarge or max(1, -(-64 // min(height, width)))
    columns = columns or int(np.ceil(np.sqrt(len(arrays))))
    rows = -(-len(arrays) // columns)
    step_down, step_right = height * times + gap, width * times + gap
    sheet = np.full((rows * step_down - gap, columns * step_right - gap, arrays[0].shape[2]), 255, np.uint8)
    for i, array in enumerate(arrays):
        top, left = (i // columns) * step_down, (i % columns) * step_right
        sheet[top : top + height * times, left : left + width * times] = array.repeat(times, 0).repeat(times, 1)
    return sheet if color else sheet[..., 0]
