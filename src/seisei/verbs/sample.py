"""`sample`: new examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from seisei.errors import UserError
from seisei.verbs.base import CodeSamplingOptions, Labels, Printed
from seisei.verbs.output import SAMPLE, plain, target
from seisei.verbs.results import Images, Rows, Texts, default_place, images_command, saved
from seisei.verbs.rows import TABLES, TEXTS
from seisei.verbs.run import TrainedRun

# How the default name of a file abbreviates an option.
ABBREVIATED = {"truncation": "w", "top_k": "k", "top_p": "p", "min_p": "m", "guidance": "g"}


def sample(
    run: TrainedRun,
    n: int = 64,
    *,
    seed: int = 0,
    label: Labels = None,
    temperature: float = 1.0,
    truncation: float | None = None,
    **sampling: Unpack[CodeSamplingOptions],
) -> Images | Rows | Texts:
    """Generate new images, table rows or texts.

    One PNG with a grid of images, or with --separate a file per image; a .csv or .parquet file of rows; a .txt file of
    texts, or a table of them.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        n: Number of samples.
        seed: Sampling seed; the same seed gives the same result.
        label: Class to generate, for a class-conditional model: once for all samples, or once per sample.
        temperature: Sampling temperature: below 1 for more typical samples, above 1 for more varied ones.
        truncation: Truncation: sample latents within this many standard deviations; lower for more typical, less
            varied images.

    Raises:
        UserError: the model does not sample, or an argument is out of range.
    """
    options = code_sampling(**sampling)
    samples = run.pipeline.sample(
        n, seed=seed, label=label, temperature=temperature, truncation=truncation, steering=options
    )
    noun = run.pipeline.schema.x.noun
    if noun != "image":
        return Rows(samples) if noun == "row" else Texts(samples)
    metadata = {**run.origin, "seed": str(seed), "temperature": f"{temperature:g}"}
    metadata["label"] = "" if label is None else ", ".join(map(str, label)) if isinstance(label, list) else str(label)
    used = {"truncation": truncation, **sampling}
    return Images(samples, metadata=metadata | {k: f"{v:g}" for k, v in used.items() if v is not None})


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    output: Path | None = None,
    separate: bool = False,
    columns: int | None = None,
    overwrite: bool = False,
) -> Callable[[Any], Printed]:
    """Where samples go.

    Arguments:
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image.
        columns: Images per row of the grid.
        overwrite: Overwrite an existing file or folder.
    """
    if columns is not None and columns < 1:
        problem = f"{columns} is out of range, wanted >= 1"
        raise UserError("E-GEN-07", "--columns", problem, "choose a number in the range")
    label = asked.get("label")
    name = f"sample-seed{asked['seed']}-n{asked['n']}" + (f"-{plain(label)}" if isinstance(label, str) else "")
    name += f"-t{asked['temperature']:g}" if asked["temperature"] != 1 else ""
    used = {option: asked.get(option) for option in ABBREVIATED}
    name += "".join(f"-{ABBREVIATED[option]}{value:g}" for option, value in used.items() if value is not None)
    noun = run.pipeline.schema.x.noun
    if noun == "image":
        write = images_command(
            run, name, output=output, separate=separate, overwrite=overwrite, sample=True, columns=columns
        )
        return lambda images: write(images if columns is None else _in_columns(images, columns))
    if separate or columns is not None:
        option = "--separate" if separate else "--columns"
        raise UserError("E-GEN-07", option, f"is for images, and this model generates {noun}s", "leave it out")
    suffixes = TABLES if noun == "row" else TEXTS
    default = default_place(run, f"{name}{suffixes[0]}")
    place = target(output, default, suffixes=suffixes, overwrite=overwrite, codes=SAMPLE)
    return lambda samples: saved(samples.write(place))


def code_sampling(**options: Unpack[CodeSamplingOptions]) -> Any:
    """The `SamplingOptions` of an autoregressive model; None where no option is given."""
    from seisei.nn.transformer.sampling import SamplingOptions

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return SamplingOptions(**given) if given else None


def _in_columns(images: Images, columns: int) -> Images:
    images.columns = columns
    return images
