"""How near an answer is to a true image, pixel by pixel and by what it shows; and what an image alone tells.

Of an answer x and a truth y, values in [0, 1], each number is of one example:

    absolute       mean |x − y|                                                          0 where they agree
    psnr           −10 log₁₀ mean (x − y)², in decibels                                  larger is nearer
    ssim           mean of (2 μμ' + C₁)(2 σ_xy + C₂) / ((μ² + μ'² + C₁)(σ² + σ'² + C₂))   1 where they agree
    checkerboard   energy of what alternates from pixel to pixel, as a share             ½ for noise, 1 for a pattern
    colorfulness  √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²)                               0 for grays

A regression is best by the first two and looks blurred: they ask for the mean of all that may be, and that is none of
them. So they never stand alone.

References: *Image Quality Assessment: From Error Visibility to Structural Similarity (Wang, Bovik, Sheikh, Simoncelli,
    2004)*; *Measuring Colorfulness in Natural Images (Hasler, Süsstrunk, 2003)*; on what alternates: *Deconvolution and
    Checkerboard Artifacts (Odena, Dumoulin, Olah, 2016)*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.metrics.estimates import Floats

# (N, C, H, W), floating point.
Images = NDArray[np.floating] | Tensor

LEVEL = 1 / 255
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def absolute(answers: Images, truths: Images) -> Floats:
    """Mean |x − y| of each example, (N,).

    Example:
        >>> absolute(np.zeros((1, 1, 2, 2)), np.array([[[[0.0, 0.5], [0.5, 1.0]]]])).tolist()
        [0.5]
    """
    return np.array([np.abs(x - y).mean() for x, y in _pairs(answers, truths)])


def psnr(answers: Images, truths: Images) -> Floats:
    """Peak signal to noise ratio of each example in decibels, −10 log₁₀ mean (x − y)², the peak being 1.

    Equal images have an infinite one, and a mean with one of them in it says nothing. So errors below half a level of
    8 bits, in root mean square, count as that half level: no value is above 20 log₁₀ 510 = 54.15, where nobody sees a
    difference any more.

    Returns:
        (N,), 0 at least where both are in [0, 1].

    Example:
        >>> psnr(np.zeros((2, 1, 2, 2)), np.array([0.1, 0.0])[:, None, None, None] + np.zeros((2, 1, 2, 2))).round(2)
        array([20.  , 54.15])
    """
    errors = [max(float(np.square(x - y).mean()), (LEVEL / 2) ** 2) for x, y in _pairs(answers, truths)]
    return np.array([-10 * math.log10(error) for error in errors])


def ssim(answers: Images, truths: Images) -> Floats:
    """Structural similarity of each example: means, variances and covariance in a window that goes over the image.

    The window is normal with σ = 1.5, 11 pixels wide, or as wide as the largest odd number that fits; only places are
    counted where all of it is in the image. C₁ = 0.01², C₂ = 0.03². The mean over places, and over channels.

    Returns:
        (N,), from −1 to 1, and 1 for equal images.

    Example:
        >>> a, b = np.full((1, 1, 16, 16), 0.4), np.full((1, 1, 16, 16), 0.8)  # (2ab + C₁) / (a² + b² + C₁)
        >>> bool(np.isclose(ssim(a, b), (0.64 + 1e-4) / (0.8 + 1e-4))[0])
        True
    """
    return np.array([_similarity(x, y) for x, y in _pairs(answers, truths)])


def checkerboard(images: Images) -> Floats:
    """How much of the unevenness of images alternates from pixel to pixel, as upsampling networks leave it.

    Any four neighbors in a row or a column are a constant, a slope, a bend, (1, −1, −1, 1) / 2, and what alternates,
    (1, −3, 3, −1) / √20, all at right angles. The first two are left out; what alternates has a share of the energy of
    the other two, over all fours both ways:

        Σ alternating² / (Σ alternating² + Σ (bend² + level²)),   level = 1/255

    The bend is what natural images have for neighbors of what alternates, and all but blind to a pattern of period
    2, be it a board or stripes. The level keeps the rounding of stored images from counting as a pattern.

    Returns:
        (N,), from 0 to 1: 0 for constants and slopes, near 0 for what is smooth, ⅜ for sharp edges, ½ for noise of
        each pixel by itself, 1 for a pattern of period 2. Photographs have about 0.25 to 0.35. 0 without four pixels
        in a row.

    Example:
        >>> board = np.indices((1, 1, 8, 8)).sum(0) % 2
        >>> checkerboard(board / 1.0).round(2), checkerboard(np.linspace(0, 1, 8) + 0 * board).round(2)
        (array([1.]), array([0.]))
    """
    return np.array([_alternating(x) for x in _each(images)])


def colorfulness(images: Images) -> Floats:
    """How colorful images look: with rg = R − G and yb = (R + G) / 2 − B, √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²).

    By people's words, of images with values up to 1: 0.06 is slightly colorful, 0.13 moderately, 0.18 averagely,
    0.23 quite, 0.32 highly, 0.43 extremely.

    Arguments:
        images: sRGB, (N, 3, H, W), or gray, (N, 1, H, W).

    Returns:
        (N,), 0 for gray.

    Example:
        >>> colorfulness(np.array([1.0, 0, 0]).reshape(1, 3, 1, 1)).round(4), colorfulness(np.ones((1, 3, 4, 4)))
        (array([0.3354]), array([0.]))
    """
    if images.shape[1:2] not in ((1,), (3,)):
        raise ValueError(f"images of shape {tuple(images.shape)}, wanted (N, 3, H, W) or (N, 1, H, W)")
    found = []
    for image in _each(images):
        red, green, blue = np.broadcast_to(image, (3, *image.shape[1:]))
        opponents = (red - green, (red + green) / 2 - blue)
        spread, mean = (math.hypot(*map(float, map(of, opponents))) for of in (np.std, np.mean))
        found.append(spread + 0.3 * mean)
    return np.array(found)


def _each(images: Images) -> Iterator[Floats]:
    """One (C, H, W) after the other, in float64: that of all of them together may not fit."""
    if images.ndim != 4 or not all(images.shape[1:]):
        raise ValueError(f"images of shape {tuple(images.shape)}, wanted (N, C, H, W)")
    for i, image in enumerate(images):
        if isinstance(image, Tensor):
            floating = image.is_floating_point()
            image = image.detach().cpu().to(torch.float64).numpy()
        else:
            floating = np.issubdtype(image.dtype, np.floating)
        if not floating:
            raise ValueError("images of whole numbers, wanted values in [0, 1]: divide levels by 255")
        values = np.asarray(image, np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"image {i} holds values that are not finite")
        yield values


def _pairs(answers: Images, truths: Images) -> Iterator[tuple[Floats, Floats]]:
    if tuple(answers.shape) != tuple(truths.shape):
        raise ValueError(f"answers of shape {tuple(answers.shape)} and truths of shape {tuple(truths.shape)}")
    return zip(_each(answers), _each(truths), strict=True)


def _window(size: int) -> Floats:
    """Normal weights of places, (size,), that add up to 1."""
    weights: Floats = np.exp(-0.5 * np.square((np.arange(size) - size // 2) / SIGMA))
    weights /= weights.sum()
    return weights


def _similarity(x: Floats, y: Floats) -> float:
    weights = _window(min(WINDOW, (min(x.shape[1:]) - 1) // 2 * 2 + 1))

    def mean(values: Floats) -> Floats:
        """In the window round each place that has all of it; rows first, then columns."""
        for axis in (1, 2):
            places = values.shape[axis] - len(weights) + 1
            total = np.zeros([places if i == axis else side for i, side in enumerate(values.shape)])
            for k, weight in enumerate(weights):
                total += weight * (values[:, k : k + places] if axis == 1 else values[:, :, k : k + places])
            values = total
        return values

    x_mean, y_mean = mean(x), mean(y)
    spread = (mean(x * x) - x_mean**2) + (mean(y * y) - y_mean**2)
    shared = mean(x * y) - x_mean * y_mean
    alike = (2 * x_mean * y_mean + C1) / (x_mean**2 + y_mean**2 + C1) * (2 * shared + C2) / (spread + C2)
    return float(alike.mean())


def _alternating(image: Floats) -> float:
    alternating, other = 0.0, 0.0
    for values in (image, image.swapaxes(1, 2)):
        a, b, c, d = (values[:, :, k : max(0, values.shape[2] - 3) + k] for k in range(4))
        alternating += float(np.square((a - d) + 3 * (c - b)).sum() / 20)
        other += float(np.square((a - b) + (d - c)).sum() / 4) + a.size * LEVEL**2
    return alternating / (alternating + other) if other else 0.0
