"""Reading, resizing and writing image files. The only code that uses Pillow."""

from seisei.modalities.image_io.metadata import Original
from seisei.modalities.image_io.open import FORMATS, MAX_PIXELS
from seisei.modalities.image_io.read import DecodedImage, is_bilevel, measure, read_image
from seisei.modalities.image_io.resize import resized
from seisei.modalities.image_io.write import Encoded, encoded, png_bytes, save_png

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Encoded",
    "Original",
    "DecodedImage",
    "encoded",
    "is_bilevel",
    "measure",
    "png_bytes",
    "read_image",
    "resized",
    "save_png",
]
