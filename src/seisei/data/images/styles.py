"""Content images, each paired with a style image, for learning style transfer.

Each style image is stored once: y of an example is its index. The pairing depends on the seed and the example only,
with all styles equally frequent; held-out contents are paired with styles unseen in training, if there are enough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from seisei import seeds
from seisei.data.dataset import Dataset, digest, fingerprint
from seisei.data.images.inputs import read_image_inputs
from seisei.data.splits import PARTS, split_indices
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import MAX_PIXELS
from seisei.schema import Schema

# With fewer styles than this, none is held out.
FEWEST = 10


def with_styles(
    data: Dataset,
    given: Any,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Dataset:
    """The data set with a style image for each image; its labels are ignored.

    Arguments:
        data: the content images.
        given: the styles: an image, a folder, or anything else that `seisei.data.detect.open_source` reads.
        validation: fraction of the styles reserved for validation contents.
        test: fraction reserved for test contents.
        seed: seed of the split and the pairing.
        max_pixels: refuse larger images.

    Raises:
        UserError: the contents are not images, or a style cannot be read; none is skipped.

    Example:
        >>> from seisei.data.types import read_dataset
        >>> styled = with_styles(read_dataset("digits"), "digits")
        >>> batch = styled.batch(torch.arange(3))
        >>> batch.x.shape == batch.y.shape == (3, 1, 8, 8), styled.y.dtype
        (True, torch.int64)
    """
    image = data.schema.x
    if not isinstance(image, Image):
        problem = f"is for images; these data are {data.schema.x.noun}s"
        raise UserError("E-TRN-13", "--style", problem, "leave it out")
    # Style images are fitted to the contents' size.
    end = replace(image, fit=image.fit or "crop")
    found = read_image_inputs(Schema(end), given, convert=True, max_pixels=max_pixels)
    contents = [digest(row.numpy().tobytes()) for row in found.x]
    enough = len(set(contents)) >= FEWEST
    parts = split_indices(
        found.names, contents, [None] * len(found), validation=validation if enough else 0.0,
        test=test if enough else 0.0, seed=seed, where=str(given),
    )  # fmt: skip
    y = torch.zeros(len(data), dtype=torch.int64)
    for part in PARTS:
        places, among = data.splits[part], parts[part] if len(parts[part]) else parts["train"]
        turn = torch.randperm(len(places), generator=seeds.generator(seed, "styles", part))
        y[places] = among[turn % len(among)]
    schema = Schema(image, end)
    mark = fingerprint(schema, [data.fingerprint, *found.names], y, [], parts, contents)
    counts = {part: len(indices) for part, indices in parts.items()}
    note = f"{len(found):,} style images, from {given}: {counts['train']:,} for training"
    report = {
        **data.report,
        "styles": {"root": str(given), "kept": len(found), "splits": counts},
        "notes": [*data.report["notes"], note],
        "fingerprint": mark,
    }
    return Dataset(schema, data.x, y, data.names, data.splits, mark, report, data.in_memory, found.x)
