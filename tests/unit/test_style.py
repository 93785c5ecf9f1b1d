"""Style: statistics and colors against closed forms, features of known shapes, both ways of painting, the verb."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import seisei
from seisei import catalog, seeds
from seisei.batch import Batch
from seisei.cli.main import main
from seisei.data.images.styles import with_styles
from seisei.data.types import read_dataset
from seisei.errors import UserError
from seisei.evaluation import style_transfer
from seisei.modalities.image import Image
from seisei.modalities.image_io import read_image, save_png
from seisei.models.classifier import DiscriminativeClassifier, Network
from seisei.models.style import Stylizer, grain, optimize
from seisei.nn.conv import ConvEncoder
from seisei.nn.mlp import MLPEncoder
from seisei.nn.spatial_conv import MapEncoder
from seisei.nn.style import color_transfer
from seisei.nn.style.adain import Together, adain, gram, gram_distance, mean_and_deviation, moments_apart, variation
from seisei.nn.style.color_transfer import luminance, matched, mixed, mixture, relit, spread, towards
from seisei.nn.style.decoder import StyleDecoder, whitened
from seisei.nn.style.feature_extractor import StageFeatures, encoder_of, padded
from seisei.nn.style.image_param import ImageParam
from seisei.nn.style.random_filters import RandomFilters
from seisei.nn.style.vgg import VGG
from seisei.objectives.style import StyleTransfer
from seisei.recipes.style import stylize
from seisei.schema import Schema
from seisei.training.pretrained import weights_of
from seisei.training.tensors import to_bytes

catalog.fill()


def drawn(*shape: int, key: object = "maps") -> Tensor:
    return torch.rand(shape, generator=seeds.generator(key))


# ---- statistics


def test_statistics_of_a_map_that_is_worked_out_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 4.0], [0.0, 0.0]]]])
    assert gram(features).tolist() == [[[50 / 4, 8 / 4], [8 / 4, 16 / 4]]]
    mean, deviation = mean_and_deviation(features)
    assert mean.flatten().tolist() == [3.0, 1.0]
    assert torch.allclose(deviation.flatten(), torch.tensor([math.sqrt(3.5), math.sqrt(3.0)]))
    zero = (torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))
    assert moments_apart(mean_and_deviation(features), zero).item() == pytest.approx((9 + 3.5 + 1 + 3) / 2)
    assert (
        gram_distance(features, gram(features)).item() == 0 and gram_distance(0 * features, gram(features)).item() == 1
    )
    assert variation(features[:, :1]).item() == pytest.approx((1 + 3 + 2 + 4) / 4)


def test_statistics_do_not_know_where() -> None:
    features = drawn(2, 5, 6, 7).double()
    order = torch.randperm(42, generator=seeds.generator("places"))
    moved = features.flatten(2)[:, :, order].reshape(2, 5, 6, 7)
    assert torch.allclose(gram(features), gram(moved))
    for one, other in zip(mean_and_deviation(features), mean_and_deviation(moved), strict=True):
        assert torch.allclose(one, other)
    assert variation(features).tolist() != variation(moved).tolist()


def adaptive(content: Tensor, other: Tensor) -> Tensor:
    """AdaIN(content, other)."""
    return adain(content, mean_and_deviation(content), mean_and_deviation(other))


def test_a_map_takes_the_statistics_of_the_style_and_keeps_its_form() -> None:
    content, other = 3 * drawn(2, 5, 6, 7) - 1, drawn(2, 5, 9, 4, key="style") * 10
    made = adaptive(content, other)
    for one, wanted in zip(mean_and_deviation(made), mean_and_deviation(other), strict=True):
        assert torch.allclose(one, wanted, atol=1e-5)
    assert torch.allclose(adaptive(made, other), made, atol=1e-5)
    # Each channel is moved and stretched, nothing else: what was larger stays so.
    assert torch.equal(made.flatten(2).argsort(2), content.flatten(2).argsort(2))
    flat = adaptive(torch.ones(1, 1, 2, 2), other[:1, :1])
    assert torch.allclose(flat, other[:1, :1].mean().expand(1, 1, 2, 2), atol=1e-5)  # nothing to stretch


# ---- colors


@pytest.mark.parametrize("channels", [1, 3])
def test_matched_colors_have_the_mean_and_covariance_of_the_other(channels: int) -> None:
    image, like = drawn(2, channels, 9, 8), 0.2 + 0.5 * drawn(2, channels, 7, 11, key="like") ** 2
    made = matched(image, like)
    for one, wanted in zip(spread(made), spread(like), strict=True):
        assert torch.allclose(one, wanted, atol=1e-5)
    assert torch.allclose(matched(made, like), made, atol=1e-5) and torch.allclose(matched(like, like), like, atol=1e-5)


def test_what_has_no_color_gets_none() -> None:
    gray, like = drawn(1, 1, 8, 8).expand(-1, 3, -1, -1), drawn(1, 3, 8, 8, key="like")
    made = matched(gray, like)
    assert bool(torch.isfinite(made).all())
    assert torch.allclose(made.mean((2, 3)), like.mean((2, 3)), atol=1e-5)
    assert torch.allclose(matched(torch.full_like(like, 0.3), like)[0, :, 0, 0], like.mean((2, 3))[0], atol=1e-5)


def test_colors_go_as_far_as_is_asked_and_of_large_images_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image, like = drawn(2, 3, 9, 8), 0.2 + 0.5 * drawn(2, 3, 7, 11, key="like")
    whole = towards(image, like, 1.0)
    assert torch.equal(whole, matched(image, like).clamp(0, 1)) and torch.equal(towards(image, like, 0.0), image)
    shares = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1)
    assert torch.allclose(towards(image, like, shares), torch.lerp(image, whole, shares))
    # The other may be gray, and so may the image.
    gray = towards(image, like[:, :1], 1.0)
    assert torch.allclose(gray, luminance(gray).expand(-1, 3, -1, -1), atol=1e-5)
    assert torch.equal(towards(image[:, :1], like, 1.0), matched(image[:, :1], luminance(like)).clamp(0, 1))
    monkeypatch.setattr(color_transfer, "AT_ONCE", 10)
    assert torch.allclose(towards(image, like, 1.0), whole, atol=1e-6)


def test_a_canvas_takes_large_waves_first_in_the_colors_of_the_style() -> None:
    start = drawn(1, 3, 12, 20)
    gray = drawn(1, 1, 8, 8, key="gray").expand(-1, 3, -1, -1)
    canvas = ImageParam(start, gray)
    across = 2 * torch.pi * torch.arange(20.0) / 20
    heights = [
        float((canvas(torch.cos(count * across).expand_as(start)) - start).abs().amax()) for count in (1, 2, 3, 5)
    ]
    assert [heights[0] / height for height in heights] == pytest.approx([1, 2**0.5, 3**0.5, 5**0.5], rel=1e-4)
    # A mean counts as the slowest wave does, and white noise becomes neither larger nor smaller.
    assert float((canvas(torch.ones_like(start)) - start).amax()) == pytest.approx(heights[0], rel=1e-4)
    noise = torch.randn(1, 1, 12, 20, generator=seeds.generator("canvas")).expand_as(start)
    assert float((canvas(noise) - start).std()) == pytest.approx(float(noise.std()), rel=0.5)
    # What the style has no color for comes a fiftieth as much.
    wave, red = torch.cos(across).expand_as(start), torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)
    change = canvas(wave * red) - start
    assert torch.allclose(change, 0.02 * (canvas(wave) - start) * red, atol=1e-5)
    assert bool(torch.isfinite(ImageParam(start, torch.full((1, 3, 2, 2), 0.5))(noise)).all())


def test_another_light_leaves_colors() -> None:
    image, light = drawn(2, 3, 5, 6).double(), drawn(2, 1, 5, 6, key="light").double()
    made = relit(image, light)
    assert torch.allclose(luminance(made), light, atol=1e-7)
    for a, b in ((0, 1), (1, 2)):
        assert torch.allclose(made[:, a] - made[:, b], image[:, a] - image[:, b], atol=1e-12)
    assert torch.equal(relit(image[:, :1], light), image[:, :1] + (light - image[:, :1]))


# ---- features


def test_vgg_has_the_names_and_numbers_of_torchvisions() -> None:
    with torch.device("meta"):
        network = VGG(depth=5)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    places = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28]
    assert list(shapes) == [f"features.{place}.{part}" for place in places for part in ("weight", "bias")]
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512]
    wanted = [(b, a, 3, 3) for a, b in zip(widths[:-1], widths[1:], strict=True)]
    assert [shape for name, shape in shapes.items() if name.endswith("weight")] == wanted
    # vgg19's convolutions have 20,024,384 numbers, the three after relu5_1 2,359,808 each.
    assert sum(value.numel() for value in network.state_dict().values()) == 20_024_384 - 3 * 2_359_808


def test_vgg_is_its_convolutions() -> None:
    """The same maps from the weights alone, by their names, for an image of gray as for one of three such colors."""
    with seeds.seeded("vgg"):
        network = VGG(depth=3)
    weights, x = network.state_dict(), drawn(1, 1, 16, 12)
    hidden = (x.expand(-1, 3, -1, -1) - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    found = []
    for place in (0, 2, None, 5, 7, None, 10):
        if place is None:
            hidden = F.max_pool2d(hidden, 2)
            continue
        hidden = F.relu(F.conv2d(hidden, weights[f"features.{place}.weight"], weights[f"features.{place}.bias"], 1, 1))
        found.append(hidden)
    for one, wanted in zip(network(x), (found[0], found[2], found[4]), strict=True):
        assert torch.allclose(one, wanted, atol=1e-5)
    assert [one.shape[1] for one in network(x)] == network.outputs == [64, 128, 256]
    assert not any(parameter.requires_grad for parameter in network.parameters())


def classifier() -> nn.Module:
    return DiscriminativeClassifier(Network(ConvEncoder([1, 32, 32], 5, width=4)))


@pytest.mark.parametrize(
    ("network", "channels", "outputs", "strides"),
    [
        (lambda: MapEncoder([3, 16, 16], factor=8, width=4), 3, [4, 8, 16], [2, 4, 8]),
        (lambda: MapEncoder([3, 20, 16], factor=4, width=4, patch=1), 3, [4, 8, 16], [1, 2, 4]),
        (lambda: MapEncoder([1, 8, 8], factor=2, width=4, depth=0), 1, [4], [2]),
        (classifier, 1, [4, 8, 16], [2, 4, 8]),
    ],
)
def test_features_of_any_size(
    network: Callable[[], nn.Module], channels: int, outputs: list[int], strides: list[int]
) -> None:
    features = StageFeatures(network())
    assert (features.channels, features.outputs, features.strides) == (channels, outputs, strides)
    for size in ((40, 24), (17, 31), (5, 3)):
        for of in (1, 3):
            maps = features(drawn(2, of, *size))
            whole = [max(2 * strides[-1], -(-side // strides[-1]) * strides[-1]) for side in size]
            assert [tuple(one.shape) for one in maps] == [
                (2, width, whole[0] // stride, whole[1] // stride)
                for width, stride in zip(outputs, strides, strict=True)
            ]
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_features_are_what_the_encoder_itself_ends_in() -> None:
    encoder, x = MapEncoder([3, 16, 16], factor=8, width=4), drawn(2, 3, 16, 16)
    with torch.no_grad():  # of what its layers end in: no linear map beside them, and none of that after them
        nn.init.dirac_(encoder.out.weight)
        encoder.straight_through.weight.zero_()
        encoder.straight_through.bias.zero_()
    assert torch.allclose(StageFeatures(encoder)(x)[-1], encoder(2 * x - 1), atol=1e-6)
    assert encoder_of(classifier()) is not None and encoder_of(MLPEncoder([4], 3)) is None


def test_padding_reflects_and_is_none_where_none_is_needed() -> None:
    x = drawn(1, 1, 16, 24)
    assert padded(x, 8) is x
    wide = padded(x[..., :23], 8)
    assert wide.shape == (1, 1, 16, 24) and torch.equal(wide[..., 23], x[..., 21])


def test_filters_see_texture_at_every_size_and_no_color_of_what_is_flat() -> None:
    features = RandomFilters(count=16, reach=2, depth=3)
    weight = features.weight
    assert torch.allclose(weight.mean((2, 3)), torch.zeros(16, 3), atol=1e-6)
    assert torch.allclose(weight.flatten(1).norm(dim=1), torch.ones(16))
    color = torch.tensor([0.9, 0.1, 0.4]).view(1, 3, 1, 1)
    for found in features(color.expand(-1, -1, 32, 32)):
        assert float(found[:, :16].abs().max()) < 1e-5
        assert torch.allclose(found[:, 16:], (0.3 * (color - 0.5)).expand_as(found[:, 16:]), atol=1e-6)
    # What is twice as strong is seen twice as much, on whatever ground.
    x = drawn(1, 3, 32, 32)
    for one, other in zip(features(0.25 * x), features(0.5 * x + 0.3), strict=True):
        assert torch.allclose(2 * one[:, :16], other[:, :16], atol=1e-5)
    # Moved by the coarsest stride, all maps move, away from the border: an image inside a flat one.
    wide = torch.full((1, 3, 96, 96), 0.5)
    here, there = wide.clone(), wide.clone()
    here[..., 32:64, 32:64], there[..., 36:68, 36:68] = x, x
    for level, (one, other) in enumerate(zip(features(here), features(there), strict=True)):
        by = 4 // 2**level
        assert torch.allclose(one[..., :-by, :-by], other[..., by:, by:], atol=1e-5)
    # A wave of eight pixels, enlarged twice, is seen one map later as it was before.
    across = torch.linspace(0, 8 * torch.pi, 65)[:-1]
    fine = (0.5 + 0.4 * torch.cos(across)).expand(1, 3, 64, 64)
    coarse = (0.5 + 0.4 * torch.cos(across / 2 + torch.pi / 64 * 2)).expand(1, 3, 64, 64)
    one, other = (found.square().mean((0, 2, 3)) for found in (features(fine)[0][:, :16], features(coarse)[1][:, :16]))
    assert float((one - other).abs().max()) < 0.15 * float(one.max())


def test_filters_are_the_same_everywhere_and_those_of_a_run_its_own() -> None:
    features = RandomFilters(count=4, depth=2)
    assert torch.equal(features.weight, RandomFilters(count=4, depth=2).weight)
    assert list(features.state_dict()) == ["weight"] and not list(features.parameters())
    assert [tuple(found.shape) for found in features(drawn(2, 1, 1, 1))] == [(2, 7, 4, 4), (2, 7, 2, 2)]


def test_moments_of_parts_are_those_of_the_whole() -> None:
    one, other = 5 + drawn(2, 3, 9, 8), drawn(2, 3, 9, 8, key="other")
    own, both = Together(), Together()
    for rows in (slice(0, 1), slice(1, 7), slice(7, 9)):
        own.add(one[:, :, rows], one[:, :, rows])
        both.add(one[:, :, rows], other[:, :, rows])
    for part, whole in zip(own.moments, mean_and_deviation(one), strict=True):
        assert torch.allclose(part, whole, rtol=1e-5)
    apart = [x - x.mean((2, 3), keepdim=True) for x in (one, other)]
    assert torch.allclose(both.covariance, (apart[0] * apart[1]).mean((2, 3), keepdim=True), atol=1e-6)
    # A channel that is the same everywhere has no deviation, however large it is.
    flat = Together()
    for part in torch.full((1, 1, 4, 4), 1e3).split(2, 2):
        flat.add(part, part)
    assert float(flat.covariance) == 0


# ---- the model and the objective


def small(channels: int = 3) -> Stylizer:
    with seeds.seeded("style"):
        features = StageFeatures(MapEncoder([channels, 16, 16], factor=4, width=4))
        return Stylizer(features, StyleDecoder([8, 4], [8, 4], channels=channels, patch=2))


def changing() -> Stylizer:
    """One that has learned to change something."""
    model = small()
    with seeds.seeded("changing"):
        torch.nn.init.normal_(model.decoder.last.weight, std=0.1)
    return model


@torch.no_grad()
def test_an_image_keeps_its_size_and_no_strength_leaves_the_style_out() -> None:
    model, content = changing(), drawn(2, 3, 13, 18)
    one, other = drawn(2, 3, 16, 16, key="one"), 0.3 * drawn(2, 3, 9, 30, key="other")
    assert model.stylize(content, one).shape == content.shape
    assert torch.equal(model.stylize(content, one, 0.0), content)
    assert not torch.equal(model.stylize(content, one), model.stylize(content, other))
    assert not torch.allclose(model.stylize(content, one, 0.5), model.stylize(content, one), atol=1e-2)


@torch.no_grad()
def test_a_large_image_is_painted_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Darker to the left: a tile's own moments are not those of the whole. The decoder says more than it does at first.
    model, content, other = changing(), torch.linspace(0, 1, 131) * drawn(1, 3, 150, 131), drawn(1, 3, 40, 90, key="o")
    for parameter in model.decoder.parameters():
        parameter.mul_(2)
    whole = model.stylize(content, other, 0.8)
    wanted = style_transfer.apart(model.features, whole, content, other)
    monkeypatch.setattr(style_transfer, "TILE", 64)
    monkeypatch.setattr(style_transfer, "OVERLAP", 48)
    made = style_transfer._stylized(model, content, other, 0.8)
    assert made.shape == whole.shape
    far = float((made - whole).abs().max())
    assert far < 1e-2
    for found, of in zip(style_transfer.apart(model.features, made, content, other), wanted, strict=True):
        assert torch.allclose(found, of, atol=1e-3)
    own = [model.stylize(content[..., columns], other, 0.8) for columns in (slice(0, 64), slice(64, 131))]
    assert float((torch.cat(own, 3) - whole).abs().max()) > 10 * far  # mutant: each by its own moments


@torch.no_grad()
def test_what_is_smooth_gets_its_texture_from_a_grain_that_is_always_the_same() -> None:
    noise = torch.randn(1, 1, 256, 256, generator=seeds.generator("noise"))
    for stride in (1, 2, 8):
        coarse = whitened(noise, torch.zeros(1, 5, 256 // stride, 256 // stride))
        assert float(coarse.std()) == pytest.approx(1, abs=0.05) and abs(float(coarse.mean())) < 0.15
    model, flat, like = changing(), torch.full((2, 3, 24, 24), 0.5), drawn(1, 3, 16, 16).expand(2, -1, -1, -1)
    made = model.stylize(flat, like)
    assert float(made[..., 8:16, 8:16].std((2, 3)).min()) > 1e-3
    assert torch.equal(made[0], made[1]) and torch.equal(made, model.stylize(flat, like))
    assert grain(flat).shape == (2, 1, 24, 24) and float(grain(flat).std()) == pytest.approx(1, abs=0.1)


def test_the_loss_is_the_papers() -> None:
    objective, batch = (
        StyleTransfer(changing(), weight=7.0).eval(),
        Batch(drawn(2, 3, 16, 16), drawn(2, 3, 16, 16, key="s")),
    )
    model = objective.model
    model.initialize(batch)
    before, content = model.features(batch.x), model.features(towards(batch.x, batch.y, 1.0))
    theirs = model.features(batch.y)
    targets = [adaptive(*each) for each in zip(content, theirs, strict=True)]
    target = targets[-1]
    with seeds.seeded("noise"):
        changes = mixed(model.decoder(targets, torch.randn(2, 1, 16, 16)), mixture(batch.y))
    made = model.features(towards(batch.x, batch.y, 1.0) + changes)
    wanted = (made[-1] - target).square().mean() / before[-1].var((0, 2, 3), correction=0).mean()
    for one, aim, own in zip(made, theirs, before, strict=True):
        v = own.var((0, 2, 3), correction=0).mean()
        means = (one.mean((2, 3)) - aim.mean((2, 3))).square().mean()
        deviations = (one.std((2, 3), correction=0) - aim.std((2, 3), correction=0)).square().mean()
        wanted = wanted + 7 * (means + deviations) / v
    with seeds.seeded("noise"):
        found = objective.loss(batch, 1.0).total
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=1e-4)
    assert model.spreads[1].item() == pytest.approx(before[1].var((0, 2, 3), correction=0).mean().item(), rel=1e-5)


def test_style_loss_falls_and_features_stay() -> None:
    objective = StyleTransfer(small())
    batch = Batch(drawn(4, 3, 32, 32), waves(4, 32, 0.3))
    objective.initialize(batch)
    before = {name: value.clone() for name, value in objective.model.features.state_dict().items()}
    descent = torch.optim.Adam(objective.model.decoder.parameters(), lr=1e-2)
    losses = []
    for step in range(100):
        with seeds.drawing(seeds.Draws(0, step, total=4, offset=0)):
            loss = objective.loss(batch, step / 100)
        descent.zero_grad()
        loss.total.backward()
        descent.step()
        with seeds.seeded("held out"):
            losses.append(float(objective.eval().loss(batch, 1.0).parts["style"]))
        objective.train()
    # It begins in the colors of the style.
    assert losses[-1] < 0.8 * losses[0] < 0.8
    assert all(torch.equal(value, before[name]) for name, value in objective.model.features.state_dict().items())


# ---- descending on pixels


def waves(count: int, side: int = 16, pace: float = 1.0) -> Tensor:
    across = pace * torch.arange(float(side)).expand(side, side)
    return (
        torch.stack([torch.stack([torch.sin((1 + i + c) * across) for c in range(3)]) for i in range(count)]) / 2 + 0.5
    )


def test_descent_comes_nearer_to_the_style_and_is_the_same_every_time() -> None:
    features, content, aim = small().features, drawn(1, 3, 20, 14), waves(1)
    options: dict[str, Any] = {"strides": features.strides, "steps": 15}
    seen: list[float] = []
    made = optimize(features, content, aim, told=lambda _, loss: seen.append(loss), **options)
    assert made.shape == content.shape and 0 <= float(made.min()) and float(made.max()) <= 1
    assert seen[-1] < 0.5 * seen[0]
    assert torch.equal(made, optimize(features, content, aim, **options))
    form, left = style_transfer.apart(features, made, content, aim)
    assert 0 < float(form) < 1 and float(left) < 0.8
    assert torch.equal(optimize(features, content, aim, strength=0.0, **options), content)
    noise = torch.randn(1, 3, 20, 14, generator=seeds.generator("noise"))
    other = optimize(features, content, aim, noise=noise, **options)
    assert not torch.equal(other, made) and torch.equal(other, optimize(features, content, aim, noise=noise, **options))


@pytest.mark.parametrize(
    ("content", "like"), [((1, 1), (20, 20)), ((20, 20), (1, 1)), ((2, 45), (20, 20)), ((33, 1), (1, 33))]
)
def test_images_of_hardly_any_size_are_painted_too(content: tuple[int, int], like: tuple[int, int]) -> None:
    features = RandomFilters(count=8, depth=4)
    pixels = [(255 * drawn(*size, 3, key=size)).byte().numpy() for size in (content, like)]
    painted = style_transfer.optimized(features, *pixels, steps=5)
    assert painted.pixels.shape == (*content, 3) and math.isfinite(painted.content + painted.style)


def test_what_is_flat_takes_a_style_and_gives_one() -> None:
    features = RandomFilters(count=8, depth=4)
    flat, like = np.full((32, 32, 3), 120, np.uint8), (255 * waves(1, 32, 0.5)[0]).byte().permute(1, 2, 0).numpy()
    assert style_transfer.optimized(features, flat, like, steps=40).pixels.std() > 0.3 * like.std()
    assert style_transfer.optimized(features, like, flat, steps=20).pixels.std() < 0.1 * like.std()
    assert style_transfer.optimized(features, flat, flat, steps=5).style < 0.1


def test_how_far_is_told_from_none_to_all() -> None:
    features, content, aim = small().features, drawn(1, 3, 16, 16), waves(1)
    form, left = style_transfer.apart(features, content, content, aim)
    assert abs(float(form)) < 1e-5 and float(left) == pytest.approx(1)
    form, left = style_transfer.apart(features, aim, content, aim)
    assert float(form) > 0.3 and abs(float(left)) < 1e-6


# ---- data


def test_each_content_has_a_style_of_its_part(tmp_path: Path) -> None:
    photos, paintings = folders(tmp_path)
    data = read_dataset(photos)
    styled = with_styles(data, paintings, seed=3)
    assert styled.schema == Schema(data.schema.x, replace(data.schema.x, fit="crop")) and len(styled.y_table) == 12
    assert torch.equal(styled.x, data.x) and styled.y is not None and styled.fingerprint != data.fingerprint
    met = {part: set(styled.y[places].tolist()) for part, places in styled.splits.items()}
    assert not met["train"] & met["test"] and not met["train"] & met["validation"]
    counts = torch.bincount(styled.y[styled.splits["train"]])
    assert int(counts[counts > 0].max() - counts[counts > 0].min()) <= 1
    batch = styled.batch(torch.tensor([4, 7]))
    assert batch.y is not None and torch.equal(batch.y[1], styled.y_table[styled.y[7]] / 255)
    again, other = with_styles(data, paintings, seed=3), with_styles(data, paintings, seed=4)
    assert torch.equal(again.y, styled.y) and again.fingerprint == styled.fingerprint != other.fingerprint  # type: ignore[arg-type]
    part = styled.subset(styled.splits["test"])
    assert torch.equal(part.batch(torch.tensor([0])).y, styled.batch(styled.splits["test"][:1]).y)  # type: ignore[arg-type]
    # Of one style alone everybody meets that one.
    assert set(with_styles(data, paintings / "00.png").y.tolist()) == {0}  # type: ignore[union-attr]


def folders(home: Path) -> tuple[Path, Path]:
    """Photographs with a disc each, and paintings of waves."""
    photos, paintings = home / "photos", home / "paintings"
    noise = np.random.default_rng(0)
    down, right = np.mgrid[:16, :16]
    for folder in (photos, paintings):
        folder.mkdir(exist_ok=True)
    for i in range(24):
        y, x, r = noise.uniform(0, 16), noise.uniform(0, 16), noise.uniform(3, 8)
        disc = ((down - y) ** 2 + (right - x) ** 2 < r**2)[..., None]
        image = np.where(disc, noise.uniform(0, 255, 3), noise.uniform(0, 255, 3))
        save_png(photos / f"{i:02d}.png", image.astype(np.uint8))
    for i in range(12):
        wave = np.sin(noise.uniform(1, 3) * (down + noise.uniform(-1, 1) * right))[..., None] / 2 + 0.5
        image = wave * noise.uniform(0, 255, 3) + (1 - wave) * noise.uniform(0, 255, 3)
        save_png(paintings / f"{i:02d}.png", image.astype(np.uint8))
    return photos, paintings


# ---- weights of others


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-19's first three sizes by chance, and the rest of what `features_of` wants as zeros."""
    with seeds.seeded("vgg"):
        state = VGG(depth=5).state_dict()
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    path.write_bytes(to_bytes({**state, "classifier.6.bias": torch.zeros(1000)}))
    return path


def test_weights_are_taken_by_name_and_what_does_not_fit_is_refused(vgg: Path, tmp_path: Path) -> None:
    wanted = VGG(depth=2).state_dict()
    assert list(weights_of(vgg, wanted, "VGG-19")) == list(wanted)
    plan = stylize(Schema(Image(16, 16), Image(16, 16)), features=str(vgg))
    assert plan.given == {"model.features": str(vgg)} and plan.objective.build().model.features.outputs[-1] == 512
    holed = {**wanted, "features.5.bias": torch.full((128,), math.nan)}
    short = {**wanted, "features.0.weight": torch.zeros(64, 1, 3, 3)}
    for state, told in (({}, "lacks features.0.weight"), (holed, "values that are not finite"), (short, "64×1×3×3")):
        (tmp_path / "wrong.safetensors").write_bytes(to_bytes(state))
        with pytest.raises(UserError, match=told) as caught:
            weights_of(tmp_path / "wrong.safetensors", wanted, "VGG-19")
        assert caught.value.code == "E-*-07"
    for name, code in (("vgg19.pth", "E-*-03"), ("absent.safetensors", "E-*-01")):
        with pytest.raises(UserError) as caught:
            stylize(Schema(Image(16, 16), Image(16, 16)), features=str(tmp_path / name))
        assert caught.value.code == code and "\n" not in str(caught.value)


def test_what_the_recipe_refuses() -> None:
    with pytest.raises(UserError, match="--style: is missing") as caught:
        stylize(Schema(Image(16, 16)))
    assert caught.value.code == "E-TRN-14"
    with pytest.raises(UserError, match="have 5 channels"):
        stylize(Schema(Image(16, 16, 5), Image(16, 16, 5)))


# ---- from a folder to an image


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("style")
    folders(path)
    return path


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    """A run of a few dozen steps."""
    options = {"width": 8, "steps": 60, "batch": 8, "learning_rate": 3e-3}
    return seisei.train("stylize", home / "photos", style=str(home / "paintings"), output=home / "run", **options).path


@pytest.fixture(scope="module")
def codec(home: Path) -> Path:
    """Another network of the person's own."""
    options = {"codebook_size": 16, "downsample": 4, "width": 8, "steps": 30, "batch": 8, "report": False}
    return seisei.train("vqvae", home / "photos", output=home / "codec", **options).path


def test_styles_can_be_told_by_a_network_of_ones_own(codec: Path, home: Path, tmp_path: Path) -> None:
    options = {"features": str(codec), "steps": 3, "batch": 8, "report": False}
    made = seisei.train("stylize", home / "photos", style=str(home / "paintings"), output=tmp_path / "run", **options)
    shutil.move(codec, tmp_path / "elsewhere")
    try:
        theirs = seisei.load(tmp_path / "elsewhere").pipeline.model.state_dict()
        ours = made.pipeline.model.features.network.state_dict()
    finally:
        shutil.move(tmp_path / "elsewhere", codec)
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


def test_a_run_tells_how_far_it_came(run: Path) -> None:
    loaded = seisei.load(run)
    assert loaded.verbs == ["stylize", "evaluate"] and loaded.report.exists()
    assert (run / "figures" / "styles.png").exists() and not (run / "network").exists()
    assert loaded.scores["style distance"] < 0.9 and 0 < loaded.scores["content distance"] < 1.5
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [line["scores"]["style"] for line in lines if line["event"] == "validation"]
    assert losses[-1] < losses[0]


def test_a_run_goes_on_with_the_same_styles(run: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    longer = seisei.resume(tmp_path / "run", steps=63)
    assert longer.pipeline.card["step"] == 63 and longer.recipe["data"] == seisei.load(run).recipe["data"]
    assert longer.recipe["options"]["style"] == str((home / "paintings").absolute())


def test_both_engines_paint_and_say_so(run: Path, codec: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_png(home / "large.png", np.random.default_rng(1).integers(0, 256, (37, 50, 3), np.uint8))
    words = ["stylize", str(home / "large.png"), str(home / "paintings" / "03.png"), "--overwrite"]
    ways = {
        "a.png": ["--run", str(run)],
        "b.png": ["--run", str(run), "--strength", "0.5", "--keep-color"],
        "c.jpg": ["--features", str(codec), "--steps", "8"],
        "d.webp": ["--run", str(run), "--engine", "optimize", "--steps", "5", "--seed", "3", "--keep-color"],
        "e.png": ["--features", str(run), "--steps", "5", "--size", "25"],
    }
    capsys.readouterr()
    for name, options in ways.items():
        out = [*options, "-o", str(home / name), "--json"]
        main([*words, *out])
        told = json.loads(capsys.readouterr().out)
        first = (home / name).read_bytes()
        assert told["path"] == str(home / name) and math.isfinite(told["style_distance"] + told["content_distance"])
        main([*words, *out])
        assert (home / name).read_bytes() == first, "not the same for the same seed"
        capsys.readouterr()
        assert read_image(home / name).size == ((37, 50) if name != "e.png" else (18, 25))
    content, kept = (read_image(home / name).pixels.astype(float) for name in ("large.png", "b.png"))
    inside = ((kept > 0) & (kept < 255)).all(2)
    assert np.abs((kept[..., 0] - kept[..., 2]) - (content[..., 0] - content[..., 2]))[inside].max() <= 1


def test_no_strength_gives_the_image_itself(run: Path, home: Path) -> None:
    content = read_image(home / "photos" / "00.png").pixels
    made = style_transfer.feedforward(seisei.load(run).pipeline, content, content[::-1].copy(), strength=0.0)
    assert np.array_equal(made.pixels, content)


def test_nothing_but_two_images_is_needed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    down, right = np.mgrid[:64, :64]
    disc = ((down - 30) ** 2 + (right - 25) ** 2 < 400)[..., None] * np.array([200, 40, 90]) + 30
    waves = (np.sin((2 * down + right) / 4)[..., None] * np.array([90, 60, 20]) + 120).round()
    for name, pixels in (("disc", disc), ("waves", waves)):
        save_png(home / f"{name}.png", pixels.astype(np.uint8))
    words = [str(home / "disc.png"), str(home / "waves.png"), "--steps", "20"]
    main(["stylize", *words, "-o", str(home / "bare.png"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["engine"] == "optimize" and told["style_distance"] < 0.3
    main(["stylize", *words, "-o", str(home / "again.png")])
    assert (home / "bare.png").read_bytes() == (home / "again.png").read_bytes()


def test_vgg_paints_too(vgg: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = [str(home / "photos" / "00.png"), str(home / "paintings" / "00.png"), "--features", str(vgg)]
    main(["stylize", *words, "--steps", "2", "-o", str(home / "vgg.png"), "--json"])
    assert json.loads(capsys.readouterr().out)["engine"] == "optimize"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--engine", "feedforward"], "E-TRL-26", "or choose --engine optimize"),
        (["--engine", "feedforward", "--features", "CODEC"], "E-TRL-26", "or choose --engine optimize"),
        (["--run", "CODEC"], "E-TRL-08", "this model cannot stylize"),
        (["--run", "RUN", "--features", "RUN"], "E-GEN-07", "leave one of them out"),
        (["--run", "RUN", "--steps", "3"], "E-GEN-07", "is for --engine optimize"),
        (["--run", "RUN", "--strength", "1.5"], "E-GEN-07", "out of range"),
        (["--run", "nowhere"], "E-TRL-01", "no such run"),
        (["--features", "weights.pth"], "E-TRL-03", "is a pickle"),
        (["--run", "RUN", "-o", "out.gif"], "E-TRL-17", ".gif is not offered here"),
        (["--run", "RUN", "--style", "absent.png"], "E-TRL-24", "absent.png: No such file"),
        (["--run", "RUN", "--style", "broken.png"], "E-TRL-24", "broken.png: ends after"),
        (["--run", "RUN", "--content", "absent.png"], "E-TRL-09", "absent.png: no such file"),
    ],
)
def test_what_the_verb_refuses(
    run: Path, codec: Path, home: Path, options: list[str], code: str, told: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(home)
    (home / "broken.png").write_bytes((home / "photos" / "00.png").read_bytes()[:60])
    ends = {"--content": "photos/00.png", "--style": "paintings/00.png"}
    words = [word.replace("RUN", str(run)).replace("CODEC", str(codec)) for word in options]
    while words and words[-2:][0] in ends:
        ends[words[-2]], words = words[-1], words[:-2]
    with pytest.raises(SystemExit) as stopped:
        main(["stylize", *ends.values(), *words, "--json"])
    error = json.loads(capsys.readouterr().err.strip().splitlines()[-1])["error"]
    assert stopped.value.code == 2 and error["code"] == code, error
    assert told in f"{error['where']}: {error['problem']}; {error['remedy']}"


def test_styles_that_are_damaged_are_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles" / "bad.png").write_bytes((home / "paintings" / "00.png").read_bytes()[:60])
    with pytest.raises(UserError, match="bad.png"):
        seisei.train("stylize", home / "photos", style=str(tmp_path / "styles"), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
