"""Generative adversarial networks: without a condition, and with one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.conditions import Given
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.models.gan import Generator
from seisei.nn.conv import ConvDecoder, ConvEncoder
from seisei.nn.gan.augment import STRONGEST, Augment
from seisei.nn.gan.discriminator import Discriminator
from seisei.nn.gan.views import ImageView, RowView
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.objectives.adversarial import Adversarial
from seisei.recipes.vaes import (
    BatchSize,
    Decay,
    Depth,
    Latent,
    Network,
    Rate,
    Steps,
    Width,
    image_of,
    naming_classes,
    plain_or_conv,
)
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

Game = Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"]
Penalty = Annotated[float, Range(ge=0, le=1e6)] | None

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
Balance = Annotated[float, Range(ge=0, le=1)] | None
Strength = Annotated[float, Range(ge=0, le=STRONGEST)] | None


def gan(
    schema: Schema,
    *,
    latent: Latent | None = None,
    network: Network = "auto",
    width: Width = None,
    depth: Depth = None,
    loss: Game = "relativistic",
    penalty: Penalty = None,
    augment: Strength = None,
    normalize: Literal["none", "spectral"] = "none",
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate | None = None,
    average: Decay = 0.999,
) -> Plan:
    """Learn to draw new examples that a discriminator cannot tell from the data.

    Paper: *Generative Adversarial Nets (Goodfellow et al., 2014)*.
    Command: seisei train gan digits
    Duration: minutes for points, half an hour for images of 28×28, on two cores. Expected: every mode of the data
    drawn, 25 of 25 of points and 1,000 of 1,000 of stacked digits.

    Arguments:
        latent: Numbers in the noise that an example is made of; by default 64, or for rows as many as they have values.
        network: mlp for rows and small images, conv for larger images; auto decides.
        width: Units of a hidden layer (mlp), channels of the first feature map (conv).
        depth: Hidden layers (mlp), residual blocks at each size (conv).
        loss: What generator and discriminator play for; minimax is that of the paper, relativistic the most stable.
        penalty: Weight of the discriminator's squared slope at real and drawn examples: larger for calmer, slower
        training.
        augment: How often an image is moved, cut or lit for the discriminator; by default as often as few data need.
        normalize: spectral divides the discriminator's weights by their largest singular values; pays with hinge.
        steps: Updates of the weights of both.
        batch: Examples an update.
        learning_rate: Of Adam, at its highest; by default 0.0005, or 0.002 for rows.
        average: Decay of the moving average of the generator's weights, which is what draws.
    """
    return _game(
        schema, 0, latent, network, width, depth, loss, penalty, augment, normalize, 0.0, steps, batch, learning_rate,
        average,
    )  # fmt: skip


def cgan(
    schema: Schema,
    *,
    latent: Latent | None = None,
    network: Network = "auto",
    width: Width = None,
    depth: Depth = None,
    loss: Game = "relativistic",
    penalty: Penalty = None,
    augment: Strength = None,
    normalize: Literal["none", "spectral"] = "none",
    balance: Balance = None,
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate | None = None,
    average: Decay = 0.999,
) -> Plan:
    """Learn to draw new examples of a kind that you choose.

    Paper: *Conditional Generative Adversarial Nets (Mirza, Osindero, 2014)*.
    Command: seisei train cgan digits
    Duration: a quarter of an hour with --steps 12000 for images of 28×28, on two cores. Expected: 99.4 % of drawn
    digits (MNIST) and 92.8 % of drawn clothes (Fashion-MNIST) are of the kind that is asked for.

    Arguments:
        latent: Numbers in the noise that an example is made of; by default 64, or for rows as many as they have values.
        network: mlp for rows and small images, conv for larger images; auto decides.
        width: Units of a hidden layer (mlp), channels of the first feature map (conv).
        depth: Hidden layers (mlp), residual blocks at each size (conv).
        loss: What generator and discriminator play for; minimax is that of the paper, relativistic the most stable.
        penalty: Weight of the discriminator's squared slope at real and drawn examples: larger for calmer, slower
        training.
        augment: How often an image is moved, cut or lit for the discriminator; by default as often as few data need.
        normalize: spectral divides the discriminator's weights by their largest singular values; pays with hinge.
        balance: How far rare kinds come more often than they are: 0 as they are, 1, the default, as often as others.
        steps: Updates of the weights of both.
        batch: Examples an update.
        learning_rate: Of Adam, at its highest; by default 0.0005, or 0.002 for rows.
        average: Decay of the moving average of the generator's weights, which is what draws.
    """
    if isinstance(schema.y, Given):
        if balance is not None:
            raise UserError("E-TRN-08", "--balance", "is of kinds, and --conditions are none", "leave it out")
        classes = schema.y.size
    elif isinstance(schema.y, Label) and schema.y.classes > 1:
        classes = schema.y.classes
    else:
        given = "" if isinstance(schema.x, Table) else ", or name one of its columns with --conditions"
        remedy = f"{naming_classes(schema)}{given}, or train gan"
        raise UserError("E-TRN-12", "data", "no classes to choose from, wanted at least 2", remedy)
    return _game(
        schema, classes, latent, network, width, depth, loss, penalty, augment, normalize, _balance(schema, balance),
        steps, batch, learning_rate, average,
    )  # fmt: skip


def _game(
    schema: Schema, classes: int, latent: int | None, network: str, width: int | None, depth: int | None, loss: Game,
    penalty: float | None, augment: float | None, normalize: str, balance: float, steps: int, batch: int,
    learning_rate: float | None, average: float,
) -> Plan:  # fmt: skip
    rows = isinstance(schema.x, Table)
    if rows and augment is not None:
        raise UserError("E-TRN-08", "--augment", "is for images, and these data are rows", "leave it out")
    # More noise than there are values to make leaves a point between all modes, which no network divides quickly.
    latent = latent or (min(64, max(2, len(schema.x.columns))) if isinstance(schema.x, Table) else 64)
    decoder, trunk, view, format = _players(schema, classes, latent, network, width, depth)
    # Points need an edge in the last layer too: with a smooth one modes are lost again when the penalty has fallen.
    activation = "relu" if rows else "silu"
    model = Spec(Generator, decoder=decoder, prior=Spec(StandardNormal, latent=latent), view=view)
    discriminator = Spec(
        Discriminator,
        trunk=trunk,
        features=FEATURES,
        classes=classes,
        spectral=normalize == "spectral",
        activation=activation,
    )
    real, drawn, off_one, moves = PENALTIES[loss]
    gamma = _gamma(schema) if penalty is None else penalty
    objective = Spec(
        Adversarial, model=model, discriminator=discriminator, game=loss, on_real=gamma * real, on_drawn=gamma * drawn,
        off_one=off_one if penalty is None or not off_one else penalty, discriminator_moves=moves,
        falls=_falls(schema),
        augment=None if rows else Spec(Augment, strength=augment or 0.0, adapts=augment is None),
    )  # fmt: skip
    # No momentum: the other player moves, and where the gradient pointed is no longer where to go.
    rate = learning_rate or (2e-3 if rows else 5e-4)
    optim = Optim(learning_rate=rate, betas=(0.0, 0.99), clip=1000.0)
    return Plan(objective, steps, batch, optim, average=average, format=format, balance=balance)


def _balance(schema: Schema, balance: float | None) -> float:
    """As many of each kind, where a person says nothing and there are kinds."""
    return 0.0 if isinstance(schema.y, Given) else 1.0 if balance is None else balance


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


def _players(
    schema: Schema, classes: int, latent: int, network: str, width: int | None, depth: int | None
) -> tuple[Spec, Spec, Spec, Any]:
    """The generator's decoder, the discriminator's trunk, the view of x, and the memory format."""
    if isinstance(schema.x, Table):
        view = Spec(RowView, sizes=list(schema.x.sizes))
        wide, deep = width or 256, 3 if depth is None else depth
        shape = [view.build().outputs]
        decoder = Spec(MLPDecoder, shape=shape, latent=latent, classes=classes, width=wide, depth=max(1, deep))
        # The features are the discriminator's last hidden layer.
        trunk = Spec(MLPEncoder, shape=shape, outputs=FEATURES, width=wide, depth=max(1, deep - 1))
        return decoder, trunk, view, "contiguous"
    image = image_of(schema)
    network, format = plain_or_conv(image, network)
    shape = list(image.shape)
    if network == "mlp":
        dims = {"width": width or 512, "depth": 2 if depth is None else depth}
        decoder = Spec(MLPDecoder, shape=shape, latent=latent, classes=classes, **dims)
        return decoder, Spec(MLPEncoder, shape=shape, outputs=FEATURES, **dims), Spec(ImageView), format
    # Smaller patches cost several times as much; a map at full size removes the grid that these leave in small images
    # of one channel. In large ones, and in color of any size, it does not: these are drawn without patches, by maps of
    # fewer channels, each enlarged bilinearly (docs/log.md).
    dims = {"width": width or 32, "depth": 1 if depth is None else depth, "patch": 4}
    trunk = Spec(ConvEncoder, shape=shape, outputs=FEATURES, **dims)
    drawing: dict[str, Any] = {**dims, "detail": DETAIL}
    if _large(image) or image.channels > 1:
        drawing = {**dims, "width": max(4, 3 * dims["width"] // 8), "patch": 1, "enlarging": "bilinear"}
    return Spec(ConvDecoder, shape=shape, latent=latent, classes=classes, **drawing), trunk, Spec(ImageView), format
