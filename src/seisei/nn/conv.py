"""Residual convolution encoder and decoder for pictures of any size from 8×8 to 256×256.

The picture is halved by a strided convolution until it is at most 7 wide, channels doubling on the way; the decoder walks back
through the same list of sizes, so that odd sizes come out right. No normalisation: the second convolution of a block starts at
zero, which keeps a deep stack trainable, and nothing depends on the other examples of a batch (*Fixup Initialization: Residual
Learning Without Normalization (Zhang, Dauphin, Ma, 2019)*, arXiv 1901.09321).
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.spec import Range, listed

Width = Annotated[int, Range(ge=4, le=1024)]
Depth = Annotated[int, Range(ge=0, le=32)]


def sizes_of(height: int, width: int, smallest: int = 7) -> list[tuple[int, int]]:
    """The sizes of the feature maps: half of the picture, then halves until both sides are at most `smallest`.

    Example:
        >>> sizes_of(28, 28), sizes_of(8, 8)
        ([(14, 14), (7, 7)], [(4, 4)])
    """
    sizes = [((height + 1) // 2, (width + 1) // 2)]
    while max(sizes[-1]) > smallest:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def widths_of(width: int, count: int, widest: int = 8) -> list[int]:
    """Channels at each size: doubled at each halving, at most `widest` times the first."""
    return [width * min(2**i, widest) for i in range(count)]


class ResidualBlock(nn.Module):
    """x + W₂ φ(W₁ φ(x)) with 3×3 convolutions; W₂ starts at zero, so that the block starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.second(F.silu(self.first(F.silu(x))))


@listed
class ConvEncoder(nn.Module):
    """(B, C, H, W) to (B, outputs).

    Arguments:
        shape: (C, H, W) of the picture.
        outputs: how many numbers come out.
        width: channels at half the picture's size.
        depth: residual blocks at each size.
        classes: of the condition; 0 for none.
    """

    def __init__(self, shape: list[int], outputs: int, width: Width = 32, depth: Depth = 2, classes: int = 0) -> None:
        super().__init__()
        channels, height, wide = shape
        sizes = sizes_of(height, wide)
        widths = widths_of(width, len(sizes))
        self.classes = classes
        self.condition = nn.Embedding(classes, width) if classes else None
        self.stem = nn.Conv2d(channels, width, 4, stride=2, padding=(1 + height % 2, 1 + wide % 2))
        stages: list[nn.Module] = []
        for i, now in enumerate(widths):
            if i:
                stages.append(nn.Conv2d(widths[i - 1], now, 3, stride=2, padding=1))
            stages += [ResidualBlock(now) for _ in range(depth)]
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(widths[-1] * sizes[-1][0] * sizes[-1][1], outputs)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x, given y."""
        hidden = self.stem(2 * x - 1)
        if self.condition is not None:
            hidden = hidden + self.condition(y)[:, :, None, None]
        return self.out(F.silu(self.stages(hidden)).flatten(1))  # type: ignore[no-any-return]


@listed
class ConvDecoder(nn.Module):
    """(B, latent) to (B, C, H, W).

    Arguments:
        shape: (C, H, W) of what comes out, head parameters included in C.
        latent: the size of z.
        width: channels at half the picture's size.
        depth: residual blocks at each size.
        classes: of the condition; 0 for none.
    """

    def __init__(self, shape: list[int], latent: int, width: Width = 32, depth: Depth = 2, classes: int = 0) -> None:
        super().__init__()
        channels, self.height, self.wide = shape
        self.sizes = sizes_of(self.height, self.wide)[::-1]
        widths = widths_of(width, len(self.sizes))[::-1]
        self.classes = classes
        self.condition = nn.Embedding(classes, latent) if classes else None
        self.first = (widths[0], *self.sizes[0])
        self.enter = nn.Linear(latent * (2 if classes else 1), widths[0] * self.sizes[0][0] * self.sizes[0][1])
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.stages = nn.ModuleList(nn.Sequential(*[ResidualBlock(w) for _ in range(depth)]) for w in widths)
        self.out = nn.Conv2d(widths[-1], 4 * channels, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x that z stands for, given y."""
        if self.condition is not None:
            z = torch.cat([z, self.condition(y)], -1)
        hidden = self.stages[0](self.enter(z).unflatten(1, self.first))
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):
            hidden = stage(F.interpolate(narrow(hidden), size=size, mode="nearest"))
        picture = F.pixel_shuffle(self.out(F.silu(hidden)), 2)
        return picture[..., : self.height, : self.wide]
