"""Priors over a latent vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import LOG_2PI, Normal
from seisei.nn.mlp import Shape
from seisei.spec import Range, listed

Latent = Annotated[int, Range(ge=1, le=65536)]
Posterior = Callable[[Tensor, Tensor | None], Normal]
LogDensity = Callable[[Tensor], Tensor]


@listed
class StandardNormal(nn.Module):
    """p(z) = N(0, I).

    Arguments:
        latent: the size of z.
    """

    def __init__(self, latent: Latent) -> None:
        super().__init__()
        self.latent = latent

    def given(self, posterior: Posterior, y: Tensor | None = None) -> LogDensity:
        """log p(z) as a function: (B, ..., L) to (B, ...)."""
        return lambda z: -0.5 * (z.square().sum(-1) + self.latent * LOG_2PI)

    def sample(self, n: int, posterior: Posterior, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n draws, (n, L), their deviation from 0 scaled by the temperature."""
        return seeds.normal(n, self.latent) * temperature


@listed
class VampPrior(nn.Module):
    """p(z) = 1/K Σ_k q(z | u_k): the encoder's own answer to K learned pseudo-inputs u_k.

    Reference: *VAE with a VampPrior (Tomczak, Welling, 2018)*, arXiv 1705.07120. With a condition the mixture is p(z |
        y), the
    pseudo-inputs shared by all y.

    Arguments:
        latent: the size of z.
        shape: of one x.
        components: K.
    """

    def __init__(self, latent: Latent, shape: Shape, components: Annotated[int, Range(ge=1, le=65536)] = 500) -> None:
        super().__init__()
        self.latent, self.components = latent, components
        # Kept in [0, 1] by a clamp, as in the paper: an image, though nobody's. `start_from` replaces the noise by
        # real ones.
        self.pseudo_inputs = nn.Parameter(torch.rand(components, *shape) * 0.1 + 0.45)
        self.pseudo_inputs.decays = False  # type: ignore[attr-defined]  # an image is not pulled towards black

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Start near real examples (N, *shape); with fewer than K of them, each serves several times.

        A little inside of [0, 1]: at the edge of the clamp a value would stop moving at its first step outwards.
        """
        picks = torch.arange(self.components) % len(x)
        self.pseudo_inputs.copy_(0.05 + 0.9 * x[picks.to(x.device)])

    def _mixture(self, posterior: Posterior, y: Tensor | None) -> Normal:
        u = self.pseudo_inputs.clamp(0, 1)
        return posterior(u, None if y is None else y.expand(self.components))

    def given(self, posterior: Posterior, y: Tensor | None = None) -> LogDensity:
        """log p(z | y) as a function: (B, ..., L) to (B, ...). The pseudo-inputs are encoded here, once."""
        if y is None:
            mixture = self._mixture(posterior, None)
            return lambda z: self._log_mixture(z.reshape(len(z), -1, self.latent), mixture).reshape(z.shape[:-1])
        mixtures = [(y == value, self._mixture(posterior, value)) for value in y.unique()]  # type: ignore[no-untyped-call]

        def log_density(z: Tensor) -> Tensor:
            flat = z.reshape(len(z), -1, self.latent)
            out = flat.new_empty(flat.shape[:-1])
            for here, parts in mixtures:
                out[here] = self._log_mixture(flat[here], parts)
            return out.reshape(z.shape[:-1])

        return log_density

    def _log_mixture(self, z: Tensor, parts: Normal) -> Tensor:
        """log 1/K Σ N(z; μ_k, σ_k²) for (B, S, L): two products instead of a (B, S, K, L) tensor."""
        # A square is a difference of large numbers where σ is small: in float32 it is off by 0.2 nats at σ = 0.007 and
        # by 100 at the smallest σ, upwards too, and the bound would be none. Apple's GPU has no float64.
        wide = z.dtype if z.device.type == "mps" else torch.float64
        x, mean, log_std = z.to(wide), parts.mean.to(wide), parts.log_std.to(wide)
        precision = torch.exp(-2 * log_std)
        quadratic = x.square() @ precision.T - 2 * (x @ (mean * precision).T)
        constant = (mean.square() * precision).sum(-1) + 2 * log_std.sum(-1) + self.latent * LOG_2PI
        # What is left needs no more digits than z has, and half the time for its exponentials.
        return torch.logsumexp((-0.5 * (quadratic + constant)).to(z.dtype), -1) - math.log(self.components)

    def sample(self, n: int, posterior: Posterior, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n draws, (n, L), their deviation from the component's center scaled by the temperature."""
        device = self.pseudo_inputs.device
        chosen = (seeds.uniform(n) * self.components).long().clamp_max(self.components - 1).to(device)
        part = posterior(self.pseudo_inputs.clamp(0, 1)[chosen], y)
        return Normal(part.mean, part.log_std + math.log(temperature)).sample()
