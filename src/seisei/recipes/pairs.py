"""Images of images: pix2pix, and colors for what has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from seisei.errors import UserError
from seisei.modalities.label_map import LabelMap
from seisei.models.translation import Translator
from seisei.nn.gan.paired_augment import ColorView, PairView, Together
from seisei.nn.gan.patchgan import PatchDiscriminator, layers_for
from seisei.nn.unet import UNet
from seisei.objectives.oasis import OASIS
from seisei.objectives.translation import Regression, Translation
from seisei.recipes.options import ImageTranslation, Training, with_groups
from seisei.recipes.vaes import image_of
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.plan import Optim, Plan

WIDTH, DETAIL, BLOCKS = 32, 16, 4
# Sides below which a residual generator that downsamples little does as well as a U-Net.
SMALL = 32
LATENT, DROPOUT = 16, 0.5


@with_groups
def pix2pix(
    schema: Schema,
    *,
    discriminator: Literal["patchgan", "oasis"] = "patchgan",
    translation: ImageTranslation = ImageTranslation(),
    training: Training = Training(steps=20_000, batch=8, ema_decay=0.998),
) -> Plan:
    """Learn image-to-image translation from pairs of images.

    Paper: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*.
    Command: seisei train pix2pix pairs/
    Duration: an hour on two cores for images of 64×64. Expected: more vivid colors than the L1 loss alone gives, and
    blotches where the input does not determine them.

    Arguments:
        discriminator: patchgan judges whether patches of the output look real next to the input; oasis classifies each
            pixel of the output into the classes of a label map.
        steps: Training steps (updates of both networks).
        batch: Batch size: pairs per step.
        ema_decay: Decay of the exponential moving average (EMA) of the generator's weights, which is what translates.
    """
    inputs, outputs = paired(schema), image_of(schema)
    plan = _plan(schema, Spec(PairView), inputs.shape[0], outputs.channels, translation, training)
    return plan if discriminator == "patchgan" else _oasis(plan, inputs, outputs.channels, translation)


@with_groups
def colorize(
    schema: Schema,
    *,
    translation: ImageTranslation = ImageTranslation(),
    training: Training = Training(steps=20_000, batch=8, ema_decay=0.998),
) -> Plan:
    """Learn to colorize grayscale images, from color images.

    Paper: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*.
    Command: seisei train colorize photos/
    Duration: an hour on two cores for photographs of 128×128. Expected: plausible colors of skies and skin, and a guess
    where several colors would do.

    Arguments:
        steps: Training steps (updates of both networks).
        ema_decay: Decay of the exponential moving average (EMA) of the generator's weights, which is what colorizes.
    """
    image = image_of(schema)
    if image.channels != 3:
        problem = f"have {image.channels} channel{'s' * (image.channels != 1)}, wanted 3"
        raise UserError("E-TRN-13", "images", problem, "give color images: the grayscale inputs are made from them")
    return _plan(schema, Spec(ColorView), 1, 2, translation, training)


def _oasis(plan: Plan, inputs: Any, channels: int, translation: ImageTranslation) -> Plan:
    """The plan with a discriminator that classifies each pixel."""
    if not isinstance(inputs, LabelMap):
        problem = "needs label maps as inputs, and these data have none"
        remedy = "pass --label-map if each color of the input images stands for a class, or leave it out"
        raise UserError("E-TRN-08", "--discriminator oasis", problem, remedy)
    side = translation.crop or min(inputs.height, inputs.width)
    discriminator = Spec(
        UNet,
        inputs=channels,
        outputs=len(inputs.colors) + 1,
        width=translation.width or WIDTH,
        depth=_depth(side),
        detail=DETAIL,
        normalize="none",
    )
    parts = plan.objective.arguments
    objective = Spec(
        OASIS,
        model=parts["model"],
        discriminator=discriminator,
        changes=parts["changes"],
        regression=translation.l1_weight,
        adversarial=translation.gan_weight,
    )
    return replace(plan, objective=objective)


def paired(schema: Schema) -> Any:
    """The input side of the pairs.

    Raises:
        UserError: the data are no pairs.
    """
    image_of(schema)
    end: Any = schema.y
    if end is None or end.noun != "image":
        problem = "expected pairs of images, found single ones"
        remedy = "put them in two folders a and b under the same names, or side by side: see seisei check --pairs auto"
        raise UserError("E-TRN-14", "data", problem, remedy)
    return end


def _plan(
    schema: Schema, view: Spec, inputs: int, outputs: int, translation: ImageTranslation, training: Training
) -> Plan:
    image, crop = image_of(schema), translation.crop
    side = min(image.height, image.width)
    if crop is not None and crop > side:
        problem = f"{crop} is out of range, wanted at most {side}"
        raise UserError("E-TRN-07", "--crop", problem, "choose a smaller one, or leave it out", found=crop)
    seen = crop or side
    model = Spec(Translator, network=_generator(inputs, outputs, translation, seen), view=view)
    changes = Spec(Together, shift=translation.shift, mirror=translation.flip, crop=crop or 0)
    # The other network changes too, and an old gradient no longer points anywhere useful: little momentum.
    optim = Optim(learning_rate=training.learning_rate, betas=(0.5, 0.99), clip=1000.0)
    if not translation.gan_weight and not translation.feature_matching:
        optim = Optim(learning_rate=training.learning_rate, clip=1000.0)
        objective = Spec(Regression, model=model, changes=changes)
    else:
        shape = [inputs + outputs, image.height, image.width]
        width = translation.width or WIDTH
        objective = Spec(
            Translation,
            model=model,
            discriminator=Spec(PatchDiscriminator, shape=shape, width=width, layers=layers_for(seen)),
            game=translation.loss,
            regression=translation.l1_weight,
            adversarial=translation.gan_weight,
            matching=translation.feature_matching,
            on_real=translation.r1_gamma,
            on_drawn=translation.r1_gamma,
            twin=model if translation.l1_baseline else None,
            changes=changes,
        )
    return Plan(
        objective,
        training.steps,
        training.batch,
        optim,
        ema_decay=training.ema_decay,
        patience=translation.patience,
    )


def _generator(inputs: int, outputs: int, translation: ImageTranslation, side: int) -> Spec:
    """A network whose lowest resolution is a few positions wide: it sees what the image shows, and where."""
    residual = translation.network == "residual" or (translation.network == "auto" and side < SMALL)
    depth = min(2, _depth(side)) if residual else _depth(side)
    if translation.downsample:
        depth = translation.downsample.bit_length() - 1
    return Spec(
        UNet,
        inputs=inputs,
        outputs=outputs,
        width=translation.width or WIDTH,
        depth=depth,
        blocks=BLOCKS if residual else 1,
        detail=DETAIL,
        skips=True,
        normalize="place",
        enlarging="transposed",
        latent=LATENT if translation.noise == "latent" else 0,
        dropout=DROPOUT if translation.noise == "dropout" else 0.0,
    )


def _depth(side: int) -> int:
    """How often a U-Net halves: from 64 pixels to 8, from 256 to 8."""
    return min(6, max(1, side.bit_length() - 3))
