"""Classification and likelihood."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.capabilities import HasJoint, HasPosterior
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.metrics.classification import Predictions
from seisei.metrics.likelihood import Likelihood, bits_per_dimension, likelihoods, per_example_noise
from seisei.models.classifier import likeliest
from seisei.pipeline.artifact import BATCH, Artifact


class Inference(Artifact):
    """The operations predict and score."""

    @torch.no_grad()
    def predict(self, data: Dataset, *, seed: int = 0, keep: Tensor | None = None) -> Predictions:
        """Predict the class of every example, with class probabilities if the model has them.

        Arguments:
            data: examples to classify.
            seed: seed of the noise, for models with a stochastic likelihood bound.
            keep: mask of the observed values, broadcastable to x; others count as missing.

        Raises:
            UserError: the model does not classify.
        """
        model = self.need("predict")
        probabilistic = isinstance(model, HasPosterior)
        labels, posterior = [], []
        for number, batch in enumerate(self.batches(data)):
            if keep is not None:
                observed = keep[number * BATCH : number * BATCH + len(batch)]
                batch = Batch(batch.x, batch.y, observed if batch.mask is None else observed & batch.mask)
            with per_example_noise(batch, seed):
                if probabilistic:
                    posterior.append(model.log_posterior(batch).double())
                    labels.append(likeliest(posterior[-1]))
                else:
                    labels.append(model.decide(batch))
        return Predictions(
            self.schema.classes,
            torch.cat(labels).numpy(),
            torch.cat(posterior).numpy() if probabilistic else None,
            None if data.y is None else data.y.numpy(),
        )

    @torch.no_grad()
    def score(self, data: Dataset, *, samples: int = 100, seed: int = 0) -> Likelihood:
        """The log-likelihood of every example, or a lower bound, as `Likelihood.bound` says.

        Raises:
            UserError: the model has no likelihood, or the number of importance samples is out of range.
        """
        model = self.need("score")
        if not 1 <= samples <= 1_000_000:
            raise UserError(
                "E-SCO-20",
                "--importance-samples",
                f"{samples} is out of range, wanted 1 to 1000000",
                "choose a number in the range",
            )
        seeds.check(seed, "E-SCO-20")
        bound = bool(model.log_prob_is_bound)
        # The bound from discrete codes is deterministic: it uses no importance samples.
        samples = 0 if getattr(model, "by_codes", False) else samples
        if isinstance(model, HasJoint):
            return self._joint(model, data, samples, seed, bound)
        batches = (Batch(b.x, self._condition(b), b.mask) for b in self.batches(data, 64))
        values = likelihoods(model, batches, samples=samples, seed=seed)
        end: Any = self.schema.x
        measure = end.measure(data.x)
        if measure.log_volume is not None:
            values = values - measure.log_volume.numpy()
        levels = measure.counts is not None and (bound or getattr(model, "of_levels", False))
        bits = bits_per_dimension(values, measure.counts.numpy()) if levels else None
        return Likelihood(values, bits, samples, bound, units=measure.units, per=measure.per)

    def _joint(self, model: HasJoint, data: Dataset, samples: int, seed: int, bound: bool) -> Likelihood:
        """log p(x), and log p(x, y) for the labels of the examples."""
        parts = []
        for batch in self.batches(data):
            with per_example_noise(batch, seed):
                parts.append(model.log_joint(batch, samples=samples).double())
        each = torch.cat(parts)
        joint = None
        if data.y is not None and bool((data.y >= 0).any()):
            own = each.gather(1, data.y.clamp_min(0).unsqueeze(1)).squeeze(1)
            joint = torch.where(data.y >= 0, own, torch.nan)
        nats = torch.logsumexp(each, 1)
        end: Any = self.schema.x
        measure = end.measure(data.x)
        if measure.log_volume is not None:
            nats, joint = nats - measure.log_volume, None if joint is None else joint - measure.log_volume
        levels = measure.counts is not None and (bound or getattr(model, "of_levels", False))
        bits = bits_per_dimension(nats.numpy(), measure.counts.numpy()) if levels else None
        return Likelihood(nats.numpy(), bits, samples, bound, None if joint is None else joint.numpy(), measure.units)
