"""MNIST's file format, idx: big-endian, a magic number, one length per dimension, then the values; gzipped or not."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from seisei.data.source import SPLITS, ArraySource, Record, classes_of, identity_of
from seisei.errors import UserError
from seisei.paths import below, check_regular

IMAGES = re.compile(r"(?P<before>.*?)(?P<split>train|t10k|test|valid|val)?[-.]?images[-.]idx3[-.]ubyte(\.gz)?$")
# The most that deflate can gain; a header that claims more is lying.
_RATIO = 1032


def is_idx(path: Path) -> bool:
    """Whether the name is that of a file of pictures in MNIST's format."""
    return IMAGES.search(path.name) is not None


def idx_source(path: Path, typed: str | None = None) -> ArraySource:
    """The pictures, and the labels beside them, of one file or of a folder of files.

    Arguments:
        path: a file of pictures such as ``train-images-idx3-ubyte.gz``, or a folder of such files.
        typed: what the user called it.

    Raises:
        UserError: a length in a header that the file does not bear out, or labels that are not as many as the pictures.
    """
    files = [path] if path.is_file() else sorted((f for f in below(path).files if is_idx(f)), key=_place)
    arrays, records, stamps = [], list[Record](), []
    for file in files:
        images = read_idx(file, 3)
        match = IMAGES.search(file.name)
        split = SPLITS[match["split"]] if match and match["split"] and len(files) > 1 else None
        labels = _labels_beside(file)
        if labels is not None and len(labels) != len(images):
            problem = f"{len(images)} pictures but {len(labels)} labels"
            raise UserError(
                "E-CHK-18", file.name, problem, "get both files again", found=len(labels), wanted=len(images)
            )
        stem = file.name.split(".")[0]
        for i in range(len(images)):
            records.append(Record(f"{stem}:{i}", None if labels is None else str(labels[i]), split))
        arrays.append(images)
        stamps.append((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns))
    if len({a.shape[1:] for a in arrays}) != 1:
        shapes = ", ".join(f"{f.name} {a.shape[2]}x{a.shape[1]}" for f, a in zip(files, arrays, strict=True))
        raise UserError("E-CHK-19", typed or path, f"sizes differ: {shapes}", "name one of the files")
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    levels = 2 if array.max(initial=0) <= 1 else 256
    classes = classes_of(r.label for r in records)
    return ArraySource("MNIST idx", typed or str(path), array[..., None], levels, records, classes, identity_of(stamps))


def _place(file: Path) -> tuple[int, str]:
    """Train comes first, as people expect of an index."""
    match = IMAGES.search(file.name)
    return list(SPLITS).index(match["split"]) if match and match["split"] else 0, str(file)


def _labels_beside(file: Path) -> NDArray[np.uint8] | None:
    wanted = file.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    found = next((p for p in (file.with_name(wanted), file.with_name(wanted + ".gz")) if p.is_file()), None)
    return None if found is None else read_idx(found, 1)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The bytes of one idx file; nothing is allocated that the file does not hold.

    Raises:
        UserError: another type or number of dimensions, or more claimed than there is.
    """
    check_regular(path, path.name)
    present = path.stat().st_size
    if present == 0:
        raise UserError("E-CHK-07", path.name, "0 bytes", "re-copy it", found=0)
    zipped = path.suffix == ".gz"
    try:
        with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
            return _values(file, path.name, dimensions, present * _RATIO if zipped else present)  # type: ignore[arg-type]
    except PermissionError:
        mode = path.stat().st_mode & 0o777
        raise UserError("E-CHK-05", path.name, f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except (EOFError, OSError, zlib.error) as error:
        raise UserError("E-CHK-06", path.name, f"is damaged ({error})", "get the file again", found=present) from None


def _values(file: BinaryIO, name: str, dimensions: int, most: int) -> NDArray[np.uint8]:
    size = 4 + 4 * dimensions
    head = file.read(size)
    if len(head) < size:
        raise UserError("E-CHK-06", name, f"ends after {len(head)} of {size} bytes of header", "get the file again")
    if head[:4] != bytes((0, 0, 8, dimensions)):
        wanted_head = f"00 00 08 {dimensions:02x} (unsigned bytes, {dimensions} dimensions)"
        problem = f"begins with {head[:4].hex(' ')}, wanted {wanted_head}"
        raise UserError("E-CHK-08", name, problem, "give a file in MNIST's format")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    wanted = 1
    for length in shape:
        wanted *= length
    values = b"" if wanted > most else file.read(wanted + 1)
    if len(values) != wanted:
        found = (
            f"at most {most}"
            if wanted > most
            else f"{'more than ' if len(values) > wanted else ''}{min(len(values), wanted)}"
        )
        problem = f"its header claims {' x '.join(map(str, shape))} = {wanted} bytes and {found} are there"
        raise UserError("E-CHK-06", name, problem, "get the file again", found=len(values), wanted=wanted)
    return np.frombuffer(values, np.uint8).reshape(shape)
