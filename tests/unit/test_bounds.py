"""Bounds on the likelihood where the likelihood is known: the linear-Gaussian model.

    z ~ N(0, I_K),  x | z ~ N(Wz + μ, s² I_D)
    ⇒  x ~ N(μ, WWᵀ + s² I),  z | x ~ N(M⁻¹Wᵀ(x − μ), s² M⁻¹),  M = WᵀW + s² I

*Probabilistic Principal Component Analysis (Tipping, Bishop, 1999)*;
*Don't Blame the ELBO! (Lucas, Tucker, Grosse, Norouzi, 2019)*.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch, observed
from seisei.models.vae import VAE, Autoencoder
from seisei.nn.distributions import Normal
from seisei.nn.heads import BernoulliHead, GaussianHead, LogisticMixtureHead
from seisei.nn.mlp import MLPDecoder, MLPEncoder
from seisei.nn.priors import StandardNormal, VampPrior
from seisei.objectives.elbo import ELBO, IWAE
from seisei.objectives.reconstruction import Reconstruction
from seisei.objectives.schedules import ramp

K, D = 2, 6


class Continuous(nn.Module):
    """A Normal likelihood without levels: the densities of the textbook."""

    def __init__(self, log_std: float, learned: bool = False) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.tensor([log_std], dtype=torch.float64), requires_grad=learned)

    def forward(self, features: Tensor) -> Normal:
        return Normal(features, self.log_std.expand_as(features))


class LinearDecoder(nn.Module):
    classes = 0

    def __init__(self, latent: int, size: int) -> None:
        super().__init__()
        self.map = nn.Linear(latent, size, dtype=torch.float64)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.map(z).unflatten(-1, (1, 1, -1))


class LinearEncoder(nn.Module):
    """μ linear in x, σ the same for every x, as the exact posterior is when M is diagonal."""

    def __init__(self, latent: int, size: int) -> None:
        super().__init__()
        self.map = nn.Linear(size, latent, dtype=torch.float64)
        self.log_std = nn.Parameter(torch.zeros(latent, dtype=torch.float64))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        mean = self.map(x.flatten(1))
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)


def linear_vae(latent: int = K, size: int = D, *, log_std: float = 0.0, learned: bool = False) -> VAE:
    return VAE(
        LinearEncoder(latent, size), LinearDecoder(latent, size), Continuous(log_std, learned), StandardNormal(latent)
    )


def images(x: Tensor) -> Batch:
    return Batch(x[:, None, None, :])


@dataclass
class Known:
    """A linear VAE whose encoder is the exact posterior, and what is known of it."""

    model: VAE
    x: Tensor
    log_p: Tensor


def known(seed: int = 0, std: float = 0.7) -> Known:
    with seeds.seeded("known", seed):
        basis = torch.linalg.qr(torch.randn(D, K, dtype=torch.float64))[0]
        w = basis * torch.tensor([1.7, 0.6], dtype=torch.float64)  # orthogonal columns: the posterior is diagonal
        mean = torch.randn(D, dtype=torch.float64)
        x = torch.randn(40, K, dtype=torch.float64) @ w.T + mean + std * torch.randn(40, D, dtype=torch.float64)
    model = linear_vae(log_std=math.log(std))
    m = w.T @ w + std**2 * torch.eye(K, dtype=torch.float64)
    encoder: Any = model.encoder
    decoder: Any = model.decoder
    with torch.no_grad():
        decoder.map.weight.copy_(w)
        decoder.map.bias.copy_(mean)
        encoder.map.weight.copy_(torch.linalg.solve(m, w.T))
        encoder.map.bias.copy_(-torch.linalg.solve(m, w.T) @ mean)
        encoder.log_std.copy_(0.5 * torch.log(std**2 / torch.diagonal(m)))
    covariance = (w @ w.T + std**2 * torch.eye(D, dtype=torch.float64)).numpy()
    log_p = torch.from_numpy(stats.multivariate_normal(mean.numpy(), covariance).logpdf(x.numpy()))
    return Known(model, x, log_p)


def elbo_in_closed_form(model: VAE, x: Tensor, *, beta: float = 1.0) -> Tensor:
    """E_q log p(x|z) − β KL, without a draw: E‖x − Wz − μ‖² = ‖x − Wm − μ‖² + Σ_k σ_k² ‖w_k‖²."""
    batch = images(x)
    q = model.posterior(batch.x)
    decoder: Any = model.decoder
    head: Any = model.head
    w, variance = decoder.map.weight, torch.exp(2 * head.log_std)
    spread = (torch.exp(2 * q.log_std) * w.square().sum(0)).sum(-1)
    at_mean = model.reconstruction(batch, q.mean)
    return at_mean - 0.5 * spread / variance - beta * q.kl_to_standard().sum(-1)


# ---- exact posterior ----


def test_with_the_exact_posterior_every_weight_is_the_likelihood() -> None:
    """log p(x, z) − log q(z|x) = log p(x) whatever z is: so is the ELBO, and L_K for every K."""
    k = known()
    with seeds.seeded(1), torch.no_grad():
        log_w = k.model.log_weights(images(k.x), 7)
    assert float((log_w - k.log_p[:, None]).abs().max()) < 1e-9
    assert float((elbo_in_closed_form(k.model, k.x) - k.log_p).abs().max().detach()) < 1e-9
    with seeds.seeded(2):
        assert float((k.model.log_prob(images(k.x), samples=11) - k.log_p).abs().max()) < 1e-9
        loss = IWAE(k.model, 3).loss(images(k.x), 1.0)
    assert (
        abs(float(loss.total.detach()) + float(k.log_p.mean())) < 1e-9
        and abs(float(loss.parts["elbo"]) - float(k.log_p.mean())) < 1e-9
    )


LOG_NORMAL, DRAWS = Normal.log_prob, Normal.draws
# Told apart by the last axis: x has D numbers, z has K.
MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "no half log 2 pi": lambda m: m.setattr(
        Normal, "log_prob", lambda self, x: -0.5 * ((x - self.mean) * torch.exp(-self.log_std)).square() - self.log_std
    ),
    "the sign of log sigma": lambda m: m.setattr(
        Normal,
        "log_prob",
        lambda self, x: (
            -0.5 * ((x - self.mean) * torch.exp(-self.log_std)).square() + self.log_std - 0.9189385332046727
        ),
    ),
    "the sign of log q": lambda m: m.setattr(
        Normal, "log_prob", lambda self, x: -LOG_NORMAL(self, x) if x.shape[-1] == K else LOG_NORMAL(self, x)
    ),
    "mean for sum over pixels": lambda m: m.setattr(
        Normal, "log_prob", lambda self, x: LOG_NORMAL(self, x) / D if x.shape[-1] == D else LOG_NORMAL(self, x)
    ),
    "prior without its constant": lambda m: m.setattr(
        StandardNormal, "given", lambda self, posterior, y=None: lambda z: -0.5 * z.square().sum(-1)
    ),
    "half the deviation": lambda m: m.setattr(
        Normal, "draws", lambda self, count: DRAWS(Normal(self.mean, self.log_std - 0.7), count)
    ),
}


@pytest.mark.parametrize("name", [n for n in MUTANTS if n != "half the deviation"])
def test_mutants_of_the_weights_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    k = known()
    MUTANTS[name](monkeypatch)
    with seeds.seeded(1), torch.no_grad():
        assert float((k.model.log_weights(images(k.x), 7) - k.log_p[:, None]).abs().max()) > 1e-3


# ---- any Gaussian posterior ----


def other_posterior() -> Known:
    k = known(3)
    encoder: Any = k.model.encoder
    with torch.no_grad(), seeds.seeded("other"):
        encoder.map.weight.add_(0.3 * torch.randn(K, D, dtype=torch.float64))
        encoder.log_std.add_(0.4)
    return k


def test_the_gap_is_the_divergence_from_the_exact_posterior() -> None:
    """log p(x) − ELBO = KL(q ‖ p(z|x)), both sides in closed form."""
    k, right = other_posterior(), known(3)
    q, p = k.model.posterior(images(k.x).x), right.model.posterior(images(k.x).x)
    ratio = torch.exp(2 * (q.log_std - p.log_std))
    kl = (0.5 * (ratio + ((q.mean - p.mean) * torch.exp(-p.log_std)).square() - 1) - (q.log_std - p.log_std)).sum(-1)
    gap = k.log_p - elbo_in_closed_form(k.model, k.x)
    assert float((gap - kl).abs().max().detach()) < 1e-9 and float(gap.min().detach()) > 0.01
    assert (
        float((k.log_p - elbo_in_closed_form(k.model, k.x, beta=0.9) - kl).abs().max().detach()) > 1e-3
    )  # mutant: beta


def mean_of_losses(objective: Any, batch: Batch, times: int) -> tuple[float, float]:
    """The mean of many one-draw losses and its standard error: the batch is repeated, each copy with its own noise."""
    with seeds.seeded("many", times), torch.no_grad():
        values = torch.stack([objective.loss(Batch(batch.x.repeat(250, 1, 1, 1)), 1.0).total for _ in range(times)])
    return float(values.mean()), float(values.std() / math.sqrt(times))


def test_the_losses_are_unbiased(monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 draws: the mean lies within 5 standard errors of the ELBO in closed form."""
    k = other_posterior()
    wanted, batch = -float(elbo_in_closed_form(k.model, k.x).mean().detach()), images(k.x)
    for objective in (ELBO(k.model), IWAE(k.model, 1)):
        value, error = mean_of_losses(objective, batch, 40)
        assert error < 0.03 and abs(value - wanted) < 5 * error
    for beta in (0.5, 2.0):
        value, error = mean_of_losses(ELBO(k.model, beta=beta), batch, 40)
        assert abs(value + float(elbo_in_closed_form(k.model, k.x, beta=beta).mean().detach())) < 5 * error
    value, error = mean_of_losses(ELBO(k.model, beta=1.3), batch, 40)  # mutants
    assert abs(value - wanted) > 5 * error
    MUTANTS["half the deviation"](monkeypatch)
    value, error = mean_of_losses(IWAE(k.model, 1), batch, 40)
    assert abs(value - wanted) > 5 * error


def test_gradients_of_the_elbo_at_known_numbers() -> None:
    """Pyro's: data {−0.5, 2}, z ~ N(0,1), x|z ~ N(z,1), q = N(0,1): −∂ELBO is {0.5, −2} by the mean, 2 by the std."""
    model = linear_vae(1, 1)
    decoder: Any = model.decoder
    nn.init.ones_(decoder.map.weight)
    nn.init.zeros_(decoder.map.bias)
    x = torch.tensor([[-0.5], [2.0]], dtype=torch.float64)
    mean, log_std = torch.zeros(2, 2, 1, dtype=torch.float64, requires_grad=True).unbind(0)
    mean, log_std = mean.detach().requires_grad_(), log_std.detach().requires_grad_()
    count = 50_000

    def loss(sign: float = 1.0) -> tuple[Tensor, Tensor]:
        many = Normal(mean.repeat(count, 1), log_std.repeat(count, 1))
        model.posterior = lambda x, y=None, mask=None: many  # type: ignore[method-assign]
        with seeds.seeded("gradients"):
            total = ELBO(model, beta=sign if sign > 0 else 0.0).loss(images(x.repeat(count, 1)), 1.0).total * 2
        a, b = torch.autograd.grad(total, (mean, log_std))
        return a.flatten(), b.flatten()

    by_mean, by_std = loss()
    assert torch.allclose(by_mean, torch.tensor([0.5, -2.0]).double(), atol=0.05)
    assert torch.allclose(
        by_std, torch.tensor([1.0, 1.0]).double(), atol=0.1
    )  # E ε² − 1 + 1; two data points, 2.0 in all
    assert abs(float(by_std.sum()) - 2.0) < 0.1
    off, _ = loss(sign=-1.0)
    assert torch.allclose(off, by_mean, atol=1e-9)  # at mean 0 the KL term pulls nowhere …
    with torch.no_grad():
        mean.fill_(1.0)
    assert not torch.allclose(loss()[0], loss(sign=-1.0)[0], atol=0.5)  # … and elsewhere it does


def test_importance_weighted_bounds_rise_to_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    """ELBO = L₁ ≤ L₅ ≤ L₅₀ ≤ log p, with a q that is much too wide."""
    k = other_posterior()
    encoder: Any = k.model.encoder
    with torch.no_grad():
        encoder.log_std.add_(1.0)
    x, log_p = k.x[:8], float(k.log_p[:8].mean())
    batch = Batch(images(x).x.repeat(2000, 1, 1, 1))

    def bound(samples: int) -> float:
        with seeds.seeded("bounds", samples), torch.no_grad():
            return -float(IWAE(k.model, samples).loss(batch, 1.0).total)

    one, five, fifty = bound(1), bound(5), bound(50)
    elbo = float(elbo_in_closed_form(k.model, x).mean().detach())
    assert abs(one - elbo) < 0.15
    assert one + 0.5 < five and five + 0.05 < fifty < log_p + 0.01 and log_p - fifty < 0.2
    monkeypatch.setattr(torch, "logsumexp", lambda v, dim: v.mean(dim) + math.log(v.shape[dim]))  # mutant: mean of logs
    assert abs(bound(50) - elbo) < 0.15


# ---- training reaches the optimum ----


def ppca(x: np.ndarray, latent: int) -> tuple[float, float, np.ndarray]:
    """The greatest mean log-likelihood, its s², and the top eigenspace."""
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    d = len(values)
    rest = values[latent:].mean()
    best = -0.5 * (d * math.log(2 * math.pi) + np.log(values[:latent]).sum() + (d - latent) * math.log(rest) + d)
    return float(best), float(rest), vectors[:, :latent]


def descend(model: nn.Module, loss: Callable[[], Tensor], steps: int) -> float:
    optimizer = torch.optim.LBFGS(
        [p for p in model.parameters() if p.requires_grad],
        max_iter=steps,
        history_size=30,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    return float(loss().detach())


def low_rank_data(count: int = 400) -> Tensor:
    with seeds.seeded("ppca"):
        w = torch.linalg.qr(torch.randn(D, K, dtype=torch.float64))[0] * torch.tensor([2.0, 1.2], dtype=torch.float64)
        return torch.randn(count, K, dtype=torch.float64) @ w.T + 1.0 + 0.5 * torch.randn(count, D, dtype=torch.float64)


def test_a_linear_vae_trained_by_descent_is_probabilistic_pca() -> None:
    x = low_rank_data()
    best, rest, space = ppca(x.numpy(), K)
    with seeds.seeded("start"):
        model = linear_vae(learned=True)
    found = -descend(model, lambda: -elbo_in_closed_form(model, x).mean(), 400)
    assert abs(found - best) < 1e-4
    head: Any = model.head
    decoder: Any = model.decoder
    assert abs(float(torch.exp(2 * head.log_std.detach())) - rest) < 1e-2 * rest
    learned = torch.linalg.qr(decoder.map.weight.detach())[0].numpy()
    angle = math.acos(min(1.0, float(np.linalg.svd(learned.T @ space)[1].min())))
    assert angle < 1e-2
    # The loss that training descends says the same, up to its noise, and the bound of `log_prob` is tight here.
    value, error = mean_of_losses(ELBO(model), images(x), 10)
    assert abs(value + best) < 5 * error + 1e-3
    with seeds.seeded("tight"):
        assert abs(float(model.log_prob(images(x), samples=5).mean()) - best) < 1e-3
    wrong = ppca(x.numpy(), 1)[0]  # mutant: the optimum of another K
    assert abs(found - wrong) > 0.05


def test_adam_on_the_one_draw_loss_comes_near_the_same_optimum() -> None:
    """The very loss of the library, with its noise, by the optimizer of the library."""
    x = low_rank_data()
    best, _, _ = ppca(x.numpy(), K)
    with seeds.seeded("adam"):
        model = linear_vae(learned=True)
        objective, batch = ELBO(model), images(x)
        steps = 500
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            objective.loss(batch, 1.0).total.backward()
            optimizer.step()
            schedule.step()
    reached = float(elbo_in_closed_form(model, x).mean().detach())
    assert best - 0.03 < reached < best + 1e-9


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_units_are_active_where_the_data_pay_for_them(beta: float) -> None:
    """With β, s² fixed at 1 and K = D − 1, the active units are those with λ_i > β s²."""
    with seeds.seeded("active"):
        scales = torch.tensor([3.0, 2.0, 1.4, 0.5, 0.4, 0.3], dtype=torch.float64)
        x = torch.randn(3000, D, dtype=torch.float64)
        x = (
            (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T, correction=0))).T * scales
        )  # exact eigenvalues
        model = linear_vae(5, D)
    descend(model, lambda: -elbo_in_closed_form(model, x, beta=beta).mean(), 300)
    kl = model.posterior(images(x).x).kl_to_standard().mean(0).detach()
    # KL does not say how many (a rotation mixes equal units); the rank of the map from x to z does.
    encoder: Any = model.encoder
    rank = int((torch.linalg.svdvals(encoder.map.weight.detach()) > 1e-2).sum())
    assert rank == int((scales.square() > beta).sum())
    assert float(kl.sum()) > 0.5


def test_a_latent_that_explains_nothing_collapses_to_the_prior() -> None:
    """x of independent dimensions of one variance: the best KL is 0 and the ELBO that of a constant model."""
    with seeds.seeded("collapse"):
        x = torch.randn(2000, D, dtype=torch.float64)
        x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T, correction=0))).T * 0.6 + 0.2
        model = linear_vae(learned=True)
    found = -descend(model, lambda: -elbo_in_closed_form(model, x).mean(), 300)
    constant = float(stats.norm(0.2, 0.6).logpdf(x.numpy()).sum(1).mean())
    assert abs(found - constant) < 1e-4
    assert float(model.posterior(images(x).x).kl_to_standard().sum(-1).mean().detach()) < 1e-3
    full = low_rank_data()  # control: the same training on data with structure does not collapse
    with seeds.seeded("control"):
        model = linear_vae(learned=True)
    descend(model, lambda: -elbo_in_closed_form(model, full).mean(), 200)
    assert float(model.posterior(images(full).x).kl_to_standard().sum(-1).mean().detach()) > 1


def test_simulation_based_ranks_are_uniform() -> None:
    """z and x from the model: the rank of z among draws of q(z|x) is uniform when q is exact (Talts et al., 2018)."""
    k = known(5)
    draws, count = 63, 10_000
    decoder: Any = k.model.decoder
    with seeds.seeded("sbc"), torch.no_grad():
        z = torch.randn(count, K, dtype=torch.float64)
        x = decoder.map(z) + 0.7 * torch.randn(count, D, dtype=torch.float64)
        q = k.model.posterior(images(x).x)

        def p_value(widen: float) -> float:
            ranks = (Normal(q.mean, q.log_std + math.log(widen)).draws(draws) < z.unsqueeze(1)).sum(1).numpy()
            return min(float(stats.chisquare(np.bincount(r, minlength=draws + 1)).pvalue) for r in ranks.T)

        assert p_value(1.0) > 5e-7
        assert p_value(1.2**0.5) < 1e-6 and p_value(0.8**0.5) < 1e-6


# ---- the objectives' own formulas ----


def tiny(prior: nn.Module | None = None, head: nn.Module | None = None, *, classes: int = 0, latent: int = 3) -> VAE:
    head = head or BernoulliHead(2)
    out = [head.parameters_per_value, 3, 4]
    with seeds.seeded("tiny"):
        return VAE(
            MLPEncoder([1, 3, 4], 2 * latent, 8, 1, classes),
            MLPDecoder(out, latent, 8, 1, classes),
            head,
            prior or StandardNormal(latent),
        )


def some(count: int = 5, levels: int = 2) -> Batch:
    with seeds.seeded("some"):
        return Batch((torch.rand(count, 1, 3, 4) * (levels - 1)).round() / (levels - 1))


def loss_of(objective: Any, batch: Batch, t: float = 1.0) -> Any:
    with seeds.drawing(seeds.Draws(0, 0, total=len(batch), offset=0)):
        return objective.loss(batch, t)


def test_warm_up_and_beta_at_their_boundaries() -> None:
    model, batch = tiny(), some()
    parts = loss_of(ELBO(model), batch).parts
    reconstruction, kl = float(parts["reconstruction"]), float(parts["kl"])
    assert kl > 0.01 and float(parts["elbo"]) == pytest.approx(-reconstruction - kl)
    for beta, warmup, t, weight in [
        (1.0, 0.0, 0.0, 1.0),
        (1.0, 0.5, 0.0, 0.0),
        (1.0, 0.5, 0.25, 0.5),
        (1.0, 0.5, 0.5, 1.0),
        (1.0, 0.5, 0.499, 0.998),
        (1.0, 1.0, 1.0, 1.0),
        (1.0, 1.0, 0.999, 0.999),
        (3.0, 0.2, 0.1, 1.5),
        (0.0, 0.3, 0.9, 0.0),
        (0.25, 0.0, 0.5, 0.25),
    ]:
        total = float(loss_of(ELBO(model, beta=beta, warmup=warmup), batch, t).total.detach())
        assert total == pytest.approx(reconstruction + weight * kl, abs=1e-5), (beta, warmup, t)
        assert ramp(t, warmup) == pytest.approx(weight / beta if beta else min(1.0, t / warmup))
    assert ramp(3 / 10, 4 / 10) == pytest.approx(0.75) != ramp(4 / 10, 4 / 10)  # an off-by-one step would show


def test_free_bits() -> None:
    model, batch = tiny(), some()
    q = model.posterior(batch.x)
    per_dimension = q.kl_to_standard().mean(0).detach()
    for floor in (0.0, float(per_dimension.median()), 5.0):
        loss = loss_of(ELBO(model, free_bits=floor), batch)
        penalty = float(per_dimension.clamp_min(floor).sum())
        assert float(loss.total.detach()) == pytest.approx(float(loss.parts["reconstruction"]) + penalty, abs=1e-5)
        assert float(loss.parts["kl"]) == pytest.approx(
            float(per_dimension.sum()), abs=1e-5
        )  # what is reported is the KL itself
    each = float(
        q.kl_to_standard().detach().clamp_min(float(per_dimension.median())).mean(0).sum()
    )  # mutant: per example
    assert each != pytest.approx(float(per_dimension.clamp_min(float(per_dimension.median())).sum()), abs=1e-4)
    # Below the floor the KL term has no gradient left.
    first = torch.autograd.grad(loss_of(ELBO(model, free_bits=50.0), batch).total, list(model.encoder.parameters()))
    rest = torch.autograd.grad(loss_of(ELBO(model, beta=0.0), batch).total, list(model.encoder.parameters()))
    assert all(torch.allclose(a, b) for a, b in zip(first, rest, strict=True))


def test_with_a_vamp_prior_the_kl_term_is_one_draw() -> None:
    with seeds.seeded("vamp"):
        model = tiny(VampPrior(3, [1, 3, 4], 4))
    batch = some()
    with seeds.drawing(seeds.Draws(0, 0, total=5, offset=0)):
        q = model.posterior(batch.x)
        z = q.sample()
    wanted = float((q.log_prob(z).sum(-1) - model.log_prior(z)).mean().detach())
    assert float(loss_of(ELBO(model), batch).parts["kl"]) == pytest.approx(wanted, abs=1e-5)
    loss = loss_of(ELBO(model, free_bits=100.0), batch)
    assert float(loss.total.detach()) == pytest.approx(float(loss.parts["reconstruction"]) + 100.0 * 3, abs=1e-3)


def test_iwae_of_one_draw_is_the_elbo_of_that_draw() -> None:
    model, batch = tiny(), some()
    with seeds.drawing(seeds.Draws(0, 0, total=5, offset=0)):
        q = model.posterior(batch.x)
        z = q.draws(1)[:, 0]
    log_w = model.reconstruction(batch, z) + model.log_prior(z) - q.log_prob(z).sum(-1)
    loss = loss_of(IWAE(model, 1), batch)
    assert float(loss.total.detach()) == pytest.approx(-float(log_w.mean().detach()), abs=1e-5)
    many = loss_of(IWAE(model, 20), batch)
    assert (
        float(many.parts["bound"]) == pytest.approx(-float(many.total.detach()))
        and many.parts["bound"] > many.parts["elbo"]
    )


@pytest.mark.parametrize("classes", [0, 3])
def test_log_prob_in_parts_is_log_prob_at_once(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 images are decoded at a time; with the noise held fixed the answer does not depend on that."""
    model = tiny(classes=classes)
    x = some(7).x
    batch = Batch(x, torch.arange(7) % 3 if classes else None)
    samples = 2000 // 7 * 3 + 11
    with seeds.seeded("fixed"):
        noise = torch.randn(7, samples, 3)
    taken: list[int] = []

    def fixed(count: int, *shape: int, device: Any = "cpu") -> Tensor:
        start = sum(taken)
        taken.append(shape[0])
        return noise[:, start : start + shape[0]]

    monkeypatch.setattr(seeds, "normal", fixed)
    found = model.log_prob(batch, samples=samples)
    assert taken == [256, 256, 256, 98], "whatever the number of examples"
    taken.clear()
    with torch.no_grad():
        whole = torch.logsumexp(model.log_weights(batch, samples), 1) - math.log(samples)
    assert torch.allclose(found, whole, atol=1e-5)
    taken.clear()
    with torch.no_grad():  # mutant: the mean of the parts' bounds
        parts = [torch.logsumexp(model.log_weights(batch, n), 1) - math.log(n) for n in (256, 256, 256, 98)]
    assert not torch.allclose(torch.stack(parts).mean(0), whole, atol=1e-4)


def test_unobserved_values_count_nothing_and_are_not_seen() -> None:
    mask = torch.ones(5, 1, 3, 4, dtype=torch.bool)
    mask[:, :, 1:, 2:] = False
    one, model = some(), tiny()
    other = Batch(torch.where(mask, one.x, 1 - one.x), None, mask)
    one = Batch(one.x, None, mask)
    for objective in (ELBO(model), IWAE(model, 3), ELBO(model, beta=0.5, warmup=0.5)):
        assert torch.equal(loss_of(objective, one).total, loss_of(objective, other).total)
        bare = loss_of(objective, Batch(one.x)).total
        assert not torch.equal(loss_of(objective, one).total, bare)
    nothing = Batch(one.x, None, torch.zeros_like(mask))
    assert float(loss_of(ELBO(model), nothing).parts["reconstruction"]) == 0
    log_p = torch.full((2, 1, 1, 3), float("nan"))
    log_p[..., 0] = -2.0
    seen = torch.tensor([True, False, False]).expand(2, 1, 1, 3)
    assert observed(log_p, seen).tolist() == [-2.0, -2.0]  # not even NaN comes through


def test_reconstruction_is_the_mean_over_examples_of_sums_over_pixels() -> None:
    head = BernoulliHead(2)
    model = Autoencoder(MLPEncoder([1, 3, 4], 3, 8, 1), MLPDecoder([1, 3, 4], 3, 8, 1), head)
    batch = some()
    loss = Reconstruction(model).loss(batch, 0.0)
    by_hand = -torch.stack(
        [model.likelihood(model.encode(batch.x[i : i + 1])).log_prob(batch.x[i : i + 1]).sum() for i in range(5)]
    )
    assert float(loss.total.detach()) == pytest.approx(float(by_hand.mean().detach()), abs=1e-5)
    assert float(loss.parts["reconstruction"]) == pytest.approx(float(loss.total.detach()))


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_micro_batches_are_the_batch(parts: int) -> None:
    """In float64: the mean of equal parts' losses and gradients, each part with its slice of the step's noise."""
    model, batch = tiny().double(), some(10)
    batch = Batch(batch.x.double())
    for objective in (ELBO(model, free_bits=0.0), IWAE(model, 4)):
        names = [n for n, _ in model.named_parameters()]
        whole = torch.autograd.grad(loss_of(objective, batch).total, list(model.parameters()))
        sums = [torch.zeros_like(g) for g in whole]
        for i, part in enumerate(batch.split(10 // parts)):
            with seeds.drawing(seeds.Draws(0, 0, total=10, offset=i * 10 // parts)):
                share = torch.autograd.grad(objective.loss(part, 1.0).total / parts, list(model.parameters()))
            sums = [a + b for a, b in zip(sums, share, strict=True)]
        for name, a, b in zip(names, sums, whole, strict=True):
            assert float((a - b).abs().max()) < 1e-12, name


CASES: dict[str, Callable[[], tuple[Any, int]]] = {
    "elbo": lambda: (ELBO(tiny(), beta=0.7, warmup=0.4), 2),
    "elbo gaussian": lambda: (ELBO(tiny(head=GaussianHead(17)), free_bits=0.02), 17),
    "elbo mixture": lambda: (ELBO(tiny(head=LogisticMixtureHead(17, 2))), 17),
    "elbo vamp": lambda: (ELBO(tiny(VampPrior(3, [1, 3, 4], 4))), 2),
    "iwae": lambda: (IWAE(tiny(), 3), 2),
    "iwae vamp": lambda: (IWAE(tiny(VampPrior(3, [1, 3, 4], 4)), 3), 2),
    "reconstruction": lambda: (
        Reconstruction(Autoencoder(MLPEncoder([1, 3, 4], 3, 8, 1), MLPDecoder([1, 3, 4], 3, 8, 1), GaussianHead(17))),
        17,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_whole_losses_by_finite_differences(name: str) -> None:
    """Twenty parameters at random, in float64, the noise held fixed."""
    with seeds.seeded("finite"):
        objective, levels = CASES[name]()
    objective = copy.deepcopy(objective).double()
    batch = Batch(some(4, levels).x.double())
    parameters = list(objective.parameters())
    gradients = torch.autograd.grad(loss_of(objective, batch, 0.3).total, parameters)
    random = np.random.default_rng(0)
    for _ in range(20):
        which = int(random.integers(len(parameters)))
        flat, at = parameters[which].data.view(-1), int(random.integers(parameters[which].numel()))
        before, step = float(flat[at]), 1e-6
        values = []
        for sign in (1, -1):
            flat[at] = before + sign * step
            values.append(float(loss_of(objective, batch, 0.3).total.detach()))
        flat[at] = before
        numeric, analytic = (values[0] - values[1]) / (2 * step), float(gradients[which].view(-1)[at])
        assert abs(numeric - analytic) < 1e-5 * max(1, abs(analytic)), (which, at)
