"""A comparison as numbers: what is known of each classifier, who is ahead by more than the error, where curves cross.

Everything comes from a file and nothing in it is trusted: a part that is absent or of the wrong kind is not there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.evaluation.canvas import Point, clip
from seisei.evaluation.record import as_dict, as_dicts, as_float, as_list, as_whole, too_deep

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


@dataclass(frozen=True)
class Score:
    """One number, its standard error (NaN where it has none), and which way is better."""

    name: str
    value: float
    error: float = math.nan
    unit: str = ""
    better: str = ""
    note: str = ""


@dataclass(frozen=True)
class Stretch:
    """Where one curve lies lowest: from and to, and the most that it is ahead there, in units of both spreads."""

    name: str
    start: float
    end: float
    ahead: float


@dataclass(frozen=True)
class Rival:
    """One of the classifiers.

    Arguments:
        index: its place among them, and its colour.
        name: no other has the same.
        short: the name cut for legends, where no other has the same either.
        facts: what the file says of it.
    """

    index: int
    name: str
    short: str
    facts: dict[str, Any]

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
        return Score("accuracy", right, math.sqrt(right * (1 - right) / total), "share", "higher")

    @property
    def bins(self) -> list[tuple[float, float, int]]:
        """Calibration: confidence, accuracy and examples of each bin that holds any."""
        told = as_dict(self.facts.get("calibration"))
        columns = (as_list(told.get(key)) for key in ("confidence", "accuracy", "count"))
        rows = [(as_float(c), as_float(a), as_whole(n) or 0) for c, a, n in zip(*columns, strict=False)]
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
        rows = [[as_whole(v) for v in as_list(row)] for row in as_list(self.facts.get("confusion"))]
        known = [[v for v in row if v is not None and v >= 0] for row in rows]
        return known if rows and all(len(row) == len(rows) for row in known) else []

    def points(self, part: str, x: str, y: str, error: str) -> list[tuple[float, float, float]]:
        """What is drawn of a list of objects, in order: a place, a value and how far that may be off."""
        told = as_dicts(self.facts.get(part))
        rows = [(as_float(p.get(x)), as_float(p.get(y)), abs(as_float(p.get(error)))) for p in told]
        known = {at: (value, off) for at, value, off in rows if math.isfinite(at) and math.isfinite(value)}
        return [(at, *known[at]) for at in sorted(known)]

    @property
    def missing(self) -> list[tuple[float, float, float]]:
        """Accuracy and its error when so large a share of each example is hidden."""
        return [p for p in self.points("missing", "share", "accuracy", "error") if 0 <= p[0] <= 1]

    @property
    def curve(self) -> list[tuple[float, float, float]]:
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
    rivals: list[Rival] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Comparison:
        """Read the file.

        Raises:
            UserError: there is no such file, or it is not a JSON object.
        """
        path, remedy = folder / "comparison.json", "make it with seisei compare"
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
        rivals = [Rival(i, *names, m) for i, (*names, m) in enumerate(zip(full, short, models, strict=True))]
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


def ahead(one: Score, other: Score) -> float:
    """How much better one is, in standard errors of the difference; those of two models are taken as independent.

    Example:
        >>> round(ahead(Score("a", 0.9, 0.03, better="higher"), Score("a", 0.8, 0.04, better="higher")), 3)
        2.0
    """
    gap = (one.value - other.value) * (-1 if one.better == "lower" else 1)
    error = math.hypot(*(e for e in (one.error, other.error) if math.isfinite(e)))
    return gap / error if error else math.copysign(math.inf, gap) if gap else 0.0


def best(scores: Sequence[Score | None]) -> dict[int, str]:
    """Whose score is "best", by more than the error of its difference from every other, or "tied" with the best.

    Where nobody is behind by more than that, nobody is named; nor where it is not said which way is better.

    Example:
        >>> best([Score("a", value, 0.01, better="higher") for value in (0.9, 0.8, 0.905)])
        {0: 'tied', 2: 'tied'}
    """
    known = {i: s for i, s in enumerate(scores) if s is not None and math.isfinite(s.value) and s.better}
    if len(known) < 2:
        return {}
    top = max(known.values(), key=lambda s: -s.value if s.better == "lower" else s.value)
    near = [i for i, s in known.items() if ahead(top, s) <= 1]
    return {} if len(near) == len(known) else dict.fromkeys(near, "tied" if len(near) > 1 else "best")


def stretches(curves: dict[str, list[tuple[float, float, float]]]) -> list[Stretch]:
    """Which curve is lowest where, between places that all of them reach; straight lines join points over log x.

    Arguments:
        curves: name to (x, value, spread), x positive and rising.

    Example:
        >>> a, b = [(10.0, 0.2, 0.0), (1000.0, 0.2, 0.0)], [(10.0, 0.4, 0.0), (1000.0, 0.0, 0.0)]
        >>> [(s.name, round(s.start), round(s.end)) for s in stretches({"a": a, "b": b})]
        [('a', 10, 100), ('b', 100, 1000)]
    """
    lines = {
        name: [(math.log(x), y, s if math.isfinite(s) else 0.0) for x, y, s in points]
        for name, points in curves.items()
        if len(points) > 1
    }
    low, high = max((c[0][0] for c in lines.values()), default=0), min((c[-1][0] for c in lines.values()), default=0)
    if len(lines) < 2 or low >= high:
        return []
    knots = sorted({low, high, *(x for c in lines.values() for x, *_ in c if low < x < high)})
    found: list[tuple[str, float, float, float]] = []
    for start, end in zip(knots, knots[1:], strict=False):
        edges = sorted({start, end, *_crossings(lines.values(), start, end)})
        for left, right in zip(edges, edges[1:], strict=False):
            middle = {name: _between(c, (left + right) / 2)[0] for name, c in lines.items()}
            least = min(middle.values())
            last = found[-1][0] if found else ""
            name = last if middle.get(last, math.inf) <= least + 1e-12 else min(middle, key=lambda n: middle[n])
            clear = max(_margin(lines, name, x) for x in (left, right))
            if name == last:
                found[-1] = (name, found[-1][1], right, max(found[-1][3], clear))
            else:
                found.append((name, left, right, clear))
    return [Stretch(name, math.exp(left), math.exp(right), clear) for name, left, right, clear in found]


def confused(matrix: list[list[int]]) -> list[tuple[int, int, int, float]]:
    """Classes that are called another, most often first: the true one, the other, how often, share of the true one.

    Example:
        >>> confused([[8, 2], [0, 5]])
        [(0, 1, 2, 0.2)]
    """
    pairs = [(i, j, n, n / sum(row)) for i, row in enumerate(matrix) for j, n in enumerate(row) if n and i != j]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3]))


def _crossings(lines: Iterable[list[tuple[float, float, float]]], start: float, end: float) -> Iterator[float]:
    """Where two of the straight lines meet, inside."""
    for one, other in combinations(lines, 2):
        before, after = (_between(one, x)[0] - _between(other, x)[0] for x in (start, end))
        if before * after < 0:
            yield start + (end - start) * before / (before - after)


def _between(line: list[tuple[float, float, float]], x: float) -> Point:
    """Value and spread at x, by a straight line between neighbours."""
    for (x0, y0, s0), (x1, y1, s1) in zip(line, line[1:], strict=False):
        if x <= x1:
            part = (x - x0) / (x1 - x0)
            return y0 + part * (y1 - y0), s0 + part * (s1 - s0)
    return line[-1][1], line[-1][2]


def _margin(lines: dict[str, list[tuple[float, float, float]]], name: str, x: float) -> float:
    """How far a line lies below the next one, in units of both spreads."""
    mine, spread = _between(lines[name], x)
    gap, theirs = min((y - mine, s) for n, c in lines.items() if n != name for y, s in [_between(c, x)])
    error = math.hypot(spread, theirs)
    return gap / error if error else math.inf if gap > 0 else 0.0


def _named(model: dict[str, Any]) -> str:
    known = (model.get(key) for key in ("title", "recipe", "kind"))
    return next((" ".join(str(name).split()) for name in known if name and str(name).strip()), "") or "model"


def _base(path: object) -> str:
    """The last part of a path, however it is written."""
    return str(path or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
