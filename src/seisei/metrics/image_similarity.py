"""Per-image metrics of outputs against targets (L1, PSNR, SSIM) and of images alone (checkerboard, colorfulness).

For an output x and a target y with values in [0, 1]:

    L1            mean |x − y|                                                           0 if they are equal
    PSNR          −10 log₁₀ mean (x − y)², in decibels                                   higher is better
    SSIM          mean of (2 μμ' + C₁)(2 σ_xy + C₂) / ((μ² + μ'² + C₁)(σ² + σ'² + C₂))    1 if they are equal
    checkerboard  fraction of the energy that alternates from pixel to pixel             ½ for noise, 1 for a pattern
    colorfulness  √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²)                                0 for grayscale

L1 and PSNR favor blurred outputs, the average of all plausible ones, and should not be used alone.

References: *Image Quality Assessment: From Error Visibility to Structural Similarity (Wang, Bovik, Sheikh, Simoncelli,
    2004)*; *Measuring Colorfulness in Natural Images (Hasler, Süsstrunk, 2003)*; checkerboards: *Deconvolution and
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


def l1(outputs: Images, targets: Images) -> Floats:
    """Mean |x − y| of each example, (N,).

    Example:
        >>> l1(np.zeros((1, 1, 2, 2)), np.array([[[[0.0, 0.5], [0.5, 1.0]]]])).tolist()
        [0.5]
    """
    return np.array([np.abs(x - y).mean() for x, y in _pairs(outputs, targets)])


def psnr(outputs: Images, targets: Images) -> Floats:
    """Peak signal-to-noise ratio of each example in decibels, −10 log₁₀ mean (x − y)², for a peak of 1.

    The root mean squared error is clamped at half an 8-bit level, so that equal images have a finite value: at most
    20 log₁₀ 510 = 54.15, where differences are invisible.

    Returns:
        (N,), at least 0 for values in [0, 1].

    Example:
        >>> psnr(np.zeros((2, 1, 2, 2)), np.array([0.1, 0.0])[:, None, None, None] + np.zeros((2, 1, 2, 2))).round(2)
        array([20.  , 54.15])
    """
    errors = [max(float(np.square(x - y).mean()), (LEVEL / 2) ** 2) for x, y in _pairs(outputs, targets)]
    return np.array([-10 * math.log10(error) for error in errors])


def ssim(outputs: Images, targets: Images) -> Floats:
    """Structural similarity (SSIM) of each example: local means, variances and covariance in a sliding window.

    The window is Gaussian with σ = 1.5 and 11 pixels wide, or the largest odd width that fits; only windows inside the
    image count. C₁ = 0.01², C₂ = 0.03². The result is the mean over positions and channels.

    Returns:
        (N,), from −1 to 1; 1 for equal images.

    Example:
        >>> a, b = np.full((1, 1, 16, 16), 0.4), np.full((1, 1, 16, 16), 0.8)  # (2ab + C₁) / (a² + b² + C₁)
        >>> bool(np.isclose(ssim(a, b), (0.64 + 1e-4) / (0.8 + 1e-4))[0])
        True
    """
    return np.array([_similarity(x, y) for x, y in _pairs(outputs, targets)])


def checkerboard(images: Images) -> Floats:
    """Checkerboard artifacts of each image: the fraction of its local variation that alternates from pixel to pixel.

    Four neighbors in a row or a column decompose orthogonally into a constant, a slope, a bend (1, −1, −1, 1) / 2, and
    an alternating component (1, −3, 3, −1) / √20. The metric is the alternating fraction of the energy of the last two,
    over all such windows in both directions:

        Σ alternating² / (Σ alternating² + Σ (bend² + level²)),   level = 1/255

    The bend is the reference from natural images; it hardly responds to patterns of period 2 (checkerboards, stripes).
    The level keeps 8-bit rounding from counting as a pattern.

    Returns:
        (N,), from 0 to 1: 0 for constants and slopes, near 0 for smooth images, ⅜ for sharp edges, ½ for white noise, 1
        for a pattern of period 2. Photographs have about 0.25 to 0.35. 0 for images of fewer than four pixels.

    Example:
        >>> board = np.indices((1, 1, 8, 8)).sum(0) % 2
        >>> checkerboard(board / 1.0).round(2), checkerboard(np.linspace(0, 1, 8) + 0 * board).round(2)
        (array([1.]), array([0.]))
    """
    return np.array([_alternating(x) for x in _each(images)])


def colorfulness(images: Images) -> Floats:
    """Colorfulness of each image: with rg = R − G and yb = (R + G) / 2 − B, √(σ_rg² + σ_yb²) + 0.3 √(μ_rg² + μ_yb²).

    In the user study of Hasler and Süsstrunk, for values up to 1: 0.06 is slightly colorful, 0.13 moderately, 0.18
    averagely, 0.23 quite, 0.32 highly, 0.43 extremely.

    Arguments:
        images: sRGB, (N, 3, H, W), or gray, (N, 1, H, W).

    Returns:
        (N,), 0 for grayscale.

    Example:
        >>> colorfulness(np.array([1.0, 0, 0]).reshape(1, 3, 1, 1)).round(4), colorfulness(np.ones((1, 3, 4, 4)))
        (array([0.3354]), array([0.]))
    """
    if images.shape[1:2] not in ((1,), (3,)):
        raise ValueError(f"images have shape {tuple(images.shape)}, wanted (N, 3, H, W) or (N, 1, H, W)")
    found = []
    for image in _each(images):
        red, green, blue = np.broadcast_to(image, (3, *image.shape[1:]))
        opponents = (red - green, (red + green) / 2 - blue)
        spread, mean = (math.hypot(*map(float, map(of, opponents))) for of in (np.std, np.mean))
        found.append(spread + 0.3 * mean)
    return np.array(found)


def _each(images: Images) -> Iterator[Floats]:
    """Yield images (C, H, W) in float64, one at a time to save memory."""
    if images.ndim != 4 or not all(images.shape[1:]):
        raise ValueError(f"images have shape {tuple(images.shape)}, wanted (N, C, H, W)")
    for i, image in enumerate(images):
        if isinstance(image, Tensor):
            floating = image.is_floating_point()
            image = image.detach().cpu().to(torch.float64).numpy()
        else:
            floating = np.issubdtype(image.dtype, np.floating)
        if not floating:
            raise ValueError("images have an integer type, wanted floats in [0, 1]: divide by 255")
        values = np.asarray(image, np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"image {i} contains NaN or infinity")
        yield values


def _pairs(outputs: Images, targets: Images) -> Iterator[tuple[Floats, Floats]]:
    if tuple(outputs.shape) != tuple(targets.shape):
        raise ValueError(f"outputs have shape {tuple(outputs.shape)}, targets {tuple(targets.shape)}")
    return zip(_each(outputs), _each(targets), strict=True)


def _window(size: int) -> Floats:
    """Gaussian window weights, (size,), with a sum of 1."""
    weights: Floats = np.exp(-0.5 * np.square((np.arange(size) - size // 2) / SIGMA))
    weights /= weights.sum()
    return weights


def _similarity(x: Floats, y: Floats) -> float:
    weights = _window(min(WINDOW, (min(x.shape[1:]) - 1) // 2 * 2 + 1))

    def mean(values: Floats) -> Floats:
        """Windowed mean at every position where the window fits; separable."""
        for axis in (1, 2):
            count = values.shape[axis] - len(weights) + 1
            total = np.zeros([count if i == axis else side for i, side in enumerate(values.shape)])
            for k, weight in enumerate(weights):
                total += weight * (values[:, k : k + count] if axis == 1 else values[:, :, k : k + count])
            values = total
        return values

    x_mean, y_mean = mean(x), mean(y)
    variances = (mean(x * x) - x_mean**2) + (mean(y * y) - y_mean**2)
    covariance = mean(x * y) - x_mean * y_mean
    similarity = (2 * x_mean * y_mean + C1) / (x_mean**2 + y_mean**2 + C1) * (2 * covariance + C2) / (variances + C2)
    return float(similarity.mean())


def _alternating(image: Floats) -> float:
    alternating, other = 0.0, 0.0
    for values in (image, image.swapaxes(1, 2)):
        a, b, c, d = (values[:, :, k : max(0, values.shape[2] - 3) + k] for k in range(4))
        alternating += float(np.square((a - d) + 3 * (c - b)).sum() / 20)
        other += float(np.square((a - b) + (d - c)).sum() / 4) + a.size * LEVEL**2
    return alternating / (alternating + other) if other else 0.0
