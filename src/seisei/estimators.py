"""The three classifiers as scikit-learn estimators, on arrays in memory.

    from seisei.estimators import GenerativeClassifier
    model = GenerativeClassifier(density="mixture", components=3).fit(X, y)
    model.predict_proba(X), model.score_samples(X), model.sample(10, label="yes")

They hold to scikit-learn's contract, so that they go into its pipelines, searches and cross-validations. What they are
made of is what `seisei train` makes; nothing is written to disk. A NaN is a missing value: the generative classifier
integrates it out, the others take the column's mean in its place, and are told where training rows had gaps.

What a model computes with is less the mean of each column in fitting, in units of a power of 2 near the columns' common
spread, taken in float64 before any rounding to float32: a column may count from anywhere, and in any unit. The answers
are in the units of the columns.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
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
from seisei.models.kde import KernelDensity
from seisei.models.linear import Landmarks, Planes
from seisei.models.mixture import Mixture
from seisei.nn.densities.full_covariance import Full, Tied
from seisei.nn.densities.gaussian import Diagonal, Gaussians
from seisei.nn.densities.ppca import PPCA
from seisei.nn.mlp import mlp
from seisei.nn.tabular.features import Columns, RowFeatures, Sizes
from seisei.objectives.base import Progress
from seisei.objectives.likelihood import label_loss

Array = NDArray[Any]
CHUNK = 4096
# From so many columns on float32 stays float32, which is twice as fast; with fewer all is computed in float64.
LARGE = 256


@dataclass(frozen=True)
class _Place:
    """Where the numbers of fitting lie, and how far apart: what a model computes with is (x − center)/scale.

    Arguments:
        center: of each column, (D,); 0 of one without values, and of categories.
        scale: a power of 2 near the root of the mean variance of the columns.
        numbers: which columns are numbers, (D,).
        dtype: of the result.
    """

    center: Array
    scale: float
    numbers: Array
    dtype: torch.dtype

    @classmethod
    def of(cls, X: Array, numbers: Array) -> _Place:
        """The place of these rows, NaN where a value is missing."""
        count, top = np.zeros(X.shape[1]), 0.0
        first, second = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        chunks = [slice(start, start + CHUNK) for start in range(0, len(X), CHUNK)]
        for part in chunks:
            top = max(top, float(np.nanmax(np.abs(X[part][:, numbers]), initial=0.0)))
        # Sums and squares of half the largest float64 would overflow; a power of 2 changes no digit.
        unit = math.ldexp(1.0, math.frexp(top)[1]) if top > 1e100 else 1.0
        for part in chunks:
            rows = np.where(numbers, X[part], np.nan).astype(np.float64) / unit
            count, first = count + (~np.isnan(rows)).sum(0), first + np.nansum(rows, 0)
        n = count.clip(1)
        mean, farthest = first / n, 0.0
        for part in chunks:
            rows = np.abs(np.where(numbers, X[part], np.nan).astype(np.float64) / unit - mean)
            farthest = max(farthest, float(np.nanmax(rows, initial=0.0)))
        small = math.ldexp(1.0, math.frexp(farthest)[1]) if farthest else 1.0
        for part in chunks:
            rows = (np.where(numbers, X[part], np.nan).astype(np.float64) / unit - mean) / small
            second += np.nansum(np.square(rows), 0)
        variance = (second / n)[count > 0]
        spread = math.sqrt(float(variance.mean())) if len(variance) else 0.0
        scale = math.ldexp(1.0, round(math.log2(spread))) * small * unit if spread else 1.0
        wide = X.shape[1] >= LARGE and X.dtype == np.float32
        return cls(mean * unit, scale, numbers, torch.float32 if wide else torch.float64)

    @property
    def farthest(self) -> float:
        """The largest number whose square a model may meet."""
        return 1e12 if self.dtype == torch.float32 else 1e100

    def put(self, X: Array) -> tuple[Tensor, Array]:
        """Rows as a model sees them, and by what each was shortened, (N,).

        A row beyond all that arithmetic can square is moved towards the center of the data, along its own ray: there
        all that is squared has long outgrown the rest, and which class is likeliest is decided.
        """
        found, shortened = torch.empty(X.shape, dtype=self.dtype), np.ones(len(X))
        # Where the columns lie near 0 for their spread float32 loses no digit, and is quicker.
        near = float(np.abs(self.center).max(initial=0.0)) <= 8 * self.scale
        if self.dtype == torch.float32 and near and self.numbers.all() and 1e-18 < self.scale < 1e18:
            x = torch.from_numpy(np.require(X, np.float32, "W"))
            torch.sub(x, torch.from_numpy(self.center).float(), out=found).div_(self.scale)
            # Not so where a row is far away; a gap is no number, and tells nothing.
            if (
                float(found.nan_to_num(0.0).abs().max() if bool(found.sum().isnan()) else found.abs().max())
                < self.farthest
            ):
                return found, shortened
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            # Halves, since the difference of the largest numbers overflows.
            half = X[part].astype(np.float64) / 2 - self.center / 2
            far = np.nanmax(np.abs(np.where(self.numbers, half, 0.0)), 1, initial=0.0)
            limit = self.farthest * self.scale / 2
            by = np.where(far > limit, far / limit, 1.0).clip(1.0, 1e300)
            standard = half / by[:, None] / (self.scale / 2)
            rows = np.where(self.numbers, standard, X[part])
            found[part], shortened[part] = torch.from_numpy(rows), by
        return found, shortened

    def back(self, x: Array) -> Array:
        """Rows that a model drew, in the units of the columns."""
        return np.where(self.numbers, x * self.scale + self.center, x)


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What the three have in common: from arrays to batches, and from class numbers to labels."""

    _model: Any
    _place: _Place

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _read(self, X: Any, y: Any) -> tuple[Tensor, Tensor]:
        """Arrays as tensors; `classes_` and the categories are settled here."""
        with np.errstate(over="ignore", invalid="ignore"):  # It adds all of them up, which may overflow.
            X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        self._levels = {int(j): np.unique(X[~np.isnan(X[:, j]), j]) for j in self._categorical()}
        columns = np.array([j not in self._levels for j in range(X.shape[1])])
        self._place = _Place.of(X, columns)
        return self._put(X)[0], torch.as_tensor(numbers, dtype=torch.long)

    def _categorical(self) -> Sequence[int]:
        return getattr(self, "categorical", None) or ()

    def _put(self, X: Array) -> tuple[Tensor, Array]:
        """See `_Place.put`; with each category as its number; one that was not seen in fitting counts as missing."""
        if self._levels:
            X = X.copy()
            for j, levels in self._levels.items():
                place = np.searchsorted(levels, X[:, j]).clip(0, max(0, len(levels) - 1))
                X[:, j] = np.where(levels[place] == X[:, j], place, np.nan) if len(levels) else np.nan
        return self._place.put(X)

    def _sizes(self, width: int) -> Sizes:
        if not self._levels:
            return width
        return [max(1, len(self._levels[j])) if j in self._levels else 0 for j in range(width)]

    def _batches(self, x: Tensor, y: Tensor | None = None, size: int = CHUNK) -> Iterator[Batch]:
        complete = not _lacks(x)
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            yield _batch(x[part], None if y is None else y[part], complete)

    def _asked(self, X: Any) -> tuple[Tensor, Array]:
        """New rows, and by what each was shortened."""
        check_is_fitted(self)
        with np.errstate(over="ignore", invalid="ignore"):
            X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False)
        return self._put(X)

    def _each(self, x: Tensor, answer: Any) -> Array:
        with torch.no_grad():
            found: Array = torch.cat([answer(batch) for batch in self._batches(x)]).numpy()
        return found

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))  # type: ignore[attr-defined]

    def predict(self, X: Any) -> Array:
        """The class of each row, (N,)."""
        x, _ = self._asked(X)
        labels: Array = self.classes_[self._each(x, self._model.decide)]
        return labels


class _Filling(_Classifier):
    """A classifier that cannot do without a value: the column's mean takes the place of one that is missing.

    Where training rows had gaps, a column beside says where they were.
    """

    def _fitted_tensor(self, x: Tensor) -> Tensor:
        """Training rows, whose gaps are kept."""
        self._gappy = x.isnan().any(0)
        return self._filled(x)

    def _filled(self, x: Tensor) -> Tensor:
        gaps = x.isnan()
        # The mean of a column is 0 here.
        return torch.cat([torch.where(gaps, 0.0, x), gaps[:, self._gappy].to(x.dtype)], 1)

    def _asked(self, X: Any) -> tuple[Tensor, Array]:
        x, shortened = super()._asked(X)
        return self._filled(x), shortened

    def _strength(self, l2: float) -> float:
        """A regularization of weights per unit of the columns as one of weights per unit of what the model sees."""
        return min(max(l2 / self._place.scale / self._place.scale, 1e-10 * l2), 1e10 * l2)


def _settled(unfinished: str | None) -> None:
    """Say that a fit did not converge."""
    if unfinished is not None:
        warnings.warn(unfinished, ConvergenceWarning, stacklevel=3)


def _warn_unread(estimator: BaseEstimator, choice: str, read: Mapping[str, Sequence[str]]) -> None:
    """Warn of parameters that are not as they are by default and that the choice made does not read.

    Arguments:
        estimator: with its parameters.
        choice: the parameter that decides.
        read: by the values of that parameter, what is read beside those that all read.
    """
    chosen = getattr(estimator, choice)
    for name, parameter in inspect.signature(type(estimator)).parameters.items():
        readers = [value for value, names in read.items() if name in names]
        value = getattr(estimator, name)
        if readers and chosen not in readers and value is not parameter.default and value != parameter.default:
            wanted = " or ".join(repr(each) for each in readers)
            warnings.warn(
                f"{name}={value!r} has no effect with {choice}={chosen!r}: it is used only with {choice}={wanted}",
                UserWarning,
                stacklevel=3,
            )


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(choices)}")


class _Probabilistic(_Classifier):
    """A classifier that says how sure it is."""

    def predict_log_proba(self, X: Any) -> Array:
        """log p(y | x) of every class, (N, C)."""
        return self._each(self._asked(X)[0], self._model.log_posterior).astype(np.float64)

    def predict_proba(self, X: Any) -> Array:
        """p(y | x) of every class, (N, C)."""
        return np.exp(self.predict_log_proba(X))


class DiscriminantClassifier(_Filling):
    """A surface between classes: a class, and no probability.

    Arguments:
        method: perceptron, linear (the widest margin between planes) or kernel (of a curved surface).
        l2: of the regularization, the inverse of scikit-learn's C.
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
        l2: float = 1.0,
        landmarks: int = 1000,
        gamma: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.l2 = l2
        self.landmarks = landmarks
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> DiscriminantClassifier:
        """Fit to rows (N, D) and their labels (N,)."""
        _one_of("method", self.method, ("perceptron", "linear", "kernel"))
        kernel = ("l2", "landmarks", "gamma")
        _warn_unread(self, "method", {"perceptron": (), "linear": ("l2",), "kernel": kernel})
        x, numbers = self._read(X, y)
        x = self._fitted_tensor(x)
        seed = self._seed()
        features: nn.Module = RowFeatures(x.shape[1])
        if self.method == "kernel":
            count = min(self.landmarks, len(x))
            gamma = min(self.gamma * self._place.scale * self._place.scale, 1e300)
            features = Landmarks(features, features.outputs, count, gamma, seed)  # type: ignore[arg-type]
        kind: Any = "perceptron" if self.method == "perceptron" else "margin"
        # A kernel has no unit.
        l2 = self.l2 if self.method == "kernel" else self._strength(self.l2)
        planes = Planes(features, features.outputs, len(self.classes_), kind, l2, seed)  # type: ignore[arg-type]
        self._model = Discriminant(planes).to(x.dtype)
        self._model.sweep(lambda: self._batches(x, numbers))
        _settled(self._model.unfinished)
        return self

    def decision_function(self, X: Any) -> Array:
        """The score of every class, (N, C); of two classes, how far on the second's side, (N,)."""
        x, shortened = self._asked(X)
        with np.errstate(over="ignore"):
            scores = self._each(x, self._model.surface) * shortened[:, None].astype(np.float64)
        return scores if scores.shape[1] > 2 else scores[:, 1] - scores[:, 0]


class DiscriminativeClassifier(_Filling, _Probabilistic):
    """p(y | x) by logistic regression or a network.

    Arguments:
        network: linear is scikit-learn's logistic regression; mlp has hidden layers.
        l2: of the regularization of logistic regression, the inverse of scikit-learn's C.
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
        l2: float = 1.0,
        width: int = 128,
        depth: int = 2,
        steps: int = 500,
        batch: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.l2 = l2
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
        descent = ("width", "depth", "steps", "batch", "learning_rate", "weight_decay")
        _warn_unread(self, "network", {"linear": ("l2",), "mlp": descent})
        x, numbers = self._read(X, y)
        x = self._fitted_tensor(x)
        seed, classes = self._seed(), len(self.classes_)
        reader = RowFeatures(x.shape[1])
        if self.network == "linear":
            l2 = self._strength(self.l2)
            planes = Planes(reader, reader.outputs, classes, "logistic", l2, seed)
            self._model = Discriminative(planes).to(x.dtype)
            self._model.sweep(lambda: self._batches(x, numbers))
            _settled(self._model.unfinished)
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
        pseudo_count: rows of a round cloud that are added to each Gaussian, where there are few.
        prior: of the classes: as in the data, or uniform.
        iterations: of expectation-maximization at most, where one is not enough; it ends where the likelihood stands
        still,
            and warns where it does not.
        max_points: rows that kde keeps.
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
        pseudo_count: float = 0.0,
        prior: Literal["data", "uniform"] = "data",
        iterations: int = 500,
        max_points: int = 10_000,
        bandwidth: float = 0.0,
        categorical: Sequence[int] | None = None,
        random_state: Any = None,
    ) -> None:
        self.density = density
        self.components = components
        self.rank = rank
        self.shrinkage = shrinkage
        self.pseudo_count = pseudo_count
        self.prior = prior
        self.iterations = iterations
        self.max_points = max_points
        self.bandwidth = bandwidth
        self.categorical = categorical
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> GenerativeClassifier:
        """Fit to rows (N, D), NaN where a value is missing, and their labels (N,)."""
        _one_of("density", self.density, ("gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"))
        _one_of("prior", self.prior, ("data", "uniform"))
        gaussian = ("shrinkage", "pseudo_count")
        x, numbers = self._read(X, y)
        # Rows with gaps take rounds for one Gaussian too.
        rounds_of = ("iterations",) if _lacks(x) else ()
        _warn_unread(
            self,
            "density",
            {
                **dict.fromkeys(("gaussian", "linear", "naive"), (*gaussian, *rounds_of)),
                "mixture": (*gaussian, "components", "iterations"),
                "ppca-mixture": (*gaussian, "components", "rank", "iterations"),
                "kde": ("max_points", "bandwidth"),
            },
        )
        classes, sizes, seed = len(self.classes_), self._sizes(x.shape[1]), self._seed()
        scale = self._place.scale
        if self.density == "kde":
            width = min(self.bandwidth / scale, 1e100)
            density: nn.Module = KernelDensity(classes, sizes, min(self.max_points, len(x)), width, seed=seed).to(
                x.dtype
            )
        else:
            many = self.density in ("mixture", "ppca-mixture")
            k = self.components if many else 1
            part = self._gaussians(classes * k, len(Columns(sizes).numbers), x.dtype)
            density = Mixture(classes, k, sizes, part, seed=seed)
        self._model = Generative(density, classes, self.prior)
        whole = list(self._batches(x, numbers))
        progress = Progress()
        while not progress.ended and progress.iterations < self.iterations:
            found = self._model.sweep(lambda: whole)
            progress.add(None if found is None else -float(found))
        self.n_iter_ = progress.iterations
        _settled(progress.unfinished and f"{progress.unfinished}; raise iterations={self.iterations}")
        return self

    def _gaussians(self, count: int, dim: int, dtype: torch.dtype) -> Gaussians:
        precision: Any = "double" if dtype == torch.float64 else "single"
        if self.density == "naive":
            return Diagonal(count, dim, self.shrinkage, self.pseudo_count, precision)
        if self.density == "ppca-mixture":
            return PPCA(count, dim, self.rank, self.shrinkage, self.pseudo_count, precision)
        return (Tied if self.density == "linear" else Full)(count, dim, self.shrinkage, self.pseudo_count, precision)

    def predict_joint_log_proba(self, X: Any) -> Array:
        """log p(x, y) of every class, (N, C)."""
        x, shortened = self._asked(X)
        return self._in_units(self._each(x, self._model.log_joint), x, shortened)

    def score_samples(self, X: Any) -> Array:
        """log p(x), (N,): outliers have the lowest."""
        x, shortened = self._asked(X)
        return self._in_units(self._each(x, self._model.log_prob), x, shortened)

    def _in_units(self, found: Array, x: Tensor, shortened: Array) -> Array:
        """Log-densities in the units of the columns, of rows that were shortened by so much."""
        there = (~x[:, torch.from_numpy(self._place.numbers)].isnan()).sum(1).numpy()
        more, volume = shortened, there * math.log(self._place.scale)
        if found.ndim == 2:
            more, volume = more[:, None], volume[:, None]
        with np.errstate(over="ignore"):
            # So far out a log-density is its square alone; beyond the largest number it is minus infinity.
            return np.where(more > 1, found.astype(np.float64) * more * more, found) - volume

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
            x = self._place.back(self._model.density.sample(n_samples, y).numpy().astype(np.float64))
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
