"""A training survives its surroundings, or says what became of them: lost output, a hang-up, a folder that is gone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny import STEPS, ended, finished, forked, request, stop_at, told, train

from seisei.errors import ResourceError, Stopped, UserError
from seisei.training import lock as locks
from seisei.training.lock import Lock
from seisei.training.run import RunFolder
from seisei.training.signals import Signals
from seisei.workflows import train as workflow

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
WORDS = ["train", "vae", "digits", "--latent", "2", "--width", "8", "--depth", "1", "--batch", "16", "--no-report"]


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line for bash, in which SEISEI is the program; its code is the program's own."""
    command = f'set -o pipefail; SEISEI() {{ {sys.executable} -m seisei "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


# ---- lost output


@pytest.mark.parametrize("lost", ["2>/dev/full", "2> >(exec head -c 1 >/dev/null)", "2>&-"])
def test_a_training_goes_on_when_nobody_hears_it(lost: str, tmp_path: Path) -> None:
    done = shell(f"SEISEI {' '.join(WORDS)} --steps 30 --output run {lost}", tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("run\n"), done
    assert RunFolder.open(tmp_path / "run").checkpoints.newest()[0].step == 30


def test_the_right_code_when_both_are_lost(tmp_path: Path) -> None:
    """An error that nobody hears keeps its exit code."""
    assert shell("SEISEI train vae nowhere 2>/dev/full >/dev/full", tmp_path).returncode == 2
    assert shell("SEISEI train vae nowhere 2>&- >&-", tmp_path).returncode == 2


@pytest.mark.parametrize("verb", ["list", "check digits", "train --list"])
def test_a_result_that_cannot_be_written_is_an_error_of_one_line(verb: str, tmp_path: Path) -> None:
    done = shell(f"SEISEI {verb} >/dev/full", tmp_path)
    wanted = "error: standard output: cannot be written (No space left on device); free some space\n"
    assert done.returncode == 3 and done.stderr.endswith(wanted) and done.stderr.count("\n") == 1, done


@pytest.mark.parametrize("verb", ["list", "check digits", "train --list", "--help"])
def test_a_reader_that_leaves_ends_a_verb_quietly(verb: str, tmp_path: Path) -> None:
    done = shell(f"(sleep 1; SEISEI {verb}; echo $? >code) | true", tmp_path)
    assert done.stderr == "" and (tmp_path / "code").read_text() == "141\n"


def test_e_gen_19_has_a_code(tmp_path: Path) -> None:
    done = shell("SEISEI check digits --json >/dev/full", tmp_path)
    assert json.loads(done.stderr)["error"]["code"] == "E-GEN-19"


# ---- a hang-up


def test_a_hang_up_saves_and_stops(tmp_path: Path) -> None:
    def work() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        train(tmp_path / "run", listeners=[stop_at(23, signal.SIGHUP)])

    assert ended(forked(work, tmp_path / "output.txt")) == 143
    assert "stopped at step 23" in (tmp_path / "output.txt").read_text()
    assert RunFolder.open(tmp_path / "run").checkpoints.newest()[0].step == 23


def test_under_nohup_it_goes_on(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.take() == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_of_several_processes_the_one_that_lost_another_can_still_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun terminates it at once, while it finds out who died."""
    before = signal.getsignal(signal.SIGTERM)
    for started, several, wanted in (("x", True, signal.SIG_IGN), ("x", False, before), ("", True, before)):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", started) if started else monkeypatch.delenv("TORCHELASTIC_RUN_ID")
        try:
            with pytest.raises(RuntimeError), Signals(several=several):
                raise RuntimeError("connection closed by peer")
            assert signal.getsignal(signal.SIGTERM) == wanted
        finally:
            signal.signal(signal.SIGTERM, before)


# ---- the folder


def gone(step: int, how: Any) -> Any:
    def listen(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event["step"] == step:
            how()

    return listen


@pytest.mark.parametrize("step", [20, STEPS])
@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
def test_a_folder_that_is_gone_ends_the_training(how: str, step: int, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"

    def work() -> None:
        shutil.rmtree(run) if how == "removed" else run.rename(other)
        if how == "replaced":
            run.mkdir()
            (run / ".lock").write_bytes(b"\nprocess 1 on another machine")

    with pytest.raises(ResourceError) as caught:
        train(run, listeners=[gone(step, work)])
    assert caught.value.exit_code == 3 and caught.value.code == "E-TRN-28"
    assert str(caught.value) == f"{run}: was moved, removed or replaced while it was in use; restore it, then resume"
    assert [p.name for p in run.iterdir()] == [".lock"] if how == "replaced" else not run.exists()
    if how == "moved":
        other.rename(run)
        assert workflow.resume(run).checkpoints.newest()[0].step == STEPS


def full(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(tmp_path / "run", dials={"steps": 10})
    before = sorted(p.name for p in run.path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(locks.os, "write", full)
        for work in (lambda: workflow.resume(run.path, steps=20), lambda: train(tmp_path / "new")):
            with pytest.raises(ResourceError, match="No space left on device.*free some space") as caught:
                work()
            assert caught.value.exit_code == 3 and caught.value.code == "E-TRN-22"
    assert sorted(p.name for p in run.path.rglob("*")) == before and not (tmp_path / "new").exists()
    assert workflow.resume(run.path, steps=20).checkpoints.newest()[0].step == 20


# ---- the lock


def test_a_lock_is_one_s_own_until_it_is_given_back(tmp_path: Path) -> None:
    first = Lock(tmp_path / ".lock")
    with pytest.raises(UserError, match=f"in use by process {os.getpid()} on ") as caught:
        Lock(tmp_path / ".lock")
    assert caught.value.code == "E-RES-24"
    first.release()
    Lock(tmp_path / ".lock").release()


@pytest.mark.parametrize("native", [True, False])
def test_the_lock_of_a_dead_process_needs_no_breaking(
    native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing but the file's own word says who has it, as on a network drive without locks."""

    def unsupported(*_: Any, **__: Any) -> bool:
        raise OSError(errno.ENOLCK, "no locks available")

    if not native:
        monkeypatch.setattr(locks, "lock_descriptor", unsupported)

    def work() -> None:
        Lock(tmp_path / ".lock")
        (tmp_path / "taken").touch()
        time.sleep(60)

    child = forked(work)
    while not (tmp_path / "taken").exists():
        time.sleep(0.01)
    with pytest.raises(UserError, match=f"in use by process {child} on "):
        Lock(tmp_path / ".lock")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    Lock(tmp_path / ".lock").release()


# ---- what Windows lacks

WITHOUT = """
import importlib.abc, os, signal, sys, warnings

warnings.simplefilter("ignore")  # filelock says that it has no locks here
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "termios", "resource", "pwd", "grp"):
            raise ModuleNotFoundError(name)

import torch, torch.distributed, sklearn.base, rich.console, PIL.Image, pyarrow.parquet  # these know their systems
for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules.pop(name, None)
for name in [name for name in sys.modules if name.startswith("filelock")]:
    del sys.modules[name]
sys.meta_path.insert(0, Hidden())
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP"):
    delattr(signal, name)
for name in ("sysconf", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "geteuid", "mkfifo"):
    delattr(os, name)

import pkgutil, seisei
for module in pkgutil.walk_packages(seisei.__path__, "seisei."):
    if module.name not in ("seisei.__main__", "seisei.nn.quantizers.triton_kernels"):
        __import__(module.name)
assert "fcntl" not in sys.modules
from seisei.cli.main import main
main(["train", "vae", "digits", "--latent", "2", "--network", "mlp", "--width", "8", "--steps", "2", "-o", sys.argv[1],
      "--no-report"])
main(["resume", sys.argv[1], "--steps", "3"])
"""


def test_it_runs_without_what_only_unix_has(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "run")],
        env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert RunFolder.open(tmp_path / "run").checkpoints.newest()[0].step == 3


# ---- the report


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
def test_what_is_stopped_at_its_scores_says_how_to_compute_them(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from seisei.cli.main import main
    from seisei.evaluation import evaluate

    figures = evaluate.figures

    def interrupted(*arguments: Any) -> None:
        os.kill(os.getpid(), number)
        figures(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "figures", interrupted)
        with pytest.raises(Stopped) as caught:
            workflow.start(workflow.replace(request(tmp_path / "run", dials={"steps": 10}), report=True))
    assert caught.value.exit_code == code
    command = f"seisei report {tmp_path / 'run'}"
    assert str(caught.value).endswith(f"the training is done: compute them with: {command}")
    assert (tmp_path / "run" / "scores.json").exists() and not (tmp_path / "run" / "figures" / "samples.png").exists()
    main(command.split()[1:])
    assert capsys.readouterr().out == f"{tmp_path / 'run' / 'report.html'}\n"
    for name in ("report.html", "scores.json", "figures/samples.png", "figures/latent.json"):
        assert (tmp_path / "run" / name).exists(), name


def test_a_report_of_older_weights_is_made_anew(tmp_path: Path) -> None:
    from seisei.cli.main import main

    workflow.start(workflow.replace(request(tmp_path / "run", dials={"steps": 10}), report=True))
    workflow.resume(tmp_path / "run", steps=20)
    scores = tmp_path / "run" / "scores.json"
    scores.write_text(json.dumps({**json.loads(scores.read_text()), "step": 10}))
    main(["report", str(tmp_path / "run")])
    assert json.loads(scores.read_text())["step"] == 20


# ---- time


def test_time_is_that_of_all_sittings(tmp_path: Path) -> None:
    def last(run: RunFolder) -> float:
        return float([e for e in run.events() if e["event"] == "end"][-1]["seconds"])

    with pytest.raises(Stopped):
        train(tmp_path / "run", listeners=[stop_at(10), gone(9, lambda: time.sleep(1))])
    run = RunFolder.open(tmp_path / "run")
    spent = run.checkpoints.newest()[0].state["seconds"]
    assert spent >= 1
    run = workflow.resume(run.path)
    assert last(run) >= spent
    whole = train(tmp_path / "whole")
    assert finished(run) == finished(whole) and told(run) == told(whole)
    # Resuming what lacks nothing but its report does not forget it either.
    run.write("recipe.json", {**run.read("recipe.json"), "report": True})
    assert last(workflow.resume(run.path)) >= spent
