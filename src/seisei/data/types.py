"""The types of data, each with all its ends: how it is recognized, read and described, and how new inputs are read.

A type of data is one package below `seisei.data` and one entry here. `read_dataset` and `read_inputs` know no type.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from seisei.data.dataset import Dataset
from seisei.data.describe import Rows
from seisei.data.detect import TABLE, TEXT, kind_of
from seisei.data.images.describe import describe_images
from seisei.data.images.inputs import read_image_inputs
from seisei.data.images.read import read_images, refuse_without_files
from seisei.data.images.styles import with_styles
from seisei.data.options import GROUPS, WHAT, DataOptions
from seisei.data.pairs.read import read_pairs
from seisei.data.reading import Progress, Reading, refuse
from seisei.data.tables.column_roles import asked_of
from seisei.data.tables.describe import describe_rows
from seisei.data.tables.encode_rows import Labels, read_rows
from seisei.data.tables.fit import read_table
from seisei.data.texts.describe import describe_texts
from seisei.data.texts.read import read_texts, texts_for
from seisei.errors import UserError
from seisei.schema import Schema
from seisei.shell import quoted

Form = str


@dataclass(frozen=True)
class DataType:
    """One type of data.

    Arguments:
        name: in words, as in "these data are …".
        groups: the groups of options that its data have, by their names in `seisei.data.options.GROUPS`.
        recognize: whether data of a form (see `kind_of`) with these options are of this type; the first type that says
            so is taken.
        read: data of this type as a data set.
    """

    name: str
    groups: tuple[str, ...]
    recognize: Callable[[Form, DataOptions], bool]
    read: Callable[[Any, DataOptions, Reading], Dataset]

    def check(self, options: DataOptions, form: Form) -> None:
        """Refuse options that data of this type do not have.

        Raises:
            UserError: one of them is not at its default.
        """
        for name in options.changed:
            group = next(key for key, each in GROUPS.items() if name in each.__annotations__)
            of_metadata = name == "categorical" and options.conditions and "images" in self.groups
            if group not in self.groups and not of_metadata:
                what = f"{WHAT[group]}, and these data are {self.name}"
                raise refuse(name, options, what, _remedy(name, form, options))


def _remedy(name: str, form: Form, options: DataOptions) -> str:
    if name in GROUPS["pairs"].__annotations__:
        return "pass --pairs auto with it, or leave it out"
    if name == "target" and form in ("folder", "parquet", "hub"):
        return f"name it with --condition {quoted(options.target)}, or put each class in its own sub-folder"
    return "leave it out"


def _read_pairs(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    refuse_without_files(given, options)
    return read_pairs(given, options, reading)


def _read_table(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    if reading.labels and options.target is None:
        raise UserError("E-TRN-12", "--target", "is missing", "name the column of the labels")
    shares = {"validation": options.validation, "test": options.test}
    return read_table(given, asked_of(options, reading), **shares, seed=reading.seed)


def _read_texts(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    shares = {"validation": options.validation, "test": options.test}
    return read_texts(given, block_size=options.block_size, **shares, seed=reading.seed)


def _read_styled(given: Any, options: DataOptions, reading: Reading) -> Dataset:
    shares = {"validation": options.validation, "test": options.test}
    data = read_images(given, options, reading)
    return with_styles(data, options.style, **shares, seed=reading.seed, max_pixels=options.max_pixels)


PAIRS = DataType(
    "image pairs", ("common", "images", "pairs"), lambda _, options: options.pairs is not None, _read_pairs
)
TABLES = DataType("a table", ("common", "tables", "labels", "conditions"), lambda form, _: form == TABLE, _read_table)
TEXTS = DataType("texts", ("common", "texts"), lambda form, _: form == TEXT, _read_texts)
STYLED = DataType(
    "images", ("common", "images", "labels", "conditions", "styles"), lambda _, o: o.style is not None, _read_styled
)
IMAGES = DataType("images", ("common", "images", "labels", "conditions"), lambda *_: True, read_images)
TYPES = (PAIRS, TABLES, TEXTS, STYLED, IMAGES)


def type_of(given: Any, options: DataOptions) -> tuple[DataType, Form]:
    """The type of some data, and their form.

    Raises:
        UserError: the data do not exist, or are of no supported type.
    """
    # What is given as pairs may be of a form that is nothing else.
    form = "" if options.pairs is not None else kind_of(given, options.source)
    return next(each for each in TYPES if each.recognize(form, options)), form


# ---- new inputs for a trained model, and descriptions: by what an example of the model is called ----


def _table_inputs(schema: Schema, given: Any, *, source: str | None = None, **options: Any) -> Dataset:
    form = kind_of(given, source)
    if form != TABLE:
        where = given if isinstance(given, (str, os.PathLike)) else "input"
        raise UserError("E-TRN-13", where, f"holds {form} data, wanted a table", "give a .csv or .parquet table")
    labels = options.pop("labels", False)
    wanted: Any = labels if isinstance(labels, str) else "need" if labels else "ignore"
    return read_rows(schema, given, labels=wanted, **options)


def _text_inputs(schema: Schema, given: Any, *, source: str | None = None, **_: Any) -> Dataset:
    if kind_of(given, source) != TEXT:
        where = os.fspath(given) if isinstance(given, (str, os.PathLike)) else "input"
        raise UserError("E-*-20", where, "holds no text", "give a .txt file, or a list of texts")
    return texts_for(schema, given)


@dataclass(frozen=True)
class Ends:
    """What a trained model and `check` need of a type of data.

    Arguments:
        inputs: new inputs for a model, read and validated against its schema.
        describe: the lines of a report on a data set that only this type has.
    """

    inputs: Callable[..., Dataset]
    describe: Callable[[dict[str, Any]], Rows]


ENDS: dict[str, Ends] = {
    "image": Ends(read_image_inputs, describe_images),
    "row": Ends(_table_inputs, describe_rows),
    "text": Ends(_text_inputs, describe_texts),
}


def read_inputs(
    schema: Schema, given: Any, *, labels: bool | Labels = False, verb: str = "", **options: Any
) -> Dataset:
    """New inputs for a trained model, of whatever type its schema has; all in the ``test`` split.

    Arguments:
        schema: the model's schema.
        given: what that type of data is read from.
        labels: whether the model needs labels, or one of `read_rows`'s values.
        verb: the command that reads them, for error codes.
        options: further options of that type, see `read_image_inputs` and `read_rows`.

    Raises:
        UserError: the input cannot be read or does not match; nothing is skipped.
    """
    return ENDS[schema.x.noun].inputs(schema, given, labels=labels, verb=verb, **options)


def read_dataset(
    given: Any,
    options: DataOptions | None = None,
    *,
    reading: Reading | None = None,
    **changes: Any,
) -> Dataset:
    """Read images, image pairs, table rows or texts from any supported source.

    Arguments:
        given: the data, as for `seisei.data.detect.open_source`.
        options: how they are read.
        reading: what else is needed, such as the seed of the split.
        changes: fields of either, instead of an object.

    Raises:
        UserError: the data are faulty, or too few, or do not have an option that is not at its default.

    Example:
        >>> digits = read_dataset("digits", labels=True)
        >>> digits.schema.x.shape, digits.schema.x.levels, digits.schema.y.classes, digits.x.dtype
        ((1, 8, 8), 17, 10, torch.uint8)
    """
    known: Sequence[str] = [f.name for f in fields(DataOptions)]
    of_data = {name: changes.pop(name) for name in known if name in changes}
    assert not (options and of_data) and not (reading and changes), "an object, or its fields"
    options, reading = options or DataOptions(**of_data), reading or Reading(**changes)
    found, form = type_of(given, options)
    found.check(options, form)
    return found.read(given, options, reading)


def read_for_training(given: Any, options: DataOptions, *, seed: int = 0, progress: Progress | None = None) -> Dataset:
    """A data set as training reads it: with labels where every example has one of at least two classes."""
    return read_dataset(given, options, reading=Reading(labels=None, seed=seed, progress=progress))
