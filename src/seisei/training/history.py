"""The event history of a run and the findings of the watch: `History`, `Finding`, `Change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Event = dict[str, Any]

# Steps before most rules apply; fewer for EM, whose steps each see all examples.
MIN_STEPS, MIN_EM_STEPS = 100, 10


@dataclass(frozen=True)
class Change:
    """One change that may resolve a finding.

    Arguments:
        words: the advice, as part of a sentence.
        option: the option to change, if any.
        way: ``raise``, ``lower``, or the value to set.
    """

    words: str
    option: str = ""
    way: str = ""


@dataclass(frozen=True)
class Finding:
    """What a rule detected.

    Arguments:
        severity: ``warning`` if it degrades the result, ``note`` if it is only informative.
        symptom: what is observed.
        evidence: the numbers.
        cause: the likely cause.
        advice: what to do: a sentence, or alternative changes.
        remedy: what the run did about it automatically, if anything.
        counter: the problem name passed to `Objective.counter`, if the objective may counteract it.
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
    """Logged events by type, and the run's options.

    Arguments:
        options: the recipe's options in effect, by name; empty if unknown.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.events: dict[str, list[Event]] = {}
        self.options = dict(options or {})
        self.step, self.t, self.swept = 0, 0.0, False
        # Training log lines since the last event of each type.
        self.since: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """Add an event."""
        kind = str(event.get("event"))
        self.events.setdefault(kind, []).append(event)
        if "t" in event:
            self.step, self.t = int(event.get("step", 0)), float(event["t"])
        if kind == "train":
            self.swept = bool(event.get("swept"))
            self.since = {name: lines + 1 for name, lines in self.since.items()}
        self.since[kind] = 0

    def last(self, kind: str, count: int = 1) -> list[Event]:
        """The latest events of a type, oldest first."""
        return self.events.get(kind, [])[-count:]

    def all(self, kind: str) -> list[Event]:
        """All events of a type."""
        return self.events.get(kind, [])

    @property
    def begun(self) -> bool:
        """Whether enough steps were taken for the rules to apply."""
        return self.step >= (MIN_EM_STEPS if self.swept else MIN_STEPS)

    # ---- advice that respects the current options ----

    def raising(self, option: str, than: float | None = None) -> list[Change]:
        """Advice to raise an option; empty if the recipe lacks it or it is already that high.

        Arguments:
            option: its name.
            than: the value to raise it to, if the advice names one.
        """
        return self._changing(option, "raise", than)

    def lowering(self, option: str, than: float | None = None) -> list[Change]:
        """Advice to lower an option, as in `raising`; empty if it is 0."""
        return self._changing(option, "lower", than)

    def choosing(self, option: str, *values: str) -> list[Change]:
        """Advice to choose one of some values; empty if the recipe lacks the option or already has one of them."""
        if self.options and (option not in self.options or self.options[option] in values):
            return []
        return [Change(f"use {flag(option)} {' or '.join(values)}", option, "/".join(values))]

    def _changing(self, option: str, way: str, than: float | None) -> list[Change]:
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
    """An option's command-line flag.

    Example:
        >>> flag("free_bits")
        '--free-bits'
    """
    return f"--{option.replace('_', '-')}"
