"""Tiny runs made by the command line itself, once a process, and ways to damage copies of them."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load, save

from seisei.cli.main import main
from seisei.modalities.image_io import save_png
from seisei.workflows import train as workflow

STEPS = 30
TINY = ["--latent", "4", "--network", "mlp", "--width", "16", "--depth", "1", "--batch", "32"]
PAIRS = ["--width", "8", "--downsample", "2", "--batch", "4"]


@functools.cache
def home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seisei-cli-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def trained(kind: str = "vae") -> Path:
    """A finished run: of the digits as a vae, as an autoencoder, told the label; of a folder of images; of pairs."""
    words = {
        "vae": ["vae", "digits"],
        "autoencoder": ["autoencoder", "digits"],
        "conditional": ["vae", "digits", "--condition", "label"],
        "folder": ["vae", str(images())],
        "pairs": ["pix2pix", str(pairs()), *PAIRS],
        "maps": ["pix2pix", str(pairs()), *PAIRS, "--label-map"],
    }[kind]
    path = home() / "runs" / kind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow.Every, "of", lambda steps: workflow.Every(log=10, check=30, save=15))
        report = [] if kind == "vae" else ["--no-report"]
        batch = ["--batch", "8"] if kind == "folder" else []
        dials = [d for d in TINY if not (batch and d in ("--batch", "32"))] if kind not in ("pairs", "maps") else []
        main(["train", *words, "--steps", str(STEPS), *dials, *batch, "-o", str(path), *report])
    return path


@functools.cache
def images(count: int = 40) -> Path:
    """A folder of small gray images that differ."""
    folder = home() / f"images-{count}"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for i in range(count):
        save_png(folder / f"{i:03d}.png", noise.integers(0, 256, (8, 8), np.uint8))
    return folder


@functools.cache
def pairs(count: int = 20) -> Path:
    """Gray images of a few tones, and beside each one in color."""
    folder, noise = home() / ("pairs" if count == 20 else f"pairs-{count}"), np.random.default_rng(0)
    for side in "ab":
        (folder / side).mkdir(parents=True)
    for i in range(count):
        gray = np.repeat(np.repeat(noise.integers(0, 4, (4, 4), np.uint8) * 60, 4, 0), 4, 1)
        save_png(folder / "a" / f"{i:02d}.png", gray)
        save_png(folder / "b" / f"{i:02d}.png", np.stack([gray, 255 - gray, gray // 2], -1))
    return folder


@functools.cache
def codes() -> Path:
    path = home() / "codes.npz"
    main(["encode", str(trained()), str(images()), "-o", str(path)])
    return path


def copy(run: Path, to: Path, *, checkpoints: int = 1) -> Path:
    """A copy of a run with its newest checkpoints only."""
    shutil.copytree(run, to)
    for old in sorted((to / "checkpoints").iterdir())[:-checkpoints]:
        shutil.rmtree(old)
    return to


def newest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir())


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def unsealed(run: Path) -> Path:
    """The run as it was written before manifests had the SHA-256 of recipe.json and schema.json."""
    for manifest in run.glob("checkpoints/*/manifest.json"):
        edit_json(manifest, lambda content: content.pop("run") and None)
    return run


def rewrite(run: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file of the newest checkpoint, and its manifest so that it matches."""
    path = newest(run) / name
    content = change(path.read_bytes())
    path.write_bytes(content)

    def matching(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    edit_json(path.parent / "manifest.json", matching)


def retensor(run: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the tensors of a file of the newest checkpoint, and its manifest so that it matches."""

    def work(content: bytes) -> bytes:
        tensors = load(content)
        change(tensors)
        return save(tensors)

    rewrite(run, name, work)


def with_header(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A safetensors file with another header."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def tree(*folders: Path) -> str:
    """A hash of every name and content."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            digest.update(str(path).encode())
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()
