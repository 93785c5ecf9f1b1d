"""What the verbs of a trained model share: loading it, and turning images into files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seisei.cli.runs import find_run
from seisei.cli.terminal import echo, echo_json, tell

if TYPE_CHECKING:
    from seisei.api import Run

PNG = (".png",)


def load(given: str, verb: str) -> Run:
    """The run, with its model loaded, once it is known to offer the verb."""
    from seisei import api

    loaded = api.load(find_run(given))
    for note in loaded.pipeline.notes:
        tell(f"note: {note}")
    if verb != "evaluate":
        loaded.pipeline.need(verb)
    return loaded


def out(run: Run, name: str) -> Path:
    """The place in the run for a result that is given none."""
    return run.path / "out" / name


def origin(run: Run) -> dict[str, str]:
    """What an image says of the model that made it."""
    import seisei

    return {"Software": f"seisei {seisei.__version__}", "model": run.pipeline.digest, "run": run.path.name}


def sheet(images: list[Any], columns: int | None, marks: dict[str, str]) -> bytes:
    """A grid as PNG, with what made it inside."""
    from seisei.modalities.image_io import png_bytes
    from seisei.modalities.pixels import grid

    return png_bytes(grid(images, columns), {k: v for k, v in marks.items() if v})


def pngs(names: list[str], images: list[Any], marks: dict[str, str]) -> list[tuple[str, bytes]]:
    """A PNG for each image, by name."""
    from seisei.modalities.image_io import png_bytes
    from seisei.modalities.pixels import shown

    return [
        (name, png_bytes(shown(p), {k: v for k, v in marks.items() if v}))
        for name, p in zip(names, images, strict=True)
    ]


def file_names(names: list[str]) -> list[str]:
    """A PNG's name for each image: its own, below the folder, and unlike the others."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        path = Path(name.replace(":", "-")).with_suffix("")
        # An image that was given by itself, wherever it lies, has no folder of its own among the results.
        parts = [path.name] if path.is_absolute() else [part for part in path.parts if part not in ("..", ".")]
        base = "/".join(parts) or "image"
        tried, count = base, 1
        while tried.casefold() in taken:
            count += 1
            tried = f"{base}-{count}"
        taken.add(tried.casefold())
        found.append(f"{tried}.png")
    return found


def transparent(name: str, conversions: Iterable[str]) -> list[str]:
    """A note where an image was transparent: what is made of it is opaque."""
    over = next((done for done in conversions if done.startswith("transparency over")), None)
    return [] if over is None else [f"note: {name}: the result is opaque: {over}"]


def say(path: Path, json: bool) -> None:
    """Print where the result is."""
    echo_json({"path": str(path)}) if json else echo(path)
