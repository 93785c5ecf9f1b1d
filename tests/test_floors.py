"""The floors: imports go down, or stay inside one package. What may import what is this table and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seisei.verbs import VERBS

SRC = Path(__file__).parents[1] / "src"
# From the bottom. Names on one line do not know each other; the longest name that fits decides.
FLOORS = [
    "errors batch progress shell",
    "seeds paths",
    "spec capabilities",
    "nn modalities schema",
    "models objectives data",
    "metrics",
    "training report",
    "recipes catalog",
    "pipeline",
    "evaluation",
    "workflows",
    "verbs",
    "api estimators",
    "cli web",
    "__main__",
]
HEIGHT = {f"seisei.{name}": i for i, line in enumerate(FLOORS) for name in line.split()}
# Of a package that others see only a part of: who may import what.
ONLY = {"seisei.training": {"seisei.objectives": {"seisei.objectives.base"}}}
OUTSIDE = {  # what one place alone knows
    "torch.distributed": ("seisei.training.engine",),
    "PIL": ("seisei.modalities.image_io",),
    "cyclopts": ("seisei.cli",),
    "rich": ("seisei.cli",),
    "huggingface_hub": ("seisei.data.sources.hub",),
    "pyarrow": ("seisei.data.sources.parquet", "seisei.verbs.code_files", "seisei.verbs.rows"),
    "safetensors": ("seisei.training.tensors",),
    "filelock": ("seisei.training.lock",),
    "triton": ("seisei.nn.quantizers.triton_kernels",),
    "sklearn": ("seisei.data.sources.digits", "seisei.models.linear", "seisei.estimators"),
}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def home(name: str) -> str | None:
    return max((p for p in HEIGHT if within(name, p)), key=len, default=None)


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module a file names, wherever in it; ``from a import b`` names a.b, which may be a module or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def problems(name: str, source: str) -> list[str]:
    found = []
    mine = home(name)
    for other in imported(ast.parse(source)):
        theirs = home(other)
        if within(other, "seisei") and theirs is not None and theirs != mine:
            if mine is None or HEIGHT[theirs] >= HEIGHT[mine]:
                found.append(f"{name} imports {other}, which is not below it")
            for package, allowed in ONLY.get(mine or "", {}).items():
                if within(other, package) and not any(within(other, a) for a in allowed):
                    found.append(f"{name} imports {other}, wanted only {', '.join(allowed)}")
        for outside, places in OUTSIDE.items():
            if within(other, outside) and not any(within(name, place) for place in places):
                found.append(f"{name} imports {other}, which belongs to {', '.join(places)}")
    return found


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_imports_go_down() -> None:
    # The root's only imports of ours stand under TYPE_CHECKING: it loads names when they are used.
    everything = {name: path for name, path in modules().items() if name != "seisei"}
    assert [p for name, path in everything.items() for p in problems(name, path.read_text("utf-8"))] == []
    homeless = [name for name in everything if home(name) is None]
    assert not homeless, f"give {homeless} a floor"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("seisei.models.vae", "from seisei.objectives.elbo import ELBO"),
        ("seisei.objectives.elbo", "def f():\n    import seisei.models.vae"),
        ("seisei.nn.mlp", "from seisei import schema"),
        ("seisei.training.loop", "from seisei.objectives.elbo import ELBO"),
        ("seisei.training.loop", "from seisei.recipes import recipe"),
        ("seisei.training.loop", "import torch.distributed as dist"),
        ("seisei.training.loop", "from torch import distributed"),
        ("seisei.data.sources.folder", "from PIL import Image"),
        ("seisei.pipeline", "from seisei.workflows.train import start"),
        ("seisei.evaluation.evaluate", "import rich.table"),
        ("seisei.spec", "from seisei.capabilities import offers"),
    ],
)
def test_an_import_that_goes_up_is_found(name: str, source: str) -> None:
    assert problems(name, source)


def test_tables_of_modules_name_ours_and_only_lower_ones() -> None:
    """What is imported by name comes from literal tables, which obey the floors."""
    from seisei.catalog import MODULES
    from seisei.recipes import RECIPES

    known = modules()
    for name in MODULES:
        assert name in known and HEIGHT[home(name) or ""] < HEIGHT["seisei.catalog"], name
    for place, _ in RECIPES.values():
        assert place.partition(":")[0] in known and within(place, "seisei.recipes")
    assert all(place in known and within(place, "seisei.verbs") for place in VERBS.values())


@pytest.mark.parametrize("module", ["seisei", "seisei.cli.main", "seisei.recipes", *VERBS.values()])
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    heavy = {"torch", "PIL", "sklearn", "pyarrow", "huggingface_hub"}
    code = f"import sys, {module}; print(*sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(SRC)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
