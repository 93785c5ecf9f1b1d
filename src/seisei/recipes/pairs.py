"""Images of images: pix2pix, and colors for what has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.modalities.label_map import LabelMap
from seisei.models.translation import Translator
from seisei.nn.gan.paired_augment import ColorView, PairView, Together
from seisei.nn.gan.patchgan import PatchDiscriminator, layers_for
from seisei.nn.unet import UNet
from seisei.objectives.oasis import ByRegions
from seisei.objectives.translation import Regression, Translation
from seisei.recipes.vaes import BatchSize, Decay, Rate, Steps, Width, image_of
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.plan import Optim, Plan

Game = Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"]
Weight = Annotated[float, Range(ge=0, le=1e6)]
Kind = Literal["auto", "unet", "residual"]
Noise = Literal["none", "latent", "dropout"]
Crop = Annotated[int, Range(ge=16, le=4096)] | None
Halvings = Annotated[int, Range(ge=1, le=10)] | None

WIDTH, DETAIL, BLOCKS = 32, 16, 4
# Sides below which a residual generator of few halvings does as well as a U-Net.
SMALL = 32
LATENT, DROPOUT = 16, 0.5


def pix2pix(
    schema: Schema,
    *,
    network: Kind = "auto",
    width: Width = None,
    halvings: Halvings = None,
    noise: Noise = "none",
    discriminator: Literal["patches", "regions"] = "patches",
    loss: Game = "non-saturating",
    regression: Weight = 25.0,
    adversarial: Weight = 1.0,
    matching: Weight = 0.0,
    penalty: Weight = 0.03,
    twin: bool = False,
    crop: Crop = None,
    shift: Annotated[float, Range(ge=0, le=0.5)] = 0.0625,
    mirror: bool = True,
    steps: Steps = 20_000,
    patience: Annotated[float, Range(gt=0, le=1)] = 0.5,
    batch: BatchSize = 8,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.998,
) -> Plan:
    """Learn from pairs to make of one image another.

    Paper: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*.
    Command: seisei train pix2pix pairs/
    Duration: an hour on two cores for images of 64×64. Expected: livelier colors than the
    regression alone gives, clouded where what is given does not tell them.

    Arguments:
        network: unet, or residual, which has few halvings and blocks between them; auto decides by the size.
        width: Channels of the first halved map.
        halvings: How often maps are halved; by default down to about 8 places.
        noise: What makes several answers of one image: latent numbers, or channels that are left out; none for one.
        discriminator: patches judges how patches look beside what is given; regions says of each pixel which class of
        a label
            map it shows.
        loss: What generator and discriminator of patches play for.
        regression: Weight of the distance to the truth, the mean of |x − x̂|.
        adversarial: Weight of the discriminator's verdict; 0 for the regression alone.
        matching: Weight of the distance to the truth in the discriminator's features.
        penalty: Weight of the discriminator's squared slope: larger for calmer, slower training.
        twin: Train a twin by the regression alone beside it, to see what the discriminator brings.
        crop: Side of the square that is cut out of both at each step; by default all of it.
        shift: Both sides are moved by up to this share of their sides.
        mirror: Both sides are mirrored, one pair of two.
        steps: Updates of the weights of both.
        patience: Stop when nothing got better in this share of the steps; 1 for never.
        batch: Pairs an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the generator's weights, which is what answers.
    """
    given, made = paired(schema), image_of(schema)
    plan = _translation(
        schema, Spec(PairView), given.shape[0], made.channels, network, width, halvings, noise, loss, regression,
        adversarial, matching, penalty, twin, crop, shift, mirror, steps, patience, batch, learning_rate, average,
    )  # fmt: skip
    if discriminator == "patches":
        return plan
    return _by_regions(plan, given, made.channels, width or WIDTH, crop, regression, adversarial)


def colorize(
    schema: Schema,
    *,
    network: Kind = "auto",
    width: Width = None,
    halvings: Halvings = None,
    noise: Noise = "none",
    loss: Game = "non-saturating",
    regression: Weight = 25.0,
    adversarial: Weight = 1.0,
    matching: Weight = 0.0,
    penalty: Weight = 0.03,
    twin: bool = False,
    crop: Crop = None,
    shift: Annotated[float, Range(ge=0, le=0.5)] = 0.0625,
    mirror: bool = True,
    steps: Steps = 20_000,
    patience: Annotated[float, Range(gt=0, le=1)] = 0.5,
    batch: BatchSize = 8,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.998,
) -> Plan:
    """Learn to color gray images, from images in color.

    Paper: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*.
    Command: seisei train colorize photos/
    Duration: an hour on two cores for photographs of 128×128. Expected: skies and skin in their colors, and a guess
    where several would do.

    Arguments:
        network: unet, or residual, which has few halvings and blocks between them; auto decides by the size.
        width: Channels of the first halved map.
        halvings: How often maps are halved; by default down to about 8 places.
        noise: What makes several answers of one image: latent numbers, or channels that are left out; none for one.
        loss: What generator and discriminator play for.
        regression: Weight of the distance to the truth, the mean of |x − x̂|.
        adversarial: Weight of the discriminator's verdict; 0 for the regression alone.
        matching: Weight of the distance to the truth in the discriminator's features.
        penalty: Weight of the discriminator's squared slope: larger for calmer, slower training.
        twin: Train a twin by the regression alone beside it, to see what the discriminator brings.
        crop: Side of the square that is cut out at each step; by default all of it.
        shift: Images are moved by up to this share of their sides.
        mirror: Images are mirrored, one of two.
        steps: Updates of the weights of both.
        patience: Stop when nothing got better in this share of the steps; 1 for never.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the generator's weights, which is what answers.
    """
    image = image_of(schema)
    if image.channels != 3:
        problem = f"have {image.channels} channel{'s' * (image.channels != 1)}, wanted 3"
        raise UserError("E-TRN-13", "images", problem, "give images in color: their gray is made of them")
    return _translation(
        schema, Spec(ColorView), 1, 2, network, width, halvings, noise, loss, regression, adversarial, matching,
        penalty, twin, crop, shift, mirror, steps, patience, batch, learning_rate, average,
    )  # fmt: skip


def _by_regions(
    plan: Plan, given: Any, channels: int, width: int, crop: int | None, regression: float, adversarial: float
) -> Plan:
    """The plan with a discriminator that says of each pixel which class it shows."""
    if not isinstance(given, LabelMap):
        remedy = "pass --label-map if each color of the side that is given stands for a class, or leave it out"
        raise UserError("E-TRN-08", "--discriminator regions", "is for label maps, and these data are none", remedy)
    side = crop or min(given.height, given.width)
    discriminator = Spec(
        UNet, inputs=channels, outputs=len(given.colors) + 1, width=width, depth=_halvings(side), detail=DETAIL,
        normalize="none",
    )  # fmt: skip
    parts = plan.objective.arguments
    objective = Spec(
        ByRegions, model=parts["model"], discriminator=discriminator, changes=parts["changes"], regression=regression,
        adversarial=adversarial,
    )  # fmt: skip
    return replace(plan, objective=objective)


def paired(schema: Schema) -> Any:
    """The side of the pairs that is given.

    Raises:
        UserError: the data are no pairs.
    """
    image_of(schema)
    end: Any = schema.y
    if end is None or end.noun != "image":
        problem = "are not pairs of images"
        remedy = "put them in two folders a and b under the same names, or side by side: see seisei check --pairs found"
        raise UserError("E-TRN-14", "data", problem, remedy)
    return end


def _translation(
    schema: Schema, view: Spec, inputs: int, outputs: int, network: str, width: int | None, halvings: int | None,
    noise: str, loss: str, regression: float, adversarial: float, matching: float, penalty: float, twin: bool,
    crop: int | None, shift: float, mirror: bool, steps: int, patience: float, batch: int, learning_rate: float,
    average: float,
) -> Plan:  # fmt: skip
    image = image_of(schema)
    side = min(image.height, image.width)
    if crop is not None and crop > side:
        problem = f"{crop} is out of range, wanted at most {side}"
        raise UserError("E-TRN-07", "--crop", problem, "choose a smaller one, or leave it out", found=crop)
    seen = crop or side
    model = Spec(Translator, network=_generator(inputs, outputs, network, width, halvings, noise, seen), view=view)
    changes = Spec(Together, shift=shift, mirror=mirror, crop=crop or 0)
    # The other player moves, and where the gradient pointed is no longer where to go: little momentum.
    optim = Optim(learning_rate=learning_rate, betas=(0.5, 0.99), clip=1000.0)
    if not adversarial and not matching:
        optim = Optim(learning_rate=learning_rate, clip=1000.0)
        return Plan(
            Spec(Regression, model=model, changes=changes), steps, batch, optim, average=average, patience=patience
        )
    shape = [inputs + outputs, image.height, image.width]
    discriminator = Spec(PatchDiscriminator, shape=shape, width=width or WIDTH, layers=layers_for(seen))
    objective = Spec(
        Translation, model=model, discriminator=discriminator, game=loss, regression=regression,
        adversarial=adversarial, matching=matching, on_real=penalty, on_drawn=penalty, twin=model if twin else None, changes=changes,
    )  # fmt: skip
    return Plan(objective, steps, batch, optim, average=average, patience=patience)


def _generator(
    inputs: int, outputs: int, kind: str, width: int | None, halvings: int | None, noise: str, side: int
) -> Spec:
    """A network whose smallest map is a few places wide: it sees what the image is of, and where."""
    residual = kind == "residual" or (kind == "auto" and side < SMALL)
    deep = halvings or (min(2, _halvings(side)) if residual else _halvings(side))
    latent = LATENT if noise == "latent" else 0
    return Spec(
        UNet, inputs=inputs, outputs=outputs, width=width or WIDTH, depth=deep, blocks=BLOCKS if residual else 1,
        detail=DETAIL, skips=True, normalize="place", enlarging="transposed", latent=latent,
        dropout=DROPOUT if noise == "dropout" else 0.0,
    )  # fmt: skip


def _halvings(side: int) -> int:
    """From 64 pixels to a map of 8, from 256 to one of 8."""
    return min(6, max(1, side.bit_length() - 3))
