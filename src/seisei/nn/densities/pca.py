"""What straight lines can say of rows: their principal directions, and the linear map that fits other rows best.

Shapes: rows (N, D).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Of the largest variance, the share by which the equations are kept solvable.
RIDGE = 1e-6
# The part of the largest deviation that the others are divided by at least.
LEAST = 0.02
# Rows that are held in double precision at a time.
AT_ONCE = 1 << 14


class PrincipalComponents(NamedTuple):
    """Where rows lie.

    Arguments:
        middle: their mean, (D,).
        directions: of unit length, a row each, that of most variance first, (D, D).
        deviations: standard deviations along them, (D,).
    """

    middle: Tensor
    directions: Tensor
    deviations: Tensor

    def to_divide_by(self, count: int) -> Tensor:
        """The first deviations, none all but 0: what hardly varies is noise, and is not to be made large."""
        return self.deviations[:count].clamp_min(LEAST * float(self.deviations[0]) + 1e-6)


def principal(rows: Tensor) -> PrincipalComponents:
    """The principal directions of rows.

    Example:
        >>> found = principal(torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]))
        >>> found.directions[0].abs().tolist(), found.deviations.tolist()
        ([0.7071067690849304, 0.7071067690849304], [1.4142135381698608, 0.0])
    """
    middle = rows.mean(0, dtype=torch.float64)
    variances, directions = torch.linalg.eigh(_together(rows, middle, rows, middle) / len(rows))
    deviations = variances.clamp_min(0).sqrt()
    return PrincipalComponents(middle.float(), directions.T.flip(0).float(), deviations.flip(0).float())


def fitted(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The linear map, (B, A), and the offset, (B,), that make of rows (N, A) rows (N, B) with the least squared error.

    Example:
        >>> given = torch.randn(50, 3)
        >>> slope, offset = fitted(given, given @ torch.eye(3, 2) + 1)
        >>> bool((slope - torch.eye(2, 3)).abs().max() < 1e-3), bool((offset - 1).abs().max() < 1e-3)
        (True, True)
    """
    from_, to = given.mean(0, dtype=torch.float64), wanted.mean(0, dtype=torch.float64)
    square = _together(given, from_, given, from_)
    square.diagonal().add_(RIDGE * float(square.diagonal().max()) + 1e-12)
    slope = torch.linalg.solve(square, _together(given, from_, wanted, to)).T
    return slope.float(), (to - slope @ from_).float()


def _together(a: Tensor, middle: Tensor, b: Tensor, other: Tensor) -> Tensor:
    """Σ (a_n − middle)(b_n − other)ᵀ, in double precision a part at a time."""
    parts = zip(torch.split(a, AT_ONCE), torch.split(b, AT_ONCE), strict=True)
    return torch.stack([(x.double() - middle).T @ (y.double() - other) for x, y in parts]).sum(0)
