"""Likelihood heads: Bernoulli, discretized Gaussian, and discretized logistic mixture.

A head turns features (B, C·parameters, H, W) into a distribution over (B, C, H, W) with values in [0, 1]. The network
before it only needs `parameters_per_value`. `aim` is an approximate inverse: the features whose distribution is
centered on an image, used to initialize linear maps.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.nn.distributions import Bernoulli, DiscretizedLogisticMixture, DiscretizedNormal, precise
from seisei.spec import Range, listed

Levels = Annotated[int, Range(ge=2, le=65536)]
# Logits of a value of 1 in `aim`.
SURE = 2.0


@listed
class BernoulliHead(nn.Module):
    """Each value is 0 or 1: for binary images, and, as a cross-entropy, for grayscale ones."""

    def __init__(self, levels: Levels = 2) -> None:
        super().__init__()
        self.levels = levels
        self.parameters_per_value = 1

    def aim(self, x: Tensor) -> Tensor:
        """Logits of an image that is probably x."""
        return SURE * (2 * x - 1)

    def forward(self, features: Tensor) -> Bernoulli:
        """The distribution of (..., C, H, W)."""
        return Bernoulli(precise(features))


@listed
class GaussianHead(nn.Module):
    """A discretized normal distribution with a single learned σ (calibrated decoder, σ-VAE).

    A learned σ balances reconstruction against the prior, where a fixed one needs tuning of β. Reference: *Simple and
    Effective VAE Training with Calibrated Decoders (Rybkin, Daniilidis, Levine, 2021)*, arXiv 2006.13202.

    Arguments:
        levels: number of values a stored value can take.
        initial: initial σ, in units of the whole range.
    """

    def __init__(self, levels: Levels = 256, initial: Annotated[float, Range(gt=0, le=1)] = 0.1) -> None:
        super().__init__()
        self.levels = levels
        self.parameters_per_value = 1
        self.log_std = nn.Parameter(torch.tensor([math.log(initial)]))
        # Quantization noise is Δ/√12: a σ below half of that could only fit rounding.
        self.smallest = math.log(0.5 / (levels - 1) / math.sqrt(12))

    def aim(self, x: Tensor) -> Tensor:
        """Features with mean x."""
        return x

    def forward(self, features: Tensor) -> DiscretizedNormal:
        """The distribution of (..., C, H, W)."""
        return DiscretizedNormal(precise(features), self.log_std.clamp_min(self.smallest), self.levels)


@listed
class LogisticMixtureHead(nn.Module):
    """A discretized mixture of logistics for every value: the most accurate likelihood, and the most expensive.

    Arguments:
        levels: number of values a stored value can take.
        components: number of mixture components.
    """

    def __init__(self, levels: Levels = 256, components: Annotated[int, Range(ge=1, le=64)] = 5) -> None:
        super().__init__()
        self.levels, self.components = levels, components
        self.parameters_per_value = 3 * components
        # Components start spread over the range; otherwise all get the same gradient and stay equal.
        self.register_buffer("spread", torch.linspace(0.5 / components, 1 - 0.5 / components, components))

    def aim(self, x: Tensor) -> Tensor:
        """Features with mean x: the spread of the components is centered on x."""
        nothing = x.new_zeros(len(x), self.components * x.shape[1], *x.shape[2:])
        return torch.cat([nothing, (x - 0.5).repeat(1, self.components, 1, 1), nothing], 1)

    def forward(self, features: Tensor) -> DiscretizedLogisticMixture:
        """The distribution of (..., C, H, W)."""
        *batch, channels, height, width = features.shape
        k = self.components
        split = precise(features).reshape(*batch, 3, k, channels // (3 * k), height, width).movedim(-4, -1)
        logits, locations, log_scales = split.unbind(-5)
        log_scales = (log_scales - 2.0).clamp(-7.0, 2.0)
        return DiscretizedLogisticMixture(logits, locations + self.spread, log_scales, self.levels)  # type: ignore[operator]
