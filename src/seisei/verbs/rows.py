"""Rows and texts as files: CSV, or Parquet where its suffix is asked for; texts line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

TABLES = (".csv", ".parquet")
TEXTS = (".txt", *TABLES)


def table_bytes(rows: Sequence[Mapping[str, Any]], suffix: str) -> bytes:
    """A table of rows that share their columns; None is an empty cell.

    Example:
        >>> table_bytes([{"a": 1, "b": None}, {"a": 2, "b": "x"}], ".csv")
        b'a,b\\n1,\\n2,x\\n'
    """
    names = list(rows[0]) if rows else []
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = io.BytesIO()
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in names}), sink)
        return sink.getvalue()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows)
    return text.getvalue().encode()


def text_bytes(texts: Sequence[str]) -> bytes:
    """Texts one under the other, with a line between those that have several lines.

    Example:
        >>> text_bytes(["a", "b"]), text_bytes(["a\\nb", "c"]).count(b"-")
        (b'a\\nb\\n', 40)
    """
    between = "\n" + "-" * 40 + "\n" if any("\n" in text for text in texts) else "\n"
    return (between.join(texts) + "\n").encode()
