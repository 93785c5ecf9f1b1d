"""Every recipe on the data that a first try has: a few examples, and nothing held out."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seisei
from seisei.capabilities import VERBS
from seisei.cli.train import score_lines
from seisei.compare import compare
from seisei.errors import UserError
from seisei.recipes import RECIPES, recipe
from seisei.spec import parameters

SMALL: dict[str, Any] = {
    "latent": 2, "width": 16, "depth": 1, "steps": 2, "codec_steps": 2, "halvings": 1, "layers": 1, "heads": 2,
    "codes": 4, "hidden": 4,
}  # fmt: skip
PARTS: dict[str, dict[str, Any]] = {
    "4": {"count": 4},
    "12": {"count": 12},
    "20": {"count": 20},
    "no validation": {"count": 12, "validation": 0},
    "no test": {"count": 12, "test": 0},
    "nothing held out": {"count": 12, "validation": 0, "test": 0},
    "one held out": {"count": 12, "validation": 0, "test": 0.01},
}


@functools.cache
def images(count: int, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


@functools.cache
def data_for(name: str, folder: Path, count: int) -> str:
    path = folder / f"{name}-{count}.npz"
    if name == "pix2pix":
        np.savez(path, a=images(count), b=255 - images(count))
    elif name in ("colorize", "stylize"):
        np.savez(path, x=images(count, 3))
    else:
        np.savez(path, x=images(count), y=np.arange(count) % 2)
    return str(path)


def small(name: str) -> dict[str, Any]:
    return {k: v for k, v in SMALL.items() if k in parameters(recipe(name))}


def used(run: Any, folder: Path) -> None:
    """Every verb that the run offers, as often as it takes to meet all of its code."""
    x = images(2, 3) if run.recipe["recipe"] in ("colorize", "stylize") else images(2)
    hole = np.zeros((8, 8), np.uint8)
    hole[2:5, 3:] = 255
    calls: dict[str, Any] = {
        "sample": lambda: run.sample(3),
        "reconstruct": lambda: run.reconstruct(x),
        "interpolate": lambda: run.interpolate([3, 7] if "sample" in run.verbs else x, steps=3)[0],
        "encode": lambda: run.encode(x),
        "decode": lambda: run.decode(run.encode(x)) if "encode" in run.verbs else run.decode(np.zeros((2, 2))),
        "score": lambda: run.score(x, samples=2).nats,
        "predict": lambda: run.predict(x).labels,
        "impute": lambda: run.impute(x, hole[None], 2)[1],
        "translate": lambda: run.translate(x),
        "stylize": lambda: run.stylize(x[0], x[1]),
    }
    assert set(calls) == set(VERBS), "give a new verb a call here"
    for verb in VERBS:
        if verb in run.verbs:
            assert np.isfinite(np.asarray(calls[verb](), np.float64)).all(), verb


def sound(found: dict[str, Any], page: str) -> None:
    """Scores that are numbers; of those that are left out, which and why, in the terminal and in the report."""
    assert all(math.isfinite(score["value"]) for score in found["scores"])
    assert all(score["error"] is None or math.isfinite(score["error"]) for score in found["scores"])
    lines = score_lines(found)
    assert len(lines) > 0 and not any("nan" in line.split() for line in lines)
    for left in found["left_out"]:
        assert sum(left["why"] in line for line in lines) == 1 and left["why"] in page
    assert found["scores"] or found["left_out"]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_reports_and_is_used_on_a_few_examples(name: str, parts: str, tmp_path: Path) -> None:
    options = dict(PARTS[parts])
    count = options.pop("count")
    data = data_for(name, tmp_path, count)
    if name == "stylize":
        options["style"] = data
    run = seisei.train(name, data, output=tmp_path / "run", **small(name), **options)
    held_out = {part: run.recipe["data"]["report"]["splits"][part] for part in ("test", "validation")}
    split = next((part for part, many in held_out.items() if many), None)
    found = json.loads((run.path / "scores.json").read_text())
    assert found["split"] == split and found["examples"] == (held_out[split] if split else 0)
    sound(found, run.report.read_text())

    checks = [event for event in run.folder.events() if event["event"] == "validation"]
    assert bool(checks) == bool(held_out["validation"])
    assert all(value is not None for event in checks for value in event.get("scores", {}).values())

    run = seisei.resume(run.path, steps=run.recipe["plan"]["steps"] + 1)
    found = json.loads((run.path / "scores.json").read_text())
    sound(found, run.report.read_text())
    if split is None:
        with pytest.raises(UserError, match="--split train"):
            run.evaluate(samples=2)
        again = run.evaluate(samples=2, split="train")
        assert again["examples"] == count
    else:
        again = run.evaluate(samples=2)
        assert [s["name"] for s in again["scores"]] == [s["name"] for s in found["scores"]]
    sound(again, str(again))
    assert run.write_report().is_file()
    used(run, tmp_path)


@pytest.mark.parametrize("parts", ["4", "nothing held out"])
@pytest.mark.parametrize("name", ["discriminant", "discriminative", pytest.param("generative", marks=pytest.mark.slow)])
def test_classifiers_of_a_few_examples_are_compared(name: str, parts: str, tmp_path: Path) -> None:
    options = dict(PARTS[parts])
    data = data_for(name, tmp_path, options.pop("count"))
    run = seisei.train(name, data, output=tmp_path / "run", report=False, **small(name), **options)
    if parts == "nothing held out":
        with pytest.raises(UserError, match="no examples in 'test'; choose from: train"):
            compare([run.path, run.path], tmp_path / "page")
    split = "train" if parts == "nothing held out" else None
    page = compare([run.path, run.path], tmp_path / "page", split=split)
    content = json.loads((page.parent / "comparison.json").read_text(), parse_constant=pytest.fail)
    assert content["data"]["split"] == (split or "test") and len(content["models"]) == 2
