"""Color transfer: match an image's colors to another image, or keep them while its style changes.

`matched` gives an image the mean μ' and covariance Σ' of another image's colors, by the linear map that moves colors
least (optimal transport between Gaussians):

    x' = A (x − μ) + μ',   A = Σ^−½ (Σ^½ Σ' Σ^½)^½ Σ^−½,   so that A Σ Aᵀ = Σ'

`towards` interpolates toward that. `relit` keeps an image's chrominance and replaces its luminance: it adds the same
luminance change to red, green and blue, so that R − Y and B − Y stay.

Reference: *Preserving Color in Neural Artistic Style Transfer (Gatys, Bethge, Hertzmann, Shechtman, 2016)*, arXiv
    1606.05897.

Shapes: images (B, C, H, W), C = 3, or 1 for grayscale.
"""

from __future__ import annotations

import torch
from torch import Tensor

# ITU-R 601 luma weights, as in `seisei.modalities.image.with_channels`.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
# Principal color directions with less than this share of the largest variance count as degenerate.
FLAT = 1e-9
# Smallest relative deviation of a color direction: colors that a style lacks may appear, but rarely.
SELDOM = 0.02
# Pixels converted to double precision at a time.
AT_ONCE = 1 << 18


def luminance(image: Tensor) -> Tensor:
    """Luminance of each pixel, (B, 1, H, W).

    Example:
        >>> round(luminance(torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)).item(), 3)
        0.413
    """
    if image.shape[1] == 1:
        return image
    red, green, blue = (image[:, at : at + 1] for at in range(3))
    return RED * red + GREEN * green + BLUE * blue


def with_channels(x: Tensor, channels: int) -> Tensor:
    """Convert images between grayscale and color, to match a network's input channels.

    Example:
        >>> with_channels(torch.zeros(2, 1, 4, 4), 3).shape, with_channels(torch.zeros(2, 3, 4, 4), 1).shape
        (torch.Size([2, 3, 4, 4]), torch.Size([2, 1, 4, 4]))
    """
    if x.shape[1] == channels:
        return x
    assert {x.shape[1], channels} == {1, 3}, "neither gray nor color"
    return luminance(x) if channels == 1 else x.expand(-1, 3, -1, -1)


def relit(image: Tensor, light: Tensor) -> Tensor:
    """The image's chrominance with this luminance, not clipped to [0, 1].

    Arguments:
        image: source of the chrominance.
        light: luminance, (B, 1, H, W).

    Example:
        >>> relit(torch.tensor([0.5, 0.5, 0.5]).view(1, 3, 1, 1), torch.full((1, 1, 1, 1), 0.75)).flatten().tolist()
        [0.75, 0.75, 0.75]
    """
    return image + (light - luminance(image))


def spread(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, (B, C, 1), and covariance, (B, C, C), of an image's colors, in float64.

    Example:
        >>> mean, covariance = spread(torch.tensor([[[[0.0, 2.0]], [[1.0, 1.0]]]]))
        >>> mean.flatten().tolist(), covariance.tolist()
        ([1.0, 1.0], [[[1.0, 0.0], [0.0, 0.0]]])
    """
    flat = image.flatten(2)
    mean = flat.mean(2, keepdim=True, dtype=torch.float64)
    # In chunks: in double precision a large image would take several times its memory.
    apart = (part.double() - mean for part in torch.split(flat, AT_ONCE, 2))
    return mean, torch.stack([part @ part.transpose(1, 2) for part in apart]).sum(0) / flat.shape[2]


def matched(image: Tensor, like: Tensor) -> Tensor:
    """The image with the color mean and covariance of another one, not clipped to [0, 1].

    Color directions without variance, as in a grayscale image, stay without variance.

    Arguments:
        image: (B, C, H, W).
        like: (B, C, H', W').

    Example:
        >>> matched(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[0.25, 0.75]]]])).tolist()
        [[[[0.25, 0.75]]]]
    """
    (mean, own), (theirs, wanted) = spread(image), spread(like)
    root, back = _power(own, 0.5), _power(own, -0.5)
    move: Tensor = back @ _power(root @ wanted @ root, 0.5) @ back
    parts = (move @ (part.double() - mean) + theirs for part in torch.split(image.flatten(2), AT_ONCE, 2))
    return torch.cat([part.to(image.dtype) for part in parts], 2).reshape(image.shape)


def mixture(like: Tensor) -> Tensor:
    """Color mixing matrix Σ^½ of an image, (B, C, C).

    It maps changes of red, green and blue to changes along the image's own colors. It is scaled so that the largest
    deviation is 1 and any other at least `SELDOM`.

    Example:
        >>> mixture(torch.tensor([[[[0.0, 1.0]], [[0.5, 0.5]]]])).round(decimals=3).abs().tolist()
        [[[1.0, 0.0], [0.0, 0.019999999552965164]]]
    """
    variances, vectors = torch.linalg.eigh(spread(like)[1])
    deviations = variances.clamp_min(0).sqrt()
    shares = (deviations / deviations[..., -1:].clamp_min(1e-6)).clamp_min(SELDOM)
    found: Tensor = vectors @ (shares.unsqueeze(-1) * vectors.transpose(1, 2))
    return found.to(like.dtype)


def mixed(changes: Tensor, by: Tensor) -> Tensor:
    """Apply a color mixing matrix to per-pixel changes, (B, C, H, W)."""
    found: Tensor = by @ changes.flatten(2)
    return found.reshape(changes.shape)


def towards(image: Tensor, like: Tensor, share: float | Tensor) -> Tensor:
    """The image with its colors interpolated toward those of another one, within [0, 1].

    Arguments:
        image: (B, C, H, W) in [0, 1].
        like: (B, C', H', W'), grayscale or color, as may be the image.
        share: 0 for its own colors, 1 for the other's; one for all, or (B, 1, 1, 1).

    Example:
        >>> towards(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[0.5, 0.5]]]]), 0.5).tolist()
        [[[[0.25, 0.75]]]]
    """
    return image + share * (matched(image, with_channels(like, image.shape[1])).clamp(0, 1) - image)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Power of positive semidefinite matrices; eigenvalue 0 stays 0."""
    values, vectors = torch.linalg.eigh(matrix)
    there = values > FLAT * values[..., -1:].clamp_min(FLAT)
    powers = torch.where(there, values.clamp_min(FLAT * FLAT).pow(exponent), 0.0)
    found: Tensor = vectors @ (powers.unsqueeze(-1) * vectors.transpose(1, 2))
    return found
