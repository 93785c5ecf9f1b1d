"""Checkpoints: one folder per step, written atomically, with a manifest to verify it.

Files are written under a temporary name, flushed and fsynced; ``manifest.json`` with the SHA-256 of each comes last;
the folder is renamed and its parent fsynced. There is no pointer to the latest checkpoint: the newest one that passes
verification is used. The manifest also has the SHA-256 of the run's ``recipe.json`` and ``schema.json``, without which
the weights are meaningless.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from seisei.errors import ResourceError, UserError
from seisei.training.tensors import (
    PICKLES,
    all_finite,
    from_bytes,
    replace_bytes,
    size_of,
    sync_folder,
    to_bytes,
    write_bytes,
)

FORMAT = 1
MANIFEST = "manifest.json"
# The files of a run whose hashes its checkpoints record, and the maximum size of a manifest in bytes.
SEALED, LARGEST_MANIFEST = ("recipe.json", "schema.json"), 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS}
_NAME = re.compile(r"step-(\d{8,12})$")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint: its step, its tensors by file, and its state."""

    step: int
    path: Path
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run.

    Arguments:
        folder: their parent folder; created with the first checkpoint.
        keep: how many of the newest to keep, at least 2.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        assert keep >= 2, "one checkpoint is not enough: it may be the damaged one"
        self.folder, self.keep = folder, keep
        # The step of the best weights, which are never removed.
        self.pinned: int | None = None
        # The SHA-256 of the run's files, as written by this process.
        self.seals: dict[str, str] = {}

    def paths(self) -> list[Path]:
        """All checkpoint folders, newest first, verified or not."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
        return sorted(found, key=_step, reverse=True)

    def steps(self) -> list[int]:
        """The steps of all checkpoints, newest first, verified or not."""
        return [_step(path) for path in self.paths()]

    def seal(self, name: str, content: bytes) -> None:
        """Record the hash of a run file that is about to be written.

        Checkpoints that match the file's current content also accept the new content, so that they stay valid
        whenever the process is killed. Those that do not match stay rejected.
        """
        there, self.seals[name] = _digest_of(self.folder.parent / name), _sha256(content)
        for path in self.paths():
            try:
                manifest = _manifest(path)
            except UserError:
                continue
            kept = manifest.get("run", {}).get(name, [])
            if there in kept and self.seals[name] not in kept:
                kept.append(self.seals[name])
                replace_bytes(path / MANIFEST, _json(manifest))

    def save(self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint, verify it, then remove old ones.

        Raises:
            ResourceError: the disk is full; earlier checkpoints are untouched.
            ValueError: a tensor holds NaN or infinity, which is never written.
        """
        for group, values in tensors.items():
            if (bad := all_finite(values)) is not None:
                raise ValueError(f"{group}: {bad} is not finite")
        final = self.folder / f"step-{step:08d}"
        temporary = self.folder / f".{final.name}.{os.getpid()}.tmp"
        files = {f"{group}.safetensors": to_bytes(values) for group, values in tensors.items()}
        files["state.json"] = _json(dict(state))
        listing = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()}
        # A resumed process has not written these files; they were verified when it loaded its checkpoint.
        known = {name: self.seals.get(name) or _digest_of(self.folder.parent / name) for name in SEALED}
        seals = {name: [seal] for name, seal in known.items() if seal is not None}
        files[MANIFEST] = _json({"format": FORMAT, "step": step, "files": listing, "run": seals})
        try:
            self.folder.mkdir(exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            for name, data in files.items():
                write_bytes(temporary / name, data)
            sync_folder(temporary)
            verify(temporary)
            if final.exists():  # this step was saved before
                _remove(final)
            os.rename(temporary, final)
            sync_folder(self.folder)
        except (OSError, UserError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            why = error.problem if isinstance(error, UserError) else os.strerror(error.errno or 0)
            need, intact = sum(map(len, files.values())), len(self.paths())
            problem = f"cannot write {need / 1e6:.1f} MB ({why}); {intact} older checkpoints are intact"
            raise ResourceError("E-TRN-22", self.folder, problem, "free some space, then resume") from error
        for path in self.paths()[self.keep :]:
            if _step(path) == self.pinned:
                continue
            try:
                _remove(path)
            except OSError:
                continue  # tried again after the next checkpoint
        return final

    def forget_after(self, step: int) -> None:
        """Remove checkpoints newer than the one a run resumes from: damaged, or rolled back."""
        for path in self.paths():
            if _step(path) > step:
                _remove(path)

    def give_up(self, step: int) -> None:
        """Remove a step's checkpoint, if it is the newest and an older one is intact."""
        older = [path for path in self.paths() if _step(path) < step]
        if self.paths() and _step(self.paths()[0]) == step and any(_whole(path) for path in older):
            _remove(self.paths()[0])

    def tidy(self) -> None:
        """Remove temporary folders that a killed process left behind."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if path.name.startswith(".step-") and path.suffix in (".tmp", ".old"):
                    shutil.rmtree(path, ignore_errors=True)

    def newest(self, *, exact: int | None = None) -> tuple[Checkpoint, list[str]]:
        """The newest intact checkpoint, and a message about each newer damaged one.

        Arguments:
            exact: load this step's checkpoint only.

        Raises:
            UserError: there is none, or none is intact.
        """
        paths = self.paths()
        if exact is not None:
            named = [p for p in paths if _step(p) == exact]
            if not named:
                steps = ", ".join(str(_step(p)) for p in paths) or "none"
                raise UserError("E-RES-01", self.folder, f"no checkpoint of step {exact}", f"choose one of: {steps}")
            return read(named[0]), []
        if not paths:
            _refuse_pickles(self.folder.parent)
            raise UserError("E-RES-01", self.folder.parent, "holds no checkpoint", "start with `seisei train`")
        faults: list[UserError] = []
        for path in paths:
            try:
                found = read(path)
            except UserError as fault:
                faults.append(fault)
                continue
            return found, [f"{f.where}: {f.problem}; using step {found.step} instead" for f in faults]
        if len({fault.where for fault in faults}) == 1:
            raise faults[0]
        reasons = " · ".join(f"{f.where}: {f.problem}" for f in faults[:5])
        raise UserError(
            "E-RES-25", self.folder, f"no checkpoint is intact: {reasons}", "start again with `seisei train`"
        )


MEND = "copy the checkpoint again, or resume from an older one"


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _remove(path: Path) -> None:
    """Rename, then remove, so that an interrupted removal leaves nothing that looks like a checkpoint."""
    doomed = path.with_name(f".{path.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def _whole(path: Path) -> bool:
    try:
        read(path)
    except UserError:
        return False
    return True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    """The SHA-256 of a file, or None if it does not exist."""
    return _sha256(path.read_bytes()) if path.is_file() else None


def _manifest(path: Path) -> dict[str, Any]:
    """A checkpoint's manifest, validated.

    Raises:
        UserError: it is missing, damaged, or has another format.
    """
    manifest, where = path / MANIFEST, _named(path)
    if not manifest.is_file():
        raise UserError("E-RES-03", where, "has no manifest", MEND)
    try:
        if manifest.stat().st_size > LARGEST_MANIFEST:
            raise ValueError
        content: dict[str, Any] = json.loads(manifest.read_bytes())
        version, _ = content["format"], int(content["step"])
        for entry in dict(content["files"]).values():
            int(entry["bytes"]), str(entry["sha256"])
        if not all(isinstance(seals, list) for seals in dict(content.get("run", {})).values()):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        at = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError("E-RES-04", f"{where}/{MANIFEST}", f"is not a manifest{at}", MEND) from error
    if version != FORMAT:
        raise UserError(
            "E-RES-11", f"{where}/{MANIFEST}", f"format {version}, this program reads {FORMAT}", "upgrade seisei"
        )
    return content


def verify(path: Path) -> tuple[int, dict[str, bytes]]:
    """A checkpoint's step and files, each verified against the manifest.

    Raises:
        UserError: the first damaged file.
    """
    content, where = _manifest(path), _named(path)
    files = {}
    for name, entry in content["files"].items():
        size, digest = int(entry["bytes"]), str(entry["sha256"])
        if name != os.path.basename(name) or name.startswith(".") or "\0" in name:
            raise UserError("E-RES-04", f"{where}/{MANIFEST}", f"names {name!r}, which is not a checkpoint file", MEND)
        try:
            if (there := size_of(path / name)) != size:
                problem = f"{there} bytes, wanted {size}"
                raise UserError("E-*-04", f"{where}/{name}", problem, MEND, found=there, wanted=size)
            data = (path / name).read_bytes()
        except FileNotFoundError as error:
            raise UserError("E-*-04", f"{where}/{name}", "is missing", MEND) from error
        except OSError as error:
            raise UserError("E-*-04", f"{where}/{name}", f"cannot be read ({error.strerror})", MEND) from error
        found = _sha256(data)
        if found != digest:
            problem = f"SHA-256 {found[:8]}…, wanted {digest[:8]}…"
            raise UserError("E-*-04", f"{where}/{name}", problem, MEND, found=found, wanted=digest)
        files[name] = data
    return int(content["step"]), files


def _belongs(path: Path, step: int, state: dict[str, Any]) -> None:
    """Refuse a checkpoint whose step differs from its name, or whose run files have changed since.

    Older checkpoints have no recorded hashes and are accepted.
    """
    for held in (step, state.get("step", step)):
        if held != _step(path):
            problem = f"holds step {held}, its name says {_step(path)}"
            raise UserError("E-*-04", _named(path), problem, f"rename it back to step-{step:08d}, or remove it")
    sealed: dict[str, list[str]] = _manifest(path).get("run", {})
    for name, seals in sealed.items():
        if name in SEALED and (found := _digest_of(path.parent.parent / name)) not in seals:
            how = "is missing" if found is None else f"has changed since {path.name} was written"
            hashes = "" if found is None else f" (SHA-256 {found[:8]}…, wanted {str(seals[-1])[:8]}…)"
            remedy = "restore the run's original file, or train again"
            raise UserError("E-*-04", path.parent.parent / name, how + hashes, remedy, found=found, wanted=seals)


def read(path: Path) -> Checkpoint:
    """Verify and load a checkpoint.

    Raises:
        UserError: the first damaged file.
    """
    step, files = verify(path)
    where = _named(path)
    groups = {
        n.removesuffix(".safetensors"): from_bytes(d, f"{where}/{n}")
        for n, d in files.items()
        if n.endswith(".safetensors")
    }
    for group, values in groups.items():
        if (bad := all_finite(values)) is not None:
            raise UserError(
                "E-RES-10", f"{where}/{group}.safetensors", f"{bad} is not finite", "resume from an older one"
            )
    try:
        state = json.loads(files["state.json"])
        if not isinstance(state, dict):
            raise ValueError
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(
            "E-RES-19", f"{where}/state.json", "is missing or damaged", "resume from an older one"
        ) from error
    _belongs(path, step, state)
    return Checkpoint(step, path, groups, state)


def room_for(folder: Path, size: int, count: int) -> None:
    """Refuse to start if `count` checkpoints of `size` bytes do not fit on the disk.

    Raises:
        UserError: there is not enough free space.
    """
    need, free = size * count + (16 << 20), shutil.disk_usage(folder).free
    if free < need:
        problem = f"{free / 1e6:.0f} MB free, {count} checkpoints need {need / 1e6:.0f} MB"
        raise UserError(
            "E-TRN-22",
            folder,
            problem,
            "free some space, or choose another folder with --output",
            found=free,
            wanted=need,
        )


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.suffix in PICKLES:
            raise UserError(
                "E-RES-12",
                path.name,
                "pickle formats are not loaded",
                "convert it to safetensors if you trust it",
            )


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False).encode()
