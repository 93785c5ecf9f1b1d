"""Of what kind a column of a table is, by all its words.

- *boolean*: two words, one of the pairs true/false, yes/no, t/f, y/n and 0/1, in any case.
- *number*: every word is one. Whole numbers stay numbers however few differ, unless they are declared to be categories;
  one with a leading zero is a code, and so a word.
- *date*: every word has the same one of `FORMS`. Where a day may as well be a month in the whole column, it is refused.
- *category*: all else.

Where nearly every row has a number (or a date), the other words are faults, not categories; so are numbers and dates in
a spelling that is not read (`seisei.data.tables.spelling`). What only tells rows apart, an id, is not modeled.
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
# From this share of the rows on, what is no number (or date) among numbers is a fault.
NEARLY_ALL = 0.9
# A category with more levels than this, in more than half of the rows, is an id.
MANY = 1000
# So many different numbers among other words are a column of numbers.
MOST_OTHERS = 10
# Words that an error lists.
MOST_SHOWN = 8
_NAME_OF_ID = re.compile(r"(?:^|[^A-Za-z])(?i:id|index)$|[a-z](?:Id|ID)$|^Unnamed: \d+$")
_LIKE_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)")


@dataclass(frozen=True)
class RecognizedColumn:
    """A column whose kind is known.

    Arguments:
        name: its name.
        kind: of its values.
        values: numbers as they are, dates in days, categories as their place among the levels; NaN where nothing is.
        levels: every category that occurs, in natural order; of a boolean the two words, false first.
        decimals: digits that the numbers need after the point.
        form: of the dates.
        useless: why it is not modeled, where it is not.
        note: what else the person may want to know.
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
    """The column with its kind.

    Arguments:
        name: its name.
        cells: its words.
        rows: the names of the rows, for errors.
        missing: words that stand for nothing, besides the usual ones.
        categorical: whether it is declared to be of categories, whatever its words.

    Raises:
        UserError: a value that is no number among numbers, or infinite; a date that may be two; an id declared to be
            of categories.
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
            raise fault(0, f"in {words[0]!r} and every other row a day may be a month", remedy)
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
    """The places of the words that stand for nothing; ``?`` does unless it is most of a column of words."""
    nothing = MISSING.union(map(canonical, missing))
    empty = {place for place, word in enumerate(words) if canonical(word) in nothing}
    if "?" in words:
        place = words.index("?")
        others = [word for other, word in enumerate(words) if other not in empty | {place}]
        if counts[place] * 2 < counts.sum() or all(number(word) is not None for word in others):
            empty.add(place)
    return empty


def _pair(words: list[str], rows: Sequence[int]) -> tuple[str, str] | None:
    """The two words of a boolean in the spelling that most rows have; None where words say more or other than that."""
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
    return f"it names the rows: {different:,} different values in {total:,}" if is_id else ""


def _id_by_levels(different: int, total: int) -> str:
    if different > 1 and (different == total or (different > MANY and different * 2 > total)):
        return f"it names the rows: {different:,} different values in {total:,}"
    return ""


def _overflow(word: str) -> str | None:
    value = float(word)
    if math.isinf(value):
        return f"{word} is not finite" if "inf" in word.lower() else f"{word} overflows"
    digits = word.lstrip("+-")
    if digits.isdigit() and int(digits) != int(abs(value)):
        return f"{word} has more digits than a number keeps"
    return None


def _forms(words: list[str]) -> list[str]:
    """The forms that every word has."""
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
    """Refuse a column that is nearly one of numbers, or of dates; `rows` is how many have each word."""
    total = sum(rows)
    # As categories it may be an id, which is refused too.
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
            problem = f"{words[place]!r} is no {kind}, and {have:,} of {total:,} rows have one"
            remedy = f"correct it, or pass --missing {quoted(words[place])}, or {instead}"
            raise fault(place, problem, remedy)
    # Fewer numbers than that are still no categories where they are many and differ.
    have, others = sum(count for count, fit in zip(rows, numbers, strict=True) if fit), numbers.count(False)
    if sum(numbers) > max(MOST_OTHERS, others) and have * 2 > total:
        strange = [word for word, fit in zip(words, numbers, strict=True) if not fit]
        shown, more = ", ".join(map(repr, strange[:MOST_SHOWN])), ", …" if len(strange) > MOST_SHOWN else ""
        problem = f"{have:,} of {total:,} values are numbers, these are not: {shown}{more}"
        marks = " ".join(f"--missing {quoted(word)}" for word in strange[:MOST_SHOWN]) + (" …" if more else "")
        raise fault(numbers.index(False), problem, f"correct them, or pass {marks}, or {instead}")
