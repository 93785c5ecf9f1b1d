"""Sampling of codes from logits: temperature, top-k, top-p (nucleus) and min-p."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingOptions:
    """Options of code sampling.

    Arguments:
        top_k: sample from the k most likely codes.
        top_p: sample from the smallest set of codes whose total probability is at least this (nucleus sampling).
        min_p: sample from codes whose probability is at least this share of the largest one.
        guidance: classifier-free guidance scale; 1 for none.

    Example:
        >>> logits = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
        >>> SamplingOptions(top_k=2).left(logits).isfinite().tolist()
        [[False, False, True, True]]
        >>> SamplingOptions(top_p=0.6).left(logits).isfinite().tolist()
        [[False, False, False, True]]
    """

    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    guidance: float = 1.0

    def left(self, logits: Tensor) -> Tensor:
        """Filtered logits (B, K): −∞ for excluded codes; the most likely code is never excluded."""
        if self.top_k is not None and self.top_k < logits.shape[1]:
            least = logits.topk(self.top_k, 1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.min_p is not None:
            p = logits.softmax(1)
            logits = logits.masked_fill(p < self.min_p * p.amax(1, keepdim=True), -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            ranked, order = logits.softmax(1).sort(1, descending=True)
            # A code is in the nucleus while the more likely ones do not reach top_p.
            beyond = ranked.cumsum(1) - ranked >= self.top_p
            logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
        return logits

    def choose(self, logits: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """Sample one code per row by inverse CDF, (B,).

        Arguments:
            logits: (B, K).
            u: (B,) in [0, 1): the sample is the first code whose cumulative probability exceeds it.
            temperature: divides the logits.
        """
        reached = self.left(logits / temperature).double().softmax(1).cumsum(1)
        # The cumulative sum may end below 1; with u = 0 the first code must not be chosen if excluded.
        u = u.double() * reached[:, -1]
        return (reached <= u.unsqueeze(1)).sum(1).clamp_max(logits.shape[1] - 1)
