"""Generative adversarial networks: without a condition, and with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.image import Image
from seisei.modalities.table import Table
from seisei.models.gan import Generator
from seisei.nn.conv import ConvDecoder, ConvEncoder
from seisei.nn.gan.augment import Augment
from seisei.nn.gan.discriminator import Discriminator
from seisei.nn.gan.views import ImageView, RowView
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.objectives.adversarial import Adversarial
from seisei.recipes.options import Adversary, Decay, Latent, Network, Rate, Share, Training, with_groups
from seisei.recipes.vaes import image_of, mlp_or_conv, naming_classes
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.plan import Optim, Plan

# What a game is played with: R1, R2, the penalty on slopes off one; the discriminator's moves for each of the
# generator.
PENALTIES: dict[str, tuple[bool, bool, float, int]] = {
    "minimax": (False, False, 0.0, 1),
    "non-saturating": (True, False, 0.0, 1),
    "least-squares": (True, False, 0.0, 1),
    "hinge": (True, False, 0.0, 1),
    "wasserstein": (False, False, 10.0, 5),
    "relativistic": (True, True, 0.0, 1),
}
FEATURES = 128
# Channels of the generator's map at full size after patches; images with a longer side than that are large.
DETAIL, LARGE = 12, 32
MOST_GAMMA = 3.0
# The share of γ that is left at the end: where modes may be narrow points, and of large images, which it leaves soft.
FALLS, LARGE_FALLS = 0.005, 0.1


@dataclass(frozen=True)
class Updates(Training):
    """How long and how fast both networks learn.

    Arguments:
        steps: Training steps (updates of both networks).
        batch: Batch size: examples per step.
        learning_rate: Peak learning rate of Adam; by default 0.0005, or 0.002 for table rows.
        ema_decay: Decay of the exponential moving average (EMA) of the generator's weights, which is what samples.
    """

    learning_rate: Rate | None = None  # type: ignore[assignment]
    ema_decay: Decay = 0.999


@with_groups
def gan(
    schema: Schema,
    *,
    latent: Latent | None = None,
    network: Network = Network(),
    adversary: Adversary = Adversary(),
    training: Updates = Updates(),
) -> Plan:
    """Learn to generate new examples that a discriminator cannot tell from the data.

    Paper: *Generative Adversarial Nets (Goodfellow et al., 2014)*.
    Command: seisei train gan digits
    Duration: minutes for points, half an hour for images of 28×28, on two cores. Expected: every mode of the data is
    covered, 25 of 25 of points and 1,000 of 1,000 of stacked digits.

    Arguments:
        latent: Latent dimension; by default 64, or for table rows as many as they have values.
        network: mlp for table rows and small images, conv for larger images; auto chooses.
    """
    return _plan(schema, 0, latent, network, adversary, 0.0, training)


@with_groups
def cgan(
    schema: Schema,
    *,
    latent: Latent | None = None,
    network: Network = Network(),
    adversary: Adversary = Adversary(),
    class_balance: Share | None = None,
    training: Updates = Updates(),
) -> Plan:
    """Learn to generate new examples of a class that you choose.

    Paper: *Conditional Generative Adversarial Nets (Mirza, Osindero, 2014)*.
    Command: seisei train cgan digits
    Duration: a quarter of an hour with --steps 12000 for images of 28×28, on two cores. Expected: 99.4 % of generated
    digits (MNIST) and 92.8 % of generated clothes (Fashion-MNIST) are of the class asked for.

    Arguments:
        latent: Latent dimension; by default 64, or for table rows as many as they have values.
        network: mlp for table rows and small images, conv for larger images; auto chooses.
        class_balance: Class balancing: 0 samples training examples as in the data, 1 (the default) samples all classes
            equally.
    """
    if isinstance(schema.y, Conditions):
        if class_balance is not None:
            problem = "balances classes, and --condition names values"
            raise UserError("E-TRN-08", "--class-balance", problem, "leave it out")
        classes = schema.y.size
    elif len(schema.classes) > 1:
        classes = len(schema.classes)
    else:
        given = "" if isinstance(schema.x, Table) else ", or name one of its columns with --condition"
        remedy = f"{naming_classes(schema)}{given}, or train gan"
        raise UserError("E-TRN-12", "data", "no classes to choose from, wanted at least 2", remedy)
    return _plan(schema, classes, latent, network, adversary, _balance(schema, class_balance), training)


def _plan(
    schema: Schema,
    classes: int,
    latent: int | None,
    network: Network,
    adversary: Adversary,
    balance: float,
    training: Training,
) -> Plan:
    rows = isinstance(schema.x, Table)
    if rows and adversary.augment is not None:
        raise UserError("E-TRN-08", "--augment", "is for images, and these data are rows", "leave it out")
    # A latent of more dimensions than a row has values leaves a point between all modes, which no network divides
    # quickly.
    latent = latent or (min(64, max(2, len(schema.x.columns))) if isinstance(schema.x, Table) else 64)
    decoder, trunk, view, format = _players(schema, classes, latent, network)
    # Points need an edge in the last layer too: with a smooth one modes are lost again when the penalty has fallen.
    activation = "relu" if rows else "silu"
    model = Spec(Generator, decoder=decoder, prior=Spec(StandardNormal, latent=latent), view=view)
    discriminator = Spec(
        Discriminator,
        trunk=trunk,
        features=FEATURES,
        classes=classes,
        spectral=adversary.spectral_norm,
        activation=activation,
    )
    real, drawn, off_one, moves = PENALTIES[adversary.loss]
    gamma = _gamma(schema) if adversary.r1_gamma is None else adversary.r1_gamma
    objective = Spec(
        Adversarial,
        model=model,
        discriminator=discriminator,
        game=adversary.loss,
        on_real=gamma * real,
        on_drawn=gamma * drawn,
        off_one=off_one if adversary.r1_gamma is None or not off_one else adversary.r1_gamma,
        discriminator_moves=moves,
        falls=_falls(schema),
        augment=None if rows else Spec(Augment, strength=adversary.augment or 0.0, adapts=adversary.augment is None),
    )
    # No momentum: the other network changes too, and an old gradient no longer points anywhere useful.
    rate = training.learning_rate or (2e-3 if rows else 5e-4)
    optim = Optim(learning_rate=rate, betas=(0.0, 0.99), clip=1000.0)
    return Plan(
        objective,
        training.steps,
        training.batch,
        optim,
        ema_decay=training.ema_decay,
        format=format,
        class_balance=balance,
    )


def _balance(schema: Schema, balance: float | None) -> float:
    """All classes equally often, where a person says nothing and there are classes."""
    return 0.0 if isinstance(schema.y, Conditions) else 1.0 if balance is None else balance


def _gamma(schema: Schema) -> float:
    """The weight of the penalties where a person says nothing.

    The more values an example has, the more ways there are to tell it from others, and the smoother a discriminator
    has to be: in proportion to them, from trials with 64, 784 and 2,352. Of many more most say the same as their
    neighbors.
    """
    return 0.1 if isinstance(schema.x, Table) else round(min(image_of(schema).values / 784, MOST_GAMMA), 3)


def _falls(schema: Schema) -> float:
    """The share of γ that is left at the end."""
    if isinstance(schema.x, Table):
        return FALLS
    return LARGE_FALLS if _large(image_of(schema)) else 1.0


def _large(image: Image) -> bool:
    return max(image.height, image.width) > LARGE


def _players(schema: Schema, classes: int, latent: int, network: Network) -> tuple[Spec, Spec, Spec, Any]:
    """The generator's decoder, the discriminator's trunk, the view of x, and the memory format."""
    if isinstance(schema.x, Table):
        view = Spec(RowView, sizes=list(schema.x.sizes))
        wide, deep = network.width or 256, 3 if network.depth is None else network.depth
        shape = [view.build().outputs]
        decoder = Spec(MLPDecoder, shape=shape, latent=latent, classes=classes, width=wide, depth=max(1, deep))
        # The features are the discriminator's last hidden layer.
        trunk = Spec(MLPEncoder, shape=shape, outputs=FEATURES, width=wide, depth=max(1, deep - 1))
        return decoder, trunk, view, "contiguous"
    image = image_of(schema)
    kind, format = mlp_or_conv(image, network.network)
    shape = list(image.shape)
    if kind == "mlp":
        dims = {"width": network.width or 512, "depth": 2 if network.depth is None else network.depth}
        decoder = Spec(MLPDecoder, shape=shape, latent=latent, classes=classes, **dims)
        return decoder, Spec(MLPEncoder, shape=shape, outputs=FEATURES, **dims), Spec(ImageView), format
    # Smaller patches cost several times as much; a map at full size removes the grid that these leave in small images
    # of one channel. In large ones, and in color of any size, it does not: these are drawn without patches, by maps of
    # fewer channels, each enlarged bilinearly (docs/log.md).
    dims = {"width": network.width or 32, "depth": 1 if network.depth is None else network.depth, "patch": 4}
    trunk = Spec(ConvEncoder, shape=shape, outputs=FEATURES, **dims)
    drawing: dict[str, Any] = {**dims, "detail": DETAIL}
    if _large(image) or image.channels > 1:
        drawing = {**dims, "width": max(4, 3 * dims["width"] // 8), "patch": 1, "enlarging": "bilinear"}
    return Spec(ConvDecoder, shape=shape, latent=latent, classes=classes, **drawing), trunk, Spec(ImageView), format
