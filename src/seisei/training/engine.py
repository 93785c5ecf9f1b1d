"""Where and how training runs: processes, device, precision. The only file that touches `torch.distributed`.

One process and many are the same code: any run starts unchanged under ``torchrun``. The one trick that makes that work
for any number of players: a turn's loss is wrapped as a module and prepared while only its player requires a gradient,
so that data parallelism registers exactly the parameters that move in that turn.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from seisei.batch import Batch
from seisei.errors import PeerLost, UserError
from seisei.training.backend import bf16_is_emulated, bf16_works, float32_is_routed, keep_pages, route_float32
from seisei.training.signals import alive

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
T = TypeVar("T")
_STORES: list[Any] = []
# A group must be let go of from Python, which then gives up the interpreter's lock. Were DDP's reference the last, its
# destructor would keep that lock and wait for a thread of gloo that may be waiting for it: the process hangs for good.
_GROUPS: list[Any] = []


@atexit.register
def _let_go() -> None:
    """End the groups' threads while there is an interpreter: one that asks for its lock later aborts the process."""
    gc.collect()
    _GROUPS.clear()


_MEETINGS = itertools.count()

# To meet, a minute. Afterwards a process that died is noticed at once by its closed connections; the limit of a
# collective is for one that hangs, and must be longer than what the main process does alone between steps.
MEETING, COLLECTIVE = timedelta(seconds=60), timedelta(minutes=10)
LOST = ("closed by peer", "reset by peer", "roken pipe", "imed out", "ocket", "remote process", "onnection refused")


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; nothing here changes what is learned beyond rounding.

    Arguments:
        device: auto takes CUDA, else Apple's GPU, else the CPU.
        precision: auto is bf16 on CUDA that has it, float32 elsewhere.
        backend_tuning: use the levers that were measured to pay on this kind of machine.
        compile: compile the loss with `torch.compile`; pays on GPUs and in long runs.
        sharded: shard parameters over processes (FSDP2) instead of copying them; one-player objectives only.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    backend_tuning: bool = True
    compile: bool = False
    sharded: bool = False


class Engine:
    """This process's place among the others, its device and its precision; used as a context.

    Leaving it leaves the group of processes. When it is left because another process was lost, the error becomes one
    line that names that process and says how to go on.

    Arguments:
        execution: how to carry out a run.
        alone: in this process, whatever others there are.
    """

    def __init__(self, execution: Execution, *, alone: bool = False) -> None:
        self.execution = execution
        self.world, self.rank, local_rank = (1, 0, 0) if alone else _place()
        self.device = _device(execution.device, local_rank)
        self.bf16 = _bf16(execution.precision, self.device)
        # What a person may want to know before the first step.
        self.notes: list[str] = []
        if self.bf16 and bf16_is_emulated(self.device):
            self.notes.append("this CPU has no arithmetic for bf16 and is slow at it; --precision fp32 is quicker here")
        self.levers: dict[str, Any] = {
            "fused_optimizer": execution.backend_tuning,
            "kept_pages": False,
            "routed_float32": False,
        }
        # A training inside of another one, of what this is judged by, must leave its arithmetic as it was.
        self._routed_before = float32_is_routed()
        if execution.backend_tuning and self.device.type == "cpu":
            self.levers["kept_pages"] = keep_pages()
            self.levers["routed_float32"] = route_float32(True)
        self.resume_command = ""
        self._peers: list[tuple[str, int]] = []
        if self.world > 1:
            self._join()

    @property
    def is_main(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether parameters are divided over processes."""
        return self.world > 1 and self.execution.sharded

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = self.world > 1 and isinstance(error, RuntimeError) and not isinstance(error, PeerLost)
        told = self._lost() if lost and any(word in str(error) for word in LOST) else None
        if self.levers["routed_float32"]:
            route_float32(self._routed_before)
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
        if told is not None:
            raise PeerLost(told + (f"; resume with: {self.resume_command}" if self.resume_command else "")) from error

    def _join(self) -> None:
        # Its functions take the group there is when it is first imported as a default, and would hold it for ever.
        import torch.distributed.nn.functional  # noqa: F401

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # torchrun's own process keeps the store; started otherwise, the first process does, for as long as it lives.
        kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        try:
            if not _STORES:
                _STORES.append(TCPStore(address, port, is_master=not kept and self.rank == 0, timeout=MEETING))
            # Neither a restarted group nor this process's next training may read the addresses of one that is gone.
            attempt = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}.{next(_MEETINGS)}"
            store: Any = PrefixStore(f"attempt{attempt}", _STORES[0])
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world, timeout=COLLECTIVE)
            _GROUPS.append(dist.group.WORLD)
            mine = f"{os.getpid()} {socket.gethostname()}"
            store.set(f"peer{self.rank}", mine)
            # Store.get waits for the others, for as long as the store's timeout.
            found = [store.get(f"peer{rank}").decode().partition(" ") for rank in range(self.world)]
        except (RuntimeError, ValueError) as error:
            problem = f"{self.world} processes did not meet at {address}:{port} ({str(error).splitlines()[0][:120]})"
            raise UserError(
                "E-DST-13", f"rank {self.rank}", problem, "start every process, at an address all can reach"
            ) from error
        self._peers = [(host, int(pid)) for pid, _, host in found]

    def _lost(self) -> str:
        """Which other process died. Its connections close a moment before it is seen to be dead, hence the patience."""
        here = socket.gethostname()
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if dead := [
                f"rank {r} ({h}, pid {p})" for r, (h, p) in enumerate(self._peers) if h == here and not alive(p)
            ]:
                return f"{' and '.join(dead)} died or left"
            time.sleep(0.05)
        return f"rank {self.rank} lost contact with another process"

    def first(self, action: Callable[[], T]) -> T | None:
        """Let the main process do something before any other goes on: its result there, None elsewhere.

        Raises:
            PeerLost: elsewhere, when it failed; the main process raises what it met.
        """
        result, trouble = None, None
        if self.is_main:
            try:
                result = action()
            except Exception as error:
                trouble = error
        if self.agree(int(trouble is not None)):
            raise trouble or PeerLost("rank 0 could not go on, and says why")
        return result

    def agree(self, flag: int) -> int:
        """The largest flag of all processes."""
        if self.world == 1:
            return flag
        value = torch.tensor([flag], device=self.device)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return int(value)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        if self.world > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes."""
        return self.sum(values) / self.world if self.world > 1 else values

    def share(self, text: str) -> str:
        """The main process's text (at most 4,000 bytes), in every process."""
        if self.world == 1:
            return text
        wire = torch.zeros(4000, dtype=torch.uint8, device=self.device)
        if self.is_main:
            content = text.encode()
            wire[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        dist.broadcast(wire, 0)
        return bytes(wire.tolist()).rstrip(b"\0").decode()

    def same(self, code: str, name: str, value: int) -> None:
        """Refuse to go on when processes hold different values."""
        if self.world > 1:
            both = torch.tensor([value, -value], device=self.device)
            dist.all_reduce(both, op=dist.ReduceOp.MAX)
            if int(both[0]) != -int(both[1]):
                raise UserError(
                    code, name, "differs between processes", "give every process the same files and options"
                )

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 where the run's precision says so."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def place(self, batch: Batch, format: str) -> Batch:
        """The batch on this process's device, images in the wanted layout."""
        if self.device.type != "cpu":
            batch = batch.map(lambda tensor: tensor.to(self.device, non_blocking=True))
        if format == "channels_last" and batch.x.dim() == 4:
            return Batch(batch.x.contiguous(memory_format=torch.channels_last), batch.y, batch.mask)
        return batch

    def parallel(self, loss: nn.Module, players: int) -> nn.Module:
        """A loss whose gradients are means over processes; called while only its player requires a gradient."""
        if self.world == 1:
            return loss
        if not self.execution.sharded:
            copied = nn.parallel.DistributedDataParallel(loss)
            copied.broadcast_buffers = (
                False  # at every forward; as an argument it is deprecated, in favor of a newer one
            )
            return copied
        if players > 1:
            problem = f"{players} players cannot be sharded, wanted one"
            raise UserError("E-DST-24", "--sharded", problem, "leave out --sharded: copies are used")
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.world,))
        # One group of shards: a part that is called several times in one loss, as a VampPrior calls the encoder, would
        # gather and scatter in an order that processes do not keep (gloo then aborts or hangs).
        fully_shard(loss, mesh=mesh)
        return loss

    def accumulating(self, loss: nn.Module, more: bool) -> AbstractContextManager[Any]:
        """Around a part of a batch: gradients travel once, with the last part."""
        copied = more and isinstance(loss, nn.parallel.DistributedDataParallel)
        return loss.no_sync() if copied else nullcontext()  # type: ignore[operator]


def whole(tensor: Tensor) -> Tensor:
    """A tensor as one process would hold it: shards are gathered (all processes must ask)."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[no-any-return, operator]


def like(target: Tensor, value: Tensor) -> Tensor:
    """A copy of a whole tensor, on the target's device, in its memory format, and sharded as it is.

    A fused optimizer goes through a parameter and its moments side by side in memory: in another format each weight
    would get the moments of another.
    """
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        value = value.to(target.device, target.dtype, copy=True)
        return distribute_tensor(value, target.device_mesh, target.placements)  # type: ignore[no-any-return, attr-defined]
    return torch.empty_like(target).copy_(value)


def _place() -> tuple[int, int, int]:
    """World size, rank, and rank on this machine, from the environment that ``torchrun`` makes."""
    names = ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    if "RANK" not in found and found.get("WORLD_SIZE", "1") == "1":
        return 1, 0, 0
    if missing := [name for name in names if name not in found]:
        raise UserError(
            "E-DST-06", "environment", f"{' and '.join(missing)} not set", "start with torchrun, which sets them"
        )
    try:
        world, rank = int(found["WORLD_SIZE"]), int(found["RANK"])
        local, _ = int(os.environ.get("LOCAL_RANK", rank)), int(found["MASTER_PORT"])
    except ValueError as error:
        raise UserError("E-DST-06", "environment", str(error), "start with torchrun, which sets it") from error
    if not 0 <= rank < world:
        raise UserError("E-DST-05", "RANK", f"{rank}, wanted 0 to {world - 1}", "start with torchrun, which sets it")
    return world, rank, local


def _device(wanted: Device, local_rank: int) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        wanted = "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if not there[wanted]:
        raise UserError("E-TRN-23", f"--device {wanted}", f"{wanted} is not available here", "use --device cpu")
    if wanted == "cuda":
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise UserError(
                "E-DST-15", "torchrun", f"{local_rank + 1} processes on {count} GPUs", f"start {count} processes"
            )
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)
    return torch.device(wanted)


def _bf16(wanted: Precision, device: torch.device) -> bool:
    if wanted == "auto":
        return device.type == "cuda" and bf16_works(device)
    if wanted == "bf16" and not bf16_works(device):
        raise UserError("E-TRN-24", "--precision bf16", f"is not supported by {device.type}", "use --precision fp32")
    return wanted == "bf16"
