"""A folder of images: flat, with sub-folders as classes, with train/ valid/ test/ above them, or with metadata."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from seisei.data.images.metadata import METADATA, STYLEGAN, TABLES, Row, read_metadata, read_stylegan
from seisei.data.source import SPLITS, Record, classes_of, composed, identity_of, natural
from seisei.errors import UserError
from seisei.paths import CLUTTER_FOLDERS, check_no_run, is_clutter, is_run, passed_over

READ = set(".png .jpg .jpeg .jpe .jfif .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .avif .jp2 .j2k".split())
VECTOR = set(".eps .ps .svg .svgz .pdf .ai".split())
UNREAD = set(".heic .heif .psd .xcf .dng .cr2 .nef .arw .raw .jxl .exr .hdr .tga .ico .pcx".split())
IMAGE = "image"


@dataclass(slots=True)
class Walk:
    """The contents of a folder; names are relative to the root, with forward slashes."""

    follow_outside: bool
    root: Path
    files: list[tuple[str, int, int]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    faults: list[UserError] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    clutter: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    stylegan: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Messages about skipped files."""
        return passed_over(self.runs, self.clutter)

    @property
    def names(self) -> list[str]:
        """The images' names in natural order."""
        return sorted((name for name, _, _ in self.files), key=natural)


@dataclass
class FolderSource:
    """Image files in a folder; a `Source`."""

    root: str
    path: Path
    records: list[Record]
    classes: tuple[str, ...] | None
    identity: str | None
    faults: list[UserError]
    ignored: Counter[str]
    notes: list[str]
    kind: str = "folder of images"

    def read(self, index: int) -> Path:
        """The image's path."""
        return self.path / self.records[index].name


def folder_source(path: Path, typed: str | None = None, *, follow_outside: bool = False) -> FolderSource:
    """The images below a folder.

    If the top-level folders are named train, valid (or validation, val) and test, in any case, they are the splits.
    Below them, an image's class is its first folder. A ``metadata.csv`` or ``metadata.jsonl`` with a column
    ``file_name`` may have columns ``label`` (or class, category), ``caption`` (or text) and ``split``, and then
    determines the class; so does the ``dataset.json`` of StyleGAN's tools. Run folders are skipped.

    Arguments:
        path: the folder.
        typed: the name that the user gave.
        follow_outside: follow symbolic links that lead outside the folder.

    Raises:
        UserError: the folder holds no images, or a faulty metadata table.
    """
    walk = walk_through(path, typed or str(path), follow_outside=follow_outside)
    names = walk.names
    tops = {name.partition("/")[0] for name in names if "/" in name}
    named = sorted(top for top in tops if top.casefold() in SPLITS)
    split = bool(tops) and len(named) == len(tops) and all("/" in name for name in names)
    rows: dict[str, Row] = {}
    described = False
    for table in sorted(walk.stylegan):
        found = read_stylegan(path, table, set(names), walk.faults)
        if found is None:
            walk.ignored[".json"] += 1
        else:
            described, rows = True, rows | found
    for table in sorted(walk.tables):
        rows |= read_metadata(path, table, set(names), walk.faults)
    labeled = described or any(row.label is not None for row in rows.values())
    records = [_record(name, split, rows.get(name), labeled) for name in names]
    notes = walk.notes
    if rows:
        notes.append(f"{len(rows)} rows of metadata for {len(names)} images")
    elif walk.loose and not described:
        notes.append(f"{walk.loose[0]} is not read; if it describes these images, name it metadata.csv, with the "
                     "columns file_name and label")  # fmt: skip
    if split:
        notes.append("the folders " + ", ".join(sorted(tops)) + " are the splits")
    elif len({SPLITS[top.casefold()] for top in named}) > 1 and not labeled:
        others = sorted(tops - set(named)) or ["images outside of them"]
        why = f"{', '.join(named)} are read as classes, because of {', '.join(others[:3])}"
        notes.append(f"{why}; if they are splits, give a folder of only these")
    stamp = identity_of(str(path.resolve()), sorted(walk.files), sorted(rows.items()), [str(f) for f in walk.faults])
    classes = classes_of(record.label for record in records)
    return FolderSource(typed or str(path), path, records, classes, stamp, walk.faults, walk.ignored, notes)


def walk_through(path: Path, typed: str, *, follow_outside: bool = False) -> Walk:
    """List every image below a folder, and its other files; see `folder_source`.

    Raises:
        UserError: the folder holds no images.
    """
    check_no_run(path, typed)
    walk = Walk(follow_outside, path.resolve())
    # A stack instead of recursion: folders may be nested deeper than Python's recursion limit.
    waiting: list[_Visit] = [(path, "", (path.resolve(),))]
    while waiting:
        waiting += reversed(_visit(walk, *waiting.pop()))
    if not walk.files and not walk.faults:
        raise _nothing(typed, walk)
    for name in walk.unread:
        problem = f"is {os.path.splitext(name)[1]}, which is not supported"
        walk.faults.append(UserError("E-CHK-04", name, problem, "convert it to PNG or JPEG"))
    return walk


def image_source(path: Path, typed: str) -> FolderSource:
    """A source of a single image file."""
    facts = path.stat()
    stamp = identity_of(str(path.resolve()), facts.st_size, facts.st_mtime_ns)
    return FolderSource(typed, Path(), [Record(typed)], None, stamp, [], Counter(), [], IMAGE)


def _record(name: str, split: bool, row: Row | None, labeled: bool) -> Record:
    parts = name.split("/")
    where = SPLITS[parts[0].casefold()] if split else None
    folders = parts[1:-1] if split else parts[:-1]
    label = composed(folders[0]) if folders else None
    if labeled:
        label = row.label if row else None
    split_, caption, facts = (row.split, row.caption, row.facts) if row else (None, None, ())
    return Record(name, label, split_ or where, caption, facts)


def _nothing(typed: str, walk: Walk) -> UserError:
    if not walk.ignored and walk.runs:
        some = ", ".join(walk.runs[:3]) + (", …" if len(walk.runs) > 3 else "")
        problem = f"holds only seisei runs ({some}), which are not data"
        return UserError("E-CHK-03", typed, problem, "put at least one image in it", found=0)
    if not walk.ignored:
        return UserError("E-CHK-03", typed, "0 files", "put at least one image in it", found=0)
    counts = ", ".join(f"{suffix} ×{count}" for suffix, count in walk.ignored.most_common(5))
    problem = f"holds no supported images; found {counts}"
    return UserError(
        "E-CHK-04", typed, problem, "convert them to PNG or JPEG", found=dict(walk.ignored), wanted=sorted(READ)
    )


# A folder, its files' name prefix, and its parent folders.
_Visit = tuple[Path, str, tuple[Path, ...]]


def _visit(walk: Walk, folder: Path, prefix: str, above: tuple[Path, ...]) -> list[_Visit]:
    """Record a folder's files; returns the sub-folders to visit."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        walk.faults.append(_unreadable(prefix.rstrip("/") or folder.name, folder, error))
        return []
    seen: dict[str, str] = {}
    inner: list[_Visit] = []
    for entry in entries:
        if entry.name.lower() in CLUTTER_FOLDERS:
            walk.clutter.append(entry.name)
        if is_clutter(entry.name):
            continue
        name = prefix + entry.name
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        try:
            entry.name.encode("utf-8")
        except UnicodeEncodeError:
            walk.faults.append(UserError("E-CHK-16", shown, "its name is not UTF-8", "rename it"))
            continue
        other = seen.setdefault(unicodedata.normalize("NFC", entry.name).casefold(), name)
        if other != name:
            problem = f"the same name as {other} on many systems"
            walk.faults.append(UserError("E-CHK-17", name, problem, "rename one", found=[other, name]))
            continue
        try:
            visit = _enter(walk, entry, name, above)
        except OSError as error:
            walk.faults.append(_unreadable(name, Path(entry.path), error))
            continue
        if visit is not None and is_run(entry.path):
            walk.runs.append(name)
        elif visit is not None:
            inner.append(visit)
    return inner


def _enter(walk: Walk, entry: os.DirEntry[str], name: str, above: tuple[Path, ...]) -> _Visit | None:
    """Record a file, or return a folder to visit."""
    if entry.is_symlink():
        try:
            target = Path(entry.path).resolve(strict=True)
        except RuntimeError:  # a link to itself, before Python 3.13
            target = Path(entry.path)
        except FileNotFoundError:
            remedy = "remove the link, or restore the file"
            walk.faults.append(UserError("E-CHK-05", name, "is a link to a file that does not exist", remedy))
            return None
        if target in above or target.is_symlink():
            walk.faults.append(UserError("E-CHK-14", name, f"is a link that leads back to {target}", "remove it"))
            return None
        if not walk.follow_outside and not target.is_relative_to(walk.root):
            walk.faults.append(UserError("E-CHK-15", name, "points outside the data folder", "pass --follow-outside"))
            return None
        if entry.is_dir():
            return Path(entry.path), name + "/", (*above, target)
    elif entry.is_dir():
        return Path(entry.path), name + "/", (*above, above[-1] / entry.name)
    if entry.name.lower() in METADATA:
        walk.tables.append(name)
        return None
    if entry.name == STYLEGAN:
        walk.stylegan.append(name)
        return None
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in VECTOR:
        problem = f"is {suffix[1:].upper()}, which is a program and not an image"
        walk.faults.append(UserError("E-CHK-13", name, problem, "export it as PNG"))
        return None
    if suffix not in READ:
        walk.ignored[suffix or "no suffix"] += 1
        if suffix in TABLES and "/" not in name:
            walk.loose.append(name)
        if suffix in UNREAD:
            walk.unread.append(name)
        return None
    facts = entry.stat()
    if not stat.S_ISREG(facts.st_mode):
        walk.faults.append(UserError("E-CHK-05", name, "is not a regular file", "remove it"))
        return None
    walk.files.append((name, facts.st_size, facts.st_mtime_ns))
    return None


def _unreadable(name: str, path: Path, error: OSError) -> UserError:
    if error.errno == errno.ELOOP:
        return UserError("E-CHK-14", name, "is a link that leads back to itself", "remove it")
    if isinstance(error, PermissionError):
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        return UserError(
            "E-CHK-05", name, f"permission denied (mode {mode:03o})", "chmod u+rx" if path.is_dir() else "chmod u+r"
        )
    return UserError("E-CHK-05", name, error.strerror or "cannot be read", "check the path")
