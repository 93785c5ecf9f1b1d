"""Style transfer from images to images, by a trained network or by optimizing pixels, with its metrics.

Content distance: 1 − the spatial correlation with the content image of each channel of a feature map, weighted by
channel variance; 0 for the content image in any style, 1 for an unrelated image. Style distance: the squared distance
of the means and standard deviations of all feature maps' channels to those of the style image, relative to that of the
content image; 1 for the content image, 0 for the statistics of the style. Both are comparable only within the same
features.
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
# Minimum style distance of a content image, relative to the variance of the style; below it, the style is the same.
SAME = 1e-3
# Batch size of evaluation, and maximum number of images in a figure.
EVALUATION_BATCH, DISPLAYED = 8, 8
# Number of feature maps for optimizing pixels: all named ones of VGG-19, and as many of another network.
DEEPEST = 5
# Maximum side of a tile of large images, and overlap of neighbors in pixels.
TILE, OVERLAP = 1024, 128


@dataclass(frozen=True)
class Stylized:
    """A stylized image with its metrics.

    Arguments:
        pixels: (H, W) or (H, W, 3).
        content: content distance, at least 0.
        style: style distance; 1 for the content image, 0 for the style.
    """

    pixels: Pixels
    content: float
    style: float


def features_of(source: str | Path | None) -> Any:
    """A feature network: that of a run, VGG-19 from a weights file, or random filters.

    Arguments:
        source: a run of `stylize`, `vqvae` or another recipe with a convolutional encoder; a .safetensors file; None
            for random filters.

    Raises:
        UserError: no such run or file, or a model without a convolutional encoder.
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
) -> Stylized:
    """Stylize an image with a trained network; the result has the size of the content image.

    Arguments:
        pipeline: trained model of the recipe `stylize`.
        content: content image, (H, W) or (H, W, 3).
        style: style image, of any size, which sets the scale of textures.
        strength: strength of the style, from 0 to 1.
        keep_color: whether to keep the colors of the content image.
    """
    model = pipeline.need("stylize")
    x, y = _tensor(content).to(pipeline.device), _tensor(style).to(pipeline.device)
    if keep_color:
        y = _in_colors_of(y, x)
    with torch.no_grad():
        output = _stylized(model, x, y, strength)
    return _result(model.features, output, x, y, keep_color)


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
    progress: Callable[[int, float], None] | None = None,
) -> Stylized:
    """Stylize an image by optimizing its pixels; the result has the size of the content image.

    Arguments:
        features: feature network, as returned by `features_of`.
        content: content image, (H, W) or (H, W, 3).
        style: style image, of any size.
        strength: strength of the style, from 0 to 1.
        weight: weight of the style loss relative to the content loss.
        smoothness: weight of total variation.
        steps: maximum number of iterations.
        seed: seed of an initial noise image; by default the content image is the initial one.
        keep_color: whether to keep the colors of the content image.
        progress: callback for the number of loss evaluations and the loss.
    """
    x, y = _tensor(content), _tensor(style)
    if keep_color:
        y = _in_colors_of(y, x)
    noise = None if seed is None else torch.randn(x.shape, generator=seeds.generator(seed, "canvas"))
    output = optimize(
        features, x, y, strides=features.strides, strength=strength, weight=weight, smoothness=smoothness, steps=steps,
        noise=noise, told=progress,
    )  # fmt: skip
    return _result(features, output, x, y, keep_color)


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """The image, downscaled with antialiasing so that its longer side is at most `longest`.

    Example:
        >>> shrunk(np.zeros((30, 60), np.uint8), 20).shape, shrunk(np.zeros((9, 5), np.uint8), 20).shape
        ((10, 20), (9, 5))
    """
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    return resized(pixels, max(1, round(height * scale)), max(1, round(width * scale)), "stretch")


def _stylized(model: Any, content: Tensor, style: Tensor, strength: float) -> Tensor:
    """Result of `Stylizer.stylize`; large images are processed in tiles with the statistics of the whole image."""
    if max(content.shape[2:]) <= TILE:
        output: Tensor = model.stylize(content, style, strength)
        return output
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
    """The largest tiles with the least overlap."""
    stride, longest = features.strides[-1], max(image.shape[2:])
    count = max(1, -(-(longest - OVERLAP) // (TILE - OVERLAP)))
    tile, overlap = (-(-side // stride) * stride for side in ((longest + (count - 1) * OVERLAP) / count, OVERLAP))
    return Tiling(int(tile), int(overlap) if count > 1 else 0, stride)


def _maps(features: Any, *images: Tensor) -> Iterator[list[tuple[Tensor, ...]]]:
    """Feature maps of images of one size, tile by tile: for each level, those of all images."""
    for rows, columns, own in _tiling(features, images[0]).shares(*images[0].shape[2:]):
        each = [features(image[..., rows, columns]) for image in images]
        yield [
            tuple(found[(..., *(_coarser(side, stride) for side in own))] for found in level)
            for level, stride in zip(zip(*each, strict=True), features.strides, strict=True)
        ]


def _coarser(side: slice, stride: int) -> slice:
    return slice(side.start // stride, None if side.stop is None else side.stop // stride)


def _moments(features: Any, image: Tensor) -> list[Moments]:
    """Means and standard deviations of the channels of each feature map."""
    found = [Together() for _ in features.outputs]
    for maps in _maps(features, image):
        for level, (of,) in zip(found, maps, strict=True):
            level.add(of, of)
    return [level.moments for level in found]


@torch.no_grad()
def apart(features: Any, output: Tensor, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Content and style distances of images, (B,) each, as defined at the top of this module."""
    form, levels = form_level(features.strides), range(len(features.outputs))
    content_moments, output_moments, joint = [Together() for _ in levels], [Together() for _ in levels], Together()
    for maps in _maps(features, content, output):
        for level, (before, after) in enumerate(maps):
            content_moments[level].add(before, before)
            output_moments[level].add(after, after)
        joint.add(*maps[form])
    # Correlation of the content map, weighted by channel variance.
    (_, deviation), (_, spread) = content_moments[form].moments, output_moments[form].moments
    weights = deviation.square().flatten(1)
    correlation = (joint.covariance / (deviation * spread)).flatten(1)
    content_distance = 1 - (weights * correlation).sum(1) / weights.sum(1)
    left, whole = torch.zeros_like(content_distance), torch.zeros_like(content_distance)
    for level, target in enumerate(_moments(features, style)):
        scale = target[1].square().flatten(1).mean(1).clamp_min(LEAST)
        left += moments_apart(output_moments[level].moments, target) / scale
        whole += moments_apart(content_moments[level].moments, target) / scale
    return content_distance, left / whole.clamp_min(SAME)


# ---- metrics and figures of a run


@torch.no_grad()
def scores(pipeline: Pipeline, part: Dataset) -> list[Score]:
    """Content and style distances of held-out pairs at full strength."""
    found: list[list[Tensor]] = [[], []]
    for batch in part_batches(part):
        assert batch.y is not None
        output = pipeline.model.stylize(batch.x, batch.y)  # type: ignore[operator]
        for distances, values in zip(found, apart(pipeline.model.features, output, batch.x, batch.y), strict=True):
            distances.append(values)
    form, style = (torch.cat(each).double().numpy() for each in found)
    note = "in features of this run; comparable only within the same features"
    return [
        _score("content distance", form, f"{note}; 0 means that the content is preserved, 1 that it is lost"),
        _score("style distance", style, f"{note}; 1 means no change of style, 0 that of the style image"),
    ]


def part_batches(part: Dataset) -> Sequence[Batch]:
    """Batches of examples in order."""
    return [part.batch(indices) for indices in torch.split(torch.arange(len(part)), EVALUATION_BATCH)]


@torch.no_grad()
def sheet(model: Any, batch: Batch) -> bytes:
    """Rows of content images, style images, and stylized results as PNG."""
    assert batch.y is not None
    x, y = batch.x[:DISPLAYED], batch.y[:DISPLAYED]
    sides = [_shown(image) for side in (x, y, model.stylize(x, y)) for image in side]
    return png_bytes(grid(sides, len(x)))


def _score(name: str, values: NDArray[np.float64], note: str) -> Score:
    value, error = mean_and_error(values)
    return {
        "name": name, "value": value, "error": None if np.isnan(error) else error, "unit": "share", "better": "lower",
        "note": note,
    }  # fmt: skip


# ---- conversion between images and tensors


def _in_colors_of(style: Tensor, content: Tensor) -> Tensor:
    """The style image with the colors of the content image; with its luminance statistics if either is grayscale."""
    if style.shape[1] != content.shape[1]:
        style, content = luminance(style), luminance(content)
    return matched(style, content).clamp(0, 1)


def _result(features: Any, output: Tensor, content: Tensor, style: Tensor, keep_color: bool) -> Stylized:
    if keep_color:
        output = relit(content, luminance(output)).clamp(0, 1)
    pixels = _pixels(output[0])
    form, left = apart(features, _tensor(pixels).to(output), content, style)
    return Stylized(pixels, float(form), float(left))


def _tensor(pixels: Pixels) -> Tensor:
    deep = pixels if pixels.ndim == 3 else pixels[..., None]
    return torch.from_numpy(deep.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def _pixels(x: Tensor) -> Pixels:
    found: Pixels = (x.clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return found[..., 0] if found.shape[2] == 1 else found


def _shown(x: Tensor) -> Pixels:
    """Pixels in RGB, so that grayscale and color images fit into one grid."""
    pixels = _pixels(x)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
