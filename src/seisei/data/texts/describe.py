"""What `check` says of texts."""

from __future__ import annotations

from typing import Any

from seisei.data.describe import Rows


def describe_texts(found: dict[str, Any]) -> Rows:
    """How long they are, and of how many characters."""
    facts = f"{found['text_bytes']:,} bytes, {found['characters']:,} different characters, at most {found['longest']:,}"
    return Rows([("used as", f"{facts} bytes each")], [])
