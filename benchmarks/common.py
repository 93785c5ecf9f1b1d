"""What the benchmarks share: where data are, and the form in which results are kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import seisei

RESULTS = Path(__file__).parent / "results"


def shared(name: str) -> Path:
    """A file of the shared data, beside the checkout or where SEISEI_SHARED says."""
    folder = Path(os.environ.get("SEISEI_SHARED") or Path(__file__).parents[2] / "shared" / "data")
    path = folder / name
    if not path.exists():
        sys.exit(f"{path.name}: not found; set SEISEI_SHARED to the folder that holds {name}")
    return path


def options(about: str) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works; nothing is kept")
    return parser


@dataclass
class Record:
    """A benchmark's results, with the machine they were measured on."""

    name: str
    seed: int
    started: float = field(default_factory=time.perf_counter)
    results: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        metric: str,
        setting: str,
        value: float,
        *,
        goal: float | None,
        better: Literal["higher", "lower"],
        **more: Any,
    ) -> None:
        """A figure with its goal."""
        entry = {"metric": metric, "setting": setting, "value": value, "goal": goal, "better": better, **more}
        self.results.append(entry)
        met = "" if goal is None else " met" if (value >= goal if better == "higher" else value <= goal) else " NOT met"
        print(f"{setting}: {metric} = {value:.4g}" + ("" if goal is None else f" (goal {goal:g}{met})"), flush=True)

    def write(self, packages: tuple[str, ...] = ("torch", "numpy", "seisei"), *, keep_others: bool = False) -> Path:
        """Keep the results as JSON; with `keep_others`, beside those of other settings that are there already."""
        path = RESULTS / f"{self.name}.json"
        mine = {(r["metric"], r["setting"]) for r in self.results}
        before = json.loads(path.read_text())["results"] if keep_others and path.exists() else []
        results = [r for r in before if (r["metric"], r["setting"]) not in mine] + self.results
        content = {
            "name": self.name,
            "date": date.today().isoformat(),
            "hardware": hardware(),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
            "seed": self.seed,
            "seconds": round(time.perf_counter() - self.started, 1),
            "results": results,
        }
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
        print(f"wrote {path.relative_to(Path(__file__).parents[1])}")
        return path


def minutes(run: Any) -> float:
    """What the steps of a run take at the median of its speeds: other work beside a part of it does not count."""
    told = [event for event in run.folder.events() if event["event"] == "train"]
    examples = run.recipe["plan"]["batch"] * max(event["step"] for event in told)
    return examples / statistics.median(event["examples_per_second"] for event in told) / 60  # type: ignore[no-any-return]


def hardware() -> str:
    """The machine in words."""
    import torch

    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, {torch.get_num_threads()} threads{gpu}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _version(name: str) -> str:
    if name == "seisei":
        return seisei.__version__  # known also when it runs from a checkout
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
