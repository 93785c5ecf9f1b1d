"""Named conditions for conditional generation: several labels, categories and numbers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei.errors import UserError, did_you_mean
from seisei.modalities.table import Column, RowCodes, Table, word_of
from seisei.spec import listed

CODES = RowCodes(*["E-SMP-13"] * 6)
# Conditions as text, or by name.
Said = str | Mapping[str, Any]


@listed
@dataclass(frozen=True)
class Conditions:
    """Named conditions, encoded as one vector: a standardized value for each number, 0 or 1 for each boolean, and a
    one-hot vector for each category.

    Arguments:
        columns: the conditions.
        examples: stored values of some training examples, used as defaults for conditions that are not specified.

    Example:
        >>> columns = (Column("age", "number", mean=40.0, scale=10.0), Column("glasses", "boolean", ("0", "1")))
        >>> given = Conditions(columns, ((35.0, 0.0), (60.0, 1.0)))
        >>> given.unpack(given.parse("glasses", 2)).tolist()
        [[-0.5, 1.0], [2.0, 1.0]]
        >>> given.format(given.parse("age=50, no glasses", 1)[0])
        'age=50, no glasses'
    """

    columns: tuple[Column, ...]
    examples: tuple[tuple[float, ...], ...]

    noun: ClassVar[str] = "condition"

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "examples", tuple(tuple(map(float, row)) for row in self.examples))
        assert self.columns and self.examples, "conditions need columns and examples"
        assert all(len(row) == len(self.columns) for row in self.examples), "an example has a value for each column"

    @property
    def table(self) -> Table:
        """The conditions as a table's columns."""
        return Table(self.columns)

    @property
    def size(self) -> int:
        """Length of the condition vector."""
        return sum(_size(column) for column in self.columns)

    def pack(self, raw: Mapping[str, Any]) -> Tensor:
        """The stored values of one example, given by name, float64 (D,)."""
        return self.table.pack(raw, CODES)

    def unpack(self, stored: Tensor) -> Tensor:
        """Condition vectors of stored values (..., D), float32 (..., K)."""
        standard, parts = self.table.unpack(stored), list[Tensor]()
        for place, column in enumerate(self.columns):
            value = standard[..., place]
            parts.append(value[..., None] if _size(column) == 1 else F.one_hot(value.long(), column.size).to(value))
        return torch.cat(parts, -1)

    def encode(self, raw: Mapping[str, Any]) -> Tensor:
        """The condition vector of one example, (K,)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor) -> dict[str, Any]:
        """The values by name of a condition vector (K,)."""
        parts = torch.split(x.detach().cpu(), [_size(column) for column in self.columns])
        values = [float(part) if len(part) == 1 else int(part.argmax()) for part in parts]
        return {column.name: column.show(value) for column, value in zip(self.columns, values, strict=True)}

    def cells(self, x: Tensor) -> dict[str, Any]:
        """A condition vector as cells of a row."""
        return self.decode(x)

    def observed(self, stored: Tensor) -> None:
        """None: nothing is missing."""

    def parse(self, said: Said | Sequence[Said | None] | None, n: int) -> Tensor:
        """Stored values of n examples, (n, D); unspecified conditions are taken from the stored examples in turn.

        Arguments:
            said: text such as ``age=50, glasses, no hat``, or values by name: one for all, or one for each.
            n: number of examples.

        Raises:
            UserError: an unknown condition or value.
        """
        rows = torch.tensor([self.examples[i % len(self.examples)] for i in range(n)], dtype=torch.float64)
        every = [said] * n if isinstance(said, (str, Mapping)) or said is None else list(said)
        for row, each in zip(rows, every, strict=True):
            if isinstance(each, Mapping):
                values = [self._valued(name, word_of(value)) for name, value in each.items()]
            else:
                values = [self._parsed(part) for part in filter(None, map(str.strip, (each or "").split(",")))]
            for place, value in values:
                row[place] = value
        return rows

    def format(self, stored: Tensor) -> str:
        """Stored values (D,) as text that `parse` parses."""
        return ", ".join(_words(column, value) for column, value in zip(self.columns, stored.tolist(), strict=True))

    def _parsed(self, part: str) -> tuple[int, float]:
        name, equals, word = map(str.strip, part.partition("="))
        if equals:
            return self._valued(name, word)
        holds = name in self.table.names or not name.startswith("no ")
        place = self._place(name if holds else name[3:].strip())
        column = self.columns[place]
        if column.kind != "boolean":
            remedy = f"write it with one, such as {_words(column, self.examples[0][place])}"
            raise UserError("E-SMP-13", f"--label {name!r}", f"is a {column.kind} without a value", remedy)
        return place, float(holds)

    def _valued(self, name: str, word: str) -> tuple[int, float]:
        place = self._place(name)
        return place, self.columns[place].parse(word, CODES, "--label")

    def _place(self, name: str) -> int:
        names = self.table.names
        if name not in names:
            raise UserError("E-SMP-13", "--label", f"no condition {name!r}", did_you_mean(name, names), wanted=names)
        return names.index(name)

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {"columns": self.table.to_json()["columns"], "examples": [list(row) for row in self.examples]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Conditions:
        """Restore the output of `to_json`.

        Raises:
            UserError: an invalid value; TypeError and AssertionError likewise.
        """
        examples = data.get("examples")
        if not isinstance(examples, list) or not all(_numbers(row) for row in examples):
            raise TypeError("examples are not a list of lists of numbers")
        return cls(Table.from_json({"columns": data.get("columns")}, where).columns, tuple(map(tuple, examples)))


def _numbers(row: Any) -> bool:
    return isinstance(row, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in row)


def _size(column: Column) -> int:
    """Entries in the condition vector: one per level for categories, otherwise one."""
    return column.size if column.kind == "category" else 1


def _words(column: Column, value: float) -> str:
    if column.kind == "boolean":
        return column.name if value else f"no {column.name}"
    return f"{column.name}={column.word(value)}"
