"""Options that several commands share, beside those of data.

Written here once more, so that help needs no torch; a test keeps them in step. Each function is only a signature and
its help: the fields of `seisei.training.engine.Execution` and of `seisei.workflows.train.Request`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def execution_options(
    *,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    backend_tuning: bool = True,
    compile: bool = False,
    sharded: bool = False,
) -> None:
    """How training is executed.

    Arguments:
        device: Device; auto is a CUDA GPU, else Apple's (mps), else the CPU.
        precision: Numerical precision; auto is bf16 (mixed precision) on GPUs that support it, else fp32.
        backend_tuning: Use backend settings that were measured to be faster on this kind of machine.
        compile: Compile the loss with torch.compile; pays off on GPUs and in long runs.
        sharded: Under torchrun, shard the parameters over the processes (FSDP) instead of replicating them.
    """


def run_options(
    *,
    output: Path | None = None,
    seed: int = 0,
    set: list[str] | None = None,
    config: Path | None = None,
    keep: int = 2,
    overwrite: bool = False,
    on_disk_full: Literal["wait", "stop"] = "wait",
    auto_remedy: bool = False,
    report: bool = True,
    dry_run: bool = False,
) -> None:
    """The run and its folder.

    Arguments:
        output: Output folder of the run; by default a new one under runs/.
        seed: Random seed.
        set: Override a value of the plan, as in --set objective.beta=0.5; --dry-run prints all paths. Repeatable.
        config: Configuration file (.yaml, .toml or .json) with options by name; the command line takes precedence.
        keep: Number of checkpoints to keep, at least 2.
        overwrite: Overwrite an existing run.
        on_disk_full: When the disk is full: keep training and retry at the next checkpoint, or stop.
        auto_remedy: Let the run act on findings of the watch where that is safe, and log it; see docs/gan.md.
        report: Compute scores and write report.html at the end.
        dry_run: Print the complete plan as JSON without training; nothing is written.
    """


def everywhere(*, json: bool = False, debug: bool = False) -> None:
    """Options of every command.

    Arguments:
        json: Print the result, or the error, as JSON.
        debug: Show the traceback of an error.
    """
