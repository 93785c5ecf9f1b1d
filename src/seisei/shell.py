"""Words of a command line, quoted for the shell of this system, so that every command that is printed can be pasted."""

from __future__ import annotations

import os
import re
import shlex
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
