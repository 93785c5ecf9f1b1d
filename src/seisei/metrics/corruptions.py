"""Image corruptions, for training features that are sensitive to them.

A classifier that distinguishes original images from blurred, desaturated or blended ones attends to edges, texture and
color, unlike an autoencoder. The outputs of image-to-image models are compared in its features
(`seisei.metrics.frechet.frechet_distance`), because an average of plausible outputs is blurred and desaturated.

Shapes: images (B, C, H, W) in [0, 1], severity u (B,) in [0, 1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Corruption = Callable[[Tensor, Tensor], Tensor]


def blur(x: Tensor, u: Tensor) -> Tensor:
    """Blend with a 5×5 box blur, with weight 0.4 to 1."""
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    return torch.lerp(x, F.avg_pool2d(padded, 5, 1), _each(0.4 + 0.6 * u))


def pixelate(x: Tensor, u: Tensor) -> Tensor:
    """Blend with nearest-neighbor upsampling from half the resolution, with weight 0.6 to 1."""
    small = F.avg_pool2d(x, 2, ceil_mode=True)
    large = F.interpolate(small, scale_factor=2, mode="nearest")[..., : x.shape[2], : x.shape[3]]
    return torch.lerp(x, large, _each(0.6 + 0.4 * u))


def add_noise(x: Tensor, u: Tensor) -> Tensor:
    """Add Gaussian noise with a standard deviation of 0.03 to 0.1."""
    return (x + _each(0.03 + 0.07 * u) * torch.randn_like(x)).clamp(0, 1)


def desaturate(x: Tensor, u: Tensor) -> Tensor:
    """Desaturate by 0.4 to 0.9; of one channel, reduce the contrast."""
    gray = x.mean(1, keepdim=True) if x.shape[1] > 1 else x.mean((2, 3), keepdim=True)
    return torch.lerp(x, gray.expand_as(x), _each(0.4 + 0.5 * u))


def permute_channels(x: Tensor, u: Tensor) -> Tensor:
    """Blend with permuted channels, with weight 0.4 to 1; of one channel, with the negative."""
    other = x.roll(1, 1) if x.shape[1] > 1 else 1 - x
    return torch.lerp(x, other, _each(0.4 + 0.6 * u))


def blend(x: Tensor, u: Tensor) -> Tensor:
    """Blend with another image, with weight 0.2 to 0.5."""
    return torch.lerp(x, x.roll(1, 0), _each(0.2 + 0.3 * u))


def add_color_noise(x: Tensor, u: Tensor) -> Tensor:
    """Add smooth color noise of 3 to 12 cells per side, with an amplitude of 0.03 to 0.12."""
    cells = torch.randn(len(x), x.shape[1], *(3 + 3 * int(torch.randint(4, ())) for _ in range(2)), device=x.device)
    clouds = F.interpolate(cells, x.shape[2:], mode="bicubic", align_corners=True)
    return (x + _each(0.03 + 0.09 * u) * clouds).clamp(0, 1)


def add_checkerboard(x: Tensor, u: Tensor) -> Tensor:
    """Add a checkerboard pattern with an amplitude of 0.02 to 0.08."""
    down, right = (torch.arange(n, device=x.device) for n in x.shape[2:])
    board = ((down[:, None] + right) % 2 * 2 - 1).to(x.dtype)
    return (x + _each(0.02 + 0.06 * u) * board).clamp(0, 1)


def shift(x: Tensor, u: Tensor) -> Tensor:
    """Shift cyclically by a third or half of the width."""
    by = torch.where(u < 0.5, x.shape[3] // 3, x.shape[3] // 2)
    columns = (torch.arange(x.shape[3], device=x.device) + by[:, None]) % x.shape[3]
    return x.gather(3, columns[:, None, None, :].expand_as(x))


CORRUPTIONS: dict[str, Corruption | None] = {
    "original": None, "blur": blur, "pixelation": pixelate, "noise": add_noise, "desaturation": desaturate,
    "channel permutation": permute_channels, "blending": blend, "color noise": add_color_noise,
    "checkerboard": add_checkerboard, "shift": shift,
}  # fmt: skip


def corrupt(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every corruption of each image, (K B, C, H, W), and the index of the corruption, (K B,), of K in total.

    Example:
        >>> x, y = corrupt(torch.rand(4, 3, 8, 8), torch.Generator().manual_seed(0))
        >>> x.shape, y.bincount().tolist()
        (torch.Size([40, 3, 8, 8]), [4, 4, 4, 4, 4, 4, 4, 4, 4, 4])
    """
    parts = []
    for corruption in CORRUPTIONS.values():
        u = torch.rand(len(images), generator=generator)
        parts.append(images if corruption is None else corruption(images, u))
    return torch.cat(parts), torch.arange(len(CORRUPTIONS)).repeat_interleave(len(images))


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
