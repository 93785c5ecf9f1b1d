"""Three ways to a label.

    discriminant:    class = argmax_c s_c(x)                              a surface, and nothing but a class number
    discriminative:  p(y | x) = softmax_y s_y(x)                          how sure it is
    generative:      p(x | y) p(y) = p(x, y),  p(x) = Σ_y p(x, y),  p(y | x) = p(x, y)/p(x)

The last reaches the same answer by Bayes' rule, in which p(x) does not move the argmax, and can do what the others
cannot: draw examples of a class, say how likely an example is at all, and answer when a part of it is missing.

Reference: *On Discriminative vs. Generative Classifiers: A comparison of logistic regression and naive Bayes (Ng,
    Jordan, 2001)*.

Shapes: a batch's x (B, ...), y (B,) class numbers; scores and log-probabilities (B, C).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.nn.mlp import Shape
from seisei.spec import Range, listed

Classes = Annotated[int, Range(ge=2, le=100_000)]


@listed
class DiscriminantClassifier(nn.Module):
    """A surface between classes.

    Arguments:
        surface: gives every class a score, higher on its own side: of a batch, (B, C).
    """

    def __init__(self, surface: nn.Module) -> None:
        super().__init__()
        self.surface: Any = surface

    def decide(self, batch: Batch) -> Tensor:
        """The class, (B,)."""
        return torch.argmax(self.surface(batch), 1)

    @property
    def unfinished(self) -> str | None:
        """What to say of a fit that did not converge."""
        return getattr(self.surface, "unfinished", None)

    def sweep(self, examples: Examples) -> None:
        """Fit the surface to all examples."""
        self.surface.sweep(examples)


@listed
class DiscriminativeClassifier(nn.Module):
    """p(y | x).

    Arguments:
        trunk: gives every class a score: of a batch, (B, C).
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk: Any = trunk

    def log_posterior(self, batch: Batch) -> Tensor:
        """log p(y | x) of every class, (B, C)."""
        return torch.log_softmax(self.trunk(batch), 1)

    def decide(self, batch: Batch) -> Tensor:
        """The likeliest class, the first where several are, (B,)."""
        return likeliest(self.log_posterior(batch))

    @property
    def unfinished(self) -> str | None:
        """What to say of a fit that did not converge."""
        return getattr(self.trunk, "unfinished", None)

    def sweep(self, examples: Examples) -> None:
        """Fit the trunk to all examples, where it is one that is fitted in one go."""
        self.trunk.sweep(examples)


@listed
class Network(nn.Module):
    """A network as a trunk: scores of what is read of a batch.

    Arguments:
        layers: (B, ...) to (B, C).
        features: of a batch; None gives the network x as it is.
    """

    def __init__(self, layers: nn.Module, features: nn.Module | None = None) -> None:
        super().__init__()
        self.layers: Any = layers
        self.features = features

    def forward(self, batch: Batch) -> Tensor:
        """(B, C)."""
        found: Tensor = self.layers(self._read(batch))
        return found

    def before(self, batch: Batch) -> Tensor:
        """What the last layer reads: features in which classes lie apart, (B, F)."""
        found: Tensor = self.layers.before(self._read(batch))
        return found

    def _read(self, batch: Batch) -> Tensor:
        return batch.visible if self.features is None else self.features(batch)  # type: ignore[no-any-return]


@listed
class GenerativeClassifier(nn.Module):
    """Bayes' rule over any conditional density.

    Arguments:
        density: gives `log_prob(batch)`, the log of p(x | y) or a bound on it, and `sample(n, y)`; one that has
            `log_probs(batch)` gives all classes at once, one that has `log_ratios(batch)` gives them up to what all
            classes share, which the posterior does not need.
        classes: C.
        prior: p(y): the shares of the classes in training, or uniform.
        shape: of one x, where the density works on rows of its values; nothing leaves what it draws as it is.
        samples: importance samples behind a label, where the density gives a bound that tightens with them.
        max_shift: pixels by which an image may lie elsewhere, each way: log p(x | y) = log 1/S Σ_s p(T_s x | y) over
        all
            S = (2 · reach + 1)² moves T_s. Images move round the edge, so that p stays normalized. Where things lie
            is then a latent that is summed out exactly (*Transformation-Invariant Clustering Using the EM Algorithm
            (Frey, Jojic, 2003)*).

    Example:
        >>> from seisei.models.mixture import Mixture
        >>> from seisei.nn.densities.gaussian import Diagonal
        >>> model = GenerativeClassifier(Mixture(2, 1, 3, Diagonal(2, 3)), 2)
        >>> batch = Batch(torch.zeros(4, 3))
        >>> model.log_joint(batch).shape, bool((model.log_prob(batch) == model.log_joint(batch).logsumexp(1)).all())
        (torch.Size([4, 2]), True)
    """

    log_prior: Tensor

    def __init__(
        self,
        density: nn.Module,
        classes: Classes,
        prior: Literal["data", "uniform"] = "data",
        shape: Shape | None = None,
        samples: Annotated[int, Range(ge=1, le=100_000)] = 16,
        max_shift: Annotated[int, Range(ge=0, le=8)] = 0,
    ) -> None:
        super().__init__()
        self.density: Any = density
        self.classes, self.prior, self.shape, self.samples = classes, prior, shape, samples
        places = range(-max_shift, max_shift + 1)
        self.moves = [(down, right) for down in places for right in places]
        self.register_buffer("log_prior", torch.full((classes,), 1 / classes, dtype=torch.float64).log())

    @property
    def log_prob_is_bound(self) -> bool:
        """Whether log p(x | y) is a bound."""
        return bool(self.density.log_prob_is_bound)

    def initialize(self, examples: Batch) -> None:
        """Let the density look at some examples."""
        if hasattr(self.density, "initialize"):
            self.density.initialize(examples)

    def log_joint(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(x, y) for every y, (B, C)."""
        total: Tensor | None = None
        for move in self.moves:
            moved = Batch(_roll(batch.x, move), None, None if batch.mask is None else _roll(batch.mask, move))
            found = self._log_probs(moved, samples or self.samples)
            total = found if total is None else torch.logaddexp(total, found)
        assert total is not None
        joint = total - math.log(len(self.moves)) + self.log_prior
        # So far away that single precision has no number for its square, an example is as unlikely as can be.
        return torch.where(joint.isnan(), -math.inf, joint)

    def _log_probs(self, batch: Batch, samples: int) -> Tensor:
        """log p(x | y) for every y, of images where they are, (B, C)."""
        if hasattr(self.density, "log_probs"):
            all_at_once: Tensor = self.density.log_probs(batch)
            return all_at_once
        each = []
        for c in range(self.classes):
            y = torch.full((len(batch),), c, device=batch.x.device)
            each.append(self.density.log_prob(Batch(batch.x, y, batch.mask), samples=samples))
        return torch.stack(each, 1)

    def moved(self, batch: Batch) -> Batch:
        """Each image at a place drawn by chance; everything as it is where images do not move."""
        if len(self.moves) == 1:
            return batch
        return self._at(batch, seeds.uniform(len(batch), 1, device=batch.x.device)[:, 0])

    def _at(self, batch: Batch, u: Tensor) -> Batch:
        """Each image at the place that its number in [0, 1) stands for."""
        if len(self.moves) == 1:
            return batch
        by = torch.tensor(self.moves, device=batch.x.device)[(u * len(self.moves)).long().to(batch.x.device)]
        return Batch(_roll_each(batch.x, by), batch.y, None if batch.mask is None else _roll_each(batch.mask, by))

    def log_posterior(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(y | x), (B, C)."""
        if len(self.moves) == 1 and hasattr(self.density, "log_ratios"):
            ratios: Tensor = self.density.log_ratios(batch)
            return (ratios + self.log_prior).log_softmax(1)
        joint = self.log_joint(batch, samples=samples)
        # Of an example that no class has a likelihood for only p(y) is left.
        return torch.where(joint.isfinite().any(1, keepdim=True), joint, self.log_prior.to(joint)).log_softmax(1)

    def log_prob(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(x) = log Σ_y p(x, y), (B,)."""
        return torch.logsumexp(self.log_joint(batch, samples=samples), 1)

    def decide(self, batch: Batch) -> Tensor:
        """The likeliest class by `log_posterior`, the first where several are, (B,)."""
        return likeliest(self.log_posterior(batch))

    def draw_labels(self, n: int) -> Tensor:
        """n classes drawn from p(y)."""
        reached = self.log_prior.exp().cumsum(0)
        u = seeds.uniform(n, 1, device=reached.device).to(reached.dtype)
        return (u > reached[:-1]).sum(1)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, **knobs: Any) -> Tensor:
        """n examples of these classes, or of classes drawn from p(y); knobs are the density's own."""
        y = self.draw_labels(n) if y is None else y
        x: Tensor = self.density.sample(n, y, temperature=temperature, **knobs)
        return self.moved(Batch((torch.unflatten(x, 1, self.shape) if self.shape else x).float())).x

    # ---- how it learns

    @torch.no_grad()
    def count(self, examples: Examples) -> None:
        """Take p(y) from the labels."""
        total = torch.zeros_like(self.log_prior)
        for batch in examples():
            if batch.y is not None:
                total += torch.bincount(batch.y[batch.y >= 0], minlength=self.classes)
        if self.prior == "data":
            self.log_prior.copy_((total / total.sum().clamp_min(1)).log().clamp_min(-700.0))

    def sweep(self, examples: Examples) -> Tensor | None:
        """One round of fitting, of a density that is fitted without gradients; each image at a place of its own.

        Returns:
            The mean log-likelihood before the round, where it was computed on the way.
        """
        self.count(examples)
        found: Tensor | None = self.density.sweep(lambda: self._placed(examples()), self.log_prior)
        return found

    def _placed(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Each image at a place drawn by chance, the same one in every round."""
        chance = seeds.generator("places")
        return (self._at(batch, torch.rand(len(batch), generator=chance)) for batch in batches)


def likeliest(log_posterior: Tensor) -> Tensor:
    """The class of the highest probability, (B,): of what is told, so that the first is chosen where two are equal."""
    return log_posterior.double().exp().argmax(1)


def _roll(x: Tensor, move: tuple[int, int]) -> Tensor:
    """Images (..., H, W) moved round the edge."""
    return x if move == (0, 0) else torch.roll(x, move, (-2, -1))


def _roll_each(images: Tensor, by: Tensor) -> Tensor:
    """(B, C, H, W), each moved round the edge by its own row of (B, 2)."""
    b, c, h, w = images.shape
    rows = (torch.arange(h, device=by.device) - by[:, :1]) % h
    columns = (torch.arange(w, device=by.device) - by[:, 1:]) % w
    found = images.gather(2, rows[:, None, :, None].expand(b, c, h, w))
    return found.gather(3, columns[:, None, None, :].expand(b, c, h, w))
