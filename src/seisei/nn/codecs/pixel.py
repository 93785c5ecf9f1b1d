"""Pixel values as codes: a lossless codec."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.nn.mlp import Shape
from seisei.nn.quantizers.code_layout import Segment
from seisei.spec import Range, listed

# Largest codebook, so that tables of codes stay small.
MOST_VALUES = 4096


@listed
class PixelCodec(nn.Module):
    """Codes are pixel values, in raster order with a pixel's channels next to each other, or patches.

        code = Σ_i value_i levels^i        over the pixels of a patch, from the last to the first

    A patch is one integer. Patches shorten the sequences of images with few levels, and the likelihood stays exact.

    Arguments:
        shape: (C, H, W) of an image.
        levels: values per channel.
        patch: rows and columns of a patch; if it has more than one pixel, its code covers all channels.

    Example:
        >>> import torch
        >>> codec = PixelCodec([3, 2, 2], 256)
        >>> x = torch.rand(1, 3, 2, 2).mul(255).round() / 255
        >>> codec.encode(x).shape, bool(torch.allclose(codec.decode(codec.encode(x)), x))
        (torch.Size([1, 12]), True)
        >>> PixelCodec([1, 2, 2], 2, [2, 2]).encode(torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]]))
        tensor([[11]])
    """

    lossless = True
    powers: Tensor

    def __init__(
        self, shape: Shape, levels: Annotated[int, Range(ge=2, le=65536)] = 256, patch: Shape | None = None
    ) -> None:
        super().__init__()
        self.shape, self.levels = list(shape), levels
        channels, height, width = shape
        self.patch = rows, columns = list(patch or [1, 1])
        assert height % rows == width % columns == 0, "patches do not divide the image"
        # The channels of a single pixel keep a code each: together they have too many values.
        together = rows * columns * channels if rows * columns > 1 else 1
        self.segments = [Segment(height // rows, width // columns, channels if together == 1 else 1, levels**together)]
        assert together == 1 or levels**together <= MOST_VALUES, "patches have too many values"
        powers = torch.tensor([levels**i for i in reversed(range(together))])
        self.register_buffer("powers", powers, persistent=False)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W) in [0, 1], rounded to the nearest level, to (B, T)."""
        return (self._digits((x.clamp(0, 1) * (self.levels - 1)).round().long()) * self.powers).sum(2)

    def _digits(self, x: Tensor) -> Tensor:
        """The values each code is made of, (B, T, n), from (B, C, H, W)."""
        b, channels, height, width = x.shape
        (rows, columns), n = self.patch, len(self.powers)
        grid = x.reshape(b, channels, height // rows, rows, width // columns, columns)
        return grid.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, n)

    def allowed(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Which codes agree with the observed pixels, one (B, T, K) tensor, from (B, C, H, W) images and masks."""
        values = self._digits((x.clamp(0, 1) * (self.levels - 1)).round().long())
        known = self._digits(mask.expand_as(x))
        codes = torch.arange(self.segments[0].codes, device=x.device).unsqueeze(1)
        digits = codes // self.powers % self.levels
        agree = torch.ones(*values.shape[:2], len(codes), dtype=torch.bool, device=x.device)
        for i in range(len(self.powers)):
            agree &= (digits[:, i] == values[:, :, i, None]) | ~known[:, :, i, None]
        return [agree]

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, T) codes to (B, C, H, W) in [0, 1]."""
        channels, height, width = self.shape
        rows, columns = self.patch
        digits = codes.unsqueeze(2) // self.powers % self.levels
        grid = digits.reshape(len(codes), height // rows, width // columns, rows, columns, channels)
        return grid.permute(0, 5, 1, 3, 2, 4).reshape(len(codes), channels, height, width).float() / (self.levels - 1)
