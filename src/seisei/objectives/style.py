"""What a network for any style learns from: images x, and a style image y beside each.

    t_l = lerp(f_l(x), AdaIN(f_l(x), f_l(y)), a),   x̂ = x + a R g(t_1, …, t_L, ε)
    E [ ‖f_L(x̂) − t_L‖²/v_L + λ Σ_l (‖μ_l(x̂) − μ_l*‖² + ‖σ_l(x̂) − σ_l*‖²)/v_l ]

with x's colors as far towards those of y as a says, the mean and deviation of each channel of each map, μ* and σ*
between those of x and those of y as far as a says, means over channels and places, and v how much each map varies in
training images: λ means the same with every network of features. a is 1 for one half of the examples and anything
from 0 to 1 for the other, so that the strength that a person asks for later has been met. R turns changes into such of
the colors of y (`seisei.nn.style.color_transfer.mixture`): g begins at 0 and changes x, which has the style's
colors already, and at a = 0 leaves it as it is. ε is noise, other noise for each example.

Features that begin as patches of pixels would let g draw a pattern as wide as a patch, which they cannot see. So x̂ and
x are both moved by some pixels, other ones for each example, before f looks at them.

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
    """How far an image is from what was wanted of it, each (B,).

    Arguments:
        content: in the last map.
        style: in the means and deviations of all.
    """

    content: Tensor
    style: Tensor


@listed
class StyleTransfer(Objective):
    """The losses of content and style.

    Arguments:
        model: gives `features`, `target`, `decoded` and `spreads`; its `decoder` learns.
        weight: λ.
    """

    def __init__(self, model: nn.Module, weight: Annotated[float, Range(ge=0, le=1e6)] = 10.0) -> None:
        super().__init__(model)
        self.weight = weight

    def turns(self) -> list[Turn]:
        """The decoder; features stay as they are."""
        return [Turn("model", self.model.decoder, self.loss)]

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its parts are the content's and the style's."""
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
    """How far images with these maps are from a target and from means and deviations.

    Arguments:
        maps: of what was made.
        target: what the last of them was to be.
        wanted: the mean and deviation that the channels of each were to have.
        spreads: v of each map.
    """
    content = (maps[-1] - target).square().flatten(1).mean(1) / spreads[-1]
    style = [moments_apart(mean_and_deviation(one), aim) / v for one, aim, v in zip(maps, wanted, spreads, strict=True)]
    return Apart(content, torch.stack(style).sum(0))


def _between(content: Moments, style: Moments, strength: Tensor) -> Moments:
    """Means and deviations from those of the content, at strength 0, to those of the style, at 1."""
    (mean, deviation), (theirs, spread) = content, style
    return mean + strength * (theirs - mean), deviation + strength * (spread - deviation)
