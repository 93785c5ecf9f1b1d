"""`train` and `resume`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

from seisei.cli.options import execution_options, run_options
from seisei.cli.progress import Display
from seisei.cli.terminal import echo, echo_json
from seisei.data.options import DataOptions, data_options
from seisei.errors import UserError
from seisei.shell import quoted
from seisei.spec import parameters
from seisei.verbs.evaluate import score_lines
from seisei.verbs.run import find_run, newest_run

if TYPE_CHECKING:
    from seisei.api import Run
    from seisei.workflows.train import Request

# Options of a run that the command line sees to itself.
_OWN = ("set", "config", "dry_run")


def data_argument(data: str) -> None:
    """Where the data are.

    Arguments:
        data: A folder of images, a table (.csv, .tsv, .parquet), a .txt file, a .npz, .npy or idx file, digits, or
            hub:owner/name.
    """


def train(recipe: str, values: dict[str, Any], overrides: dict[str, Any], typed: Sequence[str]) -> None:
    """Train a model.

    Arguments:
        recipe: its name.
        values: the options that were given, by name.
        overrides: of the plan, from a configuration file; those of ``--set`` win.
        typed: the command line, kept with the run.
    """
    from seisei.api import Run
    from seisei.training.engine import Execution
    from seisei.workflows import train as workflow

    rest = dict(values)
    asked = [name for name in parameters(run_options) if name not in _OWN]
    as_json, dry_run, written = rest.pop("json", False), rest.pop("dry_run", False), rest.pop("set", None) or []
    for name in ("debug", "config"):
        rest.pop(name, None)
    request = workflow.Request(
        recipe=recipe,
        data=rest.pop("data"),
        options=DataOptions(**_take(rest, [n for n in parameters(data_options) if n != "condition"])),
        execution=Execution(**_take(rest, parameters(execution_options))),
        overrides={**overrides, **dict(map(_assignment, written))},
        command=["seisei", *typed],
        **_take(rest, asked),
        dials=rest,
    )
    if dry_run:
        _dry_run(request)
        return
    _carry_out(lambda listeners: Run(workflow.start(request, listeners).path), as_json)


def resume(
    run: str | None = None,
    *,
    data: str | None = None,
    steps: int | None = None,
    step: int | None = None,
    keep_schedule: bool = False,
    accept_new_data: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    json: bool = False,
) -> None:
    """Resume training.

    A resumed run gives the same bits as one that was never stopped.

    Arguments:
        run: Run folder, or a prefix of its name under runs/; by default the newest run.
        data: New location of the data, if they were moved.
        steps: New total number of training steps, to train longer; stretches the learning-rate schedule.
        step: Checkpoint to resume from; by default the newest whole one.
        keep_schedule: With --steps: keep the learning-rate schedule as it was, and train on at its final rate.
        accept_new_data: Resume although the data have changed.
        device: Device to resume on.
        precision: Precision to resume in.
        json: Print the result as JSON.
    """
    from seisei.api import Run
    from seisei.training.engine import Execution
    from seisei.training.run import RunFolder
    from seisei.workflows import train as workflow

    path = newest_run() if run is None else find_run(run)
    execution = None
    if device is not None or precision is not None:
        kept = RunFolder.open(path).read("recipe.json").get("execution", {})
        changes = {"device": device, "precision": precision}
        execution = Execution(**{**kept, **{k: v for k, v in changes.items() if v is not None}})
    options: dict[str, Any] = {
        "data": data,
        "steps": steps,
        "step": step,
        "keep_schedule": keep_schedule,
        "accept_new_data": accept_new_data,
        "execution": execution,
    }
    _carry_out(lambda listeners: Run(workflow.resume(path, **options, listeners=listeners).path), json)


def _carry_out(work: Callable[[Sequence[Any]], Run], as_json: bool) -> None:
    """Train with the progress shown, then say what came out: in the main process only."""
    main = os.environ.get("RANK", "0") == "0"
    display = Display() if main else None
    with display or nullcontext():
        run = work([display] if display else [])
    if main:
        echo_json({"run": str(run.path), "scores": run.scores}) if as_json else echo(*summary(run))


def summary(run: Run) -> list[str]:
    """Lines: the run's folder, its scores, and what to type next."""
    lines = [str(run.path)]
    if (run.path / "scores.json").is_file():
        found = run.folder.read("scores.json")
        lines += ["", *score_lines(found)]
    here, given = quoted(run.path), quoted(run.recipe["data"]["path"] or "INPUT")
    # Held-out rows may have categories that training had none of, and these verbs refuse them where nobody says more.
    notes = run.recipe["data"].get("report", {}).get("notes", [])
    more = " --unseen missing" if any("in no training row" in note for note in notes) else ""
    commands = {
        "sample": f"seisei sample {here} -n 64 --seed 1",
        "interpolate": f"seisei interpolate {here} --from 3 --to 7",
        "score": f"seisei score {here} {given}{more}",
        "translate": f"seisei translate {here} IMAGES",
        "stylize": f"seisei stylize CONTENT STYLE --run {here}",
    }
    if "predict" in run.verbs:
        commands = {"predict": f"seisei predict {here} {given}{more}", "sample": commands["sample"]}
    elif "translate" in run.verbs or "stylize" in run.verbs:
        commands = {verb: commands[verb] for verb in ("translate", "stylize")}
    elif "sample" not in run.verbs:
        commands = {"reconstruct": f"seisei reconstruct {here} {given}", "encode": f"seisei encode {here} {given}"}
    lines += ["", "next:", *(f"  {commands[verb]}" for verb in commands if verb in run.verbs)]
    if run.report.is_file():
        lines.append(f"  open {quoted(run.report)}")
    return lines


def _dry_run(request: Request) -> None:
    from seisei.workflows import train as workflow

    with Display() as display:
        found = workflow.dry_run(request, [display])
    echo_json(found, indent=2)


def _take(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values.pop(name) for name in names if name in values}


def _assignment(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise UserError("E-TRN-06", f"--set {text}", "is no path with a value", "write --set objective.beta=0.5")
    return path.strip(), value.strip()
