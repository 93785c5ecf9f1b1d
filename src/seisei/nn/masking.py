"""Random masking, which trains an encoder to infer from partial observations.

Masked values are left out of the bound, as missing ones are: the model learns p(x_o | y) of the observed values, and
its encoder q(z | x_o, y) for masks of many shapes, not only for complete examples (*VAEAC: Variational Autoencoder with
Arbitrary Conditioning (Ivanov, Figurnov, Vetrov, 2019)*).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.spec import listed


@listed
class ImageReader(nn.Module):
    """Encoder input of an image with missing pixels: zeros there, and the mask as a further channel.

    Example:
        >>> seen = torch.ones(2, 1, 8, 8, dtype=torch.bool)
        >>> ImageReader()(Batch(torch.rand(2, 3, 8, 8), mask=seen)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, batch: Batch) -> Tensor:
        """(B, C + 1, H, W)."""
        x = batch.visible
        seen = torch.ones_like(x[:, :1]) if batch.mask is None else batch.mask.expand_as(x)[:, :1].to(x)
        return torch.cat([x, seen], 1)


def random_mask(batch: Batch, share: float) -> Batch:
    """Add a random mask to this share of the examples, on top of the batch's own.

    In images a rectangle is masked, each side a quarter to three quarters of the image's; in table rows each value,
    with a probability sampled per row.

    Arguments:
        batch: x (B, C, H, W) or (B, D).
        share: masking probability of an example, 0 to 1.
    """
    if not share:
        return batch
    x, device = batch.x, batch.x.device
    u = seeds.uniform(len(x), 6, device=device)
    if x.dim() == 4:
        inside = [_stretch(side, u[:, 1 + 2 * k], u[:, 2 + 2 * k]) for k, side in enumerate(x.shape[2:])]
        seen = ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])
    else:
        seen = seeds.uniform(len(x), x.shape[1], device=device) >= u[:, 1:2]
    whole = (u[:, 0] >= share).view(-1, *[1] * (x.dim() - 1))
    return Batch(x, batch.y, seen | whole if batch.mask is None else batch.mask & (seen | whole))


def _stretch(side: int, long: Tensor, at: Tensor) -> Tensor:
    """Random intervals along a side, of a quarter to three quarters of its length: True inside, (B, side)."""
    least, most = max(1, side // 4), max(1, 3 * side // 4)
    size = least + (long * (most - least + 1)).long()
    start = (at * (side - size + 1)).long()
    position = torch.arange(side, device=long.device)
    return (position >= start.unsqueeze(1)) & (position < (start + size).unsqueeze(1))
