"""Storage of packed images: in memory, or in a memory-mapped file if they are too large."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.errors import ResourceError

# Assumed memory if the machine does not report it.
UNKNOWN_MEMORY = 8 << 30
_FACTS = "facts.json"
_KINDS = ("uint8", "uint16", "float32")


def memory() -> int:
    """This machine's memory in bytes."""
    if hasattr(os, "sysconf"):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    kilobytes = ctypes.c_ulonglong(0)
    if kernel is not None and kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return int(kilobytes.value) * 1024
    return UNKNOWN_MEMORY


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/seisei``, or ``~/.cache/seisei``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "seisei"


def _file(kind: str) -> str:
    return f"images.{kind}"


class Store:
    """A buffer for up to `count` images of one shape, filled in order.

    Arguments:
        count: capacity.
        shape: shape of one image, (C, H, W).
        folder: folder of the file; None for memory.
        kind: dtype: ``uint8``, ``uint16`` or ``float32``.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], folder: Path | None, kind: str = "uint8") -> None:
        assert kind in _KINDS
        self.shape, self.kind, self.filled, self.unfinished = shape, np.dtype(kind), 0, None
        self.array: NDArray[Any]
        if folder is None:
            self.array = np.empty((count, *shape), self.kind)
            return
        size = count * int(np.prod(shape)) * self.kind.itemsize
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < size + (64 << 20):
            problem = f"needs {size / 1e9:.2f} GB for the packed images and has {free / 1e9:.2f} GB free"
            raise ResourceError(
                "E-TRN-22",
                folder,
                problem,
                "free some space, or set XDG_CACHE_HOME to another disk",
                found=free,
                wanted=size,
            )
        self.unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
        self.array = np.memmap(self.unfinished / _file(kind), self.kind, "w+", shape=(count, *shape))

    def put(self, place: int, image: Tensor) -> None:
        """Add the next image."""
        assert place == self.filled
        self.array[place] = image.numpy()
        self.filled += 1

    def drop(self) -> None:
        """Remove the unfinished file."""
        if self.unfinished is not None:
            shutil.rmtree(self.unfinished, ignore_errors=True)

    def finish(self, folder: Path | None, facts: dict[str, Any]) -> Tensor:
        """The images, (N, C, H, W); a file is renamed to its final name, with the facts next to it.

        Arguments:
            folder: the final folder, None for memory.
            facts: data that `load` returns.
        """
        if self.unfinished is None or folder is None:
            return torch.from_numpy(self.array if self.filled == len(self.array) else self.array[: self.filled].copy())
        assert isinstance(self.array, np.memmap)
        self.array.flush()
        size = self.filled * int(np.prod(self.shape)) * self.kind.itemsize
        del self.array
        with open(self.unfinished / _file(self.kind.name), "r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
        facts = {**facts, "shape": [self.filled, *self.shape], "kind": self.kind.name}
        (self.unfinished / _FACTS).write_text(json.dumps(facts), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(self.unfinished, folder)
        loaded = load(folder)
        assert loaded is not None
        return loaded[0]


def load(folder: Path) -> tuple[Tensor, dict[str, Any]] | None:
    """The images and facts stored in a folder; None if they are absent or incomplete."""
    try:
        facts = json.loads((folder / _FACTS).read_text("utf-8"))
        shape, kind = tuple(int(n) for n in facts["shape"]), facts.get("kind", "uint8")
        if kind not in _KINDS:
            return None
        file, values = folder / _file(kind), np.dtype(kind)
        if file.stat().st_size != int(np.prod(shape)) * values.itemsize:
            return None
        # "c" (copy-on-write): torch requires a writable array; never written back.
        return torch.from_numpy(np.memmap(file, values, "c", shape=shape)), facts
    except (OSError, ValueError, KeyError, TypeError):
        return None
