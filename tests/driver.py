"""What a process of test_distributed.py does: the runs it is given, as an ordinary training script would."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from toy import plan_for_two

from seisei import session
from seisei.errors import SeiseiError, Stopped, UserError
from seisei.session import Execution, Request

DIALS = {"network": "mlp", "width": 16, "latent": 4, "batch": 32}


def make(job: dict[str, Any]) -> None:
    execution = Execution(sharded=job.get("sharded", False))

    def stop(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event["step"] == job.get("stop"):
            os.kill(os.getpid(), signal.SIGTERM)

    if "resume" in job:
        session.resume(job["resume"], execution=execution)
        return
    dials = {**DIALS, "steps": job["steps"], **job.get("dials", {})}
    recipe = job["recipe"]
    if recipe == "toy":
        recipe, session.plan_for = "vae", plan_for_two
    overrides = {"micro": job["micro"]} if "micro" in job else {}
    request = Request(
        recipe,
        "digits",
        dials=dials,
        overrides=overrides,
        output=Path(job["output"]),
        execution=execution,
        report=False,
    )
    session.start(request, [stop])


def main() -> int:
    torch.set_num_threads(1)
    before = session.plan_for
    jobs = json.loads(sys.argv[1])
    for job in jobs:
        session.plan_for = before
        try:
            make(job)
        except UserError as error:
            print(error.code, error, file=sys.stderr)
            if len(jobs) == 1:
                return error.exit_code
        except Stopped as error:
            print(error, file=sys.stderr)
            if len(jobs) == 1:
                return error.exit_code
        except SeiseiError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
