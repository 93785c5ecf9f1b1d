"""High-frequency energy of images, which reveals checkerboard and grid artifacts.

Upsampling by patches or strides treats pixels unequally and can leave a pattern that repeats every few pixels. Feature
spaces are hardly sensitive to it, so that Fréchet distance, precision and density stay good, but it shows in the
spectrum (*Deconvolution and Checkerboard Artifacts (Odena, Dumoulin, Olah, 2016)*; *Watch Your
Up-Convolution: CNN Based Generative Deep Neural Networks Are Failing to Reproduce Spectral Distributions (Durall,
Keuper, Keuper, 2020)*).

With F the discrete Fourier transform of an image minus its mean, times a Hann window h, the energy of one component is

    Σ |F(f)|² / ((HW)² · mean h²)    over max(|f_y|, |f_x|) ≥ ¾ · ½ cycles per pixel,

that is, above three quarters of the Nyquist frequency in at least one direction. White noise of variance σ² has σ²
times the fraction of frequencies in the band, and a checkerboard, or stripes, of ± a have a². The window suppresses the
discontinuity between opposite edges.

Color is measured in addition to brightness: real images have little high-frequency color, so that color patterns show
there first. A faint pattern on blurred images may be below the energy of sharp images: so the energy is also compared
with that of the octave below, ⅜ to ¾ of the Nyquist frequency.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seisei.metrics.estimates import Estimate, Floats
from seisei.metrics.image_similarity import LEVEL, Images

# Lower end of the band as a fraction of the Nyquist frequency.
BAND = 0.75
# Energy of an invisible pattern of ± one 8-bit level, added to all energies.
INVISIBLE = LEVEL**2
COMPONENTS, CHECKERBOARD = ("brightness", "color"), "checkerboard"
# Number of images per transform.
CHUNK = 16


def high_frequency_energy(images: Images) -> Floats:
    """The energy of each image above ¾ of the Nyquist frequency, and in the octave below.

    Arguments:
        images: (N, C, H, W), values in [0, 1]; three channels are RGB.

    Returns:
        (N, 2, 2) for RGB: brightness 0.299 R + 0.587 G + 0.114 B, then color, the sum of R − G and (R + G) / 2 − B; on
        the last axis, the highest frequencies first. Else (N, 1, 2): the mean over channels. Sides of fewer than four
        pixels have no high frequencies.

    Example:
        >>> board = 0.5 + 0.1 * (-1.0) ** np.indices((1, 1, 8, 8)).sum(0)
        >>> high_frequency_energy(board).round(4).tolist(), high_frequency_energy(np.ones((1, 1, 8, 8))).tolist()
        ([[[0.01, 0.0]]], [[[0.0, 0.0]]])
    """
    if images.ndim != 4 or not all(images.shape[1:]):
        raise ValueError(f"images have shape {tuple(images.shape)}, wanted (N, C, H, W)")
    sides = images.shape[2:]
    window = np.outer(*(_window(side) for side in sides))
    window /= math.sqrt(float(np.square(window).mean()))
    # As fractions of the Nyquist frequency; sides of fewer than four pixels have no high frequencies.
    frequencies = [2 * np.abs(np.fft.fftfreq(side)) if side >= 4 else np.zeros(side) for side in sides]
    highest = np.maximum(frequencies[0][:, None], frequencies[1][None])
    bands = [highest >= BAND, (highest >= BAND / 2) & (highest < BAND)]
    found = [np.zeros((0, 2 if images.shape[1] == 3 else 1, 2))]
    for start in range(0, len(images), CHUNK):
        x = _values(images[start : start + CHUNK])
        middle = (x * window).sum((2, 3), keepdims=True) / window.sum()
        f = np.fft.fft2((x - middle) * window) / math.prod(sides)
        if x.shape[1] == 3:
            red, green, blue = f.swapaxes(0, 1)
            parts = (0.299 * red + 0.587 * green + 0.114 * blue, red - green, (red + green) / 2 - blue)
            bright, first, second = (np.square(np.abs(part)) for part in parts)
            power = np.stack([bright, first + second], 1)
        else:
            power = np.square(np.abs(f)).mean(1, keepdims=True)
        found.append(np.stack([power[:, :, band].sum(2) for band in bands], 2))
    return np.concatenate(found)


def energy_ratios(of: Floats, to: Floats) -> dict[str, Estimate]:
    """Ratios of the energies of images to those of reference images.

    Arguments:
        of: result of `high_frequency_energy` for the images, (N, K, 2), N ≥ 1.
        to: the same for the reference images, (M, K, 2).

    Returns:
        "brightness" and, for RGB, "color": ratio of the mean energies at the highest frequencies.
        "checkerboard": ratio of the energy at the highest frequencies to that of the reference images scaled to equal
        energy in the octave below, summed over components; it is insensitive to blur. Errors include both sets of
        images, and are infinite for a single image.

    Example:
        >>> some, others = np.array([[[0.02, 0.01]], [[0.04, 0.03]]]), np.full((2, 1, 2), 0.01)
        >>> {name: (round(r.value, 2), round(r.error, 2)) for name, r in energy_ratios(some, others).items()}
        {'brightness': (3.0, 1.0), 'checkerboard': (1.5, 0.25)}
    """
    parts = {COMPONENTS[i]: (of[:, i, 0], to[:, i, 0]) for i in range(of.shape[1])}
    found = {}
    for name, pair in parts.items():
        (a, da), (b, db) = map(_mean, pair)
        found[name] = Estimate(a / b, a / b * math.hypot(da / a, db / b))
    (high, below), (other_high, other_below) = (np.moveaxis(energies.sum(1), 1, 0) for energies in (of, to))
    share = float(other_high.mean() / other_below.mean()) if other_below.any() else 0.0
    high_energy, expected = float(high.mean()) + INVISIBLE, share * float(below.mean()) + INVISIBLE
    value = high_energy / expected
    error = _mean(high - value * share * below)[1] / high_energy
    reference_error = _mean(other_high - share * other_below)[1] * float(below.mean()) / expected
    reference_error = reference_error / float(other_below.mean()) if other_below.any() else 0.0
    return {**found, CHECKERBOARD: Estimate(value, value * math.hypot(error, reference_error))}


def high_frequency_ratio(samples: Images, held_out: Images) -> dict[str, Estimate]:
    """Ratios of the high-frequency energy of samples to that of held-out images: about 1 if they are equally sharp.

    Values well above 1 indicate pixel patterns or noise, values well below 1 blur.

    Arguments:
        samples: (N, C, H, W), values in [0, 1].
        held_out: (M, C, H, W), of the same size.

    Returns:
        The ratios of `energy_ratios`.
    """
    if tuple(samples.shape[1:]) != tuple(held_out.shape[1:]):
        raise ValueError(f"samples have shape {tuple(samples.shape)}, held-out images {tuple(held_out.shape)}")
    return energy_ratios(high_frequency_energy(samples), high_frequency_energy(held_out))


def _values(images: Images) -> Floats:
    """Image values in float64, checked."""
    if isinstance(images, Tensor):
        integral, values = not images.is_floating_point(), images.detach().cpu().to(torch.float64).numpy()
    else:
        integral, values = not np.issubdtype(images.dtype, np.floating), np.asarray(images, np.float64)
    if integral:
        raise ValueError("images have an integer type, wanted floats in [0, 1]: divide by 255")
    if not np.isfinite(values).all():
        raise ValueError("images contain NaN or infinity")
    return values


def _window(side: int) -> Floats:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) if side >= 4 else np.ones(side)


def _mean(energies: Floats) -> tuple[float, float]:
    """The mean energy plus that of an invisible pattern, and its standard error."""
    if not len(energies):
        raise ValueError("no images to compare")
    error = float(energies.std(ddof=1)) / math.sqrt(len(energies)) if len(energies) > 1 else math.inf
    return float(energies.mean()) + INVISIBLE, error
