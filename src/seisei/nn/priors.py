"""Priors over a latent vector: standard normal and VampPrior."""

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
        latent: size of z.
    """

    def __init__(self, latent: Latent) -> None:
        super().__init__()
        self.latent = latent

    def given(self, posterior: Posterior, y: Tensor | None = None) -> LogDensity:
        """log p(z) as a function: (B, ..., L) to (B, ...)."""
        return lambda z: -0.5 * (z.square().sum(-1) + self.latent * LOG_2PI)

    def sample(self, n: int, posterior: Posterior, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n samples, (n, L), with standard deviation `temperature`."""
        return seeds.normal(n, self.latent) * temperature


@listed
class VampPrior(nn.Module):
    """p(z) = 1/K Σ_k q(z | u_k): the mixture of the encoder's posteriors at K learned pseudo-inputs u_k.

    Reference: *VAE with a VampPrior (Tomczak, Welling, 2018)*, arXiv 1705.07120. With a condition the mixture is p(z |
        y), with pseudo-inputs shared by all y.

    Arguments:
        latent: size of z.
        shape: shape of one x.
        components: K.
    """

    def __init__(self, latent: Latent, shape: Shape, components: Annotated[int, Range(ge=1, le=65536)] = 500) -> None:
        super().__init__()
        self.latent, self.components = latent, components
        # Clamped to [0, 1], as in the paper. `start_from` replaces the noise by training examples.
        self.pseudo_inputs = nn.Parameter(torch.rand(components, *shape) * 0.1 + 0.45)
        self.pseudo_inputs.decays = False  # type: ignore[attr-defined]  # no weight decay: it would pull images toward black

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Initialize from training examples (N, *shape), repeated if there are fewer than K.

        They are shrunk slightly into [0, 1]: at the edge of the clamp the first step outward would stop the gradient.
        """
        picks = torch.arange(self.components) % len(x)
        self.pseudo_inputs.copy_(0.05 + 0.9 * x[picks.to(x.device)])

    def _mixture(self, posterior: Posterior, y: Tensor | None) -> Normal:
        u = self.pseudo_inputs.clamp(0, 1)
        return posterior(u, None if y is None else y.expand(self.components))

    def given(self, posterior: Posterior, y: Tensor | None = None) -> LogDensity:
        """log p(z | y) as a function: (B, ..., L) to (B, ...). The pseudo-inputs are encoded once, here."""
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
        """log 1/K Σ N(z; μ_k, σ_k²) for (B, S, L): two matrix products instead of a (B, S, K, L) tensor."""
        # The expanded square is a difference of large numbers if σ is small: in float32 it is off by 0.2 nats at σ =
        # 0.007 and by 100 at the smallest σ, in either direction, and the bound would be invalid. Apple GPUs have no
        # float64.
        wide = z.dtype if z.device.type == "mps" else torch.float64
        x, mean, log_std = z.to(wide), parts.mean.to(wide), parts.log_std.to(wide)
        precision = torch.exp(-2 * log_std)
        quadratic = x.square() @ precision.T - 2 * (x @ (mean * precision).T)
        constant = (mean.square() * precision).sum(-1) + 2 * log_std.sum(-1) + self.latent * LOG_2PI
        # The result needs no more precision than z has, and exponentials take half the time.
        return torch.logsumexp((-0.5 * (quadratic + constant)).to(z.dtype), -1) - math.log(self.components)

    def sample(self, n: int, posterior: Posterior, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n samples, (n, L), the deviation from the component's mean scaled by the temperature."""
        device = self.pseudo_inputs.device
        chosen = (seeds.uniform(n) * self.components).long().clamp_max(self.components - 1).to(device)
        part = posterior(self.pseudo_inputs.clamp(0, 1)[chosen], y)
        return Normal(part.mean, part.log_std + math.log(temperature)).sample()
