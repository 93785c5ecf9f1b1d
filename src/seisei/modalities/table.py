"""Tables: both ways between a row and a tensor.

A row is held as float64, one value for each column: a number as it is, a date in days since 1970, a category as its
place among the levels, NaN where nothing is. A model sees numbers and dates standardized, (v - mean) / scale, and zero
where nothing is; `observed` says where.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Number
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seisei.errors import UserError, nearest
from seisei.spec import arguments_for, listed

Kind = Literal["number", "category", "boolean", "date"]

# What stands for nothing, besides what a person names; <NA> and NaT are how pandas writes it.
MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>", "NaT"))
PAIRS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("0", "1"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
# A zero before another digit makes a code of it, such as a post code, and not a number.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0*")
_UNITS = (("%f", timedelta(microseconds=1)), ("%S", timedelta(seconds=1)), ("%M", timedelta(minutes=1)), ("", DAY))


@dataclass(frozen=True)
class RowCodes:
    """The codes of what can be wrong with a new row: each verb has numbers of its own for the same faults."""

    columns: str = "E-*-20"
    value: str = "E-*-20"
    category: str = "E-*-21"
    infinite: str = "E-*-21"
    missing: str = "E-*-22"
    label: str = "E-*-25"


CODES = RowCodes()


@dataclass(frozen=True)
class Column:
    """One column of a table, as the training rows have it.

    Arguments:
        name: in the header.
        kind: what its values are.
        levels: the names of the categories; of a boolean the two words as the data write them, false first.
        mean: of numbers, and of dates in days.
        scale: their standard deviation, above 0.
        decimals: digits after the point that the numbers need; 0 for whole numbers.
        form: how dates are written, as `datetime.strptime` takes it.
        low: the smallest number or date.
        high: the largest.

    Example:
        >>> age = Column("age", "number", mean=40.0, scale=10.0)
        >>> age.parse("55"), age.show(1.5)
        (55.0, 55)
    """

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    decimals: int = 0
    form: str = ""
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        named = self.kind in ("category", "boolean")
        assert self.name and self.kind in get_args(Kind), "a column needs a name and a kind"
        assert named == bool(self.levels) and len(set(self.levels)) == len(self.levels), "levels need names that differ"
        assert self.kind != "boolean" or len(self.levels) == 2, "a boolean has two levels"
        assert not named or (self.mean, self.scale) == (0.0, 1.0), "categories are not standardized"
        assert math.isfinite(self.mean) and 0 < self.scale < math.inf, "a column needs a mean and a scale above 0"
        assert (self.kind == "date") == bool(self.form) and self.decimals >= 0, "a date needs a form"

    @property
    def size(self) -> int:
        """The number of levels, 0 for a number or a date."""
        return len(self.levels)

    def parse(self, word: str, codes: RowCodes = CODES, where: object = "row") -> float:
        """The value that a word stands for.

        Raises:
            UserError: it stands for none in this column.
        """
        if self.levels:
            level = self.level(word)
            if level is None:
                raise self._unseen(word, codes, where)
            return float(level)
        value = number(word) if self.kind == "number" else days(word, self.form)
        value = days(word) if self.kind == "date" and value is None else value
        if value is None:
            wanted = f"a date such as {self.word(self.low)}" if self.kind == "date" else "a number"
            problem = f"column {self.name!r}: {word!r} is no {self.kind}"
            raise UserError(codes.value, where, problem, f"write {wanted}, or leave it empty", found=word)
        # A model sees single precision, which holds less than what is written.
        if not abs((value - self.mean) / self.scale) < 1e30:
            problem = f"column {self.name!r}: {word} is not finite"
            raise UserError(codes.infinite, where, problem, "correct it, or leave it empty", found=word)
        return value

    def level(self, word: str) -> int | None:
        """The place of a category among the levels, None where it is not one of them."""
        forms = [word, canonical(word)]
        if self.kind == "boolean":
            forms += [self.levels[pair.index(word.lower())] for pair in PAIRS if word.lower() in pair]
        return next((self.levels.index(form) for form in forms if form in self.levels), None)

    def _unseen(self, word: str, codes: RowCodes, where: object) -> UserError:
        problem, close = f"column {self.name!r}: {word!r} was in no training row", nearest(word, self.levels)
        some = ", ".join(self.levels[:12]) + (", …" if self.size > 12 else "")
        remedy = f"did you mean {close!r}?" if close else f"choose from: {some}"
        return UserError(codes.category, where, problem, remedy, found=word, wanted=list(self.levels))

    def show(self, value: float) -> Any:
        """What a person reads where a model says `value`."""
        # Beyond these digits single precision knows nothing.
        return self.word(value * self.scale + self.mean, max(2, math.ceil(6 - math.log10(self.scale))))

    def word(self, value: float, most: int = 300) -> Any:
        """What a person reads for a value in the data's own units, a number with at most so many decimals."""
        if self.levels:
            return self.levels[min(max(round(value), 0), len(self.levels) - 1)]
        if self.kind == "date":
            return written(value, self.form)
        # Adding zero makes one of the two zeros.
        return round(value, min(self.decimals, most)) + 0.0 if self.decimals else round(value)


@listed
@dataclass(frozen=True)
class Table:
    """Rows of named columns, some of whose cells may be empty.

    Arguments:
        columns: what is modeled.
        dropped: names of other columns that the training data had; new rows may have them too.
        missing: words that stand for an empty cell, besides `MISSING`.

    Example:
        >>> table = Table((Column("age", "number", mean=40.0, scale=10.0), Column("pet", "category", ("cat", "dog"))))
        >>> row = table.pack({"age": None, "pet": "dog"})
        >>> row.tolist(), table.unpack(row).tolist(), table.observed(row).tolist()
        ([nan, 1.0], [0.0, 1.0], [False, True])
        >>> table.decode(table.unpack(row), table.observed(row))
        {'age': None, 'pet': 'dog'}
    """

    columns: tuple[Column, ...]
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    noun: ClassVar[str] = "row"

    def __post_init__(self) -> None:
        for name in ("columns", "dropped", "missing"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "missing", tuple(map(canonical, self.missing)))
        assert self.columns and len(set(self.names)) == len(self.columns), "columns need names that differ"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels each column has; 0 for a number or a date."""
        return tuple(column.size for column in self.columns)

    @property
    def log_volume(self) -> float:
        """What log p of the standardized row exceeds log p in the data's own units by."""
        return sum(math.log(column.scale) for column in self.columns)

    def lacks(self, column: Column, word: str) -> bool:
        """Whether a word says that the cell is empty."""
        return word in MISSING or canonical(word) in self.missing or (word == "?" and "?" not in column.levels)

    def pack(self, raw: Mapping[str, Any], codes: RowCodes = CODES) -> Tensor:
        """One row, float64 (D,), NaN where nothing is.

        Arguments:
            raw: a value for each column, by name; None, NaN and empty text are nothing.
            codes: what errors are called.

        Raises:
            UserError: a column is absent, or a value is none of its column's.
        """
        absent = [name for name in self.names if name not in raw]
        if absent:
            problem = f"has no column {', '.join(map(repr, absent[:5]))}"
            raise UserError(codes.columns, "row", problem, "give every column, None where nothing is", found=list(raw))
        words = [(column, word_of(raw[column.name])) for column in self.columns]
        values = [math.nan if self.lacks(column, word) else column.parse(word, codes) for column, word in words]
        return torch.tensor(values, dtype=torch.float64)

    def unpack(self, stored: Tensor) -> Tensor:
        """Rows as a model sees them, float32 (..., D): standardized, zero where nothing is."""
        mean = stored.new_tensor([column.mean for column in self.columns])
        scale = stored.new_tensor([column.scale for column in self.columns])
        standard = (stored - mean) / scale
        return standard.masked_fill(stored.isnan(), 0.0).to(torch.float32)

    def observed(self, stored: Tensor) -> Tensor:
        """True where a value is, (..., D)."""
        return ~stored.isnan()

    def encode(self, raw: Mapping[str, Any]) -> Tensor:
        """One row as a model sees it, float32 (D,)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Any]:
        """The row of one model tensor (D,), with None where it is NaN, or the mask, if there is one, is False."""
        values = x.detach().to("cpu", torch.float64).tolist()
        there = [True] * len(values) if mask is None else mask.tolist()
        named = zip(self.columns, values, there, strict=True)
        return {column.name: column.show(value) if seen and value == value else None for column, value, seen in named}

    def within(self, x: Tensor) -> Tensor:
        """Model tensors (..., D) with numbers and dates kept within what the training rows have.

        A density goes on beyond the data: it would draw incomes below nothing.
        """
        free = [column.levels or column.low == column.high == 0.0 for column in self.columns]
        low, high = (
            [
                end if open_ else (value - c.mean) / c.scale
                for c, open_, value in zip(self.columns, free, values, strict=True)
            ]
            for end, values in ((-math.inf, [c.low for c in self.columns]), (math.inf, [c.high for c in self.columns]))
        )
        return torch.minimum(torch.maximum(x, x.new_tensor(low)), x.new_tensor(high))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        columns = [{**asdict(column), "levels": list(column.levels)} for column in self.columns]
        return {"columns": columns, "dropped": list(self.dropped), "missing": list(self.missing)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Table:
        """What `to_json` wrote.

        Raises:
            UserError: a value that no table has; TypeError and AssertionError likewise.
        """
        given = data.get("columns")
        if not isinstance(given, list) or not all(isinstance(column, dict) for column in given):
            raise TypeError("columns are no list of objects")
        columns = [Column(**arguments_for(Column, column, f"{where}: ", "E-*-07")) for column in given]
        return cls(**arguments_for(cls, {**data, "columns": columns}, f"{where}: ", "E-*-07"))


def word_of(value: Any, where: object = "row") -> str:
    """A value as a table writes it, empty for None.

    Raises:
        UserError: it is neither a number nor a word nor a date.

    Example:
        >>> word_of(None), word_of(" a "), word_of(np.float32(0.1)), word_of(date(2024, 2, 29))
        ('', 'a', '0.1', '2024-02-29')
    """
    if value is None:
        return ""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
        return "" if value is None else word_of(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (str, Number, np.bool_)) or str(value) in MISSING:
        try:
            return str(value).strip()
        except ValueError:  # a whole number of thousands of digits
            problem = "holds a whole number of more digits than Python writes"
            raise UserError("E-CHK-13", where, problem, "give it as a word") from None
    raise UserError("E-CHK-13", where, f"holds a {type(value).__name__}", "give numbers, words, dates or None")


def number(word: str) -> float | None:
    """The number that a word stands for, which may be infinite; None where it stands for none.

    Example:
        >>> number("-1.5e3"), number("1e999"), number("-inf"), number("007"), number("1,5")
        (-1500.0, inf, -inf, None, None)
    """
    known = _NUMBER.fullmatch(word) or word.lower().lstrip("+-") in ("inf", "infinity")
    return float(word) if known else None


def decimals(word: str) -> int:
    """The digits after the point that a number needs.

    Example:
        >>> decimals("12"), decimals("12.50"), decimals("1e-3"), decimals("3.0")
        (0, 1, 3, 0)
    """
    exponent = Decimal(word).normalize().as_tuple().exponent
    return min(max(0, -exponent), 300) if isinstance(exponent, int) else 0


def canonical(word: str) -> str:
    """A whole number without the point that a program gave it for want of a mark for nothing; others as they are.

    Example:
        >>> canonical("3.0"), canonical("3.10"), canonical("v3.0")
        ('3', '3.10', 'v3.0')
    """
    found = _WHOLE.fullmatch(word)
    return found[1] if found else word


def same_truth(word: str, names: Sequence[str]) -> str | None:
    """The one of two names, such as Yes and No, that a word is in another case; None where they are no such pair.

    Example:
        >>> same_truth("YES", ("No", "Yes")), same_truth("YES", ("maybe", "Yes"))
        ('Yes', None)
    """
    lower = {name.lower(): name for name in names}
    return lower.get(word.lower()) if any(set(pair) == lower.keys() for pair in PAIRS) else None


def days(word: str, form: str = "") -> float | None:
    """The days since 1970 that a date stands for, in a form, or without one in any of ISO 8601; None for no such date.

    Example:
        >>> days("02.01.1970", "%d.%m.%Y"), days("1970-01-01 12:00"), days("1970-01-01", "%d.%m.%Y")
        (1.0, 0.5, None)
    """
    try:
        moment = datetime.strptime(word, form) if form else datetime.fromisoformat(word)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) / DAY
    except (ValueError, OverflowError):
        return None


def written(value: float, form: str) -> str:
    """Days since 1970 in a form, to its last unit; what no calendar has becomes the nearest that it has.

    Example:
        >>> written(1.4, "%d.%m.%Y"), written(0.5, "%Y-%m-%dT%H:%M")
        ('02.01.1970', '1970-01-01T12:00')
    """
    unit = next(step for mark, step in _UNITS if mark in form)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    value = min(max(value, (first - EPOCH) / DAY), (last - EPOCH) // DAY)
    moment = EPOCH + round(value * (DAY / unit)) * unit
    # Not every system's strftime fills a year with zeros, as strptime wants it.
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))
