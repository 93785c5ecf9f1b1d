"""Where and how training runs: processes, device, precision. The only file that uses `torch.distributed`.

Single-process and distributed training share the same code: any run starts unchanged under ``torchrun``. To support
any number of players (such as generator and discriminator), each turn's loss is wrapped as a module while only its
player requires gradients, so that data parallelism registers exactly the parameters that this turn updates.
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
# A process group must be released from Python, which drops the GIL. If DDP held the last reference, its destructor
# would hold the GIL while waiting for a gloo thread that may be waiting for the GIL: a deadlock.
_GROUPS: list[Any] = []


@atexit.register
def _let_go() -> None:
    """End the groups' threads before the interpreter exits: one that requests the GIL later aborts the process."""
    gc.collect()
    _GROUPS.clear()


_MEETINGS = itertools.count()

# Rendezvous timeout, and collective timeout. A process that died is noticed at once by its closed connections; the
# collective timeout is for one that hangs, and must exceed what the main process does alone between steps.
MEETING, COLLECTIVE = timedelta(seconds=60), timedelta(minutes=10)
LOST = ("closed by peer", "reset by peer", "roken pipe", "imed out", "ocket", "remote process", "onnection refused")


@dataclass(frozen=True)
class Execution:
    """How a run is executed; nothing here changes the result beyond rounding.

    Arguments:
        device: auto selects CUDA, else Apple's GPU (MPS), else the CPU.
        precision: auto is bf16 on CUDA devices that support it, float32 elsewhere.
        backend_tuning: apply the backend settings measured to be faster on this type of machine.
        compile: compile the loss with `torch.compile`; worthwhile on GPUs and in long runs.
        sharded: shard parameters across processes (FSDP2) instead of replicating them; one-player objectives only.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    backend_tuning: bool = True
    compile: bool = False
    sharded: bool = False


class Engine:
    """This process's rank, device and precision; used as a context manager.

    Exiting leaves the process group. On exit because another process was lost, the error becomes one line that names
    that process and how to resume.

    Arguments:
        execution: how to execute a run.
        alone: run in this process only, even under ``torchrun``.
    """

    def __init__(self, execution: Execution, *, alone: bool = False) -> None:
        self.execution = execution
        self.world, self.rank, local_rank = (1, 0, 0) if alone else _place()
        self.device = _device(execution.device, local_rank)
        self.bf16 = _bf16(execution.precision, self.device)
        # Messages for the user before the first step.
        self.notes: list[str] = []
        if self.bf16 and bf16_is_emulated(self.device):
            self.notes.append("this CPU emulates bf16, which is slow; --precision fp32 is faster here")
        self.levers: dict[str, Any] = {
            "fused_optimizer": execution.backend_tuning,
            "kept_pages": False,
            "routed_float32": False,
        }
        # A training nested in another, such as one for evaluation, must restore the outer one's arithmetic.
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
        """True in the process that writes files."""
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether parameters are sharded across processes."""
        return self.world > 1 and self.execution.sharded

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = self.world > 1 and isinstance(error, RuntimeError) and not isinstance(error, PeerLost)
        message = self._lost() if lost and any(word in str(error) for word in LOST) else None
        if self.levers["routed_float32"]:
            route_float32(self._routed_before)
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()
        if message is not None:
            raise PeerLost(
                message + (f"; resume with: {self.resume_command}" if self.resume_command else "")
            ) from error

    def _join(self) -> None:
        # Its functions bind the group that exists at first import as a default argument, and would hold it forever.
        import torch.distributed.nn.functional  # noqa: F401

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # Under torchrun its agent hosts the store; otherwise the first process does, for as long as it lives.
        kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        try:
            if not _STORES:
                _STORES.append(TCPStore(address, port, is_master=not kept and self.rank == 0, timeout=MEETING))
            # Neither a restarted group nor this process's next training may read stale addresses.
            attempt = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}.{next(_MEETINGS)}"
            store: Any = PrefixStore(f"attempt{attempt}", _STORES[0])
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.world, timeout=COLLECTIVE)
            _GROUPS.append(dist.group.WORLD)
            mine = f"{os.getpid()} {socket.gethostname()}"
            store.set(f"peer{self.rank}", mine)
            # Store.get waits for the other processes, up to the store's timeout.
            found = [store.get(f"peer{rank}").decode().partition(" ") for rank in range(self.world)]
        except (RuntimeError, ValueError) as error:
            problem = (
                f"{self.world} processes could not connect at {address}:{port} ({str(error).splitlines()[0][:120]})"
            )
            raise UserError(
                "E-DST-13", f"rank {self.rank}", problem, "start every process, with an address that all can reach"
            ) from error
        self._peers = [(host, int(pid)) for pid, _, host in found]

    def _lost(self) -> str:
        """Which other process died. Its connections close a moment before its pid is gone, hence the retries."""
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
        """Run something in the main process before the others continue; returns its result there, None elsewhere.

        Raises:
            PeerLost: in the other processes, if it failed; the main process raises the original error.
        """
        result, trouble = None, None
        if self.is_main:
            try:
                result = action()
            except Exception as error:
                trouble = error
        if self.agree(int(trouble is not None)):
            raise trouble or PeerLost("rank 0 failed; see its error")
        return result

    def agree(self, flag: int) -> int:
        """The maximum of a flag over processes."""
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
        """The main process's text (at most 4,000 bytes), broadcast to every process."""
        if self.world == 1:
            return text
        wire = torch.zeros(4000, dtype=torch.uint8, device=self.device)
        if self.is_main:
            content = text.encode()
            wire[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        dist.broadcast(wire, 0)
        return bytes(wire.tolist()).rstrip(b"\0").decode()

    def same(self, code: str, name: str, value: int) -> None:
        """Raise an error if processes hold different values."""
        if self.world > 1:
            both = torch.tensor([value, -value], device=self.device)
            dist.all_reduce(both, op=dist.ReduceOp.MAX)
            if int(both[0]) != -int(both[1]):
                raise UserError(
                    code, name, "differs between processes", "give every process the same files and options"
                )

    def autocast(self) -> AbstractContextManager[Any]:
        """Autocast to bf16 if the run's precision is bf16."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def place(self, batch: Batch, format: str) -> Batch:
        """The batch on this process's device, images in the given memory format."""
        if self.device.type != "cpu":
            batch = batch.map(lambda tensor: tensor.to(self.device, non_blocking=True))
        if format == "channels_last" and batch.x.dim() == 4:
            return Batch(batch.x.contiguous(memory_format=torch.channels_last), batch.y, batch.mask)
        return batch

    def parallel(self, loss: nn.Module, players: int) -> nn.Module:
        """The loss wrapped so that its gradients average over processes; called while only its player needs them."""
        if self.world == 1:
            return loss
        if not self.execution.sharded:
            copied = nn.parallel.DistributedDataParallel(loss)
            copied.broadcast_buffers = False  # not at every forward; the constructor argument is deprecated
            return copied
        if players > 1:
            problem = f"{players} players cannot be sharded, wanted one"
            raise UserError("E-DST-24", "--sharded", problem, "leave out --sharded to replicate parameters instead")
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.world,))
        # One shard group: a submodule called several times in one loss, as a VampPrior calls the encoder, would gather
        # and scatter in an order that differs between processes (gloo then aborts or hangs).
        fully_shard(loss, mesh=mesh)
        return loss

    def accumulating(self, loss: nn.Module, more: bool) -> AbstractContextManager[Any]:
        """Context for a micro-batch: gradients are synchronized once, with the last one."""
        copied = more and isinstance(loss, nn.parallel.DistributedDataParallel)
        return loss.no_sync() if copied else nullcontext()  # type: ignore[operator]


def whole(tensor: Tensor) -> Tensor:
    """The full tensor, gathered from its shards (all processes must call)."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[no-any-return, operator]


def like(target: Tensor, value: Tensor) -> Tensor:
    """A copy of a full tensor with the target's device, memory format and sharding.

    A fused optimizer iterates over a parameter and its moments in memory order: in another format each weight would
    get another weight's moments.
    """
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        value = value.to(target.device, target.dtype, copy=True)
        return distribute_tensor(value, target.device_mesh, target.placements)  # type: ignore[no-any-return, attr-defined]
    return torch.empty_like(target).copy_(value)


def _place() -> tuple[int, int, int]:
    """World size, rank and local rank, from the environment variables of ``torchrun``."""
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
