"""Opening image files: headers, and checks before anything is decoded."""

from __future__ import annotations

import functools
import io
import os
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import PIL.Image as pillow
from PIL import UnidentifiedImageError

from seisei.errors import UserError
from seisei.paths import check_regular

MAX_PIXELS = 64_000_000
# An explicit list: Pillow also opens EPS, by running an interpreter, and rare formats are less well tested.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")

_guard = threading.Lock()
_inside = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def without_pillow_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings, which are checked here or harmless. Reference-counted: filters are process-wide."""
    global _inside, _filters
    with _guard:
        _inside += 1
        if _inside == 1:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|seisei\.modalities\.files")
    try:
        yield
    finally:
        with _guard:
            _inside -= 1
            if _inside == 0 and _filters is not None:
                _filters.__exit__(None, None, None)


@functools.cache
def _formats() -> tuple[str, ...]:
    pillow.init()
    return tuple(name for name in FORMATS if name in pillow.OPEN)


@contextmanager
def opened(raw: Any, where: object) -> Iterator[BinaryIO]:
    """Open a path or bytes as a file."""
    if isinstance(raw, (bytes, bytearray, memoryview)):
        yield io.BytesIO(raw)
        return
    if not isinstance(raw, (str, os.PathLike)):
        problem = f"is a {type(raw).__name__}, wanted a path, the bytes of a file, a PIL image or an array"
        raise UserError("E-*-14", where, problem, "give one of those")
    try:
        check_regular(raw, where)
        if not stat.S_ISREG(os.stat(raw).st_mode):
            raise UserError("E-CHK-05", where, "is not a file", "give an image file")
        file = open(raw, "rb")
    except PermissionError:
        mode = stat.S_IMODE(os.lstat(raw).st_mode)
        raise UserError("E-CHK-05", where, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except OSError as error:
        raise UserError("E-CHK-05", where, error.strerror or "cannot be read", "check the path") from None
    with file:
        yield file


def open_image(file: BinaryIO, where: object, max_pixels: int | None) -> pillow.Image:
    """The image with only its header read."""
    head = file.read(1024)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    _refuse_by_content(head, size, where)
    try:
        return pillow.open(file, formats=_formats())
    except pillow.DecompressionBombError as error:
        pixels = _declared(head)
        found = f"{pixels[1]}x{pixels[0]} pixels" if pixels else str(error)
        raise bomb(where, found, pixels, max_pixels) from None
    except UnidentifiedImageError:
        if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")):
            raise damaged(file, where, size, "header") from None
        problem = f"is not an image of a known format (it begins with {head[:8].hex(' ')})"
        raise UserError("E-CHK-08", where, problem, "replace it or remove it", wanted=list(FORMATS)) from None
    except Exception as error:
        raise damaged(file, where, size, str(error)) from None


def _refuse_by_content(head: bytes, size: int, where: object) -> None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if size == 0:
        raise UserError("E-CHK-07", where, "0 bytes", "re-copy or remove it", found=0)
    if start.startswith(b"version https://git-lfs"):
        raise UserError("E-CHK-08", where, "is a Git LFS pointer", "run git lfs pull")
    if start.startswith((b"<!doctype html", b"<html")):
        raise UserError("E-CHK-08", where, "is an HTML page", "download the image itself, or remove it")
    vector = {b"%!ps": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"%pdf": "PDF", b"<svg": "SVG"}
    kind = next((name for magic, name in vector.items() if start.startswith(magic) or head.startswith(magic)), None)
    if kind is None and start.startswith(b"<") and b"<svg" in start:
        kind = "SVG"
    if kind:
        raise UserError("E-CHK-13", where, f"is {kind}, which is a program and not an image", "export it as PNG")
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1"):
        raise UserError("E-CHK-04", where, "is HEIC, which is not supported", "convert it to PNG or JPEG")


def _declared(head: bytes) -> tuple[int, int] | None:
    """Height and width from a header that Pillow refuses."""
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
    elif head.startswith(b"GIF8") and len(head) >= 10:
        width, height = struct.unpack("<HH", head[6:10])
    elif head.startswith(b"BM") and len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
    else:
        return None
    return abs(height), width


def bomb(where: object, found: str, pixels: tuple[int, int] | None, max_pixels: int | None) -> UserError:
    """The error for an image that declares too many pixels."""
    cap = max_pixels or MAX_PIXELS
    total = f" = {pixels[0] * pixels[1] / 1e6:.0f} MP" if pixels else ""
    problem = f"declares {found}{total} > {cap / 1e6:g} MP"
    return UserError("E-CHK-09", where, problem, "raise --max-pixels only if you trust it", found=found, wanted=cap)


def damaged(file: BinaryIO, where: object, size: int, reason: str) -> UserError:
    """The error for a file that cannot be decoded, with its size if it is truncated."""
    wanted = _wanted_bytes(file, size)
    if wanted is not None and wanted > size:
        problem = f"ends after {size} of ~{wanted} bytes"
    elif "truncated" in reason.lower() or reason == "header" or not reason:
        problem = f"ends after {size} bytes, before the end of the image"
    else:
        problem = f"is damaged ({reason.strip()}; {size} bytes)"
    return UserError("E-CHK-06", where, problem, "re-copy it or remove it", found=size, wanted=wanted)


def _wanted_bytes(file: BinaryIO, size: int) -> int | None:
    """The file's declared size in bytes, if its format states it near the start."""
    try:
        file.seek(0)
        head = file.read(12)
        if head.startswith(b"BM"):
            return int(struct.unpack("<I", head[2:6])[0])
        if head.startswith(b"RIFF"):
            return int(struct.unpack("<I", head[4:8])[0]) + 8
        if not head.startswith(b"\x89PNG"):
            return None
        end = 8
        while end + 8 <= size:
            file.seek(end)
            length, name = struct.unpack(">I4s", file.read(8))
            end += 12 + length
            if name == b"IEND":
                return int(end)
        return int(end) + 12
    except (OSError, struct.error, ValueError):
        return None
