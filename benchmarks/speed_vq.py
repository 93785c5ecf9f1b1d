"""Quantizing, drawing and a training step of codes, beside what others do.

    python benchmarks/speed_vq.py quantize     beside vector-quantize-pytorch
    python benchmarks/speed_vq.py draw         beside the `generate` of Hugging Face's transformers
    python benchmarks/speed_vq.py step         a VQ-VAE-2's training step beside a plain one

One thread; process time; medians of rounds in which all take their turn. In the training process freed memory is kept
and float32 products are sent to oneDNN for ours, as in every training (`seisei.training.backend`), not for drawing,
which happens outside of one; the peers are measured in a process of their own, which waits while others are measured,
with torch's own defaults.

quantize: `VectorQuantize(dim, codebook_size, decay=0.8)` in training, forward and backward with its averages, against
`EMACodebook` with the same vectors, on normal vectors. Both choose the same codes.

draw: 6 layers, width 256, 8 heads, 1,024 codes, 256 of them, float32: `LlamaForCausalLM.generate(do_sample=True)`,
which has a cache too, against `Autoregressive.draw` with the same number of matrices of the same sizes.

step: two levels at 128×128 in color, batch 8, K 512, our networks in both; the plain step finds codes by the matrix of
all distances and averages by one-hot products, as the first implementations did, with Adam and torch's defaults in
float32.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from common import Record, options
from torch import Tensor, nn

from seisei import catalog, seeds
from seisei.data.dataset import Dataset
from seisei.data.loader import Loader, Order
from seisei.modalities.image import Image
from seisei.models.autoregressive import Autoregressive
from seisei.models.vqvae import VQVAE
from seisei.nn.quantizers.code_layout import Segment
from seisei.nn.quantizers.codebooks import EMACodebook
from seisei.recipes.vq import vqvae2
from seisei.schema import Schema
from seisei.training.backend import keep_pages, route_float32
from seisei.training.engine import Engine, Execution, Precision
from seisei.training.loop import Training
from seisei.training.plan import Plan

# M, D, K and the goal: how many times as fast as the peer.
SIZES = ((16_384, 64, 512, 15.0), (65_536, 64, 512, 12.0), (16_384, 64, 8192, 10.0))
DRAWS = ((1, 1.5), (64, 1.9))
LAYERS, WIDTH, HEADS, CODES, LENGTH = 6, 256, 8, 1024, 256
STEP = 2.0
Work = Callable[[], Any]


def seconds(work: Work) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


# ---- the peers, in a process of their own


def quantize_peer(rows: int, dim: int, codes: int) -> tuple[Work, Tensor]:
    from vector_quantize_pytorch import VectorQuantize

    peer: Any = VectorQuantize(dim=dim, codebook_size=codes, decay=0.8).train()
    with torch.no_grad():
        peer._codebook.embed.copy_(vectors_of(dim, codes).unsqueeze(0))
        peer._codebook.embed_avg.copy_(peer._codebook.embed)
    x = rows_of(rows, dim)

    def work() -> Tensor:
        z = x.clone().requires_grad_()
        q, found, loss = peer(z.unsqueeze(0))
        (q.sum() + loss.sum()).backward()
        return found.flatten()

    with torch.no_grad():
        chosen = peer.eval()(x.unsqueeze(0))[1].flatten()
    peer.train()
    return work, chosen


def draw_peer(batch: int) -> tuple[Work, None]:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=CODES, hidden_size=WIDTH, intermediate_size=8 * -(-WIDTH // 3), num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=LENGTH + 1, bos_token_id=0, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(shape).eval()
    start = torch.zeros(batch, 1, dtype=torch.long)

    def work() -> Any:
        with torch.inference_mode():
            return model.generate(start, do_sample=True, max_new_tokens=LENGTH, min_new_tokens=LENGTH, pad_token_id=0)

    return work, None


class Plain(nn.Module):
    """Vector quantization as it is written down: all distances, one-hot averages."""

    embed: Tensor
    size: Tensor
    mean: Tensor

    def __init__(self, dim: int, codes: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("embed", torch.randn(dim, codes))
        self.register_buffer("size", torch.zeros(codes))
        self.register_buffer("mean", self.embed.clone())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        flat = z.movedim(1, 3).reshape(-1, z.shape[1])
        distance = flat.pow(2).sum(1, keepdim=True) - 2 * flat @ self.embed + self.embed.pow(2).sum(0, keepdim=True)
        chosen = (-distance).max(1)[1]
        one_hot = F.one_hot(chosen, self.embed.shape[1]).type(flat.dtype)
        e = F.embedding(chosen, self.embed.T).reshape(z.shape[0], *z.shape[2:], -1).movedim(3, 1)
        with torch.no_grad():
            self.size.mul_(self.decay).add_(one_hot.sum(0), alpha=1 - self.decay)
            self.mean.mul_(self.decay).add_(flat.T @ one_hot, alpha=1 - self.decay)
            n = self.size.sum()
            self.embed.copy_(self.mean / ((self.size + 1e-5) / (n + len(self.size) * 1e-5) * n))
        return z + (e - z).detach(), (e.detach() - z).pow(2).mean()


def step_peer() -> tuple[Work, None]:
    catalog.fill()
    with seeds.seeded(0, "step"):
        model: VQVAE = plan_of_step().objective.build().model.train()
    plain = nn.ModuleList(Plain(q.dim, q.codes) for q in model.quantizers)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(
        [*model.encoders.parameters(), *model.enter.parameters(), *model.decoders.parameters()]
    )
    x = images()

    def work() -> None:
        optimizer.zero_grad()
        hidden, maps, cost = 2 * x - 1, [], x.new_zeros(())
        for encoder in model.encoders:
            hidden = encoder(hidden)
            maps.append(hidden)
        told: Tensor | None = None
        for level in (1, 0):
            z = model.enter[level](maps[level] if told is None else torch.cat([maps[level], told], 1))
            q, apart = plain[level](z)
            cost = cost + apart
            told = model.decoders[level](q if told is None else torch.cat([q, told], 1))
        assert told is not None
        (F.mse_loss(told, x) + 0.25 * cost).backward()
        optimizer.step()

    return work, None


def plan_of_step() -> Plan:
    return vqvae2(Schema(Image(128, 128, 3)), downsample=4, width=64, batch=8)


def images() -> Tensor:
    return torch.rand(8, 3, 128, 128, generator=seeds.generator("images"))


def rows_of(rows: int, dim: int) -> Tensor:
    return torch.randn(rows, dim, generator=seeds.generator("rows"))


def vectors_of(dim: int, codes: int) -> Tensor:
    return torch.randn(codes, dim, generator=seeds.generator("vectors"))


PEERS: dict[str, Callable[..., tuple[Work, Any]]] = {"quantize": quantize_peer, "draw": draw_peer, "step": step_peer}


def child(wire: Connection, what: str, arguments: tuple[int, ...]) -> None:
    torch.set_num_threads(1)
    work, told = PEERS[what](*arguments)
    work()
    wire.send(told)
    while wire.recv():
        wire.send(seconds(work))


# ---- ours


class Steps:
    """A training's steps, with all that belongs to one."""

    def __init__(self, precision: Precision) -> None:
        catalog.fill()
        self.engine = Engine(Execution(device="cpu", precision=precision))
        self.training = Training(plan_of_step(), loader(), self.engine, 0)

    def __call__(self) -> None:
        self.training.advance()


def loader() -> Loader:
    """Of the peer's images, as they are stored."""
    stored = (images() * 255).round().to(torch.uint8)
    rows = torch.arange(len(stored))
    data = Dataset(Schema(Image(128, 128, 3)), stored, None, list(map(str, rows.tolist())), {"train": rows}, "", {})
    return Loader(data, Order(rows, batch=len(stored), seed=0))


def quantize_ours(rows: int, dim: int, codes: int) -> tuple[Work, Tensor]:
    ours = EMACodebook(dim, codes, decay=0.8, commitment=1.0, revival=0.0).train()
    ours.means.copy_(vectors_of(dim, codes))
    x = rows_of(rows, dim)
    with torch.no_grad():
        chosen = ours(x).codes[:, 0]

    def work() -> None:
        z = x.clone().requires_grad_()
        found = ours(z)
        (found.values.sum() + found.cost.mean()).backward()
        ours.settle(lambda counted: counted)

    return work, chosen


def draw_ours(batch: int) -> Work:
    codec: Any = nn.Module()
    codec.segments = [Segment(16, 16, 1, CODES)]
    model = Autoregressive(codec, width=WIDTH, layers=LAYERS, heads=HEADS).eval()
    return lambda: model.draw(batch)


def compared(
    record: Record, setting: str, goal: float, what: str, arguments: tuple[int, ...], ours: Work, rounds: int
) -> Any:
    """Ours and the peer's in turn; what the peer told at its beginning."""
    wire, other = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=child, args=(other, what, arguments), daemon=True)
    process.start()
    told = wire.recv()
    ours()
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(seconds(ours))
        wire.send(True)
        theirs.append(wire.recv())
    wire.send(False)
    process.join()
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True))
    record.add("milliseconds", setting, 1e3 * statistics.median(mine), goal=None, better="lower")
    record.add("milliseconds of the peer", setting, 1e3 * statistics.median(theirs), goal=None, better="lower")
    record.add("times as fast as the peer", setting, ratio, goal=goal, better="higher")
    return told


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("what", nargs="+", choices=["quantize", "draw", "step", "all"])
    told = parser.parse_args()
    torch.set_num_threads(1)
    record = Record("speed_vq", told.seed, ("torch", "numpy", "seisei", "vector-quantize-pytorch", "transformers"))
    wanted = {"quantize", "draw", "step"} if "all" in told.what else set(told.what)
    keep_pages()
    route_float32(True)
    rounds = 1 if told.quick else 7
    if "quantize" in wanted:
        for rows, dim, codes, goal in SIZES[:1] if told.quick else SIZES:
            work, mine = quantize_ours(rows, dim, codes)
            setting = f"{rows:,} × {dim}, K {codes:,}"
            theirs = compared(record, setting, goal, "quantize", (rows, dim, codes), work, rounds)
            record.add("same codes", setting, float((mine == theirs).double().mean()), goal=1.0, better="higher")
    if "draw" in wanted:
        route_float32(False)
        for batch, goal in DRAWS[:1] if told.quick else DRAWS:
            setting = f"{LENGTH} codes, batch {batch}, against generate"
            compared(record, setting, goal, "draw", (batch,), draw_ours(batch), 1 if told.quick else 3)
    if "step" in wanted:
        route_float32(True)
        precisions: tuple[Precision, ...] = ("bf16", "fp32")
        for precision in precisions:
            setting = f"VQ-VAE-2 step at 128×128, batch 8, {precision}"
            goal = STEP if precision == "bf16" else 1.0
            compared(record, setting, goal, "step", (), Steps(precision), rounds)
    if not told.quick:
        record.write(keep_others=True)


if __name__ == "__main__":
    main()
