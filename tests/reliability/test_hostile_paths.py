"""Paths that lead to what is no data: runs, pipes and devices, names that no file can have, very deep folders."""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from seisei import api
from seisei.cli.main import main
from seisei.data.images.native_images import originals
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.modalities.image_io import png_bytes, save_png
from seisei.training.run import RunFolder


def image(value: int) -> np.ndarray:
    return np.random.default_rng(value).integers(0, 256, (8, 8), np.uint8)


def classes(root: Path) -> None:
    for label in "ab":
        (root / label).mkdir(parents=True)
        for i in range(10):
            save_png(root / label / f"{i}.png", image(i + 10 * (label == "b")))


def flat(root: Path) -> None:
    root.mkdir()
    for i in range(20):
        save_png(root / f"{i}.png", image(i))


def described(root: Path) -> None:
    flat(root)
    rows = "".join(f"{i}.png,{'xy'[i % 2]}\n" for i in range(20))
    (root / "metadata.csv").write_text("file_name,label\n" + rows)


def sided(root: Path) -> None:
    for side in "ab":
        (root / side).mkdir(parents=True)
        for i in range(12):
            save_png(root / side / f"{i}.png", image(i + 50 * (side == "b")))


def texts(root: Path) -> None:
    root.mkdir()
    (root / "lines.txt").write_text("".join(f"line {i}\n" for i in range(40)))


def table(root: Path) -> None:
    root.mkdir()
    cells = [{"bytes": png_bytes(image(i)), "path": None} for i in range(20)]
    pq.write_table(pa.table({"image": cells, "label": [i % 2 for i in range(20)]}), root / "data.parquet")


def arrays(root: Path) -> None:
    root.mkdir()
    np.save(root / "x.npy", np.stack([image(i) for i in range(20)]))


def numbers(root: Path) -> None:
    root.mkdir()
    content = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (20, 8, 8))
    (root / "train-images-idx3-ubyte").write_bytes(content + b"".join(image(i).tobytes() for i in range(20)))


def write_run(folder: Path) -> None:
    """What a training leaves, of every kind of file that some source reads."""
    (folder / "samples").mkdir(parents=True)
    for name in ("recipe.json", "schema.json"):
        (folder / name).write_text("{}")
    for i in range(3):
        save_png(folder / "samples" / f"{i}.png", image(100 + i))
    (folder / "out").mkdir()
    (folder / "out" / "samples.txt").write_text("drawn\n")
    (folder / "out" / "metadata.csv").write_text("file_name,label\nnowhere.png,z\n")
    np.savez(folder / "out" / "codes.npz", z=np.zeros((2, 3)))
    pq.write_table(pa.table({"image": [{"bytes": b"x", "path": None}]}), folder / "out" / "codes.parquet")
    (folder / "out" / "test-images-idx3-ubyte").write_bytes(b"x")


def interrupt_start(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / ".lock").write_text("process 1 on x")
    (folder / ".recipe.json.123.tmp").write_text("{")


SOURCES = [classes, flat, described, sided, texts, table, arrays, numbers]


@pytest.mark.parametrize("build", SOURCES, ids=lambda build: build.__name__)
@pytest.mark.parametrize("place", ["runs/1", "R", "sub/deeper/R"])
def test_a_run_inside_the_data_changes_nothing(build: Callable[[Path], None], place: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    build(data)
    pairs = "folders" if build is sided else None
    before = read_dataset(str(data), labels=None, pairs=pairs)
    write_run(data / place)
    interrupt_start(data / "runs" / "2")
    after = read_dataset(str(data), labels=None, pairs=pairs)
    assert after.fingerprint == before.fingerprint and after.names == before.names
    assert after.report.get("classes") == before.report.get("classes")
    told = [note for note in after.report["notes"] if "not read as data" in note]
    assert told == [f"2 runs of seisei, not read as data: {', '.join(sorted((place, 'runs/2')))}"]
    assert not [note for note in before.report["notes"] if "not read as data" in note]


def test_a_run_is_no_style_and_nothing_to_translate(tmp_path: Path) -> None:
    flat(tmp_path / "data")
    write_run(tmp_path / "data" / "runs" / "1")
    assert len(originals(str(tmp_path / "data"))) == 20


def test_a_run_is_refused_as_data(tmp_path: Path) -> None:
    write_run(tmp_path / "R")
    for source in (None, "folder", "parquet", "idx", "arrays", "text"):
        with pytest.raises(UserError, match="is a run, wanted data"):
            read_dataset(str(tmp_path / "R"), source=source)
    (tmp_path / "runs").mkdir()
    os.rename(tmp_path / "R", tmp_path / "runs" / "R")
    with pytest.raises(UserError, match="holds only seisei runs"):
        read_dataset(str(tmp_path / "runs"))
    # What a run made is data where a person names its folder.
    assert len(originals(str(tmp_path / "runs" / "R" / "samples"))) == 3


def test_check_tells_of_runs_and_training_inside_the_data_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flat(tmp_path / "photos")
    monkeypatch.chdir(tmp_path / "photos")
    words = ["--latent", "2", "--width", "8", "--depth", "1", "--network", "mlp", "--batch", "4", "--no-report"]
    main(["train", "vae", ".", *words, "--steps", "2"])
    main(["resume", "--steps", "4"])
    main(["train", "vae", ".", *words, "--steps", "2"])
    capsys.readouterr()
    main(["check", ".", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["kept"] == 20 and found["classes"] == {}
    assert any("2 runs of seisei, not read as data: runs/" in note for note in found["notes"])
    recipes = [json.loads((run / "recipe.json").read_text()) for run in Path("runs").iterdir()]
    assert len({recipe["data"]["fingerprint"] for recipe in recipes}) == 1


# ---- what is no file


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: names of sockets are at most about 100 bytes long."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


@needs_pipes
@pytest.mark.parametrize("make", [pipe, device])
@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "csv", "tsv.gz", "txt", "png", "tif", "jsonl", ""])
def test_what_is_no_file_is_refused_at_once(make: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}".rstrip(".")
    make(path)
    for pairs in (None, "found"):
        with pytest.raises(UserError, match="is not a regular file") as error:
            read_dataset(str(path), pairs=pairs)
        assert error.value.exit_code == 2
    with pytest.raises(UserError, match="is not a regular file"):
        originals(str(path))


def test_a_socket_is_refused(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(short / "s.npy"))
        with pytest.raises(UserError, match="is not a regular file but a socket"):
            read_dataset(str(short / "s.npy"))


@needs_pipes
@pytest.mark.parametrize("make", [pipe, device])
@pytest.mark.parametrize(
    "build, name",
    [
        (flat, "metadata.csv"), (flat, "metadata.jsonl"), (flat, "dataset.json"), (flat, "x.png"), (texts, "more.txt"),
        (table, "more.parquet"), (numbers, "t10k-images-idx3-ubyte"), (numbers, "train-labels-idx1-ubyte"),
        (numbers, "train-labels-idx1-ubyte.gz"), (sided, "metadata.csv"),
    ],
)  # fmt: skip
def test_what_is_no_file_in_a_folder(
    make: Callable[[Path], None], build: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    build(data)
    make(data / name)
    with pytest.raises(UserError, match=f"{name}: is not a regular file"):
        read_dataset(str(data), pairs="auto" if build is sided else None, skip_bad=0 if build is flat else None,
                     follow_outside=build in (flat, sided))  # fmt: skip


@needs_pipes
def test_what_is_no_file_as_configuration_weights_codes_or_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("c.yaml", "w.safetensors", "z.npz", "z.csv", "content.png"):
        os.mkfifo(tmp_path / name)
    run = tmp_path / "run"
    run.mkdir()
    os.mkfifo(run / "recipe.json")
    (run / "schema.json").write_text("{}")
    from seisei.evaluation.sample_quality import _weights
    from seisei.training.pretrained import weights_of
    from seisei.verbs.code_files import read_codes

    for work in (
        lambda: weights_of(tmp_path / "w.safetensors", {}, "VGG-19"), lambda: _weights(tmp_path / "w.safetensors"),
        lambda: read_codes(tmp_path / "z.npz"), lambda: read_codes(tmp_path / "z.csv"),
        lambda: RunFolder(run).read("recipe.json"),
    ):  # fmt: skip
        with pytest.raises(UserError, match="is not a regular file"):
            work()
    for words in (
        ["train", "vae", "digits", "--config", str(tmp_path / "c.yaml")],
        ["stylize", str(tmp_path / "content.png"), str(tmp_path / "content.png"), "-o", str(tmp_path / "o.png")],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2 and "is not a regular file" in capsys.readouterr().err


# ---- names


@pytest.mark.parametrize("name", ["x" * 300, "x" * 240, "a\0b", "a\udce9"], ids=["300", "240", "zero", "bytes"])
def test_output_names_that_no_file_can_have(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        RunFolder.create(Path(name), "x")
    assert error.value.code == "E-TRN-21" and len(str(error.value)) < 200
    with pytest.raises(SystemExit) as ended:
        main(["train", "vae", "digits", "--steps", "5", "--output", name, "--json"])
    said = json.loads(capsys.readouterr().err)["error"]
    assert ended.value.code == 2 and said["code"] == "E-TRN-21"
    from seisei.verbs.output import target

    with pytest.raises(UserError) as error:
        target(Path(name + ".png"), Path("x.png"), suffixes=(".png",), overwrite=False)
    assert error.value.code == "E-*-15"
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("words", [["check"], ["sample"], ["list"], ["train", "vae"], ["report"], ["resume"]])
@pytest.mark.parametrize("name", ["x" * 300, "a\udce9", "a\0b"], ids=["300", "bytes", "zero"])
def test_input_names_that_no_file_can_have(
    words: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words, name])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "bug" not in said and said.isprintable() is False and said.count("\n") == 1


def test_data_in_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/p\xe9"
    try:
        os.mkdir(root)
    except OSError:
        pytest.skip("this system has UTF-8 names only")
    save_png(os.fsdecode(root) + "/0.png", image(0))
    with pytest.raises(UserError) as error:
        read_dataset(os.fsdecode(root))
    assert error.value.code == "E-CHK-16" and "p\\udce9" in str(error.value)


def make_deep(depth: int) -> Path:
    deep = Path("deep")
    deep.mkdir()
    for _ in range(depth):  # `makedirs` would call itself
        deep = Path(f"{deep}/d")
        deep.mkdir()
    return deep


@pytest.mark.parametrize("depth", [900, 1500])
def test_folders_nested_deeper_than_the_stack(depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deep = make_deep(depth)
    for i in range(12):
        save_png(deep / f"{i}.png", image(i))
    found = read_dataset("deep", validation=0.2, test=0.2)
    assert len(found) == 12


def test_texts_in_folders_nested_deeper_than_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deep = make_deep(900)
    (deep / "a.txt").write_text("".join(f"{i}\n" for i in range(30)))
    assert len(read_dataset("deep")) == 30


# ---- what runs hold


def write_listed(folder: Path, scores: object) -> None:
    folder.mkdir(parents=True)
    recipe = {"recipe": "vae", "data": {"path": "x"}, "verbs": ["sample"]}
    recipe["plan"] = {"steps": 5, "objective": {"arguments": {"model": {"class": "VAE"}}}}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "schema.json").write_text("{}")
    (folder / "scores.json").write_text(json.dumps(scores))


GOOD = {"name": "recall", "value": 0.5}
BAD_SCORES = [
    [], {}, {"scores": 3}, {"scores": [1]}, {"scores": [{"name": "a", "value": [1, 2]}]}, {"scores": [{"name": 3}]},
    {"scores": [{"name": "a", "value": "x"}]}, {"scores": {"a": 1}}, {"scores": [{"name": "a", "value": True}]},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_SCORES, ids=json.dumps)
def test_a_bad_score_leaves_the_list_of_runs_whole(
    bad: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_listed(tmp_path / "good", {"scores": [GOOD]})
    write_listed(tmp_path / "bad", bad)
    main(["list", str(tmp_path)])
    shown = capsys.readouterr()
    assert "recall 0.5" in " ".join(shown.out.split()) and "bad" in shown.out
    found = {Path(run["run"]).name: run for run in api.runs(tmp_path)}
    assert found["good"]["scores"] == {"recall": 0.5}
    assert "scores.json" in found["bad"]["trouble"]
    assert found["bad"]["recipe"] == "vae" and found["bad"]["state"] == "step 0 of 5"


def test_good_scores_beside_a_bad_one_are_shown(tmp_path: Path) -> None:
    write_listed(tmp_path / "R", {"scores": [GOOD, {"name": "loss", "value": [1, 2]}]})
    (found,) = api.runs(tmp_path)
    assert found["scores"] == {"recall": 0.5} and "'loss'" in found["trouble"]


@pytest.mark.parametrize("change", ["[]", "3", '{"recipe": 3}', '{"plan": []}', "[" * 100000, "\xff", "{"])
def test_a_bad_recipe_leaves_the_list_of_runs_whole(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_listed(tmp_path / "good", {"scores": [GOOD]})
    write_listed(tmp_path / "bad", {"scores": [GOOD]})
    (tmp_path / "bad" / "recipe.json").write_bytes(change.encode("latin-1"))
    main(["list", str(tmp_path)])
    assert "recall 0.5" in " ".join(capsys.readouterr().out.split())
    assert [run.get("trouble") is None for run in api.runs(tmp_path)] == [True, False]


def test_fields_of_a_wrong_kind_leave_the_list_of_runs_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {"recipe": [1], "verbs": [1, None], "data": {"path": 7}, "plan": {"steps": "x"}}.items():
        write_listed(tmp_path / key, {"scores": [GOOD]})
        recipe = json.loads((tmp_path / key / "recipe.json").read_text())
        (tmp_path / key / "recipe.json").write_text(json.dumps({**recipe, key: value}))
    write_listed(tmp_path / "good", {"scores": [GOOD]})
    main(["list", str(tmp_path)])
    assert "recall 0.5" in " ".join(capsys.readouterr().out.split())
    assert {Path(run["run"]).name for run in api.runs(tmp_path) if "trouble" in run} == {"recipe", "verbs", "data",
                                                                                         "plan"}  # fmt: skip


def test_checkpoints_of_odd_names_leave_the_list_of_runs_whole(tmp_path: Path) -> None:
    write_listed(tmp_path / "R", {"scores": [GOOD]})
    for name in ("step-x", "step-9x", "other"):
        (tmp_path / "R" / "checkpoints" / name).mkdir(parents=True)
    assert api.runs(tmp_path)[0]["state"] == "step 0 of 5"


# ---- texts


def test_labels_of_thousands_of_digits(tmp_path: Path) -> None:
    data = tmp_path / "data"
    flat(data)
    labels = ["9" * 5000, "10", "9", "09", "x"]
    rows = "".join(f"{i}.png,{labels[i % 5]}\n" for i in range(20))
    (data / "metadata.csv").write_text("file_name,label\n" + rows)
    found = read_dataset(str(data), labels=True, validation=0.2, test=0.2)
    assert found.schema.y is not None and tuple(found.schema.y.names) == ("09", "9", "10", "9" * 5000, "x")


def test_tables_with_labels_of_thousands_of_digits(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,label\n" + "".join(f"{i},{['9' * 5000, 'x'][i % 2]}\n" for i in range(40)))
    found = read_dataset(str(path), target="label")
    assert sorted(found.report["classes"]) == ["9" * 5000, "x"]
    path.write_text("a,label\n" + "".join(f"{['9' * 5000, '1'][i % 2]},{i % 2}\n" for i in range(40)))
    try:
        read_dataset(str(path), target="label")
    except UserError as error:
        assert "t.csv" in str(error)


@pytest.mark.parametrize("row", [{"label": "\ud800"}, {"caption": "a\udfffb"}, {"x\ud800": 1}, {"n": ["\ud900"]}])
@pytest.mark.parametrize("pairs", [None, "columns"])
def test_half_characters_in_metadata(row: dict[str, object], pairs: str | None, tmp_path: Path) -> None:
    data = tmp_path / "data"
    flat(data)
    lines = [{"file_name": f"{i}.png", "other": f"{i + 1}.png", "label": "x"} for i in range(10)]
    lines[3] |= row  # type: ignore[arg-type]
    (data / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match="metadata.jsonl:4: holds ..d.00|metadata.jsonl:4: holds ..dfff") as error:
        read_dataset(str(data), pairs=pairs, skip_bad="90%")
    assert error.value.code == "E-CHK-21"
    lines[3] = {"file_name": "3.png", "other": "4.png", "label": "\U0001f600"}  # two halves make one
    (data / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    read_dataset(str(data), pairs=pairs, skip_bad="90%")


def test_half_characters_in_memory() -> None:
    with pytest.raises(UserError, match="text 1: holds"):
        read_dataset(["a", "b\ud800", *map(str, range(20))])
    with pytest.raises(UserError) as error:
        read_dataset({"a": [1, 2] * 10, "label": ["x", "\ud800"] * 10}, target="label")
    assert error.value.code == "E-CHK-21"
    with pytest.raises(UserError) as error:
        read_dataset({"x": np.zeros((4, 8, 8)), "y": np.array(["a", "\ud800"] * 2)}, labels=True)
    assert error.value.code == "E-TRN-12"


def test_bytes_that_are_no_text_in_parquet(tmp_path: Path) -> None:
    words = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff")]
    )
    pq.write_table(pa.table({"x": [1, 2], "label": words}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="t.parquet"):
        read_dataset(str(tmp_path / "t.parquet"), target="label")
    cells = [{"bytes": png_bytes(image(i)), "path": None} for i in range(2)]
    pq.write_table(pa.table({"image": cells, "label": words}), tmp_path / "p.parquet")
    with pytest.raises(UserError, match="p.parquet"):
        read_dataset(str(tmp_path / "p.parquet"), labels=True)


# ---- conventions


def test_names_of_splits_in_any_case(tmp_path: Path) -> None:
    for top in ("TRAIN", "Val", "Testing"):
        for label in "xy":
            (tmp_path / top / label).mkdir(parents=True)
            for i in range(3):
                save_png(tmp_path / top / label / f"{i}.png", image(hash((top, label, i)) % 2**32))
    found = read_dataset(str(tmp_path), labels=True)
    assert found.report["splits"] == {"train": 6, "validation": 6, "test": 6}
    assert found.report["classes"] == {"x": 9, "y": 9}
    (tmp_path / "extra" / "x").mkdir(parents=True)
    save_png(tmp_path / "extra" / "x" / "0.png", image(77))
    notes = read_dataset(str(tmp_path), labels=None).report["notes"]
    assert any(note.startswith("TRAIN, Testing, Val are read as classes, because of extra") for note in notes)


def test_what_systems_leave_in_folders_is_no_class(tmp_path: Path) -> None:
    classes(tmp_path / "data")
    for name in ("@eaDir", "$RECYCLE.BIN", "__MACOSX", ".AppleDouble", "System Volume Information"):
        (tmp_path / "data" / name).mkdir()
        save_png(tmp_path / "data" / name / "0.png", image(99))
    for name in ("Thumbs.db", "thumbs.DB", "desktop.ini"):
        (tmp_path / "data" / "a" / name).write_bytes(b"x")
    found = read_dataset(str(tmp_path / "data"), labels=True)
    assert found.report["classes"] == {"a": 10, "b": 10} and found.report["ignored"] == {}
    assert (
        "folders of the system, not read as data: $RECYCLE.BIN, @eaDir, System Volume Information, __MACOSX"
        in found.report["notes"]
    )


@pytest.mark.parametrize("there, said", [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_in_two_ways(there: str, said: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(10):
        save_png(data / unicodedata.normalize(there, f"école{i}é.png"), image(i))  # type: ignore[arg-type]
    rows = "".join(f"école{i}é.png,école{i}é.png,{['été', 'x'][i % 2]}\n" for i in range(10))
    (data / "metadata.csv").write_text(unicodedata.normalize(said, "file_name,other,label\n" + rows))  # type: ignore[arg-type]
    found = read_dataset(str(data), labels=True, validation=0.2, test=0.2)
    assert sorted(found.report["classes"]) == ["x", "été"]
    assert len(read_dataset(str(data), pairs="columns", validation=0.2, test=0.2)) == 10


def test_classes_are_the_same_in_folders_written_in_two_ways(tmp_path: Path) -> None:
    found = []
    for form in ("NFC", "NFD"):
        for label in ("été", "x"):
            folder = tmp_path / form / unicodedata.normalize(form, label)  # type: ignore[arg-type]
            folder.mkdir(parents=True)
            for i in range(8):
                save_png(folder / f"{i}.png", image(i + 10 * (label == "x")))
        found.append(read_dataset(str(tmp_path / form), labels=True).report["classes"])
    assert found[0] == found[1] == {"x": 8, "été": 8}


HEADS = {
    "semicolon": "\ufefffile_name;label\r\n{0}.png;{1}\r\n", "tab": "file_name\tlabel\n{0}.png\t{1}\n",
    "dot": "file_name,label\n./{0}.png,{1}\n", "windows": "file_name,label\n.\\{0}.png,{1}\n",
    "space": "file_name, label\n{0}.png, {1}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ["metadata.csv", "Metadata.CSV"])
@pytest.mark.parametrize("form", HEADS)
def test_dialects_of_metadata(form: str, name: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    flat(data)
    head, row, _ = HEADS[form].split("\n")
    lines = [head, *(row.format(i, "xy"[i % 2]) for i in range(20))]
    (data / name).write_text("\n".join(lines) + "\n", newline="")
    assert read_dataset(str(data), labels=True).report["classes"] == {"x": 10, "y": 10}


def test_metadata_in_a_folder_with_backslashes(tmp_path: Path) -> None:
    classes(tmp_path / "data")
    rows = "".join(f"{'ab'[i % 2]}\\{i // 2}.png,{i % 3}\n" for i in range(20))
    (tmp_path / "data" / "metadata.csv").write_text("file_name,label\n" + rows)
    assert read_dataset(str(tmp_path / "data"), labels=True).report["classes"] == {"0": 7, "1": 7, "2": 6}


def test_a_table_of_another_name_is_noted(tmp_path: Path) -> None:
    flat(tmp_path / "data")
    (tmp_path / "data" / "labels.csv").write_text("file_name,label\n0.png,x\n")
    notes = read_dataset(str(tmp_path / "data")).report["notes"]
    assert any("labels.csv is not read; if it describes" in note for note in notes)


def test_labels_of_stylegan(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = [f"{i // 8:05}/img{i:08}.png" for i in range(20)]
    for i, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        save_png(data / name, image(i))
    (data / "dataset.json").write_text(json.dumps({"labels": [[name, i % 3] for i, name in enumerate(names)]}))
    assert read_dataset(str(data), labels=True).report["classes"] == {"0": 7, "1": 7, "2": 6}
    (data / "dataset.json").write_text(json.dumps({"labels": None}))
    assert read_dataset(str(data), labels=None).report["classes"] == {}
    (data / "dataset.json").write_text(json.dumps({"labels": [[name, [i, i / 2]] for i, name in enumerate(names)]}))
    assert read_dataset(str(data), conditions=["y0", "y1"]).y is not None
    (data / "dataset.json").write_text(json.dumps({"labels": [["nowhere.png", 3]]}))
    with pytest.raises(UserError, match="dataset.json: label 0: names nowhere.png, which does not exist"):
        read_dataset(str(data))
    (data / "dataset.json").write_text(json.dumps({"name": "mine"}))
    assert read_dataset(str(data), labels=None).report["classes"] == {"00000": 8, "00001": 8, "00002": 4}


def idx_bytes(kind: int, shape: tuple[int, ...], values: bytes) -> bytes:
    return bytes((0, 0, kind, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape) + values


def idx_images(kind: int = 8) -> bytes:
    pixels = np.stack([image(i) for i in range(20)])
    values = pixels.tobytes() if kind == 8 else (pixels / 255).astype(">f4").tobytes()
    return idx_bytes(kind, (20, 8, 8), values)


LABELS = bytes(i % 2 + 3 for i in range(20))
WIDE = b"".join(int(v).to_bytes(4, "big") for i in range(20) for v in (i % 2 + 3, 70000, i))


@pytest.mark.parametrize("images, labels, content, form", [
    ("qmnist-train-images-idx3-ubyte", "qmnist-train-labels-idx2-int", idx_bytes(12, (20, 3), WIDE), 8),
    ("train-images-idx3-float", "train-labels-idx1-ubyte", idx_bytes(8, (20,), LABELS), 13),
    ("train-images", "train-labels", idx_bytes(8, (20,), LABELS), 8),
    ("images.idx", "labels.idx", idx_bytes(8, (20,), LABELS), 8),
    ("train-images-idx3-ubyte", "train-labels-idx1-double",
     idx_bytes(14, (20,), np.frombuffer(LABELS, np.uint8).astype(">f8").tobytes()), 8),
])  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_of_other_types_and_names(
    images: str, labels: str, content: bytes, form: int, packed: bool, tmp_path: Path
) -> None:
    for name, each in ((images, idx_images(form)), (labels, content)):
        (tmp_path / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(each) if packed else each)
    (tmp_path / "README").write_text("about it")
    for given in (tmp_path, tmp_path / f"{images}{'.gz' * packed}"):
        found = read_dataset(given, labels=True)
        assert found.report["classes"] == {"3": 10, "4": 10} and found.schema.x.levels == 256
        assert torch.equal(found.x[:, 0], torch.from_numpy(np.stack([image(i) for i in range(20)])))


def test_idx_labels_that_belong_to_no_images_are_noted(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_images())
    (tmp_path / "answers").write_bytes(idx_bytes(8, (20,), LABELS))
    notes = read_dataset(tmp_path, labels=None).report["notes"]
    assert any(note.startswith("answers is not read: a label file is named like") for note in notes)


def parquet_of_paths(folder: Path, names: list[str]) -> Path:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": name} for name in names], kind)
    pq.write_table(pa.table({"image": cells, "label": [i % 2 for i in range(len(names))]}), folder / "t.parquet")
    return folder / "t.parquet"


def test_images_that_a_parquet_file_names(tmp_path: Path) -> None:
    flat(tmp_path / "data")
    (tmp_path / "table").mkdir()
    table = parquet_of_paths(tmp_path / "data", [f"./{i}.png" for i in range(20)])
    found = read_dataset(table, labels=True)
    assert len(found) == 20 and torch.equal(found.x[3, 0], torch.from_numpy(image(3)))
    save_png(tmp_path / "data" / "3.png", image(1003))  # nothing that was kept may hide this
    assert torch.equal(read_dataset(table, labels=True).x[3, 0], torch.from_numpy(image(1003)))
    table = parquet_of_paths(tmp_path / "table", [f"../data/{i}.png" for i in range(20)])
    with pytest.raises(UserError, match="t.parquet:0: names ../data/0.png, which is outside") as error:
        read_dataset(table)
    assert error.value.code == "E-CHK-15" and error.value.remedy == "pass --follow-outside"
    assert len(read_dataset(table, follow_outside=True)) == 20
    table = parquet_of_paths(tmp_path / "data", ["nowhere.png", *(f"{i}.png" for i in range(19))])
    with pytest.raises(UserError, match="t.parquet:0: names nowhere.png, which does not exist"):
        read_dataset(table)


def test_lists_of_images_in_parquet(tmp_path: Path) -> None:
    cells = [[{"bytes": png_bytes(image(i)), "path": None}] for i in range(4)]
    pq.write_table(pa.table({"images": cells, "label": [0, 1, 0, 1]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="column 'images' holds lists of images, wanted one image in each row"):
        read_dataset(tmp_path / "t.parquet")


def test_the_number_of_faulty_files_to_skip_is_the_one_that_works(tmp_path: Path) -> None:
    flat(tmp_path / "data")
    whole = (tmp_path / "data" / "0.png").read_bytes()
    for name, content in {"a": whole[:40], "b": b"<html>", "c": b"", "d": b"version https://git-lfs"}.items():
        (tmp_path / "data" / f"{name}.png").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / "data")
    skip = error.value.remedy.rpartition("--skip-bad ")[2]
    assert skip == "4"
    assert len(read_dataset(tmp_path / "data", skip_bad=skip)) == 20
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / "data", skip_bad=3)
    assert error.value.remedy.endswith("or pass --skip-bad 4")
    for i in range(20):
        (tmp_path / "data" / f"{i}.png").write_bytes(b"x")
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / "data")
    assert "--skip-bad" not in error.value.remedy  # nothing would be left


def test_the_number_of_faulty_pairs_to_skip_is_the_one_that_works(tmp_path: Path) -> None:
    sided(tmp_path / "data")
    (tmp_path / "data" / "a" / "0.png").unlink()
    (tmp_path / "data" / "b" / "1.png").write_bytes(b"")
    with pytest.raises(UserError) as error:
        read_dataset(tmp_path / "data", pairs="folders")
    assert error.value.remedy.endswith(" or pass --skip-bad 2") and error.value.remedy.count("--skip-bad") == 1
    assert len(read_dataset(tmp_path / "data", pairs="folders", skip_bad=2)) == 10


# ---- depths and pages


def test_files_of_one_bit_are_black_and_white(tmp_path: Path) -> None:
    for i in range(12):
        PIL.Image.fromarray(image(i) > 127).save(tmp_path / f"{i}.{['png', 'tif'][i % 2]}")
    found = read_dataset(tmp_path)
    assert found.schema.x.levels == 2 and found.schema.x.channels == 1
    assert torch.equal(found.x[0, 0], torch.from_numpy((image(0) > 127).astype(np.uint8)))
    assert read_dataset(tmp_path, size=16).schema.x.levels == 256  # resized it has grays
    save_png(tmp_path / "12.png", image(12))
    assert read_dataset(tmp_path).schema.x.levels == 256


def test_one_bit_files_kept_in_a_file_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(12):
        PIL.Image.fromarray(image(i) > 127).save(tmp_path / "data" / f"{i}.png")
    plain = read_dataset(tmp_path / "data")
    for _ in range(2):
        kept = read_dataset(tmp_path / "data", memory_limit=0, cache=tmp_path / "cache")
        assert not kept.in_memory and kept.schema == plain.schema and kept.fingerprint == plain.fingerprint


def tif(path: Path, values: np.ndarray) -> None:
    """A TIFF of one strip, whose values may be signed or floating point."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    height, width = values.shape
    body = values.tobytes()
    tags = [(256, width), (257, height), (258, values.dtype.itemsize * 8), (259, 1), (262, 1), (273, 8), (277, 1),
            (278, height), (279, len(body)), (339, kind)]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + bytes(4))


@pytest.mark.parametrize("build", [sided, flat])
def test_signed_values_are_called_so_and_the_remedy_works(build: Callable[[Path], None], tmp_path: Path) -> None:
    build(tmp_path / "data")
    pairs = "folders" if build is sided else None
    for path in (tmp_path / "data").rglob("*.png"):
        values = image(len(str(path))).astype(np.int16) * 20 - 1000
        tif(path.with_suffix(".tif"), values)
        path.unlink()
    with pytest.raises(UserError, match="signed values -[0-9]+ to [0-9]+, wanted 0 to 65535") as error:
        read_dataset(tmp_path / "data", pairs=pairs)
    told = "in its own units" if pairs else "scale the values to 0 … 1"
    assert "float32" in error.value.remedy and told in error.value.remedy
    for path in (tmp_path / "data").rglob("*.tif"):
        values = image(int(path.stem) + 50 * (path.parent.name == "b")).astype(np.float32) * 20 - 1000
        tif(path, values if pairs else (values + 1000) / 5100)
    assert len(read_dataset(tmp_path / "data", pairs=pairs)) == (12 if pairs else 20)


def test_floating_point_out_of_range_is_not_told_to_become_whole_numbers(tmp_path: Path) -> None:
    tif(tmp_path / "x.tif", image(0).astype(np.float32) / 100)
    with pytest.raises(UserError, match="values 0.* to 2.*, wanted 0 to 1; scale the values to 0 … 1"):
        read_dataset(tmp_path)


def test_pages_are_counted(tmp_path: Path) -> None:
    pages = [PIL.Image.fromarray(image(i)) for i in range(5)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "moving.gif", save_all=True, append_images=pages[1:])
    for name, what in (("stack.tif", "pages"), ("moving.gif", "frames")):
        with pytest.raises(UserError, match=f"{name}: 5 {what}, wanted 1; save each {what[:-1]} as a file of its own"):
            originals(str(tmp_path / name))[0]


def test_what_becomes_of_transparency_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.stack([image(i) for i in range(4)], -1)
    PIL.Image.fromarray(np.tile(pixels, (3, 3, 1))).save("content.png")
    save_png("style.png", np.tile(image(9), (3, 3)))
    main(["stylize", "content.png", "style.png", "-o", "out.png", "--steps", "1"])
    assert "content.png: the result is opaque: transparency over #ffffff" in capsys.readouterr().err
    main(["stylize", "style.png", "style.png", "-o", "other.png", "--steps", "1"])
    assert "opaque" not in capsys.readouterr().err
