"""Three ways to a label on a table with missing cells: how often each is right, and what only p(x | y) can tell.

python examples/classifiers_on_a_table.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import seisei


def flowers(count: int, seed: int) -> dict[str, list[Any]]:
    """Columns of two kinds of flowers; a tenth of the cells is missing."""
    draw = np.random.default_rng(seed)
    tall = draw.random(count) < 0.5
    length = draw.normal(np.where(tall, 6.0, 5.0), np.where(tall, 0.3, 0.8))
    width = np.where(tall, 0.5, 0.9) * length + draw.normal(0, 0.8, count)
    place = np.where(draw.random(count) < np.where(tall, 0.7, 0.3), "shade", "sun")
    columns = {"length": length.round(2).tolist(), "width": width.round(2).tolist(), "place": place.tolist()}
    rows = {name: [None if draw.random() < 0.1 else v for v in values] for name, values in columns.items()}
    return {**rows, "kind": np.where(tall, "tall", "small").tolist()}


def main() -> None:
    folder, table, later = Path(tempfile.mkdtemp()), flowers(400, 1), flowers(1000, 2)
    dials: dict[str, dict[str, Any]] = {
        "discriminant": {"method": "kernel"},
        "discriminative": {"network": "linear"},
        "generative": {"density": "gaussian"},
    }
    for recipe, chosen in dials.items():
        run = seisei.train(recipe, table, target="kind", output=folder / recipe, report=False, **chosen)
        print(f"{recipe}: {run.predict(later).right().mean():.1%} of 1,000 new rows are right; it can {run.verbs}")

    run = seisei.load(folder / "generative")
    asked = [
        {"length": 6.1, "width": 3.0, "place": "shade"},
        {"length": None, "width": 3.0, "place": None},  # integrated out
        {"length": 9.5, "width": 1.0, "place": "sun"},
    ]
    told, found = run.predict(asked), run.score(asked)
    for row, number, sure, nats in zip(asked, told.labels, np.exp(told.log_posterior).max(1), found.nats, strict=True):
        print(f"{row}: {told.names[number]} ({sure:.1%} sure), log p(x) = {nats:.1f}")
    print(f"row {found.nats.argmin()} is like none before: its label is worth little, however sure")
    for row in run.sample(3, seed=1, label="tall"):
        print("drawn:", row)


if __name__ == "__main__":
    main()
