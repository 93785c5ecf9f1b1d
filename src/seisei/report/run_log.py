"""A run folder as the report reads it: every part is optional, and no content is trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.paths import check_regular
from seisei.report.svg import Point

_ABSENT = object()
NATS = {"ELBO", "IWAE", "JointBound", "MaximumLikelihood"}  # objectives whose losses are nats per example


@dataclass
class Run:
    """Contents of a run folder; `faults` are sentences about unreadable parts."""

    folder: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    latent: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    classification: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read all parts that exist."""
        run = cls(folder)
        run.recipe = run._json("recipe.json")
        run.schema = run._json("schema.json")
        run.scores = run._json("scores.json")
        run.latent = run._json("figures/latent.json")
        run.grid = run._json("figures/samples.json")
        run.rows = run._json("figures/rows.json")
        run.classification = run._json("figures/classification.json")
        run.events = list(run._log("log.jsonl"))
        return run

    def _json(self, name: str) -> dict[str, Any]:
        try:
            check_regular(self.folder / name)
            found = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:  # UserError (a ValueError): not a regular file
            self.faults.append(f"{name} could not be read ({type(error).__name__}).")
            return {}
        if not isinstance(found, dict) or too_deep(found):
            self.faults.append(f"{name} is not a JSON object, or is nested too deeply.")
            return {}
        return found

    def _log(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            check_regular(self.folder / name)
            lines = (self.folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            return
        except (OSError, UserError) as error:
            self.faults.append(f"{name} could not be read ({type(error).__name__}).")
            return
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict) and not too_deep(event):
                yield event
            elif line.strip():
                last = " It is the last line: the run stopped while writing it." if number == len(lines) else ""
                self.faults.append(f"{name}: line {number:,} could not be read and was skipped.{last}")

    def all(self, name: str) -> list[dict[str, Any]]:
        """The events of one type, in order."""
        return [event for event in self.events if event.get("event") == name]

    @property
    def plan(self) -> dict[str, Any]:
        """The resolved plan."""
        return as_dict(self.recipe.get("plan"))

    @property
    def data(self) -> dict[str, Any]:
        """The data report."""
        return as_dict(as_dict(self.recipe.get("data")).get("report"))

    @property
    def step(self) -> int:
        """The last logged step."""
        return max((int(s) for e in self.events if math.isfinite(s := as_float(e.get("step")))), default=0)

    @property
    def unit(self) -> str:
        """Unit of the loss."""
        name = str(as_dict(self.plan.get("objective")).get("class", "")).rsplit(".", 1)[-1]
        known = name in NATS or (self.gradient_free and "score" in self.verbs)
        return "nats per example" if known else "loss per example"

    @property
    def verbs(self) -> list[str]:
        """Operations that the model supports; empty if the run does not record them."""
        return [str(verb) for verb in as_list(self.recipe.get("verbs"))]

    @property
    def gradient_free(self) -> bool:
        """Whether the model was fitted without gradients, by EM steps or in closed form."""
        return self.recipe.get("swept") is True

    @property
    def noun(self) -> str:
        """Noun for one example."""
        return str(self.data.get("noun") or "example")


def points(events: Iterable[dict[str, Any]], *keys: str) -> list[Point]:
    """(step, value) pairs of a logged quantity; if a resumed run repeated a step, the later value counts."""
    found: dict[float, float] = {}
    for event in events:
        value: Any = event
        for key in keys:
            value = as_dict(value).get(key, _ABSENT)
        step = as_float(event.get("step"))
        if value is not _ABSENT and math.isfinite(step):
            found[step] = as_float(value)
    return sorted(found.items())


def as_float(value: object) -> float:
    """A number, or NaN for anything else (logs hold null or "NaN" for non-finite values)."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if good else math.nan  # type: ignore[arg-type]


def as_floats(events: Iterable[dict[str, Any]], key: str) -> list[float]:
    """The finite numbers under a key."""
    return [value for event in events if math.isfinite(value := as_float(event.get(key)))]


def as_whole(value: object) -> int | None:
    """A whole number, or None for anything else."""
    known = as_float(value)
    return int(known) if math.isfinite(known) and known == int(known) else None


def as_dict(value: object) -> dict[str, Any]:
    """An object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def too_deep(value: object, limit: int = 50) -> bool:
    """Whether a JSON value is nested deeper than `limit` levels."""
    layer = [value]
    for _ in range(limit):
        nested = (v.values() if isinstance(v, dict) else v if isinstance(v, list) else () for v in layer)
        layer = [inner for values in nested for inner in values]
        if not layer:
            return False
    return True


def as_list(value: object) -> list[Any]:
    """A list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_dicts(value: object) -> Sequence[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def step_of(path: Path) -> int:
    """The step in a file name."""
    digits = re.findall(r"\d{1,15}", path.stem)
    return int(digits[-1]) if digits else 0
