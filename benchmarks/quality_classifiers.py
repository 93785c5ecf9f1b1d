"""How good generative classifiers are, purely by Bayes' rule, and when they beat discriminative ones.

    python benchmarks/quality_classifiers.py                    everything
    python benchmarks/quality_classifiers.py --only mixture     one part; the results of the others are kept

- mixture: per-class mixtures of probabilistic PCAs on MNIST and Fashion-MNIST. K, q and the borrowed rows are chosen on
  6,000 held-out training images, then all 60,000 are fitted and the 10,000 test images measured once.
- missing: the same on MNIST with the 13 × 13 center block (21.6 % of the pixels) hidden in use and integrated out; K, q
  and the borrowed rows are chosen by the accuracy with the block hidden on the held-out images: more and smaller
  Gaussians than without it.
- deep: class-conditional VAEs (`--density vae`) on both sets, the label by Bayes' rule over importance-weighted bounds.
- unlabeled: 100 labels among 60,000 images, five draws of the labels. A VAE reads all images without labels,
  kernels in its codes (`--density kde`) spread the labels; their width is chosen on a sixth draw of labels.
- curves: naive Bayes against logistic regression on eleven tables, error against training rows (*On Discriminative vs.
  Generative Classifiers (Ng, Jordan, 2001)*), and where the curves cross.
"""

from __future__ import annotations

import csv
import gzip
import math
import tempfile
import time
from typing import Any

import numpy as np
import torch
from common import Record, options, shared
from sklearn.datasets import load_digits, load_iris, load_wine

import seisei
from seisei import catalog
from seisei.batch import Batch
from seisei.data.sources.idx import idx_source
from seisei.data.types import read_dataset
from seisei.metrics.significance import stretches
from seisei.models.classifier import GenerativeClassifier
from seisei.models.kde import KernelDensity
from seisei.models.mixture import Mixture
from seisei.nn.densities.ppca import PPCA
from seisei.recipes.classification import discriminative, generative
from seisei.training.backend import keep_pages, route_float32
from seisei.workflows.compare import error_after, stratified

ROUNDS = 5
GRID = [(k, q, lent) for k in (10, 20) for q in (15, 25) for lent in (10.0, 30.0)]
GRID_MISSING = [(20, 25, 10.0), (40, 15, 5.0), (80, 10, 5.0), (80, 10, 10.0), (80, 10, 20.0), (120, 8, 10.0)]
SAMPLES = 10
DEEP: dict[str, Any] = {"latent": 32, "max_shift": 1, "batch": 128, "learning_rate": 2e-3}
NETWORK = {
    "objective.model.density.encoder.width": 16,
    "objective.model.density.decoder.width": 32,
    "objective.model.density.decoder.patch": 4,
    "optim.weight_decay": 0.02,
    "optim.clip": 200.0,
}
READER: dict[str, Any] = {"latent": 50, "batch": 128, "learning_rate": 2e-3, "steps": 8_000}
WIDTHS = (0.45, 0.55, 0.65)
# A density of clothes is still getting better when that of digits has long been good enough.
DEEP_STEPS = {"mnist": 14_000, "fashion-mnist": 70_000}
DEEP_GOALS = {"mnist": 0.988, "fashion-mnist": 0.89}
GOALS = {"mnist": 0.977, "fashion-mnist": 0.865}


# ---- images


def images(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training and test pixels in [0, 1], and class numbers."""
    source: Any = idx_source(shared(name), name)
    x = torch.from_numpy(source.array.reshape(len(source.array), -1).astype(np.float32) / 255)
    y = torch.tensor([source.classes.index(record.label) for record in source.records])
    train = torch.tensor([record.split == "train" for record in source.records])
    return x[train], y[train], x[~train], y[~train]


def mixture(x: torch.Tensor, y: torch.Tensor, k: int, q: int, borrowed: float, seed: int) -> GenerativeClassifier:
    numbers = PPCA(10 * k, x.shape[1], q, 1e-6, borrowed, "single")
    model = GenerativeClassifier(Mixture(10, k, x.shape[1], numbers, seed=seed), 10)
    batches = [Batch(a, b) for a, b in zip(x.split(6000), y.split(6000), strict=True)]
    for _ in range(ROUNDS):
        model.sweep(lambda: batches)
    return model.eval()


@torch.no_grad()
def right(model: GenerativeClassifier, x: torch.Tensor, y: torch.Tensor, seen: torch.Tensor | None = None) -> float:
    parts = []
    for a, b in zip(x.split(2000), y.split(2000), strict=True):
        mask = None if seen is None else seen.expand_as(a)
        parts.append(model.decide(Batch(a, None, mask)) == b)
    return float(torch.cat(parts).double().mean())


def chosen_mixture(
    record: Record, name: str, grid: list[tuple[int, int, float]], quick: bool, seen: torch.Tensor | None = None
) -> tuple[GenerativeClassifier, dict[str, Any]]:
    """The best of the grid on held-out images, fitted again to all training images, and what was tried."""
    x, y, _, _ = images(name)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(record.seed))
    held, fit = order[:6000], order[6000:] if not quick else order[6000:12000]
    tried = []
    for k, q, lent in grid[:2] if quick else grid:
        begun = time.perf_counter()
        accuracy = right(mixture(x[fit], y[fit], k, q, lent, record.seed), x[held], y[held], seen)
        tried.append({"K": k, "q": q, "borrowed": lent, "validation": round(accuracy, 4)})
        print(name, tried[-1], f"{time.perf_counter() - begun:.0f} s", flush=True)
    best = max(tried, key=lambda t: t["validation"])
    begun = time.perf_counter()
    model = mixture(x, y, int(best["K"]), int(best["q"]), best["borrowed"], record.seed)
    return model, {"chosen": best, "tried": tried, "seconds_to_fit": round(time.perf_counter() - begun, 1)}


def standard_error(share: float, count: int) -> float:
    return round(math.sqrt(share * (1 - share) / count), 4)


def mixtures(record: Record, quick: bool) -> None:
    for name, goal in GOALS.items():
        model, how = chosen_mixture(record, name, GRID, quick)
        _, _, x, y = images(name)
        value = right(model, x, y)
        record.add(
            "test accuracy", f"mixture of PPCA per class, {name}", round(value, 4), goal=goal, better="higher",
            standard_error=standard_error(value, len(y)), **how,
        )  # fmt: skip


def missing(record: Record, quick: bool) -> None:
    block = torch.ones(28, 28, dtype=torch.bool)
    block[7:20, 8:21] = False
    seen = block.flatten()
    model, how = chosen_mixture(record, "mnist", GRID_MISSING, quick, seen)
    _, _, x, y = images("mnist")
    value = right(model, x, y, seen)
    record.add(
        "test accuracy, 13 × 13 center block missing", "mixture of PPCA per class, mnist", round(value, 4), goal=0.85,
        better="higher", standard_error=standard_error(value, len(y)), nothing_missing=round(right(model, x, y), 4),
        block_black_instead=round(right(model, x * seen, y), 4), **how,
    )  # fmt: skip
    dials = {**DEEP, "max_shift": 0, "mask_prob": 0.6, "steps": 10_000}
    run_deep(
        record, "mnist", dials, quick, "test accuracy, 13 × 13 center block missing", goal=0.85, samples=64, seen=block
    )


def run_deep(
    record: Record, name: str, dials: dict[str, Any], quick: bool, metric: str, *, goal: float, samples: int,
    seen: torch.Tensor | None = None,
) -> None:  # fmt: skip
    """Train a class-conditional VAE, and label the test images, or what is seen of them, by Bayes' rule."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        dials = {**dials, "steps": 100} if quick else dials
        run = seisei.train(
            "generative", shared(name), output=f"{folder}/run", seed=record.seed, overrides=NETWORK,
            density="vae", precision="bf16", report=False, **dials,
        )  # fmt: skip
        trained = time.perf_counter() - begun
        keep_pages()
        route_float32(True)
        data, model = run.data(), run.pipeline.model
        test = data.subset(data.splits["test"][:200] if quick else data.splits["test"])
        assert test.y is not None
        begun, parts = time.perf_counter(), []
        torch.manual_seed(record.seed)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for rows in torch.arange(len(test)).split(200):
                x = test.batch(rows).x
                batch = Batch(x, None, None if seen is None else seen.expand_as(x))
                parts.append(model.log_joint(batch, samples=samples).argmax(1))  # type: ignore[operator]
        value = float((torch.cat(parts) == test.y).double().mean())
        record.add(
            metric, f"class-conditional VAE, {name}", round(value, 4), goal=goal, better="higher",
            standard_error=standard_error(value, len(test)), importance_samples=samples,
            minutes_training=round(trained / 60, 1), minutes_labeling=round((time.perf_counter() - begun) / 60, 1),
            dials={**dials, "overrides": NETWORK},
        )  # fmt: skip


def deep(record: Record, quick: bool) -> None:
    for name, goal in DEEP_GOALS.items():
        dials = {**DEEP, "steps": DEEP_STEPS[name]}
        run_deep(record, name, dials, quick, "test accuracy", goal=goal, samples=SAMPLES)


def error_with_few_labels(codes: torch.Tensor, y: torch.Tensor, width: float, seed: int, test: Batch) -> float:
    """The error rate on other codes after training with the labels of ten of each class."""
    draw = torch.Generator().manual_seed(seed)
    kept = [torch.nonzero(y == c)[:, 0] for c in range(10)]
    kept = [rows[torch.randperm(len(rows), generator=draw)[:10]] for rows in kept]
    some = torch.full_like(y, -1)
    some[torch.cat(kept)] = y[torch.cat(kept)]
    model = GenerativeClassifier(KernelDensity(10, codes.shape[1], rows=len(codes), bandwidth=width), 10)
    model.sweep(lambda: [Batch(codes, some)])
    assert test.y is not None
    return float((model.decide(Batch(test.x)) != test.y).double().mean())


def unlabeled(record: Record, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        dials = {**READER, "steps": 100} if quick else READER
        over = {key.replace(".density", ""): value for key, value in NETWORK.items()}
        run = seisei.train(
            "vae", shared("mnist"), output=f"{folder}/run", seed=record.seed, overrides=over, head="bernoulli",
            precision="bf16", report=False, **dials,
        )  # fmt: skip
        minutes = (time.perf_counter() - begun) / 60
        model = run.pipeline.model
        keep_pages()
        route_float32(True)
        x, y, x_test, y_test = images("mnist")
        if quick:
            x, y = x[:3000], y[:3000]
        with torch.inference_mode():
            codes, test = (
                torch.cat([model.encode(part) for part in a.view(-1, 1, 28, 28).split(1000)])  # type: ignore[operator]
                for a in (x, x_test)
            )
    # The sixth draw is judged on training images, whose labels no model of the other five sees.
    judged = Batch(codes[:10_000], y[:10_000])
    tried = {width: error_with_few_labels(codes, y, width, 1000 + record.seed, judged) for width in WIDTHS}
    print(tried, flush=True)
    width = min(tried, key=lambda w: tried[w])
    errors = [error_with_few_labels(codes, y, width, 5 * record.seed + n, Batch(test, y_test)) for n in range(5)]
    record.add(
        "test error, 100 labels", "VAE codes and kernels, mnist, five draws", round(float(np.mean(errors)), 4),
        goal=0.04, better="lower", each=[round(error, 4) for error in errors],
        spread=round(float(np.std(errors, ddof=1)), 4), width=width,
        tried={str(w): round(error, 4) for w, error in tried.items()}, minutes_training=round(minutes, 1),
        dials={**dials, "overrides": over},
    )  # fmt: skip


# ---- tables


def rows(name: str, **changes: Any) -> dict[str, list[Any]]:
    """The columns of a shared table; some are left out, and the target may be made of another column."""
    with gzip.open(shared(f"uci/{name}.csv.gz"), "rt") as file:
        head, *lines = list(csv.reader(file))
    columns: dict[str, list[Any]] = {c: [line[i] or None for line in lines] for i, c in enumerate(head)}
    for column in changes.get("drop", ()):
        del columns[column]
    target, above = changes["target"], changes.get("above")
    labels = columns.pop(target)
    columns["class"] = labels if above is None else ["high" if float(v) > above else "low" for v in labels]
    return columns


def arrays(loader: Any) -> dict[str, list[Any]]:
    x, y = loader(return_X_y=True)
    return {**{f"x{j}": x[:, j].tolist() for j in range(x.shape[1])}, "class": [f"c{v}" for v in y]}


def tables() -> dict[str, dict[str, list[Any]]]:
    return {
        "adult": rows("adult", target="income"),
        "abalone, more than 9 rings": rows("abalone", target="rings", above=9),
        "breast cancer, original": rows("breast_cancer_original", target="class", drop=("id",)),
        "breast cancer, diagnostic": rows("breast_cancer_wdbc", target="diagnosis", drop=("id",)),
        "letter": rows("letter", target="letter"),
        "red wine, quality above 5": rows("wine_quality_red", target="quality", above=5),
        "white wine, quality above 5": rows("wine_quality_white", target="quality", above=5),
        "yeast": rows("yeast", target="class", drop=("sequence_name",)),
        "digits": arrays(load_digits),
        "iris": arrays(load_iris),
        "wine": arrays(load_wine),
    }


def curves(record: Record, quick: bool) -> None:
    naive_wins = 0
    for name, columns in list(tables().items())[: 2 if quick else None]:
        data = read_dataset(columns, target="class", source="table", seed=record.seed, validation=0.0, test=0.3)
        assert data.y is not None
        test = data.subset(data.splits["test"][:3000])
        plans = {
            "naive Bayes": generative(data.schema, density="naive", pseudo_count=1.0),
            "logistic regression": discriminative(data.schema, network="linear"),
        }
        train = data.splits["train"]
        classes = len(torch.unique(data.y))
        sizes = np.unique(np.geomspace(2 * classes, min(len(train), 5000), 8).round().astype(int)).tolist()
        repeats = 2 if quick else 10
        found: dict[str, list[tuple[float, float, float]]] = {who: [] for who in plans}
        for size in sizes:
            for who, plan in plans.items():
                errors = []
                for number in range(repeats):
                    chosen = stratified(train, data.y, size, 1000 * record.seed + number)
                    errors.append(error_after(plan, data, chosen, test, number))
                mean = float(np.mean(errors))
                # Of the draws of training rows, and of the test rows, which are all that is left at the last size.
                spread = math.hypot(float(np.std(errors)) / math.sqrt(repeats), standard_error(mean, len(test)))
                found[who].append((size, mean, spread))
        crossing = cross(found["naive Bayes"], found["logistic regression"])
        naive_wins += found["naive Bayes"][0][1] < found["logistic regression"][0][1]
        last = {who: round(points[-1][1], 4) for who, points in found.items()}
        record.add(
            "training rows where logistic regression overtakes naive Bayes", name,
            -1 if crossing is None else round(crossing, 1), goal=None, better="lower", at_the_end=last,
            curves={who: [[n, round(e, 4), round(s, 4)] for n, e, s in points] for who, points in found.items()},
            stretches=[(s.name, round(s.start), round(s.end), round(s.ahead, 1)) for s in stretches(found)],
        )  # fmt: skip
    record.add("tables with the curves measured", "Ng–Jordan", 2 if quick else len(tables()), goal=8, better="higher")
    record.add(
        "tables where naive Bayes leads with the fewest rows", "Ng–Jordan", naive_wins, goal=None, better="higher"
    )


def cross(naive: list[tuple[float, float, float]], logistic: list[tuple[float, float, float]]) -> float | None:
    """Where the second curve goes below the first for the last time, over log rows; None where it never does."""
    gaps = [(math.log(n), b - a) for (n, a, _), (_, b, _) in zip(naive, logistic, strict=True)]
    if gaps[-1][1] >= 0:
        return None
    for (x0, g0), (x1, g1) in zip(gaps[-2::-1], gaps[:0:-1], strict=True):
        if g0 >= 0 > g1:
            return math.exp(x0 + (x1 - x0) * g0 / (g0 - g1))
    return float(naive[0][0])


PARTS = {"mixture": mixtures, "missing": missing, "deep": deep, "unlabeled": unlabeled, "curves": curves}


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--only", choices=list(PARTS))
    arguments = parser.parse_args()
    catalog.fill()
    keep_pages()
    route_float32(True)
    record = Record("quality_classifiers", arguments.seed, ("torch", "numpy", "seisei", "scikit-learn"))
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            part(record, arguments.quick)
    if not arguments.quick:
        record.write(keep_others=arguments.only is not None)


if __name__ == "__main__":
    main()
