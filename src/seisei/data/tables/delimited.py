"""Delimited text tables: ``.csv`` and ``.tsv``, plain or gzipped.

Read with Python's csv module in strict mode, so that an error can name its line.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from seisei.data.sources.arrays import half_of_memory
from seisei.errors import UserError, half_character
from seisei.modalities.table import number
from seisei.paths import check_regular

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Excel's separator line before the header.
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
# pandas' name for a saved index column.
UNNAMED = "Unnamed: 0"
LONGEST = 1 << 24
_LOOKED_AT = 64

Read = tuple[list[str], list[list[str]], list["array[int]"], "array[int]", list[str]]


def is_delimited(path: Path) -> bool:
    """Whether a file is a delimited text table, by its name.

    Example:
        >>> is_delimited(Path("a.CSV")), is_delimited(Path("a.csv.gz")), is_delimited(Path("a.gz"))
        (True, True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def read_delimited(path: Path, typed: str) -> Read:
    """The header; each column's distinct words, and each cell's index among them; each row's line number; notes.

    Raises:
        UserError: the file cannot be read, or a row has more or fewer cells than the header.
    """
    check_regular(path, typed)
    try:
        if not path.stat().st_size:
            raise UserError("E-CHK-07", typed, "0 bytes", "re-copy or remove it", found=0)
        opened = gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")
        with opened as file:
            return _read(_lines(cast(BinaryIO, file), path.name), path.name, typed)
    except PermissionError:
        mode = path.stat().st_mode & 0o777
        raise UserError("E-CHK-05", typed, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError("E-CHK-06", typed, f"is damaged ({error})", "get the file again") from None


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a file, decoded one by one, so that an invalid byte's line is known."""
    read, most = 0, half_of_memory()
    for line in itertools.count(1):
        raw = file.readline(LONGEST)
        read += len(raw)
        if not raw:
            return
        if len(raw) == LONGEST or read > most:
            problem = f"holds more than {most / 1e9:.1f} GB" if read > most else f"is longer than {LONGEST >> 20} MB"
            raise UserError("E-CHK-09", f"{name}:{line}", problem, "give it in parts, or check its quotes")
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            problem = f"byte {error.start + 1} of the line is not UTF-8 (0x{raw[error.start]:02x})"
            raise UserError("E-CHK-21", f"{name}:{line}", problem, "save the file as UTF-8") from None
        if "\0" in text:
            problem = "holds zero bytes, so it is not UTF-8 (perhaps UTF-16)"
            raise UserError("E-CHK-21", f"{name}:{line}", problem, "save the file as UTF-8")
        yield text


def _read(lines: Iterator[str], name: str, typed: str) -> Read:
    head = list(itertools.islice(lines, _LOOKED_AT))
    declared, skipped = _SEP.fullmatch(head[0]) if head else None, 0
    if declared:
        head, skipped = head[1:], 1
    separator = declared[1] if declared else _separator(head, name)
    rows = _rows(itertools.chain(head, lines), separator, name, skipped)
    first, header = next(rows, (1, []))
    header = [cell.strip() for cell in header]
    _check_spaces(head, header, f"{name}:{first}")
    # An unnamed index column, and a separator at the end of every line.
    index, trailing = len(header) > 1 and not header[0], len(header) > 2 and not header[-1]
    if index:
        header[0] = UNNAMED
    _check_names(header[:-1] if trailing else header, f"{name}:{first}", typed)
    known: list[dict[str, int]] = [{} for _ in header]
    places = [array("i") for _ in header]
    numbers = array("q")
    columns = list(zip([column.append for column in places], known, strict=True))
    for line, row in rows:
        if len(row) != len(header):
            problem = f"{len(row)} fields, header has {len(header)}"
            remedy = "fix the row or its quotes"
            raise UserError("E-CHK-21", f"{name}:{line}", problem, remedy, found=len(row), wanted=len(header))
        numbers.append(line)
        for (append, words), cell in zip(columns, row, strict=True):
            append(words.setdefault(cell.strip(), len(words)))
    usual = "\t" if ".tsv" in name.lower() else ","
    marks = SEPARATORS.get(separator, repr(separator))
    notes = [] if separator == usual else [f"{name}: cells are separated by {marks}"]
    if index and not _counts_rows(known[0], places[0]):
        raise _unnamed(f"{name}:{first}", 1)
    if trailing:
        if set(known[-1]) - {""}:
            raise _unnamed(f"{name}:{first}", len(header))
        header, known, places = header[:-1], known[:-1], places[:-1]
        notes.append(f"{name}: every line ends with a separator; the empty column after it is left out")
    return header, [list(words) for words in known], places, numbers, notes


def _rows(lines: Iterable[str], separator: str, name: str, skipped: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Each row with its first line number; empty lines are skipped."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    line = skipped + 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        problem, remedy = str(error), "fix the row or its quotes"
        if "new-line character" in problem:
            problem, remedy = "lines end with CR alone, as on old Macs", "save the file with Unix or Windows line ends"
        raise UserError("E-CHK-21", f"{name}:{line}", problem, remedy) from None


def _counts_rows(words: dict[str, int], places: Sequence[int]) -> bool:
    """Whether a column counts 0, 1, 2, … or 1, 2, 3, …"""
    column = list(words)
    return any(
        len(column) == len(places) and all(word == str(row + start) for row, word in enumerate(column))
        for start in (0, 1)
    )


def _check_spaces(head: list[str], header: list[str], where: str) -> None:
    """Refuse lines that only spaces separate, all into the same number of pieces."""
    pieces = {len(line.split()) for line in head if line.strip()}
    if len(header) == 1 and len(pieces) == 1 and len(head) > 1 and (count := pieces.pop()) > 1:
        problem = f"the cells seem to be separated by spaces: {count} pieces in every line, and one cell"
        raise UserError("E-CHK-21", where, problem, "separate them by commas or tabs", found=1, wanted=count)


def _separator(head: list[str], name: str) -> str:
    """The separator that splits the header into the most cells; a comma if none does."""
    counts: dict[str, int] = {}
    for separator in SEPARATORS:
        try:
            counts[separator] = len(next(_rows(head, separator, name), (1, []))[1])
        except UserError:  # its quotes are invalid with this separator
            counts[separator] = 0
    return max(counts, key=lambda separator: counts[separator])


def check_header(names: Sequence[str], where: str) -> None:
    """Refuse unnamed columns, and duplicate names.

    Raises:
        UserError: the first such column.
    """
    for place, name in enumerate(names):
        if not name.strip():
            raise _unnamed(where, place + 1)
        if (half := half_character(name)) is not None:
            problem = f"the name of column {place + 1} holds {half}, half of a character"
            raise UserError("E-CHK-21", where, problem, "write the whole character, or remove it")
        if name in names[:place]:
            raise UserError("E-CHK-21", where, f"two columns are named {name!r}", "rename one of them", found=name)


def _unnamed(where: str, number: int) -> UserError:
    remedy = "name it, or write the table without its index"
    return UserError("E-CHK-21", where, f"column {number} has no name", remedy)


def _check_names(header: list[str], where: str, typed: str) -> None:
    if not header:
        raise UserError("E-CHK-03", typed, "0 rows", "put a header and at least one row in it", found=0)
    values = [cell for cell in header if number(cell) is not None]
    # Years can be column names, decimal numbers cannot.
    if len(values) == len(header) or any("." in cell for cell in values):
        problem = f"begins with {values[0]}, wanted the names of the columns"
        raise UserError("E-CHK-21", where, problem, "put a line with the names first", found=header[:10])
    check_header(header, where)
