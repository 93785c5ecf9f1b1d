"""One training step of a turn: `GradientStep` with an optimizer, `EMStep` without."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.data.loader import Loader
from seisei.errors import UserError
from seisei.objectives.base import Loss, Objective, Progress, Turn
from seisei.training.engine import Engine, like, whole
from seisei.training.optim import build_optimizers
from seisei.training.plan import Plan
from seisei.training.tensors import all_finite

# Names of random streams before turns were renamed, so that the same seed still gives the same training.
STREAMS = {"discriminator": "critic"}


class StepResult(NamedTuple):
    """The result of one step: the loss, its terms and the gradient norm, and whether the update was applied."""

    parts: dict[str, Tensor]
    taken: bool


class _TurnLoss(nn.Module):
    """A turn's loss as a module, so that data parallelism and autocast can wrap all of it."""

    def __init__(self, objective: Objective, turn: Turn, engine: Engine) -> None:
        super().__init__()
        self.objective, self.turn, self.engine = objective, turn, engine

    def forward(self, batch: Batch, t: float) -> Loss:
        with self.engine.autocast():
            return self.turn.loss(batch, t)


class GradientStep:
    """A turn with its optimizer: each call updates its player only.

    Arguments:
        engine: device, processes, precision.
        objective: the objective that the turn belongs to.
        turn: the turn.
        plan: optimizer settings and the number of micro-batches.
        seed: random seed of the noise.
    """

    def __init__(self, engine: Engine, objective: Objective, turn: Turn, plan: Plan, seed: int) -> None:
        self.engine, self.turn, self.plan, self.examples = engine, turn, plan, plan.batch
        # Two turns of one step must not share noise.
        self.seed = seeds.derive(seed, STREAMS.get(turn.name, turn.name))
        self.players = [t.player for t in objective.turns()]
        self._alone()
        self.prepared = engine.parallel(_TurnLoss(objective, turn, engine), len(self.players))
        self.loss: Any = torch.compile(self.prepared) if engine.execution.compile else self.prepared
        # Collected after sharding, which replaces the parameters.
        self.names = [name for name, _ in turn.player.named_parameters()]
        self.parameters = list(turn.player.parameters())
        self.fused = bool(engine.levers["fused_optimizer"])
        self.optimizers = build_optimizers(turn.player, plan.optim, fused=self.fused)

    def _alone(self) -> None:
        """Let only this turn's player require gradients, even for shared parameters."""
        if len(self.players) > 1:
            for player in self.players:
                player.requires_grad_(False)
            self.turn.player.requires_grad_(True)

    def __call__(self, batch: Batch, t: float, rate: float, step: int) -> StepResult:
        """Take one gradient step on the turn's loss; skipped if the loss or gradient is not finite."""
        self._alone()
        for parameter in self.parameters:
            parameter.grad = None
        parts = self._gradients(batch, t, step)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = whole(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
        size = float(norm)
        taken = math.isfinite(size)
        if taken:
            if size > self.plan.optim.clip:
                torch._foreach_mul_(gradients, self.plan.optim.clip / size)
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * self.turn.pace()
                optimizer.step()
        if self.turn.settle is not None:
            self.turn.settle(self.engine.sum if taken else None)
        return StepResult({**parts, "gradient_norm": norm}, taken)

    def _gradients(self, batch: Batch, t: float, step: int) -> dict[str, Tensor]:
        engine, count = self.engine, len(batch)
        parts: dict[str, Tensor] = {}
        done = 0
        for part in batch.split(-(-count // self.plan.micro)):
            share, offset = len(part) / count, engine.rank * count + done
            done += len(part)
            draws = seeds.Draws(self.seed, step, total=engine.world * count, offset=offset, device=engine.device)
            with engine.accumulating(self.prepared, done < count), seeds.drawing(draws):
                total, terms = self.loss(part, t)
                # 0 × loss is 0, or NaN for a non-finite loss: the NaN then spreads to the gradient in every process,
                # so that the gradient norm alone tells all of them to skip this step, without extra communication.
                total.backward(total.detach() * 0 + share)
            for name, value in {"loss": total.detach(), **terms}.items():
                parts[name] = value * share + parts[name] if name in parts else value * share if share < 1 else value
        return parts

    def first_bad(self) -> str | None:
        """The first parameter whose gradient is not finite (all processes must call)."""
        for name, parameter in zip(self.names, self.parameters, strict=True):
            if parameter.grad is not None and not bool(torch.isfinite(whole(parameter.grad)).all()):
                return name
        return None

    def state(self) -> dict[str, Tensor]:
        """The optimizer's tensors, by parameter name (all processes must call)."""
        found = self._states()
        return {
            f"{name}/{key}": whole(value)
            for name, parameter in zip(self.names, self.parameters, strict=True)
            for key, value in found.get(parameter, {}).items()
        }

    def _states(self) -> dict[Tensor, dict[str, Tensor]]:
        """The optimizer state of each parameter."""
        return {parameter: state for optimizer in self.optimizers for parameter, state in optimizer.state.items()}

    def load(self, state: Mapping[str, Tensor], where: str) -> None:
        """Restore the output of `state`.

        Raises:
            UserError: it belongs to another player.
        """
        whose = {p: o for o in self.optimizers for group in o.param_groups for p in group["params"]}
        for optimizer in self.optimizers:
            optimizer.state.clear()
        by_name = dict(zip(self.names, self.parameters, strict=True))
        remedy = "resume with the options the run was trained with"
        for key, value in state.items():
            name, _, kind = key.rpartition("/")
            if name not in by_name:
                raise UserError("E-RES-07", where, f"tensor {key!r} is not expected", remedy)
            parameter = by_name[name].detach()
            if kind == "step":
                # Adam keeps its step count on the CPU; fused, on the parameter's device.
                loaded = value.to(parameter.device if self.fused else "cpu", copy=True)
            elif value.shape == parameter.shape:
                loaded = like(parameter, value)
            else:
                problem = f"tensor {key!r} has shape {tuple(value.shape)}, wanted {tuple(parameter.shape)}"
                raise UserError("E-RES-08", where, problem, remedy)
            whose[by_name[name]].state[by_name[name]][kind] = loaded
        there = self._states()
        if state and len(there) < len(self.parameters):
            missing = next(n for n in self.names if by_name[n] not in there)
            raise UserError("E-RES-06", where, f"tensor {missing!r} is missing", remedy)


class EMStep:
    """A turn updated by an EM step (or closed-form fit) over all examples, without gradients or an optimizer.

    Every process goes over all examples and gets the same result.

    Arguments:
        turn: the turn, with a `sweep` function.
        loader: provides all training examples.
        engine: device, processes, precision.
        format: memory format of images.
    """

    def __init__(self, turn: Turn, loader: Loader, engine: Engine, format: str) -> None:
        assert turn.sweep is not None
        self.turn, self.rule, self.examples = turn, turn.sweep, len(loader.order.indices)
        self.progress = Progress()
        self.every_example = lambda: (engine.place(batch, format) for batch in loader.everything())

    @torch.no_grad()
    def __call__(self, batch: Batch, t: float, rate: float, step: int) -> StepResult:
        """Take one step. A non-finite loss is reported, but the update cannot be undone."""
        swept = self.rule(self.every_example)
        self.progress.add(None if swept.closed else float(swept.total))
        return StepResult({"loss": swept.total, **swept.parts}, bool(torch.isfinite(swept.total)))

    @property
    def unfinished(self) -> str | None:
        """A message if the fit did not converge."""
        own: str | None = getattr(self.turn.player, "unfinished", None)
        return own or self.progress.unfinished

    def first_bad(self) -> str | None:
        """The first of the player's tensors that is not finite."""
        return all_finite({name: value for name, value in self.turn.player.state_dict().items()})
