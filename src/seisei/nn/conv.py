"""Residual convolutional encoder and decoder for images of any size from 8×8 to 256×256.

The image is cut into patches of a few pixels, each a feature vector (pixel unshuffle); maps are then downsampled by
strided convolutions, channels doubling, until both sides are at most 7. The decoder mirrors the list of sizes, so that
odd sizes come out right, and ends in patches again: full-resolution convolutions would cost most and add least. There
is no normalization: the second convolution of a block is zero-initialized, which keeps a deep stack trainable, and
nothing depends on the other examples of a batch (*Fixup Initialization: Residual Learning Without Normalization (Zhang,
Dauphin, Ma, 2019)*, arXiv 1901.09321).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.mlp import Classes, Condition, Outputs, Shape
from seisei.spec import Range, listed

Width = Annotated[int, Range(ge=4, le=1024)]
Depth = Annotated[int, Range(ge=0, le=32)]
Hidden = Annotated[int, Range(ge=0, le=8192)]
Patch = Annotated[int, Range(ge=1, le=16)]
Detail = Annotated[int, Range(ge=0, le=256)]


def sizes_of(height: int, width: int, patch: int = 2, smallest: int = 7) -> list[tuple[int, int]]:
    """Sizes of the feature maps: one feature per patch, then halved until both sides are at most `smallest`.

    Example:
        >>> sizes_of(28, 28), sizes_of(28, 28, patch=4), sizes_of(8, 8)
        ([(14, 14), (7, 7)], [(7, 7)], [(4, 4)])
    """
    sizes = [(-(-height // patch), -(-width // patch))]
    while max(sizes[-1]) > smallest:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def widths_of(width: int, count: int, widest: int = 8) -> list[int]:
    """Channels at each size: doubled with each downsampling, up to `widest` times the first."""
    return [width * min(2**i, widest) for i in range(count)]


def zero_init(layer: nn.Conv2d) -> nn.Conv2d:
    """Zero-initialize a layer."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def icnr(layer: nn.Conv2d, patch: int) -> None:
    """ICNR initialization: the pixels of each patch get the same weights, those of the first.

    Example:
        >>> layer = nn.Conv2d(2, 3 * 4, 3)
        >>> icnr(layer, 2)
        >>> squares = F.pixel_shuffle(layer(torch.randn(1, 2, 6, 6)), 2).unfold(2, 2, 2).unfold(3, 2, 2)
        >>> bool((squares == squares[..., :1, :1]).all())
        True
    """
    assert layer.bias is not None
    for values in (layer.weight, layer.bias):
        values.copy_(values[:: patch**2].repeat_interleave(patch**2, 0))


def box_filter(x: Tensor, side: int) -> Tensor:
    """Each pixel becomes the mean of the square of this side around it; pixels at the border are repeated outwards.

    Example:
        >>> stripes = torch.arange(8.0).remainder(2).expand(1, 1, 8, 8)
        >>> box_filter(stripes, 2)[..., 1:].unique().tolist()
        [0.5]
    """
    before, after = side // 2, side - 1 - side // 2
    return F.avg_pool2d(F.pad(x, (before, after, before, after), mode="replicate"), side, 1)


class ResidualBlock(nn.Module):
    """x + W₂ φ(W₁ φ(x)) with 3×3 convolutions; W₂ is zero-initialized, so that the block starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.second(F.silu(self.first(F.silu(x))))  # type: ignore[no-any-return]


@listed
class ConvEncoder(nn.Module):
    """(B, C, H, W) to (B, outputs).

    Arguments:
        shape: (C, H, W) of the image.
        outputs: output width.
        width: channels of the first feature map.
        depth: residual blocks at each size.
        hidden: width of the layer between the last map and the outputs; 0 for none.
        patch: side of the square of pixels that becomes a feature of the first map.
        classes: classes of the condition; 0 for none.
    """

    def __init__(
        self,
        shape: Shape,
        outputs: Outputs,
        width: Width = 32,
        depth: Depth = 1,
        hidden: Hidden = 256,
        patch: Patch = 2,
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        channels, height, wide = shape
        sizes = sizes_of(height, wide, patch)
        widths = widths_of(width, len(sizes))
        self.classes, self.patch = classes, patch
        self.margin = (0, -wide % patch, 0, -height % patch)
        self.condition = Condition(classes, width) if classes else None
        self.stem = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        stages: list[nn.Module] = []
        for i, now in enumerate(widths):
            if i:
                stages += [nn.SiLU(), nn.Conv2d(widths[i - 1], now, 3, stride=2, padding=1)]
            stages += [ResidualBlock(now) for _ in range(depth)]
        self.stages = nn.Sequential(*stages)
        features = widths[-1] * sizes[-1][0] * sizes[-1][1]
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.SiLU()) if hidden else nn.Identity()
        self.out = nn.Linear(hidden or features, outputs)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x, conditioned on y."""
        return self.out(self.before(x, y))  # type: ignore[no-any-return]

    def before(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Input of the last layer."""
        hidden = self.stem(F.pixel_unshuffle(F.pad(2 * x - 1, self.margin), self.patch))
        if self.condition is not None:
            hidden = hidden + self.condition(y)[:, :, None, None]
        return self.hidden(F.silu(self.stages(hidden)).flatten(1))  # type: ignore[no-any-return]


@listed
class ConvDecoder(nn.Module):
    """(B, latent) to (B, C, H, W).

    Arguments:
        shape: (C, H, W) of the output; C includes the head's parameters.
        latent: size of z.
        width: channels of the last feature map.
        depth: residual blocks at each size.
        hidden: width of the layer between z and the first map; 0 for none.
        patch: side of the square of pixels that a feature of the last map expands to.
        classes: classes of the condition; 0 for none.
        detail: channels of a further full-resolution map; 0 for none. In a patch each pixel has its own weights, which
            shows as a grid where no average over images hides it.
        enlarging: upsampling: nearest neighbor, or bilinear, which adds no edges.
        even: ICNR initialization: the pixels of a patch start with equal weights. Random ones cause checkerboard
            artifacts in every image, which take long to unlearn (*Checkerboard artifact free sub-pixel convolution
            (Aitken et al., 2017)*).
        smooth: average the output over squares as large as a patch, which removes every pattern that repeats from
            patch to patch (*Super-Resolution using Convolutional Neural Networks without Any Checkerboard Artifacts
            (Sugawara, Shiota, Kiya, 2018)*). Details finer than a patch are lost.
    """

    def __init__(
        self,
        shape: Shape,
        latent: Outputs,
        width: Width = 32,
        depth: Depth = 1,
        hidden: Hidden = 256,
        patch: Patch = 2,
        classes: Classes = 0,
        detail: Detail = 0,
        enlarging: Literal["nearest", "bilinear"] = "nearest",
        even: bool = False,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        channels, self.height, self.wide = shape
        self.smooth = smooth
        self.sizes = sizes_of(self.height, self.wide, patch)[::-1]
        widths = widths_of(width, len(self.sizes))[::-1]
        self.classes, self.patch, self.enlarging = classes, patch, enlarging
        self.condition = Condition(classes, latent) if classes else None
        self.first = (widths[0], *self.sizes[0])
        inputs = latent * (2 if classes else 1)
        self.hidden = nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU()) if hidden else nn.Identity()
        self.enter = nn.Linear(hidden or inputs, widths[0] * self.sizes[0][0] * self.sizes[0][1])
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.stages = nn.ModuleList(nn.Sequential(*[ResidualBlock(w) for _ in range(depth)]) for w in widths)
        self.out = nn.Conv2d(widths[-1], (detail or channels) * patch**2, 3, padding=1)
        if even:
            icnr(self.out, patch)
        self.fine = nn.Sequential(nn.SiLU(), nn.Conv2d(detail, detail, 3, padding=1), nn.SiLU()) if detail else None
        self.last = nn.Conv2d(detail, channels, 3, padding=1) if detail else None

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The features of x decoded from z, conditioned on y."""
        if self.condition is not None:
            z = torch.cat([z, self.condition(y)], -1)
        hidden = self.stages[0](self.enter(self.hidden(z)).unflatten(1, self.first))
        for narrow, stage, size in zip(self.narrow, self.stages[1:], self.sizes[1:], strict=True):
            hidden = stage(F.interpolate(narrow(hidden), size=size, mode=self.enlarging))
        image = F.pixel_shuffle(self.out(F.silu(hidden)), self.patch)
        if self.smooth:
            image = box_filter(image, self.patch)
        image = image[..., : self.height, : self.wide]
        if self.fine is None or self.last is None:
            return image
        return self.last(self.fine(image))  # type: ignore[no-any-return]
