"""What classifiers say on a plane through the data: the separating surface, p(y | x) and p(x | y) as images.

For rows the plane is that of two columns: a model that knows p(x | y) has the others integrated out, any other is told
their usual values. For images it is that of the first two principal components, through the mean image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.batch import Batch
from seisei.capabilities import HasJoint, HasPosterior
from seisei.data.dataset import Dataset
from seisei.errors import UserError, did_you_mean
from seisei.modalities.image_io import png_bytes
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.pipeline import Pipeline
from seisei.progress import tick
from seisei.report.charts import class_colors

SIDE, POINTS, DENSITIES, SEEN = 260, 300, 6, 4000
# Of a slow model every so many points are asked for, along each side.
COARSE = (1, 2, 4, 8, 16)
Colors = NDArray[np.uint8]


@dataclass(frozen=True)
class Plane:
    """A plane, and the examples that are shown on it.

    Arguments:
        axes: their names.
        extent: left, right, bottom, top, in the units of the names.
        grid: x of every point, row by row from the top, (SIDE², *x).
        free: which values of x the plane moves, broadcastable to x; None where it moves all of them.
        points: of training examples, (P, 2).
        labels: theirs, (P,).
    """

    axes: tuple[str, str]
    extent: tuple[float, float, float, float]
    grid: Tensor
    free: Tensor | None
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


def plane_of(data: Dataset, axes: tuple[str, str] | None = None) -> Plane:
    """The plane on which the classes of a data set lie farthest apart.

    Arguments:
        data: its training part is looked at.
        axes: two columns of a table, instead of those that tell the classes apart best.

    Raises:
        UserError: an unknown column, or one that is no number.
    """
    chosen = data.splits["train"] if len(data.splits.get("train", ())) else torch.arange(len(data))
    part = data.subset(chosen[torch.linspace(0, len(chosen) - 1, min(SEEN, len(chosen))).long()])
    assert part.y is not None
    if isinstance(data.schema.x, Table):
        return _of_columns(data.schema.x, part, axes)
    if axes is not None:
        raise UserError("E-CMP-22", "--axes", "names columns, and these are images", "leave it out")
    x = part.batch(torch.arange(len(part))).x
    flat = x.flatten(1)
    mean = flat.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Some more than are needed: the last ones of those that are asked for are not exact.
        _, _, directions = torch.pca_lowrank(flat, q=min(12, *flat.shape), niter=4)
    directions = directions[:, :2]
    points = (flat - mean) @ directions
    extent = _extent(points)
    a, b = _mesh(extent)
    grid = mean + a.unsqueeze(1) * directions[:, 0] + b.unsqueeze(1) * directions[:, 1]
    names = ("first principal component", "second principal component")
    return Plane(names, extent, grid.view(-1, *x.shape[1:]), None, *_some(points, part.y))


def _of_columns(table: Table, part: Dataset, axes: tuple[str, str] | None) -> Plane:
    numbers = [i for i, c in enumerate(table.columns) if c.kind == "number"]
    names = [table.columns[i].name for i in numbers]
    if axes is not None:
        for axis in axes:
            if axis not in names:
                raise UserError(
                    "E-CMP-22", "--axes", f"no column of numbers is called {axis!r}", did_you_mean(axis, names)
                )
        first, second = (table.names.index(axis) for axis in axes)
    else:
        if len(numbers) < 2:
            raise UserError(
                "E-CMP-22", "data", f"{len(numbers)} columns of numbers, wanted 2 for a plane", "leave out --axes"
            )
        first, second = _telling(part, numbers)
    assert part.y is not None
    batch = part.batch(torch.arange(len(part)))
    seen = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
    whole = seen[:, first] & seen[:, second]
    standard = batch.x[whole][:, [first, second]]
    extent = _extent(standard)
    a, b = _mesh(extent)
    usual = torch.zeros(len(table.columns))
    for j, column in enumerate(table.columns):
        if column.size:
            usual[j] = torch.bincount(batch.x[seen[:, j], j].long(), minlength=column.size).argmax()
    grid = usual.repeat(len(a), 1)
    grid[:, first], grid[:, second] = a, b
    free = torch.zeros(len(table.columns), dtype=torch.bool)
    free[[first, second]] = True
    columns = [table.columns[j] for j in (first, second)]
    shown = torch.tensor([[c.mean, c.scale] for c in columns], dtype=torch.float64)
    left, right, bottom, top = extent
    own = [c.mean + c.scale * e for c, e in zip((columns[0], columns[0], columns[1], columns[1]), extent, strict=True)]
    points, labels = _some(standard, part.y[whole])
    real = points * shown[:, 1].numpy() + shown[:, 0].numpy()
    return Plane((columns[0].name, columns[1].name), (own[0], own[1], own[2], own[3]), grid, free, real, labels)


def _telling(part: Dataset, numbers: list[int]) -> tuple[int, int]:
    """The two columns whose class means lie farthest apart, in units of the spread within a class."""
    assert part.y is not None
    batch = part.batch(torch.arange(len(part)))
    x, y = batch.x[:, numbers].double(), part.y
    seen = torch.ones_like(x) if batch.mask is None else batch.mask[:, numbers].double()
    total = (x * seen).sum(0) / seen.sum(0).clamp_min(1)
    between, within = torch.zeros_like(total), torch.zeros_like(total)
    for c in torch.unique(y).tolist():
        mine, weight = x[y == c], seen[y == c]
        n = weight.sum(0).clamp_min(1e-9)
        mean = (mine * weight).sum(0) / n
        between += n * (mean - total).square()
        within += ((mine - mean).square() * weight).sum(0)
    best = (between / within.clamp_min(1e-9)).topk(2).indices.tolist()
    first, second = sorted(numbers[i] for i in best)
    return first, second


def _extent(points: Tensor) -> tuple[float, float, float, float]:
    """Room for all but the outermost hundredth of the points, and a tenth more."""
    low, high = (torch.quantile(points.double(), q, 0) for q in (0.005, 0.995))
    room = 0.1 * (high - low).clamp_min(1e-6)
    (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
    return left, right, bottom, top


def _mesh(extent: tuple[float, float, float, float]) -> tuple[Tensor, Tensor]:
    left, right, bottom, top = extent
    b, a = torch.meshgrid(torch.linspace(top, bottom, SIDE), torch.linspace(left, right, SIDE), indexing="ij")
    return a.flatten(), b.flatten()


def _some(points: Tensor, labels: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    chosen = torch.linspace(0, len(points) - 1, min(POINTS, len(points))).long()
    return points[chosen].double().numpy(), labels[chosen].numpy()


# ---- images


@dataclass(frozen=True)
class Drawn:
    """Images of a model on a plane, as PNG.

    Arguments:
        images: ``decision`` and ``posterior``; none where the model is too slow for any.
        densities: of some classes, by name.
        less: in what they are less than they might be, and why.
    """

    images: dict[str, bytes]
    densities: list[tuple[str, bytes]]
    less: str = ""


@torch.no_grad()
def surfaces(pipeline: Pipeline, plane: Plane, budget: float = math.inf) -> Drawn:
    """Images of a model on a plane.

    Arguments:
        pipeline: the model.
        plane: where to ask it.
        budget: seconds that this may take, about: a slow model is asked at fewer points.
    """
    model: Any = pipeline.model
    assert isinstance(pipeline.schema.y, Label)
    names = pipeline.schema.y.names
    joins = isinstance(model, HasJoint)
    mask = plane.free.expand_as(plane.grid) if joins and plane.free is not None else None
    everywhere = Batch(plane.grid, None, mask)
    seconds = _seconds_a_point(model, everywhere)
    coarse = next((n for n in COARSE if seconds * (-(-SIDE // n)) ** 2 <= budget), None)
    whole = f"all {SIDE}×{SIDE} points would take {seconds * SIDE**2 / 60:.0f} minutes"
    if coarse is None:
        return Drawn({}, [], whole)
    less = f"at {-(-SIDE // coarse)}×{-(-SIDE // coarse)} points, as {whole}" if coarse > 1 else ""
    # In each square of so many points the one in its middle speaks for all.
    middles = (torch.arange(0, SIDE, coarse) + coarse // 2).clamp(max=SIDE - 1)
    asked = (middles.unsqueeze(1) * SIDE + middles).flatten()
    place = torch.arange(SIDE) // coarse
    spread = (place.unsqueeze(1) * len(middles) + place).flatten().numpy()

    def told(answer: Callable[[Batch], Tensor]) -> NDArray[Any]:
        found, size = [], 1024 if coarse == 1 else 64
        for start in range(0, len(asked), size):
            rows = asked[start : start + size]
            found.append(answer(everywhere.map(lambda x: x[rows])))  # noqa: B023 - called at once
            tick(start + len(rows), len(asked))
        return torch.cat(found).numpy()[spread]  # type: ignore[no-any-return]

    colors = np.array(class_colors(len(names)), np.float64)
    images, densities = {}, list[tuple[str, bytes]]()
    if joins:
        joint = told(lambda batch: model.log_joint(batch).double())
        decided = joint.argmax(1)
        density = joint - model.log_prior.double().numpy()
        for c in range(min(len(names), DENSITIES)):
            densities.append((names[c], png_bytes(_heat(density[:, c], colors[c]))))
    else:
        decided = told(model.decide)
    images["decision"] = png_bytes(_points(_image(0.55 * colors[decided] + 0.45 * 255), plane, colors))
    if isinstance(model, HasPosterior):
        posterior = told(lambda batch: model.log_posterior(batch).exp().double())
        images["posterior"] = png_bytes(_image(posterior @ colors))
    return Drawn(images, densities, less)


def _seconds_a_point(model: Any, everywhere: Batch) -> float:
    """What a point costs, of all that is asked of it; the first call of a model is slower than those after it."""
    asked = [model.log_joint] if isinstance(model, HasJoint) else [model.decide]
    asked += [model.log_posterior] if isinstance(model, HasPosterior) else []
    seconds = math.inf
    for count in (8, 64):
        few, begun = everywhere.map(lambda x: x[:count]), time.perf_counter()  # noqa: B023 - called at once
        for answer in asked:
            answer(few)
        took = time.perf_counter() - begun
        seconds = took / count
        if took > 2:
            break
    return seconds


def _image(values: NDArray[np.float64]) -> Colors:
    return values.clip(0, 255).reshape(SIDE, SIDE, 3).round().astype(np.uint8)


def _heat(log_p: NDArray[np.float64], color: NDArray[np.float64]) -> Colors:
    """A density as a class's color on white: nothing at e⁻⁸ of its highest value, full at the highest."""
    strength = ((log_p - log_p.max()) / 8 + 1).clip(0, 1)[:, None]
    return _image(255 * (1 - strength) + color * strength)


def _points(image: Colors, plane: Plane, colors: NDArray[np.float64]) -> Colors:
    """Examples as dots with a light rim."""
    left, right, bottom, top = plane.extent
    across = ((plane.points[:, 0] - left) / (right - left) * (SIDE - 1)).round().astype(int)
    down = ((top - plane.points[:, 1]) / (top - bottom) * (SIDE - 1)).round().astype(int)
    for x, y, label in zip(across, down, plane.labels, strict=True):
        if 0 <= x < SIDE and 0 <= y < SIDE:
            for reach, color in ((2, 255.0), (1, colors[label] * 0.8)):
                image[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = color
    return image
