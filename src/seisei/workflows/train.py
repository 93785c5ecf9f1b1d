"""A training from its request to its report: `start` and `resume`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

import seisei
from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.capabilities import ClassConditional, Classifies, Translates, offers
from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.data.options import DataOptions, data_path, kept
from seisei.data.pairs.open import layout_of
from seisei.data.store import memory
from seisei.data.types import read_for_training
from seisei.errors import Stopped, UserError
from seisei.evaluation.evaluate import Sheets, finish, listed, unlearned
from seisei.evaluation.translation import EXTRACTORS, Judge, answered
from seisei.objectives.base import Objective
from seisei.progress import listening, part
from seisei.recipes import CONDITIONAL, READS, RECIPES
from seisei.recipes import recipe as find_recipe
from seisei.recipes.advice import advice
from seisei.recipes.effect import has_effect, refuse_unread
from seisei.recipes.priors import codec_run
from seisei.recipes.unread import refuse_unread_data, refuse_unread_execution, refuse_unread_loop
from seisei.schema import Schema
from seisei.shell import joined, quoted
from seisei.spec import arguments_for, parameters
from seisei.training.checkpoint import Checkpoint, room_for
from seisei.training.engine import Device, Engine, Execution
from seisei.training.hooks import (
    Countering,
    Divergence,
    Every,
    Journal,
    Logging,
    Sampling,
    Saving,
    Telling,
    Validation,
    recover,
)
from seisei.training.loop import Hook, Training, fit
from seisei.training.memory import BYTES_A_PARAMETER, fits, outline, parameters_of
from seisei.training.optim import learning_rate, rate_of
from seisei.training.plan import Plan
from seisei.training.pretrained import weights_of
from seisei.training.run import FORMAT, Listener, RunFolder
from seisei.training.signals import Asked, Signals, Stopping
from seisei.training.watch.rules import RULES, Watch

# Of the report on the data, in a dry run.
DESCRIBED = ("root", "kind", "kept", "image", "given", "columns", "classes", "splits", "fingerprint")
# Held-out examples that a validation looks at, at most, and values of them at a time.
VALIDATED, SEEN = 2048, 1 << 23


@dataclass(frozen=True)
class Request:
    """Everything a person says when a training starts.

    Arguments:
        recipe: its name.
        data: a path, a name, or arrays.
        dials: of the recipe.
        overrides: of the plan, by dotted path.
        options: how data are read.
        execution: how the run is carried out.
        seed: of everything random.
        output: the run's folder; one under ``runs/`` by default.
        overwrite: replace a run that is there.
        keep: checkpoints kept.
        on_disk_full: wait for room, or stop.
        auto_remedy: let the run do something about what the watch finds, where that is safe.
        report: evaluate and write the report at the end.
        dry_run: stop before the first step.
    """

    recipe: str
    data: Any
    dials: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    options: DataOptions = DataOptions()
    execution: Execution = Execution()
    seed: int = 0
    output: Path | None = None
    overwrite: bool = False
    keep: int = 2
    on_disk_full: Literal["wait", "stop"] = "wait"
    auto_remedy: bool = False
    report: bool = True
    command: Sequence[str] | None = None


# Options by which data are no pairs, or are said to be such and how.
TOLD = (
    "pairs",
    "source",
    "style",
    "target",
    "ignore",
    "categorical",
    "missing",
    "unlabeled",
    "conditions",
    "block_size",
)


def look(data: Any, options: DataOptions, seed: int = 0, listeners: Sequence[Listener] = ()) -> dict[str, Any]:
    """The report on some data, with ``advice``: which recipes and options suit them. Nothing is written.

    Raises:
        UserError: more is broken than `skip_bad` allows.
    """
    layout = None if options.changed.keys() & set(TOLD) else layout_of(data)
    if layout in ("folders", "columns", "arrays"):
        options = replace(options, pairs="auto" if layout == "arrays" else layout)  # type: ignore[arg-type]
    found = read_for_training(data, options, seed=seed, progress=_scan_progress(listeners))
    advised = advice(found, options.changed, in_memory=data_path(data) is None)
    if error := single_class(found):
        # Suggestions that would be refused are none.
        found.report["notes"] = [*found.report.get("notes", []), f"{error.problem}; {error.remedy}"]
        classifiers = ("discriminant", "discriminative", "generative")
        advised = [entry for entry in advised if entry["command"].split()[2:3] not in [[name] for name in classifiers]]
    if layout == "side-by-side":
        why = "if each image is two of one size side by side, as their widths allow: seisei check --pairs side-by-side"
        advised.append({"command": joined(["seisei", "train", "pix2pix", found.report["root"]]), "why": why})
    return {**found.report, "advice": advised}


def plan_for(request: Request, schema: Schema) -> tuple[Plan, dict[str, Any]]:
    """The plan that a request comes to for data of this schema, and the dials with their defaults filled in.

    Raises:
        UserError: an unknown recipe, option or path, a value that does not fit, or one that changes nothing.
    """
    function = find_recipe(request.recipe)
    full = arguments_for(function, {**request.dials, "schema": schema}, "--")
    plan = first = function(**full)
    refuse_unread(function, schema, request.dials)
    for path, value in request.overrides.items():
        plan = plan.override(path, value)
    refuse_unread_loop(first, plan, request.overrides, schema)
    full.pop("schema")
    return plan, full


def conditioned(request: Request) -> Request:
    """The request with what `condition` names: `label` is a choice of the recipe, columns are read with the data.

    Raises:
        UserError: a recipe that has no condition.
    """
    names = request.dials.get("condition")
    if names is None:
        return request
    names = [names] if isinstance(names, str) else list(names)
    if names and request.recipe not in CONDITIONAL:
        problem = f"has no effect with {request.recipe}, which is unconditional"
        remedy = f"train {', '.join(CONDITIONAL[:-1])} or {CONDITIONAL[-1]}, or leave it out"
        raise UserError("E-TRN-08", "--condition", problem, remedy, found=names)
    dials = {name: value for name, value in request.dials.items() if name != "condition"}
    if names and "condition" in parameters(find_recipe(request.recipe)):
        dials["condition"] = "label"
    if names in ([], ["label"], ["none"]):
        # The class is read anyway, where there is one.
        return replace(request, dials=dials if names != ["none"] else {**dials, "condition": "none"})
    return replace(request, dials=dials, options=replace(request.options, conditions=names))


def start(request: Request, listeners: Sequence[Listener] = ()) -> RunFolder:
    """Train from the beginning.

    Raises:
        UserError: anything wrong with the request or the data, before anything is written.
        Stopped: a signal asked to stop; the checkpoint is good.
        DivergenceError: losses stayed non-finite.
    """
    request = check(request)
    with Engine(request.execution) as engine:
        told = listeners if engine.is_main else ()
        request, data, plan, dials, notes = prepare(request, engine, told)
        for note in engine.notes:
            _tell(told, {"event": "note", "what": note})
        name = f"{request.recipe}-{_data_name(request.data)}"
        made = engine.first(lambda: RunFolder.create(request.output, name, overwrite=request.overwrite))
        run = RunFolder(Path(engine.share(str(made.path.absolute()) if made else ""))) if engine.world > 1 else made
        assert run is not None
        described = {
            "format": FORMAT,
            "seisei": seisei.__version__,
            "recipe": request.recipe,
            "dials": dials,
            "overrides": dict(request.overrides),
            "plan": plan.to_json(),
            "data": {"path": data_path(request.data), "fingerprint": data.fingerprint, "report": data.report},
            "options": kept(request.options),
            "execution": asdict(request.execution),
            "levers": engine.levers,
            "seed": request.seed,
            "keep": request.keep,
            "report": request.report,
            "on_disk_full": request.on_disk_full,
            "auto_remedy": request.auto_remedy,
            "watch": list(RULES),
            "command": joined(request.command or _command(request)),
            "versions": versions(),
            "hardware": hardware(engine),
        }
        return _staged(run, described, plan, data, engine, told, None, notes)


def check(request: Request) -> Request:
    """Refuse what cannot be meant, before any data are read; what is left is the request as the recipe takes it.

    Raises:
        UserError: a seed that is none, an unknown recipe, too few checkpoints.
    """
    seeds.check(request.seed, "E-TRN-25")
    find_recipe(request.recipe)
    if request.keep < 2:
        raise UserError(
            "E-TRN-07", "--keep", f"{request.keep} is out of range, wanted >= 2", "keep at least 2 checkpoints"
        )
    return conditioned(request)


def prepare(
    request: Request, engine: Engine, listeners: Sequence[Listener] = ()
) -> tuple[Request, Dataset, Plan, dict[str, Any], dict[str, str]]:
    """All that comes before anything is written: the request as understood, the data, the plan, its options, notes.

    Raises:
        UserError: anything wrong with the request or the data.
    """
    catalog.fill()
    said = request.options.changed
    request = replace(request, options=_as_given(request))
    data = read_for_training(request.data, request.options, seed=request.seed, progress=_scan_progress(listeners))
    plan, dials = plan_for(request, data.schema)
    build, full = find_recipe(request.recipe), {**dials, "schema": data.schema}
    refuse_unread_data(request.recipe, build, full, plan, said)
    refuse_unread_execution(plan, request.execution, engine.world, request.auto_remedy)
    plan, notes = fitted(plan, data, engine.world)
    _fits(plan, data)
    return request, data, plan, dials, notes


def dry_run(request: Request, listeners: Sequence[Listener] = ()) -> dict[str, Any]:
    """What `start` would train, by the same way up to the first step; nothing is written.

    Raises:
        UserError: whatever `start` would refuse.
    """
    request = check(request)
    with Engine(request.execution) as engine:
        told = listeners if engine.is_main else ()
        request, data, plan, dials, notes = prepare(request, engine, told)
        for note in notes.values():
            _tell(told, {"event": "note", "what": note})
        RunFolder.replaces(request.output, overwrite=request.overwrite)
        _given(replace(plan, given={path: run for path, run in plan.given.items() if isinstance(run, str)}))
        count = parameters_of(plan.objective)
        return {
            "recipe": request.recipe,
            "dials": dials,
            "plan": plan.to_json(),
            "parameters": count,
            "training_bytes": BYTES_A_PARAMETER * count,
            "data": {name: data.report[name] for name in DESCRIBED if name in data.report},
            "seed": request.seed,
        }


# How images are made alike: what a person leaves open is as it was for the codec.
ALIKE = ("size", "channels", "fit", "column")


def _as_given(request: Request) -> DataOptions:
    """How data are read: what is left open as the recipe wants them, or as they were for the codec, if one is given."""
    wanted = {n: v for n, v in READS.get(request.recipe, {}).items() if getattr(request.options, n) is None}
    request = replace(request, options=replace(request.options, **wanted))
    codec = request.dials.get("codec")
    if not isinstance(codec, str):
        return request.options
    theirs = RunFolder.open(codec_run(codec)).read("recipe.json").get("options", {})
    left_open = [name for name in ALIKE if getattr(request.options, name) is None]
    return replace(request.options, **{name: theirs.get(name) for name in left_open})


def resume(
    path: str | Path,
    *,
    data: Any = None,
    steps: int | None = None,
    step: int | None = None,
    keep_schedule: bool = False,
    accept_new_data: bool = False,
    execution: Execution | None = None,
    listeners: Sequence[Listener] = (),
) -> RunFolder:
    """Go on with a run, to the same bits as if it had never stopped.

    Arguments:
        path: of the run.
        data: where the data are now, if they moved; needed for arrays.
        steps: a new last step; schedules, which are functions of the fraction of training done, are stretched to it.
        keep_schedule: leave the schedules as they were: the steps that are added are made as the last one before them.
        step: of the checkpoint to go on from; the newest whole one by default.
        accept_new_data: go on although the data changed.
        execution: run it otherwise than before.
        listeners: told of every event.

    Raises:
        UserError: nothing to resume from, or data that are gone or changed.
    """
    run = RunFolder.open(path)
    catalog.fill()
    recipe = run.recipe()
    try:
        options, kept = DataOptions(**recipe["options"]), Execution(**recipe["execution"])
        seed, before = int(recipe["seed"]), recipe["data"]
        plan = Plan.from_json(recipe["plan"], f"{path}/recipe.json")
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            "E-*-02", f"{path}/recipe.json", f"lacks {error}", "use a run folder that seisei wrote"
        ) from error
    first, plan = plan, _longer(plan, steps, keep_schedule)
    with Engine(execution or kept) as engine:
        told = listeners if engine.is_main else ()
        engine.resume_command = run.resume_command
        checkpoint, notes = None, list[str]()
        # A run that has stages may have been stopped in the first, before it had a checkpoint of its own.
        if not plan.stages or run.checkpoints.paths():
            checkpoint, notes = run.checkpoints.newest(exact=step)
        engine.same("E-DST-12", str(path), -1 if checkpoint is None else checkpoint.step)
        if checkpoint is not None and checkpoint.step >= plan.steps and _complete(run, recipe):
            raise UserError(
                "E-RES-23", path, f"finished at {checkpoint.step}", f"raise --steps above {checkpoint.step}"
            )
        if checkpoint is not None and _converged(checkpoint.state) and _complete(run, recipe):
            problem = f"converged at step {checkpoint.step}: another one changes nothing"
            raise UserError("E-RES-23", path, problem, "use it as it is, or train anew with other options")
        dataset = _data_again(path, data, options, seed, before, accept_new_data, _scan_progress(told))
        # As it was, unless the data are fewer now.
        plan, batches = fitted(plan, dataset, engine.world)
        if checkpoint is not None and (stretched := _stretched(first, plan, checkpoint.step)):
            batches[""] = "; ".join(filter(None, [batches.get(""), stretched]))
        _fits(plan, dataset)
        for note in engine.notes + notes + ([] if checkpoint is None else _changes(checkpoint.state, engine)):
            _tell(told, {"event": "note", "what": note})
        if steps is not None or accept_new_data or batches:
            recipe = {**recipe, "plan": plan.to_json()}
            recipe["data"] = {**before, "fingerprint": dataset.fingerprint, "report": dataset.report}
        return _staged(run, recipe, plan, dataset, engine, told, checkpoint, batches)


def _data_again(
    path: str | Path, moved: Any, options: DataOptions, seed: int, before: dict[str, Any], accept_new: bool,
    progress: Callable[[int, int], None] | None,
) -> Dataset:  # fmt: skip
    """The data of a run that is resumed."""
    given = moved if moved is not None else before["path"]
    if given is None:
        raise UserError(
            "E-RES-16", path, "was trained on arrays, which are not kept", "give them again: resume(run, data=…)"
        )
    try:
        dataset = read_for_training(given, options, seed=seed, progress=progress)
    except UserError as error:
        if error.code in ("E-CHK-01", "E-CHK-03"):
            raise UserError("E-RES-16", given, error.problem, "give its new place with --data") from error
        raise
    if dataset.fingerprint != before["fingerprint"] and not accept_new:
        then = before.get("report", {}).get("splits", {})
        problem = f"the data changed: {dataset.report['splits']} now, {then} when the run began"
        raise UserError("E-RES-15", given, problem, "restore them, or pass --accept-new-data")
    return dataset


def _longer(plan: Plan, steps: int | None, keep_schedule: bool) -> Plan:
    """The plan with a new last step, and schedules that are stretched to it or end where they did.

    Raises:
        UserError: schedules are to be kept that would not change.
    """
    longer = plan if steps is None else plan.override("steps", steps)
    if keep_schedule and longer.steps <= plan.steps:
        given = "is given without --steps" if steps is None else f"has no effect with --steps {longer.steps}"
        problem, remedy = f"{given}: no steps are added", f"pass --steps above {plan.steps}, or leave it out"
        raise UserError("E-RES-26", "--keep-schedule", problem, remedy, found=steps, wanted=f"> {plan.steps}")
    if keep_schedule and _by_sweeps(plan):
        problem = "has no effect: this model is fitted to all examples at once, without schedules"
        raise UserError("E-RES-26", "--keep-schedule", problem, "leave it out")
    return (
        longer if longer.steps == plan.steps else replace(longer, schedule_steps=plan.span if keep_schedule else None)
    )


def _stretched(before: Plan, now: Plan, step: int) -> str:
    """A sentence where more steps change the learning rate of the next one; empty where they do not.

    Every schedule is a function of the fraction of training done, so that more steps stretch it.
    """
    if now.steps != before.steps and now.schedule_steps is not None:
        return _kept(now, step)
    kept = before.schedule_steps is not None
    then = rate_of(before, step) if kept else learning_rate(before.optim, min(1.0, (step + 0.5) / before.steps))
    rate = rate_of(now, step)
    if now.steps == before.steps or abs(rate - then) <= 0.01 * max(rate, then) or _by_sweeps(now):
        return ""
    return (
        f"the schedule now spans {now.span:,} steps, not {before.span:,}: the learning rate at step {step:,} is "
        f"{rate:.3g} instead of {then:.3g}"
    )


def _kept(plan: Plan, step: int) -> str:
    """A sentence on a schedule that ends before the training does."""
    rate = rate_of(plan, plan.span)
    ends = f"ends at step {plan.span:,}" if step < plan.span else f"ended at step {plan.span:,}"
    little = rate < 0.01 * plan.optim.learning_rate
    hint = f", {rate / plan.optim.learning_rate:.2g} of its highest: further steps change little" if little else ""
    return f"the schedule {ends}, as it did before: the learning rate of further steps is {rate:.3g}{hint}"


def _by_sweeps(plan: Plan) -> bool:
    """Whether all that is learned is learned by sweeps, which have neither batches nor a learning rate."""
    objective = cast(Objective, outline(plan.objective))
    return all(turn.sweep is not None for turn in objective.turns())


def _converged(state: dict[str, Any]) -> bool:
    """Whether a checkpoint is of a run that learned by sweeps alone and has converged."""
    swept = state.get("swept")
    return bool(swept) and state.get("converged") is True


def _complete(run: RunFolder, recipe: dict[str, Any]) -> bool:
    """Whether a run that made its last step also left what it should: it may have been killed at its report."""
    ended = any(event.get("event") == "end" for event in run.events())
    return ended and (not recipe.get("report", True) or (run.path / "report.html").exists())


def _changes(state: dict[str, Any], engine: Engine) -> list[str]:
    """What may change the last bits of a resumed run."""
    now = {"torch": torch.__version__, "threads": torch.get_num_threads(), "levers": engine.levers}
    changed = [
        f"{name} {state[name]} then, {value} now" for name, value in now.items() if state.get(name, value) != value
    ]
    return [f"the last bits may differ from an uninterrupted run: {'; '.join(changed)}"] if changed else []


def _tell(listeners: Sequence[Listener], event: dict[str, Any]) -> None:
    for listener in listeners:
        listener(event)


def _staged(
    run: RunFolder, recipe: dict[str, Any], plan: Plan, data: Dataset, engine: Engine, listeners: Sequence[Listener],
    checkpoint: Checkpoint | None, notes: Mapping[str, str],
) -> RunFolder:  # fmt: skip
    """Train what a plan needs first, each in a folder of the run, and then the plan itself; `notes` see `fitted`."""
    given = dict(plan.given)
    for path, first in plan.stages.items():
        name = path.rpartition(".")[2]
        stage, given[path] = RunFolder(run.path / name, part_of=run.path), str(run.path / name)
        if checkpoint is not None:
            continue
        engine.first(lambda: _announce(run, recipe, plan, data))
        began = stage.checkpoints.newest()[0] if stage.checkpoints.paths() else None
        engine.same("E-DST-12", str(stage.path), -1 if began is None else began.step)
        told = {**recipe, "recipe": name, "dials": {}, "overrides": {}, "plan": first.to_json()}
        if began is None or began.step < first.steps or not _complete(stage, told):
            _train(stage, told, first, data, engine, listeners, began, notes.get(path), recipe)
    return _train(run, recipe, replace(plan, given=given), data, engine, listeners, checkpoint, notes.get(""))


def _announce(run: RunFolder, recipe: dict[str, Any], plan: Plan, data: Dataset) -> None:
    """What is there when the first stage is stopped: it tells how to go on with all of it."""
    run.write("recipe.json", recipe)
    run.write("schema.json", data.schema.to_json())
    for path in plan.stages:
        (run.path / path.rpartition(".")[2]).mkdir(exist_ok=True)


def _train(
    run: RunFolder, recipe: dict[str, Any], plan: Plan, data: Dataset, engine: Engine, listeners: Sequence[Listener],
    checkpoint: Checkpoint | None, note: str | None = None, whole: dict[str, Any] | None = None,
) -> RunFolder:  # fmt: skip
    """Train from the beginning, or from a checkpoint, to the end.

    Arguments:
        run: where it is written.
        recipe: what is written of it.
        plan: what is done.
        data: on what.
        engine: where it runs.
        listeners: told of every event.
        checkpoint: what to go on from.
        note: what to say before the first step.
        whole: the recipe of the run whose first stage this is, with the options that a person has.
    """
    run.checkpoints.keep, seed = int(recipe["keep"]), int(recipe["seed"])
    engine.resume_command = run.resume_command
    engine.same("E-DST-10", "the data", int(data.fingerprint[:12], 16))
    engine.first(run.lock)
    train = data.splits["train"]
    kinds = _kinds(data)
    labeled = None if kinds is None or bool((kinds >= 0).all()) else train[kinds[train] >= 0]
    order = Order(train, batch=plan.batch, seed=seed, rare=labeled, weights=_weights(data, plan.class_balance))
    every = Every.of(plan.steps)
    names = data.schema.classes
    several = engine.world > 1
    try:
        with Loader(data, order, rank=engine.rank, world=engine.world) as loader, Signals(several=several) as signals:
            given = _given(plan) if checkpoint is None else None
            training = Training(plan, loader, engine, seed, given)
            if checkpoint is not None:
                training.restore(checkpoint)
            engine.first(lambda: _write_head(run, recipe, data, training, checkpoint))
            run.listeners = list(listeners)
            judge = _judge(run, data, seed, plan, engine) if _judged(training.objective) else None
            options = options_in_force(whole or recipe, plan, data.schema, whole is not None)
            watch = Watch(run.events() if engine.is_main else (), options)
            journal = Journal(run, watch, quiet=not engine.is_main)
            saving = Saving(journal, run, every.save, signals, recipe["on_disk_full"])
            begin = {
                "event": "begin",
                "step": training.step,
                "steps": plan.steps,
                "run": str(run.path),
                "world": engine.world,
            }
            _tell(listeners, begin)
            for what in [note] + ([_without_training(data)] if checkpoint is None else []):
                if what is not None:
                    journal.write({"event": "note", "step": training.step, "what": what})
            if checkpoint is None:
                saving.save(training, must=True)
            sheets = Sheets(data)
            hooks: list[Hook] = [
                Divergence(journal),
                Logging(journal, every.log),
                Validation(
                    journal,
                    every.check,
                    lambda: _some(data, "validation"),
                    lambda: _some(data, "train"),
                    names,
                    None if judge is None else _said_by(judge, journal, lambda: training.step),
                ),
                *([Countering(journal, 3 * every.check)] if recipe.get("auto_remedy") else []),
                Sampling(journal, run, every.check, lambda objective: sheets(objective.model)),
                saving,
                Telling(lambda event: _tell(listeners, event)),
            ]
            with listening(lambda *work: _tell(listeners, _work(*work))):
                fit(training, hooks, recover(run, journal))
            if training.converged:
                journal.write({"event": "converged", "step": training.step})
            for what in training.unfinished:
                more = joined(["seisei", "resume", str(run.path), "--steps", str(4 * plan.steps)])
                longer = f"; go on with: {more}" if plan.steps == training.step else ""
                journal.write({"event": "note", "step": training.step, "what": what + longer})
            best = {"best": training.best[1]} if training.best is not None else {}
            journal.write(
                {"event": "end", "step": training.step, **_times(run, recipe, plan, training.seconds), **best}
            )
        # The other processes are not needed for the report, and leave.
        if engine.is_main and recipe["report"]:
            _finish(run, data, judge, listeners)
    except (OSError, UserError):
        run.check()  # Why it failed, where the folder is gone.
        raise
    finally:
        run.release()
    return run


def _work(what: str, done: int, total: int) -> dict[str, Any]:
    return {"event": "work", "what": what, "done": done, "total": total}


def _times(run: RunFolder, recipe: dict[str, Any], plan: Plan, own: float) -> dict[str, Any]:
    """How long the training took: all of it, its stages, and what was trained for it before, in other runs."""
    stages, before = dict[str, float](), dict[str, float]()
    for path, where in plan.given.items():
        folder = Path(str(where))
        ends = [e for e in RunFolder(folder).events() if e.get("event") == "end"] if folder.is_dir() else []
        if ends and isinstance(seconds := ends[-1].get("seconds"), (int, float)):
            (stages if folder.parent == run.path else before)[path.rpartition(".")[2]] = float(seconds)
    found: dict[str, Any] = {"seconds": round(sum(stages.values()) + own, 1)}
    if stages:
        found["parts"] = {**stages, str(recipe["recipe"]).rpartition("+")[2]: round(own, 1)}
    return {**found, "before": before} if before else found


def _finish(run: RunFolder, data: Dataset, judge: Judge | None, listeners: Sequence[Listener]) -> None:
    """What a run leaves; a signal ends it at once, since it can be made again from what is there.

    Raises:
        Stopped: a signal came.
    """
    try:
        with Stopping(), listening(lambda *work: _tell(listeners, _work(*work))), part("computing scores"):
            finish(run, data, judge)
    except Asked as error:
        name = quoted(run.path)
        message = f"stopped while scores were computed; the training is done: compute them with: seisei report {name}"
        raise Stopped(message, error.exit_code) from None


def _judge(run: RunFolder, data: Dataset, seed: int, plan: Plan, engine: Engine) -> Judge:
    return Judge(data, seed, plan.steps, device=cast(Device, engine.device.type), run=run)


# Options of a recipe in two stages that are of its second stage alone.
SECOND_STAGE = {"steps", "width", "layers", "heads", "dropout", "cond_dropout"}


def options_in_force(
    recipe: Mapping[str, Any], plan: Plan, schema: Schema | None = None, first: bool = False
) -> dict[str, Any]:
    """A recipe's options with what was set in the plan by path, and with what the recipe chose by itself.

    Options that change nothing with these data and options are left out: nobody is to be told to change them.

    Arguments:
        recipe: as it is written in the run's folder.
        plan: what is done.
        schema: of the data; None keeps all options.
        first: whether that is the first of two stages.
    """
    found = dict(recipe.get("dials", {}))
    if schema is not None and recipe.get("recipe") in RECIPES:
        build = find_recipe(recipe["recipe"])
        # A recipe that cannot be built again, as its codec was moved, keeps all.
        with suppress(UserError):
            full = {**found, "schema": schema}
            found = {name: value for name, value in found.items() if has_effect(build, full, name)}
    overrides = dict(recipe.get("overrides", {}))
    found |= {name: value for path, value in overrides.items() if (name := path.rpartition(".")[2]) in found}
    chosen: dict[str, Any] = {"learning_rate": plan.optim.learning_rate, "batch": plan.batch, "steps": plan.steps}
    chosen |= {"ema_decay": plan.ema_decay, "r1_gamma": plan.objective.arguments.get("on_real")}
    found |= {name: value for name, value in chosen.items() if name in found and value is not None}
    if first:
        found = {name: value for name, value in found.items() if name not in SECOND_STAGE}
    return {**overrides, **found}


def _judged(objective: Objective) -> bool:
    """Whether a judge says more of held-out examples than the objective knows."""
    return isinstance(objective.model, Translates) and bool(objective.decides)


def _said_by(
    judge: Judge, journal: Journal, step: Callable[[], int]
) -> Callable[[Objective, list[Batch]], dict[str, float]]:
    """What a judge says; where it is asked for the first time, the log says so: training it takes a while."""

    def said(objective: Objective, batches: list[Batch]) -> dict[str, float]:
        answers, truths = answered(objective.model, batches)
        if judge.reads(truths) and not any(event.get("event") == "judge" for event in journal.run.events()):
            journal.write({"event": "judge", "step": step(), "networks": EXTRACTORS, "steps": judge.steps})
        return judge.brief(answers, truths)

    return said


def _given(plan: Plan) -> dict[str, Mapping[str, Tensor]]:
    """The weights of the parts of a plan that come from other runs, by their path in the objective."""
    found: dict[str, Mapping[str, Tensor]] = {}
    for path, run in plan.given.items():
        assert isinstance(run, str), "a stage that was not trained"
        if Path(run).is_file():
            part = outline(plan.objective).get_submodule(path)
            found[path] = weights_of(run, part.state_dict(), type(part).__name__)
            continue
        tensors = RunFolder.open(run).checkpoints.newest()[0].tensors
        found[path] = tensors.get("average", tensors["model"])
    return found


def _write_head(
    run: RunFolder, recipe: dict[str, Any], data: Dataset, training: Training, checkpoint: Checkpoint | None
) -> None:
    """What is written before the first step."""
    if checkpoint is None:
        parameters = list(training.objective.parameters())
        # Weights, their average and Adam's two averages, which do not exist yet at step 0.
        room_for(run.path, 4 * sum(p.numel() * p.element_size() for p in parameters), run.checkpoints.keep + 1)
        # What a model that is fitted by sweeps learns is no parameter of a gradient, but is learned all the same.
        learned = training.objective.model.state_dict().values()
        recipe = {**recipe, "parameters": sum(v.numel() for v in learned if v.is_floating_point())}
        recipe["verbs"] = offers(training.objective.model, images=data.schema.x.noun == "image")
        recipe["swept"] = all(move.turn.sweep is not None for move in training.moves)
    else:
        run.checkpoints.tidy()
        run.checkpoints.forget_after(checkpoint.step)
        run.cut_log(int(checkpoint.state.get("log_bytes", 0)))
    run.write("schema.json", data.schema.to_json())
    run.write("recipe.json", recipe)


def _some(data: Dataset, split: str) -> list[Batch]:
    """Examples of a part, from all over it: their order may be that of the classes."""
    indices = data.splits[split]
    count = min(len(indices), len(data.splits["validation"]), VALIDATED)
    chosen = indices[torch.arange(count) * len(indices) // max(1, count)]
    values = data.x[0].numel() + (0 if data.y is None else data.y[0].numel())
    size = max(8, min(256, SEEN // values))
    return [data.batch(chosen[at : at + size]) for at in range(0, count, size)]


def _kinds(data: Dataset) -> Tensor | None:
    """Class numbers, -1 where there is none; None of data that have no classes, whatever else is given of them."""
    return data.y if data.schema.classes else None


def _weights(data: Dataset, balance: float) -> Tensor | None:
    """How often each training example comes, None for all alike: the rarer its kind, the more often."""
    kinds = _kinds(data)
    if not balance or kinds is None:
        return None
    y = kinds[data.splits["train"]]
    return torch.bincount(y).double()[y] ** -balance


def fitted(plan: Plan, data: Dataset, world: int = 1) -> tuple[Plan, dict[str, str]]:
    """The plan with batches that the data fill, those of its stages too.

    Arguments:
        plan: as it was asked for.
        data: with the examples to train on.
        world: how many processes share a batch.

    Returns:
        The plan, and a sentence for each batch that was made smaller, by the path of its stage, "" for the plan itself.

    Raises:
        UserError: a batch that does not divide into equal parts, or fewer examples than parts.
    """
    parts, count, noun = world * plan.micro, len(data.splits["train"]), data.schema.x.noun
    notes, given = dict[str, str](), dict(plan.given)
    for path, first in plan.stages.items():
        given[path], inner = fitted(first, data, world)
        notes |= {path: inner[""]} if inner else {}
    plan = replace(plan, given=given)
    if count < parts:
        problem = f"{count} training {noun}s are fewer than {world} processes of {plan.micro} parts"
        remedy = "use fewer processes" if world > 1 else "pass --set micro=1"
        raise UserError("E-TRN-10", "--batch", problem, remedy, found=count, wanted=parts)
    if plan.batch > count:
        fit = count - count % parts
        notes[""] = f"batches of {fit:,}, not {plan.batch:,}: there are {count:,} training {noun}s"
        return plan.override("batch", fit), notes
    if plan.batch % parts and _by_sweeps(plan):
        # Sweeps are given all examples, whatever a batch is.
        return plan.override("batch", parts), notes
    if plan.batch % parts:
        counts = [n for n in range(1, plan.batch + 1) if plan.batch % (n * plan.micro) == 0][:8]
        problem = f"{plan.batch} does not divide by {world} processes of {plan.micro} parts"
        raise UserError(
            "E-DST-02", "--batch", problem, f"use a number of processes among: {', '.join(map(str, counts))}"
        )
    return plan, notes


def _fits(plan: Plan, data: Dataset) -> None:
    """Refuse what cannot work, with numbers."""
    fits(plan.objective, memory())
    model, kinds = outline(plan.objective).model, _kinds(data)
    without = 0 if kinds is None else int((kinds < 0).sum())
    _classes_to_learn(data, model)
    told = isinstance(model, ClassConditional) and bool(model.classes) and not isinstance(model, Classifies)
    if without and (told or plan.class_balance):
        problem = f"{without:,} {data.schema.x.noun}s have no label, and this model must be told that of each"
        remedy = "label them, leave out --unlabeled, or train generative, which learns from them too"
        raise UserError("E-TRN-12", "data", problem, remedy, found=without, wanted=0)


def _classes_to_learn(data: Dataset, model: Any) -> None:
    """Refuse to learn classes where all training examples are of one."""
    if isinstance(model, Classifies) and (error := single_class(data)):
        raise error


def single_class(data: Dataset) -> UserError | None:
    """What is wrong with labeled data whose training examples are all of one class; None where nothing is."""
    kinds = _kinds(data)
    train = data.splits["train"]
    if kinds is None or len(set(kinds[train][kinds[train] >= 0].tolist())) > 1:
        return None
    problem = f"all training {data.schema.x.noun}s are of one class, wanted at least 2"
    parts = " ".join(f"--{name} 0" for name in ("validation", "test") if len(data.splits[name]))
    given = data.report.get("splits_given", False)
    remedy = "put some of another class into train"
    if parts and not given:
        remedy = f"add {data.schema.x.noun}s or pass {parts}"
    return UserError("E-TRN-12", "data", problem, remedy, found=1, wanted=2)


def _without_training(data: Dataset) -> str | None:
    """A sentence where there are classes of which none is for training."""
    found = unlearned(data)
    return f"{listed(found)} in held-out {data.schema.x.noun}s only: the model cannot know it" if found else None


def _scan_progress(listeners: Sequence[Listener]) -> Callable[[int, int], None] | None:
    if not listeners:
        return None
    return lambda done, total: _tell(listeners, {"event": "reading", "done": done, "total": total})


def _data_name(data: Any) -> str:
    return Path(os.fspath(data)).stem.replace("hub:", "") if isinstance(data, (str, os.PathLike)) else "arrays"


def _command(request: Request) -> list[str]:
    dials = [part for k, v in request.dials.items() for part in (f"--{k.replace('_', '-')}", str(v))]
    sets = [part for k, v in request.overrides.items() for part in ("--set", f"{k}={v}")]
    seed = ["--seed", str(request.seed)] if request.seed else []
    return ["seisei", "train", request.recipe, str(data_path(request.data) or "<arrays>"), *dials, *sets, *seed]


def versions() -> dict[str, str]:
    """What ran."""
    return {"python": platform.python_version(), "torch": torch.__version__, "seisei": seisei.__version__}


def hardware(engine: Engine | None = None) -> dict[str, Any]:
    """What it ran on."""
    device = str(engine.device) if engine else "cpu"
    name = torch.cuda.get_device_name() if device.startswith("cuda") else _processor()
    found = {
        "device": device,
        "name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": sys.platform,
    }
    return {**found, "processes": engine.world if engine else 1}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
