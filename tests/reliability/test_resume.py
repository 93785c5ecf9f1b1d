"""P1: a stopped run resumes to the same bits as one that was never stopped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import STEPS, ended, finished, forked, stop_at, told, train

from seisei.errors import Stopped, UserError
from seisei.nn.ema import EMA
from seisei.training.loop import Meter, Training
from seisei.training.optim import learning_rate
from seisei.training.plan import Optim
from seisei.training.run import RunFolder
from seisei.training.step import GradientStep
from seisei.workflows import train as workflow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that was never stopped; its log is written every 7 steps so that sums are under way at most stops."""
    with pytest.MonkeyPatch.context() as patch:
        _every_seven(patch)
        return train(tmp_path_factory.mktemp("whole") / "run")


def _every_seven(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(workflow.Every, "of", lambda steps: workflow.Every(log=7, check=13, save=9))


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder) -> Any:
    """Stops the tiny run after a step, whatever step that is."""
    _every_seven(monkeypatch)

    def stop(at: int, path: Path | None = None) -> RunFolder:
        advance = Training.advance

        def then_stop(training: Training) -> None:
            advance(training)
            if training.step == at:
                os.kill(os.getpid(), signal.SIGTERM)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "advance", then_stop)
            path = path or tmp_path / "run"
            with pytest.raises(Stopped, match=f"step {at} of {STEPS}.*seisei resume"):
                train(path) if not path.exists() else workflow.resume(path)
        return RunFolder.open(path)

    return stop


@pytest.mark.parametrize("at", [1, 7, 17, 44, 45, 59])
def test_a_stopped_run_resumes_to_the_same_bits(at: int, stopped: Any, whole: RunFolder) -> None:
    run = stopped(at)
    assert finished(run) != finished(whole)
    workflow.resume(run.path)
    assert finished(run) == finished(whole)
    assert told(run) == told(whole)


def test_a_run_stopped_three_times_too(stopped: Any, whole: RunFolder) -> None:
    for at in (5, 23, 50):
        run = stopped(at)
    workflow.resume(run.path)
    assert finished(run) == finished(whole)
    assert told(run) == told(whole)


CONV = {"dials": {"network": "conv", "width": 4, "steps": 12}, "overrides": {"format": "channels_last"}}


def test_a_convolutional_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Its weights are channels_last in memory and contiguous on disk."""
    whole = train(tmp_path / "whole", **CONV)
    with pytest.raises(Stopped):
        train(tmp_path / "run", listeners=[stop_at(5)], **CONV)
    run = workflow.resume(tmp_path / "run")
    assert finished(run) == finished(whole) and told(run) == told(whole)


def _forget(group: str, kind: str) -> Any:
    load = GradientStep.load

    def forgetful(move: GradientStep, state: Any, where: str) -> None:
        load(move, {k: v * 0 if k.endswith(f"/{kind}") else v for k, v in state.items()}, where)

    return (GradientStep, "load", forgetful)


def _after_restore(change: Any) -> Any:
    restore = Training.restore

    def forgetful(training: Training, checkpoint: Any) -> None:
        restore(training, checkpoint)
        change(training)

    return (Training, "restore", forgetful)


def _average_of_weights(average: EMA, *_: Any) -> None:
    average.shadow = [w.clone() for w in average._weights]


def _half_precision(training: Training) -> None:
    with torch.no_grad():
        for p in training.objective.parameters():
            p.copy_(p.half().float())


MUTANTS = {
    "first moment": _forget("optimizer-model", "exp_avg"),
    "second moment": _forget("optimizer-model", "exp_avg_sq"),
    "Adam's step": _forget("optimizer-model", "step"),
    "average": (EMA, "load", _average_of_weights),
    "meter": (Meter, "restore", lambda meter, data, device: None),
    "step": _after_restore(lambda t: setattr(t, "step", t.step - 1)),
    "order": _after_restore(lambda t: setattr(t.loader.order, "seed", 1)),
    "noise": _after_restore(lambda t: [setattr(m, "seed", 1) for m in t.moves]),
    "rate factor": _after_restore(lambda t: setattr(t, "rate_factor", 0.5)),
    "weights in half precision": _after_restore(_half_precision),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_whatever_resume_forgets_is_noticed(
    name: str, stopped: Any, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above have the power to see each of these."""
    run = stopped(33)
    monkeypatch.setattr(*MUTANTS[name])
    workflow.resume(run.path)
    assert (finished(run), told(run)) != (finished(whole), told(whole))


def test_rate_factor_and_rollbacks_are_kept(stopped: Any) -> None:
    """After a rollback the rate is halved, and stays so through a stop."""
    run = stopped(20)
    checkpoint, _ = run.checkpoints.newest()
    state = {**checkpoint.state, "rate_factor": 0.25, "rollbacks": 2}
    run.checkpoints.save(checkpoint.step, checkpoint.tensors, state)
    workflow.resume(run.path)
    found, _ = run.checkpoints.newest()
    assert (found.state["rate_factor"], found.state["rollbacks"]) == (0.25, 2)
    assert [e for e in run.events() if e["event"] == "train"][-4]["learning_rate"] < 0.26e-3


def test_going_back_to_an_older_step_gives_the_same_end(stopped: Any, whole: RunFolder) -> None:
    run = stopped(40)
    assert [int(p.name[5:]) for p in run.checkpoints.paths()] == [40, 36]
    workflow.resume(run.path, step=36)
    assert finished(run) == finished(whole)
    assert told(run) == told(whole)


def test_the_newer_ones_are_given_up_when_an_older_step_is_chosen(stopped: Any, whole: RunFolder) -> None:
    """Else a kill before the next checkpoint would let the given-up future come back, with the other's log."""
    run = stopped(40)
    listeners = [lambda event: (_ for _ in ()).throw(KeyboardInterrupt) if event["event"] == "begin" else None]
    with pytest.raises(KeyboardInterrupt):
        workflow.resume(run.path, step=36, listeners=listeners)
    assert [int(p.name[5:]) for p in run.checkpoints.paths()] == [36]


def test_a_finished_run_says_so(whole: RunFolder) -> None:
    with pytest.raises(UserError, match="finished at 60; raise --steps above 60") as caught:
        workflow.resume(whole.path)
    assert caught.value.code == "E-RES-23"


def test_more_steps_can_be_asked_for(tmp_path: Path, whole: RunFolder) -> None:
    path = tmp_path / "longer"
    shutil.copytree(whole.path, path)
    run = workflow.resume(path, steps=70)
    assert run.checkpoints.newest()[0].step == 70
    assert run.read("recipe.json")["plan"]["steps"] == 70
    assert [e["step"] for e in run.events() if e["event"] == "end"] == [70]


def test_resuming_tells_what_may_change_the_last_bits(stopped: Any) -> None:
    run = stopped(50)
    checkpoint, _ = run.checkpoints.newest()
    run.checkpoints.save(checkpoint.step, checkpoint.tensors, {**checkpoint.state, "threads": 7})
    notes: list[str] = []
    workflow.resume(run.path, listeners=[lambda e: notes.append(e["what"]) if e["event"] == "note" else None])
    assert notes == ["the last bits may differ from an uninterrupted run: threads 7 then, 1 now"]


def test_changed_data_are_refused(stopped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(30)
    recipe = run.read("recipe.json")
    run.write("recipe.json", {**recipe, "data": {**recipe["data"], "fingerprint": "0" * 32}})
    with pytest.raises(UserError, match="the data changed") as caught:
        workflow.resume(run.path)
    assert caught.value.code == "E-RES-15"
    workflow.resume(run.path, accept_new_data=True)


def test_a_run_killed_at_its_report_can_be_completed(stopped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(50)
    recipe = run.read("recipe.json")
    run.write("recipe.json", {**recipe, "report": True})
    calls: list[str] = []

    def broken(run: RunFolder, data: Any, judge: Any) -> None:
        calls.append("finish")
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "finish", broken)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            workflow.resume(run.path)
    assert calls == ["finish", "finish"]
    assert [e["event"] for e in run.events()].count("end") == 1


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL at random instants, start-up included: the end is that of the run that was never killed."""
    monkeypatch.setattr(workflow.Every, "of", lambda steps: workflow.Every(log=7, check=100, save=9))
    dials = {"dials": {"steps": 600}}
    begun = time.monotonic()
    whole = train(tmp_path / "whole", **dials)
    training_takes = time.monotonic() - begun
    path, output, going = tmp_path / "killed", tmp_path / "output.txt", tmp_path / "going"
    chance, kills = random.Random(7), 0

    def work() -> None:
        begin = {"listeners": [lambda event: going.touch() if event["event"] == "begin" else None]}
        workflow.resume(path, **begin) if (path / "recipe.json").exists() else train(path, **dials, **begin)

    while True:
        if not any((path / "checkpoints").glob("step-*")):
            shutil.rmtree(path, ignore_errors=True)  # killed before its first checkpoint, or at the very first start
        going.unlink(missing_ok=True)
        pid = forked(work, output)
        done = False
        if kills >= 50:
            assert ended(pid) == 0, output.read_text()
            done = True
        else:
            # One in five dies while it starts; the others get on by about a sixtieth of the run.
            early = chance.random() < 0.2
            until = time.monotonic() + (chance.uniform(0, 0.3) if early else 60)
            while not going.exists() and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0 if early else chance.uniform(0, training_takes / 30))
            os.kill(pid, signal.SIGKILL)
            code = ended(pid)
            assert code in (0, -signal.SIGKILL), output.read_text()
            kills, done = kills + (code != 0), code == 0
        if done:
            assert finished(RunFolder.open(path)) == finished(whole)
            assert told(RunFolder.open(path)) == told(whole)
            if kills >= 50:
                break
            shutil.rmtree(path)
    print(f"{kills} kills in {time.monotonic() - begun:.0f} s")


DEADLY = ("fsync", "rename", "replace", "rmdir", "unlink", "truncate")


@pytest.mark.slow
def test_kills_inside_saving_and_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the n-th call that touches the disk, at random: a verified checkpoint is always there."""
    monkeypatch.setattr(workflow.Every, "of", lambda steps: workflow.Every(log=7, check=100, save=4))
    whole = train(tmp_path / "whole", dials={"steps": 24})
    chance, deaths = random.Random(3), dict.fromkeys(DEADLY, 0)

    def die_at(count: int) -> None:
        left = [count]

        def deadly(name: str) -> Any:
            call = getattr(os, name)

            def counted(*given: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    (tmp_path / "died").write_text(name)
                    if chance.random() < 0.5:
                        call(*given, **named)
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*given, **named)

            return counted

        for name in DEADLY:
            setattr(os, name, deadly(name))

    for trial in range(12):
        path = tmp_path / f"run-{trial}"
        first = True
        while True:

            def work(path: Path = path, first: bool = first) -> None:
                # The writing of the first checkpoint, before which there is nothing to lose, is left alone.
                die_at(chance.randint(25 if first else 1, 60))
                train(path, dials={"steps": 24}) if first else workflow.resume(path)

            code = ended(forked(work, tmp_path / "output.txt"))
            chance.random()
            if code == 0:
                break
            assert code == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
            deaths[(tmp_path / "died").read_text()] += 1
            checkpoint, notes = RunFolder.open(path).checkpoints.newest()
            assert not notes, "a folder that looks like a checkpoint is a whole one"
            first = False
        assert finished(RunFolder.open(path)) == finished(whole)
        assert told(RunFolder.open(path)) == told(whole)
        shutil.rmtree(path)
    print(deaths)
    assert sum(deaths.values()) >= 15 and deaths["fsync"] and deaths["rename"] and deaths["rmdir"] + deaths["unlink"]


def test_more_steps_say_what_they_do_to_the_learning_rate(tmp_path: Path) -> None:
    run = train(tmp_path / "run", dials={"steps": 40})
    said: list[dict[str, Any]] = []
    workflow.resume(run.path, steps=80, listeners=[said.append])
    notes = [event["what"] for event in run.events() if event["event"] == "note"]
    rate = learning_rate(Optim(**run.read("recipe.json")["plan"]["optim"]), 40.5 / 80)
    assert [note for note in notes if "schedule" in note] == [
        f"the schedule now spans 80 steps, not 40: the learning rate at step 40 is {rate:.3g} instead of 0"
    ]
    assert [event["what"] for event in said if event["event"] == "note" and "schedule" in event["what"]] == notes[-1:]


def logged(rate: float) -> float:
    """A value as the log rounds it."""
    return float(f"{rate:.8g}")


def rates(run: RunFolder) -> dict[int, float]:
    return {e["step"]: e["learning_rate"] for e in run.events() if e["event"] == "train"}


@pytest.fixture
def ts(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """The t of each step that is made."""
    found: dict[int, float] = {}
    call = GradientStep.__call__

    def noted(move: GradientStep, batch: Any, t: float, rate: float, step: int) -> Any:
        found[step] = t
        return call(move, batch, t, rate, step)

    monkeypatch.setattr(GradientStep, "__call__", noted)
    return found


def test_more_steps_stretch_the_schedules(tmp_path: Path, ts: dict[int, float]) -> None:
    run = train(tmp_path / "run", dials={"steps": 40})
    before = rates(run)
    workflow.resume(run.path, steps=80)
    optim = Optim(**run.read("recipe.json")["plan"]["optim"])
    assert before == {step: logged(learning_rate(optim, (step - 0.5) / 40)) for step in before}
    after = {step: rate for step, rate in rates(run).items() if step > 40}
    assert len(after) > 10 and after == {step: logged(learning_rate(optim, (step - 0.5) / 80)) for step in after}
    assert ts == {step: step / (40 if step < 40 else 80) for step in range(80)}
    assert run.read("recipe.json")["plan"]["schedule_steps"] is None


def test_a_kept_schedule_ends_where_it_ended(tmp_path: Path, ts: dict[int, float]) -> None:
    run = train(tmp_path / "run", dials={"steps": 40})
    said: list[dict[str, Any]] = []
    workflow.resume(run.path, steps=80, keep_schedule=True, listeners=[said.append])
    optim = Optim(**run.read("recipe.json")["plan"]["optim"])
    last = learning_rate(optim, 39.5 / 40)
    assert rates(run) == {step: logged(learning_rate(optim, (min(step, 40) - 0.5) / 40)) for step in rates(run)}
    assert {rate for step, rate in rates(run).items() if step >= 40} == {logged(last)} and max(rates(run)) == 80
    assert ts == {step: min(step, 40) / 40 for step in range(80)}
    line = (
        f"the schedule ended at step 40, as it did before: the learning rate of further steps is {last:.3g}, "
        "0.00039 of its highest: further steps change little"
    )
    for events in (list(run.events()), said):
        assert [e["what"] for e in events if e["event"] == "note" and "schedule" in e["what"]] == [line]


def test_a_kept_constant_rate_stays_and_learns(tmp_path: Path) -> None:
    """Its warm-up is over, and does not come back."""
    overrides = {"optim.schedule": "constant", "optim.warmup": 0.5}
    kept, stretched = (train(tmp_path / n, dials={"steps": 40}, overrides=overrides) for n in ("kept", "stretched"))
    workflow.resume(kept.path, steps=80, keep_schedule=True)
    workflow.resume(stretched.path, steps=160)
    highest = kept.read("recipe.json")["plan"]["optim"]["learning_rate"]
    assert {rate for step, rate in rates(kept).items() if step > 20} == {highest}
    assert min(rate for step, rate in rates(stretched).items() if step > 40) < 0.6 * highest
    assert finished(kept) != finished(stretched)
    notes = [e["what"] for e in kept.events() if e["event"] == "note" and "schedule" in e["what"]]
    assert len(notes) == 1 and notes[0].endswith(f"the learning rate of further steps is {highest:.3g}")


def test_a_kept_schedule_is_kept_by_a_later_plain_resume(tmp_path: Path) -> None:
    whole, run = (train(tmp_path / name, dials={"steps": 40}) for name in ("whole", "run"))
    workflow.resume(whole.path, steps=80, keep_schedule=True)
    with pytest.raises(Stopped):
        workflow.resume(run.path, steps=80, keep_schedule=True, listeners=[stop_at(60)])
    workflow.resume(run.path)
    assert finished(run) == finished(whole)
    assert rates(run) == rates(whole)
    plan = run.read("recipe.json")["plan"]
    assert (plan["steps"], plan["schedule_steps"]) == (80, 40)
    workflow.resume(run.path, steps=90, keep_schedule=True)
    plan = run.read("recipe.json")["plan"]
    assert (plan["steps"], plan["schedule_steps"]) == (90, 40)
    workflow.resume(run.path, steps=120)
    plan = run.read("recipe.json")["plan"]
    assert (plan["steps"], plan["schedule_steps"]) == (120, None)
    assert rates(run)[100] == logged(learning_rate(Optim(**plan["optim"]), 99.5 / 120))


def test_a_schedule_kept_before_its_end_is_the_same_up_to_there(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", dials={"steps": 40})
    with pytest.raises(Stopped):
        train(tmp_path / "run", dials={"steps": 40}, listeners=[stop_at(20)])
    with pytest.raises(Stopped):
        workflow.resume(tmp_path / "run", steps=80, keep_schedule=True, listeners=[stop_at(40)])
    run = RunFolder.open(tmp_path / "run")
    one, other = (each.checkpoints.newest()[0] for each in (whole, run))
    assert one.step == other.step == 40 and one.tensors.keys() == other.tensors.keys()
    for group, tensors in one.tensors.items():
        assert all(torch.equal(value, other.tensors[group][name]) for name, value in tensors.items()), group
    notes = [e["what"] for e in run.events() if e["event"] == "note" and "schedule" in e["what"]]
    assert len(notes) == 1 and notes[0].startswith("the schedule ends at step 40, as it did before: ")
