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
        "A code for every image: reconstruct, encode, decode, interpolate.",
    ),
    "cgan": ("seisei.recipes.gans:cgan", "Conditional GAN: new examples of a kind that you choose."),
    "colorize": ("seisei.recipes.pairs:colorize", "Colors for gray images, learned from images in color."),
    "discriminant": (
        "seisei.recipes.classification:discriminant",
        "A surface between classes: a class number, and no probability.",
    ),
    "discriminative": (
        "seisei.recipes.classification:discriminative",
        "p(y | x): which class, and how sure.",
    ),
    "gan": (
        "seisei.recipes.gans:gan",
        "Generative adversarial network: new examples that a discriminator takes for real.",
    ),
    "generative": (
        "seisei.recipes.classification:generative",
        "p(x | y) and p(y): labels by Bayes' rule, examples of a class, likelihoods, gaps allowed.",
    ),
    "pix2pix": ("seisei.recipes.pairs:pix2pix", "Pairs of images: make of one the other, sharp."),
    "prior": (
        "seisei.recipes.priors:prior",
        "A Transformer over codes or pixels: draw, score, tell kinds.",
    ),
    "stylize": ("seisei.recipes.style:stylize", "Any image in the style of any other, in one pass."),
    "vae": ("seisei.recipes.vaes:vae", "Variational autoencoder: new images, smooth latents, a likelihood bound."),
    "vqvae": ("seisei.recipes.vq:vqvae", "Images as whole numbers and back: encode, decode, reconstruct."),
    "vqvae+prior": ("seisei.recipes.priors:vqvae_prior", "Both stages in one: codes for images, then their order."),
    "vqvae2": ("seisei.recipes.vq:vqvae2", "The same on several grids, one finer than the other."),
}

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
