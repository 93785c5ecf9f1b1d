"""The watch over GANs: a generator and a discriminator.

The discriminator reports D(x), D(G(z)) and its accuracy on pairs, ½ each at the equilibrium; a validation reports the
same of held-out examples, and how varied the samples are.
"""

from __future__ import annotations

import math

from seisei.training.history import Change, Event, Finding, History

TOLD, DISTANCE = "told apart", "diversity"
KNOWN = "training told from held out"
WORST, MISSED = "diversity of the least varied kind", "missed"
# Lines of the log and validations that have to agree, and the part of the training before which nothing is settled.
WINDOW, AGREE, EARLY = 10, 3, 0.1
# How much better the last of the validations is than the worst of them where things are improving.
IMPROVING = 1.2


def discriminator_wins(history: History) -> Finding | None:
    """The discriminator is sure of every example, so that the generator gets no signal."""
    lines = _moves(history, TOLD)[-WINDOW:]
    if len(lines) < WINDOW or float(lines[0].get("t", 0)) < EARLY / 2:
        return None
    told, real, drawn = (_mean(lines, name) for name in (TOLD, "D(x)", "D(G(z))"))
    if told < 0.99 or real - drawn < 0.8:
        return None
    numbers = f"D(x) {real:.3f}, D(G(z)) {drawn:.3f} (½ at the equilibrium); accuracy on pairs {told:.1%}"
    cause = "the discriminator learns faster than the generator, or nothing keeps it smooth"
    ways = (
        *history.raising("r1_gamma"),
        *history.choosing("loss", "relativistic"),
        Change("use more and more varied data"),
    )
    symptom = "the discriminator wins: it tells every sample from real examples"
    return Finding("warning", symptom, numbers, cause, ways, counter="unsteady")


def starved_generator(history: History) -> Finding | None:
    """The generator's gradient has vanished while the discriminator still tells its samples from real examples."""
    norms = [
        float(event["gradient_norm"])
        for event in history.all("train")
        if event.get("turn") == "generator" and event.get("gradient_norm") is not None
    ]
    lines = _moves(history, TOLD)[-WINDOW:]
    if len(norms) < 2 * WINDOW or len(lines) < WINDOW or _mean(lines, TOLD) < 0.97:
        return None
    now, before = sum(norms[-WINDOW:]) / WINDOW, max(norms[:-WINDOW])
    if now > 1e-2 * before:
        return None
    numbers = f"gradient norm {now:.2g}, {before:.2g} at its highest; accuracy on pairs {_mean(lines, TOLD):.1%}"
    cause = "where the discriminator is sure, the loss of the generator is flat: log(1 − D(G(z))) saturates"
    ways = (*history.choosing("loss", "non-saturating", "relativistic"), *history.raising("r1_gamma"))
    return Finding("warning", "the generator's gradient vanishes", numbers, cause, ways, counter="unsteady")


def mode_collapse(history: History) -> Finding | None:
    """Samples are alike: many of them, or all of one class, are one."""
    checks = _settled(history, DISTANCE, EARLY)
    if len(checks) < AGREE:
        return None
    overall, kind = (_lasting(checks, name) for name in (DISTANCE, WORST))
    # At the beginning samples lie beside the data, and so miss them.
    late = _settled(history, DISTANCE, 0.3)
    shares = [_score(event, MISSED, 0.0) for event in late]
    lost = min(shares) if len(late) == AGREE and IMPROVING * shares[-1] >= max(shares) else 0.0
    if overall >= 0.25 and kind >= 0.2 and lost < 0.5:
        return None
    of_class: tuple[Change, ...] = ()
    if overall < 0.25 or kind < 0.2:
        which = "samples" if overall < 0.25 else f"samples of class {checks[-1].get('least_varied')}"
        of_class = () if overall < 0.25 else (Change("train with more examples of this class"),)
        symptom = f"mode collapse: {which} are alike"
        numbers = f"the distance between neighboring samples is {min(overall, kind):.2f} of that between real examples"
    else:
        symptom = "mode collapse: a part of the data is not generated"
        numbers = f"{lost:.0%} of real examples lie where next to nothing is generated"
    cause = "the generator follows the discriminator of the moment with few examples instead of covering the data"
    ways = (
        *history.raising("r1_gamma"),
        *history.choosing("loss", "relativistic"),
        *history.lowering("learning_rate"),
        *of_class,
    )
    return Finding("warning", symptom, numbers, cause, ways, counter="unsteady")


def copying_discriminator(history: History) -> Finding | None:
    """The discriminator overfits: it tells the training examples from held-out ones."""
    checks = _settled(history, KNOWN, EARLY)
    if len(checks) < AGREE:
        return None
    shares = [_score(event, KNOWN, 0.5) for event in checks]
    known = min(shares)
    # Of few held-out examples the share strays from ½ by chance: Mann and Whitney's error of as many of either.
    count = checks[-1].get("examples")
    chance = 0.0 if not count else 2 * math.sqrt((2 * int(count) + 1) / 12) / int(count)
    if known < 0.65 or known - chance < 0.55 or shares[-1] - 0.5 < (max(shares) - 0.5) / IMPROVING:
        return None
    numbers = f"it scores the training example higher in {known:.1%} of pairs with a held-out one (½: by chance)"
    cause = "too few examples: the discriminator memorizes them, and the generator learns to copy"
    ways = (
        Change("use more data"),
        *history.raising("augment"),
        *history.raising("r1_gamma"),
        *history.lowering("steps"),
    )
    symptom = "the discriminator overfits: it knows the training examples"
    return Finding("warning", symptom, numbers, cause, ways, counter="known")


def _settled(history: History, name: str, early: float) -> list[Event]:
    """The last validations that report a score, once it is time to look at it."""
    found = [e for e in history.all("validation") if name in (e.get("scores") or {}) and float(e.get("t", 0)) >= early]
    return found[-AGREE:]


def _lasting(checks: list[Event], name: str) -> float:
    """The largest of some values of which a small one is bad; 1 where they are rising."""
    values = [_score(event, name, 1.0) for event in checks]
    return 1.0 if values[-1] > IMPROVING * min(values) and values[-1] > 0.02 else max(values)


def _moves(history: History, part: str) -> list[Event]:
    """Lines of the log of a turn that reports this part."""
    return [event for event in history.all("train") if (event.get("parts") or {}).get(part) is not None]


def _mean(lines: list[Event], part: str) -> float:
    return sum(float(event["parts"][part]) for event in lines) / len(lines)


def _score(event: Event, name: str, otherwise: float) -> float:
    value = event["scores"].get(name)
    return otherwise if value is None else float(value)
