"""The artifact: schema, model and card. Raw things in, raw things out: every verb a person uses."""

from __future__ import annotations

from seisei.pipeline.artifact import BATCH, Asked, Latents, Pixels
from seisei.pipeline.generate import MOST, Drawing
from seisei.pipeline.infer import Telling
from seisei.pipeline.translate import Translated, Translating

__all__ = ["BATCH", "MOST", "Asked", "Latents", "Pipeline", "Pixels", "Translated"]


class Pipeline(Drawing, Translating, Telling):
    """A trained model with both its ends; see `Artifact` for what it is made of."""
