"""Estimates with standard errors, and checks of feature and label arrays.

Every metric of samples has a standard error: an exact one if there is one, else that of a bootstrap over examples. It
measures the uncertainty from the finite number of examples, not the variation between training runs.

A proportion p of n examples has a Wilson interval, the set of q with (p − q)² ≤ z² q(1 − q)/n,

    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

which stays within [0, 1] and has positive width even at p = 0 and p = 1 (*Probable Inference, the Law of
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
    """An estimate and its standard error, in the same units.

    Arguments:
        value: the estimate.
        error: its standard error.
        low: lower end of the 95 % confidence interval, for a proportion.
        high: upper end.
    """

    value: float
    error: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Plain data: None for an unknown error; interval ends only if known."""
        found = {"value": self.value, "error": self.error if math.isfinite(self.error) else None}
        return found if self.low is None else {**found, "low": self.low, "high": self.high}


def check_features(least: int, **named: ArrayLike) -> list[Floats]:
    """Feature arrays as float64, checked: at least `least` rows, equal widths, all values finite."""
    tables = []
    for name, values in named.items():
        table = np.asarray(values, np.float64)
        if table.ndim != 2 or not table.shape[1]:
            raise ValueError(f"{name} has shape {table.shape}, wanted (examples, features)")
        if len(table) < least:
            raise ValueError(f"{name} has too few examples: {len(table)}, wanted {least} or more")
        if not np.isfinite(table).all():
            raise ValueError(f"NaN or infinity in {name}")
        tables.append(table)
    if len({table.shape[1] for table in tables}) > 1:
        widths = ", ".join(f"{table.shape[1]} of {name}" for name, table in zip(named, tables, strict=True))
        raise ValueError(f"different numbers of features: {widths}")
    return tables


def check_labels(values: ArrayLike, name: str, classes: int | None = None) -> Whole:
    """Class indices as int64, checked: integers from 0, below `classes` if given."""
    labels = np.asarray(values)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(f"{name} has shape {labels.shape} and type {labels.dtype}, wanted integers (examples,)")
    labels = labels.astype(np.int64)
    if labels.size and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        span = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise ValueError(f"{name} contains {labels.min()} to {labels.max()}, wanted {span}")
    return labels


def proportion(flags: NDArray[np.bool_] | Floats) -> Estimate:
    """The proportion of true values, with its Wilson interval.

    Example:
        >>> found = proportion(np.ones(10, bool))
        >>> found.value, round(found.error, 3), round(found.low, 3), found.high
        (1.0, 0.045, 0.722, 1.0)
    """
    p, n = float(flags.mean()), len(flags)
    low, high = wilson(p, n, 1.0)
    return Estimate(p, (high - low) / 2, *wilson(p, n))


def mean_proportion(shares: Sequence[Estimate]) -> Estimate:
    """The mean of proportions of disjoint sets of examples.

    Distances to the interval ends are combined as roots of sums of squares (*Interval
    Estimation for the Difference between Independent Proportions (Newcombe, 1998)*).
    """
    value, n = sum(s.value for s in shares) / len(shares), len(shares)
    below = math.hypot(*(s.value - s.low for s in shares if s.low is not None)) / n
    above = math.hypot(*(s.high - s.value for s in shares if s.high is not None)) / n
    return Estimate(value, math.hypot(*(s.error for s in shares)) / n, max(0.0, value - below), min(1.0, value + above))
