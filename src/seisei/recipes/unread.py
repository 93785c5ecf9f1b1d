"""What a person says beside the options of a recipe, and what a training would pass over: refused by name.

Options of a recipe itself are `seisei.recipes.effect`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from seisei.capabilities import Classifies, HasJoint
from seisei.data.options import option_name
from seisei.errors import UserError
from seisei.nn.transformer.blocks import Matrix
from seisei.objectives.base import Objective
from seisei.recipes.effect import heeds_labels
from seisei.schema import Schema
from seisei.training.engine import Execution
from seisei.training.memory import outline
from seisei.training.plan import Plan

# Options of data that say what is given of each example, and what to do with one that a recipe does not heed.
OF_LABELS = {
    "style": ("stylize learns from style images", "train stylize, or leave it out"),
    "pairs": ("pix2pix learns from pairs", "train pix2pix, or leave it out"),
    "conditions": (
        "only cgan, prior and vqvae+prior are conditioned on columns",
        "choose one of these, or leave it out",
    ),
    "target": (
        "only discriminant, discriminative, generative and cgan learn labels of rows",
        "choose one of these, or leave it out; --ignore leaves the column out of what is modeled",
    ),
}
# Of a plan, what only a descent by gradients reads.
OF_DESCENT = ("batch", "ema_decay", "micro", "format", "optim", "schedule_steps")


def refuse_unread_data(
    recipe: str, build: Callable[..., Plan], full: Mapping[str, Any], plan: Plan, said: Mapping[str, Any]
) -> None:
    """Refuse an option of reading data that this recipe does not heed.

    Arguments:
        recipe: its name.
        build: the recipe.
        full: its arguments, the schema among them.
        plan: that they come to.
        said: options of data that are not what they are by default.

    Raises:
        UserError: one of them changes nothing that is learned.
    """
    asked = [name for name in OF_LABELS if name in said]
    if asked and not heeds_labels(build, full):
        why, remedy = OF_LABELS[asked[0]]
        problem = f"has no effect with {recipe}: {why}"
        raise UserError("E-TRN-08", option_name(asked[0]), problem, remedy, found=said[asked[0]])
    model = outline(plan.objective).model if "unlabeled" in said else None
    if isinstance(model, Classifies) and not isinstance(model, HasJoint):
        problem = f"has no effect with {recipe}, which learns from labeled examples alone"
        raise UserError("E-TRN-08", "--unlabeled", problem, "train generative, or leave it out")


def refuse_unread_loop(plan: Plan, changed: Plan, overrides: Mapping[str, Any], schema: Schema) -> None:
    """Refuse what was set of the loop and makes no difference to a training of this objective.

    Arguments:
        plan: of the recipe.
        changed: with all that was set.
        overrides: what was set, by path.
        schema: of the data.

    Raises:
        UserError: one of them changes nothing.
    """
    for path in overrides:
        why = _unread(path, plan, changed, schema)
        if why is not None:
            raise UserError("E-TRN-08", f"--set {path}", f"has no effect: {why}", "leave it out")


def _unread(path: str, plan: Plan, changed: Plan, schema: Schema) -> str | None:
    """Why a value that was set changes nothing; None where it does, or is as it was."""
    name, _, rest = path.partition(".")
    if name == "objective" or replace(plan, **{name: getattr(changed, name)}) == plan:
        return None
    objective: Any = outline(changed.objective)
    if name in OF_DESCENT and is_swept(objective):
        return "this model is fitted to all examples at once, without batches or gradients"
    if name == "patience" and not objective.decides:
        return "no score of a validation decides for this objective which weights are the best"
    if name == "schedule_steps" and changed.span == changed.steps:
        return "the schedules span all steps anyway"
    if name == "class_balance" and not schema.classes:
        return "these data have no classes"
    if (name, rest) == ("optim", "matrices") and not any(isinstance(part, Matrix) for part in objective.modules()):
        return "only the matrices of a Transformer move otherwise"
    return None


def is_swept(objective: Any) -> bool:
    """Whether an objective's players all move by rules of their own."""
    return all(turn.sweep is not None for turn in objective.turns())


def refuse_unread_execution(plan: Plan, execution: Execution, world: int, auto_remedy: bool) -> None:
    """Refuse a way of carrying a training out that makes no difference to it.

    Arguments:
        plan: of the training.
        execution: how it is to be carried out.
        world: processes.
        auto_remedy: whether the run may do something about what the watch finds.

    Raises:
        UserError: one of them changes nothing.
    """
    if execution.sharded and world == 1:
        problem = "is used only with several processes"
        raise UserError("E-TRN-08", "--sharded", problem, "start it under torchrun, or leave it out")
    objective: Any = outline(plan.objective)
    if execution.compile and is_swept(objective):
        problem = "has no effect: this model is fitted without a loss that could be compiled"
        raise UserError("E-TRN-08", "--compile", problem, "leave it out")
    if execution.precision == "bf16" and is_swept(objective):
        problem = "has no effect: this model is fitted in closed form or by EM, in its own precision"
        raise UserError("E-TRN-08", "--precision bf16", problem, "leave it out")
    players: list[Any] = [objective, *(outline(stage.objective) for stage in plan.stages.values())]
    if auto_remedy and all(type(each).counter is Objective.counter for each in players):
        problem = "has no effect: nothing that the watch finds has a safe remedy with this recipe"
        raise UserError("E-TRN-08", "--auto-remedy", problem, "leave it out")
