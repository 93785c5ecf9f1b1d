"""Exponential moving average (EMA) of weights.

    a ← b a + (1 − b) w, with b = min(decay^every, n/(9 + n)) at the n-th update,

so that early averages are not dominated by the initialization. Samples are generated with the EMA weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from seisei.errors import UserError


class EMA:
    """EMA of a model's weights.

    Arguments:
        model: the model; buffers are copied, not averaged.
        decay: decay per step.
        every: steps between two updates, each with decay^every: updating at every step costs more time and makes no
            relevant difference. Before the first update the EMA is the weights themselves.

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
        """Update the EMA after `step` training steps."""
        if step % self.every and step > self.every:
            return
        count = step // self.every
        keep = min(self.decay**self.every, count / (9 + count))
        torch._foreach_lerp_(self.shadow, self._weights, 1.0 - keep)

    def state(self) -> dict[str, Tensor]:
        """The model's state dict with EMA weights."""
        averaged = dict(zip(self.names, self.shadow, strict=True))
        return {name: averaged.get(name, value).detach() for name, value in self.model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor], where: str, like: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Restore from a state dict; `like` copies its second argument to the device and dtype of its first.

        Raises:
            UserError: the state belongs to another model.
        """
        remedy = "resume with the options the run was trained with"
        for name, weight in zip(self.names, self._weights, strict=True):
            if name not in state:
                raise UserError("E-RES-06", where, f"tensor {name!r} is missing", remedy)
            if state[name].shape != weight.shape:
                problem = f"tensor {name!r} has shape {tuple(state[name].shape)}, wanted {tuple(weight.shape)}"
                raise UserError("E-RES-08", where, problem, remedy)
        self.shadow = [like(weight, state[name]) for name, weight in zip(self.names, self._weights, strict=True)]
