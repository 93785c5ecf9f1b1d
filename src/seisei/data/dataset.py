"""`Dataset`: packed examples, their splits, and a report on how they were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seisei.batch import Batch
from seisei.schema import Schema


@dataclass(frozen=True)
class Dataset:
    """Packed examples with optional labels or conditions.

    Arguments:
        schema: the modalities of x and y.
        x: examples as `Modality.pack` returns them: images (N, C, H, W), uint8 except for pairs of higher bit depth,
            in memory or memory-mapped; table rows float64 (N, D), NaN for missing values.
        y: class indices, int64 (N,), -1 for unlabeled training examples; conditions, float64 (N, D); images like x for
            pairs; or None.
        names: one for each example.
        splits: indices of the examples of ``train``, ``validation`` and ``test``.
        fingerprint: a hash of all of the above and of what was skipped.
        report: what was read and how, as JSON data.
        in_memory: whether x and y are in memory; otherwise batches are read from a file.
        y_table: what y are indices into, where several examples share a y, such as a style image.
    """

    schema: Schema
    x: Tensor
    y: Tensor | None
    names: list[str]
    splits: dict[str, Tensor]
    fingerprint: str
    report: dict[str, Any]
    in_memory: bool = True
    y_table: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, indices: Tensor) -> Dataset:
        """Only these examples, all in the ``test`` split."""
        y, names = None if self.y is None else self.y[indices], [self.names[i] for i in indices.tolist()]
        return replace(self, x=self.x[indices], y=y, names=names, splits={"test": torch.arange(len(indices))})

    def batch(self, indices: Tensor) -> Batch:
        """These examples as model input: x float32 (B, ...), y int64 (B,), or float32 (B, K) or (B, C, H, W), or None.

        Images are (B, C, H, W), rows (B, D). The mask is None if nothing is missing.
        """
        # `index_select` copies whole rows; indexing would copy value by value.
        x = self.x.index_select(0, indices)
        mask = self.schema.x.observed(x)
        mask = None if mask is None or bool(mask.all()) else mask
        y = None
        if self.y is not None and self.schema.y is not None:
            stored = self.y.index_select(0, indices)
            y = self.schema.y.unpack(stored if self.y_table is None else self.y_table[stored])
        return Batch(self.schema.x.unpack(x), y, mask)


def digest(content: bytes) -> bytes:
    """A hash of an example's content."""
    return hashlib.blake2b(content, digest_size=16).digest()


def fingerprint(
    schema: Schema,
    names: Sequence[str],
    y: Tensor | None,
    skipped: Sequence[str],
    splits: dict[str, Tensor],
    contents: Sequence[bytes],
) -> str:
    """A hash over a data set; contents are digests."""
    whole = hashlib.blake2b(digest_size=16)
    parts = {part: indices.tolist() for part, indices in splits.items()}
    for fact in (schema.to_json(), names, None if y is None else y.tolist(), skipped, parts):
        whole.update(json.dumps(fact, sort_keys=True).encode() + b"\n")
    whole.update(b"".join(contents))
    return whole.hexdigest()


def duplicates(contents: Sequence[bytes], splits: dict[str, Tensor]) -> dict[str, int]:
    """The number of duplicate examples, and of contents that occur in several splits (possible with given splits)."""
    where: dict[bytes, set[str]] = {}
    for part, indices in splits.items():
        for i in indices.tolist():
            where.setdefault(contents[i], set()).add(part)
    return {
        "duplicates": len(contents) - len(where),
        "duplicates_across_splits": sum(len(parts) > 1 for parts in where.values()),
    }
