"""`encode`, `score`, `evaluate`: numbers out of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seisei.cli import codes
from seisei.cli.output import plain, target
from seisei.cli.progress import shown_progress
from seisei.cli.results import load, out, say
from seisei.cli.rows import table_bytes
from seisei.cli.terminal import echo, echo_json, shown
from seisei.cli.train import score_lines

if TYPE_CHECKING:
    from seisei.api import Run
    from seisei.data.read import Dataset

SHOWN = 20


def encode(
    run: str,
    input: str,
    *,
    output: Path | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Encode images: write the latent vector, or the codes, of every image to a file.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        output: Output .npz, .csv or .parquet file; by default a .npz file in RUN/out.
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        overwrite: Overwrite an existing file or folder.
        json: Print the path as JSON.
    """
    loaded = load(run, "encode")
    place = target(output, out(loaded, f"codes-{plain(input)}.npz"), suffixes=codes.SUFFIXES, overwrite=overwrite)
    data = loaded.read(input, fit=fit, convert=convert, max_pixels=max_pixels, verb="encode")
    found = codes.Codes(loaded.pipeline.encode(data), data.names, loaded.pipeline.digest, _labels(loaded, data))
    say(place.write(codes.to_bytes(found, place.path.suffix.lower())), json)
    if loaded.pipeline.bits is not None and not json:
        echo(f"{found.z.shape[1]:,} codes an image, {loaded.pipeline.bits:,.0f} bits")


def score(
    run: str,
    input: str,
    *,
    importance_samples: int = 100,
    seed: int = 0,
    unseen: Literal["refuse", "missing"] = "refuse",
    output: Path | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Score images, rows or texts by their log-likelihood: outliers get low scores.

    The log-likelihood of each, or a lower bound on it, in nats, and in bits per dimension where that is meaningful. A
    generative
    classifier gives log p(x), and log p(x, y) for labeled input.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        importance_samples: Importance samples per example: more give a tighter bound, and take longer.
        seed: Random seed of the importance samples; exact likelihoods do not depend on it.
        unseen: Categories that were not in the training data: refuse them, or read them as missing.
        output: Output .csv file with a line per example.
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        overwrite: Overwrite an existing file or folder.
        json: Print all scores as JSON.
    """
    from seisei.metrics.likelihood import mean_and_error

    loaded = load(run, "score")
    place = None if output is None else target(output, output, suffixes=(".csv",), overwrite=overwrite)
    data = loaded.read(input, fit=fit, convert=convert, max_pixels=max_pixels, verb="score", unseen=unseen)
    loaded.check_samples(importance_samples)
    found = loaded.pipeline.score(data, samples=importance_samples, seed=seed)
    bits_per = f"bits_per_{found.per}"
    names = (
        ["nats"] + (["nats_joint"] if found.joint is not None else []) + ([bits_per] if found.bits is not None else [])
    )
    values = {"nats": found.nats, "nats_joint": found.joint, bits_per: found.bits}
    columns = {name: value for name in names if (value := values[name]) is not None}
    rows: list[dict[str, Any]] = [
        {"name": name, **{key: _finite(float(value[i])) for key, value in columns.items()}}
        for i, name in enumerate(data.names)
    ]
    if place is not None:
        place.write(table_bytes(rows, ".csv"))
    (nats, error) = mean_and_error(found.nats)
    if json:
        mean: dict[str, float | None] = {"nats": nats, "nats_error": _finite(error)}
        if found.bits is not None:
            bits, bits_error = mean_and_error(found.bits)
            mean |= {"bits": bits, "bits_error": _finite(bits_error)}
        told = {
            "bound": found.bound,
            "importance_samples": importance_samples,
            "meaning": found.meaning,
            "mean": mean,
            "scores": rows,
        }
        echo_json(told)
        return
    width = max(len("name"), *(len(shown(row["name"])) for row in rows[:SHOWN]))
    heads = {"nats": "nats", "nats_joint": "with its label", bits_per: f"bits per {found.per}"}
    echo("  ".join([f"{'name'.ljust(width)}", *(heads[key].rjust(14) for key in columns)]))
    for row in rows[:SHOWN]:
        cells = ((_digits(row[key], 4) or "–").rjust(14) for key in columns)
        echo("  ".join([shown(row["name"]).ljust(width), *cells]))
    if len(rows) > SHOWN:
        echo(f"… {len(rows) - SHOWN:,} more" + ("" if place else ": write them all with -o scores.csv"))
    summary = f"mean of {len(rows):,}: {nats:.3f}{_give_or_take(error, 3)} nats"
    if found.bits is not None:
        bits, bits_error = mean_and_error(found.bits)
        summary += f", {bits:.4f}{_give_or_take(bits_error, 4)} bits per {found.per}"
    echo("", summary, found.meaning)
    if place is not None:
        echo(place.path)


def evaluate(
    run: str,
    *,
    data: str | None = None,
    split: str | None = None,
    importance_samples: int = 100,
    limit: int = 10_000,
    seed: int = 0,
    cas: bool = False,
    inception: Path | None = None,
    save: bool = False,
    json: bool = False,
) -> None:
    """Evaluate a model on held-out data.

    Nothing is written without --save.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        data: Evaluate on other data than the run's own.
        split: Split to evaluate; by default test, or validation where there is no test data.
        importance_samples: Importance samples per likelihood.
        limit: Maximum number of examples.
        seed: Random seed of samples and importance samples; other scores do not depend on it.
        cas: Classification accuracy score: also train a classifier on samples of a class-conditional model and test
            it on real data.
        inception: Weights of Inception-v3, a .safetensors file, for Fréchet distances in its features (FID).
        save: Save the scores with the run and update its report.
        json: Print the scores as JSON.
    """
    loaded = load(run, "evaluate")
    if save:
        target(loaded.path / "scores.json", loaded.path, suffixes=(".json",), overwrite=True, codes=("E-EVA-23",) * 3)
    with shown_progress("computing scores"):
        found = loaded.evaluate(
            data,
            split=split,
            importance_samples=importance_samples,
            limit=limit,
            seed=seed,
            cas=cas,
            inception=inception,
        )
    if save:
        from seisei.report.run_report import write_report

        loaded.folder.write("scores.json", found)
        write_report(loaded.path)
    # What its distances are measured in, which score_lines tells where they come first.
    told = [f"  {score['note']}" for score in found["scores"][1:] if score["name"] == "Fréchet distance"]
    echo_json(found) if json else echo(*score_lines(found), *told)
    if save and not json:
        echo(loaded.report)


def _labels(run: Run, data: Dataset) -> list[str] | None:
    names = getattr(run.pipeline.schema.y, "names", None)
    return None if data.y is None or names is None or not run.pipeline.classes else [names[int(i)] for i in data.y]


def _digits(value: Any, count: int) -> str:
    """A number with so many decimals, nothing for None, a name as it is."""
    return value if isinstance(value, str) else "" if value is None else f"{value:.{count}f}"


def _give_or_take(error: float, count: int) -> str:
    """A standard error after its number; nothing where there is none, as of one example."""
    return "" if error != error else f" ± {error:.{count}f}"


def _finite(value: float) -> float | None:
    return value if value == value else None
