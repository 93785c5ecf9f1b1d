"""Inception-v3: its shape is the known one, its weights are read or refused, distances are measured in its features."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import trained
from torch import Tensor, nn

from seisei.cli.main import main
from seisei.data.dataset import Dataset
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.evaluation import sample_quality as fidelities
from seisei.evaluation.evaluate import evaluate
from seisei.evaluation.sample_quality import fidelity
from seisei.metrics.frechet import frechet_distance
from seisei.modalities.image import Image
from seisei.nn import inception as module
from seisei.nn.inception import Inception, Layer, Mixed, loaded, prepared
from seisei.pipeline import Pipeline
from seisei.schema import Schema
from seisei.training.tensors import to_bytes

# SHA-256 of the names and shapes of torchvision's inception_v3 (0.29), sorted, without fc, AuxLogits and the counters.
NAMES = "e22ffc91a09f7caa1af2ce051c7ddf26018012910da85827a0b035b343f00177"
MAPS = {
    "Conv2d_1a_3x3": (32, 149), "Conv2d_2a_3x3": (32, 147), "Conv2d_2b_3x3": (64, 147), "maxpool1": (64, 73),
    "Conv2d_3b_1x1": (80, 73), "Conv2d_4a_3x3": (192, 71), "maxpool2": (192, 35), "Mixed_5b": (256, 35),
    "Mixed_5c": (288, 35), "Mixed_5d": (288, 35), "Mixed_6a": (768, 17), "Mixed_6b": (768, 17), "Mixed_6c": (768, 17),
    "Mixed_6d": (768, 17), "Mixed_6e": (768, 17), "Mixed_7a": (1280, 8), "Mixed_7b": (2048, 8), "Mixed_7c": (2048, 8),
}  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Weights by chance under which numbers stay of one size, and what a file holds beside them."""
    random = torch.Generator().manual_seed(0)
    network = Inception()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return {**state, "fc.weight": torch.zeros(1008, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def stored(weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "fid.safetensors"
    path.write_bytes(to_bytes(weights))
    return path


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return read_dataset("digits", labels=True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sixteenth of the work: the smallest images that the network can halve so often."""
    monkeypatch.setattr(module, "SIDE", 75)
    monkeypatch.setattr(fidelities, "STEPS", 20)


# ---- the network


def test_names_shapes_and_maps_are_the_known_ones() -> None:
    with torch.device("meta"):
        network = Inception()
        found: dict[str, tuple[int, int]] = {}
        for name, layer in network.named_children():
            layer.register_forward_hook(
                lambda _, __, out, name=name: found.update({name: (out.shape[1], out.shape[3])})
            )
        assert network.pooled(torch.zeros(2, 3, 299, 299)).shape == (2, 2048)
    assert found == MAPS and list(found) == list(MAPS)
    assert sum(p.numel() for p in network.parameters()) == 21_785_568
    state = {n: tuple(v.shape) for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert state["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)
    lines = sorted(f"{name} {shape}" for name, shape in state.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == NAMES


@torch.no_grad()
def test_branches_lie_one_after_another_in_the_known_order(weights: dict[str, Tensor]) -> None:
    """Every layer says a number of its own, whatever it reads: the last layers of a branch are then told apart."""
    state = {name: value.zero_() if "bn.weight" in name else value for name, value in _copy(weights).items()}
    biases = {name: i + 1.0 for i, name in enumerate(n for n in state if n.endswith("bn.bias"))}
    network = loaded({**state, **{n: torch.full_like(state[n], v) for n, v in biases.items()}}, "numbers")
    seen: dict[str, list[tuple[float, int]]] = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: _runs(out[0, :, 0, 0])}))
    network.pooled(torch.zeros(1, 3, 75, 75))

    def said(mixed: str, *parts: tuple[str, int]) -> list[tuple[float, int]]:
        return [(biases[f"{mixed}.{part}.bn.bias"], count) for part, count in parts]

    for name, pool in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        lasts = [("branch1x1", 64), ("branch5x5_2", 64), ("branch3x3dbl_3", 96), ("branch_pool", pool)]
        assert seen[name] == said(name, *lasts)
    assert seen["Mixed_6a"] == said("Mixed_6a", ("branch3x3", 384), ("branch3x3dbl_3", 96)) + seen["Mixed_5d"]
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        parts = ("branch1x1", "branch7x7_3", "branch7x7dbl_5", "branch_pool")
        assert seen[name] == said(name, *((part, 192) for part in parts))
    assert seen["Mixed_7a"] == said("Mixed_7a", ("branch3x3_2", 320), ("branch7x7x3_4", 192)) + seen["Mixed_6e"]
    for name in ("Mixed_7b", "Mixed_7c"):
        pairs = ("branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b")
        assert seen[name] == said(name, ("branch1x1", 320), *((part, 384) for part in pairs), ("branch_pool", 192))


def test_means_at_the_border_are_of_what_is_there_and_the_last_pool_takes_the_largest() -> None:
    with torch.device("meta"):
        pools = {n: [s[0] for b in m.branches for s in b] for n, m in Inception().named_children() if _mixed(m)}
    found = {n: next(p for p in parts if isinstance(p, (nn.AvgPool2d, nn.MaxPool2d))) for n, parts in pools.items()}
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 90.0]])[None, None]
    means = [[3, 3.5, 4], [4.5, 14, 114 / 6], [6, 20, 109 / 4]]  # in a corner of four, at a side of six
    for name in (*(f"Mixed_5{c}" for c in "bcd"), *(f"Mixed_6{c}" for c in "bcde"), "Mixed_7b"):
        assert found[name](x)[0, 0].tolist() == [pytest.approx(row) for row in means], name
    assert found["Mixed_7c"](x)[0, 0].tolist() == [[5, 6, 6], [8, 90, 90], [8, 90, 90]]
    assert found["Mixed_6a"](x).tolist() == found["Mixed_7a"](x).tolist() == [[[[90]]]]


def test_a_layer_scales_and_shifts_by_fixed_statistics() -> None:
    layer = Layer(1, 1, 1).eval()
    for part, value in ((layer.conv.weight, 2.0), (layer.bn.weight, 3.0), (layer.bn.bias, -1.0)):
        nn.init.constant_(part, value)
    nn.init.constant_(layer.bn.running_mean, 1.0)  # type: ignore[arg-type]
    nn.init.constant_(layer.bn.running_var, 4 - 0.001)  # type: ignore[arg-type]
    x = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 1, 1, 3)  # 3 (2x − 1)/2 − 1, and 0 where that is below
    assert layer(x).flatten().tolist() == pytest.approx([0, 0.5, 3.5])


def test_images_are_stretched_between_the_middles_of_pixels() -> None:
    x = torch.tensor([[0.0, 1.0], [0.25, 1.0]]).reshape(2, 1, 1, 2)
    large = prepared(x)
    assert large.shape == (2, 3, 299, 299) and torch.equal(large[:, 0], large[:, 2])
    column = 100
    share = (column + 0.5) * 2 / 299 - 0.5
    assert large[0, 1, 7, column].item() == pytest.approx(2 * share - 1, abs=1e-6)
    assert large[0, 0, :, :74].unique().tolist() == [-1], "left of the first middle, 299/4, there is only that pixel"
    assert large[1, 0, 0, 0].item() == -0.5 and large[1, 0, 0, -1].item() == 1
    color = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prepared(color), 2 * color - 1)


@torch.no_grad()
def test_gray_is_all_three_colors_and_images_do_not_know_each_other(
    weights: dict[str, Tensor], small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = loaded(weights, "weights")
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    found = network(x)
    assert found.shape == (5, 2048) and float(found.std(0).mean()) > 0.002
    torch.testing.assert_close(network(x.expand(-1, 3, -1, -1)), found)
    monkeypatch.setattr(module, "TOGETHER", 2)
    torch.testing.assert_close(network(x.flip(0)).flip(0), found, rtol=1e-3, atol=1e-6)
    for channels in (2, 4):
        with pytest.raises(UserError, match=rf"{channels} channels, wanted 1 \(gray\) or 3 \(color\)") as caught:
            network(torch.zeros(1, channels, 8, 8))
        assert caught.value.code == "E-EVA-28"


# ---- its weights


@torch.no_grad()
def test_a_full_sized_image_and_a_file_of_weights(weights: dict[str, Tensor], stored: Path, digits: Dataset) -> None:
    network, before = Inception(), torch.random.get_rng_state()
    network.load_state_dict({n: v for n, v in weights.items() if n in network.state_dict()})
    x = digits.batch(torch.arange(1))
    read = fidelities.inception(stored, _pipeline(digits))
    assert read.source == "Inception-v3 features (weights fid.safetensors)" and read.posterior is None
    torch.testing.assert_close(read.features(x), network(x.x), rtol=1e-3, atol=1e-6)
    assert torch.equal(before, torch.random.get_rng_state()), "nothing is drawn"


def test_counters_may_be_absent_and_numbers_of_half_precision(weights: dict[str, Tensor]) -> None:
    name = "Mixed_7c.branch1x1.conv.weight"
    few = {n: v.half() for n, v in weights.items() if not n.endswith("num_batches_tracked")}
    network = loaded(few, "half")
    assert torch.equal(network.state_dict()[name], few[name].float())
    assert not any(p.requires_grad for p in network.parameters()) and not network.training


def _lacking(state: dict[str, Tensor]) -> None:
    for name in [n for n in state if n.startswith(("Mixed_7c.branch1x1", "Mixed_5b.branch1x1.conv"))]:
        del state[name]


DAMAGES: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    r"lacks Mixed_5b.branch1x1.conv.weight, Mixed_7c.\S+, Mixed_7c.\S+ and 3 more of the 470": _lacking,
    "lacks Conv2d_1a_3x3.conv.weight, .* and 467 more": lambda s: s.clear(),
    "Conv2d_2a_3x3.bn.bias is 31 of float32, wanted 32": lambda s: s.update({"Conv2d_2a_3x3.bn.bias": torch.ones(31)}),
    "Conv2d_2a_3x3.bn.bias is 32 of int8": lambda s: s.update(
        {"Conv2d_2a_3x3.bn.bias": torch.ones(32, dtype=torch.int8)}
    ),
    "bn.bias holds non-finite": lambda s: s.update({"Conv2d_2a_3x3.bn.bias": torch.full((32,), math.nan)}),
    "running_var holds non-finite": lambda s: s.update({"Conv2d_2a_3x3.bn.running_var": -torch.ones(32)}),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_other_weights_are_refused_by_name(weights: dict[str, Tensor], said: str) -> None:
    state = dict(weights)
    DAMAGES[said](state)
    with pytest.raises(UserError, match=said) as caught:
        loaded(state, "some.safetensors")
    assert caught.value.code == "E-EVA-27" and str(caught.value).startswith("some.safetensors: ")
    assert "give the weights of" in caught.value.remedy and "\n" not in str(caught.value)


@torch.no_grad()
def test_features_that_are_not_finite_are_refused(
    weights: dict[str, Tensor], digits: Dataset, small: None, tmp_path: Path
) -> None:
    state = {n: v * 1e30 if n.startswith("Conv2d_") and n.endswith("bn.weight") else v for n, v in weights.items()}
    (tmp_path / "large.safetensors").write_bytes(to_bytes(state))
    read = fidelities.inception(tmp_path / "large.safetensors", _pipeline(digits))
    with pytest.raises(UserError, match="NaN or infinite") as caught:
        read.features(digits.batch(torch.arange(1)))
    assert caught.value.code == "E-EVA-27"


def test_files_that_are_no_weights_are_refused(
    digits: Dataset, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(path: Path) -> UserError:
        with pytest.raises(UserError) as caught:
            evaluate(_pipeline(digits), digits, split="test", samples=1, limit=20, inception=path)
        assert "\n" not in str(caught.value)
        return caught.value

    for name in ("weights.pth", "weights.pt", "weights.pkl"):
        (tmp_path / name).write_bytes(b"\x80\x04.")  # not opened: only its name is looked at
        found = refusal(tmp_path / name)
        assert found.code == "E-EVA-26" and "is a pickle" in found.problem
        call = f"save_file(torch.load({name!r}, weights_only=True), 'weights.safetensors')"
        assert found.remedy.startswith("convert it once: ") and call in found.remedy
    for path in (tmp_path / "nope.safetensors", tmp_path):
        assert refusal(path).code == "E-EVA-25"
    (tmp_path / "renamed.safetensors").write_bytes(b"\x80\x04.")
    assert refusal(tmp_path / "renamed.safetensors").code == "E-*-03"
    (tmp_path / "cut.safetensors").write_bytes(stored.read_bytes()[:1000])
    assert refusal(tmp_path / "cut.safetensors").code == "E-*-05"
    monkeypatch.setattr(fidelities, "LARGEST", 999)
    found = refusal(tmp_path / "cut.safetensors")
    assert found.code == "E-EVA-27" and "1,000 bytes" in found.problem


# ---- what is measured in its features


class Draws(nn.Module):
    """Draws the examples that it was given, in turn."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("x", x)
        self.at = 0

    def sample(self, n: int, y: Tensor | None = None, *, temperature: float = 1.0) -> Tensor:
        chosen = (torch.arange(n) + self.at) % len(self.x)  # type: ignore[arg-type]
        self.at += n
        return self.x[chosen]  # type: ignore[index, no-any-return]


def _pipeline(data: Dataset, split: str = "validation") -> Pipeline:
    card = {"data": {"fingerprint": data.fingerprint}, "step": 1, "run": "run"}
    return Pipeline(Draws(data.batch(data.splits[split]).x), data.schema, card, "")


def test_distances_are_in_its_features_and_the_rest_in_those_of_the_data(
    digits: Dataset, stored: Path, small: None
) -> None:
    arguments: Any = {"split": "test", "limit": 20}
    plain = {s["name"]: s for s in fidelity(_pipeline(digits), digits, **arguments).scores}
    seen = fidelities.inception(stored, _pipeline(digits))
    found = fidelity(_pipeline(digits), digits, **arguments, features=seen)
    there = {s["name"]: s for s in found.scores}
    assert list(there) == list(plain) and len(found.nearest) == 20
    assert all(there[name] == plain[name] for name in ("copies", "kinds drawn"))
    with torch.no_grad():
        real = seen.features(digits.batch(digits.splits["test"][:20])).double().numpy()
        drawn = seen.features(digits.batch(digits.splits["validation"][:20])).double().numpy()
    wanted = frechet_distance(real, drawn, corrected=True, resamples=30)
    assert there["Fréchet distance"]["value"] == pytest.approx(wanted.value, rel=1e-3)
    note = there["Fréchet distance"]["note"]
    assert note.startswith("in Inception-v3 features (weights fid.safetensors), of 20 images each; ")
    before = float(note.partition("; ")[2].partition(" without bias correction")[0])
    assert before == pytest.approx(frechet_distance(real, drawn).value, rel=1e-3)
    assert note.endswith("remains"), "20 examples of 2048 numbers are few"
    assert "Inception-v3" in there["kernel distance"]["note"] and "Inception-v3" not in plain["kernel distance"]["note"]


def test_only_images_that_are_drawn_can_be_compared(digits: Dataset) -> None:
    rows = read_dataset({"a": [0.5, 1.5, 2.5] * 20, "b": [1.0, 2.0, 4.0] * 20}, source="table")
    with pytest.raises(UserError, match="expects images, this model generates rows") as caught:
        evaluate(_pipeline(rows), rows, split="test", samples=1, limit=20, inception="w.safetensors")
    assert caught.value.code == "E-EVA-21"
    silent = Pipeline(nn.Linear(1, 1), digits.schema, {"step": 1}, "")
    with pytest.raises(UserError, match="this model cannot sample; it can: evaluate") as caught:
        evaluate(silent, digits, split="test", samples=1, limit=20, inception="w.safetensors")
    assert caught.value.code == "E-EVA-22"
    alpha = Pipeline(Draws(torch.zeros(1, 4, 8, 8)), Schema(Image(8, 8, 4)), {"step": 1}, "")
    with pytest.raises(UserError, match="4 channels") as caught:
        evaluate(alpha, digits, split="test", samples=1, limit=20, inception="w.safetensors")
    assert caught.value.code == "E-EVA-28"


def test_evaluate_with_inception_of_a_model_that_also_scores(
    stored: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(trained())
    capsys.readouterr()
    words = ["evaluate", run, "--limit", "20", "--importance-samples", "1"]

    def said(*more: str) -> str:
        main([*words, *more])
        return capsys.readouterr().out

    assert "Fréchet" not in said()
    found = json.loads(said("--inception", str(stored), "--json"))
    names = [score["name"] for score in found["scores"]]
    assert names[0] == "log-likelihood bound" and {"Fréchet distance", "kernel distance", "copies"} < {*names}
    text = said("--inception", str(stored))
    assert "Fréchet distance" in text and "in Inception-v3 features (weights fid.safetensors)" in text
    with pytest.raises(SystemExit) as ended:
        main([*words, "--inception", "fid.pth"])
    assert ended.value.code == 2 and "fid.pth: is a pickle" in capsys.readouterr().err


# ---- what they share


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}


def _mixed(layer: nn.Module) -> bool:
    return isinstance(layer, Mixed)


def _runs(values: Tensor) -> list[tuple[float, int]]:
    """Equal neighbors, and how many."""
    kinds, counts = values.unique_consecutive(return_counts=True)
    return list(zip(kinds.tolist(), counts.tolist(), strict=True))
