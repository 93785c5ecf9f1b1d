"""VQ-VAE and VQ-VAE-2: images as discrete codes, on one level or on several, coarse to fine.

    h_1 = e_1(x),  h_l = e_l(h_{l−1})                                 up, from the finest level to the coarsest
    z_l = W_l [h_l, c_l],  q_l = quantize(z_l),  c_{l−1} = d_l([q_l, c_l])     down, from the coarsest
    p(x | codes) = head(d_1([q_1, c_1]))

Finer codes are chosen given the coarser ones, and encode only what those leave open. One level is the VQ-VAE. The
initialization is linear and fitted to data: e_l is PCA, z_l the principal components of the residual of c_l, d_l a
least-squares fit of h_{l−1}. So each level carries information from the start; with random initialization a coarse
level carries little, the finer levels learn to ignore it, and it gets no gradient afterwards (an unused level). Without
a learned prior a code costs log K nats, so that

    log p(x) ≥ log p(x | codes(x)) − T log K                          T codes an image

References: *Neural Discrete Representation Learning (van den Oord, Vinyals, Kavukcuoglu, 2017)*, arXiv 1711.00937;
    *Generating Diverse High-Fidelity Images with VQ-VAE-2 (Razavi, van den Oord, Vinyals, 2019)*, arXiv 1906.00446.

Shapes: x (B, C, H, W) in [0, 1]; codes (B, T), the coarsest level first, in raster order, the codes of one position
    consecutive.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.batch import Batch, observed
from seisei.nn.densities.pca import least_squares, pca
from seisei.nn.distributions import Distribution
from seisei.nn.quantizers.base import Quantized, Total
from seisei.nn.quantizers.code_layout import Segment
from seisei.nn.spatial_conv import rows_of
from seisei.spec import listed

# Batch sizes of images and of vectors during initialization.
AT_ONCE, VECTORS_AT_ONCE = 256, 1 << 16
# Initial root mean square deviation of each level's vectors.
SPREAD = 0.3
# Lower bound on the quantization error, as a share of the variance: with few vectors each has its own code.
FINEST = 1e-3


class Coded(NamedTuple):
    """Output of the codec for a batch.

    Arguments:
        likelihood: p(x | codes).
        codes: (B, T).
        cost: commitment and codebook loss, (B,), averaged over positions and summed over levels; each level is scaled
            by the ratio of image error to quantization error at initialization.
    """

    likelihood: Distribution
    codes: Tensor
    cost: Tensor


@listed
class VQVAE(nn.Module):
    """Encoders, quantizers and decoders of one or more levels, the finest first.

    Arguments:
        encoders: per level, (B, C, H, W) to a smaller map; each coarser level reads the finer level's map.
        quantizers: per level.
        decoders: per level, a map to the next finer level's size, or to the head's features.
        head: features to p(x | codes).

    Example:
        >>> from seisei.nn.heads import GaussianHead
        >>> from seisei.nn.spatial_conv import MapDecoder, MapEncoder
        >>> from seisei.nn.quantizers.codebooks import EMACodebook
        >>> encoder, decoder = MapEncoder([1, 8, 8], 4, 8), MapDecoder([1, 8, 8], 6, 4, 8)
        >>> model = VQVAE([encoder], [EMACodebook(6, 16)], [decoder], GaussianHead())
        >>> codes = model.encode(torch.zeros(3, 1, 8, 8))
        >>> codes.shape, model.decode(codes).shape
        (torch.Size([3, 4]), torch.Size([3, 1, 8, 8]))
    """

    log_prob_is_bound = by_codes = True
    held: Tensor

    def __init__(
        self, encoders: list[nn.Module], quantizers: list[nn.Module], decoders: list[nn.Module], head: nn.Module
    ) -> None:
        super().__init__()
        self.encoders, self.decoders, self.head = nn.ModuleList(encoders), nn.ModuleList(decoders), head
        self.quantizers = nn.ModuleList(quantizers)
        # Weight of each level's quantization loss, the coarsest first.
        self.register_buffer("held", torch.ones(len(encoders)))
        context = [0 if above is None else above.outputs for above in (*decoders[1:], None)]
        self.enter = nn.ModuleList(
            nn.Conv2d(encoder.outputs + more, quantizer.dim, 1)  # type: ignore[operator, arg-type]
            for encoder, quantizer, more in zip(encoders, quantizers, context, strict=True)
        )

    @property
    def segments(self) -> list[Segment]:
        """Layout of the codes of an image: the coarsest level first."""
        levels = zip(reversed(self.encoders), reversed(self.quantizers), strict=True)
        return [Segment(*encoder.grid, quantizer.slots, quantizer.codes) for encoder, quantizer in levels]  # type: ignore

    @property
    def length(self) -> int:
        """T, codes per image."""
        return sum(segment.length for segment in self.segments)

    @property
    def bits(self) -> float:
        """Bits of an image's codes, without a learned prior."""
        return sum(segment.length * math.log2(segment.codes) for segment in self.segments)

    @torch.no_grad()
    def initialize(self, examples: Batch) -> None:
        """Initialize as the linear codec of some examples, with codebooks from k-means."""
        x = examples.visible.float()
        maps, worths = [2 * x - 1], [x.new_ones(x.shape[1])]
        for encoder in self.encoders:
            worths.append(encoder.start_from(maps[-1], worths[-1]))  # type: ignore[operator]
            maps.append(_in_parts(encoder, maps[-1]))
        context: Tensor | None = None
        apart = []
        for level in reversed(range(len(self.encoders))):
            # Targets: the image for the finest decoder, the finer level's map for the others.
            wanted = maps[level] if level else self.head.aim(x)  # type: ignore[operator]
            self._open(level, maps[level + 1], context, worths[level + 1])
            z = self.enter[level](maps[level + 1] if context is None else torch.cat([maps[level + 1], context], 1))
            quantizer: Any = self.quantizers[level]
            quantizer.start_from(rows_of(z))
            q = torch.cat([quantizer(part).values for part in torch.split(rows_of(z), VECTORS_AT_ONCE)])
            apart.append((rows_of(z) - q).square().mean().clamp_min(FINEST * z.var(correction=0)))
            q = q.reshape(len(x), *z.shape[2:], -1).movedim(3, 1)
            given = q if context is None else torch.cat([q, context], 1)
            self.decoders[level].start_from(given, wanted)  # type: ignore[operator]
            context = _in_parts(self.decoders[level], given)
        error = (self.head(context).mean - x).square().mean()
        self.held.copy_(torch.stack([error / each.clamp_min(1e-12) for each in apart]))

    def _open(self, level: int, h: Tensor, context: Tensor | None, worth: Tensor) -> None:
        """Initialize z of a level to the principal components of its map's residual given the coarser levels."""
        enter: Any = self.enter[level]
        rows = rows_of(h)
        slope, offset = rows.new_zeros(rows.shape[1], 0), rows.new_zeros(rows.shape[1])
        if context is not None:
            slope, offset = least_squares(rows_of(context), rows)
            rows = rows - rows_of(context) @ slope.T - offset
        found = pca(rows * worth)
        count = min(enter.out_channels, len(found.directions))
        into = found.directions[:count] * worth
        if self.quantizers[level].fixed:
            into = into / found.whitening_scales(count)[:, None]
        else:
            into = into * (SPREAD / found.deviations[:count].square().mean().sqrt().clamp_min(1e-6))
        enter.weight.zero_()
        enter.bias.zero_()
        enter.weight[:count, :, 0, 0] = torch.cat([into, -(into @ slope)], 1)
        enter.bias[:count] = -(into @ (offset + found.middle / worth.clamp_min(1e-6)))

    def code(self, x: Tensor) -> Coded:
        """Encode and decode images, (B, C, H, W)."""
        codes, costs, features = self._coded(x, len(self.decoders))
        return Coded(self.head(features), torch.cat(codes, 1), self.held @ torch.stack(costs))

    def _coded(self, x: Tensor, decoders: int) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """Codes and commitment costs by level, the coarsest first, and the output of the last decoder that was run.

        Arguments:
            x: (B, C, H, W).
            decoders: how many are run, the coarsest first; what the finest makes of its codes no other level needs.
        """
        hidden, maps = 2 * x - 1, []
        for encoder in self.encoders:
            hidden = encoder(hidden)
            maps.append(hidden)
        context: Tensor | None = None
        codes, costs = [], []
        for done, level in enumerate(reversed(range(len(maps)))):
            z = self.enter[level](maps[level] if context is None else torch.cat([maps[level], context], 1))
            found: Quantized = self.quantizers[level](rows_of(z), len(x))
            codes.append(found.codes.reshape(len(x), -1))
            costs.append(found.cost.reshape(len(x), -1).mean(1))
            if done < decoders:
                q = found.values.to(z.dtype).reshape(len(x), *z.shape[2:], -1).movedim(3, 1)
                context = self.decoders[level](q if context is None else torch.cat([q, context], 1))
        return codes, costs, context

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes of images, (B, T)."""
        return torch.cat(self._coded(x, len(self.decoders) - 1)[0], 1)

    def known(self, mask: Tensor) -> Tensor:
        """Which codes depend on observed pixels only, (B, T), from masks (B, C, H, W).

        A code's receptive field exceeds its own square: codes next to missing pixels do not count as known.
        """
        hole = (~mask).any(1, keepdim=True).float()
        parts = []
        for segment in self.segments:
            touched = F.adaptive_max_pool2d(hole, (segment.height, segment.width))
            beside = F.max_pool2d(touched, 3, stride=1, padding=1)
            parts.append((beside == 0).flatten(1).repeat_interleave(segment.slots, 1))
        return torch.cat(parts, 1)

    def allowed(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Which codes agree with the observed pixels, (B, T, K) per segment: the encoded one where known, else any.

        Arguments:
            x: (B, C, H, W).
            mask: (B, C, H, W).
        """
        # The encoder sees missing pixels as the mean of the observed ones.
        mean = (x * mask).flatten(2).sum(2) / mask.flatten(2).sum(2).clamp_min(1)
        filled = torch.where(mask, x, mean[:, :, None, None])
        lengths = [segment.length for segment in self.segments]
        every = torch.split(self.encode(filled), lengths, 1), torch.split(self.known(mask), lengths, 1)
        return [
            (codes.unsqueeze(2) == torch.arange(segment.codes, device=x.device)) | ~known.unsqueeze(2)
            for codes, known, segment in zip(*every, self.segments, strict=True)
        ]

    def likelihood(self, codes: Tensor) -> Distribution:
        """p(x | codes)."""
        context: Tensor | None = None
        parts = torch.split(codes, [segment.length for segment in self.segments], 1)
        for level, segment, part in zip(reversed(range(len(parts))), self.segments, parts, strict=True):
            vectors = self.quantizers[level].look_up(part.reshape(-1, segment.slots))  # type: ignore[operator]
            q = vectors.reshape(len(codes), segment.height, segment.width, -1).movedim(3, 1)
            context = self.decoders[level](q if context is None else torch.cat([q, context], 1))
        return self.head(context)  # type: ignore[no-any-return]

    def decode(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x | codes), (B, C, H, W)."""
        return self.likelihood(codes).mean

    @torch.no_grad()
    def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
        """log p(x | codes(x)) − T log K, in nats, (B,): a lower bound of log p(x)."""
        coded = self.code(batch.visible)
        return observed(coded.likelihood.log_prob(batch.x), batch.mask) - self.bits * math.log(2)

    def settle(self, total: Total | None) -> None:
        """Update the quantizers after an optimizer step; see `Quantizer.settle`."""
        for quantizer in self.quantizers:
            quantizer.settle(total)  # type: ignore[operator]


def _in_parts(layers: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([layers(part) for part in torch.split(x, AT_ONCE)])
