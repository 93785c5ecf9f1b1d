"""The training loop for every model family, with one player or several, one process or many.

while step < steps:
    batch, t = batches(step), step / steps    # or min(step, schedule_steps) / schedule_steps
    for move in moves: move(batch, t)
    after(training)                      # log, watch, sample, evaluate, save
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.data.loader import Loader
from seisei.errors import UserError
from seisei.nn.ema import EMA
from seisei.objectives.base import Objective, Progress
from seisei.training.checkpoint import Checkpoint
from seisei.training.engine import Engine, like, whole
from seisei.training.memory import check_weights
from seisei.training.optim import rate_of
from seisei.training.plan import Plan
from seisei.training.step import EMStep, GradientStep, StepResult
from seisei.training.tensors import all_finite

Hook = Callable[["Training"], None]

# Limits on the examples passed to `Objective.initialize` before the first step: count and total bytes.
INIT_EXAMPLES, INIT_BYTES = 4096, 1 << 26
GROUP_MISSING = {"model": "E-RES-06", "average": "E-RES-21"}


class Rollback(Exception):
    """Raised by a hook to return to the newest checkpoint at half the learning rate."""


class Meter:
    """Sums of the values reported since the last log line, by turn and value names."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], Tensor] = {}
        self.counts: dict[tuple[str, ...], int] = {}

    def add(self, turn: str, moved: StepResult) -> None:
        """Add one step's values."""
        key = (turn, *moved.parts)
        row = torch.stack(list(moved.parts.values()))
        # MPS has no float64.
        row = row.to(torch.float32 if row.device.type == "mps" else torch.float64)
        self.sums[key] = self.sums[key] + row if key in self.sums else row
        self.counts[key] = self.counts.get(key, 0) + 1

    def means(self, engine: Engine, turn: str) -> dict[str, float]:
        """Each value's mean over steps and processes for a turn; resets its sums (all processes must call)."""
        totals: dict[str, tuple[float, int]] = {}
        for key in [key for key in self.sums if key[0] == turn]:
            row, count = engine.mean(self.sums.pop(key)).tolist(), self.counts.pop(key)
            for name, value in zip(key[1:], row, strict=True):
                total, times = totals.get(name, (0.0, 0))
                totals[name] = total + value, times + count
        return {name: total / times for name, (total, times) in totals.items()}

    def to_json(self, engine: Engine) -> list[dict[str, Any]]:
        """The sums as JSON data, averaged over processes (all processes must call)."""
        rows = {key: engine.mean(row).tolist() for key, row in self.sums.items()}
        finite = {key: [value if math.isfinite(value) else None for value in row] for key, row in rows.items()}
        return [{"of": list(key), "count": self.counts[key], "sums": row} for key, row in finite.items()]

    def restore(self, data: list[dict[str, Any]], device: torch.device) -> None:
        """Restore the output of `to_json`."""
        self.sums, self.counts = {}, {}
        for entry in data:
            key = tuple(map(str, entry["of"]))
            row = [math.nan if value is None else float(value) for value in entry["sums"]]
            wide = torch.float32 if device.type == "mps" else torch.float64
            self.sums[key], self.counts[key] = torch.tensor(row, dtype=wide, device=device), int(entry["count"])


class Training:
    """The state of a training run.

    Arguments:
        plan: the training plan.
        loader: provides batches.
        engine: device, processes, precision.
        seed: random seed of weights, data order and noise.
        given: weights of pretrained parts, by their path in the objective; a restored training has them in its
            checkpoint.
    """

    def __init__(
        self,
        plan: Plan,
        loader: Loader,
        engine: Engine,
        seed: int,
        given: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.plan, self.loader, self.engine, self.seed = plan, loader, engine, seed
        with seeds.seeded(seed, "weights"):
            self.objective: Objective = plan.objective.build()
        for path, weights in (given or {}).items():
            load_weights(self.objective.get_submodule(path), weights, str(plan.given[path]))
        one = loader.data.batch(loader.order.some(1)).x
        few = INIT_BYTES // (one.numel() * one.element_size())
        self.objective.initialize(loader.data.batch(loader.order.some(max(1, min(INIT_EXAMPLES, few)))))
        # Sharding requires contiguous parameters.
        self.format = "contiguous" if engine.sharded else plan.format
        format = torch.channels_last if self.format == "channels_last" else torch.contiguous_format
        self.objective.to(engine.device, memory_format=format)  # type: ignore[call-overload]
        self.moves: list[GradientStep | EMStep] = [
            EMStep(turn, loader, engine, self.format)
            if turn.sweep
            else GradientStep(engine, self.objective, turn, plan, seed)
            for turn in self.objective.turns()
        ]
        self.average = EMA(self.objective.model, plan.ema_decay) if plan.ema_decay else None
        self.step, self.rate_factor, self.skipped, self.rollbacks = 0, 1.0, 0, 0
        self.rate = 0.0
        self.meter = Meter()
        self.moved: dict[str, StepResult] = {}
        # Seconds spent waiting for data and computing, and examples processed, since the last log line.
        self.waited, self.worked, self.timed = 0.0, 0.0, 0
        # The best value of the score named by `Objective.decides`, and its step; whether training stopped early.
        self.best: tuple[float, int] | None = None
        self.ended = False
        # Seconds of training before the last resume, and when this process began.
        self._before, self._begun = 0.0, time.perf_counter()
        self._shown: Objective | None = None

    @property
    def done(self) -> bool:
        """Whether training is finished."""
        return self.step >= self.plan.steps or self.ended

    @property
    def converged(self) -> bool:
        """Whether every turn is EM (or a closed-form fit) and has converged."""
        return all(isinstance(move, EMStep) and move.progress.ended for move in self.moves)

    @property
    def unfinished(self) -> list[str]:
        """Messages about EM fits that did not converge."""
        found = [move.unfinished for move in self._swept]
        return [what for what in found if what is not None]

    @property
    def seconds(self) -> float:
        """Training time so far, including before a resume."""
        return self._before + time.perf_counter() - self._begun

    def judge(self, value: float) -> bool:
        """Record a validation score, lower being better; returns whether it is the best so far."""
        if self.best is None or value < self.best[0]:
            self.best = value, self.step
            return True
        self.ended = self.step - self.best[1] >= self.plan.patience * self.plan.steps
        return False

    @property
    def _optimized(self) -> list[GradientStep]:
        """The turns with an optimizer, whose state is saved in checkpoints."""
        return [move for move in self.moves if isinstance(move, GradientStep)]

    @property
    def _swept(self) -> list[EMStep]:
        """The turns fitted by EM, without an optimizer."""
        return [move for move in self.moves if isinstance(move, EMStep)]

    def advance(self) -> None:
        """Take one step: each turn that is due updates its player once."""
        start = time.perf_counter()
        step, t = self.step, min(self.step, self.plan.span) / self.plan.span
        batch = self.engine.place(self.loader.at(step), self.format)
        gathered = time.perf_counter()
        self.rate = rate_of(self.plan, step) * self.rate_factor
        now = [m for m in self.moves if step % m.turn.every == 0]
        self.moved = {m.turn.name: m(batch, t, self.rate, step) for m in now}
        self.step += 1
        self.ended = self.ended or self.converged
        if self.average is not None:
            self.average.update(self.step)
        for name, moved in self.moved.items():
            if moved.taken:
                self.meter.add(name, moved)
        self.waited += gathered - start
        self.worked += time.perf_counter() - gathered
        self.timed += max((m.examples for m in now), default=0)

    def shown(self) -> Objective | None:
        """A copy of the objective with the EMA weights, for evaluation (all processes must call).

        None in all processes but the first, and while weights are not finite.
        """
        state = self._tensors()
        if not self.engine.is_main or any(all_finite(group) is not None for group in state.values()):
            return None
        if self._shown is None:
            # Its initial weights are overwritten, and must not advance any random stream.
            with seeds.seeded(self.seed, "shown"):
                self._shown = self.plan.objective.build().to(self.engine.device).eval()
        assert self._shown is not None
        load_weights(self._shown.model, state.get("average", state["model"]), "average")
        if "players" in state:
            load_weights(self._shown, state["players"], "players", partly=True)
        return self._shown

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        """Model weights, EMA weights, and weights of players used only in training, such as a discriminator."""
        everything = {name: whole(value.detach()) for name, value in self.objective.state_dict().items()}
        groups = {"model": {k.removeprefix("model."): v for k, v in everything.items() if k.startswith("model.")}}
        if others := {k: v for k, v in everything.items() if not k.startswith("model.")}:
            groups["players"] = others
        if self.average is not None:
            groups["average"] = {name: whole(value) for name, value in self.average.state().items()}
        return groups

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """The content of a checkpoint (all processes must call).

        Randomness and data order are functions of the seed and the step, so these two numbers restore them.
        """
        tensors = self._tensors()
        for move in self._optimized:
            tensors[f"optimizer-{move.turn.name}"] = move.state()
        plain = {name: getattr(self, name) for name in ("step", "seed", "rate_factor", "skipped", "rollbacks")}
        made_by = {"torch": torch.__version__, "threads": torch.get_num_threads(), "levers": self.engine.levers}
        best = None if self.best is None else list(self.best)
        swept = {m.turn.name: m.progress.to_json() for m in self._swept}
        return tensors, {
            **plain,
            "seconds": round(self.seconds, 1),
            "best": best,
            "swept": swept,
            "converged": self.step > 0 and self.converged,
            "meter": self.meter.to_json(self.engine),
            **made_by,
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint.

        Raises:
            UserError: it belongs to another model, or is incomplete.
        """
        tensors, state, name = checkpoint.tensors, checkpoint.state, checkpoint.path.name
        needed = {"model", *(f"optimizer-{m.turn.name}" for m in self._optimized)}
        needed |= {"average"} if self.average is not None else set()
        needed |= {"players"} if any(not k.startswith("model.") for k in self.objective.state_dict()) else set()
        for group in sorted(needed - tensors.keys()):
            code, remedy = GROUP_MISSING.get(group, "E-RES-22"), "resume from another checkpoint with --step"
            raise UserError(code, f"{name}/{group}.safetensors", "is missing", remedy)
        load_weights(self.objective.model, tensors["model"], f"{name}/model.safetensors")
        if "players" in needed:
            load_weights(self.objective, tensors["players"], f"{name}/players.safetensors", partly=True)
        if self.average is not None:
            self.average.load(tensors["average"], f"{name}/average.safetensors", like)
        for move in self._optimized:
            move.load(tensors[f"optimizer-{move.turn.name}"], f"{name}/optimizer-{move.turn.name}.safetensors")
        try:
            self.step, self.rate_factor = int(state["step"]), float(state["rate_factor"])
            self.skipped, self.rollbacks = int(state["skipped"]), int(state["rollbacks"])
            self.meter.restore(state["meter"], self.engine.device)
            seed, best = int(state["seed"]), state.get("best")
            self.best = None if best is None else (float(best[0]), int(best[1]))
            for sweeping in self._swept:
                sweeping.progress = Progress.from_json(state.get("swept", {}).get(sweeping.turn.name, {}))
            self.ended = self.step > 0 and self.converged
            # Time spent before a rollback still counts.
            self._before += max(0.0, float(state.get("seconds", 0.0)) - self.seconds)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            remedy = "resume from another checkpoint with --step"
            raise UserError("E-RES-19", f"{name}/state.json", f"lacks {error}", remedy) from error
        if seed != self.seed:
            raise UserError(
                "E-RES-19", "seed", f"{self.seed}, the checkpoint has {seed}", "resume with the run's own seed"
            )
        self.waited, self.worked, self.timed = 0.0, 0.0, 0


def fit(training: Training, after: Sequence[Hook], recover: Callable[[Training], None]) -> None:
    """Train to the end.

    Arguments:
        training: the training to run, from its current step.
        after: hooks called after every step, in this order.
        recover: called when a hook raises `Rollback`.
    """
    while not training.done:
        training.advance()
        try:
            for hook in after:
                hook(training)
        except Rollback:
            recover(training)


@torch.no_grad()
def load_weights(module: nn.Module, state: Mapping[str, Tensor], where: str, *, partly: bool = False) -> None:
    """Copy tensors into a module, checking name, shape and dtype (`partly`: only those outside ``model.``).

    Raises:
        UserError: the first tensor that does not match.
    """
    own = {k: v for k, v in module.state_dict().items() if not (partly and k.startswith("model."))}
    check_weights(own, state, where)
    for name, target in own.items():
        target.copy_(like(target, state[name]))
