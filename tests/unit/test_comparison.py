"""The page that sets classifiers side by side: complete, offline, escaped, made from whatever is there, and right."""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pages import EVIL, Page, png

from seisei.errors import UserError
from seisei.metrics.significance import Score, ahead, best, confused, stretches
from seisei.report.charts import class_colors, line_chart
from seisei.report.comparison import SECTIONS, write_comparison
from seisei.report.diagrams import framed, reliability, shades

GENERATIVE, DISCRIMINATIVE, DISCRIMINANT = "generative (mixture)", "discriminative (mlp)", "discriminant (kernel)"
CURVES = {  # error rates that cross, on a logarithmic axis, where 10 ** 2.5 ≈ 316 rows were learnt from
    GENERATIVE: [(10, 0.2), (100, 0.15), (1000, 0.1)],
    DISCRIMINATIVE: [(10, 0.5), (100, 0.2), (1000, 0.05)],
    DISCRIMINANT: [(10, 0.6), (100, 0.4), (1000, 0.3)],
}


def score(name: str, value: float, error: float | None, better: str, unit: str = "share") -> dict[str, Any]:
    return {"name": name, "value": value, "error": error, "unit": unit, "better": better, "note": f"what {name} means"}


def model(title: str, accuracy: float, off: float | None = None) -> dict[str, Any]:
    kind = title.split()[0]
    entry: dict[str, Any] = {"run": f"runs/{kind}-7", "title": title, "kind": kind, "recipe": kind, "can": ["predict"]}
    entry |= {"dials": {"width": 64}, "seconds": 12.3, "size": 12345, "scores": []}
    entry["scores"].append(score("accuracy", accuracy, 0.004, "higher"))
    entry["confusion"] = [[90, 10], [5, 95]]
    entry["curve"] = [{"rows": rows, "error": error, "spread": 0.01} for rows, error in CURVES.get(title, [])]
    surface: dict[str, Any] = {"axes": ["petal length", "petal width"], "extent": [0, 7, 0, 2.5], "posterior": None}
    entry["surface"] = surface | {"decision": f"{kind}/decision.png", "points": "30 held-out rows are drawn"}
    if off is not None:
        entry["scores"] += [score("log-loss", 5 * off, 0.01, "lower", "nats")]
        entry["scores"] += [score("calibration error", off, None, "lower")]
        calibration = {"confidence": [0.6, 0.95], "accuracy": [0.5, 0.9], "count": [20, 180], "error": off}
        missing = [{"share": s, "accuracy": accuracy - s / 2, "error": 0.01} for s in (0.0, 0.3, 0.6)]
        entry |= {"calibration": calibration, "missing": missing}
        entry["surface"]["posterior"] = f"{kind}/posterior.png"
    if kind == "generative":
        entry["can"] += ["score", "sample"]
        entry["scores"].append(score("log-density", -12.3, 0.2, "higher", "nats"))
        entry["surface"]["densities"] = [{"label": "yes", "image": "generative/density.png"}]
        entry["samples"] = {"rows": [{"age": 41, "churned": "yes"}, {"age": None, "churned": "no"}]}
    return entry


@pytest.fixture
def facts() -> dict[str, Any]:
    models = [model(DISCRIMINANT, 0.95), model(DISCRIMINATIVE, 0.97, 0.018), model(GENERATIVE, 0.99, 0.041)]
    data = {"path": "data/customers.csv", "split": "test", "examples": 1234, "classes": ["no", "yes"], "noun": "row"}
    return {"data": data, "seed": 7, "seisei": "0.1.0", "command": "seisei compare runs/a runs/b", "models": models}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("discriminant", "discriminative", "generative"):
        (tmp_path / kind).mkdir()
        for name in ("decision", "posterior", "density", "samples"):
            (tmp_path / kind / f"{name}.png").write_bytes(png(40, 40))
    return tmp_path


def text_of(folder: Path, facts: object) -> str:
    (folder / "comparison.json").write_text(json.dumps(facts))
    return write_comparison(folder).read_text(encoding="utf-8")


def page(folder: Path, facts: object) -> Page:
    return Page(text_of(folder, facts))


def verdict(folder: Path, facts: object) -> str:
    found = re.search(r'<p class="verdict">(.*?)</p>', text_of(folder, facts))
    assert found
    return re.sub(r"<.*?>", "", found[1])


# ---- the page


def test_whole_page(folder: Path, facts: dict[str, Any]) -> None:
    found = page(folder, facts)
    assert [section["id"] for section in found.all("section")] == [key for key, *_ in SECTIONS]
    for told in (
        "Three classifiers on customers.csv",
        "1,234 rows of the test split",
        "2: no, yes",
        "99.00 % best ± 0.40",
        "gives no probability",
        "gives no p(x)",
        "12.3 s",
        "petal length",
        "30 held-out rows are drawn.",
        "With 60 % of the cells missing, right are",
        "discriminant (kernel) cannot draw rows.",
        "seisei compare runs/a runs/b",
        "width 64",
        "Made by seisei 0.1.0",
    ):
        assert told in found.text, told
    assert [t for t in ("h1", "main", "header", "footer", "nav") if len(found.all(t)) != 1] == []


def test_offline(folder: Path, facts: dict[str, Any]) -> None:
    facts["models"][2]["samples"] = {"image": "generative/samples.png"}
    text = text_of(folder, facts)
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", ""))
    assert not re.search(r"url\(|@import|<iframe|<object|<embed", text)
    found = Page(text)
    links = [*found.all("a"), *found.all("link"), *found.all("image")]
    assert all(str(link["href"]).startswith(("#", "data:")) for link in links) and found.all("image")
    assert all(str(image["src"]).startswith("data:image/png;base64,") and image["alt"] for image in found.all("img"))
    policy = next(str(m["content"]) for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;") and "script-src 'sha256-" in policy


def test_accessible(folder: Path, facts: dict[str, Any]) -> None:
    text = text_of(folder, facts)
    found = Page(text)
    assert found.all("th") and all(th.get("scope") in {"col", "row"} for th in found.all("th"))
    assert all(d.get("aria-label") and d.get("tabindex") == "0" for d in found.all("div") if d.get("class") == "scroll")
    drawings = re.findall(r'<svg class="chart".*?</svg>(?=</div>|</figure>)', text, re.S)
    assert len(drawings) >= 2 + 2 * 2 + 3 + 2 + 1
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        kinds = [child.tag.rsplit("}")[-1] for child in root]
        assert kinds[:2] == ["title", "desc"] and root[0].text and root[1].text and root.get("role") == "img"


def test_untrusted_text_is_escaped(folder: Path, facts: dict[str, Any]) -> None:
    def poison(value: object) -> object:
        if isinstance(value, dict):
            return {f"{key}": poison(v) for key, v in value.items()} | {EVIL: EVIL}
        if isinstance(value, list):
            return [poison(v) for v in value]
        words = {"generative", "discriminant", "discriminative", "row", "score", "sample", "predict", "higher", "lower"}
        if not isinstance(value, str) or value.endswith(".png") or value in words:
            return value
        return f"\"{value}' onload=x {EVIL}\u202e\ud800"

    facts["models"].append(dict.fromkeys(facts["models"][2], EVIL))
    for kind in ("image", "row", EVIL):
        facts["data"]["noun"] = kind
        text = text_of(folder, poison(facts))
        assert EVIL not in text and "\u202e" not in text
        found = Page(text)
        assert EVIL in found.text and len(found.all("script")) == 1
        assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)


MODEL_PARTS = [*model(GENERATIVE, 0.9, 0.1)]


@pytest.mark.parametrize("part", [*MODEL_PARTS, "data", "seed", "seisei", "command", "models", "images", "all"])
def test_missing_parts(folder: Path, facts: dict[str, Any], part: str) -> None:
    for entry in [facts, *facts["models"]]:
        entry.pop(part, None)
        for key in list(entry) if part == "all" else []:
            if key not in {"run", "title", "kind", "models"}:
                del entry[key]
    for path in folder.rglob("*.png") if part == "images" else []:
        path.unlink()
    found = page(folder, facts)
    drawn = {section["id"] for section in found.all("section")}
    left_out = {"confusion": "confusion", "curve": "learning", "missing": "gaps", "calibration": "calibration"}
    left_out |= {"surface": "surface", "samples": "samples"}
    everything = {key for key, *_ in SECTIONS}
    if part in left_out:
        assert drawn == everything - {left_out[part]}
    elif part == "all":
        assert drawn == {"scores", "abilities", "reproduce"}
        assert "Nothing was measured" not in found.text and "only generative (mixture) can" in found.text.lower()
    elif part != "models":
        assert drawn == everything
    if part == "images":
        assert found.text.count("the image is not there.") == 6
    assert "nan" not in found.text.lower().split() and "None" not in found.text.split()


def test_each_part_of_each_model_alone(folder: Path, facts: dict[str, Any]) -> None:
    for part, index in itertools.product(MODEL_PARTS, range(3)):
        less = copy.deepcopy(facts)
        less["models"][index].pop(part, None)
        page(folder, less)


@pytest.mark.parametrize("value", [None, [], {}, "text", -1.5, True, [None], {"a": None}, [[1]], 10**400, 1e299])
def test_wrong_types_do_not_break(folder: Path, facts: dict[str, Any], value: object) -> None:
    def replaced(inner: object) -> list[object]:
        """The facts with the value in place of one part, for every part."""
        made: list[object] = [value]
        entries = inner.items() if isinstance(inner, dict) else enumerate(inner[:1]) if isinstance(inner, list) else ()
        for key, part in entries:
            for other in replaced(part):
                whole = copy.copy(inner)
                whole[key] = other  # type: ignore[index]
                made.append(whole)
        return made

    lean = copy.deepcopy(facts)
    lean["models"] = [lean["models"][2]]
    variants = [facts | {"data": data} for data in replaced(facts["data"])]
    variants += [facts | {"models": models} for models in replaced(lean["models"])]
    for variant in variants:
        page(folder, variant)


def test_broken_images_and_paths_that_lead_out(folder: Path, facts: dict[str, Any]) -> None:
    inner = folder / "inner"
    (folder / "discriminative").rename(inner)
    secret = folder / "secret.png"
    secret.write_bytes(png(7, 7))
    (inner / "decision.png").write_bytes(b"GIF89a")
    (inner / "link.png").symlink_to(secret)
    places = ["../secret.png", str(secret), "link.png", "decision.png", ".", "a" * 5000]
    facts["models"] = [model(DISCRIMINATIVE, 0.9) | {"surface": {"decision": place}} for place in places]
    found = page(inner, facts)
    assert not found.all("image") and found.text.count("the image is not there.") == 5
    assert "decision.png is not an image that can be shown." in found.text


def test_names_that_are_long_or_the_same(folder: Path, facts: dict[str, Any]) -> None:
    facts["models"] = [facts["models"][i] | {"title": "x" * 90, "run": "runs/same"} for i in (2, 1, 1)]
    found = page(folder, facts)
    assert f"{'x' * 90} · same 2" in found.text and f"{'x' * 90} · same 3" in found.text
    drawn = re.findall(r'<path class="curve s(\d)', text_of(folder, facts))
    assert set(drawn) == {"1", "2", "3"}, "three curves, though their names are cut"


@pytest.mark.parametrize("count", [2, 20, 21, 100])
def test_many_classes(folder: Path, facts: dict[str, Any], count: int) -> None:
    matrix = [[90 if i == j else 2 * (j == (i + 1) % count) for j in range(count)] for i in range(count)]
    facts["data"]["classes"] = [f"animal {i}" for i in range(count)]
    for entry in facts["models"]:
        entry["confusion"] = matrix
    entry["surface"]["densities"] = [{"label": f"animal {i}", "image": "generative/density.png"} for i in range(count)]
    found = page(folder, facts)
    cells = [td for td in found.all("td") if td.get("class") in {"hit", "slip", "none"}]
    assert len(cells) == (3 * count * count if count <= 20 else 0)
    assert f"{2 * count} rows taken for another class in {count} ways" in found.text or count <= 20
    colors = {i["style"] for i in found.all("i") if "rgb" in str(i.get("style"))}
    assert len(colors) == count


def test_six_models(folder: Path, facts: dict[str, Any]) -> None:
    facts["models"] = [model(f"{kind} ({i})", 0.9 + i / 100, 0.02) for i, kind in enumerate(["generative"] * 6)]
    assert "Six classifiers" in page(folder, facts).text


# ---- what it says


def test_verdict_of_a_clear_lead(folder: Path, facts: dict[str, Any]) -> None:
    # 2 points ahead, the error of the difference is √2 · 0.4 = 0.566 points.
    assert verdict(folder, facts) == (
        "generative (mixture) is most accurate, 99.00 ± 0.40 % right, 2 points ahead of discriminative (mlp), "
        "a lead of 3.5 standard errors; discriminative (mlp) is best calibrated, off by 1.8 points on average; "
        "only generative (mixture) can say how likely a row is, draw new rows and answer without guessing what is "
        "missing."
    )


def test_verdict_of_leads_that_may_be_chance(folder: Path, facts: dict[str, Any]) -> None:
    values = [(0.95, 0.979, 0.985), (0.95, 0.987, 0.99), (0.989, 0.99, 0.99), (0.99, 0.95, 0.99)]
    told = []
    for three in values:
        for entry, value in zip(facts["models"], three, strict=True):
            entry["scores"][0]["value"] = value
        told.append(verdict(folder, facts).split(";")[0])
    assert told[0].endswith(
        "0.6 points ahead of discriminative (mlp), a lead of 1.1 standard errors, so not for certain"
    )
    assert told[1].startswith(
        "generative (mixture) and discriminative (mlp) are too close to call, 99.00 ± 0.40 % to 98.70"
    )
    assert "discriminative (mlp), generative (mixture) and discriminant (kernel) are too close to call" in told[2]
    assert "are too close to call, both 99.00 ± 0.40 % right" in told[3]
    facts["models"][1]["scores"][0] |= {"value": 0.97, "error": 0.001}
    facts["models"][0]["scores"][0] |= {"value": 0.96, "error": 0.1}
    told.append(verdict(folder, facts).split(";")[0])
    assert told[4].startswith(
        f"{GENERATIVE} and {DISCRIMINANT} are too close to call, 99.00 ± 0.40 % to 96 ± 10 % right"
    )


def test_accuracy_from_the_confusion_matrix(folder: Path, facts: dict[str, Any]) -> None:
    for entry in facts["models"]:
        entry["scores"] = []
    assert "92.5 ± 1.9 % right" in verdict(folder, facts)


@pytest.mark.parametrize(
    ("values", "errors", "better", "marks"),
    [
        ((0.9, 0.8, 0.7), (0.01, 0.01, 0.01), "higher", {0: "best"}),
        ((0.9, 0.8, 0.7), (0.01, 0.01, 0.01), "lower", {2: "best"}),
        ((0.9, 0.89, 0.7), (0.01, 0.01, 0.01), "higher", {0: "tied", 1: "tied"}),
        ((0.9, 0.89, 0.885), (0.01, 0.01, 0.02), "higher", {}),
        ((0.9, 0.9), (math.nan, math.nan), "higher", {}),
        ((0.9, 0.8), (math.nan, math.nan), "higher", {0: "best"}),
        ((0.9, 0.8), (0.2, math.nan), "higher", {}),
        ((0.9, math.nan, None), (0.01, 0.01, 0.01), "higher", {}),
        ((0.9, 0.8, None), (0.01, 0.01, 0.01), "higher", {0: "best"}),
        ((0.9, 0.8), (0.01, 0.01), "", {}),
    ],
)
def test_best(values: tuple[float | None], errors: tuple[float], better: str, marks: dict[int, str]) -> None:
    scores = [None if v is None else Score("s", v, e, better=better) for v, e in zip(values, errors, strict=True)]
    assert best(scores) == marks


def test_the_error_of_a_difference() -> None:
    one, other = Score("s", 0.9, 0.03, better="higher"), Score("s", 0.8, 0.04, better="higher")
    assert ahead(one, other) == pytest.approx(2) == -ahead(other, one)


def test_best_is_marked_in_the_table(folder: Path, facts: dict[str, Any]) -> None:
    found = page(folder, facts)
    cells = [td for td in found.all("td") if "data-who" in td]
    marked = [
        (td["data-who"], str(td["class"]).split()[-1]) for td in cells if str(td["class"]).endswith(("best", "tied"))
    ]
    assert marked == [(GENERATIVE, "best"), (DISCRIMINATIVE, "best"), (DISCRIMINATIVE, "best")]


def test_crossings(folder: Path, facts: dict[str, Any]) -> None:
    curves = {name: [(float(x), y, 0.01) for x, y in points] for name, points in CURVES.items()}
    found = stretches(curves)
    assert [one.name for one in found] == [GENERATIVE, DISCRIMINATIVE]
    # From 100 to 1000 the difference goes from −0.05 to 0.05: it is 0 halfway, on the logarithmic axis.
    assert found[0].start == pytest.approx(10) and found[1].end == pytest.approx(1000)
    assert found[0].end == found[1].start == pytest.approx(10**2.5)
    assert found[0].ahead == pytest.approx(0.3 / math.hypot(0.01, 0.01))
    text = page(folder, facts).text
    assert "generative (mixture) leads up to about 320 rows and discriminative (mlp) beyond." in text
    assert text.count("≈ 320") == 2, "on the wide and on the narrow chart"


def test_crossings_where_curves_begin_and_end_apart() -> None:
    a, b = [(10.0, 0.2, 0.0), (10000.0, 0.2, 0.0)], [(1.0, 0.6, 0.0), (100.0, 0.2, 0.0), (1000.0, 0.1, 0.0)]
    found = stretches({"a": a, "b": b, "alone": [(3.0, 0.0, 0.0)], "none": []})
    assert [(s.name, round(s.start, 6), round(s.end, 6)) for s in found] == [("a", 10, 100), ("b", 100, 1000)]
    assert stretches({"a": a}) == [] == stretches({"a": a, "b": [(1.0, 0.1, 0.0), (10.0, 0.1, 0.0)]})
    assert [s.name for s in stretches({"a": a, "b": a})] == ["a"], "the same curve twice: the first"
    assert stretches({"a": a, "b": a})[0].ahead == 0


def test_short_leads_within_the_spread_are_not_told(folder: Path, facts: dict[str, Any]) -> None:
    one = [(10, 0.30), (100, 0.20), (110, 0.1902), (1000, 0.10)]
    other = [(10, 0.40), (100, 0.2001), (110, 0.1900), (120, 0.19), (1000, 0.15)]
    for entry, points in zip(facts["models"], (one, other, []), strict=True):
        entry["curve"] = [{"rows": rows, "error": error, "spread": 0.02} for rows, error in points]
    text = page(folder, facts).text
    assert "discriminant (kernel) has the lowest error from 10 to 1,000 rows." in text
    assert "generative (mixture) was not measured." in text


def test_confused() -> None:
    assert confused([[5, 3, 0], [0, 9, 1], [3, 0, 0]]) == [(2, 0, 3, 1.0), (0, 1, 3, 0.375), (1, 2, 1, 0.1)]
    assert confused([]) == [] == confused([[0, 0], [0, 3]])


# ---- writing


@pytest.mark.parametrize("call", ["os.fsync", "os.replace"])
def test_writing_is_atomic(folder: Path, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    text_of(folder, facts)
    before = (folder / "compare.html").read_bytes()
    assert write_comparison(folder) == folder / "compare.html" and (folder / "compare.html").read_bytes() == before

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full)
    with pytest.raises(OSError, match="No space"):
        write_comparison(folder)
    assert (folder / "compare.html").read_bytes() == before and not list(folder.glob(".compare*"))


@pytest.mark.parametrize("junk", ["", "{", "[]", "null", "3", "\0", '{"a":' * 400 + "1" + "}" * 400])
def test_unreadable(folder: Path, junk: str) -> None:
    (folder / "comparison.json").write_text(junk)
    with pytest.raises(UserError, match="make it with seisei compare") as caught:
        write_comparison(folder)
    assert caught.value.code_for("compare") == "E-CMP-02"


def test_nothing_to_read(tmp_path: Path) -> None:
    for path, problem in (
        (tmp_path, "no such file"),
        (tmp_path / "absent", "no such folder"),
        (Path(__file__), "a file"),
    ):
        with pytest.raises(UserError, match=problem) as caught:
            write_comparison(path)
        assert caught.value.code_for("compare") == "E-CMP-01"


def test_quick_to_import() -> None:
    code = "import sys, seisei.report.comparison; assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- drawings


def test_reliability() -> None:
    drawing = reliability([(0.5, 0.5, 10), (1.0, 1.0, 1000)], title=EVIL)
    ElementTree.fromstring(drawing)
    dots = re.findall(r'<circle class="f1" cx="([\d.]+)" cy="([\d.]+)"', drawing)
    (x0, y0), (x1, y1) = ((float(x), float(y)) for x, y in dots)
    ends = re.search(r'class="axis dash" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', drawing)
    assert ends
    left, foot, right, top = map(float, ends.groups())
    assert (x1, y1) == (right, top), "sure and right: where the diagonal ends"
    assert x0 == pytest.approx((left + right) / 2, abs=0.1) and y0 == pytest.approx((foot + top) / 2, abs=0.1)
    assert "100.0 % sure, 100.0 % right: 1,000 examples" in drawing and EVIL not in drawing
    whisker = re.search(rf"M{right:g} ([\d.]+)V([\d.]+)", drawing)
    assert whisker and float(whisker[2]) > float(whisker[1]) >= top, "not even a thousand right leave no doubt"
    ElementTree.fromstring(reliability([], title="t"))


def test_framed() -> None:
    drawing = framed("data:image/png;base64,x", (20, 10), title="t", axes=(EVIL, "up"), extent=(-1.0, 3.0, 0.0, 2.0))
    root = ElementTree.fromstring(drawing)
    image = next(child for child in root if child.tag.endswith("image"))
    wide, high = float(image.get("width", 0)), float(image.get("height", 0))
    assert wide == pytest.approx(2 * high, abs=0.2) and EVIL not in drawing
    words = [child.text for child in root if child.tag.endswith("text")]
    assert words[0] == "up" and {"−1", "3", "0", "2"} <= set(words)
    bare = framed("data:image/png;base64,x", (1, 1000), title="t", axes=("a", "b"))
    assert [child.text for child in ElementTree.fromstring(bare) if child.tag.endswith("text")] == ["b", "a"]


def test_shades() -> None:
    drawing = shades([[4, 0], [1, 3]], title="t")
    ElementTree.fromstring(drawing)
    squares = re.findall(r'<path class="f(\d)" fill-opacity="([\d.]+)" d="([^"]*)"', drawing)
    assert [(color, path.count("M")) for color, _, path in squares] == [("1", 2), ("2", 1)]
    assert "7 of 8 examples lie on the diagonal" in drawing


def test_logarithmic_places_bands_and_marks() -> None:
    points = [(10.0, 3.0), (100.0, 2.0), (1000.0, 1.0)]
    bands = {"a": [(10.0, 2.0, 4.0), (100.0, 1.0, math.nan), (1000.0, -50.0, 50.0)]}
    drawing = line_chart(
        {"a": points, "lost": [(0.0, 1.0)]},
        title="t",
        x_label="x",
        y_label="y",
        log_x=True,
        bands=bands,
        marks=[(100.0, "here")],
    )
    ElementTree.fromstring(drawing)
    path = re.search(r'class="curve s1" d="M([^"]*L[^"]*)"', drawing)
    assert path
    x = [float(pair.split()[0]) for pair in path[1].split("L")]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.11), "equal steps for equal ratios"
    assert "1 point not finite or not positive: not drawn" in drawing and ">here</text>" in drawing
    band = re.search(r'class="band f1" d="M(.*?)z"', drawing)
    assert band
    rim = [tuple(map(float, pair.split())) for pair in band[1].split("L")]
    assert len(rim) == 4 and min(y for _, y in rim) >= 64 and max(y for _, y in rim) <= 214, "held within the axis"


def test_class_colors() -> None:
    assert class_colors(0) == []
    many = class_colors(200)
    assert len(set(many)) == 200 and all(0 <= part <= 255 for color in many for part in color)
    for n in (1, 2, 7, 10, 11, 100):
        assert class_colors(n) == many[:n], "a class keeps its color when others come"
    assert class_colors(450)[200:400] == many


def test_class_colors_are_apart_for_every_common_eye() -> None:
    """Ten colors, as seen without the long, the middle or the short cones (Machado, Oliveira, Fernandes, 2009)."""
    eyes = [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
    for eye in eyes:
        seen = []
        for color in class_colors(10):
            linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
            r, g, b = (min(1.0, max(0.0, sum(m * v for m, v in zip(row, linear, strict=True)))) for row in eye)
            long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
            middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
            short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
            lightness = 0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short
            red = 1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short
            seen.append((lightness, red, 0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short))
        assert min(math.dist(one, other) for one, other in itertools.combinations(seen, 2)) > 0.075
