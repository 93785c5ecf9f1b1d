"""Differentiable conversion between sRGB in [0, 1] and CIE L*a*b*.

L, from 0 to 100, is lightness; a is red versus green, b yellow versus blue. The space is roughly perceptually uniform,
and grays have a = b = 0. With v linear light and (X, Y, Z) = M v, each relative to white:

    v = c / 12.92 for c ≤ 0.04045, else ((c + 0.055) / 1.055)^2.4
    f(t) = t^⅓ for t > δ³, else t / 3δ² + 4/29,   δ = 6/29
    L = 116 f(Y) − 16,   a = 500 (f(X) − f(Y)),   b = 200 (f(Y) − f(Z))

The sRGB gamut has a in [−86.2, 98.3] and b in [−107.9, 94.5]. White point D65, 2° observer.

References: *Colorimetry (CIE 15, 2004)*; *Multimedia systems and equipment: Color management: Default RGB color space:
    sRGB (IEC 61966-2-1, 1999)*.

Shapes: (…, 3, H, W), with any leading dimensions.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seisei.nn.distributions import precise

Rows = list[list[float]]

# XYZ of the sRGB primaries, and relative to white: the rows then sum to 1.
PRIMARIES = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
SEEN = PRIMARIES / PRIMARIES.sum(1, keepdims=True)
TO_SEEN: Rows = SEEN.tolist()
TO_LIGHT: Rows = np.linalg.inv(SEEN).tolist()
DELTA = 6 / 29
LIGHTEST = 100.0
# a and b of ∓ this size map to 0 and 1.
SPAN = 128.0


def lab_of(image: Tensor) -> Tensor:
    """sRGB to L, a, b.

    Arguments:
        image: sRGB in [0, 1], (…, 3, H, W).

    Returns:
        (…, 3, H, W), in float32 at least.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
        >>> [round(v, 2) for v in lab_of(red).flatten().tolist()]
        [53.24, 80.09, 67.2]
    """
    x, y, z = (_f(v) for v in _matrix(TO_SEEN, _to_linear(precise(image))))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def rgb_of(lab: Tensor) -> Tensor:
    """L, a, b to sRGB; out-of-gamut colors are clipped in linear light.

    Arguments:
        lab: (…, 3, H, W).

    Returns:
        sRGB in [0, 1], (…, 3, H, W), in float32 at least.

    Example:
        >>> [round(v, 3) for v in rgb_of(torch.tensor([50.0, 0.0, 0.0]).view(3, 1, 1)).flatten().tolist()]
        [0.466, 0.466, 0.466]
    """
    light, a, b = precise(lab).unbind(-3)
    y = (light + 16) / 116
    return _to_srgb(
        torch.stack(
            _matrix(TO_LIGHT, torch.stack([_f_inverse(y + a / 500), _f_inverse(y), _f_inverse(y - b / 200)], -3)), -3
        )
    )


def planes_of(image: Tensor) -> Tensor:
    """L, a, b scaled to [0, 1]: L / 100, ½ + a / 256 and ½ + b / 256; grays have ½ and ½.

    Example:
        >>> planes_of(torch.ones(3, 1, 1)).flatten().tolist()
        [1.0, 0.5, 0.5]
    """
    light, a, b = lab_of(image).unbind(-3)
    return torch.stack([light / LIGHTEST, 0.5 + a / (2 * SPAN), 0.5 + b / (2 * SPAN)], -3)


def from_planes(planes: Tensor) -> Tensor:
    """Inverse of `planes_of`: sRGB in [0, 1], (…, 3, H, W)."""
    light, a, b = precise(planes).unbind(-3)
    return rgb_of(torch.stack([LIGHTEST * light, 2 * SPAN * (a - 0.5), 2 * SPAN * (b - 0.5)], -3))


def lightness_of(image: Tensor) -> Tensor:
    """L / 100 of a grayscale, (…, 1, H, W), or color image, (…, 3, H, W): (…, 1, H, W) in [0, 1].

    Example:
        >>> gray = torch.full((1, 1, 1), 0.466)
        >>> round(lightness_of(gray).item(), 3) == round(lightness_of(gray.expand(3, 1, 1)).item(), 3) == 0.5
        True
    """
    light = _to_linear(precise(image))
    y = light if image.shape[-3] == 1 else _matrix(TO_SEEN[1:2], light)[0].unsqueeze(-3)
    return (116 * _f(y) - 16) / LIGHTEST


def _matrix(rows: Rows, light: Tensor) -> list[Tensor]:
    """A matrix times each color. Not a matrix product: on a GPU TF32 would round to 10 bits, which is visible."""
    first, second, third = light.unbind(-3)
    return [row[0] * first + row[1] * second + row[2] * third for row in rows]


# torch.where differentiates both branches, and infinity times 0 is NaN; so each power is clamped to where its branch
# begins.


def _to_linear(image: Tensor) -> Tensor:
    """sRGB to linear light."""
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _to_srgb(light: Tensor) -> Tensor:
    """Linear light to sRGB, clipped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def _f(t: Tensor) -> Tensor:
    """f(t)."""
    return torch.where(t > DELTA**3, t.clamp(min=DELTA**3) ** (1 / 3), t / (3 * DELTA**2) + 4 / 29)


def _f_inverse(f: Tensor) -> Tensor:
    """Inverse of f."""
    return torch.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
