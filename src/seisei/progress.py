"""How far work of some length has come: what does it says so with `tick`, and whoever wants to know listens.

Between the two lie functions that need not pass anything on.

Example:
    >>> said = []
    >>> with listening(lambda what, done, total: said.append((what, done, total))):
    ...     with part("scores"), part("likelihood"):
    ...         tick(1, 2)
    >>> said
    [('scores', 0, 0), ('scores: likelihood', 0, 0), ('scores: likelihood', 1, 2)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_PARTS: ContextVar[tuple[str, ...]] = ContextVar("parts", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, the listener is told what is being done, how much of it is done and how much there is."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Inside, what is being done has this name; inside another part, after the name of that."""
    token = _PARTS.set((*_PARTS.get(), name))
    try:
        tick(0, 0)
        yield
    finally:
        _PARTS.reset(token)


def tick(done: int, total: int) -> None:
    """So much is done of so much; (0, 0) says that something has begun."""
    listener, parts = _LISTENER.get(), _PARTS.get()
    if listener is not None and parts:
        listener(": ".join(parts), done, total)
