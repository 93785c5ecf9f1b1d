"""A density without classes: p(x) of table rows or images, fitted in closed form, by EM, or from kept examples.

Any density of `seisei.models.mixture` or `seisei.models.kde` with one class is one. Missing values are integrated out,

    log p(x_o) = log ∫ p(x_o, x_m) dx_m

so that a row is as likely as what is known of it. Rows that are unlikely under it are outliers.

Shapes: x (B, ...), flattened to (B, D) for the density.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples
from seisei.nn.mlp import Shape
from seisei.spec import listed


@listed
class Density(nn.Module):
    """p(x), by a density that may also be class-conditional.

    Arguments:
        density: has `log_prob(batch)`, `sample(n, y)` and `sweep(examples, log_prior)`, for one class.
        shape: shape of one x, if the density works on flat rows; None leaves its samples as they are.

    Example:
        >>> from seisei.models.mixture import Mixture
        >>> from seisei.nn.densities.gaussian import Diagonal
        >>> model = Density(Mixture(1, 2, 3, Diagonal(2, 3)))
        >>> model.log_prob(Batch(torch.zeros(4, 3))).shape, model.sample(5).shape
        (torch.Size([4]), torch.Size([5, 3]))
    """

    log_prob_is_bound = False

    def __init__(self, density: nn.Module, shape: Shape | None = None) -> None:
        super().__init__()
        self.density: Any = density
        self.shape = shape

    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x) in nats, (B,); exact."""
        found: Tensor = self.density.log_prob(Batch(batch.x, None, batch.mask))
        # Far from the data the square overflows single precision: the likelihood is 0.
        return torch.where(found.isnan(), -torch.inf, found)

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        """n examples; the temperature scales the deviation from the component's mean."""
        x: Tensor = self.density.sample(n, None, temperature=temperature)
        return (torch.unflatten(x, 1, self.shape) if self.shape else x).float()

    def initialize(self, examples: Batch) -> None:
        """Initialize the density from some examples."""
        if hasattr(self.density, "initialize"):
            self.density.initialize(Batch(examples.x, None, examples.mask))

    def sweep(self, examples: Examples) -> Tensor | None:
        """One EM step, or closed-form fit.

        Returns:
            Mean log-likelihood before the step, if it was computed on the way.
        """
        found: Tensor | None = self.density.sweep(
            lambda: (Batch(batch.x, None, batch.mask) for batch in examples()), torch.zeros(1, dtype=torch.float64)
        )
        return found
