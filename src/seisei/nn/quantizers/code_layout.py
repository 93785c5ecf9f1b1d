"""How codes are laid out, and how well they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Codes of one kind that follow each other, by rows of a grid, those of one place side by side.

    Arguments:
        height: rows.
        width: places in a row.
        slots: codes at a place.
        codes: K, each is one of so many.
    """

    height: int
    width: int
    slots: int
    codes: int

    @property
    def length(self) -> int:
        """How many codes there are.

        Example:
            >>> Segment(4, 4, 2, 512).length
            32
        """
        return self.height * self.width * self.slots


def usage(codes: Tensor, segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """How many of the codes of each segment are used, and how evenly.

    The perplexity is exp of the entropy of the codes: so many of them, used equally often, would have it. Both are of
    the worst of the slots of a place. So many draws as there are would use `expected` of all codes if all were equally
    likely.

    Arguments:
        codes: (N, T).
        segments: that T is made of.

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
    """The share of examples all of whose codes another has too, of (N, T).

    Example:
        >>> collisions(torch.tensor([[0, 1], [0, 1], [1, 1], [2, 0]]))
        0.5
    """
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    return float(counts[counts > 1].sum()) / len(codes)
