"""`Objective`, and the records it exchanges with the training loop: `Turn`, `Loss`, `FitResult`, `Progress`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from seisei.batch import Batch, Examples


class Loss(NamedTuple):
    """A loss to minimize, and values to log.

    Arguments:
        total: scalar, mean over examples of per-example sums (nats), so that averages over equal micro-batches are
            exact.
        parts: scalars by name, for the log.
    """

    total: Tensor
    parts: dict[str, Tensor]


class FitResult(NamedTuple):
    """Result of an EM step or closed-form fit.

    Arguments:
        total: see `Loss`.
        parts: see `Loss`.
        closed: whether it was a closed-form fit: another step changes nothing.
    """

    total: Tensor
    parts: dict[str, Tensor]
    closed: bool = False


# Largest gain of the last iteration, as a share of the loss, without a convergence warning.
CLOSE = 1e-4
# EM has converged when the mean log-likelihood changes by less, in nats or as a share of it.
STILL = 1e-7


class Progress:
    """Convergence of EM iterations.

    Example:
        >>> progress = Progress()
        >>> for loss in (3.0, 2.5, 2.5):
        ...     progress.add(loss)
        >>> progress.iterations, progress.ended, progress.unfinished
        (3, True, None)
    """

    def __init__(self) -> None:
        self.iterations, self.loss, self.gain, self.ended = 0, math.nan, math.nan, False

    def add(self, loss: float | None) -> None:
        """Record an iteration by the loss before it; None for a closed-form fit."""
        self.iterations += 1
        self.gain, self.loss = (0.0, math.nan) if loss is None else (self.loss - loss, loss)
        self.ended = loss is None or abs(self.gain) <= STILL * max(1.0, abs(loss))

    def to_json(self) -> dict[str, Any]:
        """As JSON-compatible data."""
        gain, loss = (None if math.isnan(value) else value for value in (self.gain, self.loss))
        return {"iterations": self.iterations, "loss": loss, "gain": gain, "ended": self.ended}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Progress:
        """Restore from `to_json`; from an empty dict, the initial state."""
        found, gain, loss = cls(), data.get("gain"), data.get("loss")
        found.iterations, found.ended = int(data.get("iterations", 0)), bool(data.get("ended", False))
        found.gain, found.loss = (math.nan if value is None else float(value) for value in (gain, loss))
        return found

    @property
    def unfinished(self) -> str | None:
        """Warning if the iterations were too few, else None."""
        if self.ended or not self.iterations or abs(self.gain) <= CLOSE * max(1.0, abs(self.loss)):
            return None
        gain = "" if math.isnan(self.gain) else f": the last one gained {self.gain:.2g} nats per example"
        return f"the fit did not converge in {self.iterations} iteration{'s' * (self.iterations != 1)}{gain}"


@dataclass(frozen=True)
class Turn:
    """One player's update. All objectives but adversarial ones have a single turn.

    Arguments:
        name: name of the player, its optimizer and its log entries.
        player: module whose parameters are updated; all others are constants.
        loss: function of (batch, t), t the fraction of training done; every schedule is a function of t.
        every: steps between two updates of this player.
        pace: factor of the learning rate.
        sweep: update by an EM step or closed-form fit instead of a gradient step. It gets all training examples,
            iterable repeatedly, and returns its loss. If all turns are of this kind, training ends on convergence.
        settle: called after each update with an all-reduce sum, or with None if the update was skipped: for state
            learned from statistics, as EMA codebooks.
    """

    name: str
    player: nn.Module
    loss: Callable[[Batch, float], Loss]
    every: int = 1
    pace: Callable[[], float] = lambda: 1.0
    sweep: Callable[[Examples], FitResult] | None = None
    settle: Callable[[Callable[[Tensor], Tensor] | None], None] | None = None


class Objective(nn.Module):
    """What a model is trained with: holds the model, and any player needed in training only.

    Arguments:
        model: the model to save. The objective calls whatever methods it needs; objectives never import models.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Typed as Any: recipes pair objectives and models by capability.
        self.model: Any = model

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss of a one-player objective."""
        raise TypeError(f"{type(self).__name__} has several turns, use turns()")

    def initialize(self, examples: Batch) -> None:
        """Initialize the model from some training examples, if it needs any."""
        if hasattr(self.model, "initialize"):
            self.model.initialize(examples)

    # Whether `adapt` is to be called after each validation.
    adapts = False
    # Validation scores for model selection, in order of preference; lower is better. Without any, the latest weights
    # are the best.
    decides: tuple[str, ...] = ()

    def adapt(self, found: float) -> None:
        """Adapt to the ``adapt`` value of `examine`, in every process alike."""

    def counter(self, trouble: str) -> str | None:
        """React to a problem found by the training watch, in every process alike.

        Arguments:
            trouble: ``unsteady``, one player overpowers the other; ``known``, the discriminator overfits;
                ``collapsed``, codes are unused.

        Returns:
            A description of the change; None if nothing can be done.
        """
        return None

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """Validation: mean ``loss`` of the last turn, and the means of its parts as ``scores``.

        Arguments:
            batches: held-out examples.
            known: as many training examples, for comparison.
        """
        turn, total, parts, count = self.turns()[-1], 0.0, dict[str, float](), sum(map(len, batches))
        for batch in batches:
            loss = turn.loss(batch, 1.0)
            total += float(loss.total) * len(batch) / count
            for name, value in loss.parts.items():
                parts[name] = parts.get(name, 0.0) + float(value) * len(batch) / count
        return {"loss": total, "scores": parts}

    def turns(self) -> list[Turn]:
        """The turns of a step, in order."""
        return [Turn("model", self.model, self.loss)]
