"""Writing images: as PNG for display, or in the format of an input image."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray
from PIL import PngImagePlugin

from seisei.modalities.image_io.metadata import DESCRIPTION, SUFFIXES, Original, kept, suffix_of
from seisei.modalities.image_io.tiff_write import tiff_bytes
from seisei.modalities.pixels import Span, eight_bits

_COMMENT = 60_000  # bytes of a comment in a JPEG, which holds 65,533


class Encoded(NamedTuple):
    """An image as a file.

    Arguments:
        content: the file's bytes.
        suffix: its file suffix: the original's, unless the format had to change.
    """

    content: bytes
    suffix: str


def encoded(
    pixels: NDArray[Any], original: Original | None = None, metadata: Mapping[str, str] | None = None
) -> Encoded:
    """Encode an image in the format of another one, losslessly if that format is lossless.

    PNG supports 8 and 16 bits, JPEG, WebP and BMP 8; gray and color. Images that the format does not support, and
    formats that cannot be written, become PNG; floating point, and any other number of channels, TIFF.

    Arguments:
        pixels: uint8, uint16 or float32, (H, W) or (H, W, C), upright.
        original: the format; PNG by default.
        metadata: text to embed, with Latin-1 keys, if the format supports it.

    Example:
        >>> jpeg = Original("JPEG", suffix=".jpeg")
        >>> [encoded(np.zeros((4, 4), kind), jpeg).suffix for kind in (np.uint8, np.uint16, np.float32)]
        ['.jpeg', '.png', '.tif']
    """
    original = original or Original()
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    form = _format(pixels, original.format)
    text = {**dict(original.text), **(metadata or {})}
    profile = original.profile if _suits(original.profile, pixels) else None
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if original.dpi:
        options["dpi"] = original.dpi
    if original.exif and form != "TIFF":
        options["exif"] = original.exif
    if form == "PNG":
        content = _png(pixels, text, options)
    elif form == "TIFF":
        described = _described(original.exif, text, pixels)
        content = tiff_bytes(pixels, original.packing != "none", described, profile, original.dpi)
    else:
        content = _by_pillow(pixels, form, original, text, options)
    return Encoded(content, original.suffix if form == original.format else suffix_of(form))


def _format(pixels: NDArray[Any], asked: str) -> str:
    if pixels.dtype.kind == "f" or (pixels.ndim == 3 and pixels.shape[2] != 3):
        return "TIFF"
    held = ("PNG", "TIFF") if pixels.dtype == np.uint16 else tuple(SUFFIXES)
    return asked if asked in held else "PNG"


def _suits(profile: bytes | None, pixels: NDArray[Any]) -> bool:
    """Whether a profile applies to these pixels: a gray one does not apply to color."""
    return profile is not None and profile[16:20] == (b"GRAY" if pixels.ndim == 2 else b"RGB ")


def _by_pillow(
    pixels: NDArray[Any], form: str, original: Original, text: Mapping[str, str], options: dict[str, Any]
) -> bytes:
    if form == "JPEG":
        words = _lines(text).encode()[:_COMMENT]
        options |= {"quality": 95, "subsampling": 0, **({"comment": words} if words else {})}
    elif form == "WEBP":
        options |= {"lossless": original.packing != "lossy", "quality": 95}
        described = _described(original.exif, text, pixels)
        options |= {"exif": described} if described else {}
    file = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels)).save(file, form, **options)
    return file.getvalue()


def _described(exif: bytes, text: Mapping[str, str], pixels: NDArray[Any]) -> bytes:
    """EXIF data with these texts appended to its description."""
    if not text:
        return exif
    read = pillow.Exif()
    read.load(exif)
    old = str(read.get(DESCRIPTION, "")).encode("latin-1", "replace").decode("utf-8", "replace")
    words = "\n".join(filter(None, [old, _lines(text)]))
    return kept(read, pixels.shape[:2], words)


def _lines(text: Mapping[str, str]) -> str:
    return "\n".join(value if key == "Comment" else f"{key}: {value}" for key, value in text.items())


def png_bytes(pixels: NDArray[Any], metadata: Mapping[str, str] | None = None, span: Span | None = None) -> bytes:
    """The image, (H, W), (H, W, 3) or (H, W, 4), as an 8-bit PNG file for display.

    Arguments:
        pixels: an image of any bit depth.
        metadata: text to embed, with Latin-1 keys.
        span: values of black and white for floating point.

    Example:
        >>> from seisei.modalities.image_io.read import read_image
        >>> read_image(png_bytes(np.array([[7]], np.uint8))).pixels.tolist()
        [[7]]
    """
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return _png(eight_bits(pixels, span), metadata or {}, {})


def save_png(path: str | os.PathLike[str], pixels: NDArray[Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write a PNG with embedded text, atomically."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        unfinished.write_bytes(png_bytes(pixels, metadata))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _png(pixels: NDArray[Any], text: Mapping[str, str], options: dict[str, Any]) -> bytes:
    words = PngImagePlugin.PngInfo()
    for key, value in text.items():
        words.add_itxt(key, value)
    deep = pixels.dtype == np.uint16 and pixels.ndim == 3
    # Pillow cannot write 16-bit color: it writes the surrounding chunks only.
    shown = np.zeros((1, 1, 3), np.uint8) if deep else np.ascontiguousarray(pixels)
    file = io.BytesIO()
    pillow.fromarray(shown).save(file, "PNG", pnginfo=words, **options)
    return _with_deep_color(file.getvalue(), pixels) if deep else file.getvalue()


def _with_deep_color(png: bytes, pixels: NDArray[Any]) -> bytes:
    """A PNG with its pixels replaced and other chunks unchanged."""
    height, width = pixels.shape[:2]
    made, place = [png[:8]], 8
    while place < len(png):
        (length,), name = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        end = place + 12 + length
        if name == b"IHDR":
            made.append(_chunk(name, struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)))
        elif name == b"IDAT":
            made.append(_chunk(name, zlib.compress(_rows(pixels), 3)))
        else:
            made.append(png[place:end])
        place = end
    return b"".join(made)


def _rows(pixels: NDArray[Any]) -> bytes:
    """The bytes of every row with PNG's Sub filter: differences to the pixel on the left."""
    stored = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(len(pixels), -1)
    rows = np.empty((len(pixels), stored.shape[1] + 1), np.uint8)
    rows[:, 0] = 1
    rows[:, 1:] = stored
    rows[:, 7:] -= stored[:, :-6]
    return rows.tobytes()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
