"""Detecting the type of data, and opening a source of images."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seisei.data.source import Source
from seisei.data.sources.arrays import arrays_source
from seisei.data.sources.digits import digits_source
from seisei.data.sources.folder import READ, folder_source, image_source
from seisei.data.sources.hub import hub_source
from seisei.data.sources.idx import idx_source, is_idx
from seisei.data.sources.parquet import holds_images, image_lists, parquet_source
from seisei.data.tables.delimited import is_delimited
from seisei.data.tables.raw_table import is_table
from seisei.data.texts.read import is_text
from seisei.errors import UserError, did_you_mean, half_character
from seisei.paths import below, check_no_run, check_regular, exists

SOURCES = ("arrays", "digits", "folder", "hub", "idx", "parquet", "table", "text")
TABLE, TEXT = "table", "text"
_SOUND = set(".wav .flac .mp3 .ogg .opus .m4a".split())
_TEXT = set(".txt .md".split())
_TABLES = set(".csv .tsv .jsonl .json .xlsx".split())
_PACKED = set(".zip .tar .tgz .gz .bz2 .xz .7z .rar".split())


def open_source(
    given: Any,
    *,
    source: str | None = None,
    column: str | None = None,
    follow_outside: bool = False,
) -> Source:
    """Open the source of images given by a path (even of one image), a name or arrays. Nothing is decoded yet.

    Arguments:
        given: a path; ``digits``; ``hub:owner/name``; or arrays, see `seisei.data.sources.arrays.arrays_source`.
        source: one of `SOURCES`, instead of detecting it.
        column: the column of a parquet file that holds the images.
        follow_outside: follow symbolic links that lead outside the folder.

    Raises:
        UserError: the data do not exist, or hold no images.

    Example:
        >>> len(open_source("digits").records)
        1797
    """
    return open_as(kind_of(given, source), given, column=column, follow_outside=follow_outside)


def kind_of(given: Any, source: str | None = None) -> str:
    """The type of data: one of `SOURCES`, or ``image`` for a single image.

    Arguments:
        given: as for `open_source`; or a table, see `seisei.data.tables.raw_table.read_sheet`.
        source: the type, if the user specified it.

    Raises:
        UserError: the data do not exist, or are of no supported type.
    """
    if source is not None and source not in SOURCES:
        raise UserError(
            "E-TRN-07", "--source", f"{source!r} is not a choice", did_you_mean(source, SOURCES), wanted=SOURCES
        )
    if not isinstance(given, (str, os.PathLike)):
        if source == TEXT or (source is None and _is_texts(given)):
            return TEXT
        return TABLE if source == TABLE or (source is None and is_table(given)) else "arrays"
    typed = os.fspath(given)
    if source == "hub" or typed.startswith("hub:"):
        return "hub"
    path = Path(typed)
    if source == "digits" or (source is None and typed == "digits" and not os.path.lexists(path)):
        return "digits"
    if not exists(path):
        raise _absent(path, typed)
    if half_character(typed):
        raise UserError("E-CHK-16", typed, "its name is not UTF-8", "rename it")
    check_regular(path, typed)
    try:
        return source or (_kind_of_folder(path, typed) if path.is_dir() else _kind_of_file(path, typed))
    except PermissionError:
        mode = path.stat().st_mode & 0o777
        raise UserError("E-CHK-05", typed, f"permission denied (mode {mode:03o})", "chmod u+rx") from None


def open_as(kind: str, given: Any, *, column: str | None = None, follow_outside: bool = False) -> Source:
    """Open a source of images of a type returned by `kind_of`; see `open_source`."""
    if kind in (TABLE, TEXT):
        where = os.fspath(given) if isinstance(given, (str, os.PathLike)) else kind
        raise UserError("E-TRN-13", where, f"is a {kind}, wanted images", "give a folder of images", found=kind)
    if not isinstance(given, (str, os.PathLike)):
        return arrays_source(given)
    path, typed = Path(given), os.fspath(given)
    openers: dict[str, Callable[[], Source]] = {
        "arrays": lambda: arrays_source(only_array(path), typed),
        "digits": digits_source,
        "folder": lambda: folder_source(path, typed, follow_outside=follow_outside),
        "hub": lambda: hub_source(typed, column=column),
        "idx": lambda: idx_source(path, typed),
        "image": lambda: image_source(path, typed),
        "parquet": lambda: parquet_source(path, typed, column=column, follow_outside=follow_outside),
    }
    opened = openers[kind]()
    if kind in ("arrays", "idx", "parquet") and path.is_dir():
        opened.notes.extend(below(path).notes)
    return opened


def _absent(path: Path, typed: str) -> UserError:
    here = Path.cwd().name or "/"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, beside) if beside else ""
    remedy = f"check the path, {near.partition('?')[0]}?" if near.startswith("did you mean") else "check the path"
    if os.path.islink(path):
        return UserError("E-CHK-14", typed, "is a broken or circular symbolic link", "remove the link or name a folder")
    what = "file" if path.suffix else "folder"
    return UserError("E-CHK-01", typed, f"no such {what} (current folder: {here})", remedy)


def _kind_of_file(path: Path, typed: str) -> str:
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy"):
        return "arrays"
    if suffix == ".parquet":
        if holds_images(path):
            return "parquet"
        if lists := image_lists(path):
            problem = f"column {lists[0]!r} holds lists of images, wanted one image in each row"
            raise UserError("E-CHK-04", typed, problem, "write a row for each image", found=lists)
        return TABLE
    if is_delimited(path):
        return TABLE
    if is_idx(path):
        return "idx"
    if suffix in _TABLES:
        problem = f"holds a table in the format {suffix}"
        raise UserError("E-TRN-13", typed, problem, "save it as .csv or .parquet", found=suffix)
    if is_text(path):
        return TEXT
    if suffix in _SOUND | _TEXT:
        raise _other(typed, "audio" if suffix in _SOUND else f"text in the format {suffix}")
    if suffix in _PACKED:
        raise UserError("E-CHK-02", typed, "is an archive", "unpack it and give the folder")
    if suffix in READ:
        return "image"
    raise UserError("E-CHK-02", typed, "is a file", "give a folder, or a .csv, .npz, .npy, .parquet or idx file")


def _kind_of_folder(path: Path, typed: str) -> str:
    check_no_run(path, typed)
    files = below(path, strict=False).files
    names = [file.name for file in files]
    suffixes = Counter(os.path.splitext(name)[1].lower() for name in names)
    if any(suffix in READ for suffix in suffixes):
        return "folder"
    if any(map(is_idx, files)):
        return "idx"
    if suffixes[".parquet"]:
        return "parquet"
    arrays = suffixes[".npz"] + suffixes[".npy"]
    if arrays == 1:
        return "arrays"
    if arrays:
        raise UserError("E-CHK-04", typed, f"holds {arrays} array files", "name one of them", found=arrays)
    tables = sum(suffixes[suffix] for suffix in _TABLES)
    if tables * 2 > sum(suffixes.values()):
        raise UserError("E-CHK-04", typed, f"holds {tables} tables", "name one of them", found=tables)
    if sum(is_text(Path(name)) for name in names) * 2 > len(names):
        return TEXT
    for kind, known in (("audio", _SOUND), ("texts", _TEXT)):
        if suffixes and sum(suffixes[s] for s in known) * 2 > sum(suffixes.values()):
            raise _other(typed, kind)
    return "folder"


def only_array(path: Path) -> Path:
    """The array file that a path names, or the only one below it."""
    if path.is_file():
        return path
    files = [file for file in below(path).files if file.suffix.lower() in (".npz", ".npy")]
    if len(files) != 1:
        problem = f"holds {len(files)} array files" if files else "holds no array file"
        raise UserError("E-CHK-04", path, problem, "name one of them" if files else "give a .npz or .npy file")
    return files[0]


def _other(typed: str, kind: str) -> UserError:
    problem = f"holds {kind}; this build trains on images, tables and lines of text"
    remedy = "give a folder of images, a .csv table or a .txt file"
    return UserError("E-TRN-13", typed, problem, remedy, found=kind)


def _is_texts(given: Any) -> bool:
    """Whether this is a list of texts in memory."""
    return isinstance(given, (list, tuple)) and bool(given) and all(isinstance(each, str) for each in given)
