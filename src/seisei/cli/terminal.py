"""What reaches a terminal or a pipe: the only place of the command line that writes to either.

Names of classes, columns and files are other people's. What a terminal would obey in them (escape sequences, the bell,
marks that turn the direction of writing, ends of lines) is shown as it is written in Python instead. Files keep the
names as they are.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any, TextIO

from seisei.cli.streams import write

# Invisible characters within words that change nothing else: joiners of letters and of emoji.
_HARMLESS = "\u200c\u200d"


def shown(text: str) -> str:
    r"""A line without what a terminal obeys.

    Example:
        >>> shown("a\x1b[31m\u202eb\nc"), shown("生成 été")
        ('a\\x1b[31m\\u202eb\\nc', '生成 été')
    """
    return "".join(_escaped(c) if _obeyed(c) else c for c in text)


def echo(*lines: object) -> None:
    """Print lines on standard output; an end of line inside one of them is shown and not obeyed."""
    print(_lines(lines))


def tell(*lines: object) -> None:
    """Say lines on standard error, to nobody where that is lost."""
    write(_lines(lines))


def echo_json(content: Any, *, indent: int | None = None, to: TextIO | None = None) -> None:
    """Print JSON, in which every name is what it is: what a terminal obeys is escaped by JSON's own rules."""
    text = json.dumps(content, ensure_ascii=False, indent=indent, default=str)
    said = "".join(json.dumps(c)[1:-1] if c != "\n" and _obeyed(c) else c for c in text)
    write(said) if to is sys.stderr else print(said)


def redraw(text: str) -> None:
    """Write a line on standard error over the one that is there; none is left where there is no text."""
    write(f"\r{shown(text)}" if text else "\r\x1b[K", end="")


def _lines(lines: Iterable[object]) -> str:
    return "\n".join(shown(str(line)) for line in lines)


def _obeyed(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in _HARMLESS


def _escaped(c: str) -> str:
    return c.encode("unicode_escape", "surrogatepass").decode("ascii")
