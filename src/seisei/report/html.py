"""Building blocks of a page: frame, images, lists of facts, tables, headings, style. All text is escaped here."""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seisei.report.charts import STYLE as CHART_STYLE
from seisei.report.glossary import metric_name
from seisei.report.run_log import as_whole
from seisei.report.svg import count_of, esc, number

# Headings of keys in a run's files that are not just the key itself.
HEADINGS = {
    "kind": "Format",
    "different_sizes": "Distinct sizes",
    "dials": "Hyperparameters",
    "kept": "Used",
    "modes": "Color modes",
    "span": "Value range",
}
MOST_ROWS = 24


def document(title: str, header: str, main: str, origin: str, faults: Sequence[str] = (), style: str = "") -> str:
    """The whole page; its content security policy allows its own style and one small script that enlarges images.

    Arguments:
        title: window title, not yet escaped.
        header: HTML at the top of the page.
        main: HTML of the sections and the links to them.
        origin: HTML of the sentence on where the page comes from.
        faults: notes on unreadable files, not yet escaped.
        style: additional CSS.
    """
    notes = f'<ul class="faults">{"".join(f"<li>{esc(fault)}</li>" for fault in faults)}</ul>' if faults else ""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>{esc(title)}</title>
<style>{STYLE}{CHART_STYLE}{style}</style></head>
<body><header>{header}</header>
{main}
<footer>{notes}<p>{origin}
This page is a single file and works offline.</p></footer>
<script>{SCRIPT}</script></body></html>
"""


def sections(parts: Iterable[tuple[str, str, str, str]]) -> str:
    """Sections and a navigation bar, from (key, title, lead, HTML) each."""
    parts = list(parts)
    links = "".join(f'<li><a href="#{key}">{key.capitalize()}</a></li>' for key, *_ in parts)
    main = "".join(
        f'<section id="{key}" aria-labeledby="{key}-title"><div class="lead"><h2 id="{key}-title">{title}</h2>'
        f'<p>{lead}</p></div><div class="body">{content}</div></section>\n'
        for key, title, lead, content in parts
    )
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>{main}</main>'


def write_page(text: str, target: Path) -> Path:
    """Write a page atomically and return its path."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def embedded(path: Path) -> tuple[str, int, int]:
    """A PNG file as a data URI, its width and its height.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a PNG file.
    """
    content = path.read_bytes()
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content[:8] != b"\x89PNG\r\n\x1a\n" or not width or not height:
        raise ValueError(f"{path.name} is not a PNG image.")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}", width, height


def image(path: Path, alt: str, caption: str = "", *, target: int) -> str:
    """A PNG file as a figure, enlarged by an integer factor so that pixels stay square; empty if there is no file."""
    try:
        link, width, height = embedded(path)
    except OSError:
        return ""
    except ValueError as error:
        return f'<figure class="missing">{esc(error)}</figure>'
    scale = max(1, target // width)
    crisp = ' class="pixels"' if scale > 1 else ""
    captioned = f"<figcaption>{esc(caption)}</figcaption>" if caption else ""
    displayed = min(width * scale, target)
    size = f'width="{width}" height="{height}" style="width:{displayed}px"'
    return f'<figure><img src="{link}" alt="{esc(alt)}" {size}{crisp}>{captioned}</figure>'


def facts_list(facts: dict[str, Any]) -> str:
    """JSON facts as a list of names and values."""
    rows = "".join(
        f"<div><dt>{esc(key_heading(key))}</dt><dd>{fact(value, key)}</dd></div>" for key, value in facts.items()
    )
    return f'<dl class="facts">{rows}</dl>'


def fact(value: object, key: str = "") -> str:
    """A JSON value as HTML."""
    if value is None or value in ("", {}, []):
        return '<span class="quiet">none</span>'
    if isinstance(value, dict):
        if all(as_whole(count) is not None for count in value.values()) and (key == "classes" or len(value) > 6):
            return counts_table(value)
        if not any(isinstance(v, (dict, list)) for v in value.values()):
            return (" · " if key == "item" else "<br>").join(
                f'<span class="quiet">{esc(k)}</span> {fact(v)}' for k, v in value.items()
            )
        return facts_list(value)
    if isinstance(value, list):
        items = [f"<li>{fact(v, 'item')}</li>" for v in value]
        if len(items) <= MOST_ROWS:
            return f"<ul>{''.join(items)}</ul>"
        first, rest = "".join(items[:MOST_ROWS]), "".join(items[MOST_ROWS:])
        more = f"<summary>and {len(items) - MOST_ROWS:,} more</summary>"
        return f"<ul>{first}</ul><details>{more}<ul>{rest}</ul></details>"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):  # seeds have no thousands separators
        return esc(value) if key == "seed" else f"{value:,}".replace("-", "−")
    return number(value, 5) if isinstance(value, float) else esc(value)


def counts_table(counts: dict[str, Any]) -> str:
    """Counts by label, with bars; only the largest if there are many."""
    most = max(map(float, counts.values())) or 1.0
    names = list(counts) if len(counts) <= MOST_ROWS else sorted(counts, key=lambda name: -counts[name])[:MOST_ROWS]
    rows = "".join(
        f'<tr><th scope="row">{esc(name)}</th><td class="figure">{number(float(counts[name]), 9)}</td>'
        f'<td class="gauge"><span style="width:{max(0.0, 100 * counts[name] / most):.1f}%"></span></td></tr>'
        for name in names
    )
    more = len(counts) - len(names)
    caption = count_of(len(counts), "label") + (f"; the {len(names)} largest are shown" if more else "")
    return f'<table class="counts"><caption>{caption}</caption><tbody>{rows}</tbody></table>'


def duration(seconds: float) -> str:
    """Seconds as text, in the largest suitable units."""
    if not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"{number(seconds, 3)} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours:,} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def missing(sentence: str) -> str:
    """A sentence in place of a missing part."""
    return f'<p class="missing">{sentence}</p>'


def key_heading(key: object) -> str:
    """A key of a run's files as a heading."""
    text = str(key)
    return HEADINGS.get(text) or upper(text.replace("_", " "))


def metric_heading(key: object) -> str:
    """The standard name of a metric as a heading."""
    return upper(metric_name(key))


def upper(text: object) -> str:
    """Text with its first letter capitalized."""
    return str(text)[:1].upper() + str(text)[1:]


SCRIPT = """
const box = document.createElement("dialog"), big = document.createElement("img");
box.append(big); document.body.append(box); box.onclick = () => box.close();
for (const small of document.querySelectorAll("figure img")) {
  const open = () => { big.src = small.src; big.alt = small.alt; big.className = small.className; box.showModal(); };
  small.tabIndex = 0; small.setAttribute("role", "button"); small.title = "Enlarge"; small.onclick = open;
  small.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } };
}
"""


STYLE = """
:root{--page:#fbfaf8;--card:#fff;--ink:#1c1e21;--muted:#5d636b;--line:#e5e2dc;--accent:#005d93;--warn:#d55e00;
--note:#0072b2}
@media (prefers-color-scheme:dark){
:root{--page:#131518;--card:#1b1e22;--ink:#e8eaed;--muted:#a0a7b0;--line:#2c3137;--accent:#7cc4ef;
--warn:#f0803c;--note:#56b4e9}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0 auto;padding:0 clamp(18px,4vw,48px);max-width:1180px;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
a{color:var(--accent);text-underline-offset:.18em;text-decoration-thickness:.06em}
:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:3px}
header{padding:clamp(40px,8vw,88px) 0 28px}
.brow{margin:0 0 10px;color:var(--muted);font-size:14px}
h1{margin:0;font-size:clamp(32px,5.6vw,54px);line-height:1.08;letter-spacing:-.022em;font-weight:680;
text-wrap:balance}
.verdict{margin:18px 0 0;max-width:44em;font-size:clamp(17px,2.1vw,20px);color:var(--muted);text-wrap:pretty}
.verdict strong{color:var(--ink);white-space:nowrap}
.noticed{margin:6px 0 0}
.tiles{display:flex;flex-wrap:wrap;gap:18px 40px;margin:34px 0 0}
dl,dd,dt{margin:0}
dt{color:var(--muted);font-size:13px}
nav{border-block:1px solid var(--line);padding:11px 0}
nav ul{display:flex;flex-wrap:wrap;gap:4px 22px;margin:0;padding:0;list-style:none;font-size:14px}
nav a{color:var(--muted);text-decoration:none}nav a:hover{color:var(--accent);text-decoration:underline}
section{display:grid;grid-template-columns:minmax(0,1fr);gap:20px 56px;padding:52px 0;
border-bottom:1px solid var(--line);
scroll-margin-top:8px}
@media (min-width:900px){section{grid-template-columns:220px minmax(0,1fr)}
.lead{position:sticky;top:28px;align-self:start}}
h2{margin:0;font-size:21px;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
.lead p{margin:8px 0 0;color:var(--muted);font-size:14.5px;text-wrap:pretty}
h3{margin:34px 0 4px;font-size:16px}
.body>:first-child{margin-top:0}.body p{margin:0 0 12px}
.quiet,.aside,figcaption,caption{color:var(--muted);font-size:14px}
section:has(.body>.missing:only-child){padding:28px 0}
.missing,.calm{color:var(--muted)}.calm{color:var(--ink);font-size:18px}
figure{margin:0}
figure img{display:block;max-width:100%;height:auto;border-radius:6px;cursor:zoom-in}
.pixels{image-rendering:pixelated}
figcaption{margin-top:10px}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(146px,148px));gap:18px 14px;margin-top:14px}
.strip figcaption{margin-top:4px;font-size:13px}
.map{max-width:620px}
.body .aside{margin-top:24px}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:36px 40px}
table{border-collapse:collapse;width:100%;text-align:left}
caption{text-align:left;padding-bottom:8px}
th,td{padding:10px 20px 10px 0;border-top:1px solid var(--line);vertical-align:top;font-weight:400}
thead th{color:var(--muted);font-size:13px;border-top:0;padding-block:4px}
tbody th{font-weight:600}tbody tr:last-child>*{border-bottom:1px solid var(--line)}
.figure{text-align:right;white-space:nowrap}.brief{white-space:nowrap}td.figure{font-weight:600}
.note{display:block;color:var(--muted);font-weight:400;font-size:14px;max-width:40em}
.facts>div{display:grid;grid-template-columns:minmax(96px,150px) minmax(0,1fr);gap:16px;padding:9px 0;
border-top:1px solid var(--line)}
.facts>div:first-child{border-top:0}.facts dt{font-size:14px;padding-top:1px}
.facts ul{margin:0;padding-left:1.1em}
.facts .facts>div:first-child{padding-top:0}
.counts{width:auto;font-size:14px}.counts th,.counts td{padding:3px 14px 3px 0;border:0!important;
font-weight:400}
.counts caption{padding-bottom:4px}.counts th{max-width:220px}
.gauge{width:min(240px,40vw);vertical-align:middle!important}
.gauge span{display:block;height:8px;min-width:1px;border-radius:2px;background:var(--c1)}
.card{border:1px solid var(--line);border-left:4px solid var(--note);border-radius:8px;background:var(--card);
padding:18px 22px;
margin:0 0 16px}
.card.warning,.card.error{border-left-color:var(--warn)}
.card h3{margin:0}.card p{margin:0 0 10px}
.card dl>div{display:grid;grid-template-columns:minmax(80px,112px) minmax(0,1fr);gap:14px;padding:4px 0}
.card dt{padding-top:2px}
.badge{margin-left:6px;padding:1px 8px;border:1px solid currentColor;border-radius:99px;color:var(--muted);
font-size:12px;
font-weight:500;vertical-align:2px}
pre{margin:0 0 16px;padding:12px 16px;border:1px solid var(--line);border-radius:8px;background:var(--card);
overflow-x:auto;
font-size:13.5px;line-height:1.5}
.body .quiet+pre{margin-top:-6px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
details{margin-top:14px}summary{cursor:pointer;color:var(--accent)}
details pre{margin-top:12px;max-height:70vh;overflow:auto}
pre.text{margin:0;padding:8px 0;border:0;border-top:1px solid var(--line);border-radius:0;background:none;font:inherit;
min-height:1.5em;white-space:pre-wrap;overflow-wrap:anywhere}
footer{padding:28px 0 56px;color:var(--muted);font-size:14px}.faults{padding-left:1.1em}
dialog{border:0;padding:0;background:none;max-width:none;max-height:none}dialog::backdrop{background:#000c}
dialog img{display:block;width:min(92vw,92vh);height:auto;max-height:94vh;object-fit:contain;cursor:zoom-out}
@media print{nav,details:not([open]){display:none}section{break-inside:avoid;padding:24px 0}}
@media (max-width:480px){.facts>div,.card dl>div{grid-template-columns:minmax(0,1fr);gap:0}
.tiles{gap:14px 32px}
.strip{grid-template-columns:repeat(2,minmax(0,1fr))}.strip img{width:100%!important}}
@media (max-width:620px){.scores thead{display:none}.scores tr{display:flex;flex-wrap:wrap;gap:2px 10px;
padding:12px 0;border-top:1px solid var(--line)}.scores th,.scores td{border:0!important;padding:0}
.scores th{flex:1 0 100%}

.scores .better{color:var(--muted)}.scores .better::after{content:" is better"}}
"""
