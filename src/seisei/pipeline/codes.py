"""Encoding, decoding, and reconstruction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei.capabilities import Quantizes
from seisei.data.dataset import Dataset
from seisei.errors import UserError
from seisei.pipeline.artifact import BATCH, Artifact, Labels, Latents, Pixels


class Encoding(Artifact):
    """The operations encode, decode, and reconstruct."""

    @torch.no_grad()
    def encode(self, data: Dataset) -> Latents:
        """Latents of images, (N, L), or their codes, (N, T) integers."""
        model = self.need("encode")
        parts = [model.encode(b.visible, self._condition(b)) for b in self.batches(data)]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def decode(self, latents: Latents, *, label: Labels = None) -> list[Pixels]:
        """Decode latents, or rows of codes, to images.

        Raises:
            UserError: latents of a wrong size, or with NaN or infinity; codes outside the codebook.
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
                "E-DEC-22", "latents", f"has shape {found}, wanted N×{width}", "give latents encoded by this model"
            )
        if not bool(torch.isfinite(z).all()):
            row = int((~torch.isfinite(z)).any(1).nonzero()[0])
            raise UserError("E-DEC-24", "latents", f"row {row} contains NaN or infinity", "remove that row")
        return self._decoded(z, self.labels(len(z), label))

    @staticmethod
    def _codes(codes: NDArray[Any], model: Quantizes) -> Tensor:
        """Codes as a tensor, checked against the codebook sizes."""
        segments = model.segments
        length = sum(segment.length for segment in segments)
        if codes.ndim != 2 or codes.shape[1] != length:
            found = "×".join(map(str, codes.shape))
            raise UserError(
                "E-DEC-22", "codes", f"has shape {found}, wanted N×{length}", "give codes encoded by this model"
            )
        sizes = np.concatenate([np.full(segment.length, segment.codes) for segment in segments])
        for error_code, valid in (
            ("E-DEC-23", np.isfinite(codes) & (codes == np.floor(codes))),
            ("E-DEC-21", (codes >= 0) & (codes < sizes)),
        ):
            if not valid.all():
                row, column = (int(i) for i in np.argwhere(~valid)[0])
                limits = f"wanted an integer from 0 to {sizes[column] - 1}"
                problem = f"row {row}, column {column}: {codes[row, column]}, {limits}"
                raise UserError(error_code, "codes", problem, "give codes encoded by this model")
        return torch.as_tensor(codes.astype(np.int64))

    def _decoded(self, z: Tensor, y: Tensor | None) -> list[Pixels]:
        out: list[Pixels] = []
        for start in range(0, len(z), BATCH):
            part = slice(start, start + BATCH)
            x = self.model.decode(z[part], None if y is None else y[part])  # type: ignore[operator]
            out += [self.image.decode(p) for p in x]
        return out

    @property
    def bits(self) -> float | None:
        """Bits per image of the codes; None for a model without codes."""
        return float(self.model.bits) if isinstance(self.model, Quantizes) else None

    @property
    def latent_size(self) -> int | None:
        """Latent size L; None if unknown."""
        size = getattr(self.model, "latent", None)
        if size is None and hasattr(self.model, "encoder"):
            model: Any = self.model
            size = model.encode(torch.zeros(1, *self.image.shape), torch.zeros(1, dtype=torch.long)).shape[1]
        return size

    @torch.no_grad()
    def reconstruct(self, data: Dataset) -> list[Pixels]:
        """Encode and decode images."""
        model = self.need("reconstruct")
        out: list[Pixels] = []
        for batch in self.batches(data):
            y = self._condition(batch)
            out += [self.image.decode(p) for p in model.decode(model.encode(batch.visible, y), y)]
        return out
