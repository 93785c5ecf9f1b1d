"""The contract of a refusal, as a fixture: one line, the remedy, exit code 2, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import tree

from seisei.cli.main import main

IMPERATIVES = set(
    "add attach check chmod choose convert copy correct decode download encode export free give install keep leave list"
    " lower make name paint pass put raise re-copy remove rename replace restore resume run save see set start stop"
    " train upgrade use wait write get did unpack".split()
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must be refused, and looks at everything the contract says."""

    def run(words: list[Any], code: str, *mentions: str) -> str:
        before, texts = tree(place), [str(w) for w in words]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(texts)
        out, err = capsys.readouterr()
        assert ended.value.code == 2, err
        assert out == ""
        assert err.count("\n") == 1 and err.endswith("\n"), err
        assert err.startswith(f"seisei {texts[0]}: error: ") and "Traceback" not in err
        for word in mentions:
            assert word in err, (word, err)
        remedies = err.split("; ", 1)[1].strip()
        assert {p.strip().split()[0].strip("`,:?") for p in remedies.split(";")} & IMPERATIVES, err
        assert tree(place) == before, "something was written"
        with pytest.raises(SystemExit):
            main([*texts, "--json"])
        out, second = capsys.readouterr()
        said = json.loads(second)["error"]
        assert (said["code"], out) == (code, ""), second
        assert said["where"] and said["remedy"]
        return err

    return run
