"""From a map of features back to a picture of any size: the encoder's sizes and channels, walked the other way.

Borders are reflected, so that no frame of zeros shows in what is made, and maps are enlarged by repeating values, after
which a convolution blends them: no place of a pattern is treated otherwise than the next. Nothing is normalised: what
says the style is the mean and deviation that a normalisation would take away.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Patch
from seisei.nn.mlp import Outputs
from seisei.spec import Range, listed

Channels = Annotated[int, Range(ge=1, le=4096)]
# Channels of the map at full size, where features begin as patches of pixels.
DETAIL = 16


def reflecting(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3×3 convolution whose borders are reflected; of maps of 2×2 at least."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


class ReflectingBlock(nn.Module):
    """x + W₂ φ(W₁ φ(x)), see `seisei.nn.conv.ResidualBlock`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = reflecting(channels, channels), reflecting(channels, channels)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.second(F.silu(self.first(F.silu(x))))  # type: ignore[no-any-return]


@listed
class MirrorDecoder(nn.Module):
    """(B, inputs, H/s, W/s) to (B, channels, H, W) in [0, 1], s being patch · 2^(widths − 1).

    Arguments:
        inputs: channels of the map that is read.
        widths: channels at each size, the coarsest first.
        channels: of what comes out.
        patch: side of the square of pixels that a value of the finest map ends as.

    Example:
        >>> decoder = MirrorDecoder(16, [16, 8, 4], channels=3, patch=2)
        >>> decoder(torch.zeros(1, 16, 4, 3)).shape
        torch.Size([1, 3, 32, 24])
    """

    def __init__(self, inputs: Outputs, widths: list[Channels], channels: Channels = 3, patch: Patch = 1) -> None:
        super().__init__()
        self.channels, self.patch = channels, patch
        self.enter = reflecting(inputs, widths[0])
        self.stages = nn.ModuleList(ReflectingBlock(width) for width in widths)
        self.narrow = nn.ModuleList(reflecting(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.out = reflecting(widths[-1], DETAIL * patch**2)
        self.last = reflecting(DETAIL, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        """The picture of a map."""
        hidden = self.stages[0](self.enter(hidden))
        for narrow, stage in zip(self.narrow, self.stages[1:], strict=True):  # type: ignore[arg-type]
            hidden = stage(narrow(F.interpolate(F.silu(hidden), scale_factor=2, mode="nearest")))
        fine = F.pixel_shuffle(self.out(F.silu(hidden)), self.patch)
        # Within (0, 1), with a slope everywhere, and by half at 0 as a picture is grey there.
        return torch.sigmoid(self.last(F.silu(fine)))
