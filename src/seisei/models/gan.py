"""GAN generator: x = G(z, y) with z ~ N(0, 1).

It has no likelihood: it is trained against a discriminator, which is used in training only and not part of the model.

References: *Generative Adversarial Nets (Goodfellow et al., 2014)*, arXiv 1406.2661; conditional GAN: *Conditional
    Generative Adversarial Nets (Mirza, Osindero, 2014)*, arXiv 1411.1784.

Shapes: z (B, L); x as the view defines it; y (B,) class labels, or (B, K) condition weights.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seisei.batch import Batch
from seisei.spec import listed


@listed
class Generator(nn.Module):
    """Latent noise to examples.

    Arguments:
        decoder: (z, y) to features.
        prior: p(z).
        view: features to discriminator input, and that to x.

    Example:
        >>> import torch
        >>> from seisei.nn.mlp import MLPDecoder
        >>> from seisei.nn.priors import StandardNormal
        >>> from seisei.nn.gan.views import ImageView
        >>> model = Generator(MLPDecoder([1, 8, 8], 4), StandardNormal(4), ImageView())
        >>> model.sample(3).shape
        torch.Size([3, 1, 8, 8])
    """

    blends = True

    def __init__(self, decoder: nn.Module, prior: nn.Module, view: nn.Module) -> None:
        super().__init__()
        self.decoder, self.prior = decoder, prior
        self.view: Any = view
        self.latent: int = prior.latent  # type: ignore[assignment]
        self.classes: int = decoder.classes  # type: ignore[assignment]

    def initialize(self, examples: Batch) -> None:
        """Initialize the view from some training examples, if it needs any."""
        if hasattr(self.view, "initialize"):
            self.view.initialize(examples)

    def draw(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n generated examples as discriminator input."""
        z = self.prior.sample(n, None, y, temperature=temperature)  # type: ignore[operator]
        return self.view.made(self.decoder(z.to(next(self.parameters())), y))  # type: ignore[no-any-return]

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n generated examples, from z with standard deviation `temperature`."""
        return self.view.example(self.draw(n, y, temperature=temperature))  # type: ignore[no-any-return]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The examples generated from latents."""
        return self.view.example(self.view.made(self.decoder(z, y)))  # type: ignore[no-any-return]
