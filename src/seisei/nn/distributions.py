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
        return _DiscretizedNormalLogProb.apply(x, self.location, self.log_std, self.levels)  # type: ignore[no-any-return, no-untyped-call]

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


# Up to this half width of a bin in units of σ, and up to this times the distance from the mean in such units, a series
# gives the mass of a bin to the accuracy of float32.
_NARROW, _STEEP = 0.25, 0.5


class _DiscretizedNormalLogProb(torch.autograd.Function):
    """log P of a bin, with its derivatives, in few passes over memory: the likelihood is a large part of a VAE's step.

    With m = (x − μ)/σ and h = Δ/2σ, a bin has the mass Φ(m + h) − Φ(m − h). Where h is small this is φ(m) 2h times the
    mean of exp(−mt − t²/2) over |t| < h, whose logarithm is a series in cumulants of t,

        log P = log φ(m) + log 2h + (m² − 1) h²/6 + h⁴ (1/90 − m²/45 − m⁴/180) + O((mh)⁶)

    Elsewhere it is a difference of log Φ in the left tail, which keeps its precision there. A derivative is a
    difference of φ/P, where φ(z)/Φ(z) = √(2/π) / erfcx(−z/√2) has no difference of large numbers, as torch's own
    derivative of log Φ has: in float32 that is 6 times too large at z = −10,000 and NaN soon after.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, location: Tensor, log_std: Tensor, levels: int) -> Tensor:
        half = 0.5 / (levels - 1)
        scale = torch.exp(-log_std)
        m = (x - location) * scale
        first, last = x < half, x > 1 - half
        h = half * scale
        # In float64 the series would be the less accurate; on a GPU the question would stop the queue.
        narrow = m.dtype == torch.float32 and m.device.type == "cpu" and m.numel() > 0 and float(h.max()) <= _NARROW
        narrow = narrow and float(h.max()) * max(map(abs, map(float, m.aminmax()))) <= _STEEP
        if narrow:
            squared = m.square()
            square_h = h * h
            constant = torch.log(2 * h) - 0.5 * LOG_2PI - square_h / 6 + square_h**2 / 90
            value = squared * (-(square_h**2) / 180)
            value = value.add_(square_h / 6 - square_h**2 / 45 - 0.5).mul_(squared).add_(constant)
            # The edge bins include the tails: the mass from the inner edge outward, to the left of z.
            z = torch.where(first, m, -m).add_(h)
            edge = first | last
            value = torch.where(edge, torch.special.log_ndtr(z), value)
            ctx.save_for_backward(m, z, edge, first, scale)
        else:
            # Beyond all bins; not infinite, so that it has no mass and nothing times it is NaN.
            far = m.new_tensor(1e15)
            low, high = torch.where(first, -far, m - h), torch.where(last, far, m + h)
            # Φ loses precision near 1: work in the left tail, where log Φ keeps it.
            flip = m > 0
            low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
            log_low, log_high = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
            share = torch.exp((log_low - log_high).clamp_max_(-1e-6))
            value = log_high + torch.log1p(-share)
            ctx.save_for_backward(low, high, share, flip, scale)
        ctx.narrow, ctx.half, ctx.shapes = narrow, half, (location.shape, log_std.shape)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # type: ignore[override]
        scale = ctx.saved_tensors[-1]
        h = ctx.half * scale
        if ctx.narrow:
            m, z, edge, first, _ = ctx.saved_tensors
            squared = m.square()
            square_h = h * h
            # d log P / dm = −m + m h²/3 − …, d log P / dh · h = 1 + (m² − 1) h²/3 + …
            slope = (squared * (-(square_h**2) / 45)).add_(square_h / 3 - square_h**2 * 2 / 45 - 1).mul_(m)
            by_h = (squared * (-(square_h**2) / 45)).add_(square_h / 3 - square_h**2 * 4 / 45).mul_(squared)
            by_h = by_h.add_(1 - square_h / 3 + square_h**2 * 2 / 45)
            ratio = _inverse_mills(z)
            slope = torch.where(edge, torch.where(first, ratio, -ratio), slope)
            by_h = torch.where(edge, ratio * h, by_h)
            toward = gradient * slope
            of_scale = toward * m + gradient * by_h
        else:
            low, high, share, flip, _ = ctx.saved_tensors
            mass = gradient / (1 - share)
            of_high, of_low = _inverse_mills(high) * mass, _inverse_mills(low) * share * mass
            toward = of_high - of_low
            toward = torch.where(flip, -toward, toward)
            of_scale = high * of_high - low * of_low
        of_location = (-toward * scale).sum_to_size(ctx.shapes[0]) if ctx.needs_input_grad[1] else None
        of_log_std = (-of_scale).sum_to_size(ctx.shapes[1]) if ctx.needs_input_grad[2] else None
        of_x = toward * scale if ctx.needs_input_grad[0] else None
        return of_x, of_location, of_log_std, None


def _inverse_mills(z: Tensor) -> Tensor:
    """φ(z)/Φ(z), also far in the left tail."""
    ratio: Tensor = math.sqrt(2 / math.pi) / torch.special.erfcx(z * -math.sqrt(0.5))
    return ratio


def _rounded(x: Tensor, levels: int) -> Tensor:
    return (x.clamp(0, 1) * (levels - 1)).round() / (levels - 1)
