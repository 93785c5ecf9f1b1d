"""Two players, two turns: who moves when, what is reported, and a game that is won."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.models.gan import Generator
from seisei.nn.conv import ConvEncoder
from seisei.nn.gan.augment import Augment
from seisei.nn.gan.discriminator import Discriminator
from seisei.nn.gan.views import ImageView, RowView
from seisei.nn.mlp import Condition, MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal
from seisei.nn.tabular.features import RowFeatures
from seisei.objectives.adversarial import Adversarial
from seisei.objectives.gan_losses import GAN_LOSSES
from seisei.recipes.gans import PENALTIES
from seisei.spec import Spec
from seisei.training.engine import Engine, Execution
from seisei.training.plan import Optim, Plan
from seisei.training.step import GradientStep


class Straight(nn.Module):
    """A linear discriminator."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, seen: Tensor, y: Tensor | None = None) -> Tensor:
        return seen.flatten(1) @ self.w


def points(width: int = 16, classes: int = 0, latent: int = 2) -> Generator:
    with seeds.seeded("points"):
        return Generator(MLPDecoder([4], latent, width, 2, classes), StandardNormal(latent), RowView([0, 0]))


def game(**options: Any) -> Adversarial:
    with seeds.seeded("game"):
        return Adversarial(points(), Discriminator(MLPEncoder([4], 8, 16, 2), 8), **options)


def batch(count: int = 32) -> Batch:
    return Batch(torch.randn(count, 2, generator=seeds.generator("real")) + 3)


def plan_of_nothing() -> Plan:
    """For moves of an objective that is there already."""
    return Plan(Spec(MLPEncoder, shape=[1], outputs=1), 100, 32, Optim(1e-2))


# ---- turns


def test_the_discriminator_moves_first_and_the_generator_every_few_steps() -> None:
    turns = game(discriminator_moves=5).turns()
    assert [(turn.name, turn.every) for turn in turns] == [("discriminator", 1), ("generator", 5)]


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_a_move_leaves_the_other_player_as_it_is_to_the_bit(name: str) -> None:
    real, drawn, off_one, moves = PENALTIES[name]
    objective = game(game=name, on_real=float(real), on_drawn=float(drawn), off_one=off_one, discriminator_moves=moves)
    plan = plan_of_nothing()
    engine = Engine(Execution(backend_tuning=False))
    discriminator, generator = (GradientStep(engine, objective, turn, plan, seed=0) for turn in objective.turns())
    for step in range(3):
        for mover, own, other in (
            (discriminator, objective.discriminator, objective.model),
            (generator, objective.model, objective.discriminator),
        ):
            before, mine = copy.deepcopy(other.state_dict()), copy.deepcopy(own.state_dict())
            slopes = [None if p.grad is None else p.grad.clone() for p in other.parameters()]
            assert mover(batch(), 0.0, 1e-2, step).taken
            assert all(torch.equal(v, other.state_dict()[k]) for k, v in before.items())
            assert any(not torch.equal(v, own.state_dict()[k]) for k, v in mine.items())
            for parameter, slope in zip(other.parameters(), slopes, strict=True):
                assert parameter.grad is slope or torch.equal(parameter.grad, slope), "the frozen player got a gradient"


def test_the_generator_moves_by_what_the_discriminator_has_just_judged() -> None:
    """One draw a step, whose gradient is the generator's, as if it had drawn the same examples itself."""
    objective, one = game(), batch()
    drawn: list[Tensor] = []
    draw = objective.model.draw
    objective.model.draw = lambda n, y=None: drawn.append(draw(n, y)) or drawn[-1]
    for turn in objective.turns():
        GradientStep(Engine(Execution(backend_tuning=False)), objective, turn, plan_of_nothing(), seed=0)(
            one, 0.0, 0.0, 0
        )
    assert len(drawn) == 1 and not objective._kept
    found = [parameter.grad.clone() for parameter in objective.model.parameters() if parameter.grad is not None]
    objective.zero_grad()
    with seeds.drawing(seeds.Draws(seeds.derive(0, "critic"), 0, total=len(one), offset=0)):
        objective.generator_loss(one, 0.0).total.backward()
    again = [parameter.grad for parameter in objective.model.parameters() if parameter.grad is not None]
    assert len(again) == len(found) > 4 and all(torch.allclose(a, b) for a, b in zip(again, found, strict=True))
    # Parts of a batch keep theirs apart, and looking keeps nothing.
    move = [
        GradientStep(
            Engine(Execution(backend_tuning=False)), objective, turn, replace(plan_of_nothing(), micro=4), seed=0
        )
        for turn in objective.turns()
    ]
    drawn.clear()
    for each in move:
        each(one, 0.0, 0.0, 0)
    assert [len(x) for x in drawn] == [8] * 4 and not objective._kept
    with torch.no_grad():
        objective.verdicts(one)
    assert not objective._kept


def test_two_turns_that_draw_apart_meet_different_noise() -> None:
    plan = plan_of_nothing()
    objective, seen = game(again=False), []
    draw = objective.model.draw
    objective.model.draw = lambda n, y=None: seen.append(draw(n, y)) or seen[-1]
    for turn in objective.turns():
        GradientStep(Engine(Execution(backend_tuning=False)), objective, turn, plan, seed=0)(batch(), 0.0, 0.0, 0)
    assert len(seen) == 2 and not torch.equal(*seen)


# ---- what is reported


def test_parts_say_how_the_discriminator_judges() -> None:
    objective = Adversarial(points(), Straight(torch.tensor([1.0, 0.0, 0.0, 0.0])), "minimax", 2.0, 4.0)
    objective.model.draw = lambda n, y=None: torch.zeros(n, 4)
    real = Batch(torch.tensor([[math.log(3), 0.0], [math.log(3), 5.0], [0.0, 0.0], [-math.log(3), 0.0]]))
    loss = objective.discriminator_loss(real, 0.0)
    parts = {name: float(value) for name, value in loss.parts.items()}
    assert parts["D(x)"] == pytest.approx((0.75 + 0.75 + 0.5 + 0.25) / 4) and parts["D(G(z))"] == pytest.approx(0.5)
    assert parts["told apart"] == pytest.approx(2.5 / 4), "two of four are right, and a tie counts half"
    assert parts["slope at real"] == parts["slope at drawn"] == pytest.approx(1.0)
    cost = sum(math.log1p(math.exp(-r)) for r in (math.log(3), math.log(3), 0, -math.log(3))) / 4 + math.log(2)
    assert parts["cost"] == pytest.approx(cost) and float(loss.total.detach()) == pytest.approx(cost + 0.5 * (2 + 4))


def test_where_verdicts_have_no_zero_they_are_told_from_the_middle() -> None:
    w = torch.tensor([1.0, 0.0, 0.0, 0.0])
    told = []
    for shift in (0.0, 50.0):
        objective = Adversarial(points(), Straight(w), "relativistic", 0.0, 0.0)
        objective.model.draw = lambda n, y=None, shift=shift: torch.full((n, 4), 1.0 + shift)
        parts = objective.discriminator_loss(Batch(torch.full((6, 2), 3.0 + shift)), 0.0).parts
        told.append([round(float(parts[name]), 5) for name in ("D(x)", "D(G(z))", "told apart")])
    assert told[0] == told[1] == [round(1 / (1 + math.exp(-1)), 5), round(1 / (1 + math.exp(1)), 5), 1.0]


def test_slopes_of_a_share_of_the_batch_are_those_of_its_first_examples() -> None:
    objective, few = game(on_real=3.0, on_drawn=3.0), game(on_real=3.0, on_drawn=3.0, share=0.25)
    few.load_state_dict(objective.state_dict())
    with seeds.drawing(seeds.Draws(0, 0, total=32, offset=0)):
        part = few.discriminator_loss(batch(), 0.0)
    with seeds.drawing(seeds.Draws(0, 0, total=32, offset=0)):
        whole = objective.discriminator_loss(Batch(batch().x[:8]), 0.0)
    assert float(part.parts["slope at real"]) == pytest.approx(float(whole.parts["slope at real"]), rel=1e-5)


# ---- views


def test_a_view_of_a_row_goes_there_and_back() -> None:
    sizes = [3, 0, 2, 0]
    view = RowView(sizes)
    mask = torch.tensor([[True, True, True, True], [False, True, True, False]])
    real = Batch(torch.tensor([[2.0, 0.5, 1.0, -1.5], [0.0, 1.0, 0.0, 0.0]]), None, mask)
    view.initialize(real)
    assert view.gappy.tolist() == [True, False, False, True]
    seen = view.of(real)
    assert torch.equal(seen, RowFeatures(sizes, missing=True)(real))
    back = view.example(seen)
    assert torch.equal(back.isnan(), ~mask) and torch.equal(back.nan_to_num(0), real.visible)


def test_what_is_made_of_a_row_looks_like_a_row_and_has_a_gradient() -> None:
    view = RowView([3, 0, 2])
    view.gappy[1] = True
    features = torch.randn(500, view.outputs, generator=seeds.generator("features")).requires_grad_()
    with seeds.seeded("drawn"):
        seen = view.made(features)
    number, first, second, gaps = torch.split(seen, [1, 3, 2, 3], 1)
    for part in (first, second):
        assert torch.allclose(part.sum(1), torch.ones(500)) and torch.allclose(part.max(1).values, torch.ones(500))
    assert not bool(gaps[:, [0, 2]].any()) and 0.3 < float(gaps[:, 1].detach().mean()) < 0.7
    assert bool((number[gaps[:, 1] > 0.5] == 0).all())
    (seen * torch.randn(view.outputs, generator=seeds.generator("weights"))).sum().backward()
    assert features.grad is not None and bool((features.grad[:, :6].abs().sum(0) > 0).all())


def test_categories_are_drawn_as_often_as_the_network_says() -> None:
    view, logits = RowView([3]), torch.tensor([0.6, 0.3, 0.1]).log()
    with seeds.seeded("often"):
        seen = view.made(torch.cat([logits, torch.zeros(1)]).expand(20_000, -1))
    shares = seen[:, :3].mean(0)
    assert torch.allclose(shares, logits.exp(), atol=0.015)


def test_images_can_be_quite_black_and_quite_white() -> None:
    view = ImageView()
    seen = view.made(torch.tensor([-20.0, 0.0, 20.0]).view(3, 1, 1, 1))
    assert view.example(seen).flatten().tolist() == [0.0, 0.5, 1.0]


# ---- conditions


def test_a_condition_of_several_things_is_the_sum_of_theirs() -> None:
    table = Condition(3, 5)
    both = table(torch.tensor([[1.0, 0.0, 1.0]]))
    assert torch.allclose(both, table(torch.tensor([0])) + table(torch.tensor([2])))


def test_a_projection_is_an_inner_product_with_the_features() -> None:
    with seeds.seeded("projection"):
        discriminator = Discriminator(MLPEncoder([4], 8, 16, 2), 8, classes=3)
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    features = torch.nn.functional.silu(discriminator.trunk(x))
    assert discriminator.condition is not None
    wanted = features @ discriminator.verdict.weight[0] + (features * discriminator.condition.weight[y]).sum(1)
    assert torch.allclose(discriminator(x, y), wanted, atol=1e-6) and not torch.allclose(
        discriminator(x, y.flip(0)), wanted
    )


# ---- what held-out examples say


def test_a_discriminator_that_knows_training_examples_by_heart_is_noticed_and_shown_less() -> None:
    objective = Adversarial(points(), Straight(torch.tensor([1.0, 0.0, 0.0, 0.0])), augment=Augment())
    held_out, trained = Batch(torch.zeros(64, 2)), Batch(torch.ones(64, 2))
    with seeds.seeded("examine"), torch.no_grad():
        found = objective.examine([held_out], lambda: [trained])
        same = objective.examine([held_out], lambda: [held_out])
    assert found["scores"]["training told from held out"] == found["adapt"] == 1.0 and same["adapt"] == 0.5
    assert objective.adapts and not game().adapts
    objective.adapt(found["adapt"])
    assert float(objective.augment.strength) == pytest.approx(0.1)
    assert "augment.strength" in objective.state_dict(), "a resumed run goes on with it"


def test_the_diversity_of_draws_is_told_against_that_of_the_data() -> None:
    objective = game()
    spread = torch.rand(300, 2, generator=seeds.generator("spread"))
    told = []
    for width in (1.0, 0.1):
        drawn = torch.cat([width * torch.rand(300, 2, generator=seeds.generator("drawn")), torch.zeros(300, 2)], 1)
        objective.model.draw = lambda n, y=None, drawn=drawn: drawn
        with torch.no_grad():
            found = objective.examine([Batch(spread)], lambda: [Batch(spread)])
        told.append(found["scores"]["diversity"])
    assert told[0] == pytest.approx(1.0, abs=0.15) and told[1] == pytest.approx(0.1, abs=0.015)


def test_a_spectral_discriminator_stretches_nothing_more_than_once() -> None:
    with seeds.seeded("spectral"):
        discriminator = Discriminator(ConvEncoder([1, 12, 12], 8, width=4, hidden=8), 8, 3, spectral=True)
        x, y = torch.rand(6, 1, 12, 12), torch.arange(6) % 3
        for _ in range(40):
            discriminator(x, y)
    layers = [m for m in discriminator.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.Embedding))]
    largest = [float(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2)) for m in layers]
    assert len(layers) > 6 and largest == pytest.approx([1.0] * len(layers), abs=0.02)
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    told = discriminator.eval()(x, y)
    assert torch.equal(told, discriminator(x, y)) and all(
        torch.equal(v, discriminator.state_dict()[k]) for k, v in before.items()
    )


def test_verdicts_are_in_full_precision() -> None:
    with seeds.seeded("precise"):
        discriminator = Discriminator(MLPEncoder([4], 8, 16, 2), 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert discriminator(torch.randn(3, 4)).dtype == torch.float32
