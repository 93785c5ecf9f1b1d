"""MLP encoder and decoder, for small images and vectors."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.spec import Range, listed

Shape = list[Annotated[int, Range(ge=1, le=1_000_000)]]
Outputs = Annotated[int, Range(ge=1, le=1_000_000)]
Classes = Annotated[int, Range(ge=0, le=1_000_000)]
Width = Annotated[int, Range(ge=1, le=16384)]
Depth = Annotated[int, Range(ge=1, le=64)]


def mlp(inputs: int, outputs: int, width: int, depth: int) -> nn.Sequential:
    """`depth` hidden ReLU layers of `width`, then a linear one."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Condition(nn.Embedding):
    """Class embedding; for weights (B, K) the weighted sum of embeddings.

    So a mixture of two classes is interpolated linearly, and a vector of attributes, with a 1 for each label that
    applies and a value for each numeric one, is a sum over them.

    Example:
        >>> table = Condition(3, 5)
        >>> blend = table(torch.tensor([[0.5, 0.5, 0.0]]))
        >>> bool(torch.allclose(blend, (table(torch.tensor([0])) + table(torch.tensor([1]))) / 2))
        True
    """

    def forward(self, y: Tensor) -> Tensor:
        """Embeddings (B, size) of class labels (B,), or of weights (B, K)."""
        return y.to(self.weight.dtype) @ self.weight if torch.is_floating_point(y) else super().forward(y)


@listed
class MLPEncoder(nn.Module):
    """(B, *shape) to (B, outputs).

    Arguments:
        shape: shape of one x.
        outputs: output width.
        width: width of the hidden layers.
        depth: number of hidden layers.
        classes: classes of the condition; 0 for none.
    """

    def __init__(
        self, shape: Shape, outputs: Outputs, width: Width = 512, depth: Depth = 2, classes: Classes = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.layers = mlp(math.prod(shape), outputs, width, depth)
        self.condition = Condition(classes, width) if classes else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x, conditioned on y."""
        return self.layers[-1](self.before(x, y))  # type: ignore[no-any-return]

    def before(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Input of the last layer."""
        hidden = self.layers[0](x.flatten(1))
        if self.condition is not None:
            hidden = hidden + self.condition(y)
        return self.layers[1:-1](hidden)  # type: ignore[no-any-return]


@listed
class MLPDecoder(nn.Module):
    """(B, latent) to (B, *shape).

    Arguments:
        shape: shape of the output, including the head's parameters.
        latent: size of z.
        width: width of the hidden layers.
        depth: number of hidden layers.
        classes: classes of the condition; 0 for none.
    """

    def __init__(
        self, shape: Shape, latent: Outputs, width: Width = 512, depth: Depth = 2, classes: Classes = 0
    ) -> None:
        super().__init__()
        self.shape, self.classes = list(shape), classes
        self.layers = mlp(latent, math.prod(shape), width, depth)
        self.condition = Condition(classes, width) if classes else None

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x decoded from z, conditioned on y."""
        hidden = self.layers[0](z)
        if self.condition is not None:
            hidden = hidden + self.condition(y)
        return self.layers[1:](hidden).unflatten(1, self.shape)  # type: ignore[no-any-return]
