"""Arrays: ``.npz`` and ``.npy`` files, NumPy arrays and torch tensors."""

from __future__ import annotations

import ast
import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from seisei.data.source import SPLITS, ArraySource, Record, classes_of, identity_of
from seisei.data.store import memory
from seisei.errors import UserError, half_character
from seisei.paths import check_regular

MOST_CHANNELS = 64
_IMAGES = {"", "x", "image", "images", "data", "picture", "pictures", "arr_0"}
_LABELS = {"y", "label", "labels", "target", "targets", "class", "arr_1"}


def arrays_source(given: Any, typed: str | None = None, *, max_bytes: int | None = None) -> ArraySource:
    """Images in arrays.

    Arguments:
        given: a path, an array of images, a pair (images, labels), or a mapping with keys such as ``train``, ``x``,
            ``y_test``. Labels are integers or strings; vectors of numbers are conditions named y0, y1, …
        typed: the name that the user gave.
        max_bytes: refuse files that declare more; half of the memory by default.

    Raises:
        UserError: a file with Python objects or a false header, or an array that cannot be images.
    """
    where = typed or (Path(given).name if isinstance(given, (str, os.PathLike)) else "array")
    identity, kind = None, "arrays"
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        facts = path.stat()
        identity, kind = identity_of(str(path.resolve()), facts.st_size, facts.st_mtime_ns), f"arrays ({path.suffix})"
        given = (
            read_npy(path, where)
            if path.suffix.lower() == ".npy"
            else read_npz(path, where, max_bytes or half_of_memory())
        )
    parts = _parts(given, where)
    arrays, records, notes, levels = [], list[Record](), list[str](), []
    for split, (images, labels) in parts.items():
        array, level, rule = as_images(images, where)
        name = f"{split or 'image'}"
        if labels is not None and len(labels) != len(array):
            problem = f"{name}: {len(array)} images but {len(labels)} labels"
            raise UserError(
                "E-CHK-18", where, problem, "give one label for each image", found=len(labels), wanted=len(array)
            )
        for i in range(len(array)):
            label = None if labels is None else labels[i]
            vector = tuple((f"y{j}", str(v)) for j, v in enumerate(label)) if isinstance(label, list) else ()
            records.append(Record(f"{name}:{i}", None if label is None or vector else str(label), split, facts=vector))
        arrays.append(array)
        levels.append(level)
        notes.append(f"{name}: {rule}")
    if len({a.shape[1:] for a in arrays}) != 1:
        shapes = ", ".join(str(a.shape[1:]) for a in arrays)
        raise UserError(
            "E-CHK-19", where, f"the splits have images of different shapes: {shapes}", "give them one size"
        )
    for i, level in enumerate(levels):
        if level != max(levels):  # a split of only black and white, with grays in another
            arrays[i] = arrays[i] * np.uint8(max(levels) - 1)
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return ArraySource(kind, where, array, max(levels), records, classes_of(r.label for r in records), identity, notes)


def as_images(values: NDArray[Any], where: str) -> tuple[NDArray[np.uint8], int, str]:
    """An array of images as uint8 (N, H, W, C), its number of levels, and how it was interpreted.

    Shapes: (N, H, W); (N, H, W, C) if the last dimension is 1, 3 or 4, else (N, C, H, W) if the second is; else
    likewise if that dimension is at most 64 and the smallest of the three; (N, P) if P is a square, or three times a
    square with channels first. Values: bool; uint8; uint16, scaled; other integers from 0 to 255; floating point from 0
    to 1. Only 0 and 1 means two levels.

    Raises:
        UserError: another shape, other values, or values that are not finite.
    """
    array, rule = as_nhwc(values, where)
    if array.size == 0:
        raise UserError("E-CHK-03", where, "0 images", "put at least one image in it", found=0)
    if array.dtype == bool:
        return _eight_bits(array), 2, rule + ", bool"
    if array.dtype.kind not in "uif":
        raise UserError(
            "E-CHK-22", where, f"holds {array.dtype}", "give integers or floating point", found=str(array.dtype)
        )
    low, high = array.min(), array.max()
    limit = 1 if array.dtype.kind == "f" else 65535 if array.dtype == np.uint16 else 255
    if not (low >= 0 and high <= limit):
        bad = ~((array >= 0) & (array <= limit))
        first = int(np.flatnonzero(bad.reshape(len(array), -1).any(axis=1))[0])
        problem = f"values {low:g} to {high:g}, wanted 0 to {limit} (first in image {first})"
        raise UserError(
            "E-CHK-22", where, problem, "scale the values, or remove that image", found=[str(low), str(high)]
        )
    if high <= 1 and (array.dtype.kind != "f" or bool(((array == 0) | (array == 1)).all())):
        return _eight_bits(array), 2, rule + ", only 0 and 1"
    if array.dtype.kind == "f" or array.dtype == np.uint16:
        out = np.empty(array.shape, np.uint8)
        for i in range(0, len(array), 1024):  # in chunks, to avoid a float64 copy of everything
            out[i : i + 1024] = np.rint(array[i : i + 1024].astype(np.float64) * (255 / limit))
        return out, 256, f"{rule}, {array.dtype} scaled to 8 bits"
    return _eight_bits(array), 256, f"{rule}, {array.dtype}"


def _eight_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    # A converted memmap would still be of type memmap, though it is in memory.
    return array if array.dtype == np.uint8 else np.asarray(array.astype(np.uint8))


def as_nhwc(values: NDArray[Any], where: str) -> tuple[NDArray[Any], str]:
    """Images as (N, H, W, C), values unchanged, and how the shape was interpreted; see `as_images`.

    Raises:
        UserError: a shape that cannot be images.
    """
    shape = values.shape
    if values.ndim == 3:
        return values[..., None], "read as (N, H, W)"
    if values.ndim == 4 and shape[3] in (1, 3, 4):
        return values, "read as (N, H, W, C)"
    if values.ndim == 4 and shape[1] in (1, 3, 4):
        return values.transpose(0, 2, 3, 1), "read as (N, C, H, W)"
    if values.ndim == 4 and shape[3] <= MOST_CHANNELS and shape[3] < min(shape[1:3]):
        return values, f"read as (N, H, W, C) with {shape[3]} channels"
    if values.ndim == 4 and shape[1] <= MOST_CHANNELS and shape[1] < min(shape[2:]):
        return values.transpose(0, 2, 3, 1), f"read as (N, C, H, W) with {shape[1]} channels"
    if values.ndim == 2:
        side, side_of_three = math.isqrt(shape[1]), math.isqrt(shape[1] // 3)
        if side * side == shape[1] and side > 0:
            return values.reshape(-1, side, side, 1), f"rows of {shape[1]} read as {side}x{side}"
        if side_of_three > 0 and side_of_three * side_of_three * 3 == shape[1]:
            colors = values.reshape(-1, 3, side_of_three, side_of_three).transpose(0, 2, 3, 1)
            return colors, f"rows of {shape[1]} read as {side_of_three}x{side_of_three} with colors first"
    problem = f"has shape {shape}, which is not (N, H, W), (N, H, W, C), (N, C, H, W) or rows of a square"
    raise UserError("E-CHK-19", where, problem, "reshape it", found=list(shape))


def _parts(given: Any, where: str) -> dict[str | None, tuple[NDArray[Any], list[Any] | None]]:
    """The images and labels of each split, by their keys."""
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(hasattr(g, "shape") for g in given):
        given = {"x": given[0], "y": given[1]}
    if not isinstance(given, dict):
        given = {"x": given}
    found: dict[str | None, dict[str, NDArray[Any]]] = {}
    for key, value in given.items():
        words = (
            [w for w in re.split(r"[_\-. ]+", str(key).lower()) if w] if key not in ("arr_0", "arr_1") else [str(key)]
        )
        split = next((SPLITS[w] for w in words if w in SPLITS), None)
        rest = "_".join(w for w in words if w not in SPLITS)
        role = "x" if rest in _IMAGES or len(given) == 1 else "y" if rest in _LABELS else None
        if role is not None:
            found.setdefault(split, {})[role] = as_numpy(value, where)
    if None in found and len(found) > 1:
        del found[None]
    parts: dict[str | None, tuple[NDArray[Any], list[Any] | None]] = {}
    for split, roles in found.items():
        if "x" in roles:
            parts[split] = (roles["x"], _label_list(roles["y"], where) if "y" in roles else None)
    if not parts:
        keys = ", ".join(map(str, given)) or "none"
        raise UserError(
            "E-CHK-04",
            where,
            f"its keys are {keys}",
            "name the images x or images, and the labels y",
            found=list(given),
        )
    return parts


def _label_list(values: NDArray[Any], where: str) -> list[Any]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "uibf":
        # Vectors of conditions.
        vectors: list[Any] = values.tolist()
        return vectors
    if values.ndim != 1 or values.dtype.kind not in "uibU":
        problem = f"labels of shape {values.shape} and type {values.dtype}, wanted one integer or string per image"
        raise UserError("E-TRN-12", where, problem, "give class indices, names, or a vector of numbers per image")
    listed: list[Any] = values.tolist()
    for place, each in enumerate(listed):
        if isinstance(each, str) and (half := half_character(each)) is not None:
            problem = f"label {place} holds {half}, half of a character"
            raise UserError("E-TRN-12", where, problem, "write the whole character, or remove it")
    return listed


def as_numpy(value: Any, where: str) -> NDArray[Any]:
    """A copy of an array or tensor as a NumPy array.

    Raises:
        UserError: something else, or an array of objects.
    """
    if hasattr(value, "detach"):
        return np.array(value.detach().cpu().numpy())
    if not isinstance(value, np.ndarray):
        raise UserError("E-CHK-04", where, f"is a {type(value).__name__}", "give an array, a tensor or a path")
    if value.dtype.hasobject:
        raise UserError("E-CHK-13", where, "holds Python objects", "make it an array of numbers")
    # A copy: the user may modify the original.
    return value if isinstance(value, np.memmap) else np.array(value)


def half_of_memory() -> int:
    """Maximum size of unpacked arrays: half of the memory, in bytes."""
    return memory() // 2


def read_npy(path: Path, where: str) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped.

    Raises:
        UserError: it is not a .npy file, or its header claims more than the file holds.
    """
    check_regular(path, where)
    with open(path, "rb") as file:
        _check_header(file, path.stat().st_size, where)
    try:
        # "c" (copy-on-write): torch requires a writable array; never written back.
        loaded: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except ValueError:  # a file without values cannot be mapped
        raise UserError("E-CHK-03", where, "0 images", "put at least one image in it", found=0) from None
    return loaded


def read_npz(path: Path, where: str, max_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file by name.

    Raises:
        UserError: it is damaged, or would take more than `max_bytes`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    check_regular(path, where)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            total = sum(m.file_size for m in members)
            if total > max_bytes:
                problem = (
                    f"declares {total / 1e9:.1f} GB in {path.stat().st_size / 1e6:.1f} MB > {max_bytes / 1e9:.1f} GB"
                )
                remedy = "save it as .npy files, which are memory-mapped, only if you trust it"
                raise UserError("E-CHK-09", where, problem, remedy, found=total, wanted=max_bytes)
            for member in members:
                with archive.open(member) as file:
                    _check_header(file, member.file_size, where)  # type: ignore[arg-type]
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # zipfile and its decompressors share no class of errors
        raise UserError("E-CHK-06", where, f"is damaged ({error})", "get the file again") from None
    return arrays


def _check_header(file: BinaryIO, size: int, where: str) -> None:
    """Check a .npy header against the file's size, before anything is allocated."""
    head = file.read(10)
    if len(head) < 10 or not head.startswith(b"\x93NUMPY"):
        raise UserError(
            "E-CHK-08", where, "is not in NumPy's format", "save it with numpy.save", found=head[:6].hex(" ")
        )
    extra = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8:10] + file.read(extra - 2), "little")
    try:
        if length > 10_000:
            raise ValueError("a header of more than 10,000 bytes")
        header = ast.literal_eval(file.read(length).decode("latin1").strip())
        shape, kind = header["shape"], np.dtype(header["descr"])
        claimed = math.prod(int(n) for n in shape) * kind.itemsize
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise UserError("E-CHK-06", where, f"its header is damaged ({error})", "get the file again") from None
    if kind.hasobject:
        raise UserError(
            "E-CHK-13", where, "holds Python objects, which are not loaded", "save it as an array of numbers"
        )
    present = size - 8 - extra - length
    if claimed != present or min(shape, default=0) < 0:
        problem = f"its header claims {' x '.join(map(str, shape))} {kind} = {claimed} bytes, the file has {present}"
        raise UserError("E-CHK-06", where, problem, "get the file again", found=present, wanted=claimed)
