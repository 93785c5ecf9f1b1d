"""`decode`: images of latents or of codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.verbs.base import Data, Labels, Printed
from seisei.verbs.code_files import Codes, read_codes
from seisei.verbs.encode import Encoded
from seisei.verbs.output import plain
from seisei.verbs.results import Images, images_command
from seisei.verbs.run import TrainedRun


def decode(run: TrainedRun, input: Data, *, label: Labels = None, any_model: bool = False) -> Images:
    """Decode latents or codes to images.

    Of a file that `seisei encode` wrote; those of another model are refused.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: A file of latents: .npz, .csv, .parquet or .npy.
        label: Class of the images, for a class-conditional model; by default as in the file.
        any_model: Accept latents of another model, or of a file that does not name its model.

    Raises:
        UserError: the model does not decode, the file cannot be read, or the latents are not of this model.
    """
    import numpy as np

    pipeline = run.pipeline
    pipeline.need("decode")
    if isinstance(input, (str, Path)):
        codes = read_codes(Path(input))
        if codes.model is None and not any_model:
            remedy = "encode them again, or pass --any-model if they fit this one"
            raise UserError("E-DEC-19", input, "does not say which model made it", remedy)
    else:
        known = input.codes if isinstance(input, Encoded) else None
        codes = known or Codes(np.asarray(input), [], None)
    ours = pipeline.digest
    if codes.model is not None and codes.model != ours and not any_model:
        where = input if isinstance(input, (str, Path)) else "latents"
        problem = f"was made by the model {codes.model[:8]}…, and this one is {ours[:8]}…"
        remedy = "encode them again, or pass --any-model"
        raise UserError("E-DEC-20", where, problem, remedy, found=codes.model, wanted=ours)
    of_file = label if label is not None else codes.labels if pipeline.classes else None
    images = pipeline.decode(codes.z, label=of_file)
    return Images(images, codes.names if len(codes.names) == len(images) else None, run.origin)


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    output: Path | None = None,
    separate: bool = False,
    columns: int | None = None,
    overwrite: bool = False,
) -> Callable[[Any], Printed]:
    """Where images go.

    Arguments:
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image.
        columns: Images per row of the grid.
        overwrite: Overwrite an existing file or folder.
    """
    name = f"decode-{plain(asked['input'])}"
    write = images_command(run, name, output=output, separate=separate, overwrite=overwrite, columns=columns)

    def finish(images: Images) -> Printed:
        images.columns = columns
        return write(images)

    return finish
