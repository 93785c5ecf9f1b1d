"""What a new user meets: faults that people found by trying the program with README and --help alone."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seisei
from seisei.cli.main import main
from seisei.errors import UserError
from seisei.objectives.base import Progress
from seisei.training.history import History
from seisei.training.watch.rules import overfitting


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command: its exit code, and what it wrote on either stream."""

    def run(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return run


def table(path: Path, rows: int = 120, rare: bool = True, single: bool = False) -> Path:
    """Rows of two classes; one row, which is held out, has a word that no training row has."""
    draw = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["age", "city", "paid", "split"])
        for i in range(rows):
            split = "test" if i % 10 == 9 else "validation" if i % 10 == 8 else "train"
            city = "Bern" if rare and i == 9 else ("Oslo", "Rome")[i % 2]
            paid = "yes" if (single and split == "train") or i % 2 else "no"
            out.writerow([round(30 + 10 * (i % 2) + draw.normal(), 1), city, paid, split])
    return path


def test_what_is_to_be_typed_next_works_on_a_table_with_rare_words(here: Path, said: Any) -> None:
    table(here / "t.csv")
    code, out, _ = said("train", "generative", "t.csv", "--target", "paid", "-o", "run")
    (line,) = re.findall(r"^  seisei (predict .*)$", out, re.M)
    assert code == 0 and line.endswith("--unseen missing")
    assert said(*line.split())[0] == 0
    # Without it the error says so, and evaluating takes such words as training's own scores did.
    code, _, err = said("predict", "run", "t.csv")
    assert code == 2 and "'Bern' was in no training row; choose from: Oslo, Rome" in err
    assert " or pass --unseen missing" in err
    assert said("evaluate", "run", "--data", "t.csv")[0] == 0


def test_predicting_training_data_says_that_it_is_training_data(here: Path, said: Any) -> None:
    table(here / "t.csv", rare=False)
    table(here / "other.csv", rare=False)
    said("train", "generative", "t.csv", "--target", "paid", "-o", "run", "--no-report")
    assert (
        "most of these are training examples; on held-out ones: seisei evaluate run"
        in said("predict", "run", "t.csv")[1]
    )
    assert json.loads(said("predict", "run", "t.csv", "--json")[1])["training_data"] is True
    assert "training examples" not in said("predict", "run", "other.csv")[1]
    assert "training_data" not in json.loads(said("predict", "run", "other.csv", "--json")[1])


def test_a_run_that_converged_is_listed_so(here: Path, said: Any) -> None:
    table(here / "t.csv", rare=False)
    said("train", "generative", "t.csv", "--target", "paid", "-o", "runs/a", "--no-report")
    assert [run["state"] for run in seisei.runs()] == ["converged at step 1"]


def test_a_fit_that_gains_next_to_nothing_is_not_complained_of() -> None:
    progress = Progress()
    for loss in (50.0, 47.08, 47.081):
        progress.add(loss)
    assert not progress.ended and progress.unfinished is None
    progress.add(46.0)
    assert progress.unfinished is not None and "gained 1.1 nats" in progress.unfinished


def test_a_fit_that_was_stopped_is_gone_on_with_as_it_says(here: Path, said: Any) -> None:
    _, _, err = said(
        "train", "generative", "digits", "--density", "mixture", "--iterations", "2", "-o", "run", "--no-report"
    )
    (line,) = re.findall(r"did not converge in 2 iterations.*; go on with: seisei (resume .*)$", err, re.M)
    assert said(*line.split(), "--json")[0] == 0


def test_advice_on_arrays_is_python(here: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    advice = [entry["command"] for entry in seisei.check(images)["advice"]]
    assert advice and all(command.startswith("seisei.train('") for command in advice)
    np.save(here / "x.npy", images)
    assert all(entry["command"].startswith("seisei train ") for entry in seisei.check(here / "x.npy")["advice"])


def test_a_handful_of_images_is_to_be_compressed_first(here: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    np.save(here / "few.npy", images)
    first = seisei.check(here / "few.npy")["advice"][0]
    assert " autoencoder " in first["command"] and "are few to generate new ones" in first["why"]


def test_check_does_not_suggest_what_would_be_refused(here: Path) -> None:
    table(here / "t.csv", single=True)
    found = seisei.check(here / "t.csv", target="paid")
    assert not any(name in entry["command"] for entry in found["advice"] for name in ("generative", "discriminative"))
    assert any("all training rows are of one class" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("train vae digits --lr 0.1", "it is called --learning-rate"),
        ("train vae digits --average 0.9", "it is called --ema-decay"),
        ("train vqvae digits --quantizer averaged", "it is called 'ema'"),
        ("train discriminative digits --density gaussian", "it is an option of generative; see"),
        ("train gan digits --beta 2", "it is an option of vae; see"),
        ("train vae digits --codes 12", "it is an option of vqvae, vqvae+prior, vqvae2; see"),
        ("train vae digits --latnt 3", "did you mean --latent?"),
        ("train vae digits --steps 10.5", "--steps: '10.5' is text, wanted a whole number"),
        ("train generative digits --precision bf16", "fitted in closed form or by EM"),
        ("train generative digits --max-pixels 5", "is for image files, and these data are digits"),
        ("check digits --max-pixels 5", "is for image files, and these data are digits"),
    ],
)
def test_options_that_people_try(here: Path, said: Any, words: str, answer: str) -> None:
    code, out, err = said(*words.split())
    assert code == 2 and answer in err and err.count("\n") == 1 and out == ""
    assert list(here.iterdir()) == []


def test_what_the_watch_advises_is_not_refused(here: Path, said: Any) -> None:
    """A density without a network has no width to lower."""
    checks = [{"event": "validation", "step": s, "t": s / 9, "loss": v, "examples": 50} for s, v in enumerate(
        [5.0, 4.0, 3.0, 3.5, 4.0, 4.5, 5.0])]  # fmt: skip
    lines = [{"event": "train", "step": s, "t": s / 9, "loss": 5.0 - s / 2} for s in range(7)]
    for options, wanted in (({"width": 64, "steps": 9}, True), ({"steps": 9}, False)):
        history = History(options)
        for event in sorted([*checks, *lines], key=lambda e: (e["step"], e["event"])):
            history.add(event)
        found = overfitting(history)
        assert found is not None and any("--width" in change.words for change in found.changes) == wanted
        history = History(options)
        for event in sorted([*({**c, "examples": 3} for c in checks), *lines], key=lambda e: (e["step"], e["event"])):
            history.add(event)
        assert overfitting(history) is None, "three held-out examples say nothing"
    from seisei.schema import Schema
    from seisei.training.plan import Plan
    from seisei.workflows.train import options_in_force

    said("train", "generative", table(here / "t.csv", rare=False), "--target", "paid", "-o", "run", "--no-report")
    recipe = json.loads((here / "run" / "recipe.json").read_text())
    schema = Schema.from_json(json.loads((here / "run" / "schema.json").read_text()))
    plan = Plan.from_json(recipe["plan"])
    assert "width" in options_in_force(recipe, plan) and "width" not in options_in_force(recipe, plan, schema)


def test_a_codec_inside_a_run_is_named(here: Path, said: Any) -> None:
    words = ["--steps", "2", "--codec-steps", "2", "--batch", "16", "--width", "16", "--layers", "1", "--heads", "2"]
    said("train", "vqvae+prior", "digits", *words, "-o", "run", "--no-report")
    code, _, err = said("encode", "run", "digits", "-o", "codes.npz")
    assert code == 2 and "use its codec: run/codec" in err
    assert said("encode", "run/codec", "digits", "-o", "codes.npz")[0] == 0


def test_a_run_of_an_older_format_is_refused_in_a_line(here: Path, said: Any) -> None:
    table(here / "t.csv", rare=False)
    said("train", "generative", "t.csv", "--target", "paid", "-o", "run", "--no-report")
    recipe = json.loads((here / "run" / "recipe.json").read_text())
    (here / "run" / "recipe.json").write_text(json.dumps({k: v for k, v in recipe.items() if k != "format"}))
    for words in (["predict", "run", "t.csv"], ["resume", "run", "--steps", "900"], ["sample", "run"]):
        code, _, err = said(*words)
        assert code == 2 and "has format 1, this program reads 2" in err and err.count("\n") == 1
    with pytest.raises(UserError, match="train again"):
        _ = seisei.load("run").pipeline


def test_the_library_shows_what_it_offers() -> None:
    assert {"train", "check", "load", "compare", "resume", "runs"} <= set(dir(seisei))
    assert not {"Any", "import_module"} & set(dir(seisei))


def test_the_codec_inside_a_run_can_be_given_as_codec(here: Path, said: Any) -> None:
    words = ["--steps", "2", "--batch", "16", "--width", "16", "--layers", "1", "--heads", "2", "--no-report"]
    assert said("train", "vqvae+prior", "digits", "--codec-steps", "2", *words, "-o", "both")[0] == 0
    assert said("train", "prior", "digits", "--codec", "both", *words, "-o", "again")[0] == 0
    one, two = (seisei.load(name).pipeline.model for name in ("both", "again"))
    assert all(torch.equal(a, b) for a, b in zip(one.codec.parameters(), two.codec.parameters(), strict=True))


def test_balanced_accuracy_wants_every_class(here: Path, said: Any) -> None:
    """Of one class in the test part the mean over classes is none."""
    with open(table(here / "t.csv", rare=False)) as file:
        rows = list(csv.reader(file))
    with open(here / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([row if row[3] in ("train", "split") else [*row[:2], "yes", row[3]] for row in rows])
    _, out, _ = said("train", "generative", "t.csv", "--target", "paid", "-o", "run", "--no-report")
    found = seisei.load("run").evaluate()
    assert "accuracy" in {score["name"] for score in found["scores"]}
    assert {"scores": "balanced accuracy", "why": "class 'no' is absent from the test split"} in found["left_out"]


def test_what_is_suggested_for_label_maps_is_not_refused(here: Path, said: Any) -> None:
    from PIL import Image as Pillow

    draw = np.random.default_rng(0)
    for side in "ab":
        (here / "pairs" / side).mkdir(parents=True)
    for i in range(12):
        classes = draw.integers(0, 3, (16, 16)).repeat(2, 0).repeat(2, 1)
        colors = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)[classes]
        Pillow.fromarray(colors).save(here / "pairs" / "a" / f"{i}.png")
        Pillow.fromarray(255 - colors).save(here / "pairs" / "b" / f"{i}.png")
    advice = [entry["command"] for entry in seisei.check(here / "pairs", pairs="auto", label_map=True)["advice"]]
    assert any("--discriminator oasis" in command for command in advice)
    for command in advice:
        assert said(*command.split()[1:], "--dry-run")[0] == 0, command
