"""Comparisons of scores and curves with their errors, and ranking of class confusions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

Triple = tuple[float, float, float]  # x, value, error
# 97.5 % quantile of the standard normal distribution.
CONFIDENT = 1.959963984540054


def wilson(p: float, n: int, z: float = CONFIDENT) -> tuple[float, float]:
    """The Wilson interval of a proportion p of n examples.

    Example:
        >>> [round(end, 4) for end in wilson(1.0, 10)], [round(end, 4) for end in wilson(0.5, 100)]
        ([0.7225, 1.0], [0.4038, 0.5962])
    """
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding could leave p just outside when it is an end itself.
    return min(p, (middle - half) / (1 + z * z / n)), max(p, (middle + half) / (1 + z * z / n))


@dataclass(frozen=True)
class Score:
    """A metric with its standard error (NaN if unknown), and whether higher or lower is better."""

    name: str
    value: float
    error: float = math.nan
    unit: str = ""
    better: str = ""
    note: str = ""


@dataclass(frozen=True)
class Stretch:
    """An interval in which one curve is lowest, and its largest lead there, in units of the combined spread."""

    name: str
    start: float
    end: float
    ahead: float


def ahead(one: Score, other: Score) -> float:
    """How much better one score is, in standard errors of the difference; errors are treated as independent.

    Example:
        >>> round(ahead(Score("a", 0.9, 0.03, better="higher"), Score("a", 0.8, 0.04, better="higher")), 3)
        2.0
    """
    gap = (one.value - other.value) * (-1 if one.better == "lower" else 1)
    error = math.hypot(*(e for e in (one.error, other.error) if math.isfinite(e)))
    return gap / error if error else math.copysign(math.inf, gap) if gap else 0.0


def best(scores: Sequence[Score | None]) -> dict[int, str]:
    """Index to "best" (better than every other by more than the error of the difference), or "tied" with the best.

    Empty if all scores are tied, or if neither higher nor lower is better.

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


def stretches(curves: dict[str, list[Triple]]) -> list[Stretch]:
    """Which curve is lowest where, over the common range of x; points are interpolated linearly in log x.

    Arguments:
        curves: name to (x, value, spread), x positive and ascending.

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
            middle = {name: _interpolate(c, (left + right) / 2)[0] for name, c in lines.items()}
            least = min(middle.values())
            last = found[-1][0] if found else ""
            name = last if middle.get(last, math.inf) <= least + 1e-12 else min(middle, key=lambda n: middle[n])
            lead = max(_margin(lines, name, x) for x in (left, right))
            if name == last:
                found[-1] = (name, found[-1][1], right, max(found[-1][3], lead))
            else:
                found.append((name, left, right, lead))
    return [Stretch(name, math.exp(left), math.exp(right), lead) for name, left, right, lead in found]


def confusions(matrix: list[list[int]]) -> list[tuple[int, int, int, float]]:
    """Confusions by decreasing count: true class, predicted class, count, and proportion of the true class.

    Example:
        >>> confusions([[8, 2], [0, 5]])
        [(0, 1, 2, 0.2)]
    """
    pairs = [(i, j, n, n / sum(row)) for i, row in enumerate(matrix) for j, n in enumerate(row) if n and i != j]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3]))


def _crossings(lines: Iterable[list[Triple]], start: float, end: float) -> Iterator[float]:
    """Intersections of two of the lines inside an interval."""
    for one, other in combinations(lines, 2):
        before, after = (_interpolate(one, x)[0] - _interpolate(other, x)[0] for x in (start, end))
        if before * after < 0:
            yield start + (end - start) * before / (before - after)


def _interpolate(line: list[Triple], x: float) -> tuple[float, float]:
    """Value and spread at x by linear interpolation."""
    for (x0, y0, s0), (x1, y1, s1) in zip(line, line[1:], strict=False):
        if x <= x1:
            part = (x - x0) / (x1 - x0)
            return y0 + part * (y1 - y0), s0 + part * (s1 - s0)
    return line[-1][1], line[-1][2]


def _margin(lines: dict[str, list[Triple]], name: str, x: float) -> float:
    """How far a line is below the next one, in units of the combined spread."""
    value, spread = _interpolate(lines[name], x)
    gap, other_spread = min((y - value, s) for n, c in lines.items() if n != name for y, s in [_interpolate(c, x)])
    error = math.hypot(spread, other_spread)
    return gap / error if error else math.inf if gap > 0 else 0.0
