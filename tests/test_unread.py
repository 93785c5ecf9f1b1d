"""An option that changes nothing is refused by name: of recipes, of data, of the loop, of verbs, of estimators."""

from __future__ import annotations

import inspect
import json
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from test_recipes import SCHEMAS, codec

import seisei
from seisei import catalog
from seisei.cli.main import main
from seisei.data.options import DataOptions
from seisei.data.types import read_for_training
from seisei.errors import UserError
from seisei.estimators import DiscriminantClassifier, DiscriminativeClassifier, GenerativeClassifier
from seisei.modalities.image import Image
from seisei.recipes import RECIPES, recipe
from seisei.recipes.effect import has_effect, refuse_unread
from seisei.recipes.unread import refuse_unread_execution, refuse_unread_loop
from seisei.schema import Schema
from seisei.shell import joined, quoted
from seisei.spec import arguments_for, parameters
from seisei.training.engine import Execution
from seisei.workflows.train import Request, plan_for

catalog.fill()
DATA = {
    "colorize": ["color 16×16"],
    "pix2pix": ["maps 20×24", "pairs 13×16"],
    "stylize": ["pairs 13×16"],
    "gan": ["gray 8×8", "mixed rows"],
    "cgan": ["gray 8×8", "mixed rows", "told rows"],
    "discriminant": ["gray 8×8", "mixed rows"],
    "discriminative": ["gray 8×8", "mixed rows"],
    "generative": ["gray 8×8", "mixed rows"],
    "density": ["gray 8×8", "plain rows"],
    "prior": ["gray 8×8", "binary 28×28", "texts"],
}
# Options that are paths of runs: their values are tried by tests that have such runs.
RUNS = ("codec", "features")


def choices(annotation: Any) -> list[Any]:
    """The words of a literal, or both truths."""
    literal = next((a for a in (annotation, *get_args(annotation)) if get_origin(a) is Literal), None)
    return [True, False] if annotation is bool else list(get_args(literal)) if literal is not None else []


def other(annotation: Any, default: Any) -> list[Any]:
    """Values that differ from the default, chosen apart from those that the program tries."""
    if found := choices(annotation):
        return [value for value in found if value != default]
    whole = "int" in str(annotation) and "float" not in str(annotation)
    return [value for value in ([1, 3, 5, 16, 48] if whole else [0.3, 0.015, 0.7, 3.5]) if value != default]


def allowed(annotation: Any, value: Any) -> bool:
    from seisei.spec import checked

    try:
        checked("x", value, annotation)
    except UserError:
        return False
    return True


def settings(name: str) -> Iterator[tuple[Schema, dict[str, Any]]]:
    """Every choice of a recipe made once, on each of its data, beside what a number switches on."""
    for schema in DATA.get(name, ["gray 8×8"]):
        yield SCHEMAS[schema], {}
        for parameter in parameters(recipe(name)).values():
            for value in choices(parameter.annotation):
                if value != parameter.default:
                    yield SCHEMAS[schema], {parameter.name: value}
        for switch in ({"quantizers": 2}, {"gan_weight": 0.0}, {"importance_samples": 3}):
            if set(switch) <= set(parameters(recipe(name))):
                yield SCHEMAS[schema], dict(switch)


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_of_a_recipe_changes_the_plan_or_is_refused(name: str) -> None:
    build, known = recipe(name), parameters(recipe(name))
    counted: set[str] = set()
    for schema, beside in settings(name):
        try:
            base = build(**arguments_for(build, {**beside, "schema": schema}, "--"))
        except UserError:  # these data cannot have it so
            continue
        for parameter in known.values():
            if parameter.name == "schema" or parameter.name in (*RUNS, *beside):
                continue
            values = [v for v in other(parameter.annotation, parameter.default) if allowed(parameter.annotation, v)]
            assert values, parameter.name
            plans: list[Any] = []
            for value in values:
                try:
                    plans.append(build(**arguments_for(build, {**beside, parameter.name: value, "schema": schema}, "")))
                except UserError:
                    plans.append(None)
            changes = any(plan is None or plan.to_json() != base.to_json() for plan in plans)
            full = arguments_for(build, {**beside, parameter.name: values[0], "schema": schema}, "--")
            if plans[0] is not None:
                assert has_effect(build, full, parameter.name) == changes, (beside, parameter.name)
            counted |= {parameter.name} if changes else set()
            if not changes and not beside:
                with pytest.raises(UserError) as caught:
                    refuse_unread(build, schema, {parameter.name: values[0]})
                assert caught.value.where == f"--{parameter.name.replace('_', '-')}", caught.value
                assert caught.value.code == "E-TRN-08" and "\n" not in str(caught.value)
    assert counted == set(known) - {"schema", *RUNS}, "options that nothing makes count"


def refused(name: str, schema: str, **given: Any) -> str:
    with pytest.raises(UserError) as caught:
        refuse_unread(recipe(name), SCHEMAS[schema], given)
    assert caught.value.exit_code == 2 and caught.value.code == "E-TRN-08"
    return str(caught.value)


GAUSSIAN = {
    "rank": 3, "max_points": 5, "bandwidth": 0.2, "latent": 3, "width": 9, "depth": 3, "head": "gaussian",
    "mask_prob": 0.5, "steps": 7, "batch": 32, "learning_rate": 0.01, "ema_decay": 0.9,
}  # fmt: skip
LINEAR = {
    "width": 9, "depth": 3, "steps": 5, "batch": 32, "learning_rate": 0.01, "weight_decay": 0.1, "ema_decay": 0.9,
}  # fmt: skip


@pytest.mark.parametrize("name", GAUSSIAN)
def test_eleven_options_are_not_for_a_gaussian(name: str) -> None:
    said = refused("generative", "gray 8×8", density="gaussian", **{name: GAUSSIAN[name]})
    assert said.startswith(f"--{name.replace('_', '-')}: is used only with --density ")
    assert ", and --density gaussian is given; choose --density " in said


@pytest.mark.parametrize("name", LINEAR)
def test_seven_options_are_not_for_logistic_regression(name: str) -> None:
    said = refused("discriminative", "mixed rows", network="linear", **{name: LINEAR[name]})
    assert "is used only with --network mlp, and --network linear is given" in said


def test_what_would_make_an_option_count_is_said() -> None:
    assert refused("vae", "gray 8×8", components=100) == (
        "--components: is used only with --prior vamp; choose --prior vamp, or leave it out"
    )
    assert refused("vqvae", "gray 8×8", quantizer_mode="product") == (
        "--quantizer-mode: is used only with --quantizers other than 1; add --quantizers 2, or leave it out"
    )
    told = "--cond-dropout: is used only with --condition label; choose --condition label, or leave it out"
    assert refused("prior", "gray 8×8", cond_dropout=0.5) == told
    # Also where the data have no labels yet.
    assert refused("vqvae+prior", "color 16×16", cond_dropout=0.5) == told
    assert refused("vae", "gray 8×8", beta=2.0, importance_samples=5) == (
        "--beta: has no effect with --importance-samples 5; leave one of the two out"
    )
    assert refused("generative", "mixed rows", max_shift=1) == (
        "--max-shift: is for images, and these data are rows; leave it out"
    )
    assert refused("discriminant", "gray 8×8", method="perceptron", l2=2.0).startswith(
        "--l2: is used only with --method linear or kernel, and --method perceptron is given"
    )
    assert "--loss minimax" in refused("gan", "gray 8×8", loss="minimax", r1_gamma=0.1)
    assert "--gan-weight 0" in refused("pix2pix", "pairs 13×16", gan_weight=0.0, loss="hinge")
    assert refused("generative", "gray 8×8", density="kde", steps=5).startswith("--steps: is used only with --density ")
    with pytest.raises(UserError, match="--per-level-priors: is for codes of several levels"):
        recipe("prior")(SCHEMAS["gray 8×8"], per_level_priors=True)


def test_a_value_in_effect_is_no_fault() -> None:
    schema = SCHEMAS["gray 8×8"]
    refuse_unread(recipe("vae"), schema, {"network": "mlp", "prior": "vamp", "components": 7})
    # The default may be written down.
    refuse_unread(recipe("vae"), schema, {"components": 500, "prior": "normal", "condition": "none"})
    # So may what a recipe comes to by itself.
    refuse_unread(recipe("generative"), SCHEMAS["mixed rows"], {"density": "ppca-mixture", "rank": 30})


def test_a_codec_is_read() -> None:
    refuse_unread(recipe("prior"), Schema(Image(16, 16)), {"codec": codec(), "width": 32})
    refuse_unread(recipe("stylize"), SCHEMAS["pairs 13×16"], {"features": codec()})


# ---- data ----

FLAT = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(folder: Path, count: int = 40, *, kinds: int = 0, side: int = 8, seed: int = 0) -> Path:
    """A folder of images, in folders by class where there are classes."""
    from PIL import Image as Pillow

    random = np.random.default_rng(seed)
    for i in range(count):
        place = folder / (f"kind{i % kinds}" if kinds else "")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (side, side), dtype=np.uint8)
        Pillow.fromarray(pixels).save(place / f"{i:02d}.png")
    return folder


def both(capsys: pytest.CaptureFixture[str], name: str, data: Any, code: str, **options: Any) -> str:
    """The refusal of a training, by the command line and in Python alike; nothing is written."""
    words = [f"--{k.replace('_', '-')}{'' if v is True else f'={v}'}" for k, v in options.items()]
    with pytest.raises(SystemExit) as ended:
        main(["train", name, str(data), *words, "-o", "run"])
    line = capsys.readouterr().err.strip()
    plural = {k: [v] if k == "condition" else v for k, v in options.items()}
    with pytest.raises(UserError) as caught:
        seisei.train(name, data, output="run", **plural)
    assert ended.value.code == 2 and caught.value.code == code and not Path("run").exists()
    assert line == f"seisei train: error: {caught.value}"
    return str(caught.value)


def test_options_of_a_recipe_are_refused_by_both_ways(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = both(capsys, "vae", "digits", "E-TRN-08", components=100)
    assert said == "--components: is used only with --prior vamp; choose --prior vamp, or leave it out"


def test_what_is_given_of_images_needs_a_recipe_that_heeds_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = images(here / "shapes", kinds=2)
    said = both(capsys, "gan", folder, "E-TRN-08", condition="label")
    assert said.startswith("--condition: has no effect with gan, which is unconditional; train cgan, prior, vae or")
    files = "\n".join(f"kind{i % 2}/{i:02d}.png,{i}" for i in range(40))
    (folder / "metadata.csv").write_text(f"file_name,place\n{files}\n")
    said = both(capsys, "vae", folder, "E-TRN-12", condition="place")
    assert said.startswith("--condition: vae is conditioned on classes only; write --condition label")
    assert "--style: has no effect with vae" in both(capsys, "vae", folder, "E-TRN-08", style=str(folder))
    assert "--style" in both(capsys, "colorize", pairs_of(here / "pairs"), "E-TRN-08", style=str(folder), channels=3)
    assert "--pairs: has no effect with vae" in both(capsys, "vae", here / "pairs", "E-TRN-08", pairs="folders")
    said = both(capsys, "discriminative", folder, "E-TRN-08", unlabeled=str(folder), batch=8)
    assert "--unlabeled" in said and "train generative" in said


def test_a_target_is_for_what_learns_labels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(40))
    (here / "t.csv").write_text(f"x,z,kind\n{rows}\n")
    assert "--target: has no effect with gan" in both(capsys, "gan", "t.csv", "E-TRN-08", target="kind")
    folder = images(here / "shapes", kinds=2)
    said = both(capsys, "cgan", folder, "E-TRN-13", target="place")
    assert said == (
        "--target: is for tables, and these data are images; name it with --condition place, or put each class in its "
        "own sub-folder"
    )
    plain = images(here / "plain")
    for name, remedy in (("cgan", "--condition"), ("generative", "metadata.csv"), ("discriminant", "metadata.csv")):
        with pytest.raises(UserError) as caught:
            seisei.train(name, plain, output="run")
        assert "--target" not in str(caught.value) and remedy in str(caught.value)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("digits", {"column": "x"}),
        ("digits", {"follow_outside": True}),
        ("digits", {"first_frame": True}),
        ("digits", {"skip_bad": "1%"}),
        ("t.csv", {"max_pixels": 1000}),
        ("t.csv", {"min_size": 9}),
        ("t.csv", {"memory": 100}),
        ("t.csv", {"follow_outside": True}),
        ("t.txt", {"max_pixels": 1000}),
        ("shapes", {"column": "x"}),
    ],
)
def test_options_of_another_sort_of_data(here: Path, data: str, options: dict[str, Any]) -> None:
    (here / "t.csv").write_text("x,z\n" + "".join(f"{i},{i * i}\n" for i in range(40)))
    (here / "t.txt").write_text("".join(f"line {i}\n" for i in range(40)))
    images(here / "shapes")
    with pytest.raises(UserError, match="is for") as caught:
        read_for_training(data, DataOptions(**options), seed=0)
    assert caught.value.where == f"--{next(iter(options)).replace('_', '-')}"


def test_shares_of_parts_that_the_data_have(here: Path) -> None:
    for part in ("train", "test"):
        images(here / "data" / part, 20, seed=len(part))
    with pytest.raises(UserError, match="--test: has no effect: the data have their own test split of 20 images"):
        read_for_training("data", DataOptions(test=0.3), seed=0)
    assert len(read_for_training("data", DataOptions(validation=0.3), seed=0).splits["validation"]) > 2


# ---- the loop ----


def set_on(name: str, schema: str, **overrides: Any) -> None:
    plan_for(Request(name, None, overrides=overrides), SCHEMAS[schema])


@pytest.mark.parametrize(
    ("name", "schema", "path", "value"),
    [
        ("generative", "gray 8×8", "batch", 32),
        ("generative", "gray 8×8", "ema_decay", 0.5),
        ("generative", "gray 8×8", "micro", 2),
        ("generative", "gray 8×8", "optim.learning_rate", 0.1),
        ("vae", "gray 8×8", "patience", 0.5),
        ("vae", "color 16×16", "class_balance", 0.5),
        ("vae", "gray 8×8", "optim.matrices", "muon"),
        ("generative", "gray 8×8", "schedule_steps", 5),
        ("vae", "gray 8×8", "schedule_steps", recipe("vae")(SCHEMAS["gray 8×8"]).steps),
    ],
)
def test_what_is_set_of_the_loop_must_count(name: str, schema: str, path: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"--set {path}: has no effect: ") as caught:
        set_on(name, schema, **{path: value})
    assert caught.value.code == "E-TRN-08"


def test_what_counts_may_be_set() -> None:
    set_on("vae", "gray 8×8", micro=2, class_balance=0.5, schedule_steps=7, **{"optim.clip": 3.0})
    set_on("pix2pix", "pairs 13×16", patience=1.0)
    set_on("prior", "gray 8×8", **{"optim.matrices": "adam"})
    plan = recipe("generative")(SCHEMAS["gray 8×8"])
    refuse_unread_loop(plan, plan, {"batch": 1}, SCHEMAS["gray 8×8"])


def test_how_it_is_carried_out_must_count() -> None:
    fitted, vae, gan = (recipe(n)(SCHEMAS["gray 8×8"]) for n in ("generative", "vae", "gan"))
    for plan, execution, remedy, option in (
        (vae, Execution(sharded=True), False, "--sharded"),
        (fitted, Execution(compile=True), False, "--compile"),
        (vae, Execution(), True, "--auto-remedy"),
    ):
        with pytest.raises(UserError) as caught:
            refuse_unread_execution(plan, execution, 1, remedy)
        assert caught.value.where == option
    refuse_unread_execution(vae, Execution(sharded=True), 2, False)
    refuse_unread_execution(gan, Execution(compile=True), 1, True)
    # A codec that comes first has a remedy.
    refuse_unread_execution(recipe("vqvae+prior")(SCHEMAS["gray 8×8"]), Execution(), 1, True)


# ---- a dry run goes the way of a training ----


def pairs_of(folder: Path, count: int = 20) -> Path:
    """Pairs in two folders."""
    for side in "ab":
        images(folder / side, count, side=16, seed=ord(side))
    return folder


SMALL = {"steps": 1, "batch": 4, "width": 8, "layers": 1, "heads": 2, "codec_steps": 1}


@pytest.mark.parametrize("name", RECIPES)
def test_a_dry_run_accepts_what_trains_and_refuses_the_same(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs_of(here / "pairs")
    images(here / "shapes", kinds=2, side=16)
    data = {"pix2pix": "pairs"}.get(name, "shapes")
    given = {k: v for k, v in SMALL.items() if k in parameters(recipe(name))}
    if "heads" in given:
        given["width"] = 16
    if name in ("generative", "density"):
        given = {}
    words = [f"--{k.replace('_', '-')}={v}" for k, v in given.items()]
    words += {"stylize": ["--style", "shapes"]}.get(name, [])
    main(["train", name, data, *words, "--dry-run"])
    planned = json.loads(capsys.readouterr().out)
    assert planned["recipe"] == name and planned["parameters"] >= 0 and planned["plan"]["objective"]["class"]
    assert not Path("runs").exists()
    main(["train", name, data, *words, "-o", "run", "--no-report"])
    kept = json.loads(Path("run/recipe.json").read_text())
    assert kept["plan"] == planned["plan"] and kept["dials"] == planned["dials"]
    capsys.readouterr()
    for wrong in (["--seed", "-1"], ["--keep", "1"], ["--column", "x"], ["-o", "run"], ["--set", "nothing=1"]):
        said = []
        for dry in ([], ["--dry-run"]):
            with pytest.raises(SystemExit) as ended:
                main(["train", name, data, *words, *wrong, *dry])
            said.append((ended.value.code, capsys.readouterr().err))
        assert said[0] == said[1] and said[0][0] == 2, wrong


@pytest.mark.parametrize("layout", ["side-by-side", "folders", "columns", "arrays"])
def test_a_dry_run_of_pairs_in_each_layout(here: Path, capsys: pytest.CaptureFixture[str], layout: str) -> None:
    paired(here / "data", layout)
    data = "data/pairs.npz" if layout == "arrays" else "data"
    main(["train", "pix2pix", data, "--batch", "4", "--steps", "1", "--dry-run"])
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["kind"] == f"pairs ({layout})"


def paired(folder: Path, layout: str, count: int = 20) -> None:
    from PIL import Image as Pillow

    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    sides = random.integers(0, 256, (2, count, 16, 16), dtype=np.uint8)
    if layout == "arrays":
        np.savez(folder / "pairs.npz", a=sides[0], b=sides[1])
    elif layout == "folders":
        pairs_of(folder, count)
    else:
        lines = ["file_name,target"]
        for i, (a, b) in enumerate(zip(*sides, strict=True)):
            if layout == "side-by-side":
                Pillow.fromarray(np.concatenate([a, b], 1)).save(folder / f"{i}.png")
            else:
                Pillow.fromarray(a).save(folder / f"{i}.png")
                Pillow.fromarray(b).save(folder / f"{i}-t.png")
                lines.append(f"{i}.png,{i}-t.png")
        if layout == "columns":
            (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


# ---- check is one function, and its suggestions train ----


def table(path: Path, count: int = 60) -> None:
    rows = [f"{i * 7 % 40},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}" for i in range(count)]
    path.write_text("\n".join(["age,kind,paid", *rows, ""]))


@pytest.mark.parametrize(
    "what", ["classes", "side-by-side", "folders", "columns", "pairs.npz", "t.csv", "t.txt", "t.parquet", "x.npy"]
)
def test_check_is_the_same_in_python(here: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {}
    if what == "classes":
        images(here / what, kinds=2)
    elif what in ("side-by-side", "folders", "columns"):
        paired(here / what, what)
    elif what == "pairs.npz":
        paired(here, "arrays")
    elif what == "x.npy":
        np.save(here / what, FLAT)
    elif what == "t.txt":
        (here / what).write_text("".join(f"line {i}\n" for i in range(40)))
    else:
        table(here / "t.csv")
        if what == "t.parquet":
            import pyarrow.csv
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.csv.read_csv("t.csv"), what)
        options = {"target": "paid"}
    main(["check", what, "--json", *[f"--{k}={v}" for k, v in options.items()]])
    said = json.loads(capsys.readouterr().out)
    found = seisei.check(what, **options)
    assert json.loads(json.dumps(found)) == said
    kind = {"classes": "folder of images", "pairs.npz": "pairs (arrays)", "folders": "pairs (folders)"}
    kind |= {"columns": "pairs (columns)", "t.csv": "table", "t.parquet": "table", "t.txt": "lines of text"}
    assert what not in kind or said["kind"] == kind[what]
    assert any(word in " ".join(entry["command"] for entry in said["advice"]) for word in ("train", "--target"))
    pairs = what in ("side-by-side", "folders", "columns", "pairs.npz")
    assert pairs == any("pix2pix" in entry["command"] for entry in said["advice"])


def test_arrays_in_memory_are_checked_as_in_files(here: Path) -> None:
    paired(here, "arrays")
    arrays = dict(np.load("pairs.npz"))
    assert seisei.check(arrays)["kind"] == "pairs (arrays)"
    assert seisei.check((FLAT, np.arange(40) % 3))["classes"] == {"0": 14, "1": 13, "2": 13}


def fixture(folder: Path, what: str) -> list[str]:
    """Data in a folder with a space in its name, and the words by which they are checked."""
    folder.mkdir()
    where = str(folder)
    if what == "digits":
        return ["digits"]
    if what in ("images", "few"):
        images(folder, 12 if what == "few" else 40)
    elif what == "classes":
        images(folder, 48, kinds=2)
    elif what == "pairs":
        pairs_of(folder)
    elif what == "styles":
        images(folder / "photos", side=16)
        images(folder / "art", 12, side=16, seed=1)
        return [str(folder / "photos"), "--style", str(folder / "art")]
    elif what in ("captions", "conditions"):
        images(folder, 48)
        lines = [f"{i:02d}.png,a square of {'abcd'[i % 4]},{i % 2}" for i in range(48)]
        (folder / "metadata.csv").write_text("\n".join(["file_name,caption,place", *lines, ""]))
        return [where, "--condition", "caption" if what == "captions" else "place"]
    elif what in ("target", "table"):
        table(folder / "t.csv")
        return [f"{where}/t.csv", *(["--target", "paid"] if what == "target" else [])]
    elif what == "text":
        (folder / "t.txt").write_text("".join(f"a line with the number {i}, and some words more\n" for i in range(30)))
        return [f"{where}/t.txt"]
    return [where]


@pytest.mark.parametrize(
    "what",
    ["images", "classes", "few", "pairs", "styles", "captions", "conditions", "target", "table", "text", "digits"],
)
def test_what_check_suggests_trains(here: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    pending, done = [joined(["seisei", "check", *fixture(here / "my data", what)])], []
    while pending:
        words = shlex.split(pending.pop(0))[1:]
        if words[0] == "check":
            main([*words, "--json"])
            found = json.loads(capsys.readouterr().out)
            new = [entry["command"] for entry in found["advice"]]
            pending += [command for command in new if command not in done]
            done += new
            continue
        # Fewer steps, and no report: those have tests of their own.
        for option in ("--steps", "--codec-steps"):
            if option in words:
                words[words.index(option) + 1] = "2"
        if "--steps" not in words and words[1] not in ("generative", "density"):
            words += ["--steps", "2"]
        main([*words, "-o", f"run{len(done)}-{len(pending)}", "--no-report"])
        capsys.readouterr()
    assert any(command.startswith("seisei train") for command in done)
    if what != "digits":
        assert all("'" in command for command in done), done


# ---- commands are quoted ----


def test_words_are_quoted_for_the_shell() -> None:
    assert quoted("a b", windows=False) == "'a b'" and quoted("a b", windows=True) == '"a b"'
    assert quoted("C:\\my data\\", windows=True) == '"C:\\my data\\\\"'
    assert quoted('a"b', windows=True) == '"a\\"b"' and quoted("50%&x", windows=True) == '"50%&x"'
    assert quoted("", windows=True) == '""' and quoted("runs\\a-1", windows=True) == "runs\\a-1"
    assert joined(["seisei", "check", Path("a b")], windows=True) == 'seisei check "a b"'


def test_what_a_training_prints_is_quoted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(here / "my rows.csv")
    words = ["train", "generative", "my rows.csv", "--target", "paid", "-o", "my run"]
    main(words)
    out = capsys.readouterr().out
    assert "seisei predict 'my run' " in out and "seisei sample 'my run' -n 64" in out
    assert "my rows.csv'" in out and "open 'my run/report.html'" in out
    with pytest.raises(SystemExit):
        main(words)
    assert "resume it with `seisei resume 'my run'`" in capsys.readouterr().err


# ---- verbs ----


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Small runs, each trained once."""
    made: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("runs")

    def run(name: str, **options: Any) -> str:
        if name not in made:
            path = folder / name
            data = options.pop("data", "digits")
            seisei.train(name, data, output=path, report=False, **options)
            made[name] = str(path)
        return made[name]

    return run


@pytest.mark.parametrize(
    ("recipe_", "words", "option"),
    [
        ("vae", ["sample", "--label", "1"], "--label"),
        ("vae", ["sample", "--top-p", "0.9"], "--top-p"),
        ("vae", ["sample", "--guidance", "1.5"], "--guidance"),
        ("vae", ["sample", "--separate", "--columns", "3"], "--columns"),
        ("vae", ["reconstruct", "digits", "--separate", "--limit", "3"], "--limit"),
        ("vae", ["interpolate", "--from", "3", "--to", "7", "--fit", "crop"], "--fit"),
        ("vae", ["score", "digits", "--unseen", "missing"], "--unseen"),
        ("vae", ["evaluate", "--cas"], "--cas"),
        ("generative", ["score", "digits", "--importance-samples", "7"], "--importance-samples"),
        ("generative", ["evaluate", "--importance-samples", "7"], "--importance-samples"),
        ("generative", ["sample", "--truncation", "1"], "--truncation"),
    ],
)
def test_options_of_verbs(
    runs: Any, here: Path, recipe_: str, words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs("vae", steps=2, latent=4, width=16) if recipe_ == "vae" else runs("generative", density="naive")
    with pytest.raises(SystemExit) as ended:
        main([words[0], run, *words[1:]])
    line = capsys.readouterr().err
    assert ended.value.code == 2 and f"error: {option}: " in line, line


def test_options_of_images_are_not_for_rows(here: Path) -> None:
    table(here / "t.csv")
    run = seisei.train("generative", "t.csv", target="paid", output="run", report=False)
    for option, value in (("fit", "crop"), ("convert", True), ("max_pixels", 1000)):
        with pytest.raises(UserError, match="is for images, and this model is of rows"):
            run.predict("t.csv", **{option: value})
    assert len(run.predict("t.csv", unseen="missing").labels) == 60


def test_a_seed_is_for_several_answers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs_of(here / "pairs")
    run = seisei.train("pix2pix", "pairs", steps=1, batch=4, width=8, output="run", report=False)
    with pytest.raises(UserError, match="--seed: has no effect: this model was trained without --noise"):
        run.translate("pairs/a", seed=3)
    with pytest.raises(SystemExit):
        main(["translate", "run", "pairs/a", "--seed", "3"])
    assert "--seed: has no effect" in capsys.readouterr().err


# ---- estimators ----

X, Y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
ESTIMATORS = {
    DiscriminantClassifier: ("method", ["perceptron", "linear", "kernel"]),
    DiscriminativeClassifier: ("network", ["linear", "mlp"]),
    GenerativeClassifier: ("density", ["gaussian", "linear", "naive", "mixture", "ppca-mixture", "kde"]),
}


def changed(value: Any) -> Any:
    """A number that is not the default."""
    return 2 * value or 0.7


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.__name__)
def test_a_parameter_of_an_estimator_counts_or_warns(estimator: Any) -> None:
    """By what comes out of it: a parameter that no answer depends on is warned of, one that does is not."""
    choice, values = ESTIMATORS[estimator]
    quick = {"steps": 4, "iterations": 2}
    for value in values:

        def answer(value: str = value, **given: Any) -> tuple[Any, list[str]]:
            base = {k: v for k, v in quick.items() if k in inspect.signature(estimator).parameters}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = estimator(**{choice: value, "random_state": 0, **(base if value != "linear" else {}), **given})
                model.fit(X, Y)
            tell = getattr(model, "predict_proba", None) or model.decision_function
            return tell(X), [str(w.message).partition("=")[0] for w in caught if "has no effect" in str(w.message)]

        first, warned = answer(**({"steps": 500} if "steps" in inspect.signature(estimator).parameters else {}))
        assert set(warned) <= {"iterations"}
        for name, parameter in inspect.signature(estimator).parameters.items():
            if name in (choice, "random_state", "categorical", "prior", "steps", "iterations"):
                continue
            found, warned = answer(**{name: {"gamma": 0.7, "rank": 1}.get(name) or changed(parameter.default)})
            if name in warned:
                assert np.array_equal(found, answer()[0]), (value, name)
            elif name not in ("max_points", "landmarks", "batch"):  # limits that so few rows do not reach
                assert not np.array_equal(found, answer()[0]), (value, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value in values:
            estimator(**{choice: value}).fit(X[:, :2], Y) if value != "mlp" else None


def test_the_words_of_such_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"^rank=3 has no effect with density='gaussian': it is used only with"):
        GenerativeClassifier(rank=3).fit(X, Y)
