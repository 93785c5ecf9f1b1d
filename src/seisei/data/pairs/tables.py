"""Image pairs in tables: two columns of file names, or two columns of images in parquet files."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from seisei.data.images.metadata import METADATA, rows_of
from seisei.data.pairs.source import SIDES, PairSource, Side, no_pairs
from seisei.data.source import SPLITS, Record, identity_of
from seisei.data.sources.folder import READ
from seisei.data.sources.parquet import ParquetSource, image_columns, parquet_source
from seisei.errors import UserError, did_you_mean
from seisei.paths import exists

Columns = tuple[str | None, str | None]
Names = tuple[str, str]
SUFFIXES = (".csv", ".jsonl")


class _Table(NamedTuple):
    """A table: its name below the root, and its rows with line numbers."""

    name: str
    rows: list[tuple[int, dict[str, Any]]]

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for _, fields in self.rows for name in fields))

    @property
    def of_images(self) -> list[str]:
        """The columns whose nonempty cells are all image file names."""
        return [name for name in self.columns if _names_images([fields.get(name) for _, fields in self.rows])]


def table_pairs(path: Path, typed: str, asked: Columns, *, follow_outside: bool = False) -> PairSource:
    """The pairs named in one ``.csv`` or ``.jsonl`` file, relative to its folder.

    Arguments:
        path: the table.
        typed: the name that the user gave.
        asked: the columns of A and of B; by default the two that hold image file names, in order.
        follow_outside: read files outside the table's folder.

    Raises:
        UserError: the table cannot be read, or does not have two such columns.
    """
    table = _read(path.parent, path.name)
    return _named(path.parent, typed, [table], asked, follow_outside)


def tables_in(
    path: Path, typed: str, names: list[str], asked: Columns, *, follow_outside: bool = False, must: bool = False
) -> PairSource | None:
    """The pairs named in a folder's tables, or None if no table has two columns of images.

    Arguments:
        path: the folder.
        typed: the name that the user gave.
        names: the tables' names below it.
        asked: the columns of A and of B.
        follow_outside: read files outside the folder.
        must: raise an error if there is no such table.

    Raises:
        UserError: a table cannot be read, or several tables name images.
    """
    tables = [_read(path, name) for name in names]
    named = asked != (None, None)
    fit = [t for t in tables if len(t.of_images) > 1 or (named and set(asked) & set(t.columns))]
    described = [t for t in fit if t.name.rpartition("/")[2].lower() in METADATA]
    chosen = described or fit
    if len(chosen) > 1 and not described:
        listed = ", ".join(table.name for table in chosen)
        raise UserError("E-CHK-04", typed, f"several tables name images: {listed}", "give one of them", found=listed)
    if chosen:
        return _named(path, typed, chosen, asked, follow_outside)
    if must:
        listed = ", ".join(f"{t.name} with {', '.join(t.columns) or 'no columns'}" for t in tables) or "none"
        raise no_pairs(typed, f"no table has two columns that name images (tables: {listed})")
    return None


def loose_tables(path: Path) -> list[str]:
    """The tables directly in a folder, except metadata files."""
    found = [p.name for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name.lower() not in METADATA]
    return sorted(name for name in found if not name.startswith("."))


def parquet_pairs(path: Path, typed: str, asked: Columns, *, follow_outside: bool = False) -> PairSource:
    """The pairs in two image columns of parquet files; arguments as for `table_pairs`.

    Raises:
        UserError: the files do not have two columns of images, or are damaged.
    """
    first, second = chosen_columns(typed, image_columns(path), asked)
    sources = [parquet_source(path, typed, column=name, follow_outside=follow_outside) for name in (first, second)]
    one = sources[0]
    sides = _cells(sources[0]), _cells(sources[1])
    known = [source.identity for source in sources]
    stamp = None if None in known else identity_of("pairs", *known)
    note = f"{SIDES[0]} is in column {first!r}, {SIDES[1]} in {second!r}"
    return PairSource("columns", typed, one.records, sides, stamp, notes=[note])


def chosen_columns(typed: str, found: list[str], asked: Columns, known: list[str] | None = None) -> Names:
    """The columns of A and of B.

    Arguments:
        typed: the data's name, as the user gave it.
        found: the columns that hold images.
        asked: the columns named by the user.
        known: columns that may be named; by default those found.

    Raises:
        UserError: a missing column, or more than two columns and none named.
    """
    known = known or found
    for name in asked:
        if name is not None and name not in known:
            remedy = did_you_mean(name, known)
            raise UserError("E-CHK-04", typed, f"has no image column {name!r}", remedy, found=known)
    first, second = asked
    if first is not None and first == second:
        raise UserError("E-CHK-04", typed, f"both sides are column {first!r}", "name two columns", found=first)
    rest = [name for name in found if name not in asked]
    if first is not None and second is not None:
        return first, second
    if asked == (None, None) and len(rest) == 2:
        return rest[0], rest[1]
    if asked != (None, None) and len(rest) == 1:
        return first or rest[0], second or rest[0]
    listed = ", ".join(found) or "none"
    if len(found) < 2:
        raise no_pairs(typed, f"image columns: {listed}")
    remedy = "name two of them with --column-a and --column-b"
    raise UserError("E-CHK-04", typed, f"several columns hold images: {listed}", remedy, found=found)


def _cells(source: ParquetSource) -> Side:
    return Side([f"{record.name}:{source.column}" for record in source.records], source.read)


def _read(root: Path, name: str) -> _Table:
    try:
        return _Table(name, list(rows_of(root / name, name)))
    except PermissionError:
        mode = (root / name).stat().st_mode & 0o777
        raise UserError("E-CHK-05", name, f"permission denied (mode {mode:03o})", "chmod u+r") from None


def _names_images(cells: list[Any]) -> bool:
    words = [cell for cell in cells if cell not in (None, "")]
    return bool(words) and all(isinstance(w, str) and os.path.splitext(w.strip())[1].lower() in READ for w in words)


def _named(root: Path, typed: str, tables: list[_Table], asked: Columns, follow_outside: bool) -> PairSource:
    first, second = chosen_columns(typed, tables[0].of_images, asked, tables[0].columns)
    faults: list[UserError] = []
    pairs: list[tuple[str, str]] = []
    splits: list[str | None] = []
    stamps: list[tuple[str, int, int]] = []
    for table in tables:
        part = SPLITS.get(table.name.partition("/")[0].casefold()) if "/" in table.name else None
        for line, fields in table.rows:
            try:
                found = [_file(root, table.name, line, fields, name, follow_outside) for name in (first, second)]
            except UserError as fault:
                faults.append(fault)
                continue
            pairs.append((found[0], found[1]))
            splits.append(SPLITS.get(str(fields.get("split")).strip().casefold()) or part)
            stamps += [(name, os.stat(root / name).st_size, os.stat(root / name).st_mtime_ns) for name in found]
    used, often = {name for pair in pairs for name in pair}, Counter(a for a, _ in pairs)
    twice = Counter(pairs)
    notes = [f"{SIDES[0]} is in column {first!r}, {SIDES[1]} in {second!r} of {', '.join(t.name for t in tables)}"]
    notes.append(f"{len(pairs):,} pairs of {len(used):,} files")
    # One A may be paired with several B.
    names = [
        a if often[a] == 1 else f"{a} + {b}" if twice[a, b] == 1 else f"{a} + {b} ({i})"
        for i, (a, b) in enumerate(pairs)
    ]
    records = [Record(name, split=split) for name, split in zip(names, splits, strict=True)]
    stamp = identity_of("pairs", str(root.resolve()), stamps, splits, [str(fault) for fault in faults])
    sides = _files(root, [a for a, _ in pairs]), _files(root, [b for _, b in pairs])
    return PairSource("columns", typed, records, sides, stamp, faults, notes=notes)


def _files(root: Path, names: list[str]) -> Side:
    return Side(names, lambda index: root / names[index])


def _file(root: Path, table: str, line: int, fields: dict[str, Any], column: str, follow_outside: bool) -> str:
    """The file named in a cell, relative to the root."""
    where, cell = f"{table}:{line}", fields.get(column)
    if not isinstance(cell, str) or not cell.strip():
        raise UserError("E-CHK-18", where, f"names no image in {column}", "name it, or remove the row")
    folder = table.rpartition("/")[0]
    # Names may differ in Unicode normalization, and use backslashes.
    written = [cell.strip(), cell.strip().replace("\\", "/")]
    ways = [unicodedata.normalize(form, way) for way in written for form in ("NFC", "NFD")]
    names = [os.path.normpath(os.path.join(folder, way)) for way in (cell.strip(), *ways)]
    name = next((name for name in names if exists(root / name)), None)
    if name is None:
        problem = f"names {cell.strip()}, which does not exist"
        raise UserError("E-CHK-21", where, problem, "add the image or remove the row")
    if not follow_outside and not (root / name).resolve().is_relative_to(root.resolve()):
        problem = f"names {cell.strip()}, which is outside the data folder"
        raise UserError("E-CHK-15", where, problem, "pass --follow-outside")
    return name
