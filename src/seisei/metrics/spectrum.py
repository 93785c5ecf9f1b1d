"""How much energy images have at the highest frequencies: what a checkerboard or a lattice of pixels adds.

A network that enlarges maps by patches or strides treats the pixels of an image unequally, and leaves a pattern that
repeats every few pixels. Features of networks hardly see it, so that Fréchet distance, precision and density stay good;
the spectrum shows it at once (*Deconvolution and Checkerboard Artifacts (Odena, Dumoulin, Olah, 2016)*; *Watch Your
Up-Convolution: CNN Based Generative Deep Neural Networks Are Failing to Reproduce Spectral Distributions (Durall,
Keuper, Keuper, 2020)*).

With F the discrete Fourier transform of an image that is multiplied by a Hann window h, its mean taken off first, the
energy of one component is

    Σ |F(f)|² / ((HW)² · mean h²)    over max(|f_y|, |f_x|) ≥ ¾ · ½ cycles per pixel,

that is, above three quarters of the Nyquist frequency in at least one direction. White noise of variance σ² has σ²
times the band's share of all frequencies, and a checkerboard, or stripes, of ± a have a². The window keeps the jump
from one edge of the image to the opposite one out of it.

Color is looked at beside brightness: real images have little of it that changes from pixel to pixel, and a pattern of
colors shows there first. Images that are blurred have less of everything fine, and a faint lattice on them may still be
below what sharp images have: so the energy is also measured in that of the octave below, ⅜ to ¾ of the Nyquist
frequency, whose share in images falls steeply with frequency, however blurred they are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seisei.metrics.estimates import Estimate, Floats
from seisei.metrics.image_similarity import LEVEL, Images

# The share of the Nyquist frequency at which the band begins.
BAND = 0.75
# Of what an image has in the band, that of a pattern of ± one level of 8 bits, which nobody sees, counts as nothing.
UNSEEN = LEVEL**2
COMPONENTS, CHECKERBOARD = ("brightness", "color"), "checkerboard"
# Images transformed at a time.
AT_ONCE = 16


def high_frequency_energy(images: Images) -> Floats:
    """The energy of each image above three quarters of the Nyquist frequency, and in the octave below that.

    Arguments:
        images: (N, C, H, W), values in [0, 1]; RGB where there are three channels.

    Returns:
        (N, 2, 2) of RGB: of the brightness 0.299 R + 0.587 G + 0.114 B, and of R − G and (R + G) / 2 − B, added up;
        the highest frequencies first. Else (N, 1, 2): the mean over channels. 0 in a direction of less than four
        pixels.

    Example:
        >>> board = 0.5 + 0.1 * (-1.0) ** np.indices((1, 1, 8, 8)).sum(0)
        >>> high_frequency_energy(board).round(4).tolist(), high_frequency_energy(np.ones((1, 1, 8, 8))).tolist()
        ([[[0.01, 0.0]]], [[[0.0, 0.0]]])
    """
    if images.ndim != 4 or not all(images.shape[1:]):
        raise ValueError(f"images of shape {tuple(images.shape)}, wanted (N, C, H, W)")
    sides = images.shape[2:]
    window = np.outer(*(_window(side) for side in sides))
    window /= math.sqrt(float(np.square(window).mean()))
    # In shares of the Nyquist frequency; of sides of less than four pixels nothing is high.
    frequencies = [2 * np.abs(np.fft.fftfreq(side)) if side >= 4 else np.zeros(side) for side in sides]
    highest = np.maximum(frequencies[0][:, None], frequencies[1][None])
    bands = [highest >= BAND, (highest >= BAND / 2) & (highest < BAND)]
    found = [np.zeros((0, 2 if images.shape[1] == 3 else 1, 2))]
    for start in range(0, len(images), AT_ONCE):
        x = _values(images[start : start + AT_ONCE])
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
    """How the energies of some images compare with those of others.

    Arguments:
        of: what `high_frequency_energy` gives of them, (N, K, 2), at least one.
        to: the same of what they are compared with, (M, K, 2).

    Returns:
        "brightness" and, of RGB, "color": the mean energy at the highest frequencies over that of the others.
        "checkerboard": their energy at the highest frequencies over what the others would have beside as much energy in
        the octave below, all components added up, so that it does not matter how blurred images are. Errors are of both
        choices of images, infinite of a single one.

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
    there, wanted = float(high.mean()) + UNSEEN, share * float(below.mean()) + UNSEEN
    value = there / wanted
    own = _mean(high - value * share * below)[1] / there
    theirs = _mean(other_high - share * other_below)[1] * float(below.mean()) / wanted
    theirs = theirs / float(other_below.mean()) if other_below.any() else 0.0
    return {**found, CHECKERBOARD: Estimate(value, value * math.hypot(own, theirs))}


def high_frequency_ratio(samples: Images, held_out: Images) -> dict[str, Estimate]:
    """The high-frequency energy of samples over that of held-out images: about 1 where they are as fine.

    Well above 1 is a pattern of single pixels or noise, well below 1 is blur.

    Arguments:
        samples: (N, C, H, W), values in [0, 1].
        held_out: (M, C, H, W), of the same size.

    Returns:
        See `energy_ratios`.
    """
    if tuple(samples.shape[1:]) != tuple(held_out.shape[1:]):
        raise ValueError(f"samples of shape {tuple(samples.shape)} and images of shape {tuple(held_out.shape)}")
    return energy_ratios(high_frequency_energy(samples), high_frequency_energy(held_out))


def _values(images: Images) -> Floats:
    """In float64."""
    if isinstance(images, Tensor):
        whole, values = not images.is_floating_point(), images.detach().cpu().to(torch.float64).numpy()
    else:
        whole, values = not np.issubdtype(images.dtype, np.floating), np.asarray(images, np.float64)
    if whole:
        raise ValueError("images of whole numbers, wanted values in [0, 1]: divide levels by 255")
    if not np.isfinite(values).all():
        raise ValueError("images hold values that are not finite")
    return values


def _window(side: int) -> Floats:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) if side >= 4 else np.ones(side)


def _mean(energies: Floats) -> tuple[float, float]:
    """The mean, what is not seen added, and its error."""
    if not len(energies):
        raise ValueError("no images to compare")
    error = float(energies.std(ddof=1)) / math.sqrt(len(energies)) if len(energies) > 1 else math.inf
    return float(energies.mean()) + UNSEEN, error
