"""What every objective is, and the records between it and the loop: `Objective`, `Turn`, `Loss`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from seisei.batch import Batch, Examples


class Loss(NamedTuple):
    """What a turn descends, and what it reports.

    Arguments:
        total: a scalar, the mean over examples of per-example sums (nats), so that averages over equal parts are exact.
        parts: scalars by name, for the log.
    """

    total: Tensor
    parts: dict[str, Tensor]


class FitResult(NamedTuple):
    """What a sweep reports.

    Arguments:
        total: see `Loss`.
        parts: see `Loss`.
        closed: whether it was a closed form, after which another sweep changes nothing.
    """

    total: Tensor
    parts: dict[str, Tensor]
    closed: bool = False


# A fit that gained less with its last iteration, as a share of its loss, is not worth a warning where it was stopped.
CLOSE = 1e-4
# A round that changes the mean log-likelihood of an example by less, in nats or as a share of it, is the last.
STILL = 1e-7


class Progress:
    """How far rounds of fitting have come: whether another one would change anything.

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
        """Take in a round: the loss before it, None where it was a closed form."""
        self.iterations += 1
        self.gain, self.loss = (0.0, math.nan) if loss is None else (self.loss - loss, loss)
        self.ended = loss is None or abs(self.gain) <= STILL * max(1.0, abs(loss))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        gain, loss = (None if math.isnan(value) else value for value in (self.gain, self.loss))
        return {"iterations": self.iterations, "loss": loss, "gain": gain, "ended": self.ended}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Progress:
        """What `to_json` wrote; of nothing, the beginning."""
        found, gain, loss = cls(), data.get("gain"), data.get("loss")
        found.iterations, found.ended = int(data.get("iterations", 0)), bool(data.get("ended", False))
        found.gain, found.loss = (math.nan if value is None else float(value) for value in (gain, loss))
        return found

    @property
    def unfinished(self) -> str | None:
        """What to say of rounds that were too few, None where they were enough."""
        if self.ended or not self.iterations or abs(self.gain) <= CLOSE * max(1.0, abs(self.loss)):
            return None
        gain = "" if math.isnan(self.gain) else f": the last one gained {self.gain:.2g} nats an example"
        return f"the fit did not converge in {self.iterations} iteration{'s' * (self.iterations != 1)}{gain}"


@dataclass(frozen=True)
class Turn:
    """One player moving once. Everything but an adversarial game has one turn.

    Arguments:
        name: its optimizer's and its log's name too.
        player: its parameters move, all others are constants.
        loss: of (batch, t), t the fraction of training done; every schedule is a function of t.
        every: how many steps lie between two of its moves.
        pace: what the learning rate is multiplied with at its moves.
        sweep: moves the player by a rule of its own, a closed form or a round of expectation-maximization, instead of
            by the gradient of its loss. It is given all training examples, as often as it asks for them, and answers
            with its loss. Where all turns are sweeps, training ends when the loss has converged.
        settle: called after each move, with what sums a tensor over all processes, or with None where the move was not
            taken: for what a player learns by counting what it met.
    """

    name: str
    player: nn.Module
    loss: Callable[[Batch, float], Loss]
    every: int = 1
    pace: Callable[[], float] = lambda: 1.0
    sweep: Callable[[Examples], FitResult] | None = None
    settle: Callable[[Callable[[Tensor], Tensor] | None], None] | None = None


class Objective(nn.Module):
    """What you train with: holds the model, and any player that only trains.

    Arguments:
        model: what you ship. Its methods are whatever the objective needs of it; objectives never import models.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Typed as Any: an objective meets its model in a recipe, by what the model can do.
        self.model: Any = model

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss of the one turn of a one-player objective."""
        raise TypeError(f"{type(self).__name__} has several turns and no single loss")

    def initialize(self, examples: Batch) -> None:
        """Look at some training examples before the first step, where the model wants to."""
        if hasattr(self.model, "initialize"):
            self.model.initialize(examples)

    # Whether `adapt` wants to be told what held-out batches say.
    adapts = False
    # Scores of a validation, the first of which that there is says how good the weights are: lower is better. Without
    # any the newest weights are the best.
    decides: tuple[str, ...] = ()

    def adapt(self, found: float) -> None:
        """Change what is to change during training by the ``adapt`` of `examine`, in every process alike."""

    def counter(self, trouble: str) -> str | None:
        """Do something about what the watch found, in every process alike.

        Arguments:
            trouble: ``unsteady``, where one player runs ahead of the other, or ``known``, where it knows the training
                examples by heart.

        Returns:
            What was done, in words; None where there is nothing to do.
        """
        return None

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """What held-out batches say: the mean ``loss`` of the last turn, and as ``scores`` the means of its parts.

        Arguments:
            batches: of held-out examples.
            known: as many training examples, for what has to be compared.
        """
        turn, total, parts, count = self.turns()[-1], 0.0, dict[str, float](), sum(map(len, batches))
        for batch in batches:
            loss = turn.loss(batch, 1.0)
            total += float(loss.total) * len(batch) / count
            for name, value in loss.parts.items():
                parts[name] = parts.get(name, 0.0) + float(value) * len(batch) / count
        return {"loss": total, "scores": parts}

    def turns(self) -> list[Turn]:
        """Who moves, in order."""
        return [Turn("model", self.model, self.loss)]
