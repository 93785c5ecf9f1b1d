"""Distributions returned by networks: a likelihood is one object with `log_prob`, `mean` and `sample`.

torch.distributions accept no generator and validate arguments at every call; these are small, sample through `seeds`,
so that noise belongs to the example, and compute in float32 whatever precision the network ran in.
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
    """Features in at least float32: no log-likelihood or KL is computed in half precision. float64 is kept."""
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
        """One sample, of x's shape."""
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
        """One sample by the reparameterization trick, z = μ + σε."""
        noise = seeds.normal(*self.mean.shape, device=self.mean.device)
        return self.mean + torch.exp(self.log_std) * noise.to(self.mean.dtype)

    def draws(self, count: int) -> Tensor:
        """`count` reparameterized samples of each example: (B, L) becomes (B, count, L)."""
        noise = seeds.normal(len(self.mean), count, *self.mean.shape[1:], device=self.mean.device).to(self.mean.dtype)
        return self.mean.unsqueeze(1) + torch.exp(self.log_std).unsqueeze(1) * noise

    def kl_to_standard(self) -> Tensor:
        """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1) − log σ, per dimension."""
        return 0.5 * (self.mean.square() + torch.exp(2 * self.log_std) - 1) - self.log_std


@dataclass(frozen=True)
class Bernoulli:
    """Independent binary values, parameterized by logits.

    For gray values in [0, 1], taken as probabilities, `log_prob` is the negative cross-entropy.
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
    """A normal distribution on [0, 1] discretized to `levels` equal bins.

    Bins are centered on 0, 1/(levels − 1), …, 1; the tails belong to the edge bins.

        P(k) = Φ((x_k + Δ/2 − μ)/σ) − Φ((x_k − Δ/2 − μ)/σ),   Δ = 1/(levels − 1)

    This is a probability of the stored value, so that bits per dimension need no dequantization.
    """

    location: Tensor
    log_std: Tensor
    levels: int

    @property
    def mean(self) -> Tensor:
        """μ, clipped to [0, 1]."""
        return self.location.clamp(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(x) in nats."""
        half = 0.5 / (self.levels - 1)
        scale = torch.exp(-self.log_std)
        centered = x - self.location
        low, high = (centered - half) * scale, (centered + half) * scale
        # Φ loses precision near 1: work in the left tail, where log Φ keeps it.
        flip = centered > 0
        low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
        log_low, log_high = _log_ndtr(low), _log_ndtr(high)
        inside = log_high + torch.log1p(-torch.exp((log_low - log_high).clamp_max(-1e-6)))
        # The edge bins include the tails: the mass from the inner edge outward.
        inner_edge = torch.where(x < half, (centered + half) * scale, -(centered - half) * scale)
        edge = (x < half) | (x > 1 - half)
        return torch.where(edge, _log_ndtr(inner_edge), inside)

    def sample(self) -> Tensor:
        """One sample, rounded to a level."""
        noise = seeds.normal(*self.location.shape, device=self.location.device).to(self.location.dtype)
        return _rounded(self.location + torch.exp(self.log_std) * noise, self.levels)


@dataclass(frozen=True)
class DiscretizedLogisticMixture:
    """A mixture of logistic distributions on [0, 1], discretized to `levels` bins as in `DiscretizedNormal`.

    With a = (x − Δ/2 − μ)/s and b = (x + Δ/2 − μ)/s one component gives σ(b) − σ(a) = σ(b) σ(−a) (1 − exp(a − b)):
    exact, without cancellation, and b − a = Δ/s does not depend on x.

    Reference: *PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans, Karpathy, Chen, Kingma, 2017)*, arXiv 1701.05517.

    Arguments:
        logits: component logits, (..., K).
        locations: μ, (..., K).
        log_scales: log s, (..., K).
        levels: number of values x can take.
    """

    logits: Tensor
    locations: Tensor
    log_scales: Tensor
    levels: int

    @property
    def mean(self) -> Tensor:
        """Σ π_k μ_k, clipped to [0, 1]."""
        return (self.logits.softmax(-1) * self.locations).sum(-1).clamp(0, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P(x) in nats."""
        half = 0.5 / (self.levels - 1)
        scale = torch.exp(-self.log_scales)
        centered = x.unsqueeze(-1) - self.locations
        log_below_high = F.logsigmoid((centered + half) * scale)  # log σ(b)
        log_above_low = F.logsigmoid((half - centered) * scale)  # log σ(−a)
        width = torch.log(-torch.expm1(-2 * half * scale))
        first, last = (x < half).unsqueeze(-1), (x > 1 - half).unsqueeze(-1)
        inside = log_below_high + log_above_low + width
        parts = torch.where(first, log_below_high, torch.where(last, log_above_low, inside))
        return torch.logsumexp(parts + self.logits.log_softmax(-1), -1)

    def sample(self) -> Tensor:
        """One sample, rounded to a level."""
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
    """log Φ with a derivative that is accurate in the tail.

    torch's own is exp(−½z² − log Φ(z))/√2π, a difference of large numbers: in float32 it is 6 times too large at z =
    −10,000 and NaN soon after. φ(z)/Φ(z) = √(2/π) / erfcx(−z/√2) has no such difference.
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
