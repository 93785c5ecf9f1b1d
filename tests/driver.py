"""What a process of test_distributed.py does: the runs it is given, as an ordinary training script would."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


@atexit.register  # before the library is imported: what is registered first runs last
def refuse_threads_that_outlive_the_interpreter() -> None:
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    left = [name for name in threads if "gloo" in name]
    if left and "sharded" not in sys.argv[1]:  # torch's meshes, which sharding needs, keep their groups
        print("threads left at the end:", left, file=sys.stderr, flush=True)
        os._exit(99)


import torch  # noqa: E402
from toy import plan_for_two  # noqa: E402

from seisei import recipes  # noqa: E402
from seisei.data.options import DataOptions  # noqa: E402
from seisei.errors import SeiseiError, Stopped, UserError  # noqa: E402
from seisei.spec import parameters  # noqa: E402
from seisei.training.engine import Engine  # noqa: E402
from seisei.workflows import train as workflow  # noqa: E402
from seisei.workflows.train import Execution, Request  # noqa: E402

DIALS = {"network": "mlp", "width": 16, "latent": 4, "batch": 32}


def make(job: dict[str, Any]) -> None:
    execution = Execution(sharded=job.get("sharded", False))

    def stop(event: dict[str, Any]) -> None:
        if event.get("event") == "train" and event["step"] == job.get("stop"):
            os.kill(os.getpid(), signal.SIGTERM)

    if "patience" in job:  # as where it takes a while until a process that died is seen to be dead
        lost = Engine._lost
        Engine._lost = lambda engine: time.sleep(job["patience"]) or lost(engine)
    if "resume" in job:
        workflow.resume(job["resume"], execution=execution)
        return
    recipe = job["recipe"]
    fits = parameters(recipes.recipe("vae" if recipe == "toy" else recipe))
    shared = {name: value for name, value in DIALS.items() if name in fits}
    steps = {"steps": job["steps"]} if "steps" in fits else {}
    dials = {**shared, **steps, **job.get("dials", {})}
    if recipe == "toy":
        recipe, workflow.plan_for = "vae", plan_for_two
    overrides = {"micro": job["micro"]} if "micro" in job else {}
    request = Request(
        recipe,
        job.get("data", "digits"),
        options=DataOptions(**job.get("options", {})),
        dials=dials,
        overrides=overrides,
        output=Path(job["output"]),
        execution=execution,
        report=False,
    )
    workflow.start(request, [stop])


def main() -> int:
    torch.set_num_threads(1)
    before = workflow.plan_for
    jobs = json.loads(sys.argv[1])
    for job in jobs:
        workflow.plan_for = before
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
