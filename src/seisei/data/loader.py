"""Batches by step: each batch is a pure function of (seed, step).

There is no loader state to save: resuming means starting at another step, and the batches do not depend on the number
of processes or threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

import torch
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch

# At least one in this many examples of a batch is labeled.
RARE = 4


class Gathers(Protocol):
    """The interface of a data set that the loader needs."""

    @property
    def in_memory(self) -> bool:
        """Whether batches are read from memory."""
        ...

    def batch(self, indices: Tensor) -> Batch:
        """The examples at these indices."""
        ...


class Order:
    """The order of examples: each epoch is a new permutation; an incomplete last batch is dropped.

    Arguments:
        indices: the examples to iterate over.
        batch: batch size over all processes.
        seed: seed of the order.
        rare: examples among them guaranteed a share of every batch, such as the labeled ones when most are unlabeled;
            both groups are then permuted separately.
        weights: relative sampling weight of each example; equal by default. Per epoch each example is sampled its
            expected number of times, rounded down or up.

    Example:
        >>> order = Order(torch.arange(10), batch=4, seed=0)
        >>> len(set(order.at(0).tolist() + order.at(1).tolist()))
        8
    """

    def __init__(
        self, indices: Tensor, *, batch: int, seed: int, rare: Tensor | None = None, weights: Tensor | None = None
    ) -> None:
        assert 1 <= batch <= len(indices), "batch size exceeds the number of examples"
        assert rare is None or weights is None
        self._reached = None if weights is None else weights.double().cumsum(0) / weights.double().sum()
        self._kinds: tuple[Order, Order] | None = None
        if rare is not None and batch > 1 and 0 < len(rare) < len(indices):
            common = indices[~torch.isin(indices, rare)]
            few = max(round(batch * len(rare) / len(indices)), batch // RARE, batch - len(common), 1)
            few = min(few, len(rare), batch - 1)
            self._kinds = (
                Order(rare, batch=few, seed=seeds.derive(seed, "rare")),
                Order(common, batch=batch - few, seed=seed),
            )
        self.indices, self.batch, self.seed = indices, batch, seed
        self.per_epoch = len(indices) // batch
        self._epoch, self._permutation = -1, indices

    def some(self, count: int) -> Tensor:
        """Indices of at most `count` examples, for initialization before the first step."""
        shuffle = torch.randperm(len(self.indices), generator=seeds.generator(self.seed, "some"))
        return self.indices[shuffle[:count]]

    def at(self, step: int) -> Tensor:
        """Indices of the examples of one step, over all processes."""
        if self._kinds is not None:
            both = torch.cat([kind.at(step) for kind in self._kinds])
            # Shuffled, so that each process and micro-batch gets some of both.
            return both[torch.randperm(len(both), generator=seeds.generator(self.seed, "mixed", step))]
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            shuffle = torch.randperm(len(self.indices), generator=seeds.generator(self.seed, "order", epoch))
            self._epoch, self._permutation = epoch, self.indices[self._sampled(epoch)[shuffle]]
        return self._permutation[place * self.batch : (place + 1) * self.batch]

    def _sampled(self, epoch: int) -> Tensor:
        """Positions of an epoch's examples by systematic sampling; equal weights give each exactly once."""
        places = torch.arange(len(self.indices), dtype=torch.float64)
        if self._reached is None:
            return places.long()
        u = torch.rand((), generator=seeds.generator(self.seed, "weights", epoch), dtype=torch.float64)
        return torch.searchsorted(self._reached, (places + u) / len(places)).clamp_max(len(places) - 1)


class Loader:
    """This process's share of each step's batch: an equal consecutive slice.

    Arguments:
        data: the data set. If it is not in memory, the next batch is prefetched during the current step.
        order: the order of examples.
        rank: this process's rank.
        world: number of processes; must divide the batch size.
    """

    def __init__(self, data: Gathers, order: Order, *, rank: int = 0, world: int = 1) -> None:
        assert order.batch % world == 0
        self.data, self.order = data, order
        self.count = order.batch // world
        self.offset = rank * self.count
        self._ahead: tuple[int, Future[Batch]] | None = None
        self._pool = None if data.in_memory else ThreadPoolExecutor(1, thread_name_prefix="seisei-gather")

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _gather(self, indices: Tensor) -> Batch:
        return self.data.batch(indices[self.offset : self.offset + self.count])

    def everything(self, size: int = 4096) -> Iterator[Batch]:
        """Every example once, in order, in any process."""
        for start in range(0, len(self.order.indices), size):
            yield self.data.batch(self.order.indices[start : start + size])

    def at(self, step: int) -> Batch:
        """The batch of one step."""
        if self._pool is None:
            return self._gather(self.order.at(step))
        ahead, self._ahead = self._ahead, None
        batch = ahead[1].result() if ahead is not None and ahead[0] == step else self._gather(self.order.at(step))
        self._ahead = (step + 1, self._pool.submit(self._gather, self.order.at(step + 1)))
        return batch
