"""`stylize`: an image in the style of another one.

By a network that was trained for any style, in one pass, or by descending on the image's pixels, which takes
minutes and needs no training of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from seisei.cli.output import plain, target
from seisei.cli.results import load, origin, out, transparent
from seisei.cli.runs import find_run
from seisei.cli.streams import on_terminal
from seisei.cli.terminal import echo, echo_json, redraw, tell
from seisei.errors import UserError
from seisei.spec import Range

if TYPE_CHECKING:
    from seisei.evaluation.style_transfer import Pixels, Stylized

Engine = Literal["optimize", "feedforward"]
# What a result may be written as.
FORMS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}
# The longer side of what is descended on, where a person says nothing of it, and what the descent is by default.
LONGEST, STEPS, WEIGHT, SMOOTHNESS = 512, 100, 10.0, 1.0


def stylize(
    content: str,
    style: str,
    *,
    run: str | None = None,
    features: str | None = None,
    engine: Engine | None = None,
    strength: Annotated[float, Range(ge=0, le=1)] = 1.0,
    keep_color: bool = False,
    size: Annotated[int, Range(ge=16, le=16384)] | None = None,
    steps: Annotated[int, Range(ge=1, le=100_000)] | None = None,
    style_weight: Annotated[float, Range(ge=0, le=1e6)] | None = None,
    smoothness: Annotated[float, Range(ge=0, le=1e6)] | None = None,
    seed: Annotated[int, Range(ge=0)] | None = None,
    max_pixels: int = 64_000_000,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Style transfer: render an image in the style of another.

    As in: seisei stylize photo.jpg painting.jpg --run RUN -o out.jpg
    With a run of stylize in one forward pass, at any size; without a run by optimizing the image's pixels, with no
    training.

    Arguments:
        content: Content image.
        style: Style image.
        run: A run of stylize, or a prefix of its name under runs/.
        features: Feature extractor in which styles are compared: a run with a convolutional encoder, or VGG-19's
            weights in .safetensors; by default a bank of random filters.
        engine: feedforward applies --run's network; optimize optimizes the pixels, in the features of either.
        strength: Style strength: 0 for the content image, 1 for the full style.
        keep_color: Keep the colors of the content image; only texture is transferred.
        size: Shrink the content image to this longer side; optimize shrinks to 512 by default.
        steps: Iterations of optimize; 100 by default.
        style_weight: Weight of the style loss of optimize; 10 by default.
        smoothness: Weight of the total-variation loss of optimize, against noise; 1 by default.
        seed: Start optimize from noise of this seed instead of the content image.
        max_pixels: Refuse images with more pixels than this.
        output: Output file, .png, .jpg, .webp or .tif; by default a .png in RUN/out, or here.
        overwrite: Overwrite an existing file or folder.
        json: Print the path and the losses as JSON.
    """
    if run is not None and features is not None:
        raise UserError("E-GEN-07", "--features", "and --run both say what styles are told by", "leave one of them out")
    chosen: Engine = engine or ("optimize" if run is None else "feedforward")
    descent = {"--steps": steps, "--style-weight": style_weight, "--smoothness": smoothness, "--seed": seed}
    if chosen == "feedforward":
        for option, value in descent.items():
            if value is not None:
                raise UserError("E-GEN-07", option, "is for --engine optimize", "leave it out", found=value)
    loaded = _run(run, chosen) if run is not None else None
    if chosen == "feedforward" and loaded is None:
        remedy = "give --run with a run of `seisei train stylize`, or choose --engine optimize"
        raise UserError("E-TRL-26", "--engine feedforward", "needs a network that was trained for it", remedy)
    name = f"stylize-{plain(content)}-{plain(style)}.png"
    default = Path(name) if loaded is None else out(loaded, name)
    place = target(output, default, suffixes=tuple(FORMS), overwrite=overwrite)
    longest = size or (LONGEST if chosen == "optimize" else None)
    x, y = _images(content, style, longest, max_pixels, said=size is not None)

    from seisei.evaluation import style_transfer as styles
    from seisei.modalities.image_io import Original, encoded

    painted: Stylized
    if chosen == "feedforward":
        assert loaded is not None
        painted = styles.feedforward(loaded.pipeline, x, y, strength=strength, keep_color=keep_color)
    else:
        source = None if features is None else _source(features)
        known = styles.features_of(source if loaded is None else loaded.path)
        painted = styles.optimized(
            known, x, y, strength=strength, keep_color=keep_color, seed=seed, steps=STEPS if steps is None else steps,
            weight=WEIGHT if style_weight is None else style_weight,
            smoothness=SMOOTHNESS if smoothness is None else smoothness, progress=_progress,
        )  # fmt: skip
        _cleared()
    marks = {"style": Path(style).name, "strength": f"{strength:g}", "engine": chosen}
    marks |= {} if loaded is None else origin(loaded)
    suffix = place.path.suffix.lower()
    path = place.write(encoded(painted.pixels, Original(FORMS[suffix], suffix=suffix), marks).content)
    _say(path, painted, chosen, json)


def _run(given: str, engine: Engine) -> Any:
    """The run, which is one of stylize where its network is to paint."""
    loaded = load(given, "evaluate")
    if engine == "feedforward" and "stylize" not in loaded.verbs:
        problem = f"this model cannot stylize; it can: {', '.join(loaded.verbs)}"
        remedy = "give a run of `seisei train stylize`, or pass --engine optimize"
        raise UserError("E-*-08", given, problem, remedy, wanted=loaded.verbs)
    return loaded


def _source(given: str) -> str | Path:
    """A file of weights as it is; a run by the beginning of its name."""
    from seisei.training.pretrained import is_weights

    return given if is_weights(given) else find_run(given)


def _images(content: str, style: str, longest: int | None, max_pixels: int, *, said: bool) -> tuple[Pixels, Pixels]:
    """Both images; the style's no larger than the content's, so that its textures fit."""
    from seisei.evaluation.style_transfer import shrunk
    from seisei.modalities.image_io import read_image

    if not Path(content).exists():
        raise UserError("E-*-09", content, "no such file", "check the path")
    read = read_image(content, where=content, max_pixels=max_pixels)
    x = read.pixels
    for note in transparent(content, read.conversions):
        tell(note)
    try:
        y = read_image(style, where=style, max_pixels=max_pixels).pixels
    except UserError as error:
        raise UserError("E-TRL-24", style, error.problem, error.remedy.partition(" or pass ")[0]) from error
    small = x if longest is None else shrunk(x, longest)
    if small.shape != x.shape and not said:
        tell(f"note: {content}: shrunk to {small.shape[1]}×{small.shape[0]}; pass --size for another")
    return small, shrunk(y, max(small.shape[:2]))


def _progress(count: int, loss: float) -> None:
    if on_terminal() and count % 5 == 0:
        redraw(f"{count:5,} looks, loss {loss:.4g} ")


def _cleared() -> None:
    if on_terminal():
        redraw("")


def _say(path: Path, painted: Stylized, engine: str, json: bool) -> None:
    if json:
        told = {"content_distance": painted.content, "style_distance": painted.style}
        echo_json({"path": str(path), "engine": engine, **told})
        return
    echo(path)
    echo(f"  style distance    {painted.style:.3f}  of the content image's, lower is nearer")
    echo(f"  content distance  {painted.content:.3f}  0 for its form, 1 for nothing of it")
