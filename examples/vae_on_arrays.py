"""A VAE on arrays in memory: train, draw, encode, walk between two images, find the odd one out.

python examples/vae_on_arrays.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import seisei


def main() -> None:
    digits = np.round(load_digits().images / 16 * 255).astype(np.uint8)  # (1797, 8, 8)
    folder = Path(tempfile.mkdtemp())
    run = seisei.train("vae", digits, latent=8, steps=300, output=folder / "digits", report=False)

    drawn = run.sample(16, seed=1)
    latents = run.encode(digits[:100])
    walk = run.interpolate(digits[:2], steps=5)
    print(f"drew {len(drawn)} images of {drawn[0].shape}, encoded 100 of them as {latents.shape}")
    print(f"walked from one to another in {len(walk[0])} steps")

    odd = digits[:20].copy()
    odd[7] = 255 - odd[7]
    found = run.score(odd, importance_samples=50)
    print(f"the least likely of 20 images is number {found.nats.argmin()} ({found.meaning})")


if __name__ == "__main__":
    main()
