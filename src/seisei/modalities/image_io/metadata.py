"""Image metadata, to write results in the format of their input."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal

import PIL.Image as pillow

from seisei.modalities.image_io.color import CONVERTED, srgb_profile
from seisei.modalities.image_io.orientation import ORIENTATION

DESCRIPTION = 0x010E
PARTS = (0x8769, 0x8825)  # EXIF sub-directories: Exif and GPS
_WIDTH, _HEIGHT, _INTEROPERABILITY = 0xA002, 0xA003, 0xA005
# Tags that describe the image rather than the file's layout. Previews of the original image are dropped, and so is
# XMP, which repeats the orientation.
_KEPT_TAGS = {
    269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 18246, 18249, 33432, 33723,
    33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, *range(40091, 40096),
}  # fmt: skip
# Supported output formats and their file suffixes.
SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}
Packing = Literal["none", "lossless", "lossy"]
_BAD = "bad EXIF not kept"
_DROPPED_TEXT = ("XML:com.adobe.xmp", "Raw profile type")


@dataclass(frozen=True)
class Original:
    """The file format and metadata of an input image.

    Arguments:
        format: Pillow's format name.
        exif: EXIF data, without orientation, since pixels are rotated upright, and without a preview.
        profile: the color profile of the pixels as read, or None.
        dpi: horizontal and vertical dots per inch.
        suffix: file suffix.
        text: PNG text chunks, or the JPEG comment, by name.
        packing: compression: none, lossless or lossy.
    """

    format: str = "PNG"
    exif: bytes = b""
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    suffix: str = ".png"
    text: tuple[tuple[str, str], ...] = ()
    packing: Packing = "lossless"


def original_of(
    image: pillow.Image,
    file: BinaryIO | None,
    name: object,
    size: tuple[int, int],
    conversions: list[str],
    notes: list[str],
) -> Original:
    """The format and metadata of an image decoded by Pillow.

    Arguments:
        image: the decoded image.
        file: its open file.
        name: its file name, if any.
        size: height and width, upright.
        conversions: conversions applied to its pixels.
        notes: receives what cannot be kept.
    """
    if image.format == "TIFF" and file is not None:
        made = original_of_tiff(file, name, size, image.info.get("compression") != "raw", notes)
        return replace(made, profile=srgb_profile()) if CONVERTED in conversions else made
    form = {"MPO": "JPEG", None: "PNG"}.get(image.format, image.format) or ""
    try:
        exif = kept(image.getexif(), size)
    except Exception:  # Pillow raises many kinds of error here
        exif = b""
        notes.append(_BAD)
    return Original(
        format=form,
        exif=exif,
        profile=srgb_profile() if CONVERTED in conversions else image.info.get("icc_profile"),
        dpi=_resolution(*image.info.get("dpi", (None, None))),
        suffix=suffix_of(form, name),
        text=tuple(_texts(image)),
        packing=_packing(image, file),
    )


def original_of_tiff(
    file: BinaryIO, name: object, size: tuple[int, int], compressed: bool, notes: list[str]
) -> Original:
    """The format and metadata of a TIFF, read from its tags: Pillow drops some on rotation.

    Arguments:
        file: the open file.
        name: its name, if any.
        size: height and width, upright.
        compressed: whether its pixels are compressed.
        notes: receives what cannot be kept.
    """
    tags, profile, exif = pillow.Exif(), None, b""
    file.seek(0)
    head = file.read(16)
    order, tags.bigtiff = "<" if head[:2] == b"II" else ">", b"+" in head[:4]
    tags.endian = order
    (start,) = struct.unpack(f"{order}Q", head[8:]) if tags.bigtiff else struct.unpack(f"{order}I", head[4:8])
    try:
        tags.load_from_fp(file, start)
        profile = tags.get(34675)
        exif = kept(tags, size)
    except Exception:  # as above
        notes.append(_BAD)
    unit = {2: 1.0, 3: 2.54}.get(tags.get(296, 2), math.nan)
    dpi = _resolution(tags.get(282), tags.get(283), unit)
    packing: Packing = "lossless" if compressed else "none"
    return Original("TIFF", exif, profile, dpi, suffix_of("TIFF", name), packing=packing)


def suffix_of(form: str, name: object = "") -> str:
    """A format's file suffix: that of `name` if it matches the format, else the default.

    Example:
        >>> suffix_of("JPEG", "scans/A.JPEG"), suffix_of("JPEG", "a.png"), suffix_of("GIF")
        ('.JPEG', '.jpg', '.png')
    """
    known = SUFFIXES.get(form, SUFFIXES["PNG"])
    suffix = os.path.splitext(str(name))[1]
    return suffix if suffix.lower() in known else known[0]


def kept(exif: pillow.Exif, size: tuple[int, int], description: str | None = None) -> bytes:
    """The EXIF data that describe the image itself, as bytes; may be empty.

    Arguments:
        exif: EXIF data read from a file.
        size: height and width of the image, upright.
        description: replaces the existing one.
    """
    made = pillow.Exif()
    for tag in exif:
        if tag in _KEPT_TAGS:
            made[tag] = in_bytes(exif[tag])
    for part in PARTS:
        values = {tag: in_bytes(value) for tag, value in exif.get_ifd(part).items() if tag != _INTEROPERABILITY}
        values.update({tag: n for tag, n in zip((_HEIGHT, _WIDTH), size, strict=True) if tag in values})
        if values:
            made.get_ifd(part).update(values)
    if description is not None:
        made[DESCRIPTION] = description.encode()
    elif str(exif.get(DESCRIPTION, "")).startswith(("ImageJ=", "{", "<")):
        del made[DESCRIPTION]  # written by programs to describe the file's layout
    if not len(made) and not any(made.get_ifd(part) for part in PARTS):
        return b""
    made[ORIENTATION] = 1
    return made.tobytes()


def in_bytes(value: Any) -> Any:
    """A value to write unchanged: Pillow reads text as Latin-1, but writes only ASCII."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _resolution(across: Any, down: Any, unit: float = 1.0) -> tuple[float, float] | None:
    try:
        found = float(across) * unit, float(down) * unit
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return found if all(math.isfinite(v) and v > 0 for v in found) else None


def _texts(image: pillow.Image) -> list[tuple[str, str]]:
    if image.format == "PNG":
        found = dict(getattr(image, "text", {}))
        return [(key, str(value)) for key, value in found.items() if not key.startswith(_DROPPED_TEXT)]
    comment = image.info.get("comment", b"")
    words = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
    return [("Comment", words)] if words else []


def _packing(image: pillow.Image, file: BinaryIO | None) -> Packing:
    if image.format in ("JPEG", "MPO"):
        return "lossy"
    return "lossy" if image.format == "WEBP" and not _is_lossless_webp(file) else "lossless"


def _is_lossless_webp(file: BinaryIO | None) -> bool:
    """Whether the first chunk with pixels is lossless."""
    place = 12
    while file is not None:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[:4] in (b"VP8 ", b"VP8L"):
            return head[:4] == b"VP8L"
        place += 8 + (struct.unpack("<I", head[4:])[0] + 1) // 2 * 2
    return False
