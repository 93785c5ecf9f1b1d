"""A run that learns by sweeps ends when it has converged, and says when it has not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seisei
from seisei.errors import UserError
from seisei.training.checkpoint import Checkpoints


def table(folder: Path, missing: float) -> Path:
    draw = np.random.default_rng(0)
    kind = np.arange(120) % 2
    x = draw.normal(size=(120, 3)) @ draw.normal(size=(3, 3)) + kind[:, None]
    with open(folder / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "c", "kind"])
        for row, k in zip(x, kind, strict=True):
            rows.writerow(["" if draw.random() < missing else f"{v:.4f}" for v in row] + ["no" if k else "yes"])
    return folder / "table.csv"


def train(folder: Path, missing: float, name: str = "run", **options: Any) -> tuple[Path, list[dict[str, Any]]]:
    run = seisei.train(
        "generative", table(folder, missing), target="kind", output=folder / name, report=False, **options
    ).path
    return run, [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def last(run: Path) -> Any:
    return Checkpoints(run / "checkpoints").newest()[0]


@pytest.mark.parametrize("density", ["gaussian", "linear", "naive", "kde"])
def test_a_closed_form_is_one_round(tmp_path: Path, density: str) -> None:
    run, events = train(tmp_path, 0.0, density=density)
    assert last(run).step == 1 and [e["step"] for e in events if e["event"] == "end"] == [1]
    assert [e["event"] for e in events].count("validation") == 1
    assert not [e for e in events if e["event"] == "note"]


def test_gaps_take_as_many_rounds_as_they_need(tmp_path: Path) -> None:
    run, events = train(tmp_path, 0.3)
    losses = [e["loss"] for e in events if e["event"] == "train"]
    assert 3 < len(losses) < 200 and [e["step"] for e in events if e["event"] == "converged"] == [len(losses)]
    assert abs(losses[-2] - losses[-1]) < 1e-6 < abs(losses[-4] - losses[-3]) * 10
    assert [e["step"] for e in events if e["event"] == "validation"][-1] == len(losses)
    with pytest.raises(UserError, match=f"converged at step {len(losses)}") as caught:
        seisei.resume(run)
    assert caught.value.code == "E-RES-23"


def test_too_few_rounds_are_told_and_going_on_is_as_if_never_stopped(tmp_path: Path) -> None:
    whole, _ = train(tmp_path, 0.3)
    run, events = train(tmp_path, 0.3, "short", iterations=4)
    (note,) = [e["what"] for e in events if e["event"] == "note"]
    assert note.startswith("the fit did not converge in 4 iterations: the last one gained ") and "--steps" in note
    assert not [e for e in events if e["event"] == "converged"]
    with pytest.raises(UserError, match="--keep-schedule: has no effect: .* without schedules; leave it out") as caught:
        seisei.resume(run, steps=200, keep_schedule=True)
    assert caught.value.code == "E-RES-26"
    seisei.resume(run, steps=200)
    a, b = last(whole), last(run)
    assert a.step == b.step
    assert all(torch.equal(a.tensors["model"][k], b.tensors["model"][k]) for k in a.tensors["model"])
