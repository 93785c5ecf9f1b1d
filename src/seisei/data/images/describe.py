"""What `check` says of images."""

from __future__ import annotations

from typing import Any

from seisei.data.describe import Row, Rows, counted


def describe_images(found: dict[str, Any]) -> Rows:
    """Sizes, modes and what was converted."""
    image = found["image"]
    color = {1: "grayscale", 3: "color"}.get(image["channels"], f"{image['channels']} channels")
    sizes = ", ".join(f"{s.replace('x', '×')} ({n:,})" for s, n in list(found["sizes"].items())[:8])
    if found["different_sizes"] > 8:
        sizes += f" and {found['different_sizes'] - 8:,} more"
    levels = "black and white" if image["levels"] == 2 else f"{image['levels']} levels"
    before: list[Row] = [
        ("sizes", sizes),
        ("modes", counted(found["modes"])),
        ("used as", f"{image['width']}×{image['height']} {color}, {levels} ({found.get('size_rule', '')})"),
        ("captions", f"{found['captions']:,}" if found["captions"] else ""),
    ]
    after: list[Row] = [
        ("converted", counted(found["conversions"])),
        ("warnings", counted(found["warnings"])),
        ("ignored", counted(found["ignored"])),
    ]
    return Rows(before, after)
