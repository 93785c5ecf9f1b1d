"""Images of images: networks of any size, both sides changed alike, and what each player descends."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.models.translation import Translator
from seisei.nn.gan.paired_augment import ColorView, PairView, Together
from seisei.nn.gan.patchgan import PatchDiscriminator
from seisei.nn.tiling import tiled
from seisei.nn.unet import PixelNorm, UNet, Upsample, pad_to_stride
from seisei.objectives.translation import Regression, Sides, Translation, measured
from seisei.spec import Spec
from seisei.training.engine import Engine, Execution
from seisei.training.plan import Optim, Plan
from seisei.training.step import GradientStep


def model(inputs: int = 1, outputs: int = 3, view: nn.Module | None = None, **options: Any) -> Translator:
    with seeds.seeded("translator"):
        return Translator(UNet(inputs, outputs, width=8, depth=2, **options), view or PairView())


def pair(count: int = 4, side: int = 16) -> Batch:
    generator = seeds.generator("pairs")
    return Batch(
        torch.rand(count, 3, side, side, generator=generator), torch.rand(count, 1, side, side, generator=generator)
    )


def game(**options: Any) -> Translation:
    with seeds.seeded("game"):
        discriminator = PatchDiscriminator([4, 16, 16], width=8, layers=1)
    return Translation(model(), discriminator, **options)


class Answers(nn.Module):
    """A model that answers with one image, whatever is given."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.view, self.logits = PairView(), nn.Parameter(torch.zeros(shape))

    def answer(self, given: Tensor) -> Tensor:
        return torch.sigmoid(self.logits).expand(len(given), -1, -1, -1)


# ---- networks


@pytest.mark.parametrize("options", [
    {}, {"detail": 6, "blocks": 1}, {"enlarging": "nearest"}, {"skips": False, "blocks": 2}, {"latent": 3},
    {"dropout": 0.5}, {"normalize": "none"}, {"normalize": "image", "detail": 4},
])  # fmt: skip
@pytest.mark.parametrize("size", [(16, 16), (13, 19), (1, 1), (3, 40)])
def test_a_unet_takes_images_of_every_size(options: dict[str, Any], size: tuple[int, int]) -> None:
    net = UNet(2, 5, width=8, depth=2, **options)
    noise = torch.randn(3, net.noise) if net.noise else None
    assert net(torch.rand(3, 2, *size), noise).shape == (3, 5, *size)


def test_what_stands_beside_is_there_only_with_skips() -> None:
    """A network without them passes all through its smallest map: blind there, it makes the same of everything."""
    for skips in (True, False):
        net = UNet(1, 1, width=8, depth=2, detail=4, skips=skips)
        with torch.no_grad():
            net.down[-1].weight.zero_()
        a, b = net(torch.rand(1, 1, 16, 16)), net(torch.rand(1, 1, 16, 16))
        assert torch.equal(a, b) is not skips


def test_a_place_is_normalized_by_itself() -> None:
    norm, x = PixelNorm(4), torch.randn(2, 4, 5, 5, generator=seeds.generator("places"))
    made = norm(x)
    assert torch.allclose(made.square().mean(1), torch.ones(2, 5, 5), atol=1e-4)
    assert torch.equal(norm(x[:, :, 2:4]), made[:, :, 2:4])


def test_an_image_is_extended_by_its_mirror_or_its_edge() -> None:
    row = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 8, 5)
    assert pad_to_stride(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert pad_to_stride(row[..., :1], 4)[0, 0, 0].tolist() == [0, 0, 0, 0]
    assert pad_to_stride(row, 1) is row


@pytest.mark.parametrize("options", [{"latent": 3}, {"dropout": 0.5}])
def test_noise_makes_several_answers_and_the_same_noise_one(options: dict[str, Any]) -> None:
    translator = model(**options)
    y, noise = torch.rand(1, 1, 16, 16), torch.randn(2, translator.noise, generator=seeds.generator("noise"))
    a, b = (translator.translate(y, row[None]) for row in noise)
    assert not torch.equal(a, b) and torch.equal(a, translator.translate(y, noise[:1]))


def test_dropped_channels_keep_their_mean() -> None:
    net = UNet(1, 1, width=64, depth=3, dropout=0.5)
    masks = torch.cat([m.flatten() for m in net._kept(torch.randn(64, net.noise)).values()])
    assert set(masks.unique().tolist()) == {0.0, 2.0} and abs(float(masks.mean()) - 1) < 0.05


def test_tiles_give_what_the_whole_gives_away_from_borders() -> None:
    """Maps are normalized place by place: nothing depends on how an image was cut."""
    translator, y = model(detail=4), torch.rand(1, 48, 64, generator=seeds.generator("large"))
    with torch.no_grad():
        whole = translator.translate(y[None])[0]
    made = tiled(translator.translate, y, tile=32, overlap=24, stride=translator.stride, margin=12)
    assert float((made - whole).abs().max()) < 1e-5


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_the_field_of_a_verdict_is_what_its_gradient_reaches(layers: int, field: int) -> None:
    with seeds.seeded("field"):
        discriminator, x = (
            PatchDiscriminator([1, 99, 99], width=4, layers=layers),
            torch.rand(1, 1, 99, 99, requires_grad=True),
        )
    verdicts = discriminator.verdict(discriminator.features(x)[-1])
    middle = verdicts.shape[2] // 2
    (slope,) = torch.autograd.grad(verdicts[0, 0, middle, middle], x)
    reached = slope[0, 0].abs().sum(1).nonzero().flatten()
    assert discriminator.field == field == int(reached[-1] - reached[0]) + 1


# ---- views and changes


def test_colors_come_back_from_lightness_and_color() -> None:
    view, batch = ColorView(), Batch(torch.rand(2, 3, 6, 6, generator=seeds.generator("colors")))
    given, wanted = view.given(batch), view.wanted(batch)
    assert given.shape[1] == 1 and wanted.shape[1] == 2
    assert torch.allclose(view.whole(given, wanted), batch.x, atol=1e-4)
    gray = torch.rand(2, 1, 6, 6)
    seen = view.shown(view.read(gray))
    assert torch.allclose(seen, gray.expand(-1, 3, -1, -1), atol=1e-4)
    assert torch.allclose(view.read(gray), view.read(gray.expand(-1, 3, -1, -1)))
    assert torch.equal(view.read(batch.x), given)
    primaries = torch.eye(3).view(3, 3, 1, 1)  # as far from gray as colors are
    least, most = (view.made(torch.full((1,), size)) for size in (-1e3, 1e3))
    far = view.wanted(Batch(torch.cat([primaries, 1 - primaries])))
    assert bool((far > least).all() and (far < most).all())


@pytest.mark.parametrize("options", [{}, {"crop": 5}, {"shift": 0.0, "mirror": False, "crop": 9}, {"shift": 0.5}])
def test_both_sides_are_changed_alike_to_the_bit(options: dict[str, Any]) -> None:
    x = torch.rand(64, 2, 12, 10, generator=seeds.generator("both"))
    with seeds.seeded("together"):
        a, b = Together(**options)(x, x.clone())
    side = options.get("crop", 0)
    assert torch.equal(a, b) and a.shape[2:] == ((side, side) if side else (12, 10))
    changed = torch.tensor([not any(torch.equal(one, other) for other in x) for one in a])
    assert bool(changed.any())


def test_crops_reach_every_corner_and_keep_the_values() -> None:
    x = torch.arange(36.0).view(1, 1, 6, 6).expand(400, -1, -1, -1)
    with seeds.seeded("crops"):
        a, _ = Together(shift=0.0, mirror=False, crop=4)(x, x)
    assert set(a[:, 0, 0, 0].tolist()) == {6.0 * i + j for i in range(3) for j in range(3)}
    assert bool((a[:, 0, 1, 1] - a[:, 0, 0, 0] == 7).all())


def test_half_of_the_pairs_are_mirrored() -> None:
    x = torch.arange(4.0).view(1, 1, 1, 4).expand(1000, -1, -1, -1)
    with seeds.seeded("mirror"):
        a, _ = Together(shift=0.0)(x, x)
    first = a[:, 0, 0, 0]
    assert set(first.tolist()) == {0.0, 3.0} and abs(float((first == 3).float().mean()) - 0.5) < 0.05


# ---- what is descended


def test_the_regression_alone_ends_at_the_median() -> None:
    """Of seven truths in ten that are 1 the average is 0.7, and what is nearest to most is 1."""
    truths = (torch.arange(10) < 7).float().view(10, 1, 1, 1)
    objective = Regression(Answers((1, 1, 1, 1)))
    batch = Batch(truths, torch.zeros(10, 1, 1, 1))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        objective.loss(batch, 0.0).total.backward()
        optimizer.step()
    assert float(objective.model.answer(batch.y)[0].detach()) > 0.99


def test_without_a_discriminator_s_part_the_generator_descends_the_distance_alone() -> None:
    objective, batch = game(adversarial=0.0, regression=7.0), pair()
    loss = objective.generator_loss(batch, 0.0)
    apart = (objective.model.answer(batch.y) - batch.x).abs().mean()
    assert torch.isclose(loss.total, 7 * apart) and loss.parts.keys() == {"L1"}


def test_the_generator_s_terms_add_up() -> None:
    objective, batch = game(regression=3.0, adversarial=2.0, matching=5.0), pair()
    loss = objective.generator_loss(batch, 0.0)
    parts = loss.parts
    assert torch.isclose(loss.total, 3 * parts["L1"] + 2 * parts["adversarial"] + 5 * parts["features"])
    answer = objective.model.answer(batch.y)
    f, made = objective.discriminator.logits_and_features(torch.cat([batch.y, answer], 1))
    _, real = objective.discriminator.logits_and_features(torch.cat([batch.y, batch.x], 1))
    assert torch.isclose(parts["adversarial"], nn.functional.softplus(-f).mean())
    assert torch.isclose(parts["features"], sum((a - b).abs().mean() for a, b in zip(real, made, strict=True)))


def test_penalties_are_half_their_weight_times_the_squared_slope_of_a_patch() -> None:
    plain, batch = game(), pair()
    weighted = game(on_real=0.6, on_drawn=0.2)
    a, b = (objective.discriminator_loss(batch, 0.0) for objective in (plain, weighted))
    real, drawn = (b.parts[name].square() for name in ("slope at real", "slope at drawn"))
    assert torch.isclose(b.total - a.total, 0.3 * real + 0.1 * drawn)


def test_one_answer_a_step_serves_both_players() -> None:
    objective, batch = game(changes=Together()), pair()
    made: list[Tensor] = []
    answer = objective.model.answer
    objective.model.answer = lambda given: made.append(answer(given)) or made[-1]
    plan = Plan(Spec(UNet, inputs=1, outputs=1), 100, 4, Optim(1e-2))
    for turn in objective.turns():
        GradientStep(Engine(Execution(backend_tuning=False)), objective, turn, plan, seed=0)(batch, 0.0, 0.0, 0)
    assert len(made) == 1 and len(objective._again) == 0


def test_the_kept_answer_has_the_gradient_of_a_fresh_one() -> None:
    slopes = []
    for again in (True, False):
        objective, batch = game(matching=1.0), pair()
        if again:
            objective.model.requires_grad_(False)
            objective.discriminator_loss(batch, 0.0)
            objective.model.requires_grad_(True)
        objective.generator_loss(batch, 0.0).total.backward()
        slopes.append([p.grad for p in objective.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*slopes, strict=True))


def test_a_twin_moves_by_the_regression_alone() -> None:
    objective, batch = game(twin=model(), regression=2.0), pair()
    turn = objective.turns()[-1]
    assert turn.name == "twin" and turn.player is objective.twin
    loss = turn.loss(batch, 0.0)
    assert torch.isclose(loss.total, 2 * (objective.twin.answer(batch.y) - batch.x).abs().mean())
    before = copy.deepcopy(objective.discriminator.state_dict())
    loss.total.backward()
    assert all(p.grad is None for p in objective.discriminator.parameters())
    assert all(torch.equal(v, before[k]) for k, v in objective.discriminator.state_dict().items())


def test_pairs_that_are_looked_at_are_not_changed() -> None:
    objective, batch = game(changes=Together(crop=4)).eval(), pair()
    given, wanted = objective.sides(batch)
    assert torch.equal(given, batch.y) and torch.equal(wanted, batch.x)


def test_what_is_told_of_held_out_pairs() -> None:
    objective = game(twin=model()).eval()
    with torch.no_grad():
        scores = objective.examine([pair(), pair(3)], lambda: [])["scores"]
    assert {"L1", "PSNR", "heed", "D(x)", "D(G(z))", "told apart", "L1 of the twin"} == scores.keys()
    # The twin starts as the model does, and nothing has moved.
    assert scores["L1"] == scores["L1 of the twin"]


def test_heed_is_nothing_where_the_answer_is_always_the_same_and_one_where_it_is_the_truth() -> None:
    batch = pair()
    same, truth = torch.full_like(batch.x, 0.5), batch.x
    assert measured([Sides(batch.y, batch.x, same)], [same])["heed"] == 0
    assert measured([Sides(batch.y, batch.x, truth)], [truth.roll(1, 0)])["heed"] == 1


def test_a_discriminator_that_runs_ahead_is_countered_until_it_is_slow() -> None:
    objective = game()
    assert objective.counter("known") is None
    done = [objective.counter("unsteady") for _ in range(12)]
    assert "0.71" in (done[0] or "") and done[-1] is None
    assert objective.turns()[0].pace() < 0.13 and float(objective.more) > 0.1


@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (2, 6, 5, 7), (1, 6, 17, 16)])
def test_small_maps_are_enlarged_as_large_ones_are(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, x = Upsample(6, 4).double(), torch.randn(shape, dtype=torch.float64, requires_grad=True)
    torch.nn.init.normal_(layer.weight)
    made, wanted = layer(x), torch.nn.ConvTranspose2d.forward(layer, x)
    assert torch.allclose(made, wanted)
    slopes = [torch.autograd.grad(out.square().sum(), [x, *layer.parameters()]) for out in (made, wanted)]
    assert all(torch.allclose(a, b) for a, b in zip(*slopes, strict=True))
