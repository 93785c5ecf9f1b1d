"""Proportions: an interval that is honest at both ends, and what a score is worth above chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

import seisei
from seisei.metrics.classification import Predictions
from seisei.metrics.estimates import mean_proportion, proportion
from seisei.metrics.significance import wilson
from seisei.report.run_report import write_report
from seisei.verbs.evaluate import score_lines


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 8), (8, 8), (3, 7), (50, 100), (999, 1000)])
def test_the_interval_of_a_proportion_is_scipys(right: int, n: int) -> None:
    found = proportion(np.arange(n) < right)
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    one = binomtest(right, n).proportion_ci(confidence_level=0.6826894921370859, method="wilson")
    assert found.error == pytest.approx((one.high - one.low) / 2)
    assert found.error > 0 and found.low is not None and found.low <= found.value <= found.high


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Near an end too, where the plain standard error says 0 of every second table."""
    draw = np.random.default_rng(0)
    for p, n in ((0.02, 30), (0.5, 30), (0.98, 30)):
        hits = draw.binomial(n, p, 4000)
        ends = np.array([wilson(hit / n, n) for hit in hits])
        assert ((ends[:, 0] <= p) & (p <= ends[:, 1])).mean() > 0.93
        plain = 1.96 * np.sqrt(hits / n * (1 - hits / n) / n)
        assert p == 0.5 or (np.abs(hits / n - p) <= plain).mean() < 0.6


def test_balanced_accuracy_and_its_level() -> None:
    draw = np.random.default_rng(0)
    truth, labels = (draw.random(200) < 0.1).astype(int), (draw.random(200) < 0.2).astype(int)
    told = Predictions(("no", "yes", "never"), labels, None, truth)
    assert told.accuracy().value == accuracy_score(truth, labels)
    assert told.balanced_accuracy().value == pytest.approx(balanced_accuracy_score(truth, labels))
    assert told.majority() == ("no", (truth == 0).mean())
    # Always the commonest class: as right as that is common, and no better than chance in balance.
    lazy = Predictions(("no", "yes"), np.zeros(200, int), None, truth)
    assert lazy.accuracy().value == lazy.majority()[1] and lazy.balanced_accuracy().value == 0.5
    whole = Predictions(("no", "yes"), truth, None, truth).balanced_accuracy()
    assert whole.value == whole.high == 1 and whole.low is not None and 0.85 < whole.low < 0.99 and whole.error > 0


def test_a_mean_of_shares_reaches_as_far_as_they_do_together() -> None:
    one, other = proportion(np.arange(10) < 10), proportion(np.arange(40) < 10)
    found = mean_proportion([one, other])
    assert found.value == pytest.approx((1 + 0.25) / 2)
    assert one.low is not None and other.low is not None and found.low is not None
    assert found.low == pytest.approx(found.value - np.hypot(1 - one.low, 0.25 - other.low) / 2)


def test_scores_say_what_chance_would(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    kind = np.where(np.arange(300) % 10, "common", "rare")
    columns = {"a": draw.normal(size=300).round(3).tolist(), "kind": kind.tolist()}
    run = seisei.train("generative", columns, target="kind", output=tmp_path / "run", density="naive")
    found = json.loads((run.path / "scores.json").read_text())
    plain, balanced = (next(s for s in found["scores"] if s["name"] == n) for n in ("accuracy", "balanced accuracy"))
    assert plain["chance"] > 0.8 and balanced["chance"] == 0.5
    assert plain["value"] == pytest.approx(plain["chance"], abs=0.05) and balanced["value"] == pytest.approx(
        0.5, abs=0.1
    )
    assert plain["low"] < plain["value"] < plain["high"] <= 1
    assert f"always predicting 'common' gives {plain['chance']:.1%}" in plain["note"]
    lines = score_lines(found)
    assert f"({plain['low']:.4g} to {plain['high']:.4g}) share" in lines[1] and "95 % interval" in "\n".join(lines)
    page = write_report(run.path).read_text(encoding="utf-8")
    assert "always predicting" in page and "Balanced accuracy" in page and "95\u00a0% confidence interval" in page
