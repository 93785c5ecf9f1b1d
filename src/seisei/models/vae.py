"""Autoencoder and variational autoencoder (VAE), with conditional form and importance-weighted bound.

    q(z | x, y) = N(μ(x, y), σ²(x, y)),   p(x, z | y) = p(z) p(x | z, y),
    log p(x | y) ≥ E_q [log p(x | z, y)] − KL(q(z | x, y) ‖ p(z))

References: *Auto-Encoding Variational Bayes (Kingma, Welling, 2013)*, arXiv 1312.6114; conditional VAE: *Learning
    Structured Output Representation using Deep Conditional Generative Models (Sohn, Lee, Yan, 2015)*; K-sample bound:
    *Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2015)*, arXiv 1509.00519.

Shapes: x (B, C, H, W) in [0, 1]; y (B,) class labels; z (B, L).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seisei.batch import Batch, observed
from seisei.nn.distributions import Distribution, Normal, precise
from seisei.nn.priors import LogDensity, VampPrior
from seisei.spec import listed

# Early in training the encoder can output any log σ; values beyond ±8 only risk overflow.
SMALLEST_LOG_STD, LARGEST_LOG_STD = -8.0, 8.0
# Latent samples per example generated at once.
SAMPLES_AT_ONCE = 256


@listed
class Autoencoder(nn.Module):
    """z = e(x), x ≈ d(z): deterministic latents without a distribution over them.

    Arguments:
        encoder: (x, y) to (B, L).
        decoder: (z, y) to the head's features.
        head: features to p(x | z).
    """

    blends = True

    def __init__(self, encoder: nn.Module, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head = encoder, decoder, head

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        """p(x | z), of shape (B, C, H, W)."""
        return self.head(self.decoder(z, y))  # type: ignore[no-any-return]

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The latent, (B, L)."""
        return self.encoder(x, y)  # type: ignore[no-any-return]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x | z), (B, C, H, W)."""
        return self.likelihood(z, y).mean


@listed
class VAE(nn.Module):
    """A latent-variable model with an amortized Gaussian posterior.

    Arguments:
        encoder: (x, y) to (B, 2L): μ and log σ of q(z | x, y).
        decoder: (z, y) to the head's features.
        head: features to p(x | z, y).
        prior: p(z).
        reader: encoder input of a batch with missing values; None passes x, with zeros where missing.

    Example:
        >>> import torch
        >>> from seisei.nn.heads import BernoulliHead
        >>> from seisei.nn.mlp import MLPDecoder, MLPEncoder
        >>> from seisei.nn.priors import StandardNormal
        >>> model = VAE(MLPEncoder([1, 8, 8], 8), MLPDecoder([1, 8, 8], 4), BernoulliHead(), StandardNormal(4))
        >>> model.sample(3).shape, model.log_prob(Batch(torch.zeros(5, 1, 8, 8)), samples=10).shape
        (torch.Size([3, 1, 8, 8]), torch.Size([5]))
    """

    log_prob_is_bound = True
    blends = True

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        head: nn.Module,
        prior: nn.Module,
        reader: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head, self.prior = encoder, decoder, head, prior
        self.reader = reader
        self.latent: int = prior.latent  # type: ignore[assignment]
        self.classes: int = decoder.classes  # type: ignore[assignment]

    def initialize(self, examples: Batch) -> None:
        """Initialize from training examples: VampPrior pseudo-inputs start at real images."""
        if isinstance(self.prior, VampPrior):
            self.prior.start_from(examples.x)

    def posterior(self, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None) -> Normal:
        """q(z | x, y) given the observed part of x."""
        read = x if self.reader is None else self.reader(Batch(x, y, mask))
        mean, log_std = precise(self.encoder(read, y)).chunk(2, -1)
        return Normal(mean, log_std.clamp(SMALLEST_LOG_STD, LARGEST_LOG_STD))

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        """p(x | z, y), of shape (*z.shape[:-1], C, H, W); y is repeated for z of shape (B, K, L)."""
        if z.dim() == 2:
            return self.head(self.decoder(z, y))  # type: ignore[no-any-return]
        batch, count = z.shape[:2]
        y = None if y is None else y.repeat_interleave(count, 0)
        return self.head(self.decoder(z.flatten(0, 1), y).unflatten(0, (batch, count)))  # type: ignore[no-any-return]

    def prior_given(self, y: Tensor | None = None) -> LogDensity:
        """log p(z | y) as a function of z, summed over the latent: (B, ..., L) to (B, ...)."""
        # A model without classes ignores labels: one mixture, not one per label.
        return self.prior.given(self.posterior, y if self.classes else None)  # type: ignore[no-any-return, operator]

    def log_prior(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(z | y), summed over the latent: (B, ..., L) to (B, ...)."""
        return self.prior_given(y)(z)

    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """log w_k = log p(x, z_k | y) − log q(z_k | x, y) with z_k ~ q: (B, K)."""
        q = self.posterior(batch.visible, batch.y, batch.mask)
        return self._log_weights(batch, q.draws(samples), q, self.prior_given(batch.y))

    def _log_weights(self, batch: Batch, z: Tensor, q: Normal, log_prior: LogDensity) -> Tensor:
        log_p = self.likelihood(z, batch.y).log_prob(batch.x.unsqueeze(1))
        if batch.mask is not None:
            log_p = log_p.where(batch.mask.expand_as(batch.x).unsqueeze(1), log_p.new_zeros(()))
        log_q = Normal(q.mean.unsqueeze(1), q.log_std.unsqueeze(1)).log_prob(z).sum(-1)
        return log_p.flatten(2).sum(-1) + log_prior(z) - log_q

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 100) -> Tensor:
        """The importance-weighted lower bound (IWAE) log 1/K Σ_k w_k ≤ log p(x | y), in nats, (B,).

        It approaches the log-likelihood as K grows. Memory is bounded: at most about 2,000 decoded images at a time.
        """
        q, log_prior = self.posterior(batch.visible, batch.y, batch.mask), self.prior_given(batch.y)
        at_once = max(1, min(samples, 2000 // max(1, len(batch))))
        total: Tensor | None = None
        for start in range(0, samples, SAMPLES_AT_ONCE):
            # Sampled in chunks whose size does not depend on the batch: each example's noise is then its own.
            for z in torch.split(q.draws(min(SAMPLES_AT_ONCE, samples - start)), at_once, 1):
                part = torch.logsumexp(self._log_weights(batch, z, q, log_prior), 1)
                total = part if total is None else torch.logaddexp(total, part)
        assert total is not None
        return total - math.log(samples)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n examples: z from the prior at this temperature, then the mean of p(x | z, y), or a sample for rows."""
        z = self.prior.sample(n, self.posterior, y, temperature=temperature)  # type: ignore[operator]
        likelihood = self.likelihood(z.to(next(self.parameters()).device), y)
        return likelihood.sample() if getattr(self.head, "drawn", False) else likelihood.mean

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of q(z | x, y), (B, L)."""
        return self.posterior(x, y).mean

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x | z, y), (B, C, H, W)."""
        return self.likelihood(z, y).mean

    def reconstruction(self, batch: Batch, z: Tensor) -> Tensor:
        """log p(x | z, y) of the observed values, (B,)."""
        return observed(self.likelihood(z, batch.y).log_prob(batch.x), batch.mask)
