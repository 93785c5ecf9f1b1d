"""Resizing images."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import PIL.Image as pillow
from numpy.typing import NDArray

from seisei.modalities.pixels import WHITE, Color, Fit, Span, largest, with_channels


def resized(
    pixels: NDArray[Any],
    height: int,
    width: int,
    fit: Fit,
    *,
    background: Color = WHITE,
    filter: Literal["lanczos", "box"] = "lanczos",
    span: Span | None = None,
) -> NDArray[Any]:
    """The resized image, antialiased, with its bit depth unchanged.

    Arguments:
        pixels: (H, W) or (H, W, C), uint8, uint16 or float32.
        height: target height.
        width: target width.
        fit: ``crop`` fills the frame and crops the rest, ``pad`` shows the whole image with padding, ``stretch``
            ignores the aspect ratio.
        background: color of padding, in 0 … 255.
        filter: ``lanczos`` is sharper, ``box`` has no ringing.
        span: the background's values of black and white for floating point, (0, 1) by default.

    Example:
        >>> resized(np.array([[0, 0, 100, 100]], np.uint8), 1, 2, "stretch", filter="box").tolist()
        [[0, 100]]
    """
    old_height, old_width = pixels.shape[:2]
    if (old_height, old_width) == (height, width):
        return pixels
    if fit == "pad":
        scale = min(height / old_height, width / old_width)
        inner_height, inner_width = max(1, round(old_height * scale)), max(1, round(old_width * scale))
        inner = resized(pixels, inner_height, inner_width, "stretch", filter=filter)
        framed = np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
        framed[:] = _color(background, pixels, span)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        framed[top : top + inner_height, left : left + inner_width] = inner
        return framed
    box = (0.0, 0.0, float(old_width), float(old_height))
    if fit == "crop":
        scale = max(height / old_height, width / old_width)
        left, top = (old_width - width / scale) / 2, (old_height - height / scale) / 2
        box = (
            max(left, 0.0),
            max(top, 0.0),
            min(left + width / scale, old_width),
            min(top + height / scale, old_height),
        )
    method = pillow.Resampling.LANCZOS if filter == "lanczos" else pillow.Resampling.BOX
    if pixels.ndim == 3 and (pixels.shape[2] != 3 or pixels.dtype != np.uint8):
        return np.stack([_resampled(pixels[..., c], (width, height), method, box) for c in range(pixels.shape[2])], -1)
    return _resampled(pixels, (width, height), method, box)


def _resampled(
    pixels: NDArray[Any], size: tuple[int, int], method: pillow.Resampling, box: tuple[float, float, float, float]
) -> NDArray[Any]:
    # Pillow resamples 16-bit pixels inaccurately, floating point accurately.
    whole = pixels.dtype == np.uint16
    image = pillow.fromarray(np.ascontiguousarray(pixels, np.float32 if whole else None))
    made = np.asarray(image.resize(size, method, box=box))
    return np.rint(made).clip(0, 65535).astype(np.uint16) if whole else made


def _color(background: Color, pixels: NDArray[Any], span: Span | None) -> NDArray[Any]:
    """The background in the image's units, a color or a gray."""
    color = np.array(background, np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] != 3:
        color = with_channels(color[None, None], 1)[0, 0, 0]
    if pixels.dtype.kind == "f":
        low, high = span or (0.0, 1.0)
        return np.asarray(low + (high - low) * (color / 255), pixels.dtype)
    return np.asarray(color.astype(pixels.dtype) * (largest(pixels) // 255), pixels.dtype)
