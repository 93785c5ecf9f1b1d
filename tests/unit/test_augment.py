"""Changes of images before a discriminator sees them: what they do, how often, and that the gradient passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seisei import seeds
from seisei.nn.gan.augment import STRONGEST, Augment, _cut, _lit, shift_images


def images(count: int = 6, channels: int = 2, height: int = 8, width: int = 12) -> Tensor:
    return torch.rand(count, channels, height, width, generator=seeds.generator("images"))


def changed(augment: Augment, x: Tensor, seed: int = 0) -> Tensor:
    with seeds.drawing(seeds.Draws(seed, 0, total=len(x), offset=0)):
        return augment(x)  # type: ignore[no-any-return]


def test_moved_images_keep_what_stays_inside_and_repeat_their_edge() -> None:
    x = images()
    by = torch.tensor([[0, 0], [2, 0], [-1, 0], [0, 3], [0, -2], [1, -1]])
    found = shift_images(x, by)
    for image, (down, right), made in zip(x, by.tolist(), found, strict=True):
        wanted = torch.zeros_like(image)
        for i in range(8):
            for j in range(12):
                wanted[:, i, j] = image[:, min(max(i - down, 0), 7), min(max(j - right, 0), 11)]
        assert torch.equal(made, wanted)


def test_a_quarter_is_cut_out_in_the_middle_and_less_at_the_edge() -> None:
    x = torch.ones(3, 1, 8, 12)
    found = _cut(x, torch.tensor([1.0, 0.0, 1.0]), torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]))
    assert (found == 0).sum((1, 2, 3)).tolist() == [4 * 6, 0, 2 * 3]
    assert not bool(found[0, 0, 2:6, 3:9].any()) and not bool(found[2, 0, :2, :3].any())


def test_light_changes_the_mean_and_contrast_what_is_left() -> None:
    x = images(2)
    found = _lit(x, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0]))
    assert torch.allclose(found[0].mean(), x[0].mean() + 0.3) and torch.equal(found[1], x[1])
    assert torch.allclose(found[0] - found[0].mean(), 0.6 * (x[0] - x[0].mean()), atol=1e-6)


def test_as_often_as_the_strength_says() -> None:
    x = torch.ones(2000, 1, 8, 8)
    for strength in (0.0, 0.3, 0.8):
        found = changed(Augment(strength), x)
        # Light and moves leave a constant image constant; a cut shows as black.
        black = (found == 0).flatten(1).any(1).float().mean()
        unlit = (found.flatten(1).max(1).values == 1).float().mean()
        assert float(1 - unlit) == pytest.approx(strength, abs=0.04)
        assert float(black) == pytest.approx(strength, abs=0.04)
        # In a column that is bright at one place, a move up or down shows: of ±1, both halves away from 0 are moves.
        column = torch.zeros(2000, 1, 8, 8)
        column[:, :, 4] = 1.0
        moved = (changed(Augment(strength), column)[:, 0].amax(2).argmax(1) != 4).float().mean()
        assert float(moved) == pytest.approx(strength / 2, abs=0.08)


def test_without_strength_nothing_is_drawn_or_changed() -> None:
    x = images()
    assert changed(Augment(0.0), x) is x


def test_an_example_meets_its_own_changes_whoever_stands_beside_it() -> None:
    x = images()
    with seeds.drawing(seeds.Draws(0, 0, total=6, offset=2)):
        part = Augment(0.8)(x[2:4])
    assert torch.equal(part, changed(Augment(0.8), x)[2:4])
    assert not torch.equal(changed(Augment(0.8), x, 1), changed(Augment(0.8), x))


def test_the_gradient_passes_through_what_stays() -> None:
    x = images().requires_grad_()
    found = changed(Augment(0.8), x)
    found.square().sum().backward()
    assert x.grad is not None and float((x.grad != 0).float().mean()) > 0.5


def test_it_grows_where_training_examples_are_known_by_heart_and_shrinks_where_not() -> None:
    augment, seen = Augment(), []
    for known in (0.5, 0.6, 0.7, 0.54, 0.5, 0.5, *[0.9] * 12):
        augment.adapt(known)
        seen.append(round(float(augment.strength), 3))
    assert seen[:6] == [0.0, 0.1, 0.2, 0.2, 0.15, 0.1] and seen[-1] == STRONGEST
    fixed = Augment(0.3, adapts=False)
    fixed.adapt(0.9)
    assert float(fixed.strength) == pytest.approx(0.3)
