"""A generator: x = G(z, y) with z ~ N(0, 1).

It has no likelihood: it is trained to be taken for the data by a discriminator, which only trains and is not part of
it.

References: *Generative Adversarial Nets (Goodfellow et al., 2014)*, arXiv 1406.2661; with a condition: *Conditional
    Generative Adversarial Nets (Mirza, Osindero, 2014)*, arXiv 1411.1784.

Shapes: z (B, L); x as the view gives it; y (B,) class numbers, or (B, K) weights of conditions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seisei.batch import Batch
from seisei.spec import listed


@listed
class Generator(nn.Module):
    """Noise to examples.

    Arguments:
        decoder: (z, y) to features.
        prior: p(z).
        view: features to what a discriminator sees, and that to x.

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
        """Look at some training examples before the first step, where the view wants to."""
        if hasattr(self.view, "initialize"):
            self.view.initialize(examples)

    def draw(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n examples as a discriminator sees them."""
        z = self.prior.sample(n, None, y, temperature=temperature)  # type: ignore[operator]
        return self.view.made(self.decoder(z.to(next(self.parameters())), y))  # type: ignore[no-any-return]

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n examples, of z whose deviation from 0 is scaled by the temperature."""
        return self.view.example(self.draw(n, y, temperature=temperature))  # type: ignore[no-any-return]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The example of each latent."""
        return self.view.example(self.view.made(self.decoder(z, y)))  # type: ignore[no-any-return]
