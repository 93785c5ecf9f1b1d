"""How drawn examples lie among real ones: near, everywhere, and not on top of those of training.

    precision, recall   shares of drawn examples among the real, of real among the drawn      up to 1 each
    density, coverage   real balls round a drawn example, by k; share of real balls with one in      1; up to 1
    copied              P(d(y, training) < d(held out, training)) + ½ P(=)       ½: generalizes, 1: copies

References: precision and recall: *Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi,
    Karras, Laine, Lehtinen, Aila, 2019)*; density and coverage: *Reliable Fidelity and Diversity Metrics for Generative
    Models (Naeem, Oh, Uh, Choi, Yoo, 2020)*; copies: *A Non-Parametric Test to Detect Data-Copying in Generative Models
    (Meehan, Chaudhuri, Dasgupta, 2020)*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seisei.metrics.estimates import Estimate, Floats, Whole, features_of, share_of
from seisei.metrics.likelihood import mean_and_error

BLOCK = 2**22  # distances held at a time: 32 MiB
# Rounding of ‖a‖² + ‖b‖² − 2 a·b, as a share of ‖a‖² + ‖b‖², stays well below this; less apart counts as equal.
SLACK = 2.0**-42


@dataclass(frozen=True)
class Neighborhoods:
    """Who lies among whom, where an example's ball reaches to its k-th neighbor in its own set.

    Arguments:
        precision: share of drawn examples in the ball of any real one.
        recall: share of real examples in the ball of any drawn one.
        density: real balls that a drawn example lies in, divided by k: 1 on average for the data's own distribution,
            and more where drawn examples keep to where the data are dense.
        coverage: share of real examples with a drawn one in their ball.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighborhoods(real: Floats, drawn: Floats, *, neighbors: int = 5) -> Neighborhoods:
    """Precision, recall, density and coverage with balls that reach to the k-th nearest neighbor.

    With B(x) the closed ball round x up to its k-th neighbor in its own set:

        precision = mean_y [y in any B(x)],        recall   = mean_x [x in any B(y)],
        density   = mean_y #{x: y in B(x)} / k,    coverage = mean_x [any y in B(x)].

    Examples of the data's own distribution have a density of 1 and a coverage of 1 − C(N−1, k)/C(N+M−1, k) on average,
    31/32 for many examples, N = M and k = 5. One stray real example makes a large ball that raises precision; density
    and coverage mind it less. Recall rises in the same way with stray drawn examples.

    Errors are of the examples that are averaged over, √(p(1−p)/n) for a share, with the balls as they are; a share of
    exactly 0 or 1 has none. Distances are told apart where their squares differ by more than about 10⁻¹² of the squared
    distance from the middle of the real examples.

    Arguments:
        real: features, (N, D), N > k.
        drawn: features, (M, D), M > k.
        neighbors: k.

    Raises:
        ValueError: too few examples or neighbors, other numbers of features, or a number that is not finite.

    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> found = neighborhoods(line, line[:4], neighbors=1)  # of eight places the first four
        >>> found.precision.value, found.recall.value, found.density.value, found.coverage.value
        (1.0, 0.625, 2.75, 0.625)
    """
    if neighbors < 1:
        raise ValueError(f"{neighbors} neighbors, wanted 1 or more")
    real, drawn = features_of(neighbors + 1, real=real, drawn=drawn)
    middle = real.mean(0)
    real, drawn = real - middle, drawn - middle
    real_reach, drawn_reach = _reach(real, neighbors), _reach(drawn, neighbors)
    holding = np.zeros(len(drawn), np.int64)
    covered, recalled = np.empty((2, len(real)), bool)
    for part in _parts(len(real), len(drawn)):
        squares = _squares(real[part], drawn, SLACK)
        inside = squares <= real_reach[part, None]
        holding += inside.sum(0)
        covered[part] = inside.any(1)
        recalled[part] = (squares <= drawn_reach).any(1)
    return Neighborhoods(
        precision=share_of(holding > 0),
        recall=share_of(recalled),
        density=Estimate(*mean_and_error(holding / neighbors)),
        coverage=share_of(covered),
    )


def nearest(drawn: Floats, training: Floats) -> tuple[Whole, Floats]:
    """The nearest training example of each drawn one: its number, (M,), and its distance ‖y − x‖, (M,).

    Of training examples that are equally near it is the first.

    Arguments:
        drawn: features, (M, D), M ≥ 1.
        training: features, (N, D), N ≥ 1.

    Raises:
        ValueError: no examples, other numbers of features, or a number that is not finite.

    Example:
        >>> index, distance = nearest(np.array([[1.0, 0], [9, 9]]), np.array([[0.0, 0], [9, 9], [2, 0]]))
        >>> index.tolist(), distance.tolist()
        ([0, 1], [1.0, 0.0])
    """
    drawn, training = features_of(1, drawn=drawn, training=training)
    middle = training.mean(0)
    centerd = training - middle
    far = np.square(centerd).sum(1)
    index, distance = np.empty(len(drawn), np.int64), np.empty(len(drawn))
    for part in _parts(len(drawn), len(training)):
        rows = drawn[part] - middle
        squares = _squares(rows, centerd)
        best = squares.argmin(1)
        bound = squares[np.arange(len(rows)), best] + SLACK * (np.square(rows).sum(1) + far[best])
        index[part] = (squares <= bound[:, None]).argmax(1)
        # From the difference itself: a copy is at 0, which rounding in a·b would hide.
        distance[part] = np.sqrt(np.square(drawn[part] - training[index[part]]).sum(1))
    return index, distance


def copied(drawn: Floats, training: Floats, held_out: Floats) -> Estimate:
    """How often a drawn example lies nearer to the training data than a held-out real one does.

        P(d(y) < d(x)) + ½ P(d(y) = d(x)),    d(a) = min over training examples t of ‖a − t‖,

    over all pairs of a drawn y and a held-out x (Mann and Whitney's statistic): ½ for drawn examples of the data's own
    distribution, towards 1 for copies, below ½ for ones that lie further off than real ones do. A model that copies in
    one place and is far off in another can come out at ½; inside classes (`within_classes`) it has less room to.

    The error is the exact one, ties and all, of a model that generalizes: √((M + H + 1 − Σ (t³ − t)/((M + H)(M + H −
    1)))/(12 M H)), with t the sizes of groups of equal distances.

    Arguments:
        drawn: features, (M, D).
        training: features of what the model was trained on, (N, D).
        held_out: features of real examples that the model has not seen, (H, D).

    Raises:
        ValueError: no examples, other numbers of features, or a number that is not finite.

    Example:
        >>> training, held_out = np.arange(5.0)[:, None], np.arange(5.0)[:, None] + 0.25
        >>> copied(training[:3], training, held_out).value, copied(held_out[:3], training, held_out).value
        (1.0, 0.5)
    """
    drawn, training, held_out = features_of(1, drawn=drawn, training=training, held_out=held_out)
    ours, theirs = nearest(drawn, training)[1], np.sort(nearest(held_out, training)[1])
    below, upto = np.searchsorted(theirs, ours, "left"), np.searchsorted(theirs, ours, "right")
    value = 1 - float((below + upto).mean()) / (2 * len(theirs))
    both = len(ours) + len(theirs)
    ties = np.unique(np.concatenate([ours, theirs]), return_counts=True)[1].astype(np.float64)
    tied = float((ties**3 - ties).sum()) / (both * (both - 1))
    return Estimate(value, math.sqrt(max(0.0, both + 1 - tied) / (12 * len(ours) * len(theirs))))


def _squares(a: Floats, b: Floats, slack: float = 0.0) -> Floats:
    """‖a − b‖² of every pair, less `slack` of ‖a‖² + ‖b‖², up to rounding; it may fall below 0."""
    found: Floats = a @ b.T
    found *= -2
    found += (1 - slack) * np.square(a).sum(1)[:, None]
    found += (1 - slack) * np.square(b).sum(1)
    return found


def _parts(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK // columns)
    return (slice(start, start + step) for start in range(0, rows, step))


def _reach(x: Floats, neighbors: int) -> Floats:
    """The squared distance to the k-th neighbor in the same set, (N,), up to rounding."""
    reach = np.empty(len(x))
    for part in _parts(len(x), len(x)):
        # An example itself is the nearest, at place 0.
        reach[part] = np.partition(_squares(x[part], x), neighbors, axis=1)[:, neighbors]
    return reach
