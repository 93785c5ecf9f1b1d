"""What reaches a terminal: no name of a class, a column or a file makes it do anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seisei.cli import progress
from seisei.cli.main import main
from seisei.cli.terminal import echo, echo_json
from seisei.errors import UserError
from seisei.modalities.image_io import save_png
from seisei.shell import printable

# The title of the window, red, the bell, C1's own escape, turned writing, the end of a line, a line of Unicode's own.
EVIL = "a\x1b]0;PWNED\x07\x1b[31m\x9b32m\u202eb\nc\u2028d\x7f"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
SMALL = ["--latent", "2", "--network", "mlp", "--width", "8", "--depth", "1", "--steps", "2", "--batch", "4"]


def data(root: Path, label: str = EVIL) -> Path:
    for name, seed in ((label, 0), ("b", 1)):
        (root / name).mkdir(parents=True)
        for i in range(8):
            save_png(root / name / f"{i}.png", np.random.default_rng(16 * seed + i).integers(0, 256, (8, 8), np.uint8))
    return root


def table(path: Path) -> Path:
    column = f'"{EVIL}",label\n'
    path.write_text(column + "".join(f'{i + 40 * (i % 2)},"{[EVIL, "b"][i % 2]}"\n' for i in range(40)), newline="")
    return path


def said(words: list[Any], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """What a command printed on both streams, which must be obeyed by no terminal, and forge no line."""
    capsys.readouterr()
    try:
        main([str(word) for word in words])
        ended = 0
    except SystemExit as error:
        ended = int(error.code or 0)
    found = capsys.readouterr()
    both = found.out + found.err
    assert ended == code, both
    assert not OBEYED.search(both), repr(both)
    assert not re.search(r"^(c|c\\u2028d.*)$", both, re.MULTILINE), both
    return both


def test_printable_keeps_what_people_write() -> None:
    kept = "生成　été naïve 👩‍👩‍👧 عربي हिन्दी\u200c \u00a0–×"
    assert printable(kept) == kept
    assert not OBEYED.search(printable(EVIL)) and "\n" not in printable(EVIL)
    assert printable("\ud800") == "\\ud800"


def test_json_keeps_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({EVIL: [EVIL, "été"]}, indent=1)
    printed = capsys.readouterr().out
    assert not OBEYED.search(printed) and "été" in printed
    assert json.loads(printed) == {EVIL: [EVIL, "été"]}


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb", "c")
    assert capsys.readouterr().out == "a\\nb\nc\n"


def test_remedies_name_columns_without_their_escapes() -> None:
    assert UserError("E-CHK-01", "x", "y", EVIL).remedy.isprintable()


def test_classes_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    root = data(tmp_path / f"data{EVIL}")
    assert "PWNED" in said(["check", root], capsys)
    assert EVIL in json.loads(said(["check", root, "--json"], capsys))["classes"]
    run = tmp_path / "runs" / f"R{EVIL}"
    said(["train", "vae", root, "--condition", "label", *SMALL, "--no-report", "-o", run], capsys)
    assert "PWNED" in said(["list"], capsys)
    for words in (
        ["sample", run, "-n", "2", "--label", "x"], ["sample", run, "-n", "2", "--label", EVIL + "x"],
        ["train", "vae", root, "--no-such", EVIL], ["train", EVIL], [EVIL], ["sample", EVIL],
        ["train", "vae", root, "-o", run, *SMALL], ["check", root / "nothing"], ["score", run, root / "x.png"],
    ):  # fmt: skip
        said(words, capsys, code=2)
    said(["score", run, root, "--importance-samples", "2"], capsys)
    assert EVIL in {path.name for path in root.iterdir()}


def test_classes_and_columns_of_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = table(tmp_path / "t.csv")
    assert "PWNED" in said(["check", rows, "--target", "label"], capsys)
    said(["check", rows, "--target", "nope"], capsys, code=2)
    said(["check", rows, "--ignore", "nope"], capsys, code=2)
    said(["train", "generative", rows, "--target", "label", "-o", "R", "--no-report"], capsys)
    printed = said(["predict", "R", rows, "--proba", "-o", "p.csv"], capsys)
    assert "PWNED" in printed
    assert EVIL in (tmp_path / "p.csv").read_bytes().decode()  # files keep the names
    said(["sample", "R", "-n", "2", "--label", "nope"], capsys, code=2)
    said(["score", "R", rows], capsys)


def test_the_display_shows_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Display() as display:
        for event in (
            {"event": "note", "what": EVIL}, {"event": "trouble", "what": EVIL},
            {"event": "watch", "symptom": EVIL, "evidence": EVIL, "cause": EVIL, "advice": EVIL},
            {"event": "remedy", "done": EVIL},
        ):  # fmt: skip
            display(event)
    assert not OBEYED.search(capsys.readouterr().err)


def test_one_place_prints() -> None:
    folder = Path(main.__code__.co_filename).parent
    for file in folder.glob("*.py"):
        if file.name not in ("terminal.py", "streams.py"):
            found = re.findall(r"(?<![\w.])print\(|sys\.std(?:out|err)\.write", file.read_text("utf-8"))
            assert not found, f"{file.name}: print by seisei.cli.terminal"
