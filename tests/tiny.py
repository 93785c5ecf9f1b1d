"""A training so small that it can be run a hundred times, and what is compared of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seisei.errors import SeiseiError
from seisei.training.run import RunFolder
from seisei.workflows import train as workflow
from seisei.workflows.train import Request

DIALS = {"network": "mlp", "width": 16, "latent": 4, "batch": 32}
# 1,437 training images in batches of 32: an epoch ends at step 44, so that no even fraction of 60 steps is an epoch's
# end.
STEPS = 60
TIMINGS = {"examples_per_second", "waiting", "seconds", "parts", "before"}


def request(output: Path, **changes: Any) -> Request:
    """The tiny training as a request; dials are given by name."""
    dials = {**DIALS, "steps": STEPS, **changes.pop("dials", {})}
    return Request("vae", "digits", dials=dials, output=output, report=False, **changes)


def train(output: Path, **changes: Any) -> RunFolder:
    listeners = changes.pop("listeners", ())
    return workflow.start(request(output, **changes), listeners)


def finished(run: RunFolder) -> str:
    """The SHA-256 of the newest checkpoint: weights, average, moments, and all of the state but how it was made."""
    checkpoint, notes = run.checkpoints.newest()
    assert not notes
    digest = hashlib.sha256()
    for path in sorted(checkpoint.path.glob("*.safetensors")):
        digest.update(path.name.encode() + path.read_bytes())
    state = {k: v for k, v in checkpoint.state.items() if k not in ("log_bytes", "threads", "seconds")}
    digest.update(json.dumps(state, sort_keys=True).encode())
    return digest.hexdigest()


def told(run: RunFolder) -> list[dict[str, Any]]:
    """The log without what differs between any two runs: timings, and what the watch makes of timings."""
    events = [e for e in run.events() if e.get("rule") != "data-loading bottleneck"]
    return [{k: v for k, v in event.items() if k not in TIMINGS} for event in events]


def stop_at(step: int, number: int = signal.SIGTERM) -> Callable[[dict[str, Any]], None]:
    """A listener that sends this process a signal when a step is logged."""

    def listen(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event.get("step") == step:
            os.kill(os.getpid(), number)

    return listen


def forked(work: Callable[[], Any], output: Path | None = None) -> int:
    """Start `work` in a child process that ends with its exit code; torch is not imported again. Returns its pid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: the child uses none
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        torch.set_num_threads(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if output is not None:
            handle = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout = sys.stderr = os.fdopen(handle, "w", buffering=1)
        work()
        code = 0
    except SeiseiError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code of a child; minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
