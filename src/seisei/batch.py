"""`Batch`: the record that travels from the data loader through a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of examples.

    Arguments:
        x: the data, (B, ...).
        y: the condition or label, (B, ...).
        mask: True where x was observed, broadcastable to x; None means everywhere. Padding, missing values and held-out
            entries are all masks.
    """

    x: Tensor
    y: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def visible(self) -> Tensor:
        """x with zeros where it was not observed: the only view of x that an encoder may use."""
        return self.x if self.mask is None else self.x * self.mask

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with the function applied to each tensor."""
        y, mask = self.y, self.mask
        return Batch(function(self.x), None if y is None else function(y), None if mask is None else function(mask))

    def split(self, size: int) -> Iterator[Batch]:
        """Consecutive micro-batches of at most `size` examples."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            y, mask = self.y, self.mask
            yield Batch(self.x[part], None if y is None else y[part], None if mask is None else mask[part])


# All training examples; each call starts a new pass over them.
Examples = Callable[[], Iterable[Batch]]


def observed(log_p: Tensor, mask: Tensor | None) -> Tensor:
    """Log-likelihood of the observed values: (B, ...) summed to (B,); unobserved values contribute 0."""
    if mask is not None:
        log_p = log_p.where(mask, log_p.new_zeros(()))
    return log_p.flatten(1).sum(1)
