"""Tables as data sets: column types from all rows; means, ranges and levels from the training rows only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.options import OWN
from seisei.data.source import CAPTIONS
from seisei.data.splits import split_indices
from seisei.data.tables.column_roles import (
    SPLIT,
    Asked,
    check_names,
    given_parts,
    is_declared,
    places_among,
    target_of,
    with_unlabeled,
)
from seisei.data.tables.column_types import RecognizedColumn, recognize
from seisei.data.tables.raw_table import RawTable, read_sheet
from seisei.data.tables.spelling import formulas
from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.table import Column, Table
from seisei.modalities.text import Text
from seisei.schema import Modality, Schema
from seisei.shell import quoted

# Maximum number of categories listed in a report, and of condition examples stored in a schema.
MOST_NAMED, MOST_KEPT = 50, 64
# Maximum bytes of a text condition: each is a Transformer position, before those of the codes.
MOST_BYTES = 512


@dataclass(frozen=True)
class Fitted:
    """A column fitted to the training rows.

    Arguments:
        found: its type, by all rows.
        column: the model's column, None if it is not modeled.
        values: the values of all rows.
        why: the reason it is not modeled.
        note: a message for the user.
    """

    found: RecognizedColumn
    column: Column | None
    values: NDArray[np.float64]
    why: str = ""
    note: str = ""


def read_table(given: Any, asked: Asked, *, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> Dataset:
    """A table as a data set: informative columns are x, the target is y.

    Arguments:
        given: a file or a table in memory, see `seisei.data.tables.raw_table.read_sheet`.
        asked: column roles.
        validation: fraction for validation, if the table has no such split.
        test: fraction for testing, likewise.
        seed: seed of the split.

    Raises:
        UserError: a fault in the table, with row and column.
    """
    return table_of(read_sheet(given), asked, validation=validation, test=test, seed=seed)


def table_of(sheet: RawTable, asked: Asked, *, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> Dataset:
    """A `RawTable` as a data set; see `read_table`."""
    own = len(sheet)
    check_names(sheet, asked)
    if asked.unlabeled not in (None, OWN):
        sheet = with_unlabeled(sheet, asked)
    parts = given_parts(sheet, asked)
    label, y = target_of(sheet, asked, own)
    used = dict.fromkeys(sheet.columns, "x") | dict.fromkeys(asked.ignore, "ignored")
    used |= ({SPLIT: "split"} if parts else {}) | ({label.column: "target"} if label is not None else {})
    found = [
        recognize(name, cells, sheet.names, missing=asked.missing, categorical=is_declared(name, sheet, asked))
        for name, cells in sheet.columns.items()
        if used[name] == "x"
    ]
    notes = list(sheet.notes)
    useful = [one.values for one in found if not one.useless]
    # Adding zero turns -0.0 into 0.0.
    contents = [digest(row.tobytes()) for row in np.stack([np.zeros(len(sheet)), *useful], axis=1) + 0.0]
    splits = _divide(sheet, contents, parts, y, notes, validation=validation, test=test, seed=seed)
    fitted = {one.name: _fit(sheet, one, splits["train"].numpy(), asked) for one in found}
    used |= {name: "dropped" for name, one in fitted.items() if one.column is None}
    notes += [f"column {name!r} is left out: {one.why}" for name, one in fitted.items() if one.why]
    notes += [note for name, cells in sheet.columns.items() if (note := formulas(name, cells.words))]
    notes += [note for one in fitted.values() for note in (one.found.note, one.note) if note]
    given = {name: one for name, one in fitted.items() if name in asked.conditions}
    modeled = {name: one for name, one in fitted.items() if one.column is not None and name not in given}
    if not modeled:
        why = next((f" (column {name!r}: {one.why})" for name, one in fitted.items()), "")
        remedy = "add rows or columns, or name fewer with --ignore"
        raise UserError("E-CHK-04", sheet.root, f"no column is left to model{why}", remedy)
    dropped = tuple(name for name, use in used.items() if use not in ("x", "target"))
    x = torch.from_numpy(np.stack([one.values for one in modeled.values()], axis=1))
    end: Modality | None = label
    classes = None if label is None else torch.from_numpy(y)
    if given:
        end, classes = _conditions(sheet, given, splits["train"])
        used |= dict.fromkeys(given, "given")
    columns = tuple(one.column for one in modeled.values() if one.column is not None)
    schema = Schema(Table(columns, dropped, tuple(asked.missing)), end)
    mark = fingerprint(schema, sheet.names, classes, [], splits, contents)
    names = () if label is None else label.names
    report = {
        "root": sheet.root,
        "kind": "table",
        "noun": schema.x.noun,
        "total": len(sheet),
        "kept": len(sheet),
        "columns": [_fact(name, use, fitted.get(name), len(sheet)) for name, use in used.items()],
        "target": None if label is None else label.column,
        "classes": {name: int((y == place).sum()) for place, name in enumerate(names)},
        "unlabeled": int((y < 0).sum()),
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in parts if part is not None}),
        **duplicates(contents, splits),
        "notes": notes,
        "skipped": [],
        "bytes": x.numel() * 8,
        "in_memory": True,
        "fingerprint": mark,
    }
    return Dataset(schema, x, classes, sheet.names, splits, mark, report)


def conditions_of(sheet: RawTable, asked: Asked, train: Tensor) -> tuple[Conditions | Text, Tensor]:
    """The condition columns of examples that are not rows themselves, such as images: modality and values.

    A column with nearly all distinct values, or with a caption's name, is a text rather than a category.

    Arguments:
        sheet: a row for each example.
        asked: column roles.
        train: indices of the training examples.

    Raises:
        UserError: a missing or constant column, or one with empty cells; a text together with other conditions.
    """
    check_names(sheet, asked)
    fitted = {}
    for name in asked.conditions:
        declared = is_declared(name, sheet, asked)
        found = recognize(name, sheet.columns[name], sheet.names, missing=asked.missing, categorical=declared)
        if found.kind == "category" and not declared and (found.useless or name in CAPTIONS):
            if len(asked.conditions) > 1:
                others = len(asked.conditions) - 1
                problem = f"is a text, and cannot be combined with {others} other condition{'s' * (others != 1)}"
                remedy = f"leave out the others, or declare it --categorical {quoted(name)}"
                raise UserError("E-TRN-12", f"--condition {quoted(name)}", problem, remedy)
            return _texts(sheet, found, train)
        fitted[name] = _fit(sheet, found, train.numpy(), asked)
    return _conditions(sheet, fitted, train)


def _conditions(sheet: RawTable, fitted: dict[str, Fitted], train: Tensor) -> tuple[Conditions, Tensor]:
    """The conditions and their values; no row may lack one."""
    for name, one in fitted.items():
        if one.column is None:
            raise UserError("E-TRN-12", f"--condition {quoted(name)}", one.why, "choose another column")
        _check_full(sheet, name, one.values)
    y = torch.from_numpy(np.stack([one.values for one in fitted.values()], axis=1))
    examples = _some(train)
    columns = tuple(one.column for one in fitted.values() if one.column is not None)
    return Conditions(columns, tuple(map(tuple, y[examples].tolist()))), y


def _texts(sheet: RawTable, found: RecognizedColumn, train: Tensor) -> tuple[Text, Tensor]:
    """A column's texts, padded to the longest."""
    _check_full(sheet, found.name, found.values)
    sizes = [len(word.encode()) for word in found.levels]
    longest = max(sizes)
    if longest > MOST_BYTES:
        row = int(np.flatnonzero(found.values == sizes.index(longest))[0])
        problem = f"column {found.name!r} has {longest:,} bytes, wanted at most {MOST_BYTES:,}"
        raise UserError("E-TRN-12", sheet.names[row], problem, "shorten it", found=longest, wanted=MOST_BYTES)
    examples = tuple(found.levels[int(found.values[i])] for i in _some(train).tolist())
    end = Text(longest, examples, found.name)
    each = torch.stack([end.pack(word) for word in found.levels])
    return end, each[torch.from_numpy(found.values.astype(np.int64))]


def _check_full(sheet: RawTable, name: str, values: NDArray[np.float64]) -> None:
    """Refuse a condition with empty cells."""
    if len(rows := np.flatnonzero(np.isnan(values))):
        problem = f"column {name!r} is empty in {len(rows):,} of {len(sheet):,} rows"
        remedy = "fill these cells in, or remove the rows"
        raise UserError("E-TRN-12", sheet.names[rows[0]], problem, remedy, found=len(rows), wanted=0)


def _some(train: Tensor) -> Tensor:
    """A few training examples, evenly spaced."""
    count = min(len(train), MOST_KEPT)
    return train[torch.arange(count) * len(train) // count]


def _divide(
    sheet: RawTable, contents: list[bytes], parts: list[str | None], y: NDArray[np.int64], notes: list[str], **how: Any
) -> dict[str, Tensor]:
    """The splits. Duplicate rows stay together; unlabeled rows are all for training."""
    given, groups = parts or [None] * len(sheet), contents
    labeled, unlabeled = torch.from_numpy(np.flatnonzero(y >= 0)), torch.from_numpy(np.flatnonzero(y < 0))
    for i in unlabeled.tolist():
        if given[i] not in (None, "train"):
            problem = f"has no label and is in the {given[i]} split"
            raise UserError("E-TRN-12", sheet.names[i], problem, "label it, or move it to train")
    repeats = len(sheet) - len(set(contents))
    if repeats * 2 > len(sheet):
        # With few distinct values most rows repeat by chance, and splits of whole groups would differ in distribution.
        groups = [name.encode() for name in sheet.names]
        notes.append(f"{repeats:,} of {len(sheet):,} rows are duplicates, so duplicates may be in different splits")
    # With a single training row every column would be constant.
    rows = labeled.tolist()
    drawn = split_indices(
        [sheet.names[i] for i in rows], [groups[i] for i in rows], [given[i] for i in rows],
        where=sheet.root, noun=Table.noun, train=1 if len(unlabeled) else 2, **how,
    )  # fmt: skip
    splits = {part: labeled[indices] for part, indices in drawn.items()}
    return {**splits, "train": torch.cat([splits["train"], unlabeled]).sort().values}


def _fit(sheet: RawTable, one: RecognizedColumn, train: NDArray[np.int64], asked: Asked) -> Fitted:
    there = one.values[train]
    there = there[~np.isnan(there)]
    different = np.unique(there)
    if one.useless or len(different) < 2:
        why = "every training row has the same value" if len(different) else "no training row has a value"
        return Fitted(one, None, one.values, one.useless or why)
    if not one.levels:
        return Fitted(one, _standard(sheet, one, there), one.values)
    column = Column(one.name, one.kind, tuple(one.levels[int(place)] for place in different))
    known = np.isin(one.values, different)
    values, new = np.where(known, places_among(one.values, different), np.nan), ~known & ~np.isnan(one.values)
    return Fitted(one, column, values, note=_unseen(sheet, one, np.flatnonzero(new), asked) if new.any() else "")


def _unseen(sheet: RawTable, one: RecognizedColumn, rows: NDArray[np.int64], asked: Asked) -> str:
    """Refuse categories unseen in training, or note that they count as missing."""
    words = [repr(word) for word in dict.fromkeys(one.levels[int(place)] for place in one.values[rows])]
    if asked.unseen == "refuse":
        problem = f"column {one.name!r}: {words[0]} is in no training row"
        remedy = f"stratify the splits with a column named {SPLIT}, or leave the cell empty"
        raise UserError("E-TRN-19", sheet.names[rows[0]], problem, remedy, found=words[:20])
    shown = ", ".join(words[:3]) + (", …" if len(words) > 3 else "")
    return f"column {one.name!r}: {shown} in no training row, counted as missing in {len(rows):,} others"


def _standard(sheet: RawTable, one: RecognizedColumn, there: NDArray[np.float64]) -> Column:
    low, high = float(there.min()), float(there.max())
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(there.mean()), float(there.std())
    if not (math.isfinite(mean) and 0 < scale < math.inf):
        problem = f"column {one.name!r}: values from {low:g} to {high:g} overflow"
        raise UserError("E-CHK-22", sheet.root, problem, f"scale them, or pass --ignore {quoted(one.name)}")
    return Column(one.name, one.kind, (), mean, scale, one.decimals, one.form, low, high)


def _fact(name: str, use: str, one: Fitted | None, rows: int) -> dict[str, Any]:
    """A column's summary for the report, as JSON data."""
    if one is None:
        return {"name": name, "used": use}
    there = one.found.values[~np.isnan(one.found.values)]
    counts = {"missing": rows - len(there), "different": len(np.unique(there))}
    extra: dict[str, Any] = {"why": one.why} if one.why else {}
    if one.column is not None and one.column.levels:
        extra = {"levels": list(one.column.levels[:MOST_NAMED])}
    elif one.column is not None:
        extra = {"low": one.column.word(one.column.low), "high": one.column.word(one.column.high)}
    return {"name": name, "used": use, "kind": one.found.kind, **counts, **extra}
