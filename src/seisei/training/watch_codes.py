"""The watch over codes: a validation reports how many of them held-out examples use, and how evenly."""

from __future__ import annotations

from seisei.training.history import Finding, History

# Before this part of the training codes are still finding their places.
EARLY = 0.1
# Of as many codes as that number of draws would use if all were equally likely.
FEW, UNEVEN = 0.5, 0.05


def codebook_collapse(history: History) -> Finding | None:
    """Most codes are never chosen: pictures are told by a few."""
    checks = [event for event in history.all("validation") if event.get("codes")][-2:]
    if len(checks) < 2 or float(checks[0].get("t", 0)) < EARLY:
        return None
    worst = min(checks[-1]["codes"], key=lambda each: float(each["used"]) / max(1e-9, float(each["expected"])))
    count, possible = int(worst["codes"]), max(1e-9, float(worst["expected"]))
    used, even = float(worst["used"]) / possible, float(worst["perplexity"]) / count / possible
    if used >= FEW and even >= UNEVEN:
        return None
    numbers = f"{worst['used']:.1%} of {count:,} codes used, perplexity {worst['perplexity']:,.0f}"
    cause = "codes that no picture is near to learn nothing, and stay where they are"
    advice = "use --quantiser averaged, which moves them, or finite-scalar, which has no others; or fewer --codes"
    return Finding("warning", "codebook collapse: most codes are never used", numbers, cause, advice)
