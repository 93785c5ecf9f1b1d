"""Randomness as a pure function of a key.

Nothing in a run depends on hidden random state: the order of the data is a function of (seed, epoch), the noise of
training step k a function of (seed, k, position in the batch). So a resumed run has no random state to restore,
sampling during training cannot disturb training, and distributed processes or micro-batches see the noise that one
process sees for the whole batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral

import torch
from torch import Tensor

from seisei.errors import UserError

SEED_LIMIT = 2**63


def derive(*key: object) -> int:
    """A 63-bit seed from any key, the same in every process and on every machine.

    Example:
        >>> derive(0, "order", 1) == derive(0, "order", 1) != derive(0, "order", 2)
        True
    """
    # NumPy integers print differently from Python's, and must give the same seed.
    plain = tuple(int(part) if isinstance(part, Integral) and not isinstance(part, bool) else part for part in key)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def check(seed: int, code: str, where: str = "--seed") -> None:
    """Refuse a seed that is out of range.

    Arguments:
        seed: the requested seed.
        code: error code.
        where: the option or argument the error names.

    Raises:
        UserError: the seed is out of range.
    """
    if not 0 <= seed < SEED_LIMIT:
        problem = f"{seed} is out of range, wanted 0 to 2^63 - 1"
        raise UserError(code, where, problem, "choose a seed in the range", found=seed)


def generator(*key: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by `derive(*key)`."""
    return torch.Generator(device=device).manual_seed(derive(*key))


class Draws:
    """The noise of one training step: examples ``offset … offset + count`` of a batch of ``total``.

    Noise is sampled for the whole batch and sliced, so that the noise of an example does not depend on how the batch
    was split.
    """

    def __init__(self, seed: int, step: int, *, total: int, offset: int, device: torch.device | str = "cpu") -> None:
        self.total, self.offset = total, offset
        self.generator = generator(seed, "draws", step, device=device)

    def _slice(self, whole: Tensor, count: int) -> Tensor:
        assert self.offset + count <= self.total, "more examples than the step's batch"
        return whole[self.offset : self.offset + count]

    def normal(self, count: int, *shape: int) -> Tensor:
        """Standard normal noise (count, *shape)."""
        device = self.generator.device
        return self._slice(torch.randn(self.total, *shape, generator=self.generator, device=device), count)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), (count, *shape)."""
        device = self.generator.device
        return self._slice(torch.rand(self.total, *shape, generator=self.generator, device=device), count)


class Keyed:
    """Per-example noise that depends on each example's own key, not on its position or its batch.

    Arguments:
        seed: random seed.
        keys: one per example.
        device: device of the returned noise.
    """

    def __init__(self, seed: int, keys: Sequence[object], device: torch.device | str = "cpu") -> None:
        self.generators, self.device = [generator(seed, "keyed", key) for key in keys], device

    def normal(self, count: int, *shape: int) -> Tensor:
        """Standard normal noise (count, *shape)."""
        assert count == len(self.generators), "one key per example is expected"
        return torch.stack([torch.randn(*shape, generator=own) for own in self.generators]).to(self.device)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), (count, *shape)."""
        assert count == len(self.generators), "one key per example is expected"
        return torch.stack([torch.rand(*shape, generator=own) for own in self.generators]).to(self.device)


_draws: ContextVar[Draws | Keyed | None] = ContextVar("draws", default=None)


@contextmanager
def drawing(draws: Draws | Keyed) -> Iterator[None]:
    """Inside, `normal` and `uniform` sample from the step's noise, or from each example's own."""
    token = _draws.set(draws)
    try:
        yield
    finally:
        _draws.reset(token)


def normal(count: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal noise per example: (count, *shape).

    In a training step it is a function of (seed, step, position in the batch), in scoring of (seed, example); elsewhere
    it comes from torch's global generator, which `seeded` fixes.
    """
    draws = _draws.get()
    return draws.normal(count, *shape) if draws is not None else torch.randn(count, *shape, device=device)


def uniform(count: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniform noise in [0, 1) per example: (count, *shape); see `normal`."""
    draws = _draws.get()
    return draws.uniform(count, *shape) if draws is not None else torch.rand(count, *shape, device=device)


@contextmanager
def seeded(*key: object) -> Iterator[None]:
    """Inside, torch's global generator is seeded by the key; afterwards its previous state is restored.

    Example:
        >>> with seeded(1, "prior"):
        ...     a = torch.rand(2)
        >>> with seeded(1, "prior"):
        ...     bool((a == torch.rand(2)).all())
        True
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(*key))
        yield
