"""Pairs of images: every layout gives the same two sides, whole, as deep as they are; label maps are exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from seisei.data import store
from seisei.data.dataset import Dataset
from seisei.data.images.native_images import originals
from seisei.data.pairs import open as pair_open
from seisei.data.pairs.source import told
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import png_bytes, read_image, save_png
from seisei.modalities.label_map import LabelMap, nearest
from seisei.schema import Schema


def read_pairs(given: Any, *, layout: Any = "auto", **options: Any) -> Any:
    return read_dataset(given, pairs=layout, **options)


RANDOM = np.random.default_rng(11)
COUNT = 12
# A is gray, B is in color.
A = RANDOM.integers(0, 256, (COUNT, 16, 12), np.uint8)
B = RANDOM.integers(0, 256, (COUNT, 16, 12, 3), np.uint8)
RED, GREEN, BLACK = (255, 0, 0), (0, 200, 0), (0, 0, 0)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png" and pixels.dtype == np.uint8:
        save_png(path, pixels)
    else:
        PIL.Image.fromarray(pixels).save(path)


def two_folders(root: Path, a: str = "a", b: str = "b", suffix: str = ".png") -> Path:
    for i in range(COUNT):
        save(root / a / f"{i}.png", A[i])
        save(root / b / f"{i}{suffix}", B[i])
    return root


def in_parts(form: str) -> Callable[[Path], Path]:
    """Pairs in folders whose names tell the part and the side."""

    def build(root: Path) -> Path:
        for i in range(COUNT):
            part = ["train", "train", "train", "train", "train", "train", "val", "val", "test"][i % 9]
            for side, pixels in (("A", A[i]), ("B", B[i])):
                name = form.format(part=part, side=side, lower=side.lower())
                save(root / name / f"{i}.png", pixels)
        return root

    return build


def side_by_side(root: Path) -> Path:
    for i in range(COUNT):
        save(root / f"{i}.png", np.concatenate([np.stack([A[i]] * 3, -1), B[i]], 1))
    return root


def table(text: Callable[[int], str], head: str, name: str) -> Callable[[Path], Path]:
    def build(root: Path) -> Path:
        for i in range(COUNT):
            save(root / "p" / f"line{i}.png", A[i])
            save(root / "p" / f"paint{i}.png", B[i])
        (root / name).write_text(head + "".join(text(i) + "\n" for i in range(COUNT)), "utf-8")
        return root

    return build


def json_row(i: int) -> str:
    return json.dumps({"id": i, "given": f"p/line{i}.png", "wanted": f"p/paint{i}.png"})


def csv_row(i: int) -> str:
    return f"{i},p/line{i}.png,p/paint{i}.png,{'test' if i in (2, 7) else 'train'}"


def parquet(root: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "split": ["test" if i == 4 else "train" for i in range(COUNT)],
        "line": [png_bytes(A[i]) for i in range(COUNT)],
        "paint": [{"bytes": png_bytes(B[i]), "path": None} for i in range(COUNT)],
    }
    pq.write_table(pa.table(columns), root / "pairs.parquet", row_group_size=5)
    return root / "pairs.parquet"


def arrays_file(root: Path) -> Path:
    np.savez(root / "pairs.npz", input=A, target=B)
    return root / "pairs.npz"


LAYOUTS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a and b": ("folders", two_folders),
    "A and B": ("folders", lambda root: two_folders(root, "A", "B")),
    "input and target": ("folders", lambda root: two_folders(root, "input", "target")),
    "source and target": ("folders", lambda root: two_folders(root, "source", "target", ".bmp")),
    "trainA": ("folders", in_parts("{part}{side}")),
    "train_a": ("folders", in_parts("{part}_{lower}")),
    "train/a": ("folders", in_parts("{part}/{lower}")),
    "a/train": ("folders", in_parts("{side}/{part}")),
    "side-by-side": ("side-by-side", side_by_side),
    "metadata.csv": ("columns", table(csv_row, "id,given,wanted,split\n", "metadata.csv")),
    "metadata.jsonl": ("columns", table(json_row, "", "metadata.jsonl")),
    "another table": ("columns", table(csv_row, "id,given,wanted,split\n", "list.csv")),
    "parquet": ("columns", parquet),
    "folder of parquet": ("columns", lambda root: parquet(root).parent),
    "npz": ("arrays", arrays_file),
    "mapping": ("arrays", lambda root: {"a": A, "b": torch.from_numpy(B)}),
    "tuple": ("arrays", lambda root: (A, B.transpose(0, 3, 1, 2))),
}


def by_number(data: Dataset) -> dict[bytes, bytes]:
    """The bytes of the one side by those of the other, as a model sees them."""
    batch = data.batch(torch.arange(len(data)))
    assert batch.y is not None
    return {y.numpy().tobytes(): x.numpy().tobytes() for x, y in zip(batch.x, batch.y, strict=True)}


def expected() -> dict[bytes, bytes]:
    return {
        (A[i][None].astype(np.float32) / 255).tobytes(): np.ascontiguousarray(
            B[i].transpose(2, 0, 1).astype(np.float32) / 255
        ).tobytes()
        for i in range(COUNT)
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_both_sides_whole(name: str, tmp_path: Path) -> None:
    layout, build = LAYOUTS[name]
    data = read_dataset(build(tmp_path), pairs="auto", labels=None)
    assert (data.report["kind"], data.report["pairs"], data.report["noun"]) == (f"pairs ({layout})", layout, "image")
    assert data.schema == Schema(Image(16, 12, 3), Image(16, 12, 1))
    assert data.y is not None and (data.x.shape, data.y.shape) == ((COUNT, 3, 16, 12), (COUNT, 1, 16, 12))
    assert by_number(data) == expected()
    assert sorted(i for part in data.splits.values() for i in part.tolist()) == list(range(COUNT))
    assert len(set(data.names)) == COUNT and data.report["kept"] == COUNT and data.report["in_memory"]
    assert data.report["sizes"] == {"12x16": COUNT} and data.report["size_rule"] == "the size of every image"
    assert data.report["depths"] == {"A": "8 bits", "B": "8 bits"} and data.report["bytes"] == A.size + B.size
    assert data.report["ignored"] == {}
    if layout != "side-by-side":  # there a side has the other's mode
        modes = {"A: L": COUNT, "B: RGB": COUNT}
        assert data.report["modes"] == modes


@pytest.mark.parametrize("name", ["trainA", "train_a", "train/a", "a/train"])
def test_folders_tell_the_parts(name: str, tmp_path: Path) -> None:
    data = read_pairs(LAYOUTS[name][1](tmp_path))
    assert data.report["splits"] == {"train": 9, "validation": 2, "test": 1}
    assert data.report["splits_given"] == ["test", "train", "validation"]


def test_a_folder_named_as_a_part_among_others_is_a_folder(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "a" / ("test" if i == 0 else "x") / f"{i}.png", A[i])
        save(tmp_path / "b" / ("test" if i == 0 else "x") / f"{i}.png", B[i])
    assert read_pairs(tmp_path).report["splits_given"] == []


def test_pairs_are_ordered_by_their_part_and_as_people_count(tmp_path: Path) -> None:
    for i, (a, b) in enumerate([("trainA", "trainB"), ("a", "b"), ("testA", "testB")] * 4):
        save(tmp_path / a / f"{COUNT - i}.png", A[i])
        save(tmp_path / b / f"{COUNT - i}.png", B[i])
    names = [f"{s}/{i}.png" for s, first in (("a", 2), ("testA", 1), ("trainA", 3)) for i in range(first, COUNT + 1, 3)]
    assert read_pairs(tmp_path).names == names


def test_a_folder_of_a_side_may_hold_one_of_the_other_s_name(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "trainA" / "b" / f"{i}.png", A[i])
        save(tmp_path / "trainB" / "b" / f"{i}.png", B[i])
    data = read_pairs(tmp_path)
    assert len(data) == 6 and data.report["notes"][0] == "the folders trainA, trainB: a is A, b is B"


def test_parts_of_side_by_side_tables_parquet_and_arrays(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "beside" / ["train", "test"][i == 5] / f"{i}.png", np.concatenate([A[i], A[i]], 1))
    data = read_pairs(tmp_path / "beside")
    assert [data.names[i] for i in data.splits["test"]] == ["test/5.png"]
    (tmp_path / "t").mkdir()
    root = LAYOUTS["metadata.csv"][1](tmp_path / "t")
    data = read_pairs(root / "metadata.csv")
    assert [data.names[i] for i in data.splits["test"]] == ["p/line2.png", "p/line7.png"]
    assert data.fingerprint != read_pairs(root, validation=0.2).fingerprint
    data = read_pairs(parquet(tmp_path))
    assert [data.names[i] for i in data.splits["test"]] == ["pairs.parquet:4"]
    parts = {"a_train": A[:8], "b_train": B[:8], "testA": A[8:], "testB": B[8:]}
    data = read_pairs(parts, validation=0)
    assert data.splits["test"].tolist() == [8, 9, 10, 11] and data.names[8] == "test:0"
    assert by_number(data) == expected()


def test_a_table_in_each_part_and_one_that_only_describes(tmp_path: Path) -> None:
    for i in range(6):
        part = "test" if i == 5 else "train"
        save(tmp_path / part / f"l{i}.png", A[i])
        save(tmp_path / part / f"p{i}.png", B[i])
        with open(tmp_path / part / "metadata.csv", "a", encoding="utf-8") as file:
            file.write(f"one,two\nl{i}.png,p{i}.png\n" if i in (0, 5) else f"l{i}.png,p{i}.png\n")
    data = read_pairs(tmp_path)
    assert data.report["pairs"] == "columns" and [data.names[i] for i in data.splits["test"]] == ["test/l5.png"]
    other = two_folders(tmp_path / "other")
    (other / "metadata.csv").write_text("file_name,caption\na/0.png,zero\n", "utf-8")
    (other / "notes.csv").write_text("a,b\n1\n", "utf-8")  # ragged, and nobody has to read it
    assert read_pairs(other).report["pairs"] == "folders"


def test_direction_swaps_what_is_given(tmp_path: Path) -> None:
    two_folders(tmp_path)
    there, back = read_pairs(tmp_path), read_pairs(tmp_path, direction="b-to-a")
    assert back.schema == Schema(there.schema.y, there.schema.x) and there.report["direction"] == "a-to-b"
    assert back.y is not None and there.y is not None
    assert torch.equal(back.x, there.y) and torch.equal(back.y, there.x) and back.report["direction"] == "b-to-a"
    assert back.fingerprint != there.fingerprint


def test_columns_are_named_where_there_are_more_than_two(tmp_path: Path) -> None:
    root = table(lambda i: f"p/line{i}.png,p/paint{i}.png,p/line{i}.png", "x,y,z\n", "metadata.csv")(tmp_path)
    data = read_dataset(root, pairs="columns", column_a="z", column_b="y")
    assert by_number(data) == expected()
    swapped = read_pairs(parquet(tmp_path), column_a="paint")
    assert (swapped.schema.y, swapped.schema.x) == (Image(16, 12, 3), Image(16, 12, 1))
    assert read_pairs(tmp_path / "pairs.parquet", column_b="paint").schema.x == Image(16, 12, 3)


def test_a_named_column_may_hold_any_names_and_metadata_come_first(tmp_path: Path) -> None:
    root = table(lambda i: f"p/line{i},p/paint{i}.png", "x,y\n", "metadata.csv")(tmp_path)
    for i in range(COUNT):
        (root / "p" / f"line{i}.png").rename(root / "p" / f"line{i}")
    (root / "other.csv").write_text("v,w\np/paint0.png,p/paint1.png\n", "utf-8")
    assert by_number(read_pairs(root, column_a="x", column_b="y")) == expected()
    (root / "metadata.csv").write_text("v,w\n" + "".join(f"p/paint{i}.png,p/paint{i}.png\n" for i in range(5)), "utf-8")
    assert len(read_pairs(root, layout="columns")) == 5


def test_empty_columns_hold_no_images(tmp_path: Path) -> None:
    root = table(lambda i: f",p/line{i}.png,,p/paint{i}.png", "note,x,more,y\n", "metadata.csv")(tmp_path)
    assert by_number(read_pairs(root)) == expected()


def test_one_a_with_several_b_stays_in_one_part(tmp_path: Path) -> None:
    def row(i: int) -> str:
        return f"p/line{i // 4}.png,p/paint{i}.png"

    root = table(row, "a,b\n", "pairs.csv")(tmp_path)
    with open(root / "pairs.csv", "a", encoding="utf-8") as file:
        file.write(row(0) + "\n")
    data = read_pairs(root / "pairs.csv", validation=0.3, test=0.3)
    assert data.names[0] == "p/line0.png + p/paint0.png (0)" and data.names[1] == "p/line0.png + p/paint1.png"
    assert len(set(data.names)) == COUNT + 1 and data.report["duplicates"] == 1
    parts = [{int(data.names[i].split(".")[0][6:]) for i in part.tolist()} for part in data.splits.values()]
    assert sum(map(len, parts)) == 3 and all(parts)  # mutant: split by the content of B


def test_the_same_given_image_under_two_names_stays_in_one_part() -> None:
    a = np.concatenate([A, A])
    data = read_pairs((a, np.concatenate([B, B[::-1]])), validation=0.2, test=0.2, seed=3)
    where = {i % COUNT: part for part, rows in data.splits.items() for i in rows.tolist() if i < COUNT}
    assert all(i % COUNT in where and where[i % COUNT] == p for p, rows in data.splits.items() for i in rows.tolist())
    assert data.report["duplicates_across_splits"] == 0
    leaking = {"a_train": A, "b_train": B, "a_test": A[:2], "b_test": B[2:4]}
    assert read_pairs(leaking).report["duplicates_across_splits"] == 2
    assert read_pairs(leaking, direction="b-to-a").report["duplicates_across_splits"] == 2
    assert read_pairs({**leaking, "a_test": A[:2] // 2}).report["duplicates_across_splits"] == 0


# ---- depth ----


def deep_folders(root: Path) -> tuple[np.ndarray, np.ndarray]:
    a = RANDOM.integers(0, 65536, (COUNT, 16, 12), np.uint16)
    b = RANDOM.normal(100, 50, (COUNT, 16, 12)).astype(np.float32)
    for i in range(COUNT):
        save(root / "a" / f"{i}.png", a[i])
        save(root / "b" / f"{i}.tiff", b[i])
    return a, b


def test_deep_pairs_are_kept_whole(tmp_path: Path) -> None:
    a, b = deep_folders(tmp_path)
    data = read_pairs(tmp_path)
    assert data.y is not None and (data.y.dtype, data.x.dtype) == (torch.uint16, torch.float32)
    assert np.array_equal(data.y.numpy()[:, 0], a) and np.array_equal(data.x.numpy()[:, 0], b)
    train = b[data.splits["train"].numpy()]
    assert data.schema.x == Image(16, 12, 1, 0, span=(float(train.min()), float(train.max())))
    assert data.schema.y == Image(16, 12, 1, 65536) and data.report["depths"] == {"A": "16 bits", "B": "floating point"}
    batch = data.batch(data.splits["train"])
    assert batch.y is not None and (float(batch.x.min()), float(batch.x.max())) == (0.0, 1.0)
    assert np.allclose(batch.y.numpy()[:, 0], a[data.splits["train"].numpy()] / 65535)
    assert Schema.from_json(json.loads(json.dumps(data.schema.to_json()))) == data.schema
    assert data.report["bytes"] == a.nbytes + b.nbytes


def test_depth_8_brings_all_to_8_bits(tmp_path: Path) -> None:
    for i in range(COUNT):
        wide = np.stack([A[i]] * 3, -1)
        save(tmp_path / "a" / f"{i}.png", A[i].astype(np.uint16) * 257 if i % 2 else wide)
        save(tmp_path / "b" / f"{i}.png", B[i])
    data = read_pairs(tmp_path, bits=8)
    assert by_number(data) == expected() and data.report["conversions"] == {"A: 16 bits to 8": COUNT // 2}
    arrays = read_dataset({"a": A.astype(np.uint16) * 257, "b": B / 255}, pairs="auto", bits=8)
    assert by_number(arrays) == expected()


def test_depth_8_of_images_beside_each_other_and_of_the_side_that_is_made(tmp_path: Path) -> None:
    for i in range(COUNT):
        save(tmp_path / "c" / f"{i}.png", np.concatenate([A[i], A[i] // 2], 1).astype(np.uint16) * 257)
        save(tmp_path / "d" / "a" / f"{i}.png", A[i] & 3)
        save(tmp_path / "d" / "b" / f"{i}.png", A[i].astype(np.uint16) * 257)
    data = read_pairs(tmp_path / "c", bits=8)
    assert data.schema.y == Image(16, 12, 1) and data.report["depths"] == {"A": "8 bits", "B": "8 bits"}
    data = read_pairs(tmp_path / "d", bits=8, label_map=True)
    assert isinstance(data.schema.y, LabelMap) and data.schema.x == Image(16, 12, 1)


def test_arrays_are_as_deep_as_they_are() -> None:
    deep, five = A.astype(np.uint16) * 3, RANDOM.normal(0, 1, (COUNT, 16, 12, 5))
    data = read_pairs({"a": deep, "b": five})
    assert data.y is not None and data.y.dtype == torch.uint16 and np.array_equal(data.y.numpy()[:, 0], deep)
    assert data.x.dtype == torch.float32 and data.schema.x.shape == (5, 16, 12)
    assert np.array_equal(data.x.numpy(), five.astype(np.float32).transpose(0, 3, 1, 2))
    black_and_white = A > 128
    for values in (black_and_white, black_and_white.astype(np.int64), black_and_white.astype(np.float64)):
        data = read_pairs((values, A.astype(np.int64)))
        assert data.y is not None and (data.schema.y, data.schema.x) == (Image(16, 12, 1, 2), Image(16, 12, 1))
        assert np.array_equal(data.y.numpy()[:, 0], black_and_white)
    # Files of only black and white are images of 256 levels, as they are where they are no pairs.
    parts = {"a_train": black_and_white[:10].astype(np.uint8), "a_test": A[10:], "b_train": A[:10], "b_test": A[10:]}
    assert read_pairs(parts).schema.y == Image(16, 12, 1)


def test_gray_is_found_for_each_side_and_channels_may_be_asked(tmp_path: Path) -> None:
    wide = np.stack([A] * 3, -1)
    assert read_pairs((wide, B)).schema == Schema(Image(16, 12, 3), Image(16, 12, 1))
    data = read_pairs((wide, B), channels=3)
    assert data.schema == Schema(Image(16, 12, 3), Image(16, 12, 3)) and data.report["modes"]["A: RGB"] == COUNT
    assert read_pairs((wide, B), channels=1).x.shape == (COUNT, 1, 16, 12)
    for colored in (0, COUNT - 1):  # one is enough
        some = wide.copy()
        some[colored] = B[colored]
        assert read_pairs((some, B)).schema.y == Image(16, 12, 3)


# ---- size ----


def test_a_size_is_kept_up_to_512_and_else_chosen_for_both(tmp_path: Path) -> None:
    tall = np.zeros((6, 500, 512), np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
    data = read_pairs((tall, tall))
    assert data.schema.x.shape == (1, 500, 512) and data.report["size_rule"] == "the size of every image"
    for i in range(6):
        pixels = RANDOM.integers(0, 256, (300 + i, 520, 3), np.uint8)
        save(tmp_path / "a" / f"{i}.png", pixels)
        save(tmp_path / "b" / f"{i}.png", 255 - pixels)
    data = read_pairs(tmp_path)
    assert data.schema.x == data.schema.y == Image(256, 256, 3, fit="crop")
    assert data.report["size_rule"].startswith("the largest of 8, 16, 32, 64, 128, 256 not above 303")
    assert data.y is not None and int((data.x.int() + data.y.int() - 255).abs().max()) <= 1  # cut out alike


def test_sides_of_two_sizes_are_brought_together_where_a_size_is_asked_for(tmp_path: Path) -> None:
    half = A[:, ::2, ::2]
    for i in range(COUNT):
        save(tmp_path / "a" / f"{i}.png", half[i])
        save(tmp_path / "b" / f"{i}.png", B[i])
    data = read_pairs(tmp_path, size=(8, 6), min_size=4)
    assert data.y is not None and np.array_equal(data.y.numpy()[:, 0], half) and data.x.shape == (COUNT, 3, 8, 6)
    assert data.schema.x == Image(8, 6, 3, fit="crop")
    assert read_pairs(tmp_path, fit="crop", min_size=4).schema.x.shape == (3, 8, 8)


def test_a_beside_jpeg_is_halved_before_it_is_reduced(tmp_path: Path) -> None:
    for i in range(6):
        pair = np.full((205, 410, 3), 40 + i, np.uint8)
        pair[:, 205:] = 220  # 410 reduced by 4 would be 103
        PIL.Image.fromarray(pair).save(tmp_path / f"{i}.jpg", quality=95)
    data = read_pairs(tmp_path, size=16)
    assert data.y is not None and int(data.x.min()) > 210 and int(data.y.max()) < 60


def test_wide_images_that_are_beside_need_not_be_squares(tmp_path: Path) -> None:
    for i in range(COUNT):
        save(tmp_path / f"{i}.png", np.concatenate([A[i], A[i][:, ::-1]], 1))
    assert read_pairs(tmp_path).report["pairs"] == "side-by-side"  # 24 wide, 16 high: just 1.5
    assert read_pairs(tmp_path, layout="side-by-side").schema.x.shape == (1, 16, 12)


# ---- kept in files ----


def test_sides_in_files_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep_folders(tmp_path / "data")
    options: dict[str, Any] = {"cache": tmp_path / "cache", "memory_limit": 100}
    held, mapped = read_pairs(tmp_path / "data"), read_pairs(tmp_path / "data", **options)
    assert held.in_memory and not mapped.in_memory and not mapped.report["in_memory"]
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert held.y is not None and mapped.y is not None
    assert torch.equal(held.x, mapped.x) and torch.equal(held.y.int(), mapped.y.int())
    assert held.fingerprint == mapped.fingerprint and held.schema == mapped.schema
    monkeypatch.setattr("seisei.data.pairs.decode.read_image", None)  # nothing is read again, in either direction
    again = read_pairs(tmp_path / "data", **options)
    assert again.fingerprint == held.fingerprint and again.report == mapped.report
    assert read_pairs(tmp_path / "data", direction="b-to-a", **options).schema.x == held.schema.y
    rows = torch.tensor([3, 1])
    assert torch.equal(again.batch(rows).x, held.batch(rows).x)
    monkeypatch.undo()
    for file in ("*-B/images.float32", "*-A/images.uint16"):  # with a side that is not whole all is read again
        next((tmp_path / "cache").glob(file)).write_bytes(b"short")
        assert read_pairs(tmp_path / "data", **options).fingerprint == held.fingerprint


def test_how_large_sides_may_be_in_memory(tmp_path: Path) -> None:
    two_folders(tmp_path / "data")
    whole = 2 * 3 * A.size  # that A is gray is known when all was read
    held = read_pairs(tmp_path / "data", memory_limit=whole, cache=tmp_path / "cache")
    assert held.in_memory and held.y is not None and held.y.is_contiguous()
    mapped = read_pairs(tmp_path / "data", memory_limit=whole - 1, cache=tmp_path / "cache")
    assert not mapped.in_memory and mapped.y is not None and not mapped.y.is_contiguous()  # a view, not a copy
    assert torch.equal(mapped.y, held.y)


def test_files_hold_no_more_than_was_read(tmp_path: Path) -> None:
    two_folders(tmp_path / "data")
    (tmp_path / "data" / "b" / "3.png").write_bytes(b"")
    data = read_pairs(tmp_path / "data", skip_bad=1, cache=tmp_path / "cache", memory_limit=0)
    assert data.x.shape[0] == COUNT - 1 and [s["name"] for s in data.report["skipped"]] == ["b/3.png"]
    assert read_pairs(tmp_path / "data", skip_bad=1, cache=tmp_path / "cache", memory_limit=0).x.shape[0] == COUNT - 1
    colors = next((tmp_path / "cache").glob("*-B")) / "images.uint8"
    assert colors.stat().st_size == (COUNT - 1) * 3 * 16 * 12


def test_a_store_of_an_unknown_kind_is_not_loaded(tmp_path: Path) -> None:
    room = store.Store(1, (1, 2, 2), tmp_path, "uint16")
    room.put(0, torch.zeros(1, 2, 2, dtype=torch.uint16))
    room.finish(tmp_path / "s", {})
    assert store.load(tmp_path / "s") is not None
    facts = json.loads((tmp_path / "s" / "facts.json").read_text())
    (tmp_path / "s" / "facts.json").write_text(json.dumps({**facts, "kind": "../images"}))
    assert store.load(tmp_path / "s") is None


def test_arrays_in_memory_are_never_kept_in_files(tmp_path: Path) -> None:
    assert read_pairs((A, B), memory_limit=0, cache=tmp_path / "cache").in_memory and not list(tmp_path.iterdir())


def test_the_fingerprint_changes_with_either_side_the_parts_and_the_depth(tmp_path: Path) -> None:
    two_folders(tmp_path)
    marks = [read_pairs(tmp_path).fingerprint]
    assert read_pairs(tmp_path).fingerprint == marks[0]
    marks += [read_pairs(tmp_path, seed=1).fingerprint, read_pairs(tmp_path, size=8).fingerprint]
    for side, pixels in (("a", A[0] // 2), ("b", B[0] // 2)):
        save(tmp_path / side / "0.png", pixels)
        marks.append(read_pairs(tmp_path).fingerprint)
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "zero.png")
    (tmp_path / "b" / "0.png").rename(tmp_path / "b" / "zero.png")
    marks.append(read_pairs(tmp_path).fingerprint)
    assert len(set(marks)) == len(marks)


# ---- label maps ----


def maps_and_images(root: Path, fit: tuple[int, int] = (16, 12)) -> np.ndarray:
    classes = RANDOM.integers(0, 3, (COUNT, *fit))
    for i in range(COUNT):
        colors = np.array([RED, GREEN, BLACK], np.uint8)
        palette = PIL.Image.fromarray(classes[i].astype(np.uint8), "P")
        palette.putpalette(colors.ravel().tolist())
        (root / "a").mkdir(parents=True, exist_ok=True)
        if i % 2:
            palette.save(root / "a" / f"{i}.png")
        else:
            save(root / "a" / f"{i}.png", colors[classes[i]])
        save(root / "b" / f"{i}.png", RANDOM.integers(0, 256, (*fit, 3), np.uint8))
    return classes


def test_label_maps_are_exact(tmp_path: Path) -> None:
    classes = maps_and_images(tmp_path / "data")
    data = read_dataset(tmp_path / "data", pairs="auto", label_map=True)
    maps = data.schema.y
    assert maps == LabelMap(16, 12, (BLACK, GREEN, RED)) and maps.shape == (3, 16, 12) and maps.channels == 3
    numbers = np.array([2, 1, 0])[classes]
    assert data.y is not None and data.y.dtype == torch.uint8 and np.array_equal(data.y.numpy()[:, 0], numbers)
    told = data.batch(torch.arange(COUNT)).y
    assert told is not None and told.shape == (COUNT, 3, 16, 12) and torch.equal(told.sum(1), torch.ones(COUNT, 16, 12))
    assert np.array_equal(told.argmax(1).numpy(), numbers) and data.report["depths"]["A"] == "label map"
    pixels = np.array([RED, GREEN, BLACK], np.uint8)[classes]
    assert all(np.array_equal(maps.decode(told[i]), pixels[i]) for i in range(COUNT))
    packed = maps.pack(tmp_path / "data" / "a" / "1.png")
    assert np.array_equal(packed.numpy()[0], numbers[1]) and torch.equal(maps.unpack(packed), told[1])
    assert Schema.from_json(json.loads(json.dumps(data.schema.to_json()))) == data.schema
    options: dict[str, Any] = {"cache": tmp_path / "cache", "memory_limit": 0, "label_map": True}
    for _ in range(2):  # read, and found again
        mapped = read_pairs(tmp_path / "data", **options)
        assert mapped.y is not None and torch.equal(mapped.y, data.y) and mapped.schema == data.schema
        assert mapped.fingerprint == data.fingerprint
    assert read_pairs(tmp_path / "data", cache=tmp_path / "cache").schema.y == Image(16, 12, 3)


def test_the_side_that_is_given_is_the_label_map(tmp_path: Path) -> None:
    maps_and_images(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    data = read_pairs(tmp_path, direction="b-to-a", label_map=True)
    assert isinstance(data.schema.y, LabelMap) and isinstance(data.schema.x, Image)


def test_label_maps_are_fitted_without_new_colors(tmp_path: Path) -> None:
    maps_and_images(tmp_path, (33, 48))
    fits: tuple[Any, ...] = ("crop", "stretch")
    for fit in fits:
        data = read_pairs(tmp_path, size=16, fit=fit, label_map=True)
        assert data.schema.y == LabelMap(16, 16, (BLACK, GREEN, RED), fit)
        packed = data.schema.y.pack(tmp_path / "a" / "0.png")
        assert data.y is not None and torch.equal(packed, data.y[0])
    framed = read_pairs(tmp_path, size=16, fit="pad", label_map=True)
    assert isinstance(framed.schema.y, LabelMap) and framed.schema.y.colors == (BLACK, GREEN, RED, (255, 255, 255))
    assert framed.y is not None and bool((framed.y[:, 0, 0] == 3).all()) and not bool((framed.y[:, 0, 8] == 3).any())


def test_a_label_map_is_read_at_its_own_size(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, 13:] = 240  # not where a JPEG has its blocks: at half its size it has other colors
    for i in range(5):
        (tmp_path / "a").mkdir(exist_ok=True)
        PIL.Image.fromarray(stripes).save(tmp_path / "a" / f"{i}.jpg", quality=100)
        save(tmp_path / "b" / f"{i}.png", RANDOM.integers(0, 256, (64, 64), np.uint8))
    data = read_pairs(tmp_path, size=16, label_map=True, validation=0, test=0)
    assert isinstance(data.schema.y, LabelMap) and data.y is not None
    whole = read_image(tmp_path / "a" / "0.jpg").pixels[2::4, 2::4]
    assert np.array_equal(data.schema.y.decode(data.schema.y.unpack(data.y[0])), whole)


def test_as_many_classes_as_there_may_be() -> None:
    classes = np.arange(64, dtype=np.uint8).reshape(8, 8)
    data = read_pairs((np.stack([np.roll(classes, i, 0) for i in range(8)]), B[:8, :8, :8]), label_map=True)
    assert data.schema.y is not None and data.schema.y.shape == (64, 8, 8)
    assert data.y is not None and torch.equal(data.y[0, 0], torch.from_numpy(classes))
    assert torch.equal(data.y[3, 0], torch.from_numpy(np.roll(classes, 3, 0)))


def test_nearest_takes_the_places_that_resampling_would() -> None:
    codes = np.arange(24, dtype=np.uint32).reshape(4, 6)
    assert nearest(codes, 4, 6, "crop", 0) is codes
    assert nearest(codes, 4, 4, "crop", 0).tolist() == codes[:, 1:5].tolist()
    assert nearest(codes, 8, 12, "stretch", 0).tolist() == codes.repeat(2, 0).repeat(2, 1).tolist()
    assert nearest(codes, 6, 6, "pad", 99).tolist() == np.pad(codes, ((1, 1), (0, 0)), constant_values=99).tolist()


def test_gray_label_maps_are_decoded_gray() -> None:
    maps = LabelMap(8, 8, ((0, 0, 0), (7, 7, 7)))
    classes = RANDOM.integers(0, 2, (8, 8)).astype(np.uint8)
    assert maps.gray and np.array_equal(maps.decode(maps.encode(classes * 7)), classes * 7)
    assert not LabelMap(8, 8, ((0, 0, 0), (7, 7, 6))).gray
    data = read_pairs(
        (classes[None].repeat(COUNT, 0) * (1 + np.arange(COUNT, dtype=np.uint8))[:, None, None], B[:, :8, :8]),
        label_map=True,
    )
    assert isinstance(data.schema.y, LabelMap) and data.schema.y.gray and data.schema.y.channels == COUNT + 1


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0}, {"width": True}, {"fit": "squeeze"}, {"colors": [[0, 0]]}, {"colors": [[0, 0, 256]]},
        {"colors": 3}, {"colors": []}, {"colors": [[1, 1, 1], [1, 1, 1]]}, {"background": None}, {"more": 1},
        {"colors": [[i, 0, 0] for i in range(65)]},
    ],
)  # fmt: skip
def test_what_is_no_label_map_is_not_loaded(change: dict[str, Any]) -> None:
    good = Schema(Image(8, 8), LabelMap(8, 8, (BLACK, RED))).to_json()
    assert Schema.from_json(good).y == LabelMap(8, 8, (BLACK, RED))
    with pytest.raises(UserError) as caught:
        Schema.from_json({**good, "y": {**good["y"], **change}})
    assert caught.value.code == "E-*-07"


# ---- names ----


def test_names_that_tell_a_side() -> None:
    assert told("validation-source") == ("validation", "source") and told("dev") == ("validation", None)
    assert told("b.dev") == ("validation", "b") and told("Ab") == (None, None) and told("trains") == (None, None)


def test_the_given_side_may_be_named_in_other_systems_writing(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "a" / f"caf\u00e9{i}.png", A[i])
        save(tmp_path / "b" / f"cafe\u0301{i}.png", B[i])
    assert len(read_pairs(tmp_path)) == 3


def test_images_elsewhere_are_said_to_be_unused(tmp_path: Path) -> None:
    two_folders(tmp_path)
    save(tmp_path / "cover.png", A[0])
    (tmp_path / "readme.txt").write_text("x")
    report = read_pairs(tmp_path).report
    assert "1 images in neither folder are not used, such as cover.png" in report["notes"]
    assert report["notes"][0] == "the folders a, b: a is A, b is B" and report["ignored"] == {".txt": 1}
    root = table(csv_row, "id,given,wanted,split\n", "metadata.csv")(tmp_path / "t")
    save(root / "p" / "cover.png", A[0])
    notes = read_pairs(root).report["notes"]
    assert "1 images are in no row and are not used, such as p/cover.png" in notes
    assert "A is in column 'given', B in 'wanted' of metadata.csv" in notes


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    read_pairs((A, B), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(COUNT, COUNT)]


def test_pairs_of_the_hub_are_two_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path)
    monkeypatch.setattr(pair_open, "hub_folder", lambda typed: tmp_path)
    data = read_pairs("hub:someone/pairs")
    assert by_number(data) == expected() and data.report["root"] == "hub:someone/pairs"


def test_pairs_beside_each_other_in_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [png_bytes(np.concatenate([np.stack([A[i]] * 3, -1), B[i]], 1)) for i in range(COUNT)]
    pq.write_table(pa.table({"image": cells}), tmp_path / "one.parquet")
    data = read_pairs(tmp_path / "one.parquet")
    assert by_number(data) == expected() and data.report["pairs"] == "side-by-side"
    pq.write_table(pa.table({"image": cells, "other": cells}), tmp_path / "two.parquet")
    assert by_number(read_pairs(tmp_path / "two.parquet", column="image")) == expected()
    assert read_pairs(tmp_path / "two.parquet").report["pairs"] == "columns"


def test_openmoji(shared_data: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    file = shared_data / "openmoji" / "openmoji_pairs_72.parquet"
    if not file.is_file():
        pytest.skip("no OpenMoji")
    everything = pq.read_table(file)
    some = everything.take(list(range(0, len(everything), 20)))
    pq.write_table(some, tmp_path / "some.parquet", row_group_size=50)
    data = read_pairs(tmp_path / "some.parquet")
    assert (data.schema.y, data.schema.x) == (Image(72, 72, 1), Image(72, 72, 3))
    assert data.report["modes"] == {"A: P": 208, "B: P": 208} and data.report["splits_given"] == ["test", "train"]
    assert len(data.splits["test"]) == some["split"].to_pylist().count("test")
    assert "A is in column 'black', B in 'color'" in data.report["notes"]
    assert data.report["conversions"]["A: palette expanded"] == 208


# ---- originals ----


def test_originals_come_one_at_a_time_at_their_own_size_and_depth(tmp_path: Path) -> None:
    a, b = deep_folders(tmp_path)
    save(tmp_path / "b" / "11.tiff", np.zeros((9, 70), np.float32))
    names = []
    for name, image in originals(tmp_path / "b"):
        i = int(name.split(".")[0])
        names.append(name)
        assert image.pixels.dtype == np.float32
        assert np.array_equal(image.pixels, b[i]) or image.size == (9, 70)
    assert names == [f"{i}.tiff" for i in range(COUNT)]
    ((name, image),) = originals(tmp_path / "a" / "3.png")
    assert name == str(tmp_path / "a" / "3.png") and np.array_equal(image.pixels, a[3])
    (tmp_path / "b" / "5.tiff").write_bytes(b"")
    walk = iter(originals(tmp_path / "b"))
    assert [next(walk)[0] for _ in range(5)] == names[:5]
    with pytest.raises(UserError) as caught:
        next(walk)
    assert (caught.value.code, caught.value.where) == ("E-CHK-07", "5.tiff")


def test_originals_in_arrays(tmp_path: Path) -> None:
    def shapes(given: Any, **options: Any) -> list[tuple[str, tuple[int, ...], str]]:
        return [(n, p.pixels.shape, str(p.pixels.dtype)) for n, p in originals(given, **options)]

    deep = A.astype(np.uint16)
    assert shapes(deep[0]) == [("image:0", (16, 12), "uint16")]
    assert shapes(B[0]) == [("image:0", (16, 12, 3), "uint8")]
    assert shapes(deep[:2])[1] == ("image:1", (16, 12), "uint16")
    assert shapes([A[0], B[1, :9].astype(np.float32)])[1] == ("image:1", (9, 12, 3), "float32")
    assert shapes(torch.from_numpy(B[:2].transpose(0, 3, 1, 2)))[0] == ("image:0", (16, 12, 3), "uint8")
    assert shapes(A[:2].astype(np.int64))[0][2] == "uint8"
    assert shapes(A[:2].astype(np.float64))[0][2] == "float32"
    assert shapes(np.zeros((2, 9, 3, 3), np.uint8))[1][1] == (9, 3, 3)
    np.save(tmp_path / "x.npy", deep)
    np.savez(tmp_path / "one.npz", images=deep)
    assert shapes(tmp_path / "x.npy") == shapes(tmp_path / "one.npz") == shapes(deep)
    assert shapes("digits")[0][1] == (8, 8)


def test_what_is_read_of_a_pair_is_what_the_file_holds(tmp_path: Path) -> None:
    two_folders(tmp_path)
    data = read_pairs(tmp_path)
    i = data.names.index("a/10.png")
    assert data.y is not None and np.array_equal(data.y[i, 0].numpy(), read_image(tmp_path / "a/10.png").pixels)
