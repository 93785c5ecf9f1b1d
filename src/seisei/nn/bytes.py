"""Texts as their own bytes: a code that loses nothing."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from seisei.modalities.text import SYMBOLS
from seisei.nn.segments import Segment
from seisei.spec import Range, listed


@listed
class ByteCodes(nn.Module):
    """The symbols of texts, see `seisei.modalities.text.Text`, one after the other.

    Arguments:
        length: of a text, in symbols.

    Example:
        >>> import torch
        >>> from seisei.modalities.text import Text
        >>> codec = ByteCodes(4)
        >>> codec.encode(Text(4).encode("ox")[None]).tolist()
        [[111, 120, 256, 256]]
    """

    lossless = True

    def __init__(self, length: Annotated[int, Range(ge=1, le=1 << 20)]) -> None:
        super().__init__()
        self.length = length
        self.segments = [Segment(length, 1, 1, SYMBOLS)]

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, L) symbols as they are."""
        return x.long()

    def known(self, mask: Tensor) -> Tensor:
        """Which codes are those of what was observed, (B, L)."""
        return mask

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """And back."""
        return codes
