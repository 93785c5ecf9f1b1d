"""VQ-VAE loss: reconstruction through codes, and commitment and codebook losses.

    −log p(x | codes(x)) + β N/(2 ε²) Σ_l s_l E‖z_l − e_l‖²/D

N is the number of values of an image, and ε² an EMA of the mean squared error. With a learned σ the first term is worth
N/(2 ε²) times the squared error; the second gets the same factor, so that β means the same throughout training. s_l is
the ratio of ε² to E‖z_l − e_l‖²/D at initialization, so that β means the same for each level. β is the quantizer's
commitment weight.

Reference: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seisei.batch import Batch, Examples, observed
from seisei.nn.quantizers.base import Total
from seisei.nn.quantizers.code_layout import collisions, usage
from seisei.objectives.base import Loss, Objective, Turn
from seisei.spec import listed

# Bounds of the squared error of values in [0, 1]: the upper one at initialization; the lower one keeps a perfect
# reconstruction from an infinite weight.
FIRST_ERROR, SMALLEST_ERROR = 0.1, 1e-5
# Most images used for the initial error.
LOOKED_AT = 256
# EMA decay of the error.
REMEMBERED = 0.95
# Unlike the mean of per-image PSNR, by which a finished run is scored.
MEAN_PSNR = "PSNR of the mean error"


@listed
class Coding(Objective):
    """VQ-VAE objective: reconstruction through codes.

    Arguments:
        model: has `code`, `settle`, `segments` and `bits`.
    """

    error: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.register_buffer("error", torch.tensor(FIRST_ERROR))
        self._met: Tensor | None = None

    @torch.no_grad()
    def initialize(self, examples: Batch) -> None:
        """Initialize the model, and measure its error."""
        super().initialize(examples)
        few = next(iter(examples.split(LOOKED_AT)))
        back = self.model.code(few.visible).likelihood.mean
        self.error.copy_(_error(few, back).clamp(SMALLEST_ERROR, FIRST_ERROR))

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its parts are both terms, in nats, and the mean squared error."""
        return self.sent(batch)[0]

    def sent(self, batch: Batch) -> tuple[Loss, Tensor]:
        """The loss, and the reconstruction, (B, C, H, W)."""
        coded = self.model.code(batch.visible)
        cost = -observed(coded.likelihood.log_prob(batch.x), batch.mask).mean()
        back = coded.likelihood.mean
        error = _error(batch, back.detach())
        kept = coded.cost.mean() * batch.x[0].numel() / (2 * self.error)
        if torch.is_grad_enabled():
            met = torch.stack([error * len(batch), error.new_tensor(len(batch))])
            self._met = met if self._met is None else self._met + met
        parts = {"reconstruction": cost.detach(), "commitment": kept.detach(), "error": error}
        return Loss(cost + kept, parts), back

    def turns(self) -> list[Turn]:
        """One turn; the quantizers' statistics are updated after each step."""
        return [Turn("model", self.model, self.loss, settle=self.settle)]

    def settle(self, total: Total | None) -> None:
        """Update quantizer statistics and the EMA of the error after a step."""
        met, self._met = self._met, None
        if total is not None and met is not None:
            squared, count = total(met)
            self.error.lerp_((squared / count).clamp_min(SMALLEST_ERROR), 1 - REMEMBERED)
        self.model.settle(total)

    def counter(self, trouble: str) -> str | None:
        """Against codebook collapse: earlier dead-code reset."""
        if trouble != "collapsed" or not any(
            [quantizer.raise_reset_threshold() for quantizer in self.model.quantizers]
        ):
            return None
        return "the dead-code reset threshold was raised"

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """See `Objective.examine`; adds codebook usage and perplexity per segment.

        The perplexity is exp of the entropy of the codes of held-out images: the size of a uniformly used codebook with
        the same entropy. Few images cannot use all codes: `expected` is the usage if all were equally likely. With
        several levels, `heard` tells how much the reconstruction depends on each, see `_heard`.
        """
        found = super().examine(batches, known)
        each = [self.model.encode(batch.visible) for batch in batches]
        codes = torch.cat(each)
        found["codes"] = usage(codes, self.model.segments)
        if len(found["codes"]) > 1 and len(batches[0]) > 1:
            for segment, heard in zip(found["codes"], self._heard(batches[0], each[0]), strict=True):
                segment["heard"] = heard
            found["scores"]["heard"] = min(segment["heard"] for segment in found["codes"])
        found["scores"] |= {MEAN_PSNR: -10 * math.log10(max(found["scores"]["error"], 1e-12))}
        found["scores"]["used"] = min(each["used"] for each in found["codes"])
        found["scores"]["perplexity"] = min(each["perplexity"] / each["codes"] for each in found["codes"])
        found["scores"]["collisions"] = collisions(codes)
        return found

    def _heard(self, batch: Batch, codes: Tensor) -> list[float]:
        """Per segment, the factor by which the squared error grows when its codes are swapped with another image's.

        1 means that the level is unused.
        """
        parts = torch.split(codes, [segment.length for segment in self.model.segments], 1)
        error = float(_error(batch, self.model.decode(codes)))
        found = []
        for number in range(len(parts)):
            of_another = [part.roll(1, 0) if i == number else part for i, part in enumerate(parts)]
            found.append(float(_error(batch, self.model.decode(torch.cat(of_another, 1)))) / max(error, 1e-12))
        return found


def _error(batch: Batch, mean: Tensor) -> Tensor:
    """Mean squared error of the observed values."""
    squared = (batch.x - mean).square()
    if batch.mask is None:
        return squared.mean()
    seen = batch.mask.expand_as(squared)
    return (squared * seen).sum() / seen.sum().clamp_min(1)
