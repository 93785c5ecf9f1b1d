"""Options of reading data, by type of data. Declared once: they are fields of `DataOptions`, options of the command
line, and text of its help. Nothing here loads torch.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from seisei.spec import Range, argument_help, parameters

# Of --unlabeled: the rows of the table itself that have no label.
OWN = "own"
Share = Annotated[float, Range(ge=0, lt=1)]
MAX_PIXELS, MIN_SIZE = 64_000_000, 8


@dataclass(frozen=True)
class CommonOptions:
    """Options of all data.

    Arguments:
        source: Format of the data, where it should not be detected.
        validation: Share of the data held out for validation during training.
        test: Share of the data held out for testing.
    """

    source: Literal["arrays", "digits", "folder", "hub", "idx", "parquet", "table", "text"] | None = None
    validation: Share = 0.1
    test: Share = 0.1


@dataclass(frozen=True)
class ImageOptions:
    """Options of images.

    Arguments:
        column: Column of a parquet file that holds the images.
        size: Image size: side in pixels; by default that of the data, or a power of two near it.
        channels: Image channels: 1 for grayscale, 3 for color; by default as in the data.
        fit: How images of another size are resized: crop (the default), pad or stretch.
        skip_bad: Number or share of broken images that may be skipped, such as 1%; by default 0.1% and at most 10.
        max_pixels: Refuse images with more pixels than this.
        first_frame: Read the first frame of animated images, instead of refusing them.
        min_size: Refuse images whose shorter side is below this.
        follow_outside: Follow links that lead out of the data folder.
        memory: Megabytes of images kept in memory; more are memory-mapped from a file.
    """

    column: str | None = None
    size: Annotated[int, Range(ge=8, le=4096)] | None = None
    channels: Literal[1, 3] | None = None
    fit: Literal["crop", "pad", "stretch"] | None = None
    skip_bad: str | None = None
    max_pixels: Annotated[int, Range(ge=1)] = MAX_PIXELS
    first_frame: bool = False
    min_size: Annotated[int, Range(ge=1)] = MIN_SIZE
    follow_outside: bool = False
    memory: Annotated[int, Range(ge=1)] | None = None


@dataclass(frozen=True)
class TableOptions:
    """Options of tables.

    Arguments:
        target: Table column with the class label.
        ignore: Table column to leave out. Repeatable.
        categorical: Numeric table column whose values are categories. Repeatable.
        missing: Marker of missing values in a table, such as -999. Repeatable.
    """

    target: str | None = None
    ignore: list[str] | None = None
    categorical: list[str] | None = None
    missing: list[str] | None = None


@dataclass(frozen=True)
class LabelOptions:
    """Options of examples with labels.

    Arguments:
        unlabeled: Unlabeled data to learn from: `own` uses the table's rows without a label; or a path to more.
    """

    unlabeled: str | None = None


@dataclass(frozen=True)
class ConditionOptions:
    """Options of conditional models.

    Arguments:
        conditions: Condition the model on this: `label`, the class; or a column of a table or of a folder's
            metadata.csv, such as `caption`. Repeatable.
    """

    conditions: list[str] | None = None


@dataclass(frozen=True)
class TextOptions:
    """Options of texts.

    Arguments:
        block_size: Block size of text in bytes: cut running text into blocks; by default each line of a .txt file is
            an example.
    """

    block_size: Annotated[int, Range(ge=2, le=1 << 16)] | None = None


@dataclass(frozen=True)
class PairOptions:
    """Options of image pairs.

    Arguments:
        pairs: How images are paired: side by side in one file, in two folders, in two table columns, or auto.
        direction: Translate from side A to B, or from B to A.
        column_a: Table column of side A.
        column_b: Table column of side B.
        bits: 8 converts 16-bit and floating-point images to 8 bits.
        label_map: Treat the input images as label maps: each color is a class.
    """

    pairs: Literal["auto", "side-by-side", "folders", "columns"] | None = None
    direction: Literal["a-to-b", "b-to-a"] = "a-to-b"
    column_a: str | None = None
    column_b: str | None = None
    bits: Literal[8] | None = None
    label_map: bool = False


@dataclass(frozen=True)
class StyleOptions:
    """Options of style transfer.

    Arguments:
        style: Folder of style images for stylize.
    """

    style: str | None = None


@dataclass(frozen=True)
class DataOptions(
    StyleOptions, PairOptions, TextOptions, ConditionOptions, LabelOptions, TableOptions, ImageOptions, CommonOptions
):
    """How data are read. Kept with the run, so that resuming reads them in the same way."""

    @property
    def changed(self) -> dict[str, Any]:
        """The options that are not at their defaults."""
        return {f.name: v for f in dataclasses.fields(self) if (v := getattr(self, f.name)) != f.default}


GROUPS: dict[str, type] = {
    "common": CommonOptions,
    "images": ImageOptions,
    "tables": TableOptions,
    "labels": LabelOptions,
    "conditions": ConditionOptions,
    "texts": TextOptions,
    "pairs": PairOptions,
    "styles": StyleOptions,
}
# Options whose name on the command line is another.
SPELLED = {"conditions": "condition"}
# What the options of a group are for, in words.
WHAT = {
    "common": "data", "images": "images", "tables": "tables", "labels": "labeled images or tables",
    "conditions": "images or tables", "texts": "texts", "pairs": "image pairs", "styles": "images",
}  # fmt: skip
# Options that few need: the help lists them with --help-all.
RARE = frozenset(
    "source column skip_bad max_pixels first_frame min_size follow_outside memory missing column_a column_b".split()
)


def option_name(name: str) -> str:
    """An option as it is typed.

    Example:
        >>> option_name("skip_bad"), option_name("conditions")
        ('--skip-bad', '--condition')
    """
    return "--" + SPELLED.get(name, name).replace("_", "-")


def kept(options: DataOptions) -> dict[str, Any]:
    """The options as plain data, as a run keeps them: a path leads there from any folder."""
    unlabeled = options.unlabeled if options.unlabeled in (None, OWN) else data_path(options.unlabeled)
    return {**dataclasses.asdict(options), "unlabeled": unlabeled, "style": data_path(options.style)}


def data_path(data: Any) -> str | None:
    """The path or the name of data, the same from any folder; None for what is in memory."""
    if not isinstance(data, (str, os.PathLike)):
        return None
    text = os.fspath(data)
    return str(Path(text).absolute()) if Path(text).exists() else text


def options_in(groups: Iterable[str]) -> list[str]:
    """The names of the options in these groups.

    Example:
        >>> options_in(["texts", "styles"])
        ['block_size', 'style']
    """
    return [SPELLED.get(f.name, f.name) for group in groups for f in dataclasses.fields(GROUPS[group])]


def data_options() -> None:
    """How data are read."""


def _declare() -> None:
    """All options as keyword parameters of `data_options`, in the order of their groups."""
    known = {name: option for group in GROUPS.values() for name, option in parameters(group).items()}
    helps = {SPELLED.get(n, n): text for group in GROUPS.values() for n, text in argument_help(group).items()}
    keyword = [p.replace(kind=p.KEYWORD_ONLY, name=SPELLED.get(n, n)) for n, p in known.items()]
    data_options.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    data_options.__annotations__ = {p.name: p.annotation for p in keyword}
    data_options.__doc__ = "How data are read.\n\nArguments:\n" + "\n".join(
        f"    {p.name}: {helps[p.name]}" for p in keyword
    )


_declare()
