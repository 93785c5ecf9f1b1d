"""Tables: conversion between rows and tensors.

A row is stored as float64, one value per column: numbers unchanged, dates in days since 1970, categories as level
indices, NaN for missing values. In model input numbers and dates are standardized, (v - mean) / scale, and missing
values are zero; `observed` is the mask.
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
from seisei.modalities.measure import Measure
from seisei.spec import arguments_for, listed

Kind = Literal["number", "category", "boolean", "date"]

# Default words for missing values; <NA> and NaT are written by pandas.
MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "None", "<NA>", "NaT"))
PAIRS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("0", "1"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
# With a leading zero it is a code, such as a postal code, not a number.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0*")
_UNITS = (("%f", timedelta(microseconds=1)), ("%S", timedelta(seconds=1)), ("%M", timedelta(minutes=1)), ("", DAY))


@dataclass(frozen=True)
class RowCodes:
    """Error codes for faulty rows, which differ between commands."""

    columns: str = "E-*-20"
    value: str = "E-*-20"
    category: str = "E-*-21"
    infinite: str = "E-*-21"
    missing: str = "E-*-22"
    label: str = "E-*-25"


CODES = RowCodes()


@dataclass(frozen=True)
class Column:
    """One column of a table, with statistics of the training rows.

    Arguments:
        name: the column's name.
        kind: the column's type.
        levels: names of the categories; for a boolean the two words as in the data, false first.
        mean: mean of numbers, or of dates in days.
        scale: standard deviation, above 0.
        decimals: digits after the decimal point; 0 for integers.
        form: date format, as for `datetime.strptime`.
        low: the minimum number or date.
        high: the maximum number or date.

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
        """The value of a word.

        Raises:
            UserError: it is invalid in this column.
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
            problem = f"column {self.name!r}: {word!r} is not a {self.kind}"
            raise UserError(codes.value, where, problem, f"write {wanted}, or leave it empty", found=word)
        # Model input is float32, with a smaller range than float64.
        if not abs((value - self.mean) / self.scale) < 1e30:
            problem = f"column {self.name!r}: {word} is not finite"
            raise UserError(codes.infinite, where, problem, "correct it, or leave it empty", found=word)
        return value

    def level(self, word: str) -> int | None:
        """The index of a category, None if it is unknown."""
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
        """The readable form of a standardized `value`."""
        # Further digits are beyond float32 precision.
        return self.word(value * self.scale + self.mean, max(2, math.ceil(6 - math.log10(self.scale))))

    def word(self, value: float, most: int = 300) -> Any:
        """The readable form of a value in the data's own units; numbers with at most `most` decimals."""
        if self.levels:
            return self.levels[min(max(round(value), 0), len(self.levels) - 1)]
        if self.kind == "date":
            return written(value, self.form)
        # Adding zero turns -0.0 into 0.0.
        return round(value, min(self.decimals, most)) + 0.0 if self.decimals else round(value)


@listed
@dataclass(frozen=True)
class Table:
    """Rows of named columns, possibly with missing values.

    Arguments:
        columns: the modeled columns.
        dropped: names of other columns of the training data, which new rows may have too.
        missing: words for missing values, besides `MISSING`.

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
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each column; 0 for numbers and dates."""
        return tuple(column.size for column in self.columns)

    @property
    def log_volume(self) -> float:
        """log p of a standardized row minus log p of the row in the data's own units."""
        return sum(math.log(column.scale) for column in self.columns)

    def lacks(self, column: Column, word: str) -> bool:
        """Whether a word stands for a missing value."""
        return word in MISSING or canonical(word) in self.missing or (word == "?" and "?" not in column.levels)

    def pack(self, raw: Mapping[str, Any], codes: RowCodes = CODES) -> Tensor:
        """One row, float64 (D,), NaN for missing values.

        Arguments:
            raw: a value for each column, by name; None, NaN and empty text are missing values.
            codes: error codes.

        Raises:
            UserError: a column is absent, or a value is invalid.
        """
        absent = [name for name in self.names if name not in raw]
        if absent:
            problem = f"has no column {', '.join(map(repr, absent[:5]))}"
            raise UserError(
                codes.columns, "row", problem, "give every column, None for missing values", found=list(raw)
            )
        words = [(column, word_of(raw[column.name])) for column in self.columns]
        values = [math.nan if self.lacks(column, word) else column.parse(word, codes) for column, word in words]
        return torch.tensor(values, dtype=torch.float64)

    def unpack(self, stored: Tensor) -> Tensor:
        """Rows as model input, float32 (..., D): standardized, zero for missing values."""
        mean = stored.new_tensor([column.mean for column in self.columns])
        scale = stored.new_tensor([column.scale for column in self.columns])
        standard = (stored - mean) / scale
        return standard.masked_fill(stored.isnan(), 0.0).to(torch.float32)

    def measure(self, stored: Tensor) -> Measure:
        """A density in the table's own units: the model sees standardized numbers and dates."""
        scales = [c.scale if c.kind in ("number", "date") else 1.0 for c in self.columns]
        log_scales = torch.tensor(scales, dtype=torch.float64).log()
        return Measure(None, self.observed(stored).double() @ log_scales, units="the data's own units")

    def observed(self, stored: Tensor) -> Tensor:
        """Mask, True where a value is present, (..., D)."""
        return ~stored.isnan()

    def encode(self, raw: Mapping[str, Any]) -> Tensor:
        """One row as model input, float32 (D,)."""
        return self.unpack(self.pack(raw))

    def decode(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Any]:
        """The row of one model tensor (D,), with None where it is NaN or the mask is False."""
        values = x.detach().to("cpu", torch.float64).tolist()
        there = [True] * len(values) if mask is None else mask.tolist()
        named = zip(self.columns, values, there, strict=True)
        return {column.name: column.show(value) if seen and value == value else None for column, value, seen in named}

    def within(self, x: Tensor) -> Tensor:
        """Model tensors (..., D) with numbers and dates clipped to the range of the training rows.

        A density extends beyond the data, and would generate negative incomes.
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
        """As JSON data."""
        columns = [{**asdict(column), "levels": list(column.levels)} for column in self.columns]
        return {"columns": columns, "dropped": list(self.dropped), "missing": list(self.missing)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Table:
        """Restore the output of `to_json`.

        Raises:
            UserError: an invalid value; TypeError and AssertionError likewise.
        """
        given = data.get("columns")
        if not isinstance(given, list) or not all(isinstance(column, dict) for column in given):
            raise TypeError("columns are not a list of objects")
        columns = [Column(**arguments_for(Column, column, f"{where}: ", "E-*-07")) for column in given]
        return cls(**arguments_for(cls, {**data, "columns": columns}, f"{where}: ", "E-*-07"))


def word_of(value: Any, where: object = "row") -> str:
    """A value as a word in a table, empty for None.

    Raises:
        UserError: it is not a number, string or date.

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
        except ValueError:  # an integer of thousands of digits
            problem = "holds an integer with more digits than Python converts to text"
            raise UserError("E-CHK-13", where, problem, "give it as a string") from None
    raise UserError("E-CHK-13", where, f"holds a {type(value).__name__}", "give numbers, strings, dates or None")


def number(word: str) -> float | None:
    """A word as a number, possibly infinite; None if it is not a number.

    Example:
        >>> number("-1.5e3"), number("1e999"), number("-inf"), number("007"), number("1,5")
        (-1500.0, inf, -inf, None, None)
    """
    known = _NUMBER.fullmatch(word) or word.lower().lstrip("+-") in ("inf", "infinity")
    return float(word) if known else None


def decimals(word: str) -> int:
    """The digits that a number needs after the decimal point.

    Example:
        >>> decimals("12"), decimals("12.50"), decimals("1e-3"), decimals("3.0")
        (0, 1, 3, 0)
    """
    exponent = Decimal(word).normalize().as_tuple().exponent
    return min(max(0, -exponent), 300) if isinstance(exponent, int) else 0


def canonical(word: str) -> str:
    """An integer without a trailing ".0", which programs add to columns with missing values; other words unchanged.

    Example:
        >>> canonical("3.0"), canonical("3.10"), canonical("v3.0")
        ('3', '3.10', 'v3.0')
    """
    found = _WHOLE.fullmatch(word)
    return found[1] if found else word


def same_truth(word: str, names: Sequence[str]) -> str | None:
    """The one of two boolean names, such as Yes and No, that a word equals ignoring case; None if they are not a pair.

    Example:
        >>> same_truth("YES", ("No", "Yes")), same_truth("YES", ("maybe", "Yes"))
        ('Yes', None)
    """
    lower = {name.lower(): name for name in names}
    return lower.get(word.lower()) if any(set(pair) == lower.keys() for pair in PAIRS) else None


def days(word: str, form: str = "") -> float | None:
    """A date in days since 1970, in a given format or ISO 8601; None if it is invalid.

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
    """Days since 1970 as a date in a format, rounded to its smallest unit and clipped to valid dates.

    Example:
        >>> written(1.4, "%d.%m.%Y"), written(0.5, "%Y-%m-%dT%H:%M")
        ('02.01.1970', '1970-01-01T12:00')
    """
    unit = next(step for mark, step in _UNITS if mark in form)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    value = min(max(value, (first - EPOCH) / DAY), (last - EPOCH) // DAY)
    moment = EPOCH + round(value * (DAY / unit)) * unit
    # Not every system's strftime zero-pads the year, as strptime requires.
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))
