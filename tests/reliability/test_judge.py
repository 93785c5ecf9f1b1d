"""The networks that judge a run's outputs: trained once, kept with the run, the same after a resume to the bit."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import cli_runs
import pytest
import torch
from cli_runs import tree
from tiny import TIMINGS

import seisei
from seisei.errors import Stopped
from seisei.evaluation import translation
from seisei.training.run import RunFolder
from seisei.workflows import train as workflow
from seisei.workflows.train import Every

# Of enough held-out pairs for a distance, which is what the networks are for.
DIALS: dict[str, Any] = {"width": 8, "downsample": 2, "batch": 4, "steps": 30, "validation": 0.3, "test": 0.3}
EVENT = {"event": "judge", "step": 10, "networks": 3, "steps": 30}


@pytest.fixture(scope="module", autouse=True)
def often() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow.Every, "of", lambda steps: Every(log=5, check=10, save=5))
        yield
    torch.set_num_threads(before)


def train(output: Path, **changes: Any) -> Any:
    return seisei.train("pix2pix", str(cli_runs.pairs(100)), output=output, **DIALS, **changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(tmp_path_factory.mktemp("whole") / "run")


def log(run: Any) -> list[dict[str, Any]]:
    events = [e for e in RunFolder(run.path).events() if e.get("rule") != "data-loading bottleneck"]
    return [{k: v for k, v in event.items() if k not in TIMINGS} for event in events]


def stop_once(step: int) -> Any:
    """There are several turns, and a second signal would abort."""
    steps: list[int] = []

    def listen(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event["step"] == step and not steps:
            steps.append(step)
            os.kill(os.getpid(), signal.SIGTERM)

    return listen


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("trained again")


@pytest.mark.parametrize("stop", [5, 20])
def test_a_resumed_run_is_judged_by_the_same_networks(
    stop: int, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the first validation it finds the networks of a copy; stopped after it, its own."""
    with pytest.raises(Stopped):
        train(tmp_path / "run", listeners=[stop_once(stop)])
    assert (tmp_path / "run" / "judge").exists() == (stop == 20)
    if stop == 5:
        shutil.copytree(whole.path / "judge", tmp_path / "run" / "judge")
    monkeypatch.setattr(translation, "feature_extractor", refuse)
    run = seisei.resume(tmp_path / "run")
    assert run.scores == whole.scores and log(run) == log(whole)
    assert [e for e in log(run) if e["event"] == "judge"] == [EVENT]
    # What is asked later is answered by the same ones, too.
    assert {s["name"]: s["value"] for s in run.evaluate(limit=1000)["scores"]} == whole.scores


@pytest.mark.parametrize("damage", ["bytes", "absent", "of other data", "not JSON"])
def test_networks_that_are_damaged_are_trained_again(damage: str, whole: Any, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(whole.path, path)
    good = tree(path / "judge")
    weights, about = path / "judge" / "readers.safetensors", path / "judge" / "readers.json"
    if damage == "bytes":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "absent":
        weights.unlink()
    elif damage == "of other data":
        about.write_text(about.read_text().replace('"data": "', '"data": "0'))
    else:
        about.write_text("{")
    damaged = tree(path / "judge")
    run = seisei.load(path)
    run.write_report()
    assert damaged != good == tree(path / "judge") and run.scores == whole.scores


def test_training_the_networks_is_announced(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    train(tmp_path / "run", listeners=[told.append])
    names = [event.get("event") for event in told]
    work = [e for e in told if e.get("event") == "work" and e["what"].startswith("training the feature networks")]
    assert names.index("judge") < names.index("work") and {e["total"] for e in work} == {0, 30}
    assert [e["what"].partition(": ")[2] for e in work if e["done"] == 30] == ["1 of 3", "2 of 3", "3 of 3"]
    assert not list((tmp_path / "run" / "judge").glob("*.p*"))
    scores = [e["what"] for e in told if e.get("event") == "work" and e["what"].startswith("computing scores: ")]
    assert {"computing scores: outputs and targets", "computing scores: figures"} <= set(scores)


def test_the_best_weights_are_named(whole: Any) -> None:
    end = log(whole)[-1]
    page = whole.report.read_text()
    assert end["event"] == "end" and whole.pipeline.card["step"] == end["best"]
    said = f"Finished at step 30 of 30; this report uses the best weights, from step {end['best']}"
    assert (said in page) == (end["best"] != 30)
