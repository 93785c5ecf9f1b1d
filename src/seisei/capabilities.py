"""What a model can do, as protocols: a verb is offered when the model has its capability, never by family name."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from seisei.batch import Batch


@runtime_checkable
class Samples(Protocol):
    """Draws x from nothing, or from a condition."""

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n examples, (n, *x)."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Gives the log-likelihood of an example, or a bound on it."""

    log_prob_is_bound: bool

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | y) in nats, (B,)."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Turns a latent into x."""

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The example of each latent, (B, *x)."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Turns x into a latent, or into codes, and back."""

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The latent of each example, (B, L), or its codes."""
        ...

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The example of each, (B, *x)."""
        ...


@runtime_checkable
class Interpolates(Protocol):
    """Has latents between which lie others; codes have nothing between them."""

    blends: bool

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The example of each latent, (B, *x)."""
        ...


@runtime_checkable
class Quantizes(Protocol):
    """Turns x into codes, whole numbers, and back: its `encode` answers with (B, T) of them.

    `segments` says how they are laid out (`seisei.nn.quantizers.code_layout.Segment`), and `bits` what those of an
    example cost before anything is known about them.
    """

    segments: Any
    bits: float

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes of each example, (B, T)."""
        ...

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The example of each row of codes, (B, *x)."""
        ...


@runtime_checkable
class Imputes(Protocol):
    """Draws what is missing of an example, given the rest."""

    def impute(self, batch: Batch, n: int, *, temperature: float = 1.0, particles: int = 8, **knobs: Any) -> Tensor:
        """n completions of each example, (B, n, *x): what was observed stays as it is."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Makes an image of an image, of any size.

    What is made of one place depends on what lies around it, and is the same wherever the image is cut at multiples
    of the `stride`; `noise` is how many random numbers an image is made with, 0 where there is one answer. What is
    given is like the data at the end that `side` names.
    """

    side: Literal["x", "y"]
    stride: int
    noise: int

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """What is made of each image, (B, C', H, W), with normal noise (B, noise) where it takes any."""
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Makes of two images of any size one: of the content of the first, in the style of the second."""

    def stylize(self, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        """Each content image in the style of its style image, (B, C, H, W), of the content's size."""
        ...


@runtime_checkable
class ClassConditional(Protocol):
    """Is conditioned on y: how many kinds there are."""

    classes: int


@runtime_checkable
class Classifies(Protocol):
    """Says which class an example is of."""

    def decide(self, batch: Batch) -> Tensor:
        """Class numbers, (B,)."""
        ...


@runtime_checkable
class HasPosterior(Protocol):
    """Says how likely each class is, given the example."""

    def log_posterior(self, batch: Batch) -> Tensor:
        """log p(y | x), (B, C)."""
        ...


@runtime_checkable
class HasJoint(Protocol):
    """Knows examples and their classes as one: it draws both, and its `log_prob` needs no class."""

    def log_joint(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(x, y) for every y, (B, C)."""
        ...

    def draw_labels(self, n: int) -> Tensor:
        """n classes drawn from p(y)."""
        ...


@runtime_checkable
class HasEncoderPosterior(Protocol):
    """Has an approximate posterior over its latent."""

    latent: int

    def posterior(self, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None) -> Any:
        """q(z | x, y) of what was observed, with `mean` (B, L) and `kl_to_standard()` (B, L)."""
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


# What comes out of these is shown as images.
IMAGED = ("reconstruct", "interpolate", "decode", "impute", "translate", "stylize")


def offers(model: object, *, images: bool = True) -> list[str]:
    """The verbs that a model offers, beside `evaluate`, which every model does.

    Arguments:
        model: what is asked.
        images: whether its x are images.

    Example:
        >>> offers(object())
        ['evaluate']
    """
    able = [verb for verb, capability in VERBS.items() if isinstance(model, capability)]
    return [verb for verb in able if images or verb not in IMAGED] + ["evaluate"]
