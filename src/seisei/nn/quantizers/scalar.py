"""FSQ and LFQ: quantizers whose codes lie on a fixed grid, so that no codebook can collapse.

    finite scalar (FSQ):   e_i = round(b_i(z_i)), one of L_i equally spaced values per dimension
    lookup-free (LFQ):     e_i = sign(z_i), one bit per dimension

A code is the integer whose mixed-radix digits are the grid coordinates.

References: *Finite Scalar Quantization: VQ-VAE Made Simple (Mentzer, Minnen, Agustsson, Tschannen, 2023)*, arXiv
    2309.15505; *Language Model Beats Diffusion -- Tokenizer is Key to Visual Generation (Yu et al., 2023)*, arXiv
    2310.05737.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import torch
from torch import Tensor

from seisei.nn.distributions import precise
from seisei.nn.quantizers.base import Quantized, Quantizer, Total
from seisei.spec import Range, listed

Levels = list[Annotated[int, Range(ge=2, le=4096)]]
# With fewer levels than this in a dimension, quality falls more than a further dimension can recover.
COARSEST = 5
# EMA decay of the mean of the bits.
REMEMBERED = 0.99


def levels_for(codes: int) -> list[int]:
    """FSQ levels whose product is about this codebook size, none coarser than necessary.

    Example:
        >>> levels_for(1024), levels_for(512), math.prod(levels_for(16_384))
        ([8, 5, 5, 5], [8, 8, 8], 15625)
    """
    if codes < COARSEST**2:
        return [codes]
    found: list[tuple[float, list[int]]] = []
    for dims in range(2, 1 + int(math.log(codes) / math.log(COARSEST) + 1e-9)):
        around = codes ** (1 / dims)
        sizes = range(max(COARSEST, math.floor(around) - 3), max(COARSEST, math.ceil(around) + 3) + 1)
        for levels in itertools.combinations_with_replacement(sizes, dims):
            if max(levels) <= 16:
                found.append((abs(math.log(math.prod(levels) / codes)), sorted(levels, reverse=True)))
    # A network uses more dimensions more easily than finer levels; among equally close products prefer the most even
    # one.
    return min(found, key=lambda each: (round(each[0], 1), -len(each[1]), each[0], max(each[1])))[1]


@listed
class FSQ(Quantizer):
    """Finite scalar quantization: each dimension is bounded and rounded.

    Arguments:
        levels: levels of each dimension; the codebook size is their product.

    Example:
        >>> q = FSQ([3, 2])
        >>> q.look_up(torch.arange(6).unsqueeze(1)).tolist()
        [[-1.0, -1.0], [0.0, -1.0], [1.0, -1.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """

    fixed = True
    places: Tensor
    sizes: Tensor

    def __init__(self, levels: Levels) -> None:
        super().__init__(len(levels), math.prod(levels))
        self.levels = list(levels)
        self.register_buffer("sizes", torch.tensor(levels), persistent=False)
        places = torch.tensor([1, *levels[:-1]]).cumprod(0)
        self.register_buffer("places", places, persistent=False)

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Bound and round z."""
        with torch.autocast(z.device.type, enabled=False):
            z = precise(z)
            # An even number of levels has no middle level: the grid is shifted by half a step, and so is the tanh, so
            # that z = 0 stays 0. The bounds lie slightly outside the grid, so that no level is an asymptote.
            reach = (self.sizes - 1) * (1 + 1e-3) / 2
            offset = torch.where(self.sizes % 2 == 0, 0.5, 0.0)
            bounded = torch.tanh(z + torch.atanh(offset / reach)) * reach - offset
            grid = bounded + (bounded.round() - bounded).detach()
            half = self.sizes // 2
            codes = ((grid.detach() + half).long() * self.places).sum(1, keepdim=True)
            return Quantized(grid / half, codes, z.new_zeros(len(z)))

    def look_up(self, codes: Tensor) -> Tensor:
        """Grid values of codes, (M, D)."""
        digits = codes // self.places % self.sizes
        half = self.sizes // 2
        return (digits - half).float() / half


@listed
class LFQ(Quantizer):
    """Lookup-free quantization: the sign of each dimension.

    Entropy terms make each z confident of its code and all codes used. With p the probability of a bit (log-odds 4z)
    and p̄ its mean over all z, the cost has E h(p) − h(p̄), h the entropy of a bit. The second term is implemented as
    E[p log p̄ + (1 − p) log(1 − p̄)], which has the same gradient, with p̄ a constant EMA.

    Arguments:
        dim: bits per code.
        commitment: β, weight of the commitment loss ‖z − e‖².
        entropy: weight of the entropy terms.
    """

    fixed = True
    places: Tensor
    ones: Tensor

    def __init__(
        self,
        dim: Annotated[int, Range(ge=1, le=24)],
        commitment: Annotated[float, Range(ge=0, le=1000)] = 0.25,
        entropy: Annotated[float, Range(ge=0, le=1000)] = 0.1,
    ) -> None:
        super().__init__(dim, 2**dim)
        self.commitment, self.entropy = commitment, entropy
        self.register_buffer("places", 2 ** torch.arange(dim), persistent=False)
        self.register_buffer("ones", torch.full((dim,), 0.5))
        self._counted: Tensor | None = None

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Take the signs of z."""
        with torch.autocast(z.device.type, enabled=False):
            z = precise(z)
            bits = z.detach() > 0
            e = torch.where(bits, 1.0, -1.0).to(z)
            cost = self.commitment * (z - e).square().mean(1)
            if self.entropy:
                p = torch.sigmoid(4 * z)
                if self.training and torch.is_grad_enabled():
                    counted = torch.cat([p.detach().sum(0), p.new_tensor([len(p)])])
                    self._counted = counted if self._counted is None else self._counted + counted
                mean = self.ones.clamp(1e-3, 1 - 1e-3)
                unused = (p * mean.log() + (1 - p) * torch.log1p(-mean)).mean(1)
                cost = cost + self.entropy * (_entropy(p).mean(1) + unused)
            return Quantized(z + (e - z).detach(), (bits.long() * self.places).sum(1, keepdim=True), cost)

    def look_up(self, codes: Tensor) -> Tensor:
        """−1 and 1 for the bits of codes, (M, D)."""
        return (codes // self.places % 2).float() * 2 - 1

    @torch.no_grad()
    def settle(self, total: Total | None) -> None:
        """Update the EMA of the bits."""
        counted, self._counted = self._counted, None
        if total is not None and counted is not None:
            found = total(counted)
            self.ones.lerp_(found[:-1] / found[-1], 1 - REMEMBERED)


def _entropy(p: Tensor) -> Tensor:
    """Entropy of a bit, in nats."""
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log() + (1 - p) * torch.log1p(-p))
