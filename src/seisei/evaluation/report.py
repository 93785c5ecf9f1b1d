"""The page about a run: `write_report` reads a run folder and writes one self-contained ``report.html`` into it.

The page opens offline and asks nothing of anybody: pictures are data URIs, charts inline SVG (see `charts`), and a
content security policy lets in the page's own style, its one small script (which only enlarges pictures) and nothing
else. All that comes from files is escaped. Every part of a run is optional: one that is missing is a sentence on the
page, never an error, and one that cannot be read is named at its end.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from seisei.errors import UserError, printable
from seisei.evaluation.charts import STYLE as CHART_STYLE
from seisei.evaluation.charts import Point, bar_chart, line_chart, number, scatter

FROM_ZERO = {"Speed", "Waiting for data", "Learning rate", "Active units"}  # headings of curves
MOST_THUMBNAILS = 10
MOST_ROWS = 24
ACRONYMS = {"kl": "KL", "elbo": "ELBO", "iwae": "IWAE", "fid": "FID", "l1": "L1"}
NATS = {"ELBO", "IWAE", "MaximumLikelihood"}  # objectives whose losses are nats per example
BRIEF = {  # fields of a train event beside its loss: heading, unit
    "learning_rate": ("Learning rate", "size of a step"),
    "gradient_norm": ("Gradient norm", "length of the gradient"),
    "examples_per_second": ("Speed", "examples per second"),
    "waiting": ("Waiting for data", "share of the time"),
}


_ABSENT = object()


@dataclass
class Run:
    """What was found in a run folder; `faults` are sentences about what could not be read."""

    folder: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    latent: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read all parts that are there."""
        run = cls(folder)
        run.recipe = run._json("recipe.json")
        run.schema = run._json("schema.json")
        run.scores = run._json("scores.json")
        run.latent = run._json("figures/latent.json")
        run.events = list(run._log("log.jsonl"))
        return run

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self.faults.append(f"{name} could not be read ({type(error).__name__}).")
            return {}
        if not isinstance(found, dict) or _deep(found):
            self.faults.append(f"{name} does not hold a JSON object, or one nested too deeply.")
            return {}
        return found

    def _log(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            lines = (self.folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            self.faults.append(f"{name} could not be read ({type(error).__name__}).")
            return
        for place, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict) and not _deep(event):
                yield event
            elif line.strip():
                last = " It is the last one: the run was stopped while it wrote." if place == len(lines) else ""
                self.faults.append(f"{name}: line {place:,} could not be read and was left out.{last}")

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event.get("event") == kind]

    @property
    def plan(self) -> dict[str, Any]:
        """The resolved plan."""
        return _dict(self.recipe.get("plan"))

    @property
    def data(self) -> dict[str, Any]:
        """What the data report says."""
        return _dict(_dict(self.recipe.get("data")).get("report"))

    @property
    def step(self) -> int:
        """The last step that was heard of."""
        return max((int(s) for e in self.events if math.isfinite(s := _float(e.get("step")))), default=0)

    @property
    def unit(self) -> str:
        """What a loss is measured in."""
        name = str(_dict(self.plan.get("objective")).get("class", "")).rsplit(".", 1)[-1]
        return "nats per example" if name in NATS else "loss per example"


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder, whole or not at all, and say where it is.

    Arguments:
        folder: a run folder; any of its parts may be missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file, not a run folder" if folder.exists() else "no such run folder"
        raise UserError("E-*-01", folder, problem, "name a folder that seisei train has made")
    page, target = render(Run.read(folder)), folder / "report.html"
    draft = folder / f".report.html.{os.getpid()}.tmp"
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def render(run: Run) -> str:
    """The whole page."""
    name = (
        " on ".join(filter(None, [str(run.recipe.get("recipe") or ""), _data_name(run)])) or run.folder.resolve().name
    )
    parts = [(key, title, lead, body(run)) for key, title, lead, body in SECTIONS]
    links = "".join(f'<li><a href="#{key}">{key.capitalize()}</a></li>' for key, *_ in parts)
    main = "".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><div class="lead"><h2 id="{key}-title">{title}</h2>'
        f'<p>{lead}</p></div><div class="body">{content}</div></section>\n'
        for key, title, lead, content in parts
    )
    faults = f'<ul class="faults">{"".join(f"<li>{_e(fault)}</li>" for fault in run.faults)}</ul>' if run.faults else ""
    version = _e(run.recipe.get("seisei", ""))
    permitted = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{permitted}'"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>{_e(name)}: run report</title>
<style>{STYLE}{CHART_STYLE}</style></head>
<body><header>{_header(run, name)}</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>{main}</main>
<footer>{faults}<p>Made by seisei {version} from <code>{_e(run.folder.resolve().name)}</code>.
This page is one file and needs no connection.</p></footer>
<script>{SCRIPT}</script></body></html>
"""


# ---- sections


def _header(run: Run, name: str) -> str:
    stamp = re.match(r"(\d{4}-\d{2}-\d{2})-(\d{2})(\d{2})(\d{2})", run.folder.resolve().name)
    when = ""
    if stamp:
        try:
            moment = datetime.fromisoformat(f"{stamp[1]}T{stamp[2]}:{stamp[3]}:{stamp[4]}")
            when = f' · <time datetime="{moment.isoformat()}">{moment.day} {moment:%B %Y, %H:%M}</time>'
        except ValueError:
            when = ""
    noticed = _noticed(run)
    things = f"{_count(len(noticed), 'thing')}: {', '.join(map(_e, noticed))}" if noticed else "nothing"
    watch = f'<p class="noticed"><a href="#watch">The watch noticed {things}.</a></p>' if run.events else ""
    ends, total = run.all("end"), _whole(run.plan.get("steps"))
    speed = sorted(_floats(run.all("train"), "examples_per_second"))
    state = f"{'Finished' if ends else 'Not finished: still going, or stopped,'} at step {run.step:,}"
    facts = {
        "Data": ", ".join(filter(None, [_data_name(run), _examples(run), _shape(run)])),
        "Training": state + (f" of {total:,}" if total else "") if run.events else "",
        "Time": _duration(_float(ends[-1].get("seconds"))) if ends else "",
        "Median speed": f"{number(speed[len(speed) // 2], 3)} examples/s" if speed else "",
        "Parameters": number(_float(run.recipe.get("parameters")), 9) if "parameters" in run.recipe else "",
        "Seed": str(run.recipe.get("seed", "")),
    }
    tiles = "".join(f"<div><dt>{key}</dt><dd>{_e(value)}</dd></div>" for key, value in facts.items() if value)
    verdict = f'<p class="verdict">{_verdict(run)}</p>{watch}'
    return f'<p class="brow">Run report{when}</p><h1>{_e(name)}</h1>{verdict}<dl class="tiles">{tiles}</dl>'


def _verdict(run: Run) -> str:
    for score in _dicts(run.scores.get("scores")):
        better = f", {_e(score['better'])} is better" if score.get("better") else ""
        split = f" on the {_e(run.scores['split'])} split" if run.scores.get("split") else ""
        unit = f" {_e(score['unit'])}" if score.get("unit") else ""
        return f"{_e(_upper(score.get('name', 'score')))} <strong>{_value(score)}{unit}</strong>{split}{better}."
    for event in reversed(run.all("validation")):
        for name, value in _dict(event.get("scores")).items():
            shown = f"{_e(_words(name))} <strong>{number(_float(value))}</strong>"
            return f"Last validation: {shown} at step {_step(event)}; not scored on test data yet."
    return "Not scored yet."


def _samples(run: Run) -> str:
    final = _picture(run.folder / "figures/samples.png", "Grid of samples drawn by the trained model", target=640)
    found = sorted((run.folder / "samples").glob("*.png"), key=lambda path: (_step_of(path), path.name))
    spaced = {i * (len(found) - 1) // (MOST_THUMBNAILS - 1) for i in range(MOST_THUMBNAILS)}
    kept = found if len(found) <= MOST_THUMBNAILS else [found[i] for i in sorted(spaced)]
    strip = "".join(_picture(p, f"Samples at step {_step_of(p):,}", f"step {_step_of(p):,}", target=148) for p in kept)
    if not found:
        return final or _missing("No samples have been drawn yet.")
    if not final:  # the newest of the strip stands in for the last grid
        final = _picture(found[-1], f"Samples at step {_step_of(found[-1]):,}, the newest", target=640)
    some = f", {len(kept)} of {len(found)} grids shown" if len(kept) < len(found) else ""
    said = f'<h3>Through training</h3><p class="quiet">The same seed at every step{some}.</p>'
    return f'{final}{said}<div class="strip">{strip}</div>'


def _reconstructions(run: Run) -> str:
    text = "Rows alternate: originals above, their reconstructions right below."
    path = run.folder / "figures/reconstructions.png"
    picture = _picture(path, "Originals above their reconstructions", text, target=640)
    return picture or _missing("No reconstructions: the model does not encode, or the run has not been evaluated.")


def _interpolation(run: Run) -> str:
    text = "Each row walks from the example on its left to the one on its right."
    path = run.folder / "figures/interpolation.png"
    picture = _picture(path, "Rows of pictures that change step by step", text, target=640)
    return picture or _missing("No interpolation: the model has no latent space, or the run has not been evaluated.")


def _latent(run: Run) -> str:
    pairs = [p for p in _list(run.latent.get("points")) if isinstance(p, list) and len(p) >= 2]
    if not pairs:
        return _missing("No map: the model has no latent space, or the run has not been evaluated.")
    labels = [str(label) for label in _list(run.latent.get("labels"))]
    shares = [f" ({_float(share):.0%} of the variance)" for share in _list(run.latent.get("explained"))]
    axes = [f"{place} axis{share}" for place, share in zip(("first", "second"), [*shares, "", ""], strict=False)]
    points = [(_float(p[0]), _float(p[1])) for p in pairs]
    known = labels if len(labels) == len(points) else None
    chart = scatter(points, known, title="Where the examples lie", x_label=axes[0], y_label=axes[1])
    method = _e(_upper(run.latent.get("method", "two dimensions of the latent space")))
    colour = "Colour and shape are the label." if known else "The data have no labels."
    return f'<figure class="map">{chart}<figcaption>{method}. {colour}</figcaption></figure>'


def _scores(run: Run) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_e(_upper(score.get("name", "score")))}'
        f'<span class="note">{_e(score.get("note", ""))}</span></th><td class="figure">{_value(score)}</td>'
        f'<td class="brief">{_e(score.get("unit") or "–")}</td>'
        f'<td class="brief{" better" if score.get("better") else ""}">{_e(score.get("better") or "–")}</td></tr>'
        for score in _dicts(run.scores.get("scores"))
    )
    split = f"On the {_e(run.scores['split'])} split. " if run.scores.get("split") else ""
    head = '<thead><tr><th scope="col">Score</th><th scope="col" class="figure">Value</th>'
    head += '<th scope="col">Unit</th><th scope="col">Better</th></tr></thead>'
    table = (
        f'<table class="scores"><caption>{split}± is one standard error.</caption>{head}<tbody>{rows}</tbody></table>'
    )
    if not rows:
        table = _missing("This run has not been scored yet: <code>seisei evaluate</code> does it.")
    checks = run.all("validation")
    last = _dict(checks[-1].get("scores")) if checks else {}
    if not last:
        return table
    step = number(_float(checks[-1].get("step")), 12)
    return f"{table}<h3>Last validation, step {step}</h3>" + _facts({k: _float(v) for k, v in last.items()})


def _curves(run: Run) -> str:
    charts = [_curve(*curve) for curve in _series(run)]
    skipped = run.all("skipped")
    said = ""
    if skipped:
        told = [f"step {_step(e)} ({_e(e.get('term', '?'))}, {_e(e.get('tensor', '?'))})" for e in skipped[:MOST_ROWS]]
        told += [f"and {len(skipped) - MOST_ROWS:,} more"] if len(skipped) > MOST_ROWS else []
        steps = _count(len(skipped), "step")
        said = f'<p class="aside">{steps} skipped because a value was not finite: {"; ".join(told)}.</p>'
    return (
        f'<div class="charts">{"".join(charts)}</div>{said}'
        if charts
        else _missing("The log holds no training steps yet.")
    )


def _curve(title: str, unit: str, series: dict[str, list[Point]]) -> str:
    """A chart whose vertical axis shows what matters: rates from zero, else what came after the first tenth of the run.

    Losses fall steeply at first, and an axis that holds all of the fall flattens what comes after; the chart says what
    it leaves out. Where values stay a factor of thirty apart the axis is logarithmic.
    """
    points = [p for some in series.values() for p in some if math.isfinite(p[1])]
    values, last = [y for _, y in points], max((x for x, _ in points), default=0.0)
    late = [y for x, y in points if x > last / 10] or values
    shown, spread = None, False
    if values and title in FROM_ZERO:
        shown = (min(0.0, *values), max(values))
    elif values:
        if max(values) - min(values) > 3 * (max(late) - min(late)) > 0:
            shown = (min(late), max(late))
        low, high = shown or (min(values), max(values))
        spread = min(values) > 0 and high > 30 * low
    return line_chart(series, title=title, x_label="training step", y_label=unit, log_y=spread, y_range=shown)


def _series(run: Run) -> Iterator[tuple[str, str, dict[str, list[Point]]]]:
    """What is charted: heading, unit, curves."""
    train, checks = run.all("train"), run.all("validation")
    turns = list(dict.fromkeys(str(event.get("turn", "model")) for event in train))
    label = {turn: "training" if len(turns) == 1 else turn for turn in turns}
    by_turn = {label[turn]: [e for e in train if str(e.get("turn", "model")) == turn] for turn in turns}
    scores = list(dict.fromkeys(name for event in checks for name in _dict(event.get("scores"))))

    def curves(*keys: str) -> dict[str, list[Point]]:
        # A player without points stays in, so that it keeps its colour in every chart.
        return {name: _points(events, *keys) for name, events in by_turn.items()}

    used = {"loss"} if "loss" in scores else {"elbo"} if "elbo" in scores else set()
    loss = curves("loss")
    if "loss" in used:
        loss["validation"] = _points(checks, "scores", "loss")
    elif used:  # the bound is better when higher, a loss when lower
        loss["validation (−ELBO)"] = [(step, -value) for step, value in _points(checks, "scores", "elbo")]
    if any(loss.values()):
        yield "Loss", run.unit, loss
    for part in dict.fromkeys(part for event in train for part in _dict(event.get("parts"))):
        both = curves("parts", part)
        if part in scores:
            used.add(part)
            both["validation"] = _points(checks, "scores", part)
        yield _words(part), run.unit if run.unit.startswith("nats") else "value", both
    for name in scores:
        if name not in used:
            yield _words(name), "validation score", {"training": [], "validation": _points(checks, "scores", name)}
    active = _points(checks, "active_units")
    if len(active) > 1:
        yield "Active units", "latent dimensions in use", {"training": [], "validation": active}
    for key, (title, unit) in BRIEF.items():
        found = curves(key)
        if any(found.values()):
            yield title, unit, found


def _dimensions(run: Run) -> str:
    found = [event for event in run.all("validation") if _list(event.get("kl_per_dimension"))]
    if not found:
        return _missing("This model has no latent dimensions to measure, or has not been validated yet.")
    values = [_float(v) for v in found[-1]["kl_per_dimension"]]
    order = sorted(range(len(values)), key=lambda i: -values[i] if math.isfinite(values[i]) else math.inf)
    chart = bar_chart(
        [values[i] for i in order],
        labels=[str(i) for i in order],
        title="KL per latent dimension",
        x_label="latent dimension, busiest first",
        y_label="nats per example",
        width=460,
        height=230,
    )
    active = found[-1].get("active_units")
    total = number(math.fsum(v for v in values if math.isfinite(v)))
    text = f"Together they carry {total} nats at step {_step(found[-1])}; one near zero carries nothing."
    if active is not None:
        text = f"<strong>{number(_float(active))} of {len(values)}</strong> dimensions are active. {text}"
    return f'<p>{text}</p><figure class="map">{chart}</figure>'


def _noticed(run: Run) -> dict[str, list[dict[str, Any]]]:
    rules: dict[str, list[dict[str, Any]]] = {}
    for event in run.all("watch"):
        rules.setdefault(str(event.get("rule", "unnamed rule")), []).append(event)
    return rules


def _watch(run: Run) -> str:
    told = [run.recipe.get("watch"), run.plan.get("watch"), *(event.get("rules") for event in run.events)]
    names = next(([str(rule) for rule in rules] for rules in told if rules and isinstance(rules, (list, dict))), [])
    looked = f"Rules that looked: {', '.join(map(_e, names))}." if names else "The run did not say which rules looked."
    cards = []
    for rule, events in _noticed(run).items():
        last, steps = events[-1], [_step(event) for event in events]
        when = f"step {steps[0]}" if len(events) == 1 else f"{len(events)} times, steps {steps[0]} to {steps[-1]}"
        severity = str(last.get("severity", "note"))
        look = severity if severity in {"warning", "error"} else "note"
        fields = {"symptom": "Symptom", "evidence": "Evidence", "cause": "Cause", "advice": "Advice", "remedy": "Done"}
        rows = "".join(
            f"<div><dt>{title}</dt><dd>{_e(last[key])}</dd></div>" for key, title in fields.items() if last.get(key)
        )
        head = f'<h3>{_e(_upper(rule))} <span class="badge">{_e(severity)}</span></h3><p class="quiet">{when}</p>'
        cards.append(f'<article class="card {look}">{head}<dl>{rows}</dl></article>')
    if not cards:
        calm = "Nothing noticed." if run.events else "Nothing to watch yet: the run has no log."
        return f'<p class="calm">{calm}</p><p class="quiet">{looked}</p>'
    return f'{"".join(cards)}<p class="quiet">{looked}</p>'


def _data(run: Run) -> str:
    if not run.data:
        return _missing("This run recorded no report about its data.")
    facts = {key: value for key, value in run.data.items() if key != "skipped"}
    skipped = run.data.get("skipped")
    said = ""
    if skipped is not None:
        said = f"<h3>Skipped</h3>{_fact(skipped) if skipped else '<p>Nothing was skipped.</p>'}"
    return _facts(facts) + said


def _reproduce(run: Run) -> str:
    folder = run.folder.resolve()
    shown = shlex.quote(str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder))
    command = run.recipe.get("command")
    lines = [("Train again", str(command))] if command else []
    lines += [] if run.all("end") else [("Resume", f"seisei resume {shown}")]
    lines += [("Draw samples", f"seisei sample {shown}")]
    commands = "".join(f"<p class='quiet'>{title}</p><pre><code>{_e(line)}</code></pre>" for title, line in lines)
    facts = {
        "seed": run.recipe.get("seed"),
        "dials": run.recipe.get("dials"),
        "overrides": run.recipe.get("overrides"),
        "data": _dict(run.recipe.get("data")).get("path"),
        "fingerprint": _dict(run.recipe.get("data")).get("fingerprint"),
        "versions": run.recipe.get("versions"),
        "hardware": run.recipe.get("hardware"),
    }
    told = _facts({key: value for key, value in facts.items() if value is not None})
    plan = "\n".join(map(_e, json.dumps(run.plan, indent=2, ensure_ascii=False).split("\n")))
    details = f"<details><summary>The full plan, every default resolved</summary><pre>{plan}</pre></details>"
    details = details if run.plan else ""
    lost = "" if run.recipe else _missing("This run has no recipe.json, so how it was made is not known.")
    return f"{commands}{lost}{told}{details}"


Section = tuple[str, str, str, Callable[[Run], str]]
SECTIONS: list[Section] = [
    ("samples", "Samples", "New examples drawn from the model.", _samples),
    ("reconstructions", "Originals and reconstructions", "What survives the way through the model.", _reconstructions),
    ("interpolation", "Interpolation", "The way between two examples, as the model sees it.", _interpolation),
    ("map", "Map of the latent space", "Examples that the model finds alike lie together.", _latent),
    ("scores", "Scores", "Measured on data that training never saw.", _scores),
    ("curves", "Training curves", "The number beside a curve’s name is its last value.", _curves),
    ("dimensions", "Latent dimensions", "How much each one says about an example.", _dimensions),
    ("watch", "What the watch noticed", "Known ways to fail, looked for while training.", _watch),
    ("data", "The data", "What was found, and what was done with it.", _data),
    ("reproduce", "How to reproduce", "All that is needed to make this run again.", _reproduce),
]


# ---- pieces


def _picture(path: Path, alt: str, caption: str = "", *, target: int) -> str:
    """A PNG file as a figure, enlarged by a whole number so that pixels stay square; empty when there is no file."""
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content[:8] != b"\x89PNG\r\n\x1a\n" or not width or not height:
        return f'<figure class="missing">{_e(path.name)} is not a picture that can be shown.</figure>'
    scale = max(1, target // width)
    crisp = ' class="pixels"' if scale > 1 else ""
    link = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    said = f"<figcaption>{_e(caption)}</figcaption>" if caption else ""
    shown = min(width * scale, target)
    size = f'width="{width}" height="{height}" style="width:{shown}px"'
    return f'<figure><img src="{link}" alt="{_e(alt)}" {size}{crisp}>{said}</figure>'


def _facts(facts: dict[str, Any]) -> str:
    """Any JSON facts as a list of names and values."""
    rows = "".join(f"<div><dt>{_e(_words(key))}</dt><dd>{_fact(value, key)}</dd></div>" for key, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _fact(value: object, key: str = "") -> str:
    if value is None or value in ("", {}, []):
        return '<span class="quiet">none</span>'
    if isinstance(value, dict):
        if all(_whole(count) is not None for count in value.values()) and (key == "classes" or len(value) > 6):
            return _counts(value)
        if not any(isinstance(v, (dict, list)) for v in value.values()):
            return (" · " if key == "item" else "<br>").join(
                f'<span class="quiet">{_e(k)}</span> {_fact(v)}' for k, v in value.items()
            )
        return _facts(value)
    if isinstance(value, list):
        shown = [f"<li>{_fact(v, 'item')}</li>" for v in value]
        if len(shown) <= MOST_ROWS:
            return f"<ul>{''.join(shown)}</ul>"
        first, rest = "".join(shown[:MOST_ROWS]), "".join(shown[MOST_ROWS:])
        more = f"<summary>and {len(shown) - MOST_ROWS:,} more</summary>"
        return f"<ul>{first}</ul><details>{more}<ul>{rest}</ul></details>"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):  # a year or a seed has no comma to be read with: only counts are long
        return _e(value) if key == "seed" else f"{value:,}".replace("-", "−")
    return number(value, 5) if isinstance(value, float) else _e(value)


def _counts(counts: dict[str, Any]) -> str:
    """How many of each, with a bar; the largest ones when there are many."""
    most = max(map(float, counts.values())) or 1.0
    names = list(counts) if len(counts) <= MOST_ROWS else sorted(counts, key=lambda name: -counts[name])[:MOST_ROWS]
    rows = "".join(
        f'<tr><th scope="row">{_e(name)}</th><td class="figure">{number(float(counts[name]), 9)}</td>'
        f'<td class="gauge"><span style="width:{max(0.0, 100 * counts[name] / most):.1f}%"></span></td></tr>'
        for name in names
    )
    more = len(counts) - len(names)
    caption = _count(len(counts), "label") + (f", the {len(names)} largest shown" if more else "")
    return f'<table class="counts"><caption>{caption}</caption><tbody>{rows}</tbody></table>'


def _points(events: Iterable[dict[str, Any]], *keys: str) -> list[Point]:
    """Steps against the value under the keys; where a resumed run took a step again, the later one counts."""
    found: dict[float, float] = {}
    for event in events:
        value: Any = event
        for key in keys:
            value = _dict(value).get(key, _ABSENT)
        step = _float(event.get("step"))
        if value is not _ABSENT and math.isfinite(step):
            found[step] = _float(value)
    return sorted(found.items())


def _value(score: dict[str, Any]) -> str:
    """A score with its error, both to the error's second digit."""
    value, error = _float(score.get("value")), _float(score.get("error"))
    if not math.isfinite(value) or not math.isfinite(error) or not 1e-6 < abs(error) < 1e6:
        return number(value, 5)
    decimals = max(0, 1 - math.floor(math.log10(abs(error))))
    return f"{value:,.{decimals}f} ± {abs(error):,.{decimals}f}".replace("-", "−")


def _data_name(run: Run) -> str:
    path = str(_dict(run.recipe.get("data")).get("path") or "")
    return path.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or path


def _examples(run: Run) -> str:
    count = _whole(run.data.get("count"))
    return f"{count:,} examples" if count is not None else ""


def _shape(run: Run) -> str:
    x = _dict(run.schema.get("x"))
    height, width, channels = (_whole(x.get(key)) for key in ("height", "width", "channels"))
    if height and width:
        return f"{height}×{width}" + {1: " grey", 3: " colour"}.get(channels or 0, "")
    return str(x.get("modality", "")).lower()


def _step_of(path: Path) -> int:
    digits = re.findall(r"\d{1,15}", path.stem)
    return int(digits[-1]) if digits else 0


def _step(event: dict[str, Any]) -> str:
    return number(_float(event.get("step")), 12)


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"{number(seconds, 3)} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours:,} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def _missing(sentence: str) -> str:
    return f'<p class="missing">{sentence}</p>'


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _words(key: object) -> str:
    text = str(key)
    return ACRONYMS.get(text) or _upper(text.replace("_", " "))


def _upper(text: object) -> str:
    """The first letter as a capital, the rest as it is."""
    return str(text)[:1].upper() + str(text)[1:]


def _e(text: object) -> str:
    return html.escape(printable(str(text)))


def _float(value: object) -> float:
    """A number, or NaN for anything else (a log may hold null or "NaN" for what was not finite)."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if good else math.nan  # type: ignore[arg-type]


def _floats(events: Iterable[dict[str, Any]], key: str) -> list[float]:
    return [value for event in events if math.isfinite(value := _float(event.get(key)))]


def _whole(value: object) -> int | None:
    known = _float(value)
    return int(known) if math.isfinite(known) and known == int(known) else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _deep(value: object, most: int = 50) -> bool:
    """Whether a JSON value is nested deeper than any run writes it."""
    layer = [value]
    for _ in range(most):
        nested = (v.values() if isinstance(v, dict) else v if isinstance(v, list) else () for v in layer)
        layer = [inner for values in nested for inner in values]
        if not layer:
            return False
    return True


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> Sequence[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


SCRIPT = """
const box = document.createElement("dialog"), big = document.createElement("img");
box.append(big); document.body.append(box); box.onclick = () => box.close();
for (const small of document.querySelectorAll("figure img")) {
  const open = () => { big.src = small.src; big.alt = small.alt; big.className = small.className; box.showModal(); };
  small.tabIndex = 0; small.setAttribute("role", "button"); small.title = "Enlarge"; small.onclick = open;
  small.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } };
}
"""

STYLE = """
:root{--page:#fbfaf8;--card:#fff;--ink:#1c1e21;--muted:#5d636b;--line:#e5e2dc;--accent:#005d93;--warn:#d55e00;
--note:#0072b2}
@media (prefers-color-scheme:dark){
:root{--page:#131518;--card:#1b1e22;--ink:#e8eaed;--muted:#a0a7b0;--line:#2c3137;--accent:#7cc4ef;
--warn:#f0803c;--note:#56b4e9}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0 auto;padding:0 clamp(18px,4vw,48px);max-width:1180px;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
a{color:var(--accent);text-underline-offset:.18em;text-decoration-thickness:.06em}
:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:3px}
header{padding:clamp(40px,8vw,88px) 0 28px}
.brow{margin:0 0 10px;color:var(--muted);font-size:14px}
h1{margin:0;font-size:clamp(32px,5.6vw,54px);line-height:1.08;letter-spacing:-.022em;font-weight:680;
text-wrap:balance}
.verdict{margin:18px 0 0;max-width:44em;font-size:clamp(17px,2.1vw,20px);color:var(--muted);text-wrap:pretty}
.verdict strong{color:var(--ink);white-space:nowrap}
.noticed{margin:6px 0 0}
.tiles{display:flex;flex-wrap:wrap;gap:18px 40px;margin:34px 0 0}
dl,dd,dt{margin:0}
dt{color:var(--muted);font-size:13px}
nav{border-block:1px solid var(--line);padding:11px 0}
nav ul{display:flex;flex-wrap:wrap;gap:4px 22px;margin:0;padding:0;list-style:none;font-size:14px}
nav a{color:var(--muted);text-decoration:none}nav a:hover{color:var(--accent);text-decoration:underline}
section{display:grid;grid-template-columns:minmax(0,1fr);gap:20px 56px;padding:52px 0;
border-bottom:1px solid var(--line);
scroll-margin-top:8px}
@media (min-width:900px){section{grid-template-columns:220px minmax(0,1fr)}
.lead{position:sticky;top:28px;align-self:start}}
h2{margin:0;font-size:21px;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
.lead p{margin:8px 0 0;color:var(--muted);font-size:14.5px;text-wrap:pretty}
h3{margin:34px 0 4px;font-size:16px}
.body>:first-child{margin-top:0}.body p{margin:0 0 12px}
.quiet,.aside,figcaption,caption{color:var(--muted);font-size:14px}
section:has(.body>.missing:only-child){padding:28px 0}
.missing,.calm{color:var(--muted)}.calm{color:var(--ink);font-size:18px}
figure{margin:0}
figure img{display:block;max-width:100%;height:auto;border-radius:6px;cursor:zoom-in}
.pixels{image-rendering:pixelated}
figcaption{margin-top:10px}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(146px,148px));gap:18px 14px;margin-top:14px}
.strip figcaption{margin-top:4px;font-size:13px}
.map{max-width:620px}
.body .aside{margin-top:24px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:36px 40px}
table{border-collapse:collapse;width:100%;text-align:left}
caption{text-align:left;padding-bottom:8px}
th,td{padding:10px 20px 10px 0;border-top:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{color:var(--muted);font-size:13px;border-top:0;padding-block:4px}
tbody th{font-weight:600}tbody tr:last-child>*{border-bottom:1px solid var(--line)}
.figure{text-align:right;white-space:nowrap}.brief{white-space:nowrap}td.figure{font-weight:600}
.note{display:block;color:var(--muted);font-weight:400;font-size:14px;max-width:40em}
.facts>div{display:grid;grid-template-columns:minmax(96px,150px) minmax(0,1fr);gap:16px;padding:9px 0;
border-top:1px solid var(--line)}
.facts>div:first-child{border-top:0}.facts dt{font-size:14px;padding-top:1px}
.facts ul{margin:0;padding-left:1.1em}
.facts .facts>div:first-child{padding-top:0}
.counts{width:auto;font-size:14px}.counts th,.counts td{padding:3px 14px 3px 0;border:0!important;
font-weight:400}
.counts caption{padding-bottom:4px}.counts th{max-width:220px}
.gauge{width:min(240px,40vw);vertical-align:middle!important}
.gauge span{display:block;height:8px;min-width:1px;border-radius:2px;background:var(--c1)}
.card{border:1px solid var(--line);border-left:4px solid var(--note);border-radius:8px;background:var(--card);
padding:18px 22px;
margin:0 0 16px}
.card.warning,.card.error{border-left-color:var(--warn)}
.card h3{margin:0}.card p{margin:0 0 10px}
.card dl>div{display:grid;grid-template-columns:minmax(80px,112px) minmax(0,1fr);gap:14px;padding:4px 0}
.card dt{padding-top:2px}
.badge{margin-left:6px;padding:1px 8px;border:1px solid currentColor;border-radius:99px;color:var(--muted);
font-size:12px;
font-weight:500;vertical-align:2px}
pre{margin:0 0 16px;padding:12px 16px;border:1px solid var(--line);border-radius:8px;background:var(--card);
overflow-x:auto;
font-size:13.5px;line-height:1.5}
.body .quiet+pre{margin-top:-6px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
details{margin-top:14px}summary{cursor:pointer;color:var(--accent)}
details pre{margin-top:12px;max-height:70vh;overflow:auto}
footer{padding:28px 0 56px;color:var(--muted);font-size:14px}.faults{padding-left:1.1em}
dialog{border:0;padding:0;background:none;max-width:none;max-height:none}dialog::backdrop{background:#000c}
dialog img{display:block;width:min(92vw,92vh);height:auto;max-height:94vh;object-fit:contain;cursor:zoom-out}
@media print{nav,details:not([open]){display:none}section{break-inside:avoid;padding:24px 0}}
@media (max-width:480px){.facts>div,.card dl>div{grid-template-columns:minmax(0,1fr);gap:0}
.tiles{gap:14px 32px}
.strip{grid-template-columns:repeat(2,minmax(0,1fr))}.strip img{width:100%!important}}
@media (max-width:620px){.scores thead{display:none}.scores tr{display:flex;flex-wrap:wrap;gap:2px 10px;
padding:12px 0;border-top:1px solid var(--line)}.scores th,.scores td{border:0!important;padding:0}
.scores th{flex:1 0 100%}

.scores .better{color:var(--muted)}.scores .better::after{content:" is better"}}
"""
