"""Watch rules for codebooks. Validation reports codebook usage and perplexity on held-out examples, and how much the
reconstruction error grows when a level's codes are taken from another image.
"""

from __future__ import annotations

from typing import Any

from seisei.training.history import Change, Finding, History

# Codes are still settling before this fraction of training or this many steps, whichever comes first.
EARLY, SOON = 0.25, 300
# Usage and perplexity too low, relative to what uniform sampling of the same number of codes would give.
FEW, UNEVEN = 0.5, 0.05
# Validations that must agree; no finding while usage or perplexity recovers by this factor within them.
LATELY, GROWN = 4, 1.2
# Quantizers without a learned codebook.
FIXED = ("fsq", "lfq")
# A level whose codes are swapped carries almost nothing if the error grows by less than this factor.
UNUSED = 1.01


def codebook_collapse(history: History) -> Finding | None:
    """Most codes are never used, and usage is not recovering."""
    checks = _lately(history)
    if len(checks) < LATELY:
        return None
    level, worst = min(
        enumerate(checks[-1]), key=lambda each: float(each[1]["used"]) / max(1e-9, float(each[1]["expected"]))
    )
    count, possible = int(worst["codes"]), max(1e-9, float(worst["expected"]))
    used, even = float(worst["used"]) / possible, float(worst["perplexity"]) / count / possible
    lowest = (min(float(check[level][key]) for check in checks) for key in ("used", "perplexity"))
    recovering = any(
        float(worst[key]) >= GROWN * low > 0 for key, low in zip(("used", "perplexity"), lowest, strict=True)
    )
    if (used >= FEW and even >= UNEVEN) or recovering:
        return None
    numbers = f"{worst['used']:.1%} of {count:,} codes used, perplexity {worst['perplexity']:,.0f}"
    now = history.options.get("quantizer")
    fixed = now in FIXED
    cause = "a code that is nearest to no encoder output gets no update and stays dead"
    if fixed:
        cause = "the encoder outputs cover only part of the fixed grid of codes"
    others = [name for name in ("ema", *([] if fixed else ["fsq"])) if name != now]
    ways = (*(history.choosing("quantizer", *others) if others else []), *history.lowering("codebook_size"))
    symptom = "codebook collapse: most codes are never used"
    return Finding("warning", symptom, numbers, cause, ways, counter="collapsed")


def unused_level(history: History) -> Finding | None:
    """One level of codes carries no information: reconstructions are as good with another image's codes."""
    checks = _lately(history)
    if len(checks) < LATELY or not all("heard" in level for check in checks for level in check):
        return None
    most = [max(float(check[level]["heard"]) for check in checks) for level in range(len(checks[-1]))]
    level = min(range(len(most)), key=most.__getitem__)
    if most[level] >= UNUSED:
        return None
    symptom = "unused level: one level of codes carries no information"
    numbers = f"another image's codes at level {level + 1} of {len(most)} multiply the error by only {most[level]:.3f}"
    cause = "the other levels learned to ignore it, probably early on, when its codes were mostly noise"
    ways = (
        *history.lowering("learning_rate"),
        Change("train with another --seed"),
        Change("use a single level of codes (vqvae)"),
    )
    return Finding("warning", symptom, numbers, cause, ways)


def _lately(history: History) -> list[list[dict[str, Any]]]:
    """The latest validations' codebook statistics, once codes have had time to settle."""
    return [
        event["codes"]
        for event in history.all("validation")
        if event.get("codes") and (float(event.get("t", 0)) >= EARLY or int(event.get("step", 0)) >= SOON)
    ][-LATELY:]
