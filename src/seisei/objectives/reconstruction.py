"""Reconstruction loss of an autoencoder: −log p(x | z = e(x))."""

from __future__ import annotations

from seisei.batch import Batch, observed
from seisei.objectives.base import Loss, Objective
from seisei.spec import listed


@listed
class Reconstruction(Objective):
    """Negative log-likelihood of x under the decoder, given its own latent.

    Arguments:
        model: has `encode` and `likelihood`.
    """

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its part is the loss itself, in nats per example."""
        z = self.model.encode(batch.visible, batch.y)
        total = -observed(self.model.likelihood(z, batch.y).log_prob(batch.x), batch.mask).mean()
        return Loss(total, {"reconstruction": total.detach()})
