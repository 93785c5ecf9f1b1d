"""What a file shows as 8-bit gray or sRGB: palettes, inks, profiles, transparency, and 16 bits brought down."""

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
        image: decoded.
        where: what an error calls it.
        background: what shows through where it is transparent.
        bits: per value in the file.
        conversions: receives what is done.
        notes: receives what was wrong without effect.
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
    """What is seen of an image before a background, rounded to the nearest.

    Arguments:
        pixels: (H, W, 3), uint8 or uint16.
        alpha: (H, W, 1), of the same kind; its largest value hides the background.
        background: in 0 … 255.
        conversions: receives what is done.
        premultiplied: whether the pixels were already multiplied by alpha.
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
    """Gray of 16 bits, or of floating point in [0, 1], in 8 bits: scaled, not clipped."""
    floating = values.dtype.kind == "f"
    limit = 1 if floating else 65535
    check_range(values, limit, where)
    conversions.append("floating point to 8 bits" if floating else "16 bits to 8")
    return np.rint(values.astype(np.float64) * (255 / limit)).astype(np.uint8)


def check_range(values: NDArray[Any], limit: int, where: object, *, deep: bool = False) -> None:
    """Refuse values outside of 0 … limit, or that are no numbers.

    Arguments:
        values: of an image.
        limit: the largest that may be.
        where: what an error calls the image.
        deep: whether floating point is kept in its own units here, see `read_image`.
    """
    low, high = values.min(initial=0), values.max(initial=0)
    if low >= 0 and high <= limit:
        return
    if not (low > -np.inf and high < np.inf):
        remedy = "replace what is not a number and save it as float32 again"
    elif deep:
        remedy = "save it as float32, which is kept in its own units"
    else:
        remedy = "scale the values to 0 … 1 and save it as float32"
    kind = "signed values" if low < 0 and values.dtype.kind == "i" else "values"
    problem = f"{kind} {low:g} to {high:g}, wanted 0 to {limit}"
    raise UserError("E-CHK-12", where, problem, remedy, found=[float(low), float(high)], wanted=[0, limit])


def _in_srgb(image: pillow.Image, profile: bytes | None, conversions: list[str], notes: list[str]) -> Pixels:
    """An opaque color image in sRGB; its own profile is used where it has a readable one."""
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
    """A profile that says sRGB; the same on every day, which it would state."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + bytes.fromhex("07d0 0001 0001 0000 0000 0000") + made[36:]
