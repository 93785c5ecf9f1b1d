"""Quality of samples: comparison with held-out examples in features of a network trained on the data, or of
Inception-v3.

The default feature network is trained on the user's own data, so that distances are comparable only between models of
the same data. Distances in Inception-v3 features are comparable with published ones (`seisei.nn.inception`). The
metrics are those of `seisei.metrics.frechet`, `precision_recall` and `mode_coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.metrics.estimates import Estimate, mean_proportion, proportion
from seisei.metrics.frechet import frechet_distance, kernel_distance
from seisei.metrics.mode_coverage import modes, within_classes
from seisei.metrics.precision_recall import data_copying, nearest, neighborhoods
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.nn.inception import check_channels, loaded
from seisei.nn.tabular.features import RowFeatures
from seisei.paths import check_regular
from seisei.pipeline import BATCH, Pipeline
from seisei.recipes.classification import discriminative
from seisei.recipes.vaes import autoencoder
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.quick_fit import trained
from seisei.training.tensors import PICKLES, from_bytes, size_of

# Minimum number of examples; maximum number of training examples for the data-copying test.
FEWEST, TRAINING = 20, 10_000
# Feature width, training steps, bootstrap resamples, minimum number of examples per class.
FEATURES, STEPS, RESAMPLES, EACH = 64, 1000, 30, 20
# Minimum number of examples for neighborhoods: with fewer they are wider than classes.
FEWEST_NEIGHBORS = 50
NEIGHBOR_METRICS = "precision, recall, density, coverage"
# Maximum file size in bytes: about ten times that of Inception-v3.
LARGEST = 1 << 30
Score = dict[str, Any]
Features = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureExtractor:
    """A feature extractor, and a classifier if the data has labels.

    Arguments:
        features: batch to features, (B, F).
        posterior: batch to log p(y | x), (B, C); None without labels.
        source: description of the features.
    """

    features: Callable[[Batch], Tensor]
    posterior: Callable[[Batch], Tensor] | None
    source: str


@dataclass(frozen=True)
class Fidelity:
    """Metrics of samples.

    Arguments:
        scores: metrics, in the format of `evaluate`.
        nearest: index of the nearest training example of each sample; empty if the training data is unknown.
        samples: the samples, decoded.
        left_out: ``scores`` that could not be computed, and ``why``.
    """

    scores: list[Score]
    nearest: list[int] = field(default_factory=list)
    samples: list[Any] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)


def feature_extractor(data: Dataset, seed: int = 0) -> FeatureExtractor:
    """A feature extractor for the data, trained on its training split if needed.

    Features of rows are standardized numbers and one-hot categories; those of images are the last hidden layer of a
    classifier if there are labels, else the latent of an autoencoder.
    """
    schema, rows = data.schema, data.splits.get("train")
    labeled = isinstance(schema.y, Label) and data.y is not None and rows is not None
    if isinstance(schema.x, Table):
        features = RowFeatures(list(schema.x.sizes), missing=True)
        classifier = _classifier(data, seed) if labeled else None
        return FeatureExtractor(
            features, None if classifier is None else classifier.log_posterior, "standardized columns"
        )
    if labeled:
        classifier = _classifier(data, seed)
        return FeatureExtractor(
            classifier.trunk.before, classifier.log_posterior, "features of a classifier trained on this data"
        )
    assert rows is not None
    plan = autoencoder(Schema(schema.x), latent=FEATURES, steps=STEPS)
    encoder = _required(trained(plan, data, rows, seed))
    return FeatureExtractor(
        lambda batch: encoder.encode(batch.visible), None, "latents of an autoencoder trained on this data"
    )


def inception(path: str | Path, pipeline: Pipeline) -> FeatureExtractor:
    """A feature extractor of Inception-v3, (B, 2048), for samples of images.

    Arguments:
        path: weights, a .safetensors file with the parameter names of torchvision's `inception_v3`.
        pipeline: trained model.

    Raises:
        UserError: the model does not sample images of one or three channels, or the weights are invalid.
    """
    remedy = "omit --inception"
    if not isinstance(pipeline.schema.x, Image):
        problem = f"expects images, this model generates {pipeline.schema.x.noun}s"
        raise UserError("E-EVA-21", "--inception", problem, remedy)
    if "sample" not in pipeline.verbs:
        problem = f"compares samples, but this model cannot sample; it can: {', '.join(pipeline.verbs)}"
        raise UserError("E-EVA-22", "--inception", problem, remedy)
    check_channels(pipeline.schema.x.channels)
    network = loaded(from_bytes(_weights(Path(path)), str(path)), str(path))

    def features(batch: Batch) -> Tensor:
        found: Tensor = network(batch.x)
        if not bool(torch.isfinite(found).all()):
            raise UserError("E-EVA-27", path, "gives NaN or infinite features", "give trained weights")
        return found

    return FeatureExtractor(features, None, f"Inception-v3 features (weights {Path(path).name})")


def _weights(path: Path) -> bytes:
    """Bytes of a .safetensors file; pickles can execute code and are refused."""
    if path.suffix in PICKLES:
        remedy = (
            "convert it once: safetensors.torch.save_file("
            f"torch.load({path.name!r}, weights_only=True), {path.with_suffix('.safetensors').name!r})"
        )
        raise UserError("E-EVA-26", path, "is a pickle, wanted a .safetensors file", remedy)
    check_regular(path, code="E-EVA-25")
    try:
        if (size := size_of(path)) > LARGEST:
            raise UserError(
                "E-EVA-27",
                path,
                f"has {size:,} bytes, too many for Inception-v3",
                "give the weights of Inception-v3 only",
            )
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
        raise UserError("E-EVA-25", path, problem, "give a readable .safetensors file") from error


def _classifier(data: Dataset, seed: int, steps: int = STEPS) -> Any:
    plan = discriminative(data.schema, steps=steps)
    layers = plan.objective.arguments["model"].arguments["trunk"].arguments["layers"]
    assert isinstance(layers, Spec)
    if "hidden" in layers.arguments:
        plan = plan.override("objective.model.trunk.layers.hidden", FEATURES)
    assert data.y is not None
    rows = data.splits["train"]
    return _required(trained(plan, data, rows[data.y[rows] >= 0], seed))


def _required(model: Any) -> Any:
    if model is None:
        remedy = "check the data for outliers with seisei check"
        raise UserError("E-EVA-24", "evaluate", "training a feature network on this data diverged", remedy)
    return model


@torch.no_grad()
def fidelity(
    pipeline: Pipeline,
    data: Dataset,
    *,
    split: str,
    limit: int,
    seed: int = 0,
    features: FeatureExtractor | None = None,
) -> Fidelity:
    """Generate as many samples as there are real examples in a split, of the same classes, and compare them.

    Arguments:
        pipeline: trained model that samples.
        data: data with a training split; data copying is tested if the model was trained on it.
        split: name of the split to compare with.
        limit: maximum number of examples.
        seed: seed of sampling and of the feature extractor.
        features: feature extractor for distances, such as `inception`; data copying and classes always use one that
            is trained on the data.

    Raises:
        UserError: fewer than 20 examples in the split.
    """
    real = data.subset(data.splits[split][:limit])
    if len(real) < FEWEST:
        noun = pipeline.schema.x.noun
        problem = f"{len(real)} {noun}s, wanted at least {FEWEST} to compare samples with"
        larger = [name for name, rows in data.splits.items() if min(limit, len(rows)) >= FEWEST]
        remedy = f"choose a larger split: --split {larger[0]}" if larger else f"give --data with more {noun}s"
        raise UserError("E-EVA-24", f"--split {split}", problem, remedy, found=len(real), wanted=FEWEST)
    with torch.enable_grad():
        extractor = feature_extractor(data, seed)
    label = data.schema.y
    labels = real.y if pipeline.conditional else None
    names = None if labels is None or label is None else [label.decode(y) for y in label.unpack(labels)]
    samples = pipeline.sample(len(real), seed=seed, label=names)
    generated = _batches(pipeline.schema, samples, labels)
    x, y = _features(extractor.features, pipeline.batches(real)), _features(extractor.features, generated)
    note = f"in {extractor.source}; comparable only between models of the same data"
    if features is None:
        scores = _distances(x, y, note, seed)
    else:
        x_other, y_other = (_features(features.features, b) for b in (pipeline.batches(real), generated))
        scores = _distances(
            x_other, y_other, f"in {features.source}, of {len(real):,} {pipeline.schema.x.noun}s each", seed
        )
        plain = frechet_distance(x_other, y_other, resamples=2).value
        rest = ", of which a third or more remains" if len(real) < x_other.shape[1] else ""
        scores[0]["note"] += f"; {plain:.4g} without bias correction{rest}"
    neighbors: list[int] = []
    if data.fingerprint == pipeline.card.get("data", {}).get("fingerprint") and split != "train":
        training = _features(extractor.features, pipeline.batches(data.subset(data.splits["train"][:TRAINING])))
        note = "how often a sample is closer to the training data than a held-out example is: expected 0.5 when "
        note += "nothing is copied, close to 1 for copies, below 0.5 for samples far from the data"
        scores.append({**_score("copies", data_copying(y, training, x), note, "nearer to 0.5", "share"), "chance": 0.5})
        neighbors = data.splits["train"][torch.from_numpy(nearest(y, training)[0])].tolist()
    left: list[dict[str, str]] = []
    if len(real) < FEWEST_NEIGHBORS:
        noun = pipeline.schema.x.noun
        left.append(
            {"scores": NEIGHBOR_METRICS, "why": f"{len(real)} {split} {noun}s, at least {FEWEST_NEIGHBORS} required"}
        )
    if extractor.posterior is not None and isinstance(label, Label):
        scores += _by_classes(extractor.posterior, pipeline, real, generated, x, y, labels, extractor.source)
        if labels is not None and "Fréchet distance inside classes" not in {score["name"] for score in scores}:
            why = f"at least {EACH} {split} {pipeline.schema.x.noun}s of each class required"
            left.append({"scores": "Fréchet distance inside classes", "why": why})
    return Fidelity(scores, neighbors, samples, left)


@torch.no_grad()
def classification_accuracy(
    pipeline: Pipeline, data: Dataset, *, split: str, limit: int, drawn: int = TRAINING, steps: int = STEPS,
    seed: int = 0,
) -> tuple[Estimate, Estimate]:  # fmt: skip
    """The classification accuracy score: accuracy on real examples of a classifier trained on samples only, and of one
    trained on as many real examples.

    It is low if classes are mixed up, samples look wrong, or variety is missing, which distances may miss
    (*Classification Accuracy Score for Conditional Generative Models (Ravuri, Vinyals, 2019)*).

    Arguments:
        pipeline: trained class-conditional model.
        data: labeled data.
        split: name of the split that both classifiers are tested on.
        limit: maximum number of test examples.
        drawn: maximum number of training examples of each classifier, with the class frequencies of the data.
        steps: training steps of each classifier.
        seed: seed of sampling and of the classifiers.

    Raises:
        UserError: training a classifier diverged.
    """
    assert isinstance(data.schema.y, Label) and data.y is not None
    rows = data.splits["train"]
    known = rows[data.y[rows] >= 0]
    known = known[torch.randperm(len(known), generator=seeds.generator(seed, "lesson"))[:drawn]]
    names = [data.schema.y.names[int(y)] for y in data.y[known]]
    samples = pipeline.sample(len(known), seed=seed, label=names)
    if isinstance(data.schema.x, Table):
        samples = [{name: row[name] for name in data.schema.x.names} for row in samples]
    real = data.subset(known)
    generated = replace(real, x=torch.stack([data.schema.x.pack(sample) for sample in samples]))
    part = data.subset(data.splits[split][:limit])
    found = []
    for training in (generated, real):
        with torch.enable_grad():
            classifier = _classifier(replace(training, splits={"train": torch.arange(len(known))}), seed, steps)
        predicted = torch.cat([classifier.decide(batch) for batch in pipeline.batches(part)])
        found.append(proportion((predicted == part.y)[part.y >= 0].numpy()))  # type: ignore[operator, index]
    return found[0], found[1]


def _distances(x: Features, y: Features, note: str, seed: int) -> list[Score]:
    """Distances between real examples and samples, and precision, recall, density and coverage."""
    subsets = max(2, min(10, len(x) // 10))
    distances = [
        _score("Fréchet distance", frechet_distance(x, y, corrected=True, resamples=RESAMPLES, seed=seed), note),
        _score("kernel distance", kernel_distance(x, y, subsets=subsets, seed=seed), note),
    ]
    if len(x) < FEWEST_NEIGHBORS:
        return distances
    near = neighborhoods(x, y)
    dense = (
        "number of real neighborhoods that contain a sample, relative to that of real data: 1 is ideal, higher means "
        "samples concentrated where the data is dense"
    )
    return [
        *distances,
        _score(
            "precision",
            near.precision,
            "fidelity: proportion of samples that are close to a real example",
            "higher",
            "share",
        ),
        _score(
            "recall",
            near.recall,
            "diversity: proportion of real examples that are close to a sample",
            "higher",
            "share",
        ),
        _score("density", near.density, dense, "higher"),
        _score(
            "coverage",
            near.coverage,
            "diversity, robust to outliers: proportion of real examples with a sample in their neighborhood",
            "higher",
            "share",
        ),
    ]


def _by_classes(
    posterior: Callable[[Batch], Tensor], pipeline: Pipeline, real: Dataset, generated: list[Batch],
    x: Features, y: Features, labels: Tensor | None, source: str,
) -> list[Score]:  # fmt: skip
    """Label fidelity of a conditional model; mode coverage and class frequencies of an unconditional one."""
    assert real.y is not None and isinstance(pipeline.schema.y, Label)
    known = real.y >= 0
    predicted_real = torch.cat([posterior(b).argmax(1) for b in pipeline.batches(real)])
    predicted = torch.cat([posterior(b).argmax(1) for b in generated])
    own = float((predicted_real == real.y)[known].double().mean())
    judge = f"by a classifier with an accuracy of {own:.1%} on real ones"
    if labels is None:
        shares = np.bincount(real.y[known].numpy(), minlength=pipeline.schema.y.classes) / int(known.sum())
        coverage = modes(predicted.numpy(), shares / shares.sum())
        covered = float(coverage.hit)
        note = f"classes, of {coverage.total}, with at least one of {len(predicted)} samples, {judge}"
        scores = [_score("kinds drawn", Estimate(covered, float("nan")), note, "higher", "classes")]
        if np.isfinite(coverage.corrected):
            divergence = Estimate(coverage.corrected, coverage.divergence.error)
            scores.append(
                _score(
                    "reverse KL of kinds",
                    divergence,
                    f"divergence of the class frequencies from those of the data, 0 if they agree; {judge}",
                    "lower",
                    "nats",
                )
            )
        return scores
    correct = (predicted == labels).numpy()
    present, counts_of = np.unique(labels.numpy(), return_counts=True)
    chance = float(counts_of.max() / counts_of.sum())
    note = f"proportion of samples of the requested class, {judge}; a single class would give {chance:.1%}"
    scores = [{**_score("label fidelity", proportion(correct), note, "higher", "share"), "chance": chance}]
    each = mean_proportion([proportion(correct[labels.numpy() == c]) for c in present])
    note = f"mean label fidelity over {len(present)} classes; chance gives {1 / len(present):.1%}"
    scores.append({**_score("balanced label fidelity", each, note, "higher", "share"), "chance": 1 / len(present)})
    counts = torch.bincount(labels, minlength=2)
    if int(counts[counts > 0].min()) >= EACH:
        inside = within_classes(
            lambda a, b: frechet_distance(a, b, corrected=True, resamples=RESAMPLES),
            x,
            labels.numpy(),
            y,
            labels.numpy(),
        )
        scores.append(_score("Fréchet distance inside classes", inside.mean, f"mean over classes, in {source}"))
    return scores


def _batches(schema: Schema, samples: list[Any], y: Tensor | None) -> list[Batch]:
    """Samples as model inputs, rounded to storable values like real examples."""
    stored = torch.stack([schema.x.pack(sample) for sample in samples])
    return list(Batch(schema.x.unpack(stored), y, schema.x.observed(stored)).split(BATCH))


def _features(features: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Features:
    return torch.cat([features(batch) for batch in batches]).double().numpy()


def _score(name: str, found: Estimate, note: str, better: str = "lower", unit: str = "") -> Score:
    return {"name": name, **found.to_json(), "unit": unit, "better": better, "note": note}
