"""From image to image: x = G(y, z), y what is given and x what is made of it.

It has no likelihood. The average of all answers is what a regression alone would give; a discriminator that looks at
pairs makes it one of them.

Reference: *Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou, Efros, 2017)*, arXiv
    1611.07004.

Shapes: y (B, C, H, W); x (B, C', H, W), H and W any; z (B, K), the same at every place.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seisei import seeds
from seisei.nn.distributions import precise
from seisei.spec import listed


@listed
class Translator(nn.Module):
    """Images to images.

    Arguments:
        network: what is read, and noise, to features of what is made; of any size.
        view: what of a batch is given and what is wanted (`seisei.nn.gan.paired_augment`).

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
        """What is made of what is given, as a discriminator sees it: values in [0, 1]; noise is drawn where it is
        needed.
        """
        if self.noise and noise is None:
            noise = seeds.normal(len(given), self.noise, device=given.device)
        return self.view.made(precise(self.network(given, noise)))  # type: ignore[no-any-return, operator]

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        """x of images y, as people know both."""
        given = self.view.read(image)  # type: ignore[operator]
        return self.view.whole(given, self.answer(given, noise))  # type: ignore[no-any-return, operator]
