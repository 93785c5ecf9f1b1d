"""Image-to-image translation (pix2pix): L1 loss, conditional GAN loss, and feature matching.

With input y, target x and output x̂ = G(y, z), both sides of a pair augmented alike:

    generator:  λ₁ E|x − x̂| + λ_a cost(r, f) + λ_m Σ_l E|φ_l(y, x) − φ_l(y, x̂)|
    discriminator:     cost(r, f) + γ/2 (E‖∂r‖² + E‖∂f‖²)

r and f are PatchGAN logits of (y, x) and of (y, x̂), φ_l the discriminator's features; means are over examples, values
and patches. The L1 loss keeps outputs near the target, and alone gives the average of all plausible outputs, which is
blurred. The optional L1 baseline (`twin`) is the same network trained by the L1 loss only, to show what the
discriminator contributes.

References: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004; feature matching: *High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs
    (Wang, Liu, Zhu, Tao, Kautz, Catanzaro, 2018)*, arXiv 1711.11585; gradient penalties: see
    `seisei.objectives.gan_losses`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.objectives.base import Loss, Objective, Turn
from seisei.objectives.gan_losses import GAN_LOSSES, output_and_gradient_norm
from seisei.objectives.shared_forward import SharedForward
from seisei.spec import Range, listed

Weight = Annotated[float, Range(ge=0, le=1e6)]
# Initial gradient penalty in `counter` if there was none; smallest learning-rate factor of the discriminator.
GENTLE, SLOWEST = 0.1, 0.125


class Sides(NamedTuple):
    """Input and target of a pair, as augmented, and the output."""

    given: Tensor
    wanted: Tensor
    answer: Tensor


@listed
class Regression(Objective):
    """L1 regression only: one player, whose outputs are averages of all plausible ones.

    Arguments:
        model: has `view`, `answer`.
        changes: augmentation of pairs.
    """

    decides: tuple[str, ...] = ("L1 of color", "L1")

    def __init__(self, model: nn.Module, changes: nn.Module | None = None) -> None:
        super().__init__(model)
        self.changes: Any = changes

    def sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Input and target; augmented in training."""
        given, wanted = self.model.view.given(batch), self.model.view.wanted(batch)
        return (given, wanted) if self.changes is None or not self.training else self.changes(given, wanted)

    def loss(self, batch: Batch, t: float) -> Loss:
        """L1 distance, summed over values: −log p of a Laplace density up to a constant."""
        given, wanted = self.sides(batch)
        apart = (self.model.answer(given) - wanted).abs().mean()
        return Loss(apart * wanted[0].numel(), {f"L1{self.model.view.of}": apart.detach()})

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """Error of held-out outputs, and their sensitivity to the input (`heed`)."""
        made = [self._made(batch) for batch in batches]
        return {
            "scores": measured(made, [self.model.answer(sides.given.roll(1, 0)) for sides in made], self.model.view.of)
        }

    def _made(self, batch: Batch) -> Sides:
        given, wanted = self.model.view.given(batch), self.model.view.wanted(batch)
        return Sides(given, wanted, self.model.answer(given))


@listed
class Translation(Regression):
    """pix2pix training: discriminator and generator turns, and a third for the L1 baseline, if any.

    Arguments:
        model: has `view`, `answer`.
        discriminator: of pairs, concatenated as channels; has `logits_and_features`: patch logits (B, P) and features.
        game: the GAN loss.
        regression: λ₁, weight of the L1 loss.
        adversarial: λ_a, weight of the GAN loss.
        matching: λ_m, weight of feature matching.
        on_real: γ of R1, the gradient penalty at real pairs.
        on_drawn: γ of R2, the gradient penalty at pairs with an output.
        twin: L1 baseline: a copy of the model that is trained by the L1 loss only.
        changes: augmentation of pairs.
    """

    # L1 distance alone would favor blurred outputs, which the discriminator is there to prevent.
    decides = ("balance", "L1 of color", "L1")
    more: Tensor
    slower: Tensor

    def __init__(
        self,
        model: nn.Module,
        discriminator: nn.Module,
        game: Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"] = "non-saturating",
        regression: Weight = 100.0,
        adversarial: Weight = 1.0,
        matching: Weight = 0.0,
        on_real: Weight = 0.0,
        on_drawn: Weight = 0.0,
        twin: nn.Module | None = None,
        changes: nn.Module | None = None,
    ) -> None:
        super().__init__(model, changes)
        self.discriminator: Any = discriminator
        self.twin: Any = twin
        self.game = GAN_LOSSES[game]
        self.regression, self.adversarial, self.matching = regression, adversarial, matching
        self.on_real, self.on_drawn = on_real, on_drawn
        self._again = SharedForward()
        # State of `counter`: increase of γ, and learning-rate factor of the discriminator.
        self.register_buffer("more", torch.zeros(()))
        self.register_buffer("slower", torch.ones(()))

    def turns(self) -> list[Turn]:
        """Discriminator, generator, and L1 baseline if any."""
        both = [
            Turn("discriminator", self.discriminator, self.discriminator_loss, pace=lambda: float(self.slower)),
            Turn("generator", self.model, self.generator_loss),
        ]
        return both if self.twin is None else [*both, Turn("twin", self.twin, self.twin_loss)]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """Discriminator loss; its parts include its accuracy (`told apart`) and gradient norms."""
        sides = self._again.made(batch.x, self.model, lambda: self._answered(batch))
        real = torch.cat([sides.given, sides.wanted], 1)
        drawn = torch.cat([sides.given, sides.answer.detach()], 1)
        penalties = self.on_real + float(self.more), self.on_drawn + float(self.more)
        if any(penalties):
            logits: list[Tensor] = []

            def summed(x: Tensor) -> Tensor:
                found: Tensor = self.discriminator(x)
                logits.append(found)
                # Patches hardly overlap: the gradient norm of their sum is √P times that of one.
                return found.sum(1) / math.sqrt(found.shape[1])

            _, slopes = output_and_gradient_norm(summed, torch.cat([real, drawn]))
            r, f = logits[0].chunk(2)
            at_real, at_drawn = (part.mean() for part in slopes.chunk(2))
            total = cost = self.game.discriminator(r, f)
            total = total + 0.5 * (penalties[0] * at_real + penalties[1] * at_drawn)
            slope = {"slope at real": at_real.detach().sqrt(), "slope at drawn": at_drawn.detach().sqrt()}
        else:
            r, f = self.discriminator(torch.cat([real, drawn])).chunk(2)
            total, slope = self.game.discriminator(r, f), {}
            cost = total
        return Loss(total, {"cost": cost.detach(), **self._accuracy(r.detach(), f.detach()), **slope})

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        """Generator loss."""
        kept = self._again.taken(batch.x)
        given, wanted, answer = kept if isinstance(kept, Sides) else self._answered(batch)
        apart = (answer - wanted).abs().mean()
        total, parts = self.regression * apart, {f"L1{self.model.view.of}": apart.detach()}
        if not self.adversarial and not self.matching:
            return Loss(total, parts)
        r, real = None, list[Tensor]()
        if self.game.paired or self.matching:
            with torch.no_grad():
                r, real = self.discriminator.logits_and_features(torch.cat([given, wanted], 1))
        f, made = self.discriminator.logits_and_features(torch.cat([given, answer], 1))
        cost = self.game.generator(f.new_zeros(()) if r is None else r, f)
        total, parts = total + self.adversarial * cost, {**parts, "adversarial": cost.detach()}
        if self.matching:
            features = torch.stack([(a - b).abs().mean() for a, b in zip(real, made, strict=True)]).sum()
            total, parts = total + self.matching * features, {**parts, "features": features.detach()}
        return Loss(total, parts)

    def twin_loss(self, batch: Batch, t: float) -> Loss:
        """Loss of the L1 baseline."""
        given, wanted = self.sides(batch)
        apart = (self.twin.answer(given) - wanted).abs().mean()
        return Loss(self.regression * apart, {f"L1{self.model.view.of}": apart.detach()})

    def _answered(self, batch: Batch) -> Sides:
        given, wanted = self.sides(batch)
        return Sides(given, wanted, self.model.answer(given))

    def counter(self, trouble: str) -> str | None:
        """Against a discriminator that overpowers the generator: larger gradient penalty, smaller learning rate."""
        if trouble != "unsteady" or float(self.slower) <= SLOWEST:
            return None
        self.more.copy_((2 * self.more).clamp_min(max(self.on_real, GENTLE)))
        self.slower.mul_(0.71)
        penalty, pace = f"{self.on_real + float(self.more):.3g}", f"{float(self.slower):.2f}"
        return f"the gradient penalty is now {penalty}, and the discriminator's learning rate {pace} of the generator's"

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """Error of held-out outputs, their sensitivity to the input (`heed`), and discriminator accuracy."""
        made = [self._made(batch) for batch in batches]
        scores = measured(made, [self.model.answer(sides.given.roll(1, 0)) for sides in made], self.model.view.of)
        logits = [
            self.discriminator(torch.cat([torch.cat([s.given, s.wanted], 1), torch.cat([s.given, s.answer], 1)])).chunk(
                2
            )
            for s in made
        ]
        r, f = (torch.cat([pair[i] for pair in logits]) for i in range(2))
        scores |= {name: float(value) for name, value in self._accuracy(r, f).items()}
        if self.twin is not None:
            theirs = [Sides(s.given, s.wanted, self.twin.answer(s.given)) for s in made]
            scores[f"L1{self.model.view.of} of the twin"] = measured(theirs)["L1"]
        return {"scores": scores}

    def _accuracy(self, r: Tensor, f: Tensor) -> dict[str, Tensor]:
        """Discriminator outputs, all ½ at the equilibrium; see `Adversarial`."""
        middle = 0.0 if self.game.logits else 0.5 * (r.mean() + f.mean())
        right = (r > f).to(r.dtype) + 0.5 * (r == f).to(r.dtype)
        return {
            "D(x)": torch.sigmoid(r - middle).mean(),
            "D(G(z))": torch.sigmoid(f - middle).mean(),
            "told apart": right.mean(),
        }


def measured(made: Sequence[Sides], otherwise: Sequence[Tensor] = (), of: str = "") -> dict[str, float]:
    """Mean L1 distance to the target, mean PSNR in dB, and input sensitivity (`heed`).

    Input sensitivity is how much an output changes when it gets another example's input, relative to how far targets
    differ: mean |x̂(y) − x̂(y')| divided by mean |x − x'|. It is near 1 if outputs depend on the input as much as
    targets do, and near 0 if the input is ignored.

    Arguments:
        made: pairs with their outputs.
        otherwise: outputs for the input of the preceding example.
        of: suffix of the metric names, see `seisei.nn.gan.paired_augment.PairView`.

    Example:
        >>> y, x = torch.zeros(2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        >>> scores = measured([Sides(y, x, x + 0.1)], [x.roll(1, 0) + 0.1])
        >>> {name: round(value, 3) for name, value in scores.items()}
        {'L1': 0.1, 'PSNR': 20.0, 'heed': 1.0}
    """
    count = sum(len(sides.given) for sides in made)
    apart = sum(float((s.answer - s.wanted).abs().mean()) * len(s.given) for s in made) / count
    squared = torch.cat([(s.answer - s.wanted).square().flatten(1).mean(1) for s in made])
    psnr = float(-10 * squared.clamp_min(1e-10).log10().mean())
    found = {f"L1{of}": round(apart, 8), f"PSNR{of}": round(psnr, 4)}
    if not otherwise or count < 2:
        return found
    changed = sum(float((s.answer - other).abs().sum()) for s, other in zip(made, otherwise, strict=True))
    there = sum(float((s.wanted - s.wanted.roll(1, 0)).abs().sum()) for s in made)
    return {**found, "heed": round(changed / max(1e-12, there), 6)}
