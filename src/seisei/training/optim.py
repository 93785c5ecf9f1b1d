"""Optimizers and the learning rate as a function of t."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from seisei.training.plan import Optim


def build_optimizer(parameters: Iterable[nn.Parameter], optim: Optim, *, fused: bool) -> torch.optim.Optimizer:
    """AdamW with the plan's settings; fused is 1.1–1.5 times as fast as the default on the CPU too."""
    first, second = optim.betas
    settings = {"lr": optim.learning_rate, "betas": (first, second), "weight_decay": optim.weight_decay}
    return torch.optim.AdamW(parameters, **settings, fused=fused)  # type: ignore[arg-type]


def learning_rate(optim: Optim, t: float) -> float:
    """The rate at fraction t of training: a linear warm-up, then constant or a half cosine to zero.

    Example:
        >>> [round(learning_rate(Optim(learning_rate=1.0, warmup=0.1), t), 3) for t in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """
    if t < optim.warmup:
        return optim.learning_rate * t / optim.warmup
    if optim.schedule == "constant":
        return optim.learning_rate
    done = (t - optim.warmup) / max(1e-12, 1 - optim.warmup)
    return optim.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
