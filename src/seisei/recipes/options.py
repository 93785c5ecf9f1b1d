"""Options that recipes share: the fields of a group are options of every recipe that takes it.

    @with_groups
    def vae(schema, *, latent: Latent = 32, training: Training = Training(steps=3000)) -> Plan:

has the options ``latent``, ``steps``, ``batch``, ``learning_rate`` and ``ema_decay``, the last four with the defaults
of the group that stands as the parameter's default. What a recipe's own docstring says of an option replaces what the
group says.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import textwrap
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from seisei.spec import Range, argument_help
from seisei.training.plan import Plan

Steps = Annotated[int, Range(ge=1, le=10**9)]
BatchSize = Annotated[int, Range(ge=1, le=10**6)]
Rate = Annotated[float, Range(gt=0, le=1)]
Decay = Annotated[float, Range(ge=0, lt=1)]
Latent = Annotated[int, Range(ge=1, le=4096)]
Width = Annotated[int, Range(ge=4, le=4096)] | None
Depth = Annotated[int, Range(ge=0, le=32)] | None
Weight = Annotated[float, Range(ge=0, le=1e6)]
Share = Annotated[float, Range(ge=0, le=1)]


@dataclass(frozen=True)
class Training:
    """How long and how fast a model learns.

    Arguments:
        steps: Training steps (updates of the weights).
        batch: Batch size: examples per step.
        learning_rate: Peak learning rate of Adam.
        ema_decay: Decay of the exponential moving average (EMA) of the weights; the averaged weights are the model.
    """

    steps: Steps = 10_000
    batch: BatchSize = 64
    learning_rate: Rate = 1e-3
    ema_decay: Decay = 0.999


@dataclass(frozen=True)
class Network:
    """The network between an image and a vector.

    Arguments:
        network: mlp for small images, conv for larger ones; auto chooses by image size.
        width: Hidden units per layer (mlp), or channels of the first feature map (conv).
        depth: Hidden layers (mlp), or residual blocks per resolution (conv).
    """

    network: Literal["auto", "mlp", "conv"] = "auto"
    width: Width = None
    depth: Depth = None


@dataclass(frozen=True)
class Head:
    """The likelihood of a pixel.

    Arguments:
        head: Likelihood of a pixel; auto is bernoulli for black-and-white images, gaussian otherwise.
    """

    head: Literal["auto", "bernoulli", "gaussian", "logistic"] = "auto"


@dataclass(frozen=True)
class Codebook:
    """How vectors become codes.

    Arguments:
        codebook_size: Number of codes in a codebook.
        quantizer: ema: codes follow a moving average of the vectors assigned to them; cosine: the same on the unit
            sphere; gradient: codes learn by gradient descent; simvq: all codes through one learned linear map; fsq:
            finite scalar quantization; lfq: lookup-free quantization, by signs.
        quantizers: Codes per position.
        quantizer_mode: How several codes make up a position: residual, each encodes what those before it left over, or
            product, each encodes its own part of the vector.
        downsample: Downsampling factor: pixels per code along each side; by default 2, 4 or 8, by image size.
        code_dim: Dimension of a code vector.
        gradient: Gradient estimator of the quantizer: straight-through, or the rotation trick.
        commitment: Weight of the commitment loss, which keeps the encoder's outputs near their codes.
        gan_weight: Weight of the adversarial (VQGAN) loss: 0.5 for sharper textures, 0 for none.
    """

    codebook_size: Annotated[int, Range(ge=2, le=1 << 20)] = 512
    quantizer: Literal["ema", "cosine", "gradient", "simvq", "fsq", "lfq"] = "ema"
    quantizers: Annotated[int, Range(ge=1, le=32)] = 1
    quantizer_mode: Literal["residual", "product"] = "residual"
    downsample: Literal[2, 4, 8, 16, 32] | None = None
    code_dim: Annotated[int, Range(ge=1, le=4096)] | None = None
    gradient: Literal["straight-through", "rotation"] = "straight-through"
    commitment: Annotated[float, Range(ge=0, le=100)] = 0.25
    gan_weight: Annotated[float, Range(ge=0, le=100)] = 0.0


@dataclass(frozen=True)
class CodecNetwork:
    """The convolutional networks of a codec.

    Arguments:
        width: Channels of the first feature map.
        depth: Residual blocks per resolution.
    """

    width: Width = None
    depth: Depth = None


@dataclass(frozen=True)
class Adversary:
    """The GAN loss, and what keeps its discriminator in check.

    Arguments:
        loss: GAN loss; minimax is the original paper's, relativistic is the most stable.
        r1_gamma: Weight γ of the gradient penalty (R1; of relativistic R1 and R2; of wasserstein the penalty on
            gradient norms other than 1): larger for steadier, slower training.
        augment: Augmentation probability of the discriminator's inputs; by default adapted to how much it overfits.
        spectral_norm: Divide the discriminator's weights by their largest singular values; helps with hinge.
    """

    loss: Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"] = "relativistic"
    r1_gamma: Weight | None = None
    augment: Annotated[float, Range(ge=0, le=0.8)] | None = None
    spectral_norm: bool = False


@dataclass(frozen=True)
class Transformer:
    """The autoregressive Transformer.

    Arguments:
        width: Model width: dimension of the hidden vectors.
        layers: Number of Transformer layers.
        heads: Number of attention heads.
        dropout: Dropout probability, against overfitting.
    """

    width: Annotated[int, Range(ge=16, le=16384)] = 256
    layers: Annotated[int, Range(ge=1, le=128)] = 6
    heads: Annotated[int, Range(ge=1, le=256)] = 8
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.1


@dataclass(frozen=True)
class Guided:
    """What an autoregressive model is conditioned on.

    Arguments:
        condition: label conditions on the class, or on the columns that are named.
        cond_dropout: Condition dropout (for classifier-free guidance): how often the condition is left out in training.
    """

    condition: Literal["none", "label"] = "none"
    cond_dropout: Share = 0.1


@dataclass(frozen=True)
class ImageTranslation:
    """A U-Net from image to image, the losses that it learns by, and the augmentation of its pairs.

    Arguments:
        network: unet, or residual, which downsamples less and has more blocks at its lowest resolution; auto chooses by
            image size.
        width: Channels of the first downsampled feature map.
        downsample: Factor between the image and the lowest resolution of the network; by default to about 8×8.
        noise: Source of randomness for multi-modal outputs: a latent vector, dropout, or none.
        loss: GAN loss.
        l1_weight: Weight of the L1 loss, the mean of |x − x̂|.
        gan_weight: Weight of the GAN loss; 0 trains by the L1 loss alone.
        feature_matching: Weight of the L1 distance between the discriminator's features of output and target.
        r1_gamma: Weight γ of the R1 and R2 gradient penalties: larger for steadier, slower training.
        l1_baseline: Train a baseline by the L1 loss alone as well, to show what the discriminator adds.
        crop: Side of random square crops, in pixels; by default the whole image.
        shift: Random shifts by up to this share of the image's sides.
        flip: Horizontal flips with probability 0.5.
        patience: Early stopping: stop when no validation score has improved for this share of the steps; 1 for never.
    """

    network: Literal["auto", "unet", "residual"] = "auto"
    width: Width = None
    downsample: Literal[2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] | None = None
    noise: Literal["none", "latent", "dropout"] = "none"
    loss: Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"] = "non-saturating"
    l1_weight: Weight = 25.0
    gan_weight: Weight = 1.0
    feature_matching: Weight = 0.0
    r1_gamma: Weight = 0.03
    l1_baseline: bool = False
    crop: Annotated[int, Range(ge=16, le=4096)] | None = None
    shift: Annotated[float, Range(ge=0, le=0.5)] = 0.0625
    flip: bool = True
    patience: Annotated[float, Range(gt=0, le=1)] = 0.5


def with_groups(recipe: Callable[..., Plan]) -> Callable[..., Plan]:
    """The recipe with the fields of its groups as parameters of its own.

    Example:
        >>> @with_groups
        ... def tiny(schema: object, *, training: Training = Training(steps=5)) -> Plan: ...
        >>> list(inspect.signature(tiny).parameters), inspect.signature(tiny).parameters["steps"].default
        (['schema', 'steps', 'batch', 'learning_rate', 'ema_decay'], 5)
    """
    hints = typing.get_type_hints(recipe, include_extras=True)
    own_help = argument_help(recipe)
    flat: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    helps: dict[str, str] = {}
    for name, parameter in inspect.signature(recipe).parameters.items():
        kind = hints[name]
        if not dataclasses.is_dataclass(kind) or name == "schema":
            flat.append(parameter.replace(annotation=kind))
            helps[name] = own_help.get(name, "")
            continue
        assert isinstance(kind, type)
        inner = typing.get_type_hints(kind, include_extras=True)
        names = [field.name for field in dataclasses.fields(kind)]
        groups[name] = (kind, names)
        for field in names:
            default = getattr(parameter.default, field)
            flat.append(inspect.Parameter(field, parameter.KEYWORD_ONLY, default=default, annotation=inner[field]))
            helps[field] = own_help.get(field) or argument_help(kind)[field]

    @functools.wraps(recipe)
    def flattened(schema: Any, **options: Any) -> Plan:
        full = {p.name: options.pop(p.name, p.default) for p in flat[1:]}
        assert not options, f"{recipe.__name__}: no such option: {', '.join(options)}"
        for name, (kind, names) in groups.items():
            full[name] = kind(**{field: full.pop(field) for field in names})
        return recipe(schema, **full)

    flattened.__signature__ = inspect.Signature(flat, return_annotation=Plan)  # type: ignore[attr-defined]
    flattened.__annotations__ = {p.name: p.annotation for p in flat} | {"return": Plan}
    head = re.split(r"\n *Arguments:\n", inspect.getdoc(recipe) or "")[0].rstrip()
    lines = [
        textwrap.fill(f"{name}: {text}", 116, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for name, text in helps.items()
        if text
    ]
    flattened.__doc__ = "\n".join([head, "", "Arguments:", *lines])
    return flattened
