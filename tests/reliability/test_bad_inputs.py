"""Bad inputs: one line with the file or option and the remedy, exit code 2, nothing written (`reliability.md` 5)."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cli_runs
import numpy as np
import pytest
import torch
from cli_runs import copy, edit_json, images, newest, retensor, rewrite, trained, unsealed, with_header

from seisei.cli.main import main
from seisei.errors import VERB_CODES
from seisei.modalities.image_io import save_png
from seisei.training.engine import Engine, Execution
from seisei.training.run import RunFolder

# ---- the common block ----

VERBS = ["sample", "reconstruct", "interpolate", "encode", "decode", "translate", "score", "evaluate"]
READERS = ["reconstruct", "encode", "translate", "score"]
WRITERS = ["reconstruct", "interpolate", "encode", "decode"]


def words(verb: str, run: Path | str, given: Path | str | None = None) -> list[Any]:
    extra = {
        "interpolate": ["--from", "1", "--to", "2"],
        "score": ["--importance-samples", "2"],
        "evaluate": ["--importance-samples", "2"],
    }
    inputs = [given or (cli_runs.codes() if verb == "decode" else images())] if verb in (*READERS, "decode") else []
    return [verb, run, *inputs, *extra.get(verb, [])]


def able(verb: str) -> Path:
    """A run that can do it."""
    return trained("pairs") if verb == "translate" else trained()


def code(verb: str, entry: int) -> str:
    # `evaluate` has entries of its own under all numbers, `sample` under 8.
    moved = 30 if verb == "evaluate" or (verb == "sample" and entry == 8) else 0
    return f"E-{VERB_CODES[verb]}-{entry + moved:02d}"


def header_too_long(run: Path) -> None:
    rewrite(run, "average.safetensors", lambda data: struct.pack("<Q", len(data) * 2) + data[8:])


def overlapping(run: Path) -> None:
    def shift(header: dict[str, Any]) -> None:
        entry = max((e for n, e in header.items() if n != "__metadata__"), key=lambda e: e["data_offsets"][0])
        start, end = entry["data_offsets"]
        entry["data_offsets"] = [start - 4, end - 4]

    rewrite(run, "average.safetensors", lambda data: with_header(data, shift))


def flipped(run: Path) -> None:
    path = newest(run) / "average.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def unknown_architecture(run: Path) -> None:
    def rename(recipe: Any) -> None:
        recipe["plan"]["objective"]["arguments"]["model"]["class"] = "os.system"

    edit_json(unsealed(run) / "recipe.json", rename)


@pytest.mark.parametrize("verb", VERBS)
def test_1_model_absent(refused: Any, verb: str) -> None:
    refused(words(verb, "runs/nope"), code(verb, 1), "runs/nope", "seisei list")


@pytest.mark.parametrize("verb", VERBS)
def test_2_no_model_folder(refused: Any, place: Path, verb: str) -> None:
    (place / "folder").mkdir()
    refused(words(verb, "folder"), code(verb, 2), "folder", "recipe.json")


@pytest.mark.parametrize("verb", VERBS)
def test_3_pickle_offered(refused: Any, place: Path, verb: str) -> None:
    (place / "model.pt").write_bytes(b"\x80\x04.")
    refused(words(verb, "model.pt"), code(verb, 3), "model.pt", "pickle", "safetensors")
    (place / "old").mkdir()
    (place / "old" / "weights.pkl").write_bytes(b"\x80\x04.")
    refused(words(verb, "old"), code(verb, 3), "weights.pkl", "safetensors")


DAMAGES: dict[int, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    4: (flipped, ("average.safetensors", "SHA-256", "wanted")),
    5: (header_too_long, ("average.safetensors", "header of")),
    6: (overlapping, ("average.safetensors", "tensor")),
    7: (unknown_architecture, ("recipe.json", "os.system", "upgrade")),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("entry", DAMAGES)
def test_4_to_7_damaged_model(refused: Any, place: Path, verb: str, entry: int) -> None:
    run = copy(able(verb), place / "run")
    damage, mentions = DAMAGES[entry]
    damage(run)
    refused(words(verb, "run"), code(verb, entry), *mentions)


@pytest.mark.parametrize("verb", ["sample", "score"])
def test_8_verb_lacked(refused: Any, verb: str) -> None:
    line = refused(words(verb, trained("autoencoder")), code(verb, 8), f"cannot {verb}")
    assert "it can: reconstruct, interpolate, encode, decode, evaluate" in line


@pytest.mark.parametrize("verb", [*READERS, "decode"])
def test_9_input_absent(refused: Any, verb: str) -> None:
    refused(words(verb, able(verb), "nope"), code(verb, 9), "nope", "check the path")


@pytest.mark.parametrize("verb", READERS)
def test_10_input_empty(refused: Any, place: Path, verb: str) -> None:
    (place / "empty").mkdir()
    refused(words(verb, able(verb), "empty"), code(verb, 10), "empty")
    (place / "zero.png").touch()
    refused(words(verb, able(verb), "zero.png"), code(verb, 10), "zero.png", "0 bytes")


def test_10_no_codes(refused: Any, place: Path) -> None:
    (place / "codes.npz").touch()
    refused(words("decode", trained(), "codes.npz"), "E-DEC-10", "codes.npz", "0 bytes")
    (place / "codes.csv").write_text("name,z0,z1\n")
    refused(words("decode", trained(), "codes.csv"), "E-DEC-10", "codes.csv", "0 rows")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("verb", [*READERS, "decode"])
def test_11_input_unreadable(refused: Any, place: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    path = shutil.copy(cli_runs.codes() if verb == "decode" else images() / "000.png", place)
    os.chmod(path, 0)
    monkeypatch.setitem(globals(), "tree", lambda *_: "")  # which could not read it either
    refused(words(verb, able(verb), path), code(verb, 11), "permission denied", "chmod")


@pytest.mark.parametrize("verb", READERS)
def test_12_input_damaged(refused: Any, place: Path, verb: str) -> None:
    data = (images() / "000.png").read_bytes()
    (place / "cut.png").write_bytes(data[: len(data) // 2])
    refused(words(verb, able(verb), "cut.png"), code(verb, 12), "cut.png", str(len(data) // 2))
    (place / "page.png").write_text("<!doctype html><html></html>")
    refused(words(verb, able(verb), "page.png"), code(verb, 12), "page.png", "HTML")


def test_12_codes_damaged(refused: Any, place: Path) -> None:
    (place / "codes.npz").write_bytes(cli_runs.codes().read_bytes()[:200])
    refused(words("decode", trained(), "codes.npz"), "E-DEC-12", "codes.npz", "damaged")
    (place / "codes.csv").write_text("name,z0,z1\na,1\n")
    refused(words("decode", trained(), "codes.csv"), "E-DEC-12", "codes.csv:2", "2 fields", "3")
    (place / "codes.parquet").write_bytes(b"PAR1")
    refused(words("decode", trained(), "codes.parquet"), "E-DEC-12", "codes.parquet")


@pytest.mark.parametrize("verb", READERS)
def test_13_input_over_the_caps(refused: Any, place: Path, verb: str) -> None:
    data = bytearray((images() / "000.png").read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (place / "bomb.png").write_bytes(data)
    refused(words(verb, able(verb), "bomb.png"), code(verb, 13), "bomb.png", "60000x60000", "64 MP")


def test_13_codes_over_the_caps(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisei.verbs.code_files.LARGEST", 100)
    refused(words("decode", trained()), "E-DEC-13", "codes.npz")


@pytest.mark.parametrize("verb", READERS)
def test_14_modality_mismatch(refused: Any, place: Path, verb: str) -> None:
    (place / "sound").mkdir()
    (place / "sound" / "a.wav").write_bytes(b"RIFF")
    refused(words(verb, able(verb), "sound"), code(verb, 14), "sound", "images")


@pytest.mark.parametrize("name", ["codes.txt", "image.png"])
def test_14_no_codes_at_all(refused: Any, place: Path, name: str) -> None:
    (place / name).write_text("hello")
    refused(words("decode", trained(), name), "E-DEC-14", name, "seisei encode")
    np.savez(place / "other.npz", x=np.zeros(3))
    refused(words("decode", trained(), "other.npz"), "E-DEC-14", "other.npz", "z")


OUTPUT = {"encode": "x.npz", "score": "x.csv"}


@pytest.mark.parametrize("verb", [*WRITERS, "score"])
def test_15_output_folder_absent(refused: Any, verb: str) -> None:
    out = f"no/such/{OUTPUT.get(verb, 'x.png')}"
    refused([*words(verb, trained()), "-o", out], code(verb, 15), out, "-o")


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written, root or not."""
    monkeypatch.setattr("seisei.verbs.output.os.access", lambda *_: False)


@pytest.mark.parametrize("verb", [*WRITERS, "score", "sample"])
def test_15_output_folder_not_writable(refused: Any, locked: None, verb: str) -> None:
    out = OUTPUT.get(verb, "x.png")
    wanted = "E-SMP-21" if verb == "sample" else code(verb, 15)
    refused([*words(verb, trained()), "-o", out], wanted, out, "-o")


@pytest.mark.parametrize("verb", [*WRITERS, "score"])
def test_16_output_exists(refused: Any, place: Path, verb: str) -> None:
    out = OUTPUT.get(verb, "x.png")
    (place / out).write_text("mine")
    refused([*words(verb, trained()), "-o", out], code(verb, 16), out, "--overwrite")


@pytest.mark.parametrize("verb", ["reconstruct", "decode"])
def test_16_output_folder_is_full(refused: Any, place: Path, verb: str) -> None:
    (place / "there").mkdir()
    (place / "there" / "mine.txt").touch()
    refused([*words(verb, trained()), "--separate", "-o", "there"], code(verb, 16), "there", "--overwrite")


@pytest.mark.parametrize("verb", [*WRITERS, "score"])
def test_17_format_does_not_fit(refused: Any, verb: str) -> None:
    refused([*words(verb, trained()), "-o", "x.gif"], code(verb, 17), "x.gif", OUTPUT.get(verb, "x.png")[1:])


@pytest.mark.parametrize("verb", ["reconstruct", "decode"])
def test_17_file_name_for_a_folder(refused: Any, verb: str) -> None:
    refused([*words(verb, trained()), "--separate", "-o", "x.png"], code(verb, 17), "x.png", "--separate")


@pytest.mark.parametrize("verb", [verb for verb in READERS if verb != "translate"])
def test_19_size_and_20_channels_differ(refused: Any, place: Path, verb: str) -> None:
    save_png(place / "large.png", np.zeros((9, 12), np.uint8))
    refused(words(verb, trained(), "large.png"), code(verb, 19), "large.png", "12x9", "8x8", "--fit")
    save_png(place / "color.png", np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    refused(words(verb, trained(), "color.png"), code(verb, 20), "color.png", "--convert")


@pytest.mark.parametrize("verb", [verb for verb in READERS if verb != "translate"])
def test_24_and_25_conditional_inputs(refused: Any, place: Path, verb: str) -> None:
    refused(words(verb, trained("conditional")), code(verb, 25), "000.png", "sub-folder")
    (place / "kinds" / "11").mkdir(parents=True)
    shutil.copy(images() / "000.png", place / "kinds" / "11")
    refused(words(verb, trained("conditional"), "kinds"), code(verb, 24), "11", "choose from")


def test_translate(refused: Any) -> None:
    run, one = trained("pairs"), cli_runs.pairs() / "a" / "00.png"
    refused(["translate", trained(), one], "E-TRL-08", "cannot translate", "it can: sample")
    refused(["translate", run, one, "-n", "3"], "E-TRL-19", "-n", "--noise latent")
    refused(["translate", run, one, "--tile", "31"], "E-TRL-20", "--tile", "30 or 32")
    refused(["translate", run, one, "--tile", "32", "--overlap", "30"], "E-TRL-20", "--overlap", "0 to 16")
    refused(["translate", run, cli_runs.pairs() / "b"], "E-TRL-21", "00.png", "has 3 channels, wanted 1", "--convert")
    refused(["translate", run, one, "--seed", "-1"], "E-TRL-25", "--seed", "-1")


def test_translate_to_where_something_is(refused: Any, place: Path) -> None:
    run, one = trained("pairs"), cli_runs.pairs() / "a" / "00.png"
    refused(["translate", run, one, "-o", "no/such/x.png"], "E-TRL-15", "no/such/x.png", "-o")
    (place / "x.png").write_text("mine")
    refused(["translate", run, one, "-o", "x.png"], "E-TRL-16", "x.png", "--overwrite")
    (place / "there").mkdir()
    (place / "there" / "mine.txt").touch()
    refused(["translate", run, cli_runs.pairs() / "a", "-o", "there"], "E-TRL-16", "there", "--overwrite")
    refused(["translate", run, one, "-o", "x.jpg"], "E-TRL-17", "x.jpg", "x.png")
    (place / "few").mkdir()
    shutil.copy(cli_runs.pairs() / "b" / "00.png", place / "few")
    refused(["translate", run, cli_runs.pairs() / "a", "--compare", "few"], "E-TRL-23", "01.png", "--compare")
    save_png(place / "few" / "00.png", np.zeros((4, 4, 3), np.uint8))
    refused(["translate", run, one, "--compare", "few"], "E-TRL-23", "00.png", "4×4×3", "16×16×3")


def test_translate_a_label_map(refused: Any, place: Path) -> None:
    run = trained("maps")
    save_png(place / "x.png", np.full((16, 16), 77, np.uint8))
    refused(["translate", run, "x.png"], "E-TRL-22", "x.png", "#4d4d4d")


# ---- check ----


def test_check(refused: Any, place: Path) -> None:
    refused(["check", "nope"], "E-CHK-01", "nope", "check the path")
    (place / "empty").mkdir()
    refused(["check", "empty"], "E-CHK-03", "empty", "0 files")
    (place / "cats.zip").touch()
    refused(["check", "cats.zip"], "E-CHK-02", "cats.zip", "unpack")
    refused(["check", "digits", "--validation", "1.5"], "E-GEN-07", "--validation", "1.5")
    refused(["check"], "E-GEN-03", "PATH", "seisei check PATH")
    refused(["check", "digits", "--sise", "8"], "E-GEN-02", "--sise", "--size")
    refused(["check", cli_runs.images(), "--skip-bad", "some"], "E-GEN-06", "--skip-bad", "some")


# ---- train ----

TRAIN: list[tuple[str, list[str], tuple[str, ...]]] = [
    ("E-TRN-01", ["vaee", "digits"], ("vaee", "did you mean 'vae'")),
    ("E-TRN-01", ["--steps", "3", "vae", "digits"], ("--steps", "seisei train vae")),
    ("E-TRN-02", ["vae", "digits", "--laten", "3"], ("--laten", "did you mean --latent")),
    ("E-TRN-02", ["vae", "digits", "--set", "objectiv.beta=1"], ("objectiv", "did you mean 'objective'")),
    ("E-TRN-02", ["vae", "digits", "--set", "objective.bta=1"], ("bta", "did you mean 'beta'")),
    ("E-TRN-06", ["vae", "digits", "--latent", "many"], ("--latent", "'many' is text", "a whole number")),
    ("E-TRN-06", ["vae", "digits", "--set", "steps"], ("--set steps", "--set objective.beta=0.5")),
    ("E-TRN-06", ["vae", "digits", "--set", "objective.beta=much"], ("beta", "'much' is text")),
    ("E-TRN-07", ["vae", "digits", "--learning-rate", "0"], ("--learning-rate", "> 0 and <= 1")),
    ("E-TRN-07", ["vae", "digits", "--learning-rate", "nan"], ("--learning-rate", "nan")),
    ("E-TRN-07", ["vae", "digits", "--learning-rate", "1e999"], ("--learning-rate", "inf")),
    ("E-TRN-07", ["vae", "digits", "--batch", "0"], ("--batch", ">= 1")),
    ("E-TRN-07", ["vae", "digits", "--steps", "-5"], ("--steps", ">= 1")),
    ("E-TRN-07", ["vae", "digits", "--device", "gpu"], ("--device", "did you mean 'cpu'")),
    ("E-TRN-07", ["vae", "digits", "--keep", "1"], ("--keep", "2")),
    ("E-TRN-07", ["vae", "digits", "--set", "objective.beta=-1"], ("beta", ">= 0")),
    ("E-TRN-10", ["vae", "digits", "--set", "micro=5000"], ("--batch", "5000", "--set micro=")),
    ("E-TRN-25", ["vae", "digits", "--seed", "-1"], ("--seed", "2^63")),
    ("E-GEN-03", ["vae"], ("DATA", "seisei train vae DATA")),
    ("E-GEN-03", ["vae", "digits", "--latent"], ("--latent", "needs a value")),
    ("E-GEN-04", ["vae", "digits", "more"], ("more", "remove it")),
    ("E-GEN-05", ["vae", "digits", "--steps", "1", "--steps", "2"], ("--steps", "keep one")),
]


@pytest.mark.parametrize(("wanted", "given", "mentions"), TRAIN, ids=[" ".join(g) for _, g, _ in TRAIN])
def test_train(refused: Any, wanted: str, given: list[str], mentions: tuple[str, ...]) -> None:
    refused(["train", *given], wanted, *mentions)


CONFIG: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("E-TRN-02", "c.yaml", "steps: 3\n\nlaten: 3\n", ("c.yaml:3", "'laten'", "did you mean 'latent'")),
    ("E-TRN-02", "c.toml", "steps = 3\nlaten = 3\n", ("c.toml:2", "'laten'", "did you mean 'latent'")),
    ("E-TRN-02", "c.json", '{"steps": 3,\n "laten": 3}', ("c.json:2", "'laten'", "did you mean 'latent'")),
    ("E-TRN-03", "c.yaml", "steps: 3\nlatent: [4\n", ("c.yaml:3:1",)),
    ("E-TRN-03", "c.toml", "steps = 3\nlatent = = 4\n", ("c.toml:2:10",)),
    ("E-TRN-03", "c.json", '{"steps": 3,\n "latent" 4}', ("c.json:2:11",)),
    ("E-TRN-03", "c.json", "[" * 100_000, ("c.json",)),
    ("E-TRN-03", "c.yaml", "just text\n", ("c.yaml", "text")),
    ("E-TRN-03", "c.ini", "steps=3", ("c.ini", ".toml")),
    ("E-TRN-04", "c.yaml", "latent: !!python/object/apply:os.system ['ls']\n", ("c.yaml:1", "tag", "plain values")),
    ("E-TRN-04", "c.yaml", "a: &a [1]\nb: [*a, *a]\n", ("c.yaml:1", "anchors", "plain values")),
    ("E-TRN-04", "c.yaml", "_target_: os.system\n", ("c.yaml:1", "_target_", "plain values")),
    ("E-TRN-04", "c.yaml", "set: {model: {_target_: os.system}}\n", ("c.yaml:1", "_target_", "plain values")),
    ("E-TRN-05", "c.yaml", "steps: 3\nlatent: 2\nsteps: 4\n", ("c.yaml:3", "'steps'", "line 1", "keep one")),
    ("E-TRN-05", "c.json", '{"steps": 3,\n"steps": 4}', ("c.json:2", "'steps'", "line 1", "keep one")),
    ("E-TRN-05", "c.toml", "steps = 3\nsteps = 4\n", ("c.toml:2", "'steps'", "line 1", "keep one")),
    ("E-TRN-06", "c.yaml", "steps: many\n", ("c.yaml:1", "'steps'", "a whole number")),
    ("E-TRN-06", "c.yaml", "steps: {a: 1}\n", ("c.yaml:1", "'steps'")),
    ("E-TRN-07", "c.toml", "latent = 0\n", ("c.toml:1", "'latent'", ">= 1")),
    ("E-TRN-07", "c.yaml", "device: gpu\n", ("c.yaml:1", "did you mean 'cpu'")),
]


@pytest.mark.parametrize(("wanted", "name", "text", "mentions"), CONFIG, ids=[f"{c} {n}" for c, n, _, _ in CONFIG])
def test_train_config(refused: Any, place: Path, wanted: str, name: str, text: str, mentions: tuple[str, ...]) -> None:
    (place / name).write_text(text)
    refused(["train", "vae", "digits", "--config", name], wanted, *mentions)


def test_train_config_absent(refused: Any) -> None:
    refused(["train", "vae", "digits", "--config", "no.yaml"], "E-TRN-03", "no.yaml", "--config")


def test_train_8_impossible_shape(refused: Any) -> None:
    words = ["train", "vae", images(), "--network", "conv", "--size", "512", "--batch", "8"]
    refused(words, "E-TRN-08", "--network conv", "512", "--size")


def test_train_11_empty_validation(refused: Any, place: Path) -> None:
    (place / "two").mkdir()
    for name in ("000.png", "001.png"):
        shutil.copy(images() / name, place / "two")
    refused(["train", "vae", "two", "--batch", "1"], "E-TRN-11", "two", "2", "--validation")


def test_train_12_labels_missing(refused: Any, place: Path) -> None:
    refused(["train", "vae", images(), "--condition", "label"], "E-TRN-12", "--condition", "sub-folder")


def test_train_13_modality(refused: Any, place: Path) -> None:
    (place / "songs").mkdir()
    (place / "songs" / "a.wav").write_bytes(b"RIFF")
    refused(["train", "vae", "songs"], "E-TRN-13", "songs", "images")


def test_train_20_output_not_empty(refused: Any, place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").touch()
    refused(["train", "vae", "digits", "-o", "mine"], "E-TRN-20", "mine", "--output")
    refused(["train", "vae", "digits", "-o", "mine", "--overwrite"], "E-TRN-20", "mine", "--output")
    refused(["train", "vae", "digits", "-o", "mine/thesis.txt"], "E-TRN-20", "thesis.txt", "--output")


def test_train_21_output_not_writable(refused: Any, place: Path) -> None:
    (place / "file").touch()
    refused(["train", "vae", "digits", "-o", "file/run"], "E-TRN-21", "file/run", "--output")


def test_train_22_disk(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 5_000_000))
    with pytest.raises(SystemExit) as ended:
        main(["train", "vae", "digits", *cli_runs.TINY, "-o", "run"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and "5 MB free" in line and "--output" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_train_23_device_absent(refused: Any) -> None:
    refused(["train", "vae", "digits", "--device", "cuda"], "E-TRN-23", "--device cuda", "--device cpu")


def test_train_24_precision_unsupported(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisei.training.engine.bf16_works", lambda _: False)
    refused(["train", "vae", "digits", "--device", "cpu", "--precision", "bf16"], "E-TRN-24", "--precision", "fp32")


def test_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trian", "--json"])
    assert ended.value.code == 2
    said = json.loads(capsys.readouterr().err)["error"]
    assert said["code"] == "E-GEN-01" and "did you mean 'train'" in said["remedy"]


# ---- resume ----


def no_checkpoint(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def no_manifest(run: Path) -> None:
    (newest(run) / "manifest.json").unlink()


def not_json(run: Path) -> None:
    (newest(run) / "manifest.json").write_text('{"format": 1,, }')


def newer(run: Path) -> None:
    edit_json(newest(run) / "manifest.json", lambda m: {**m, "format": 99})


def pickled(run: Path) -> None:
    no_checkpoint(run)
    (run / "model.ckpt").write_bytes(b"\x80\x04.")


def a_tensor(change: Callable[[dict[str, Any], str], None]) -> Callable[[Path], None]:
    return lambda run: retensor(run, "model.safetensors", lambda tensors: change(tensors, sorted(tensors)[0]))


def set_to(change: Callable[[Any], Any]) -> Callable[[dict[str, Any], str], None]:
    return lambda tensors, name: tensors.__setitem__(name, change(tensors[name]))


def without_state(run: Path) -> None:
    def forget(data: bytes) -> bytes:
        state = json.loads(data)
        del state["seed"]
        return json.dumps(state).encode()

    rewrite(run, "state.json", forget)


def without(name: str) -> Callable[[Path], None]:
    def forget(run: Path) -> None:
        (newest(run) / name).unlink()
        edit_json(newest(run) / "manifest.json", lambda manifest: manifest["files"].pop(name) and None)

    return forget


RESUME: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "E-RES-01": (no_checkpoint, ("run", "seisei train")),
    "E-RES-02": (lambda run: (run / "recipe.json").unlink(), ("run", "recipe.json")),
    "E-RES-03": (no_manifest, ("step-00000030", "manifest")),
    "E-RES-04": (not_json, ("manifest.json", "byte 13")),
    "E-RES-05": (flipped, ("average.safetensors", "SHA-256")),
    "E-RES-06": (a_tensor(lambda tensors, name: tensors.pop(name)), ("model.safetensors", "is missing")),
    "E-RES-07": (a_tensor(set_to(lambda t: t)), ()),
    "E-RES-08": (a_tensor(set_to(lambda t: t[..., :1].contiguous())), ("model.safetensors", "shape")),
    "E-RES-09": (a_tensor(set_to(lambda t: t.double())), ("model.safetensors", "float64", "float32")),
    "E-RES-10": (a_tensor(set_to(lambda t: t * float("nan"))), ("model.safetensors", "not finite")),
    "E-RES-11": (newer, ("manifest.json", "99", "upgrade")),
    "E-RES-12": (pickled, ("model.ckpt", "safetensors")),
    "E-RES-13": (unknown_architecture, ("recipe.json", "os.system", "upgrade")),
    "E-RES-19": (without_state, ("state.json", "seed")),
    "E-RES-21": (without("average.safetensors"), ("average.safetensors", "missing")),
    "E-RES-22": (without("optimizer-model.safetensors"), ("optimizer-model.safetensors", "missing")),
    "E-RES-23": (lambda run: None, ("finished at 30", "--steps")),
}
RESUME["E-RES-07"] = (
    a_tensor(lambda tensors, name: tensors.__setitem__("extra", tensors[name].clone())),
    ("model.safetensors", "'extra'"),
)


@pytest.mark.parametrize("wanted", RESUME)
def test_resume(refused: Any, place: Path, wanted: str) -> None:
    run = copy(trained(), place / "run")
    damage, mentions = RESUME[wanted]
    damage(run)
    (run / ".lock").touch()
    refused(["resume", "run", *([] if wanted == "E-RES-23" else ["--steps", "60"])], wanted, *mentions)


def test_resume_without_a_run(refused: Any) -> None:
    refused(["resume"], "E-RES-01", "RUN", "seisei train")
    refused(["resume", "nope"], "E-RES-01", "nope", "seisei list")


def test_resume_1_step_absent(refused: Any, place: Path) -> None:
    copy(trained(), place / "run")
    refused(["resume", "run", "--step", "7", "--steps", "60"], "E-RES-01", "7", "30")


def test_resume_15_data_changed_and_16_absent(refused: Any, place: Path) -> None:
    copy(trained("folder"), place / "run")
    shutil.copytree(images(), place / "fewer")
    (place / "fewer" / "003.png").unlink()
    refused(["resume", "run", "--steps", "60", "--data", "fewer"], "E-RES-15", "fewer", "--accept-new-data")
    refused(["resume", "run", "--steps", "60", "--data", "gone"], "E-RES-16", "gone", "--data")


def test_resume_24_locked(refused: Any, place: Path) -> None:
    run = copy(trained(), place / "run")
    lock = RunFolder(run).lock()
    try:
        refused(["resume", "run", "--steps", "60"], "E-RES-24", "run", str(os.getpid()), "wait")
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "is given without --steps: no steps are added"),
        (["--steps", "30"], "has no effect with --steps 30: no steps are added"),
        (["--steps", "20"], "has no effect with --steps 20: no steps are added"),
    ],
)
def test_resume_26_a_schedule_that_would_not_change(words: list[str], problem: str, refused: Any, place: Path) -> None:
    copy(trained(), place / "run")
    said = refused(["resume", "run", "--keep-schedule", *words], "E-RES-26")
    assert said == (f"seisei resume: error: --keep-schedule: {problem}; pass --steps above 30, or leave it out\n")


def test_resume_25_nothing_whole(refused: Any, place: Path) -> None:
    run = copy(trained(), place / "run", checkpoints=2)
    for path in (run / "checkpoints").iterdir():
        (path / "model.safetensors").write_bytes(b"")
    refused(["resume", "run", "--steps", "60"], "E-RES-25", "checkpoints", "step-00000015", "step-00000030")


# ---- entries of their own ----

OWN: list[tuple[str, list[Any], tuple[str, ...]]] = [
    ("E-SMP-08", ["sample", "VAE", "-n", "0"], ("-n", "100000")),
    ("E-SMP-08", ["sample", "VAE", "-n", "1000000000"], ("-n", "100000")),
    ("E-SMP-09", ["sample", "VAE", "--seed", "-1"], ("--seed", "2^63")),
    ("E-SMP-09", ["sample", "VAE", "--seed", str(2**63)], ("--seed", "2^63")),
    ("E-SMP-10", ["sample", "VAE", "--temperature", "0"], ("--temperature", "> 0")),
    ("E-SMP-10", ["sample", "VAE", "--temperature", "nan"], ("--temperature", "nan")),
    ("E-SMP-13", ["sample", "VAE", "--label", "3"], ("--label", "--condition label")),
    ("E-SMP-13", ["sample", "CONDITIONAL", "--label", "33"], ("33", "did you mean '3'")),
    ("E-SMP-14", ["sample", "CONDITIONAL", "-n", "3", "--label", "3", "--label", "4"], ("--label", "2 labels for 3")),
    ("E-SMP-21", ["sample", "VAE", "-o", "no/such.png"], ("no/such.png", "-o")),
    ("E-SMP-22", ["sample", "VAE", "-o", "here.png"], ("here.png", "--overwrite")),
    ("E-SMP-22", ["sample", "VAE", "-o", "full", "--separate"], ("full", "--overwrite")),
    ("E-SMP-23", ["sample", "VAE", "-o", "x.jpg"], ("x.jpg", ".png")),
    ("E-SMP-23", ["sample", "VAE", "-o", "x.png", "--separate"], ("x.png", "--separate")),
    ("E-GEN-07", ["sample", "VAE", "--columns", "0"], ("--columns", ">= 1")),
    ("E-GEN-06", ["sample", "VAE", "-n", "many"], ("-n", "'many'")),
    ("E-GEN-02", ["sample", "VAE", "--sede", "1"], ("--sede", "--seed")),
    ("E-INT-19", ["interpolate", "VAE"], ("--from", "--from 3 --to 7")),
    ("E-INT-19", ["interpolate", "VAE", "--from", "3"], ("--to", "--from 3 --to 7")),
    ("E-INT-19", ["interpolate", "AUTOENCODER", "--from", "3", "--to", "7"], ("--from", "two images")),
    ("E-INT-20", ["interpolate", "VAE", "--from", "3", "--to", "7", "--steps", "1"], ("--steps", "2 to 1000")),
    ("E-INT-20", ["interpolate", "VAE", "--from", "3", "--to", "7", "--steps", "5000"], ("--steps", "5000")),
    ("E-INT-21", ["interpolate", "VAE", "--from", "3", "--to", "here.png"], ("--from and --to", "3", "here.png")),
    ("E-INT-21", ["interpolate", "VAE", "--from", "IMAGES", "--to", "IMAGES"], ("40 images",)),
    ("E-GEN-07", ["interpolate", "VAE", "--from", "3", "--to", "7", "--path", "scenic"], ("--path", "spherical")),
    ("E-INT-24", ["interpolate", "CONDITIONAL", "--from", "3", "--to", "7", "--label", "x"], ("x", "choose from")),
    ("E-INT-25", ["interpolate", "VAE", "--from", "3", "--to", "-7"], ("--seed", "-7")),
    ("E-SCO-20", ["score", "VAE", "IMAGES", "--importance-samples", "0"], ("--importance-samples", "1 to 1000000")),
    ("E-EVA-10", ["evaluate", "VAE", "--split", "tset"], ("--split", "tset", "did you mean 'test'")),
    ("E-EVA-20", ["evaluate", "VAE", "--importance-samples", "0"], ("--importance-samples", ">= 1")),
    ("E-LST-01", ["list", "nowhere"], ("nowhere", "folder of runs")),
    ("E-LST-02", ["list", "here.png"], ("here.png", "folder of runs")),
    ("E-REP-01", ["report", "nope"], ("nope", "seisei list")),
]


@pytest.mark.parametrize(("wanted", "given", "mentions"), OWN, ids=[f"{c} {' '.join(g[:4])}" for c, g, _ in OWN])
def test_own_entries(refused: Any, place: Path, wanted: str, given: list[str], mentions: tuple[str, ...]) -> None:
    save_png(place / "here.png", np.zeros((8, 8), np.uint8))
    (place / "full").mkdir()
    (place / "full" / "mine.txt").touch()
    stand = {"VAE": lambda: trained(), "CONDITIONAL": lambda: trained("conditional"), "IMAGES": images}
    stand["AUTOENCODER"] = lambda: trained("autoencoder")
    refused([stand[w]() if w in stand else w for w in given], wanted, *mentions)


def test_decode_19_and_20_whose_codes(refused: Any, place: Path) -> None:
    np.savez(place / "plain.npz", z=np.zeros((2, 4), np.float32))
    refused(["decode", trained(), "plain.npz"], "E-DEC-19", "plain.npz", "--any-model")
    np.savez(place / "theirs.npz", z=np.zeros((2, 4), np.float32), model=np.array("ab" * 32))
    refused(["decode", trained(), "theirs.npz"], "E-DEC-20", "theirs.npz", "abababab", "--any-model")


def test_decode_13_22_and_24(refused: Any, place: Path) -> None:
    np.save(place / "wide.npy", np.zeros((2, 5), np.float32))
    refused(["decode", trained(), "wide.npy", "--any-model"], "E-DEC-22", "2×5", "N×4")
    bad = np.zeros((3, 4), np.float32)
    bad[1, 2] = np.nan
    np.save(place / "nan.npy", bad)
    refused(["decode", trained(), "nan.npy", "--any-model"], "E-DEC-24", "row 1")
    np.save(place / "words.npy", np.array(["a", "b"]))
    refused(["decode", trained(), "words.npy", "--any-model"], "E-DEC-14", "words.npy", "numbers")


def test_evaluate_1_arrays_are_gone(refused: Any, place: Path) -> None:
    run = copy(trained(), place / "run")
    edit_json(unsealed(run) / "recipe.json", lambda recipe: recipe["data"].update(path=None))
    refused(["evaluate", "run"], "E-EVA-01", "run", "give them again")


def test_evaluate_23_output_not_writable(refused: Any, locked: None) -> None:
    refused(["evaluate", trained(), "--save"], "E-EVA-23", "scores.json")


def test_bf16_that_a_cpu_only_emulates_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for emulated in (True, False):
        monkeypatch.setattr("seisei.training.engine.bf16_is_emulated", lambda _, told=emulated: told)
        with Engine(Execution(device="cpu", precision="bf16", backend_tuning=False)) as engine:
            assert [("fp32" in note) for note in engine.notes] == [True] * emulated
        with Engine(Execution(device="cpu", precision="fp32", backend_tuning=False)) as engine:
            assert not engine.notes
