"""CSS of pages on classifiers, in addition to that of every page; `--k` is the color of a model or a class."""

COLORS = "".join(f".k{i}{{--k:var(--c{i})}}" for i in range(1, 8))

# Shared by reports of classifiers and comparisons.
SHARED = """
.top{margin:0 0 8px!important;color:var(--ink);font-size:15px;line-height:1.4}
.beside{display:grid;gap:24px 48px;align-items:center}
@media (min-width:1080px){.beside{grid-template-columns:minmax(0,660px) minmax(200px,1fr)}}
@media (min-width:760px){.beside.even{grid-template-columns:minmax(0,420px) minmax(0,1fr);align-items:start}}
.beside p{text-wrap:pretty}
.scroll{overflow-x:auto}
.matrices{display:flex;flex-wrap:wrap;gap:36px 52px;margin-top:18px}.matrices>*{max-width:100%}
.heat{width:auto;font-size:13.5px}.heat caption{color:var(--ink);font-size:15px;padding-bottom:10px}
.heat th,.heat td{border:0!important;padding:5px 6px;text-align:center;vertical-align:middle}
.heat tbody td{min-width:var(--cell);width:var(--cell);height:calc(var(--cell)*.85);
box-shadow:inset 0 0 0 1px var(--page)}
.heat :is(th,thead td){font-weight:400;color:var(--muted);font-size:13px}
.heat th span{display:inline-block;white-space:nowrap}
.heat tbody th{position:sticky;left:0;background:var(--page);text-align:right;padding-right:10px}
.heat thead :is(th,td){vertical-align:bottom}
.heat .turned span{writing-mode:vertical-rl;transform:rotate(180deg)}
.heat .hit{background:color-mix(in srgb,var(--c1) var(--d),transparent)}
.heat .slip{background:color-mix(in srgb,var(--c2) var(--d),transparent)}
.heat .none{color:color-mix(in srgb,var(--muted) 65%,transparent)}
.heat .recall{color:var(--muted);padding-left:14px;white-space:nowrap;text-align:right}
.large h3{margin-top:28px}.pairs{max-width:640px;font-size:15px}.pairs th,.pairs td{padding-block:7px}
.drawn,.behind{width:auto;font-size:14.5px}.drawn :is(th,td),.behind :is(th,td){padding:6px 24px 6px 0}
.drawn td.figure,.behind td.figure{font-weight:400}.drawn td,.drawn thead th{white-space:nowrap}
.drawn caption{color:var(--ink);font-size:15px}.body>.scroll+.scroll{margin-top:36px}
.scroll caption{max-width:calc(100vw - 40px)}
.body>.scroll{container-type:inline-size}.body>.scroll caption{position:sticky;left:0;max-width:min(64em,100cqw)}
.chart .whisker{stroke-width:1.25;fill:none;opacity:.55}
.chart .bar{opacity:.45}
.chart .frame{fill:none;stroke:var(--line,#e3e1dc)}
"""

REPORT = (
    SHARED
    + """
.heads{display:grid;grid-template-columns:repeat(var(--n),minmax(0,1fr));max-width:100%;margin-bottom:6px;
color:var(--muted);font-size:14px;text-align:center}
.heads span{overflow:hidden;white-space:nowrap;text-overflow:ellipsis;padding:0 2px}
.first .drawn :is(th,td):first-child{position:sticky;left:0;background:var(--page);font-weight:600}
.first .drawn thead th:first-child{color:var(--ink)}
@media (min-width:760px){.beside.diagram{grid-template-columns:minmax(0,330px) minmax(0,1fr);align-items:center}}
.diagram figure{max-width:330px}
.named td:last-child{white-space:normal;min-width:240px}
"""
)

STYLE = (
    COLORS
    + SHARED
    + """
body{max-width:1440px}
.verdict{max-width:50em}.verdict strong{white-space:normal}
.who{font-weight:600;overflow-wrap:break-word;hyphens:auto}
.key{display:inline-block;width:11px;height:11px;margin-right:7px;border-radius:3px;background:var(--k);
box-shadow:0 0 0 1px color-mix(in srgb,var(--ink) 18%,transparent)}
.across{display:grid;gap:32px 36px;align-items:end;margin-top:18px;max-width:calc(var(--n)*436px - 36px);
grid-template-columns:repeat(auto-fill,
minmax(min(100%,max(var(--least,210px),(100% - (var(--n) - 1)*36px)/var(--n))),1fr))}
.small{--least:150px;gap:24px 20px;max-width:calc(var(--n)*280px - 20px)}
.small.across{grid-template-columns:repeat(auto-fill,
minmax(max(150px,(100% - (var(--n) - 1)*20px)/var(--n)),1fr))}
.across>*{min-width:0;max-width:400px;margin:0}
.pane{align-self:center;padding:28px 20px;border:1px dashed var(--line);border-radius:8px;font-size:15px}
.tally{max-width:420px}.tally>div{grid-template-columns:minmax(0,1fr) auto!important}
.versus{width:100%;min-width:calc(180px + var(--n)*138px);max-width:calc(280px + var(--n)*200px);table-layout:fixed}
.versus th:first-child{width:25%}
.versus :is(th,td){padding-right:14px}.versus :is(th,td):last-child{padding-right:0}
.versus caption,.able caption{max-width:64em;padding-bottom:16px}
.versus td,.versus thead th+th{text-align:right}
.versus th:first-child{position:sticky;left:0;background:var(--page)}
.versus thead th{vertical-align:bottom;padding-bottom:10px;font-size:14px;color:var(--ink)}
.versus .note,.able .note{font-size:13px}.versus thead .note{margin-left:auto}
.versus thead .who{hyphens:auto;overflow-wrap:break-word}
.versus thead .key{display:block;width:26px;height:4px;margin:0 0 7px auto;box-shadow:none}
.value{display:block;white-space:nowrap}
.off{color:var(--muted);font-size:13.5px;white-space:nowrap;font-weight:400}
.best .value,.tied .value{font-weight:650}
.tag{display:inline-block;padding:0 7px;border-radius:99px;background:var(--accent);
color:var(--page);
font-size:11.5px;line-height:17px;font-weight:600;vertical-align:1.5px}
.tag.even{background:none;color:var(--muted);box-shadow:inset 0 0 0 1px var(--muted)}
.able .note{white-space:normal}.able td,.able thead th+th{text-align:center;padding-inline:8px;width:13%}
.able thead th{white-space:nowrap;color:var(--ink);font-size:15px;vertical-align:bottom;padding-bottom:10px}
.able tbody td{vertical-align:middle}.able .yes{color:var(--accent);font-size:20px;font-weight:700}
.able .no{color:var(--muted)}
.formula{white-space:nowrap;font-family:Georgia,"Liberation Serif","Noto Serif",serif;font-style:italic;
margin-left:.4em}
.spoken{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;margin:0 0 8px;padding:0;list-style:none;font-size:15px}
.body h3 .of{font-weight:400;color:var(--muted);margin-left:.5em}
#reproduce pre{white-space:pre-wrap;overflow-wrap:anywhere}
.made :is(th,td){min-width:110px;overflow-wrap:anywhere}
.narrow{display:none}
@media (max-width:640px){.wide{display:none}.narrow{display:block}
.versus thead{display:none}.versus,.versus :is(caption,tbody,tr,th,td){display:block;width:auto!important;min-width:0}
.versus tr{padding:16px 0;border-top:1px solid var(--line)}
.versus :is(th,td){border:0!important;padding:0!important}.versus tbody th{margin-bottom:8px}
.versus td{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 10px;align-items:baseline;
padding:4px 0 4px 10px!important;margin-top:4px;border-left:3px solid var(--k)!important}
.versus td::before{content:attr(data-who);grid-row:span 3;text-align:left;font-size:14px;overflow-wrap:anywhere}
.versus td>*{grid-column:2}
.able tr{display:grid;grid-template-columns:repeat(5,minmax(0,1fr))}
.able :is(th,td){width:auto!important;padding:6px 0!important}.able tbody td{border:0!important}
.able tr+tr{border-top:1px solid var(--line)}.able th{border:0!important}.able tbody th{grid-column:1/-1}
.able thead th:first-child{display:none}.able thead .note{display:none}
.made thead{display:none}.made :is(tr,th,td){display:block;border:0!important;padding:2px 0}
.made tr{border-top:1px solid var(--line)!important;padding:12px 0}
.made td::before{content:attr(data-name);display:inline-block;min-width:64px;color:var(--muted);font-size:14px}
}
"""
)
