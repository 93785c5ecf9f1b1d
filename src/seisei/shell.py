"""Text for a terminal: words quoted for this system's shell, so that a command can be pasted, and harmless names."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable

WINDOWS = os.name == "nt"


def quoted(word: object, *, windows: bool = WINDOWS) -> str:
    """A word as it is typed.

    Arguments:
        word: a path, a name, a value.
        windows: double quotes, which are all that both of Windows' shells know, instead of those of POSIX.

    Example:
        >>> quoted("photos/"), quoted("my photos", windows=False), quoted("my photos", windows=True)
        ('photos/', "'my photos'", '"my photos"')
    """
    text = str(word)
    if not windows:
        return shlex.quote(text)
    if re.fullmatch(r"[\w@+=:./\\-]+", text):
        return text
    # A program splits its line by itself there: a backslash counts as one unless a quote follows.
    text = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", text) + '"'


def joined(words: Iterable[object], *, windows: bool = WINDOWS) -> str:
    """Words as one line.

    Example:
        >>> joined(["seisei", "check", "my photos"], windows=False)
        "seisei check 'my photos'"
    """
    return " ".join(quoted(word, windows=windows) for word in words)


# Invisible characters within words that change nothing else: joiners of letters and of emoji.
_HARMLESS = "\u200c\u200d"


def printable(text: str) -> str:
    r"""A line in which characters that a terminal obeys are escaped.

    Example:
        >>> printable("a\x1b[31m\u202eb\nc"), printable("生成 été")
        ('a\\x1b[31m\\u202eb\\nc', '生成 été')
    """
    return "".join(c.encode("unicode_escape", "surrogatepass").decode("ascii") if obeyed(c) else c for c in text)


def obeyed(c: str) -> bool:
    """Whether a terminal obeys a character instead of showing it: escape, bell, end of line, direction of writing."""
    return unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in _HARMLESS
