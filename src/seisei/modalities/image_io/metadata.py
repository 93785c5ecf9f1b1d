"""What a file says beside its pixels, for a result to be written in the same form."""

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
PARTS = (0x8769, 0x8825)  # directories within EXIF: of the camera, and of the place
_WIDTH, _HEIGHT, _INTEROPERABILITY = 0xA002, 0xA003, 0xA005
# What tells of the image rather than of how its file is laid out. Previews of the image that was are left out, and
# so is XMP, which repeats the orientation.
_TOLD = {
    269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 18246, 18249, 33432, 33723,
    33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, *range(40091, 40096),
}  # fmt: skip
# The formats that are written, and what their files' names end in.
SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
}
Packing = Literal["none", "lossless", "lossy"]
_BAD = "bad EXIF not kept"
_UNTOLD = ("XML:com.adobe.xmp", "Raw profile type")


@dataclass(frozen=True)
class Original:
    """The form in which an image was given.

    Arguments:
        format: Pillow's name.
        exif: EXIF, without orientation since pixels are turned upright, and without a preview.
        profile: the color profile that the pixels are in, as they were read; None where none was said.
        dpi: dots per inch, across and down.
        suffix: what its name ends in.
        text: what PNG says in words, and the comment of a JPEG, by name.
        packing: whether the pixels lay as they are, compressed without loss, or with loss.
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
    """The form of an image that Pillow decoded.

    Arguments:
        image: decoded.
        file: where it came from.
        name: of the file, where it has one.
        size: height and width, upright.
        conversions: what was done to its pixels.
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
    """The form of a TIFF, from its own words: Pillow forgets some when it turns the image.

    Arguments:
        file: open.
        name: of the file, where it has one.
        size: height and width, upright.
        compressed: whether its pixels are.
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
    """What the name of a file of a format ends in: as one that is given does, where that says this format.

    Example:
        >>> suffix_of("JPEG", "scans/A.JPEG"), suffix_of("JPEG", "a.png"), suffix_of("GIF")
        ('.JPEG', '.jpg', '.png')
    """
    known = SUFFIXES.get(form, SUFFIXES["PNG"])
    said = os.path.splitext(str(name))[1]
    return said if said.lower() in known else known[0]


def kept(exif: pillow.Exif, size: tuple[int, int], description: str | None = None) -> bytes:
    """What EXIF tells of the image itself, as bytes; empty where that is nothing.

    Arguments:
        exif: what was read.
        size: height and width of the image, upright.
        description: takes the place of the one there is.
    """
    made = pillow.Exif()
    for tag in exif:
        if tag in _TOLD:
            made[tag] = in_bytes(exif[tag])
    for part in PARTS:
        values = {tag: in_bytes(value) for tag, value in exif.get_ifd(part).items() if tag != _INTEROPERABILITY}
        values.update({tag: n for tag, n in zip((_HEIGHT, _WIDTH), size, strict=True) if tag in values})
        if values:
            made.get_ifd(part).update(values)
    if description is not None:
        made[DESCRIPTION] = description.encode()
    elif str(exif.get(DESCRIPTION, "")).startswith(("ImageJ=", "{", "<")):
        del made[DESCRIPTION]  # programs that lay out a file of their own in words
    if not len(made) and not any(made.get_ifd(part) for part in PARTS):
        return b""
    made[ORIENTATION] = 1
    return made.tobytes()


def in_bytes(value: Any) -> Any:
    """A value to be written as it was read: Pillow reads text as Latin letters, and writes only ASCII of it."""
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
        return [(key, str(value)) for key, value in found.items() if not key.startswith(_UNTOLD)]
    comment = image.info.get("comment", b"")
    words = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
    return [("Comment", words)] if words else []


def _packing(image: pillow.Image, file: BinaryIO | None) -> Packing:
    if image.format in ("JPEG", "MPO"):
        return "lossy"
    return "lossy" if image.format == "WEBP" and not _is_lossless_webp(file) else "lossless"


def _is_lossless_webp(file: BinaryIO | None) -> bool:
    """Whether the first chunk with pixels is of the kind without loss."""
    place = 12
    while file is not None:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[:4] in (b"VP8 ", b"VP8L"):
            return head[:4] == b"VP8L"
        place += 8 + (struct.unpack("<I", head[4:])[0] + 1) // 2 * 2
    return False
