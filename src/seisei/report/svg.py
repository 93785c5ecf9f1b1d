"""Building blocks of charts: ticks, number formatting, a plot area with two axes, the SVG element."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable

from seisei.errors import printable

Point = tuple[float, float]
LARGEST = 1e150  # beyond this the arithmetic of an axis overflows


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
    """Powers of ten around low…high, with 2 and 5 in between if there are at most two decades.

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
    """A number as text: significant digits, thousands separators, a true minus sign, powers of ten for many zeros.

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


def with_error(value: float, error: float) -> str:
    """A value and its standard error, both to the error's second digit; the value alone if there is no error.

    Example:
        >>> with_error(-31.2044, 0.1234), with_error(97.5, math.nan)
        ('−31.20 ± 0.12', '97.5')
    """
    if not math.isfinite(value) or not math.isfinite(error) or not 1e-6 < abs(error) < 1e6:
        return number(value, 5)
    decimals = max(0, 1 - math.floor(math.log10(abs(error))))
    return f"{value:,.{decimals}f} ± {abs(error):,.{decimals}f}".replace("-", "−")


class Box:
    """The plot area and its two axes."""

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
        log_x: bool = False,
    ) -> None:
        alone = (x[0] / 2, x[1] * 2) if log_x else (x[0] - 0.5, x[1] + 0.5)
        self.ticks, self.log_x, self.log_y, self.x = ticks, log_x, log_y, x if x[0] < x[1] else alone
        self.y = y or (ticks[0], ticks[-1])
        self.left = max(text_width(number(t)) for t in ticks) + 8
        self.right, self.top, self.foot = width - 8, top + 27, height - 36

    def across(self, x: float) -> float:
        """Horizontal position of a value."""
        low, high = self.x
        part = math.log(x / low) / math.log(high / low) if self.log_x else (x - low) / (high - low)
        return self.left + part * (self.right - self.left)

    def up(self, y: float) -> float:
        """Vertical position of a value."""
        low, high = self.y
        part = math.log(y / low) / math.log(high / low) if self.log_y else (y - low) / (high - low)
        return self.foot - part * (self.foot - self.top)

    def x_ticks(self) -> list[float]:
        """Ticks of the horizontal axis; 1, 2, 5, 10, … on a logarithmic one if there is room."""
        low, high = self.x
        if not self.log_x:
            return [tick for tick in nice_ticks(low, high) if low <= tick <= high]
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        within = [t for p in range(first, last + 1) for f in (1, 2, 5) if low <= (t := float(f"{f}e{p}")) <= high]
        room = (self.right - self.left) / max(1, len(within))
        tens = [t for t in within if f"{t:e}"[0] == "1"]
        return tens if len(tens) > 1 and room < max(text_width(number(t)) for t in within) + 8 else within or [low]

    def clipped(self, content: str) -> str:
        """Content clipped to the plot area."""
        origin = f'x="{at(self.left)}" y="{at(self.top)}" '
        size = f"{at(self.right - self.left + 4)} {at(self.foot - self.top + 2)}"
        wide, high = size.split()
        view = f'viewBox="{at(self.left)} {at(self.top)} {size}"'
        return f'<svg {origin}width="{wide}" height="{high}" {view}>{content}</svg>'

    def axes(self, x_label: str, y_label: str, *, ticks: bool = True) -> str:
        """Grid lines, tick labels, and axis labels; that of the vertical axis is horizontal, above it."""
        label = f"{y_label} (logarithmic)" if self.log_y else y_label
        parts = [text_at(label, 0, self.top - 14)]
        for tick in self.ticks:
            y = at(self.up(tick))
            parts.append(f'<path class="grid" d="M{at(self.left)} {y}H{at(self.right)}"/>')
            parts.append(text_at(number(tick), self.left - 6, self.up(tick) + 4, "end"))
        base = min(self.foot, self.up(0.0)) if not self.log_y and self.y[0] < 0 < self.y[1] else self.foot
        parts.append(f'<path class="axis" d="M{at(self.left)} {at(base)}H{at(self.right)}"/>')
        for tick in self.x_ticks() if ticks else []:
            label = number(tick)
            position = min(self.across(tick), self.right + 8 - text_width(label) / 2)
            parts.append(text_at(label, position, self.foot + 15, "middle"))
        parts.append(text_at(x_label, (self.left + self.right) / 2, self.foot + 31, "middle"))
        return "".join(parts)


def svg(title: str, about: str, width: float, height: float, body: Iterable[str], *, named: bool = True) -> str:
    """The SVG element, with a title and a description for screen readers; `named` also draws the title."""
    head = f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {at(width)} {at(height)}" role="img">'
    name = text_at(title, 0, 13, "title") if named else ""
    return f"{head}<title>{esc(title)}</title><desc>{esc(about)}</desc>{name}{''.join(body)}</svg>"


def text_at(text: str, x: float, y: float, kind: str = "") -> str:
    """A text element at a position."""
    look = f' class="{kind}"' if kind else ""
    return f'<text{look} x="{at(x)}" y="{at(y)}">{esc(text)}</text>'


def empty_chart(title: str, note: str, width: float, height: float) -> str:
    """A sentence in place of a chart without data."""
    return svg(title, note, width, height, [text_at(note, width / 2, height / 2, "middle")])


def drawable(*values: float) -> bool:
    """Whether all values are finite and small enough for an axis."""
    return all(math.isfinite(v) and abs(v) < LARGEST for v in values)


def span(values: Iterable[float]) -> tuple[float, float]:
    """The smallest and the largest value."""
    known = list(values)
    return min(known), max(known)


def text_width(text: str) -> float:
    """Approximate width of a text at the chart's font size; East Asian characters count double."""
    return sum(11.5 if unicodedata.east_asian_width(c) in "WF" else 6.4 for c in text)


def at(position: float) -> str:
    """A coordinate as text, rounded to a tenth."""
    return f"{round(position, 1) + 0.0:.1f}".removesuffix(".0")  # adding zero turns -0.0 into 0.0


def count_of(count: int, noun: str) -> str:
    """A count with its noun in the singular or plural."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def clip(text: str, limit: int) -> str:
    """The text, truncated to a number of characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def esc(text: object) -> str:
    """Text for HTML: markup is escaped, control characters are made visible."""
    return html.escape(printable(str(text)))
