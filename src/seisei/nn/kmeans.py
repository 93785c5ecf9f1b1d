"""k-means clustering with k-means++ seeding: initialization of mixtures and codebooks.

References: *Least Squares Quantization in PCM (Lloyd, 1982)*; the first centers: *k-means++: The Advantages of Careful
    Seeding (Arthur, Vassilvitskii, 2007)*.
"""

from __future__ import annotations

import torch
from torch import Tensor


def kmeans(x: Tensor, k: int, generator: torch.Generator, iterations: int = 25) -> tuple[Tensor, Tensor]:
    """Centers (k, d) and assignments (N,) of a local minimum of Σ ‖x − center‖².

    Arguments:
        x: rows (N, d), at least k.
        k: number of clusters; an empty one restarts at the row with the largest error.
        generator: for the initial centers.
        iterations: at most.

    Example:
        >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
        >>> kmeans(x, 2, torch.Generator().manual_seed(0))[0].sort(0).values.flatten().tolist()
        [0.05000000074505806, 5.050000190734863]
    """
    assert 1 <= k <= len(x)
    centers = first_centers(x, k, generator)
    which = torch.full((len(x),), -1, device=x.device)
    for _ in range(iterations):
        distance, nearest = squared_distances(x, centers).min(1)
        if torch.equal(nearest, which):
            break
        which = nearest
        count = torch.bincount(which, minlength=k)
        sums = torch.zeros_like(centers).index_add_(0, which, x)
        centers = sums / count.clamp_min(1).unsqueeze(1)
        empty = (count == 0).nonzero().flatten()
        if len(empty):
            centers[empty] = x[distance.topk(len(empty)).indices]
    return centers, squared_distances(x, centers).argmin(1)


def squared_distances(x: Tensor, centers: Tensor) -> Tensor:
    """‖x − c‖² of all pairs, (N, k), by one matrix product."""
    return (x.square().sum(1, keepdim=True) - 2 * x @ centers.T + centers.square().sum(1)).clamp_min(0)


def first_centers(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """k-means++ seeding: k rows, (k, d), sampled in proportion to their squared distance to those before."""
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    distance = squared_distances(x, x[chosen]).squeeze(1)
    for _ in range(k - 1):
        total = distance.cumsum(0)
        at = torch.rand(1, generator=generator).to(x.device, x.dtype) * total[-1]
        chosen.append(int(torch.searchsorted(total, at).clamp_max(len(x) - 1)))
        distance = torch.minimum(distance, squared_distances(x, x[chosen[-1:]]).squeeze(1))
    return x[chosen]
