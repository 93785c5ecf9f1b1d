"""`compare`: classifiers side by side."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Any, Literal

from seisei.cli.progress import shown_progress
from seisei.cli.terminal import echo, echo_json, tell
from seisei.errors import UserError
from seisei.verbs.output import target
from seisei.verbs.predict import table_lines
from seisei.verbs.run import find_run


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
    echo(*table_lines(rows), "", page)


def _score(model: dict[str, Any], name: str) -> str:
    found = next((s for s in model["scores"] if s["name"] == name), None)
    if found is None:
        return "–"
    return f"{found['value']:.4g}" + ("" if found.get("error") is None else f" ± {found['error']:.2g}")
