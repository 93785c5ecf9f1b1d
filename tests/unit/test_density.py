"""Densities without classes: exact values, missing cells, units, ranks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import seisei
from seisei.cli.main import main

COVARIANCE = np.array([[4.0, 1.5], [1.5, 1.0]])
MEAN = np.array([100.0, -3.0])


def table(count: int = 400) -> dict[str, list[float]]:
    rows = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, count)
    return {"a": rows[:, 0].round(6).tolist(), "b": rows[:, 1].round(6).tolist()}


def test_a_gaussian_is_that_of_the_training_rows_in_their_own_units(tmp_path: Path) -> None:
    data = table()
    run = seisei.train("density", data, method="gaussian", pseudo_count=0.0, output=tmp_path / "run", report=False)
    kept = np.array([data["a"], data["b"]]).T
    from seisei.data.options import DataOptions
    from seisei.data.types import read_for_training

    train = kept[read_for_training(data, DataOptions()).splits["train"].numpy()]
    exact = stats.multivariate_normal(train.mean(0), np.cov(train.T, bias=True))
    new = {"a": [100.0, 90.0, 104.5], "b": [-3.0, 1.0, None]}
    found = run.score(new)
    assert found.nats[:2] == pytest.approx(exact.logpdf([[100, -3], [90, 1]]), abs=2e-3)
    # A missing cell is integrated out.
    marginal = stats.norm(train[:, 0].mean(), train[:, 0].std()).logpdf(104.5)
    assert found.nats[2] == pytest.approx(marginal, abs=2e-3)
    assert found.bits is None and not found.bound and found.meaning == "exact log-density, in the data's own units"
    drawn = run.sample(4000, seed=1).to_frame()
    assert drawn.mean().to_numpy() == pytest.approx(train.mean(0), abs=0.15)
    assert drawn.cov().to_numpy() == pytest.approx(np.cov(train.T), abs=0.3)


def test_scores_are_ranked_and_compared_with_held_out_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = table(300)
    lines = [f"{a},{b}" for a, b in zip(data["a"], data["b"], strict=True)]
    Path("t.csv").write_text("\n".join(["a,b", *lines, ""]))
    main(["train", "density", "t.csv", "-o", "run"])
    out = capsys.readouterr().out
    assert "seisei score run" in out and "log-density" in out
    Path("new.csv").write_text("a,b\n100,-3\n160,40\n101,-2.5\n")
    main(["score", "run", "new.csv"])
    out = capsys.readouterr().out.splitlines()
    assert "percentile" in out[0] and out[1].startswith("new.csv:3") and "median" in "\n".join(out)
    main(["score", "run", "new.csv", "--json"])
    rows = json.loads(capsys.readouterr().out)["scores"]
    assert [row["rank"] for row in rows][1] == 1 and rows[1]["percentile"] == 0 and rows[0]["percentile"] > 20
    main(["score", "run", "new.csv", "-o", "scores.csv"])
    assert Path("scores.csv").read_text().splitlines()[0] == "name,nats,percentile,rank"
    main(["check", "t.csv", "--json"])
    advice = json.loads(capsys.readouterr().out.split("\n", 0)[0].splitlines()[-1])["advice"]
    assert advice[0]["command"] == "seisei train density t.csv"


@pytest.mark.parametrize("method", ["naive", "mixture", "kde", "vae"])
def test_every_method_finds_an_outlier(tmp_path: Path, method: str) -> None:
    run = seisei.train(
        "density", table(), method=method, output=tmp_path / "run", **({"steps": 200} if method == "vae" else {})
    )
    nats = run.score({"a": [100.0, 130.0, 99.0], "b": [-3.0, 9.0, -3.5]}).nats
    assert nats.argmin() == 1 and nats[1] < nats[0] - 5
    assert run.report.is_file()
