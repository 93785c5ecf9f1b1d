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

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, observed
from seisei.modalities.text import END, SYMBOLS
from seisei.models.classifier import Classes as Kinds
from seisei.models.classifier import GenerativeClassifier
from seisei.nn.distributions import precise
from seisei.nn.mlp import Classes, Condition
from seisei.nn.segments import Segment
from seisei.nn.steering import Steering
from seisei.nn.stepwise import Stepwise
from seisei.nn.transformer import Dropout, Heads, Layers, Transformer, Width
from seisei.spec import Range, listed


class CodeTransformer(nn.Module):
    """p(codes | y): tables of vectors, a Transformer, and logits.

    Arguments:
        segments: how codes are laid out.
        width: of hidden vectors.
        layers: of the Transformer.
        heads: of its attention.
        classes: of the condition; 0 for none.
        dropout: share of each branch that is left out in training.
        text: the length of a text that is the condition, in bytes; 0 for none.
    """

    def __init__(
        self, segments: list[Segment], width: int, layers: int, heads: int, classes: int, dropout: float, text: int
    ) -> None:
        super().__init__()
        self.segments, self.lengths, self.text = segments, [segment.length for segment in segments], text
        self.transformer = Transformer(places_of(segments, text), width, layers, heads, dropout)
        self.tables = nn.ModuleList(nn.Embedding(segment.codes, width) for segment in segments)
        self.logits = nn.ModuleList(nn.Linear(width, segment.codes, bias=False) for segment in segments)
        self.place = nn.Parameter(torch.empty(text + sum(self.lengths), width))
        self.start = nn.Parameter(torch.empty(width))
        self.condition = Condition(classes, width) if classes else None
        self.symbols = nn.Embedding(SYMBOLS, width) if text else None
        # Every code is about equally likely at first.
        small = [self.place, self.start, *self.tables.parameters(), *self.logits.parameters()]
        of_y = [layer.weight for layer in (self.condition, self.symbols) if layer is not None]
        for parameter in [*small, *of_y]:
            nn.init.normal_(parameter, std=0.02)

    def forward(self, codes: Tensor, y: Tensor | None = None, told: Tensor | None = None) -> list[Tensor]:
        """Logits of every code given those before it, by segment, (B, T_s, K_s).

        Arguments:
            codes: (B, T).
            y: conditions.
            told: (B,) False where the condition is kept from it.
        """
        parts = torch.split(codes, self.lengths, 1)
        vectors = torch.cat([table(part) for table, part in zip(self.tables, parts, strict=True)], 1)
        before = torch.cat([self.start.expand(len(codes), 1, -1), *self.read(y, len(codes), told), vectors], 1)[:, :-1]
        h = self.transformer(before + self.place + self.told(y, len(codes), told))[:, self.text :]
        return [layer(part) for layer, part in zip(self.logits, torch.split(h, self.lengths, 1), strict=True)]

    def read(self, y: Tensor | None, count: int, told: Tensor | None = None) -> list[Tensor]:
        """What comes before the codes: the vectors of a text, (B, L, D), an empty one where it is kept from them."""
        if self.symbols is None:
            return []
        empty = torch.full((count, self.text), END, device=self.start.device)
        if y is not None:
            empty = y if told is None else torch.where(told.unsqueeze(1), y, empty)
        return [self.symbols(empty)]

    def told(self, y: Tensor | None, count: int, told: Tensor | None = None) -> Tensor:
        """What every place is told, (B, 1, D); 0 stands for nothing."""
        if self.condition is None or y is None:
            return self.start.new_zeros(count, 1, len(self.start))
        vector: Tensor = self.condition(y)
        return (vector if told is None else vector * told.unsqueeze(1)).unsqueeze(1)

    def log_codes(self, codes: Tensor, y: Tensor | None = None, told: Tensor | None = None) -> Tensor:
        """log p(code_t | code_<t, y) of each code, in nats, (B, T)."""
        found = []
        for logits, part in zip(self(codes, y, told), torch.split(codes, self.lengths, 1), strict=True):
            cost = F.cross_entropy(precise(logits).flatten(0, 1), part.flatten(), reduction="none")
            found.append(-cost.reshape(part.shape))
        return torch.cat(found, 1)


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

    Example:
        >>> from seisei.nn.pixels import PixelCodes
        >>> model = Autoregressive(PixelCodes([1, 4, 4], 2), width=16, layers=1, heads=2)
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
    ) -> None:
        super().__init__()
        self.codec: Any = codec.requires_grad_(False)
        # What is given of an example is made of so many numbers, whatever they mean.
        self.classes = classes or text
        segments: Any = codec.segments
        self.network = CodeTransformer(segments, width, layers, heads, classes, dropout, text)

    @property
    def log_prob_is_bound(self) -> bool:
        """Whether codes lose something."""
        return not getattr(self.codec, "lossless", False)

    # ---- likelihood

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """The codes of examples, (B, T)."""
        return self.codec.encode(x)  # type: ignore[no-any-return]

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | codes(x)) + log p(codes(x) | y), in nats, (B,): exact, or a bound where codes lose something."""
        codes = self.codes(batch.visible)
        return self.network.log_codes(codes, batch.y).sum(1) + self._left(batch, codes)

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> Tensor:
        """`log_prob` for every class, (B, C)."""
        codes = self.codes(batch.visible)
        kinds = torch.arange(self.classes, device=codes.device)
        each = [self.network.log_codes(codes, kind.expand(len(codes))).sum(1) for kind in kinds]
        return torch.stack(each, 1) + self._left(batch, codes).unsqueeze(1)

    def _left(self, batch: Batch, codes: Tensor) -> Tensor:
        """log p(x | codes), (B,)."""
        if not self.log_prob_is_bound:
            return torch.zeros(len(codes), device=codes.device)
        return observed(self.codec.likelihood(codes).log_prob(batch.x), batch.mask)

    # ---- drawing

    @torch.no_grad()
    def sample(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: Steering | None = None
    ) -> Tensor:
        """n examples: codes drawn one after the other, then what they stand for."""
        return self.codec.decode(self.draw(n, y, temperature=temperature, steering=steering))  # type: ignore[no-any-return]

    @torch.no_grad()
    def draw(
        self, n: int, y: Tensor | None = None, *, temperature: float = 1.0, steering: Steering | None = None
    ) -> Tensor:
        """Codes of n examples, (n, T)."""
        steering = steering or Steering()
        writing = _Writing(self.network, n, y, steering.guidance)
        noise = seeds.uniform(n, sum(self.network.lengths), device=self.network.start.device)
        while not writing.done:
            writing.add(steering.choose(writing.logits(), noise[:, len(writing.codes)], temperature))
        return torch.stack(writing.codes, 1)

    @torch.no_grad()
    def impute(
        self,
        batch: Batch,
        n: int,
        *,
        temperature: float = 1.0,
        particles: int = 8,
        steering: Steering | None = None,
    ) -> Tensor:
        """n completions of each example, (B, n, *x); see `complete`. What was observed stays as it is."""
        assert batch.mask is not None
        mask = batch.mask.expand_as(batch.x)
        # What is missing is as grey as the rest is on average, where the codec looks at it.
        mean = (batch.x * mask).flatten(2).sum(2) / mask.flatten(2).sum(2).clamp_min(1)
        shown = torch.where(mask, batch.x, mean[:, :, None, None])
        found = []
        for i, (codes, known) in enumerate(zip(self.codes(shown), self.codec.known(mask), strict=True)):
            y = None if batch.y is None else batch.y[i : i + 1]
            drawn = self.complete(codes, known, n, y, temperature=temperature, particles=particles, steering=steering)
            found.append(torch.where(mask[i], batch.x[i], self.codec.decode(drawn)))
        return torch.stack(found)

    @torch.no_grad()
    def complete(
        self,
        codes: Tensor,
        known: Tensor,
        n: int,
        y: Tensor | None = None,
        *,
        temperature: float = 1.0,
        particles: int = 8,
        steering: Steering | None = None,
    ) -> Tensor:
        """n draws of the codes that are not known, given those that are, before and after them, (n, T).

        Codes are drawn in order, each completion by several candidates. One that meets a known code later counts by how
        likely it made it, and where few of them hold all the weight they start again from these: with more particles
        draws come nearer to p(unknown | known), and with one only what came before a code is looked at.

        Reference: *Novel approach to nonlinear/non-Gaussian Bayesian state estimation (Gordon, Salmond, Smith, 1993)*.

        Arguments:
            codes: (T,).
            known: (T,).
            n: how many.
            y: the condition, (1, ...).
            temperature: of what is drawn.
            particles: candidates for each completion.
            steering: of what is drawn.
        """
        steering, rows = steering or Steering(), n * particles
        told = None if y is None else y.expand(rows, *y.shape[1:])
        writing = _Writing(self.network, rows, told, steering.guidance)
        length, device = sum(self.network.lengths), self.network.start.device
        noise, chance = seeds.uniform(rows, 2, length, device=device).unbind(1)
        weight = torch.zeros(n, particles, device=device)
        while not writing.done:
            at = len(writing.codes)
            logits = writing.logits()
            if not known[at]:
                writing.add(steering.choose(logits, noise[:, at], temperature))
                continue
            code = codes[at].expand(rows)
            weight = weight + logits.log_softmax(1)[:, codes[at]].reshape(n, particles)
            share = weight.softmax(1)
            if float((1 / share.square().sum(1)).min()) < particles / 2:
                writing.choose(_again(share, chance[:n, at]))
                weight = torch.zeros_like(weight)
            writing.add(code)
        reached = weight.softmax(1).cumsum(1)
        one = (reached <= (chance[-n:, -1] * reached[:, -1]).unsqueeze(1)).sum(1).clamp_max(particles - 1)
        return torch.stack(writing.codes, 1)[one + particles * torch.arange(n, device=device)]


def _again(share: Tensor, u: Tensor) -> Tensor:
    """Rows of (n, P) candidates, flat, each as often as its share of P, up to one more or less: (n · P,)."""
    n, count = share.shape
    comb = (torch.arange(count, device=share.device) + u.unsqueeze(1)) / count
    chosen = (share.double().cumsum(1).unsqueeze(1) <= comb.unsqueeze(2)).sum(2).clamp_max(count - 1)
    return (chosen + count * torch.arange(n, device=share.device).unsqueeze(1)).flatten()


class _Writing:
    """Codes on their way to the end.

    Arguments:
        network: what says which come next.
        rows: of codes.
        y: conditions, or None.
        guidance: their weight.
    """

    def __init__(self, network: CodeTransformer, rows: int, y: Tensor | None, guidance: float) -> None:
        self.network, self.guidance = network, guidance
        knows = network.condition is not None or network.symbols is not None
        self.guided = guidance != 1.0 and knows and y is not None
        told = None
        if self.guided:
            assert y is not None
            y, told = torch.cat([y, y]), torch.arange(2 * rows, device=y.device) < rows
        both = 2 * rows if self.guided else rows
        self.condition = network.told(y, both, told)[:, 0]
        self.steps = Stepwise(network.transformer, both)
        self.last = network.start.expand(both, -1)
        for vectors in network.read(y, both, told):
            for i, vector in enumerate(vectors.unbind(1)):
                self.steps.step(self.last + network.place[i])
                self.last = vector
        self.codes: list[Tensor] = []
        self._segments = [i for i, length in enumerate(network.lengths) for _ in range(length)]

    @property
    def done(self) -> bool:
        """Whether all codes are there."""
        return len(self.codes) == len(self._segments)

    def logits(self) -> Tensor:
        """Of the next code of each row, (rows, K)."""
        at, network = len(self.codes), self.network
        h = self.steps.step(self.last + network.place[network.text + at] + self.condition)
        logits = precise(network.logits[self._segments[at]](h))
        if not self.guided:
            return logits
        with_y, without = logits.chunk(2)
        return without + self.guidance * (with_y - without)

    def add(self, code: Tensor) -> None:
        """The next code of each row, (rows,)."""
        table = self.network.tables[self._segments[len(self.codes)]]
        self.codes.append(code)
        self.last = table(torch.cat([code, code]) if self.guided else code)

    def choose(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self.codes = [code[rows] for code in self.codes]
        self.steps.choose(torch.cat([rows, rows + len(rows)]) if self.guided else rows)


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


def places_of(segments: list[Segment], text: int = 0) -> Tensor:
    """Where every code stands in the picture, (T, 2), in places of the finest grid: row and column of its middle.

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
