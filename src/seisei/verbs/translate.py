"""`translate`: images of any size through an image-to-image model, under the same names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisei.errors import UserError
from seisei.verbs.base import Data, Printed
from seisei.verbs.output import Target, plain, target
from seisei.verbs.results import default_place
from seisei.verbs.run import MAX_PIXELS, TrainedRun, without_effect

if TYPE_CHECKING:
    from seisei.data.images.native_images import Originals
    from seisei.modalities.image_io import DecodedImage

# Neighboring tiles that are farther apart than this, of the range of values, may show.
APART = 0.05
# Notes of one type that are printed.
SHOWN = 5


@dataclass(frozen=True)
class Translation:
    """An output, and the input that it belongs to.

    Arguments:
        pixels: of the output.
        disagreement: how far neighboring tiles are apart where they overlap, in units of the range of values.
        image: the input.
        name: of the input.
        number: of the output, where there are several of one input.
    """

    pixels: Any
    disagreement: float
    image: DecodedImage
    name: str
    number: int


class Translations:
    """The outputs for all inputs, computed one by one as they are asked for: a folder may be larger than memory."""

    def __init__(self, run: TrainedRun, inputs: Originals, n: int, seed: int, options: dict[str, Any]) -> None:
        self.run, self.inputs, self.n, self.seed, self.options = run, inputs, n, seed, options

    def __len__(self) -> int:
        return len(self.inputs) * self.n

    def __iter__(self) -> Iterator[Translation]:
        for name, image in self.inputs:
            for number in range(self.n):
                found = self.run.pipeline.translate(image, name, seed=self.seed, number=number, **self.options)
                yield Translation(found.pixels, found.disagreement, image, name, number)

    def pixels(self) -> list[Any]:
        """All outputs: an array for each input, or with n > 1 a list of n."""
        outputs = [found.pixels for found in self]
        return outputs if self.n == 1 else [outputs[i : i + self.n] for i in range(0, len(outputs), self.n)]


def translate(
    run: TrainedRun,
    input: Data,
    n: int = 1,
    *,
    seed: int | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    convert: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Translations:
    """Translate images with an image-to-image model.

    Images of any size; each output has the name, format and bit depth of its input.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any images that `train` reads.
        n: Outputs per image, for a model trained with --noise.
        seed: Sampling seed, for a model trained with --noise; 0 by default.
        tile: Tile size for large images, in pixels; by default 512.
        overlap: Overlap of neighboring tiles, in pixels, which are blended; by default a quarter of a tile.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.

    Raises:
        UserError: the model does not translate, an argument is out of range, or an image cannot be read.
    """
    from seisei import seeds
    from seisei.data.images.native_images import originals

    run.pipeline.need("translate")
    noisy = bool(run.pipeline.model.noise)
    if not 1 <= n <= (1000 if noisy else 1):
        problem = f"{n} is out of range, wanted " + ("1 to 1000" if noisy else "1: this model has one output per image")
        remedy = "choose a number in the range" if noisy else "train with --noise latent for several"
        raise UserError("E-TRL-19", "-n", problem, remedy, found=n)
    if seed is not None:
        seeds.check(seed, "E-TRL-25")
        if not noisy:
            raise without_effect("seed", "has no effect: this model was trained without --noise", seed)
    options = {"tile": tile, "overlap": overlap, "convert": convert}
    return Translations(run, originals(input, max_pixels=max_pixels), n, seed or 0, options)


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    compare: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Callable[[Translations], Printed]:
    """Where outputs go, and what they are compared with.

    Arguments:
        compare: Folder with the targets, under the same names: report the error of the outputs.
        output: Output folder, or for a single image output file; by default a folder in RUN/out.
        overwrite: Overwrite an existing file or folder.
    """
    input = asked["input"]
    one = Path(input).is_file() and asked["n"] == 1 and output is not None and output.suffix != ""
    suffixes = (output.suffix.lower(),) if one and output is not None else ()
    default = default_place(run, f"translate-{plain(input)}")
    place = target(output, default, suffixes=suffixes, overwrite=overwrite)
    return partial(_write, place=place, one=one, compare=compare, max_pixels=asked["max_pixels"])


def _write(translations: Translations, *, place: Target, one: bool, compare: str | None, max_pixels: int) -> Printed:
    """Write each output as it is computed."""
    from seisei.data.images.native_images import originals
    from seisei.evaluation.translation import compared
    from seisei.modalities.image_io import encoded

    run = translations.run
    metadata = {**run.origin, **({"seed": str(translations.seed)} if run.pipeline.model.noise else {})}
    targets = {}
    if compare is not None:
        targets = _targets(originals(compare, max_pixels=max_pixels), translations.inputs.names)
    errors: list[dict[str, float]] = []
    opaque: list[str] = []
    apart: list[str] = []
    written = 0

    def files() -> Iterator[tuple[str, bytes]]:
        nonlocal written
        for found in translations:
            name = found.name
            opaque.extend(opaque_note(name, found.image.conversions) if found.number == 0 else [])
            if found.disagreement > APART:
                differ = f"neighboring tiles differ by {found.disagreement:.1%} of the range of values"
                apart.append(f"note: {name}: {differ}; raise --tile")
            if targets and found.number == 0:
                errors.append(compared(found.pixels, targets[name]().pixels, name))
            file = encoded(found.pixels, found.image.original, metadata)
            suffix = f"-{found.number + 1}{file.suffix}" if translations.n > 1 else file.suffix
            written += 1
            yield f"{_base(name)}{suffix}", file.content

    path = _write_one(place, files()) if one else place.write_all(files())
    notes = opaque[:SHOWN] + ([f"note: … and {len(opaque) - SHOWN:,} more"] if len(opaque) > SHOWN else [])
    means = {key: sum(each[key] for each in errors) / len(errors) for key in errors[0]} if errors else {}
    lines = [f"  {key}  {value:.4g}, the mean over {len(errors):,} images" for key, value in means.items()]
    return Printed([str(path), *lines], {"path": str(path), "images": written, **means}, notes + apart[:SHOWN])


def opaque_note(name: str, conversions: tuple[str, ...] | list[str]) -> list[str]:
    """A note where an image was transparent: what is made of it is opaque."""
    over = next((done for done in conversions if done.startswith("transparency over")), None)
    return [] if over is None else [f"note: {name}: the result is opaque: {over}"]


def _base(name: str) -> Path:
    """Where inside the output folder an image goes, without its suffix."""
    path = Path(name.replace(":", "-"))
    outside = path.is_absolute() or ".." in path.parts
    return Path(path.stem) if outside else path.with_suffix("")


def _write_one(place: Target, files: Iterator[tuple[str, bytes]]) -> Path:
    """A single image, as the file that was named."""
    name, content = next(files)
    if Path(name).suffix.lower() != place.path.suffix.lower():
        problem = f"{place.path.suffix} is not the format of the output, wanted {Path(name).suffix}"
        raise UserError("E-TRL-17", place.path, problem, f"name it {place.path.stem}{Path(name).suffix}")
    return place.write(content)


def _key(name: str) -> str:
    """What the names of an image and of its target have in common, accents composed."""
    return unicodedata.normalize("NFC", str(_base(name)))


def _targets(targets: Originals, names: list[str]) -> dict[str, Callable[[], DecodedImage]]:
    """A reader of the target of each image: that of its name, the suffix aside."""
    there = {_key(name): index for index, name in enumerate(targets.names)}
    found: dict[str, Callable[[], DecodedImage]] = {}
    for name in names:
        index = there.get(_key(name), there.get(_key(Path(name).name)) if len(names) == 1 else None)
        if index is None:
            raise UserError("E-TRL-23", name, "has no target of its name", "add it, or leave --compare out")
        found[name] = partial(targets.__getitem__, index)
    return found
