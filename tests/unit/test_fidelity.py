"""What is drawn is compared with the data: models whose quality is known get the scores that they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.data.dataset import Dataset
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.evaluation import sample_quality as module
from seisei.evaluation.evaluate import evaluate, only_draws
from seisei.evaluation.sample_quality import Fidelity, classification_accuracy, feature_extractor, fidelity
from seisei.pipeline import Pipeline


class Drawer(nn.Module):
    """Draws from a store of examples: one at random, of the kind that is asked for."""

    def __init__(self, x: Tensor, y: Tensor | None, classes: int) -> None:
        super().__init__()
        self.register_buffer("x", x)
        self.y, self.classes = y, classes

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        u = seeds.uniform(n)
        chosen = []
        for i in range(n):
            rows = torch.arange(len(self.x)) if y is None or self.y is None else (self.y == y[i]).nonzero()[:, 0]
            chosen.append(rows[int(u[i] * len(rows))])
        return self.x[torch.stack(chosen)]  # type: ignore[index, no-any-return]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return read_dataset("digits", labels=True)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 300)


def pipeline_of(data: Dataset, rows: Tensor, classes: int = 0, shuffled: bool = False) -> Pipeline:
    batch = data.batch(rows)
    y = batch.y if batch.y is None or not shuffled else (batch.y + 1) % 10
    card = {"data": {"fingerprint": data.fingerprint}, "step": 1}
    return Pipeline(Drawer(batch.x, y, classes), data.schema, card, "")


def scores(found: Fidelity) -> dict[str, float]:
    return {score["name"]: score["value"] for score in found.scores}


def test_draws_of_the_data_themselves_are_good_and_those_of_one_image_are_not(digits: Dataset) -> None:
    test, validation = digits.splits["test"], digits.splits["validation"]
    good = scores(fidelity(pipeline_of(digits, validation), digits, split="test", limit=150))
    assert good["precision"] > 0.8 and good["recall"] > 0.7 and good["coverage"] > 0.7 and good["kinds drawn"] == 10
    assert 0.4 < good["copies"] < 0.6 and "balanced label fidelity" not in good and good["reverse KL of kinds"] < 0.15
    one = scores(fidelity(pipeline_of(digits, test[:1]), digits, split="test", limit=150))
    assert one["coverage"] < 0.1 and one["recall"] < 0.1 and one["kinds drawn"] == 1
    assert one["Fréchet distance"] > 10 * abs(good["Fréchet distance"]) and one["reverse KL of kinds"] > 1.5


def test_copies_of_training_images_are_noticed_and_named(digits: Dataset) -> None:
    train = digits.splits["train"]
    found = fidelity(pipeline_of(digits, train), digits, split="test", limit=100)
    assert scores(found)["copies"] > 0.99 and len(found.nearest) == len(found.samples) == 100
    back = digits.schema.x.unpack(digits.x[torch.tensor(found.nearest)])
    assert all(torch.equal(digits.schema.x.encode(p), x) for p, x in zip(found.samples, back, strict=True))
    # Of other data, or of the training images themselves, nobody can say what a copy is.
    other = pipeline_of(digits, train)
    other.card["data"]["fingerprint"] = "another"
    assert "copies" not in scores(fidelity(other, digits, split="test", limit=100))
    assert "copies" not in scores(fidelity(pipeline_of(digits, train), digits, split="train", limit=100))


def test_kinds_that_are_asked_for_are_judged_by_a_classifier(digits: Dataset) -> None:
    rows = digits.splits["validation"]
    asked = scores(fidelity(pipeline_of(digits, rows, 10), digits, split="test", limit=150))
    assert asked["label fidelity"] > 0.9 and "kinds drawn" not in asked
    wrong = scores(fidelity(pipeline_of(digits, rows, 10, shuffled=True), digits, split="test", limit=150))
    assert wrong["label fidelity"] < 0.1


def test_label_fidelity_says_what_one_class_for_all_would_give(digits: Dataset) -> None:
    """Of nine zeros for each one, zeros alone are right nine times of ten, and half the time of either class."""
    y, rows = digits.y, digits.splits["test"]
    assert y is not None
    zeros, ones = rows[y[rows] == 0], rows[y[rows] == 1]
    few = replace(digits, splits={**digits.splits, "test": torch.cat([zeros[:18], ones[:2]])})
    only = pipeline_of(digits, zeros, 10)
    only.model.y = None
    found = {score["name"]: score for score in fidelity(only, few, split="test", limit=100).scores}
    plain, balanced = found["label fidelity"], found["balanced label fidelity"]
    assert plain["value"] == plain["chance"] == 0.9 and balanced["value"] == balanced["chance"] == 0.5
    assert "90.0%" in plain["note"] and "chance gives 50.0%" in balanced["note"]
    assert plain["low"] < 0.9 < plain["high"] < 1 and 0 < balanced["low"] < 0.5 < balanced["high"] < 1


def test_neighborhoods_want_fifty_examples(digits: Dataset) -> None:
    pipeline = pipeline_of(digits, digits.splits["validation"])
    few, enough = (fidelity(pipeline, digits, split="test", limit=most) for most in (49, 50))
    named = set(module.NEIGHBOR_METRICS.split(", "))
    assert not named & set(scores(few)) and named <= set(scores(enough)) and not enough.left_out
    assert few.left_out == [{"scores": module.NEIGHBOR_METRICS, "why": "49 test images, at least 50 required"}]


def test_copies_say_what_is_expected(digits: Dataset) -> None:
    found = fidelity(pipeline_of(digits, digits.splits["validation"]), digits, split="test", limit=50)
    (copies,) = (score for score in found.scores if score["name"] == "copies")
    assert copies["chance"] == 0.5 and copies["better"] == "nearer to 0.5"
    assert "expected 0.5 when nothing is copied" in copies["note"]


def test_a_classifier_learns_from_drawn_images_what_they_are_worth(digits: Dataset) -> None:
    rows = digits.splits["validation"]
    how: dict[str, Any] = {"split": "test", "limit": 150, "drawn": 600, "steps": 300}
    good, real = classification_accuracy(pipeline_of(digits, rows, 10), digits, **how)
    assert 0.75 < good.value <= real.value + 0.03 and real.value > 0.9
    wrong, again = classification_accuracy(pipeline_of(digits, rows, 10, shuffled=True), digits, **how)
    assert wrong.value < 0.1 and again.value == real.value
    # One image of each kind lacks variety, which no look at single images shows.
    firsts = torch.stack([rows[digits.y[rows] == kind][0] for kind in range(10)])  # type: ignore[index]
    poor, _ = classification_accuracy(pipeline_of(digits, firsts, 10), digits, **how)
    assert poor.value < good.value - 0.1


def test_without_labels_the_features_are_an_autoencoders() -> None:
    data = read_dataset("digits")
    read = feature_extractor(data)
    assert read.posterior is None and "autoencoder" in read.source
    with torch.no_grad():
        assert read.features(data.batch(torch.arange(5))).shape == (5, module.FEATURES)


def test_rows_are_read_as_they_are() -> None:
    random = torch.Generator().manual_seed(0)
    points = torch.randn(600, 2, generator=random)
    columns: dict[str, Any] = {"a": points[:, 0].tolist(), "b": points[:, 1].tolist()}
    data = read_dataset(columns, source="table")
    same = fidelity(pipeline_of(data, data.splits["validation"]), data, split="test", limit=100)
    assert scores(same)["precision"] > 0.6 and "standardized" in same.scores[0]["note"]


def test_too_few_examples_say_nothing(digits: Dataset) -> None:
    with pytest.raises(UserError) as caught:
        fidelity(pipeline_of(digits, digits.splits["test"]), digits, split="test", limit=12)
    assert caught.value.code == "E-EVA-24" and "12 images, wanted at least 20" in str(caught.value)


def test_evaluate_compares_what_only_draws(digits: Dataset) -> None:
    pipeline = pipeline_of(digits, digits.splits["validation"])
    assert only_draws(pipeline)
    found = evaluate(pipeline, digits, split="test", samples=1, limit=60)
    assert [s["name"] for s in found["scores"]][:2] == ["Fréchet distance", "kernel distance"]
    same = evaluate(pipeline, digits, split="test", samples=1, limit=60)
    assert found == same
