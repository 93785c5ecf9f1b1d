"""What is made in a discriminator's turn, made once for the turn that follows too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class SharedForward:
    """Holds what a model made of a part of a batch in the discriminator's turn, with its gradient, until the model's
    own turn.

    In the discriminator's turn the model's parameters are constants: not for what is kept here.

    Example:
        >>> model = nn.Linear(1, 1).requires_grad_(False)
        >>> again, x = SharedForward(), torch.ones(2, 1)
        >>> made = again.made(x, model, lambda: model(x))
        >>> made.requires_grad, model.weight.requires_grad, again.taken(x) is made, again.taken(x)
        (True, False, True, None)
    """

    def __init__(self) -> None:
        # By where x lies in memory, and with x, so that nothing else comes to lie there.
        self._kept: dict[int, tuple[Tensor, object]] = {}

    def __len__(self) -> int:
        """What is kept now; nothing between two steps."""
        return len(self._kept)

    def made(self, x: Tensor, model: nn.Module, make: Callable[[], T]) -> T:
        """What is made now, and kept for the batch part of these x where gradients are taken."""
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
        """What was kept for these x, which is then forgotten; None where nothing was."""
        return self._kept.pop(x.data_ptr(), (None, None))[1]
