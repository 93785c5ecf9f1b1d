"""Image-to-image translation of images of any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seisei import seeds
from seisei.data.images.inputs import is_gray
from seisei.errors import UserError
from seisei.modalities.image import DEEP, Image
from seisei.modalities.image_io import DecodedImage
from seisei.nn.tiling import Tiling, disagreement
from seisei.pipeline.artifact import Artifact

TILE = 512


@dataclass(frozen=True)
class Translated:
    """A translated image.

    Arguments:
        pixels: output pixels, of the size of the input.
        disagreement: mean difference of overlapping tiles, relative to the range of values; 0 for a single tile.
    """

    pixels: NDArray[Any]
    disagreement: float


class Translation(Artifact):
    """The operation translate."""

    @property
    def source(self) -> Any:
        """Modality of the input images; that of x for a model that makes both sides from one image."""
        model: Any = self.model
        return getattr(self.schema, model.side)

    @torch.no_grad()
    def translate(
        self, image: DecodedImage, where: object = "image", *, seed: int = 0, number: int = 0, convert: bool = False,
        tile: int | None = None, overlap: int | None = None,
    ) -> Translated:  # fmt: skip
        """Translate an image of any size; the output has its size, and at least its bit depth.

        Large images are processed in overlapping tiles, as in `seisei.nn.tiling`.

        Arguments:
            image: input image.
            where: name of the input in errors.
            seed: seed of the noise, for a model with multi-modal outputs.
            number: index of the output, each with its own noise.
            convert: whether to convert color to grayscale for a grayscale model.
            tile: side of a tile in pixels; by default 512, rounded up to a multiple of the network's stride.
            overlap: overlap of tiles in pixels; by default a quarter of a tile.

        Raises:
            UserError: the model does not translate, an argument is out of range, or the channels do not match.
        """
        model = self.need("translate")
        seeds.check(seed, "E-TRL-25")
        height, width = image.size
        sides: tuple[Any, Any] = self.source, self.schema.x
        source, target = (replace(side, height=height, width=width) for side in sides)
        channels = image.pixels.shape[2] if image.pixels.ndim == 3 else 1
        if isinstance(source, Image) and channels > source.channels and not convert and not is_gray(image):
            problem = f"has {channels} channels, wanted {source.channels}"
            raise UserError("E-TRL-21", where, problem, "pass --convert", found=channels, wanted=source.channels)
        if image.bits == 16:
            # Keep 16 bits even if the model was trained on 8: values are scaled to the same range.
            source, target = (
                replace(side, levels=DEEP) if isinstance(side, Image) and side.levels == 256 else side
                for side in (source, target)
            )
        x = source.unpack(source.pack_image(image, where)).to(self.device)
        tiling = self._tiling(model.stride, tile, overlap)
        noise = None
        if model.noise:
            with seeds.seeded(seed, "translate", number):
                noise = torch.randn(1, model.noise).to(self.device)
        bands, rows = [], []
        for band in tiling.bands(lambda part: model.translate(part, noise), x):
            # Rows are converted to pixels immediately to save memory.
            rows.append(target.decode(band.rows))
            bands.append(band._replace(rows=band.rows[:, :0]))
        return Translated(np.concatenate(rows), disagreement(bands))

    def _tiling(self, stride: int, tile: int | None, overlap: int | None) -> Tiling:
        side = -(-TILE // stride) * stride if tile is None else tile
        shared = side // 4 // stride * stride if overlap is None else overlap
        if side % stride or side < 2 * stride:
            below = max(2, side // stride) * stride
            problem = f"{side} is not a multiple of {stride} (the network's stride) that is at least {2 * stride}"
            raise UserError("E-TRL-20", "--tile", problem, f"use {below} or {below + stride}", found=side)
        if not 0 <= shared <= side // 2:
            problem = f"{shared} is out of range, wanted 0 to {side // 2}, half a tile"
            raise UserError("E-TRL-20", "--overlap", problem, "choose a number in the range", found=shared)
        return Tiling(side, shared, stride)
