"""Packing all images of a source into one shape, in a single decoding pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from seisei.data import store
from seisei.data.images.scan import Progress, bilevel, scan, survey
from seisei.data.options import DataOptions
from seisei.data.source import ArraySource, Source, identity_of
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.pixels import Fit, with_channels

# Images that all have one size keep it up to the first limit; otherwise they are resized to at most the second, unless
# the user gives a size.
LARGEST_KEPT, LARGEST_CHOSEN = 256, 64
_CACHE_FORMAT = 2


@dataclass(frozen=True)
class PackOptions:
    """The options that decide what packed images are; see `seisei.data.options.ImageOptions`."""

    size: int | tuple[int, int] | None
    channels: Literal[1, 3] | None
    fit: Fit | None
    skip_bad: str | int | None
    max_pixels: int
    min_size: int
    first_frame: bool

    @classmethod
    def of(cls, options: DataOptions) -> Self:
        """Those of all options of reading."""
        return cls(**{f.name: getattr(options, f.name) for f in fields(cls)})

    def scanning(self) -> dict[str, Any]:
        """The options of `scan`."""
        return {n: getattr(self, n) for n in ("skip_bad", "max_pixels", "min_size", "first_frame")}


@dataclass(frozen=True)
class Packed:
    """All images in one shape.

    Arguments:
        x: uint8 (N, C, H, W).
        image: their modality.
        kept: each image's index in the source.
        facts: the scan's findings, as JSON data.
        in_memory: whether x is in memory.
    """

    x: Tensor
    image: Image
    kept: list[int]
    facts: dict[str, Any]
    in_memory: bool


def pack(
    source: Source, wishes: PackOptions, limit: int, cache: Path | None, progress: Progress | None = None
) -> Packed:
    """Read and pack a source, or load it from the cache.

    Arguments:
        source: the images.
        wishes: requested options.
        limit: size in bytes above which the images are kept in a file.
        cache: the folder for such files.
        progress: called with the number of images done and the total.
    """
    if isinstance(source, ArraySource) and size_asked(wishes) in (None, source.array.shape[1:3]):
        return _pack_array(source, wishes)
    folder = _cache_of(source, wishes, cache)
    stored = store.load(folder) if folder is not None else None
    if stored is not None:
        x, facts = stored
        background = tuple(facts["image"]["background"])
        image = Image(**{**facts["image"], "background": background})
        return Packed(x[:, : image.channels], image, facts["kept"], facts["facts"], False)
    image, rule = choose(source, wishes)
    in_file = folder if len(source.records) * image.values > limit else None
    room = store.Store(len(source.records), image.shape, in_file.parent if in_file else None)
    gray = wishes.channels is None and image.channels == 3

    def keep(place: int, one: Tensor) -> None:
        nonlocal gray
        gray = gray and all_gray(one[None])
        room.put(place, one)

    try:
        at_least = (image.height, image.width) if image.fit else None
        found = scan(
            source,
            **wishes.scanning(),
            background=image.background,
            at_least=at_least,
            make=image.pack_image,
            sink=keep,
            progress=progress,
        )
        image = replace(image, channels=1) if gray else image
        facts = {**found.to_json(), "size_rule": rule}
        x = room.finish(in_file, {"image": asdict(image), "kept": found.kept, "facts": facts})
    except BaseException:
        room.drop()
        raise
    # If every image is gray, keep the first channel; as a view if memory-mapped, since a copy might not fit.
    x = x[:, : image.channels]
    return Packed(x if in_file else x.contiguous(), image, found.kept, facts, in_file is None)


def choose(source: Source, wishes: PackOptions) -> tuple[Image, str]:
    """The target shape of the images, and the rule behind it; color until all images are known to be gray."""
    sizes = survey(source) or Counter({(8, 8): 1})  # if nothing can be read, the scan reports why
    height, width, fit, rule = fitted(sizes, wishes, LARGEST_KEPT, LARGEST_CHOSEN)
    if isinstance(source, ArraySource):
        return Image(height, width, wishes.channels or source.array.shape[3], source.levels, fit=fit), rule
    # Resizing would introduce grays.
    levels = 2 if fit is None and bilevel(source) else 256
    return Image(height, width, wishes.channels or 3, levels, fit=fit), rule


def fitted(
    sizes: Counter[tuple[int, int]], wishes: PackOptions, kept: int, chosen: int
) -> tuple[int, int, Fit | None, str]:
    """Target height and width for images of these sizes, how to fit them, and the rule behind it.

    Arguments:
        sizes: number of images of each (height, width).
        wishes: requested options.
        kept: largest size that is kept if all images share it.
        chosen: otherwise, the largest power of two to resize to.
    """
    only = next(iter(sizes)) if len(sizes) == 1 else None
    asked = size_asked(wishes)
    if asked is not None:
        (height, width), rule = asked, "as requested"
    elif only is not None and max(only) <= kept:
        (height, width), rule = only, "the size of every image"
    else:
        shorter = sorted(min(size) for size in sizes.elements())
        median = shorter[len(shorter) // 2]
        sides = [1 << power for power in range(3, chosen.bit_length())]
        height = width = max([side for side in sides if side <= median] or [8])
        listed = ", ".join(map(str, sides))
        rule = f"the largest of {listed} not above {median}, the median of the shorter sides; pass --size for another"
    return height, width, None if only == (height, width) else wishes.fit or "crop", rule


def size_asked(wishes: PackOptions) -> tuple[int, int] | None:
    """The requested height and width.

    Raises:
        UserError: one is below 1.
    """
    if wishes.size is None:
        return None
    height, width = (wishes.size, wishes.size) if isinstance(wishes.size, int) else wishes.size
    if min(height, width) < 1:
        problem = f"{wishes.size} is out of range, wanted >= 1"
        raise UserError("E-TRN-07", "--size", problem, "choose a larger size", found=wishes.size)
    return height, width


def _pack_array(source: ArraySource, wishes: PackOptions) -> Packed:
    """An array at its own size: a view if memory-mapped, else a copy."""
    found = scan(source, **wishes.scanning())
    array, levels = source.array, source.levels
    _, height, width, channels = array.shape
    if wishes.channels not in (None, channels):
        levels = 256 if channels == 3 else levels  # a weighted mean of colors takes other values
        channels = wishes.channels
        spread = (source.read(i) if levels != source.levels else array[i] for i in range(len(array)))
        array = np.stack([with_channels(one, channels, source.root) for one in spread])
    mapped = isinstance(array, np.memmap) and array.flags.writeable
    array = array.transpose(0, 3, 1, 2)
    x = torch.from_numpy(array if mapped else np.require(array, requirements=["C", "W"]))
    if wishes.channels is None and channels == 3 and all_gray(x):
        x, channels = x[:, :1], 1
    image = Image(height, width, channels, levels)
    facts = {**found.to_json(), "size_rule": "as requested" if wishes.size else "the size of every image"}
    return Packed(x if mapped else x.contiguous(), image, found.kept, facts, not mapped)


def all_gray(x: Tensor) -> bool:
    """Whether the three channels, (N, 3, H, W), are equal everywhere."""
    return bool((x[:, 0] == x[:, 1]).all()) and bool((x[:, 0] == x[:, 2]).all())


def _cache_of(source: Source, wishes: PackOptions, cache: Path | None) -> Path | None:
    """The cache folder of this source packed with these options."""
    if source.identity is None:
        return None
    key = identity_of(_CACHE_FORMAT, source.identity, sorted(asdict(wishes).items()))
    return Path(cache or store.cache_folder()) / key
