"""How good what a model draws is: compared with examples that it has not seen, in features of a network that is trained
on the person's own data, or in those of Inception-v3 where the person has its weights.

There is no network here that others trained on other images, so that the distances are in units of their own: they
compare models of the same data, and nothing else. Those of Inception-v3 are in the units of published ones, see
`seisei.nn.inception`. What is counted, see `seisei.metrics.frechet`, `neighbors` and `kinds`.
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
from seisei.data.read import Dataset
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

# Fewer examples say nothing; of more training examples than this the rest is not looked at for copies.
FEWEST, TRAINING = 20, 10_000
FEATURES, STEPS, RESAMPLES, EACH = 64, 1000, 30, 20
# Neighborhoods of so few examples are wider than the classes that lie in them.
CROWD = 50
AMONG = "precision, recall, density, coverage"
# Inception-v3 has a tenth of that; a larger file holds something else.
LARGEST = 1 << 30
Score = dict[str, Any]
Found = NDArray[np.float64]


@dataclass(frozen=True)
class Reader:
    """What is read of examples.

    Arguments:
        features: (B, F) of a batch.
        posterior: log p(y | x), (B, C), where the data have labels.
        source: what the features are, in words.
    """

    features: Callable[[Batch], Tensor]
    posterior: Callable[[Batch], Tensor] | None
    source: str


@dataclass(frozen=True)
class Fidelity:
    """What was found.

    Arguments:
        scores: as `finish.evaluate` gives them.
        nearest: of each drawn example the number of the nearest training example, empty where those are not known.
        drawn: what was drawn, as a person knows it.
        left_out: ``scores`` that so few examples do not give, and ``why``.
    """

    scores: list[Score]
    nearest: list[int] = field(default_factory=list)
    drawn: list[Any] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)


def reader(data: Dataset, seed: int = 0) -> Reader:
    """A reader of examples like these, trained on their training part where that takes training.

    Of rows the numbers, standardized, and a 1 for each category; of images the last features of a classifier where
    they have labels, else the code of an autoencoder.
    """
    schema, rows = data.schema, data.splits.get("train")
    labeled = isinstance(schema.y, Label) and data.y is not None and rows is not None
    if isinstance(schema.x, Table):
        features = RowFeatures(list(schema.x.sizes), missing=True)
        classifier = _classifier(data, seed) if labeled else None
        return Reader(features, None if classifier is None else classifier.log_posterior, "the columns, standardized")
    if labeled:
        classifier = _classifier(data, seed)
        return Reader(classifier.trunk.before, classifier.log_posterior, "features of a classifier of these data")
    assert rows is not None
    plan = autoencoder(Schema(schema.x), latent=FEATURES, steps=STEPS)
    code = _sound(trained(plan, data, rows, seed))
    return Reader(lambda batch: code.encode(batch.visible), None, "codes of an autoencoder of these data")


def inception(path: str | Path, pipeline: Pipeline) -> Reader:
    """A reader of the features of Inception-v3, (B, 2048), for the images that a model draws.

    Arguments:
        path: of its weights, a .safetensors file with the names of torchvision's `inception_v3`.
        pipeline: the model.

    Raises:
        UserError: the model does not draw images of one channel or three; or there are no such weights.
    """
    aside = "leave --inception out"
    if not isinstance(pipeline.schema.x, Image):
        problem = f"reads images, and this model has {pipeline.schema.x.noun}s"
        raise UserError("E-EVA-21", "--inception", problem, aside)
    if "sample" not in pipeline.verbs:
        problem = f"compares what is drawn, and this model cannot sample; it can: {', '.join(pipeline.verbs)}"
        raise UserError("E-EVA-22", "--inception", problem, aside)
    check_channels(pipeline.schema.x.channels)
    network = loaded(from_bytes(_weights(Path(path)), str(path)), str(path))

    def features(batch: Batch) -> Tensor:
        found: Tensor = network(batch.x)
        if not bool(torch.isfinite(found).all()):
            raise UserError("E-EVA-27", path, "gives features that are not finite", "give weights that were trained")
        return found

    return Reader(features, None, f"Inception-v3 features (weights {Path(path).name})")


def _weights(path: Path) -> bytes:
    """A .safetensors file's bytes; a pickle could run a stranger's code, and is not opened."""
    if path.suffix in PICKLES:
        remedy = (
            "convert it once: safetensors.torch.save_file("
            f"torch.load({path.name!r}, weights_only=True), {path.with_suffix('.safetensors').name!r})"
        )
        raise UserError("E-EVA-26", path, "is a pickle, wanted a .safetensors file", remedy)
    check_regular(path, code="E-EVA-25")
    try:
        if (size := size_of(path)) > LARGEST:
            raise UserError("E-EVA-27", path, f"{size:,} bytes are too many for Inception-v3", "give its weights only")
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
        raise UserError("E-EVA-25", path, problem, "give a .safetensors file that is there") from error


def _classifier(data: Dataset, seed: int, steps: int = STEPS) -> Any:
    plan = discriminative(data.schema, steps=steps)
    layers = plan.objective.arguments["model"].arguments["trunk"].arguments["layers"]
    assert isinstance(layers, Spec)
    if "hidden" in layers.arguments:
        plan = plan.override("objective.model.trunk.layers.hidden", FEATURES)
    assert data.y is not None
    rows = data.splits["train"]
    return _sound(trained(plan, data, rows[data.y[rows] >= 0], seed))


def _sound(model: Any) -> Any:
    if model is None:
        remedy = "check the data for values that are far off: seisei check"
        raise UserError("E-EVA-24", "evaluate", "a network could not be trained on these data", remedy)
    return model


@torch.no_grad()
def fidelity(
    pipeline: Pipeline, data: Dataset, *, split: str, limit: int, seed: int = 0, seen: Reader | None = None
) -> Fidelity:
    """Draw as many examples as there are real ones in a part of the data, of the same kinds, and compare.

    Arguments:
        pipeline: the model; it samples.
        data: with a training part, that of the model itself if copies are to be found.
        split: the part that is compared with.
        limit: examples looked at, at most.
        seed: of what is drawn, and of the reader.
        seen: what the distances between real and drawn ones are measured in, such as `inception`; copies and kinds
            are always told by a reader of these data.

    Raises:
        UserError: fewer than 20 examples to compare with.
    """
    real = data.subset(data.splits[split][:limit])
    if len(real) < FEWEST:
        noun = pipeline.schema.x.noun
        problem = f"{len(real)} {noun}s, wanted at least {FEWEST} to compare what is drawn with"
        larger = [name for name, rows in data.splits.items() if min(limit, len(rows)) >= FEWEST]
        remedy = f"choose a larger part: --split {larger[0]}" if larger else f"give --data with more {noun}s"
        raise UserError("E-EVA-24", f"--split {split}", problem, remedy, found=len(real), wanted=FEWEST)
    with torch.enable_grad():
        read = reader(data, seed)
    label = data.schema.y
    asked = real.y if pipeline.conditional else None
    names = None if asked is None or label is None else [label.decode(told) for told in label.unpack(asked)]
    raw = pipeline.sample(len(real), seed=seed, label=names)
    drawn = _batches(pipeline.schema, raw, asked)
    x, y = _read(read.features, pipeline.batches(real)), _read(read.features, drawn)
    told = f"in {read.source}; it compares models of the same data"
    if seen is None:
        scores = _distances(x, y, told, seed)
    else:
        ours, theirs = _read(seen.features, pipeline.batches(real)), _read(seen.features, drawn)
        scores = _distances(ours, theirs, f"in {seen.source}, of {len(real):,} {pipeline.schema.x.noun}s each", seed)
        plain = frechet_distance(ours, theirs, resamples=2).value
        rest = ", of which a third or more is left" if len(real) < ours.shape[1] else ""
        scores[0]["note"] += f"; {plain:.4g} before the bias of few is taken off{rest}"
    found: list[int] = []
    if data.fingerprint == pipeline.card.get("data", {}).get("fingerprint") and split != "train":
        training = _read(read.features, pipeline.batches(data.subset(data.splits["train"][:TRAINING])))
        note = (
            "how often a sample lies nearer to the training examples than a held-out example does; expected 0.5 when "
        )
        note += "nothing is copied, towards 1 for copies, below 0.5 for samples far from the data"
        scores.append({**_score("copies", data_copying(y, training, x), note, "nearer to 0.5", "share"), "chance": 0.5})
        found = data.splits["train"][torch.from_numpy(nearest(y, training)[0])].tolist()
    left: list[dict[str, str]] = []
    if len(real) < CROWD:
        noun = pipeline.schema.x.noun
        left.append({"scores": AMONG, "why": f"{len(real)} {split} {noun}s, wanted at least {CROWD}"})
    if read.posterior is not None and isinstance(label, Label):
        scores += _by_classes(read.posterior, pipeline, real, drawn, x, y, asked, read.source)
        if asked is not None and "Fréchet distance inside classes" not in {score["name"] for score in scores}:
            why = f"wanted at least {EACH} {split} {pipeline.schema.x.noun}s of each class"
            left.append({"scores": "Fréchet distance inside classes", "why": why})
    return Fidelity(scores, found, raw, left)


@torch.no_grad()
def classification_accuracy(
    pipeline: Pipeline, data: Dataset, *, split: str, limit: int, drawn: int = TRAINING, steps: int = STEPS,
    seed: int = 0,
) -> tuple[Estimate, Estimate]:  # fmt: skip
    """How often a classifier is right on real examples that learned from drawn ones alone, and one that learned from as
    many real ones.

    It is low where kinds are mixed up, where examples look wrong, and where they lack variety: what distances may
    overlook (*Classification Accuracy Score for Conditional Generative Models (Ravuri, Vinyals, 2019)*).

    Arguments:
        pipeline: a model that draws what label is asked for.
        data: with the labels of real examples.
        split: the part of it that both are asked about.
        limit: examples of that part, at most.
        drawn: examples to learn from, at most as many as there are for training, and of the same kinds.
        steps: updates of each classifier.
        seed: of what is drawn, and of the classifiers.

    Raises:
        UserError: a classifier could not be trained.
    """
    assert isinstance(data.schema.y, Label) and data.y is not None
    rows = data.splits["train"]
    known = rows[data.y[rows] >= 0]
    known = known[torch.randperm(len(known), generator=seeds.generator(seed, "lesson"))[:drawn]]
    names = [data.schema.y.names[int(kind)] for kind in data.y[known]]
    raw = pipeline.sample(len(known), seed=seed, label=names)
    if isinstance(data.schema.x, Table):
        raw = [{name: row[name] for name in data.schema.x.names} for row in raw]
    real = data.subset(known)
    made = replace(real, x=torch.stack([data.schema.x.pack(thing) for thing in raw]))
    part = data.subset(data.splits[split][:limit])
    found = []
    for lesson in (made, real):
        with torch.enable_grad():
            classifier = _classifier(replace(lesson, splits={"train": torch.arange(len(known))}), seed, steps)
        told = torch.cat([classifier.decide(batch) for batch in pipeline.batches(part)])
        found.append(proportion((told == part.y)[part.y >= 0].numpy()))  # type: ignore[operator, index]
    return found[0], found[1]


def _distances(x: Found, y: Found, told: str, seed: int) -> list[Score]:
    """How far apart real and drawn examples are, and how they lie among each other."""
    subsets = max(2, min(10, len(x) // 10))
    apart = [
        _score("Fréchet distance", frechet_distance(x, y, corrected=True, resamples=RESAMPLES, seed=seed), told),
        _score("kernel distance", kernel_distance(x, y, subsets=subsets, seed=seed), told),
    ]
    if len(x) < CROWD:
        return apart
    near = neighborhoods(x, y)
    dense = (
        "neighborhoods of real examples that a sample lies in, over what is usual for the data themselves: 1 is ideal"
    )
    return [
        *apart,
        _score(
            "precision", near.precision, "samples that lie in the neighborhood of a real example", "higher", "share"
        ),
        _score("recall", near.recall, "real examples that lie in the neighborhood of a sample", "higher", "share"),
        _score("density", near.density, dense, "higher"),
        _score("coverage", near.coverage, "real examples with a sample in their neighborhood", "higher", "share"),
    ]


def _by_classes(
    posterior: Callable[[Batch], Tensor], pipeline: Pipeline, real: Dataset, drawn: list[Batch], x: Found, y: Found,
    asked: Tensor | None, source: str,
) -> list[Score]:  # fmt: skip
    """Whether kinds are what was asked for, or, where none was, as frequent as in the data."""
    assert real.y is not None and isinstance(pipeline.schema.y, Label)
    known = real.y >= 0
    told_real = torch.cat([posterior(b).argmax(1) for b in pipeline.batches(real)])
    told = torch.cat([posterior(b).argmax(1) for b in drawn])
    own = float((told_real == real.y)[known].double().mean())
    judge = f"by a classifier that is right on {own:.1%} of the real ones"
    if asked is None:
        shares = np.bincount(real.y[known].numpy(), minlength=pipeline.schema.y.classes) / int(known.sum())
        hit = modes(told.numpy(), shares / shares.sum())
        there = float(hit.hit)
        note = f"classes of {hit.total} that at least one of {len(told)} samples shows, {judge}"
        kinds = [_score("kinds drawn", Estimate(there, float("nan")), note, "higher", "classes")]
        if np.isfinite(hit.corrected):
            divergence = Estimate(hit.corrected, hit.divergence.error)
            kinds.append(
                _score(
                    "reverse KL of kinds",
                    divergence,
                    f"how far the shares of classes are from the data's, 0 where they agree; {judge}",
                    "lower",
                    "nats",
                )
            )
        return kinds
    right = (told == asked).numpy()
    present, often = np.unique(asked.numpy(), return_counts=True)
    level = float(often.max() / often.sum())
    note = f"samples that show the class asked for, {judge}; one class for all would give {level:.1%}"
    kinds = [{**_score("label fidelity", proportion(right), note, "higher", "share"), "chance": level}]
    each = mean_proportion([proportion(right[asked.numpy() == c]) for c in present])
    note = f"the mean over {len(present)} classes of the share that shows them; {1 / len(present):.1%} by chance"
    kinds.append({**_score("balanced label fidelity", each, note, "higher", "share"), "chance": 1 / len(present)})
    counts = torch.bincount(asked, minlength=2)
    if int(counts[counts > 0].min()) >= EACH:
        inside = within_classes(
            lambda a, b: frechet_distance(a, b, corrected=True, resamples=RESAMPLES), x, asked.numpy(), y, asked.numpy()
        )
        kinds.append(_score("Fréchet distance inside classes", inside.mean, f"the mean over classes, in {source}"))
    return kinds


def _batches(schema: Schema, raw: list[Any], y: Tensor | None) -> list[Batch]:
    """Drawn things as a model sees them, rounded to what can be stored as real ones are."""
    stored = torch.stack([schema.x.pack(thing) for thing in raw])
    return list(Batch(schema.x.unpack(stored), y, schema.x.observed(stored)).split(BATCH))


def _read(features: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Found:
    return torch.cat([features(batch) for batch in batches]).double().numpy()


def _score(name: str, found: Estimate, note: str, better: str = "lower", unit: str = "") -> Score:
    return {"name": name, **found.to_json(), "unit": unit, "better": better, "note": note}
