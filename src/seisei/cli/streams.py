"""Standard output and standard error, either of which may be lost while a verb is at work.

The reader of a pipe leaves, a terminal is closed, the disk under a log fills up. What is said to a person on standard
error is then said to nobody, and the work goes on; a result that cannot be written to standard output ends the verb.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def write(text: str, end: str = "\n") -> None:
    """Write to standard error for a person to read, or to nobody where that is lost."""
    stream = sys.stderr
    if stream is None:
        return
    try:
        print(text, end=end, file=stream, flush=True)
    except (OSError, ValueError):
        switch_off(stream)


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def switch_off(stream: TextIO | None) -> None:
    """Let all that is written to a stream from now on go nowhere, what Python writes at its end included."""
    with suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()  # type: ignore[union-attr]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def secure() -> None:
    """Open what was closed before the start, on nothing: else the next file to be opened would take its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def console(*, stderr: bool = False) -> Console:
    """A console that leaves a lost stream to its caller, where rich would end the process."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - called while the error is handled

    return Ours(stderr=stderr, highlight=False)
