"""The three classifiers as scikit-learn estimators: its contract, its own answers, and what it has no word for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from seisei.estimators import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier

IRIS, KIND = load_iris(return_X_y=True)
DENSITIES = ["gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"]
EVERY = [
    *(DiscriminantClassifier(method, landmarks=100, random_state=0) for method in ("perceptron", "linear", "kernel")),
    DiscriminativeClassifier(),
    DiscriminativeClassifier("mlp", steps=100, width=32, learning_rate=1e-2),
    *(GenerativeClassifier(density, rounds=5, components=2, rank=2) for density in DENSITIES),  # type: ignore[arg-type]
]


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
    ours = DiscriminativeClassifier(strength=2.0).fit(IRIS, KIND)
    their = LogisticRegression(C=0.5, max_iter=1000).fit(IRIS, KIND)
    assert np.abs(ours.predict_proba(IRIS) - their.predict_proba(IRIS)).max() < 1e-6
    two = KIND < 2
    ours, their = ours.fit(IRIS[two], KIND[two]), their.fit(IRIS[two], KIND[two])
    assert np.abs(ours.predict_proba(IRIS) - their.predict_proba(IRIS)).max() < 1e-6


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
    model = GenerativeClassifier(density, rank=1, random_state=0).fit(IRIS[:, 2:3], KIND)
    line = np.linspace(-30, 40, 200_001)[:, None]
    assert abs(np.exp(model.score_samples(line)).sum() * (line[1, 0] - line[0, 0]) - 1) < 1e-3


@pytest.mark.parametrize("density", DENSITIES)
def test_missing_values_are_integrated_out(density: Any) -> None:
    """p(x_1) of the model equals ∫ p(x_1, x_2) dx_2 by quadrature, in fitting nothing breaks, and labels still come."""
    model = GenerativeClassifier(density, rank=1, borrowed=1.0, random_state=0).fit(IRIS[:, 2:4], KIND)
    other = np.linspace(-6, 10, 4001)
    for x in (1.5, 4.2, 5.9):
        whole = np.stack([np.full_like(other, x), other], 1)
        integral = np.exp(model.predict_joint_log_proba(whole)).sum(0) * (other[1] - other[0])
        assert np.allclose(np.exp(model.predict_joint_log_proba([[x, np.nan]])[0]), integral, rtol=1e-3, atol=1e-12)
    assert np.allclose(model.predict_proba([[np.nan, np.nan]]), 1 / 3)
    holes = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.3, np.nan, IRIS)
    kept = GenerativeClassifier(density, rank=2, random_state=0).fit(holes, KIND)
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
