"""Seconds of a training step of pix2pix at 256×256, and how fast and in what memory a large image is translated.

    python benchmarks/speed_pix2pix.py step         about ten minutes on two cores
    python benchmarks/speed_pix2pix.py translate    4096×4096 pixels, in a process of its own

The step: batch 1, a U-Net of eight halvings from 64 channels on and a discriminator of patches of 70 pixels,
cross-entropy and 100 times the distance, of the same networks with the same first weights, in turn, several times
over in one process:

- seisei, fp32 (and bf16, where the processor has it): `Training.advance` with the loader, averaged weights, the norm of
  the gradient and everything else that is on by default;
- plain: the same networks stepped plainly in fp32, as the reference implementation steps its own: real and made pairs
  are judged apart, the discriminator is a constant in the generator's move, maps are enlarged by torch's transposed
  convolution, two optimizers with torch's defaults.

To show that both play the same game, in float64 and smaller networks, the costs of the first updates are compared.

Translating: the networks of the recipe, fp32, tiles of 512; the memory is the highest that the process ever had.
"""

from __future__ import annotations

import copy
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from common import Record, options
from torch import Tensor, nn

from seisei import catalog, seeds
from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.modalities.image import Image
from seisei.models.translation import Translator
from seisei.nn.gan.paired_augment import PairView
from seisei.nn.gan.patchgan import PatchDiscriminator
from seisei.nn.unet import UNet, Upsample
from seisei.objectives.translation import Translation
from seisei.schema import Schema
from seisei.spec import Spec
from seisei.training.backend import keep_pages, route_float32
from seisei.training.engine import Engine, Execution, Precision
from seisei.training.loop import Training
from seisei.training.plan import Optim, Plan

SIDE, RATE, BETAS = 256, 2e-4, (0.5, 0.999)
GOALS = {"fp32": 1.4, "bf16": 1.9}
# The reference has values from −1 to 1, where distances are twice as long.
REGRESSION = 200.0
Steps = Callable[[int], None]


def data_of(side: int, count: int = 16) -> Dataset:
    x, y = (torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8) for _ in range(2))
    schema = Schema(Image(side, side), Image(side, side))
    return Dataset(schema, x, y, list(map(str, range(count))), {"train": torch.arange(count)}, "", {})


def plan_of(side: int, width: int, depth: int) -> Plan:
    network = Spec(UNet, inputs=3, outputs=3, width=width, depth=depth, normalize="image")
    model = Spec(Translator, network=network, view=Spec(PairView))
    discriminator = Spec(PatchDiscriminator, shape=[6, side, side], width=width, layers=3)
    objective = Spec(
        Translation, model=model, discriminator=discriminator, game="non-saturating", regression=REGRESSION
    )
    return Plan(objective, 10_000, 1, Optim(learning_rate=RATE, betas=BETAS, warmup=0.0, schedule="constant"))


def training(data: Dataset, plan: Plan, precision: Precision, seed: int) -> Training:
    engine = Engine(Execution(device="cpu", precision=precision))
    return Training(plan, Loader(data, Order(data.splits["train"], batch=1, seed=seed)), engine, seed)


def ours(data: Dataset, plan: Plan, precision: Precision, seed: int) -> Steps:
    state = training(data, plan, precision, seed)

    def run(steps: int) -> None:
        route_float32(True)
        for _ in range(steps):
            state.advance()

    return run


class Plain:
    """One step of the reference, over the same networks."""

    def __init__(self, objective: Translation) -> None:
        self.model, self.discriminator = objective.model, objective.discriminator
        for part in self.model.modules():
            if isinstance(part, Upsample):
                part.__class__ = nn.ConvTranspose2d  # type: ignore[assignment]
        self.for_model, self.for_discriminator = (
            torch.optim.Adam(net.parameters(), lr=RATE, betas=BETAS) for net in (self.model, self.discriminator)
        )

    def __call__(self, y: Tensor, x: Tensor) -> tuple[float, float]:
        """The discriminator's cost and the generator's."""
        made = self.model.answer(y)
        self.discriminator.requires_grad_(True)
        self.for_discriminator.zero_grad()
        drawn, real = self.judge(y, made.detach()), self.judge(y, x)
        told = 0.5 * (
            F.binary_cross_entropy_with_logits(drawn, torch.zeros_like(drawn))
            + F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        )
        told.backward()
        self.for_discriminator.step()
        self.discriminator.requires_grad_(False)
        self.for_model.zero_grad()
        drawn = self.judge(y, made)
        cost = F.binary_cross_entropy_with_logits(drawn, torch.ones_like(drawn)) + REGRESSION * F.l1_loss(made, x)
        cost.backward()
        self.for_model.step()
        return float(told.detach()), float(cost.detach())

    def judge(self, y: Tensor, x: Tensor) -> Tensor:
        return self.discriminator(torch.cat([y, x], 1))


def plain(data: Dataset, plan: Plan, seed: int) -> Steps:
    step = Plain(cast(Translation, copy.deepcopy(training(data, plan, "fp32", seed).objective)))
    assert data.y is not None
    y, x = (stored.float() / 255 for stored in (data.y, data.x))

    def run(steps: int) -> None:
        route_float32(False)
        for i in range(steps):
            step(y[i % len(y)][None], x[i % len(x)][None])

    return run


def apart(seed: int, updates: int) -> float:
    """The largest relative difference of both players' costs, of small networks in float64."""
    data = data_of(64)
    state = training(data, plan_of(64, 8, 4), "fp32", seed)
    state.objective.double()
    step = Plain(cast(Translation, copy.deepcopy(state.objective)))
    # What is read is made wider where it enters; the optimizers are made anew for the wider weights.
    state.engine.place = lambda batch, format: batch.map(lambda part: part.double())  # type: ignore[method-assign]
    worst = 0.0
    for number in range(updates):
        batch = state.loader.at(number)
        assert batch.y is not None
        state.advance()
        mine = [float(state.moved[player].parts["loss"]) for player in ("discriminator", "generator")]
        told = step(batch.y.double(), batch.x.double())
        # The reference takes the mean of both halves of the discriminator's cost, which Adam does not see.
        theirs = (2 * told[0], told[1])
        worst = max(worst, *(abs(a - b) / abs(b) for a, b in zip(mine, theirs, strict=True)))
    return worst


def measure(makers: dict[str, Callable[[], Steps]], steps: int, rounds: int) -> dict[str, list[float]]:
    runs = {name: make() for name, make in makers.items()}
    for run in runs.values():
        run(max(1, steps // 2))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        names = list(runs)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            runs[name](steps)
            seconds[name].append((time.perf_counter() - begun) / steps)
    return seconds


def measure_step(record: Record, quick: bool) -> None:
    setting = f"U-Net-256 and patches of 70 pixels, {SIDE}×{SIDE}, batch 1"
    worst = apart(record.seed, 2 if quick else 5)
    record.add("largest relative difference of costs, float64", setting, worst, goal=1e-4, better="lower")
    data, plan = data_of(SIDE), plan_of(SIDE, 64, 8)
    there = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if there else ("fp32",)
    makers: dict[str, Callable[[], Steps]] = {
        f"seisei, {kind}": partial(ours, data, plan, kind, record.seed) for kind in precisions
    }
    makers["plain"] = lambda: plain(data, plan, record.seed)
    seconds = measure(makers, *((1, 1) if quick else (4, 7)))
    for name, values in seconds.items():
        record.add("seconds a step", f"{setting}, {name}", statistics.median(values), goal=None, better="lower")
    for kind in precisions:
        ratios = [a / b for a, b in zip(seconds["plain"], seconds[f"seisei, {kind}"], strict=True)]
        record.add(
            f"plain ÷ seisei, {kind}", setting, round(statistics.median(ratios), 3), goal=GOALS[kind], better="higher",
            smallest=round(min(ratios), 3), largest=round(max(ratios), 3),
        )  # fmt: skip
    if not there:
        print("bf16: this processor has no arithmetic for it; not measured")


ALONE = """
import json, resource, sys, time
import numpy as np, torch
from seisei import catalog
from seisei.modalities.image_io import read_image
from seisei.modalities.image import Image
from seisei.pipeline import Pipeline
from seisei.recipes.pairs import pix2pix
from seisei.schema import Schema
catalog.fill()
side = int(sys.argv[1])
schema = Schema(Image(256, 256), Image(256, 256))
model = pix2pix(schema).objective.build().model
image = read_image(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
made = Pipeline(model, schema, {}, "").translate(image)
seconds = time.perf_counter() - begun
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert made.pixels.shape == (side, side, 3)
print(json.dumps({"seconds": seconds, "before": before * 1024, "most": most * 1024}))
"""


def measure_translate(record: Record, quick: bool) -> None:
    side = 1024 if quick else 4096
    done = subprocess.run([sys.executable, "-c", ALONE, str(side)], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    setting = f"{side}×{side} pixels in color, the recipe's networks for 256×256, fp32"
    speed = side**2 / 1e6 / told["seconds"]
    record.add("megapixels per second", setting, speed, goal=None, better="higher")
    record.add("highest memory of the process, GB", setting, told["most"] / 1e9, goal=2.0, better="lower")
    record.add("of that before it began, GB", setting, told["before"] / 1e9, goal=None, better="lower")


MEASURES = {"step": measure_step, "translate": measure_translate}


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("what", nargs="*", choices=[*MEASURES, []], default=[])
    told = parser.parse_args()
    catalog.fill()
    keep_pages()
    record = Record("speed_pix2pix", told.seed)
    with seeds.seeded(told.seed, "speed_pix2pix"):
        for name in told.what or MEASURES:
            MEASURES[name](record, told.quick)
    if not told.quick:
        record.write(keep_others=True)


if __name__ == "__main__":
    main()
