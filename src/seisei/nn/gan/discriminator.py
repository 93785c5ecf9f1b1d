"""Projection discriminator, with optional spectral normalization: one logit per example, higher for real ones.

    D(x, y) = wᵀφ(x) + v_yᵀφ(x)

The label enters as an inner product of its embedding with the features of x: if log p(y | x) of real pairs is a linear
classifier on φ, this is its contribution to log p(x, y) − log q(x, y) (*cGANs with Projection Discriminator (Miyato,
Koyama, 2018)*).

Spectral normalization bounds the Lipschitz constant by the weights alone: each matrix is divided by its largest
singular value, tracked by one step of power iteration per call (*Spectral Normalization for Generative Adversarial
Networks (Miyato, Kataoka, Koyama, Yoshida, 2018)*).
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
    """(B, ...) to one logit per example, (B,).

    Arguments:
        trunk: φ before its last nonlinearity: (B, ...) to (B, features).
        features: width of φ.
        classes: classes of the condition; 0 for none.
        spectral: whether to apply spectral normalization.
        activation: nonlinearity after the trunk, the same as inside it.

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
        # No bias: most GAN losses compare outputs, and a bias would drift without effect.
        self.verdict = nn.Linear(features, 1, bias=False)
        self.condition = Condition(classes, features) if classes else None
        if self.condition is not None:
            # With entries of size 1 the inner product would dominate the unconditional term.
            nn.init.normal_(self.condition.weight, std=features**-0.5)
        if spectral:
            for layer in [m for m in self.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding))]:
                # Zero-initialized layers cannot be normalized.
                layer.reset_parameters()
                spectral_norm(layer)

    def forward(self, seen: Tensor, y: Tensor | None = None) -> Tensor:
        """The logit of x, given y."""
        # Outputs are compared, and their differences are small: products and sums in full precision.
        features = precise(self.activation(self.trunk(seen)))
        weights = self.verdict.weight.expand_as(features)
        if self.condition is not None:
            weights = weights + self.condition(y)
        return (weights * features).sum(1)
