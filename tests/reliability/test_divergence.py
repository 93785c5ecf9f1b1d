"""P7: what is not finite never reaches the weights nor the disk: skip, roll back, stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import STEPS, finished, told, train

from seisei.data.loader import Loader
from seisei.errors import DivergenceError
from seisei.objectives.base import Loss
from seisei.objectives.elbo import ELBO
from seisei.training.checkpoint import read
from seisei.training.hooks import Divergence
from seisei.training.loop import Rollback, Training
from seisei.training.run import RunFolder
from seisei.training.tensors import all_finite, to_bytes

BAD = [math.nan, math.inf, -math.inf, 1e38]
Patch = pytest.MonkeyPatch


@pytest.fixture
def now(monkeypatch: Patch) -> list[int]:
    """The step under way, for what is injected."""
    current, advance = [0], Training.advance

    def counted(training: Training) -> None:
        current[0] = training.step
        advance(training)

    monkeypatch.setattr(Training, "advance", counted)
    return current


def events(run: RunFolder, kind: str) -> list[dict[str, Any]]:
    return [e for e in run.events() if e["event"] == kind]


def everything_is_finite(run: RunFolder) -> None:
    for path in run.checkpoints.paths():
        assert all(all_finite(values) is None for values in read(path).tensors.values())


def in_data(value: float, when: Callable[[int], bool], patch: Patch, now: list[int]) -> None:
    at = Loader.at

    def bad(loader: Loader, step: int) -> Any:
        batch = at(loader, step)
        if when(step):
            batch.x[3, 0, 2, 2] = value
        return batch

    patch.setattr(Loader, "at", bad)


def in_loss_term(value: float, when: Callable[[int], bool], patch: Patch, now: list[int]) -> None:
    """A constant: it has no gradient, and is seen in the loss alone."""
    loss = ELBO.loss

    def bad(objective: ELBO, batch: Any, t: float) -> Loss:
        total, parts = loss(objective, batch, t)
        extra = torch.tensor(value if torch.is_grad_enabled() and when(now[0]) else 0.0)
        return Loss(total + extra, {**parts, "kl": parts["kl"] + extra})

    patch.setattr(ELBO, "loss", bad)


def in_gradient(value: float, when: Callable[[int], bool], patch: Patch, now: list[int]) -> None:
    init = Training.__init__

    def hooked(training: Training, *given: Any) -> None:
        init(training, *given)
        bias = dict(training.objective.model.named_parameters())["decoder.layers.0.bias"]
        bias.register_hook(lambda g: g + value if when(now[0]) else g)

    patch.setattr(Training, "__init__", hooked)


PLACES = {"data": in_data, "loss term": in_loss_term, "gradient": in_gradient}


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("place", PLACES)
def test_one_bad_step_is_left_out(place: str, value: float, tmp_path: Path, monkeypatch: Patch, now: list[int]) -> None:
    if value == 1e38 and place == "loss term":
        pytest.skip("a large constant in the loss is finite, and moves nothing")
    PLACES[place](value, lambda step: step == 20, monkeypatch, now)
    run = train(tmp_path / "run")
    skipped = events(run, "skipped")
    everything_is_finite(run)
    (only,) = skipped
    assert only["step"] == 21 and only["turn"] == "model" and len(only["examples"]) == 32
    term, tensor = {
        "data": ("reconstruction", "encoder.layers.0.weight"),
        "loss term": ("kl", "encoder.layers.0.weight"),
        "gradient": ("gradient", "decoder.layers.0.bias"),
    }[place]
    assert only["term"] in (term, "gradient") if place == "data" else only["term"] == term
    assert only["tensor"] == (tensor if value != 1e38 or place == "data" else None) or place == "data"
    (finding,) = [e for e in events(run, "watch") if e["rule"] == "divergence"]
    assert finding["step"] == 21 and "ten in a row" in finding["remedy"]
    assert not events(run, "rollback")
    assert run.checkpoints.newest()[0].step == STEPS
    # The step is skipped and nothing is averaged away: its line of the log says that there was no loss.
    assert [e["loss"] for e in events(run, "train") if e["step"] == 21] == [None]


def test_a_skipped_step_moves_nothing(tmp_path: Path, monkeypatch: Patch, now: list[int]) -> None:
    """The mutant: `taken` that is always true lets the bad step through."""
    in_gradient(math.nan, lambda step: step == 20, monkeypatch, now)
    before: dict[str, torch.Tensor] = {}
    advance = Training.advance

    def compared(training: Training) -> None:
        weights = [p.detach().clone() for p in training.objective.parameters()]
        moments = [v.clone() for v in training.moves[0].state().values()]
        advance(training)
        if training.step == 21:
            assert all(torch.equal(a, b) for a, b in zip(weights, training.objective.parameters(), strict=True))
            assert all(torch.equal(a, b) for a, b in zip(moments, training.moves[0].state().values(), strict=True))
            before["seen"] = torch.ones(1)

    monkeypatch.setattr(Training, "advance", compared)
    train(tmp_path / "run")
    assert before


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("moment", ["exp_avg", "exp_avg_sq"])
def test_a_bad_moment_of_adam_is_undone_by_going_back(
    moment: str, value: float, tmp_path: Path, monkeypatch: Patch
) -> None:
    advance, done = Training.advance, []

    def spoiled(training: Training) -> None:
        if training.step == 20 and not done:
            done.append(True)
            state = training.moves[0].optimizers[0].state
            next(iter(state.values()))[moment][0] = value
        advance(training)

    monkeypatch.setattr(Training, "advance", spoiled)
    run = train(tmp_path / "run")
    everything_is_finite(run)
    back = events(run, "rollback")
    assert [e["step"] for e in back] == [18] and back[0]["rate_factor"] == 0.5
    assert run.checkpoints.newest()[0].step == STEPS
    assert run.checkpoints.newest()[0].state["rate_factor"] == 0.5


def test_ten_in_a_row_go_back_and_three_times_stop(tmp_path: Path, monkeypatch: Patch, now: list[int]) -> None:
    in_data(math.nan, lambda step: step >= 20, monkeypatch, now)
    with pytest.raises(DivergenceError, match="not finite at step 30, after 3 rollbacks to a checkpoint") as caught:
        train(tmp_path / "run")
    assert caught.value.exit_code == 4 and "\n" not in str(caught.value)
    run = RunFolder.open(tmp_path / "run")
    everything_is_finite(run)
    back = events(run, "rollback")
    # None is written while steps are left out. Where going back to one did not help, the one before it is next.
    assert [(e["from"], e["step"], e["rate_factor"]) for e in back] == [(30, 18, 0.5), (30, 12, 0.25), (30, 18, 0.125)]
    assert run.checkpoints.newest()[0].step == 18


def test_steps_that_run_away_are_undone_at_half_the_rate(tmp_path: Path, monkeypatch: Patch) -> None:
    """A rate of 1e20 for a while: weights overflow, which is noticed, and nothing of it is kept."""
    from seisei.training import optim as rates

    true, calls = rates.learning_rate, []

    def wild(optim: Any, t: float) -> float:
        calls.append(t)
        return 1e20 if 20 < len(calls) < 24 else true(optim, t)

    monkeypatch.setattr(rates, "learning_rate", wild)
    run = train(tmp_path / "run")
    everything_is_finite(run)
    assert events(run, "rollback") and run.checkpoints.newest()[0].step == STEPS
    assert events(run, "train")[-1]["loss"] < events(run, "train")[0]["loss"]


def test_a_lost_checkpoint_is_not_gone_back_to_twice(tmp_path: Path, monkeypatch: Patch) -> None:
    """The wild step is the last before a checkpoint: its weights are finite, and lost."""
    from seisei.training import optim as rates

    true, restored = rates.learning_rate, []
    restore = Training.restore
    monkeypatch.setattr(Training, "restore", lambda t, c: (restored.append(c.step), restore(t, c)))
    monkeypatch.setattr(
        rates, "learning_rate", lambda o, t: 1e20 if 23 / STEPS < t < 24 / STEPS and 18 not in restored else true(o, t)
    )
    run = train(tmp_path / "run")
    assert restored == [24, 18]
    everything_is_finite(run)
    assert run.checkpoints.newest()[0].state["rate_factor"] == 0.25
    assert events(run, "train")[-1]["loss"] < events(run, "train")[0]["loss"]


def test_a_rate_of_1e20_ends_with_exit_code_4(tmp_path: Path, monkeypatch: Patch) -> None:
    from seisei.training import optim as rates

    monkeypatch.setattr(rates, "learning_rate", lambda optim, t: 1e20)
    with pytest.raises(DivergenceError):
        train(tmp_path / "run")
    everything_is_finite(RunFolder.open(tmp_path / "run"))


def test_a_rolled_back_run_resumes_to_the_same_bits(tmp_path: Path, monkeypatch: Patch) -> None:
    from tiny import stop_at

    from seisei.errors import Stopped
    from seisei.training import optim as rates
    from seisei.workflows import train as workflow

    true, at = rates.learning_rate, [0]
    monkeypatch.setattr(
        rates, "learning_rate", lambda optim, t: 1e20 if 0.34 < t < 0.4 and at[0] < 2 else true(optim, t)
    )
    restore = Training.restore

    def counted(training: Training, checkpoint: Any) -> None:
        restore(training, checkpoint)
        at[0] = 2

    monkeypatch.setattr(Training, "restore", counted)
    whole = train(tmp_path / "whole")
    assert events(whole, "rollback")
    at[0] = 0
    with pytest.raises(Stopped):
        train(tmp_path / "run", listeners=[stop_at(50)])
    run = workflow.resume(tmp_path / "run")
    assert finished(run) == finished(whole) and told(run) == told(whole)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_going_back_at_the_same_rate_comes_to_the_same_bits(layout: str, tmp_path: Path, monkeypatch: Patch) -> None:
    """A roll-back without a reason, and without its halved rate: nothing has happened."""
    changes = {"dials": {"network": "conv", "width": 4, "steps": 12}, "overrides": {"format": layout}}
    whole = train(tmp_path / "whole", **changes)
    look = Divergence.__call__

    def and_back(hook: Divergence, training: Training) -> None:
        look(hook, training)
        if training.step == 6 and not training.rollbacks:
            training.rate_factor = 2.0
            raise Rollback

    monkeypatch.setattr(Divergence, "__call__", and_back)
    run = train(tmp_path / "run", **changes)
    (back,) = events(run, "rollback")
    assert (back["from"], back["step"], back["rate_factor"]) == (6, 5, 1.0)
    one, other = (r.checkpoints.newest()[0].tensors for r in (run, whole))
    assert {group: to_bytes(values) for group, values in one.items()} == {
        group: to_bytes(values) for group, values in other.items()
    }


def test_with_the_check_taken_out_the_weights_are_spoiled(tmp_path: Path, monkeypatch: Patch, now: list[int]) -> None:
    """The mutant of this file: then only the refusal to save is left, and it does its part."""
    from seisei.training import step

    class Blind:
        isfinite = staticmethod(lambda value: True)

    monkeypatch.setattr(step, "math", Blind)
    in_gradient(math.nan, lambda step: step == 20, monkeypatch, now)
    with pytest.raises(DivergenceError):
        train(tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    everything_is_finite(run)
    assert not events(run, "skipped") and run.checkpoints.newest()[0].step == 18
