"""The page about a run: `write_report` reads a run folder and writes one self-contained ``report.html`` into it.

The page opens offline and asks nothing of anybody: images are data URIs, charts inline SVG (see `charts`), and a
content security policy lets in the page's own style, its one small script (which only enlarges images) and nothing
else. All that comes from files is escaped. Every part of a run is optional: what a model can do and was not done yet is
a sentence on the page, what it cannot do is left out, and a file that cannot be read is named at the end.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from seisei.errors import UserError
from seisei.report.charts import bar_chart, line_chart, scatter
from seisei.report.classification import calibration, column_table, confusion, drawn_rows, heads, percents
from seisei.report.css import REPORT
from seisei.report.html import (
    MOST_ROWS,
    document,
    duration,
    fact,
    facts_list,
    image,
    missing,
    sections,
    upper,
    words,
    write_page,
)
from seisei.report.run_log import Run, as_dict, as_dicts, as_float, as_floats, as_list, as_whole, points, step_of
from seisei.report.svg import Point, count_of, esc, number, with_error
from seisei.shell import quoted

FROM_ZERO = {"Speed", "Waiting for data", "Learning rate", "Active units"}  # headings of curves
UNITS = {  # of parts and scores
    "accuracy": "share that is right",
    "label_loss": "nats per example",
    "error": "mean squared error",
    "PSNR": "dB",
    "PSNR of color": "dB",
    "PSNR of the mean error": "dB",
    "used": "share of all codes",
    "perplexity": "share of all codes",
    "collisions": "share of examples whose codes another has",
    "heard": "times the error with another image's codes",
    "nats a code": "nats",
}
VERDICTS = ("D(x)", "D(G(z))")  # what a discriminator says of real and of drawn examples, in one chart
SEVERE = {"warning", "error"}
MOST_THUMBNAILS = 10
GRID = 720  # how wide the last samples may be
BRIEF = {  # fields of a train event beside its loss: heading, unit
    "learning_rate": ("Learning rate", "size of a step"),
    "gradient_norm": ("Gradient norm", "length of the gradient"),
    "examples_per_second": ("Speed", "examples per second"),
    "waiting": ("Waiting for data", "share of the time"),
}


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder, whole or not at all, and say where it is.

    Arguments:
        folder: a run folder; any of its parts may be missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file, not a run folder" if folder.exists() else "no such run folder"
        raise UserError("E-*-01", folder, problem, "name a folder that seisei train has made")
    return write_page(render(Run.read(folder)), folder / "report.html")


def render(run: Run) -> str:
    """The whole page."""
    name = (
        " on ".join(filter(None, [str(run.recipe.get("recipe") or ""), _data_name(run)])) or run.folder.resolve().name
    )
    version = esc(run.recipe.get("seisei", ""))
    made = f"Made by seisei {version} from <code>{esc(run.folder.resolve().name)}</code>."
    parts = [(key, title, lead, body(run)) for key, title, lead, body in SECTIONS]
    main = sections(part for part in parts if part[-1])
    return document(f"{name}: run report", _header(run, name), main, made, run.faults, REPORT)


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
    noticed = [event for event in _noticed(run) if event["until"] is None]
    warnings = [str(e.get("symptom", e["rule"])) for e in noticed if str(e.get("severity")) in SEVERE]
    noted = count_of(len(noticed) - len(warnings), "note")
    things = f"{count_of(len(warnings), 'warning')}: {esc('; '.join(warnings))}" if warnings else "No warnings"
    things += f" ({noted})" if len(noticed) > len(warnings) else ""
    watch = f'<p class="noticed"><a href="#watch">{things}.</a></p>' if run.events else ""
    ends, total = run.all("end"), as_whole(run.plan.get("steps"))
    speed = sorted(as_floats(run.all("train"), "examples_per_second"))
    state = f"{'Finished' if ends else 'Not finished: still going, or stopped,'} at step {run.step:,}"
    state += f" of {total:,}" if total else ""
    converged = bool(run.all("converged"))
    if run.swept and ends and total and (run.step == total or converged):
        state = f"{count_of(run.step, 'round')} over all examples" + ", converged" * (converged and run.step > 1)
    best = as_whole(ends[-1].get("best")) if ends else None
    if best is not None and best != run.step:
        state += f"; the best weights, which are shown here, are from step {best:,}"
    facts = {
        "Data": ", ".join(filter(None, [_data_name(run), _examples(run), _shape(run), _classes(run)])),
        "Training": state if run.events else "",
        "Time": _time(ends[-1]) if ends else "",
        "Median speed": f"{number(speed[len(speed) // 2], 3)} examples/s" if speed else "",
        "Parameters": number(as_float(run.recipe.get("parameters")), 9) if "parameters" in run.recipe else "",
        "Seed": str(run.recipe.get("seed", "")),
    }
    tiles = "".join(f"<div><dt>{key}</dt><dd>{esc(value)}</dd></div>" for key, value in facts.items() if value)
    verdict = f'<p class="verdict">{_verdict(run)}</p>{watch}'
    return f'<p class="brow">Run report{when}</p><h1>{esc(name)}</h1>{verdict}<dl class="tiles">{tiles}</dl>'


def _time(end: dict[str, Any]) -> str:
    """How long the training took, all sittings and stages of it, and what was trained for it before."""
    told = duration(as_float(end.get("seconds")))
    for key, head in (("parts", ""), ("before", "trained before: ")):
        named = as_dict(end.get(key))
        if named:
            told += f" ({head}{', '.join(f'{name} {duration(as_float(value))}' for name, value in named.items())})"
    return told


def _verdict(run: Run) -> str:
    for score in map(percents, as_dicts(run.scores.get("scores"))):
        better = f", {esc(score['better'])} is better" if score.get("better") else ""
        split = f" on the {esc(run.scores['split'])} split" if run.scores.get("split") else ""
        unit = f"\u00a0{esc(score['unit'])}" if score.get("unit") else ""
        return f"{esc(upper(score.get('name', 'score')))} <strong>{_value(score)}{unit}</strong>{split}{better}."
    for left in as_dicts(run.scores.get("left_out")):
        return f"Not scored: {esc(left.get('why', ''))}."
    for event in reversed(run.all("validation")):
        for name, value in as_dict(event.get("scores")).items():
            shown = f"{esc(words(name))} <strong>{_checked(name, value)}</strong>"
            return f"Last validation: {shown} at step {_step(event)}; not scored on test data yet."
    return "Not scored yet."


def _samples(run: Run) -> str:
    return _drawn(run) if _draws(run) else ""


def _progress(run: Run) -> str:
    """What was looked at while a model was trained that draws nothing new."""
    return "" if _draws(run) else _drawn(run)


def _draws(run: Run) -> bool:
    """Whether the model draws anew, as far as is known."""
    return "sample" in run.verbs or not run.verbs


def _drawn(run: Run) -> str:
    final = image(run.folder / "figures/samples.png", "Grid of samples drawn by the trained model", target=GRID)
    final = _headed(run, final) + drawn_rows(run)
    found = sorted((run.folder / "samples").glob("*.png"), key=lambda path: (step_of(path), path.name))
    spaced = {i * (len(found) - 1) // (MOST_THUMBNAILS - 1) for i in range(MOST_THUMBNAILS)}
    step = "round" if run.swept else "step"
    kept = found if len(found) <= MOST_THUMBNAILS else [found[i] for i in sorted(spaced)]
    strip = "".join(image(p, f"Samples at {step} {step_of(p):,}", f"{step} {step_of(p):,}", target=148) for p in kept)
    if not found:
        return final or (missing("No samples have been drawn yet.") if "sample" in run.verbs else "")
    if not final:  # the newest of the strip stands in for the last grid
        final = image(found[-1], f"Samples at step {step_of(found[-1]):,}, the newest", target=GRID)
    some = f", {len(kept)} of {len(found)} grids shown" if len(kept) < len(found) else ""
    if len(found) == 1 and final:
        return final
    if _draws(run):
        said = f'<h3>Through training</h3><p class="quiet">The same seed at every {step}{some}.</p>'
    else:
        said = f'<p class="quiet" style="margin-top:14px">The same examples at every {step}{some}.</p>'
    return f'{final}{said}<div class="strip">{strip}</div>'


def _headed(run: Run, grid: str) -> str:
    """A grid of samples below the names of its columns."""
    width = re.search(r"width:(\d+)px", grid)
    return f'<div style="width:{width[1]}px;max-width:100%">{heads(run)}{grid}</div>' if width else grid


def _undone(run: Run, verb: str, sentence: str) -> str:
    """A sentence in place of what the model can do, and nothing of what it cannot."""
    return missing(sentence) if verb in run.verbs else ""


def _reconstructions(run: Run) -> str:
    text = "Rows alternate: originals above, their reconstructions right below."
    text += "" if _held_out(run) else " The model was trained on them: none were held out."
    path = run.folder / "figures/reconstructions.png"
    shown = image(path, "Originals above their reconstructions", text, target=640)
    return shown or _undone(run, "reconstruct", "No reconstructions: the run has not been evaluated.")


def _interpolation(run: Run) -> str:
    text = "Each row walks from the example on its left to the one on its right."
    path = run.folder / "figures/interpolation.png"
    shown = image(path, "Rows of images that change step by step", text, target=640)
    return shown or _undone(run, "interpolate", "No interpolation: the run has not been evaluated.")


def _held_out(run: Run) -> bool:
    """Whether figures show examples that training never saw, as far as is known."""
    splits = as_dict(run.data.get("splits"))
    return not splits or any(as_float(splits.get(name)) > 0 for name in ("test", "validation"))


def _translations(run: Run) -> str:
    of = "Pairs that it was not trained on." if _held_out(run) else "Pairs that it was trained on: none were held out."
    text = f"Rows in threes: what was given, what the model made of it, and the truth. {of}"
    shown = image(run.folder / "figures/translations.png", "Given, made, and the truth", text, target=GRID)
    return shown or _undone(run, "translate", "No images of images: the run has not been evaluated.")


def _styles(run: Run) -> str:
    text = "Content images, below them the styles beside them, and below those what the model makes of both."
    shown = image(run.folder / "figures/styles.png", "Contents, styles, and what was made of both", text, target=GRID)
    return shown or _undone(run, "stylize", "No images in other styles: the run has not been evaluated.")


def _nearest(run: Run) -> str:
    text = "Rows alternate: drawn images above, right below the training images nearest to them in these features."
    return image(run.folder / "figures/nearest.png", "Drawn images and their nearest", text, target=640)


def _latent(run: Run) -> str:
    pairs = [p for p in as_list(run.latent.get("points")) if isinstance(p, list) and len(p) >= 2]
    if not pairs:
        between = "interpolate" in run.verbs  # codes have no places to be drawn at
        return _undone(run, "encode", "No map: the run has not been evaluated.") if between else ""
    labels = [str(label) for label in as_list(run.latent.get("labels"))]
    shares = [f" ({as_float(share):.0%} of the variance)" for share in as_list(run.latent.get("explained"))]
    axes = [f"{place} axis{share}" for place, share in zip(("first", "second"), [*shares, "", ""], strict=False)]
    points = [(as_float(p[0]), as_float(p[1])) for p in pairs]
    known = labels if len(labels) == len(points) else None
    chart = scatter(points, known, title="Where the examples lie", x_label=axes[0], y_label=axes[1])
    method = esc(upper(run.latent.get("method", "two dimensions of the latent space")))
    color = "Color and shape are the label." if known else "The data have no labels."
    return f'<figure class="map">{chart}<figcaption>{method}. {color}</figcaption></figure>'


def _scores(run: Run) -> str:
    rows = "".join(
        f'<tr><th scope="row">{esc(upper(score.get("name", "score")))}'
        f'<span class="note">{esc(score.get("note", ""))}</span></th><td class="figure">{_value(score)}</td>'
        f'<td class="brief">{esc(score.get("unit") or "–")}</td>'
        f'<td class="brief{" better" if score.get("better") else ""}">{esc(score.get("better") or "–")}</td></tr>'
        for score in map(percents, as_dicts(run.scores.get("scores")))
    )
    split = f"On the {esc(run.scores['split'])} split. " if run.scores.get("split") else ""
    head = '<thead><tr><th scope="col">Score</th><th scope="col" class="figure">Value</th>'
    head += '<th scope="col">Unit</th><th scope="col">Better</th></tr></thead>'
    caption = f"<caption>{split}± is one standard error; in brackets is a 95\u00a0% interval.</caption>"
    table = f'<table class="scores">{caption}{head}<tbody>{rows}</tbody></table>'
    left = [
        f"{esc(upper(one.get('scores', 'scores')))} left out: {esc(one.get('why', ''))}."
        for one in as_dicts(run.scores.get("left_out"))
    ]
    if not rows:
        none = "This run has not been scored yet: <code>seisei evaluate</code> does it."
        table = "" if left else missing(none)
    table += "".join(f'<p class="aside">{line}</p>' for line in left)
    checks = run.all("validation")
    last = as_dict(checks[-1].get("scores")) if checks else {}
    if not last:
        return table
    step = number(as_float(checks[-1].get("step")), 12)
    rows = "".join(f"<div><dt>{esc(words(k))}</dt><dd>{_checked(k, v)}</dd></div>" for k, v in last.items())
    head = f"Last validation, {'round' if run.swept else 'step'} {step}"
    return f'{table}<h3>{head}</h3><dl class="facts">{rows}</dl>'


def _checked(name: str, value: object) -> str:
    """A score of the last validation."""
    found = as_float(value)
    return f"{number(100 * found)}\u00a0%" if name == "accuracy" else number(found, 5)


def _curves(run: Run) -> str:
    drawn = [curve for curve in _series(run) if not run.swept or any(len(some) > 1 for some in curve[2].values())]
    charts = [_curve(*curve, "round of fitting" if run.swept else "training step") for curve in drawn]
    skipped = run.all("skipped")
    notes = dict.fromkeys(str(event.get("what", "")) for event in run.all("note"))
    said = "".join(f'<p class="aside">{esc(upper(note))}.</p>' for note in notes if note)
    if skipped:
        told = [
            f"step {_step(e)} ({esc(e.get('term', '?'))}, {esc(e.get('tensor', '?'))})" for e in skipped[:MOST_ROWS]
        ]
        told += [f"and {len(skipped) - MOST_ROWS:,} more"] if len(skipped) > MOST_ROWS else []
        steps = count_of(len(skipped), "step")
        said += f'<p class="aside">{steps} skipped because a value was not finite: {"; ".join(told)}.</p>'
    if charts:
        return f'<div class="charts">{"".join(charts)}</div>{said}'
    # One round leaves a number and no curve.
    return said or ("" if run.all("train") else missing("The log holds no training steps yet."))


def _curve(title: str, unit: str, series: dict[str, list[Point]], x_label: str) -> str:
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
    elif values and title == "Accuracy" and min(values) == max(values) and 0 <= min(values) <= 1:
        shown = (0.0, 1.0)
    elif values:
        if max(values) - min(values) > 3 * (max(late) - min(late)) > 0:
            shown = (min(late), max(late))
        low, high = shown or (min(values), max(values))
        spread = min(values) > 0 and high > 30 * low
    return line_chart(series, title=title, x_label=x_label, y_label=unit, log_y=spread, y_range=shown)


def _series(run: Run) -> Iterator[tuple[str, str, dict[str, list[Point]]]]:
    """What is charted: heading, unit, curves."""
    train, checks = run.all("train"), run.all("validation")
    told = dict.fromkeys(str(event.get("turn", "model")) for event in train)
    # A turn that was taken once, such as the counting of classes, makes no curve beside those of others.
    often = [turn for turn in told if sum(str(e.get("turn", "model")) == turn for e in train) > 1]
    turns = often or list(told)
    label = {turn: "training" if len(turns) == 1 else turn for turn in turns}
    by_turn = {label[turn]: [e for e in train if str(e.get("turn", "model")) == turn] for turn in turns}
    scores = list(dict.fromkeys(name for event in checks for name in as_dict(event.get("scores"))))

    def curves(*keys: str) -> dict[str, list[Point]]:
        # A player without points stays in, so that it keeps its color in every chart.
        return {name: points(events, *keys) for name, events in by_turn.items()}

    used = {"loss"} if "loss" in scores else {"elbo"} if "elbo" in scores else set()
    loss = curves("loss")
    if "loss" in used or (not used and points(checks, "loss")):
        loss["validation"] = points(checks, "scores", "loss") if used else points(checks, "loss")
    elif used:  # the bound is better when higher, a loss when lower
        loss["validation (−ELBO)"] = [(step, -value) for step, value in points(checks, "scores", "elbo")]
    if any(loss.values()):
        yield "Loss", run.unit, loss
    verdicts = {part: [p for curve in curves("parts", part).values() for p in curve] for part in VERDICTS}
    if all(verdicts.values()):
        held_out = {f"{part}, held out": points(checks, "scores", part) for part in VERDICTS}
        ends = [step for curve in verdicts.values() for step, _ in curve]
        half = {"½": [(min(ends), 0.5), (max(ends), 0.5)]}
        yield "D(x) and D(G(z))", "½ where neither can do better", {**verdicts, **held_out, **half}
        scores = [name for name in scores if name not in VERDICTS]
    for part in dict.fromkeys(part for event in train for part in as_dict(event.get("parts"))):
        if part in VERDICTS and all(verdicts.values()):
            continue
        both = curves("parts", part)
        if part in scores:
            used.add(part)
            both["validation"] = points(checks, "scores", part)
        yield words(part), UNITS.get(part, run.unit if run.unit.startswith("nats") else "value"), both
    for name in scores:
        if name not in used:
            yield (
                words(name),
                UNITS.get(name, "validation score"),
                {
                    "training": [],
                    "validation": points(checks, "scores", name),
                },
            )
    active = points(checks, "active_units")
    if len(active) > 1:
        yield "Active units", "latent dimensions in use", {"training": [], "validation": active}
    for key, (title, unit) in BRIEF.items():
        # Who moves by a rule of its own has no gradient, no rate, and all data at hand.
        found = {} if run.swept and key != "examples_per_second" else curves(key)
        if any(found.values()):
            yield title, unit, found


def _dimensions(run: Run) -> str:
    found = [event for event in run.all("validation") if as_list(event.get("kl_per_dimension"))]
    if not found:
        return ""
    values = [as_float(v) for v in found[-1]["kl_per_dimension"]]
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
        text = f"<strong>{number(as_float(active))} of {len(values)}</strong> dimensions are active. {text}"
    return f'<p>{text}</p><figure class="map">{chart}</figure>'


def _codes(run: Run) -> str:
    """How well each grid of codes is used."""
    found = [event for event in run.all("validation") if as_list(event.get("codes"))]
    if not found:
        return ""
    rows = []
    for place, told in enumerate(as_list(found[-1]["codes"])):
        count, used, even = (as_float(as_dict(told).get(key)) for key in ("codes", "used", "perplexity"))
        rows.append(
            f"<tr><td>{place + 1}</td><td>{count:,.0f}</td><td>{100 * used:.1f}\u00a0%</td>"
            f"<td>{even:,.0f}</td><td>{100 * even / max(count, 1):.0f}\u00a0%</td></tr>"
        )
    head = "<tr><th>grid</th><th>codes</th><th>used</th><th>perplexity</th><th>of all</th></tr>"
    text = f"Of held-out images at step {_step(found[-1])}. So many codes, used equally often, have that perplexity."
    return f"<p>{text}</p><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _noticed(run: Run) -> list[dict[str, Any]]:
    """The last finding of each rule: since when, until when (None where it stands), and how often there was one."""
    rules: dict[str, dict[str, Any]] = {}
    for event in run.events:
        rule = str(event.get("rule", "unnamed rule"))
        if event.get("event") == "watch":
            times = rules.get(rule, {}).get("times", 0) + 1
            rules[rule] = {**event, "rule": rule, "until": None, "times": times}
        elif event.get("event") == "withdrawn" and rule in rules:
            rules[rule]["until"] = _step(event)
    return list(rules.values())


def _watch(run: Run) -> str:
    told = [run.recipe.get("watch"), run.plan.get("watch"), *(event.get("rules") for event in run.events)]
    names = next(([str(rule) for rule in rules] for rules in told if rules and isinstance(rules, (list, dict))), [])
    looked = f"Checked for: {', '.join(map(esc, names))}." if names else "The run did not record its rules."
    noticed = _noticed(run)
    order = sorted((e for e in noticed if e["until"] is None), key=lambda e: str(e.get("severity")) not in SEVERE)
    cards = "".join(_finding(run, event) for event in order)
    past = "".join(
        f"<li>{esc(upper(event.get('symptom', event['rule'])))}: from step {_step(event)}, "
        f"no longer at step {event['until']}{_often(event)}."
        f"{''.join(f' {esc(upper(done))}.' for done in _remedies(run, event))}</li>"
        for event in noticed
        if event["until"] is not None
    )
    past = f"<h3>Resolved during training</h3><ul>{past}</ul>" if past else ""
    if not cards:
        calm = "No known failure found." if run.events else "Nothing to check yet: the run has no log."
        cards = f'<p class="calm">{calm}</p>'
    return f'{cards}{past}<p class="quiet">{looked}</p>'


def _finding(run: Run, event: dict[str, Any]) -> str:
    """A finding that stands, as a card."""
    severity = str(event.get("severity", "note"))
    look = severity if severity in SEVERE else "note"
    done = "; ".join([*([str(event["remedy"])] if event.get("remedy") else []), *_remedies(run, event)])
    fields = {"evidence": "Evidence", "cause": "Likely cause", "advice": "What to try", "done": "Done"}
    rows = "".join(
        f"<div><dt>{title}</dt><dd>{esc(upper(value))}</dd></div>"
        for key, title in fields.items()
        if (value := {**event, "done": done}.get(key))
    )
    symptom = esc(upper(event.get("symptom", event["rule"])))
    head = f'<h3>{symptom} <span class="badge">{esc(severity)}</span></h3>'
    head += f'<p class="quiet">Since step {_step(event)}{_often(event)}.</p>'
    return f'<article class="card {look}">{head}<dl>{rows}</dl></article>'


def _often(event: dict[str, Any]) -> str:
    return f", {event['times']} times in all" if event["times"] > 1 else ""


def _remedies(run: Run, event: dict[str, Any]) -> list[str]:
    """What the run did about a finding."""
    found = [e for e in run.all("remedy") if e.get("rule") == event["rule"]]
    return [f"{e.get('done')} (step {_step(e)})" for e in found]


def _data(run: Run) -> str:
    if not run.data:
        return missing("This run recorded no report about its data.")
    columns = as_dicts(run.data.get("columns"))
    left = {"skipped", "noun", *(["columns"] if columns else [])}
    facts = {key: value for key, value in run.data.items() if key not in left}
    skipped = run.data.get("skipped")
    said = column_table(columns) if columns else ""
    if skipped is not None:
        said += f"<h3>Skipped</h3>{fact(skipped) if skipped else '<p>Nothing was skipped.</p>'}"
    return facts_list(facts) + said


def _reproduce(run: Run) -> str:
    folder = run.folder.resolve()
    shown = quoted(str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder))
    command = run.recipe.get("command")
    lines = [("Train again", str(command))] if command else []
    lines += [] if run.all("end") else [("Resume", f"seisei resume {shown}")]
    given = quoted(str(as_dict(run.recipe.get("data")).get("path") or "INPUT"))
    lines += [("Draw samples", f"seisei sample {shown}")] if "sample" in run.verbs or not run.verbs else []
    lines += [("Tell classes", f"seisei predict {shown} {given}")] if "predict" in run.verbs else []
    commands = "".join(f"<p class='quiet'>{title}</p><pre><code>{esc(line)}</code></pre>" for title, line in lines)
    facts = {
        "seed": run.recipe.get("seed"),
        "dials": run.recipe.get("dials"),
        "overrides": run.recipe.get("overrides"),
        "data": as_dict(run.recipe.get("data")).get("path"),
        "fingerprint": as_dict(run.recipe.get("data")).get("fingerprint"),
        "versions": run.recipe.get("versions"),
        "hardware": run.recipe.get("hardware"),
    }
    told = facts_list({key: value for key, value in facts.items() if value is not None})
    plan = "\n".join(map(esc, json.dumps(run.plan, indent=2, ensure_ascii=False).split("\n")))
    details = f"<details><summary>The full plan, every default resolved</summary><pre>{plan}</pre></details>"
    details = details if run.plan else ""
    lost = "" if run.recipe else missing("This run has no recipe.json, so how it was made is not known.")
    return f"{commands}{lost}{told}{details}"


Section = tuple[str, str, str, Callable[[Run], str]]
SECTIONS: list[Section] = [
    ("samples", "Samples", "New examples drawn from the model.", _samples),
    ("translations", "Images of images", "Pairs: what is given, made, and true.", _translations),
    ("styles", "Styles", "Contents in the style of other images.", _styles),
    ("progress", "Through training", "What the model made of the same examples, step by step.", _progress),
    ("reconstructions", "Originals and reconstructions", "What survives the way through the model.", _reconstructions),
    ("interpolation", "Interpolation", "The way between two examples, as the model sees it.", _interpolation),
    ("nearest", "Nearest neighbors", "Is it new, or a copy?", _nearest),
    ("map", "Map of the latent space", "Examples that the model finds alike lie together.", _latent),
    ("scores", "Scores", "Measured on data that training never saw.", _scores),
    ("confusion", "Confusion", "Which classes are taken for which.", confusion),
    ("calibration", "Calibration", "Is it right as often as it says?", calibration),
    ("curves", "Training curves", "The number beside a curve’s name is its last value.", _curves),
    ("dimensions", "Latent dimensions", "How much each one says about an example.", _dimensions),
    ("codes", "Codes", "How many of them are used, and how evenly.", _codes),
    ("watch", "Training health", "Known failures, checked for during training.", _watch),
    ("data", "The data", "What was found, and what was done with it.", _data),
    ("reproduce", "How to reproduce", "All that is needed to make this run again.", _reproduce),
]


def _value(score: dict[str, Any]) -> str:
    """A score with its error, both to the error's second digit, or between the ends of its interval; what rounding
    alone left is nothing."""
    value, low, high = (as_float(score.get(key)) for key in ("value", "low", "high"))
    if low <= value <= high:
        return f"{number(value, 3)} ({number(low, 3)} to {number(high, 3)})"
    return with_error(0.0 if abs(value) < 1e-12 else value, as_float(score.get("error")))


def _data_name(run: Run) -> str:
    path = str(as_dict(run.recipe.get("data")).get("path") or "")
    return path.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1] or path


def _examples(run: Run) -> str:
    count = as_whole(run.data.get("kept", run.data.get("count")))
    return count_of(count, run.noun) if count is not None else ""


def _shape(run: Run) -> str:
    x = as_dict(run.schema.get("x"))
    height, width, channels = (as_whole(x.get(key)) for key in ("height", "width", "channels"))
    if height and width:
        return f"{height}×{width}" + {1: " gray", 3: " color"}.get(channels or 0, "")
    columns = as_list(x.get("columns"))
    if longest := as_whole(x.get("length")):
        return f"at most {longest:,} bytes"
    return count_of(len(columns), "column") if columns else str(x.get("modality", "")).lower()


def _classes(run: Run) -> str:
    names = as_list(as_dict(run.schema.get("y")).get("names"))
    return f"{len(names):,} classes" if len(names) > 1 else ""


def _step(event: dict[str, Any]) -> str:
    return number(as_float(event.get("step")), 12)
