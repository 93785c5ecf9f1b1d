"""Generator against discriminator: two turns, each moving its own player only.

See `seisei.objectives.gan_losses` for what each descends. The discriminator's cost has γ/2 · E‖∇D‖² on real (R1) and
on drawn examples (R2) beside the game's, and the generator nothing.
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
from seisei.objectives.gan_losses import GAN_LOSSES, judged, slope_off_one
from seisei.objectives.shared_forward import SharedForward
from seisei.spec import Range, listed

# Examples that are compared with each other, and the fewest of a kind that say something.
LOOKED_AT, FEWEST = 1024, 16
# What a penalty starts at where a game has none; the slowest that a discriminator is made.
GENTLE, SLOWEST = 0.1, 0.125
# The part of training over which a penalty falls, where it does.
FALLEN = 0.8
KNOWN = "training told from held out"
Weight = Annotated[float, Range(ge=0, le=1e6)]


@listed
class Adversarial(Objective):
    """min_G max_D, in turns.

    Arguments:
        model: the generator; gives `view` and `draw`.
        discriminator: (what is seen, y) to (B,).
        game: what both play for.
        on_real: γ of R1, the penalty on the discriminator's slope at real examples.
        on_drawn: γ of R2, the same at drawn ones.
        off_one: λ of the penalty on slopes other than 1 between the two, of the Wasserstein game.
        discriminator_moves: of the discriminator for each of the generator.
        again: the generator moves by the examples that the discriminator has just judged, which saves drawing others;
        only
            where it moves at every step.
        share: of the batch at whose examples slopes are taken: penalties cost less, and vary more.
        falls: what γ falls to, as a share: geometrically, over the first four fifths of training. Smoothness helps at
            first; at last it keeps the discriminator from seeing how narrow a mode is.
        augment: what real and drawn examples go through before the discriminator sees them.
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
        # Draws of the discriminator's move with their gradient, for the generator's by the same part of the batch.
        self._kept = SharedForward()
        # What `counter` has come to: γ beside those given, and the pace of the discriminator.
        self.register_buffer("more", torch.zeros(()))
        self.register_buffer("slower", torch.ones(()))

    @property
    def adapts(self) -> bool:  # type: ignore[override]
        """Whether the changes grow and shrink."""
        return self.augment is not None and bool(self.augment.adapts)

    def adapt(self, found: float) -> None:
        """Change examples more where the discriminator knows those of training by heart."""
        self.augment.adapt(found)

    def counter(self, trouble: str) -> str | None:
        """Against a discriminator that knows the data, more changes of them; else larger penalties and a slower
        discriminator.
        """
        if trouble == "known" and self.augment is not None and float(self.augment.strength) < STRONGEST:
            self.augment.strength.add_(0.1).clamp_(max=STRONGEST)
            return f"augmentation is {float(self.augment.strength):.2f} now"
        if float(self.slower) <= SLOWEST:
            return None
        self.more.copy_((2 * self.more).clamp_min(max(self.on_real, GENTLE)))
        self.slower.mul_(0.71)
        real, pace = self.on_real + float(self.more), float(self.slower)
        return f"the penalty is {real:.3g} now, and the discriminator's learning rate {pace:.2f} of the generator's"

    def changed(self, x: Tensor) -> Tensor:
        """Examples as the discriminator is shown them in training."""
        return x if self.augment is None else self.augment(x)

    def turns(self) -> list[Turn]:
        """The discriminator, then the generator."""
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss, pace=lambda: float(self.slower)),
            Turn("generator", self.model, self.generator_loss, every=self.discriminator_moves),
        ]

    def verdicts(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Real and drawn examples as the discriminator sees them, and what it says of them: r and f, (B,)."""
        seen, drawn = self._both(batch)
        return seen, drawn, *self.discriminator(torch.cat([seen, drawn]), _twice(batch.y)).chunk(2)

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        """What the discriminator descends; its parts say how well it tells real from drawn."""
        seen, drawn = (self.changed(x) for x in self._both(batch))
        r, f, slopes = self._judged(seen, drawn, batch.y)
        total = cost = self.game.discriminator(r, f)
        parts = {"cost": cost.detach(), **self._told(r.detach(), f.detach())}
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
            off = slope_off_one(lambda x: self.discriminator(x, y), seen[some], drawn[some], u).mean()
            total = total + self.off_one * off
            parts["slope off one"] = off.detach()
        return Loss(total, parts)

    def _both(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and drawn examples, as the discriminator sees them."""
        with torch.no_grad():
            seen = self.model.view.of(batch)
            if not self.again or torch.compiler.is_compiling():
                return seen, self.model.draw(len(batch), batch.y)
        return seen, self._drawn(batch)

    def _drawn(self, batch: Batch) -> Tensor:
        """Draws for both moves."""
        drawn: Tensor = self._kept.made(batch.x, self.model, lambda: self.model.draw(len(batch), batch.y))
        return drawn.detach()

    def _penalized(self, count: int) -> int:
        return max(1, round(self.share * count))

    def _judged(self, seen: Tensor, drawn: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """r and f, (B,), and the slopes at the first real and drawn examples, where those are penalized."""
        if not (self.on_real or self.on_drawn or float(self.more)):
            return *self.discriminator(torch.cat([seen, drawn]), _twice(y)).chunk(2), None
        some = self._penalized(len(seen))
        first, last = (None, None) if y is None else (_twice(y[:some]), _twice(y[some:]))
        verdicts, slopes = judged(lambda x: self.discriminator(x, first), torch.cat([seen[:some], drawn[:some]]))
        r, f = verdicts.chunk(2)
        if some < len(seen):
            more = self.discriminator(torch.cat([seen[some:], drawn[some:]]), last).chunk(2)
            r, f = torch.cat([r, more[0]]), torch.cat([f, more[1]])
        return r, f, slopes

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        """What the generator descends."""
        kept = self._kept.taken(batch.x)
        drawn = self.changed(kept if isinstance(kept, Tensor) else self.model.draw(len(batch), batch.y))
        if self.game.paired:
            with torch.no_grad():
                r = self.discriminator(self.changed(self.model.view.of(batch)), batch.y)
        else:
            r = drawn.new_zeros(len(batch))
        return Loss(self.game.generator(r, self.discriminator(drawn, batch.y)), {})

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """How the discriminator judges held-out examples, training examples and fresh draws, and how varied these are.

        A loss that falls when training goes well there is none in a game. The diversity is the median distance of a
        drawn example to the nearest other one, divided by the same of real examples: 1 for the data's own
        distribution, near 0 where many draws are one. Of kinds it is that of the least varied one. What is missed, see
        `missed`.
        """
        told = [self.verdicts(batch) for batch in batches]
        seen, drawn, r, f = (torch.cat(parts) for parts in zip(*told, strict=True))
        scores = {name: float(value) for name, value in self._told(r, f).items()}
        trained = torch.cat([self.discriminator(self.model.view.of(batch), batch.y) for batch in known()])
        scores[KNOWN] = _higher(trained, r)
        real, fake = (x[:LOOKED_AT].flatten(1) for x in (seen, drawn))
        if len(real) > 1:  # One example has no other to be apart from.
            scores["diversity"] = _spread(fake) / max(1e-12, _spread(real))
            scores["missed"] = missed(real, fake)
        if self.model.classes and batches[0].y is not None and not batches[0].y.is_floating_point():
            y = torch.cat([batch.y for batch in batches if batch.y is not None])[:LOOKED_AT]
            inside = [
                (_spread(fake[y == kind]) / max(1e-12, _spread(real[y == kind])), int(kind))
                for kind in y.unique()  # type: ignore[no-untyped-call]
                if int((y == kind).sum()) >= FEWEST
            ]
            if inside:
                scores["diversity of the least varied kind"], kind = min(inside)
                return {"scores": scores, "least_varied": kind, "adapt": scores[KNOWN]}
        return {"scores": scores, "adapt": scores[KNOWN]}

    def _told(self, r: Tensor, f: Tensor) -> dict[str, Tensor]:
        """How the discriminator judges, ½ at the equilibrium in each: D(x) and D(G(z)), and how many pairs it gets
        right.

        Where the discriminator's numbers have no zero of their own, they are taken from the middle between real and
        drawn.
        """
        middle = 0.0 if self.game.logits else 0.5 * (r.mean() + f.mean())
        right = (r > f).to(r.dtype) + 0.5 * (r == f).to(r.dtype)
        return {
            "D(x)": torch.sigmoid(r - middle).mean(),
            "D(G(z))": torch.sigmoid(f - middle).mean(),
            "told apart": right.mean(),
        }


def _spread(x: Tensor) -> float:
    """The median distance to the nearest other one."""
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf)
    return float(apart.min(1).values.median())


def missed(real: Tensor, drawn: Tensor) -> float:
    """The share of real examples, (N, D), that lie where at most an eighth as many are drawn.

    Some real examples, one of sixteen, stand for the regions nearest to them.

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
    """The share of pairs of a and b in which a is higher, ties counting half."""
    return float(torch.sign(a[:, None] - b).mean() / 2 + 0.5)


def _twice(y: Tensor | None) -> Tensor | None:
    return None if y is None else torch.cat([y, y])
