"""Images through codes and back, sharp: a discriminator sees what comes back beside what went in.

    model:   the cost of `seisei.objectives.vq`, and w √(N/ε²)/‖∂A/∂x̂‖ · A
             A = E ζ(r − f) + E Σ_l |φ_l(x) − φ_l(x̂)|
    discriminator:  E ζ(f − r) + γ/2 (E‖∂r‖² + E‖∂f‖²)

r and f are its verdicts on patches of x and of x̂, φ_l the features they are made of: to be told by what an expert on
the data looks at, and not by pixels alone, keeps texture that an average would lose. The factor makes the pull of A on
x̂ w times that of the error, whose gradient has the length √(N/ε²), whatever the discriminator's scale.

A discriminator that is new, or runs ahead, spoils images instead: A comes in late and slowly, and where held-out images
come back worse than they once did, w is halved.

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
from seisei.objectives.gan_losses import GAN_LOSSES, judged
from seisei.objectives.vq import MEAN_PSNR, REMEMBERED, Coding
from seisei.spec import Range, listed

# The fractions of training at which the discriminator begins, and over which its verdict then comes in.
BEGINS, GROWS = 0.25, 0.15
# dB that held-out images may lose to their best before w is halved.
LOST = 1.0


@listed
class VQGAN(Coding):
    """`Coding` with a discriminator.

    Arguments:
        model: see `Coding`.
        discriminator: of patches: gives `judged`.
        weight: w.
        matching: of the features' difference, against the verdict's part.
        penalty: γ.
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
        # How long the gradient of A is at an image, the best PSNR of held-out images, and what is left of w.
        self.register_buffer("pull", torch.ones(()))
        # No infinity: what is not finite is never saved.
        self.register_buffer("best", torch.tensor(torch.finfo(torch.float32).min))
        self.register_buffer("eased", torch.ones(()))
        self._pulled: Tensor | None = None

    def turns(self) -> list[Turn]:
        """The discriminator, then the model."""
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss),
            Turn("model", self.model, self.loss, settle=self.settle),
        ]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """What the discriminator descends; nothing before it begins."""
        if t < BEGINS:
            return Loss(0.0 * torch.stack([parameter.sum() for parameter in self.discriminator.parameters()]).sum(), {})
        with torch.no_grad():
            back = self.model.code(batch.visible).likelihood.mean
        verdicts: list[Tensor] = []

        def summed(x: Tensor) -> Tensor:
            found: Tensor = self.discriminator(x)
            verdicts.append(found)
            # Patches hardly overlap: the slope of their sum is √P times that of one.
            return found.sum(1) / math.sqrt(found.shape[1])

        _, slopes = judged(summed, torch.cat([batch.x, back]))
        r, f = verdicts[0].chunk(2)
        cost, slope = self.game.discriminator(r, f), slopes.mean()
        told = (r > f).to(r.dtype).mean()
        return Loss(
            cost + self.penalty * slope, {"cost": cost.detach(), "told apart": told, "slope": slope.detach().sqrt()}
        )

    def loss(self, batch: Batch, t: float) -> Loss:
        """What the model descends: before the discriminator has begun, and while it is new, little or nothing for
        it.
        """
        (total, parts), back = self.sent(batch)
        share = min(1.0, max(0.0, (t - BEGINS) / GROWS - 0.1))
        if not (share and self.weight):
            return Loss(total, parts)
        with torch.no_grad():
            r, real = self.discriminator.judged(batch.x)
        values = batch.x[0].numel()
        factor = share * self.weight * self.eased * (values / self.error).sqrt() / self.pull
        if not torch.is_grad_enabled():
            cost = self._apart(back, r, real)
            return Loss(total + factor * cost, {**parts, "discriminator's part": cost})
        with torch.enable_grad():
            seen = back.detach().requires_grad_()
            cost = self._apart(seen, r, real)
            (slope,) = torch.autograd.grad(cost, seen)
        # Of the mean over the batch: of one image it is so many times as long.
        lengths = len(batch) * slope.flatten(1).float().norm(dim=1)
        met = torch.stack([lengths.sum(), lengths.new_tensor(len(lengths))])
        self._pulled = met if self._pulled is None else self._pulled + met
        # Its gradient is known already; what is descended has that, and its value.
        pulled = factor * ((back - seen.detach()) * slope).sum()
        return Loss(total + pulled + factor * cost.detach(), {**parts, "discriminator's part": cost.detach()})

    def _apart(self, back: Tensor, r: Tensor, real: list[Tensor]) -> Tensor:
        """A, of what comes back."""
        f, made = self.discriminator.judged(back)
        apart = torch.stack([(a - b).abs().mean() for a, b in zip(real, made, strict=True)]).sum()
        cost: Tensor = self.game.generator(r, f) + self.matching * apart
        return cost

    def settle(self, total: Total | None) -> None:
        """See `Coding.settle`."""
        super().settle(total)
        met, self._pulled = self._pulled, None
        if total is not None and met is not None:
            length, count = total(met)
            found = (length / count).clamp_min(1e-12)
            # Its first measure is taken as it is.
            self.pull.copy_(found if float(self.pull) == 1.0 else self.pull.lerp(found, 1 - REMEMBERED))

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """See `Coding.examine`."""
        found = super().examine(batches, known)
        return {**found, "adapt": found["scores"][MEAN_PSNR]}

    def adapt(self, found: float) -> None:
        """Let go where images come back worse than they did."""
        self.best.clamp_(min=found)
        if found < float(self.best) - LOST:
            self.eased.mul_(0.5)
            self.best.fill_(found)
