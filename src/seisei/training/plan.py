"""The training plan that a recipe returns: `Plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from seisei.errors import UserError, did_you_mean
from seisei.objectives.base import Objective
from seisei.spec import Range, Spec, checked, parameters

Count = Annotated[int, Range(ge=1, le=10**12)]


@dataclass(frozen=True)
class Optim:
    """Optimizer settings: AdamW with warm-up, a learning-rate schedule and gradient clipping.

    Hidden weight matrices (`seisei.nn.transformer.blocks.Matrix`) may be optimized with Muon instead, which
    orthogonalizes the momentum (all singular values about 1) and scales the update to the size of Adam's.

    Arguments:
        learning_rate: peak learning rate.
        betas: decay rates of Adam's first and second moments.
        weight_decay: decoupled, per step times the learning rate.
        clip: maximum global gradient norm.
        warmup: fraction of training over which the rate rises from 0.
        schedule: learning-rate schedule after warm-up.
        matrices: optimizer of hidden weight matrices.
    """

    learning_rate: Annotated[float, Range(gt=0, le=1)] = 1e-3
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: Annotated[float, Range(ge=0, le=10)] = 0.0
    clip: Annotated[float, Range(gt=0)] = 1e6
    warmup: Annotated[float, Range(ge=0, le=1)] = 0.01
    schedule: Literal["constant", "cosine"] = "cosine"
    matrices: Literal["adam", "muon"] = "adam"

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            problem = f"{', '.join(map(str, self.betas))} is out of range, wanted two numbers >= 0 and < 1"
            raise UserError("E-TRN-07", "optim.betas", problem, "write [0.9, 0.999]")


@dataclass(frozen=True)
class Plan:
    """A complete training plan.

    Arguments:
        objective: spec of the objective, including its model.
        steps: number of updates.
        batch: batch size over all processes.
        optim: optimizer settings.
        ema_decay: decay of the exponential moving average of the weights.
        micro: micro-batches per step (gradient accumulation), to save memory.
        format: memory format of images; `channels_last` is faster for convolutions at batch sizes of 8 and more.
        patience: early stopping: the fraction of the steps without improvement after which training ends, if the
            objective names a score to improve; 1 for never.
        schedule_steps: updates over which the schedules run, if not all; later updates use their final values.
        class_balance: class balancing: a class with n examples is sampled in proportion to n^(1 − class_balance);
            0 samples as in the data, 1 samples all classes equally.
        given: frozen parts of the objective, by their path in it: the run or .safetensors file that provides each
            one's weights, or the plan of a preceding training stage.
    """

    objective: Spec
    steps: Count
    batch: Annotated[int, Range(ge=1, le=10**6)]
    optim: Optim = Optim()
    ema_decay: Annotated[float, Range(ge=0, lt=1)] = 0.999
    micro: Annotated[int, Range(ge=1, le=10**6)] = 1
    format: Literal["contiguous", "channels_last"] = "contiguous"
    schedule_steps: Count | None = None
    class_balance: Annotated[float, Range(ge=0, le=1)] = 0.0
    patience: Annotated[float, Range(gt=0, le=1)] = 1.0
    given: Mapping[str, str | Plan] = field(default_factory=dict)

    @property
    def stages(self) -> dict[str, Plan]:
        """The preceding training stages, by the path of the part that each one's model becomes."""
        return {path: first for path, first in self.given.items() if isinstance(first, Plan)}

    @property
    def span(self) -> int:
        """The number of updates over which the schedules run."""
        return self.schedule_steps or self.steps

    def override(self, path: str, value: Any) -> Plan:
        """The plan with one value changed, by a dotted path such as ``objective.beta`` or ``optim.clip``.

        Raises:
            UserError: no such path (with the nearest valid name), or an invalid value.
        """
        name, _, rest = path.partition(".")
        names = [f.name for f in fields(self)]
        if name not in names:
            raise UserError("E-TRN-02", f"--set {path}", f"the plan has no {name!r}", did_you_mean(name, names))
        old = getattr(self, name)
        if isinstance(old, Spec) and rest:
            return replace(self, objective=old.override(rest, value))
        if isinstance(old, Optim) and rest:
            inner = [f.name for f in fields(old)]
            if rest not in inner:
                raise UserError("E-TRN-02", f"--set {path}", f"{name} has no {rest!r}", did_you_mean(rest, inner))
            new = checked(f"--set {path}", value, parameters(Optim)[rest].annotation)
            return replace(self, optim=replace(old, **{rest: new}))
        if name == "given":
            raise UserError("E-TRN-02", f"--set {path}", "is not a single value", "use the recipe's own option")
        if rest or isinstance(old, (Spec, Optim)):
            parts = list(old.arguments) if isinstance(old, Spec) else [f.name for f in fields(Optim)]
            remedy = did_you_mean(path, [f"{name}.{p}" for p in parts]) if not rest else f"set {name} itself"
            raise UserError("E-TRN-02", f"--set {path}", "is not a single value", remedy)
        return replace(self, **{name: checked(f"--set {path}", value, parameters(Plan)[name].annotation)})

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON data, with all defaults resolved."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        optim = {f.name: getattr(self.optim, f.name) for f in fields(self.optim)}
        plain["given"] = {path: x if isinstance(x, str) else x.to_json() for path, x in self.given.items()}
        return {**plain, "objective": self.objective.to_json(), "optim": {**optim, "betas": list(self.optim.betas)}}

    @classmethod
    def from_json(cls, data: Any, where: str = "recipe.json") -> Plan:
        """The plan written by `to_json`.

        Raises:
            UserError: the data are not a plan.
        """
        if not isinstance(data, dict) or not {"objective", "steps", "batch"} <= data.keys():
            raise UserError("E-*-02", where, "holds no plan", "use a run folder that seisei wrote")
        plain = {k: v for k, v in data.items() if k not in ("objective", "optim", "given")}
        given = data.get("given", {})
        if not isinstance(given, dict):
            raise UserError("E-*-02", where, "holds no list of frozen parts", "use a run folder that seisei wrote")
        parts = {path: x if isinstance(x, str) else cls.from_json(x, where) for path, x in given.items()}
        plan = cls(Spec.from_json(data["objective"], where), steps=1, batch=1, given=parts)
        for name, value in plain.items():
            plan = plan.override(name, value)
        if not issubclass(plan.objective.cls, Objective):
            raise UserError(
                "E-*-07",
                where,
                f"{plan.objective.cls.__name__} is not an objective",
                "use a run folder that seisei wrote",
            )
        optim = data.get("optim", {})
        if not isinstance(optim, dict):
            raise UserError("E-*-02", where, "holds no optimizer settings", "use a run folder that seisei wrote")
        for name, value in optim.items():
            plan = plan.override(f"optim.{name}", value)
        return plan
