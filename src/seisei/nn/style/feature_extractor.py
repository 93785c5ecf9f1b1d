"""What a trained network sees in an image at several depths: the features that styles are told by.

The first convolutional encoder inside the network is taken, a codec's (`seisei.nn.spatial_conv.MapEncoder`) or a
classifier's, an autoencoder's, a VAE's (`seisei.nn.conv.ConvEncoder`), and read before each halving: fine maps for
texture, coarse ones for form. Nothing of them depends on the size of the images that the network was trained on.

    features(x) → [f_1(x), …, f_L(x)],  f_l of x (B, C, H, W) being (B, outputs_l, ⌈H/strides_l⌉, ⌈W/strides_l⌉)

That is the contract of every network of features, with `outputs`, `strides` and `channels`; H and W are first filled
up by reflection to a multiple of the last stride, twice it at least, and maps are as large as that makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.conv import ConvEncoder
from seisei.nn.spatial_conv import MapEncoder
from seisei.nn.style.color_transfer import with_channels
from seisei.spec import Range, listed

Levels = Annotated[int, Range(ge=1, le=8)]
# What an image is of is read where a value stands for at most so many pixels each way.
FORM = 8
# How far images are moved for features that do not see each pixel alike; their sides are longer than that.
REACH = 3


def encoder_of(network: nn.Module) -> ConvEncoder | MapEncoder | None:
    """The first convolutional encoder in a network; None where it has none."""
    return next((part for part in network.modules() if isinstance(part, (ConvEncoder, MapEncoder))), None)


def padded(x: Tensor, stride: int) -> Tensor:
    """The image filled up below and to the right to a multiple of the stride, twice it at least, by reflection.

    One that is too small to be reflected so far has its border repeated instead.

    Example:
        >>> x = torch.arange(5.0).view(1, 1, 1, 5).expand(-1, -1, 5, -1)
        >>> padded(x, 2)[0, 0, 0].tolist(), padded(x, 2).shape
        ([0.0, 1.0, 2.0, 3.0, 4.0, 3.0], torch.Size([1, 1, 6, 6]))
    """
    height, width = x.shape[2:]
    down, right = (max(2 * stride, -(-side // stride) * stride) - side for side in (height, width))
    if not down and not right:
        return x
    # What is smaller than what is added to it has no reflection that long.
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, down), mode=mode)


def cut(x: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Each image without its border of `REACH` rows and columns, some of it above and left, the rest below and right.

    Features that begin as patches of pixels see the same image otherwise from each place, and what only looks right
    from one of them, a pattern as wide as a patch, does not from the others.

    Arguments:
        x: (B, C, H, W).
        places: rows and columns that are left out above and left of each image, 0 to `REACH`.

    Returns:
        (B, C, H − REACH, W − REACH).

    Example:
        >>> cut(torch.arange(25.0).view(1, 1, 5, 5), [(1, 2)])[0, 0].tolist()
        [[7.0, 8.0], [12.0, 13.0]]
    """
    height, width = x.shape[2] - REACH, x.shape[3] - REACH
    return torch.stack(
        [one[:, down : down + height, right : right + width] for one, (down, right) in zip(x, places, strict=True)]
    )


def form_level(strides: Sequence[int]) -> int:
    """The number of the map that says what an image is of: the last that is not too coarse.

    Example:
        >>> form_level([1, 2, 4, 8, 16]), form_level([2, 4]), form_level([16])
        (3, 1, 0)
    """
    return max([i for i, stride in enumerate(strides) if stride <= FORM], default=0)


@listed
class StageFeatures(nn.Module):
    """The maps of a trained network's encoder; it does not learn.

    Arguments:
        network: has a convolutional encoder somewhere.
        depth: maps at most, the finest first.

    Example:
        >>> codec = MapEncoder([3, 16, 16], factor=8, width=4)
        >>> features = StageFeatures(codec)
        >>> [tuple(found.shape) for found in features(torch.zeros(1, 3, 30, 20))], features.strides
        ([(1, 4, 16, 12), (1, 8, 8, 6), (1, 16, 4, 3)], [2, 4, 8])
    """

    def __init__(self, network: nn.Module, depth: Levels = 3) -> None:
        super().__init__()
        # Its own path is that of a whole model, so that weights of a run fit it name by name.
        self.network = network.requires_grad_(False)
        encoder = self._encoder
        halvings = [layer for layer in encoder.stages if isinstance(layer, nn.Conv2d)][: depth - 1]
        self.channels = encoder.stem.in_channels // encoder.patch**2
        self.outputs = [encoder.stem.out_channels, *(layer.out_channels for layer in halvings)]
        self.strides = [encoder.patch * 2**level for level in range(len(self.outputs))]

    @property
    def _encoder(self) -> ConvEncoder | MapEncoder:
        encoder = encoder_of(self.network)
        assert encoder is not None, "a network without a convolutional encoder"
        return encoder

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of images of any size, (B, 1 or 3, H, W) in [0, 1]."""
        encoder = self._encoder
        x = padded(with_channels(x, self.channels), self.strides[-1])
        hidden = encoder.stem(F.pixel_unshuffle(2 * x - 1, encoder.patch))
        maps: list[Tensor] = []
        for layer in encoder.stages:
            if isinstance(layer, nn.SiLU):
                maps.append(F.silu(hidden))
                if len(maps) == len(self.outputs):
                    return maps
            hidden = layer(hidden)
        return [*maps, F.silu(hidden)]
