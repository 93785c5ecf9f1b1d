"""`predict`: the class of every example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from seisei.errors import UserError
from seisei.shell import printable, quoted
from seisei.verbs.base import Data, Printed, TableReadingOptions
from seisei.verbs.output import target
from seisei.verbs.results import SHOWN
from seisei.verbs.rows import TABLES, table_bytes
from seisei.verbs.run import TrainedRun

if TYPE_CHECKING:
    from seisei.metrics.classification import Predictions


@dataclass(frozen=True)
class Predicted:
    """The class of each example, by name, with class probabilities where the model has them.

    Arguments:
        examples: names of the examples.
        predictions: class and probabilities of each.
    """

    examples: list[str]
    predictions: Predictions

    def __getattr__(self, name: str) -> Any:
        # names, labels, log_posterior, truth, accuracy() …
        if name.startswith("_") or name in ("examples", "predictions"):
            raise AttributeError(name)
        return getattr(self.predictions, name)

    def rows(
        self, *, proba: bool = False, top: int | None = None, min_confidence: float | None = None
    ) -> list[dict[str, Any]]:
        """A row for each example.

        Arguments:
            proba: with the probability of every class.
            top: with the k most likely classes.
            min_confidence: without a label where the model is less confident than this.
        """
        import numpy as np

        found = self.predictions
        posterior = None if found.log_posterior is None else np.exp(found.log_posterior)
        rows = []
        for i, (name, label) in enumerate(zip(self.examples, found.labels, strict=True)):
            row: dict[str, Any] = {"name": name, "label": found.names[label]}
            if posterior is not None:
                row["probability"] = float(posterior[i, label])
                if min_confidence is not None and posterior[i, label] < min_confidence:
                    row["label"] = None
                for rank, c in enumerate(np.argsort(-posterior[i], kind="stable")[: top or 0], 1):
                    row |= {f"label {rank}": found.names[c], f"probability {rank}": float(posterior[i, c])}
                if proba:
                    row |= {f"p({each})": float(p) for each, p in zip(found.names, posterior[i], strict=True)}
            rows.append(row)
        return rows

    def save(self, path: str | Path, *, proba: bool = False, overwrite: bool = False) -> Path:
        """Write a .csv or .parquet file with a row for each example.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        place = target(Path(path), Path(path), suffixes=TABLES, overwrite=overwrite)
        return place.write(table_bytes(self.rows(proba=proba), place.path.suffix.lower()))


def predict(run: TrainedRun, input: Data, *, seed: int = 0, **reading: Unpack[TableReadingOptions]) -> Predicted:
    """Classify images or table rows.

    A generative model integrates missing cells out exactly; other models are trained to take them.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: A table, an image, a folder, or any data that `train` reads.
        seed: Random seed of the importance samples; exact posteriors do not depend on it.

    Raises:
        UserError: the model does not classify, or the input cannot be read.
    """
    run.pipeline.need("predict")
    data = run.read(input, verb="predict", **reading)
    return Predicted(data.names, run.pipeline.predict(data, seed=seed))


def command(
    run: TrainedRun,
    asked: dict[str, Any],
    *,
    proba: bool = False,
    top: int | None = None,
    min_confidence: float | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Callable[[Predicted], Printed]:
    """What is listed of each example, and where.

    Arguments:
        proba: Include the probability of every class, if the model has one.
        top: Give the k most likely classes instead of one.
        min_confidence: Give no label where the model is less confident than this.
        output: Output .csv or .parquet file with a row per example.
        overwrite: Overwrite an existing file or folder.
    """
    if min_confidence is not None and not 0 < min_confidence < 1:
        problem = f"{min_confidence:g} is out of range, wanted a probability between 0 and 1"
        raise UserError("E-PRD-24", "--min-confidence", problem, "choose one, such as 0.9", found=min_confidence)
    given = {"--proba": proba, "--top": top is not None, "--min-confidence": min_confidence is not None}
    for option, is_given in given.items():
        if is_given and "probabilities" not in run.pipeline.knows:
            problem = "this model is a discriminant function: it gives a class and no probability"
            raise UserError("E-PRD-08", option, problem, "leave it out, or train discriminative or generative")
    classes = len(run.pipeline.schema.y.names)  # type: ignore[union-attr]
    if top is not None and not 1 <= top <= classes:
        problem = f"{top} is out of range, wanted 1 to {classes}"
        raise UserError("E-PRD-23", "--top", problem, f"choose at most {classes}", found=top, wanted=classes)
    place = None if output is None else target(output, output, suffixes=TABLES, overwrite=overwrite)

    def finish(found: Predicted) -> Printed:
        rows = found.rows(proba=proba, top=top, min_confidence=min_confidence)
        path = None if place is None else place.write(table_bytes(rows, place.path.suffix.lower()))
        return _printed(run, found.predictions, rows, path, learned=run.learned_from(asked["input"]))

    return finish


def _printed(
    run: TrainedRun, found: Predictions, rows: list[dict[str, Any]], path: Path | None, *, learned: bool
) -> Printed:
    lines = table_lines(rows[:SHOWN])
    if len(rows) > SHOWN:
        lines.append(f"… {len(rows) - SHOWN:,} more" + ("" if path else ": write them all with -o labels.csv"))
    json: dict[str, Any] = {"classes": list(found.names)}
    if found.known:
        accuracy, (name, majority) = found.accuracy(), found.majority()
        json |= {"accuracy": accuracy.value, **({"training_data": True} if learned else {})}
        interval = f"(95 % interval {accuracy.low:.2%} to {accuracy.high:.2%})"
        baseline = f"always predicting {name!r} would give {majority:.2%}"
        lines += ["", f"accuracy on {len(rows):,} labeled examples: {accuracy.value:.2%} {interval}; {baseline}"]
        if learned:
            here = quoted(run.path)
            lines.append(f"most of these are training examples; on held-out ones: seisei evaluate {here}")
    lines += [] if path is None else [str(path)]
    return Printed(lines, {**json, "predictions": rows})


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as aligned lines, below their column names."""
    heads = list(rows[0])
    cells = [list(map(printable, heads)), *([printable(_cell(row[head])) for head in heads] for row in rows)]
    widths = [max(len(line[j]) for line in cells) for j in range(len(heads))]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
