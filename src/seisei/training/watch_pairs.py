"""The watch over pictures of pictures: validations that report the heed and what answers have that truths have not."""

from __future__ import annotations

from seisei.training.history import Event, Finding, History

HEED, CHEQUERED, COLOUR = "heed", "chequered", "colour"
# Before this part of the training nothing is settled.
EARLY = 0.2


def ignored_input(history: History) -> Finding | None:
    """Whatever is given, the answer is the same."""
    found = _settled(history, HEED)
    if not found or max(found) >= 0.2:
        return None
    numbers = f"another picture changes the answer by {found[-1]:.0%} of how far truths lie apart"
    cause = (
        "the answer is an average over all pairs: the sides do not belong together, or the regression weighs too little"
    )
    advice = "check that pairs belong together (seisei check), raise --regression, or train longer"
    return Finding("warning", "the generator ignores what it is given", numbers, cause, advice)


def chequered(history: History) -> Finding | None:
    """Answers have a pattern of single pixels that truths do not have."""
    found = _settled(history, CHEQUERED)
    if not found or min(found) <= 2.0:
        return None
    numbers = f"{found[-1]:.1f} times as much of what changes from pixel to pixel as in the truths"
    cause = "transposed convolutions write some pixels more often than others, and the critic does not look so closely"
    advice = "set objective.model.network.enlarging=nearest, raise --regression, or train longer"
    return Finding("warning", "answers are chequered", numbers, cause, advice)


def pale(history: History) -> Finding | None:
    """Answers have lost their colour."""
    found = _settled(history, COLOUR)
    if not found or max(found) >= 0.4:
        return None
    numbers = f"answers have {found[-1]:.0%} of the truths' colour"
    cause = "where several colours would do the regression asks for their average, which is grey"
    advice = "raise --adversarial or --matching, or lower --regression"
    return Finding("warning", "colour collapse: answers are grey", numbers, cause, advice)


def _settled(history: History, name: str) -> list[float]:
    """The last two values of a score, where it is time to look at them."""
    checks: list[Event] = [e for e in history.all("validation") if (e.get("scores") or {}).get(name) is not None][-2:]
    if len(checks) < 2 or float(checks[0].get("t", 0)) < EARLY:
        return []
    return [float(event["scores"][name]) for event in checks]
