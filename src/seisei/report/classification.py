"""The sections of a run report about labels: which classes are taken for which, whether a model is right as often as it
says, and what it draws of each class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from seisei.metrics.significance import confused
from seisei.report.comparison_charts import DIAGONAL, heading, listed, scrolling, table
from seisei.report.comparison_models import ComparedModel
from seisei.report.comparison_tables import LEGEND, MOST_CLASSES, largest, matrix, rows_drawn
from seisei.report.diagrams import reliability
from seisei.report.html import MOST_ROWS, missing
from seisei.report.run_log import Run, as_dict, as_dicts, as_float, as_list, as_whole
from seisei.report.svg import clip, count_of, esc, number

MOST_HEADS, LONGEST_HEAD = 16, 24  # columns of a grid that are named; letters that a name above one has at most
NOTABLE = 3  # confusions that are told in a sentence
MOST_LEVELS = 5  # of a column that are named

# Examples below which no verdict is given on a model's calibration.
FEW_EXAMPLES = 20


def confusion(run: Run) -> str:
    """Which classes are taken for which."""
    known = _told(run)
    counts, noun = known.confusion, str(known.facts.get("noun") or run.noun)
    if not counts:
        return missing("No labels were compared: the run has not been evaluated.") if "predict" in run.verbs else ""
    names = [str(name) for name in as_list(known.facts.get("classes"))]
    names += [f"class {i}" for i in range(len(names), len(counts))]
    said = f"<p>{_taken(counts, names, noun)}</p>"
    if len(counts) > MOST_CLASSES:
        return f'{said}<div class="large">{largest(counts, names, noun, known.name)}</div>'
    shown = matrix(counts, names, noun, known.name)
    return f'{said}<div class="matrices">{shown}</div><p class="aside">{LEGEND}</p>'


def calibration(run: Run) -> str:
    """Whether the model is right as often as it says."""
    known = _told(run)
    bins = known.bins
    if not bins:
        return ""
    off, total = known.miscalibration, sum(n for *_, n in bins)
    sure = sum(confidence * n for confidence, _, n in bins) / total
    right = sum(accuracy * n for _, accuracy, n in bins) / total
    counted = esc(count_of(total, str(known.facts.get("noun") or run.noun)))
    mean = f"Over {counted} it is <strong>{_percent(sure)}</strong> sure and <strong>{_percent(right)}</strong> right"
    apart = (sure - right) / max(1e-9, math.sqrt(right * (1 - right) / total))
    verdict = (
        "" if abs(apart) < 2 or total < FEW_EXAMPLES else ": too sure of itself" if apart > 0 else ": it could be surer"
    )
    gap = f" Bin by bin the two are <strong>{number(100 * off, 3)}</strong> points apart." if math.isfinite(off) else ""
    text = f"<p>{mean}{verdict}.{gap}</p><p class='quiet'>{DIAGONAL}</p>"
    chart = reliability(bins, title="Calibration", width=320, height=386)
    return f'<div class="beside even diagram"><figure>{chart}</figure><div>{text}</div></div>'


def heads(run: Run) -> str:
    """The names of the classes above the columns of a grid, or those that its rows go through, where it is of any."""
    columns = as_whole(run.grid.get("columns")) or 0
    labels = [str(label) for label in as_list(run.grid.get("labels"))]
    if columns < 1 or not labels:
        return ""
    if columns <= MOST_HEADS and all(label == labels[i % columns] for i, label in enumerate(labels)):
        names, told = labels[:columns], ""
        if (
            max(map(len, names)) > LONGEST_HEAD
        ):  # several conditions at once: numbers stand above, the words before them
            told = "; ".join(f"{i}: {name}" for i, name in enumerate(names, 1))
            told = f'<p class="quiet">Of the columns, {esc(told)}.</p>'
            names = [str(i) for i in range(1, columns + 1)]
        cells = "".join(f'<span title="{esc(name)}">{esc(name)}</span>' for name in names)
        return f'{told}<div class="heads" style="--n:{columns}">{cells}</div>'
    names = list(dict.fromkeys(labels))
    return f'<p class="quiet">Row by row: {esc(", ".join(names))}.</p>' if len(names) > 1 else ""


def drawn_rows(run: Run) -> str:
    """Rows of a table that the model drew, each after its class; or texts, whole."""
    drawn = as_dicts(run.rows.get("rows"))
    if not drawn:
        return ""
    if run.noun == "text":
        return "".join(f"<pre class='text'>{esc(str(row.get('text', '')))}</pre>" for row in drawn)
    y = as_dict(run.schema.get("y"))
    column = str(y.get("column") or "label")
    ordered = [{column: row[column], **row} if column in row else row for row in drawn]
    look = "first" if all(column in row for row in drawn) else ""
    classes, few = len(as_list(y.get("names"))), len({str(label) for label in as_list(run.rows.get("labels"))})
    some = f'<p class="quiet">Of the first {few:,} of {classes:,} classes.</p>' if 0 < few < classes else ""
    shown = rows_drawn(ordered, "", "Rows drawn by the model")
    return f'{some}<div class="{look}">{shown}</div>'


def column_table(columns: Sequence[dict[str, Any]]) -> str:
    """What was found in each column of a table of data."""
    rows = [_column(column) for column in columns]
    looks = ["", "", "", "figure", "figure", ""]
    names = ("Column", "Used as", "Kind", "Missing", "Different", "Values")
    heads = [heading(name, look) for name, look in zip(names, looks, strict=True)]
    shown = scrolling(table("drawn named", heads, "".join(rows[:MOST_ROWS])), "The columns")
    if len(rows) > MOST_ROWS:
        rest = scrolling(table("drawn named", heads, "".join(rows[MOST_ROWS:])), "More columns")
        shown += f"<details><summary>and {len(rows) - MOST_ROWS:,} more</summary>{rest}</details>"
    return f"<h3>Columns</h3>{shown}"


def _column(column: dict[str, Any]) -> str:
    levels = [clip(str(level), 24) for level in as_list(column.get("levels"))]
    low, high = as_float(column.get("low")), as_float(column.get("high"))
    if levels:
        many = as_whole(column.get("different")) or len(levels)
        values = ", ".join(levels[:MOST_LEVELS]) + (f" … {many:,} in all" if len(levels) > MOST_LEVELS else "")
    elif math.isfinite(low) and math.isfinite(high):
        values = f"{number(low, 6)} to {number(high, 6)}"
    elif "low" in column:  # dates
        values = f"{column.get('low')} to {column.get('high')}"
    else:
        values = str(column.get("why") or "")
    cells = [str(column.get(key) or "") for key in ("used", "kind")]
    counts = [as_whole(column.get(key)) for key in ("missing", "different")]
    told = "".join(f"<td>{esc(cell) or '–'}</td>" for cell in cells)
    told += "".join(f'<td class="figure">{"–" if n is None else f"{n:,}"}</td>' for n in counts)
    return f'<tr><th scope="row">{esc(column.get("name", ""))}</th>{told}<td>{esc(values)}</td></tr>'


def _told(run: Run) -> ComparedModel:
    name = str(run.recipe.get("recipe") or "the model")
    return ComparedModel(0, name, name, run.called)


def _taken(counts: list[list[int]], names: list[str], noun: str) -> str:
    """How many were taken for another class, and the most frequent ways."""
    total, pairs = sum(map(sum, counts)), confused(counts)
    wrong = sum(n for *_, n, _ in pairs)
    if not wrong:
        return f"None of {esc(count_of(total, noun))} was taken for another class."
    verb = "was" if wrong == 1 else "were"
    text = f"<strong>{wrong:,}</strong> of {esc(count_of(total, noun))} {verb} taken for another class"
    most = [f"{esc(names[i])} for {esc(names[j])} ({n:,})" for i, j, n, _ in pairs[:NOTABLE] if n > 1]
    return f"{text}, most often {listed(most)}." if most else f"{text}."


def _percent(share: float) -> str:
    return f"{number(100 * share, 3)}\u00a0%"


def percents(score: dict[str, Any]) -> dict[str, Any]:
    """A score whose unit is a share, in percent; any other as it is."""
    if score.get("unit") != "share":
        return score
    known = {
        key: 100 * as_float(score.get(key)) for key in ("value", "error", "low", "high") if score.get(key) is not None
    }
    return {**score, **known, "unit": "%"}
