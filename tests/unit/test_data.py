"""Sources, scanning, splits and data sets: exact answers."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from seisei.data import store
from seisei.data.dataset import Dataset
from seisei.data.detect import open_source
from seisei.data.images.scan import scan, tolerated
from seisei.data.source import natural, split_of
from seisei.data.sources.arrays import as_images
from seisei.data.splits import split_indices
from seisei.data.types import read_dataset
from seisei.errors import ResourceError, UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import save_png

RANDOM = np.random.default_rng(7)


def some(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, np.uint8)


def images(folder: Path, *names: str, shape: tuple[int, ...] = (8, 8, 3)) -> dict[str, np.ndarray]:
    made = {name: some(*shape) for name in names}
    for name, pixels in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_png(folder / name, pixels)
    return made


def write_idx(path: Path, values: np.ndarray) -> None:
    content = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_parquet(
    path: Path, columns: dict[str, list[Any]], features: dict[str, Any] | None = None, **options: Any
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def png_cell(tmp_path: Path, pixels: np.ndarray) -> dict[str, Any]:
    save_png(tmp_path / "cell.png", pixels)
    content = (tmp_path / "cell.png").read_bytes()
    (tmp_path / "cell.png").unlink()
    return {"bytes": content, "path": None}


def part_names(data: Dataset) -> dict[str, list[str]]:
    return {part: [data.names[i] for i in indices.tolist()] for part, indices in data.splits.items()}


# ---- folders ----


def test_flat_folder_holds_exactly_its_images(tmp_path: Path) -> None:
    made = images(tmp_path, *(f"{i}.png" for i in range(12)))
    data = read_dataset(tmp_path)
    assert data.names == [f"{i}.png" for i in range(12)]  # 2 before 10
    for i, name in enumerate(data.names):
        assert (data.schema.x.decode(data.batch(torch.tensor([i])).x[0]) == made[name]).all()
    assert (
        data.schema.x == Image(8, 8, 3)
        and data.schema.y is None
        and data.y is None
        and data.batch(torch.arange(2)).y is None
    )
    assert data.report["modes"] == {"RGB": 12} and data.report["sizes"] == {"8x8": 12} and data.report["total"] == 12
    json.dumps(data.report)


def test_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    images(tmp_path, *(f"class {c}/{i}.png" for c in (10, 2, 1) for i in range(4)))
    data = read_dataset(tmp_path, labels=True)
    assert data.schema.y is not None and data.schema.y.names == ("class 1", "class 2", "class 10")
    assert data.y is not None and data.y.dtype == torch.int64 and data.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.report["classes"] == {"class 1": 4, "class 2": 4, "class 10": 4}
    assert data.batch(torch.tensor([0, 11])).y.tolist() == [0, 2]
    assert read_dataset(tmp_path).y is None


def test_train_and_test_folders_are_splits_and_validation_is_carved_from_train(tmp_path: Path) -> None:
    images(
        tmp_path,
        *(f"train/{c}/{i}.png" for c in "ab" for i in range(20)),
        *(f"test/{c}/{i}.png" for c in "ab" for i in range(3)),
    )
    data = read_dataset(tmp_path, labels=True, validation=0.2)
    parts = part_names(data)
    assert sorted(parts["test"]) == sorted(f"test/{c}/{i}.png" for c in "ab" for i in range(3))
    assert all(name.startswith("train/") for name in parts["train"] + parts["validation"])
    assert len(parts["validation"]) >= 1 and len(parts["train"]) + len(parts["validation"]) == 40
    assert (
        data.schema.y is not None
        and data.schema.y.names == ("a", "b")
        and data.report["splits_given"] == ["test", "train"]
    )


@pytest.mark.parametrize("word", ["valid", "val", "validation"])
def test_a_given_validation_folder_is_kept_whole(tmp_path: Path, word: str) -> None:
    images(tmp_path, *(f"{part}/{i}.png" for part in ("train", word, "test") for i in range(4)))
    parts = part_names(read_dataset(tmp_path))
    assert parts == {
        k: [f"{v}/{i}.png" for i in range(4)] for k, v in (("train", "train"), ("validation", word), ("test", "test"))
    }


def test_a_folder_named_train_beside_other_classes_is_a_class(tmp_path: Path) -> None:
    images(tmp_path, *(f"{c}/{i}.png" for c in ("train", "plane") for i in range(6)))
    data = read_dataset(tmp_path, labels=True)
    assert data.schema.y is not None and data.schema.y.names == ("plane", "train")


def test_images_beside_a_folder_named_train_make_it_a_class(tmp_path: Path) -> None:
    images(tmp_path, "x.png", *(f"train/{i}.png" for i in range(9)))
    data = read_dataset(tmp_path)
    assert (
        data.report["classes"] == {"train": 9} and data.report["unlabeled"] == 1 and data.report["splits_given"] == []
    )


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_metadata_gives_labels_captions_and_splits(tmp_path: Path, form: str) -> None:
    images(tmp_path, *(f"in/{i}.png" for i in range(10)))
    rows = [
        {
            "file_name": f"in/{i}.png",
            "category": "odd" if i % 2 else "even",
            "text": f"number, {i}",
            "split": "test" if i == 3 else "train",
        }
        for i in range(10)
    ]
    if form == "csv":
        lines = ["file_name,category,text,split"] + [
            f'{r["file_name"]},{r["category"]},"{r["text"]}",{r["split"]}' for r in rows
        ]
        (tmp_path / "metadata.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n", "utf-8")
    else:
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    data = read_dataset(tmp_path, labels=True)
    assert data.schema.y is not None and data.schema.y.names == ("even", "odd")
    assert data.y is not None and data.y.tolist() == [i % 2 for i in range(10)]
    assert data.report["captions"] == 10 and part_names(data)["test"] == ["in/3.png"]
    assert open_source(tmp_path).records[4].caption == "number, 4"


def test_metadata_inside_a_split_names_what_lies_beside_it(tmp_path: Path) -> None:
    images(tmp_path, *(f"{part}/{i}.png" for part in ("train", "test") for i in range(6)))
    for part in ("train", "test"):
        text = "file_name,label\n" + "".join(f"{i}.png,{'xy'[i % 2]}\n" for i in range(6))
        (tmp_path / part / "metadata.csv").write_text(text)
    data = read_dataset(tmp_path, labels=True)
    assert data.report["classes"] == {"x": 6, "y": 6} and len(data.splits["test"]) == 6


def test_other_files_are_counted_and_hidden_ones_are_not_there(tmp_path: Path) -> None:
    images(tmp_path, *(f"{i}.PNG" for i in range(10)), ".hidden.png", ".cache/x.png")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "LICENSE").write_text("free")
    data = read_dataset(tmp_path)
    assert len(data) == 10 and data.report["ignored"] == {".md": 1, "no suffix": 1}


def test_links_inside_are_followed_and_outside_where_asked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    made = images(root, *(f"a/{i}.png" for i in range(10)))
    made |= images(tmp_path, "outside/x.png")
    (root / "b").symlink_to(root / "a")
    assert len(read_dataset(root)) == 20
    (root / "x.png").symlink_to(tmp_path / "outside" / "x.png")
    data = read_dataset(root, follow_outside=True)
    assert len(data) == 21 and (data.x[-1].permute(1, 2, 0).numpy() == made["outside/x.png"]).all()


# ---- size and color ----


def test_gray_and_color_together_are_color(tmp_path: Path) -> None:
    gray = images(tmp_path, *(f"g{i}.png" for i in range(5)), shape=(8, 8))
    images(tmp_path, *(f"c{i}.png" for i in range(5)))
    data = read_dataset(tmp_path)
    assert data.schema.x.channels == 3 and data.report["modes"] == {"RGB": 5, "L": 5}
    assert (data.x[data.names.index("g0.png")].numpy() == gray["g0.png"]).all()
    assert read_dataset(tmp_path, channels=1).x.shape == (10, 1, 8, 8)


def test_gray_images_are_one_channel_even_in_color_files(tmp_path: Path) -> None:
    for i in range(10):
        save_png(tmp_path / f"{i}.png", np.repeat(some(8, 8, 1), 3, axis=2) if i % 2 else some(8, 8))
    data = read_dataset(tmp_path)
    assert data.x.shape == (10, 1, 8, 8) and data.schema.x == Image(8, 8, 1) and data.x.is_contiguous()
    assert read_dataset(tmp_path, channels=3).x.shape == (10, 3, 8, 8)


@pytest.mark.parametrize(
    ("shapes", "wanted", "fit"),
    [
        ([(20, 30)] * 10, (20, 30), None),
        ([(256, 256)] * 10, (256, 256), None),
        ([(257, 257)] * 10, (64, 64), "crop"),
        ([(20, 30)] * 4 + [(40, 33)] * 6, (32, 32), "crop"),
        ([(20, 30)] * 6 + [(40, 33)] * 4, (16, 16), "crop"),
        ([(32, 40)] * 6 + [(33, 40)] * 4, (32, 32), "crop"),
        ([(300, 400)] * 5 + [(500, 400)] * 5, (64, 64), "crop"),
        ([(8, 300)] * 5 + [(9, 300)] * 5, (8, 8), "crop"),
    ],
)
def test_the_rule_for_sizes(
    tmp_path: Path, shapes: list[tuple[int, int]], wanted: tuple[int, int], fit: str | None
) -> None:
    for i, shape in enumerate(shapes):
        save_png(tmp_path / f"{i}.png", np.full(shape, i, np.uint8))
    data = read_dataset(tmp_path)
    assert (data.schema.x.height, data.schema.x.width) == wanted and data.schema.x.fit == fit
    assert data.x[3].unique().tolist() == [3] and ("--size" in data.report["size_rule"]) == (fit == "crop")
    assert read_dataset(tmp_path, size=12, fit="pad").x.shape == (10, 1, 12, 12)
    assert read_dataset(tmp_path, size=(8, 16)).x.shape == (10, 1, 8, 16)


# ---- arrays ----


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((5, 8, 9), (5, 8, 9, 1)),
        ((5, 8, 9, 3), (5, 8, 9, 3)),
        ((5, 3, 8, 9), (5, 8, 9, 3)),
        ((5, 1, 8, 9), (5, 8, 9, 1)),
        ((5, 8, 9, 6), (5, 8, 9, 6)),
        ((5, 2, 8, 9), (5, 8, 9, 2)),
        ((5, 784), (5, 28, 28, 1)),
        ((5, 3072), (5, 32, 32, 3)),
    ],
)
def test_layouts_of_arrays(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    values = some(*shape)
    array, levels, rule = as_images(values, "x")
    assert array.shape == wanted and levels == 256 and "read as" in rule
    if len(shape) == 4 and shape[1] in (1, 2, 3):
        assert (array == values.transpose(0, 2, 3, 1)).all()
    elif shape == (5, 3072):
        assert (array[2, 0, :, 1] == values[2, 1024:1056]).all()
    else:
        assert (array.reshape(-1) == values.reshape(-1)).all()


@pytest.mark.parametrize(
    ("dtype", "values", "wanted", "levels"),
    [
        ("uint8", [0, 7, 255], [0, 7, 255], 256),
        ("int64", [0, 7, 255], [0, 7, 255], 256),
        ("uint8", [0, 1, 1], [0, 1, 1], 2),
        ("bool", [0, 1, 1], [0, 1, 1], 2),
        ("float32", [0.0, 1.0, 1.0], [0, 1, 1], 2),
        ("float64", [0.0, 0.2, 1.0], [0, 51, 255], 256),
        ("uint16", [0, 257, 65535], [0, 1, 255], 256),
    ],
)
def test_values_of_arrays(dtype: str, values: list[float], wanted: list[int], levels: int) -> None:
    array, found, _ = as_images(np.array(values, dtype).reshape(1, 1, 3), "x")
    assert array.dtype == np.uint8 and array.reshape(-1).tolist() == wanted and found == levels


@pytest.mark.parametrize("form", ["array", "tensor", "pair", "dict", "npy", "npz"])
def test_arrays_in_every_form(tmp_path: Path, form: str) -> None:
    x, y = some(30, 8, 8, 3), np.arange(30) % 3
    np.save(tmp_path / "x.npy", x)
    np.savez_compressed(tmp_path / "d.npz", images=x, labels=y[:, None])
    given: dict[str, Any] = {
        "array": x,
        "tensor": torch.from_numpy(x).permute(0, 3, 1, 2),
        "pair": (x, y),
        "dict": {"x": x, "y": y},
        "npy": tmp_path / "x.npy",
        "npz": str(tmp_path / "d.npz"),
    }
    labeled = form in ("pair", "dict", "npz")
    data = read_dataset(given[form], labels=labeled)
    assert (data.x.permute(0, 2, 3, 1).numpy() == x).all() and data.in_memory == (form != "npy")
    assert (data.y is not None and data.y.tolist() == y.tolist()) == labeled
    before = x.copy()
    data.x.zero_()
    assert (x == before).all() and (np.load(tmp_path / "x.npy") == before).all()  # the user's own is untouched


@pytest.mark.parametrize(
    "keys", [("train", "valid", "test"), ("x_train", "x_val", "x_test"), ("train_images", "val_images", "test_images")]
)
def test_keys_of_arrays_are_splits(tmp_path: Path, keys: tuple[str, ...]) -> None:
    np.savez(tmp_path / "d.npz", **{key: some(n, 64) for key, n in zip(keys, (9, 4, 3), strict=True)})
    data = read_dataset(tmp_path)  # the folder's only file
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 9, "validation": 4, "test": 3}
    assert data.x.shape == (16, 1, 8, 8) and data.splits["validation"].tolist() == [9, 10, 11, 12]


def test_the_users_array_is_not_shared() -> None:
    x = some(20, 8, 8)
    before = x.copy()
    for given in (x, torch.from_numpy(x)[:, None]):
        read_dataset(given).x.zero_()
        assert (x == before).all()


def test_levels_reach_the_model_and_survive_a_resize() -> None:
    bits = (some(20, 16, 16) > 127).astype(np.uint8)
    data = read_dataset(bits)
    assert data.schema.x.levels == 2 and data.batch(torch.arange(20)).x.unique().tolist() == [0, 1]
    small = read_dataset(bits, size=8)
    assert small.schema.x == Image(8, 8, 1, 2, fit="crop") and small.x.unique().tolist() == [0, 1]
    same = read_dataset(np.repeat(bits[..., None], 3, axis=3))
    assert same.schema.x == Image(16, 16, 1, 2) and torch.equal(same.x, data.x)
    assert torch.equal(read_dataset(bits, channels=3).x, data.x.expand(-1, 3, -1, -1))


def test_digits_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = read_dataset("digits", labels=True)
    assert data.x.shape == (1797, 1, 8, 8) and data.x.max() == 16 and data.schema.x.levels == 17
    assert data.y is not None and data.y[:10].tolist() == list(range(10)) and data.report["classes"]["0"] == 178
    images(tmp_path, *(f"digits/{i}.png" for i in range(10)))
    monkeypatch.chdir(tmp_path)
    assert len(read_dataset("digits")) == 10  # what is there comes first
    assert len(read_dataset("digits", source="digits")) == 1797


# ---- files of many images ----


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_round_trip(tmp_path: Path, suffix: str) -> None:
    made = {}
    for part, n in (("train", 20), ("t10k", 5)):
        made[part] = some(n, 9, 8), some(n) % 4
        write_idx(tmp_path / f"{part}-images-idx3-ubyte{suffix}", made[part][0])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte{suffix}", made[part][1])
    data = read_dataset(tmp_path, labels=True)
    assert (data.x[data.splits["test"], 0].numpy() == made["t10k"][0]).all() and data.y is not None
    assert data.y[data.splits["test"]].tolist() == made["t10k"][1].tolist()
    rest = torch.cat([data.splits["train"], data.splits["validation"]]).sort().values
    assert (data.x[rest, 0].numpy() == made["train"][0]).all() and len(data.splits["validation"]) >= 1
    one = read_dataset(tmp_path / f"train-images-idx3-ubyte{suffix}", labels=True)
    assert len(one) == 20 and all(len(part) for part in one.splits.values())


def test_mnist(shared_data: Path) -> None:
    data = read_dataset(shared_data / "mnist", labels=True)
    assert data.x.shape == (70000, 1, 28, 28) and len(data.splits["test"]) == 10000 and data.y is not None
    test = data.splits["test"]
    assert data.y[test[:5]].tolist() == [7, 2, 1, 0, 4] and data.y[data.splits["test"]].bincount()[0] == 980
    assert 5700 < len(data.splits["validation"]) < 6300
    assert abs(float(data.x[:60000].double().mean()) - 33.318421) < 1e-6  # 0.1307 of 255, the known mean


def test_noto_emoji(shared_data: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    records = open_source(shared_data / "noto-emoji").records
    assert len(records) == 3550 and all(record.caption for record in records)
    assert sum(record.split == "test" for record in records) == 337
    table = pq.read_table(shared_data / "noto-emoji" / "noto_emoji_128.parquet").slice(0, 400)
    pq.write_table(table, tmp_path / "some.parquet", row_group_size=50)
    data = read_dataset(tmp_path / "some.parquet")
    assert data.x.shape == (400, 3, 128, 128) and data.report["modes"] == {"RGBA": 400}
    assert data.report["conversions"] == {"transparency over #ffffff": 400} and data.report["captions"] == 400
    assert sorted(data.splits["test"].tolist()) == [i for i in range(400) if records[i].split == "test"]
    assert data.x[:, :, 0, 0].eq(255).all(1).float().mean() > 0.9  # corners are transparent, so white


def test_openmoji_asks_which_column(shared_data: Path) -> None:
    with pytest.raises(UserError, match="several columns hold images: black, color; pass --column black"):
        read_dataset(shared_data / "openmoji")
    assert open_source(shared_data / "openmoji", column="color").notes == ["images in column 'color'"]
    with pytest.raises(UserError, match="no image column 'colr'; did you mean 'color'"):
        read_dataset(shared_data / "openmoji", column="colr")


def test_caltech_classes(shared_data: Path) -> None:
    source = open_source(shared_data / "caltech101-128")
    assert source.classes is not None and len(source.classes) == 78 and source.classes[0] == "Faces"
    assert sum(record.split == "test" for record in source.records) == 526


@pytest.mark.parametrize("named", ["features", "class_name", "nothing"])
def test_parquet_folder_with_splits_and_class_names(tmp_path: Path, named: str) -> None:
    made = {part: [some(8, 8, 3) for _ in range(n)] for part, n in (("train", 25), ("test", 5))}
    for part, arrays in made.items():
        columns: dict[str, list[Any]] = {"image": [png_cell(tmp_path, a) for a in arrays]}
        columns["label"] = [i % 3 if i < len(arrays) - 1 else 0 for i in range(len(arrays))]
        if named == "class_name":
            columns["class_name"] = [("red", "amber", "green")[n] for n in columns["label"]]
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["red", "amber", "green"]}}
        file = tmp_path / "d" / f"{part}-00000-of-00001.parquet"
        write_parquet(file, columns, features if named == "features" else None, row_group_size=4)
    data = read_dataset(tmp_path / "d", labels=True)
    assert data.schema.y is not None and data.y is not None
    assert data.schema.y.names == (("0", "1", "2") if named == "nothing" else ("red", "amber", "green"))
    test = data.splits["test"]
    assert (data.x[test].permute(0, 2, 3, 1).numpy() == np.stack(made["test"])).all()
    assert data.y[test].tolist() == [0, 1, 2, 0, 0] and data.names[int(test[2])] == "test-00000-of-00001.parquet:2"


def test_hub_layout_is_read_when_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [png_cell(tmp_path, some(8, 8, 3)) for _ in range(12)]
    write_parquet(tmp_path / "hub" / "default" / "train" / "0000.parquet", {"image": cells[:9]})
    write_parquet(tmp_path / "hub" / "default" / "test" / "0000.parquet", {"image": cells[9:]})
    asked = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(tmp_path / "hub")

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    data = read_dataset("hub:someone/things")
    assert (
        asked["name"] == "someone/things"
        and asked["repo_type"] == "dataset"
        and asked["revision"] == "refs/convert/parquet"
    )
    assert len(data) == 12 and len(data.splits["test"]) == 3 and data.report["root"] == "hub:someone/things"
    write_parquet(tmp_path / "hub" / "other" / "train" / "0000.parquet", {"image": cells})
    assert len(read_dataset("hub:someone/things")) == 12
    (tmp_path / "hub" / "default").rename(tmp_path / "hub" / "small")
    with pytest.raises(UserError, match="several configurations: other, small; pass hub:someone/things:other"):
        read_dataset("hub:someone/things")
    assert len(read_dataset("hub:someone/things:small")) == 12 and asked["allow_patterns"] == ["small/**/*.parquet"]


def test_hub_without_its_package_or_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(UserError, match=r'pip install "seisei\[hub\]"'):
            read_dataset("hub:a/b")
    import huggingface_hub

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host, and\nmore lines")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(UserError, match="hub:a/b: the Hub cannot be reached") as caught:
        read_dataset("hub:a/b")
    assert "\n" not in str(caught.value)


# ---- splits ----


def names(count: int, start: int = 0) -> list[str]:
    return [f"{i}.png" for i in range(start, start + count)]


def split(given: list[str], **options: Any) -> dict[str, set[str]]:
    found = split_indices(given, [n.encode() for n in given], [None] * len(given), **options)
    assert all(indices.dtype == torch.int64 for indices in found.values())
    return {part: {given[i] for i in indices.tolist()} for part, indices in found.items()}


def test_adding_images_moves_none() -> None:
    few, many = split(names(500)), split(list(reversed(names(3000))))
    for part in few:
        assert few[part] == {name for name in many[part] if int(name[:-4]) < 500}
    assert split(names(500), seed=1) != few and split(names(500)) == few
    assert 250 < len(many["validation"]) < 350 and 250 < len(many["test"]) < 350


@pytest.mark.parametrize("count", range(3, 40))
def test_every_part_has_something(count: int) -> None:
    for seed in range(8):
        parts = split(names(count), seed=seed, validation=0.02, test=0.02)
        assert all(parts.values()) and sum(map(len, parts.values())) == count


def test_shares_of_nothing_give_nothing() -> None:
    parts = split(names(100), validation=0.0, test=0.0)
    assert len(parts["train"]) == 100 and not parts["validation"] and not parts["test"]


@pytest.mark.parametrize(
    ("count", "options", "code"),
    [
        (2, {}, "E-TRN-11"),
        (0, {}, "E-TRN-10"),
        (9, {"validation": 1.0}, "E-TRN-07"),
        (9, {"validation": 0.5, "test": 0.5}, "E-TRN-07"),
        (9, {"test": -0.1}, "E-TRN-07"),
        (9, {"validation": float("nan")}, "E-TRN-07"),
        (9, {"seed": -1}, "E-TRN-25"),
        (9, {"seed": 2**63}, "E-TRN-25"),
    ],
)
def test_impossible_splits_are_refused(count: int, options: dict[str, Any], code: str) -> None:
    with pytest.raises(UserError) as caught:
        split(names(count), **options)
    assert caught.value.code == code


def test_the_order_of_names_does_not_matter() -> None:
    given = [f"{part}/{i}.png" for i in range(60) for part in "abc"]
    group = {name: name[2:].encode() for name in given}

    def place(order: list[str]) -> dict[str, str]:
        found = split_indices(order, [group[n] for n in order], [None] * len(order))
        return {order[i]: part for part, indices in found.items() for i in indices.tolist()}

    assert place(given) == place(given[::-1]) == place(sorted(given))


def test_copies_of_an_image_never_lie_on_both_sides(tmp_path: Path) -> None:
    originals = images(tmp_path, *(f"a/{i}.png" for i in range(40)))
    (tmp_path / "b").mkdir()
    for i, pixels in enumerate(originals.values()):
        save_png(tmp_path / f"b/{i}.png", pixels)
    data = read_dataset(tmp_path)
    side = {data.names[i]: part for part, indices in data.splits.items() for i in indices.tolist()}
    assert len(side) == 80 and all(side[f"a/{i}.png"] == side[f"b/{i}.png"] for i in range(40))
    assert data.report["duplicates"] == 40 and data.report["duplicates_across_splits"] == 0


def test_copies_across_given_splits_are_reported(tmp_path: Path) -> None:
    made = images(tmp_path, *(f"train/{i}.png" for i in range(10)))
    (tmp_path / "test").mkdir()
    save_png(tmp_path / "test/x.png", made["train/3.png"])
    data = read_dataset(tmp_path)
    assert data.report["duplicates_across_splits"] == 1 and part_names(data)["test"] == ["test/x.png"]


# ---- memory, file, fingerprint ----


def contents(data: Dataset) -> tuple[Any, ...]:
    parts = {part: indices.tolist() for part, indices in data.splits.items()}
    return (
        data.x.clone().numpy().tobytes(),
        data.schema,
        data.names,
        parts,
        data.fingerprint,
        None if data.y is None else data.y.tolist(),
    )


@pytest.mark.parametrize("gray", [True, False])
def test_a_file_and_memory_hold_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gray: bool) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    images(root, *(f"{c}/{i}.png" for c in "ab" for i in range(10)), shape=(8, 8) if gray else (8, 8, 3))
    (root / "bad.png").write_bytes(b"")
    options: dict[str, Any] = {"labels": False, "skip_bad": 1, "cache": cache}
    in_memory = read_dataset(root, **options)
    assert in_memory.in_memory and not cache.exists()
    mapped = read_dataset(root, memory_limit=0, **options)
    assert not mapped.in_memory and contents(mapped) == contents(in_memory) and mapped.x.shape[1] == (1 if gray else 3)
    assert len(list(cache.iterdir())) == 1

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr("seisei.data.images.scan.read_image", never)
        again = read_dataset(root, memory_limit=0, **options)
    assert contents(again) == contents(in_memory)
    assert {**again.report, "in_memory": True} == in_memory.report
    again.x.zero_()
    assert contents(read_dataset(root, memory_limit=0, **options)) == contents(in_memory)  # private to its process


def test_the_file_is_made_again_when_anything_changed(tmp_path: Path) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    images(root, *(f"{i}.png" for i in range(10)))
    first = read_dataset(root, memory_limit=0, cache=cache)
    changed = some(8, 8, 3)
    save_png(root / "3.png", changed)
    second = read_dataset(root, memory_limit=0, cache=cache)
    assert (second.x[3].permute(1, 2, 0).numpy() == changed).all() and second.fingerprint != first.fingerprint
    other = read_dataset(root, size=16, memory_limit=0, cache=cache)
    assert other.x.shape == (10, 3, 16, 16) and len(list(cache.iterdir())) == 3
    wanted = contents(second)
    for kept in cache.iterdir():
        with open(kept / "images.uint8", "r+b") as file:
            file.truncate(100)
    assert contents(read_dataset(root, memory_limit=0, cache=cache)) == wanted


def test_no_room_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    images(root, *(f"{i}.png" for i in range(10)))
    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))
        with pytest.raises(ResourceError, match="free some") as caught:
            read_dataset(root, memory_limit=0, cache=cache)
    assert caught.value.exit_code == 3 and list(cache.iterdir()) == []
    (root / "bad.png").write_bytes(b"")
    with pytest.raises(UserError, match="0 bytes"):
        read_dataset(root, memory_limit=0, cache=cache)
    assert list(cache.iterdir()) == []


def test_cache_folder_follows_the_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache_folder() == tmp_path / "seisei"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/someone")
    assert store.cache_folder() == Path("/home/someone/.cache/seisei")


def test_the_fingerprint_sees_everything(tmp_path: Path) -> None:
    x, y = some(20, 8, 8), np.arange(20) % 2
    prints = [
        read_dataset((x, y), labels=True).fingerprint,
        read_dataset((x, y)).fingerprint,
        read_dataset((x, 1 - y), labels=True).fingerprint,
        read_dataset((x, y), labels=True, seed=1).fingerprint,
        read_dataset((x, y), labels=True, test=0.3).fingerprint,
        read_dataset((np.where(x == x[0, 0, 0], x ^ 1, x), y), labels=True).fingerprint,
        read_dataset((x[::-1], y), labels=True).fingerprint,
    ]
    assert len(set(prints)) == len(prints) and read_dataset((x, y), labels=True).fingerprint == prints[0]
    images(tmp_path, *(f"{i}.png" for i in range(10)))
    before = read_dataset(tmp_path).fingerprint
    (tmp_path / "bad.png").write_bytes(b"")
    assert read_dataset(tmp_path, skip_bad=1).fingerprint != before


def test_progress_and_order(tmp_path: Path) -> None:
    images(tmp_path, *(f"{i}.png" for i in range(300)))
    told: list[tuple[int, int]] = []
    kept: list[int] = []
    found = scan(open_source(tmp_path), sink=lambda place, _: kept.append(place), progress=lambda *at: told.append(at))
    assert told == [(256, 300), (300, 300)] and kept == found.kept == list(range(300))


@pytest.mark.parametrize(
    ("share", "total", "allowed"),
    [
        (None, 999, 0),
        (None, 1000, 1),
        (None, 10**7, 10),
        ("0", 10, 0),
        ("29%", 100, 29),
        (3, 10, 3),
        ("0.5%", 399, 1),
        ("0.57%", 10000, 57),
        ("100%", 7, 7),
    ],
)
def test_how_much_is_tolerated(share: Any, total: int, allowed: int) -> None:
    assert tolerated(share, total) == allowed


@pytest.mark.parametrize("share", ["x", "-1", "1.5", "nan", "inf%", ""])
def test_what_is_no_tolerance(share: str) -> None:
    with pytest.raises(UserError, match="--skip-bad"):
        tolerated(share, 10)


def test_natural_order_and_names_of_splits() -> None:
    assert sorted(["b", "a10", "a9", "A1", "a", "10", "9", "²"], key=natural) == [
        "9",
        "10",
        "a",
        "A1",
        "a9",
        "a10",
        "b",
        "²",
    ]
    assert split_of("default/validation/0000.parquet") == "validation" and split_of("train-test.parquet") is None


def test_one_sources_file_by_force(tmp_path: Path) -> None:
    images(tmp_path, *(f"{i}.png" for i in range(10)))
    np.save(tmp_path / "x.npy", some(12, 8, 8))
    assert len(read_dataset(tmp_path)) == 10 and len(read_dataset(tmp_path, source="arrays")) == 12
    with pytest.raises(UserError, match="did you mean 'folder'"):
        read_dataset(tmp_path, source="foldr")


def test_turned_photographs_count_as_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for i in range(10):
        if i % 2:
            save_png(tmp_path / f"{i}.png", np.full((12, 8), i, np.uint8))
        else:
            PIL.Image.fromarray(np.full((8, 12), i, np.uint8)).save(tmp_path / f"{i}.png", exif=exif)
    data = read_dataset(tmp_path)
    assert data.x.shape == (10, 1, 12, 8) and data.report["conversions"] == {"turned upright (EXIF)": 5}


def test_one_image_is_a_source_but_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = images(tmp_path, "some/a.png")
    monkeypatch.chdir(tmp_path)
    source = open_source("some/a.png")
    assert [record.name for record in source.records] == ["some/a.png"] and source.root == "some/a.png"
    found: list[np.ndarray] = []
    scan(source, make=lambda image, name: (image.pixels, name), sink=lambda _, made: found.append(made))
    assert (found[0][0] == made["some/a.png"]).all() and found[0][1] == "some/a.png"
    with pytest.raises(UserError, match="some/a.png: is one image, wanted a folder of images; give its folder"):
        read_dataset("some/a.png")
    with pytest.raises(UserError, match="a.png: is 8x8 pixels, wanted at least 9x9"):
        scan(open_source(tmp_path / "some" / "a.png"), min_size=9)


def test_labels_are_taken_where_they_are_complete() -> None:
    x, y = some(20, 8, 8), np.arange(20) % 2
    assert read_dataset((x, y), labels=None).schema.y is not None
    assert read_dataset(x, labels=None).y is None and read_dataset((x, 0 * y), labels=None).y is None
    part = read_dataset((x, y), labels=None).subset(torch.tensor([7, 2]))
    assert (part.x[:, 0].numpy() == x[[7, 2]]).all() and part.y is not None and part.y.tolist() == [1, 0]
    assert part.names == ["image:7", "image:2"] and part.splits["test"].tolist() == [0, 1]
