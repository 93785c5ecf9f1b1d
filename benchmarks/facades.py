"""Fronts of houses, drawn by a program: a map of what is where, and an image of it.

A map says of each pixel whether it is sky, roof, wall, window, door, tree or ground. An image has the colors of one
house, its bricks, the light of a day and some noise: of one map there are many, and none is an average.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SKY, ROOF, WALL, WINDOW, DOOR, TREE, GROUND = range(7)
COLORS = np.array(
    [[70, 130, 180], [120, 40, 30], [200, 180, 140], [40, 40, 90], [110, 70, 30], [40, 120, 50], [128, 128, 128]],
    np.uint8,
)
Map = NDArray[np.int64]
Pixels = NDArray[np.uint8]


def layout(random: np.random.Generator, side: int) -> Map:
    """What is where, (side, side)."""
    found = np.full((side, side), SKY)
    ground, top = int(side * random.uniform(0.82, 0.92)), int(side * random.uniform(0.15, 0.4))
    left, right = int(side * random.uniform(0.05, 0.2)), int(side * random.uniform(0.75, 0.95))
    found[ground:] = GROUND
    found[top:ground, left:right] = WALL
    middle, height = (left + right) / 2, int(side * random.uniform(0.08, 0.2))
    for row in range(max(0, top - height), top):
        half = (right - left) / 2 * (1.1 * (row - top + height + 1) / height)
        found[row, max(0, int(middle - half)) : int(middle + half)] = ROOF
    floors, across = int(random.integers(1, 4)), int(random.integers(2, 5))
    tall, wide = (ground - top) / (floors + 0.5), (right - left) / across
    for floor in range(floors):
        for place in range(across):
            a, b = int(top + tall * (floor + 0.25)), int(left + wide * (place + 0.25))
            found[a : a + max(2, int(tall * 0.5)), b : b + max(2, int(wide * 0.5))] = WINDOW
    at = int(left + wide * random.integers(0, across) + wide * 0.2)
    found[int(ground - tall * 0.55) : ground, at : at + max(3, int(wide * 0.6))] = DOOR
    if random.random() < 0.6:
        down, over = np.mgrid[:side, :side]
        x, y, r = random.uniform(0, side), ground - side * random.uniform(0.1, 0.2), side * random.uniform(0.08, 0.16)
        found[(over - x) ** 2 + (down - y) ** 2 < r**2] = TREE
        found[int(y) : ground, max(0, int(x) - 1) : int(x) + 2] = TREE
    return found


def image(random: np.random.Generator, where: Map) -> Pixels:
    """An image of it, (side, side, 3)."""
    side = len(where)
    down, over = np.mgrid[:side, :side]
    base = {
        SKY: np.array([150, 190, 235]) + random.normal(0, 10, 3), ROOF: random.uniform([90, 30, 20], [170, 90, 70]),
        WALL: random.uniform([140, 90, 70], [235, 225, 205]), WINDOW: random.uniform([30, 40, 60], [90, 110, 140]),
        DOOR: random.uniform([40, 20, 10], [160, 110, 90]), TREE: random.uniform([20, 70, 20], [70, 140, 60]),
        GROUND: random.uniform([80, 80, 80], [150, 145, 140]),
    }  # fmt: skip
    seen = np.stack([base[k] for k in range(7)])[where].astype(np.float64)
    bricks = (down % 4 == 0) | ((over + (down // 4 % 2) * 3) % 6 == 0)
    tiles = (down + (over // 3) % 2 * 2) % 4 == 0
    leaves = random.random((side, side)) < 0.35
    for kind, mask, by in ((WALL, bricks, -22), (ROOF, tiles, -25), (TREE, leaves, 30), (GROUND, leaves, -12)):
        seen[(where == kind) & mask] += by
    seen[where == SKY] += (40 * (0.5 - down / side))[where == SKY][:, None]
    shine = (over - down + random.integers(0, 12)) % 12 < 3
    seen[(where == WINDOW) & shine] += 70
    seen[(where == DOOR) & (over % 5 == 0)] -= 20
    light = 1 + random.uniform(-0.15, 0.15) * (over / side - 0.5)[..., None]
    return np.clip(seen * light + random.normal(0, 4, seen.shape), 0, 255).astype(np.uint8)


def pairs(count: int, side: int, seed: int) -> tuple[Pixels, Pixels, Map]:
    """Maps in colors and images, (count, side, side, 3) both, and the maps as class numbers."""
    random = np.random.default_rng(seed)
    maps = np.stack([layout(random, side) for _ in range(count)])
    return COLORS[maps], np.stack([image(random, where) for where in maps]), maps
