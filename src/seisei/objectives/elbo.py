"""ELBO (with β, KL warm-up and free bits) and IWAE: lower bounds on the log-likelihood of a VAE.

    ELBO = E_q [log p(x | z)] − KL(q(z | x) ‖ p(z)),        L_K = E log 1/K Σ_k p(x, z_k)/q(z_k | x)

Warm-up and free bits counter posterior collapse, where q(z | x) equals the prior and the decoder ignores z.

References: *Auto-Encoding Variational Bayes (Kingma, Welling, 2013)*; β-VAE: *beta-VAE: Learning Basic Visual Concepts
    with a Constrained Variational Framework (Higgins et al., 2017)*; KL warm-up: *Generating Sentences from a
    Continuous Space (Bowman et al., 2015)*; free bits: *Improving Variational Inference with Inverse Autoregressive
    Flow (Kingma et al., 2016)*; IWAE: *Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2015)*.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.batch import Batch
from seisei.nn.distributions import Normal
from seisei.nn.priors import StandardNormal
from seisei.objectives.base import Loss, Objective
from seisei.objectives.schedules import ramp
from seisei.spec import Range, listed

Beta = Annotated[float, Range(ge=0, le=1000)]
Fraction = Annotated[float, Range(ge=0, le=1)]


@listed
class ELBO(Objective):
    """−E_q [log p(x | z)] + β(t) · KL, with one sample of z.

    Arguments:
        model: has `posterior`, `reconstruction` and `log_prior`.
        beta: weight of the KL term after warm-up.
        warmup: fraction of training over which β rises from 0.
        free_bits: nats per latent dimension below which the KL term (averaged over the batch) costs nothing more.
    """

    def __init__(
        self, model: nn.Module, beta: Beta = 1.0, warmup: Fraction = 0.0, free_bits: Annotated[float, Range(ge=0)] = 0.0
    ):
        super().__init__(model)
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits

    def kl(self, q: Normal, z: Tensor, y: Tensor | None) -> Tensor:
        """KL(q ‖ p): closed form (B, L) for a standard normal prior, else a one-sample estimate (B, 1)."""
        if isinstance(self.model.prior, StandardNormal):
            return q.kl_to_standard()
        difference: Tensor = q.log_prob(z).sum(-1) - self.model.log_prior(z, y)
        return difference.unsqueeze(-1)

    def terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """−log p(x | z) with one sample of z, (B,), and the KL term, (B, L) or (B, 1)."""
        q = self.model.posterior(batch.visible, batch.y, batch.mask)
        z = q.sample()
        return -self.model.reconstruction(batch, z), self.kl(q, z, batch.y)

    def weight(self, t: float) -> float:
        """β at fraction t of training."""
        return self.beta * ramp(t, self.warmup)

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss at fraction t of training; its parts are the reconstruction term, the KL term and the ELBO."""
        each, kl = self.terms(batch)
        reconstruction, mean_kl = each.mean(), kl.sum(-1).mean()
        penalty = mean_kl
        if self.free_bits:
            penalty = kl.mean(0).clamp_min(self.free_bits * self.model.latent / kl.shape[1]).sum()
        total = reconstruction + self.weight(t) * penalty
        parts = {"reconstruction": reconstruction.detach(), "kl": mean_kl.detach()}
        parts["elbo"] = -(parts["reconstruction"] + parts["kl"])
        return Loss(total, parts)


@listed
class IWAE(Objective):
    """−L_K: importance weighting of K samples of z gives a tighter bound than the ELBO.

    Arguments:
        model: has `log_weights`.
        samples: K.
    """

    def __init__(self, model: nn.Module, samples: Annotated[int, Range(ge=1, le=100_000)] = 5) -> None:
        super().__init__(model)
        self.samples = samples

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its parts are the bound and the ELBO (mean of the log-weights)."""
        log_w = self.model.log_weights(batch, self.samples)
        bound = (torch.logsumexp(log_w, 1) - math.log(self.samples)).mean()
        return Loss(-bound, {"bound": bound.detach(), "elbo": log_w.detach().mean()})
