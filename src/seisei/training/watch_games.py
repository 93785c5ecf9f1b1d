"""The watch over games of two players.

The critic reports D(x), D(G(z)) and the share of pairs it tells apart, ½ each at the equilibrium; a validation reports
the same of held-out examples, and how varied the draws are.
"""

from __future__ import annotations

from seisei.training.history import Event, Finding, History

TOLD, DISTANCE = "told apart", "diversity"
KNOWN = "training told from held out"
WORST, MISSED = "diversity of the least varied kind", "missed"
# Lines of the log that a rule looks at; before this part of the training nothing is settled.
WINDOW, EARLY = 10, 0.02


def critic_wins(history: History) -> Finding | None:
    """The critic is sure of every example, so that the generator is told nothing."""
    lines = _moves(history, TOLD)[-WINDOW:]
    if len(lines) < WINDOW or float(lines[-1].get("t", 0)) < EARLY:
        return None
    told, real, drawn = (_mean(lines, name) for name in (TOLD, "D(x)", "D(G(z))"))
    if told < 0.99 or real - drawn < 0.8:
        return None
    numbers = f"D(x) {real:.3f} and D(G(z)) {drawn:.3f}, where ½ is the equilibrium; {told:.1%} of pairs told apart"
    cause = "the critic learns faster than the generator, or nothing keeps it smooth"
    advice = "raise --penalty, use --loss relativistic, or more and more varied data"
    return Finding("warning", "the critic wins: it is sure of everything", numbers, cause, advice, counter="unsteady")


def starved_generator(history: History) -> Finding | None:
    """The generator's gradient has vanished while the critic still tells its draws from real examples."""
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
    numbers = f"gradient norm {now:.2g}, {before:.2g} at its highest; {_mean(lines, TOLD):.1%} of pairs told apart"
    cause = "where the critic is sure, this game's cost is flat: log(1 − D(G(z))) saturates"
    advice = "use --loss non-saturating or relativistic, or raise --penalty"
    return Finding("warning", "the generator gets no gradient", numbers, cause, advice, counter="unsteady")


def mode_collapse(history: History) -> Finding | None:
    """Draws are alike: many of them, or all of one kind, are one."""
    checks = [event for event in history.all("validation") if DISTANCE in (event.get("scores") or {})][-2:]
    if len(checks) < 2 or float(checks[0].get("t", 0)) < 0.1:
        return None
    overall, kind = (max(_score(event, name, 1.0) for event in checks) for name in (DISTANCE, WORST))
    # At the beginning draws lie beside the data, and so miss them.
    lost = 0.0 if float(checks[0].get("t", 0)) < 0.3 else min(_score(event, MISSED, 0.0) for event in checks)
    if overall >= 0.25 and kind >= 0.2 and lost < 0.5:
        return None
    if overall < 0.25 or kind < 0.2:
        which = "draws" if overall < 0.25 else f"draws of kind {checks[-1].get('least_varied')}"
        symptom = f"mode collapse: {which} are alike"
        numbers = f"the distance between neighbouring draws is {min(overall, kind):.2f} of that between real examples"
    else:
        symptom = "mode collapse: a part of the data is not drawn"
        numbers = f"{lost:.0%} of real examples lie where next to nothing is drawn"
    cause = "the generator answers the critic of the moment with few examples instead of covering the data"
    advice = (
        "raise --penalty, use --loss relativistic, lower the learning rate, or train with more examples of the kind"
    )
    return Finding("warning", symptom, numbers, cause, advice, counter="unsteady")


def copying_critic(history: History) -> Finding | None:
    """The critic knows the training examples by heart: it tells them from held-out ones."""
    checks = [event for event in history.all("validation") if KNOWN in (event.get("scores") or {})][-2:]
    if len(checks) < 2 or float(checks[0].get("t", 0)) < 0.1:
        return None
    known = min(_score(event, KNOWN, 0.5) for event in checks)
    if known < 0.65:
        return None
    numbers = f"it finds the training example in {known:.1%} of pairs with a held-out one, where ½ is not at all"
    cause = "too few data: the critic learns them by heart, and the generator learns to copy"
    advice = "use more data, more --augment, a larger --penalty, or stop earlier (--steps)"
    return Finding(
        "warning", "the critic knows the training examples by heart", numbers, cause, advice, counter="known"
    )


def _moves(history: History, part: str) -> list[Event]:
    """Lines of the log of a turn that reports this part."""
    return [event for event in history.all("train") if (event.get("parts") or {}).get(part) is not None]


def _mean(lines: list[Event], part: str) -> float:
    return sum(float(event["parts"][part]) for event in lines) / len(lines)


def _score(event: Event, name: str, otherwise: float) -> float:
    value = event["scores"].get(name)
    return otherwise if value is None else float(value)
