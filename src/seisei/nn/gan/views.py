"""What a discriminator sees of an example: real ones as they are, drawn ones as a network made them, differentiably.

A view goes three ways: `of` a real batch, `made` of a network's last features, and back to an `example` of what was
made. A discriminator must not tell real from drawn by their form alone, or it never looks at what they hold: a
category is one 1 among zeros in both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.nn.distributions import precise
from seisei.nn.tabular.features import Columns, RowFeatures, Sizes
from seisei.spec import listed


@listed
class ImageView(nn.Module):
    """Images: values in [0, 1], made as ½ + ½ tanh.

    Most images have places that are quite black or quite white. A network that ends linearly never makes them so, and
    a discriminator tells its noise there from the stillness of real images without looking at what is on them.
    """

    def __init__(self) -> None:
        super().__init__()

    def of(self, batch: Batch) -> Tensor:
        """Real images, (B, C, H, W)."""
        return batch.visible

    def made(self, features: Tensor) -> Tensor:
        """Images of a network's features, (B, C, H, W); gray where it says nothing."""
        return 0.5 + 0.5 * torch.tanh(precise(features))

    def example(self, seen: Tensor) -> Tensor:
        """x of what was made: itself."""
        return seen


@listed
class RowView(nn.Module):
    """Rows: numbers as they are, a 1 for each category, a 1 for each gap, the value beside it being 0.

    Categories and gaps are drawn by the Gumbel trick and passed on as they are drawn; the gradient is that of their
    probabilities (*Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)*). A column has gaps
    where the training rows had some.

    Arguments:
        sizes: what x holds, see `seisei.nn.tabular.features`.

    Example:
        >>> view = RowView([0, 3])
        >>> view.of(Batch(torch.tensor([[0.5, 2.0]]))).tolist()
        [[0.5, 0.0, 0.0, 1.0, 0.0, 0.0]]
        >>> seen = view.made(torch.tensor([[0.5, -99.0, -99.0, 99.0, 0.0, 0.0]]))
        >>> view.example(seen).tolist()
        [[0.5, 2.0]]
    """

    gappy: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.columns, self.features = Columns(sizes), RowFeatures(sizes, missing=True)
        self.outputs = self.features.outputs
        self.register_buffer("gappy", torch.zeros(self.columns.width, dtype=torch.bool))
        order = [*self.columns.numbers, *self.columns.categories]
        self.order = [order.index(place) for place in range(self.columns.width)]

    def initialize(self, examples: Batch) -> None:
        """See which columns have gaps."""
        if examples.mask is not None:
            self.gappy.copy_((~examples.mask.expand_as(examples.x)).any(0))

    def of(self, batch: Batch) -> Tensor:
        """Real rows, (B, outputs)."""
        return self.features(batch)  # type: ignore[no-any-return]

    def made(self, features: Tensor) -> Tensor:
        """Rows of a network's features, (B, outputs)."""
        numbers, logits, gaps = self._parts(precise(features))
        gap = self._drawn(torch.stack([gaps, torch.zeros_like(gaps)], -1))[..., 0] * self.gappy
        there = 1 - gap
        parts = [numbers * there[:, self.columns.numbers]]
        for place, part in zip(self.columns.categories, logits, strict=True):
            parts.append(self._drawn(part) * there[:, place : place + 1])
        return torch.cat([*parts, gap], 1)

    def example(self, seen: Tensor) -> Tensor:
        """x of what was made, NaN where a gap is."""
        numbers, chosen, gap = self._parts(seen)
        categories = [part.argmax(-1, keepdim=True).to(seen.dtype) for part in chosen]
        x = torch.cat([numbers, *categories], 1)[:, self.order]
        return x.masked_fill(gap > 0.5, torch.nan)

    def _parts(self, features: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """Numbers (B, d), each column of categories (B, L_j), gaps (B, D)."""
        numbers, *categories, gaps = torch.split(
            features, [len(self.columns.numbers), *self.columns.levels, self.columns.width], 1
        )
        return numbers, tuple(categories), gaps

    @staticmethod
    def _drawn(logits: Tensor) -> Tensor:
        """A 1 at a category drawn from the softmax, with the gradient of the softmax."""
        u = seeds.uniform(*logits.shape, device=logits.device).to(logits.dtype).clamp(1e-7, 1 - 1e-7)
        soft = (logits - torch.log(-torch.log(u))).softmax(-1)
        hard = F.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft.dtype)
        return hard + (soft - soft.detach())
