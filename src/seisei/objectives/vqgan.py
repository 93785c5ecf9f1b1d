"""VQGAN: VQ-VAE with an adversarial loss on reconstructions, for sharper images.

    model:   the loss of `seisei.objectives.vq`, and w √(N/ε²)/‖∂A/∂x̂‖ · A
             A = E ζ(r − f) + E Σ_l |φ_l(x) − φ_l(x̂)|
    discriminator:  E ζ(f − r) + γ/2 (E‖∂r‖² + E‖∂f‖²)

r and f are PatchGAN logits of x and x̂, φ_l the discriminator's features: matching these, not pixels alone, keeps
texture that averaging would lose. The adaptive factor makes the gradient of A with respect to x̂ w times as long as
that of the reconstruction error, √(N/ε²), whatever the discriminator's scale.

A discriminator that is new or too strong damages images: A starts late and ramps up slowly, and w is halved whenever
held-out reconstructions get worse than their best.

Reference: *Taming Transformers for High-Resolution Image Synthesis (Esser, Rombach, Ommer, 2021)*, arXiv 2012.09841.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.nn.quantizers.base import Total
from seisei.objectives.base import Loss, Turn
from seisei.objectives.gan_losses import GAN_LOSSES, output_and_gradient_norm
from seisei.objectives.vq import MEAN_PSNR, REMEMBERED, Coding
from seisei.spec import Range, listed

# Fraction of training at which the discriminator starts, and over which its loss then ramps up.
BEGINS, GROWS = 0.25, 0.15
# Loss of held-out PSNR in dB at which w is halved.
LOST = 1.0


@listed
class VQGAN(Coding):
    """`Coding` with a discriminator.

    Arguments:
        model: see `Coding`.
        discriminator: PatchGAN; has `logits_and_features`.
        weight: w, weight of the adversarial loss.
        matching: weight of feature matching relative to the GAN loss.
        penalty: γ of the R1 and R2 gradient penalties.
    """

    pull: Tensor
    best: Tensor
    eased: Tensor
    adapts = True

    def __init__(
        self,
        model: nn.Module,
        discriminator: nn.Module,
        weight: Annotated[float, Range(ge=0, le=100)] = 0.5,
        matching: Annotated[float, Range(ge=0, le=1000)] = 1.0,
        penalty: Annotated[float, Range(ge=0, le=1e6)] = 1.0,
    ) -> None:
        super().__init__(model)
        self.discriminator: Any = discriminator
        self.weight, self.matching, self.penalty = weight, matching, penalty
        self.game = GAN_LOSSES["relativistic"]
        # EMA of the gradient norm of A per image, best held-out PSNR, and remaining share of w.
        self.register_buffer("pull", torch.ones(()))
        # Not −inf: only finite values are saved.
        self.register_buffer("best", torch.tensor(torch.finfo(torch.float32).min))
        self.register_buffer("eased", torch.ones(()))
        self._pulled: Tensor | None = None

    def turns(self) -> list[Turn]:
        """Discriminator, then model."""
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss),
            Turn("model", self.model, self.loss, settle=self.settle),
        ]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """Discriminator loss; 0 before it starts."""
        if t < BEGINS:
            return Loss(0.0 * torch.stack([parameter.sum() for parameter in self.discriminator.parameters()]).sum(), {})
        with torch.no_grad():
            back = self.model.code(batch.visible).likelihood.mean
        logits: list[Tensor] = []

        def summed(x: Tensor) -> Tensor:
            found: Tensor = self.discriminator(x)
            logits.append(found)
            # Patches hardly overlap: the gradient norm of their sum is √P times that of one.
            return found.sum(1) / math.sqrt(found.shape[1])

        _, slopes = output_and_gradient_norm(summed, torch.cat([batch.x, back]))
        r, f = logits[0].chunk(2)
        cost, slope = self.game.discriminator(r, f), slopes.mean()
        accuracy = (r > f).to(r.dtype).mean()
        return Loss(
            cost + self.penalty * slope, {"cost": cost.detach(), "told apart": accuracy, "slope": slope.detach().sqrt()}
        )

    def loss(self, batch: Batch, t: float) -> Loss:
        """Model loss; the adversarial part is 0 before the discriminator starts, and ramps up after."""
        (total, parts), back = self.sent(batch)
        share = min(1.0, max(0.0, (t - BEGINS) / GROWS - 0.1))
        if not (share and self.weight):
            return Loss(total, parts)
        with torch.no_grad():
            r, real = self.discriminator.logits_and_features(batch.x)
        values = batch.x[0].numel()
        factor = share * self.weight * self.eased * (values / self.error).sqrt() / self.pull
        if not torch.is_grad_enabled():
            cost = self._apart(back, r, real)
            return Loss(total + factor * cost, {**parts, "discriminator's part": cost})
        with torch.enable_grad():
            seen = back.detach().requires_grad_()
            cost = self._apart(seen, r, real)
            (slope,) = torch.autograd.grad(cost, seen)
        # Gradient of a batch mean: that of one image is B times as long.
        lengths = len(batch) * slope.flatten(1).float().norm(dim=1)
        met = torch.stack([lengths.sum(), lengths.new_tensor(len(lengths))])
        self._pulled = met if self._pulled is None else self._pulled + met
        # The gradient is known already: a linear term with this gradient, and the loss's value.
        pulled = factor * ((back - seen.detach()) * slope).sum()
        return Loss(total + pulled + factor * cost.detach(), {**parts, "discriminator's part": cost.detach()})

    def _apart(self, back: Tensor, r: Tensor, real: list[Tensor]) -> Tensor:
        """A for reconstructions."""
        f, made = self.discriminator.logits_and_features(back)
        apart = torch.stack([(a - b).abs().mean() for a, b in zip(real, made, strict=True)]).sum()
        cost: Tensor = self.game.generator(r, f) + self.matching * apart
        return cost

    def settle(self, total: Total | None) -> None:
        """Update the EMAs after a step."""
        super().settle(total)
        met, self._pulled = self._pulled, None
        if total is not None and met is not None:
            length, count = total(met)
            found = (length / count).clamp_min(1e-12)
            # The first measurement replaces the initial value.
            self.pull.copy_(found if float(self.pull) == 1.0 else self.pull.lerp(found, 1 - REMEMBERED))

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """See `Coding.examine`; held-out PSNR is passed to `adapt`."""
        found = super().examine(batches, known)
        return {**found, "adapt": found["scores"][MEAN_PSNR]}

    def adapt(self, found: float) -> None:
        """Halve the adversarial weight if reconstructions got worse than their best."""
        self.best.clamp_(min=found)
        if found < float(self.best) - LOST:
            self.eased.mul_(0.5)
            self.best.fill_(found)
