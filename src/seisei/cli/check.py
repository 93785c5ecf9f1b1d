"""`check`: what is in some data, and what suits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seisei.cli.progress import Display
from seisei.cli.streams import console
from seisei.cli.terminal import echo_json
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

    with Display() as display:
        found = seisei.check(path, seed=seed, listeners=[display], **options)
    if json:
        echo_json(found)
        return
    _print_check(found)


def _print_check(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in check_rows(found):
        table.add_row(Text(printable(name)), Text("\n".join(map(printable, value))))
    out.print(table)
    out.print(Text("\nwhat suits it", "bold"))
    for entry in found["advice"]:
        out.print(Text(printable(f"  {entry['command']}"), "cyan"), soft_wrap=True)
        out.print(Text(printable(f"      {entry['why']}")), soft_wrap=True)


def check_rows(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The report on some data, as rows of a table: what each tells of, and its lines."""
    skipped, leaks = found["skipped"], found["duplicates_across_splits"]
    left_out = [f"{s['name']}: {s['problem']}" for s in skipped[:20]]
    left_out += [f"… {len(skipped) - 20} more"] if len(skipped) > 20 else []
    given = ", as the data say" if found["splits_given"] else ""
    own = OWN_ROWS[found["noun"]](found)
    rows: list[tuple[str, str | list[str]]] = [
        ("data", f"{found['root']} ({found['kind']})"),
        (f"{found['noun']}s", f"{found['kept']:,} of {found['total']:,}" if skipped else f"{found['kept']:,}"),
        *own.before,
        ("classes", _classes(found["classes"])),
        ("unlabeled", f"{found['unlabeled']:,}" if found["classes"] and found["unlabeled"] else ""),
        ("parts", _counted(found["splits"]) + given),
        ("duplicates", f"{found['duplicates']:,}" if found["duplicates"] else "none"),
        ("", f"{leaks:,} lie in several parts" if leaks else ""),
        *own.after,
        ("notes", found["notes"]),
        ("left out", left_out),
    ]  # fmt: skip
    return [(name, [value] if isinstance(value, str) else value) for name, value in rows if value]


class Own(NamedTuple):
    """The lines that only one modality has, before what all have and after it."""

    before: list[tuple[str, str | list[str]]]
    after: list[tuple[str, str | list[str]]]


def _of_images(found: dict[str, Any]) -> Own:
    image = found["image"]
    color = {1: "gray", 3: "color"}.get(image["channels"], f"{image['channels']} channels")
    sizes = ", ".join(f"{s.replace('x', '×')} ({n:,})" for s, n in list(found["sizes"].items())[:8])
    if found["different_sizes"] > 8:
        sizes += f" and {found['different_sizes'] - 8:,} more"
    levels = "black and white" if image["levels"] == 2 else f"{image['levels']} levels"
    before: list[tuple[str, str | list[str]]] = [
        ("sizes", sizes),
        ("modes", _counted(found["modes"])),
        ("used as", f"{image['width']}×{image['height']} {color}, {levels} ({found.get('size_rule', '')})"),
        ("captions", f"{found['captions']:,}" if found["captions"] else ""),
    ]
    after: list[tuple[str, str | list[str]]] = [
        ("converted", _counted(found["conversions"])),
        ("warnings", _counted(found["warnings"])),
        ("ignored", _counted(found["ignored"])),
    ]
    return Own(before, after)


def _of_rows(found: dict[str, Any]) -> Own:
    columns = found["columns"]
    width = max(len(column["name"]) for column in columns[:MOST_COLUMNS])
    lines = [f"{column['name'].ljust(width)}  {_column(column, found)}" for column in columns[:MOST_COLUMNS]]
    lines += [f"… {len(columns) - MOST_COLUMNS} more"] if len(columns) > MOST_COLUMNS else []
    return Own([("columns", lines)], [])


def _of_texts(found: dict[str, Any]) -> Own:
    told = f"{found['text_bytes']:,} bytes, {found['characters']:,} different characters, at most {found['longest']:,}"
    return Own([("used as", f"{told} bytes each")], [])


def _column(column: dict[str, Any], found: dict[str, Any]) -> str:
    """What a column is, and what is in it."""
    if column["used"] != "x":
        return "target    " + f"{len(found['classes'])} classes" if column["used"] == "target" else str(column["used"])
    ends = [f"{v:,}" if isinstance(v, (int, float)) else str(v) for v in (column.get("low"), column.get("high"))]
    told = " … ".join(ends) if "low" in column else f"{column['different']:,} levels"
    return f"{column['kind']:<10}{told}" + (f", {column['missing']:,} missing" if column["missing"] else "")


# By what an example is called.
OWN_ROWS: dict[str, Callable[[dict[str, Any]], Own]] = {"image": _of_images, "row": _of_rows, "text": _of_texts}
MOST_COLUMNS = 60


def _classes(counts: dict[str, int]) -> str:
    some = ", ".join(f"{name} ({n:,})" for name, n in list(counts.items())[:20]) + (", …" if len(counts) > 20 else "")
    return f"{len(counts)}: {some}" if counts else "none"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
