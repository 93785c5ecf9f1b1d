"""Vector quantization by nearest neighbor, with usage statistics and dead-code reset: the base classes of codebooks.

Shapes: z and e (M, D); codes (M, 1), each below K.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei import seeds
from seisei.nn.distributions import precise
from seisei.nn.quantizers.base import Quantized, Quantizer, Total, rotation_trick, straight_through
from seisei.nn.quantizers.nearest import nearest

Distance = Literal["euclidean", "cosine"]
Estimator = Literal["straight-through", "rotation"]

# Dead-code reset threshold, as a share of the mean usage: for codebooks up to LARGE codes; for larger ones, whose codes
# meet few examples, so that they learn little below it; and the maximum, used when the codebook collapses.
RESET_BELOW, LARGE, RESET_BELOW_LARGE, RESET_BELOW_MAX = 0.35, 4096, 0.55, 0.6
# Codes whose error is below this share of the mean squared distance are not split: black is black, and the choice
# between two halves would follow the noise of the weights.
MIN_SPLIT_ERROR = 0.005
# Distance between the halves of a split code, in standard deviations of its assigned vectors.
SPLIT_DISTANCE = 0.1


def default_reset_threshold(codes: int) -> float:
    """Default dead-code reset threshold for a codebook of this size, as a share of the mean usage.

    Example:
        >>> default_reset_threshold(512), default_reset_threshold(16_384)
        (0.35, 0.55)
    """
    return RESET_BELOW if codes <= LARGE else RESET_BELOW_LARGE


class NearestCodebook(Quantizer):
    """Vector quantizer: chooses the nearest of K vectors.

    Arguments:
        dim: D, code dimension.
        codes: K, codebook size.
        distance: euclidean; or cosine, which puts code vectors and z on the unit sphere.
        estimator: gradient estimator for z: straight-through or rotation trick.
        commitment: β, weight of the commitment loss ‖z − sg(e)‖².
        learning: weight of the codebook loss ‖sg(z) − e‖².
    """

    def __init__(
        self, dim: int, codes: int, distance: Distance, estimator: Estimator, commitment: float, learning: float
    ) -> None:
        super().__init__(dim, codes)
        self.cosine, self.rotation = distance == "cosine", estimator == "rotation"
        self.commitment, self.learning = commitment, learning

    def vectors(self) -> Tensor:
        """The code vectors, (K, D)."""
        raise NotImplementedError

    def count(self, z: Tensor, codes: Tensor, apart: Tensor, examples: int | None = None) -> None:
        """Record the chosen codes, (M,), of z, (M, D), their squared distances, (M,), and the number of examples."""

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """Assign each row of z to its nearest code."""
        with torch.autocast(z.device.type, enabled=False):
            z = precise(z)
            if self.cosine:
                z = F.normalize(z, dim=1)
            vectors = self.vectors()
            codes = nearest(z.detach(), vectors.detach())
            e = F.embedding(codes, vectors)
            values, apart = straight_through(z, e.detach())
            if self.training and torch.is_grad_enabled():
                self.count(z.detach(), codes, apart.detach(), examples)
            cost = apart * (self.commitment / self.dim)
            if self.learning:
                cost = cost + self.learning * (z.detach() - e).square().mean(1)
            if self.rotation:
                values = rotation_trick(z, e.detach())
            return Quantized(values, codes.unsqueeze(1), cost)

    def look_up(self, codes: Tensor) -> Tensor:
        """Code vectors of codes, (M, D)."""
        found: Tensor = F.embedding(codes.squeeze(1), self.vectors())
        return found


class ResettableCodebook(NearestCodebook):
    """A codebook with usage statistics and dead-code reset.

    Arguments:
        decay: γ, EMA decay of the statistics.
        revival: dead-code reset threshold: a code whose usage is below this share of the mean is replaced by one half
            of a heavily used code. Usage is a code's share of the vectors, or of the examples, that choose it,
            whichever is smaller.
    """

    counts: Tensor
    presence: Tensor
    errors: Tensor
    updates: Tensor
    revival: Tensor

    def __init__(
        self, dim: int, codes: int, distance: Distance, estimator: Estimator, commitment: float, learning: float,
        decay: float, revival: float,
    ) -> None:  # fmt: skip
        super().__init__(dim, codes, distance, estimator, commitment, learning)
        self.decay = decay
        # EMAs over steps: a code's share of all vectors, its share of the examples with such a vector, and its mean
        # squared distance to its assigned vectors. One image of a sky can choose a code a hundred times, which says
        # little about the next image; where all images use all codes, frequency is the better measure.
        self.register_buffer("counts", torch.full((codes,), 1 / codes))
        self.register_buffer("presence", torch.full((codes,), 1 / codes))
        self.register_buffer("errors", torch.full((codes,), 1 / codes))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self.register_buffer("revival", torch.tensor(float(revival)))
        self._counted: Tensor | None = None

    def kept(self) -> Tensor:
        """The stored code vectors, (K, D); dead-code reset writes here."""
        raise NotImplementedError

    def learn(self, mean: Tensor, move: Tensor) -> None:
        """Update codes from the mean of their assigned vectors, (K, D), with step sizes (K, 1)."""

    @torch.no_grad()
    def count(self, z: Tensor, codes: Tensor, apart: Tensor, examples: int | None = None) -> None:
        """Add to the statistics since the last update, (K, D + 3).

        Per code: Σ z, Σ ‖z − e‖², number of vectors, number of examples.
        """
        sums = z.new_zeros(self.codes, self.dim).index_add_(0, codes, z)
        squares = z.new_zeros(self.codes).index_add_(0, codes, apart)
        n = torch.bincount(codes, minlength=self.codes).to(z.dtype)
        present = n
        if examples is not None:
            met = torch.zeros(examples, self.codes, dtype=torch.bool, device=z.device)
            met.scatter_(1, codes.view(examples, -1), True)
            present = met.sum(0).to(z.dtype)
        counted = torch.cat([sums, squares.unsqueeze(1), n.unsqueeze(1), present.unsqueeze(1)], 1)
        self._counted = counted if self._counted is None else self._counted + counted

    @torch.no_grad()
    def settle(self, total: Total | None) -> None:
        """Update the EMAs, and reset dead codes."""
        counted, self._counted = self._counted, None
        if total is not None and counted is not None:
            self._settle(total(counted), self.decay)

    def _settle(self, counted: Tensor, decay: float) -> None:
        sums, (squares, n, present) = counted[:, : self.dim], counted[:, self.dim :].unbind(1)
        share = n / n.sum().clamp_min(1)
        # e_k moves toward the mean of its vectors by their share of N_k: the EMA rule without storing m_k.
        counts = decay * self.counts + (1 - decay) * share
        move = ((1 - decay) * share / counts.clamp_min(1e-20)).unsqueeze(1)
        mean = sums / n.clamp_min(1).unsqueeze(1)
        self.learn(mean, move)
        self.errors.lerp_(squares / n.clamp_min(1), move.squeeze(1))
        self.counts.copy_(counts)
        self.presence.lerp_(present / present.sum().clamp_min(1), 1 - decay)
        self.updates += 1
        if self.revival:
            self._reset_dead_codes()

    def _reset_dead_codes(self) -> None:
        """Dead-code reset: replace each dead code by one half of a heavily used code."""
        # A code that few examples choose often, and one that all choose rarely, are both of little use.
        worth = torch.minimum(self.counts, self.presence)
        # Codes that cannot be split do not count toward the mean.
        wide = self.errors > MIN_SPLIT_ERROR * (self.counts * self.errors).sum()
        least = self.revival * (worth * wide).sum() / self.codes
        dead = worth < least
        order = worth.argsort(descending=True)
        # Split only codes whose halves stay alive, and whose vectors are not all nearly equal.
        order = order[(worth > 2 * least)[order] & wide[order]]
        # At most one dead code per code to split.
        few = min(int(dead.sum()), len(order))
        if not few:
            return
        empty, full = dead.nonzero().flatten()[:few], order[:few]
        noise = torch.randn(few, self.dim, generator=seeds.generator("revival", int(self.updates)))
        kept = self.kept()
        step = SPLIT_DISTANCE * (self.errors[full] / self.dim).sqrt().unsqueeze(1) * noise.to(kept)
        kept[empty] = kept[full] - step
        kept[full] += step
        for each, part in ((self.counts, 0.5), (self.presence, 0.5), (self.errors, 1.0)):
            each[full] *= part
            each[empty] = each[full]

    @torch.no_grad()
    def raise_reset_threshold(self) -> bool:
        """Double the dead-code reset threshold, up to a maximum."""
        if float(self.revival) >= RESET_BELOW_MAX:
            return False
        self.revival.mul_(2).clamp_(default_reset_threshold(self.codes), RESET_BELOW_MAX)
        return True
