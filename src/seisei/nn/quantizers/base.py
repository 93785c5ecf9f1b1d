"""Quantizers: a vector becomes one of a finite number of codes, and the code a vector again.

    codes = q(z),   e = look_up(codes)

All have one contract, `Quantizer`. What they differ in is where the vectors of the codes come from: they follow the
means of the vectors that chose them, they learn by gradient, all at once through a linear map
(`seisei.nn.quantizers.codebooks`), or lie on a fixed grid (`seisei.nn.quantizers.scalar`). Several can be had for
each vector: one after the other, or one for each part (`seisei.nn.quantizers.residual`).

q has no gradient. It is passed on as if q were the identity, e = z + (e − z) with the difference a constant
(`straight_through`); or as if it were the rotation and stretching that takes z to e, which keeps the angle between
gradient and code (`turned`).

References: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937;
    rotation: *Restructuring Vector Quantization with the Rotation Trick (Fifty et al., 2024)*, arXiv 2410.06424.

Shapes: z and e (M, D); codes (M, S), S codes for each vector, each below K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Sums a tensor over all processes.
Total = Callable[[Tensor], Tensor]


class Quantized(NamedTuple):
    """What a quantizer answers.

    Arguments:
        values: e, with a gradient for z, (M, D).
        codes: (M, S).
        cost: what keeps z and e together, of each vector, (M,), in units of squared distance a dimension.
    """

    values: Tensor
    codes: Tensor
    cost: Tensor


class Quantizer(nn.Module):
    """What all quantizers have in common.

    Arguments:
        dim: D.
        codes: K, of each of the codes of a vector.
        slots: S, codes for each vector.
    """

    # Whether codes lie where they lie, within reach of vectors of deviation 1 in each direction.
    fixed = False

    def __init__(self, dim: int, codes: int, slots: int = 1) -> None:
        super().__init__()
        self.dim, self.codes, self.slots = dim, codes, slots

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Codes of z, and their vectors.

        Arguments:
            z: (M, D).
            examples: how many z is of, the rows of one after those of the other; by default each row is one.
        """
        raise NotImplementedError

    def look_up(self, codes: Tensor) -> Tensor:
        """The vectors of codes, (M, S) to (M, D)."""
        raise NotImplementedError

    def start_from(self, z: Tensor) -> None:
        """Look at some vectors before the first step."""

    def settle(self, total: Total | None) -> None:
        """After an update of the weights: learn what is learned by counting.

        Arguments:
            total: sums over processes; None where the update was not taken, and what was counted is to be forgotten.
        """

    def enliven(self) -> bool:
        """Give codes that are hardly chosen a new place sooner than before: whether that is still possible."""
        return False


class _Straight(torch.autograd.Function):
    """Both at once, for what is the dearest of a quantizer beside the search is to walk through z again and again."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        apart = z - e
        ctx.save_for_backward(apart)
        return e.view_as(e), torch.linalg.vecdot(apart, apart)

    @staticmethod
    def backward(ctx: Any, of_values: Tensor, of_apart: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (apart,) = ctx.saved_tensors
        return torch.addcmul(of_values, apart, (2 * of_apart).unsqueeze(1)), None


def straight_through(z: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """e with the gradient of the identity for z, and ‖z − e‖² of each row with its own.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]], requires_grad=True)
        >>> values, apart = straight_through(z, torch.tensor([[0.0, 2.0]]))
        >>> (values.sum() + apart.sum()).backward()
        >>> values.tolist(), apart.tolist(), z.grad.tolist()
        ([[0.0, 2.0]], [5.0], [[3.0, -3.0]])
    """
    values, apart = _Straight.apply(z, e)  # type: ignore[no-untyped-call]
    return values, apart


def turned(z: Tensor, e: Tensor) -> Tensor:
    """e, with the gradient of λR for z, where λRz = e.

    R = I − 2rrᵀ + 2êẑᵀ with r = (ẑ + ê)/‖ẑ + ê‖ rotates in the plane of z and e alone; λ = ‖e‖/‖z‖.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]], requires_grad=True)
        >>> e = torch.tensor([[0.0, 2.0]])
        >>> turned(z, e)[0, 1].backward()
        >>> z.grad.round().tolist()  # what lengthens e lengthens z, twice as much
        [[2.0, 0.0]]
    """
    with torch.no_grad():
        length = z.norm(dim=1, keepdim=True).clamp_min(1e-12)
        a, b = z / length, F.normalize(e, dim=1)
        r = F.normalize(a + b, dim=1)
        stretch = e.norm(dim=1, keepdim=True) / length
    there = stretch * (z - 2 * (z * r).sum(1, keepdim=True) * r + 2 * (z * a).sum(1, keepdim=True) * b)
    passed: Tensor = there + (e - there).detach()
    return passed
