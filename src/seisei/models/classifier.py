"""Three kinds of classifiers: discriminant functions, discriminative models, generative models.

    discriminant:    class = argmax_c s_c(x)                              a class without probabilities
    discriminative:  p(y | x) = softmax_y s_y(x)                          class probabilities
    generative:      p(x | y) p(y) = p(x, y),  p(x) = Σ_y p(x, y),  p(y | x) = p(x, y)/p(x)

A generative model gets p(y | x) by Bayes' rule, in which p(x) does not change the argmax. It can do what the others
cannot: sample examples of a class, score the likelihood of an example (outlier detection), and classify with missing
values.

Reference: *On Discriminative vs. Generative Classifiers: A comparison of logistic regression and naive Bayes (Ng,
    Jordan, 2001)*.

Shapes: a batch's x (B, ...), y (B,) class labels; scores and log-probabilities (B, C).
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
    """A discriminant function: predicts a class without probabilities.

    Arguments:
        surface: scores each class, higher on its own side: of a batch, (B, C).
    """

    def __init__(self, surface: nn.Module) -> None:
        super().__init__()
        self.surface: Any = surface

    def decide(self, batch: Batch) -> Tensor:
        """Predicted classes, (B,)."""
        return torch.argmax(self.surface(batch), 1)

    @property
    def unfinished(self) -> str | None:
        """Message if the fit did not converge."""
        return getattr(self.surface, "unfinished", None)

    def sweep(self, examples: Examples) -> None:
        """Fit to all examples."""
        self.surface.sweep(examples)


@listed
class DiscriminativeClassifier(nn.Module):
    """A model of p(y | x).

    Arguments:
        trunk: scores each class: of a batch, (B, C).
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk: Any = trunk

    def log_posterior(self, batch: Batch) -> Tensor:
        """log p(y | x) of every class, (B, C)."""
        return torch.log_softmax(self.trunk(batch), 1)

    def decide(self, batch: Batch) -> Tensor:
        """The most probable class, the first in a tie, (B,)."""
        return likeliest(self.log_posterior(batch))

    @property
    def unfinished(self) -> str | None:
        """Message if the fit did not converge."""
        return getattr(self.trunk, "unfinished", None)

    def sweep(self, examples: Examples) -> None:
        """Fit the trunk to all examples, if it is fitted in closed form."""
        self.trunk.sweep(examples)


@listed
class Network(nn.Module):
    """A network as a trunk: class scores from the features of a batch.

    Arguments:
        layers: (B, ...) to (B, C).
        features: input features of a batch; None passes x itself.
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
        """Input of the last layer (penultimate features), (B, F)."""
        found: Tensor = self.layers.before(self._read(batch))
        return found

    def _read(self, batch: Batch) -> Tensor:
        return batch.visible if self.features is None else self.features(batch)  # type: ignore[no-any-return]


@listed
class GenerativeClassifier(nn.Module):
    """Bayes' rule over any class-conditional density.

    Arguments:
        density: has `log_prob(batch)`, log p(x | y) or a lower bound, and `sample(n, y)`; optional `log_probs(batch)`
            gives all classes at once, optional `log_ratios(batch)` gives them up to a shared term, which suffices for
            the posterior.
        classes: C.
        prior: p(y): class frequencies of the training data, or uniform.
        shape: shape of one x, if the density works on flat rows; None leaves its samples as they are.
        samples: importance samples per class, if the density's bound tightens with them.
        max_shift: largest translation of an image in pixels, each way: log p(x | y) = log 1/S Σ_s p(T_s x | y) over all
            S = (2 · max_shift + 1)² translations T_s. They are circular, so that p stays normalized. The translation is
            thus a latent that is marginalized exactly (*Transformation-Invariant Clustering Using the EM Algorithm
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
        shifts = range(-max_shift, max_shift + 1)
        self.moves = [(down, right) for down in shifts for right in shifts]
        self.register_buffer("log_prior", torch.full((classes,), 1 / classes, dtype=torch.float64).log())

    @property
    def log_prob_is_bound(self) -> bool:
        """Whether log p(x | y) is a bound."""
        return bool(self.density.log_prob_is_bound)

    def initialize(self, examples: Batch) -> None:
        """Initialize the density from some examples."""
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
        # Far from the data the square overflows single precision: the likelihood is 0.
        return torch.where(joint.isnan(), -math.inf, joint)

    def _log_probs(self, batch: Batch, samples: int) -> Tensor:
        """log p(x | y) for every y, without translation, (B, C)."""
        if hasattr(self.density, "log_probs"):
            all_at_once: Tensor = self.density.log_probs(batch)
            return all_at_once
        each = []
        for c in range(self.classes):
            y = torch.full((len(batch),), c, device=batch.x.device)
            each.append(self.density.log_prob(Batch(batch.x, y, batch.mask), samples=samples))
        return torch.stack(each, 1)

    def moved(self, batch: Batch) -> Batch:
        """Each image randomly translated; unchanged if translations are off."""
        if len(self.moves) == 1:
            return batch
        return self._at(batch, seeds.uniform(len(batch), 1, device=batch.x.device)[:, 0])

    def _at(self, batch: Batch, u: Tensor) -> Batch:
        """Each image translated as its number in [0, 1) selects."""
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
        # If no class gives an example any likelihood, only p(y) is left.
        return torch.where(joint.isfinite().any(1, keepdim=True), joint, self.log_prior.to(joint)).log_softmax(1)

    def log_prob(self, batch: Batch, *, samples: int | None = None) -> Tensor:
        """log p(x) = log Σ_y p(x, y), (B,)."""
        return torch.logsumexp(self.log_joint(batch, samples=samples), 1)

    def decide(self, batch: Batch) -> Tensor:
        """The most probable class by `log_posterior`, the first in a tie, (B,)."""
        return likeliest(self.log_posterior(batch))

    def draw_labels(self, n: int) -> Tensor:
        """n classes sampled from p(y)."""
        reached = self.log_prior.exp().cumsum(0)
        u = seeds.uniform(n, 1, device=reached.device).to(reached.dtype)
        return (u > reached[:-1]).sum(1)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, **options: Any) -> Tensor:
        """n examples of these classes, or of classes sampled from p(y); further options are passed to the density."""
        y = self.draw_labels(n) if y is None else y
        x: Tensor = self.density.sample(n, y, temperature=temperature, **options)
        return self.moved(Batch((torch.unflatten(x, 1, self.shape) if self.shape else x).float())).x

    # ---- fitting

    @torch.no_grad()
    def count(self, examples: Examples) -> None:
        """Estimate p(y) from the labels."""
        total = torch.zeros_like(self.log_prior)
        for batch in examples():
            if batch.y is not None:
                total += torch.bincount(batch.y[batch.y >= 0], minlength=self.classes)
        if self.prior == "data":
            self.log_prior.copy_((total / total.sum().clamp_min(1)).log().clamp_min(-700.0))

    def sweep(self, examples: Examples) -> Tensor | None:
        """One EM step (or closed-form fit) of a density that is fitted without gradients.

        Each image is at a random translation, the same in every step.

        Returns:
            Mean log-likelihood before the step, if it was computed on the way.
        """
        self.count(examples)
        found: Tensor | None = self.density.sweep(lambda: self._placed(examples()), self.log_prior)
        return found

    def _placed(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Each image randomly translated, in the same way in every iteration."""
        chance = seeds.generator("places")
        return (self._at(batch, torch.rand(len(batch), generator=chance)) for batch in batches)


def likeliest(log_posterior: Tensor) -> Tensor:
    """The most probable class, (B,); probabilities are compared as reported, so that the first wins a tie."""
    return log_posterior.double().exp().argmax(1)


def _roll(x: Tensor, move: tuple[int, int]) -> Tensor:
    """Images (..., H, W) translated circularly."""
    return x if move == (0, 0) else torch.roll(x, move, (-2, -1))


def _roll_each(images: Tensor, by: Tensor) -> Tensor:
    """(B, C, H, W), each translated circularly by its row of (B, 2)."""
    b, c, h, w = images.shape
    rows = (torch.arange(h, device=by.device) - by[:, :1]) % h
    columns = (torch.arange(w, device=by.device) - by[:, 1:]) % w
    found = images.gather(2, rows[:, None, :, None].expand(b, c, h, w))
    return found.gather(3, columns[:, None, None, :].expand(b, c, h, w))
