"""Sections of a comparison with charts (calibration, missing values, learning curves), and helpers of all sections.

Each section takes a comparison and returns HTML; it is empty, and omitted, if no model has the data for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from seisei.metrics.significance import Stretch, Triple, stretches
from seisei.report.charts import COLORS, line_chart
from seisei.report.comparison_models import NO_POSTERIOR, ComparedModel, Comparison
from seisei.report.diagrams import reliability
from seisei.report.html import upper
from seisei.report.svg import count_of, esc, number, with_error

MOST_STRETCHES = 4  # stretches of a chart that are described one by one
DIAGONAL = """On the dashed line, accuracy equals confidence; below it, the model is overconfident.
Whiskers are one standard error; the bars count the examples of each bin, on a logarithmic axis."""

# ---- helpers of all sections


def color(model: ComparedModel) -> int:
    """Index of a model's chart color."""
    return 1 + model.index % COLORS


def model_label(model: ComparedModel, *, key: bool = True) -> str:
    """A model's name, with a color key."""
    patch = f'<i class="key k{color(model)}" aria-hidden="true"></i>' if key else ""
    return f'<span class="who">{patch}{esc(model.name)}</span>'


def strong(model: ComparedModel) -> str:
    """A model's name in bold."""
    return f'<strong title="{esc(model.name)}">{esc(model.brief)}</strong>'


def join_names(names: Iterable[str]) -> str:
    """Names joined with commas and "and".

    Example:
        >>> join_names(["a", "b", "c"])
        'a, b and c'
    """
    *first, end = names
    return f"{', '.join(first)} and {end}" if first else end


def columns(count: int, limit: int = 4) -> int:
    """Number of columns, at most `limit`, that balances the rows.

    Example:
        >>> [columns(count) for count in (1, 2, 3, 4, 5, 6)]
        [2, 2, 3, 4, 3, 3]
    """
    return max(2, -(-count // max(1, -(-count // limit))))


def side_by_side(items: Sequence[str], limit: int = 4, look: str = "") -> str:
    """HTML items in columns of equal width."""
    return f'<div class="across {look}" style="--n:{columns(len(items), limit)}">{"".join(items)}</div>'


def heading(text: str, look: str = "") -> str:
    """A column header."""
    return f'<th scope="col" class="{look}">{text}</th>' if look else f'<th scope="col">{text}</th>'


def table(look: str, heads: Iterable[str], rows: str, caption: str = "", style: str = "") -> str:
    """An HTML table: CSS class, column headers, rows."""
    captioned, styled = f"<caption>{caption}</caption>" if caption else "", f' style="{style}"' if style else ""
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    return f'<table class="{look}"{styled}>{captioned}{head}<tbody>{rows}</tbody></table>'


def scrolling(content: str, name: str) -> str:
    """A scrollable region for wide content, accessible by keyboard."""
    return f'<div class="scroll" role="region" aria-label="{esc(name)}" tabindex="0">{content}</div>'


def aside(sentences: Sequence[str]) -> str:
    """HTML sentences in a paragraph; empty if there are none."""
    return f'<p class="aside">{" ".join(sentences)}</p>' if sentences else ""


# ---- sections


def calibration(c: Comparison) -> str:
    """Reliability diagrams."""
    figures, without = [], []
    size = (240, 306) if columns(sum(bool(model.bins) for model in c.models)) == 4 else (300, 366)
    for model in c.models:
        if not model.bins:
            reason = NO_POSTERIOR if model.capabilities["posterior"] == "no" else "was not evaluated"
            without.append(f"{model_label(model)} {reason}.")
            continue
        error, total = model.calibration_error, sum(n for *_, n in model.bins)
        ece = f"ECE <strong>{number(100 * error, 3)}\u00a0%</strong>, " if math.isfinite(error) else ""
        chart = reliability(model.bins, title=model.name, color=color(model), width=size[0], height=size[1])
        caption = f'{ece}<span class="quiet">{esc(count_of(total, c.noun))}</span>'
        figures.append(
            f'<figure><figcaption class="top">{model_label(model)}<br>{caption}</figcaption>{chart}</figure>'
        )
    if not figures:
        return ""
    return f'<p class="quiet">{DIAGONAL}</p>{side_by_side(figures)}{aside(without)}'


def missing_values(c: Comparison) -> str:
    """Accuracy by the fraction of values missing."""
    cells = {"row": "cells", "image": "pixels"}.get(c.noun, "values")
    series = {model: model.missing for model in c.models}
    if not any(series.values()):
        return ""
    chart = _lines(series, f"Accuracy with {cells} missing", f"{cells} missing, %", "accuracy, %", x_scale=100)
    shared = set.intersection(*({share for share, *_ in points} for points in series.values() if points)) - {0.0}
    summary = ""
    if shared:
        most = max(shared)
        found = [(y, off, r) for r, points in series.items() for share, y, off in points if share == most]
        each = "".join(
            f'<div><dt>{model_label(r)}</dt><dd class="figure">{with_error(100 * y, 100 * off)} %</dd></div>'
            for y, off, r in sorted(found, key=lambda one: -one[0])
        )
        summary = (
            f'<p>With {number(100 * most)} % of the {cells} missing, accuracy is</p><dl class="facts tally">{each}</dl>'
        )
    numbers = _numbers(series, f"{upper(cells)} missing", "Accuracy, %", lambda x: f"{number(100 * x)} %")
    return f'<div class="beside"><figure>{chart}</figure><div>{summary}{_unmeasured(series)}</div></div>{numbers}'


def learning(c: Comparison) -> str:
    """Error rate by the number of training examples, and where one model overtakes another."""
    series = {model: model.curve for model in c.models}
    if not any(series.values()):
        return ""
    noun = f"{c.noun}s"
    found = _notable(stretches({model.name: points for model, points in series.items()}))
    marks = [(one.start, f"≈ {_about(one.start)}") for one in found[1:]]
    chart = _lines(series, "Error rate", f"training {noun} (logarithmic)", "error rate, %", log_x=True, marks=marks)
    summary = f"<p>{_leading(found, {r.name: strong(r) for r in c.models}, esc(noun))}</p>" if found else ""
    summary += f"<p class='quiet'>Evaluated on the same held-out {esc(noun)}; bands are the spread of each point.</p>"
    numbers = _numbers(series, f"Training {noun}", "Error rate, %", lambda x: number(x, 9))
    return f'<div class="beside"><figure>{chart}</figure><div>{summary}{_unmeasured(series)}</div></div>{numbers}'


def _notable(found: list[Stretch]) -> list[Stretch]:
    """The stretches, without short ones whose lead is within the spread."""
    merged: list[Stretch] = []
    for one in found:
        if merged and (one.name == merged[-1].name or (one.ahead < 1 and one.end < 1.25 * one.start)):
            merged[-1] = replace(merged[-1], end=one.end, ahead=max(merged[-1].ahead, one.ahead))
        else:
            merged.append(one)
    return merged


def _leading(found: list[Stretch], names: dict[str, str], noun: str) -> str:
    """A sentence on which model has the lowest error where."""
    close = [one.ahead < 1 for one in found]
    near = [" (within the spread)" if one and not all(close) else "" for one in close]
    end = " Each lead is within the spread." if all(close) and len(close) > 1 else ""
    first, last = names[found[0].name], names[found[-1].name]
    if len(found) == 1:
        by = ", within the spread" if close[0] else ""
        return f"{first} has the lowest error from {_about(found[0].start)} to {_about(found[0].end)} {noun}{by}."
    if len(found) > MOST_STRETCHES:
        crossings = join_names([_about(one.start) for one in found[1:]])
        return f"{first} leads initially and {last} at the end; the lead changes at about {crossings} {noun}.{end}"
    parts = [f"{first} leads up to about <strong>{_about(found[0].end)}</strong> {noun}{near[0]}"]
    for one, less in list(zip(found, near, strict=True))[1:-1]:
        parts.append(f"{names[one.name]} from there to about <strong>{_about(one.end)}</strong>{less}")
    return f"{join_names([*parts, f'{last} beyond{near[-1]}'])}.{end}"


def _lines(
    series: dict[ComparedModel, list[Triple]],
    title: str,
    x_label: str,
    y_label: str,
    *,
    x_scale: float = 1,
    log_x: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """Fractions as lines in percent, with bands; in two sizes, for wide and narrow pages."""
    lines = {r.short: [(x_scale * x, 100 * y) for x, y, _ in points] for r, points in series.items()}
    bands = {
        r.short: [(x_scale * x, 100 * (y - off), 100 * (y + off)) for x, y, off in points if math.isfinite(off)]
        for r, points in series.items()
    }
    values = [y for points in lines.values() for _, y in points]
    edges = values + [y for band in bands.values() for _, *ends in band for y in ends]
    steep = log_x and 0 < 6 * min(values) < max(values)
    low = min(values) if steep else min(0.0, *values) if log_x else max(min(0.0, *values), min(edges))
    high = min(max(100.0, *values), max(edges))
    draw = partial(line_chart, lines, title=title, x_label=x_label, y_label=y_label, y_range=(low, high), log_x=log_x)
    sizes = {"wide": (520, 320), "narrow": (360, 300)}
    charts = {look: draw(log_y=steep, bands=bands, marks=marks, width=w, height=h) for look, (w, h) in sizes.items()}
    return "".join(f'<div class="{look}">{drawing}</div>' for look, drawing in charts.items())


def _numbers(series: dict[ComparedModel, list[Triple]], first: str, unit: str, format_x: Callable[[float], str]) -> str:
    """The values of a chart as a collapsible table."""
    known = {model: {x: (y, off) for x, y, off in points} for model, points in series.items() if points}
    rows = ""
    for x in sorted({x for found in known.values() for x in found}):
        cells = (with_error(100 * at[x][0], 100 * at[x][1]) if x in at else "–" for at in known.values())
        row = "".join(f'<td class="figure">{cell}</td>' for cell in cells)
        rows += f'<tr><th scope="row">{format_x(x)}</th>{row}</tr>'
    heads = [heading(esc(first)), *(heading(model_label(model), "figure") for model in known)]
    values = scrolling(table("behind", heads, rows, unit), first)
    return f"<details><summary>Values</summary>{values}</details>"


def _unmeasured(series: dict[ComparedModel, list[Triple]]) -> str:
    return aside([f"{model_label(model)} was not evaluated." for model, points in series.items() if not points])


def _about(value: float) -> str:
    """A number rounded to two significant digits."""
    return number(float(f"{value:.1e}"))
