"""Numbers with their errors, and what they are made of: tables of features and of labels.

Every number that is said of drawn examples comes with its standard error: an exact one where there is one, else that of
a bootstrap over examples. The errors are those of the examples given; how much another training run would differ, they
do not say.

A proportion p of n examples has Wilson's interval beside it, those q for which (p − q)² ≤ z² q(1 − q)/n,

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

which stays within 0 and 1 and has a width at both ends, where √(p(1 − p)/n) is 0 (*Probable Inference, the Law of
Succession, and Statistical Inference (Wilson, 1927)*). Its standard error is half of the interval with z = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisei.metrics.significance import wilson

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error, in the same units.

    Arguments:
        value: the number.
        error: its standard error.
        low: the lower end of the 95 % interval of a proportion.
        high: the upper end.
    """

    value: float
    error: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As plain data: an error that is not known is None; ends where there are any."""
        found = {"value": self.value, "error": self.error if math.isfinite(self.error) else None}
        return found if self.low is None else {**found, "low": self.low, "high": self.high}


def features_of(least: int, **named: ArrayLike) -> list[Floats]:
    """Tables of float64, each of `least` rows or more, all finite and of one width."""
    tables = []
    for name, given in named.items():
        table = np.asarray(given, np.float64)
        if table.ndim != 2 or not table.shape[1]:
            raise ValueError(f"{name} is of shape {table.shape}, wanted (examples, features)")
        if len(table) < least:
            raise ValueError(f"{name} has too few examples: {len(table)}, wanted {least} or more")
        if not np.isfinite(table).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        tables.append(table)
    if len({table.shape[1] for table in tables}) > 1:
        widths = ", ".join(f"{table.shape[1]} of {name}" for name, table in zip(named, tables, strict=True))
        raise ValueError(f"different numbers of features: {widths}")
    return tables


def labels_of(given: ArrayLike, name: str, classes: int | None = None) -> Whole:
    """Class numbers, below `classes` where that is told."""
    labels = np.asarray(given)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(f"{name} is of shape {labels.shape} and type {labels.dtype}, wanted whole numbers (examples,)")
    labels = labels.astype(np.int64)
    if labels.size and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        span = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise ValueError(f"{name} holds {labels.min()} to {labels.max()}, wanted {span}")
    return labels


def share_of(flags: NDArray[np.bool_] | Floats) -> Estimate:
    """Of how many examples something is true.

    Example:
        >>> found = share_of(np.ones(10, bool))
        >>> found.value, round(found.error, 3), round(found.low, 3), found.high
        (1.0, 0.045, 0.722, 1.0)
    """
    p, n = float(flags.mean()), len(flags)
    low, high = wilson(p, n, 1.0)
    return Estimate(p, (high - low) / 2, *wilson(p, n))


def mean_of_shares(shares: Sequence[Estimate]) -> Estimate:
    """The mean of proportions of different examples.

    Its ends are as far away as those of the proportions are together: the square roots of sums of squares (*Interval
    Estimation for the Difference between Independent Proportions (Newcombe, 1998)*).
    """
    value, n = sum(s.value for s in shares) / len(shares), len(shares)
    below = math.hypot(*(s.value - s.low for s in shares if s.low is not None)) / n
    above = math.hypot(*(s.high - s.value for s in shares if s.high is not None)) / n
    return Estimate(value, math.hypot(*(s.error for s in shares)) / n, max(0.0, value - below), min(1.0, value + above))
