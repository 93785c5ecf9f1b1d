"""The sections of a comparison that are charts: calibration, parts missing, learning; and what all sections share.

Each section takes a comparison and gives HTML; one about which no model says anything gives nothing, and is left out.
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

MOST_STRETCHES = 4  # of a chart, told one by one
DIAGONAL = """On the dashed line a model is right exactly as often as it says; below it, it is too sure of itself.
Whiskers are one standard error; the bars below count the examples, on a logarithmic axis."""

# ---- what sections share


def color(rival: ComparedModel) -> int:
    """The number of a model's color in charts."""
    return 1 + rival.index % COLORS


def who(rival: ComparedModel, *, key: bool = True) -> str:
    """A model's name, after a patch of its color."""
    patch = f'<i class="key k{color(rival)}" aria-hidden="true"></i>' if key else ""
    return f'<span class="who">{patch}{esc(rival.name)}</span>'


def strong(rival: ComparedModel) -> str:
    """A model's name in a sentence."""
    return f'<strong title="{esc(rival.name)}">{esc(rival.brief)}</strong>'


def listed(names: Iterable[str]) -> str:
    """Names as a person lists them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    *first, end = names
    return f"{', '.join(first)} and {end}" if first else end


def columns(count: int, most: int = 4) -> int:
    """In how many columns so many things stand, so that the last row is not much shorter.

    Example:
        >>> [columns(count) for count in (1, 2, 3, 4, 5, 6)]
        [2, 2, 3, 4, 3, 3]
    """
    return max(2, -(-count // max(1, -(-count // most))))


def side_by_side(items: Sequence[str], most: int = 4, look: str = "") -> str:
    """HTML in columns of one width, as many as there is room for."""
    return f'<div class="across {look}" style="--n:{columns(len(items), most)}">{"".join(items)}</div>'


def heading(text: str, look: str = "") -> str:
    """The head of a column."""
    return f'<th scope="col" class="{look}">{text}</th>' if look else f'<th scope="col">{text}</th>'


def table(look: str, heads: Iterable[str], rows: str, caption: str = "", style: str = "") -> str:
    """A table of HTML: its class, the heads of its columns, its rows."""
    said, styled = f"<caption>{caption}</caption>" if caption else "", f' style="{style}"' if style else ""
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    return f'<table class="{look}"{styled}>{said}{head}<tbody>{rows}</tbody></table>'


def scrolling(content: str, name: str) -> str:
    """A table that may be wider than the page, reached by keyboard too."""
    return f'<div class="scroll" role="region" aria-label="{esc(name)}" tabindex="0">{content}</div>'


def aside(sentences: Sequence[str]) -> str:
    """Sentences of HTML below everything else, where there are any."""
    return f'<p class="aside">{" ".join(sentences)}</p>' if sentences else ""


# ---- sections


def calibration(c: Comparison) -> str:
    """Reliability diagrams."""
    drawn, without = [], []
    size = (240, 306) if columns(sum(bool(rival.bins) for rival in c.rivals)) == 4 else (300, 366)
    for rival in c.rivals:
        if not rival.bins:
            reason = NO_POSTERIOR if rival.abilities["posterior"] == "no" else "was not measured"
            without.append(f"{who(rival)} {reason}.")
            continue
        off, total = rival.miscalibration, sum(n for *_, n in rival.bins)
        known = f"off by <strong>{number(100 * off, 3)}</strong> points on average, " if math.isfinite(off) else ""
        chart = reliability(rival.bins, title=rival.name, color=color(rival), width=size[0], height=size[1])
        said = f'{known}<span class="quiet">{esc(count_of(total, c.noun))}</span>'
        drawn.append(f'<figure><figcaption class="top">{who(rival)}<br>{said}</figcaption>{chart}</figure>')
    if not drawn:
        return ""
    return f'<p class="quiet">{DIAGONAL}</p>{side_by_side(drawn)}{aside(without)}'


def gaps(c: Comparison) -> str:
    """Accuracy with parts of each example hidden."""
    cells = {"row": "cells", "image": "pixels"}.get(c.noun, "values")
    series = {rival: rival.missing for rival in c.rivals}
    if not any(series.values()):
        return ""
    chart = _lines(series, f"Accuracy with {cells} missing", f"{cells} missing, %", "right, %", x_scale=100)
    shared = set.intersection(*({share for share, *_ in points} for points in series.values() if points)) - {0.0}
    told = ""
    if shared:
        most = max(shared)
        found = [(y, off, r) for r, points in series.items() for share, y, off in points if share == most]
        each = "".join(
            f'<div><dt>{who(r)}</dt><dd class="figure">{with_error(100 * y, 100 * off)} %</dd></div>'
            for y, off, r in sorted(found, key=lambda one: -one[0])
        )
        told = (
            f'<p>With {number(100 * most)} % of the {cells} missing, right are</p><dl class="facts tally">{each}</dl>'
        )
    numbers = _numbers(series, f"{upper(cells)} missing", "Right, %", lambda x: f"{number(100 * x)} %")
    return f'<div class="beside"><figure>{chart}</figure><div>{told}{_unmeasured(series)}</div></div>{numbers}'


def learning(c: Comparison) -> str:
    """Error rates after training on few and on many examples, and where one model overtakes another."""
    series = {rival: rival.curve for rival in c.rivals}
    if not any(series.values()):
        return ""
    noun = f"{c.noun}s"
    found = _notable(stretches({rival.name: points for rival, points in series.items()}))
    marks = [(one.start, f"≈ {_about(one.start)}") for one in found[1:]]
    chart = _lines(series, "Error rate", f"{noun} to learn from (logarithmic)", "wrong, %", log_x=True, marks=marks)
    told = f"<p>{_leading(found, {r.name: strong(r) for r in c.rivals}, esc(noun))}</p>" if found else ""
    told += f"<p class='quiet'>Always the same held-out {esc(noun)}; bands are the spread around each point.</p>"
    numbers = _numbers(series, f"{upper(noun)} to learn from", "Wrong, %", lambda x: number(x, 9))
    return f'<div class="beside"><figure>{chart}</figure><div>{told}{_unmeasured(series)}</div></div>{numbers}'


def _notable(found: list[Stretch]) -> list[Stretch]:
    """The stretches without those that are short and led by less than the spread."""
    kept: list[Stretch] = []
    for one in found:
        if kept and (one.name == kept[-1].name or (one.ahead < 1 and one.end < 1.25 * one.start)):
            kept[-1] = replace(kept[-1], end=one.end, ahead=max(kept[-1].ahead, one.ahead))
        else:
            kept.append(one)
    return kept


def _leading(found: list[Stretch], names: dict[str, str], noun: str) -> str:
    """Who leads where, as a sentence."""
    close = [one.ahead < 1 for one in found]
    near = [" (by less than the spread)" if one and not all(close) else "" for one in close]
    end = " Each lead is smaller than the spread." if all(close) and len(close) > 1 else ""
    first, last = names[found[0].name], names[found[-1].name]
    if len(found) == 1:
        by = ", by less than the spread" if close[0] else ""
        return f"{first} has the lowest error from {_about(found[0].start)} to {_about(found[0].end)} {noun}{by}."
    if len(found) > MOST_STRETCHES:
        places = listed([_about(one.start) for one in found[1:]])
        return f"{first} leads at first and {last} at last; the lead changes at about {places} {noun}.{end}"
    ways = [f"{first} leads up to about <strong>{_about(found[0].end)}</strong> {noun}{near[0]}"]
    for one, less in list(zip(found, near, strict=True))[1:-1]:
        ways.append(f"{names[one.name]} from there to about <strong>{_about(one.end)}</strong>{less}")
    return f"{listed([*ways, f'{last} beyond{near[-1]}'])}.{end}"


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
    """Shares as lines in percent, with a band around each; drawn twice, for wide and for narrow pages."""
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
    drawn = {look: draw(log_y=steep, bands=bands, marks=marks, width=w, height=h) for look, (w, h) in sizes.items()}
    return "".join(f'<div class="{look}">{drawing}</div>' for look, drawing in drawn.items())


def _numbers(series: dict[ComparedModel, list[Triple]], first: str, unit: str, named: Callable[[float], str]) -> str:
    """The numbers behind a chart, as a table that opens."""
    known = {rival: {x: (y, off) for x, y, off in points} for rival, points in series.items() if points}
    rows = ""
    for x in sorted({x for found in known.values() for x in found}):
        cells = (with_error(100 * at[x][0], 100 * at[x][1]) if x in at else "–" for at in known.values())
        told = "".join(f'<td class="figure">{cell}</td>' for cell in cells)
        rows += f'<tr><th scope="row">{named(x)}</th>{told}</tr>'
    heads = [heading(esc(first)), *(heading(who(rival), "figure") for rival in known)]
    shown = scrolling(table("behind", heads, rows, unit), first)
    return f"<details><summary>The numbers</summary>{shown}</details>"


def _unmeasured(series: dict[ComparedModel, list[Triple]]) -> str:
    return aside([f"{who(rival)} was not measured." for rival, points in series.items() if not points])


def _about(value: float) -> str:
    """A number as one says it when it is not known better than by a tenth."""
    return number(float(f"{value:.1e}"))
