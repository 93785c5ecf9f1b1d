"""Reading a data set: decode once, keep uint8, divide, and say what was found."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seisei.batch import Batch
from seisei.data import store
from seisei.data.folder import PICTURE
from seisei.data.open import open_source
from seisei.data.pack import Wishes, pack
from seisei.data.scan import MIN_SIZE, Progress
from seisei.data.source import Record, Source
from seisei.data.splits import split_indices
from seisei.errors import UserError
from seisei.modalities.image import MAX_PIXELS, Fit
from seisei.modalities.label import Label
from seisei.schema import Schema


@dataclass(frozen=True)
class Dataset:
    """Pictures, packed, and perhaps their labels.

    Arguments:
        schema: what x and y are.
        x: uint8 (N, C, H, W), in memory or mapped from a file.
        y: class numbers, int64 (N,), or None.
        names: one for each picture.
        splits: the places of the pictures of ``train``, ``validation`` and ``test``.
        fingerprint: changes when anything above does, or what was skipped.
        report: what was found and done, as plain data.
        in_memory: whether x is; else gathering examples reads from a file.
    """

    schema: Schema
    x: Tensor
    y: Tensor | None
    names: list[str]
    splits: dict[str, Tensor]
    fingerprint: str
    report: dict[str, Any]
    in_memory: bool = True

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, indices: Tensor) -> Dataset:
        """These pictures alone, all of them in the part ``test``."""
        y, names = None if self.y is None else self.y[indices], [self.names[i] for i in indices.tolist()]
        return replace(self, x=self.x[indices], y=y, names=names, splits={"test": torch.arange(len(indices))})

    def batch(self, indices: Tensor) -> Batch:
        """These pictures as a model sees them: x float32 (B, C, H, W), y int64 (B,) or None."""
        # Rows are copied whole by `index_select`; indexing would go through them value by value.
        x = self.schema.x.unpack(self.x.index_select(0, indices))
        return Batch(x, None if self.y is None else self.y[indices])


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
    frames: Literal["first"] | None = None,
    strict_mode: bool = False,
    follow_outside: bool = False,
    memory_limit: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read pictures from wherever they are.

    Arguments:
        given: see `seisei.data.open.open_source`.
        size: a side, or height and width. By default the pictures' own where all have one of at most 256; else the
            largest power of two, from 8 to 64, that is not above the median of their shorter sides.
        channels: 1 or 3; by default 1 where every picture is grey.
        fit: how pictures of another size are made to fit; by default cropped.
        labels: whether y is wanted; None takes it where every picture has a label and there are at least two kinds.
        validation: the share for validation, where the source does not say.
        test: likewise.
        seed: of the division.
        skip_bad: see `seisei.data.scan.scan`, as for the five that follow `column`.
        source: see `open_source`.
        column: see `open_source`.
        max_pixels: see `scan`.
        min_size: see `scan`.
        frames: see `scan`.
        strict_mode: see `scan`.
        follow_outside: see `open_source`.
        memory_limit: the bytes that packed pictures may take before they are kept in a file; a quarter of the memory by
            default.
        cache: the folder for such files, see `seisei.data.store.cache_folder`.
        progress: see `scan`.

    Raises:
        UserError: what is wrong with the data, or too little of it.

    Example:
        >>> digits = read_dataset("digits", labels=True)
        >>> digits.schema.x.shape, digits.schema.x.levels, digits.schema.y.classes, digits.x.dtype
        ((1, 8, 8), 17, 10, torch.uint8)
    """
    opened = open_source(given, source=source, column=column, follow_outside=follow_outside)
    if opened.kind == PICTURE:
        raise UserError("E-CHK-02", opened.root, "is one picture, wanted a folder of pictures", "give its folder")
    wishes = Wishes(size, channels, fit, skip_bad, max_pixels, min_size, frames, strict_mode)
    limit = store.memory() // 4 if memory_limit is None else memory_limit
    packed = pack(opened, wishes, limit, cache, progress)
    records = [opened.records[i] for i in packed.kept]
    names = [record.name for record in records]
    contents = [hashlib.blake2b(picture.numpy().tobytes(), digest_size=16).digest() for picture in packed.x]
    given_parts = [record.split for record in records]
    splits = split_indices(names, contents, given_parts, validation=validation, test=test, seed=seed, where=opened.root)
    if labels is None:
        found = {record.label for record in records}
        labels = opened.classes is not None and None not in found and len(found) > 1
    label, y = _labels(opened, records) if labels else (None, None)
    schema = Schema(packed.image, label)
    skipped = [fault["name"] for fault in packed.facts["skipped"]]
    fingerprint = _fingerprint(schema, names, y, skipped, splits, contents)
    report = {
        "root": opened.root,
        "kind": opened.kind,
        **packed.facts,
        "notes": list(opened.notes),
        "ignored": dict(opened.ignored.most_common()),
        "image": schema.to_json()["x"],
        **_classes(opened, records),
        "captions": sum(record.caption is not None for record in records),
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in given_parts if part is not None}),
        **_duplicates(contents, splits),
        "bytes": packed.x.numel(),
        "in_memory": packed.in_memory,
        "fingerprint": fingerprint,
    }
    return Dataset(schema, packed.x, y, names, splits, fingerprint, report, packed.in_memory)


def _labels(source: Source, records: list[Record]) -> tuple[Label, Tensor]:
    found = Counter(record.label for record in records if record.label is not None)
    if source.classes is None or found.total() < len(records):
        missing = f"{len(records) - found.total()} of {len(records)} pictures have no label"
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
    return {"classes": {name: counts[name] for name in source.classes or ()}, "unlabelled": counts[None]}


def _fingerprint(
    schema: Schema,
    names: list[str],
    y: Tensor | None,
    skipped: list[str],
    splits: dict[str, Tensor],
    contents: list[bytes],
) -> str:
    digest = hashlib.blake2b(digest_size=16)
    parts = {part: indices.tolist() for part, indices in splits.items()}
    for fact in (schema.to_json(), names, None if y is None else y.tolist(), skipped, parts):
        digest.update(json.dumps(fact, sort_keys=True).encode() + b"\n")
    digest.update(b"".join(contents))
    return digest.hexdigest()


def _duplicates(contents: list[bytes], splits: dict[str, Tensor]) -> dict[str, int]:
    """How many pictures repeat another, and how many contents lie in several parts, as with given splits they can."""
    where: dict[bytes, set[str]] = {}
    for part, indices in splits.items():
        for i in indices.tolist():
            where.setdefault(contents[i], set()).add(part)
    return {
        "duplicates": len(contents) - len(where),
        "duplicates_across_splits": sum(len(parts) > 1 for parts in where.values()),
    }
