"""Images through codes and back.

    −log p(x | codes(x)) + β N/(2 ε²) Σ_l s_l E‖z_l − e_l‖²/D

N is the number of values of an image, and ε² the mean squared error of the steps before. With a likelihood whose σ is
learned the first term is worth N/(2 ε²) times the squared error; the second is given the same factor, so that β means
the same at the start and at the end. s_l is what ε² was before the first step as a multiple of E‖z_l − e_l‖²/D, so that
it means the same for each level l too. β is the quantizer's own.

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

# Of a value in [0, 1]: at most where it starts, and an image that comes back exactly is no reason for an infinite
# weight.
FIRST_ERROR, SMALLEST_ERROR = 0.1, 1e-5
# Images that the first error is that of, at most.
LOOKED_AT = 256
# How much of the error is that of the steps before.
REMEMBERED = 0.95
# Not the mean over images of their own PSNR, which is what a finished run is scored by.
MEAN_PSNR = "PSNR of the mean error"


@listed
class Coding(Objective):
    """Reconstruction through codes.

    Arguments:
        model: gives `code`, `settle`, `segments` and `bits`.
    """

    error: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.register_buffer("error", torch.tensor(FIRST_ERROR))
        self._met: Tensor | None = None

    @torch.no_grad()
    def initialize(self, examples: Batch) -> None:
        """See `Objective.initialize`; the error is what it is then."""
        super().initialize(examples)
        few = next(iter(examples.split(LOOKED_AT)))
        back = self.model.code(few.visible).likelihood.mean
        self.error.copy_(_error(few, back).clamp(SMALLEST_ERROR, FIRST_ERROR))

    def loss(self, batch: Batch, t: float) -> Loss:
        """The loss; its parts are both terms, in nats, and the mean squared error."""
        return self.sent(batch)[0]

    def sent(self, batch: Batch) -> tuple[Loss, Tensor]:
        """The loss, and what comes back of x, (B, C, H, W)."""
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
        """The model, which counts what its codes met after each move."""
        return [Turn("model", self.model, self.loss, settle=self.settle)]

    def settle(self, total: Total | None) -> None:
        """After a move: what the codes met, and how large the error was."""
        met, self._met = self._met, None
        if total is not None and met is not None:
            squared, count = total(met)
            self.error.lerp_((squared / count).clamp_min(SMALLEST_ERROR), 1 - REMEMBERED)
        self.model.settle(total)

    def counter(self, trouble: str) -> str | None:
        """Against codes that nothing chooses: they are moved to where vectors are, sooner than before."""
        if trouble != "collapsed" or not any([quantizer.enliven() for quantizer in self.model.quantizers]):
            return None
        return "codes that hardly anything chooses are moved beside those that much does, sooner than before"

    def examine(self, batches: Sequence[Batch], known: Examples) -> dict[str, Any]:
        """See `Objective.examine`; with how many of the codes are used, and how evenly, by segment of codes.

        The perplexity is exp of the entropy of the codes of held-out images: as many codes used equally often would
        have it. Few images cannot use all codes: `expected` says how many they would if all were equally likely. Of
        several levels each says how much it is `heard`, see `_heard`.
        """
        found = super().examine(batches, known)
        each = [self.model.encode(batch.visible) for batch in batches]
        codes = torch.cat(each)
        found["codes"] = usage(codes, self.model.segments)
        if len(found["codes"]) > 1 and len(batches[0]) > 1:
            for told, heard in zip(found["codes"], self._heard(batches[0], each[0]), strict=True):
                told["heard"] = heard
            found["scores"]["heard"] = min(told["heard"] for told in found["codes"])
        found["scores"] |= {MEAN_PSNR: -10 * math.log10(max(found["scores"]["error"], 1e-12))}
        found["scores"]["used"] = min(each["used"] for each in found["codes"])
        found["scores"]["perplexity"] = min(each["perplexity"] / each["codes"] for each in found["codes"])
        found["scores"]["collisions"] = collisions(codes)
        return found

    def _heard(self, batch: Batch, codes: Tensor) -> list[float]:
        """By segment how many times the squared error becomes where its codes are those of another image: 1 for one
        that says nothing.
        """
        parts = torch.split(codes, [segment.length for segment in self.model.segments], 1)
        error = float(_error(batch, self.model.decode(codes)))
        found = []
        for number in range(len(parts)):
            of_another = [part.roll(1, 0) if i == number else part for i, part in enumerate(parts)]
            found.append(float(_error(batch, self.model.decode(torch.cat(of_another, 1)))) / max(error, 1e-12))
        return found


def _error(batch: Batch, mean: Tensor) -> Tensor:
    """The mean squared error of what was observed."""
    squared = (batch.x - mean).square()
    if batch.mask is None:
        return squared.mean()
    seen = batch.mask.expand_as(squared)
    return (squared * seen).sum() / seen.sum().clamp_min(1)
