"""MNIST's idx file format: big-endian; a magic number, one length per dimension, then the values; optionally
gzipped.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from seisei.data.source import ArraySource, Record, classes_of, identity_of, split_of
from seisei.data.sources.arrays import as_images
from seisei.errors import UserError
from seisei.paths import below, check_regular

# Data types by the third byte.
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_FORM = re.compile(r"[-._]idx(?P<dimensions>\d)[-._](ubyte|byte|short|int|float|double)$")
_SUFFIXES = {"", ".bin", ".dat", ".ubyte", ".idx"}
_PARTS = ("train", "validation", "test")
# Deflate's maximum compression ratio; a header that claims more is false.
_RATIO = 1032


def is_idx(path: Path) -> bool:
    """Whether a file holds images in idx format, by its name, or by its header if the name is inconclusive."""
    form = _form(path.name)
    if form is not None and "images" in path.name.lower():
        return True
    return (form is not None or _suits(path.name)) and _dimensions(path) in (3, 4)


def idx_source(path: Path, typed: str | None = None) -> ArraySource:
    """The images of one file or a folder of files, with the labels in matching files.

    Arguments:
        path: a file of images such as ``train-images-idx3-ubyte.gz``, or a folder of such files.
        typed: the name that the user gave.

    Raises:
        UserError: a header that does not match the file, or different numbers of images and labels.
    """
    given = [path] if path.is_file() else below(path).files
    files = given if path.is_file() else sorted((f for f in given if is_idx(f)), key=_place)
    if not files:
        raise UserError("E-CHK-04", typed or path, "no idx file of images", "give one such as train-images-idx3-ubyte")
    arrays, records, stamps, notes, used = [], list[Record](), [], list[str](), set[Path]()
    for file in files:
        images = read_idx(file, 3, 4)
        split = split_of(file.name) if len(files) > 1 else None
        beside = _labels_beside(file)
        labels = None if beside is None else _labels(beside, notes)
        if beside is not None:
            used.add(beside)
        if labels is not None and len(labels) != len(images):
            problem = f"{len(images)} images but {len(labels)} labels"
            raise UserError(
                "E-CHK-18", file.name, problem, "get both files again", found=len(labels), wanted=len(images)
            )
        stem = file.name.split(".")[0]
        for i in range(len(images)):
            records.append(Record(f"{stem}:{i}", None if labels is None else labels[i], split))
        arrays.append(images)
        stamps.append((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns))
    for file in given:
        if _suits(file.name) and file not in used and _dimensions(file) in (1, 2):
            notes.append(f"{file.name} is not read: a label file is named like its image file, with labels for images")
    if len({(a.shape[1:], a.dtype) for a in arrays}) != 1:
        shapes = ", ".join(
            f"{f.name} {a.shape[2]}x{a.shape[1]} {a.dtype.name}" for f, a in zip(files, arrays, strict=True)
        )
        what = "sizes" if len({a.shape[1:] for a in arrays}) != 1 else "types"
        raise UserError("E-CHK-19", typed or path, f"{what} differ: {shapes}", "name one of the files")
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    root = typed or str(path)
    pixels, levels, rule = as_images(array, root)
    if array.dtype != np.uint8:
        notes.append(rule)
    classes = classes_of(r.label for r in records)
    return ArraySource("MNIST idx", root, pixels, levels, records, classes, identity_of(stamps), notes)


def _place(file: Path) -> tuple[int, str]:
    """Sort key: train first."""
    split = split_of(file.name)
    return _PARTS.index(split) if split in _PARTS else 0, str(file)


def _form(name: str) -> re.Match[str] | None:
    """The dimensions and type in a name's ending."""
    return _FORM.search(name.lower().removesuffix(".gz"))


def _suits(name: str) -> bool:
    """Whether a file of this name may be a renamed idx file."""
    plain = name.lower().removesuffix(".gz")
    return _form(name) is not None or Path(plain).suffix in _SUFFIXES


def _key(name: str) -> str:
    """The key that an image file's name shares with its label file's."""
    plain = name.lower().removesuffix(".gz")
    plain = _FORM.sub("", plain).removesuffix(".idx").removesuffix(".bin").removesuffix(".dat").removesuffix(".ubyte")
    return plain.replace("images", "labels").replace("image", "label")


def _dimensions(path: Path) -> int | None:
    """The number of dimensions in an idx header, None for other files."""
    if not path.is_file():
        return None
    try:
        with _opened(path) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return None
    return head[3] if len(head) == 4 and head[:2] == b"\0\0" and head[2] in TYPES else None


def _opened(path: Path) -> BinaryIO:
    check_regular(path, path.name)
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _labels_beside(file: Path) -> Path | None:
    """The label file of an image file; bytes are preferred to other types, and plain to gzipped."""
    key = _key(file.name)
    found = [
        other for other in file.parent.iterdir()
        if other.name != file.name and _suits(other.name) and _key(other.name) == key
        and (_form(other.name) is not None or _dimensions(other) in (1, 2)) and not is_idx(other)
    ]  # fmt: skip
    return min(found, key=lambda p: ("idx1" not in p.name.lower(), p.suffix.lower() == ".gz", p.name), default=None)


def _labels(file: Path, notes: list[str]) -> list[str]:
    """The labels as strings; the first of several columns, as in QMNIST."""
    values = read_idx(file, 1, 2)
    if values.ndim == 2:
        notes.append(f"labels are the first of {values.shape[1]} columns of {file.name}")
        values = values[:, 0]
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.rint(values))
        if not whole.all():
            problem = f"label {int(np.argmin(whole))} is {values[~whole][0]:g}, wanted integers"
            raise UserError("E-TRN-12", file.name, problem, "remove the file, or give class numbers")
        values = values.astype(np.int64)
    return [str(label) for label in values.tolist()]


def read_idx(path: Path, *dimensions: int) -> NDArray[Any]:
    """The values of one idx file; nothing beyond the file's size is allocated.

    Arguments:
        path: the file.
        dimensions: allowed numbers of dimensions.

    Raises:
        UserError: another type or number of dimensions, or a header that claims more than the file holds.
    """
    check_regular(path, path.name)
    present = path.stat().st_size
    if present == 0:
        raise UserError("E-CHK-07", path.name, "0 bytes", "re-copy it", found=0)
    zipped = path.suffix.lower() == ".gz"
    try:
        with _opened(path) as file:
            return _values(file, path.name, dimensions, present * _RATIO if zipped else present)
    except PermissionError:
        mode = path.stat().st_mode & 0o777
        raise UserError("E-CHK-05", path.name, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except (EOFError, OSError, zlib.error) as error:
        raise UserError("E-CHK-06", path.name, f"is damaged ({error})", "get the file again", found=present) from None


def _values(file: BinaryIO, name: str, dimensions: tuple[int, ...], most: int) -> NDArray[Any]:
    head = file.read(4)
    size = 4 + 4 * (head[3] if len(head) == 4 and head[3] in dimensions else dimensions[0])
    head += file.read(size - len(head))
    if len(head) < size:
        raise UserError("E-CHK-06", name, f"ends after {len(head)} of {size} bytes of header", "get the file again")
    if head[:2] != b"\0\0" or head[2] not in TYPES or head[3] not in dimensions:
        wanted_head = f"00 00 08 {dimensions[0]:02x} (unsigned bytes, {dimensions[0]} dimensions)"
        problem = f"begins with {head[:4].hex(' ')}, wanted {wanted_head}"
        raise UserError("E-CHK-08", name, problem, "give a file in MNIST's format")
    kind = np.dtype(TYPES[head[2]])
    shape = struct.unpack(f">{head[3]}I", head[4:])
    wanted = math.prod(shape) * kind.itemsize
    values = b"" if wanted > most else file.read(wanted + 1)
    if len(values) != wanted:
        found = (
            f"at most {most}"
            if wanted > most
            else f"{'more than ' if len(values) > wanted else ''}{min(len(values), wanted)}"
        )
        problem = f"its header claims {' x '.join(map(str, shape))} = {wanted} bytes, the file has {found}"
        raise UserError("E-CHK-06", name, problem, "get the file again", found=len(values), wanted=wanted)
    found_values: NDArray[Any] = np.frombuffer(values, kind).reshape(shape)
    return found_values.astype(kind.newbyteorder("="), copy=False)
