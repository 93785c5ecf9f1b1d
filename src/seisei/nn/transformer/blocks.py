"""Causal Transformer with RoPE, SwiGLU and QK normalization: p(code_t | code_<t) for all t in parallel.

    h ← h + W_o attention(q, k, v),   h ← h + W_d (silu(W_g n(h)) · W_u n(h)),     n(h) = (h − mean h) / std h · gain

Queries and keys are normalized (QK norm), so that attention logits stay bounded, and get rotary position embeddings
(RoPE): they are rotated by angles proportional to the position, so that their product depends on relative
positions only. For image positions, rows and columns get half of the dimensions each (2D RoPE). The last matrix of
each residual branch is zero-initialized: every layer starts as the identity.

For step-by-step decoding see `seisei.nn.transformer.kv_cache`.

References: *Attention Is All You Need (Vaswani et al., 2017)*; RoPE: *RoFormer: Enhanced Transformer with Rotary
    Position Embedding (Su et al., 2021)*; SwiGLU: *GLU Variants Improve Transformer (Shazeer, 2020)*; QK norm:
    *Query-Key Normalization for Transformers (Henry et al., 2020)*.

Shapes: h (B, T, D); q, k, v (B, heads, T, D/heads).
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.spec import Range

Width = Annotated[int, Range(ge=8, le=16384)]
Layers = Annotated[int, Range(ge=1, le=128)]
Heads = Annotated[int, Range(ge=1, le=128)]
Dropout = Annotated[float, Range(ge=0, lt=1)]

# On a CPU plain matrix products beat the library's attention for sequences up to this length (docs/log.md).
EXPLICIT = 1024
# RoPE base: ratio of the fastest to the slowest rotation, for sequences of about a thousand positions.
SLOWEST = 1000.0


class Matrix(nn.Linear):
    """A bias-free linear layer between hidden vectors: its weight may be optimized as a matrix (Muon)."""

    def __init__(self, inputs: int, outputs: int, *, zero: bool = False) -> None:
        super().__init__(inputs, outputs, bias=False)
        if zero:
            nn.init.zeros_(self.weight)
        else:
            nn.init.normal_(self.weight, std=inputs**-0.5)


def layer_norm(size: int) -> nn.LayerNorm:
    """LayerNorm without bias. (RMSNorm has no fast CPU kernel.)"""
    return nn.LayerNorm(size, bias=False)


def rope_angles(places: Tensor, size: int) -> Tensor:
    """RoPE angles of positions: cos and ∓sin for both dimensions of each pair, (2, T, size).

    Arguments:
        places: positions (T, A) on A axes; each axis gets its share of the pairs of dimensions.
        size: dimension of a head, even.
    """
    pairs, axes = size // 2, places.shape[1]
    found = []
    for axis in range(axes):
        count = (pairs - axis + axes - 1) // axes
        speed = SLOWEST ** -(torch.arange(count, device=places.device) / max(1, count))
        found.append(places[:, axis : axis + 1] * speed)
    angle = torch.cat(found, 1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], 1), torch.cat([-sin, sin], 1)])


def apply_rope(x: Tensor, by: Tensor) -> Tensor:
    """Apply RoPE: rotate the pairs (i, i + size/2) of each vector, (..., T, size) by (2, T, size).

    Example:
        >>> by = rope_angles(torch.tensor([[0.0], [torch.pi / 2]]), 2)
        >>> apply_rope(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), by).round().tolist()
        [[1.0, 0.0], [-0.0, 1.0]]
    """
    first, second = x.chunk(2, -1)
    return torch.addcmul(x * by[0], torch.cat([second, first], -1), by[1])


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention softmax(q kᵀ/√d + mask) v, (B, H, T, d).

    Example:
        >>> q, v = torch.zeros(1, 1, 2, 4), torch.tensor([[[[1.0] * 4, [3.0] * 4]]])
        >>> attention(q, q, v)[0, 0, :, 0].tolist()
        [1.0, 2.0]
    """
    count = q.shape[2]
    if q.device.type != "cpu" or count > EXPLICIT:
        found: Tensor = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return found
    b, h = q.shape[:2]
    mask = torch.full((count, count), -torch.inf, dtype=q.dtype).triu_(1).expand(b * h, -1, -1)
    scores = torch.baddbmm(mask, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=q.shape[-1] ** -0.5)
    output: Tensor = torch.bmm(scores.softmax(-1), v.flatten(0, 1)).reshape(b, h, count, -1)
    return output


class Attention(nn.Module):
    """Causal multi-head attention.

    Arguments:
        width: D.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (Matrix(width, width) for _ in range(3))
        self.o_proj = Matrix(width, width, zero=True)
        self.q_norm, self.k_norm = layer_norm(width // heads), layer_norm(width // heads)

    def forward(self, h: Tensor, by: Tensor) -> Tensor:
        """(B, T, D) to the same, with RoPE angles (2, T, d)."""
        q, k, v = (
            layer(h).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = apply_rope(self.q_norm(q), by), apply_rope(self.k_norm(k), by)
        q, k = q.to(v.dtype), k.to(v.dtype)
        return self.o_proj(attention(q, k, v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Transformer block: attention and SwiGLU, pre-norm.

    Arguments:
        width: D.
        heads: number of attention heads.
        dropout: dropout rate of each residual branch.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.before, self.attention = layer_norm(width), Attention(width, heads)
        # SwiGLU has three matrices instead of two: 8/3 instead of 4 times the width.
        inner = 8 * -(-width // 3)
        self.between = layer_norm(width)
        self.gate_proj, self.up_proj = Matrix(width, inner), Matrix(width, inner)
        self.down_proj = Matrix(inner, width, zero=True)

    def forward(self, h: Tensor, by: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        h = h + self._dropped(self.attention(self.before(h), by))
        n = self.between(h)
        return h + self._dropped(self.down_proj(F.silu(self.gate_proj(n)) * self.up_proj(n)))

    def _dropped(self, h: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return h
        keep = seeds.uniform(*h.shape, device=h.device) >= self.dropout
        return h * keep / (1 - self.dropout)


class Transformer(nn.Module):
    """A stack of blocks with RoPE.

    Arguments:
        places: positions of all codes, (T, A), on A axes.
        width: D.
        layers: number of layers.
        heads: number of attention heads.
        dropout: dropout rate of each residual branch.

    Example:
        >>> model = Transformer(torch.arange(5.0).unsqueeze(1), 16, 2, 2)
        >>> model(torch.zeros(3, 5, 16)).shape
        torch.Size([3, 5, 16])
    """

    by: Tensor

    def __init__(self, places: Tensor, width: int, layers: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        assert width % heads == 0 and width // heads % 2 == 0, "width must be an even multiple of heads"
        self.width, self.heads = width, heads
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.after = layer_norm(width)
        self.register_buffer("by", rope_angles(places, width // heads), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """(B, T, D) to the same, for all positions or the first T."""
        by = self.by[:, : h.shape[1]]
        for block in self.blocks:
            h = block(h, by)
        return self.after(h)  # type: ignore[no-any-return]
