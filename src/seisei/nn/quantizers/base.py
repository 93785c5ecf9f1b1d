"""`Quantizer`, from vectors to codes and back; straight-through estimator and rotation trick.

    codes = q(z),   e = look_up(codes)

A quantizer maps a vector to one of a finite set of codes, and a code back to a vector. All share this interface and
differ in where their code vectors come from: EMA of the assigned encoder outputs, gradients, or a learned linear map of
a frozen codebook (`seisei.nn.quantizers.codebooks`), or a fixed grid (FSQ and LFQ, `seisei.nn.quantizers.scalar`). A
vector can have several codes, by residual or product quantization (`seisei.nn.quantizers.residual`).

q has no gradient. Two estimators replace it: the identity, e = z + sg(e − z) with sg the stop-gradient
(`straight_through`); or the rotation and rescaling that takes z to e, which preserves the angle between gradient and
code (`rotation_trick`).

References: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937;
    rotation: *Restructuring Vector Quantization with the Rotation Trick (Fifty et al., 2024)*, arXiv 2410.06424.

Shapes: z and e (M, D); codes (M, S), S codes per vector, each below K.
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
    """Output of a quantizer.

    Arguments:
        values: e, differentiable with respect to z, (M, D).
        codes: (M, S).
        cost: commitment and codebook loss of each vector, (M,), in squared distance per dimension.
    """

    values: Tensor
    codes: Tensor
    cost: Tensor


class Quantizer(nn.Module):
    """Base class of all quantizers.

    Arguments:
        dim: D, code dimension.
        codes: K, codebook size.
        slots: S, codes per vector.
    """

    # Whether the code vectors are a fixed grid, made for inputs of standard deviation 1 in each dimension.
    fixed = False

    def __init__(self, dim: int, codes: int, slots: int = 1) -> None:
        super().__init__()
        self.dim, self.codes, self.slots = dim, codes, slots

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Quantize z: codes and their vectors.

        Arguments:
            z: (M, D).
            examples: number of examples that the rows of z come from, consecutive rows belonging together; by default
                each row is one.
        """
        raise NotImplementedError

    def look_up(self, codes: Tensor) -> Tensor:
        """Code vectors of codes: (M, S) to (M, D)."""
        raise NotImplementedError

    def start_from(self, z: Tensor) -> None:
        """Initialize from encoder outputs before the first step."""

    def settle(self, total: Total | None) -> None:
        """Update the state that is not learned by gradient, after each optimizer step: EMA, dead-code reset.

        Arguments:
            total: all-reduce sum over processes; None if the optimizer step was skipped, so that the statistics are
                discarded.
        """

    def raise_reset_threshold(self) -> bool:
        """Reset dead codes earlier than before; returns whether that is still possible."""
        return False


class _Straight(torch.autograd.Function):
    """Straight-through output and squared distance in one pass: memory traffic over z is what costs most."""

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
    """Straight-through estimator: e with the identity gradient for z; and ‖z − e‖² of each row with its own gradient.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]], requires_grad=True)
        >>> values, apart = straight_through(z, torch.tensor([[0.0, 2.0]]))
        >>> (values.sum() + apart.sum()).backward()
        >>> values.tolist(), apart.tolist(), z.grad.tolist()
        ([[0.0, 2.0]], [5.0], [[3.0, -3.0]])
    """
    values, apart = _Straight.apply(z, e)  # type: ignore[no-untyped-call]
    return values, apart


def rotation_trick(z: Tensor, e: Tensor) -> Tensor:
    """Rotation trick: e, with the gradient of λR for z, where λRz = e.

    R = I − 2rrᵀ + 2êẑᵀ with r = (ẑ + ê)/‖ẑ + ê‖ rotates in the plane of z and e alone; λ = ‖e‖/‖z‖.

    Example:
        >>> z = torch.tensor([[1.0, 0.0]], requires_grad=True)
        >>> e = torch.tensor([[0.0, 2.0]])
        >>> rotation_trick(z, e)[0, 1].backward()
        >>> z.grad.round().tolist()  # the gradient is rotated back and scaled by λ = 2
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
