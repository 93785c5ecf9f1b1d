"""Pictures: both ways between a file or an array and a tensor. The only file that knows Pillow.

A picture is held as uint8 values 0 … levels - 1, shape (C, H, W), and a model sees them divided by levels - 1. What
Pillow would do without a word (clip 16 bits, ignore the camera's orientation) is done here explicitly, and recorded.
"""

from __future__ import annotations

import functools
import io
import os
import stat
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
import PIL.Image as pillow
import torch
from numpy.typing import NDArray
from PIL import ImageCms, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from seisei.errors import UserError
from seisei.spec import listed

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]
Fit = Literal["crop", "pad", "stretch"]

WHITE: Colour = (255, 255, 255)
MAX_PIXELS = 64_000_000
# Listed one by one: Pillow also opens EPS, by running an interpreter, and rare formats are seldom checked by anyone.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000")
_TURNS = {
    2: pillow.Transpose.FLIP_LEFT_RIGHT,
    3: pillow.Transpose.ROTATE_180,
    4: pillow.Transpose.FLIP_TOP_BOTTOM,
    5: pillow.Transpose.TRANSPOSE,
    6: pillow.Transpose.ROTATE_270,
    7: pillow.Transpose.TRANSVERSE,
    8: pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A picture that was read, and what was found and done.

    Arguments:
        pixels: 0 … 255, (H, W) or (H, W, 3).
        mode: Pillow's name of the mode in the file, such as ``RGBA`` or ``I;16``.
        size: height and width in the file, upright.
        bits: bits per value in the file.
        conversions: what was done to reach 8-bit grey or sRGB.
        notes: what was wrong and had no effect, such as unreadable EXIF.
    """

    pixels: Pixels
    mode: str
    size: tuple[int, int]
    bits: int = 8
    conversions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@listed
@dataclass(frozen=True)
class Image:
    """Pictures of one size.

    Arguments:
        height: in pixels.
        width: in pixels.
        channels: 1 for grey, 3 for colour; any number for arrays.
        levels: how many values a pixel takes: 256, or 2 for black and white.
        background: what shows through where a picture is transparent, and around it where it is padded.
        fit: how a picture of another size is made to fit; None refuses it.

    Example:
        >>> image = Image(2, 2, 1)
        >>> image.pack(np.array([[0, 51], [102, 255]], np.uint8)).tolist()
        [[[0, 51], [102, 255]]]
        >>> image.decode(torch.tensor([[[0.0, 0.2], [0.4, 7.0]]])).tolist()
        [[0, 51], [102, 255]]
    """

    height: int
    width: int
    channels: int = 3
    levels: int = 256
    background: tuple[int, int, int] = WHITE
    fit: Fit | None = None

    noun: ClassVar[str] = "picture"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def values(self) -> int:
        """How many numbers a picture holds."""
        return self.channels * self.height * self.width

    def pack(self, raw: Any) -> Tensor:
        """One picture in compact form: uint8 values 0 … levels - 1, (C, H, W).

        Arguments:
            raw: a path, the bytes of a file, a PIL picture or an array (H, W) or (H, W, C). Arrays of uint8 are
                0 … 255, of uint16 0 … 65535, of bool or floating point 0 … 1; where `levels` is 2, uint8 arrays of only
                0 and 1 are those.

        Raises:
            UserError: the picture cannot be read, or has another size and `fit` is None.
        """
        where = str(raw) if isinstance(raw, (str, os.PathLike)) else "picture"
        if isinstance(raw, np.ndarray) and raw.dtype == np.uint8 and self.levels == 2 and raw.max(initial=0) == 1:
            raw = raw.astype(bool)
        at_least = None if self.fit is None else (self.height, self.width)
        return self.pack_picture(read_picture(raw, where=where, background=self.background, at_least=at_least), where)

    def pack_picture(self, picture: Picture, where: object) -> Tensor:
        """The compact form of a picture that was already read; see `pack`."""
        if picture.size != (self.height, self.width) and self.fit is None:
            found, wanted = f"{picture.size[1]}x{picture.size[0]}", f"{self.width}x{self.height}"
            problem = f"is {found} pixels, wanted {wanted}"
            raise UserError("E-*-19", where, problem, "pass --resize crop|pad|stretch", found=found, wanted=wanted)
        pixels = resized(picture.pixels, self.height, self.width, self.fit or "stretch", background=self.background)
        pixels = with_channels(pixels, self.channels, where)
        if self.levels != 256:
            pixels = np.rint(pixels * ((self.levels - 1) / 255)).astype(np.uint8)
        # A copy: what Pillow or the user gave may be read-only, and is not to change with the tensor.
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    def unpack(self, stored: Tensor) -> Tensor:
        """Compact pictures, one or a batch, as float32 in [0, 1]."""
        return stored.to(torch.float32) / (self.levels - 1)

    def encode(self, raw: Any) -> Tensor:
        """One picture as a model sees it, float32 in [0, 1], (C, H, W)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> Pixels:
        """The picture of one model tensor (C, H, W): its nearest level, spread over 0 … 255 to be looked at.

        Returns:
            uint8, (H, W) where there is one channel, else (H, W, C).
        """
        level = (x.detach().to("cpu", torch.float32).clamp(0, 1) * (self.levels - 1)).round()
        pixels = (level * (255 / (self.levels - 1))).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return pixels[..., 0] if self.channels == 1 else pixels

    def observed(self, stored: Tensor) -> None:
        """All pixels are."""


def read_picture(
    raw: Any,
    *,
    where: object | None = None,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    background: Colour = WHITE,
    frames: Literal["first"] | None = None,
    at_least: tuple[int, int] | None = None,
) -> Picture:
    """A picture, wholly decoded, upright, 8-bit, grey or sRGB, without transparency.

    16-bit grey is scaled (65535 becomes 255), 16-bit colour arrives from Pillow as its high byte; both are recorded, as
    is every other conversion. Nothing is guessed where a file is damaged.

    Arguments:
        raw: a path, the bytes of a file, a PIL picture, or an array.
        where: what an error calls it.
        max_pixels: refuse pictures that declare more, before decoding them.
        min_size: refuse pictures with a shorter side.
        background: what shows through where the picture is transparent.
        frames: ``first`` takes the first picture of an animation or of several pages; None refuses them.
        at_least: a height and width that suffice: a large JPEG is then decoded at a fraction of its size, which is
            quicker.

    Raises:
        UserError: what is wrong with the file, and what to do about it.
    """
    if isinstance(raw, np.ndarray):
        return _from_array(raw, where or "array")
    with _without_pillow_warnings():
        if isinstance(raw, pillow.Image):
            return _checked_and_decoded(raw, where or "picture", max_pixels, min_size, background, frames, None, None)
        with _opened(raw, where or "picture") as (file, name):
            opened = _open(file, name, max_pixels)
            return _checked_and_decoded(opened, name, max_pixels, min_size, background, frames, at_least, file)


def measure(raw: Any, *, where: object | None = None) -> tuple[int, int]:
    """Height and width, upright, from the header alone.

    Raises:
        UserError: the header cannot be read.
    """
    if isinstance(raw, np.ndarray):
        return int(raw.shape[0]), int(raw.shape[1])
    with _without_pillow_warnings(), _opened(raw, where or "picture") as (file, name):
        picture = _open(file, name, None)
        # Only where the header already holds it: asking a PNG for EXIF decodes the whole picture.
        turned = "exif" in picture.info and picture.format != "TIFF" and _orientation(picture, []) >= 5
        return (picture.width, picture.height) if turned else (picture.height, picture.width)


def resized(
    pixels: Pixels,
    height: int,
    width: int,
    fit: Fit,
    *,
    background: Colour = WHITE,
    filter: Literal["lanczos", "box"] = "lanczos",
) -> Pixels:
    """The picture at another size, antialiased.

    Arguments:
        pixels: (H, W) or (H, W, C).
        height: wanted.
        width: wanted.
        fit: ``crop`` fills the frame and cuts what is outside, ``pad`` shows all and fills with the background,
            ``stretch`` does not keep the proportions.
        background: the colour around a padded picture.
        filter: ``lanczos`` is sharper, ``box`` makes no ripples.

    Example:
        >>> resized(np.array([[0, 0, 100, 100]], np.uint8), 1, 2, "stretch", filter="box").tolist()
        [[0, 100]]
    """
    old_height, old_width = pixels.shape[:2]
    if (old_height, old_width) == (height, width):
        return pixels
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        parts = [
            resized(pixels[..., c], height, width, fit, background=background, filter=filter)
            for c in range(pixels.shape[2])
        ]
        return np.stack(parts, axis=-1)
    if fit == "pad":
        scale = min(height / old_height, width / old_width)
        inner_height, inner_width = max(1, round(old_height * scale)), max(1, round(old_width * scale))
        inner = resized(pixels, inner_height, inner_width, "stretch", filter=filter)
        colour = np.array(background, np.uint8)
        framed = np.empty((height, width, *pixels.shape[2:]), np.uint8)
        framed[:] = colour if pixels.ndim == 3 else with_channels(colour[None, None], 1)[0, 0, 0]
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        framed[top : top + inner_height, left : left + inner_width] = inner
        return framed
    box = (0.0, 0.0, float(old_width), float(old_height))
    if fit == "crop":
        scale = max(height / old_height, width / old_width)
        left, top = (old_width - width / scale) / 2, (old_height - height / scale) / 2
        box = (
            max(left, 0.0),
            max(top, 0.0),
            min(left + width / scale, old_width),
            min(top + height / scale, old_height),
        )
    method = pillow.Resampling.LANCZOS if filter == "lanczos" else pillow.Resampling.BOX
    picture = pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), method, box=box))


def with_channels(pixels: Pixels, channels: int, where: object = "picture") -> Pixels:
    """The picture with this many channels, (H, W, C): grey repeated, or colour weighted as the eye does (ITU-R 601).

    Raises:
        UserError: neither grey nor colour is wanted and the number differs.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    found = pixels.shape[2]
    if found == channels:
        return pixels
    if found == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if found == 3 and channels == 1:
        red, green, blue = (pixels[..., c].astype(np.uint32) for c in range(3))
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[..., None]
    problem = f"has {found} channels, wanted {channels}"
    raise UserError("E-*-20", where, problem, f"give a picture with {channels} channels", found=found, wanted=channels)


def png_bytes(pixels: Pixels, metadata: dict[str, str] | None = None) -> bytes:
    """The picture, (H, W), (H, W, 3) or (H, W, 4), as a PNG file.

    Arguments:
        pixels: uint8.
        metadata: texts to keep inside; PNG wants their names in Latin letters.

    Example:
        >>> read_picture(png_bytes(np.array([[7]], np.uint8))).pixels.tolist()
        [[7]]
    """
    text = PngImagePlugin.PngInfo()
    for key, value in (metadata or {}).items():
        text.add_itxt(key, value)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def save_png(path: str | os.PathLike[str], pixels: Pixels, metadata: dict[str, str] | None = None) -> None:
    """Write a PNG with text inside it; the name appears when the file is whole."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        unfinished.write_bytes(png_bytes(pixels, metadata))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def grid(
    pictures: Tensor | Sequence[Pixels],
    columns: int | None = None,
    gap: int = 2,
    enlarge: int | None = None,
) -> Pixels:
    """Pictures of one size side by side on white, each pixel repeated so that small pictures can be seen.

    Arguments:
        pictures: arrays (H, W) or (H, W, C) of uint8, or a tensor (N, C, H, W) in [0, 1]; see `shown`.
        columns: how many in a row; about a square by default.
        gap: pixels between pictures.
        enlarge: how often each pixel is repeated; by default until the shorter side has 64.

    Example:
        >>> grid([np.zeros((1, 1), np.uint8)] * 2, columns=2, gap=1, enlarge=1).tolist()
        [[0, 255, 0]]
    """
    if isinstance(pictures, Tensor):
        scaled = (pictures.detach().to("cpu", torch.float32).clamp(0, 1) * 255).round().to(torch.uint8)
        pictures = list(scaled.permute(0, 2, 3, 1).numpy())
    pictures = [shown(p) for p in pictures]
    colour = any(p.ndim == 3 and p.shape[2] == 3 for p in pictures)
    arrays = [with_channels(p, 3 if colour else 1) for p in pictures]
    assert arrays, "no pictures"
    height, width = arrays[0].shape[:2]
    times = enlarge or max(1, -(-64 // min(height, width)))
    columns = columns or int(np.ceil(np.sqrt(len(arrays))))
    rows = -(-len(arrays) // columns)
    step_down, step_right = height * times + gap, width * times + gap
    sheet = np.full((rows * step_down - gap, columns * step_right - gap, arrays[0].shape[2]), 255, np.uint8)
    for i, array in enumerate(arrays):
        top, left = (i // columns) * step_down, (i % columns) * step_right
        sheet[top : top + height * times, left : left + width * times] = array.repeat(times, 0).repeat(times, 1)
    return sheet if colour else sheet[..., 0]


def shown(pixels: Pixels) -> Pixels:
    """What can be looked at of a picture of any channels: of more than three the first three, of two the first.

    Example:
        >>> shown(np.zeros((8, 6, 5), np.uint8)).shape, shown(np.zeros((8, 6, 2), np.uint8)).shape
        ((8, 6, 3), (8, 6, 1))
    """
    return pixels if pixels.ndim == 2 else pixels[..., : 3 if pixels.shape[2] > 2 else 1]


# ---- opening ----

_guard = threading.Lock()
_inside = 0
_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def _without_pillow_warnings() -> Iterator[None]:
    """What Pillow warns of is checked here, or harmless. Counted, since the filters belong to all threads at once."""
    global _inside, _filters
    with _guard:
        _inside += 1
        if _inside == 1:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|seisei\.modalities\.image")
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
def _opened(raw: Any, where: object) -> Iterator[tuple[BinaryIO, object]]:
    if isinstance(raw, (bytes, bytearray, memoryview)):
        yield io.BytesIO(raw), where
        return
    if not isinstance(raw, (str, os.PathLike)):
        problem = f"is a {type(raw).__name__}, wanted a path, the bytes of a file, a PIL picture or an array"
        raise UserError("E-*-14", where, problem, "give one of those")
    try:
        if not stat.S_ISREG(os.stat(raw).st_mode):
            raise UserError("E-CHK-05", where, "is not a file", "give a picture file")
        file = open(raw, "rb")
    except PermissionError:
        mode = stat.S_IMODE(os.lstat(raw).st_mode)
        raise UserError("E-CHK-05", where, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except OSError as error:
        raise UserError("E-CHK-05", where, error.strerror or "cannot be read", "check the path") from None
    with file:
        yield file, where


def _open(file: BinaryIO, where: object, max_pixels: int | None) -> pillow.Image:
    """The picture with its header read and nothing decoded."""
    head = file.read(1024)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    _refuse_by_content(head, size, where)
    try:
        return pillow.open(file, formats=_formats())
    except pillow.DecompressionBombError as error:
        pixels = _declared(head)
        found = f"{pixels[1]}x{pixels[0]} pixels" if pixels else str(error)
        raise _bomb(where, found, pixels, max_pixels) from None
    except UnidentifiedImageError:
        if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")):
            raise _damaged(file, where, size, "header") from None
        problem = f"is not a picture of a known format (it begins with {head[:8].hex(' ')})"
        raise UserError("E-CHK-08", where, problem, "replace it or remove it", wanted=list(FORMATS)) from None
    except Exception as error:
        raise _damaged(file, where, size, str(error)) from None


def _refuse_by_content(head: bytes, size: int, where: object) -> None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if size == 0:
        raise UserError("E-CHK-07", where, "0 bytes", "re-copy or remove it", found=0)
    if start.startswith(b"version https://git-lfs"):
        raise UserError("E-CHK-08", where, "is a Git LFS pointer", "run git lfs pull")
    if start.startswith((b"<!doctype html", b"<html")):
        raise UserError("E-CHK-08", where, "is an HTML page", "download the picture itself, or remove it")
    vector = {b"%!ps": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"%pdf": "PDF", b"<svg": "SVG"}
    kind = next((name for magic, name in vector.items() if start.startswith(magic) or head.startswith(magic)), None)
    if kind is None and start.startswith(b"<") and b"<svg" in start:
        kind = "SVG"
    if kind:
        raise UserError("E-CHK-13", where, f"is {kind}, which is a program and not a picture", "export it as PNG")
    if head[4:12] in (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1"):
        raise UserError("E-CHK-04", where, "is HEIC, which is not read", "convert it to PNG or JPEG")


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


def _bomb(where: object, found: str, pixels: tuple[int, int] | None, max_pixels: int | None) -> UserError:
    cap = max_pixels or MAX_PIXELS
    total = f" = {pixels[0] * pixels[1] / 1e6:.0f} MP" if pixels else ""
    problem = f"declares {found}{total} > {cap / 1e6:g} MP"
    return UserError("E-CHK-09", where, problem, "raise --max-pixels only if you trust it", found=found, wanted=cap)


def _damaged(file: BinaryIO, where: object, size: int, reason: str) -> UserError:
    wanted = _wanted_bytes(file, size)
    if wanted is not None and wanted > size:
        problem = f"ends after {size} of ~{wanted} bytes"
    elif "truncated" in reason.lower() or reason == "header" or not reason:
        problem = f"ends after {size} bytes, before the picture does"
    else:
        problem = f"is damaged ({reason.strip()}; {size} bytes)"
    return UserError("E-CHK-06", where, problem, "re-copy it or pass --skip-bad 1%", found=size, wanted=wanted)


def _wanted_bytes(file: BinaryIO, size: int) -> int | None:
    """How long the file says it is, where its format says so near the start."""
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


# ---- decoding ----


def _checked_and_decoded(
    picture: pillow.Image,
    where: object,
    max_pixels: int,
    min_size: int,
    background: Colour,
    frames: Literal["first"] | None,
    at_least: tuple[int, int] | None,
    file: BinaryIO | None,
) -> Picture:
    mode, conversions, notes = picture.mode, list[str](), list[str]()
    height, width = picture.height, picture.width
    if height * width > max_pixels:
        raise _bomb(where, f"{width}x{height} pixels", (height, width), max_pixels)
    if min(height, width) < min_size:
        found, wanted = f"{width}x{height}", f"{min_size}x{min_size}"
        problem = f"is {found} pixels, wanted at least {wanted}"
        raise UserError("E-CHK-10", where, problem, "lower --min-size or remove it", found=found, wanted=wanted)
    count = 1
    try:
        # The second picture of a camera's MPO file is a thumbnail or another view, not a frame.
        count = 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))
        if count == 1 or frames == "first":
            bits = 16 if mode.startswith("I") or _is_deep_png(picture, file) else {"1": 1, "F": 32}.get(mode, 8)
            if at_least is not None and picture.format == "JPEG":
                # Twice the size wanted, so that the antialiased reduction still decides what is kept.
                picture.draft(None, (2 * max(at_least), 2 * max(at_least)))
            picture.load()
    except (MemoryError, RecursionError):
        raise _bomb(where, f"{width}x{height} pixels", (height, width), max_pixels) from None
    except Exception as error:
        size = file.seek(0, os.SEEK_END) if file else 0
        raise _damaged(file or io.BytesIO(), where, size, str(error)) from None
    if count > 1 and frames is None:
        raise UserError("E-CHK-11", where, f"{count} frames", "pass --frames first or remove it", found=count, wanted=1)
    if count > 1:
        conversions.append("first frame taken")
    orientation = _orientation(picture, notes)
    pixels = _to_eight_bits(picture, where, background, bits, conversions, notes)
    if orientation in _TURNS:
        pixels = np.asarray(pillow.fromarray(pixels).transpose(_TURNS[orientation]))
        conversions.append("turned upright (EXIF)")
        height, width = (width, height) if orientation >= 5 else (height, width)
    return Picture(pixels, mode, (height, width), bits, tuple(conversions), tuple(notes))


def _is_deep_png(picture: pillow.Image, file: BinaryIO | None) -> bool:
    if picture.format != "PNG" or file is None:
        return False
    position = file.tell()
    file.seek(24)
    deep = file.read(1) == b"\x10"
    file.seek(position)
    return deep


def _orientation(picture: pillow.Image, notes: list[str]) -> int:
    try:
        exif = picture.getexif()
        value = exif.get(0x0112, 1)
        if value in range(1, 9) and (len(exif) or not picture.info.get("exif")):
            return int(value)
    except Exception:  # Pillow raises many kinds of error here, and none of them makes the pixels wrong.
        pass
    notes.append("bad EXIF ignored, not turned")
    return 1


def _to_eight_bits(
    picture: pillow.Image, where: object, background: Colour, bits: int, conversions: list[str], notes: list[str]
) -> Pixels:
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        return _from_deep(np.asarray(picture), where, conversions)
    if mode == "LAB":
        raise UserError("E-CHK-12", where, "mode LAB", "save it as 8-bit RGB", found=mode, wanted=["L", "RGB"])
    if bits == 16:
        conversions.append("16 bits to 8")
    profile, transparent = picture.info.get("icc_profile"), picture.has_transparency_data
    if mode == "P":
        conversions.append("palette expanded")
    elif mode == "CMYK":
        conversions.append("CMYK to RGB")
    elif mode in ("YCbCr", "HSV"):
        conversions.append(f"{mode} to RGB")
    if transparent:
        rgba = np.asarray((picture.convert("LA") if mode == "La" else picture).convert("RGBA"))
        alpha = rgba[..., 3:]
        pixels = _in_srgb(pillow.fromarray(np.ascontiguousarray(rgba[..., :3])), profile, conversions, notes)
        if (alpha < 255).any():
            # Exact integers: at most 255 * 255 + 127 fits in 16 bits.
            over = pixels * alpha.astype(np.uint16) + np.array(background, np.uint16) * (255 - alpha).astype(np.uint16)
            pixels = ((over + 127) // 255).astype(np.uint8)
            conversions.append(f"transparency over #{bytes(background).hex()}")
        grey = mode in ("1", "L", "LA", "La") and len(set(background)) == 1 and profile is None
        return np.ascontiguousarray(pixels[..., 0]) if grey else pixels
    if mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    return _in_srgb(picture, profile, conversions, notes)


def _from_deep(values: NDArray[Any], where: object, conversions: list[str]) -> Pixels:
    """Grey of 16 bits, or of floating point in [0, 1], in 8 bits: scaled, not clipped."""
    low, high = values.min(initial=0), values.max(initial=0)
    floating = values.dtype.kind == "f"
    limit = 1 if floating else 65535
    if not (low >= 0 and high <= limit):
        problem = f"values {low:g} to {high:g}, wanted 0 to {limit}"
        raise UserError(
            "E-CHK-12", where, problem, "save it as 8-bit or 16-bit", found=[float(low), float(high)], wanted=[0, limit]
        )
    conversions.append("floating point to 8 bits" if floating else "16 bits to 8")
    return np.rint(values.astype(np.float64) * (255 / limit)).astype(np.uint8)


def _in_srgb(picture: pillow.Image, profile: bytes | None, conversions: list[str], notes: list[str]) -> Pixels:
    """An opaque colour picture in sRGB; its own profile is used where it has a readable one."""
    if profile and picture.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).lower():
                changed = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                assert changed is not None
                conversions.append("colour profile to sRGB")
                return np.asarray(changed)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("bad colour profile ignored")
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _from_array(values: NDArray[Any], where: object) -> Picture:
    """A picture from an array (H, W) or (H, W, C); see `Image.pack`."""
    if values.ndim not in (2, 3) or 0 in values.shape:
        problem = f"has shape {values.shape}, wanted (H, W) or (H, W, C)"
        raise UserError("E-*-14", where, problem, "reshape it", found=list(values.shape))
    conversions: list[str] = []
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    mode = {2: "L", 3: "RGB"}[values.ndim]
    if values.dtype == np.uint8:
        pixels = values
    elif values.dtype == bool:
        pixels = values.astype(np.uint8) * np.uint8(255)
    elif values.dtype == np.uint16 or values.dtype.kind == "f":
        pixels = _from_deep(values, where, conversions)
    else:
        problem = f"holds {values.dtype}, wanted uint8, uint16, bool or floating point in [0, 1]"
        raise UserError(
            "E-*-14", where, problem, "convert it, for example with .astype('uint8')", found=str(values.dtype)
        )
    height, width = values.shape[:2]
    return Picture(pixels, mode, (height, width), values.dtype.itemsize * 8, tuple(conversions))
