"""Latents and codes: of an example, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.capabilities import Quantizes
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.pipeline.artifact import BATCH, Artifact, Asked, Latents, Pixels


class Coding(Artifact):
    """The verbs of latents and codes: encode, decode, reconstruct."""

    @torch.no_grad()
    def encode(self, data: Dataset) -> Latents:
        """The latent of every image, (N, L), or its codes, (N, T) whole numbers."""
        model = self.need("encode")
        parts = [model.encode(b.visible, self._condition(b)) for b in self.batches(data)]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def decode(self, latents: Latents, *, label: Asked = None) -> list[Pixels]:
        """The image of every latent, or of every row of codes.

        Raises:
            UserError: latents of another width, or that are not finite; codes that the model does not have.
        """
        self.need("decode")
        if isinstance(self.model, Quantizes):
            self.labels(len(latents), label)
            return self._decoded(self._codes(np.asarray(latents), self.model), None)
        z = torch.as_tensor(np.asarray(latents, np.float32))
        width = self.latent_size
        if z.dim() != 2 or (width is not None and z.shape[1] != width):
            found = "×".join(map(str, z.shape))
            raise UserError(
                "E-DEC-22", "latents", f"shape {found}, wanted N×{width}", "give latents that this model made"
            )
        if not bool(torch.isfinite(z).all()):
            row = int((~torch.isfinite(z)).any(1).nonzero()[0])
            raise UserError("E-DEC-24", "latents", f"row {row} holds NaN or infinity", "remove that row")
        return self._decoded(z, self.labels(len(z), label))

    @staticmethod
    def _codes(given: NDArray[Any], model: Quantizes) -> Tensor:
        """Codes that a person gives, checked against those that the model has."""
        segments = model.segments
        length = sum(segment.length for segment in segments)
        if given.ndim != 2 or given.shape[1] != length:
            found = "×".join(map(str, given.shape))
            raise UserError("E-DEC-22", "codes", f"shape {found}, wanted N×{length}", "give codes that this model made")
        most = np.concatenate([np.full(segment.length, segment.codes) for segment in segments])
        for code, right in (
            ("E-DEC-23", np.isfinite(given) & (given == np.floor(given))),
            ("E-DEC-21", (given >= 0) & (given < most)),
        ):
            if not right.all():
                row, place = (int(i) for i in np.argwhere(~right)[0])
                wanted = f"wanted a whole number from 0 to {most[place] - 1}"
                problem = f"row {row} holds {given[row, place]} at {place}, {wanted}"
                raise UserError(code, "codes", problem, "give codes that this model made")
        return torch.as_tensor(given.astype(np.int64))

    def _decoded(self, z: Tensor, y: Tensor | None) -> list[Pixels]:
        out: list[Pixels] = []
        for start in range(0, len(z), BATCH):
            part = slice(start, start + BATCH)
            x = self.model.decode(z[part], None if y is None else y[part])  # type: ignore[operator]
            out += [self.image.decode(p) for p in x]
        return out

    @property
    def bits(self) -> float | None:
        """What the codes of an image cost, None for a model that has none."""
        return float(self.model.bits) if isinstance(self.model, Quantizes) else None

    @property
    def latent_size(self) -> int | None:
        """L, where the model says so."""
        size = getattr(self.model, "latent", None)
        if size is None and hasattr(self.model, "encoder"):
            model: Any = self.model
            size = model.encode(torch.zeros(1, *self.image.shape), torch.zeros(1, dtype=torch.long)).shape[1]
        return size

    @torch.no_grad()
    def reconstruct(self, data: Dataset) -> list[Pixels]:
        """Every image, through the model and back."""
        model = self.need("reconstruct")
        out: list[Pixels] = []
        for batch in self.batches(data):
            y = self._condition(batch)
            out += [self.image.decode(p) for p in model.decode(model.encode(batch.visible, y), y)]
        return out
