"""An image in the style of another one, for people: images in, images out, by a trained network or on the pixels.

How far it went is told on the pair itself, in the features that were used. Of the content: 1 − the correlation with
the content image, place by place, of each channel of the map that says what an image is of, channels counting by
how much they vary; 0 for the content image, whatever its style, 1 for one that has nothing in common with it. Of the
style: the squared distance of the means and deviations of all maps' channels, as a share of that of the content
image; 1 where nothing was done, 0 where they are those of the style. Both compare results in the same features, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.data.dataset import Dataset
from seisei.metrics.likelihood import mean_and_error
from seisei.modalities.image_io import png_bytes, resized
from seisei.modalities.pixels import grid
from seisei.models.style import Stylizer, grain, optimize
from seisei.nn.style.adain import LEAST, Moments, Together, moments_apart
from seisei.nn.style.color_transfer import luminance, matched, relit, towards
from seisei.nn.style.feature_extractor import StageFeatures, form_level
from seisei.nn.style.random_filters import RandomFilters
from seisei.nn.style.vgg import VGG
from seisei.nn.tiling import Tiling
from seisei.pipeline import Pipeline
from seisei.recipes.style import check_encoder
from seisei.spec import Spec
from seisei.training.memory import outline
from seisei.training.pretrained import is_weights, weights_of

Pixels = NDArray[np.uint8]
Score = dict[str, Any]
# A content that is nearer to the style than this, of the style's own variance, has it already.
SAME = 1e-3
# Images that are scored, together, and that a sheet shows.
TOGETHER, SHOWN = 8, 8
# Maps that descending on pixels looks at: all of VGG-19's that there are names for, and as many of another network's.
DEEPEST = 5
# Longest sides of the tiles by which larger images are looked at and painted, and pixels that neighbors share.
TILE, OVERLAP = 1024, 128


@dataclass(frozen=True)
class Painted:
    """What was made of an image.

    Arguments:
        pixels: (H, W) or (H, W, 3).
        content: how far it is from the content image, from 0 on.
        style: how far it still is from the style, 1 for as far as the content image.
    """

    pixels: Pixels
    content: float
    style: float


def features_of(source: str | Path | None) -> Any:
    """The features that a run's model has, those of VGG-19 where a file of its weights is named, or random filters.

    Arguments:
        source: a run of `stylize`, `vqvae` or another with a convolutional encoder; a .safetensors file; None for
            filters.

    Raises:
        UserError: no such run or file, or one without features.
    """
    if source is None:
        return RandomFilters().eval()
    if is_weights(source):
        network = VGG(depth=DEEPEST)
        network.load_state_dict(weights_of(source, outline(Spec(VGG, depth=DEEPEST)).state_dict(), "VGG-19"))
        return network.eval()
    model = Pipeline.load(source).model
    if isinstance(model, Stylizer):
        return model.features
    check_encoder(model, str(source))
    return StageFeatures(model, depth=DEEPEST).eval()


def feedforward(
    pipeline: Pipeline, content: Pixels, style: Pixels, *, strength: float = 1.0, keep_color: bool = False
) -> Painted:
    """An image in the style of another one by a trained network, of the content's size.

    Arguments:
        pipeline: of a run of `stylize`.
        content: (H, W) or (H, W, 3).
        style: likewise, of any size; textures come out as large as they are in it.
        strength: how much of the style, from 0 to 1.
        keep_color: the content's colors stay.
    """
    model = pipeline.need("stylize")
    x, y = _tensor(content).to(pipeline.device), _tensor(style).to(pipeline.device)
    if keep_color:
        y = _in_colors_of(y, x)
    with torch.no_grad():
        made = _by_parts(model, x, y, strength)
    return _painted(model.features, made, x, y, keep_color)


def optimized(
    features: Any,
    content: Pixels,
    style: Pixels,
    *,
    strength: float = 1.0,
    weight: float = 10.0,
    smoothness: float = 1.0,
    steps: int = 100,
    seed: int | None = None,
    keep_color: bool = False,
    told: Callable[[int, float], None] | None = None,
) -> Painted:
    """An image in the style of another one by descending on its pixels, of the content's size.

    Arguments:
        features: see `features_of`.
        content: (H, W) or (H, W, 3).
        style: likewise, of any size.
        strength: how much of the style, from 0 to 1.
        weight: of the style against the content.
        smoothness: of total variation.
        steps: rounds at most.
        seed: of noise to begin with; by default the content image is what it begins with.
        keep_color: the content's colors stay.
        told: of the number of times that the loss was computed, and the loss.
    """
    x, y = _tensor(content), _tensor(style)
    if keep_color:
        y = _in_colors_of(y, x)
    noise = None if seed is None else torch.randn(x.shape, generator=seeds.generator(seed, "canvas"))
    made = optimize(
        features, x, y, strides=features.strides, strength=strength, weight=weight, smoothness=smoothness, steps=steps,
        noise=noise, told=told,
    )  # fmt: skip
    return _painted(features, made, x, y, keep_color)


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """The image with its longer side at most so long, antialiased.

    Example:
        >>> shrunk(np.zeros((30, 60), np.uint8), 20).shape, shrunk(np.zeros((9, 5), np.uint8), 20).shape
        ((10, 20), (9, 5))
    """
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    return resized(pixels, max(1, round(height * scale)), max(1, round(width * scale)), "stretch")


def _by_parts(model: Any, content: Tensor, style: Tensor, strength: float) -> Tensor:
    """What `Stylizer.stylize` makes of an image: of a large one tile by tile, all by the moments of the whole."""
    if max(content.shape[2:]) <= TILE:
        made: Tensor = model.stylize(content, style, strength)
        return made
    content = towards(content, style, strength)
    tiling = _tiling(model.features, content)
    colors = model.colors(style, content.shape[1])
    own, theirs = (_moments(model.features, image) for image in (content, style))

    def part(tile: Tensor) -> Tensor:
        found: Tensor = model.stylize_part(tile[:, :-1], tile[:, -1:], own, theirs, colors, strength)
        return found

    both = torch.cat([content, grain(content)], 1)
    return torch.cat([band.rows for band in tiling.bands(part, both[0])], 1)[None]


def _tiling(features: Any, image: Tensor) -> Tiling:
    """Tiles as large as may be that share no more than they must."""
    stride, longest = features.strides[-1], max(image.shape[2:])
    count = max(1, -(-(longest - OVERLAP) // (TILE - OVERLAP)))
    tile, overlap = (-(-side // stride) * stride for side in ((longest + (count - 1) * OVERLAP) / count, OVERLAP))
    return Tiling(int(tile), int(overlap) if count > 1 else 0, stride)


def _maps(features: Any, *images: Tensor) -> Iterator[list[tuple[Tensor, ...]]]:
    """The maps of images of one size, tile by tile: of each map those of all images."""
    for rows, columns, own in _tiling(features, images[0]).shares(*images[0].shape[2:]):
        each = [features(image[..., rows, columns]) for image in images]
        yield [
            tuple(found[(..., *(_coarser(side, stride) for side in own))] for found in level)
            for level, stride in zip(zip(*each, strict=True), features.strides, strict=True)
        ]


def _coarser(side: slice, stride: int) -> slice:
    return slice(side.start // stride, None if side.stop is None else side.stop // stride)


def _moments(features: Any, image: Tensor) -> list[Moments]:
    """Means and deviations of the channels of each map."""
    found = [Together() for _ in features.outputs]
    for maps in _maps(features, image):
        for level, (of,) in zip(found, maps, strict=True):
            level.add(of, of)
    return [level.moments for level in found]


@torch.no_grad()
def apart(features: Any, made: Tensor, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """How far images are from their contents and from their styles, (B,) each; see above."""
    form, levels = form_level(features.strides), range(len(features.outputs))
    own, its, both = [Together() for _ in levels], [Together() for _ in levels], Together()
    for maps in _maps(features, content, made):
        for level, (before, after) in enumerate(maps):
            own[level].add(before, before)
            its[level].add(after, after)
        both.add(*maps[form])
    # How alike the map that says what an image is of is, channels counting by how much they vary.
    (_, deviation), (_, spread) = own[form].moments, its[form].moments
    weights = deviation.square().flatten(1)
    alike = (both.covariance / (deviation * spread)).flatten(1)
    unlike = 1 - (weights * alike).sum(1) / weights.sum(1)
    left, whole = torch.zeros_like(unlike), torch.zeros_like(unlike)
    for level, wanted in enumerate(_moments(features, style)):
        scale = wanted[1].square().flatten(1).mean(1).clamp_min(LEAST)
        left += moments_apart(its[level].moments, wanted) / scale
        whole += moments_apart(own[level].moments, wanted) / scale
    return unlike, left / whole.clamp_min(SAME)


# ---- what a finished run tells


@torch.no_grad()
def scores(pipeline: Pipeline, part: Dataset) -> list[Score]:
    """How far held-out contents are from what they were, and from the styles beside them, at full strength."""
    found: list[list[Tensor]] = [[], []]
    for batch in part_batches(part):
        assert batch.y is not None
        made = pipeline.model.stylize(batch.x, batch.y)  # type: ignore[operator]
        for kept, values in zip(found, apart(pipeline.model.features, made, batch.x, batch.y), strict=True):
            kept.append(values)
    form, style = (torch.cat(each).double().numpy() for each in found)
    note = "in features of this run: it compares results in the same features"
    return [
        _score("content distance", form, f"{note}; 0 for the form of the content image, 1 for nothing of it"),
        _score("style distance", style, f"{note}; 1 for the content image, 0 for the style's statistics"),
    ]


def part_batches(part: Dataset) -> Sequence[Batch]:
    """Few examples at a time, in their order."""
    return [part.batch(places) for places in torch.split(torch.arange(len(part)), TOGETHER)]


@torch.no_grad()
def sheet(model: Any, batch: Batch) -> bytes:
    """Rows of content images, the styles beside them, and what is made of both, as PNG."""
    assert batch.y is not None
    x, y = batch.x[:SHOWN], batch.y[:SHOWN]
    sides = [_shown(image) for side in (x, y, model.stylize(x, y)) for image in side]
    return png_bytes(grid(sides, len(x)))


def _score(name: str, values: NDArray[np.float64], note: str) -> Score:
    value, error = mean_and_error(values)
    return {
        "name": name, "value": value, "error": None if np.isnan(error) else error, "unit": "share", "better": "lower",
        "note": note,
    }  # fmt: skip


# ---- between images and tensors


def _in_colors_of(style: Tensor, content: Tensor) -> Tensor:
    """The style in the content's colors, or as light and as varied where one of them has none."""
    if style.shape[1] != content.shape[1]:
        style, content = luminance(style), luminance(content)
    return matched(style, content).clamp(0, 1)


def _painted(features: Any, made: Tensor, content: Tensor, style: Tensor, keep_color: bool) -> Painted:
    if keep_color:
        made = relit(content, luminance(made)).clamp(0, 1)
    pixels = _pixels(made[0])
    form, left = apart(features, _tensor(pixels).to(made), content, style)
    return Painted(pixels, float(form), float(left))


def _tensor(pixels: Pixels) -> Tensor:
    deep = pixels if pixels.ndim == 3 else pixels[..., None]
    return torch.from_numpy(deep.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def _pixels(x: Tensor) -> Pixels:
    found: Pixels = (x.clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return found[..., 0] if found.shape[2] == 1 else found


def _shown(x: Tensor) -> Pixels:
    """In color, so that gray and colored images stand in one grid."""
    pixels = _pixels(x)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
