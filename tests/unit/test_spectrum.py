"""High-frequency energy: exact values of patterns, noise, constants; what the watch and `evaluate` make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from seisei.evaluation.signal import LEVEL
from seisei.evaluation.spectrum import UNSEEN, energy_ratios, high_frequency_energy, high_frequency_ratio
from seisei.training.watch import Watch

SHAPES = [(16, 16), (28, 28), (8, 12), (64, 32)]


def noise(n: int, channels: int, height: int, width: int, seed: int = 0) -> Any:
    return 0.5 + 0.1 * np.random.default_rng(seed).standard_normal((n, channels, height, width))


def board(height: int, width: int, amplitude: float = 0.1) -> Any:
    return amplitude * (-1.0) ** np.indices((height, width)).sum(0)


def share(height: int, width: int) -> float:
    """Of all frequencies in the band."""
    down, across = (np.abs(np.fft.fftfreq(side)) >= 0.375 for side in (height, width))
    return float((down[:, None] | across[None]).mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_what_alternates_has_the_energy_of_its_amplitude(shape: tuple[int, int]) -> None:
    height, width = shape
    stripes = 0.1 * (-1.0) ** np.indices(shape)[1]
    x = 0.3 + np.stack([board(height, width), board(height, width, 0.2), stripes, stripes * 0])[:, None]
    assert np.allclose(high_frequency_energy(x)[:, 0], [[0.01, 0], [0.04, 0], [0.01, 0], [0, 0]], atol=1e-12)
    boards = high_frequency_ratio(x[1:2], x[:1])["brightness"]
    assert boards.value == pytest.approx((0.04 + UNSEEN) / (0.01 + UNSEEN))


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_as_fine_as_itself_and_a_checkerboard_adds_its_energy(shape: tuple[int, int]) -> None:
    x = noise(2000, 1, *shape)
    assert high_frequency_ratio(x, x)["brightness"].value == 1.0
    other = noise(2000, 1, *shape, seed=1)
    same = high_frequency_ratio(x, other)["brightness"]
    assert abs(same.value - 1) < 4 * same.error < 0.1
    added = high_frequency_ratio(x + board(*shape, 0.05), other)["brightness"]
    wanted = 1 + 0.05**2 / (0.1**2 * share(*shape))
    assert wanted > 1.4 and abs(added.value - wanted) < 4 * added.error < 0.2


def test_the_error_is_the_spread_of_fresh_samples() -> None:
    ratios = [high_frequency_ratio(noise(20, 1, 8, 8, 2 * i), noise(40, 1, 8, 8, 2 * i + 1)) for i in range(200)]
    for name in ("brightness", "checkerboard"):
        spread = np.std([found[name].value for found in ratios])
        assert np.mean([found[name].error for found in ratios]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lattice_shows_on_blurred_images_too(shape: tuple[int, int]) -> None:
    """A wave in the octave below with a checkerboard, both far fainter than those of the images compared with."""
    height, width = shape
    wave = np.cos(np.pi * np.indices(shape)[1] / 2)  # half the Nyquist frequency, of energy ½
    sharp = 0.5 + (0.2 * wave + board(*shape, 0.04))[None, None]
    soft = 0.5 + (0.02 * wave + board(*shape, 0.02))[None, None]
    found = high_frequency_ratio(soft, sharp)
    assert found["brightness"].value == pytest.approx((0.02**2 + UNSEEN) / (0.04**2 + UNSEEN), rel=1e-3)
    own, other = (0.02**2 + UNSEEN) / (0.02**2 / 2 + UNSEEN), (0.04**2 + UNSEEN) / (0.2**2 / 2 + UNSEEN)
    assert found["checkerboard"].value == pytest.approx(own / other, rel=0.02) and own / other > 20
    fainter = high_frequency_ratio(0.5 + 0.3 * (sharp - 0.5), sharp)["checkerboard"].value
    assert fainter == pytest.approx(1, rel=0.1)


def test_color_is_measured_beside_brightness() -> None:
    colored = np.zeros((1, 3, 16, 16)) + 0.5
    colored[0, 0] += board(16, 16, 0.114)
    colored[0, 2] -= board(16, 16, 0.299)  # as bright everywhere
    difference, other = 0.114, 0.114 / 2 + 0.299
    assert np.allclose(high_frequency_energy(colored)[:, :, 0], [[0, difference**2 + other**2]], atol=1e-12)
    grey = np.repeat(0.5 + board(16, 16)[None, None], 3, 1)
    assert np.allclose(high_frequency_energy(grey)[:, :, 0], [[0.01, 0]], atol=1e-12)
    several = np.concatenate([grey[:, :1], 0 * grey[:, :1]], 1)  # two channels that are no colors
    assert np.allclose(high_frequency_energy(several)[:, :, 0], [[0.005]], atol=1e-12)


def test_what_is_constant_smooth_or_unseen_is_as_fine_as_the_same() -> None:
    flat = np.full((3, 3, 16, 16), 0.7)
    assert [found.value for found in high_frequency_ratio(flat, flat).values()] == [1.0, 1.0, 1.0]
    slope = np.linspace(0, 1, 16)[None, None, None].repeat(16, 2)
    assert high_frequency_energy(slope)[..., 0].max() < 1e-4
    faint = high_frequency_ratio(flat + board(16, 16, LEVEL), flat)["brightness"].value
    assert faint == pytest.approx(2)  # one level of 8 bits, as much as counts as nothing


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 9)])
def test_of_few_pixels_a_side_there_is_no_high_frequency(shape: tuple[int, int]) -> None:
    assert np.isfinite(high_frequency_energy(noise(2, 1, *shape))).all()
    assert not high_frequency_energy(noise(2, 1, min(shape), min(shape))).any()


def test_numbers_and_errors_of_any_kind_of_array() -> None:
    x = noise(5, 3, 9, 16)
    as_tensor = high_frequency_energy(torch.from_numpy(x))
    assert np.array_equal(as_tensor, high_frequency_energy(x))
    assert np.allclose(np.concatenate([high_frequency_energy(x[i : i + 1]) for i in range(5)]), as_tensor, rtol=1e-12)
    assert high_frequency_ratio(x[:1], x)["color"].error == float("inf")
    with pytest.raises(ValueError, match="whole numbers"):
        high_frequency_energy(np.zeros((1, 1, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="not finite"):
        high_frequency_energy(np.full((1, 1, 8, 8), np.nan))
    with pytest.raises(ValueError, match=r"wanted \(N, C, H, W\)"):
        high_frequency_energy(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="and images of shape"):
        high_frequency_ratio(x, x[:, :1])
    with pytest.raises(ValueError, match="no images"):
        energy_ratios(np.zeros((0, 1, 2)), np.zeros((3, 1, 2)))


def sheet(step: int, t: float, **ratios: tuple[float | None, float | None]) -> dict[str, Any]:
    return {"event": "samples", "step": step, "t": t, "high_frequency": {name: list(r) for name, r in ratios.items()}}


def spoken(*events: dict[str, Any]) -> list[dict[str, Any]]:
    watch = Watch()
    found = [finding for event in events for finding in watch.look(event)]
    return [finding for finding in found if finding["rule"] == "checkerboard artifacts"]


def test_the_watch_speaks_of_two_sheets_with_too_much() -> None:
    bad = {"brightness": (1.52, 0.12), "color": (7.99, 0.61)}
    found = spoken(sheet(500, 0.2, **bad), sheet(600, 0.25, **bad))
    assert [finding["step"] for finding in found] == [600]
    assert "8.0 ± 0.6 times the high-frequency energy of color" in found[0]["evidence"]
    grey = spoken(sheet(500, 0.2, brightness=(3.0, 0.5)), sheet(600, 0.25, brightness=(2.9, 0.5)))
    assert "2.9 ± 0.5 times the high-frequency energy of held-out" in grey[0]["evidence"]


def test_the_watch_waits_and_takes_back() -> None:
    bad, good = {"brightness": (3.0, 0.1), "color": (9.0, 1.0)}, {"brightness": (1.1, 0.1), "color": (1.2, 0.3)}
    assert not spoken(sheet(1, 0.1, **bad), sheet(2, 0.19, **bad), sheet(3, 0.3, **good))  # too early
    assert not spoken(sheet(1, 0.3, **bad), sheet(2, 0.4, **good), sheet(3, 0.5, **bad))  # never twice
    assert not spoken(*(sheet(i, 0.3 + i / 10, brightness=(2.4, 0.5), color=(5.2, 4.0)) for i in range(3)))  # uncertain
    assert not spoken(*(sheet(i, 0.3 + i / 10, brightness=(2.4, None), color=(None, None)) for i in range(3)))
    assert not spoken({"event": "samples", "step": 5, "file": "x.png"}, {"event": "samples", "step": 6})  # of before
    watch = Watch()
    for i in range(3):
        watch.look(sheet(i, 0.3 + i / 10, **bad))
    assert "checkerboard artifacts" in watch.standing
    watch.look(sheet(9, 0.9, **good))
    assert "checkerboard artifacts" not in watch.standing
