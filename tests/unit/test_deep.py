"""Images of 16 bits, floating point and many channels, and results in the form of their input: exact answers."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import torch

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import (
    DecodedImage,
    Original,
    encoded,
    measure,
    png_bytes,
    read_image,
    resized,
)
from seisei.modalities.pixels import eight_bits, fractions, grid, shown, with_channels
from seisei.schema import Schema

EVERY = np.arange(65536, dtype=np.uint16).reshape(256, 256)
EVERY_COLOR = np.stack([EVERY, EVERY.T, EVERY[::-1]], axis=-1)
RGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
GRAY = RGB[:16] + b"GRAY" + RGB[20:]


def some(*shape: int, kind: str = "u2") -> np.ndarray:
    random = np.random.default_rng(0)
    if kind[0] == "f":
        return (random.normal(size=shape) * 1000).astype(kind)
    return random.integers(0, np.iinfo(kind).max + 1, shape).astype(kind)


def file_of(image: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def deep(raw: Any, **options: Any) -> DecodedImage:
    return read_image(raw, deep=True, **options)


def refused(code: str, words: str, raw: Any, **options: Any) -> None:
    with pytest.raises(UserError, match=words) as caught:
        deep(raw, where="x.tif", **options)
    assert caught.value.code == code
    assert str(caught.value).startswith("x.tif: ") and "\n" not in str(caught.value)


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.dtype == wanted.dtype and found.shape == wanted.shape and bool((found == wanted).all())


# ---- files made by hand, of which nothing here was written by the code that reads them ----


def png(pixels: np.ndarray, color: int, *, key: tuple[int, ...] = (), filters: tuple[int, ...] = (0,)) -> bytes:
    """A PNG of 16 bits, (H, W, C), whose rows are filtered in these ways in turn."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = pixels.shape
    step, rows, before = 2 * channels, b"", bytes(2 * channels * width)
    for y in range(height):
        row, kind, made = pixels[y].astype(">u2").tobytes(), filters[y % len(filters)], bytearray()
        for i, value in enumerate(row):
            left, above = row[i - step] if i >= step else 0, before[i]
            corner = before[i - step] if i >= step else 0
            nearest = min((left, above, corner), key=lambda v: abs(left + above - corner - v))
            made.append((value - (0, left, above, (left + above) // 2, nearest)[kind]) % 256)
        rows, before = rows + bytes([kind]) + bytes(made), row
    head = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + transparent + body + chunk(b"IEND", b"")


KINDS = {"u": 1, "i": 2, "f": 3}


def tiff(pixels: np.ndarray, *, order: str = "<", big: bool = False, pages: int = 1, **tags: Any) -> bytes:
    """A TIFF of one uncompressed strip; `tags` t259=… replace those that are found, None leaves one out."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    strips = tags.pop("strips", [pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()])
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    word, wide = ("Q", 8) if big else ("I", 4)
    head += struct.pack(f"{order}HHQ", 8, 0, 0) if big else bytes(4)
    places = np.cumsum([len(head), *map(len, strips)]).tolist()
    found: dict[int, Any] = {
        256: width, 257: height, 258: [8 * pixels.dtype.itemsize] * channels, 259: 1, 262: 2 if channels == 3 else 1,
        273: places[:-1], 277: channels, 278: height, 279: [len(s) for s in strips],
        339: [KINDS[pixels.dtype.kind]] * channels,
    }  # fmt: skip
    if channels not in (1, 3):
        found[338] = [0] * (channels - 1)
    found |= {int(name[1:]): value for name, value in tags.items()}
    entries = {
        tag: v if isinstance(v, (list, bytes, str)) else [v] for tag, v in sorted(found.items()) if v is not None
    }
    body = head + b"".join(strips)
    body += bytes(len(body) % 2)
    link = len(head) - wide
    for _ in range(pages):
        start = len(body)
        body = body[:link] + struct.pack(f"{order}{word}", start) + body[link + wide :]
        room = start + (8 if big else 2) + (12 + 8 * big) * len(entries) + wide
        directory, beyond = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries)), b""
        for tag, values in entries.items():
            if isinstance(values, (str, bytes)):
                kind, data = (2, values.encode() + b"\0") if isinstance(values, str) else (7, values)
                count = len(data)
            elif tag in (282, 283, 306):
                kind, data, count = 5, struct.pack(f"{order}II", values[0], 1), 1
            else:
                kind, data, count = 4, struct.pack(f"{order}{len(values)}I", *values), len(values)
            if len(data) > wide:
                data, beyond = struct.pack(f"{order}{word}", room + len(beyond)), beyond + data + bytes(len(data) % 2)
            directory += struct.pack(f"{order}HH{word}", tag, kind, count) + data.ljust(wide, b"\0")
        link = len(body) + len(directory)
        body += directory + bytes(wide) + beyond
    return body


# ---- every value comes through ----


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_gray_of_pillow_keeps_all_65536_values(kind: str) -> None:
    image = deep(file_of(PIL.Image.fromarray(EVERY), kind))
    assert same(image.pixels, EVERY) and image.bits == 16 and image.conversions == ()


@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (4, 3, 2, 1, 0)])
def test_color_png_keeps_both_bytes_whatever_the_filter(filters: tuple[int, ...]) -> None:
    pixels = EVERY_COLOR[::8, ::4]
    image = deep(png(pixels, 2, filters=filters))
    assert same(image.pixels, pixels) and (image.mode, image.bits) == ("RGB", 16)
    # Not asked for deep it is as before.
    assert (read_image(png(pixels, 2)).pixels == pixels >> 8).all()
    assert read_image(png(pixels, 2)).original is None


@pytest.mark.parametrize(
    ("pixels", "form"),
    [
        (EVERY, "PNG"),
        (EVERY_COLOR, "PNG"),
        (EVERY, "TIFF"),
        (EVERY_COLOR, "TIFF"),
        (some(40, 30, kind="f4"), "TIFF"),
        (some(40, 30, 5, kind="f4"), "TIFF"),
        (some(40, 30, 3, kind="f4"), "TIFF"),
        (some(40, 30, 2, kind="u1"), "TIFF"),
        (some(40, 30, 64, kind="u2"), "TIFF"),
        (some(40, 30, 3, kind="u1"), "BMP"),
        (some(40, 30, 3, kind="u1"), "WEBP"),
        (some(40, 30, kind="u1"), "PNG"),
    ],
)
@pytest.mark.parametrize("packing", ["none", "lossless"])
def test_what_is_written_is_read_again_to_the_bit(pixels: np.ndarray, form: str, packing: Any) -> None:
    made = encoded(pixels, Original(form, packing=packing))
    image = deep(made.content)
    assert same(image.pixels, pixels) and image.conversions == ()
    assert image.original is not None and image.original.format == form
    if form == "TIFF":
        assert image.original.packing == packing
        assert len(made.content) >= pixels.nbytes or packing == "lossless"
    assert same(deep(encoded(image.pixels, image.original).content).pixels, pixels)


@pytest.mark.parametrize(("order", "big"), [("<", False), ("<", True), (">", False)])
@pytest.mark.parametrize(
    ("kind", "channels"), [("u2", 3), ("u2", 2), ("f4", 1), ("f4", 5), ("f2", 1), ("f8", 3), ("u1", 5)]
)
def test_tiffs_of_other_hands(order: str, big: bool, kind: str, channels: int) -> None:
    pixels = some(7, 9, channels, kind=kind)
    image = deep(tiff(pixels, order=order, big=big))
    wanted = pixels.astype({"f2": "f4", "f8": "f4"}.get(kind, kind))
    assert same(image.pixels, wanted[..., 0] if channels == 1 else wanted)
    assert image.bits == 8 * pixels.dtype.itemsize and image.size == (7, 9)
    assert image.conversions == (("64-bit floating point to 32",) if kind == "f8" else ())
    names = {1: "F", 2: "2 channels;16", 3: "RGB;16" if kind == "u2" else "RGB;32F"}
    assert image.mode == names.get(channels, "5 channels" + (";32F" if kind == "f4" else ""))


@pytest.mark.parametrize("kind", ["u4", "i4", "i2"])
def test_wider_whole_numbers_are_kept_where_they_fit(kind: str) -> None:
    values = np.arange(12).reshape(3, 4).astype(kind) * 2000
    assert same(deep(tiff(values)).pixels, values.astype(np.uint16))
    values[0, 0] = -1 if kind[0] == "i" else 70000
    refused("E-CHK-12", "values .*, wanted 0 to 65535; save it as", tiff(values))


def strips(pixels: np.ndarray, rows: int) -> list[bytes]:
    return [pixels[i : i + rows].tobytes() for i in range(0, len(pixels), rows)]


def test_strips_planes_and_tiles_are_put_together() -> None:
    pixels = some(11, 20, 3)
    assert same(deep(tiff(pixels, strips=strips(pixels, 4), t278=4)).pixels, pixels)
    planes = [s for c in range(3) for s in strips(np.ascontiguousarray(pixels[..., c]), 4)]
    assert same(deep(tiff(pixels, strips=planes, t278=4, t284=2)).pixels, pixels)
    padded = np.zeros((16, 32, 3), np.uint16)
    padded[:11, :20] = pixels
    tiles = [np.ascontiguousarray(padded[:, i : i + 16]).tobytes() for i in (0, 16)]
    made = tiff(pixels, strips=tiles, t273=None, t279=None, t322=16, t323=16, t324=[8, 8 + 1536], t325=[1536, 1536])
    assert same(deep(made).pixels, pixels)
    # As many rows a strip as there are is what a file says that names none.
    assert same(deep(tiff(pixels, t278=None)).pixels, pixels)


def test_compressed_strips_and_predictors_are_undone() -> None:
    pixels, floats = some(6, 8, 3), some(6, 8, 3, kind="f4")
    left = np.concatenate([pixels[:, :1], pixels[:, 1:] - pixels[:, :-1]], 1)
    for number in (8, 32946):
        assert same(deep(tiff(pixels, strips=[zlib.compress(left.tobytes())], t259=number, t317=2)).pixels, pixels)
    apart = floats.astype(">f4").view(np.uint8).reshape(6, 24, 4).swapaxes(1, 2).reshape(6, 32, 3)
    moved = np.concatenate([apart[:, :1], apart[:, 1:] - apart[:, :-1]], 1).tobytes()
    assert same(deep(tiff(floats, strips=[zlib.compress(moved)], t259=8, t317=3)).pixels, floats)
    whole = floats.view("<u4")
    left = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], 1)
    assert same(deep(tiff(floats, strips=[left.tobytes()], t317=2)).pixels, floats)


def test_white_is_zero_where_a_tiff_says_so() -> None:
    pixels = some(4, 5)
    assert same(deep(tiff(pixels, t262=0)).pixels, 65535 - pixels)
    floats = some(4, 5, kind="f4")
    assert same(deep(tiff(floats, t262=0)).pixels, floats)


def test_what_has_eight_bits_is_read_as_ever() -> None:
    pixels = some(5, 6, 3, kind="u1")
    for content in (file_of(PIL.Image.fromarray(pixels), kind) for kind in ("PNG", "TIFF", "BMP", "JPEG")):
        assert same(deep(content).pixels, read_image(content).pixels)
    rgba = some(5, 6, 4, kind="u1")
    for content in (file_of(PIL.Image.fromarray(rgba)), file_of(PIL.Image.fromarray(rgba), "TIFF")):
        assert same(deep(content).pixels, read_image(content).pixels)
    palette = file_of(PIL.Image.fromarray(pixels).quantize(7))
    assert same(deep(palette).pixels, read_image(palette).pixels)
    # A fourth channel that is no transparency is kept; Pillow drops it.
    assert same(deep(tiff(rgba, t262=2, t338=0)).pixels, rgba)
    assert read_image(tiff(rgba, t262=2, t338=0)).pixels.shape == (5, 6, 3)


def test_pillows_own_images() -> None:
    assert same(deep(PIL.Image.fromarray(EVERY)).pixels, EVERY)
    assert same(deep(PIL.Image.fromarray(EVERY.astype(np.int32))).pixels, EVERY)
    assert same(deep(PIL.Image.fromarray(some(3, 4, kind="f4"))).pixels, some(3, 4, kind="f4"))
    assert same(deep(PIL.Image.fromarray(some(3, 4, 3, kind="u1"))).pixels, some(3, 4, 3, kind="u1"))
    assert deep(PIL.Image.fromarray(EVERY)).original == Original()


# ---- transparency ----


def behind(pixels: np.ndarray, alpha: np.ndarray, background: tuple[int, ...]) -> np.ndarray:
    total = pixels.astype(float) * alpha + np.array(background) * 257.0 * (65535 - alpha)
    return np.rint(total / 65535).astype(np.uint16)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 128, 7)])
def test_transparency_of_16_bits_shows_the_background_exactly(background: Any) -> None:
    rgba, la = some(9, 8, 4), some(9, 8, 2)
    words = (f"transparency over #{bytes(background).hex()}",)
    for content in (png(rgba, 6), tiff(rgba, t262=2, t338=2), tiff(rgba, t262=2, t338=None)):
        image = deep(content, background=background)
        assert same(image.pixels, behind(rgba[..., :3], rgba[..., 3:], background)) and image.conversions == words
    for content in (png(la, 4), tiff(la, t338=2)):
        wanted = behind(la[..., :1], la[..., 1:], background)
        image = deep(content, background=background)
        assert same(image.pixels, wanted[..., 0] if background == (255,) * 3 else wanted)


def test_premultiplied_transparency_and_opaque_images() -> None:
    rgba = np.array([[[100, 200, 300, 1000], [0, 0, 0, 0], [65535, 0, 9, 65535]]], np.uint16)
    made = deep(tiff(rgba, t262=2, t338=1), background=(255, 0, 0)).pixels
    assert made.tolist() == [[[64635, 200, 300], [65535, 0, 0], [65535, 0, 9]]]
    # More than opaque, as some programs round, is white.
    over = np.array([[[65535, 0, 0, 60000]]], np.uint16)
    assert deep(tiff(over, t262=2, t338=1)).pixels.tolist() == [[[65535, 5535, 5535]]]
    rgba[..., 3] = 65535
    assert deep(tiff(rgba, t262=2, t338=2)).conversions == ()


def test_a_color_that_stands_for_nothing() -> None:
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    assert deep(png(pixels, 2, key=(1, 2, 3)), background=(9, 9, 9)).pixels.tolist() == [[[2313] * 3, [1, 2, 4]]]
    gray = np.array([[[256], [257]]], np.uint16)
    assert deep(png(gray, 0, key=(257,))).pixels.tolist() == [[256, 65535]]


def test_floating_point_keeps_its_fourth_channel() -> None:
    pixels = some(4, 5, 4, kind="f4")
    assert same(deep(tiff(pixels, t262=2, t338=2)).pixels, pixels)


# ---- which way up, how many ----

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_written_as_one(orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    pixels = some(4, 6, 3)
    size = (6, 4) if orientation >= 5 else (4, 6)
    for content in (tiff(pixels, t274=orientation), encoded(pixels, Original(exif=exif.tobytes())).content):
        image = deep(content)
        assert same(image.pixels, np.ascontiguousarray(TURNED[orientation](pixels))) and image.size == size
        assert image.conversions == (("turned upright (EXIF)",) if orientation > 1 else ())
        assert measure(content, deep=True) == size
        assert image.original is not None
        again = deep(encoded(image.pixels, image.original).content)
        assert same(again.pixels, image.pixels) and again.conversions == ()


def test_an_orientation_that_does_not_exist_turns_nothing() -> None:
    image = deep(tiff(some(4, 6, 3), t274=9))
    assert same(image.pixels, some(4, 6, 3)) and measure(tiff(some(4, 6, 3), t274=9), deep=True) == (4, 6)


def test_only_the_first_of_several_pages_where_asked() -> None:
    pixels = some(4, 6, 3)
    refused("E-CHK-11", "3 pages, wanted 1; .* or pass --first-frame", tiff(pixels, pages=3))
    image = deep(tiff(pixels, pages=3), first_frame=True)
    assert same(image.pixels, pixels) and image.conversions == ("first frame taken",)
    ring = bytearray(tiff(pixels, pages=2))
    first = struct.unpack("<I", ring[4:8])[0]
    last = first + 2 + 12 * struct.unpack("<H", ring[first : first + 2])[0]
    second = struct.unpack("<I", ring[last : last + 4])[0]
    end = second + 2 + 12 * struct.unpack("<H", ring[second : second + 2])[0]
    ring[end : end + 4] = struct.pack("<I", second)
    refused("E-CHK-11", "pages", bytes(ring))


# ---- what is refused ----


def test_damage_is_told_with_code_and_one_line() -> None:
    pixels = some(40, 50, 3)
    refused("E-CHK-06", "ends after 3000 ", tiff(pixels)[:3000])
    whole = encoded(pixels, Original("TIFF", packing="none")).content  # its directory lies before its pixels
    refused("E-CHK-06", f"ends after 3000 of ~{len(whole)} bytes; re-copy it", whole[:3000])
    packed = zlib.compress(pixels.tobytes())
    refused("E-CHK-06", "is damaged", tiff(pixels, strips=[packed[:-999]], t259=8))
    refused("E-CHK-06", "is damaged", tiff(pixels, strips=[bytes(len(packed))], t259=8))
    refused("E-CHK-06", "declares 12000 bytes of pixels and has 12000 in 1 of 4 pieces", tiff(pixels, t278=10))
    content = png(pixels[:4], 2)
    refused("E-CHK-06", "ends after", content[:-200])
    refused("E-CHK-06", "ends after", tiff(pixels)[:40])


def test_a_declaration_that_the_file_cannot_hold_is_refused_before_it_is_believed() -> None:
    pixels = some(4, 4, 3)
    refused(
        "E-CHK-06", "declares 96000000 bytes of pixels and has 96 in", tiff(pixels, t256=4000, t257=4000, t278=4000)
    )
    small = zlib.compress(bytes(1000))
    options = {"t256": 4000, "t257": 4000, "t278": 4000, "t259": 8}
    refused("E-CHK-06", "declares 96000000 bytes", tiff(pixels, strips=[small], **options))
    refused("E-CHK-09", "declares 100000x100000 pixels = 10000 MP > 64 MP", tiff(pixels, t256=100000, t257=100000))
    refused("E-CHK-09", "50x40 pixels = 0 MP", tiff(some(40, 50, 3)), max_pixels=1999)
    refused("E-CHK-09", "50x40 pixels of 9 channels", tiff(some(40, 50, 9)), max_pixels=5999)
    assert deep(tiff(some(40, 50, 9)), max_pixels=6000).pixels.shape == (40, 50, 9)
    refused("E-CHK-10", "is 50x40 pixels, wanted at least 41x41", tiff(some(40, 50, 9)), min_size=41)


def test_too_little_memory_is_told_as_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("seisei.modalities.image_io.tiff.TiffImageFile", none)
    refused("E-CHK-09", "50x40 pixels", tiff(some(40, 50, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    pixels = np.zeros((4, 5), np.float32)
    pixels[1, 2] = bad
    for raw in (tiff(pixels), file_of(PIL.Image.fromarray(pixels), "TIFF"), pixels):
        refused("E-CHK-12", "holds 1 values that are not finite 32-bit numbers", raw)
    refused("E-CHK-12", "holds 20 values", np.full((4, 5), 1e300))


def test_other_compressions_and_predictors_are_refused() -> None:
    refused(
        "E-CHK-12", "TIFF compression 7.; save it uncompressed, or with LZW or Deflate", tiff(some(4, 4, 3), t259=7)
    )
    refused("E-CHK-12", "TIFF predictor 9", tiff(some(4, 4, 3), t317=9))
    refused("E-CHK-12", "TIFF predictor 3", tiff(some(4, 4, 3), t317=3))


def test_more_than_64_channels_are_refused() -> None:
    refused("E-CHK-12", "has 65 channels, wanted 1 to 64", tiff(some(4, 4, 65)))
    refused("E-CHK-12", "has 65 channels, wanted 1 to 64", some(4, 4, 65))


def test_what_else_a_tiff_may_be_is_left_to_pillow() -> None:
    cmyk = file_of(PIL.Image.fromarray(some(4, 5, 4, kind="u1"), "CMYK"), "TIFF")
    assert deep(cmyk).conversions == ("CMYK to RGB",)
    refused("E-CHK-06", "ends after", tiff(some(4, 4, 3), t266=2))  # bits the other way around
    refused("E-CHK-06", "ends after", tiff(some(4, 4, 3), t258=[16, 8, 16]))
    refused("E-CHK-06", "ends after", tiff(some(4, 4, 3), t256=None))
    refused("E-CHK-07", "0 bytes", b"")


# ---- arrays ----


def test_arrays_stay_as_deep_as_they_are() -> None:
    for pixels in (EVERY, EVERY_COLOR, some(3, 4, kind="f4"), some(3, 4, 7, kind="f4"), some(3, 4, 2, kind="u1")):
        image = deep(pixels)
        assert same(image.pixels, pixels) and image.conversions == () and image.original == Original()
    assert same(deep(some(3, 4, 1)).pixels, some(3, 4, 1)[..., 0])
    assert deep(np.array([[1.0]])).conversions == ("64-bit floating point to 32",)
    assert deep(np.array([[True, False]])).pixels.tolist() == [[255, 0]]
    with pytest.raises(UserError, match="holds int64, wanted uint8, uint16, bool or floating point; convert"):
        deep(np.zeros((2, 2), np.int64))


# ---- the modality ----


def test_decode_undoes_encode_for_all_65536_values() -> None:
    for pixels in (EVERY, EVERY_COLOR):
        channels = 1 if pixels.ndim == 2 else 3
        image = Image(256, 256, channels, 65536)
        stored = image.pack(pixels)
        assert stored.dtype == torch.uint16 == image.dtype and stored.shape == image.shape
        seen = image.unpack(stored)
        assert seen.dtype == torch.float32 and float(seen.min()) == 0 and float(seen.max()) == 1
        assert same(image.decode(seen), pixels)
        assert same(image.decode(image.encode(encoded(pixels).content)), pixels)
    assert Image(1, 1, 1).dtype == torch.uint8
    outside = torch.tensor([[[-0.5, 1.5]]], requires_grad=True)
    assert Image(1, 2, 1, 65536).decode(outside).tolist() == [[0, 65535]]


def test_levels_between_8_and_16_bits_are_spread_and_found_again() -> None:
    image = Image(1, 4096, 1, 4096)
    stored = torch.arange(4096, dtype=torch.int32).to(torch.uint16)[None, None]
    made = image.decode(image.unpack(stored))
    assert made.dtype == np.uint16 and made.tolist() == [[round(k * 65535 / 4095) for k in range(4096)]]
    assert torch.equal(image.pack(made), stored)


def test_images_of_another_depth_are_scaled() -> None:
    bytes_ = np.arange(256, dtype=np.uint8)[None]
    wide, narrow = Image(1, 256, 1, 65536), Image(256, 256, 1)
    assert wide.pack(bytes_)[0].tolist() == (bytes_.astype(int) * 257).tolist()
    assert narrow.pack(EVERY)[0].tolist() == np.rint(EVERY / 257).tolist()
    assert torch.equal(narrow.pack_image(deep(EVERY), "x"), narrow.pack(EVERY))
    assert wide.pack(np.array([[0, 1]] * 128, bool).reshape(1, 256))[0, 0, :2].tolist() == [0, 65535]
    assert Image(1, 3, 1, 65536).pack(np.array([[0.0, 0.5, 1.0]])).tolist() == [[[0, 32768, 65535]]]
    assert Image(1, 3, 1).pack_image(deep(np.array([[0.0, 0.5, 1.0]])), "x").tolist() == [[[0, 128, 255]]]
    assert Image(1, 2, 1, 2).pack_image(deep(np.array([[9, 65535]], np.uint16)), "x").tolist() == [[[0, 1]]]
    with pytest.raises(UserError, match="x: values 0 to 1.5, wanted 0 to 1") as caught:
        Image(1, 2, 1, 65536).pack_image(deep(np.array([[0.0, 1.5]])), "x")
    assert caught.value.code == "E-CHK-12"
    span = Image(1, 2, 1, 0, span=(-100.0, 155.0))
    assert span.pack(np.array([[0, 255]], np.uint8)).tolist() == [[[-100.0, 155.0]]]
    assert span.pack(np.array([[0, 65535]], np.uint16)).tolist() == [[[-100.0, 155.0]]]


def test_floating_point_keeps_its_own_units() -> None:
    image = Image(20, 30, 5, 0, span=(-1000.0, 1000.0))
    pixels = some(20, 30, 5, kind="f4")
    stored = image.pack(pixels)
    assert stored.dtype == torch.float32 == image.dtype
    assert same(stored.permute(1, 2, 0).numpy(), pixels)
    seen = image.unpack(stored)
    assert torch.allclose(seen, (stored + 1000) / 2000) and float(seen.max()) > 1  # not clamped
    assert seen.dtype == torch.float32
    made = image.decode(seen)
    assert made.dtype == np.float32 and np.abs(made - pixels).max() < 5e-4
    assert same(image.pack(encoded(pixels).content).numpy(), stored.numpy())
    halves = Image(1, 2, 1, 0, span=(0.0, 4.0))
    assert halves.decode(halves.encode(np.array([[-2.0, 5.0]]))).tolist() == [[-2.0, 5.0]]
    assert halves.decode(torch.tensor([[[0.5, 2.0]]], requires_grad=True)).tolist() == [[2.0, 8.0]]


@pytest.mark.parametrize(
    "image", [Image(4, 6, 1, 65536), Image(4, 6, 5, 0, (1, 2, 3), "pad", (-1.5, 2.0)), Image(4, 6)]
)
def test_depth_travels_as_json(image: Image) -> None:
    import json

    data = json.loads(json.dumps(Schema(image).to_json()))
    assert Schema.from_json(data).x == image
    old = {name: value for name, value in data["x"].items() if name != "span"}
    if image.span is None:
        assert Schema.from_json({"x": old, "y": None}).x == image


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": 1},
        {"levels": 65537},
        {"levels": 256, "span": [0, 1]},
        {"levels": 0, "span": None},
        {"levels": 0, "span": [1.0, 1.0]},
        {"levels": 0, "span": [0.0]},
        {"levels": 0, "span": [0.0, float("inf")]},
    ],
)
def test_a_depth_that_does_not_exist_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="schema.json") as caught:
        Schema.from_json({"x": {"modality": "Image", "height": 4, "width": 4, **wrong}, "y": None})
    assert caught.value.code == "E-*-07"


# ---- arrays of any depth: sizes, channels, looks ----


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("kind", ["u2", "f4"])
@pytest.mark.parametrize("channels", [0, 1, 3, 5])
def test_deep_images_are_resized_as_deep_as_they_were(fit: Any, kind: str, channels: int) -> None:
    shape = (20, 30, channels) if channels else (20, 30)
    small = 60 + some(*shape, kind="u1") % 120
    wanted = resized(small, 9, 9, fit, background=(10, 10, 10))
    scaled = small.astype(kind) * (257 if kind == "u2" else 1)
    made = resized(scaled, 9, 9, fit, background=(10, 10, 10), span=(0.0, 255.0))
    assert made.dtype == np.dtype(kind) and made.shape == wanted.shape
    # Eight bits are rounded after either direction, so these need not be equal.
    assert np.abs(made / (257 if kind == "u2" else 1) - wanted).max() <= 1.5


def test_a_constant_stays_itself_and_padding_is_in_its_units() -> None:
    for value in (0, 12345, 65535):
        flat = np.full((7, 11), value, np.uint16)
        assert (resized(flat, 5, 4, "stretch") == value).all()
        assert (resized(flat, 30, 4, "crop") == value).all()
    edge = np.repeat(np.array([[0, 65535]], np.uint16), 8, axis=1)
    made = resized(edge, 1, 9, "stretch")  # sharpened beyond black and white, which does not come around
    assert made[0, 0] < 3000 and made[0, -1] > 62000
    padded = resized(np.full((2, 4, 3), 7, np.uint16), 4, 4, "pad", background=(1, 2, 255))
    assert padded[0, 0].tolist() == [257, 514, 65535] and padded[1, 1].tolist() == [7, 7, 7]
    floats = np.full((2, 4), 7, np.float32)
    assert resized(floats, 4, 4, "pad", span=(-5.0, 20.0))[:, 0].tolist() == [20.0, 7.0, 7.0, 20.0]
    assert resized(floats, 4, 4, "pad")[0, 0] == 1.0
    image = Image(4, 4, 1, 0, fit="pad", span=(-5.0, 20.0))
    assert image.pack(floats)[0, :, 0].tolist() == [20.0, 7.0, 7.0, 20.0]


def test_gray_of_deep_color_is_weighted_as_the_eye_does() -> None:
    white = np.full((1, 1, 3), 65535, np.uint16)
    assert with_channels(white, 1).tolist() == [[[65535]]] and with_channels(white, 1).dtype == np.uint16
    red = np.array([[[1000, 0, 0]]], np.uint16)
    assert with_channels(red, 1).tolist() == [[[299]]]
    floats = with_channels(np.array([[[-1.0, -1.0, -1.0], [0.0, 100.0, 0.0]]], np.float32), 1)
    assert floats.dtype == np.float32 and floats[..., 0].tolist()[0] == pytest.approx([-1.0, 58.7], abs=1e-2)
    assert same(with_channels(EVERY, 3), np.stack([EVERY] * 3, -1))


def test_deep_images_are_looked_at_in_eight_bits() -> None:
    assert eight_bits(EVERY).tolist() == np.rint(EVERY / 257).tolist()
    floats = np.array([[-3.0, -1.0, 1.0]], np.float32)
    assert shown(floats).tolist() == [[0, 128, 255]]
    assert shown(floats, (-1.0, 1.0)).tolist() == [[0, 0, 255]]
    assert shown(np.full((1, 2), 3.0)).tolist() == [[0, 0]]
    assert fractions(np.array([[0.25]]), None).tolist() == [[0.25]]
    assert shown(some(3, 4, 5)).shape == (3, 4, 3) and shown(some(3, 4, 5)).dtype == np.uint8
    sheet = grid([floats, np.array([[1.0, 5.0, 3.0]], np.float32)], columns=1, gap=0, enlarge=1)
    assert sheet.tolist() == [[0, 64, 128], [128, 255, 191]]  # of one scale
    assert grid([floats], span=(-3.0, 5.0), enlarge=1).tolist() == [[0, 64, 128]]
    assert grid([EVERY], enlarge=1).dtype == np.uint8
    with PIL.Image.open(io.BytesIO(png_bytes(EVERY_COLOR))) as opened:
        assert opened.mode == "RGB" and (np.asarray(opened) == eight_bits(EVERY_COLOR)).all()
    with PIL.Image.open(io.BytesIO(png_bytes(floats, span=(-3.0, 5.0)))) as opened:
        assert np.asarray(opened).tolist() == [[0, 64, 128]]


# ---- results in the form of their input ----


def told(**tags: Any) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x010E] = 6, "Maker", "the harbor"
    exif.get_ifd(0x8769).update({0x9003: "2020:01:01 00:00:00", 0xA002: 8, 0xA003: 6, 0xA005: 4, 0x927C: b"note"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.5)})
    return exif


def exif_of(content: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    with PIL.Image.open(io.BytesIO(content)) as opened:
        exif = opened.getexif()
        return dict(exif), dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825))


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a.JPEG"), ("PNG", "a.png"), ("WEBP", "a.webp")])
def test_exif_dpi_and_profile_are_kept_and_the_result_is_upright(kind: str, name: str, tmp_path: Path) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = some(6, 8, 3, kind="u1")
    exif = told()
    file = tmp_path / name
    file.write_bytes(file_of(PIL.Image.fromarray(pixels), kind, exif=exif, dpi=(300, 200), icc_profile=RGB, **options))
    image = deep(file)
    assert image.original is not None
    made = encoded(image.pixels, image.original)
    assert made.suffix == Path(name).suffix
    main, camera, place = exif_of(made.content)
    assert (main[0x0112], main[0x010F], main[0x010E]) == (1, "Maker", "the harbor")
    assert camera == {0x9003: "2020:01:01 00:00:00", 0xA002: 6, 0xA003: 8, 0x927C: b"note"}  # turned
    assert place == {1: "N", 2: (1.0, 2.0, 3.5)}
    with PIL.Image.open(io.BytesIO(made.content)) as opened:
        assert opened.format == kind and opened.size == (6, 8) and opened.info["icc_profile"] == RGB
        if kind != "WEBP":
            assert opened.info["dpi"] == pytest.approx((300, 200), abs=0.01)
    again = deep(made.content)
    assert again.conversions == again.notes == ()
    if kind != "JPEG":
        assert same(again.pixels, image.pixels)
    else:
        sampling = (
            [opened.layer[i][1:3] for i in range(3)] if (opened := PIL.Image.open(io.BytesIO(made.content))) else []
        )
        assert sampling == [(1, 1)] * 3  # colors as fine as light


@pytest.mark.parametrize("channels", [1, 3])
def test_a_deep_tiff_keeps_what_it_says(channels: int) -> None:
    pixels = some(6, 8, channels)
    tags = {
        "t270": "größe",
        "t271": "Maker",
        "t282": 118,
        "t283": 59,
        "t296": 3,
        "t33432": "ours",
        "t274": 6,
        "t305": "x",
    }
    content = tiff(pixels, **tags, t34675=GRAY if channels == 1 else RGB)
    image = deep(content, where="scan.TIFF")
    assert image.original is not None
    assert image.original.dpi == pytest.approx((118 * 2.54, 59 * 2.54))
    assert image.notes == (("color profile kept, not applied",) if channels == 3 else ())
    made = encoded(image.pixels, image.original, {"seed": "7", "class": "犬"})
    assert made.suffix == ".TIFF" and same(deep(made.content).pixels, image.pixels)
    main, _, _ = exif_of(made.content)
    assert (main[271], main[33432], main[274]) == ("Maker", "ours", 1)
    assert main[270].encode("latin-1").decode() == "größe\nseed: 7\nclass: 犬"
    with PIL.Image.open(io.BytesIO(made.content)) as opened:
        assert opened.info["dpi"] == pytest.approx((118 * 2.54, 59 * 2.54))
        assert opened.info["icc_profile"] == (GRAY if channels == 1 else RGB)


def test_what_a_jpeg_says_goes_into_a_tiff_and_out_of_it_again() -> None:
    jpeg = deep(file_of(PIL.Image.fromarray(some(8, 6, 3, kind="u1")), "JPEG", exif=told())).original
    made = encoded(some(6, 8, kind="f4"), jpeg)
    assert made.suffix == ".tif"
    main, camera, place = exif_of(made.content)
    assert (main[0x010F], main[0x0112]) == ("Maker", 1)
    assert camera == {0x9003: "2020:01:01 00:00:00", 0xA002: 8, 0xA003: 6, 0x927C: b"note"}
    assert place == {1: "N", 2: (1.0, 2.0, 3.5)}
    again = deep(made.content)
    assert exif_of(encoded(again.pixels, again.original).content)[1:] == (camera, place)


def test_eight_bit_tiffs_keep_what_they_say() -> None:
    exif = told()
    content = file_of(PIL.Image.fromarray(some(6, 8, 3, kind="u1")), "TIFF", exif=exif, dpi=(300, 200))
    for written, packing in (
        (content, "none"),
        (encoded(some(6, 8, 3, kind="u1"), Original("TIFF")).content, "lossless"),
    ):
        image = deep(written)
        assert image.original is not None and image.original.packing == packing
    image = deep(content)
    assert image.original is not None and image.original.dpi == (300, 200)
    main, _, _ = exif_of(encoded(image.pixels, image.original).content)
    assert (main[0x010F], main[0x0112]) == ("Maker", 1)


def test_what_other_programs_say_of_their_layout_is_left_out() -> None:
    for words in ("ImageJ=1.53\nimages=5", '{"shape": [5, 6, 8]}', "<OME/>"):
        original = deep(tiff(some(6, 8, 5), t270=words)).original
        assert original is not None and original.exif == b""
    nothing = deep(tiff(some(6, 8, 5), t305="x")).original
    assert nothing is not None and nothing.exif


def test_texts_of_png_and_comments_are_kept_and_ours_are_added() -> None:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Author", "me")
    text.add_text("seed", "6")
    text.add_itxt("XML:com.adobe.xmp", "<xmp/>")
    text.add_text("Raw profile type iptc", "x")
    for pixels in (some(4, 5, 3, kind="u1"), EVERY_COLOR):
        original = deep(file_of(PIL.Image.fromarray(some(4, 5, 3, kind="u1")), pnginfo=text)).original
        assert original is not None
        with PIL.Image.open(io.BytesIO(encoded(pixels, original, {"seed": "7", "class": "犬"}).content)) as opened:
            opened.load()
            assert opened.text == {"Author": "me", "seed": "7", "class": "犬"}
    jpeg = deep(file_of(PIL.Image.fromarray(some(4, 5, 3, kind="u1")), "JPEG", comment=b"hello")).original
    assert jpeg is not None and jpeg.text == (("Comment", "hello"),)
    with PIL.Image.open(io.BytesIO(encoded(some(4, 5, kind="u1"), jpeg, {"seed": "7"}).content)) as opened:
        assert opened.info["comment"] == b"hello\nseed: 7" and opened.mode == "L"
    with PIL.Image.open(io.BytesIO(encoded(some(4, 5, kind="u1"), Original("JPEG")).content)) as opened:
        assert "comment" not in opened.info
    long = encoded(some(4, 5, kind="u1"), Original("JPEG"), {"a": "b" * 99999}).content
    assert len(PIL.Image.open(io.BytesIO(long)).info["comment"]) == 60000
    webp = encoded(some(4, 5, 3, kind="u1"), Original("WEBP"), {"seed": "7"}).content
    assert exif_of(webp)[0][0x010E] == "seed: 7"
    assert exif_of(encoded(some(4, 5, 3, kind="u1"), Original("WEBP")).content)[0] == {}
    bmp = encoded(some(4, 5, 3, kind="u1"), Original("BMP", dpi=(300, 200)), {"seed": "7"}).content
    assert PIL.Image.open(io.BytesIO(bmp)).info["dpi"] == pytest.approx((300, 200), abs=0.01)


def test_webp_is_written_with_loss_only_where_it_was() -> None:
    pixels = some(16, 16, 3, kind="u1")
    exif = told()
    for lossless, options in itertools.product((True, False), ({}, {"exif": exif, "icc_profile": RGB})):
        image = deep(file_of(PIL.Image.fromarray(pixels), "WEBP", lossless=lossless, quality=80, **options))
        assert image.original is not None
        assert image.original.packing == ("lossless" if lossless else "lossy")
        again = deep(encoded(image.pixels, image.original).content)
        assert again.original is not None and again.original.packing == image.original.packing
        assert same(again.pixels, image.pixels) is lossless
    assert deep(PIL.Image.open(io.BytesIO(file_of(PIL.Image.fromarray(pixels), "WEBP")))).original == Original(
        "WEBP", suffix=".webp", packing="lossy"
    )


@pytest.mark.parametrize(
    ("pixels", "form", "suffix", "kind"),
    [
        (some(4, 5, kind="u2"), "JPEG", ".png", "PNG"),
        (some(4, 5, 3, kind="u2"), "WEBP", ".png", "PNG"),
        (some(4, 5, 3, kind="u2"), "BMP", ".png", "PNG"),
        (some(4, 5, 3, kind="u1"), "GIF", ".png", "PNG"),
        (some(4, 5, kind="f4"), "PNG", ".tif", "TIFF"),
        (some(4, 5, 2, kind="u1"), "PNG", ".tif", "TIFF"),
        (some(4, 5, 1, kind="u1"), "JPEG", ".jpe", "JPEG"),
        (some(4, 5, 3, kind="u1"), "JPEG", ".jpe", "JPEG"),
        (some(4, 5, kind="u1"), "TIFF", ".tiff", "TIFF"),
    ],
)
def test_the_format_changes_only_where_it_cannot_hold_the_result(
    pixels: np.ndarray, form: str, suffix: str, kind: str
) -> None:
    made = encoded(pixels, Original(form, suffix=suffix if kind == form else ".other", packing="none"))
    assert made.suffix == suffix
    image = deep(made.content)
    assert image.original is not None and image.original.format == kind
    if kind != "JPEG":
        assert same(image.pixels, pixels)


def test_names_say_the_format_unless_they_are_wrong() -> None:
    content = file_of(PIL.Image.fromarray(some(4, 5, 3, kind="u1")), "JPEG")
    for name, suffix in (("a/b.JPG", ".JPG"), ("a.png", ".jpg"), (None, ".jpg")):
        original = deep(content, where=name).original
        assert original is not None and original.suffix == suffix


def test_a_profile_is_written_only_of_pixels_that_are_in_it() -> None:
    pixels = some(4, 5, 3, kind="u1")

    def profile_of(raw: Any, made: np.ndarray) -> bytes | None:
        original = deep(raw).original
        assert original is not None
        with PIL.Image.open(io.BytesIO(encoded(made, original).content)) as opened:
            return opened.info.get("icc_profile")

    wide = bytearray(RGB)  # another description, and red and green changed places
    wide = wide.replace(b"s\0R\0G\0B", b"x\0R\0G\0B").replace(b"sRGB", b"xRGB").replace(b"rXYZ", b"tXYZ", 1)
    wide = wide.replace(b"gXYZ", b"rXYZ", 1).replace(b"tXYZ", b"gXYZ", 1)
    for kind in ("PNG", "TIFF"):
        converted = file_of(PIL.Image.fromarray(pixels), kind, icc_profile=bytes(wide))
        assert "color profile to sRGB" in deep(converted).conversions
        replaced = profile_of(converted, pixels)
        assert replaced is not None and replaced != bytes(wide)
        description = PIL.ImageCms.getProfileDescription(PIL.ImageCms.ImageCmsProfile(io.BytesIO(replaced)))
        assert description.startswith("sRGB")
        assert profile_of(converted, pixels) == replaced
        assert profile_of(converted, pixels[..., 0]) is None  # a profile of color says nothing of gray
    gray = file_of(PIL.Image.fromarray(pixels[..., 0]), icc_profile=GRAY)
    assert profile_of(gray, pixels[..., 0]) == GRAY and profile_of(gray, pixels) is None
    kept = encoded(EVERY_COLOR, Original(profile=bytes(wide))).content
    assert profile_of(kept, EVERY_COLOR) == bytes(wide)
    assert deep(kept).notes == ("color profile kept, not applied",)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage that is no TIFF", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0"])
def test_bad_exif_is_noted_and_left_out(exif: bytes) -> None:
    image = deep(file_of(PIL.Image.fromarray(some(8, 16, 3, kind="u1")), "JPEG", exif=exif))
    assert image.notes == ("bad EXIF ignored, not turned",)
    assert image.original is not None and image.original.exif == b""


def test_exif_that_cannot_be_written_again_is_noted_and_left_out() -> None:
    bad = tiff(some(4, 5, 3), t306=3)  # a date that is a fraction
    jpeg = file_of(PIL.Image.fromarray(some(4, 5, 3, kind="u1")), "JPEG", exif=b"Exif\0\0" + bad)
    for content in (bad, jpeg, tiff(some(4, 5, 3, kind="u1"), t306=3)):
        image = deep(content)
        assert image.notes == ("bad EXIF not kept",)
        assert image.original is not None and image.original.exif == b""


@pytest.mark.parametrize("tags", [{"t282": 0, "t283": 0}, {"t282": 72, "t283": 72, "t296": 1}, {"t282": 72}])
def test_a_resolution_that_makes_no_sense_is_left_out(tags: dict[str, int]) -> None:
    original = deep(tiff(some(4, 5, 3), **tags)).original
    assert original is not None and original.dpi is None
