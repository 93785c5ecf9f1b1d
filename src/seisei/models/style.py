"""Style transfer: a content image in the style of another, by a network for any style or by optimizing pixels.

With frozen features f_1 … f_L (`seisei.nn.style.random_filters`, `seisei.nn.style.feature_extractor`,
`seisei.nn.style.vgg`):

    feed-forward    c + a R g(lerp(f_l(c), AdaIN(f_l(c), f_l(s)), a), l = 1 … L; ε),   g a decoder
    optimized       argmin_x ‖f_k(x) − f_k(c)‖²/‖f_k(c) − μ‖² + λ/L Σ_l ‖G_l(x) − G_l*‖²/‖G_l*‖² + a κ TV(x)
                    G_l* = lerp(G(f_l(c)), G(f_l(s)), a)

a is the strength: 0 gives the content image, 1 the full style. Losses are relative to their own scale, so that λ means
the same for every feature extractor. ε is noise, the same for every image (`grain`). R maps changes of red, green and
blue to changes along the colors of s (`seisei.nn.style.color_transfer.mixture`). c is the content image with its colors
already interpolated toward those of s (`seisei.nn.style.color_transfer.towards`): the result should keep the
content's form, not its colors, and per-channel statistics of features that respond mostly to color would not
reproduce the style's.

References: *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*, arXiv
    1703.06868; *A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015)*, arXiv 1508.06576.

Shapes: images (B, C, H, W) in [0, 1] of any size, content and style independently; maps as in
    `seisei.nn.style.feature_extractor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.style.adain import LEAST, Moments, adain, gram, gram_distance, mean_and_deviation, variation
from seisei.nn.style.color_transfer import mixed, mixture, towards, with_channels
from seisei.nn.style.feature_extractor import REACH, cut, form_level, padded
from seisei.nn.style.image_param import ImageParam
from seisei.spec import listed

# Images used by `initialize`, and their batch size.
LOOKED_AT, TOGETHER = 64, 8
# Weight of the squared excess of values outside [0, 1], which cannot be displayed.
BEYOND = 100.0
# Lower bound on the content's feature variance, as a share of the style's.
FORMLESS = 0.01
# Standard deviation of the initial noise, and of the noise added to an initial content image, without which filters see
# nothing in flat areas and give no gradient.
NOISE, FAINT = 0.2, 0.02
# Shifts of the image: each parity of both axes, and each remainder modulo 4 of either.
PLACES = ((0, 0), (1, 2), (2, 1), (3, 3))


@listed
class Stylizer(nn.Module):
    """Feed-forward arbitrary style transfer (AdaIN): one network for any style.

    Arguments:
        features: feature extractor, the finest map first; frozen.
        decoder: stylized maps to a change of the image.

    Example:
        >>> from seisei.nn.style.feature_extractor import StageFeatures
        >>> from seisei.nn.spatial_conv import MapEncoder
        >>> from seisei.nn.style.decoder import StyleDecoder
        >>> features = StageFeatures(MapEncoder([3, 16, 16], factor=4, width=4))
        >>> model = Stylizer(features, StyleDecoder([8, 4], [8, 4], channels=3, patch=2))
        >>> model.stylize(torch.zeros(2, 3, 17, 13), torch.zeros(2, 3, 9, 30)).shape
        torch.Size([2, 3, 17, 13])
    """

    spreads: Tensor

    def __init__(self, features: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.features: Any = features.requires_grad_(False)
        self.decoder: Any = decoder
        outputs: list[int] = features.outputs  # type: ignore[assignment]
        # Variance of each map over training images: the unit of its losses.
        self.register_buffer("spreads", torch.ones(len(outputs)))

    @torch.no_grad()
    def initialize(self, examples: Batch) -> None:
        """Measure the variance of each map over training images."""
        few = Batch(examples.x[:LOOKED_AT]).split(TOGETHER)
        found = [self.features(part.x) for part in few]
        for level, maps in enumerate(zip(*found, strict=True)):
            self.spreads[level] = torch.cat(maps).var((0, 2, 3), correction=0).mean().clamp_min(LEAST)

    def target(
        self,
        content: list[Tensor],
        style: list[Moments],
        strength: float | Tensor = 1.0,
        own: list[Moments] | None = None,
    ) -> list[Tensor]:
        """Decoder input: the content's maps, interpolated toward AdaIN by the strength.

        Arguments:
            content: maps (B, F, h, w).
            style: moments of the style's maps.
            strength: one for all, or (B, 1, 1, 1).
            own: moments of the content's maps, if `content` is a part of an image.
        """
        own = own or [mean_and_deviation(one) for one in content]
        styled = (adain(*each) for each in zip(content, own, style, strict=True))
        return [one + strength * (other - one) for one, other in zip(content, styled, strict=True)]

    def decoded(
        self, target: list[Tensor], content: Tensor, colors: Tensor, noise: Tensor, strength: float | Tensor = 1.0
    ) -> Tensor:
        """The stylized image of these target maps, not clipped to [0, 1].

        Arguments:
            target: output of `target`.
            content: image with its colors `towards` the style's.
            colors: the style's `mixture`.
            noise: (B, 1, H, W).
            strength: one for all, or (B, 1, 1, 1).
        """
        noise = padded(noise, self.features.strides[-1])
        changes: Tensor = self.decoder(target, noise)[..., : content.shape[2], : content.shape[3]]
        return content + strength * mixed(changes, colors)

    @staticmethod
    def colors(style: Tensor, channels: int) -> Tensor:
        """The style's color mixing matrix for images with this many channels, (B, C, C)."""
        return mixture(with_channels(style, channels))

    def stylize(self, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        """Each content image in the style of its style image, at the content's size.

        Arguments:
            content: (B, C, H, W).
            style: (B, C, H', W').
            strength: 0 for the unchanged content image, 1 for the full style.
        """
        content, colors = towards(content, style, strength), self.colors(style, content.shape[1])
        moments = [mean_and_deviation(one) for one in self.features(style)]
        return self.stylize_part(content, grain(content), None, moments, colors, strength)

    def stylize_part(
        self, part: Tensor, noise: Tensor, own: list[Moments] | None, style: list[Moments], colors: Tensor,
        strength: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """`stylize` for a content image, or a tile of one, whose colors are already `towards` the style's.

        Arguments:
            part: (B, C, h, w).
            noise: the matching part of the `grain`, (B, 1, h, w).
            own: moments of the maps of the whole content image, if this is a tile.
            style: moments of the maps of the style image.
            colors: `colors` of the style image.
            strength: see `stylize`.
        """
        target = self.target(self.features(part), style, strength, own)
        return self.decoded(target, part, colors, noise, strength).clamp(0, 1)


def grain(content: Tensor, channels: int = 1) -> Tensor:
    """Fixed noise, (B, channels, H, W), equal for all images: raw material of texture in smooth areas."""
    count, _, height, width = content.shape
    noise = torch.randn(1, channels, height, width, generator=seeds.generator("grain"))
    return noise.to(content).expand(count, -1, -1, -1)


def optimize(
    features: Callable[[Tensor], list[Tensor]],
    content: Tensor,
    style: Tensor,
    *,
    strides: list[int],
    strength: float = 1.0,
    weight: float = 10.0,
    smoothness: float = 1.0,
    steps: int = 100,
    noise: Tensor | None = None,
    told: Callable[[int, float], None] | None = None,
) -> Tensor:
    """Optimization-based style transfer (Gatys et al.): L-BFGS on a Fourier parameterization of the image.

    See `seisei.nn.style.image_param`; deterministic.

    Arguments:
        features: feature extractor.
        content: (1, C, H, W).
        style: (1, C, H', W').
        strides: strides of the maps; the content layer is the coarsest within `FORM`.
        strength: a.
        weight: λ.
        smoothness: κ, weight of the total variation.
        steps: most iterations.
        noise: start from the mean color plus this normal noise, (1, C, H, W); by default from the content plus faint
            noise.
        told: callback with the number of loss evaluations and the loss.

    Returns:
        (1, C, H, W) in [0, 1].

    Example:
        >>> from seisei.nn.style.feature_extractor import StageFeatures
        >>> from seisei.nn.spatial_conv import MapEncoder
        >>> features = StageFeatures(MapEncoder([3, 16, 16], factor=4, width=4))
        >>> same = optimize(features, torch.full((1, 3, 9, 9), 0.5), torch.rand(1, 3, 8, 8), strides=[2, 4], strength=0)
        >>> bool((same == 0.5).all())
        True
    """
    content, level = towards(content, style, strength), form_level(strides)
    # Features of patches are evaluated at several shifts, so that no pattern as wide as a patch goes unseen.
    places = PLACES if strides[0] > 1 and min(content.shape[2:]) > 2 * REACH else ()

    def seen(x: Tensor) -> list[Tensor]:
        if not places:
            return features(x)
        # Reflection padding: every shift shows the whole image.
        whole = F.pad(x, (REACH, REACH, REACH, REACH), mode="reflect")
        return features(cut(whole.expand(len(places), -1, -1, -1), places))

    with torch.no_grad():
        own, theirs = seen(content), features(style)
        form = own[level]
        # For a nearly flat content the style's variance sets the scale.
        own_form, its_form = (maps[level].var((2, 3), correction=0).mean() for maps in (own, theirs))
        size = form.numel() * torch.maximum(own_form, FORMLESS * its_form).clamp_min(LEAST)
        wanted = [torch.lerp(gram(c), gram(s), strength) for c, s in zip(own, theirs, strict=True)]
    # All terms but the content loss scale with the strength: 0 leaves the content unchanged.
    smooth = strength * smoothness
    start = content if noise is None else content.mean((2, 3), keepdim=True).expand_as(content)
    canvas = ImageParam(start, with_channels(style, content.shape[1]))
    waves = strength * FAINT * grain(content, content.shape[1]) if noise is None else NOISE * noise
    waves = waves.contiguous().requires_grad_()
    descent = torch.optim.LBFGS(
        [waves], max_iter=steps, max_eval=2 * steps, history_size=20, tolerance_grad=0.0, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    count = 0

    def closure() -> Tensor:
        nonlocal count
        descent.zero_grad()
        with torch.enable_grad():
            x = canvas(waves)
            maps = seen(x)
            loss = (maps[level] - form).square().sum() / size
            apart = [gram_distance(of, aim).mean() for of, aim in zip(maps, wanted, strict=True)]
            loss = loss + weight * torch.stack(apart).mean() + smooth * variation(x).sum()
            loss = loss + BEYOND * (x - x.clamp(0, 1)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        count += 1
        if told is not None:
            told(count, float(loss.detach()))
        return loss

    descent.step(closure)  # type: ignore[no-untyped-call]
    # If the line search diverged to NaN, return the content.
    best = canvas(waves.detach())
    return best.clamp(0, 1) if bool(torch.isfinite(best).all()) else content.clone()
