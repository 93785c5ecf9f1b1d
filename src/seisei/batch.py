"""What travels: `Batch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """A group of examples on their way through a model.

    Arguments:
        x: what is modeled, (B, ...).
        y: what conditions it, or its label, (B, ...).
        mask: True where x was observed, broadcastable to x; None means everywhere. Padding, missing cells and held-out
            items
            are one thing.
    """

    x: Tensor
    y: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def visible(self) -> Tensor:
        """x with zeros where it was not observed: all that an encoder may see."""
        return self.x if self.mask is None else self.x * self.mask

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with the function applied to each tensor."""
        y, mask = self.y, self.mask
        return Batch(function(self.x), None if y is None else function(y), None if mask is None else function(mask))

    def split(self, size: int) -> Iterator[Batch]:
        """Consecutive parts of at most `size` examples."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            y, mask = self.y, self.mask
            yield Batch(self.x[part], None if y is None else y[part], None if mask is None else mask[part])


# All training examples, as often as they are asked for.
Examples = Callable[[], Iterable[Batch]]


def observed(log_p: Tensor, mask: Tensor | None) -> Tensor:
    """Per-example log-likelihood of what was observed: (B, ...) summed to (B,), unobserved values counting nothing."""
    if mask is not None:
        log_p = log_p.where(mask, log_p.new_zeros(()))
    return log_p.flatten(1).sum(1)
