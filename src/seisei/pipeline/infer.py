"""Classification and likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.capabilities import HasJoint, HasPosterior
from seisei.data.read import Dataset
from seisei.errors import UserError
from seisei.metrics.classification import Predictions
from seisei.metrics.likelihood import Likelihood, bits_per_dimension, likelihoods, per_example_noise
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Table
from seisei.modalities.text import Text
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
        assert isinstance(self.schema.y, Label)
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
            self.schema.y.names,
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
        if isinstance(self.schema.x, Text):
            # The end symbol counts like a byte; a truncated text has none.
            lengths = (data.x != self.schema.x.end).sum(1) + (data.x == self.schema.x.end).any(1)
            return Likelihood(values, bits_per_dimension(values, lengths.numpy()), samples, bound, per="byte")
        return Likelihood(values, bits_per_dimension(values, self.image.values), samples, bound)

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
        if isinstance(self.schema.x, Table):
            # The model sees standardized numbers: convert the density to the units of the data.
            nats, joint = nats - self._log_scales(data), None if joint is None else joint - self._log_scales(data)
        stored = (bound or getattr(model, "of_levels", False)) and isinstance(self.schema.x, Image)
        bits = bits_per_dimension(nats.numpy(), self.image.values) if stored else None
        units = "the data's own units" if isinstance(self.schema.x, Table) else "values from 0 to 1"
        return Likelihood(nats.numpy(), bits, samples, bound, None if joint is None else joint.numpy(), units)

    def _log_scales(self, data: Dataset) -> Tensor:
        """Sum of the log scales of the observed numbers of each row, (N,)."""
        assert isinstance(self.schema.x, Table)
        scales = [c.scale if c.kind in ("number", "date") else 1.0 for c in self.schema.x.columns]
        return self.schema.x.observed(data.x).double() @ torch.tensor(scales, dtype=torch.float64).log()
