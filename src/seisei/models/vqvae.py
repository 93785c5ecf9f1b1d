"""VQ-VAE and VQ-VAE-2: pictures as codes, on one grid or on several, one finer than the other.

    h_1 = e_1(x),  h_l = e_l(h_{l−1})                                 up, from the finest level to the coarsest
    z_l = W_l [h_l, c_l],  q_l = quantise(z_l),  c_{l−1} = d_l([q_l, c_l])     and down, from the coarsest
    p(x | codes) = head(d_1([q_1, c_1]))

The finer codes are chosen knowing the coarser, and have to say only what those leave open. With one level it is the
VQ-VAE. Codes that are new say little, and a coarser level that says little is soon not heard, since the finer can do
without; then nothing tells it what to say. So while it is new its vectors lie between themselves and their codes. A
code is worth log K nats before a prior over codes is learned, so that

    log p(x) ≥ log p(x | codes(x)) − T log K                          T codes a picture

References: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937;
    *Generating Diverse High-Fidelity Images with VQ-VAE-2 (Razavi, van den Oord, Vinyals, 2019)*, arXiv 1906.00446.

Shapes: x (B, C, H, W) in [0, 1]; codes (B, T), the coarsest level first, by rows, the codes of one place side by side.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.batch import Batch, observed
from seisei.nn.distributions import Distribution
from seisei.nn.quantise import Quantised, Total
from seisei.nn.segments import Segment
from seisei.spec import listed

# Pictures that are looked at together before the first step.
AT_ONCE = 256
# How far the vectors of each of several levels lie from their mean before the first step, in each direction.
SPREAD = 0.3


def least_squares(given: Tensor, wanted: Tensor, ridge: float = 1e-3) -> Tensor:
    """The linear map (A, B) that gives of rows (N, A) the rows (N, B) with the least squared error, nearly.

    Example:
        >>> given = torch.randn(50, 3)
        >>> bool((least_squares(given, given @ torch.eye(3, 2), 1e-9) - torch.eye(3, 2)).abs().max() < 1e-3)
        True
    """
    square = given.T @ given
    square = square + ridge * square.diagonal().mean() * torch.eye(len(square), device=square.device)
    return torch.linalg.solve(square, given.T @ wanted)  # type: ignore[no-any-return]


class Coded(NamedTuple):
    """What a picture becomes.

    Arguments:
        likelihood: p(x | codes).
        codes: (B, T).
        cost: what keeps vectors and codes together, a mean over the vectors of each level, summed over levels, (B,).
    """

    likelihood: Distribution
    codes: Tensor
    cost: Tensor


class _Walked(NamedTuple):
    """How far a picture came: the vectors of the last level reached, (M, D), what was quantised, and the map made."""

    places: Tensor
    levels: list[Quantised]
    told: Tensor | None


@listed
class VQVAE(nn.Module):
    """Encoders, quantisers and decoders of some levels, the finest first.

    Arguments:
        encoders: of each level, (B, C, H, W) to a smaller map, the finer level's map being what the coarser reads.
        quantisers: of each level.
        decoders: of each level, a map to one of the size of the finer level's, or to the head's features.
        head: features to p(x | codes).

    Example:
        >>> from seisei.nn.heads import GaussianHead
        >>> from seisei.nn.maps import MapDecoder, MapEncoder
        >>> from seisei.nn.quantise import AveragedCodes
        >>> encoder, decoder = MapEncoder([1, 8, 8], 4, 8), MapDecoder([1, 8, 8], 6, 4, 8)
        >>> model = VQVAE([encoder], [AveragedCodes(6, 16)], [decoder], GaussianHead())
        >>> codes = model.encode(torch.zeros(3, 1, 8, 8))
        >>> codes.shape, model.decode(codes).shape
        (torch.Size([3, 4]), torch.Size([3, 1, 8, 8]))
    """

    log_prob_is_bound = by_codes = True

    def __init__(
        self, encoders: list[nn.Module], quantisers: list[nn.Module], decoders: list[nn.Module], head: nn.Module
    ) -> None:
        super().__init__()
        self.encoders, self.decoders, self.head = nn.ModuleList(encoders), nn.ModuleList(decoders), head
        self.quantisers = nn.ModuleList(quantisers)
        told = [0 if above is None else above.outputs for above in (*decoders[1:], None)]
        self.enter = nn.ModuleList(
            nn.Conv2d(encoder.outputs + more, quantiser.dim, 1)  # type: ignore[operator, arg-type]
            for encoder, quantiser, more in zip(encoders, quantisers, told, strict=True)
        )

    @property
    def segments(self) -> list[Segment]:
        """How the codes of a picture are laid out: the coarsest grid first."""
        levels = zip(reversed(self.encoders), reversed(self.quantisers), strict=True)
        return [Segment(*encoder.grid, quantiser.slots, quantiser.codes) for encoder, quantiser in levels]  # type: ignore

    @property
    def length(self) -> int:
        """T, codes a picture."""
        return sum(segment.length for segment in self.segments)

    @property
    def bits(self) -> float:
        """Of a picture's codes, before a prior over codes is learned."""
        return sum(segment.length * math.log2(segment.codes) for segment in self.segments)

    def initialise(self, examples: Batch) -> None:
        """Let the codes of each level start where its vectors lie; of several levels, those are made as large.

        A coarser level lies behind more layers, each of which makes things smaller: left so, its decoder would hardly
        see it, and the finer decoder not what that makes of it, which is made as large too. And of a finer level what
        a linear map tells of it from the coarser is taken away: it starts to say what those leave open.
        """
        with torch.no_grad():
            # What the coarser levels tell a level is known once these have started.
            for level in reversed(range(len(self.encoders))):
                parts = [self._walk(part.visible, down_to=level) for part in examples.split(AT_ONCE)]
                z = torch.cat([part.places for part in parts]).float()
                heard = [part.told.movedim(1, 3).flatten(0, 2) for part in parts if part.told is not None]
                enter: Any = self.enter[level]
                if heard:
                    told = torch.cat(heard).float()
                    slope = least_squares(told - told.mean(0), z - z.mean(0))
                    enter.weight[:, -len(slope) :, 0, 0].sub_(slope.T)
                    z = z - told @ slope
                size = z.var(0, correction=0).mean().sqrt()
                if len(self.encoders) > 1 and size > 1e-4:  # or all vectors are nearly one
                    larger = SPREAD / size
                    enter.bias.sub_(z.mean(0))
                    enter.weight.mul_(larger)
                    enter.bias.mul_(larger)
                    z = (z - z.mean(0)) * larger
                self.quantisers[level].start_from(z)  # type: ignore[operator]
                if level:
                    below = (self._walk(part.visible, level - 1).told for part in examples.split(AT_ONCE))
                    made = torch.cat([told for told in below if told is not None]).float()
                    size = made.var((0, 2, 3), correction=0).mean().sqrt()
                    if size > 1e-4:
                        self.decoders[level].enlarge(SPREAD / float(size))  # type: ignore[operator]

    def code(self, x: Tensor, hard: float = 1.0) -> Coded:
        """Codes of pictures, and what they leave of them.

        Arguments:
            x: (B, C, H, W).
            hard: how near a vector of a coarser level is to that of its code, from 0, itself, to 1.
        """
        found = self._walk(x, hard=hard)
        cost = torch.stack([each.cost.reshape(len(x), -1).mean(1) for each in found.levels]).sum(0)
        codes = [each.codes.reshape(len(x), -1) for each in found.levels]
        return Coded(self.head(found.told), torch.cat(codes, 1), cost)

    def _walk(self, x: Tensor, down_to: int = -1, hard: float = 1.0) -> _Walked:
        """Up through the encoders, and down to a level, which is not quantised any more; by default through all."""
        hidden, maps = 2 * x - 1, []
        for encoder in self.encoders:
            hidden = encoder(hidden)
            maps.append(hidden)
        told: Tensor | None = None
        levels: list[Quantised] = []
        for level in reversed(range(len(maps))):
            z = self.enter[level](maps[level] if told is None else torch.cat([maps[level], told], 1))
            places = z.movedim(1, 3).flatten(0, 2)
            if level == down_to:
                break
            levels.append(self.quantisers[level](places))
            values = levels[-1].values
            if level and hard < 1:
                # The gradient stays that of the code.
                values = values + (1 - hard) * (places - values).detach()
            q = values.to(z.dtype).reshape(len(x), *z.shape[2:], -1).movedim(3, 1)
            told = self.decoders[level](q if told is None else torch.cat([q, told], 1))
        return _Walked(places, levels, told)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes of pictures, (B, T)."""
        return self.code(x).codes

    def known(self, mask: Tensor) -> Tensor:
        """Which codes are those of what was observed, (B, T), of (B, C, H, W).

        A code knows what lies beside its own place too: one next to what is missing was told what is not there.
        """
        hole = (~mask).any(1, keepdim=True).float()
        parts = []
        for segment in self.segments:
            touched = F.adaptive_max_pool2d(hole, (segment.height, segment.width))
            beside = F.max_pool2d(touched, 3, stride=1, padding=1)
            parts.append((beside == 0).flatten(1).repeat_interleave(segment.slots, 1))
        return torch.cat(parts, 1)

    def allowed(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Which codes agree with what was observed, of each segment (B, T, K): one where it is known, else any.

        Arguments:
            x: (B, C, H, W).
            mask: (B, C, H, W).
        """
        # What is missing is as grey as the rest is on average, where the encoder looks at it.
        mean = (x * mask).flatten(2).sum(2) / mask.flatten(2).sum(2).clamp_min(1)
        shown = torch.where(mask, x, mean[:, :, None, None])
        lengths = [segment.length for segment in self.segments]
        every = torch.split(self.encode(shown), lengths, 1), torch.split(self.known(mask), lengths, 1)
        return [
            (codes.unsqueeze(2) == torch.arange(segment.codes, device=x.device)) | ~known.unsqueeze(2)
            for codes, known, segment in zip(*every, self.segments, strict=True)
        ]

    def likelihood(self, codes: Tensor) -> Distribution:
        """p(x | codes)."""
        told: Tensor | None = None
        parts = torch.split(codes, [segment.length for segment in self.segments], 1)
        for level, segment, part in zip(reversed(range(len(parts))), self.segments, parts, strict=True):
            vectors = self.quantisers[level].look_up(part.reshape(-1, segment.slots))  # type: ignore[operator]
            q = vectors.reshape(len(codes), segment.height, segment.width, -1).movedim(3, 1)
            told = self.decoders[level](q if told is None else torch.cat([q, told], 1))
        return self.head(told)  # type: ignore[no-any-return]

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x | codes), (B, C, H, W)."""
        return self.likelihood(codes).mean

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | codes(x)) − T log K, in nats, (B,): a lower bound of log p(x)."""
        coded = self.code(batch.visible)
        return observed(coded.likelihood.log_prob(batch.x), batch.mask) - self.bits * math.log(2)

    def settle(self, total: Total | None) -> None:
        """After an update of the weights; see `Quantiser.settle`."""
        for quantiser in self.quantisers:
            quantiser.settle(total)  # type: ignore[operator]
