"""Exponential moving average of weights.

    a ← b a + (1 − b) w, with b = min(decay, (1 + n)/(10 + n)) after n updates,

so that the first averages are not ruled by the random start. The average, not the last weights, is what samples are drawn with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """The averaged weights of a model.

    Arguments:
        model: whose weights are followed. Buffers are copied, not averaged.
        decay: b above.
        every: steps between two updates; each then counts as `every` updates of the same weights, which costs a fraction of the
            time and differs by nothing that matters.
    """

    def __init__(self, model: nn.Module, decay: float, every: int = 4) -> None:
        self.model, self.decay, self.every = model, decay, every
        self.shadow: list[Tensor] = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after `step` steps were made."""
        if step % self.every:
            return
        count = step // self.every
        keep = min(self.decay**self.every, count / (9 + count))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.model.parameters()], 1.0 - keep)

    def state(self) -> dict[str, Tensor]:
        """The model's state with averaged parameters."""
        averaged = dict(zip((name for name, _ in self.model.named_parameters()), self.shadow, strict=True))
        return {name: averaged.get(name, value).detach() for name, value in self.model.state_dict().items()}
