"""GAN losses and gradient penalties (R1, R2, WGAN-GP).

With r = D(x) and f = D(G(z)), logits of "real" where D is a probability, and ζ(a) = log(1 + eᵃ) (softplus):

    loss              discriminator minimizes                 generator minimizes
    minimax           E ζ(−r) + E ζ(f)                        −E ζ(f)                      min_G max_D V(D, G)
    non-saturating    E ζ(−r) + E ζ(f)                        E ζ(−f)
    least-squares     ½ E (r − 1)² + ½ E f²                   ½ E (f − 1)²
    hinge             E max(0, 1 − r) + E max(0, 1 + f)       −E f
    wasserstein       E f − E r                               −E f
    relativistic      E ζ(f − r)                              E ζ(r − f)

V(D, G) = E log D(x) + E log(1 − D(G(z))) is maximal, for fixed G, at D* = p/(p + q), where it is 2 · JSD(p, q) − 2 ln
2; it is −ln 4 when the generator's q equals the data's p, and D is ½ everywhere.

In the minimax loss a discriminator that is confident about fakes leaves the generator without gradient, which the
non-saturating loss fixes. The relativistic loss compares real and fake in pairs: no single output can win for all
fakes, so that dropping a mode brings no reward; with both penalties below its training converges locally.

References: *Generative Adversarial Nets (Goodfellow et al., 2014)*, arXiv 1406.2661; least squares: *Least Squares
    Generative Adversarial Networks (Mao et al., 2017)*; hinge: *Geometric GAN (Lim, Ye, 2017)*; Wasserstein:
    *Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017)* and *Improved Training of Wasserstein GANs (Gulrajani et al.,
    2017)*; R1 and R2 gradient penalties: *Which Training Methods for GANs do actually Converge? (Mescheder, Geiger,
    Nowozin, 2018)*; relativistic pairs: *The relativistic discriminator: a key element missing from standard GAN
    (Jolicoeur-Martineau, 2019)*; with both penalties (R3GAN): *The GAN is dead; long live the GAN! A Modern Baseline
    GAN (Huang, Gokaslan, Kuleshov, Tompkin, 2024)*.

Shapes: r and f (B,), of equal B; pairs are elements at the same index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei.nn.distributions import precise

Cost = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class GANLoss:
    """A pair of discriminator and generator losses.

    Arguments:
        discriminator: discriminator loss of (r, f): a mean over the batch.
        generator: generator loss of (r, f).
        logits: whether r and f are logits of "real".
        paired: whether the generator loss needs r.
    """

    discriminator: Cost
    generator: Cost
    logits: bool = True
    paired: bool = False


def _cross_entropy(r: Tensor, f: Tensor) -> Tensor:
    return F.softplus(-r).mean() + F.softplus(f).mean()


GAN_LOSSES = {
    "minimax": GANLoss(_cross_entropy, lambda r, f: -F.softplus(f).mean()),
    "non-saturating": GANLoss(_cross_entropy, lambda r, f: F.softplus(-f).mean()),
    "least-squares": GANLoss(
        lambda r, f: 0.5 * (r - 1).square().mean() + 0.5 * f.square().mean(),
        lambda r, f: 0.5 * (f - 1).square().mean(),
        logits=False,
    ),
    "hinge": GANLoss(lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean(), logits=False),
    "wasserstein": GANLoss(lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean(), logits=False),
    "relativistic": GANLoss(
        lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean(), logits=False, paired=True
    ),
}


def value(r: Tensor, f: Tensor) -> Tensor:
    """V(D, G) in nats, from the logits of D.

    Example:
        >>> round(float(value(torch.zeros(3), torch.zeros(3))), 4)  # −ln 4, where D is ½ everywhere
        -1.3863
    """
    return -_cross_entropy(r, f)


def output_and_gradient_norm(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """D(x) and the squared gradient norm ‖∇ₓ D(x)‖² of each example, (B,) both, differentiable.

    γ/2 times its mean over real examples is the R1 gradient penalty, over generated ones R2: a discriminator that is
    flat at the data does not make the generator circle around its target.

    Arguments:
        discriminator: (B, ...) to (B,), each example independently.
        x: discriminator input.

    Example:
        >>> output_and_gradient_norm(lambda x: 3 * x.sum(1), torch.ones(2, 4))[1]  # ‖(3, 3, 3, 3)‖²
        tensor([36., 36.])
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        verdicts = discriminator(x)
        (slope,) = torch.autograd.grad(verdicts.sum(), x, create_graph=True)
    return verdicts, precise(slope).square().flatten(1).sum(1)


def wgan_gp(discriminator: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """WGAN-GP gradient penalty (‖∇D‖ − 1)² at interpolations of real and fake, (B,).

    Arguments:
        discriminator: (B, ...) to (B,).
        x: real examples.
        fake: as many generated ones.
        u: interpolation weights, (B,) in [0, 1], from fake to real.
    """
    between = torch.lerp(fake, x, u.to(x).view(-1, *[1] * (x.dim() - 1)))
    # √ has no gradient at 0, where an untrained discriminator may be.
    return ((output_and_gradient_norm(discriminator, between)[1] + 1e-12).sqrt() - 1).square()
