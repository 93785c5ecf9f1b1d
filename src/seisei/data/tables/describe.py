"""What `check` says of tables."""

from __future__ import annotations

from typing import Any

from seisei.data.describe import Rows

MOST_COLUMNS = 60


def describe_rows(found: dict[str, Any]) -> Rows:
    """A line for each column."""
    columns = found["columns"]
    width = max(len(column["name"]) for column in columns[:MOST_COLUMNS])
    lines = [f"{column['name'].ljust(width)}  {_column(column, found)}" for column in columns[:MOST_COLUMNS]]
    lines += [f"… {len(columns) - MOST_COLUMNS} more"] if len(columns) > MOST_COLUMNS else []
    return Rows([("columns", lines)], [])


def _column(column: dict[str, Any], found: dict[str, Any]) -> str:
    """A column's type and values."""
    if column["used"] != "x":
        return "target    " + f"{len(found['classes'])} classes" if column["used"] == "target" else str(column["used"])
    ends = [f"{v:,}" if isinstance(v, (int, float)) else str(v) for v in (column.get("low"), column.get("high"))]
    values = " … ".join(ends) if "low" in column else f"{column['different']:,} levels"
    return f"{column['kind']:<10}{values}" + (f", {column['missing']:,} missing" if column["missing"] else "")
