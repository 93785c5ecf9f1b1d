"""The classifiers of a comparison, read from ``comparison.json``.

Nothing in the file is trusted: a part of the wrong type counts as absent.
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

KINDS = {  # type of classifier: name, formula, explanation
    "discriminant": (
        "discriminant function",
        "argmax s(x)",
        "Learns a decision boundary: predicts a class, without probabilities.",
    ),
    "discriminative": ("discriminative model", "p(y | x)", "Learns the probability of each class given x."),
    "generative": (
        "generative model",
        "p(x | y) p(y)",
        "Learns the distribution of each class; classifies by Bayes’ rule.",
    ),
}
NO_POSTERIOR, NO_DENSITY = "gives no probabilities", "gives no p(x)"
LEGEND_LENGTH = 26  # maximum length of a name in a chart's legend


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One of the classifiers.

    Arguments:
        index: its position, which sets its color.
        name: unique name.
        short: unique name, shortened for legends.
        facts: its entry in the file.
    """

    index: int
    name: str
    short: str
    facts: dict[str, Any]

    @property
    def brief(self) -> str:
        """The name, short enough for a sentence."""
        return self.name if len(self.name) <= 2 * LEGEND_LENGTH else self.short

    @property
    def kind(self) -> str:
        """Type of classifier: a key of `KINDS`, or another string from the file."""
        return str(self.facts.get("kind") or "")

    @property
    def scores(self) -> dict[str, Score]:
        """Scores by name; the first of duplicates counts."""
        found: dict[str, Score] = {}
        for s in as_dicts(self.facts.get("scores")):
            texts = (str(s.get(key) or "") for key in ("unit", "better", "note"))
            name = str(s.get("name") or "score")
            found.setdefault(name, Score(name, as_float(s.get("value")), abs(as_float(s.get("error"))), *texts))
        return found

    @property
    def accuracy(self) -> Score | None:
        """The accuracy score, or else the accuracy of the confusion matrix."""
        known = next((s for name, s in self.scores.items() if name.lower() == "accuracy"), None)
        if known is not None and math.isfinite(known.value):
            return known
        matrix = self.confusion
        total = sum(map(sum, matrix))
        if not total:
            return None
        value = sum(row[i] for i, row in enumerate(matrix)) / total
        low, high = wilson(value, total, 1.0)
        return Score("accuracy", value, (high - low) / 2, "share", "higher")

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        """Calibration: confidence, accuracy, and number of examples of each non-empty bin."""
        entry = as_dict(self.facts.get("calibration"))
        columns = (as_list(entry.get(key)) for key in ("confidence", "accuracy", "count"))
        rows = [(as_float(c), as_float(a), _count(n) or 0) for c, a, n in zip(*columns, strict=False)]
        return sorted((c, a, n) for c, a, n in rows if 0 <= c <= 1 and 0 <= a <= 1 and n > 0)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (ECE); NaN if unknown."""
        recorded = as_float(as_dict(self.facts.get("calibration")).get("error"))
        scored = next((s.value for name, s in self.scores.items() if name.lower() == "calibration error"), math.nan)
        return recorded if math.isfinite(recorded) else scored

    @property
    def confusion(self) -> list[list[int]]:
        """Confusion matrix, true classes by predicted ones; empty if unknown."""
        rows = [[_count(v) for v in as_list(row)] for row in as_list(self.facts.get("confusion"))]
        known = [[v for v in row if v is not None] for row in rows]
        return known if rows and all(len(row) == len(rows) for row in known) else []

    def points(self, part: str, x: str, y: str, error: str) -> list[Triple]:
        """Points of a curve in order of x: (x, value, error)."""
        entries = as_dicts(self.facts.get(part))
        rows = [(as_float(p.get(x)), as_float(p.get(y)), abs(as_float(p.get(error)))) for p in entries]
        known = {at: (value, off) for at, value, off in rows if math.isfinite(at) and math.isfinite(value)}
        return [(at, *known[at]) for at in sorted(known)]

    @property
    def missing(self) -> list[Triple]:
        """Accuracy by the fraction of values missing: (fraction, accuracy, error)."""
        return [p for p in self.points("missing", "share", "accuracy", "error") if 0 <= p[0] <= 1]

    @property
    def curve(self) -> list[Triple]:
        """Learning curve: (training examples, error rate, spread)."""
        return [p for p in self.points("curve", "rows", "error", "spread") if p[0] > 0]

    @property
    def capabilities(self) -> dict[str, str]:
        """Capability to "yes", "no", or a qualification."""
        can = {str(verb) for verb in as_list(self.facts.get("can"))}
        generates = self.kind == "generative"
        supported = {
            "class": "predict" in can or self.kind in KINDS,
            "posterior": generates or self.kind == "discriminative" or bool(self.bins),
            "density": "score" in can or (generates and not can),
            "samples": "sample" in can or (generates and not can),
        }
        missing = "yes" if generates else "imputed" if self.missing else "no"
        return {key: "yes" if value else "no" for key, value in supported.items()} | {"missing": missing}

    def lacks(self, score: str) -> str:
        """The reason that the model lacks a score."""
        name = score.lower()
        if self.capabilities["density"] == "no" and any(word in name for word in ("density", "likelihood", "bits per")):
            return NO_DENSITY
        probabilistic = any(word in name for word in ("log-loss", "brier", "calibration", "entropy", "probability"))
        return NO_POSTERIOR if probabilistic and self.capabilities["posterior"] == "no" else "not measured"


@dataclass
class Comparison:
    """The contents of ``comparison.json``."""

    folder: Path
    facts: dict[str, Any]
    models: list[ComparedModel] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Comparison:
        """Read the file.

        Raises:
            UserError: there is no such file, or it is not a JSON object.
        """
        path, remedy = folder / "comparison.json", "create it with seisei compare"
        check_regular(path, code="E-*-02")
        try:
            facts = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError("E-*-01", path, "no such file", remedy) from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError("E-*-02", path, f"cannot be read ({type(error).__name__})", remedy) from error
        if not isinstance(facts, dict) or too_deep(facts):
            raise UserError("E-*-02", path, "is not a JSON object, or is nested too deeply", remedy)
        entries = as_dicts(facts.get("models"))
        full = unique_names([_named(m) for m in entries], [_base(m.get("run")) for m in entries])
        short = unique_names([clip(name, LEGEND_LENGTH) for name in full], [""] * len(full))
        models = [ComparedModel(i, *known) for i, known in enumerate(zip(full, short, entries, strict=True))]
        return cls(folder, facts, models)

    @property
    def data(self) -> dict[str, Any]:
        """The data that the models were compared on."""
        return as_dict(self.facts.get("data"))

    @property
    def noun(self) -> str:
        """Noun for one example."""
        return str(self.data.get("noun") or "example")

    def classes(self, least: int = 0) -> list[str]:
        """Class names, at least `least`; classes without a name are numbered."""
        names = [str(name) for name in as_list(self.data.get("classes"))]
        return names + [f"class {i}" for i in range(len(names), least)]

    def scores(self) -> dict[str, list[Score | None]]:
        """Score name to the score of each model, in order; None where a model lacks it."""
        found = [model.scores for model in self.models]
        return {name: [scores.get(name) for scores in found] for name in dict.fromkeys(n for f in found for n in f)}


def unique_names(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """Unique names: duplicates get a suffix, and then a number.

    Example:
        >>> unique_names(["a", "b", "a", "a"], ["x", "", "y", "y"])
        ['a · x', 'b', 'a · y', 'a · y 2']
    """
    longer = [f"{n} · {m}" if m and names.count(n) > 1 else n for n, m in zip(names, more, strict=True)]
    found: list[str] = []
    for name in longer:
        fresh = (name if i == 1 else f"{name} {i}" for i in range(1, len(names) + 2))
        found.append(next(one for one in fresh if one not in found))
    return found


def _count(value: object) -> int | None:
    """A non-negative integer, or None for anything else."""
    known = as_whole(value)
    return known if known is not None and 0 <= known < 10**15 else None


def _named(model: dict[str, Any]) -> str:
    known = (model.get(key) for key in ("title", "recipe", "kind"))
    return next((" ".join(str(name).split()) for name in known if name and str(name).strip()), "") or "model"


def _base(path: object) -> str:
    """The last component of a path, with either separator."""
    return str(path or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
