"""The artifact: raw in, raw out, for models with weights at random; training is not needed to test a verb."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import unsealed

from seisei import catalog, seeds
from seisei.capabilities import VERBS, offers
from seisei.data.types import read_inputs
from seisei.errors import UserError
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.nn.latents import spherical, truncated
from seisei.pipeline import MOST, Pipeline
from seisei.recipes import recipe
from seisei.schema import Schema

catalog.fill()
GRAY = Schema(Image(8, 8, 1, 17), Label(("cat", "dog", "owl")))


def pipeline(name: str = "vae", schema: Schema = GRAY, **dials: Any) -> Pipeline:
    plan = recipe(name)(schema, latent=3, width=16, **dials)
    with seeds.seeded("pipeline", name):
        model = plan.objective.build().model
    return Pipeline(model, schema, {"run": "runs/x", "step": 1}, "0" * 64)


def images(count: int = 5, shape: tuple[int, ...] = (8, 8)) -> np.ndarray:
    return np.rint(np.random.default_rng(0).integers(0, 17, (count, *shape)) * (255 / 16)).astype(np.uint8)


def dataset(pipe: Pipeline, count: int = 5) -> Any:
    given: Any = (images(count), np.array(["cat", "dog", "owl"] * count)[:count]) if pipe.classes else images(count)
    return read_inputs(pipe.schema, given, labels=bool(pipe.classes))


# ---- sampling ----


@pytest.mark.parametrize(
    "dials", [{}, {"prior": "vamp", "components": 4}, {"condition": "label"}, {"head": "bernoulli"}]
)
def test_a_longer_series_starts_with_the_shorter_one(dials: dict[str, Any]) -> None:
    """Across the borders of the blocks of 64 in which noise is drawn."""
    pipe = pipeline(**dials)
    long = pipe.sample(130, seed=7)
    for n in (1, 3, 63, 64, 65, 129):
        assert all(np.array_equal(a, b) for a, b in zip(pipe.sample(n, seed=7), long, strict=False)), n
    assert all(p.dtype == np.uint8 and p.shape == (8, 8) for p in long)
    other = pipe.sample(130, seed=8)
    assert np.mean([not np.array_equal(a, b) for a, b in zip(long, other, strict=True)]) > 0.9
    assert len({p.tobytes() for p in long}) > 100  # blocks do not repeat each other


def test_sampling_leaves_torchs_randomness_alone() -> None:
    pipe = pipeline()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = pipe.sample(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    assert all(np.array_equal(a, b) for a, b in zip(first, pipe.sample(3), strict=True))


def test_temperature_scales_the_latent() -> None:
    pipe = pipeline()
    for temperature in (1e-6, 0.5, 3.0):
        drawn = pipe.sample(4, seed=1, temperature=temperature)
        by_hand = pipe.decode(temperature * pipe.prior_latents([1]).numpy())
        assert np.array_equal(drawn[0], by_hand[0])
    cold = pipe.sample(4, seed=1, temperature=1e-6)
    assert all(np.array_equal(cold[0], p) for p in cold)


def test_truncation_moves_every_latent_inwards() -> None:
    pipe = pipeline()
    z = pipe.prior_latents([1]).numpy()
    mapped = truncated(torch.from_numpy(z), 0.5)
    assert float(mapped.abs().max()) < 0.5 and bool((mapped.sign() == torch.from_numpy(z).sign()).all())
    assert np.array_equal(pipe.sample(4, seed=1, truncation=0.5)[0], pipe.decode(mapped.numpy())[0])
    assert np.array_equal(pipe.sample(4, seed=1, truncation=40.0)[0], pipe.sample(1, seed=1)[0])
    # Uniform between the quantiles of ±1: the distribution function of a normal one within ±1.
    many = truncated(torch.randn(40_000, generator=seeds.generator("many")), 1.0)
    for at in (-0.5, 0.0, 0.5):
        share = (torch.special.ndtr(torch.tensor(at)) - 0.158655) / 0.682690
        assert abs(float((many < at).float().mean()) - float(share)) < 0.01
    for wrong, kind in ((0.0, {}), (float("nan"), {}), (1.0, {"prior": "vamp", "components": 4})):
        with pytest.raises(UserError, match="--truncation"):
            pipeline(**kind).sample(2, truncation=wrong)


def test_the_latent_of_a_seed_is_that_of_its_first_image() -> None:
    for dials in (
        {},
        {"prior": "vamp", "components": 4},
        {"condition": "label"},
        {"condition": "label", "prior": "vamp", "components": 4},
    ):
        pipe = pipeline(**dials)
        label = "cat" if pipe.classes else None
        for seed in (0, 5):
            assert np.array_equal(
                pipe.decode(pipe.prior_latents([seed]).numpy(), label=label)[0], pipe.sample(1, seed=seed)[0]
            )


def test_kinds_can_be_chosen() -> None:
    pipe = pipeline(condition="label")
    turn = pipe.labels(7, None)
    assert turn is not None and turn.tolist() == [0, 1, 2, 0, 1, 2, 0]
    dogs = pipe.sample(3, seed=2, label="dog")
    mixed = pipe.sample(3, seed=2, label=["dog", "cat", "dog"])
    assert (
        np.array_equal(dogs[0], mixed[0])
        and np.array_equal(dogs[2], mixed[2])
        and not np.array_equal(dogs[1], mixed[1])
    )
    for wrong, words in [("dgo", "did you mean 'dog'"), (["cat", "dog"], "2 labels for 3 examples")]:
        with pytest.raises(UserError, match=words):
            pipe.sample(3, label=wrong)
    with pytest.raises(UserError, match="trained without labels"):
        pipeline().sample(3, label="dog")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"n": 0}, "E-SMP-08"),
        ({"n": MOST + 1}, "E-SMP-08"),
        ({"seed": -1}, "E-SMP-09"),
        ({"seed": 2**63}, "E-SMP-09"),
        ({"temperature": 0.0}, "E-SMP-10"),
        ({"temperature": math.nan}, "E-SMP-10"),
        ({"temperature": math.inf}, "E-SMP-10"),
    ],
)
def test_what_cannot_be_sampled(options: dict[str, Any], code: str) -> None:
    with pytest.raises(UserError) as caught:
        pipeline().sample(**{"n": 2, **options})
    assert caught.value.code == code and "\n" not in str(caught.value)


# ---- codes ----


@pytest.mark.parametrize(("name", "dials"), [("vae", {}), ("vae", {"condition": "label"}), ("autoencoder", {})])
def test_encode_decode_reconstruct_agree(name: str, dials: dict[str, Any]) -> None:
    pipe = pipeline(name, **dials)
    data = dataset(pipe, 5)
    z = pipe.encode(data)
    assert z.shape == (5, 3) and z.dtype == np.float32 and pipe.latent_size == 3
    labels = ["cat", "dog", "owl", "cat", "dog"] if pipe.classes else None
    back, direct = pipe.decode(z, label=labels), pipe.reconstruct(data)
    assert len(back) == 5 and all(np.array_equal(a, b) for a, b in zip(back, direct, strict=True))
    assert np.array_equal(pipe.encode(dataset(pipe, 3)), z[:3]) or np.allclose(
        pipe.encode(dataset(pipe, 3)), z[:3], atol=1e-6
    )


@pytest.mark.parametrize(
    ("latents", "code"),
    [
        (np.zeros((2, 4)), "E-DEC-22"),
        (np.zeros(3), "E-DEC-22"),
        (np.zeros((1, 1, 3)), "E-DEC-22"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), "E-DEC-24"),
        (np.array([[0, 0, np.inf]]), "E-DEC-24"),
        (np.array([[1e300, 0, 0]]), "E-DEC-24"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_latents_that_are_none(latents: Any, code: str) -> None:
    for name in ("vae", "autoencoder"):
        with pytest.raises(UserError) as caught:
            pipeline(name).decode(latents)
        assert caught.value.code == code
    if code == "E-DEC-24" and len(latents) == 2:
        assert "row 1" in str(caught.value)


def test_walks_go_from_kind_to_kind() -> None:
    pipe = pipeline("cgan")
    z = pipe.prior_latents([1, 2])

    def shown(rows: list[list[Any]]) -> list[Any]:
        return [p.tolist() for row in rows for p in row]

    (walk,) = pipe.interpolate(z, steps=3, label=["cat", "owl"])
    assert walk[0].tolist() == pipe.decode(z[:1].numpy(), label="cat")[0].tolist()
    assert walk[-1].tolist() == pipe.decode(z[1:].numpy(), label="owl")[0].tolist()
    # Halfway it is neither of both, and not the kind that stands between them in the list.
    between = [pipe.decode(z.mean(0, keepdim=True).numpy(), label=kind)[0].tolist() for kind in ("cat", "dog", "owl")]
    assert walk[1].tolist() not in between
    assert shown(pipe.interpolate(z, steps=3, label="dog")) == shown(pipe.interpolate(z, steps=3, label=["dog", "dog"]))
    again = torch.cat([z, z])
    rows = pipe.interpolate(again, steps=2)
    kinds = [pipe.interpolate(again[i : i + 2], steps=2, label=kind)[0] for i, kind in enumerate(("cat", "dog", "owl"))]
    assert shown(rows) == shown(kinds), "without a label each row is of another kind"
    with pytest.raises(UserError, match="3 labels for 2 examples"):
        pipe.interpolate(z, label=["cat", "dog", "owl"])


def test_interpolations_start_and_end_at_their_ends() -> None:
    pipe = pipeline()
    ends = pipe.prior_latents([1, 2, 3])
    for path in ("linear", "spherical"):
        rows = pipe.interpolate(ends, steps=5, path=path)
        assert [len(r) for r in rows] == [5, 5]
        at = pipe.decode(ends.numpy())
        assert (
            np.array_equal(rows[0][0], at[0])
            and np.array_equal(rows[0][-1], at[1])
            and np.array_equal(rows[1][-1], at[2])
        )
    middle = pipe.decode((ends[:2].mean(0, keepdim=True)).numpy())[0]
    assert np.abs(pipe.interpolate(ends[:2], steps=3)[0][1].astype(int) - middle).max() <= 16
    for wrong, code in [
        ({"ends": ends[:1]}, "E-INT-19"),
        ({"ends": ends, "steps": 1}, "E-INT-20"),
        ({"ends": ends, "steps": 1001}, "E-INT-20"),
    ]:
        with pytest.raises(UserError) as caught:
            pipe.interpolate(**wrong)
        assert caught.value.code == code
    with pytest.raises(UserError, match="no latent prior to sample from"):
        pipeline("autoencoder").prior_latents([1])


def test_the_great_circle() -> None:
    a, b = torch.tensor([2.0, 0, 0]), torch.tensor([0, 4.0, 0])
    for t in (0.0, 0.25, 0.5, 1.0):
        point = spherical(a, b, t)
        assert float(point.norm()) == pytest.approx(2 + 2 * t)
        assert math.atan2(float(point[1]), float(point[0])) == pytest.approx(t * math.pi / 2, abs=1e-6)
    straight_through = torch.lerp(a, b, 0.5)
    assert float(straight_through.norm()) != pytest.approx(3.0)  # mutant
    assert torch.allclose(spherical(a, a * 2, 0.5), a * 1.5) and torch.allclose(spherical(a * 0, b, 0.5), b / 2)
    assert bool(torch.isfinite(spherical(a, -a, 0.5)).all())


# ---- numbers ----


def test_scores_are_repeatable_and_grow_with_the_samples() -> None:
    pipe = pipeline()
    data = dataset(pipe, 70)  # two batches
    one, again, many = (
        pipe.score(data, samples=5, seed=1),
        pipe.score(data, samples=5, seed=1),
        pipe.score(data, samples=200, seed=1),
    )
    assert (
        one.nats.shape == one.bits.shape == (70,)
        and one.bound
        and "lower bound" in one.meaning
        and "K = 5" in one.meaning
    )
    assert np.array_equal(one.nats, again.nats) and not np.array_equal(
        one.nats, pipe.score(data, samples=5, seed=2).nats
    )
    assert many.nats.mean() > one.nats.mean() and np.allclose(one.bits, -one.nats / (64 * math.log(2)))
    for samples in (0, -3, 10**7):
        with pytest.raises(UserError, match="out of range"):
            pipe.score(data, samples=samples)


def test_a_score_depends_on_companions_by_its_noise_alone() -> None:
    """Noise is drawn for a batch of 64: other companions, other noise. With many draws the answers agree."""
    pipe = pipeline(head="bernoulli")
    whole, part = pipe.score(dataset(pipe, 20), samples=2000).nats[:5], pipe.score(dataset(pipe, 5), samples=2000).nats
    assert not np.array_equal(whole, part) and np.abs(whole - part).max() < 0.5
    assert np.array_equal(
        pipe.score(dataset(pipe, 130), samples=3).nats[:64], pipe.score(dataset(pipe, 64), samples=3).nats
    )


# ---- verbs ----


def test_verbs_are_what_the_model_can_do_and_others_are_refused_in_a_line() -> None:
    everything, less = pipeline(), pipeline("autoencoder")
    assert (
        everything.verbs
        == [verb for verb in VERBS if verb not in ("predict", "impute", "translate", "stylize")] + ["evaluate"]
        == offers(everything.model)
    )
    assert less.verbs == ["reconstruct", "interpolate", "encode", "decode", "evaluate"]
    for verb, call in {"sample": lambda: less.sample(2), "score": lambda: less.score(dataset(less))}.items():
        with pytest.raises(UserError) as caught:
            call()
        line = str(caught.value)
        assert (
            f"cannot {verb}" in line
            and "reconstruct, interpolate, encode, decode, evaluate" in line
            and "\n" not in line
        )
        assert caught.value.code_for(verb).startswith("E-")
    for other in (Image, object()):  # a class has the methods, and is no model
        assert "sample" not in offers(other)


# ---- loading ----


def run_folder(path: Path, name: str = "vae", schema: Schema = GRAY, **dials: Any) -> Any:
    """What training leaves, without training."""
    from seisei.training.run import FORMAT, RunFolder

    plan = recipe(name)(schema, latent=3, width=16, **dials)
    with seeds.seeded("folder"):
        model = plan.objective.build().model
    run = RunFolder.create(path, "x")
    run.write("recipe.json", {"format": FORMAT, "recipe": name, "plan": plan.to_json(), "data": {}})
    run.write("schema.json", schema.to_json())
    weights = {k: v.detach() for k, v in model.state_dict().items()}
    run.checkpoints.save(4, {"model": weights, "average": {k: v * 0.5 for k, v in weights.items()}}, {"step": 4})
    run.checkpoints.save(8, {"model": weights, "average": {k: v * 0.25 for k, v in weights.items()}}, {"step": 8})
    return model


def test_weights_come_back_to_the_bit(tmp_path: Path) -> None:
    model = run_folder(tmp_path / "r")
    for step, share in ((None, 0.25), (8, 0.25), (4, 0.5)):
        pipe = Pipeline.load(tmp_path / "r", step=step)
        assert all(torch.equal(v, model.state_dict()[k] * share) for k, v in pipe.model.state_dict().items())
        assert pipe.card["step"] == (step or 8) and pipe.card["weights"] == "average" and not pipe.model.training
    last = Pipeline.load(tmp_path / "r", weights="last")
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in last.model.state_dict().items())
    assert last.digest != pipe.digest and len(last.digest) == 64
    with pytest.raises(UserError, match="no checkpoint of step 5"):
        Pipeline.load(tmp_path / "r", step=5)


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_note(tmp_path: Path) -> None:
    run_folder(tmp_path / "r")
    victim = tmp_path / "r" / "checkpoints" / "step-00000008" / "average.safetensors"
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(bytes(data))
    pipe = Pipeline.load(tmp_path / "r")
    assert pipe.card["step"] == 4 and len(pipe.notes) == 1 and "using step 4 instead" in pipe.notes[0]


@pytest.mark.parametrize(
    "damage",
    [
        {},
        [],
        None,
        3,
        {"plan": None},
        {"plan": []},
        {"plan": {"objective": 3}},
        {"plan": {"objective": {"arguments": []}}},
        {"plan": {"objective": {"arguments": {"model": "VAE"}}}},
        {"plan": {"objective": {"arguments": {"model": {"_target_": "os.system"}}}}},
        {"plan": {"objective": {"arguments": {"model": {"class": "os.system", "arguments": {}}}}}},
        {"plan": {"objective": {"arguments": {"model": {"class": "VAE", "arguments": {}}}}}},
    ],
)
def test_a_damaged_description_is_refused_in_a_line(tmp_path: Path, damage: Any) -> None:
    run_folder(tmp_path / "r")
    (tmp_path / "r" / "recipe.json").write_text(json.dumps(damage))
    with pytest.raises(UserError) as caught:
        Pipeline.load(tmp_path / "r")
    assert "recipe.json" in str(caught.value) and "\n" not in str(caught.value)


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    run_folder(tmp_path / "r")
    recipe_json = json.loads((tmp_path / "r" / "recipe.json").read_text())
    recipe_json["plan"]["objective"]["arguments"]["model"]["arguments"]["decoder"]["arguments"]["width"] = 24
    (tmp_path / "r" / "recipe.json").write_text(json.dumps(recipe_json))
    unsealed(tmp_path / "r")
    with pytest.raises(
        UserError, match=r"average.safetensors: tensor 'decoder\.\S+' has shape \(.*16.*, wanted \(.*24"
    ):
        Pipeline.load(tmp_path / "r")
