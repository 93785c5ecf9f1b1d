"""A training as it goes, on stderr: a bar on a terminal, else a line at every tenth of the way and every 30 seconds."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from seisei.cli.streams import console, switch_off
from seisei.progress import listening, part
from seisei.shell import printable

Event = dict[str, Any]
# Seconds without a line, at most; and how long a training has to run before what it will take can be estimated.
LINE_EVERY, ESTIMATE_AFTER = 30.0, 2.0


class Display:
    """Shows the events of a training; a listener, and a context that leaves the terminal as it was.

    Where standard error is lost nothing is printable from then on, and the training goes on.
    """

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.live = self.console.is_terminal
        said, facts = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[facts]"))
        columns = (said, BarColumn(30), facts)
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.live, refresh_per_second=4)
        self.task: TaskID | None = None
        self.first, self.step, self.steps, self.begun, self.told = 0, 0, 1, time.monotonic(), 0
        # Whether it was said how long the training will take; the losses of the last train event.
        self.estimated, self.facts = False, ""
        # What else than training is under way: its name, how much of it is done and how much there is, since when.
        self.work: tuple[str, int, int, float] | None = None
        self.announced = ""
        self.validated: float | None = None
        self.report = False
        self.said, self.lost = time.monotonic(), False
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_telling, name="display", daemon=True)

    def __enter__(self) -> Display:
        self._unless_lost(self.bar.start)
        if not self.live:
            self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._beat.is_alive():
            self._beat.join()
        self._unless_lost(self.bar.stop)

    def __call__(self, event: Event) -> None:
        """Show an event; of kinds that need no showing, nothing."""
        shower = getattr(self, f"_{event.get('event')}", None)
        if shower is not None:
            self._unless_lost(lambda: shower(event))

    def _unless_lost(self, show: Callable[[], None]) -> None:
        if self.lost:
            return
        try:
            show()
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not getattr(sys.stderr, "closed", False):
                raise
            self.lost = True
            switch_off(sys.stderr)

    def _keep_telling(self) -> None:
        """What is under way may take long without an event."""
        while not self._ended.wait(min(1.0, LINE_EVERY / 4)):
            if time.monotonic() - self.said >= LINE_EVERY and (line := self._line()):
                self._unless_lost(lambda line=line: self.say(line))  # type: ignore[misc]

    def say(self, text: str, style: str = "") -> None:
        """A line that stays."""
        self.said = time.monotonic()
        self.bar.console.print(Text(printable(text), style), soft_wrap=True)

    # ---- one method for each kind of event ----

    def _reading(self, event: Event) -> None:
        done, total = event["done"], event["total"]
        self._going_on("reading images", done, total)
        self._show(f"reading {done:,} of {total:,} images", done, total, "")

    def _begin(self, event: Event) -> None:
        self.first, self.step, self.steps = event["step"], event["step"], event["steps"]
        self.begun, self.told, self.work = time.monotonic(), self.first * 10 // max(1, self.steps), None
        self.estimated, self.facts, self.validated = False, "", None
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
        facts = losses(event) if self.console.width >= 120 or not self.live else losses({**event, "parts": {}})
        if self.validated is not None:
            facts += f" · held out {self.validated:.4g}"
        self.facts = f"{facts} · {event.get('examples_per_second', 0):,.0f} examples/s"
        self._step(event)

    def _step(self, event: Event) -> None:
        step, self.step, self.work = event["step"], event["step"], None
        self._show(f"{step:,}/{self.steps:,}", step, self.steps, f"{self.facts} · {self._left()} left")
        tenth, now = step * 10 // self.steps, time.monotonic()
        early = not self.estimated and step > self.first and now - self.begun >= ESTIMATE_AFTER
        if not self.live and (tenth > self.told or early or now - self.said >= LINE_EVERY):
            self.told = tenth
            self.say(self._line())

    def _work(self, event: Event) -> None:
        what, done, total = event["what"], event["done"], event["total"]
        self._going_on(what, done, total)
        left = self._work_left()
        self._show(what, done, max(1, total), f"{left} left" if left else "")
        if not self.live and what.partition(": ")[0] != self.announced:
            self.announced = what.partition(": ")[0]
            self.say(self.announced)

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

    def _withdrawn(self, event: Event) -> None:
        self.say(f"resolved: {event['symptom']} (no longer at step {event.get('step')})", "cyan")

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
        took = f"trained to step {event['step']:,} in {span(event['seconds'])}"
        if len(parts := event.get("parts") or {}) > 1:
            took += f" ({', '.join(f'{name} {span(seconds)}' for name, seconds in parts.items())})"
        if event.get("best") not in (None, event["step"]):
            took += f"; the best weights are from step {event['best']:,}"
        self.announced = "computing scores"
        self.say(took + f"; {self.announced}" * self.report)
        if self.report:
            self._going_on(self.announced, 0, 0)
            self._show(self.announced, 0, 1, "")

    # ---- help ----

    def _show(self, text: str, done: float, total: float, facts: str) -> None:
        if not self.live:
            return
        text, facts = printable(text), printable(facts)
        if self.task is None:
            self.task = self.bar.add_task(text, facts="")
        self.bar.update(self.task, description=text, completed=done, total=max(1, total), facts=facts)

    def _going_on(self, what: str, done: int, total: int) -> None:
        began = self.work[3] if self.work is not None and self.work[0] == what else time.monotonic()
        self.work = (what, done, total, began)

    def _line(self) -> str:
        """Where it stands."""
        if self.work is not None:
            what, done, total, _ = self.work
            left = self._work_left()
            return f"{what}, {done:,} of {total:,}" + f" · {left} left" * bool(left) if total else what
        done = self.step - self.first
        if not done:
            return ""
        line = f"step {self.step:,} of {self.steps:,}" + f" · {self.facts}" * bool(self.facts)
        line += f" · {self._left()} left"
        if not self.estimated:
            self.estimated = True
            whole = (time.monotonic() - self.begun) / done * (self.steps - self.first)
            line += f" of about {span(whole)}"
        return line

    def _left(self) -> str:
        done = self.step - self.first
        return span((time.monotonic() - self.begun) / done * (self.steps - self.step)) if done else "?"

    def _work_left(self) -> str:
        if self.work is None or not 0 < self.work[1] < self.work[2]:
            return ""
        _, done, total, began = self.work
        return span((time.monotonic() - began) / done * (total - done))


@contextmanager
def shown_progress(what: str) -> Iterator[None]:
    """Show how far work has come that is no training; nothing of what ends within 30 seconds, but on a terminal."""
    display = Display()
    display.announced = what

    def listener(name: str, done: int, total: int) -> None:
        display({"event": "work", "what": name, "done": done, "total": total})

    with display, listening(listener), part(what):
        yield


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
    color = {1: "gray", 3: "color"}.get(image["channels"], f"{image['channels']} channels")
    return f"images, {image['width']}×{image['height']} {color}"


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
