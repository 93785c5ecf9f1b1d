"""Layout of codes, and codebook usage, perplexity and collisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Codes from one codebook, in raster order over a feature map; the codes of one position are consecutive.

    Arguments:
        height: rows.
        width: columns.
        slots: codes per position.
        codes: K, codebook size.
    """

    height: int
    width: int
    slots: int
    codes: int

    @property
    def length(self) -> int:
        """Number of codes.

        Example:
            >>> Segment(4, 4, 2, 512).length
            32
        """
        return self.height * self.width * self.slots


def usage(codes: Tensor, segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Codebook usage and perplexity of each segment.

    The perplexity is exp of the entropy of the codes: the size of a uniformly used codebook with the same entropy. With
    several codes per position both are of the worst one. `expected` is the usage that as many uniformly distributed
    codes would reach.

    Arguments:
        codes: (N, T).
        segments: layout of T.

    Example:
        >>> usage(torch.tensor([[0, 1, 1, 0]]), [Segment(2, 2, 1, 4)])[0]["perplexity"]
        2.0
    """
    found = []
    for part, segment in zip(torch.split(codes, [s.length for s in segments], 1), segments, strict=True):
        slots = part.reshape(-1, segment.slots).T
        counts = torch.stack([torch.bincount(slot, minlength=segment.codes) for slot in slots]).double()
        total = counts.sum(1, keepdim=True)
        p = counts / total
        entropy = -(p * p.clamp_min(1e-300).log()).sum(1)
        expected = 1 - (1 - 1 / segment.codes) ** float(total[0])
        found.append(
            {
                "codes": segment.codes,
                "used": float((counts > 0).double().mean(1).min()),
                "expected": expected,
                "perplexity": round(float(entropy.exp().min()), 6),
            }
        )
    return found


def collisions(codes: Tensor) -> float:
    """Share of examples whose code sequence another example has too, from (N, T).

    Example:
        >>> collisions(torch.tensor([[0, 1], [0, 1], [1, 1], [2, 0]]))
        0.5
    """
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    return float(counts[counts > 1].sum()) / len(codes)
