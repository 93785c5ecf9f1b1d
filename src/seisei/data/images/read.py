"""Images as a data set: decoded once, packed, split and reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.detect import TABLE, kind_of, open_as
from seisei.data.images.pack import PackOptions, pack
from seisei.data.images.unlabeled import with_images
from seisei.data.options import DataOptions
from seisei.data.reading import Reading, refuse
from seisei.data.source import ArraySource, Record, Source
from seisei.data.sources.folder import IMAGE
from seisei.data.splits import split_indices
from seisei.data.tables.column_roles import Asked, asked_of
from seisei.data.tables.fit import conditions_of
from seisei.data.tables.raw_table import sheet_of
from seisei.errors import UserError
from seisei.modalities.label import Label
from seisei.schema import Modality, Schema


def read_images(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    """A data set of images, with labels or conditions where there are any.

    Arguments:
        given: the data, as for `seisei.data.detect.open_source`.
        options: how they are read.
        reading: see `Reading`.

    Raises:
        UserError: the data are faulty, or too few.
    """
    form = kind_of(given, options.source)
    refuse_without_files(given, options)
    opened = open_as(form, given, column=options.column, follow_outside=options.follow_outside)
    if opened.kind == IMAGE:
        raise UserError("E-CHK-02", opened.root, "is one image, wanted a folder of images", "give its folder")
    packed = pack(opened, PackOptions.of(options), reading.limit(options), reading.cache, reading.progress)
    records = [opened.records[i] for i in packed.kept]
    names = [record.name for record in records]
    contents = [digest(image.numpy().tobytes()) for image in packed.x]
    given_parts = [record.split for record in records]
    splits = split_indices(
        names,
        contents,
        given_parts,
        validation=options.validation,
        test=options.test,
        seed=reading.seed,
        where=opened.root,
    )
    labels = reading.labels
    if labels is None:
        found = {record.label for record in records}
        labels = opened.classes is not None and None not in found and len(found) > 1
    end, y = _y(opened, records, labels, asked_of(options, reading), splits["train"])
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
    return whole if options.unlabeled is None else with_images(whole, options.unlabeled, max_pixels=options.max_pixels)


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


def refuse_without_files(given: Any, options: DataOptions) -> None:
    """Refuse what is for images in files of another form than these data have."""
    form = kind_of(given, options.source)
    for name, forms in OF_FILES.items():
        if name in options.changed and form not in forms:
            what = {"folder": "a folder of files", "image": "one file", "parquet": "a parquet file"}.get(form, form)
            raise refuse(name, options, f"{_CALLED.get(name, 'image files')}, and these data are {what}")


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
