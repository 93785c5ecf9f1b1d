"""Gaussians with full covariance: one per component, or one shared by all (tied)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from seisei import seeds
from seisei.nn.densities.gaussian import EVERY, LEAST, Count, Dimension, Gaussians, Precision, Rows, Share, by_pattern
from seisei.nn.distributions import LOG_2PI
from seisei.spec import listed


@listed
class Full(Gaussians):
    """One full covariance per component, as in quadratic discriminant analysis (QDA) and Gaussian mixture models.

    Arguments:
        count: M.
        dim: d.
        shrinkage: see `Gaussians`.
        pseudo_count: see `Gaussians`.
        precision: single or double.
    """

    factor: Tensor

    def __init__(
        self,
        count: Count,
        dim: Dimension,
        shrinkage: Share = 1e-3,
        pseudo_count: Rows = 0.0,
        precision: Precision = "double",
    ) -> None:
        super().__init__(count, dim, shrinkage, pseudo_count, precision)
        self.register_buffer("factor", torch.eye(dim, dtype=self.dtype).repeat(self._shapes, 1, 1))
        self._whitened: tuple[object, Tensor] | None = None

    @property
    def _shapes(self) -> int:
        """Number of covariances."""
        return self.count

    def _factor(self, at: slice) -> Tensor:
        """Cholesky factor L of C = L Lᵀ: (m, d, d), or (1, d, d) if tied."""
        return self.factor[at]

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """−½ ‖L⁻¹(x − μ)‖² − Σ log L_ii − (d/2) log 2π."""
        factor = self._factor(at)
        if observed is not None and not bool(observed.all()):
            return self._log_prob_of_some(x, observed, self.mean[at], factor)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return -0.5 * (self._square(x, at) + self.dim * LOG_2PI) - log_det

    def _square(self, x: Tensor, at: slice) -> Tensor:
        """‖L⁻¹(x − μ)‖², (B, m)."""
        found = x.new_empty(len(x), len(self.mean[at]))
        for m, (mu, whiten) in enumerate(zip(self.mean[at], self._whitening()[at], strict=True)):
            found[:, m] = torch.linalg.vector_norm(torch.addmm(-(whiten @ mu), x, whiten.T), dim=1)
        return found.square_()

    def _whitening(self) -> Tensor:
        """L⁻¹ of every covariance, cached until they change."""
        state = (self.factor._version, self.factor.data_ptr())
        if self._whitened is None or self._whitened[0] != state:
            one = torch.eye(self.dim, dtype=self.dtype, device=self.factor.device)
            self._whitened = state, torch.linalg.solve_triangular(self.factor, one, upper=False)
        return self._whitened[1]

    def _log_prob_of_some(self, x: Tensor, observed: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
        found = []
        for rows, patterns, which in by_pattern(observed, len(mean) * self.dim**2):
            seen = observed[rows]
            inner, _ = _observed_factor(factor @ factor.mT, patterns)
            difference = (x[rows].unsqueeze(1) - mean) * seen.unsqueeze(1)  # (b, m, d)
            chosen = inner[which].expand(-1, len(mean), -1, -1)
            z = torch.linalg.solve_triangular(chosen, difference.unsqueeze(-1), upper=False).squeeze(-1)
            log_det = inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)[which]
            count = seen.sum(1, keepdim=True).to(x.dtype)
            found.append(-0.5 * (z.square().sum(-1) + count * LOG_2PI) - log_det)
        return torch.cat(found) if found else x.new_zeros(0, len(mean))

    def begin(self, m: int, x: Tensor) -> None:
        """Initialize with the mean and a diagonal covariance."""
        self.mean[m] = x.mean(0)
        self.factor[m % self._shapes] = torch.diag(self._spread(x).sqrt())

    def moments(self) -> list[Tensor]:
        """N, Σ r (x − μ) and Σ r E[(x − μ)(x − μ)ᵀ] about the old means."""
        return [self.mean.new_zeros(self.count), torch.zeros_like(self.mean), torch.zeros_like(self.factor)]

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add the moments of these rows."""
        mean = self.mean[at]
        total, first, second = (moment[at] for moment in moments)
        total += r.sum(0)
        if observed is None or bool(observed.all()):
            whole = bool((r == 1).all())
            for m, mu in enumerate(mean):
                centered = x - mu
                weighted = centered if whole else centered * r[:, m : m + 1]
                first[m] += weighted.sum(0)
                second[m].addmm_(weighted.T, centered)
            return
        for weight, centered, shares, left in self._expected(x, observed, r, at):
            first += torch.einsum("bm,bmd->md", weight, centered)
            second += torch.einsum("bm,bmd,bme->mde", weight, centered, centered)
            second += torch.einsum("um,umde->mde", shares, left)

    def _expected(
        self, x: Tensor, observed: Tensor, r: Tensor, at: slice
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """In chunks: r, E[x − μ | x_o] (b, m, d), and per mask pattern the sum of r and Cov[x | x_o]."""
        mean = self.mean[at]
        covariance = self._factor(at) @ self._factor(at).mT
        for rows, patterns, which in by_pattern(observed, len(mean) * self.dim**2):
            seen, weight = observed[rows].unsqueeze(1), r[rows]
            _, inverse = _observed_factor(covariance, patterns)
            regression = covariance @ inverse  # E[x − μ | x_o] = C (C_oo)⁻¹ (x − μ)_o, exact where observed
            centered = (regression[which] @ ((x[rows].unsqueeze(1) - mean) * seen).unsqueeze(-1)).squeeze(-1)
            left = covariance - regression @ covariance  # 0 where observed
            shares = weight.new_zeros(len(patterns), weight.shape[1]).index_add_(0, which, weight)
            yield weight, centered, shares, left.expand(-1, len(mean), -1, -1)

    def update(self, moments: list[Tensor]) -> None:
        """M step: weighted means and covariances."""
        total, first, second = moments
        alive, n = total > 0, total.clamp_min(1e-12)
        shift = first / n.unsqueeze(1)
        covariance = second / n[:, None, None] - shift.unsqueeze(2) * shift.unsqueeze(1)
        self.mean[alive] += shift[alive]
        average = (n * covariance.diagonal(dim1=-2, dim2=-1).sum(-1)).sum() / (n.sum() * max(1, self.dim))
        self.factor[alive] = self._factored(covariance[alive], n[alive], average)

    def _factored(self, covariance: Tensor, n: Tensor, average: Tensor) -> Tensor:
        """Cholesky factor of covariances of n rows, after pseudo-observations and shrinkage."""
        one = torch.eye(self.dim, dtype=self.dtype, device=covariance.device)
        if self.pseudo_count:
            variance = covariance.diagonal(dim1=-2, dim2=-1)
            own = n[:, None, None] * covariance / (n[:, None, None] + self.pseudo_count)
            pseudo = self._with_pseudo_count(variance, n.unsqueeze(1), average)
            covariance = own + torch.diag_embed(pseudo - own.diagonal(dim1=-2, dim2=-1))
        variance = covariance.diagonal(dim1=-2, dim2=-1)
        if self.shrinkage:
            goal = self._shrinkage_target(variance, average)
            covariance = (1 - self.shrinkage) * covariance + self.shrinkage * torch.diag_embed(goal)
        # A constant column has no density: its variance stays above rounding error, equally in all components.
        least = LEAST - covariance.diagonal(dim1=-2, dim2=-1)
        covariance = covariance + torch.diag_embed(least.clamp_min(0))
        own = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        factor, trouble = torch.linalg.cholesky_ex(covariance)
        # Collinear columns have no density: add the smallest jitter with which the factorization succeeds.
        added = 1e-10 if self.dtype == torch.float64 else 1e-5
        while bool(trouble.any()) and added < 100:  # beyond that it is not finite anyway
            factor, trouble = torch.linalg.cholesky_ex(covariance + added * own * one)
            added *= 10
        return torch.as_tensor(factor)

    def sample(self, components: Tensor) -> Tensor:
        """μ + L ε."""
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        samples = torch.empty_like(noise)
        for m in torch.unique(components).tolist():
            chosen = components == m
            samples[chosen] = self.mean[m] + noise[chosen] @ self.factor[m % self._shapes].T
        return samples


@listed
class Tied(Full):
    """One covariance shared by all components, as in linear discriminant analysis (LDA): linear boundaries.

    Example:
        >>> part = Tied(3, 2)
        >>> part.log_ratios(torch.zeros(4, 2, dtype=torch.float64)).shape
        torch.Size([4, 3])
    """

    pooled = True

    @property
    def _shapes(self) -> int:
        return 1

    def _factor(self, at: slice) -> Tensor:
        return self.factor

    def _square(self, x: Tensor, at: slice) -> Tensor:
        whiten = self._whitening()[0]
        center = self.mean[at].mean(0)
        z, means = (x - center) @ whiten.T, (self.mean[at] - center) @ whiten.T
        square = z.square().sum(1, keepdim=True) - 2 * z @ means.T + means.square().sum(1)
        return square.clamp_min(0)

    def log_ratios(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """log N of every component up to a shared term, (B, M): μ_mᵀC⁻¹x − ½ μ_mᵀC⁻¹μ_m about the mean of all means.

        The shared quadratic term is left out: far from the data it is so large that the differences would be lost to
        rounding.
        """
        center = self.mean.mean(0)
        x, mean = x - center, self.mean - center
        if observed is None or bool(observed.all()):
            weight = torch.cholesky_solve(mean.T, self.factor[0])
            return x @ weight - 0.5 * (mean.T * weight).sum(0)
        found = []
        for rows, patterns, which in by_pattern(observed, len(mean) * self.dim + self.dim**2):
            _, inverse = _observed_factor(self.factor @ self.factor.mT, patterns)
            weight = inverse[:, 0] @ mean.T  # (u, d, M), 0 where nothing was seen
            linear = torch.einsum("bd,bdm->bm", x[rows] * observed[rows], weight[which])
            found.append(linear - 0.5 * (mean.T * weight).sum(1)[which])
        return torch.cat(found) if found else x.new_zeros(0, len(mean))

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add the moments of these rows; all components share one second moment, about the mean of all means."""
        mean, center = self.mean[at], self.mean.mean(0)
        total, first, second = moments[0][at], moments[1][at], moments[2][0]
        n = r.sum(0)
        total += n
        if observed is None or bool(observed.all()):
            centered, each = x - center, r.sum(1, keepdim=True)
            first += r.T @ centered - (mean - center) * n.unsqueeze(1)
            second.addmm_((centered if bool((each == 1).all()) else centered * each).T, centered)
            return
        for weight, expected, shares, left in self._expected(x, observed, r, at):
            about = expected + (mean - center)
            first += torch.einsum("bm,bmd->md", weight, expected)
            second += torch.einsum("bm,bmd,bme->de", weight, about, about)
            second += torch.einsum("um,umde->de", shares, left)

    def update(self, moments: list[Tensor]) -> None:
        """M step: weighted means, and the within-class covariance."""
        total, first, second = moments
        alive, n, center = total > 0, total.clamp_min(1e-12), self.mean.mean(0)
        self.mean[alive] += (first / n.unsqueeze(1))[alive]
        apart = self.mean - center
        covariance = (second - (total.unsqueeze(1) * apart).T @ apart) / total.sum()
        average = covariance.diagonal(dim1=-2, dim2=-1).mean()
        self.factor.copy_(self._factored(covariance, total.sum().unsqueeze(0), average))


def _observed_factor(covariance: Tensor, patterns: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factor and inverse of C_oo per mask pattern, both (u, m, d, d): identity and 0 where not observed."""
    seen = patterns.to(covariance.dtype)
    both = (seen.unsqueeze(2) * seen.unsqueeze(1)).unsqueeze(1)
    factor = torch.linalg.cholesky(covariance * both + torch.diag_embed(1 - seen).unsqueeze(1))
    return factor, torch.cholesky_inverse(factor) * both
