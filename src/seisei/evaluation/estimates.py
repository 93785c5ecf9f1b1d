"""Numbers with their errors, and what they are made of: tables of features and of labels.

Every number that is said of drawn examples comes with its standard error: an exact one where there is one, else that of
a bootstrap over examples. The errors are those of the examples given; how much another training run would differ, they
do not say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error, in the same units."""

    value: float
    error: float


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


def share_of(flags: NDArray[np.bool_]) -> Estimate:
    """Of how many examples something is true."""
    p = float(flags.mean())
    return Estimate(p, math.sqrt(p * (1 - p) / len(flags)))
