"""Images and labels: exact answers."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import measure, png_bytes, read_image, resized, save_png
from seisei.modalities.label import Label
from seisei.modalities.pixels import grid, with_channels
from seisei.modalities.text import END, Text
from seisei.schema import Modality, Schema


def file_of(image: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# ---- both ways ----


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_decode_undoes_encode_for_every_byte(channels: int) -> None:
    x = some(16, 16 * 3, channels)
    x[..., 0].flat[:256] = np.arange(256)
    x = x[..., 0] if channels == 1 else x
    image = Image(16, 48, channels)
    assert (image.decode(image.encode(x)) == x).all()
    assert image.pack(x).dtype == torch.uint8 and image.pack(x).shape == image.shape
    assert image.encode(x).dtype == torch.float32 and float(image.encode(x).max()) == 1.0


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_are_spread_and_found_again(levels: int) -> None:
    image = Image(1, levels, 1, levels)
    stored = torch.arange(levels, dtype=torch.uint8)[None, None]
    seen = image.decode(image.unpack(stored))
    assert seen.tolist() == [[round(k * 255 / (levels - 1)) for k in range(levels)]]
    assert torch.equal(image.pack(seen), stored)
    assert float(image.unpack(stored)[0, 0, -1]) == 1.0


def test_binary_images_may_be_given_as_zeros_and_ones() -> None:
    image, bits = Image(1, 3, 1, 2), [[0, 1, 1]]
    for raw in (
        np.array(bits, np.uint8),
        np.array(bits, bool),
        np.array(bits, np.float32),
        np.array(bits, np.uint8) * 255,
    ):
        assert image.pack(raw).tolist() == [bits]


def test_decode_clamps_and_unpack_takes_a_batch() -> None:
    image = Image(1, 2, 1)
    assert image.decode(torch.tensor([[[-3.0, 1.7]]], requires_grad=True)).tolist() == [[0, 255]]
    assert image.unpack(
        torch.tensor([[[[0, 255]]], [[[51, 102]]]], dtype=torch.uint8)
    ).flatten().tolist() == pytest.approx([0, 1, 0.2, 0.4])


def test_another_size_is_refused_with_both_sizes_unless_a_fit_is_given(tmp_path: Path) -> None:
    save_png(tmp_path / "wide.png", some(10, 20))
    with pytest.raises(UserError, match="wide.png: is 20x10 pixels, wanted 8x8; pass --fit crop|pad|stretch") as caught:
        Image(8, 8, 1).pack(tmp_path / "wide.png")
    assert caught.value.code == "E-*-19" and caught.value.code_for("reconstruct") == "E-RCN-19"
    assert Image(8, 8, 1, fit="pad").pack(tmp_path / "wide.png").shape == (1, 8, 8)


def test_raw_forms_agree(tmp_path: Path) -> None:
    pixels, image = some(9, 7, 3), Image(9, 7, 3)
    save_png(tmp_path / "p.png", pixels)
    forms = [
        tmp_path / "p.png",
        str(tmp_path / "p.png"),
        (tmp_path / "p.png").read_bytes(),
        PIL.Image.fromarray(pixels),
        pixels,
    ]
    forms.append(pixels.astype(np.float64) / 255)
    forms.append(pixels.astype(np.uint16) * 257)
    for form in forms:
        assert torch.equal(image.pack(form), torch.from_numpy(pixels).permute(2, 0, 1))


def test_what_was_packed_is_a_copy_and_may_be_written() -> None:
    x, image = some(8, 8), Image(8, 8, 1)
    before = x.copy()
    image.pack(x).zero_()
    assert (x == before).all()
    torch.set_warn_always(True)  # else torch warns of read-only memory once in a process, in whichever test is first
    try:
        image.pack(png_bytes(x)).zero_()
        image.pack(np.broadcast_to(np.uint8(3), (8, 8))).zero_()
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros(4, np.uint8), "shape"),
        (np.full((4, 4), 1.5), "1.5"),
        (np.full((4, 4), np.nan), "nan"),
        (12, "int"),
        ("/no/such/file.png", "file.png"),
        (np.zeros((4, 4, 2), np.uint8), "2 channels"),
    ],
)
def test_what_is_no_image_is_refused(raw: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Image(4, 4, 3).pack(raw)


def test_is_a_modality_and_travels_as_json() -> None:
    schema = Schema(Image(4, 6, 1, 17, (1, 2, 3), "pad"), Label(("b", "a")))
    assert isinstance(schema.x, Modality) and isinstance(schema.y, Modality)
    assert Schema.from_json(schema.to_json()) == schema
    assert schema.x.shape == (1, 4, 6) and schema.x.values == 24 and schema.x.noun == "image"


# ---- what a file may hold ----

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = file_of(PIL.Image.fromarray(stored), kind, exif=exif, **options)
    image = read_image(content)
    pixels = image.pixels if image.pixels.ndim == 2 else image.pixels[..., 0]
    assert (pixels == TURNED[orientation](stored)).all()
    assert measure(content) == image.size == ((6, 4) if orientation >= 5 else (4, 6))
    assert not image.notes
    if kind != "TIFF":
        assert any("EXIF" in c for c in image.conversions) == (orientation > 1)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage that is no TIFF", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0", b"Exif\0\0"]
)
def test_bad_exif_is_noted_and_does_not_turn(exif: bytes) -> None:
    content = file_of(PIL.Image.fromarray(some(8, 16)), "JPEG", exif=exif, quality=95)
    plain = read_image(file_of(PIL.Image.fromarray(some(8, 16)), "JPEG", quality=95))
    image = read_image(content)
    assert (image.pixels == plain.pixels).all() and not plain.notes
    assert image.notes == ("bad EXIF ignored, not turned",)


def test_an_orientation_that_does_not_exist_is_noted() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 9
    assert read_image(file_of(PIL.Image.fromarray(some(4, 6)), exif=exif)).notes == ("bad EXIF ignored, not turned",)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 257 * 100, 257 * 254, 65534, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        image = read_image(file_of(PIL.Image.fromarray(values), kind))
        assert image.pixels.tolist() == [[0, 0, 1, 1, 100, 254, 255, 255]]
        assert image.bits == 16 and image.conversions == ("16 bits to 8",) and image.mode.startswith("I;16")
    every = np.arange(256, dtype=np.uint16)[None] * 257
    assert read_image(every).pixels.tolist() == [list(range(256))]


def deep_rgb_png(value: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + struct.pack(">3H", value, value, 0) * 2
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_sixteen_bit_color_is_recorded() -> None:
    image = read_image(deep_rgb_png(65535))
    assert image.pixels.tolist() == [[[255, 255, 0]] * 2] and image.bits == 16
    assert image.conversions == ("16 bits to 8",)


def test_floating_point_is_scaled_or_refused() -> None:
    image = read_image(file_of(PIL.Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)), "TIFF"))
    assert image.pixels.tolist() == [[0, 128, 255]] and image.conversions == ("floating point to 8 bits",)
    for bad in (1.01, -0.01, np.nan, np.inf):
        with pytest.raises(UserError, match="wanted 0 to 1") as caught:
            read_image(file_of(PIL.Image.fromarray(np.array([[0.0, bad]], np.float32)), "TIFF"))
        assert caught.value.code == "E-CHK-12"


def test_transparency_shows_the_background_exactly() -> None:
    rgba = np.array([[[200, 100, 0, 0], [200, 100, 0, 255], [200, 100, 0, 128], [0, 0, 0, 51]]], np.uint8)
    content = file_of(PIL.Image.fromarray(rgba))
    image = read_image(content)
    assert image.pixels.tolist() == [[[255, 255, 255], [200, 100, 0], [227, 177, 127], [204, 204, 204]]]
    assert image.conversions == ("transparency over #ffffff",)
    green = read_image(content, background=(0, 255, 0))
    assert green.pixels.tolist() == [[[0, 255, 0], [200, 100, 0], [100, 177, 0], [0, 204, 0]]]


def test_transparency_is_rounded_to_the_nearest() -> None:
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    read = read_image(file_of(PIL.Image.fromarray(np.stack([value, alpha], axis=-1).astype(np.uint8), "LA")))
    assert (read.pixels == np.rint((value * alpha + 255.0 * (255 - alpha)) / 255)).all()


def test_gray_transparency_stays_gray_and_opaque_needs_no_background() -> None:
    la = np.array([[[0, 0], [0, 255], [10, 255]]], np.uint8)
    assert read_image(file_of(PIL.Image.fromarray(la, "LA"))).pixels.tolist() == [[255, 0, 10]]
    opaque = np.full((2, 2, 4), 255, np.uint8)
    assert read_image(file_of(PIL.Image.fromarray(opaque))).conversions == ()


def test_palette_is_expanded_with_its_transparency() -> None:
    image = PIL.Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    read = read_image(file_of(image))
    assert read.pixels.tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    assert read.mode == "P" and read.conversions == ("palette expanded",)
    clear = read_image(file_of(image, transparency=b"\x00\xff\x80"))
    assert clear.pixels.tolist() == [[[255, 255, 255], [40, 50, 60], [162, 167, 172]]]
    assert clear.conversions == ("palette expanded", "transparency over #ffffff")


def test_cmyk_becomes_rgb() -> None:
    inks = np.array([[[0, 255, 255, 0], [255, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 128]]], np.uint8)
    image = read_image(file_of(PIL.Image.fromarray(inks, "CMYK"), "TIFF"))
    assert image.pixels.tolist() == [[[255, 0, 0], [0, 255, 255], [255, 255, 255], [0, 0, 0], [127, 127, 127]]]
    assert image.mode == "CMYK" and image.conversions == ("CMYK to RGB",)


def test_one_bit_is_black_and_white() -> None:
    image = read_image(file_of(PIL.Image.fromarray(np.array([[True, False]]))))
    assert image.pixels.tolist() == [[255, 0]] and image.bits == 1


def profile(description: bytes, *order: int) -> bytes:
    """An ICC profile with the primaries of sRGB in another order."""
    primaries = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]

    def fixed(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(description) + 1) + description + b"\0" + bytes(78)}
    tags[b"cprt"] = b"text\0\0\0\0none\0"
    tags[b"wtpt"] = fixed((0.9642, 1.0, 0.8249))
    for letter, place in zip(b"rgb", order, strict=True):
        tags[bytes([letter]) + b"XYZ"] = fixed(primaries[place])
        tags[bytes([letter]) + b"TRC"] = b"curv\0\0\0\0\0\0\0\x01\x02\x33\0\0"
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = struct.pack(">I", start + len(body))
    head = size + bytes(4) + b"\x02\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(24)
    head += fixed((0.9642, 1.0, 0.8249))[8:]
    return head + bytes(128 - len(head)) + table + body


def test_an_embedded_profile_is_used() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    swapped = read_image(file_of(PIL.Image.fromarray(pixels), icc_profile=profile(b"swapped RGB", 1, 0, 2)))
    wanted = pixels[..., [1, 0, 2]].astype(int)
    assert np.abs(swapped.pixels.astype(int) - wanted).max() <= 2
    assert swapped.conversions == ("color profile to sRGB",)
    same = read_image(file_of(PIL.Image.fromarray(pixels), icc_profile=profile(b"sRGB IEC61966-2.1", 0, 1, 2)))
    assert (same.pixels == pixels).all() and same.conversions == ()


def test_a_bad_profile_is_noted_and_ignored() -> None:
    pixels = some(3, 3, 3)
    image = read_image(file_of(PIL.Image.fromarray(pixels), icc_profile=b"no profile at all"))
    assert (image.pixels == pixels).all() and image.notes == ("bad color profile ignored",)


def test_first_frame_only_where_asked() -> None:
    frames = [PIL.Image.fromarray(np.full((8, 8), v, np.uint8)) for v in (10, 200)]
    content = file_of(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="2 pages, wanted 1; .* or pass --first-frame") as caught:
        read_image(content)
    assert caught.value.code == "E-CHK-11"
    image = read_image(content, first_frame=True)
    assert (image.pixels == 10).all() and image.conversions == ("first frame taken",)


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same() -> None:
    y, x = np.mgrid[0:512, 0:768]
    smooth = np.stack([x // 3, y // 2, 255 - x // 3], axis=-1).astype(np.uint8)
    content = file_of(PIL.Image.fromarray(smooth), "JPEG", quality=95)
    small = read_image(content, at_least=(32, 32))
    assert small.size == (512, 768) and small.pixels.shape == (64, 96, 3)
    assert read_image(content, at_least=(64, 8)).pixels.shape == (128, 192, 3)
    image = Image(32, 32, 3, fit="crop")
    whole = resized(read_image(content).pixels, 32, 32, "crop")
    assert np.abs(image.decode(image.encode(content)).astype(int) - whole).max() <= 2


def test_warnings_of_pillow_stay_inside_and_others_come_through() -> None:
    before = list(warnings.filters)
    read_image(file_of(PIL.Image.fromarray(some(8, 8)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0"))
    assert warnings.filters == before
    assert PIL.Image.MAX_IMAGE_PIXELS == int(1024 * 1024 * 1024 // 4 // 3)
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


# ---- sizes, grids, files ----


def test_crop_pad_and_stretch() -> None:
    halves = np.repeat(np.array([[0, 0, 100, 100, 200, 200, 40, 40]], np.uint8), 4, axis=0)
    assert resized(halves, 4, 4, "crop").tolist() == [[100, 100, 200, 200]] * 4
    assert resized(halves, 2, 4, "stretch", filter="box").tolist() == [[0, 100, 200, 40]] * 2
    padded = resized(halves, 4, 4, "pad", background=(9, 9, 9), filter="box")
    assert padded[[0, 3]].tolist() == [[9] * 4] * 2 and (padded[1:3] != 9).all()
    color = resized(np.full((2, 4, 3), 7, np.uint8), 4, 4, "pad", background=(1, 2, 3))
    assert color[0, 0].tolist() == [1, 2, 3] and color[1, 1].tolist() == [7, 7, 7]


def test_reduction_is_antialiased() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for filter in ("lanczos", "box"):
        small = resized(board, 8, 8, "stretch", filter=filter)
        assert small.min() >= 126 and small.max() <= 129


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(3, 50), (50, 3), (1, 1), (17, 31)])
def test_any_size_fits(fit: Any, shape: tuple[int, int]) -> None:
    assert resized(some(*shape), 8, 5, fit).shape == (8, 5)
    assert resized(some(*shape, 4), 8, 5, fit).shape == (8, 5, 4)


def test_gray_of_color_is_weighted_as_pillow_weighs_it() -> None:
    pixels = some(20, 20, 3)
    assert (with_channels(pixels, 1)[..., 0] == np.asarray(PIL.Image.fromarray(pixels).convert("L"))).all()
    assert (with_channels(pixels[..., 0], 3) == pixels[..., :1]).all()


def test_grid_places_and_enlarges() -> None:
    a, b, c = (np.full((1, 2), v, np.uint8) for v in (1, 2, 3))
    assert grid([a, b, c], columns=2, gap=1, enlarge=2).tolist() == [
        [1, 1, 1, 1, 255, 2, 2, 2, 2],
        [1, 1, 1, 1, 255, 2, 2, 2, 2],
        [255] * 9,
        [3, 3, 3, 3, 255, 255, 255, 255, 255],
        [3, 3, 3, 3, 255, 255, 255, 255, 255],
    ]
    assert grid(torch.rand(4, 3, 8, 8)).shape == (130, 130, 3)
    assert grid(torch.full((1, 1, 64, 64), 0.2)).tolist() == [[51] * 64] * 64
    assert grid([a, np.zeros((1, 2, 3), np.uint8)], columns=2, gap=0, enlarge=1).shape == (1, 4, 3)


def test_png_keeps_pixels_and_text_and_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = some(5, 6, 3)
    save_png(tmp_path / "a.png", pixels, {"seed": "7", "class": "犬"})
    with PIL.Image.open(tmp_path / "a.png") as opened:
        assert (np.asarray(opened) == pixels).all() and opened.text == {"seed": "7", "class": "犬"}
    assert png_bytes(pixels) == png_bytes(pixels)
    old = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_png(tmp_path / "a.png", some(9, 9))
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == old


# ---- labels ----


def test_labels_both_ways() -> None:
    label = Label(["cat", "dog", "7"])
    assert label.names == ("cat", "dog", "7") and label.classes == 3 and label.noun == "label"
    packed = label.pack("dog")
    assert packed.dtype == torch.int64 and packed.shape == () and int(packed) == 1
    assert [label.decode(label.encode(name)) for name in label.names] == list(label.names)
    assert int(label.pack(7)) == 2 and label.unpack(packed) is packed


def test_an_unknown_label_names_the_nearest() -> None:
    with pytest.raises(UserError, match="dgo: no such class; did you mean 'dog'") as caught:
        Label(("cat", "dog")).pack("dgo")
    assert caught.value.code == "E-SMP-13" and caught.value.wanted == ["cat", "dog"]


# ---- texts ----


@pytest.mark.parametrize("words", ["", "a red hat", "größer", "生成", "two\nlines\t\x00", "🐈" * 8])
def test_a_text_comes_back_from_its_bytes(words: str) -> None:
    text = Text(32)
    assert text.decode(text.encode(words)) == words and text.encode(words).shape == (32,)
    assert text.format(text.parse(words, 2)[1]) == words


def test_texts_that_are_left_open_are_those_of_training() -> None:
    text = Text(8, ("one", "two"), "caption")
    assert [text.format(row) for row in text.parse(None, 3)] == ["one", "two", "one"]
    assert [text.format(row) for row in text.parse(["six", None], 2)] == ["six", "two"]
    assert Schema.from_json(Schema(text, text).to_json()) == Schema(text, text)
    assert text.encode("one").tolist()[3:] == [END] * 5


def test_a_text_that_is_too_long_is_refused_and_a_half_letter_is_shown() -> None:
    with pytest.raises(UserError, match="a text of 9 bytes, wanted at most 8") as caught:
        Text(8).parse("生成生", 1)
    assert caught.value.code == "E-SMP-13"
    assert Text(8).decode(torch.tensor([97, 0xE7, *[END] * 6])) == "a?"
