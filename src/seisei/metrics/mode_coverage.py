"""Mode coverage: which classes or modes are generated, how often, and how well.

    reverse KL     Σ q log(q/p) for class frequencies q of samples and p of the data, in nats     0 if they agree

References: intra-FID: *cGANs with Projection Discriminator (Miyato, Koyama, 2018)*; modes of a known mixture:
    *VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava, Valkov, Russell, Gutmann,
    Sutton, 2017)*; bias correction of an entropy: *Note on the Bias of Information Estimates (Miller, 1955)*.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seisei.metrics.estimates import Estimate, Floats, Whole, check_features, check_labels, proportion
from seisei.metrics.precision_recall import nearest


@dataclass(frozen=True)
class Modes:
    """Distribution of samples over the modes of the data.

    Arguments:
        shares: frequencies q of the modes among samples, (C,); NaN without any sample on a mode.
        hit: number of modes with at least one sample.
        total: number of modes of the data.
        divergence: KL(q ‖ p) = Σ q log(q/p) in nats, with its error; infinite if a sample is on a mode with p = 0, NaN
            without any sample on a mode.
        corrected: the divergence less (hit − 1)/(2 M), its bias for M samples.
    """

    shares: Floats
    hit: int
    total: int
    divergence: Estimate
    corrected: float


def modes(found: ArrayLike, shares: ArrayLike) -> Modes:
    """The number of covered modes, and the reverse KL divergence of mode frequencies, Σ q log(q/p) in nats.

    The divergence is ln C if all samples are on one of C equal modes, and 0 for q = p. The correction is that of Miller
    and Madow, over covered modes; it is accurate if each of them has a few samples.

    The error is √max(b, Var_q log(q/p)/M − b) with b = (hit − 1)/(2 M²), the variance at q = p; sampling noise of q
    contributes 2 b to Var_q log(q/p)/M.

    Arguments:
        found: class indices of samples, (M,), or class probabilities, (M, C), of which the argmax is used.
        shares: class frequencies p of the data, (C,), with a sum of 1.

    Raises:
        ValueError: no samples, invalid class indices, or frequencies or probabilities that do not sum to 1.

    Example:
        >>> result = modes([0, 0, 1, 1], [0.25, 0.25, 0.25, 0.25])
        >>> result.hit, result.total, round(result.divergence.value, 4), round(result.corrected, 4)  # ln 2, less 1/8
        (2, 4, 0.6931, 0.5681)
    """
    p = np.asarray(shares, np.float64)
    if p.ndim != 1 or not p.size or not _sums_to_one(p):
        raise ValueError("shares must have shape (C,), be non-negative, and sum to 1")
    labels = np.asarray(found)
    if labels.ndim == 2:
        if labels.shape[1] != p.size or not _sums_to_one(labels):
            raise ValueError(f"probabilities must have shape (M, {p.size}), be non-negative, and sum to 1")
        labels = labels.argmax(1)
    labels = check_labels(labels, "found", p.size)
    if not labels.size:
        raise ValueError("found has no examples")
    counts = np.bincount(labels, minlength=p.size)
    q, hit, total = counts / len(labels), int((counts > 0).sum()), int((p > 0).sum())
    if bool((p[counts > 0] == 0).any()):
        return Modes(q, hit, total, Estimate(math.inf, math.nan), math.inf)
    covered = counts > 0
    log_ratio = np.log(q[covered] / p[covered])
    divergence = float(q[covered] @ log_ratio)
    bias = (hit - 1) / (2 * len(labels))
    floor = bias / len(labels)
    variance = max(floor, float(q[covered] @ np.square(log_ratio - divergence)) / len(labels) - floor)
    # The divergence is negative by rounding only; the corrected value may be negative.
    value = Estimate(max(0.0, divergence), math.sqrt(variance))
    return Modes(q, hit, total, value, value.value - bias)


@dataclass(frozen=True)
class OnMixture:
    """Samples on a mixture with known centers.

    Arguments:
        quality: proportion of samples near a center.
        modes: distribution of these over the centers, compared with equal frequencies.
    """

    quality: Estimate
    modes: Modes


def on_mixture(generated: Floats, centers: ArrayLike, deviation: float, *, reach: float = 3.0) -> OnMixture:
    """The proportion of samples within 3 σ of a center, and the distribution of these over the centers.

    A sample belongs to its nearest center. Of the true mixture in two dimensions with well-separated centers, 1 −
    exp(−3²/2) = 98.89 % of samples are within 3 σ.

    Arguments:
        generated: samples, (M, D), M ≥ 1.
        centers: centers of equally likely modes, (C, D), C ≥ 1.
        deviation: standard deviation σ of each mode, in every direction.
        reach: radius of a mode in units of σ.

    Raises:
        ValueError: no samples or centers, different numbers of features, NaN or infinity, or a deviation or reach
            that is not positive.

    Example:
        >>> found = on_mixture(np.array([[0.1, 0], [0, 0.2], [5, 5]]), [[0, 0], [1, 0]], 0.1)
        >>> round(found.quality.value, 4), found.modes.hit, found.modes.total
        (0.6667, 1, 2)
    """
    if not (deviation > 0 and reach > 0 and math.isfinite(deviation * reach)):
        raise ValueError(f"deviation is {deviation} and reach {reach}, wanted positive finite numbers")
    generated, middles = check_features(1, generated=generated, centers=centers)
    index, distance = nearest(generated, middles)
    near = distance <= reach * deviation
    count = len(middles)
    if not near.any():
        none = Modes(np.full(count, math.nan), 0, count, Estimate(math.nan, math.nan), math.nan)
        return OnMixture(proportion(near), none)
    return OnMixture(proportion(near), modes(index[near], np.full(count, 1 / count)))


@dataclass(frozen=True)
class WithinClasses:
    """A metric of each class.

    Arguments:
        classes: class indices, (C,), ascending.
        each: the metric of each class, in the same order.
        mean: unweighted mean over classes.
    """

    classes: Whole
    each: tuple[Estimate, ...]
    mean: Estimate


def within_classes(
    metric: Callable[[Floats, Floats], Estimate],
    real: Floats,
    real_labels: ArrayLike,
    generated: Floats,
    generated_labels: ArrayLike,
) -> WithinClasses:
    """A metric within each class, and its mean; with `frechet_distance` this is the intra-FID.

    It detects swapped classes and mode collapse within a class, which the metric of all examples can miss. The error of
    the mean is √(Σ error²)/C, as classes are disjoint.

    Arguments:
        metric: metric of real and generated features, such as `frechet_distance`.
        real: features, (N, D).
        real_labels: class indices, (N,), non-negative.
        generated: features, (M, D).
        generated_labels: classes that the samples were conditioned on, (M,).

    Raises:
        ValueError: a class has fewer than two real or two generated examples, or fewer than the metric needs; invalid
            labels; different numbers of features, or NaN or infinity.

    Example:
        >>> from seisei.metrics.frechet import frechet_distance
        >>> x, y = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
        >>> found = within_classes(frechet_distance, x, y, x + np.array([[1.0], [1], [3], [3]]), y)
        >>> [round(e.value, 6) for e in found.each], round(found.mean.value, 6)
        ([1.0, 9.0], 5.0)
    """
    real, generated = check_features(2, real=real, generated=generated)
    real_classes, generated_classes = (
        check_labels(real_labels, "real_labels"),
        check_labels(generated_labels, "generated_labels"),
    )
    for name, x, y in (("real", real, real_classes), ("generated", generated, generated_classes)):
        if len(x) != len(y):
            raise ValueError(f"{name} has {len(x)} examples and {len(y)} labels")
    classes, each = np.union1d(real_classes, generated_classes), []
    for number in classes.tolist():
        parts = real[real_classes == number], generated[generated_classes == number]
        if min(map(len, parts)) < 2:
            counts = f"{len(parts[0])} real and {len(parts[1])} generated examples"
            raise ValueError(f"class {number} has {counts}, wanted 2 or more of each")
        try:
            each.append(metric(*parts))
        except ValueError as error:
            raise ValueError(f"class {number}: {error}") from error
    mean = sum(e.value for e in each) / len(each)
    return WithinClasses(classes, tuple(each), Estimate(mean, math.hypot(*(e.error for e in each)) / len(each)))


def _sums_to_one(values: ArrayLike) -> bool:
    p = np.asarray(values, np.float64)
    return bool((p >= 0).all() and np.allclose(p.sum(-1), 1, rtol=0, atol=1e-4))
