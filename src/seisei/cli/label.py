"""`predict`: labels out of a trained classifier."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seisei.cli.output import target
from seisei.cli.results import load
from seisei.cli.rows import TABLES, table_bytes
from seisei.errors import UserError

if TYPE_CHECKING:
    from seisei.evaluation.classification import Predictions

SHOWN = 20


def predict(
    run: str,
    input: str,
    *,
    proba: bool = False,
    top: int | None = None,
    reject: float | None = None,
    unseen: Literal["refuse", "missing"] = "refuse",
    seed: int = 0,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """The class of rows or pictures.

    Cells that are missing are left out by a generative model, exactly; other models know that they are missing.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A table, a picture, a folder, or any data that `train` reads.
        proba: The probability of every class too, where the model gives it.
        top: The likeliest classes instead of one, so many.
        reject: Give no label where the model is less sure than this.
        unseen: What to do with a category that training had none of: refuse it, or take it as missing.
        seed: Of the noise, for a density that is only bounded.
        output: A .csv or .parquet file with a line for each example.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        max_pixels: A picture that declares more is refused.
        overwrite: Replace what is there.
        json: Print everything as JSON.
    """
    loaded = load(run, "predict")
    if reject is not None and not 0 < reject < 1:
        problem = f"{reject:g} is out of range, wanted a probability between 0 and 1"
        raise UserError("E-PRD-24", "--reject", problem, "choose one, such as 0.9", found=reject)
    believes = "probabilities" in loaded.pipeline.knows
    for option, asked in (("--proba", proba), ("--top", top is not None), ("--reject", reject is not None)):
        if asked and not believes:
            problem = "this model is a discriminant function: it gives a class and no probability"
            raise UserError("E-PRD-08", option, problem, "leave it out, or train discriminative or generative")
    classes = len(loaded.pipeline.schema.y.names)  # type: ignore[union-attr]
    if top is not None and not 1 <= top <= classes:
        problem = f"{top} is out of range, wanted 1 to {classes}"
        raise UserError("E-PRD-23", "--top", problem, f"choose at most {classes}", found=top, wanted=classes)
    place = None if output is None else target(output, output, suffixes=TABLES, overwrite=overwrite)
    data = loaded.read(input, resize=resize, convert=convert, max_pixels=max_pixels, unseen=unseen)
    found = loaded.pipeline.predict(data, seed=seed)
    rows = _rows(found, data.names, proba=proba, top=top, reject=reject)
    if place is not None:
        place.write(table_bytes(rows, place.path.suffix.lower()))
    if json:
        known = {"accuracy": float(found.right().mean())} if found.known else {}
        print(json_.dumps({"classes": list(found.names), **known, "predictions": rows}, ensure_ascii=False))
        return
    _print(rows)
    if len(rows) > SHOWN:
        print(f"… {len(rows) - SHOWN:,} more" + ("" if place else ": write them all with -o labels.csv"))
    if found.known:
        right = found.right()
        print(f"\n{right.mean():.2%} of {len(right):,} labels are right")
    if place is not None:
        print(place.path)


def _rows(
    found: Predictions, names: list[str], *, proba: bool, top: int | None, reject: float | None
) -> list[dict[str, Any]]:
    sure = None if found.log_posterior is None else np.exp(found.log_posterior)
    rows = []
    for i, (name, label) in enumerate(zip(names, found.labels, strict=True)):
        row: dict[str, Any] = {"name": name, "label": found.names[label]}
        if sure is not None:
            row["probability"] = round(float(sure[i, label]), 6)
            if reject is not None and sure[i, label] < reject:
                row["label"] = None
            for place, c in enumerate(np.argsort(-sure[i], kind="stable")[: top or 0], 1):
                row |= {f"label {place}": found.names[c], f"probability {place}": round(float(sure[i, c]), 6)}
            if proba:
                row |= {f"p({each})": round(float(p), 6) for each, p in zip(found.names, sure[i], strict=True)}
        rows.append(row)
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    heads = list(rows[0])
    lines = [heads, *([_shown(row[head]) for head in heads] for row in rows[:SHOWN])]
    widths = [max(len(line[j]) for line in lines) for j in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
