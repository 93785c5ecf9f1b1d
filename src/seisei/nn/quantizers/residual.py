"""Residual and product quantization: several codes per vector.

Reference: *Autoregressive Image Generation using Residual Quantization (Lee et al., 2022)*.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seisei.nn.distributions import precise
from seisei.nn.quantizers.base import Quantized, Quantizer, Total, straight_through
from seisei.spec import listed


@listed
class ResidualQuantizer(Quantizer):
    """Residual quantization: each quantizer encodes the residual left by those before, e = Σ e_s.

    Arguments:
        parts: quantizers of equal dim and codebook size.
    """

    def __init__(self, parts: list[nn.Module]) -> None:
        first: Quantizer = parts[0]  # type: ignore[assignment]
        super().__init__(first.dim, first.codes, sum(part.slots for part in parts))  # type: ignore[misc]
        assert all(part.dim == first.dim and part.codes == first.codes for part in parts), "parts of different shapes"
        self.parts, self.fixed = nn.ModuleList(parts), first.fixed

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Quantize z and its residuals."""
        z = precise(z)
        rest, codes, cost = z, [], z.new_zeros(len(z))
        for part in self.parts:
            found: Quantized = part(rest, examples)
            rest = rest - found.values.detach()
            codes.append(found.codes)
            cost = cost + found.cost
        return Quantized(straight_through(z, (z - rest).detach())[0], torch.cat(codes, 1), cost)

    def look_up(self, codes: Tensor) -> Tensor:
        """Sum of the code vectors, (M, D)."""
        found = [part.look_up(c) for part, c in zip(self.parts, _divided(codes, self.parts), strict=True)]  # type: ignore[operator]
        return torch.stack(found).sum(0)

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Initialize each quantizer from the residuals left by those before."""
        for part in self.parts:
            part.start_from(z)  # type: ignore[operator]
            z = precise(z) - part(z).values

    def settle(self, total: Total | None) -> None:
        """Update all parts."""
        for part in self.parts:
            part.settle(total)  # type: ignore[operator]

    def raise_reset_threshold(self) -> bool:
        """Reset dead codes of all parts earlier."""
        return any([part.raise_reset_threshold() for part in self.parts])  # type: ignore[operator]


@listed
class ProductQuantizer(Quantizer):
    """Product quantization: one quantizer for each part of the vector, e = [e_1, …, e_S].

    Dimensions are dealt to the parts in turn, so that each part gets a share of the dimensions with the most variance.

    Arguments:
        parts: quantizers of equal codebook size.
    """

    order: Tensor
    places: Tensor

    def __init__(self, parts: list[nn.Module]) -> None:
        quantizers: list[Quantizer] = parts  # type: ignore[assignment]
        super().__init__(
            sum(part.dim for part in quantizers), quantizers[0].codes, sum(part.slots for part in quantizers)
        )
        assert all(part.codes == self.codes for part in quantizers), "parts of different shapes"
        self.parts = nn.ModuleList(parts)
        self.dims, self.fixed = [part.dim for part in quantizers], quantizers[0].fixed
        self.register_buffer("order", torch.tensor(dealt(self.dims)), persistent=False)
        self.register_buffer("places", self.order.argsort(), persistent=False)

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Quantize each part of z."""
        found: list[Quantized] = [part(each, examples) for part, each in zip(self.parts, self._hands(z), strict=True)]
        # The cost is a mean over dimensions.
        cost = sum((f.cost * (d / self.dim) for f, d in zip(found, self.dims, strict=True)), z.new_zeros(len(z)))
        values = torch.cat([f.values for f in found], 1)[:, self.places]
        return Quantized(values, torch.cat([f.codes for f in found], 1), cost)

    def look_up(self, codes: Tensor) -> Tensor:
        """Concatenated code vectors, (M, D)."""
        found = [part.look_up(c) for part, c in zip(self.parts, _divided(codes, self.parts), strict=True)]  # type: ignore[operator]
        return torch.cat(found, 1)[:, self.places]

    def _hands(self, z: Tensor) -> tuple[Tensor, ...]:
        """The part of z of each quantizer."""
        return torch.split(z[:, self.order], self.dims, 1)

    def start_from(self, z: Tensor) -> None:
        """Initialize each quantizer from its part of z."""
        for part, each in zip(self.parts, self._hands(z), strict=True):
            part.start_from(each)  # type: ignore[operator]

    def settle(self, total: Total | None) -> None:
        """Update all parts."""
        for part in self.parts:
            part.settle(total)  # type: ignore[operator]

    def raise_reset_threshold(self) -> bool:
        """Reset dead codes of all parts earlier."""
        return any([part.raise_reset_threshold() for part in self.parts])  # type: ignore[operator]


def dealt(dims: list[int]) -> list[int]:
    """The dimensions of each part, part by part, when they are dealt to the parts in turn.

    Example:
        >>> dealt([2, 3])
        [0, 2, 1, 3, 4]
    """
    hands: list[list[int]] = [[] for _ in dims]
    for number in range(sum(dims)):
        open_ = [hand for hand, dim in zip(hands, dims, strict=True) if len(hand) < dim]
        min(open_, key=len).append(number)
    return [number for hand in hands for number in hand]


def _divided(codes: Tensor, parts: nn.ModuleList) -> tuple[Tensor, ...]:
    return torch.split(codes, [part.slots for part in parts], 1)  # type: ignore[misc]
