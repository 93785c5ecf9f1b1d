"""Seconds to fit and to predict, quadratic and linear discriminant analysis against scikit-learn's default solvers.

    python benchmarks/speed_classifiers.py      about four minutes on two cores

MNIST, 60,000 × 784, float32, with normal noise of σ = 0.1 on the pixels so that every covariance has full rank and
neither side needs regularization. Side by side in one process, in turn, several times over; medians of seconds and of
the ratios round by round, and the accuracy of both on the 10,000 test images.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Record, options, shared
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import GaussianNB

from seisei.data.sources.idx import idx_source
from seisei.estimators import GenerativeClassifier
from seisei.training.backend import keep_pages, route_float32

GOALS = {"quadratic": 8.0, "linear": 6.0, "naive Bayes": None}


def mnist(seed: int) -> tuple[Any, Any, Any, Any]:
    """Training and test pixels with noise, and their labels."""
    source = idx_source(shared("mnist"), "mnist")
    noise = np.random.default_rng(seed)
    x = source.array.reshape(len(source.array), -1).astype(np.float32) / 255
    x += noise.normal(0, 0.1, x.shape).astype(np.float32)
    y = np.array([record.label for record in source.records])
    train = np.array([record.split == "train" for record in source.records])
    return x[train], y[train], x[~train], y[~train]


def pairs() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    return {
        "quadratic": (lambda: GenerativeClassifier("gaussian", shrinkage=0.0), QuadraticDiscriminantAnalysis),
        "linear": (lambda: GenerativeClassifier("linear", shrinkage=0.0), LinearDiscriminantAnalysis),
        "naive Bayes": (lambda: GenerativeClassifier("naive", shrinkage=0.0), GaussianNB),
    }


def main() -> None:
    arguments = options(__doc__ or "").parse_args()
    warnings.simplefilter("ignore")
    keep_pages()
    record = Record("speed_classifiers", arguments.seed, ("torch", "numpy", "seisei", "scikit-learn"))
    x, y, x_test, y_test = mnist(arguments.seed)
    if arguments.quick:
        x, y = x[:6000], y[:6000]
    for name, makers in pairs().items():
        fit: list[list[float]] = [[], []]
        predict: list[list[float]] = [[], []]
        accuracy = [0.0, 0.0]
        for number in range(1 if arguments.quick else 3):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                # The lever is ours: scikit-learn's products are NumPy's, and do not know of it.
                route_float32(side == 0)
                model = makers[side]()
                begun = time.perf_counter()
                model.fit(x, y)
                fitted = time.perf_counter()
                accuracy[side] = float((model.predict(x_test) == y_test).mean())
                predict[side].append(time.perf_counter() - fitted)
                fit[side].append(fitted - begun)
                route_float32(False)
        setting = f"{name}, {len(x):,} × 784"
        for side, who in enumerate(("seisei", "scikit-learn")):
            for verb, times in (("fit", fit), ("predict 10,000", predict)):
                record.add(
                    f"seconds to {verb}", f"{setting}, {who}", round(statistics.median(times[side]), 4), goal=None,
                    better="lower", smallest=round(min(times[side]), 4), largest=round(max(times[side]), 4),
                )  # fmt: skip
            record.add("accuracy", f"{setting}, {who}", round(accuracy[side], 4), goal=None, better="higher")
        for verb, times, goal in (("fit", fit, GOALS[name]), ("predict", predict, 1.0)):
            ratios = [b / a for a, b in zip(*times, strict=True)]
            record.add(
                f"scikit-learn ÷ seisei, {verb}", setting, round(statistics.median(ratios), 2), goal=goal,
                better="higher", smallest=round(min(ratios), 2), largest=round(max(ratios), 2),
            )  # fmt: skip
        difference = abs(accuracy[0] - accuracy[1])
        record.add("difference of accuracies", setting, round(difference, 4), goal=0.001, better="lower")
    if not arguments.quick:
        record.write()


if __name__ == "__main__":
    main()
