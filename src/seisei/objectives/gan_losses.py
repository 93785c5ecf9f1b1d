"""What generator and discriminator play for, and what keeps the discriminator smooth.

With r = D(x) and f = D(G(z)), logits of "this is real" where D is a probability, and ζ(a) = log(1 + eᵃ):

    game              the discriminator descends              the generator descends
    minimax           E ζ(−r) + E ζ(f)                 −E ζ(f)                      min_G max_D V(D, G)
    non-saturating    E ζ(−r) + E ζ(f)                 E ζ(−f)
    least-squares     ½ E (r − 1)² + ½ E f²            ½ E (f − 1)²
    hinge             E max(0, 1 − r) + E max(0, 1 + f)    −E f
    wasserstein       E f − E r                        −E f
    relativistic      E ζ(f − r)                       E ζ(r − f)

V(D, G) = E log D(x) + E log(1 − D(G(z))) is greatest, for a given G, at D* = p/(p + q), where it is 2 · JSD(p, q) −
2 ln 2; it is −ln 4 when the generator's q is the data's p, and D is ½ everywhere.

In the minimax game a discriminator that is sure of fakes leaves the generator without a gradient, which the
non-saturating one mends. In the relativistic one real and fake are judged in pairs: there is no verdict that all
fakes could share, and so no reward for a generator that gives up a mode; together with both penalties below its
training converges locally.

References: *Generative Adversarial Nets (Goodfellow et al., 2014)*, arXiv 1406.2661; least squares: *Least Squares
    Generative Adversarial Networks (Mao et al., 2017)*; hinge: *Geometric GAN (Lim, Ye, 2017)*; Wasserstein:
    *Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017)* and *Improved Training of Wasserstein GANs (Gulrajani et al.,
    2017)*; zero-centerd penalties: *Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin,
    2018)*; relativistic pairs: *The relativistic discriminator: a key element missing from standard GAN
    (Jolicoeur-Martineau, 2019)*; with both penalties: *The GAN is dead; long live the GAN! A Modern Baseline GAN
    (Huang, Gokaslan, Kuleshov, Tompkin, 2024)*.

Shapes: r and f (B,), of the same B: pairs are what stands at the same place.
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
    """A game of two.

    Arguments:
        discriminator: what the discriminator descends, of (r, f): a mean over the batch.
        generator: what the generator descends, of (r, f).
        logits: whether r and f are logits of "this is real".
        paired: whether the generator's cost needs r.
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


def judged(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """D(x) and ‖∇ₓ D(x)‖² of each example, (B,) both, which can themselves be descended.

    γ/2 of the mean of the slopes over real examples is R1, over drawn ones R2: a discriminator that is flat where the
    data are does not chase the generator round its target.

    Arguments:
        discriminator: (B, ...) to (B,), each example on its own.
        x: what is judged.

    Example:
        >>> judged(lambda x: 3 * x.sum(1), torch.ones(2, 4))[1]  # ‖(3, 3, 3, 3)‖²
        tensor([36., 36.])
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        verdicts = discriminator(x)
        (slope,) = torch.autograd.grad(verdicts.sum(), x, create_graph=True)
    return verdicts, precise(slope).square().flatten(1).sum(1)


def slope_off_one(discriminator: Callable[[Tensor], Tensor], x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """(‖∇D‖ − 1)² on the way from real to fake, (B,): the penalty of the Wasserstein game with a gradient penalty.

    Arguments:
        discriminator: (B, ...) to (B,).
        x: real examples.
        fake: as many drawn ones.
        u: (B,) in [0, 1]: how far on the way from fake to real.
    """
    between = torch.lerp(fake, x, u.to(x).view(-1, *[1] * (x.dim() - 1)))
    # √ has no slope at 0, where a discriminator that has not learned yet may be.
    return ((judged(discriminator, between)[1] + 1e-12).sqrt() - 1).square()
