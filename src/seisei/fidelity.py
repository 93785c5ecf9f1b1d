"""How good what a model draws is: compared with examples that it has not seen, in features of a network that is trained
on the person's own data.

There is no network here that others trained on other pictures, so that the distances are in units of their own: they
compare models of the same data, and nothing else. What is counted, see `seisei.evaluation.drawn`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.batch import Batch
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.evaluation.drawn import (
    Estimate,
    copied,
    frechet_distance,
    kernel_distance,
    modes,
    nearest,
    neighbourhoods,
    within_classes,
)
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.nn.columns import RowFeatures
from seisei.pipeline import BATCH, Pipeline
from seisei.recipes.classification import discriminative
from seisei.recipes.vaes import autoencoder
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.brief import trained

# Fewer examples say nothing; of more training examples than this the rest is not looked at for copies.
FEWEST, TRAINING = 20, 10_000
FEATURES, STEPS, RESAMPLES, EACH = 64, 1000, 30, 20
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
    """

    scores: list[Score]
    nearest: list[int] = field(default_factory=list)
    drawn: list[Any] = field(default_factory=list)


def reader(data: Dataset, seed: int = 0) -> Reader:
    """A reader of examples like these, trained on their training part where that takes training.

    Of rows the numbers, standardised, and a 1 for each category; of pictures the last features of a classifier where
    they have labels, else the code of an autoencoder.
    """
    schema, rows = data.schema, data.splits.get("train")
    labelled = isinstance(schema.y, Label) and data.y is not None and rows is not None
    if isinstance(schema.x, Table):
        features = RowFeatures(list(schema.x.sizes), missing=True)
        classifier = _classifier(data, seed) if labelled else None
        return Reader(features, None if classifier is None else classifier.log_posterior, "the columns, standardised")
    if labelled:
        classifier = _classifier(data, seed)
        return Reader(classifier.trunk.before, classifier.log_posterior, "features of a classifier of these data")
    assert rows is not None
    plan = autoencoder(Schema(schema.x), latent=FEATURES, steps=STEPS)
    code = _sound(trained(plan, data, rows, seed))
    return Reader(lambda batch: code.encode(batch.visible), None, "codes of an autoencoder of these data")


def _classifier(data: Dataset, seed: int) -> Any:
    plan = discriminative(data.schema, steps=STEPS)
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
def fidelity(pipeline: Pipeline, data: Dataset, *, split: str, most: int, seed: int = 0) -> Fidelity:
    """Draw as many examples as there are real ones in a part of the data, of the same kinds, and compare.

    Arguments:
        pipeline: the model; it samples.
        data: with a training part, that of the model itself if copies are to be found.
        split: the part that is compared with.
        most: examples looked at, at most.
        seed: of what is drawn, and of the reader.

    Raises:
        UserError: fewer than 20 examples to compare with.
    """
    real = data.subset(data.splits[split][:most])
    if len(real) < FEWEST:
        noun = pipeline.schema.x.noun
        problem = f"{len(real)} {noun}s, wanted at least {FEWEST} to compare what is drawn with"
        raise UserError(
            "E-EVA-24", f"--split {split}", problem, "choose a larger part, as --split train, or more --data"
        )
    with torch.enable_grad():
        read = reader(data, seed)
    label = data.schema.y
    asked = real.y if pipeline.conditional else None
    names = None if asked is None or not isinstance(label, Label) else [label.names[int(i)] for i in asked]
    raw = pipeline.sample(len(real), seed=seed, label=names)
    drawn = _batches(pipeline.schema, raw, asked)
    x, y = _read(read.features, pipeline.batches(real)), _read(read.features, drawn)
    told = f"in {read.source}; it compares models of the same data"

    near = neighbourhoods(x, y)
    subsets = max(2, min(10, len(real) // 10))
    scores = [
        _score("Fréchet distance", frechet_distance(x, y, corrected=True, resamples=RESAMPLES, seed=seed), told),
        _score("kernel distance", kernel_distance(x, y, subsets=subsets, seed=seed), told),
        _score("precision", near.precision, "drawn examples that lie among real ones", "higher", "share"),
        _score("recall", near.recall, "real examples that lie among drawn ones", "higher", "share"),
        _score(
            "density", near.density, "how thickly real examples lie round drawn ones; 1 as among themselves", "higher"
        ),
        _score("coverage", near.coverage, "real examples with a drawn one near", "higher", "share"),
    ]
    found: list[int] = []
    if data.fingerprint == pipeline.card.get("data", {}).get("fingerprint") and split != "train":
        training = _read(read.features, pipeline.batches(data.subset(data.splits["train"][:TRAINING])))
        note = "drawn examples nearer to a training example than held-out ones are; ½ where nothing is copied"
        scores.append(_score("copies", copied(y, training, x), note, "lower", "share"))
        found = data.splits["train"][torch.from_numpy(nearest(y, training)[0])].tolist()
    if read.posterior is not None and isinstance(label, Label):
        scores += _by_classes(read.posterior, pipeline, real, drawn, x, y, asked)
    return Fidelity(scores, found, raw)


def _by_classes(
    posterior: Callable[[Batch], Tensor], pipeline: Pipeline, real: Dataset, drawn: list[Batch], x: Found, y: Found,
    asked: Tensor | None,
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
        note = f"of {hit.total}, {judge}"
        kinds = [_score("kinds drawn", Estimate(there, float("nan")), note, "higher", "classes")]
        if np.isfinite(hit.corrected):
            divergence = Estimate(hit.corrected, hit.divergence.error)
            kinds.append(_score("reverse KL of kinds", divergence, f"drawn from real shares, {judge}", "lower", "nats"))
        return kinds
    right = (told == asked).double()
    share = float(right.mean())
    as_asked = Estimate(share, float(np.sqrt(share * (1 - share) / len(right))))
    kinds = [_score("label fidelity", as_asked, f"drawn as asked for, {judge}", "higher", "share")]
    counts = torch.bincount(asked, minlength=2)
    if int(counts[counts > 0].min()) >= EACH:
        inside = within_classes(
            lambda a, b: frechet_distance(a, b, corrected=True, resamples=RESAMPLES), x, asked.numpy(), y, asked.numpy()
        )
        kinds.append(_score("Fréchet distance inside classes", inside.mean, "the mean over kinds"))
    return kinds


def _batches(schema: Schema, raw: list[Any], y: Tensor | None) -> list[Batch]:
    """Drawn things as a model sees them, rounded to what can be stored as real ones are."""
    stored = torch.stack([schema.x.pack(thing) for thing in raw])
    return list(Batch(schema.x.unpack(stored), y, schema.x.observed(stored)).split(BATCH))


def _read(features: Callable[[Batch], Tensor], batches: list[Batch]) -> Found:
    return torch.cat([features(batch) for batch in batches]).double().numpy()


def _score(name: str, found: Estimate, note: str, better: str = "lower", unit: str = "") -> Score:
    error = found.error if np.isfinite(found.error) else None
    return {"name": name, "value": found.value, "error": error, "unit": unit, "better": better, "note": note}
