"""Gaussian mixture components with missing values: common EM interface, and diagonal covariance.

A component m has log N(x; μ_m, C_m). With x_o the observed values, the marginal is N(x_o; μ_o, C_oo): dropping the rows
and columns of missing values is exact, and nothing is imputed. The E step accumulates, with responsibilities r, the
moments

    N = Σ r,   Σ r E[x | x_o],   Σ r E[x xᵀ | x_o]

about a fixed point, the component's old mean, since a difference of large numbers would lose precision.

References: *Maximum Likelihood from Incomplete Data via the EM Algorithm (Dempster, Laird, Rubin, 1977)*; low rank:
    *Mixtures of Probabilistic Principal Component Analysers (Tipping, Bishop, 1999)*.

Shapes: x (B, d); observed (B, d) bool, or None for all; r (B, m); components are numbered 0 … M − 1, and `at` is a
    slice of m of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import LOG_2PI
from seisei.spec import Range, listed

Count = Annotated[int, Range(ge=1, le=10**7)]
Dimension = Annotated[int, Range(ge=0, le=10**6)]
Share = Annotated[float, Range(ge=0, le=1)]
Rows = Annotated[float, Range(ge=0, le=1e9)]
Precision = Literal["single", "double"]
EVERY = slice(None)
# Largest number of elements of a table over rows and components.
ROOM = 1 << 25
# A variance below the first, as a share of the average, counts as constant; the second is the smallest variance, in
# units of x².
FLAT, LEAST = 1e-6, 1e-12


class Gaussians(nn.Module, ABC):
    """M Gaussian components over d numbers: base class of `Diagonal`, `Full` and `PPCA`.

    Arguments:
        count: M.
        dim: d.
        shrinkage: weight of the isotropic covariance of equal trace in each covariance, which keeps covariances of few
            rows, or of constant pixels, invertible. Up to 1e-6 it only acts as a floor: then, and for columns constant
            within a component, the trace is the average over all components, since otherwise the component with the
            largest trace would get every row in which such a column changes.
        pseudo_count: number of pseudo-observations with the average variance added to each component, which keeps
            components of few rows from overconfidence.
        precision: single or double.
    """

    mean: Tensor
    # Rows per component used by `begin`: a few suffice if the first EM step reaches the maximum anyway.
    looked_at = 200
    # Whether `gather` accepts rows of all components at once, weighted by r.
    pooled = False

    def __init__(self, count: int, dim: int, shrinkage: float, pseudo_count: float, precision: str) -> None:
        super().__init__()
        self.count, self.dim, self.shrinkage, self.pseudo_count = count, dim, shrinkage, pseudo_count
        self.dtype = torch.float64 if precision == "double" else torch.float32
        self.register_buffer("mean", torch.zeros(count, dim, dtype=self.dtype))

    @abstractmethod
    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """log N(x_o; μ_o, C_oo) of every component, (B, m); 0 for a row without observed values."""

    @abstractmethod
    def begin(self, m: int, x: Tensor) -> None:
        """Initialize component m from the rows of its initial cluster, (n, d)."""

    @abstractmethod
    def moments(self) -> list[Tensor]:
        """Zero moments for `gather` to add to: N, then those of the subclass."""

    @abstractmethod
    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add the moments of these rows (E step)."""

    @abstractmethod
    def update(self, moments: list[Tensor]) -> None:
        """M step: maximize the expected log-likelihood given the moments of all components."""

    @abstractmethod
    def sample(self, components: Tensor) -> Tensor:
        """One sample from each of these components: (n,) to (n, d)."""

    def _with_pseudo_count(self, variance: Tensor, n: Tensor, average: Tensor) -> Tensor:
        """Variances of n rows after adding `pseudo_count` pseudo-observations of the average variance.

        Constant columns use the mean n: their variance would otherwise depend on the size of the component alone, and
        decide its posterior.
        """
        if not self.pseudo_count:
            return variance
        n = torch.where(variance > FLAT * average, n, n.mean())
        return (n * variance + self.pseudo_count * average) / (n + self.pseudo_count)

    def _spread(self, x: Tensor) -> Tensor:
        """Shrunk variance of each column, (d,)."""
        variance = x.var(0, correction=0) if x.numel() else torch.ones_like(self.mean[0])
        return self._shrunk(variance, variance.mean())

    def _shrunk(self, variance: Tensor, average: Tensor) -> Tensor:
        # A constant column has no density: its variance stays above rounding error.
        return ((1 - self.shrinkage) * variance + self.shrinkage * average).clamp_min(LEAST)

    def _shrinkage_target(self, variance: Tensor, average: Tensor) -> Tensor:
        """Shrinkage target of each variance (m, d): the component's average, or that of all (see `shrinkage`)."""
        own = variance.mean(1, keepdim=True)
        if self.shrinkage <= FLAT:
            return average.expand_as(variance)
        return torch.where(variance > FLAT * average, own, average)


@listed
class Diagonal(Gaussians):
    """Diagonal covariance: independent columns, as in Gaussian naive Bayes.

    Example:
        >>> part = Diagonal(2, 3)
        >>> part.log_prob(torch.zeros(4, 3, dtype=torch.float64)).shape
        torch.Size([4, 2])
    """

    variance: Tensor

    def __init__(
        self,
        count: Count,
        dim: Dimension,
        shrinkage: Share = 1e-6,
        pseudo_count: Rows = 0.0,
        precision: Precision = "double",
    ) -> None:
        super().__init__(count, dim, shrinkage, pseudo_count, precision)
        self.register_buffer("variance", torch.ones_like(self.mean))

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """−½ Σ_observed [(x − μ)²/v + log 2πv]."""
        mean, variance = self.mean[at], self.variance[at]
        seen = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        center = mean.mean(0)
        x, mean = (x - center) * seen, mean - center
        constant = mean.square() / variance + torch.log(variance) + LOG_2PI
        return -0.5 * (x.square() @ (1 / variance).T + seen @ constant.T) + x @ (mean / variance).T

    def begin(self, m: int, x: Tensor) -> None:
        """Initialize with the mean and variances of the rows."""
        self.mean[m], self.variance[m] = x.mean(0), self._spread(x)

    def moments(self) -> list[Tensor]:
        """Zero N, Σ r (x − μ) and Σ r (x − μ)² about the old means, missing values replaced by expectations."""
        return [self.mean.new_zeros(self.count), torch.zeros_like(self.mean), torch.zeros_like(self.mean)]

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add the moments of these rows, by matrix products."""
        mean, variance = self.mean[at], self.variance[at]
        total, center = r.sum(0), mean.mean(0)
        moments[0][at] += total
        # Centered near all means, so that squares of large numbers are not subtracted from each other.
        x, mean = x - center, mean - center
        if observed is None:
            weight = total.unsqueeze(1)
        else:
            seen = observed.to(x.dtype)
            x, weight = x * seen, r.T @ seen
        first = r.T @ x
        second = r.T @ x.square() - 2 * mean * first + mean.square() * weight
        # A missing value has expectation μ and variance v.
        moments[1][at] += first - mean * weight
        moments[2][at] += second + variance * (total.unsqueeze(1) - weight)

    def update(self, moments: list[Tensor]) -> None:
        """M step: weighted means and variances."""
        total, first, second = moments
        alive = total > 0
        n = total[alive].unsqueeze(1)
        shift = first[alive] / n
        variance = (second[alive] / n - shift.square()).clamp_min(0)
        average = (n * variance).sum() / (n.sum() * self.dim).clamp_min(1e-12)
        variance = self._with_pseudo_count(variance, n, average)
        self.mean[alive] += shift
        self.variance[alive] = self._shrunk(variance, self._shrinkage_target(variance, average))

    def sample(self, components: Tensor) -> Tensor:
        """μ + √v ε."""
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        return self.mean[components] + self.variance[components].sqrt() * noise


def by_pattern(observed: Tensor | None, width: int, like: Tensor | None = None) -> list[tuple[slice, Tensor, Tensor]]:
    """Split rows into chunks that fit in memory: (slice, unique mask patterns, pattern of each row).

    Arguments:
        observed: (B, d), None for all.
        width: elements per pattern or row.
        like: x, needed if `observed` is None.
    """
    if observed is None:
        assert like is not None
        every = torch.ones(1, like.shape[1], dtype=torch.bool, device=like.device)
        size = max(1, ROOM // max(1, like.shape[1]))
        rows = [slice(i, i + size) for i in range(0, len(like), size)]
        return [(s, every, torch.zeros(len(like[s]), dtype=torch.long, device=like.device)) for s in rows]
    size = max(1, ROOM // max(1, width))
    parts = []
    for start in range(0, len(observed), size):
        rows_ = slice(start, start + size)
        patterns, which = torch.unique(observed[rows_], dim=0, return_inverse=True)
        parts.append((rows_, patterns, which))
    return parts
