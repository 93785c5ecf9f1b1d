"""Autoregressive models of codes, and step-by-step decoding with KV cache and classifier-free guidance.

Shapes: codes (B, G + T), of which the first G are a prefix; y (B,) class labels, or (B, K) condition weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.distributions import precise
from seisei.nn.mlp import Condition
from seisei.nn.quantizers.code_layout import Segment
from seisei.nn.transformer.blocks import Transformer
from seisei.nn.transformer.kv_cache import KVCache


class CodeTransformer(nn.Module):
    """p(codes | y, prefix): embeddings, a Transformer, and logits.

    Arguments:
        segments: layout of the codes.
        places: positions of the codes, (G + T, 2).
        given: number of segments in the prefix, which are conditioned on and not predicted.
        width: model width.
        layers: number of layers.
        heads: number of attention heads.
        classes: classes of the condition; 0 for none.
        dropout: dropout rate of each residual branch.
    """

    def __init__(
        self, segments: Sequence[Segment], places: Tensor, given: int, width: int, layers: int, heads: int,
        classes: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.lengths = [segment.length for segment in segments]
        self.start_at, self.end_at = sum(self.lengths[:given]), sum(self.lengths)
        self.transformer = Transformer(places, width, layers, heads, dropout)
        self.tables = nn.ModuleList(nn.Embedding(segment.codes, width) for segment in segments)
        self.logits = nn.ModuleList(nn.Linear(width, segment.codes, bias=False) for segment in segments[given:])
        self.place = nn.Parameter(torch.empty(self.end_at, width))
        self.start = nn.Parameter(torch.empty(width))
        self.condition = Condition(classes, width) if classes else None
        # Small weights make the first predictions nearly uniform.
        small = [self.place, self.start, *self.tables.parameters(), *self.logits.parameters()]
        for parameter in [*small, *(self.condition.parameters() if self.condition is not None else ())]:
            nn.init.normal_(parameter, std=0.02)
        # The segment, and thus the embedding table, of each position.
        self.segment_of = [i for i, length in enumerate(self.lengths) for _ in range(length)]
        self.given = given

    def forward(self, codes: Tensor, y: Tensor | None = None, keep: Tensor | None = None) -> list[Tensor]:
        """Logits of all predicted codes given those before them (teacher forcing), by segment, (B, T_s, K_s).

        Arguments:
            codes: (B, G + T), or more.
            y: conditions.
            keep: (B,), False where the condition is dropped (classifier-free guidance).
        """
        parts = torch.split(codes[:, : self.end_at], self.lengths, 1)
        vectors = torch.cat([table(part) for table, part in zip(self.tables, parts, strict=True)], 1)
        before = torch.cat([self.start.expand(len(codes), 1, -1), vectors[:, :-1]], 1)
        h = self.transformer(before + self.place + self.condition_vector(y, len(codes), keep).unsqueeze(1))
        hidden = torch.split(h[:, self.start_at :], self.lengths[self.given :], 1)
        return [layer(part) for layer, part in zip(self.logits, hidden, strict=True)]

    def condition_vector(self, y: Tensor | None, count: int, keep: Tensor | None = None) -> Tensor:
        """Condition vector added at every position, (B, D); 0 for unconditional."""
        if self.condition is None or y is None:
            return self.start.new_zeros(count, len(self.start))
        vector: Tensor = self.condition(y)
        return vector if keep is None else vector * keep.unsqueeze(1)

    def log_codes(self, codes: Tensor, y: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """log p(code_t | code_<t, y) of each predicted code, in nats, (B, T)."""
        found, at = [], self.start_at
        for logits in self(codes, y, keep):
            part = codes[:, at : at + logits.shape[1]]
            cost = F.cross_entropy(precise(logits).flatten(0, 1), part.flatten(), reduction="none")
            found.append(-cost.reshape(part.shape))
            at += logits.shape[1]
        return torch.cat(found, 1)


class CodePrior(nn.Module):
    """Prior over all codes: one Transformer, or one per segment, conditioned on the segments before it.

    Arguments:
        parts: each begins where the one before ends.
    """

    def __init__(self, parts: Sequence[CodeTransformer]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def log_codes(self, codes: Tensor, y: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """log p(code_t | code_<t, y) of each predicted code, in nats, (B, T)."""
        return torch.cat([part.log_codes(codes, y, keep) for part in self.parts], 1)  # type: ignore[operator]


class Decoding:
    """State of step-by-step decoding, with KV cache and classifier-free guidance.

    Arguments:
        prior: the autoregressive model.
        given: prefix codes, (B, G).
        y: conditions, or None.
        guidance: guidance scale.
        unconditional: prefix codes of the unconditional rows, (B, G), if guidance is not 1.
    """

    def __init__(
        self,
        prior: CodePrior,
        given: Tensor,
        y: Tensor | None,
        guidance: float = 1.0,
        unconditional: Tensor | None = None,
    ) -> None:
        self._parts: list[CodeTransformer] = list(prior.parts)  # type: ignore[arg-type]
        self.guidance, self.guided, self.rows = guidance, unconditional is not None, len(given)
        keep = None
        if unconditional is not None:
            given, y = torch.cat([given, unconditional]), None if y is None else torch.cat([y, y])
            keep = torch.arange(2 * self.rows, device=given.device) < self.rows
        self._given, self._y, self._keep = given, y, keep
        self.codes: list[Tensor] = []
        self._begin(self._parts.pop(0))

    def _begin(self, part: CodeTransformer) -> None:
        """Start the next Transformer: prefill its KV cache with the codes so far."""
        self._part, both = part, len(self._given)
        self._steps = KVCache(part.transformer, both)
        self._condition = part.condition_vector(self._y, both, self._keep)
        self._last = part.start.expand(both, -1)
        self._at = 0
        for code in [*self._given.unbind(1), *map(self._both, self.codes)]:
            self._step()
            self._read(code)

    def _both(self, code: Tensor) -> Tensor:
        return torch.cat([code, code]) if self.guided else code

    def _step(self) -> Tensor:
        return self._steps.step(self._last + self._part.place[self._at] + self._condition)

    def _read(self, code: Tensor) -> None:
        table = self._part.tables[self._part.segment_of[self._at]]
        self._last = table(code)
        self._at += 1

    @property
    def done(self) -> bool:
        """Whether all codes are decoded."""
        return self._at == self._part.end_at and not self._parts

    def logits(self) -> Tensor:
        """Logits of the next code of each row, (rows, K)."""
        if self._at == self._part.end_at:
            self._begin(self._parts.pop(0))
        segment = self._part.segment_of[self._at] - self._part.given
        logits = precise(self._part.logits[segment](self._step()))
        if not self.guided:
            return logits
        with_y, without = logits.chunk(2)
        return without + self.guidance * (with_y - without)

    def add(self, code: Tensor) -> None:
        """Append the next code of each row, (rows,)."""
        self._read(self._both(code))
        self.codes.append(code)

    def choose(self, rows: Tensor) -> None:
        """Continue with these rows (resampling of particles); all rows must share one prefix and condition."""
        self.codes = [code[rows] for code in self.codes]
        self._steps.choose(torch.cat([rows, rows + self.rows]) if self.guided else rows)
