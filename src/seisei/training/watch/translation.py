"""Watch rules for image-to-image models, from validation scores: input sensitivity, checkerboard artifacts, color."""

from __future__ import annotations

from seisei.training.history import Change, Event, Finding, History

INPUT_SENSITIVITY, CHECKERBOARD, COLOR = "heed", "chequered", "color"
# The fraction of training before which no rule applies, the validations that must agree, and the factor by which the
# latest must beat the worst to count as improving.
EARLY, AGREE, IMPROVING = 0.2, 3, 1.2


def ignored_input(history: History) -> Finding | None:
    """The output hardly depends on the input."""
    found = _settled(history, INPUT_SENSITIVITY)
    if not found or max(found) >= 0.2 or found[-1] > IMPROVING * min(found):
        return None
    numbers = f"changing the input changes the output by {found[-1]:.0%} of the distance between targets"
    cause = "inputs and targets do not match, so the output averages over all pairs, or the L1 weight is too low"
    ways = (
        Change("check that inputs and targets are paired correctly (seisei check)"),
        *history.raising("l1_weight"),
        *history.raising("steps"),
    )
    return Finding("warning", "the generator ignores its input", numbers, cause, ways)


def checkerboard_outputs(history: History) -> Finding | None:
    """Outputs have a pixel-level pattern that targets do not have."""
    found = _settled(history, CHECKERBOARD)
    if not found or min(found) <= 2.0 or IMPROVING * found[-1] < max(found):
        return None
    numbers = f"pixel-to-pixel variation is {found[-1]:.1f} times that of the targets"
    cause = "transposed convolutions overlap unevenly, and the discriminator does not penalize the pattern"
    upsampling = "objective.model.network.enlarging"
    ways = (
        *(
            []
            if history.options.get(upsampling) == "nearest"
            else [Change(f"use --set {upsampling}=nearest", upsampling, "nearest")]
        ),
        *history.raising("l1_weight"),
        *history.raising("steps"),
    )
    return Finding("warning", "checkerboard artifacts in outputs", numbers, cause, ways)


def washed_out(history: History) -> Finding | None:
    """Outputs are much less saturated than targets."""
    found = _settled(history, COLOR)
    if not found or max(found) >= 0.4 or found[-1] > IMPROVING * min(found):
        return None
    numbers = f"outputs have {found[-1]:.0%} of the targets' color saturation"
    cause = "where several colors are plausible, the L1 loss favors their average, which is gray"
    ways = (*history.raising("gan_weight"), *history.raising("feature_matching"), *history.lowering("l1_weight"))
    return Finding("warning", "washed-out colors: outputs are grayish", numbers, cause, ways)


def _settled(history: History, name: str) -> list[float]:
    """The latest values of a score, once enough validations lie past the early part of training."""
    checks: list[Event] = [
        e
        for e in history.all("validation")
        if (e.get("scores") or {}).get(name) is not None and float(e.get("t", 0)) >= EARLY
    ][-AGREE:]
    return [float(event["scores"][name]) for event in checks] if len(checks) == AGREE else []
