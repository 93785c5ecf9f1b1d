"""Test negative log-likelihood on static binarized MNIST.

    python benchmarks/quality_vae.py            about an hour on two cores

Protocol: the fixed 50,000 / 10,000 / 10,000 division; the bound log 1/K Σ p(x, z_k)/q(z_k | x) with K = 5,000
importance samples on all 10,000 test images; everything about the models was chosen on the validation part
(docs/log.md). One Gaussian layer of 40 latents, residual convolutions, pixels independent given z. Published by a
unified VAE library in this protocol: VAE 89.78, IWAE (K = 50) 86.82, VampPrior (500) 85.79.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import Record, options, shared

import seisei
from seisei.metrics.likelihood import likelihoods, mean_and_error
from seisei.pipeline import Pipeline
from seisei.training.backend import keep_pages, route_float32

NETWORK = {
    "objective.model.encoder.width": 16,
    "objective.model.decoder.width": 32,
    "objective.model.decoder.patch": 4,
    "optim.weight_decay": 0.02,
    "optim.clip": 200.0,
}
COMMON: dict[str, Any] = {"latent": 40, "network": "conv", "precision": "bf16", "report": False}
MODELS: dict[str, dict[str, Any]] = {
    "VAE": {"goal": 87.0, "dials": {"batch": 128, "learning_rate": 2e-3, "warmup": 0.1, "steps": 12_000}},
    "IWAE-5 with VampPrior (500)": {
        "goal": 84.5,
        "dials": {"batch": 200, "learning_rate": 2e-3, "importance_samples": 5, "prior": "vamp", "steps": 7_000},
    },
}


def negative_log_likelihood(pipeline: Pipeline, x: Any, *, samples: int, seed: int, bf16: bool) -> Any:
    """−log p(x) of each image, in nats."""
    batches = [x.batch(torch.arange(i, min(i + 20, len(x)))) for i in range(0, len(x), 20)]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return -likelihoods(pipeline.model, batches, samples=samples, seed=seed)  # type: ignore[arg-type]


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--only", choices=list(MODELS), help="one of the models; the results of the others are kept")
    arguments = parser.parse_args()
    chosen = {name: model for name, model in MODELS.items() if arguments.only in (None, name)}
    record = Record("quality_vae", arguments.seed)
    where = shared("binarized-mnist-static/binarized_mnist.npz")
    folder = Path(tempfile.mkdtemp())
    try:
        for name, model in chosen.items():
            dials = {**model["dials"], **({"steps": 100} if arguments.quick else {})}
            begun = time.perf_counter()
            output = folder / str(len(record.results))
            run = seisei.train("vae", where, output=output, seed=arguments.seed, overrides=NETWORK, **COMMON, **dials)
            trained = time.perf_counter() - begun
            keep_pages()
            route_float32(True)
            data = run.data()
            test = data.subset(data.splits["test"][:100] if arguments.quick else data.splits["test"])
            few = test.subset(torch.arange(min(200, len(test))))
            exact, quick = (
                negative_log_likelihood(run.pipeline, few, samples=200, seed=1, bf16=b).mean() for b in (False, True)
            )
            begun = time.perf_counter()
            count = 50 if arguments.quick else 5000
            nats = negative_log_likelihood(run.pipeline, test, samples=count, seed=arguments.seed, bf16=True)
            evaluated = time.perf_counter() - begun
            value, error = mean_and_error(nats)
            last = [e for e in run.folder.events() if e["event"] == "validation"][-1]
            record.add(
                f"test NLL, {count} importance samples, nats",
                name,
                round(value, 3),
                goal=model["goal"],
                better="lower",
                standard_error=round(error, 3),
                minutes_training=round(trained / 60, 2),
                minutes_evaluating=round(evaluated / 60, 2),
                bf16_minus_float32=round(float(quick - exact), 4),
                validation=last["scores"],
                active_units=last["active_units"],
                dials={**COMMON, **dials, "overrides": NETWORK},
            )
    finally:
        shutil.rmtree(folder)
    if not arguments.quick:
        total_time(record)
        record.write(keep_others=True)


def total_time(record: Record) -> None:
    """The minutes of all models together, those of earlier commands included."""
    models = [entry for entry in record.others() + record.results if entry["setting"] in MODELS]
    minutes = round(sum(entry["minutes_training"] + entry["minutes_evaluating"] for entry in models), 1)
    setting = f"{len(models)} models on two cores"
    record.add("minutes of training and evaluation", setting, minutes, goal=60, better="lower")


if __name__ == "__main__":
    main()
