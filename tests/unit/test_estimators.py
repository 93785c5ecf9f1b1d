"""The three classifiers as scikit-learn estimators: its contract, its own answers, and what it has no word for."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from seisei.estimators import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier, _batch
from seisei.models.linear import Planes
from seisei.objectives import base

# Few rounds keep tests quick, and three clusters of 50 rows go on for long; one test looks at convergence itself.
# Many of these give all densities the same parameters, of which each reads its own.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the fit did not converge"),
    pytest.mark.filterwarnings("ignore:.* has no effect with "),
]
IRIS, KIND = load_iris(return_X_y=True)
DENSITIES = ["gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"]
EVERY = [
    *(DiscriminantClassifier(method, random_state=0) for method in ("perceptron", "linear")),  # type: ignore[arg-type]
    DiscriminantClassifier("kernel", landmarks=100, random_state=0),
    DiscriminativeClassifier(),
    DiscriminativeClassifier("mlp", steps=100, width=32, learning_rate=1e-2),
    *(GenerativeClassifier(density) for density in ("gaussian", "linear", "naive", "kde")),  # type: ignore[arg-type]
    GenerativeClassifier("mixture", iterations=5, components=2),
    GenerativeClassifier("ppca-mixture", iterations=5, components=2, rank=2),
]


def ranked(density: str, rank: int, **others: float) -> dict[str, Any]:
    """What a density reads of these."""
    return {"rank": rank} | others if density == "ppca-mixture" else {} if density == "kde" else dict(others)


@parametrize_with_checks(EVERY)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("model", EVERY, ids=repr)
def test_it_learns(model: Any) -> None:
    least = 0.7 if "perceptron" in repr(model) else 0.88
    assert cross_val_score(make_pipeline(StandardScaler(), model), IRIS, KIND, cv=5).mean() > least


# ---- the answers of others ----


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_quadratic_and_linear_discriminant_analysis_are_scikit_learns(shrinkage: float) -> None:
    theirs: Any
    for density, theirs in (
        ("gaussian", QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)),
        ("linear", LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)),
    ):
        ours = GenerativeClassifier(density, shrinkage=shrinkage).fit(IRIS, KIND)  # type: ignore[arg-type]
        theirs.fit(IRIS, KIND)
        assert np.abs(ours.predict_log_proba(IRIS) - theirs.predict_log_proba(IRIS)).max() < 1e-6
        assert np.array_equal(ours.predict(IRIS), theirs.predict(IRIS))
        # Mutant: another shrinkage is told apart.
        other = GenerativeClassifier(density, shrinkage=shrinkage + 0.01).fit(IRIS, KIND)  # type: ignore[arg-type]
        assert np.abs(other.predict_log_proba(IRIS) - theirs.predict_log_proba(IRIS)).max() > 1e-3


def test_naive_bayes_and_logistic_regression_are_scikit_learns() -> None:
    naive = GenerativeClassifier("naive", shrinkage=0.0).fit(IRIS, KIND)
    theirs = GaussianNB(var_smoothing=0.0).fit(IRIS, KIND)
    assert np.abs(naive.predict_log_proba(IRIS) - theirs.predict_log_proba(IRIS)).max() < 1e-6
    ours = DiscriminativeClassifier(l2=2.0).fit(IRIS, KIND)
    # Theirs about the same point: the maximum is the same from everywhere, the steps to it are not.
    middle = IRIS.mean(0)
    their = LogisticRegression(C=0.5, max_iter=1000).fit(IRIS - middle, KIND)
    assert np.abs(ours.predict_proba(IRIS) - their.predict_proba(IRIS - middle)).max() < 1e-6
    exact = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8).fit(IRIS, KIND)
    assert np.abs(ours.predict_proba(IRIS) - exact.predict_proba(IRIS)).max() < 1e-3
    two = KIND < 2
    middle = IRIS[two].mean(0)
    ours, their = ours.fit(IRIS[two], KIND[two]), their.fit(IRIS[two] - middle, KIND[two])
    assert np.abs(ours.predict_proba(IRIS) - their.predict_proba(IRIS - middle)).max() < 1e-6


# ---- what a generative model can do beside ----


@pytest.mark.parametrize("density", DENSITIES)
def test_the_joint_sums_to_the_density_and_divides_into_the_posterior(density: Any) -> None:
    model = GenerativeClassifier(density, random_state=0).fit(IRIS, KIND)
    joint = model.predict_joint_log_proba(IRIS)
    assert np.allclose(np.logaddexp.reduce(joint, axis=1), model.score_samples(IRIS))
    assert np.allclose(joint - model.score_samples(IRIS)[:, None], model.predict_log_proba(IRIS))
    assert np.array_equal(joint.argmax(1), model.predict(IRIS))
    outlier = np.array([[50.0, 50.0, 50.0, 50.0]])
    assert model.score_samples(outlier)[0] < model.score_samples(IRIS).min()


@pytest.mark.parametrize("density", DENSITIES)
def test_a_density_over_a_line_integrates_to_one(density: Any) -> None:
    model = GenerativeClassifier(density, **ranked(density, 1), random_state=0).fit(IRIS[:, 2:3], KIND)
    line = np.linspace(-30, 40, 200_001)[:, None]
    assert abs(np.exp(model.score_samples(line)).sum() * (line[1, 0] - line[0, 0]) - 1) < 1e-3


@pytest.mark.parametrize("density", DENSITIES)
def test_missing_values_are_integrated_out(density: Any) -> None:
    """p(x_1) of the model equals ∫ p(x_1, x_2) dx_2 by quadrature, in fitting nothing breaks, and labels still come."""
    model = GenerativeClassifier(density, **ranked(density, 1, pseudo_count=1.0), random_state=0).fit(
        IRIS[:, 2:4], KIND
    )
    other = np.linspace(-6, 10, 4001)
    for x in (1.5, 4.2, 5.9):
        whole = np.stack([np.full_like(other, x), other], 1)
        integral = np.exp(model.predict_joint_log_proba(whole)).sum(0) * (other[1] - other[0])
        assert np.allclose(np.exp(model.predict_joint_log_proba([[x, np.nan]])[0]), integral, rtol=1e-3, atol=1e-12)
    assert np.allclose(model.predict_proba([[np.nan, np.nan]]), 1 / 3)
    holes = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.3, np.nan, IRIS)
    kept = GenerativeClassifier(density, **ranked(density, 2), random_state=0).fit(holes, KIND)
    assert kept.score(holes, KIND) > 0.85 and np.isfinite(kept.score_samples(holes)).all()


@pytest.mark.parametrize("density", DENSITIES)
def test_samples_of_a_class_are_of_that_class(density: Any) -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[KIND]
    model = GenerativeClassifier(density, random_state=0).fit(IRIS, names)
    x, y = model.sample(300, label="virginica", random_state=1)
    assert x.shape == (300, 4) and set(y) == {"virginica"} and (model.predict(x) == y).mean() > 0.85
    again, _ = model.sample(300, label="virginica", random_state=1)
    assert np.array_equal(x, again) and not np.array_equal(x, model.sample(300, label="virginica", random_state=2)[0])
    _, drawn = model.sample(900, random_state=0)
    assert all(abs((drawn == name).mean() - 1 / 3) < 0.06 for name in set(names))
    with pytest.raises(ValueError, match="rose"):
        model.sample(1, label="rose")


@pytest.mark.parametrize("model", [DiscriminantClassifier(), DiscriminativeClassifier()], ids=repr)
def test_a_gap_after_training_without_gaps_counts_as_the_columns_mean(model: Any) -> None:
    model.fit(IRIS + 100, KIND)
    gaps = IRIS + 100
    gaps[:, 1] = np.nan
    filled = np.where(np.isnan(gaps), gaps[0] * 0 + (IRIS + 100).mean(0), gaps)
    assert np.array_equal(model.predict(gaps), model.predict(filled)) and model.score(gaps, KIND) > 0.85
    holes = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.2, np.nan, IRIS)
    assert model.fit(holes, KIND).score(holes, KIND) > 0.8


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (DiscriminantClassifier("svm"), "svm"),  # type: ignore[arg-type]
        (DiscriminativeClassifier("conv"), "conv"),  # type: ignore[arg-type]
        (GenerativeClassifier("vaee"), "vaee"),  # type: ignore[arg-type]
        (GenerativeClassifier(prior="flat"), "flat"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_unknown_words_are_refused(model: Any, word: str) -> None:
    with pytest.raises(ValueError, match=f"{word}.*is not one of"):
        model.fit(IRIS, KIND)


def test_categories_are_told_by_their_shares() -> None:
    """With no numbers at all the answer is a table of counts with a row added to each category."""
    x = np.array([[0.0], [0.0], [0.0], [5.0], [5.0], [5.0], [0.0], [5.0]])
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    model = GenerativeClassifier("naive", categorical=[0]).fit(x, y)
    wanted = np.log([[4 / 6 * 0.5, 2 / 6 * 0.5], [2 / 6 * 0.5, 4 / 6 * 0.5], [0.5, 0.5]])
    assert np.allclose(model.predict_joint_log_proba([[0.0], [5.0], [7.0]]), wanted)  # 7 was never seen: missing
    assert set(model.sample(50, random_state=0)[0].ravel()) == {0.0, 5.0}


# ---- where columns lie, and in what unit ----

OFFSETS = [("float64", 1e4), ("float64", 1.7e9), ("float32", 1e4), ("float32", 1e5)]
PLACED = [
    *(DiscriminantClassifier(method, landmarks=100, random_state=0) for method in ("perceptron", "linear", "kernel")),
    DiscriminativeClassifier(),
    DiscriminativeClassifier("mlp", steps=60, width=16, learning_rate=1e-2, random_state=0),
    *(GenerativeClassifier(density, components=2, rank=2, pseudo_count=1.0, random_state=0) for density in DENSITIES),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("model", PLACED, ids=repr)
@pytest.mark.parametrize(("kind", "offset"), OFFSETS, ids=str)
def test_columns_may_count_from_anywhere(model: Any, kind: str, offset: float) -> None:
    """The same rows from elsewhere: what their rounding there left of them, and no less."""
    moved = (IRIS + offset).astype(kind)
    same = moved.astype(np.float64) - offset  # what is left of the digits
    there, here = clone(model).fit(moved, KIND), clone(model).fit(same, KIND)
    assert np.array_equal(there.predict(moved), here.predict(same))
    assert there.score(moved, KIND) > 0.85 - 0.1 * (not hasattr(model, "predict_proba"))
    if hasattr(model, "predict_proba"):
        assert np.abs(there.predict_proba(moved) - here.predict_proba(same)).max() < 1e-6
        assert np.array_equal(there.predict(moved), there.classes_[there.predict_proba(moved).argmax(1)])
    if isinstance(model, GenerativeClassifier):
        assert np.allclose(there.score_samples(moved), here.score_samples(same), atol=1e-6)
        drawn, _ = there.sample(200, random_state=0)
        assert np.abs(drawn.mean(0) - moved.astype(np.float64).mean(0)).max() < 0.5
    elif hasattr(model, "decision_function"):
        assert np.allclose(there.decision_function(moved), here.decision_function(same), atol=1e-5)


@pytest.mark.parametrize("model", PLACED, ids=repr)
@pytest.mark.parametrize("unit", [2.0**-300, 2.0**40, 2.0**333])
def test_columns_may_have_any_unit(model: Any, unit: float) -> None:
    """Powers of 2 change no digit: what has no unit itself is the same, and a density is divided by its volume."""
    there, here = clone(model).fit(IRIS * unit, KIND), clone(model).fit(IRIS, KIND)
    if isinstance(model, GenerativeClassifier):
        assert np.array_equal(there.predict_proba(IRIS * unit), here.predict_proba(IRIS))
        volume = there.score_samples(IRIS * unit) + 4 * np.log(unit)
        assert np.allclose(volume, here.score_samples(IRIS), atol=1e-9)
    elif "kernel" in repr(model) or "perceptron" in repr(model) or "mlp" in repr(model):
        assert np.array_equal(there.predict(IRIS * unit), here.predict(IRIS))
    elif unit > 1:
        # The strength of these is told in the columns' unit: in a large one it is as good as nothing.
        assert there.score(IRIS * unit, KIND) > 0.95


@pytest.mark.parametrize("model", PLACED, ids=repr)
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_what_lies_far_away_has_a_class_and_a_probability(model: Any, kind: str) -> None:
    model = clone(model).fit(IRIS.astype(kind), KIND)
    largest = float(np.finfo(kind).max)
    far = np.array([[v] * 4 for v in (1e15, 1e20, 1e30, largest, -largest)] + [[largest, 0, 0, -largest]]).astype(kind)
    far = np.concatenate([far, np.full((1, 4), 1e160)]) if kind == "float64" else far
    chosen = model.predict(far)
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(far)
        assert np.isfinite(p).all() and np.allclose(p.sum(1), 1)
        assert np.array_equal(chosen, model.classes_[p.argmax(1)])
        assert (p.max(1) > 0.999).all(), "the limit along a ray"
    if isinstance(model, GenerativeClassifier):
        said = model.score_samples(far)
        assert not np.isnan(said).any() and (said < -1e20).all()


def test_far_along_a_ray_the_class_is_that_of_the_largest_slope() -> None:
    """Of one covariance: exact, by hand. Of scikit-learn's own while it has digits left."""
    model, theirs = GenerativeClassifier("linear", shrinkage=0.0).fit(IRIS, KIND), LinearDiscriminantAnalysis()
    theirs.fit(IRIS, KIND)
    rays = np.random.default_rng(0).normal(size=(200, 4))
    inverse = np.linalg.inv(np.mean([np.cov(IRIS[KIND == c].T, ddof=0) for c in range(3)], 0))
    means = np.stack([IRIS[KIND == c].mean(0) for c in range(3)])
    wanted = (rays @ inverse @ means.T).argmax(1)
    for distance in (1e6, 1e20, 1e160, 1e300):
        assert np.array_equal(model.predict(distance * rays), wanted)
    assert np.array_equal(theirs.predict(1e6 * rays), wanted)
    # A density far out falls with the square of the distance.
    one = model.score_samples(1e50 * rays)
    assert np.allclose(model.score_samples(1e120 * rays) / one, 1e140, rtol=1e-6)


@pytest.mark.parametrize("model", PLACED, ids=repr)
def test_ties_go_to_the_first_class(model: Any) -> None:
    """Two classes of the same rows: whatever rounding does, the label is the first of the highest probability."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = clone(model).fit(np.concatenate([x, x]), np.repeat([0, 1], 60))
    if hasattr(model, "predict_proba"):
        assert np.array_equal(model.predict(x), model.predict_proba(x).argmax(1))
    else:
        assert np.array_equal(model.predict(x), (model.decision_function(x) > 0).astype(int))


# ---- columns that say nothing ----


@pytest.mark.parametrize("density", DENSITIES)
def test_a_column_that_is_constant_in_fitting_does_not_decide_alone(density: Any) -> None:
    constant, changed = IRIS.copy(), IRIS.copy()
    constant[:, 1], changed[:, 1] = 7.0, 7.5
    model = GenerativeClassifier(density, components=2, rank=2, pseudo_count=1.0, random_state=0).fit(constant, KIND)
    theirs = GaussianNB().fit(constant, KIND).score(changed, KIND)
    assert model.score(changed, KIND) >= theirs - 0.03 and theirs > 0.95
    assert np.abs(model.predict_proba(changed) - model.predict_proba(constant)).max() < (
        0.9 if density == "ppca-mixture" else 1e-6
    )
    # The density has seen nothing like it, and says so.
    assert model.score_samples(changed).max() < model.score_samples(constant).min()


@pytest.mark.parametrize("density", DENSITIES)
def test_a_column_that_is_constant_in_two_classes_does_not_decide_between_them_alone(density: Any) -> None:
    x, later = IRIS.copy(), IRIS.copy()
    x[KIND != 0, 1], later[:, 1] = 3.0, 3.2
    model = GenerativeClassifier(density, components=1, rank=2, pseudo_count=0.0, random_state=0).fit(x, KIND)
    two = KIND != 0
    joint = model.predict_joint_log_proba(later[two])[:, 1:]
    known = model.predict_joint_log_proba(x[two])[:, 1:]
    least = 0.8 if density == "ppca-mixture" else 0.9
    assert (joint.argmax(1) + 1 == KIND[two]).mean() > least and (known.argmax(1) + 1 == KIND[two]).mean() > least


@pytest.mark.parametrize("density", DENSITIES)
def test_a_column_without_a_value_in_a_class_or_in_all_of_fitting_does_not_decide_alone(density: Any) -> None:
    empty, without = IRIS.copy(), IRIS.copy()
    empty[KIND == 0, 1], without[:, 1] = np.nan, np.nan
    options: Any = {"components": 2, "rank": 2, "pseudo_count": 1.0, "random_state": 0}
    model = GenerativeClassifier(density, **options).fit(empty, KIND)
    assert (model.predict(IRIS)[KIND == 0] == 0).mean() > 0.95 and model.score(IRIS, KIND) > 0.93
    drawn, _ = model.sample(300, label=0, random_state=0)
    assert abs(drawn[:, 1].mean() - np.nanmean(empty[:, 1])) < 0.2 and np.isfinite(drawn).all()
    model = GenerativeClassifier(density, **options).fit(without, KIND)
    # Of a column that was never there every value says the same of all classes: nothing.
    assert np.allclose(model.predict_proba(IRIS), model.predict_proba(without), atol=1e-9)
    assert model.score(IRIS, KIND) > 0.93


def test_what_a_class_lacks_follows_all_values_that_there_are() -> None:
    """By hand: of naive Bayes, p(x_j | c) is the normal density of all values of column j."""
    empty = IRIS.copy()
    empty[KIND == 0, 1] = np.nan
    model = GenerativeClassifier("naive", shrinkage=0.0).fit(empty, KIND)
    row, values = np.array([[5.0, 3.3, 1.4, 0.2]]), empty[KIND != 0, 1]
    own = [norm.logpdf(row[0, j], IRIS[:50, j].mean(), IRIS[:50, j].std()) for j in (0, 2, 3)]
    wanted = sum(own) + norm.logpdf(3.3, values.mean(), values.std()) - np.log(3)
    assert np.isclose(model.predict_joint_log_proba(row)[0, 0], wanted)
    # Categories likewise: the shares of all rows.
    x = np.column_stack([IRIS[:, 0], np.where(KIND == 0, np.nan, KIND)])
    model = GenerativeClassifier("naive", categorical=[1]).fit(x, KIND)
    joint = model.predict_joint_log_proba([[np.nan, 1.0], [np.nan, np.nan]])
    assert np.allclose(joint[0, 0] - joint[1, 0], np.log(0.5)), "1 and 2 are as frequent"


# ---- rounds ----


@pytest.mark.parametrize("density", ["gaussian", "linear", "naive", "ppca-mixture"])
def test_fitting_with_gaps_ends_when_it_has_converged_and_says_when_it_has_not(density: Any) -> None:
    wine, kind = load_wine(return_X_y=True)
    wine = (wine - wine.mean(0)) / wine.std(0)
    holes = np.where(np.random.default_rng(0).random(wine.shape) < 0.3, np.nan, wine)
    low_rank = {"components": 1, "rank": 3} if density == "ppca-mixture" else {}
    options: Any = {**low_rank, "pseudo_count": 1.0, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GenerativeClassifier(density, **options).fit(holes, kind)
    assert 1 < model.n_iter_ < 500
    STILL, base.STILL = base.STILL, 1e-13
    try:
        far = GenerativeClassifier(density, **{**options, "iterations": 3000}).fit(holes, kind)
    finally:
        base.STILL = STILL
    assert np.abs(model.predict_proba(holes) - far.predict_proba(holes)).max() < 1e-3
    with pytest.warns(
        ConvergenceWarning, match="did not converge in 3 iterations.*nats per example; raise iterations=3"
    ):
        GenerativeClassifier(density, **options, iterations=3).fit(holes, kind)
    # Complete rows of one Gaussian have a closed form.
    if density != "ppca-mixture":
        assert GenerativeClassifier(density, iterations=3).fit(wine, kind).n_iter_ == 1


def test_numbers_of_any_size_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1e100, 1e300, 1e-100):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for model in (DiscriminantClassifier(), DiscriminativeClassifier(), DiscriminantClassifier("perceptron")):
                model.fit(IRIS * size, KIND)
                assert model.score(IRIS * size, KIND) > (0.6 if size > 1 else 0.3)
        assert time.process_time() - start < 20
    monkeypatch.setattr(Planes, "_estimator", lambda self: LogisticRegression(max_iter=2))
    for model in (DiscriminantClassifier(), DiscriminativeClassifier()):
        with pytest.warns(ConvergenceWarning, match="did not converge in 2 iterations; scale the columns"):
            model.fit(IRIS, KIND)


# ---- the width of kernels ----


@pytest.mark.parametrize("rows", ["rounded", "copied"])
def test_the_width_of_kernels_bears_rows_that_repeat(rows: str) -> None:
    """Whole numbers, or each row four times: not far from the best width, which is found by trying."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 1200)
    each = [draw.normal(size=(1200, 4)) + 0.5 * y[:, None] for _ in range(2)]
    if rows == "rounded":
        x, later, kind = each[0].round(), each[1].round(), y
    else:
        x, later, kind = np.repeat(each[0][:300], 4, 0), each[1], np.repeat(y[:300], 4)

    def loss(bandwidth: float) -> float:
        model = GenerativeClassifier("kde", bandwidth=bandwidth).fit(x, kind)
        return -float(model.predict_log_proba(later)[np.arange(1200), y].mean())

    best = min(loss(h) for h in (0.3, 0.5, 0.8, 1.2))
    assert loss(0.0) < best + 0.02 < loss(0.25)


@pytest.mark.parametrize("density", ["gaussian", "linear", "naive", "kde"])
def test_wide_rows_stay_float32_and_lose_nothing_by_it(density: Any) -> None:
    """From 256 columns on all is computed in float32, after centering in float64."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 120)
    x = (draw.normal(size=(120, 260)) + 0.4 * y[:, None]).astype(np.float32)
    whole = GenerativeClassifier(density, shrinkage=0.1).fit(x.astype(np.float64), y)
    model = GenerativeClassifier(density, shrinkage=0.1).fit(x, y)
    assert model._model.density.log_probs(_batch(model._asked(x)[0])).dtype == torch.float32
    assert np.abs(model.predict_proba(x) - whole.predict_proba(x)).max() < 1e-3
    moved = x + np.float32(1000)
    there = GenerativeClassifier(density, shrinkage=0.1).fit(moved, y)
    here = GenerativeClassifier(density, shrinkage=0.1).fit(moved.astype(np.float64) - 1000, y)
    assert np.abs(there.predict_proba(moved) - here.predict_proba(moved.astype(np.float64) - 1000)).max() < 1e-3
    far = np.concatenate([x[:2] * np.float32(1e30), np.full((1, 260), np.finfo("f4").max, np.float32)])
    assert np.isfinite(model.predict_proba(far)).all() and not np.isnan(model.score_samples(far)).any()
