"""What a finished run leaves: scores, figures, the report."""

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

SHEET, SHEET_ROWS, WALKS = 64, 8, 3
# What comes of comparing what is drawn with held-out examples.
DISTANCES = "Fréchet distance, kernel distance, precision, recall, density, coverage"
SCORED, SCORE_SAMPLES, DRAWN, PAIRS = 1000, 64, 2000, 16
# Classes that get a column each in a grid; more go on in rows of so many images. Rows of a table that are drawn.
COLUMNS, ACROSS, ROWS = 16, 10, 12
# Held-out images whose high-frequency energy samples are measured against while a model trains, at most.
COMPARED = 512


def only_draws(pipeline: Pipeline) -> bool:
    """Whether nothing says how likely an example is, so that what is drawn has to be compared with the data."""
    return "sample" in pipeline.verbs and "score" not in pipeline.verbs


def held_out(data: Dataset) -> str | None:
    """The part that a finished run is scored on: test, else validation; None where nothing was held out."""
    return next((name for name in ("test", "validation") if len(data.splits.get(name, ()))), None)


def unlearned(data: Dataset, part: Dataset | None = None) -> list[str]:
    """The classes of examples that are not among those of training, as far as these are known: none can be told."""
    train, label = data.splits.get("train"), data.schema.y
    if train is None or not len(train) or data.y is None or not isinstance(label, Label):
        return []
    y = data.y if part is None or part.y is None else part.y
    met = set(y[y >= 0].tolist()) - set(data.y[train].tolist())
    return [label.names[number] for number in sorted(met)]


def listed(classes: Sequence[str]) -> str:
    """The names of classes in a sentence, a few of them.

    Example:
        >>> listed(["cat"]), listed(["cat", "owl"])
        ("class 'cat' is", "classes 'cat', 'owl' are")
    """
    some = ", ".join(map(repr, classes[:5])) + (", …" if len(classes) > 5 else "")
    return f"class{'es' if len(classes) > 1 else ''} {some} {'are' if len(classes) > 1 else 'is'}"


def looked_at(data: Dataset) -> Tensor:
    """The examples that figures show: of what was held out, else those of training."""
    return data.splits[held_out(data) or "train"]


def conditions_for(model: nn.Module, schema: Schema, n: int) -> Tensor | None:
    """Each kind in turn, for a conditional model, or what is given in some training examples."""
    if not isinstance(model, ClassConditional) or not model.classes:
        return None
    end: Any = schema.y
    return None if end is None else end.unpack(end.parse(None, n))  # type: ignore[no-any-return]


def sheet_samples(model: nn.Module, schema: Schema) -> tuple[Tensor, int | None] | None:
    """Samples for a grid and its columns, None for a model that samples no images; the caller fixes the randomness.

    Of classes that are few enough each has a column.
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
    """A grid of samples as PNG, see `sheet_samples`."""
    drawn = sheet_samples(model, schema)
    return None if drawn is None else png_bytes(grid(*drawn))


class Sheets:
    """What is looked at during training: samples, or what is made of held-out images, above the truths.

    Arguments:
        data: what is trained on.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._held_out: Floats | None = None

    def __call__(self, model: nn.Module) -> tuple[bytes, dict[str, Any]] | None:
        """A sheet as PNG, and what is measured of its samples; None for a model that makes no images."""
        data = self.data
        if not isinstance(model, (Translates, Stylizes)):
            drawn = sheet_samples(model, data.schema)
            return None if drawn is None else (png_bytes(grid(*drawn)), self._measured(drawn[0]))
        device = next(itertools.chain(model.parameters(), model.buffers())).device
        batch = data.batch(spread(self._rows)).map(lambda x: x.to(device))
        if isinstance(model, Stylizes):
            return style_transfer.sheet(model, batch), {}
        return translation_sheet(model, batch, data.schema), {}

    @property
    def _rows(self) -> Tensor:
        """Of the first part that has examples, the held-out ones first."""
        return next(self.data.splits[name] for name in ("validation", "test", "train") if len(self.data.splits[name]))

    def _measured(self, samples: Tensor) -> dict[str, Any]:
        """The high-frequency energy of samples against that of held-out images, each ratio with its error."""
        if self._held_out is None:
            self._held_out = high_frequency_energy(self.data.batch(spread(self._rows, COMPARED)).x)
        if not bool(torch.isfinite(samples).all()):
            return {}
        found = energy_ratios(high_frequency_energy(samples.float().clamp(0, 1)), self._held_out)
        return {"high_frequency": {name: [ratio.value, ratio.error] for name, ratio in found.items()}}


def spread(rows: Tensor, count: int = SHEET_ROWS) -> Tensor:
    """So many of these rows, evenly: neighbors in a folder are often alike.

    Example:
        >>> spread(torch.arange(100), 4)
        tensor([ 0, 25, 50, 75])
    """
    count = min(count, len(rows))
    return rows[torch.arange(count) * len(rows) // max(1, count)]


def translation_sheet(model: Any, batch: Batch, schema: Schema) -> bytes:
    """Rows of images that are given, what is made of them, and the truths, as PNG."""
    given = model.view.given(batch)
    made = model.view.whole(given, model.answer(given))
    ends: list[Any] = [getattr(schema, model.side), schema.x, schema.x]
    sides = [
        [shown(end.decode(x), getattr(end, "span", None)) for x in side]
        for end, side in zip(ends, (model.view.shown(given), made, batch.x), strict=True)
    ]
    across = min(SHEET_ROWS, len(batch))
    return png_bytes(grid(sheet_of(sides[0], sides[1], sides[2], across), across))


def predictions(pipeline: Pipeline, part: Dataset, seed: int = 0) -> Predictions | None:
    """The classes of the examples whose own are known; None where there are none, or the model tells no classes."""
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
    told: Predictions | None = None,
    drawn: Fidelity | None = None,
    cas: bool = False,
    inception: str | Path | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """The scores of a model on a part of the data, with standard errors.

    Arguments:
        pipeline: the model.
        data: what it was trained on, or other data.
        split: the part.
        samples: importance samples behind each likelihood.
        limit: examples looked at, at most.
        seed: of the noise.
        told: what `predictions` says of these examples, where it has been asked already.
        drawn: what `fidelity` says of what the model draws, where it has been asked already.
        cas: say how well a classifier does that learns from what a conditional model draws, too, which takes
            trainings of two.
        inception: the weights of Inception-v3, to compare what the model draws in its features.
        judge: of images of images, where one has been asked already.

    Returns:
        The scores, and as ``left_out`` which could not be computed on so few examples, and why.

    Raises:
        UserError: too few examples for --inception; or weights that are none, or for a model that draws no images.
    """
    seen = None if inception is None else inception_of(inception, pipeline)
    part = data.subset(data.splits[split][:limit])
    scores: list[dict[str, Any]] = []
    left: list[dict[str, str]] = []
    percentiles: list[float] | None = None
    noun, count = pipeline.schema.x.noun, f"{len(part):,} {split} {pipeline.schema.x.noun}{'s' * (len(part) != 1)}"

    def add(name: str, values: Any, unit: str, better: str, note: str = "") -> None:
        value, error = mean_and_error(np.asarray(values, np.float64))
        entry = {"name": name, "value": value, "error": None if np.isnan(error) else error}
        scores.append({**entry, "unit": unit, "better": better, "note": note})

    told = told or predictions(pipeline, part, seed)
    if told is not None:
        name, majority = told.majority()
        classes = len(np.unique(told.truth))  # type: ignore[arg-type]
        about = {"unit": "share", "better": "higher"}
        note = f"labels that are right; always saying {name!r} is right on {majority:.1%}"
        scores.append({"name": "accuracy", **told.accuracy().to_json(), **about, "note": note, "chance": majority})
        classes_there = set(np.unique(told.truth).tolist())  # type: ignore[arg-type]
        absent = [name for c, name in enumerate(told.names) if c not in classes_there]
        if absent:
            # A mean over the classes that happen to be there says nothing of the others.
            why = f"{listed(absent)} in no {pipeline.schema.x.noun} of {split}"
            left.append({"scores": "balanced accuracy", "why": why})
        else:
            note = f"the mean over classes of the share that is right; {1 / classes:.1%} without looking"
            balanced = told.balanced_accuracy().to_json()
            scores.append({"name": "balanced accuracy", **balanced, **about, "note": note, "chance": 1 / classes})
        if told.log_posterior is not None:
            strange = unlearned(data, part)
            if strange:
                left.append({"scores": "log-loss", "why": f"{listed(strange)} in {split} and not in training"})
            else:
                add("log-loss", told.log_loss(), "nats", "lower", "−log p(true label | x)")
            add("Brier score", told.brier(), "squared error", "lower", "of the probabilities of all classes")
            add(
                "calibration error",
                [calibration(told).error],
                "share",
                "lower",
                "ECE, 15 bins: how far from as often right as sure",
            )
    if "score" in pipeline.verbs:
        with work("likelihood"):
            found = pipeline.score(part, samples=samples, seed=seed)
        name = "log-likelihood bound" if found.bound else "log-likelihood" if found.bits is not None else "log-density"
        add(name, found.nats, "nats", "higher", found.meaning)
        percentiles = np.percentile(found.nats, np.arange(101)).tolist()
        of = "pixel value" if found.per == "dimension" else found.per
        note = f"an upper bound on the bits that a {of} costs" if found.bound else f"bits that a {of} costs"
        if found.bits is not None:
            add(f"bits per {found.per}", found.bits, "bits", "lower", note)
    if "reconstruct" in pipeline.verbs:
        with work("reconstructions"):
            back = torch.stack([pipeline.image.encode(p) for p in pipeline.reconstruct(part)])
            there = torch.cat([b.x for b in pipeline.batches(part)])
        squared = (back - there).square().flatten(1).mean(1).numpy()
        add("reconstruction error", squared, "mean squared error, of values in 0 … 1", "lower")
        peak = -10 * np.log10(np.maximum(squared, 1e-10))
        add("reconstruction PSNR", peak, "dB", "higher", "the mean over images")
    if "predict" in pipeline.verbs and told is None:
        left.append({"scores": "accuracy", "why": f"no label is known of {count}"})
    if "translate" in pipeline.verbs:
        with work("outputs beside their truths"):
            scores += translated(pipeline, data, part, judge or Judge(data, seed), seed)
        if len(part) < FEWEST:
            left.append({"scores": "Fréchet distance", "why": f"{count}, wanted at least {FEWEST}"})
    if "stylize" in pipeline.verbs:
        with work("styles"):
            scores += style_transfer.scores(pipeline, part)
    if seen is None and only_draws(pipeline) and len(part) < FEWEST:
        left.append({"scores": DISTANCES, "why": f"{count}, wanted at least {FEWEST}"})
    elif only_draws(pipeline) or seen is not None:
        drawn = drawn or fidelity(pipeline, data, split=split, limit=limit, seed=seed, seen=seen)
        scores += drawn.scores
        left += drawn.left_out
    scores += spectral(pipeline, part, [] if drawn is None else drawn.drawn, seed)
    if cas and only_draws(pipeline) and pipeline.conditional and isinstance(data.schema.y, Label):
        made, real = classification_accuracy(pipeline, data, split=split, limit=limit, seed=seed)
        note = f"a classifier that learns from drawn {pipeline.schema.x.noun}s alone; from as many real ones"
        about = {"unit": "share", "better": "higher", "note": f"{note} {real.value:.1%}"}
        scores.append({"name": "classification accuracy score", **made.to_json(), **about})
    # No probability at all, as of a class that training had none of: its logarithm's mean is not a number to show.
    lost = [score["name"] for score in scores if not np.isfinite(score["value"])]
    if lost:
        left.append({"scores": ", ".join(lost), "why": "not finite: the model gives some examples no probability"})
    return {
        "split": split,
        "examples": len(part),
        "noun": noun,
        "seed": seed,
        "step": pipeline.card["step"],
        "scores": [score for score in scores if score["name"] not in lost],
        "left_out": left,
        # Of the log-likelihoods, which new examples are compared with.
        **({} if percentiles is None else {"percentiles": percentiles}),
    }


def spectral(pipeline: Pipeline, part: Dataset, drawn: Sequence[Any] = (), seed: int = 0) -> list[dict[str, Any]]:
    """The high-frequency energy of the images that a model makes, against that of real ones.

    Of samples where it samples, of its answers where it translates, else of its reconstructions; nothing of a model
    that makes no images, and of images too small to have high frequencies.

    Arguments:
        pipeline: the model.
        part: held-out examples that are compared with.
        drawn: samples of the same conditions, where there are some already.
        seed: of what is sampled.
    """
    image = pipeline.schema.x
    if not isinstance(image, Image) or min(image.height, image.width) < 4 or not len(part):
        return []
    if "translate" in pipeline.verbs:
        made, there = answered(pipeline.model, pipeline.batches(part, 32), seed)
        what, others = "answers", "the truths"
    elif "sample" in pipeline.verbs:
        there = torch.cat([b.x for b in pipeline.batches(part)])
        what, others = "samples", "held-out images"
        made = torch.stack([image.encode(p) for p in drawn or _some_samples(pipeline, part, seed)])
    elif isinstance(pipeline.model, Encodes):
        there = torch.cat([b.x for b in pipeline.batches(part)])
        made = torch.stack([image.encode(p) for p in pipeline.reconstruct(part)])
        what, others = "reconstructions", "their images"
    else:
        return []
    scores = []
    ends = "well above 1 is a checkerboard or noise"
    for name, ratio in high_frequency_ratio(made, there).items():
        of = " of color" if name == "color" else ""
        note = f"energy{of} above ¾ of the Nyquist frequency, {what} over {others}: {ends}, well below 1 blur"
        if name == CHECKERBOARD:
            note = f"the same beside as much energy in the octave below: {ends}, in blurred images too"
        title = "checkerboard ratio" if name == CHECKERBOARD else f"high-frequency energy ratio{of}"
        error = ratio.error if np.isfinite(ratio.error) else None
        score = {"name": title, "value": ratio.value, "error": error, "unit": "", "better": "nearer to 1", "note": note}
        scores.append(score)
    return scores


def _some_samples(pipeline: Pipeline, part: Dataset, seed: int) -> list[Any]:
    """Samples of the classes of held-out examples: as many, or a sheet of a model that draws code after code."""
    n = min(len(part), SHEET) if getattr(pipeline.model, "steers", False) else len(part)
    end, names = pipeline.schema.y, None
    if pipeline.conditional and isinstance(end, Label) and part.y is not None and bool((part.y >= 0).all()):
        names = [end.decode(one) for one in part.y[spread(torch.arange(len(part)), n)]]
    return pipeline.sample(n, seed=seed, label=names)


def unscored(pipeline: Pipeline) -> dict[str, Any]:
    """What `evaluate` says where nothing was held out."""
    why = "nothing was held out, with --validation 0 and --test 0"
    about = {"split": None, "examples": 0, "noun": pipeline.schema.x.noun, "seed": 0, "step": pipeline.card["step"]}
    return {**about, "scores": [], "left_out": [{"scores": "all scores", "why": why}]}


def classification(told: Predictions, *, split: str, noun: str) -> dict[str, Any]:
    """What classes were taken for which, and how sure of it the model was, as plain data."""
    sure = None if told.log_posterior is None else calibration(told).to_json()
    about = {"split": split, "examples": len(told.labels), "noun": noun, "classes": list(told.names)}
    return {**about, "confusion": told.confusion().tolist(), "calibration": sure}


def samples(pipeline: Pipeline, run: RunFolder, seed: int = 0) -> None:
    """Examples that the model draws: a grid of images, or some rows or texts; of each class in turn where it knows
    them.
    """
    label: Any = pipeline.schema.y
    names: Sequence[str] = pipeline.schema.classes if pipeline.classes else ()
    if pipeline.classes and not names:
        names = [label.format(row) for row in label.parse(None, min(SHEET_ROWS, len(label.examples)))]
    if not isinstance(pipeline.schema.x, Image):
        kinds = [name for name in names[:ROWS] for _ in range(ROWS // min(ROWS, len(names)))]
        drawn = pipeline.sample(len(kinds) or ROWS, seed=seed, label=kinds or None)
        rows = [row if isinstance(row, dict) else {pipeline.schema.x.noun: row} for row in drawn]
        run.write("figures/rows.json", {"rows": rows, "labels": kinds})
        return
    columns = len(names) if 0 < len(names) <= COLUMNS else ACROSS if names else SHEET_ROWS
    n = columns * max(SHEET_ROWS, -(-min(len(names), SHEET) // columns))
    kinds = [names[i % len(names)] for i in range(n)] if names else []
    run.write("figures/samples.png", png_bytes(grid(pipeline.sample(n, seed=seed, label=kinds or None), columns)))
    run.write("figures/samples.json", {"columns": columns, "labels": kinds})


def figures(pipeline: Pipeline, run: RunFolder, data: Dataset, seed: int = 0) -> None:
    """What the report shows: samples, reconstructions beside originals, an interpolation, a map of the latents."""
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
        through_codes(pipeline, run, data)
    elif "interpolate" in pipeline.verbs:
        ends = pipeline.prior_latents(range(seed, seed + WALKS + 1))
        rows = pipeline.interpolate(ends, steps=8, path="spherical")
        run.write("figures/interpolation.png", png_bytes(grid([p for row in rows for p in row], 8)))


def through_codes(pipeline: Pipeline, run: RunFolder, data: Dataset) -> None:
    """Reconstructions beside originals, an interpolation between two of them, a map of the latents."""
    image = pipeline.image
    few = data.subset(looked_at(data)[:PAIRS])
    originals = [image.decode(x) for b in pipeline.batches(few) for x in b.x]
    back = pipeline.reconstruct(few)
    half = max(1, len(few) // 2)
    rows = [one for i in range(0, len(few), half) for part in (originals, back) for one in part[i : i + half]]
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
    """The first two principal components of the latents of held-out images, and of training images where those are
    few.
    """
    chosen = torch.cat([data.splits["test"], data.splits["validation"], data.splits["train"]])[:DRAWN]
    part = data.subset(chosen)
    z = pipeline.encode(part).astype(np.float64)
    centerd = z - z.mean(0)
    _, singular, directions = np.linalg.svd(centerd, full_matrices=False)
    share = singular**2 / max(1e-12, float((singular**2).sum()))
    points = centerd @ directions[:2].T
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


def nearest_sheet(pipeline: Pipeline, run: RunFolder, data: Dataset, drawn: Fidelity) -> None:
    """Drawn images above the training images that are nearest to them."""
    if not isinstance(pipeline.schema.x, Image) or not drawn.nearest:
        return
    training = data.subset(torch.tensor(drawn.nearest[:PAIRS]))
    there = [pipeline.image.decode(x) for b in pipeline.batches(training) for x in b.x]
    half = max(1, len(there) // 2)
    rows = [
        p for i in range(0, len(there), half) for part in (drawn.drawn[: len(there)], there) for p in part[i : i + half]
    ]
    run.write("figures/nearest.png", png_bytes(grid(rows, half)))


def finish(run: RunFolder, data: Dataset, judge: Judge | None = None) -> None:
    """Evaluate, draw the figures, write the report.

    Arguments:
        run: what was trained.
        data: on what.
        judge: see `evaluate`; by default that of the run.
    """
    pipeline = Pipeline.load(run.path)
    judge = judge or judge_of(run, pipeline, data)
    split = held_out(data)
    told, drawn = None, None
    if split is None:
        run.write("scores.json", unscored(pipeline))
    else:
        with work("classes"):
            told = predictions(pipeline, data.subset(data.splits[split][:SCORED]))
        if only_draws(pipeline) and len(data.splits[split]) >= FEWEST:
            with work("samples beside held-out examples"):
                drawn = fidelity(pipeline, data, split=split, limit=SCORED)
        scores = evaluate(
            pipeline, data, split=split, samples=SCORE_SAMPLES, limit=SCORED, told=told, drawn=drawn, judge=judge
        )
        run.write("scores.json", scores)
    if drawn is not None:
        nearest_sheet(pipeline, run, data, drawn)
    if told is not None and split is not None:
        noun = pipeline.schema.x.noun
        run.write("figures/classification.json", classification(told, split=split, noun=noun))
    with work("figures"):
        figures(pipeline, run, data)
    write_report(run.path)


def judge_of(run: RunFolder, pipeline: Pipeline, data: Dataset) -> Judge | None:
    """The judge of a run's outputs that is kept with it; None where the model makes nothing that has a truth."""
    if "translate" not in pipeline.verbs:
        return None
    recipe = run.read("recipe.json")
    return Judge(data, int(recipe["seed"]), int(recipe["plan"]["steps"]), run=run)


def finished(run: RunFolder, step: int) -> bool:
    """Whether `finish` came to its end for the weights of this step: the report is what it writes last."""
    if not (run.path / "report.html").is_file() or not (run.path / "scores.json").is_file():
        return False
    try:
        return bool(run.read("scores.json").get("step") == step)
    except (UserError, AttributeError):
        return False
