"""A trained model in its run folder, as every verb gets it, and finding a run by its name."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisei.errors import UserError, nearest

if TYPE_CHECKING:
    from seisei.data.dataset import Dataset
    from seisei.pipeline import Pipeline
    from seisei.training.run import RunFolder

RUNS = Path("runs")
# Importance samples per likelihood by default, and the size of an image from which on it is refused.
IMPORTANCE_SAMPLES, MAX_PIXELS = 100, 64_000_000


class TrainedRun:
    """A trained model in its folder. Verbs load the newest whole checkpoint when they are first used.

    Arguments:
        path: the run's folder.

    Raises:
        UserError: there is no such run.
    """

    def __init__(self, path: str | Path) -> None:
        from seisei.training.run import RunFolder

        self.folder: RunFolder = RunFolder.open(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """The model, and the schema of its inputs and outputs."""
        from seisei.pipeline import Pipeline

        return Pipeline.load(self.path)

    @functools.cached_property
    def recipe(self) -> dict[str, Any]:
        """What was trained, with every default resolved."""
        found: dict[str, Any] = self.folder.read("recipe.json")
        return found

    @property
    def verbs(self) -> list[str]:
        """The verbs that the model offers."""
        return self.pipeline.verbs

    @property
    def scores(self) -> dict[str, float]:
        """The scores of the last evaluation, by name; empty before one."""
        if not (self.path / "scores.json").is_file():
            return {}
        return {entry["name"]: entry["value"] for entry in self.folder.read("scores.json")["scores"]}

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The watch's findings; ``resolved`` is the step at which one was withdrawn, None while it holds."""
        found: list[dict[str, Any]] = []
        for event in self.folder.events():
            if event.get("event") == "watch":
                found.append({**event, "resolved": None})
            elif event.get("event") == "withdrawn":
                for finding in found:
                    if finding["rule"] == event["rule"] and finding["resolved"] is None:
                        finding["resolved"] = event["step"]
        return found

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.path / "report.html"

    @property
    def origin(self) -> dict[str, str]:
        """The metadata that an output carries: program, SHA-256 of the weights, run."""
        import seisei

        return {"Software": f"seisei {seisei.__version__}", "model": self.pipeline.digest, "run": self.path.name}

    def read(self, data: Any, *, verb: str = "", **options: Any) -> Dataset:
        """Examples as this model takes them: a file, a folder, any source that `train` reads, or arrays.

        Arguments:
            data: where they are, or what they are.
            verb: what they are read for; error codes depend on it.
            options: see `seisei.data.types.read_inputs`; None stands for the default.

        Raises:
            UserError: they cannot be read, or an option has no effect for data of this type.
        """
        from seisei.data.types import read_inputs

        schema = self.pipeline.schema
        options = {name: value for name, value in options.items() if value is not None}
        defaults = {"convert": False, "max_pixels": MAX_PIXELS, "unseen": "refuse"}
        for names, noun, what in (
            (("fit", "convert", "max_pixels"), "image", "images"),
            (("unseen",), "row", "tables"),
        ):
            for name in names:
                value = options.get(name)
                if schema.x.noun != noun and value is not None and value != defaults.get(name):
                    raise without_effect(name, f"is for {what}, and this model is of {schema.x.noun}s", value)
        labels = "need" if self.pipeline.conditional else "want" if self.pipeline.classes else "ignore"
        return read_inputs(schema, data, verb=verb, **{"labels": labels, **options})

    def data(self, data: Any = None) -> Dataset:
        """The run's data set, or another one, read as in training.

        Raises:
            UserError: it is gone.
        """
        from seisei.data.options import DataOptions
        from seisei.data.types import read_for_training

        if data is not None and self.pipeline.schema.x.noun == "row":
            # Rows are read by the columns of the model, not by what other data would make of them.
            return self.read(data, verb="evaluate", unseen="missing")
        where = self.recipe["data"]["path"] if data is None else data
        if where is None:
            raise UserError(
                "E-EVA-01",
                self.path,
                "was trained on arrays, which are not kept",
                "give them again: run.evaluate(data=…), or --data on the command line",
            )
        return read_for_training(where, DataOptions(**self.recipe["options"]), seed=int(self.recipe["seed"]))

    def learned_from(self, data: Any) -> bool:
        """Whether a path or a name is that of the data that this model was trained on."""
        from seisei.data.options import data_path

        return isinstance(data, (str, os.PathLike)) and data_path(str(data)) == self.recipe["data"]["path"]

    def check_importance_samples(self, importance_samples: int) -> None:
        """Refuse a number of importance samples for a model that uses none.

        Raises:
            UserError: it is not the default.
        """
        model: Any = self.pipeline.model
        used = bool(getattr(model, "log_prob_is_bound", False)) and not getattr(model, "by_codes", False)
        if importance_samples != IMPORTANCE_SAMPLES and not used:
            problem = "has no effect: the likelihood of this model needs no importance samples"
            raise without_effect("importance_samples", problem, importance_samples)

    def write_report(self, data: Any = None) -> Path:
        """Evaluate, make the figures and write the report anew."""
        from seisei.evaluation.evaluate import finish

        finish(self.folder, self.data(data))
        return self.report


def without_effect(name: str, problem: str, found: object) -> UserError:
    """The error about an option that changes nothing."""
    option = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
    return UserError("E-GEN-07", option, problem, "leave it out", found=found)


def find_run(name: str | Path) -> Path:
    """A run by its path, or by a prefix of its name under ``runs/``, with or without the date.

    Raises:
        UserError: several runs begin so, or none does.

    Example:
        ``vae-digits`` finds ``runs/2026-11-22-142210-vae-digits`` where no other run begins so.
    """
    path = Path(name)
    if path.exists() or path.is_symlink():
        return path
    names = sorted(p.name for p in RUNS.iterdir() if (p / "recipe.json").is_file()) if RUNS.is_dir() else []
    word = path.name if path.parent in (Path("."), RUNS) else ""
    found = [n for n in names if word and (n.startswith(word) or _undated(n).startswith(word))]
    exact = [n for n in found if word in (n, _undated(n))]
    found = exact if len(exact) == 1 else found
    if len(found) > 1:
        problem = f"{len(found)} runs begin so: {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
        raise UserError(
            "E-*-01", name, problem, f"write more of the name, the newest is {RUNS / found[-1]}", wanted=found
        )
    if not found:
        close = nearest(path.name, [*names, *map(_undated, names)])
        remedy = (f"did you mean {close}? " if close else "") + "list the runs with `seisei list`"
        raise UserError("E-*-01", name, f"no such run (current folder: {Path.cwd().name or '/'})", remedy)
    return RUNS / found[0]


def newest_run() -> Path:
    """The newest run under ``runs/``.

    Raises:
        UserError: there is none.
    """
    found = [p for p in RUNS.iterdir() if (p / "recipe.json").is_file()] if RUNS.is_dir() else []
    if not found:
        raise UserError("E-*-01", "RUN", f"there is no run in {RUNS}/", "name a run, or start one with `seisei train`")
    return max(found, key=lambda p: (p / "recipe.json").stat().st_mtime)


def _undated(name: str) -> str:
    date, rest = name[:17], name[18:]
    return rest if rest and date.replace("-", "").isdigit() else name
