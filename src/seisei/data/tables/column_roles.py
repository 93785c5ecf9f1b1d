"""The roles of a table's columns: target, split, ignored; and unlabeled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seisei.data.options import OWN, DataOptions
from seisei.data.reading import Reading
from seisei.data.source import SPLITS
from seisei.data.tables.column_types import recognize
from seisei.data.tables.raw_table import RawTable, read_sheet
from seisei.errors import UserError, did_you_mean
from seisei.modalities.label import Label
from seisei.modalities.table import MISSING
from seisei.shell import quoted

SPLIT = "split"
MOST_CLASSES = 50
Unseen = Literal["refuse", "missing"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """Requested column roles; see `seisei.data.options.TableOptions`."""

    target: str | None = None
    ignore: Sequence[str] = ()
    categorical: Sequence[str] = ()
    missing: Sequence[str] = ()
    unlabeled: str | None = None
    unseen: Unseen = "missing"
    conditions: Sequence[str] = ()


def asked_of(options: DataOptions, reading: Reading) -> Asked:
    """The column roles that options of reading ask for."""
    lists = (options.ignore or (), options.categorical or (), options.missing or ())
    return Asked(options.target, *lists, options.unlabeled, reading.unseen, options.conditions or ())


def check_names(sheet: RawTable, asked: Asked) -> None:
    """Check the requested columns.

    Raises:
        UserError: a column is missing, or has contradicting roles.
    """
    target = [asked.target] if asked.target is not None else []
    wanted = (("target", target), ("conditions", asked.conditions))
    for option, names in (*wanted, ("categorical", asked.categorical), ("ignore", asked.ignore)):
        for name in names:
            if name not in sheet.columns:
                remedy = did_you_mean(name, sheet.columns)
                raise UserError("E-CHK-04", f"--{option}", f"{sheet.root} has no column {name!r}", remedy, found=name)
            if option != "ignore" and name in asked.ignore:
                where = f"--{option} {name}"
                raise UserError("E-TRN-07", where, "is also in --ignore", "leave one of the two out", found=name)
    if asked.conditions and asked.target is not None:
        remedy = f"name it with --condition {quoted(asked.target)} too, or leave one of the two out"
        raise UserError("E-TRN-07", "--target", "and --condition both define what to condition on", remedy)
    if asked.unlabeled is not None and asked.target is None:
        raise UserError("E-TRN-12", "--unlabeled", "no label column is named", "name it with --target")


def with_unlabeled(sheet: RawTable, asked: Asked) -> RawTable:
    """The rows of both tables; those of the second are unlabeled."""
    assert asked.unlabeled is not None
    other = read_sheet(asked.unlabeled)
    path = Path(asked.unlabeled)
    # Two files of one name are distinguished by their folders.
    shown = path.name if path.name != Path(sheet.root).name else f"{path.absolute().parent.name}/{path.name}"
    apart = {asked.target, SPLIT, *asked.ignore}
    for mine, theirs, words in ((sheet, other, "has no column"), (other, sheet, "has the unknown column")):
        for name in mine.columns:
            if name not in theirs.columns and name not in apart:
                raise UserError("E-CHK-21", shown, f"{words} {name!r}", f"give it the columns of {sheet.root}")
    names = [f"{shown}:{name.rpartition(':')[2]}" for name in other.names]
    columns = {name: cells for name, cells in other.columns.items() if name not in apart}
    return sheet.followed_by(RawTable(other.root, names, columns, notes=other.notes))


def given_parts(sheet: RawTable, asked: Asked) -> list[str | None]:
    """Each row's split by a column named split; empty if there is no such column."""
    if SPLIT not in sheet.columns or SPLIT in (asked.target, *asked.ignore, *asked.categorical):
        return []
    cells = sheet.columns[SPLIT]
    parts = [SPLITS.get(word.lower()) for word in cells.words]
    valid = all(part or word in MISSING for part, word in zip(parts, cells.words, strict=True))
    return [parts[place] for place in cells.places] if valid and any(parts) else []


def is_declared(name: str, sheet: RawTable, asked: Asked) -> bool:
    """Whether the user or the source declares a column categorical."""
    return name in asked.categorical or name in sheet.declared


def target_of(sheet: RawTable, asked: Asked, own: int) -> tuple[Label | None, NDArray[np.int64]]:
    """The classes, and each row's class index, -1 if unlabeled; all zero without a target."""
    name = asked.target
    if name is None:
        return None, np.zeros(len(sheet), np.int64)
    option, where = f"--target {quoted(name)}", f"column {name!r}"
    declared = is_declared(name, sheet, asked)
    found = recognize(name, sheet.columns[name], sheet.names, missing=asked.missing, categorical=declared)
    values = found.values
    empty = np.flatnonzero(np.isnan(values[:own]))
    if len(empty) and asked.unlabeled != OWN:
        rows = ", ".join(sheet.names[i].rpartition(":")[2] for i in empty[:5]) + (", …" if len(empty) > 5 else "")
        problem = f"{where} is empty in {len(empty):,} of {own:,} rows: {rows}"
        remedy = "fill them in, remove these rows, or pass --unlabeled own to learn from them too"
        raise UserError("E-TRN-12", sheet.root, problem, remedy, found=len(empty), wanted=0)
    different = np.unique(values[~np.isnan(values)])
    if not len(different):
        raise UserError("E-TRN-12", sheet.root, f"{where}: no row has a value", "choose another --target")
    if found.useless or len(different) == 1:
        problem = found.useless or "every row has the same value"
        raise UserError("E-CHK-23", sheet.root, f"{where}: {problem}", "choose another --target")
    if found.levels:
        names = found.levels
    elif found.kind == "number" and found.decimals == 0 and len(different) <= MOST_CLASSES:
        names, values = tuple(str(int(v)) for v in different), places_among(values, different)
    else:
        problem = f"{len(different):,} different {found.kind}s, wanted strings, or at most {MOST_CLASSES} integers"
        remedy = "name a column of classes, or bin it into classes, such as low and high"
        raise UserError("E-TRN-12", option, problem, remedy, found=len(different), wanted=MOST_CLASSES)
    return Label(names, name), np.where(np.isnan(values), -1, values).astype(np.int64)


def places_among(values: Floats, different: Floats) -> Floats:
    """The index of each value among the distinct ones, NaN for missing values."""
    return np.where(np.isnan(values), np.nan, np.searchsorted(different, values))
