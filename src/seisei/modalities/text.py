"""Texts, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seisei.errors import UserError
from seisei.spec import listed

# What stands after the last byte, and as often as it takes to fill the length; and how many symbols there are with it.
END, SYMBOLS = 256, 257
# What stands for a byte that is no UTF-8.
_ODD = re.compile("[\udc80-\udcff]")


@listed
@dataclass(frozen=True)
class Text:
    """A text as the bytes of its UTF-8, of which a model is told so many.

    Arguments:
        length: of the longest, in bytes.
        examples: some of training, for what a person leaves open.
        column: where they come from.
        running: whether each is a window of running text, which ends anywhere.

    Example:
        >>> text = Text(8, ("a cat",))
        >>> text.encode("a fox").tolist()
        [97, 32, 102, 111, 120, 256, 256, 256]
        >>> text.decode(text.encode("a fox"))
        'a fox'
    """

    length: int
    examples: tuple[str, ...] = ()
    column: str = ""
    running: bool = False

    noun: ClassVar[str] = "text"
    end: ClassVar[int] = END

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", tuple(self.examples))
        assert 1 <= self.length <= 1 << 20, "texts have a length"

    def pack(self, raw: str, code: str = "E-SMP-13") -> Tensor:
        """A text's bytes, int64 (length,), filled up with `END`.

        Raises:
            UserError: a longer one than there is room for.
        """
        content = str(raw).encode()
        if len(content) > self.length:
            problem = f"a text of {len(content):,} bytes, wanted at most {self.length:,}"
            shown = raw if len(raw) <= 40 else raw[:39] + "…"
            raise UserError(code, repr(shown), problem, "shorten it", found=len(content), wanted=self.length)
        return torch.tensor([*content, *[END] * (self.length - len(content))])

    def unpack(self, stored: Tensor) -> Tensor:
        """The symbols, int64."""
        return stored.long()

    def encode(self, raw: str) -> Tensor:
        """A text's symbols, int64 (length,)."""
        return self.pack(raw)

    def decode(self, x: Tensor) -> str:
        """The text of symbols, up to the first `END`; each byte that is no UTF-8 is shown as ?, which is as long."""
        symbols = x.tolist()
        end = symbols.index(END) if END in symbols else len(symbols)
        return _ODD.sub("?", bytes(symbols[:end]).decode(errors="surrogateescape"))

    def observed(self, stored: Tensor) -> None:
        """All are."""

    def told(self, said: str | Sequence[str | None] | None, n: int) -> Tensor:
        """Symbols of n texts, (n, length); what is left open is as in the kept examples, one after the other.

        Raises:
            UserError: a text that is too long.
        """
        every = [said] * n if said is None or isinstance(said, str) else list(said)
        kept = self.examples or ("",)
        texts = [kept[i % len(kept)] if each is None else str(each) for i, each in enumerate(every)]
        return torch.stack([self.pack(each) for each in texts])

    def said(self, stored: Tensor) -> str:
        """The text of stored symbols."""
        return self.decode(stored)
