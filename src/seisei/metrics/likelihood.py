"""Log-likelihoods of held-out examples, in nats and in bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

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
        bits: −log2 p(x) per value of x, (N,), for a likelihood over discrete values; None for a density.
        samples: number of importance samples; 0 if the model uses none.
        bound: whether `nats` are lower bounds.
        joint: log p(x, y) of each example with its label, (N,), if the model has it; NaN without a label.
        units: units of x.
        per: noun for the value that `bits` refer to.
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
        """A description of the values."""
        if not self.bound:
            return "exact log-likelihood" if self.bits is not None else f"exact log-density, in {self.units}"
        if not self.samples:
            return "lower bound from the encoder's codes: the true log-likelihood is at least this"
        return f"importance-weighted lower bound, K = {self.samples}: the true log-likelihood is at least this"


@contextmanager
def per_example_noise(batch: Batch, seed: int) -> Iterator[None]:
    """A context in which the noise of each example depends only on the seed and on the example's observed values.

    Likelihoods and predictions are then independent of the order and the batch of an example.
    """
    observed = batch.visible.detach().float().cpu().flatten(1).contiguous().numpy()
    masks = [b""] * len(batch)
    if batch.mask is not None:
        masks = [row.tobytes() for row in batch.mask.expand_as(batch.x).flatten(1).cpu().numpy()]
    # Adding 0.0 makes −0.0 and 0.0 equal.
    keys = [
        blake2b((row + 0.0).tobytes() + mask, digest_size=16).digest()
        for row, mask in zip(observed, masks, strict=True)
    ]
    with seeds.drawing(seeds.Keyed(seed, keys, batch.x.device)):
        yield


@torch.no_grad()
def likelihoods(model: Scores, batches: Iterable[Batch], *, samples: int, seed: int) -> NDArray[np.float64]:
    """log p(x | y) of every example in nats, (N,), independent of order and batch size."""
    values = []
    for batch in batches:
        with per_example_noise(batch, seed):
            values.append(model.log_prob(batch, samples=samples).double())
    return torch.cat(values).numpy()


def bits_per_dimension(nats: NDArray[np.float64], values: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Bits per dimension, −log p / (D ln 2), for a likelihood over discrete values.

    The number of values D may differ between examples.

    Example:
        >>> bits_per_dimension(np.array([-64 * np.log(256)]), 64).tolist()
        [8.0]
    """
    return -nats / (values * math.log(2))


def mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
