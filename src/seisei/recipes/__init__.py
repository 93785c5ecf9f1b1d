"""Recipes: functions ``(schema, *, dials) -> Plan``. The signature is the command line, the docstring its help."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from seisei.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from seisei.training.plan import Plan

# Named here as text, so that a list of recipes loads none of them (and not torch).
RECIPES: dict[str, tuple[str, str]] = {
    "autoencoder": (
        "seisei.recipes.vaes:autoencoder",
        "Autoencoder: compress images to a latent vector, reconstruct, interpolate.",
    ),
    "cgan": ("seisei.recipes.gans:cgan", "Conditional GAN: generate new examples of a class that you choose."),
    "colorize": ("seisei.recipes.pairs:colorize", "Colorize grayscale images, learned from color images."),
    "density": (
        "seisei.recipes.densities:density",
        "Density of table rows or images without labels: score, find outliers, sample.",
    ),
    "discriminant": (
        "seisei.recipes.classification:discriminant",
        "Discriminant function: predicts a class, without probabilities.",
    ),
    "discriminative": (
        "seisei.recipes.classification:discriminative",
        "Discriminative classifier, p(y | x): a class with its probability.",
    ),
    "gan": (
        "seisei.recipes.gans:gan",
        "Generative adversarial network: generate new examples.",
    ),
    "generative": (
        "seisei.recipes.classification:generative",
        "Generative classifier, p(x | y) p(y): classify by Bayes' rule, sample, score.",
    ),
    "pix2pix": ("seisei.recipes.pairs:pix2pix", "Image-to-image translation from pairs of images."),
    "prior": (
        "seisei.recipes.priors:prior",
        "Autoregressive Transformer over codes, pixels or text: generate, score, classify.",
    ),
    "stylize": (
        "seisei.recipes.style:stylize",
        "Style transfer: any image in the style of any other.",
    ),
    "vae": ("seisei.recipes.vaes:vae", "Variational autoencoder: generate, encode, decode, bound the likelihood."),
    "vqvae": ("seisei.recipes.vq:vqvae", "VQ-VAE: compress images to discrete codes and reconstruct them."),
    "vqvae+prior": (
        "seisei.recipes.priors:vqvae_prior",
        "A VQ-VAE and an autoregressive prior over its codes, in one run.",
    ),
    "vqvae2": ("seisei.recipes.vq:vqvae2", "Hierarchical VQ-VAE: several levels of codes, coarse to fine."),
}

# The data that a recipe reads: groups of `seisei.data.options.GROUPS`, whose options its help lists.
_IMAGES = ("common", "images")
DATA: dict[str, tuple[str, ...]] = {
    "autoencoder": _IMAGES,
    "cgan": (*_IMAGES, "tables", "conditions"),
    "colorize": _IMAGES,
    "density": (*_IMAGES, "tables"),
    "discriminant": (*_IMAGES, "tables"),
    "discriminative": (*_IMAGES, "tables"),
    "gan": (*_IMAGES, "tables"),
    "generative": (*_IMAGES, "tables", "labels"),
    "pix2pix": (*_IMAGES, "pairs"),
    "prior": (*_IMAGES, "texts", "conditions"),
    "stylize": (*_IMAGES, "styles"),
    "vae": (*_IMAGES, "conditions"),
    "vqvae": _IMAGES,
    "vqvae+prior": (*_IMAGES, "conditions"),
    "vqvae2": _IMAGES,
}
# Recipes that are conditioned on what a person chooses; cgan always is on something.
CONDITIONAL = ("cgan", "prior", "vae", "vqvae+prior")
# How data are read for a recipe, where a person leaves it open.
READS: dict[str, dict[str, Any]] = {"colorize": {"channels": 3}, "pix2pix": {"pairs": "auto"}}


def recipe(name: str) -> Callable[..., Plan]:
    """The recipe of this name.

    Raises:
        UserError: there is none; the nearest right name.
    """
    if name not in RECIPES:
        raise UserError(
            "E-TRN-01", name, "no such recipe", did_you_mean(name, RECIPES), found=name, wanted=sorted(RECIPES)
        )
    module, _, function = RECIPES[name][0].partition(":")
    found: Any = getattr(import_module(module), function)
    return found  # type: ignore[no-any-return]
