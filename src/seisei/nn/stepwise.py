"""A Transformer one place after the other: `Stepwise`, the same function as `Transformer`, arranged for drawing.

One place of a few rows is so little arithmetic that what counts is how many operations there are and what they read.
Hence matrices that read the same vector are joined, gains are multiplied into them once, angles hold the gains of
queries and keys, and keys and values of what came before are kept and never computed again.

Shapes: h (B, D); keys and values (B · heads, T, D/heads).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seisei.nn.transformer import Attention, Block, Transformer

# Products of one row for each of many sequences cost a call each: of short ones the elements are quicker.
SHORT, MANY = 96, 64


class Stepwise:
    """Rows that are written side by side.

    Arguments:
        transformer: whose layers they go through, as its weights are now.
        rows: B.

    Example:
        >>> model = Transformer(torch.arange(5.0).unsqueeze(1), 16, 2, 2)
        >>> h, steps = torch.randn(3, 5, 16), Stepwise(model, 3)
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
        """The next place of every row, (B, D) to the same, in the precision of the weights."""
        with torch.autocast(h.device.type, enabled=False):
            for layer in self.layers:
                h = layer.step(h, self.filled, self.heads)
            self.filled += 1
            return self.after(h)  # type: ignore[no-any-return]

    def choose(self, rows: Tensor) -> None:
        """Go on with these rows."""
        for layer in self.layers:
            layer.choose(rows, self.heads, self.filled)


class _Layer:
    def __init__(self, block: Block, by: Tensor, sequences: int) -> None:
        attention: Attention = block.attention
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.read = _joined([part.weight for part in parts], block.before.weight)
        self.gates = _joined([block.gate_proj.weight, block.up_proj.weight], block.between.weight)
        self.said, self.down = attention.o_proj.weight.T.contiguous(), block.down_proj.weight.T.contiguous()
        size = by.shape[2]
        # Halves of a vector change places where it is turned, and with them its gains. Logits are divided by √d.
        gain = torch.stack([attention.q_norm.weight * size**-0.5, attention.k_norm.weight])
        self.straight = (by[0].unsqueeze(1) * gain).unsqueeze(2)
        self.crossed = (by[1].unsqueeze(1) * gain.roll(size // 2, 1)).unsqueeze(2)
        self.keys, self.values = by.new_empty(2, sequences, by.shape[1], size)

    def step(self, h: Tensor, at: int, heads: int) -> Tensor:
        width, size = h.shape[1], self.keys.shape[2]
        qkv = torch.mm(F.layer_norm(h, (width,)), self.read).view(-1, 3, heads, size)
        qk = F.layer_norm(qkv[:, :2], (size,))
        q, k = torch.addcmul(qk * self.straight[at], qk.roll(size // 2, -1), self.crossed[at]).unbind(1)
        q = q.reshape(-1, 1, size)
        self.keys[:, at], self.values[:, at] = k.reshape(-1, size), qkv[:, 2].reshape(-1, size)
        keys, values = self.keys[:, : at + 1], self.values[:, : at + 1]
        if at < SHORT and len(keys) >= MANY:
            told = ((keys * q).sum(2).softmax(1).unsqueeze(2) * values).sum(1)
        else:
            told = torch.bmm(torch.bmm(q, keys.transpose(1, 2)).softmax(2), values)
        h = torch.addmm(h, told.view(-1, width), self.said)
        gate, up = torch.mm(F.layer_norm(h, (width,)), self.gates).chunk(2, 1)
        return torch.addmm(h, F.silu(gate) * up, self.down)

    def choose(self, rows: Tensor, heads: int, filled: int) -> None:
        for kept in (self.keys, self.values):
            there = kept.unflatten(0, (-1, heads))[:, :, :filled]
            there.copy_(there[rows])


def _joined(weights: list[Tensor], gain: Tensor) -> Tensor:
    """Maps of one normalised vector side by side, its gain in them, (inputs, outputs): what a row is multiplied by."""
    return (torch.cat(weights) * gain).T.contiguous()
