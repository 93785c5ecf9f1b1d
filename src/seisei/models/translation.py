"""Image-to-image translation: x = G(y, z), with input image y and output x.

There is no likelihood. Regression alone would give the mean of all plausible outputs; a discriminator of (input,
output) pairs makes it one of them.

Reference: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004.

Shapes: y (B, C, H, W); x (B, C', H, W), any H and W; z (B, K), the same at every position.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import precise
from seisei.spec import listed


@listed
class Translator(nn.Module):
    """Image-to-image translation network.

    Arguments:
        network: input image, and noise, to output features; fully convolutional.
        view: input and target of a batch (`seisei.nn.gan.paired_augment`).

    Example:
        >>> import torch
        >>> from seisei.nn.gan.paired_augment import PairView
        >>> from seisei.nn.unet import UNet
        >>> Translator(UNet(1, 3, width=8, depth=2), PairView()).translate(torch.zeros(2, 1, 12, 10)).shape
        torch.Size([2, 3, 12, 10])
    """

    def __init__(self, network: nn.Module, view: nn.Module) -> None:
        super().__init__()
        self.network, self.view = network, view
        self.side: Literal["x", "y"] = view.side  # type: ignore[assignment]
        self.stride: int = network.stride  # type: ignore[assignment]
        self.noise: int = network.noise  # type: ignore[assignment]

    def answer(self, given: Tensor, noise: Tensor | None = None) -> Tensor:
        """The output for an input, as discriminator input: values in [0, 1]; noise is sampled if needed."""
        if self.noise and noise is None:
            noise = seeds.normal(len(given), self.noise, device=given.device)
        return self.view.made(precise(self.network(given, noise)))  # type: ignore[no-any-return, operator]

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """Output images x of input images y."""
        given = self.view.read(image)  # type: ignore[operator]
        return self.view.whole(given, self.answer(given, noise))  # type: ignore[no-any-return, operator]
