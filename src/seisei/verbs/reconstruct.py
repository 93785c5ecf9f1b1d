"""`reconstruct`: images, encoded and decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from seisei.verbs.base import Data, Printed, ReadingOptions
from seisei.verbs.output import plain
from seisei.verbs.results import Images, images_command
from seisei.verbs.run import TrainedRun

# Images in a grid of reconstructions, and in one of its rows.
LIMIT, COLUMNS = 32, 8


class Reconstructions(Images):
    """Reconstructed images; their sheet has the originals above them."""

    originals: list[Any]
    limit = LIMIT

    def sheet(self, columns: int | None = None) -> bytes:
        """Rows of originals, each above the row of their reconstructions; at most `limit` of them."""
        shown = min(len(self), self.limit)
        width = min(columns or COLUMNS, shown)
        blank = self.originals[0] * 0 + 255
        rows: list[Any] = []
        for start in range(0, shown, width):
            for images in (self.originals, self):
                row = list(images[start : min(start + width, shown)])
                rows += row + [blank] * (width - len(row))
        return Images(rows, metadata=self.metadata).sheet(width)


def reconstruct(run: TrainedRun, input: Data, **reading: Unpack[ReadingOptions]) -> Reconstructions:
    """Reconstruct images: encode, then decode.

    One PNG with the originals above their reconstructions, or with --separate a file per image.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.

    Raises:
        UserError: the model does not reconstruct, or the input cannot be read.
    """
    pipeline = run.pipeline
    pipeline.need("reconstruct")
    data = run.read(input, verb="reconstruct", **reading)
    found = Reconstructions(pipeline.reconstruct(data), data.names, run.origin)
    found.originals = [pipeline.image.decode(x) for batch in pipeline.batches(data) for x in batch.x]
    return found


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    output: Path | None = None,
    separate: bool = False,
    limit: int = LIMIT,
    overwrite: bool = False,
) -> Callable[[Any], Printed]:
    """Where reconstructions go.

    Arguments:
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image, under its own name.
        limit: Maximum number of images in the grid.
        overwrite: Overwrite an existing file or folder.
    """
    write = images_command(
        run, f"reconstruct-{plain(asked['input'])}", output=output, separate=separate, overwrite=overwrite,
        limit=None if limit == LIMIT else limit,
    )  # fmt: skip

    def finish(images: Reconstructions) -> Printed:
        images.limit = limit
        printed = write(images)
        if not separate and len(images) > limit:
            printed.notes = [f"the first {limit} of {len(images):,} images; all of them with --separate"]
        return printed

    return finish
