"""A score belongs to the example: not to its place in the input, its batch, or what stands beside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seisei
from seisei import seeds
from seisei.batch import Batch
from seisei.cli.main import main
from seisei.data.dataset import Dataset
from seisei.metrics.likelihood import per_example_noise


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Any:
    options: dict[str, Any] = {"network": "mlp", "width": 16, "latent": 4, "batch": 32, "steps": 40, "report": False}
    return seisei.train("vae", "digits", output=tmp_path_factory.mktemp("vae") / "run", **options)


@pytest.fixture(scope="module")
def bayes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    options: dict[str, Any] = {"density": "vae", "width": 16, "latent": 4, "batch": 32, "steps": 40, "report": False}
    return seisei.train("generative", "digits", output=tmp_path_factory.mktemp("bayes") / "run", **options)


def some(run: Any, rows: torch.Tensor) -> Dataset:
    data: Dataset = run.data().subset(rows)
    return data


ORDERS = {"alone": torch.tensor([77]), "reversed": torch.arange(130).flip(0), "twice": torch.tensor([77] * 3 + [5])}


@pytest.mark.parametrize("samples", [1, 20, 300])
@pytest.mark.parametrize("name", list(ORDERS))
def test_a_score_does_not_depend_on_place_or_company(vae: Any, samples: int, name: str) -> None:
    every = vae.pipeline.score(some(vae, torch.arange(130)), samples=samples).nats
    asked = ORDERS[name]
    found = vae.pipeline.score(some(vae, asked), samples=samples).nats
    assert np.allclose(found, every[asked.numpy()], rtol=1e-6, atol=0), "the rounding of float32"
    # The noise is there, and is another one for another seed.
    assert np.abs(vae.pipeline.score(some(vae, asked), samples=samples, seed=1).nats - found).min() > 1e-4


def test_so_does_a_label_of_a_density_that_is_bounded(bayes: Any) -> None:
    every = bayes.pipeline.predict(some(bayes, torch.arange(130)))
    joint = bayes.pipeline.score(some(bayes, torch.arange(130)), samples=7).nats
    for asked in ORDERS.values():
        found = bayes.pipeline.predict(some(bayes, asked))
        assert np.abs(found.log_posterior - every.log_posterior[asked.numpy()]).max() < 1e-4
        again = bayes.pipeline.score(some(bayes, asked), samples=7).nats
        assert np.allclose(again, joint[asked.numpy()], rtol=1e-6, atol=0)
    assert np.array_equal(every.labels, np.exp(every.log_posterior).argmax(1))


def test_what_is_hidden_tells_the_noise_nothing() -> None:
    x, mask = torch.rand(3, 5), torch.tensor([[True, True, False, True, False]] * 3)

    def drawn(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        with per_example_noise(Batch(x, None, mask), 0):
            return torch.cat([seeds.normal(3, 4), seeds.uniform(3, 4)], 1)

    assert torch.equal(drawn(x, mask), drawn(torch.where(mask, x, 7.0), mask))
    assert not torch.equal(drawn(x, mask), drawn(x, None))
    assert torch.equal(drawn(x, None)[[2, 0, 1]], drawn(x[[2, 0, 1]], None))


# ---- and a file holds all of its digits ----


def test_files_hold_every_digit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    bayes = seisei.train("generative", "digits", density="naive", output=tmp_path / "run", report=False)
    names, parquet = [f"p({c})" for c in range(10)], pytest.importorskip("pyarrow.parquet")
    run = str(bayes.path)
    for name in ("p.csv", "p.parquet"):
        assert main(["predict", run, "digits", "--proba", "--top", "2", "-o", name]) in (0, None)
    assert main(["score", run, "digits", "-o", "s.csv"]) in (0, None)
    said = bayes.pipeline.predict(bayes.data())
    p = np.exp(said.log_posterior)
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    read = np.array([[float(row[name]) for name in names] for row in rows])
    assert np.array_equal(read, p) and (read.min() < 1e-7) and (read > 0).any()
    assert np.array_equal([float(row["probability"]) for row in rows], p.max(1))
    assert np.array_equal([float(row["probability 2"]) for row in rows], np.sort(p, 1)[:, -2])
    table = parquet.read_table("p.parquet").to_pydict()
    assert np.array_equal(np.stack([table[name] for name in names], 1), p)
    scores = bayes.pipeline.score(bayes.data())
    rows = list(csv.DictReader(Path("s.csv").read_text().splitlines()))
    assert np.array_equal([float(row["nats"]) for row in rows], scores.nats)
    assert "probability" in capsys.readouterr().out


def test_a_row_that_single_precision_cannot_square_has_probabilities(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    columns = {"a": draw.normal(size=60).tolist(), "b": draw.normal(size=60).tolist(), "kind": ["x", "y"] * 30}
    options: dict[str, Any] = {"target": "kind", "batch": 16, "steps": 5, "report": False}
    run = seisei.train("generative", columns, density="vae", output=tmp_path / "run", **options)
    found = run.predict({"a": [1e25, -1e29, 0.0], "b": [0.0, 1e29, 1e15]})
    assert found.log_posterior is not None and np.allclose(np.exp(found.log_posterior).sum(1), 1)
