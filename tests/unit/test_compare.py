"""`compare` from two runs to its page."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import Page
from test_finish import customers, train

import seisei.workflows.compare as module
from seisei.errors import Stopped
from seisei.evaluation import decision_surface
from seisei.modalities.image_io import read_image
from seisei.pipeline import Pipeline
from seisei.report.html import embedded
from seisei.workflows.compare import compare


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the same rows, and what their comparison leaves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    here = tmp_path_factory.mktemp("compare")
    data, told = customers(here), list[str]()
    for recipe in ("generative", "discriminant"):
        train(recipe, data, here / recipe, report=False)
    page = compare([here / "generative", here / "discriminant"], here / "out", seed=3, tell=told.append)
    assert page == here / "out" / "compare.html" and page.is_file()
    assert [line.rpartition(": ")[2] for line in told] == ["scores", "learning curve", "surface"] * 2
    torch.set_num_threads(before)
    return here


def content(folder: Path, name: str = "out") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name / "comparison.json").read_text())
    return found


def test_what_is_measured(folder: Path) -> None:
    found = content(folder)
    assert found["seed"] == 3 and found["command"].startswith("seisei compare ")
    about = found["data"]
    assert about["split"] == "test" and about["noun"] == "row" and about["classes"] == ["x", "y"]
    density, surface = found["models"]
    assert [m["kind"] for m in (density, surface)] == ["generative", "discriminant"]
    assert "sample" in density["can"] and surface["can"] == ["predict", "evaluate"]
    assert surface["calibration"] is None and 0 <= density["calibration"]["error"] <= 1
    for name, model in (("generative", density), ("discriminant", surface)):
        matrix = np.array(model["confusion"])
        scores = {score["name"]: score for score in model["scores"]}
        assert matrix.sum() == about["examples"] and scores["accuracy"]["value"] == matrix.trace() / matrix.sum()
        assert ("log-loss" in scores) == ("log-density" in scores) == (model is density)
        hidden, curve = model["missing"], model["curve"]
        assert [h["share"] for h in hidden] == [0.0, 0.1, 0.3, 0.5, 0.7, 0.9]
        assert hidden[0]["accuracy"] == scores["accuracy"]["value"], "nothing hidden is nothing changed"
        assert [c["rows"] for c in curve] == sorted({c["rows"] for c in curve})
        # Of all rows there is one draw: what is left is the error of the rows that it is judged on.
        wrong = curve[-1]["error"]
        assert curve[-1]["spread"] == pytest.approx((wrong * (1 - wrong) / about["examples"]) ** 0.5)
        recipe = json.loads((folder / name / "recipe.json").read_text())
        assert curve[-1]["rows"] == recipe["data"]["report"]["splits"]["train"]
        # The last point is the run itself, trained again.
        assert 1 - curve[-1]["error"] == pytest.approx(scores["accuracy"]["value"])
        assert model["size"] == recipe["parameters"] and model["seconds"] >= 0


def test_what_is_drawn(folder: Path) -> None:
    density, surface = content(folder)["models"]
    for model, kinds in ((density, {"decision", "posterior"}), (surface, {"decision"})):
        drawn = model["surface"]
        assert drawn["axes"] == ["age", "income"] and len(drawn["extent"]) == 4
        assert {kind for kind in ("decision", "posterior") if kind in drawn} == kinds
        assert [d["label"] for d in drawn["densities"]] == (["x", "y"] if model is density else [])
        names = [drawn[kind] for kind in kinds] + [d["image"] for d in drawn["densities"]]
        for name in names:
            _, width, height = embedded(folder / "out" / name)
            assert width == height == 260
    again = Pipeline.load(folder / "generative").sample(8, seed=3)
    assert density["samples"]["rows"] == json.loads(json.dumps(again)) and "samples" not in surface


def test_the_page(folder: Path) -> None:
    page = Page((folder / "out" / "compare.html").read_text())
    sections = [section["id"] for section in page.all("section")]
    assert sections == [
        *("scores", "capabilities", "calibration", "missing", "learning"),
        *("surface", "samples", "confusion", "reproduce"),
    ]
    assert "Two classifiers on customers.csv" in page.text and "gives no probabilities" in page.text
    assert len(page.all("image")) == 2 + 1 + 2


def test_other_data_and_no_curves(folder: Path) -> None:
    other = folder / "other.csv"
    lines = (folder / "customers.csv").read_text().splitlines()
    other.write_text("\n".join(lines[:41]) + "\n")
    runs = [folder / "generative", folder / "discriminant"]
    compare(runs, folder / "second", data=other, curves=False, limit=30, axes=("income", "age"))
    found = content(folder, "second")
    assert found["data"]["examples"] == 30 and found["data"]["path"] == str(other) and found["data"]["split"] == "all"
    assert all("curve" not in model for model in found["models"])
    assert all(model["surface"]["axes"] == ["income", "age"] for model in found["models"])
    assert "learning" not in [s["id"] for s in Page((folder / "second" / "compare.html").read_text()).all("section")]
    # Mutant: measured on other rows, the numbers are others.
    assert found["models"][0]["scores"] != content(folder)["models"][0]["scores"]


def test_the_same_comparison_is_the_same(folder: Path) -> None:
    runs = [folder / "generative", folder / "discriminant"]
    compare(runs, folder / "again", seed=3)
    first, second = content(folder), content(folder, "again")
    first.pop("command"), second.pop("command")
    assert first == second


def test_what_would_take_too_long_is_made_smaller_and_the_page_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [folder / "generative", folder / "discriminant"]
    monkeypatch.setattr(decision_surface, "_seconds_per_point", lambda *_: 60 / 65**2)
    page = compare(runs, folder / "coarse", curves=False, seed=3)
    notes = content(folder, "coarse")["left_out"]
    assert (
        notes[0] == "generative (gaussian): surface: at 65×65 points, because all 260×260 points would take 16 minutes"
    )
    assert notes[0] + "." in page.read_text().replace("Generative", "generative")
    drawn = read_image((folder / "coarse" / "0" / "density-0.png").read_bytes()).pixels.reshape(65, 4, 65, 4, -1)
    assert (drawn == drawn[:, :1, :, :1]).all() and len(np.unique(drawn)) > 10
    monkeypatch.setattr(decision_surface, "_seconds_per_point", lambda *_: 1.0)
    monkeypatch.setattr(module, "BUDGET", 1e-9)
    compare(runs, folder / "without", curves=False, seed=3)
    model, notes = content(folder, "without")["models"][0], content(folder, "without")["left_out"]
    assert "surface" not in model and "missing" not in model and model["scores"]
    assert [note.split(": ")[1:3] for note in notes[:2]] == [["missing values", "left out"], ["surface", "left out"]]


def test_a_comparison_that_is_stopped_keeps_what_was_measured(folder: Path) -> None:
    def tell(line: str) -> None:
        if line == "generative (gaussian): surface":
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped, match="what was measured before is in .*compare.html") as caught:
        compare([folder / "generative", folder / "discriminant"], folder / "part", curves=False, seed=3, tell=tell)
    assert caught.value.exit_code == 130
    found = content(folder, "part")
    assert [model["title"] for model in found["models"]] == ["generative (gaussian)"]
    assert found["models"][0]["missing"] == content(folder)["models"][0]["missing"]
    assert found["left_out"][0] == "generative (gaussian): surface: the comparison was stopped before"
    assert len(found["left_out"]) == 7
    text = (folder / "part" / "compare.html").read_text()
    assert text.count("the comparison was stopped before") == 7
    assert signal.getsignal(signal.SIGINT) is before

    def at_once(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="before anything was measured") as caught:
        compare([folder / "generative", folder / "discriminant"], folder / "none", seed=3, tell=at_once)
    assert caught.value.exit_code == 143 and not (folder / "none").exists()
