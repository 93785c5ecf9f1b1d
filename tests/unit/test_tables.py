"""Tables: reading, kinds of columns, roles, parts, new rows for a model, and what is refused, with exact answers."""

from __future__ import annotations

import gzip
import json
import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seisei.data.dataset import Dataset
from seisei.data.detect import open_source
from seisei.data.tables.column_types import recognize
from seisei.data.tables.encode_rows import CODES, read_rows
from seisei.data.tables.raw_table import read_sheet
from seisei.data.types import read_dataset, read_inputs
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.table import Column, RowCodes, Table
from seisei.schema import Modality, Schema

NAN = math.nan
AGE = Column("age", "number", mean=3.0, scale=250.0, low=-1000, high=1000)
PRICE = Column("price", "number", mean=-7.0, scale=30.0, decimals=2)
PET = Column("pet", "category", ("cat", "dog", "owl"))
PAID = Column("paid", "boolean", ("no", "Yes"))
DAY = Column("day", "date", mean=1000.0, scale=3000.0, form="%d.%m.%Y")
TABLE = Table((AGE, PRICE, PET, PAID, DAY), dropped=("id",), missing=("-999",))
SCHEMA = Schema(TABLE, Label(("bad", "good"), "class"))
ROW = {"age": 53, "price": 0.25, "pet": "dog", "paid": "Yes", "day": "02.01.1970"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "t.csv") -> str:
    Path(name).write_bytes(text.encode())
    return name


def csv(columns: dict[str, list[Any]], name: str = "t.csv") -> str:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return write("\n".join(lines) + "\n", name)


def refused(call: Any, *args: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return caught.value.code, str(caught.value)


def facts(data: Dataset) -> dict[str, str]:
    return {fact["name"]: fact["kind"] if fact["used"] == "x" else fact["used"] for fact in data.report["columns"]}


N = 40
NUMBERS = [i * 7 % 40 for i in range(N)]
CLASSES = ["good" if i % 3 else "bad" for i in range(N)]


# ---- the modality ----


def test_a_row_both_ways() -> None:
    assert isinstance(TABLE, Modality) and TABLE.noun == "row"
    assert TABLE.names == ("age", "price", "pet", "paid", "day") and TABLE.sizes == (0, 0, 3, 2, 0)
    assert TABLE.log_volume == math.log(250) + math.log(30) + math.log(3000)
    stored = TABLE.pack(ROW)
    assert stored.dtype == torch.float64 and stored.tolist() == [53, 0.25, 1, 1, 1]
    x = TABLE.unpack(stored)
    assert x.dtype == torch.float32 and torch.equal(x, TABLE.encode(ROW))
    assert x.tolist() == pytest.approx([0.2, 7.25 / 30, 1, 1, -999 / 3000])
    assert TABLE.decode(x) == ROW
    batch = torch.stack([stored, torch.full((5,), NAN, dtype=torch.float64)])
    assert TABLE.observed(batch).tolist() == [[True] * 5, [False] * 5]
    assert torch.equal(TABLE.unpack(batch), torch.stack([x, torch.zeros(5)]))
    assert TABLE.decode(x, torch.tensor([True, False, True, False, True])) == {**ROW, "price": None, "paid": None}


def test_other_modalities_are_wholly_observed() -> None:
    assert Image(8, 8).observed(torch.zeros(2, 3, 8, 8)) is None and Label(("a", "b")).observed(torch.zeros(2)) is None


@pytest.mark.parametrize(
    "nothing", [None, NAN, "", " ", "NA", "N/A", "NaN", "nan", "null", "None", "?", "-999", -999.0]
)
def test_what_stands_for_nothing(nothing: Any) -> None:
    assert TABLE.pack(dict.fromkeys(TABLE.names, nothing)).isnan().all()


def test_words_that_mean_the_same() -> None:
    rows = [
        {"age": "53", "price": "2.5e-1", "pet": "dog", "paid": True, "day": date(1970, 1, 2)},
        {"age": 53.0, "price": np.float32(0.25), "pet": " dog ", "paid": "yes", "day": "1970-01-02"},
        {"age": np.int64(53), "price": ".25", "pet": "dog", "paid": "1", "day": np.datetime64("1970-01-02")},
        {"age": torch.tensor(53).item(), "price": "+0.25", "pet": "dog", "paid": "TRUE", "day": datetime(1970, 1, 2)},
    ]
    for row in rows:
        assert torch.equal(TABLE.pack(row), TABLE.pack(ROW))
    codes = Table((Column("zip", "category", ("7", "12")),))
    assert [codes.pack({"zip": word}).item() for word in (7, 7.0, "12.0", np.float32(12))] == [0, 0, 1, 1]


def test_what_a_model_says_is_always_a_row() -> None:
    far = TABLE.decode(torch.tensor([1e9, -1e9, 99.0, -99.0, 1e9]))
    assert far["age"] == 250 * 10**9 + 3 and far["pet"] == "owl" and far["paid"] == "no" and far["day"] == "31.12.9999"
    assert TABLE.decode(torch.full((5,), -1e9))["day"] == "01.01.0001"
    low = Table((Column("x", "number", mean=0.0, scale=1.0, decimals=13),))
    assert str(low.decode(torch.tensor([-1e-9]))["x"]) == "0.0"  # digits that single precision lacks, and no minus
    times = Table((Column("at", "date", mean=0.0, scale=1.0, form="%Y-%m-%dT%H:%M"),))
    assert times.decode(torch.tensor([0.5])) == {"at": "1970-01-01T12:00"}


VALUES = {
    # A whole -999 is what this column writes for a gap.
    "age": st.integers(-1000, 1000).filter(lambda age: age != -999),
    "price": st.integers(-9999, 9999).map(lambda cents: cents / 100),
    "pet": st.sampled_from(PET.levels),
    "paid": st.sampled_from(PAID.levels),
    "day": st.dates(date(1925, 1, 1), date(2025, 1, 1)).map(lambda day: day.strftime("%d.%m.%Y")),
}


@given(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}))
@settings(deadline=None)
def test_rows_come_back_as_they_were_with_their_gaps_and_kinds(row: dict[str, Any]) -> None:
    stored = TABLE.pack(row)
    back = TABLE.decode(TABLE.unpack(stored), TABLE.observed(stored))
    assert back == row and all(type(back[name]) is type(row[name]) for name in row)
    assert torch.equal(TABLE.pack(back).nan_to_num(-1e9), stored.nan_to_num(-1e9))


@given(st.floats(-1e30, 1e30))
@settings(deadline=None)
def test_numbers_are_held_as_they_are(value: float) -> None:
    assert TABLE.pack({**ROW, "age": value})[0].item() == value


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ({"age": "old"}, "E-*-20", "row: column 'age': 'old' is not a number; write a number, or leave it empty"),
        ({"age": "1,5"}, "E-*-20", "row: column 'age': '1,5' is not a number; write a number, or leave it empty"),
        ({"age": "inf"}, "E-*-21", "row: column 'age': inf is not finite; correct it, or leave it empty"),
        ({"age": "1e999"}, "E-*-21", "row: column 'age': 1e999 is not finite; correct it, or leave it empty"),
        ({"age": 1e300}, "E-*-21", "row: column 'age': 1e+300 is not finite; correct it, or leave it empty"),
        ({"pet": "dgo"}, "E-*-21", "row: column 'pet': 'dgo' was in no training row; did you mean 'dog'?"),
        ({"pet": "xyz"}, "E-*-21", "row: column 'pet': 'xyz' was in no training row; choose from: cat, dog, owl"),
        ({"day": "31.02.2024"}, "E-*-20",
         "row: column 'day': '31.02.2024' is not a date; write a date such as 01.01.1970, or leave it empty"),
        ({"age": [1]}, "E-CHK-13", "row: holds a list; give numbers, strings, dates or None"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit(change: dict[str, Any], code: str, line: str) -> None:
    assert refused(TABLE.pack, {**ROW, **change}) == (code, line)


def test_a_row_without_a_column() -> None:
    code, line = refused(TABLE.pack, {"age": 1})
    assert code == "E-*-20" and line.startswith("row: has no column 'price', 'pet', 'paid', 'day'; give every column")


def test_a_schema_of_a_table_survives_json() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA
    assert Schema(Image(8, 8), Label(("a", "b"))).to_json()["y"] == {"modality": "Label", "names": ["a", "b"]}


GOOD = {"modality": "Table", "columns": [{"name": "a", "kind": "number"}]}
BAD: list[Any] = [
    {"columns": 3},
    {"columns": []},
    {"columns": ["a"]},
    {"columns": [{"name": "a"}]},
    {"columns": [{"name": "", "kind": "number"}]},
    {"columns": [{"name": "a", "kind": "sound"}]},
    {"columns": [{"name": "a", "kind": ["number"]}]},
    {"columns": [{"name": "a", "kind": "number", "scale": 0}]},
    {"columns": [{"name": "a", "kind": "number", "scale": "nan"}]},
    {"columns": [{"name": "a", "kind": "number", "mean": 1e999}]},
    {"columns": [{"name": "a", "kind": "number", "levels": ["x"]}]},
    {"columns": [{"name": "a", "kind": "number", "form": "%Y"}]},
    {"columns": [{"name": "a", "kind": "number", "extra": 1}]},
    {"columns": [{"name": "a", "kind": "date"}]},
    {"columns": [{"name": "a", "kind": "category"}]},
    {"columns": [{"name": "a", "kind": "category", "levels": ["x", "x"]}]},
    {"columns": [{"name": "a", "kind": "category", "levels": ["x"], "scale": 2}]},
    {"columns": [{"name": "a", "kind": "boolean", "levels": ["x"]}]},
    {"columns": [{"name": "a", "kind": "number"}] * 2},
    {**GOOD, "dropped": 3},
    {**GOOD, "_target_": "os.system"},
]


@pytest.mark.parametrize("data", BAD, ids=str)
def test_what_is_no_table_is_refused(data: dict[str, Any]) -> None:
    assert Schema.from_json({"x": GOOD, "y": None}).x == Table((Column("a", "number"),))
    refused(Schema.from_json, {"x": {"modality": "Table", **data}, "y": None})


# ---- kinds of columns ----

ISO = ["2024-01-02", "2023-12-31"]
KINDS: dict[str, tuple[list[str], str, tuple[str, ...] | str | int]] = {
    "whole numbers": (["1", "2", "1", "3", "-4", "+5"], "number", 0),
    "few whole numbers": (["1", "2", "1", "2"], "number", 0),
    "numbers with a point": (["1.50", ".25", "-1e-3", "3."], "number", 3),
    "whole numbers as floats": (["1.0", "2.0", "", "10.0"], "number", 0),
    "numbers and ?": (["1", "2", "?", "?", "?"], "number", 0),
    "post codes": (["02139", "10001", "02139"], "category", ("02139", "10001")),
    "words": (["b", "a", "b", "a10", "a9"], "category", ("a", "a9", "a10", "b")),
    "words and ?": (["a", "b", "a", "?"], "category", ("a", "b")),
    "mostly ?": (["a", "?", "?", "b", "?"], "category", ("?", "a", "b")),
    "yes and no": (["yes", "no", "yes", ""], "boolean", ("no", "yes")),
    "True and False": (["True", "False"], "boolean", ("False", "True")),
    "Y and N": (["Y", "N", "NA"], "boolean", ("N", "Y")),
    "T and F": (["T", "F", "F"], "boolean", ("F", "T")),
    "0 and 1": (["0", "1", "1"], "boolean", ("0", "1")),
    "0.0 and 1.0": (["0.0", "1.0", "nan"], "boolean", ("0", "1")),
    "1 and 2": (["1", "2", "1"], "number", 0),
    "male and female": (["F", "M", "F"], "category", ("F", "M")),
    "three answers": (["yes", "no", "perhaps", "no"], "category", ("no", "perhaps", "yes")),
    "ISO dates": (ISO, "date", "%Y-%m-%d"),
    "ISO times": (["2024-01-02T03:04:05", "2024-01-02T03:04:06"], "date", "%Y-%m-%dT%H:%M:%S"),
    "times with a zone": (["2024-01-02 03:04:05+09:00", "2024-01-02 03:04:06Z"], "date", "%Y-%m-%d %H:%M:%S%z"),
    "German dates": (["01.02.2024", "1.3.2024"], "date", "%d.%m.%Y"),
    "days first": (["01/02/2024", "13/02/2024"], "date", "%d/%m/%Y"),
    "months first": (["01/02/2024", "02/13/2024"], "date", "%m/%d/%Y"),
    "versions": (["1.2.3", "1.2.4", "1.2.3"], "category", ("1.2.3", "1.2.4")),
    "two zeros": (["00", "01", "00"], "category", ("00", "01")),
}  # fmt: skip


def kind_of(words: list[str], **options: Any) -> Any:
    sheet = read_sheet({"c": words})
    return recognize("c", sheet.columns["c"], sheet.names, **options)


@pytest.mark.parametrize("case", KINDS)
def test_kind_of_a_column(case: str) -> None:
    words, kind, wanted = KINDS[case]
    found = kind_of(words)
    assert found.kind == kind, found
    assert {"number": found.decimals, "date": found.form}.get(kind, found.levels) == wanted
    column = Column("c", kind, found.levels, decimals=found.decimals, form=found.form)  # type: ignore[arg-type]
    table = Table((column,))
    assert np.array_equal(found.values, [table.pack({"c": word}).item() for word in words], equal_nan=True)


def test_a_column_declared_to_be_of_categories() -> None:
    found = kind_of(["10.0", "9", "10", "9", "9.0"], categorical=True)
    assert found.kind == "category" and found.levels == ("9", "10") and found.values.tolist() == [1, 0, 1, 0, 0]
    assert kind_of(["-999", "1", "2"], missing=["-999"]).values.tolist()[1:] == [1, 2]
    for word, mark in (("-999.0", "-999"), ("-999", "-999.0")):
        assert np.isnan(kind_of([word, "1", "2"], missing=[mark]).values[0])
        assert Table((AGE,), missing=(mark,)).pack({"age": word}).isnan()


def test_days_since_1970() -> None:
    assert kind_of(["1970-01-02 12:00", "1969-12-31 00:00"]).values.tolist() == [1.5, -1]
    assert kind_of(["1970-01-02 09:00:00+09:00", "1970-01-02 00:00:00Z"]).values.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "words", "useless"),
    [
        ("c", [f"n{i}" for i in range(9)], True),
        ("c", [f"n{i % 8}" for i in range(9)], False),
        ("c", [f"n{i % 1001}" for i in range(2000)], True),
        ("c", [f"n{i % 1000}" for i in range(1999)], False),
        ("c", list(range(9)), False),
        *((name, list(range(9)), True) for name in ("id", "ID", "user_id", "userId", "CarID", "Unnamed: 0", "index")),
        *((name, list(range(9)), False) for name in ("paid", "humid", "idle")),
        ("id", [1, 2, 1, 2], False),
        ("id", [0.5, 1.5, 2.5], False),
    ],
)  # fmt: skip
def test_what_names_the_rows_is_no_feature(name: str, words: list[Any], useless: bool) -> None:
    sheet = read_sheet({name: words})
    found = recognize(name, sheet.columns[name], sheet.names)
    assert bool(found.useless) == useless, found
    if useless:
        assert found.useless == f"it is an identifier: {len(set(words)):,} distinct values in {len(words):,}"


TEN = [str(i) for i in range(9)]
FAULTS: list[tuple[list[str], str]] = [
    ([*TEN, "x y"], "table:9: column 'c': 'x y' is not a number, and 9 of 10 rows have one;"
     " correct it, or pass --missing 'x y', or --ignore c"),
    ([*TEN, "3,5"], "table:9: column 'c': '3,5' has a decimal comma; write numbers with a point, or pass --ignore c"),
    (["1", "inf"], "table:1: column 'c': inf is not finite; correct it, or pass --missing inf, or --ignore c"),
    (["1", "-1e999"], "table:1: column 'c': -1e999 overflows; correct it, or pass --missing -1e999, or --ignore c"),
    (["1", "9007199254740993"], "table:1: column 'c': 9007199254740993 has more digits than float64 can represent;"
     " correct it, or pass --missing 9007199254740993, or --ignore c"),
    (["1", "1e300"], "table: column 'c': values from 1 to 1e+300 overflow; scale them, or pass --ignore c"),
    ([*ISO * 5, "2024-13-01"], "table:10: column 'c': '2024-13-01' is not a date, and 10 of 11 rows have one;"
     " correct it, or pass --missing 2024-13-01, or --categorical c"),
    (["01/02/2024", "03/04/2024"],
     "table:0: column 'c': '01/02/2024' and all other rows are ambiguous: the day may be the month;"
     " write dates as 2024-12-31, or pass --ignore c"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "line"), FAULTS, ids=[f[0][-1] for f in FAULTS])
def test_a_fault_in_a_column(words: list[str], line: str) -> None:
    assert refused(read_dataset, {"c": words}, validation=0, test=0) == ("E-CHK-22", line)


def test_an_id_declared_to_be_of_categories() -> None:
    path = csv({"name": [f"n{i}" for i in range(N)], "v": NUMBERS})
    assert refused(read_dataset, path, categorical=["name"]) == (
        "E-CHK-23", "t.csv: column 'name': 40 levels; drop it or declare it --ignore name",
    )  # fmt: skip
    assert facts(read_dataset(path)) == {"name": "dropped", "v": "number"}


# ---- reading ----


def body(*lines: str) -> str:
    return "\n".join(["a,b", *lines]) + "\n"


FILES: list[tuple[str, str | bytes, str, str]] = [
    ("t.csv", b"", "E-CHK-07", "t.csv: 0 bytes; re-copy or remove it"),
    ("t.csv", "\n\n", "E-CHK-03", "t.csv: 0 rows; put a header and at least one row in it"),
    ("t.csv", "a,b\n", "E-CHK-03", "t.csv: 0 rows; put at least one row in it"),
    ("t.csv", body("1,2", "1,2,3"), "E-CHK-21", "t.csv:3: 3 fields, header has 2; fix the row or its quotes"),
    ("t.csv", body('"1\n1",2', "", "1"), "E-CHK-21", "t.csv:5: 1 fields, header has 2; fix the row or its quotes"),
    ("t.csv", body("1,2", '"1,2', "3,4"), "E-CHK-21", "t.csv:3: unexpected end of data; fix the row or its quotes"),
    ("t.csv", body('"1"x,2'), "E-CHK-21", "t.csv:2: ',' expected after '\"'; fix the row or its quotes"),
    ("t.csv", b"a,b\n1,2\n1,caf\xe9\n", "E-CHK-21",
     "t.csv:3: byte 6 of the line is not UTF-8 (0xe9); save the file as UTF-8"),
    ("t.csv", "a,b\n1,2\n".encode("utf-16"), "E-CHK-21",
     "t.csv:1: byte 1 of the line is not UTF-8 (0xff); save the file as UTF-8"),
    ("t.csv", "a,,c\n1,2,3\n", "E-CHK-21",
     "t.csv:1: column 2 has no name; name it, or write the table without its index"),
    ("t.csv", "a,b,a\n1,2,3\n", "E-CHK-21", "t.csv:1: two columns are named 'a'; rename one of them"),
    ("t.csv", "5.1,3.5,setosa\n4.9,3.0,setosa\n", "E-CHK-21",
     "t.csv:1: begins with 5.1, wanted the names of the columns; put a line with the names first"),
    ("t.csv.gz", b"a,b\n1,2\n", "E-CHK-06", "t.csv.gz: is damaged (Not a gzipped file (b'a,')); get the file again"),
    ("t.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-6], "E-CHK-06",
     "t.csv.gz: is damaged (Compressed file ended before the end-of-stream marker was reached); get the file again"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "code", "line"), FILES, ids=[f"{c} {i}" for i, (_, _, c, _) in enumerate(FILES)]
)
def test_a_file_that_is_no_table(name: str, content: str | bytes, code: str, line: str) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert refused(read_dataset, name) == (code, line)
    assert Path(name).read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_other_files_that_are_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(read_dataset, "no.csv")[0] == "E-CHK-01"
    Path("folder").mkdir()
    assert refused(read_dataset, "folder", source="table")[0] == "E-CHK-02"
    assert refused(read_dataset, np.zeros((5, 5)), source="table")[0] == "E-CHK-04"
    write(body("1,2"))
    monkeypatch.setattr("seisei.data.tables.delimited.half_of_memory", lambda: 5)
    assert refused(read_dataset, "t.csv") == (
        "E-CHK-09", "t.csv:2: holds more than 0.0 GB; give it in parts, or check its quotes",
    )  # fmt: skip
    monkeypatch.setattr("seisei.data.tables.delimited.half_of_memory", lambda: 10**9)
    monkeypatch.setattr("seisei.data.tables.delimited.LONGEST", 3)
    assert refused(read_dataset, "t.csv")[0] == "E-CHK-09"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_as_they_are_written(separator: str, end: str) -> None:
    lines = [f"name{separator}size, large{separator}c".replace("size, large", '"size, large"')]
    lines += [f'"a ""{i}"""{separator} {i} {separator}"x{end}y"' for i in range(3)]
    text = "\ufeff" + end.join([*lines[:2], "", *lines[2:]]) + end
    sheet = read_sheet(write(text))
    assert list(sheet.columns) == ["name", "size, large", "c"]
    assert sheet.names == ["t.csv:2", "t.csv:5", "t.csv:7"]
    assert sheet.columns["name"].words == ['a "0"', 'a "1"', 'a "2"'] and sheet.columns["c"].words == [f"x{end}y"]
    assert sheet.columns["size, large"].words == ["0", "1", "2"]
    words = {";": "semicolons", "\t": "tabs"}
    noted = [f"t.csv: cells are separated by {words[separator]}"] if separator != "," else []
    assert sheet.notes == noted


def test_every_form_gives_the_same_table(here: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "v": NUMBERS,
        "w": [i / 8 for i in range(N)],
        "k": [None if i % 9 == 0 else "ab"[i % 2] for i in range(N)],
        "b": [i % 3 == 0 for i in range(N)],
        "d": [date(2024, 1, 1 + i % 28) for i in range(N)],
        "class": CLASSES,
    }
    text = {name: ["" if value is None else value for value in values] for name, values in columns.items()}
    csv(text)
    Path("t.csv.gz").write_bytes(gzip.compress(Path("t.csv").read_bytes()))
    Path("t.tsv").write_bytes(Path("t.csv").read_bytes().replace(b",", b"\t"))
    pq.write_table(pa.table(columns), "t.parquet")
    arrays = {
        **columns,
        "v": np.array(NUMBERS, np.int8),
        "w": torch.arange(N) / 8,
        "d": np.array(columns["d"], "M8[ns]"),
    }
    given = ["t.csv", "t.csv.gz", Path("t.tsv"), "t.parquet", columns, pa.table(columns), arrays, Frame(arrays)]
    given += [[dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]]
    want = read_dataset(columns, target="class", validation=0, test=0)
    assert [column.kind for column in want.schema.x.columns] == ["number", "number", "category", "boolean", "date"]
    for one in given:
        data = read_dataset(one, target="class", validation=0, test=0)
        assert torch.equal(data.x.nan_to_num(-1), want.x.nan_to_num(-1)) and torch.equal(data.y, want.y), one
        assert data.schema == want.schema
    assert read_dataset("t.parquet").names[3] == "t.parquet:3" and want.names[3] == "table:3"
    assert read_dataset("t.csv").names[3] == "t.csv:5"


class Frame:
    """As much of a data frame as is used."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.data, self.columns = columns, list(columns)

    def to_dict(self) -> dict[str, Any]:
        raise AssertionError("never called: its arguments differ")

    def __getitem__(self, name: str) -> Any:
        return self.data[name]


def test_a_data_frame_of_pandas() -> None:
    frame = pandas.DataFrame({"v": NUMBERS, "k": pandas.Categorical([i % 3 for i in range(N)]), "class": CLASSES})
    frame["gap"] = [None if i % 4 == 0 else i for i in range(N)]
    frame["when"] = pandas.date_range("2024-01-01", periods=N)
    data = read_dataset(frame, target="class")
    assert facts(data) == {"v": "number", "k": "category", "class": "target", "gap": "number", "when": "date"}
    assert data.schema.x.columns[3].form == "%Y-%m-%d" and data.report["columns"][3]["missing"] == 10
    frame.columns = ["v", "v", *frame.columns[2:]]
    assert refused(read_dataset, frame) == ("E-CHK-21", "table: two columns are named 'v'; rename one of them")


def test_nullable_columns_of_pandas() -> None:
    frame = pandas.DataFrame(
        {
            "count": pandas.array([None if i % 5 == 0 else i for i in range(N)], dtype="Int64"),
            "yes": pandas.array([None if i % 7 == 0 else i % 2 == 0 for i in range(N)], dtype="boolean"),
            "word": pandas.array([None if i % 9 == 0 else f"w{i % 3}" for i in range(N)], dtype="string"),
            "class": CLASSES,
        }
    )
    plain = {name: [None if cell is pandas.NA else cell for cell in frame[name]] for name in frame.columns}
    data, want = read_dataset(frame, target="class"), read_dataset(plain, target="class")
    assert facts(data) == {"count": "number", "yes": "boolean", "word": "category", "class": "target"}
    assert data.schema == want.schema and torch.equal(data.x.nan_to_num(-1), want.x.nan_to_num(-1))
    assert [column.get("missing") for column in data.report["columns"]][:3] == [
        sum(i % n == 0 for i in range(N)) for n in (5, 7, 9)
    ]


@pytest.mark.parametrize(
    ("given", "code", "line"),
    [
        (
            {"a": [1, 2], "b": [1]},
            "E-CHK-21",
            "table: columns of different lengths: 'a' 2, 'b' 1; make them one length",
        ),
        ({"a": [[1], [2]]}, "E-CHK-13", "table: column 'a': holds a list; give numbers, strings, dates or None"),
        ({"a": []}, "E-CHK-03", "table: 0 rows; put at least one row in it"),
        ({"": [1]}, "E-CHK-21", "table: column 1 has no name; name it, or write the table without its index"),
    ],
)
def test_what_is_no_table_in_memory(given: Any, code: str, line: str) -> None:
    assert refused(read_dataset, given) == (code, line)


def test_a_parquet_file_that_promises_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": NUMBERS}), "t.parquet")
    monkeypatch.setattr("seisei.data.sources.parquet.half_of_memory", lambda: 100)
    assert refused(read_dataset, "t.parquet")[0] == "E-CHK-09"


# ---- roles ----


def test_options_name_columns() -> None:
    path = csv({"age": NUMBERS, "zip": [i % 4 for i in range(N)], "class": CLASSES})
    for option in ("target", "ignore", "categorical"):
        value = "clas" if option == "target" else ["clas"]
        assert refused(read_dataset, path, **{option: value}) == (
            "E-CHK-04",
            f"--{option}: t.csv has no column 'clas'; did you mean 'class'? choose from: age, class, zip",
        )
    assert refused(read_dataset, path, target="class", ignore=["class"]) == (
        "E-TRN-07", "--target class: is also in --ignore; leave one of the two out",
    )  # fmt: skip
    assert refused(read_dataset, path, unlabeled="own")[0] == "E-TRN-12"
    assert refused(read_dataset, path, labels=True) == (
        "E-TRN-12", "--target: is missing; name the column of the labels",
    )  # fmt: skip
    assert refused(read_dataset, path, size=8) == (
        "E-TRN-13", "--size: is for images, and these data are a table; leave it out",
    )  # fmt: skip
    assert refused(read_dataset, "digits", target="class") == (
        "E-TRN-13", "--target: is for tables, and these data are images; leave it out",
    )  # fmt: skip
    assert refused(open_source, path) == ("E-TRN-13", "t.csv: is a table, wanted images; give a folder of images")
    data = read_dataset(path, target="class", ignore=["age"], categorical=["zip"])
    assert facts(data) == {"age": "ignored", "zip": "category", "class": "target"}
    assert data.schema.x.dropped == ("age",) and data.schema.x.columns[0].levels == ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (CLASSES, ("bad", "good")),
        ([i % 3 - 1 for i in range(N)], ("-1", "0", "1")),
        ([f"{i % 3 + 8}.0" for i in range(N)], ("8", "9", "10")),
        ([i % 2 == 0 for i in range(N)], ("False", "True")),
        ([f"kind {i % 11}" for i in range(N)], tuple(f"kind {i}" for i in range(11))),
    ],
)
def test_classes(values: list[Any], names: tuple[str, ...]) -> None:
    data = read_dataset(csv({"v": NUMBERS, "class": values}), target="class")
    assert data.schema.y == Label(names, "class") and data.y.dtype == torch.int64
    told = [names[i] for i in data.y]
    assert told == [str(v).removesuffix(".0") for v in values]
    assert data.report["classes"] == {name: told.count(name) for name in names} and data.report["unlabeled"] == 0
    assert data.report["target"] == "class" and data.schema.x.names == ("v",)


TARGETS: list[tuple[list[Any], str, str]] = [
    ([i / 8 for i in range(N)], "E-TRN-12",
     "--target class: 40 different numbers, wanted strings, or at most 50 integers;"
     " name a column of classes, or bin it into classes, such as low and high"),
    ([f"2024-01-{i % 20 + 1:02}" for i in range(N)], "E-TRN-12",
     "--target class: 20 different dates, wanted strings, or at most 50 integers;"
     " name a column of classes, or bin it into classes, such as low and high"),
    ([f"n{i}" for i in range(N)], "E-CHK-23",
     "t.csv: column 'class': it is an identifier: 40 distinct values in 40; choose another --target"),
    (["a"] * N, "E-CHK-23", "t.csv: column 'class': every row has the same value; choose another --target"),
    ([""] * N, "E-TRN-12", "t.csv: column 'class' is empty in 40 of 40 rows: 2, 3, 4, 5, 6, …;"
     " fill them in, remove these rows, or pass --unlabeled own to learn from them too"),
    ([*CLASSES[:3], "", "NA", *CLASSES[5:]], "E-TRN-12", "t.csv: column 'class' is empty in 2 of 40 rows: 5, 6;"
     " fill them in, remove these rows, or pass --unlabeled own to learn from them too"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "code", "line"), TARGETS, ids=range(len(TARGETS)))
def test_what_tells_no_class(values: list[Any], code: str, line: str) -> None:
    assert refused(read_dataset, csv({"v": NUMBERS, "class": values}), target="class") == (code, line)


def test_a_target_without_any_class() -> None:
    path = csv({"v": NUMBERS, "class": [""] * N})
    assert refused(read_dataset, path, target="class", unlabeled="own") == (
        "E-TRN-12", "t.csv: column 'class': no row has a value; choose another --target",
    )  # fmt: skip


def test_more_classes_than_numbers_may_name() -> None:
    path = csv({"v": [i % 7 for i in range(204)], "class": [i % 51 for i in range(204)]})
    assert refused(read_dataset, path, target="class")[0] == "E-TRN-12"
    assert read_dataset(path, target="class", categorical=["class"]).schema.y.classes == 51


def test_what_says_nothing_is_left_out_with_a_note() -> None:
    path = csv({"same": ["x"] * N, "one": [5] * N, "empty": [""] * N, "v": NUMBERS, "id": range(N)})
    data = read_dataset(path)
    assert facts(data) == {"same": "dropped", "one": "dropped", "empty": "dropped", "v": "number", "id": "dropped"}
    assert data.report["notes"] == [
        "column 'same' is left out: every training row has the same value",
        "column 'one' is left out: every training row has the same value",
        "column 'empty' is left out: no training row has a value",
        "column 'id' is left out: it is an identifier: 40 distinct values in 40",
    ]
    assert data.schema.x.dropped == ("same", "one", "empty", "id") and data.schema.y is None and data.y is None
    code, line = refused(read_dataset, csv({"v": [1, 2]}))
    assert code == "E-TRN-11" and line.startswith("t.csv: 2 different rows leave validation or test empty")
    code, line = refused(read_dataset, csv({"v": range(10), "one": [5] * 10}), ignore=["v"], test=0, validation=0)
    assert (code, line) == (
        "E-CHK-04",
        "t.csv: no column is left to model (column 'one': every training row has the same value);"
        " add rows or columns, or name fewer with --ignore",
    )


# ---- parts ----


def test_statistics_are_those_of_the_training_rows() -> None:
    split = ["test" if i % 4 == 0 else "valid" if i % 4 == 1 else "Train" for i in range(N)]
    values = [100.5 if i % 4 < 2 else i / 2 for i in range(N)]
    kinds = ["rare" if i in (4, 5) else "ab"[i // 2 % 2 if i % 4 < 2 else i % 2] for i in range(N)]
    path = csv({"v": values, "k": kinds, "split": split, "class": CLASSES})
    data = read_dataset(path, target="class")
    assert {part: len(rows) for part, rows in data.splits.items()} == {"train": 20, "validation": 10, "test": 10}
    assert data.report["splits_given"] == ["test", "train", "validation"] and facts(data)["split"] == "split"
    train = np.array(values)[data.splits["train"]]
    v, k = data.schema.x.columns
    assert (v.mean, v.scale, v.low, v.high) == (train.mean(), train.std(), train.min(), train.max()) and v.decimals == 1
    assert k.levels == ("a", "b") and data.x[[4, 5], 1].isnan().all()
    assert data.report["notes"] == ["column 'k': 'rare' in no training row, counted as missing in 2 others"]
    assert refused(read_dataset, path, target="class", unseen="refuse") == (
        "E-TRN-19",
        "t.csv:6: column 'k': 'rare' is in no training row;"
        " stratify the splits with a column named split, or leave the cell empty",
    )
    x = data.batch(data.splits["train"])
    assert float(x.x[:, 0].mean()) == pytest.approx(0, abs=1e-6) and float(
        x.x[:, 0].std(correction=0)
    ) == pytest.approx(1)
    assert x.mask is None and x.y is not None
    mask = data.batch(torch.tensor([3, 4])).mask
    assert mask is not None and mask.tolist() == [[True, True], [True, False]]


def test_a_column_named_split_of_other_words_is_a_column() -> None:
    data = read_dataset(csv({"v": NUMBERS, "split": ["train" if i % 2 else "plane" for i in range(N)]}))
    assert facts(data) == {"v": "number", "split": "category"} and data.report["splits_given"] == []


def test_copies_stay_together_unless_most_rows_are_copies() -> None:
    path = csv(
        {
            "v": [i // 2 for i in range(N)],
            "w": ["xy"[i // 2 % 2] for i in range(N)],
            "name": [f"n{i}" for i in range(N)],
        }
    )
    data = read_dataset(path, validation=0.3, test=0.3)
    parts = {int(i): part for part, rows in data.splits.items() for i in rows}
    assert all(parts[i] == parts[i + 1] for i in range(0, N, 2)) and len(set(parts.values())) == 3
    assert data.report["duplicates"] == 20 and data.report["duplicates_across_splits"] == 0
    few = read_dataset(csv({"v": [i % 2 for i in range(N)], "w": ["xy"[i % 2] for i in range(N)]}))
    assert few.report["notes"] == ["38 of 40 rows are duplicates, so duplicates may be in different splits"]


def test_more_rows_move_none_and_seeds_do() -> None:
    columns = {"v": [i * 7 % 101 for i in range(100)], "k": ["abc"[i % 3] for i in range(100)]}
    first = read_dataset(csv({name: values[:80] for name, values in columns.items()}))
    more = read_dataset(csv(columns))
    assert set(first.splits["test"].tolist()) <= set(more.splits["test"].tolist())
    assert (
        first.fingerprint == read_dataset(csv({n: v[:80] for n, v in columns.items()})).fingerprint != more.fingerprint
    )
    assert read_dataset("t.csv", seed=1).splits["test"].tolist() != first.splits["test"].tolist()


def test_rows_without_a_class_are_for_training() -> None:
    values = ["" if i % 2 else name for i, name in enumerate(CLASSES)]
    path = csv({"v": NUMBERS, "class": values})
    data = read_dataset(path, target="class", unlabeled="own", validation=0.3, test=0.3)
    assert data.y[1::2].tolist() == [-1] * 20 and (data.y[::2] >= 0).all()
    assert set(range(1, N, 2)) <= set(data.splits["train"].tolist()) and data.report["unlabeled"] == 20
    held = torch.cat([data.splits["validation"], data.splits["test"]])
    assert (
        len(held)
        and (data.y[held] >= 0).all()
        and data.splits["train"].tolist() == sorted(data.splits["train"].tolist())
    )
    split = ["test" if i == 3 else "train" for i in range(N)]
    path = csv({"v": NUMBERS, "class": values, "split": split})
    assert refused(read_dataset, path, target="class", unlabeled="own") == (
        "E-TRN-12", "t.csv:5: has no label and is in the test split; label it, or move it to train",
    )  # fmt: skip


def test_another_table_of_rows_without_a_class() -> None:
    path = csv({"v": NUMBERS, "k": ["ab"[i % 2] for i in range(N)], "class": CLASSES, "note": CLASSES})
    Path("more").mkdir()
    more = csv({"k": ["c"] * 5, "v": [900] * 5}, "more/t.csv")
    data = read_dataset(path, target="class", unlabeled=more, ignore=["note"])
    assert len(data) == 45 and data.y[40:].tolist() == [-1] * 5 and data.names[40] == "more/t.csv:2"
    assert set(range(40, 45)) <= set(data.splits["train"].tolist()) and data.report["unlabeled"] == 5
    assert data.schema.x.columns[0].high == 900 and data.schema.x.columns[1].levels == ("a", "b", "c")
    alone = read_dataset(path, target="class", ignore=["note"])
    assert alone.splits["test"].tolist() == data.splits["test"].tolist()
    csv({"v": [1], "class": ["good"]}, "more/u.csv")
    assert refused(read_dataset, path, target="class", unlabeled="more/u.csv", ignore=["note"]) == (
        "E-CHK-21", "u.csv: has no column 'k'; give it the columns of t.csv",
    )  # fmt: skip
    csv({"v": [1], "k": ["a"], "w": [2]}, "more/u.csv")
    assert "u.csv: has the unknown column 'w'" in refused(
        read_dataset, path, target="class", unlabeled="more/u.csv", ignore=["note"]
    )[1]  # fmt: skip
    assert refused(read_dataset, path, target="class", unlabeled="no.csv")[0] == "E-CHK-01"


# ---- new rows ----


NEW = {"class": ["good", ""], "day": ["", "03.01.1970"], "age": [53, 1], "paid": ["no", ""]}
NEW |= {"pet": ["cat", "owl"], "price": [1, 2]}


def test_new_rows_by_name() -> None:
    data = read_rows(SCHEMA, csv(NEW))
    assert data.y is None and data.names == ["t.csv:2", "t.csv:3"] and data.schema is SCHEMA
    assert data.x.nan_to_num(-1).tolist() == [[53, 1, 0, 0, -1], [1, 2, 2, -1, 2]]
    assert read_rows(SCHEMA, "t.csv", labels="want").y.tolist() == [1, -1]
    assert data.splits["test"].tolist() == [0, 1] and data.batch(data.splits["test"]).mask.sum() == 8
    one = read_inputs(SCHEMA, ROW)
    assert len(one) == 1 and torch.equal(one.x[0], TABLE.pack(ROW)) and read_rows(SCHEMA, ROW, labels="want").y is None
    assert torch.equal(read_inputs(SCHEMA, [ROW, ROW]).x[1], one.x[0])
    wide = {**ROW, "id": 7, "class": "bad"}
    assert read_inputs(SCHEMA, wide, labels=True).y.tolist() == [0]
    wider = read_rows(SCHEMA, {**wide, "new": 1}, extra="ignore")
    assert wider.report["notes"] == ["columns that were not in training are left out: new"]
    lost = read_rows(SCHEMA, {**ROW, "pet": "emu"}, unseen="missing")
    assert lost.x[0, 2].isnan()
    assert lost.report["notes"] == ["column 'pet': 'emu' in no training row, counted as missing in 1 rows"]


ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "columns": ({"age": ...}, {}, "table: has no column 'age'; add it, with empty cells for unknown values"),
    "value": ({"age": "old"}, {}, "table:0: column 'age': 'old' is not a number; write a number, or leave it empty"),
    "category": ({"pet": "dgo"}, {}, "table:0: column 'pet': 'dgo' was in no training row; did you mean 'dog'?"),
    "infinite": ({"age": "-inf"}, {}, "table:0: column 'age': -inf is not finite; correct it, or leave it empty"),
    "missing": ({"age": ""}, {"holes": "refuse"},
                "table:0: column 'age' is empty; fill it in, or train a model that takes empty cells"),
    "label": ({"class": "godo"}, {"labels": "want"},
              "table:0: column 'class': no class 'godo'; did you mean 'good'? choose from: bad, good"),
}  # fmt: skip
NUMBERED = {
    "": ("E-*-20", "E-*-20", "E-*-21", "E-*-21", "E-*-22", "E-*-25"),
    "encode": ("E-ENC-20", "E-ENC-20", "E-ENC-20", "E-ENC-20", "E-ENC-22", "E-ENC-25"),
    "predict": ("E-PRD-20", "E-PRD-20", "E-PRD-21", "E-PRD-20", "E-PRD-22", "E-PRD-25"),
    "reconstruct": ("E-RCN-23", "E-RCN-23", "E-RCN-23", "E-RCN-24", "E-RCN-24", "E-RCN-23"),
    "score": ("E-SCO-24", "E-SCO-24", "E-SCO-24", "E-SCO-21", "E-SCO-21", "E-SCO-25"),
}


@pytest.mark.parametrize("verb", NUMBERED)
@pytest.mark.parametrize("fault", ROWS)
def test_new_rows_that_do_not_fit(verb: str, fault: str) -> None:
    change, options, line = ROWS[fault]
    row = {name: value for name, value in {**ROW, **change}.items() if value is not ...}
    wanted = NUMBERED[verb][list(ROWS).index(fault)]
    line += " or pass --unseen missing" if fault == "category" and verb in ("predict", "score") else ""
    assert refused(read_rows, SCHEMA, row, verb=verb, **options) == (wanted, line)
    assert getattr(CODES.get(verb, RowCodes()), {"columns": "columns"}.get(fault, fault)) == wanted


def test_columns_of_new_rows() -> None:
    renamed = {"Age" if name == "age" else name: value for name, value in ROW.items()}
    assert refused(read_rows, SCHEMA, renamed)[1] == "table: has no column 'age'; rename 'Age' to 'age'"
    assert refused(read_rows, SCHEMA, {**ROW, "new": 1, "newer": 2})[1] == (
        "table: column 'new' was not in training (+1 more); remove it"
    )
    assert refused(read_rows, SCHEMA, ROW, labels="need") == (
        "E-*-25", "table: has no column 'class', the label; add it",
    )  # fmt: skip
    assert refused(read_rows, SCHEMA, csv(NEW), labels="need") == (
        "E-*-25", "t.csv:3: column 'class' is empty, and this model is class-conditional; fill in the class",
    )  # fmt: skip
    Path("t.txt").touch()
    assert refused(read_inputs, SCHEMA, "digits")[0] == "E-TRN-13"
    assert refused(read_inputs, Schema(Image(8, 8)), csv(NEW))[0] == "E-TRN-13"


def test_new_rows_are_read_as_training_rows_were() -> None:
    day = [f"2024-01-{i % 28 + 1:02}" for i in range(N)]
    holes = [-999 if i % 5 == 0 else i for i in range(N)]
    path = csv({"v": holes, "k": [f"{i % 3}" for i in range(N)], "d": day, "class": CLASSES, "id": range(N)})
    data = read_dataset(path, target="class", categorical=["k"], missing=["-999"])
    again = read_rows(data.schema, path, labels="need")
    assert torch.equal(again.x.nan_to_num(-1), data.x.nan_to_num(-1)) and torch.equal(again.y, data.y)
    assert int(again.x.isnan().sum()) == 8 and again.names == data.names


# ---- real tables ----

WORDS = "workclass education marital-status occupation relationship race sex native-country income".split()
UCI: dict[str, tuple[int, dict[str, str], tuple[str, ...], int]] = {
    "abalone": (4177, {"sex": "category"}, (), 0),
    "adult": (32561, dict.fromkeys(WORDS, "category"), (), 4262),
    "breast_cancer_original": (699, {}, ("id",), 16),
    "breast_cancer_wdbc": (569, {"diagnosis": "category"}, ("id",), 0),
    "concrete": (1030, {}, (), 0),
    "letter": (20000, {"letter": "category"}, (), 0),
    "wine_quality_red": (1599, {}, (), 0),
    "wine_quality_white": (4898, {}, (), 0),
    "yeast": (1484, {"class": "category"}, ("sequence_name",), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", UCI)
def test_uci(shared_data: Path, name: str) -> None:
    path = shared_data / "uci" / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    rows, other, dropped, missing = UCI[name]
    data = read_dataset(path)
    found = facts(data)
    assert len(data) == rows and {n for n, kind in found.items() if kind == "dropped"} == set(dropped)
    assert {n: kind for n, kind in found.items() if kind not in ("number", "dropped")} == other
    assert sum(fact["missing"] for fact in data.report["columns"]) == missing == int(data.x.isnan().sum())
    table = data.schema.x
    for i in data.splits["train"][:5].tolist():
        row = table.decode(table.unpack(data.x[i]), table.observed(data.x[i]))
        assert torch.allclose(table.pack(row), data.x[i], rtol=1e-6, atol=1e-9, equal_nan=True)
    assert Schema.from_json(json.loads(json.dumps(data.schema.to_json()))) == data.schema
    json.dumps(data.report)


def test_what_is_drawn_stays_within_the_training_rows() -> None:
    number = Column("gain", "number", mean=10.0, scale=5.0, low=0.0, high=99.0)
    table = Table((number, Column("pet", "category", ("cat", "dog")), Column("free", "number", mean=1.0, scale=2.0)))
    x = torch.tensor([[-9.0, 1.0, -9.0], [500.0, 0.0, 500.0], [0.2, 1.0, 0.5]])
    assert [table.decode(row)["gain"] for row in table.within(x)] == [0, 99, 11]
    assert torch.equal(table.within(x)[:, 1:], x[:, 1:])  # categories, and a number whose range is not known
