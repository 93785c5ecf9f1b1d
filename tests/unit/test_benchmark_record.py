"""What a benchmark keeps: every entry where it comes from, also when a later command measures others."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROVENANCE = {"commit", "date", "hardware", "threads", "seed", "seconds", "versions"}


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("benchmark_common", BENCHMARKS / "common.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "benchmark_common", module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def test_entries_keep_their_own_provenance(common: ModuleType) -> None:
    first = common.Record("toy", seed=3, commit="aaaa")
    first.add("accuracy", "a", 0.5, goal=None, better="higher")
    first.add("accuracy", "b", 0.6, goal=0.5, better="higher")
    kept = json.loads(first.write().read_text())["results"]
    assert all(PROVENANCE <= entry.keys() for entry in kept)
    second = common.Record("toy", seed=4, commit="bbbb")
    second.add("accuracy", "b", 0.7, goal=0.5, better="higher")
    after = json.loads(second.write(keep_others=True).read_text())["results"]
    assert after[0] == kept[0]
    assert [(e["setting"], e["value"], e["commit"], e["seed"]) for e in after] == [
        ("a", 0.5, "aaaa", 3),
        ("b", 0.7, "bbbb", 4),
    ]


def test_an_entry_cannot_replace_another_or_its_provenance(common: ModuleType) -> None:
    record = common.Record("toy", seed=0)
    record.add("accuracy", "a", 0.5, goal=None, better="higher")
    with pytest.raises(ValueError, match="already"):
        record.add("accuracy", "a", 0.6, goal=None, better="higher")
    with pytest.raises(ValueError, match="seconds"):
        record.add("accuracy", "b", 0.6, goal=None, better="higher", seconds=1.0)


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "results").glob("*.json")), ids=lambda path: path.stem)
def test_committed_results_have_provenance(path: Path) -> None:
    content = json.loads(path.read_text())
    assert set(content) == {"name", "results"}
    assert all(PROVENANCE <= entry.keys() for entry in content["results"])
    names = [(entry["metric"], entry["setting"]) for entry in content["results"]]
    assert len(names) == len(set(names))
