"""Colors have known places in CIE L*a*b*, and the way there and back leaves them as they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seisei.nn.style.color_spaces import PRIMARIES, from_planes, lab_of, lightness_of, planes_of, rgb_of

KNOWN = {
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
    (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
    (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
    (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
    (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
    (0.0, 1.0, 1.0): (91.11, -48.09, -14.13),
    (1.0, 0.0, 1.0): (60.32, 98.23, -60.82),
    (1.0, 1.0, 0.0): (97.14, -21.55, 94.48),
}


def cube(side: int) -> Tensor:
    """All colors of a grid, (1, 3, side³, 1)."""
    line = torch.linspace(0, 1, side)
    return torch.cartesian_prod(line, line, line).T.reshape(1, 3, -1, 1)


@pytest.mark.parametrize("color", KNOWN)
def test_known_colors(color: tuple[float, float, float]) -> None:
    found = lab_of(torch.tensor(color).view(1, 3, 1, 1)).flatten().tolist()
    assert found == pytest.approx(KNOWN[color], abs=1e-2)


def test_grays_have_no_color_and_the_lightness_of_their_light() -> None:
    gray = torch.linspace(0, 1, 256, dtype=torch.float64).view(1, 1, 256, 1)
    lab = lab_of(gray.expand(-1, 3, -1, -1))
    assert lab[:, 1:].abs().max() < 1e-10
    assert lab_of(gray.float().expand(-1, 3, -1, -1))[:, 1:].abs().max() < 1e-3
    assert (lab[:, 0].diff(dim=1) > 0).all()
    # A gray of 18 % of the light of white, by hand: 116 · 0.18^⅓ − 16.
    eighteen = torch.full((3, 1, 1), 1.055 * 0.18 ** (1 / 2.4) - 0.055, dtype=torch.float64)
    assert lab_of(eighteen)[0].item() == pytest.approx(116 * 0.18 ** (1 / 3) - 16, abs=1e-9)
    raw = torch.from_numpy(PRIMARIES).sum(1)
    assert (raw - 1).abs().max() > 0.04  # mutant: X, Y, Z not told as a share of what white has


def test_there_and_back_over_the_cube() -> None:
    colors = cube(17)
    lab = lab_of(colors)
    again = rgb_of(lab)
    assert (again - colors).abs().max() < 1e-5
    assert (lab_of(again) - lab).abs().max() < 1e-3
    assert (lab_of(rgb_of(lab_of(colors.double()))) - lab_of(colors.double())).abs().max() < 1e-3
    assert (from_planes(planes_of(colors)) - colors).abs().max() < 1e-5


def test_stored_levels_come_back_exactly() -> None:
    levels = torch.randint(256, (1, 3, 100_000, 1), generator=torch.Generator().manual_seed(1))
    for way in (rgb_of(lab_of(levels / 255)), from_planes(planes_of(levels / 255))):
        assert torch.equal((way * 255).round().long(), levels)


def test_planes_are_values_of_an_image() -> None:
    planes = planes_of(cube(17))
    assert planes.min() >= -1e-6 and planes.max() <= 1 + 1e-6
    assert planes[:, 1:].min() > 0.05 and planes[:, 1:].max() < 0.95, "values a tanh reaches"
    lab = lab_of(cube(17))
    assert torch.allclose((2 * planes[:, 1:] - 1) * 128, lab[:, 1:], atol=1e-4)


def test_lightness_of_gray_and_of_color() -> None:
    colors = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(lightness_of(colors), planes_of(colors)[:, :1], atol=1e-6)
    gray = colors[:, :1]
    assert lightness_of(gray).shape == (2, 1, 5, 4)
    assert torch.allclose(lightness_of(gray), lightness_of(gray.expand(-1, 3, -1, -1)), atol=1e-6)


def test_anything_may_come_before_the_channels() -> None:
    colors = torch.rand(2, 4, 3, 5, 6, generator=torch.Generator().manual_seed(3))
    for way in (lab_of, rgb_of, planes_of, from_planes, lightness_of):
        assert torch.allclose(way(colors)[1, 2], way(colors[1, 2]), atol=1e-4)


def test_colors_that_no_screen_shows_are_kept_within() -> None:
    line = torch.linspace(-150, 150, 21)
    lab = torch.cartesian_prod(torch.linspace(-20, 120, 15), line, line).T.reshape(3, -1, 1)
    shown = rgb_of(lab)
    assert shown.min() == 0 and 1 - 1e-6 < shown.max() <= 1
    assert (rgb_of(torch.tensor([130.0, 0, 0]).view(3, 1, 1)) - 1).abs().max() < 1e-6


def test_half_precision_is_not_computed_in() -> None:
    assert lab_of(torch.rand(3, 2, 2).half()).dtype == rgb_of(torch.rand(3, 2, 2).bfloat16()).dtype == torch.float32
    assert lab_of(torch.rand(3, 2, 2).double()).dtype == torch.float64


@pytest.mark.parametrize("level", [0.0, 1e-8, 0.04045, 0.5, 1.0])
def test_gradients_are_finite_and_right(level: float) -> None:
    color = torch.full((3, 1, 1), level, requires_grad=True)
    for way in (lab_of, planes_of, lightness_of, lambda c: rgb_of(lab_of(c)), lambda c: rgb_of(100 * c)):
        (gradient,) = torch.autograd.grad(way(color).sum(), color)
        assert gradient.isfinite().all()
    # Of black, by hand: dL/dc of a gray is 116 / 3δ² / 12.92.
    (gradient,) = torch.autograd.grad(lab_of(color)[0].sum(), color)
    if level == 0:
        assert gradient.sum().item() == pytest.approx(116 * 29**2 / (3 * 36) / 12.92, rel=1e-5)


def test_gradients_inside_are_those_of_differences() -> None:
    colors = torch.rand(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) * 0.8 + 0.1
    assert torch.autograd.gradcheck(lab_of, colors.requires_grad_())
    assert torch.autograd.gradcheck(rgb_of, lab_of(colors).detach().requires_grad_())
