"""Low-rank Gaussians: probabilistic PCA (PPCA) as a mixture component."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from seisei import seeds
from seisei.nn.densities.gaussian import EVERY, FLAT, Count, Dimension, Gaussians, Precision, Rows, Share, by_pattern
from seisei.nn.distributions import LOG_2PI
from seisei.spec import Range, listed


@listed
class PPCA(Gaussians):
    """Probabilistic PCA: C = W Wᵀ + σ² 1 with W (d, q), for hundreds of dimensions.

    With M = WᵀW + σ²1 = L Lᵀ and p = Wᵀ(x − μ), all matrices have size q:

        (x − μ)ᵀ C⁻¹ (x − μ) = (‖x − μ‖² − ‖L⁻¹p‖²)/σ²,   log |C| = (d − q) log σ² + log |M|.

    Arguments:
        count: M.
        dim: d.
        rank: q.
        shrinkage: see `Gaussians`; here a lower bound on σ², as a share of the average variance: the component's own,
            or, up to 1e-6, that of all.
        pseudo_count: see `Gaussians`; here added to σ² only.
        precision: single or double.
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
        pseudo_count: Rows = 0.0,
        precision: Precision = "double",
    ) -> None:
        super().__init__(count, dim, shrinkage, pseudo_count, precision)
        self.rank = min(rank, max(1, dim - 1))
        self.register_buffer("weight", torch.zeros(count, dim, self.rank, dtype=self.dtype))
        self.register_buffer("noise", torch.ones(count, dtype=self.dtype))

    def log_prob(self, x: Tensor, observed: Tensor | None = None, at: slice = EVERY) -> Tensor:
        """Log-density by the formula of the class; for missing values the rows of W and μ are dropped."""
        found = []
        m = len(self.mean[at])
        for rows, patterns, which in by_pattern(observed, m * self.rank**2, like=x):
            square, p, inner, count = self._projected(x[rows], patterns, which, at)
            noise = self.noise[at]
            # (b, m, q, q) with several patterns, (1, m, q, q) with one.
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
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """‖x − μ‖² and p over the observed values, L per mask pattern, and the number of observed values."""
        weight, noise = self.weight[at], self.noise[at]
        m, d, q = weight.shape
        seen = patterns.to(x.dtype)
        # Centered near all means, so that squares of large numbers are not subtracted from each other.
        center = self.mean[at].mean(0)
        mean = self.mean[at] - center
        kept = (x - center) * seen[which]
        flat = weight.permute(1, 0, 2).reshape(d, m * q)
        offset = torch.einsum("ud,md,mdq->umq", seen, mean, weight)
        p = (kept @ flat).view(len(x), m, q) - offset[which]
        square = kept.square().sum(1, keepdim=True) - 2 * kept @ mean.T + (seen @ mean.square().T)[which]
        if bool(patterns.all()):
            gram = (weight.mT @ weight).unsqueeze(0)
        else:
            gram = (seen @ (weight.unsqueeze(3) * weight.unsqueeze(2)).transpose(0, 1).reshape(d, -1)).view(-1, m, q, q)
        inner = torch.linalg.cholesky(gram + noise[:, None, None] * torch.eye(q, dtype=x.dtype, device=x.device))
        return square, p, inner, seen.sum(1)[which].unsqueeze(1)

    def begin(self, m: int, x: Tensor) -> None:
        """Initialize by PCA of the rows: the maximum-likelihood solution if these are all rows."""
        self.mean[m] = x.mean(0)
        centered = x - self.mean[m]
        spread = self._spread(x)
        n, q = len(x), self.rank
        if n < 2 or float(spread.mean()) <= 1e-12:
            self.noise[m] = spread.mean()
            self.weight[m] = 0
            return
        with seeds.seeded("components", m, n):
            _, singular, v = torch.svd_lowrank(centered, q=min(q + 10, n, self.dim), niter=4)
        variances = singular.square() / n
        total, kept = centered.square().sum() / n, min(q, len(variances))
        # With hardly more rows than components nothing would be left for the noise.
        noise = (total - variances[:kept].sum()).clamp_min(0) / max(1, self.dim - kept)
        noise = torch.maximum(noise, (self.shrinkage * total / self.dim).clamp_min(1e-12))
        self.noise[m] = noise
        self.weight[m] = 0
        self.weight[m][:, :kept] = v[:, :kept] * (variances[:kept] - noise).clamp_min(0).sqrt()

    def moments(self) -> list[Tensor]:
        """Zero N, Σ r (x − μ), Σ r E[(x − μ)(x − μ)ᵀ] W (d, q) and Σ r E‖x − μ‖² about the old means."""
        return [torch.zeros_like(t) for t in (self.noise, self.mean, self.weight, self.noise)]

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor]) -> None:
        """Add the moments of these rows."""
        mean, weight, noise = self.mean[at], self.weight[at], self.noise[at]
        total, first, second, square = (moment[at] for moment in moments)
        total += r.sum(0)
        complete = observed is None or bool(observed.all())
        for rows, patterns, which in by_pattern(observed, len(mean) * (self.rank**2 + self.dim), like=x):
            seen = patterns.to(x.dtype)
            if not complete:
                _, p, inner, _ = self._projected(x[rows], patterns, which, at)
                inverse = torch.cholesky_inverse(inner)  # (u, m, q, q)
            for m, mu in enumerate(mean):
                share = r[rows, m : m + 1]
                centered = x[rows] - mu
                if not complete:
                    # E[x − μ] of missing values is W E[z], with E[z | x_o] = M⁻¹ p.
                    latent = (inverse[which, m] @ p[:, m].unsqueeze(-1)).squeeze(-1)
                    gone = 1 - seen
                    centered = centered * seen[which] + (latent @ weight[m].T) * gone[which]
                    of = share.new_zeros(len(patterns), 1).index_add_(0, which, share)
                    # Covariance of missing values: σ² (W M⁻¹ Wᵀ + 1).
                    absent = weight[m] * gone.unsqueeze(2)  # (u, d, q)
                    carried = absent @ inverse[:, m]
                    into = carried @ (absent.mT @ weight[m]) + absent
                    second[m] += noise[m] * torch.einsum("u,udq->dq", of[:, 0], into)
                    square[m] += noise[m] * (of[:, 0] * (gone.sum(1) + (carried * absent).sum((1, 2)))).sum()
                weighted = centered * share
                first[m] += weighted.sum(0)
                second[m] += weighted.T @ (centered @ weight[m])
                square[m] += (weighted * centered).sum()

    def update(self, moments: list[Tensor]) -> None:
        """W ← S W (σ²1 + M⁻¹WᵀSW)⁻¹,  σ² ← tr(S − S W M⁻¹ W_newᵀ)/d."""
        total, first, second, square = moments
        average = square.sum() / (total.sum() * self.dim).clamp_min(1e-12)
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
            left = self._with_pseudo_count(left.clamp_min(0), n, average)
            own = average if self.shrinkage <= FLAT else trace / self.dim
            self.noise[m] = torch.maximum(left, (self.shrinkage * own).clamp_min(1e-12))

    def sample(self, components: Tensor) -> Tensor:
        """μ + W z + σ ε."""
        z = seeds.normal(len(components), self.rank, device=self.mean.device).to(self.dtype)
        noise = seeds.normal(len(components), self.dim, device=self.mean.device).to(self.dtype)
        samples = self.mean[components] + self.noise[components].sqrt().unsqueeze(1) * noise
        for m in torch.unique(components).tolist():
            chosen = components == m
            samples[chosen] += z[chosen] @ self.weight[m].T
        return samples
