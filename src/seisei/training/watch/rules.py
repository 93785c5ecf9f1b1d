"""The watch: one small rule per known training failure.

A rule is a function of the log and the run's options, so a resumed run is watched as if it had never stopped, and a
rule is tested with a list of events. Each finding states the symptom, the evidence, the likely cause and the advice.

A rule waits for evidence: at least 100 steps (non-finite values are reported at once), a minimum fraction of training,
and a trend over several events. It reports once; after a while without evidence the finding is withdrawn, and may be
reported again later. No two active findings advise opposite changes of the same option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from seisei.training.history import Change, Event, Finding, History
from seisei.training.watch.codebooks import codebook_collapse, unused_level
from seisei.training.watch.gan import (
    discriminator_dominates,
    mode_collapse,
    overfitting_discriminator,
    vanishing_generator_gradient,
)
from seisei.training.watch.images import checkerboard
from seisei.training.watch.translation import checkerboard_outputs, ignored_input, washed_out

Rule = Callable[[History], Finding | None]

# Validations that must agree, and the factor by which the latest must beat the worst to count as improving.
AGREE, IMPROVING = 4, 1.2
# KL divergence in nats below which a latent carries no information.
NOTHING = 0.1
# Training log lines that must agree.
LINES = 10
# Events of the finding's type (validations, log lines) without evidence before it is withdrawn.
CALM, CALM_LINES = 2, 10

# With fewer held-out examples a validation loss is too noisy to show a trend.
FEW_EXAMPLES = 20


def posterior_collapse(history: History) -> Finding | None:
    """The latent carries no information: the decoder has learned to ignore it."""
    checks = _latents(history, 0.2)
    if len(checks) < AGREE:
        return None
    totals = [sum(check["kl_per_dimension"]) for check in checks]
    active, total, size = checks[-1]["active_units"], totals[-1], len(checks[-1]["kl_per_dimension"])
    if max(totals) < NOTHING:
        if total > IMPROVING * min(totals) and total > NOTHING / 2:
            return None
    # Early in training every latent carries little, and gradually more.
    elif any(check["active_units"] for check in checks) or total > 1.05 * min(totals) or history.t < 0.5:
        return None
    numbers = f"{active} of {size} latent dimensions are active; total KL divergence {total:.2g} nats"
    cause = "encoding information in the latent costs more KL than it saves in reconstruction"
    symptom = "posterior collapse: the decoder ignores the latent"
    if history.options.get("importance_samples", 1) > 1:
        # The importance-weighted bound has no beta, warmup or free bits.
        return Finding("warning", symptom, numbers, cause, tuple(history.choosing("importance_samples", "1")))
    bits, beta = history.options.get("free_bits") or 0, history.options.get("beta") or 1
    ways = (
        *history.lowering("beta"),
        *(history.raising("warmup", 0.3) if beta <= 1 else []),
        *history.raising("free_bits", 0.1 if bits < 0.1 else 2 * bits),
    )
    return Finding("warning", symptom, numbers, cause, ways)


def unused_latents(history: History) -> Finding | None:
    """The model uses only some of its latent dimensions, which is harmless."""
    checks = _latents(history, 0.5)
    if len(checks) < AGREE:
        return None
    active, size = max(check["active_units"] for check in checks), len(checks[-1]["kl_per_dimension"])
    if not 0 < active < size / 4 or sum(checks[-1]["kl_per_dimension"]) < NOTHING:
        return None
    numbers = f"{active} of {size} latent dimensions are active"
    cause = "the data need no more at this KL weight (beta)"
    enough = max(2, 2 * active)
    ways = (Change(f"no action needed; --latent {enough} would be enough", "latent", "lower"),)
    return Finding("note", "most latent dimensions are unused", numbers, cause, ways)


def divergence(history: History) -> Finding | None:
    """A loss or gradient is not finite, or the loss diverges."""
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
        cause = "a value overflowed, or the data contain non-finite values"
        remedy = "those updates were skipped; after ten in a row the run rolls back and halves the learning rate"
        return Finding("warning", "non-finite loss or gradient", numbers, cause, tuple(slower), remedy)
    # An EM step has no step size to be too large, and its objective is not the likelihood alone.
    steps = [e for e in history.all("train") if e.get("loss") is not None and not e.get("swept")]
    losses = [float(e["loss"]) for e in steps]
    # In adversarial training one player's loss rises when the other improves.
    several = len({e.get("turn") for e in history.last("train", LINES + 2)}) > 1
    if len(losses) < 2 * LINES or several or not history.begun:
        return None
    now, past = losses[-LINES:], losses[:-LINES]
    best = min(past)
    # Tolerated rise: twice the decrease so far; half the loss's magnitude, for one that began near its optimum; or ten
    # times the typical change between lines.
    jumps = median(abs(b - a) for a, b in zip(past, past[1:], strict=False))
    most = max(2 * (past[0] - best), 0.5 * abs(best), 10 * jumps, 1e-3)
    if min(now) <= max(past[0], best + most) or fmean(now[LINES // 2 :]) < fmean(now[: LINES // 2]):
        return None
    numbers = f"mean loss {fmean(now):.4g} over the last {LINES} lines; best {best:.4g}, initial {past[0]:.4g}"
    return Finding("warning", "the loss diverges", numbers, "the learning rate is too high", tuple(slower))


def data_loading_bottleneck(history: History) -> Finding | None:
    """The device waits for data."""
    shares = [float(e.get("waiting", 0.0)) for e in history.last("train", LINES)]
    if len(shares) < LINES or median(shares) < 0.3 or not history.begun:
        return None
    ways = (
        Change("raise --memory so that the data fit in memory", "memory", "raise"),
        Change("put the data on a faster disk"),
        *history.lowering("size"),
    )
    numbers = f"{fmean(shares):.0%} of recent step time was spent waiting for data"
    cause = "examples are read more slowly than the model trains on them"
    return Finding("warning", "data-loading bottleneck", numbers, cause, ways)


def overfitting(history: History) -> Finding | None:
    """The validation loss rises while the training loss falls."""
    checks = [e for e in history.all("validation") if e.get("loss") is not None]
    # The loss on a handful of held-out examples fluctuates by chance.
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
    # If the training loss rises too, the model is getting worse rather than overfitting.
    if then and fmean(now) > fmean(then):
        return None
    numbers = f"validation loss {losses[best]:.4g} at step {at}, {losses[-1]:.4g} now"
    ways = [
        *(
            [
                Change(
                    f"train for fewer steps, such as --steps {at}, so the learning rate decays sooner",
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
    cause = "the model is too large for this many examples, or trains for too long"
    return Finding("warning", "overfitting: the validation loss rises", numbers, cause, tuple(ways))


RULES: dict[str, Rule] = {
    "posterior collapse": posterior_collapse,
    "unused latent dimensions": unused_latents,
    "divergence": divergence,
    "data-loading bottleneck": data_loading_bottleneck,
    "overfitting": overfitting,
    "discriminator dominates": discriminator_dominates,
    "vanishing generator gradient": vanishing_generator_gradient,
    "mode collapse": mode_collapse,
    "overfitting discriminator": overfitting_discriminator,
    "codebook collapse": codebook_collapse,
    "unused level": unused_level,
    "ignored input": ignored_input,
    "checkerboard artifacts in outputs": checkerboard_outputs,
    "washed-out colors": washed_out,
    "checkerboard artifacts": checkerboard,
}
# Rules that apply from the first step.
URGENT = {"divergence"}


@dataclass(frozen=True)
class Reported:
    """A finding that was reported and not withdrawn.

    Arguments:
        symptom: the finding's symptom.
        changes: the changes it advises.
        kind: type of the event that raised it.
        calm: events of that type since the rule last fired.
    """

    symptom: str
    changes: tuple[Change, ...]
    kind: str
    calm: int = 0


class Watch:
    """Applies the rules to a run's events.

    Arguments:
        past: events logged before a resumed run was stopped.
        options: the recipe's options in effect, so that advice does not suggest their current values.

    Attributes:
        active: the findings of the rules that fire now, by rule name.
        reported: findings reported and not withdrawn, by rule name.
    """

    def __init__(self, past: Iterable[Event] = (), options: Mapping[str, Any] | None = None) -> None:
        self.history = History(options)
        self.active: dict[str, Finding] = {}
        self.reported: dict[str, Reported] = {}
        logged: dict[str, str] = {}
        for event in past:
            # Past findings are in the log already; replaying the other events restores the rules' state.
            if event.get("event") == "watch":
                logged[str(event.get("rule"))] = str(event.get("symptom"))
            elif event.get("event") == "withdrawn":
                logged.pop(str(event.get("rule")), None)
            else:
                self.look(event)
        # A log written with an earlier set of rules may hold findings that these would not report.
        for rule, symptom in logged.items():
            self.reported.setdefault(rule, Reported(symptom, (), "train", CALM_LINES))
        self.reported = {rule: reported for rule, reported in self.reported.items() if rule in logged}

    def look(self, event: Event) -> list[Event]:
        """Add an event; returns the findings it raises and withdraws, as events."""
        self.history.add(event)
        found: list[Event] = []
        for name in list(dict.fromkeys([*RULES, *self.reported])):
            rule = RULES.get(name) if self.history.begun or name in URGENT else None
            finding = None if rule is None else rule(self.history)
            if finding is None:
                self.active.pop(name, None)
                found += self._calm(name, event)
                continue
            self.active[name] = finding
            if name in self.reported:
                self.reported[name] = replace(self.reported[name], calm=0)
                continue
            changes = self._reconciled(finding)
            kind = str(event.get("event"))
            self.reported[name] = Reported(finding.symptom, changes, "train" if kind == "skipped" else kind)
            facts = {key: value for key, value in vars(finding).items() if key not in ("counter", "advice")}
            when = {"event": "watch", "step": event.get("step"), "rule": name}
            found.append({**when, **facts, "advice": self._advice(finding, changes)})
        return found

    def _calm(self, name: str, event: Event) -> list[Event]:
        """Count an event at which a rule did not fire; its finding is withdrawn after some, and at the end."""
        reported = self.reported.get(name)
        if reported is None or event.get("event") not in (reported.kind, "end"):
            return []
        reported = self.reported[name] = replace(reported, calm=reported.calm + 1)
        if event.get("event") != "end" and reported.calm < (CALM_LINES if reported.kind == "train" else CALM):
            return []
        del self.reported[name]
        return [{"event": "withdrawn", "step": event.get("step"), "rule": name, "symptom": reported.symptom}]

    def _reconciled(self, finding: Finding) -> tuple[Change, ...]:
        """The changes a finding advises, minus those that contradict an active finding's advice."""
        ways = {
            change.option: change.way
            for reported in self.reported.values()
            for change in reported.changes
            if change.option
        }
        return tuple(c for c in finding.changes if ways.get(c.option, c.way) == c.way)

    def _advice(self, finding: Finding, changes: tuple[Change, ...]) -> str:
        if changes:
            return one_of([change.words for change in changes])
        if finding.changes:
            return "resolve the other findings first: their advice is the opposite"
        return "train with another --seed, or try another recipe"


def one_of(ways: list[str]) -> str:
    """Joins alternatives into a phrase.

    Example:
        >>> one_of(["raise --r1-gamma", "lower --learning-rate", "use more data"])
        'raise --r1-gamma, lower --learning-rate, or use more data'
    """
    if len(ways) < 3:
        return " or ".join(ways)
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _latents(history: History, early: float) -> list[Event]:
    """The latest validations with latent statistics, after the KL warm-up."""
    early = max(early, float(history.options.get("warmup") or 0.0) + 0.05)
    checks = [
        e
        for e in history.all("validation")
        if e.get("kl_per_dimension") and None not in e["kl_per_dimension"] and e.get("active_units") is not None
    ]
    return [e for e in checks if float(e.get("t", 0)) >= min(early, 0.9)][-AGREE:]


def _has(history: History, option: str) -> bool:
    return not history.options or option in history.options
