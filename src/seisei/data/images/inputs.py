"""New images for a trained model: read and validated against its schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch

from seisei.data.dataset import Dataset
from seisei.data.detect import open_source
from seisei.data.images.scan import scan
from seisei.data.source import Record
from seisei.data.tables.encode_rows import Labels
from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.image import Image
from seisei.modalities.image_io import MAX_PIXELS, DecodedImage
from seisei.modalities.label import Label
from seisei.modalities.text import Text
from seisei.schema import Modality, Schema

Resize = Literal["crop", "pad", "stretch"]


def read_image_inputs(
    schema: Schema,
    given: Any,
    *,
    fit: Resize | None = None,
    convert: bool = False,
    labels: bool | Labels = False,
    max_pixels: int = MAX_PIXELS,
    source: str | None = None,
    column: str | None = None,
    verb: str = "",
) -> Dataset:
    """Images as input for a model.

    Arguments:
        schema: the model's schema.
        given: an image's path, a folder, or anything else that `open_source` reads.
        fit: how to fit images of another size; by default as in training, which refuses them if all training images
            had one size.
        convert: convert color to gray for a gray model.
        labels: whether the model needs labels, or one of `read_rows`'s values.
        max_pixels: refuse larger images.
        source: the type of data, instead of detecting it.
        column: the column of a parquet file that holds the images.
        verb: unused: error codes of images do not depend on it.

    Raises:
        UserError: the input cannot be read or does not match; nothing is skipped.
    """
    wanted: Labels = labels if isinstance(labels, str) else "need" if labels else "ignore"
    image = schema.x
    assert isinstance(image, Image)
    if fit is not None:
        image = replace(image, fit=fit)

    def make(decoded: DecodedImage, name: str) -> torch.Tensor:
        channels = decoded.pixels.shape[2] if decoded.pixels.ndim == 3 else 1
        if channels > image.channels and not convert and not is_gray(decoded):
            problem = f"has {channels} channels, wanted {image.channels}"
            raise UserError("E-*-20", name, problem, "pass --convert", found=channels, wanted=image.channels)
        return image.pack_image(decoded, name)

    opened = open_source(given, source=source, column=column)
    packed: list[torch.Tensor] = []
    at_least = (image.height, image.width) if image.fit else None
    found = scan(
        opened, skip_bad=0, max_pixels=max_pixels, min_size=1, make=make, sink=lambda _, made: packed.append(made),
        background=image.background, at_least=at_least,
    )  # fmt: skip
    records = [opened.records[i] for i in found.kept]
    y = _conditions(records, schema.y, wanted)
    places = torch.arange(len(records))
    return Dataset(schema, torch.stack(packed), y, [r.name for r in records], {"test": places}, "", found.to_json())


def _conditions(records: Sequence[Record], end: Modality | None, wanted: Labels) -> torch.Tensor | None:
    """The labels or conditions of images."""
    if isinstance(end, Label):
        return _labels(records, end, wanted)
    if wanted == "ignore" or not isinstance(end, (Conditions, Text)):
        return None
    names = end.table.names if isinstance(end, Conditions) else (end.column,)
    rows = [record.said for record in records]
    missing = [
        (record.name, name) for record, row in zip(records, rows, strict=True) for name in names if not row.get(name)
    ]
    if missing and (wanted == "need" or len(missing) < len(records) * len(names)):
        name, column = missing[0]
        remedy = f"add a metadata.csv with the columns file_name and {column}"
        raise UserError("E-*-25", name, f"has no {column}, which this model is conditioned on", remedy)
    if missing:
        return None
    each = [
        end.pack({n: row[n] for n in names}) if isinstance(end, Conditions) else end.pack(row[names[0]]) for row in rows
    ]
    return torch.stack(each)


def _labels(records: Sequence[Record], label: Label, wanted: Labels) -> torch.Tensor | None:
    """Class indices; -1 for an image without a label, if labels are optional."""
    unknown = next((record.name for record in records if record.label is None), None)
    if wanted == "need" and unknown is not None:
        remedy = "put each class in a sub-folder named as in training"
        raise UserError("E-*-25", unknown, "has no label, and this model is conditional", remedy)
    if wanted == "ignore" or all(record.label is None for record in records):
        return None
    code, none = "E-*-24" if wanted == "need" else "E-*-25", torch.tensor(-1)
    return torch.stack([none if record.label is None else label.pack(record.label, code) for record in records])


def is_gray(image: DecodedImage) -> bool:
    """Whether an image has one channel, or three equal ones."""
    p = image.pixels
    return p.ndim == 2 or bool((p[..., 0] == p[..., 1]).all() and (p[..., 0] == p[..., 2]).all())
