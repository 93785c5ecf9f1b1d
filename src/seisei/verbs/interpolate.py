"""`interpolate`: images between two points of the latent space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from seisei.errors import UserError
from seisei.verbs.base import Fit, Labels, Printed, Typed
from seisei.verbs.output import plain
from seisei.verbs.results import ImageGrid, images_command
from seisei.verbs.run import TrainedRun, without_effect


def interpolate(
    run: TrainedRun,
    ends: Annotated[Any, Typed(None)],
    *,
    steps: int = 8,
    path: Literal["linear", "spherical"] = "linear",
    label: Labels = None,
    fit: Fit | None = None,
) -> ImageGrid:
    """Interpolate between images in latent space.

    One PNG with a row for each pair of ends.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        ends: seeds (whole numbers), image files, or anything with at least two images.
        steps: Images per row, both ends included.
        path: linear or spherical interpolation; spherical suits latents of many dimensions.
        label: Class of all images, for a class-conditional model, or one for each end.
        fit: How to fit images of another size; by default as in training.

    Raises:
        UserError: the model does not interpolate, fewer than two ends, or an argument is out of range.
    """
    import numpy as np

    pipeline = run.pipeline
    pipeline.need("interpolate")
    if path not in ("linear", "spherical"):
        raise UserError("E-INT-23", "--path", f"{path!r} is unknown", "choose linear or spherical", found=path)
    listed = isinstance(ends, (list, tuple))
    z: Any
    if listed and all(isinstance(end, int) for end in ends):
        if fit is not None:
            raise without_effect("fit", "is for images as ends, and these are seeds", fit)
        z = pipeline.prior_latents(ends)
    elif listed and all(isinstance(end, (str, Path)) for end in ends):
        z = np.concatenate([_latent(run, end, fit) for end in ends])
    else:
        z = pipeline.encode(run.read(ends, fit=fit))
    rows = pipeline.interpolate(z, steps=steps, path=path, label=label)
    return ImageGrid(rows, metadata={**run.origin, "path": path})


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    from_: str | None = None,
    to: list[str] | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Callable[[Any], Printed]:
    """The ends, and where the images go.

    Arguments:
        from_: Start of the interpolation: a seed, as in `sample`, or an image file.
        to: End of the interpolation; repeatable, for a path through several points.
        output: Output file; by default in RUN/out.
        overwrite: Overwrite an existing file or folder.
    """
    ends = [*([from_] if from_ is not None else []), *(to or [])]
    if from_ is None or len(ends) < 2:
        missing = "--from" if from_ is None else "--to"
        raise UserError("E-INT-19", missing, "is missing", "give two ends, as in --from 3 --to 7, or two image files")
    seeds = [_is_seed(end) for end in ends]
    if any(seeds) and not all(seeds):
        problem = f"{ends[seeds.index(True)]} is a seed and {ends[seeds.index(False)]} is not"
        raise UserError("E-INT-21", "--from and --to", problem, "give seeds only, or image files only")
    asked["ends"] = [int(end) for end in ends] if all(seeds) else ends
    if all(seeds) and asked.get("fit") is not None:
        raise without_effect("fit", "is for images as ends, and these are seeds", asked["fit"])
    name = f"interpolate-{'-'.join(plain(end) for end in ends)[:80]}"
    write = images_command(run, name, output=output, separate=False, overwrite=overwrite)

    def finish(rows: ImageGrid) -> Printed:
        rows.metadata["ends"] = ", ".join(ends)
        return write(rows)

    return finish


def _latent(run: TrainedRun, end: str | Path, fit: Fit | None) -> Any:
    """The latent of the only image of a file, (1, L)."""
    data = run.read(end, fit=fit)
    if len(data) != 1:
        raise UserError("E-INT-21", end, f"holds {len(data)} images, wanted one", "give an image file for each end")
    return run.pipeline.encode(data)


def _is_seed(text: str) -> bool:
    return text.lstrip("-").isdigit() and not Path(text).exists()
