"""Class labels: names and indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seisei.errors import UserError, did_you_mean
from seisei.spec import listed


@listed
@dataclass(frozen=True)
class Label:
    """A class label.

    Arguments:
        names: the class names; a label is an index into them.
        column: the table column of the labels, if any.

    Example:
        >>> label = Label(("cat", "dog"))
        >>> label.pack("dog").item(), label.decode(label.encode("cat"))
        (1, 'cat')
    """

    names: tuple[str, ...]
    column: str = ""

    noun: ClassVar[str] = "label"

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        assert self.names and len(set(self.names)) == len(self.names), "classes need names that differ"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    def pack(self, raw: Any, code: str = "E-SMP-13") -> Tensor:
        """The index of a class name, an int64 scalar; integers are converted to names, as for a class named ``7``.

        Raises:
            UserError: an unknown name, with the nearest known one.
        """
        name = str(raw)
        if name not in self.names:
            raise UserError(
                code, name, "no such class", did_you_mean(name, self.names), found=name, wanted=list(self.names)
            )
        return torch.tensor(self.names.index(name))

    def unpack(self, stored: Tensor) -> Tensor:
        """The indices unchanged."""
        return stored

    def encode(self, raw: Any) -> Tensor:
        """The index of a class name, an int64 scalar."""
        return self.pack(raw)

    def decode(self, x: Tensor) -> str:
        """The class name of an index."""
        return self.names[int(x)]

    @property
    def examples(self) -> tuple[str, ...]:
        """The class names."""
        return self.names

    def parse(self, words: str | Sequence[str | None] | None, n: int) -> Tensor:
        """Indices of n class names, (n,); None is replaced by the classes in turn.

        Arguments:
            words: one name for all, or one for each.
            n: number of examples.

        Raises:
            UserError: an unknown name.
        """
        every = [words] * n if words is None or isinstance(words, str) else list(words)
        return torch.stack([self.pack(self.names[i % self.classes] if w is None else w) for i, w in enumerate(every)])

    def format(self, stored: Tensor) -> str:
        """The class name of an index."""
        return self.decode(stored)

    def cells(self, x: Tensor) -> dict[str, Any]:
        """A label as the cell of a row."""
        return {self.column or "label": self.decode(x)}

    def observed(self, stored: Tensor) -> None:
        """None: nothing is missing."""

    def to_json(self) -> dict[str, Any]:
        """As JSON data; an empty column is omitted, to keep old fingerprints valid."""
        return {"names": list(self.names), **({"column": self.column} if self.column else {})}
