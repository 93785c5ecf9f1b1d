"""`list` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seisei.cli.streams import console
from seisei.cli.terminal import echo, echo_json
from seisei.errors import UserError
from seisei.shell import printable
from seisei.verbs.evaluate import short
from seisei.verbs.run import RUNS, find_run


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
        table.add_row(*(Text("\n".join(map(printable, lines))) for lines in _row(run)))
    console().print(table)


def _row(run: dict[str, Any]) -> tuple[list[str], ...]:
    """The cells of a run, each by its lines."""
    name = Path(run["run"]).name
    if "recipe" not in run:
        return [name], [], [], [str(run["trouble"])], [], []
    scores = [f"{short(k)} {'–' if v is None else format(v, '.4g')}" for k, v in list(run["scores"].items())[:3]]
    scores += [run["trouble"]] if "trouble" in run else []
    return [name], [run["recipe"]], [run["data"]], [run["state"]], scores, [", ".join(run["verbs"])]


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
