"""Texts as data, and a model of them against enumeration."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import seisei
from seisei import seeds
from seisei.batch import Batch
from seisei.cli.main import main
from seisei.data.dataset import Dataset
from seisei.data.types import read_dataset, read_inputs
from seisei.errors import UserError
from seisei.modalities.text import END, Text
from seisei.models.autoregressive import Autoregressive
from seisei.nn.codecs.byte import ByteCodec


def said(data: Dataset) -> list[str]:
    return [data.schema.x.decode(x) for x in data.batch(torch.arange(len(data))).x]


# ---- reading


def test_lines_are_examples_and_empty_ones_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\nzwölf\n\n three \n".encode())
    data = read_dataset(tmp_path / "a.txt")
    assert said(data) == ["one", "zwölf", " three "]
    assert data.names == ["a.txt:1", "a.txt:2", "a.txt:4"]
    assert data.schema.x.length == len(" three ") and data.x.dtype == torch.int16
    assert data.report["notes"] == ["1 empty line is left out"] and data.report["kept"] == 3
    assert sorted(torch.cat(list(data.splits.values())).tolist()) == [0, 1, 2]


def test_a_folder_of_files_packed_or_not_and_parts_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "train.txt").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "test.txt.gz").write_bytes(gzip.compress(b"f\ng\n"))
    (tmp_path / "readme.md").write_text("no line of this\n")
    data = read_dataset(tmp_path)
    parts = {part: [said(data)[i] for i in indices] for part, indices in data.splits.items()}
    assert parts["test"] == ["f", "g"] and sorted(parts["train"] + parts["validation"]) == list("abcde")
    assert parts["validation"] and data.names[0].startswith("more/train.txt:")


def test_running_text_is_cut_and_divided_in_its_order(tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(103))
    (tmp_path / "book.txt").write_text(text)
    data = read_dataset(tmp_path / "book.txt", block_size=10, validation=0.2, test=0.1)
    assert "".join(said(data)[:11]) == text and data.schema.x.running
    assert data.splits["validation"].tolist() == [8, 9] and data.splits["test"].tolist() == [10]
    # Of the first eighty bytes, for training, there are windows at every second one, and of nothing else.
    train = sorted(int(data.names[i].rpartition(":")[2]) for i in data.splits["train"].tolist())
    assert train == list(range(0, 71, 2))
    assert all(said(data)[i] == text[(at := int(data.names[i].rpartition(":")[2])) : at + 10] for i in range(len(data)))
    # What is new is cut without more.
    again = read_inputs(data.schema, tmp_path / "book.txt")
    assert torch.equal(again.x, data.x[:11])


def test_texts_in_memory() -> None:
    data = read_dataset(["a", "", "bc", "d\ne", "f"], validation=0.2, test=0.2)
    assert said(data) == ["a", "", "bc", "d\ne", "f"] and data.names[3] == "text 3"
    assert (
        read_dataset(["a", "", "bc", "d\ne", "f"]).fingerprint != read_dataset(["a", "", "bc", "d\ne", "g"]).fingerprint
    )
    with pytest.raises(UserError, match="int"):
        read_dataset(["a", "b", 3], source="text")


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"fine\nno\xff\n", "E-CHK-21", "bad.txt:2: is not valid UTF-8 (0xff)"),
        (b"x" * 1025 + b"\n", "E-CHK-09", "--block-size"),
        (b"\n\n", "E-CHK-03", "no text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_dataset(tmp_path / "bad.txt")
    assert caught.value.code == code and words in str(caught.value)


def test_a_packed_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"a line\n" * 1000)[:-20])
    with pytest.raises(UserError) as caught:
        read_dataset(tmp_path / "cut.txt.gz")
    assert caught.value.code == "E-CHK-06"


def test_texts_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisei.data.texts.read.memory", lambda: 1000)
    with pytest.raises(UserError) as caught:
        read_dataset(["a" * 100, "b", "c"])
    assert caught.value.code == "E-CHK-09" and "--block-size" in str(caught.value)


def test_options_of_others_and_windows_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\nb\nc\n")
    for options in ({"size": 8}, {"conditions": ["age"]}, {"target": "b"}):
        with pytest.raises(UserError) as caught:
            read_dataset(tmp_path / "a.txt", **options)
        assert caught.value.code == "E-TRN-13"
    with pytest.raises(UserError, match="--block-size"):
        read_dataset("digits", block_size=8)
    with pytest.raises(UserError, match="--block-size"):
        read_dataset(tmp_path / "a.txt", block_size=0)
    with pytest.raises(UserError) as caught:
        read_dataset(tmp_path / "a.txt", block_size=5, validation=0.4, test=0.4)
    assert caught.value.code == "E-TRN-11"


def test_a_text_that_is_longer_than_any_known_is_refused_by_its_name(tmp_path: Path) -> None:
    schema = read_dataset(["abc", "d", "e"]).schema
    with pytest.raises(UserError, match=r"text 1: a text of 4 bytes"):
        read_inputs(schema, ["ab", "abcd"])
    with pytest.raises(UserError, match="holds no text"):
        read_inputs(schema, "digits")


# ---- a model


def tiny() -> Autoregressive:
    """Of three symbols beside the one that ends a text."""
    model = Autoregressive(ByteCodec(3, 4), width=16, layers=2, heads=2)
    with seeds.seeded("stirred"):
        for parameter in model.network.parameters():
            nn.init.normal_(parameter, std=0.5)
    return model.eval()


def every() -> Tensor:
    """Every text of up to three of three symbols, filled up."""
    rows = [[*text, *[3] * (3 - length)] for length in range(4) for text in itertools.product(range(3), repeat=length)]
    return torch.tensor(rows)


def test_probabilities_of_texts_of_every_length_sum_to_one_and_are_drawn_as_often() -> None:
    model, texts = tiny(), every()
    log_p = model.log_prob(Batch(texts))
    assert len(texts) == 40 and float(log_p.double().logsumexp(0)) == pytest.approx(0.0, abs=1e-5)
    with seeds.seeded("texts"):
        drawn = model.sample(8000)
    number = 4 ** torch.arange(2, -1, -1)
    counts = torch.bincount((drawn * number).sum(1), minlength=64)
    known = (texts * number).sum(1)
    assert int(counts[known].sum()) == 8000, "nothing follows the end"
    assert float((counts[known] / 8000 - log_p.exp()).abs().max()) < 0.02


def test_what_fills_a_text_up_costs_nothing() -> None:
    model = tiny()
    codes = torch.tensor([[1, 3, 3], [3, 3, 3], [0, 1, 2]])
    assert model.counted(codes).tolist() == [[True, True, False], [True, False, False], [True] * 3]
    assert model.log_codes(codes)[:2, -1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("known", [[True, False, False], [False, True, False], [False, False, True]])
def test_holes_in_texts_are_filled_as_the_rest_of_them_asks(known: list[bool]) -> None:
    model, texts = tiny(), every()
    mask = torch.tensor([known])
    for row in (25, 5):  # of three symbols, and of two
        with seeds.seeded("holes", row):
            drawn = model.impute(Batch(texts[row : row + 1], None, mask), 3000, particles=16)[0]
        fits = ((texts == texts[row]) | ~mask).all(1)
        p = model.log_prob(Batch(texts[fits])).softmax(0)
        share = (drawn.unsqueeze(1) == texts[fits]).all(2).float().mean(0)
        assert float(share.sum()) == pytest.approx(1.0) and float((share - p).abs().max()) < 0.04


# ---- from a file to new texts

WORDS = ["the cat sat", "the dog ran", "a cat ran", "a dog sat", "the cat ran", "a dog ran", "the dog sat", "a cat sat"]


def test_a_file_of_lines_is_learned_drawn_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(f"{WORDS[i % 8]} {i % 5}" for i in range(200)) + "\n")
    run = seisei.train(
        "prior", tmp_path / "lines.txt", output=tmp_path / "run", width=32, layers=1, heads=2, steps=150, batch=32,
        dropout=0.0, learning_rate=3e-3,
    )  # fmt: skip
    assert run.verbs == ["sample", "score", "evaluate"] == seisei.runs(tmp_path)[0]["verbs"]
    drawn = run.sample(40, seed=1)
    alike = sum(text.rpartition(" ")[0] in WORDS for text in drawn)
    assert alike >= 10 and run.sample(3, seed=1) == drawn[:3]
    found = run.score(["the cat sat 1", "xq zz ## 1"])
    assert found.per == "byte" and not found.bound and found.nats[0] > found.nats[1] + 10
    # By hand: nats over bytes, the end being one of them where the text is shorter than the longest.
    assert found.bits[1] == pytest.approx(-found.nats[1] / (11 * torch.log(torch.tensor(2.0)).item()))
    assert set(run.scores) == {"log-likelihood", "bits per byte"}
    capsys.readouterr()
    place = tmp_path / "new.txt"
    main(["sample", str(run.path), "-n", "5", "--seed", "1", "-o", str(place)])
    assert place.read_text() == "\n".join(drawn[:5]) + "\n"
    main(["sample", str(run.path), "-n", "5", "--seed", "1", "-o", str(tmp_path / "new.csv")])
    assert (tmp_path / "new.csv").read_text().startswith("text\n")
    capsys.readouterr()
    main(["score", str(run.path), str(place)])
    assert "bits per byte" in capsys.readouterr().out
    for words in (["--separate"], ["--columns", "2"]):
        with pytest.raises(SystemExit):
            main(["sample", str(run.path), *words])
        assert f"{words[0]}: is for images, and this model generates texts" in capsys.readouterr().err
    page = run.report.read_text()
    assert "bits per byte" in page.lower() and run.sample(1)[0] in page


def test_running_text_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.txt").write_text("It was a day like any other.\nNobody knew why.\n" * 60)
    dials = "--block-size 64 --steps 4 --width 16 --layers 1 --heads 2 --batch 8".split()
    main(["train", "prior", str(tmp_path / "book.txt"), *dials, "-o", str(tmp_path / "run")])
    run = seisei.load(tmp_path / "run")
    assert run.pipeline.schema.x.running and run.pipeline.schema.x.length == 64
    place = tmp_path / "new.txt"
    main(["sample", str(run.path), "-n", "2", "-o", str(place)])
    main(["score", str(run.path), str(tmp_path / "book.txt")])
    assert place.is_file() and "bits per byte" in capsys.readouterr().out


def test_the_end_is_the_modality_s() -> None:
    assert Text.end == END == ByteCodec(3, END + 1).end
