"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

# Tests are many small trainings, run by several workers: a second thread each would only wait for the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("SEISEI_SHARED") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "DATA.md").is_file():
        pytest.skip(f"no shared data in {folder}: set SEISEI_SHARED to a folder that has DATA.md")
    return folder
