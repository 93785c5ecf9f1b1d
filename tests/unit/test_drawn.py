"""Distances, neighbors and modes have known answers. Each main check comes with a mutant that fails it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from math import comb

import numpy as np
import pytest

from seisei.metrics import frechet as distances_module
from seisei.metrics import precision_recall as neighbors_module
from seisei.metrics.estimates import Estimate, Floats
from seisei.metrics.frechet import SUBSET, discrepancy, frechet_distance, gaussian_distance, kernel_distance
from seisei.metrics.mode_coverage import modes, on_mixture, within_classes
from seisei.metrics.precision_recall import data_copying, nearest, neighborhoods


def normal(*shape: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=shape)


def rotation(size: int, seed: int) -> Floats:
    return np.linalg.qr(normal(size, size, seed=seed))[0]


# ---- the Fréchet distance


def test_the_distance_of_normals_with_the_same_axes_is_that_of_means_and_deviations() -> None:
    a, b = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 0.1, 0.5, 4.0])
    shift = np.array([1.0, -2.0, 0.5, 0.0])
    wanted = np.square(shift).sum() + np.square(a - b).sum()
    for turn in (np.eye(4), rotation(4, 0), rotation(4, 1)):
        one, other = turn @ np.diag(a**2) @ turn.T, turn @ np.diag(b**2) @ turn.T
        assert gaussian_distance(np.zeros(4), one, turn @ shift, other) == pytest.approx(wanted, abs=1e-12)
        assert gaussian_distance(turn @ shift, other, np.zeros(4), one) == pytest.approx(wanted, abs=1e-12)
    assert np.square(a**2 - b**2).sum() + np.square(shift).sum() != pytest.approx(wanted, abs=1)  # mutant: no root


def test_the_distance_of_normals_with_different_axes() -> None:
    """In two dimensions tr A^½ = (tr A + 2 (det A)^½)^½."""
    one, turn = np.diag([4.0, 1.0]), rotation(2, 3)
    other = turn @ np.diag([9.0, 0.25]) @ turn.T
    both = one @ other
    wanted = 5 + 9.25 - 2 * math.sqrt(np.trace(both) + 2 * math.sqrt(np.linalg.det(both)))
    found = gaussian_distance(np.zeros(2), one, np.zeros(2), other)
    assert found == pytest.approx(wanted, abs=1e-12)
    assert abs((2 - 3) ** 2 + (1 - 0.5) ** 2 - found) > 0.1  # mutant: deviations along axes that are not shared


def test_singular_and_ill_conditioned_covariances() -> None:
    turn = rotation(3, 4)
    flat, line = turn @ np.diag([4.0, 1.0, 0.0]) @ turn.T, turn @ np.diag([0.0, 9.0, 0.0]) @ turn.T
    assert gaussian_distance(np.zeros(3), flat, np.zeros(3), line) == pytest.approx(4 + 4, abs=1e-12)
    point = np.zeros((3, 3))
    assert gaussian_distance(np.zeros(3), flat, np.ones(3), point) == pytest.approx(3 + 5, abs=1e-12)
    assert gaussian_distance(np.zeros(3), point, np.ones(3), point) == pytest.approx(3)
    turn = rotation(40, 5)
    decades = turn @ np.diag(np.logspace(0, -14, 40)) @ turn.T
    assert 0 <= gaussian_distance(np.zeros(40), decades, np.zeros(40), decades) < 1e-12
    for seed in range(20):
        x = normal(30, 6, seed=seed)
        assert 0 <= gaussian_distance(np.zeros(6), x.T @ x, np.zeros(6), x.T @ x) < 1e-12 * np.square(x).sum()
    values, vectors = np.linalg.eigh(decades)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    squared = np.sqrt(np.linalg.eigvalsh(root @ decades @ root).clip(0)).sum()
    assert abs(2 * np.trace(decades) - 2 * squared) > 1e-9  # mutant: eigenvalues of the square lose half the digits


def test_sets_of_features_and_their_distance() -> None:
    few = normal(5, 12, seed=6)
    assert frechet_distance(few, few, resamples=2).value < 1e-12, "fewer examples than features"
    shift = np.arange(12) / 10
    assert frechet_distance(few, few + shift, resamples=2).value == pytest.approx(np.square(shift).sum(), abs=1e-12)
    others = normal(7, 12, seed=7) * 2 + 1
    one, other = few - few.mean(0), others - others.mean(0)
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum() / math.sqrt(4 * 6)
    wanted = np.square(few.mean(0) - others.mean(0)).sum() + np.square(one).sum() / 4 + np.square(other).sum() / 6
    assert frechet_distance(few, others, resamples=2).value == pytest.approx(wanted - 2 * shared, abs=1e-10)


def test_the_correction_takes_the_bias_off() -> None:
    plain, mended = [], []
    for seed in range(40):
        a, b = normal(2, 60, 8, seed=100 + seed)
        plain.append(frechet_distance(a, b, resamples=30, seed=seed).value)
        mended.append(frechet_distance(a, b, resamples=30, seed=seed, corrected=True).value)
    assert np.mean(plain) > 10 * np.std(plain) / math.sqrt(40)
    assert abs(np.mean(mended)) < 0.15 * np.mean(plain)
    assert min(mended) < 0
    # Of a point and N numbers the distance is s² + m², and over all resamples m²'s bias s² (N − 1)/N².
    few = normal(10, 1, seed=0)
    found = frechet_distance(np.zeros((10, 1)), few, resamples=4000, corrected=True)
    wanted = few.mean() ** 2 + few.var(ddof=1) * (1 - 9 / 100)
    assert abs(found.value - wanted) < 4 * found.error / math.sqrt(4000)
    shrunk = few.var(ddof=1) / 10  # mutant: the resamples' smaller covariance taken for a bias
    assert shrunk > 8 * found.error / math.sqrt(4000)


@pytest.mark.parametrize("shift", [0.5, 0.0])
def test_the_error_of_the_bootstrap_is_the_spread_over_draws(shift: float) -> None:
    found = []
    for seed in range(60):
        a, b = normal(2, 200, 3, seed=200 + seed)
        found.append(frechet_distance(a, 1.5 * b + shift if shift else b, resamples=40, seed=seed))
    ratio = np.mean([e.error for e in found]) / np.std([e.value for e in found], ddof=1)
    assert (0.75 < ratio < 1.35) if shift else (1 < ratio < 2), "on the large side where the distance is 0"
    again = frechet_distance(a, b, resamples=40, seed=1)
    assert again == frechet_distance(a, b, resamples=40, seed=1) != frechet_distance(a, b, resamples=40, seed=2)


# ---- the kernel distance


def test_discrepancy_is_what_a_double_loop_says() -> None:
    x, y = normal(7, 3, seed=8), normal(9, 3, seed=9) * 1.5

    def k(a: Floats, b: Floats) -> float:
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    within = [np.mean([k(z[i], z[j]) for i, j in product(range(len(z)), repeat=2) if i != j]) for z in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert discrepancy(x, y) == pytest.approx(sum(within) - 2 * across, abs=1e-12)
    biased = sum(np.mean([k(a, b) for a in z for b in z]) for z in (x, y)) - 2 * across
    assert abs(discrepancy(x, y) - biased) > 0.1  # mutant: examples paired with themselves


def test_the_kernel_distance_has_no_bias_and_its_error_is_right() -> None:
    found = [kernel_distance(*normal(2, 100, 4, seed=300 + seed), seed=seed) for seed in range(200)]
    values, errors = np.array([(e.value, e.error) for e in found]).T
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(200)
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(values.std(), rel=0.15)
    one = normal(100, 4, seed=10)
    pairs = (one @ one.T / 4 + 1) ** 3
    extra = 2 * (np.diag(pairs).mean() - pairs.mean()) / 10  # mutant: the biased statistic of subsets of 10
    assert extra > 10 * values.std() / math.sqrt(200)


def test_the_kernel_distance_is_that_of_three_moments() -> None:
    """With one feature (ab + 1)³ = 1 + 3 ab + 3 a²b² + a³b³: MMD² = 3 (ΔE a)² + 3 (ΔE a²)² + (ΔE a³)²."""
    real, drawn = normal(4000, 1, seed=11), 0.5 + normal(3000, 1, seed=12)
    gaps = 0.5, 0.25, 0.5**3 + 3 * 0.5
    wanted = 3 * gaps[0] ** 2 + 3 * gaps[1] ** 2 + gaps[2] ** 2
    found = kernel_distance(real, drawn, subsets=20)
    assert abs(found.value - wanted) < 3 * found.error < 0.4 * wanted
    assert abs(found.value - gaps[0] ** 2) > 5 * found.error  # mutant: the first moment alone
    assert found == kernel_distance(real, drawn, subsets=20) != kernel_distance(real, drawn, subsets=20, seed=1)


def test_subsets_are_disjoint_and_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Floats, Floats]] = []
    monkeypatch.setattr(distances_module, "discrepancy", lambda a, b: seen.append((a, b)) or 0.0)
    kernel_distance(np.arange(30_000.0)[:, None], np.arange(12_500.0)[:, None])
    assert len(seen) == 13 and max(len(a) for pair in seen for a in pair) <= SUBSET
    real, drawn = (np.concatenate(side) for side in zip(*seen, strict=True))
    assert len(np.unique(real)) == len(real) == 13_000 and len(np.unique(drawn)) == len(drawn) == 12_500


# ---- neighbors


def by_hand(real: Floats, drawn: Floats, k: int) -> tuple[float, float, float, float]:
    def far(a: Floats, b: Floats) -> float:
        return math.dist(a, b)

    def reach(x: Floats) -> list[float]:
        return [sorted(far(a, b) for j, b in enumerate(x) if j != i)[k - 1] for i, a in enumerate(x)]

    ours, theirs = reach(real), reach(drawn)
    holding = [sum(far(x, y) <= r for x, r in zip(real, ours, strict=True)) for y in drawn]
    recalled = [any(far(x, y) <= r for y, r in zip(drawn, theirs, strict=True)) for x in real]
    covered = [any(far(x, y) <= r for y in drawn) for x, r in zip(real, ours, strict=True)]
    return (
        sum(h > 0 for h in holding) / len(drawn),
        sum(recalled) / len(real),
        sum(holding) / k / len(drawn),
        sum(covered) / len(real),
    )


def four(real: Floats, drawn: Floats, k: int = 5) -> tuple[float, ...]:
    found = neighborhoods(real, drawn, neighbors=k)
    return found.precision.value, found.recall.value, found.density.value, found.coverage.value


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighborhoods_are_what_loops_say(k: int) -> None:
    for seed in range(5):
        real, drawn = normal(40, 3, seed=400 + seed), 0.3 + 0.7 * normal(31, 3, seed=500 + seed)
        assert four(real, drawn, k) == pytest.approx(by_hand(real, drawn, k), abs=1e-12)
        assert four(drawn, real, k) == pytest.approx(by_hand(drawn, real, k), abs=1e-12)
        assert four(real, drawn, k + 1) != pytest.approx(by_hand(real, drawn, k), abs=1e-3)  # mutant: itself counted
    # On a grid, balls end where other points lie; these still count, wherever the grid stands.
    grid = np.array(list(product(range(4), repeat=2)), np.float64)
    real, drawn = grid, grid[::3] + [1, 0]
    for at, size in ((0.0, 1.0), (0.1, 0.3), (-0.7, 1 / 255), (1e7, 1.0)):
        assert four(at + size * real, at + size * drawn, k) == pytest.approx(by_hand(real, drawn, k), abs=1e-12)


def test_one_of_two_modes_none_and_all() -> None:
    left, right = normal(50, 2, seed=13), normal(50, 2, seed=14) + 100
    both = np.concatenate([left, right])
    precision, recall, density, coverage = four(both, left)
    assert (precision, recall, coverage) == (1, 0.5, 0.5) and density > 1
    assert four(left, both)[:2] == (0.5, 1), "not the other way round"
    assert four(both, both + 1e6) == (0, 0, 0, 0)
    assert four(both, both)[:2] == (1, 1) and four(both, both)[3] == 1
    same = np.full((9, 2), 0.3)
    assert four(same, same) == pytest.approx((1, 1, 9 / 5, 1)), "balls without size hold what lies on them"


def test_the_datas_own_distribution_has_known_density_and_coverage() -> None:
    """A drawn example is among the k nearest of a real one with chance k/N: density 1; coverage by counting orders."""
    n, m, k = 60, 45, 5
    found = np.array([four(normal(n, 2, seed=600 + i), normal(m, 2, seed=900 + i), k) for i in range(150)])
    error = found.std(0) / math.sqrt(len(found))
    wanted = 1 - comb(n - 1, k) / comb(n + m - 1, k)
    assert abs(found[:, 2].mean() - 1) < 3 * error[2]
    assert abs(found[:, 3].mean() - wanted) < 3 * error[3]
    assert abs(1 - comb(n - 1, k - 1) / comb(n + m - 1, k - 1) - wanted) > 5 * error[3]  # mutant: one neighbor less


def test_errors_of_shares_and_of_density() -> None:
    real, drawn = normal(60, 2, seed=15), 1 + 1.5 * normal(80, 2, seed=16)
    found = neighborhoods(real, drawn, neighbors=2)
    for share, count in ((found.precision, 80), (found.recall, 60), (found.coverage, 60)):
        assert 0 < share.value < 1
        inside = share.value * (1 - share.value) / count + 1 / (4 * count**2)
        assert share.error == pytest.approx(math.sqrt(inside) / (1 + 1 / count), abs=1e-15)
    reach = np.sort(np.linalg.norm(real[:, None] - real, axis=2), 1)[:, 2]
    holding = (np.linalg.norm(real[:, None] - drawn, axis=2) <= reach[:, None]).sum(0) / 2
    assert found.density.error == pytest.approx(holding.std(ddof=1) / math.sqrt(80), abs=1e-12)


@pytest.mark.parametrize("block", [1, 50, 333, 10_000])
def test_blocks_change_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, drawn = normal(57, 6, seed=17).round(1), normal(33, 6, seed=18).round(1)
    wanted = neighborhoods(real, drawn), nearest(drawn, real), data_copying(drawn, real, real[::2] + 0.1)
    monkeypatch.setattr(neighbors_module, "BLOCK", block)
    found = neighborhoods(real, drawn), nearest(drawn, real), data_copying(drawn, real, real[::2] + 0.1)
    assert found[0] == wanted[0] and found[2] == wanted[2]
    assert all(np.array_equal(a, b) for a, b in zip(found[1], wanted[1], strict=True))


# ---- copies


def test_the_nearest_is_what_loops_say() -> None:
    training, drawn = normal(40, 3, seed=19), normal(25, 3, seed=20) + 50
    far = [[math.dist(y, x) for x in training] for y in drawn]
    index, distance = nearest(drawn, training)
    assert index.tolist() == np.argmin(far, 1).tolist()
    assert distance == pytest.approx(np.min(far, 1), abs=1e-12)
    twice = np.concatenate([training, training])
    index, distance = nearest(twice[::-1] + 0.0, twice)
    assert index.tolist() == [*range(39, -1, -1)] * 2, "the first of equals"
    assert (distance == 0).all(), "a copy is at 0, not near it"
    grid = np.array(list(product(range(5), repeat=2)), np.float64)
    for at, size in ((0.1, 0.3), (-0.7, 1 / 255), (1e7, 2.0)):
        middles = grid[grid.max(1) < 4] + 0.5  # each as near to four points, of which rounding is not to choose
        index, distance = nearest(at + size * middles, at + size * grid)
        assert index.tolist() == np.flatnonzero(grid.max(1) < 4).tolist()
        assert distance == pytest.approx(np.full(16, size / math.sqrt(2)))


def test_copies_of_the_training_data_give_one_and_fresh_draws_a_half() -> None:
    training, held_out, fresh = normal(3, 400, 5, seed=21)
    found = data_copying(training[:300], training, held_out)
    assert found.value == pytest.approx(1, abs=1e-12) and found.value > 0.5 + 10 * found.error
    found = data_copying(fresh, training, held_out)
    assert abs(found.value - 0.5) < 3 * found.error < 0.1
    assert found.error == pytest.approx(math.sqrt(801 / (12 * 400 * 400)), abs=1e-15)
    assert data_copying(training + 0.1 * fresh, training, held_out).value > 0.5 + 10 * found.error, "not quite copies"
    assert data_copying(3 * fresh, training, held_out).value < 0.5 - 10 * found.error, "far off"


def test_copied_counts_pairs_and_halves_of_ties() -> None:
    training = np.arange(0.0, 80, 8)[:, None]
    generator = np.random.default_rng(22)
    drawn, held_out = (generator.integers(0, 75, size=(n, 1)).astype(np.float64) for n in (23, 31))
    near = [[float(np.abs(training - a).min()) for a in x] for x in (drawn, held_out)]
    pairs = [(y < x) + 0.5 * (y == x) for y in near[0] for x in near[1]]
    assert data_copying(drawn, training, held_out).value == pytest.approx(np.mean(pairs), abs=1e-12)
    strict = np.mean([y < x for y in near[0] for x in near[1]])
    assert abs(strict - np.mean(pairs)) > 0.05  # mutant: ties count nothing


@pytest.mark.parametrize("grid", [False, True])
def test_the_error_of_copied_is_its_spread_without_copying(grid: bool) -> None:
    found = []
    for seed in range(400):
        generator = np.random.default_rng([23, seed])
        training, drawn, held_out = (generator.uniform(0, 6, size=(n, 2)) for n in (30, 20, 25))
        found.append(data_copying(*(a.round() if grid else a for a in (drawn, training, held_out))))
    values, errors = np.array([(e.value, e.error) for e in found]).T
    assert abs(values.mean() - 0.5) < 3 * values.std() / math.sqrt(len(found))
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(values.std(), rel=0.12)
    untied = math.sqrt(46 / (12 * 20 * 25))
    assert (untied > 1.12 * values.std()) == grid  # mutant: as if there were no ties
    lumps = np.zeros((4, 1))
    assert data_copying(lumps, lumps, lumps) == Estimate(0.5, 0.0)


# ---- modes


def test_modes_and_their_divergence_by_hand() -> None:
    even = np.full(8, 1 / 8)
    all_of_them = modes(np.arange(80) % 8, even)
    assert (all_of_them.hit, all_of_them.total) == (8, 8)
    assert all_of_them.divergence.value == pytest.approx(0, abs=1e-12)
    assert all_of_them.corrected == pytest.approx(-7 / 160, abs=1e-12)
    one = modes(np.full(80, 3), even)
    assert one.hit == 1 and one.divergence.value == pytest.approx(math.log(8), abs=1e-12)
    assert one.corrected == one.divergence.value and one.divergence.error == 0
    uneven = modes([0, 0, 0, 1], [0.5, 0.3, 0.2])
    wanted = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.3)
    assert uneven.shares.tolist() == [0.75, 0.25, 0] and (uneven.hit, uneven.total) == (2, 3)
    assert uneven.divergence.value == pytest.approx(wanted, abs=1e-12)
    assert uneven.corrected == pytest.approx(wanted - 1 / 8, abs=1e-12)
    forward = 0.5 * math.log(0.5 / 0.75) + 0.3 * math.log(0.3 / 0.25)
    assert abs(forward - wanted) > 0.1  # mutant: the other way round, which a mode never drawn makes infinite
    assert modes([0, 2], [0.5, 0.5, 0.0]).divergence.value == math.inf
    assert modes([0, 1], [0.5, 0.5, 0.0]).total == 2
    sure = modes([[0.8, 0.1, 0.1], [0.6, 0.4, 0.0], [0.2, 0.7, 0.1], [0.9, 0.1, 0.0]], [0.5, 0.3, 0.2])
    assert sure.divergence == uneven.divergence


@pytest.mark.parametrize("q", [[0.1] * 10, [0.3, 0.2, 0.2, 0.1, 0.1, 0.1, 0, 0, 0, 0]])
def test_the_correction_of_the_divergence_and_its_error(q: list[float]) -> None:
    """Over draws from known shares: the corrected mean is the true one; the spread is the error."""
    p, generator, found = np.full(10, 0.1), np.random.default_rng(24), []
    truth = sum(a * math.log(10 * a) for a in q if a)
    for _ in range(500):
        found.append(modes(generator.choice(10, size=200, p=q), p))
    raw, mended = (np.array(v) for v in ([m.divergence.value for m in found], [m.corrected for m in found]))
    error = raw.std() / math.sqrt(len(found))
    assert abs(mended.mean() - truth) < 3 * error < abs(raw.mean() - truth)
    if 0 in q:
        assert abs(raw.mean() - 9 / 400 - truth) > 3 * error  # mutant: modes counted that are never drawn
    spread = np.sqrt(np.mean([m.divergence.error**2 for m in found]))
    assert spread == pytest.approx(raw.std(), rel=0.2)


def ring(count: int, seed: int, sigma: float = 0.02, used: int = 8) -> tuple[Floats, Floats]:
    """Samples of the first `used` of eight normals on a circle, and the centers."""
    angles = np.arange(8) * math.pi / 4
    centers = np.stack([np.cos(angles), np.sin(angles)], 1)
    generator = np.random.default_rng(seed)
    return centers[generator.integers(used, size=count)] + sigma * generator.normal(size=(count, 2)), centers


def test_an_oracle_of_a_ring_is_within_three_deviations_as_often_as_it_should() -> None:
    drawn, centers = ring(40_000, 25)
    found = on_mixture(drawn, centers, 0.02)
    assert abs(found.quality.value - (1 - math.exp(-4.5))) < 4 * found.quality.error < 0.0025
    assert abs(0.9973 - found.quality.value) > 4 * found.quality.error  # mutant: three deviations in each direction
    assert found.modes.hit == found.modes.total == 8
    assert abs(found.modes.corrected) < 4 * 7 / (2 * 40_000)
    assert on_mixture(drawn, centers, 0.02, reach=2).quality.value == pytest.approx(1 - math.exp(-2), abs=0.01)


def test_a_ring_with_modes_that_were_dropped() -> None:
    drawn, centers = ring(2000, 26, used=2)
    found = on_mixture(drawn, centers, 0.02).modes
    assert (found.hit, found.total) == (2, 8) and found.divergence.value == pytest.approx(math.log(4), abs=5e-3)
    stray = np.concatenate([drawn, 0.9 * centers])
    assert on_mixture(stray, centers, 0.02).modes.hit == 2, "a mode is hit within three deviations and not outside"
    lost = on_mixture(drawn + 10, centers, 0.02)
    assert lost.quality.value == lost.quality.low == 0 and lost.modes.hit == 0
    assert lost.quality.error > 0, "none of so many is not none at all"
    assert math.isnan(lost.modes.divergence.value) and math.isnan(lost.modes.corrected)
    assert on_mixture(np.array([[3.0, 0], [3.1, 0]]), [[0, 0]], 1).quality.value == 0.5


# ---- inside classes


def test_classes_in_each_others_place_are_seen_only_inside_classes() -> None:
    labels = np.arange(200) % 2
    real, drawn = normal(2, 200, 3, seed=27) + 10 * labels[:, None]
    right = within_classes(frechet_distance, real, labels, drawn, labels)
    swapped = within_classes(frechet_distance, real, labels, drawn, 1 - labels)
    assert right.classes.tolist() == [0, 1] and right.mean.value < 1
    assert swapped.mean.value == pytest.approx(300, rel=0.1)
    assert frechet_distance(real, drawn).value < 1  # mutant: over all examples, whatever their class
    each = [frechet_distance(real[labels == c], drawn[labels == c]) for c in (0, 1)]
    assert right.each == tuple(each)
    assert right.mean.value == pytest.approx((each[0].value + each[1].value) / 2, abs=1e-15)
    assert right.mean.error == pytest.approx(math.hypot(each[0].error, each[1].error) / 2, abs=1e-15)


def test_classes_count_the_same_however_many_examples_they_have() -> None:
    x, y = np.array([[0.0], [2], [0], [2], [10], [12]]), np.array([1, 1, 1, 1, 4, 4])
    found = within_classes(lambda a, b: Estimate(float(len(a)), 0.0), x, y, x, y)
    assert found.classes.tolist() == [1, 4] and found.mean.value == 3


# ---- what is refused

GOOD = normal(30, 2, seed=28)
BAD = np.where(np.arange(60).reshape(30, 2) == 7, np.nan, GOOD)


@pytest.mark.parametrize(
    "metric",
    [
        frechet_distance,
        discrepancy,
        kernel_distance,
        neighborhoods,
        nearest,
        lambda a, b: data_copying(a, b, b),
        lambda a, b: data_copying(b, b, a),
        lambda a, b: on_mixture(a, b, 1.0),
        lambda a, b: within_classes(frechet_distance, a, [0] * len(a), b, [0] * len(b)),
    ],
)
def test_features_that_cannot_be_compared_are_refused(metric: Callable[[Floats, Floats], object]) -> None:
    metric(GOOD, GOOD[::-1])
    for a, b, said in (
        (GOOD, BAD, "NaN or infinity"),
        (BAD, GOOD, "NaN or infinity"),
        (GOOD, np.where(np.isnan(BAD), np.inf, BAD), "NaN or infinity"),
        (GOOD, GOOD[:, :1], "different numbers of features"),
        (GOOD, GOOD[:0], "too few|class 0"),
        (GOOD[:0], GOOD, "too few|class 0"),
        (GOOD, GOOD[0], "shape"),
        (GOOD[:, :0], GOOD[:, :0], "shape"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            metric(a, b)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: frechet_distance(GOOD, GOOD[:1]),
        lambda: frechet_distance(GOOD, GOOD, resamples=1),
        lambda: gaussian_distance([0, 0], np.eye(2), [0, 0, 0], np.eye(3)),
        lambda: gaussian_distance([0, math.nan], np.eye(2), [0, 0], np.eye(2)),
        lambda: discrepancy(GOOD, GOOD[:1]),
        lambda: kernel_distance(GOOD, GOOD[:19]),
        lambda: kernel_distance(GOOD, GOOD, subsets=1),
        lambda: neighborhoods(GOOD, GOOD[:5]),
        lambda: neighborhoods(GOOD, GOOD, neighbors=0),
        lambda: neighborhoods(GOOD, GOOD, neighbors=30),
        lambda: modes([], [0.5, 0.5]),
        lambda: modes([0, 2], [0.5, 0.5]),
        lambda: modes([0, -1], [0.5, 0.5]),
        lambda: modes([0.0, 1.0], [0.5, 0.5]),
        lambda: modes([0, 1], [1.0, 1.0]),
        lambda: modes([0, 1], [1.5, -0.5]),
        lambda: modes([0, 1], [math.nan, 1.0]),
        lambda: modes([0, 1], []),
        lambda: modes([[0.5, 0.4]], [0.5, 0.5]),
        lambda: modes([[0.2, 0.3, 0.5]], [0.5, 0.5]),
        lambda: modes(np.zeros((0, 2)), [0.5, 0.5]),
        lambda: on_mixture(GOOD, [[0, 0]], 0.0),
        lambda: on_mixture(GOOD, [[0, 0]], math.nan),
        lambda: on_mixture(GOOD, [[0, 0]], 1.0, reach=-1),
        lambda: within_classes(frechet_distance, GOOD, [0] * 29, GOOD, [0] * 30),
        lambda: within_classes(frechet_distance, GOOD, [0] * 30, GOOD, [-1] * 30),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) and "\n" not in str(caught.value)


def test_no_class_is_left_out_in_silence() -> None:
    labels = np.arange(30) % 2
    for ours, theirs in ((labels, labels * 0), (labels * 0, labels), (labels, np.where(np.arange(30) > 0, 1, 0))):
        with pytest.raises(ValueError, match=r"class [01] has \d+ real and \d+ generated examples, wanted 2"):
            within_classes(frechet_distance, GOOD, ours, GOOD, theirs)
    with pytest.raises(ValueError, match="class 0: .*too few"):
        within_classes(kernel_distance, GOOD, labels, GOOD, labels)
