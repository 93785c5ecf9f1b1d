"""How a code is chosen from its probabilities: `SamplingOptions`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingOptions:
    """Which codes are left to draw from.

    Arguments:
        top_k: the likeliest, so many.
        top_p: the fewest likeliest ones that together are at least so likely.
        min_p: those that are at least this share as likely as the likeliest.
        guidance: weight of the condition; 1 for the model as it is.

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
        """Logits (B, K), −∞ where a code is not to be drawn; the likeliest always may be."""
        if self.top_k is not None and self.top_k < logits.shape[1]:
            least = logits.topk(self.top_k, 1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        if self.min_p is not None:
            p = logits.softmax(1)
            logits = logits.masked_fill(p < self.min_p * p.amax(1, keepdim=True), -torch.inf)
        if self.top_p is not None and self.top_p < 1:
            ranked, order = logits.softmax(1).sort(1, descending=True)
            # A code is left while those likelier than it are not yet enough.
            beyond = ranked.cumsum(1) - ranked >= self.top_p
            logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
        return logits

    def choose(self, logits: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
        """A code of each row, (B,).

        Arguments:
            logits: (B, K).
            u: (B,) in [0, 1): a row's code is the first that brings the sum of probabilities above its number.
            temperature: divides the logits.
        """
        reached = self.left(logits / temperature).double().softmax(1).cumsum(1)
        # The last sum may fall short of 1, and u may be 0 where the first code is not left.
        u = u.double() * reached[:, -1]
        return (reached <= u.unsqueeze(1)).sum(1).clamp_max(logits.shape[1] - 1)
