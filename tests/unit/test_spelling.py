"""Numbers, dates and words as people write them in tables: read, or refused with a remedy that works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seisei.data.dataset import Dataset
from seisei.data.types import read_dataset, read_inputs
from seisei.errors import UserError
from seisei.modalities.table import Table

N = 40
Y = ["no", "yes"] * (N // 2)


def table(words: list[str], name: str = "v") -> dict[str, list[str]]:
    return {name: words, "b": [f"{i * 37 % 11}.{i % 10}" for i in range(N)], "y": Y}


def refused(given: object, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read_dataset(given, target="y", **options)  # type: ignore[arg-type]
    return caught.value


def facts(data: Dataset) -> dict[str, str]:
    return {one["name"]: one["kind"] for one in data.report["columns"] if "kind" in one}


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (lambda v: f"{30000 + 7 * v:,}", "'30,000' has a thousands separator"),
        (lambda v: f"{3000000 + 7 * v:,}", "'3,000,000' has a thousands separator"),
        (lambda v: f"{30000 + 7 * v:,}".replace(",", " "), "'30 000' has a thousands separator"),
        (lambda v: f"{30000 + 7 * v:,}".replace(",", "\u202f"), "has a thousands separator"),
        (lambda v: f"{v},5", "'0,5' has a decimal comma"),
        (lambda v: f"${v}.99", "'$0.99' has a currency sign"),
        (lambda v: f"{v} €", "'0 €' has a currency sign"),
        (lambda v: f"{v}.5 kg", "'0.5 kg' has a unit"),
        (lambda v: f"{v}.5%", "'0.5%' has a percent sign"),
        (lambda v: f"−{v}.5" if v % 2 else str(v), "'−1.5' has a minus sign that is not the ASCII one"),
        (lambda v: f"({v})" if v % 2 else str(v), "'(1)' has parentheses for a minus sign"),
        (lambda v: f"<{v}.5" if v % 4 == 1 else str(v), "'<1.5' has a bound instead of a value"),
        (lambda v: f"{1 + v % 28:02} Jan {2000 + v}", "'01 Jan 2000' has its month in words"),
        (lambda v: f"Jan {1 + v % 28}, {2000 + v}", "'Jan 1, 2000' has its month in words"),
        (lambda v: f"{v % 24}:{v:02}", "'0:00' is a time of day"),
        (
            lambda v: f"{2000 + v}-01-02" if v % 2 else f"02.01.{2000 + v}",
            "dates have several formats, such as '02.01.2000' and '2001-01-02'",
        ),
    ],
)
def test_numbers_and_dates_in_a_spelling_that_is_not_read(write: object, problem: str) -> None:
    words = [write(v) for v in range(N)]  # type: ignore[operator]
    error = refused(table(words))
    assert error.code == "E-CHK-22" and problem in error.problem
    # What the error advises works.
    assert "--ignore v" in error.remedy or "--categorical v" in error.remedy
    named = {"ignore": ["v"]} if "--ignore" in error.remedy else {"categorical": ["v"]}
    assert facts(read_dataset(table(words), target="y", **named))["b"] == "number"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words", [["10 mg", "20 mg", "50 mg", "80 mg"], ["25%", "50%"], ["$1", "$5", "$10"], ["1:30", "2:30"]]
)
def test_a_few_words_with_units_are_categories(words: list[str]) -> None:
    assert facts(read_dataset(table((words * N)[:N]), target="y"))["v"] == "category"


def test_what_is_no_number_among_numbers_is_listed_and_can_be_declared_missing() -> None:
    odd = ["n/k", "12 kg", "-"]
    words = [odd[v % 3] if v % 4 == 0 else f"{v}.25" for v in range(N)]
    error = refused(table(words))
    assert error.problem == "column 'v': 30 of 40 values are numbers, these are not: 'n/k', '12 kg', '-'"
    assert "--missing n/k --missing '12 kg' --missing -" in error.remedy
    data = read_dataset(table(words), target="y", missing=odd)
    assert facts(data)["v"] == "number" and data.report["columns"][0]["missing"] == 10


def test_booleans_in_any_case() -> None:
    words = [["No", "Yes", "NO", "yes", "No", "Yes"][v % 6] for v in range(N)]
    data = read_dataset(table(words), target="y")
    column = data.schema.x.columns[0] if isinstance(data.schema.x, Table) else None
    assert column is not None and (column.kind, column.levels) == ("boolean", ("No", "Yes"))
    assert data.x[:, 0].tolist() == [float(word.lower() == "yes") for word in words]


def test_labels_in_any_case_at_prediction() -> None:
    words = [["No", "Yes", "no", "YES"][v % 4] for v in range(N)]
    data = read_dataset({"v": [str(v) for v in range(N)], "w": [str(v % 7) for v in range(N)], "y": words}, target="y")
    new = read_inputs(
        data.schema, {"v": ["1", "2"], "w": ["1", "2"], "y": ["nO", "yEs"]}, verb="predict", labels="want"
    )
    assert new.y is not None and new.y.tolist() == [0, 1]


def test_compact_dates_are_numbers_with_a_note() -> None:
    data = read_dataset(table([f"2024{1 + v % 12:02}{1 + v % 28:02}" for v in range(N)]), target="y")
    assert facts(data)["v"] == "number" and any("20240101 may be a date" in note for note in data.report["notes"])


def test_formulas_are_noted() -> None:
    data = read_dataset(table(["=1+1" if v % 2 else "red" for v in range(N)]), target="y")
    assert any("'=1+1' is a formula" in note for note in data.report["notes"])


BODY = [f"{v * 37 % 11}.5,{'red' if v % 3 else 'blue'},{Y[v]}" for v in range(N)]


def written(path: Path, lines: list[str], end: str = "\n") -> str:
    path.write_bytes((end.join(lines) + end).encode())
    return str(path)


def test_layouts_of_text_files(tmp_path: Path) -> None:
    whole = {"target": "y", "validation": 0.0, "test": 0.0}
    want = read_dataset(written(tmp_path / "t.csv", ["a,k,y", *BODY]), **whole)  # type: ignore[arg-type]
    excel = ["sep=;", "a;k;y", *(line.replace(",", ";") for line in BODY)]
    for name, lines in (
        ("pipe.csv", ["a|k|y", *(line.replace(",", "|") for line in BODY)]),
        ("excel.csv", excel),
        ("trailing.csv", ["a,k,y,", *(f"{line}," for line in BODY)]),
        ("index.csv", [",a,k,y", *(f"{row},{line}" for row, line in enumerate(BODY))]),
    ):
        data = read_dataset(written(tmp_path / name, lines), **whole)  # type: ignore[arg-type]
        assert data.schema.x.to_json()["columns"] == want.schema.x.to_json()["columns"], name
        assert np.array_equal(data.x, want.x) and data.report["notes"], name
    wrong = refused(written(tmp_path / "excel.csv", [*excel, "1;2"]))
    assert wrong.where == f"excel.csv:{len(excel) + 1}"


@pytest.mark.parametrize(
    ("lines", "end", "problem", "remedy"),
    [
        (
            ["a k y", *(line.replace(",", " ") for line in BODY)],
            "\n",
            "separated by spaces: 3 pieces",
            "commas or tabs",
        ),
        (["a,k,y", *BODY], "\r", "lines end with CR alone", "Unix or Windows line ends"),
        (["a,k,y", *BODY[:3], "1\0.5,red,no"], "\n", "holds zero bytes", "UTF-8"),
        (["a,k,y,", *(f"{line},7" for line in BODY)], "\n", "column 4 has no name", "name it"),
        (
            [",a,k,y", *(f"{row % 5}.5,{line}" for row, line in enumerate(BODY))],
            "\n",
            "column 1 has no name",
            "name it",
        ),
    ],
)
def test_layouts_that_are_refused(tmp_path: Path, lines: list[str], end: str, problem: str, remedy: str) -> None:
    error = refused(written(tmp_path / "t.csv", lines, end))
    assert error.code == "E-CHK-21" and problem in error.problem and remedy in error.remedy


def test_columns_in_another_case_are_renamed_by_the_remedy() -> None:
    data = read_dataset({"a": [str(v) for v in range(N)], "Kind": ["r", "b"] * 20, "y": Y}, target="y")
    with pytest.raises(UserError) as caught:
        read_inputs(data.schema, {"A": ["1"], "Kind": ["r"]}, verb="predict")
    assert caught.value.remedy == "rename 'A' to 'a'"
    assert len(read_inputs(data.schema, {"a": ["1"], "Kind": ["r"]}, verb="predict")) == 1
