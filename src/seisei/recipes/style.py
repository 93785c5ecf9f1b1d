"""Images in the style of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.models.style import Stylizer
from seisei.nn.conv import widths_of
from seisei.nn.spatial_conv import WIDEST
from seisei.nn.style.decoder import MirrorDecoder
from seisei.nn.style.feature_extractor import StageFeatures, encoder_of
from seisei.nn.style.random_filters import Filters
from seisei.nn.style.vgg import VGG
from seisei.objectives.style import StyleTransfer
from seisei.recipes.vaes import BatchSize, Decay, Rate, Steps, Width, image_of
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.memory import outline
from seisei.training.plan import Optim, Plan
from seisei.training.pretrained import is_weights, weights_of
from seisei.training.run import RunFolder

MOST = 5
Maps = Annotated[int, Range(ge=1, le=MOST)] | None
Weight = Annotated[float, Range(ge=0, le=1e6)]
# Places across the last map that is read of a training image, where that leaves so many maps; and maps of VGG-19.
ACROSS, LEAST, FOREIGN = 16, 2, 4
# Filters, and channels of the decoder's finest map, where it is as fine as the image.
FILTERS, FINE = 32, 16


def stylize(
    schema: Schema,
    *,
    features: str | None = None,
    maps: Maps = None,
    style_weight: Weight = 10.0,
    width: Width = None,
    steps: Steps = 5000,
    batch: BatchSize = 8,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.998,
) -> Plan:
    """Learn to paint any image in the style of any other, in one pass.

    Paper: *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*.
    Command: seisei train stylize photos/ --style paintings/
    Duration: three quarters of an hour on one core for images of 128×128, in bf16. Expected: the colors of a style
    at once, the direction and grain of its strokes with the hundreds of steps, on the forms of the content.

    Arguments:
        features: What styles are told by: a run of vqvae, or another with a convolutional encoder; or a .safetensors
            file with VGG-19's weights; by default a bank of random filters.
        maps: Of the features, the finest first, at most so many: more for larger textures; by default as many as leave
            the last 16 places across, of VGG-19 4.
        style_weight: Weight of the style's statistics against the content.
        width: Channels of the decoder's finest map; by default 16 of filters, or the features' own, mirrored.
        steps: Updates of the weights of the decoder.
        batch: Images an update, each with a style.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
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
        seen, width = Spec(Filters, count=FILTERS, depth=maps or usual_maps(side, 1)), width or FINE
    elif not is_weights(features):
        network = network_of(features)
        finest: Any = outline(Spec(StageFeatures, network=network, depth=1))
        seen = Spec(StageFeatures, network=network, depth=maps or usual_maps(side, finest.strides[0]))
        given["model.features.network"] = str(Path(features).resolve())
    else:
        seen = Spec(VGG, depth=maps or FOREIGN)
        # Looked at here, before anything is written.
        weights_of(features, outline(seen).state_dict(), "VGG-19")
        given["model.features"] = str(Path(features).resolve())
    known = outline(seen)
    outputs, strides = list(known.outputs), list(known.strides)  # type: ignore[arg-type]
    widths = outputs if width is None else widths_of(width, len(outputs), WIDEST)
    decoder = Spec(MirrorDecoder, inputs=outputs[::-1], widths=widths[::-1], channels=image.channels, patch=strides[0])
    model = Spec(Stylizer, features=seen, decoder=decoder)
    objective = Spec(StyleTransfer, model=model, weight=style_weight)
    optim = Optim(learning_rate=learning_rate, clip=100.0)
    return Plan(objective, steps, batch, optim, average=average, format="channels_last", given=given)


def usual_maps(side: int, finest: int) -> int:
    """How many maps are read of training images with this shorter side.

    Arguments:
        side: in pixels.
        finest: stride of the finest map; each has twice the one before.

    Example:
        >>> [usual_maps(side, 1) for side in (28, 64, 128, 512)], usual_maps(128, 2)
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
        tree = folder.read("recipe.json")["plan"]["objective"]["arguments"]["model"]
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
