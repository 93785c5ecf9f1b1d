"""Maximum likelihood of labels, or of examples and labels; by gradient descent, EM or closed-form fit."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.nn.masking import random_mask
from seisei.objectives.base import FitResult, Loss, Objective, Turn
from seisei.objectives.elbo import ELBO
from seisei.spec import Range, listed

# Examples used to measure the loss of an EM step that does not return it.
MEASURED = 2048


def label_loss(model: nn.Module, batch: Batch) -> Loss:
    """Loss of a classifier on the labeled rows.

    −log p(x, y) if the model has it, else −log p(y | x), else the error rate. Its parts are the accuracy, and the loss
    of the labels alone for a joint model.
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
    """−E log p(y | x), by gradient descent.

    Arguments:
        model: has `log_posterior`.
    """

    def loss(self, batch: Batch, t: float) -> Loss:
        """The cross-entropy of the labels; its part is the accuracy."""
        return label_loss(self.model, batch)


@listed
class Fitting(Objective):
    """Fits a model without gradients: each step is an EM step or closed-form fit over all examples.

    Arguments:
        model: has `sweep`, and a likelihood of labels or examples.
    """

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss of a batch, for reporting only; −log p(x) of a model that knows no classes."""
        if not hasattr(self.model, "decide"):
            return Loss(-self.model.log_prob(batch).mean(), {})
        return label_loss(self.model, batch)

    def turns(self) -> list[Turn]:
        """One turn, an EM step."""
        return [Turn("model", self.model, self.loss, sweep=self._sweep)]

    def _sweep(self, examples: Examples) -> FitResult:
        found = self.model.sweep(examples)
        if found is not None:
            return FitResult(-found, {})
        measured = self.loss(next(iter(examples())).map(lambda tensor: tensor[:MEASURED]), 1.0)
        return FitResult(measured.total, {}, closed=True)


@listed
class JointBound(Objective):
    """−ELBO of log p(x | y), and p(y) by counting: a class-conditional VAE as a generative classifier.

    An unlabeled example uses the bound on log p(x) = log Σ_y p(x | y) p(y): it belongs to every class with its
    posterior probability, and costs one pass per class. Free bits apply to labeled examples only.

    Arguments:
        model: generative classifier, with `moved`, whose density has `posterior`, `reconstruction`, `log_prior`.
        beta: weight of the KL term, see `ELBO`.
        warmup: KL warm-up, see `ELBO`.
        free_bits: see `ELBO`.
        mask_prob: masking probability of an example, see `seisei.nn.masking.random_mask`.
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
        # Hidden from the module tree: the density belongs to the model, and would be saved twice.
        self._bound = (ELBO(model.density, beta, warmup, free_bits),)  # type: ignore[arg-type]

    def loss(self, batch: Batch, t: float) -> Loss:
        """The bound given the label, or over all labels."""
        # One random translation per image for all classes: the result bounds the marginal over translations (Jensen).
        batch = random_mask(self.model.moved(batch), self.mask_prob)
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
        """Class counts once, the density at every step."""
        return [
            Turn("prior", nn.Identity(), self.loss, every=10**12, sweep=self._count),
            Turn("model", self.model, self.loss),
        ]

    def _count(self, examples: Examples) -> FitResult:
        self.model.count(examples)
        entropy = -(self.model.log_prior.exp() * self.model.log_prior).sum()
        return FitResult(entropy, {}, closed=True)
