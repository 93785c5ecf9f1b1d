"""A training that nobody watches, of a model that is a means to something else, such as a point of a learning curve."""

from __future__ import annotations

from torch import Tensor, nn

from seisei.data.examples import Dataset
from seisei.data.loader import Loader, Order
from seisei.training.engine import Engine, Execution
from seisei.training.loop import Training
from seisei.training.plan import Plan


def trained(plan: Plan, data: Dataset, rows: Tensor, seed: int = 0) -> nn.Module | None:
    """The model of a plan that was carried out with these rows only; None where its weights are not finite.

    Arguments:
        plan: what to do; its batch is cut to the rows there are.
        data: what the rows are of.
        rows: numbers of examples.
        seed: of everything random.
    """
    plan = plan.override("batch", min(plan.batch, len(rows)))
    with Engine(Execution(device="cpu")) as engine, Loader(data, Order(rows, batch=plan.batch, seed=seed)) as loader:
        training = Training(plan, loader, engine, seed)
        while not training.done:
            training.advance()
        shown = training.shown()
    return None if shown is None else shown.model.eval()
