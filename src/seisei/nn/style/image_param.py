"""What an image that is descended on is made of: waves, large ones first, in the colors of another image.

    x = start + R F⁻¹(F(θ)/max(|ξ|, ξ₁)^½),   R = Σ^½/√(the largest eigenvalue of Σ)

with F the Fourier transform of the plane, |ξ| how fast a wave is, ξ₁ the slowest there is, and Σ the covariance of the
other image's colors. Which images there are is the same as with θ for pixels. But a descent, whose steps are short
where a change of θ changes little, comes to large forms before fine ones, and to the style's colors before others. On
pixels themselves it comes first to a noise that features are deceived by, in all colors of the rainbow. With 1/|ξ|, as
high as waves are in natural images, the outlines of a texture take hundreds of rounds.

Reference: *Differentiable Image Parameterizations (Mordvintsev, Pezzotti, Schubert, Olah, 2018)*.

Shapes: images and θ (1, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from seisei.nn.style.color_transfer import mixed, mixture


class ImageParam:
    """What an image becomes by waves upon it.

    Arguments:
        start: (1, C, H, W).
        like: (1, C, H', W'), in whose colors it is painted on.

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
        # As large in all as they are without.
        self.heights = (pace * pace.reciprocal().mean()).rsqrt()
        self.colors = mixture(like).to(start)

    def __call__(self, waves: Tensor) -> Tensor:
        """The image, not kept within [0, 1]."""
        made = torch.fft.irfft2(torch.fft.rfft2(waves) * self.heights, s=waves.shape[2:])
        return self.start + mixed(made, self.colors)
