"""Where and how training runs: processes, device, precision. The only file that touches `torch.distributed`.

One process and many are the same code: any run starts unchanged under ``torchrun``. The one trick that makes that work for any
number of players: a turn's loss is wrapped as a module and prepared while only its player requires a gradient, so that data
parallelism registers exactly the parameters that move in that turn.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.errors import PeerLost, UserError
from seisei.objectives.base import Loss, Objective, Turn
from seisei.training.levers import bf16_works, keep_pages, route_float32
from seisei.training.optim import build_optimizer
from seisei.training.plan import Plan

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
WAIT = timedelta(seconds=60)


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; nothing here changes what is learned beyond rounding.

    Arguments:
        device: auto takes CUDA, else Apple's GPU, else the CPU.
        precision: auto is bf16 on CUDA that has it, float32 elsewhere.
        tuned: use the levers that were measured to pay on this kind of machine.
        compile: compile the loss with `torch.compile`; pays on GPUs and in long runs.
        sharded: shard parameters over processes (FSDP2) instead of copying them; one-player objectives only.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    tuned: bool = True
    compile: bool = False
    sharded: bool = False


class Moved(NamedTuple):
    """What one move reports: its loss terms, the norm of its gradient, and whether it was taken."""

    parts: dict[str, Tensor]
    norm: Tensor
    taken: bool


class Engine:
    """This process's place among the others, its device and its precision."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.world, self.rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = _device(execution.device, self.local_rank)
        self.bf16 = _bf16(execution.precision, self.device)
        self.levers: dict[str, Any] = {"fused_optimizer": execution.tuned, "kept_pages": False, "routed_float32": False}
        if execution.tuned and self.device.type == "cpu":
            self.levers["kept_pages"] = keep_pages()
            self.levers["routed_float32"] = route_float32(True)
        self._started = False
        self._peers: list[tuple[str, int]] = []
        if self.world > 1:
            self._join()

    @property
    def is_main(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    def _join(self) -> None:
        backend = "nccl" if self.device.type == "cuda" else "gloo"
        if not dist.is_initialized():
            if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
                # A restarted group must not read the addresses of the group that died: every attempt has its own prefix.
                address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
                base = dist.TCPStore(address, port, is_master=False, timeout=WAIT)
                store = dist.PrefixStore("attempt" + os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), base)
                dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world, timeout=WAIT)
            else:
                dist.init_process_group(backend, timeout=WAIT)
            self._started = True
        mine = torch.zeros(72, dtype=torch.int64, device=self.device)
        host = socket.gethostname().encode()[:64]
        mine[:2] = torch.tensor([os.getpid(), len(host)])
        mine[2 : 2 + len(host)] = torch.tensor(list(host))
        everyone = [torch.zeros_like(mine) for _ in range(self.world)]
        dist.all_gather(everyone, mine)
        self._peers = [(bytes(e[2 : 2 + int(e[1])].tolist()).decode(errors="replace"), int(e[0])) for e in everyone]

    def close(self) -> None:
        """Leave the group and put the levers back."""
        if self.levers["routed_float32"]:
            route_float32(False)
        if self._started and dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def watching_peers(self, resume: str) -> Iterator[None]:
        """Turn the loss of another process into one line that names it and says how to go on."""
        try:
            yield
        except (dist.DistBackendError, RuntimeError) as error:
            words = ("Connection closed", "connection reset", "Connection reset", "Broken pipe", "timed out", "Timed out", "Socket Timeout")
            if self.world == 1 or not any(word in str(error) for word in words):
                raise
            raise PeerLost(f"{self._lost()}; resume with: {resume}") from error

    def _lost(self) -> str:
        host = socket.gethostname()
        dead = [f"rank {r} ({h}, pid {p})" for r, (h, p) in enumerate(self._peers) if h == host and not _alive(p)]
        return f"{' and '.join(dead)} died" if dead else f"rank {self.rank} lost contact with another process"

    def agree(self, flag: int) -> int:
        """The largest flag of all processes."""
        if self.world == 1:
            return flag
        value = torch.tensor([flag], device=self.device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value)

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean over processes of each value."""
        if not values:
            return {}
        stacked = torch.stack([v.detach().double().reshape(()) for v in values.values()])
        if self.world > 1:
            dist.all_reduce(stacked)
            stacked /= self.world
        return dict(zip(values, stacked.tolist(), strict=True))

    def share(self, text: str) -> str:
        """The main process's text (at most 4,000 bytes), in every process."""
        if self.world == 1:
            return text
        data = text.encode()
        assert len(data) <= 4000
        wire = torch.zeros(4008, dtype=torch.uint8, device=self.device)
        wire[:2] = torch.tensor([len(data) // 256, len(data) % 256])
        wire[8 : 8 + len(data)] = torch.tensor(list(data), dtype=torch.uint8)
        dist.broadcast(wire, 0)
        length = int(wire[0]) * 256 + int(wire[1])
        return bytes(wire[8 : 8 + length].tolist()).decode()

    def same(self, name: str, value: int) -> None:
        """Refuse to go on when processes hold different values."""
        if self.world > 1:
            both = torch.tensor([value, -value], device=self.device)
            dist.all_reduce(both, op=dist.ReduceOp.MAX)
            if int(both[0]) != -int(both[1]):
                raise UserError("E-DST-10", name, "differs between processes", "give every process the same files and options")

    def barrier(self) -> None:
        """Wait for every process."""
        if self.world > 1:
            dist.barrier()

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 where the run's precision says so."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def place(self, batch: Batch, format: str) -> Batch:
        """The batch on this process's device, pictures in the wanted layout."""
        if self.device.type != "cpu":
            batch = batch.map(lambda tensor: tensor.to(self.device, non_blocking=True))
        if format == "channels_last" and batch.x.dim() == 4:
            return Batch(batch.x.contiguous(memory_format=torch.channels_last), batch.y, batch.mask)
        return batch

    def prepare(self, objective: Objective, turn: Turn, plan: Plan) -> Move:
        """Make a turn ready to be played."""
        return Move(self, objective, turn, plan)


class _TurnLoss(nn.Module):
    """A turn's loss as a module, so that it can be wrapped."""

    def __init__(self, objective: Objective, turn: Turn, engine: Engine) -> None:
        super().__init__()
        self.objective, self.turn, self.engine = objective, turn, engine

    def forward(self, batch: Batch, t: float) -> Loss:
        with self.engine.autocast():
            return self.turn.loss(batch, t)


class Move:
    """A turn with its optimizer: called once a step, it moves its player and nobody else."""

    def __init__(self, engine: Engine, objective: Objective, turn: Turn, plan: Plan) -> None:
        self.engine, self.turn, self.plan = engine, turn, plan
        self.players = [t.player for t in objective.turns()]
        self._alone()
        loss: nn.Module = _TurnLoss(objective, turn, engine)
        if engine.world > 1 and engine.execution.sharded:
            _shard(loss, turn.player, len(self.players))
        self.names = [name for name, _ in turn.player.named_parameters()]
        self.parameters = list(turn.player.parameters())
        self.optimizer = build_optimizer(self.parameters, plan.optim, fused=engine.levers["fused_optimizer"])
        self.ddp = None
        if engine.world > 1 and not engine.execution.sharded:
            self.ddp = nn.parallel.DistributedDataParallel(loss, broadcast_buffers=False)
            loss = self.ddp
        self.loss: Any = torch.compile(loss) if engine.execution.compile else loss

    def _alone(self) -> None:
        if len(self.players) > 1:
            for player in self.players:
                player.requires_grad_(player is self.turn.player)

    def __call__(self, batch: Batch, t: float, rate: float, seed: int, step: int) -> Moved:
        """Descend the turn's loss once; a step whose gradient is not finite is not taken."""
        self._alone()
        self.optimizer.zero_grad(set_to_none=True)
        parts: dict[str, Tensor] = {}
        size = -(-len(batch) // self.plan.micro)
        done, engine = 0, self.engine
        for part in batch.split(size):
            share = len(part) / len(batch)
            offset = engine.rank * len(batch) + done
            draws = seeds.Draws(seed, step, total=engine.world * len(batch), offset=offset, device=engine.device)
            done += len(part)
            waiting = self.ddp.no_sync() if self.ddp is not None and done < len(batch) else nullcontext()
            with waiting, seeds.drawing(draws):
                total, terms = self.loss(part, t)
                (total * share if share < 1 else total).backward()
            for name, value in {"loss": total.detach(), **terms}.items():
                parts[name] = parts[name] + value * share if name in parts else value * share
        norm = nn.utils.clip_grad_norm_(self.parameters, self.plan.optim.clip)
        norm = whole(norm)
        taken = bool(torch.isfinite(norm))
        if taken:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
        return Moved(parts, norm, taken)

    def first_bad(self) -> str | None:
        """The first parameter whose gradient is not finite."""
        for name, parameter in zip(self.names, self.parameters, strict=True):
            if parameter.grad is not None and not bool(torch.isfinite(whole(parameter.grad)).all()):
                return name
        return None

    def state(self) -> dict[str, Tensor]:
        """The optimizer's tensors, by parameter name."""
        found = self.optimizer.state
        return {
            f"{name}/{key}": whole(value)
            for name, parameter in zip(self.names, self.parameters, strict=True)
            for key, value in found.get(parameter, {}).items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.optimizer.state.clear()
        by_name = dict(zip(self.names, self.parameters, strict=True))
        for key, value in state.items():
            name, _, kind = key.rpartition("/")
            parameter = by_name[name]
            kept = value.clone() if kind == "step" else like(parameter.detach(), value)
            self.optimizer.state[parameter][kind] = kept


def whole(tensor: Tensor) -> Tensor:
    """A tensor as one process would hold it: shards are gathered (all processes must ask)."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[no-any-return, operator]


def like(target: Tensor, value: Tensor) -> Tensor:
    """A copy of a whole tensor, on the target's device and sharded as the target is."""
    value = value.to(target.device, target.dtype, copy=True)
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value, target.device_mesh, target.placements)  # type: ignore[no-any-return, attr-defined]
    return value


def _shard(loss: nn.Module, player: nn.Module, players: int) -> None:
    if players > 1:
        raise UserError(
            "E-DST-24", "--sharded", f"{players} players cannot be sharded, wanted one", "leave out --sharded: copies are used"
        )
    from torch.distributed.fsdp import fully_shard

    for child in player.children():
        # Only what is called through `forward` gathers its own shards; the rest belongs to the root.
        if type(child).forward is not nn.Module.forward and any(True for _ in child.parameters()):
            fully_shard(child)
    fully_shard(loss)


def _device(wanted: Device, local_rank: int) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        wanted = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[wanted]:
        raise UserError("E-TRN-23", f"--device {wanted}", f"{wanted} is not available here", "use --device cpu")
    if wanted == "cuda":
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise UserError("E-DST-15", "torchrun", f"{local_rank + 1} processes on {count} GPUs", f"start {count} processes")
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)
    return torch.device(wanted)


def _bf16(wanted: Precision, device: torch.device) -> bool:
    if wanted == "auto":
        return device.type == "cuda" and bf16_works(device)
    if wanted == "bf16" and not bf16_works(device):
        raise UserError("E-TRN-24", "--precision bf16", f"is not supported by {device.type}", "use --precision fp32")
    return wanted == "bf16"


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
