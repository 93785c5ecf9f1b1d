"""Setting classifiers side by side on the same examples: what `seisei compare` measures, draws and writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import seisei
from seisei import catalog, seeds
from seisei.capabilities import Believes, Joins
from seisei.data.dataset import Dataset
from seisei.data.inputs import read_inputs
from seisei.errors import UserError
from seisei.evaluation.classification import calibration
from seisei.evaluation.comparison import write_comparison
from seisei.finish import evaluate
from seisei.modalities.files import png_bytes
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.pixels import grid
from seisei.pipeline import Pipeline
from seisei.plane import plane_of, surfaces
from seisei.session import DataOptions
from seisei.training.brief import trained
from seisei.training.plan import Plan
from seisei.training.run import RunFolder

HIDDEN = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
# A learning curve trains again and again: where one training took longer than this, it is left out unless asked for.
PATIENCE, SIZES, REPEATS = 5.0, 6, 3
Tell = Callable[[str], None]
KINDS = ((Joins, "generative"), (Believes, "discriminative"))
# What a dial left at "auto" came to, by a part of the plan.
CHOSEN = {"LowRank": "ppca-mixture", "Full": "gaussian", "ConvEncoder": "conv", "MLPEncoder": "mlp"}


def compare(
    paths: Sequence[str | Path],
    output: Path,
    *,
    data: Any = None,
    split: str = "test",
    most: int = 2000,
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
        split: the part of it.
        most: examples looked at, at most.
        axes: two columns of a table for the plane that is drawn.
        curves: whether learning curves are made; by default for models that train in a few seconds.
        seed: of what is hidden, and of the noise.
        command: as it was typed.
        tell: is told what is being done.

    Returns:
        The page.

    Raises:
        UserError: fewer than two runs, one that tells no classes, or runs of different data.
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
    part = _held_out(own, split) if data is None and own is not None else _other(pipelines[0], data)
    part = part.subset(torch.arange(min(most, len(part))))
    dataset = part if own is None else own
    label = part.schema.y
    assert isinstance(label, Label)
    flat = _can_be_drawn(dataset, axes)
    plane = plane_of(dataset, axes) if flat else None
    models, files = [], dict[str, bytes]()
    for place, (path, pipeline) in enumerate(zip(paths, pipelines, strict=True)):
        told = _Of(pipeline, Path(path), part, seed)
        tell(f"{told.title}: scores")
        facts = {**told.facts(), **told.measured(), "missing": told.with_gaps()}
        if own is not None and (curves or (curves is None and told.seconds < PATIENCE)):
            tell(f"{told.title}: learning curve")
            facts["curve"] = told.learning(own)
        if plane is not None:
            pictures, densities = surfaces(pipeline, plane)
            shown = {kind: f"{place}/{kind}.png" for kind in pictures}
            kinds = [{"label": name, "picture": f"{place}/density-{i}.png"} for i, (name, _) in enumerate(densities)]
            files |= {shown[kind]: content for kind, content in pictures.items()}
            files |= {kinds[i]["picture"]: content for i, (_, content) in enumerate(densities)}
            facts["surface"] = {"axes": plane.axes, "extent": plane.extent, **shown, "densities": kinds}
        drawn = told.drawn()
        if isinstance(drawn, bytes):
            files[f"{place}/samples.png"] = drawn
            facts["samples"] = {"picture": f"{place}/samples.png"}
        elif drawn is not None:
            facts["samples"] = {"rows": drawn}
        models.append(facts)
    where = (str(dataset.report["root"]), split) if data is None else (str(data), "all")
    about = {
        "path": where[0],
        "split": where[1],
        "examples": len(part),
        "classes": list(label.names),
        "noun": part.schema.x.noun,
    }
    words = shlex.join(command or ["seisei", "compare", *map(str, paths)])
    content = {"data": about, "seed": seed, "seisei": seisei.__version__, "command": words, "models": models}
    return _write(output, content, files)


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
        return DataOptions(**recipe["options"]).read(given, int(recipe["seed"]))
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
    """Whether the data have a plane: pictures do, and rows with two numbers."""
    if isinstance(data.schema.x, Image):
        return True
    return axes is not None or sum(c.kind == "number" for c in data.schema.x.columns) >= 2  # type: ignore[attr-defined]


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

    def measured(self) -> dict[str, Any]:
        """Scores, calibration, confusion."""
        scores = evaluate(self.pipeline, self.part, split="test", samples=32, most=len(self.part), seed=self.seed)
        predictions = self.pipeline.predict(self.part, seed=self.seed)
        sure = None if predictions.log_posterior is None else calibration(predictions).to_json()
        return {"scores": scores["scores"], "calibration": sure, "confusion": predictions.confusion().tolist()}

    def with_gaps(self) -> list[dict[str, float]]:
        """Accuracy when a share of the values of each example is hidden, the same ones from every model."""
        found = []
        for share in HIDDEN:
            shape = self.part.x.shape
            u = torch.rand(shape, generator=seeds.generator(self.seed, "hidden"))
            # A pixel is hidden in all of its colours.
            u = u[:, :1].expand(shape) if len(shape) == 4 else u
            right = self.pipeline.predict(self.part, seed=self.seed, keep=u >= share).accuracy()
            found.append({"share": share, "accuracy": right.value, "error": right.error})
        return found

    def learning(self, data: Dataset) -> list[dict[str, float]]:
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
        return found

    def drawn(self) -> bytes | list[dict[str, Any]] | None:
        """Samples: a column for each class of pictures, some rows of a table."""
        if "sample" not in self.pipeline.verbs:
            return None
        label = self.pipeline.schema.y
        assert isinstance(label, Label)
        if not isinstance(self.pipeline.schema.x, Image):
            rows: list[dict[str, Any]] = self.pipeline.sample(8, seed=self.seed)
            return rows
        columns = min(10, label.classes)
        kinds = [label.names[i % columns] for i in range(4 * columns)]
        return png_bytes(grid(self.pipeline.sample(len(kinds), seed=self.seed, label=kinds), columns))


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
