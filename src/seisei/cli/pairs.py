"""`translate`: of images of any size other images, under the same names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seisei.cli.output import Target, plain, target
from seisei.cli.results import load, origin, out, transparent
from seisei.cli.terminal import echo, echo_json, tell
from seisei.errors import UserError

if TYPE_CHECKING:
    from seisei.data.images.native_images import Originals
    from seisei.modalities.image_io import DecodedImage

# Neighboring tiles that are farther apart than this, of the range of values, may show.
APART = 0.05


def translate(
    run: str,
    input: str,
    *,
    n: int = 1,
    seed: int = 0,
    tile: int | None = None,
    overlap: int | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    compare: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Translate images with an image-to-image model.

    Images of any size; each output has the name, format and bit depth of its input.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any images that `train` reads.
        n: Outputs per image, for a model trained with --noise.
        seed: Sampling seed; the same seed gives the same result.
        tile: Tile size for large images, in pixels; by default 512.
        overlap: Overlap of neighboring tiles, in pixels, which are blended; by default a quarter of a tile.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        compare: Folder with the targets, under the same names: report the error of the outputs.
        output: Output folder, or for a single image output file; by default a folder in RUN/out.
        overwrite: Overwrite an existing file or folder.
        json: Print the path as JSON.
    """
    from seisei.data.images.native_images import originals

    loaded = load(run, "translate")
    noisy = bool(loaded.pipeline.model.noise)
    if not 1 <= n <= 1000 or (n > 1 and not noisy):
        problem = f"{n} is out of range, wanted 1 to 1000" if noisy else f"{n} answers of a model that has one"
        remedy = "choose a number in the range" if noisy else "train with --noise latent for several"
        raise UserError("E-TRL-19", "-n", problem, remedy, found=n)
    if seed > 0 and not noisy:
        problem = "has no effect: this model was trained without --noise"
        raise UserError("E-GEN-07", "--seed", problem, "leave it out", found=seed)
    one = Path(input).is_file() and n == 1 and output is not None and output.suffix != ""
    suffixes = (output.suffix.lower(),) if one and output is not None else ()
    place = target(output, out(loaded, f"translate-{plain(input)}"), suffixes=suffixes, overwrite=overwrite)
    marks = {**origin(loaded), **({"seed": str(seed)} if noisy else {})}
    apart: list[tuple[str, float]] = []
    opaque: list[str] = []
    told: list[dict[str, float]] = []
    given = originals(input, max_pixels=max_pixels)
    truth_of = {} if compare is None else _truths(originals(compare, max_pixels=max_pixels), given.names)

    def made() -> Iterator[tuple[str, bytes]]:
        from seisei.evaluation.translation import compared
        from seisei.modalities.image_io import encoded

        for name, image in given:
            opaque.extend(transparent(name, image.conversions))
            for number in range(n):
                answer = loaded.pipeline.translate(
                    image, name, seed=seed, number=number, convert=convert, tile=tile, overlap=overlap
                )
                apart.append((name, answer.disagreement))
                if truth_of and number == 0:
                    told.append(compared(answer.pixels, truth_of[name]().pixels, name))
                file = encoded(answer.pixels, image.original, marks)
                base = _base(name)
                yield f"{base}-{number + 1}{file.suffix}" if n > 1 else f"{base}{file.suffix}", file.content

    path = _one(place, made()) if one else place.write_all(made())
    tell(*opaque[:5], *([f"note: … and {len(opaque) - 5:,} more"] if len(opaque) > 5 else [])) if opaque else None
    far = [(name, by) for name, by in apart if by > APART]
    for name, by in far[:5]:
        tell(f"note: {name}: neighboring tiles differ by {by:.1%} of the range of values; raise --tile")
    _say(path, told, len(apart), json)


def _base(name: str) -> Path:
    """Where below the folder of results an image goes, without its suffix."""
    path = Path(name.replace(":", "-"))
    outside = path.is_absolute() or ".." in path.parts
    return Path(path.stem) if outside else path.with_suffix("")


def _one(place: Target, files: Iterator[tuple[str, bytes]]) -> Path:
    """A single image, as the file that was named."""
    name, content = next(files)
    if Path(name).suffix.lower() != place.path.suffix.lower():
        problem = f"{place.path.suffix} is not the format of the answer, wanted {Path(name).suffix}"
        raise UserError("E-TRL-17", place.path, problem, f"name it {place.path.stem}{Path(name).suffix}")
    return place.write(content)


def _alike(name: str) -> str:
    """What the name of an image and of its truth have in common, accents written in one way."""
    return unicodedata.normalize("NFC", str(_base(name)))


def _truths(truths: Originals, names: list[str]) -> dict[str, Callable[[], DecodedImage]]:
    """What reads the truth of each image: the one of its name, the suffix aside."""
    there = {_alike(name): index for index, name in enumerate(truths.names)}
    found: dict[str, Callable[[], DecodedImage]] = {}
    for name in names:
        index = there.get(_alike(name), there.get(_alike(Path(name).name)) if len(names) == 1 else None)
        if index is None:
            raise UserError("E-TRL-23", name, "has no truth of its name", "add it, or leave --compare out")
        found[name] = partial(truths.__getitem__, index)
    return found


def _say(path: Path, told: list[dict[str, float]], count: int, json: bool) -> None:
    means = {key: sum(one[key] for one in told) / len(told) for key in told[0]} if told else {}
    if json:
        echo_json({"path": str(path), "images": count, **means})
        return
    echo(path)
    for key, value in means.items():
        echo(f"  {key}  {value:.4g}, the mean over {len(told):,} images")
