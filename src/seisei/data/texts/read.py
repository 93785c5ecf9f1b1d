"""Texts: one example per line, or running text cut into blocks."""

from __future__ import annotations

import gzip
import itertools
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seisei.data.dataset import Dataset, digest, duplicates, fingerprint
from seisei.data.source import split_of
from seisei.data.splits import PARTS, check_shares, split_indices, without
from seisei.data.store import memory
from seisei.errors import UserError, half_character
from seisei.modalities.text import Text
from seisei.paths import Below, below, check_regular
from seisei.schema import Schema

SUFFIXES = (".txt", ".txt.gz")
# Maximum bytes of a line: each byte is a Transformer position.
MOST_BYTES = 1024
SHOWN = 3
# Number of overlapping training blocks that contain each byte, with different amounts of preceding context.
OVERLAP = 4


@dataclass(frozen=True)
class Piece:
    """One text.

    Arguments:
        name: its location.
        content: its bytes.
        part: ``train``, ``validation`` or ``test``, if its file's name contains a split.
    """

    name: str
    content: bytes
    part: str | None = None


def is_text(path: Path) -> bool:
    """Whether a file holds text, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_texts(
    given: Any, *, block_size: int | None = None, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Dataset:
    """Texts as a data set: lines are split by name and content, blocks of running text in order.

    Arguments:
        given: a file of lines, plain or gzipped, a folder of such files, or a list of texts.
        block_size: bytes of running text per example; by default every line is an example.
        validation: fraction for validation, if no file's name contains a split.
        test: fraction for testing, likewise.
        seed: seed of the split.

    Raises:
        UserError: invalid UTF-8, a line that is too long, or too few texts.
    """
    root = _root(given)
    if block_size is not None and block_size < 2:
        problem = f"{block_size} is out of range, wanted >= 2"
        raise UserError("E-TRN-07", "--block-size", problem, "choose a larger number")
    found, notes = _pieces(given, block_size)
    if not found:
        raise UserError("E-CHK-03", root, "holds no text", "give a file with a text in each line")
    longest = max(found, key=lambda piece: len(piece.content))
    length = block_size or len(longest.content)
    if length > MOST_BYTES and block_size is None:
        problem = f"a line of {length:,} bytes, wanted at most {MOST_BYTES:,}"
        remedy = "cut running text into pieces with --block-size 256"
        raise UserError("E-CHK-09", longest.name, problem, remedy, found=length, wanted=MOST_BYTES)
    text_bytes = sum(len(piece.content) for piece in found)
    names, contents = [piece.name for piece in found], [digest(piece.content) for piece in found]
    given_parts = [piece.part for piece in found]
    if block_size and not any(given_parts):
        splits = _in_order(len(found), validation, test, root)
        notes.append("splits are consecutive parts of the text, training first")
    else:
        splits = split_indices(
            names, contents, given_parts, validation=validation, test=test, seed=seed, where=root, noun="text"
        )
    if block_size:
        more = _between([found[i] for i in splits["train"].tolist()], block_size)
        splits["train"] = torch.cat([splits["train"], len(found) + torch.arange(len(more))])
        found, names = [*found, *more], [*names, *(piece.name for piece in more)]
        contents += [digest(piece.content) for piece in more]
        notes.append(f"training blocks overlap: one starts every {max(1, block_size // OVERLAP)} bytes")
    if (size := 2 * length * len(found)) > memory() // 4:
        problem = f"{len(found):,} texts padded to {length:,} bytes take {size / 1e9:.1f} GB"
        raise UserError("E-CHK-09", root, problem, "give fewer, leave out the longest, or pass --block-size 256")
    x = stacked([piece.content for piece in found], length)
    kept = tuple(found[i].content.decode(errors="replace") for i in splits["train"][:SHOWN].tolist())
    schema = Schema(Text(length, kept, running=block_size is not None))
    mark = fingerprint(schema, names, None, [], splits, contents)
    report = {
        "root": root,
        "kind": "running text" if block_size else "lines of text",
        "noun": Text.noun,
        "total": len(found),
        "kept": len(found),
        "skipped": [],
        "notes": notes,
        "characters": len({c for piece in found for c in piece.content.decode(errors="ignore")}),
        "longest": length,
        "text_bytes": text_bytes,
        "classes": {},
        "unlabeled": 0,
        "splits": {part: len(indices) for part, indices in splits.items()},
        "splits_given": sorted({part for part in given_parts if part is not None}),
        **duplicates(contents, splits),
        "bytes": x.numel() * x.element_size(),
        "fingerprint": mark,
    }
    return Dataset(schema, x, None, names, splits, mark, report)


def texts_for(schema: Schema, given: Any) -> Dataset:
    """New texts as model input, all in the ``test`` split: lines, or blocks of the model's length.

    Raises:
        UserError: a text is longer than the model's maximum length.
    """
    end = schema.x
    assert isinstance(end, Text)
    found, notes = _pieces(given, end.length if end.running else None)
    if not found:
        raise UserError("E-CHK-03", _root(given), "holds no text", "give a file with a text in each line")
    for piece in found:
        if len(piece.content) > end.length:
            problem = f"a text of {len(piece.content):,} bytes, and this model takes at most {end.length:,}"
            raise UserError("E-*-20", piece.name, problem, "shorten it", found=len(piece.content), wanted=end.length)
    x = stacked([piece.content for piece in found], end.length)
    facts = {"root": _root(given), "kind": "text", "noun": end.noun, "total": len(found), "kept": len(found)}
    report = {**facts, "notes": notes, "skipped": []}
    return Dataset(schema, x, None, [p.name for p in found], {"test": torch.arange(len(found))}, "", report)


def stacked(contents: Sequence[bytes], length: int) -> Tensor:
    """Bytes of texts in the format of `Text.pack`, int16 (N, length)."""
    x = torch.full((len(contents), length), Text.end, dtype=torch.int16)
    for row, content in zip(x, contents, strict=True):
        row[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else row[:0]
    return x


def _root(given: Any) -> str:
    return os.fspath(given) if isinstance(given, (str, os.PathLike)) else "texts"


def _pieces(given: Any, block_size: int | None) -> tuple[list[Piece], list[str]]:
    """The nonempty lines, or blocks, of all files in order, and notes."""
    if not isinstance(given, (str, os.PathLike)):
        return _of_list(list(given), block_size), []
    path, found, empty = Path(given), list[Piece](), 0
    lying = Below([path]) if path.is_file() else below(path)
    files = sorted(file for file in lying.files if path.is_file() or is_text(file))
    most = memory() // 8
    if (size := sum(file.stat().st_size for file in files)) > most:
        problem = f"holds {size / 1e9:.1f} GB of text, wanted at most {most / 1e9:.1f}"
        raise UserError("E-CHK-09", os.fspath(given), problem, "give a part of it")
    for file in files:
        name = file.name if path.is_file() else str(file.relative_to(path))
        part = split_of(file.name)
        content = _content(file, name)
        if block_size is not None:
            found += [
                Piece(f"{name}:{at}", content[at : at + block_size], part) for at in range(0, len(content), block_size)
            ]
            continue
        for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
            line = line.removesuffix(b"\r")
            if line.strip():
                found.append(Piece(f"{name}:{number}", line, part))
            else:
                empty += 1
    notes = [f"{empty:,} empty line{'s are' if empty > 1 else ' is'} left out"] if empty else []
    return found, lying.notes + notes


def _of_list(given: Sequence[Any], block_size: int | None) -> list[Piece]:
    found = []
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise UserError("E-CHK-13", f"text {number}", f"is a {type(text).__name__}", "give texts as str")
        if (half := half_character(text)) is not None:
            problem = f"holds {half}, half of a character"
            raise UserError("E-CHK-21", f"text {number}", problem, "write the whole character, or remove it")
        content = text.encode()
        step = block_size or max(1, len(content))
        for at in range(0, max(1, len(content)), step):
            name = f"text {number}" if block_size is None else f"text {number}:{at}"
            found.append(Piece(name, content[at : at + step]))
    return found


def _content(file: Path, name: str) -> bytes:
    """A file's content, validated as UTF-8, without a byte order mark."""
    check_regular(file, name)
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            content: bytes = opened.read()
    except PermissionError:
        mode = file.stat().st_mode & 0o777
        raise UserError("E-CHK-05", str(file), f"permission denied (mode {mode:03o})", "chmod u+r") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError("E-CHK-06", str(file), f"is damaged ({error})", "get the file again") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"is not valid UTF-8 (0x{content[error.start]:02x})"
        raise UserError("E-CHK-21", f"{name}:{line}", problem, "save the file as UTF-8") from None
    return content


def _between(pieces: Sequence[Piece], block_size: int) -> list[Piece]:
    """Blocks that begin in one piece and end in the next, of the same file."""
    found, step = [], max(1, block_size // OVERLAP)
    for one, other in itertools.pairwise(pieces):
        file, _, at = one.name.rpartition(":")
        if other.name != f"{file}:{int(at) + block_size}":
            continue
        both = one.content + other.content
        for start in range(step, block_size, step):
            if start + block_size <= len(both):
                found.append(Piece(f"{file}:{int(at) + start}", both[start : start + block_size], one.part))
    return found


def _in_order(count: int, validation: float, test: float, where: str) -> dict[str, Tensor]:
    """Consecutive splits: the first blocks for training, then validation, then test."""
    check_shares(validation, test)
    wanted = {"validation": validation, "test": test}
    sizes = {part: max(1, round(share * count)) if share else 0 for part, share in wanted.items()}
    if count <= sum(size > 0 for size in sizes.values()):
        drawn = [part for part, share in wanted.items() if share]
        problem = f"{count} blocks of text leave {' or '.join(drawn)} empty, wanted at least {len(drawn) + 1}"
        remedy = f"give more text or a smaller --block-size, or pass {without(drawn, count)}"
        raise UserError("E-TRN-11", where, problem, remedy, found=count, wanted=len(drawn) + 1)
    while sum(sizes.values()) >= count:  # keep at least one for training
        sizes[max(sizes, key=lambda part: sizes[part])] -= 1
    sizes["train"] = count - sum(sizes.values())
    return dict(zip(PARTS, torch.split(torch.arange(count), [sizes[part] for part in PARTS]), strict=True))
