"""Pathological pairs: each is refused by name with a code and a remedy in one line; nothing is written or modified."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from seisei.data.images.native_images import originals
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.modalities.image_io import encoded
from seisei.modalities.label_map import LabelMap


def read_pairs(given: Any, *, layout: Any = "auto", **options: Any) -> Any:
    return read_dataset(given, pairs=layout, **options)


RANDOM = np.random.default_rng(5)
GRAY = RANDOM.integers(0, 256, (16, 16), np.uint8)
COLOR = RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
DEEP = RANDOM.integers(0, 65536, (16, 16), np.uint16)
Build = Callable[[Path], object]
Case = tuple[Build, dict[str, Any], str, str, str, str]


def save(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.asarray(pixels)).save(path, **options)


def pairs(root: Path, count: int = 10) -> None:
    for i in range(count):
        save(root / "A" / f"{i}.png", GRAY // (i + 1))
        save(root / "B" / f"{i}.png", COLOR // (i + 1))


def beside(root: Path) -> None:
    for i in range(6):
        save(root / f"{i}.png", np.concatenate([COLOR // (i + 1), COLOR], 1))


def with_(*builds: Build, base: Build = pairs) -> Build:
    return lambda root: [build(root) for build in (base, *builds)]


def image(name: str, pixels: Any) -> Build:
    return lambda root: save(root / name, pixels)


def content(name: str, text: bytes) -> Build:
    return lambda root: (root / name).write_bytes(text)


def without(*names: str) -> Build:
    return lambda root: [(root / name).unlink() for name in names]


def link(name: str, target: str) -> Build:
    def build(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)

    return build


def locked(name: str) -> Build:
    return lambda root: (root / name).chmod(0)


def table(text: str, name: str = "metadata.csv") -> Build:
    return with_(content(name, text.encode()))


ROWS = "".join(f"A/{i}.png,B/{i}.png\n" for i in range(10))


def parquet(**columns: Any) -> Build:
    def build(root: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = io.BytesIO()
        PIL.Image.fromarray(GRAY).save(file, "PNG")
        cells = {name: [file.getvalue()] * 4 if value is None else value for name, value in columns.items()}
        pq.write_table(pa.table(cells), root / "p.parquet")

    return build


def several(root: Path) -> None:
    pairs(root, 4)
    for name in ("one.csv", "two.csv"):
        (root / name).write_text("x,y\nA/0.png,B/0.png\n")
    (root / "A").rename(root / "C")


def elsewhere(root: Path) -> None:
    pairs(root)
    save(root.parent / "outside.png", GRAY)
    (root / "metadata.csv").write_text("a,b\nA/0.png,../outside.png\n" + ROWS)


def classes(root: Path) -> None:
    for i in range(5):
        save(root / "cats" / f"{i}.png", GRAY)
        save(root / "dogs" / f"{i}.png", np.concatenate([GRAY, GRAY], 1))


def letters(root: Path) -> None:
    for i in range(4):
        save(root / "a" / f"x{i}.png", GRAY)
        save(root / "b" / f"y{i}.png", GRAY)


# What is built, how it is read, the code, the name in the message, words of the problem, words of the remedy.
CASES: dict[str, Case] = {
    "no partner": (
        with_(without("B/7.png")), {}, "E-CHK-18", "A/7.png", "has no B/7.*, 1 of 10 unpaired", "remove it",
    ),
    "no A": (with_(without("A/3.png")), {}, "E-CHK-18", "B/3.png", "has no A/3.*, 1 of 10 unpaired", "--skip-bad 1"),
    "several without partner": (
        with_(without(*(f"B/{i}.png" for i in range(7)))), {},
        "E-CHK-18", "A/0.png", "has no B/0.*, 7 of 10 unpaired (+6 more)", "--skip-bad 7",
    ),
    "a part without its other side": (
        with_(image("trainA/1.png", GRAY), image("trainB/1.png", GRAY), image("testA/1.png", GRAY), base=print),
        {}, "E-CHK-18", "testA/1.png", "has no test/b/1.*, 1 of 2 unpaired", "add its partner",
    ),
    "one name twice": (
        with_(image("A/4.bmp", GRAY)), {},
        "E-CHK-17", "A/4.png", "has the same name as A/4.bmp, and one partner", "remove or rename",
    ),
    "the only name twice": (
        with_(image("A/0.bmp", GRAY), base=lambda root: pairs(root, 1)), {},
        "E-CHK-17", "A/0.png", "has the same name as A/0.bmp", "remove or rename",
    ),
    "sides below another folder": (
        with_(image("cats/a/1.png", GRAY), image("cats/b/1.png", GRAY), base=print), {"pairs": "folders"},
        "E-TRN-14", "{root}", "2 images, folders cats", "two folders",
    ),
    "two sizes": (
        with_(image("B/2.png", COLOR[:, :12])), {},
        "E-CHK-19", "B/2.png", "is 12x16 pixels, and A/2.png 16x16", "--size or --fit",
    ),
    "two sizes of one shape": (
        with_(image("B/2.png", COLOR[::2, ::2])), {},
        "E-CHK-19", "B/2.png", "is 8x8 pixels, and A/2.png 16x16", "--size or --fit",
    ),
    "two shapes, a size asked for": (
        with_(image("B/2.png", COLOR[:, :12])), {"size": 8},
        "E-CHK-19", "B/2.png", "is 12x16 pixels, and A/2.png 16x16", "cut one of them",
    ),
    "1x1": (
        with_(image("A/2.png", GRAY[:1, :1]), image("B/2.png", GRAY[:1, :1])), {},
        "E-CHK-10", "A/2.png", "is 1x1 pixels, wanted at least 8x8", "--min-size",
    ),
    "halves too small": (
        with_(image("2.png", GRAY[:8, :8]), base=beside), {"pairs": "side-by-side", "size": 8},
        "E-CHK-10", "2.png", "is 4x8 pixels on each side, wanted at least 8x8", "--min-size",
    ),
    "an odd width": (
        with_(image("2.png", COLOR[:8, :15]), base=beside), {"pairs": "side-by-side", "size": 8},
        "E-CHK-19", "2.png", "is 15x8 pixels", "cut it to an even width",
    ),
    "a damaged side": (with_(content("B/5.png", b"")), {}, "E-CHK-07", "B/5.png", "0 bytes", "re-copy"),
    "both sides damaged": (
        with_(content("A/5.png", b"no"), content("B/5.png", b"")), {},
        "E-CHK-08", "A/5.png", "not an image", "replace",
    ),
    "what cannot be listed takes its partner along": (
        with_(link("A/5.png", "nowhere.png")), {},
        "E-CHK-05", "A/5.png", "is a link to a file that does not exist;", "remove",
    ),
    "mixed depth": (
        with_(*(image(f"A/{i}.png", DEEP) for i in (2, 6))), {},
        "E-CHK-12", "A/2.png", "has 16 bits, and side A has 8 bits ×8, 16 bits ×2", "--bits 8",
    ),
    "the first is the odd one": (
        with_(image("B/0.png", DEEP)), {},
        "E-CHK-12", "B/0.png", "has 16 bits, and side B has 8 bits ×9, 16 bits ×1", "--bits 8",
    ),
    "floating point among whole numbers": (
        with_(without("B/9.png"), image("B/9.tiff", GRAY.astype(np.float32))), {},
        "E-CHK-12", "B/9.tiff", "has floating point, and side B has 8 bits ×9, floating point ×1", "--bits 8",
    ),
    "mixed channels": (
        with_(without("B/9.png"), content("B/9.tiff", encoded(np.zeros((16, 16, 5), np.uint8)).content)), {},
        "E-CHK-12", "B/9.tiff", "has 8 bits in 5 channels, and side B has 8 bits ×9, 8 bits in 5 channels ×1",
        "save all alike",
    ),
    "a label map beside": (
        with_(*(image(f"{i}.png", np.concatenate([DEEP, DEEP], 1)) for i in range(6)), base=print),
        {"label_map": True, "bits": 8, "direction": "b-to-a"},
        "E-CHK-12", "0.png", "holds uint16", "8-bit PNG",
    ),
    "not finite": (
        with_(without("B/9.png"), image("B/9.tiff", np.full((16, 16), np.nan, np.float32))), {},
        "E-CHK-12", "B/9.tiff", "not finite", "replace",
    ),
    "floating point in a frame": (
        with_(*(image(f"{s}/{i}.tiff", GRAY.astype(np.float32)) for i in range(4) for s in "AB"), base=print),
        {"size": (8, 16), "fit": "pad"}, "E-TRN-13", "--fit pad", "A is floating point", "--fit crop",
    ),
    "classes": (
        classes, {}, "E-TRN-14", "{root}", "10 images in 2 folders, 5 of them wide enough to be two side by side",
        "two folders a and b",
    ),
    "folders of other names": (
        classes, {"pairs": "folders"}, "E-TRN-14", "{root}", "10 images, folders cats, dogs;", "two folders a and b",
    ),
    "many folders": (
        with_(*(image(f"{name}/1.png", GRAY) for name in "efcdgh"), base=print), {"pairs": "folders"},
        "E-TRN-14", "{root}", "6 images, folders c, d, e, f, g, …;", "two folders a and b",
    ),
    "no folders": (beside, {"pairs": "folders"}, "E-TRN-14", "{root}", "6 images, folders none;", "two folders"),
    "no two of one name": (
        letters, {}, "E-TRN-14", "{root}", "4 in a and 4 in b, and no two have the same name", "same names",
    ),
    "one side alone": (
        with_(image("a/1.png", GRAY), base=print), {}, "E-TRN-14", "{root}", "1 images, 0 of them", "side by side",
    ),
    "sides of two conventions": (
        with_(image("a/1.png", GRAY), image("target/1.png", GRAY), base=print), {"pairs": "folders"},
        "E-TRN-14", "{root}", "folders a, target", "two folders a and b",
    ),
    "no table": (
        with_(content("t.csv", b"x,y\n1,2\n")), {"pairs": "columns"},
        "E-TRN-14", "{root}", "no table has two columns that name images (tables: t.csv with x, y)", "metadata.csv",
    ),
    "no table at all": (pairs, {"pairs": "columns"}, "E-TRN-14", "{root}", "(tables: none)", "metadata.csv"),
    "a column that is not there": (
        table("a,b\n" + ROWS), {"column_a": "c", "column_b": "b"},
        "E-CHK-04", "{root}", "has no image column 'c'", "choose from: a, b",
    ),
    "a column that holds none": (
        table("a,b,c\n" + ROWS.replace("\n", ",1\n")), {"column_a": "c"},
        "E-CHK-04", "{root}", "several columns hold images: a, b", "--column-a and --column-b",
    ),
    "one column twice": (
        table("a,b\n" + ROWS), {"column_a": "a", "column_b": "a"},
        "E-CHK-04", "{root}", "both sides are column 'a'", "name two columns",
    ),
    "three columns": (
        table("a,b,c\n" + ROWS.replace("\n", ",A/0.png\n")), {},
        "E-CHK-04", "{root}", "several columns hold images: a, b, c", "--column-a and --column-b",
    ),
    "three columns and one name": (
        table("a,b,c\n" + ROWS.replace("\n", ",A/0.png\n")), {"column_b": "c"},
        "E-CHK-04", "{root}", "several columns hold images: a, b, c", "--column-a",
    ),
    "several tables": (several, {}, "E-CHK-04", "{root}", "several tables name images: one.csv, two.csv", "give one"),
    "a ragged row": (
        table("a,b\n" + ROWS + "A/1.png\n"), {}, "E-CHK-21", "metadata.csv:12", "1 fields, header has 2", "fix",
    ),
    "a row without an image": (
        table("a,b\nA/1.png,\n" + ROWS), {}, "E-CHK-18", "metadata.csv:2", "names no image in b", "name it",
    ),
    "a row of nothing": (
        table('{"a": "A/1.png", "b": "B/1.png"}\n{"a": null, "b": "B/2.png"}\n', "metadata.jsonl"), {},
        "E-CHK-18", "metadata.jsonl:2", "names no image in a", "name it",
    ),
    "a row of blanks": (
        table("a,b\nA/1.png,B/1.png\n ,B/2.png\n"), {"column_a": "a", "column_b": "b"},
        "E-CHK-18", "metadata.csv:3", "names no image in a", "name it",
    ),
    "a row of a file that is not there": (
        table("a,b\n" + ROWS + "A/99.png,B/0.png\n"), {},
        "E-CHK-21", "metadata.csv:12", "names A/99.png, which does not exist", "remove the row",
    ),
    "a file outside": (elsewhere, {}, "E-CHK-15", "metadata.csv:2", "../outside.png", "--follow-outside"),
    "jsonl that is not": (
        table("{]\n", "metadata.jsonl"), {}, "E-CHK-21", "metadata.jsonl:1", "is not JSON", "fix the line",
    ),
    "a table without images": (
        with_(content("t.csv", b"x,y\n1,2\n")), {"given": "t.csv"},
        "E-TRN-14", "{root}/t.csv", "image columns: none", "two folders",
    ),
    "a table as folders": (
        with_(content("t.csv", b"x,y\n1,2\n")), {"given": "t.csv", "pairs": "folders"},
        "E-TRN-14", "{root}/t.csv", "--pairs is folders", "two folders",
    ),
    "one column of parquet": (
        parquet(image=None, split=["train"] * 4), {"given": "p.parquet", "pairs": "columns"},
        "E-TRN-14", "{root}/p.parquet", "image columns: image", "two folders",
    ),
    "three columns of parquet": (
        parquet(a=None, b=None, c=None), {"given": "p.parquet"},
        "E-CHK-04", "{root}/p.parquet", "several columns hold images: a, b, c", "--column-a",
    ),
    "no such column of parquet": (
        parquet(black=None, color=None), {"given": "p.parquet", "column_a": "blak"},
        "E-CHK-04", "{root}/p.parquet", "no image column 'blak'", "did you mean 'black'",
    ),
    "parquet as folders": (
        parquet(black=None, color=None), {"given": "p.parquet", "pairs": "folders"},
        "E-TRN-14", "{root}/p.parquet", "image columns black, color", "two folders",
    ),
    "a cell without bytes": (
        parquet(a=None, b=[b"", None, None, None]), {"given": "p.parquet"},
        "E-CHK-07", "p.parquet:0", "has no bytes in 'b' (+3 more)", "remove the row",
    ),
    "damaged parquet": (
        content("p.parquet", b"PAR1 and no more"), {"given": "p.parquet"},
        "E-CHK-06", "p.parquet", "is damaged", "get the file again",
    ),
    "one image": (pairs, {"given": "A/1.png"}, "E-CHK-02", "{root}/A/1.png", "is one image", "folder above"),
    "nothing there": (print, {"given": "nowhere"}, "E-CHK-01", "{root}/nowhere", "no such folder", "check the path"),
    "no such table": (print, {"given": "nowhere.csv"}, "E-CHK-01", "{root}/nowhere.csv", "no such file", "the path"),
    "columns of no table": (
        pairs, {"column_a": "x"}, "E-TRN-14", "{root}", "no table has two columns that name images", "metadata.csv",
    ),
    "beside, in two columns": (
        parquet(a=None, b=None), {"given": "p.parquet", "pairs": "side-by-side"},
        "E-CHK-04", "{root}/p.parquet", "several columns hold images: a, b", "--column a",
    ),
    "parquet without images": (
        parquet(n=[1, 2]), {"pairs": "folders"}, "E-TRN-14", "{root}", "image columns none", "two folders",
    ),
    "wide and odd": (
        with_(*(image(f"{i}.png", COLOR[:8, :15]) for i in range(4)), base=print), {},
        "E-TRN-14", "{root}", "4 images, 0 of them wide enough", "side by side",
    ),
    "an empty folder": (print, {}, "E-CHK-03", "{root}", "0 files", "put at least one"),
    "only what cannot be listed": (
        with_(lambda root: (root / "a").mkdir(), link("a/1.png", "nowhere"), base=print), {},
        "E-CHK-05", "a/1.png", "is a link", "remove",
    ),
    "a text": (content("t.txt", b"a\nb\n"), {"given": "t.txt"}, "E-TRN-14", "{root}/t.txt", "texts", "two folders"),
    "columns named for another layout": (
        pairs, {"pairs": "folders", "column_b": "x"}, "E-TRN-13", "--column-b", "--pairs is folders", "leave it out",
    ),
    "options of tables": (pairs, {"target": "x"}, "E-TRN-13", "--target", "these data are image pairs", "leave it out"),
    "options of pairs without pairs": (
        pairs, {"pairs": None, "label_map": True},
        "E-TRN-13", "--label-map", "is for image pairs", "pass --pairs auto",
    ),
    "a direction without pairs": (
        pairs, {"pairs": None, "direction": "b-to-a"},
        "E-TRN-13", "--direction", "is for image pairs", "pass --pairs auto",
    ),
    "no layout": (pairs, {"pairs": "folder"}, "E-TRN-07", "--pairs", "folder", "folders"),
    "no direction": (pairs, {"direction": "a-b"}, "E-TRN-07", "--direction", "a-b", "a-to-b"),
    "a photograph as a label map": (
        with_(image("A/0.png", RANDOM.integers(0, 256, (16, 16, 3), np.uint8))), {"label_map": True},
        "E-TRN-13", "--label-map", "{colors} colors, wanted at most 64", "leave it out",
    ),
    "a deep label map": (
        with_(image("A/0.png", DEEP)), {"label_map": True, "bits": 8},
        "E-CHK-12", "A/0.png", "uint16 in 1 channels, wanted 8-bit gray or color", "8-bit PNG",
    ),
    "too few pairs": (
        lambda root: pairs(root, 2), {},
        "E-TRN-11", "{root}", "2 different pairs leave validation or test", "add pairs",
    ),
}  # fmt: skip


def state(root: Path) -> dict[str, Any]:
    """Everything below a folder that could have been modified."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in [root, *root.rglob("*")]
    }


def refused(given: Any, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        read_dataset(given, labels=None, **{"pairs": "auto", **options})
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_bad_pairs_are_refused_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, options, code, where, problem, remedy = CASES[name]
    root, cache = tmp_path / "data", tmp_path / "cache"
    root.mkdir()
    build(root)
    before = state(root)
    options = {"cache": cache, "memory_limit": 0, **options}
    given = root / options.pop("given", "")
    error = refused(given, **options)
    if "{colors}" in problem:
        seen = {tuple(c) for i in range(10) for c in read(root / "A" / f"{i}.png").reshape(-1, 3).tolist()}
        problem = problem.replace("{colors}", str(len(seen)))
    line = str(error)
    assert (error.code, error.where) == (code, where.replace("{root}", str(root)))
    assert problem in line and remedy in error.remedy and "\n" not in line
    assert "--bits" not in line or "--bits" in remedy
    assert state(root) == before
    # What was read well is kept for another try, with fewer parts.
    assert code == "E-TRN-11" or not cache.exists() or not list(cache.iterdir())


def read(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path).convert("RGB"))


ARRAYS: dict[str, tuple[Any, dict[str, Any], str, str, str]] = {
    "other keys": ({"x": GRAY[None], "y": GRAY[None]}, {}, "E-TRN-14", "arrays", "its keys are x, y"),
    "one array": (np.stack([GRAY] * 4), {}, "E-TRN-14", "arrays", "a ndarray"),
    "one array of two": (np.stack([GRAY] * 2), {}, "E-TRN-14", "arrays", "a ndarray"),
    "three arrays": ((GRAY[None],) * 3, {}, "E-TRN-14", "arrays", "a tuple"),
    "two words": (["a", "b"], {}, "E-TRN-14", "arrays", "a list"),
    "no keys": ({}, {}, "E-TRN-14", "arrays", "its keys are none"),
    "words instead of numbers": (
        (np.full((4, 16, 16), "x"), np.stack([GRAY] * 4)), {}, "E-CHK-22", "arrays A", "holds <U1",
    ),
    "other lengths": (
        (np.stack([GRAY] * 4), np.stack([GRAY] * 3)), {}, "E-CHK-18", "arrays", "4 images of A but 3 of B",
    ),
    "a part of one side": (
        {"a": np.stack([GRAY] * 4), "b": np.stack([GRAY] * 4), "a_test": GRAY[None]}, {},
        "E-CHK-18", "arrays", "test: has no b",
    ),
    "parts of two types": (
        {"a_train": GRAY[None], "a_test": DEEP[None], "b_train": GRAY[None], "b_test": GRAY[None]}, {},
        "E-CHK-12", "arrays A", "uint8 ×1, uint16 ×1",
    ),
    "parts of two shapes": (
        {"a_train": GRAY[None], "a_test": GRAY[None, :8], "b_train": GRAY[None], "b_test": GRAY[None]}, {},
        "E-CHK-19", "arrays A", "the splits have different shapes",
    ),
    "sides of two sizes": (
        (np.stack([GRAY] * 4), np.stack([GRAY[:8]] * 4)), {}, "E-CHK-19", "B pair:0", "16x8 pixels, and A pair:0 16x16",
    ),
    "not finite": (
        (np.stack([GRAY / 1, np.full((16, 16), np.inf)]), np.stack([GRAY] * 2)), {},
        "E-CHK-22", "arrays A", "not finite (first in image 1)",
    ),
    "all the same": (
        (np.full((20, 8, 8), 0.5), np.arange(20 * 64).reshape(20, 8, 8) / 7.0), {}, "E-TRN-11", "arrays", "1 different",
    ),
    "one value to make": (
        (np.arange(20 * 64).reshape(20, 8, 8) / 7.0, np.full((20, 8, 8), 0.5)), {},
        "E-CHK-22", "arrays", "every training value of side B is 0.5",
    ),
    "too large for 8 bits": (
        (np.stack([GRAY / 1] * 4), np.stack([GRAY] * 4)), {"bits": 8}, "E-CHK-22", "arrays A", "wanted 0 to 1",
    ),
    "too large whole numbers": (
        (np.stack([GRAY] * 4).astype(np.int64) * 9, np.stack([GRAY] * 4)), {}, "E-CHK-22", "arrays A", "0 to 255",
    ),
    "no images": ((GRAY[None, None, None], GRAY[None, None, None]), {}, "E-CHK-19", "arrays A", "has shape"),
    "none": ((GRAY[None][:0], GRAY[None][:0]), {}, "E-CHK-03", "arrays A", "0 images"),
    "small": ((np.stack([GRAY[:4]] * 4), np.stack([GRAY[:4]] * 4)), {}, "E-CHK-10", "A pair:0", "16x4"),
    "another layout": (
        (np.stack([GRAY] * 4), np.stack([GRAY] * 4)), {"pairs": "side-by-side"}, "E-TRN-13", "--pairs side-by-side",
        "is for files",
    ),
    "columns": (
        (np.stack([GRAY] * 4), np.stack([GRAY] * 4)), {"column_a": "x"}, "E-TRN-13", "--column-a", "is for files",
    ),
    "channels that are none": (
        (RANDOM.normal(0, 1, (4, 16, 16, 5)), np.stack([GRAY] * 4)), {"channels": 3},
        "E-*-20", "A pair:0", "has 5 channels, wanted 3",
    ),
    "objects": ((np.array([[[None]]]), np.array([[[None]]])), {}, "E-CHK-13", "arrays", "Python objects"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_bad_arrays_of_pairs_are_refused(name: str) -> None:
    given, options, code, where, problem = ARRAYS[name]
    error = refused(given, **options)
    assert (error.code, error.where) == (code, where)
    assert problem in str(error) and error.remedy and "\n" not in str(error)


def test_a_file_of_one_array_is_no_pairs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", GRAY[None])
    error = refused(tmp_path / "x.npy")
    assert (error.code, error.problem) == ("E-TRN-14", "holds no image pairs: one array")
    assert refused("digits").code == "E-TRN-14"


def test_faults_are_counted_the_first_five_are_named(tmp_path: Path) -> None:
    pairs(tmp_path)
    for i in range(7):
        (tmp_path / "B" / f"{i}.png").unlink()
    error = refused(tmp_path)
    assert [note.partition(":")[0] for note in error.__notes__] == [f"A/{i}.png" for i in range(1, 5)]


def test_as_many_faulty_pairs_as_allowed_are_left_out(tmp_path: Path) -> None:
    pairs(tmp_path)
    (tmp_path / "A" / "1.png").write_bytes(b"")
    (tmp_path / "B" / "1.png").write_bytes(b"")  # one pair, one fault
    (tmp_path / "B" / "2.png").unlink()
    save(tmp_path / "B" / "3.png", GRAY[:8])
    save(tmp_path / "A" / "4.bmp", GRAY)
    assert refused(tmp_path, skip_bad=3).code == "E-CHK-07"
    data = read_pairs(tmp_path, skip_bad=4)
    assert data.names == [f"A/{i}.png" for i in (0, 5, 6, 7, 8, 9)]
    left = {(fault["name"], fault["code"]) for fault in data.report["skipped"]}
    assert left == {("A/1.png", "E-CHK-07"), ("A/2.png", "E-CHK-18"), ("B/3.png", "E-CHK-19"), ("A/4.png", "E-CHK-17")}
    assert (data.report["total"], data.report["kept"]) == (10, 6)
    whole = read_pairs(tmp_path, skip_bad="40%")
    assert whole.fingerprint == data.fingerprint
    for i in (0, 5, 6, 7, 8, 9):
        (tmp_path / "A" / f"{i}.png").write_bytes(b"")
    assert refused(tmp_path, skip_bad="100%").code == "E-CHK-03"


def test_what_points_outside_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    elsewhere(tmp_path / "data")
    assert len(read_pairs(tmp_path / "data", follow_outside=True)) == 11


@pytest.mark.parametrize("name", ["metadata.csv", "B/1.png"])
def test_what_may_not_be_read_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs(tmp_path)
    (tmp_path / "metadata.csv").write_text("a,b\n" + ROWS)
    opened = Path.read_text if name == "metadata.csv" else open

    def denied(path: Any, *rest: Any, **options: Any) -> Any:
        if str(path).endswith(name):
            raise PermissionError(13, "denied")
        return opened(path, *rest, **options)

    if name == "metadata.csv":
        monkeypatch.setattr(Path, "read_text", denied)
    else:
        monkeypatch.setattr("builtins.open", denied)
    error = refused(tmp_path)
    assert (error.code, error.where) == ("E-CHK-05", name) and "permission denied" in error.problem


def test_frames_are_refused_or_the_first_is_taken(tmp_path: Path) -> None:
    pairs(tmp_path)
    (tmp_path / "A" / "1.png").unlink()
    others = [PIL.Image.fromarray(GRAY // 3)]
    PIL.Image.fromarray(GRAY).save(tmp_path / "A" / "1.gif", save_all=True, append_images=others)
    assert (refused(tmp_path).code, refused(tmp_path).where) == ("E-CHK-11", "A/1.gif")
    assert len(read_pairs(tmp_path, first_frame=True)) == 10


def test_a_stopped_reading_leaves_nothing(tmp_path: Path) -> None:
    pairs(tmp_path / "data")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pairs(tmp_path / "data", cache=tmp_path / "cache", memory_limit=0, progress=stop)
    assert not list((tmp_path / "cache").iterdir())


# ---- what a trained model is given ----


def test_a_color_that_training_had_not_is_refused() -> None:
    maps = LabelMap(8, 8, ((0, 0, 0), (255, 0, 0)))
    wrong = np.zeros((8, 8, 3), np.uint8)
    wrong[3, 4:6] = (1, 2, 3)
    with pytest.raises(UserError) as caught:
        maps.pack(wrong)
    assert caught.value.code == "E-TRL-22" and "#010203" in caught.value.problem and "2 such" in caught.value.problem
    assert "#000000, #ff0000" in caught.value.remedy
    with pytest.raises(UserError) as caught:
        maps.pack(wrong[:4])
    assert caught.value.code == "E-*-19"
    with pytest.raises(UserError) as caught:
        maps.pack(np.zeros((8, 8, 5), np.uint8))
    assert caught.value.code == "E-CHK-12"
    with pytest.raises(UserError) as caught:
        maps.pack(np.zeros((8, 8), np.uint16))
    assert caught.value.code == "E-CHK-12"
    assert torch.equal(maps.pack(np.zeros((8, 8), np.uint8)), torch.zeros(1, 8, 8, dtype=torch.uint8))


def test_originals_that_are_not_there(tmp_path: Path) -> None:
    for given, code in (
        ([], "E-CHK-03"), (GRAY[None][:0], "E-CHK-03"), (tmp_path / "no", "E-CHK-01"), (["a", "b"], "E-CHK-04"),
    ):  # fmt: skip
        with pytest.raises(UserError) as caught:
            originals(given)
        assert caught.value.code == code
    np.savez(tmp_path / "x.npz", a=GRAY, b=GRAY)
    with pytest.raises(UserError) as caught:
        originals(tmp_path / "x.npz")
    assert (caught.value.code, caught.value.problem) == ("E-CHK-04", "holds several arrays: a, b")
    np.savez(tmp_path / "y.npz")
    with pytest.raises(UserError) as caught:
        originals(tmp_path / "y.npz")
    assert (caught.value.code, caught.value.problem) == ("E-CHK-04", "holds no array")
    for wrong in (-1, 256):
        with pytest.raises(UserError) as caught:
            next(iter(originals(np.full((2, 8, 8), wrong))))
        assert (caught.value.code, caught.value.where) == ("E-*-14", "image:0")
    save(tmp_path / "p" / "1.png", GRAY)
    (tmp_path / "p" / "2.png").symlink_to("nowhere")
    with pytest.raises(UserError) as caught:
        originals(tmp_path / "p")
    assert (caught.value.code, caught.value.where) == ("E-CHK-05", "2.png")
    save(tmp_path / "q" / "1.png", GRAY)
    with pytest.raises(UserError) as caught:
        next(iter(originals(tmp_path / "q", max_pixels=100)))
    assert (caught.value.code, caught.value.where) == ("E-CHK-09", "1.png")
