"""Paintings of nothing, drawn by a program: eight manners, each in colors of its own, for what takes a style image.

Oils are short strokes along a stream; dots and pen are what they say; woodcuts are bands of ink; mosaics have grout;
facets are flat shapes over each other; washes are wet color on paper; and rings are bands of many colors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Field = NDArray[np.float64]
Random = np.random.Generator
# In a palette, and the pixels for one stroke or dot, by how wide it is.
COLORS, COVER = 5, 0.12


def soft(random: Random, side: int, scale: float) -> Field:
    """A smooth field, (side, side), of mean 0 and deviation 1, whose hills are about so many pixels wide."""
    noise = np.fft.rfft2(random.normal(size=(side, side)))
    down, over = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    found = np.fft.irfft2(noise * np.exp(-2 * (np.pi * scale / 3) ** 2 * (down**2 + over**2)), s=(side, side))
    field: Field = (found - found.mean()) / found.std()
    return field


def palette(random: Random) -> Field:
    """Colors that go together, (COLORS, 3), from dark to light."""
    hue, turn = random.uniform(0, 1), random.choice([0.08, 0.33, 0.5])
    hues = (hue + turn * random.integers(0, 2, COLORS) + random.normal(0, 0.03, COLORS)) % 1
    light = np.linspace(0.15, 0.95, COLORS) + random.normal(0, 0.03, COLORS)
    strong = random.uniform(0.35, 0.95, COLORS)
    waves = np.clip(np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    found: Field = 255 * np.clip(light[:, None] * (1 - strong[:, None] * (1 - waves)), 0, 1)
    return found


def colored(colors: Field, field: Field) -> Field:
    """The colors of a palette for values of a field, mixed with their neighbors."""
    at = np.clip((field + 1.5) / 3, 0, 1) * (COLORS - 1)
    low = np.minimum(at.astype(int), COLORS - 2)
    share = (at - low)[..., None]
    found: Field = colors[low] * (1 - share) + colors[low + 1] * share
    return found


def _marks(random: Random, side: int, long: float, wide: float) -> Pixels:
    """Strokes along a stream, or dots where they are as long as wide."""
    colors, field = palette(random), soft(random, side, side / 5)
    turn = np.pi * soft(random, side, side / 3)
    canvas = Image.fromarray(colored(colors, field).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(side * side / (COVER * max(1.0, long) * wide * 8))):
        y, x = random.integers(0, side, 2)
        color = colored(colors, np.array(field[y, x] + random.normal(0, 0.5)))
        color = np.clip(color + random.normal(0, 14, 3), 0, 255).astype(int)
        if long <= wide:
            pen.ellipse([x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2], fill=tuple(color))
            continue
        way = turn[y, x] + random.normal(0, 0.15)
        across, down = long / 2 * np.cos(way), long / 2 * np.sin(way)
        pen.line([x - across, y - down, x + across, y + down], fill=tuple(color), width=max(1, round(wide)))
    return np.asarray(canvas)


def oils(random: Random, side: int) -> Pixels:
    """Short strokes along a stream."""
    return _marks(random, side, side * random.uniform(0.05, 0.09), side * random.uniform(0.012, 0.02))


def dots(random: Random, side: int) -> Pixels:
    """Dots beside and over each other."""
    return _marks(random, side, 0, side * random.uniform(0.018, 0.03))


def pen(random: Random, side: int) -> Pixels:
    """Lines one way on paper, and across where it is darker."""
    down, over = np.mgrid[:side, :side]
    dark, apart = soft(random, side, side / 5), random.uniform(5, 8)
    paper, ink = random.uniform([225, 215, 190], [250, 245, 235]), random.uniform([10, 10, 20], [70, 50, 90])
    shown = np.zeros((side, side), bool)
    for least, way in ((-0.6, random.uniform(0.5, 1.0)), (0.4, random.uniform(2.0, 2.6)), (1.2, 0.0)):
        bent = over * np.cos(way) + down * np.sin(way) + 1.5 * soft(random, side, side / 6)
        shown |= (bent % apart < 1.6) & (dark > least)
    return np.where(shown[..., None], ink, paper).astype(np.uint8)


def woodcut(random: Random, side: int) -> Pixels:
    """Bands of ink along hills, wide and narrow."""
    hills, weight = soft(random, side, side / 4), soft(random, side, side / 4)
    bands = np.sin(hills * random.uniform(14, 22)) > 0.6 * weight
    paper, ink = random.uniform([215, 200, 160], [250, 245, 225]), random.uniform([10, 10, 10], [60, 30, 40])
    return np.where(bands[..., None], ink, paper).astype(np.uint8)


def mosaic(random: Random, side: int) -> Pixels:
    """Stones in grout."""
    step = int(side * random.uniform(0.035, 0.055))
    grid = np.mgrid[: side + step : step, : side + step : step].reshape(2, -1).T
    stones = grid + random.uniform(-0.35, 0.35, grid.shape) * step
    down, over = np.mgrid[:side, :side]
    apart = (down.reshape(-1, 1) - stones[:, 0]) ** 2 + (over.reshape(-1, 1) - stones[:, 1]) ** 2
    two = np.argpartition(apart, 1, 1)[:, :2]
    near, next_ = np.sqrt(np.sort(np.take_along_axis(apart, two, 1), 1)).T
    field = soft(random, side, side / 4)
    at = np.clip(stones, 0, side - 1).astype(int)
    colors = colored(palette(random), field[at[:, 0], at[:, 1]] + random.normal(0, 0.35, len(stones)))
    own = two[np.arange(len(two)), np.take_along_axis(apart, two, 1).argmin(1)]
    found = np.where((next_ - near < 1.8)[:, None], random.uniform(20, 60, 3), colors[own])
    return np.clip(found, 0, 255).astype(np.uint8).reshape(side, side, 3)


def facets(random: Random, side: int) -> Pixels:
    """Flat shapes over each other, dark at their edges."""
    colors = palette(random)
    canvas = Image.fromarray(colored(colors, soft(random, side, side / 2)).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for _ in range(160):
        middle, size = random.uniform(0, side, 2), side * random.uniform(0.05, 0.16)
        ways = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 6))))
        corners = middle + size * np.stack([np.cos(ways), np.sin(ways)], 1)
        color = colored(colors, np.array(random.normal(0, 1.0))).astype(int)
        pen.polygon([tuple(c) for c in corners], fill=tuple(color), outline=(25, 20, 30))
    return np.asarray(canvas)


def wash(random: Random, side: int) -> Pixels:
    """Wet color with darker rims, on grained paper."""
    colors, field = palette(random), soft(random, side, side / 7)
    levels = np.round(1.5 * field) / 1.5
    rims = sum(np.abs(slope) for slope in np.gradient(levels)) > 0
    soft_rims = np.asarray(Image.fromarray((255 * rims).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2)))
    grain = 6 * soft(random, side, 2)
    found = 0.75 * colored(colors, 0.7 * levels + 0.3 * field) + 0.25 * 250 + grain[..., None]
    return np.clip(found - 0.35 * soft_rims[..., None], 0, 255).astype(np.uint8)


def rings(random: Random, side: int) -> Pixels:
    """Bands of many colors around two middles."""
    down, over = np.mgrid[:side, :side]
    middles = random.uniform(-0.2, 1.2, (2, 2)) * side
    far = np.minimum(*(np.hypot(down - y, over - x) for y, x in middles)) + side / 40 * soft(random, side, side / 8)
    wide = side * random.uniform(0.03, 0.05)
    kinds = random.permutation(200) % COLORS
    found = palette(random)[kinds[(far / wide).astype(int).clip(0, 199)]]
    found[np.abs(far / wide - np.round(far / wide)) < 0.12] = 30
    return found.astype(np.uint8)


MANNERS: tuple[Callable[[Random, int], Pixels], ...] = (oils, dots, pen, woodcut, mosaic, facets, wash, rings)


def paintings(count: int, side: int, seed: int) -> Pixels:
    """So many paintings, (count, side, side, 3), one manner after the other."""
    random = np.random.default_rng(seed)
    return np.stack([MANNERS[i % len(MANNERS)](random, side) for i in range(count)])
