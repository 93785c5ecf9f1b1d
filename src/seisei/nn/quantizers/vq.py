"""What codebooks have in common: the nearest of K vectors is chosen, and codes that are of little use are moved.

Shapes: z and e (M, D); codes (M, 1), each below K.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei import seeds
from seisei.nn.distributions import precise
from seisei.nn.quantizers.base import Quantized, Quantizer, Total, straight_through, turned
from seisei.nn.quantizers.nearest import nearest

Distance = Literal["euclidean", "cosine"]
Estimator = Literal["straight-through", "rotation"]

# Codes that are worth less than this share of the mean get a new place: of at most so many codes; of more, where a code
# meets so few examples that it learns little from less; and at the most, where too few are used.
REVIVAL, MANY, OF_MANY, SOONEST = 0.35, 4096, 0.55, 0.6
# What lies nearer to its code than this share of the mean squared distance is not divided: black is black, and halves
# of it would be chosen by what the weights are at the moment.
NARROW = 0.005
# How far apart the halves of a code that is divided lie, in standard deviations of what chose it.
APART = 0.1


def default_reset_threshold(codes: int) -> float:
    """The share of the mean below which one of so many codes gets a new place.

    Example:
        >>> default_reset_threshold(512), default_reset_threshold(16_384)
        (0.35, 0.55)
    """
    return REVIVAL if codes <= MANY else OF_MANY


class Vectors(Quantizer):
    """A quantizer that chooses the nearest of K vectors.

    Arguments:
        dim: D.
        codes: K.
        distance: by which the nearest is found; cosine puts vectors and z on the unit sphere.
        estimator: of the gradient for z.
        commitment: β, the weight of ‖z − e‖² for z.
        learning: the weight of ‖z − e‖² for e.
    """

    def __init__(
        self, dim: int, codes: int, distance: Distance, estimator: Estimator, commitment: float, learning: float
    ) -> None:
        super().__init__(dim, codes)
        self.round, self.rotates = distance == "cosine", estimator == "rotation"
        self.commitment, self.learning = commitment, learning

    def vectors(self) -> Tensor:
        """The vectors of all codes, (K, D)."""
        raise NotImplementedError

    def count(self, z: Tensor, codes: Tensor, apart: Tensor, examples: int | None = None) -> None:
        """Take note of which vectors chose which codes, (M, D) and (M,), of their squared distances, (M,), and of how
        many examples they are.
        """

    def forward(self, z: Tensor, examples: int | None = None) -> Quantized:
        """See `Quantizer.forward`."""
        with torch.autocast(z.device.type, enabled=False):
            z = precise(z)
            if self.round:
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
            if self.rotates:
                values = turned(z, e.detach())
            return Quantized(values, codes.unsqueeze(1), cost)

    def look_up(self, codes: Tensor) -> Tensor:
        """See `Quantizer.look_up`."""
        found: Tensor = F.embedding(codes.squeeze(1), self.vectors())
        return found


class Counted(Vectors):
    """A quantizer that knows how often each code is chosen, and can move those that hardly ever are.

    Arguments:
        decay: γ of the averages over steps.
        revival: codes that are worth less than this share of the mean are given half of one that is worth much. A code
            is worth its share of the vectors or of the examples that choose it, whichever is smaller.
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
        # Averages over steps: the share of all vectors that chose a code, that of examples with such a vector, and a
        # code's mean squared distance to what chose it. One image of a sky can choose a code a hundred times, which
        # says little of the next image; and where all images choose all codes, how often says more.
        self.register_buffer("counts", torch.full((codes,), 1 / codes))
        self.register_buffer("presence", torch.full((codes,), 1 / codes))
        self.register_buffer("errors", torch.full((codes,), 1 / codes))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self.register_buffer("revival", torch.tensor(float(revival)))
        self._counted: Tensor | None = None

    def kept(self) -> Tensor:
        """What the vectors of codes are made of, (K, D): moved where codes are."""
        raise NotImplementedError

    def learn(self, mean: Tensor, move: Tensor) -> None:
        """What else is learned by counting: of what chose each code the mean, (K, D), and its weight, (K, 1)."""

    @torch.no_grad()
    def count(self, z: Tensor, codes: Tensor, apart: Tensor, examples: int | None = None) -> None:
        """Add to what was counted since the last update: by code Σ z, Σ ‖z − e‖², and how many vectors and how many
        examples chose it, (K, D + 3).
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
        """See `Quantizer.settle`."""
        counted, self._counted = self._counted, None
        if total is not None and counted is not None:
            self._settle(total(counted), self.decay)

    def _settle(self, counted: Tensor, decay: float) -> None:
        sums, (squares, n, present) = counted[:, : self.dim], counted[:, self.dim :].unbind(1)
        share = n / n.sum().clamp_min(1)
        # e_k moves towards the mean of what chose it by its weight in N_k: the rule above, with no m_k to keep.
        counts = decay * self.counts + (1 - decay) * share
        move = ((1 - decay) * share / counts.clamp_min(1e-20)).unsqueeze(1)
        mean = sums / n.clamp_min(1).unsqueeze(1)
        self.learn(mean, move)
        self.errors.lerp_(squares / n.clamp_min(1), move.squeeze(1))
        self.counts.copy_(counts)
        self.presence.lerp_(present / present.sum().clamp_min(1), 1 - decay)
        self.updates += 1
        if self.revival:
            self._revive()

    def _revive(self) -> None:
        """Codes that hardly anything chooses, each with half of one of those that most does."""
        # One that few examples choose often, and one that all choose seldom, are both of little use.
        worth = torch.minimum(self.counts, self.presence)
        # What cannot be divided is no measure of what the others could have.
        wide = self.errors > NARROW * (self.counts * self.errors).sum()
        least = self.revival * (worth * wide).sum() / self.codes
        dead = worth < least
        order = worth.argsort(descending=True)
        # None that would be dead then, and none whose vectors are all but the same.
        order = order[(worth > 2 * least)[order] & wide[order]]
        # No more than there are others to divide.
        few = min(int(dead.sum()), len(order))
        if not few:
            return
        empty, full = dead.nonzero().flatten()[:few], order[:few]
        noise = torch.randn(few, self.dim, generator=seeds.generator("revival", int(self.updates)))
        kept = self.kept()
        step = APART * (self.errors[full] / self.dim).sqrt().unsqueeze(1) * noise.to(kept)
        kept[empty] = kept[full] - step
        kept[full] += step
        for each, part in ((self.counts, 0.5), (self.presence, 0.5), (self.errors, 1.0)):
            each[full] *= part
            each[empty] = each[full]

    @torch.no_grad()
    def enliven(self) -> bool:
        """See `Quantizer.enliven`."""
        if float(self.revival) >= SOONEST:
            return False
        self.revival.mul_(2).clamp_(default_reset_threshold(self.codes), SOONEST)
        return True
