"""Image pairs in two folders: files of the same name, ignoring suffixes."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import NamedTuple

from seisei.data.pairs.source import SIDES, PairSource, Side, no_pairs, titles_of, told
from seisei.data.source import SPLITS, Record, identity_of, natural
from seisei.data.sources.folder import Walk
from seisei.errors import UserError

# What the two files of a pair share: the split, and the name below their folder.
Key = tuple[str | None, str]


class _Position(NamedTuple):
    """A file's side (the folder's word for it), the key it shares with its partner, and its side's folder."""

    word: str
    key: Key
    folder: str


def folder_pairs(path: Path, typed: str, walk: Walk, *, must: bool = False) -> PairSource | None:
    """The pairs in two folders, or None if there are no such folders.

    They are named a and b, input and target, or source and target, in any case; with splits as in ``trainA``,
    ``train/a`` or ``a/train``.

    Arguments:
        path: their parent folder.
        typed: the name that the user gave.
        walk: the folder's contents.
        must: raise an error if there are no such folders.

    Raises:
        UserError: the folders exist, but no file has a partner.
    """
    places = _places(walk.names)
    titles = titles_of({place.word for place in places.values()})
    if titles is None:
        if must:
            raise no_pairs(typed, _folders_found(walk.names))
        return None
    sides: tuple[dict[Key, str], dict[Key, str]] = ({}, {})
    folders: dict[tuple[str | None, int], str] = {}
    faults, spoiled = (
        list(walk.faults),
        {_stem(place.key[1]) for place in _places([f.where for f in walk.faults]).values()},
    )
    double: set[Key] = set()
    for name, place in places.items():
        side = titles.index(place.word)
        folders.setdefault((place.key[0], side), place.folder)
        other = sides[side].setdefault(place.key, name)
        if other != name:
            problem = f"has the same name as {other}, and one partner"
            faults.append(UserError("E-CHK-17", name, problem, "remove or rename one", found=[other, name]))
            double.add(place.key)
    keys = sorted({*sides[0], *sides[1]} - double, key=lambda key: (key[0] or "", natural(key[1])))
    whole = [key for key in keys if key in sides[0] and key in sides[1]]
    if not whole and not double:
        counts = " and ".join(f"{len(sides[i])} in {titles[i]}" for i in (0, 1))
        raise no_pairs(typed, f"{counts}, and no two have the same name")
    alone = [key for key in keys if (key not in sides[0] or key not in sides[1]) and key[1] not in spoiled]
    for key in alone:
        side = 0 if key in sides[0] else 1
        partner = folders.get((key[0], 1 - side), "/".join(filter(None, (key[0], titles[1 - side]))))
        problem = f"has no {partner}/{key[1]}.*, {len(alone)} of {len(keys)} unpaired"
        remedy = f"remove it, add its partner or pass --skip-bad {len(alone)}"
        faults.append(UserError("E-CHK-18", sides[side][key], problem, remedy, found=len(alone), wanted=0))
    named = [[sides[side][key] for key in whole] for side in (0, 1)]
    parts = [folders[key] for key in sorted(folders, key=str)]
    notes = ["the folders " + ", ".join(parts) + f": {titles[0]} is {SIDES[0]}, {titles[1]} is {SIDES[1]}"]
    left = [name for name in walk.names if name not in places]
    if left:
        notes.append(f"{len(left):,} images in neither folder are not used, such as {left[0]}")
    records = [Record(name, split=key[0]) for key, name in zip(whole, named[0], strict=True)]
    stamp = identity_of("pairs", str(path.resolve()), sorted(walk.files), [str(fault) for fault in faults])
    return PairSource(
        "folders", typed, records, (_side(path, named[0]), _side(path, named[1])), stamp, faults, walk.ignored, notes
    )


def _side(path: Path, names: list[str]) -> Side:
    return Side(names, lambda index: path / names[index])


def _places(names: list[str]) -> dict[str, _Position]:
    """The position of each file that is in one side's folder."""
    found = {name: _sided(name.split("/")) for name in names}
    sided = {name: place for name, place in found.items() if place is not None}
    # ``a/train/…`` names a split only if all folders do: otherwise it may be an ordinary folder.
    inner = [place.key[1].partition("/") for place in sided.values() if place.key[0] is None]
    if not all(rest and folder.casefold() in SPLITS for folder, _, rest in inner):
        return sided
    for name, place in sided.items():
        if place.key[0] is None:
            folder, _, rest = place.key[1].partition("/")
            sided[name] = _Position(place.word, (SPLITS[folder.casefold()], rest), f"{place.folder}/{folder}")
    return sided


def _sided(parts: list[str]) -> _Position | None:
    folders, used = parts[:-1], 1
    split, word = told(folders[0]) if folders else (None, None)
    if split is not None and word is None and len(folders) > 1:
        inside, word = told(folders[1])
        word, used = (None if inside is not None else word), 2
    if word is None:
        return None
    rest = "/".join(parts[used:])
    return _Position(word, (split, _stem(rest)), "/".join(parts[:used]))


def _stem(name: str) -> str:
    """A name without its suffix, in Unicode NFC."""
    return unicodedata.normalize("NFC", os.path.splitext(name)[0])


def _folders_found(names: list[str]) -> str:
    tops = sorted({name.partition("/")[0] for name in names if "/" in name}, key=natural)
    listed = ", ".join(tops[:5]) + (", …" if len(tops) > 5 else "") if tops else "none"
    return f"{len(names):,} images, folders {listed}"
