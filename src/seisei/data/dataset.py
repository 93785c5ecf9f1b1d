"""`Dataset`: examples in compact form, divided into parts, and what was found on the way to it."""

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
    """Examples, packed, and perhaps their labels.

    Arguments:
        schema: what x and y are.
        x: as `Modality.pack` makes them: images (N, C, H, W), uint8 unless they are pairs of deeper ones, in memory
            or mapped from a file; rows of a table float64 (N, D), NaN where nothing is.
        y: class numbers, int64 (N,), -1 where a training example's is not known; conditions, float64 (N, D); images
            as x, where the examples are pairs; or None.
        names: one for each example.
        splits: the places of the examples of ``train``, ``validation`` and ``test``.
        fingerprint: changes when anything above does, or what was skipped.
        report: what was found and done, as plain data.
        in_memory: whether x and y are; else gathering examples reads from a file.
    """

    schema: Schema
    x: Tensor
    y: Tensor | None
    names: list[str]
    splits: dict[str, Tensor]
    fingerprint: str
    report: dict[str, Any]
    in_memory: bool = True

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, indices: Tensor) -> Dataset:
        """These examples alone, all of them in the part ``test``."""
        y, names = None if self.y is None else self.y[indices], [self.names[i] for i in indices.tolist()]
        return replace(self, x=self.x[indices], y=y, names=names, splits={"test": torch.arange(len(indices))})

    def batch(self, indices: Tensor) -> Batch:
        """These examples as a model sees them: x float32 (B, ...), y int64 (B,), or float32
        (B, K) or (B, C, H, W), or None.

        Images are (B, C, H, W), rows (B, D). The mask is None where nothing is missing.
        """
        # Rows are copied whole by `index_select`; indexing would go through them value by value.
        stored = self.x.index_select(0, indices)
        mask = self.schema.x.observed(stored)
        mask = None if mask is None or bool(mask.all()) else mask
        y = None
        if self.y is not None and self.schema.y is not None:
            y = self.schema.y.unpack(self.y.index_select(0, indices))
        return Batch(self.schema.x.unpack(stored), y, mask)


def digest(content: bytes) -> bytes:
    """What two examples share when their content is the same."""
    return hashlib.blake2b(content, digest_size=16).digest()


def fingerprint(
    schema: Schema,
    names: Sequence[str],
    y: Tensor | None,
    skipped: Sequence[str],
    splits: dict[str, Tensor],
    contents: Sequence[bytes],
) -> str:
    """What changes when any of these does; contents are digests."""
    whole = hashlib.blake2b(digest_size=16)
    parts = {part: indices.tolist() for part, indices in splits.items()}
    for fact in (schema.to_json(), names, None if y is None else y.tolist(), skipped, parts):
        whole.update(json.dumps(fact, sort_keys=True).encode() + b"\n")
    whole.update(b"".join(contents))
    return whole.hexdigest()


def duplicates(contents: Sequence[bytes], splits: dict[str, Tensor]) -> dict[str, int]:
    """How many examples repeat another, and how many contents lie in several parts, as with given splits they can."""
    where: dict[bytes, set[str]] = {}
    for part, indices in splits.items():
        for i in indices.tolist():
            where.setdefault(contents[i], set()).add(part)
    return {
        "duplicates": len(contents) - len(where),
        "duplicates_across_splits": sum(len(parts) > 1 for parts in where.values()),
    }
