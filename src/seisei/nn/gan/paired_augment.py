"""Inputs and targets of image-to-image translation, and augmentation of pairs.

A view defines the input (`given`) and target (`wanted`) of a batch, how network features become an output (`made`), how
a user's image becomes an input (`read`), how an input is displayed (`shown`), and how input and output combine to a
full image (`whole`). Its `side` is the end of the data, x or y, that the input images come from.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.gan.augment import shift_images
from seisei.nn.style.color_spaces import from_planes, planes_of
from seisei.spec import Range, listed

# Scale of the a and b channels relative to L, so that a network sees them.
VIVID = 4.0


@listed
class PairView(nn.Module):
    """Pairs: y is the input, x the target; outputs are ½ + ½ tanh, see `seisei.nn.gan.views.ImageView`."""

    side: Literal["x", "y"] = "y"
    # Suffix of the metric names, if outputs are not full images.
    of = ""

    def __init__(self) -> None:
        super().__init__()

    def given(self, batch: Batch) -> Tensor:
        """Input: y, (B, C, H, W)."""
        assert batch.y is not None
        return batch.y

    def wanted(self, batch: Batch) -> Tensor:
        """Target: x, (B, C', H, W)."""
        return batch.x

    def made(self, features: Tensor) -> Tensor:
        """Output values in [0, 1] from network features."""
        return 0.5 + 0.5 * torch.tanh(features)

    def read(self, image: Tensor) -> Tensor:
        """The input from an image: the image itself."""
        return image

    def shown(self, given: Tensor) -> Tensor:
        """The input for display: unchanged."""
        return given

    def whole(self, given: Tensor, answer: Tensor) -> Tensor:
        """The full image of an output: the output itself."""
        return answer


@listed
class ColorView(PairView):
    """Colorization: color images, (B, 3, H, W), split into lightness and color.

    The input is the lightness L of CIE L*a*b*, the targets are a and b, all as values in [0, 1]
    (`seisei.nn.style.color_spaces`). In photographs a and b lie close to ½, so their distance from it is multiplied by
    four: a discriminator would hardly see them otherwise.
    """

    side = "x"
    of = " of color"

    def given(self, batch: Batch) -> Tensor:
        """Input: L, (B, 1, H, W)."""
        return planes_of(batch.x)[:, :1]

    def wanted(self, batch: Batch) -> Tensor:
        """Target: a and b, (B, 2, H, W)."""
        return 0.5 + VIVID * (planes_of(batch.x)[:, 1:] - 0.5)

    def made(self, features: Tensor) -> Tensor:
        """a and b from network features, over the whole range."""
        return 0.5 + VIVID * 0.5 * torch.tanh(features / VIVID)

    def read(self, image: Tensor) -> Tensor:
        """L of a grayscale or color image."""
        return planes_of(image.expand(-1, 3, -1, -1))[:, :1]

    def shown(self, given: Tensor) -> Tensor:
        """The grayscale image of this lightness, (B, 3, H, W)."""
        return self.whole(given, torch.full_like(given, 0.5).expand(-1, 2, -1, -1))

    def whole(self, given: Tensor, answer: Tensor) -> Tensor:
        """The color image from its lightness and the output."""
        return from_planes(torch.cat([given, 0.5 + (answer - 0.5) / VIVID], 1))


@listed
class Together(nn.Module):
    """Augments both sides of a pair alike: translation, horizontal flip, random crop.

    Arguments:
        shift: largest translation, as a share of the sides; edge padding.
        mirror: horizontal flips with probability 0.5.
        crop: side of a square random crop; 0 for none.

    Example:
        >>> Together(crop=4)(torch.zeros(2, 1, 8, 8), torch.zeros(2, 3, 8, 8))[1].shape
        torch.Size([2, 3, 4, 4])
    """

    def __init__(
        self,
        shift: Annotated[float, Range(ge=0, le=0.5)] = 0.0625,
        mirror: bool = True,
        crop: Annotated[int, Range(ge=0, le=4096)] = 0,
    ) -> None:
        super().__init__()
        self.shift, self.mirror, self.crop = shift, mirror, crop

    def forward(self, given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides, (B, C, H, W) and (B, C', H, W), augmented."""
        both = torch.cat([given, wanted], 1)
        u = seeds.uniform(len(both), 5, device=both.device).to(both.dtype)
        sides = both.new_tensor(both.shape[2:])
        if self.shift:
            both = shift_images(both, ((2 * u[:, :2] - 1) * self.shift * sides).round().long())
        if self.mirror:
            both = torch.where((u[:, 2] < 0.5).view(-1, 1, 1, 1), both.flip(3), both)
        if self.crop and self.crop < min(both.shape[2:]):
            corner = (u[:, 3:] * (sides - self.crop + 1)).floor().long()
            along = torch.arange(self.crop, device=both.device)
            rows, columns = ((corner[:, i : i + 1] + along) for i in range(2))
            each = torch.arange(len(both), device=both.device)
            # Advanced indices separated by a slice put the channel axis last.
            both = both[each[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
        return both[:, : given.shape[1]], both[:, given.shape[1] :]
