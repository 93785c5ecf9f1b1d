"""Maximum likelihood of codes: −log p(codes(x) | y), in nats per example."""

from __future__ import annotations

from typing import Annotated, Any

from torch import nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.objectives.base import FitResult, Loss, Objective, Turn
from seisei.spec import Range, listed


@listed
class CodeLikelihood(Objective):
    """Maximum likelihood of a frozen codec's codes.

    Arguments:
        model: has `codes`, `log_codes` and `network`, or has a `density` that does, and counts classes.
        cond_dropout: condition dropout: share of training examples without their condition, for unconditional sampling
            and classifier-free guidance.
    """

    def __init__(self, model: nn.Module, cond_dropout: Annotated[float, Range(ge=0, le=1)] = 0.1) -> None:
        super().__init__(model)
        self.cond_dropout = cond_dropout
        # Hidden from the module tree: it belongs to the model, and would be saved twice.
        density: Any = getattr(model, "density", model)
        self._density = (density,)

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its part is the mean per code."""
        density, keep = self._density[0], None
        codes = density.codes(batch.x)
        if self.cond_dropout and density.classes and self.training:
            keep = seeds.uniform(len(batch), device=codes.device) >= self.cond_dropout
        total = -density.log_codes(codes, batch.y, keep).sum(1).mean()
        return Loss(total, {"nats a code": total.detach() / density.counted(codes).sum(1).float().mean()})

    def turns(self) -> list[Turn]:
        """The Transformer at every step; before that the class frequencies are counted, for a classifier."""
        learning = Turn("model", self._density[0].network, self.loss)
        if not hasattr(self.model, "count"):
            return [learning]
        return [Turn("prior", nn.Identity(), self.loss, every=10**12, sweep=self._count), learning]

    def _count(self, examples: Examples) -> FitResult:
        self.model.count(examples)
        entropy = -(self.model.log_prior.exp() * self.model.log_prior).sum()
        return FitResult(entropy, {}, closed=True)
