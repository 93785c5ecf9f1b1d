"""Watch rules for GANs.

Training logs D(x), D(G(z)) and the discriminator's accuracy on real/generated pairs, all ½ at equilibrium; validation
reports the same on held-out examples, and the diversity of the samples.
"""

from __future__ import annotations

import math

from seisei.training.history import Change, Event, Finding, History

ACCURACY, DIVERSITY = "told apart", "diversity"
MEMORIZED = "training told from held out"
WORST_DIVERSITY, DROPPED = "diversity of the least varied kind", "missed"
# Log lines and validations that must agree, and the fraction of training before which no rule applies.
WINDOW, AGREE, EARLY = 10, 3, 0.1
# A score is improving if the latest validation beats the worst by this factor.
IMPROVING = 1.2


def discriminator_dominates(history: History) -> Finding | None:
    """The discriminator classifies every example with confidence, so the generator gets no useful gradient."""
    lines = _lines_with(history, ACCURACY)[-WINDOW:]
    if len(lines) < WINDOW or float(lines[0].get("t", 0)) < EARLY / 2:
        return None
    accuracy, real, fake = (_mean(lines, name) for name in (ACCURACY, "D(x)", "D(G(z))"))
    if accuracy < 0.99 or real - fake < 0.8:
        return None
    numbers = f"D(x) {real:.3f}, D(G(z)) {fake:.3f} (½ at equilibrium); discriminator accuracy {accuracy:.1%}"
    cause = "the discriminator learns faster than the generator, or is not regularized enough"
    ways = (
        *history.raising("r1_gamma"),
        *history.choosing("loss", "relativistic"),
        Change("use more data, and more varied data"),
    )
    symptom = "the discriminator dominates: it recognizes every generated sample"
    return Finding("warning", symptom, numbers, cause, ways, counter="unsteady")


def vanishing_generator_gradient(history: History) -> Finding | None:
    """The generator's gradient has vanished while the discriminator still recognizes generated samples."""
    norms = [
        float(event["gradient_norm"])
        for event in history.all("train")
        if event.get("turn") == "generator" and event.get("gradient_norm") is not None
    ]
    lines = _lines_with(history, ACCURACY)[-WINDOW:]
    if len(norms) < 2 * WINDOW or len(lines) < WINDOW or _mean(lines, ACCURACY) < 0.97:
        return None
    now, before = sum(norms[-WINDOW:]) / WINDOW, max(norms[:-WINDOW])
    if now > 1e-2 * before:
        return None
    numbers = f"gradient norm {now:.2g}, peak {before:.2g}; discriminator accuracy {_mean(lines, ACCURACY):.1%}"
    cause = "the generator loss log(1 − D(G(z))) saturates where the discriminator is confident"
    ways = (*history.choosing("loss", "non-saturating", "relativistic"), *history.raising("r1_gamma"))
    return Finding("warning", "vanishing generator gradient", numbers, cause, ways, counter="unsteady")


def mode_collapse(history: History) -> Finding | None:
    """Samples are nearly identical, overall or within one class, or part of the data is never generated."""
    checks = _settled(history, DIVERSITY, EARLY)
    if len(checks) < AGREE:
        return None
    overall, in_class = (_persistent(checks, name) for name in (DIVERSITY, WORST_DIVERSITY))
    # Early samples are still far from the data, so all modes look dropped.
    late = _settled(history, DIVERSITY, 0.3)
    shares = [_score(event, DROPPED, 0.0) for event in late]
    dropped = min(shares) if len(late) == AGREE and IMPROVING * shares[-1] >= max(shares) else 0.0
    if overall >= 0.25 and in_class >= 0.2 and dropped < 0.5:
        return None
    of_class: tuple[Change, ...] = ()
    if overall < 0.25 or in_class < 0.2:
        which = "samples" if overall < 0.25 else f"samples of class {checks[-1].get('least_varied')}"
        of_class = () if overall < 0.25 else (Change("train with more examples of this class"),)
        symptom = f"mode collapse: {which} are nearly identical"
        numbers = (
            f"nearest-neighbor distance between samples is {min(overall, in_class):.2f} times that of real examples"
        )
    else:
        symptom = "mode collapse: part of the data is never generated"
        numbers = f"{dropped:.0%} of real examples lie where almost nothing is generated"
    cause = "the generator fools the current discriminator with a few outputs instead of covering the data"
    ways = (
        *history.raising("r1_gamma"),
        *history.choosing("loss", "relativistic"),
        *history.lowering("learning_rate"),
        *of_class,
    )
    return Finding("warning", symptom, numbers, cause, ways, counter="unsteady")


def overfitting_discriminator(history: History) -> Finding | None:
    """The discriminator overfits: it scores training examples higher than held-out ones."""
    checks = _settled(history, MEMORIZED, EARLY)
    if len(checks) < AGREE:
        return None
    shares = [_score(event, MEMORIZED, 0.5) for event in checks]
    memorized = min(shares)
    # With few held-out examples the share deviates from ½ by chance: Mann-Whitney standard error for equal groups.
    count = checks[-1].get("examples")
    chance = 0.0 if not count else 2 * math.sqrt((2 * int(count) + 1) / 12) / int(count)
    if memorized < 0.65 or memorized - chance < 0.55 or shares[-1] - 0.5 < (max(shares) - 0.5) / IMPROVING:
        return None
    numbers = f"training examples score higher than held-out ones in {memorized:.1%} of pairs (chance: 50%)"
    cause = "too few examples: the discriminator memorizes them, and the generator learns to copy them"
    ways = (
        Change("use more data"),
        *history.raising("augment"),
        *history.raising("r1_gamma"),
        *history.lowering("steps"),
    )
    symptom = "the discriminator overfits the training examples"
    return Finding("warning", symptom, numbers, cause, ways, counter="known")


def _settled(history: History, name: str, early: float) -> list[Event]:
    """The latest validations that report a score, past the early part of training."""
    found = [e for e in history.all("validation") if name in (e.get("scores") or {}) and float(e.get("t", 0)) >= early]
    return found[-AGREE:]


def _persistent(checks: list[Event], name: str) -> float:
    """The best of a score's latest values, where low is bad; 1 if it is rising."""
    values = [_score(event, name, 1.0) for event in checks]
    return 1.0 if values[-1] > IMPROVING * min(values) and values[-1] > 0.02 else max(values)


def _lines_with(history: History, part: str) -> list[Event]:
    """Log lines of the turn that reports this value."""
    return [event for event in history.all("train") if (event.get("parts") or {}).get(part) is not None]


def _mean(lines: list[Event], part: str) -> float:
    return sum(float(event["parts"][part]) for event in lines) / len(lines)


def _score(event: Event, name: str, otherwise: float) -> float:
    value = event["scores"].get(name)
    return otherwise if value is None else float(value)
