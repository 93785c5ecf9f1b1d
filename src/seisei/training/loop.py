"""The loop: every family, one player or several, one process or many.

    while step < steps:
        batch, t = batches(step), step / steps
        for move in moves: move(batch, t)
        after(training)                      # log, watch, sample, evaluate, save
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.data.loader import Loader
from seisei.errors import UserError
from seisei.nn.average import Average
from seisei.objectives.base import Objective
from seisei.training.checkpoint import Checkpoint
from seisei.training.engine import Engine, Moved, like, whole
from seisei.training.optim import learning_rate
from seisei.training.plan import Plan

Hook = Callable[["Training"], None]


class RollBack(Exception):
    """A hook asks to go back to the newest checkpoint, at half the learning rate."""


class Meter:
    """Sums of what was reported since the last line of the log."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Count a value in."""
        value = value.detach().double()
        self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.counts[name] = self.counts.get(name, 0) + 1

    def means(self, engine: Engine) -> dict[str, float]:
        """The mean of each value over steps and processes; the sums start again."""
        means = engine.mean({name: total / self.counts[name] for name, total in self.sums.items()})
        self.sums, self.counts = {}, {}
        return means


class Training:
    """A training under way: all that changes while it runs.

    Arguments:
        plan: what to do.
        loader: where batches come from.
        engine: where it runs.
        seed: of the weights, the order and the noise.
    """

    def __init__(self, plan: Plan, loader: Loader, engine: Engine, seed: int) -> None:
        self.plan, self.loader, self.engine, self.seed = plan, loader, engine, seed
        with seeds.seeded(seed, "weights"):
            self.objective: Objective = plan.objective.build()
        self.objective.initialise(loader.data.batch(loader.order.some(4096)))
        format = torch.channels_last if plan.format == "channels_last" else torch.contiguous_format
        self.objective.to(engine.device, memory_format=format)  # type: ignore[call-overload]
        self.moves = [engine.prepare(self.objective, turn, plan) for turn in self.objective.turns()]
        self.average = Average(self.objective.model, plan.average) if plan.average else None
        self.step, self.rate_factor, self.skipped, self.rollbacks = 0, 1.0, 0, 0
        self.meter = Meter()
        self.moved: dict[str, Moved] = {}
        self.waited = self.worked = 0.0
        self._shown: Objective | None = None

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.plan.optim, (self.step + 1) / self.plan.steps) * self.rate_factor

    def advance(self) -> None:
        """Make one step: every player whose turn it is moves once."""
        start = time.perf_counter()
        step, t = self.step, self.step / self.plan.steps
        batch = self.engine.place(self.loader.at(step), self.plan.format)
        gathered = time.perf_counter()
        self.moved = {m.turn.name: m(batch, t, self.rate, self.seed, step) for m in self.moves if step % m.turn.every == 0}
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        for name, moved in self.moved.items():
            if moved.taken:
                self.meter.add(f"{name}/gradient_norm", moved.norm)
                for part, value in moved.parts.items():
                    self.meter.add(f"{name}/{part}", value)
        self.waited += gathered - start
        self.worked += time.perf_counter() - gathered

    def shown(self) -> Objective:
        """A plain copy of the objective with the averaged weights, for looking at: every process must ask, the first gets it."""
        state = self._tensors()
        if not self.engine.is_main:
            return self.objective
        if self._shown is None:
            self._shown = self.plan.objective.build().to(self.engine.device).eval()
        assert self._shown is not None
        load_weights(self._shown.model, state.get("average", state["model"]), "average")
        if "players" in state:
            load_weights(self._shown, state["players"], "players", partly=True)
        return self._shown

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        """Weights, averaged weights and the weights of players that only train."""
        everything = {name: whole(value.detach()) for name, value in self.objective.state_dict().items()}
        groups = {"model": {k.removeprefix("model."): v for k, v in everything.items() if k.startswith("model.")}}
        if others := {k: v for k, v in everything.items() if not k.startswith("model.")}:
            groups["players"] = others
        if self.average is not None:
            groups["average"] = {name: whole(value) for name, value in self.average.state().items()}
        return groups

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """All that a checkpoint holds. Randomness and data position are functions of the seed and the step."""
        tensors = self._tensors()
        for move in self.moves:
            tensors[f"optimizer-{move.turn.name}"] = move.state()
        reduced = self.engine.mean(self.meter.sums)
        tensors["meter"] = {name: torch.tensor(value, dtype=torch.float64) for name, value in reduced.items()}
        plain = {name: getattr(self, name) for name in ("step", "seed", "rate_factor", "skipped", "rollbacks")}
        return tensors, {**plain, "meter": self.meter.counts, "torch": torch.__version__, "threads": torch.get_num_threads()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            UserError: it belongs to another model, or lacks something.
        """
        tensors, state = checkpoint.tensors, checkpoint.state
        needed = {"model", "meter", *(f"optimizer-{m.turn.name}" for m in self.moves)}
        needed |= {"average"} if self.average is not None else set()
        for group in sorted(needed - tensors.keys()):
            code = {"average": "E-RES-21", "model": "E-RES-06"}.get(group, "E-RES-22")
            where = f"{checkpoint.path.name}/{group}.safetensors"
            raise UserError(code, where, "is missing", "resume from another checkpoint with --step")
        load_weights(self.objective.model, tensors["model"], "model.safetensors")
        if "players" in tensors:
            load_weights(self.objective, tensors["players"], "players.safetensors", partly=True)
        if self.average is not None:
            parameters = list(self.average.model.named_parameters())
            self.average.shadow = [like(p.detach(), tensors["average"][name]) for name, p in parameters]
        for move in self.moves:
            move.load(tensors[f"optimizer-{move.turn.name}"])
        try:
            self.step, self.rate_factor = int(state["step"]), float(state["rate_factor"])
            self.skipped, self.rollbacks = int(state["skipped"]), int(state["rollbacks"])
            self.meter.counts = dict(state["meter"])
            seed = int(state["seed"])
        except (KeyError, TypeError, ValueError) as error:
            where = f"{checkpoint.path.name}/state.json"
            raise UserError("E-RES-19", where, f"lacks {error}", "resume from another checkpoint with --step") from error
        if seed != self.seed:
            raise UserError("E-RES-19", "seed", f"{self.seed}, the checkpoint has {seed}", "resume with the run's own seed")
        self.meter.sums = {name: value.to(self.engine.device) for name, value in tensors["meter"].items()}


def fit(training: Training, after: Sequence[Hook], recover: Callable[[Training], None]) -> None:
    """Train to the end.

    Arguments:
        training: what to train, from wherever it stands.
        after: looked at after every step, in this order.
        recover: called when a hook asks to roll back.
    """
    while training.step < training.plan.steps:
        training.advance()
        try:
            for hook in after:
                hook(training)
        except RollBack:
            recover(training)


@torch.no_grad()
def load_weights(module: nn.Module, state: Mapping[str, Tensor], where: str, *, partly: bool = False) -> None:
    """Copy tensors into a module, each checked by name, shape and dtype (`partly`: a part of the module's).

    Raises:
        UserError: the first tensor that does not fit.
    """
    own = module.state_dict()
    remedy = "resume with the options the run was trained with"
    for name in own:
        if name not in state and not partly:
            raise UserError("E-RES-06", where, f"tensor {name!r} is missing", remedy)
    for name, value in state.items():
        if name not in own:
            raise UserError("E-RES-07", where, f"tensor {name!r} is not expected", remedy)
        target = own[name]
        if target.shape != value.shape:
            problem = f"tensor {name!r} has shape {tuple(value.shape)}, wanted {tuple(target.shape)}"
            raise UserError("E-RES-08", where, problem, remedy)
        if target.dtype != value.dtype:
            raise UserError("E-RES-09", where, f"tensor {name!r} has dtype {value.dtype}, wanted {target.dtype}", remedy)
        target.copy_(like(target, value))
