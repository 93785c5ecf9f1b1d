"""Codebooks: vector quantizers that choose the nearest of K vectors.

They differ in how the vectors are learned: exponential moving average (`EMACodebook`), gradient descent
(`GradientCodebook`), or one linear map of a frozen codebook (`SimVQCodebook`).

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
from seisei.nn.quantizers.vq import Distance, Estimator, NearestCodebook, ResettableCodebook, default_reset_threshold
from seisei.spec import Range, listed

Count = Annotated[int, Range(ge=2, le=1 << 24)]
Dim = Annotated[int, Range(ge=1, le=65536)]
Share = Annotated[float, Range(ge=0, le=1)]

# Iterations of k-means at initialization.
ROUNDS = 10
# Vectors used for k-means: this many per code, but at least LEAST.
ENOUGH, LEAST = 8, 16_384
# Up to this codebook size k-means++ chooses the first centers; above, random vectors.
FEW = 2048


@listed
class EMACodebook(ResettableCodebook):
    """EMA codebook: each code vector is an exponential moving average of the encoder outputs assigned to it.

        N_k ← γ N_k + (1 − γ) n_k,   m_k ← γ m_k + (1 − γ) Σ z,   e_k = m_k / N_k

    n_k is the number of vectors z of a step, over all processes, that chose k. This is mini-batch k-means: with γ = 0 a
    step is one of Lloyd's. Dead codes are reset by splitting heavily used ones.

    Arguments:
        dim: D, code dimension.
        codes: K, codebook size.
        distance: euclidean or cosine; see `NearestCodebook`.
        estimator: gradient estimator for z: straight-through or rotation trick.
        commitment: β, weight of the commitment loss ‖z − e‖².
        decay: γ.
        revival: dead-code reset threshold, see `ResettableCodebook`; by default 0.35, or 0.55 for more than 4,096
        codes.
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
        """The (normalized, for cosine) code vectors, (K, D)."""
        return F.normalize(self.means, dim=1) if self.cosine else self.means

    def kept(self) -> Tensor:
        """The stored code vectors, (K, D)."""
        return self.means

    def learn(self, mean: Tensor, move: Tensor) -> None:
        """Move each code toward the mean of its assigned vectors."""
        self.means.lerp_(mean, move)

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Initialize by k-means."""
        z = precise(z)
        with seeds.seeded("codes", self.codes):
            z = z[torch.randperm(len(z))[: max(LEAST, ENOUGH * self.codes)].to(z.device)]
        z = F.normalize(z, dim=1) if self.cosine else z
        # k-means++ where it is fast. With fewer vectors than codes several codes start at one vector, and the dead-code
        # reset moves all but one of them at once.
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
class GradientCodebook(ResettableCodebook):
    """Code vectors are parameters, trained by gradient descent on ‖z − e‖² (the codebook loss).

    Arguments:
        dim: D, code dimension.
        codes: K, codebook size.
        distance: euclidean or cosine; see `NearestCodebook`.
        estimator: gradient estimator for z: straight-through or rotation trick.
        commitment: β, weight of the commitment loss ‖z − e‖².
        decay: decay of the usage statistics, see `ResettableCodebook`.
        revival: dead-code reset threshold, see `ResettableCodebook`; 0 disables it.
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
        """The (normalized, for cosine) code vectors, (K, D)."""
        return F.normalize(self.table, dim=1) if self.cosine else self.table

    def kept(self) -> Tensor:
        """The stored code vectors, (K, D)."""
        return self.table

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Initialize by k-means."""
        found = EMACodebook(self.dim, self.codes, "cosine" if self.cosine else "euclidean").to(z.device)
        found.start_from(z)
        self.table.copy_(found.vectors())
        self.errors.copy_(found.errors)


@listed
class SimVQCodebook(NearestCodebook):
    """SimVQ: e = W c with a frozen random codebook c.

    A gradient through W moves all codes together, so that none is left dead.

    Arguments:
        dim: D, code dimension.
        codes: K, codebook size.
        estimator: gradient estimator for z: straight-through or rotation trick.
        commitment: β, weight of the commitment loss ‖z − e‖².
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
        """The code vectors, (K, D)."""
        return self.map(self.frozen)  # type: ignore[no-any-return]

    @torch.no_grad()
    def start_from(self, z: Tensor) -> None:
        """Initialize W so that the codes have the covariance of z."""
        z = precise(z) - precise(z).mean(0)
        values, directions = torch.linalg.eigh(z.T @ z / len(z))
        self.map.weight.copy_(directions * (values.clamp_min(0) * self.dim).sqrt() @ directions.T)
