"""Features for style and content losses, from the encoder of a trained network.

Uses the first convolutional encoder inside the network: of a codec (`seisei.nn.spatial_conv.MapEncoder`), or of a
classifier, autoencoder or VAE (`seisei.nn.conv.ConvEncoder`). Its maps are taken before each downsampling: fine ones
for texture, coarse ones for content. None depends on the image size the network was trained on.

    features(x) → [f_1(x), …, f_L(x)],  f_l of x (B, C, H, W) being (B, outputs_l, ⌈H/strides_l⌉, ⌈W/strides_l⌉)

This is the interface of every feature extractor, with `outputs`, `strides` and `channels`; H and W are first padded by
reflection to a multiple of the last stride, at least twice it, and map sizes follow from the padded size.
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
# Largest stride of the content layer.
FORM = 8
# Range of the random shifts for features that are not shift-invariant; images must be larger than this.
REACH = 3


def encoder_of(network: nn.Module) -> ConvEncoder | MapEncoder | None:
    """The first convolutional encoder in a network, or None."""
    return next((part for part in network.modules() if isinstance(part, (ConvEncoder, MapEncoder))), None)


def padded(x: Tensor, stride: int) -> Tensor:
    """Pad an image below and to the right by reflection to a multiple of the stride, at least twice it.

    Images too small for reflection are padded by their edge.

    Example:
        >>> x = torch.arange(5.0).view(1, 1, 1, 5).expand(-1, -1, 5, -1)
        >>> padded(x, 2)[0, 0, 0].tolist(), padded(x, 2).shape
        ([0.0, 1.0, 2.0, 3.0, 4.0, 3.0], torch.Size([1, 1, 6, 6]))
    """
    height, width = x.shape[2:]
    down, right = (max(2 * stride, -(-side // stride) * stride) - side for side in (height, width))
    if not down and not right:
        return x
    # Reflection cannot pad by the size of the image or more.
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, down), mode=mode)


def cut(x: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Crop each image by `REACH` rows and columns, at its own offset.

    Features that begin with patches of pixels change under shifts; a pattern as wide as a patch, invisible at one
    offset, is visible at others.

    Arguments:
        x: (B, C, H, W).
        places: rows and columns cropped above and left of each image, 0 to `REACH`.

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
    """Index of the content layer: the coarsest whose stride is not above `FORM`.

    Example:
        >>> form_level([1, 2, 4, 8, 16]), form_level([2, 4]), form_level([16])
        (3, 1, 0)
    """
    return max([i for i, stride in enumerate(strides) if stride <= FORM], default=0)


@listed
class StageFeatures(nn.Module):
    """Feature maps of a trained network's encoder, frozen.

    Arguments:
        network: contains a convolutional encoder.
        depth: largest number of maps, the finest first.

    Example:
        >>> codec = MapEncoder([3, 16, 16], factor=8, width=4)
        >>> features = StageFeatures(codec)
        >>> [tuple(found.shape) for found in features(torch.zeros(1, 3, 30, 20))], features.strides
        ([(1, 4, 16, 12), (1, 8, 8, 6), (1, 16, 4, 3)], [2, 4, 8])
    """

    def __init__(self, network: nn.Module, depth: Levels = 3) -> None:
        super().__init__()
        # Keeps the whole model, so that the weights of a run load by name.
        self.network = network.requires_grad_(False)
        encoder = self._encoder
        halvings = [layer for layer in encoder.stages if isinstance(layer, nn.Conv2d)][: depth - 1]
        self.channels = encoder.stem.in_channels // encoder.patch**2
        self.outputs = [encoder.stem.out_channels, *(layer.out_channels for layer in halvings)]
        self.strides = [encoder.patch * 2**level for level in range(len(self.outputs))]

    @property
    def _encoder(self) -> ConvEncoder | MapEncoder:
        encoder = encoder_of(self.network)
        assert encoder is not None, "the network has no convolutional encoder"
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
