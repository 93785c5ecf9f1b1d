"""Image pairs before they are read: `PairSource`, and the names of sides in folders and keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from seisei.data.source import SPLITS, Record, Source
from seisei.errors import UserError

Layout = Literal["auto", "side-by-side", "folders", "columns"]
SIDES = ("A", "B")
# Names of the two sides.
TITLES = (("a", "b"), ("input", "target"), ("source", "target"))
_WORDS = {word: (side, titles) for titles in TITLES for side, word in enumerate(titles)}
_SPLIT = "|".join(sorted(SPLITS, key=len, reverse=True))
_NAMED = "|".join(_WORDS)
_BOTH = re.compile(
    rf"(?P<split>{_SPLIT})[ _.-]?(?P<word>{_NAMED})|(?P<word_first>{_NAMED})[ _.-]?(?P<split_last>{_SPLIT})"
)
LAYOUTS = (
    "put them in two folders a and b under the same names, or side by side in each image, or name them in two "
    "columns of a metadata.csv"
)


@dataclass(frozen=True)
class Side:
    """One side of all pairs.

    Arguments:
        names: each image's name in errors.
        read: reads the image at an index, as input for `seisei.modalities.image.read_image`.
        levels: number of values per channel, if known before reading.
    """

    names: Sequence[str]
    read: Callable[[int], Any]
    levels: int | None = None


@dataclass
class PairSource:
    """A listing of image pairs.

    Arguments:
        layout: ``side-by-side``, ``folders``, ``columns`` or ``arrays``.
        root: the location, as the user typed it.
        records: one for each pair; labels and captions are ignored.
        sides: A and B; the same one twice if both are side by side in one image.
        identity: a hash of the files' state; None if unknown.
        faults: incomplete pairs.
        ignored: files that are not images, counted by suffix.
        notes: messages about how the data were interpreted.
    """

    layout: str
    root: str
    records: list[Record]
    sides: tuple[Side, Side]
    identity: str | None = None
    faults: list[UserError] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def beside(self) -> bool:
        """Whether each image holds both sides."""
        return self.layout == "side-by-side"


def told(name: str) -> tuple[str | None, str | None]:
    """The split and the side in a folder's name or an array's key.

    Example:
        >>> told("trainA"), told("val"), told("Target"), told("b_test"), told("cats")
        (('train', 'a'), ('validation', None), (None, 'target'), ('test', 'b'), (None, None))
    """
    lower = name.casefold()
    if lower in SPLITS:
        return SPLITS[lower], None
    if lower in _WORDS:
        return None, lower
    found = _BOTH.fullmatch(lower)
    if found is None:
        return None, None
    return SPLITS[found["split"] or found["split_last"]], found["word"] or found["word_first"]


def titles_of(words: set[str]) -> tuple[str, str] | None:
    """The pair of side names that these words form, or None.

    Example:
        >>> titles_of({"target", "source"}), titles_of({"a"}), titles_of({"a", "target"})
        (('source', 'target'), None, None)
    """
    return next((titles for titles in TITLES if set(titles) == words), None)


def beside(source: Source) -> PairSource:
    """The pairs in images that each hold both sides, A on the left and B on the right."""
    side = Side([record.name for record in source.records], source.read)
    return PairSource(
        "side-by-side", source.root, source.records, (side, side), source.identity, list(source.faults), source.ignored,
        list(source.notes),
    )  # fmt: skip


def no_pairs(where: object, found: str) -> UserError:
    """The error if no layout matches."""
    return UserError("E-TRN-14", where, f"holds no image pairs: {found}", LAYOUTS)
