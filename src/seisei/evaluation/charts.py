"""Charts as inline SVG: pure functions from numbers to a string, nothing drawn by a script, nothing fetched.

Colours are those of Okabe and Ito (*Color Universal Design*, 2008), which people with any common colour vision tell
apart; where there are more labels than colours, shapes (or dashes) take over. They are custom properties of `STYLE`, so
that one drawing serves light and dark pages: their black stands for their yellow on a light page, and their two blues
change places on a dark one. A value that cannot be drawn is never dropped in silence: the chart counts it.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from seisei.errors import printable

Point = tuple[float, float]

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
.chart .cloud{fill-opacity:.8;stroke:none}
.chart .centre{fill:var(--ink,#1c1e21);font-size:13px;font-weight:700;text-anchor:middle;
paint-order:stroke;stroke:var(--page,#fff);stroke-width:3.5px;stroke-linejoin:round}
""" + "".join(f".chart .s{i}{{stroke:var(--c{i})}}.chart .f{i}{{fill:var(--c{i})}}" for i in range(8))

COLOURS = 7
SHAPES = (
    "m-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0z",  # disc
    "m-2.9 2.2h5.8l-2.9-5.2z",  # triangle
    "m-2.3-2.3h4.6v4.6h-4.6z",  # square
    "m0-3.4l3.1 3.4l-3.1 3.4l-3.1-3.4z",  # diamond
)
SHAPE_NAMES = ("discs", "triangles", "squares", "diamonds")
MOST_POINTS = 3000
FAR = 1e150  # beyond this the arithmetic of an axis overflows


def line_chart(
    series: dict[str, list[Point]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    y_range: Point | None = None,
    width: int = 380,
    height: int = 250,
) -> str:
    """Curves over one horizontal axis, with a legend that ends in each curve's last value.

    Arguments:
        series: name to points (x, y) in order of x. A point that is not finite, or not positive on a logarithmic axis,
            breaks the curve and is counted below the chart.
        title: said above the chart.
        x_label: what the horizontal axis counts.
        y_label: what the vertical axis measures, with its unit.
        log_y: a logarithmic vertical axis.
        y_range: what the vertical axis shows, by default everything; values beyond it leave the chart, which says so.
        width: of the drawing, in its own units.
        height: of the drawing, in its own units.

    Example:
        >>> line_chart({"loss": [(0, 2.0), (1, 1.0)]}, title="Loss", x_label="step", y_label="nats").startswith("<svg")
        True
    """

    def fits(point: Point) -> bool:
        return _drawable(*point) and (point[1] > 0 or not log_y)

    drawn = {name: [p for p in points if fits(p)] for name, points in series.items()}
    everything = [p for points in drawn.values() for p in points]
    lost = sum(map(len, series.values())) - len(everything)
    notes = [f"{_count(lost, 'point')} not finite{' or not positive' if log_y else ''}: not drawn"] if lost else []
    if not everything:
        return _empty(title, "; ".join(notes) or "no values to draw", width, height)
    left, right = _range(x for x, _ in everything)
    lowest, highest = _range(y for _, y in everything)
    low, high = y_range or (lowest, highest)
    ticks = log_ticks(low, high) if log_y else nice_ticks(low, high)
    beyond = [number(y) for y, out in ((lowest, lowest < ticks[0]), (highest, highest > ticks[-1])) if out]
    notes += [f"beyond the axis: values to {' and to '.join(beyond)}"] if beyond else []
    endings = [(name, f"{name} {number(points[-1][1])}") for name, points in drawn.items() if points]
    key, top = _legend([(label, _line_swatch(list(series).index(name))) for name, label in endings], width)
    box = _Box(ticks, width, height - (14 if notes else 0), top, x=(left, right), log_y=log_y)
    curves = []
    for index, (name, points) in enumerate(series.items()):
        dots = ""
        for piece in _pieces(points, fits):
            path = "L".join(f"{_at(box.across(x))} {_at(box.up(y))}" for x, y in _thin(piece))
            curves.append(f'<path class="curve {_stroke(index)}" d="M{path}"><title>{_text(name)}</title></path>')
            if len(piece) == 1 or len(points) <= 30:
                dots += "".join(f"M{_at(box.across(x))} {_at(box.up(y))}{SHAPES[0]}" for x, y in piece)
        curves.append(f'<path class="f{1 + index % COLOURS}" d="{dots}"/>' if dots else "")
    inside = box.window("".join(curves)) if beyond else "".join(curves)
    body = [box.axes(x_label, y_label), key, inside, _label("; ".join(notes), 0, height - 3) if notes else ""]
    spans = "; ".join(f"{name} from {number(drawn[name][0][1])} to {number(drawn[name][-1][1])}" for name, _ in endings)
    scale = ", logarithmic" if log_y else ""
    about = f"{y_label}{scale} over {x_label} {number(left)} to {number(right)}: {spans}."
    return _svg(title, " ".join([about, *(f"{note}." for note in notes)]), width, height, body)


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
    """One bar a value, from zero; labels (by default 0, 1, 2, …) stand below while there is room for them.

    Example:
        >>> bar_chart([1.0, 0.5], title="KL", x_label="dimension", y_label="nats").count("<rect")
        2
    """
    names = [str(i) for i in range(len(values))] if labels is None else list(labels)
    bars = [(i, v) for i, v in enumerate(values) if _drawable(v)]
    lost = len(values) - len(bars)
    note = f"{_count(lost, 'value')} not finite: not drawn"
    if not bars:
        return _empty(title, note if lost else "no values to draw", width, height)
    low, high = _range(v for _, v in bars)
    box = _Box(nice_ticks(min(low, 0.0), max(high, 0.0)), width, height - (14 if lost else 0), 24, x=(0, len(values)))
    body = [box.axes(x_label, y_label, ticks=False)]
    pitch = (box.right - box.left) / len(values)
    room = max(1, math.ceil(max(map(_wide, names)) * 1.15 / pitch))
    for i, value in bars:
        top, foot = sorted((box.up(value), box.up(0.0)))
        body.append(
            f'<rect class="f1" x="{_at(box.across(i) + 0.12 * pitch)}" y="{_at(top)}" width="{_at(0.76 * pitch)}" '
            f'height="{_at(max(foot - top, 0.8))}" rx="1.5">'
            f"<title>{_text(x_label)} {_text(names[i])}: {number(value)} {_text(y_label)}</title></rect>"
        )
    for i in range(0, len(values), room):
        body.append(_label(names[i], box.across(i + 0.5), box.foot + 15, "middle"))
    body.append(_label(note, 0, height - 3) if lost else "")
    most = max(bars, key=lambda bar: bar[1])
    about = f"{_count(len(bars), 'bar')}, {y_label}: from {number(low)} to {number(high)}, most at {names[most[0]]}."
    return _svg(title, about + (f" {note}." if lost else ""), width, height, body)


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
    """A cloud of points, coloured and shaped by label; up to a dozen labels also stand amid their own points.

    Example:
        >>> scatter([(0, 0), (1, 1)], ["a", "b"], title="Map", x_label="first", y_label="second").count('class="cloud')
        2
    """
    names = list(labels) if labels is not None else [""] * len(points)
    assert len(names) == len(points), "a label for every point"
    pairs = [(p, n) for p, n in zip(points, names, strict=True) if _drawable(*p)]
    lost, whole = len(points) - len(pairs), len(pairs)
    pairs = pairs[:: math.ceil(whole / MOST_POINTS)] if whole > MOST_POINTS else pairs
    notes = [f"{_count(lost, 'point')} not finite: not drawn"] if lost else []
    notes += [f"{len(pairs):,} of {whole:,} points drawn"] if len(pairs) < whole else []
    if not pairs:
        return _empty(title, "; ".join(notes) or "no points to draw", width, height)
    counts: dict[str, int] = {}
    for _, name in pairs:
        counts[name] = counts.get(name, 0) + 1
    shown = sorted(sorted(counts, key=_natural), key=lambda name: -counts[name])[: COLOURS * len(SHAPES)]
    shown.sort(key=_natural)
    others = [name for name in counts if name not in shown]
    groups = [(name, *_look(i), [p for p, n in pairs if n == name]) for i, name in enumerate(shown)]
    if others:  # grey discs, under all the rest
        rest = set(others)
        groups.insert(0, (f"{len(others)} other labels", 0, SHAPES[0], [p for p, n in pairs if n in rest]))
    swatches = [(name, _mark(colour, shape)) for name, colour, shape, _ in groups] if labels is not None else []
    key, top = _legend(swatches, width)
    height = max(height, math.ceil(top) + 380)
    across, up = _padded(x for (x, _), _ in pairs), _padded(y for (_, y), _ in pairs)
    ticks = [tick for tick in nice_ticks(*up) if up[0] <= tick <= up[1]]
    box = _Box(ticks, width, height - (14 if notes else 0), top, x=across, y=up)
    body = [box.axes(x_label, y_label), key]
    for name, colour, shape, members in groups:
        path = "".join(f"M{_at(box.across(x))} {_at(box.up(y))}{shape}" for x, y in members)
        body.append(f'<path class="cloud f{colour}" d="{path}"><title>{_text(name)}</title></path>')
    for name, _, _, members in groups if labels is not None and len(groups) <= 12 else []:
        middle = (_median(x for x, _ in members), _median(y for _, y in members))
        body.append(_label(_clip(name, 14), box.across(middle[0]), box.up(middle[1]) + 4, "centre"))
    body.append(_label("; ".join(notes), 0, height - 3) if notes else "")
    about = f"{_count(len(pairs), 'point')}, {x_label} against {y_label}"
    about += f", {_count(len(counts), 'label')}." if labels is not None else "."
    return _svg(title, " ".join([about, *(f"{n}." for n in notes)]), width, height, body)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) from at or below `low` to at or above `high`, about `count` steps.

    Example:
        >>> nice_ticks(0.3, 9.1)
        [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-200):
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if abs(low) > 1e-200 else (-1.0, 1.0)
    rough = (high - low) / count
    power = math.floor(math.log10(rough))
    factor = next(f for f in (1, 2, 5, 10) if f * 10.0**power >= rough * (1 - 1e-9))
    if factor == 10:
        factor, power = 1, power + 1
    step = factor * 10.0**power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, max(0, -power)) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around low…high, with 2 and 5 between them while the decades are few.

    Example:
        >>> log_ticks(3, 800)
        [1.0, 10.0, 100.0, 1000.0]
        >>> log_ticks(3, 40)
        [2.0, 5.0, 10.0, 20.0, 50.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first <= 2:
        ticks = [float(f"{f}e{power}") for power in range(first, last + 1) for f in (1, 2, 5)]
        below, above = max((t for t in ticks if t <= low), default=ticks[0]), min(t for t in ticks if t >= high)
        below, above = (below, above) if below < above else (below / 10, above * 10)
        return [t for t in ticks if below <= t <= above] if len(ticks) > 1 else [below, above]
    stride = math.ceil((last - first) / 6)
    return [float(f"1e{power}") for power in range(first, last + stride, stride)]


def number(value: float, digits: int = 4) -> str:
    """A number for people: significant digits, thousands apart, a true minus sign, powers of ten for many zeros.

    Example:
        >>> [number(v) for v in (123456, -31.2, 0.001, 3.21e-7)]
        ['123,456', '−31.2', '0.001', '3.21×10⁻⁷']
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    size = abs(value)
    if size and not 1e-5 <= size < 1e9:
        mantissa, power = f"{size:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"10{raised}" if mantissa == "1" else f"{mantissa}×10{raised}"
    else:
        decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
        text = f"{size:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"−{text}" if value < 0 else text


class _Box:
    """The rectangle that is drawn in, and its two axes."""

    def __init__(
        self,
        ticks: list[float],
        width: float,
        height: float,
        top: float,
        *,
        x: Point,
        y: Point | None = None,
        log_y: bool = False,
    ) -> None:
        self.ticks, self.log_y, self.x = ticks, log_y, x if x[0] < x[1] else (x[0] - 0.5, x[1] + 0.5)
        self.y = y or (ticks[0], ticks[-1])
        self.left = max(_wide(number(t)) for t in ticks) + 8
        self.right, self.top, self.foot = width - 8, top + 27, height - 36

    def across(self, x: float) -> float:
        """From a value to a horizontal place."""
        return self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * (self.right - self.left)

    def up(self, y: float) -> float:
        """From a value to a vertical place."""
        low, high = self.y
        part = math.log(y / low) / math.log(high / low) if self.log_y else (y - low) / (high - low)
        return self.foot - part * (self.foot - self.top)

    def window(self, content: str) -> str:
        """What lies inside the rectangle, and nothing of what lies outside."""
        place = f'x="{_at(self.left)}" y="{_at(self.top)}" '
        size = f"{_at(self.right - self.left + 4)} {_at(self.foot - self.top + 2)}"
        wide, high = size.split()
        view = f'viewBox="{_at(self.left)} {_at(self.top)} {size}"'
        return f'<svg {place}width="{wide}" height="{high}" {view}>{content}</svg>'

    def axes(self, x_label: str, y_label: str, *, ticks: bool = True) -> str:
        """Grid, tick labels and the names of both axes; the vertical one's lies flat above it, where it can be read."""
        shown = f"{y_label} (logarithmic)" if self.log_y else y_label
        parts = [_label(shown, 0, self.top - 14)]
        for tick in self.ticks:
            y = _at(self.up(tick))
            parts.append(f'<path class="grid" d="M{_at(self.left)} {y}H{_at(self.right)}"/>')
            parts.append(_label(number(tick), self.left - 6, self.up(tick) + 4, "end"))
        base = min(self.foot, self.up(0.0)) if not self.log_y and self.y[0] < 0 < self.y[1] else self.foot
        parts.append(f'<path class="axis" d="M{_at(self.left)} {_at(base)}H{_at(self.right)}"/>')
        for tick in nice_ticks(*self.x) if ticks else []:
            if self.x[0] <= tick <= self.x[1]:
                label = number(tick)
                place = min(self.across(tick), self.right + 8 - _wide(label) / 2)
                parts.append(_label(label, place, self.foot + 15, "middle"))
        parts.append(_label(x_label, (self.left + self.right) / 2, self.foot + 31, "middle"))
        return "".join(parts)


def _svg(title: str, about: str, width: float, height: float, body: Iterable[str]) -> str:
    head = f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_at(width)} {_at(height)}" role="img">'
    name = _label(title, 0, 13, "title")
    return f"{head}<title>{_text(title)}</title><desc>{_text(about)}</desc>{name}{''.join(body)}</svg>"


def _label(text: str, x: float, y: float, kind: str = "") -> str:
    look = f' class="{kind}"' if kind else ""
    return f'<text{look} x="{_at(x)}" y="{_at(y)}">{_text(text)}</text>'


def _empty(title: str, note: str, width: float, height: float) -> str:
    return _svg(title, note, width, height, [_label(note, width / 2, height / 2, "middle")])


def _legend(entries: Sequence[tuple[str, str]], width: float) -> tuple[str, float]:
    """The legend's rows under the title, and the height where they end."""
    parts, x, y = [], 0.0, 33.0
    for label, swatch in entries:
        shown = _clip(label, 34)
        wide = 20 + _wide(shown) + 14
        if x and x + wide - 14 > width:
            x, y = 0.0, y + 17
        parts.append(f'<g transform="translate({_at(x)} {_at(y)})">{swatch}{_label(shown, 20, 0, "name")}</g>')
        x += wide
    return "".join(parts), (y + 4 if entries else 24)


def _line_swatch(index: int) -> str:
    return f'<path class="curve {_stroke(index)}" d="M0-4h14"/>'


def _mark(colour: int, shape: str) -> str:
    return f'<path class="f{colour}" transform="translate(9 -4) scale(1.25)" d="M0 0{shape}"/>'


def _stroke(index: int) -> str:
    return f"s{1 + index % COLOURS}" + (" dash" if index >= COLOURS else "")


def _look(index: int) -> tuple[int, str]:
    return 1 + index % COLOURS, SHAPES[index // COLOURS]


def _pieces(points: Sequence[Point], fits: Callable[[Point], bool]) -> list[list[Point]]:
    """The unbroken runs of points that can be drawn."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if fits(point):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thin(points: list[Point], most: int = 500) -> list[Point]:
    """At most `most` points (and both ends): the lowest and the highest of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return points
    stretch = math.ceil(2 * len(points) / most)
    kept = [points[0]]
    for start in range(1, len(points) - 1, stretch):
        part = points[start : min(start + stretch, len(points) - 1)]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*kept, points[-1]]


def _drawable(*values: float) -> bool:
    return all(math.isfinite(v) and abs(v) < FAR for v in values)


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _padded(values: Iterable[float]) -> Point:
    """The range with some room around it."""
    low, high = _range(values)
    room = 0.04 * (high - low) or max(0.5, abs(low) / 2)
    return low - room, high + room


def _median(values: Iterable[float]) -> float:
    known = sorted(values)
    return known[len(known) // 2]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts "dog 2" before "dog 10"."""
    return [(int(part), "") if part.isdecimal() else (2**62, part) for part in re.split(r"(\d{1,18})", name) if part]


def _wide(text: str) -> float:
    """About how wide a text is at the chart's size: letters of East Asia are twice as wide as others."""
    return sum(11.5 if unicodedata.east_asian_width(c) in "WF" else 6.4 for c in text)


def _at(place: float) -> str:
    return f"{round(place, 1) + 0.0:.1f}".removesuffix(".0")  # adding zero turns -0.0 into 0.0


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _clip(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(text: str) -> str:
    return html.escape(printable(text))
