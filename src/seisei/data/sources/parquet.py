"""Parquet files: with an image column, as on the Hugging Face Hub, or as plain tables."""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seisei.data.source import CAPTIONS, SPLITS, Record, identity_of, natural, split_of
from seisei.data.sources.arrays import half_of_memory
from seisei.errors import UserError, did_you_mean
from seisei.modalities.table import word_of
from seisei.paths import below, check_regular, exists

LABELS = ("label", "labels", "class", "class_name", "category", "fine_label")


@dataclass
class ParquetSource:
    """Images in cells of parquet files; a `Source`."""

    root: str
    files: list[Path]
    column: str
    records: list[Record]
    places: list[tuple[int, int, int]]
    classes: tuple[str, ...] | None
    identity: str | None
    notes: list[str]
    kind: str = "parquet"
    faults: list[UserError] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    follow_outside: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _groups: OrderedDict[tuple[int, int], Any] = field(default_factory=OrderedDict, repr=False)

    def read(self, index: int) -> bytes | Path:
        """The bytes of the image file, or its path relative to the parquet file if the row has no bytes."""
        file, group, row = self.places[index]
        with self._lock:  # images are read roughly in order, so caching a few row groups suffices
            if (file, group) not in self._groups:
                self._groups[file, group] = self._load(file, group)
                if len(self._groups) > 2:
                    self._groups.popitem(last=False)
            cell = self._groups[file, group][row].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not content and isinstance(cell, dict) and isinstance(cell.get("path"), str) and cell["path"]:
            return self._beside(index, self.files[file].parent, cell["path"])
        if not content:
            raise UserError(
                "E-CHK-07", self.records[index].name, f"has no bytes in {self.column!r}", "remove the row", found=0
            )
        return bytes(content)

    def _beside(self, index: int, folder: Path, written: str) -> Path:
        """The path of an image stored as a separate file."""
        name = self.records[index].name
        path = next((p for p in (folder / written, folder / written.replace("\\", "/")) if exists(p)), None)
        if path is None:
            remedy = "add the file, or write the bytes of each image into the table"
            raise UserError("E-CHK-05", name, f"names {written}, which does not exist, and has no bytes", remedy)
        if not self.follow_outside and not path.resolve().is_relative_to(folder.resolve()):
            problem = f"names {written}, which is outside the folder of the table"
            raise UserError("E-CHK-15", name, problem, "pass --follow-outside")
        return path

    def _load(self, file: int, group: int) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.files[file]) as opened:
                return opened.read_row_group(group, columns=[self.column]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.files[file], error) from None


def parquet_source(
    path: Path, typed: str | None = None, *, column: str | None = None, follow_outside: bool = False
) -> ParquetSource:
    """The images of one file, or of a folder of files, whose names or folder names may contain the split.

    Arguments:
        path: a file or a folder.
        typed: the name that the user gave.
        column: the column that holds the images, if several do.
        follow_outside: read images whose paths lead outside the table's folder.

    Raises:
        UserError: no image column, several, or a damaged file.
    """
    typed = typed or str(path)
    files = parquet_files(path)
    records, places, notes, stamps = list[Record](), list[tuple[int, int, int]](), list[str](), []
    classes: tuple[str, ...] | None = None
    found: str | None = None
    inside = True
    for number, file in enumerate(files):
        name = file.name if file == path else file.relative_to(path).as_posix()
        split = None if len(files) == 1 else split_of(name)
        found, names, columns, groups, holds_bytes = _read_columns(file, typed, column or found)
        if columns.get("label") is not None:
            ordered = tuple(sorted(set(columns["label"]) - {None}, key=natural)) if names is None else names
            classes = tuple(dict.fromkeys((*(classes or ()), *ordered)))
        absent = [None] * sum(groups)
        cells = zip(*(columns.get(role, absent) for role in ("label", "split", "caption", "facts")), strict=True)
        for i, (label, part, caption, facts) in enumerate(cells):
            where = split or SPLITS.get(str(part).lower())
            records.append(Record(f"{name}:{i}", label, where, caption, facts or ()))
        places += [(number, group, row) for group, rows in enumerate(groups) for row in range(rows)]
        stamps.append((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns))
        inside &= holds_bytes
    if not records:
        raise UserError("E-CHK-03", typed, "0 rows", "put at least one image in it", found=0)
    notes.append(f"images in column {found!r}")
    assert found is not None
    # Changes to separate image files are not detected.
    stamp = identity_of(stamps, found) if inside else None
    return ParquetSource(
        typed, files, found, records, places, classes, stamp, notes, follow_outside=follow_outside
    )  # fmt: skip


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or all parquet files below a folder in natural order.

    Raises:
        UserError: a named pipe or a device.
    """
    check_regular(path)
    if path.is_file():
        return [path]
    found = [file for file in below(path).files if file.suffix.lower() == ".parquet"]
    for file in found:
        check_regular(file, file.relative_to(path))
    return sorted(found, key=lambda file: natural(str(file.relative_to(path))))


def _is_plain(kind: Any) -> bool:
    """Whether a column holds strings, numbers or booleans."""
    import pyarrow.types as t

    return bool(t.is_string(kind) or t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind))


def holds_images(path: Path) -> bool:
    """Whether a parquet file may have an image column; True if it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path)
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return True
    return bool(_image_columns(schema, _features(schema.metadata)))


def image_columns(path: Path) -> list[str]:
    """The columns that may hold images, in a parquet file or the first one in a folder.

    Raises:
        UserError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = parquet_files(path)[0]
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from None
    return _image_columns(schema, _features(schema.metadata))


def read_parquet(path: Path, typed: str) -> Any:
    """The table in a parquet file, as a pyarrow table.

    Raises:
        UserError: it is damaged, or declares more than fits in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path, typed)
    try:
        with pq.ParquetFile(path) as opened:
            rows, columns = opened.metadata.num_rows, opened.metadata.num_columns
            if rows * columns * 8 > half_of_memory():
                problem = f"declares {rows:,} rows of {columns:,} columns in {path.stat().st_size / 1e6:.1f} MB"
                raise UserError("E-CHK-09", typed, problem, "give it in parts, or get the file again", found=rows)
            return opened.read()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _read_columns(
    file: Path, typed: str, column: str | None
) -> tuple[str, tuple[str, ...] | None, dict[str, list[Any]], list[int], bool]:
    """The image column, class names, other columns by role, rows in each row group, and whether the file declares that
    it holds every image's bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            schema, meta = opened.schema_arrow, opened.metadata
            features = _features(schema.metadata)
            chosen = _image_column(schema, features, typed, column)
            known = set(schema.names)
            roles = {
                "label": next((n for n in LABELS if n in known), None),
                "caption": next((n for n in CAPTIONS if n in known), None),
                "split": "split" if "split" in known else None,
                "class_name": "class_name" if "class_name" in known else None,
            }
            plain = [
                f.name for f in schema
                if f.name not in (chosen, roles["label"], roles["split"], roles["class_name"]) and _is_plain(f.type)
            ]  # fmt: skip
            wanted = sorted({*plain, *(n for n in roles.values() if n is not None)})
            table = opened.read(columns=wanted) if wanted else None
            groups = [meta.row_group(g).num_rows for g in range(meta.num_row_groups)]
            whole = _holds_bytes(meta, chosen)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from None
    columns = {role: _listed(table, n, file) for role, n in roles.items() if n is not None and table is not None}
    if plain and table is not None:
        each = [[(n, word_of(value, file.name)) for value in _listed(table, n, file)] for n in plain]
        columns["facts"] = list(zip(*each, strict=True))
    names = _class_names(columns, features.get(roles["label"] or "", {}))
    if "label" in columns:
        columns["label"] = [_label(v, names) for v in columns["label"]]
    return chosen, names, columns, groups, whole


def _holds_bytes(meta: Any, column: str) -> bool:
    """Whether every row has bytes, by the null counts of each row group."""
    for group in range(meta.num_row_groups):
        for place in range(meta.num_columns):
            part = meta.row_group(group).column(place)
            if part.path_in_schema == f"{column}.bytes":
                stated = part.statistics
                if stated is None or not stated.has_null_count or stated.null_count:
                    return False
    return True


def image_lists(path: Path) -> list[str]:
    """The columns of a parquet file that hold lists of images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return []
    lists = [field for field in schema if pa.types.is_list(field.type) or pa.types.is_large_list(field.type)]
    inner = pa.schema([pa.field(field.name, field.type.value_type) for field in lists])
    return _image_columns(inner, {})


def _listed(table: Any, column: str, file: Path) -> list[Any]:
    try:
        values: list[Any] = table.column(column).to_pylist()
    except UnicodeDecodeError as error:
        problem = f"{column!r} is not valid UTF-8 (0x{error.object[error.start]:02x})"
        raise UserError("E-CHK-21", file.name, problem, "save it as text in UTF-8") from None
    return values


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    try:
        found = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return found if isinstance(found, dict) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _image_columns(schema: Any, features: dict[str, Any]) -> list[str]:
    import pyarrow as pa

    found = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        holds_bytes = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        feature = features.get(name)
        declared = feature.get("_type") if isinstance(feature, dict) else None
        if declared == "Image" or (
            declared is None and (holds_bytes or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
        ):
            found.append(str(name))
    return found


def _image_column(schema: Any, features: dict[str, Any], typed: str, column: str | None) -> str:
    found = _image_columns(schema, features)
    if column is not None:
        if column not in found:
            raise UserError(
                "E-CHK-04", typed, f"has no image column {column!r}", did_you_mean(column, found or schema.names)
            )
        return column
    if not found:
        columns = ", ".join(schema.names)
        raise UserError("E-CHK-04", typed, f"no column holds images (there are {columns})", "give a table with images")
    if len(found) > 1:
        listed = ", ".join(found)
        raise UserError(
            "E-CHK-04", typed, f"several columns hold images: {listed}", f"pass --column {found[0]}", found=found
        )
    return found[0]


def _class_names(columns: dict[str, list[Any]], feature: Any) -> tuple[str, ...] | None:
    """The names of numbered classes: from the table's metadata, else from a ``class_name`` column."""
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, list) and all(isinstance(n, str) for n in names):
        return tuple(names)
    numbers, words = columns.get("label"), columns.get("class_name")
    if numbers is None or words is None or not all(isinstance(n, int) for n in numbers):
        return None
    pairs = dict(zip(numbers, words, strict=True))
    consistent = (
        len(set(pairs.values())) == len(pairs) and set(pairs) == set(range(len(pairs))) and None not in pairs.values()
    )
    return tuple(str(pairs[n]) for n in range(len(pairs))) if consistent else None


def _label(value: Any, names: tuple[str, ...] | None) -> str | None:
    if value is None or value == -1 or value == "":  # the Hub writes -1 for "not labeled"
        return None
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else str(value)
    return str(value)


def _damaged(file: Path, error: Exception) -> UserError:
    if isinstance(error, PermissionError):
        return UserError(
            "E-CHK-05", file.name, f"permission denied (mode {file.stat().st_mode & 0o777:03o})", "chmod u+r"
        )
    reason = str(error).splitlines()[0][:120]
    return UserError("E-CHK-06", file.name, f"is damaged ({reason})", "get the file again")
