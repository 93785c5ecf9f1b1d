"""A game of two players: a linear generator against a linear discriminator, on images. It learns nothing worth
having.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.objectives.base import Loss, Objective, Turn
from seisei.spec import Spec, listed
from seisei.training.plan import Optim, Plan


@listed
class ToyGenerator(nn.Module):
    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.latent, self.layer = 4, nn.Linear(4, pixels)

    def sample(self, n: int, y: Tensor | None = None) -> Tensor:
        return torch.sigmoid(self.layer(seeds.normal(n, self.latent))).reshape(n, 1, 8, 8)


@listed
class ToyGame(Objective):
    def __init__(self, model: nn.Module, every: int = 2) -> None:
        super().__init__(model)
        self.discriminator, self.every = (
            nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1)),
            every,
        )

    def turns(self) -> list[Turn]:
        return [
            Turn("discriminator", self.discriminator, self.discriminator_loss),
            Turn("generator", self.model, self.generator_loss, self.every),
        ]

    def discriminator_loss(self, batch: Batch, t: float) -> Loss:
        real, fake = self.discriminator(batch.x), self.discriminator(self.model.sample(len(batch)))
        total = nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()
        return Loss(total, {"real": real.detach().mean(), "fake": fake.detach().mean()})

    def generator_loss(self, batch: Batch, t: float) -> Loss:
        return Loss(nn.functional.softplus(-self.discriminator(self.model.sample(len(batch)))).mean(), {})


def plan_for_two(request: Any, schema: Any) -> tuple[Plan, dict[str, Any]]:
    """In the place of `seisei.workflows.train.plan_for`."""
    steps = request.dials["steps"]
    return Plan(Spec(ToyGame, model=Spec(ToyGenerator)), steps, request.dials["batch"], Optim(1e-2), ema_decay=0.9), {}
