"""What a finished classifier leaves for its report; and runs that are fitted by sweeps, stopped and resumed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import Page
from tiny import finished, told

import seisei
from seisei.data.read import read_dataset
from seisei.errors import Stopped
from seisei.evaluation.evaluate import evaluate, predictions, sample_sheet
from seisei.modalities.image_io import read_image
from seisei.modalities.label import Label
from seisei.pipeline import Pipeline
from seisei.training.loop import Training
from seisei.training.run import RunFolder
from seisei.workflows import train as workflow
from seisei.workflows.train import DataOptions, Request


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def customers(folder: Path, rare: bool = False) -> Path:
    """Rows of two classes and, perhaps, one row of a third."""
    random = np.random.default_rng(0)
    lines = ["age,income,pet,kind"]
    for i in range(100):
        age, income = random.normal(40 + 10 * (i % 2), 5), random.normal(3000, 300)
        lines.append(
            f"{age:.0f},{income:.2f},{['cat', 'dog'][int(random.random() < 0.3 + 0.4 * (i % 2))]},{'xy'[i % 2]}"
        )
    lines[1:1] = ["45,3100.00,cat,rare"] if rare else []
    path = folder / f"customers{'-rare' * rare}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def train(recipe: str, data: Any, output: Path, **options: Any) -> RunFolder:
    rows = DataOptions(target="kind") if data != "digits" else DataOptions()
    return workflow.start(Request(recipe, data, output=output, options=rows, **options))


def facts(run: RunFolder, name: str) -> Any:
    return json.loads((run.path / "figures" / name).read_text())


def page(run: RunFolder) -> Page:
    return Page((run.path / "report.html").read_text(encoding="utf-8"))


# ---- what is left ----


def test_a_density_of_images_leaves_a_column_for_each_class(tmp_path: Path) -> None:
    run = train("generative", "digits", tmp_path / "run", dials={"density": "gaussian"})
    labels = [str(i) for i in range(10)]
    assert facts(run, "samples.json") == {"columns": 10, "labels": labels * 8}
    assert read_image(run.path / "figures/samples.png").pixels.shape[:2] == (8 * 64 + 7 * 2, 10 * 64 + 9 * 2)
    called, scores = facts(run, "classification.json"), run.read("scores.json")
    matrix = np.array(called["confusion"])
    assert called["classes"] == labels and called["examples"] == matrix.sum() == scores["examples"]
    accuracy, *_, density = [score["value"] for score in scores["scores"]]
    assert matrix.trace() / matrix.sum() == pytest.approx(accuracy) and np.isfinite(density)
    assert called["calibration"]["error"] == pytest.approx(scores["scores"][4]["value"])
    found = page(run)
    there = [section["id"] for section in found.all("section")]
    assert there == ["samples", "scores", "confusion", "calibration", "watch", "data", "reproduce"]
    # A drawn image is of the class above it: the model itself says so.
    pipeline = Pipeline.load(run.path)
    drawn = pipeline.sample(40, seed=0, label=(labels * 4)[:40])
    stack = torch.stack([pipeline.image.pack(p) for p in drawn])
    data = replace(read_dataset("digits", labels=True), x=stack, y=torch.arange(40) % 10, names=[""] * 40)
    assert pipeline.predict(data).right().mean() > 0.9


def test_rows_leave_rows_and_a_surface_leaves_none(tmp_path: Path) -> None:
    data = customers(tmp_path)
    run = train("generative", data, tmp_path / "generative")
    rows = facts(run, "rows.json")
    assert [row["kind"] for row in rows["rows"]] == rows["labels"] == ["x"] * 6 + ["y"] * 6
    assert set(rows["rows"][0]) == {"age", "income", "pet", "kind"} and isinstance(rows["rows"][0]["age"], int)
    assert not (run.path / "figures/samples.png").exists() and not list(run.path.glob("samples/*"))
    text = page(run).text
    assert "2 classes" in text and "kind age income pet x" in text and "income x number" in text
    other = train("discriminant", data, tmp_path / "discriminant")
    assert (
        facts(other, "classification.json")["calibration"] is None and not (other.path / "figures/rows.json").exists()
    )
    there = [section["id"] for section in page(other).all("section")]
    assert there == ["scores", "confusion", "watch", "data", "reproduce"]


@pytest.mark.parametrize("density", ["kde", "gaussian", "linear", "naive", "ppca-mixture"])
def test_a_class_that_training_did_not_see_breaks_nothing(tmp_path: Path, density: str) -> None:
    dials = {"density": density}
    data, found = customers(tmp_path, True), []
    for seed in range(50):  # the first that holds it out
        data_set = read_dataset(data, target="kind", labels=True, seed=seed)
        assert data_set.y is not None and isinstance(data_set.schema.y, Label)
        if not bool((data_set.y[data_set.splits["train"]] == data_set.schema.y.names.index("rare")).any()):
            found.append(seed)
            break
    run = train("generative", data, tmp_path / density, dials=dials, seed=found[0])
    assert facts(run, "rows.json")["labels"].count("rare") == 4
    assert np.isfinite([score["value"] for score in run.read("scores.json")["scores"]]).all()


def test_labels_that_are_not_known_are_not_judged(tmp_path: Path) -> None:
    run = train("generative", customers(tmp_path), tmp_path / "run", report=False)
    pipeline = Pipeline.load(run.path)
    data = read_dataset(customers(tmp_path), target="kind", labels=True)
    data = data.subset(torch.arange(60))
    known = evaluate(pipeline, data.subset(torch.arange(30)), split="test", samples=1, limit=100)
    assert data.y is not None
    half = replace(data, y=torch.where(torch.arange(60) < 30, data.y, -1))
    found = evaluate(pipeline, half, split="test", samples=1, limit=100)
    assert found["scores"][:5] == known["scores"][:5], "both accuracies, log-loss, Brier score and calibration error"
    assert found["scores"][5] != known["scores"][5], "how likely an example is needs no label"
    assert predictions(pipeline, replace(data, y=torch.full((60,), -1))) is None


def test_sheets_while_training_have_whole_rows(tmp_path: Path) -> None:
    run = train("generative", "digits", tmp_path / "run", dials={"density": "naive"}, report=False)
    pipeline = Pipeline.load(run.path)
    sheet = sample_sheet(pipeline.model, pipeline.schema)
    assert sheet is not None
    assert read_image(sheet).pixels.shape[:2] == (6 * 66 - 2, 10 * 66 - 2)
    rows = Pipeline.load(train("generative", customers(tmp_path), tmp_path / "rows", report=False).path)
    assert sample_sheet(rows.model, rows.schema) is None


# ---- sweeps ----


def stop_after(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    advance = Training.advance

    def then_stop(training: Training) -> None:
        advance(training)
        if training.step == at:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Training, "advance", then_stop)


SWEPT = {"density": "mixture", "components": 2, "iterations": 6}
TINY_VAE = {"density": "vae", "steps": 12, "latent": 2, "width": 8, "depth": 1, "batch": 32}


@pytest.mark.parametrize(("dials", "at"), [(SWEPT, 1), (SWEPT, 4), (TINY_VAE, 5)], ids=str)
def test_a_run_of_sweeps_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dials: dict[str, Any], at: int
) -> None:
    whole = train("generative", "digits", tmp_path / "whole", dials=dials, report=False)
    with monkeypatch.context() as patch:
        stop_after(patch, at)
        with pytest.raises(Stopped, match=f"step {at} of {dials.get('steps') or dials['iterations']}"):
            train("generative", "digits", tmp_path / "run", dials=dials, report=False)
    run = RunFolder.open(tmp_path / "run")
    assert finished(run) != finished(whole)
    workflow.resume(run.path)
    assert finished(run) == finished(whole) and told(run) == told(whole)
    # Mutant: another seed.
    other = train("generative", "digits", tmp_path / "other", dials=dials, report=False, seed=1)
    assert finished(other) != finished(whole)


def test_what_has_no_gradient_logs_none(tmp_path: Path) -> None:
    run = train("generative", "digits", tmp_path / "swept", dials=SWEPT, report=False)
    events = [e for e in run.events() if e["event"] == "train"]
    assert len(events) == 6 and all(e["swept"] and not {"gradient_norm", "learning_rate"} & set(e) for e in events)
    run = train("generative", "digits", tmp_path / "vae", dials=TINY_VAE, report=False)
    events = [e for e in run.events() if e["event"] == "train"]
    assert [e["step"] for e in events if e["turn"] == "prior"] == [1], "classes are counted once"
    assert [e["step"] for e in events if e["turn"] == "model"] == list(range(1, 13))
    assert all(e["gradient_norm"] > 0 and e["loss"] is not None for e in events if e["turn"] == "model")


@pytest.mark.parametrize("shape", [(40, 16, 24, 5), (40, 9, 12, 2)])
def test_images_of_any_channels_are_drawn_and_shown(shape: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 65536, shape).astype(np.uint16)
    dials: dict[str, Any] = {"steps": 3, "batch": 8, "width": 8, "validation": 0.3, "test": 0.3}
    run = seisei.train("gan", {"x": values}, output=tmp_path / "run", **dials)
    drawn = run.sample(3)
    assert drawn[0].shape == shape[1:] and drawn[0].dtype == np.uint8
    assert (tmp_path / "run" / "figures" / "samples.png").exists() and run.report.exists()


def test_images_of_256_pixels_fit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (12, 256, 192, 3)).astype(np.uint8)
    dials: dict[str, Any] = {"steps": 1, "batch": 4, "width": 4, "report": False}
    run = seisei.train("gan", {"x": values}, output=tmp_path / "run", **dials)
    assert run.sample(1)[0].shape == (256, 192, 3)
