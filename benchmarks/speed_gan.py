"""Images per second of the whole training step of a game, and whether it is the same game.

    python benchmarks/speed_gan.py                  about six minutes on two cores
    python benchmarks/speed_gan.py --network own    the step of the recipe gan with its own networks, for information

The networks of the plain PyTorch example of a DCGAN (see `dcgan.py`) at batch 64 on photographs of 64×64 in color
(Caltech-101, made smaller by our reader), in turn, several times over in one process; medians of images per second and
of the ratios round by round:

- seisei, bf16 and fp32: `Training.advance` with the loader, averaged weights, the norm of the gradient and everything
  else that is on by default;
- bare, same levers, bf16 and fp32: a plain loop over the same networks and costs with channels_last, fused Adam and a
  discriminator that is a constant in the generator's move;
- DCGAN example: its own iteration, fp32, with torch's defaults. Its images are decoded and scaled beforehand, and
  gathered without worker processes.

All move the generator by the images that the discriminator has just judged.

Freed memory is kept by the process (`keep_pages`) for all alike, which makes the example faster too. As it is published
it would give it back: a second one, in a process of its own that waits while others are measured, does so. There is a
goal against both.

The example's norms see real and drawn images apart, ours see both at once: here our discriminator is made to judge
batch by batch (`Judge`), so that all play the same game. To show it, ours and the example start from the same weights
and are given the same images and noise, and the players' costs are compared: in float64 over ten updates, at a
smaller batch, and in float32 at the first. Later float32 says nothing: Adam's first steps have the size of the rate
and the sign of the gradient, also where this is rounding, and the game does the rest. How far that goes is kept for
ours beside the example and, as a measure of it, for the example beside itself in channels_last.
"""

from __future__ import annotations

import atexit
import copy
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import dcgan
import torch
import torch.nn.functional as F
from common import Record, options, shared
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.data.loader import Loader, Order
from seisei.data.types import read_dataset
from seisei.models.gan import Generator
from seisei.nn.distributions import precise
from seisei.nn.priors import StandardNormal
from seisei.objectives.adversarial import Adversarial
from seisei.recipes.gans import gan
from seisei.training.backend import keep_pages, route_float32
from seisei.training.engine import Engine, Execution, Precision
from seisei.training.loop import Training
from seisei.training.plan import Optim, Plan

BATCH, SIZE = 64, 64
# At which the costs are compared in float64, which is slow.
SMALL = 8
PEER = "DCGAN example"
ALONE = f"{PEER}, torch's own memory"
GOALS = {"bf16": 2.0, "fp32": 1.3}
Steps = Callable[[int], None]


class Decoder(nn.Module):
    """(z, y) to features: the example's generator up to its tanh, which the view has."""

    classes = 0

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net[:-1]

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(z[:, :, None, None])


class Judge(nn.Module):
    """(what is seen, y) to logits (B,): the example's discriminator up to its sigmoid, a batch at a time."""

    def __init__(self, net: nn.Sequential, batch: int) -> None:
        super().__init__()
        self.net, self.batch = net[:-1], batch

    def forward(self, seen: Tensor, y: Tensor | None = None) -> Tensor:
        return precise(torch.cat([self.net(part).flatten() for part in seen.split(self.batch)]))


class Signed(nn.Module):
    """A view of images as the example has them: values in [−1, 1]."""

    def of(self, batch: Batch) -> Tensor:
        return signed(batch.visible)

    def made(self, features: Tensor) -> Tensor:
        return torch.tanh(precise(features))

    def example(self, seen: Tensor) -> Tensor:
        return 0.5 + 0.5 * seen


def signed(x: Tensor) -> Tensor:
    return 2 * x - 1


@dataclass
class Networks:
    """The example's networks, and the objective that is made of copies of them.

    A plan asks its `Spec` for nothing but `build`, so this stands in the place of one, and the catalog need not know
    the classes above.
    """

    generator: nn.Sequential
    discriminator: nn.Sequential
    batch: int = BATCH

    @classmethod
    def first(cls, seed: int) -> Networks:
        with seeds.seeded(seed, "dcgan"):
            return cls(dcgan.generator(), dcgan.discriminator())

    def copy(self, **to: Any) -> Networks:
        mine = copy.deepcopy(self)
        return Networks(mine.generator.to(**to), mine.discriminator.to(**to), self.batch)

    def build(self) -> Adversarial:
        mine = self.copy()
        model = Generator(Decoder(mine.generator), StandardNormal(dcgan.LATENT), Signed())
        return Adversarial(
            model, Judge(mine.discriminator, self.batch), game="non-saturating", on_real=0.0, on_drawn=0.0
        )


def dataset() -> Any:
    return read_dataset(shared("caltech101-128"), size=SIZE, channels=3)


def training(data: Any, plan: Plan, precision: Precision, seed: int) -> Training:
    engine = Engine(Execution(device="cpu", precision=precision))
    return Training(plan, Loader(data, Order(data.splits["train"], batch=plan.batch, seed=seed)), engine, seed)


def same_game(networks: Networks) -> Plan:
    """What the example does, as a plan: its rate is constant, and our bound on the gradient is far away."""
    optim = Optim(learning_rate=dcgan.RATE, betas=dcgan.BETAS, warmup=0.0, schedule="constant")
    return Plan(networks, 10_000, networks.batch, optim, format="channels_last")  # type: ignore[arg-type]


def ours(data: Any, plan: Plan, precision: Precision, seed: int) -> Steps:
    state = training(data, plan, precision, seed)

    def run(steps: int) -> None:
        route_float32(True)
        for _ in range(steps):
            state.advance()

    return run


def bare(data: Any, networks: Networks, precision: Precision) -> Steps:
    mine = networks.copy()
    draw, judge = mine.generator[:-1], mine.discriminator[:-1]
    images, layout = data.x[data.splits["train"]], torch.channels_last
    optimizers = {}
    for name, net in (("discriminator", judge), ("generator", draw)):
        net.to(memory_format=layout)  # type: ignore[call-overload]
        optimizers[name] = torch.optim.Adam(net.parameters(), lr=dcgan.RATE, betas=dcgan.BETAS, fused=True)

    def batches() -> Iterator[Tensor]:
        while True:
            for places in torch.randperm(len(images)).split(BATCH):
                if len(places) == BATCH:
                    yield signed(images[places].float() / 255).contiguous(memory_format=layout)

    def drawn() -> Tensor:
        return torch.tanh(draw(torch.randn(BATCH, dcgan.LATENT, 1, 1)).float())

    def verdict(x: Tensor) -> Tensor:
        return judge(x).flatten().float()

    source = batches()

    def run(steps: int) -> None:
        route_float32(True)
        for _ in range(steps):
            x = next(source)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                made = drawn()
            # The discriminator, then the generator, for which the discriminator is a constant.
            for turn, optimizer in optimizers.items():
                judge.requires_grad_(turn == "discriminator")
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    if turn == "discriminator":
                        loss = F.softplus(-verdict(x)).mean() + F.softplus(verdict(made.detach())).mean()
                    else:
                        loss = F.softplus(-verdict(made)).mean()
                loss.backward()
                optimizer.step()

    return run


def example(data: Any, networks: Networks) -> Steps:
    mine = networks.copy()
    iteration = dcgan.Iteration(mine.generator, mine.discriminator)
    images = TensorDataset(signed(data.x[data.splits["train"]].float() / 255))
    loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True)

    def batches() -> Iterator[Tensor]:
        while True:
            for (x,) in loader:
                yield x

    source = batches()

    def run(steps: int) -> None:
        route_float32(False)
        for _ in range(steps):
            iteration(next(source))

    return run


def serve(asked: Connection, seed: int) -> None:
    """Make as many of the example's steps as the other process asks for, as often as it asks; 0 is the end."""
    run = example(dataset(), Networks.first(seed))
    while steps := asked.recv():
        run(steps)
        asked.send(None)


def alone(seed: int) -> Steps:
    """The example in a process of its own, whose memory is handled as torch does by itself."""
    ask, asked = multiprocessing.Pipe()
    # Spawned, since a fork would take over what was set here.
    multiprocessing.get_context("spawn").Process(target=serve, args=(asked, seed), daemon=True).start()
    asked.close()  # the other's end, so that its death is noticed here
    atexit.register(ask.send, 0)

    def run(steps: int) -> None:
        ask.send(steps)
        ask.recv()

    return run


def costs(data: Any, networks: Networks, seed: int, updates: int) -> dict[str, list[list[float]]]:
    """The discriminator's and the generator's cost at each update: ours, the example's, and the example's in
    channels_last.
    """
    dtype = next(networks.generator.parameters()).dtype
    state = training(data, same_game(networks), "fp32", seed)
    noise: list[Tensor] = []
    state.objective.model.decoder.register_forward_pre_hook(lambda _, given: noise.append(given[0]))
    copies = {PEER: networks.copy(), f"{PEER}, channels_last": networks.copy(memory_format=torch.channels_last)}
    iterations = {name: dcgan.Iteration(mine.generator, mine.discriminator) for name, mine in copies.items()}
    found: dict[str, list[list[float]]] = {"seisei": [], **{name: [] for name in copies}}
    for step in range(updates):
        state.advance()
        found["seisei"].append([float(state.moved[player].parts["loss"]) for player in ("discriminator", "generator")])
        real = signed(state.loader.at(step).x).to(dtype)
        (z,) = noise  # drawn images serve in both players' moves
        noise.clear()
        for name, iteration in iterations.items():
            told = iteration(real, z[:, :, None, None])
            found[name].append([told["discriminator"], told["generator"]])
    return found


def apart(a: list[list[float]], b: list[list[float]]) -> float:
    """The largest relative difference."""
    return max(abs(p - q) / abs(q) for one, other in zip(a, b, strict=True) for p, q in zip(one, other, strict=True))


def compare(record: Record, setting: str, data: Any, networks: Networks, updates: int) -> None:
    small = Networks(networks.generator, networks.discriminator, SMALL).copy(dtype=torch.float64)
    found = costs(data, small, record.seed, updates)
    metric = "largest relative difference of costs"
    at = f"{setting}, seisei and {PEER}"
    worst = apart(found["seisei"], found[PEER])
    record.add(
        metric, f"{at}, float64 at batch {SMALL}, {updates} updates", worst, goal=1e-4, better="lower", costs=found
    )
    found = costs(data, networks, record.seed, updates)
    worst = apart(found["seisei"][:1], found[PEER][:1])
    record.add(metric, f"{at}, float32 at batch {BATCH}, first update", worst, goal=1e-4, better="lower", costs=found)
    for name, beside in (("seisei", at), (f"{PEER}, channels_last", f"{setting}, {PEER} and itself in channels_last")):
        worst = apart(found[name], found[PEER])
        record.add(metric, f"{beside}, float32 at batch {BATCH}, {updates} updates", worst, goal=None, better="lower")


def measure(makers: dict[str, Callable[[], Steps]], steps: int, rounds: int) -> dict[str, list[float]]:
    runs = {name: make() for name, make in makers.items()}
    for run in runs.values():
        run(max(1, steps // 2))
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        names = list(runs)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            runs[name](steps)
            speeds[name].append(steps * BATCH / (time.perf_counter() - begun))
    return speeds


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--network", choices=("dcgan", "own"), default="dcgan")
    arguments = parser.parse_args()
    catalog.fill()
    keep_pages()
    record, data, seed = Record("speed_gan", arguments.seed), dataset(), arguments.seed
    steps, rounds = (2, 1) if arguments.quick else (8, 9)
    precisions: tuple[Precision, ...] = ("bf16", "fp32")
    makers: dict[str, Callable[[], Steps]] = {}
    if arguments.network == "own":
        setting = f"gan with its own networks, {SIZE}×{SIZE}, batch {BATCH}"
        for kind in precisions:
            makers[f"seisei, {kind}"] = partial(ours, data, gan(data.schema, batch=BATCH), kind, seed)
    else:
        setting, networks = f"DCGAN {SIZE}×{SIZE}, batch {BATCH}", Networks.first(seed)
        compare(record, f"DCGAN {SIZE}×{SIZE}", data, networks, 2 if arguments.quick else 10)
        for kind in precisions:
            makers[f"seisei, {kind}"] = partial(ours, data, same_game(networks), kind, seed)
            makers[f"bare, same levers, {kind}"] = partial(bare, data, networks, kind)
        makers |= {PEER: lambda: example(data, networks), ALONE: lambda: alone(seed)}
    speeds = measure(makers, steps, rounds)
    for name, values in speeds.items():
        record.add(
            "images per second", f"{setting}, {name}", round(statistics.median(values), 2), goal=None, better="higher",
            smallest=round(min(values), 2), largest=round(max(values), 2), rounds=rounds,
        )  # fmt: skip
    for kind in precisions:
        for other, goal in ((PEER, GOALS[kind]), (ALONE, GOALS[kind]), (f"bare, same levers, {kind}", None)):
            if other in speeds:
                ratios = [a / b for a, b in zip(speeds[f"seisei, {kind}"], speeds[other], strict=True)]
                record.add(
                    f"seisei, {kind} ÷ {other}", setting, round(statistics.median(ratios), 3), goal=goal,
                    better="higher", smallest=round(min(ratios), 3), largest=round(max(ratios), 3),
                )  # fmt: skip
    if not arguments.quick:
        record.write(keep_others=True)


if __name__ == "__main__":
    main()
