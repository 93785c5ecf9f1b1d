"""What games draw: modes of points, kinds of digits and clothes, the thousand modes of stacked digits.

    python benchmarks/quality_gan.py ring grid        eight and twenty-five modes, ten seeds each: 30 minutes, two cores
    python benchmarks/quality_gan.py stacked          a thousand modes: 40 minutes
    python benchmarks/quality_gan.py mnist fashion    digits and clothes of the kind that is asked for: 50 minutes
    python benchmarks/quality_gan.py all --full       the settings for a GPU, stated beside those for two cores

Points: the mixtures of *PacGAN: The power of two samples in generative adversarial networks (Lin, Khetan, Fanti, Oh,
2018)*, 2,500 draws, the mean and the worst of the seeds; a perfect sampler has 98.9 % within 3 σ. Its best figures are
24.8 modes, 93.6 % and a reverse KL of 0.04 (25 modes), 7.9 modes and 0.07 (8 modes).

Stacked digits: three digits of MNIST as three colors; 26,000 draws (and 240,000, whose KL is nearly free of bias), the
kinds told by a classifier of single digits. Best published: 0.031 (*Maximum Entropy Generators for Energy-Based Models
(Kumar, Ozair, Goyal, Courville, Bengio, 2019)*).

Kinds: label fidelity is the share of 10,000 drawn images that a judge takes for what was asked for; the
classification accuracy score is how often a classifier is right on the test images that learned from 60,000 drawn
images alone, in 6,000 steps. Dials were chosen on validation images.

A judge that is wrong of one real image in twelve finds as many drawn ones to be of another kind, however they are
drawn. So that of clothes, where kinds are alike, is the mean of three classifiers, which learned from images and
their mirror images; that of digits is one. How often it is right of real ones is kept beside.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from common import Record, options, shared
from torch import Tensor

import seisei
from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.data.types import read_dataset
from seisei.evaluation.sample_quality import classification_accuracy
from seisei.metrics.mode_coverage import modes, on_mixture
from seisei.modalities.label import Label
from seisei.models.gan import Generator
from seisei.recipes import recipe
from seisei.training.backend import keep_pages, route_float32
from seisei.training.engine import Engine, Execution
from seisei.training.loop import Training

RING = [(math.cos(math.tau * i / 8), math.sin(math.tau * i / 8)) for i in range(8)]
GRID = [(float(a), float(b)) for a in range(-4, 5, 2) for b in range(-4, 5, 2)]
# Centers, σ, steps, and the goal of the reverse KL.
MIXTURES = {"ring": (RING, 0.01, 10_000, 0.01), "grid": (GRID, 0.05, 25_000, 0.02)}
POINTS: dict[str, Any] = {"width": 128, "batch": 256, "learning_rate": 2e-3}
DRAWN, REACHED = 2500, 0.98

# By set: dials on two cores, dials for a GPU, the goals of label fidelity and of the classification accuracy score.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, float], dict[str, float]]] = {
    "mnist": ({"steps": 12_000}, {"steps": 60_000, "batch": 256}, {"lf": 0.98, "cas": 0.97}, {"lf": 0.99, "cas": 0.99}),
    "fashion-mnist": (
        {"steps": 12_000},
        {"steps": 60_000, "batch": 256},
        {"lf": 0.92, "cas": 0.80},
        {"lf": 0.92, "cas": 0.90},
    ),
}
STACKED: tuple[dict[str, Any], dict[str, Any]] = (
    {"steps": 30_000},
    {"steps": 100_000, "batch": 256, "width": 64},
)
JUDGED, LESSON = 6000, 60_000
# Classifiers that are one judge, and whether a mirror image is of the same kind.
JUDGES = {"mnist": (1, False), "fashion-mnist": (3, True)}


def points(kind: str, seed: int) -> dict[str, list[float]]:
    """10,000 points of a mixture, as columns of a table."""
    centers, deviation, _, _ = MIXTURES[kind]
    random = np.random.default_rng(seed)
    at = np.array(centers)[random.integers(len(centers), size=10_000)] + random.normal(0, deviation, (10_000, 2))
    return {"x": at[:, 0].tolist(), "y": at[:, 1].tolist()}


def play_points(kind: str, seed: int, steps: int) -> tuple[int, float, float, float]:
    """Modes hit, the share within 3 σ, the reverse KL, and the seconds of one training."""
    torch.set_num_threads(1)
    centers, deviation, _, _ = MIXTURES[kind]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = seisei.train(
            "gan", points(kind, seed), source="table", output=Path(folder) / "run", seed=seed, report=False,
            steps=steps, **POINTS,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        rows: Any = run.sample(DRAWN, seed=seed)
        drawn = np.array([[row["x"], row["y"]] for row in rows], dtype=np.float64)
    found = on_mixture(drawn, centers, deviation)
    return found.modes.hit, found.quality.value, found.modes.divergence.value, seconds


def measure_points(record: Record, kind: str, count: int, asked: int | None) -> None:
    """Every seed in a process of its own, as many at once as there are cores for this one."""
    centers, _, full, limit = MIXTURES[kind]
    steps = asked or full
    seeds_ = range(record.seed, record.seed + count)

    def alone(seed: int) -> list[float]:
        command = [sys.executable, __file__, kind, "--one", "--seed", str(seed), "--steps", str(steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        print(kind, seed, told.stdout.splitlines()[-1], flush=True)
        return [float(word) for word in told.stdout.split()[-4:]]

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        hit, share, divergence, seconds = zip(*pool.map(alone, seeds_), strict=True)
    setting = f"{kind} of {len(centers)}, {count} seeds, {steps:,} steps"
    record.add("modes, fewest of the seeds", setting, min(hit), goal=len(centers), better="higher")
    figures: tuple[tuple[str, tuple[float, ...], float, Literal["higher", "lower"]], ...] = (
        ("share within 3 σ", share, REACHED, "higher"),
        ("reverse KL", divergence, limit, "lower"),
    )
    for name, values, goal, better in figures:
        worst = min(values) if better == "higher" else max(values)
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else math.nan
        mean = statistics.mean(values)
        record.add(
            name, setting, mean, goal=goal, better=better, error=error, worst=worst, each=values, seeds=list(seeds_)
        )  # fmt: skip
    record.add("minutes a seed, one core", setting, statistics.median(seconds) / 60, goal=5, better="lower")


class Mirrored(Loader):
    """Every image, or its mirror image."""

    def at(self, step: int) -> Batch:
        batch = super().at(step)
        turned = torch.rand(len(batch), generator=seeds.generator("mirror", step)) < 0.5
        return Batch(torch.where(turned[:, None, None, None], batch.x.flip(3), batch.x), batch.y)


class Judge:
    """What kind an image is of, by the mean of some classifiers that have seen the training images only."""

    def __init__(self, data: Dataset, steps: int, count: int = 1, mirrored: bool = False) -> None:
        self.members = []
        plan = recipe("discriminative")(data.schema, steps=steps, weight_decay=0.1 if mirrored else 0.01)
        reader = Mirrored if mirrored else Loader
        for seed in range(count):
            order = Order(data.splits["train"], batch=plan.batch, seed=seed)
            with Engine(Execution(device="cpu")) as engine, reader(data, order) as loader:
                training = Training(plan, loader, engine, seed)
                while training.step < plan.steps:
                    training.advance()
                shown = training.shown()
            assert shown is not None, "weights that are not finite"
            self.members.append(shown.model.eval())

    def __call__(self, images: Tensor) -> Tensor:
        """The kinds of images, (N, 1, H, W) of values from 0 to 1."""
        with torch.inference_mode():
            p = [sum(m.log_posterior(Batch(part)).exp() for m in self.members) for part in images.split(500)]
            return torch.cat(p).argmax(1)


def measure_kinds(record: Record, name: str, full: bool, quick: bool, kept: bool) -> None:
    """Digits, or clothes, of the kind that is asked for."""
    small, large, goals, aims = KINDS[name]
    dials, goal = (large, aims) if full else (small, goals)
    if quick:
        dials = {**dials, "steps": 50}
    setting = f"{name}, {dials['steps']:,} steps of {dials.get('batch', 64)}"
    output = Path("runs") / f"benchmark-{name}"
    if kept:
        run = seisei.load(output)
        found = {dial: run.recipe["dials"][dial] for dial in dials}
        assert found == dials and run.recipe["seed"] == record.seed, f"{output} is of {found}"
    else:
        run = seisei.train(
            "cgan",
            shared(name),
            output=output,
            overwrite=True,
            seed=record.seed,
            report=False,
            precision="bf16",
            **dials,
        )
    minutes = next(event["seconds"] for event in run.folder.events() if event["event"] == "end") / 60
    keep_pages()
    route_float32(True)
    data, pipeline = run.data(), run.pipeline
    judge = Judge(data, 50 if quick else JUDGED, *JUDGES[name])
    test = data.subset(data.splits["test"])
    assert test.y is not None
    own = float((judge(test.batch(torch.arange(len(test))).x) == test.y).double().mean())
    record.add("judge right on real test images", setting, own, goal=None, better="higher")
    count = 200 if quick else 10_000
    asked = test.y[:count]
    names = cast(Label, data.schema.y).names
    raw = pipeline.sample(count, seed=record.seed + 1, label=[names[int(k)] for k in asked])
    drawn = torch.stack([data.schema.x.unpack(data.schema.x.pack(image)) for image in raw])
    right = float((judge(drawn) == asked).double().mean())
    error = (right * (1 - right) / count) ** 0.5
    record.add("label fidelity", setting, right, goal=goal["lf"], better="higher", error=error)
    made, real = classification_accuracy(
        pipeline, data, split="test", limit=10_000, drawn=300 if quick else LESSON, steps=50 if quick else JUDGED,
        seed=record.seed,
    )  # fmt: skip
    record.add(
        "classification accuracy score", setting, made.value, goal=goal["cas"], better="higher", error=made.error
    )
    record.add("the same, learned from real images", setting, real.value, goal=None, better="higher")
    found = {score["name"]: score for score in run.evaluate(split="test", limit=2000)["scores"]}
    for score in ("Fréchet distance", "Fréchet distance inside classes", "coverage", "copies"):
        better = found[score]["better"]
        record.add(score, setting, found[score]["value"], goal=None, better=better, error=found[score]["error"])
    record.add("minutes of training", setting, minutes, goal=60, better="lower")


def stacked(count: int, seed: int) -> tuple[np.ndarray, Dataset]:
    """Images of three digits, one in each color, and the data set of the single ones."""
    data = read_dataset(shared("mnist"), labels=True)
    train = data.splits["train"]
    which = torch.randint(len(train), (count, 3), generator=seeds.generator(seed, "stacked"))
    single = data.x[train].squeeze(1)
    return torch.stack([single[which[:, i]] for i in range(3)], 3).numpy(), data


def measure_stacked(record: Record, full: bool, quick: bool) -> None:
    """A thousand modes."""
    dials = {**STACKED[full], **({"steps": 50} if quick else {})}
    setting = f"stacked digits, {dials['steps']:,} steps of {dials.get('batch', 64)}"
    images, single = stacked(2000 if quick else 100_000, record.seed)
    begun = time.perf_counter()
    run = seisei.train(
        "gan", {"x": images}, output=Path("runs") / "benchmark-stacked", overwrite=True, seed=record.seed,
        report=False, precision="bf16", **dials,
    )  # fmt: skip
    record.add("minutes of training", setting, (time.perf_counter() - begun) / 60, goal=120, better="lower")
    keep_pages()
    route_float32(True)
    judge, model = Judge(single, 50 if quick else JUDGED), cast(Generator, run.pipeline.model)
    test = single.subset(single.splits["test"])
    assert test.y is not None
    own = float((judge(test.batch(torch.arange(len(test))).x) == test.y).double().mean())
    record.add("judge right on real test digits", setting, own, goal=None, better="higher")

    def kinds(count: int, seed: int) -> np.ndarray:
        found = []
        for start in range(0, count, 1000):
            with torch.inference_mode(), seeds.seeded(seed, "drawn", start):
                x = (model.sample(1000) * 255).round() / 255
            told = judge(x.flatten(0, 1).unsqueeze(1)).unflatten(0, (-1, 3))
            found.append(told[:, 0] * 100 + told[:, 1] * 10 + told[:, 2])
        return torch.cat(found).numpy()

    # The kinds of single digits are not equally frequent: the mixture of the data is the product of their shares.
    assert single.y is not None
    share = np.bincount(single.y[single.splits["train"]].numpy(), minlength=10).astype(np.float64)
    share /= share.sum()
    expected = np.einsum("a,b,c->abc", share, share, share).ravel()
    for count in (1000,) if quick else (26_000, 240_000):
        found = modes(kinds(count, record.seed), expected)
        goal = None if count > 26_000 else 0.06
        about = f"{setting}, {count:,} draws"
        record.add("modes", about, found.hit, goal=1000, better="higher")
        record.add("reverse KL", about, found.divergence.value, goal=goal, better="lower", error=found.divergence.error)
        record.add("reverse KL, corrected for the number of draws", about, found.corrected, goal=goal, better="lower")


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("what", nargs="+", choices=["ring", "grid", "stacked", "mnist", "fashion", "all"])
    parser.add_argument("--full", action="store_true", help="the settings for a GPU")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --seed on; for ring and grid")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--kept", action="store_true", help="measure the runs on kinds that are there")
    parser.add_argument("--one", action="store_true", help="one training on points, for this script itself")
    told = parser.parse_args()
    catalog.fill()
    if told.one:
        print(*play_points(told.what[0], told.seed, told.steps))
        return
    record = Record("quality_gan", told.seed)
    wanted = {"ring", "grid", "stacked", "mnist", "fashion"} if "all" in told.what else set(told.what)
    for kind in MIXTURES:
        if kind in wanted:
            measure_points(record, kind, 1 if told.quick else told.seeds, 50 if told.quick else told.steps)
    for short, name in (("mnist", "mnist"), ("fashion", "fashion-mnist")):
        if short in wanted:
            measure_kinds(record, name, told.full, told.quick, told.kept)
    if "stacked" in wanted:
        measure_stacked(record, told.full, told.quick)
    if not told.quick:
        print(record.write(keep_others=True))


if __name__ == "__main__":
    main()
