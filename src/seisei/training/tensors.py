"""Tensors on disk: safetensors files, validated on reading and written atomically.

The format holds no code and no paths. The safetensors library parses it; the header is checked first, so that a
damaged or malicious file is refused before anything is allocated for it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from seisei.errors import UserError

PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib"}
LARGEST_HEADER, MOST_TENSORS = 8 << 20, 100_000


def size_of(path: Path) -> int:
    """The size of a regular file, checked before opening: a pipe would block, a device may be endless.

    Raises:
        OSError: it is missing, or not a regular file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return found.st_size


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and force it to disk."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk; not needed, nor available, on Windows."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: under a temporary name, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_bytes(temporary, content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Serialize to safetensors, deterministically. Tensors that share memory are written separately."""
    apart = {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}
    return save(apart)


def from_bytes(content: bytes, where: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        UserError: the file is damaged, or not a safetensors file (a pickle, for instance).
    """
    _look(content, where)
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(
            "E-*-06", where, f"is damaged ({error})", "copy the file again from an intact source"
        ) from error


def _look(content: bytes, where: str) -> None:
    mend = "copy the file again from an intact source"
    length = int.from_bytes(content[:8], "little")
    # A header length of 640 starts like a pickle, and 19,280 like a zip: the byte after the length distinguishes them.
    ours = length <= len(content) - 8 and content[8:9] == b"{"
    if not ours and (content[:2] == b"PK" or content[:1] == b"\x80"):
        raise UserError("E-*-03", where, "is a pickle", "convert it to safetensors if you trust it")
    if len(content) < 8 or length > min(len(content) - 8, LARGEST_HEADER):
        raise UserError("E-*-05", where, f"header of {length} bytes in a file of {len(content)}", mend)
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UserError("E-*-05", where, f"header is not JSON ({type(error).__name__})", mend) from error
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise UserError("E-*-05", where, "header is not a list of tensors", mend)
    end = 0
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        span = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(span, list) and len(span) == 2 and all(type(s) is int for s in span)):
            raise UserError("E-*-06", where, f"tensor {name!r} has no valid data_offsets", mend)
        spans.append((span[0], span[1], name))
    for start, stop, name in sorted(spans):
        if start != end or stop < start:
            raise UserError("E-*-06", where, f"tensor {name!r} starts at byte {start}, wanted {end}", mend)
        end = stop
    if end != len(content) - 8 - length:
        raise UserError("E-*-06", where, f"holds {len(content) - 8 - length} bytes of tensors, wanted {end}", mend)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def all_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity, or None."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
