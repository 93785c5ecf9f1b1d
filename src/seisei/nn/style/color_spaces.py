"""Colors as people see them: sRGB in [0, 1] to CIE L*a*b* and back, differentiable.

L, from 0 to 100, is how light a color is; a says how red (against green) and b how yellow (against blue). Equal
distances look about equally far apart, and grays have a = b = 0. With v linear in light, (X, Y, Z) = M v, each told as
a share of what white has:

    v = c / 12.92 for c ≤ 0.04045, else ((c + 0.055) / 1.055)^2.4
    f(t) = t^⅓ for t > δ³, else t / 3δ² + 4/29,   δ = 6/29
    L = 116 f(Y) − 16,   a = 500 (f(X) − f(Y)),   b = 200 (f(Y) − f(Z))

What sRGB can show has a in [−86.2, 98.3] and b in [−107.9, 94.5]. White is D65, seen by the observer of 2°.

References: *Colorimetry (CIE 15, 2004)*; *Multimedia systems and equipment: Color management: Default RGB color
    space: sRGB (IEC 61966-2-1, 1999)*.

Shapes: (…, 3, H, W), with anything before it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from seisei.nn.distributions import precise

Rows = list[list[float]]

# X, Y, Z of the three primaries at full strength, and as shares of what white has: the rows then add up to 1.
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
# a and b of this size would be 0 and 1 as values of an image.
SPAN = 128.0


def lab_of(image: Tensor) -> Tensor:
    """L, a and b of colors.

    Arguments:
        image: sRGB in [0, 1], (…, 3, H, W).

    Returns:
        (…, 3, H, W), in float32 at least.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
        >>> [round(v, 2) for v in lab_of(red).flatten().tolist()]
        [53.24, 80.09, 67.2]
    """
    x, y, z = (_rooted(v) for v in _mixed(TO_SEEN, _light(precise(image))))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def rgb_of(lab: Tensor) -> Tensor:
    """Colors of L, a and b; of what no screen can show, the light of each primary is kept within what it can give.

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
    return _shown(
        torch.stack(_mixed(TO_LIGHT, torch.stack([_cubed(y + a / 500), _cubed(y), _cubed(y - b / 200)], -3)), -3)
    )


def planes_of(image: Tensor) -> Tensor:
    """L, a and b as values of an image: L / 100 and ½ + a / 256, ½ + b / 256, all in [0, 1]; grays have ½ and ½.

    Example:
        >>> planes_of(torch.ones(3, 1, 1)).flatten().tolist()
        [1.0, 0.5, 0.5]
    """
    light, a, b = lab_of(image).unbind(-3)
    return torch.stack([light / LIGHTEST, 0.5 + a / (2 * SPAN), 0.5 + b / (2 * SPAN)], -3)


def from_planes(planes: Tensor) -> Tensor:
    """The image of what `planes_of` makes, sRGB in [0, 1], (…, 3, H, W)."""
    light, a, b = precise(planes).unbind(-3)
    return rgb_of(torch.stack([LIGHTEST * light, 2 * SPAN * (a - 0.5), 2 * SPAN * (b - 0.5)], -3))


def lightness_of(image: Tensor) -> Tensor:
    """L / 100 of an image, gray, (…, 1, H, W), or in color, (…, 3, H, W): (…, 1, H, W) in [0, 1].

    Example:
        >>> gray = torch.full((1, 1, 1), 0.466)
        >>> round(lightness_of(gray).item(), 3) == round(lightness_of(gray.expand(3, 1, 1)).item(), 3) == 0.5
        True
    """
    light = _light(precise(image))
    y = light if image.shape[-3] == 1 else _mixed(TO_SEEN[1:2], light)[0].unsqueeze(-3)
    return (116 * _rooted(y) - 16) / LIGHTEST


def _mixed(rows: Rows, light: Tensor) -> list[Tensor]:
    """A matrix times each color. Not a matrix product: on a GPU that may round to 10 bits, which would show."""
    first, second, third = light.unbind(-3)
    return [row[0] * first + row[1] * second + row[2] * third for row in rows]


# A branch that is not taken has a gradient too, and infinity times 0 is not a number; so each power is taken of what is
# never below where its branch begins.


def _light(image: Tensor) -> Tensor:
    """Linear in light."""
    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _shown(light: Tensor) -> Tensor:
    """The other way, within [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def _rooted(t: Tensor) -> Tensor:
    """f(t)."""
    return torch.where(t > DELTA**3, t.clamp(min=DELTA**3) ** (1 / 3), t / (3 * DELTA**2) + 4 / 29)


def _cubed(f: Tensor) -> Tensor:
    """The t of f(t)."""
    return torch.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
