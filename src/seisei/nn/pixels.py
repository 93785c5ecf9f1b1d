"""Pictures as their own values: the code that loses nothing."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from seisei.nn.mlp import Shape
from seisei.nn.segments import Segment
from seisei.spec import Range, listed


@listed
class PixelCodes(nn.Module):
    """The values of pixels, by rows, the channels of one pixel side by side.

    Arguments:
        shape: (C, H, W) of a picture.
        levels: how many values a channel can take.

    Example:
        >>> import torch
        >>> codec = PixelCodes([3, 2, 2], 256)
        >>> x = torch.rand(1, 3, 2, 2).mul(255).round() / 255
        >>> codec.encode(x).shape, bool(torch.allclose(codec.decode(codec.encode(x)), x))
        (torch.Size([1, 12]), True)
    """

    lossless = True

    def __init__(self, shape: Shape, levels: Annotated[int, Range(ge=2, le=65536)] = 256) -> None:
        super().__init__()
        self.shape, self.levels = list(shape), levels
        channels, height, width = shape
        self.segments = [Segment(height, width, channels, levels)]

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W) in [0, 1] to (B, H · W · C)."""
        return (x * (self.levels - 1)).round().long().movedim(1, 3).flatten(1)

    def known(self, mask: Tensor) -> Tensor:
        """Which codes are those of what was observed, (B, T), of (B, C, H, W)."""
        return mask.movedim(1, 3).flatten(1)

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """And back."""
        channels, height, width = self.shape
        values = codes.reshape(len(codes), height, width, channels).float() / (self.levels - 1)
        return values.movedim(3, 1)
