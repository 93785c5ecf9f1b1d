"""The watch over codes: a validation reports how many of them held-out examples use, and how evenly."""

from __future__ import annotations

from seisei.training.history import Finding, History

# Before this part of the training, or so many steps, codes are still finding their places.
EARLY, SOON = 0.25, 300
# Of as many codes as that number of draws would use if all were equally likely.
FEW, UNEVEN = 0.5, 0.05
# Codes that are coming back, so many times as many within a few validations, are left to it.
LEAST, LATELY, GROWN = 3, 4, 1.5


def codebook_collapse(history: History) -> Finding | None:
    """Most codes are never chosen, and that does not change: pictures are told by a few."""
    checks = [
        event["codes"]
        for event in history.all("validation")
        if event.get("codes") and (float(event.get("t", 0)) >= EARLY or int(event.get("step", 0)) >= SOON)
    ][-LATELY:]
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
