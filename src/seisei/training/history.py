"""What was logged, and what is noticed in it: `History`, `Finding`, `Change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Event = dict[str, Any]

# Nothing that takes training to show is judged before so many steps; a round of EM sees all examples at once.
FEWEST_STEPS, FEWEST_ROUNDS = 100, 10


@dataclass(frozen=True)
class Change:
    """One thing to do about a finding.

    Arguments:
        words: what to do, as part of a sentence.
        option: the option that is changed, if it is one.
        way: which way: ``raise``, ``lower``, or the value that it gets.
    """

    words: str
    option: str = ""
    way: str = ""


@dataclass(frozen=True)
class Finding:
    """What a rule noticed.

    Arguments:
        severity: a warning spoils the result; a note is good to know.
        symptom: what is seen.
        evidence: the numbers.
        cause: the likely reason.
        advice: what to do: a sentence, or changes of which each would do.
        remedy: what the run did about it by itself, if anything.
        counter: what the objective may be asked to do about it, see `Objective.counter`.
    """

    severity: Literal["warning", "note"]
    symptom: str
    evidence: str
    cause: str
    advice: str | tuple[Change, ...]
    remedy: str | None = None
    counter: str | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The advice as changes."""
        return (Change(self.advice),) if isinstance(self.advice, str) else self.advice


class History:
    """What was logged, by kind of event, and the options that the run was started with.

    Arguments:
        options: the recipe's options by name, as they are in force; empty where they are not known.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.events: dict[str, list[Event]] = {}
        self.options = dict(options or {})
        self.step, self.t, self.swept = 0, 0.0, False
        # Lines of training since the last event of each kind.
        self.since: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """Take an event in."""
        kind = str(event.get("event"))
        self.events.setdefault(kind, []).append(event)
        if "t" in event:
            self.step, self.t = int(event.get("step", 0)), float(event["t"])
        if kind == "train":
            self.swept = bool(event.get("swept"))
            self.since = {name: lines + 1 for name, lines in self.since.items()}
        self.since[kind] = 0

    def last(self, kind: str, count: int = 1) -> list[Event]:
        """The newest events of a kind, the oldest of them first."""
        return self.events.get(kind, [])[-count:]

    def all(self, kind: str) -> list[Event]:
        """Every event of a kind."""
        return self.events.get(kind, [])

    @property
    def begun(self) -> bool:
        """Whether training has gone on for long enough to be judged."""
        return self.step >= (FEWEST_ROUNDS if self.swept else FEWEST_STEPS)

    # ---- advice that knows the options ----

    def raising(self, option: str, than: float | None = None) -> list[Change]:
        """To raise an option; nothing where the recipe has no such option, or where it is as high already.

        Arguments:
            option: its name.
            than: what to raise it to, if that is to be said.
        """
        return self._moving(option, "raise", than)

    def lowering(self, option: str, than: float | None = None) -> list[Change]:
        """To lower an option, see `raising`; 0 cannot be lowered."""
        return self._moving(option, "lower", than)

    def choosing(self, option: str, *values: str) -> list[Change]:
        """To choose one of some values; nothing where the recipe has no such option, or has one of them already."""
        if self.options and (option not in self.options or self.options[option] in values):
            return []
        return [Change(f"use {flag(option)} {' or '.join(values)}", option, "/".join(values))]

    def _moving(self, option: str, way: str, than: float | None) -> list[Change]:
        now = self.options.get(option)
        if self.options and option not in self.options:
            return []
        if isinstance(now, bool) or not isinstance(now, (int, float)):
            return [Change(f"{way} {flag(option)}" if than is None else f"use {flag(option)} {than:g}", option, way)]
        if (way == "lower" and now <= 0) or (than is not None and (than <= now if way == "raise" else than >= now)):
            return []
        to = "" if than is None else f" to {than:g}"
        return [Change(f"{way} {flag(option)}{to} (now {now:g})", option, way)]


def flag(option: str) -> str:
    """An option as it is written on the command line.

    Example:
        >>> flag("free_bits")
        '--free-bits'
    """
    return f"--{option.replace('_', '-')}"
