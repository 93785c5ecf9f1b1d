"""Which kinds of things are drawn, how often, and how good each is.

    reverse KL          Σ q log(q/p) of shares q of drawn examples and p of the data, in nats      0 where they agree

References: inside classes: *cGANs with Projection Discriminator (Miyato, Koyama, 2018)*; modes of a known mixture:
    *VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava, Valkov, Russell, Gutmann,
    Sutton, 2017)*; the correction of an entropy: *Note on the Bias of Information Estimates (Miller, 1955)*.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seisei.metrics.estimates import Estimate, Floats, Whole, features_of, labels_of, share_of
from seisei.metrics.precision_recall import nearest


@dataclass(frozen=True)
class Modes:
    """How drawn examples fall on the modes of the data.

    Arguments:
        shares: q, share of drawn examples on each mode, (C,); NaN where none fell on any.
        hit: modes with at least one.
        total: modes that the data have.
        divergence: KL(q ‖ p) = Σ q log(q/p) in nats, with its error; infinite where a mode is hit that the data do not
            have, NaN where none is.
        corrected: the same less (hit − 1)/(2 M), by which a sample of M is too high on average.
    """

    shares: Floats
    hit: int
    total: int
    divergence: Estimate
    corrected: float


def modes(found: ArrayLike, shares: ArrayLike) -> Modes:
    """How many modes are hit, and the reverse KL divergence of how often, Σ q log(q/p) in nats.

    ln C for one of C equal modes, 0 for the data's own shares. The correction counts the modes that were hit, as Miller
    and Madow do: one that is never drawn adds nothing. It holds where a mode that is drawn at all is drawn a few times.

    The error is √max(b, Var_q log(q/p)/M − b) with b = (hit − 1)/(2 M²), the variance that is left where q = p: the
    scatter of the sample's own shares has put 2 b into Var_q log(q/p)/M.

    Arguments:
        found: the class numbers of drawn examples, (M,), or a classifier's probabilities, (M, C), of which the largest
            decides.
        shares: p, of the data, (C,), summing to 1.

    Raises:
        ValueError: no examples, numbers that are no classes, or shares or probabilities that do not sum to 1.

    Example:
        >>> seen = modes([0, 0, 1, 1], [0.25, 0.25, 0.25, 0.25])
        >>> seen.hit, seen.total, round(seen.divergence.value, 4), round(seen.corrected, 4)  # ln 2, less 1/8
        (2, 4, 0.6931, 0.5681)
    """
    wanted = np.asarray(shares, np.float64)
    if wanted.ndim != 1 or not wanted.size or not _sums_to_one(wanted):
        raise ValueError("shares of the data are to be of shape (C,), not negative, and to sum to 1")
    labels = np.asarray(found)
    if labels.ndim == 2:
        if labels.shape[1] != wanted.size or not _sums_to_one(labels):
            raise ValueError(f"probabilities are to be of shape (M, {wanted.size}), not negative, and to sum to 1")
        labels = labels.argmax(1)
    labels = labels_of(labels, "found", wanted.size)
    if not labels.size:
        raise ValueError("found holds no examples")
    counts = np.bincount(labels, minlength=wanted.size)
    q, hit, total = counts / len(labels), int((counts > 0).sum()), int((wanted > 0).sum())
    if bool((wanted[counts > 0] == 0).any()):
        return Modes(q, hit, total, Estimate(math.inf, math.nan), math.inf)
    seen = counts > 0
    surprise = np.log(q[seen] / wanted[seen])
    divergence = float(q[seen] @ surprise)
    bias = (hit - 1) / (2 * len(labels))
    least = bias / len(labels)
    variance = max(least, float(q[seen] @ np.square(surprise - divergence)) / len(labels) - least)
    # Below 0 by rounding alone, which the corrected one may be by right.
    value = Estimate(max(0.0, divergence), math.sqrt(variance))
    return Modes(q, hit, total, value, value.value - bias)


@dataclass(frozen=True)
class OnMixture:
    """How drawn examples fall on a mixture whose centers are known.

    Arguments:
        quality: share of them near a center.
        modes: how those fall on the centers, against equal shares.
    """

    quality: Estimate
    modes: Modes


def on_mixture(drawn: Floats, centers: ArrayLike, deviation: float, *, reach: float = 3.0) -> OnMixture:
    """The share of examples within 3 σ of a center, and how these fall on the centers.

    An example belongs to its nearest center. Of the mixture itself, in two dimensions and with centers far apart, 1 −
    exp(−3²/2) = 98.89 % lie within 3 σ.

    Arguments:
        drawn: examples, (M, D), M ≥ 1.
        centers: of equally likely modes, (C, D), C ≥ 1.
        deviation: σ of a mode in every direction, in the units of the examples.
        reach: how many σ count as near.

    Raises:
        ValueError: no examples or centers, other numbers of features, a number that is not finite, or a deviation or
            reach that is not above 0.

    Example:
        >>> found = on_mixture(np.array([[0.1, 0], [0, 0.2], [5, 5]]), [[0, 0], [1, 0]], 0.1)
        >>> round(found.quality.value, 4), found.modes.hit, found.modes.total
        (0.6667, 1, 2)
    """
    if not (deviation > 0 and reach > 0 and math.isfinite(deviation * reach)):
        raise ValueError(f"a deviation of {deviation} and a reach of {reach}, wanted finite numbers above 0")
    drawn, middles = features_of(1, drawn=drawn, centers=centers)
    index, distance = nearest(drawn, middles)
    near = distance <= reach * deviation
    count = len(middles)
    if not near.any():
        nothing = Modes(np.full(count, math.nan), 0, count, Estimate(math.nan, math.nan), math.nan)
        return OnMixture(share_of(near), nothing)
    return OnMixture(share_of(near), modes(index[near], np.full(count, 1 / count)))


@dataclass(frozen=True)
class WithinClasses:
    """A number of each class.

    Arguments:
        classes: their numbers, (C,), rising.
        each: what was found in each, in the same order.
        mean: over classes, each counting the same.
    """

    classes: Whole
    each: tuple[Estimate, ...]
    mean: Estimate


def within_classes(
    metric: Callable[[Floats, Floats], Estimate],
    real: Floats,
    real_labels: ArrayLike,
    drawn: Floats,
    drawn_labels: ArrayLike,
) -> WithinClasses:
    """A metric of the real and the drawn examples of each class, and its mean; of `frechet_distance` the intra-FID.

    It sees what the metric of all examples does not: classes that are drawn in each other's place, and a class inside
    which all drawn examples are alike. The mean's error is √(Σ error²)/C: classes share no examples.

    Arguments:
        metric: of real and drawn features, such as `frechet_distance`.
        real: features, (N, D).
        real_labels: class numbers, (N,), not negative.
        drawn: features, (M, D).
        drawn_labels: the classes that were asked for, (M,).

    Raises:
        ValueError: a class has fewer than two real or two drawn examples, or what the metric itself needs; labels do
            not fit; other numbers of features, or a number that is not finite.

    Example:
        >>> from seisei.metrics.frechet import frechet_distance
        >>> x, y = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
        >>> found = within_classes(frechet_distance, x, y, x + np.array([[1.0], [1], [3], [3]]), y)
        >>> [round(e.value, 6) for e in found.each], round(found.mean.value, 6)
        ([1.0, 9.0], 5.0)
    """
    real, drawn = features_of(2, real=real, drawn=drawn)
    ours, theirs = labels_of(real_labels, "real_labels"), labels_of(drawn_labels, "drawn_labels")
    for name, x, y in (("real", real, ours), ("drawn", drawn, theirs)):
        if len(x) != len(y):
            raise ValueError(f"{name} has {len(x)} examples and {len(y)} labels")
    classes, each = np.union1d(ours, theirs), []
    for number in classes.tolist():
        parts = real[ours == number], drawn[theirs == number]
        if min(map(len, parts)) < 2:
            counts = f"{len(parts[0])} real and {len(parts[1])} drawn examples"
            raise ValueError(f"class {number} has {counts}, wanted 2 or more of each")
        try:
            each.append(metric(*parts))
        except ValueError as error:
            raise ValueError(f"class {number}: {error}") from error
    mean = sum(e.value for e in each) / len(each)
    return WithinClasses(classes, tuple(each), Estimate(mean, math.hypot(*(e.error for e in each)) / len(each)))


def _sums_to_one(given: ArrayLike) -> bool:
    p = np.asarray(given, np.float64)
    return bool((p >= 0).all() and np.allclose(p.sum(-1), 1, rtol=0, atol=1e-4))
