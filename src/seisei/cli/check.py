"""`check`: what is in some data, and what suits it."""

from __future__ import annotations

from typing import Any

from seisei.cli.progress import Display
from seisei.cli.streams import console
from seisei.cli.terminal import echo_json
from seisei.data.describe import report_rows
from seisei.shell import printable


def check(path: str, *, seed: int = 0, json: bool = False, **options: Any) -> None:
    """Inspect a data set and suggest recipes.

    Everything is read once and broken files are named. Nothing is written.

    Arguments:
        path: A folder of images, a table (.csv, .tsv, .parquet), a .txt file, a .npz, .npy or idx file, digits, or
            hub:owner/name.
        seed: Random seed of the train/validation/test split.
        json: Print the report as JSON.
        options: data options.
    """
    import seisei

    # The class is read anyway, where there is one.
    names = [name for name in options.pop("condition", None) or [] if name != "label"]
    options |= {"conditions": names} if names else {}
    with Display() as display:
        found = seisei.check(path, seed=seed, listeners=[display], **options)
    if json:
        echo_json(found)
        return
    _print_check(found)


def _print_check(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from seisei.data.types import ENDS

    out = console()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in report_rows(found, ENDS[found["noun"]].describe(found)):
        table.add_row(Text(printable(name)), Text("\n".join(map(printable, value))))
    out.print(table)
    out.print(Text("\nsuggested commands", "bold"))
    for entry in found["advice"]:
        out.print(Text(printable(f"  {entry['command']}"), "cyan"), soft_wrap=True)
        out.print(Text(printable(f"      {entry['why']}")), soft_wrap=True)
