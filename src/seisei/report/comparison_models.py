"""Classifiers that are compared, as ``comparison.json`` tells of them.

Nothing in the file is trusted: a part that is absent or of the wrong kind is not there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.metrics.significance import Score, Triple, wilson
from seisei.paths import check_regular
from seisei.report.run_log import as_dict, as_dicts, as_float, as_list, as_whole, too_deep
from seisei.report.svg import clip

KINDS = {  # how a classifier reaches a label: its name, its formula, what that means
    "discriminant": (
        "discriminant function",
        "argmax s(x)",
        "Draws a surface between the classes: a class, and nothing else.",
    ),
    "discriminative": ("discriminative model", "p(y | x)", "Learns which class it is, and how sure to be."),
    "generative": (
        "generative model",
        "p(x | y) p(y)",
        "Learns what each class looks like; Bayes’ rule tells which it is.",
    ),
}
NO_POSTERIOR, NO_DENSITY = "gives no probability", "gives no p(x)"
LETTERS = 26  # of a name in the legend of a chart


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One of the classifiers.

    Arguments:
        index: its place among them, and its color.
        name: no other has the same.
        short: the name cut for legends, where no other has the same either.
        facts: what the file says of it.
    """

    index: int
    name: str
    short: str
    facts: dict[str, Any]

    @property
    def brief(self) -> str:
        """The name in a sentence."""
        return self.name if len(self.name) <= 2 * LETTERS else self.short

    @property
    def kind(self) -> str:
        """A key of `KINDS`, or whatever else it says."""
        return str(self.facts.get("kind") or "")

    @property
    def scores(self) -> dict[str, Score]:
        """By name; the first of two of one name counts."""
        found: dict[str, Score] = {}
        for s in as_dicts(self.facts.get("scores")):
            words = (str(s.get(key) or "") for key in ("unit", "better", "note"))
            name = str(s.get("name") or "score")
            found.setdefault(name, Score(name, as_float(s.get("value")), abs(as_float(s.get("error"))), *words))
        return found

    @property
    def accuracy(self) -> Score | None:
        """The score of that name, else what the confusion matrix says."""
        known = next((s for name, s in self.scores.items() if name.lower() == "accuracy"), None)
        if known is not None and math.isfinite(known.value):
            return known
        matrix = self.confusion
        total = sum(map(sum, matrix))
        if not total:
            return None
        right = sum(row[i] for i, row in enumerate(matrix)) / total
        low, high = wilson(right, total, 1.0)
        return Score("accuracy", right, (high - low) / 2, "share", "higher")

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        """Calibration: confidence, accuracy and examples of each bin that holds any."""
        told = as_dict(self.facts.get("calibration"))
        columns = (as_list(told.get(key)) for key in ("confidence", "accuracy", "count"))
        rows = [(as_float(c), as_float(a), _count(n) or 0) for c, a, n in zip(*columns, strict=False)]
        return sorted((c, a, n) for c, a, n in rows if 0 <= c <= 1 and 0 <= a <= 1 and n > 0)

    @property
    def miscalibration(self) -> float:
        """How far from as often right as sure; NaN where it is not known."""
        told = as_float(as_dict(self.facts.get("calibration")).get("error"))
        scored = next((s.value for name, s in self.scores.items() if name.lower() == "calibration error"), math.nan)
        return told if math.isfinite(told) else scored

    @property
    def confusion(self) -> list[list[int]]:
        """How often each class (row) was called each (column); empty where it is not known."""
        rows = [[_count(v) for v in as_list(row)] for row in as_list(self.facts.get("confusion"))]
        known = [[v for v in row if v is not None] for row in rows]
        return known if rows and all(len(row) == len(rows) for row in known) else []

    def points(self, part: str, x: str, y: str, error: str) -> list[Triple]:
        """What is drawn of a list of objects, in order: a place, a value and how far that may be off."""
        told = as_dicts(self.facts.get(part))
        rows = [(as_float(p.get(x)), as_float(p.get(y)), abs(as_float(p.get(error)))) for p in told]
        known = {at: (value, off) for at, value, off in rows if math.isfinite(at) and math.isfinite(value)}
        return [(at, *known[at]) for at in sorted(known)]

    @property
    def missing(self) -> list[Triple]:
        """Accuracy and its error when so large a share of each example is hidden."""
        return [p for p in self.points("missing", "share", "accuracy", "error") if 0 <= p[0] <= 1]

    @property
    def curve(self) -> list[Triple]:
        """Error rate and its spread after training on so many examples."""
        return [p for p in self.points("curve", "rows", "error", "spread") if p[0] > 0]

    @property
    def abilities(self) -> dict[str, str]:
        """Each ability, and how it is met: yes, no, or in other words."""
        can = {str(verb) for verb in as_list(self.facts.get("can"))}
        generates = self.kind == "generative"
        met = {
            "class": "predict" in can or self.kind in KINDS,
            "posterior": generates or self.kind == "discriminative" or bool(self.bins),
            "density": "score" in can or (generates and not can),
            "samples": "sample" in can or (generates and not can),
        }
        gaps = "yes" if generates else "stand-in" if self.missing else "no"
        return {key: "yes" if value else "no" for key, value in met.items()} | {"gaps": gaps}

    def lacks(self, score: str) -> str:
        """Why it has no score of this name."""
        name = score.lower()
        if self.abilities["density"] == "no" and any(word in name for word in ("density", "likelihood", "bits per")):
            return NO_DENSITY
        sure = any(word in name for word in ("log-loss", "brier", "calibration", "entropy", "probability"))
        return NO_POSTERIOR if sure and self.abilities["posterior"] == "no" else "not measured"


@dataclass
class Comparison:
    """What ``comparison.json`` says."""

    folder: Path
    facts: dict[str, Any]
    rivals: list[ComparedModel] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Comparison:
        """Read the file.

        Raises:
            UserError: there is no such file, or it is not a JSON object.
        """
        path, remedy = folder / "comparison.json", "make it with seisei compare"
        check_regular(path, code="E-*-02")
        try:
            facts = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError("E-*-01", path, "no such file", remedy) from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError("E-*-02", path, f"cannot be read ({type(error).__name__})", remedy) from error
        if not isinstance(facts, dict) or too_deep(facts):
            raise UserError("E-*-02", path, "not a JSON object, or one nested too deeply", remedy)
        models = as_dicts(facts.get("models"))
        full = apart([_named(m) for m in models], [_base(m.get("run")) for m in models])
        short = apart([clip(name, LETTERS) for name in full], [""] * len(full))
        rivals = [ComparedModel(i, *known) for i, known in enumerate(zip(full, short, models, strict=True))]
        return cls(folder, facts, rivals)

    @property
    def data(self) -> dict[str, Any]:
        """What the models were compared on."""
        return as_dict(self.facts.get("data"))

    @property
    def noun(self) -> str:
        """What one example is called."""
        return str(self.data.get("noun") or "example")

    def classes(self, least: int = 0) -> list[str]:
        """The names of the classes, at least so many: those without a name are numbered."""
        names = [str(name) for name in as_list(self.data.get("classes"))]
        return names + [f"class {i}" for i in range(len(names), least)]

    def scores(self) -> dict[str, list[Score | None]]:
        """Each score of any model: that of every model, in their order."""
        found = [rival.scores for rival in self.rivals]
        return {name: [scores.get(name) for scores in found] for name in dict.fromkeys(n for f in found for n in f)}


def apart(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """The names, with something more (or a number) after those that are not alone.

    Example:
        >>> apart(["a", "b", "a", "a"], ["x", "", "y", "y"])
        ['a · x', 'b', 'a · y', 'a · y 2']
    """
    longer = [f"{n} · {m}" if m and names.count(n) > 1 else n for n, m in zip(names, more, strict=True)]
    found: list[str] = []
    for name in longer:
        fresh = (name if i == 1 else f"{name} {i}" for i in range(1, len(names) + 2))
        found.append(next(one for one in fresh if one not in found))
    return found


def _count(value: object) -> int | None:
    """A whole number of examples, or None for anything that cannot be one."""
    known = as_whole(value)
    return known if known is not None and 0 <= known < 10**15 else None


def _named(model: dict[str, Any]) -> str:
    known = (model.get(key) for key in ("title", "recipe", "kind"))
    return next((" ".join(str(name).split()) for name in known if name and str(name).strip()), "") or "model"


def _base(path: object) -> str:
    """The last part of a path, however it is written."""
    return str(path or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
