"""Every recipe on the data that a first try has: a few examples, and nothing held out."""

from __future__ import annotations

import csv
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seisei
from seisei.capabilities import VERBS
from seisei.cli.train import score_lines
from seisei.compare import compare
from seisei.recipes import RECIPES, recipe
from seisei.spec import parameters

SMALL: dict[str, Any] = {
    "latent": 2, "width": 16, "depth": 1, "steps": 2, "codec_steps": 2, "halvings": 1, "layers": 1, "heads": 2,
    "codes": 4, "hidden": 4,
}  # fmt: skip
PARTS: dict[str, dict[str, Any]] = {
    "4": {"count": 4},
    "12": {"count": 12},
    "20": {"count": 20},
    "no validation": {"count": 12, "validation": 0},
    "no test": {"count": 12, "test": 0},
    "nothing held out": {"count": 12, "validation": 0, "test": 0},
    "one held out": {"count": 12, "validation": 0, "test": 0.01},
}


@functools.cache
def images(count: int, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


@functools.cache
def data_for(name: str, folder: Path, count: int) -> str:
    path = folder / f"{name}-{count}.npz"
    if name == "pix2pix":
        np.savez(path, a=images(count), b=255 - images(count))
    elif name in ("colorize", "stylize"):
        np.savez(path, x=images(count, 3))
    else:
        np.savez(path, x=images(count), y=np.arange(count) % 2)
    return str(path)


def small(name: str) -> dict[str, Any]:
    return {k: v for k, v in SMALL.items() if k in parameters(recipe(name))}


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", RECIPES)
def test_few(name: str, parts: str, tmp_path: Path) -> None:
    options = dict(PARTS[parts])
    data = data_for(name, tmp_path, options.pop("count"))
    if name == "stylize":
        options["style"] = data
    run = seisei.train(name, data, output=tmp_path / "run", **small(name), **options)
    assert run.report.is_file()
