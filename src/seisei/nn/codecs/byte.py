"""Byte-level text codec: lossless, with an end-of-text symbol."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.nn.quantizers.code_layout import Segment
from seisei.spec import Range, listed


@listed
class ByteCodec(nn.Module):
    """The bytes of a text as codes, padded with the end-of-text symbol.

    Arguments:
        length: maximum length of a text.
        symbols: vocabulary size; the last symbol ends a text.

    Example:
        >>> codec = ByteCodec(4, 257)
        >>> codec.encode(torch.tensor([[104, 105, 256, 256]], dtype=torch.int16)), codec.end
        (tensor([[104, 105, 256, 256]]), 256)
    """

    lossless = True

    def __init__(
        self, length: Annotated[int, Range(ge=1, le=1 << 20)], symbols: Annotated[int, Range(ge=2, le=1 << 20)]
    ) -> None:
        super().__init__()
        self.end = symbols - 1
        self.segments = [Segment(length, 1, 1, symbols)]

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, T) symbols as codes: unchanged."""
        return x.long()

    def allowed(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Which symbols agree with the observed ones, one (B, T, K) tensor, from (B, T) texts and masks."""
        symbols = torch.arange(self.segments[0].codes, device=x.device)
        return [(x.unsqueeze(2) == symbols) | ~mask.unsqueeze(2)]

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, T) codes as symbols: unchanged."""
        return codes
