"""Discriminators: a number for each example, higher for a real one.

    D(x, y) = wᵀφ(x) + v_yᵀφ(x)

The label enters by an inner product with the features of x: of a real pair log p(y | x) is that of a linear classifier
on φ, and this is its part in log p(x, y) − log q(x, y) (*cGANs with Projection Discriminator (Miyato, Koyama, 2018)*).

A discriminator may be kept from changing faster than its input by its weights alone: each matrix is divided by its
largest singular value, which one step of the power method a call keeps up with (*Spectral Normalization for
Generative Adversarial Networks (Miyato, Kataoka, Koyama, Yoshida, 2018)*).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from seisei.nn.distributions import precise
from seisei.nn.mlp import Classes, Condition, Outputs
from seisei.spec import listed

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "relu": F.relu}


@listed
class Discriminator(nn.Module):
    """(B, ...) to (B,).

    Arguments:
        trunk: φ before its last non-linearity, of what is seen: (B, features).
        features: how many.
        classes: of the condition; 0 for none.
        spectral: whether weights are divided by their largest singular values.
        activation: the non-linearity after the trunk: that of the trunk itself.

    Example:
        >>> import torch
        >>> from seisei.nn.mlp import MLPEncoder
        >>> Discriminator(MLPEncoder([2], 16), 16)(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(
        self, trunk: nn.Module, features: Outputs, classes: Classes = 0, spectral: bool = False,
        activation: Literal["silu", "relu"] = "silu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk, self.activation = trunk, ACTIVATIONS[activation]
        # Without a constant: most games compare verdicts, and it would drift there without a use.
        self.verdict = nn.Linear(features, 1, bias=False)
        self.condition = Condition(classes, features) if classes else None
        if self.condition is not None:
            # An inner product of many parts with a vector of length 1 a part would drown the other term.
            nn.init.normal_(self.condition.weight, std=features**-0.5)
        if spectral:
            for layer in [m for m in self.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding))]:
                # Some start at zero, which no division makes 1.
                layer.reset_parameters()
                spectral_norm(layer)

    def forward(self, seen: Tensor, y: Tensor | None = None) -> Tensor:
        """How real x looks, for one of y."""
        # Verdicts are compared, and their differences are small: products and sums in full precision.
        features = precise(self.activation(self.trunk(seen)))
        weights = self.verdict.weight.expand_as(features)
        if self.condition is not None:
            weights = weights + self.condition(y)
        return (weights * features).sum(1)
