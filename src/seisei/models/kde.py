"""Kernel density estimation: every kept training row is a small bump, and a class is the sum of its rows' bumps.

    p(x | c) = Σ_i r_ic k(x, x_i) / Σ_i r_ic
    k(x, x_i) = Π_numbers N(x_j; x_ij, h²) Π_categories [x_j = x_ij ? 1 − λ : λ/(L_j − 1)]

r_ic is 1 for row i's own class. A row without a label belongs to each class with the posterior probability that the
other rows' bumps give it,

    r_ic ∝ p(c) Σ_{j ≠ i} r_jc k(x_i, x_j) / Σ_j r_jc,

round after round: expectation-maximization of the likelihood of every row under the others. Of those only the nearest
count, so that labels spread from row to row through where rows are dense, and not across gaps.

h is chosen by the likelihood of each row under all others of its class. There a value that was rounded stands for all
that round to it, evenly, and a row does not count for its copies: both would be likelier the smaller h is. A value that
is missing, in the row that is looked at or in the one that is kept, is integrated out; a kept row that lacks it says of
it what its class says as a whole (all rows, where it has no label, or where its class has no value of it).

References: *On Estimation of a Probability Density Function and Mode (Parzen, 1962)*; categories: *Multivariate Binary
    Discrimination by the Kernel Method (Aitchison, Aitken, 1976)*; leaving one out: *A Kernel Method for Binary Data
    (Habbema, Hermans, van den Broek, 1974)*; rows without a label: *Learning with Labeled and Unlabeled Data through
    Label Propagation (Zhu, Ghahramani, 2002)*, here as a density's own responsibilities.

Shapes: x (B, ...) flattened to (B, D); R kept rows.
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

ASKED, ROOM = 1000, 1 << 25


@listed
class KernelDensity(nn.Module):
    """A bump for every kept row.

    Arguments:
        classes: C.
        sizes: what x holds, see `seisei.nn.tabular.features`.
        rows: kept at most, drawn at random from the training rows.
        bandwidth: h, in units of x; 0 has it chosen.
        mixing: λ, the probability that a category is another than the kept row's.
        neighbors: rows near one without a label whose bumps count for its class.
        iterations: of expectation-maximization, where there are rows without a label.
        seed: of the drawing.
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
        # The class of each kept row; C for one without a label, C + 1 where no row is.
        self.register_buffer("owner", torch.full((rows,), classes + 1))
        self.register_buffer("share", torch.zeros(rows, classes))
        self.register_buffer("width", torch.ones(()))

    # ---- what it says

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
            bumps = self._bumps(x[part], None if observed is None else observed[part], ratios)
            found.append(self._by_class(bumps))
        return torch.cat(found) if found else x.new_zeros(0, self.classes)

    def log_ratios(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y up to what all classes share, (B, C): without what would drown the differences."""
        return self._log_probs(batch, True)

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y), of the density's one class where there is one, (B,); exact."""
        found = self.log_probs(batch)
        return found[:, 0] if batch.y is None else found.gather(1, batch.y.unsqueeze(1)).squeeze(1)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n rows of these classes: a kept row with the kernel's noise, times the temperature; gaps as its class has."""
        y = torch.zeros(n, dtype=torch.long, device=self.x.device) if y is None else y
        drawn = self.x.new_empty(n, self.columns.width)
        place, gap = (seeds.uniform(n, 1, device=self.x.device).squeeze(1) for _ in range(2))
        noise = seeds.normal(n, self.columns.width, device=self.x.device).to(self.x.dtype)
        other = seeds.uniform(n, self.columns.width, device=self.x.device).to(self.x.dtype)
        for c in torch.unique(y).tolist():
            kept, chosen = (self.share[:, c] > 0).nonzero().flatten(), y == c
            # Of a class that no kept row has nothing is known but what rows are like.
            kept = kept if len(kept) else (self.owner <= self.classes).nonzero().flatten()
            reached = self.share[kept, c].double().cumsum(0)
            reached = reached if float(reached[-1]) else torch.arange(1, len(kept) + 1, device=y.device).double()
            which = torch.searchsorted(reached, place[chosen].double() * reached[-1], right=True)
            drawn[chosen] = self._filled(kept, which.clamp_max(len(kept) - 1), gap[chosen])
        numbers = torch.tensor([size == 0 for size in self._sizes], device=drawn.device)
        moved = drawn + temperature * self.width * noise
        for j, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            # Below λ another category, each as likely: its number among the others is what is left of the noise.
            step = 1 + (other[:, j] / self.mixing * (levels - 1)).floor().clamp(0, max(0, levels - 2))
            drawn[:, j] = torch.where(other[:, j] < self.mixing, (drawn[:, j] + step) % levels, drawn[:, j])
        return torch.where(numbers, moved, drawn)

    @property
    def _sizes(self) -> list[int]:
        sizes = [0] * self.columns.width
        for j, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            sizes[j] = levels
        return sizes

    def _filled(self, kept: Tensor, which: Tensor, gap: Tensor) -> Tensor:
        """Kept rows, their gaps filled from another row of the class that has the value."""
        rows = self.x[kept[which]].clone()
        for j in (~self.seen[kept]).any(0).nonzero().flatten().tolist():
            have = kept[self.seen[kept, j]]
            lacking = ~self.seen[kept[which], j]
            if len(have):
                rows[lacking, j] = self.x[have[(gap[lacking] * len(have)).long()], j]
        return rows

    def _bumps(self, x: Tensor, observed: Tensor | None, ratios: bool = False) -> Tensor:
        """The log of every kept row's bump at x, (B, R); of ratios up to ½ ‖x‖²/h², which all bumps share."""
        columns, kept = self.columns, self.seen[self.owner <= self.classes]
        h = self.width.square()
        # About the middle of the rows, so that squares of large numbers are not subtracted from each other.
        middle = self._middle()
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
        for place, levels in zip(columns.categories, columns.levels, strict=True):
            mine, theirs = x[:, place].long(), self.x[:, place].long()
            table = x.new_full((levels, levels), self.mixing / max(1, levels - 1))
            table.fill_diagonal_(1 - self.mixing if levels > 1 else 1.0)
            told = table.log()[:, theirs]  # (L, R)
            told = torch.where(self.seen[:, place], told, shares[place][:, self.owner.clamp_max(self.classes)])
            found = found + told[mine] * seen[:, place : place + 1]
        return found

    def _by_class(self, bumps: Tensor) -> Tensor:
        """Σ_i r_ic k_i over the rows of each class, its mean taken: the log of it, (B, C)."""
        count = self.share.sum(0)
        parts = []
        for c in range(self.classes):
            of = (self.share[:, c] > 0).nonzero().flatten()
            each = bumps[:, of] + self.share[of, c].to(bumps.dtype).log()
            parts.append(torch.logsumexp(each, 1) if len(of) else bumps.new_full((len(bumps),), -1e30))
        return torch.stack(parts, 1) - count.where(count > 0, 1).to(bumps.dtype).log()

    def _middle(self) -> Tensor:
        """The mean of the values of each column that the kept rows have, (D,); of none, and of categories, anything."""
        kept = self.seen & (self.owner <= self.classes).unsqueeze(1)
        return torch.where(kept, self.x, 0.0).sum(0) / kept.sum(0).clamp_min(1)

    def _groups(self) -> Tensor:
        """Which kept rows are of each class, and, last, of any or none: 1 or 0, (C + 1, R)."""
        classes = torch.arange(self.classes + 1, device=self.owner.device).unsqueeze(1)
        return ((self.owner == classes) | ((classes == self.classes) & (self.owner <= self.classes))).to(self.x.dtype)

    def _marginals(self) -> tuple[Tensor, Tensor]:
        """The mean and the variance of each number in each kept row's class, (R, d): of all rows if it has none."""
        j, member = self.columns.numbers, self._groups()
        seen, middle = self.seen[:, j].to(self.x.dtype), self._middle()[j]
        x, have = (self.x[:, j] - middle) * seen, member @ seen
        count = have.clamp_min(1)
        mean = member @ x / count
        variance = (member @ x.square() / count - mean.square()).clamp_min(0)
        mean, variance = (torch.where(have > 0, own, own[-1]) for own in (mean, variance))
        owner = self.owner.clamp_max(self.classes)
        return mean[owner] + middle, variance[owner] + self.width.square()

    def _shares(self) -> dict[int, Tensor]:
        """The log shares of each category in each class, and, last, in all rows: (L, C + 1) by column."""
        member, found = self._groups(), {}
        for place, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            one = torch.nn.functional.one_hot(self.x[:, place].long(), levels).to(self.x.dtype)
            count = (member @ (one * self.seen[:, place].unsqueeze(1))).T
            # A class that has no value of it has the shares of all rows.
            count = torch.where(count.sum(0) > 0, count, count[:, -1:]) + 1
            found[place] = (count / count.sum(0)).log()
        return found

    # ---- how it learns

    @torch.no_grad()
    def sweep(self, examples: Examples, log_prior: Tensor) -> None:
        """Keep rows, choose h, and find to which class rows without a label belong.

        Arguments:
            examples: gives all of them.
            log_prior: log p(c), (C,).
        """
        self._keep(examples)
        if bool((self.owner == self.classes).any()):
            self._spread(log_prior)

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
        # Rows with a label come first: there may be few of them among very many.
        order = order[(y[order] == self.classes).long().argsort(stable=True)][: self.rows].sort().values
        n = len(order)
        self.x[:n], self.seen[:n], self.owner[:n] = x[order], known[order], y[order]
        labeled = (self.owner < self.classes).nonzero().flatten()
        self.share[labeled, self.owner[labeled]] = 1.0
        self.width.fill_(self.bandwidth or self._chosen(n))

    def _spread(self, log_prior: Tensor) -> None:
        """Labels go from row to row: rounds of expectation-maximization."""
        near, bumps = self._nearest()
        free = (self.owner == self.classes).nonzero().flatten()
        for _ in range(self.iterations):
            heights = self.share / self.share.sum(0).clamp_min(1e-30) * log_prior.exp().to(self.share)
            found = (bumps.unsqueeze(1) @ heights[near]).squeeze(1)
            found = found / found.sum(1, keepdim=True).clamp_min(1e-30)
            # What is as good as nothing is nothing: a class is then the sum of fewer bumps.
            self.share[free] = found.where(found > 1e-4, 0.0)

    def _nearest(self) -> tuple[Tensor, Tensor]:
        """The nearest kept rows of each row without a label, and their bumps there, up to a factor: (U, k) each."""
        free = (self.owner == self.classes).nonzero().flatten()
        k = min(self.neighbors, int((self.owner <= self.classes).sum()) - 1)
        rows, values = [], []
        for at in torch.split(free, max(1, ROOM // self.rows)):
            seen = self.seen[at]
            bumps = self._bumps(self.x[at], None if bool(seen.all()) else seen)
            bumps[:, self.owner > self.classes] = -math.inf
            bumps[torch.arange(len(at), device=at.device), at] = -math.inf
            value, row = bumps.topk(k, 1)
            rows.append(row)
            values.append((value - value[:, :1]).exp())
        return torch.cat(rows), torch.cat(values)

    def _chosen(self, count: int) -> float:
        """The h under which each row is likeliest given the others of its class, of any where some have no label."""
        j = self.columns.numbers
        if not j:
            return 1.0
        mean, _ = self._marginals()
        x = torch.where(self.seen[:count][:, j], self.x[:count][:, j], mean[:count]) - self._middle()[j]
        asked = torch.randperm(count, generator=seeds.generator(self.seed, "asked"))[:ASKED]
        repeats = squared_distances(x[asked], x)
        repeats = repeats <= 1e-6 * repeats.mean()
        width = _cells(x)
        u = torch.rand(x.shape, generator=seeds.generator(self.seed, "cells"), dtype=torch.float64).to(x) - 0.5
        x = x + width * u
        square = squared_distances(x[asked], x)
        square[torch.arange(len(asked)), asked] = math.inf
        if not bool((self.owner[:count] == self.classes).any()):
            square.masked_fill_(self.owner[asked].unsqueeze(1) != self.owner[:count], math.inf)
        known, d = square.isfinite(), len(j)
        nearest = square.masked_fill(repeats, math.inf).min(1).values
        nearest = nearest[nearest.isfinite()]
        if not len(nearest):
            return 1.0
        # Rows that repeat the one that is left out though nothing was rounded are copies, and left out with it: under
        # them it would be the likelier the smaller h is.
        if float(width.square().mean(0).sum()) / 6 < 0.01 * float(nearest.mean()):
            square.masked_fill_(repeats, math.inf)
            known = square.isfinite()
        # No smaller h can be best, since each row's own likelihood still grows with it.
        least = math.sqrt(float(nearest.mean()) / d)
        most = max(2 * least, math.sqrt(float(square[known].mean()) / d))
        square = square[known.any(1)]

        def likelihood(h: float) -> float:
            return float(torch.logsumexp(-0.5 * square / h**2, 1).mean()) - d * math.log(h)

        steps = math.ceil(4 * math.log10(most / least))
        best = max((least * 10 ** (step / 4) for step in range(steps + 1)), key=likelihood)
        return max((max(least, best * 10 ** (step / 20)) for step in range(-5, 6)), key=likelihood)


def _cells(x: Tensor) -> Tensor:
    """How wide the values are that would have been rounded to each of x, column by column, (N, d).

    A value stands for all that is nearer to it than to its neighbors in its column; where nothing was rounded that is
    next to nothing.
    """
    width = torch.zeros_like(x)
    for j in range(x.shape[1]):
        values, place = torch.unique(x[:, j], return_inverse=True)
        if len(values) > 1:
            gaps = values.diff()
            width[:, j] = torch.minimum(torch.cat([gaps[:1], gaps]), torch.cat([gaps, gaps[-1:]]))[place]
    return width
