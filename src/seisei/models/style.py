"""A content image in the style of another one: by a network that does it for any style, or by descending on pixels.

With features f_1 … f_L that stay as they are (`seisei.nn.style.random_filters`, `seisei.nn.style.feature_extractor`,
`seisei.nn.style.vgg`):

    feed-forward    c + a R g(lerp(f_l(c), AdaIN(f_l(c), f_l(s)), a), l = 1 … L; ε),   g a decoder
    optimized       argmin_x ‖f_k(x) − f_k(c)‖²/‖f_k(c) − μ‖² + λ/L Σ_l ‖G_l(x) − G_l*‖²/‖G_l*‖² + a κ TV(x)
                    G_l* = lerp(G(f_l(c)), G(f_l(s)), a)

a is the strength: 0 gives the content image itself, 1 all of the style. What is weighed is relative to its own size,
so that λ means the same with every network. ε is noise, the same for every image (`grain`). R turns changes of red,
green and blue into such of the colors of s (`seisei.nn.style.color_transfer.mixture`). c is the content image
whose colors have been moved as far towards those of s (`seisei.nn.style.color_transfer.towards`): what the two are
to have in common is form, and of features that tell colors better than anything else each channel by itself would
not find the style's.

References: *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*, arXiv
    1703.06868; *A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015)*, arXiv 1508.06576.

Shapes: images (B, C, H, W) in [0, 1], H and W any, those of c and s apart; maps as
`seisei.nn.style.feature_extractor` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.style.adain import LEAST, Moments, gram, grams_apart, mean_and_deviation, restyled, variation
from seisei.nn.style.color_transfer import mixed, mixture, towards, with_channels
from seisei.nn.style.feature_extractor import REACH, cut, form_level, padded
from seisei.nn.style.image_param import ImageParam
from seisei.spec import listed

# Images that are looked at before the first step, and those that go through together.
LOOKED_AT, TOGETHER = 64, 8
# What a value beyond black or white costs, of its squared distance, for it cannot be shown.
BEYOND = 100.0
# A content whose form varies by a smaller share of the style's is taken for one that has so much.
FORMLESS = 0.01
# Deviation of the noise that a descent may begin with, and of that upon a content, without which what is flat stays so:
# no filter sees anything there, and none says which way to go.
NOISE, FAINT = 0.2, 0.02
# Rows and columns by which an image is moved: each parity of both, and each of four remainders of either.
PLACES = ((0, 0), (1, 2), (2, 1), (3, 3))


@listed
class Stylizer(nn.Module):
    """One network for any style.

    Arguments:
        features: a list of maps of an image, the finest first; it does not learn.
        decoder: these, in the style, to a change of the image.

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
        # How much each map varies in training images: what a distance is measured in.
        self.register_buffer("spreads", torch.ones(len(outputs)))

    @torch.no_grad()
    def initialize(self, examples: Batch) -> None:
        """See how much each map varies in training images."""
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
        """What the decoder reads: the content's maps, as far as the strength says in the style.

        Arguments:
            content: (B, F, h, w) each.
            style: moments of the style's maps.
            strength: one for all, or (B, 1, 1, 1).
            own: moments of the content's, where these are maps of a part of it.
        """
        own = own or [mean_and_deviation(one) for one in content]
        styled = (restyled(*each) for each in zip(content, own, style, strict=True))
        return [one + strength * (other - one) for one, other in zip(content, styled, strict=True)]

    def decoded(
        self, target: list[Tensor], content: Tensor, colors: Tensor, noise: Tensor, strength: float | Tensor = 1.0
    ) -> Tensor:
        """What `target` makes of the content image, not kept within [0, 1].

        Arguments:
            target: see there.
            content: with its colors `towards` the style's.
            colors: a `mixture` of the style's.
            noise: (B, 1, H, W).
            strength: one for all, or (B, 1, 1, 1).
        """
        noise = padded(noise, self.features.strides[-1])
        changes: Tensor = self.decoder(target, noise)[..., : content.shape[2], : content.shape[3]]
        return content + strength * mixed(changes, colors)

    @staticmethod
    def colors(style: Tensor, channels: int) -> Tensor:
        """In what colors an image of so many channels is changed, (B, C, C)."""
        return mixture(with_channels(style, channels))

    def stylize(self, content: Tensor, style: Tensor, strength: float = 1.0) -> Tensor:
        """Each content image in the style of its style image, of the content's size.

        Arguments:
            content: (B, C, H, W).
            style: (B, C, H', W').
            strength: 0 for the content image as it is, 1 for all of the style.
        """
        content, colors = towards(content, style, strength), self.colors(style, content.shape[1])
        moments = [mean_and_deviation(one) for one in self.features(style)]
        return self.stylize_part(content, grain(content), None, moments, colors, strength)

    def stylize_part(
        self, part: Tensor, noise: Tensor, own: list[Moments] | None, style: list[Moments], colors: Tensor,
        strength: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """The same of a content image, or a part of it, whose colors are `towards` the style's already.

        Arguments:
            part: (B, C, h, w).
            noise: the same part of the `grain`, (B, 1, h, w).
            own: moments of the maps of the whole content image, where this is a part.
            style: likewise, of the style image.
            colors: of the style image.
            strength: see `stylize`.
        """
        target = self.target(self.features(part), style, strength, own)
        return self.decoded(target, part, colors, noise, strength).clamp(0, 1)


def grain(content: Tensor, channels: int = 1) -> Tensor:
    """What a texture is made of where an image is smooth, noise (B, channels, H, W): the same for each."""
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
    """A content image in the style of another one, by L-BFGS on what its pixels are made of, waves in the style's
    colors (`seisei.nn.style.image_param`); the same every time.

    Arguments:
        features: a list of maps of an image.
        content: (1, C, H, W).
        style: (1, C, H', W').
        strides: of the maps: what the content is told by is the last that is not too coarse.
        strength: a.
        weight: λ.
        smoothness: κ.
        steps: rounds at most.
        noise: waves to begin with, normal and (1, C, H, W), on the mean color; by default it begins with the content,
            and a faint grain.
        told: of the number of times that the loss was computed, and the loss.

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
    # Features that begin as patches look from several places, so that no pattern as wide as a patch escapes them.
    places = PLACES if strides[0] > 1 and min(content.shape[2:]) > 2 * REACH else ()

    def seen(x: Tensor) -> list[Tensor]:
        if not places:
            return features(x)
        # Its border is reflected, so that each place shows all of it.
        whole = F.pad(x, (REACH, REACH, REACH, REACH), mode="reflect")
        return features(cut(whole.expand(len(places), -1, -1, -1), places))

    with torch.no_grad():
        own, theirs = seen(content), features(style)
        form = own[level]
        # Where the content has next to no form, the style's says what size one would have.
        own_form, its_form = (maps[level].var((2, 3), correction=0).mean() for maps in (own, theirs))
        size = form.numel() * torch.maximum(own_form, FORMLESS * its_form).clamp_min(LEAST)
        wanted = [torch.lerp(gram(c), gram(s), strength) for c, s in zip(own, theirs, strict=True)]
    # What is relative, and smoothness too, only counts as far as the style does: 0 leaves the content as it is.
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
            apart = [grams_apart(of, aim).mean() for of, aim in zip(maps, wanted, strict=True)]
            loss = loss + weight * torch.stack(apart).mean() + smooth * variation(x).sum()
            loss = loss + BEYOND * (x - x.clamp(0, 1)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        count += 1
        if told is not None:
            told(count, float(loss.detach()))
        return loss

    descent.step(closure)  # type: ignore[no-untyped-call]
    # A line search that ends in numbers that are none leaves what it began with.
    best = canvas(waves.detach())
    return best.clamp(0, 1) if bool(torch.isfinite(best).all()) else content.clone()
