"""How far drawn examples are from real ones as two distributions, from the features of both.

With real features x (N, D), drawn ones y (M, D), their means μ, μ' and covariances C, C':

    Fréchet distance    ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½)                      0 where both moments agree
    kernel distance     E k(x, x') + E k(y, y') − 2 E k(x, y),  k(a, b) = (a·b/D + 1)³    0 where three moments agree

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
from seisei.metrics.estimates import Estimate, Floats, features_of
from seisei.metrics.likelihood import mean_and_error

SUBSET = 1000  # examples that a kernel distance looks at together, at most


def gaussian_distance(
    mean: ArrayLike, covariance: ArrayLike, other_mean: ArrayLike, other_covariance: ArrayLike
) -> float:
    """The squared Fréchet distance of two normal distributions, ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½).

    The trace of the root is that of (C^½ C' C^½)^½, which is symmetric, and so the sum of the singular values of
    C'^½ C^½: exact for singular covariances too, and for equal ones with a spectrum of many decades.

    Arguments:
        mean: μ, (D,).
        covariance: C, (D, D), symmetric and without negative eigenvalues.
        other_mean: μ', (D,).
        other_covariance: C', (D, D).

    Returns:
        The distance in squared units of the features, 0 or more.

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.

    Example:
        >>> round(gaussian_distance([0, 0], np.diag([1, 4]), [3, 0], np.diag([4, 4])), 9)  # 3² + (2 − 1)²
        10.0
    """
    means = [np.asarray(m, np.float64) for m in (mean, other_mean)]
    covariances = [np.asarray(c, np.float64) for c in (covariance, other_covariance)]
    size = means[0].size
    if any(m.shape != (size,) for m in means) or any(c.shape != (size, size) for c in covariances):
        shapes = ", ".join(str(a.shape) for a in (means[0], covariances[0], means[1], covariances[1]))
        raise ValueError(f"means and covariances of shapes {shapes}, wanted (D,), (D, D), (D,), (D, D)")
    if not all(np.isfinite(a).all() for a in means + covariances):
        raise ValueError("a mean or a covariance holds numbers that are not finite")
    one, other = map(_factor, covariances)
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum() if len(one) and len(other) else 0.0
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    return max(0.0, float(np.square(means[0] - means[1]).sum() + spread))


def frechet_distance(
    real: Floats, drawn: Floats, *, corrected: bool = False, resamples: int = 100, seed: int = 0
) -> Estimate:
    """The squared Fréchet distance of normal distributions fitted to both sets, ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½).

    Few examples make it too large: of two sets from one distribution it is not 0 but some way above, falling as 1/N +
    1/M and growing with D. So compare only values from as many examples; or take the corrected one, less the bias that
    the bootstrap sees (the mean of its resamples, less the value). Of the bias that leaves about a tenth where N and M
    are 3 D, and less where they are more, but a third or more where they are fewer than D. The result may lie below 0.

    The error is the standard deviation over resamples of both sets. Where the true distance is all but 0 it is too
    large, about twice.

    Arguments:
        real: features, (N, D), N ≥ 2.
        drawn: features, (M, D), M ≥ 2.
        corrected: whether to take off the bias.
        resamples: of the bootstrap, 2 or more.
        seed: of the bootstrap.

    Returns:
        The distance and its error in squared units of the features.

    Raises:
        ValueError: too few examples or resamples, other numbers of features, or a number that is not finite.

    Example:
        >>> square = np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])
        >>> round(frechet_distance(square, square + [3, 4]).value, 9)
        25.0
    """
    real, drawn = features_of(2, real=real, drawn=drawn)
    if resamples < 2:
        raise ValueError(f"{resamples} resamples, wanted 2 or more")
    value = _between(real, drawn)
    generator = np.random.default_rng(seeds.derive(seed, "fréchet"))
    again = np.empty(resamples)
    for i in range(resamples):
        again[i] = _between(_resampled(real, generator), _resampled(drawn, generator))
    bias = float(again.mean()) - value if corrected else 0.0
    return Estimate(value - bias, float(again.std(ddof=1)))


def discrepancy(real: Floats, drawn: Floats) -> float:
    """MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y) with k(a, b) = (a·b/D + 1)³, without bias.

    No example is paired with itself, so that the mean over draws from one distribution is 0, and a value may lie below.
    Memory grows as (N + M)²; for many examples see `kernel_distance`.

    Arguments:
        real: features, (N, D), N ≥ 2.
        drawn: features, (M, D), M ≥ 2.

    Raises:
        ValueError: too few examples, other numbers of features, or a number that is not finite.

    Example:
        >>> discrepancy(np.zeros((3, 1)), np.ones((3, 1)))  # 1 + 8 − 2
        7.0
    """
    real, drawn = features_of(2, real=real, drawn=drawn)
    within = 0.0
    for x in (real, drawn):
        alike = _kernel(x, x)
        within += float(alike.sum() - alike.trace()) / (len(x) * (len(x) - 1))
    return within - 2 * float(_kernel(real, drawn).mean())


def kernel_distance(real: Floats, drawn: Floats, *, subsets: int = 10, seed: int = 0) -> Estimate:
    """The mean of the unbiased MMD² with the kernel (a·b/D + 1)³ over random subsets, with its standard error.

    The subsets, of at most `SUBSET` examples of each set, have no example in common, so that their values are
    independent and the error that of a mean. Values of different N may be compared.

    Arguments:
        real: features, (N, D), N ≥ 2 `subsets`.
        drawn: features, (M, D), M ≥ 2 `subsets`.
        subsets: how many, 2 or more; of large sets as many as it takes to use all of the smaller one.
        seed: of the division into subsets.

    Raises:
        ValueError: too few examples or subsets, other numbers of features, or a number that is not finite.

    Example:
        >>> found = kernel_distance(np.zeros((30, 1)), np.ones((20, 1)))
        >>> found.value, found.error
        (7.0, 0.0)
    """
    if subsets < 2:
        raise ValueError(f"{subsets} subsets, wanted 2 or more")
    real, drawn = features_of(2 * subsets, real=real, drawn=drawn)
    count = max(subsets, math.ceil(min(len(real), len(drawn)) / SUBSET))
    generator = np.random.default_rng(seeds.derive(seed, "kernel"))
    ours, theirs = (np.array_split(generator.permutation(len(x)), count) for x in (real, drawn))
    pairs = zip(ours, theirs, strict=True)
    return Estimate(*mean_and_error(np.array([discrepancy(real[a[:SUBSET]], drawn[b[:SUBSET]]) for a, b in pairs])))


def _moments(x: Floats) -> tuple[Floats, Floats]:
    mean = x.mean(0)
    centerd = x - mean
    return mean, centerd.T @ centerd / (len(x) - 1)


def _between(real: Floats, drawn: Floats) -> float:
    """The distance of the normal distributions fitted to both."""
    if max(len(real), len(drawn)) > real.shape[1]:
        return gaussian_distance(*_moments(real), *_moments(drawn))
    # So few examples are factors of their covariances themselves: no eigenvalues of D × D.
    one, other = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (real, drawn))
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    spread = np.square(one).sum() + np.square(other).sum() - 2 * shared
    return max(0.0, float(np.square(real.mean(0) - drawn.mean(0)).sum() + spread))


def _resampled(x: Floats, generator: np.random.Generator) -> Floats:
    again: Floats = x[generator.integers(len(x), size=len(x))]
    mean: Floats = again.mean(0)
    # The examples as a population have (N − 1)/N of C: without this, that shrinking would be taken for a bias.
    return mean + (again - mean) * math.sqrt(len(x) / (len(x) - 1))


def _factor(covariance: Floats) -> Floats:
    """A of shape (rank, D) with AᵀA = C."""
    values, vectors = np.linalg.eigh(covariance)
    # The root of what is 0 but for rounding would be no longer small: 10⁻⁸ of the largest.
    kept = values > max(0.0, values[-1]) * len(values) * np.finfo(np.float64).eps
    factor: Floats = (vectors[:, kept] * np.sqrt(values[kept])).T
    return factor


def _kernel(a: Floats, b: Floats) -> Floats:
    cubes: Floats = (a @ b.T / a.shape[1] + 1) ** 3
    return cubes
