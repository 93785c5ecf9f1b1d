"""Scanning and packing image pairs in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from seisei.data import store
from seisei.data.images.buffers import End, Frame, Images, Maps, Room
from seisei.data.images.pack import fitted
from seisei.data.images.scan import Progress, Scan, first_of, in_threads, tolerated
from seisei.data.pairs.decode import Made, PairWishes, Sizes, reader
from seisei.data.pairs.source import SIDES, PairSource
from seisei.data.source import identity_of
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.image_io import measure
from seisei.modalities.label_map import LabelMap
from seisei.schema import Schema

# Pairs that all have one size keep it up to the first limit; others are resized to at most the second.
LARGEST_KEPT, LARGEST_CHOSEN = 512, 256
_CACHE_FORMAT = 1


@dataclass(frozen=True)
class PackedPairs:
    """All pairs in one shape.

    Arguments:
        sides: A and B, both (N, C, H, W).
        ends: their modalities; the value range of floating point is not known yet.
        kept: each pair's index in the source.
        facts: the scan's findings, as JSON data.
        in_memory: whether the sides are in memory.
    """

    sides: tuple[Tensor, Tensor]
    ends: tuple[End, End]
    kept: list[int]
    facts: dict[str, Any]
    in_memory: bool


def pack_pairs(
    source: PairSource, wishes: PairWishes, limit: int, cache: Path | None, progress: Progress | None = None
) -> PackedPairs:
    """Read and pack pairs, or load them from the cache.

    Arguments:
        source: the pairs.
        wishes: requested options.
        limit: size in bytes above which both sides are kept in files.
        cache: the folder for such files.
        progress: called with the number of pairs done and the total.

    Raises:
        UserError: the first fault, if there are more than allowed; or a side of mixed formats.
    """
    folders = _cache_of(source, wishes, cache)
    stored = None if folders is None else _load(folders)
    if stored is not None:
        return stored
    height, width, fit, rule = fitted(_survey(source, wishes.bits is None), wishes.plain, LARGEST_KEPT, LARGEST_CHOSEN)
    frame = Frame(height, width, fit)
    rooms: list[Room] = [
        Maps(title, frame) if place == wishes.mapped
        else Images(title, frame, wishes.plain.channels, source.sides[place].levels)
        for place, title in enumerate(SIDES)
    ]  # fmt: skip
    in_files: list[Path] | None = None
    found = Scan(len(source.records) + len(source.faults), faults=list(source.faults))

    def begin(made: tuple[Any, Any]) -> list[Path] | None:
        """Allocate the buffers once the first pair shows its size."""
        whole = len(source.records) * sum(room.size(each) for room, each in zip(rooms, made, strict=True))
        chosen = folders if whole > limit else None
        for place, room in enumerate(rooms):
            room.open(len(source.records), None if chosen is None else chosen[place].parent)
        return chosen

    try:
        read = reader(source, wishes, frame, rooms)
        for index, result in enumerate(in_threads(read, len(source.records), progress)):
            if isinstance(result, UserError):
                found.faults.append(result)
                continue
            if not found.kept:
                in_files = begin(result.made)
            _count(found, result)
            for place, room in enumerate(rooms):
                room.put(result.made[place], source.sides[place].names[index])
            found.kept.append(index)
        _check(source, wishes, found, rooms)
        facts = {**found.to_json(), "size_rule": rule}
        facts["depths"] = {room.title: next(iter(room.kinds)) for room in rooms}
        ends = (rooms[0].end, rooms[1].end)
        kept = {"schema": Schema(ends[1], ends[0]).to_json(), "kept": found.kept, "facts": facts}
        sides = [room.finish(None if in_files is None else in_files[place], kept) for place, room in enumerate(rooms)]
    except BaseException:
        for room in rooms:
            room.drop()
        raise
    return _packed((sides[0], sides[1]), ends, found.kept, facts, in_files is None)


def _packed(
    sides: tuple[Tensor, Tensor], ends: tuple[End, End], kept: list[int], facts: dict[str, Any], in_memory: bool
) -> PackedPairs:
    """If every image of a side is gray, keep the first channel; as a view if memory-mapped."""
    narrow = [s[:, : e.channels] if isinstance(e, Image) else s for s, e in zip(sides, ends, strict=True)]
    held = [side.contiguous() if in_memory else side for side in narrow]
    return PackedPairs((held[0], held[1]), ends, kept, facts, in_memory)


def _survey(source: PairSource, deep: bool) -> Counter[Sizes]:
    """The (height, width) of each side of every pair whose header can be read."""

    def size(index: int) -> Sizes | None:
        place, pair = divmod(index, len(source.records))
        try:
            height, width = measure(source.sides[place].read(pair), deep=deep)
        except UserError:  # the scan will report it
            return None
        return (height, width // 2) if source.beside else (height, width)

    count = len(source.records) * (1 if source.beside else 2)
    return Counter(found for found in in_threads(size, count) if found is not None) or Counter({(8, 8): 1})


def _count(found: Scan, pair: Made) -> None:
    found.sizes[pair.size] += 1
    for title, image in zip(SIDES, pair.found, strict=True):
        found.modes[f"{title}: {image.mode}"] += 1
        found.conversions.update(f"{title}: {what}" for what in image.conversions)
        found.notes.update(f"{title}: {what}" for what in image.notes)


def _check(source: PairSource, wishes: PairWishes, found: Scan, rooms: Sequence[Room]) -> None:
    """Refuse too many faults, no pairs at all, and sides of mixed formats."""
    found.faults.sort(key=lambda fault: fault.where)
    if len(found.faults) > tolerated(wishes.plain.skip_bad, found.total):
        raise first_of(found.faults, left=len(found.kept))
    if not found.kept:
        raise UserError("E-CHK-03", source.root, "0 pairs could be read", "put at least one pair in it", found=0)
    for room in rooms:
        room.check()


def _cache_of(source: PairSource, wishes: PairWishes, cache: Path | None) -> list[Path] | None:
    """The cache folders of this source's sides packed with these options."""
    if source.identity is None:
        return None
    asked = sorted(asdict(wishes.plain).items()), wishes.bits, wishes.mapped
    key = identity_of(_CACHE_FORMAT, source.identity, source.layout, *asked)
    return [Path(cache or store.cache_folder()) / f"{key}-{title}" for title in SIDES]


def _load(folders: list[Path]) -> PackedPairs | None:
    """The cached pairs; None if a side is absent or incomplete."""
    found = [store.load(folder) for folder in folders]
    if found[0] is None or found[1] is None:
        return None
    (a, kept), (b, _) = found[0], found[1]
    schema = Schema.from_json(kept["schema"])
    assert isinstance(schema.x, (Image, LabelMap)) and isinstance(schema.y, (Image, LabelMap))
    return _packed((a, b), (schema.y, schema.x), kept["kept"], kept["facts"], False)
