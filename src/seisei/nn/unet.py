"""U-Net: fully convolutional, from an image to an image of the same size, for any size.

The image is downsampled `depth` times by 4×4 convolutions with channels doubling, and upsampled again; each map on the
way up is concatenated with the one of its size on the way down (skip connections):

    e₀ = S(x),   e_i = D_i(e_{i−1}),   d_n = R(e_n),   d_{i−1} = U_i(d_i ‖ noise, …) ‖ e_{i−1},   out = O(d₀)

Without `detail` there is no full-resolution map, as in the paper: U₁ gives the output. A residual generator is the same
with few downsamplings, many blocks R in the middle and no skip connections (*Perceptual Losses for Real-Time Style
Transfer and Super-Resolution (Johnson, Alahi, Fei-Fei, 2016)*).

The default is PixelNorm, over the channels of each position: the output at a position then depends on its receptive
field only, so that large images can be tiled. Instance norm depends on the whole image.

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
# Number of upsampled maps with dropout, the smallest ones.
DROPPED = 3
# Positions, over the whole batch, up to which a transposed convolution is computed as a matrix product and fold.
FEW = 256


class PixelNorm(nn.Module):
    """g h / √(mean_c h² + ε): normalizes each position over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        size = torch.rsqrt(hidden.square().mean(1, keepdim=True) + 1e-6)
        return hidden * size * self.weight[:, None, None]


def _norm(norm: str, channels: int) -> nn.Module:
    if norm == "image":
        return nn.InstanceNorm2d(channels, affine=True)
    return PixelNorm(channels) if norm == "place" else nn.Identity()


class Upsample(nn.ConvTranspose2d):
    """A 4×4 transposed convolution with stride 2, initialized to bilinear upsampling with random channel mixing.

    Random weights differ between the four output pixels of a value and cause checkerboard artifacts, which take long to
    unlearn (*Checkerboard artifact free sub-pixel convolution (Aitken et al., 2017)*).

    Example:
        >>> made = Upsample(2, 1)(torch.ones(1, 2, 4, 4))[0, 0, 1:-1, 1:-1]
        >>> bool((made - made.mean()).abs().max() < 1e-6)
        True
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, 2, 1)
        slopes = torch.tensor([0.25, 0.75, 0.75, 0.25])
        # Same scale as the default: each output is a sum over 2×2 inputs.
        mixture = torch.randn(inputs, outputs) * (2 / inputs) ** 0.5
        with torch.no_grad():
            self.weight.copy_(mixture[:, :, None, None] * torch.outer(slopes, slopes))

    def forward(self, hidden: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""
        batch, channels, height, width = hidden.shape
        if hidden.is_cuda or batch * height * width > FEW:
            return super().forward(hidden, output_size)
        # For small maps reading the weights dominates, and PyTorch's CPU kernel reads them several times.
        columns = self.weight.flatten(1).T @ hidden.flatten(2)
        assert self.bias is not None
        made = F.fold(columns, (2 * height, 2 * width), 4, padding=1, stride=2)
        return made + self.bias[:, None, None].to(made)


def pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """Pad an image, (B, C, H, W), below and on the right to multiples of the stride.

    By reflection, or by the edge if the image is too small to reflect.

    Example:
        >>> pad_to_stride(torch.arange(3.0).view(1, 1, 1, 3), 4)[0, 0].tolist()
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
        inputs: input channels.
        outputs: output channels.
        width: channels of the first downsampled map; they double with each downsampling, up to eight times as many.
        depth: number of downsamplings.
        blocks: residual blocks in the middle.
        detail: channels of the full-resolution maps; 0 for none.
        skips: whether to use skip connections.
        normalize: place: PixelNorm, over the channels of each position; image: instance norm; or none.
        enlarging: upsampling by 4×4 transposed convolutions, initialized smooth, or by nearest neighbor and a 3×3
            convolution.
        latent: size of a latent that enters in the middle.
        dropout: channel dropout rate of the smallest upsampled maps; also active at inference.

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
        # No norm on the first map, nor on the smallest, which may be a single position.
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
        """Number of random values an output takes."""
        return self.latent + sum(self.dropped)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The output for x, with normal noise, (B, noise), if the network takes any."""
        height, width = x.shape[2:]
        hidden = pad_to_stride(2 * x - 1, self.stride)
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
        """Channel dropout masks of the upsampled maps, scaled to keep the mean."""
        if not self.dropped:
            return {}
        assert noise is not None
        least = torch.special.ndtri(torch.tensor(self.dropout, dtype=torch.float64)).to(noise)
        masks = (noise[:, self.latent :] >= least).to(noise.dtype) / (1 - self.dropout)
        first = max(1, len(self.up) - DROPPED)
        parts = masks.split(self.dropped, 1)
        return {first + i: part[:, :, None, None] for i, part in enumerate(parts)}
