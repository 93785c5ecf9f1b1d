"""What every objective is, and the records between it and the loop: `Objective`, `Turn`, `Loss`."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Turn:
    """One player moving once. Everything but an adversarial game has one turn.

    Arguments:
        name: its optimizer's and its log's name too.
        player: its parameters move, all others are constants.
        loss: of (batch, t), t the fraction of training done; every schedule is a function of t.
        every: how many steps lie between two of its moves.
        pace: what the learning rate is multiplied with at its moves.
        sweep: moves the player by a rule of its own, a closed form or a round of expectation-maximisation, instead of
            by the gradient of its loss. It is given all training examples, as often as it asks for them, and answers
            with its loss.
        settle: called after each move, with what sums a tensor over all processes, or with None where the move was not
            taken: for what a player learns by counting what it met.
    """

    name: str
    player: nn.Module
    loss: Callable[[Batch, float], Loss]
    every: int = 1
    pace: Callable[[], float] = lambda: 1.0
    sweep: Callable[[Examples], Loss] | None = None
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

    def initialise(self, examples: Batch) -> None:
        """Look at some training examples before the first step, where the model wants to."""
        if hasattr(self.model, "initialise"):
            self.model.initialise(examples)

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
