"""Trained models with their data schemas: raw examples in, raw examples out, for every operation."""

from __future__ import annotations

from seisei.pipeline.artifact import BATCH, Labels, Latents, Pixels
from seisei.pipeline.generate import MOST, Generation
from seisei.pipeline.infer import Inference
from seisei.pipeline.translate import Translated, Translation

__all__ = ["BATCH", "MOST", "Labels", "Latents", "Pipeline", "Pixels", "Translated"]


class Pipeline(Generation, Translation, Inference):
    """A trained model with its schema and all of its operations, constructed as `Artifact`."""
