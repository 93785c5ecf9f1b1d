"""Detecting a table column's type from all its values.

- *boolean*: two words, one of the pairs true/false, yes/no, t/f, y/n and 0/1, in any case.
- *number*: every word is a number. Integers stay numbers however few are distinct, unless declared categorical; one
  with a leading zero is a code, and so a category.
- *date*: all words match one of `FORMS`. A column in which every day may also be a month is refused.
- *category*: everything else.

If nearly all rows have numbers (or dates), other words are errors, not categories; so are numbers and dates in an
unsupported notation (`seisei.data.tables.spelling`). Identifier columns are not modeled.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.data.source import natural
from seisei.data.tables.raw_table import RawColumn
from seisei.data.tables.spelling import SPELLINGS, compact_dates, date_fault
from seisei.errors import UserError
from seisei.modalities.table import MISSING, PAIRS, Kind, canonical, days, decimals, number
from seisei.shell import quoted

FORMS = [
    date + time
    for date in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
    for time in ("", *(f"{t}%H:%M{s}" for t in " T" for s in ("", ":%S", ":%S.%f", ":%S%z", ":%S.%f%z")))
]
# From this fraction of numbers (or dates) on, other values are errors.
NEARLY_ALL = 0.9
# A categorical column with more levels than this, and than half of the rows, is an identifier.
MANY = 1000
# With more distinct numbers than this, a mixed column counts as numeric.
MOST_OTHERS = 10
# Maximum number of words listed in an error.
MOST_SHOWN = 8
_NAME_OF_ID = re.compile(r"(?:^|[^A-Za-z])(?i:id|index)$|[a-z](?:Id|ID)$|^Unnamed: \d+$")
_LIKE_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)")


@dataclass(frozen=True)
class RecognizedColumn:
    """A column with its detected type.

    Arguments:
        name: its name.
        kind: its type.
        values: numbers unchanged, dates in days, categories as level indices; NaN for missing values.
        levels: all categories in natural order; for a boolean the two words, false first.
        decimals: digits needed after the decimal point.
        form: format of the dates.
        useless: why it is not modeled, if it is not.
        note: a message for the user.
    """

    name: str
    kind: Kind
    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()
    decimals: int = 0
    form: str = ""
    useless: str = ""
    note: str = ""


def recognize(
    name: str, cells: RawColumn, rows: Sequence[str], *, missing: Collection[str] = (), categorical: bool = False
) -> RecognizedColumn:
    """Detect a column's type.

    Arguments:
        name: its name.
        cells: its words.
        rows: the names of the rows, for errors.
        missing: words for missing values, besides the usual ones.
        categorical: whether it is declared categorical.

    Raises:
        UserError: a non-number among numbers, or an infinite one; an ambiguous date; an identifier declared
            categorical.
    """
    counts = np.bincount(cells.places, minlength=len(cells.words))
    empty = _empty(cells.words, counts, missing)
    present = [place for place in range(len(cells.words)) if place not in empty and counts[place]]
    words = [cells.words[place] for place in present]

    def fault(place: int, problem: str, remedy: str) -> UserError:
        where = rows[cells.firsts()[present[place]]]
        return UserError("E-CHK-22", where, f"column {name!r}: {problem}", remedy, found=words[place])

    def column(kind: Kind, value: Callable[[str], float], **facts: Any) -> RecognizedColumn:
        each = np.full(len(cells.words), math.nan)
        each[present] = [value(word) for word in words]
        return RecognizedColumn(name, kind, each[cells.places], **facts)

    total, numeric = int(counts[present].sum()), all(number(word) is not None for word in words)
    if not categorical and words:
        if pair := _pair(words, counts[present].tolist()):
            lower = [word.lower() for word in pair]
            return column("boolean", lambda word: float(lower.index(canonical(word).lower())), levels=pair)
        if numeric:
            if useless := _id_by_name(name, words, total):
                return column("number", float, useless=useless)
            for place, word in enumerate(words):
                if problem := _overflow(word):
                    remedy = f"correct it, or pass --missing {quoted(word)}, or --ignore {quoted(name)}"
                    raise fault(place, problem, remedy)
            return column("number", float, decimals=max(map(decimals, words)), note=compact_dates(name, words))
        forms = _forms(words)
        if len(forms) > 1:
            remedy = f"write dates as 2024-12-31, or pass --ignore {quoted(name)}"
            raise fault(0, f"{words[0]!r} and all other rows are ambiguous: the day may be the month", remedy)
        if forms:
            return column("date", lambda word: days(word, forms[0]) or 0.0, form=forms[0])
        _check_nearly(name, words, counts[present].tolist(), fault)
        if dates := date_fault(words, counts[present].tolist()):
            place, problem, remedy = dates
            raise fault(place, problem, f"{remedy}, or pass --ignore {quoted(name)}")
    as_level = canonical if numeric else str
    levels = tuple(sorted({as_level(word) for word in words}, key=float if numeric else natural))
    useless = _id_by_levels(len(levels), total)
    if useless and categorical:
        remedy = f"drop it or declare it --ignore {quoted(name)}"
        problem = f"column {name!r}: {len(levels):,} levels"
        raise UserError("E-CHK-23", rows[0].rpartition(":")[0], problem, remedy, found=len(levels))
    known = {level: float(place) for place, level in enumerate(levels)}
    return column("category", lambda word: known[as_level(word)], levels=levels, useless=useless)


def _empty(words: Sequence[str], counts: NDArray[np.int64], missing: Collection[str]) -> set[int]:
    """The indices of the words for missing values; ``?`` is one unless most of a text column has it."""
    nothing = MISSING.union(map(canonical, missing))
    empty = {place for place, word in enumerate(words) if canonical(word) in nothing}
    if "?" in words:
        place = words.index("?")
        others = [word for other, word in enumerate(words) if other not in empty | {place}]
        if counts[place] * 2 < counts.sum() or all(number(word) is not None for word in others):
            empty.add(place)
    return empty


def _pair(words: list[str], rows: Sequence[int]) -> tuple[str, str] | None:
    """The two words of a boolean in their most frequent spelling; None if it is not a boolean."""
    spellings: dict[str, Counter[str]] = {}
    for word, count in zip(words, rows, strict=True):
        spellings.setdefault(canonical(word).lower(), Counter())[canonical(word)] += count
    found = next((pair for pair in PAIRS if set(pair) == spellings.keys()), None)
    return (_commonest(spellings[found[0]]), _commonest(spellings[found[1]])) if found else None


def _commonest(spellings: Counter[str]) -> str:
    return max(sorted(spellings), key=lambda word: spellings[word])


def _id_by_name(name: str, words: list[str], total: int) -> str:
    different = len(words)
    is_id = _NAME_OF_ID.search(name) and different * 2 > total and all(decimals(word) == 0 for word in words)
    return f"it is an identifier: {different:,} distinct values in {total:,}" if is_id else ""


def _id_by_levels(different: int, total: int) -> str:
    if different > 1 and (different == total or (different > MANY and different * 2 > total)):
        return f"it is an identifier: {different:,} distinct values in {total:,}"
    return ""


def _overflow(word: str) -> str | None:
    value = float(word)
    if math.isinf(value):
        return f"{word} is not finite" if "inf" in word.lower() else f"{word} overflows"
    digits = word.lstrip("+-")
    if digits.isdigit() and int(digits) != int(abs(value)):
        return f"{word} has more digits than float64 can represent"
    return None


def _forms(words: list[str]) -> list[str]:
    """The date formats that every word matches."""
    if not words or not _LIKE_DATE.match(words[0]):
        return []
    forms = [form for form in FORMS if days(words[0], form) is not None]
    for word in words[1:]:
        forms = [form for form in forms if days(word, form) is not None]
        if not forms:
            break
    return forms


def _check_nearly(
    name: str, words: list[str], rows: Sequence[int], fault: Callable[[int, str, str], UserError]
) -> None:
    """Refuse a column that is nearly all numbers or dates; `rows` counts each word."""
    total = sum(rows)
    # As categories it may be an identifier, which is refused too.
    instead = f"--{'ignore' if _id_by_levels(len(words), total) else 'categorical'} {quoted(name)}"

    def nearly(fits: Sequence[bool]) -> int:
        have = sum(count for count, fit in zip(rows, fits, strict=True) if fit)
        return have if have >= NEARLY_ALL * total else 0

    numbers = [number(word) is not None for word in words]
    for spelling in SPELLINGS:
        odd = [spelling.fits(word) for word in words]
        if any(odd) and nearly([a or b for a, b in zip(numbers, odd, strict=True)]) and spelling.is_meant(words, total):
            place = odd.index(True)
            raise fault(place, spelling.problem(words[place]), f"{spelling.write}, or pass {instead}")
    kinds = [("number", numbers)]
    like = next((word for word in words if _LIKE_DATE.match(word)), "")
    kinds += [("date", [days(word, form) is not None for word in words]) for form in _forms([like])]
    for kind, fits in kinds:
        if have := nearly(fits):
            place = fits.index(False)
            problem = f"{words[place]!r} is not a {kind}, and {have:,} of {total:,} rows have one"
            remedy = f"correct it, or pass --missing {quoted(words[place])}, or {instead}"
            raise fault(place, problem, remedy)
    # Fewer numbers still do not make categories if they are many and distinct.
    have, others = sum(count for count, fit in zip(rows, numbers, strict=True) if fit), numbers.count(False)
    if sum(numbers) > max(MOST_OTHERS, others) and have * 2 > total:
        strange = [word for word, fit in zip(words, numbers, strict=True) if not fit]
        shown, more = ", ".join(map(repr, strange[:MOST_SHOWN])), ", …" if len(strange) > MOST_SHOWN else ""
        problem = f"{have:,} of {total:,} values are numbers, these are not: {shown}{more}"
        marks = " ".join(f"--missing {quoted(word)}" for word in strange[:MOST_SHOWN]) + (" …" if more else "")
        raise fault(numbers.index(False), problem, f"correct them, or pass {marks}, or {instead}")
