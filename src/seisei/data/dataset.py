"""Reading a data set: decode once, keep uint8, divide, and say what was found."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from seisei.batch import Batch
from seisei.data import store
from seisei.data.open import open_source
from seisei.data.scan import MIN_SIZE, Progress, scan, survey
from seisei.data.source import ArraySource, Source, identity_of
from seisei.data.splits import split_indices
from seisei.errors import UserError
from seisei.modalities.image import MAX_PIXELS, Fit, Image, with_channels
from seisei.modalities.label import Label
from seisei.schema import Schema

# Pictures of one size are taken as they are up to the first; others are brought to at most the second, unless the user says.
LARGEST_KEPT, LARGEST_CHOSEN = 256, 64
_CACHE_FORMAT = 1


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
    """

    schema: Schema
    x: Tensor
    y: Tensor | None
    names: list[str]
    splits: dict[str, Tensor]
    fingerprint: str
    report: dict[str, Any]

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> Batch:
        """These pictures as a model sees them: x float32 (B, C, H, W), y int64 (B,) or None."""
        return Batch(self.schema.x.unpack(self.x[indices]), None if self.y is None else self.y[indices])


def read_dataset(
    given: Any,
    *,
    size: int | tuple[int, int] | None = None,
    channels: Literal[1, 3] | None = None,
    fit: Fit | None = None,
    labels: bool = False,
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
        size: a side, or height and width. By default the pictures' own where all have one of at most 256; else the largest power of
            two, from 8 to 64, that is not above the median of their shorter sides.
        channels: 1 or 3; by default 1 where every picture is grey.
        fit: how pictures of another size are made to fit; by default cropped.
        labels: whether y is wanted.
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
        memory_limit: the bytes that packed pictures may take before they are kept in a file; a quarter of the memory by default.
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
    wanted = {"size": size, "channels": channels, "fit": fit, "skip_bad": skip_bad, "max_pixels": max_pixels,
              "min_size": min_size, "frames": frames, "strict_mode": strict_mode}  # fmt: skip
    limit = store.memory() // 4 if memory_limit is None else memory_limit
    folder = _cache_of(opened, wanted, cache)
    kept = store.load(folder) if folder is not None else None
    if kept is not None:
        x, facts = kept
        image = Image(**{**facts["image"], "background": tuple(facts["image"]["background"])})
        places, found = facts["kept"], facts["scan"]
        rule = facts["rule"]
    else:
        image, rule = _choose(opened, size, channels, fit)
        packed = _pack(opened, image, wanted, limit, folder, rule, channels is None, progress)
        x, image, places, found = packed
    return _assemble(opened, image, x, places, {**found, "size_rule": rule}, labels, validation, test, seed)


def _choose(
    source: Source, size: int | tuple[int, int] | None, channels: int | None, fit: Fit | None
) -> tuple[Image, str]:
    """The shape that pictures shall have, and why; colour is assumed until every picture was seen to be grey."""
    sizes = survey(source)
    if not sizes:
        sizes = Counter({(1, 1): 1})  # nothing can be read: the scan says why
    only = next(iter(sizes)) if len(sizes) == 1 else None
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 1:
            raise UserError(
                "E-TRN-07", "--size", f"{size} is out of range, wanted >= 1", "choose a larger size", found=size
            )
        rule = "as asked"
    elif only is not None and max(only) <= LARGEST_KEPT:
        (height, width), rule = only, "the size of every picture"
    else:
        shorter = sorted(min(s) for s in sizes.elements())
        median = shorter[len(shorter) // 2]
        height = width = max([side for side in (8, 16, 32, LARGEST_CHOSEN) if side <= median] or [8])
        rule = (
            f"the largest of 8, 16, 32, 64 not above {median}, the median of the shorter sides; pass --size for another"
        )
    fit = fit or (None if only == (height, width) else "crop")
    levels, depth = 256, channels or 3
    if isinstance(source, ArraySource):
        levels, depth = source.levels, channels or source.array.shape[3]
    return Image(height, width, depth, levels, fit=fit), rule


def _pack(
    source: Source,
    image: Image,
    wanted: dict[str, Any],
    limit: int,
    folder: Path | None,
    rule: str,
    any_channels: bool,
    progress: Progress | None,
) -> tuple[Tensor, Image, list[int], dict[str, Any]]:
    """Decode everything once into the shape; the pictures, their final shape, the places of those kept, and the facts."""
    options = {name: wanted[name] for name in ("skip_bad", "max_pixels", "min_size", "frames", "strict_mode")}
    if isinstance(source, ArraySource) and (image.height, image.width) == source.array.shape[1:3]:
        found = scan(source, **options)
        x = _array_as_it_is(source, image)
        if any_channels and image.channels == 3 and _is_grey(x):
            x, image = x[:, :1].contiguous(), _with(image, channels=1)
        return x, image, found.kept, found.to_json()
    count = len(source.records)
    in_file = folder if count * image.values > limit else None
    room = store.Store(count, image.shape, in_file.parent if in_file else None)
    grey = True

    def keep(place: int, picture: Tensor) -> None:
        nonlocal grey
        grey = grey and _is_grey(picture[None])
        room.put(place, picture)

    try:
        found = scan(
            source, **options, make=image.pack_picture, sink=keep, progress=progress, background=image.background,
            at_least=(image.height, image.width) if image.fit else None,
        )  # fmt: skip
        if len(found.sizes) == 1 and (image.height, image.width) in found.sizes:
            image = _with(image, fit=None)
        facts = {"image": asdict(image), "kept": found.kept, "scan": found.to_json(), "rule": rule}
        if any_channels and image.channels == 3 and grey:
            image = _with(image, channels=1)
            facts["image"] = asdict(image)
        x = room.finish(in_file, facts)
    except BaseException:
        room.drop()
        raise
    # A view where it is mapped: every channel is the same, and a copy would not fit in memory.
    x = x[:, : image.channels]
    return x if in_file else x.contiguous(), image, found.kept, found.to_json()


def _with(image: Image, **changes: Any) -> Image:
    return Image(**{**asdict(image), **changes})


def _is_grey(x: Tensor) -> bool:
    return x.shape[1] == 3 and bool((x[:, 0] == x[:, 1]).all()) and bool((x[:, 0] == x[:, 2]).all())


def _array_as_it_is(source: ArraySource, image: Image) -> Tensor:
    """The array as a tensor (N, C, H, W): a view where it is mapped from a file."""
    array = source.array
    if array.shape[3] != image.channels:
        array = np.stack([with_channels(picture, image.channels, source.root) for picture in array])
    array = array.transpose(0, 3, 1, 2)
    mapped = isinstance(array, np.memmap) and array.flags.writeable
    return torch.from_numpy(array if mapped else np.array(array, order="C"))


def _cache_of(source: Source, wanted: dict[str, Any], cache: Path | None) -> Path | None:
    """The folder in which the packed pictures of this source in this shape are looked for."""
    if source.identity is None or isinstance(source, ArraySource):
        return None
    key = identity_of(_CACHE_FORMAT, source.identity, sorted((k, str(v)) for k, v in wanted.items()))
    return Path(cache or store.cache_folder()) / key


def _assemble(
    source: Source, image: Image, x: Tensor, places: list[int], found: dict[str, Any],
    labels: bool, validation: float, test: float, seed: int,
) -> Dataset:  # fmt: skip
    records = [source.records[i] for i in places]
    names = [record.name for record in records]
    contents = [hashlib.blake2b(picture.numpy().tobytes(), digest_size=16).digest() for picture in x]
    given = [record.split for record in records]
    splits = split_indices(names, contents, given, validation=validation, test=test, seed=seed, where=source.root)
    counts = Counter(record.label for record in records if record.label is not None)
    label = Label(source.classes) if source.classes else None
    if labels:
        _check_labels(source, counts, len(records))
    y = None
    if labels and label is not None:
        numbers = {name: i for i, name in enumerate(label.names)}
        y = torch.tensor([numbers[record.label] for record in records if record.label is not None])
    schema = Schema(image, label if labels else None)
    skipped = sorted(fault["name"] for fault in found["skipped"])
    digest = hashlib.blake2b(digest_size=16)
    for part in (
        schema.to_json(),
        names,
        None if y is None else y.tolist(),
        skipped,
        {k: v.tolist() for k, v in splits.items()},
    ):
        digest.update(json.dumps(part, ensure_ascii=True, sort_keys=True).encode() + b"\n")
    digest.update(b"".join(contents))
    fingerprint = digest.hexdigest()
    report = {
        "root": source.root,
        "kind": source.kind,
        **found,
        "notes": list(source.notes),
        "ignored": dict(source.ignored.most_common()),
        "image": schema.to_json()["x"],
        "classes": {name: counts[name] for name in source.classes or ()},
        "unlabelled": len(records) - counts.total(),
        "captions": sum(record.caption is not None for record in records),
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in given if part is not None}),
        **_duplicates(contents, splits),
        "bytes": x.numel(),
        "fingerprint": fingerprint,
    }
    return Dataset(schema, x, y, names, splits, fingerprint, report)


def _check_labels(source: Source, counts: Counter[str], total: int) -> None:
    if counts.total() < total:
        problem = (
            f"{total - counts.total()} of {total} pictures have no label" if counts else "its pictures have no labels"
        )
        remedy = "put each class in its own folder, or add a metadata.csv with the columns file_name and label"
        raise UserError("E-TRN-12", source.root, problem, remedy, found=counts.total(), wanted=total)
    if len(counts) < 2:
        problem = f"one class only: {', '.join(f'{name} ×{n}' for name, n in counts.items())}"
        raise UserError(
            "E-TRN-12", source.root, problem, "add another class, or choose a recipe without labels", found=dict(counts)
        )


def _duplicates(contents: list[bytes], splits: dict[str, Tensor]) -> dict[str, int]:
    """How many pictures repeat another, and how many contents are in several parts (only splits that were given can do that)."""
    where: dict[bytes, set[str]] = {}
    for part, indices in splits.items():
        for i in indices.tolist():
            where.setdefault(contents[i], set()).add(part)
    return {
        "duplicates": len(contents) - len(where),
        "duplicates_across_splits": sum(len(parts) > 1 for parts in where.values()),
    }
