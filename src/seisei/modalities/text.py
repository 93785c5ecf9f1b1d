"""Texts as sequences of bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seisei.errors import UserError
from seisei.modalities.measure import Measure
from seisei.spec import listed

# End-of-text symbol, also used for padding, and the number of symbols.
END, SYMBOLS = 256, 257
# Surrogate escapes of invalid UTF-8 bytes.
_ODD = re.compile("[\udc80-\udcff]")


@listed
@dataclass(frozen=True)
class Text:
    """A text as UTF-8 bytes, padded to a fixed length.

    Arguments:
        length: maximum length in bytes.
        examples: some training texts, used as defaults when no text is given.
        column: the column they come from.
        running: whether each is a block of running text, which may end anywhere.

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
        """A text's bytes, int64 (length,), padded with `END`.

        Raises:
            UserError: the text is too long.
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
        """The text of symbols, up to the first `END`; each invalid UTF-8 byte is shown as ?, to keep the length."""
        symbols = x.tolist()
        end = symbols.index(END) if END in symbols else len(symbols)
        return _ODD.sub("?", bytes(symbols[:end]).decode(errors="surrogateescape"))

    def measure(self, stored: Tensor) -> Measure:
        """Bits are per byte; the end of a text counts as one, where it has one, and otherwise the text goes on."""
        return Measure((stored != END).sum(1) + (stored == END).any(1), per="byte")

    def within(self, x: Tensor) -> Tensor:
        """Generated examples as they are: every value of model input is one of the data's."""
        return x

    def observed(self, stored: Tensor) -> None:
        """None: nothing is missing."""

    def parse(self, said: str | Sequence[str | None] | None, n: int) -> Tensor:
        """Symbols of n texts, (n, length); None is replaced by the stored examples in turn.

        Raises:
            UserError: a text that is too long.
        """
        every = [said] * n if said is None or isinstance(said, str) else list(said)
        defaults = self.examples or ("",)
        texts = [defaults[i % len(defaults)] if each is None else str(each) for i, each in enumerate(every)]
        return torch.stack([self.pack(each) for each in texts])

    def format(self, stored: Tensor) -> str:
        """The text of stored symbols."""
        return self.decode(stored)
