"""Mixture models as class-conditional densities, fitted by EM: GMM, naive Bayes, LDA, QDA, mixtures of PPCA.

    p(x | y = c) = Σ_k π_ck N(x_numbers; μ_ck, C_ck) Π_j p_ck(x_j)       over k = 1 … K

With one component this is Gaussian discriminant analysis (QDA; with tied covariance LDA), and naive Bayes if the
covariance is diagonal; with several of low rank, a mixture of probabilistic principal component analysers. Missing
values are integrated out, in training and in use. An unlabeled row belongs to every class with its posterior
probability, so that semi-supervised learning is maximum likelihood too.

If class c has no value of column j, the likelihood says nothing about it. Then p(x_j | c) is the marginal over all
rows, N(x_j; m_j, s_j²) or the overall frequencies, independent of the other columns; a column without any values in the
training data is the same for all classes, so that the posterior does not depend on it.

References: *Mixtures of Probabilistic Principal Component Analysers (Tipping, Bishop, 1999)*; unlabeled rows: *Text
    Classification from Labeled and Unlabeled Documents using EM (Nigam, McCallum, Thrun, Mitchell, 2000)*.

Shapes: x (B, ...) flattened to (B, D); y (B,) class labels, −1 where unknown; C classes, K components each.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.densities.gaussian import EVERY, FLAT, Gaussians
from seisei.nn.distributions import LOG_2PI
from seisei.nn.kmeans import kmeans
from seisei.nn.tabular.features import Categories, Columns, Sizes
from seisei.spec import Range, listed

# Most rows per class used for the initial clusters.
LOOKED_AT = 20_000
# Smallest log probability: what is saved must be finite.
LEAST = -700.0


@listed
class Mixture(nn.Module):
    """A mixture of K components for each of C classes.

    Arguments:
        classes: C; 1 for a density without classes.
        components: K.
        sizes: column layout of x, see `seisei.nn.tabular.features`.
        numbers: Gaussian part, with C·K components over the numbers of x.
        smoothing: pseudo-count of each category.
        seed: seed of the initial clusters.
    """

    log_prob_is_bound = False
    log_weight: Tensor
    started: Tensor
    unseen: Tensor
    pooled_mean: Tensor
    pooled_variance: Tensor

    def __init__(
        self,
        classes: Annotated[int, Range(ge=1, le=100_000)],
        components: Annotated[int, Range(ge=1, le=100_000)],
        sizes: Sizes,
        numbers: nn.Module,
        smoothing: Annotated[float, Range(ge=0)] = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        assert isinstance(numbers, Gaussians)
        self.classes, self.components, self.seed = classes, components, seed
        self.columns, self.numbers = Columns(sizes), numbers
        assert numbers.count == classes * components and numbers.dim == len(self.columns.numbers)
        self.categories = Categories(numbers.count, self.columns.levels, smoothing, numbers.dtype)
        weight = torch.full((classes, components), 1 / components, dtype=numbers.dtype)
        self.register_buffer("log_weight", weight.log())
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        # Numbers of which a class has no value, and mean and variance over all rows.
        self.register_buffer("unseen", torch.zeros(classes, numbers.dim, dtype=torch.bool))
        self.register_buffer("pooled_mean", torch.zeros(numbers.dim, dtype=numbers.dtype))
        self.register_buffer("pooled_variance", torch.ones(numbers.dim, dtype=numbers.dtype))

    # ---- density

    def log_probs(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y, (B, C)."""
        x, observed = self.columns.rows(batch)
        parts = self._components(x.to(self.numbers.dtype), observed, EVERY)
        return torch.logsumexp(parts.view(len(x), self.classes, self.components), 2)

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y), or the density if there is a single class, (B,); exact."""
        found = self.log_probs(batch)
        return found[:, 0] if batch.y is None else found.gather(1, batch.y.unsqueeze(1)).squeeze(1)

    def log_ratios(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y up to a shared term, (B, C), whose size would swamp the differences."""
        of = getattr(self.numbers, "log_ratios", None)
        if of is None or self.components > 1 or bool(self.unseen.any()):
            return self.log_probs(batch)
        x, observed = self.columns.rows(batch)
        x = x.to(self.numbers.dtype)
        numbers, categories = self.columns.number(x), self.columns.category(x)
        assert numbers is not None and categories is not None
        found: Tensor = of(numbers, self.columns.number(observed))
        if self.columns.categories:
            found = found + self.categories.log_prob(categories, self.columns.category(observed))
        return found

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n rows of these classes; the temperature scales the deviation from the component's mean."""
        device = self.log_weight.device
        y = torch.zeros(n, dtype=torch.long, device=device) if y is None else y
        reached = self.log_weight.exp().cumsum(1)[y]
        k = (seeds.uniform(n, 1, device=device).to(reached.dtype) > reached[:, :-1]).sum(1)
        components = y * self.components + k
        numbers, center = self.numbers.sample(components), self.numbers.mean[components]
        if bool(self.unseen.any()):
            unseen, own = self.unseen[y], seeds.normal(n, self.numbers.dim, device=device).to(numbers.dtype)
            numbers = torch.where(unseen, self.pooled_mean + self.pooled_variance.sqrt() * own, numbers)
            center = torch.where(unseen, self.pooled_mean, center)
        noise = seeds.uniform(n, len(self.columns.levels), device=device).to(numbers.dtype)
        return self.columns.join(torch.lerp(center, numbers, temperature), self.categories.sample(components, noise))

    def _components(self, x: Tensor, observed: Tensor | None, at: slice) -> Tensor:
        """log π + log p(x | component), (B, m)."""
        columns = self.columns
        numbers, categories = columns.number(x), columns.category(x)
        assert numbers is not None and categories is not None
        found = self.log_weight.flatten()[at].expand(len(x), -1)
        if columns.numbers:
            found = found + self._of_numbers(numbers, columns.number(observed), at)
        if columns.categories:
            found = found + self.categories.log_prob(categories, columns.category(observed), at)
        return found

    def _of_numbers(self, x: Tensor, observed: Tensor | None, at: slice) -> Tensor:
        """log p of the numbers given the component, (B, m); marginals for those its class has no value of."""
        if not bool(self.unseen.any()):
            return self.numbers.log_prob(x, observed, at)
        seen = torch.ones_like(x, dtype=torch.bool) if observed is None else observed
        scaled = (x - self.pooled_mean).square() / self.pooled_variance
        pooled = -0.5 * (scaled + self.pooled_variance.log() + LOG_2PI)
        parts, k = [], self.components
        for c in range(*(i // k for i in at.indices(self.numbers.count)[:2])):
            part = self.numbers.log_prob(x, seen & ~self.unseen[c], slice(c * k, (c + 1) * k))
            parts.append(part + (pooled * (seen & self.unseen[c])).sum(1, keepdim=True))
        return torch.cat(parts, 1)

    # ---- fitting

    @torch.no_grad()
    def sweep(self, examples: Examples, log_prior: Tensor) -> Tensor | None:
        """One EM step over all examples.

        Arguments:
            examples: all training examples, iterable repeatedly.
            log_prior: log p(y), (C,), for unlabeled rows.

        Returns:
            Mean log p(x | y), or log p(x) where y is unknown, before the step; None if there was nothing to infer: the
            step is then a closed-form fit.
        """
        if not bool(self.started):
            self._begin(examples)
        moments, counts = self.numbers.moments(), torch.zeros_like(self.categories.log_p)
        weight = torch.zeros_like(self.log_weight).flatten()
        # A single-precision sum of many rows would hide the gain of a late iteration.
        total, rows = torch.zeros((), dtype=torch.float64, device=weight.device), 0
        every, closed = True, self.components == 1
        coverage = _Coverage(self.classes, self.columns, weight.device)
        for batch in examples():
            x, observed = self.columns.rows(batch)
            x = x.to(self.numbers.dtype)
            y = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch.y is None else batch.y
            coverage.add(observed, y)
            closed = closed and observed is None and bool((y >= 0).all())
            if self.components == 1 and self.numbers.pooled and bool((y >= 0).all()):
                r = nn.functional.one_hot(y, self.classes).to(x)
                self._gather(x, observed, r, EVERY, moments, counts)
                weight, every = weight + r.sum(0), False
                continue
            for c in torch.unique(y).tolist():
                chosen = y == c
                some, seen = (x, observed) if bool(chosen.all()) else (x[chosen], _some(observed, chosen))
                at = EVERY if c < 0 else slice(c * self.components, (c + 1) * self.components)
                if c < 0 or self.components > 1:
                    joint = self._components(some, seen, at)
                    joint = joint + log_prior.to(joint).repeat_interleave(self.components) if c < 0 else joint
                    total += torch.logsumexp(joint, 1).double().sum()
                    r = joint.softmax(1)
                else:
                    r, every = some.new_ones(len(some), 1), False
                self._gather(some, seen, r, at, moments, counts)
                weight[at] += r.sum(0)
                rows += len(some)
        if not closed and not every:
            total, rows = self._total(examples, log_prior)
        if self.columns.numbers:
            self.numbers.update(moments)
        lacking = coverage.lacking()
        self.unseen.copy_(lacking[:, self.columns.numbers])
        if bool(self.unseen.any()):
            self._pool(examples)
        self._share(self._fill_counts(counts, lacking[:, self.columns.categories]), weight)
        return None if closed else (total / max(1, rows)).to(self.log_weight.dtype)

    def _total(self, examples: Examples, log_prior: Tensor) -> tuple[Tensor, int]:
        """Sum of log p(x | y), or of log p(x) where y is unknown, and the number of rows."""
        total, rows = torch.zeros((), dtype=torch.float64, device=self.log_weight.device), 0
        for batch in examples():
            found = self.log_probs(batch)
            y = torch.zeros(len(found), dtype=torch.long, device=found.device) if batch.y is None else batch.y
            own = found.gather(1, y.clamp_min(0).unsqueeze(1)).squeeze(1)
            total += torch.where(y < 0, torch.logsumexp(found + log_prior.to(found), 1), own).double().sum()
            rows += len(found)
        return total, rows

    def _pool(self, examples: Examples) -> None:
        """Mean and variance of each number over all rows; the average variance for one without values."""
        count, first, second = (torch.zeros_like(self.pooled_mean) for _ in range(3))
        # Centered near all means, so that squares of large numbers are not subtracted from each other.
        center = self.numbers.mean.mean(0)
        for batch in examples():
            x, observed = self.columns.rows(batch)
            numbers, there = self.columns.number(x.to(self.numbers.dtype)), self.columns.number(observed)
            assert numbers is not None
            weight = torch.ones_like(numbers) if there is None else there.to(numbers.dtype)
            centered = (numbers - center) * weight
            count, first, second = count + weight.sum(0), first + centered.sum(0), second + centered.square().sum(0)
        n = count.clamp_min(1)
        variance = (second / n - (first / n).square()).clamp_min(0)
        average = variance.sum() / (count > 0).sum().clamp_min(1)
        average = torch.where(average > 0, average, torch.ones_like(average))
        self.pooled_mean.copy_(torch.where(count > 0, center + first / n, 0.0))
        self.pooled_variance.copy_(torch.maximum(torch.where(count > 0, variance, average), FLAT * average))

    def _fill_counts(self, counts: Tensor, lacking: Tensor) -> Tensor:
        """Category counts, (M, S), where a class without values of a column, (C, J), gets those of all rows."""
        if not bool(lacking.any()):
            return counts
        levels = torch.tensor(self.categories.levels, device=counts.device)
        lacks = lacking.repeat_interleave(self.components, 0).repeat_interleave(levels, 1)
        return torch.where(lacks, counts.sum(0), counts)

    def _gather(
        self, x: Tensor, observed: Tensor | None, r: Tensor, at: slice, moments: list[Tensor], counts: Tensor
    ) -> None:
        numbers, categories = self.columns.number(x), self.columns.category(x)
        assert numbers is not None and categories is not None
        if self.columns.numbers:
            self.numbers.gather(numbers, self.columns.number(observed), r, at, moments)
        if self.columns.categories:
            counts[at] += self.categories.gather(categories, self.columns.category(observed), r)

    def _share(self, counts: Tensor, weight: Tensor) -> None:
        if self.columns.categories:
            self.categories.update(counts)
        shares = weight.view(self.classes, self.components)
        self.log_weight.copy_((shares / shares.sum(1, keepdim=True).clamp_min(1e-12)).log().clamp_min(LEAST))

    def _begin(self, examples: Examples) -> None:
        """Initial components: k-means clusters of each class."""
        weight, counts = torch.zeros_like(self.log_weight).flatten(), torch.zeros_like(self.categories.log_p)
        for c, (x, observed) in self._look(examples).items():
            numbers, seen = self.columns.number(x), self.columns.number(observed)
            categories = self.columns.category(x)
            assert numbers is not None and categories is not None
            if seen is not None:
                mean = (numbers * seen).sum(0) / seen.sum(0).clamp_min(1)
                numbers = torch.where(seen, numbers, mean)
            k = min(self.components, len(x))
            which = torch.zeros(len(x), dtype=torch.long, device=x.device)
            if k > 1:
                chosen = self.categories.chosen(categories, self.columns.category(observed))
                features = torch.cat([numbers, chosen], 1)
                which = kmeans(features, k, seeds.generator(self.seed, "clusters", c))[1]
            for j in range(k):
                m, rows = c * self.components + j, which == j
                if not bool(rows.any()):
                    continue
                if self.columns.numbers:
                    some = numbers[rows]
                    self.numbers.begin(m, some if seen is None else _spread(some, seen[rows], numbers))
                weight[m] = rows.sum()
                if self.columns.categories:
                    r = x.new_ones(int(rows.sum()), 1)
                    part = self.categories.gather(categories[rows], _some(self.columns.category(observed), rows), r)
                    counts[m] = part[0]
        self._share(counts, weight)
        self.started.fill_(True)

    def _look(self, examples: Examples) -> dict[int, tuple[Tensor, Tensor | None]]:
        """Enough rows of every class for the initialization, and their masks."""
        most = LOOKED_AT if self.components > 1 else self.numbers.looked_at
        kept: dict[int, list[tuple[Tensor, Tensor]]] = {}
        for batch in examples():
            if most < LOOKED_AT and len(kept) == self.classes:
                if all(sum(len(rows) for rows, _ in parts) >= most for parts in kept.values()):
                    break
            x, observed = self.columns.rows(batch)
            seen = torch.ones_like(x, dtype=torch.bool) if observed is None else observed
            y = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch.y is None else batch.y
            for c in torch.unique(y[y >= 0]).tolist():
                kept.setdefault(c, []).append((x[y == c].to(self.numbers.dtype), seen[y == c]))
        found: dict[int, tuple[Tensor, Tensor | None]] = {}
        for c, parts in kept.items():
            rows, seen = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
            if len(rows) > most:
                some = torch.randperm(len(rows), generator=seeds.generator(self.seed, "look", c))[:most]
                rows, seen = rows[some], seen[some]
            found[c] = rows, None if bool(seen.all()) else seen
        return found


def _some(observed: Tensor | None, chosen: Tensor) -> Tensor | None:
    return None if observed is None else observed[chosen]


def _spread(rows: Tensor, seen: Tensor, of: Tensor) -> Tensor:
    """Rows of a cluster; a column without values in it gets the class's variance about the mean."""
    empty = ~seen.any(0)
    sign = 1 - 2 * (torch.arange(len(rows), device=rows.device) % 2).to(rows.dtype).unsqueeze(1)
    return torch.where(empty, rows + sign * of.std(0, correction=0), rows)


class _Coverage:
    """Which columns have values in a class, in its labeled rows or in unlabeled ones; accumulated batch by batch."""

    def __init__(self, classes: int, columns: Columns, device: torch.device) -> None:
        self.classes, self.columns = classes, columns
        self.rows = torch.zeros(classes + 1, dtype=torch.bool, device=device)
        self.seen = torch.zeros(classes + 1, columns.width, dtype=torch.bool, device=device)

    def add(self, observed: Tensor | None, y: Tensor) -> None:
        """Add these rows."""
        owner = torch.where(y < 0, self.classes, y)
        self.rows[owner] = True
        if observed is None:
            self.seen[owner] = True
            return
        for c in torch.unique(owner).tolist():
            self.seen[c] |= observed[owner == c].any(0)

    def lacking(self) -> Tensor:
        """Columns without values in a class, (C, D); a class without rows lacks none."""
        return ~(self.seen[:-1] | self.seen[-1]) & self.rows[:-1].unsqueeze(1)
