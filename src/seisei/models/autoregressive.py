"""Autoregressive Transformer over codes: p(codes | y) = Π_t p(code_t | code_<t, y).

    log p(x | y) ≥ log p(x | codes(x)) + log p(codes(x) | y)        with equality for a lossless codec

The codes come from a codec: a frozen VQ-VAE (two-stage image generation), pixel values, or bytes. Each position sees
the previous codes, its position, and the condition. Classifier-free guidance with scale w uses the logits l(∅) + w
(l(y) − l(∅)), where l(∅) are the unconditional ones: w > 1 strengthens the condition.

References: *Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner, Kavukcuoglu, 2016)*; *Taming Transformers for
    High-Resolution Image Synthesis (Esser, Rombach, Ommer, 2021)*; classifier-free guidance: *Classifier-Free Diffusion
    Guidance (Ho, Salimans, 2022)*; top-p (nucleus) sampling: *The Curious Case of Neural Text Degeneration (Holtzman et
    al., 2019)*; min-p: *Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs (Nguyen et al.,
    2024)*.

A text condition (caption) is a prefix of bytes, which the codes attend to.

Shapes: codes (B, T); y (B,) class labels, (B, K) condition weights, or (B, L) text symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, observed
from seisei.modalities.text import END, SYMBOLS
from seisei.models.classifier import Classes as ClassCount
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
    """A Transformer over the codes of a frozen codec.

    Arguments:
        codec: has `encode`, `decode` and `segments`, and, unless it is `lossless`, `likelihood`; not trained.
        width: model width.
        layers: number of layers.
        heads: number of attention heads.
        classes: classes of the condition; 0 for none.
        dropout: dropout rate of each residual branch.
        text: length of a text condition in bytes; 0 for none.
        priors: one Transformer for all segments of codes; or each: one per segment, conditioned on the segments before
            it.

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
        # Size of the condition, whatever its type.
        self.classes, self.text = classes or text, text
        of_codec: list[Segment] = codec.segments  # type: ignore[assignment]
        segments, given = [*_segment(text), *of_codec], 1 if text else 0
        places = places_of(of_codec, text)
        # First predicted segment of each Transformer; it is conditioned on those before.
        begins = [given] if priors == "one" else list(range(given, len(segments)))
        parts = []
        for begin, end in zip(begins, [*begins[1:], len(segments)], strict=True):
            known = sum(segment.length for segment in segments[:end])
            parts.append(CodeTransformer(segments[:end], places[:known], begin, width, layers, heads, classes, dropout))
        self.network = CodePrior(parts)
        self.length = sum(segment.length for segment in of_codec)
        # End-of-sequence code, if the codec has one; the padding after it is deterministic.
        self.end: int | None = getattr(codec, "end", None)

    @property
    def log_prob_is_bound(self) -> bool:
        """Whether the codec is lossy."""
        return not getattr(self.codec, "lossless", False)

    # ---- likelihood

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """The codes of examples, (B, T)."""
        return self.codec.encode(x)  # type: ignore[no-any-return]

    def log_codes(self, codes: Tensor, y: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """log p(code_t | code_<t, y) of each code, in nats, (B, T).

        Arguments:
            codes: (B, T).
            y: conditions.
            keep: (B,), False where the condition is dropped (classifier-free guidance).
        """
        prefix = self._prefix(y, len(codes), keep)
        found = self.network.log_codes(torch.cat([prefix, codes], 1), None if self.text else y, keep)
        return found if self.end is None else found.masked_fill(~self.counted(codes), 0.0)

    def counted(self, codes: Tensor) -> Tensor:
        """Which codes count, (B, T): all, or those up to and including the end-of-sequence code."""
        if self.end is None:
            return torch.ones_like(codes, dtype=torch.bool)
        ended = (codes == self.end).cumsum(1)
        return (ended == 0) | ((ended == 1) & (codes == self.end))

    def _prefix(self, y: Tensor | None, count: int, keep: Tensor | None = None) -> Tensor:
        """Prefix codes: the text, (B, L), or an empty one where it is dropped; (B, 0) without text."""
        empty = torch.full((count, self.text), END, device=self._device)
        if y is None or not self.text:
            return empty
        return y if keep is None else torch.where(keep.unsqueeze(1), y, empty)

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | codes(x)) + log p(codes(x) | y), in nats, (B,): exact for a lossless codec, else a lower bound."""
        codes = self.codes(batch.visible)
        return self.log_codes(codes, batch.y).sum(1) + self._left(batch, codes)

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> Tensor:
        """`log_prob` for every class, (B, C)."""
        codes = self.codes(batch.visible)
        labels = torch.arange(self.classes, device=codes.device)
        each = [self.log_codes(codes, label.expand(len(codes))).sum(1) for label in labels]
        return torch.stack(each, 1) + self._left(batch, codes).unsqueeze(1)

    def _left(self, batch: Batch, codes: Tensor) -> Tensor:
        """log p(x | codes), (B,)."""
        if not self.log_prob_is_bound:
            return torch.zeros(len(codes), device=codes.device)
        return observed(self.codec.likelihood(codes).log_prob(batch.x), batch.mask)

    # ---- sampling

    @torch.no_grad()
    def sample(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: SamplingOptions | None = None
    ) -> Tensor:
        """n examples: sampled codes, decoded."""
        return self.codec.decode(self.draw(n, y, temperature=temperature, steering=steering))  # type: ignore[no-any-return]

    @torch.no_grad()
    def draw(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: SamplingOptions | None = None
    ) -> Tensor:
        """Sampled codes of n examples, (n, T)."""
        steering = steering or SamplingOptions()
        decoding = self._decoding(n, y, steering)
        noise = seeds.uniform(n, self.length, device=self._device)
        while not decoding.done:
            if self.end is not None and decoding.codes and bool((decoding.codes[-1] == self.end).all()):
                rest = [decoding.codes[-1]] * (self.length - len(decoding.codes))
                return torch.stack([*decoding.codes, *rest], 1)
            decoding.add(steering.choose(self._next(decoding), noise[:, len(decoding.codes)], temperature))
        return torch.stack(decoding.codes, 1)

    def _next(self, decoding: Decoding) -> Tensor:
        """Logits of the next code of each row, (rows, K); after the end-of-sequence code only itself is possible."""
        logits = decoding.logits()
        if self.end is None or not decoding.codes:
            return logits
        ended = (decoding.codes[-1] == self.end).unsqueeze(1)
        others = torch.arange(logits.shape[1], device=logits.device) != self.end
        return logits.masked_fill(ended & others, -torch.inf)

    def _decoding(self, rows: int, y: Tensor | None, steering: SamplingOptions) -> Decoding:
        guided = steering.guidance != 1.0 and bool(self.classes) and y is not None
        unconditional = self._prefix(None, rows) if guided else None
        return Decoding(self.network, self._prefix(y, rows), None if self.text else y, steering.guidance, unconditional)

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
        """n completions of each example (inpainting), (B, n, *x); see `complete`. Observed values are unchanged."""
        assert batch.mask is not None
        mask = batch.mask.expand_as(batch.x)
        found = []
        for i in range(len(batch)):
            allowed = [part[0] for part in self.codec.allowed(batch.x[i : i + 1], mask[i : i + 1])]
            y = None if batch.y is None else batch.y[i : i + 1]
            codes = self.complete(allowed, n, y, temperature=temperature, particles=particles, steering=steering)
            found.append(torch.where(mask[i], batch.x[i], self.codec.decode(codes)))
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
        """n samples of codes consistent with the observed values, before and after them, (n, T).

        A particle filter: codes are sampled in order, each completion by several particles. A particle's weight is the
        probability it gave to the observed part of each next code; when few particles hold all the weight they are
        resampled. With more particles samples approach p(codes | observed); with one, only what comes before a code is
        used.

        Reference: *Novel approach to nonlinear/non-Gaussian Bayesian state estimation (Gordon, Salmond, Smith, 1993)*.

        Arguments:
            allowed: codes consistent with the observed values, (T_s, K_s) per segment.
            n: number of samples.
            y: condition, (1, ...).
            temperature: sampling temperature.
            particles: particles per completion.
            steering: sampling options.
        """
        steering, rows = steering or SamplingOptions(), n * particles
        conditions = None if y is None else y.expand(rows, *y.shape[1:])
        decoding = self._decoding(rows, conditions, steering)
        length, device = self.length, self._device
        noise, chance = seeds.uniform(rows, 2, length, device=device).unbind(1)
        weight = torch.zeros(n, particles, device=device)
        places = [row for part in allowed for row in part]
        if self.end is not None:
            # End of sequence is allowed only where nothing else is observed after it.
            ends = torch.stack([row[self.end] for row in places]).flip(0).cummin(0).values.flip(0)
            is_end = torch.arange(len(places[0]), device=device) == self.end
            places = [row & (~is_end | may) for row, may in zip(places, ends, strict=True)]
        for at, agrees in enumerate(places):
            logits = self._next(decoding)
            fits = logits.masked_fill(~agrees, -torch.inf)
            if not agrees.all():
                gained = fits.logsumexp(1) - logits.logsumexp(1)
                weight = weight + gained.reshape(n, particles)
                share = weight.softmax(1)
                if float((1 / share.square().sum(1)).min()) < particles / 2:
                    again = _again(share, chance[:n, at])
                    decoding.choose(again)
                    weight, fits = torch.zeros_like(weight), fits[again]
            decoding.add(steering.choose(fits, noise[:, at], temperature))
        reached = weight.softmax(1).cumsum(1)
        one = (reached <= (chance[-n:, -1] * reached[:, -1]).unsqueeze(1)).sum(1).clamp_max(particles - 1)
        return torch.stack(decoding.codes, 1)[one + particles * torch.arange(n, device=device)]


def _again(share: Tensor, u: Tensor) -> Tensor:
    """Systematic resampling: flat indices of (n, P) particles, each chosen in proportion to its weight, (n · P,)."""
    n, count = share.shape
    comb = (torch.arange(count, device=share.device) + u.unsqueeze(1)) / count
    chosen = (share.double().cumsum(1).unsqueeze(1) <= comb.unsqueeze(2)).sum(2).clamp_max(count - 1)
    return (chosen + count * torch.arange(n, device=share.device).unsqueeze(1)).flatten()


@listed
class AutoregressiveClassifier(GenerativeClassifier):
    """Bayes' rule over an `Autoregressive`, see `GenerativeClassifier`; adds imputation.

    Arguments:
        density: an `Autoregressive` conditioned on a class.
        classes: C.
        prior: p(y): class frequencies of the training data, or uniform.
    """

    steers = of_levels = by_codes = True

    def __init__(self, density: nn.Module, classes: ClassCount, prior: Literal["data", "uniform"] = "data") -> None:
        super().__init__(density, classes, prior)

    def impute(self, batch: Batch, n: int, *, temperature: float = 1.0, particles: int = 8, **knobs: Any) -> Tensor:
        """n completions of each example, of its own class or of one sampled from p(y); see `Autoregressive.impute`."""
        y = self.draw_labels(len(batch)) if batch.y is None else batch.y
        found: Tensor = self.density.impute(
            Batch(batch.x, y, batch.mask), n, temperature=temperature, particles=particles, **knobs
        )
        return found


def _segment(text: int) -> list[Segment]:
    return [Segment(text, 1, 1, SYMBOLS)] if text else []


def places_of(segments: list[Segment], text: int = 0) -> Tensor:
    """Position of every code in the image, (T, 2): row and column of its center, in units of the finest map.

    A text is placed above the image, one row per byte.
    """
    rows, columns = max(s.height for s in segments), max(s.width for s in segments)
    found = [torch.cartesian_prod(torch.arange(-text, 0) + 0.5, torch.tensor([columns / 2]))] if text else []
    for segment in segments:
        row = (torch.arange(segment.height) + 0.5) * rows / segment.height
        column = (torch.arange(segment.width) + 0.5) * columns / segment.width
        grid = torch.cartesian_prod(row, column)
        found.append(grid.repeat_interleave(segment.slots, 0))
    return torch.cat(found)
