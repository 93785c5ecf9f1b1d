"""Principal component analysis (PCA) and linear least squares.

Shapes: rows (N, D).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Ridge term, as a share of the largest variance.
RIDGE = 1e-6
# Smallest whitening scale, as a share of the largest standard deviation.
LEAST = 0.02
# Rows converted to double precision at a time.
AT_ONCE = 1 << 14


class PrincipalComponents(NamedTuple):
    """Result of a PCA.

    Arguments:
        middle: mean, (D,).
        directions: unit-length components as rows, by decreasing variance, (D, D).
        deviations: standard deviations along them, (D,).
    """

    middle: Tensor
    directions: Tensor
    deviations: Tensor

    def whitening_scales(self, count: int) -> Tensor:
        """Whitening scales of the first components, bounded from below so that noise is not amplified."""
        return self.deviations[:count].clamp_min(LEAST * float(self.deviations[0]) + 1e-6)


def pca(rows: Tensor) -> PrincipalComponents:
    """PCA of rows.

    Example:
        >>> found = pca(torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]))
        >>> found.directions[0].abs().tolist(), found.deviations.tolist()
        ([0.7071067690849304, 0.7071067690849304], [1.4142135381698608, 0.0])
    """
    middle = rows.mean(0, dtype=torch.float64)
    variances, directions = torch.linalg.eigh(_cross_covariance(rows, middle, rows, middle) / len(rows))
    deviations = variances.clamp_min(0).sqrt()
    return PrincipalComponents(middle.float(), directions.T.flip(0).float(), deviations.flip(0).float())


def least_squares(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares: slope (B, A) and offset (B,) of the best linear map from rows (N, A) to rows (N, B).

    Example:
        >>> given = torch.randn(50, 3)
        >>> slope, offset = least_squares(given, given @ torch.eye(3, 2) + 1)
        >>> bool((slope - torch.eye(2, 3)).abs().max() < 1e-3), bool((offset - 1).abs().max() < 1e-3)
        (True, True)
    """
    from_, to = given.mean(0, dtype=torch.float64), wanted.mean(0, dtype=torch.float64)
    square = _cross_covariance(given, from_, given, from_)
    square.diagonal().add_(RIDGE * float(square.diagonal().max()) + 1e-12)
    slope = torch.linalg.solve(square, _cross_covariance(given, from_, wanted, to)).T
    return slope.float(), (to - slope @ from_).float()


def _cross_covariance(a: Tensor, middle: Tensor, b: Tensor, other: Tensor) -> Tensor:
    """Cross-covariance sum Σ (a_n − middle)(b_n − other)ᵀ, accumulated in double precision."""
    parts = zip(torch.split(a, AT_ONCE), torch.split(b, AT_ONCE), strict=True)
    return torch.stack([(x.double() - middle).T @ (y.double() - other) for x, y in parts]).sum(0)
