"""Diagrams of classifiers as inline SVG: reliability diagram, image between two axes, shaded confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seisei.report.svg import Box, Point, at, clip, count_of, nice_ticks, number, svg, text_at, text_width


def reliability(
    bins: Sequence[tuple[float, float, int]], *, title: str, color: int = 1, width: int = 300, height: int = 366
) -> str:
    """A reliability diagram: accuracy against confidence; a perfectly calibrated classifier lies on the diagonal.

    Whiskers are one standard error (Wilson's, which is positive even at an accuracy of 1). Bars below count the
    examples of each bin on a logarithmic axis.

    Arguments:
        bins: (confidence, accuracy, examples), both from 0 to 1.
        title: title for screen readers; it is not drawn.
        color: index of the chart color.
        width: width of the drawing in SVG units.
        height: height of the drawing in SVG units.

    Example:
        >>> reliability([(0.6, 0.5, 10), (0.9, 0.95, 40)], title="A")[:18]
        '<svg class="chart"'
    """
    strip, gap = 46, 14
    box = Box([0, 20, 40, 60, 80, 100], width, height - strip - gap, -4, x=(0, 100))
    foot, most = height - 36, max((n for *_, n in bins), default=1)
    box.left = max(box.left, text_width(number(most, 9)) + 8)
    body = [text_at("accuracy, %", 0, 9)]
    for tick in box.ticks:
        level, upright = at(box.up(tick)), at(box.across(tick))
        path = f"M{at(box.left)} {level}H{at(box.right)}M{upright} {at(box.top)}V{at(box.foot)}"
        body.append(f'<path class="grid" d="{path}"/>')
        body.append(text_at(number(tick), box.left - 6, box.up(tick) + 4, "end"))
        body.append(text_at(number(tick), box.across(tick), foot + 15, "middle"))
    ends = f"M{at(box.left)} {at(box.foot)}L{at(box.right)} {at(box.top)}"
    body.append(f'<path class="axis dash" d="{ends}"/>')
    body.append(f'<path class="axis" d="M{at(box.left)} {at(foot)}H{at(box.right)}"/>')
    line, whiskers, dots = [], [], []
    for confidence, accuracy, n in bins:
        x, y = box.across(100 * confidence), box.up(100 * accuracy)
        middle, half = (
            (accuracy + 0.5 / n) / (1 + 1 / n),
            math.sqrt(accuracy * (1 - accuracy) / n + 0.25 / n**2) / (1 + 1 / n),
        )
        high, low = (at(box.up(100 * (middle + side * half))) for side in (1, -1))
        tall = 2 + (strip - 8) * math.log1p(n) / math.log1p(most)
        tooltip = f"confidence {100 * confidence:.1f} %, accuracy {100 * accuracy:.1f} %: {count_of(n, 'example')}"
        tooltip = f"<title>{tooltip}</title>"
        whiskers.append(f"M{at(x)} {high}V{low}")
        line.append(f"{at(x)} {at(y)}")
        dots.append(f'<circle class="f{color}" cx="{at(x)}" cy="{at(y)}" r="3.2">{tooltip}</circle>')
        place = f'x="{at(x - 4)}" y="{at(foot - tall)}" width="8" height="{at(tall)}"'
        dots.append(f'<rect class="f{color} bar" {place} rx="1">{tooltip}</rect>')
    if line:
        body.append(f'<path class="whisker s{color}" d="{"".join(whiskers)}"/>')
        body.append(f'<path class="curve s{color}" d="M{"L".join(line)}"/>')
    body += [*dots, text_at(number(most, 9), box.left - 6, foot - strip + 12, "end")]
    body.append(text_at("n", box.left - 6, foot, "end"))
    body.append(text_at("confidence, %", (box.left + box.right) / 2, foot + 31, "middle"))
    summary = "; ".join(f"confidence {100 * s:.0f} %, accuracy {100 * r:.0f} % ({n:,})" for s, r, n in bins)
    return svg(title, f"Calibration: {summary or 'no values'}.", width, height, body, named=False)


def framed(
    link: str,
    size: tuple[int, int],
    *,
    title: str,
    axes: tuple[str, str],
    extent: tuple[float, float, float, float] | None = None,
    crisp: bool = False,
    width: int = 330,
) -> str:
    """An image between two labeled axes; its first row of pixels is at the top.

    Arguments:
        link: data URI of the image.
        size: width and height of the image in pixels.
        title: title for screen readers; it is not drawn.
        axes: labels of the horizontal and the vertical axis.
        extent: left, right, bottom, top of the axes; no ticks if None.
        crisp: whether to show pixels with sharp edges.
        width: width of the drawing in SVG units.

    Example:
        >>> framed("data:image/png;base64,", (2, 1), title="A", axes=("x", "y")).count("<image")
        1
    """
    x0, x1, y0, y1 = extent or (0.0, 1.0, 0.0, 1.0)
    ticks = [tick for tick in nice_ticks(y0, y1, 4) if y0 <= tick <= y1]
    left = max((text_width(number(t)) for t in ticks), default=0) + 8 if extent else 0
    across = width - 8 - left
    height = across * min(max(size[1] / size[0], 0.4), 2.0)
    box = Box(ticks or [y0, y1], width, height + 16 + 36, -11, x=(x0, x1), y=(y0, y1))
    box.left = left
    look = ' style="image-rendering:pixelated"' if crisp else ""
    place = f'x="{at(left)}" y="{at(box.top)}" width="{at(across)}" height="{at(box.foot - box.top)}"'
    body = [text_at(clip(axes[1], int(width / 6)), 0, 9)]
    body.append(f'<image href="{link}" {place} preserveAspectRatio="none"{look}/><rect class="frame" {place}/>')
    for tick in ticks if extent else []:
        body.append(f'<path class="axis" d="M{at(left - 4)} {at(box.up(tick))}h4"/>')
        body.append(text_at(number(tick), left - 7, box.up(tick) + 4, "end"))
    for tick in box.x_ticks() if extent else []:
        label = number(tick)
        body.append(f'<path class="axis" d="M{at(box.across(tick))} {at(box.foot)}v4"/>')
        spot = min(max(box.across(tick), text_width(label) / 2), width - text_width(label) / 2)
        body.append(text_at(label, spot, box.foot + 16, "middle"))
    body.append(text_at(clip(axes[0], int(width / 6)), (left + box.right) / 2, box.foot + 31, "middle"))
    about = f"{axes[1]} over {axes[0]}"
    about += f", from {number(x0)} to {number(x1)} and from {number(y0)} to {number(y1)}." if extent else "."
    return svg(title, about, width, box.foot + 36, body, named=False)


def shades(matrix: Sequence[Sequence[int]], *, title: str, colors: Point = (1, 2), width: int = 420) -> str:
    """A large confusion matrix as squares, darker for a larger fraction of their row; the diagonal has its own color.

    Rows are true classes, columns predicted ones.

    Example:
        >>> shades([[8, 2], [0, 5]], title="A").count("<path")
        2
    """
    top, count = 18, len(matrix)
    cell = (width - 30) / count
    paths: dict[tuple[int, int], list[str]] = {}
    for i, row in enumerate(matrix):
        for j, n in enumerate(row):
            if n:
                step = math.ceil(6 * math.sqrt(n / sum(row)))
                spot = f"M{30 + j * cell:.2f} {top + i * cell:.2f}h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
                paths.setdefault((int(colors[i != j]), step), []).append(spot)
    body = [text_at("predicted", width, 10, "end"), text_at("true", 0, top + 10)]
    body += [f'<path class="f{c}" fill-opacity="{s / 6:.2f}" d="{"".join(p)}"/>' for (c, s), p in sorted(paths.items())]
    side = at(width - 30)
    body.append(f'<rect class="frame" x="30" y="{top}" width="{side}" height="{side}"/>')
    total, right = sum(map(sum, matrix)), sum(row[i] for i, row in enumerate(matrix))
    about = f"{count:,} classes; {right:,} of {total:,} examples are on the diagonal."
    return svg(title, about, width, top + width - 28, body, named=False)
