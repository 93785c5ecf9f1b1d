"""Reading a data set: decode once, pack, split and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seisei.data import store
from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.detect import TABLE, TEXT, kind_of, open_as
from seisei.data.images.pack import PackOptions, pack
from seisei.data.images.scan import MIN_SIZE, Progress
from seisei.data.pair_source import Layout
from seisei.data.pairs import Direction, read_pairs
from seisei.data.source import ArraySource, Record, Source
from seisei.data.sources.folder import IMAGE
from seisei.data.splits import split_indices
from seisei.data.tables.column_roles import Asked, Unseen
from seisei.data.tables.fit import conditions_of, read_table
from seisei.data.tables.raw_table import sheet_of
from seisei.data.texts import read_texts
from seisei.data.unlabeled import with_images
from seisei.errors import UserError
from seisei.modalities.image_io import MAX_PIXELS
from seisei.modalities.label import Label
from seisei.modalities.pixels import Fit
from seisei.schema import Modality, Schema
from seisei.shell import quoted

__all__ = ["Dataset", "read_dataset"]


def read_dataset(
    given: Any,
    *,
    size: int | tuple[int, int] | None = None,
    channels: Literal[1, 3] | None = None,
    fit: Fit | None = None,
    labels: bool | None = False,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    skip_bad: str | int | None = None,
    source: str | None = None,
    column: str | None = None,
    max_pixels: int = MAX_PIXELS,
    min_size: int = MIN_SIZE,
    first_frame: bool = False,
    follow_outside: bool = False,
    memory_limit: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    target: str | None = None,
    ignore: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    missing: Sequence[str] | None = None,
    unlabeled: str | None = None,
    unseen: Unseen = "missing",
    conditions: Sequence[str] | None = None,
    block_size: int | None = None,
    pairs: Layout | None = None,
    direction: Direction = "a-to-b",
    column_a: str | None = None,
    column_b: str | None = None,
    label_map: bool = False,
    bits: Literal[8] | None = None,
) -> Dataset:
    """Read images, image pairs, table rows or texts from any supported source.

    Arguments:
        given: the data, as for `seisei.data.detect.open_source`.
        size: side length, or height and width. By default the images' own size if all have one of at most 256; else
            the largest power of two, from 8 to 64, not above the median of their shorter sides.
        channels: 1 or 3; by default 1 if every image is gray.
        fit: how images of another size are fitted; by default cropped.
        labels: whether to read labels as y; None reads them if every image has one and there are at least two classes.
        validation: fraction for validation, if the source has no such split.
        test: fraction for testing, likewise.
        seed: seed of the split.
        skip_bad: how many faulty images may be skipped, see `seisei.data.images.scan.scan`.
        source: the type of data, instead of detecting it.
        column: the column of a parquet file that holds the images.
        max_pixels: refuse larger images.
        min_size: refuse images with a shorter side.
        first_frame: use the first frame of animations and multi-page files.
        follow_outside: follow symbolic links and paths that lead outside the folder.
        memory_limit: maximum size of packed images in memory, in bytes; by default a quarter of the memory. Larger
            data are kept in a file.
        cache: the folder for such files, see `seisei.data.store.cache_folder`.
        progress: called with the number of images done and the total.
        target: tables: the column that is y; the other columns are x.
        ignore: tables: columns to leave out.
        categorical: tables: numeric columns to treat as categories, such as codes.
        missing: tables: words for missing values, besides `seisei.modalities.table.MISSING`.
        unlabeled: unlabeled training data: the path of another table or image folder; ``own`` uses a table's own rows
            without a target. Their y is -1.
        conditions: columns of a table or of a folder's metadata to condition on, together y, see
            `seisei.modalities.conditions`; for arrays by default all vector labels.
        block_size: bytes of running text per example, see `seisei.data.texts.read_texts`.
        unseen: tables: whether categories that occur only in held-out rows count as missing (and are reported), or are
            refused.
        pairs: layout of image pairs, see `seisei.data.pairs.read_pairs`; None if the data are not pairs.
        direction: pairs: which side is the input.
        column_a: pairs: the table column of A.
        column_b: pairs: the table column of B.
        label_map: pairs: each color of the input side is a class.
        bits: pairs: 8 converts to 8 bits; single images always have 8 bits.

    Raises:
        UserError: the data are faulty, or too few.

    Example:
        >>> digits = read_dataset("digits", labels=True)
        >>> digits.schema.x.shape, digits.schema.x.levels, digits.schema.y.classes, digits.x.dtype
        ((1, 8, 8), 17, 10, torch.uint8)
    """
    of_pairs: dict[str, Any] = {"column_a": column_a, "column_b": column_b, "label_map": label_map, "bits": bits}
    if pairs is not None:
        of_tables = {"target": target, "ignore": ignore, "categorical": categorical, "missing": missing}
        others = {**of_tables, "unlabeled": unlabeled, "conditions": conditions, "block_size": block_size}
        _refuse(others, "other data, and these are read as image pairs")
        most = None if max_pixels == MAX_PIXELS else max_pixels
        _refuse_of_files(
            given, source, column=column, follow_outside=follow_outside, first_frame=first_frame, max_pixels=most
        )
        return read_pairs(
            given, layout=pairs, direction=direction, **of_pairs, source=source, column=column, size=size,
            channels=channels, fit=fit, validation=validation, test=test, seed=seed, skip_bad=skip_bad,
            max_pixels=max_pixels, min_size=min_size, first_frame=first_frame,
            follow_outside=follow_outside, memory_limit=memory_limit, cache=cache, progress=progress,
        )  # fmt: skip
    backwards = None if direction == "a-to-b" else direction
    remedy = "pass --pairs auto with it, or leave it out"
    _refuse({**of_pairs, "direction": backwards}, "image pairs", remedy)
    form = kind_of(given, source)
    table = Asked(target, ignore or (), categorical or (), missing or (), unlabeled, unseen, conditions or ())
    image = {
        "size": size,
        "channels": channels,
        "fit": fit,
        "skip_bad": skip_bad,
        "first_frame": first_frame,
        "column": column,
    }
    if form != TEXT:
        _refuse({"block_size": block_size}, "texts, and these data are not")
    if form in (TABLE, TEXT):
        limits: dict[str, Any] = {
            "max_pixels": max_pixels != MAX_PIXELS and max_pixels,
            "min_size": min_size != MIN_SIZE and min_size,
        }
        limits |= {"follow_outside": follow_outside, "memory": memory_limit and memory_limit // 1_000_000}
        _refuse(limits, f"images, and these data are a {form}")
    if form == TABLE:
        _refuse(image, "images, and these data are a table")
        if labels and target is None:
            raise UserError("E-TRN-12", "--target", "is missing", "name the column of the labels")
        return read_table(given, table, validation=validation, test=test, seed=seed)
    if form in ("folder", "parquet", "hub") and target is not None:
        remedy = f"name it with --conditions {quoted(target)}, or put each class in its own sub-folder"
        _refuse({"target": target}, "tables, and these data are images", remedy)
    tabular = {"target": target, "ignore": ignore, **({} if conditions else {"categorical": categorical})}
    _refuse({**tabular, "missing": missing}, "tables, and these data are not")
    if form == TEXT:
        of_others = {**image, "unlabeled": unlabeled, "conditions": conditions}
        _refuse(of_others, "images or tables, and these data are texts")
        return read_texts(given, block_size=block_size, validation=validation, test=test, seed=seed)
    most = None if max_pixels == MAX_PIXELS else max_pixels
    files = {
        "max_pixels": most,
        "column": column,
        "follow_outside": follow_outside,
        "first_frame": first_frame,
        "skip_bad": skip_bad,
    }
    _refuse_of_files(given, source, **files)
    opened = open_as(form, given, column=column, follow_outside=follow_outside)
    if opened.kind == IMAGE:
        raise UserError("E-CHK-02", opened.root, "is one image, wanted a folder of images", "give its folder")
    wishes = PackOptions(size, channels, fit, skip_bad, max_pixels, min_size, first_frame)
    limit = store.memory() // 4 if memory_limit is None else memory_limit
    packed = pack(opened, wishes, limit, cache, progress)
    records = [opened.records[i] for i in packed.kept]
    names = [record.name for record in records]
    contents = [digest(image.numpy().tobytes()) for image in packed.x]
    given_parts = [record.split for record in records]
    splits = split_indices(names, contents, given_parts, validation=validation, test=test, seed=seed, where=opened.root)
    if labels is None:
        found = {record.label for record in records}
        labels = opened.classes is not None and None not in found and len(found) > 1
    end, y = _y(opened, records, labels, table, splits["train"])
    schema = Schema(packed.image, end)
    skipped = [fault["name"] for fault in packed.facts["skipped"]]
    mark = fingerprint(schema, names, y, skipped, splits, contents)
    report = {
        "root": opened.root,
        "kind": opened.kind,
        "noun": schema.x.noun,
        **packed.facts,
        "notes": list(opened.notes),
        "ignored": dict(opened.ignored.most_common()),
        "image": schema.to_json()["x"],
        **_classes(opened, records),
        "captions": sum(record.caption is not None for record in records),
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in given_parts if part is not None}),
        **duplicates(contents, splits),
        "bytes": packed.x.numel(),
        "in_memory": packed.in_memory,
        "fingerprint": mark,
    }
    whole = Dataset(schema, packed.x, y, names, splits, mark, report, packed.in_memory)
    return whole if unlabeled is None else with_images(whole, unlabeled, max_pixels=max_pixels)


def _y(
    source: Source, records: list[Record], labels: bool, asked: Asked, train: Tensor
) -> tuple[Modality | None, Tensor | None]:
    """The labels or conditions of images: modality and values."""
    vectors = not asked.conditions and source.classes is None and records[0].facts and isinstance(source, ArraySource)
    if not asked.conditions and not vectors:
        return _labels(source, records) if labels else (None, None)
    sheet = sheet_of(source.root, [record.name for record in records], [record.said for record in records])
    named = replace(asked, conditions=tuple(sheet.columns)) if vectors else asked
    if not sheet.columns:
        remedy = "add a metadata.csv with a file_name column and the condition columns"
        raise UserError("E-TRN-12", source.root, "no metadata for these images", remedy)
    return conditions_of(sheet, named, train)


# Options that apply to image files only, by the source types that have files.
OF_FILES = {
    "column": ("parquet", "hub"),
    "follow_outside": ("folder", "parquet", TABLE),
    "first_frame": ("folder", "image", "parquet", "hub", TABLE),
    "skip_bad": ("folder", "image", "parquet", "hub", TABLE),
    "max_pixels": ("folder", "image", "parquet", "hub", TABLE),
}
_CALLED = {"column": "parquet files", "follow_outside": "folders and parquet files"}


def _refuse_of_files(given: Any, source: str | None, **options: Any) -> None:
    """Refuse what is for images in files of another form than these data have."""
    form = kind_of(given, source)
    for name, value in options.items():
        if form not in OF_FILES[name]:
            what = {"folder": "a folder of files", "image": "one file", "parquet": "a parquet file"}.get(form, form)
            _refuse({name: value}, f"{_CALLED.get(name, 'image files')}, and these data are {what}")


def _refuse(options: dict[str, Any], reason: str, remedy: str = "leave it out") -> None:
    for name, value in options.items():
        if value:
            raise UserError("E-TRN-13", f"--{name.replace('_', '-')}", f"is for {reason}", remedy, found=value)


def _labels(source: Source, records: list[Record]) -> tuple[Label, Tensor]:
    found = Counter(record.label for record in records if record.label is not None)
    if source.classes is None or found.total() < len(records):
        missing = f"{len(records) - found.total()} of {len(records)} images have no label"
        remedy = "put each class in its own folder, or add a metadata.csv with the columns file_name and label"
        raise UserError("E-TRN-12", source.root, missing, remedy, found=found.total(), wanted=len(records))
    if len(found) < 2:
        problem = f"one class only: {', '.join(f'{name} ×{n}' for name, n in found.items())}"
        remedy = "add another class, or choose a recipe without labels"
        raise UserError("E-TRN-12", source.root, problem, remedy, found=dict(found))
    numbers = {name: i for i, name in enumerate(source.classes)}
    return Label(source.classes), torch.tensor(
        [numbers[record.label] for record in records if record.label is not None]
    )


def _classes(source: Source, records: list[Record]) -> dict[str, Any]:
    counts = Counter(record.label for record in records)
    return {"classes": {name: counts[name] for name in source.classes or ()}, "unlabeled": counts[None]}
