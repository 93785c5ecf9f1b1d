"""Autoregressive models: of a codec's codes, or of pixels themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from seisei.errors import UserError
from seisei.modalities.conditions import Given
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.text import SYMBOLS, Text
from seisei.models.autoregressive import Autoregressive, AutoregressiveClassifier, Priors
from seisei.nn.codecs.byte import SymbolCodes
from seisei.nn.codecs.pixel import MOST_VALUES, PixelCodes
from seisei.nn.transformer.blocks import Dropout, Heads, Layers
from seisei.objectives.autoregressive import CodeLikelihood
from seisei.recipes.vaes import BatchSize, Decay, Rate, Steps, image_of, naming_classes
from seisei.recipes.vq import Codes, Factor, Kind, vqvae
from seisei.schema import Schema
from seisei.spec import Range, Spec
from seisei.training.memory import outline
from seisei.training.plan import Optim, Plan
from seisei.training.run import RunFolder

Width = Annotated[int, Range(ge=16, le=16384)]
# Each code is a step of drawing. Pixels of few levels make one together, of so many values.
MOST_CODES, VALUES = 4096, 256


def prior(
    schema: Schema,
    *,
    codec: str | None = None,
    pixels: Annotated[int, Range(ge=1, le=16)] | None = None,
    priors: Priors = "one",
    condition: Literal["none", "label"] = "none",
    untold: Annotated[float, Range(ge=0, le=1)] = 0.1,
    width: Width = 256,
    layers: Layers = 6,
    heads: Heads = 8,
    dropout: Dropout = 0.1,
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.999,
) -> Plan:
    """Learn which codes follow which, and so to draw images or texts, to score them, and to tell kinds of images.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train prior photos/ --codec runs/vqvae
    Duration: minutes to hours on two cores. Expected: bits per dimension well below those of the codec alone; of black
    and white digits of 28×28 without one 82 nats in a quarter of an hour, 80 in one.

    Arguments:
        codec: A run of vqvae or vqvae2; without one the values of pixels, or the bytes of a text, are the codes.
        pixels: So many beside each other make one code, without a codec; by default 8 where they are black or white.
        priors: Of the grids of a vqvae2: one over all, or each grid has its own, which is told of the coarser ones.
        condition: label tells each image's label, to choose when drawing, or what --conditions names, a text too.
        untold: Share of images that are not told it, for --guidance when drawing.
        width: Of hidden vectors.
        layers: Of the Transformer.
        heads: Of its attention.
        dropout: Share of each branch that is left out in training, against learning by heart.
        steps: Updates of the weights.
        batch: Images an update.
        learning_rate: Of Adam, at its highest.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    if codec is None and isinstance(schema.x, Text):
        if pixels is not None:
            raise UserError("E-TRN-08", "--pixels", "the data are texts", "leave it out")
        codes, whence = Spec(SymbolCodes, length=schema.x.length, symbols=SYMBOLS), None
    elif codec is None:
        codes, whence = _pixels(image_of(schema), pixels), None
    elif pixels is not None:
        remedy = "leave one of them out"
        raise UserError("E-TRN-08", "--pixels", "codes are those of --codec, which has its own", remedy)
    else:
        codes, whence = _codec(codec, schema), str(Path(codec).resolve())
    return _over(
        schema, codes, whence, condition, untold, width, layers, heads, dropout, steps, batch, learning_rate, average,
        priors,
    )  # fmt: skip


def vqvae_prior(
    schema: Schema,
    *,
    codes: Codes = 512,
    quantizer: Kind = "averaged",
    factor: Factor = None,
    sharp: Annotated[float, Range(ge=0, le=100)] = 0.0,
    codec_steps: Steps = 10_000,
    condition: Literal["none", "label"] = "none",
    untold: Annotated[float, Range(ge=0, le=1)] = 0.1,
    width: Width = 256,
    layers: Layers = 6,
    heads: Heads = 8,
    dropout: Dropout = 0.1,
    steps: Steps = 10_000,
    batch: BatchSize = 64,
    learning_rate: Rate = 1e-3,
    average: Decay = 0.999,
) -> Plan:
    """Learn codes for images, then which codes follow which: vqvae and prior in one run.

    Paper: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*.
    Command: seisei train vqvae+prior photos/
    Duration: minutes to hours on two cores. Expected: images like those given.

    Arguments:
        codes: How many different codes there are.
        quantizer: See vqvae.
        factor: Pixels a place stands for, each way; see vqvae.
        sharp: How much a discriminator has a say in what comes back; see vqvae.
        codec_steps: Updates of the codec's weights.
        condition: label tells each image's label, to choose when drawing, or what --conditions names, a text too.
        untold: Share of images that are not told it, for --guidance when drawing.
        width: Of the Transformer's hidden vectors.
        layers: Of the Transformer.
        heads: Of its attention.
        dropout: Share of each branch that is left out in training, against learning by heart.
        steps: Updates of the Transformer's weights.
        batch: Images an update, of both.
        learning_rate: Of Adam, at its highest, for both.
        average: Decay of the moving average of the weights that is used afterwards.
    """
    first = vqvae(
        schema, codes=codes, quantizer=quantizer, factor=factor, sharp=sharp, steps=codec_steps, batch=batch,
        learning_rate=learning_rate, average=average,
    )  # fmt: skip
    return _over(
        schema, first.objective.arguments["model"], first, condition, untold, width, layers, heads, dropout, steps,
        batch, learning_rate, average,
    )  # fmt: skip


def _over(
    schema: Schema, codec: Spec, whence: str | Plan | None, condition: str, untold: float, width: int, layers: int,
    heads: int, dropout: float, steps: int, batch: int, learning_rate: float, average: float, priors: str = "one",
) -> Plan:  # fmt: skip
    """A Transformer over the codes of a codec, whose weights are those of a run, or of a training that comes first."""
    if width % heads or width // heads % 2:
        near = [h for h in range(1, width + 1) if width % h == 0 and width // h % 2 == 0]
        remedy = f"choose --heads {min(near, key=lambda h: abs(h - heads))}" if near else "choose an even --width"
        raise UserError("E-TRN-08", "--heads", f"{heads} heads do not divide a width of {width} evenly", remedy)
    if priors == "each" and len(outline(codec).segments) == 1:  # type: ignore[arg-type]
        problem = "is for the codes of several grids, and these are of one"
        raise UserError("E-TRN-08", "--priors each", problem, "give a run of vqvae2 with --codec, or leave it out")
    classes, text = _told(schema) if condition == "label" else (0, 0)
    model = Spec(
        Autoregressive, codec=codec, width=width, layers=layers, heads=heads, classes=classes, dropout=dropout,
        text=text, priors=priors,
    )  # fmt: skip
    labeled = classes and isinstance(schema.y, Label)
    if labeled:
        # A kind can be told from the example by Bayes' rule, conditions of other sorts cannot.
        model = Spec(AutoregressiveClassifier, density=model, classes=classes)
    optim = Optim(learning_rate=learning_rate, betas=(0.9, 0.95), weight_decay=0.01, clip=100.0, matrices="muon")
    objective = Spec(CodeLikelihood, model=model, untold=untold if classes or text else 0.0)
    given = {} if whence is None else {"model.density.codec" if labeled else "model.codec": whence}
    return Plan(objective, steps, batch, optim, average=average, given=given)


def _pixels(image: Image, together: int | None) -> Spec:
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

    chosen = together or max(n for n in (1, 2, 4, 8) if n == 1 or (values(n) <= VALUES and sides(n)))
    patch = sides(chosen)
    if chosen > 1 and values(chosen) > MOST_VALUES:
        most = max(n for n in range(1, chosen) if n == 1 or values(n) <= MOST_VALUES)
        problem = f"{chosen} pixels of {image.levels} levels have {values(chosen):,} values together"
        raise UserError("E-TRN-08", "--pixels", problem, f"wanted at most {MOST_VALUES:,}: choose {most}")
    if patch is None:
        problem = f"{width}×{height} pixels do not fall into patches of {chosen}"
        raise UserError("E-TRN-08", "--pixels", problem, "choose a number that divides them, or a --size that it does")
    codes = image.values // (chosen if chosen == 1 else chosen * channels)
    if codes > MOST_CODES:
        problem = f"images of {codes:,} values, wanted at most {MOST_CODES:,}"
        raise UserError("E-TRN-08", "--codec", problem, "train a vqvae first and give its run, or a smaller --size")
    return Spec(PixelCodes, shape=list(image.shape), levels=image.levels, patch=list(patch))


def _told(schema: Schema) -> tuple[int, int]:
    """How many kinds or numbers are given of an example, and how long a text."""
    if isinstance(schema.y, Text):
        return 0, schema.y.length
    if isinstance(schema.y, Given):
        return schema.y.size, 0
    if isinstance(schema.y, Label) and schema.y.classes > 1:
        return schema.y.classes, 0
    problem, remedy = "no classes to choose from, wanted at least 2", naming_classes(schema)
    if isinstance(schema.x, Image):
        remedy += ", or name one of its columns with --conditions"
    elif isinstance(schema.x, Text):
        remedy = "leave it out: lines of text have no labels"
    raise UserError("E-TRN-12", "--condition label", problem, remedy)


def _codec(run: str, schema: Schema) -> Spec:
    """The model of a run that makes codes of such examples.

    Raises:
        UserError: no such run, a model without codes, or one of other images.
    """
    folder = RunFolder.open(run)
    where = f"{run}/recipe.json"
    try:
        tree = folder.read("recipe.json")["plan"]["objective"]["arguments"]["model"]
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
