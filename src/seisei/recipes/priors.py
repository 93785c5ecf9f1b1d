"""Autoregressive models: of a codec's codes, or of pixels themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from seisei.errors import UserError
from seisei.modalities.conditions import Conditions
from seisei.modalities.image import Image
from seisei.modalities.text import SYMBOLS, Text
from seisei.models.autoregressive import Autoregressive, AutoregressiveClassifier
from seisei.nn.codecs.byte import ByteCodec
from seisei.nn.codecs.pixel import MOST_VALUES, PixelCodec
from seisei.objectives.autoregressive import CodeLikelihood
from seisei.recipes.options import Guided, Steps, Training, Transformer, with_groups
from seisei.recipes.vaes import image_of, naming_classes
from seisei.recipes.vq import vqvae
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.memory import outline
from seisei.training.plan import Optim, Plan
from seisei.training.run import RunFolder

# Each code is a step of drawing. Pixels of few levels make one together, of so many values.
MOST_CODES, VALUES = 4096, 256


@with_groups
def prior(
    schema: Schema,
    *,
    codec: str | None = None,
    pixels_per_token: Annotated[int, Range(ge=1, le=16)] | None = None,
    per_level_priors: bool = False,
    guided: Guided = Guided(),
    network: Transformer = Transformer(),
    training: Training = Training(),
) -> Plan:
    """Train an autoregressive Transformer over codes, pixels or text: generate, score and classify.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train prior photos/ --codec runs/vqvae
    Duration: minutes to hours on two cores. Expected: bits per dimension well below those of the codec alone; for
    black-and-white digits of 28×28 without a codec 82 nats in a quarter of an hour, 80 in an hour.

    Arguments:
        codec: A run of vqvae or vqvae2 whose codes are the tokens; without one the tokens are pixel values, or the
            bytes of a text.
        pixels_per_token: Neighboring pixels per token, without a codec; by default up to 8 for black-and-white images.
        per_level_priors: A Transformer for each level of a vqvae2, conditioned on the coarser levels, instead of one
            over all levels.
    """
    if codec is None and isinstance(schema.x, Text):
        if pixels_per_token is not None:
            raise UserError("E-TRN-08", "--pixels-per-token", "the data are texts", "leave it out")
        codes, whence = Spec(ByteCodec, length=schema.x.length, symbols=SYMBOLS), None
    elif codec is None:
        codes, whence = _pixels(image_of(schema), pixels_per_token), None
    elif pixels_per_token is not None:
        problem = "has no effect with --codec, whose codes are the tokens"
        raise UserError("E-TRN-08", "--pixels-per-token", problem, "leave one of them out")
    else:
        codec = codec_run(codec)
        codes, whence = _codec(codec, schema), str(Path(codec).resolve())
    return _plan(schema, codes, whence, guided, network, training, per_level_priors)


@with_groups
def vqvae_prior(
    schema: Schema,
    *,
    codebook_size: Annotated[int, Range(ge=2, le=1 << 20)] = 512,
    quantizer: Literal["ema", "cosine", "gradient", "simvq", "fsq", "lfq"] = "ema",
    downsample: Literal[2, 4, 8, 16, 32] | None = None,
    gan_weight: Annotated[float, Range(ge=0, le=100)] = 0.0,
    codec_steps: Steps = 10_000,
    guided: Guided = Guided(),
    network: Transformer = Transformer(),
    training: Training = Training(),
) -> Plan:
    """Train a codec (vqvae) and an autoregressive Transformer over its codes (prior) in one run.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train vqvae+prior photos/
    Duration: minutes to hours on two cores. Expected: images like those given.

    Arguments:
        codebook_size: Number of codes in the codebook.
        quantizer: ema: codes follow a moving average of the vectors assigned to them; cosine: the same on the unit
            sphere; gradient: codes learn by gradient descent; simvq: all codes through one learned linear map; fsq:
            finite scalar quantization; lfq: lookup-free quantization, by signs.
        downsample: Downsampling factor of the codec: pixels per code along each side; by default 2, 4 or 8, by image
            size.
        gan_weight: Weight of the codec's adversarial (VQGAN) loss: 0.5 for sharper textures, 0 for none.
        codec_steps: Training steps of the codec.
        steps: Training steps of the Transformer.
        batch: Batch size of both: examples per step.
        learning_rate: Peak learning rate of both.
    """
    first = vqvae(
        schema,
        codebook_size=codebook_size,
        quantizer=quantizer,
        downsample=downsample,
        gan_weight=gan_weight,
        steps=codec_steps,
        batch=training.batch,
        learning_rate=training.learning_rate,
        ema_decay=training.ema_decay,
    )
    return _plan(schema, first.objective.arguments["model"], first, guided, network, training)


def _plan(
    schema: Schema,
    codec: Spec,
    whence: str | Plan | None,
    guided: Guided,
    network: Transformer,
    training: Training,
    per_level_priors: bool = False,
) -> Plan:
    """A Transformer over the codes of a codec, whose weights are those of a run, or of a training that comes first."""
    width, heads = network.width, network.heads
    if width % heads or width // heads % 2:
        near = [h for h in range(1, width + 1) if width % h == 0 and width // h % 2 == 0]
        remedy = f"choose --heads {min(near, key=lambda h: abs(h - heads))}" if near else "choose an even --width"
        raise UserError("E-TRN-08", "--heads", f"{heads} heads do not divide a width of {width} evenly", remedy)
    if per_level_priors and len(outline(codec).segments) == 1:  # type: ignore[arg-type]
        problem = "is for codes of several levels, and these have one"
        raise UserError("E-TRN-08", "--per-level-priors", problem, "give a run of vqvae2 with --codec, or leave it out")
    classes, text = _conditions(schema) if guided.condition == "label" else (0, 0)
    model = Spec(
        Autoregressive,
        codec=codec,
        width=width,
        layers=network.layers,
        heads=heads,
        classes=classes,
        dropout=network.dropout,
        text=text,
        priors="each" if per_level_priors else "one",
    )
    labeled = classes and schema.classes
    if labeled:
        # A class can be predicted from the example by Bayes' rule, conditions of other sorts cannot.
        model = Spec(AutoregressiveClassifier, density=model, classes=classes)
    optim = Optim(
        learning_rate=training.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, clip=100.0, matrices="muon"
    )
    objective = Spec(CodeLikelihood, model=model, cond_dropout=guided.cond_dropout if classes or text else 0.0)
    given = {} if whence is None else {"model.density.codec" if labeled else "model.codec": whence}
    return Plan(objective, training.steps, training.batch, optim, ema_decay=training.ema_decay, given=given)


def _pixels(image: Image, per_token: int | None) -> Spec:
    """The values of pixels as codes, several pixels a code where they have few values.

    Raises:
        UserError: too many codes, or pixels that do not fit together.
    """
    channels, height, width = image.shape

    def sides(count: int) -> tuple[int, int] | None:
        """Rows and columns of so many pixels, as square as may be, wider than high."""
        fit = [(r, count // r) for r in range(1, count + 1) if count % r == 0 and height % r == width * r % count == 0]
        return min(fit, key=lambda side: (abs(side[1] - side[0]), side), default=None)

    def values(count: int) -> int:
        return int(image.levels ** (count * channels))

    chosen = per_token or max(n for n in (1, 2, 4, 8) if n == 1 or (values(n) <= VALUES and sides(n)))
    patch = sides(chosen)
    if chosen > 1 and values(chosen) > MOST_VALUES:
        most = max(n for n in range(1, chosen) if n == 1 or values(n) <= MOST_VALUES)
        problem = f"{chosen} pixels of {image.levels} levels have {values(chosen):,} values together"
        raise UserError("E-TRN-08", "--pixels-per-token", problem, f"wanted at most {MOST_VALUES:,}: choose {most}")
    if patch is None:
        problem = f"{width}×{height} pixels do not fall into patches of {chosen}"
        raise UserError(
            "E-TRN-08", "--pixels-per-token", problem, "choose a number that divides them, or a --size that it does"
        )
    codes = image.values // (chosen if chosen == 1 else chosen * channels)
    if codes > MOST_CODES:
        problem = f"images of {codes:,} values, wanted at most {MOST_CODES:,}"
        raise UserError("E-TRN-08", "--codec", problem, "train a vqvae first and give its run, or a smaller --size")
    return Spec(PixelCodec, shape=list(image.shape), levels=image.levels, patch=list(patch))


def _conditions(schema: Schema) -> tuple[int, int]:
    """How many classes or values an example is conditioned on, and the length of its text."""
    if isinstance(schema.y, Text):
        return 0, schema.y.length
    if isinstance(schema.y, Conditions):
        return schema.y.size, 0
    if len(schema.classes) > 1:
        return len(schema.classes), 0
    problem, remedy = "no classes to choose from, wanted at least 2", naming_classes(schema)
    if isinstance(schema.x, Image):
        remedy += ", or name one of its columns with --condition"
    elif isinstance(schema.x, Text):
        remedy = "leave it out: lines of text have no labels"
    raise UserError("E-TRN-12", "--condition label", problem, remedy)


def codec_run(run: str) -> str:
    """The run of a codec: the one given, or of a run of vqvae+prior the one inside."""
    inner = Path(run) / "codec"
    return str(inner) if (inner / "recipe.json").is_file() else run


def _codec(run: str, schema: Schema) -> Spec:
    """The model of a run that makes codes of such examples.

    Raises:
        UserError: no such run, a model without codes, or one of other images.
    """
    folder = RunFolder.open(run)
    where = f"{run}/recipe.json"
    try:
        tree = folder.recipe()["plan"]["objective"]["arguments"]["model"]
    except (KeyError, TypeError) as error:
        raise UserError("E-*-02", where, f"lacks {error}", "use a run folder that seisei wrote") from error
    spec = Spec.from_json(tree, where)
    if not all(hasattr(spec.cls, name) for name in ("segments", "likelihood", "encode", "decode")):
        problem = f"its model, a {spec.cls.__name__}, makes no codes"
        raise UserError("E-TRN-13", run, problem, "give a run of vqvae or vqvae2")
    theirs = Schema.from_json(folder.read("schema.json"), f"{run}/schema.json").x
    if theirs != schema.x:
        problem = f"the data are {_said(schema.x)}, and it was trained on {_said(theirs)}"
        raise UserError("E-TRN-13", run, problem, "give the data that it was trained on, with the same options")
    return spec


def _said(end: object) -> str:
    values = {name: getattr(end, name) for name in ("width", "height", "channels", "levels") if hasattr(end, name)}
    return ", ".join(f"{name} {value}" for name, value in values.items()) or type(end).__name__
