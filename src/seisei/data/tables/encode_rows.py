"""New rows for a trained model: read by column name and validated."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.data.dataset import Dataset
from seisei.data.tables.column_roles import Unseen
from seisei.data.tables.raw_table import RawTable, read_sheet
from seisei.errors import UserError, did_you_mean, nearest
from seisei.modalities.label import Label
from seisei.modalities.table import MISSING, Column, RowCodes, Table, canonical, same_truth
from seisei.schema import Schema

Labels = Literal["ignore", "want", "need"]
Policy = Literal["refuse", "ignore"]

# Commands with their own error codes for faulty rows; the others use E-*-20 and so on.
CODES = {
    "encode": RowCodes("E-ENC-20", "E-ENC-20", "E-ENC-20", "E-ENC-20", "E-ENC-22", "E-ENC-25"),
    "predict": RowCodes("E-PRD-20", "E-PRD-20", "E-PRD-21", "E-PRD-20", "E-PRD-22", "E-PRD-25"),
    "reconstruct": RowCodes("E-RCN-23", "E-RCN-23", "E-RCN-23", "E-RCN-24", "E-RCN-24", "E-RCN-23"),
    "score": RowCodes("E-SCO-24", "E-SCO-24", "E-SCO-24", "E-SCO-21", "E-SCO-21", "E-SCO-25"),
}


def read_rows(
    schema: Schema,
    given: Any,
    *,
    verb: str = "",
    labels: Labels = "ignore",
    unseen: Unseen = "refuse",
    extra: Policy = "refuse",
    holes: Policy = "ignore",
) -> Dataset:
    """Rows as model input, all in the ``test`` split.

    Columns may be in any order. The label column, and those dropped in training, are optional.

    Arguments:
        schema: the model's schema; its x is a `Table`.
        given: a file, or rows in memory, see `seisei.data.tables.raw_table.read_sheet`.
        verb: the command that reads them, for error codes.
        labels: whether y is ignored, read if present, or required; -1 for unlabeled rows.
        unseen: whether a category unseen in training is refused, or counts as missing.
        extra: whether a column unknown to the model is refused or ignored.
        holes: whether an empty cell is refused, or kept as missing for a model with a mask.

    Raises:
        UserError: what does not match, with row and column.
    """
    table, label = schema.x, schema.y
    assert isinstance(table, Table)
    sheet, codes = read_sheet(given), CODES.get(verb, RowCodes())
    notes = list(sheet.notes)
    _check_columns(sheet, table, label, codes, extra, notes)
    # These commands have an option to accept unseen categories.
    way_out = " or pass --unseen missing" if verb in ("predict", "score") else ""
    values = [_values(sheet, table, column, codes, unseen, holes, notes, way_out) for column in table.columns]
    y = _labels(sheet, table, label, codes, labels) if isinstance(label, Label) and labels != "ignore" else None
    facts = {"root": sheet.root, "kind": "table", "noun": table.noun, "total": len(sheet), "kept": len(sheet)}
    report = {**facts, "notes": notes, "skipped": []}
    x, places = torch.from_numpy(np.stack(values, axis=1)), torch.arange(len(sheet))
    return Dataset(schema, x, y, sheet.names, {"test": places}, "", report)


def _check_columns(sheet: RawTable, table: Table, label: Any, codes: RowCodes, extra: Policy, notes: list[str]) -> None:
    known = {*table.names, *table.dropped, *([label.column] if isinstance(label, Label) else [])}
    unknown = [name for name in sheet.columns if name not in known]
    absent = [name for name in table.names if name not in sheet.columns]
    if absent:
        problem = f"has no column {', '.join(map(repr, absent[:5]))}" + (", …" if len(absent) > 5 else "")
        other_case = next((name for name in unknown if name.casefold() == absent[0].casefold()), None)
        close = other_case or nearest(absent[0], unknown)
        remedy = f"rename {close!r} to {absent[0]!r}" if close else "add it, with empty cells for unknown values"
        raise UserError(codes.columns, sheet.root, problem, remedy, found=list(sheet.columns), wanted=list(table.names))
    if unknown and extra == "refuse":
        problem = f"column {unknown[0]!r} was not in training" + (f" (+{len(unknown) - 1} more)" * (len(unknown) > 1))
        raise UserError(codes.columns, sheet.root, problem, "remove it", found=unknown, wanted=list(table.names))
    if unknown:
        notes.append(f"columns that were not in training are left out: {', '.join(unknown)}")


def _values(
    sheet: RawTable,
    table: Table,
    column: Column,
    codes: RowCodes,
    unseen: Unseen,
    holes: Policy,
    notes: list[str],
    way_out: str,
) -> NDArray[np.float64]:
    """A column's values; each distinct word is parsed once."""
    cells = sheet.columns[column.name]
    by_word, unknown = np.full(len(cells.words), np.nan), list[int]()
    for place, (word, row) in enumerate(zip(cells.words, cells.firsts(), strict=True)):
        if table.lacks(column, word):
            if holes == "refuse":
                problem = f"column {column.name!r} is empty"
                remedy = "fill it in, or train a model that takes empty cells"
                raise UserError(codes.missing, sheet.names[row], problem, remedy)
        elif unseen == "missing" and column.levels and column.level(word) is None:
            unknown.append(place)
        else:
            try:
                by_word[place] = column.parse(word, codes, sheet.names[row])
            except UserError as error:
                if not column.levels or column.level(word) is not None:
                    raise
                remedy = error.remedy + way_out
                raise UserError(
                    error.code, error.where, error.problem, remedy, found=error.found, wanted=error.wanted
                ) from None
    if unknown:
        shown = ", ".join(repr(cells.words[place]) for place in unknown[:3]) + (", …" if len(unknown) > 3 else "")
        count = int(np.isin(cells.places, unknown).sum())
        notes.append(f"column {column.name!r}: {shown} in no training row, counted as missing in {count:,} rows")
    values: NDArray[np.float64] = by_word[cells.places]
    return values


def _labels(sheet: RawTable, table: Table, label: Label, codes: RowCodes, wanted: Labels) -> Tensor | None:
    cells = sheet.columns.get(label.column)
    if cells is None:
        if wanted == "need":
            problem = f"has no column {label.column!r}, the label"
            raise UserError(codes.label, sheet.root, problem, "add it", found=list(sheet.columns))
        return None
    by_word = np.full(len(cells.words), -1)
    for place, (word, row) in enumerate(zip(cells.words, cells.firsts(), strict=True)):
        where = sheet.names[row]
        if word in MISSING or canonical(word) in table.missing:
            if wanted == "need":
                problem = f"column {label.column!r} is empty, and this model is class-conditional"
                raise UserError(codes.label, where, problem, "fill in the class")
            continue
        name = word if word in label.names else canonical(word)
        name = same_truth(name, label.names) or name
        if name not in label.names:
            problem, remedy = f"column {label.column!r}: no class {word!r}", did_you_mean(word, label.names)
            raise UserError(codes.label, where, problem, remedy, found=word, wanted=list(label.names))
        by_word[place] = label.names.index(name)
    return torch.from_numpy(by_word[cells.places].astype(np.int64))
