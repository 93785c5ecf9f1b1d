"""EXIF orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray

ORIENTATION = 0x0112  # EXIF and TIFF tag


def orientation_of(image: pillow.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none.

    Arguments:
        image: an opened image.
        notes: receives problems.
    """
    try:
        exif = image.getexif()
        value = exif.get(ORIENTATION, 1)
        if value in range(1, 9) and (len(exif) or not image.info.get("exif")):
            return int(value)
    except Exception:  # Pillow raises many kinds of error here, and none of them makes the pixels wrong.
        pass
    notes.append("bad EXIF ignored, not turned")
    return 1


def upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width of an image after rotation."""
    return (size[1], size[0]) if orientation in range(5, 9) else size


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The image rotated upright by its EXIF orientation.

    Example:
        >>> turned(np.array([[1, 2, 3]]), 6).tolist()
        [[1], [2], [3]]
    """
    turn = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    down, across = {
        1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1),
    }[orientation]  # fmt: skip
    return np.ascontiguousarray(turn[::down, ::across])
