"""`translate`, from files to files, and a training that keeps its best weights and ends in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seisei
from seisei import seeds
from seisei.batch import Batch
from seisei.cli.main import main
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.evaluation.translation import Judge, compared, pieces, ratio, scores
from seisei.metrics.corruptions import CORRUPTIONS, corrupt
from seisei.metrics.frechet import frechet_distance
from seisei.modalities.image import Image
from seisei.modalities.image_io import encoded, png_bytes, read_image
from seisei.pipeline import Pipeline
from seisei.schema import Schema


class Same(nn.Module):
    """What is given, as it is."""

    side, stride, noise = "y", 4, 0

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        return image + self.nothing


class Noisy(Same):
    noise = 2

    def translate(self, image: Tensor, noise: Tensor | None = None) -> Tensor:
        assert noise is not None and noise.shape == (1, 2)
        return image * 0 + torch.sigmoid(noise[:, :1, None, None])


def same(channels: int = 1, levels: int = 256, model: type[Same] = Same) -> Pipeline:
    image = Image(16, 16, channels, levels)
    return Pipeline(model(), Schema(image, image), {}, "")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (33, 70), (130, 90, 3)])
def test_an_identity_gives_every_value_back_to_the_bit(kind: Any, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)
    image = read_image(pixels, deep=True)
    made = same(3 if len(shape) == 3 else 1).translate(image, tile=32, overlap=16)
    assert made.pixels.dtype == kind and np.array_equal(made.pixels, pixels) and made.disagreement < 1e-6


def test_every_value_of_sixteen_bits_comes_back() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(same().translate(read_image(pixels, deep=True), tile=64).pixels, pixels)


def test_each_answer_has_noise_of_its_own_and_all_tiles_the_same() -> None:
    pipeline, image = same(model=Noisy), read_image(np.zeros((70, 40), np.uint8), deep=True)
    first, again, other = (pipeline.translate(image, number=n, tile=32).pixels for n in (0, 0, 1))
    assert len(np.unique(first)) == 1 and np.array_equal(first, again) and first[0, 0] != other[0, 0]
    assert pipeline.translate(image, seed=1).pixels[0, 0] != first[0, 0]


@pytest.mark.parametrize(("options", "code", "words"), [
    ({"tile": 30}, "E-TRL-20", "30 is not a multiple of 4.* use 28 or 32"),
    ({"tile": 4}, "E-TRL-20", "at least 8"),
    ({"tile": 32, "overlap": 20}, "E-TRL-20", "wanted 0 to 16"),
    ({"seed": -1}, "E-TRL-25", "-1 is out of range"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        same().translate(read_image(np.zeros((9, 9), np.uint8), deep=True), **options)
    assert caught.value.code == code


def test_color_is_refused_where_gray_is_known_unless_converted() -> None:
    image = read_image(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8), deep=True)
    with pytest.raises(UserError, match="x.png: has 3 channels, wanted 1") as caught:
        same().translate(image, "x.png")
    assert caught.value.code == "E-TRL-21"
    assert same().translate(image, convert=True).pixels.shape == (9, 9)


def test_an_answer_is_compared_with_its_truth() -> None:
    a = np.full((12, 12), 51, np.uint8)
    assert compared(a, a, "a") == pytest.approx({"L1": 0.0, "PSNR": 54.15, "SSIM": 1.0}, abs=1e-2)
    assert compared(a, np.zeros_like(a), "a")["L1"] == pytest.approx(0.2)
    with pytest.raises(UserError, match="b.png: has shape 12×12, its target 3×4"):
        compared(a, np.zeros((3, 4), np.uint8), "b.png")


# ---- what answers are judged by


def test_every_damage_changes_an_image_and_stays_in_range() -> None:
    x = torch.rand(5, 3, 20, 24, generator=seeds.generator("whole"))
    for images in (x, x[:, :1]):
        made, kinds = corrupt(images, seeds.generator("damage"))
        assert float(made.min()) >= 0 and float(made.max()) <= 1 and kinds.bincount().tolist() == [5] * len(CORRUPTIONS)
        assert torch.equal(made[kinds == 0], images)
        for kind in range(1, len(CORRUPTIONS)):
            assert bool((made[kinds == kind] != images).flatten(1).any(1).all()), list(CORRUPTIONS)[kind]


def test_pieces_cover_an_image_from_edge_to_edge() -> None:
    x = torch.arange(70.0).expand(1, 1, 40, 70)
    found = pieces(x)
    assert found.shape == (2, 1, 32, 32) and found[0, 0, 0, 0] == 0 and found[-1, 0, 0, -1] == 69
    assert len(pieces(torch.zeros(1, 1, 500, 500))) == 16


def test_a_share_of_nothing_is_one() -> None:
    assert ratio([0.0], [0.0]) == 1 and ratio([0.5], [1.0]) == pytest.approx(0.5, abs=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of a gray square and one in color, in two folders; and a run of a few steps over them."""
    place = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    for side in "ab":
        (place / "data" / side).mkdir(parents=True)
    for i in range(100):
        gray = np.full((16, 16), 255, np.uint8)
        y, x = random.integers(0, 9, 2)
        gray[y : y + 6, x : x + 6] = random.integers(0, 200)
        color = np.stack([gray, 255 - gray, gray // 2], -1)
        (place / "data" / "a" / f"{i:02}.png").write_bytes(png_bytes(gray))
        (place / "data" / "b" / f"{i:02}.png").write_bytes(png_bytes(color))
    seisei.train(
        "pix2pix", place / "data", output=place / "run", width=8, downsample=2, steps=40, batch=4, patience=0.1,
        learning_rate=0.3, validation=0.3, test=0.3,
    )  # fmt: skip
    return place


def test_training_ends_when_nothing_gets_better_and_the_best_weights_stay(folder: Path) -> None:
    run = seisei.load(folder / "run")
    events = list(run.folder.events())
    (enough,) = [event for event in events if event["event"] == "enough"]
    checks = {e["step"]: e["scores"]["balance"] for e in events if e["event"] == "validation"}
    best = min(checks, key=lambda step: (round(checks[step], 6), step))
    assert enough["best"] == best and enough["step"] < 40 and enough["step"] - best >= 4
    assert run.pipeline.card["step"] == best and best in run.folder.checkpoints.steps()
    assert run.folder.checkpoints.newest()[0].step == enough["step"] == max(checks)
    assert (run.path / "report.html").read_text().count("Image-to-image translation") >= 1


def test_held_out_answers_are_scored_beside_what_nobody_had_to_learn(folder: Path) -> None:
    run = seisei.load(folder / "run")
    found = {score["name"]: score for score in run.evaluate()["scores"]}
    assert {"L1", "PSNR", "SSIM", "Fréchet distance", "L1 of the mean color", "L1 of the image given"} <= set(found)
    assert "outputs over targets" in found["high-frequency energy ratio"]["note"] and "checkerboard ratio" in found
    dataset = read_dataset(folder / "data", pairs="auto", validation=0.3, test=0.3)
    part = dataset.subset(dataset.splits["test"])
    again = scores(run.pipeline, dataset, part, Judge(dataset))
    assert next(s["value"] for s in again if s["name"] == "L1") == pytest.approx(found["L1"]["value"])


def test_a_judge_finds_the_truths_nearer_than_what_is_damaged(folder: Path) -> None:
    dataset = read_dataset(folder / "data", pairs="auto")
    judge, truths = Judge(dataset, steps=100), dataset.batch(dataset.splits["train"]).x
    gray = truths.mean(1, keepdim=True).expand_as(truths)
    assert judge.distance(truths, truths).value < judge.distance(gray, truths).value
    each = [
        frechet_distance(read(truths).double().numpy(), read(gray).double().numpy(), corrected=True, resamples=30)
        for read in judge.extractors
    ]
    assert len(each) == 3 and len({round(one.value, 6) for one in each}) == 3
    assert judge.distance(gray, truths).value == pytest.approx(np.mean([one.value for one in each]))
    told = judge.brief(gray, truths)
    assert told["color"] < 0.1 and judge.brief(truths, truths)["SSIM"] == pytest.approx(1)


def called(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    main([str(word) for word in words])
    return capsys.readouterr().out


def test_a_folder_is_translated_under_its_names_and_in_its_forms(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "in"
    (given / "deep").mkdir(parents=True)
    gray = np.random.default_rng(1).integers(0, 256, (21, 35), dtype=np.uint8)
    (given / "plain.jpg").write_bytes(encoded(gray, read_image(_jpeg(gray), deep=True).original).content)
    (given / "deep" / "x.png").write_bytes(encoded(gray.astype(np.uint16) * 200).content)
    told = json.loads(called(capsys, "translate", folder / "run", given, "-o", tmp_path / "out", "--json"))
    assert told["images"] == 2
    for name, kind in (("plain.jpg", np.uint8), ("deep/x.png", np.uint16)):
        made = read_image(tmp_path / "out" / name, deep=True)
        assert made.pixels.shape == (21, 35, 3) and made.pixels.dtype == kind
    before = (given / "plain.jpg").read_bytes()
    assert before == (given / "plain.jpg").read_bytes()


def _jpeg(pixels: Any) -> bytes:
    from seisei.modalities.image_io import Original

    return encoded(pixels, Original("JPEG", suffix=".jpg")).content


def test_check_sees_pairs_unasked(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(called(capsys, "check", folder / "data", "--json"))
    assert told["kind"] == "pairs (folders)" and "train pix2pix" in told["advice"][0]["command"]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i in range(12):
        (tmp_path / "a" / f"{i}.png").write_bytes((folder / "data" / "a" / "00.png").read_bytes())
        (tmp_path / "b" / f"{i + (i == 11)}.png").write_bytes((folder / "data" / "b" / "00.png").read_bytes())
    with pytest.raises(SystemExit):
        called(capsys, "check", tmp_path)
    assert "a/11.png: has no b/11.*, 2 of 13 unpaired" in capsys.readouterr().err
    wide = tmp_path / "wide"
    wide.mkdir()
    for i in range(12):
        (wide / f"{i}.png").write_bytes(png_bytes(np.full((16, 32), i * 9, np.uint8)))
    told = json.loads(called(capsys, "check", wide, "--json"))
    assert told["kind"] == "folder of images" and "--pairs side-by-side" in told["advice"][-1]["why"]


def test_truths_are_compared_and_a_missing_one_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", folder / "run", folder / "data" / "a"]
    text = called(capsys, *words, "-o", tmp_path / "out", "--compare", folder / "data" / "b")
    assert "the mean over 100 images" in text and "SSIM" in text
    few = tmp_path / "few"
    few.mkdir()
    (few / "00.png").write_bytes((folder / "data" / "b" / "00.png").read_bytes())
    with pytest.raises(SystemExit) as ended:
        called(capsys, *words, "-o", tmp_path / "other", "--compare", few)
    line = capsys.readouterr().err
    assert ended.value.code == 2 and "01.png: has no target of its name" in line and not (tmp_path / "other").exists()


def test_one_image_becomes_the_file_that_was_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = folder / "data" / "a" / "00.png"
    called(capsys, "translate", folder / "run", one, "-o", tmp_path / "one.png")
    assert read_image(tmp_path / "one.png").pixels.shape == (16, 16, 3)
    with pytest.raises(SystemExit):
        called(capsys, "translate", folder / "run", one, "-o", tmp_path / "one.jpg")
    assert "is not the format of the output, wanted .png; name it one.png" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        called(capsys, "translate", folder / "run", one, "-n", 3)
    assert (
        "3 is out of range, wanted 1: this model has one output per image; train with --noise latent"
        in capsys.readouterr().err
    )


def test_arrays_are_translated_in_python(folder: Path) -> None:
    run = seisei.load(folder / "run")
    gray = np.random.default_rng(2).integers(0, 256, (3, 20, 18), dtype=np.uint8)
    made = run.translate(gray)
    assert [one.shape for one in made] == [(20, 18, 3)] * 3
    batch = Batch(torch.zeros(1, 3, 20, 16), torch.zeros(1, 1, 20, 16))
    assert run.pipeline.model.answer(run.pipeline.model.view.given(batch)).shape == (1, 3, 20, 16)
