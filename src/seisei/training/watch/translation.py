"""The watch over image-to-image models: validations report how much outputs depend on inputs, and what they have that
targets have not.
"""

from __future__ import annotations

from seisei.training.history import Change, Event, Finding, History

HEED, CHEQUERED, COLOR = "heed", "chequered", "color"
# Before this part of the training nothing is settled; validations that have to agree, and how much better the last of
# them is than the worst where things are improving.
EARLY, AGREE, IMPROVING = 0.2, 3, 1.2


def ignored_input(history: History) -> Finding | None:
    """Whatever the input, the output is the same."""
    found = _settled(history, HEED)
    if not found or max(found) >= 0.2 or found[-1] > IMPROVING * min(found):
        return None
    numbers = f"another input changes the output by {found[-1]:.0%} of how far targets lie apart"
    cause = "the output is an average over all pairs: inputs and targets do not match, or the L1 loss weighs little"
    ways = (
        Change("check that pairs belong together (seisei check)"),
        *history.raising("l1_weight"),
        *history.raising("steps"),
    )
    return Finding("warning", "the generator ignores its input", numbers, cause, ways)


def chequered(history: History) -> Finding | None:
    """Outputs have a pattern of single pixels that targets do not have."""
    found = _settled(history, CHEQUERED)
    if not found or min(found) <= 2.0 or IMPROVING * found[-1] < max(found):
        return None
    numbers = f"{found[-1]:.1f} times as much change from pixel to pixel as in the targets"
    cause = "transposed convolutions write some pixels more often than others, and the discriminator does not see it"
    enlarging = "objective.model.network.enlarging"
    ways = (
        *(
            []
            if history.options.get(enlarging) == "nearest"
            else [Change(f"use --set {enlarging}=nearest", enlarging, "nearest")]
        ),
        *history.raising("l1_weight"),
        *history.raising("steps"),
    )
    return Finding("warning", "checkerboard artifacts in outputs", numbers, cause, ways)


def pale(history: History) -> Finding | None:
    """Outputs have lost their color."""
    found = _settled(history, COLOR)
    if not found or max(found) >= 0.4 or found[-1] > IMPROVING * min(found):
        return None
    numbers = f"outputs have {found[-1]:.0%} of the targets' color"
    cause = "where several colors would do the L1 loss asks for their average, which is gray"
    ways = (*history.raising("gan_weight"), *history.raising("feature_matching"), *history.lowering("l1_weight"))
    return Finding("warning", "color collapse: outputs are gray", numbers, cause, ways)


def _settled(history: History, name: str) -> list[float]:
    """The last values of a score, where it is time to look at them."""
    checks: list[Event] = [
        e
        for e in history.all("validation")
        if (e.get("scores") or {}).get(name) is not None and float(e.get("t", 0)) >= EARLY
    ][-AGREE:]
    return [float(event["scores"][name]) for event in checks] if len(checks) == AGREE else []
