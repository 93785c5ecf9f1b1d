"""The watch: one small rule per known way in which training fails.

A rule is a function of what was logged, and of the options of the run, so that a resumed run watches on as if it had
never stopped, and a rule is tested with a list of events. Each finding says what is seen, the evidence, the likely
cause, and what to do.

A rule waits for evidence: for 100 steps at least (a value that is not finite is seen at once), for a stated share of
the training, and for a trend over several events. It speaks once. When it has had nothing to say for a while the
finding is withdrawn, and it may speak again. No two findings that stand ask for opposite changes of one option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from seisei.training.history import Change, Event, Finding, History
from seisei.training.watch.codebooks import codebook_collapse, silent_level
from seisei.training.watch.gan import copying_discriminator, discriminator_wins, mode_collapse, starved_generator
from seisei.training.watch.images import checkerboard
from seisei.training.watch.translation import chequered, ignored_input, pale

Rule = Callable[[History], Finding | None]

# Validations that have to agree, and how much better the last must be for things to be improving.
AGREE, IMPROVING = 4, 1.2
# A KL divergence, in nats, at which a latent carries nothing.
NOTHING = 0.1
# Lines of training that have to agree.
LINES = 10
# Events of its own kind for which a rule has nothing to say before its finding is withdrawn.
CALM, CALM_LINES = 2, 10

# Held-out examples without whose number a validation loss says little of a trend.
FEW_EXAMPLES = 20


def posterior_collapse(history: History) -> Finding | None:
    """The latent carries nothing: the decoder has learned to do without it."""
    checks = _latents(history, 0.2)
    if len(checks) < AGREE:
        return None
    totals = [sum(check["kl_per_dimension"]) for check in checks]
    active, total, size = checks[-1]["active_units"], totals[-1], len(checks[-1]["kl_per_dimension"])
    if max(totals) < NOTHING:
        if total > IMPROVING * min(totals) and total > NOTHING / 2:
            return None
    # At the beginning no latent carries much, and more and more.
    elif any(check["active_units"] for check in checks) or total > 1.05 * min(totals) or history.t < 0.5:
        return None
    numbers = f"{active} of {size} latent dimensions are active; KL divergence {total:.2g} nats in all"
    cause = "the KL term costs more than what the latent adds to the reconstruction"
    symptom = "posterior collapse: all images get the same latent"
    if history.options.get("importance_samples", 1) > 1:
        # Of an importance-weighted bound these are not options.
        return Finding("warning", symptom, numbers, cause, tuple(history.choosing("importance_samples", "1")))
    bits, beta = history.options.get("free_bits") or 0, history.options.get("beta") or 1
    ways = (
        *history.lowering("beta"),
        *(history.raising("warmup", 0.3) if beta <= 1 else []),
        *history.raising("free_bits", 0.1 if bits < 0.1 else 2 * bits),
    )
    return Finding("warning", symptom, numbers, cause, ways)


def unused_latents(history: History) -> Finding | None:
    """The model needs fewer latent dimensions than it has, which does no harm."""
    checks = _latents(history, 0.5)
    if len(checks) < AGREE:
        return None
    active, size = max(check["active_units"] for check in checks), len(checks[-1]["kl_per_dimension"])
    if not 0 < active < size / 4 or sum(checks[-1]["kl_per_dimension"]) < NOTHING:
        return None
    numbers = f"{active} of {size} latent dimensions are active"
    cause = "these images need no more at this weight of the KL term"
    enough = max(2, 2 * active)
    ways = (Change(f"no action is needed; --latent {enough} would do as well", "latent", "lower"),)
    return Finding("note", "most latent dimensions are unused", numbers, cause, ways)


def divergence(history: History) -> Finding | None:
    """Gradients that are not finite, or a loss that runs away."""
    slower = [
        *history.lowering("learning_rate"),
        *(
            []
            if "learning_rate" in history.options
            else [Change("lower the learning rate: --set optim.learning_rate=…")]
        ),
        Change("clip gradients at a smaller norm: --set optim.clip=…"),
    ]
    skipped = history.all("skipped")
    if skipped and history.since["skipped"] < 2 * LINES:
        first, last = skipped[0], skipped[-1]
        where = f"first at step {first.get('step')} in {first.get('term')}, last at {last.get('step')}"
        numbers = f"{len(skipped)} step{'s' * (len(skipped) != 1)} skipped, {where}"
        cause = "a value overflowed, or the data hold values that are not finite"
        remedy = (
            "those updates were skipped; after ten in a row the run goes back to its last checkpoint at half the rate"
        )
        return Finding("warning", "a loss or gradient was not finite", numbers, cause, tuple(slower), remedy)
    # A round of EM has no step that could be too large, and what it maximizes is not the likelihood alone.
    steps = [e for e in history.all("train") if e.get("loss") is not None and not e.get("swept")]
    losses = [float(e["loss"]) for e in steps]
    # With several players a rising loss of one is another's success.
    several = len({e.get("turn") for e in history.last("train", LINES + 2)}) > 1
    if len(losses) < 2 * LINES or several or not history.begun:
        return None
    now, past = losses[-LINES:], losses[:-LINES]
    best = min(past)
    # What a loss may rise by: twice what it has fallen by; for one that began near its optimum, half of its size; and
    # ten times what it jumps by from line to line.
    jumps = median(abs(b - a) for a, b in zip(past, past[1:], strict=False))
    most = max(2 * (past[0] - best), 0.5 * abs(best), 10 * jumps, 1e-3)
    if min(now) <= max(past[0], best + most) or fmean(now[LINES // 2 :]) < fmean(now[: LINES // 2]):
        return None
    numbers = (
        f"mean loss {fmean(now):.4g} over the last {LINES} lines, best so far {best:.4g}, at the start {past[0]:.4g}"
    )
    return Finding("warning", "the loss diverges", numbers, "the learning rate is too high", tuple(slower))


def starving_pipeline(history: History) -> Finding | None:
    """The device waits for data."""
    shares = [float(e.get("waiting", 0.0)) for e in history.last("train", LINES)]
    if len(shares) < LINES or median(shares) < 0.3 or not history.begun:
        return None
    ways = (
        Change("raise --memory so that the data fit", "memory", "raise"),
        Change("put the data on a faster disk"),
        *history.lowering("size"),
    )
    numbers = f"{fmean(shares):.0%} of the time of the last steps"
    cause = "examples are read more slowly than the model trains on them"
    return Finding("warning", "the device waits for data", numbers, cause, ways)


def overfitting(history: History) -> Finding | None:
    """The validation loss rises while the training loss falls."""
    checks = [e for e in history.all("validation") if e.get("loss") is not None]
    # The loss of a handful of held-out examples goes up and down by itself.
    if len(checks) < 5 or int(checks[-1].get("examples") or FEW_EXAMPLES) < FEW_EXAMPLES:
        return None
    losses = [float(e["loss"]) for e in checks]
    best = min(range(len(losses)), key=losses.__getitem__)
    rise, fall = losses[-1] - losses[best], losses[0] - losses[best]
    if best > len(losses) - 4 or rise < max(0.02 * abs(losses[best]), 0.1 * fall):
        return None
    at = int(checks[best].get("step", 0))
    train = [e for e in history.all("train") if e.get("loss") is not None]
    then = [float(e["loss"]) for e in train if int(e.get("step", 0)) <= at][-LINES:]
    now = [float(e["loss"]) for e in train][-LINES:]
    # One that rises too says that the model gets worse, not that it knows the training examples.
    if then and fmean(now) > fmean(then):
        return None
    numbers = f"validation loss {losses[best]:.4g} at step {at}, {losses[-1]:.4g} now"
    ways = [
        *(
            [
                Change(
                    f"train for fewer steps, such as --steps {at}, with which the learning rate falls sooner",
                    "steps",
                    "lower",
                )
            ]
            if _has(history, "steps") and at
            else []
        ),
        Change("use more data"),
        *history.raising("dropout"),
        *history.raising("augment"),
        *history.lowering("width"),
    ]
    cause = "the model is too large for so few examples, or trains for too long"
    return Finding("warning", "overfitting: the validation loss rises", numbers, cause, tuple(ways))


RULES: dict[str, Rule] = {
    "posterior collapse": posterior_collapse,
    "unused latent dimensions": unused_latents,
    "divergence": divergence,
    "starving data pipeline": starving_pipeline,
    "overfitting": overfitting,
    "discriminator wins": discriminator_wins,
    "starved generator": starved_generator,
    "mode collapse": mode_collapse,
    "copying discriminator": copying_discriminator,
    "codebook collapse": codebook_collapse,
    "silent grid": silent_level,
    "ignored input": ignored_input,
    "chequered answers": chequered,
    "color collapse": pale,
    "checkerboard artifacts": checkerboard,
}
# What is a fault from the first step on.
URGENT = {"divergence"}


@dataclass(frozen=True)
class Told:
    """A finding that was told and not withdrawn.

    Arguments:
        symptom: of the finding.
        changes: what it asks for.
        kind: of event that it came from.
        calm: events of that kind since the rule last had something to say.
    """

    symptom: str
    changes: tuple[Change, ...]
    kind: str
    calm: int = 0


class Watch:
    """The rules over a run.

    Arguments:
        past: what was logged before, when a run is resumed.
        options: of the recipe, as they are in force, so that advice names other values than those.

    Attributes:
        standing: what each rule has to say now, by its name.
        told: what was told and not withdrawn, by the rule's name.
    """

    def __init__(self, past: Iterable[Event] = (), options: Mapping[str, Any] | None = None) -> None:
        self.history = History(options)
        self.standing: dict[str, Finding] = {}
        self.told: dict[str, Told] = {}
        logged: dict[str, str] = {}
        for event in past:
            # What it said then is in the log already; looking again brings the rules to where they stood.
            if event.get("event") == "watch":
                logged[str(event.get("rule"))] = str(event.get("symptom"))
            elif event.get("event") == "withdrawn":
                logged.pop(str(event.get("rule")), None)
            else:
                self.look(event)
        # A log by other rules than these may have said what they would not.
        for rule, symptom in logged.items():
            self.told.setdefault(rule, Told(symptom, (), "train", CALM_LINES))
        self.told = {rule: told for rule, told in self.told.items() if rule in logged}

    def look(self, event: Event) -> list[Event]:
        """Take an event in; the findings that it gives rise to, and those that it withdraws, as events."""
        self.history.add(event)
        found: list[Event] = []
        for name in list(dict.fromkeys([*RULES, *self.told])):
            rule = RULES.get(name) if self.history.begun or name in URGENT else None
            finding = None if rule is None else rule(self.history)
            if finding is None:
                self.standing.pop(name, None)
                found += self._calm(name, event)
                continue
            self.standing[name] = finding
            if name in self.told:
                self.told[name] = replace(self.told[name], calm=0)
                continue
            changes = self._reconciled(finding)
            kind = str(event.get("event"))
            self.told[name] = Told(finding.symptom, changes, "train" if kind == "skipped" else kind)
            facts = {key: value for key, value in vars(finding).items() if key not in ("counter", "advice")}
            when = {"event": "watch", "step": event.get("step"), "rule": name}
            found.append({**when, **facts, "advice": self._advice(finding, changes)})
        return found

    def _calm(self, name: str, event: Event) -> list[Event]:
        """Count an event at which a rule had nothing to say; its finding is withdrawn after some, and at the end."""
        told = self.told.get(name)
        if told is None or event.get("event") not in (told.kind, "end"):
            return []
        told = self.told[name] = replace(told, calm=told.calm + 1)
        if event.get("event") != "end" and told.calm < (CALM_LINES if told.kind == "train" else CALM):
            return []
        del self.told[name]
        return [{"event": "withdrawn", "step": event.get("step"), "rule": name, "symptom": told.symptom}]

    def _reconciled(self, finding: Finding) -> tuple[Change, ...]:
        """The changes that a finding asks for, less those that go against what another asks for."""
        ways = {change.option: change.way for told in self.told.values() for change in told.changes if change.option}
        return tuple(c for c in finding.changes if ways.get(c.option, c.way) == c.way)

    def _advice(self, finding: Finding, changes: tuple[Change, ...]) -> str:
        if changes:
            return one_of([change.words for change in changes])
        if finding.changes:
            return "see to the other findings first: they ask for the opposite"
        return "train with another --seed, or another recipe"


def one_of(ways: list[str]) -> str:
    """Several things to do, of which one may be enough.

    Example:
        >>> one_of(["raise --r1-gamma", "lower --learning-rate", "use more data"])
        'raise --r1-gamma, lower --learning-rate, or use more data'
    """
    if len(ways) < 3:
        return " or ".join(ways)
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _latents(history: History, early: float) -> list[Event]:
    """The last validations that say how much the latent carries, once the KL term has come in."""
    early = max(early, float(history.options.get("warmup") or 0.0) + 0.05)
    checks = [
        e
        for e in history.all("validation")
        if e.get("kl_per_dimension") and None not in e["kl_per_dimension"] and e.get("active_units") is not None
    ]
    return [e for e in checks if float(e.get("t", 0)) >= min(early, 0.9)][-AGREE:]


def _has(history: History, option: str) -> bool:
    return not history.options or option in history.options
