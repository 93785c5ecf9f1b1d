"""The sections of a comparison that are images and tables: surfaces between classes, samples, confusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seisei.metrics.significance import confused
from seisei.report.charts import class_colors
from seisei.report.comparison_charts import aside, columns, heading, scrolling, side_by_side, table, who
from seisei.report.comparison_models import NO_POSTERIOR, ComparedModel, Comparison
from seisei.report.diagrams import framed, shades
from seisei.report.html import embedded, image, missing, upper
from seisei.report.run_log import as_dict, as_dicts, as_float, as_list
from seisei.report.svg import breadth, clip, count_of, esc, number

LEGEND = """Rows are the true classes, columns what they were called. Blue is right, orange is wrong; the stronger, the
larger the share of its row."""
MOST_CLASSES, MOST_NAMES, MOST_DENSITIES, MOST_ROWS, MOST_PAIRS = 20, 24, 10, 12, 8  # shown in full


def surfaces(c: Comparison) -> str:
    """Where each model decides for which class, how sure it is, and where it expects each class."""
    shown = [(rival, as_dict(rival.facts.get("surface"))) for rival in c.rivals]
    known = [(rival, s) for rival, s in shown if s]
    if not known:
        return ""
    wide = 250 if columns(len(known)) == 4 else 330
    decided = [_pane(c, r, s, s.get("decision"), f"Where {r.name} decides for which class", wide) for r, s in known]
    parts = [_classes(c.classes()), f"<h3>The separating surface</h3>{side_by_side(decided)}"]
    if any(s.get("posterior") for _, s in known):
        sure = []
        for rival, s in known:
            if s.get("posterior"):
                sure.append(_pane(c, rival, s, s["posterior"], f"How sure {rival.name} is of each class", wide))
            else:
                why = NO_POSTERIOR if rival.abilities["posterior"] == "no" else "has no such image"
                sure.append(f'<p class="missing pane">{who(rival, key=False)} {why}.</p>')
        parts.append(f"<h3>How sure it is: p(y | x)</h3>{side_by_side(sure)}")
    for rival, s in known:
        panes = []
        for density in as_dicts(s.get("densities")):
            label = str(density.get("label", ""))
            about = f"Where {rival.name} expects {label}"
            panes.append(_pane(c, rival, s, density.get("image"), about, 220, _chip(c.classes(), label)))
        if panes:
            few, rest = (side_by_side(some, 5, "small") for some in (panes[:MOST_DENSITIES], panes[MOST_DENSITIES:]))
            more = len(panes) - MOST_DENSITIES
            few += f"<details><summary>{more} more</summary>{rest}</details>" if more > 0 else ""
            of = f'<span class="of">{who(rival, key=False)}</span>'
            parts.append(f"<h3>What it expects of each class: p(x | y) {of}</h3>{few}")
    notes = dict.fromkeys(upper(str(s["points"]).rstrip(".")) for _, s in known if s.get("points"))
    lacking = [f"{who(r, key=False)} has no image of its surface." for r, s in shown if not s]
    return "".join(parts) + aside([*(f"{esc(note)}." for note in notes), *lacking])


def samples(c: Comparison) -> str:
    """What the generative models draw."""
    drawn, tables, without = [], [], []
    for rival in c.rivals:
        told = as_dict(rival.facts.get("samples"))
        rows, name = as_dicts(told.get("rows")), told.get("image")
        if rows:
            some = f", the first {MOST_ROWS} of {len(rows):,}" if len(rows) > MOST_ROWS else ""
            caption = f'{who(rival)}<span class="quiet">, rows that it drew{some}</span>'
            tables.append(rows_drawn(rows, caption, f"Rows drawn by {rival.name}"))
        elif name:
            path = _inside(c.folder, name)
            shown = image(path, f"Examples drawn by {rival.name}", target=400) if path else ""
            drawn.append(f'<div><p class="top">{who(rival)}</p>{shown or missing("The image is not there.")}</div>')
        else:
            able = rival.abilities["samples"] == "yes"
            without.append(f"{who(rival)} {'drew nothing' if able else f'cannot draw {esc(c.noun)}s'}.")
    if not drawn and not tables:
        return ""
    return (side_by_side(drawn, 3) if drawn else "") + "".join(tables) + aside(without)


def confusion(c: Comparison) -> str:
    """Which classes are taken for which."""
    known = [rival for rival in c.rivals if rival.confusion]
    if not known:
        return ""
    count = max(len(rival.confusion) for rival in known)
    names, few = c.classes(count), count <= MOST_CLASSES
    shown = "".join(
        matrix(rival.confusion, names, c.noun, rival.name, who(rival))
        if few
        else f"<h3>{who(rival)}</h3>{largest(rival.confusion, names, c.noun, rival.name)}"
        for rival in known
    )
    without = [f"{who(rival)} has no such table." for rival in c.rivals if not rival.confusion]
    return f'<p class="quiet">{LEGEND}</p><div class="{"matrices" if few else "large"}">{shown}</div>{aside(without)}'


def matrix(counts: list[list[int]], names: list[str], noun: str, name: str, caption: str = "") -> str:
    """How often each class (row) was called each (column), as a table with colored cells.

    Arguments:
        counts: (C, C).
        names: of the classes.
        noun: what one example is called.
        name: of the model.
        caption: HTML above the table.
    """
    names = names[: len(counts)]
    cell = 60 if len(names) <= 5 else 38
    turned = "turned" if max(map(breadth, names)) > cell else ""
    cut = [f'<span title="{esc(name)}">{esc(_middle(name, 16))}</span>' for name in names]
    rows = ""
    for i, row in enumerate(counts):
        total, cells = sum(row), ""
        for j, n in enumerate(row):
            depth = round(12 + 48 * math.sqrt(n / total)) if n else 0
            look = f'class="{"hit" if i == j else "slip"}" style="--d:{depth}%"' if n else 'class="none"'
            cells += f"<td {look}>{n:,}</td>"
        recall = f"{100 * row[i] / total:.0f} %" if total else "–"
        rows += f'<tr><th scope="row">{cut[i]}</th>{cells}<td class="recall">{recall}</td></tr>'
    heads = ["<td>true</td>", *(heading(name, turned) for name in cut), heading("right", "recall")]
    shown = table("heat", heads, rows, caption, f"--cell:{cell}px")
    return scrolling(shown, f"{upper(noun)}s of each class by what {name} calls them")


def largest(counts: list[list[int]], names: list[str], noun: str, name: str) -> str:
    """How often each of many classes was called each, as a drawing, and the largest confusions as a table."""
    pairs = confused(counts)
    rows = "".join(
        f'<tr><th scope="row">{esc(names[i])}</th><td>{esc(names[j])}</td><td class="figure">{n:,}</td>'
        f'<td class="figure">{100 * share:.0f} %</td></tr>'
        for i, j, n, share in pairs[:MOST_PAIRS]
    )
    caption = f"{count_of(sum(n for *_, n, _ in pairs), noun)} taken for another class in {count_of(len(pairs), 'way')}"
    caption += f", the {MOST_PAIRS} most frequent" if len(pairs) > MOST_PAIRS else ""
    heads = [heading("True"), heading("Called"), heading("Times", "figure"), heading("Of the class", "figure")]
    told = "<p>Nothing was taken for anything else.</p>"
    if rows:
        told = scrolling(table("pairs", heads, rows, esc(caption)), f"What {name} takes for something else")
    drawing = shades(counts, title=f"How {name} calls each class")
    return f'<div class="beside even"><figure>{drawing}</figure><div>{told}</div></div>'


def _pane(
    c: Comparison, rival: ComparedModel, surface: dict[str, Any], name: object, alt: str, width: int, caption: str = ""
) -> str:
    """An image of the plane between its axes; the caption is HTML, by default the model's name."""
    path, caption = _inside(c.folder, name), caption or who(rival, key=False)
    try:
        if path is None:
            raise FileNotFoundError
        link, *size = embedded(path)
    except (OSError, ValueError) as error:
        said = esc(error) if isinstance(error, ValueError) else "the image is not there."
        return f'<p class="missing pane">{caption}: {said}</p>'
    axes = [str(axis) for axis in as_list(surface.get("axes"))[:2]]
    ends = [as_float(end) for end in as_list(surface.get("extent"))]
    good = len(ends) == 4 and all(abs(e) < 1e100 for e in ends) and ends[0] < ends[1] and ends[2] < ends[3]
    drawing = framed(
        link,
        (size[0], size[1]),
        title=alt,
        axes=(axes[0], axes[1]) if len(axes) == 2 else ("first axis", "second axis"),
        extent=(ends[0], ends[1], ends[2], ends[3]) if good else None,
        crisp=size[0] < 120,
        width=width,
    )
    return f'<figure><figcaption class="top">{caption}</figcaption>{drawing}</figure>'


def _classes(names: list[str]) -> str:
    """A legend of class colors."""
    chips = [f"<li>{_chip(names, name, i)}</li>" for i, name in enumerate(names)]
    few, rest = "".join(chips[:MOST_NAMES]), "".join(chips[MOST_NAMES:])
    more = f"<summary>{len(names) - MOST_NAMES} more classes</summary>"
    more = f'<details>{more}<ul class="legend">{rest}</ul></details>' if rest else ""
    return f'<ul class="legend" aria-label="Colors of the classes">{few}</ul>{more}' if few else ""


def _chip(names: list[str], name: str, index: int | None = None) -> str:
    """A class's name after its color."""
    place = index if index is not None else names.index(name) if name in names else None
    if place is None:
        return esc(name)
    red, green, blue = class_colors(len(names))[place]
    return f'<i class="key" style="--k:rgb({red} {green} {blue})" aria-hidden="true"></i>{esc(name)}'


def rows_drawn(rows: Sequence[dict[str, Any]], caption: str, name: str) -> str:
    """Rows that a model drew, as a table; what is called so for those who cannot see it."""
    few = rows[:MOST_ROWS]
    names = list(dict.fromkeys(name for row in few for name in row))
    figures = [all(isinstance(row.get(name), (int, float, type(None))) for row in few) for name in names]
    looks = ["figure" if figure else "" for figure in figures]
    body = ""
    places = [_decimals([row.get(name) for row in few]) for name in names]
    for row in few:
        cells = (
            f'<td class="{look}">{_cell(row.get(name), place)}</td>'
            for name, look, place in zip(names, looks, places, strict=True)
        )
        body += f"<tr>{''.join(cells)}</tr>"
    heads = (heading(esc(name), look) for name, look in zip(names, looks, strict=True))
    return scrolling(table("drawn", heads, body, caption), name)


def _decimals(values: Sequence[object]) -> int | None:
    """The decimals with which numbers of a column stand below each other; None where they are not alike."""
    shown = [repr(value) for value in values if isinstance(value, float) and 1e-4 < abs(value) < 1e6 or value == 0.0]
    most = max((len(text.partition(".")[2]) for text in shown), default=9)
    return most if most <= 6 and len(shown) == sum(isinstance(value, float) for value in values) else None


def _cell(value: object, decimals: int | None = None) -> str:
    if value is None or value == "":
        return '<span class="quiet">missing</span>'
    if isinstance(value, float) and decimals is not None:
        return f"{value:.{decimals}f}".replace("-", "−")
    if isinstance(value, float) and math.isfinite(as_float(value)):
        return number(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
        return str(value).replace("-", "−")  # without commas: it may be a year
    return esc(clip(str(value), 60))


def _middle(text: str, most: int) -> str:
    """The text, cut in its middle to so many letters."""
    half = most // 2
    return text if len(text) <= most else f"{text[: most - half]}…{text[-half + 1 :]}"


def _inside(folder: Path, name: object) -> Path | None:
    """A file in the folder; a path that leads out of it is none."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError, ValueError):
        return None
