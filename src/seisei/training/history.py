"""What was logged, and what is noticed in it: `History`, `Finding`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Event = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a rule noticed.

    Arguments:
        severity: a warning spoils the result; a note is good to know.
        symptom: what is seen.
        evidence: the numbers.
        cause: the likely reason.
        advice: what to do.
        remedy: what the run did about it by itself, if anything.
        counter: what the objective may be asked to do about it, see `Objective.counter`.
    """

    severity: Literal["warning", "note"]
    symptom: str
    evidence: str
    cause: str
    advice: str
    remedy: str | None = None
    counter: str | None = None


class History:
    """What was logged, by kind of event."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}

    def add(self, event: Event) -> None:
        """Take an event in."""
        self.events.setdefault(str(event.get("event")), []).append(event)

    def last(self, kind: str, count: int = 1) -> list[Event]:
        """The newest events of a kind, the oldest of them first."""
        return self.events.get(kind, [])[-count:]

    def all(self, kind: str) -> list[Event]:
        """Every event of a kind."""
        return self.events.get(kind, [])
