"""``metadata.csv`` and ``metadata.jsonl``: labels, captions and splits of image files."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisei.data.source import CAPTIONS, SPLITS, composed
from seisei.errors import UserError, did_you_mean, half_character
from seisei.modalities.table import word_of
from seisei.paths import check_regular

# Matched case-insensitively: some programs write Metadata.CSV.
METADATA = ("metadata.csv", "metadata.jsonl")
STYLEGAN = "dataset.json"
# Suffixes of other tables that may be meant as metadata.
TABLES = {".csv", ".tsv", ".jsonl", ".xlsx"}
_SEPARATORS = (",", ";", "\t")
LABELS = ("label", "class", "category")


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A metadata row of one image: its label, caption and split if there are such columns, and all other columns."""

    label: str | None = None
    caption: str | None = None
    split: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


def read_metadata(root: Path, table: str, names: set[str], faults: list[UserError]) -> dict[str, Row]:
    """The rows of one table by image name, relative to the root.

    Arguments:
        root: the data folder.
        table: the table's name below it; file names in it are relative to its own folder.
        names: all images.
        faults: receives an error for each row that names no image, or one twice.

    Raises:
        UserError: the table cannot be read at all.
    """
    path, find = root / table, _finder(table, names)
    rows: dict[str, Row] = {}
    for line, fields in rows_of(path, table, "file_name"):
        file_name = fields.get("file_name")
        if not isinstance(file_name, str) or not file_name:
            remedy = did_you_mean("file_name", [str(k) for k in fields])
            raise UserError(
                "E-CHK-21", f"{table}:{line}", "has no file_name", f"name the image's column file_name; {remedy}"
            )
        name = find(file_name)
        if name is None:
            problem = f"names {file_name}, which does not exist"
            faults.append(UserError("E-CHK-21", f"{table}:{line}", problem, "add the image or remove the row"))
        elif name in rows:
            faults.append(UserError("E-CHK-21", f"{table}:{line}", f"names {file_name} again", "keep one of the rows"))
        else:
            split = SPLITS.get((_text(fields, ("split",)) or "").lower())
            facts = tuple((key, word_of(value, f"{table}:{line}")) for key, value in fields.items() if _plain(value))
            label = _text(fields, LABELS)
            rows[name] = Row(None if label is None else composed(label), _text(fields, CAPTIONS), split, facts)
    return rows


def read_stylegan(root: Path, table: str, names: set[str], faults: list[UserError]) -> dict[str, Row] | None:
    """The labels in a ``dataset.json`` written by StyleGAN's tools; None if it is another file.

    A label is a number, or a vector, which becomes the columns y0, y1, …; there may be none at all.

    Arguments:
        root: the data folder.
        table: the file's name below it.
        names: all images.
        faults: receives an error for each entry that names no image.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        content = json.loads("".join(_lines(root / table, table)))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("E-CHK-21", table, f"is not JSON ({error})", "fix it, or remove it") from None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    entries, find, rows = content["labels"] or [], _finder(table, names), dict[str, Row]()
    for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        where = f"{table}: label {place}"
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise UserError("E-CHK-21", where, "is not a name with a label", 'write ["0/img.png", 3] for each image')
        name, label = find(entry[0]), entry[1]
        if name is None:
            problem = f"names {entry[0]}, which does not exist"
            faults.append(UserError("E-CHK-21", where, problem, "add the image or remove the entry"))
        elif isinstance(label, list):
            rows[name] = Row(facts=tuple((f"y{i}", word_of(v, where)) for i, v in enumerate(label)))
        else:
            rows[name] = Row(None if label is None else str(label))
    return rows


def _finder(table: str, names: set[str]) -> Callable[[str], str | None]:
    """Returns a function that finds the image named in a table, relative to the table's folder.

    Names may differ in Unicode normalization, use backslashes, or begin with ``./``.
    """
    folder = table.rpartition("/")[0]
    known = {composed(name): name for name in names}

    def find(written: str) -> str | None:
        for way in (written, written.replace("\\", "/")):
            name = posixpath.normpath(posixpath.join(folder, composed(way.strip())))
            if name in known:
                return known[name]
        return None

    return find


def rows_of(path: Path, table: str, needed: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a ``.csv`` or ``.jsonl`` table as dictionaries, each with its line number.

    Arguments:
        path: the table.
        table: its name in errors.
        needed: a column that the header of a ``.csv`` must have.

    Raises:
        UserError: the table cannot be read.
    """
    return _csv_rows(path, table, needed) if table.lower().endswith(".csv") else _json_rows(path, table)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _text(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    value = next((fields[n] for n in names if n in fields), None)
    return None if value is None or str(value).strip() == "" else str(value).strip()


def _lines(path: Path, table: str) -> list[str]:
    check_regular(path, table)
    try:
        return path.read_text("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise UserError("E-CHK-21", table, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except PermissionError:
        mode = path.stat().st_mode & 0o777
        raise UserError("E-CHK-05", table, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except OSError as error:
        remedy = "make it readable, or remove it"
        raise UserError("E-CHK-05", table, (error.strerror or "cannot be read").lower(), remedy) from None


def _separator(lines: list[str], needed: str | None) -> str:
    """The separator that yields the needed column in the header, else the most columns."""
    headers = {}
    for separator in _SEPARATORS:
        try:
            headers[separator] = [cell.strip() for cell in next(csv.reader(lines[:64], delimiter=separator), [])]
        except csv.Error:
            headers[separator] = []
    return max(_SEPARATORS, key=lambda separator: (needed in headers[separator], len(headers[separator])))


def _csv_rows(path: Path, table: str, needed: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = _lines(path, table)
    reader = csv.reader(lines, strict=True, delimiter=_separator(lines, needed))
    try:
        header = [name.strip() for name in next(reader, [])]
        if needed is not None and needed not in header:
            remedy = f"name the column that holds the images' names {needed}"
            raise UserError("E-CHK-21", table, f"its columns are {', '.join(header) or 'none'}", remedy, found=header)
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                problem = f"{len(fields)} fields, header has {len(header)}"
                where = f"{table}:{reader.line_num}"
                raise UserError(
                    "E-CHK-21", where, problem, "fix the row or its quotes", found=len(fields), wanted=len(header)
                )
            yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise UserError("E-CHK-21", f"{table}:{reader.line_num}", str(error), "fix the row or its quotes") from None


def _json_rows(path: Path, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(path, table), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            half = half_character(json.dumps(fields, ensure_ascii=False))
        except (ValueError, RecursionError) as error:
            # For an integer of thousands of digits, drop Python's advice to programmers.
            reason = str(error).partition(" for integer")[0]
            raise UserError("E-CHK-21", f"{table}:{number}", f"is not JSON ({reason})", "fix the line") from None
        if half is not None:
            problem = f"holds {half}, half of a character"
            raise UserError("E-CHK-21", f"{table}:{number}", problem, "write the whole character, or remove it")
        if not isinstance(fields, dict):
            raise UserError(
                "E-CHK-21", f"{table}:{number}", "is not an object", 'write {"file_name": ...} on each line'
            )
        yield number, fields
