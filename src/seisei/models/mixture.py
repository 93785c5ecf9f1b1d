"""Mixtures as class-conditional densities, fitted by expectation-maximisation.

    p(x | y = c) = Σ_k π_ck N(x_numbers; μ_ck, C_ck) Π_j p_ck(x_j)       over k = 1 … K

With one component this is the Gaussian class model (quadratic, or, tied, linear discriminant analysis), naive Bayes
where the covariance is diagonal; with several of low rank, a mixture of probabilistic principal component analysers.
Missing values are integrated out, in training as in use. A row without a label belongs to every class with its
posterior probability: learning from labelled and unlabelled rows is one likelihood.

References: *Mixtures of Probabilistic Principal Component Analysers (Tipping, Bishop, 1999)*; unlabelled rows: *Text
    Classification from Labeled and Unlabeled Documents using EM (Nigam, McCallum, Thrun, Mitchell, 2000)*.

Shapes: x (B, ...) flattened to (B, D); y (B,) class numbers, −1 where unknown; C classes, K components each.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.columns import Categories, Columns, Sizes
from seisei.nn.gaussians import EVERY, Gaussians
from seisei.nn.kmeans import kmeans
from seisei.spec import Range, listed

# Rows of a class that its first clusters are made of, at most.
LOOKED_AT = 20_000
# The logarithm of a share of nothing: what is saved must be finite.
LEAST = -700.0


@listed
class Mixture(nn.Module):
    """K components for each of C classes.

    Arguments:
        classes: C; 1 for a density without classes.
        components: K.
        sizes: what x holds, see `seisei.nn.columns`.
        numbers: the Gaussian part, of C·K components over the numbers of x.
        smoothing: rows added to each category before counting.
        seed: of the first clusters.
    """

    log_prob_is_bound = False
    log_weight: Tensor
    started: Tensor

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

    # ---- what it says

    def log_probs(self, batch: Batch) -> Tensor:
        """log p(x | y) for every y, (B, C)."""
        x, observed = self.columns.rows(batch)
        parts = self._components(x.to(self.numbers.dtype), observed, EVERY)
        return torch.logsumexp(parts.view(len(x), self.classes, self.components), 2)

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y), of the density's one class where there is one, (B,); exact."""
        found = self.log_probs(batch)
        return found[:, 0] if batch.y is None else found.gather(1, batch.y.unsqueeze(1)).squeeze(1)

    def linear(self) -> tuple[Tensor, Tensor] | None:
        """Weights (D, C) and biases (C,) that give log p(x | y) up to what all classes share, where planes divide them.

        None where they do not, or where x holds more than numbers.
        """
        found = getattr(self.numbers, "linear", lambda: None)()
        return found if self.components == 1 and not self.columns.categories else None

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n rows, of these classes; a temperature scales what lies between a draw and its component's mean."""
        device = self.log_weight.device
        y = torch.zeros(n, dtype=torch.long, device=device) if y is None else y
        reached = self.log_weight.exp().cumsum(1)[y]
        k = (seeds.uniform(n, 1, device=device).to(reached.dtype) > reached[:, :-1]).sum(1)
        components = y * self.components + k
        numbers, centre = self.numbers.sample(components), self.numbers.mean[components]
        noise = seeds.uniform(n, len(self.columns.levels), device=device).to(numbers.dtype)
        return self.columns.join(torch.lerp(centre, numbers, temperature), self.categories.sample(components, noise))

    def _components(self, x: Tensor, observed: Tensor | None, at: slice) -> Tensor:
        """log π + log p(x | component), (B, m)."""
        columns = self.columns
        numbers, categories = columns.number(x), columns.category(x)
        assert numbers is not None and categories is not None
        found = self.log_weight.flatten()[at].expand(len(x), -1)
        if columns.numbers:
            found = found + self.numbers.log_prob(numbers, columns.number(observed), at)
        if columns.categories:
            found = found + self.categories.log_prob(categories, columns.category(observed), at)
        return found

    # ---- how it learns

    @torch.no_grad()
    def sweep(self, examples: Examples, log_prior: Tensor) -> Tensor | None:
        """One round of expectation-maximisation over all examples.

        Arguments:
            examples: gives all of them, as often as it is asked.
            log_prior: log p(y), (C,), for rows without a label.

        Returns:
            The mean of log p(x | y), or of log p(x) where y is unknown, before the round; None where some rows did not
            need it, since nothing had to be expected of them.
        """
        if not bool(self.started):
            self._begin(examples)
        moments, counts = self.numbers.moments(), torch.zeros_like(self.categories.log_p)
        weight, total, rows = torch.zeros_like(self.log_weight).flatten(), self.log_weight.new_zeros(()), 0
        every = True
        for batch in examples():
            x, observed = self.columns.rows(batch)
            x = x.to(self.numbers.dtype)
            y = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch.y is None else batch.y
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
                    total = total + torch.logsumexp(joint, 1).sum()
                    r = joint.softmax(1)
                else:
                    r, every = some.new_ones(len(some), 1), False
                self._gather(some, seen, r, at, moments, counts)
                weight[at] += r.sum(0)
                rows += len(some)
        if self.columns.numbers:
            self.numbers.update(moments)
        self._share(counts, weight)
        return total / max(1, rows) if every else None

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
        """The first components: clusters of each class, by k-means."""
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
                    self.numbers.begin(m, numbers[rows])
                weight[m] = rows.sum()
                if self.columns.categories:
                    r = x.new_ones(int(rows.sum()), 1)
                    part = self.categories.gather(categories[rows], _some(self.columns.category(observed), rows), r)
                    counts[m] = part[0]
        self._share(counts, weight)
        self.started.fill_(True)

    def _look(self, examples: Examples) -> dict[int, tuple[Tensor, Tensor | None]]:
        """Rows of every class, and where they were observed: as many as a start needs."""
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
