"""Documents are executed: doctests, marked blocks of Markdown files, examples; and every relative link leads somewhere.

A block is run when the line before it is ``<!-- run -->``: in order, with the other such blocks of its file, in a
temporary folder. Python blocks of a file share one namespace. Of a shell block each line is one command; those that
begin with ``seisei`` run in this process, which is what makes them quick.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import seisei

ROOT = Path(__file__).parents[1]
WANTED = ["README.md", "README.ja.md", "CHANGELOG.md", "docs/architecture.md", "docs/vae.md", "docs/log.md"]
DOCUMENTS = sorted({*WANTED, *(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])})
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
# Kernels for a GPU are imported where there is one alone.
APART = ("seisei.__main__", "seisei.nn.quantizers.triton_kernels")
MODULES = sorted(m.name for m in pkgutil.walk_packages(seisei.__path__, "seisei.") if m.name not in APART)


# ---- doctests ----


@pytest.mark.parametrize("name", ["seisei", *MODULES])
def test_doctests(name: str) -> None:
    module = importlib.import_module(name)
    torch.manual_seed(0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    out = io.StringIO()
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs={"np": np, "torch": torch}):
        runner.run(test, out=out.write)
    assert runner.failures == 0, out.getvalue()


def test_there_are_doctests_and_a_wrong_one_fails() -> None:
    found = [t for n in MODULES for t in doctest.DocTestFinder().find(importlib.import_module(n)) if t.examples]
    assert len(found) >= 15
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    runner = doctest.DocTestRunner()
    runner.run(wrong, out=lambda _: None)
    assert runner.failures == 1


# ---- documents ----


@pytest.mark.parametrize("name", WANTED)
def test_document_is_there(name: str) -> None:
    assert (ROOT / name).is_file() and len((ROOT / name).read_text("utf-8")) > 200


def anchor(heading: str) -> str:
    """GitHub's name of a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[*`]", r"\1", heading.strip())
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M))


def broken_links(path: Path) -> list[str]:
    """Relative links of a document that lead nowhere, the headings they name included."""
    found = []
    text = without_code(path.read_text("utf-8"))
    links = re.findall(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    links += re.findall(r"^\[[^]]+\]:\s*(\S+)", text, re.M)
    for link in links:
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        place, _, part = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or not target.is_relative_to(ROOT):
            found.append(link)
        elif part and target.suffix == ".md":
            headings = re.findall(
                r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", target.read_text("utf-8"), flags=re.S | re.M), re.M
            )
            if part not in map(anchor, headings):
                found.append(link)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    assert (ROOT / name).is_file(), f"{name} is missing"
    assert broken_links(ROOT / name) == []


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A head\n[a](page.md#a-head) [b](no.md) [c](#no) ![d](x.png) [e](https://x.y/z)"
        ' `[f](f.md)` <img src="i.png">\n[g]: g.md\n'
    )
    assert broken_links(page) == ["no.md", "#no", "x.png", "i.png", "g.md"]


# ---- blocks ----


def blocks(text: str) -> list[tuple[int, str, str]]:
    """(line, language, content) of every block that is to be run."""
    fences = re.finditer(r"^<!-- run -->\n+```(\w+)\n(.*?)^```$", text, re.S | re.M)
    return [(text.count("\n", 0, f.start()) + 1, f[1], f[2]) for f in fences]


def seisei_command(words: list[str]) -> None:
    from seisei.cli.main import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as trouble:
        try:
            main(words)
            code: object = 0
        except SystemExit as stopped:
            code = stopped.code or 0
    assert code == 0, f"seisei {shlex.join(words)} ended with {code}:\n{out.getvalue()}\n{trouble.getvalue()}"


def run_blocks(text: str, name: str, folder: Path) -> int:
    """Run a document's blocks in a folder; how many there were."""
    found, namespace = blocks(text), {"__name__": "__document__"}
    with contextlib.chdir(folder):
        for line, language, content in found:
            if language == "python":
                # The document's own line numbers in a traceback.
                code = compile("\n" * (line + 1) + content, name, "exec")
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(code, namespace)
            elif language in ("sh", "shell", "bash", "console"):
                for command in content.replace("\\\n", " ").splitlines():
                    words = shlex.split(command.strip().removeprefix("$ "), comments=True)
                    if words[:1] == ["seisei"]:
                        seisei_command(words[1:])
                    elif words:
                        subprocess.run(command, shell=True, check=True, capture_output=True, timeout=120)
            else:
                raise AssertionError(f"{name}:{line}: how is {language} run?")
    return len(found)


@pytest.fixture
def few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_run(name: str, tmp_path: Path, few_threads: None) -> None:
    assert (ROOT / name).is_file(), f"{name} is missing"
    text = (ROOT / name).read_text("utf-8")
    count = run_blocks(text, name, tmp_path)
    assert count == text.count("<!-- run -->"), "a mark that no block follows"
    assert count or name not in ("README.md", "docs/vae.md"), f"{name} has no block that is run"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<!-- run -->\n```python\nassert 1 == 2\n```\n", AssertionError),
        ("<!-- run -->\n```sh\nseisei no-such-verb\n```\n", AssertionError),
        ("<!-- run -->\n```sh\nfalse\n```\n", subprocess.CalledProcessError),
        ("<!-- run -->\n```python\na = 1\n```\n\n<!-- run -->\n\n```python\nassert a == 2\n```\n", AssertionError),
        ("<!-- run -->\n```text\nx\n```\n", AssertionError),
    ],
)
def test_a_block_that_fails_fails(text: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        run_blocks(text, "page.md", tmp_path)


def test_blocks_without_the_mark_are_not_run(tmp_path: Path) -> None:
    assert (
        run_blocks(
            "```python\n1 / 0\n```\n<!-- run -->\n```python\nopen('here', 'w').close()\n```\n", "page.md", tmp_path
        )
        == 1
    )
    assert (tmp_path / "here").exists()


def test_commands_in_documents_name_verbs_that_exist() -> None:
    """Also those that are not run: every ``seisei …`` at the start of a line of a block begins with a real verb."""
    from seisei.cli.main import VERBS

    for name in DOCUMENTS:
        text = (ROOT / name).read_text("utf-8") if (ROOT / name).is_file() else ""
        for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.S | re.M):
            for word in re.findall(r"^(?:\$ )?seisei ([a-z]\S*)", block, re.M):
                assert word in VERBS, f"{name}: seisei {word}"


# ---- examples ----


def test_there_are_examples() -> None:
    assert EXAMPLES, "examples/ has one runnable file a family"


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_threads: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(str(path), run_name="__main__")
    assert out.getvalue().strip() or any(tmp_path.iterdir()), "an example shows something"
    assert not [p for p in ROOT.glob("examples/*") if p.suffix not in (".py", ".md", "") and p.is_file()], (
        "an example wrote beside itself"
    )


# ---- images ----


def test_every_image_has_its_attribution_and_license() -> None:
    folder = ROOT / "docs" / "images"
    rows = {
        name: row
        for row in (folder / "README.md").read_text().splitlines()
        for name in re.findall(r"`([\w.-]+\.(?:png|jpg))`", row.split("|")[1] if row.startswith("|") else "")
    }
    assert set(rows) == {path.name for path in folder.iterdir()} - {"README.md"}
    assert all(re.search(r"CC BY|Apache-2.0|MIT", row) for row in rows.values())
    showing = [path for path in DOCUMENTS if re.search(r"images/[\w-]+\.(png|jpg)", (ROOT / path).read_text())]
    assert showing and all("images/README.md" in (ROOT / path).read_text() for path in showing)


def test_the_page_of_errors_is_that_of_the_source() -> None:
    import error_page

    assert error_page.PAGE.read_text("utf-8") == error_page.page(), "run: python tests/error_page.py"
    assert error_page.page().count("| `E-") > 100
    source = "def f():\n    problem = f'has {n} rows'\n    raise UserError('E-X-01', 'data', problem, 'add some')"
    (found,) = error_page.errors(source)
    assert found == ("E-X-01", "has … rows", "add some")


def commands_in(text: str) -> list[list[str]]:
    """The words of every command line of the program in a document: in blocks, and in backquotes."""
    joined = text.replace("\\\n", " ")
    lines = [line.split("#")[0] for line in re.findall(r"^\s*(?:\$ )?(seisei [a-z].*)$", joined, re.M)]
    lines += re.findall(r"`(seisei [a-z][^`\n]*)`", text)
    found = []
    for line in lines:
        # What the program answers begins with its name too.
        if re.match(r"seisei [a-z]+:", line):
            continue
        # After two spaces comes an explanation, and after | > && another command.
        with contextlib.suppress(ValueError):
            found.append(shlex.split(re.split(r"\s{2,}|[|>&;]|`| → ", line)[0]))
    return found


DOCUMENTS = [ROOT / "README.md", ROOT / "README.ja.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if p.name not in ("errors.md",)], ids=lambda p: p.name)
def test_every_command_of_a_document_has_the_options_that_it_names(path: Path) -> None:
    from seisei.cli.main import _train_app, build
    from seisei.recipes import RECIPES

    verbs = build()[1]
    wrong = []
    for words in commands_in(path.read_text("utf-8")):
        verb, rest = words[1] if len(words) > 1 else "", words[2:]
        if verb not in verbs:
            wrong.append(f"{shlex.join(words)}: no such verb")
            continue
        known = verbs[verb]
        if verb == "train" and rest and rest[0] in RECIPES:
            known = _train_app(["train", rest[0]])[1]
        # A name that Python keeps for itself has an underscore at its end.
        options = {f"--{name.strip('_').replace('_', '-')}" for name in known.annotations} | {"-n", "-o", "--help"}
        options |= {f"--no-{name.replace('_', '-')}" for name in known.annotations}
        typed = [word for word in rest if re.fullmatch(r"-(-[a-z][a-z-]*|[a-z])", word)]
        wrong += [f"{shlex.join(words)}: no {word}" for word in typed if word not in options]
    assert wrong == []


def test_a_command_with_an_option_of_before_would_be_noticed() -> None:
    assert commands_in("    seisei train gan x --penalty 1   # so\nsee `seisei sample RUN -n 3`") == [
        ["seisei", "train", "gan", "x", "--penalty", "1"], ["seisei", "sample", "RUN", "-n", "3"],
    ]  # fmt: skip


def code_blocks(text: str) -> list[str]:
    """Blocks of commands, Python and equations, with their language, as they stand."""
    return re.findall(r"^```(?:sh|python|math)\n.*?^```$", text, re.S | re.M)


TRANSLATED = [("README.md", "README.ja.md"), ("docs/guide.md", "docs/guide.ja.md")]


@pytest.mark.parametrize(("english", "japanese"), TRANSLATED)
def test_a_translation_has_the_same_commands_equations_and_images(english: str, japanese: str) -> None:
    ours, theirs = ((ROOT / name).read_text("utf-8") for name in (english, japanese))
    assert code_blocks(ours) and code_blocks(ours) == code_blocks(theirs)
    assert commands_in(ours) == commands_in(theirs)
    images = [re.findall(r"(?:\]\(|src=\")([\w/.-]+\.(?:png|jpg))", text) for text in (ours, theirs)]
    assert images[0] and images[0] == images[1]


@pytest.mark.parametrize("name", [name for pair in TRANSLATED for name in pair])
def test_front_page_and_guide_are_light(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    long = [line for line in text.splitlines() if len(line) > 150 and not line.startswith("|")]
    assert long == []
    images = re.findall(r"(?:\]\(|src=\")([\w/.-]+\.(?:png|jpg))", text)
    heavy = [image for image in images if (ROOT / name).parent.joinpath(image).stat().st_size > 150_000]
    assert heavy == []
