"""The same verbs in Python.

import seisei
run = seisei.train("vae", "photos/", latent=64)
run.sample(64, seed=1)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal

import torch
from torch import Tensor

from seisei.data.images.native_images import originals
from seisei.data.inputs import Resize, read_inputs
from seisei.data.read import Dataset
from seisei.errors import UserError, did_you_mean
from seisei.evaluation import style_transfer
from seisei.evaluation.evaluate import evaluate, finish, held_out, judge_of, only_draws
from seisei.metrics.classification import Predictions
from seisei.metrics.likelihood import Likelihood
from seisei.modalities.image import Image
from seisei.modalities.image_io import MAX_PIXELS, png_bytes, read_image
from seisei.modalities.label import Label
from seisei.modalities.pixels import grid
from seisei.modalities.table import Table
from seisei.nn.transformer.sampling import SamplingOptions
from seisei.pipeline import Labels, Latents, Pipeline, Pixels
from seisei.training.engine import Execution
from seisei.training.run import Listener, RunFolder
from seisei.workflows import train as workflow
from seisei.workflows.train import DataOptions, Request, data_path

# Importance samples behind each likelihood, where nothing else is said.
SAMPLES = 100


class Run:
    """A trained model in its folder. Verbs load the newest whole checkpoint when they are first used.

    Arguments:
        path: the run's folder.

    Raises:
        UserError: there is no such run.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder.open(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """The model with both its ends."""
        return Pipeline.load(self.path)

    @functools.cached_property
    def recipe(self) -> dict[str, Any]:
        """What was trained, with every default resolved."""
        found: dict[str, Any] = self.folder.read("recipe.json")
        return found

    @property
    def verbs(self) -> list[str]:
        """What the model can do."""
        return self.pipeline.verbs

    @property
    def scores(self) -> dict[str, float]:
        """The scores of the last evaluation, by name; empty before one."""
        if not (self.path / "scores.json").is_file():
            return {}
        return {entry["name"]: entry["value"] for entry in self.folder.read("scores.json")["scores"]}

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What the watch noticed; ``resolved`` is the step at which it was no longer so, None while it is."""
        found: list[dict[str, Any]] = []
        for event in self.folder.events():
            if event.get("event") == "watch":
                found.append({**event, "resolved": None})
            elif event.get("event") == "withdrawn":
                for finding in found:
                    if finding["rule"] == event["rule"] and finding["resolved"] is None:
                        finding["resolved"] = event["step"]
        return found

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.path / "report.html"

    def read(self, given: Any, *, fit: Resize | None = None, verb: str = "", **options: Any) -> Dataset:
        """Examples as this model takes them: a file, a folder, any source that `train` reads, or arrays.

        Arguments:
            given: where they are, or what they are.
            fit: how to fit images of another size.
            verb: what they are for: errors are numbered by it.
            options: see `seisei.data.inputs.read_inputs`.
        """
        image, table = isinstance(self.pipeline.schema.x, Image), isinstance(self.pipeline.schema.x, Table)
        of_images = {"fit": fit, "convert": options.get("convert")}
        limit = options.get("max_pixels", MAX_PIXELS)
        of_images["max_pixels"] = None if limit == MAX_PIXELS else limit
        of_tables = {"unseen": None if options.get("unseen") == "refuse" else options.get("unseen")}
        for given_options, fits, what in ((of_images, image, "images"), (of_tables, table, "rows of a table")):
            for name, value in given_options.items():
                if value and not fits:
                    problem = f"is for {what}, and this model is of {self.pipeline.schema.x.noun}s"
                    raise _unread(name, problem, found=value)
        labels = "need" if self.pipeline.conditional else "want" if self.pipeline.classes else "ignore"
        return read_inputs(self.pipeline.schema, given, fit=fit, verb=verb, **{"labels": labels, **options})

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        label: Labels = None,
        temperature: float = 1.0,
        truncation: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        guidance: float | None = None,
    ) -> list[Any]:
        """New images, uint8 (H, W) or (H, W, 3), or new rows as dictionaries.

        See `Pipeline.sample`, and of the last four arguments `seisei.nn.transformer.sampling.SamplingOptions`.
        """
        return self.pipeline.sample(
            n,
            seed=seed,
            label=label,
            temperature=temperature,
            truncation=truncation,
            steering=_steering(top_k, top_p, min_p, guidance),
        )

    def reconstruct(self, given: Any, *, fit: Resize | None = None) -> list[Pixels]:
        """Every image, through the model and back."""
        self.pipeline.need("reconstruct")
        return self.pipeline.reconstruct(self.read(given, fit=fit, verb="reconstruct"))

    def encode(self, given: Any, *, fit: Resize | None = None) -> Latents:
        """The latent of every image, (N, L), or its codes, (N, T) whole numbers."""
        self.pipeline.need("encode")
        return self.pipeline.encode(self.read(given, fit=fit, verb="encode"))

    def decode(self, latents: Latents, *, label: Labels = None) -> list[Pixels]:
        """The image of every latent, or of every row of codes."""
        return self.pipeline.decode(latents, label=label)

    def impute(
        self,
        given: Any,
        holes: Any,
        n: int = 1,
        *,
        seed: int = 0,
        label: Labels = None,
        temperature: float = 1.0,
        particles: int = 8,
        fit: Resize | None = None,
        convert: bool = False,
        max_pixels: int = MAX_PIXELS,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        guidance: float | None = None,
    ) -> list[list[Pixels]]:
        """n completions of each image, whose holes are white in a mask: one for all, or one for each.

        See `Pipeline.impute`; of the last four arguments `seisei.nn.transformer.sampling.SamplingOptions`.
        """
        self.pipeline.need("impute")
        labels = "want" if self.pipeline.classes else "ignore"
        data = self.read(given, fit=fit, convert=convert, max_pixels=max_pixels, verb="impute", labels=labels)
        white = self.holes(holes, len(data), fit=fit)
        return self.pipeline.impute(
            data,
            white,
            n,
            seed=seed,
            label=label,
            temperature=temperature,
            particles=particles,
            steering=_steering(top_k, top_p, min_p, guidance),
        )

    def translate(
        self,
        given: Any,
        n: int = 1,
        *,
        seed: int = 0,
        convert: bool = False,
        max_pixels: int = MAX_PIXELS,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> list[Any]:
        """What the model makes of images of any size: an array for each, or with n > 1 a list of n.

        See `Pipeline.translate`; `given` is an image's path, a folder, anything else with images, or an array.
        """
        self.pipeline.need("translate")
        if seed > 0 and not self.pipeline.model.noise:
            raise _unread("seed", "has no effect: this model was trained without --noise", found=seed)
        found = []
        for name, image in originals(given, max_pixels=max_pixels):
            options: dict[str, Any] = {"seed": seed, "convert": convert, "tile": tile, "overlap": overlap}
            made = [self.pipeline.translate(image, name, number=i, **options).pixels for i in range(n)]
            found.append(made[0] if n == 1 else made)
        return found

    def stylize(
        self,
        content: Any,
        like: Any,
        *,
        strength: float = 1.0,
        keep_color: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> Pixels:
        """The content image in the style of another one, at its own size.

        Arguments:
            content: a path, the bytes of a file, or an array.
            like: the image whose style it shall have, likewise.
            strength: how much of the style, from 0 to 1.
            keep_color: the content's colors stay.
            max_pixels: a larger image is refused.
        """
        self.pipeline.need("stylize")
        x, y = (read_image(raw, max_pixels=max_pixels).pixels for raw in (content, like))
        return style_transfer.feedforward(self.pipeline, x, y, strength=strength, keep_color=keep_color).pixels

    def holes(self, given: Any, count: int, *, fit: Resize | None = None) -> Tensor:
        """What is white in masks, for so many images, (1 or count, 1, H, W)."""
        mask = self.read(given, fit=fit, verb="impute", labels="ignore", convert=True)
        if len(mask) not in (1, count):
            problem = f"{len(mask)} masks for {count} images"
            raise UserError("E-IMP-24", "--mask", problem, "give one mask, or one for each image")
        return torch.cat([batch.x for batch in self.pipeline.batches(mask)]).amax(1, keepdim=True) > 0.5

    def interpolate(
        self,
        ends: Any,
        *,
        steps: int = 8,
        path: Literal["linear", "spherical"] = "linear",
        label: Labels = None,
        fit: Resize | None = None,
    ) -> list[list[Pixels]]:
        """Images on the way between seeds (whole numbers), or between images (anything `read` takes)."""
        self.pipeline.need("interpolate")
        if isinstance(ends, (list, tuple)) and all(isinstance(e, int) for e in ends):
            if fit is not None:
                raise _unread("fit", "is for images as ends, and these are seeds", found=fit)
            z: Tensor | Latents = self.pipeline.prior_latents(ends)
        else:
            z = self.pipeline.encode(self.read(ends, fit=fit))
        return self.pipeline.interpolate(z, steps=steps, path=path, label=label)

    def score(
        self, given: Any, *, importance_samples: int = SAMPLES, seed: int = 0, fit: Resize | None = None
    ) -> Likelihood:
        """The log-likelihood of every image, or a bound on it."""
        self.pipeline.need("score")
        self.check_samples(importance_samples)
        return self.pipeline.score(self.read(given, fit=fit, verb="score"), samples=importance_samples, seed=seed)

    def predict(self, given: Any, *, seed: int = 0, **options: Any) -> Predictions:
        """The class of every example, with the probabilities of all classes where the model gives them."""
        self.pipeline.need("predict")
        return self.pipeline.predict(self.read(given, verb="predict", **options), seed=seed)

    def evaluate(
        self,
        data: Any = None,
        *,
        split: str | None = None,
        importance_samples: int = SAMPLES,
        limit: int = 10_000,
        seed: int = 0,
        cas: bool = False,
        inception: str | Path | None = None,
    ) -> dict[str, Any]:
        """The scores on a part of the run's own data, or of other data; nothing is written.

        Arguments:
            data: other data than the run's own.
            split: the part of them; by default test, or validation where test is empty, or all of other data where both
                are.
            importance_samples: importance samples behind each likelihood.
            limit: examples looked at, at most.
            seed: of the noise.
            cas: train classifiers on what is drawn and on real examples too, and compare these.
            inception: the weights of Inception-v3, a .safetensors file, to compare drawn images in its features.

        Raises:
            UserError: an unknown part, data that are gone, or weights that are not those of Inception-v3.
        """
        dataset = self.data(data)
        there = [name for name, part in dataset.splits.items() if len(part)]
        split = split or held_out(dataset) or ("train" if data is not None else None)
        if split is None:
            problem, remedy = "nothing was held out of these data", "name other data with --data, or pass --split train"
            raise UserError("E-EVA-10", "--split", problem, remedy, wanted=there)
        if split not in there:
            raise UserError("E-EVA-10", "--split", f"{split!r} is not there", did_you_mean(split, there), wanted=there)
        if importance_samples < 1 or limit < 1:
            raise UserError(
                "E-EVA-20",
                "--importance-samples",
                f"{min(importance_samples, limit)} is out of range, wanted >= 1",
                "choose a larger number",
            )
        self.check_samples(importance_samples)
        known = isinstance(dataset.schema.y, Label)
        if cas and not (only_draws(self.pipeline) and self.pipeline.conditional and known):
            problem = "is for models that draw examples of a class and give no likelihood, such as those of cgan"
            raise _unread("cas", problem, found=cas)
        return evaluate(
            self.pipeline, dataset, split=split, samples=importance_samples, limit=limit, seed=seed, cas=cas,
            inception=inception, judge=None if data is not None else judge_of(self.folder, self.pipeline, dataset),
        )  # fmt: skip

    def check_samples(self, importance_samples: int) -> None:
        """Refuse a number of importance samples for a model that draws none.

        Raises:
            UserError: it is not the usual one.
        """
        model: Any = self.pipeline.model
        drawn = bool(getattr(model, "log_prob_is_bound", False)) and not getattr(model, "by_codes", False)
        if importance_samples != SAMPLES and not drawn:
            raise _unread(
                "importance_samples",
                "has no effect: nothing is drawn for the scores of this model",
                found=importance_samples,
            )

    def data(self, given: Any = None) -> Dataset:
        """The run's data set, read as in training.

        Raises:
            UserError: it is gone.
        """
        if given is not None and self.pipeline.schema.x.noun == "row":
            # Rows are read by the columns of the model, not by what other data would make of them.
            return self.read(given, verb="evaluate", unseen="missing")
        where = self.recipe["data"]["path"] if given is None else given
        if where is None:
            raise UserError(
                "E-EVA-01",
                self.path,
                "was trained on arrays, which are not kept",
                "give them again: run.evaluate(data=…), or --data on the command line",
            )
        return DataOptions(**self.recipe["options"]).read(where, int(self.recipe["seed"]))

    def learned_from(self, given: Any) -> bool:
        """Whether a path or a name is that of the data that this model was trained on."""
        return isinstance(given, (str, os.PathLike)) and data_path(str(given)) == self.recipe["data"]["path"]

    def write_report(self, data: Any = None) -> Path:
        """Evaluate, draw the figures and write the report anew."""
        finish(self.folder, self.data(data))
        return self.report


def _unread(name: str, problem: str, found: object) -> UserError:
    """An option that changes nothing."""
    return UserError("E-GEN-07", f"--{name.replace('_', '-')}", problem, "leave it out", found=found)


def _steering(
    top_k: int | None, top_p: float | None, min_p: float | None, guidance: float | None
) -> SamplingOptions | None:
    """What a person turned; None where nothing was."""
    if all(knob is None for knob in (top_k, top_p, min_p, guidance)):
        return None
    return SamplingOptions(top_k, top_p, min_p, 1.0 if guidance is None else guidance)


def train(
    recipe: str,
    data: Any,
    *,
    output: str | Path | None = None,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    overwrite: bool = False,
    keep: int = 2,
    auto_remedy: bool = False,
    report: bool = True,
    listeners: Sequence[Listener] = (),
    **settings: Any,
) -> Run:
    """Train a model.

    Arguments:
        recipe: its name, such as ``vae``.
        data: a path, a name, or arrays in memory.
        output: the run's folder; one under ``runs/`` by default.
        seed: of everything random.
        overrides: of the plan, by dotted path: ``{"objective.beta": 0.5}``.
        overwrite: replace a run that is there.
        keep: checkpoints kept.
        auto_remedy: let the run do something about what the watch finds, where that is safe.
        report: evaluate and write the report at the end.
        listeners: told of every event, as it is logged.
        settings: dials of the recipe, fields of `DataOptions` and of `Execution`.

    Raises:
        UserError: anything wrong with the request or the data, before anything is written.
    """
    options = {f.name: settings.pop(f.name) for f in fields(DataOptions) if f.name in settings}
    execution = {f.name: settings.pop(f.name) for f in fields(Execution) if f.name in settings}
    request = Request(
        recipe=recipe, data=data, dials=settings, overrides=overrides or {}, options=DataOptions(**options),
        execution=Execution(**execution), seed=seed, output=None if output is None else Path(output),
        overwrite=overwrite, keep=keep, auto_remedy=auto_remedy, report=report,
    )  # fmt: skip
    return Run(workflow.start(request, listeners).path)


def resume(run: str | Path | Run, **options: Any) -> Run:
    """Go on with a run, to the same bits as if it had never stopped; see `seisei.workflows.train.resume`."""
    return Run(workflow.resume(run.path if isinstance(run, Run) else run, **options).path)


def compare(*runs: str | Path | Run, output: str | Path, **options: Any) -> Path:
    """Set classifiers side by side in one page; see `seisei.workflows.compare.compare`."""
    from seisei.workflows.compare import compare as carry_out

    return carry_out([run.path if isinstance(run, Run) else run for run in runs], Path(output), **options)


def load(path: str | Path) -> Run:
    """A run that is there.

    Raises:
        UserError: it is not.
    """
    return Run(path)


def check(data: Any, *, seed: int = 0, listeners: Sequence[Listener] = (), **options: Any) -> dict[str, Any]:
    """What is in the data, what is broken, and which recipes and options suit them; nothing is written.

    Pairs are looked for where no option says what the data are.

    Arguments:
        data: a path, a name, or arrays in memory.
        seed: of the division into parts.
        listeners: told how far reading has come.
        options: fields of `DataOptions`.

    Raises:
        UserError: more is broken than `skip_bad` allows.
    """
    return workflow.look(data, DataOptions(**options), seed, listeners)


def runs(folder: str | Path = "runs") -> list[dict[str, Any]]:
    """The runs in a folder, the newest first: what each is, how far it came, its scores, what it can do."""
    found = []
    for path in sorted(Path(folder).iterdir(), reverse=True) if Path(folder).is_dir() else []:
        if (path / "recipe.json").is_file():
            found.append(_summary(RunFolder(path)))
    return found


def _summary(folder: RunFolder) -> dict[str, Any]:
    """What one run is; what is wrong with its files is its ``trouble``, and nothing to the other runs."""
    try:
        recipe = folder.read("recipe.json")
        name, steps = str(recipe["recipe"]), recipe["plan"]["steps"]
        data, verbs = recipe["data"]["path"], recipe.get("verbs")
        kind = recipe["plan"]["objective"]["arguments"]["model"]["class"]
        known = isinstance(recipe["recipe"], str) and isinstance(steps, int) and isinstance(data, (str, NoneType))
        if not known or not (verbs is None or (isinstance(verbs, list) and all(isinstance(v, str) for v in verbs))):
            raise TypeError
        step = max((int(p.name.removeprefix("step-")) for p in folder.checkpoints.paths()), default=0)
        changed = datetime.fromtimestamp(folder.path.stat().st_mtime).isoformat(timespec="minutes")
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = str(error) if isinstance(error, UserError) else "recipe.json is not as seisei wrote it"
        return {"run": str(folder.path), "trouble": said}
    scores, trouble = _scores(folder)
    found = {
        "run": str(folder.path),
        "recipe": name,
        "data": Path(data or "arrays").name,
        "state": _state(folder, step, steps),
        "scores": scores,
        "verbs": verbs or _verbs_of(kind),
        "changed": changed,
    }
    return found if trouble is None else {**found, "trouble": trouble}


def _state(folder: RunFolder, step: int, steps: int) -> str:
    if step >= steps:
        return "finished"
    converged = any(event.get("event") == "converged" and event.get("step") == step for event in folder.events())
    return f"converged at step {step}" if converged else f"step {step} of {steps}"


def _scores(folder: RunFolder) -> tuple[dict[str, float | None], str | None]:
    """The scores of a run by name, and what is wrong with those that are left out."""
    if not (folder.path / "scores.json").exists():
        return {}, None
    try:
        found = folder.read("scores.json")
    except UserError as error:
        return {}, str(error)
    listed = found.get("scores") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        return {}, f"{folder.path / 'scores.json'} holds no list of scores"
    kept, wrong = dict[str, float | None](), list[str]()
    for place, score in enumerate(listed):
        name = score.get("name") if isinstance(score, dict) else None
        value: Any = score.get("value") if isinstance(score, dict) else ""
        if isinstance(name, str) and (value is None or type(value) in (int, float)):
            kept[name] = value
        else:
            wrong.append(repr(name) if isinstance(name, str) else f"number {place + 1}")
    if not wrong:
        return kept, None
    return kept, f"scores.json: {', '.join(wrong)} of its {len(listed)} scores cannot be read"


def _verbs_of(kind: str) -> list[str]:
    """What a model of a listed class can do, by its methods, in a run that has not begun to say: nothing is built."""
    from seisei import catalog
    from seisei.capabilities import VERBS
    from seisei.spec import CATALOG

    catalog.fill()
    cls = CATALOG.get(kind)
    if cls is None:
        return []
    return [verb for verb, protocol in VERBS.items() if all(hasattr(cls, m) for m in _members(protocol))] + ["evaluate"]


def _members(protocol: type) -> set[str]:
    return {name for name in protocol.__dict__ if not name.startswith("_")} | set(
        getattr(protocol, "__annotations__", {})
    )


def sheet(images: Sequence[Pixels], columns: int | None = None) -> bytes:
    """Images side by side, as PNG."""
    return png_bytes(grid(list(images), columns))
