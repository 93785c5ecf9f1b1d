"""Unsupported notations of numbers and dates, each with what to write instead.

Otherwise they would be read as categories: a column of 60 prices as 60 categories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seisei.modalities.table import days, number

_NUMERAL = r"(?:\d+(?:[.,]\d+)*|[.]\d+)"
_MONTH = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
# From this fraction of the rows on, a column holds dates (or times) in some notation.
NEARLY_ALL = 0.9
# A column with fewer distinct words than this may be categorical, such as doses: 10 mg, 20 mg, 50 mg.
MANY = 10


@dataclass(frozen=True)
class Spelling:
    """An unsupported number notation.

    Arguments:
        pattern: matches a whole word.
        name: the problem, after "has".
        write: the remedy.
        sure: whether categories never look like this, even if few are distinct.
    """

    pattern: re.Pattern[str]
    name: str
    write: str
    sure: bool = True

    def fits(self, word: str) -> bool:
        """Whether a word has this notation."""
        return self.pattern.fullmatch(word) is not None

    def is_meant(self, words: Sequence[str], rows: int) -> bool:
        """Whether a column's words are numbers rather than a few categories."""
        return self.sure or len(words) > MANY and len(words) * 2 > rows

    def problem(self, word: str) -> str:
        """The problem, for an error."""
        return f"{word!r} has {self.name}"


# More specific notations come first: 30,665 has a thousands separator, 30,66 a decimal comma.
SPELLINGS = (
    Spelling(re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"), "a thousands separator", "write numbers without it"),
    Spelling(
        re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u2009\u202f'’]\d{3})+(?:[.,]\d+)?"),
        "a thousands separator",
        "write numbers without it",
    ),
    Spelling(re.compile(r"[+-]?\d+,\d+"), "a decimal comma", "write numbers with a point"),
    Spelling(re.compile(rf"[−–]\s?{_NUMERAL}"), "a minus sign that is not the ASCII one", "write -"),
    Spelling(re.compile(rf"\(\s?{_NUMERAL}\s?\)"), "parentheses for a minus sign", "write -"),
    Spelling(
        re.compile(rf"[<>≤≥~≈]=?\s?{_NUMERAL}"), "a bound instead of a value", "write a number, or leave it empty"
    ),
    Spelling(
        re.compile(rf"[+-]?(?:[$€£¥₹]\s?[+-]?{_NUMERAL}|{_NUMERAL}\s?[$€£¥₹])"),
        "a currency sign",
        "remove it, and put the currency in the column's name",
        sure=False,
    ),
    Spelling(
        re.compile(rf"[+-]?{_NUMERAL}\s?%"), "a percent sign", "remove it, and put it in the column's name", sure=False
    ),
    Spelling(
        re.compile(rf"[+-]?{_NUMERAL}\s?[A-Za-zµμ°²³/]{{1,8}}"),
        "a unit",
        "remove it, and put the unit in the column's name",
        sure=False,
    ),
)

_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?")
_NUMERIC_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ].*)?")
_WORD_DATE = re.compile(
    rf"(?:\w+,?\s)?(?:\d{{1,2}}(?:st|nd|rd|th)?[\s.-]*{_MONTH}|{_MONTH}[\s.-]*\d{{1,2}}(?:st|nd|rd|th)?)"
    r",?[\s.-]*\d{2,4}(?:[T ,].*)?"
)


def date_fault(words: Sequence[str], rows: Sequence[int]) -> tuple[int, str, str] | None:
    """The first date or time in an unsupported notation: its index, the problem and the remedy.

    Arguments:
        words: distinct words, without a common date format.
        rows: number of rows of each.

    Example:
        >>> words = [f"{day:02} Jan 2024" for day in range(1, 20)]
        >>> date_fault(words, [1] * len(words))
        (0, "'01 Jan 2024' has its month in words", 'write dates as 2024-12-31')
        >>> date_fault(["1:30", "2:30"], [30, 30]) is None
        True
    """
    total = sum(rows)
    if len(words) <= MANY or len(words) * 2 <= total:
        return None

    def nearly(*patterns: re.Pattern[str]) -> list[bool]:
        fits = [any(pattern.fullmatch(word) for pattern in patterns) for word in words]
        have = sum(count for count, fit in zip(rows, fits, strict=True) if fit)
        return fits if have >= NEARLY_ALL * total else []

    if nearly(_TIME):
        return 0, f"{words[0]!r} is a time of day", "write a number, such as hours with decimals"
    if fits := nearly(_WORD_DATE):
        place = fits.index(True)
        return place, f"{words[place]!r} has its month in words", "write dates as 2024-12-31"
    if fits := nearly(_NUMERIC_DATE, _WORD_DATE):
        one = fits.index(True)
        other = _differently(words, one, fits)
        if other is None:
            return one, f"{words[one]!r} is not a supported date format", "write dates as 2024-12-31"
        problem = f"dates have several formats, such as {words[one]!r} and {words[other]!r}"
        return other, problem, "write all as 2024-12-31"
    return None


def _differently(words: Sequence[str], one: int, fits: Sequence[bool]) -> int | None:
    """The first date with a different pattern of digits, letters and punctuation."""
    shape = _shape(words[one])
    return next((place for place, word in enumerate(words) if fits[place] and _shape(word) != shape), None)


def _shape(word: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d{4}", "y", re.sub(r"\b\d{1,2}\b", "0", word)))


def compact_dates(name: str, words: Sequence[str]) -> str:
    """A note if integers may be dates without separators.

    Example:
        >>> words = ["20240101", "20240229", "20241231"]
        >>> compact_dates("when", words), compact_dates("id", ["20240101", "20240230"])
        ("column 'when': 20240101 may be a date; written as 2024-01-01 it is read as one, here it is a number", '')
    """
    if len(words) < 3 or not all(len(word) == 8 and word.isdigit() and "1800" <= word[:4] <= "2200" for word in words):
        return ""
    if any(days(word, "%Y%m%d") is None for word in words):
        return ""
    first = words[0]
    dashed = f"{first[:4]}-{first[4:6]}-{first[6:]}"
    return f"column {name!r}: {first} may be a date; written as {dashed} it is read as one, here it is a number"


def formulas(name: str, words: Sequence[str]) -> str:
    """A note if cells look like spreadsheet formulas, which also end up in output files.

    Example:
        >>> formulas("kind", ["=1+1", "red"]), formulas("kind", ["-1.5", "+2", "red"])
        ("column 'kind': '=1+1' is a formula to a spreadsheet; files that are written here hold it as it is", '')
    """
    found = [word for word in words if word[:1] in ("=", "+", "-", "@") and len(word) > 1 and number(word) is None]
    odd = [word for word in found if word[0] in "=@" or re.search(r"[A-Za-z(]", word)]
    first = f"column {name!r}: {odd[0]!r} is a formula to a spreadsheet" if odd else ""
    return f"{first}; files that are written here hold it as it is" if odd else ""
