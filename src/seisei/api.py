"""The same verbs in Python.

import seisei
run = seisei.train("vae", "photos/", latent=64)
run.sample(64, seed=1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any

from seisei.data.options import DataOptions
from seisei.errors import UserError
from seisei.training.engine import Execution
from seisei.training.run import Listener, RunFolder
from seisei.verbs.decode import decode
from seisei.verbs.encode import encode
from seisei.verbs.evaluate import evaluate
from seisei.verbs.impute import impute
from seisei.verbs.interpolate import interpolate
from seisei.verbs.predict import predict
from seisei.verbs.reconstruct import reconstruct
from seisei.verbs.run import TrainedRun
from seisei.verbs.sample import sample
from seisei.verbs.score import score
from seisei.verbs.stylize import Stylized, stylize
from seisei.verbs.translate import translate
from seisei.workflows import train as workflow
from seisei.workflows.train import Request


class Run(TrainedRun):
    """A trained model in its folder, with the verbs; see `TrainedRun` for what else it has.

    Verbs load the newest whole checkpoint when they are first used.

    Arguments:
        path: the run's folder.

    Raises:
        UserError: there is no such run.
    """

    sample = sample
    reconstruct = reconstruct
    impute = impute
    interpolate = interpolate
    encode = encode
    decode = decode
    predict = predict
    score = score
    evaluate = evaluate

    def translate(self, input: Any, n: int = 1, **options: Any) -> list[Any]:
        """The outputs for images of any size: an array for each, or with n > 1 a list of n; see `verbs.translate`."""
        return translate(self, input, n, **options).pixels()

    def stylize(self, content: Any, style: Any, **options: Any) -> Stylized:
        """The content image in the style of another one, at its own size; see `verbs.stylize`."""
        return stylize(content, style, run=self, **options)


def train(
    recipe: str,
    data: Any,
    *,
    output: str | Path | None = None,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    overwrite: bool = False,
    keep: int = 2,
    auto_remedy: bool = False,
    report: bool = True,
    listeners: Sequence[Listener] = (),
    **settings: Any,
) -> Run:
    """Train a model.

    Arguments:
        recipe: its name, such as ``vae``.
        data: a path, a name, or arrays in memory.
        output: the run's folder; one under ``runs/`` by default.
        seed: of everything random.
        overrides: of the plan, by dotted path: ``{"objective.beta": 0.5}``.
        overwrite: replace a run that is there.
        keep: checkpoints kept.
        auto_remedy: let the run do something about what the watch finds, where that is safe.
        report: evaluate and write the report at the end.
        listeners: told of every event, as it is logged.
        settings: dials of the recipe, fields of `DataOptions` and of `Execution`.

    Raises:
        UserError: anything wrong with the request or the data, before anything is written.
    """
    options = {
        f.name: settings.pop(f.name) for f in fields(DataOptions) if f.name in settings and f.name != "conditions"
    }
    execution = {f.name: settings.pop(f.name) for f in fields(Execution) if f.name in settings}
    request = Request(
        recipe=recipe, data=data, dials=settings, overrides=overrides or {}, options=DataOptions(**options),
        execution=Execution(**execution), seed=seed, output=None if output is None else Path(output),
        overwrite=overwrite, keep=keep, auto_remedy=auto_remedy, report=report,
    )  # fmt: skip
    return Run(workflow.start(request, listeners).path)


def resume(run: str | Path | Run, **options: Any) -> Run:
    """Go on with a run, to the same bits as if it had never stopped; see `seisei.workflows.train.resume`."""
    return Run(workflow.resume(run.path if isinstance(run, Run) else run, **options).path)


def compare(*runs: str | Path | Run, output: str | Path, **options: Any) -> Path:
    """Set classifiers side by side in one page; see `seisei.workflows.compare.compare`."""
    from seisei.workflows.compare import compare as carry_out

    return carry_out([run.path if isinstance(run, Run) else run for run in runs], Path(output), **options)


def load(path: str | Path) -> Run:
    """A run that is there.

    Raises:
        UserError: it is not.
    """
    return Run(path)


def check(data: Any, *, seed: int = 0, listeners: Sequence[Listener] = (), **options: Any) -> dict[str, Any]:
    """What is in the data, what is broken, and which recipes and options suit them; nothing is written.

    Pairs are looked for where no option says what the data are.

    Arguments:
        data: a path, a name, or arrays in memory.
        seed: of the division into parts.
        listeners: told how far reading has come.
        options: fields of `DataOptions`.

    Raises:
        UserError: more is broken than `skip_bad` allows.
    """
    return workflow.look(data, DataOptions(**options), seed, listeners)


def runs(folder: str | Path = "runs") -> list[dict[str, Any]]:
    """The runs in a folder, the newest first: what each is, how far it came, its scores, what it can do."""
    found = []
    for path in sorted(Path(folder).iterdir(), reverse=True) if Path(folder).is_dir() else []:
        if (path / "recipe.json").is_file():
            found.append(_summary(RunFolder(path)))
    return found


def _summary(folder: RunFolder) -> dict[str, Any]:
    """What one run is; what is wrong with its files is its ``trouble``, and nothing to the other runs."""
    try:
        recipe = folder.read("recipe.json")
        name, steps = str(recipe["recipe"]), recipe["plan"]["steps"]
        data, verbs = recipe["data"]["path"], recipe.get("verbs")
        kind = recipe["plan"]["objective"]["arguments"]["model"]["class"]
        known = isinstance(recipe["recipe"], str) and isinstance(steps, int) and isinstance(data, (str, NoneType))
        if not known or not (verbs is None or (isinstance(verbs, list) and all(isinstance(v, str) for v in verbs))):
            raise TypeError
        step = max((int(p.name.removeprefix("step-")) for p in folder.checkpoints.paths()), default=0)
        changed = datetime.fromtimestamp(folder.path.stat().st_mtime).isoformat(timespec="minutes")
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = str(error) if isinstance(error, UserError) else "recipe.json is not as seisei wrote it"
        return {"run": str(folder.path), "trouble": said}
    scores, trouble = _scores(folder)
    found = {
        "run": str(folder.path),
        "recipe": name,
        "data": Path(data or "arrays").name,
        "state": _state(folder, step, steps),
        "scores": scores,
        "verbs": verbs or _verbs_of(kind),
        "changed": changed,
    }
    return found if trouble is None else {**found, "trouble": trouble}


def _state(folder: RunFolder, step: int, steps: int) -> str:
    if step >= steps:
        return "finished"
    converged = any(event.get("event") == "converged" and event.get("step") == step for event in folder.events())
    return f"converged at step {step}" if converged else f"step {step} of {steps}"


def _scores(folder: RunFolder) -> tuple[dict[str, float | None], str | None]:
    """The scores of a run by name, and what is wrong with those that are left out."""
    if not (folder.path / "scores.json").exists():
        return {}, None
    try:
        found = folder.read("scores.json")
    except UserError as error:
        return {}, str(error)
    listed = found.get("scores") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        return {}, f"{folder.path / 'scores.json'} holds no list of scores"
    kept, wrong = dict[str, float | None](), list[str]()
    for place, entry in enumerate(listed):
        name = entry.get("name") if isinstance(entry, dict) else None
        value: Any = entry.get("value") if isinstance(entry, dict) else ""
        if isinstance(name, str) and (value is None or type(value) in (int, float)):
            kept[name] = value
        else:
            wrong.append(repr(name) if isinstance(name, str) else f"number {place + 1}")
    if not wrong:
        return kept, None
    return kept, f"scores.json: {', '.join(wrong)} of its {len(listed)} scores cannot be read"


def _verbs_of(kind: str) -> list[str]:
    """What a model of a listed class can do, by its methods, in a run that has not begun to say: nothing is built."""
    from seisei import catalog
    from seisei.capabilities import VERBS
    from seisei.spec import CATALOG

    catalog.fill()
    cls = CATALOG.get(kind)
    if cls is None:
        return []
    return [verb for verb, protocol in VERBS.items() if all(hasattr(cls, m) for m in _members(protocol))] + ["evaluate"]


def _members(protocol: type) -> set[str]:
    return {name for name in protocol.__dict__ if not name.startswith("_")} | set(
        getattr(protocol, "__annotations__", {})
    )
