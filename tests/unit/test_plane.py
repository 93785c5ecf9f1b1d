"""The plane on which classifiers are drawn: which columns it takes, what lies where in its images."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seisei.batch import Batch
from seisei.data.dataset import Dataset
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.evaluation.decision_surface import SIDE, Plane, plane_of, surfaces
from seisei.modalities.image_io import read_image
from seisei.modalities.label import Label
from seisei.models.classifier import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier
from seisei.models.linear import Planes
from seisei.models.mixture import Mixture
from seisei.nn.densities.full_covariance import Full
from seisei.nn.tabular.features import RowFeatures
from seisei.pipeline import Pipeline
from seisei.report.charts import class_colors


def rows(told_by: tuple[str, ...] = ("b", "d"), count: int = 300) -> Dataset:
    """Five columns, of which two tell the classes, in units of their own."""
    random, columns = np.random.default_rng(0), ("a", "b", "c", "d")
    frame: list[dict[str, Any]] = []
    for i in range(count):
        row: dict[str, Any] = {name: random.normal() + 2.5 * (name in told_by) * (i % 2) for name in columns}
        row["b"], row["d"] = 1000 + 100 * row["b"], row["d"] / 50
        frame.append({**row, "pet": "cat" if random.random() < 0.7 else "dog", "kind": "xy"[i % 2]})
    return read_dataset(frame, target="kind", labels=True)


def bayes(mean: list[list[float]], covariance: list[list[float]]) -> Mixture:
    """Two Gaussians over the numbers of five columns whose last is a category that tells nothing."""
    numbers = Full(2, 4, 0.0)
    numbers.mean.copy_(torch.tensor(mean).double())
    numbers.factor.copy_(torch.linalg.cholesky(torch.tensor(covariance).double()).expand(2, -1, -1))
    return Mixture(2, 1, [0, 0, 0, 0, 2], numbers)


def pipeline(model: Any, data: Dataset) -> Pipeline:
    return Pipeline(model, data.schema, {}, "")


def bare(plane: Plane) -> Plane:
    """Without examples, whose dots would hide what lies below."""
    return replace(plane, points=np.zeros((0, 2)), labels=np.zeros(0, np.int64))


def classes_in(image: bytes, count: int = 2) -> Any:
    """The class that each pixel is colored by, from the top."""
    pixels = read_image(image).pixels.astype(float)
    colors = 0.55 * np.array(class_colors(count)) + 0.45 * 255
    distance = np.abs(pixels[:, :, None] - colors).sum(-1)
    assert distance.min(-1).max() < 3, "nothing but the colors of classes"
    return distance.argmin(-1)


@pytest.mark.parametrize("told_by", list(itertools.combinations("abcd", 2)))
def test_the_plane_is_that_of_the_columns_that_tell_the_classes(told_by: tuple[str, str]) -> None:
    data = rows(told_by)
    assert plane_of(data).axes == told_by
    assert plane_of(data, ("c", "a")).axes == ("c", "a"), "unless others are named"


def test_labels_that_nothing_tells_have_another_plane() -> None:
    """The mutant of the test above: the same rows, their labels dealt out anew."""
    data, found = rows(), set()
    assert data.y is not None
    for seed in range(8):
        order = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(seed))
        found.add(plane_of(replace(data, y=data.y[order])).axes)
    assert len(found) > 1


def test_its_extent_and_its_points_are_in_the_units_of_the_data() -> None:
    data = rows()
    plane = plane_of(data)
    left, right, bottom, top = plane.extent
    assert 600 < left < 900 < 1300 < right < 1700 and -0.1 < bottom < 0 < 0.05 < top < 0.2
    assert data.y is not None and len(plane.points) == len(plane.labels) <= 300
    stored = data.x[:, [data.schema.x.names.index(axis) for axis in plane.axes]]  # type: ignore[attr-defined]
    for point, label in zip(plane.points[:50], plane.labels[:50], strict=True):
        off, place = (torch.tensor(point) - stored).abs().sum(1).min(0)
        assert off < 1e-3 and int(data.y[place]) == label
    inside = (plane.points > [left, bottom]) & (plane.points < [right, top])
    assert inside.all(1).mean() > 0.95


def test_the_top_of_an_image_is_the_upper_end_and_its_right_the_right_one() -> None:
    data = rows()
    plane = plane_of(data)
    names = data.schema.x.names  # type: ignore[attr-defined]
    assert plane.axes == ("b", "d")
    up = plane.grid[:, names.index("d")].view(SIDE, SIDE)
    across = plane.grid[:, names.index("b")].view(SIDE, SIDE)
    assert (up[0] > up[-1]).all() and (up[:, 0] == up[:, -1]).all()
    assert (across[:, -1] > across[:, 0]).all() and (across[0] == across[-1]).all()
    one = torch.eye(4).tolist()
    above = bayes([[0, 0, 0, -1], [0, 0, 0, 1]], one)  # the second class where d is large
    drawn = surfaces(pipeline(GenerativeClassifier(above, 2), data), bare(plane))
    images, densities = drawn.images, drawn.densities
    decided = classes_in(images["decision"])
    assert (decided[0] == 1).all() and (decided[-1] == 0).all()
    rightwards = bayes([[0, -1, 0, 0], [0, 1, 0, 0]], one)
    decided = classes_in(surfaces(pipeline(GenerativeClassifier(rightwards, 2), data), bare(plane)).images["decision"])
    assert (decided[:, 0] == 0).all() and (decided[:, -1] == 1).all()
    # A density is strongest where its class is, white where it is not.
    strength = 255 - read_image(dict(densities)["y"]).pixels.astype(float).mean(-1)
    assert [name for name, _ in densities] == ["x", "y"]
    assert strength[: SIDE // 4].mean() > 2 * strength[-SIDE // 4 :].mean()


def test_decisions_are_right_at_known_points_and_other_columns_are_integrated_out() -> None:
    data = rows()
    plane = bare(plane_of(data))
    # The third column tells the classes too, and goes with the second: at its usual value the answer would be another.
    covariance = torch.eye(4)
    covariance[1, 2] = covariance[2, 1] = 0.9
    model = GenerativeClassifier(bayes([[0, -1, -2, 0], [0, 1, 2, 0.5]], covariance.tolist()), 2)
    decided = classes_in(surfaces(pipeline(model, data), plane).images["decision"]).flatten()
    b, d = plane.grid[:, 1].double(), plane.grid[:, 3].double()
    # The marginal over b and d: unit spreads, apart by 2 and by 0.5.
    wanted = (2 * b + 0.5 * (d - 0.25) > 0).long().numpy()
    sure = (2 * b + 0.5 * (d - 0.25)).abs().numpy() > 1e-3
    assert (decided == wanted)[sure].all() and 0.1 < wanted.mean() < 0.9
    usual = model.decide(Batch(plane.grid)).numpy()  # mutant: the other columns at their usual values
    assert (usual == wanted).mean() < 0.6


def test_a_surface_that_gives_no_probability_has_a_decision_alone() -> None:
    data = rows()
    plane, features = plane_of(data), RowFeatures([0, 0, 0, 0, 2], missing=True)
    planes = Planes(features, features.outputs, 2, "margin")
    planes.weight[1, 1], planes.weight[1, 3], planes.bias[1] = 1.0, -2.0, 0.25
    drawn = surfaces(pipeline(DiscriminantClassifier(planes), data), bare(plane))
    images, densities = drawn.images, drawn.densities
    assert set(images) == {"decision"} and densities == []
    score = (plane.grid[:, 1] - 2 * plane.grid[:, 3] + 0.25).numpy()
    decided = classes_in(images["decision"]).flatten()
    assert (decided == (score > 0))[np.abs(score) > 1e-4].all()
    images = surfaces(pipeline(DiscriminativeClassifier(planes), data), plane).images
    assert set(images) == {"decision", "posterior"}
    # What is sure is colored as its class, what is not lies between.
    shown, colors = read_image(images["posterior"]).pixels.reshape(-1, 3), np.array(class_colors(2))
    p = 1 / (1 + np.exp(-score.astype(float)))[:, None]
    assert np.abs(shown - (p * colors[1] + (1 - p) * colors[0])).max() < 1.5
    dots = read_image(images["decision"]).pixels.reshape(-1, 3)
    rim = (dots == 255).all(1)
    assert rim.sum() > len(plane.points), "every example is a dot with a rim"


def test_images_lie_on_a_plane_through_their_mean() -> None:
    data = read_dataset("digits", labels=True)
    plane = plane_of(data)
    assert plane.free is None and plane.grid.shape == (SIDE * SIDE, 1, 8, 8)
    assert plane.axes == ("first principal component", "second principal component")
    left, right, bottom, top = plane.extent
    corners = plane.grid.view(SIDE, SIDE, 64)[[0, 0, -1, -1], [0, -1, 0, -1]].double()
    across, up = (corners[1] - corners[0]) / (right - left), (corners[0] - corners[2]) / (top - bottom)
    assert abs(float(across.norm()) - 1) < 1e-4 and abs(float(up.norm()) - 1) < 1e-4 and abs(float(across @ up)) < 1e-4
    train = data.splits["train"]
    x = data.batch(train).x.flatten(1).double()
    mean = corners[2] - left * across - bottom * up
    assert torch.allclose(mean, x.mean(0), atol=1e-4)
    spread = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))[-2:]
    found = torch.stack([((x - mean) @ axis).square().mean() for axis in (up, across)])
    assert torch.allclose(found, spread, rtol=1e-3)
    assert isinstance(data.schema.y, Label) and len(set(plane.labels.tolist())) == 10


def test_what_is_no_plane_is_refused() -> None:
    data = rows()
    with pytest.raises(UserError, match="no numeric column 'pet'"):
        plane_of(data, ("a", "pet"))
    with pytest.raises(UserError, match="the data has images"):
        plane_of(read_dataset("digits", labels=True), ("a", "b"))
    few = read_dataset([{"a": i * 0.5, "b": "uv"[i % 2], "k": "xy"[i % 2]} for i in range(60)], target="k", labels=True)
    with pytest.raises(UserError, match="1 numeric column, wanted at least 2"):
        plane_of(few)
