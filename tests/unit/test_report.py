"""The page about a run: complete, offline, escaped, and made from whatever of a run is there."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pages import EVIL, Page, png

from seisei.errors import UserError
from seisei.report import charts, run_report
from seisei.report.charts import bar_chart, line_chart, scatter
from seisei.report.run_report import write_report
from seisei.report.svg import log_ticks, nice_ticks, number


def train(step: int, **fields: object) -> dict[str, object]:
    loss = 30 + 100 * math.exp(-step / 50)
    event = {"event": "train", "step": step, "t": step / 500, "turn": "model", "loss": loss}
    event |= {"parts": {"reconstruction": loss - 10, "kl": 10.0}, "learning_rate": 0.001, "gradient_norm": 2.0}
    return event | {"examples_per_second": 5000.0, "waiting": 0.01} | fields


def validation(step: int) -> dict[str, object]:
    scores = {"elbo": -33.1, "reconstruction": 22.0, "kl": 11.1}
    return {
        "event": "validation",
        "step": step,
        "scores": scores,
        "kl_per_dimension": [2.0, 0.001, 1.5],
        "active_units": 2,
    }


WATCH = {
    "event": "watch",
    "step": 300,
    "rule": "posterior collapse",
    "severity": "warning",
    "symptom": f"the symptom {EVIL}",
    "evidence": "the evidence",
    "cause": "the cause",
    "advice": "the advice",
    "remedy": None,
}


def log(folder: Path, *events: dict[str, object], tail: str = "") -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + tail)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "2026-11-22-142210-vae-digits"
    for part in ("samples", "figures"):
        (folder / part).mkdir(parents=True)
    for step in range(0, 501, 25):
        (folder / f"samples/step-{step:08d}.png").write_bytes(png())
    for name in ("samples", "reconstructions", "interpolation", "nearest"):
        (folder / f"figures/{name}.png").write_bytes(png(40, 30))
    latent = {
        "points": [[0, 0], [1, 1], [2, 0]],
        "labels": ["cat", EVIL, "cat"],
        "explained": [0.31, 0.18],
        "method": "principal components",
    }
    (folder / "figures/latent.json").write_text(json.dumps(latent))
    report = {
        "kind": "images",
        "count": 1797,
        "classes": {"cat": 178, EVIL: 9},
        "skipped": ["broken-<b>.png: 0 bytes"],
        "conversions": {"gray": 3},
    }
    recipe = {
        "seisei": "0.1.0",
        "recipe": "vae",
        "dials": {"latent": 16},
        "overrides": {},
        "plan": {"objective": {"class": "ELBO", "arguments": {"beta": 1.0}}, "steps": 500, "batch": 64},
        "data": {"path": "photos/digits", "fingerprint": "9f86d081", "report": report},
        "seed": 1234,
        "versions": {"python": "3.11.7", "torch": "2.10.0"},
        "hardware": {"device": "cpu", "cores": 2},
        "command": "seisei train vae digits --latent 16",
        "parameters": 123456,
        "watch": ["divergence", "posterior collapse"],
    }
    (folder / "recipe.json").write_text(json.dumps(recipe))
    x = {"modality": "Image", "height": 8, "width": 8, "channels": 1, "levels": 17}
    (folder / "schema.json").write_text(json.dumps({"x": x, "y": None}))
    score = {"name": "log-likelihood bound", "value": -31.2044, "error": 0.1234, "unit": "nats", "better": "higher"}
    score["note"] = "a lower bound: the true value is at least this"
    (folder / "scores.json").write_text(json.dumps({"split": "test", "scores": [score]}))
    skipped = {"event": "skipped", "step": 40, "term": "reconstruction", "tensor": "decoder.weight"}
    steps = [train(step) for step in range(0, 501, 10)]
    log(
        folder,
        *steps,
        validation(200),
        validation(500),
        WATCH,
        skipped,
        {"event": "end", "step": 500, "seconds": 123.4},
    )
    return folder


def page(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def sections(folder: Path) -> list[str]:
    return [str(section["id"]) for section in page(folder).all("section")]


# The run of these tests has latents, no codes, and answers no images with images.
SECTIONS = [
    section for section in run_report.SECTIONS if section[0] not in ("codes", "translations", "styles", "progress")
]
LABELS = ["confusion", "calibration"]
LATENT = ["reconstructions", "interpolation", "nearest", "map", "dimensions"]
ALWAYS = ["scores", "curves", "watch", "data", "reproduce"]


def test_whole_page(run: Path) -> None:
    found = page(run)
    shown = [(key, title) for key, title, *_ in SECTIONS if key not in LABELS]
    assert [section["id"] for section in found.all("section")] == [key for key, _ in shown]
    for _, title in shown:
        assert title in found.text
    for said in (
        "vae on digits",
        "22 November 2026, 14:22",
        "Log-likelihood bound −31.20 ± 0.12 nats on the test split, higher is better.",
        "1 warning: the symptom",
        "digits, 1,797 examples, 8×8 gray",
        "Finished at step 500 of 500",
        "2 min 3 s",
        "10 of 21 grids are shown",
        "first component (31% of the variance)",
        "a lower bound: the true value is at least this",
        "validation (−ELBO) 33.1",
        "1 step skipped because of non-finite values: step 40 (reconstruction, decoder.weight).",
        "2 of 3 dimensions are active.",
        "The evidence",
        "The advice",
        "Checked for: divergence, posterior collapse.",
        "broken-<b>.png: 0 bytes",
        "seisei train vae digits --latent 16",
        "9f86d081",
        "1234",
        '"beta": 1.0',
    ):
        assert said in found.text, said
    assert "seisei resume" not in found.text, "a finished run needs no resuming"


def test_images(run: Path) -> None:
    images = page(run).all("img")
    assert len(images) == 4 + 10
    assert all(str(p["src"]).startswith("data:image/png;base64,") and p["alt"] for p in images)
    assert images[0]["style"] == "width:720px" and images[0]["class"] == "pixels", "40 pixels, eighteen times"
    assert (images[0]["width"], images[0]["height"]) == ("40", "30")


# ---- what a model can do


def test_codes(run: Path) -> None:
    told = [{"codes": 512, "used": 0.998, "expected": 1.0, "perplexity": 401.2}]
    with open(run / "log.jsonl", "a") as log:
        log.write(json.dumps({"event": "validation", "step": 3000, "t": 1.0, "loss": 1.0, "codes": told}) + "\n")
    assert "codes" in sections(run)
    assert {"512", "99.8\u00a0%", "401", "78\u00a0%"} <= set(page(run).words)


def change(folder: Path, name: str, **facts: object) -> None:
    path = folder / name
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(found | facts))


@pytest.fixture
def classifier(run: Path) -> Path:
    """Of rows and of images at once, which no run is: with all that a classifier leaves."""
    change(run, "recipe.json", verbs=["sample", "score", "predict", "evaluate"], swept=True)
    recipe = json.loads((run / "recipe.json").read_text())
    columns: list[dict[str, object]] = [
        {"name": "age", "used": "x", "kind": "number", "missing": 3, "different": 70, "low": 17, "high": 90.5},
        {"name": "pet", "used": "x", "kind": "category", "missing": 0, "different": 7, "levels": list("abcdefg")},
        {"name": "id", "used": "ignored", "kind": "number", "missing": 0, "different": 9, "why": "a number a row"},
        {"name": "kind", "used": "target"},
    ]
    recipe["data"]["report"] |= {"noun": "row", "kept": 1234, "columns": columns}
    (run / "recipe.json").write_text(json.dumps(recipe))
    names = {"modality": "Label", "names": ["cat", "dog"], "column": "kind"}
    change(run, "schema.json", y=names)
    change(run, "figures/samples.json", columns=2, labels=["cat", "dog"] * 3)
    drawn = [{"age": 41.5, "pet": "a", "kind": "cat"}, {"age": -3.25, "pet": None, "kind": "dog"}]
    change(run, "figures/rows.json", rows=drawn, labels=["cat", "dog"])
    sure = {"confidence": [0.55, 0.9], "accuracy": [0.5, 0.95], "count": [4, 20], "error": 0.05}
    facts = {"split": "test", "examples": 24, "noun": "row", "classes": ["cat", "dog"], "confusion": [[11, 1], [2, 10]]}
    change(run, "figures/classification.json", **facts, calibration=sure)
    score = {"name": "accuracy", "value": 0.875, "error": 0.01, "unit": "share", "better": "higher"}
    change(run, "scores.json", scores=[score, {"name": "Brier score", "value": 1e-40, "unit": "squared error"}])
    swept = [train(step, swept=True, parts={}) for step in range(1, 21)]
    for event in swept:
        del event["gradient_norm"], event["learning_rate"]
    checks = [
        {"event": "validation", "step": s, "loss": 31.5, "scores": {"accuracy": 0.75, "label_loss": 0.5}}
        for s in range(1, 21)
    ]
    change(run, "recipe.json", plan={"objective": {"class": "Fitting"}, "steps": 20})
    log(run, *swept, *checks, {"event": "end", "step": 20, "seconds": 1.0})
    return run


def test_a_classifier(classifier: Path) -> None:
    for name in ("latent.json", "reconstructions.png", "interpolation.png", "nearest.png"):
        (classifier / "figures" / name).unlink()
    found = page(classifier)
    assert [s["id"] for s in found.all("section")] == [k for k, *_ in SECTIONS if k not in LATENT]
    for said in (
        "digits, 1,234 rows, 8×8 gray, 2 classes",
        "20 fitting iterations",
        "Accuracy 87.5 ± 1.0 % on the test split, higher is better.",
        "Accuracy 75 %",
        "3 of 24 rows were misclassified, most often dog as cat (2).",
        "Over 24 rows, mean confidence is 84.2 % and accuracy 87.5 %",
        "kind age pet cat 41.50 a dog −3.25 missing",
        "age x number 3 70 17 to 90.5",
        "pet x category 0 7 a, b, c, d, e … 7 in total",
        "id ignored number 0 9 a number a row",
        "kind target – – –",
        "Predict classes seisei predict",
        "iteration 20",
        "validation 31.5",
        "fraction of labels that are correct",
    ):
        assert said in found.text, said
    assert ("div", {"class": "heads", "style": "--n:2"}) in found.tags
    assert "10⁻⁴⁰" not in found.text, "what rounding leaves is nothing"
    for silent in ("Gradient norm", "Learning rate", "Data-loading wait", "training step", "not finite", "encode"):
        assert silent not in found.text, silent
    # Mutant: of a run that descends, all of that is shown.
    change(classifier, "recipe.json", swept=False)
    log(classifier, *(train(step) for step in (10, 20)))
    words = page(classifier).text
    assert "Gradient norm" in words and "Learning rate" in words and "training step" in words


def test_one_round_makes_no_curve(classifier: Path) -> None:
    change(classifier, "recipe.json", plan={"steps": 1})
    log(classifier, train(1, swept=True), {"event": "end", "step": 1, "seconds": 0.1})
    found = page(classifier)
    assert "curves" not in [s["id"] for s in found.all("section")] and "1 fitting iteration" in found.text


@pytest.mark.parametrize(
    ("verbs", "absent"),
    [
        (
            ["sample", "score", "reconstruct", "interpolate", "encode", "decode", "evaluate"],
            [*LABELS, "nearest", "dimensions"],
        ),
        (["reconstruct", "interpolate", "encode", "decode", "evaluate"], [*LABELS, "nearest", "dimensions", "samples"]),
        (["sample", "score", "predict", "evaluate"], [*LATENT, "calibration"]),
        (["predict", "evaluate"], [*LATENT, "samples", "calibration"]),
    ],
)
def test_a_run_that_was_not_evaluated_names_what_its_model_can_do(
    run: Path, verbs: list[str], absent: list[str]
) -> None:
    for part in ("figures", "samples"):
        shutil.rmtree(run / part)
    log(run, train(10))
    change(run, "recipe.json", verbs=verbs)
    assert sections(run) == [key for key, *_ in SECTIONS if key not in absent]
    found = page(run)
    assert ("seisei sample" in found.text) == ("sample" in verbs)
    assert ("seisei predict" in found.text) == ("predict" in verbs)


def test_grids_that_are_not_by_column_say_what_they_go_through(classifier: Path) -> None:
    names = [f"kind {i}" for i in range(26)]
    change(classifier, "figures/samples.json", columns=10, labels=[names[i % 26] for i in range(80)])
    found = page(classifier)
    assert f"Classes, row by row: {', '.join(names)}." in found.text
    assert not [d for d in found.all("div") if d.get("class") == "heads"]


def test_many_classes_are_a_drawing(classifier: Path) -> None:
    count = 30
    matrix = [[9 if i == j else int(j == i + 1) for j in range(count)] for i in range(count)]
    change(classifier, "figures/classification.json", confusion=matrix, classes=["one"], calibration=None)
    found = page(classifier)
    assert "29 of 299 rows were misclassified." in found.text and "class 29" not in found.text
    assert "class 1 class 2 1 10 %" in found.text and "calibration" not in [s["id"] for s in found.all("section")]


def test_turns_that_are_taken_once_make_no_curve(run: Path) -> None:
    log(run, train(10, turn="prior", loss=2.5), *(train(step, turn="model") for step in (10, 20)))
    assert "prior 2.5" not in page(run).text and "training 97" in page(run).text.replace("training 97.0", "training 97")


def test_offline(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", ""))
    assert not re.search(r"url\(|@import|<iframe|<object|<embed", text)
    found = Page(text)
    assert all(str(link["href"]).startswith(("#", "data:")) for link in found.all("a") + found.all("link"))
    assert len(found.all("script")) == 1 and "src" not in found.all("script")[0]
    policy = next(str(m["content"]) for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;") and "script-src 'sha256-" in policy


def test_charts_are_accessible_xml(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    drawings = re.findall(r'<svg class="chart".*?</svg>(?=</div>|</figure>|<svg class="chart"|<figcaption)', text, re.S)
    assert len(drawings) >= 9
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        kinds = [child.tag.rsplit("}")[-1] for child in root]
        assert kinds[:2] == ["title", "desc"] and root[0].text and root[1].text and root.get("role") == "img"
    assert Page(text).all("caption")


def test_untrusted_text_is_escaped(classifier: Path) -> None:
    run, told = classifier, "vae|Image|test|nats|higher|cat|seed|cpu|images|dog|pet|age|row|number|predict"
    for name in FILES:
        path = run / name
        path.write_text(re.sub(rf'"({told})"', json.dumps(EVIL), path.read_text()))
    evil = train(510, turn=EVIL, parts={EVIL: 1.0, "\ud800\u202e": 2.0})
    log(run, evil, WATCH | {"severity": EVIL, "rule": f'" onload="{EVIL}'}, {"event": "validation", "step": EVIL})
    text = write_report(run).read_text(encoding="utf-8")
    assert EVIL not in text and "\u202e" not in text
    found = Page(text)
    assert EVIL in found.text and len(found.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)


FILES = ["recipe.json", "schema.json", "scores.json", "figures/latent.json"]
FILES += ["figures/samples.json", "figures/rows.json", "figures/classification.json"]
PARTS = ["recipe.json", "schema.json", "log.jsonl", "scores.json", "samples", "figures", "figures/latent.json"]


@pytest.mark.parametrize("part", [*PARTS, "figures/samples.png", "figures/reconstructions.png", "all"])
def test_missing_parts(run: Path, part: str) -> None:
    for path in [run / part] if part != "all" else list(run.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = page(run)
    # A run that does not say what its model can do shows what it has.
    gone = {
        "log.jsonl": ["dimensions"],
        "figures": ["reconstructions", "interpolation", "nearest", "map"],
        "figures/latent.json": ["map"],
        "figures/reconstructions.png": ["reconstructions"],
        "all": ["samples", *LATENT],
    }
    shown = [key for key, *_ in SECTIONS if key not in [*LABELS, *gone.get(part, [])]]
    assert [section["id"] for section in found.all("section")] == shown
    assert "nan" not in found.text.lower().split() and "None" not in found.text.split()
    if part == "all":
        assert shown == ALWAYS
        assert len([p for p in found.all("p") if p.get("class") == "missing"]) >= 3


@pytest.mark.parametrize("junk", ["", "{", "[]", "null", "3", '"x"', "\0", '{"a":' * 400 + "1" + "}" * 400])
@pytest.mark.parametrize("name", [*FILES, "log.jsonl"])
def test_unreadable_parts_are_named(run: Path, name: str, junk: str) -> None:
    (run / name).write_text(junk)
    assert name in page(run).text or not junk


@pytest.mark.parametrize("value", [None, [], {}, "text", 3, -1.5, True, [None], {"a": None}, [[1]], 10**400])
def test_wrong_types_do_not_break(classifier: Path, value: object) -> None:
    run = classifier
    for name in FILES:
        facts = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(dict.fromkeys(facts, value)))
    recipe = json.loads((run / "recipe.json").read_text()) | {"data": {"path": value, "report": {"skipped": value}}}
    recipe["data"]["report"]["columns"] = [value, dict.fromkeys(("name", "low", "high", "levels", "missing"), value)]
    (run / "recipe.json").write_text(json.dumps(recipe))
    kinds = ("train", "validation", "samples", "watch", "checkpoint", "skipped", "end")
    keys = {*train(0), *validation(0), *WATCH, "seconds", "rules"} - {"event"}
    log(run, *({"event": kind} | dict.fromkeys(keys, value) for kind in kinds), {"event": value})
    page(run)


def test_killed_run(run: Path) -> None:
    log(run, train(10), train(20), tail='{"event": "train", "st')
    found = page(run)
    assert "log.jsonl: line 3 could not be read and was skipped. It is the last line" in found.text
    assert "Not finished (running or stopped) at step 20 of 500" in found.text
    assert "No warnings." in found.text and "No known failure detected." in found.text
    assert f"seisei resume {run}" in found.text


def test_resumed_run_keeps_the_later_value(run: Path) -> None:
    log(run, train(10, loss=1.0), train(20, loss=7.0), train(20, loss=5.0))
    assert "training 5" in page(run).words


def test_values_that_are_not_finite(run: Path) -> None:
    log(run, *(train(s) for s in (10, 20)), train(30, loss=math.nan), train(40, loss=math.inf), train(50, loss=None))
    text = write_report(run).read_text(encoding="utf-8")
    assert "3 points not finite: not plotted" in Page(text).text
    assert not re.search(r'd="[^"]*(nan|inf)', text)


def test_players_have_their_own_curves(run: Path) -> None:
    log(run, train(10, turn="discriminator", loss=0.5), train(10, turn="generator", loss=2.5))
    words = page(run).words
    assert "discriminator 0.5" in words and "generator 2.5" in words


def test_broken_image_is_said(run: Path) -> None:
    (run / "figures/samples.png").write_bytes(b"GIF89a")
    assert "samples.png is not a PNG image." in page(run).text


@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_writing_is_atomic(run: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    target = write_report(run)
    before = target.read_bytes()
    assert target == run / "report.html" and write_report(run).read_bytes() == before

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full)
    with pytest.raises(OSError, match="No space"):
        write_report(run)
    assert target.read_bytes() == before and not list(run.glob(".report*"))


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run folder; give a folder") as caught:
        write_report(tmp_path / "absent")
    assert caught.value.code_for("report") == "E-REP-01"


def test_quick_to_import() -> None:
    code = "import sys, seisei.report.run_report; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- charts


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.3, 9.1, [0, 2, 4, 6, 8, 10]),
        (-33.2, -31.1, [-33.5, -33, -32.5, -32, -31.5, -31]),
        (0, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
        (0, 1437, [0, 500, 1000, 1500]),
        (5, 5, [2, 3, 4, 5, 6, 7, 8]),
        (0, 0, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_nice_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == ticks


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e-3, 0.7, 1, 33.3, 1e6, 1e149])
@pytest.mark.parametrize("ends", [(-1.0, 1.0), (0.0, 5e-324), (0.1, 0.3), (1.0, 1.0 + 1e-13), (-7.0, -6.9)])
def test_nice_ticks_cover(ends: tuple[float, float], scale: float) -> None:
    low, high = (end * scale for end in ends)
    ticks = nice_ticks(low, high)
    room = 1e-6 * (ticks[-1] - ticks[0])
    assert ticks[0] <= low + room and ticks[-1] >= high - room and 3 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3, 40, [2, 5, 10, 20, 50]),
        (3, 800, [1, 10, 100, 1000]),
        (1e-9, 1e3, [1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10, 1000]),
        (7, 7, [5, 10]),
    ],
)
def test_log_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks


def test_log_ticks_survive_rounding() -> None:
    below = math.nextafter(1000, 0)
    assert log_ticks(below, below)[-1] >= below


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-31.2, "−31.2"),
        (123456, "123,456"),
        (0.001, "0.001"),
        (3.21e-7, "3.21×10⁻⁷"),
        (1e-6, "10⁻⁶"),
        (5e-5, "0.00005"),
    ]
    + [(math.nan, "not a number"), (-math.inf, "−infinite"), (2e12, "2×10¹²"), (9.9999, "10"), (1500.0, "1,500")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def coordinates(drawing: str, kind: str = "curve") -> list[list[tuple[float, float]]]:
    paths = re.findall(rf'<path class="{kind}[^"]*" d="(M[\d.]+ [\d.L\- ]+)"><title>', drawing)
    return [[tuple(map(float, pair.split())) for pair in path[1:].split("L")] for path in paths]  # type: ignore[misc]


def test_known_line() -> None:
    drawing = line_chart({"y": [(0, 0), (5, 5), (10, 10)]}, title="t", x_label="x", y_label="y")
    # Of 380 by 250: on the left the widest tick label ("10") and 8, right 8, below 36, above title, key, unit.
    assert coordinates(drawing) == [[(20.8, 214.0), (196.4, 139.0), (372.0, 64.0)]]


def test_known_line_on_a_logarithmic_axis() -> None:
    points = [(0.0, 1.0), (1.0, 10.0), (2.0, 100.0), (3.0, 1000.0)]
    drawing = line_chart({"y": points}, title="t", x_label="x", y_label="y", log_y=True)
    heights = [y for _, y in coordinates(drawing)[0]]
    assert heights == [214.0, 164.0, 114.0, 64.0], "equal steps for equal ratios"
    assert "(logarithmic)" in drawing
    lost = line_chart({"y": [(0, -1), *points[1:]]}, title="t", x_label="x", y_label="y", log_y=True)
    assert "1 point not finite or not positive: not plotted" in lost


def test_gap_where_a_value_is_not_finite() -> None:
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 2.0), (4, 1.0)]
    drawing = line_chart({"y": points}, title="t", x_label="x", y_label="y")
    assert [len(piece) for piece in coordinates(drawing)] == [2, 2]
    assert "1 point not finite: not plotted" in drawing


def test_values_beyond_the_axis_are_said() -> None:
    points = [(0, 500.0), (1, 2.0), (2, 1.0)]
    drawing = line_chart({"y": points}, title="t", x_label="x", y_label="y", y_range=(0, 2))
    assert "values beyond the axis, to 500" in drawing and drawing.count("<svg") == 2
    ElementTree.fromstring(drawing)


def test_downsamplening_keeps_spikes_and_ends() -> None:
    points = [(float(i), 1000.0 if i == 7777 else float(i % 3)) for i in range(20000)]
    kept = charts._downsample(points)
    assert len(kept) <= 502 and kept == sorted(kept) and (7777.0, 1000.0) in kept
    assert kept[0] == points[0] and kept[-1] == points[-1]


def test_bars() -> None:
    drawing = bar_chart([2.0, 1.0, math.nan, -1.0], title="t", x_label="dimension", y_label="nats")
    bars = [tuple(map(float, b)) for b in re.findall(r'<rect .*?y="([\d.]+)".*?height="([\d.]+)"', drawing)]
    assert len(bars) == 3 and "1 value not finite: not plotted" in drawing
    assert bars[0][1] == pytest.approx(2 * bars[1][1], abs=0.11) == pytest.approx(2 * bars[2][1], abs=0.11)
    assert bars[0][0] + bars[0][1] == pytest.approx(bars[2][0], abs=0.11), "a negative bar hangs from zero"
    assert "dimension 1: 1 nats" in drawing


def test_scatter() -> None:
    labels = ["a", "b", "a", EVIL]
    drawing = scatter([(0, 0), (1, 1), (2, 0), (1, math.nan)], labels, title="t", x_label="x", y_label="y")
    clouds = re.findall(r'class="cloud f(\d)" d="([^"]*)"', drawing)
    assert [(color, path.count("M")) for color, path in clouds] == [("1", 2), ("2", 1)]
    assert "1 point not finite: not plotted" in drawing and EVIL not in drawing


def test_labels_in_natural_order() -> None:
    names = ["dog 10", "dog 2", "12", "3", "", "²"]
    assert sorted(names, key=charts._natural) == ["", "3", "12", "dog 2", "dog 10", "²"]


def test_scatter_of_many_labels_and_points() -> None:
    count = 6200
    points = [(float(i), float(i % 7)) for i in range(count)]
    drawing = scatter(points, [f"label {i % 40}" for i in range(count)], title="t", x_label="x", y_label="y")
    looks = re.findall(r'class="cloud (f\d)" d="M[\d.]+ [\d.]+(m[^M]*?z)', drawing)
    assert len(looks) == len(set(looks)) == 29, "28 looks, each its own, and the rest in gray"
    assert "other labels" in drawing and re.search(r"[\d,]+ of 6,200 points plotted", drawing)


@pytest.mark.parametrize("series", [{}, {"a": []}, {"a": [(0, math.nan)]}, {"a": [(0, 1e308), (1, -1e308)]}])
def test_nothing_to_draw(series: dict[str, list[tuple[float, float]]]) -> None:
    ElementTree.fromstring(line_chart(series, title="t", x_label="x", y_label="y"))
    ElementTree.fromstring(bar_chart([], title="t", x_label="x", y_label="y"))
    ElementTree.fromstring(scatter([], title="t", x_label="x", y_label="y"))
    ElementTree.fromstring(line_chart({"a": [(5, 3.0)]}, title="t", x_label="x", y_label="y"))
    ElementTree.fromstring(scatter([(1, 1)], title="t", x_label="x", y_label="y"))


def test_a_run_that_draws_nothing_new_shows_what_it_made_through_training(run: Path) -> None:
    change(run, "recipe.json", verbs=["translate", "evaluate"])
    found = page(run)
    ids = [section["id"] for section in found.all("section")]
    assert "samples" not in ids and ids.index("translations") < ids.index("progress")
    assert "The same examples at every step" in found.text and "generated by the model" not in found.text
