"""One writer per run: a lock in the run folder, which also detects that the folder was moved or removed."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

from filelock import lock_descriptor

from seisei.errors import ResourceError, UserError
from seisei.training.checkpoint import FULL
from seisei.training.signals import alive

# Errors of operating systems and network drives without file locks.
_NAMES = ("ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP")
NO_LOCKS = {getattr(errno, name) for name in _NAMES if hasattr(errno, name)}
GONE = {getattr(errno, name) for name in ("ENOENT", "ENOTDIR", "ESTALE") if hasattr(errno, name)}


class Lock:
    """A lock held by the operating system, so that a dead process never leaves a stale lock.

    Arguments:
        path: the lock file; created if missing.

    Raises:
        UserError: another process holds it, or the folder is not writable.
        ResourceError: the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        # The first byte stays blank: on Windows no other process can read a locked byte.
        self._holder = f"\nprocess {os.getpid()} on {socket.gethostname()}".encode()
        try:
            if not self._taken():
                problem = f"is in use by {self._other() or 'another process'}, for {self._age()} s"
                raise UserError("E-RES-24", path.parent, problem, "wait for it, or stop it")
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, self._holder)
        except OSError as error:
            os.close(self._handle)
            raise unwritable(path.parent, error) from error
        except UserError:
            os.close(self._handle)
            raise

    def _taken(self) -> bool:
        try:
            return lock_descriptor(self._handle, blocking=False)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        # Without locks, rely on the file's content. Only a process on this machine can be checked.
        words = self._other().split()
        mine = len(words) == 4 and words[1].isdigit() and words[3] == socket.gethostname()
        return not mine or not alive(int(words[1]))

    def _other(self) -> str:
        os.lseek(self._handle, 1, os.SEEK_SET)
        return os.read(self._handle, 200).decode(errors="replace").strip()

    def _age(self) -> int:
        return int(time.time() - os.fstat(self._handle).st_mtime)

    def there(self) -> bool:
        """Whether the folder is still the one that was locked."""
        try:
            there, held = os.stat(self.path), os.fstat(self._handle)
            # Some network drives change inode numbers, so the content counts as well.
            same = (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
            return same or self.path.read_bytes() == self._holder
        except OSError as error:
            return error.errno not in GONE  # otherwise unknown for now; the next write will show

    def check(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises:
            ResourceError: it was moved, removed or replaced, so that further output would be lost.
        """
        if not self.there():
            problem = "was moved, removed or replaced while it was in use"
            raise ResourceError("E-TRN-28", self.path.parent, problem, "restore it, then resume")

    def release(self) -> None:
        """Release the lock."""
        try:
            os.ftruncate(self._handle, 0)
        finally:
            os.close(self._handle)


def unwritable(folder: Path, error: OSError, remedy: str = "make it writable") -> UserError:
    """The error for a folder that cannot be written: a full disk, or missing permission."""
    problem = f"cannot be written ({error.strerror})"
    if error.errno in FULL - {errno.EROFS}:
        return ResourceError("E-TRN-22", folder, problem, "free some space, then try again")
    return UserError("E-TRN-21", folder, problem, remedy)
