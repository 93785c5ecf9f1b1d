"""Linear classifiers fitted by scikit-learn: perceptron, linear SVM, logistic regression; Nyström kernels.

    scores(x) = W φ(x) + b,   the class with the highest score

φ is the row itself, or, for a kernel machine, the Nyström approximation k(x, landmarks) K^{-1/2}: exact if every
training row is a landmark, approximate with fewer.

References: *The Perceptron (Rosenblatt, 1958)*; *Support-Vector Networks (Cortes, Vapnik, 1995)*; Nyström: *Using the
    Nyström Method to Speed Up Kernel Machines (Williams, Seeger, 2000)*.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.kmeans import squared_distances
from seisei.spec import Range, listed

Features = Annotated[int, Range(ge=1, le=10**7)]


@listed
class Landmarks(nn.Module):
    """Nyström features φ(x) = k(x, landmarks) K^{-1/2} of the RBF kernel k(a, b) = exp(−γ ‖a − b‖²).

    Arguments:
        features: input features of a batch, (B, F).
        inputs: F.
        count: number of landmarks, sampled from the training rows.
        gamma: γ; 0 takes 1/(F · the variance of the features).
        seed: seed of the sampling.
    """

    centers: Tensor
    root: Tensor
    width: Tensor

    def __init__(
        self,
        features: nn.Module,
        inputs: Features,
        count: Features = 1000,
        gamma: Annotated[float, Range(ge=0)] = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.count, self.gamma, self.seed = features, count, gamma, seed
        self.register_buffer("centers", torch.zeros(count, inputs))
        self.register_buffer("root", torch.zeros(count, count))
        self.register_buffer("width", torch.ones(()))
        self.outputs = count

    def forward(self, batch: Batch) -> Tensor:
        """(B, count)."""
        return self._kernel(self.features(batch)) @ self.root

    def begin(self, examples: Examples) -> None:
        """Sample the landmarks."""
        rows = torch.cat([self.features(batch) for batch in examples()])
        chosen = torch.randperm(len(rows), generator=seeds.generator(self.seed, "landmarks"))[: self.count]
        self.centers.zero_()
        self.centers[: len(chosen)] = rows[chosen]
        spread = float(rows.var()) * rows.shape[1]
        self.width.fill_(self.gamma or 1 / max(spread, 1e-12))
        values, vectors = torch.linalg.eigh(self._kernel(rows[chosen])[:, : len(chosen)].double())
        # Drop directions that are rounding error.
        scale = torch.where(values > 1e-7 * values[-1], values.clamp_min(1e-300).rsqrt(), 0.0)
        self.root.zero_()
        self.root[: len(chosen), : len(chosen)] = ((vectors * scale) @ vectors.T).float()

    def _kernel(self, rows: Tensor) -> Tensor:
        return torch.exp(-self.width * squared_distances(rows, self.centers))


@listed
class Planes(nn.Module):
    """W φ(x) + b, (B, C), fitted by a scikit-learn estimator.

    Arguments:
        features: φ.
        inputs: width of φ.
        classes: C.
        method: perceptron; margin, the linear SVM; or logistic regression.
        strength: L2 regularization strength, the inverse of scikit-learn's C (not used by the perceptron).
        seed: random seed of the estimator.
    """

    weight: Tensor
    bias: Tensor
    # Message if the fit did not converge.
    unfinished: str | None = None

    def __init__(
        self,
        features: nn.Module,
        inputs: Features,
        classes: Annotated[int, Range(ge=2, le=100_000)],
        method: Literal["perceptron", "margin", "logistic"],
        strength: Annotated[float, Range(gt=0)] = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.method, self.strength, self.seed = features, method, strength, seed
        self.register_buffer("weight", torch.zeros(classes, inputs))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, batch: Batch) -> Tensor:
        """Class scores, (B, C)."""
        return self.features(batch) @ self.weight.T + self.bias  # type: ignore[no-any-return]

    @torch.no_grad()
    def sweep(self, examples: Examples) -> None:
        """Fit to all examples; rows without a label are ignored."""
        if isinstance(self.features, Landmarks):
            self.features.begin(examples)
        rows, labels = [], []
        for batch in examples():
            assert batch.y is not None
            rows.append(self.features(batch)[batch.y >= 0].cpu())
            labels.append(batch.y[batch.y >= 0].cpu())
        estimator = self._estimator()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(torch.cat(rows).numpy(), torch.cat(labels).numpy())
        names = {warning.category.__name__ for warning in caught}
        self.unfinished = None
        if "ConvergenceWarning" in names:
            iterations = int(np.max(estimator.n_iter_))
            self.unfinished = f"the fit did not converge in {iterations:,} iterations; scale the columns, or raise l2"
        self.weight.zero_()
        self.bias.fill_(-1e30)  # a class without rows is never predicted
        found = np.asarray(estimator.classes_)
        weight = np.atleast_2d(estimator.coef_)
        bias = np.broadcast_to(estimator.intercept_, len(weight)).copy()
        if len(weight) == 1:
            # Two classes share one hyperplane: split it evenly.
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight[found] = torch.as_tensor(weight).to(self.weight)
        self.bias[found] = torch.as_tensor(bias).to(self.bias)

    def _estimator(self) -> Any:
        from sklearn.linear_model import LogisticRegression, Perceptron
        from sklearn.svm import LinearSVC

        if self.method == "perceptron":
            return Perceptron(random_state=self.seed)
        if self.method == "margin":
            return LinearSVC(C=1 / self.strength, dual="auto", max_iter=5000, random_state=self.seed)
        return LogisticRegression(C=1 / self.strength, max_iter=1000)
