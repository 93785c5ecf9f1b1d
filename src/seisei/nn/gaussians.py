"""Components of a mixture: Gaussians over numbers of which some may be missing, with three forms of covariance.

A component m has log N(x; μ_m, C_m). With x_o the values that were observed, the marginal is N(x_o; μ_o, C_oo): leaving
out the rows and columns of what is missing is exact, and nothing is filled in. An update of expectation-maximisation
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
Precision = Literal["single", "double"]
EVERY = slice(None)
# Numbers that a table for each row and component may take at once.
ROOM = 1 << 25


class Gaussians(nn.Module, ABC):
    """M Gaussian components over d numbers: what `Diagonal`, `Full` and `LowRank` have in common.

    Arguments:
        count: M.
        dim: d.
        shrinkage: share of the way from each covariance to the isotropic one of the same trace: what keeps a
            covariance of few rows, or of pixels that never change, invertible.
        precision: of the arithmetic.
    """

    mean: Tensor
    # Rows of a component that `begin` should see: a few are enough where the first round ends at the maximum anyway.
    looked_at = 200

    def __init__(self, count: int, dim: int, shrinkage: float, precision: str) -> None:
        super().__init__()
        self.count, self.dim, self.shrinkage = count, dim, shrinkage
        self.dtype = torch.float64 if precision == "double" else torch.float32
        self.register_buffer("mean", torch.zeros(count, dim, dtype=self.dtype))

    @abstractmethod
    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """log N(x_o; μ_o, C_oo) of every component, (B, m); 0 for a row of which nothing was observed."""

    @abstractmethod
    def begin(self, m: int, x: Tensor) -> None:
        """Start component m from the complete rows of its first cluster, (n, d)."""

    @abstractmethod
    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice = EVERY) -> list[Tensor]:
        """The moments of these rows, each with the component first: N, then those of this form."""

    @abstractmethod
    def update(self, moments: list[Tensor]) -> None:
        """Take the parameters that maximise the expected log-likelihood with these moments of all components."""

    @abstractmethod
    def sample(self, components: Tensor) -> Tensor:
        """One draw of each of these components: (n,) to (n, d)."""

    def moments(self) -> list[Tensor]:
        """Moments of no rows at all, to be added to."""
        nothing = self.mean.new_zeros(0, self.dim)
        return self.gather(nothing, None, self.mean.new_zeros(0, self.count))

    def _spread(self, x: Tensor) -> Tensor:
        """The variance of each number over rows, shrunk as a covariance is; (d,)."""
        variance = x.var(0, correction=0) if len(x) else torch.ones_like(self.mean[0])
        return self._shrunk(variance, variance.mean())

    def _shrunk(self, variance: Tensor, average: Tensor) -> Tensor:
        # A number that never changes has no density: its variance stays above rounding's.
        return ((1 - self.shrinkage) * variance + self.shrinkage * average).clamp_min(1e-12)


@listed
class Diagonal(Gaussians):
    """Independent numbers: what naive Bayes and a mixture of round clusters are made of.

    Example:
        >>> part = Diagonal(2, 3)
        >>> part.log_prob(torch.zeros(4, 3, dtype=torch.float64)).shape
        torch.Size([4, 2])
    """

    variance: Tensor

    def __init__(self, count: Count, dim: Dimension, shrinkage: Share = 1e-6, precision: Precision = "double") -> None:
        super().__init__(count, dim, shrinkage, precision)
        self.register_buffer("variance", torch.ones_like(self.mean))

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """−½ Σ_observed [(x − μ)²/v + log 2πv]."""
        mean, variance = self.mean[at], self.variance[at]
        seen = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        centre = mean.mean(0)
        x, mean = (x - centre) * seen, mean - centre
        constant = mean.square() / variance + torch.log(variance) + LOG_2PI
        return -0.5 * (x.square() @ (1 / variance).T + seen @ constant.T) + x @ (mean / variance).T

    def begin(self, m: int, x: Tensor) -> None:
        """The mean and the variances of the rows."""
        self.mean[m], self.variance[m] = x.mean(0), self._spread(x)

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice = EVERY) -> list[Tensor]:
        """N, Σ r (x − μ) and Σ r (x − μ)² about the old means, missing numbers by their expectations."""
        mean, variance = self.mean[at], self.variance[at]
        total = r.sum(0)
        seen = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        weight, first = r.T @ seen, r.T @ (x * seen)
        second = r.T @ (x.square() * seen) - 2 * mean * first + mean.square() * weight
        # What is missing has its mean where it was, and its variance.
        return [total, first - mean * weight, second + variance * (total.unsqueeze(1) - weight)]

    def update(self, moments: list[Tensor]) -> None:
        """The weighted means and variances."""
        total, first, second = moments
        alive = total > 0
        n = total[alive].unsqueeze(1)
        shift = first[alive] / n
        variance = second[alive] / n - shift.square()
        self.mean[alive] += shift
        self.variance[alive] = self._shrunk(variance.clamp_min(0), variance.mean(1, keepdim=True))

    def sample(self, components: Tensor) -> Tensor:
        """μ + √v ε."""
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        return self.mean[components] + self.variance[components].sqrt() * noise


@listed
class Full(Gaussians):
    """A whole covariance for each component, or, tied, one for all: quadratic and linear discriminant analysis.

    Arguments:
        count: M.
        dim: d.
        shrinkage: see `Gaussians`.
        tied: one covariance, the average of all by their weights.
        precision: of the arithmetic.
    """

    factor: Tensor

    def __init__(
        self,
        count: Count,
        dim: Dimension,
        shrinkage: Share = 1e-3,
        tied: bool = False,
        precision: Precision = "double",
    ) -> None:
        super().__init__(count, dim, shrinkage, precision)
        self.tied = tied
        self.register_buffer("factor", torch.eye(dim, dtype=self.dtype).repeat(1 if tied else count, 1, 1))

    def _factor(self, at: slice) -> Tensor:
        """L of C = L Lᵀ: (m or 1, d, d)."""
        return self.factor if self.tied else self.factor[at]

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """−½ ‖L⁻¹(x − μ)‖² − Σ log L_ii − (d/2) log 2π."""
        mean, factor = self.mean[at], self._factor(at)
        if observed is not None and not bool(observed.all()):
            return self._log_prob_of_some(x, observed, mean, factor)
        whiten = torch.linalg.solve_triangular(factor, torch.eye(self.dim, dtype=self.dtype).to(x.device), upper=False)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        if self.tied:
            z, centres = x @ whiten[0].T, mean @ whiten[0].T
            square = torch.cdist(z, centres, compute_mode="donot_use_mm_for_euclid_dist").square()
        else:
            square = torch.stack([((x - mu) @ w.T).square().sum(1) for mu, w in zip(mean, whiten, strict=True)], 1)
        return -0.5 * (square + self.dim * LOG_2PI) - log_det

    def _log_prob_of_some(self, x: Tensor, observed: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
        found = []
        for rows, patterns, which in _by_pattern(observed, len(mean) * self.dim**2):
            seen = observed[rows]
            inner, _ = _observed_factor(factor @ factor.mT, patterns)
            difference = (x[rows].unsqueeze(1) - mean) * seen.unsqueeze(1)  # (b, m, d)
            chosen = inner[which].expand(-1, len(mean), -1, -1)
            z = torch.linalg.solve_triangular(chosen, difference.unsqueeze(-1), upper=False).squeeze(-1)
            log_det = inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)[which]
            found.append(-0.5 * (z.square().sum(-1) + seen.sum(1, keepdim=True) * LOG_2PI) - log_det)
        return torch.cat(found) if found else x.new_zeros(0, len(mean))

    def linear(self) -> tuple[Tensor, Tensor] | None:
        """(d, M) weights and (M,) biases that give log N up to what all components share, where the form is tied.

        C⁻¹μ_m and −½ μ_mᵀC⁻¹μ_m: the surfaces between classes are planes.
        """
        if not self.tied:
            return None
        weight = torch.cholesky_solve(self.mean.T, self.factor[0])
        return weight, -0.5 * (self.mean.T * weight).sum(0)

    def begin(self, m: int, x: Tensor) -> None:
        """The mean, and the variances on the diagonal."""
        self.mean[m] = x.mean(0)
        self.factor[0 if self.tied else m] = torch.diag(self._spread(x).sqrt())

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice = EVERY) -> list[Tensor]:
        """N, Σ r (x − μ) and Σ r E[(x − μ)(x − μ)ᵀ] about the old means."""
        mean = self.mean[at]
        total = r.sum(0)
        first, second = torch.zeros_like(mean), mean.new_zeros(len(mean), self.dim, self.dim)
        if observed is None or bool(observed.all()):
            for m, mu in enumerate(mean):
                centred = x - mu
                weighted = centred * r[:, m : m + 1]
                first[m], second[m] = weighted.sum(0), weighted.T @ centred
            return [total, first, second]
        covariance = self._factor(at) @ self._factor(at).mT
        for rows, patterns, which in _by_pattern(observed, len(mean) * self.dim**2):
            seen, weight = observed[rows].unsqueeze(1), r[rows]
            _, inverse = _observed_factor(covariance, patterns)
            regression = covariance @ inverse  # E[x − μ | x_o] = C (C_oo)⁻¹ (x − μ)_o, whole where observed
            centred = (regression[which] @ ((x[rows].unsqueeze(1) - mean) * seen).unsqueeze(-1)).squeeze(-1)
            first += torch.einsum("bm,bmd->md", weight, centred)
            second += torch.einsum("bm,bmd,bme->mde", weight, centred, centred)
            left = covariance - regression @ covariance  # Cov[x | x_o], 0 where observed
            shares = weight.new_zeros(len(patterns), weight.shape[1]).index_add_(0, which, weight)
            second += torch.einsum("um,umde->mde", shares, left.expand(-1, len(mean), -1, -1))
        return [total, first, second]

    def update(self, moments: list[Tensor]) -> None:
        """The weighted means and covariances, shrunk."""
        total, first, second = moments
        alive = total > 0
        n = total.clamp_min(1e-12)
        shift = first / n.unsqueeze(1)
        covariance = second / n[:, None, None] - shift.unsqueeze(2) * shift.unsqueeze(1)
        self.mean[alive] += shift[alive]
        if self.tied:
            covariance = ((total / total.sum())[:, None, None] * covariance).sum(0, keepdim=True)
        shrunk = self._factored(covariance)
        if self.tied:
            self.factor.copy_(shrunk)
        else:
            self.factor[alive] = shrunk[alive]

    def _factored(self, covariance: Tensor) -> Tensor:
        average = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None].clamp_min(1e-12)
        one = torch.eye(self.dim, dtype=self.dtype, device=covariance.device)
        shrunk = (1 - self.shrinkage) * covariance + self.shrinkage * average * one
        factor, trouble = torch.linalg.cholesky_ex(shrunk)
        # Numbers that depend on each other have no density either: the least that arithmetic can bear is added.
        least = 1e-10 if self.dtype == torch.float64 else 1e-5
        while bool(trouble.any()):
            factor, trouble = torch.linalg.cholesky_ex(shrunk + least * average * one)
            least *= 10
        return torch.as_tensor(factor)

    def sample(self, components: Tensor) -> Tensor:
        """μ + L ε."""
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        if self.tied:
            return self.mean[components] + noise @ self.factor[0].T
        drawn = torch.empty_like(noise)
        for m in torch.unique(components).tolist():
            chosen = components == m
            drawn[chosen] = self.mean[m] + noise[chosen] @ self.factor[m].T
        return drawn


@listed
class LowRank(Gaussians):
    """C = W Wᵀ + σ² 1 with W (d, q): probabilistic principal component analysis, for hundreds of numbers.

    With M = WᵀW + σ²1 = L Lᵀ and p = Wᵀ(x − μ), all that is needed is of size q:

        (x − μ)ᵀ C⁻¹ (x − μ) = (‖x − μ‖² − ‖L⁻¹p‖²)/σ²,   log |C| = (d − q) log σ² + log |M|.

    Arguments:
        count: M.
        dim: d.
        rank: q.
        shrinkage: see `Gaussians`; here it bounds σ² from below by this share of the average variance.
        precision: of the arithmetic.
    """

    weight: Tensor
    noise: Tensor
    looked_at = 20_000

    def __init__(
        self,
        count: Count,
        dim: Dimension,
        rank: Annotated[int, Range(ge=1, le=10_000)],
        shrinkage: Share = 1e-3,
        precision: Precision = "double",
    ) -> None:
        super().__init__(count, dim, shrinkage, precision)
        self.rank = min(rank, max(1, dim - 1))
        self.register_buffer("weight", torch.zeros(count, dim, self.rank, dtype=self.dtype))
        self.register_buffer("noise", torch.ones(count, dtype=self.dtype))

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """See the class; of what is missing, the rows of W and μ are left out."""
        found = []
        m = len(self.mean[at])
        for rows, patterns, which in _by_pattern(observed, m * self.rank**2, like=x):
            _, square, p, inner, count = self._projected(x[rows], patterns, which, at)
            noise = self.noise[at]
            # (b, m, q, q) where patterns differ, (1, m, q, q) where all are one.
            chosen = inner if len(patterns) == 1 else inner[which]
            if len(patterns) == 1:
                z = torch.linalg.solve_triangular(chosen[0], p.permute(1, 2, 0), upper=False).square().sum(1).T
            else:
                z = torch.linalg.solve_triangular(chosen, p.unsqueeze(-1), upper=False).square().sum((2, 3))
            log_det = 2 * inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)[which]
            log_det = log_det + (count - self.rank) * noise.log()
            found.append(-0.5 * ((square - z) / noise + log_det + count * LOG_2PI))
        return torch.cat(found) if found else x.new_zeros(0, m)

    def _projected(
        self, x: Tensor, patterns: Tensor, which: Tensor, at: slice
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The centre, ‖x − μ‖² and p (both about what was observed), L by pattern, and how many were observed."""
        weight, noise = self.weight[at], self.noise[at]
        m, d, q = weight.shape
        seen = patterns.to(x.dtype)
        # About one point near all means, so that squares of large numbers are not subtracted from each other.
        centre = self.mean[at].mean(0)
        mean = self.mean[at] - centre
        kept = (x - centre) * seen[which]
        flat = weight.permute(1, 0, 2).reshape(d, m * q)
        offset = torch.einsum("ud,md,mdq->umq", seen, mean, weight) if m * q else seen.new_zeros(len(seen), m, q)
        p = (kept @ flat).view(len(x), m, q) - offset[which]
        square = kept.square().sum(1, keepdim=True) - 2 * kept @ mean.T + (seen @ mean.square().T)[which]
        if bool(patterns.all()):
            gram = (weight.mT @ weight).unsqueeze(0)
        else:
            gram = (seen @ (weight.unsqueeze(3) * weight.unsqueeze(2)).transpose(0, 1).reshape(d, -1)).view(-1, m, q, q)
        inner = torch.linalg.cholesky(gram + noise[:, None, None] * torch.eye(q, dtype=x.dtype, device=x.device))
        return centre, square, p, inner, seen.sum(1)[which].unsqueeze(1)

    def begin(self, m: int, x: Tensor) -> None:
        """Principal components of the rows: the maximum of the likelihood, when these are all rows there are."""
        self.mean[m] = x.mean(0)
        centred = x - self.mean[m]
        spread = self._spread(x)
        n, q = len(x), self.rank
        if n < 2 or float(spread.mean()) <= 1e-12:
            self.noise[m] = spread.mean()
            self.weight[m] = 0
            return
        with seeds.seeded("components", m, n):
            _, singular, v = torch.svd_lowrank(centred, q=min(q + 10, n, self.dim), niter=4)
        variances = singular.square() / n
        total, kept = centred.square().sum() / n, min(q, len(variances))
        # Where a cluster has hardly more rows than components, nothing would be left for the noise.
        noise = (total - variances[:kept].sum()).clamp_min(0) / max(1, self.dim - kept)
        noise = torch.maximum(noise, (self.shrinkage * total / self.dim).clamp_min(1e-12))
        self.noise[m] = noise
        self.weight[m] = 0
        self.weight[m][:, :kept] = v[:, :kept] * (variances[:kept] - noise).clamp_min(0).sqrt()

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice = EVERY) -> list[Tensor]:
        """N, Σ r (x − μ), Σ r E[(x − μ)(x − μ)ᵀ] W (d, q) and Σ r E‖x − μ‖² about the old means."""
        mean, weight, noise = self.mean[at], self.weight[at], self.noise[at]
        first, second = torch.zeros_like(mean), torch.zeros_like(weight)
        square = torch.zeros_like(noise)
        complete = observed is None or bool(observed.all())
        for rows, patterns, which in _by_pattern(observed, len(mean) * (self.rank**2 + self.dim), like=x):
            seen = patterns.to(x.dtype)
            if not complete:
                _, _, p, inner, _ = self._projected(x[rows], patterns, which, at)
                inverse = torch.cholesky_inverse(inner)  # (u, m, q, q)
            for m, mu in enumerate(mean):
                share = r[rows, m : m + 1]
                centred = x[rows] - mu
                if not complete:
                    # E[x − μ] of what is missing is W E[z], with E[z | x_o] = M⁻¹ p.
                    latent = (inverse[which, m] @ p[:, m].unsqueeze(-1)).squeeze(-1)
                    gone = 1 - seen
                    centred = centred * seen[which] + (latent @ weight[m].T) * gone[which]
                    of = share.new_zeros(len(patterns), 1).index_add_(0, which, share)
                    # Cov of what is missing: σ² (W M⁻¹ Wᵀ + 1).
                    absent = weight[m] * gone.unsqueeze(2)  # (u, d, q)
                    carried = absent @ inverse[:, m]
                    into = carried @ (absent.mT @ weight[m]) + absent
                    second[m] += noise[m] * torch.einsum("u,udq->dq", of[:, 0], into)
                    square[m] += noise[m] * (of[:, 0] * (gone.sum(1) + (carried * absent).sum((1, 2)))).sum()
                weighted = centred * share
                first[m] += weighted.sum(0)
                second[m] += weighted.T @ (centred @ weight[m])
                square[m] += (weighted * centred).sum()
        return [r.sum(0), first, second, square]

    def update(self, moments: list[Tensor]) -> None:
        """W ← S W (σ²1 + M⁻¹WᵀSW)⁻¹,  σ² ← tr(S − S W M⁻¹ W_newᵀ)/d."""
        total, first, second, square = moments
        one = torch.eye(self.rank, dtype=self.dtype, device=self.mean.device)
        for m in (total > 0).nonzero().flatten().tolist():
            n, old, noise = total[m], self.weight[m].clone(), self.noise[m].clone()
            shift = first[m] / n
            moved = second[m] / n - shift.unsqueeze(1) * (shift @ old)  # S W
            trace = square[m] / n - shift.square().sum()
            inner = old.T @ old + noise * one
            new = torch.linalg.solve(noise * one + torch.linalg.solve(inner, old.T @ moved), moved, left=False)
            left = (trace - (torch.linalg.solve(inner, moved.T).T * new).sum()) / self.dim
            self.mean[m] += shift
            self.weight[m] = new
            self.noise[m] = torch.maximum(left, (self.shrinkage * trace / self.dim).clamp_min(1e-12))

    def sample(self, components: Tensor) -> Tensor:
        """μ + W z + σ ε."""
        z = seeds.normal(len(components), self.rank, device=self.mean.device).to(self.dtype)
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        drawn = self.mean[components] + self.noise[components].sqrt().unsqueeze(1) * noise
        for m in torch.unique(components).tolist():
            chosen = components == m
            drawn[chosen] += z[chosen] @ self.weight[m].T
        return drawn


def _by_pattern(observed: Tensor | None, width: int, like: Tensor | None = None) -> list[tuple[slice, Tensor, Tensor]]:
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


def _observed_factor(covariance: Tensor, patterns: Tensor) -> tuple[Tensor, Tensor]:
    """L and the inverse of C_oo by pattern, both (u, m, d, d): L is 1 and the inverse 0 where nothing was seen."""
    seen = patterns.to(covariance.dtype)
    both = (seen.unsqueeze(2) * seen.unsqueeze(1)).unsqueeze(1)
    factor = torch.linalg.cholesky(covariance * both + torch.diag_embed(1 - seen).unsqueeze(1))
    return factor, torch.cholesky_inverse(factor) * both
