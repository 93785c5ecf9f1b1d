"""Metrics of predicted labels and probabilities: accuracy, log-loss, Brier score, calibration, confusion matrix.

The baseline of accuracy is the proportion of the most frequent class; that of balanced accuracy, the mean of the
per-class accuracies, is 1/C.

References: balanced accuracy: *The Balanced Accuracy and Its Posterior Distribution (Brodersen, Ong, Stephan, Buhmann,
    2010)*; proper scores: *Strictly Proper Scoring Rules, Prediction, and Estimation (Gneiting, Raftery, 2007)*; the
    calibration error: *On Calibration of Modern Neural Networks (Guo, Pleiss, Sun, Weinberger, 2017)*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.metrics.estimates import Estimate, mean_proportion, proportion

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Predictions of a classifier for N examples.

    Arguments:
        names: class names.
        labels: predicted class index of each example, (N,).
        log_posterior: log p(y | x), (N, C), if the model gives probabilities.
        truth: true class indices, if known; −1 for an unlabeled example.
    """

    names: tuple[str, ...]
    labels: Whole
    log_posterior: Floats | None = None
    truth: Whole | None = None

    @property
    def known(self) -> bool:
        """Whether every example is labeled."""
        return self.truth is not None and bool((self.truth >= 0).all())

    def right(self) -> Floats:
        """1 for correct predictions, else 0, (N,)."""
        assert self.truth is not None
        return np.asarray(self.labels == self.truth, np.float64)

    def accuracy(self) -> Estimate:
        """The proportion of correct predictions."""
        return proportion(self.right())

    def balanced_accuracy(self) -> Estimate:
        """The mean of the accuracies of the classes that occur."""
        assert self.truth is not None
        correct = self.right()
        return mean_proportion([proportion(correct[self.truth == c]) for c in np.unique(self.truth)])

    def majority(self) -> tuple[str, float]:
        """The most frequent class, and the accuracy of always predicting it."""
        assert self.truth is not None
        counts = np.bincount(self.truth, minlength=len(self.names))
        return self.names[int(counts.argmax())], float(counts.max() / counts.sum())

    def log_loss(self) -> Floats:
        """−log p(true class | x) in nats, (N,)."""
        assert self.truth is not None and self.log_posterior is not None
        found: Floats = -self.log_posterior[np.arange(len(self.truth)), self.truth]
        return np.asarray(found)

    def brier(self) -> Floats:
        """Σ_c (p(c | x) − [c is true])², (N,), from 0 to 2."""
        assert self.truth is not None and self.log_posterior is not None
        p = np.exp(self.log_posterior)
        p[np.arange(len(p)), self.truth] -= 1
        squares: Floats = np.square(p).sum(1)
        return squares

    def confusion(self) -> Whole:
        """Confusion matrix: counts of true classes (rows) by predicted ones (columns), (C, C)."""
        assert self.truth is not None
        count = len(self.names)
        flat = np.bincount(self.truth * count + self.labels, minlength=count * count)
        return flat.reshape(count, count).astype(np.int64)


@dataclass(frozen=True)
class Calibration:
    """Calibration: accuracy by confidence.

    Arguments:
        confidence: mean probability of the predicted class in each bin, (bins,); NaN if a bin is empty.
        accuracy: accuracy in each bin, (bins,).
        count: number of examples in each bin, (bins,).
    """

    confidence: Floats
    accuracy: Floats
    count: Whole

    @property
    def error(self) -> float:
        """Expected calibration error, ECE = Σ_bins n_b/N |accuracy − confidence|."""
        used = self.count > 0
        gap = np.abs(self.accuracy[used] - self.confidence[used])
        return float((gap * self.count[used]).sum() / max(1, self.count.sum()))

    def to_json(self) -> dict[str, Any]:
        """The non-empty bins as plain data."""
        used = self.count > 0
        return {
            "confidence": self.confidence[used].tolist(),
            "accuracy": self.accuracy[used].tolist(),
            "count": self.count[used].tolist(),
            "error": self.error,
        }


def calibration(predictions: Predictions, bins: int = 15) -> Calibration:
    """Calibration in bins of equal width over the probability of the predicted class.

    Example:
        >>> predictions = Predictions(("a", "b"), np.array([0, 0]), np.log([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1]))
        >>> round(calibration(predictions).error, 3)
        0.3
    """
    assert predictions.log_posterior is not None
    confidences = np.exp(predictions.log_posterior[np.arange(len(predictions.labels)), predictions.labels])
    index = np.minimum((confidences * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins).astype(np.int64)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(index, confidences, bins) / count
        accuracy = np.bincount(index, predictions.right(), bins) / count
    return Calibration(confidence, accuracy, count)
