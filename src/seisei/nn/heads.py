"""Likelihood heads: what a decoder's last features mean.

A head turns (B, C·parameters, H, W) into a distribution over (B, C, H, W) with values in [0, 1]. The network that ends
in it need not know which: it is told how many `parameters` a value takes. `aim` says the other way which features a
network is to come to for an image, from which a linear map can start.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.nn.distributions import Bernoulli, DiscretizedLogisticMixture, DiscretizedNormal, precise
from seisei.spec import Range, listed

Levels = Annotated[int, Range(ge=2, le=65536)]
# Log-odds of a value that is 1, where an image is aimed at.
SURE = 2.0


@listed
class BernoulliHead(nn.Module):
    """Each value is 0 or 1: for binary images (and, as a cross-entropy, for gray ones)."""

    def __init__(self, levels: Levels = 2) -> None:
        super().__init__()
        self.levels = levels
        self.parameters_per_value = 1

    def aim(self, x: Tensor) -> Tensor:
        """Log-odds, of an image that is likely to be x."""
        return SURE * (2 * x - 1)

    def forward(self, features: Tensor) -> Bernoulli:
        """The distribution of (..., C, H, W)."""
        return Bernoulli(precise(features))


@listed
class GaussianHead(nn.Module):
    """A normal distribution whose one σ is learned with the weights, cut to the levels that images are stored in.

    A σ that fits the data balances reconstruction against the prior by itself, where a fixed one needs β. Reference:
    *Simple and
    Effective VAE Training with Calibrated Decoders (Rybkin, Daniilidis, Levine, 2021)*, arXiv 2006.13202.

    Arguments:
        levels: how many values a stored value can take.
        initial: σ at the start, in units of the whole range.
    """

    def __init__(self, levels: Levels = 256, initial: Annotated[float, Range(gt=0, le=1)] = 0.1) -> None:
        super().__init__()
        self.levels = levels
        self.parameters_per_value = 1
        self.log_std = nn.Parameter(torch.tensor([math.log(initial)]))
        # A quantized value is uncertain by Δ/√12: less than half of that could only be fitted to rounding.
        self.smallest = math.log(0.5 / (levels - 1) / math.sqrt(12))

    def aim(self, x: Tensor) -> Tensor:
        """Features of which x is the mean."""
        return x

    def forward(self, features: Tensor) -> DiscretizedNormal:
        """The distribution of (..., C, H, W)."""
        return DiscretizedNormal(precise(features), self.log_std.clamp_min(self.smallest), self.levels)


@listed
class LogisticMixtureHead(nn.Module):
    """A discretized mixture of logistics for every value: the sharpest likelihood of the three, and the dearest.

    Arguments:
        levels: how many values a stored value can take.
        components: of the mixture.
    """

    def __init__(self, levels: Levels = 256, components: Annotated[int, Range(ge=1, le=64)] = 5) -> None:
        super().__init__()
        self.levels, self.components = levels, components
        self.parameters_per_value = 3 * components
        # Components start spread over the range, else they all get the same gradient and stay one.
        self.register_buffer("spread", torch.linspace(0.5 / components, 1 - 0.5 / components, components))

    def aim(self, x: Tensor) -> Tensor:
        """Features of which x is the mean: all components lie as they are spread, around x."""
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
