"""Image pairs: an input image and a target image, for image-to-image translation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.images.buffers import End
from seisei.data.images.pack import PackOptions
from seisei.data.options import DataOptions
from seisei.data.pairs.decode import PairWishes
from seisei.data.pairs.open import open_pairs
from seisei.data.pairs.scan import pack_pairs
from seisei.data.pairs.source import SIDES, Layout
from seisei.data.reading import Reading
from seisei.data.splits import split_indices
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.schema import Schema
from seisei.spec import checked

Direction = Literal["a-to-b", "b-to-a"]
_CHUNK = 256


def read_pairs(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    """Read pairs (A, B) of images from any supported source, at their native bit depth.

    The data set's y is the input side, its x the target side. Both sides of a pair must have the same size, or, if a
    size is requested, the same proportions; they may differ in channels and bit depth, but within a side all images
    must have the same bit depth.

    Arguments:
        given: a folder with two folders a and b (input and target, source and target, ``trainA`` and ``trainB`` …) of
            files of the same names; a folder of images that hold A on the left and B on the right; a folder with, or
            the path of, a table that names images in two columns; a parquet file or a folder of such, or
            ``hub:owner/name``, with two columns of images; a ``.npz`` file, or in memory ``{"a": …, "b": …}``, also
            in parts as ``a_train``, or a tuple (A, B) of arrays.
        options: how they are read; by default pairs keep their own size if all have one of at most 512, else the size
            is the largest power of two, from 8 to 256, not above the median of their shorter sides; they keep their
            own channels, and are gray if every image of a side is gray. Pairs with the same input image are in one
            split. `skip_bad` counts pairs with a faulty side, or without a partner.
        reading: see `Reading`.

    Raises:
        UserError: the data are faulty, or are not pairs.

    Example:
        >>> import numpy as np
        >>> gray = np.arange(20 * 64, dtype=np.uint16).reshape(20, 8, 8)
        >>> colors = np.stack([gray % 256] * 3, -1).astype(np.uint8)
        >>> pairs = read_pairs((gray, colors), DataOptions(pairs="auto"), Reading())
        >>> pairs.schema.y.shape, pairs.schema.y.levels, pairs.schema.x.levels, pairs.report["kind"]
        ((1, 8, 8), 65536, 256, 'pairs (arrays)')
    """
    layout, direction = checked("--pairs", options.pairs, Layout), checked("--direction", options.direction, Direction)
    opened = open_pairs(
        given, layout, source=options.source, column=options.column, columns=(options.column_a, options.column_b),
        bits=options.bits, follow_outside=options.follow_outside,
    )  # fmt: skip
    given_side = 0 if direction == "a-to-b" else 1
    wishes = PairWishes(PackOptions.of(options), options.bits, given_side if options.label_map else None)
    packed = pack_pairs(opened, wishes, reading.limit(options), reading.cache, reading.progress)
    records = [opened.records[i] for i in packed.kept]
    names, given_parts = [record.name for record in records], [record.split for record in records]
    contents = [[digest(image.numpy().tobytes()) for image in side] for side in packed.sides]
    splits = split_indices(
        names,
        contents[given_side],
        given_parts,
        validation=options.validation,
        test=options.test,
        seed=reading.seed,
        where=opened.root,
        noun="pair",
    )
    ends = [
        _spanned(end, side, splits["train"], opened.root, title)
        for end, side, title in zip(packed.ends, packed.sides, SIDES, strict=True)
    ]
    schema = Schema(ends[1 - given_side], ends[given_side])
    x, y = packed.sides[1 - given_side], packed.sides[given_side]
    skipped = [fault["name"] for fault in packed.facts["skipped"]]
    both = [target + input_ for target, input_ in zip(contents[1 - given_side], contents[given_side], strict=True)]
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
        "duplicates_across_splits": duplicates(contents[given_side], splits)["duplicates_across_splits"],
        "bytes": sum(side.numel() * side.element_size() for side in packed.sides),
        "in_memory": packed.in_memory,
        "fingerprint": mark,
    }
    return Dataset(schema, x, y, names, splits, mark, report, packed.in_memory)


def _spanned(end: End, side: Tensor, train: Tensor, where: str, title: str) -> End:
    """Set the value range of floating-point images to the minimum and maximum of the training split."""
    if not isinstance(end, Image) or end.span is None:
        return end
    lows, highs = [], []
    for start in range(0, len(train), _CHUNK):
        part = side.index_select(0, train[start : start + _CHUNK])
        lows.append(part.amin())
        highs.append(part.amax())
    low, high = float(torch.stack(lows).amin()), float(torch.stack(highs).amax())
    if low == high:
        problem = f"every training value of side {title} is {low:g}"
        raise UserError("E-CHK-22", where, problem, "give images that differ", found=low)
    return replace(end, span=(low, high))
