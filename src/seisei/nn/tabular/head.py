"""The likelihood of a row of mixed columns: normal for a number, categorical for a category."""

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
    """Independent columns, given the features.

    Arguments:
        columns: which are numbers and which categories.
        center: μ of the numbers, (..., d).
        log_std: log σ of the numbers, (d,).
        logits: of the categories of each column, (..., L_j) each.
    """

    columns: Columns
    center: Tensor
    log_std: Tensor
    logits: tuple[Tensor, ...]

    @property
    def mean(self) -> Tensor:
        """μ of the numbers, and the likeliest categories, (..., D)."""
        return self._row(self.center, [part.argmax(-1) for part in self.logits])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_j) of each column, (..., D)."""
        x = x.expand(*self.center.shape[:-1], x.shape[-1])
        numbers = x[..., self.columns.numbers]
        normal = -0.5 * ((numbers - self.center) * torch.exp(-self.log_std)).square() - self.log_std - 0.5 * LOG_2PI
        chosen = [
            part.log_softmax(-1).gather(-1, x[..., place : place + 1].long()).squeeze(-1)
            for place, part in zip(self.columns.categories, self.logits, strict=True)
        ]
        return self._row(normal, chosen)

    def sample(self) -> Tensor:
        """One row of each."""
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
        for place, each in zip(self.columns.categories, categories, strict=True):
            values[..., place] = each.to(values.dtype)
        return values


@listed
class RowHead(nn.Module):
    """Features to a `RowDistribution`; one σ for each number, learned with the weights.

    Arguments:
        sizes: what x holds, see `seisei.nn.tabular.features`.
        smallest: σ cannot fall below this share of the column's spread: a column that repeats few values would else be
            given a density without bound.
    """

    # A sample is a row that could have been recorded, noise and all; an image is shown without it.
    drawn = True

    def __init__(self, sizes: Sizes, smallest: Annotated[float, Range(gt=0, le=1)] = 0.02) -> None:
        super().__init__()
        self.columns, self.smallest = Columns(sizes), math.log(smallest)
        self.log_std = nn.Parameter(torch.zeros(len(self.columns.numbers)))
        self.outputs = self.columns.features

    def forward(self, features: Tensor) -> RowDistribution:
        """The distribution of (..., D) from (..., outputs)."""
        center, *logits = torch.split(precise(features), [len(self.columns.numbers), *self.columns.levels], -1)
        return RowDistribution(self.columns, center, self.log_std.clamp_min(self.smallest), tuple(logits))
