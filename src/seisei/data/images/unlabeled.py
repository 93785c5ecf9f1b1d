"""Unlabeled images in addition to labeled ones: all for training, with y = −1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from seisei.data.dataset import Dataset, digest, fingerprint
from seisei.data.images.inputs import read_image_inputs
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.schema import Schema


def with_images(data: Dataset, given: Any, **options: Any) -> Dataset:
    """The data set with another source's images added to its training split.

    Arguments:
        data: labeled data.
        given: images, as for `seisei.data.detect.open_source`; their labels are ignored.
        options: options of `read_image_inputs`.

    Raises:
        UserError: the data have no labels, or do not fit in memory, or the images cannot be read.
    """
    if data.y is None:
        remedy = "put each class in its own sub-folder, or leave it out"
        raise UserError("E-TRN-12", "--unlabeled", f"{data.report['root']} has no labels", remedy)
    if not data.in_memory:
        raise UserError("E-TRN-09", "--unlabeled", "the labeled images do not fit in memory", "raise --memory")
    image = data.schema.x
    assert isinstance(image, Image)
    # Unlabeled images are fitted even if the labeled ones needed no fitting.
    more = read_image_inputs(Schema(replace(image, fit=image.fit or "crop")), given, convert=True, **options)
    x, y = torch.cat([data.x, more.x]), torch.cat([data.y, torch.full((len(more),), -1)])
    names = data.names + [str(Path(str(given)).name or given) + "/" + name for name in more.names]
    train = torch.cat([data.splits["train"], torch.arange(len(data), len(x))])
    splits = {**data.splits, "train": train}
    skipped = [fault["name"] for fault in data.report["skipped"]]
    mark = fingerprint(data.schema, names, y, skipped, splits, [digest(row.numpy().tobytes()) for row in x])
    report = {
        **data.report,
        "kept": len(x),
        "total": data.report["total"] + len(more),
        "unlabeled": len(more),
        "splits": {part: len(indices) for part, indices in splits.items()},
        "bytes": x.numel(),
        "notes": [
            *data.report["notes"],
            f"{len(more):,} unlabeled images, from {given}, are for training only",
        ],
        "fingerprint": mark,
    }
    return Dataset(data.schema, x, y, names, splits, mark, report)
