"""Distributions and priors against closed forms, sums and quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor, nn
from torch.autograd import gradcheck

from seisei import seeds
from seisei.metrics.likelihood import bits_per_dimension
from seisei.nn.distributions import Bernoulli, DiscretizedLogisticMixture, DiscretizedNormal, Normal, precise
from seisei.nn.heads import BernoulliHead, GaussianHead, LogisticMixtureHead
from seisei.nn.priors import StandardNormal, VampPrior

LEVELS = (2, 17, 256)


def real(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def exact(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def levels_of(count: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.arange(count).to(dtype) / (count - 1)


def total(log_p: Tensor) -> float:
    return float(torch.logsumexp(log_p, 0).exp())


# ---- normal ----


def test_normal_log_prob_is_scipys() -> None:
    x, mean, log_std = torch.randn(3, 50, dtype=torch.float64, generator=seeds.generator("n"))
    wanted = stats.norm.logpdf(x.numpy(), mean.numpy(), np.exp(log_std.numpy()))
    assert np.abs(Normal(mean, log_std).log_prob(x).numpy() - wanted).max() < 1e-12


def _kl_by_quadrature(mean: float, std: float) -> float:
    q, p = stats.norm(mean, std), stats.norm()
    value, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mean - 12 * std, mean + 12 * std, epsabs=1e-12, limit=400
    )
    return float(value)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (2, 1), (-1.5, 0.3), (0.1, 3), (4, 0.05)])
def test_kl_to_the_standard_normal_is_the_integral(mean: float, std: float) -> None:
    found = float(Normal(real(mean), real(math.log(std))).kl_to_standard())
    assert abs(found - _kl_by_quadrature(mean, std)) < 1e-8
    assert abs(found - 0.5 * (mean**2 + std**2 - 1 - math.log(std**2))) < 1e-12
    if (mean, std) != (0, 1):  # mutants: the sign of the logarithm, half of it, the reverse divergence
        for mutant in (
            0.5 * (mean**2 + std**2 - 1) + math.log(std),
            0.5 * (mean**2 + std**2 - 1) - 0.5 * math.log(std),
        ):
            assert std == 1 or abs(mutant - _kl_by_quadrature(mean, std)) > 1e-3


def test_draws_are_reparameterized_and_belong_to_their_example() -> None:
    mean, log_std = real(1, 2, 3).reshape(3, 1).requires_grad_(), real(0, 0, 0).reshape(3, 1).requires_grad_()
    with seeds.drawing(seeds.Draws(0, 0, total=3, offset=0)):
        z = Normal(mean, log_std).draws(5)
    assert z.shape == (3, 5, 1)
    z.sum().backward()
    assert mean.grad is not None and mean.grad.flatten().tolist() == [5, 5, 5]
    assert log_std.grad is not None and torch.allclose(log_std.grad.flatten(), (z - mean[:, None]).detach().sum((1, 2)))


def ks_distance(values: Tensor, cdf: Callable[[Any], Any]) -> float:
    return float(stats.ks_1samp(values.double().numpy().ravel(), cdf).statistic)


# By the Dvoretzky–Kiefer–Wolfowitz inequality n draws are farther than this from their law with probability 1e-6: at
# n = 72,544 a law that is off by 0.02 anywhere is found with probability 1 - 1e-6.
N = 72_544
BAND = math.sqrt(math.log(2 / 1e-6) / (2 * N))


def test_prior_and_posterior_draws_follow_their_law() -> None:
    with seeds.seeded(20261122, "ks"):
        z = StandardNormal(4).sample(N // 4, lambda x, y: Normal(x, x))
        shifted = Normal(torch.full((N, 1), 2.0), torch.full((N, 1), math.log(0.5))).sample()
    assert ks_distance(z, stats.norm.cdf) < BAND
    assert ks_distance(shifted, stats.norm(2, 0.5).cdf) < BAND
    assert ks_distance(z * 1.1, stats.norm.cdf) > BAND  # mutants
    assert ks_distance(shifted, stats.norm(2, 0.5**0.5).cdf) > BAND
    flat = z.double()
    bound = 5 / math.sqrt(len(flat))
    for other in (flat[1:] * flat[:-1], flat[:, 1:] * flat[:, :-1]):  # lag 1, and across dimensions
        assert float(other.mean(0).abs().max()) < bound


def test_neighboring_seeds_and_positions_are_unrelated() -> None:
    with seeds.drawing(seeds.Draws(1, 0, total=64, offset=0)):
        a = seeds.normal(64, 500)
    with seeds.drawing(seeds.Draws(2, 0, total=64, offset=0)):
        b = seeds.normal(64, 500)
    bound = 5 / math.sqrt(a.numel())
    assert abs(float((a * b).mean())) < bound and abs(float((a[1:] * a[:-1]).mean())) < bound
    assert len({round(float(v), 6) for v in a[:, 0]}) == 64


# ---- Bernoulli ----


def test_bernoulli_is_exact_far_out() -> None:
    for logit in (-50.0, 50.0, -3.0, 0.0):
        for x in (0.0, 1.0):
            wanted = -math.log1p(math.exp(-logit)) if x else -math.log1p(math.exp(logit))
            for dtype in (torch.float32, torch.float64):
                found = Bernoulli(torch.tensor([logit], dtype=dtype)).log_prob(torch.tensor([x], dtype=dtype))
                assert abs(float(found) - wanted) <= 1e-6 * max(1, abs(wanted))
    naive = torch.sigmoid(torch.tensor([50.0]))  # mutant: by way of the probability
    assert not math.isfinite(float(torch.log(1 - naive)))


def test_bernoulli_loss_is_least_at_the_mean_with_the_entropy() -> None:
    p = 0.3
    logits = torch.linspace(-4, 4, 80001, dtype=torch.float64)
    cross = -(
        p * Bernoulli(logits).log_prob(torch.ones_like(logits))
        + (1 - p) * Bernoulli(logits).log_prob(torch.zeros_like(logits))
    )
    best = int(cross.argmin())
    assert abs(float(torch.sigmoid(logits[best])) - p) < 1e-4
    assert abs(float(cross[best]) + p * math.log(p) + (1 - p) * math.log(1 - p)) < 1e-8
    # A gray value counts as a probability.
    assert torch.allclose(-Bernoulli(logits).log_prob(torch.full_like(logits, p)), cross)


def test_bernoulli_draws_zeros_and_ones_as_often_as_it_says() -> None:
    with seeds.seeded(3):
        x = Bernoulli(torch.full((40_000,), math.log(0.2 / 0.8))).sample()
    assert set(x.tolist()) == {0.0, 1.0} and abs(float(x.mean()) - 0.2) < 5 * math.sqrt(0.16 / 40_000)


# ---- levels ----

LOCATIONS = (-50.0, -2.0, -0.1, 0.0, 0.3, 0.5, 0.77, 1.0, 1.5, 40.0)
LOG_SCALES = (-12.0, -8.0, -5.0, -2.0, 0.0, 2.0, 5.0)


def discretized_normal(location: Tensor, log_scale: Tensor, levels: int) -> DiscretizedNormal:
    return DiscretizedNormal(location.expand(levels), log_scale.expand(levels), levels)


def mixture(location: Tensor, log_scale: Tensor, levels: int) -> DiscretizedLogisticMixture:
    logits = location.new_tensor([0.3, -1.0, 2.0]).expand(levels, 3)
    locations = torch.stack([location, location.new_tensor(0.2), location.new_tensor(0.8)]).expand(levels, 3)
    scales = torch.stack([log_scale, log_scale.new_tensor(-7.0), log_scale.new_tensor(0.0)]).expand(levels, 3)
    return DiscretizedLogisticMixture(logits, locations, scales, levels)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("make", [discretized_normal, mixture])
def test_the_levels_probabilities_sum_to_one(make: Any, levels: int) -> None:
    for location in LOCATIONS:
        for log_scale in LOG_SCALES:
            log_p = make(exact(location), exact(log_scale), levels).log_prob(levels_of(levels))
            assert abs(total(log_p) - 1) < 1e-9, (location, log_scale)
            assert float(log_p.max()) < 1e-9
            low = make(torch.tensor(location), torch.tensor(log_scale), levels).log_prob(
                levels_of(levels, torch.float32)
            )
            assert abs(total(low) - 1) < 2e-3


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("make", [discretized_normal, mixture])
def test_log_prob_and_gradients_are_finite_at_saturation_in_float32(make: Any, levels: int) -> None:
    for location in LOCATIONS:
        for log_scale in LOG_SCALES:
            mu, s = torch.tensor(location, requires_grad=True), torch.tensor(log_scale, requires_grad=True)
            log_p = make(mu, s, levels).log_prob(levels_of(levels, torch.float32))
            log_p.sum().backward()
            assert bool(torch.isfinite(log_p).all()) and bool(torch.isfinite(torch.stack([mu.grad, s.grad])).all()), (
                location,
                log_scale,
            )


def test_gradients_in_the_far_tail_are_right() -> None:
    """torch's own derivative of log Φ is six times too large at 10,000 σ in float32, and NaN soon after."""
    for sigmas in (50.0, 1_000.0, 10_000.0, 100_000.0):
        mu = torch.tensor(0.5 + sigmas * 1e-3, requires_grad=True)
        x = torch.tensor(128 / 255)
        DiscretizedNormal(mu, torch.tensor(math.log(1e-3)), 256).log_prob(x).backward()
        # So far out the bin's probability is that of its nearer edge: d log P / dμ = -(μ - x - Δ/2)/σ².
        wanted = -(float(mu.detach()) - 128 / 255 - 0.5 / 255) / 1e-6
        assert float(mu.grad) == pytest.approx(wanted, rel=1e-3)
    z = torch.tensor(-10_000.0, requires_grad=True)
    torch.special.log_ndtr(z).backward()
    assert not float(z.grad) == pytest.approx(10_000, rel=1e-3), "torch is mended: drop our own derivative"


@pytest.mark.parametrize("levels", LEVELS)
def test_discretized_normal_is_a_difference_of_two_phis_with_the_tails_at_the_edges(levels: int) -> None:
    x, half = levels_of(levels).numpy(), 0.5 / (levels - 1)
    for location, std in ((0.4, 0.2), (-0.3, 0.5), (1.1, 0.05)):
        upper, lower = stats.norm.cdf(x + half, location, std), stats.norm.cdf(x - half, location, std)
        upper[-1], lower[0] = 1.0, 0.0
        found = discretized_normal(exact(location), exact(std).log(), levels).log_prob(levels_of(levels))
        assert np.abs(found.exp().numpy() - (upper - lower)).max() < 1e-12
    # Mutant: no tails.
    cut = stats.norm.cdf(x + half, -0.3, 0.5) - stats.norm.cdf(x - half, -0.3, 0.5)
    assert abs(cut.sum() - 1) > 1e-2


@pytest.mark.parametrize("log_std", [-5.0, -3.5, -2.3, -1.0, 0.5])
@pytest.mark.parametrize("levels", [2, 17, 256, 65536])
def test_discretized_normal_in_float32_is_that_of_float64(levels: int, log_std: float) -> None:
    """Values and derivatives of narrow and wide bins, of edges and tails, against log Φ in double precision."""
    torch.manual_seed(0)
    x = (torch.rand(16, 300) * (levels - 1)).round() / (levels - 1)
    x[:, :100], x[:, 100:150] = 0, 1
    location = x + 0.15 * torch.randn_like(x)

    def reference(mu: Tensor, s: Tensor) -> Tensor:
        y, half = x.double(), 0.5 / (levels - 1)
        low = torch.where(y < half, -torch.inf, (y - half - mu) * torch.exp(-s))
        high = torch.where(y > 1 - half, torch.inf, (y + half - mu) * torch.exp(-s))
        low, high = torch.where(y > mu, -high, low), torch.where(y > mu, -low, high)
        log_low, log_high = torch.special.log_ndtr(low.clamp_min(-1e9)), torch.special.log_ndtr(high.clamp_max(1e9))
        return log_high + torch.log1p(-torch.exp(log_low - log_high))

    found = []
    for log_prob, dtype in (
        (lambda mu, s: DiscretizedNormal(mu, s, levels).log_prob(x.to(mu)), torch.float32),
        (reference, torch.float64),
    ):
        mu = location.detach().to(dtype).clone().requires_grad_()
        s = torch.tensor([log_std], dtype=dtype, requires_grad=True)
        value = log_prob(mu, s)
        value.sum().backward()
        assert mu.grad is not None and s.grad is not None
        found.append((value.detach().double(), mu.grad.double(), s.grad.double()))
    for ours, exact in zip(*found, strict=True):
        assert float(((ours - exact).abs() / (1 + exact.abs())).max()) < 2e-4


@pytest.mark.parametrize("levels", LEVELS)
def test_discretized_logistic_mixture_is_a_sum_of_differences(levels: int) -> None:
    x, half = levels_of(levels).numpy(), 0.5 / (levels - 1)
    weights = np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum()
    wanted = np.zeros(levels)
    for weight, location, log_scale in zip(weights, (0.4, 0.2, 0.8), (-1.0, -7.0, 0.0), strict=True):
        law = stats.logistic(location, math.exp(log_scale))
        upper, lower = law.cdf(x + half), law.cdf(x - half)
        upper[-1], lower[0] = 1.0, 0.0
        wanted += weight * (upper - lower)
    found = mixture(exact(0.4), exact(-1.0), levels).log_prob(levels_of(levels)).exp().numpy()
    assert np.abs(found - wanted).max() < 1e-12


def test_a_uniform_model_costs_eight_bits() -> None:
    """Equal bins by a mixture: one narrow component at the center of each level."""
    levels = 256
    x = levels_of(levels)
    locations = x.expand(levels, levels)
    model = DiscretizedLogisticMixture(
        torch.zeros(levels, levels).double(), locations, torch.full((levels, levels), -14.0).double(), levels
    )
    bits = bits_per_dimension(model.log_prob(x).numpy(), 1)
    assert np.abs(bits - 8.0).max() < 1e-9
    wide = Normal(real(0.5), real(0.0))  # mutant: a density, its bins not counted
    assert np.abs(bits_per_dimension(wide.log_prob(x).numpy(), 1) - 8.0).min() > 1


def test_bits_of_a_histogram_are_its_entropy() -> None:
    levels, count = 17, 20_000
    p = np.random.default_rng(0).dirichlet(np.ones(levels))
    x = torch.from_numpy(np.random.default_rng(1).choice(levels, count, p=p)).double() / (levels - 1)
    entropy = -(p * np.log2(p)).sum()
    log_p = histogram(p)
    assert abs(bits_per_dimension(np.array([float((torch.from_numpy(p) * log_p).sum())]), 1)[0] - entropy) < 0.001
    seen = log_p[(x * (levels - 1)).round().long()].numpy()
    error = seen.std() / math.log(2) / math.sqrt(count)
    assert abs(bits_per_dimension(seen, 1).mean() - entropy) < 5 * error
    assert abs(bits_per_dimension(seen, 2).mean() - entropy) > 5 * error  # mutant: a wrong number of dimensions


def histogram(p: np.ndarray) -> Tensor:
    levels = len(p)
    logits, scales = torch.from_numpy(np.log(p)).expand(levels, levels), torch.full((levels, levels), -9.0).double()
    return DiscretizedLogisticMixture(logits, levels_of(levels).expand(levels, levels), scales, levels).log_prob(
        levels_of(levels)
    )


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("make", [discretized_normal, mixture])
def test_draws_are_levels_and_follow_log_prob(make: Any, levels: int) -> None:
    count = 40_000
    with seeds.seeded(5, levels):
        if make is discretized_normal:
            x = DiscretizedNormal(torch.full((count,), 0.6), torch.tensor([-1.5]), levels).sample()
        else:
            one = mixture(torch.tensor(0.6), torch.tensor(-1.5), 1)
            x = DiscretizedLogisticMixture(
                one.logits.expand(count, 3), one.locations.expand(count, 3), one.log_scales.expand(count, 3), levels
            ).sample()
    numbers = x.double() * (levels - 1)
    assert float((numbers - numbers.round()).abs().max()) < 1e-4 and 0 <= float(x.min()) <= float(x.max()) <= 1
    seen = np.bincount(numbers.round().long().numpy(), minlength=levels) / count
    p = make(exact(0.6), exact(-1.5), levels).log_prob(levels_of(levels)).exp().numpy()
    band = math.sqrt(math.log(2 / 1e-6) / (2 * count))
    assert np.abs(np.cumsum(seen) - np.cumsum(p)).max() < band
    assert np.abs(np.cumsum(seen) - np.cumsum(np.full(levels, 1 / levels))).max() > band  # mutant: uniform


def test_means_stay_in_range() -> None:
    for location in LOCATIONS:
        for make in (discretized_normal, mixture):
            mean = make(torch.tensor(location), torch.tensor(0.0), 17).mean
            assert 0 <= float(mean.min()) <= float(mean.max()) <= 1


@pytest.mark.parametrize(
    "log_prob",
    [
        lambda a, b: Normal(a, b).log_prob(torch.full_like(a, 0.3)),
        lambda a, b: Normal(a, b).kl_to_standard(),
        lambda a, b: Bernoulli(a + b).log_prob(torch.full_like(a, 0.3)),
        lambda a, b: DiscretizedNormal(a, b, 17).log_prob(torch.full_like(a, 0.25)),
        lambda a, b: DiscretizedNormal(a, b, 2).log_prob(torch.ones_like(a)),
        lambda a, b: DiscretizedLogisticMixture(
            torch.stack([a, b], -1), torch.stack([b, a], -1), torch.stack([a, b], -1), 17
        ).log_prob(torch.full_like(a, 0.25)),
    ],
)
def test_gradients_by_finite_differences(log_prob: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b = torch.randn(2, 6, dtype=torch.float64, generator=seeds.generator("check")).requires_grad_().unbind(0)
    assert gradcheck(log_prob, (a.detach().requires_grad_(), b.detach().requires_grad_()), eps=1e-6, atol=1e-6)


# ---- heads ----


@pytest.mark.parametrize("head", [BernoulliHead(2), GaussianHead(17), LogisticMixtureHead(17, 3)])
@pytest.mark.parametrize("leading", [(4,), (2, 3)])
def test_heads_give_images_with_or_without_a_sample_axis(head: nn.Module, leading: tuple[int, ...]) -> None:
    features = torch.randn(*leading, 3 * head.parameters_per_value, 5, 6, generator=seeds.generator("h"))
    p = head(features)
    shape = (*leading, 3, 5, 6)
    x = torch.zeros(shape)
    assert p.log_prob(x).shape == p.mean.shape == p.sample().shape == shape
    one = head(features[(0,) * len(leading)].unsqueeze(0))  # each example by itself
    assert torch.allclose(
        one.log_prob(x[:1].reshape(1, *x.shape[-3:]) if len(leading) == 1 else x[:1, 0])[0],
        p.log_prob(x)[(0,) * len(leading)],
    )


def test_heads_compute_in_float32_at_least() -> None:
    for head in (BernoulliHead(2), GaussianHead(17), LogisticMixtureHead(17, 2)):
        features = torch.randn(2, head.parameters_per_value, 4, 4, generator=seeds.generator("half"))
        assert head(features.bfloat16()).log_prob(torch.zeros(2, 1, 4, 4)).dtype == torch.float32
        assert head.double()(features.double()).log_prob(torch.zeros(2, 1, 4, 4).double()).dtype == torch.float64
    assert precise(torch.zeros(1, dtype=torch.float16)).dtype == torch.float32


def test_gaussian_head_keeps_sigma_above_what_rounding_hides() -> None:
    head = GaussianHead(17)
    with torch.no_grad():
        head.log_std.fill_(-30.0)
    assert float(head(torch.zeros(1, 1, 2, 2)).log_std.detach()) == pytest.approx(math.log(0.5 / 16 / math.sqrt(12)))


# ---- VampPrior ----


class Encoder(nn.Module):
    """A posterior with something of x and y in it."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.mean, self.spread, self.shift = nn.Linear(6, latent), nn.Linear(6, latent), nn.Embedding(3, latent)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Normal:
        shift = 0 if y is None else self.shift(y)
        return Normal(self.mean(x.flatten(1)) + shift, 0.3 * self.spread(x.flatten(1)) - 0.5)


def explicit(z: Tensor, prior: VampPrior, encoder: Encoder, y: Tensor | None) -> Tensor:
    """log 1/K Σ_k Π_l N(z_l; μ_kl, σ_kl²), term by term."""
    out = torch.empty(z.shape[:-1])
    for i in range(len(z)):
        parts = encoder(prior.pseudo_inputs.clamp(0, 1), None if y is None else y[i].expand(prior.components))
        log_n = Normal(parts.mean, parts.log_std).log_prob(z[i].unsqueeze(-2)).sum(-1)
        out[i] = torch.logsumexp(log_n, -1) - math.log(prior.components)
    return out


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("samples", [0, 4])
def test_vamp_prior_is_the_explicit_mixture(conditional: bool, samples: int) -> None:
    with seeds.seeded("vamp"):
        prior, encoder = VampPrior(5, [1, 2, 3], 7), Encoder(5)
        prior.pseudo_inputs.data = torch.rand(7, 1, 2, 3) * 1.4 - 0.2  # some beyond [0, 1]
        y = torch.tensor([0, 2, 1, 2]) if conditional else None
        z = torch.randn(4, samples, 5) if samples else torch.randn(4, 5)
    wanted = explicit(z, prior, encoder, y)
    assert torch.allclose(prior.given(encoder, y)(z), wanted, atol=1e-5)
    assert not torch.allclose(prior.given(encoder, y)(z) + math.log(7), wanted, atol=1e-2)  # mutant: a sum for a mean
    if conditional:
        assert not torch.allclose(prior.given(encoder, y)(z), explicit(z, prior, encoder, y.flip(0)), atol=1e-2)


@pytest.mark.parametrize("log_std", [-1.0, -5.0, -8.0])
def test_vamp_prior_is_exact_for_narrow_components(log_std: float) -> None:
    """With one product of matrices in float32 the smallest σ gives log-densities that are 100 nats too high."""
    with seeds.seeded("narrow"):
        prior, mean = VampPrior(40, [1, 2, 2], 50), torch.randn(50, 40)
        parts = Normal(mean, torch.full((50, 40), log_std))
        z = mean + math.exp(log_std) * torch.randn(50, 40)
    found = prior.given(lambda x, y: parts)(z)
    exactly = Normal(parts.mean.double(), parts.log_std.double()).log_prob(z.double().unsqueeze(1)).sum(-1)
    wanted = torch.logsumexp(exactly, 1) - math.log(50)
    assert float((found.double() - wanted).detach().abs().max()) < 1e-4 * max(1.0, float(wanted.abs().max()))


def test_vamp_prior_draws_from_its_mixture() -> None:
    with seeds.seeded("vamp draws"):
        prior, encoder = VampPrior(1, [1, 2, 3], 3), Encoder(1)
        prior.pseudo_inputs.data = torch.rand(3, 1, 2, 3)
        encoder.mean.weight.data *= 8
        with torch.no_grad():
            parts = encoder(prior.pseudo_inputs)
            z = prior.sample(N, encoder)

    def cdf(value: Any) -> Any:
        means, stds = parts.mean.double().numpy(), parts.log_std.exp().double().numpy()
        return np.mean([stats.norm.cdf(value, m, s) for m, s in zip(means, stds, strict=True)], 0)

    assert ks_distance(z, cdf) < BAND
    assert ks_distance(z[z < z.median()], cdf) > BAND


def test_vamp_prior_starts_at_the_examples() -> None:
    prior, x = VampPrior(2, [1, 2, 2], 5), torch.rand(3, 1, 2, 2)
    prior.start_from(x)
    assert torch.equal(prior.pseudo_inputs.detach(), 0.05 + 0.9 * x[[0, 1, 2, 0, 1]])
