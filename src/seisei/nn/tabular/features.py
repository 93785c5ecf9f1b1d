"""Table rows with mixed columns: which values are numeric, which categorical, and how a network reads them.

`sizes` has one entry per value of x: 0 for a number, else the number of categories. An integer D stands for D numbers,
as in an image.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.batch import Batch
from seisei.nn.densities.gaussian import EVERY
from seisei.spec import Range, listed

Sizes = list[int] | int


class Columns:
    """Positions of the numeric and categorical columns of a row.

    Example:
        >>> columns = Columns([0, 3, 0])
        >>> columns.numbers, columns.categories, columns.levels, columns.features
        ([0, 2], [1], [3], 5)
    """

    def __init__(self, sizes: Sizes) -> None:
        each = [0] * sizes if isinstance(sizes, int) else list(sizes)
        assert all(size >= 0 for size in each)
        self.width = len(each)
        self.numbers = [i for i, size in enumerate(each) if size == 0]
        self.categories = [i for i, size in enumerate(each) if size > 0]
        self.levels = [size for size in each if size > 0]

    @property
    def features(self) -> int:
        """Width of the network input: one per number, one per category (one-hot)."""
        return len(self.numbers) + sum(self.levels)

    def rows(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """x as rows (B, D), and its mask; None if everything was observed."""
        x = batch.x.flatten(1)
        mask = batch.mask
        return x, None if mask is None or bool(mask.all()) else mask.expand_as(batch.x).flatten(1)

    def number(self, rows: Tensor | None) -> Tensor | None:
        """The numeric columns of rows, or of their mask."""
        return rows if rows is None or not self.categories else rows[:, self.numbers]

    def category(self, rows: Tensor | None) -> Tensor | None:
        """The categorical columns of rows, or of their mask."""
        return None if rows is None else rows[:, self.categories]

    def join(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Rows from numbers (B, d) and categories (B, J)."""
        if not self.categories:
            return numbers
        x = numbers.new_empty(len(numbers), self.width)
        x[:, self.numbers], x[:, self.categories] = numbers, categories.to(x.dtype)
        return x


@listed
class RowFeatures(nn.Module):
    """Network input of a row: numbers, one-hot categories, and an indicator for each missing value.

    A missing value itself is read as 0, the mean of a standardized number.

    Arguments:
        sizes: column layout, see the module.
        missing: whether to add missing-value indicators; images do not need them.

    Example:
        >>> RowFeatures([0, 3], missing=True)(Batch(torch.tensor([[0.5, 2.0]]))).tolist()
        [[0.5, 0.0, 0.0, 1.0, 0.0, 0.0]]
    """

    def __init__(self, sizes: Sizes, missing: bool = False) -> None:
        super().__init__()
        self.columns, self.missing = Columns(sizes), missing
        self.outputs = self.columns.features + (self.columns.width if missing else 0)

    def forward(self, batch: Batch) -> Tensor:
        """(B, outputs)."""
        x, observed = self.columns.rows(batch)
        seen = torch.ones_like(x) if observed is None else observed.to(x.dtype)
        parts = [self.columns.number(x * seen)]
        for column, levels in zip(self.columns.categories, self.columns.levels, strict=True):
            parts.append(F.one_hot(x[:, column].long(), levels).to(x.dtype) * seen[:, column : column + 1])
        if self.missing:
            parts.append(1 - seen)
        return torch.cat([part for part in parts if part is not None], 1) if len(parts) > 1 else parts[0]  # type: ignore[return-value]


class Categories(nn.Module):
    """Independent categorical columns given the component: M probability tables for each of J columns.

    Arguments:
        count: M.
        levels: number of categories of each column.
        smoothing: pseudo-count added to each category, so that none has probability 0.
    """

    log_p: Tensor
    start: Tensor

    def __init__(
        self, count: int, levels: list[int], smoothing: Annotated[float, Range(ge=0)], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.count, self.levels, self.smoothing = count, levels, smoothing
        uniform = [torch.full((count, size), 1 / size, dtype=dtype).log() for size in levels]
        self.register_buffer("log_p", torch.cat(uniform, 1) if levels else torch.zeros(count, 0, dtype=dtype))
        before = torch.tensor([0, *levels]).cumsum(0)[:-1]
        self.register_buffer("start", before, persistent=False)

    def chosen(self, x: Tensor, observed: Tensor | None) -> Tensor:
        """One-hot encoding of the observed categories: (B, S)."""
        seen = x.new_ones(x.shape) if observed is None else observed.to(x.dtype)
        return x.new_zeros(len(x), self.log_p.shape[1]).scatter_(1, x.long() + self.start, seen)

    def log_prob(self, x: Tensor, observed: Tensor | None, at: slice = EVERY) -> Tensor:
        """Σ log p of the observed categories: (B, m)."""
        return self.chosen(x, observed) @ self.log_p[at].T

    def gather(self, x: Tensor, observed: Tensor | None, r: Tensor) -> Tensor:
        """Weighted counts of each category: (m, S)."""
        return r.T @ self.chosen(x, observed)

    def update(self, counts: Tensor) -> None:
        """Set the probabilities to the smoothed shares of the observed categories."""
        parts = [(c + self.smoothing) for c in torch.split(counts, self.levels, 1)]
        shares = [p / p.sum(1, keepdim=True).clamp_min(1e-30) for p in parts]
        # Saved values must be finite in any precision.
        self.log_p.copy_(torch.cat(shares, 1).log().clamp_min(-700.0))

    def sample(self, components: Tensor, noise: Tensor) -> Tensor:
        """One sample of each column: uniform noise (n, J) to categories (n, J)."""
        samples = torch.zeros_like(noise)
        for j, table in enumerate(torch.split(self.log_p, self.levels, 1)):
            reached = table.exp().cumsum(1)[components]
            samples[:, j] = (noise[:, j : j + 1] > reached[:, :-1]).sum(1)
        return samples
