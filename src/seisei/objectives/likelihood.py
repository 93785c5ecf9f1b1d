"""The likelihood of labels, and of examples with their labels; by gradients, or by sweeps over all examples."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.nn.masking import hide
from seisei.objectives.base import FitResult, Loss, Objective, Turn
from seisei.objectives.elbo import ELBO
from seisei.spec import Range, listed

# How many examples a sweep's loss is measured on, where the sweep does not give it.
MEASURED = 2048


def label_loss(model: nn.Module, batch: Batch) -> Loss:
    """−log p(x, y) where the model has it, else −log p(y | x), else the share of wrong labels, of rows that have one.

    Its parts are the accuracy, and the loss of the labels alone where there is one.
    """
    assert batch.y is not None
    known = batch.y >= 0
    if not bool(known.all()):
        batch = batch.map(lambda tensor: tensor[known])
    y: Tensor = batch.y  # type: ignore[assignment]
    of: object = model
    if not hasattr(of, "log_posterior"):
        right = (of.decide(batch) == y).double().mean()  # type: ignore[attr-defined]
        return Loss(1 - right, {"accuracy": right})
    joint = hasattr(of, "log_joint")
    scores: Tensor = of.log_joint(batch) if joint else of.log_posterior(batch)  # type: ignore[attr-defined]
    total = -scores.gather(1, y.unsqueeze(1)).mean()
    right = (scores.detach().argmax(1) == y).to(total.dtype).mean()
    parts = {"accuracy": right}
    if joint:
        parts["label_loss"] = -scores.detach().log_softmax(1).gather(1, y.unsqueeze(1)).mean()
    return Loss(total, parts)


@listed
class MaximumLikelihood(Objective):
    """−E log p(y | x), by gradients.

    Arguments:
        model: gives `log_posterior`.
    """

    def loss(self, batch: Batch, t: float) -> Loss:
        """The cross-entropy of the labels; its part is the accuracy."""
        return label_loss(self.model, batch)


@listed
class Fitting(Objective):
    """What a model that is fitted without gradients learns with: each step is one of its sweeps over all examples.

    Arguments:
        model: gives `sweep`, and says how likely labels or examples are.
    """

    def loss(self, batch: Batch, t: float) -> Loss:
        """How well it fits a batch; nothing descends it."""
        return label_loss(self.model, batch)

    def turns(self) -> list[Turn]:
        """One, a sweep."""
        return [Turn("model", self.model, self.loss, sweep=self._sweep)]

    def _sweep(self, examples: Examples) -> FitResult:
        found = self.model.sweep(examples)
        if found is not None:
            return FitResult(-found, {})
        measured = self.loss(next(iter(examples())).map(lambda tensor: tensor[:MEASURED]), 1.0)
        return FitResult(measured.total, {}, closed=True)


@listed
class JointBound(Objective):
    """−ELBO of log p(x | y), and p(y) by counting: a class-conditional VAE as a density.

    An example without a label counts with the bound on log p(x) = log Σ_y p(x | y) p(y): it belongs to every class with
    its posterior probability, and costs a pass for each class. Free bits are for examples with one.

    Arguments:
        model: a generative classifier, with `moved`, whose density gives `posterior`, `reconstruction`, `log_prior`.
        beta: see `ELBO`.
        warmup: see `ELBO`.
        free_bits: see `ELBO`.
        mask_prob: share of the examples of which a part is hidden, see `seisei.nn.masking.hide`.
    """

    def __init__(
        self,
        model: nn.Module,
        beta: Annotated[float, Range(ge=0, le=1000)] = 1.0,
        warmup: Annotated[float, Range(ge=0, le=1)] = 0.0,
        free_bits: Annotated[float, Range(ge=0)] = 0.0,
        mask_prob: Annotated[float, Range(ge=0, le=1)] = 0.0,
    ) -> None:
        super().__init__(model)
        self.mask_prob = mask_prob
        # Not a part of this module: the density is the model's, and would be saved twice.
        self._bound = (ELBO(model.density, beta, warmup, free_bits),)  # type: ignore[arg-type]

    def loss(self, batch: Batch, t: float) -> Loss:
        """The bound's loss, given the label, or over all labels."""
        # One place of each image for all of them: with it drawn by chance this bounds their sum (Jensen).
        batch = hide(self.model.moved(batch), self.mask_prob)
        bound, y = self._bound[0], batch.y
        assert y is not None
        known = y >= 0
        if bool(known.all()):
            return bound.loss(batch, t)
        each = []
        for c in range(self.model.classes):
            reconstruction, kl = bound.terms(Batch(batch.x, torch.full_like(y, c), batch.mask))
            each.append(reconstruction + bound.weight(t) * kl.sum(-1) - self.model.log_prior[c].to(kl))
        cost = torch.stack(each, 1)
        own = cost.gather(1, y.clamp_min(0).unsqueeze(1)).squeeze(1)
        total = torch.where(known, own, -torch.logsumexp(-cost, 1)).mean()
        return Loss(total, {"joint": total.detach()})

    def turns(self) -> list[Turn]:
        """Counting the classes once, and the density at every step."""
        return [
            Turn("prior", nn.Identity(), self.loss, every=10**12, sweep=self._count),
            Turn("model", self.model, self.loss),
        ]

    def _count(self, examples: Examples) -> FitResult:
        self.model.count(examples)
        entropy = -(self.model.log_prior.exp() * self.model.log_prior).sum()
        return FitResult(entropy, {}, closed=True)
