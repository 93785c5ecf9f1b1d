"""`list` and `report`, and finding a run by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisei.cli.streams import console
from seisei.cli.terminal import echo, echo_json, shown
from seisei.errors import UserError, nearest

RUNS = Path("runs")


def find_run(given: str | Path) -> Path:
    """A run by its path, or by the beginning of its name under ``runs/``, with or without the date.

    Raises:
        UserError: several runs begin so, or none does.

    Example:
        ``vae-digits`` finds ``runs/2026-11-22-142210-vae-digits`` where no other run begins so.
    """
    path = Path(given)
    if path.exists() or path.is_symlink():
        return path
    names = sorted(p.name for p in RUNS.iterdir() if (p / "recipe.json").is_file()) if RUNS.is_dir() else []
    word = path.name if path.parent in (Path("."), RUNS) else ""
    found = [n for n in names if word and (n.startswith(word) or _undated(n).startswith(word))]
    exact = [n for n in found if word in (n, _undated(n))]
    found = exact if len(exact) == 1 else found
    if len(found) > 1:
        problem = f"{len(found)} runs begin so: {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
        raise UserError(
            "E-*-01", given, problem, f"write more of the name, the newest is {RUNS / found[-1]}", wanted=found
        )
    if not found:
        close = nearest(path.name, [*names, *map(_undated, names)])
        remedy = (f"did you mean {close}? " if close else "") + "list the runs with `seisei list`"
        raise UserError("E-*-01", given, f"no such run (current folder: {Path.cwd().name or '/'})", remedy)
    return RUNS / found[0]


def newest_run() -> Path:
    """The newest run under ``runs/``.

    Raises:
        UserError: there is none.
    """
    found = [p for p in RUNS.iterdir() if (p / "recipe.json").is_file()] if RUNS.is_dir() else []
    if not found:
        raise UserError("E-*-01", "RUN", f"there is no run in {RUNS}/", "name a run, or start one with `seisei train`")
    return max(found, key=lambda p: (p / "recipe.json").stat().st_mtime)


def _undated(name: str) -> str:
    date, rest = name[:17], name[18:]
    return rest if rest and date.replace("-", "").isdigit() else name


def list_(folder: Path = RUNS, *, json: bool = False) -> None:
    """List runs, their scores and what they can do.

    Arguments:
        folder: Folder of the runs.
        json: Print the list as JSON.
    """
    from seisei import api

    if not folder.exists() and folder != RUNS:
        raise UserError("E-*-01", folder, "no such folder", "give a folder of runs")
    if folder.exists() and not folder.is_dir():
        raise UserError("E-*-02", folder, "is a file, wanted a folder of runs", "give the folder that holds the runs")
    found = api.runs(folder)
    if json:
        echo_json(found)
        return
    if not found:
        echo(f"no runs in {folder}/ yet: start with `seisei train vae digits`")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("run", "recipe", "data", "state", "scores", "can"):
        table.add_column(name, overflow="fold")
    for run in found:
        table.add_row(*(Text("\n".join(map(shown, lines))) for lines in _row(run)))
    console().print(table)


def _row(run: dict[str, Any]) -> tuple[list[str], ...]:
    """The cells of a run, each by its lines."""
    name = Path(run["run"]).name
    if "recipe" not in run:
        return [name], [], [], [str(run["trouble"])], [], []
    scores = [f"{short(k)} {'–' if v is None else format(v, '.4g')}" for k, v in list(run["scores"].items())[:3]]
    scores += [run["trouble"]] if "trouble" in run else []
    return [name], [run["recipe"]], [run["data"]], [run["state"]], scores, [", ".join(run["verbs"])]


def short(score: str) -> str:
    """A score's name in few letters, for tables."""
    words = {"log-likelihood bound": "log p ≥", "log-likelihood": "log p"}
    words |= {"bits per dimension": "bits/dim", "bits per byte": "bits/byte"}
    return words.get(score, score.replace("reconstruction error", "error").replace("reconstruction ", ""))


def report(run: str, *, json: bool = False) -> None:
    """Write a run's report again.

    Scores and figures that are missing, because training was killed while computing them, are computed first.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        json: Print the path as JSON.
    """
    from seisei import api
    from seisei.cli.progress import shown_progress
    from seisei.evaluation.evaluate import finished
    from seisei.report.run_report import write_report

    loaded = api.load(find_run(run))
    if finished(loaded.folder, loaded.pipeline.card["step"]):
        write_report(loaded.path)
    else:
        with shown_progress("computing scores"):
            loaded.write_report()
    echo_json({"report": str(loaded.report)}) if json else echo(loaded.report)
