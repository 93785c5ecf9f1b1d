"""Training without logging or checkpoints, for auxiliary models such as a point of a learning curve."""

from __future__ import annotations

from torch import Tensor, nn

from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.progress import tick
from seisei.training.engine import Device, Engine, Execution
from seisei.training.loop import Training
from seisei.training.plan import Plan


def trained(plan: Plan, data: Dataset, rows: Tensor, seed: int = 0, device: Device = "cpu") -> nn.Module | None:
    """The model of a plan trained on these rows only; None if its weights are not finite.

    Arguments:
        plan: the training plan; its batch size is capped at the number of rows.
        data: the data set.
        rows: indices of the training examples.
        seed: random seed.
        device: training device; always float32, and in this process only.
    """
    plan = plan.override("batch", min(plan.batch, len(rows)))
    order, execution = Order(rows, batch=plan.batch, seed=seed), Execution(device=device, precision="fp32")
    with Engine(execution, alone=True) as engine, Loader(data, order) as loader:
        training = Training(plan, loader, engine, seed)
        while not training.done:
            training.advance()
            tick(training.step, plan.steps)
        shown = training.shown()
    return None if shown is None else shown.model.eval()
