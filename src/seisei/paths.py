"""What a path leads to: regular files, runs, and the files below a folder that may be data."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from seisei.errors import UserError, half_character

# What systems and programs leave in folders; names are compared in lower case.
CLUTTER_FOLDERS = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"}
CLUTTER_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: str | os.PathLike[str], where: object | None = None, code: str = "E-CHK-05") -> None:
    """Refuse what is neither a file nor a folder, before it is opened: reading a pipe or a device may never end.

    Arguments:
        path: links are followed; what is absent, or a folder, is left to the caller.
        where: what the error calls it; the path by default.
        code: of the error.

    Raises:
        UserError: a named pipe, a socket or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    kind = next((name for matches, name in _SPECIAL if matches(mode)), None)
    if kind is not None:
        problem = f"is not a regular file but {kind}"
        raise UserError(code, path if where is None else where, problem, "save its content as a file, or remove it")


def check_name(path: Path, code: str, option: str) -> None:
    """Refuse a name that no file can have, before anything is written under it.

    Arguments:
        path: of a result.
        code: of the error.
        option: that chooses another name.

    Raises:
        UserError: it holds what is no text or ends a name for the system, or the system refuses it, as too long.
    """
    problem = None
    if half_character(str(path)) is not None:
        problem = "is not a name in UTF-8"
    elif "\0" in str(path):
        problem = "holds a zero byte, which no name may"
    else:
        try:
            # What is written lies under a longer name until it is whole.
            os.lstat(path.with_name(path.name + 40 * "."))
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
                problem = f"cannot be written ({error.strerror})"
    if problem is not None:
        raise UserError(code, shortened(str(path)), problem, f"choose another {option}")


def shortened(name: str, most: int = 80) -> str:
    """A name to be shown, its middle left out where it is long."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def exists(path: Path) -> bool:
    """Whether something is there; names that the system refuses, such as too long ones, are names of nothing."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_clutter(name: str) -> bool:
    """Whether a name is hidden, or of what systems and programs leave in folders.

    Example:
        >>> is_clutter(".DS_Store"), is_clutter("@eaDir"), is_clutter("Thumbs.db"), is_clutter("cat")
        (True, True, True, False)
    """
    return name.startswith(".") or name.lower() in CLUTTER_FOLDERS | CLUTTER_FILES


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is one that a training writes, or the interrupted start of one."""
    path = Path(folder)
    if (path / "recipe.json").is_file():
        return (path / "schema.json").is_file() or (path / ".lock").is_file()
    if not (path / ".lock").is_file():
        return False
    return all(n == ".lock" or (n.startswith(".") and n.endswith(".tmp")) for n in os.listdir(path))


@dataclass
class Below:
    """The files below a folder; hidden ones, clutter and runs are passed over.

    Arguments:
        files: in the order of their names, folder by folder.
        runs: folders that are runs, relative to the root.
        clutter: folders that systems and programs leave, by name.
    """

    files: list[Path] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    clutter: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What was passed over and may be missed."""
        return passed_over(self.runs, self.clutter)


def below(root: Path, *, strict: bool = True) -> Below:
    """What lies below a folder. Links to folders are not followed; what is no regular file is listed as well.

    Arguments:
        root: the folder.
        strict: refuse folders that cannot be read; else they are passed over, for a caller that reads them again.

    Raises:
        UserError: the folder is itself a run, or see `strict`.
    """
    check_no_run(root)
    found, waiting = Below(), [root]
    while waiting:  # a list instead of recursion: folders may be nested deeper than Python's stack
        folder = waiting.pop()
        folders = []
        try:
            with os.scandir(folder) as opened:
                entries = sorted(opened, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if strict:
                problem = error.strerror or "cannot be read"
                raise UserError("E-CHK-05", folder, problem.lower(), "make it readable, or move it away") from None
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name.lower() in CLUTTER_FOLDERS:
                    found.clutter.append(entry.name)
                elif is_clutter(entry.name):
                    continue
                elif is_run(path):
                    found.runs.append(path.relative_to(root).as_posix())
                else:
                    folders.append(path)
            elif not is_clutter(entry.name) and not os.path.isdir(path):
                found.files.append(path)
        waiting += reversed(folders)
    return found


def check_no_run(root: Path, where: object | None = None) -> None:
    """Refuse a run that is given as data.

    Raises:
        UserError: the folder is a run.
    """
    if is_run(root):
        remedy = "give the folder of its data, or a folder in it, such as out"
        raise UserError("E-CHK-02", root if where is None else where, "is a run, wanted data", remedy)


def passed_over(runs: list[str], clutter: list[str]) -> list[str]:
    """One line each on runs and clutter that were not read."""
    notes = []
    if runs:
        some = ", ".join(runs[:3]) + (", …" if len(runs) > 3 else "")
        notes.append(f"{len(runs):,} run{'s' * (len(runs) > 1)} of seisei, not read as data: {some}")
    if clutter:
        notes.append("folders of the system, not read as data: " + ", ".join(sorted(set(clutter))))
    return notes
