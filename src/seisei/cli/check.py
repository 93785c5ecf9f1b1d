"""`check`: what is in some data, and what suits it."""

from __future__ import annotations

import json as json_
from typing import Any

from seisei.cli.progress import Display


def check(path: str, *, seed: int = 0, json: bool = False, **options: Any) -> None:
    """What is in some data, and what suits it.

    Everything is read once; what is broken is named. Nothing is written.

    Arguments:
        path: A folder of pictures, a .npz, .npy, .parquet or idx file, digits, or hub:owner/name.
        seed: Of the division into parts.
        json: Print the report as JSON.
        options: how data are read.
    """
    from seisei.recipes.advice import advice
    from seisei.session import DataOptions

    with Display() as display:
        read = DataOptions(**options).read
        data = read(path, seed, lambda done, total: display({"event": "reading", "done": done, "total": total}))
    found = {**data.report, "advice": advice(data)}
    if json:
        print(json_.dumps(found, ensure_ascii=False))
        return
    _print_check(found)


def _print_check(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in check_rows(found):
        table.add_row(Text(name), Text(value))
    console.print(table)
    console.print(Text("\nwhat suits it", "bold"))
    for entry in found["advice"]:
        console.print(Text(f"  {entry['command']}", "cyan"), soft_wrap=True)
        console.print(Text(f"      {entry['why']}"), soft_wrap=True)


def check_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The report on some data, as lines of a table."""
    image, skipped = found["image"], found["skipped"]
    colour = {1: "grey", 3: "colour"}.get(image["channels"], f"{image['channels']} channels")
    sizes = ", ".join(f"{s.replace('x', '×')} ({n:,})" for s, n in list(found["sizes"].items())[:8])
    if found["different_sizes"] > 8:
        sizes += f" and {found['different_sizes'] - 8:,} more"
    levels = "black and white" if image["levels"] == 2 else f"{image['levels']} levels"
    counts = found["classes"]
    classes = ", ".join(f"{name} ({n:,})" for name, n in list(counts.items())[:20]) + (
        ", …" if len(counts) > 20 else ""
    )
    given = ", as the data say" if found["splits_given"] else ""
    leaks = found["duplicates_across_splits"]
    left_out = [f"{s['name']}: {s['problem']}" for s in skipped[:20]]
    left_out += [f"… {len(skipped) - 20} more"] if len(skipped) > 20 else []
    rows = [
        (found["root"], found["kind"]),
        ("pictures", f"{found['kept']:,} of {found['total']:,}"),
        ("sizes", sizes),
        ("modes", _counted(found["modes"])),
        ("used as", f"{image['width']}×{image['height']} {colour}, {levels} ({found.get('size_rule', '')})"),
        ("classes", f"{len(counts)}: {classes}" if counts else "none"),
        ("unlabelled", f"{found['unlabelled']:,}" if counts and found["unlabelled"] else ""),
        ("captions", f"{found['captions']:,}" if found["captions"] else ""),
        ("parts", _counted(found["splits"]) + given),
        ("duplicates", f"{found['duplicates']:,}" if found["duplicates"] else "none"),
        ("", f"{leaks:,} lie in several parts" if leaks else ""),
        ("converted", _counted(found["conversions"])),
        ("warnings", _counted(found["warnings"])),
        ("notes", "\n".join(found["notes"])),
        ("ignored", _counted(found["ignored"])),
        ("left out", "\n".join(left_out)),
    ]  # fmt: skip
    return [(name, value) for name, value in rows if value]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
