"""`compare` from two runs to its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import Page
from test_finish import customers, train

from seisei.compare import compare
from seisei.evaluation.page import embedded
from seisei.pipeline import Pipeline


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
        names = [drawn[kind] for kind in kinds] + [d["picture"] for d in drawn["densities"]]
        for name in names:
            _, width, height = embedded(folder / "out" / name)
            assert width == height == 260
    again = Pipeline.load(folder / "generative").sample(8, seed=3)
    assert density["samples"]["rows"] == json.loads(json.dumps(again)) and "samples" not in surface


def test_the_page(folder: Path) -> None:
    page = Page((folder / "out" / "compare.html").read_text())
    sections = [section["id"] for section in page.all("section")]
    assert sections == [
        *("scores", "abilities", "calibration", "gaps", "learning"),
        *("surface", "samples", "confusion", "reproduce"),
    ]
    assert "Two classifiers on customers.csv" in page.text and "gives no probability" in page.text
    assert len(page.all("image")) == 2 + 1 + 2


def test_other_data_and_no_curves(folder: Path) -> None:
    other = folder / "other.csv"
    lines = (folder / "customers.csv").read_text().splitlines()
    other.write_text("\n".join(lines[:41]) + "\n")
    runs = [folder / "generative", folder / "discriminant"]
    compare(runs, folder / "second", data=other, curves=False, most=30, axes=("income", "age"))
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
