"""How good labels and their probabilities are: accuracy, log-loss, Brier score, calibration, confusion.

Accuracy is worth what it is above the share of the most frequent class, which is right without looking; balanced
accuracy, the mean over classes of the share of their examples that is right, is worth what it is above 1/C.

References: balanced accuracy: *The Balanced Accuracy and Its Posterior Distribution (Brodersen, Ong, Stephan, Buhmann,
    2010)*; proper scores: *Strictly Proper Scoring Rules, Prediction, and Estimation (Gneiting, Raftery, 2007)*; the
    calibration error: *On Calibration of Modern Neural Networks (Guo, Pleiss, Sun, Weinberger, 2017)*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.metrics.estimates import Estimate, mean_of_shares, share_of

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of N examples.

    Arguments:
        names: of the classes.
        labels: the class number of each example, (N,).
        log_posterior: log p(y | x), (N, C), of a model that gives it.
        truth: the true class numbers, where they are known; −1 for an example without one.
    """

    names: tuple[str, ...]
    labels: Whole
    log_posterior: Floats | None = None
    truth: Whole | None = None

    @property
    def known(self) -> bool:
        """Whether every example's class is known."""
        return self.truth is not None and bool((self.truth >= 0).all())

    def right(self) -> Floats:
        """1 where the label is right, (N,)."""
        assert self.truth is not None
        return np.asarray(self.labels == self.truth, np.float64)

    def accuracy(self) -> Estimate:
        """The share of labels that are right."""
        return share_of(self.right())

    def balanced_accuracy(self) -> Estimate:
        """The mean, over the classes that there are, of the share of their examples that is right."""
        assert self.truth is not None
        right = self.right()
        return mean_of_shares([share_of(right[self.truth == c]) for c in np.unique(self.truth)])

    def majority(self) -> tuple[str, float]:
        """The most frequent class, and the share of examples that it is right of when it is always said."""
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
        """How often each class (row) was called each (column), (C, C)."""
        assert self.truth is not None
        count = len(self.names)
        flat = np.bincount(self.truth * count + self.labels, minlength=count * count)
        return flat.reshape(count, count).astype(np.int64)


@dataclass(frozen=True)
class Calibration:
    """How often a model is right when it is so sure.

    Arguments:
        confidence: the mean probability of the chosen class in each bin, (bins,); NaN in an empty one.
        accuracy: how often it was right there.
        count: examples in it.
    """

    confidence: Floats
    accuracy: Floats
    count: Whole

    @property
    def error(self) -> float:
        """ECE = Σ_bins n_b/N |accuracy − confidence|."""
        used = self.count > 0
        gap = np.abs(self.accuracy[used] - self.confidence[used])
        return float((gap * self.count[used]).sum() / max(1, self.count.sum()))

    def to_json(self) -> dict[str, Any]:
        """The bins that hold something."""
        used = self.count > 0
        return {
            "confidence": self.confidence[used].tolist(),
            "accuracy": self.accuracy[used].tolist(),
            "count": self.count[used].tolist(),
            "error": self.error,
        }


def calibration(predictions: Predictions, bins: int = 15) -> Calibration:
    """Calibration in bins of equal width over the probability of the chosen class.

    Example:
        >>> sure = Predictions(("a", "b"), np.array([0, 0]), np.log([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1]))
        >>> round(calibration(sure).error, 3)
        0.3
    """
    assert predictions.log_posterior is not None
    sure = np.exp(predictions.log_posterior[np.arange(len(predictions.labels)), predictions.labels])
    place = np.minimum((sure * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.int64)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, sure, bins) / count
        accuracy = np.bincount(place, predictions.right(), bins) / count
    return Calibration(confidence, accuracy, count)
