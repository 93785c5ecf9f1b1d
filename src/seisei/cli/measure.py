"""`encode`, `score`, `evaluate`: numbers out of a trained model."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seisei.cli import codes
from seisei.cli.output import plain, target
from seisei.cli.results import load, out, say
from seisei.cli.train import score_lines

if TYPE_CHECKING:
    from seisei.api import Run
    from seisei.data.dataset import Dataset

SHOWN = 20


def encode(
    run: str,
    input: str,
    *,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write the latent of every picture to a file.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A picture, a folder, or any data that `train` reads.
        output: A .npz, .csv or .parquet file; by default a .npz file in the folder out of the run.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        max_pixels: A picture that declares more is refused.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = load(run, "encode")
    place = target(output, out(loaded, f"codes-{plain(input)}.npz"), suffixes=codes.SUFFIXES, overwrite=overwrite)
    data = loaded.read(input, resize=resize, convert=convert, max_pixels=max_pixels)
    found = codes.Codes(loaded.pipeline.encode(data), data.names, loaded.pipeline.digest, _labels(loaded, data))
    say(place.write(codes.to_bytes(found, place.path.suffix.lower())), json)


def score(
    run: str,
    input: str,
    *,
    samples: int = 100,
    seed: int = 0,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """How likely pictures are under the model.

    The log-likelihood of each, or a bound on it, in nats and in bits per dimension.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A picture, a folder, or any data that `train` reads.
        samples: Importance samples K behind each: more give a tighter bound, and take longer.
        seed: Of the noise.
        output: A .csv file with a row for each picture.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        max_pixels: A picture that declares more is refused.
        overwrite: Replace what is there.
        json: Print every score as JSON.
    """
    from seisei.evaluation.likelihood import mean_and_error

    loaded = load(run, "score")
    place = None if output is None else target(output, output, suffixes=(".csv",), overwrite=overwrite)
    data = loaded.read(input, resize=resize, convert=convert, max_pixels=max_pixels)
    found = loaded.pipeline.score(data, samples=samples, seed=seed)
    (nats, nats_error), (bits, bits_error) = mean_and_error(found.nats), mean_and_error(found.bits)
    rows = [(name, float(a), float(b)) for name, a, b in zip(data.names, found.nats, found.bits, strict=True)]
    if place is not None:
        quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set(',"') else name for name, _, _ in rows]
        lines = [
            "name,nats,bits_per_dimension",
            *(f"{n},{a:.6f},{b:.6f}" for n, (_, a, b) in zip(quoted, rows, strict=True)),
        ]
        place.write(("\n".join(lines) + "\n").encode())
    if json:
        mean = {"nats": nats, "nats_error": _finite(nats_error), "bits": bits, "bits_error": _finite(bits_error)}
        scores = [{"name": name, "nats": a, "bits_per_dimension": b} for name, a, b in rows]
        print(
            json_.dumps(
                {"bound": found.bound, "samples": samples, "meaning": found.meaning, "mean": mean, "scores": scores}
            )
        )
        return
    width = max(len("name"), *(len(name) for name, _, _ in rows[:SHOWN]))
    print(f"{'name'.ljust(width)}  {'nats':>10}  bits per dimension")
    for name, a, b in rows[:SHOWN]:
        print(f"{name.ljust(width)}  {a:10.2f}  {b:.4f}")
    if len(rows) > SHOWN:
        print(f"… {len(rows) - SHOWN:,} more" + ("" if place else ": write them all with -o scores.csv"))
    print(
        f"\nmean of {len(rows):,}: {nats:.3f} ± {nats_error:.3f} nats, {bits:.4f} ± {bits_error:.4f} bits per dimension"
    )
    print(found.meaning)
    if place is not None:
        print(place.path)


def evaluate(
    run: str,
    *,
    data: str | None = None,
    split: str = "test",
    samples: int = 100,
    most: int = 10_000,
    seed: int = 0,
    save: bool = False,
    json: bool = False,
) -> None:
    """The scores of a model on held-out pictures.

    Nothing is written without --save.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        data: Other data than those of the run.
        split: The part of the data.
        samples: Importance samples behind each likelihood.
        most: Pictures looked at, at most.
        seed: Of the noise.
        save: Keep the scores with the run, and write its report anew.
        json: Print the scores as JSON.
    """
    loaded = load(run, "evaluate")
    if save:
        target(loaded.path / "scores.json", loaded.path, suffixes=(".json",), overwrite=True, codes=("E-EVA-23",) * 3)
    found = loaded.evaluate(data, split=split, samples=samples, most=most, seed=seed)
    if save:
        from seisei.evaluation.report import write_report

        loaded.folder.write("scores.json", found)
        write_report(loaded.path)
    print(json_.dumps(found, ensure_ascii=False) if json else "\n".join(score_lines(found)))
    if save and not json:
        print(loaded.report)


def _labels(run: Run, data: Dataset) -> list[str] | None:
    names = getattr(run.pipeline.schema.y, "names", None)
    return None if data.y is None or names is None or not run.pipeline.classes else [names[int(i)] for i in data.y]


def _finite(value: float) -> float | None:
    return value if value == value else None
