"""High-frequency energy: exact values of patterns, noise, constants; what the watch and `evaluate` make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seisei.data.types import read_dataset
from seisei.evaluation.evaluate import spectral
from seisei.metrics.image_similarity import LEVEL
from seisei.metrics.spectrum import INVISIBLE, energy_ratios, high_frequency_energy, high_frequency_ratio
from seisei.modalities.image import Image
from seisei.pipeline import Pipeline
from seisei.recipes import recipe as find_recipe
from seisei.schema import Schema
from seisei.training.watch.rules import Watch
from seisei.workflows import train as workflow
from seisei.workflows.train import Request

SHAPES = [(16, 16), (28, 28), (8, 12), (64, 32)]


def noise(n: int, channels: int, height: int, width: int, seed: int = 0) -> Any:
    return 0.5 + 0.1 * np.random.default_rng(seed).standard_normal((n, channels, height, width))


def board(height: int, width: int, amplitude: float = 0.1) -> Any:
    return amplitude * (-1.0) ** np.indices((height, width)).sum(0)


def share(height: int, width: int) -> float:
    """Of all frequencies in the band."""
    down, across = (np.abs(np.fft.fftfreq(side)) >= 0.375 for side in (height, width))
    return float((down[:, None] | across[None]).mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_what_alternates_has_the_energy_of_its_amplitude(shape: tuple[int, int]) -> None:
    height, width = shape
    stripes = 0.1 * (-1.0) ** np.indices(shape)[1]
    x = 0.3 + np.stack([board(height, width), board(height, width, 0.2), stripes, stripes * 0])[:, None]
    assert np.allclose(high_frequency_energy(x)[:, 0], [[0.01, 0], [0.04, 0], [0.01, 0], [0, 0]], atol=1e-12)
    boards = high_frequency_ratio(x[1:2], x[:1])["brightness"]
    assert boards.value == pytest.approx((0.04 + INVISIBLE) / (0.01 + INVISIBLE))


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_as_fine_as_itself_and_a_checkerboard_adds_its_energy(shape: tuple[int, int]) -> None:
    x = noise(2000, 1, *shape)
    assert high_frequency_ratio(x, x)["brightness"].value == 1.0
    other = noise(2000, 1, *shape, seed=1)
    same = high_frequency_ratio(x, other)["brightness"]
    assert abs(same.value - 1) < 4 * same.error < 0.1
    added = high_frequency_ratio(x + board(*shape, 0.05), other)["brightness"]
    wanted = 1 + 0.05**2 / (0.1**2 * share(*shape))
    assert wanted > 1.4 and abs(added.value - wanted) < 4 * added.error < 0.2


def test_the_error_is_the_spread_of_fresh_samples() -> None:
    ratios = [high_frequency_ratio(noise(20, 1, 8, 8, 2 * i), noise(40, 1, 8, 8, 2 * i + 1)) for i in range(200)]
    for name in ("brightness", "checkerboard"):
        spread = np.std([found[name].value for found in ratios])
        assert np.mean([found[name].error for found in ratios]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lattice_shows_on_blurred_images_too(shape: tuple[int, int]) -> None:
    """A wave in the octave below with a checkerboard, both far fainter than those of the images compared with."""
    height, width = shape
    wave = np.cos(np.pi * np.indices(shape)[1] / 2)  # half the Nyquist frequency, of energy ½
    sharp = 0.5 + (0.2 * wave + board(*shape, 0.04))[None, None]
    soft = 0.5 + (0.02 * wave + board(*shape, 0.02))[None, None]
    found = high_frequency_ratio(soft, sharp)
    assert found["brightness"].value == pytest.approx((0.02**2 + INVISIBLE) / (0.04**2 + INVISIBLE), rel=1e-3)
    wanted = (0.02**2 + INVISIBLE) / (0.04**2 / (0.2**2 / 2) * 0.02**2 / 2 + INVISIBLE)
    assert wanted > 12 and found["checkerboard"].value == pytest.approx(wanted, rel=0.02)
    unseen = 0.5 + (0.02 * wave + board(*shape, 0.002))[None, None]  # half a level
    assert high_frequency_ratio(unseen, sharp)["checkerboard"].value == pytest.approx(1, rel=0.5)
    fainter = high_frequency_ratio(0.5 + 0.3 * (sharp - 0.5), sharp)["checkerboard"].value
    assert fainter == pytest.approx(1, rel=0.1)


def test_color_is_measured_beside_brightness() -> None:
    colored = np.zeros((1, 3, 16, 16)) + 0.5
    colored[0, 0] += board(16, 16, 0.114)
    colored[0, 2] -= board(16, 16, 0.299)  # as bright everywhere
    difference, other = 0.114, 0.114 / 2 + 0.299
    assert np.allclose(high_frequency_energy(colored)[:, :, 0], [[0, difference**2 + other**2]], atol=1e-12)
    gray = np.repeat(0.5 + board(16, 16)[None, None], 3, 1)
    assert np.allclose(high_frequency_energy(gray)[:, :, 0], [[0.01, 0]], atol=1e-12)
    several = np.concatenate([gray[:, :1], 0 * gray[:, :1]], 1)  # two channels that are no colors
    assert np.allclose(high_frequency_energy(several)[:, :, 0], [[0.005]], atol=1e-12)


def test_what_is_constant_smooth_or_unseen_is_as_fine_as_the_same() -> None:
    flat = np.full((3, 3, 16, 16), 0.7)
    assert [found.value for found in high_frequency_ratio(flat, flat).values()] == [1.0, 1.0, 1.0]
    slope = np.linspace(0, 1, 16)[None, None, None].repeat(16, 2)
    assert high_frequency_energy(slope)[..., 0].max() < 1e-4
    faint = high_frequency_ratio(flat + board(16, 16, LEVEL), flat)["brightness"].value
    assert faint == pytest.approx(2)  # one level of 8 bits, as much as counts as nothing


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 9)])
def test_of_few_pixels_a_side_there_is_no_high_frequency(shape: tuple[int, int]) -> None:
    assert np.isfinite(high_frequency_energy(noise(2, 1, *shape))).all()
    assert not high_frequency_energy(noise(2, 1, min(shape), min(shape))).any()


def test_numbers_and_errors_of_any_kind_of_array() -> None:
    x = noise(5, 3, 9, 16)
    as_tensor = high_frequency_energy(torch.from_numpy(x))
    assert np.array_equal(as_tensor, high_frequency_energy(x))
    assert np.allclose(np.concatenate([high_frequency_energy(x[i : i + 1]) for i in range(5)]), as_tensor, rtol=1e-12)
    assert high_frequency_ratio(x[:1], x)["color"].error == float("inf")
    with pytest.raises(ValueError, match="integer type"):
        high_frequency_energy(np.zeros((1, 1, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="NaN or infinity"):
        high_frequency_energy(np.full((1, 1, 8, 8), np.nan))
    with pytest.raises(ValueError, match=r"wanted \(N, C, H, W\)"):
        high_frequency_energy(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="samples have shape"):
        high_frequency_ratio(x, x[:, :1])
    with pytest.raises(ValueError, match="no images"):
        energy_ratios(np.zeros((0, 1, 2)), np.zeros((3, 1, 2)))


def sheet(step: int, t: float, **ratios: tuple[float | None, float | None]) -> dict[str, Any]:
    return {
        "event": "samples",
        "step": 100 + step,
        "t": t,
        "high_frequency": {name: list(r) for name, r in ratios.items()},
    }


def spoken(*events: dict[str, Any]) -> list[dict[str, Any]]:
    watch = Watch()
    found = [finding for event in events for finding in watch.look(event)]
    return [finding for finding in found if finding["rule"] == "checkerboard artifacts"]


def test_the_watch_speaks_of_two_sheets_with_too_much() -> None:
    bad = {"brightness": (1.52, 0.12), "color": (7.99, 0.61)}
    found = spoken(sheet(500, 0.2, **bad), sheet(600, 0.25, **bad))
    assert [finding["step"] for finding in found] == [700]
    assert "8.0 ± 0.6 times the high-frequency color energy" in found[0]["evidence"]
    gray = spoken(sheet(500, 0.2, brightness=(3.0, 0.5)), sheet(600, 0.25, brightness=(2.9, 0.5)))
    assert "2.9 ± 0.5 times the high-frequency energy of held-out" in gray[0]["evidence"]


def test_a_lattice_on_blurred_samples_is_a_note() -> None:
    faint = {"brightness": (0.09, 0.01), "color": (0.23, 0.02), "checkerboard": (14.4, 0.6)}
    (finding,) = spoken(sheet(500, 0.2, **faint), sheet(600, 0.25, **faint))
    assert finding["severity"] == "note" and "14.4 ± 0.6 times" in finding["evidence"]
    less = {**faint, "checkerboard": (2.1, 0.1)}
    assert not spoken(*(sheet(i, 0.3 + i / 10, **less) for i in range(3)))
    strong = {**faint, "color": (8.0, 0.6)}
    (finding,) = spoken(sheet(500, 0.2, **strong), sheet(600, 0.25, **strong))
    assert finding["severity"] == "warning" and "color energy" in finding["evidence"]


def test_the_watch_waits_and_takes_back() -> None:
    bad, good = {"brightness": (3.0, 0.1), "color": (9.0, 1.0)}, {"brightness": (1.1, 0.1), "color": (1.2, 0.3)}
    assert not spoken(sheet(1, 0.1, **bad), sheet(2, 0.19, **bad), sheet(3, 0.3, **good))  # too early
    assert not spoken(sheet(1, 0.3, **bad), sheet(2, 0.4, **good), sheet(3, 0.5, **bad))  # never twice
    assert not spoken(*(sheet(i, 0.3 + i / 10, brightness=(2.4, 0.5), color=(5.2, 4.0)) for i in range(3)))  # uncertain
    assert not spoken(*(sheet(i, 0.3 + i / 10, brightness=(2.4, None), color=(None, None)) for i in range(3)))
    assert not spoken({"event": "samples", "step": 5, "file": "x.png"}, {"event": "samples", "step": 6})  # of before
    watch = Watch()
    for i in range(3):
        watch.look(sheet(i, 0.3 + i / 10, **bad))
    assert "checkerboard artifacts" in watch.active
    watch.look(sheet(9, 0.9, **good))
    assert "checkerboard artifacts" not in watch.active


def fresh(recipe: str, side: int, channels: int, **dials: Any) -> tuple[Any, Any]:
    """The decoder of a recipe's default, and 64 images of it before the first step, spread over 0 to 1."""
    schema = Schema(Image(side, side, channels))
    plan = find_recipe(recipe)(schema, **dials)
    torch.manual_seed(0)
    with torch.no_grad():
        decoder = plan.objective.arguments["model"].arguments["decoder"].build()
        made = decoder(torch.randn(64, 64 if recipe == "gan" else 32))
    return decoder, (0.5 + 0.1 * (made - made.mean()) / made.std()).clamp(0, 1)


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("recipe", ["gan", "vae"])
def test_a_default_network_starts_without_a_checkerboard(recipe: str, side: int) -> None:
    decoder, images = fresh(recipe, side, 3)
    highest, below = high_frequency_energy(images).sum(1).mean(0)
    assert highest < 0.7 * below
    if recipe == "gan":
        assert decoder.patch == 1 and decoder.enlarging == "bilinear"
        return
    weights = decoder.out.weight.unflatten(0, (-1, decoder.patch**2))
    assert torch.equal(weights, weights[:, :1].expand_as(weights)), "pixels of a patch start with the same weights"
    with torch.no_grad():
        decoder.out.reset_parameters()  # as it was
        made = decoder(torch.randn(64, 32))
    highest, below = high_frequency_energy((0.5 + 0.1 * made / made.std()).clamp(0, 1)).sum(1).mean(0)
    assert highest > below


def test_images_of_one_channel_and_small_are_drawn_as_before() -> None:
    decoder, _ = fresh("gan", 28, 1)
    assert decoder.patch == 4 and decoder.enlarging == "nearest"


def colored(folder: Path, n: int = 48, side: int = 16) -> Path:
    """Blobs in color, two classes of them."""
    y, x = np.indices((side, side)) / side
    images, random = [], np.random.default_rng(0)
    for _ in range(n):
        blob = np.exp(-((y - random.uniform(0.3, 0.7)) ** 2 + (x - random.uniform(0.3, 0.7)) ** 2) / 0.05)
        images.append(blob[..., None] * random.uniform(0.3, 1, 3) + 0.02 * random.standard_normal((side, side, 3)))
    path = folder / "blobs.npz"
    whole = (np.clip(images, 0, 1) * 255).round().astype(np.uint8)
    np.savez(path, x=whole, y=np.arange(n) % 2)
    return path


NAMES = ["high-frequency energy ratio", "high-frequency energy ratio of color", "checkerboard ratio"]


@pytest.mark.parametrize(
    ("recipe", "dials"),
    [
        ("gan", {"width": 8}),
        ("cgan", {"width": 8}),
        ("vae", {"width": 8, "condition": "label"}),
        ("autoencoder", {"width": 8}),
        ("vqvae", {"width": 8, "codebook_size": 8}),
    ],
)
def test_every_run_that_makes_images_measures_them(recipe: str, dials: dict[str, Any], tmp_path: Path) -> None:
    data = colored(tmp_path)
    dials = {**dials, "steps": 2, "batch": 8}
    run = workflow.start(Request(recipe, data, output=tmp_path / "run", dials=dials, report=False))
    sheets = [event for event in run.events() if event["event"] == "samples"]
    if recipe in ("gan", "cgan", "vae"):
        assert {event["t"] for event in sheets} == {0.5, 1.0}
        assert all(set(event["high_frequency"]) == {"brightness", "color", "checkerboard"} for event in sheets)
        assert all(value > 0 < error for value, error in sheets[-1]["high_frequency"].values())
    pipeline, whole = Pipeline.load(run.path), read_dataset(data, labels=True)
    part = whole.subset(torch.arange(30))
    scores = spectral(pipeline, part)
    assert [score["name"] for score in scores] == NAMES
    what = "samples over held-out" if sheets else "reconstructions over originals"
    assert what in scores[0]["note"] and {score["better"] for score in scores} == {"nearer to 1"}
    # What is measured of real images is 1, and a checkerboard shows.
    real = list(whole.batch(torch.arange(30)).x.mul(255).round().byte().permute(0, 2, 3, 1).numpy())
    if sheets:
        assert [score["value"] for score in spectral(pipeline, part, real)] == pytest.approx([1.0, 1.0, 1.0])
        lattice = (40 * (np.indices((16, 16)).sum(0) % 2))[..., None]
        spoiled = [np.clip(image.astype(int) + lattice, 0, 255).astype(np.uint8) for image in real]
        assert spectral(pipeline, part, spoiled)[0]["value"] > 5 < spectral(pipeline, part, spoiled)[2]["value"]


def test_a_model_of_rows_and_an_image_of_a_few_pixels_have_no_high_frequencies(tmp_path: Path) -> None:
    table = {"a": [float(i) for i in range(60)], "b": [float(i % 7) for i in range(60)]}
    dials = {"steps": 1, "batch": 8}
    run = workflow.start(Request("gan", table, output=tmp_path / "rows", dials=dials, report=False))
    assert spectral(Pipeline.load(run.path), read_dataset(table)) == []
    assert "high_frequency" not in "".join(map(str, run.events()))
