"""Tables in text files: ``.csv`` and ``.tsv``, as they are or compressed by gzip.

Read by Python's own reader of CSV, strictly, because an error must name its line.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from seisei.data.arrays import half_of_memory
from seisei.errors import UserError
from seisei.modalities.table import number

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST = 1 << 24
_LOOKED_AT = 64

Read = tuple[list[str], list[list[str]], list["array[int]"], "array[int]", list[str]]


def is_delimited(path: Path) -> bool:
    """Whether a file is a table in text, by its name.

    Example:
        >>> is_delimited(Path("a.CSV")), is_delimited(Path("a.csv.gz")), is_delimited(Path("a.gz"))
        (True, True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def read_delimited(path: Path, typed: str) -> Read:
    """The header; each column's different words, and the place among them of each cell; the line of each row; notes.

    Raises:
        UserError: the file cannot be read, or a row has more or fewer cells than the header.
    """
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
    """The lines of a file. Each is decoded alone, so that a wrong byte's line is known."""
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
        yield text


def _read(lines: Iterator[str], name: str, typed: str) -> Read:
    head = list(itertools.islice(lines, _LOOKED_AT))
    separator = _separator(head, name)
    rows = _rows(itertools.chain(head, lines), separator, name)
    first, header = next(rows, (1, []))
    header = [cell.strip() for cell in header]
    _check_names(header, f"{name}:{first}", typed)
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
    notes = [] if separator == usual else [f"{name}: cells are separated by {SEPARATORS[separator]}"]
    return header, [list(words) for words in known], places, numbers, notes


def _rows(lines: Iterable[str], separator: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line on which it begins; empty lines are none."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError("E-CHK-21", f"{name}:{line}", str(error), "fix the row or its quotes") from None


def _separator(head: list[str], name: str) -> str:
    """What separates the header into the most cells; a comma where nothing does."""
    counts: dict[str, int] = {}
    for separator in SEPARATORS:
        try:
            counts[separator] = len(next(_rows(head, separator, name), (1, []))[1])
        except UserError:  # its quotes make no sense with this one
            counts[separator] = 0
    return max(counts, key=lambda separator: counts[separator])


def check_header(names: Sequence[str], where: str) -> None:
    """Refuse columns without a name, and two of one name.

    Raises:
        UserError: the first such column.
    """
    for place, name in enumerate(names):
        if not name.strip():
            remedy = "name it, or write the table without its index"
            raise UserError("E-CHK-21", where, f"column {place + 1} has no name", remedy)
        if name in names[:place]:
            raise UserError("E-CHK-21", where, f"two columns are named {name!r}", "rename one of them", found=name)


def _check_names(header: list[str], where: str, typed: str) -> None:
    if not header:
        raise UserError("E-CHK-03", typed, "0 rows", "put a header and at least one row in it", found=0)
    values = [cell for cell in header if number(cell) is not None]
    # Years are names of columns, numbers with a point are not.
    if len(values) == len(header) or any("." in cell for cell in values):
        problem = f"begins with {values[0]}, wanted the names of the columns"
        raise UserError("E-CHK-21", where, problem, "put a line with the names first", found=header[:10])
    check_header(header, where)
