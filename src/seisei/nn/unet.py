"""U-Nets: from an image to an image of the same size, any size.

The image is halved `depth` times by convolutions of 4×4, channels doubling, and enlarged again; each map on the way
back stands beside the one of its size on the way down, so that what is where it was need not pass through the middle:

    e₀ = S(x),   e_i = D_i(e_{i−1}),   d_n = R(e_n),   d_{i−1} = U_i(d_i ‖ noise, …) ‖ e_{i−1},   out = O(d₀)

Without `detail` there is no map at full size, as in the paper: U₁ ends in what comes out. A residual generator is the
same with few halvings, many blocks R in the middle and without what stands beside (*Perceptual Losses for Real-Time
Style Transfer and Super-Resolution (Johnson, Alahi, Fei-Fei, 2016)*).

Maps are normalized at each place by itself, over channels, where nothing else is asked for: what comes out at a place
then depends on what lies around it and on nothing farther off, so that a large image can be made of tiles.

References: *U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger, Fischer, Brox, 2015)*;
    *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import Depth, Detail, ResidualBlock, Width, widths_of
from seisei.nn.mlp import Outputs
from seisei.spec import Range, listed

Halvings = Annotated[int, Range(ge=1, le=10)]
Share = Annotated[float, Range(ge=0, lt=1)]
Noise = Annotated[int, Range(ge=0, le=1024)]
SLOPE = 0.2
# Of the maps on the way back the smallest so many lose channels at random, where any do.
DROPPED = 3
# Places of maps, of all images together, up to which enlarging is a product and a sum.
FEW = 256


class PixelNorm(nn.Module):
    """g h / √(mean_c h² + ε): every place of a map on its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        size = torch.rsqrt(hidden.square().mean(1, keepdim=True) + 1e-6)
        return hidden * size * self.weight[:, None, None]


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "image":
        return nn.InstanceNorm2d(channels, affine=True)
    return PixelNorm(channels) if kind == "place" else nn.Identity()


class Upsample(nn.ConvTranspose2d):
    """A transposed convolution of 4×4 to twice the size, that starts as bilinear enlarging and a mixture of channels.

    Random weights differ at the four places that a value becomes, and weave a pattern into every even area, which is
    long to unlearn (*Checkerboard artifact free sub-pixel convolution (Aitken et al., 2017)*).

    Example:
        >>> made = Upsample(2, 1)(torch.ones(1, 2, 4, 4))[0, 0, 1:-1, 1:-1]
        >>> bool((made - made.mean()).abs().max() < 1e-6)
        True
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, 2, 1)
        slopes = torch.tensor([0.25, 0.75, 0.75, 0.25])
        # As large as they would be: each place is made of 2×2 values.
        mixture = torch.randn(inputs, outputs) * (2 / inputs) ** 0.5
        with torch.no_grad():
            self.weight.copy_(mixture[:, :, None, None] * torch.outer(slopes, slopes))

    def forward(self, hidden: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""
        batch, channels, height, width = hidden.shape
        if hidden.is_cuda or batch * height * width > FEW:
            return super().forward(hidden, output_size)
        # Of small maps the weights are most of what is read, and a CPU's own way reads them several times over.
        columns = self.weight.flatten(1).T @ hidden.flatten(2)
        assert self.bias is not None
        made = F.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)
        return made + self.bias[:, None, None].to(made)


def extended(image: Tensor, stride: int) -> Tensor:
    """An image, (B, C, H, W), made larger below and on the right to multiples of the stride: mirrored, or its edge
    repeated where there is not enough to mirror.

    Example:
        >>> extended(torch.arange(3.0).view(1, 1, 1, 3), 4)[0, 0].tolist()
        [[0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 2.0, 2.0]]
    """
    height, width = image.shape[2:]
    below, right = -height % stride, -width % stride
    if not (below or right):
        return image
    mirrored = below < height and right < width
    return F.pad(image, (0, right, 0, below), mode="reflect" if mirrored else "replicate")


@listed
class UNet(nn.Module):
    """(B, inputs, H, W) to (B, outputs, H, W).

    Arguments:
        inputs: channels of what is read. outputs: channels of what comes out. width: channels of the first halved
        map; they double with each halving, at most to eight times as many. depth: halvings. blocks: residual blocks
        in the middle. detail: channels of the maps at full size; 0 for none. skips: whether maps on the way back
        stand beside those of the way down. normalize: place: over the channels of each place; image: each channel
        over the image; or none. enlarging: transposed convolutions of 4×4, which begin smooth, or each value four
        times and a convolution of 3×3. latent: random numbers that enter in the middle. dropout: share of the channels
        of the smallest maps on the way back that are left out, at random; also when used.

    Example:
        >>> net = UNet(1, 3, width=8, depth=2)
        >>> net(torch.zeros(2, 1, 13, 19)).shape, net.stride
        (torch.Size([2, 3, 13, 19]), 4)
    """

    def __init__(
        self,
        inputs: Outputs,
        outputs: Outputs,
        width: Width = 64,
        depth: Halvings = 3,
        blocks: Depth = 0,
        detail: Detail = 0,
        skips: bool = True,
        normalize: Literal["place", "image", "none"] = "place",
        enlarging: Literal["transposed", "nearest"] = "transposed",
        latent: Noise = 0,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.stride, self.skips, self.latent, self.dropout = 2**depth, skips, latent, dropout
        self.enlarging = enlarging
        widths = widths_of(width, depth)
        self.stem = nn.Conv2d(inputs, detail, 3, padding=1) if detail else None
        before = [detail or inputs, *widths[:-1]]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(before, widths, strict=True))
        # Neither the first map nor the smallest is normalized: that may be a single place.
        self.norms_down = nn.ModuleList(
            _norm(normalize if 0 < i < depth - 1 else "none", channels) for i, channels in enumerate(widths)
        )
        self.middle = nn.Sequential(*[ResidualBlock(widths[-1]) for _ in range(blocks)])
        after = [detail or outputs, *widths[:-1]]
        enters = [channels * (2 if skips and i + 1 < depth else 1) for i, channels in enumerate(widths)]
        enters[-1] += latent
        self.up = nn.ModuleList(self._enlarger(a, b) for a, b in zip(enters, after, strict=True))
        self.norms_up = nn.ModuleList(
            _norm(normalize if i or detail else "none", channels) for i, channels in enumerate(after)
        )
        self.out = nn.Conv2d(detail * (2 if skips else 1), outputs, 3, padding=1) if detail else None
        self.dropped = after[max(1, depth - DROPPED) :] if dropout else []

    def _enlarger(self, inputs: int, outputs: int) -> nn.Module:
        if self.enlarging == "transposed":
            return Upsample(inputs, outputs)
        return nn.Conv2d(inputs, outputs, 3, padding=1)

    @property
    def noise(self) -> int:
        """How many random numbers an image is made with."""
        return self.latent + sum(self.dropped)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """What it makes of x, with normal noise, (B, noise), where it takes any."""
        height, width = x.shape[2:]
        hidden = extended(2 * x - 1, self.stride)
        beside: list[Tensor] = []
        if self.stem is not None:
            hidden = self.stem(hidden)
            beside.append(hidden)
            hidden = F.leaky_relu(hidden, SLOPE)
        for i, (down, norm) in enumerate(zip(self.down, self.norms_down, strict=True)):
            hidden = norm(down(F.leaky_relu(hidden, SLOPE) if i else hidden))
            beside.append(hidden)
        hidden = self.middle(beside.pop())
        if self.latent:
            assert noise is not None
            hidden = torch.cat(
                [hidden, noise[:, : self.latent, None, None].to(hidden).expand(-1, -1, *hidden.shape[2:])], 1
            )
        kept = self._kept(noise)
        for i in reversed(range(len(self.up))):
            hidden = self._larger(self.up[i], F.relu(hidden))
            hidden = self.norms_up[i](hidden)
            if i in kept:
                hidden = hidden * kept[i].to(hidden)
            if self.skips and beside:
                hidden = torch.cat([hidden, beside.pop()], 1)
        if self.out is not None:
            hidden = self.out(F.relu(hidden))
        return hidden[..., :height, :width]

    def _larger(self, up: nn.Module, hidden: Tensor) -> Tensor:
        if self.enlarging == "nearest":
            hidden = F.interpolate(hidden, scale_factor=2, mode="nearest")
        return up(hidden)  # type: ignore[no-any-return]

    def _kept(self, noise: Tensor | None) -> dict[int, Tensor]:
        """What the channels of maps on the way back are multiplied with: 0 for those left out, of the same mean."""
        if not self.dropped:
            return {}
        assert noise is not None
        least = torch.special.ndtri(torch.tensor(self.dropout, dtype=torch.float64)).to(noise)
        masks = (noise[:, self.latent :] >= least).to(noise.dtype) / (1 - self.dropout)
        first = max(1, len(self.up) - DROPPED)
        parts = masks.split(self.dropped, 1)
        return {first + i: part[:, :, None, None] for i, part in enumerate(parts)}
