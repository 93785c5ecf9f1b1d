"""The watch over samples of images: sheets that report how much energy they have at the highest frequencies.

Each value is that of samples over that of held-out images, with its error, see `seisei.metrics.spectrum`. Of 8,000
pairs of 64 and 300 images, drawn from the same real ones (emoji and photographs at 16 to 64 pixels, clothes, digits),
none had a value less two errors above 1.2. Of a GAN of emoji at 32 pixels that showed a grid the largest was 6.8 and
more from a quarter of the training on, of a VAE with a faint lattice 10.
"""

from __future__ import annotations

from seisei.training.history import Event, Finding, History

HIGH_FREQUENCY = "high_frequency"
# Before this part of the training nothing is settled.
EARLY = 0.2
# What each ratio is called, and how large is too large, two errors below.
NAMES = {
    "brightness": "high-frequency energy",
    "color": "high-frequency energy of color",
    "checkerboard": "high-frequency energy, beside as much in the octave below,",
}
TOO_MUCH = {"brightness": 1.5, "color": 1.5, "checkerboard": 2.0}


def checkerboard(history: History) -> Finding | None:
    """Samples have a pattern of single pixels that images do not have."""
    sheets = [event for event in history.all("samples") if isinstance(event.get(HIGH_FREQUENCY), dict)][-2:]
    if len(sheets) < 2 or float(sheets[0].get("t", 0)) < EARLY:
        return None
    excess = [{name: least / TOO_MUCH[name] for name, least in _least(event).items()} for event in sheets]
    if min(max(found.values()) for found in excess) <= 1:
        return None
    # Where samples have no more energy than images, the pattern is faint: they are blurred, and have it instead.
    faint = min(max(found["brightness"], found["color"]) for found in excess) <= 1
    component = "checkerboard" if faint else max(("brightness", "color"), key=lambda name: excess[-1][name])
    value, error = sheets[-1][HIGH_FREQUENCY][component]
    numbers = f"samples have {value:.1f} ± {error:.1f} times the {NAMES[component]} of held-out images"
    cause = (
        "pixels that are made in patches, or by strides, have different weights, and nothing has evened them out yet"
    )
    advice = (
        "look at the sheets in samples/ and train longer; where a decoder makes patches "
        "(objective.model.decoder.patch in recipe.json is above 1), --set objective.model.decoder.patch=1 makes none"
    )
    if faint:
        return Finding("note", "a faint lattice in samples", numbers, cause, advice)
    return Finding("warning", "checkerboard artifacts in samples", numbers, cause, advice)


def _least(event: Event) -> dict[str, float]:
    """What each ratio is at least, two errors below; nothing is known of one without an error."""
    found = dict.fromkeys(NAMES, 0.0)
    for name in NAMES:
        value, error = event[HIGH_FREQUENCY].get(name, (None, None))
        if value is not None and error is not None:
            found[name] = float(value) - 2 * float(error)
    return found
