"""A training that nobody watches, of a model that is a means to something else, such as a point of a learning curve."""

from __future__ import annotations

from torch import Tensor, nn

from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.progress import tick
from seisei.training.engine import Device, Engine, Execution
from seisei.training.loop import Training
from seisei.training.plan import Plan


def trained(plan: Plan, data: Dataset, rows: Tensor, seed: int = 0, device: Device = "cpu") -> nn.Module | None:
    """The model of a plan that was carried out with these rows only; None where its weights are not finite.

    Arguments:
        plan: what to do; its batch is cut to the rows there are.
        data: what the rows are of.
        rows: numbers of examples.
        seed: of everything random.
        device: where it is trained, in float32 everywhere; by this process alone, whoever else takes part in a run.
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
