"""Measures of images have known answers. Each main check comes with a mutant that fails it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from seisei.metrics.estimates import Floats
from seisei.metrics.image_similarity import (
    C1,
    C2,
    LEVEL,
    SIGMA,
    Images,
    _window,
    checkerboard,
    colorfulness,
    l1,
    psnr,
    ssim,
)

MEASURES = [l1, psnr, ssim]
ALONE = [checkerboard, colorfulness]


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(size=shape)


def made(c: int, h: int, w: int) -> tuple[Floats, Floats]:
    """An image by formula and a rougher one, (1, c, h, w)."""
    i, j, k = np.indices((c, h, w))
    image = 0.5 + 0.5 * np.sin(0.7 * j + 0.3 * k * (i + 1) + 0.05 * j * k)
    return image[None], np.clip(image + 0.2 * np.cos(1.3 * j - 2.1 * k + i), 0, 1)[None]


def board(h: int, w: int) -> Floats:
    return (1 - 2 * (np.indices((h, w)).sum(0) % 2)).astype(np.float64)[None, None]


# ---- between answers and truths


def test_absolute_and_psnr_by_hand() -> None:
    truth = np.zeros((3, 2, 2, 2))
    answer = truth.copy()
    answer[0] = 0.1
    answer[1, 0, 0, 0] = 0.8
    assert l1(answer, truth).tolist() == pytest.approx([0.1, 0.1, 0])
    assert psnr(answer, truth).tolist() == pytest.approx([20, -10 * math.log10(0.08), 20 * math.log10(510)])
    assert psnr(truth, truth + 1).tolist() == [0, 0, 0]
    assert psnr(truth, truth + 0.5 * LEVEL).tolist() == pytest.approx(psnr(truth, truth).tolist())
    assert psnr(truth, truth + 0.6 * LEVEL)[0] < psnr(truth, truth)[0]


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_of_equal_images_and_both_ways(measure: Callable[[Images, Images], Floats]) -> None:
    x, y = noise(4, 3, 13, 17), noise(4, 3, 13, 17, seed=1)
    best = {l1: 0.0, psnr: 20 * math.log10(510), ssim: 1.0}[measure]
    assert measure(x, x).tolist() == pytest.approx([best] * 4, abs=1e-12)
    assert measure(x, y).tolist() == measure(y, x).tolist()
    assert measure(x[:2], y[:2]).tolist() == measure(x, y)[:2].tolist()


@pytest.mark.parametrize("measure", MEASURES)
def test_arrays_and_tensors_measure_the_same(measure: Callable[[Images, Images], Floats]) -> None:
    x, y = noise(2, 1, 12, 9).astype(np.float32), noise(2, 1, 12, 9, seed=1).astype(np.float32)
    tensors = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)
    assert measure(x, y).tolist() == measure(*tensors).tolist() == measure(x, tensors[1]).tolist()
    half = torch.from_numpy(x).bfloat16()
    assert measure(half, half).shape == (2,)


def test_similarity_of_constants_and_of_scaled_images() -> None:
    for a, b in ((0.2, 0.7), (0.0, 1.0), (0.5, 0.5)):
        x, y = np.full((1, 3, 14, 12), a), np.full((1, 3, 14, 12), b)
        assert ssim(x, y)[0] == pytest.approx((2 * a * b + C1) / (a * a + b * b + C1), abs=1e-9)
    # In a window of one pixel nothing varies, and each place is a constant.
    x, y = noise(1, 1, 1, 5), noise(1, 1, 1, 5, seed=1)
    assert ssim(x, y)[0] == pytest.approx(((2 * x * y + C1) / (x * x + y * y + C1)).mean(), abs=1e-12)


def test_similarity_of_one_window_by_hand() -> None:
    """In an image of 11 × 11 there is one place: means, variances and covariance by the weights of the window."""
    x, y = noise(1, 1, 11, 11), noise(1, 1, 11, 11, seed=1)
    w = np.outer(_window(11), _window(11))
    a, b = (w * x[0, 0]).sum(), (w * y[0, 0]).sum()
    u, v = (w * (x[0, 0] - a) ** 2).sum(), (w * (y[0, 0] - b) ** 2).sum()
    both = (w * (x[0, 0] - a) * (y[0, 0] - b)).sum()
    wanted = (2 * a * b + C1) * (2 * both + C2) / ((a * a + b * b + C1) * (u + v + C2))
    assert ssim(x, y)[0] == pytest.approx(wanted, abs=1e-12)
    even = (x.var() + y.var() + C2) * (x.mean() ** 2 + y.mean() ** 2 + C1)
    shared = ((x - x.mean()) * (y - y.mean())).mean()
    assert abs((2 * x.mean() * y.mean() + C1) * (2 * shared + C2) / even - wanted) > 1e-3  # mutant: even weights


@pytest.mark.parametrize("size", [1, 3, 7, 11])
def test_the_window_is_normal_and_adds_up_to_one(size: int) -> None:
    window = _window(size)
    assert window.sum() == pytest.approx(1, abs=1e-15) and np.array_equal(window, window[::-1])
    middle = size // 2
    assert window[0] / window[middle] == pytest.approx(math.exp(-((middle / SIGMA) ** 2) / 2))


# By scikit-image 0.26: structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
# data_range=1, channel_axis=0), below 11 pixels with its truncation of 3.5 σ at the smaller window; and
# peak_signal_noise_ratio(data_range=1).
OTHERS = {
    (1, 20, 23): (0.9345458985439596, 17.887271525911864),
    (3, 32, 17): (0.9361031718646707, 17.993950298147126),
    (1, 11, 11): (0.934539934941527, 18.040635784109373),
    (3, 9, 14): (0.9362412793493392, 17.982622892233838),
    (1, 8, 8): (0.9269030053169298, 18.13670135643603),
}


@pytest.mark.parametrize("shape", OTHERS)
def test_the_same_as_another_implementation(shape: tuple[int, int, int]) -> None:
    truth, answer = made(*shape)
    assert ssim(answer, truth)[0] == pytest.approx(OTHERS[shape][0], abs=1e-9)
    assert psnr(answer, truth)[0] == pytest.approx(OTHERS[shape][1], abs=1e-9)


# ---- what alternates


def test_what_does_not_alternate() -> None:
    flat = np.full((1, 3, 16, 16), 0.3)
    assert checkerboard(flat).tolist() == [0]
    row = np.linspace(0, 1, 32)
    slope = (row[:, None] + 0.5 * row)[None, None] / 1.5
    assert checkerboard(slope)[0] < 1e-20 and checkerboard(slope.astype(np.float32))[0] < 1e-8
    assert checkerboard((slope * 255).round() / 255)[0] < 0.15, "rounding is no pattern"
    assert checkerboard(0.5 + 0.5 * np.sin(8 * slope))[0] < 0.02
    assert checkerboard(noise(1, 1, 3, 3)).tolist() == [0]


def test_what_alternates() -> None:
    level = LEVEL**2
    # A board of ±A: alternating² = (8 A)² / 20 and no bend.
    for size in (1.0, 0.1, 0.01):
        energy = 64 * size**2 / 20
        assert checkerboard(size * board(12, 15))[0] == pytest.approx(energy / (energy + level))
    # Stripes alternate one way and are constant the other.
    stripes = np.broadcast_to(board(1, 16), (1, 1, 16, 16))
    energy = 64 / 20
    assert checkerboard(stripes)[0] == pytest.approx(energy / (energy + 2 * level))
    assert checkerboard(stripes.swapaxes(2, 3))[0] == checkerboard(stripes)[0]
    # A pattern of period 4 does not: (1, 1, −1, −1) has alternating² 16 / 20 and 0, and bends of 0 and 4, in turns.
    slow = np.tile([1.0, 1, -1, -1], 4)[:15].reshape(1, 1, 1, 15)
    assert checkerboard(slow)[0] == pytest.approx(0.8 / (0.8 + 4 + 2 * level))


def test_noise_and_edges() -> None:
    assert checkerboard(noise(4, 3, 64, 64)) == pytest.approx(0.5, abs=0.02)
    edge = np.zeros((1, 1, 16, 16))
    edge[..., 8:] = 1
    assert checkerboard(edge)[0] == pytest.approx(3 / 8, abs=1e-3)
    assert checkerboard(edge.swapaxes(2, 3))[0] == checkerboard(edge)[0]


def test_a_board_on_an_image_is_seen() -> None:
    """Of a walk at random each step is an edge by itself."""
    walk = np.cumsum(np.cumsum(noise(1, 1, 80, 80) - 0.5, 2), 3)
    walk = (walk - walk.min()) / (walk.max() - walk.min())
    assert checkerboard(walk)[0] == pytest.approx(3 / 8, abs=0.02)
    patterned = walk + 0.03 * board(80, 80)
    assert checkerboard(patterned)[0] > 0.6
    stripes = np.broadcast_to(board(1, 80), (1, 1, 80, 80))
    assert checkerboard(walk + 0.03 * stripes)[0] > 0.5
    corner = [np.square(x[..., 1:, 1:] - x[..., :-1, 1:] - x[..., 1:, :-1] + x[..., :-1, :-1]) for x in (walk, stripes)]
    assert corner[0].sum() > corner[1].sum() == 0  # mutant: filters of 2 × 2 see boards and no stripes


# ---- color


def test_colorfulness_by_hand() -> None:
    gray = np.broadcast_to(noise(2, 1, 6, 7), (2, 3, 6, 7))
    assert colorfulness(gray).tolist() == colorfulness(gray[:, :1]).tolist() == [0, 0]
    red = np.zeros((1, 3, 2, 2))
    red[:, 0] = 1
    assert colorfulness(red)[0] == pytest.approx(0.3 * math.hypot(1, 0.5))
    half = red.copy()
    half[..., 1] = half[..., 1] * 0  # half red, half black: rg is 1 or 0, yb ½ or 0
    assert colorfulness(half)[0] == pytest.approx(math.hypot(0.5, 0.25) + 0.3 * math.hypot(0.5, 0.25))
    blue = red[:, ::-1]
    assert colorfulness(blue)[0] == pytest.approx(0.3)
    faded = 0.5 * half + 0.25
    assert colorfulness(faded)[0] == pytest.approx(colorfulness(half)[0] / 2), "half the color"


# ---- what is refused


@pytest.mark.parametrize("measure", MEASURES + ALONE)
def test_what_makes_no_sense_is_refused(measure: Callable[..., Floats]) -> None:
    good = noise(2, 3, 5, 5)
    bad = good.copy()
    bad[1, 0, 0, 0] = np.nan
    count = 2 if measure in MEASURES else 1
    assert measure(*[good[:0]] * count).shape == (0,)
    for x, said in (
        (bad, "image 1 contains NaN"),
        (good[0], "shape"),
        (good[:, :, :0], "shape"),
        ((good * 255).astype(np.uint8), "divide"),
        (torch.zeros(2, 3, 5, 5, dtype=torch.uint8), "divide"),
    ):
        with pytest.raises(ValueError, match=said) as caught:
            measure(*[x] * count)
        assert "\n" not in str(caught.value)
    if measure in MEASURES:
        with pytest.raises(ValueError, match="outputs have shape"):
            measure(good, good[:1])
    else:
        with pytest.raises(ValueError, match="shape"):
            colorfulness(good[:, :2])
