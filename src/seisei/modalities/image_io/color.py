"""Conversion to 8-bit gray or sRGB: palettes, CMYK, color profiles, transparency, and reduction from 16 bits."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray
from PIL import ImageCms

from seisei.errors import UserError
from seisei.modalities.pixels import Color, Pixels

CONVERTED = "color profile to sRGB"


def to_eight_bits(
    image: pillow.Image, where: object, background: Color, bits: int, conversions: list[str], notes: list[str]
) -> Pixels:
    """A decoded image as 8-bit gray or sRGB, (H, W) or (H, W, 3).

    Arguments:
        image: a decoded image.
        where: its name in errors.
        background: color behind transparent pixels.
        bits: bits per value in the file.
        conversions: receives the conversions applied.
        notes: receives harmless problems.
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return from_deep(np.asarray(image), where, conversions)
    if mode == "LAB":
        raise UserError("E-CHK-12", where, "mode LAB", "save it as 8-bit RGB", found=mode, wanted=["L", "RGB"])
    if bits == 16:
        conversions.append("16 bits to 8")
    profile, transparent = image.info.get("icc_profile"), image.has_transparency_data
    if mode == "P":
        conversions.append("palette expanded")
    elif mode == "CMYK":
        conversions.append("CMYK to RGB")
    elif mode in ("YCbCr", "HSV"):
        conversions.append(f"{mode} to RGB")
    if transparent:
        rgba = np.asarray((image.convert("LA") if mode == "La" else image).convert("RGBA"))
        opaque = pillow.fromarray(np.ascontiguousarray(rgba[..., :3]))
        pixels = over(_in_srgb(opaque, profile, conversions, notes), rgba[..., 3:], background, conversions)
        gray = mode in ("1", "L", "LA", "La") and len(set(background)) == 1 and profile is None
        return np.ascontiguousarray(pixels[..., 0]) if gray else pixels
    if mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    return _in_srgb(image, profile, conversions, notes)


def over(
    pixels: NDArray[Any], alpha: NDArray[Any], background: Color, conversions: list[str], premultiplied: bool = False
) -> NDArray[Any]:
    """An image composited over a background, rounded to the nearest value.

    Arguments:
        pixels: (H, W, 3), uint8 or uint16.
        alpha: (H, W, 1), of the same dtype; its maximum is opaque.
        background: color in 0 … 255.
        conversions: receives the conversions applied.
        premultiplied: whether the pixels are premultiplied by alpha.
    """
    white = int(np.iinfo(pixels.dtype).max)
    if (alpha == white).all():
        return pixels
    # Exact integers: at most 255 * 255 + 127 fits in 16 bits, and 65535 * 65535 + 32767 in 32.
    wide: Any = np.uint16 if white == 255 else np.uint32
    alpha = alpha.astype(wide)
    behind = np.array([white // 255 * part for part in background], wide) * (white - alpha)
    conversions.append(f"transparency over #{bytes(background).hex()}")
    if premultiplied:
        seen = (pixels + (behind + white // 2) // white).clip(max=white)
    else:
        seen = (pixels * alpha + behind + white // 2) // white
    made: NDArray[Any] = seen.astype(pixels.dtype)
    return made


def from_deep(values: NDArray[Any], where: object, conversions: list[str]) -> Pixels:
    """16-bit gray, or floating-point gray in [0, 1], as 8 bits: scaled, not clipped."""
    floating = values.dtype.kind == "f"
    limit = 1 if floating else 65535
    check_range(values, limit, where)
    conversions.append("floating point to 8 bits" if floating else "16 bits to 8")
    return np.rint(values.astype(np.float64) * (255 / limit)).astype(np.uint8)


def check_range(values: NDArray[Any], limit: int, where: object, *, deep: bool = False) -> None:
    """Refuse values outside 0 … limit, and NaN.

    Arguments:
        values: an image's values.
        limit: the maximum.
        where: the image's name in errors.
        deep: whether floating point is kept in its own units, see `read_image`.
    """
    low, high = values.min(initial=0), values.max(initial=0)
    if low >= 0 and high <= limit:
        return
    if not (low > -np.inf and high < np.inf):
        remedy = "replace NaN and infinite values and save it as float32 again"
    elif deep:
        remedy = "save it as float32, which is kept in its own units"
    else:
        remedy = "scale the values to 0 … 1 and save it as float32"
    kind = "signed values" if low < 0 and values.dtype.kind == "i" else "values"
    problem = f"{kind} {low:g} to {high:g}, wanted 0 to {limit}"
    raise UserError("E-CHK-12", where, problem, remedy, found=[float(low), float(high)], wanted=[0, limit])


def _in_srgb(image: pillow.Image, profile: bytes | None, conversions: list[str], notes: list[str]) -> Pixels:
    """An opaque color image in sRGB, converted from its own color profile if readable."""
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).lower():
                changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                assert changed is not None
                conversions.append(CONVERTED)
                return np.asarray(changed)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("bad color profile ignored")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


@functools.cache
def srgb_profile() -> bytes:
    """An sRGB profile with a fixed date, so that output is deterministic."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + bytes.fromhex("07d0 0001 0001 0000 0000 0000") + made[36:]
