"""Where results go: looked at before any work starts, written whole or not at all, never over what is there unasked."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from seisei.errors import ResourceError, UserError
from seisei.paths import check_name

# The codes for: the folder is absent or cannot be written, something is there, the format does not fit.
SHARED = ("E-*-15", "E-*-16", "E-*-17")
SAMPLE = ("E-SMP-21", "E-SMP-22", "E-SMP-23")


@dataclass(frozen=True)
class Target:
    """A file or a folder to be written."""

    path: Path
    overwrite: bool

    def write(self, content: bytes) -> Path:
        """The file, complete or not at all."""
        return _guarded(self.path, lambda: _replace(self.path, content))

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> Path:
        """A folder of files; a new folder appears when it is whole."""

        def work() -> None:
            unfinished = (
                self.path if self.path.is_dir() else self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
            )
            try:
                for name, content in files:
                    (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
                    _replace(unfinished / name, content)
                if unfinished != self.path:
                    os.rename(unfinished, self.path)
            finally:
                if unfinished != self.path:
                    shutil.rmtree(unfinished, ignore_errors=True)

        return _guarded(self.path, work)


def target(
    given: Path | None,
    default: Path,
    *,
    suffixes: tuple[str, ...],
    overwrite: bool,
    codes: tuple[str, str, str] = SHARED,
) -> Target:
    """The place for a result.

    Arguments:
        given: by the user; refused where something is there.
        default: inside the run; where it is taken, a number is added, so that nothing is lost and nobody is refused.
        suffixes: of the formats offered; none for a folder.
        overwrite: replace what is there.
        codes: of the three errors.

    Raises:
        UserError: the folder is absent or cannot be written, something is there, the format does not fit.
    """
    path = default if given is None else given
    check_name(path, codes[0], "-o")
    if given is None and not overwrite:
        path = _free(path)
    if suffixes and path.suffix.lower() not in suffixes:
        found, wanted = path.suffix or "no suffix", ", ".join(suffixes)
        raise UserError(
            codes[2],
            path,
            f"{found} is not offered here, wanted {wanted}",
            f"name it {path.stem}{suffixes[0]}",
            found=found,
        )
    if not suffixes and path.suffix.lower() in (".png", ".jpg", ".npz", ".csv"):
        raise UserError(
            codes[2],
            path,
            "names a file, and --separate makes a folder",
            f"name it {path.stem}, or leave out --separate",
        )
    parent = path.absolute().parent
    if given is None and not parent.exists():
        parent = parent.parent  # the run itself: the folder for results is made when there is one
    if not parent.is_dir():
        raise UserError(codes[0], path, f"there is no folder {path.parent}", "make it, or choose another place with -o")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(codes[0], path, f"the folder {path.parent} cannot be written", "choose another place with -o")
    if suffixes and path.is_dir():
        raise UserError(codes[1], path, "is a folder", f"name a file in it, such as {path / default.name}")
    if not suffixes and path.exists() and not path.is_dir():
        raise UserError(codes[1], path, "is a file, wanted a folder", "choose another place with -o")
    taken = path.exists() and (bool(suffixes) or any(path.iterdir()))
    if taken and not overwrite:
        raise UserError(
            codes[1],
            path,
            "exists" if suffixes else "is not empty",
            "pass --overwrite, or choose another place with -o",
        )
    return Target(path, overwrite)


def plain(name: str) -> str:
    """A piece of a file name.

    Example:
        >>> plain("photos/cat 1.jpg")
        'cat-1'
    """
    return re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:60] or "input"


def _free(path: Path) -> Path:
    count, tried = 1, path
    while tried.exists():
        count += 1
        tried = path.with_name(f"{path.stem}-{count}{path.suffix}")
    return tried


def _replace(path: Path, content: bytes) -> None:
    from seisei.training.tensors import replace_bytes

    replace_bytes(path, content)


def _guarded(path: Path, work: Callable[[], None]) -> Path:
    try:
        path.parent.mkdir(exist_ok=True)
        work()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise ResourceError(
                "E-*-15", path, f"cannot be written ({error.strerror})", "free some space and try again"
            ) from error
        raise UserError(
            "E-*-15", path, f"cannot be written ({error.strerror})", "choose another place with -o"
        ) from error
    return path
