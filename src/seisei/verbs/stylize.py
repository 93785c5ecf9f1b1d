"""`stylize`: an image in the style of another one.

By a network that was trained for any style, in one forward pass, or by optimizing the image's pixels, which takes
minutes and needs no training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.progress import tick
from seisei.spec import Range
from seisei.verbs.base import Data, Printed, Typed
from seisei.verbs.output import Target, plain, target
from seisei.verbs.results import default_place
from seisei.verbs.run import MAX_PIXELS, TrainedRun, find_run
from seisei.verbs.translate import opaque_note

Engine = Literal["optimize", "feedforward"]
# The formats of a result, by suffix.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}
# Defaults of optimize: the longer side to which an image is shrunk, and its own options.
LONGEST, STEPS, WEIGHT, SMOOTHNESS = 512, 100, 10.0, 1.0
PROGRESS = "stylizing"


@dataclass(frozen=True)
class Stylized:
    """A stylized image.

    Arguments:
        pixels: (H, W) or (H, W, 3).
        content_distance: 0 for the content image's form, 1 for nothing of it.
        style_distance: relative to that of the content image; lower is nearer.
        engine: what made it.
        metadata: text that the file carries.
        notes: what was done to the inputs.
    """

    pixels: Any
    content_distance: float
    style_distance: float
    engine: Engine
    metadata: dict[str, str]
    notes: list[str]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.pixels, dtype, copy=copy)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a .png, .jpg, .webp or .tif file.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        return self.write(target(Path(path), Path(path), suffixes=tuple(FORMATS), overwrite=overwrite))

    def write(self, place: Target) -> Path:
        """The same, at a place that is known to be free."""
        from seisei.modalities.image_io import Original, encoded

        suffix = place.path.suffix.lower()
        return place.write(encoded(self.pixels, Original(FORMATS[suffix], suffix=suffix), self.metadata).content)

    def _repr_png_(self) -> bytes:
        from seisei.modalities.image_io import png_bytes

        return png_bytes(self.pixels, self.metadata)


def _loaded(name: str | None) -> TrainedRun | None:
    return None if name is None else TrainedRun(find_run(name))


def stylize(
    content: Data,
    style: Data,
    *,
    run: Annotated[TrainedRun | None, Typed(str | None, convert=_loaded)] = None,
    features: Annotated[str | Path | None, Typed(str | None)] = None,
    engine: Engine | None = None,
    strength: Annotated[float, Range(ge=0, le=1)] = 1.0,
    keep_color: bool = False,
    size: Annotated[int, Range(ge=16, le=16384)] | None = None,
    steps: Annotated[int, Range(ge=1, le=100_000)] | None = None,
    style_weight: Annotated[float, Range(ge=0, le=1e6)] | None = None,
    smoothness: Annotated[float, Range(ge=0, le=1e6)] | None = None,
    seed: Annotated[int, Range(ge=0)] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Stylized:
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

    Raises:
        UserError: an image that cannot be read, a run that does not stylize, or an option without effect.
    """
    from seisei.evaluation import style_transfer

    chosen = check_options(
        run, features, engine, steps=steps, style_weight=style_weight, smoothness=smoothness, seed=seed
    )
    longest = size or (LONGEST if chosen == "optimize" else None)
    x, y, notes = _images(content, style, longest, max_pixels, note=size is None)
    if chosen == "feedforward":
        assert run is not None
        found = style_transfer.feedforward(run.pipeline, x, y, strength=strength, keep_color=keep_color)
    else:
        extractor = style_transfer.features_of(_feature_source(features) if run is None else run.path)
        iterations = STEPS if steps is None else steps
        found = style_transfer.optimized(
            extractor, x, y, strength=strength, keep_color=keep_color, seed=seed, steps=iterations,
            weight=WEIGHT if style_weight is None else style_weight,
            smoothness=SMOOTHNESS if smoothness is None else smoothness,
            progress=lambda count, _loss: tick(min(count, iterations), iterations),
        )  # fmt: skip
    name = Path(style).name if isinstance(style, (str, Path)) else ""
    metadata = {"style": name, "strength": f"{strength:g}", "engine": chosen} | ({} if run is None else run.origin)
    metadata = {key: value for key, value in metadata.items() if value}
    return Stylized(found.pixels, found.content, found.style, chosen, metadata, notes)


def command(
    run: TrainedRun | None, asked: dict[str, Any], *, output: Path | None = None, overwrite: bool = False
) -> Callable[[Stylized], Printed]:
    """Where the image goes.

    Arguments:
        output: Output file, .png, .jpg, .webp or .tif; by default a .png in RUN/out, or here.
        overwrite: Overwrite an existing file or folder.
    """
    names = ("steps", "style_weight", "smoothness", "seed")
    check_options(run, asked["features"], asked["engine"], **{name: asked[name] for name in names})
    name = f"stylize-{plain(asked['content'])}-{plain(asked['style'])}.png"
    default = Path(name) if run is None else default_place(run, name)
    place = target(output, default, suffixes=tuple(FORMATS), overwrite=overwrite)

    def finish(found: Stylized) -> Printed:
        path = str(found.write(place))
        distances = {"content_distance": found.content_distance, "style_distance": found.style_distance}
        lines = [
            path,
            f"  style distance    {found.style_distance:.3f}  relative to the content image's; lower is closer",
            f"  content distance  {found.content_distance:.3f}  0 keeps the content's form, 1 nothing of it",
        ]
        return Printed(lines, {"path": path, "engine": found.engine, **distances}, found.notes)

    return finish


def check_options(
    run: TrainedRun | None, features: str | Path | None, engine: Engine | None, **of_optimize: float | None
) -> Engine:
    """The engine, when the options go together.

    Raises:
        UserError: they do not, or the run does not stylize.
    """
    if run is not None and features is not None:
        problem = "and --run both choose a feature extractor"
        raise UserError("E-GEN-07", "--features", problem, "leave one of them out")
    chosen: Engine = engine or ("optimize" if run is None else "feedforward")
    if chosen == "optimize":
        return chosen
    for name, value in of_optimize.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise UserError("E-GEN-07", option, "is for --engine optimize", "leave it out", found=value)
    if run is None:
        remedy = "give --run with a run of `seisei train stylize`, or choose --engine optimize"
        raise UserError("E-TRL-26", "--engine feedforward", "needs a network that was trained for it", remedy)
    if "stylize" not in run.verbs:
        problem = f"this model cannot stylize; it can: {', '.join(run.verbs)}"
        remedy = "give a run of `seisei train stylize`, or pass --engine optimize"
        raise UserError("E-*-08", run.path, problem, remedy, wanted=run.verbs)
    return chosen


def _feature_source(given: str | Path | None) -> str | Path | None:
    """A file of weights as it is; a run by a prefix of its name."""
    from seisei.training.pretrained import is_weights

    return given if given is None or is_weights(given) else find_run(given)


def _images(
    content: Any, style: Any, longest: int | None, max_pixels: int, *, note: bool
) -> tuple[Any, Any, list[str]]:
    """Both images, and notes about them; the style's is no larger than the content's, so that its textures fit."""
    from seisei.evaluation.style_transfer import shrunk
    from seisei.modalities.image_io import read_image

    where = str(content) if isinstance(content, (str, Path)) else "content"
    if isinstance(content, (str, Path)) and not Path(content).exists():
        raise UserError("E-*-09", content, "no such file", "check the path")
    read = read_image(content, where=where, max_pixels=max_pixels)
    x, notes = read.pixels, opaque_note(where, read.conversions)
    from_file = isinstance(style, (str, Path))
    try:
        y = read_image(style, where=str(style) if from_file else "style", max_pixels=max_pixels).pixels
    except UserError as error:
        where = style if from_file else "style"
        raise UserError("E-TRL-24", where, error.problem, error.remedy.partition(" or pass ")[0]) from error
    small = x if longest is None else shrunk(x, longest)
    if small.shape != x.shape and note:
        notes.append(f"note: {where}: shrunk to {small.shape[1]}×{small.shape[0]}; pass --size for another")
    return small, shrunk(y, max(small.shape[:2])), notes
