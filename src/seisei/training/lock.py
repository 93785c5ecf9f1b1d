"""One writer per run: the lock in a run's folder, which also tells whether the folder is still there."""

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

# What an operating system or a network drive answers that has no locks.
_NAMES = ("ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP")
NO_LOCKS = {getattr(errno, name) for name in _NAMES if hasattr(errno, name)}
GONE = {getattr(errno, name) for name in ("ENOENT", "ENOTDIR", "ESTALE") if hasattr(errno, name)}


class Lock:
    """A lock that the operating system holds, so that the lock of a dead process never has to be broken.

    Arguments:
        path: of the lock file; made where it is not there.

    Raises:
        UserError: another process has it, or the folder cannot be written.
        ResourceError: the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        # The first byte stays blank: Windows lets nobody else read a byte that is locked.
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
        # Without locks the file's own word has to do. Only a process of this machine can be seen to be dead.
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
            # Some network drives number a file anew each time, so that what it says counts as well.
            same = (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
            return same or self.path.read_bytes() == self._holder
        except OSError as error:
            return error.errno not in GONE  # Else it cannot be told now; writing will tell.

    def check(self) -> None:
        """Make sure that the folder is still the one that was locked.

        Raises:
            ResourceError: it was moved, removed or replaced: what is written from now on would be lost.
        """
        if not self.there():
            problem = "was moved, removed or replaced while it was in use"
            raise ResourceError("E-TRN-28", self.path.parent, problem, "put it back, then resume it")

    def release(self) -> None:
        """Give the run back."""
        try:
            os.ftruncate(self._handle, 0)
        finally:
            os.close(self._handle)


def unwritable(folder: Path, error: OSError, remedy: str = "make it writable") -> UserError:
    """What to say of a folder that cannot be written to: a full disk is another matter than a lack of permission."""
    problem = f"cannot be written ({error.strerror})"
    if error.errno in FULL - {errno.EROFS}:
        return ResourceError("E-TRN-22", folder, problem, "free some space, then try again")
    return UserError("E-TRN-21", folder, problem, remedy)
