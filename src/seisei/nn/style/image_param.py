"""Fourier parameterization of an image that is optimized by gradient descent, in the colors of another image.

    x = start + R F⁻¹(F(θ)/max(|ξ|, ξ₁)^½),   R = Σ^½/√(the largest eigenvalue of Σ)

F is the 2D Fourier transform, |ξ| the spatial frequency, ξ₁ the lowest one, and Σ the covariance of the other image's
colors. The set of reachable images is the same as with pixels for θ, but gradient descent now finds low frequencies
before high ones, and the style's colors before others. On pixels it first finds noise that fools the features, in all
colors. With 1/|ξ|, the spectrum of natural images, the outlines of a texture take hundreds of iterations.

Reference: *Differentiable Image Parameterizations (Mordvintsev, Pezzotti, Schubert, Olah, 2018)*.

Shapes: images and θ (1, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from seisei.nn.style.color_transfer import mixed, mixture


class ImageParam:
    """An image as a function of parameters in pixel layout.

    Arguments:
        start: initial image, (1, C, H, W).
        like: image whose colors are used, (1, C, H', W').

    Example:
        >>> start, like = torch.rand(1, 3, 6, 9), torch.rand(1, 1, 4, 4).expand(-1, 3, -1, -1)
        >>> canvas = ImageParam(start, like)
        >>> torch.equal(canvas(torch.zeros_like(start)), start)
        True
        >>> change = canvas(torch.randn(1, 3, 6, 9)) - start
        >>> bool((change - change.mean(1, keepdim=True)).abs().max() < 0.2 * change.abs().max())  # like is gray
        True
    """

    def __init__(self, start: Tensor, like: Tensor) -> None:
        self.start = start
        height, width = start.shape[2:]
        down = torch.fft.fftfreq(height, device=start.device)
        across = torch.fft.rfftfreq(width, device=start.device)
        pace = (down.unsqueeze(1).square() + across.square()).sqrt().clamp_min(1 / max(height, width))
        # Overall scale as without the weighting.
        self.heights = (pace * pace.reciprocal().mean()).rsqrt()
        self.colors = mixture(like).to(start)

    def __call__(self, waves: Tensor) -> Tensor:
        """The image, not clipped to [0, 1]."""
        made = torch.fft.irfft2(torch.fft.rfft2(waves) * self.heights, s=waves.shape[2:])
        return self.start + mixed(made, self.colors)
