"""Model capabilities as protocols: a verb is offered if the model has its capability, never by family name."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from seisei.batch import Batch


@runtime_checkable
class Samples(Protocol):
    """Generates x, unconditionally or from a condition."""

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n generated examples, (n, *x)."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Has a log-likelihood, or a lower bound on it."""

    log_prob_is_bound: bool

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y) in nats, (B,)."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Decodes a latent into x."""

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoded examples, (B, *x)."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Encodes x into a latent or into codes, and decodes it."""

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The latent of each example, (B, L), or its codes."""
        ...

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoded examples, (B, *x)."""
        ...


@runtime_checkable
class Interpolates(Protocol):
    """Has a continuous latent space, so that two latents can be interpolated; discrete codes cannot."""

    blends: bool

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoded examples, (B, *x)."""
        ...


@runtime_checkable
class Quantizes(Protocol):
    """Encodes x into discrete codes, integers (B, T), and decodes them.

    `segments` is their layout (`seisei.nn.quantizers.code_layout.Segment`), and `bits` the size of an example's codes
    without a prior.
    """

    segments: Any
    bits: float

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes of each example, (B, T)."""
        ...

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The decoded examples, (B, *x)."""
        ...


@runtime_checkable
class Imputes(Protocol):
    """Samples missing values given the observed ones (imputation, inpainting)."""

    def impute(self, batch: Batch, n: int, *, temperature: float = 1.0, particles: int = 8, **knobs: Any) -> Tensor:
        """n completions of each example, (B, n, *x); observed values are unchanged."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Image-to-image translation, for images of any size.

    The output at a position depends on its surroundings only, and does not change when the image is cut at multiples of
    the `stride` (tiling). `noise` is the number of random values an output takes, 0 for a deterministic model. Inputs
    look like the data at the end that `side` names.
    """

    side: Literal["x", "y"]
    stride: int
    noise: int

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """The output for each image, (B, C', H, W); `noise` is normal, (B, noise), if the model takes any."""
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Style transfer: the content of one image in the style of another, both of any size."""

    def stylize(self, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        """Each content image in the style of its style image, (B, C, H, W), at the content's size."""
        ...


@runtime_checkable
class ClassConditional(Protocol):
    """Conditioned on a class label; `classes` is the number of classes."""

    classes: int


@runtime_checkable
class Classifies(Protocol):
    """Predicts a class."""

    def decide(self, batch: Batch) -> Tensor:
        """Predicted classes, (B,)."""
        ...


@runtime_checkable
class HasPosterior(Protocol):
    """Has class probabilities given the example."""

    def log_posterior(self, batch: Batch) -> Tensor:
        """log p(y | x), (B, C)."""
        ...


@runtime_checkable
class HasJoint(Protocol):
    """Has a joint density of examples and classes: it samples both, and its `log_prob` needs no class."""

    def log_joint(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(x, y) for every y, (B, C)."""
        ...

    def draw_labels(self, n: int) -> Tensor:
        """n classes sampled from p(y)."""
        ...


@runtime_checkable
class HasEncoderPosterior(Protocol):
    """Has an approximate posterior (encoder) over its latent."""

    latent: int

    def posterior(self, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None) -> Any:
        """q(z | x, y) given the observed values, with `mean` (B, L) and `kl_to_standard()` (B, L)."""
        ...


VERBS: dict[str, type] = {
    "sample": Samples,
    "reconstruct": Encodes,
    "interpolate": Interpolates,
    "encode": Encodes,
    "decode": Decodes,
    "score": Scores,
    "predict": Classifies,
    "impute": Imputes,
    "translate": Translates,
    "stylize": Stylizes,
}


# Verbs whose output is shown as images.
IMAGED = ("reconstruct", "interpolate", "decode", "impute", "translate", "stylize")


def offers(model: object, *, images: bool = True) -> list[str]:
    """The verbs a model offers, plus `evaluate`, which every model has.

    Arguments:
        model: the model.
        images: whether its x are images.

    Example:
        >>> offers(object())
        ['evaluate']
    """
    able = [verb for verb, capability in VERBS.items() if isinstance(model, capability)]
    return [verb for verb in able if images or verb not in IMAGED] + ["evaluate"]
