"""Games broken on purpose, each in one way: the watch says so within a stated number of steps, else it is silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import seisei
from seisei.api import Run
from seisei.data.sources.digits import digits_source
from seisei.nn.quantizers.codebooks import GradientCodebook

STEPS = 400


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(count: int) -> Any:
    source = digits_source()
    return np.stack([source.read(i) for i in range(count)])


def play(folder: Path, count: int, **options: Any) -> Run:
    settings: dict[str, Any] = {"augment": 0.0, "width": 256, "report": False, "steps": STEPS, **options}
    return seisei.train("gan", {"x": images(count)}, output=folder / "run", **settings)


def noticed(run: Run) -> dict[str, int]:
    """The first step at which each rule spoke."""
    found: dict[str, int] = {}
    for event in events(run, "watch"):
        found.setdefault(event["rule"], event["step"])
    return found


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    lines = (run.path / "log.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


# Ten moves of a discriminator without a penalty for each of the generator, in the paper's own game.
UNEVEN: dict[str, Any] = {"loss": "minimax", "depth": 3, "overrides": {"objective.discriminator_moves": 10}}
# A discriminator that nothing keeps smooth, and sixty images.
FEW: dict[str, Any] = {
    "loss": "hinge", "r1_gamma": 0.0, "depth": 1, "batch": 32, "validation": 0.3, "test": 0.2, "steps": 500,
}  # fmt: skip


def test_a_discriminator_that_is_far_ahead_wins_starves_and_collapses_the_generator(tmp_path: Path) -> None:
    run = play(tmp_path, 600, **UNEVEN)
    found = noticed(run)
    assert found["discriminator dominates"] <= 110 and found["vanishing generator gradient"] <= 300
    assert found["mode collapse"] <= 160 and "overfitting discriminator" not in found
    assert not events(run, "remedy")


def test_modes_that_are_missed_are_noticed(tmp_path: Path) -> None:
    """The paper's game, one move each, without a penalty: draws are alike, or a part of the data is never drawn."""
    assert noticed(play(tmp_path, 600, loss="minimax", width=128))["mode collapse"] <= 200


def test_a_discriminator_that_knows_sixty_images_by_heart_is_noticed(tmp_path: Path) -> None:
    assert noticed(play(tmp_path, 120, **FEW))["overfitting discriminator"] <= 450


def test_a_healthy_game_is_left_in_peace(tmp_path: Path) -> None:
    run = play(tmp_path, 1000, width=128, learning_rate=1e-3, augment=None)
    assert noticed(run) == {}
    last = events(run, "validation")[-1]["scores"]
    assert last["diversity"] > 0.5 and last["missed"] < 0.3 and 0.3 < last["D(G(z))"] < last["D(x)"] < 0.7


def test_what_can_be_done_is_done_where_it_is_asked_for(tmp_path: Path) -> None:
    run = play(tmp_path, 600, auto_remedy=True, **UNEVEN)
    done = events(run, "remedy")
    assert 1 <= len(done) <= 7 and all(event["rule"] in noticed(run) for event in done)
    assert done[0]["done"].startswith("the penalty is 0.1 now, and the discriminator's learning rate 0.71")
    newest = sorted((run.path / "checkpoints").iterdir())[-1]
    kept = load_file(newest / "players.safetensors")
    assert float(kept["slower"]) == pytest.approx(0.71 ** len(done)) and float(kept["more"]) > 0
    # It helps: the generator is heard again.
    told = [event["gradient_norm"] for event in events(run, "train") if event["turn"] == "generator"]
    assert told[-1] > 0.01
    shown = run.write_report({"x": images(600)}).read_text("utf-8")
    assert "he penalty is 0.1 now" in shown


def test_against_a_discriminator_that_knows_the_data_they_are_changed(tmp_path: Path) -> None:
    done = events(play(tmp_path, 120, auto_remedy=True, **FEW), "remedy")
    assert any(event["done"].startswith("augmentation is 0.10") for event in done)


@pytest.mark.slow
def test_codes_that_collapse_are_noticed_and_brought_back_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes that start anyhow, descend and are not moved: of 256 a few say everything, and stay alone."""
    monkeypatch.setattr(GradientCodebook, "start_from", lambda self, z: None)
    dials: dict[str, Any] = {
        "codebook_size": 256,
        "quantizer": "gradient",
        "code_dim": 4,
        "width": 8,
        "depth": 0,
        "batch": 32,
    }
    used = {}
    for asked in (False, True):
        run = seisei.train(
            "vqvae", "digits", output=tmp_path / str(asked), report=False, steps=300, auto_remedy=asked, **dials
        )
        assert 75 <= noticed(run)["codebook collapse"] <= 150
        assert bool(events(run, "remedy")) == asked
        used[asked] = events(run, "validation")[-1]["codes"][0]["used"]
    assert used[False] < 0.6 and used[True] > 0.9, used
    healthy = seisei.train(
        "vqvae", "digits", output=tmp_path / "healthy", report=False, steps=300, **{**dials, "quantizer": "ema"}
    )
    assert noticed(healthy) == {} and events(healthy, "validation")[-1]["codes"][0]["used"] > 0.9
