"""A codec and a prior over its codes: two runs, the second of which needs nothing of the first once it began."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from sklearn.datasets import load_digits

import seisei
from seisei.cli.main import main
from seisei.errors import Stopped, UserError
from seisei.modalities.image_io import png_bytes
from seisei.training.loop import Training

CODEC = {"codebook_size": 16, "code_dim": 4, "width": 8, "depth": 0, "steps": 30, "batch": 32}
PRIOR = {"width": 16, "layers": 1, "heads": 2, "steps": 30, "batch": 32}


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seisei.train("vqvae", "digits", output=tmp_path_factory.mktemp("codec") / "run", report=False, **CODEC)


@pytest.fixture(scope="module")
def prior(codec: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seisei.train(
        "prior", "digits", output=tmp_path_factory.mktemp("prior") / "run", report=False, codec=str(codec.path),
        condition="label", **PRIOR,
    )  # fmt: skip


def test_the_codec_stays_as_it_was(codec: Any, prior: Any) -> None:
    theirs, ours = codec.pipeline.model.state_dict(), prior.pipeline.model.density.codec.state_dict()
    assert theirs.keys() == ours.keys() and all(np.array_equal(theirs[k], ours[k]) for k in ours)


def test_a_sharp_codec_trains_and_remembers_its_best(tmp_path: Path) -> None:
    options: dict[str, Any] = {**CODEC, "gan_weight": 0.5, "downsample": 4, "steps": 4}
    run = seisei.train("vqvae", "digits", output=tmp_path / "run", report=False, **options)
    best = load_file(sorted((run.path / "checkpoints").iterdir())[-1] / "players.safetensors")["best"]
    assert 0 < float(best) < 60  # dB


def test_what_a_prior_can_do(prior: Any) -> None:
    assert prior.verbs == ["sample", "score", "predict", "impute", "evaluate"]
    drawn = prior.sample(5, seed=3, label="7", top_k=4, guidance=2.0)
    assert np.array_equal(drawn, prior.sample(5, seed=3, label="7", top_k=4, guidance=2.0))
    assert np.asarray(drawn).shape == (5, 8, 8) and not np.array_equal(drawn, prior.sample(5, seed=3, label="7"))
    found = prior.score("digits")
    assert (
        found.bound
        and "from the encoder's codes" in found.meaning
        and found.bits is not None
        and bool(np.isfinite(found.nats).all())
    )


def test_it_needs_nothing_of_the_first_run(codec: Any, prior: Any, tmp_path: Path) -> None:
    shutil.copytree(codec.path, tmp_path / "codec")
    options: dict[str, Any] = {"codec": str(tmp_path / "codec"), "report": False, **PRIOR}
    run = seisei.train("prior", "digits", output=tmp_path / "run", **options)
    shutil.rmtree(tmp_path / "codec")
    first = run.sample(2)
    assert list([e for e in run.folder.events() if e["event"] == "end"][-1]["before"]) == ["codec"]
    assert np.array_equal(seisei.load(run.path).sample(2), first)
    longer = seisei.resume(run.path, steps=40)
    assert longer.pipeline.card["step"] == 40 and longer.pipeline.digest != run.pipeline.digest


@pytest.mark.parametrize("name", ["vqvae", "prior"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    name: str, codec: Any, prior: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = codec if name == "vqvae" else prior
    options: dict[str, Any] = {"codec": str(codec.path), "condition": "label", **PRIOR} if name == "prior" else CODEC
    advance = Training.advance

    def then_stop(training: Training) -> None:
        advance(training)
        if training.step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "advance", then_stop)
        with pytest.raises(Stopped):
            seisei.train(name, "digits", output=tmp_path / "run", report=False, **options)
    assert seisei.resume(tmp_path / "run").pipeline.digest == whole.pipeline.digest


BOTH: dict[str, Any] = {"codebook_size": 16, "codec_steps": 20, "condition": "label", **PRIOR}


def test_both_stages_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has a folder in the run; stopped in either, resuming ends as if it had never been stopped."""
    whole = seisei.train("vqvae+prior", "digits", output=tmp_path / "whole", **BOTH)
    assert whole.verbs == ["sample", "score", "predict", "impute", "evaluate"] and whole.report.exists()
    stage = seisei.load(tmp_path / "whole" / "codec")
    end, codec_end = ([e for e in run.folder.events() if e["event"] == "end"][-1] for run in (whole, stage))
    assert list(end["parts"]) == ["codec", "prior"] and end["parts"]["codec"] == codec_end["seconds"]
    assert end["seconds"] == pytest.approx(sum(end["parts"].values()), abs=0.11)
    assert re.search(r"<dt>Time</dt><dd>[^<]+ \(codec [^<]+, prior [^<]+\)</dd>", whole.report.read_text())
    assert stage.verbs == ["reconstruct", "encode", "decode", "score", "evaluate"] and stage.report.exists()
    theirs, ours = stage.pipeline.model.state_dict(), whole.pipeline.model.density.codec.state_dict()
    assert all(np.array_equal(theirs[k], ours[k]) for k in ours)
    advance, steps = Training.advance, 0
    for stop in (7, 31):

        def then_stop(training: Training, stop: int = stop) -> None:
            nonlocal steps
            advance(training)
            steps += 1
            if steps == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        steps, output = 0, tmp_path / f"stopped at {stop}"
        with monkeypatch.context() as patch:
            patch.setattr(Training, "advance", then_stop)
            with pytest.raises(Stopped, match=f"resume with: seisei resume '{output}'"):
                seisei.train("vqvae+prior", "digits", output=output, **BOTH)
        assert seisei.resume(output).pipeline.digest == whole.pipeline.digest
    assert len(list((tmp_path / "whole").rglob("recipe.json"))) == 2


@pytest.mark.parametrize("each", [False, True])
def test_grids_of_codes_have_one_prior_or_one_each(each: bool, tmp_path: Path) -> None:
    codec = seisei.train("vqvae2", "digits", output=tmp_path / "codec", report=False, downsample=2, **CODEC)
    assert [s.length for s in codec.pipeline.model.segments] == [4, 16]
    run = seisei.train(
        "prior",
        "digits",
        output=tmp_path / "prior",
        report=False,
        codec=str(codec.path),
        per_level_priors=each,
        **PRIOR,
    )
    assert len(run.pipeline.model.network.parts) == (2 if each else 1)
    assert np.asarray(run.sample(3, top_k=5)).shape == (3, 8, 8) and run.score("digits").bound
    hole = np.zeros((8, 8), bool)
    hole[:4] = True
    assert np.asarray(run.impute(np.zeros((1, 8, 8), np.uint8), hole[None], 2)).shape[-2:] == (8, 8)


def test_data_are_read_as_they_were_for_the_codec(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 20), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images)
    first = seisei.train("vqvae", tmp_path / "images.npz", output=tmp_path / "codec", report=False, size=16, **CODEC)
    assert first.pipeline.schema.x.height == 16
    second = seisei.train(
        "prior", tmp_path / "images.npz", output=tmp_path / "prior", report=False, codec=str(first.path), **PRIOR
    )
    assert np.asarray(second.sample(1)).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("codec_of", "data", "code"),
    [("nothing", "digits", "E-*-01"), ("vae", "digits", "E-TRN-13"), ("codec", "images", "E-TRN-13")],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    codec: Any, tmp_path: Path, codec_of: str, data: str, code: str
) -> None:
    given = {"codec": codec.path, "nothing": tmp_path / "nothing", "vae": tmp_path / "vae"}[codec_of]
    if codec_of == "vae":
        seisei.train("vae", "digits", output=given, report=False, steps=2, width=16, latent=2)
    images = {"x": np.random.default_rng(0).integers(0, 256, (60, 12, 12), dtype=np.uint8)}
    with pytest.raises(UserError) as caught:
        seisei.train("prior", images if data == "images" else data, output=tmp_path / "run", codec=str(given), **PRIOR)
    assert caught.value.code == code and "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_codes_travel_in_files_and_others_are_refused(codec: Any) -> None:
    codes = codec.encode("digits")
    assert codes.dtype == np.int64 and codes.shape == (1797, 16) and codec.pipeline.bits == 64
    assert np.array_equal(codec.decode(codes[:3]), codec.reconstruct("digits")[:3])
    for wrong, code, told in (
        (codes[:2, :5], "E-DEC-22", "shape 2×5"),
        (codes[:2] + 16, "E-DEC-21", "wanted an integer from 0 to 15"),
        (codes[:2] - 0.5, "E-DEC-23", "wanted an integer from 0 to 15"),
    ):
        with pytest.raises(UserError, match=told) as caught:
            codec.decode(wrong)
        assert caught.value.code == code


def test_holes_are_filled_and_the_rest_stays(prior: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.rint(load_digits().images[:2] * (255 / 16)).astype(np.uint8)
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 2:5, 3:] = 255
    made = np.asarray(prior.impute(images, mask, 3, seed=1, label="0"))
    assert made.shape == (2, 3, 8, 8) and np.array_equal(made, prior.impute(images, mask, 3, seed=1, label="0"))
    kept = np.rint(np.rint(images / (255 / 16)) * (255 / 16))
    assert np.array_equal(made[:, :, mask[0] == 0], np.repeat(kept[:, None, mask[0] == 0], 3, 1))
    # The same on the command line: a row for each image, before it what is seen of it.
    for name, image in (("one", images[0]), ("mask", mask[0])):
        (tmp_path / f"{name}.png").write_bytes(png_bytes(image[..., None]))
    out = tmp_path / "filled.png"
    command = ["impute", str(prior.path), str(tmp_path / "one.png"), "--mask", str(tmp_path / "mask.png"), "-n", "3"]
    main([*command, "--label", "0", "-o", str(out)])
    assert str(out) in capsys.readouterr().out and out.stat().st_size > 100
    main([*command, "--label", "0", "-o", str(tmp_path / "each"), "--separate"])
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == ["one-0.png", "one-1.png", "one-2.png"]


def test_what_cannot_be_filled(prior: Any) -> None:
    images, hole = np.zeros((2, 8, 8), np.uint8), np.full((1, 8, 8), 255, np.uint8)
    for holes, n, code, told in (
        (0 * hole, 1, "E-IMP-19", "no missing pixels"),
        (np.concatenate([hole] * 3), 1, "E-IMP-24", "3 masks for 2 images"),
        (hole, 0, "E-IMP-25", "0 is out of range"),
    ):
        with pytest.raises(UserError, match=told) as caught:
            prior.impute(images, holes, n)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("knob", "told"),
    [
        ({"top_k": 0}, "--top-k: 0 is out of range"),
        ({"top_p": 0.0}, "--top-p: 0.0 is out of range"),
        ({"min_p": 2.0}, "--min-p: 2.0 is out of range"),
        ({"guidance": -1.0}, "--guidance: -1.0 is out of range"),
    ],
)
def test_knobs_out_of_range(prior: Any, knob: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        prior.sample(1, **knob)


def test_knobs_that_a_model_does_not_have(codec: Any, tmp_path: Path) -> None:
    run = seisei.train("vae", "digits", output=tmp_path / "vae", report=False, steps=2, width=16, latent=2)
    with pytest.raises(UserError, match="is not autoregressive"):
        run.sample(1, top_k=3)
    plain = seisei.train("prior", "digits", output=tmp_path / "run", report=False, codec=str(codec.path), **PRIOR)
    with pytest.raises(UserError, match="this model is unconditional"):
        plain.sample(1, guidance=2.0)


@pytest.mark.slow
def test_what_is_said_is_what_is_drawn(tmp_path: Path) -> None:
    """Bars, upright or level, dark or light, by what a caption says; words that were never together are, in the end."""
    random, lines, images = np.random.default_rng(0), ["file_name,caption"], tmp_path / "bars"
    images.mkdir()
    for i in range(600):
        level, light, at = bool(random.integers(2)), bool(random.integers(2)), int(random.integers(1, 6))
        bar = np.zeros((8, 8), np.uint8)
        bar[at : at + 2] = 250 if light else 120
        (images / f"{i}.png").write_bytes(png_bytes(bar if level else bar.T.copy()))
        lines.append(f"{i}.png,a {'light' if light else 'dark'} bar that is {'level' if level else 'upright'}")
    (images / "metadata.csv").write_text("\n".join(lines))
    run = seisei.train(
        "prior", images, output=tmp_path / "run", report=False, condition="caption", width=32,
        layers=2, heads=4, batch=32, steps=400,
    )  # fmt: skip
    told = {
        (level, light): f"a {light} bar that is {level}"
        for level in ("level", "upright")
        for light in ("light", "dark")
    }
    for (level, light), words in told.items():
        drawn = np.asarray(run.sample(16, seed=1, label=words, top_k=1)).astype(float)
        across, down = drawn.std(2).mean(), drawn.std(1).mean()
        assert (across < down) == (level == "level"), (words, across, down)
        assert (drawn.max() > 180) == (light == "light"), (words, drawn.max())
    with pytest.raises(UserError, match="a text of 100 bytes, wanted at most"):
        run.sample(2, label="x" * 100)
