"""AdaIN, Gram matrices and channel moments: statistics of feature maps that describe an image's style.

For a map F of C channels at N = H · W positions, F (C, N):

    G = F Fᵀ / N                                  Gram matrix
    μ = 1/N Σ_n F_n,   σ² = 1/N Σ_n (F_n − μ)²    of each channel
    AdaIN(c, s) = σ(s) (c − μ(c)) / σ(c) + μ(s)   the content's layout with the style's mean and deviation

All are invariant to permutations of positions: they describe what occurs, not where.

References: *A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015)*, arXiv 1508.06576; *Arbitrary Style
    Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*, arXiv 1703.06868.

Shapes: maps (B, C, H, W); distances (B,), one per example.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Smallest variance of a channel: a constant one cannot be rescaled.
LEAST = 1e-10
# μ and σ of each channel, (B, C, 1, 1) each.
Moments = tuple[Tensor, Tensor]


def gram(features: Tensor) -> Tensor:
    """F Fᵀ/(H W), (B, C, C).

    Example:
        >>> gram(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])).tolist()
        [[[2.5, 5.5], [5.5, 12.5]]]
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def mean_and_deviation(features: Tensor) -> Moments:
    """μ and σ of each channel, (B, C, 1, 1) each.

    Example:
        >>> mean, deviation = mean_and_deviation(torch.tensor([[[[1.0, 3.0]]]]))
        >>> mean.item(), round(deviation.item(), 6)
        (2.0, 1.0)
    """
    variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
    return mean, (variance + LEAST).sqrt()


class Together:
    """Streaming means and covariance E(x − μ)(x' − μ') of corresponding channels of two maps that arrive in parts.

    Example:
        >>> together, parts = Together(), torch.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])
        >>> for part in parts.split(1):
        ...     together.add(part, part)
        >>> [round(float(value), 4) for value in (together.means[0], together.covariance)]
        [4.0, 5.0]
    """

    def __init__(self) -> None:
        self.count = 0
        self.means: Moments
        self._sum: Tensor

    def add(self, one: Tensor, other: Tensor) -> None:
        """Add a part of both, (B, C, h, w)."""
        means = one.mean((2, 3), keepdim=True), other.mean((2, 3), keepdim=True)
        found = ((one - means[0]) * (other - means[1])).sum((2, 3), keepdim=True)
        positions = one.shape[2] * one.shape[3]
        if not self.count:
            self.count, self.means, self._sum = positions, means, found
            return
        every = self.count + positions
        apart = [new - old for new, old in zip(means, self.means, strict=True)]
        self._sum = self._sum + found + apart[0] * apart[1] * (self.count * positions / every)
        one_mean, other_mean = (old + by * (positions / every) for old, by in zip(self.means, apart, strict=True))
        self.count, self.means = every, (one_mean, other_mean)

    @property
    def covariance(self) -> Tensor:
        """Covariance of each channel pair, (B, C, 1, 1)."""
        return self._sum / self.count

    @property
    def moments(self) -> Moments:
        """μ and σ, if both maps are the same."""
        return self.means[0], (self.covariance + LEAST).sqrt()


def adain(content: Tensor, own: Moments, style: Moments) -> Tensor:
    """AdaIN: a map, or a part of one whose moments are `own`, with the mean and deviation of a style in each channel.

    Example:
        >>> content, style = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[10.0, 30.0, 10.0, 30.0]]]])
        >>> adain(content, mean_and_deviation(content), mean_and_deviation(style)).tolist()
        [[[[10.0, 30.0]]]]
    """
    (mean, deviation), (theirs, spread) = own, style
    return spread * ((content - mean) / deviation) + theirs


def moments_apart(one: Moments, other: Moments) -> Tensor:
    """(μ − μ')² + (σ − σ')², averaged over channels, (B,)."""
    (mean, deviation), (theirs, spread) = one, other
    return ((mean - theirs).square() + (deviation - spread).square()).flatten(1).mean(1)


def gram_distance(one: Tensor, other: Tensor) -> Tensor:
    """‖G(one) − G'‖²/‖G'‖², (B,): 0 for equal Gram matrices.

    Arguments:
        one: a map.
        other: G', (B, C, C).
    """
    size = other.square().flatten(1).sum(1).clamp_min(LEAST)
    return (gram(one) - other).square().flatten(1).sum(1) / size


def variation(image: Tensor) -> Tensor:
    """Total variation: mean absolute difference of neighboring values, (B,); 0 for one pixel.

    Example:
        >>> variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item()
        0.5
    """
    right, down = image.diff(dim=3).abs(), image.diff(dim=2).abs()
    pairs = right[0].numel() + down[0].numel()
    return (right.flatten(1).sum(1) + down.flatten(1).sum(1)) / max(1, pairs)
