"""What of a batch is given to a network that makes images of images, and what is wanted of it.

A view says by its `side` at which end of the data images are that are given, what is `given` and what is `wanted` of
a batch, what is `made` of a network's last features, what is `read` of an image that a person gives, how what
is given is `shown`, and what the `whole` image is of both.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.gan.augment import moved
from seisei.nn.style.color_spaces import from_planes, planes_of
from seisei.spec import Range, listed

# How much farther than L a network is shown a and b from their middle.
VIVID = 4.0


@listed
class PairView(nn.Module):
    """Pairs: y is given, x is wanted; values are made as ½ + ½ tanh, see `seisei.nn.gan.views.ImageView`."""

    side: Literal["x", "y"] = "y"
    # What follows the name of a distance between answers and what is wanted, where these are no whole images.
    of = ""

    def __init__(self) -> None:
        super().__init__()

    def given(self, batch: Batch) -> Tensor:
        """y, (B, C, H, W)."""
        assert batch.y is not None
        return batch.y

    def wanted(self, batch: Batch) -> Tensor:
        """x, (B, C', H, W)."""
        return batch.x

    def made(self, features: Tensor) -> Tensor:
        """Values in [0, 1] of a network's features."""
        return 0.5 + 0.5 * torch.tanh(features)

    def read(self, image: Tensor) -> Tensor:
        """What is given of an image: itself."""
        return image

    def shown(self, given: Tensor) -> Tensor:
        """What is given as a person sees it: itself."""
        return given

    def whole(self, given: Tensor, answer: Tensor) -> Tensor:
        """The image of an answer: itself."""
        return answer


@listed
class ColorView(PairView):
    """Color images, (B, 3, H, W), as pairs of what they are without color and their color.

    Given is the lightness L of CIE L*a*b*, wanted are a and b, all as values in [0, 1]
    (`seisei.nn.style.color_spaces`), where a and b of photographs lie close to ½. So they are moved four times as far
    from it: a discriminator would hardly see them.
    """

    side = "x"
    of = " of color"

    def given(self, batch: Batch) -> Tensor:
        """L, (B, 1, H, W)."""
        return planes_of(batch.x)[:, :1]

    def wanted(self, batch: Batch) -> Tensor:
        """a and b, (B, 2, H, W)."""
        return 0.5 + VIVID * (planes_of(batch.x)[:, 1:] - 0.5)

    def made(self, features: Tensor) -> Tensor:
        """a and b of a network's features, the largest that there are included."""
        return 0.5 + VIVID * 0.5 * torch.tanh(features / VIVID)

    def read(self, image: Tensor) -> Tensor:
        """L of an image, gray or in color."""
        return planes_of(image.expand(-1, 3, -1, -1))[:, :1]

    def shown(self, given: Tensor) -> Tensor:
        """The gray image of this lightness, (B, 3, H, W)."""
        return self.whole(given, torch.full_like(given, 0.5).expand(-1, 2, -1, -1))

    def whole(self, given: Tensor, answer: Tensor) -> Tensor:
        """The image in color, of its lightness and of what was made of it."""
        return from_planes(torch.cat([given, 0.5 + (answer - 0.5) / VIVID], 1))


@listed
class Together(nn.Module):
    """Changes to both sides of a pair alike, so that few pairs last longer: moved a little, mirrored, cut out.

    Arguments:
        shift: by up to this share of the sides, the edge repeated where an image is not any more.
        mirror: left for right, one of two.
        crop: the side of the square of each that is cut out; 0 for all of it.

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
        """Both sides, (B, C, H, W) and (B, C', H, W), changed."""
        both = torch.cat([given, wanted], 1)
        u = seeds.uniform(len(both), 5, device=both.device).to(both.dtype)
        sides = both.new_tensor(both.shape[2:])
        if self.shift:
            both = moved(both, ((2 * u[:, :2] - 1) * self.shift * sides).round().long())
        if self.mirror:
            both = torch.where((u[:, 2] < 0.5).view(-1, 1, 1, 1), both.flip(3), both)
        if self.crop and self.crop < min(both.shape[2:]):
            corner = (u[:, 3:] * (sides - self.crop + 1)).floor().long()
            along = torch.arange(self.crop, device=both.device)
            rows, columns = ((corner[:, i : i + 1] + along) for i in range(2))
            each = torch.arange(len(both), device=both.device)
            # The places of channels come last when they stand between lists of places.
            both = both[each[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
        return both[:, : given.shape[1]], both[:, given.shape[1] :]
