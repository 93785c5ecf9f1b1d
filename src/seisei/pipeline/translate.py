"""Translating: of an image of any size another of the same size."""

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
    """What was made of an image.

    Arguments:
        pixels: of the image's size.
        disagreement: how far neighboring tiles were apart where both gave an answer, in units of the range of values;
            0 where there was one.
    """

    pixels: NDArray[Any]
    disagreement: float


class Translating(Artifact):
    """The verb translate."""

    @property
    def given(self) -> Any:
        """The end of the images that are translated; that of x where a model makes both of one image."""
        model: Any = self.model
        return getattr(self.schema, model.side)

    @torch.no_grad()
    def translate(
        self, image: DecodedImage, where: object = "image", *, seed: int = 0, number: int = 0, convert: bool = False,
        tile: int | None = None, overlap: int | None = None,
    ) -> Translated:  # fmt: skip
        """What the model makes of an image of any size: of the same size, and as deep at least.

        A large one is made tile by tile, see `seisei.nn.tiling`.

        Arguments:
            image: what is given.
            where: what an error calls it.
            seed: of the noise, for a model with several answers.
            number: of the answer: each has noise of its own.
            convert: turn color into gray where the model knows gray only.
            tile: side of a tile, in pixels; by default 512, or the next multiple of the network's stride.
            overlap: pixels that tiles share; a quarter of a tile by default.

        Raises:
            UserError: the model does not translate, an argument is out of range, or the image does not fit.
        """
        model = self.need("translate")
        seeds.check(seed, "E-TRL-25")
        height, width = image.size
        sides: tuple[Any, Any] = self.given, self.schema.x
        end, made = (replace(side, height=height, width=width) for side in sides)
        channels = image.pixels.shape[2] if image.pixels.ndim == 3 else 1
        if isinstance(end, Image) and channels > end.channels and not convert and not is_gray(image):
            problem = f"has {channels} channels, wanted {end.channels}"
            raise UserError("E-TRL-21", where, problem, "pass --convert", found=channels, wanted=end.channels)
        if image.bits == 16:
            # As deep as it is, also where the model learned from shallower ones: its values are the same numbers.
            end, made = (
                replace(side, levels=DEEP) if isinstance(side, Image) and side.levels == 256 else side
                for side in (end, made)
            )
        x = end.unpack(end.pack_image(image, where)).to(self.device)
        tiling = self._tiling(model.stride, tile, overlap)
        noise = None
        if model.noise:
            with seeds.seeded(seed, "translate", number):
                noise = torch.randn(1, model.noise).to(self.device)
        bands, rows = [], []
        for band in tiling.bands(lambda part: model.translate(part, noise), x):
            # Rows are made pixels at once: of a large image all of them as numbers would take most of the memory.
            rows.append(made.decode(band.rows))
            bands.append(band._replace(rows=band.rows[:, :0]))
        return Translated(np.concatenate(rows), disagreement(bands))

    def _tiling(self, stride: int, tile: int | None, overlap: int | None) -> Tiling:
        side = -(-TILE // stride) * stride if tile is None else tile
        shared = side // 4 // stride * stride if overlap is None else overlap
        if side % stride or side < 2 * stride:
            below = max(2, side // stride) * stride
            problem = f"{side} is no multiple of {stride}, the network's stride, from {2 * stride} on"
            raise UserError("E-TRL-20", "--tile", problem, f"use {below} or {below + stride}", found=side)
        if not 0 <= shared <= side // 2:
            problem = f"{shared} is out of range, wanted 0 to {side // 2}, half a tile"
            raise UserError("E-TRL-20", "--overlap", problem, "choose a number in the range", found=shared)
        return Tiling(side, shared, stride)
