"""Where images come from: `Record`, what is known of one before it is read, and `Source`, which reads them."""

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


# Names of columns that hold texts.
CAPTIONS = ("text", "caption")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an image before it is read.

    Arguments:
        name: unlike any other in the source; a file's path below the root, or where in a file the image is.
        label: its class.
        split: ``train``, ``validation``, ``test``, or None where the source does not say.
        caption: its description.
        facts: what else a table says of it, by column, in words.
    """

    name: str
    label: str | None = None
    split: str | None = None
    caption: str | None = None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def said(self) -> dict[str, str]:
        """All that is said of it in words, by column, its label among them."""
        return {**({} if self.label is None else {"label": self.label}), **dict(self.facts)}


class Source(Protocol):
    """Images in some form, with what was found while listing them.

    Attributes:
        kind: the form, in words for people.
        root: the place, as the user typed it.
        records: one for each image.
        classes: the names of the classes in their order, None where there are no labels.
        identity: changes when the files change; None where that cannot be seen from outside.
        faults: images that are there and cannot even be listed.
        ignored: files that are no images, counted by suffix.
        notes: what was decided here, and why.
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
        """What `seisei.modalities.image_io.read_image` takes: a path, the bytes of a file, or an array."""
        ...


@dataclass
class ArraySource:
    """Images that lie in one array.

    Arguments:
        kind: see `Source`.
        root: see `Source`.
        array: uint8 values 0 … levels - 1, (N, H, W, C), in memory or mapped.
        levels: how many values a pixel takes.
        records: see `Source`.
        classes: see `Source`.
        identity: see `Source`.
        notes: see `Source`.
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
        """One image, its levels spread over 0 … 255, (H, W, C)."""
        image: NDArray[np.uint8] = self.array[index]
        if self.levels == 256:
            return image
        spread: NDArray[np.uint8] = np.rint(image * (255 / (self.levels - 1))).astype(np.uint8)
        return spread


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts as people count: ``2`` before ``10``.

    Example:
        >>> sorted(["class 10", "class 2"], key=natural)
        ['class 2', 'class 10']
    """
    parts = re.split(r"(\d+)", text)
    return [_number(p) if i % 2 else (-1, p.casefold()) for i, p in enumerate(parts)] + [(-1, text)]


def _number(digits: str) -> tuple[int, str]:
    """Sorts as the number does: by how many digits it has, then by these. `int` refuses thousands of them."""
    plain = "".join(str(unicodedata.decimal(c)) for c in digits).lstrip("0")
    return len(plain), plain


def composed(name: str) -> str:
    r"""A name as most systems write it: macOS writes é as e and an accent, which is another string.

    Example:
        >>> len("e\u0301"), len(composed("e\u0301"))
        (2, 1)
    """
    return unicodedata.normalize("NFC", name)


def classes_of(labels: Iterable[str | None]) -> tuple[str, ...] | None:
    """The different labels in natural order, None where there are none."""
    names = {label for label in labels if label is not None}
    return tuple(sorted(names, key=natural)) if names else None


def identity_of(*parts: object) -> str:
    """A short name for a state of some files."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def split_of(words: str) -> str | None:
    """The split that a file's or folder's name tells, if it tells one.

    Example:
        >>> split_of("train-00000-of-00004"), split_of("x_val"), split_of("latest")
        ('train', 'validation', None)
    """
    found = {SPLITS[w] for w in re.split(r"[^a-z0-9]+", words.lower()) if w in SPLITS}
    return found.pop() if len(found) == 1 else None
