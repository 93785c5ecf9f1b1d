"""What `check` says of data, as rows of a table: what all data have, with the rows of their type in between."""

from __future__ import annotations

from typing import Any, NamedTuple

Row = tuple[str, str | list[str]]


class Rows(NamedTuple):
    """The rows that only one type of data has, before those that all have and after them."""

    before: list[Row]
    after: list[Row]


def counted(counts: dict[str, int]) -> str:
    """Names with their counts.

    Example:
        >>> counted({"train": 1200, "test": 3})
        'train 1,200, test 3'
    """
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def report_rows(found: dict[str, Any], own: Rows) -> list[tuple[str, list[str]]]:
    """The report on a data set as rows of a table: a name, and its lines."""
    skipped, leaks = found["skipped"], found["duplicates_across_splits"]
    left_out = [f"{s['name']}: {s['problem']}" for s in skipped[:20]]
    left_out += [f"… {len(skipped) - 20} more"] if len(skipped) > 20 else []
    given = ", as the data say" if found["splits_given"] else ""
    rows: list[Row] = [
        ("data", f"{found['root']} ({found['kind']})"),
        (f"{found['noun']}s", f"{found['kept']:,} of {found['total']:,}" if skipped else f"{found['kept']:,}"),
        *own.before,
        ("classes", _classes(found["classes"])),
        ("unlabeled", f"{found['unlabeled']:,}" if found["classes"] and found["unlabeled"] else ""),
        ("splits", counted(found["splits"]) + given),
        ("duplicates", f"{found['duplicates']:,}" if found["duplicates"] else "none"),
        ("", f"{leaks:,} in more than one split" if leaks else ""),
        *own.after,
        ("notes", found["notes"]),
        ("skipped", left_out),
    ]  # fmt: skip
    return [(name, [value] if isinstance(value, str) else value) for name, value in rows if value]


def _classes(counts: dict[str, int]) -> str:
    some = ", ".join(f"{name} ({n:,})" for name, n in list(counts.items())[:20]) + (", …" if len(counts) > 20 else "")
    return f"{len(counts)}: {some}" if counts else "none"
