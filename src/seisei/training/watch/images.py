"""Watch rules for image samples: checkerboard artifacts, from the energy of sample grids at the highest frequencies.

Each value is the ratio of samples to held-out images, with its standard error (`seisei.metrics.spectrum`). Thresholds:
for 8,000 pairs of 64 and 300 real images from one data set (emoji and photographs at 16 to 64 pixels, clothes, digits),
the ratio minus two errors never exceeded 1.2. A GAN trained on emoji at 32 pixels with visible artifacts reached 6.8
and more after a quarter of training, a VAE with faint ones 10.
"""

from __future__ import annotations

from seisei.training.history import Event, Finding, History

HIGH_FREQUENCY = "high_frequency"
# The rule does not apply before this fraction of training.
EARLY = 0.2
# What each ratio is called, and the threshold on its value minus two standard errors.
NAMES = {
    "brightness": "high-frequency energy",
    "color": "high-frequency color energy",
    "checkerboard": "high-frequency energy (relative to the octave below)",
}
TOO_MUCH = {"brightness": 1.5, "color": 1.5, "checkerboard": 2.0}


def checkerboard(history: History) -> Finding | None:
    """Samples have a pixel-level pattern that real images do not have."""
    sheets = [event for event in history.all("samples") if isinstance(event.get(HIGH_FREQUENCY), dict)][-2:]
    if len(sheets) < 2 or float(sheets[0].get("t", 0)) < EARLY:
        return None
    excess = [{name: least / TOO_MUCH[name] for name, least in _least(event).items()} for event in sheets]
    if min(max(found.values()) for found in excess) <= 1:
        return None
    # Blurry samples can hide a faint pattern: their total high-frequency energy is not above that of real images.
    faint = min(max(found["brightness"], found["color"]) for found in excess) <= 1
    component = "checkerboard" if faint else max(("brightness", "color"), key=lambda name: excess[-1][name])
    value, error = sheets[-1][HIGH_FREQUENCY][component]
    numbers = f"samples have {value:.1f} ± {error:.1f} times the {NAMES[component]} of held-out images"
    cause = "pixels within a decoder patch or stride use different weights, and training has not evened them out yet"
    advice = (
        "look at the grids in samples/ and train longer; if the decoder outputs patches "
        "(objective.model.decoder.patch in recipe.json is above 1), use --set objective.model.decoder.patch=1"
    )
    if faint:
        return Finding("note", "faint checkerboard artifacts in samples", numbers, cause, advice)
    return Finding("warning", "checkerboard artifacts in samples", numbers, cause, advice)


def _least(event: Event) -> dict[str, float]:
    """Each ratio minus two standard errors; 0 where the error is unknown."""
    found = dict.fromkeys(NAMES, 0.0)
    for name in NAMES:
        value, error = event[HIGH_FREQUENCY].get(name, (None, None))
        if value is not None and error is not None:
            found[name] = float(value) - 2 * float(error)
    return found
