"""Shares the generator's forward pass between the discriminator turn and the generator turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class SharedForward:
    """Holds the generator's output for a micro-batch, with its graph, until the generator turn.

    In the discriminator turn the generator's parameters are constants; the output held here is differentiable
    nevertheless.

    Example:
        >>> model = nn.Linear(1, 1).requires_grad_(False)
        >>> again, x = SharedForward(), torch.ones(2, 1)
        >>> made = again.made(x, model, lambda: model(x))
        >>> made.requires_grad, model.weight.requires_grad, again.taken(x) is made, again.taken(x)
        (True, False, True, None)
    """

    def __init__(self) -> None:
        # Keyed by the address of x; x is held too, so that the address is not reused.
        self._kept: dict[int, tuple[Tensor, object]] = {}

    def __len__(self) -> int:
        """Number of held outputs; 0 between steps."""
        return len(self._kept)

    def made(self, x: Tensor, model: nn.Module, make: Callable[[], T]) -> T:
        """Compute an output, and hold it for this micro-batch if gradients are enabled."""
        if not torch.is_grad_enabled():
            return make()
        parameters = list(model.parameters())
        before = [parameter.requires_grad for parameter in parameters]
        model.requires_grad_(True)
        found = make()
        for parameter, wanted in zip(parameters, before, strict=True):
            parameter.requires_grad_(wanted)
        self._kept[x.data_ptr()] = x, found
        return found

    def taken(self, x: Tensor) -> object | None:
        """Remove and return the output held for this micro-batch, None if there is none."""
        return self._kept.pop(x.data_ptr(), (None, None))[1]
