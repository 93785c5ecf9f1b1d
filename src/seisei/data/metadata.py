"""``metadata.csv`` and ``metadata.jsonl``: labels, captions and splits of pictures that are files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seisei.data.source import CAPTIONS, SPLITS
from seisei.errors import UserError, did_you_mean
from seisei.modalities.table import word_of

METADATA = ("metadata.csv", "metadata.jsonl")
LABELS = ("label", "class", "category")


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """What a table says of one picture: its label, caption and split where columns have these, and all else."""

    label: str | None = None
    caption: str | None = None
    split: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


def read_metadata(root: Path, table: str, names: set[str], faults: list[UserError]) -> dict[str, Row]:
    """The rows of one table by the name of their picture, relative to the root.

    Arguments:
        root: the data folder.
        table: the table's name below it; the file names in it are relative to where it lies.
        names: the pictures that there are.
        faults: rows that name no picture, or one twice, are entered here.

    Raises:
        UserError: the table cannot be read at all.
    """
    path, folder = root / table, table.rpartition("/")[0]
    rows: dict[str, Row] = {}
    for line, fields in rows_of(path, table, "file_name"):
        file_name = fields.get("file_name")
        if not isinstance(file_name, str) or not file_name:
            remedy = did_you_mean("file_name", [str(k) for k in fields])
            raise UserError(
                "E-CHK-21", f"{table}:{line}", "has no file_name", f"name the picture's column file_name; {remedy}"
            )
        name = f"{folder}/{file_name}" if folder else file_name
        if name not in names:
            problem = f"names {file_name}, which is not there"
            faults.append(UserError("E-CHK-21", f"{table}:{line}", problem, "add the picture or remove the row"))
        elif name in rows:
            faults.append(UserError("E-CHK-21", f"{table}:{line}", f"names {file_name} again", "keep one of the rows"))
        else:
            split = SPLITS.get((_text(fields, ("split",)) or "").lower())
            facts = tuple((key, word_of(value, f"{table}:{line}")) for key, value in fields.items() if _plain(value))
            rows[name] = Row(_text(fields, LABELS), _text(fields, CAPTIONS), split, facts)
    return rows


def rows_of(path: Path, table: str, needed: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a ``.csv`` or ``.jsonl`` table, by column, each with its line.

    Arguments:
        path: of the table.
        table: what an error calls it.
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
    try:
        return path.read_text("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise UserError("E-CHK-21", table, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None


def _csv_rows(path: Path, table: str, needed: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(_lines(path, table), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if needed is not None and needed not in header:
            remedy = f"name the column that holds the pictures' names {needed}"
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
        except (ValueError, RecursionError) as error:
            raise UserError("E-CHK-21", f"{table}:{number}", f"is not JSON ({error})", "fix the line") from None
        if not isinstance(fields, dict):
            raise UserError(
                "E-CHK-21", f"{table}:{number}", "is not an object", 'write {"file_name": ...} on each line'
            )
        yield number, fields
