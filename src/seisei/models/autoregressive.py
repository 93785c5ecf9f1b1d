"""Codes, one after the other: p(codes | y) = Π_t p(code_t | code_<t, y).

    log p(x | y) ≥ log p(x | codes(x)) + log p(codes(x) | y)        with equality where the codes lose nothing

The codes are those of a codec: a trained VQ-VAE, whose weights stay as they are, or the values of pixels themselves. A
place is told the code before it, where it stands, and the condition. With guidance w the logits are l(∅) + w (l(y) −
l(∅)), where l(∅) are those of a place that was not told: w > 1 moves away from what is said of anything.

References: *Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner, Kavukcuoglu, 2016)*; *Taming Transformers for
    High-Resolution Image Synthesis (Esser, Rombach, Ommer, 2021)*; guidance: *Classifier-Free Diffusion Guidance (Ho,
    Salimans, 2022)*; nucleus: *The Curious Case of Neural Text Degeneration (Holtzman et al., 2019)*; min-p: *Turning
    Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs (Nguyen et al., 2024)*.

A text that is the condition comes before the codes, byte by byte, and they are told of it by attention.

Shapes: codes (B, T); y (B,) class numbers, (B, K) weights of conditions, or (B, L) symbols of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, observed
from seisei.modalities.text import END, SYMBOLS
from seisei.models.classifier import Classes as Kinds
from seisei.models.classifier import GenerativeClassifier
from seisei.nn.mlp import Classes
from seisei.nn.quantizers.code_layout import Segment
from seisei.nn.transformer.blocks import Dropout, Heads, Layers, Width
from seisei.nn.transformer.decoding import CodePrior, CodeTransformer, Decoding
from seisei.nn.transformer.sampling import SamplingOptions
from seisei.spec import Range, listed

Priors = Literal["one", "each"]


@listed
class Autoregressive(nn.Module):
    """A Transformer over the codes of a codec.

    Arguments:
        codec: gives `encode`, `decode` and `segments`; unless it is `lossless`, `likelihood` too. It does not learn.
        width: of hidden vectors.
        layers: of the Transformer.
        heads: of its attention.
        classes: of the condition; 0 for none.
        dropout: share of each branch that is left out in training.
        text: the length of a text that is the condition, in bytes; 0 for none.
        priors: one Transformer over all segments of codes, or each has its own, which is told of those before.

    Example:
        >>> from seisei.nn.codecs.pixel import PixelCodec
        >>> model = Autoregressive(PixelCodec([1, 4, 4], 2), width=16, layers=1, heads=2)
        >>> model.sample(3).shape, model.log_prob(Batch(torch.zeros(5, 1, 4, 4))).shape
        (torch.Size([3, 1, 4, 4]), torch.Size([5]))
    """

    steers = of_levels = by_codes = True

    def __init__(
        self,
        codec: nn.Module,
        width: Width = 256,
        layers: Layers = 6,
        heads: Heads = 8,
        classes: Classes = 0,
        dropout: Dropout = 0.0,
        text: Annotated[int, Range(ge=0, le=1 << 20)] = 0,
        priors: Priors = "one",
    ) -> None:
        super().__init__()
        self.codec: Any = codec.requires_grad_(False)
        # What is given of an example is made of so many numbers, whatever they mean.
        self.classes, self.text = classes or text, text
        of_codec: list[Segment] = codec.segments  # type: ignore[assignment]
        segments, given = [*_segment(text), *of_codec], 1 if text else 0
        places = places_of(of_codec, text)
        # Where each part begins to say something; it knows what was said before.
        begins = [given] if priors == "one" else list(range(given, len(segments)))
        parts = []
        for begin, end in zip(begins, [*begins[1:], len(segments)], strict=True):
            known = sum(segment.length for segment in segments[:end])
            parts.append(CodeTransformer(segments[:end], places[:known], begin, width, layers, heads, classes, dropout))
        self.network = CodePrior(parts)
        self.length = sum(segment.length for segment in of_codec)
        # The code after which there are no others, of a codec that has one: what fills the rest is certain.
        self.end: int | None = getattr(codec, "end", None)

    @property
    def log_prob_is_bound(self) -> bool:
        """Whether codes lose something."""
        return not getattr(self.codec, "lossless", False)

    # ---- likelihood

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """The codes of examples, (B, T)."""
        return self.codec.encode(x)  # type: ignore[no-any-return]

    def log_codes(self, codes: Tensor, y: Tensor | None = None, told: Tensor | None = None) -> Tensor:
        """log p(code_t | code_<t, y) of each code, in nats, (B, T).

        Arguments:
            codes: (B, T).
            y: conditions.
            told: (B,) False where the condition is kept from it.
        """
        given = self._given(y, len(codes), told)
        found = self.network.log_codes(torch.cat([given, codes], 1), None if self.text else y, told)
        return found if self.end is None else found.masked_fill(~self.counted(codes), 0.0)

    def counted(self, codes: Tensor) -> Tensor:
        """Which codes say something, (B, T): all, or those up to the first that ends an example, with it."""
        if self.end is None:
            return torch.ones_like(codes, dtype=torch.bool)
        ended = (codes == self.end).cumsum(1)
        return (ended == 0) | ((ended == 1) & (codes == self.end))

    def _given(self, y: Tensor | None, count: int, told: Tensor | None = None) -> Tensor:
        """The codes that come before: a text, (B, L), an empty one where it is kept from them; (B, 0) without one."""
        empty = torch.full((count, self.text), END, device=self._device)
        if y is None or not self.text:
            return empty
        return y if told is None else torch.where(told.unsqueeze(1), y, empty)

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | codes(x)) + log p(codes(x) | y), in nats, (B,): exact, or a bound where codes lose something."""
        codes = self.codes(batch.visible)
        return self.log_codes(codes, batch.y).sum(1) + self._left(batch, codes)

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> Tensor:
        """`log_prob` for every class, (B, C)."""
        codes = self.codes(batch.visible)
        kinds = torch.arange(self.classes, device=codes.device)
        each = [self.log_codes(codes, kind.expand(len(codes))).sum(1) for kind in kinds]
        return torch.stack(each, 1) + self._left(batch, codes).unsqueeze(1)

    def _left(self, batch: Batch, codes: Tensor) -> Tensor:
        """log p(x | codes), (B,)."""
        if not self.log_prob_is_bound:
            return torch.zeros(len(codes), device=codes.device)
        return observed(self.codec.likelihood(codes).log_prob(batch.x), batch.mask)

    # ---- drawing

    @torch.no_grad()
    def sample(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: SamplingOptions | None = None
    ) -> Tensor:
        """n examples: codes drawn one after the other, then what they stand for."""
        return self.codec.decode(self.draw(n, y, temperature=temperature, steering=steering))  # type: ignore[no-any-return]

    @torch.no_grad()
    def draw(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: SamplingOptions | None = None
    ) -> Tensor:
        """Codes of n examples, (n, T)."""
        steering = steering or SamplingOptions()
        writing = self._writing(n, y, steering)
        noise = seeds.uniform(n, self.length, device=self._device)
        while not writing.done:
            if self.end is not None and writing.codes and bool((writing.codes[-1] == self.end).all()):
                rest = [writing.codes[-1]] * (self.length - len(writing.codes))
                return torch.stack([*writing.codes, *rest], 1)
            writing.add(steering.choose(self._next(writing), noise[:, len(writing.codes)], temperature))
        return torch.stack(writing.codes, 1)

    def _next(self, writing: Decoding) -> Tensor:
        """Logits of the next code of each row, (rows, K): after one that ends an example there is no other."""
        logits = writing.logits()
        if self.end is None or not writing.codes:
            return logits
        ended = (writing.codes[-1] == self.end).unsqueeze(1)
        others = torch.arange(logits.shape[1], device=logits.device) != self.end
        return logits.masked_fill(ended & others, -torch.inf)

    def _writing(self, rows: int, y: Tensor | None, steering: SamplingOptions) -> Decoding:
        guided = steering.guidance != 1.0 and bool(self.classes) and y is not None
        untold = self._given(None, rows) if guided else None
        return Decoding(self.network, self._given(y, rows), None if self.text else y, steering.guidance, untold)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    @torch.no_grad()
    def impute(
        self,
        batch: Batch,
        n: int,
        *,
        temperature: float = 1.0,
        particles: int = 8,
        steering: SamplingOptions | None = None,
    ) -> Tensor:
        """n completions of each example, (B, n, *x); see `complete`. What was observed stays as it is."""
        assert batch.mask is not None
        mask = batch.mask.expand_as(batch.x)
        found = []
        for i in range(len(batch)):
            allowed = [part[0] for part in self.codec.allowed(batch.x[i : i + 1], mask[i : i + 1])]
            y = None if batch.y is None else batch.y[i : i + 1]
            drawn = self.complete(allowed, n, y, temperature=temperature, particles=particles, steering=steering)
            found.append(torch.where(mask[i], batch.x[i], self.codec.decode(drawn)))
        return torch.stack(found)

    @torch.no_grad()
    def complete(
        self,
        allowed: Sequence[Tensor],
        n: int,
        y: Tensor | None = None,
        *,
        temperature: float = 1.0,
        particles: int = 8,
        steering: SamplingOptions | None = None,
    ) -> Tensor:
        """n draws of codes among those that agree with what is known, before and after them, (n, T).

        Codes are drawn in order, each completion by several candidates. A candidate counts by how likely it made what
        is known of each next code, and where few of them hold all the weight they start again from these: with more
        particles draws come nearer to p(codes | what is known), and with one only what came before a code is looked at.

        Reference: *Novel approach to nonlinear/non-Gaussian Bayesian state estimation (Gordon, Salmond, Smith, 1993)*.

        Arguments:
            allowed: of each segment the codes that agree, (T_s, K_s).
            n: how many.
            y: the condition, (1, ...).
            temperature: of what is drawn.
            particles: candidates for each completion.
            steering: of what is drawn.
        """
        steering, rows = steering or SamplingOptions(), n * particles
        told = None if y is None else y.expand(rows, *y.shape[1:])
        writing = self._writing(rows, told, steering)
        length, device = self.length, self._device
        noise, chance = seeds.uniform(rows, 2, length, device=device).unbind(1)
        weight = torch.zeros(n, particles, device=device)
        places = [row for part in allowed for row in part]
        if self.end is not None:
            # An example ends only where nothing else is known to come.
            ends = torch.stack([row[self.end] for row in places]).flip(0).cummin(0).values.flip(0)
            is_end = torch.arange(len(places[0]), device=device) == self.end
            places = [row & (~is_end | may) for row, may in zip(places, ends, strict=True)]
        for at, agrees in enumerate(places):
            logits = self._next(writing)
            fits = logits.masked_fill(~agrees, -torch.inf)
            if not agrees.all():
                gained = fits.logsumexp(1) - logits.logsumexp(1)
                weight = weight + gained.reshape(n, particles)
                share = weight.softmax(1)
                if float((1 / share.square().sum(1)).min()) < particles / 2:
                    again = _again(share, chance[:n, at])
                    writing.choose(again)
                    weight, fits = torch.zeros_like(weight), fits[again]
            writing.add(steering.choose(fits, noise[:, at], temperature))
        reached = weight.softmax(1).cumsum(1)
        one = (reached <= (chance[-n:, -1] * reached[:, -1]).unsqueeze(1)).sum(1).clamp_max(particles - 1)
        return torch.stack(writing.codes, 1)[one + particles * torch.arange(n, device=device)]


def _again(share: Tensor, u: Tensor) -> Tensor:
    """Rows of (n, P) candidates, flat, each as often as its share of P, up to one more or less: (n · P,)."""
    n, count = share.shape
    comb = (torch.arange(count, device=share.device) + u.unsqueeze(1)) / count
    chosen = (share.double().cumsum(1).unsqueeze(1) <= comb.unsqueeze(2)).sum(2).clamp_max(count - 1)
    return (chosen + count * torch.arange(n, device=share.device).unsqueeze(1)).flatten()


@listed
class AutoregressiveClassifier(GenerativeClassifier):
    """Bayes' rule over an `Autoregressive`, see `GenerativeClassifier`: what it can do beside.

    Arguments:
        density: an `Autoregressive` with a class for a condition.
        classes: C.
        prior: p(y): the shares of the classes in training, or uniform.
    """

    steers = of_levels = by_codes = True

    def __init__(self, density: nn.Module, classes: Kinds, prior: Literal["data", "uniform"] = "data") -> None:
        super().__init__(density, classes, prior)

    def impute(self, batch: Batch, n: int, *, temperature: float = 1.0, particles: int = 8, **knobs: Any) -> Tensor:
        """n completions of each example, of its own class or of one drawn from p(y); see `Autoregressive.impute`."""
        y = self.draw_labels(len(batch)) if batch.y is None else batch.y
        found: Tensor = self.density.impute(
            Batch(batch.x, y, batch.mask), n, temperature=temperature, particles=particles, **knobs
        )
        return found


def _segment(text: int) -> list[Segment]:
    return [Segment(text, 1, 1, SYMBOLS)] if text else []


def places_of(segments: list[Segment], text: int = 0) -> Tensor:
    """Where every code stands in the image, (T, 2), in places of the finest grid: row and column of its middle.

    A text stands above it, a row for each byte.
    """
    rows, columns = max(s.height for s in segments), max(s.width for s in segments)
    found = [torch.cartesian_prod(torch.arange(-text, 0) + 0.5, torch.tensor([columns / 2]))] if text else []
    for segment in segments:
        row = (torch.arange(segment.height) + 0.5) * rows / segment.height
        column = (torch.arange(segment.width) + 0.5) * columns / segment.width
        grid = torch.cartesian_prod(row, column)
        found.append(grid.repeat_interleave(segment.slots, 0))
    return torch.cat(found)
