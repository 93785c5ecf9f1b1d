"""Labels: a class's name, and its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seisei.errors import UserError, did_you_mean
from seisei.spec import listed


@listed
@dataclass(frozen=True)
class Label:
    """One of a closed list of names.

    Arguments:
        names: the classes; a label's number is its name's place here.
        column: of a table, where the labels are a column of one.

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
        """How many there are."""
        return len(self.names)

    def pack(self, raw: Any, code: str = "E-SMP-13") -> Tensor:
        """The number of a name, an int64 scalar; whole numbers stand for their digits, as in a class named ``7``.

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
        """The numbers as they are."""
        return stored

    def encode(self, raw: Any) -> Tensor:
        """The number of a name, an int64 scalar."""
        return self.pack(raw)

    def decode(self, x: Tensor) -> str:
        """The name of a number."""
        return self.names[int(x)]

    def observed(self, stored: Tensor) -> None:
        """All are."""

    def to_json(self) -> dict[str, Any]:
        """As plain data; without a column, as before there were tables, since a data set's fingerprint holds it."""
        return {"names": list(self.names), **({"column": self.column} if self.column else {})}
