"""Fréchet distance and kernel distance between real and generated examples, from their features.

With real features x (N, D), generated features y (M, D), means μ, μ' and covariances C, C':

    Fréchet distance    ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½)                      0 if both moments agree
    kernel distance     E k(x, x') + E k(y, y') − 2 E k(x, y),  k(a, b) = (a·b/D + 1)³    0 if three moments agree

References: the Fréchet distance of features: *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)*; its bias: *Effectively Unbiased FID and
    Inception Score and where to find them (Chong, Forsyth, 2020)*; kernel distance: *Demystifying MMD GANs (Bińkowski,
    Sutherland, Arbel, Gretton, 2018)*; the bootstrap: *An Introduction to the Bootstrap (Efron, Tibshirani, 1993)*.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from seisei import seeds
from seisei.metrics.estimates import Estimate, Floats, check_features
from seisei.metrics.likelihood import mean_and_error

SUBSET = 1000  # maximum number of examples per subset of the kernel distance


def gaussian_distance(
    mean: ArrayLike, covariance: ArrayLike, other_mean: ArrayLike, other_covariance: ArrayLike
) -> float:
    """The squared Fréchet distance between two normal distributions, ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½).

    The trace of the square root equals the sum of the singular values of C'^½ C^½, which is accurate for singular and
    ill-conditioned covariances too.

    Arguments:
        mean: mean μ, (D,).
        covariance: covariance C, (D, D), symmetric and positive semidefinite.
        other_mean: mean μ' of the other distribution, (D,).
        other_covariance: its covariance C', (D, D).

    Returns:
        The squared distance, at least 0.

    Raises:
        ValueError: mismatched shapes, or NaN or infinity.

    Example:
        >>> round(gaussian_distance([0, 0], np.diag([1, 4]), [3, 0], np.diag([4, 4])), 9)  # 3² + (2 − 1)²
        10.0
    """
    means = [np.asarray(m, np.float64) for m in (mean, other_mean)]
    covariances = [np.asarray(c, np.float64) for c in (covariance, other_covariance)]
    size = means[0].size
    if any(m.shape != (size,) for m in means) or any(c.shape != (size, size) for c in covariances):
        shapes = ", ".join(str(a.shape) for a in (means[0], covariances[0], means[1], covariances[1]))
        raise ValueError(f"means and covariances have shapes {shapes}, wanted (D,), (D, D), (D,), (D, D)")
    if not all(np.isfinite(a).all() for a in means + covariances):
        raise ValueError("a mean or a covariance contains NaN or infinity")
    one, other = map(_factor, covariances)
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum() if len(one) and len(other) else 0.0
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    return max(0.0, float(np.square(means[0] - means[1]).sum() + spread))


def frechet_distance(
    real: Floats, generated: Floats, *, corrected: bool = False, resamples: int = 100, seed: int = 0
) -> Estimate:
    """The squared Fréchet distance of two sets of features, ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½).

    The estimate is biased upward: for two sets from one distribution it is above 0, by an amount that falls as 1/N +
    1/M and grows with D. So compare values of equal N and M only, or use the corrected value, which subtracts the
    bootstrap estimate of the bias (the mean over resamples less the value). About a tenth of the bias remains at N =
    M = 3 D, less for more examples, and a third or more if N or M is below D. A corrected value may be negative.

    The error is the standard deviation over resamples of both sets; it is about twice too large if the true distance
    is close to 0.

    Arguments:
        real: features, (N, D), N ≥ 2.
        generated: features, (M, D), M ≥ 2.
        corrected: whether to subtract the bootstrap estimate of the bias.
        resamples: number of bootstrap resamples, 2 or more.
        seed: seed of the bootstrap.

    Returns:
        The squared distance and its standard error.

    Raises:
        ValueError: too few examples or resamples, different numbers of features, or NaN or infinity.

    Example:
        >>> square = np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])
        >>> round(frechet_distance(square, square + [3, 4]).value, 9)
        25.0
    """
    real, generated = check_features(2, real=real, generated=generated)
    if resamples < 2:
        raise ValueError(f"resamples is {resamples}, wanted 2 or more")
    value = _between(real, generated)
    generator = np.random.default_rng(seeds.derive(seed, "fréchet"))
    values = np.empty(resamples)
    for i in range(resamples):
        values[i] = _between(_resampled(real, generator), _resampled(generated, generator))
    bias = float(values.mean()) - value if corrected else 0.0
    return Estimate(value - bias, float(values.std(ddof=1)))


def discrepancy(real: Floats, generated: Floats) -> float:
    """The unbiased MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y) with k(a, b) = (a·b/D + 1)³.

    Its expectation is 0 for two sets from one distribution, so that values may be negative. Memory grows as (N + M)²;
    for many examples use `kernel_distance`.

    Arguments:
        real: features, (N, D), N ≥ 2.
        generated: features, (M, D), M ≥ 2.

    Raises:
        ValueError: too few examples, different numbers of features, or NaN or infinity.

    Example:
        >>> discrepancy(np.zeros((3, 1)), np.ones((3, 1)))  # 1 + 8 − 2
        7.0
    """
    real, generated = check_features(2, real=real, generated=generated)
    within = 0.0
    for x in (real, generated):
        alike = _kernel(x, x)
        within += float(alike.sum() - alike.trace()) / (len(x) * (len(x) - 1))
    return within - 2 * float(_kernel(real, generated).mean())


def kernel_distance(real: Floats, generated: Floats, *, subsets: int = 10, seed: int = 0) -> Estimate:
    """The kernel distance: the mean unbiased MMD² with the kernel (a·b/D + 1)³ over random subsets.

    The subsets, of at most `SUBSET` examples of each set, are disjoint, so that the standard error is that of a mean of
    independent values. Values for different N are comparable.

    Arguments:
        real: features, (N, D), N ≥ 2 `subsets`.
        generated: features, (M, D), M ≥ 2 `subsets`.
        subsets: minimum number of subsets, 2 or more; large sets are split into enough subsets to use all examples.
        seed: seed of the split into subsets.

    Raises:
        ValueError: too few examples or subsets, different numbers of features, or NaN or infinity.

    Example:
        >>> found = kernel_distance(np.zeros((30, 1)), np.ones((20, 1)))
        >>> found.value, found.error
        (7.0, 0.0)
    """
    if subsets < 2:
        raise ValueError(f"subsets is {subsets}, wanted 2 or more")
    real, generated = check_features(2 * subsets, real=real, generated=generated)
    count = max(subsets, math.ceil(min(len(real), len(generated)) / SUBSET))
    generator = np.random.default_rng(seeds.derive(seed, "kernel"))
    real_parts, generated_parts = (np.array_split(generator.permutation(len(x)), count) for x in (real, generated))
    pairs = zip(real_parts, generated_parts, strict=True)
    return Estimate(*mean_and_error(np.array([discrepancy(real[a[:SUBSET]], generated[b[:SUBSET]]) for a, b in pairs])))


def _moments(x: Floats) -> tuple[Floats, Floats]:
    mean = x.mean(0)
    centered = x - mean
    return mean, centered.T @ centered / (len(x) - 1)


def _between(real: Floats, generated: Floats) -> float:
    """The squared Fréchet distance of both sets."""
    if max(len(real), len(generated)) > real.shape[1]:
        return gaussian_distance(*_moments(real), *_moments(generated))
    # With N ≤ D, the centered examples are factors of the covariances: no (D, D) eigendecomposition is needed.
    one, other = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (real, generated))
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    spread = np.square(one).sum() + np.square(other).sum() - 2 * shared
    return max(0.0, float(np.square(real.mean(0) - generated.mean(0)).sum() + spread))


def _resampled(x: Floats, generator: np.random.Generator) -> Floats:
    resample: Floats = x[generator.integers(len(x), size=len(x))]
    mean: Floats = resample.mean(0)
    # The covariance of a resample is (N − 1)/N of C on average: rescale, so that this does not count as bias.
    return mean + (resample - mean) * math.sqrt(len(x) / (len(x) - 1))


def _factor(covariance: Floats) -> Floats:
    """A factor A of a covariance, (rank, D), with AᵀA = C."""
    values, vectors = np.linalg.eigh(covariance)
    # Drop eigenvalues that are 0 up to rounding: their square roots would not be negligible.
    nonzero = values > max(0.0, values[-1]) * len(values) * np.finfo(np.float64).eps
    factor: Floats = (vectors[:, nonzero] * np.sqrt(values[nonzero])).T
    return factor


def _kernel(a: Floats, b: Floats) -> Floats:
    cubes: Floats = (a @ b.T / a.shape[1] + 1) ** 3
    return cubes
