"""AdaIN style transfer: training of a network for any style, from content images x and a style image y for each.

    t_l = lerp(f_l(x), AdaIN(f_l(x), f_l(y)), a),   x̂ = x + a R g(t_1, …, t_L, ε)
    E [ ‖f_L(x̂) − t_L‖²/v_L + λ Σ_l (‖μ_l(x̂) − μ_l*‖² + ‖σ_l(x̂) − σ_l*‖²)/v_l ]

x's colors are interpolated toward those of y by a; μ* and σ* are channel means and deviations interpolated between
those of x and y by a; squares are averaged over channels and positions, and v is the variance of each map over training
images, so that λ means the same for every feature extractor. a is 1 for half of the examples and uniform in [0, 1] for
the others, so that the network has seen every strength. R maps changes to the colors of y
(`seisei.nn.style.color_transfer.mixture`): g starts at 0 and changes x, which already has the style's colors; at a = 0
x is unchanged. ε is noise, sampled per example.

Features of pixel patches would not see a pattern as wide as a patch. So x̂ and x are both shifted by some pixels, at
random per example, before f.

Reference: *Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization (Huang, Belongie, 2017)*, arXiv
    1703.06868, where a is 1.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.style.adain import Moments, mean_and_deviation, moments_apart
from seisei.nn.style.color_transfer import towards
from seisei.nn.style.feature_extractor import REACH, cut
from seisei.objectives.base import Loss, Objective, Turn
from seisei.spec import Range, listed


class Apart(NamedTuple):
    """Distances of an image from its targets, each (B,).

    Arguments:
        content: in the last map.
        style: in the means and deviations of all maps.
    """

    content: Tensor
    style: Tensor


@listed
class StyleTransfer(Objective):
    """Content and style loss.

    Arguments:
        model: has `features`, `target`, `decoded` and `spreads`; its `decoder` is trained.
        weight: λ, style weight.
    """

    def __init__(self, model: nn.Module, weight: Annotated[float, Range(ge=0, le=1e6)] = 10.0) -> None:
        super().__init__(model)
        self.weight = weight

    def turns(self) -> list[Turn]:
        """The decoder; features are frozen."""
        return [Turn("model", self.model.decoder, self.loss)]

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its parts are the content loss and the style loss."""
        x, count = batch.x, len(batch)
        assert batch.y is not None
        y = batch.y.to(x.dtype)
        strength: Any = x.new_ones(count, 1, 1, 1)
        if self.training:
            drawn = seeds.uniform(count, device=x.device).to(x.dtype)
            strength = (2 * drawn).clamp_max(1).view(-1, 1, 1, 1)
        with torch.no_grad():
            colors = self.model.colors(y, x.shape[1])
            x = towards(x, y, strength)
            theirs = [mean_and_deviation(one) for one in self.model.features(y)]
            own = self.model.features(x)
            target = self.model.target(own, theirs, strength)
        noise = seeds.normal(count, 1, *x.shape[2:], device=x.device).to(x.dtype)
        made = self.model.decoded(target, x, colors, noise, strength)
        if self.training and self.model.features.strides[0] > 1 and min(x.shape[2:]) > 2 * REACH:
            drawn = ((1 + REACH) * seeds.uniform(count, 2, device=x.device)).long().clamp_max(REACH)
            places = [(down, right) for down, right in drawn.tolist()]
            made = cut(made, places)
            with torch.no_grad():
                own = self.model.features(cut(x, places))
                target = self.model.target(own[-1:], theirs[-1:], strength)
        wanted = [_between(mean_and_deviation(c), s, strength) for c, s in zip(own, theirs, strict=True)]
        apart = apart_from(self.model.features(made), target[-1], wanted, self.model.spreads)
        total = (apart.content + self.weight * apart.style).mean()
        return Loss(total, {"content": apart.content.mean().detach(), "style": apart.style.mean().detach()})


def apart_from(maps: list[Tensor], target: Tensor, wanted: list[Moments], spreads: Tensor) -> Apart:
    """Content and style loss of images with these maps.

    Arguments:
        maps: maps of the output images.
        target: target of the last map.
        wanted: target means and deviations of each map's channels.
        spreads: v of each map.
    """
    content = (maps[-1] - target).square().flatten(1).mean(1) / spreads[-1]
    style = [moments_apart(mean_and_deviation(one), aim) / v for one, aim, v in zip(maps, wanted, spreads, strict=True)]
    return Apart(content, torch.stack(style).sum(0))


def _between(content: Moments, style: Moments, strength: Tensor) -> Moments:
    """Interpolate moments from the content's, at strength 0, to the style's, at 1."""
    (mean, deviation), (theirs, spread) = content, style
    return mean + strength * (theirs - mean), deviation + strength * (spread - deviation)
