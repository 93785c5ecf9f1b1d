"""OASIS: images from label maps, with a discriminator that classifies each pixel or calls it fake.

The discriminator is a segmentation network. With y one of K classes at each pixel, target x, output x̂ = G(y, z), and
the discriminator's p over K classes plus fake:

    discriminator:     −E log p(y | x) − E log p(fake | x̂)
    generator:  λ₁ E|x − x̂| + λ_a · (−E log p(y | x̂))

To pass as real a pixel has to look like its class. Classes of an example count equally, however few pixels they have: E
log p(y | ·) is the mean over its classes of the mean over their pixels.

Reference: *You Only Need Adversarial Supervision for Semantic Image Synthesis (Sushko, Schönfeld, Zhang, Gall, Schiele,
    Khoreva, 2021)*, arXiv 2012.04781.

Shapes: y (B, K, H, W), one-hot; the discriminator (B, C, H, W) to logits (B, K + 1, H, W), fake last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.nn.distributions import precise
from seisei.objectives.base import Loss, Turn
from seisei.objectives.shared_forward import SharedForward
from seisei.objectives.translation import Regression, Sides, Weight, measured
from seisei.spec import listed


@listed
class OASIS(Regression):
    """OASIS training: discriminator and generator turns.

    Arguments:
        model: has `view`, `answer`.
        discriminator: segmentation network, see above.
        regression: λ₁, weight of the L1 loss.
        adversarial: λ_a, weight of the GAN loss.
        changes: augmentation of pairs.
    """

    decides = ("balance", "L1 of color", "L1")

    def __init__(
        self,
        model: nn.Module,
        discriminator: nn.Module,
        regression: Weight = 10.0,
        adversarial: Weight = 1.0,
        changes: nn.Module | None = None,
    ) -> None:
        super().__init__(model, changes)
        self.discriminator: Any = discriminator
        self.regression, self.adversarial = regression, adversarial
        self._again = SharedForward()

    def turns(self) -> list[Turn]:
        """Discriminator, then generator."""
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss),
            Turn("generator", self.model, self.generator_loss),
        ]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """Discriminator loss."""
        sides = self._again.made(batch.x, self.model, lambda: self._answered(batch))
        real, made = self._read(sides.wanted), self._read(sides.answer.detach())
        cost = -by_class(real, sides.given).mean() - made[:, -1].mean()
        return Loss(cost, {"cost": cost.detach(), **accuracy(real.detach(), made.detach())})

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        """Generator loss."""
        kept = self._again.taken(batch.x)
        given, wanted, answer = kept if isinstance(kept, Sides) else self._answered(batch)
        apart = (answer - wanted).abs().mean()
        cost = -by_class(self._read(answer), given).mean()
        total = self.regression * apart + self.adversarial * cost
        return Loss(total, {f"L1{self.model.view.of}": apart.detach(), "adversarial": cost.detach()})

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """Error of held-out outputs, their sensitivity to the input map (`heed`), and discriminator accuracy."""
        made = [self._made(batch) for batch in batches]
        scores = measured(made, [self.model.answer(sides.given.roll(1, 0)) for sides in made], self.model.view.of)
        real, drawn = (
            torch.cat([self._read(side) for side in sides]) for sides in zip(*(s[1:] for s in made), strict=True)
        )
        return {"scores": {**scores, **{name: float(value) for name, value in accuracy(real, drawn).items()}}}

    def _read(self, images: Tensor) -> Tensor:
        """log p of each class and of fake, (B, K + 1, H, W)."""
        return F.log_softmax(precise(self.discriminator(images)), 1)

    def _answered(self, batch: Batch) -> Sides:
        given, wanted = self.sides(batch)
        return Sides(given, wanted, self.model.answer(given))


def by_class(log_p: Tensor, y: Tensor) -> Tensor:
    """Mean over the classes of a map of the mean of log p over their pixels, (B,).

    Example:
        >>> y = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 1]).view(1, 2, 1, 4)  # three pixels of one class, one of another
        >>> by_class(torch.tensor([-3.0, -3, -3, 9, 9, 9, 9, -1]).view(1, 2, 1, 4), y).tolist()
        [-2.0]
    """
    counts = y.sum((2, 3))
    each = (log_p[:, : y.shape[1]] * y).sum((2, 3)) / counts.clamp_min(1)
    return each.sum(1) / (counts > 0).sum(1)


def accuracy(real: Tensor, made: Tensor) -> dict[str, Tensor]:
    """Mean probability of real for real and fake pixels, and accuracy on pairs of them."""
    r, f = ((1 - log_p[:, -1].exp()) for log_p in (real, made))
    right = (r > f).to(r.dtype) + 0.5 * (r == f).to(r.dtype)
    return {"D(x)": r.mean(), "D(G(z))": f.mean(), "told apart": right.mean()}
