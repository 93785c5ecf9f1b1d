"""Charts as inline SVG: pure functions from numbers to a string, without scripts or external resources.

The palette is that of Okabe and Ito (*Color Universal Design*, 2008), which is distinguishable with any common type of
color vision; beyond its colors, marker shapes or dashes vary. Colors are custom properties of `STYLE`, so that a chart
works on light and dark pages: black replaces yellow on light pages, and the two blues are swapped on dark ones. Values
that cannot be plotted are counted below the chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from seisei.report.svg import (
    Box,
    Point,
    at,
    clip,
    count_of,
    drawable,
    empty_chart,
    esc,
    log_ticks,
    nice_ticks,
    number,
    span,
    svg,
    text_at,
    text_width,
)

STYLE = """
:root{--c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#cc79a7;--c5:#e69f00;--c6:#56b4e9;--c7:#000;--c0:#7d848c}
@media (prefers-color-scheme:dark){:root{--c1:#56b4e9;--c6:#0072b2;--c7:#f0e442}}
.chart{display:block;width:100%;height:auto;overflow:visible;font-size:11.5px;font-variant-numeric:tabular-nums}
.chart text{fill:var(--muted,#5d636b);font-family:inherit}
.chart .title{fill:var(--ink,#1c1e21);font-size:13px;font-weight:600}
.chart .name{fill:var(--ink,#1c1e21)}
.chart .end{text-anchor:end}.chart .middle{text-anchor:middle}
.chart .grid{stroke:var(--line,#e3e1dc);stroke-width:1;fill:none}
.chart .axis{stroke:var(--muted,#5d636b);stroke-width:1;fill:none;opacity:.6}
.chart .curve{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
.chart .dash{stroke-dasharray:5 4}
.chart .band{fill-opacity:.14;stroke:none}
.chart .mark{stroke:var(--muted,#5d636b);stroke-width:1;stroke-dasharray:2 3;fill:none}
.chart .cloud{fill-opacity:.8;stroke:none}
.chart .center{fill:var(--ink,#1c1e21);font-size:13px;font-weight:700;text-anchor:middle;
paint-order:stroke;stroke:var(--page,#fff);stroke-width:3.5px;stroke-linejoin:round}
""" + "".join(f".chart .s{i}{{stroke:var(--c{i})}}.chart .f{i}{{fill:var(--c{i})}}" for i in range(8))

COLORS = 7
CLASS_COLORS = [
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (240, 228, 66)),
    *((84, 39, 136), (140, 59, 31), (34, 34, 34)),
]
SHAPES = (
    "m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0z",  # disc
    "m-2.9 2.2h5.8l-2.9-5.2z",  # triangle
    "m-2.3-2.3h4.6v4.6h-4.6z",  # square
    "m0-3.4l3.1 3.4l-3.1 3.4l-3.1-3.4z",  # diamond
)
SHAPE_NAMES = ("discs", "triangles", "squares", "diamonds")
MOST_POINTS = 3000


def line_chart(
    series: dict[str, list[Point]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    y_range: Point | None = None,
    log_x: bool = False,
    bands: dict[str, list[tuple[float, float, float]]] | None = None,
    marks: Sequence[tuple[float, str]] = (),
    width: int = 380,
    height: int = 250,
) -> str:
    """A line chart whose legend shows each curve's last value.

    Arguments:
        series: name to points (x, y) in order of x. A non-finite point, or a non-positive one on a logarithmic axis,
            breaks the curve and is counted below the chart.
        title: text above the chart.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis, with its unit.
        log_y: whether the vertical axis is logarithmic.
        y_range: range of the vertical axis, by default of all values; a note below the chart gives values beyond it.
        log_x: whether the horizontal axis is logarithmic.
        bands: name to the band around its curve, (x, low, high) per point; clipped to the vertical axis.
        marks: positions on the horizontal axis, and their labels.
        width: width of the drawing in SVG units.
        height: height of the drawing in SVG units.

    Example:
        >>> line_chart({"loss": [(0, 2.0), (1, 1.0)]}, title="Loss", x_label="step", y_label="nats").startswith("<svg")
        True
    """

    def fits(point: Point) -> bool:
        return drawable(*point) and (point[1] > 0 or not log_y) and (point[0] > 0 or not log_x)

    plotted = {name: [p for p in points if fits(p)] for name, points in series.items()}
    everything = [p for points in plotted.values() for p in points]
    invalid = sum(map(len, series.values())) - len(everything)
    why = "not finite" + (" or not positive" if log_x or log_y else "")
    notes = [f"{count_of(invalid, 'point')} {why}: not plotted"] if invalid else []
    if not everything:
        return empty_chart(title, "; ".join(notes) or "no values to plot", width, height)
    left, right = span(x for x, _ in everything)
    lowest, highest = span(y for _, y in everything)
    low, high = y_range or (lowest, highest)
    ticks = log_ticks(low, high) if log_y else nice_ticks(low, high)
    beyond = [number(y) for y, out in ((lowest, lowest < ticks[0]), (highest, highest > ticks[-1])) if out]
    notes += [f"values beyond the axis, to {' and '.join(beyond)}"] if beyond else []
    endings = [(name, f"{name} {number(points[-1][1])}") for name, points in plotted.items() if points]
    key, top = _legend([(label, _line_swatch(list(series).index(name))) for name, label in endings], width)
    box = Box(ticks, width, height - (14 if notes else 0), top, x=(left, right), log_y=log_y, log_x=log_x)
    curves = []
    previous, row = -math.inf, 0
    for position, text in marks:
        x = box.across(position)
        previous, row = x, row + 1 if x - previous < text_width(text) + 8 else 0
        room = text_width(text) + 4 < box.right - x
        curves.append(f'<path class="mark" d="M{at(x)} {at(box.top)}V{at(box.foot)}"/>')
        curves.append(text_at(text, x + (4 if room else -4), box.top + 11 + 13 * row, "name" if room else "name end"))
    for index, (name, points) in enumerate(series.items()):
        edges = [edge for edge in (bands or {}).get(name, ()) if fits((edge[0], 1.0)) and drawable(*edge)]
        rim = [*((x, high) for x, _, high in edges), *((x, low) for x, low, _ in reversed(edges))]
        path = "L".join(f"{at(box.across(x))} {at(box.up(min(max(y, ticks[0]), ticks[-1])))}" for x, y in rim)
        curves.append(f'<path class="band f{1 + index % COLORS}" d="M{path}z"/>' if path else "")
        dots = ""
        for piece in _pieces(points, fits):
            path = "L".join(f"{at(box.across(x))} {at(box.up(y))}" for x, y in _downsample(piece))
            curves.append(f'<path class="curve {_stroke(index)}" d="M{path}"><title>{esc(name)}</title></path>')
            if len(piece) == 1 or len(points) <= 30:
                dots += "".join(f"M{at(box.across(x))} {at(box.up(y))}{SHAPES[0]}" for x, y in piece)
        curves.append(f'<path class="f{1 + index % COLORS}" d="{dots}"/>' if dots else "")
    inside = box.clipped("".join(curves)) if beyond else "".join(curves)
    body = [box.axes(x_label, y_label), key, inside, text_at("; ".join(notes), 0, height - 3) if notes else ""]
    spans = "; ".join(
        f"{name} from {number(plotted[name][0][1])} to {number(plotted[name][-1][1])}" for name, _ in endings
    )
    scale = ", logarithmic" if log_y else ""
    about = f"{y_label}{scale} over {x_label} {number(left)} to {number(right)}: {spans}."
    return svg(title, " ".join([about, *(f"{note}." for note in notes)]), width, height, body)


def bar_chart(
    values: Sequence[float],
    *,
    title: str,
    x_label: str,
    y_label: str,
    labels: Sequence[str] | None = None,
    width: int = 640,
    height: int = 240,
) -> str:
    """A bar chart from zero; labels (by default 0, 1, 2, …) are thinned out if they do not fit.

    Example:
        >>> bar_chart([1.0, 0.5], title="KL", x_label="dimension", y_label="nats").count("<rect")
        2
    """
    names = [str(i) for i in range(len(values))] if labels is None else list(labels)
    bars = [(i, v) for i, v in enumerate(values) if drawable(v)]
    invalid = len(values) - len(bars)
    note = f"{count_of(invalid, 'value')} not finite: not plotted"
    if not bars:
        return empty_chart(title, note if invalid else "no values to plot", width, height)
    low, high = span(v for _, v in bars)
    box = Box(nice_ticks(min(low, 0.0), max(high, 0.0)), width, height - (14 if invalid else 0), 24, x=(0, len(values)))
    body = [box.axes(x_label, y_label, ticks=False)]
    pitch = (box.right - box.left) / len(values)
    room = max(1, math.ceil(max(map(text_width, names)) * 1.15 / pitch))
    for i, value in bars:
        top, foot = sorted((box.up(value), box.up(0.0)))
        body.append(
            f'<rect class="f1" x="{at(box.across(i) + 0.12 * pitch)}" y="{at(top)}" width="{at(0.76 * pitch)}" '
            f'height="{at(max(foot - top, 0.8))}" rx="1.5">'
            f"<title>{esc(x_label)} {esc(names[i])}: {number(value)} {esc(y_label)}</title></rect>"
        )
    for i in range(0, len(values), room):
        body.append(text_at(names[i], box.across(i + 0.5), box.foot + 15, "middle"))
    body.append(text_at(note, 0, height - 3) if invalid else "")
    most = max(bars, key=lambda bar: bar[1])
    about = (
        f"{count_of(len(bars), 'bar')}, {y_label}: from {number(low)} to {number(high)}, largest at {names[most[0]]}."
    )
    return svg(title, about + (f" {note}." if invalid else ""), width, height, body)


def scatter(
    points: Sequence[Point],
    labels: Sequence[str] | None = None,
    *,
    title: str,
    x_label: str,
    y_label: str,
    width: int = 460,
    height: int = 440,
) -> str:
    """A scatter plot, colored and shaped by label; up to a dozen labels are also written at their medians.

    Example:
        >>> scatter([(0, 0), (1, 1)], ["a", "b"], title="Map", x_label="first", y_label="second").count('class="cloud')
        2
    """
    names = list(labels) if labels is not None else [""] * len(points)
    assert len(names) == len(points), "one label per point"
    pairs = [(p, n) for p, n in zip(points, names, strict=True) if drawable(*p)]
    invalid, whole = len(points) - len(pairs), len(pairs)
    pairs = pairs[:: math.ceil(whole / MOST_POINTS)] if whole > MOST_POINTS else pairs
    notes = [f"{count_of(invalid, 'point')} not finite: not plotted"] if invalid else []
    notes += [f"{len(pairs):,} of {whole:,} points plotted"] if len(pairs) < whole else []
    if not pairs:
        return empty_chart(title, "; ".join(notes) or "no points to plot", width, height)
    counts: dict[str, int] = {}
    for _, name in pairs:
        counts[name] = counts.get(name, 0) + 1
    frequent = sorted(sorted(counts, key=_natural), key=lambda name: -counts[name])[: COLORS * len(SHAPES)]
    frequent.sort(key=_natural)
    others = [name for name in counts if name not in frequent]
    groups = [(name, *_look(i), [p for p, n in pairs if n == name]) for i, name in enumerate(frequent)]
    if others:  # gray discs below all others
        rest = set(others)
        groups.insert(0, (f"{len(others)} other labels", 0, SHAPES[0], [p for p, n in pairs if n in rest]))
    swatches = [(name, _mark(color, shape)) for name, color, shape, _ in groups] if labels is not None else []
    key, top = _legend(swatches, width)
    height = max(height, math.ceil(top) + 380)
    across, up = _padded(x for (x, _), _ in pairs), _padded(y for (_, y), _ in pairs)
    ticks = [tick for tick in nice_ticks(*up) if up[0] <= tick <= up[1]]
    box = Box(ticks, width, height - (14 if notes else 0), top, x=across, y=up)
    body = [box.axes(x_label, y_label), key]
    for name, color, shape, members in groups:
        path = "".join(f"M{at(box.across(x))} {at(box.up(y))}{shape}" for x, y in members)
        body.append(f'<path class="cloud f{color}" d="{path}"><title>{esc(name)}</title></path>')
    for name, _, _, members in groups if labels is not None and len(groups) <= 12 else []:
        middle = (_median(x for x, _ in members), _median(y for _, y in members))
        body.append(text_at(clip(name, 14), box.across(middle[0]), box.up(middle[1]) + 4, "center"))
    body.append(text_at("; ".join(notes), 0, height - 3) if notes else "")
    about = f"{count_of(len(pairs), 'point')}, {x_label} against {y_label}"
    about += f", {count_of(len(counts), 'label')}." if labels is not None else "."
    return svg(title, " ".join([about, *(f"{n}." for n in notes)]), width, height, body)


def class_colors(n: int) -> list[tuple[int, int, int]]:
    """A color for each of n classes, in sRGB from 0 to 255; more classes leave the first colors unchanged.

    The first ten, the palette of Okabe and Ito and three darker colors, are distinguishable with any common type of
    color vision. Each further color is the one farthest from all previous ones in Oklab (*A perceptual color space for
    image processing*, Ottosson, 2020). Colors repeat after two hundred.

    Example:
        >>> class_colors(2)
        [(0, 114, 178), (213, 94, 0)]
        >>> len(set(class_colors(200)))
        200
    """
    colors = _palette() if n > len(CLASS_COLORS) else CLASS_COLORS
    return [colors[i % len(colors)] for i in range(n)]


@cache
def _palette(count: int = 200) -> list[tuple[int, int, int]]:
    colors = list(CLASS_COLORS)
    steps = range(0, 256, 25)
    lab = {(r, g, b): _oklab(r, g, b) for r in steps for g in steps for b in steps}
    candidates = {c: p for c, p in lab.items() if 0.36 < p[0] < 0.9 and math.hypot(*p[1:]) < 0.17}
    distances = {c: min(math.dist(p, _oklab(*known)) for known in colors) for c, p in candidates.items()}
    while len(colors) < count:
        colors.append(max(distances, key=lambda c: distances[c]))
        last = lab[colors[-1]]
        distances = {c: min(old, math.dist(lab[c], last)) for c, old in distances.items()}
    return colors


def _oklab(*color: int) -> tuple[float, float, float]:
    """Oklab coordinates of an sRGB color."""
    r, g, b = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float]:
    """The legend below the title, and the vertical position of its end."""
    parts, x, y = [], 0.0, 33.0
    for label, swatch in entries:
        text = clip(label, 34)
        wide = 20 + text_width(text) + 14
        if x and x + wide - 14 > width:
            x, y = 0.0, y + 17
        parts.append(f'<g transform="translate({at(x)} {at(y)})">{swatch}{text_at(text, 20, 0, "name")}</g>')
        x += wide
    return "".join(parts), (y + 4 if entries else 24)


def _line_swatch(index: int) -> str:
    return f'<path class="curve {_stroke(index)}" d="M0-4h14"/>'


def _mark(color: int, shape: str) -> str:
    return f'<path class="f{color}" transform="translate(9 -4) scale(1.25)" d="M0 0{shape}"/>'


def _stroke(index: int) -> str:
    return f"s{1 + index % COLORS}" + (" dash" if index >= COLORS else "")


def _look(index: int) -> tuple[int, str]:
    return 1 + index % COLORS, SHAPES[index // COLORS]


def _pieces(points: Sequence[Point], fits: Callable[[Point], bool]) -> list[list[Point]]:
    """Maximal runs of points that can be plotted."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if fits(point):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _downsample(points: list[Point], limit: int = 500) -> list[Point]:
    """At most about `limit` points: both ends, and the lowest and highest of each stretch, to preserve spikes."""
    if len(points) <= limit:
        return points
    stretch = math.ceil(2 * len(points) / limit)
    selected = [points[0]]
    for start in range(1, len(points) - 1, stretch):
        part = points[start : min(start + stretch, len(points) - 1)]
        selected += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*selected, points[-1]]


def _padded(values: Iterable[float]) -> Point:
    """The range of values with a margin."""
    low, high = span(values)
    room = 0.04 * (high - low) or max(0.5, abs(low) / 2)
    return low - room, high + room


def _median(values: Iterable[float]) -> float:
    known = sorted(values)
    return known[len(known) // 2]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key for natural order: "dog 2" before "dog 10"."""
    return [(int(part), "") if part.isdecimal() else (2**62, part) for part in re.split(r"(\d{1,18})", name) if part]
