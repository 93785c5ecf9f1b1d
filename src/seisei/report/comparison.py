"""The page that sets classifiers side by side: discriminant function, discriminative model, generative model.

`write_comparison` reads ``comparison.json`` and the images it names, and writes one self-contained ``compare.html``
beside it, in the frame of the run report (see `page`). Every part of the file is optional, and all of it is escaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from seisei.errors import UserError
from seisei.metrics.significance import Score, ahead, best
from seisei.report.comparison_charts import (
    aside,
    calibration,
    color,
    gaps,
    heading,
    learning,
    listed,
    scrolling,
    strong,
    table,
    who,
)
from seisei.report.comparison_models import KINDS, ComparedModel, Comparison
from seisei.report.comparison_tables import confusion, samples, surfaces
from seisei.report.css import STYLE
from seisei.report.html import document, duration, facts_list, missing, sections, upper, write_page
from seisei.report.run_log import as_dict, as_float, as_list, as_whole
from seisei.report.svg import count_of, esc, number, with_error

COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
ABILITIES = {  # what a classifier may do: its sign, in words, in the verdict
    "class": ("class", "which it is", ""),
    "posterior": ("p(y | x)", "how sure it is", "say how sure it is"),
    "density": ("p(x)", "how likely {a} is", "say how likely {a} is"),
    "samples": ("samples", "new {noun}s", "draw new {noun}s"),
    "gaps": ("gaps", "with parts unknown", "answer without guessing what is missing"),
}

SIGNS = (("yes", "✓"), ("no", "–"))
MARKS = (
    '± is one standard error. <b class="tag">best</b> is ahead of every other by more than the error of the '
    'difference, <b class="tag even">tied</b> is no further than that from the best. The errors of two models are '
    "taken as independent, which is cautious on the same {noun}s; a number without ± as exact."
)


def write_comparison(folder: Path) -> Path:
    """Write ``compare.html`` into a folder that holds ``comparison.json``, whole or not at all, and say where it is.

    Arguments:
        folder: images named in the file lie in it or below.

    Raises:
        UserError: there is no such folder, or its ``comparison.json`` cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.exists() else "no such folder"
        raise UserError("E-*-01", folder, problem, "name a folder that seisei compare has made")
    return write_page(render(Comparison.read(folder)), folder / "compare.html")


def render(c: Comparison) -> str:
    """The whole page."""
    title = f"{_models(c)}{_on(c)}"
    parts = [(key, name, lead.format(noun=esc(c.noun)), body(c)) for key, name, lead, body in SECTIONS]
    version = esc(c.facts.get("seisei") or "")
    made = f"Made by seisei {version} from <code>{esc(c.folder.resolve().name)}/comparison.json</code>."
    main = sections(part for part in parts if part[-1])
    return document(f"{title}: comparison", _header(c, title), main, made, style=STYLE)


def _header(c: Comparison, title: str) -> str:
    classes, count = c.classes(), as_whole(c.data.get("examples"))
    named = f": {', '.join(classes)}" if sum(map(len, classes)) <= 40 else ""
    split = f"{c.data['split']} split" if c.data.get("split") else ""
    judged = (count_of(count, c.noun) if count is not None else "", split)
    facts = {
        "Data": str(c.data.get("path") or ""),
        "Judged on": " of the ".join(filter(None, judged)),
        "Classes": f"{len(classes)}{named}" if classes else "",
        "Seed": "" if c.facts.get("seed") is None else str(c.facts["seed"]),
    }
    tiles = "".join(f"<div><dt>{key}</dt><dd>{esc(value)}</dd></div>" for key, value in facts.items() if value)
    return (
        f'<p class="brow">Comparison of classifiers</p><h1>{esc(title)}</h1>'
        f'<p class="verdict">{_verdict(c)}</p>{_left_out(c)}<dl class="tiles">{tiles}</dl>'
    )


def _left_out(c: Comparison) -> str:
    """What is less than it might be, or not there at all, and why."""
    return aside([f"{esc(upper(str(note)))}." for note in as_list(c.facts.get("left_out"))])


# ---- the verdict


def _verdict(c: Comparison) -> str:
    """A sentence: who is most accurate and whether by more than the error, who is best calibrated, who can do more."""
    parts = [part for part in (_most_accurate(c), _best_calibrated(c), _only_generative(c)) if part]
    return upper("; ".join(parts)) + "." if parts else "Nothing was measured."


def _most_accurate(c: Comparison) -> str:
    found = [(rival, s) for rival in c.rivals if (s := rival.accuracy) is not None]
    found.sort(key=lambda pair: -pair[1].value)
    if not found:
        return ""
    top, score = found[0]
    right = f"{with_error(100 * score.value, 100 * score.error)} %"
    if len(found) == 1:
        return f"{strong(top)} is right on {right}"
    near = [(rival, s) for rival, s in found if ahead(score, s) <= 1]
    if len(near) > 1:
        last = f"{with_error(100 * near[-1][1].value, 100 * near[-1][1].error)} %"
        values = f"{'both' if len(near) == 2 else 'all'} {right}" if right == last else f"{right} to {last}"
        names = listed(strong(rival) for rival, _ in near)
        return f"{names} are too close to call, {values} right, apart by no more than the standard error"
    other, second = found[1]
    sure, gap = ahead(score, second), number(100 * (score.value - second.value), 3)
    lead = f"{strong(top)} is most accurate, {right} right, {gap} points ahead of {strong(other)}"
    if math.isinf(sure):
        return lead
    return f"{lead}, a lead of {number(sure, 2)} standard errors{', so not for certain' if sure < 2 else ''}"


def _best_calibrated(c: Comparison) -> str:
    found = [(off, rival) for rival in c.rivals if math.isfinite(off := rival.miscalibration)]
    if not found:
        return ""
    off, rival = min(found, key=lambda pair: pair[0])
    if len(found) == 1:
        return f"only {strong(rival)} says how sure it is, and is off by {number(100 * off, 3)} points on average"
    return f"{strong(rival)} is best calibrated, off by {number(100 * off, 3)} points on average"


def _only_generative(c: Comparison) -> str:
    able = [rival for rival in c.rivals if rival.kind == "generative"]
    others = [rival for rival in c.rivals if rival.kind != "generative"]
    if not able or not others:
        return ""
    one = ("an " if c.noun[:1] in "aeiou" else "a ") + esc(c.noun)
    more = [
        text.format(noun=esc(c.noun), a=one)
        for key, (*_, text) in ABILITIES.items()
        if any(r.abilities[key] == "yes" for r in able) and not any(r.abilities[key] == "yes" for r in others)
    ]
    subject = strong(able[0]) if len(able) == 1 else "a generative model"
    return f"only {subject} can {listed(more)}" if more else ""


# ---- sections


def _scores(c: Comparison) -> str:
    rows = []
    for name, scores in c.scores().items():
        known = [s for s in scores if s is not None]
        unit = next((s.unit for s in known if s.unit), "")
        better = next((f"{s.better} is better" for s in known if s.better), "")
        notes = list(dict.fromkeys(s.note for s in known if s.note))
        marks = best(scores)
        cells = [_scored(c.rivals[i], name, s, marks.get(i, ""), len(notes) > 1) for i, s in enumerate(scores)]
        small = ", ".join(filter(None, [unit if unit != "share" else "", better]))
        head = f"{esc(upper(name))}<span class='note'>{esc(small)}</span>"
        head += f'<span class="note">{esc(upper(notes[0]))}</span>' if len(notes) == 1 else ""
        rows.append((head, cells))
    for key, head, said in (("seconds", "Training time", duration), ("size", "Size", lambda v: number(v, 9))):
        values = [as_float(rival.facts.get(key)) for rival in c.rivals]
        if any(map(math.isfinite, values)):
            shown = [(said(v), "") if math.isfinite(v) else ('<span class="quiet">–</span>', "") for v in values]
            rows.append((f'{head}<span class="note">{"numbers it keeps" if key == "size" else ""}</span>', shown))
    if not rows:
        return missing("These models have not been scored: <code>seisei evaluate</code> does it.")
    body = ""
    for first, cells in rows:
        row = "".join(
            f'<td class="k{color(rival)} {look}" data-who="{esc(rival.name)}">{cell}</td>'
            for rival, (cell, look) in zip(c.rivals, cells, strict=True)
        )
        body += f'<tr><th scope="row">{first}</th>{row}</tr>'
    heads = [heading("Score"), *(heading(who(rival) + _sort(rival)) for rival in c.rivals)]
    caption = MARKS.format(noun=esc(c.noun))
    return scrolling(table("versus", heads, body, caption, f"--n:{len(c.rivals)}"), "All scores")


def _scored(rival: ComparedModel, name: str, score: Score | None, mark: str, noted: bool) -> tuple[str, str]:
    """The cell of a score, and its look."""
    if score is None or not math.isfinite(score.value):
        reason = rival.lacks(name) if score is None else "not a finite number"
        return f'<span class="quiet">–<span class="note">{esc(reason)}</span></span>', "absent"
    scale, sign = (100, " %") if score.unit == "share" else (1, "")
    value, _, error = with_error(scale * score.value, scale * score.error).partition(" ± ")
    tag = f'<b class="tag{" even" if mark == "tied" else ""}">{mark}</b>' if mark else ""
    off = f"± {error}" if error else ""
    note = f'<span class="note">{esc(score.note)}</span>' if noted and score.note else ""
    return f'<span class="value">{value}{sign}</span> <span class="off">{tag} {off}</span>{note}', mark


def _abilities(c: Comparison) -> str:
    noun, rows = esc(c.noun), ""
    heads = [heading("Model")]
    for sign, words, _ in ABILITIES.values():
        heads.append(heading(f'{sign}<span class="note">{words.format(noun=noun, a="it")}</span>'))
    signs = {way: f'<span aria-hidden="true">{sign}</span><span class="spoken">{way}</span>' for way, sign in SIGNS}
    for rival in c.rivals:
        ways = rival.abilities.values()
        cells = "".join(f'<td class="{"yes" if way == "yes" else "no"}">{signs.get(way, way)}</td>' for way in ways)
        name, formula, meaning = KINDS.get(rival.kind, (rival.kind, "", ""))
        about = f'<span class="note">{esc(upper(name))} <span class="formula">{formula}</span><br>{meaning}</span>'
        rows += f'<tr><th scope="row">{who(rival)}{about}</th>{cells}</tr>'
    guess = any("stand-in" in rival.abilities.values() for rival in c.rivals)
    more = ["Stand-in: a usual value takes the place of one that is missing."] if guess else []
    return table("able", heads, rows) + aside(more)


def _reproduce(c: Comparison) -> str:
    command = c.facts.get("command")
    lines = f"<pre><code>{esc(command)}</code></pre>" if command else missing("The command was not recorded.")
    rows = ""
    for rival in c.rivals:
        dials = as_dict(rival.facts.get("dials"))
        said = ", ".join(f"{key} {json.dumps(v) if isinstance(v, (dict, list)) else v}" for key, v in dials.items())
        made = {"Run": rival.facts.get("run"), "Recipe": rival.facts.get("recipe"), "Dials": said}
        cells = "".join(f'<td data-name="{key}">{esc(value or "–")}</td>' for key, value in made.items())
        rows += f'<tr><th scope="row">{who(rival)}</th>{cells}</tr>'
    models = table("made", map(heading, ("Model", "Run", "Recipe", "Dials that were set")), rows)
    facts = {"data": c.data.get("path"), "split": c.data.get("split"), "seed": c.facts.get("seed")}
    facts |= {"version": c.facts.get("seisei")}
    told = facts_list({key: value for key, value in facts.items() if value is not None})
    return f"{lines}{told}<h3>The models</h3>{scrolling(models, 'The models')}"


Section = tuple[str, str, str, Callable[[Comparison], str]]
SECTIONS: Sequence[Section] = [
    ("scores", "Scores", "Measured on the same {noun}s for all.", _scores),
    ("abilities", "What each can do", "Three ways to a label, and what comes with each.", _abilities),
    ("calibration", "Calibration", "Is it right as often as it says?", calibration),
    ("gaps", "With parts missing", "How accuracy falls when parts of each {noun} are hidden.", gaps),
    ("learning", "Learning curves", "How many {noun}s it takes to be how good.", learning),
    ("surface", "The surface between classes", "A plane through the data, as each model sees it.", surfaces),
    ("samples", "Samples", "What a model draws that knows p(x | y).", samples),
    ("confusion", "Confusion", "Which classes are taken for which.", confusion),
    ("reproduce", "How to reproduce", "All that is needed to make this page again.", _reproduce),
]


def _sort(rival: ComparedModel) -> str:
    """The kind below a name that does not say it already."""
    name = KINDS[rival.kind][0] if rival.kind in KINDS else rival.kind
    return "" if rival.kind in rival.name else f'<span class="note">{esc(name)}</span>'


def _models(c: Comparison) -> str:
    count = len(c.rivals)
    return f"{COUNTS[count] if count < len(COUNTS) else count} classifier{'' if count == 1 else 's'}"


def _on(c: Comparison) -> str:
    path = str(c.data.get("path") or "").replace("\\", "/").rstrip("/")
    return f" on {path.rsplit('/', 1)[-1]}" if path else ""
