"""What is made tile by tile is what would be made of the whole. Each main check comes with a mutant that fails it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seisei.nn.tiling import Band, Tiling, disagreement, tiled
from seisei.nn.unet import UNet, pad_to_stride

SIZES = [(1, 1), (1, 40), (3, 2), (16, 16), (15, 17), (33, 50), (61, 7), (64, 64), (5, 130)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


class Numbers:
    """A function that says of each tile the number of the call, everywhere; or 1 of one tile and 0 of all others."""

    def __init__(self, only: int | None = None, scale: float = 1.0) -> None:
        self.calls, self.only, self.scale = 0, only, scale

    def __call__(self, x: Tensor) -> Tensor:
        value = float(self.calls) if self.only is None else float(self.calls == self.only)
        self.calls += 1
        return torch.full_like(x[:, :1], value * self.scale)


# ---- where tiles lie


@pytest.mark.parametrize(
    "tiling", [Tiling(16, 8, 4), Tiling(16, 0, 4), Tiling(12, 5, 3, 2), Tiling(8, 6), Tiling(8, 8 - 1)]
)
def test_tiles_cover_every_size_and_overlap_enough(tiling: Tiling) -> None:
    for size in range(1, 100):
        starts, whole = tiling.starts(size), -(-size // tiling.stride) * tiling.stride
        assert starts[0] == 0 and all(start % tiling.stride == 0 for start in starts)
        assert len(starts) == 1 if whole <= tiling.tile else starts[-1] + tiling.tile == whole
        margin = tiling.overlap // 4 if tiling.margin is None else tiling.margin
        for (a, b), seam in zip(pairwise(starts), tiling.seams(size), strict=True):
            assert a < b and a + tiling.tile - b >= tiling.overlap
            assert b + margin <= seam and seam + tiling.blend <= a + tiling.tile - margin
            assert seam + tiling.blend <= size
        fewest = math.ceil(
            max(0, whole - tiling.tile) / ((tiling.tile - tiling.overlap) // tiling.stride * tiling.stride)
        )
        assert len(starts) == fewest + 1, "no more tiles than it takes"


@pytest.mark.parametrize(
    "numbers", [(15, 4, 4), (16, 13, 4), (16, -1, 4), (16, 8, 4, 5), (16, 8, 4, -1), (0, 0, 1), (4, 0, 0)]
)
def test_numbers_that_do_not_fit_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted") as caught:
        Tiling(*numbers)
    assert "\n" not in str(caught.value)


# ---- the same as the whole


@pytest.mark.parametrize("size", SIZES)
def test_the_identity_gives_the_same_bits(size: tuple[int, int]) -> None:
    image = noise(3, *size)
    for numbers in ((16, 8, 4), (16, 4, 4, 0), (16, 0, 8), (8, 6, 1, 0)):
        tiling = Tiling(*numbers)
        bands = list(tiling.bands(lambda x: x, image))
        assert torch.equal(torch.cat([band.rows for band in bands], 1), image)
        assert disagreement(bands) == 0
        out = tiled(lambda x: x, image, tile=tiling.tile, overlap=tiling.overlap, stride=tiling.stride)
        assert torch.equal(out, image)
    ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(4) + 0.5) / 4)
    x = noise(100, 4)
    assert not torch.equal((1 - ramp) * x + ramp * x, x)  # mutant: a weighted sum rounds


def net(inputs: int, outputs: int, seed: int = 1) -> UNet:
    torch.manual_seed(seed)
    made = UNet(inputs, outputs, width=8, depth=2, detail=4, blocks=1).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.2)
    return made


@pytest.mark.parametrize("size", SIZES)
def test_a_tile_of_the_whole_image_is_the_plain_call(size: tuple[int, int]) -> None:
    made, image = net(1, 2), noise(1, *size)
    with torch.no_grad():
        wanted = made(image[None])[0]
    assert torch.equal(tiled(made, image, tile=132, overlap=8, stride=4), wanted)


def reach(made: nn.Module, side: int = 96) -> int:
    """How far from a place lies what it depends on, at most."""
    image = noise(1, 1, side, side).requires_grad_()
    far = 0
    for place in range(side // 2, side // 2 + 4):
        (gradient,) = torch.autograd.grad(made(image)[0, 0, place, place].sum(), image)
        seen = gradient[0, 0].abs().sum(0).nonzero().flatten()
        far = max(far, place - int(seen[0]), int(seen[-1]) - place)
    return far


@pytest.mark.parametrize("size", [(150, 131), (97, 40), (64, 201)])
def test_tiles_of_a_convolutional_network_are_the_whole(size: tuple[int, int]) -> None:
    made, image = net(1, 2), noise(1, *size)
    far = reach(made)
    assert 16 <= far <= 28
    with torch.no_grad():
        wanted = made(image[None])[0]

    def apart(margin: int, overlap: int, stride: int = 4) -> float:
        found = tiled(made, image, tile=80, overlap=overlap, stride=stride, margin=margin)
        return float((found - wanted).abs().max())

    assert apart(far, 2 * far + 8) < 1e-5, "also at the borders of the image"
    assert apart(0, 2 * far + 8) > 1e-4  # mutant: inner edges are used
    assert apart(far, 2 * far + 7, 1) > 1e-3  # mutant: tiles begin within a stride


def test_normalizing_over_the_image_makes_tiles_disagree() -> None:
    """What depends on all of the image cannot be made of tiles, and it is told."""
    ramp = torch.linspace(0, 1, 160).expand(1, 64, 160)
    tiling = Tiling(64, 32, 1)
    near = disagreement(tiling.bands(lambda x: F.avg_pool2d(x, 3, 1, 1), ramp))
    far = disagreement(tiling.bands(lambda x: x - x.mean(), ramp))
    assert near < 1e-3 and far == pytest.approx(32 / 159, rel=0.01), "the means of tiles are 32 pixels apart"


def test_the_edge_is_mirrored_as_it_is_for_the_whole() -> None:
    for size in SIZES:
        image = noise(2, *size)
        seen: dict[tuple[int, int], Tensor] = {}
        tiling, wanted = Tiling(16, 4, 8), pad_to_stride(image[None], 8)
        places = iter([(t, left) for t in tiling.starts(size[0]) for left in tiling.starts(size[1])])

        def look(x: Tensor, seen: dict = seen, places: Iterator = places) -> Tensor:  # type: ignore[type-arg]
            seen[next(places)] = x
            return x

        tiled(look, image, tile=16, overlap=4, stride=8)
        for (top, left), x in seen.items():
            assert torch.equal(x, wanted[:, :, top : top + 16, left : left + 16]), size


# ---- blends


@pytest.mark.parametrize("numbers", [(16, 8, 4), (16, 4, 4, 0), (12, 9, 3, 0), (8, 6, 1, 1), (8, 0, 4)])
def test_shares_are_positive_and_add_up_to_one(numbers: tuple[int, ...]) -> None:
    tiling, image = Tiling(*numbers), torch.zeros(1, 20, 23, dtype=torch.float64)
    tops, lefts = tiling.starts(20), tiling.starts(23)
    shares = []
    for k in range(len(tops) * len(lefts)):
        function = Numbers(only=k)
        shares.append(torch.cat([band.rows for band in tiling.bands(function, image)], 1)[0])
        assert function.calls == len(tops) * len(lefts)
    every = torch.stack(shares)
    assert (every.sum(0) - 1).abs().max() < 1e-15 and every.min() == 0
    sides = []
    for size, starts in ((20, tops), (23, lefts)):
        seams = tiling.seams(size)
        sides.append(list(zip([0, *seams], [*(seam + tiling.blend for seam in seams), size], strict=True)))
        for start, (begin, end) in zip(starts, sides[-1], strict=True):
            margin = tiling.overlap // 4 if tiling.margin is None else tiling.margin
            assert begin >= start + (margin if start else 0)
            assert end == size or end <= start + tiling.tile - margin
    for share, ((top, below), (left, right)) in zip(shares, product(*sides), strict=True):
        inside = torch.zeros_like(share, dtype=torch.bool)
        inside[top:below, left:right] = True
        assert torch.equal(share > 0, inside)


def test_a_ramp_by_hand() -> None:
    image = torch.zeros(1, 1, 12)
    bands = list(Tiling(8, 4, 1, 1).bands(Numbers(), image))
    half = [0.5 - 0.5 * math.cos(math.pi / 4), 0.5 - 0.5 * math.cos(3 * math.pi / 4)]
    assert bands[0].rows.flatten().tolist() == pytest.approx([0] * 5 + half + [1] * 5)
    assert (bands[0].apart, bands[0].blended) == (2.0, 2) and disagreement(bands) == 1.0
    assert Tiling(8, 4, 1, 1).seams(12) == [5]


def test_tiles_that_say_different_things_are_blended_without_jumps() -> None:
    image = torch.zeros(1, 100, 120)
    blend = Tiling(32, 16, 1, 0)
    smooth = torch.cat([band.rows for band in blend.bands(Numbers(), image)], 1)
    columns = len(blend.starts(120))
    # The steepest slope of a raised cosine over n places of a height of c is c π / 2n; rows are `columns` apart.
    assert smooth.diff(dim=2).abs().max() <= math.pi / 32 + 1e-6
    assert smooth.diff(dim=1).abs().max() <= columns * math.pi / 32 + 1e-5
    hard = tiled(Numbers(), image, tile=32, overlap=0)
    assert hard.diff(dim=2).abs().max() == 1  # mutant: no blend


def test_seam_energy_tells_steps_from_blends() -> None:
    image, hard, soft = noise(3, 160, 200, seed=5), Tiling(32, 0), Tiling(48, 16, 1, 0)
    assert hard.seam_energy(image) == pytest.approx(1, abs=0.05)
    assert soft.seam_energy(image) == pytest.approx(1, abs=0.05)

    numbers = [Numbers(scale=0.5), Numbers(scale=0.5)]
    steps = tiled(lambda x: x + numbers[0](x), image, tile=32, overlap=0)
    ramps = tiled(lambda x: x + numbers[1](x), image, tile=48, overlap=16, margin=0)
    assert hard.seam_energy(steps) > 4
    assert soft.seam_energy(ramps) < 1.5 < 0.2 * hard.seam_energy(steps)


def test_seam_energy_by_hand() -> None:
    tiling = Tiling(4, 0)
    flat = torch.zeros(1, 1, 8)
    assert tiling.seam_energy(flat) == tiling.seam_energy(flat[:, :, :3]) == 0
    step = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1]).view(1, 1, 8)
    assert tiling.seam_energy(step) == math.inf
    assert tiling.seam_energy(step.roll(1)) == 0, "a step that is not on a seam"
    both = torch.tensor([0.0, 1, 0, 1, 3, 2, 3, 2]).view(1, 1, 8)
    assert tiling.seam_energy(both) == pytest.approx(4)
    assert tiling.seam_energy(both.expand(3, 2, 8)) == pytest.approx(4 / (1 * 36 / 60)), "18 steps down of 0 count"
    assert Tiling(8, 4, 1, 1).seam_energy(torch.arange(12.0).view(1, 1, 12)) == pytest.approx(1)


# ---- what is held


def test_rows_are_handed_out_as_they_are_done() -> None:
    function, image = Numbers(), torch.zeros(1, 400, 90)
    tiling = Tiling(32, 8, 4)
    across, done = len(tiling.starts(90)), 0
    for i, band in enumerate(tiling.bands(function, image)):
        assert function.calls == (i + 1) * across, "no tile before it is needed"
        assert band.rows.shape[1] <= 32
        done += band.rows.shape[1]
    assert done == 400


def test_a_function_is_called_without_gradients_and_may_change_the_channels() -> None:
    image = noise(3, 40, 30).requires_grad_()
    out = tiled(lambda x: x[:, :2].double(), image, tile=16, overlap=8)
    assert out.shape == (2, 40, 30) and out.dtype == torch.float64 and not out.requires_grad
    with pytest.raises(AssertionError):
        tiled(lambda x: x[:, :, 1:], image, tile=16, overlap=8)
    assert disagreement([Band(image)]) == 0


@pytest.mark.parametrize("size", SIZES)
def test_shares_of_tiles_are_the_whole_once(size: tuple[int, int]) -> None:
    image = noise(2, *size)
    for tiling in (Tiling(16, 8, 4), Tiling(12, 5, 3, 2), Tiling(16, 0, 8)):
        found = torch.zeros_like(image)
        for rows, columns, own in tiling.shares(*size):
            tile = image[:, rows, columns]
            found[:, rows, columns][:, own[0], own[1]] += tile[:, own[0], own[1]]
            for part in own:
                assert part.start % tiling.stride == 0 and (part.stop is None or part.stop % tiling.stride == 0)
        assert torch.equal(found, image)
