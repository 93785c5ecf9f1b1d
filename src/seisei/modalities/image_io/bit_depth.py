"""Images at their files' bit depth: 16 bits and floating point, which Pillow would reduce silently."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray

from seisei.errors import UserError
from seisei.modalities.image_io.color import check_range, over
from seisei.modalities.pixels import Color

MOST_CHANNELS = 64


def kept_whole(
    image: pillow.Image,
    file: BinaryIO | None,
    where: object,
    background: Color,
    bits: int,
    conversions: list[str],
    notes: list[str],
) -> NDArray[Any] | None:
    """The pixels of an image with more than 8 bits, None for others; see `to_eight_bits`."""
    if image.mode.startswith("I") or image.mode == "F":
        values = numbers(np.asarray(image), where, conversions)
        key = image.info.get("transparency")
        if image.format != "PNG" or not isinstance(key, int):
            return values
        return _shown_through(values[..., None], values[..., None] != key, background, conversions)
    if image.format != "PNG" or bits != 16 or file is None:
        return None
    if image.info.get("icc_profile"):
        notes.append("color profile kept, not applied")
    return _deep_png(image, file, background, conversions)


def numbers(values: NDArray[Any], where: object, conversions: list[str]) -> NDArray[Any]:
    """Values as uint8, uint16 or float32, without loss; (H, W, 1) becomes (H, W).

    Raises:
        UserError: integers that do not fit in 16 bits, non-finite numbers, or too many channels.
    """
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim == 3 and values.shape[2] > MOST_CHANNELS:
        found = values.shape[2]
        problem = f"has {found} channels, wanted 1 to {MOST_CHANNELS}"
        raise UserError("E-CHK-12", where, problem, "put the channels last, or leave some out", found=found, wanted=64)
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind in "iu":
        check_range(values, 65535, where, deep=True)
        return np.ascontiguousarray(values, np.uint16)
    with np.errstate(over="ignore"):
        kept = np.ascontiguousarray(values, np.float32)
    wrong = int(kept.size - np.isfinite(kept).sum())
    if wrong:
        problem = f"holds {wrong} values that are not finite 32-bit numbers (NaN, infinite or too large)"
        raise UserError("E-CHK-12", where, problem, "replace them with numbers", found=wrong, wanted=0)
    if values.dtype.itemsize > 4:
        conversions.append("64-bit floating point to 32")
    return kept


def composed(
    values: NDArray[Any], premultiplied: bool | None, background: Color, conversions: list[str]
) -> NDArray[Any]:
    """The image composited without its alpha channel, the last one; None means that it has none."""
    if premultiplied is None:
        return values
    return _shown_through(values[..., :-1], values[..., -1:], background, conversions, premultiplied)


def _shown_through(
    pixels: NDArray[Any], alpha: NDArray[Any], background: Color, conversions: list[str], premultiplied: bool = False
) -> NDArray[Any]:
    """The image composited over the background; gray stays gray if the background is gray."""
    if alpha.dtype == bool:
        alpha = alpha.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
    gray = pixels.shape[2] == 1 and len(set(background)) == 1
    color = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    made = over(color, alpha, background, conversions, premultiplied)
    return np.ascontiguousarray(made[..., 0]) if gray else made


def _deep_png(image: pillow.Image, file: BinaryIO, background: Color, conversions: list[str]) -> NDArray[Any]:
    """16-bit color, or 16-bit gray with alpha.

    Pillow keeps the high byte of each value; with the opposite byte order it keeps the low byte. Gray with alpha has
    four bytes per pixel, and is read as 8-bit RGBA.
    """
    file.seek(25)
    color = file.read(1)[0]  # PNG color type: 2 color, 4 gray with alpha, 6 color with alpha

    def read(raw: str) -> NDArray[np.uint16]:
        file.seek(0)
        again = pillow.open(file, formats=("PNG",))
        again.tile = [tile._replace(args=raw) for tile in again.tile]  # type: ignore[attr-defined]
        return np.asarray(again).astype(np.uint16)

    if color == 4:
        pairs = read("RGBA")
        return composed(pairs[..., 0::2] << 8 | pairs[..., 1::2], False, background, conversions)
    values: NDArray[Any] = np.asarray(image).astype(np.uint16) << 8 | read(f"{image.mode};16L")
    if image.mode == "RGBA":
        return composed(values, False, background, conversions)
    key = image.info.get("transparency")
    if isinstance(key, tuple):
        seen = (values != np.array(key, np.uint16)).any(axis=2, keepdims=True)
        return _shown_through(values, seen, background, conversions)
    return values
