"""Setting classifiers side by side on the same examples: what `seisei compare` measures, draws and writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import seisei
from seisei import catalog, seeds
from seisei.capabilities import HasJoint, HasPosterior
from seisei.data.dataset import Dataset
from seisei.data.options import DataOptions
from seisei.data.types import read_for_training, read_inputs
from seisei.errors import Stopped, UserError
from seisei.evaluation.decision_surface import Plane, plane_of, surfaces
from seisei.evaluation.evaluate import evaluate, held_out
from seisei.metrics.classification import calibration
from seisei.metrics.estimates import proportion
from seisei.modalities.image import Image
from seisei.modalities.image_io import png_bytes
from seisei.modalities.pixels import grid
from seisei.pipeline import Pipeline
from seisei.progress import part as work
from seisei.report.comparison import write_comparison
from seisei.shell import joined
from seisei.training.plan import Plan
from seisei.training.quick_fit import trained
from seisei.training.run import RunFolder
from seisei.training.signals import Asked, Stopping

HIDDEN = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
# A learning curve trains again and again: where one training took longer than this, it is left out unless asked for.
PATIENCE, SIZES, REPEATS = 5.0, 6, 3
# Seconds that a part may take, of each model, which can be made smaller; examples below which it says nothing.
BUDGET, FEWEST = 60.0, 20
PARTS = ("scores", "missing values", "learning curve", "surface", "samples")
ANNOUNCED = ("scores", "learning curve", "surface")
Tell = Callable[[str], None]
KINDS = ((HasJoint, "generative"), (HasPosterior, "discriminative"))
# What a dial left at "auto" came to, by a part of the plan.
CHOSEN = {"LowRank": "ppca-mixture", "Full": "gaussian", "ConvEncoder": "conv", "MLPEncoder": "mlp"}


def compare(
    paths: Sequence[str | Path],
    output: Path,
    *,
    data: Any = None,
    split: str | None = None,
    limit: int = 2000,
    axes: tuple[str, str] | None = None,
    curves: bool | None = None,
    seed: int = 0,
    command: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Path:
    """Measure classifiers on the same held-out examples, and write a page about it.

    Arguments:
        paths: of their runs.
        output: a folder, made where it is not there.
        data: what to compare on; by default what the runs were trained on, which must be the same.
        split: the part of it; by default test, or validation where test is empty.
        limit: examples looked at, at most.
        axes: two columns of a table for the plane that is drawn.
        curves: whether learning curves are made; by default for models that train in a few seconds.
        seed: of what is hidden, and of the noise.
        command: as it was typed.
        tell: is told what is being done.

    Returns:
        The page.

    Raises:
        UserError: fewer than two runs, one that tells no classes, or runs of different data.
        Stopped: a signal came; the page has what was measured before.
    """
    if len(paths) < 2:
        raise UserError(
            "E-CMP-19", "runs", f"{len(paths)} run, wanted at least 2", "name another run", found=len(paths)
        )
    catalog.fill()
    pipelines = [Pipeline.load(path) for path in paths]
    for pipeline in pipelines:
        pipeline.need("predict")
    _same(pipelines, paths, anyway=data is not None)
    own = _own(paths[0], needed=data is None)
    split = split or (None if own is None else held_out(own)) or "test"
    part = _held_out(own, split) if data is None and own is not None else _other(pipelines[0], data)
    part = part.subset(torch.arange(min(limit, len(part))))
    dataset = part if own is None else own
    flat = _can_be_drawn(dataset, axes)
    plane = plane_of(dataset, axes) if flat else None
    runs = [_Of(pipeline, Path(path), part, seed) for path, pipeline in zip(paths, pipelines, strict=True)]
    models, files, left = list[dict[str, Any]](), dict[str, bytes](), list[str]()
    todo = [(told.title, what) for told in runs for what in PARTS]
    stopped: Asked | None = None
    try:
        with Stopping():
            for place, told in enumerate(runs):
                parts: dict[str, Callable[[], _Found]] = {
                    "scores": told.measured,
                    "missing values": told.with_gaps,
                    "learning curve": partial(told.learning, own, curves),
                    "surface": partial(told.surface, plane, place),
                    "samples": partial(told.drawn, place),
                }
                for what in PARTS:
                    if what in ANNOUNCED and not (what == "learning curve" and told.unlearned(own, curves)):
                        tell(f"{told.title}: {what}")
                    with work(told.title), work(what):
                        found = parts[what]()
                    if what == "scores":
                        models.append(told.facts())
                    models[-1] |= found.facts
                    files |= found.files
                    left += [f"{told.title}: {what}: {found.less}"] if found.less else []
                    todo.pop(0)
    except Asked as error:
        stopped = error
        if not models:
            raise Stopped("stopped before anything was measured", error.exit_code) from None
        left += [f"{title}: {what}: the comparison was stopped before" for title, what in todo]
    where = (str(dataset.report["root"]), split) if data is None else (str(data), "all")
    about = {
        "path": where[0],
        "split": where[1],
        "examples": len(part),
        "classes": list(part.schema.classes),
        "noun": part.schema.x.noun,
    }
    words = joined(command or ["seisei", "compare", *map(str, paths)])
    content = {"data": about, "seed": seed, "seisei": seisei.__version__, "command": words, "models": models}
    page = _write(output, {**content, "left_out": left}, files)
    if stopped is not None:
        raise Stopped(f"stopped; what was measured before is in {page}", stopped.exit_code)
    return page


def _write(output: Path, content: dict[str, Any], files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(data)
    output.mkdir(parents=True, exist_ok=True)
    (output / "comparison.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    return write_comparison(output)


def _same(pipelines: Sequence[Pipeline], paths: Sequence[str | Path], *, anyway: bool) -> None:
    """Refuse runs whose examples or classes are not the same; whose data differ only where no others are given."""
    first = pipelines[0]
    for pipeline, path in zip(pipelines, paths, strict=True):
        if pipeline.schema.to_json() != first.schema.to_json():
            seeds_ = [RunFolder.open(p).read("recipe.json").get("seed") for p in (path, paths[0])]
            if seeds_[0] != seeds_[1]:
                problem = f"was trained with --seed {seeds_[0]}, which divides the data otherwise than {seeds_[1]} does"
                raise UserError("E-CMP-21", path, problem, f"train it again with --seed {seeds_[1]}")
            problem = f"was trained on other {first.schema.x.noun}s or classes than {paths[0]}"
            raise UserError("E-CMP-21", path, problem, "choose runs of the same data and options")
        there, wanted = (str(p.card["data"].get("fingerprint")) for p in (pipeline, first))
        if there != wanted and not anyway:
            problem = f"its data have the fingerprint {there[:8]}, those of {paths[0]} {wanted[:8]}"
            raise UserError("E-CMP-21", path, problem, "name the data to compare on with --data")


def _own(path: str | Path, *, needed: bool) -> Dataset | None:
    """What a run was trained on; None where it is gone and not needed."""
    recipe = RunFolder.open(path).read("recipe.json")
    given = recipe["data"]["path"]
    if given is None and needed:
        raise UserError("E-CMP-09", path, "was trained on arrays, which are not kept", "give them: compare(…, data=…)")
    if given is None:
        return None
    try:
        return read_for_training(given, DataOptions(**recipe["options"]), seed=int(recipe["seed"]))
    except UserError:
        if needed:
            raise
        return None


def _held_out(data: Dataset, split: str) -> Dataset:
    if split not in data.splits or not len(data.splits[split]):
        there = [name for name, part in data.splits.items() if len(part)]
        raise UserError("E-CMP-20", "--split", f"no examples in {split!r}", f"choose from: {', '.join(there)}")
    return data.subset(data.splits[split])


def _other(pipeline: Pipeline, data: Any) -> Dataset:
    found = read_inputs(pipeline.schema, data, labels="want", verb="compare")
    if found.y is None or not bool((found.y >= 0).all()):
        raise UserError("E-CMP-20", data, "lacks labels to compare with", "name data that have them with --data")
    return found


def _can_be_drawn(data: Dataset, axes: tuple[str, str] | None) -> bool:
    """Whether the data have a plane: images do, and rows with two numbers."""
    if isinstance(data.schema.x, Image):
        return True
    return axes is not None or sum(c.kind == "number" for c in data.schema.x.columns) >= 2  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Found:
    """A part of what is told of a classifier.

    Arguments:
        facts: for the page.
        files: images that it names.
        less: in what it is less than it might be, and why.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    less: str = ""


class _Of:
    """What is told of one of the classifiers."""

    def __init__(self, pipeline: Pipeline, path: Path, part: Dataset, seed: int) -> None:
        self.pipeline, self.path, self.part, self.seed = pipeline, path, part, seed
        self.recipe = RunFolder.open(path).read("recipe.json")
        events = [e for e in RunFolder.open(path).events() if e.get("event") == "end"]
        self.seconds = float(events[-1].get("seconds", 0.0)) if events else 0.0
        self.kind = next((kind for able, kind in KINDS if isinstance(pipeline.model, able)), "discriminant")
        dials = self.recipe.get("dials", {})
        self.how = next((str(dials[key]) for key in ("density", "network", "method") if key in dials), "")
        if self.how == "auto":
            told = json.dumps(self.recipe["plan"]["objective"])
            self.how = next((name for part, name in CHOSEN.items() if f'"{part}"' in told), "auto")
        self.title = f"{self.recipe['recipe']} ({self.how})" if self.how else str(self.recipe["recipe"])

    def facts(self) -> dict[str, Any]:
        """What it is."""
        told = {k: v for k, v in self.recipe.get("dials", {}).items() if v is not None}
        return {
            "run": str(self.path), "title": self.title, "kind": self.kind, "recipe": self.recipe["recipe"],
            "dials": told, "seconds": self.seconds, "size": self.recipe.get("parameters"), "can": self.pipeline.verbs,
        }  # fmt: skip

    def measured(self) -> _Found:
        """Scores, calibration, confusion."""
        begun = time.perf_counter()
        self.told = self.pipeline.predict(self.part, seed=self.seed)
        self.took = time.perf_counter() - begun
        scores = evaluate(
            self.pipeline, self.part, split="test", samples=32, limit=len(self.part), seed=self.seed,
            class_predictions=self.told if self.told.known else None,
        )  # fmt: skip
        sure = None if self.told.log_posterior is None else calibration(self.told).to_json()
        confusion = self.told.confusion().tolist()
        return _Found({"scores": scores["scores"], "calibration": sure, "confusion": confusion})

    def with_gaps(self) -> _Found:
        """Accuracy when a share of the values of each example is hidden, the same ones from every model."""
        count, less = len(self.part), ""
        if (time_all := (len(HIDDEN) - 1) * self.took) > BUDGET:
            count = int(count * BUDGET / time_all)
            less = f"of the first {count:,} {self.part.schema.x.noun}s only: all would take {time_all / 60:.0f} minutes"
            if count < FEWEST:
                return _Found(less=f"left out: it would take {time_all / 60:.0f} minutes")
        few, found = self.part.subset(torch.arange(count)), []
        for share in HIDDEN:
            shape = few.x.shape
            u = torch.rand(self.part.x.shape, generator=seeds.generator(self.seed, "hidden"))[:count]
            # A pixel is hidden in all of its colors.
            u = u[:, :1].expand(shape) if len(shape) == 4 else u
            told = self.told if not share else self.pipeline.predict(few, seed=self.seed, keep=u >= share)
            right = proportion(told.right()[:count])
            found.append({"share": share, "accuracy": right.value, "error": right.error})
        return _Found({"missing": found}, less=less)

    def unlearned(self, data: Dataset | None, curves: bool | None) -> str:
        """Why there is no learning curve; nothing where there is one."""
        if data is None or curves is False:
            return "left out, as there is no training part" if data is None else "not asked for"
        slow = curves is None and self.seconds >= PATIENCE
        return f"left out, as one training takes {self.seconds:.0f} s; ask for it with --curves all" if slow else ""

    def learning(self, data: Dataset | None, curves: bool | None) -> _Found:
        """The learning curve, where it is asked for or quickly made."""
        why = self.unlearned(data, curves)
        return _Found(less=why if curves is not False else "") if why or data is None else self.curve(data)

    def surface(self, plane: Plane | None, place: int) -> _Found:
        """What it says on a plane, coarser where it is slow."""
        if plane is None:
            return _Found()
        drawn = surfaces(self.pipeline, plane, BUDGET)
        if not drawn.images:
            return _Found(less=f"left out: {drawn.limitation}")
        shown = {kind: f"{place}/{kind}.png" for kind in drawn.images}
        kinds = [{"label": name, "image": f"{place}/density-{i}.png"} for i, (name, _) in enumerate(drawn.densities)]
        files = {shown[kind]: content for kind, content in drawn.images.items()}
        files |= {kinds[i]["image"]: content for i, (_, content) in enumerate(drawn.densities)}
        facts = {"axes": plane.axes, "extent": plane.extent, **shown, "densities": kinds}
        return _Found({"surface": facts}, files, drawn.limitation)

    def curve(self, data: Dataset) -> _Found:
        """The error rate after training on few examples, more, and all of them."""
        train = data.splits["train"]
        train = train if data.y is None else train[data.y[train] >= 0]
        assert data.y is not None
        classes = len(torch.unique(data.y[train]))
        sizes = np.unique(np.geomspace(min(len(train), 4 * classes), len(train), SIZES).round().astype(int))
        plan = Plan.from_json(self.recipe["plan"], f"{self.path}/recipe.json")
        found = []
        for size in sizes.tolist():
            wrong = [
                error_after(plan, data, stratified(train, data.y, size, self.seed + number), self.part, self.seed)
                for number in range(REPEATS if size < len(train) else 1)
            ]
            mean = float(np.mean(wrong))
            # Of the draws of training rows, and of the test rows, which are all that is left where all rows are used.
            spread = float(np.hypot(np.std(wrong), np.sqrt(mean * (1 - mean) / len(self.part))))
            found.append({"rows": size, "error": mean, "spread": spread})
        return _Found({"curve": found})

    def drawn(self, place: int) -> _Found:
        """Samples: a column for each class of images, some rows of a table."""
        if "sample" not in self.pipeline.verbs:
            return _Found()
        classes = self.pipeline.schema.classes
        if not isinstance(self.pipeline.schema.x, Image):
            return _Found({"samples": {"rows": self.pipeline.sample(8, seed=self.seed)}})
        columns = min(10, len(classes))
        kinds = [classes[i % columns] for i in range(4 * columns)]
        name = f"{place}/samples.png"
        content = png_bytes(grid(self.pipeline.sample(len(kinds), seed=self.seed, label=kinds), columns))
        return _Found({"samples": {"image": name}}, {name: content})


def stratified(rows: torch.Tensor, y: torch.Tensor, size: int, seed: int) -> torch.Tensor:
    """So many of these rows, drawn by chance, at least one of each class."""
    shuffled = rows[torch.randperm(len(rows), generator=seeds.generator(seed, "curve"))]
    labels = y[shuffled]
    first = torch.stack([(labels == c).nonzero()[0, 0] for c in torch.unique(labels)])
    rest = torch.ones(len(shuffled), dtype=torch.bool)
    rest[first] = False
    chosen = torch.cat([first, rest.nonzero().flatten()])[:size]
    return shuffled[chosen].sort().values


def error_after(plan: Plan, data: Dataset, rows: torch.Tensor, test: Dataset, seed: int = 0) -> float:
    """The error rate on other examples after carrying out a classifier's plan with these rows only."""
    model = trained(plan, data, rows, seed)
    if model is None:
        return 1.0
    return 1 - float(Pipeline(model, data.schema, {}, "").predict(test, seed=seed).right().mean())
