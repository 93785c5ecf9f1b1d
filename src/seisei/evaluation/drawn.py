"""How good drawn examples are, from the features of real and of drawn ones: near, varied, and not copied.

With real features x (N, D), drawn ones y (M, D), their means μ, μ' and covariances C, C':

    Fréchet distance    ‖μ − μ'‖² + tr(C + C' − 2 (C C')^½)                      0 where both moments agree
    kernel distance     E k(x, x') + E k(y, y') − 2 E k(x, y),  k(a, b) = (a·b/D + 1)³    0 where three moments agree
    precision, recall   shares of drawn examples among the real, of real among the drawn      up to 1 each
    density, coverage   real balls round a drawn example, by k; share of real balls with one in      1; up to 1
    copied              P(d(y, training) < d(held out, training)) + ½ P(=)       ½: generalises, 1: copies
    reverse KL          Σ q log(q/p) of shares q of drawn examples and p of the data, in nats      0 where they agree

Every number comes with its standard error: an exact one where there is one, else that of a bootstrap over examples.
The errors are those of the examples given; how much another training run would differ, they do not say.

References: the Fréchet distance of features: *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)*; its bias: *Effectively Unbiased FID and
    Inception Score and where to find them (Chong, Forsyth, 2020)*; inside classes: *cGANs with Projection
    Discriminator (Miyato, Koyama, 2018)*; kernel distance: *Demystifying MMD GANs (Bińkowski, Sutherland, Arbel,
    Gretton, 2018)*; precision and recall: *Improved Precision and Recall Metric for Assessing Generative Models
    (Kynkäänniemi, Karras, Laine, Lehtinen, Aila, 2019)*; density and coverage: *Reliable Fidelity and Diversity
    Metrics for Generative Models (Naeem, Oh, Uh, Choi, Yoo, 2020)*; copies: *A Non-Parametric Test to Detect
    Data-Copying in Generative Models (Meehan, Chaudhuri, Dasgupta, 2020)*; modes of a known mixture: *VEEGAN: Reducing
    Mode Collapse in GANs using Implicit Variational Learning (Srivastava, Valkov, Russell, Gutmann, Sutton, 2017)*;
    the correction of an entropy: *Note on the Bias of Information Estimates (Miller, 1955)*; the bootstrap: *An
    Introduction to the Bootstrap (Efron, Tibshirani, 1993)*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisei import seeds
from seisei.evaluation.likelihood import mean_and_error

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

SUBSET = 1000  # examples that a kernel distance looks at together, at most
BLOCK = 2**22  # distances held at a time: 32 MiB
# Rounding of ‖a‖² + ‖b‖² − 2 a·b, as a share of ‖a‖² + ‖b‖², stays well below this; less apart counts as equal.
SLACK = 2.0**-42


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error, in the same units."""

    value: float
    error: float


# ---- distances between distributions


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
    real, drawn = _features(2, real=real, drawn=drawn)
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
    real, drawn = _features(2, real=real, drawn=drawn)
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
        >>> kernel_distance(np.zeros((30, 1)), np.ones((20, 1)))
        Estimate(value=7.0, error=0.0)
    """
    if subsets < 2:
        raise ValueError(f"{subsets} subsets, wanted 2 or more")
    real, drawn = _features(2 * subsets, real=real, drawn=drawn)
    count = max(subsets, math.ceil(min(len(real), len(drawn)) / SUBSET))
    generator = np.random.default_rng(seeds.derive(seed, "kernel"))
    ours, theirs = (np.array_split(generator.permutation(len(x)), count) for x in (real, drawn))
    pairs = zip(ours, theirs, strict=True)
    return Estimate(*mean_and_error(np.array([discrepancy(real[a[:SUBSET]], drawn[b[:SUBSET]]) for a, b in pairs])))


# ---- neighbours


@dataclass(frozen=True)
class Neighbourhoods:
    """Who lies among whom, where an example's ball reaches to its k-th neighbour in its own set.

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


def neighbourhoods(real: Floats, drawn: Floats, *, neighbours: int = 5) -> Neighbourhoods:
    """Precision, recall, density and coverage with balls that reach to the k-th nearest neighbour.

    With B(x) the closed ball round x up to its k-th neighbour in its own set:

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
        neighbours: k.

    Raises:
        ValueError: too few examples or neighbours, other numbers of features, or a number that is not finite.

    Example:
        >>> line = np.arange(8.0)[:, None]
        >>> found = neighbourhoods(line, line[:4], neighbours=1)  # of eight places the first four
        >>> found.precision.value, found.recall.value, found.density.value, found.coverage.value
        (1.0, 0.625, 2.75, 0.625)
    """
    if neighbours < 1:
        raise ValueError(f"{neighbours} neighbours, wanted 1 or more")
    real, drawn = _features(neighbours + 1, real=real, drawn=drawn)
    middle = real.mean(0)
    real, drawn = real - middle, drawn - middle
    real_reach, drawn_reach = _reach(real, neighbours), _reach(drawn, neighbours)
    holding = np.zeros(len(drawn), np.int64)
    covered, recalled = np.empty((2, len(real)), bool)
    for part in _parts(len(real), len(drawn)):
        squares = _squares(real[part], drawn, SLACK)
        inside = squares <= real_reach[part, None]
        holding += inside.sum(0)
        covered[part] = inside.any(1)
        recalled[part] = (squares <= drawn_reach).any(1)
    return Neighbourhoods(
        precision=_share(holding > 0),
        recall=_share(recalled),
        density=Estimate(*mean_and_error(holding / neighbours)),
        coverage=_share(covered),
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
    drawn, training = _features(1, drawn=drawn, training=training)
    middle = training.mean(0)
    centred = training - middle
    far = np.square(centred).sum(1)
    index, distance = np.empty(len(drawn), np.int64), np.empty(len(drawn))
    for part in _parts(len(drawn), len(training)):
        rows = drawn[part] - middle
        squares = _squares(rows, centred)
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

    The error is the exact one, ties and all, of a model that generalises: √((M + H + 1 − Σ (t³ − t)/((M + H)(M + H −
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
    drawn, training, held_out = _features(1, drawn=drawn, training=training, held_out=held_out)
    ours, theirs = nearest(drawn, training)[1], np.sort(nearest(held_out, training)[1])
    below, upto = np.searchsorted(theirs, ours, "left"), np.searchsorted(theirs, ours, "right")
    value = 1 - float((below + upto).mean()) / (2 * len(theirs))
    both = len(ours) + len(theirs)
    ties = np.unique(np.concatenate([ours, theirs]), return_counts=True)[1].astype(np.float64)
    tied = float((ties**3 - ties).sum()) / (both * (both - 1))
    return Estimate(value, math.sqrt(max(0.0, both + 1 - tied) / (12 * len(ours) * len(theirs))))


# ---- modes


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
    labels = _labels(labels, "found", wanted.size)
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
    """How drawn examples fall on a mixture whose centres are known.

    Arguments:
        quality: share of them near a centre.
        modes: how those fall on the centres, against equal shares.
    """

    quality: Estimate
    modes: Modes


def on_mixture(drawn: Floats, centres: ArrayLike, deviation: float, *, reach: float = 3.0) -> OnMixture:
    """The share of examples within 3 σ of a centre, and how these fall on the centres.

    An example belongs to its nearest centre. Of the mixture itself, in two dimensions and with centres far apart, 1 −
    exp(−3²/2) = 98.89 % lie within 3 σ.

    Arguments:
        drawn: examples, (M, D), M ≥ 1.
        centres: of equally likely modes, (C, D), C ≥ 1.
        deviation: σ of a mode in every direction, in the units of the examples.
        reach: how many σ count as near.

    Raises:
        ValueError: no examples or centres, other numbers of features, a number that is not finite, or a deviation or
            reach that is not above 0.

    Example:
        >>> found = on_mixture(np.array([[0.1, 0], [0, 0.2], [5, 5]]), [[0, 0], [1, 0]], 0.1)
        >>> round(found.quality.value, 4), found.modes.hit, found.modes.total
        (0.6667, 1, 2)
    """
    if not (deviation > 0 and reach > 0 and math.isfinite(deviation * reach)):
        raise ValueError(f"a deviation of {deviation} and a reach of {reach}, wanted finite numbers above 0")
    drawn, middles = _features(1, drawn=drawn, centres=centres)
    index, distance = nearest(drawn, middles)
    near = distance <= reach * deviation
    count = len(middles)
    if not near.any():
        nothing = Modes(np.full(count, math.nan), 0, count, Estimate(math.nan, math.nan), math.nan)
        return OnMixture(_share(near), nothing)
    return OnMixture(_share(near), modes(index[near], np.full(count, 1 / count)))


# ---- inside classes


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
        >>> x, y = np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1])
        >>> found = within_classes(frechet_distance, x, y, x + np.array([[1.0], [1], [3], [3]]), y)
        >>> [round(e.value, 6) for e in found.each], round(found.mean.value, 6)
        ([1.0, 9.0], 5.0)
    """
    real, drawn = _features(2, real=real, drawn=drawn)
    ours, theirs = _labels(real_labels, "real_labels"), _labels(drawn_labels, "drawn_labels")
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


# ---- what they share


def _features(least: int, **named: ArrayLike) -> list[Floats]:
    """Tables of float64, each of `least` rows or more, all finite and of one width."""
    tables = []
    for name, given in named.items():
        table = np.asarray(given, np.float64)
        if table.ndim != 2 or not table.shape[1]:
            raise ValueError(f"{name} is of shape {table.shape}, wanted (examples, features)")
        if len(table) < least:
            raise ValueError(f"{name} has too few examples: {len(table)}, wanted {least} or more")
        if not np.isfinite(table).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        tables.append(table)
    if len({table.shape[1] for table in tables}) > 1:
        widths = ", ".join(f"{table.shape[1]} of {name}" for name, table in zip(named, tables, strict=True))
        raise ValueError(f"different numbers of features: {widths}")
    return tables


def _labels(given: ArrayLike, name: str, classes: int | None = None) -> Whole:
    labels = np.asarray(given)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(f"{name} is of shape {labels.shape} and type {labels.dtype}, wanted whole numbers (examples,)")
    labels = labels.astype(np.int64)
    if labels.size and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        span = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise ValueError(f"{name} holds {labels.min()} to {labels.max()}, wanted {span}")
    return labels


def _sums_to_one(given: ArrayLike) -> bool:
    p = np.asarray(given, np.float64)
    return bool((p >= 0).all() and np.allclose(p.sum(-1), 1, rtol=0, atol=1e-4))


def _moments(x: Floats) -> tuple[Floats, Floats]:
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


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


def _reach(x: Floats, neighbours: int) -> Floats:
    """The squared distance to the k-th neighbour in the same set, (N,), up to rounding."""
    reach = np.empty(len(x))
    for part in _parts(len(x), len(x)):
        # An example itself is the nearest, at place 0.
        reach[part] = np.partition(_squares(x[part], x), neighbours, axis=1)[:, neighbours]
    return reach


def _share(flags: NDArray[np.bool_]) -> Estimate:
    p = float(flags.mean())
    return Estimate(p, math.sqrt(p * (1 - p) / len(flags)))
