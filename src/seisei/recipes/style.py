"""Images in the style of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.models.style import Stylizer
from seisei.nn.conv import widths_of
from seisei.nn.spatial_conv import WIDEST
from seisei.nn.style.decoder import StyleDecoder
from seisei.nn.style.feature_extractor import StageFeatures, encoder_of
from seisei.nn.style.random_filters import RandomFilters
from seisei.nn.style.vgg import VGG
from seisei.objectives.style import StyleTransfer
from seisei.recipes.options import Training, Weight, Width, with_groups
from seisei.recipes.vaes import image_of
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.memory import outline
from seisei.training.plan import Optim, Plan
from seisei.training.pretrained import is_weights, weights_of
from seisei.training.run import RunFolder

MOST = 5
# Positions across the coarsest feature map of a training image, the fewest levels, and the levels of VGG-19.
ACROSS, LEAST, FOREIGN = 16, 2, 4
# Filters, and channels of the decoder's finest map, where it is as fine as the image.
FILTERS, FINE = 32, 16


@with_groups
def stylize(
    schema: Schema,
    *,
    features: str | None = None,
    feature_levels: Annotated[int, Range(ge=1, le=MOST)] | None = None,
    style_weight: Weight = 10.0,
    width: Width = None,
    training: Training = Training(steps=5000, batch=8, ema_decay=0.998),
) -> Plan:
    """Learn style transfer: any image in the style of any other, in one forward pass.

    Paper: *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*.
    Command: seisei train stylize photos/ --style paintings/
    Duration: three quarters of an hour on one core for images of 128×128, in bf16. Expected: the colors of a style at
    once, the direction and grain of its strokes after hundreds of steps, while the content keeps its shapes.

    Arguments:
        features: Feature extractor in which styles are compared: a run of vqvae, or of another model with a
            convolutional encoder, or a .safetensors file with VGG-19's weights; by default a bank of random filters.
        feature_levels: Feature maps that are compared, from the finest on: more for larger textures; by default as many
            as leave the coarsest 16 positions across, and 4 of VGG-19.
        style_weight: Weight of the style loss relative to the content loss.
        width: Channels of the decoder's finest feature map; by default 16 with random filters, else the feature
            extractor's own widths.
        steps: Training steps (updates of the decoder).
        batch: Batch size: content images per step, each with a style image.
    """
    image = image_of(schema)
    if not isinstance(schema.y, Image):
        remedy = "give a folder of images in the styles to learn, as in --style paintings/"
        raise UserError("E-TRN-14", "--style", "is missing", remedy)
    if image.channels not in (1, 3):
        problem = f"have {image.channels} channels, wanted 1 (gray) or 3 (color)"
        raise UserError("E-TRN-13", "images", problem, "give images in gray or in color")
    side = min(image.height, image.width)
    given: dict[str, str | Plan] = {}
    if features is None:
        seen, width = Spec(RandomFilters, count=FILTERS, depth=feature_levels or usual_levels(side, 1)), width or FINE
    elif not is_weights(features):
        network = network_of(features)
        finest: Any = outline(Spec(StageFeatures, network=network, depth=1))
        seen = Spec(StageFeatures, network=network, depth=feature_levels or usual_levels(side, finest.strides[0]))
        given["model.features.network"] = str(Path(features).resolve())
    else:
        seen = Spec(VGG, depth=feature_levels or FOREIGN)
        # Looked at here, before anything is written.
        weights_of(features, outline(seen).state_dict(), "VGG-19")
        given["model.features"] = str(Path(features).resolve())
    known = outline(seen)
    outputs, strides = list(known.outputs), list(known.strides)  # type: ignore[arg-type]
    widths = outputs if width is None else widths_of(width, len(outputs), WIDEST)
    decoder = Spec(StyleDecoder, inputs=outputs[::-1], widths=widths[::-1], channels=image.channels, patch=strides[0])
    model = Spec(Stylizer, features=seen, decoder=decoder)
    objective = Spec(StyleTransfer, model=model, weight=style_weight)
    optim = Optim(learning_rate=training.learning_rate, clip=100.0)
    return Plan(
        objective,
        training.steps,
        training.batch,
        optim,
        ema_decay=training.ema_decay,
        format="channels_last",
        given=given,
    )


def usual_levels(side: int, finest: int) -> int:
    """How many feature maps are compared for training images with this shorter side.

    Arguments:
        side: in pixels.
        finest: stride of the finest map; each has twice the one before.

    Example:
        >>> [usual_levels(side, 1) for side in (28, 64, 128, 512)], usual_levels(128, 2)
        ([2, 3, 4, 5], 3)
    """
    return max(LEAST, min(MOST, (side // ACROSS // finest).bit_length()))


def network_of(run: str) -> Spec:
    """The model of a run that sees images by convolutions.

    Raises:
        UserError: no such run, or one whose model has no convolutional encoder.
    """
    folder = RunFolder.open(run)
    where = f"{run}/recipe.json"
    try:
        tree = folder.recipe()["plan"]["objective"]["arguments"]["model"]
    except (KeyError, TypeError) as error:
        raise UserError("E-*-02", where, f"lacks {error}", "use a run folder that seisei wrote") from error
    spec = Spec.from_json(tree, where)
    if spec.cls is Stylizer:
        problem, remedy = "has features that are another run's", "give the run that they are of"
        raise UserError("E-TRN-13", run, problem, remedy)
    check_encoder(outline(spec), run)
    return spec


def check_encoder(model: object, run: str) -> None:
    """Refuse a model that styles cannot be told by.

    Raises:
        UserError: no convolutional encoder, or of images neither gray nor in color.
    """
    remedy = "give a run of vqvae, or of discriminative with --network conv"
    encoder = encoder_of(model)  # type: ignore[arg-type]
    if encoder is None:
        problem = f"its model, a {type(model).__name__}, has no convolutional encoder"
        raise UserError("E-TRN-13", run, problem, remedy)
    if (channels := encoder.stem.in_channels // encoder.patch**2) not in (1, 3):
        raise UserError("E-TRN-13", run, f"is of images of {channels} channels, wanted 1 or 3", remedy)
