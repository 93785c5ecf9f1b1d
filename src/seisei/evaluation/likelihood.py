"""Log-likelihoods of held-out examples, and what they are worth in bits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seisei import seeds
from seisei.batch import Batch
from seisei.capabilities import Scores


@dataclass(frozen=True)
class Likelihood:
    """The log-likelihood of each example.

    Arguments:
        nats: log p(x), (N,).
        bits: −log2 p(x) per value of x, (N,), of a model whose likelihood is that of stored values; a density has
            none.
        samples: importance samples behind each; 0 where none are drawn.
        bound: True when `nats` are lower bounds.
        joint: log p(x, y) of each example with its own label, where the model gives it, (N,); NaN where the label is
            not known.
        units: what the numbers of x are measured in.
        per: what one of the values is called, of which `bits` are told.
    """

    nats: NDArray[np.float64]
    bits: NDArray[np.float64] | None
    samples: int
    bound: bool
    joint: NDArray[np.float64] | None = None
    units: str = "stored values"
    per: str = "dimension"

    @property
    def meaning(self) -> str:
        """What the numbers are, in words."""
        if not self.bound:
            return "exact log-likelihood" if self.bits is not None else f"exact log-density, in {self.units}"
        if not self.samples:
            return "lower bound, by the codes that the encoder chooses: the true log-likelihood is at least this"
        return f"importance-weighted lower bound, K = {self.samples}: the true log-likelihood is at least this"


@torch.no_grad()
def likelihoods(model: Scores, batches: Iterable[Batch], *, samples: int, seed: int) -> NDArray[np.float64]:
    """log p(x | y) of every example in nats, (N,); the noise of a batch depends on the seed and its number alone."""
    values = []
    for number, batch in enumerate(batches):
        with seeds.seeded(seed, "likelihood", number):
            values.append(model.log_prob(batch, samples=samples).double())
    return torch.cat(values).numpy()


def bits_per_dimension(nats: NDArray[np.float64], values: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """−log p / (D ln 2): bits that a value of x costs, for a likelihood over stored (discrete) values.

    Examples may have a number of values each.

    Example:
        >>> bits_per_dimension(np.array([-64 * np.log(256)]), 64).tolist()
        [8.0]
    """
    return -nats / (values * math.log(2))


def mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean, and its standard error over examples."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
