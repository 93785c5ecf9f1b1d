"""`score`: the log-likelihood of every example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from seisei.shell import printable
from seisei.verbs.base import Data, Printed, TableReadingOptions
from seisei.verbs.output import Target, target
from seisei.verbs.results import SHOWN
from seisei.verbs.rows import table_bytes
from seisei.verbs.run import IMPORTANCE_SAMPLES, TrainedRun

if TYPE_CHECKING:
    from seisei.metrics.likelihood import Likelihood


@dataclass(frozen=True)
class Scored:
    """The log-likelihood of each example, by name.

    Arguments:
        names: of the examples.
        likelihood: of each.
        percentiles: of the log-likelihoods of held-out examples, 0 to 100; None where the run has none.
    """

    names: list[str]
    likelihood: Likelihood
    percentiles: Any = None

    def __getattr__(self, name: str) -> Any:
        # nats, bits, joint, bound, meaning …
        if name.startswith("_") or name in ("names", "likelihood", "percentiles"):
            raise AttributeError(name)
        return getattr(self.likelihood, name)

    @property
    def columns(self) -> dict[str, Any]:
        """The numbers that this model gives, by name."""
        found = self.likelihood
        each = {"nats": found.nats, "nats_joint": found.joint, f"bits_per_{found.per}": found.bits}
        found_columns = {name: values for name, values in each.items() if values is not None}
        return found_columns | {"percentile": self.percentile} if self.percentiles is not None else found_columns

    @property
    def percentile(self) -> Any:
        """The share of held-out examples that are less likely than each, in percent: outliers are near 0."""
        import numpy as np

        return np.searchsorted(self.percentiles, self.likelihood.nats).clip(0, 100).astype(float)

    @property
    def order(self) -> list[int]:
        """The examples from the least likely to the most likely."""
        import numpy as np

        return np.argsort(self.likelihood.nats, kind="stable").tolist()  # type: ignore[no-any-return]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each example; rank 1 is the least likely one."""
        ranks = {place: rank for rank, place in enumerate(self.order, 1)}
        columns = self.columns
        return [
            {"name": name, **{k: _finite(float(values[i])) for k, values in columns.items()}, "rank": ranks[i]}
            for i, name in enumerate(self.names)
        ]

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a .csv file with a row for each example.

        Raises:
            UserError: another suffix, it cannot be written, or something is there.
        """
        return self.write(target(Path(path), Path(path), suffixes=(".csv",), overwrite=overwrite))

    def write(self, place: Target) -> Path:
        """The same, at a place that is known to be free."""
        return place.write(table_bytes(self.rows(), ".csv"))


def score(
    run: TrainedRun,
    input: Data,
    *,
    importance_samples: int = IMPORTANCE_SAMPLES,
    seed: int = 0,
    **reading: Unpack[TableReadingOptions],
) -> Scored:
    """Score images, rows or texts by their log-likelihood: outliers get low scores.

    The log-likelihood of each, or a lower bound on it, in nats, and in bits per dimension where that is meaningful. A
    generative classifier gives log p(x), and log p(x, y) for labeled input.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        importance_samples: Importance samples per example: more give a tighter bound, and take longer.
        seed: Random seed of the importance samples; exact likelihoods do not depend on it.

    Raises:
        UserError: the model gives no likelihood, or the input cannot be read.
    """
    run.pipeline.need("score")
    data = run.read(input, verb="score", **reading)
    run.check_importance_samples(importance_samples)
    found = run.pipeline.score(data, samples=importance_samples, seed=seed)
    return Scored(data.names, found, _percentiles(run))


def _percentiles(run: TrainedRun) -> Any:
    """The percentiles of held-out log-likelihoods that the run's evaluation left, None where there are none."""
    if not (run.path / "scores.json").is_file():
        return None
    found = run.folder.read("scores.json")
    kept = found.get("percentiles") if isinstance(found, dict) else None
    whole = isinstance(kept, list) and len(kept) == 101 and all(isinstance(v, (int, float)) for v in kept)
    return kept if whole else None


def command(
    run: TrainedRun, asked: dict[str, Any], *, output: Path | None = None, overwrite: bool = False
) -> Callable[[Scored], Printed]:
    """Where scores go.

    Arguments:
        output: Output .csv file with a row per example.
        overwrite: Overwrite an existing file or folder.
    """
    place = None if output is None else target(output, output, suffixes=(".csv",), overwrite=overwrite)
    samples = asked["importance_samples"]
    return lambda found: _printed(found, samples, None if place is None else found.write(place))


def _printed(scored: Scored, samples: int, written: Path | None) -> Printed:
    import numpy as np

    from seisei.metrics.likelihood import mean_and_error

    found, rows, columns = scored.likelihood, scored.rows(), scored.columns
    nats, error = mean_and_error(found.nats)
    median = float(np.median(found.nats))
    mean: dict[str, float | None] = {"nats": nats, "nats_error": _finite(error), "nats_median": median}
    summary = f"mean of {len(rows):,}: {nats:.3f}{_plus_or_minus(error, 3)} nats (median {median:.3f})"
    if found.bits is not None:
        bits, bits_error = mean_and_error(found.bits)
        mean |= {"bits": bits, "bits_error": _finite(bits_error)}
        summary += f", {bits:.4f}{_plus_or_minus(bits_error, 4)} bits per {found.per}"
    json = {"bound": found.bound, "importance_samples": samples, "meaning": found.meaning, "mean": mean, "scores": rows}
    # Outliers are what one looks for: the least likely come first.
    listed = [rows[i] for i in scored.order[:SHOWN]]
    width = max(len("name"), *(len(printable(row["name"])) for row in listed))
    heads = {"nats_joint": "with its label", f"bits_per_{found.per}": f"bits per {found.per}"}
    digits = {"percentile": 0}
    lines = ["  ".join(["name".ljust(width), *(heads.get(key, key).rjust(14) for key in columns)])]
    for row in listed:
        cells = (("–" if row[key] is None else f"{row[key]:.{digits.get(key, 4)}f}").rjust(14) for key in columns)
        lines.append("  ".join([printable(row["name"]).ljust(width), *cells]))
    if len(rows) > SHOWN:
        rest = "" if written else ": write them all with -o scores.csv"
        lines.append(f"… {len(rows) - SHOWN:,} more likely ones{rest}")
    lines += ["", summary, found.meaning, *([] if written is None else [str(written)])]
    return Printed(lines, json)


def _plus_or_minus(error: float, digits: int) -> str:
    """A standard error after its number; nothing where there is none, as of one example."""
    return "" if error != error else f" ± {error:.{digits}f}"


def _finite(value: float) -> float | None:
    return value if value == value else None
