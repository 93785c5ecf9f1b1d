"""`impute`: what a mask hides of an image, sampled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Unpack

from seisei.errors import UserError
from seisei.verbs.base import CodeSamplingOptions, CompletionOptions, Data, Labels, Printed, ReadingOptions, Typed
from seisei.verbs.output import plain
from seisei.verbs.results import ImageGrid, images_command
from seisei.verbs.run import TrainedRun
from seisei.verbs.sample import code_sampling


def impute(
    run: TrainedRun,
    input: Data,
    mask: Annotated[Any, Typed(str)],
    n: int = 8,
    *,
    seed: int = 0,
    label: Labels = None,
    temperature: float = 1.0,
    particles: int = 8,
    **options: Unpack[CompletionOptions],
) -> ImageGrid:
    """Inpaint images: sample completions of what a mask hides.

    One PNG with a row per image: the image with its hole in gray, then its completions; with --separate a file per
    completion.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        mask: Mask image, white where pixels are missing, for all images; or a folder with a mask for each.
        n: Completions per image.
        seed: Sampling seed; the same seed gives the same result.
        label: Class of the images, for a class-conditional model; by default as in the data, or sampled.
        temperature: Sampling temperature: below 1 for more typical completions, above 1 for more varied ones.
        particles: Number of particles; more take better account of the pixels after the hole, and take longer.

    Raises:
        UserError: the model does not inpaint, an argument is out of range, or nothing is missing of an image.
    """
    import torch

    pipeline = run.pipeline
    pipeline.need("impute")
    sampling: Any = {name: options.get(name) for name in CodeSamplingOptions.__annotations__}
    reading: Any = {name: options.get(name) for name in ReadingOptions.__annotations__}
    data = run.read(input, verb="impute", labels="want" if pipeline.classes else "ignore", **reading)
    # A mask is read in gray, and fitted like the images.
    masks = run.read(mask, verb="impute", labels="ignore", convert=True, fit=reading["fit"])
    if len(masks) not in (1, len(data)):
        problem = f"{len(masks)} masks for {len(data)} images"
        raise UserError("E-IMP-24", "--mask", problem, "give one mask, or one for each image")
    holes = torch.cat([batch.x for batch in pipeline.batches(masks)]).amax(1, keepdim=True) > 0.5
    completions = pipeline.impute(
        data,
        holes,
        n,
        seed=seed,
        label=label,
        temperature=temperature,
        particles=particles,
        steering=code_sampling(**sampling),
    )
    x = torch.cat([batch.x for batch in pipeline.batches(data)])
    holed = [pipeline.image.decode(each) for each in torch.where(holes, torch.full_like(x, 0.5), x)]
    metadata = {**run.origin, "seed": str(seed), "temperature": f"{temperature:g}"}
    metadata["label"] = "" if label is None else ", ".join(label) if isinstance(label, list) else str(label)
    return ImageGrid(completions, holed, data.names, metadata)


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    output: Path | None = None,
    separate: bool = False,
    overwrite: bool = False,
) -> Callable[[Any], Printed]:
    """Where completions go.

    Arguments:
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per completion.
        overwrite: Overwrite an existing file or folder.
    """
    name = f"impute-{plain(asked['input'])}-seed{asked['seed']}-n{asked['n']}"
    return images_command(run, name, output=output, separate=separate, overwrite=overwrite)
