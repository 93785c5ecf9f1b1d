"""Pairs of images: two images of one thing, of which one is given and the other is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seisei.data import store
from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.images.buffers import End
from seisei.data.images.pack import PackOptions
from seisei.data.images.scan import MIN_SIZE, Progress
from seisei.data.pair_open import open_pairs
from seisei.data.pair_read import PairWishes
from seisei.data.pair_scan import pack_pairs
from seisei.data.pair_source import SIDES, Layout
from seisei.data.splits import split_indices
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io.open import MAX_PIXELS
from seisei.modalities.pixels import Fit
from seisei.schema import Schema
from seisei.spec import checked

Direction = Literal["a-to-b", "b-to-a"]
_CHUNK = 256


def read_pairs(
    given: Any,
    *,
    layout: Layout = "auto",
    direction: Direction = "a-to-b",
    column_a: str | None = None,
    column_b: str | None = None,
    label_map: bool = False,
    bits: Literal[8] | None = None,
    source: str | None = None,
    column: str | None = None,
    size: int | tuple[int, int] | None = None,
    channels: Literal[1, 3] | None = None,
    fit: Fit | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    skip_bad: str | int | None = None,
    max_pixels: int = MAX_PIXELS,
    min_size: int = MIN_SIZE,
    first_frame: bool = False,
    follow_outside: bool = False,
    memory_limit: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read pairs (A, B) of images, from wherever they are, as deep as they are.

    The data set's y is the side that is given, its x the side that is made. Both sides of a pair have one size in their
    files, or where a size is asked for the same proportions; they may differ in channels and in depth, and within a
    side all images are of one depth.

    Arguments:
        given: a folder with two folders a and b (input and target, source and target, ``trainA`` and ``trainB`` …) of
            files of the same names; a folder of images that hold A on the left and B on the right; a folder with, or
            the path of, a table that names images in two columns; a parquet file or a folder of such, or
            ``hub:owner/name``, with two columns of images; a ``.npz`` file, or in memory ``{"a": …, "b": …}``, also
            in parts as ``a_train``, or a tuple (A, B) of arrays.
        layout: how they are laid out, ``found`` for whatever fits.
        direction: which side is given.
        column_a: the column of a table that is A, where more than two hold images; naming one of two swaps them.
        column_b: likewise B.
        label_map: each color of the side that is given stands for a class, see
            `seisei.modalities.label_map.LabelMap`.
        bits: 8 brings 16 bits, and floating point from 0 to 1, to 8 bits.
        source: see `seisei.data.read.read_dataset`, as for all that follow.
        column: of a parquet file whose images each hold both sides.
        size: by default the pairs' own where all have one of at most 512; else the largest power of two, from 8 to 256,
            that is not above the median of their shorter sides.
        channels: of both sides; by default as they are, and gray where every image of a side is.
        fit: how pairs of another size are made to fit, both sides in the same way.
        validation: see `read_dataset`. Pairs with the same given image are in one part.
        test: see `read_dataset`.
        seed: see `read_dataset`.
        skip_bad: how many faulty pairs are left out: one with a faulty side, and an image without a partner.
        max_pixels: see `read_dataset`.
        min_size: see `read_dataset`.
        first_frame: see `read_dataset`.
        follow_outside: see `read_dataset`.
        memory_limit: see `read_dataset`; for both sides together.
        cache: see `read_dataset`.
        progress: see `read_dataset`.

    Raises:
        UserError: what is wrong with the data, or that they are not pairs.

    Example:
        >>> import numpy as np
        >>> gray = np.arange(20 * 64, dtype=np.uint16).reshape(20, 8, 8)
        >>> pairs = read_pairs((gray, np.stack([gray % 256] * 3, -1).astype(np.uint8)))
        >>> pairs.schema.y.shape, pairs.schema.y.levels, pairs.schema.x.levels, pairs.report["kind"]
        ((1, 8, 8), 65536, 256, 'pairs (arrays)')
    """
    layout, direction = checked("--pairs", layout, Layout), checked("--direction", direction, Direction)
    opened = open_pairs(
        given, layout, source=source, column=column, columns=(column_a, column_b), bits=bits,
        follow_outside=follow_outside,
    )  # fmt: skip
    told = 0 if direction == "a-to-b" else 1
    plain = PackOptions(size, channels, fit, skip_bad, max_pixels, min_size, first_frame)
    wishes = PairWishes(plain, bits, told if label_map else None)
    limit = store.memory() // 4 if memory_limit is None else memory_limit
    packed = pack_pairs(opened, wishes, limit, cache, progress)
    records = [opened.records[i] for i in packed.kept]
    names, given_parts = [record.name for record in records], [record.split for record in records]
    contents = [[digest(image.numpy().tobytes()) for image in side] for side in packed.sides]
    splits = split_indices(
        names, contents[told], given_parts, validation=validation, test=test, seed=seed, where=opened.root, noun="pair"
    )
    ends = [
        _spanned(end, side, splits["train"], opened.root, title)
        for end, side, title in zip(packed.ends, packed.sides, SIDES, strict=True)
    ]
    schema = Schema(ends[1 - told], ends[told])
    x, y = packed.sides[1 - told], packed.sides[told]
    skipped = [fault["name"] for fault in packed.facts["skipped"]]
    both = [made + given_ for made, given_ in zip(contents[1 - told], contents[told], strict=True)]
    mark = fingerprint(schema, names, None, skipped, splits, both)
    plain_schema = schema.to_json()
    report = {
        "root": opened.root,
        "kind": f"pairs ({opened.layout})",
        "noun": schema.x.noun,
        "pairs": opened.layout,
        "direction": direction,
        **packed.facts,
        "notes": list(opened.notes),
        "ignored": dict(opened.ignored.most_common()),
        "image": plain_schema["x"],
        "given": plain_schema["y"],
        "classes": {},
        "unlabeled": len(records),
        "captions": 0,
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in given_parts if part is not None}),
        "duplicates": duplicates(both, splits)["duplicates"],
        "duplicates_across_splits": duplicates(contents[told], splits)["duplicates_across_splits"],
        "bytes": sum(side.numel() * side.element_size() for side in packed.sides),
        "in_memory": packed.in_memory,
        "fingerprint": mark,
    }
    return Dataset(schema, x, y, names, splits, mark, report, packed.in_memory)


def _spanned(end: End, side: Tensor, train: Tensor, where: str, title: str) -> End:
    """What images of floating point are: between the smallest and the largest value of the training part."""
    if not isinstance(end, Image) or end.span is None:
        return end
    lows, highs = [], []
    for start in range(0, len(train), _CHUNK):
        part = side.index_select(0, train[start : start + _CHUNK])
        lows.append(part.amin())
        highs.append(part.amax())
    low, high = float(torch.stack(lows).amin()), float(torch.stack(highs).amax())
    if low == high:
        problem = f"every value of side {title} that is for training is {low:g}"
        raise UserError("E-CHK-22", where, problem, "give images that differ", found=low)
    return replace(end, span=(low, high))
