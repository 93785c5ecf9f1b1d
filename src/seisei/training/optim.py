"""Optimizers and the learning-rate schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seisei.nn.transformer.blocks import Matrix
from seisei.training.plan import Optim, Plan


def build_optimizers(player: nn.Module, optim: Optim, *, fused: bool) -> list[torch.optim.Optimizer]:
    """AdamW with the plan's settings, and Muon for weight matrices if the plan selects it.

    Fused AdamW is 1.1–1.5 times as fast, on the CPU too. Weight decay applies to weight matrices and kernels only: not
    to biases and scales, nor to a parameter with ``decays = False``.

    Reference: *Muon is Scalable for LLM Training (Liu et al., 2025)*, arXiv 2502.16982, whose update scaling lets
    AdamW and Muon share one learning rate.
    """
    first, second = optim.betas
    matrices: list[Tensor] = []
    if optim.matrices == "muon":
        matrices = [m.weight for m in player.modules() if isinstance(m, Matrix)]
    by_muon = {id(p) for p in matrices}
    everything = [p for p in player.parameters() if id(p) not in by_muon]
    decayed = [p for p in everything if p.dim() > 1 and getattr(p, "decays", True)] if optim.weight_decay else []
    chosen = {id(p) for p in decayed}
    others = [p for p in everything if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": others, "weight_decay": 0.0}]
    settings = {"lr": optim.learning_rate, "betas": (first, second)}
    adam = torch.optim.AdamW([g for g in groups if g["params"]], **settings, fused=fused)  # type: ignore[arg-type]
    if not matrices:
        return [adam]
    like_adam = {"lr": optim.learning_rate, "adjust_lr_fn": "match_rms_adamw"}
    return [adam, torch.optim.Muon(matrices, weight_decay=optim.weight_decay, **like_adam)]  # type: ignore[arg-type]


def learning_rate(optim: Optim, t: float) -> float:
    """The learning rate at fraction t of training: linear warm-up, then constant or cosine decay to zero.

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


def rate_of(plan: Plan, step: int) -> float:
    """The learning rate of a step (0-based); after the schedule ends, that of its last step.

    Evaluated at the middle of the step, so that neither the first nor the last has rate 0.
    """
    return learning_rate(plan.optim, (min(step, plan.span - 1) + 0.5) / plan.span)
