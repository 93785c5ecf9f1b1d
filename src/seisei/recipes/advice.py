"""Which recipe and dials suit a data set: said by `check`, in the form of commands."""

from __future__ import annotations

from seisei.data.dataset import Dataset
from seisei.modalities.image import Image
from seisei.modalities.label import Label


def advice(data: Dataset) -> list[dict[str, str]]:
    """Commands to start with, each with its reason.

    Returns:
        Dictionaries with ``command`` and ``why``.
    """
    image = data.schema.x
    assert isinstance(image, Image)
    where, count = str(data.report["root"]), len(data.splits["train"])
    latent = 16 if image.values <= 256 else 32 if image.values <= 1024 else 64 if image.values <= 12_288 else 128
    steps = 3000 if count < 5_000 else 10_000 if count < 50_000 else 20_000
    batch = min(64, 1 << max(0, count.bit_length() - 1))
    size = f"{image.width}×{image.height}"
    dials = f"--latent {latent} --steps {steps}" + (f" --batch {batch}" if batch < 64 else "")
    found = [
        {
            "command": f"seisei train vae {where} {dials}",
            "why": f"{count} training pictures of {size}: {latent} numbers a picture, new pictures and a likelihood",
        }
    ]
    if isinstance(data.schema.y, Label):
        why = f"{data.schema.y.classes} kinds were found: choose the kind when sampling"
        found.append({"command": f"seisei train vae {where} {dials} --condition label", "why": why})
    if count < 500:
        why = f"{count} pictures are few for drawing new ones; an autoencoder compresses them, and less can go wrong"
        found.append({"command": f"seisei train autoencoder {where} {dials}", "why": why})
    return found
