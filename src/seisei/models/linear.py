"""Planes and margins, fitted by scikit-learn: perceptron, support vector machine, logistic regression.

    scores(x) = W φ(x) + b,   the class with the highest score

φ is the row itself, or, for a kernel machine, k(x, landmarks) K^{-1/2}: with every training row a landmark this spans
exactly the space in which a kernel machine's answer lies, and with fewer it approaches it.

References: *The Perceptron (Rosenblatt, 1958)*; *Support-Vector Networks (Cortes, Vapnik, 1995)*; landmarks: *Using the
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
    """φ(x) = k(x, landmarks) K^{-1/2} with k(a, b) = exp(−γ ‖a − b‖²).

    Arguments:
        features: of a batch, (B, F).
        inputs: F.
        count: landmarks, drawn from the training rows.
        gamma: γ; 0 takes 1/(F · the variance of the features).
        seed: of the drawing.
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
        """Draw the landmarks."""
        rows = torch.cat([self.features(batch) for batch in examples()])
        chosen = torch.randperm(len(rows), generator=seeds.generator(self.seed, "landmarks"))[: self.count]
        self.centers.zero_()
        self.centers[: len(chosen)] = rows[chosen]
        spread = float(rows.var()) * rows.shape[1]
        self.width.fill_(self.gamma or 1 / max(spread, 1e-12))
        values, vectors = torch.linalg.eigh(self._kernel(rows[chosen])[:, : len(chosen)].double())
        # Directions that rounding alone made have no part in it.
        scale = torch.where(values > 1e-7 * values[-1], values.clamp_min(1e-300).rsqrt(), 0.0)
        self.root.zero_()
        self.root[: len(chosen), : len(chosen)] = ((vectors * scale) @ vectors.T).float()

    def _kernel(self, rows: Tensor) -> Tensor:
        return torch.exp(-self.width * squared_distances(rows, self.centers))


@listed
class Planes(nn.Module):
    """W φ(x) + b, (B, C), found in one go by an estimator of scikit-learn.

    Arguments:
        features: φ.
        inputs: how many numbers it gives.
        classes: C.
        method: perceptron; margin, the linear support vector machine; or logistic regression.
        strength: of the regularization, as the inverse of scikit-learn's C (the perceptron has none).
        seed: of the estimator's order.
    """

    weight: Tensor
    bias: Tensor
    # What to say of a fit that did not converge.
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
        """The score of every class, (B, C)."""
        return self.features(batch) @ self.weight.T + self.bias  # type: ignore[no-any-return]

    @torch.no_grad()
    def sweep(self, examples: Examples) -> None:
        """Fit to all examples; rows without a label are of no use here."""
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
            turns = int(np.max(estimator.n_iter_))
            self.unfinished = f"the fit did not converge in {turns:,} iterations; scale the columns, or raise l2"
        self.weight.zero_()
        self.bias.fill_(-1e30)  # a class without rows is never chosen
        found = np.asarray(estimator.classes_)
        weight = np.atleast_2d(estimator.coef_)
        bias = np.broadcast_to(estimator.intercept_, len(weight)).copy()
        if len(weight) == 1:
            # Of two classes there is one plane: half of its height for one, half for the other.
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
