"""What can be wrong with an image: kinds of damage, to learn features by that see them.

A classifier that tells a whole image from a blurred, a pale or a doubled one looks at edges, at texture and at how
colors lie beside each other, where a code that only has to give the image back would not. Its features are what
images of images are compared in (`seisei.metrics.frechet.frechet_distance`): an average of answers is blurred
and pale.

Shapes: (B, C, H, W) in [0, 1], and u (B,) in [0, 1), how much.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Damage = Callable[[Tensor, Tensor], Tensor]


def blurred(x: Tensor, u: Tensor) -> Tensor:
    """Between itself, from two fifths on, and its mean over 5×5 places."""
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    return torch.lerp(x, F.avg_pool2d(padded, 5, 1), _each(0.4 + 0.6 * u))


def coarse(x: Tensor, u: Tensor) -> Tensor:
    """As if it had been enlarged from half the size, by three fifths at least."""
    small = F.avg_pool2d(x, 2, ceil_mode=True)
    large = F.interpolate(small, scale_factor=2, mode="nearest")[..., : x.shape[2], : x.shape[3]]
    return torch.lerp(x, large, _each(0.6 + 0.4 * u))


def noisy(x: Tensor, u: Tensor) -> Tensor:
    """With normal noise of 0.03 to 0.1."""
    return (x + _each(0.03 + 0.07 * u) * torch.randn_like(x)).clamp(0, 1)


def pale(x: Tensor, u: Tensor) -> Tensor:
    """Nearer to its own gray by 0.4 to 0.9; of one channel, to its mean."""
    gray = x.mean(1, keepdim=True) if x.shape[1] > 1 else x.mean((2, 3), keepdim=True)
    return torch.lerp(x, gray.expand_as(x), _each(0.4 + 0.5 * u))


def turned(x: Tensor, u: Tensor) -> Tensor:
    """With other colors: channels in another order, by 0.4 at least; of one channel, its negative."""
    other = x.roll(1, 1) if x.shape[1] > 1 else 1 - x
    return torch.lerp(x, other, _each(0.4 + 0.6 * u))


def doubled(x: Tensor, u: Tensor) -> Tensor:
    """Another image shines through, by 0.2 to 0.5."""
    return torch.lerp(x, x.roll(1, 0), _each(0.2 + 0.3 * u))


def mottled(x: Tensor, u: Tensor) -> Tensor:
    """With clouds in other colors, a third to a twelfth of the side wide, of 0.03 to 0.12."""
    cells = torch.randn(len(x), x.shape[1], *(3 + 3 * int(torch.randint(4, ())) for _ in range(2)), device=x.device)
    clouds = F.interpolate(cells, x.shape[2:], mode="bicubic", align_corners=True)
    return (x + _each(0.03 + 0.09 * u) * clouds).clamp(0, 1)


def chequered(x: Tensor, u: Tensor) -> Tensor:
    """Every other value lighter by 0.02 to 0.08."""
    down, right = (torch.arange(n, device=x.device) for n in x.shape[2:])
    board = ((down[:, None] + right) % 2 * 2 - 1).to(x.dtype)
    return (x + _each(0.02 + 0.06 * u) * board).clamp(0, 1)


def parted(x: Tensor, u: Tensor) -> Tensor:
    """Its left third or half stands on the right."""
    by = torch.where(u < 0.5, x.shape[3] // 3, x.shape[3] // 2)
    places = (torch.arange(x.shape[3], device=x.device) + by[:, None]) % x.shape[3]
    return x.gather(3, places[:, None, None, :].expand_as(x))


KINDS: dict[str, Damage | None] = {
    "whole": None, "blurred": blurred, "coarse": coarse, "noisy": noisy, "pale": pale, "turned": turned,
    "doubled": doubled, "mottled": mottled, "chequered": chequered, "parted": parted,
}  # fmt: skip


def damaged(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image in every kind of damage, (len(KINDS) B, C, H, W), and the numbers of the kinds.

    Example:
        >>> x, y = damaged(torch.rand(4, 3, 8, 8), torch.Generator().manual_seed(0))
        >>> x.shape, y.bincount().tolist()
        (torch.Size([40, 3, 8, 8]), [4, 4, 4, 4, 4, 4, 4, 4, 4, 4])
    """
    parts = []
    for damage in KINDS.values():
        u = torch.rand(len(images), generator=generator)
        parts.append(images if damage is None else damage(images, u))
    return torch.cat(parts), torch.arange(len(KINDS)).repeat_interleave(len(images))


def _each(share: Tensor) -> Tensor:
    return share.view(-1, 1, 1, 1)
