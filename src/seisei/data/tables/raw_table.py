"""Raw tables: `RawTable`, cells as words, from files and from memory.

A column is stored as its distinct words and each cell's index among them, so that a long table of few words is small,
and each word is parsed once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.data.sources.parquet import read_parquet
from seisei.data.tables.delimited import check_header, read_delimited
from seisei.errors import UserError, half_character
from seisei.modalities.table import MISSING, word_of
from seisei.paths import check_regular


@dataclass(frozen=True)
class RawColumn:
    """One column.

    Arguments:
        words: its distinct words.
        places: each cell's index among them, (N,).
    """

    words: list[str]
    places: NDArray[np.int32]

    def firsts(self) -> list[int]:
        """The first row of each word."""
        rows = np.zeros(len(self.words), np.int64)
        rows[self.places[::-1]] = np.arange(len(self.places))[::-1]  # the last write wins
        return rows.tolist()


@dataclass(frozen=True)
class RawTable:
    """A table of words.

    Arguments:
        root: its name, as the user gave it.
        names: row names: file and line, or the row number.
        columns: the columns by name.
        declared: columns that the source declares categorical.
        notes: messages about how it was read.
    """

    root: str
    names: list[str]
    columns: dict[str, RawColumn]
    declared: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def followed_by(self, other: RawTable) -> RawTable:
        """The rows of both; cells of a column that only one has are empty in the other."""
        columns = {}
        for name in dict.fromkeys((*self.columns, *other.columns)):
            mine = self.columns.get(name) or RawColumn([""], np.zeros(len(self), np.int32))
            theirs = other.columns.get(name) or RawColumn([""], np.zeros(len(other), np.int32))
            known = {word: place for place, word in enumerate(mine.words)}
            moved = np.array([known.setdefault(word, len(known)) for word in theirs.words], np.int32)
            columns[name] = RawColumn(list(known), np.concatenate([mine.places, moved[theirs.places]]))
        return replace(self, names=self.names + other.names, columns=columns, notes=self.notes + other.notes)


def is_table(given: Any) -> bool:
    """Whether an object is a table: a data frame, an Arrow table, a mapping of columns, or a list of rows.

    Example:
        >>> is_table({"age": [1, 2], "pet": ["cat", "dog"]}), is_table({"x": np.zeros((5, 8, 8))})
        (True, False)
    """
    if isinstance(given, Mapping):
        return bool(given) and all(getattr(column, "ndim", 1) <= 1 for column in given.values())
    if isinstance(given, (list, tuple)):
        return bool(given) and all(isinstance(row, Mapping) for row in given)
    return _is_frame(given) or _is_arrow(given)


def read_sheet(given: Any) -> RawTable:
    """Read a table from a file, ``.csv``, ``.tsv``, ``.csv.gz`` or ``.parquet``, or from memory; see `is_table`.

    Raises:
        UserError: it cannot be read, has no rows, or has rows of different lengths.
    """
    if isinstance(given, (str, os.PathLike)):
        path, typed = Path(given), os.fspath(given)
        check_regular(path, typed)
        if not path.is_file():
            absent = UserError("E-CHK-01", typed, "no such file", "check the path")
            raise UserError("E-CHK-02", typed, "is a folder", "name a table in it") if path.is_dir() else absent
        if path.suffix.lower() != ".parquet":
            header, words, places, lines, notes = read_delimited(path, typed)
            cells = {n: RawColumn(w, np.asarray(p, np.int32)) for n, w, p in zip(header, words, places, strict=True)}
            sheet = RawTable(typed, [f"{path.name}:{line}" for line in lines], cells, notes=notes)
        else:
            sheet = _from_memory(read_parquet(path, typed), typed, path.name)
    else:
        sheet = _from_memory(given, "table", "table")
    if not sheet.names:
        raise UserError("E-CHK-03", sheet.root, "0 rows", "put at least one row in it", found=0)
    return sheet


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and hasattr(given, "to_dict")


def _is_arrow(given: Any) -> bool:
    return hasattr(given, "column_names") and hasattr(given, "to_pydict")


def _from_memory(given: Any, root: str, name: str) -> RawTable:
    headed = [(str(key), column) for key, column in _columns(given, root)]
    check_header([key for key, _ in headed], root)
    wheres = {key: f"{root}: column {key!r}" for key, _ in headed}
    columns = {key: _cells(_values(column, wheres[key]), wheres[key]) for key, column in headed}
    lengths = {key: len(cells.places) for key, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key!r} {length}" for key, length in list(lengths.items())[:5])
        raise UserError("E-CHK-21", root, f"columns of different lengths: {found}", "make them one length")
    count = next(iter(lengths.values()), 0)
    declared = frozenset(key for key, column in headed if _is_declared(column))
    return RawTable(root, [f"{name}:{row}" for row in range(count)], columns, declared)


def _columns(given: Any, root: str) -> Iterable[tuple[Any, Any]]:
    if isinstance(given, Mapping):
        # A mapping of scalars is one row.
        one = all(isinstance(value, str) or not hasattr(value, "__len__") for value in given.values())
        return [(key, [value] if one else value) for key, value in given.items()]
    if isinstance(given, (list, tuple)):
        keys = dict.fromkeys(key for row in given for key in row)
        return [(key, [row.get(key) for row in given]) for key in keys]
    if _is_arrow(given):
        return zip(given.column_names, given.columns, strict=True)
    if _is_frame(given):
        return [(key, given[key]) for key in given.columns]
    remedy = "give a data frame, an Arrow table, a dictionary of columns, or a file"
    raise UserError("E-CHK-04", root, f"a {type(given).__name__} is not a table", remedy)


def _is_declared(column: Any) -> bool:
    """Whether a column has pandas' category type or Arrow's dictionary type."""
    return str(getattr(column, "dtype", "")) == "category" or str(getattr(column, "type", "")).startswith("dictionary")


def _values(column: Any, where: str) -> list[Any]:
    """A column's values; as NumPy scalars if possible, since float32 scalars print with their own precision."""
    if hasattr(column, "detach"):
        column = column.detach().cpu().numpy()
    short = str(getattr(column, "type", "")) in ("float", "halffloat")
    if hasattr(column, "to_numpy") and (short or hasattr(column, "dtype")):
        column = column.to_numpy()
    try:
        return list(column.to_pylist() if hasattr(column, "to_pylist") else column)
    except UnicodeDecodeError as error:
        problem = f"is not valid UTF-8 (0x{error.object[error.start]:02x})"
        raise UserError("E-CHK-21", where, problem, "save it as text in UTF-8") from None


def sheet_of(root: str, names: list[str], rows: Sequence[Mapping[str, str]]) -> RawTable:
    """A table from rows of words; missing cells are empty."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return RawTable(root, names, {key: _cells([row.get(key, "") for row in rows], root) for key in keys})


def _cells(values: list[Any], where: str) -> RawColumn:
    known: dict[str, int] = {}
    every = (known.setdefault(word_of(value, where), len(known)) for value in values)
    places, words = np.fromiter(every, np.int32, len(values)), list(known)
    for number, word in enumerate(words):
        if (half := half_character(word)) is not None:
            row = int(np.argmax(places == number))
            problem = f"row {row} holds {half}, half of a character"
            raise UserError("E-CHK-21", where, problem, "write the whole character, or remove it")
    # Times have all their digits here; drop those that are zero in the whole column.
    for tail in (".000000", " 00:00:00"):
        if all(word.endswith(tail) or word in MISSING for word in words):
            words = [word.removesuffix(tail) for word in words]
    return RawColumn(words, places)
