"""Games have known values, optima and dynamics. Each check comes with a mutant that fails it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seisei.objectives.gan_losses import GAN_LOSSES, output_and_gradient_norm, value, wgan_gp

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def divergence(p: Tensor, q: Tensor) -> float:
    """JSD in nats."""
    m = (p + q) / 2
    return float(0.5 * (p * (p / m).log()).sum() + 0.5 * (q * (q / m).log()).sum())


def weighted(cost: Callable[[Tensor, Tensor], Tensor], d: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The cost's expectation over pairs of a real and a fake place, from the cost of single pairs."""
    n = len(d)
    pairs = torch.stack([cost(d[i : i + 1], d[j : j + 1]) for i in range(n) for j in range(n)]).view(n, n)
    return p @ pairs @ q


def best_discriminator(name: str, p: Tensor, q: Tensor, steps: int = 400) -> Tensor:
    """D at each place, descended to the bottom."""
    d = torch.zeros(len(p), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([d], lr=1.0, max_iter=steps, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure() -> float:
        optimizer.zero_grad()
        cost = weighted(GAN_LOSSES[name].discriminator, d, p, q)
        cost.backward()
        return float(cost.detach())

    optimizer.step(closure)
    return d.detach()


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_the_best_discriminator_is_p_over_p_plus_q_and_v_is_the_divergence(name: str) -> None:
    d = best_discriminator(name, P, Q)
    assert torch.allclose(d.sigmoid(), P / (P + Q), atol=1e-6)
    v = float(-weighted(GAN_LOSSES[name].discriminator, d, P, Q))
    assert v == pytest.approx(2 * divergence(P, Q) - 2 * math.log(2), abs=1e-9)
    assert v != pytest.approx(divergence(P, Q) - 2 * math.log(2), abs=1e-3)  # mutant: half of it
    same = best_discriminator(name, P, P)
    assert torch.allclose(same.sigmoid(), torch.full_like(P, 0.5), atol=1e-7)
    assert float(-weighted(GAN_LOSSES[name].discriminator, same, P, P)) == pytest.approx(-math.log(4), abs=1e-12)


def test_other_games_have_their_own_best_discriminators() -> None:
    squares = best_discriminator("least-squares", P, Q)
    assert torch.allclose(squares, P / (P + Q), atol=1e-7), "of logits there are none: D itself"
    pairs = best_discriminator("relativistic", P, Q)
    # Only differences count; at the bottom every pair's log-odds are log p/q, place against place.
    assert torch.allclose(pairs - pairs[0], (P / Q).log() - (P / Q).log()[0], atol=1e-6)
    assert float(
        weighted(GAN_LOSSES["relativistic"].discriminator, best_discriminator("relativistic", P, P), P, P)
    ) == pytest.approx(math.log(2), abs=1e-12)


def test_costs_where_the_generator_has_won() -> None:
    """p = q and the best discriminator: what each game then costs."""
    at = {
        "minimax": 0.0,
        "non-saturating": 0.0,
        "least-squares": 0.5,
        "hinge": 0.3,
        "wasserstein": 0.7,
        "relativistic": 9,
    }
    ln2 = math.log(2)
    wanted = {
        "minimax": (2 * ln2, -ln2), "non-saturating": (2 * ln2, ln2), "least-squares": (0.25, 0.125),
        "hinge": (2.0, -0.3), "wasserstein": (0.0, -0.7), "relativistic": (ln2, ln2),
    }  # fmt: skip
    assert set(wanted) == set(GAN_LOSSES)
    for name, game in GAN_LOSSES.items():
        d = torch.full((7,), at[name], dtype=torch.float64)
        assert (float(game.discriminator(d, d)), float(game.generator(d, d))) == pytest.approx(
            wanted[name], abs=1e-12
        ), name
    assert float(value(torch.zeros(3), torch.zeros(3))) == pytest.approx(-2 * ln2)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_costs_fall_when_the_player_gets_better(name: str) -> None:
    r = torch.linspace(-0.9, 0.9, 50, dtype=torch.float64)
    f = r.flip(0).clone()
    up = [v.clone().requires_grad_() for v in (r, f)]
    GAN_LOSSES[name].discriminator(*up).backward()
    assert bool((up[0].grad <= 0).all()) and bool((up[0].grad < 0).any()), "more for the real"
    if name != "least-squares":
        assert bool((up[1].grad >= 0).all()) and bool((up[1].grad > 0).any()), "less for the drawn"
    up = [v.clone().requires_grad_() for v in (r, f)]
    GAN_LOSSES[name].generator(*up).backward()
    assert bool((up[1].grad < 0).all()), "the generator wants more for what it draws"
    assert (up[0].grad is not None and bool((up[0].grad != 0).any())) == GAN_LOSSES[name].paired


def test_a_sure_discriminator_starves_the_minimax_generator_and_not_the_other() -> None:
    def slope(name: str) -> float:
        f = torch.full((4,), -20.0, dtype=torch.float64, requires_grad=True)
        GAN_LOSSES[name].generator(torch.zeros(4, dtype=torch.float64), f).backward()
        assert f.grad is not None
        return float(f.grad.abs().sum())

    assert slope("minimax") < 1e-8 and slope("non-saturating") == pytest.approx(1, abs=1e-8)


def test_penalties_of_a_linear_discriminator_are_its_slope_wherever_it_is_asked() -> None:
    w = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64, requires_grad=True)

    def discriminator(x: Tensor) -> Tensor:
        return x @ w + 2.0

    x, fake = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        output_and_gradient_norm(discriminator, x)[1], torch.full((5,), 169.0, dtype=torch.float64), atol=1e-4
    )
    u = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert torch.allclose(wgan_gp(discriminator, x, fake, u), torch.full((5,), 144.0, dtype=torch.float64), atol=1e-4)
    (0.5 * output_and_gradient_norm(discriminator, x)[1].mean()).backward()
    assert w.grad is not None and torch.allclose(w.grad, w, atol=1e-4), "γ/2 ‖w‖² has the slope γ w"


def test_a_penalty_descends_like_finite_differences_say() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.SiLU(), torch.nn.Linear(6, 1)).double()
    x = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def penalty() -> Tensor:
        x_, w = x.clone().requires_grad_(), layer
        (g,) = torch.autograd.grad(w(x_).sum(), x_, create_graph=True)
        found = output_and_gradient_norm(lambda a: w(a).squeeze(1), x)[1].double()
        assert torch.allclose(found, g.square().sum(1), rtol=1e-5)
        return g.square().sum(1).mean()

    weight = layer[0].weight
    (slope,) = torch.autograd.grad(output_and_gradient_norm(lambda a: layer(a).squeeze(1), x)[1].mean(), weight)
    with torch.no_grad():
        for at in ((0, 0), (3, 2)):
            old, h = float(weight[at]), 1e-5
            ends = []
            for side in (h, -h):
                weight[at] = old + side
                with torch.enable_grad():
                    ends.append(float(penalty().detach()))
            weight[at] = old
            assert float(slope[at]) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4)


def dirac(game: str, gamma: float, steps: int = 200, rate: float = 0.1, together: bool = True) -> list[float]:
    """Data at 0, the generator a point θ, the discriminator D(x) = ψx: distances from the equilibrium (*Mescheder et
    al.*).
    """
    theta, psi = torch.tensor([1e-3], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64)
    far = [1e-3]
    for _ in range(steps):
        theta.requires_grad_()
        psi.requires_grad_()
        r, f = psi * 0.0, psi * theta.detach()
        penalty = (
            0.5
            * gamma
            * output_and_gradient_norm(lambda x, psi=psi: (x * psi).squeeze(1), torch.zeros(1, 1).double())[1]
        )
        (up,) = torch.autograd.grad(GAN_LOSSES[game].discriminator(r, f) + penalty.mean(), psi)
        judge = psi.detach() if together else (psi - rate * up).detach()
        (down,) = torch.autograd.grad(GAN_LOSSES[game].generator(judge * 0.0, judge * theta), theta)
        theta, psi = (theta - rate * down).detach(), (psi - rate * up).detach()
        far.append(math.hypot(float(theta), float(psi)))
    return far


@pytest.mark.parametrize("name", ["non-saturating", "relativistic"])
def test_without_a_penalty_two_players_go_round_and_with_it_they_meet(name: str) -> None:
    # Near the equilibrium the field is a rotation of speed ½: moving together, each step of h grows the radius so much.
    far = dirac(name, 0.0)
    growth = [b / a for a, b in zip(far, far[1:], strict=False)]
    assert sum(growth) / len(growth) == pytest.approx(math.sqrt(1 + 0.1**2 / 4), abs=1e-8)
    assert dirac(name, 1.0, steps=1000)[-1] < 1e-3 * far[0]
    assert 0.5 < dirac(name, 0.0, together=False)[-1] / far[0] < 2, "in turns they go round and get no nearer"


def test_a_logistic_discriminator_finds_the_log_odds_of_two_normals() -> None:
    """logit D*(x) = (a − b) x − (a² − b²)/2 for N(a, 1) and N(b, 1), within five standard errors."""
    a, b, n = 0.7, -0.4, 20_000
    noise = torch.randn(2, n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    real, drawn = a + noise[0], b + noise[1]
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=100, tolerance_grad=1e-10)

    def closure() -> float:
        optimizer.zero_grad()
        cost = GAN_LOSSES["minimax"].discriminator(w[0] * real + w[1], w[0] * drawn + w[1])
        cost.backward()
        return float(cost.detach())

    optimizer.step(closure)
    x = torch.cat([real, drawn])
    d = (w[0] * x + w[1]).sigmoid().detach()
    design = torch.stack([x, torch.ones_like(x)], 1)
    error = torch.linalg.inv(design.T @ (design * (d * (1 - d)).unsqueeze(1))).diagonal().sqrt()
    wanted = torch.tensor([a - b, -(a**2 - b**2) / 2], dtype=torch.float64)
    assert bool(((w.detach() - wanted).abs() < 5 * error).all())
    assert not bool(((w.detach() - wanted.flip(0)).abs() < 5 * error).all())  # mutant
