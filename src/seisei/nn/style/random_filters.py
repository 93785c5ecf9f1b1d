"""Random convolution filters on an image pyramid: style features that need no training.

    x_0 = x,   x_{l+1} = ↓2 (B * x_l),   f_l = max(0, W * x_l) ‖ κ (x_l − ½),   l = 0 … L − 1

W are Gaussian random filters, with zero mean per color and unit norm, the same at every scale; B is a binomial blur.
Gram matrices of such one-layer features describe textures as well as those of networks trained on ImageNet; what
matters is that filters cover several scales. In flat areas filters respond with 0 whatever the color: so the colors are
further channels, and Gram matrices tell which edges go with which color.

The interface is that of `seisei.nn.style.feature_extractor`.

Reference: *Texture Synthesis Using Shallow Convolutional Networks with Random Filters (Ustyuzhaninov, Brendel, Gatys,
    Bethge, 2016)*, arXiv 1606.00021, with filters of eight sizes instead of the image in several.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.nn.style.color_transfer import with_channels
from seisei.nn.style.feature_extractor import Levels, padded
from seisei.spec import Range, listed

Count = Annotated[int, Range(ge=1, le=4096)]
Reach = Annotated[int, Range(ge=1, le=15)]
# Weights of four neighboring pixels in the downsampled one.
BLUR = (1.0, 3.0, 3.0, 1.0)
# κ: with 1 colors outweigh edges, with 0 a green painting may come out gray.
COLOR = 0.3


@listed
class RandomFilters(nn.Module):
    """Feature maps of an image at L scales, each half of the one before; not trained.

    Arguments:
        count: number of filters.
        reach: radius of a filter in pixels: 3 for 7×7.
        depth: L.

    Example:
        >>> features = RandomFilters(count=8, depth=3)
        >>> [tuple(found.shape) for found in features(torch.rand(1, 3, 30, 20))], features.strides
        ([(1, 11, 32, 20), (1, 11, 16, 10), (1, 11, 8, 5)], [1, 2, 4])
        >>> bool(max(found[:, :8].abs().max() for found in features(torch.full((1, 1, 16, 16), 0.7))) < 1e-5)
        True
    """

    weight: Tensor
    blur: Tensor

    def __init__(self, count: Count = 64, reach: Reach = 3, depth: Levels = 5) -> None:
        super().__init__()
        self.channels, self.reach, side = 3, reach, 2 * reach + 1
        self.outputs, self.strides = [count + self.channels] * depth, [2**level for level in range(depth)]
        filters = torch.randn(count, self.channels, side, side, generator=seeds.generator("filters", count, side))
        filters = filters - filters.mean((2, 3), keepdim=True)
        # Saved with the model, whatever a later torch generator would return.
        self.register_buffer("weight", filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        row = torch.tensor(BLUR) / sum(BLUR)
        blur = torch.outer(row, row).expand(self.channels, 1, -1, -1).clone()
        self.register_buffer("blur", blur, persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of images of any size, (B, 1 or 3, H, W) in [0, 1]; gray is repeated for all three colors."""
        x = padded(with_channels(x, self.channels), self.strides[-1])
        maps: list[Tensor] = []
        while True:
            seen = F.relu(F.conv2d(bordered(x, self.reach), self.weight))
            maps.append(torch.cat([seen, COLOR * (x - 0.5).to(seen)], 1))
            if len(maps) == len(self.outputs):
                return maps
            x = F.conv2d(bordered(x, len(BLUR) // 2 - 1), self.blur, stride=2, groups=self.channels)


def bordered(x: Tensor, width: int) -> Tensor:
    """Pad an image on all sides by reflection, or by its edge if it is too small to reflect.

    Example:
        >>> bordered(torch.arange(3.0).view(1, 1, 1, 3).expand(-1, -1, 3, -1), 1)[0, 0, 0].tolist()
        [1.0, 0.0, 1.0, 2.0, 1.0]
    """
    return F.pad(x, (width, width, width, width), mode="reflect" if min(x.shape[2:]) > width else "replicate")
