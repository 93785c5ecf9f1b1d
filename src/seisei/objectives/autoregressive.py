"""The likelihood of codes: −log p(codes(x) | y), in nats an example."""

from __future__ import annotations

from typing import Annotated, Any

from torch import nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.objectives.base import FitResult, Loss, Objective, Turn
from seisei.spec import Range, listed


@listed
class CodeLikelihood(Objective):
    """Maximum likelihood of the codes of a codec that does not learn.

    Arguments:
        model: gives `codes`, `log_codes` and `network`, or has a `density` that does, and counts classes.
        cond_dropout: share of training examples that are not told their condition, so that one can be left out, or
        weighed,
            in drawing.
    """

    def __init__(self, model: nn.Module, cond_dropout: Annotated[float, Range(ge=0, le=1)] = 0.1) -> None:
        super().__init__(model)
        self.cond_dropout = cond_dropout
        # Not a part of this module: it is the model's, and would be saved twice.
        density: Any = getattr(model, "density", model)
        self._density = (density,)

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its part is the mean of one code."""
        density, told = self._density[0], None
        codes = density.codes(batch.x)
        if self.cond_dropout and density.classes and self.training:
            told = seeds.uniform(len(batch), device=codes.device) >= self.cond_dropout
        total = -density.log_codes(codes, batch.y, told).sum(1).mean()
        return Loss(total, {"nats a code": total.detach() / density.counted(codes).sum(1).float().mean()})

    def turns(self) -> list[Turn]:
        """What is said of codes, at every step; before that the classes are counted, where they are to be told."""
        learning = Turn("model", self._density[0].network, self.loss)
        if not hasattr(self.model, "count"):
            return [learning]
        return [Turn("prior", nn.Identity(), self.loss, every=10**12, sweep=self._count), learning]

    def _count(self, examples: Examples) -> FitResult:
        self.model.count(examples)
        entropy = -(self.model.log_prior.exp() * self.model.log_prior).sum()
        return FitResult(entropy, {}, closed=True)
