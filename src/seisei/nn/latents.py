"""Truncated sampling (truncation trick) and spherical interpolation of latents."""

from __future__ import annotations

import torch
from torch import Tensor


def truncated(z: Tensor, most: float) -> Tensor:
    """Map normal samples to samples of the normal distribution truncated to ±most, at the same quantiles.

    Example:
        >>> truncated(torch.tensor([-9.0, 0.0, 9.0]), 2.0).tolist()
        [-2.0, 0.0, 2.0]
    """
    low = torch.special.ndtr(torch.tensor(-most, dtype=torch.float64, device=z.device))
    inside = torch.lerp(low, 1 - low, torch.special.ndtr(z.double()))
    moved: Tensor = torch.special.ndtri(inside)
    return moved.to(z.dtype)


def spherical(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Spherical interpolation (slerp) from a to b at t; norms are interpolated linearly.

    Example:
        >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5).tolist()
        [0.7071067690849304, 0.7071067690849304]
    """
    length_a, length_b = a.norm(), b.norm()
    if length_a < 1e-6 or length_b < 1e-6:
        return torch.lerp(a, b, torch.as_tensor(t))
    u, v = a / length_a, b / length_b
    angle = torch.acos((u * v).sum().clamp(-1, 1))
    if angle < 1e-4:
        return torch.lerp(a, b, torch.as_tensor(t))
    direction: Tensor = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    length: Tensor = torch.lerp(length_a, length_b, torch.as_tensor(t))
    return direction * length
