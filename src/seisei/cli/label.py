"""`predict` and `compare`: labels out of trained classifiers, and which of them is better."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seisei.cli.output import target
from seisei.cli.progress import shown_progress
from seisei.cli.results import load
from seisei.cli.rows import TABLES, table_bytes
from seisei.cli.terminal import echo, echo_json, shown, tell
from seisei.errors import UserError
from seisei.shell import quoted

if TYPE_CHECKING:
    from seisei.metrics.classification import Predictions

SHOWN = 20


def predict(
    run: str,
    input: str,
    *,
    proba: bool = False,
    top: int | None = None,
    min_confidence: float | None = None,
    unseen: Literal["refuse", "missing"] = "refuse",
    seed: int = 0,
    output: Path | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Classify images or table rows.

    A generative model integrates missing cells out exactly; other models are trained to take them.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: A table, an image, a folder, or any data that `train` reads.
        proba: Include the probability of every class, if the model has one.
        top: Give the k most likely classes instead of one.
        min_confidence: Give no label where the model is less confident than this.
        unseen: Categories that were not in the training data: refuse them, or read them as missing.
        seed: Random seed of the importance samples; exact posteriors do not depend on it.
        output: Output .csv or .parquet file with a line per example.
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        overwrite: Overwrite an existing file or folder.
        json: Print everything as JSON.
    """
    loaded = load(run, "predict")
    if min_confidence is not None and not 0 < min_confidence < 1:
        problem = f"{min_confidence:g} is out of range, wanted a probability between 0 and 1"
        raise UserError("E-PRD-24", "--min-confidence", problem, "choose one, such as 0.9", found=min_confidence)
    believes = "probabilities" in loaded.pipeline.knows
    for option, asked in (
        ("--proba", proba),
        ("--top", top is not None),
        ("--min-confidence", min_confidence is not None),
    ):
        if asked and not believes:
            problem = "this model is a discriminant function: it gives a class and no probability"
            raise UserError("E-PRD-08", option, problem, "leave it out, or train discriminative or generative")
    classes = len(loaded.pipeline.schema.y.names)  # type: ignore[union-attr]
    if top is not None and not 1 <= top <= classes:
        problem = f"{top} is out of range, wanted 1 to {classes}"
        raise UserError("E-PRD-23", "--top", problem, f"choose at most {classes}", found=top, wanted=classes)
    place = None if output is None else target(output, output, suffixes=TABLES, overwrite=overwrite)
    data = loaded.read(input, fit=fit, convert=convert, max_pixels=max_pixels, unseen=unseen, verb="predict")
    found = loaded.pipeline.predict(data, seed=seed)
    rows = _rows(found, data.names, proba=proba, top=top, min_confidence=min_confidence)
    if place is not None:
        place.write(table_bytes(rows, place.path.suffix.lower()))
    if json:
        known = {"accuracy": found.accuracy().value} if found.known else {}
        seen = {"training_data": True} if known and loaded.learned_from(input) else {}
        echo_json({"classes": list(found.names), **known, **seen, "predictions": rows})
        return
    _print(rows)
    if len(rows) > SHOWN:
        echo(f"… {len(rows) - SHOWN:,} more" + ("" if place else ": write them all with -o labels.csv"))
    if found.known:
        right, (name, majority) = found.accuracy(), found.majority()
        span = f"(95 % interval {right.low:.2%} to {right.high:.2%})"
        always = f"always saying {name!r} is right on {majority:.2%}"
        echo("", f"{right.value:.2%} of {len(rows):,} labels are right {span}; {always}")
        if loaded.learned_from(input):
            here = quoted(loaded.path)
            echo(f"most of these are training examples; on held-out ones: seisei evaluate {here}")
    if place is not None:
        echo(place.path)


def compare(
    runs: list[str],
    *,
    data: str | None = None,
    split: str | None = None,
    limit: int = 2000,
    axes: list[str] | None = None,
    curves: Literal["quick", "all", "none"] = "quick",
    seed: int = 0,
    output: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Compare classifiers.

    One table and one page: scores, calibration, accuracy with missing values, learning curves, decision surfaces,
    densities,
    samples.

    Arguments:
        runs: Two or more runs on the same data: run folders, or prefixes of their names under runs/.
        data: Compare on other labeled data than the runs' own.
        split: Split to compare on; by default test, or validation where there is no test data.
        limit: Maximum number of examples.
        axes: Column on an axis of the decision surface; give it twice, once for each axis.
        curves: Learning curves of models that train in seconds, of all, or of none.
        seed: Random seed of masks and samples.
        output: Output folder; by default a new one, compare-… in the current folder.
        overwrite: Write into a folder that is not empty.
        json: Print the results as JSON.
    """
    from seisei.cli.runs import find_run
    from seisei.workflows.compare import compare as carry_out

    if axes is not None and len(axes) != 2:
        raise UserError("E-CMP-22", "--axes", f"{len(axes)} named, wanted 2", "write --axes COLUMN --axes COLUMN")
    if limit < 1:
        raise UserError("E-CMP-23", "--limit", f"{limit} is out of range, wanted >= 1", "choose a larger number")
    place = target(output, Path("compare"), suffixes=(), overwrite=overwrite)
    said = {"--data": data, "--split": split, "--limit": limit, "--curves": curves, "--seed": seed}
    words = [word for option, value in said.items() if value is not None for word in (option, str(value))]
    words += [word for axis in axes or [] for word in ("--axes", axis)]
    with shown_progress("comparing"):
        page = carry_out(
            [find_run(run) for run in runs],
            place.path,
            data=data,
            split=split,
            limit=limit,
            axes=None if axes is None else (axes[0], axes[1]),
            curves={"quick": None, "all": True, "none": False}[curves],
            seed=seed,
            command=["seisei", "compare", *runs, *words],
            tell=tell,
        )
    found = json_.loads((page.parent / "comparison.json").read_text("utf-8"))
    if json:
        echo_json({**found, "page": str(page)})
        return
    names = list(dict.fromkeys(score["name"] for model in found["models"] for score in model["scores"]))
    rows = [{"model": model["title"], **{name: _score(model, name) for name in names}} for model in found["models"]]
    _print(rows)
    echo("", page)


def _score(model: dict[str, Any], name: str) -> str:
    found = next((s for s in model["scores"] if s["name"] == name), None)
    if found is None:
        return "–"
    return f"{found['value']:.4g}" + ("" if found.get("error") is None else f" ± {found['error']:.2g}")


def _rows(
    found: Predictions, names: list[str], *, proba: bool, top: int | None, min_confidence: float | None
) -> list[dict[str, Any]]:
    import numpy as np

    sure = None if found.log_posterior is None else np.exp(found.log_posterior)
    rows = []
    for i, (name, label) in enumerate(zip(names, found.labels, strict=True)):
        row: dict[str, Any] = {"name": name, "label": found.names[label]}
        if sure is not None:
            row["probability"] = float(sure[i, label])
            if min_confidence is not None and sure[i, label] < min_confidence:
                row["label"] = None
            for place, c in enumerate(np.argsort(-sure[i], kind="stable")[: top or 0], 1):
                row |= {f"label {place}": found.names[c], f"probability {place}": float(sure[i, c])}
            if proba:
                row |= {f"p({each})": float(p) for each, p in zip(found.names, sure[i], strict=True)}
        rows.append(row)
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    heads = list(rows[0])
    lines = [list(map(shown, heads)), *([shown(_shown(row[head])) for head in heads] for row in rows[:SHOWN])]
    widths = [max(len(line[j]) for line in lines) for j in range(len(heads))]
    for line in lines:
        echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
