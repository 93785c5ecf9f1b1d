"""The small parts of training, each by itself."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ended, forked
from torch import nn
from toy import ToyGame, ToyGenerator

from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.data.loader import Loader, Order
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.nn.ema import EMA
from seisei.objectives.elbo import ELBO
from seisei.objectives.schedules import ramp
from seisei.recipes import recipe
from seisei.recipes.classification import generative
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training import run as runs
from seisei.training.backend import float32_is_routed
from seisei.training.engine import Engine, Execution
from seisei.training.loop import Training
from seisei.training.memory import BYTES_A_PARAMETER, fits, outline, parameters_of
from seisei.training.optim import learning_rate
from seisei.training.plan import Optim, Plan
from seisei.training.run import RunFolder

# The average.


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_the_average_is_its_closed_form(decay: float) -> None:
    model = nn.Linear(3, 2, bias=False).double()
    average = EMA(model, decay, every=2)
    expected = model.weight.detach().clone()
    for step in range(1, 41):
        with torch.no_grad():
            model.weight.fill_(step**1.5)
        average.update(step)
        if step % 2 == 0:
            n = step // 2
            keep = min(decay**2, n / (9 + n))
            expected = keep * expected + (1 - keep) * step**1.5
        elif step < 2:
            expected = model.weight.detach().clone()
        assert torch.allclose(average.state()["weight"], expected, rtol=1e-12)


def test_the_average_of_what_stands_still_is_that() -> None:
    model = nn.Linear(3, 2)
    average = EMA(model, 0.99)
    for step in range(1, 50):
        average.update(step)
    assert torch.allclose(average.state()["weight"], model.weight)


def test_buffers_are_copied_not_averaged() -> None:
    model = nn.BatchNorm1d(2)
    average = EMA(model, 0.99)
    model.running_mean += 5
    assert average.state()["running_mean"].tolist() == [5, 5]


def test_a_foreign_average_is_refused() -> None:
    average = EMA(nn.Linear(3, 2), 0.99)
    with pytest.raises(UserError, match="'bias' is missing"):
        average.load({"weight": torch.zeros(2, 3)}, "file", lambda a, b: b)
    with pytest.raises(UserError, match=r"has shape \(3, 3\), wanted \(2, 3\)"):
        average.load({"weight": torch.zeros(3, 3), "bias": torch.zeros(2)}, "file", lambda a, b: b)


# Schedules.


@pytest.mark.parametrize(
    ("schedule", "t", "rate"),
    [("cosine", 0.05, 0.5), ("cosine", 0.1, 1.0), ("cosine", 0.55, 0.5), ("cosine", 1.0, 0.0), ("cosine", 0.0, 0.0),
     ("constant", 0.05, 0.5), ("constant", 0.1, 1.0), ("constant", 1.0, 1.0)],
)  # fmt: skip
def test_the_learning_rate_at_named_points(schedule: Any, t: float, rate: float) -> None:
    assert learning_rate(Optim(learning_rate=1.0, warmup=0.1, schedule=schedule), t) == pytest.approx(rate, abs=1e-12)


def test_without_warmup_the_rate_starts_high() -> None:
    assert learning_rate(Optim(learning_rate=1.0, warmup=0.0), 0.0) == 1.0
    assert learning_rate(Optim(learning_rate=1.0, warmup=1.0), 0.5) == 0.5


@pytest.mark.parametrize(
    ("t", "end", "value"), [(0, 0.1, 0), (0.05, 0.1, 0.5), (0.1, 0.1, 1), (0.9, 0.1, 1), (0, 0, 1)]
)
def test_the_ramp_at_named_points(t: float, end: float, value: float) -> None:
    assert ramp(t, end) == pytest.approx(value)


# The plan.


@pytest.fixture
def plan() -> Plan:
    from seisei.modalities.image import Image

    catalog.fill()
    image = Image(height=8, width=8, channels=1, levels=17)
    return recipe("vae")(Schema(image, None), network="mlp", width=16, latent=4, steps=20, batch=8)


def test_a_plan_survives_json(plan: Plan) -> None:
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan and again.to_json() == plan.to_json()


def test_a_plan_is_overridden_by_path(plan: Plan) -> None:
    changed = plan.override("objective.beta", "0.5").override("optim.learning_rate", "2e-4").override("steps", 7)
    changed = changed.override("objective.model.encoder.width", 32).override("optim.betas", "0.5,0.9")
    assert changed.objective.arguments["beta"] == 0.5 and changed.steps == 7
    assert changed.optim.learning_rate == 2e-4 and changed.optim.betas == (0.5, 0.9)
    assert plan.steps == 20, "the plan itself is as it was"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("stepz", 3, "did you mean 'steps'"),
        ("optim.learning_rat", 3, "did you mean 'learning_rate'"),
        ("objective.betta", 3, "did you mean 'beta'"),
        ("objective.model.encoder.widht", 3, "did you mean 'width'"),
        ("optim", 3, "is not a single value"),
        ("objective", 3, "is not a single value"),
        ("steps.more", 3, "is not a single value"),
        ("steps", 0, "0 is out of range, wanted >= 1"),
        ("steps", 1.5, "wanted a whole number"),
        ("optim.learning_rate", "nan", "out of range"),
        ("optim.betas", "0.9", "wanted two numbers"),
        ("optim.betas", "0.9,1.5", "wanted two numbers"),
        ("format", "channels_frist", "did you mean 'channels_last'"),
    ],
)
def test_a_wrong_override_is_one_line_with_the_right_name(path: str, value: Any, words: str, plan: Plan) -> None:
    with pytest.raises(UserError, match=words) as caught:
        plan.override(path, value)
    assert "\n" not in str(caught.value)


DAMAGE: list[dict[str, Any]] = [
    {"objective": 3},
    {"objective": None},
    {"objective": {"class": "os.system", "arguments": {}}},
    {"optim": 3},
    {"stepz": 1},
    {"steps": "many"},
]


@pytest.mark.parametrize("change", DAMAGE)
def test_a_damaged_plan_is_refused(change: dict[str, Any], plan: Plan) -> None:
    with pytest.raises(UserError):
        Plan.from_json({**plan.to_json(), **change})


def test_a_plan_whose_objective_is_none_is_refused(plan: Plan) -> None:
    model = plan.objective.arguments["model"].to_json()
    with pytest.raises(UserError, match="VAE is not an objective"):
        Plan.from_json({**plan.to_json(), "objective": model})


# Order and loader.


def test_every_example_is_seen_once_an_epoch() -> None:
    order = Order(torch.arange(100, 137), batch=4, seed=1)
    assert order.per_epoch == 9
    for epoch in range(3):
        seen = torch.cat([order.at(epoch * 9 + i) for i in range(9)]).tolist()
        assert len(set(seen)) == 36 and set(seen) <= set(range(100, 137))
    assert order.at(0).tolist() != order.at(9).tolist(), "each epoch has its own order"


def test_order_is_a_function_of_seed_and_step() -> None:
    one, other = (Order(torch.arange(50), batch=8, seed=3) for _ in range(2))
    forth = [one.at(k).tolist() for k in range(40)]
    back = [other.at(k).tolist() for k in reversed(range(40))]
    assert forth == back[::-1]
    assert forth != [Order(torch.arange(50), batch=8, seed=4).at(k).tolist() for k in range(40)]


class Data:
    """A stand-in for a data set: an example is its number."""

    def __init__(self, in_memory: bool = True) -> None:
        self.in_memory, self.asked = in_memory, 0

    def batch(self, indices: torch.Tensor) -> Batch:
        self.asked += 1
        return Batch(indices.float().reshape(-1, 1))


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("in_memory", [True, False])
def test_the_parts_of_all_processes_are_the_batch(world: int, in_memory: bool) -> None:
    whole = Order(torch.arange(50), batch=8, seed=3)
    for k in (0, 5, 6, 7, 30):  # in and after an epoch of six steps, and not in order
        parts = []
        for rank in range(world):
            with Loader(Data(in_memory), Order(torch.arange(50), batch=8, seed=3), rank=rank, world=world) as loader:
                parts.append(loader.at(k).x.flatten())
        assert torch.cat(parts).tolist() == whole.at(k).tolist()


def test_gathering_ahead_changes_nothing() -> None:
    plain, ahead = (Loader(Data(m), Order(torch.arange(50), batch=8, seed=3)) for m in (True, False))
    with plain, ahead:
        for k in [0, 1, 2, 3, 17, 18, 2, 3, 4]:  # a rollback in the middle
            assert torch.equal(plain.at(k).x, ahead.at(k).x)


def test_an_error_while_gathering_ahead_is_not_lost() -> None:
    class Broken(Data):
        def batch(self, indices: torch.Tensor) -> Batch:
            if self.asked:
                raise UserError("E-CHK-06", "x.png", "is damaged", "remove it")
            return super().batch(indices)

    with Loader(Broken(False), Order(torch.arange(50), batch=8, seed=3)) as loader:
        loader.at(0)
        with pytest.raises(UserError, match=r"x\.png"):
            loader.at(1)


# Two players.


class Images(Data):
    def batch(self, indices: torch.Tensor) -> Batch:
        return Batch(torch.rand(len(indices), 1, 8, 8, generator=torch.Generator().manual_seed(int(indices[0]))))


def test_a_turn_moves_its_player_and_nobody_else() -> None:
    plan = Plan(Spec(ToyGame, model=Spec(ToyGenerator)), 10, 8, Optim(1e-2))
    with Engine(Execution(backend_tuning=False)) as engine:
        training = Training(plan, Loader(Images(), Order(torch.arange(64), batch=8, seed=0)), engine, 0)
        discriminator, generator = training.moves
        assert (discriminator.turn.name, generator.turn.name) == ("discriminator", "generator")

        def all_of(move: Any) -> list[torch.Tensor]:
            return [*(p.detach().clone() for p in move.parameters), *(v.clone() for v in move.state().values())]

        batch = training.loader.at(0)
        for step, (moving, resting) in enumerate([(discriminator, generator), (generator, discriminator)] * 3):
            before, own = all_of(resting), all_of(moving)
            moving(batch, 0.0, 1e-2, step)
            assert all(torch.equal(a, b) for a, b in zip(before, all_of(resting), strict=True))
            assert not all(torch.equal(a, b) for a, b in zip(own, all_of(moving), strict=False))
            assert all(p.grad is not None for p in moving.parameters)
        training.advance()
        assert set(training.moved) == {"discriminator", "generator"}
        training.advance()
        assert set(training.moved) == {"discriminator"}, "the generator moves every second step"


# A run's folder and its lock.


def test_one_writer_a_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "test")
    lock = run.lock()

    def second() -> None:
        run.lock()

    assert ended(forked(second, tmp_path / "output.txt")) == 2
    (line,) = (tmp_path / "output.txt").read_text().splitlines()
    assert f"is in use by process {os.getpid()} on " in line and line.endswith("wait for it, or stop it")
    lock.release()
    assert ended(forked(second, tmp_path / "output.txt")) == 0


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "test")

    def hold() -> None:
        kept = run.lock()
        (tmp_path / "held").touch()
        time.sleep(60)
        kept.release()

    pid = forked(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(UserError, match=f"process {pid} on") as caught:
        run.lock()
    assert caught.value.code == "E-RES-24"
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    run.lock().release()


def test_a_run_in_use_is_not_overwritten(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "test")
    run.write("recipe.json", {})
    lock = run.lock()
    with pytest.raises(UserError, match="is in use by"):
        RunFolder.create(tmp_path / "run", "test", overwrite=True)
    lock.release()
    assert RunFolder.create(tmp_path / "run", "test", overwrite=True)
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_folders_that_cannot_be_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    for output, overwrite, words in (
        (tmp_path / "file", False, "is a file, wanted a folder"),
        (tmp_path / "full", False, "is not empty; resume it"),
        (tmp_path / "full", True, "is not a run, so it is not overwritten"),
        (tmp_path / "file" / "below", False, "cannot be written"),
    ):
        with pytest.raises(UserError, match=words):
            RunFolder.create(output, "test", overwrite=overwrite)
    assert (tmp_path / "full" / "photo.jpg").exists()


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    class Stopped(runs.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 11, 22)

    monkeypatch.setattr(runs, "datetime", Stopped)
    names = [RunFolder.create(None, "vae/photos of mine").path.name for _ in range(3)]
    assert names == ["2026-11-22-000000-vae-photos-of-mine" + end for end in ("", "-2", "-3")]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("absent", "E-*-01", "no such run"), ("model.pt", "E-*-03", "pickle"), ("notes.txt", "E-*-02", "is a file"),
     ("empty", "E-*-02", "recipe.json and schema.json missing"), ("old", "E-*-03", "pickle")],
)  # fmt: skip
def test_what_is_not_a_run_is_refused(name: str, code: str, words: str, tmp_path: Path) -> None:
    for file in ("model.pt", "notes.txt"):
        (tmp_path / file).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "weights.ckpt").touch()
    with pytest.raises(UserError, match=words) as caught:
        RunFolder.open(tmp_path / name)
    assert caught.value.code == code


def test_the_log_is_cut_and_read_without_a_torn_line(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "test")
    run.log({"event": "a"})
    size = run.log_size()
    run.log({"event": "b"})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"event": "tor')
    assert [e["event"] for e in run.events()] == ["a", "b"]
    run.cut_log(size)
    run.log({"event": "c"})
    assert [e["event"] for e in run.events()] == ["a", "c"]


def test_written_files_are_complete_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path / "run", "test")
    run.write("a.json", {"x": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="a.json: cannot be written") as caught:
        run.write("a.json", {"x": 2})
    assert caught.value.exit_code == 3 and run.read("a.json") == {"x": 1}
    assert sorted(p.name for p in run.path.iterdir()) == ["a.json"]
    with pytest.raises(ValueError, match="Out of range float"):
        run.write("b.json", {"x": math.nan})


# How large a model is, before there is one.


def test_a_model_larger_than_memory_is_refused() -> None:
    catalog.fill()
    schema = Schema(Image(8, 8, 1, levels=17))
    small, large = (recipe("vae")(schema, width=width).objective for width in (16, 4096))
    assert parameters_of(small) == sum(p.numel() for p in small.build().parameters())
    fits(small, parameters_of(small) * BYTES_A_PARAMETER)
    with pytest.raises(UserError) as refused:
        fits(small, parameters_of(small) * BYTES_A_PARAMETER - 1)
    assert refused.value.code == "E-TRN-09" and "--latent" in refused.value.remedy
    # Nothing is allocated to find that out.
    assert all(p.is_meta for p in outline(large).parameters())


def test_a_batch_holds_a_share_of_what_is_rare() -> None:
    """Five of a hundred examples have a label: a quarter of every batch has, each kind in permutations of its own."""
    indices, rare = torch.arange(100), torch.tensor([3, 14, 15, 92, 65])
    order = Order(indices, batch=16, seed=2, rare=rare)
    seen: list[int] = []
    for step in range(40):
        now = order.at(step)
        assert len(now) == len(set(now.tolist())) == 16
        assert int(torch.isin(now, rare).sum()) == 4
        seen += now[~torch.isin(now, rare)].tolist()
    first = seen[: 95 // 12 * 12]  # one epoch of the others, its last incomplete batch left out
    assert len(set(first)) == len(first)
    assert order.at(7).tolist() == Order(indices, batch=16, seed=2, rare=rare).at(7).tolist()
    plain, all_rare = Order(indices, batch=16, seed=2), Order(indices, batch=16, seed=2, rare=indices)
    assert plain.at(3).tolist() == all_rare.at(3).tolist()
    # Nearly all are rare: there are not enough others to fill three quarters.
    assert int(torch.isin(Order(indices, batch=16, seed=2, rare=indices[:98]).at(0), indices[:98]).sum()) == 15


def test_weighted_examples_come_as_often_as_they_weigh() -> None:
    """In each epoch every example comes its share, rounded down or up; equal weights are no weights."""
    indices, weights = torch.arange(10, 22), torch.tensor([1.0] * 8 + [4.0] * 4)
    order = Order(indices, batch=4, seed=3, weights=weights)
    epochs = [torch.cat([order.at(3 * epoch + i) for i in range(3)]) for epoch in range(50)]
    for epoch in epochs:
        counts = torch.bincount(epoch - 10, minlength=12)
        assert int(counts.sum()) == 12 and set(counts[:8].tolist()) <= {0, 1} and set(counts[8:].tolist()) == {2}
    assert torch.bincount(torch.cat(epochs) - 10)[:8].min() >= 10  # 25 of 50 expected of each
    assert order.at(7).tolist() == Order(indices, batch=4, seed=3, weights=weights).at(7).tolist()
    alike = Order(indices, batch=4, seed=3, weights=torch.full((12,), 0.3))
    assert [alike.at(i).tolist() for i in range(9)] == [
        Order(indices, batch=4, seed=3).at(i).tolist() for i in range(9)
    ]


def test_an_example_without_a_label_counts_with_every_label() -> None:
    """−log Σ_y exp(ELBO(x, y) + log p(y)), with the noise of each class in turn; those with a label keep their own."""
    schema = Schema(Image(4, 4, 1, 2), Label(("a", "b", "c")))
    plan = generative(schema, density="vae", latent=2, width=8, depth=1)
    with seeds.seeded("unlabeled"):
        objective = plan.objective.build()
    x = (torch.rand(5, 1, 4, 4, generator=seeds.generator("x")) > 0.5).float()
    y = torch.tensor([0, -1, 2, -1, 1])

    def draws() -> Any:
        return seeds.drawing(seeds.Draws(0, 0, total=5, offset=0))

    bound = ELBO(objective.model.density)
    with draws(), torch.no_grad():
        each = []
        for c in range(3):
            reconstruction, kl = bound.terms(Batch(x, torch.full((5,), c)))
            each.append(-(reconstruction + kl.sum(-1)) + math.log(1 / 3))
        joint = torch.stack(each, 1)
    with draws(), torch.no_grad():
        found = objective.turns()[-1].loss(Batch(x, y), 1.0).total
    wanted = -torch.stack([joint[0, 0], joint[1].logsumexp(0), joint[2, 2], joint[3].logsumexp(0), joint[4, 1]]).mean()
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    assert float(found) != pytest.approx(float(-joint.logsumexp(1).mean()), rel=1e-3)  # mutant: labels not looked at


def test_an_engine_inside_of_another_leaves_its_arithmetic_as_it_was() -> None:
    with Engine(Execution(device="cpu")) as outer:
        if not outer.levers["routed_float32"]:
            pytest.skip("float32 products are not routed on this machine")
        with Engine(Execution(device="cpu")):
            pass
        assert float32_is_routed()
    assert not float32_is_routed()
