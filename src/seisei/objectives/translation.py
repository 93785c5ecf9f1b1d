"""Images of images: an answer is held to the truth, and to what a discriminator of pairs takes for one.

With y given, x wanted and x̂ = G(y, z), both sides of a pair changed alike before anything else:

    generator:  λ₁ E|x − x̂| + λ_a cost(r, f) + λ_m Σ_l E|φ_l(y, x) − φ_l(y, x̂)|
    discriminator:     cost(r, f) + γ/2 (E‖∂r‖² + E‖∂f‖²)

r and f are verdicts on the patches of (y, x) and of (y, x̂), φ_l the features that they are made of; means are over
examples, values and verdicts. The regression keeps the answer where the truth is, and alone gives the average of all
answers, which is none of them. A twin, where there is one, is the same network trained by the regression alone: what
the discriminator brings is the difference.

References: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004; features of the discriminator: *High-Resolution Image Synthesis and Semantic Manipulation with
    Conditional GANs (Wang, Liu, Zhu, Tao, Kautz, Catanzaro, 2018)*, arXiv 1711.11585; penalties: see
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
from seisei.objectives.gan_losses import GAN_LOSSES, judged
from seisei.objectives.shared_forward import SharedForward
from seisei.spec import Range, listed

Weight = Annotated[float, Range(ge=0, le=1e6)]
# What a penalty starts at where a game has none; the slowest that a discriminator is made.
GENTLE, SLOWEST = 0.1, 0.125


class Sides(NamedTuple):
    """A pair as it is trained on, and what was made of its first side."""

    given: Tensor
    wanted: Tensor
    answer: Tensor


@listed
class Regression(Objective):
    """E Σ|x − x̂| alone: one player, and the average of all answers.

    Arguments:
        model: gives `view`, `answer`.
        changes: what both sides of a pair go through.
    """

    decides: tuple[str, ...] = ("L1 of color", "L1")

    def __init__(self, model: nn.Module, changes: nn.Module | None = None) -> None:
        super().__init__(model)
        self.changes: Any = changes

    def sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is given and what is wanted, as they are; in training changed alike."""
        given, wanted = self.model.view.given(batch), self.model.view.wanted(batch)
        return (given, wanted) if self.changes is None or not self.training else self.changes(given, wanted)

    def loss(self, batch: Batch, t: float) -> Loss:
        """The distance to the truth: a sum over values, so that it is −log p of a Laplace density, less a constant."""
        given, wanted = self.sides(batch)
        apart = (self.model.answer(given) - wanted).abs().mean()
        return Loss(apart * wanted[0].numel(), {f"L1{self.model.view.of}": apart.detach()})

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """How far held-out answers are from the truth, and how much they heed what is given."""
        made = [self._made(batch) for batch in batches]
        return {
            "scores": measured(made, [self.model.answer(sides.given.roll(1, 0)) for sides in made], self.model.view.of)
        }

    def _made(self, batch: Batch) -> Sides:
        given, wanted = self.model.view.given(batch), self.model.view.wanted(batch)
        return Sides(given, wanted, self.model.answer(given))


@listed
class Translation(Regression):
    """The two turns, and a third where there is a twin.

    Arguments:
        model: gives `view`, `answer`.
        discriminator: of pairs, side by side as channels: gives `judged`, verdicts (B, P) and features.
        game: what both play for.
        regression: λ₁.
        adversarial: λ_a.
        matching: λ_m.
        on_real: γ at pairs of the data.
        on_drawn: γ at pairs with an answer.
        twin: another of the model's kind, that the regression alone trains.
        changes: what both sides of a pair go through.
    """

    # The distance to the truth alone favors what the discriminator is there to prevent.
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
        # What `counter` has come to: γ beside those given, and the pace of the discriminator.
        self.register_buffer("more", torch.zeros(()))
        self.register_buffer("slower", torch.ones(()))

    def turns(self) -> list[Turn]:
        """The discriminator, then the generator, then the twin."""
        both = [
            Turn("discriminator", self.discriminator, self.discriminator_loss, pace=lambda: float(self.slower)),
            Turn("generator", self.model, self.generator_loss),
        ]
        return both if self.twin is None else [*both, Turn("twin", self.twin, self.twin_loss)]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """What the discriminator descends; its parts say how well it tells truths from answers."""
        sides = self._again.made(batch.x, self.model, lambda: self._answered(batch))
        real = torch.cat([sides.given, sides.wanted], 1)
        drawn = torch.cat([sides.given, sides.answer.detach()], 1)
        penalties = self.on_real + float(self.more), self.on_drawn + float(self.more)
        if any(penalties):
            verdicts: list[Tensor] = []

            def summed(x: Tensor) -> Tensor:
                found: Tensor = self.discriminator(x)
                verdicts.append(found)
                # Patches hardly overlap: the slope of their sum is √P times that of one.
                return found.sum(1) / math.sqrt(found.shape[1])

            _, slopes = judged(summed, torch.cat([real, drawn]))
            r, f = verdicts[0].chunk(2)
            at_real, at_drawn = (part.mean() for part in slopes.chunk(2))
            total = cost = self.game.discriminator(r, f)
            total = total + 0.5 * (penalties[0] * at_real + penalties[1] * at_drawn)
            slope = {"slope at real": at_real.detach().sqrt(), "slope at drawn": at_drawn.detach().sqrt()}
        else:
            r, f = self.discriminator(torch.cat([real, drawn])).chunk(2)
            total, slope = self.game.discriminator(r, f), {}
            cost = total
        return Loss(total, {"cost": cost.detach(), **self._told(r.detach(), f.detach()), **slope})

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        """What the generator descends."""
        kept = self._again.taken(batch.x)
        given, wanted, answer = kept if isinstance(kept, Sides) else self._answered(batch)
        apart = (answer - wanted).abs().mean()
        total, parts = self.regression * apart, {f"L1{self.model.view.of}": apart.detach()}
        if not self.adversarial and not self.matching:
            return Loss(total, parts)
        r, real = None, list[Tensor]()
        if self.game.paired or self.matching:
            with torch.no_grad():
                r, real = self.discriminator.judged(torch.cat([given, wanted], 1))
        f, made = self.discriminator.judged(torch.cat([given, answer], 1))
        cost = self.game.generator(f.new_zeros(()) if r is None else r, f)
        total, parts = total + self.adversarial * cost, {**parts, "adversarial": cost.detach()}
        if self.matching:
            features = torch.stack([(a - b).abs().mean() for a, b in zip(real, made, strict=True)]).sum()
            total, parts = total + self.matching * features, {**parts, "features": features.detach()}
        return Loss(total, parts)

    def twin_loss(self, batch: Batch, t: float) -> Loss:
        """What the twin descends: the regression alone."""
        given, wanted = self.sides(batch)
        apart = (self.twin.answer(given) - wanted).abs().mean()
        return Loss(self.regression * apart, {f"L1{self.model.view.of}": apart.detach()})

    def _answered(self, batch: Batch) -> Sides:
        given, wanted = self.sides(batch)
        return Sides(given, wanted, self.model.answer(given))

    def counter(self, trouble: str) -> str | None:
        """Against a discriminator that runs ahead, larger penalties and a slower discriminator."""
        if trouble != "unsteady" or float(self.slower) <= SLOWEST:
            return None
        self.more.copy_((2 * self.more).clamp_min(max(self.on_real, GENTLE)))
        self.slower.mul_(0.71)
        penalty, pace = self.on_real + float(self.more), float(self.slower)
        return f"the penalty is {penalty:.3g} now, and the discriminator's learning rate {pace:.2f} of the generator's"

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """How far held-out answers are from the truth, how much they heed what is given, how the discriminator judges
        them.
        """
        made = [self._made(batch) for batch in batches]
        scores = measured(made, [self.model.answer(sides.given.roll(1, 0)) for sides in made], self.model.view.of)
        verdicts = [
            self.discriminator(torch.cat([torch.cat([s.given, s.wanted], 1), torch.cat([s.given, s.answer], 1)])).chunk(
                2
            )
            for s in made
        ]
        r, f = (torch.cat([pair[i] for pair in verdicts]) for i in range(2))
        scores |= {name: float(value) for name, value in self._told(r, f).items()}
        if self.twin is not None:
            theirs = [Sides(s.given, s.wanted, self.twin.answer(s.given)) for s in made]
            scores[f"L1{self.model.view.of} of the twin"] = measured(theirs)["L1"]
        return {"scores": scores}

    def _told(self, r: Tensor, f: Tensor) -> dict[str, Tensor]:
        """How the discriminator judges, ½ at the equilibrium in each; see `Adversarial`."""
        middle = 0.0 if self.game.logits else 0.5 * (r.mean() + f.mean())
        right = (r > f).to(r.dtype) + 0.5 * (r == f).to(r.dtype)
        return {
            "D(x)": torch.sigmoid(r - middle).mean(),
            "D(G(z))": torch.sigmoid(f - middle).mean(),
            "told apart": right.mean(),
        }


def measured(made: Sequence[Sides], otherwise: Sequence[Tensor] = (), of: str = "") -> dict[str, float]:
    """The mean distance of a value to the truth's, the mean PSNR in dB, and the heed.

    The heed is how much an answer changes when another example is given, as a share of how far the answers lie from
    each other: the mean |x̂(y) − x̂(y')| divided by the mean |x − x'|. It is near 1 where an answer is as much of
    what is given as the truth, and near 0 where nothing is made of it.

    Arguments:
        made: pairs with their answers.
        otherwise: the answers to what the example before is given.
        of: what follows the names of the distances, see `seisei.nn.gan.paired_augment.PairView`.

    Example:
        >>> y, x = torch.zeros(2, 1, 1, 1), torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        >>> told = measured([Sides(y, x, x + 0.1)], [x.roll(1, 0) + 0.1])
        >>> {name: round(value, 3) for name, value in told.items()}
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
