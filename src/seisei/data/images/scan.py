"""Decoding every image once: sizes and modes, faulty images, and how many of them may be skipped."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from seisei.data.source import ArraySource, Source
from seisei.errors import UserError
from seisei.modalities.image_io import MAX_PIXELS, DecodedImage, is_bilevel, measure, read_image
from seisei.modalities.pixels import WHITE, Color

T = TypeVar("T")
Progress = Callable[[int, int], None]
Sink = Callable[[int, Any], None]
MIN_SIZE = 8
_WINDOW = 256


@dataclass
class Scan:
    """The result of a scan.

    Arguments:
        total: number of images, faulty ones included.
        kept: source indices of those that were read.
        sizes: number of images by (height, width).
        modes: number of images by Pillow mode.
        conversions: number of images by conversion.
        notes: number of images by harmless problem.
        faults: errors of the faulty images.
    """

    total: int
    kept: list[int] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    faults: list[UserError] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data; faults become the list of skipped images."""
        return {
            "total": self.total,
            "kept": len(self.kept),
            "sizes": {f"{width}x{height}": n for (height, width), n in self.sizes.most_common(20)},
            "different_sizes": len(self.sizes),
            "modes": dict(self.modes.most_common()),
            "conversions": dict(self.conversions.most_common()),
            "warnings": dict(self.notes.most_common()),
            "skipped": [{"code": f.code, "name": f.where, "problem": f.problem} for f in self.faults],
        }


def scan(
    source: Source,
    *,
    skip_bad: str | int | None = None,
    max_pixels: int = MAX_PIXELS,
    min_size: int = MIN_SIZE,
    first_frame: bool = False,
    background: Color = WHITE,
    at_least: tuple[int, int] | None = None,
    make: Callable[[DecodedImage, str], Any] | None = None,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Decode every image of a source once.

    Arguments:
        source: the images.
        skip_bad: how many faulty images may be skipped: a number, or a share such as ``1%``; by default 0.1 % and at
            most 10.
        max_pixels: refuse larger images.
        min_size: refuse images with a shorter side.
        first_frame: use the first frame of animations and multi-page files.
        background: color behind transparent pixels.
        at_least: height and width that suffice, to decode large JPEGs faster.
        make: transforms an image, given its name; runs in the decoding threads.
        sink: receives the index among those kept, and the output of `make`.
        progress: called with the number of images done and the total.

    Raises:
        UserError: the first fault, if there are more than `skip_bad` allows; the next four are its notes.
    """
    total = len(source.records) + len(source.faults)
    found = Scan(total, faults=list(source.faults))
    allowed = tolerated(skip_bad, total)
    if isinstance(source, ArraySource) and make is None:
        _scan_array(source, found, min_size)
    else:

        def read(index: int) -> tuple[DecodedImage, Any] | UserError:
            name = source.records[index].name
            try:
                image = read_image(
                    source.read(index),
                    where=name,
                    max_pixels=max_pixels,
                    min_size=min_size,
                    background=background,
                    first_frame=first_frame,
                    at_least=at_least,
                )
                return image, make(image, name) if make else None
            except UserError as error:
                return error

        for index, result in enumerate(in_threads(read, len(source.records), progress)):
            if isinstance(result, UserError):
                found.faults.append(result)
                continue
            image, made = result
            found.sizes[image.size] += 1
            found.modes[image.mode] += 1
            found.conversions.update(image.conversions)
            found.notes.update(image.notes)
            if sink is not None:
                sink(len(found.kept), made)
            found.kept.append(index)
    found.faults.sort(key=lambda fault: fault.where)
    if len(found.faults) > allowed:
        raise first_of(found.faults, left=len(found.kept))
    if not found.kept:
        raise UserError("E-CHK-03", source.root, "0 images could be read", "put at least one image in it", found=0)
    return found


def tolerated(skip_bad: str | int | None, total: int) -> int:
    """How many faulty images may be skipped.

    Example:
        >>> tolerated(None, 3000), tolerated(None, 10**6), tolerated("1%", 250), tolerated(7, 10)
        (3, 10, 2, 7)
    """
    if skip_bad is None:
        return min(10, total // 1000)
    text = str(skip_bad).strip()
    try:
        value = float(text.removesuffix("%"))
        if not (math.isfinite(value) and value >= 0 and (text.endswith("%") or value.is_integer())):
            raise ValueError
    except ValueError:
        remedy = "write a number such as 5 or a share such as 1%"
        raise UserError("E-TRN-06", "--skip-bad", f"{text!r} is not a number of images", remedy, found=text) from None
    # Rounded first: 0.57 % of 10,000 is 56.999… in binary.
    return math.floor(round(total * value / 100, 9)) if text.endswith("%") else int(value)


def first_of(faults: list[UserError], left: int = 0) -> UserError:
    """The first fault, with the number of others; the next four are its notes.

    Arguments:
        faults: all faults.
        left: number of intact examples; if there are any, the remedy offers to skip the faulty ones.
    """
    first, more = faults[0], len(faults) - 1
    problem = first.problem + (f" (+{more} more)" if more else "")
    remedy = re.sub(r",? or pass --skip-bad \S+", "", first.remedy)
    remedy += f" or pass --skip-bad {len(faults)}" if left else ""
    error = UserError(first.code, first.where, problem, remedy, found=first.found, wanted=first.wanted)
    for fault in faults[1:5]:
        error.add_note(str(fault))
    return error


def survey(source: Source, progress: Progress | None = None) -> Counter[tuple[int, int]]:
    """The (height, width) of every image whose header can be read; nothing is decoded."""
    if isinstance(source, ArraySource):
        return Counter({(int(source.array.shape[1]), int(source.array.shape[2])): len(source.array)})

    def size(index: int) -> tuple[int, int] | None:
        try:
            return measure(source.read(index))
        except UserError:  # the scan will report it
            return None

    return Counter(s for s in in_threads(size, len(source.records), progress) if s is not None)


def bilevel(source: Source) -> bool:
    """Whether every readable image of a source has one bit per pixel."""
    if isinstance(source, ArraySource):
        return False
    found = False
    for index in range(len(source.records)):  # usually ends at the first image
        try:
            if not is_bilevel(source.read(index)):
                return False
        except UserError:  # the scan will report it
            continue
        found = True
    return found


def in_threads(work: Callable[[int], T], count: int, progress: Progress | None = None) -> Iterator[T]:
    """The results for 0 … count - 1 in order, computed in threads with bounded look-ahead."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, count, _WINDOW):
            end = min(start + _WINDOW, count)
            yield from pool.map(work, range(start, end))
            if progress is not None:
                progress(end, count)


def _scan_array(source: ArraySource, found: Scan, min_size: int) -> None:
    count, height, width, channels = source.array.shape
    if min(height, width) < min_size:
        problem = f"is {width}x{height} pixels, wanted at least {min_size}x{min_size}"
        wanted = f"{min_size}x{min_size}"
        raise UserError("E-CHK-10", source.root, problem, "lower --min-size", found=f"{width}x{height}", wanted=wanted)
    found.kept = list(range(count))
    found.sizes[height, width] = count
    found.modes[{1: "L", 3: "RGB"}.get(channels, f"{channels} channels")] = count
    assert source.array.dtype == np.uint8
