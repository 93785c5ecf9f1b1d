"""Components of a mixture: Gaussians over numbers of which some may be missing, with three forms of covariance.

A component m has log N(x; μ_m, C_m). With x_o the values that were observed, the marginal is N(x_o; μ_o, C_oo): leaving
out the rows and columns of what is missing is exact, and nothing is filled in. An update of expectation-maximization
gathers, with responsibilities r, the moments

    N = Σ r,   Σ r E[x | x_o],   Σ r E[x xᵀ | x_o]

about a fixed point, the component's old mean, since a difference of large numbers would lose what is sought.

References: *Maximum Likelihood from Incomplete Data via the EM Algorithm (Dempster, Laird, Rubin, 1977)*; low rank:
*Mixtures of Probabilistic Principal Component Analysers (Tipping, Bishop, 1999)*.

Shapes: x (B, d); observed (B, d) bool or None for all; r (B, m); components are numbered 0 … M − 1, and `at` is the
slice of those in question, m of them.
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
# Numbers that a table for each row and component may take at once.
ROOM = 1 << 25
# A variance below this share of the average is that of a constant; none is below the second, in units of x.
FLAT, LEAST = 1e-6, 1e-12


class Gaussians(nn.Module, ABC):
    """M Gaussian components over d numbers: what `Diagonal`, `Full` and `PPCA` have in common.

    Arguments:
        count: M.
        dim: d.
        shrinkage: share of the way from each covariance to the isotropic one of the same trace: what keeps a
            covariance of few rows, or of pixels that never change, invertible. Up to 1e-6 it is a floor and nothing
            more: then, and for what never changes in a component, the trace is the average over all components, since
            otherwise the component with the largest trace would get every row in which a constant has changed.
        pseudo_count: rows of a round cloud, as wide as all components are on average, that are added to each: what
        keeps
            one of few rows from being sure of itself.
        precision: of the arithmetic.
    """

    mean: Tensor
    # Rows of a component that `begin` should see: a few are enough where the first round ends at the maximum anyway.
    looked_at = 200
    # Whether rows of all components can be gathered together, each with its share in every one.
    pooled = False

    def __init__(self, count: int, dim: int, shrinkage: float, pseudo_count: float, precision: str) -> None:
        super().__init__()
        self.count, self.dim, self.shrinkage, self.pseudo_count = count, dim, shrinkage, pseudo_count
        self.dtype = torch.float64 if precision == "double" else torch.float32
        self.register_buffer("mean", torch.zeros(count, dim, dtype=self.dtype))

    @abstractmethod
    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """log N(x_o; μ_o, C_oo) of every component, (B, m); 0 for a row of which nothing was observed."""

    @abstractmethod
    def begin(self, m: int, x: Tensor) -> None:
        """Start component m from the complete rows of its first cluster, (n, d)."""

    @abstractmethod
    def moments(self) -> list[Tensor]:
        """Moments of no rows at all, for `gather` to add to: N, then those of this form."""

    @abstractmethod
    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add these rows to the moments."""

    @abstractmethod
    def update(self, moments: list[Tensor]) -> None:
        """Take the parameters that maximize the expected log-likelihood with these moments of all components."""

    @abstractmethod
    def sample(self, components: Tensor) -> Tensor:
        """One draw of each of these components: (n,) to (n, d)."""

    def _lent(self, variance: Tensor, n: Tensor, average: Tensor) -> Tensor:
        """Variances of n rows after `pseudo_count` rows of the average variance were added.

        What never changes in a component would otherwise vary the more the fewer its rows are, and decide by that.
        """
        if not self.pseudo_count:
            return variance
        n = torch.where(variance > FLAT * average, n, n.mean())
        return (n * variance + self.pseudo_count * average) / (n + self.pseudo_count)

    def _spread(self, x: Tensor) -> Tensor:
        """The variance of each number over rows, shrunk as a covariance is; (d,)."""
        variance = x.var(0, correction=0) if x.numel() else torch.ones_like(self.mean[0])
        return self._shrunk(variance, variance.mean())

    def _shrunk(self, variance: Tensor, average: Tensor) -> Tensor:
        # A number that never changes has no density: its variance stays above rounding's.
        return ((1 - self.shrinkage) * variance + self.shrinkage * average).clamp_min(LEAST)

    def _goal(self, variance: Tensor, average: Tensor) -> Tensor:
        """What each variance (m, d) is shrunk to: its component's average, or that of all (see `shrinkage`)."""
        own = variance.mean(1, keepdim=True)
        if self.shrinkage <= FLAT:
            return average.expand_as(variance)
        return torch.where(variance > FLAT * average, own, average)


@listed
class Diagonal(Gaussians):
    """Independent numbers: what naive Bayes and a mixture of round clusters are made of.

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
        """The mean and the variances of the rows."""
        self.mean[m], self.variance[m] = x.mean(0), self._spread(x)

    def moments(self) -> list[Tensor]:
        """N, Σ r (x − μ) and Σ r (x − μ)² about the old means, missing numbers by their expectations."""
        return [self.mean.new_zeros(self.count), torch.zeros_like(self.mean), torch.zeros_like(self.mean)]

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add these rows to the moments, by products alone."""
        mean, variance = self.mean[at], self.variance[at]
        total, center = r.sum(0), mean.mean(0)
        moments[0][at] += total
        # About a point near all means, so that squares of large numbers are not subtracted from each other.
        x, mean = x - center, mean - center
        if observed is None:
            weight = total.unsqueeze(1)
        else:
            seen = observed.to(x.dtype)
            x, weight = x * seen, r.T @ seen
        first = r.T @ x
        second = r.T @ x.square() - 2 * mean * first + mean.square() * weight
        # What is missing has its mean where it was, and its variance.
        moments[1][at] += first - mean * weight
        moments[2][at] += second + variance * (total.unsqueeze(1) - weight)

    def update(self, moments: list[Tensor]) -> None:
        """The weighted means and variances."""
        total, first, second = moments
        alive = total > 0
        n = total[alive].unsqueeze(1)
        shift = first[alive] / n
        variance = (second[alive] / n - shift.square()).clamp_min(0)
        average = (n * variance).sum() / (n.sum() * self.dim).clamp_min(1e-12)
        variance = self._lent(variance, n, average)
        self.mean[alive] += shift
        self.variance[alive] = self._shrunk(variance, self._goal(variance, average))

    def sample(self, components: Tensor) -> Tensor:
        """μ + √v ε."""
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        return self.mean[components] + self.variance[components].sqrt() * noise


def by_pattern(observed: Tensor | None, width: int, like: Tensor | None = None) -> list[tuple[slice, Tensor, Tensor]]:
    """Rows in consecutive parts small enough to work on at once: the part, its different patterns, each row's.

    Arguments:
        observed: (B, d), None for all.
        width: numbers that one pattern, or row, takes.
        like: x, where `observed` may be None.
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
