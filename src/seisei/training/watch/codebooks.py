"""The watch over codebooks: a validation reports how many codes held-out examples use, and how evenly, and how much
worse images are reconstructed with the codes of another image.
"""

from __future__ import annotations

from typing import Any

from seisei.training.history import Change, Finding, History

# Before this part of the training, or so many steps, codes are still finding their positions.
EARLY, SOON = 0.25, 300
# Of as many codes as that number of draws would use if all were equally likely.
FEW, UNEVEN = 0.5, 0.05
# Validations that have to agree; codes that are coming back, so many times as many within them, are left to it.
LATELY, GROWN = 4, 1.2
# Quantizers without a codebook that learns.
FIXED = ("fsq", "lfq")
# Times the error, below which codes carry all but nothing.
SILENT = 1.01


def codebook_collapse(history: History) -> Finding | None:
    """Most codes are never chosen, and that does not change: images are described by a few."""
    checks = _lately(history)
    if len(checks) < LATELY:
        return None
    place, worst = min(
        enumerate(checks[-1]), key=lambda each: float(each[1]["used"]) / max(1e-9, float(each[1]["expected"]))
    )
    count, possible = int(worst["codes"]), max(1e-9, float(worst["expected"]))
    used, even = float(worst["used"]) / possible, float(worst["perplexity"]) / count / possible
    lowest = (min(float(check[place][key]) for check in checks) for key in ("used", "perplexity"))
    back = any(float(worst[key]) >= GROWN * low > 0 for key, low in zip(("used", "perplexity"), lowest, strict=True))
    if (used >= FEW and even >= UNEVEN) or back:
        return None
    numbers = f"{worst['used']:.1%} of {count:,} codes used, perplexity {worst['perplexity']:,.0f}"
    # These have no vectors that could be left behind.
    now = history.options.get("quantizer")
    fixed = now in FIXED
    cause = "a code that no image is near to gets no gradient, and stays where it is"
    if fixed:
        cause = "the encoder keeps to a part of the grid of codes, whose positions are fixed"
    others = [name for name in ("ema", *([] if fixed else ["fsq"])) if name != now]
    ways = (*(history.choosing("quantizer", *others) if others else []), *history.lowering("codebook_size"))
    symptom = "codebook collapse: most codes are never used"
    return Finding("warning", symptom, numbers, cause, ways, counter="collapsed")


def silent_level(history: History) -> Finding | None:
    """One of several levels of codes carries nothing: images are reconstructed as well with another image's codes."""
    checks = _lately(history)
    if len(checks) < LATELY or not all("heard" in told for check in checks for told in check):
        return None
    most = [max(float(check[place]["heard"]) for check in checks) for place in range(len(checks[-1]))]
    place = min(range(len(most)), key=most.__getitem__)
    if most[place] >= SILENT:
        return None
    symptom = "unused level: one of the levels of codes carries nothing"
    numbers = (
        f"with another image's codes of level {place + 1} of {len(most)} the error is {most[place]:.3f} times as large"
    )
    cause = "the others have learned to do without it, perhaps while its codes were new and mostly noise"
    ways = (
        *history.lowering("learning_rate"),
        Change("train with another --seed"),
        Change("use one level of codes (vqvae)"),
    )
    return Finding("warning", symptom, numbers, cause, ways)


def _lately(history: History) -> list[list[dict[str, Any]]]:
    """What the last validations said of codes that have had time to find their positions."""
    return [
        event["codes"]
        for event in history.all("validation")
        if event.get("codes") and (float(event.get("t", 0)) >= EARLY or int(event.get("step", 0)) >= SOON)
    ][-LATELY:]
