"""GAN training: generator and discriminator in alternating turns, each updating its own parameters only.

See `seisei.objectives.gan_losses` for the losses. The discriminator loss adds gradient penalties γ/2 · E‖∇D‖² at real
(R1) and generated examples (R2); the generator loss has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.gan.augment import STRONGEST
from seisei.objectives.base import Loss, Objective, Turn
from seisei.objectives.gan_losses import GAN_LOSSES, output_and_gradient_norm, wgan_gp
from seisei.objectives.shared_forward import SharedForward
from seisei.spec import Range, listed

# Examples compared for diversity, and the fewest per class for which it is reported.
LOOKED_AT, FEWEST = 1024, 16
# Initial gradient penalty in `counter` if there was none; smallest learning-rate factor of the discriminator.
GENTLE, SLOWEST = 0.1, 0.125
# Fraction of training over which the gradient penalty decays.
FALLEN = 0.8
KNOWN = "training told from held out"
Weight = Annotated[float, Range(ge=0, le=1e6)]


@listed
class Adversarial(Objective):
    """GAN training, min_G max_D, in alternating turns.

    Arguments:
        model: the generator; has `view` and `draw`.
        discriminator: (input, y) to logits (B,).
        game: the GAN loss.
        on_real: γ of R1, the gradient penalty at real examples.
        on_drawn: γ of R2, the gradient penalty at generated examples.
        off_one: λ of the WGAN-GP gradient penalty, for the Wasserstein loss.
        discriminator_moves: discriminator steps per generator step.
        again: reuse the discriminator step's generated examples in the generator step, which saves a forward pass; only
            with one discriminator step per generator step.
        share: share of the batch that gradient penalties are computed on: cheaper, with more variance.
        falls: final share of γ, reached by exponential decay over the first four fifths of training. Smoothness helps
            early; later it keeps the discriminator from seeing narrow modes.
        augment: augmentation of real and generated examples before the discriminator.
    """

    more: Tensor
    slower: Tensor

    def __init__(
        self,
        model: nn.Module,
        discriminator: nn.Module,
        game: Literal[
            "minimax", "non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"
        ] = "relativistic",
        on_real: Weight = 1.0,
        on_drawn: Weight = 1.0,
        off_one: Weight = 0.0,
        discriminator_moves: Annotated[int, Range(ge=1, le=1000)] = 1,
        again: bool = True,
        share: Annotated[float, Range(gt=0, le=1)] = 1.0,
        falls: Annotated[float, Range(gt=0, le=1)] = 1.0,
        augment: nn.Module | None = None,
    ) -> None:
        super().__init__(model)
        self.augment: Any = augment
        self.discriminator: Any = discriminator
        self.game = GAN_LOSSES[game]
        self.on_real, self.on_drawn, self.off_one = on_real, on_drawn, off_one
        self.discriminator_moves, self.share, self.falls = discriminator_moves, share, falls
        self.again = again and discriminator_moves == 1
        # The discriminator step's generated examples, with gradient, for the generator step on the same micro-batch.
        self._kept = SharedForward()
        # State of `counter`: increase of γ, and learning-rate factor of the discriminator.
        self.register_buffer("more", torch.zeros(()))
        self.register_buffer("slower", torch.ones(()))

    @property
    def adapts(self) -> bool:  # type: ignore[override]
        """Whether the augmentation probability adapts."""
        return self.augment is not None and bool(self.augment.adapts)

    def adapt(self, found: float) -> None:
        """Raise the augmentation probability if the discriminator overfits."""
        self.augment.adapt(found)

    def counter(self, trouble: str) -> str | None:
        """Against an overfitting discriminator: more augmentation, else a larger gradient penalty."""
        if trouble == "known" and self.augment is not None and float(self.augment.strength) < STRONGEST:
            self.augment.strength.add_(0.1).clamp_(max=STRONGEST)
            return f"the augmentation probability is now {float(self.augment.strength):.2f}"
        if float(self.slower) <= SLOWEST:
            return None
        self.more.copy_((2 * self.more).clamp_min(max(self.on_real, GENTLE)))
        self.slower.mul_(0.71)
        penalty, pace = f"{self.on_real + float(self.more):.3g}", f"{float(self.slower):.2f}"
        return f"the gradient penalty is now {penalty}, and the discriminator's learning rate {pace} of the generator's"

    def changed(self, x: Tensor) -> Tensor:
        """Augmented examples."""
        return x if self.augment is None else self.augment(x)

    def turns(self) -> list[Turn]:
        """Discriminator, then generator."""
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss, pace=lambda: float(self.slower)),
            Turn("generator", self.model, self.generator_loss, every=self.discriminator_moves),
        ]

    def verdicts(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Real and generated examples as discriminator inputs, and their logits r and f, (B,)."""
        seen, drawn = self._both(batch)
        return seen, drawn, *self.discriminator(torch.cat([seen, drawn]), _twice(batch.y)).chunk(2)

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """Discriminator loss; its parts are discriminator accuracy and gradient norms."""
        seen, drawn = (self.changed(x) for x in self._both(batch))
        r, f, slopes = self._judged(seen, drawn, batch.y)
        total = cost = self.game.discriminator(r, f)
        parts = {"cost": cost.detach(), **self._accuracy(r.detach(), f.detach())}
        if slopes is not None:
            real, fake = (part.mean() for part in slopes.chunk(2))
            weighted = (self.on_real + self.more) * real + (self.on_drawn + self.more) * fake
            total = total + 0.5 * self.falls ** min(1.0, t / FALLEN) * weighted
            parts |= {"slope at real": real.detach().sqrt(), "slope at drawn": fake.detach().sqrt()}
        if self.augment is not None:
            parts["augmentation"] = self.augment.strength.clone()
        if self.off_one:
            some = slice(self._penalized(len(batch)))
            y, u = batch.y if batch.y is None else batch.y[some], seeds.uniform(len(batch), device=seen.device)[some]
            off = wgan_gp(lambda x: self.discriminator(x, y), seen[some], drawn[some], u).mean()
            total = total + self.off_one * off
            parts["slope off one"] = off.detach()
        return Loss(total, parts)

    def _both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and generated examples, as discriminator inputs."""
        with torch.no_grad():
            seen = self.model.view.of(batch)
            if not self.again or torch.compiler.is_compiling():
                return seen, self.model.draw(len(batch), batch.y)
        return seen, self._drawn(batch)

    def _drawn(self, batch: Batch) -> Tensor:
        """Generated examples shared by both steps."""
        drawn: Tensor = self._kept.made(batch.x, self.model, lambda: self.model.draw(len(batch), batch.y))
        return drawn.detach()

    def _penalized(self, count: int) -> int:
        return max(1, round(self.share * count))

    def _judged(self, seen: Tensor, drawn: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits r and f, (B,), and squared gradient norms at the first real and generated examples, if penalized."""
        if not (self.on_real or self.on_drawn or float(self.more)):
            return *self.discriminator(torch.cat([seen, drawn]), _twice(y)).chunk(2), None
        some = self._penalized(len(seen))
        first, last = (None, None) if y is None else (_twice(y[:some]), _twice(y[some:]))
        verdicts, slopes = output_and_gradient_norm(
            lambda x: self.discriminator(x, first), torch.cat([seen[:some], drawn[:some]])
        )
        r, f = verdicts.chunk(2)
        if some < len(seen):
            more = self.discriminator(torch.cat([seen[some:], drawn[some:]]), last).chunk(2)
            r, f = torch.cat([r, more[0]]), torch.cat([f, more[1]])
        return r, f, slopes

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        """Generator loss."""
        kept = self._kept.taken(batch.x)
        drawn = self.changed(kept if isinstance(kept, Tensor) else self.model.draw(len(batch), batch.y))
        if self.game.paired:
            with torch.no_grad():
                r = self.discriminator(self.changed(self.model.view.of(batch)), batch.y)
        else:
            r = drawn.new_zeros(len(batch))
        return Loss(self.game.generator(r, self.discriminator(drawn, batch.y)), {})

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """Discriminator outputs on held-out, training and generated examples, and the diversity of samples.

        GANs have no loss that decreases as training progresses. Diversity is the median nearest-neighbor distance among
        generated examples divided by that among real ones: 1 for the data distribution, near 0 under mode collapse.
        With classes it is also reported for the least diverse one. For dropped modes see `missed`.
        """
        outputs = [self.verdicts(batch) for batch in batches]
        seen, drawn, r, f = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        scores = {name: float(value) for name, value in self._accuracy(r, f).items()}
        trained = torch.cat([self.discriminator(self.model.view.of(batch), batch.y) for batch in known()])
        scores[KNOWN] = _higher(trained, r)
        real, fake = (x[:LOOKED_AT].flatten(1) for x in (seen, drawn))
        if len(real) > 1:  # A single example has no neighbor.
            scores["diversity"] = _spread(fake) / max(1e-12, _spread(real))
            scores["missed"] = missed(real, fake)
        if self.model.classes and batches[0].y is not None and not batches[0].y.is_floating_point():
            y = torch.cat([batch.y for batch in batches if batch.y is not None])[:LOOKED_AT]
            by_class = [
                (_spread(fake[y == label]) / max(1e-12, _spread(real[y == label])), int(label))
                for label in y.unique()  # type: ignore[no-untyped-call]
                if int((y == label).sum()) >= FEWEST
            ]
            if by_class:
                scores["diversity of the least varied kind"], label = min(by_class)
                return {"scores": scores, "least_varied": label, "adapt": scores[KNOWN]}
        return {"scores": scores, "adapt": scores[KNOWN]}

    def _accuracy(self, r: Tensor, f: Tensor) -> dict[str, Tensor]:
        """Discriminator outputs: mean D(x) and D(G(z)), and accuracy on pairs (`told apart`); all ½ at the equilibrium.

        For losses whose outputs are not logits, the midpoint between real and generated serves as zero.
        """
        middle = 0.0 if self.game.logits else 0.5 * (r.mean() + f.mean())
        right = (r > f).to(r.dtype) + 0.5 * (r == f).to(r.dtype)
        return {
            "D(x)": torch.sigmoid(r - middle).mean(),
            "D(G(z))": torch.sigmoid(f - middle).mean(),
            "told apart": right.mean(),
        }


def _spread(x: Tensor) -> float:
    """Median nearest-neighbor distance."""
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf)
    return float(apart.min(1).values.median())


def missed(real: Tensor, drawn: Tensor) -> float:
    """Share of real examples, (N, D), in regions with at most an eighth as many generated ones: dropped modes.

    Regions are the nearest-neighbor cells of every sixteenth real example.

    Example:
        >>> real = torch.tensor([[0.0], [9.0]]).repeat_interleave(64, 0)
        >>> missed(real, real), missed(real, 0 * real)
        (0.0, 0.5)
    """
    marks = real[:: max(1, len(real) // max(2, min(64, len(real) // 16)))].unique(dim=0)  # type: ignore[no-untyped-call]
    there, made = (
        torch.bincount(torch.cdist(x, marks).argmin(1), minlength=len(marks)).double() / len(x) for x in (real, drawn)
    )
    return float(there[made * 8 <= there].sum())


def _higher(a: Tensor, b: Tensor) -> float:
    """Share of pairs of a and b in which a is higher, ties counting half."""
    return float(torch.sign(a[:, None] - b).mean() / 2 + 0.5)


def _twice(y: Tensor | None) -> Tensor | None:
    return None if y is None else torch.cat([y, y])
