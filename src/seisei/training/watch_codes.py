"""The watch over codes: a validation reports how many of them held-out examples use, and how evenly, and how much
worse pictures come back with those of another picture.
"""

from __future__ import annotations

from typing import Any

from seisei.training.history import Finding, History

# Before this part of the training, or so many steps, codes are still finding their places.
EARLY, SOON = 0.25, 300
# Of as many codes as that number of draws would use if all were equally likely.
FEW, UNEVEN = 0.5, 0.05
# Codes that are coming back, so many times as many within a few validations, are left to it.
LEAST, LATELY, GROWN = 3, 4, 1.5
# Times the error, below which codes say all but nothing.
SILENT = 1.01


def codebook_collapse(history: History) -> Finding | None:
    """Most codes are never chosen, and that does not change: pictures are told by a few."""
    checks = _lately(history)
    if len(checks) < LEAST:
        return None
    place, worst = min(
        enumerate(checks[-1]), key=lambda each: float(each[1]["used"]) / max(1e-9, float(each[1]["expected"]))
    )
    count, possible = int(worst["codes"]), max(1e-9, float(worst["expected"]))
    used, even = float(worst["used"]) / possible, float(worst["perplexity"]) / count / possible
    back = float(worst["perplexity"]) >= GROWN * float(checks[0][place]["perplexity"])
    if (used >= FEW and even >= UNEVEN) or back:
        return None
    numbers = f"{worst['used']:.1%} of {count:,} codes used, perplexity {worst['perplexity']:,.0f}"
    cause = "codes that no picture is near to learn nothing, and stay where they are"
    advice = "use --quantiser averaged, which moves them, or finite-scalar, which has no others; or fewer --codes"
    symptom = "codebook collapse: most codes are never used"
    return Finding("warning", symptom, numbers, cause, advice, counter="collapsed")


def silent_level(history: History) -> Finding | None:
    """One of several grids of codes says nothing: pictures come back as well with another picture's."""
    checks = _lately(history)
    if len(checks) < LEAST or not all("heard" in told for told in checks[-1]):
        return None
    most = [max(float(check[place]["heard"]) for check in checks) for place in range(len(checks[-1]))]
    place = min(range(len(most)), key=most.__getitem__)
    if most[place] >= SILENT:
        return None
    symptom = "a grid of codes says nothing: the others do without it"
    numbers = f"with another picture's codes of grid {place + 1} of {len(most)} the error is {most[place]:.3f} times"
    cause = "the others have learned to do without it, perhaps while its codes were new and mostly noise"
    advice = "start again with a smaller --learning-rate or another --seed, or use one grid with more --codes: vqvae"
    return Finding("warning", symptom, numbers, cause, advice)


def _lately(history: History) -> list[list[dict[str, Any]]]:
    """What the last validations said of codes that have had time to find their places."""
    return [
        event["codes"]
        for event in history.all("validation")
        if event.get("codes") and (float(event.get("t", 0)) >= EARLY or int(event.get("step", 0)) >= SOON)
    ][-LATELY:]
