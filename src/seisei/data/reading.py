"""What reading a data set needs beside the options of a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seisei.data import store
from seisei.data.options import DataOptions, option_name
from seisei.errors import UserError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Reading:
    """How a program reads data.

    Arguments:
        labels: y holds labels; None if the data have at least two classes and every example has one.
        unseen: tables: whether categories that occur only in held-out rows count as missing (and are reported), or are
            refused.
        seed: seed of the split.
        memory_limit: maximum size of packed images in memory, in bytes; by default a quarter of the memory. Larger
            data are kept in a file.
        cache: the folder for such files, see `seisei.data.store.cache_folder`.
        progress: called with the number of examples done and the total.
    """

    labels: bool | None = False
    unseen: Literal["refuse", "missing"] = "missing"
    seed: int = 0
    memory_limit: int | None = None
    cache: Path | None = None
    progress: Progress | None = None

    def limit(self, options: DataOptions) -> int:
        """The maximum size of packed images in memory, in bytes."""
        if self.memory_limit is not None:
            return self.memory_limit
        return store.memory() // 4 if options.memory is None else options.memory * 1_000_000


def refuse(name: str, options: DataOptions, reason: str, remedy: str = "leave it out") -> UserError:
    """The error about an option that these data do not have."""
    return UserError("E-TRN-13", option_name(name), f"is for {reason}", remedy, found=getattr(options, name))
