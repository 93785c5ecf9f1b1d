"""`evaluate`: scores on held-out data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from seisei.errors import UserError, did_you_mean
from seisei.verbs.base import Printed, Typed
from seisei.verbs.output import target
from seisei.verbs.run import IMPORTANCE_SAMPLES, TrainedRun, without_effect

PROGRESS = "computing scores"


def evaluate(
    run: TrainedRun,
    data: Annotated[Any, Typed(str | None)] = None,
    *,
    split: str | None = None,
    importance_samples: int = IMPORTANCE_SAMPLES,
    limit: int = 10_000,
    seed: int = 0,
    cas: bool = False,
    inception: Annotated[str | Path | None, Typed(Path | None)] = None,
) -> dict[str, Any]:
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

    Raises:
        UserError: an unknown split, data that are gone, or weights that are not those of Inception-v3.
    """
    from seisei.evaluation import evaluate as evaluation

    dataset = run.data(data)
    splits = [name for name, part in dataset.splits.items() if len(part)]
    split = split or evaluation.held_out(dataset) or ("train" if data is not None else None)
    if split is None:
        problem, remedy = "nothing was held out of these data", "name other data with --data, or pass --split train"
        raise UserError("E-EVA-10", "--split", problem, remedy, wanted=splits)
    if split not in splits:
        raise UserError("E-EVA-10", "--split", f"{split!r} is not there", did_you_mean(split, splits), wanted=splits)
    for option, value in (("--importance-samples", importance_samples), ("--limit", limit)):
        if value < 1:
            problem = f"{value} is out of range, wanted >= 1"
            raise UserError("E-EVA-20", option, problem, "choose a larger number", found=value)
    run.check_importance_samples(importance_samples)
    pipeline = run.pipeline
    if cas and not (evaluation.only_draws(pipeline) and pipeline.conditional and dataset.schema.classes):
        problem = "is for models that generate examples of a class and give no likelihood, such as those of cgan"
        raise without_effect("cas", problem, cas)
    judge = None if data is not None else evaluation.judge_of(run.folder, pipeline, dataset)
    return evaluation.evaluate(
        pipeline, dataset, split=split, samples=importance_samples, limit=limit, seed=seed, cas=cas,
        inception=inception, judge=judge,
    )  # fmt: skip


def command(run: TrainedRun, asked: dict[str, Any], *, save: bool = False) -> Callable[[dict[str, Any]], Printed]:
    """Whether scores are saved.

    Arguments:
        save: Save the scores with the run and update its report.
    """
    if save:
        target(run.path / "scores.json", run.path, suffixes=(".json",), overwrite=True, codes=("E-EVA-23",) * 3)

    def finish(found: dict[str, Any]) -> Printed:
        # The features in which distances are measured, which score_lines says where they come first.
        notes = [f"  {score['note']}" for score in found["scores"][1:] if score["name"] == "Fréchet distance"]
        lines = [*score_lines(found), *notes]
        if save:
            from seisei.report.run_report import write_report

            run.folder.write("scores.json", found)
            write_report(run.path)
            lines.append(str(run.report))
        return Printed(lines, found)

    return finish


def score_lines(found: dict[str, Any]) -> list[str]:
    """Scores as lines of a table."""
    rows = []
    for score in found["scores"]:
        error = "" if score.get("error") is None else f" ± {score['error']:.2g}"
        if score.get("low") is not None:
            error = f" ({score['low']:.4g} to {score['high']:.4g})"
        value = f"{score['value']:.4g}{error} {score['unit'].partition(',')[0]}"
        rows.append((short(score["name"]), value, f"{score['better']} is better" if score["better"] else ""))
    widths = [max(len(row[i]) for row in rows) for i in range(2)] if rows else []
    noun = found.get("noun", "image") + "s" * (found["examples"] != 1)
    lines = [f"{found['examples']:,} {noun} of {found['split']}, step {found['step']:,}:"] if found["split"] else []
    lines += [f"  {name.ljust(widths[0])}  {value.ljust(widths[1])}  {better}" for name, value, better in rows]
    if any(score.get("low") is not None for score in found["scores"]):
        lines.append("  (from … to …) is a 95 % interval, ± one standard error")
    lines += [f"  {score['note']}" for score in found["scores"][:1] if score.get("note")]
    return lines + [f"  left out: {left['scores']}: {left['why']}" for left in found.get("left_out", [])]


def short(score: str) -> str:
    """A score's name in few letters, for tables."""
    words = {"log-likelihood bound": "log p ≥", "log-likelihood": "log p"}
    words |= {"bits per dimension": "bits/dim", "bits per byte": "bits/byte"}
    return words.get(score, score.replace("reconstruction error", "error").replace("reconstruction ", ""))
