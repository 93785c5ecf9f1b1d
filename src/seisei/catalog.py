"""Fills the closed catalog: importing these modules registers the classes that a saved model may name."""

from __future__ import annotations

from importlib import import_module

# Literal names of our own modules: nothing is ever imported by a name read from a file.
MODULES = (
    "seisei.modalities.conditions",
    "seisei.modalities.image",
    "seisei.modalities.label",
    "seisei.modalities.label_map",
    "seisei.modalities.table",
    "seisei.modalities.text",
    "seisei.nn.gan.augment",
    "seisei.nn.quantizers.codebooks",
    "seisei.nn.tabular.features",
    "seisei.nn.conv",
    "seisei.nn.densities.full_covariance",
    "seisei.nn.gan.discriminator",
    "seisei.nn.style.feature_extractor",
    "seisei.nn.style.random_filters",
    "seisei.nn.masking",
    "seisei.nn.densities.gaussian",
    "seisei.nn.quantizers.scalar",
    "seisei.nn.heads",
    "seisei.nn.densities.ppca",
    "seisei.nn.spatial_conv",
    "seisei.nn.style.decoder",
    "seisei.nn.mlp",
    "seisei.nn.gan.paired_augment",
    "seisei.nn.gan.patchgan",
    "seisei.nn.codecs.pixel",
    "seisei.nn.priors",
    "seisei.nn.tabular.head",
    "seisei.nn.quantizers.residual",
    "seisei.nn.codecs.byte",
    "seisei.nn.unet",
    "seisei.nn.style.vgg",
    "seisei.nn.gan.views",
    "seisei.models.autoregressive",
    "seisei.models.classifier",
    "seisei.models.density",
    "seisei.models.gan",
    "seisei.models.kde",
    "seisei.models.linear",
    "seisei.models.mixture",
    "seisei.models.style",
    "seisei.models.translation",
    "seisei.models.vae",
    "seisei.models.vqvae",
    "seisei.objectives.adversarial",
    "seisei.objectives.autoregressive",
    "seisei.objectives.vq",
    "seisei.objectives.elbo",
    "seisei.objectives.likelihood",
    "seisei.objectives.reconstruction",
    "seisei.objectives.oasis",
    "seisei.objectives.vqgan",
    "seisei.objectives.style",
    "seisei.objectives.translation",
)


def fill() -> None:
    """Import every module that registers a class."""
    for module in MODULES:
        import_module(module)
