"""The peer of `speed_gan.py`: a DCGAN in plain PyTorch, as it is usually written.

    x = tanh G(z), z ~ N(0, 1) of 100 numbers; D(x) = sigmoid of a number; 64×64 images in color, values in [−1, 1]

Written anew from the facts of the example `dcgan` of https://github.com/pytorch/examples (BSD 3-Clause): sizes and
order of the layers, first weights, costs, optimizers, and what an iteration does in which order. Left out are the
images and checkpoints that it writes, and what it prints is made but not printed: it is none the slower for that.

References: *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford,
    Metz, Chintala, 2016)*, arXiv 1511.06434; *Generative Adversarial Nets (Goodfellow et al., 2014)*, arXiv 1406.2661.

Shapes: z (B, 100, 1, 1); x (B, 3, 64, 64); D(x) (B, 1, 1, 1).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

LATENT, WIDTH, CHANNELS = 100, 64, 3
RATE, BETAS = 2e-4, (0.5, 0.999)


def start(layer: nn.Module) -> None:
    """First weights: N(0, 0.02) of a convolution, N(1, 0.02) of a norm's scales."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


def generator() -> nn.Sequential:
    """z to x: 1×1 to 4×4, then twice the size four times over."""
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise([LATENT, 8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH])):
        stride, padding = (1, 0) if place == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    layers += [nn.ConvTranspose2d(WIDTH, CHANNELS, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers).apply(start)


def discriminator() -> nn.Sequential:
    """x to D(x): half the size four times over, then 4×4 to 1×1; no norm where the images come in."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([CHANNELS, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(outputs)] if inputs != CHANNELS else []
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    layers += [nn.Conv2d(8 * WIDTH, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    return nn.Sequential(*layers).apply(start)


class Iteration:
    """Both players' moves, one after the other.

    Arguments:
        generator: from `generator`.
        discriminator: from `discriminator`.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        self.generator, self.discriminator, self.cost = generator, discriminator, nn.BCELoss()
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=RATE, betas=BETAS)
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=RATE, betas=BETAS)

    def __call__(self, real: Tensor, noise: Tensor | None = None) -> dict[str, float]:
        """Move the discriminator, then the generator; what the example prints.

        Arguments:
            real: images.
            noise: to draw of; by default new noise, as in the example.
        """
        count = len(real)
        self.discriminator.zero_grad()
        label = real.new_full((count,), 1.0)
        verdict = self.discriminator(real).view(-1)
        cost_real = self.cost(verdict, label)
        cost_real.backward()
        told_real = verdict.mean().item()

        drawn = self.generator(torch.randn(count, LATENT, 1, 1) if noise is None else noise)
        label.fill_(0.0)
        verdict = self.discriminator(drawn.detach()).view(-1)
        cost_drawn = self.cost(verdict, label)
        cost_drawn.backward()
        told_drawn = verdict.mean().item()
        cost_discriminator = cost_real + cost_drawn
        self.discriminator_optimizer.step()

        self.generator.zero_grad()
        label.fill_(1.0)
        verdict = self.discriminator(drawn).view(-1)
        cost_generator = self.cost(verdict, label)
        cost_generator.backward()
        told_again = verdict.mean().item()
        self.generator_optimizer.step()
        return {
            "discriminator": cost_discriminator.item(),
            "generator": cost_generator.item(),
            "D(x)": told_real,
            "D(G(z)) before": told_drawn,
            "D(G(z)) after": told_again,
        }
