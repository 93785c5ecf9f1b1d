"""Detecting the layout of image pairs. Nothing is decoded yet."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from seisei.data.detect import kind_of, only_array
from seisei.data.images.scan import first_of, survey
from seisei.data.pairs.arrays import array_pairs
from seisei.data.pairs.folders import folder_pairs
from seisei.data.pairs.source import Layout, PairSource, beside, no_pairs
from seisei.data.pairs.tables import SUFFIXES, Columns, loose_tables, parquet_pairs, table_pairs, tables_in
from seisei.data.source import Source
from seisei.data.sources.folder import Walk, folder_source, walk_through
from seisei.data.sources.hub import hub_folder
from seisei.data.sources.parquet import image_columns, parquet_source
from seisei.errors import UserError
from seisei.paths import below

# An image with at least this aspect ratio may be two side by side.
WIDE = 1.5


def open_pairs(
    given: Any,
    layout: Layout = "auto",
    *,
    source: str | None = None,
    column: str | None = None,
    columns: Columns = (None, None),
    bits: int | None = None,
    follow_outside: bool = False,
) -> PairSource:
    """Open the pairs given by a path, a name or arrays.

    With layout ``auto``, a ``metadata.csv`` that names images in two columns is tried first, then two folders, then
    another such table, then images that are all wide enough to be two side by side.

    Arguments:
        given: as for `seisei.data.pairs.read.read_pairs`.
        layout: one of the layouts, or ``auto``.
        source: the type of data, instead of detecting it.
        column: the column of a parquet file whose images hold both sides.
        columns: the columns of A and of B.
        bits: for arrays; 8 converts all to 8 bits.
        follow_outside: follow symbolic links and paths that lead outside the folder.

    Raises:
        UserError: the data do not exist, or no layout matches.

    Example:
        >>> import numpy as np
        >>> len(open_pairs((np.zeros((3, 8, 8)), np.ones((3, 8, 8)))).records)
        3
    """
    if columns != (None, None) and layout not in ("auto", "columns"):
        problem = f"is for table columns, and --pairs is {layout}"
        raise UserError("E-TRN-13", "--column-a" if columns[0] else "--column-b", problem, "leave it out")
    if not isinstance(given, (str, os.PathLike)):
        return _not_files(array_pairs(given, bits=bits), layout, columns)
    path, typed = Path(given), os.fspath(given)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        if layout not in ("auto", "columns"):
            raise no_pairs(typed, f"a table, and --pairs is {layout}")
        return table_pairs(path, typed, columns, follow_outside=follow_outside)
    form = kind_of(given, source)
    if form == "arrays":
        return _not_files(_passed(array_pairs(only_array(path), typed, bits=bits), path), layout, columns)
    if form in ("parquet", "hub"):
        return _passed(
            _in_parquet(
                hub_folder(typed) if form == "hub" else path, typed, layout, column, columns, follow_outside
            ), path,
        )  # fmt: skip
    if form == "folder":
        return _in_folder(path, typed, layout, columns, follow_outside)
    if form == "image":
        raise UserError("E-CHK-02", typed, "is one image, wanted pairs of images", "give the folder above")
    what = {"table": "a table", "text": "texts", "idx": "images in idx files"}.get(form, "digits")
    raise no_pairs(typed, what)


def layout_of(given: Any) -> str | None:
    """The layout of data that may hold image pairs; None if they do not look like pairs.

    Two folders, two table columns, or two arrays with the names of sides count as pairs, and so do images wide enough
    to be two.

    Returns:
        The layout of `PairSource`.
    """
    try:
        if isinstance(given, (str, os.PathLike)):
            if not Path(given).exists() or kind_of(given, None) not in ("folder", "parquet", "arrays"):
                return None
        elif not isinstance(given, dict):
            return None
        found = open_pairs(given)
    except UserError:
        return None  # read as single images next, which reports what is wrong
    return found.layout if found.records else None


def _not_files(pairs: PairSource, layout: Layout, columns: Columns) -> PairSource:
    if layout != "auto" or columns != (None, None):
        option = f"--pairs {layout}" if layout != "auto" else "--column-a" if columns[0] else "--column-b"
        raise UserError("E-TRN-13", option, "is for files, and these pairs are arrays", "leave it out")
    return pairs


def _in_parquet(
    path: Path, typed: str, layout: Layout, column: str | None, columns: Columns, follow_outside: bool
) -> PairSource:
    found = image_columns(path)
    if layout == "folders":
        raise no_pairs(typed, f"a table with image columns {', '.join(found) or 'none'}")
    if layout == "columns" or (layout == "auto" and column is None and len(found) != 1):
        return parquet_pairs(path, typed, columns, follow_outside=follow_outside)
    return _beside(parquet_source(path, typed, column=column, follow_outside=follow_outside), layout)


def _in_folder(path: Path, typed: str, layout: Layout, columns: Columns, follow_outside: bool) -> PairSource:
    must, found = layout == "columns" or columns != (None, None), layout == "auto"
    if layout != "side-by-side":
        walk = walk_through(path, typed, follow_outside=follow_outside)
        if not walk.files:
            raise first_of(sorted(walk.faults, key=lambda fault: fault.where))
        loose = loose_tables(path)
        if must:
            chosen = tables_in(path, typed, walk.tables + loose, columns, follow_outside=follow_outside, must=True)
            assert chosen is not None
            return _with_rest(chosen, walk)
        described = tables_in(path, typed, walk.tables, columns, follow_outside=follow_outside) if found else None
        if described is not None:
            return _with_rest(described, walk)
        sided = folder_pairs(path, typed, walk, must=not found)
        if sided is not None:
            sided.notes += walk.notes
            return sided
        named = tables_in(path, typed, loose, columns, follow_outside=follow_outside)
        if named is not None:
            return _with_rest(named, walk)
    return _beside(folder_source(path, typed, follow_outside=follow_outside), layout)


def _with_rest(pairs: PairSource, walk: Walk) -> PairSource:
    """Adds notes on files that the folder's tables do not name."""
    used = {name for side in pairs.sides for name in side.names}
    left = [name for name in walk.names if name not in used]
    if left:
        pairs.notes.append(f"{len(left):,} images are in no row and are not used, such as {left[0]}")
    pairs.notes += walk.notes
    pairs.ignored = Counter({suffix: n for suffix, n in walk.ignored.items() if suffix not in SUFFIXES})
    return pairs


def _passed(pairs: PairSource, path: Path) -> PairSource:
    """Adds notes on what was skipped in a folder."""
    if path.is_dir():
        pairs.notes += below(path).notes
    return pairs


def _beside(source: Source, layout: Layout) -> PairSource:
    if layout == "auto":
        sizes = survey(source)
        wide = sum(n for (height, width), n in sizes.items() if width % 2 == 0 and width >= WIDE * height)
        # If no header can be read, reading reports why.
        if wide < sizes.total():
            folders = sorted({record.name.rpartition("/")[0] for record in source.records})
            where = f" in {len(folders)} folders" if len(folders) > 1 else ""
            found = f"{len(source.records):,} images{where}, {wide:,} of them wide enough to be two side by side"
            raise no_pairs(source.root, found)
    return beside(source)
