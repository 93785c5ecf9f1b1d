"""Log-likelihoods of held-out examples, and what they are worth in bits."""

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


@contextmanager
def own_noise(batch: Batch, seed: int) -> Iterator[None]:
    """Inside, the noise of each example depends on the seed and on what is seen of the example alone.

    An image is then as likely, and of the same class, wherever it stands and whatever stands beside it.
    """
    seen = batch.visible.detach().float().cpu().flatten(1).contiguous().numpy()
    masks = [b""] * len(batch)
    if batch.mask is not None:
        masks = [row.tobytes() for row in batch.mask.expand_as(batch.x).flatten(1).cpu().numpy()]
    # A zero is the same with either sign.
    keys = [
        blake2b((row + 0.0).tobytes() + mask, digest_size=16).digest() for row, mask in zip(seen, masks, strict=True)
    ]
    with seeds.drawing(seeds.Keyed(seed, keys, batch.x.device)):
        yield


@torch.no_grad()
def likelihoods(model: Scores, batches: Iterable[Batch], *, samples: int, seed: int) -> NDArray[np.float64]:
    """log p(x | y) of every example in nats, (N,); the noise of each depends on the seed and the example alone."""
    values = []
    for batch in batches:
        with own_noise(batch, seed):
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
