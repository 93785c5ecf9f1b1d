"""Images per second of the whole training step, and peak memory.

    pip install -c constraints.txt -e ".[bench]"
    python benchmarks/speed_vae.py              about four minutes on two cores

The same network (784-512-16 and back, ReLU, Bernoulli) at batch 64 on MNIST, four ways, in turn, several times over in
one process, medians of images per second and of the ratios round by round:

- seisei: `Training.advance` with the loader, averaged weights, gradient norm and everything else that is on by default;
- bare, same levers: a plain loop over the same modules with fused AdamW and routed float32 products;
- bare, torch defaults: the same loop with torch's default AdamW and products;
- pythae 0.1.2: its own trainer's `train_step` on its own default MLP of the same sizes (a for-loop Adam, items collated
  one by one).

Freed memory is kept by the process (`keep_pages`) for all four alike. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from common import Record, options, shared
from torch import Tensor, nn

from seisei import catalog
from seisei.data.loader import Loader, Order
from seisei.data.types import read_dataset
from seisei.recipes.vaes import vae
from seisei.training.backend import keep_pages, route_float32
from seisei.training.engine import Engine, Execution
from seisei.training.loop import Training

BATCH = 64
PEER = "pythae 0.1.2"
Steps = Callable[[int], None]
Network = Literal["mlp", "conv"]


def dataset() -> Any:
    return read_dataset(shared("mnist"))


def ours(data: Any, network: Network) -> Steps:
    depth = {"mlp": 1, "conv": None}[network]
    width = {"mlp": 512, "conv": None}[network]
    plan = vae(data.schema, latent=16, network=network, width=width, depth=depth, head="bernoulli", batch=BATCH)
    engine = Engine(Execution())
    training = Training(plan, Loader(data, Order(data.splits["train"], batch=BATCH, seed=0)), engine, 0)

    def run(steps: int) -> None:
        route_float32(True)
        for _ in range(steps):
            training.advance()

    return run


def bare(data: Any, network: Network, *, backend_tuning: bool) -> Steps:
    depth = {"mlp": 1, "conv": None}[network]
    width = {"mlp": 512, "conv": None}[network]
    plan = vae(data.schema, latent=16, network=network, width=width, depth=depth, head="bernoulli", batch=BATCH)
    model = plan.objective.build().model
    layout = torch.channels_last if backend_tuning and network == "conv" else torch.contiguous_format
    model.to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True if backend_tuning else None)
    images = data.x[data.splits["train"]]
    state: dict[str, Any] = {"step": 0, "order": torch.randperm(len(images))}

    def batch() -> Tensor:
        at = state["step"] * BATCH % (len(images) - BATCH)
        if at < BATCH:
            state["order"] = torch.randperm(len(images))
        state["step"] += 1
        x = images[state["order"][at : at + BATCH]].float() / 255
        return x.contiguous(memory_format=layout) if x.dim() == 4 else x

    def run(steps: int) -> None:
        route_float32(backend_tuning)
        for _ in range(steps):
            x = batch()
            mean, log_std = model.encoder(x).chunk(2, -1)
            z = mean + log_std.exp() * torch.randn_like(mean)
            logits = model.decoder(z)
            reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            kl = (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum()
            loss = (reconstruction + kl) / len(x)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return run


def pythae(data: Any, images: int) -> Steps:
    warnings.simplefilter("ignore")
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
    x = data.x[data.splits["train"][:images]].float() / 255
    part = BaseDataset(x, torch.ones(len(x)))
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, num_epochs=1, no_cuda=True, learning_rate=1e-3
    )
    trainer = BaseTrainer(model=model, train_dataset=part, training_config=config)
    trainer.prepare_training()

    def run(steps: int) -> None:
        route_float32(False)
        for epoch in range(max(1, steps * BATCH // images)):
            trainer.train_step(epoch + 1)

    return run


def variants(data: Any, network: Network, steps: int) -> dict[str, Callable[[], Steps]]:
    """How to make each variant; none is made here, since a process that measures memory must hold one alone."""
    found: dict[str, Callable[[], Steps]] = {
        "seisei": lambda: ours(data, network),
        "bare, same levers": lambda: bare(data, network, backend_tuning=True),
        "bare, torch defaults": lambda: bare(data, network, backend_tuning=False),
    }
    if network == "mlp" and find_spec("pythae") is None:
        print("pythae is not installed: pip install -e '.[bench]' to compare with it")
    elif network == "mlp":
        found[PEER] = lambda: pythae(data, steps * BATCH)
    return found


def measure(makers: dict[str, Callable[[], Steps]], steps: int, rounds: int) -> dict[str, list[float]]:
    runs = {name: make() for name, make in makers.items()}
    for run in runs.values():
        run(max(20, steps // 4))
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        names = list(runs)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            runs[name](steps)
            speeds[name].append(steps * BATCH / (time.perf_counter() - begun))
    return speeds


def peak(name: str, network: Network) -> float:
    """Peak memory of a process that makes 50 steps, in MB."""
    command = [sys.executable, __file__, "--peak", name, "--network", network]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--peak", default=None)
    parser.add_argument("--network", choices=["mlp", "conv"], default="mlp")
    arguments = parser.parse_args()
    catalog.fill()
    if arguments.peak is not None:
        keep_pages()
        variants(dataset(), arguments.network, 50)[arguments.peak]()(50)
        # Not getrusage: its peak begins with that of the process this one was started from.
        status = Path("/proc/self/status").read_text()
        print(next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")))
        return
    keep_pages()
    record, data = Record("speed_vae", arguments.seed, ("torch", "numpy", "seisei", "pythae")), dataset()
    rounds = 3 if arguments.quick else 9
    sizes: tuple[tuple[Network, int], ...] = (("mlp", 150), ("conv", 40))
    for network, steps in sizes:
        speeds = measure(variants(data, network, steps), steps, rounds)
        setting = f"{network} VAE 28×28, batch {BATCH}"
        for name, values in speeds.items():
            record.add(
                "images per second", f"{setting}, {name}", round(statistics.median(values), 1), goal=None,
                better="higher",
                smallest=round(min(values), 1), largest=round(max(values), 1), rounds=rounds,
            )  # fmt: skip
        goals = {"bare, same levers": 0.97, "bare, torch defaults": 0.97, PEER: 2.5}
        for name in list(speeds)[1:]:
            ratios = [a / b for a, b in zip(speeds["seisei"], speeds[name], strict=True)]
            record.add(
                f"seisei ÷ {name}", setting, round(statistics.median(ratios), 3), goal=goals[name], better="higher",
                smallest=round(min(ratios), 3), largest=round(max(ratios), 3),
            )  # fmt: skip
        if not arguments.quick:
            for name in speeds:
                record.add(
                    "peak memory, MB", f"{setting}, {name}", round(peak(name, network), 1), goal=None, better="lower"
                )
    if not arguments.quick:
        record.write()


if __name__ == "__main__":
    main()
