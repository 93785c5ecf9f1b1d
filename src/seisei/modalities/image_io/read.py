"""Reading images from files, arrays or PIL images.

What Pillow would do silently (clip 16 bits, ignore EXIF orientation) is done here explicitly, and recorded.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray

from seisei.errors import UserError
from seisei.modalities.image_io.bit_depth import composed, kept_whole, numbers
from seisei.modalities.image_io.color import from_deep, to_eight_bits
from seisei.modalities.image_io.metadata import Original, original_of, original_of_tiff
from seisei.modalities.image_io.open import MAX_PIXELS, bomb, damaged, open_image, opened, without_pillow_warnings
from seisei.modalities.image_io.orientation import orientation_of, turned, upright
from seisei.modalities.image_io.tiff import Layout, layout_of, read_values
from seisei.modalities.pixels import WHITE, Color

_TURNED = "turned upright (EXIF)"
# For the pixel limit, an image of many channels counts once per four channels.
_CHANNELS_OF_A_PIXEL = 4


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, with information about its file.

    Arguments:
        pixels: 0 … 255, (H, W) or (H, W, 3); or as in the file if read deep, see `read_image`.
        mode: Pillow's mode of the file, such as ``RGBA`` or ``I;16``.
        size: height and width in the file, upright.
        bits: bits per value in the file.
        conversions: conversions applied to get 8-bit gray or sRGB.
        notes: harmless problems, such as unreadable EXIF.
        original: the file's format and metadata, if read deep.
    """

    pixels: NDArray[Any]
    mode: str
    size: tuple[int, int]
    bits: int = 8
    conversions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    original: Original | None = None


@dataclass(frozen=True)
class _Asked:
    """The arguments of `read_image`, and the file name, if any."""

    where: object
    name: object
    max_pixels: int
    min_size: int
    background: Color
    first_frame: bool
    at_least: tuple[int, int] | None
    deep: bool


def read_image(
    raw: Any,
    *,
    where: object | None = None,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    background: Color = WHITE,
    first_frame: bool = False,
    at_least: tuple[int, int] | None = None,
    deep: bool = False,
) -> DecodedImage:
    """Decode an image as upright, 8-bit, gray or sRGB, without transparency.

    16-bit gray is scaled (65535 becomes 255), 16-bit color is reduced to its high byte by Pillow; these and all other
    conversions are recorded. A damaged file is an error.

    A deep image keeps its file's bit depth: uint8 as above, uint16, or float32 in the file's own units, with 1 to 64
    channels for arrays and TIFFs. 16-bit images keep their color profile.

    Arguments:
        raw: a path, a file's bytes, a PIL image, or an array.
        where: the image's name in errors.
        max_pixels: refuse images that declare more, before decoding them.
        min_size: refuse images with a shorter side.
        background: color behind transparent pixels.
        first_frame: use the first frame of an animation or multi-page file, instead of refusing it.
        at_least: height and width that suffice: a large JPEG is decoded at a reduced size, which is faster.
        deep: keep the file's bit depth and channels.

    Raises:
        UserError: the file is faulty; with a remedy.

    Example:
        >>> read_image(np.array([[65535, 128]], np.uint16)).pixels.tolist()
        [[255, 0]]
        >>> read_image(np.array([[65535, 128]], np.uint16), deep=True).pixels.tolist()
        [[65535, 128]]
    """
    if isinstance(raw, np.ndarray):
        return _from_array(raw, where or "array", deep)
    name = where or (raw if isinstance(raw, (str, os.PathLike)) else "")
    asked = _Asked(where or "image", name, max_pixels, min_size, background, first_frame, at_least, deep)
    with without_pillow_warnings():
        if isinstance(raw, pillow.Image):
            return _checked_and_decoded(raw, asked, None)
        with opened(raw, asked.where) as file:
            layout = layout_of(file) if deep else None
            if layout is not None:
                return _from_tiff(file, layout, asked)
            return _checked_and_decoded(open_image(file, asked.where, max_pixels), asked, file)


def measure(raw: Any, *, where: object | None = None, deep: bool = False) -> tuple[int, int]:
    """Height and width, upright, from the header alone.

    Arguments:
        raw: as for `read_image`.
        where: the image's name in errors.
        deep: whether it will be read deep, which supports more TIFFs.

    Raises:
        UserError: the header cannot be read.
    """
    if isinstance(raw, np.ndarray):
        return int(raw.shape[0]), int(raw.shape[1])
    with without_pillow_warnings(), opened(raw, where or "image") as file:
        layout = layout_of(file) if deep else None
        if layout is not None:
            return upright((layout.height, layout.width), layout.orientation)
        image = open_image(file, where or "image", None)
        # Only if already in the header: reading a PNG's EXIF decodes the whole image.
        turned = "exif" in image.info and image.format != "TIFF"
        return upright((image.height, image.width), orientation_of(image, []) if turned else 1)


def is_bilevel(raw: Any, *, where: object | None = None) -> bool:
    """Whether a file is bilevel, with one bit per pixel, by its header.

    Raises:
        UserError: the header cannot be read.
    """
    if isinstance(raw, np.ndarray):
        return False
    with without_pillow_warnings(), opened(raw, where or "image") as file:
        return open_image(file, where or "image", None).mode == "1"


def _checked_and_decoded(image: pillow.Image, asked: _Asked, file: BinaryIO | None) -> DecodedImage:
    mode, conversions, notes = image.mode, list[str](), list[str]()
    height, width = image.height, image.width
    _check_size(height, width, asked)
    count, at_least = 1, asked.at_least
    try:
        # The second image of a camera's MPO file is a thumbnail or another view, not a frame.
        count = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
        if count == 1 or asked.first_frame:
            bits = 16 if mode.startswith("I") or _is_deep_png(image, file) else {"1": 1, "F": 32}.get(mode, 8)
            if at_least is not None and image.format == "JPEG":
                # Twice the target size, so that quality is determined by our antialiased resizing.
                image.draft(None, (2 * max(at_least), 2 * max(at_least)))
            image.load()
    except (MemoryError, RecursionError):
        raise bomb(asked.where, f"{width}x{height} pixels", (height, width), asked.max_pixels) from None
    except Exception as error:
        there = file.seek(0, os.SEEK_END) if file else 0
        raise damaged(file or io.BytesIO(), asked.where, there, str(error)) from None
    _check_frames(count, asked, conversions, pages=image.format == "TIFF")
    orientation = orientation_of(image, notes)
    pixels: NDArray[Any] | None = None
    if asked.deep:
        pixels = kept_whole(image, file, asked.where, asked.background, bits, conversions, notes)
    if pixels is None:
        pixels = to_eight_bits(image, asked.where, asked.background, bits, conversions, notes)
    size = upright((height, width), orientation)
    original = original_of(image, file, asked.name, size, conversions, notes) if asked.deep else None
    if orientation > 1:
        pixels = turned(pixels, orientation)
        conversions.append(_TURNED)
    return DecodedImage(pixels, mode, size, bits, tuple(conversions), tuple(notes), original)


def _from_tiff(file: BinaryIO, layout: Layout, asked: _Asked) -> DecodedImage:
    """Decode a TIFF that Pillow would reduce or refuse."""
    conversions, notes = list[str](), list[str]()
    _check_size(layout.height, layout.width, asked, layout.channels)
    _check_frames(layout.pages, asked, conversions, pages=True)
    try:
        values = read_values(file, layout, asked.where)
    except MemoryError:
        found = f"{layout.width}x{layout.height} pixels"
        raise bomb(asked.where, found, (layout.height, layout.width), asked.max_pixels) from None
    values = numbers(values, asked.where, conversions)
    if layout.photometric == 0 and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values  # WhiteIsZero
    values = composed(values, layout.premultiplied, asked.background, conversions)
    size = upright((layout.height, layout.width), layout.orientation)
    if layout.orientation in range(2, 9):
        values = turned(values, layout.orientation)
        conversions.append(_TURNED)
    original = original_of_tiff(file, asked.name, size, layout.compression != 1, notes)
    if original.profile and layout.photometric == 2:
        notes.append("color profile kept, not applied")
    bits = layout.kind.itemsize * 8
    return DecodedImage(values, _mode(values), size, bits, tuple(conversions), tuple(notes), original)


def _check_size(height: int, width: int, asked: _Asked, channels: int = 1) -> None:
    pages = -(-channels // _CHANNELS_OF_A_PIXEL)
    if height * width * pages > asked.max_pixels:
        found = f"{width}x{height} pixels" + (f" of {channels} channels" if pages > 1 else "")
        raise bomb(asked.where, found, (height * pages, width), asked.max_pixels)
    if min(height, width) < asked.min_size:
        found, wanted = f"{width}x{height}", f"{asked.min_size}x{asked.min_size}"
        problem = f"is {found} pixels, wanted at least {wanted}"
        raise UserError("E-CHK-10", asked.where, problem, "lower --min-size or remove it", found=found, wanted=wanted)


def _check_frames(count: int, asked: _Asked, conversions: list[str], *, pages: bool) -> None:
    if count > 1 and not asked.first_frame:
        what, each = ("pages", "save each page") if pages else ("frames", "save each frame")
        remedy = f"{each} as a file of its own or pass --first-frame"
        raise UserError("E-CHK-11", asked.where, f"{count} {what}, wanted 1", remedy, found=count, wanted=1)
    if count > 1:
        conversions.append("first frame taken")


def _is_deep_png(image: pillow.Image, file: BinaryIO | None) -> bool:
    if image.format != "PNG" or file is None:
        return False
    position = file.tell()
    file.seek(24)
    deep = file.read(1) == b"\x10"
    file.seek(position)
    return deep


def _mode(pixels: NDArray[Any]) -> str:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    depth = {"uint8": "", "uint16": ";16", "float32": ";32F"}[str(pixels.dtype)]
    gray = {"uint8": "L", "uint16": "I;16", "float32": "F"}[str(pixels.dtype)]
    return gray if channels == 1 else f"RGB{depth}" if channels == 3 else f"{channels} channels{depth}"


def _from_array(values: NDArray[Any], where: object, deep: bool) -> DecodedImage:
    """An image from an array (H, W) or (H, W, C); see `Image.pack`."""
    if values.ndim not in (2, 3) or 0 in values.shape:
        problem = f"has shape {values.shape}, wanted (H, W) or (H, W, C)"
        raise UserError("E-*-14", where, problem, "reshape it", found=list(values.shape))
    conversions: list[str] = []
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    mode = {2: "L", 3: "RGB"}[values.ndim]
    if values.dtype == bool:
        pixels = values.astype(np.uint8) * np.uint8(255)
    elif deep and (values.dtype in (np.uint8, np.uint16) or values.dtype.kind == "f"):
        pixels = numbers(values, where, conversions)
        mode = _mode(pixels)
    elif values.dtype == np.uint8:
        pixels = values
    elif values.dtype == np.uint16 or values.dtype.kind == "f":
        pixels = from_deep(values, where, conversions)
    else:
        wanted = "uint8, uint16, bool or floating point" + ("" if deep else " in [0, 1]")
        problem = f"holds {values.dtype}, wanted {wanted}"
        raise UserError(
            "E-*-14", where, problem, "convert it, for example with .astype('uint8')", found=str(values.dtype)
        )
    height, width = values.shape[:2]
    bits = values.dtype.itemsize * 8
    return DecodedImage(pixels, mode, (height, width), bits, tuple(conversions), original=Original() if deep else None)
