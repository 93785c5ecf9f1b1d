"""Decision regions of classifiers on a plane through the data, with p(y | x) and p(x | y), as images.

For tables the plane is that of two columns: a generative model marginalizes the others, and a discriminative one gets
their mean or most frequent value. For images it is that of the first two principal components, through the mean.
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
from seisei.report.svg import count_of

# Pixels per side, maximum numbers of points, of densities, and of examples to fit the plane.
SIDE, POINTS, DENSITIES, FITTED = 260, 300, 6, 4000
# Strides of the evaluated points, along each side, for slow models.
STRIDES = (1, 2, 4, 8, 16)
Colors = NDArray[np.uint8]


@dataclass(frozen=True)
class Plane:
    """A plane, and training examples on it.

    Arguments:
        axes: names of the axes.
        extent: left, right, bottom, top, in the units of the axes.
        grid: x of every point, row by row from the top, (SIDE², *x).
        free: mask of the values of x that vary on the plane, broadcastable to x; None if all do.
        points: coordinates of training examples, (P, 2).
        labels: class indices of these examples, (P,).
    """

    axes: tuple[str, str]
    extent: tuple[float, float, float, float]
    grid: Tensor
    free: Tensor | None
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


def plane_of(data: Dataset, axes: tuple[str, str] | None = None) -> Plane:
    """The plane that best separates the classes of a table, or the principal plane of images.

    Arguments:
        data: data whose training split is used.
        axes: two columns of a table, instead of those that separate the classes best.

    Raises:
        UserError: an unknown or non-numeric column, too few numeric columns, or axes for images.
    """
    chosen = data.splits["train"] if len(data.splits.get("train", ())) else torch.arange(len(data))
    part = data.subset(chosen[torch.linspace(0, len(chosen) - 1, min(FITTED, len(chosen))).long()])
    assert part.y is not None
    if isinstance(data.schema.x, Table):
        return _of_columns(data.schema.x, part, axes)
    if axes is not None:
        raise UserError("E-CMP-22", "--axes", "expects columns of a table, the data has images", "omit --axes")
    x = part.batch(torch.arange(len(part))).x
    flat = x.flatten(1)
    mean = flat.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # More directions than needed: the last ones of a randomized PCA are inexact.
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
                raise UserError("E-CMP-22", "--axes", f"no numeric column {axis!r}", did_you_mean(axis, names))
        first, second = (table.names.index(axis) for axis in axes)
    else:
        if len(numbers) < 2:
            raise UserError(
                "E-CMP-22", "data", f"{count_of(len(numbers), 'numeric column')}, wanted at least 2", "omit --axes"
            )
        first, second = _most_separating(part, numbers)
    assert part.y is not None
    batch = part.batch(torch.arange(len(part)))
    observed = torch.ones_like(batch.x, dtype=torch.bool) if batch.mask is None else batch.mask
    complete = observed[:, first] & observed[:, second]
    standard = batch.x[complete][:, [first, second]]
    extent = _extent(standard)
    a, b = _mesh(extent)
    typical = torch.zeros(len(table.columns))
    for j, column in enumerate(table.columns):
        if column.size:
            typical[j] = torch.bincount(batch.x[observed[:, j], j].long(), minlength=column.size).argmax()
    grid = typical.repeat(len(a), 1)
    grid[:, first], grid[:, second] = a, b
    free = torch.zeros(len(table.columns), dtype=torch.bool)
    free[[first, second]] = True
    columns = [table.columns[j] for j in (first, second)]
    scaling = torch.tensor([[c.mean, c.scale] for c in columns], dtype=torch.float64)
    left, right, bottom, top = extent
    own = [c.mean + c.scale * e for c, e in zip((columns[0], columns[0], columns[1], columns[1]), extent, strict=True)]
    points, labels = _some(standard, part.y[complete])
    real = points * scaling[:, 1].numpy() + scaling[:, 0].numpy()
    return Plane((columns[0].name, columns[1].name), (own[0], own[1], own[2], own[3]), grid, free, real, labels)


def _most_separating(part: Dataset, numbers: list[int]) -> tuple[int, int]:
    """The two columns with the largest ratio of between-class to within-class variance."""
    assert part.y is not None
    batch = part.batch(torch.arange(len(part)))
    x, y = batch.x[:, numbers].double(), part.y
    observed = torch.ones_like(x) if batch.mask is None else batch.mask[:, numbers].double()
    total = (x * observed).sum(0) / observed.sum(0).clamp_min(1)
    between, within = torch.zeros_like(total), torch.zeros_like(total)
    for c in torch.unique(y).tolist():
        members, weight = x[y == c], observed[y == c]
        n = weight.sum(0).clamp_min(1e-9)
        mean = (members * weight).sum(0) / n
        between += n * (mean - total).square()
        within += ((members - mean).square() * weight).sum(0)
    best = (between / within.clamp_min(1e-9)).topk(2).indices.tolist()
    first, second = sorted(numbers[i] for i in best)
    return first, second


def _extent(points: Tensor) -> tuple[float, float, float, float]:
    """The central 99 % of the points with a margin of a tenth."""
    low, high = (torch.quantile(points.double(), q, 0) for q in (0.005, 0.995))
    margin = 0.1 * (high - low).clamp_min(1e-6)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
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
class Surfaces:
    """Images of a model's outputs on a plane, as PNG.

    Arguments:
        images: ``decision`` and ``posterior``; empty if the model is too slow.
        densities: class name and image of p(x | y), for some classes.
        limitation: how the images are reduced, and why; empty if they are not.
    """

    images: dict[str, bytes]
    densities: list[tuple[str, bytes]]
    limitation: str = ""


@torch.no_grad()
def surfaces(pipeline: Pipeline, plane: Plane, budget: float = math.inf) -> Surfaces:
    """Images of a model's outputs on a plane.

    Arguments:
        pipeline: trained classifier.
        plane: plane to evaluate it on.
        budget: approximate time limit in seconds: a slow model is evaluated at fewer points.
    """
    model: Any = pipeline.model
    assert isinstance(pipeline.schema.y, Label)
    names = pipeline.schema.y.names
    generative = isinstance(model, HasJoint)
    mask = plane.free.expand_as(plane.grid) if generative and plane.free is not None else None
    everywhere = Batch(plane.grid, None, mask)
    seconds = _seconds_per_point(model, everywhere)
    stride = next((n for n in STRIDES if seconds * (-(-SIDE // n)) ** 2 <= budget), None)
    cost = f"all {SIDE}×{SIDE} points would take {seconds * SIDE**2 / 60:.0f} minutes"
    if stride is None:
        return Surfaces({}, [], cost)
    limitation = f"at {-(-SIDE // stride)}×{-(-SIDE // stride)} points, because {cost}" if stride > 1 else ""
    # Each square of stride × stride points takes the value at its center.
    middles = (torch.arange(0, SIDE, stride) + stride // 2).clamp(max=SIDE - 1)
    indices = (middles.unsqueeze(1) * SIDE + middles).flatten()
    cell = torch.arange(SIDE) // stride
    spread = (cell.unsqueeze(1) * len(middles) + cell).flatten().numpy()

    def evaluated(function: Callable[[Batch], Tensor]) -> NDArray[Any]:
        found, size = [], 1024 if stride == 1 else 64
        for start in range(0, len(indices), size):
            rows = indices[start : start + size]
            found.append(function(everywhere.map(lambda x: x[rows])))  # noqa: B023 - called at once
            tick(start + len(rows), len(indices))
        return torch.cat(found).numpy()[spread]  # type: ignore[no-any-return]

    colors = np.array(class_colors(len(names)), np.float64)
    images, densities = {}, list[tuple[str, bytes]]()
    if generative:
        joint = evaluated(lambda batch: model.log_joint(batch).double())
        decision = joint.argmax(1)
        density = joint - model.log_prior.double().numpy()
        for c in range(min(len(names), DENSITIES)):
            densities.append((names[c], png_bytes(_heat(density[:, c], colors[c]))))
    else:
        decision = evaluated(model.decide)
    images["decision"] = png_bytes(_points(_image(0.55 * colors[decision] + 0.45 * 255), plane, colors))
    if isinstance(model, HasPosterior):
        posterior = evaluated(lambda batch: model.log_posterior(batch).exp().double())
        images["posterior"] = png_bytes(_image(posterior @ colors))
    return Surfaces(images, densities, limitation)


def _seconds_per_point(model: Any, everywhere: Batch) -> float:
    """Time per point for all outputs; a second measurement follows a fast first one, which includes warm-up."""
    functions = [model.log_joint] if isinstance(model, HasJoint) else [model.decide]
    functions += [model.log_posterior] if isinstance(model, HasPosterior) else []
    seconds = math.inf
    for count in (8, 64):
        few, begun = everywhere.map(lambda x: x[:count]), time.perf_counter()  # noqa: B023 - called at once
        for function in functions:
            function(few)
        took = time.perf_counter() - begun
        seconds = took / count
        if took > 2:
            break
    return seconds


def _image(values: NDArray[np.float64]) -> Colors:
    return values.clip(0, 255).reshape(SIDE, SIDE, 3).round().astype(np.uint8)


def _heat(log_p: NDArray[np.float64], color: NDArray[np.float64]) -> Colors:
    """A log-density as an opacity of the class color: 0 at e⁻⁸ of the maximum, 1 at the maximum."""
    strength = ((log_p - log_p.max()) / 8 + 1).clip(0, 1)[:, None]
    return _image(255 * (1 - strength) + color * strength)


def _points(image: Colors, plane: Plane, colors: NDArray[np.float64]) -> Colors:
    """The image with examples as dots with a white outline."""
    left, right, bottom, top = plane.extent
    across = ((plane.points[:, 0] - left) / (right - left) * (SIDE - 1)).round().astype(int)
    down = ((top - plane.points[:, 1]) / (top - bottom) * (SIDE - 1)).round().astype(int)
    for x, y, label in zip(across, down, plane.labels, strict=True):
        if 0 <= x < SIDE and 0 <= y < SIDE:
            for reach, color in ((2, 255.0), (1, colors[label] * 0.8)):
                image[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = color
    return image
