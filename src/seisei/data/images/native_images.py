"""Images one at a time at their native size and bit depth, as input for image-to-image translation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seisei.data.detect import kind_of, only_array, open_as
from seisei.data.images.scan import first_of
from seisei.data.sources.arrays import as_nhwc, as_numpy, half_of_memory, read_npy, read_npz
from seisei.errors import UserError
from seisei.modalities.image_io import MAX_PIXELS, DecodedImage, read_image
from seisei.modalities.pixels import WHITE, Color


@dataclass(frozen=True)
class Originals:
    """A lazy sequence of images, read on access.

    Arguments:
        names: image names in order; paths below the folder, or a single image's path as typed.
        open: reads an image by its index and name.
    """

    names: list[str]
    open: Callable[[int, str], DecodedImage]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> DecodedImage:
        return self.open(index, self.names[index])

    def __iter__(self) -> Iterator[tuple[str, DecodedImage]]:
        return ((name, self[index]) for index, name in enumerate(self.names))


def originals(
    given: Any,
    *,
    max_pixels: int = MAX_PIXELS,
    first_frame: bool = False,
    background: Color = WHITE,
    source: str | None = None,
    column: str | None = None,
    follow_outside: bool = False,
) -> Originals:
    """The images of a source in order, with their names, read on access.

    Arguments:
        given: an image's path, a folder, anything else that `seisei.data.detect.open_source` reads, or arrays of any
            bit depth: one image (H, W) or (H, W, 3), many as (N, …), or a list of images.
        max_pixels: refuse larger images.
        first_frame: use the first frame of animations and multi-page files.
        background: color behind transparent pixels.
        source: the type of data, instead of detecting it.
        column: the column of a parquet file that holds the images.
        follow_outside: follow symbolic links that lead outside the folder.

    Raises:
        UserError: nothing to read; or, on access, an image that cannot be read.

    Example:
        >>> [(name, image.pixels.shape) for name, image in originals(np.zeros((2, 8, 9), np.uint16))]
        [('image:0', (8, 9)), ('image:1', (8, 9))]
    """
    names, read = _listed(given, source, column, follow_outside)

    def opened(index: int, name: str) -> DecodedImage:
        content = read(index)
        return read_image(
            content, where=name, max_pixels=max_pixels, first_frame=first_frame, background=background, deep=True
        )

    return Originals(names, opened)


def _listed(given: Any, source: str | None, column: str | None, follow_outside: bool) -> tuple[list[str], Any]:
    """The name of each image, and a function that reads one by index."""
    if not isinstance(given, (str, os.PathLike)):
        images = _images(given)
        return [f"image:{i}" for i in range(len(images))], images.__getitem__
    form = kind_of(given, source)
    if form == "arrays":
        images = _in_file(only_array(Path(given)), os.fspath(given))
        return [f"image:{i}" for i in range(len(images))], images.__getitem__
    opened = open_as(form, given, column=column, follow_outside=follow_outside)
    if opened.faults:
        raise first_of(sorted(opened.faults, key=lambda fault: fault.where))
    return [record.name for record in opened.records], opened.read


def _images(given: Any) -> Any:
    """One or many images in memory, as a sequence."""
    if isinstance(given, (list, tuple)):
        if not given:
            raise UserError("E-CHK-03", "input", "0 images", "give at least one", found=0)
        return [as_numpy(each, f"image:{i}") for i, each in enumerate(given)]
    array = as_numpy(given, "input")
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)):
        return array[None]
    return _many(array, "input")


def _in_file(path: Path, where: str) -> Any:
    if path.suffix.lower() == ".npy":
        return _many(read_npy(path, where), where)
    arrays = read_npz(path, where, half_of_memory())
    if len(arrays) != 1:
        problem = f"holds several arrays: {', '.join(arrays)}" if arrays else "holds no array"
        raise UserError("E-CHK-04", where, problem, "give a file of one", found=list(arrays))
    return _many(next(iter(arrays.values())), where)


def _many(array: Any, where: str) -> Any:
    images = as_nhwc(array, where)[0]
    if not len(images):
        raise UserError("E-CHK-03", where, "0 images", "give at least one", found=0)
    whole = images.dtype.kind in "iu" and images.dtype not in (np.uint8, np.uint16)
    if whole and 0 <= int(images.min()) and int(images.max()) <= 255:
        return images.astype(np.uint8)
    return images
