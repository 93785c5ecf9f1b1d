"""Precision, recall, density and coverage of samples, and a data-copying test, from nearest neighbors of features.

    precision       proportion of samples within the manifold of real examples              up to 1
    recall          proportion of real examples within the manifold of samples              up to 1
    density         number of real neighborhoods that contain a sample, over k              1 is ideal
    coverage        proportion of real neighborhoods that contain a sample                  up to 1
    data copying    P(d(y, training) < d(held out, training)) + ½ P(=)                      ½: no copying, 1: copies

References: precision and recall: *Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi,
    Karras, Laine, Lehtinen, Aila, 2019)*; density and coverage: *Reliable Fidelity and Diversity Metrics for Generative
    Models (Naeem, Oh, Uh, Choi, Yoo, 2020)*; data copying: *A Non-Parametric Test to Detect Data-Copying in
    Generative Models (Meehan, Chaudhuri, Dasgupta, 2020)*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seisei.metrics.estimates import Estimate, Floats, Whole, check_features, proportion
from seisei.metrics.likelihood import mean_and_error

BLOCK = 2**22  # distances in memory at a time: 32 MiB
# Upper bound on the rounding error of ‖a‖² + ‖b‖² − 2 a·b relative to ‖a‖² + ‖b‖²; smaller differences count as equal.
SLACK = 2.0**-42


@dataclass(frozen=True)
class Neighborhoods:
    """Precision, recall, density and coverage; a neighborhood is the ball up to the k-th nearest neighbor in its set.

    Arguments:
        precision: proportion of samples in the neighborhood of any real example.
        recall: proportion of real examples in the neighborhood of any sample.
        density: number of real neighborhoods that contain a sample, divided by k: 1 on average for the data
            distribution, higher if samples concentrate where the data is dense.
        coverage: proportion of real examples with a sample in their neighborhood.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighborhoods(real: Floats, generated: Floats, *, neighbors: int = 5) -> Neighborhoods:
    """Precision, recall, density and coverage from k-nearest-neighbor balls.

    With B(x) the closed ball around x up to its k-th nearest neighbor in its own set:

        precision = mean_y [y in any B(x)],        recall   = mean_x [x in any B(y)],
        density   = mean_y #{x: y in B(x)} / k,    coverage = mean_x [any y in B(x)].

    For samples of the data distribution, the expected density is 1 and the expected coverage 1 − C(N−1, k)/C(N+M−1, k),
    31/32 for large N = M and k = 5. A real outlier has a large ball, which inflates precision; density and coverage are
    more robust. Generated outliers inflate recall likewise.

    Errors are over the averaged examples, with fixed balls. Squared distances count as equal if they differ by
    less than about 10⁻¹² of the squared distance from the mean of the real examples.

    Arguments:
        real: features, (N, D), N > k.
        generated: features, (M, D), M > k.
        neighbors: number of neighbors k.

    Raises:
        ValueError: too few examples or neighbors, different numbers of features, or NaN or infinity.

    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> found = neighborhoods(line, line[:4], neighbors=1)  # the first four of eight points
        >>> found.precision.value, found.recall.value, found.density.value, found.coverage.value
        (1.0, 0.625, 2.75, 0.625)
    """
    if neighbors < 1:
        raise ValueError(f"neighbors is {neighbors}, wanted 1 or more")
    real, generated = check_features(neighbors + 1, real=real, generated=generated)
    middle = real.mean(0)
    real, generated = real - middle, generated - middle
    real_reach, drawn_reach = _reach(real, neighbors), _reach(generated, neighbors)
    holding = np.zeros(len(generated), np.int64)
    covered, recalled = np.empty((2, len(real)), bool)
    for part in _parts(len(real), len(generated)):
        squares = _squares(real[part], generated, SLACK)
        inside = squares <= real_reach[part, None]
        holding += inside.sum(0)
        covered[part] = inside.any(1)
        recalled[part] = (squares <= drawn_reach).any(1)
    return Neighborhoods(
        precision=proportion(holding > 0),
        recall=proportion(recalled),
        density=Estimate(*mean_and_error(holding / neighbors)),
        coverage=proportion(covered),
    )


def nearest(generated: Floats, training: Floats) -> tuple[Whole, Floats]:
    """The index of the nearest training example of each sample, (M,), and its distance ‖y − x‖, (M,).

    Ties go to the first training example.

    Arguments:
        generated: features, (M, D), M ≥ 1.
        training: features, (N, D), N ≥ 1.

    Raises:
        ValueError: no examples, different numbers of features, or NaN or infinity.

    Example:
        >>> index, distance = nearest(np.array([[1.0, 0], [9, 9]]), np.array([[0.0, 0], [9, 9], [2, 0]]))
        >>> index.tolist(), distance.tolist()
        ([0, 1], [1.0, 0.0])
    """
    generated, training = check_features(1, generated=generated, training=training)
    middle = training.mean(0)
    centered = training - middle
    far = np.square(centered).sum(1)
    index, distance = np.empty(len(generated), np.int64), np.empty(len(generated))
    for part in _parts(len(generated), len(training)):
        rows = generated[part] - middle
        squares = _squares(rows, centered)
        best = squares.argmin(1)
        bound = squares[np.arange(len(rows)), best] + SLACK * (np.square(rows).sum(1) + far[best])
        index[part] = (squares <= bound[:, None]).argmax(1)
        # Computed from the difference, so that the distance of an exact copy is 0.
        distance[part] = np.sqrt(np.square(generated[part] - training[index[part]]).sum(1))
    return index, distance


def data_copying(generated: Floats, training: Floats, held_out: Floats) -> Estimate:
    """Data copying: how often a sample is closer to the training data than a held-out real example is.

        P(d(y) < d(x)) + ½ P(d(y) = d(x)),    d(a) = min over training examples t of ‖a − t‖,

    over all pairs of a sample y and a held-out x (the Mann–Whitney statistic): ½ for samples of the data's own
    distribution, close to 1 for copies, below ½ for samples far from the data. Copying in one region and poor samples
    in another can cancel out; computing it within classes (`within_classes`) makes that less likely.

    The error is exact, including ties, for a model that does not copy: √((M + H + 1 − Σ (t³ − t)/((M + H)(M + H −
    1)))/(12 M H)), with t the sizes of groups of equal distances.

    Arguments:
        generated: features, (M, D).
        training: features of the training examples, (N, D).
        held_out: features of held-out real examples, (H, D).

    Raises:
        ValueError: no examples, different numbers of features, or NaN or infinity.

    Example:
        >>> training, held_out = np.arange(5.0)[:, None], np.arange(5.0)[:, None] + 0.25
        >>> data_copying(training[:3], training, held_out).value, data_copying(held_out[:3], training, held_out).value
        (1.0, 0.5)
    """
    generated, training, held_out = check_features(1, generated=generated, training=training, held_out=held_out)
    distances, reference = nearest(generated, training)[1], np.sort(nearest(held_out, training)[1])
    below, upto = np.searchsorted(reference, distances, "left"), np.searchsorted(reference, distances, "right")
    value = 1 - float((below + upto).mean()) / (2 * len(reference))
    both = len(distances) + len(reference)
    ties = np.unique(np.concatenate([distances, reference]), return_counts=True)[1].astype(np.float64)
    tied = float((ties**3 - ties).sum()) / (both * (both - 1))
    return Estimate(value, math.sqrt(max(0.0, both + 1 - tied) / (12 * len(distances) * len(reference))))


def _squares(a: Floats, b: Floats, slack: float = 0.0) -> Floats:
    """Pairwise ‖a − b‖² less `slack` (‖a‖² + ‖b‖²), up to rounding; may be negative."""
    found: Floats = a @ b.T
    found *= -2
    found += (1 - slack) * np.square(a).sum(1)[:, None]
    found += (1 - slack) * np.square(b).sum(1)
    return found


def _parts(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


def _reach(x: Floats, neighbors: int) -> Floats:
    """Squared distance to the k-th nearest neighbor in the same set, (N,), up to rounding."""
    reach = np.empty(len(x))
    for part in _parts(len(x), len(x)):
        # Index 0 is the example itself.
        reach[part] = np.partition(_squares(x[part], x), neighbors, axis=1)[:, neighbors]
    return reach
