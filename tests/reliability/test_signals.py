"""P6: signals save and stop, or save and go on; a second one aborts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import STEPS, ended, finished, forked, stop_at, told, train

from seisei.errors import Stopped
from seisei.training import checkpoint as checkpoints
from seisei.training.run import RunFolder
from seisei.training.signals import RUN, SAVE, STOP_INTERRUPTED, STOP_TERMINATED, Signals
from seisei.workflows import train as workflow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_stops(number: int, code: int, tmp_path: Path, whole: RunFolder) -> None:
    output = tmp_path / "output.txt"
    assert ended(forked(lambda: train(tmp_path / "run", listeners=[stop_at(23, number)]), output)) == code
    assert output.read_text().splitlines() == [
        f"stopped at step 23 of {STEPS}; resume with: seisei resume {tmp_path}/run"
    ]
    run = RunFolder.open(tmp_path / "run")
    assert run.checkpoints.newest()[0].step == 23
    workflow.resume(run.path)
    assert finished(run) == finished(whole)
    assert told(run) == told(whole)


@pytest.mark.parametrize("step", [1, 30, STEPS - 1])
def test_at_the_first_at_a_saving_and_at_the_last_step(step: int, tmp_path: Path, whole: RunFolder) -> None:
    with pytest.raises(Stopped) as caught:
        train(tmp_path / "run", listeners=[stop_at(step)])
    assert caught.value.exit_code == 143
    run = workflow.resume(tmp_path / "run")
    assert finished(run) == finished(whole) and told(run) == told(whole)


def test_a_signal_at_the_very_last_step_finds_the_run_done(tmp_path: Path, whole: RunFolder) -> None:
    run = train(tmp_path / "run", listeners=[stop_at(STEPS)])
    assert finished(run) == finished(whole)


def test_a_signal_inside_a_saving_lets_it_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder
) -> None:
    write = checkpoints.write_bytes

    def interrupted(path: Path, data: bytes) -> None:
        if "00000018" in str(path) and path.name.startswith("model"):
            os.kill(os.getpid(), signal.SIGTERM)
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_bytes", interrupted)
        with pytest.raises(Stopped, match="step 19 "):
            train(tmp_path / "run")
    run = workflow.resume(tmp_path / "run")
    assert finished(run) == finished(whole) and told(run) == told(whole)


def test_sigusr1_saves_and_goes_on(tmp_path: Path, whole: RunFolder) -> None:
    seen: list[str] = []

    def look(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event["step"] == 24:
            seen.extend(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())

    run = train(tmp_path / "run", listeners=[stop_at(22, signal.SIGUSR1), look])
    assert sorted(seen) == ["step-00000018", "step-00000022"]
    assert finished(run) == finished(whole) and told(run) == told(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_aborts_and_leaves_the_last_checkpoint(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder
) -> None:
    """The first comes while a checkpoint is written, the second while the disk is slow."""
    write = checkpoints.write_bytes

    def slow(path: Path, data: bytes) -> None:
        if "00000018" in str(path) and path.name.startswith("state"):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            time.sleep(60)
        write(path, data)

    def work() -> None:
        checkpoints.write_bytes = slow
        train(tmp_path / "run")

    begun = time.monotonic()
    assert ended(forked(work, tmp_path / "output.txt")) == code
    assert time.monotonic() - begun < 30
    run = RunFolder.open(tmp_path / "run")
    assert run.checkpoints.newest()[0].step == 12
    workflow.resume(run.path)
    assert finished(run) == finished(whole) and told(run) == told(whole)
    assert not [p.name for p in run.checkpoints.folder.iterdir() if p.name.startswith(".")]


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with Signals() as signals:
        assert signals.take() == RUN
        os.kill(os.getpid(), signal.SIGUSR1)
        assert [signals.take(), signals.take()] == [SAVE, RUN]
        os.kill(os.getpid(), signal.SIGINT)
        assert [signals.take(), signals.take()] == [STOP_INTERRUPTED, STOP_INTERRUPTED]
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.take() == STOP_INTERRUPTED
        with pytest.raises(SystemExit) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert caught.value.code == 143 and STOP_TERMINATED == 3
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before
