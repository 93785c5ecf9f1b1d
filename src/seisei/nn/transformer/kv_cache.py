"""KV cache: a Transformer one position at a time, the same function as `Transformer`, optimized for decoding.

One position of a few rows is so little arithmetic that the number of operations and memory traffic dominate. So
matrices that read the same vector are fused, norm gains are folded into the weights and the RoPE angles once, and the
keys and values of earlier positions are cached. For many sequences the cache is split into blocks of positions, all
full except the last: a product with a slice of each sequence's cache takes more than twice as long as one with all of
it.

Shapes: h (B, D); keys and values (⌈T/C⌉, B · heads, C, D/heads), C positions per block.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei.nn.transformer.blocks import Attention, Block, Transformer

# Number of sequences from which the cache is split into blocks, and positions per block.
MANY, BLOCK = 64, 32


class KVCache:
    """KV cache of rows that are decoded in parallel.

    Arguments:
        transformer: its weights are read at construction.
        rows: B.

    Example:
        >>> model = Transformer(torch.arange(5.0).unsqueeze(1), 16, 2, 2)
        >>> h, steps = torch.randn(3, 5, 16), KVCache(model, 3)
        >>> each = torch.stack([steps.step(h[:, t]) for t in range(5)], 1)
        >>> bool(torch.allclose(each, model(h), atol=1e-5))
        True
    """

    def __init__(self, transformer: Transformer, rows: int) -> None:
        heads = transformer.heads
        self.filled = 0
        with torch.no_grad():
            self.layers = [_Layer(block, transformer.by, rows * heads) for block in transformer.blocks]  # type: ignore[arg-type]
        self.after = transformer.after
        self.heads = heads

    @torch.no_grad()
    def step(self, h: Tensor) -> Tensor:
        """The next position of every row, (B, D) to the same, in the precision of the weights."""
        with torch.autocast(h.device.type, enabled=False):
            for layer in self.layers:
                h = layer.step(h, self.filled, self.heads)
            self.filled += 1
            return self.after(h)  # type: ignore[no-any-return]

    def choose(self, rows: Tensor) -> None:
        """Continue with these rows."""
        for layer in self.layers:
            layer.choose(rows, self.heads, self.filled)


class _Layer:
    def __init__(self, block: Block, by: Tensor, sequences: int) -> None:
        attention: Attention = block.attention
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.read = _joined([part.weight for part in parts], block.before.weight)
        self.gates = _joined([block.gate_proj.weight, block.up_proj.weight], block.between.weight)
        self.out, self.down = attention.o_proj.weight.T.contiguous(), block.down_proj.weight.T.contiguous()
        size = by.shape[2]
        # RoPE swaps the halves of a vector, and with them its gains. Logits are divided by √d.
        gain = torch.stack([attention.q_norm.weight * size**-0.5, attention.k_norm.weight])
        self.direct = (by[0].unsqueeze(1) * gain).unsqueeze(2)
        self.crossed = (by[1].unsqueeze(1) * gain.roll(size // 2, 1)).unsqueeze(2)
        places = BLOCK if sequences >= MANY else by.shape[1]
        # Zeros: unfilled positions get weight 0, but must be finite.
        self.keys, self.values = by.new_zeros(2, -(-by.shape[1] // places), sequences, places, size)

    def step(self, h: Tensor, at: int, heads: int) -> Tensor:
        width, (_, sequences, block, size) = h.shape[1], self.keys.shape
        qkv = torch.mm(F.layer_norm(h, (width,)), self.read).view(-1, 3, heads, size)
        qk = F.layer_norm(qkv[:, :2], (size,))
        q, k = torch.addcmul(qk * self.direct[at], qk.roll(size // 2, -1), self.crossed[at]).unbind(1)
        q = q.reshape(-1, 1, size)
        position = at // block, slice(None), at % block
        self.keys[position], self.values[position] = k.reshape(-1, size), qkv[:, 2].reshape(-1, size)
        if sequences >= MANY:
            attended = self._attend(q, at + 1)
        else:
            keys, values = self.keys[0, :, : at + 1], self.values[0, :, : at + 1]
            attended = torch.bmm(torch.bmm(q, keys.transpose(1, 2)).softmax(2), values)
        h = torch.addmm(h, attended.view(-1, width), self.out)
        gate, up = torch.mm(F.layer_norm(h, (width,)), self.gates).chunk(2, 1)
        return torch.addmm(h, F.silu(gate) * up, self.down)

    def _attend(self, q: Tensor, count: int) -> Tensor:
        """Attention of all queries, (S, 1, d), over the first `count` positions, (S, d)."""
        _, sequences, block, size = self.keys.shape
        used = -(-count // block)
        keys, values = self.keys[:used].flatten(0, 1), self.values[:used].flatten(0, 1)
        scores = torch.bmm(q.expand(used, -1, -1, -1).reshape(-1, 1, size), keys.transpose(1, 2))
        scores = scores.view(used, sequences, block).transpose(0, 1).reshape(sequences, -1)
        scores[:, count:] = -torch.inf
        shares = scores.softmax(1).view(sequences, used, block).transpose(0, 1).reshape(-1, 1, block)
        return torch.bmm(shares, values).view(used, sequences, size).sum(0)

    def choose(self, rows: Tensor, heads: int, filled: int) -> None:
        for cache in (self.keys, self.values):
            filled_blocks = cache[: -(-filled // cache.shape[2])].unflatten(1, (-1, heads))
            filled_blocks.copy_(filled_blocks[:, rows])


def _joined(weights: list[Tensor], gain: Tensor) -> Tensor:
    """Weights of linear maps of one normalized vector, fused, with the norm's gain folded in, (inputs, outputs)."""
    return (torch.cat(weights) * gain).T.contiguous()
