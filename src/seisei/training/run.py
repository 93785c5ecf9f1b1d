"""A run on disk: its folder, log and lock."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

from seisei.errors import ResourceError, UserError
from seisei.paths import check_name, check_regular
from seisei.shell import quoted
from seisei.training.checkpoint import FULL, SEALED, Checkpoints
from seisei.training.lock import Lock, unwritable
from seisei.training.tensors import PICKLES, replace_bytes

Listener = Callable[[dict[str, Any]], None]

# Format version of recipe.json, incremented when names in it change.
FORMAT = 2


class RunFolder:
    """The folder of one run.

    Arguments:
        path: the folder.
        part_of: the parent run's folder, if this run is its first stage.
    """

    def __init__(self, path: Path, part_of: Path | None = None) -> None:
        self.path, self.part_of = path, part_of
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.listeners: list[Listener] = []
        self._pending: list[str] = []
        self._lock: Lock | None = None

    @classmethod
    def create(cls, output: Path | None, name: str, *, overwrite: bool = False) -> RunFolder:
        """Create a run folder: `output`, or one under ``runs/`` named by the time and the recipe.

        Raises:
            UserError: the folder is not empty, or cannot be written.
        """
        if output is None:
            plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:80]
            output = _unused(Path("runs") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{plain}")
        if cls.replaces(output, overwrite=overwrite):
            _empty(output)
        try:
            output.mkdir(parents=True, exist_ok=True)
            probe = output / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise unwritable(output, error, "choose another --output") from error
        return cls(output)

    @staticmethod
    def replaces(output: Path | None, *, overwrite: bool = False) -> bool:
        """Whether the output folder exists and has content to replace.

        Raises:
            UserError: it is a file, or is not empty and may not be overwritten.
        """
        if output is None:
            return False
        check_name(output, "E-TRN-21", "--output")
        if output.exists() and not output.is_dir():
            raise UserError("E-TRN-20", output, "is a file, wanted a folder", "choose another --output")
        if not output.is_dir() or all(path.name == ".lock" for path in output.iterdir()):
            return False
        if not overwrite and not is_interrupted_start(output):
            remedy = f"resume it with `seisei resume {quoted(output)}`, pass --overwrite, or choose another --output"
            raise UserError("E-TRN-20", output, "is not empty", remedy)
        return True

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open an existing run.

        Raises:
            UserError: there is no such folder, or it is not a run.
        """
        folder = Path(path)
        if not folder.exists():
            raise UserError(
                "E-*-01", path, f"no such run (current folder: {Path.cwd().name})", "list the runs with `seisei list`"
            )
        if folder.is_file():
            if folder.suffix in PICKLES:
                raise UserError(
                    "E-*-03", path, "pickle formats are not loaded", "convert it to safetensors if you trust it"
                )
            raise UserError(
                "E-*-02", path, "is a file, wanted a run folder", "give the folder that `seisei train` made"
            )
        missing = [name for name in ("recipe.json", "schema.json") if not (folder / name).is_file()]
        if missing:
            pickles = [p.name for p in folder.iterdir() if p.suffix in PICKLES]
            if pickles:
                raise UserError(
                    "E-*-03", f"{path}/{pickles[0]}", "pickle formats are not loaded", "convert it to safetensors"
                )
            if any(folder.iterdir()) and is_interrupted_start(folder):
                problem = "is a training that stopped before its first step; there is nothing to resume"
                raise UserError("E-*-02", path, problem, "start it again with `seisei train` and the same --output")
            raise UserError(
                "E-*-02",
                path,
                f"is not a run: {' and '.join(missing)} missing",
                "give the folder that `seisei train` made",
            )
        return cls(folder)

    @property
    def resume_command(self) -> str:
        """The command that resumes this run."""
        return f"seisei resume {quoted(str(self.part_of or self.path))}"

    def write(self, name: str, content: dict[str, Any] | bytes) -> None:
        """Write a file of the run atomically.

        Raises:
            ResourceError: it cannot be written; an existing file is untouched.
        """
        data = (
            content
            if isinstance(content, bytes)
            else json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
        )
        target = self.path / name
        self.check()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in SEALED:
                self.checkpoints.seal(name, data)
            replace_bytes(target, data)
        except OSError as error:
            problem = f"cannot be written ({error.strerror})"
            raise ResourceError("E-TRN-22", target, problem, "free some space, then resume") from error

    def read(self, name: str) -> Any:
        """A JSON file of the run.

        Raises:
            UserError: it is missing or damaged.
        """
        check_regular(self.path / name, code="E-*-02")
        try:
            return json.loads((self.path / name).read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            at = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
            raise UserError(
                "E-*-02", self.path / name, f"cannot be read{at}", "use a run folder that seisei wrote"
            ) from error

    def recipe(self) -> dict[str, Any]:
        """The content of ``recipe.json``.

        Raises:
            UserError: it is missing or damaged, or was written by an incompatible version.
        """
        found = self.read("recipe.json")
        where = self.path / "recipe.json"
        if not isinstance(found, dict):
            raise UserError("E-*-02", where, "is not a description of a run", "use a run folder that seisei wrote")
        if found.get("format", 1) != FORMAT:
            problem = f"has format {found.get('format', 1)}, this program reads {FORMAT}: model parts were renamed"
            raise UserError("E-*-07", where, problem, "train again, or use the version that wrote it")
        return found

    def log(self, event: dict[str, Any]) -> None:
        """Append an event to ``log.jsonl`` and notify the listeners; while the disk is full, events are buffered.

        Raises:
            ResourceError: the folder is gone.
        """
        self.check()
        self._pending.append(json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n")
        try:
            with open(self.path / "log.jsonl", "ab", buffering=0) as file:
                _append(file, "".join(self._pending).encode())
            self._pending = []
        except OSError as error:
            if error.errno not in FULL:
                raise
        for listener in self.listeners:
            listener(event)

    def log_size(self) -> int:
        """The log's size in bytes after an fsync; a checkpoint records it to truncate the log on resume."""
        path = self.path / "log.jsonl"
        if not path.is_file():
            return 0
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size

    def cut_log(self, size: int) -> None:
        """Truncate the log to its size at a checkpoint: later steps are repeated."""
        path = self.path / "log.jsonl"
        if path.is_file() and path.stat().st_size > size:
            os.truncate(path, size)

    def events(self) -> Iterator[dict[str, Any]]:
        """The logged events; an incomplete last line is skipped."""
        path = self.path / "log.jsonl"
        check_regular(path, code="E-*-02")
        if path.is_file():
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        event = json.loads(line)
                    except (ValueError, RecursionError):
                        continue
                    if isinstance(event, dict):
                        yield event

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that could not start."""
        if self.path.is_dir() and [path.name for path in self.path.iterdir()] == [".lock"]:
            (self.path / ".lock").unlink()
            self.path.rmdir()

    def lock(self) -> Lock:
        """Lock the run for this process.

        Raises:
            UserError: another process holds the lock.
            ResourceError: the disk is full.
        """
        try:
            self._lock = Lock(self.path / ".lock")
        except ResourceError:
            self.discard_if_empty()
            raise
        return self._lock

    def check(self) -> None:
        """Check that the folder locked by this process still exists.

        Raises:
            ResourceError: it was moved, removed or replaced.
        """
        if self._lock is not None:
            self._lock.check()

    def release(self) -> None:
        """Release the lock, and remove the folder of a run that could not start."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            ours = lock.there()
            lock.release()
            if ours:
                self.discard_if_empty()


def _append(file: FileIO, content: bytes) -> None:
    """Write all of it or nothing: a partial line would be written again when space is free."""
    before = file.seek(0, os.SEEK_END)
    try:
        written = 0
        while written < len(content):
            written += file.write(content[written:]) or 0
    except OSError:
        file.truncate(before)
        raise


def _unused(base: Path) -> Path:
    """Create a folder of this name, with a number appended if another training started in the same second."""
    for count in range(1, 1000):
        folder = base if count == 1 else base.with_name(f"{base.name}-{count}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise unwritable(folder, error, "choose an --output") from error
        return folder
    raise UserError("E-TRN-20", base, "and 999 like it exist", "choose an --output")


def is_interrupted_start(folder: Path) -> bool:
    """Whether a folder holds only what a training leaves that was killed before its setup was complete."""
    names = {path.name for path in folder.iterdir()}
    ours = {name for name in names if name in (".lock", ".writable") or (name[:1] == "." and name.endswith(".tmp"))}
    return len(names - ours) <= 1 and names - ours <= set(SEALED)


def _empty(folder: Path) -> None:
    """Remove a run, unless it is in use."""
    if not (folder / "recipe.json").is_file() and not is_interrupted_start(folder):
        raise UserError("E-TRN-20", folder, "is not a run, so it is not overwritten", "choose another --output")
    lock = Lock(folder / ".lock")
    try:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    finally:
        lock.release()
