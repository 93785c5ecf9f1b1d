"""Kernel density estimation (KDE): a class density is the mean of kernels at its training rows.

    p(x | c) = Σ_i r_ic k(x, x_i) / Σ_i r_ic
    k(x, x_i) = Π_numbers N(x_j; x_ij, h²) Π_categories [x_j = x_ij ? 1 − λ : λ/(L_j − 1)]

r_ic is 1 for row i's own class. An unlabeled row belongs to each class with the posterior probability given by the
other rows' kernels,

    r_ic ∝ p(c) Σ_{j ≠ i} r_jc k(x_i, x_j) / Σ_j r_jc,

iterated: EM on the leave-one-out likelihood of every row. Only the nearest neighbors count, so that labels spread
through dense regions, not across gaps (label propagation).

The bandwidth h maximizes the leave-one-out likelihood within classes. For this, rounded values are dithered to fill
their rounding interval, and copies of a row do not count for it: both would otherwise favor ever smaller h. Missing
values are integrated out, in the query and in stored rows; a stored row that lacks a value uses its class's marginal
for it (or that of all rows, if it has no label, or its class has no value).

References: *On Estimation of a Probability Density Function and Mode (Parzen, 1962)*; categorical kernel: *Multivariate
    Binary Discrimination by the Kernel Method (Aitchison, Aitken, 1976)*; leave-one-out: *A Kernel Method for Binary
    Data (Habbema, Hermans, van den Broek, 1974)*; unlabeled rows: *Learning with Labeled and Unlabeled Data through
    Label Propagation (Zhu, Ghahramani, 2002)*, here as a density's own responsibilities.

Shapes: x (B, ...) flattened to (B, D); R stored rows.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.distributions import LOG_2PI
from seisei.nn.kmeans import squared_distances
from seisei.nn.tabular.features import Columns, Sizes
from seisei.spec import Range, listed

QUERIES, ROOM = 1000, 1 << 25


@listed
class KernelDensity(nn.Module):
    """KDE with a kernel at every stored row.

    Arguments:
        classes: C.
        sizes: column layout of x, see `seisei.nn.tabular.features`.
        rows: most rows stored, sampled from the training rows.
        bandwidth: h, in units of x; 0 chooses it by leave-one-out likelihood.
        mixing: λ, the probability that a category differs from the stored row's.
        neighbors: neighbors of an unlabeled row whose kernels count for its class.
        iterations: EM iterations, if there are unlabeled rows.
        seed: seed of the row sampling.
    """

    log_prob_is_bound = False
    x: Tensor
    seen: Tensor
    owner: Tensor
    share: Tensor
    width: Tensor

    def __init__(
        self,
        classes: Annotated[int, Range(ge=1, le=100_000)],
        sizes: Sizes,
        rows: Annotated[int, Range(ge=1, le=10**8)] = 10_000,
        bandwidth: Annotated[float, Range(ge=0)] = 0.0,
        mixing: Annotated[float, Range(gt=0, lt=1)] = 0.1,
        neighbors: Annotated[int, Range(ge=1, le=10_000)] = 40,
        iterations: Annotated[int, Range(ge=1, le=100_000)] = 30,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.classes, self.rows, self.bandwidth, self.mixing, self.seed = classes, rows, bandwidth, mixing, seed
        self.neighbors, self.iterations = neighbors, iterations
        self.columns = Columns(sizes)
        self.register_buffer("x", torch.zeros(rows, self.columns.width))
        self.register_buffer("seen", torch.zeros(rows, self.columns.width, dtype=torch.bool))
        # Class of each stored row; C for unlabeled, C + 1 for an unused slot.
        self.register_buffer("owner", torch.full((rows,), classes + 1))
        self.register_buffer("share", torch.zeros(rows, classes))
        self.register_buffer("width", torch.ones(()))

    # ---- density

    def log_probs(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y, (B, C)."""
        return self._log_probs(batch, False)

    def _log_probs(self, batch: Batch, ratios: bool) -> Tensor:
        x, observed = self.columns.rows(batch)
        x = x.to(self.x.dtype)
        found = []
        at_once = max(1, ROOM // self.rows)
        for start in range(0, len(x), at_once):
            part = slice(start, start + at_once)
            kernels = self._log_kernels(x[part], None if observed is None else observed[part], ratios)
            found.append(self._by_class(kernels))
        return torch.cat(found) if found else x.new_zeros(0, self.classes)

    def log_ratios(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y up to a shared term, (B, C), whose size would swamp the differences."""
        return self._log_probs(batch, True)

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y), or the density if there is a single class, (B,); exact."""
        found = self.log_probs(batch)
        return found[:, 0] if batch.y is None else found.gather(1, batch.y.unsqueeze(1)).squeeze(1)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n rows of these classes: a stored row plus kernel noise times the temperature.

        Missing values are filled from the class.
        """
        y = torch.zeros(n, dtype=torch.long, device=self.x.device) if y is None else y
        samples = self.x.new_empty(n, self.columns.width)
        place, gap = (seeds.uniform(n, 1, device=self.x.device).squeeze(1) for _ in range(2))
        noise = seeds.normal(n, self.columns.width, device=self.x.device).to(self.x.dtype)
        other = seeds.uniform(n, self.columns.width, device=self.x.device).to(self.x.dtype)
        for c in torch.unique(y).tolist():
            kept, chosen = (self.share[:, c] > 0).nonzero().flatten(), y == c
            # A class without stored rows samples from all rows.
            kept = kept if len(kept) else (self.owner <= self.classes).nonzero().flatten()
            reached = self.share[kept, c].double().cumsum(0)
            reached = reached if float(reached[-1]) else torch.arange(1, len(kept) + 1, device=y.device).double()
            which = torch.searchsorted(reached, place[chosen].double() * reached[-1], right=True)
            samples[chosen] = self._filled(kept, which.clamp_max(len(kept) - 1), gap[chosen])
        numbers = torch.tensor([size == 0 for size in self._sizes], device=samples.device)
        moved = samples + temperature * self.width * noise
        for j, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            # With probability λ another category, uniformly; the rescaled noise selects which.
            step = 1 + (other[:, j] / self.mixing * (levels - 1)).floor().clamp(0, max(0, levels - 2))
            samples[:, j] = torch.where(other[:, j] < self.mixing, (samples[:, j] + step) % levels, samples[:, j])
        return torch.where(numbers, moved, samples)

    @property
    def _sizes(self) -> list[int]:
        sizes = [0] * self.columns.width
        for j, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            sizes[j] = levels
        return sizes

    def _filled(self, kept: Tensor, which: Tensor, gap: Tensor) -> Tensor:
        """Stored rows, their missing values filled from another row of the class."""
        rows = self.x[kept[which]].clone()
        for j in (~self.seen[kept]).any(0).nonzero().flatten().tolist():
            have = kept[self.seen[kept, j]]
            lacking = ~self.seen[kept[which], j]
            if len(have):
                rows[lacking, j] = self.x[have[(gap[lacking] * len(have)).long()], j]
        return rows

    def _log_kernels(self, x: Tensor, observed: Tensor | None, ratios: bool = False) -> Tensor:
        """Log kernel of every stored row at x, (B, R); with `ratios`, up to the shared term ½ ‖x‖²/h²."""
        columns, kept = self.columns, self.seen[self.owner <= self.classes]
        h = self.width.square()
        # Centered near the mean of the rows, so that squares of large numbers are not subtracted from each other.
        middle = self._mean()
        if observed is None and not columns.categories and bool(kept.all()):
            x, rows = x - middle, self.x - middle
            if ratios:
                return (x @ rows.T - 0.5 * rows.square().sum(1)) / h
            square = squared_distances(x, rows)
            return -0.5 * square / h - columns.width * (self.width.log() + 0.5 * LOG_2PI)
        seen = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        mean, variance = self._marginals()
        j = columns.numbers
        have = self.seen[:, j]
        center = torch.where(have, self.x[:, j], mean) - middle[j]
        spread = torch.where(have, h, variance)
        some = seen[:, j]
        y = (x[:, j] - middle[j]) * some
        constant = center.square() / spread + spread.log() + LOG_2PI
        slope = 1 / spread - 1 / h if ratios else 1 / spread
        found = -0.5 * (y.square() @ slope.T + some @ constant.T) + y @ (center / spread).T
        shares = self._shares()
        for column, levels in zip(columns.categories, columns.levels, strict=True):
            mine, theirs = x[:, column].long(), self.x[:, column].long()
            table = x.new_full((levels, levels), self.mixing / max(1, levels - 1))
            table.fill_diagonal_(1 - self.mixing if levels > 1 else 1.0)
            log_table = table.log()[:, theirs]  # (L, R)
            log_table = torch.where(
                self.seen[:, column], log_table, shares[column][:, self.owner.clamp_max(self.classes)]
            )
            found = found + log_table[mine] * seen[:, column : column + 1]
        return found

    def _by_class(self, kernels: Tensor) -> Tensor:
        """log mean of the kernels of each class's rows, weighted by r_ic, (B, C)."""
        count = self.share.sum(0)
        parts = []
        for c in range(self.classes):
            of = (self.share[:, c] > 0).nonzero().flatten()
            each = kernels[:, of] + self.share[of, c].to(kernels.dtype).log()
            parts.append(torch.logsumexp(each, 1) if len(of) else kernels.new_full((len(kernels),), -1e30))
        return torch.stack(parts, 1) - count.where(count > 0, 1).to(kernels.dtype).log()

    def _mean(self) -> Tensor:
        """Mean of the observed values of each column, (D,); arbitrary for empty columns and categories."""
        kept = self.seen & (self.owner <= self.classes).unsqueeze(1)
        return torch.where(kept, self.x, 0.0).sum(0) / kept.sum(0).clamp_min(1)

    def _groups(self) -> Tensor:
        """Class membership of stored rows, and, last, of all rows: 1 or 0, (C + 1, R)."""
        classes = torch.arange(self.classes + 1, device=self.owner.device).unsqueeze(1)
        return ((self.owner == classes) | ((classes == self.classes) & (self.owner <= self.classes))).to(self.x.dtype)

    def _marginals(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of each number in each stored row's class, (R, d); of all rows if it has no value."""
        j, member = self.columns.numbers, self._groups()
        seen, middle = self.seen[:, j].to(self.x.dtype), self._mean()[j]
        x, have = (self.x[:, j] - middle) * seen, member @ seen
        count = have.clamp_min(1)
        mean = member @ x / count
        variance = (member @ x.square() / count - mean.square()).clamp_min(0)
        mean, variance = (torch.where(have > 0, own, own[-1]) for own in (mean, variance))
        owner = self.owner.clamp_max(self.classes)
        return mean[owner] + middle, variance[owner] + self.width.square()

    def _shares(self) -> dict[int, Tensor]:
        """Log frequencies of each category in each class, and, last, in all rows: (L, C + 1) by column."""
        member, found = self._groups(), {}
        for column, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            one = torch.nn.functional.one_hot(self.x[:, column].long(), levels).to(self.x.dtype)
            count = (member @ (one * self.seen[:, column].unsqueeze(1))).T
            # A class without a value of this column uses the frequencies of all rows.
            count = torch.where(count.sum(0) > 0, count, count[:, -1:]) + 1
            found[column] = (count / count.sum(0)).log()
        return found

    # ---- fitting

    @torch.no_grad()
    def sweep(self, examples: Examples, log_prior: Tensor) -> None:
        """Store rows, choose h, and infer the classes of unlabeled rows.

        Arguments:
            examples: all training examples.
            log_prior: log p(c), (C,).
        """
        self._keep(examples)
        if bool((self.owner == self.classes).any()):
            self._propagate_labels(log_prior)

    def _keep(self, examples: Examples) -> None:
        rows, seen, owner = [], [], []
        for batch in examples():
            x, observed = self.columns.rows(batch)
            y = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch.y is None else batch.y
            rows.append(x)
            seen.append(torch.ones_like(x, dtype=torch.bool) if observed is None else observed)
            owner.append(torch.where(y < 0, self.classes, y))
        x, known, y = torch.cat(rows), torch.cat(seen), torch.cat(owner)
        self.x.zero_()
        self.seen.zero_()
        self.owner.fill_(self.classes + 1)
        self.share.zero_()
        order = torch.randperm(len(x), generator=seeds.generator(self.seed, "kept")).to(y.device)
        # Labeled rows first: there may be few among many.
        order = order[(y[order] == self.classes).long().argsort(stable=True)][: self.rows].sort().values
        n = len(order)
        self.x[:n], self.seen[:n], self.owner[:n] = x[order], known[order], y[order]
        labeled = (self.owner < self.classes).nonzero().flatten()
        self.share[labeled, self.owner[labeled]] = 1.0
        self.width.fill_(self.bandwidth or self._choose_bandwidth(n))

    def _propagate_labels(self, log_prior: Tensor) -> None:
        """Label propagation by EM."""
        near, kernels = self._nearest()
        free = (self.owner == self.classes).nonzero().flatten()
        for _ in range(self.iterations):
            heights = self.share / self.share.sum(0).clamp_min(1e-30) * log_prior.exp().to(self.share)
            found = (kernels.unsqueeze(1) @ heights[near]).squeeze(1)
            found = found / found.sum(1, keepdim=True).clamp_min(1e-30)
            # Truncate tiny responsibilities: a class is then a sum of fewer kernels.
            self.share[free] = found.where(found > 1e-4, 0.0)

    def _nearest(self) -> tuple[Tensor, Tensor]:
        """Nearest stored rows of each unlabeled row, and their kernels there, up to a factor: (U, k) each."""
        free = (self.owner == self.classes).nonzero().flatten()
        k = min(self.neighbors, int((self.owner <= self.classes).sum()) - 1)
        rows, values = [], []
        for at in torch.split(free, max(1, ROOM // self.rows)):
            seen = self.seen[at]
            kernels = self._log_kernels(self.x[at], None if bool(seen.all()) else seen)
            kernels[:, self.owner > self.classes] = -math.inf
            kernels[torch.arange(len(at), device=at.device), at] = -math.inf
            value, row = kernels.topk(k, 1)
            rows.append(row)
            values.append((value - value[:, :1]).exp())
        return torch.cat(rows), torch.cat(values)

    def _choose_bandwidth(self, count: int) -> float:
        """The h that maximizes the leave-one-out likelihood within classes; over all rows if some are unlabeled."""
        j = self.columns.numbers
        if not j:
            return 1.0
        mean, _ = self._marginals()
        x = torch.where(self.seen[:count][:, j], self.x[:count][:, j], mean[:count]) - self._mean()[j]
        queries = torch.randperm(count, generator=seeds.generator(self.seed, "asked"))[:QUERIES]
        repeats = squared_distances(x[queries], x)
        repeats = repeats <= 1e-6 * repeats.mean()
        width = _cells(x)
        u = torch.rand(x.shape, generator=seeds.generator(self.seed, "cells"), dtype=torch.float64).to(x) - 0.5
        x = x + width * u
        square = squared_distances(x[queries], x)
        square[torch.arange(len(queries)), queries] = math.inf
        if not bool((self.owner[:count] == self.classes).any()):
            square.masked_fill_(self.owner[queries].unsqueeze(1) != self.owner[:count], math.inf)
        known, d = square.isfinite(), len(j)
        nearest = square.masked_fill(repeats, math.inf).min(1).values
        nearest = nearest[nearest.isfinite()]
        if not len(nearest):
            return 1.0
        # Duplicates although nothing was rounded are copies, and left out with the row: with them the likelihood would
        # grow without bound as h shrinks.
        if float(width.square().mean(0).sum()) / 6 < 0.01 * float(nearest.mean()):
            square.masked_fill_(repeats, math.inf)
            known = square.isfinite()
        # No smaller h can be optimal: each row's likelihood still grows with it.
        least = math.sqrt(float(nearest.mean()) / d)
        most = max(2 * least, math.sqrt(float(square[known].mean()) / d))
        square = square[known.any(1)]

        def likelihood(h: float) -> float:
            return float(torch.logsumexp(-0.5 * square / h**2, 1).mean()) - d * math.log(h)

        steps = math.ceil(4 * math.log10(most / least))
        best = max((least * 10 ** (step / 4) for step in range(steps + 1)), key=likelihood)
        return max((max(least, best * 10 ** (step / 20)) for step in range(-5, 6)), key=likelihood)


def _cells(x: Tensor) -> Tensor:
    """Width of the rounding interval around each value, column by column, (N, d).

    The interval reaches halfway to the neighboring values of the column; if nothing was rounded it is nearly 0.
    """
    width = torch.zeros_like(x)
    for j in range(x.shape[1]):
        values, place = torch.unique(x[:, j], return_inverse=True)
        if len(values) > 1:
            gaps = values.diff()
            width[:, j] = torch.minimum(torch.cat([gaps[:1], gaps]), torch.cat([gaps, gaps[-1:]]))[place]
    return width
