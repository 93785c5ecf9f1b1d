"""Pathological data: each is refused by name with a code and a remedy, or read and recorded; nothing is modified."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from seisei.data.sources.arrays import arrays_source
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.modalities.image_io import save_png

Build = Callable[[Path], object]
GRAY = np.random.default_rng(3).integers(0, 256, (64, 64), np.uint8)
COLOR = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything about a folder that could have been modified."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in [root, *root.rglob("*")]:
        facts = os.lstat(path)
        content: Any = None
        if stat.S_ISLNK(facts.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(facts.st_mode):
            content = path.read_bytes()
        found[os.fsdecode(path)] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, content)
    return found


def encoded(pixels: np.ndarray, kind: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels, mode).save(file, kind, **options)
    return file.getvalue()


def frames(kind: str) -> bytes:
    others = [PIL.Image.fromarray(np.full((16, 16), v, np.uint8)) for v in (90, 180)]
    return encoded(np.zeros((16, 16), np.uint8), kind, save_all=True, append_images=others)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes = b"\0") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def file(name: str, content: bytes) -> Build:
    return lambda root: (root / name).write_bytes(content)


def link(name: str, target: str) -> Build:
    return lambda root: (root / name).symlink_to(target)


def all_of(*builds: Build) -> Build:
    return lambda root: [build(root) for build in builds]


def outside(root: Path) -> None:
    save_png(root.parent / "elsewhere.png", GRAY)
    (root / "link.png").symlink_to("../elsewhere.png")


def outside_folder(root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    save_png(root.parent / "elsewhere" / "x.png", GRAY)
    (root / "linked").symlink_to("../elsewhere")


def mutual(root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "a" / "to_b").symlink_to("../b")
    (root / "b" / "to_a").symlink_to("../a")


JPEG, PNG = encoded(COLOR, "JPEG", quality=95), encoded(COLOR, "PNG")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
HTML = b"\n<!DOCTYPE html><html><body>404</body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n"

# What is built, its code, the name in the message, words of the problem, words of the remedy; each among good images.
FILES: dict[str, tuple[Build, str, str, str, str]] = {
    "truncated jpeg": (
        file("t.jpg", JPEG[: len(JPEG) // 2]),
        "E-CHK-06", "t.jpg", f"ends after {len(JPEG) // 2} bytes", "re-copy",
    ),
    "truncated png": (
        file("t.png", PNG[:-2000]),
        "E-CHK-06", "t.png", f"ends after {len(PNG) - 2000} of ~{len(PNG)} bytes", "--skip-bad",
    ),
    "truncated header": (file("t.png", PNG[:20]), "E-CHK-06", "t.png", "ends after 20", "re-copy"),
    "truncated gif": (
        file("t.gif", encoded(GRAY, "GIF")[:900]),
        "E-CHK-06", "t.gif", "ends after 900 bytes", "re-copy",
    ),
    "truncated bmp": (file("t.bmp", encoded(GRAY, "BMP")[:-9]), "E-CHK-06", "t.bmp", "of ~", "re-copy"),
    "truncated webp": (
        file("t.webp", encoded(COLOR, "WEBP", lossless=True)[:-99]),
        "E-CHK-06", "t.webp", "of ~", "re-copy",
    ),
    "truncated tiff": (file("t.tif", encoded(GRAY, "TIFF")[:2000]), "E-CHK-06", "t.tif", "2000 bytes", "re-copy"),
    "flipped bit in png": (file("f.png", flipped(PNG, len(PNG) // 2)), "E-CHK-06", "f.png", "is damaged", "re-copy"),
    "png of too few rows": (file("f.png", png(20, 20, b"\0" * 50)), "E-CHK-06", "f.png", "bytes", "re-copy"),
    "zero bytes": (file("z.png", b""), "E-CHK-07", "z.png", "0 bytes", "remove"),
    "lfs pointer": (file("l.png", LFS), "E-CHK-08", "l.png", "Git LFS pointer", "git lfs pull"),
    "html page": (file("h.jpg", HTML), "E-CHK-08", "h.jpg", "HTML page", "download"),
    "no image": (file("n.png", b"hello, world"), "E-CHK-08", "n.png", "not an image", "remove"),
    "bomb": (
        file("b.png", png(60000, 60000)),
        "E-CHK-09", "b.png", "60000x60000 pixels = 3600 MP > 64 MP", "--max-pixels",
    ),
    "bomb below Pillow's limit": (file("b.png", png(10000, 10000)), "E-CHK-09", "b.png", "= 100 MP", "--max-pixels"),
    "bomb above ours": (file("b.png", png(8000, 8001)), "E-CHK-09", "b.png", "8000x8001", "--max-pixels"),
    "1x1": (file("s.png", png(1, 1, b"\0\0")), "E-CHK-10", "s.png", "is 1x1 pixels, wanted at least 8x8", "--min-size"),
    "7 high": (file("s.png", encoded(GRAY[:7], "PNG")), "E-CHK-10", "s.png", "64x7", "--min-size"),
    "animated gif": (file("a.gif", frames("GIF")), "E-CHK-11", "a.gif", "3 frames", "--first-frame"),
    "pages of tiff": (file("a.tiff", frames("TIFF")), "E-CHK-11", "a.tiff", "3 pages", "--first-frame"),
    "animated png": (file("a.png", frames("PNG")), "E-CHK-11", "a.png", "3 frames", "--first-frame"),
    "animated webp": (file("a.webp", frames("WEBP")), "E-CHK-11", "a.webp", "3 frames", "--first-frame"),
    "lab": (file("l.tif", encoded(COLOR, "TIFF", "LAB")), "E-CHK-12", "l.tif", "mode LAB", "save it as"),
    "32 bits": (
        file("i.tif", encoded(np.full((9, 9), 70000, np.int32), "TIFF")),
        "E-CHK-12", "i.tif", "70000", "save it as",
    ),
    "not a number": (
        file("f.tif", encoded(np.full((9, 9), np.nan, np.float32), "TIFF")),
        "E-CHK-12", "f.tif", "nan", "save it as",
    ),
    "eps": (file("e.eps", EPS), "E-CHK-13", "e.eps", "EPS", "export it as PNG"),
    "eps named png": (file("e.png", EPS), "E-CHK-13", "e.png", "EPS", "export it as PNG"),
    "eps with a preview": (
        file("e.png", b"\xc5\xd0\xd3\xc6" + bytes(40)),
        "E-CHK-13", "e.png", "EPS", "export it as PNG",
    ),
    "svg": (file("v.svg", SVG), "E-CHK-13", "v.svg", "SVG", "export it as PNG"),
    "svg named png": (file("v.png", SVG), "E-CHK-13", "v.png", "SVG", "export it as PNG"),
    "pdf named jpg": (file("p.jpg", b"%PDF-1.7\n"), "E-CHK-13", "p.jpg", "PDF", "export it as PNG"),
    "heic": (file("h.heic", b"x"), "E-CHK-04", "h.heic", ".heic, which is not supported", "convert"),
    "heic named jpg": (file("h.jpg", b"\0\0\0\x18ftypheic" + bytes(20)), "E-CHK-04", "h.jpg", "HEIC", "convert"),
    "link to itself": (link("loop.png", "loop.png"), "E-CHK-14", "loop.png", "leads back", "remove"),
    "link to the folder above": (link("up", "."), "E-CHK-14", "up", "leads back", "remove"),
    "folders linked in a circle": (mutual, "E-CHK-14", "a/to_b/to_a", "leads back", "remove"),
    "link outside": (outside, "E-CHK-15", "link.png", "outside the data folder", "--follow-outside"),
    "folder linked outside": (outside_folder, "E-CHK-15", "linked", "outside the data folder", "--follow-outside"),
    "link to nothing": (link("gone.png", "nothing.png"), "E-CHK-05", "gone.png", "does not exist", "remove"),
    "pipe": (lambda root: os.mkfifo(root / "pipe.png"), "E-CHK-05", "pipe.png", "not a regular file", "remove"),
    "name not utf-8": (
        lambda root: Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.png")).write_bytes(PNG),
        "E-CHK-16", r"caf\xe9.png", "not UTF-8", "rename",
    ),
    "case-fold twins": (all_of(file("T.png", PNG), file("t.png", PNG)), "E-CHK-17", "t.png", "T.png", "rename one"),
    "unicode twins": (
        all_of(file("e\u0301.png", PNG), file("\u00e9.png", PNG)),
        "E-CHK-17", "\u00e9.png", "e\u0301.png", "rename one",
    ),
    "line in a name": (file("a\nerror: b.png", b""), "E-CHK-07", r"a\nerror: b.png", "0 bytes", "remove"),
    "metadata of an absent file": (
        file("metadata.csv", b"file_name,label\n0.png,a\nabsent.png,b\n"),
        "E-CHK-21", "metadata.csv:3", "absent.png, which does not exist", "remove the row",
    ),
    "metadata above the root": (
        file("metadata.csv", b"file_name,label\n../../etc/x.png,a\n"),
        "E-CHK-21", "metadata.csv:2", "does not exist", "remove the row",
    ),
    "metadata twice": (
        file("metadata.csv", b"file_name,label\n0.png,a\n0.png,b\n"),
        "E-CHK-21", "metadata.csv:3", "0.png again", "keep one",
    ),
    "ragged metadata": (
        file("metadata.csv", b"file_name,label\n0.png,a\n1.png,a,b\n"),
        "E-CHK-21", "metadata.csv:3", "3 fields, header has 2", "fix the row",
    ),
    "open quote": (
        file("metadata.csv", b'file_name,label\n0.png,"a\n'),
        "E-CHK-21", "metadata.csv:2", "unexpected end", "quotes",
    ),
    "metadata without names": (
        file("metadata.csv", b"name,label\n0.png,a\n"),
        "E-CHK-21", "metadata.csv", "name, label", "file_name",
    ),
    "metadata not utf-8": (
        file("metadata.csv", b"file_name,label\n0.png,caf\xe9\n"),
        "E-CHK-21", "metadata.csv", "byte 25", "UTF-8",
    ),
    "metadata not json": (
        file("metadata.jsonl", b'{"file_name": "0.png"}\n{oops\n'),
        "E-CHK-21", "metadata.jsonl:2", "not JSON", "fix",
    ),
    "metadata nested deep": (file("metadata.jsonl", b"[" * 200_000), "E-CHK-21", "metadata.jsonl:1", "not JSON", "fix"),
    "metadata of a number": (
        file("metadata.jsonl", b"5\n"),
        "E-CHK-21", "metadata.jsonl:1", "not an object", "file_name",
    ),
    "metadata of no name": (
        file("metadata.jsonl", b'{"file": "0.png"}\n'),
        "E-CHK-21", "metadata.jsonl:1", "no file_name", "file_name",
    ),
}  # fmt: skip


def good_folder(tmp_path: Path, count: int = 12) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    for i in range(count):
        save_png(root / f"{i}.png", np.roll(GRAY, i))
    return root


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_named_with_a_remedy(tmp_path: Path, case: str) -> None:
    build, code, name, problem, remedy = FILES[case]
    root = good_folder(tmp_path)
    build(root)
    before = tree(tmp_path)
    with pytest.raises(UserError) as caught:
        read_dataset(root)
    error = caught.value
    assert error.code == code and error.where == name, str(error)
    assert problem in error.problem and remedy in error.remedy, str(error)
    assert "\n" not in str(error) and error.exit_code == 2
    assert tree(tmp_path) == before


def test_all_of_them_together_are_reported_exactly(tmp_path: Path) -> None:
    """Nothing is silently skipped: the skip list is the faulty files, and the data set the good ones."""
    root, wanted = good_folder(tmp_path), []
    for number, (case, (build, code, _, _, _)) in enumerate(FILES.items()):
        if "metadata" in case or "outside" in case or case in ("open quote", "folders linked in a circle"):
            continue
        place = root / f"case {number}"
        place.mkdir()
        build(place)
        wanted.append((f"case {number}", code))
    before = tree(tmp_path)
    data = read_dataset(root, skip_bad=len(wanted))
    skipped = [(fault["name"].partition("/")[0], fault["code"]) for fault in data.report["skipped"]]
    assert skipped == sorted(wanted) and len(wanted) > 35
    good = [name for name in data.names if "/" not in name]
    twins = [name for name in data.names if "/" in name]
    assert good == [f"{i}.png" for i in range(12)] and sorted(n.split("/")[1] for n in twins) == [
        "T.png",
        "e\u0301.png",
    ]
    assert tree(tmp_path) == before
    assert read_dataset(root, skip_bad=len(wanted)).fingerprint == data.fingerprint
    with pytest.raises(UserError, match=rf"\(\+{len(wanted) - 1} more\)") as caught:
        read_dataset(root, skip_bad=len(wanted) - 1)
    first = sorted(data.report["skipped"], key=lambda fault: fault["name"])[:5]
    assert caught.value.where == first[0]["name"]
    assert [note.split(": ")[0] for note in caught.value.__notes__] == [fault["name"] for fault in first[1:]]


@pytest.mark.parametrize(
    ("content", "name", "note"),
    [
        (encoded(GRAY, "JPEG", exif=b"Exif\0\0not a tiff at all"), "x.jpg", "bad EXIF ignored, not turned"),
        (encoded(COLOR, "PNG", icc_profile=b"no profile"), "x.png", "bad color profile ignored"),
    ],
)
def test_harmless_damage_is_a_warning(tmp_path: Path, content: bytes, name: str, note: str) -> None:
    root = good_folder(tmp_path)
    (root / name).write_bytes(content)
    data = read_dataset(root)
    assert len(data) == 13 and data.report["warnings"] == {note: 1} and data.report["skipped"] == []


@pytest.mark.parametrize("name", ["x.png", "sub"])
def test_no_permission(tmp_path: Path, name: str) -> None:
    root = good_folder(tmp_path)
    (root / "sub").mkdir()
    (root / "x.png").write_bytes(PNG)
    (root / name).chmod(0)
    if os.access(root / name, os.R_OK):
        pytest.skip("this user may read everything")
    try:
        with pytest.raises(UserError, match=rf"{name}: permission denied \(mode 000\); chmod u\+r") as caught:
            read_dataset(root)
    finally:
        (root / name).chmod(0o700)
    assert caught.value.code == "E-CHK-05"


def test_no_permission_as_any_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = good_folder(tmp_path)
    (root / "3.png").chmod(0o200)
    true_open = open

    def refusing(path: Any, *rest: Any, **options: Any) -> Any:
        if str(path).endswith("3.png"):
            raise PermissionError(13, "Permission denied")
        return true_open(path, *rest, **options)

    monkeypatch.setattr("builtins.open", refusing)
    with pytest.raises(UserError, match=r"^3.png: permission denied \(mode 200\); chmod u\+r") as caught:
        read_dataset(root)
    assert caught.value.code == "E-CHK-05"


def test_the_default_tolerance_is_one_in_a_thousand(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    content = encoded(array, "PNG")
    root = tmp_path / "root"
    root.mkdir()
    for i in range(999):
        (root / f"{i:04d}.png").write_bytes(content[:-16] + content[-16:])
    (root / "bad.png").write_bytes(b"")
    data = read_dataset(root, test=0, validation=0)
    assert len(data) == 999 and [fault["name"] for fault in data.report["skipped"]] == ["bad.png"]
    (root / "0000.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"0000.png: 0 bytes \(\+1 more\)"):
        read_dataset(root, test=0, validation=0)


# ---- the whole source ----


def sounds(root: Path) -> None:
    for i in range(3):
        (root / f"{i}.wav").write_bytes(b"RIFF")


SOURCES: dict[str, tuple[str, Build, str, str, str]] = {
    "absent": ("cats", lambda root: None, "E-CHK-01", "no such folder", "check the path"),
    "mistyped": ("catz", lambda root: (root / "cats").mkdir(), "E-CHK-01", "no such folder", "did you mean 'cats'?"),
    "archive": ("cats.zip", file("cats.zip", b"PK"), "E-CHK-02", "is an archive", "unpack it"),
    "one image": ("cat.png", file("cat.png", PNG), "E-CHK-02", "one image", "give its folder"),
    "odd file": ("cat.xyz", file("cat.xyz", PNG), "E-CHK-02", "is a file", "give a folder"),
    "empty": (".", lambda root: None, "E-CHK-03", "0 files", "put at least one image"),
    "only folders": (".", lambda root: (root / "a").mkdir(), "E-CHK-03", "0 files", "put at least one image"),
    "unsupported": (
        ".",
        all_of(*(file(f"{i}.heic", b"x") for i in range(4)), file("a.psd", b"x")),
        "E-CHK-04",
        ".heic ×4, .psd ×1",
        "convert",
    ),
    "several arrays": (".", all_of(file("a.npy", b"x"), file("b.npy", b"x")), "E-CHK-04", "2 array files", "name one"),
    "sound": (".", sounds, "E-TRN-13", "audio; this build trains on images", "folder of images"),
    "spreadsheet": ("t.xlsx", file("t.xlsx", b"PK"), "E-TRN-13", "a table in the format .xlsx", "save it as .csv"),
    "tables": (".", all_of(file("a.csv", b"a\n1"), file("b.csv", b"a\n1")), "E-CHK-04", "2 tables", "name one"),
    "text": ("t.md", file("t.md", b"a"), "E-TRN-13", "text in the format .md", ".txt file"),
    "no gzip": ("t.txt.gz", file("t.txt.gz", b"a"), "E-CHK-06", "damaged", "again"),
    "dangling": ("link", link("link", "nowhere"), "E-CHK-14", "broken", "remove the link"),
    "only bad": (".", file("x.png", b""), "E-CHK-07", "0 bytes", "remove"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_bad_source_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    name, build, code, problem, remedy = SOURCES[case]
    monkeypatch.chdir(tmp_path)
    build(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(UserError) as caught:
        read_dataset(name)
    error = caught.value
    assert error.code == code and error.where == ("x.png" if case == "only bad" else name), str(error)
    assert problem in error.problem and remedy in error.remedy, str(error)
    assert tree(tmp_path) == before


def test_everything_bad_and_all_tolerated_is_still_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(UserError, match="0 images could be read") as caught:
        read_dataset(tmp_path, skip_bad="100%")
    assert caught.value.code == "E-CHK-03"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "12 of 12 images have no label"),
        ("file_name,label\n" + "".join(f"{i}.png,a\n" for i in range(12)), "one class only: a ×12"),
        ("file_name,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(9)), "3 of 12 images have no label"),
        (
            "file_name,label\n" + "".join(f"{i}.png,{'ab'[i % 2] if i else ''}\n" for i in range(12)),
            "1 of 12 images have no label",
        ),
    ],
)
def test_labels_that_are_wanted_and_missing(tmp_path: Path, table: str, problem: str) -> None:
    root = good_folder(tmp_path)
    if table:
        (root / "metadata.csv").write_text(table)
    assert read_dataset(root).y is None
    with pytest.raises(UserError) as caught:
        read_dataset(root, labels=True)
    assert caught.value.code == "E-TRN-12" and problem in caught.value.problem and "class" in caught.value.remedy


# ---- headers that lie ----


def idx(shape: tuple[int, ...], body: bytes, magic: bytes | None = None) -> bytes:
    return (magic or bytes((0, 0, 8, len(shape)))) + struct.pack(f">{len(shape)}I", *shape) + body


X, Y = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
GOOD = idx((4, 8, 8), bytes(range(256)))
IDX: dict[str, tuple[dict[str, bytes], str, str, str]] = {
    "claims too much": ({X: idx((60000, 28, 28), bytes(99))}, "E-CHK-06", X, "47040000 bytes, the file has at most"),
    "claims petabytes": ({X: idx((2**32 - 1,) * 3, bytes(99))}, "E-CHK-06", X, "the file has at most 115"),
    "claims too much, zipped": (
        {X + ".gz": gzip.compress(idx((2**32 - 1,) * 3, bytes(99)))},
        "E-CHK-06",
        X,
        "the file has at most",
    ),
    "one byte short, zipped": (
        {X + ".gz": gzip.compress(idx((4, 8, 8), bytes(255)))},
        "E-CHK-06",
        X,
        "= 256 bytes, the file has 255",
    ),
    "bytes left over": ({X: GOOD + b"!"}, "E-CHK-06", X, "more than 256"),
    "short header": ({X: GOOD[:9]}, "E-CHK-06", X, "ends after 9 of 16"),
    "labels as images": ({X: idx((256,), bytes(256))}, "E-CHK-08", X, "begins with 00 00 08 01"),
    "another type": ({X: idx((4, 8, 8), bytes(256), b"\0\0\x0a\x03")}, "E-CHK-08", X, "begins with 00 00 0a 03"),
    "too few floats": (
        {X: idx((4, 8, 8), bytes(256), b"\0\0\x0d\x03")},
        "E-CHK-06",
        X,
        "= 1024 bytes, the file has at most",
    ),
    "empty": ({X: b""}, "E-CHK-07", X, "0 bytes"),
    "truncated gzip": ({X + ".gz": gzip.compress(GOOD)[:-9]}, "E-CHK-06", X, "is damaged"),
    "no gzip": ({X + ".gz": GOOD}, "E-CHK-06", X, "is damaged"),
    "labels of another number": ({X: GOOD, Y: idx((3,), b"\0\1\2")}, "E-CHK-18", X, "4 images but 3 labels"),
    "other sizes": ({X: GOOD, "t10k-images-idx3-ubyte": idx((1, 4, 4), bytes(16))}, "E-CHK-19", "", "sizes differ"),
}


@pytest.mark.parametrize("case", IDX)
def test_idx_files_that_lie(tmp_path: Path, case: str) -> None:
    files, code, name, problem = IDX[case]
    for key, content in files.items():
        (tmp_path / key).write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(UserError) as caught:
        read_dataset(tmp_path)
    assert caught.value.code == code and name in caught.value.where and problem in caught.value.problem, str(
        caught.value
    )
    assert caught.value.remedy and tree(tmp_path) == before


def npy(header: str, body: bytes) -> bytes:
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(padded)) + padded + body


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return file.getvalue()


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


class Trap:
    """Creates a file if anything unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/seisei-was-fooled",)


LIE = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }", bytes(99))
OBJECTS = saved(np.array([Trap()], dtype=object))
X8 = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)
ARRAYS: dict[str, tuple[str, bytes, str, str]] = {
    "npy that lies": ("x.npy", LIE, "E-CHK-06", "claims 1000000000000 x 28 x 28"),
    "npz that lies": ("x.npz", zipped(x=LIE), "E-CHK-06", "claims 1000000000000 x 28 x 28"),
    "npy short": ("x.npy", saved(X8)[:-5], "E-CHK-06", "= 768 bytes, the file has 763"),
    "npy of objects": ("x.npy", OBJECTS, "E-CHK-13", "Python objects"),
    "npz of objects": ("x.npz", zipped(x=OBJECTS), "E-CHK-13", "Python objects"),
    "pickle named npy": ("x.npy", b"\x80\x04\x95" + bytes(20), "E-CHK-08", "not in NumPy's format"),
    "npy with a bad header": ("x.npy", npy("{'descr': open('x')}", b""), "E-CHK-06", "header is damaged"),
    "npy of a negative length": (
        "x.npy",
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -2, 2), }", bytes(8)),
        "E-CHK-06",
        "claims",
    ),
    "npz cut off": ("x.npz", zipped(x=saved(X8))[:-40], "E-CHK-06", "is damaged"),
    "npz with a flipped bit": ("x.npz", flipped(zipped(x=saved(X8)), 300), "E-CHK-06", "is damaged"),
    "npz without images": (
        "x.npz",
        zipped(weights=saved(X8), bias=saved(X8)),
        "E-CHK-04",
        "its keys are weights, bias",
    ),
    "no images": ("x.npy", saved(X8[:0]), "E-CHK-03", "0 images"),
    "odd shape": ("x.npy", saved(X8.reshape(12, 2, 4, 8)[..., None]), "E-CHK-19", "has shape (12, 2, 4, 8, 1)"),
    "too bright": ("x.npy", saved(X8 / 2.0), "E-CHK-22", "wanted 0 to 1"),
    "a hole": (
        "x.npy",
        saved(np.where(np.arange(12)[:, None, None] == 7, np.nan, X8 / 255)),
        "E-CHK-22",
        "first in image 7",
    ),
    "below zero": ("x.npy", saved(X8.astype(np.int16) - 1), "E-CHK-22", "wanted 0 to 255"),
    "text": ("x.npy", saved(np.full((12, 8, 8), "a")), "E-CHK-22", "holds <U1"),
    "labels of another number": (
        "x.npz",
        zipped(x=saved(X8), y=saved(np.zeros(11, int))),
        "E-CHK-18",
        "12 images but 11 labels",
    ),
    "labels as floats": ("x.npz", zipped(x=saved(X8), y=saved(np.zeros(12))), "E-TRN-12", "float64"),
    "too small": ("x.npy", saved(X8[:, :7]), "E-CHK-10", "is 8x7 pixels, wanted at least 8x8"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_lie(tmp_path: Path, case: str) -> None:
    name, content, code, problem = ARRAYS[case]
    (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(UserError) as caught:
        read_dataset(tmp_path / name)
    assert caught.value.code == code and problem in caught.value.problem, str(caught.value)
    assert name in str(caught.value) and caught.value.remedy and tree(tmp_path) == before
    assert not Path("/tmp/seisei-was-fooled").exists()


def test_a_bomb_of_arrays_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 64, 64), np.uint8))
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(UserError, match="declares 0.0 GB in 0.0 MB > 0.0 GB; ") as caught:
        arrays_source(tmp_path / "x.npz", max_bytes=1_000_000)
    assert caught.value.code == "E-CHK-09" and caught.value.found == 4_096_128
    assert len(arrays_source(tmp_path / "x.npz", max_bytes=5_000_000).records) == 1000


def test_parquet_files_that_are_bad(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def refused(columns: dict[str, Any], cut: int = 0) -> UserError:
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table(columns), path)
        path.write_bytes(path.read_bytes()[: -cut or None])
        before = tree(tmp_path)
        with pytest.raises(UserError) as caught:
            read_dataset(path, source="parquet")
        assert "t.parquet" in caught.value.where and caught.value.remedy and tree(tmp_path) == before
        return caught.value

    cells = [{"bytes": PNG, "path": None}] * 3
    assert refused({"image": cells}, cut=30).code == "E-CHK-06"
    assert refused({"a": [1, 2], "b": ["x", "y"]}).problem == "no column holds images (there are a, b)"
    assert refused({"left": cells, "right": cells}).problem == "several columns hold images: left, right"
    broken = refused({"image": [*cells, {"bytes": PNG[:-2000], "path": None}]})
    assert broken.code == "E-CHK-06" and broken.where == "t.parquet:3" and "ends after" in broken.problem
    empty = refused({"image": [*cells, None, {"bytes": None, "path": "x.png"}]})
    assert empty.code == "E-CHK-07" and empty.where == "t.parquet:3" and "(+1 more)" in empty.problem
    assert refused({"image": pa.array([], pa.binary())}).code == "E-CHK-03"


def test_hub_names_that_are_none() -> None:
    with pytest.raises(UserError, match="hub:a/b/c: is not the name of a data set; write hub:owner/name") as caught:
        read_dataset("hub:a/b/c")
    assert caught.value.code == "E-CHK-01"
