"""Image sources: `Record`, an image's metadata, and `Source`, which reads images."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seisei.errors import UserError

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",
}


# Names of caption columns.
CAPTIONS = ("text", "caption")


@dataclass(frozen=True, slots=True)
class Record:
    """An image's metadata, known before it is read.

    Arguments:
        name: unique in the source; a file's path below the root, or the image's position in a file.
        label: its class.
        split: ``train``, ``validation``, ``test``, or None if the source has no splits.
        caption: its description.
        facts: other metadata, as pairs of column and text.
    """

    name: str
    label: str | None = None
    split: str | None = None
    caption: str | None = None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def said(self) -> dict[str, str]:
        """All metadata by column, including the label."""
        return {**({} if self.label is None else {"label": self.label}), **dict(self.facts)}


class Source(Protocol):
    """A listing of images, with what was found while listing them.

    Attributes:
        kind: the source type, in words.
        root: the location, as the user typed it.
        records: one for each image.
        classes: class names in order, None if there are no labels.
        identity: a hash that changes when the files change; None if that cannot be detected.
        faults: images that cannot be listed.
        ignored: files that are not images, counted by suffix.
        notes: messages about how the data were interpreted.
    """

    kind: str
    root: str
    records: list[Record]
    classes: tuple[str, ...] | None
    identity: str | None
    faults: list[UserError]
    ignored: Counter[str]
    notes: list[str]

    def read(self, index: int) -> Any:
        """Input for `seisei.modalities.image_io.read_image`: a path, a file's bytes, or an array."""
        ...


@dataclass
class ArraySource:
    """Images in one array; a `Source`.

    Arguments:
        kind: the source type, in words.
        root: the location, as the user typed it.
        array: uint8 values 0 … levels - 1, (N, H, W, C), in memory or memory-mapped.
        levels: number of values per channel.
        records: one for each image.
        classes: class names in order, None if there are no labels.
        identity: a hash that changes when the data change, or None.
        notes: messages about how the data were interpreted.
    """

    kind: str
    root: str
    array: NDArray[np.uint8]
    levels: int
    records: list[Record]
    classes: tuple[str, ...] | None = None
    identity: str | None = None
    notes: list[str] = field(default_factory=list)
    faults: list[UserError] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        assert self.array.ndim == 4 and len(self.array) == len(self.records)

    def read(self, index: int) -> NDArray[np.uint8]:
        """One image, its levels scaled to 0 … 255, (H, W, C)."""
        image: NDArray[np.uint8] = self.array[index]
        if self.levels == 256:
            return image
        spread: NDArray[np.uint8] = np.rint(image * (255 / (self.levels - 1))).astype(np.uint8)
        return spread


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key for natural order: ``2`` before ``10``.

    Example:
        >>> sorted(["class 10", "class 2"], key=natural)
        ['class 2', 'class 10']
    """
    parts = re.split(r"(\d+)", text)
    return [_number(p) if i % 2 else (-1, p.casefold()) for i, p in enumerate(parts)] + [(-1, text)]


def _number(digits: str) -> tuple[int, str]:
    """A numeric sort key: by number of digits, then by digits; `int` refuses thousands of them."""
    plain = "".join(str(unicodedata.decimal(c)) for c in digits).lstrip("0")
    return len(plain), plain


def composed(name: str) -> str:
    r"""A name in Unicode NFC; macOS writes é as e and a combining accent (NFD).

    Example:
        >>> len("e\u0301"), len(composed("e\u0301"))
        (2, 1)
    """
    return unicodedata.normalize("NFC", name)


def classes_of(labels: Iterable[str | None]) -> tuple[str, ...] | None:
    """The distinct labels in natural order, None if there are none."""
    names = {label for label in labels if label is not None}
    return tuple(sorted(names, key=natural)) if names else None


def identity_of(*parts: object) -> str:
    """A hash of the parts."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def split_of(words: str) -> str | None:
    """The split in a file's or folder's name, if any.

    Example:
        >>> split_of("train-00000-of-00004"), split_of("x_val"), split_of("latest")
        ('train', 'validation', None)
    """
    found = {SPLITS[w] for w in re.split(r"[^a-z0-9]+", words.lower()) if w in SPLITS}
    return found.pop() if len(found) == 1 else None
