"""Exponential moving average of weights.

    a ← b a + (1 − b) w, with b = min(decay^every, n/(9 + n)) at the n-th update,

so that the first averages are not ruled by the random start. The average, not the last weights, is what samples are
drawn with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from seisei.errors import UserError


class EMA:
    """The averaged weights of a model.

    Arguments:
        model: whose weights are followed. Buffers are copied, not averaged.
        decay: per step.
        every: steps between two updates, each with decay^every: following the weights at every step costs more time and
            differs by nothing that matters. Before the first of them the average is the weights themselves.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> average = EMA(model, 0.9)
        >>> average.update(1)
        >>> bool(torch.equal(average.state()["weight"], model.weight))
        True
    """

    def __init__(self, model: nn.Module, decay: float, every: int = 4) -> None:
        self.model, self.decay, self.every = model, decay, every
        self.names = [name for name, _ in model.named_parameters()]
        self._weights = [p.detach() for p in model.parameters()]
        self.shadow: list[Tensor] = [w.clone() for w in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after `step` steps were made."""
        if step % self.every and step > self.every:
            return
        count = step // self.every
        keep = min(self.decay**self.every, count / (9 + count))
        torch._foreach_lerp_(self.shadow, self._weights, 1.0 - keep)

    def state(self) -> dict[str, Tensor]:
        """The model's state with averaged parameters."""
        averaged = dict(zip(self.names, self.shadow, strict=True))
        return {name: averaged.get(name, value).detach() for name, value in self.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor], where: str, like: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Take over what `state` gave; `like` makes a copy of its second argument that is placed as its first.

        Raises:
            UserError: it belongs to another model.
        """
        remedy = "resume with the options the run was trained with"
        for name, weight in zip(self.names, self._weights, strict=True):
            if name not in state:
                raise UserError("E-RES-06", where, f"tensor {name!r} is missing", remedy)
            if state[name].shape != weight.shape:
                problem = f"tensor {name!r} has shape {tuple(state[name].shape)}, wanted {tuple(weight.shape)}"
                raise UserError("E-RES-08", where, problem, remedy)
        self.shadow = [like(weight, state[name]) for name, weight in zip(self.names, self._weights, strict=True)]
