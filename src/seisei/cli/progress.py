"""A training as it goes, on stderr: a bar on a terminal, else a line at every tenth of the way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from seisei.cli.terminal import shown

Event = dict[str, Any]


class Display:
    """Shows the events of a training; a listener, and a context that leaves the terminal as it was."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal
        said, facts = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[facts]"))
        columns = (said, BarColumn(30), facts)
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.live, refresh_per_second=4)
        self.task: TaskID | None = None
        self.first, self.steps, self.begun, self.told = 0, 1, time.monotonic(), 0
        self.validated: float | None = None
        self.report = False

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        """Show an event; of kinds that need no showing, nothing."""
        shower = getattr(self, f"_{event.get('event')}", None)
        if shower is not None:
            shower(event)

    def say(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self.bar.console.print(Text(shown(text), style), soft_wrap=True)

    # ---- one method for each kind of event ----

    def _reading(self, event: Event) -> None:
        done, total = event["done"], event["total"]
        self._show(f"reading {done:,} of {total:,} pictures", done, total, "")

    def _begin(self, event: Event) -> None:
        self.first, self.steps, self.begun = event["step"], event["steps"], time.monotonic()
        try:
            self.report = bool(json.loads((Path(event["run"]) / "recipe.json").read_bytes())["report"])
        except (OSError, ValueError, KeyError, TypeError):
            self.report = False
        for line in head(Path(event["run"])):
            self.say(line)
        if event["step"]:
            self.say(f"going on from step {event['step']:,} of {event['steps']:,}")
        self.say(f"run    {event['run']}")
        if event.get("world", 1) > 1:
            self.say(f"       {event['world']} processes")

    def _train(self, event: Event) -> None:
        step = event["step"]
        facts = losses(event) if self.console.width >= 120 or not self.live else losses({**event, "parts": {}})
        if self.validated is not None:
            facts += f" · held out {self.validated:.4g}"
        pace = f"{event.get('examples_per_second', 0):,.0f} examples/s · {self._left(step)} left"
        self._show(f"{step:,}/{self.steps:,}", step, self.steps, f"{facts} · {pace}")
        tenth = step * 10 // self.steps
        if not self.live and tenth > self.told:
            self.told = tenth
            self.say(f"step {step:,} of {self.steps:,} · {facts} · {pace}")

    def _validation(self, event: Event) -> None:
        self.validated = event.get("loss")

    def _watch(self, event: Event) -> None:
        warning = event.get("severity") == "warning"
        self.say(
            f"{'warning' if warning else 'note'}: {event['symptom']} (step {event.get('step')})",
            "yellow" if warning else "cyan",
        )
        self.say(f"  seen    {event['evidence']}")
        self.say(f"  likely  {event['cause']}")
        if event.get("remedy"):
            self.say(f"  done    {event['remedy']}")
        self.say(f"  try     {event['advice']}")

    def _remedy(self, event: Event) -> None:
        self.say(f"done about it: {event['done']} (step {event.get('step')})", "cyan")

    def _rollback(self, event: Event) -> None:
        rate = f"{event['rate_factor']:g} of the learning rate"
        self.say(f"went back from step {event['from']} to step {event['step']}, at {rate}", "yellow")

    def _trouble(self, event: Event) -> None:
        self.say(f"trouble: {event['what']}", "yellow")

    def _converged(self, event: Event) -> None:
        if event["step"] > 1:
            self.say(f"converged in {event['step']:,} rounds")

    def _note(self, event: Event) -> None:
        self.say(f"note: {event['what']}", "cyan")

    def _end(self, event: Event) -> None:
        self.say(f"trained to step {event['step']:,} in {span(event['seconds'])}" + "; computing scores" * self.report)
        if self.report:
            self._show("computing scores", 1, 1, "")

    # ---- help ----

    def _show(self, text: str, done: float, total: float, facts: str) -> None:
        if not self.live:
            return
        text, facts = shown(text), shown(facts)
        if self.task is None:
            self.task = self.bar.add_task(text, facts="")
        self.bar.update(self.task, description=text, completed=done, total=max(1, total), facts=facts)

    def _left(self, step: int) -> str:
        done = step - self.first
        return span((time.monotonic() - self.begun) / done * (self.steps - step)) if done else "?"


def head(run: Path) -> list[str]:
    """What is trained, on what, by what, in a line each; nothing when the run does not say."""
    try:
        recipe = json.loads((run / "recipe.json").read_bytes())
        report, machine = recipe["data"]["report"], recipe["hardware"]
        splits = report["splits"]
        classes = f", {len(report['classes'])} classes" if report["classes"] else ""
        parts = " + ".join(f"{splits[p]:,} {p}" for p in ("train", "validation", "test") if splits.get(p))
        levers = [name.replace("_", " ") for name, on in recipe["levers"].items() if on]
        precision = recipe["execution"]["precision"]
        precision = (
            ("bf16 where it pays" if machine["device"] != "cpu" else "fp32") if precision == "auto" else precision
        )
        model = recipe["plan"]["objective"]["arguments"]["model"]["class"]
        fed = "fitted to all examples at once" if recipe["swept"] else f"batches of {recipe['plan']['batch']}"
        skipped = len(report["skipped"])
        left_out = f", {skipped} faulty left out" if skipped else ""
        return [
            f"data   {report['kept']:,} {form(report)}{classes} ({parts}){left_out}",
            f"model  {model}, {recipe['parameters']:,} parameters, {fed}",
            f"on     {machine['device']} ({machine['name']}, {machine['threads']} threads), {precision}"
            + (f"; {', '.join(levers)}" if levers else ""),
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def form(report: dict[str, Any]) -> str:
    """What the examples of a report on data are.

    Example:
        >>> form({"noun": "row", "columns": [{"used": "x"}, {"used": "target"}]})
        'rows of 1 column'
    """
    if report.get("noun") == "row":
        columns = sum(column["used"] == "x" for column in report["columns"])
        return f"rows of {columns:,} column{'s' * (columns != 1)}"
    if report.get("noun") == "text":
        return f"texts of at most {report['longest']:,} bytes"
    image = report["image"]
    colour = {1: "grey", 3: "colour"}.get(image["channels"], f"{image['channels']} channels")
    return f"pictures, {image['width']}×{image['height']} {colour}"


def losses(event: Event) -> str:
    """The loss and its parts, in few letters.

    Example:
        >>> losses({"loss": 3.5, "parts": {"kl": 1.25}})
        'loss 3.5 (kl 1.25)'
    """
    total = event.get("loss")
    parts = [
        f"{name} {value:.4g}"
        for name, value in (event.get("parts") or {}).items()
        if value is not None and name != "elbo"
    ]
    return f"loss {'not finite' if total is None else format(total, '.4g')}" + (
        f" ({', '.join(parts)})" if parts else ""
    )


def span(seconds: float) -> str:
    """A length of time for people.

    Example:
        >>> span(5), span(75), span(7300)
        ('5 s', '1:15 min', '2:01 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"
