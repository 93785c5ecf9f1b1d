"""VGG-19 up to relu5_1: the standard features of style transfer.

Sixteen 3×3 convolutions, each followed by ReLU, with 2×2 max pooling four times on the way:

    3 → 64, 64 │ 128, 128 │ 256, 256, 256, 256 │ 512, 512, 512, 512 │ 512 …
        relu1_1  relu2_1    relu3_1              relu4_1              relu5_1

Parameter names are those of torchvision's `vgg19` (`features.0.weight` …); images are normalized as its weights expect.
No weights are included or downloaded: name a file that has them. The interface is that of
`seisei.nn.style.feature_extractor`.

References: *Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan, Zisserman, 2014)*, arXiv
    1409.1556; as features of style: *A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015)*.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from seisei.nn.style.color_transfer import with_channels
from seisei.nn.style.feature_extractor import padded
from seisei.spec import Range, listed

Depth = Annotated[int, Range(ge=1, le=5)]
# Channels and convolutions at each scale. The last scale also has four, of which only the first is used.
SIZES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))
# ImageNet statistics of red, green and blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@listed
class VGG(nn.Module):
    """The first map of each scale, relu1_1 to relu5_1, frozen.

    Arguments:
        depth: number of maps, the finest first.

    Example:
        >>> features = VGG(depth=3)
        >>> [tuple(found.shape) for found in features(torch.zeros(1, 1, 10, 8))]
        [(1, 64, 12, 8), (1, 128, 6, 4), (1, 256, 3, 2)]
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, depth: Depth = 4) -> None:
        super().__init__()
        self.channels, self.outputs, self.strides = 3, [size for size, _ in SIZES[:depth]], [1, 2, 4, 8, 16][:depth]
        layers: list[nn.Module] = []
        inputs = self.channels
        for level, (width, count) in enumerate(SIZES[:depth]):
            if level:
                layers.append(nn.MaxPool2d(2))
            for _ in range(1 if level == depth - 1 else count):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
        self.features = nn.Sequential(*layers).requires_grad_(False)
        # Constants, and so not saved.
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of images of any size, (B, 1 or 3, H, W) in [0, 1]; gray is repeated for all three colors."""
        x = (padded(with_channels(x, self.channels), self.strides[-1]) - self.mean) / self.deviation
        maps: list[Tensor] = []
        fresh = True
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                fresh = True
            elif isinstance(layer, nn.ReLU) and fresh:
                maps.append(x)
                fresh = False
        return maps
