"""What reaches a terminal or a pipe: the only place of the command line that writes to either.

Names of classes, columns and files are other people's. What a terminal would obey in them (escape sequences, the bell,
marks that turn the direction of writing, ends of lines) is shown as it is written in Python instead. Files keep the
names as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from seisei.cli.streams import write
from seisei.shell import obeyed, printable


def echo(*lines: object) -> None:
    """Print lines on standard output; an end of line inside one of them is shown and not obeyed."""
    print(_lines(lines))


def tell(*lines: object) -> None:
    """Say lines on standard error, to nobody where that is lost."""
    write(_lines(lines))


def echo_json(content: Any, *, indent: int | None = None, to: TextIO | None = None) -> None:
    """Print JSON, in which every name is what it is: what a terminal obeys is escaped by JSON's own rules."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, default=str)
    said = "".join(json.dumps(c)[1:-1] if c != "\n" and obeyed(c) else c for c in text)
    write(said) if to is sys.stderr else print(said)


def redraw(text: str) -> None:
    """Write a line on standard error over the one that is there; none is left where there is no text."""
    write(f"\r{printable(text)}" if text else "\r\x1b[K", end="")


def _lines(lines: Iterable[object]) -> str:
    return "\n".join(printable(str(line)) for line in lines)
