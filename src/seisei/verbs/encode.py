"""`encode`: the latent vector, or the codes, of every image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from seisei.verbs.base import Data, Printed, ReadingOptions
from seisei.verbs.code_files import SUFFIXES, Codes, to_bytes
from seisei.verbs.output import Target, plain, target
from seisei.verbs.results import default_place, saved
from seisei.verbs.run import TrainedRun


class Encoded(np.ndarray[Any, Any]):
    """Latents, float32 (N, L), or codes, int64 (N, T): an array that knows what its rows belong to.

    Arguments:
        values: the array.
        names: of the images.
        model: SHA-256 of the weights that made them.
        labels: of the images, where the model is conditional.
    """

    codes: Codes | None

    def __new__(
        cls, values: NDArray[Any], names: list[str], model: str | None, labels: list[str] | None = None
    ) -> Self:
        """The values as such an array."""
        found = np.asarray(values).view(cls)
        found.codes = Codes(values, names, model, labels)
        return found

    def __array_finalize__(self, other: Any) -> None:
        # What is computed from latents, or a part of them, is not what the model made of these images.
        self.codes = None

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a .npz, .csv or .parquet file that `decode` reads.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        return self.write(target(Path(path), Path(path), suffixes=SUFFIXES, overwrite=overwrite))

    def write(self, place: Target) -> Path:
        """The same, at a place that is known to be free."""
        codes = self.codes or Codes(np.asarray(self), [str(i) for i in range(len(self))], None)
        return place.write(to_bytes(codes, place.path.suffix.lower()))


def encode(run: TrainedRun, input: Data, **reading: Unpack[ReadingOptions]) -> Encoded:
    """Encode images: write the latent vector, or the codes, of every image to a file.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.

    Raises:
        UserError: the model does not encode, or the input cannot be read.
    """
    pipeline = run.pipeline
    pipeline.need("encode")
    data = run.read(input, verb="encode", **reading)
    classes = getattr(pipeline.schema.y, "names", None)
    labels = None if data.y is None or classes is None or not pipeline.classes else [classes[int(i)] for i in data.y]
    return Encoded(pipeline.encode(data), data.names, pipeline.digest, labels)


def command(
    run: TrainedRun, asked: dict[str, Any], *, output: Path | None = None, overwrite: bool = False
) -> Callable[[Any], Printed]:
    """Where latents go.

    Arguments:
        output: Output .npz, .csv or .parquet file; by default a .npz file in RUN/out.
        overwrite: Overwrite an existing file or folder.
    """
    default = default_place(run, f"codes-{plain(asked['input'])}.npz")
    place = target(output, default, suffixes=SUFFIXES, overwrite=overwrite)

    def finish(encoded: Encoded) -> Printed:
        printed = saved(encoded.write(place))
        if run.pipeline.bits is not None:
            printed.lines.append(f"{encoded.shape[1]:,} codes per image, {run.pipeline.bits:,.0f} bits")
        return printed

    return finish
