"""Bad inputs of the verbs that tell classes, and of rows: `predict`, `compare`, and what a table can hold."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import cli_runs
import numpy as np
import pytest
from cli_runs import copy, edit_json, newest, trained, unsealed

from seisei.cli.main import main
from seisei.data.types import read_dataset
from seisei.modalities.image_io import save_png

HEAD = "age,income,pet,churned"


def customers(count: int = 120) -> str:
    """Rows whose class is told by every column."""
    random = np.random.default_rng(0)
    lines = [HEAD]
    for i in range(count):
        yes = i % 2
        age, income = random.normal(40 + 10 * yes, 5), random.normal(3000 - 500 * yes, 300)
        pet = ["cat", "dog", "owl"][int(random.integers(3)) if i % 5 == 0 else yes]
        lines.append(f"{age:.0f},{income:.2f},{pet},{('no', 'yes')[yes]}")
    return "\n".join(lines) + "\n"


@functools.cache
def table() -> Path:
    path = cli_runs.home() / "customers.csv"
    path.write_text(customers())
    return path


@functools.cache
def run(recipe: str, *dials: str, rows: bool = True) -> Path:
    """A finished run of a classifier."""
    path = cli_runs.home() / "runs" / "-".join([recipe, *(d.strip("-") for d in dials), "rows" if rows else "digits"])
    data = [str(table()), "--target", "churned"] if rows else ["digits"]
    main(["train", recipe, *data, *dials, "-o", str(path), "--no-report"])
    return path


GENERATIVE, DISCRIMINANT = ("generative", "--density", "gaussian"), ("discriminant",)

# ---- predict ----


def test_predict_common(refused: Any, place: Path) -> None:
    refused(["predict", "runs/nope", table()], "E-PRD-01", "runs/nope")
    (place / "folder").mkdir()
    refused(["predict", "folder", table()], "E-PRD-02", "recipe.json")
    (place / "model.pt").write_bytes(b"\x80\x04.")
    refused(["predict", "model.pt", table()], "E-PRD-03", "pickle")
    damaged = copy(run(*GENERATIVE), place / "damaged")
    (newest,) = sorted((damaged / "checkpoints").iterdir())[-1:]
    for checkpoint in (damaged / "checkpoints").iterdir():
        weights = checkpoint / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    refused(["predict", "damaged", table()], "E-PRD-04", newest.name, "SHA-256")
    refused(["predict", trained(), "digits"], "E-PRD-08", "cannot predict", "it can: sample")
    refused(["predict", run(*GENERATIVE), "nope.csv"], "E-PRD-09", "nope.csv")
    (place / "empty.csv").write_text("")
    refused(["predict", run(*GENERATIVE), "empty.csv"], "E-PRD-10", "empty.csv")
    refused(["predict", run(*GENERATIVE), table(), "-o", "no/labels.csv"], "E-PRD-15", "no")
    (place / "there.csv").write_text("mine")
    refused(["predict", run(*GENERATIVE), table(), "-o", "there.csv"], "E-PRD-16", "there.csv", "--overwrite")
    refused(["predict", run(*GENERATIVE), table(), "-o", "labels.png"], "E-PRD-17", ".png", ".csv")


def test_predict_14_an_image_for_a_row(refused: Any, place: Path) -> None:
    save_png(place / "a.png", np.zeros((8, 8), np.uint8))
    refused(["predict", run(*GENERATIVE), "a.png"], "E-PRD-14", "a.png")
    refused(["predict", run(*GENERATIVE, rows=False), table()], "E-PRD-14", "customers.csv")


def test_predict_19_size_differs(refused: Any, place: Path) -> None:
    save_png(place / "large.png", np.zeros((12, 12), np.uint8))
    refused(["predict", run(*GENERATIVE, rows=False), "large.png"], "E-PRD-19", "large.png", "--fit")


@pytest.mark.parametrize(
    ("wanted", "content", "mentions"),
    [
        ("E-PRD-20", "age,pet\n40,cat\n", ("'income'",)),
        ("E-PRD-20", "age,income,pet,shoe\n40,3000,cat,9\n", ("'shoe'",)),
        ("E-PRD-20", "age,income,pet\nold,3000,cat\n", ("new.csv:2", "'age'", "'old'")),
        ("E-PRD-21", "age,income,pet\n40,3000,dgo\n", ("new.csv:2", "'pet'", "'dog'")),
        ("E-PRD-25", "age,income,pet,churned\n40,3000,dog,maybe\n", ("new.csv:2", "maybe")),
    ],
)
def test_predict_rows(refused: Any, place: Path, wanted: str, content: str, mentions: tuple[str, ...]) -> None:
    (place / "new.csv").write_text(content)
    refused(["predict", run(*GENERATIVE), "new.csv"], wanted, *mentions)


def test_an_unseen_category_can_be_taken_as_missing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "new.csv").write_text("age,income,pet\n40,3000,emu\n40,3000,\n")
    main(["predict", str(run(*GENERATIVE)), "new.csv", "--unseen", "missing", "--proba"])
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert first.split()[1:] == second.split()[1:]


def test_predict_23_24_and_no_probability(refused: Any) -> None:
    refused(["predict", run(*GENERATIVE), table(), "--top", "3"], "E-PRD-23", "3", "wanted 1 to 2")
    refused(["predict", run(*GENERATIVE), table(), "--min-confidence", "1.5"], "E-PRD-24", "1.5")
    for option in (["--proba"], ["--top", "1"], ["--min-confidence", "0.9"]):
        refused(["predict", run(*DISCRIMINANT), table(), *option], "E-PRD-08", option[0], "no probability")
    refused(["score", run(*DISCRIMINANT), table()], "E-SCO-08", "cannot score", "predict")


@pytest.mark.parametrize(
    ("wanted", "content", "mentions"),
    [
        ("E-SCO-24", "age,pet\n40,cat\n", ("'income'",)),
        ("E-SCO-21", "age,income,pet\n40,inf,cat\n", ("new.csv:2", "'income'")),
    ],
)
def test_score_rows(refused: Any, place: Path, wanted: str, content: str, mentions: tuple[str, ...]) -> None:
    (place / "new.csv").write_text(content)
    refused(["score", run(*GENERATIVE), "new.csv"], wanted, *mentions)


def test_sample_13_unknown_class(refused: Any) -> None:
    refused(["sample", run(*GENERATIVE), "--label", "yess"], "E-SMP-13", "yess", "'yes'")
    refused(["sample", run(*GENERATIVE), "-o", "rows.png"], "E-SMP-23", ".png", ".csv")


def test_train_12_without_a_target(refused: Any) -> None:
    refused(["train", "generative", table()], "E-TRN-12", "--target")


def test_rows_without_a_label_are_scored_beside_those_with_one(place: Path) -> None:
    (place / "new.csv").write_text("age,income,pet,churned\n40,3000,dog,no\n40,3000,dog,\n40,3000,emu,yes\n")
    words = ["score", str(run(*GENERATIVE)), "new.csv", "--unseen", "missing", "-o", "scores.csv"]
    main(words)
    head, *lines = (place / "scores.csv").read_text().splitlines()
    assert head == "name,nats,nats_joint,rank"
    assert [bool(line.split(",")[2]) for line in lines] == [True, False, True]
    assert lines[0].split(",")[1] == lines[1].split(",")[1]


def test_a_vae_of_rows_scores_and_categories_need_no_numbers(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dials = ["--steps", "5", "--batch", "16", "--width", "8", "--latent", "2", "--no-report"]
    main(["train", "generative", str(table()), "--target", "churned", "--density", "vae", *dials, "-o", "vae"])
    capsys.readouterr()
    main(["score", "vae", str(table()), "--importance-samples", "2"])
    assert "lower bound" in capsys.readouterr().out
    lines = [",".join(line.split(",")[2:]) for line in customers().splitlines()]
    (place / "words.csv").write_text(
        "\n".join(
            f"{line.split(',')[0]},x{i % 3},{line.split(',')[1]}" if i else "pet,shop,churned"
            for i, line in enumerate(lines)
        )
        + "\n"
    )
    for density in ("ppca-mixture", "gaussian", "linear", "naive", "mixture", "kde"):
        words = ["train", "generative", "words.csv", "--target", "churned", "--density", density, "--no-report"]
        main([*words, "-o", density])
        main(["evaluate", density])


def test_check_repeats_the_options_it_was_given(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(table()), "--target", "churned", "--ignore", "age", "--missing=-1"])
    advised = [line for line in capsys.readouterr().out.splitlines() if "seisei train generative" in line]
    assert len(advised) == 1 and "--target churned --ignore age" in advised[0] and "--missing" in advised[0]


# ---- compare ----


def test_compare(refused: Any, place: Path) -> None:
    one, other = run(*GENERATIVE), run(*DISCRIMINANT)
    refused(["compare", one], "E-CMP-19", "1 run", "wanted at least 2")
    refused(["compare", one, "runs/nope"], "E-CMP-01", "runs/nope")
    refused(["compare", one, trained()], "E-CMP-08", "cannot predict")
    refused(["compare", one, run(*GENERATIVE, rows=False)], "E-CMP-21", "digits")
    changed = copy(other, place / "changed")
    edit_json(unsealed(changed) / "recipe.json", lambda recipe: recipe["data"].update(fingerprint="0" * 32))
    refused(["compare", one, "changed"], "E-CMP-21", "changed", "--data")
    refused(["compare", one, other, "--split", "tset"], "E-CMP-20", "tset", "test")
    refused(["compare", one, other, "--axes", "age", "--axes", "incme"], "E-CMP-22", "'incme'", "'income'")
    refused(["compare", one, other, "--axes", "age"], "E-CMP-22", "--axes", "wanted 2")
    refused(["compare", one, other, "--limit", "0"], "E-CMP-23", "--limit", "wanted >= 1")
    (place / "full").mkdir()
    (place / "full" / "mine").touch()
    refused(["compare", one, other, "-o", "full"], "E-CMP-16", "full", "--overwrite")
    unlabeled = place / "rows.csv"
    unlabeled.write_text("\n".join(line.rpartition(",")[0] for line in customers().splitlines()) + "\n")
    refused(["compare", one, other, "--data", "rows.csv"], "E-CMP-20", "rows.csv", "lacks labels")


def test_a_comparison_of_arrays_needs_them(refused: Any, place: Path) -> None:
    gone = copy(run(*GENERATIVE), place / "gone")
    edit_json(unsealed(gone) / "recipe.json", lambda recipe: recipe["data"].update(path=None))
    refused(["compare", "gone", run(*DISCRIMINANT)], "E-CMP-09", "arrays")


# ---- what a run says of itself ----


SWAPPED = {"no": "yes", "yes": "no"}


def swap_classes(found: Path) -> None:
    """Every prediction would be the other class."""
    edit_json(
        found / "schema.json", lambda schema: schema["y"].update(names=[SWAPPED[n] for n in schema["y"]["names"]])
    )


def change_scale(found: Path) -> None:
    """Every log-density would be another."""
    edit_json(found / "schema.json", lambda schema: schema["x"]["columns"][0].update(scale=1.0))


def change_reach(found: Path) -> None:
    edit_json(found / "recipe.json", lambda recipe: recipe["plan"].update(class_balance=0.5))


@pytest.mark.parametrize(
    ("change", "name"), [(swap_classes, "schema.json"), (change_scale, "schema.json"), (change_reach, "recipe.json")]
)
def test_a_run_whose_description_was_changed_is_refused(refused: Any, place: Path, change: Any, name: str) -> None:
    changed = copy(run(*GENERATIVE), place / "changed", checkpoints=2)
    change(changed)
    for verb, code in (("predict", "E-PRD-04"), ("score", "E-SCO-04")):
        refused([verb, "changed", table()], code, f"changed/{name}", "SHA-256")
    refused(["sample", "changed"], "E-SMP-04", f"changed/{name}", "SHA-256")
    refused(["evaluate", "changed"], "E-EVA-34", f"changed/{name}", "has changed since step-", "restore")
    refused(["resume", "changed", "--steps", "60"], "E-RES-05", f"changed/{name}", "has changed since")
    refused(["compare", "changed", run(*DISCRIMINANT)], "E-CMP-04", f"changed/{name}", "has changed since")


def test_a_run_of_before_its_description_was_sealed_still_works(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = unsealed(copy(run(*GENERATIVE), place / "old"))
    assert "run" not in json.loads((newest(old) / "manifest.json").read_text())
    main(["predict", "old", str(table())])
    before = capsys.readouterr().out
    main(["predict", str(run(*GENERATIVE)), str(table())])
    assert (
        before.replace(" old\n", " RUN\n") == capsys.readouterr().out.replace(f" {run(*GENERATIVE)}\n", " RUN\n") != ""
    )


@pytest.mark.parametrize("change", [lambda schema: schema.pop("y") and None, lambda schema: schema.update(y=None)])
def test_a_classifier_whose_schema_lacks_its_classes(refused: Any, place: Path, change: Any) -> None:
    lacking = copy(run(*GENERATIVE), place / "lacking")
    edit_json(unsealed(lacking) / "schema.json", change)
    refused(["predict", "lacking", table()], "E-PRD-02", "lacking/schema.json", "lacks 'y'")
    refused(["sample", "lacking", "-n", "4"], "E-SMP-02", "lacking/schema.json", "lacks 'y'")


# ---- images without a label ----


def folder_of(place: Path, name: str, count: int, size: int = 8, seed: int = 0) -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    for i in range(count):
        save_png(folder / f"{i}.png", noise.integers(0, 256, (size, size), np.uint8))
    return folder


def test_images_without_a_label_are_for_training_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, kind in enumerate(("cat", "dog")):
        folder_of(place, f"kinds/{kind}", 20, seed=number)
    folder_of(place, "more", 7, size=12, seed=9)
    labeled = read_dataset("kinds", labels=True)
    both = read_dataset("kinds", labels=True, unlabeled="more")
    assert both.y is not None and len(both) == 47 and both.report["unlabeled"] == 7
    assert (both.y == -1).nonzero().flatten().tolist() == list(range(40, 47))
    for part in ("validation", "test"):
        assert both.splits[part].tolist() == labeled.splits[part].tolist()
    assert both.splits["train"].tolist() == [*labeled.splits["train"].tolist(), *range(40, 47)]
    assert both.fingerprint != labeled.fingerprint and "7 unlabeled images" in both.report["notes"][-1]
    words = ["--density", "naive", "--unlabeled", "more", "--iterations", "2", "-o", "run", "--no-report"]
    main(["train", "generative", "kinds", *words])
    main(["resume", "run", "--steps", "3"])


def test_unlabeled_refused(refused: Any, place: Path) -> None:
    for number, kind in enumerate(("cat", "dog")):
        folder_of(place, f"kinds/{kind}", 20, seed=number)
    refused(["train", "generative", "kinds", "--unlabeled", "nope"], "E-CHK-01", "nope")
    refused(["train", "generative", folder_of(place, "more", 12), "--unlabeled", "kinds"], "E-TRN-12", "no labels")
