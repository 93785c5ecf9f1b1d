"""Every recipe on the data that a first try has: a few examples, and nothing held out."""

from __future__ import annotations

import functools
import html
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seisei
from seisei.capabilities import VERBS
from seisei.cli.main import main
from seisei.cli.train import score_lines
from seisei.errors import UserError
from seisei.recipes import RECIPES, recipe
from seisei.spec import parameters
from seisei.workflows import train as workflow
from seisei.workflows.compare import compare
from seisei.workflows.train import DataOptions

SMALL: dict[str, Any] = {
    "latent": 2, "width": 16, "depth": 1, "steps": 2, "codec_steps": 2, "downsample": 2, "layers": 1, "heads": 2,
    "codebook_size": 4, "hidden": 4,
}  # fmt: skip
PARTS: dict[str, dict[str, Any]] = {
    "4": {"count": 4},
    "12": {"count": 12},
    "20": {"count": 20},
    "no validation": {"count": 12, "validation": 0},
    "no test": {"count": 12, "test": 0},
    "nothing held out": {"count": 12, "validation": 0, "test": 0},
    "one held out": {"count": 12, "validation": 0, "test": 0.01},
}


@functools.cache
def images(count: int, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), np.uint8)
    return values[..., 0] if channels == 1 else values


@functools.cache
def data_for(name: str, folder: Path, count: int) -> str:
    path = folder / f"{name}-{count}.npz"
    if name == "pix2pix":
        np.savez(path, a=images(count), b=255 - images(count))
    elif name in ("colorize", "stylize"):
        np.savez(path, x=images(count, 3))
    else:
        np.savez(path, x=images(count), y=np.arange(count) % 2)
    return str(path)


def small(name: str) -> dict[str, Any]:
    """Options of a small network and few steps; of those that the recipe reads."""
    if name == "generative":  # Its density is fitted at once.
        return {}
    return {k: v for k, v in SMALL.items() if k in parameters(recipe(name))}


def few(run: Any) -> dict[str, int]:
    """Few importance samples, where the scores take any."""
    return {"importance_samples": 2} if run.recipe["recipe"] == "vae" else {}


def used(run: Any, folder: Path) -> None:
    """Every verb that the run offers, as often as it takes to meet all of its code."""
    x = images(2, 3) if run.recipe["recipe"] in ("colorize", "stylize") else images(2)
    hole = np.zeros((8, 8), np.uint8)
    hole[2:5, 3:] = 255
    calls: dict[str, Any] = {
        "sample": lambda: run.sample(3),
        "reconstruct": lambda: run.reconstruct(x),
        "interpolate": lambda: run.interpolate([3, 7] if "sample" in run.verbs else x, steps=3)[0],
        "encode": lambda: run.encode(x),
        "decode": lambda: run.decode(run.encode(x)) if "encode" in run.verbs else run.decode(np.zeros((2, 2))),
        "score": lambda: run.score(x, **few(run)).nats,
        "predict": lambda: run.predict(x).labels,
        "impute": lambda: run.impute(x, hole[None], 2)[1],
        "translate": lambda: run.translate(x),
        "stylize": lambda: run.stylize(x[0], x[1]),
    }
    assert set(calls) == set(VERBS), "give a new verb a call here"
    for verb in VERBS:
        if verb in run.verbs:
            assert np.isfinite(np.asarray(calls[verb](), np.float64)).all(), verb


def sound(found: dict[str, Any], page: str) -> None:
    """Scores that are numbers; of those that are left out, which and why, in the terminal and in the report."""
    assert all(math.isfinite(score["value"]) for score in found["scores"])
    assert all(score["error"] is None or math.isfinite(score["error"]) for score in found["scores"])
    lines, plain = score_lines(found), html.unescape(page).replace("\\'", "'")
    assert len(lines) > 0 and not any("nan" in line.split() for line in lines)
    for left in found["left_out"]:
        assert sum(left["why"] in line for line in lines) == 1 and left["why"] in plain
    assert found["scores"] or found["left_out"]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_reports_and_is_used_on_a_few_examples(name: str, parts: str, tmp_path: Path) -> None:
    options = dict(PARTS[parts])
    count = options.pop("count")
    data = data_for(name, tmp_path, count)
    if name == "stylize":
        options["style"] = data
    run = seisei.train(name, data, output=tmp_path / "run", **small(name), **options)
    held_out = {part: run.recipe["data"]["report"]["splits"][part] for part in ("test", "validation")}
    split = next((part for part, many in held_out.items() if many), None)
    found = json.loads((run.path / "scores.json").read_text())
    assert found["split"] == split and found["examples"] == (held_out[split] if split else 0)
    sound(found, run.report.read_text())

    checks = [event for event in run.folder.events() if event["event"] == "validation"]
    assert bool(checks) == bool(held_out["validation"])
    assert all(value is not None for event in checks for value in event.get("scores", {}).values())

    try:
        run = seisei.resume(run.path, steps=run.recipe["plan"]["steps"] + 1)
    except UserError as error:
        assert "converged" in str(error) and run.recipe["swept"]
    found = json.loads((run.path / "scores.json").read_text())
    sound(found, run.report.read_text())
    if split is None:
        with pytest.raises(UserError, match="--split train"):
            run.evaluate(**few(run))
        again = run.evaluate(**few(run), split="train")
        assert again["examples"] == count
    else:
        again = run.evaluate(**few(run))
        assert [s["name"] for s in again["scores"]] == [s["name"] for s in found["scores"]]
    sound(again, str(again))
    assert run.write_report().is_file()
    used(run, tmp_path)


@pytest.mark.parametrize("parts", ["4", "nothing held out"])
@pytest.mark.parametrize("name", ["discriminant", "discriminative", pytest.param("generative", marks=pytest.mark.slow)])
def test_classifiers_of_a_few_examples_are_compared(name: str, parts: str, tmp_path: Path) -> None:
    options = dict(PARTS[parts])
    data = data_for(name, tmp_path, options.pop("count"))
    run = seisei.train(name, data, output=tmp_path / "run", report=False, **small(name), **options)
    if parts == "nothing held out":
        with pytest.raises(UserError, match="no examples in 'test'; choose from: train"):
            compare([run.path, run.path], tmp_path / "page")
    split = "train" if parts == "nothing held out" else None
    page = compare([run.path, run.path], tmp_path / "page", split=split)
    content = json.loads((page.parent / "comparison.json").read_text(), parse_constant=pytest.fail)
    assert content["data"]["split"] == (split or "test") and len(content["models"]) == 2


# ---- batches ----


def table(path: Path, count: int) -> Path:
    lines = [f"{i},{(i * 7) % 5},{'ab'[i % 2]}" for i in range(count)]
    path.write_text("\n".join(["one,two,kind", *lines]) + "\n")
    return path


def text(path: Path, count: int) -> Path:
    path.write_text("".join(f"line {i}\n" for i in range(count)))
    return path


def batch_notes(run: Any) -> list[str]:
    """What the log says of the batch; more steps have a note of their own, on the schedule."""
    told = [event["what"] for event in run.folder.events() if event["event"] == "note"]
    return [what for what in told if what.startswith("batches of")]


@pytest.mark.parametrize(
    ("name", "form", "options"),
    [
        ("vae", "images", {}),
        ("vae", "images", {"batch": 5000}),
        ("cgan", "images", {"batch": 5000}),
        ("vqvae+prior", "images", {"batch": 5000}),
        ("pix2pix", "pairs", {}),
        ("discriminative", "table", {"target": "kind"}),
        ("gan", "table", {"ignore": ["kind"], "batch": 100}),
        ("prior", "text", {}),
    ],
    ids=str,
)
def test_a_batch_larger_than_the_data_becomes_the_largest_that_fits(
    name: str, form: str, options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"table": table, "text": text}
    if form in kinds:
        data = str(kinds[form](tmp_path / ("data.csv" if form == "table" else "data.txt"), 8))
    else:
        data = data_for(name, tmp_path, 8)
    words = [
        w for k, v in {**small(name), **options}.items() for w in (f"--{k}".replace("_", "-"), str(v).strip("[]'"))
    ]
    main(["train", name, data, *words, "-o", str(tmp_path / "run")])
    shown = capsys.readouterr().err
    run = seisei.load(tmp_path / "run")
    count = run.recipe["data"]["report"]["splits"]["train"]
    asked = options.get("batch", {"pix2pix": 8}.get(name, 64))
    noun = {"images": "image", "pairs": "image", "table": "row", "text": "text"}[form]
    said = f"batches of {count}, not {asked:,}: there are {count} training {noun}s"
    assert f"note: {said}" in shown and shown.count(said) == 1 + (name == "vqvae+prior")  # once in each stage
    assert batch_notes(run) == [said]
    assert said.removeprefix("batches") in run.report.read_text()
    assert run.recipe["plan"]["batch"] == count < asked
    assert all(stage["batch"] == count for stage in run.recipe["plan"]["given"].values())

    again = seisei.resume(run.path, steps=run.recipe["plan"]["steps"] + 1)
    assert again.recipe["plan"]["batch"] == count
    assert batch_notes(run) == [said]


def test_a_batch_that_fits_is_left_alone_and_a_dry_run_says_what_will_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_for("vae", tmp_path, 8)
    main(["train", "vae", data, "--batch", "3", "--dry-run"])
    told = capsys.readouterr()
    assert json.loads(told.out)["plan"]["batch"] == 3 and "note" not in told.err
    main(["train", "vae", data, "--batch", "8", "--dry-run"])
    told = capsys.readouterr()
    count = json.loads(told.out)["data"]["splits"]["train"]
    assert count < 8 and json.loads(told.out)["plan"]["batch"] == count
    assert f"batches of {count}, not 8: there are {count} training images" in told.err


def test_a_batch_is_cut_into_equal_parts_for_processes_and_micro_batches(tmp_path: Path) -> None:
    data = DataOptions(validation=0, test=0).read(data_for("vae", tmp_path, 11), 0)
    plan = recipe("vae")(data.schema, batch=64).override("micro", 2)
    assert workflow.fitted(plan, data, 2)[0].batch == 8 and workflow.fitted(plan, data, 5)[0].batch == 10
    with pytest.raises(UserError, match="11 training images are fewer than 6 processes of 2 parts") as caught:
        workflow.fitted(plan, data, 6)
    assert caught.value.code == "E-TRN-10"


# ---- advice ----


@pytest.mark.parametrize("given", [[], ["--validation", "0"], ["--test", "0"]], ids=" ".join)
@pytest.mark.parametrize("form", ["images", "pairs", "table", "text", "windows"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_advised_for_too_few_examples_works(
    count: int, form: str, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"images": "vae", "pairs": "pix2pix", "table": "gan"}.get(form, "prior")
    own = {"windows": ["--block-size", "16"], "table": ["--ignore", "kind"]}.get(form, [])
    if form == "table":
        data = str(table(tmp_path / "data.csv", count))
    elif form == "text":
        data = str(text(tmp_path / "data.txt", count))
    elif form == "windows":
        (tmp_path / "data.txt").write_text("abcdefghijklmnop" * count)
        data = str(tmp_path / "data.txt")
    else:
        data = data_for(name, tmp_path, count)
    parts, needed = dict(zip(given[::2], given[1::2], strict=True)), 2 if form == "table" else 1
    dials = [word for k, v in small(name).items() for word in (f"--{k}".replace("_", "-"), str(v))]

    def line() -> str:
        """What an attempt says; nothing where it trains."""
        words = [*own, *dials, *(word for pair in parts.items() for word in pair)]
        try:
            main(["train", name, data, *words, "--no-report", "-o", str(tmp_path / "run")])
        except SystemExit as ended:
            assert ended.code == 2
            return capsys.readouterr().err.splitlines()[-1]
        return ""

    told = line()
    assert bool(told) == (count < needed + 2 - len(parts))
    if count < needed:
        assert told.endswith("add rows")
    elif told:
        advised = dict(re.findall(r"(--validation|--test) (0)", told.partition("pass ")[2]))
        assert advised and not advised.keys() & parts.keys()
        parts |= advised
        assert not line()


def test_one_score_has_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_for("vae", tmp_path, 4)
    run = seisei.train("vae", data, output=tmp_path / "run", report=False, **small("vae"))
    np.savez(tmp_path / "one.npz", x=images(1))
    main(["score", str(run.path), str(tmp_path / "one.npz"), "--importance-samples", "2"])
    shown = capsys.readouterr().out
    assert "mean of 1: " in shown and "nan" not in shown and "±" not in shown


# ---- classes that are in one part only ----


def rows_of(path: Path, *parts: tuple[str, str]) -> str:
    """A table whose column y are the letters given for each part."""
    told = [(part, letter) for part, letters in parts for letter in letters]
    lines = [
        f"{i * 7 % 13},{i * 5 % 11 + (letter == 'q') * 9},{letter},{part}" for i, (part, letter) in enumerate(told)
    ]
    path.write_text("\n".join(["a,b,y,split", *lines]) + "\n")
    return str(path)


CLASSIFIERS: list[tuple[str, dict[str, Any]]] = [
    ("discriminant", {"method": "linear"}),
    ("discriminative", {"network": "mlp", "steps": 3}),
    ("discriminative", {"network": "linear"}),
    ("generative", {"density": "gaussian"}),
    ("generative", {"density": "kde"}),
]
every_classifier = pytest.mark.parametrize(("name", "dials"), CLASSIFIERS, ids=str)


@every_classifier
def test_a_class_in_held_out_rows_only_is_said_and_not_scored_by_its_probability(
    name: str, dials: dict[str, Any], tmp_path: Path
) -> None:
    data = rows_of(tmp_path / "rows.csv", ("train", "pq" * 8), ("validation", "pq"), ("test", "ppqqr"))
    run = seisei.train(name, data, target="y", output=tmp_path / "run", **dials)
    assert [event["what"] for event in run.folder.events() if event["event"] == "note"][-1] == (
        "class 'r' is in held-out rows only: the model cannot know it"
    )
    for found in (run.folder.read("scores.json"), run.evaluate()):
        assert "log-loss" not in {score["name"] for score in found["scores"]}
        assert {score["name"]: score["value"] for score in found["scores"]}["accuracy"] <= 0.8
        if name != "discriminant":
            assert {"scores": "log-loss", "why": "class 'r' is in the test split but not in training"} in found[
                "left_out"
            ]
        assert all(abs(score["value"]) < 1e6 for score in found["scores"])
    assert "Class &#x27;r&#x27; is in held-out rows only" in run.report.read_text()


@every_classifier
def test_a_test_part_of_one_class_and_a_class_of_one_row_are_scored(
    name: str, dials: dict[str, Any], tmp_path: Path
) -> None:
    data = rows_of(tmp_path / "rows.csv", ("train", "pq" * 8 + "r"), ("validation", "pq"), ("test", "pppp"))
    run = seisei.train(name, data, target="y", output=tmp_path / "run", **dials)
    found = run.folder.read("scores.json")
    sound(found | {"left_out": []}, "")
    assert run.scores["accuracy"] in (0, 0.25, 0.5, 0.75, 1)
    assert ("log-loss" in run.scores) == (name != "discriminant")


@every_classifier
def test_training_rows_of_one_class_are_refused_and_the_advice_works(
    name: str, dials: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for k, v in dials.items() for word in (f"--{k}", str(v))]
    given = rows_of(tmp_path / "rows.csv", ("train", "p" * 8), ("validation", "pq"), ("test", "pq"))
    rest = ["--target", "y", *words, "--no-report", "-o"]
    with pytest.raises(SystemExit, match="2"):
        main(["train", name, given, *rest, str(tmp_path / "run")])
    assert "all training rows are of one class, wanted at least 2; put some of another class into train" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
    # Without a column that divides them, so that the one row of another class is held out.
    lines = [f"{i * 7 % 13},{i * 5 % 11},{'q' if i == 5 else 'p'}" for i in range(9)]
    (tmp_path / "drawn.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    for seed in range(100):
        parts = DataOptions(target="y").read(tmp_path / "drawn.csv", seed)
        if len(set(parts.y[parts.splits["train"]].tolist())) == 1:  # type: ignore[index]
            break
    drawn = ["train", name, str(tmp_path / "drawn.csv"), "--seed", str(seed)]
    with pytest.raises(SystemExit, match="2"):
        main([*drawn, *rest, str(tmp_path / "run")])
    assert capsys.readouterr().err.rstrip().endswith("; add rows or pass --validation 0 --test 0")
    main([*drawn, "--validation", "0", "--test", "0", *rest, str(tmp_path / "run")])


def test_rows_without_any_label_are_refused_and_a_part_without_labels_is_said(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("a,b,y\n" + "".join(f"{i},{i * 5 % 7},\n" for i in range(9)))
    with pytest.raises(UserError) as caught:
        seisei.train("discriminative", str(tmp_path / "none.csv"), target="y", output=tmp_path / "run")
    assert caught.value.code.startswith("E-") and not (tmp_path / "run").exists()
    data = rows_of(tmp_path / "rows.csv", ("train", "pq" * 8), ("validation", "pq"), ("test", "pq"))
    run = seisei.train("discriminative", data, target="y", output=tmp_path / "run", report=False, steps=2)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    found = run.evaluate(str(tmp_path / "other.csv"))
    assert found["scores"] == [] and found["left_out"] == [{"scores": "accuracy", "why": "no labels for 2 test rows"}]
    sound(found, str(found))


# ---- names ----


SHARED = {
    "colorize": {"L1", "PSNR", "SSIM"}, "pix2pix": {"L1", "PSNR", "SSIM"}, "discriminant": {"accuracy"},
    "discriminative": {"accuracy"}, "generative": {"accuracy"},
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_validation_and_a_score_have_in_common_by_name_is_the_same_quantity(name: str, tmp_path: Path) -> None:
    data = data_for(name, tmp_path, 40)
    options: dict[str, Any] = {"style": data} if name == "stylize" else {}
    run = seisei.train(name, data, output=tmp_path / "run", report=False, validation=0.25, **small(name), **options)
    found = {s["name"]: s["value"] for s in run.evaluate(split="validation", **few(run))["scores"]}
    (event,) = [e for e in run.folder.events() if e["event"] == "validation" and e["step"] == run.pipeline.card["step"]]
    names = found.keys() & event["scores"].keys()
    assert names == SHARED.get(name, set())
    for each in names:
        assert event["scores"][each] == pytest.approx(found[each], rel=1e-3, abs=1e-4), each
