"""The three classifiers as scikit-learn estimators, on arrays in memory.

    from seisei.estimators import GenerativeClassifier
    model = GenerativeClassifier(density="mixture", components=3).fit(X, y)
    model.predict_proba(X), model.score_samples(X), model.sample(10, label="yes")

They hold to scikit-learn's contract, so that they go into its pipelines, searches and cross-validations. What they are
made of is what `seisei train` makes; nothing is written to disk. A NaN is a missing value: the generative classifier
integrates it out, the others take the column's mean in its place, and are told where training rows had gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.models.classifier import DiscriminantClassifier as Discriminant
from seisei.models.classifier import DiscriminativeClassifier as Discriminative
from seisei.models.classifier import GenerativeClassifier as Generative
from seisei.models.classifier import Network
from seisei.models.kernel import KernelDensity
from seisei.models.linear import Landmarks, Planes
from seisei.models.mixture import Mixture
from seisei.nn.columns import Columns, RowFeatures, Sizes
from seisei.nn.covariances import Full, Tied
from seisei.nn.gaussians import Diagonal, Gaussians
from seisei.nn.lowrank import LowRank
from seisei.nn.mlp import mlp
from seisei.objectives.likelihood import label_loss

Array = NDArray[Any]
CHUNK = 4096


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What the three have in common: from arrays to batches, and from class numbers to labels."""

    _model: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _read(self, X: Any, y: Any) -> tuple[Tensor, Tensor]:
        """Arrays as tensors; `classes_` and the categories are settled here."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        self._levels = {int(j): np.unique(X[~np.isnan(X[:, j]), j]) for j in self._categorical()}
        return self._tensor(X), torch.as_tensor(numbers, dtype=torch.long)

    def _categorical(self) -> Sequence[int]:
        return getattr(self, "categorical", None) or ()

    def _tensor(self, X: Array) -> Tensor:
        """Rows with each category as its number; one that was not seen in fitting counts as missing."""
        if self._levels:
            X = X.copy()
            for j, levels in self._levels.items():
                place = np.searchsorted(levels, X[:, j]).clip(0, max(0, len(levels) - 1))
                X[:, j] = np.where(levels[place] == X[:, j], place, np.nan) if len(levels) else np.nan
        return torch.from_numpy(np.require(X, requirements=["C", "W"]))

    def _sizes(self, width: int) -> Sizes:
        if not self._levels:
            return width
        return [max(1, len(self._levels[j])) if j in self._levels else 0 for j in range(width)]

    def _batches(self, x: Tensor, y: Tensor | None = None, size: int = CHUNK) -> Iterator[Batch]:
        complete = not _lacks(x)
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            yield _batch(x[part], None if y is None else y[part], complete)

    def _asked(self, X: Any) -> Tensor:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False)
        return self._tensor(X).to(self._dtype)

    def _each(self, x: Tensor, answer: Any) -> Array:
        with torch.no_grad():
            found: Array = torch.cat([answer(batch) for batch in self._batches(x)]).numpy()
        return found

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))  # type: ignore[attr-defined]

    def predict(self, X: Any) -> Array:
        """The class of each row, (N,)."""
        x = self._asked(X)
        labels: Array = self.classes_[self._each(x, self._model.decide)]
        return labels


class _Filling(_Classifier):
    """A classifier that cannot do without a value: the column's mean takes the place of one that is missing.

    Where training rows had gaps, a column beside says where they were.
    """

    def _fitted_tensor(self, x: Tensor) -> Tensor:
        """Training rows, whose means and gaps are kept."""
        gaps = x.isnan()
        self._means = torch.where(gaps, 0.0, x).sum(0) / (~gaps).sum(0).clamp_min(1)
        self._gappy = gaps.any(0)
        return self._filled(x)

    def _filled(self, x: Tensor) -> Tensor:
        gaps = x.isnan()
        whole = torch.where(gaps, self._means.to(x.dtype), x)
        return torch.cat([whole, gaps[:, self._gappy].to(x.dtype)], 1)

    def _asked(self, X: Any) -> Tensor:
        return self._filled(super()._asked(X))


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(choices)}")


class _Probabilistic(_Classifier):
    """A classifier that says how sure it is."""

    def predict_log_proba(self, X: Any) -> Array:
        """log p(y | x) of every class, (N, C)."""
        return self._each(self._asked(X), self._model.log_posterior).astype(np.float64)

    def predict_proba(self, X: Any) -> Array:
        """p(y | x) of every class, (N, C)."""
        return np.exp(self.predict_log_proba(X))


class DiscriminantClassifier(_Filling):
    """A surface between classes: a class, and no probability.

    Arguments:
        method: perceptron, linear (the widest margin between planes) or kernel (of a curved surface).
        strength: of the regularisation, the inverse of scikit-learn's C.
        landmarks: training rows that the kernel compares with.
        gamma: of the kernel exp(−γ‖a − b‖²); 0 takes one over the data's spread.
        random_state: of the estimator's order and of the landmarks.

    Example:
        >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array(["a", "a", "b", "b"])
        >>> DiscriminantClassifier().fit(X, y).predict([[0.5], [4.5]]).tolist()
        ['a', 'b']
    """

    def __init__(
        self,
        method: Literal["perceptron", "linear", "kernel"] = "linear",
        *,
        strength: float = 1.0,
        landmarks: int = 1000,
        gamma: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.strength = strength
        self.landmarks = landmarks
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> DiscriminantClassifier:
        """Fit to rows (N, D) and their labels (N,)."""
        _one_of("method", self.method, ("perceptron", "linear", "kernel"))
        x, numbers = self._read(X, y)
        x = self._fitted_tensor(x)
        seed = self._seed()
        features: nn.Module = RowFeatures(x.shape[1])
        if self.method == "kernel":
            count = min(self.landmarks, len(x))
            features = Landmarks(features, features.outputs, count, self.gamma, seed)  # type: ignore[arg-type]
        kind: Any = "perceptron" if self.method == "perceptron" else "margin"
        planes = Planes(features, features.outputs, len(self.classes_), kind, self.strength, seed)  # type: ignore[arg-type]
        self._dtype = x.dtype
        self._model = Discriminant(planes).to(x.dtype)
        self._model.sweep(lambda: self._batches(x, numbers))
        return self

    def decision_function(self, X: Any) -> Array:
        """The score of every class, (N, C); of two classes, how far on the second's side, (N,)."""
        scores = self._each(self._asked(X), self._model.surface)
        return scores if scores.shape[1] > 2 else scores[:, 1] - scores[:, 0]


class DiscriminativeClassifier(_Filling, _Probabilistic):
    """p(y | x) by logistic regression or a network.

    Arguments:
        network: linear is scikit-learn's logistic regression; mlp has hidden layers.
        strength: of the regularisation of logistic regression, the inverse of scikit-learn's C.
        width: units of a hidden layer.
        depth: hidden layers.
        steps: updates of the network.
        batch: rows an update.
        learning_rate: of Adam.
        weight_decay: pull of the weights towards 0.
        random_state: of the first weights and the order.

    Example:
        >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
        >>> DiscriminativeClassifier().fit(X, y).predict_proba([[2.5]]).round(2).tolist()
        [[0.5, 0.5]]
    """

    def __init__(
        self,
        network: Literal["linear", "mlp"] = "linear",
        *,
        strength: float = 1.0,
        width: int = 128,
        depth: int = 2,
        steps: int = 500,
        batch: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.strength = strength
        self.width = width
        self.depth = depth
        self.steps = steps
        self.batch = batch
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> DiscriminativeClassifier:
        """Fit to rows (N, D) and their labels (N,)."""
        _one_of("network", self.network, ("linear", "mlp"))
        x, numbers = self._read(X, y)
        x = self._fitted_tensor(x)
        seed, classes = self._seed(), len(self.classes_)
        reader = RowFeatures(x.shape[1])
        self._dtype = x.dtype
        if self.network == "linear":
            planes = Planes(reader, reader.outputs, classes, "logistic", self.strength, seed)
            self._model = Discriminative(planes).to(x.dtype)
            self._model.sweep(lambda: self._batches(x, numbers))
            return self
        with seeds.seeded(seed, "weights"):
            layers = mlp(reader.outputs, classes, self.width, self.depth)
        scaled = Network(layers, _Scaled(reader, x).to(x.dtype))
        self._model = Discriminative(scaled).to(x.dtype)
        self._descend(x, numbers, seed)
        return self

    def _descend(self, x: Tensor, y: Tensor, seed: int) -> None:
        optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        draw = seeds.generator(seed, "order")
        for _ in range(self.steps):
            chosen = torch.randint(len(x), (min(self.batch, len(x)),), generator=draw)
            loss = label_loss(self._model, _batch(x[chosen], y[chosen])).total
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


class GenerativeClassifier(_Probabilistic):
    """p(x | y) p(y): labels by Bayes' rule, log p(x), log p(x, y), and new rows.

    Arguments:
        density: of x given its class. gaussian: a covariance each (quadratic discriminant analysis); linear: one for
            all (linear discriminant analysis); naive: independent values; mixture: several Gaussians each;
            ppca-mixture: several of low rank; kde: a bump for every row.
        components: Gaussians a class, of the mixtures.
        rank: directions in which a Gaussian of low rank varies.
        shrinkage: share of the way from each covariance to a round one of the same trace.
        borrowed: rows of a round cloud that are added to each Gaussian, where there are few.
        prior: of the classes: as in the data, or uniform.
        rounds: of expectation-maximisation, where one is not enough.
        kernels: rows that kde keeps.
        bandwidth: of kde; 0 chooses it by the likelihood of each row under the others.
        categorical: the places of columns whose values are categories.
        random_state: of the first clusters.

    Example:
        >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array(["a", "a", "b", "b"])
        >>> model = GenerativeClassifier().fit(X, y)
        >>> model.predict([[0.2], [np.nan]]).tolist(), model.sample(2, label="b", random_state=0)[1].tolist()
        (['a', 'a'], ['b', 'b'])
    """

    def __init__(
        self,
        density: Literal["gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"] = "gaussian",
        *,
        components: int = 3,
        rank: int = 10,
        shrinkage: float = 1e-6,
        borrowed: float = 0.0,
        prior: Literal["data", "uniform"] = "data",
        rounds: int = 30,
        kernels: int = 10_000,
        bandwidth: float = 0.0,
        categorical: Sequence[int] | None = None,
        random_state: Any = None,
    ) -> None:
        self.density = density
        self.components = components
        self.rank = rank
        self.shrinkage = shrinkage
        self.borrowed = borrowed
        self.prior = prior
        self.rounds = rounds
        self.kernels = kernels
        self.bandwidth = bandwidth
        self.categorical = categorical
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> GenerativeClassifier:
        """Fit to rows (N, D), NaN where a value is missing, and their labels (N,)."""
        _one_of("density", self.density, ("gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"))
        _one_of("prior", self.prior, ("data", "uniform"))
        x, numbers = self._read(X, y)
        classes, sizes, seed = len(self.classes_), self._sizes(x.shape[1]), self._seed()
        self._dtype = x.dtype
        rounds = 1
        if self.density == "kde":
            density: nn.Module = KernelDensity(classes, sizes, min(self.kernels, len(x)), self.bandwidth, seed=seed).to(
                x.dtype
            )
        else:
            many = self.density in ("mixture", "ppca-mixture")
            k = self.components if many else 1
            part = self._gaussians(classes * k, len(Columns(sizes).numbers), x.dtype)
            density = Mixture(classes, k, sizes, part, seed=seed)
            rounds = self.rounds if many or _lacks(x) else 1
        self._model = Generative(density, classes, self.prior)
        whole = list(self._batches(x, numbers))
        for _ in range(rounds):
            self._model.sweep(lambda: whole)
        return self

    def _gaussians(self, count: int, dim: int, dtype: torch.dtype) -> Gaussians:
        precision: Any = "double" if dtype == torch.float64 else "single"
        if self.density == "naive":
            return Diagonal(count, dim, self.shrinkage, self.borrowed, precision)
        if self.density == "ppca-mixture":
            return LowRank(count, dim, self.rank, self.shrinkage, self.borrowed, precision)
        return (Tied if self.density == "linear" else Full)(count, dim, self.shrinkage, self.borrowed, precision)

    def predict_joint_log_proba(self, X: Any) -> Array:
        """log p(x, y) of every class, (N, C)."""
        return self._each(self._asked(X), self._model.log_joint).astype(np.float64)

    def score_samples(self, X: Any) -> Array:
        """log p(x), (N,): outliers have the lowest."""
        return self._each(self._asked(X), self._model.log_prob).astype(np.float64)

    def sample(self, n_samples: int = 1, *, label: Any = None, random_state: Any = None) -> tuple[Array, Array]:
        """New rows and their labels: of this label, or of labels drawn from p(y)."""
        check_is_fitted(self)
        if label is not None and label not in self.classes_:
            raise ValueError(f"label={label!r} is none of the classes {self.classes_.tolist()}")
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        with torch.no_grad(), seeds.seeded(seed, "sample"):
            if label is None:
                y = self._model.draw_labels(n_samples)
            else:
                y = torch.full((n_samples,), int(np.searchsorted(self.classes_, label)))
            x = self._model.density.sample(n_samples, y).numpy().astype(np.float64)
        for j, levels in self._levels.items():
            x[:, j] = levels[x[:, j].astype(int)]
        return x, self.classes_[y.numpy()]


class _Scaled(nn.Module):
    """Features less their mean, over their spread: what a network learns from most easily."""

    def __init__(self, reader: RowFeatures, x: Tensor) -> None:
        super().__init__()
        self.reader = reader
        rows = reader(_batch(x))
        self.register_buffer("mean", rows.mean(0))
        self.register_buffer("spread", rows.std(0, correction=0).clamp_min(1e-12))

    def forward(self, batch: Batch) -> Tensor:
        return (self.reader(batch) - self.mean) / self.spread  # type: ignore[no-any-return]


def _lacks(x: Tensor) -> bool:
    """Whether a value is missing. There is no infinity among them, so that a sum tells without another table."""
    return bool(x.sum().isnan())


def _batch(x: Tensor, y: Tensor | None = None, complete: bool = False) -> Batch:
    """Rows with NaN where a value is missing as a batch."""
    if complete or not _lacks(x):
        return Batch(x, y)
    missing = x.isnan()
    return Batch(torch.where(missing, 0.0, x), y, ~missing)
