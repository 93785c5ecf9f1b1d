"""Codebooks: quantizers that choose the nearest of K vectors.

They differ in how the vectors are learned: as means of what chose them (`EMACodebook`), by gradient
(`GradientCodebook`), or all at once through a linear map (`SimVQCodebook`).

References: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937;
    cosine: *Vector-quantized Image Modeling with Improved VQGAN (Yu et al., 2021)*; linear map: *Addressing
    Representation Collapse in Vector Quantized Models with One Linear Layer (Zhu et al., 2024)*, arXiv 2411.02038.

Shapes: z and e (M, D); codes (M, 1), each below K.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import precise
from seisei.nn.kmeans import first_centers
from seisei.nn.quantizers.nearest import nearest
from seisei.nn.quantizers.vq import Counted, Distance, Estimator, Vectors, default_reset_threshold
from seisei.spec import Range, listed

Count = Annotated[int, Range(ge=2, le=1 << 24)]
Dim = Annotated[int, Range(ge=1, le=65536)]
Share = Annotated[float, Range(ge=0, le=1)]

# Rounds of k-means that codes start with.
ROUNDS = 10
# Vectors that this is done with: so many for each code, and no fewer than that.
ENOUGH, LEAST = 8, 16_384
# So many codes start far from each other, more of them anywhere.
FEW = 2048


@listed
class EMACodebook(Counted):
    """Each code's vector is a moving average of the vectors that chose it.

        N_k ← γ N_k + (1 − γ) n_k,   m_k ← γ m_k + (1 − γ) Σ z,   e_k = m_k / N_k

    with n_k the number of vectors z of a step, of all processes, that chose k. It is k-means, a batch at a time: with
    γ = 0 a step is one of Lloyd's. A code that is worth little is given half of one that is worth much.

    Arguments:
        dim: D.
        codes: K.
        distance: see `Vectors`.
        estimator: of the gradient for z.
        commitment: β, the weight of ‖z − e‖² for z.
        decay: γ.
        revival: see `Counted`; by default 0.35, or 0.55 of more than 4,096 codes.
    """

    means: Tensor

    def __init__(
        self,
        dim: Dim,
        codes: Count,
        distance: Distance = "euclidean",
        estimator: Estimator = "straight-through",
        commitment: Annotated[float, Range(ge=0, le=1000)] = 0.25,
        decay: Annotated[float, Range(ge=0, lt=1)] = 0.99,
        revival: Share | None = None,
    ) -> None:
        share = default_reset_threshold(codes) if revival is None else revival
        super().__init__(dim, codes, distance, estimator, commitment, 0.0, decay, share)
        self.register_buffer("means", torch.randn(codes, dim) / dim**0.5)

    def vectors(self) -> Tensor:
        """See `Vectors.vectors`."""
        return F.normalize(self.means, dim=1) if self.round else self.means

    def kept(self) -> Tensor:
        """See `Counted.kept`."""
        return self.means

    def learn(self, mean: Tensor, move: Tensor) -> None:
        """See `Counted.learn`."""
        self.means.lerp_(mean, move)

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Vectors of some rounds of k-means."""
        z = precise(z)
        with seeds.seeded("codes", self.codes):
            z = z[torch.randperm(len(z))[: max(LEAST, ENOUGH * self.codes)].to(z.device)]
        z = F.normalize(z, dim=1) if self.round else z
        # Chosen one after the other where that takes no time. Where there are fewer vectors than codes several start at
        # one, and all but one of them are moved at once.
        first = z[torch.arange(self.codes, device=z.device) % len(z)]
        if self.codes <= min(FEW, len(z)):
            first = first_centers(z, self.codes, seeds.generator("codes", self.codes))
        self.means.copy_(first)
        self.counts.fill_(1 / self.codes)
        self.presence.fill_(1 / self.codes)
        self.errors.copy_(z.var(0, correction=0).sum().expand(self.codes))
        for _ in range(ROUNDS):
            codes = nearest(z, self.vectors())
            self.count(z, codes, (z - self.vectors()[codes]).square().sum(1))
            assert self._counted is not None
            self._settle(self._counted, 0.0)
            self._counted = None


@listed
class GradientCodebook(Counted):
    """Vectors that are parameters, and descend ‖z − e‖².

    Arguments:
        dim: D.
        codes: K.
        distance: see `Vectors`.
        estimator: of the gradient for z.
        commitment: β, the weight of ‖z − e‖² for z.
        decay: of what is counted, see `Counted`.
        revival: see `Counted`; 0 leaves all codes where their gradients take them.
    """

    def __init__(
        self,
        dim: Dim,
        codes: Count,
        distance: Distance = "euclidean",
        estimator: Estimator = "straight-through",
        commitment: Annotated[float, Range(ge=0, le=1000)] = 0.25,
        decay: Annotated[float, Range(ge=0, lt=1)] = 0.99,
        revival: Share = 0.0,
    ) -> None:
        super().__init__(dim, codes, distance, estimator, commitment, 1.0, decay, revival)
        self.table = nn.Parameter(torch.randn(codes, dim) / dim**0.5)

    def vectors(self) -> Tensor:
        """See `Vectors.vectors`."""
        return F.normalize(self.table, dim=1) if self.round else self.table

    def kept(self) -> Tensor:
        """See `Counted.kept`."""
        return self.table

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Vectors of some rounds of k-means."""
        found = EMACodebook(self.dim, self.codes, "cosine" if self.round else "euclidean").to(z.device)
        found.start_from(z)
        self.table.copy_(found.vectors())
        self.errors.copy_(found.errors)


@listed
class SimVQCodebook(Vectors):
    """e = W c with random c that never move: all codes move together, so that none is left behind.

    Arguments:
        dim: D.
        codes: K.
        estimator: of the gradient for z.
        commitment: β, the weight of ‖z − e‖² for z.
    """

    frozen: Tensor

    def __init__(
        self,
        dim: Dim,
        codes: Count,
        estimator: Estimator = "straight-through",
        commitment: Annotated[float, Range(ge=0, le=1000)] = 0.25,
    ) -> None:
        super().__init__(dim, codes, "euclidean", estimator, commitment, learning=1.0)
        self.register_buffer("frozen", torch.randn(codes, dim) / dim**0.5)
        self.map = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.map.weight)

    def vectors(self) -> Tensor:
        """See `Vectors.vectors`."""
        return self.map(self.frozen)  # type: ignore[no-any-return]

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """A cloud as wide as that of z, in each direction."""
        z = precise(z) - precise(z).mean(0)
        values, directions = torch.linalg.eigh(z.T @ z / len(z))
        self.map.weight.copy_(directions * (values.clamp_min(0) * self.dim).sqrt() @ directions.T)
