"""Fills the closed catalog: importing this module's list is what makes saved models loadable."""

from __future__ import annotations

from importlib import import_module

# Literal names of our own modules: nothing is ever imported by a name that came from a file.
MODULES = (
    "seisei.modalities.given",
    "seisei.modalities.image",
    "seisei.modalities.label",
    "seisei.modalities.labelmap",
    "seisei.modalities.table",
    "seisei.modalities.text",
    "seisei.nn.augment",
    "seisei.nn.codebooks",
    "seisei.nn.columns",
    "seisei.nn.conv",
    "seisei.nn.covariances",
    "seisei.nn.critics",
    "seisei.nn.features",
    "seisei.nn.filters",
    "seisei.nn.gaps",
    "seisei.nn.gaussians",
    "seisei.nn.grids",
    "seisei.nn.heads",
    "seisei.nn.lowrank",
    "seisei.nn.maps",
    "seisei.nn.mirror",
    "seisei.nn.mlp",
    "seisei.nn.pairs",
    "seisei.nn.patches",
    "seisei.nn.pixels",
    "seisei.nn.priors",
    "seisei.nn.rows",
    "seisei.nn.several",
    "seisei.nn.symbols",
    "seisei.nn.unet",
    "seisei.nn.vgg",
    "seisei.nn.views",
    "seisei.models.autoregressive",
    "seisei.models.classifier",
    "seisei.models.gan",
    "seisei.models.kernel",
    "seisei.models.linear",
    "seisei.models.mixture",
    "seisei.models.style",
    "seisei.models.translation",
    "seisei.models.vae",
    "seisei.models.vqvae",
    "seisei.objectives.adversarial",
    "seisei.objectives.codes",
    "seisei.objectives.coding",
    "seisei.objectives.elbo",
    "seisei.objectives.likelihood",
    "seisei.objectives.reconstruction",
    "seisei.objectives.regions",
    "seisei.objectives.sharp",
    "seisei.objectives.style",
    "seisei.objectives.translation",
)


def fill() -> None:
    """Import every module that lists a class."""
    for module in MODULES:
        import_module(module)
