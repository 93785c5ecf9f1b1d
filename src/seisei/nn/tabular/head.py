"""Likelihood of a row with mixed columns: normal for numbers, categorical for categories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import LOG_2PI, precise
from seisei.nn.tabular.features import Columns, Sizes
from seisei.spec import Range, listed


@dataclass(frozen=True)
class RowDistribution:
    """Independent columns given the features.

    Arguments:
        columns: column layout.
        center: μ of the numbers, (..., d).
        log_std: log σ of the numbers, (d,).
        logits: category logits of each column, (..., L_j) each.
    """

    columns: Columns
    center: Tensor
    log_std: Tensor
    logits: tuple[Tensor, ...]

    @property
    def mean(self) -> Tensor:
        """μ of the numbers and the most probable categories, (..., D)."""
        return self._row(self.center, [part.argmax(-1) for part in self.logits])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_j) of each column, (..., D)."""
        x = x.expand(*self.center.shape[:-1], x.shape[-1])
        numbers = x[..., self.columns.numbers]
        normal = -0.5 * ((numbers - self.center) * torch.exp(-self.log_std)).square() - self.log_std - 0.5 * LOG_2PI
        chosen = [
            part.log_softmax(-1).gather(-1, x[..., column : column + 1].long()).squeeze(-1)
            for column, part in zip(self.columns.categories, self.logits, strict=True)
        ]
        return self._row(normal, chosen)

    def sample(self) -> Tensor:
        """One sample of each row."""
        shape, device = self.center.shape, self.center.device
        numbers = self.center + torch.exp(self.log_std) * seeds.normal(*shape, device=device)
        drawn = []
        for part in self.logits:
            u = seeds.uniform(*part.shape, device=device).clamp(1e-7, 1 - 1e-7)
            drawn.append((part - torch.log(-torch.log(u))).argmax(-1))
        return self._row(numbers, drawn)

    def _row(self, numbers: Tensor, categories: list[Tensor]) -> Tensor:
        values = numbers.new_empty(*numbers.shape[:-1], self.columns.width)
        values[..., self.columns.numbers] = numbers
        for column, each in zip(self.columns.categories, categories, strict=True):
            values[..., column] = each.to(values.dtype)
        return values


@listed
class RowHead(nn.Module):
    """Features to a `RowDistribution`, with one learned σ per numeric column.

    Arguments:
        sizes: column layout of x, see `seisei.nn.tabular.features`.
        smallest: lower bound on σ, as a share of the column's standard deviation: the density of a column with few
            distinct values would be unbounded otherwise.
    """

    # Rows are sampled from the likelihood; images show its mean.
    drawn = True

    def __init__(self, sizes: Sizes, smallest: Annotated[float, Range(gt=0, le=1)] = 0.02) -> None:
        super().__init__()
        self.columns, self.smallest = Columns(sizes), math.log(smallest)
        self.log_std = nn.Parameter(torch.zeros(len(self.columns.numbers)))
        self.outputs = self.columns.features

    def forward(self, features: Tensor) -> RowDistribution:
        """The distribution of (..., D) from features (..., outputs)."""
        center, *logits = torch.split(precise(features), [len(self.columns.numbers), *self.columns.levels], -1)
        return RowDistribution(self.columns, center, self.log_std.clamp_min(self.smallest), tuple(logits))
