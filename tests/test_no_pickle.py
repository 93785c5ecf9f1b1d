"""No pickle is written or read, and nothing is imported, built or run because a file says so."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisei import catalog
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.schema import Schema
from seisei.spec import CATALOG, Spec

SRC = Path(__file__).parents[1] / "src" / "seisei"
MODULES = """pickle _pickle cPickle dill cloudpickle joblib shelve marshal jsonpickle tarfile torch.hub torch.package
    runpy code codeop""".split()
CALLS = """eval exec compile __import__ torch.load torch.save torch.hub.load torch.jit.load yaml.load yaml.unsafe_load
    yaml.full_load shutil.unpack_archive os.system os.popen importlib.__import__""".split()
LAST = """all_gather_object broadcast_object_list gather_object scatter_object_list send_object_list
    unpack_archive""".split()
ARRAYS = ("load", "read_array", "open_memmap")
# Importing by a name that is no literal, each from a closed table of our own modules, which no file's words reach:
#   __init__.py          public names of the package, loaded when first used, from _PLACES
#   catalog.py           the modules that list classes, from MODULES
#   recipes/__init__.py  a recipe's module, from RECIPES
BY_TABLE = {"__init__.py", "catalog.py", "recipes/__init__.py", "verbs/__init__.py"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def problems(source: str, place: str = "x.py") -> list[str]:
    """What a file does that no file of ours may do."""
    found = []
    names: dict[str, str] = {}  # what this file calls things
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
            modules = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            modules = [f"{node.module}.{a.name}" for a in node.names]
        else:
            continue
        found += [f"imports {m}" for m in modules for bad in MODULES if m == bad or m.startswith(bad + ".")]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            first, _, rest = dotted(node).partition(".")
            full = (
                (names.get(first, first) + (f".{rest}" if rest else ""))
                .removeprefix("builtins.")
                .replace("np.", "numpy.", 1)
            )
            if full in CALLS or full.rpartition(".")[2] in LAST:
                found.append(f"uses {full}")
        if isinstance(node, ast.Call):
            first, _, rest = dotted(node.func).partition(".")
            full = names.get(first, first) + (f".{rest}" if rest else "")
            keywords = {k.arg: k.value for k in node.keywords}
            if full.startswith(("numpy.", "np.")) and full.rpartition(".")[2] in ARRAYS:
                allowed = keywords.get("allow_pickle")
                safe = isinstance(allowed, ast.Constant) and allowed.value is False
                if not safe:
                    found.append(f"calls {full} without allow_pickle=False")
            if "allow_pickle" in keywords and not (
                isinstance(k := keywords["allow_pickle"], ast.Constant) and k.value is False
            ):
                found.append("sets allow_pickle")
            if "shell" in keywords and not (isinstance(s := keywords["shell"], ast.Constant) and s.value is False):
                found.append("starts a shell")
            by_name = full in ("importlib.import_module", "import_module", "pkgutil.resolve_name") or full.startswith(
                "importlib.util."
            )
            literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
            if by_name and not literal and place not in BY_TABLE:
                found.append(f"calls {full} with a name that is no literal")
    return sorted(set(found))


def test_no_file_of_ours_pickles_or_runs_what_a_file_says() -> None:
    files = sorted(SRC.rglob("*.py"))
    assert len(files) > 40
    found = {str(p.relative_to(SRC)): problems(p.read_text("utf-8"), p.relative_to(SRC).as_posix()) for p in files}
    assert {k: v for k, v in found.items() if v} == {}


@pytest.mark.parametrize("place", sorted(BY_TABLE))
def test_files_that_import_by_table_do_so_once(place: str) -> None:
    calls = [n for n in ast.walk(ast.parse((SRC / place).read_text("utf-8"))) if isinstance(n, ast.Call)]
    assert sum(dotted(c.func).endswith("import_module") for c in calls) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads as l",
        "import pickle as p",
        "def f():\n    import dill",
        "import joblib.memory",
        "from torch import hub",
        "import torch.hub",
        "import torch\ntorch.hub.load('a', 'b')",
        "import tarfile",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x', weights_only=True)",
        "from torch import load\nload('x')",
        "import torch\nf = torch.load",
        "import torch\ntorch.save({}, 'x')",
        "import yaml\nyaml.load(x)",
        "from yaml import load\nload(x)",
        "eval('1')",
        "import builtins\nbuiltins.exec('1')",
        "f = eval",
        "from importlib import import_module\nimport_module(name)",
        "import importlib\nimportlib.import_module(name)",
        "import importlib.util\nimportlib.util.find_spec(name)",
        "import numpy as np\nnp.load(x)",
        "import numpy\nnumpy.load(x, allow_pickle=True)",
        "import numpy as np\nnp.load(x, allow_pickle=yes)",
        "from numpy import load\nload(x)",
        "import numpy as np\nnp.lib.format.read_array(f)",
        "g(x, allow_pickle=True)",
        "import subprocess\nsubprocess.run(x, shell=True)",
        "import os\nos.system(x)",
        "import shutil\nshutil.unpack_archive(x)",
        "import torch.distributed as dist\ndist.all_gather_object(a, b)",
        "dist.broadcast_object_list(a)",
        "__import__(name)",
    ],
)
def test_planted_violations_are_found(source: str) -> None:
    assert problems(source)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load(x, allow_pickle=False)",
        "import ast\nast.literal_eval(x)",
        "import yaml\nyaml.safe_load(x)",
        "model.eval()",
        "compile: bool = False",
        "from safetensors.torch import load\nload(x)",
        "import json\njson.load(f)",
        "from importlib import import_module\nimport_module('seisei.nn')",
        "import subprocess\nsubprocess.run(x)",
        "import re\nre.compile('x')",
        "import torch\ntorch.compile(f)",
    ],
)
def test_harmless_lookalikes_are_left_alone(source: str) -> None:
    assert problems(source) == []


# ---- descriptions from files ----

catalog.fill()
WORDS = [
    "os.system",
    "builtins.eval",
    "torch.nn.Linear",
    "subprocess.Popen",
    "seisei.nn.mlp.MLPEncoder",
    "antigravity",
    "../x",
    "VAE",
    "\0",
    "MLPDecoder",
    "Image",
    "Label",
    "Table",
    "ELBO",
    "this",
    "turtle",
    "distutils.core",
    "__import__",
    "",
    "none",
    "1e999",
]
KEYS = [
    "class",
    "arguments",
    "_target_",
    "_partial_",
    "__class__",
    "__reduce__",
    "model",
    "encoder",
    "decoder",
    "head",
    "prior",
    "shape",
    "latent",
    "beta",
    "modality",
    "names",
    "columns",
    "kind",
    "height",
    "x",
    "y",
    "auto_map",
    "module",
]
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=5), st.just(10**400)
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
        | st.fixed_dictionaries(
            {"class": st.sampled_from(sorted(CATALOG)), "arguments": st.dictionaries(st.sampled_from(KEYS), inner)}
        )
    ),
    max_leaves=12,
)


def real() -> dict[str, Any]:
    mlp = {
        "class": "MLPEncoder",
        "arguments": {"shape": [1, 8, 8], "outputs": 8, "width": 16, "depth": 1, "classes": 0},
    }
    out = {"class": "MLPDecoder", "arguments": {"shape": [1, 8, 8], "latent": 4, "width": 16, "depth": 1, "classes": 0}}
    head, prior = {"class": "BernoulliHead", "arguments": {}}, {"class": "StandardNormal", "arguments": {"latent": 4}}
    model = {"class": "VAE", "arguments": {"encoder": mlp, "decoder": out, "head": head, "prior": prior}}
    return {"class": "ELBO", "arguments": {"model": model}}


def paths(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [here] + [p for k, v in inner for p in paths(v, (*here, k))]


def replaced(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copy


@given(anything)
@settings(max_examples=120, deadline=None)
def test_no_description_imports_anything_or_fails_otherwise_than_in_words(data: Any) -> None:
    before = set(sys.modules)
    for read in (Spec.from_json, Schema.from_json):
        try:
            read(data)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
    assert set(sys.modules) == before


@given(st.sampled_from(paths(real())), anything)
@settings(max_examples=120, deadline=None)
def test_damage_anywhere_in_a_real_description_is_refused_or_harmless(path: tuple[Any, ...], value: Any) -> None:
    before = set(sys.modules)
    try:
        spec = Spec.from_json(replaced(real(), path, value))
        assert Spec.from_json(spec.to_json()).to_json() == spec.to_json()
    except UserError:
        pass
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("class",), "os.system"),
        (("class",), "torch.nn.Linear"),
        (("class",), "seisei.objectives.elbo.ELBO"),
        (("class",), ["ELBO"]),
        (("arguments", "model", "class"), "VAE2"),
        (("arguments", "model", "arguments", "encoder"), "MLPEncoder"),
        (("arguments", "model", "arguments", "encoder"), {"_target_": "os.system", "command": "true"}),
        (("arguments", "model", "arguments", "encoder"), {"class": "Image", "arguments": {"height": 8, "width": 8}}),
        (("arguments", "model", "arguments", "encoder"), None),
        (("arguments", "model", "arguments"), {}),
        (("arguments",), {}),
        (("arguments", "model", "arguments", "encoder", "arguments", "shape"), 64),
        (
            ("arguments", "model", "arguments", "encoder", "arguments", "shape"),
            {"class": "BernoulliHead", "arguments": {}},
        ),
        (("arguments", "model", "arguments", "encoder", "arguments", "width"), "wide"),
        (("arguments", "model", "arguments", "encoder", "arguments", "outputs"), -3),
        (("arguments", "model", "arguments", "encoder", "arguments", "outputs"), 10**13),
        (("arguments", "model", "arguments", "encoder", "arguments", "shape"), [1, -8, 8]),
        (("arguments", "model", "arguments", "encoder", "arguments", "classes"), -1),
        (("arguments", "model", "arguments", "encoder", "arguments", "width"), 10**400),
        (("arguments", "model", "arguments", "encoder", "arguments", "width"), 1e308),
        (
            ("arguments", "model", "arguments", "encoder", "arguments", "width"),
            {"class": "BernoulliHead", "arguments": {}},
        ),
    ],
)
def test_a_wrong_part_is_refused_in_one_line(path: tuple[Any, ...], value: Any) -> None:
    assert Spec.from_json(real()).build() is not None  # the description is right before it is damaged
    before = set(sys.modules)
    with pytest.raises(UserError) as caught:
        Spec.from_json(replaced(real(), path, value))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        "x",
        {"x": None},
        {"x": "Image"},
        {"x": {"modality": "os.system"}},
        {"x": {"modality": "BernoulliHead"}},
        {"x": {"modality": "Image"}},
        {"x": {"modality": "Image", "height": 8, "width": 8, "_target_": "os.system"}},
        {"x": {"modality": "Image", "height": "high", "width": 8}},
        {"x": {"modality": "Label", "names": []}},
        {"x": {"modality": "Label", "names": ["a", "a"]}},
        {"x": {"modality": "Label", "names": 3}},
        {"x": {"modality": ["Image"]}},
    ],
)
def test_what_is_no_schema_is_refused(data: Any) -> None:
    before = set(sys.modules)
    with pytest.raises(UserError):
        Schema.from_json(data)
    assert set(sys.modules) == before


@pytest.mark.parametrize("depth", [50, 400, 5000])
def test_deep_nesting_is_refused(depth: int) -> None:
    lists: Any = []
    parts: Any = {"class": "BernoulliHead", "arguments": {}}
    for _ in range(depth):
        lists = [lists]
        parts = {
            "class": "Autoencoder",
            "arguments": {"encoder": parts, "decoder": parts["arguments"] or "x", "head": parts},
        }
    for data in (parts, replaced(real(), ("arguments", "model", "arguments", "encoder", "arguments", "shape"), lists)):
        with pytest.raises(UserError):
            Spec.from_json(data)
        with pytest.raises(UserError):
            Schema.from_json({"x": data})


def test_a_description_survives_json() -> None:
    spec = Spec.from_json(json.loads(json.dumps(real())))
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    schema = Schema(Image(8, 6, 1, 17, (1, 2, 3), "pad"), Label(("b", "a")))
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
