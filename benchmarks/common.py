"""What the benchmarks share: where data are, and the form in which results are kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
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
    """A benchmark's results. Every entry keeps its commit, date, hardware, threads, seed, seconds and versions."""

    name: str
    seed: int
    packages: tuple[str, ...] = ("torch", "numpy", "seisei")
    results: list[dict[str, Any]] = field(default_factory=list)
    commit: str = field(
        default_factory=lambda: commit()
    )  # of the code that runs, not of what is checked out at the end
    began: float = field(default_factory=time.perf_counter)
    ended: float = field(init=False)

    def __post_init__(self) -> None:
        self.ended = self.began

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
        """A figure with its goal. Its seconds run from the last entry of another setting."""
        if any((entry["metric"], entry["setting"]) == (metric, setting) for entry in self.results):
            raise ValueError(f"{setting}: {metric} is there already; settings must differ")
        if not self.results or self.results[-1]["setting"] != setting:
            self.began = self.ended
        self.ended = time.perf_counter()
        entry = {"metric": metric, "setting": setting, "value": value, "goal": goal, "better": better, **more}
        provenance = {
            "commit": self.commit,
            "date": date.today().isoformat(),
            "hardware": hardware(),
            "threads": torch_threads(),
            "seed": self.seed,
            "seconds": round(self.ended - self.began, 1),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in self.packages}},
        }
        if taken := entry.keys() & provenance.keys():
            raise ValueError(f"{sorted(taken)}: every entry has these already")
        self.results.append(entry | provenance)
        met = "" if goal is None else " met" if (value >= goal if better == "higher" else value <= goal) else " NOT met"
        print(f"{setting}: {metric} = {value:.4g}" + ("" if goal is None else f" (goal {goal:g}{met})"), flush=True)

    def others(self) -> list[dict[str, Any]]:
        """Entries of earlier commands that this one did not measure again, as they were."""
        mine = {(entry["metric"], entry["setting"]) for entry in self.results}
        before = json.loads(self.path.read_text())["results"] if self.path.exists() else []
        return [entry for entry in before if (entry["metric"], entry["setting"]) not in mine]

    @property
    def path(self) -> Path:
        return RESULTS / f"{self.name}.json"

    def write(self, *, keep_others: bool = False) -> Path:
        """Keep the results as JSON; with `keep_others`, beside the entries of earlier commands."""
        content = {"name": self.name, "results": [*(self.others() if keep_others else ()), *self.results]}
        RESULTS.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {self.path.parent.name}/{self.path.name}")
        return self.path


def commit() -> str:
    """The commit that is checked out, with `+` where the code that is measured was changed since."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ":/src", ":/benchmarks/*.py")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


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
    return f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}{gpu}"


def torch_threads() -> int:
    """The threads that torch computes with in this process."""
    import torch

    return torch.get_num_threads()


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
