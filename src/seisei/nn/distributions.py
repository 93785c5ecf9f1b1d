"""Distributions that networks return: the likelihood is one object with `log_prob`, `mean` and `sample`.

torch.distributions take no generator and check their arguments at every call; these are small, draw through `seeds` so
that noise belongs to the example, and compute in float32 whatever precision the network ran in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei import seeds

LOG_2PI = math.log(2 * math.pi)


def precise(features: Tensor) -> Tensor:
    """Features in float32 at least: no log-likelihood or KL is computed in half precision. float64 stays what it is."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


class Distribution(Protocol):
    """What a likelihood head returns."""

    @property
    def mean(self) -> Tensor:
        """E[x], of x's shape."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) of each value, in nats, of x's shape."""
        ...

    def sample(self) -> Tensor:
        """One draw, of x's shape."""
        ...


@dataclass(frozen=True)
class Normal:
    """A diagonal normal distribution, N(mean, exp(log_std)²)."""

    mean: Tensor
    log_std: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; μ, σ²) = −½ ((x − μ)/σ)² − log σ − ½ log 2π."""
        return -0.5 * ((x - self.mean) * torch.exp(-self.log_std)).square() - self.log_std - 0.5 * LOG_2PI

    def sample(self) -> Tensor:
        """One draw by the reparameterization z = μ + σε."""
        noise = seeds.normal(*self.mean.shape, device=self.mean.device)
        return self.mean + torch.exp(self.log_std) * noise.to(self.mean.dtype)

    def draws(self, count: int) -> Tensor:
        """`count` reparameterized draws of each example: (B, L) becomes (B, count, L)."""
        noise = seeds.normal(len(self.mean), count, *self.mean.shape[1:], device=self.mean.device).to(self.mean.dtype)
        return self.mean.unsqueeze(1) + torch.exp(self.log_std).unsqueeze(1) * noise

    def kl_to_standard(self) -> Tensor:
        """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1) − log σ, of each dimension."""
        return 0.5 * (self.mean.square() + torch.exp(2 * self.log_std) - 1) - self.log_std


@dataclass(frozen=True)
class Bernoulli:
    """Independent 0/1 values given by their log-odds. A gray value in [0, 1] counts as a probability: its
    cross-entropy.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """The probability of 1."""
        return torch.sigmoid(self.logits)

    def log_prob(self, x: Tensor) -> Tensor:
        """x log p + (1 − x) log(1 − p)."""
        return -F.binary_cross_entropy_with_logits(self.logits, x.expand_as(self.logits), reduction="none")

    def sample(self) -> Tensor:
        """Zeros and ones."""
        return (seeds.uniform(*self.logits.shape, device=self.logits.device) < self.mean).to(self.logits.dtype)


@dataclass(frozen=True)
class DiscretizedNormal:
    """A normal distribution on [0, 1] cut into `levels` equal bins centerd on 0, 1/(levels − 1), …, 1; the tails go to
    the edges.

    P(k) = Φ((x_k + Δ/2 − μ)/σ) − Φ((x_k − Δ/2 − μ)/σ) with Δ = 1/(levels − 1): a true probability of the stored
    value, so that bits per dimension need no dequantization.
    """

    location: Tensor
    log_std: Tensor
    levels: int

    @property
    def mean(self) -> Tensor:
        """μ, kept in [0, 1]."""
        return self.location.clamp(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(x) in nats."""
        half = 0.5 / (self.levels - 1)
        scale = torch.exp(-self.log_std)
        centerd = x - self.location
        low, high = (centerd - half) * scale, (centerd + half) * scale
        # Φ loses its digits near 1: work in the left tail, where log Φ keeps them.
        flip = centerd > 0
        low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
        log_low, log_high = _log_ndtr(low), _log_ndtr(high)
        inside = log_high + torch.log1p(-torch.exp((log_low - log_high).clamp_max(-1e-6)))
        # Everything beyond the first and the last level belongs to it: the mass from the inner edge outwards.
        inner_edge = torch.where(x < half, (centerd + half) * scale, -(centerd - half) * scale)
        edge = (x < half) | (x > 1 - half)
        return torch.where(edge, _log_ndtr(inner_edge), inside)

    def sample(self) -> Tensor:
        """A stored value."""
        noise = seeds.normal(*self.location.shape, device=self.location.device).to(self.location.dtype)
        return _rounded(self.location + torch.exp(self.log_std) * noise, self.levels)


@dataclass(frozen=True)
class DiscretizedLogisticMixture:
    """A mixture of logistic distributions on [0, 1], cut into `levels` bins as in `DiscretizedNormal`.

    With a = (x − Δ/2 − μ)/s and b = (x + Δ/2 − μ)/s one component gives σ(b) − σ(a) = σ(b) σ(−a) (1 − exp(a − b)):
    exact, with no
    cancellation, and b − a = Δ/s does not depend on x.

    Reference: *PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
    (Salimans, Karpathy, Chen, Kingma, 2017)*, arXiv 1701.05517.

    Arguments:
        logits: of the components, (..., K).
        locations: μ, (..., K).
        log_scales: log s, (..., K).
        levels: how many values x can take.
    """

    logits: Tensor
    locations: Tensor
    log_scales: Tensor
    levels: int

    @property
    def mean(self) -> Tensor:
        """Σ π_k μ_k, kept in [0, 1]."""
        return (self.logits.softmax(-1) * self.locations).sum(-1).clamp(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(x) in nats."""
        half = 0.5 / (self.levels - 1)
        scale = torch.exp(-self.log_scales)
        centerd = x.unsqueeze(-1) - self.locations
        log_below_high = F.logsigmoid((centerd + half) * scale)  # log σ(b)
        log_above_low = F.logsigmoid((half - centerd) * scale)  # log σ(−a)
        width = torch.log(-torch.expm1(-2 * half * scale))
        first, last = (x < half).unsqueeze(-1), (x > 1 - half).unsqueeze(-1)
        inside = log_below_high + log_above_low + width
        parts = torch.where(first, log_below_high, torch.where(last, log_above_low, inside))
        return torch.logsumexp(parts + self.logits.log_softmax(-1), -1)

    def sample(self) -> Tensor:
        """A stored value."""
        shape, device = self.logits.shape, self.logits.device
        gumbel = -torch.log(-torch.log(seeds.uniform(*shape, device=device).clamp(1e-7, 1 - 1e-7)))
        chosen = (self.logits + gumbel).argmax(-1, keepdim=True)
        u = seeds.uniform(*shape[:-1], device=device).clamp(1e-5, 1 - 1e-5)
        location, log_scale = (
            self.locations.gather(-1, chosen).squeeze(-1),
            self.log_scales.gather(-1, chosen).squeeze(-1),
        )
        return _rounded(location + torch.exp(log_scale) * (torch.log(u) - torch.log1p(-u)), self.levels)


class _LogNdtr(torch.autograd.Function):
    """log Φ with a derivative that holds in the tail.

    torch's own is exp(−½z² − log Φ(z))/√2π, a difference of large numbers: in float32 it is 6 times too large at
    z = −10,000 and NaN soon after. φ(z)/Φ(z) = √(2/π) / erfcx(−z/√2) has no difference in it.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        value: Tensor = torch.special.log_ndtr(z)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (z,) = ctx.saved_tensors
        ratio: Tensor = math.sqrt(2 / math.pi) / torch.special.erfcx(z * -math.sqrt(0.5))
        return gradient * ratio


def _log_ndtr(z: Tensor) -> Tensor:
    return _LogNdtr.apply(z)  # type: ignore[no-any-return, no-untyped-call]


def _rounded(x: Tensor, levels: int) -> Tensor:
    return (x.clamp(0, 1) * (levels - 1)).round() / (levels - 1)
