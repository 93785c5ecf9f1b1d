"""Image pairs in arrays: ``{"a": …, "b": …}``, also by split, a tuple of two, or a ``.npz`` file of these."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.data.pairs.source import SIDES, PairSource, Side, no_pairs, titles_of, told
from seisei.data.source import Record, identity_of
from seisei.data.sources.arrays import as_images, as_nhwc, as_numpy, half_of_memory, read_npz
from seisei.errors import UserError

ORDER = (None, "train", "validation", "test")


def array_pairs(given: Any, typed: str | None = None, *, bits: int | None = None) -> PairSource:
    """Pairs in arrays, at their native bit depth.

    Arguments:
        given: the path of a ``.npz`` file; a mapping with keys such as ``a``, ``b_train`` or ``input``; or a tuple of
            two arrays.
        typed: the name that the user gave.
        bits: 8 converts all to 8 bits.

    Raises:
        UserError: unknown keys, sides of different lengths, or values that are not images.
    """
    where = typed or "arrays"
    identity = None
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if path.suffix.lower() != ".npz":
            raise no_pairs(where, "one array")
        facts = path.stat()
        identity = identity_of("pairs", str(path.resolve()), facts.st_size, facts.st_mtime_ns, bits)
        given = read_npz(path, where, half_of_memory())
    parts = _parts(given, where)
    records: list[Record] = []
    for split, arrays in parts.items():
        counts = [len(array) for array in arrays]
        if counts[0] != counts[1]:
            problem = f"{split or 'all'}: {counts[0]} images of {SIDES[0]} but {counts[1]} of {SIDES[1]}"
            remedy = "give one image of each side for every pair"
            raise UserError("E-CHK-18", where, problem, remedy, found=counts[1], wanted=counts[0])
        records += [Record(f"{split or 'pair'}:{i}", split=split) for i in range(counts[0])]
    names = [record.name for record in records]
    sides, notes = [], []
    for place, title in enumerate(SIDES):
        array, levels, rule = _deep([arrays[place] for arrays in parts.values()], f"{where} {title}", bits)
        sides.append(Side([f"{title} {name}" for name in names], array.__getitem__, levels))
        notes.append(f"{title}: {rule}")
    return PairSource("arrays", where, records, (sides[0], sides[1]), identity, notes=notes)


def _parts(given: Any, where: str) -> dict[str | None, tuple[NDArray[Any], NDArray[Any]]]:
    """A and B of each split."""
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(hasattr(each, "shape") for each in given):
        given = {"a": given[0], "b": given[1]}
    if not isinstance(given, dict):
        raise no_pairs(where, f"a {type(given).__name__}")
    keys = ", ".join(map(str, given)) or "none"
    sided = {key: told(str(key)) for key in given}
    titles = titles_of({word for _, word in sided.values() if word is not None})
    if titles is None:
        remedy = 'give {"a": …, "b": …}, also with parts as in "a_train", or a tuple of two arrays'
        raise UserError("E-TRN-14", where, f"holds no image pairs: its keys are {keys}", remedy, found=list(given))
    found: dict[str | None, dict[str, NDArray[Any]]] = {}
    for key, (split, word) in sided.items():
        if word is not None:
            found.setdefault(split, {})[word] = as_numpy(given[key], where)
    parts: dict[str | None, tuple[NDArray[Any], NDArray[Any]]] = {}
    for split in (part for part in ORDER if part in found):
        missing = next((word for word in titles if word not in found[split]), None)
        if missing is not None:
            problem = f"{split or 'all'}: has no {missing} (its keys are {keys})"
            raise UserError("E-CHK-18", where, problem, "give both sides of every split", found=list(given))
        parts[split] = (found[split][titles[0]], found[split][titles[1]])
    return parts


def _deep(parts: list[NDArray[Any]], where: str, bits: int | None) -> tuple[NDArray[Any], int | None, str]:
    """One side as images (N, H, W, C) for `read_image`, their number of levels, and how they were interpreted."""
    kinds = Counter({str(array.dtype): 0 for array in parts})
    for array in parts:
        kinds[str(array.dtype)] += len(array)
    if len(kinds) > 1:
        listed = ", ".join(f"{kind} ×{count}" for kind, count in kinds.items())
        raise UserError("E-CHK-12", where, f"its splits have different dtypes: {listed}", "convert them to one dtype")
    shaped = [as_nhwc(array, where) for array in parts]
    if len({array.shape[1:] for array, _ in shaped}) > 1:
        listed = ", ".join(str(array.shape[1:]) for array, _ in shaped)
        raise UserError("E-CHK-19", where, f"the splits have different shapes: {listed}", "give them one size")
    whole = shaped[0][0] if len(shaped) == 1 else np.concatenate([array for array, _ in shaped])
    rule = f"{shaped[0][1]}, {whole.dtype}"
    floating = whole.dtype.kind == "f"
    whole = whole.astype(np.float32) if floating else whole
    if floating and not np.isfinite(whole).all():
        first = int(np.flatnonzero(~np.isfinite(whole).reshape(len(whole), -1).all(1))[0])
        problem = f"has values that are not finite (first in image {first})"
        raise UserError("E-CHK-22", where, problem, "replace them, or remove that image", found=first)
    binary = bool(((whole == 0) | (whole == 1)).all()) if whole.size else False
    if bits is None and not binary and (floating or whole.dtype == np.uint16):
        return whole, None, rule
    images, levels, rule = as_images(whole, where)
    return (images.astype(bool) if levels == 2 else images), levels, rule
