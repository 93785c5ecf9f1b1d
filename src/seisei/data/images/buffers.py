"""Buffers for the two sides of image pairs while they are read: packed images, or label maps.

`make` runs in worker threads, all else in one: `open` once the first pair was read, `put` for each in order, `check`,
and `finish`, or `drop` on an error.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.data.images.pack import all_gray
from seisei.data.store import Store
from seisei.errors import UserError
from seisei.modalities.image import DEEP, Image
from seisei.modalities.image_io import DecodedImage
from seisei.modalities.label_map import MOST_COLORS, Codes, LabelMap, code_of, color_codes, nearest
from seisei.modalities.pixels import WHITE, Fit

End = Image | LabelMap
_CHUNK = 1024


class Frame(NamedTuple):
    """The common size of both sides, and how images are fitted to it."""

    height: int
    width: int
    fit: Fit | None


@dataclass
class Images:
    """One side's images, all with the bit depth of the first.

    Arguments:
        title: A or B.
        frame: the size to fit them to.
        channels: requested number; None keeps theirs, and converts color to gray if all images are gray.
        levels: number of values per channel, if known.
    """

    title: str
    frame: Frame
    channels: int | None = None
    levels: int | None = None
    image: Image | None = None
    store: Store | None = None
    room: tuple[int, Path | None] = (0, None)
    gray: bool = True
    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def make(self, decoded: DecodedImage, name: str) -> tuple[Image, Tensor, str]:
        """The image's modality, the packed image, and its bit depth in words."""
        height, width, fit = self.frame
        found = decoded.pixels.shape[2] if decoded.pixels.ndim == 3 else 1
        channels = self.channels or (3 if found == 1 else found)
        kind = {"uint8": "8 bits", "uint16": "16 bits"}.get(str(decoded.pixels.dtype), "floating point")
        image = Image(height, width, channels, self.levels or 256, fit=fit)
        if kind == "16 bits":
            image = replace(image, levels=DEEP)
        elif kind == "floating point":
            # The value range, and so white for padding, is known only after all images were read.
            if fit == "pad":
                problem = f"{self.title} is floating point, whose white level is unknown until all of it is read"
                raise UserError("E-TRN-13", "--fit pad", problem, "pass --fit crop", found=name)
            image = replace(image, levels=0, span=(0.0, 1.0))
        kind += "" if channels in (1, 3) else f" in {channels} channels"
        return image, image.pack_image(decoded, name), kind

    def size(self, made: tuple[Image, Tensor, str]) -> int:
        """The size of one packed example in bytes."""
        return made[1].numel() * made[1].element_size()

    def open(self, count: int, folder: Path | None) -> None:
        """Allocate a `Store` for this many."""
        self.room = count, folder

    def put(self, made: tuple[Image, Tensor, str], name: str) -> None:
        """Add the next image; one whose format differs from the first is only counted."""
        image, packed, kind = made
        self.kinds[kind] += 1
        self.first.setdefault(kind, name)
        if self.store is None:
            self.image = image
            self.store = Store(self.room[0], image.shape, self.room[1], str(packed.dtype).removeprefix("torch."))
        if image == self.image:
            self.gray = self.gray and image.channels == 3 and all_gray(packed[None])
            self.store.put(self.store.filled, packed)

    def check(self) -> None:
        """Check that all images have the same format.

        Raises:
            UserError: images of several bit depths, or numbers of channels.
        """
        if len(self.kinds) < 2:
            return
        rarest = min(reversed(self.kinds), key=lambda kind: self.kinds[kind])
        counts = ", ".join(f"{kind} ×{count:,}" for kind, count in self.kinds.most_common())
        problem = f"has {rarest}, and side {self.title} has {counts}"
        deep = len({kind.partition(" in ")[0] for kind in self.kinds}) > 1
        remedy = "pass --bits 8 to convert all to 8 bits, or save all alike" if deep else "save all alike"
        raise UserError("E-CHK-12", self.first[rarest], problem, remedy, found=dict(self.kinds), wanted=1)

    def finish(self, folder: Path | None, facts: dict[str, Any]) -> Tensor:
        """All images; see `Store.finish`."""
        assert self.store is not None
        return self.store.finish(folder, facts)

    @property
    def end(self) -> Image:
        """The images' modality, once all were read."""
        assert self.image is not None
        return replace(self.image, channels=1) if self.channels is None and self.gray else self.image

    def drop(self) -> None:
        """Remove the unfinished files."""
        if self.store is not None:
            self.store.drop()


@dataclass
class Maps:
    """One side's label maps; their colors are collected while they are read."""

    title: str
    frame: Frame
    store: Store | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    places: dict[int, int] = field(default_factory=dict)
    seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1 << 24, np.bool_))

    def make(self, image: DecodedImage, name: str) -> tuple[Codes, NDArray[np.intp]]:
        """The map's colors, and the index of each pixel's color."""
        height, width, fit = self.frame
        codes = nearest(color_codes(image.pixels, name), height, width, fit or "stretch", code_of(WHITE))
        found, places = np.unique(codes, return_inverse=True)
        return found, places.reshape(codes.shape)

    def size(self, made: tuple[Codes, NDArray[np.intp]]) -> int:
        """The size of one packed example in bytes."""
        return made[1].size

    def open(self, count: int, folder: Path | None) -> None:
        """Allocate a `Store` for this many."""
        self.store = Store(count, (1, self.frame.height, self.frame.width), folder)

    def put(self, made: tuple[Codes, NDArray[np.intp]], name: str) -> None:
        """Add the next map; until all colors are known they are numbered in order of appearance."""
        assert self.store is not None
        found, places = made
        self.kinds["label map"] += 1
        self.seen[found] = True
        if max(len(self.places), len(found)) > MOST_COLORS:  # `check` raises the error, with their number
            return
        numbers = np.array([self.places.setdefault(int(code), len(self.places)) for code in found], np.uint8)
        self.store.put(self.store.filled, torch.from_numpy(numbers[places][None]))

    def check(self) -> None:
        """Check that these are label maps.

        Raises:
            UserError: more colors than a label map may have.
        """
        count = int(self.seen.sum())
        if count > MOST_COLORS:
            problem = f"side {self.title} has {count:,} colors, wanted at most {MOST_COLORS}"
            raise UserError("E-TRN-13", "--label-map", problem, "leave it out", found=count, wanted=MOST_COLORS)

    def finish(self, folder: Path | None, facts: dict[str, Any]) -> Tensor:
        """All maps, with classes numbered in order of their colors; see `Store.finish`."""
        assert self.store is not None
        order = np.flatnonzero(self.seen)
        final = np.zeros(len(self.places), np.uint8)
        final[[self.places[int(code)] for code in order]] = np.arange(len(order))
        for start in range(0, self.store.filled, _CHUNK):
            part = self.store.array[start : min(start + _CHUNK, self.store.filled)]
            part[:] = final[part]
        return self.store.finish(folder, facts)

    @property
    def end(self) -> LabelMap:
        """The maps' modality, once all were read."""
        height, width, fit = self.frame
        colors = tuple((code >> 16, code >> 8 & 255, code & 255) for code in np.flatnonzero(self.seen).tolist())
        return LabelMap(height, width, colors, fit)

    def drop(self) -> None:
        """Remove the unfinished files."""
        if self.store is not None:
            self.store.drop()


Room = Images | Maps
