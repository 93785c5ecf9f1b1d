"""What verbs return: lists that save themselves to a file, and show themselves in a notebook.

`Images` is a list of arrays, `ImageGrid` a list of rows of them, `Rows` a list of dictionaries, `Texts` a list of
strings.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.verbs.base import Printed
from seisei.verbs.output import SAMPLE, SHARED, Target, target
from seisei.verbs.rows import TABLES, TEXTS, table_bytes, text_bytes
from seisei.verbs.run import TrainedRun

PNG = (".png",)
# Rows and texts that a notebook shows.
SHOWN = 20


class Images(list[Any]):
    """Images, uint8 (H, W) or (H, W, 3).

    Arguments:
        images: the arrays.
        names: of the files, without suffix, when each is saved by itself; numbers by default.
        metadata: text that the PNG files carry.
        columns: images per row of the grid; by default about as many as rows.
    """

    def __init__(
        self,
        images: Iterable[Any],
        names: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        columns: int | None = None,
    ) -> None:
        super().__init__(images)
        self.names = list(names) if names is not None else _numbers(len(self))
        self.metadata, self.columns = dict(metadata or {}), columns

    def sheet(self, columns: int | None = None) -> bytes:
        """All images in a grid, as PNG."""
        return sheet(self, columns or self.columns, self.metadata)

    def files(self) -> list[tuple[str, bytes]]:
        """A PNG for each image, by name."""
        from seisei.modalities.image_io import png_bytes
        from seisei.modalities.pixels import shown

        metadata = {k: v for k, v in self.metadata.items() if v}
        return [(name, png_bytes(shown(p), metadata)) for name, p in zip(file_names(self.names), self, strict=True)]

    def save(
        self, path: str | Path, *, separate: bool = False, columns: int | None = None, overwrite: bool = False
    ) -> Path:
        """Write one PNG with a grid of all images, or a folder with a file for each.

        Arguments:
            path: of the file, or with `separate` of the folder.
            separate: write one file per image.
            columns: images per row of the grid.
            overwrite: replace what is there.

        Raises:
            UserError: it cannot be written, or something is there.
        """
        place = target(Path(path), Path(path), suffixes=() if separate else PNG, overwrite=overwrite)
        return self.write(place, separate=separate, columns=columns)

    def write(self, place: Target, *, separate: bool = False, columns: int | None = None) -> Path:
        """The same, at a place that is known to be free."""
        return place.write_all(self.files()) if separate else place.write(self.sheet(columns))

    def _repr_png_(self) -> bytes | None:
        return self.sheet() if self else None


class ImageGrid(list[list[Any]]):
    """Rows of images, each a list of as many arrays.

    Arguments:
        rows: the images.
        first: a further image in front of each row of the sheet, such as what was completed.
        names: of the files, by row; see `Images`.
        metadata: see `Images`.
    """

    def __init__(
        self,
        rows: Iterable[list[Any]],
        first: Sequence[Any] = (),
        names: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(rows)
        self.first, self.metadata = list(first), dict(metadata or {})
        self.names = list(names) if names is not None else _numbers(len(self))

    def sheet(self) -> bytes:
        """All rows, one under the other, as PNG."""
        rows = [[front, *row] for front, row in zip(self.first, self, strict=True)] if self.first else list(self)
        return sheet([image for row in rows for image in row], len(rows[0]), self.metadata)

    def save(self, path: str | Path, *, separate: bool = False, overwrite: bool = False) -> Path:
        """Write one PNG with all rows, or a folder with a file for each image; see `Images.save`."""
        place = target(Path(path), Path(path), suffixes=() if separate else PNG, overwrite=overwrite)
        return self.write(place, separate=separate)

    def write(self, place: Target, *, separate: bool = False) -> Path:
        """The same, at a place that is known to be free."""
        if not separate:
            return place.write(self.sheet())
        names = [f"{Path(name).with_suffix('')}-{k}" for name, row in zip(self.names, self, strict=True)
                 for k in range(len(row))]  # fmt: skip
        return Images([image for row in self for image in row], names, self.metadata).write(place, separate=True)

    def _repr_png_(self) -> bytes | None:
        return self.sheet() if self else None


class Rows(list[dict[str, Any]]):
    """Rows of a table, each a dictionary of its cells by column."""

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a .csv or .parquet file.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        return self.write(target(Path(path), Path(path), suffixes=TABLES, overwrite=overwrite))

    def write(self, place: Target) -> Path:
        """The same, at a place that is known to be free."""
        return place.write(table_bytes(self, place.path.suffix.lower()))

    def to_frame(self) -> Any:
        """A pandas data frame of the same rows; needs pandas."""
        import pandas  # type: ignore[import-untyped]

        return pandas.DataFrame(list(self))

    def _repr_html_(self) -> str:
        names = list(self[0]) if self else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(row[name]))}</td>" for name in names) + "</tr>"
            for row in self[:SHOWN]
        )
        more = f"<p>… {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        return f"<table><tr>{head}</tr>{body}</table>{more}"


class Texts(list[str]):
    """Texts."""

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a .txt file, or a .csv or .parquet file with a column of texts.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        return self.write(target(Path(path), Path(path), suffixes=TEXTS, overwrite=overwrite))

    def write(self, place: Target) -> Path:
        """The same, at a place that is known to be free."""
        suffix = place.path.suffix.lower()
        return place.write(
            text_bytes(self) if suffix == ".txt" else table_bytes([{"text": text} for text in self], suffix)
        )

    def _repr_html_(self) -> str:
        lines = "".join(f"<li><pre>{html.escape(text)}</pre></li>" for text in self[:SHOWN])
        return f"<ol>{lines}</ol>" + (f"<p>… {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else "")


def sheet(images: Sequence[Any], columns: int | None = None, metadata: Mapping[str, str] | None = None) -> bytes:
    """Images in a grid, as PNG; metadata without text are left out."""
    from seisei.modalities.image_io import png_bytes
    from seisei.modalities.pixels import grid

    return png_bytes(grid(list(images), columns), {k: v for k, v in (metadata or {}).items() if v})


def file_names(names: Sequence[str]) -> list[str]:
    """The name of a PNG for each image: its own, inside the folder, and unlike the others."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        path = Path(name.replace(":", "-")).with_suffix("")
        # An image that was given by itself, wherever it lies, has no folder of its own among the results.
        parts = [path.name] if path.is_absolute() else [part for part in path.parts if part not in ("..", ".")]
        base = "/".join(parts) or "image"
        tried, count = base, 1
        while tried.casefold() in taken:
            count += 1
            tried = f"{base}-{count}"
        taken.add(tried.casefold())
        found.append(f"{tried}.png")
    return found


def default_place(run: TrainedRun, name: str) -> Path:
    """Where a result of a run goes that is given no place."""
    return run.path / "out" / name


def images_command(
    run: TrainedRun,
    name: str,
    *,
    output: Path | None,
    separate: bool,
    overwrite: bool,
    sample: bool = False,
    **of_a_grid: int | None,
) -> Callable[[Images | ImageGrid], Printed]:
    """Where images go, looked at before any work; what is returned writes them there.

    Arguments:
        run: the model.
        name: of the file by default, without its suffix.
        output: as given.
        separate: one file per image.
        overwrite: replace what is there.
        sample: whether error codes are those of `sample`.
        of_a_grid: options that only a grid has.

    Raises:
        UserError: an option of a grid with `separate`, or the result cannot be written there.
    """
    for option, value in of_a_grid.items():
        if separate and value is not None:
            problem = "is for a grid, and --separate writes one file per image"
            raise UserError("E-GEN-07", f"--{option}", problem, "leave one of the two out", found=value)
    default = default_place(run, name if separate else f"{name}.png")
    codes = SAMPLE if sample else SHARED
    place = target(output, default, suffixes=() if separate else PNG, overwrite=overwrite, codes=codes)

    def write(images: Images | ImageGrid) -> Printed:
        return saved(images.write(place, separate=separate))

    return write


def saved(path: Path) -> Printed:
    """The line that says where a result is."""
    return Printed([str(path)], {"path": str(path)})


def _numbers(count: int) -> list[str]:
    width = max(4, len(str(count - 1)))
    return [f"{i:0{width}d}" for i in range(count)]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
