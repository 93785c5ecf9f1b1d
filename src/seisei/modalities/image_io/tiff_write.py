"""Writing TIFFs with any number of channels, 8 or 16 bits or floating point, which Pillow supports only in part."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from seisei.modalities.image_io.metadata import PARTS, in_bytes

_STRIP = 1 << 18  # bytes


def tiff_bytes(
    pixels: NDArray[Any], compressed: bool, exif: bytes, profile: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    """The image as a TIFF file, in strips.

    Arguments:
        pixels: uint8, uint16 or float32, (H, W) or (H, W, C); three channels are color.
        compressed: whether to compress losslessly with Deflate.
        exif: EXIF data.
        profile: color profile.
        dpi: horizontal and vertical dots per inch.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    whole, size = pixels.dtype.kind == "u", pixels.dtype.itemsize
    rows = max(1, _STRIP // (width * channels * size))
    values = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).reshape(height, width, channels)
    strips = [_strip(values[top : top + rows], compressed, whole) for top in range(0, height, rows)]
    tags = ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    if exif:
        _add_exif(tags, exif)
    tags[256], tags[257], tags[258] = width, height, (8 * size,) * channels
    tags[259], tags[262], tags[277] = 8 if compressed else 1, 2 if channels == 3 else 1, channels
    # Pillow adds the directory's size to these offsets.
    tags[273] = tuple(int(n) for n in np.cumsum([0, *map(len, strips[:-1])]))
    tags[278], tags[279] = rows, tuple(map(len, strips))
    tags[284], tags[339] = 1, (1 if whole else 3,) * channels
    if compressed and whole:
        tags[317] = 2
    if channels not in (1, 3):
        tags[338] = (0,) * (channels - 1)
    if dpi:
        tags[282], tags[283], tags[296] = dpi[0], dpi[1], 2
    if profile:
        tags[34675] = profile
    return b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8) + b"".join(strips)


def _strip(values: NDArray[Any], compressed: bool, whole: bool) -> bytes:
    if compressed and whole:  # TIFF's horizontal differencing predictor
        values = np.concatenate([values[:, :1], values[:, 1:] - values[:, :-1]], axis=1, dtype=values.dtype)
    return zlib.compress(values.tobytes(), 3) if compressed else values.tobytes()


def _add_exif(tags: ImageFileDirectory_v2, exif: bytes) -> None:
    read = pillow.Exif()
    read.load(exif)
    for tag in read:
        part = read.get_ifd(tag) if tag in PARTS else {}
        tags[tag] = {name: in_bytes(value) for name, value in part.items()} if tag in PARTS else in_bytes(read[tag])
