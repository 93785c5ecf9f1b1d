"""What a likelihood of an example counts: its values, in its own units."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Measure:
    """How a log-likelihood of N examples, in model input, is to be read.

    Arguments:
        counts: stored values per example, (N,), that bits are divided by; None for values that are no finite set of
            levels, of which only densities exist.
        log_volume: log of the volume of a unit of model input in the data's own units, (N,): log p in these units is
            smaller by it; None for 0.
        per: what one of the values is called.
        units: of the values that a density is of.
    """

    counts: Tensor | None
    log_volume: Tensor | None = None
    per: str = "dimension"
    units: str = "values from 0 to 1"
