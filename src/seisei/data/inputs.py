"""New pictures for a trained model: read as its schema takes them, refused where they do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch

from seisei.data.dataset import Dataset
from seisei.data.open import open_source
from seisei.data.scan import scan
from seisei.errors import UserError
from seisei.modalities.image import MAX_PIXELS, Image, Picture
from seisei.modalities.label import Label
from seisei.schema import Schema

Resize = Literal["crop", "pad", "stretch"]


def read_inputs(
    schema: Schema,
    given: Any,
    *,
    resize: Resize | None = None,
    convert: bool = False,
    labels: bool = False,
    max_pixels: int = MAX_PIXELS,
    source: str | None = None,
    column: str | None = None,
) -> Dataset:
    """Pictures as a model takes them.

    Arguments:
        schema: of the model.
        given: a picture's path, a folder, or anything else that `open_source` reads.
        resize: how to fit pictures of another size; by default as in training, which refuses them where it
            had to fit none.
        convert: turn colour into grey where the model knows grey only.
        labels: whether the model needs them.
        max_pixels: a larger picture is refused.
        source: see `open_source`.
        column: see `open_source`.

    Raises:
        UserError: the input cannot be read or does not fit; every fault counts, nothing is skipped.
    """
    image = schema.x
    assert isinstance(image, Image)
    if resize is not None:
        image = replace(image, fit=resize)

    def make(picture: Picture, name: str) -> torch.Tensor:
        channels = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
        if channels > image.channels and not convert and not _is_grey(picture):
            problem = f"has {channels} channels, wanted {image.channels}"
            raise UserError("E-*-20", name, problem, "pass --convert", found=channels, wanted=image.channels)
        return image.pack_picture(picture, name)

    opened = open_source(given, source=source, column=column)
    packed: list[torch.Tensor] = []
    at_least = (image.height, image.width) if image.fit else None
    found = scan(
        opened, skip_bad=0, max_pixels=max_pixels, min_size=1, make=make, sink=lambda _, made: packed.append(made),
        background=image.background, at_least=at_least,
    )  # fmt: skip
    records = [opened.records[i] for i in found.kept]
    y = None
    if labels and isinstance(schema.y, Label):
        for record in records:
            if record.label is None:
                remedy = "put each kind in a sub-folder named as in training"
                raise UserError("E-*-25", record.name, "has no label, and this model is conditional", remedy)
        y = torch.stack([schema.y.pack(record.label, "E-*-24") for record in records])
    places = torch.arange(len(records))
    return Dataset(schema, torch.stack(packed), y, [r.name for r in records], {"test": places}, "", found.to_json())


def _is_grey(picture: Picture) -> bool:
    p = picture.pixels
    return p.ndim == 2 or bool((p[..., 0] == p[..., 1]).all() and (p[..., 0] == p[..., 2]).all())
