"""The watch: one small rule per known way in which training fails.

A rule is a function of what was logged, so that a resumed run watches on as if it had never stopped, and a rule is
tested with a list of events. Each finding says what is seen, the evidence, the likely cause, and what to do. A rule
speaks once, and again only after it had nothing to say in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from seisei.training.history import Event, Finding, History
from seisei.training.watch_codes import codebook_collapse, silent_level
from seisei.training.watch_games import copying_critic, critic_wins, mode_collapse, starved_generator
from seisei.training.watch_images import checkerboard
from seisei.training.watch_pairs import chequered, ignored_input, pale

Rule = Callable[[History], Finding | None]


def posterior_collapse(history: History) -> Finding | None:
    """The latent carries nothing: the decoder has learned to do without it."""
    (*_, last) = history.last("validation") or [{}]
    kl, active = last.get("kl_per_dimension"), last.get("active_units")
    if not kl or None in kl or active is None or last.get("t", 0) < 0.2:
        return None
    total, size = sum(kl), len(kl)
    numbers = f"{active} of {size} latent dimensions vary with the picture; KL {total:.2f} nats in all"
    cause = "the KL term outweighs what the latent adds to the reconstruction"
    if active == 0 or total < 0.1:
        advice = "train with --warmup 0.3 or --free-bits 0.1, or lower --beta"
        return Finding("warning", "posterior collapse: all pictures get the same latent", numbers, cause, advice)
    if active < size / 4 and last.get("t", 0) >= 0.5:
        enough = max(2, 2 * active)
        advice = f"nothing is lost: --latent {enough} would do as well; for more detail lower --beta or use --free-bits"
        return Finding("note", "most latent dimensions are unused", numbers, cause, advice)
    return None


def divergence(history: History) -> Finding | None:
    """Gradients that are not finite, or a loss that runs away."""
    lr = "lower the learning rate (--set optim.learning_rate=…) or set a tighter --set optim.clip=…"
    skipped = history.all("skipped")
    if skipped:
        first, last = skipped[0], skipped[-1]
        where = f"first at step {first.get('step')} in {first.get('term')}, last at {last.get('step')}"
        numbers = f"{len(skipped)} steps left out, {where}"
        cause = "a value overflowed, or the data hold values that are not finite"
        remedy = (
            "those steps were not taken; after ten in a row the run goes back to its last checkpoint at half the rate"
        )
        return Finding("warning", "a loss or gradient was not finite", numbers, cause, lr, remedy)
    # A sweep has no step that could be too large, and what it maximises is not the likelihood alone.
    steps = [e for e in history.all("train") if e.get("loss") is not None and not e.get("swept")]
    losses = [float(e["loss"]) for e in steps]
    # In a game of several players a rising loss of one is another's success.
    if len(losses) < 12 or len({e.get("turn") for e in history.last("train", 12)}) > 1:
        return None
    now, past = sum(losses[-3:]) / 3, losses[:-3]
    best, spread = min(past), abs(past[0] - min(past))
    if now > max(past[0], best + 2 * spread) and now > best + max(1e-3, 0.05 * abs(best)):
        numbers = f"loss {now:.4g}, best so far {best:.4g}, at the start {past[0]:.4g}"
        return Finding("warning", "the loss runs away", numbers, "the steps are too large", lr)
    return None


def starving_pipeline(history: History) -> Finding | None:
    """The device waits for data."""
    shares = [float(e.get("waiting", 0.0)) for e in history.last("train", 5)]
    if len(shares) < 5 or min(shares) < 0.3:
        return None
    mean = sum(shares) / len(shares)
    advice = "raise --memory so that the data fit, put them on a faster disk, or choose a smaller --size"
    cause = "examples are read more slowly than they are learned from"
    return Finding("warning", "the device waits for data", f"{mean:.0%} of the time of the last steps", cause, advice)


def overfitting(history: History) -> Finding | None:
    """Held-out pictures get less likely while training pictures get more so."""
    checks = [e for e in history.all("validation") if e.get("loss") is not None]
    if len(checks) < 5:
        return None
    losses = [float(e["loss"]) for e in checks]
    best = min(range(len(losses)), key=losses.__getitem__)
    rise, fall = losses[-1] - losses[best], losses[0] - losses[best]
    if best > len(losses) - 4 or rise < max(0.02 * abs(losses[best]), 0.1 * fall):
        return None
    numbers = f"validation loss {losses[best]:.4g} at step {checks[best].get('step')}, {losses[-1]:.4g} now"
    advice = f"stop near step {checks[best].get('step')} (--steps), use more data, or a smaller model"
    return Finding(
        "warning",
        "overfitting: new examples are explained worse and worse",
        numbers,
        "too few data for this model",
        advice,
    )


RULES: dict[str, Rule] = {
    "posterior collapse": posterior_collapse,
    "divergence": divergence,
    "starving data pipeline": starving_pipeline,
    "overfitting": overfitting,
    "critic wins": critic_wins,
    "starved generator": starved_generator,
    "mode collapse": mode_collapse,
    "copying critic": copying_critic,
    "codebook collapse": codebook_collapse,
    "silent grid": silent_level,
    "ignored input": ignored_input,
    "chequered answers": chequered,
    "colour collapse": pale,
    "checkerboard artifacts": checkerboard,
}


class Watch:
    """The rules over a run.

    Arguments:
        past: what was logged before, when a run is resumed.

    Attributes:
        standing: what each rule has to say now, by its name.
    """

    def __init__(self, past: Iterable[Event] = ()) -> None:
        self.history = History()
        self.standing: dict[str, Finding] = {}
        for event in past:
            # What it said then is in the log already; looking again brings the rules to where they stood.
            if event.get("event") != "watch":
                self.look(event)

    def look(self, event: Event) -> list[Event]:
        """Take an event in; the findings that it gives rise to, as events."""
        self.history.add(event)
        found = []
        for name, rule in RULES.items():
            finding = rule(self.history)
            if finding is None:
                self.standing.pop(name, None)
                continue
            if name not in self.standing:
                told = {key: value for key, value in vars(finding).items() if key != "counter"}
                found.append({"event": "watch", "step": event.get("step"), "rule": name, **told})
            self.standing[name] = finding
        return found
