"""Evaluation of a finished run: metrics, figures, and the report."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.capabilities import ClassConditional, Encodes, Samples, Stylizes, Translates
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.evaluation import style_transfer
from seisei.evaluation.sample_quality import FEWEST, Fidelity, classification_accuracy, fidelity
from seisei.evaluation.sample_quality import inception as inception_of
from seisei.evaluation.translation import Judge, answered, sheet_of
from seisei.evaluation.translation import scores as translated
from seisei.metrics.classification import Predictions, calibration
from seisei.metrics.estimates import Floats
from seisei.metrics.likelihood import mean_and_error
from seisei.metrics.spectrum import CHECKERBOARD, energy_ratios, high_frequency_energy, high_frequency_ratio
from seisei.modalities.image import Image
from seisei.modalities.image_io import png_bytes
from seisei.modalities.label import Label
from seisei.modalities.pixels import grid, shown
from seisei.pipeline import Pipeline
from seisei.progress import part as work
from seisei.report.run_report import write_report
from seisei.schema import Schema
from seisei.training.run import RunFolder

# Samples in a grid, its rows, and rows of an interpolation.
SHEET, SHEET_ROWS, WALKS = 64, 8, 3
# Metrics that compare samples with held-out examples.
SAMPLE_METRICS = "Fréchet distance, kernel distance, precision, recall, density, coverage"
# Maximum number of examples evaluated, importance samples, points in the latent map, pairs in a figure.
EVALUATED, IMPORTANCE_SAMPLES, MAPPED, PAIRS = 1000, 64, 2000, 16
# Maximum number of classes with a column each; columns of a grid for more classes; rows of a generated table.
COLUMNS, ACROSS, ROWS = 16, 10, 12
# Maximum number of held-out images for high-frequency energy during training.
REFERENCES = 512


def only_draws(pipeline: Pipeline) -> bool:
    """Whether the model samples but has no likelihood, so that its samples are compared with the data."""
    return "sample" in pipeline.verbs and "score" not in pipeline.verbs


def held_out(data: Dataset) -> str | None:
    """The split that a finished run is evaluated on: test, else validation; None if nothing was held out."""
    return next((name for name in ("test", "validation") if len(data.splits.get(name, ()))), None)


def unlearned(data: Dataset, part: Dataset | None = None) -> list[str]:
    """Names of the classes of examples that do not occur in the training split."""
    train, label = data.splits.get("train"), data.schema.y
    if train is None or not len(train) or data.y is None or not isinstance(label, Label):
        return []
    y = data.y if part is None or part.y is None else part.y
    unseen = set(y[y >= 0].tolist()) - set(data.y[train].tolist())
    return [label.names[number] for number in sorted(unseen)]


def listed(classes: Sequence[str]) -> str:
    """Class names as the subject of a sentence, at most five.

    Example:
        >>> listed(["cat"]), listed(["cat", "owl"])
        ("class 'cat' is", "classes 'cat', 'owl' are")
    """
    some = ", ".join(map(repr, classes[:5])) + (", …" if len(classes) > 5 else "")
    return f"class{'es' if len(classes) > 1 else ''} {some} {'are' if len(classes) > 1 else 'is'}"


def looked_at(data: Dataset) -> Tensor:
    """Indices of the examples for figures: held-out ones, else training examples."""
    return data.splits[held_out(data) or "train"]


def conditions_for(model: nn.Module, schema: Schema, n: int) -> Tensor | None:
    """Classes in turn, or conditions of training examples, for a conditional model; None for others."""
    if not isinstance(model, ClassConditional) or not model.classes:
        return None
    end: Any = schema.y
    return None if end is None else end.unpack(end.parse(None, n))  # type: ignore[no-any-return]


def sheet_samples(model: nn.Module, schema: Schema) -> tuple[Tensor, int | None] | None:
    """Samples for a grid and its number of columns; None if the model samples no images. The caller sets the seed.

    With few classes, each has a column.
    """
    if not isinstance(model, Samples) or not isinstance(schema.x, Image):
        return None
    y = conditions_for(model, schema, SHEET)
    columns = (
        schema.y.classes if y is not None and isinstance(schema.y, Label) and schema.y.classes <= COLUMNS else None
    )
    n = SHEET if columns is None else columns * max(1, SHEET // columns)
    device = next(itertools.chain(model.parameters(), model.buffers())).device
    return model.sample(n, None if y is None else y[:n].to(device)), columns


def sample_sheet(model: nn.Module, schema: Schema) -> bytes | None:
    """A grid of samples as PNG."""
    generated = sheet_samples(model, schema)
    return None if generated is None else png_bytes(grid(*generated))


class Sheets:
    """Image grids saved during training: samples, or inputs, outputs and targets.

    Arguments:
        data: training data with its splits.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._held_out: Floats | None = None

    def __call__(self, model: nn.Module) -> tuple[bytes, dict[str, Any]] | None:
        """A grid as PNG, and metrics of its samples; None if the model outputs no images."""
        data = self.data
        if not isinstance(model, (Translates, Stylizes)):
            generated = sheet_samples(model, data.schema)
            return None if generated is None else (png_bytes(grid(*generated)), self._measured(generated[0]))
        device = next(itertools.chain(model.parameters(), model.buffers())).device
        batch = data.batch(spread(self._rows)).map(lambda x: x.to(device))
        if isinstance(model, Stylizes):
            return style_transfer.sheet(model, batch), {}
        return translation_sheet(model, batch, data.schema), {}

    @property
    def _rows(self) -> Tensor:
        """Indices of the first non-empty split, held-out ones first."""
        return next(self.data.splits[name] for name in ("validation", "test", "train") if len(self.data.splits[name]))

    def _measured(self, samples: Tensor) -> dict[str, Any]:
        """Ratios of the high-frequency energy of samples to that of held-out images, with errors."""
        if self._held_out is None:
            self._held_out = high_frequency_energy(self.data.batch(spread(self._rows, REFERENCES)).x)
        if not bool(torch.isfinite(samples).all()):
            return {}
        found = energy_ratios(high_frequency_energy(samples.float().clamp(0, 1)), self._held_out)
        return {"high_frequency": {name: [ratio.value, ratio.error] for name, ratio in found.items()}}


def spread(rows: Tensor, count: int = SHEET_ROWS) -> Tensor:
    """`count` of these indices, evenly spaced, because neighbors in a folder are often similar.

    Example:
        >>> spread(torch.arange(100), 4)
        tensor([ 0, 25, 50, 75])
    """
    count = min(count, len(rows))
    return rows[torch.arange(count) * len(rows) // max(1, count)]


def translation_sheet(model: Any, batch: Batch, schema: Schema) -> bytes:
    """Rows of inputs, outputs, and targets as PNG."""
    inputs = model.view.given(batch)
    outputs = model.view.whole(inputs, model.answer(inputs))
    ends: list[Any] = [getattr(schema, model.side), schema.x, schema.x]
    sides = [
        [shown(end.decode(x), getattr(end, "span", None)) for x in side]
        for end, side in zip(ends, (model.view.shown(inputs), outputs, batch.x), strict=True)
    ]
    across = min(SHEET_ROWS, len(batch))
    return png_bytes(grid(sheet_of(sides[0], sides[1], sides[2], across), across))


def predictions(pipeline: Pipeline, part: Dataset, seed: int = 0) -> Predictions | None:
    """Predictions for the labeled examples; None if there are none, or if the model does not classify."""
    if "predict" not in pipeline.verbs or part.y is None or not bool((part.y >= 0).any()):
        return None
    known = part.y >= 0
    return pipeline.predict(part if bool(known.all()) else part.subset(known.nonzero().flatten()), seed=seed)


def evaluate(
    pipeline: Pipeline,
    data: Dataset,
    *,
    split: str,
    samples: int,
    limit: int,
    seed: int = 0,
    class_predictions: Predictions | None = None,
    quality: Fidelity | None = None,
    cas: bool = False,
    inception: str | Path | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """The metrics of a model on a split of the data, with standard errors.

    Arguments:
        pipeline: trained model.
        data: its training data, or other data.
        split: name of the split.
        samples: number of importance samples per likelihood.
        limit: maximum number of examples.
        seed: seed of sampling and noise.
        class_predictions: result of `predictions` for these examples, if already computed.
        quality: result of `fidelity`, if already computed.
        cas: whether to compute the classification accuracy score, which trains two classifiers.
        inception: weights of Inception-v3, to compare samples in its features.
        judge: judge of image-to-image outputs, if one exists already.

    Returns:
        The metrics, and under ``left_out`` those that could not be computed, and why.

    Raises:
        UserError: too few examples, invalid weights, or a model that samples no images, for --inception.
    """
    features = None if inception is None else inception_of(inception, pipeline)
    part = data.subset(data.splits[split][:limit])
    scores: list[dict[str, Any]] = []
    left: list[dict[str, str]] = []
    percentiles: list[float] | None = None
    noun, count = pipeline.schema.x.noun, f"{len(part):,} {split} {pipeline.schema.x.noun}{'s' * (len(part) != 1)}"

    def add(name: str, values: Any, unit: str, better: str, note: str = "") -> None:
        value, error = mean_and_error(np.asarray(values, np.float64))
        entry = {"name": name, "value": value, "error": None if np.isnan(error) else error}
        scores.append({**entry, "unit": unit, "better": better, "note": note})

    predicted = class_predictions or predictions(pipeline, part, seed)
    if predicted is not None:
        name, majority = predicted.majority()
        classes = len(np.unique(predicted.truth))  # type: ignore[arg-type]
        about = {"unit": "share", "better": "higher"}
        note = f"proportion of correct labels; always predicting {name!r} gives {majority:.1%}"
        scores.append({"name": "accuracy", **predicted.accuracy().to_json(), **about, "note": note, "chance": majority})
        present = set(np.unique(predicted.truth).tolist())  # type: ignore[arg-type]
        absent = [name for c, name in enumerate(predicted.names) if c not in present]
        if absent:
            # A mean over the classes that occur says nothing about the others.
            why = f"{listed(absent)} absent from the {split} split"
            left.append({"scores": "balanced accuracy", "why": why})
        else:
            note = f"mean accuracy over classes; chance gives {1 / classes:.1%}"
            balanced = predicted.balanced_accuracy().to_json()
            scores.append({"name": "balanced accuracy", **balanced, **about, "note": note, "chance": 1 / classes})
        if predicted.log_posterior is not None:
            unseen = unlearned(data, part)
            if unseen:
                left.append({"scores": "log-loss", "why": f"{listed(unseen)} in the {split} split but not in training"})
            else:
                add("log-loss", predicted.log_loss(), "nats", "lower", "mean of −log p(true label | x)")
            add(
                "Brier score",
                predicted.brier(),
                "squared error",
                "lower",
                "squared error of the class probabilities, summed over classes",
            )
            add(
                "calibration error",
                [calibration(predicted).error],
                "share",
                "lower",
                "ECE with 15 bins: mean gap between confidence and accuracy",
            )
    if "score" in pipeline.verbs:
        with work("likelihood"):
            found = pipeline.score(part, samples=samples, seed=seed)
        name = "log-likelihood bound" if found.bound else "log-likelihood" if found.bits is not None else "log-density"
        add(name, found.nats, "nats", "higher", found.meaning)
        percentiles = np.percentile(found.nats, np.arange(101)).tolist()
        of = "pixel value" if found.per == "dimension" else found.per
        note = f"bits to encode a {of}: an upper bound" if found.bound else f"bits to encode a {of}"
        if found.bits is not None:
            add(f"bits per {found.per}", found.bits, "bits", "lower", note)
    if "reconstruct" in pipeline.verbs:
        with work("reconstructions"):
            outputs = torch.stack([pipeline.image.encode(p) for p in pipeline.reconstruct(part)])
            originals = torch.cat([b.x for b in pipeline.batches(part)])
        squared = (outputs - originals).square().flatten(1).mean(1).numpy()
        add(
            "reconstruction error",
            squared,
            "mean squared error, for values in 0 … 1",
            "lower",
            "of encoded and decoded images",
        )
        peak = -10 * np.log10(np.maximum(squared, 1e-10))
        add("reconstruction PSNR", peak, "dB", "higher", "peak signal-to-noise ratio, mean over images")
    if "predict" in pipeline.verbs and predicted is None:
        left.append({"scores": "accuracy", "why": f"no labels for {count}"})
    if "translate" in pipeline.verbs:
        with work("outputs and targets"):
            scores += translated(pipeline, data, part, judge or Judge(data, seed), seed)
        if len(part) < FEWEST:
            left.append({"scores": "Fréchet distance", "why": f"{count}, at least {FEWEST} required"})
    if "stylize" in pipeline.verbs:
        with work("styles"):
            scores += style_transfer.scores(pipeline, part)
    if features is None and only_draws(pipeline) and len(part) < FEWEST:
        left.append({"scores": SAMPLE_METRICS, "why": f"{count}, at least {FEWEST} required"})
    elif only_draws(pipeline) or features is not None:
        quality = quality or fidelity(pipeline, data, split=split, limit=limit, seed=seed, features=features)
        scores += quality.scores
        left += quality.left_out
    scores += spectral(pipeline, part, [] if quality is None else quality.samples, seed)
    if cas and only_draws(pipeline) and pipeline.conditional and isinstance(data.schema.y, Label):
        generated, real = classification_accuracy(pipeline, data, split=split, limit=limit, seed=seed)
        note = f"accuracy of a classifier trained on generated {pipeline.schema.x.noun}s; on as many real ones"
        about = {"unit": "share", "better": "higher", "note": f"{note} {real.value:.1%}"}
        scores.append({"name": "classification accuracy score", **generated.to_json(), **about})
    # A zero probability, for example of a class without training examples, makes the mean infinite.
    infinite = [score["name"] for score in scores if not np.isfinite(score["value"])]
    if infinite:
        left.append(
            {"scores": ", ".join(infinite), "why": "infinite: the model assigns zero probability to some examples"}
        )
    return {
        "split": split,
        "examples": len(part),
        "noun": noun,
        "seed": seed,
        "step": pipeline.card["step"],
        "scores": [score for score in scores if score["name"] not in infinite],
        "left_out": left,
        # Of the log-likelihoods, which new examples are compared with.
        **({} if percentiles is None else {"percentiles": percentiles}),
    }


def spectral(pipeline: Pipeline, part: Dataset, generated: Sequence[Any] = (), seed: int = 0) -> list[dict[str, Any]]:
    """High-frequency energy and checkerboard ratios of a model's images relative to real ones.

    They are of translation outputs, else of samples, else of reconstructions; empty for a model that outputs no images,
    and for images too small to have high frequencies.

    Arguments:
        pipeline: trained model.
        part: held-out examples to compare with.
        generated: samples for the same conditions, if already generated.
        seed: seed of sampling.
    """
    image = pipeline.schema.x
    if not isinstance(image, Image) or min(image.height, image.width) < 4 or not len(part):
        return []
    if "translate" in pipeline.verbs:
        outputs, references = answered(pipeline.model, pipeline.batches(part, 32), seed)
        what, others = "outputs", "targets"
    elif "sample" in pipeline.verbs:
        references = torch.cat([b.x for b in pipeline.batches(part)])
        what, others = "samples", "held-out images"
        outputs = torch.stack([image.encode(p) for p in generated or _some_samples(pipeline, part, seed)])
    elif isinstance(pipeline.model, Encodes):
        references = torch.cat([b.x for b in pipeline.batches(part)])
        outputs = torch.stack([image.encode(p) for p in pipeline.reconstruct(part)])
        what, others = "reconstructions", "originals"
    else:
        return []
    scores = []
    high = "well above 1 means checkerboard artifacts or noise"
    for name, ratio in high_frequency_ratio(outputs, references).items():
        of = " of color" if name == "color" else ""
        note = f"energy{of} above ¾ of the Nyquist frequency, {what} over {others}: {high}, well below 1 blur"
        if name == CHECKERBOARD:
            octave = f"high-frequency energy relative to the octave below, {what} over {others}"
            note = f"{octave}: {high}, even if images are blurred"
        title = "checkerboard ratio" if name == CHECKERBOARD else f"high-frequency energy ratio{of}"
        error = ratio.error if np.isfinite(ratio.error) else None
        score = {"name": title, "value": ratio.value, "error": error, "unit": "", "better": "nearer to 1", "note": note}
        scores.append(score)
    return scores


def _some_samples(pipeline: Pipeline, part: Dataset, seed: int) -> list[Any]:
    """As many samples as held-out examples, of their classes; one grid of an autoregressive model, which is slow."""
    n = min(len(part), SHEET) if getattr(pipeline.model, "steers", False) else len(part)
    end, names = pipeline.schema.y, None
    if pipeline.conditional and isinstance(end, Label) and part.y is not None and bool((part.y >= 0).all()):
        names = [end.decode(one) for one in part.y[spread(torch.arange(len(part)), n)]]
    return pipeline.sample(n, seed=seed, label=names)


def unscored(pipeline: Pipeline) -> dict[str, Any]:
    """The result of `evaluate` if nothing was held out."""
    why = "no data was held out (--validation 0 and --test 0)"
    about = {"split": None, "examples": 0, "noun": pipeline.schema.x.noun, "seed": 0, "step": pipeline.card["step"]}
    return {**about, "scores": [], "left_out": [{"scores": "all scores", "why": why}]}


def classification(predicted: Predictions, *, split: str, noun: str) -> dict[str, Any]:
    """Confusion matrix and calibration as plain data."""
    curve = None if predicted.log_posterior is None else calibration(predicted).to_json()
    about = {"split": split, "examples": len(predicted.labels), "noun": noun, "classes": list(predicted.names)}
    return {**about, "confusion": predicted.confusion().tolist(), "calibration": curve}


def samples(pipeline: Pipeline, run: RunFolder, seed: int = 0) -> None:
    """Write samples: a grid of images, or rows or texts; of each class in turn for a conditional model."""
    label: Any = pipeline.schema.y
    names: Sequence[str] = pipeline.schema.classes if pipeline.classes else ()
    if pipeline.classes and not names:
        names = [label.format(row) for row in label.parse(None, min(SHEET_ROWS, len(label.examples)))]
    if not isinstance(pipeline.schema.x, Image):
        labels = [name for name in names[:ROWS] for _ in range(ROWS // min(ROWS, len(names)))]
        generated = pipeline.sample(len(labels) or ROWS, seed=seed, label=labels or None)
        rows = [row if isinstance(row, dict) else {pipeline.schema.x.noun: row} for row in generated]
        run.write("figures/rows.json", {"rows": rows, "labels": labels})
        return
    columns = len(names) if 0 < len(names) <= COLUMNS else ACROSS if names else SHEET_ROWS
    n = columns * max(SHEET_ROWS, -(-min(len(names), SHEET) // columns))
    labels = [names[i % len(names)] for i in range(n)] if names else []
    run.write("figures/samples.png", png_bytes(grid(pipeline.sample(n, seed=seed, label=labels or None), columns)))
    run.write("figures/samples.json", {"columns": columns, "labels": labels})


def figures(pipeline: Pipeline, run: RunFolder, data: Dataset, seed: int = 0) -> None:
    """Write the figures of the report: samples, reconstructions, an interpolation, a map of the latent space."""
    if "translate" in pipeline.verbs:
        few = spread(looked_at(data), PAIRS)
        with torch.no_grad(), seeds.seeded(seed, "figures"):
            run.write("figures/translations.png", translation_sheet(pipeline.model, data.batch(few), data.schema))
    if "stylize" in pipeline.verbs:
        few = spread(looked_at(data))
        run.write("figures/styles.png", style_transfer.sheet(pipeline.model, data.batch(few)))
    if "sample" in pipeline.verbs:
        samples(pipeline, run, seed)
    if "reconstruct" in pipeline.verbs:
        encoder_figures(pipeline, run, data)
    elif "interpolate" in pipeline.verbs:
        ends = pipeline.prior_latents(range(seed, seed + WALKS + 1))
        rows = pipeline.interpolate(ends, steps=8, path="spherical")
        run.write("figures/interpolation.png", png_bytes(grid([p for row in rows for p in row], 8)))


def encoder_figures(pipeline: Pipeline, run: RunFolder, data: Dataset) -> None:
    """Write reconstructions, interpolations between examples, and a map of the latent space."""
    image = pipeline.image
    few = data.subset(looked_at(data)[:PAIRS])
    originals = [image.decode(x) for b in pipeline.batches(few) for x in b.x]
    decoded = pipeline.reconstruct(few)
    half = max(1, len(few) // 2)
    rows = [one for i in range(0, len(few), half) for part in (originals, decoded) for one in part[i : i + half]]
    run.write("figures/reconstructions.png", png_bytes(grid(rows, half)))
    if "interpolate" not in pipeline.verbs:
        return
    label = None
    ends = pipeline.encode(few)
    if pipeline.classes and few.y is not None and isinstance(data.schema.y, Label):
        label = data.schema.y.names[int(few.y[0])]
    walks = [
        row
        for i in range(0, min(6, len(ends) - 1), 2)
        for row in pipeline.interpolate(ends[i : i + 2], steps=8, label=label)
    ]
    if walks:
        run.write("figures/interpolation.png", png_bytes(grid([p for row in walks for p in row], 8)))
    run.write("figures/latent.json", json.dumps(latent_map(pipeline, data)).encode())


def latent_map(pipeline: Pipeline, data: Dataset) -> dict[str, Any]:
    """The first two principal components of latents, of held-out images first and then of training images."""
    chosen = torch.cat([data.splits["test"], data.splits["validation"], data.splits["train"]])[:MAPPED]
    part = data.subset(chosen)
    z = pipeline.encode(part).astype(np.float64)
    centered = z - z.mean(0)
    _, singular, directions = np.linalg.svd(centered, full_matrices=False)
    share = singular**2 / max(1e-12, float((singular**2).sum()))
    points = centered @ directions[:2].T
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    names = data.schema.y.names if isinstance(data.schema.y, Label) else None
    labels = [names[int(i)] for i in part.y] if names is not None and part.y is not None else None
    return {
        "points": np.round(points, 4).tolist(),
        "labels": labels,
        "explained": [round(float(s), 4) for s in share[:2]],
        "method": "principal components of the latents",
    }


def nearest_sheet(pipeline: Pipeline, run: RunFolder, data: Dataset, quality: Fidelity) -> None:
    """Write samples above their nearest training images."""
    if not isinstance(pipeline.schema.x, Image) or not quality.nearest:
        return
    training = data.subset(torch.tensor(quality.nearest[:PAIRS]))
    neighbors = [pipeline.image.decode(x) for b in pipeline.batches(training) for x in b.x]
    half = max(1, len(neighbors) // 2)
    rows = [
        p
        for i in range(0, len(neighbors), half)
        for part in (quality.samples[: len(neighbors)], neighbors)
        for p in part[i : i + half]
    ]
    run.write("figures/nearest.png", png_bytes(grid(rows, half)))


def finish(run: RunFolder, data: Dataset, judge: Judge | None = None) -> None:
    """Evaluate a run, and write its figures and its report.

    Arguments:
        run: folder of the trained run.
        data: training data with its splits.
        judge: judge of image-to-image outputs, by default that of the run.
    """
    pipeline = Pipeline.load(run.path)
    judge = judge or judge_of(run, pipeline, data)
    split = held_out(data)
    predicted, quality = None, None
    if split is None:
        run.write("scores.json", unscored(pipeline))
    else:
        with work("classes"):
            predicted = predictions(pipeline, data.subset(data.splits[split][:EVALUATED]))
        if only_draws(pipeline) and len(data.splits[split]) >= FEWEST:
            with work("samples and held-out examples"):
                quality = fidelity(pipeline, data, split=split, limit=EVALUATED)
        scores = evaluate(
            pipeline,
            data,
            split=split,
            samples=IMPORTANCE_SAMPLES,
            limit=EVALUATED,
            class_predictions=predicted,
            quality=quality,
            judge=judge,
        )
        run.write("scores.json", scores)
    if quality is not None:
        nearest_sheet(pipeline, run, data, quality)
    if predicted is not None and split is not None:
        noun = pipeline.schema.x.noun
        run.write("figures/classification.json", classification(predicted, split=split, noun=noun))
    with work("figures"):
        figures(pipeline, run, data)
    write_report(run.path)


def judge_of(run: RunFolder, pipeline: Pipeline, data: Dataset) -> Judge | None:
    """The judge of a run's outputs, stored in its folder; None if the model does not translate images."""
    if "translate" not in pipeline.verbs:
        return None
    recipe = run.read("recipe.json")
    return Judge(data, int(recipe["seed"]), int(recipe["plan"]["steps"]), run=run)


def finished(run: RunFolder, step: int) -> bool:
    """Whether `finish` has completed for the weights of this step; it writes the report last."""
    if not (run.path / "report.html").is_file() or not (run.path / "scores.json").is_file():
        return False
    try:
        return bool(run.read("scores.json").get("step") == step)
    except (UserError, AttributeError):
        return False
