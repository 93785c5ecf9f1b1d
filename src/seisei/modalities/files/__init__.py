"""Picture files: reading, fitting and writing them. The only place that knows Pillow."""

from seisei.modalities.files.opening import FORMATS, MAX_PIXELS
from seisei.modalities.files.originals import Original
from seisei.modalities.files.reading import Picture, is_bilevel, measure, read_picture
from seisei.modalities.files.resizing import resized
from seisei.modalities.files.writing import Encoded, encoded, png_bytes, save_png

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Encoded",
    "Original",
    "Picture",
    "encoded",
    "is_bilevel",
    "measure",
    "png_bytes",
    "read_picture",
    "resized",
    "save_png",
]
