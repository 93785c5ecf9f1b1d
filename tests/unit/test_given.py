"""Several conditions at once: words and vectors of them, where they are read, and what is drawn for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import seisei
from seisei.data.types import read_dataset, read_inputs
from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.image_io import png_bytes
from seisei.modalities.table import Column
from seisei.modalities.text import Text
from seisei.recipes.advice import advice
from seisei.schema import Schema

COLUMNS = (
    Column("age", "number", mean=40.0, scale=10.0, decimals=0),
    Column("pet", "category", ("ant", "bee", "cow")),
    Column("glasses", "boolean", ("no", "yes")),
)
GIVEN = Conditions(COLUMNS, ((30.0, 0.0, 1.0), (60.0, 2.0, 0.0)))


def refused(act: Any, *arguments: Any, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        act(*arguments, **options)
    return caught.value


def test_what_is_left_open_is_as_in_an_example() -> None:
    assert GIVEN.size == 5
    assert GIVEN.parse(None, 3).tolist() == [[30, 0, 1], [60, 2, 0], [30, 0, 1]]
    assert GIVEN.parse("age=50, no glasses", 2).tolist() == [[50, 0, 0], [50, 2, 0]]
    assert GIVEN.parse(["glasses=no,pet = bee", {"age": 20, "pet": "cow"}, None], 3).tolist() == [
        [30, 1, 0], [20, 2, 0], [30, 0, 1],
    ]  # fmt: skip


def test_a_model_is_told_a_number_for_each_number_label_and_level() -> None:
    told = GIVEN.unpack(GIVEN.parse("age=50, pet=cow", 1))
    assert told.dtype == torch.float32 and told.tolist() == [[1.0, 0.0, 0.0, 1.0, 1.0]]
    assert torch.equal(GIVEN.encode({"age": 50, "pet": "cow", "glasses": "yes"}), told[0])
    assert GIVEN.decode(told[0]) == {"age": 50, "pet": "cow", "glasses": "yes"}


def test_what_was_said_can_be_said_again() -> None:
    for words in ("age=50, pet=bee, glasses", "age=-3, pet=ant, no glasses"):
        stored = GIVEN.parse(words, 1)[0]
        assert GIVEN.format(stored) == words
    assert Schema.from_json(json.loads(json.dumps(Schema(GIVEN, GIVEN).to_json()))) == Schema(GIVEN, GIVEN)


def test_what_cannot_be_meant_is_refused() -> None:
    cases = [("agee=3", "did you mean 'age'"), ("hat", "no condition 'hat'"), ("age", "such as age=30")]
    cases += [("pet=bea", "did you mean 'bee'"), ("age=old", "old"), ("no age", "such as age=30")]
    for words, told in cases:
        error = refused(GIVEN.parse, words, 1)
        assert error.code == "E-SMP-13" and told in str(error), str(error)
    with pytest.raises(UserError):
        Schema.from_json({"x": {"modality": "Given", "columns": [], "examples": [["a"]]}})


def squares(folder: Path, count: int = 60, label: bool = True) -> Path:
    """Squares whose brightness is a number, and which are filled or not, at one of three places."""
    lines = ["file_name,brightness,filled,place,label"[: None if label else -6]]
    random = np.random.default_rng(0)
    for i in range(count):
        light, filled, place = int(random.integers(60, 256)), int(random.integers(2)), int(random.integers(3))
        image = np.zeros((8, 8), np.uint8)
        image[2:6, 2 * place : 2 * place + 4] = light
        if not filled:
            image[3:5, 2 * place + 1 : 2 * place + 3] = 0
        Pillow.fromarray(image).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{light},{filled},{('left', 'middle', 'right')[place]}" + f",{'ab'[i % 2]}" * label)
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


def test_columns_of_metadata_are_conditions(tmp_path: Path) -> None:
    data = read_dataset(squares(tmp_path), conditions=["brightness", "place", "filled", "label"], labels=None)
    given = data.schema.y
    assert isinstance(given, Conditions) and [c.kind for c in given.columns] == [
        "number", "category", "boolean", "category",
    ]  # fmt: skip
    assert data.y is not None and data.y.shape == (60, 4) and data.batch(torch.arange(5)).y.shape == (5, 7)  # type: ignore[union-attr]
    first = given.decode(given.unpack(data.y[0]))
    line = (tmp_path / "metadata.csv").read_text().splitlines()[1].split(",")
    assert [str(v) for v in first.values()] == [line[1], line[3], line[2], line[4]]
    # A condition that changes makes other data of them, and so does which columns are given.
    assert read_dataset(tmp_path, conditions=["place"], labels=None).fingerprint != data.fingerprint
    told = [entry["command"] for entry in advice(data, {"conditions": ["place"]})]
    assert any("train cgan" in command and command.endswith("--condition place") for command in told)
    error = refused(read_dataset, tmp_path, conditions=["brightnes"], labels=None)
    assert error.code == "E-CHK-04" and "did you mean 'brightness'" in str(error)
    (tmp_path / "metadata.csv").write_text("file_name,place\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4)))
    error = refused(read_dataset, tmp_path, conditions=["place"], labels=None)
    assert error.code == "E-TRN-12" and "56 of 60" in str(error)
    (tmp_path / "metadata.csv").unlink()
    assert refused(read_dataset, tmp_path, conditions=["place"], labels=None).code == "E-TRN-12"


def test_a_column_of_texts_is_a_text(tmp_path: Path) -> None:
    squares(tmp_path, 40)
    lines = (tmp_path / "metadata.csv").read_text().splitlines()
    texts = [f"a square, number {i} 😀" for i in range(40)]
    table = [f'{line},"{text}"' for line, text in zip(lines, ["caption", *texts], strict=True)]
    (tmp_path / "metadata.csv").write_text("\n".join(table), "utf-8")
    data = read_dataset(tmp_path, conditions=["caption"], labels=None)
    assert isinstance(data.schema.y, Text) and data.schema.y.length == len(texts[-1].encode())
    assert data.y is not None
    said = {name: data.schema.y.format(row) for name, row in zip(data.names, data.y, strict=True)}
    assert said == {f"{i}.png": texts[i] for i in range(40)}
    assert all(example in texts for example in data.schema.y.examples)
    told = [entry["command"] for entry in advice(data, {"conditions": ["caption"]})]
    assert any("vqvae+prior" in c and "--condition caption" in c for c in told) and not any("cgan" in c for c in told)
    # New images with theirs, and without.
    again = read_inputs(data.schema, tmp_path, labels="need")
    assert again.y is not None and again.y.tolist() == [data.y[data.names.index(n)].tolist() for n in again.names]
    (tmp_path / "metadata.csv").write_text("\n".join(table[:-1]), "utf-8")
    error = refused(read_inputs, data.schema, tmp_path, labels="want")
    assert error.code == "E-*-25" and "39.png: has no caption" in str(error)
    assert read_inputs(data.schema, tmp_path, labels="ignore").y is None
    (tmp_path / "metadata.csv").unlink()
    assert read_inputs(data.schema, tmp_path, labels="want").y is None


def test_texts_that_cannot_be_given_are_refused(tmp_path: Path) -> None:
    squares(tmp_path, 40)
    lines = (tmp_path / "metadata.csv").read_text().splitlines()

    def read(texts: list[str], *names: str) -> UserError:
        table = [f"{line},{text}" for line, text in zip(lines, ["text", *texts], strict=True)]
        (tmp_path / "metadata.csv").write_text("\n".join(table))
        return refused(read_dataset, tmp_path, conditions=names, labels=None)

    error = read(["dark", "light"] * 20, "text", "place")
    assert error.code == "E-TRN-12" and "--condition text: is a text, and cannot be combined with 1 other" in str(error)
    assert "is empty in 1 of 40 rows" in str(read([*["dark", "light"] * 19, "dark", ""], "text"))
    error = read([*["dark", "light"] * 19, "dark", "x" * 600], "text")
    assert "39.png: column 'text' has 600 bytes, wanted at most 512; shorten it" in str(error)


def test_any_column_of_a_parquet_file_may_be_given(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [png_bytes(np.full((8, 8), 6 * i, np.uint8)) for i in range(40)]
    columns = {"image": [{"bytes": p} for p in images], "age": list(range(40)), "kind": ["a", "b"] * 20}
    pq.write_table(pa.table({**columns, "text": [f"number {i}" for i in range(40)]}), tmp_path / "d.parquet")
    data = read_dataset(tmp_path / "d.parquet", conditions=["age", "kind"], labels=None)
    assert (
        isinstance(data.schema.y, Conditions) and data.y is not None and sorted(data.y[:, 0].tolist()) == [*range(40)]
    )
    data = read_dataset(tmp_path / "d.parquet", conditions=["text"], labels=None)
    assert isinstance(data.schema.y, Text) and data.y is not None
    assert sorted(data.schema.y.format(row) for row in data.y) == sorted(f"number {i}" for i in range(40))


def test_columns_of_a_table_are_conditions(tmp_path: Path) -> None:
    table = {"x": list(range(40)), "y": [i * i for i in range(40)], "c": [i % 3 for i in range(40)]}
    data = read_dataset(table, conditions=["c"], labels=None)
    assert data.schema.x.names == ("x", "y") and isinstance(data.schema.y, Conditions)
    assert {fact["name"]: fact["used"] for fact in data.report["columns"]} == {"x": "x", "y": "x", "c": "given"}
    assert [entry["command"].split()[:3] for entry in advice(data)] == [["seisei", "train", "cgan"]]
    named = read_dataset(table, conditions=["c"], categorical=["c"], labels=None)
    assert named.schema.y.size == 3 and data.schema.y.size == 1  # type: ignore[union-attr]
    assert refused(read_dataset, table, conditions=["c"], target="c").code == "E-TRN-07"
    assert refused(read_dataset, table, conditions=["z"]).code == "E-CHK-04"
    constant = {**table, "k": [1] * 40}
    assert refused(read_dataset, constant, conditions=["k"]).code == "E-TRN-12"


def test_vectors_beside_arrays_are_conditions() -> None:
    random = np.random.default_rng(0)
    arrays = {"x": random.integers(0, 256, (50, 8, 8)).astype(np.uint8), "y": random.normal(size=(50, 3))}
    data = read_dataset(arrays, labels=None)
    assert isinstance(data.schema.y, Conditions) and data.schema.y.table.names == ("y0", "y1", "y2")
    assert data.y is not None and np.allclose(data.y.numpy(), arrays["y"])


def test_a_game_learns_what_is_given(tmp_path: Path) -> None:
    """Squares are as bright, and where, as they are asked to be, and a walk leads from one condition to another."""
    folder = tmp_path / "squares"
    folder.mkdir()
    run = seisei.train(
        "cgan", squares(folder, 400, label=False), output=tmp_path / "run",
        condition=["brightness", "place", "filled"],
        width=64, steps=700, learning_rate=1e-3, latent=4, r1_gamma=0.1, report=False, ema_decay=0.99,
    )  # fmt: skip
    left = np.stack(run.sample(40, label="place=left, filled"))[..., :]
    right = np.stack(run.sample(40, label="place=right, filled"))[..., :]
    assert left.reshape(40, 8, 8)[:, 2:6, :2].mean() > 3 * left.reshape(40, 8, 8)[:, 2:6, 6:].mean()
    assert right.reshape(40, 8, 8)[:, 2:6, 6:].mean() > 3 * right.reshape(40, 8, 8)[:, 2:6, :2].mean()
    dark, bright = (
        np.stack(run.sample(40, label={"brightness": light, "place": "middle", "filled": 1})).mean()
        for light in (70, 240)
    )
    assert bright > 2 * dark
    rows = run.interpolate([1, 2], steps=3, label=["place=left", "place=right"])
    assert len(rows) == 1 and len(rows[0]) == 3
    assert refused(run.sample, 3, label="plce=left").code == "E-SMP-13"


def test_what_has_no_label_is_not_drawn_for_one(tmp_path: Path) -> None:
    table = {"x": list(range(60)), "kind": ["a", "b", None] * 20}
    error = refused(
        seisei.train, "cgan", table, target="kind", unlabeled="own", output=tmp_path / "run", steps=1, batch=8
    )
    assert error.code == "E-TRN-12" and "20 rows have no label" in str(error) and not (tmp_path / "run").exists()


def test_conditions_may_be_negative(tmp_path: Path) -> None:
    """A number below 0 is no class that is missing, beside images or in a table."""
    random = np.random.default_rng(0)
    arrays = {"x": random.integers(0, 256, (50, 8, 8)).astype(np.uint8), "y": random.normal(size=(50, 3))}
    run = seisei.train("cgan", arrays, output=tmp_path / "images", steps=2, batch=8, width=8, report=False)
    assert run.sample(2, label="y0=-1.5, y2=0.25")[0].shape == (8, 8)
    table = {"t": (random.normal(size=60) * 20).round(1).tolist(), "x": list(range(60))}
    run = seisei.train("cgan", table, condition="t", output=tmp_path / "rows", steps=2, batch=8, width=8)
    assert run.sample(2, label="t=-12.5")[1]["t"] == -12.5 and run.report.exists()


def test_the_report_says_what_its_columns_were_drawn_for(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {"x": random.integers(0, 256, (60, 8, 8)).astype(np.uint8), "y": random.normal(size=(60, 3)).round(2)}
    options: dict[str, Any] = {"validation": 0.35, "test": 0.35, "steps": 2, "batch": 8, "width": 8}
    run = seisei.train("cgan", arrays, output=tmp_path / "run", **options)
    told = json.loads((run.path / "figures" / "samples.json").read_text())["labels"][0]
    assert told.startswith("y0=") and f"Columns: 1: {told}; 2: y0=" in run.report.read_text("utf-8")
