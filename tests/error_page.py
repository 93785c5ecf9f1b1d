"""Writes docs/errors.md from the source: every error code, what is said with it, and the remedy.

    python tests/error_page.py

A test keeps the page in step with the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "errors.md"
HEAD = """# Errors

Every error is one line, `seisei VERB: error: WHERE: PROBLEM; REMEDY`. The exit code is 2 where a request cannot be
carried out, 3 where disk or memory is short, and 4 where training diverges. With `--json` the error has the code below.
Where a code has a `*`, the letters of the verb stand there: `E-*-01` is `E-SMP-01` of `sample`. `…` is what was found.

This page is written by `python tests/error_page.py` from the source.

| code | what is said | what to do |
|---|---|---|
"""


def text_of(node: ast.expr | None, names: dict[str, list[ast.expr]], depth: int = 0) -> str:
    """What an expression says, with … for what only a run knows."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left, names, depth) + text_of(node.right, names, depth)
    if isinstance(node, ast.IfExp):
        return text_of(node.body, names, depth) or text_of(node.orelse, names, depth)
    if isinstance(node, ast.Name) and node.id in names and depth < 3:
        return text_of(names[node.id][-1], names, depth + 1)
    return "…"


def errors(source: str) -> Iterator[tuple[str, str, str]]:
    """(code, problem, remedy) of every error that a module raises by a literal code."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        names: dict[str, list[ast.expr]] = {}
        nodes = [node for node in ast.walk(function) if isinstance(node, (ast.stmt, ast.expr))]
        nodes.sort(key=lambda node: (node.lineno, node.col_offset))
        for node in nodes:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Tuple)
                and isinstance(node.value, ast.Tuple)
            ):
                for target, value in zip(node.targets[0].elts, node.value.elts, strict=False):
                    if isinstance(target, ast.Name):
                        names.setdefault(target.id, []).append(value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                code = node.args[0] if node.args else None
                if (
                    len(node.args) >= 4
                    and isinstance(code, ast.Constant)
                    and re.fullmatch(r"E-.+-\d+", str(code.value))
                ):
                    yield str(code.value), text_of(node.args[2], names), text_of(node.args[3], names)


ERRORS = ("UserError", "ResourceError", "DivergenceError")


def page() -> str:
    """The whole page."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for code, problem, remedy in errors(path.read_text("utf-8")):
            found.setdefault(code, {})[problem, remedy] = None
    rows = []

    def cell(text: str) -> str:
        return re.sub("…+", "…", re.sub(r"\s+", " ", text)).replace("|", "\\|").strip() or "…"

    for code in sorted(found, key=lambda c: (c.split("-")[1], int(c.split("-")[2]))):
        for number, (problem, remedy) in enumerate(found[code]):
            rows.append(f"| {f'`{code}`' if not number else ''} | {cell(problem)} | {cell(remedy)} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(PAGE)
