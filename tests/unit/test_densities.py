"""Densities have exact answers: posteriors, marginals, maxima, draws. Each check comes with a mutant that fails it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from seisei import seeds
from seisei.batch import Batch
from seisei.models.classifier import GenerativeClassifier
from seisei.models.kde import KernelDensity
from seisei.models.mixture import Mixture
from seisei.nn.densities.full_covariance import Full, Tied
from seisei.nn.densities.gaussian import EVERY, Diagonal, Gaussians
from seisei.nn.densities.ppca import PPCA
from seisei.nn.kmeans import kmeans, squared_distances
from seisei.nn.masking import random_mask
from seisei.nn.tabular.features import Categories, Columns, Sizes
from seisei.nn.tabular.head import RowDistribution, RowHead

FORMS = ("diagonal", "full", "tied", "low rank")
ALARM = 1e-6  # how often a test of draws may fail by chance
DRAWN = math.ceil(2 * math.log(2 / ALARM) / 0.02**2)  # shows a distribution function that is off by 0.02
BAND = math.sqrt(math.log(2 / ALARM) / (2 * DRAWN))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(form: str, count: int, dim: int, rank: int = 2) -> Gaussians:
    """A form that neither shrinks nor borrows: what it takes is the maximum."""
    makers: dict[str, Callable[[], Gaussians]] = {
        "diagonal": lambda: Diagonal(count, dim, 0.0),
        "full": lambda: Full(count, dim, 0.0),
        "tied": lambda: Tied(count, dim, 0.0),
        "low rank": lambda: PPCA(count, dim, rank, 0.0),
    }
    return makers[form]()


def known(form: str, count: int, dim: int, seed: int = 0) -> tuple[Any, Tensor]:
    """A form with parameters put in by hand, and its covariances (count, dim, dim)."""
    part: Any = plain(form, count, dim)
    part.mean.copy_(2 * noise(seed, count, dim))
    root = noise(seed + 1, count, dim, dim)
    if form == "diagonal":
        part.variance.copy_(noise(seed + 1, count, dim).square() + 0.2)
        return part, torch.diag_embed(part.variance)
    if form == "low rank":
        part.weight.copy_(root[:, :, : part.rank])
        part.noise.copy_(noise(seed + 2, count).square() + 0.2)
        return part, part.weight @ part.weight.mT + part.noise[:, None, None] * torch.eye(dim, dtype=torch.float64)
    covariance = root @ root.mT + 0.3 * torch.eye(dim, dtype=torch.float64)
    covariance = covariance[:1].expand(count, -1, -1) if form == "tied" else covariance
    part.factor.copy_(torch.linalg.cholesky(covariance[: len(part.factor)]))
    return part, covariance


def bayes(numbers: Any, classes: int, prior: tuple[float, ...], sizes: Sizes) -> GenerativeClassifier:
    model = GenerativeClassifier(Mixture(classes, numbers.count // classes, sizes, numbers), classes)
    model.log_prior.copy_(torch.tensor(prior).double().log())
    return model


# ---- Bayes' rule ----


@pytest.mark.parametrize("form", FORMS)
def test_two_gaussians_give_the_analytic_posterior(form: str) -> None:
    numbers, covariance = known(form, 2, 3)
    model, prior = bayes(numbers, 2, (0.2, 0.8), 3), torch.tensor([0.2, 0.8]).double()
    x = 3 * noise(7, 200, 3)
    each = torch.stack([MultivariateNormal(m, c).log_prob(x) for m, c in zip(numbers.mean, covariance, strict=True)], 1)
    joint = each + prior.log()

    def check(model: GenerativeClassifier) -> None:
        batch = Batch(x)
        assert torch.allclose(model.log_joint(batch), joint, rtol=1e-10, atol=1e-10)
        assert torch.allclose(model.log_posterior(batch), joint.log_softmax(1), rtol=0, atol=1e-6)
        # p(x) is the sum of the joint over classes, by plain addition of probabilities.
        assert torch.allclose(model.log_prob(batch), joint.exp().sum(1).log(), rtol=1e-10, atol=1e-10)
        assert torch.equal(model.decide(batch), joint.argmax(1))

    check(model)
    for prior_of_a_mutant in ((0.8, 0.2), (0.21, 0.8)):
        with pytest.raises(AssertionError):
            check(bayes(numbers, 2, prior_of_a_mutant, 3))


def test_between_two_gaussians_of_one_covariance_lies_the_plane_of_the_textbook() -> None:
    numbers, covariance = known("tied", 2, 3)
    model, inverse = bayes(numbers, 2, (0.3, 0.7), 3), torch.linalg.inv(covariance[0])
    (a, b), x = numbers.mean, noise(3, 100, 3)
    weight, bias = inverse @ (b - a), -0.5 * (b @ inverse @ b - a @ inverse @ a) + math.log(0.7 / 0.3)
    said = model.log_posterior(Batch(x))
    assert torch.allclose(said[:, 1] - said[:, 0], x @ weight + bias, atol=1e-9)
    ratios, whole = model.density.log_ratios(Batch(x)), model.density.log_probs(Batch(x))
    assert torch.allclose(ratios[:, 1] - ratios[:, 0], whole[:, 1] - whole[:, 0], atol=1e-9)
    # Mutant: without the prior.
    assert not torch.allclose(said[:, 1] - said[:, 0], x @ weight + bias - math.log(0.7 / 0.3), atol=1e-2)


# ---- what is missing ----


@pytest.mark.parametrize("form", FORMS)
def test_the_marginal_of_every_pattern_is_that_of_the_sub_block(form: str) -> None:
    numbers, covariance = known(form, 3, 4)
    patterns = torch.tensor(list(itertools.product((False, True), repeat=4)))
    seen = patterns.repeat_interleave(2, 0)[torch.randperm(32, generator=torch.Generator().manual_seed(0))]
    x = 2 * noise(5, len(seen), 4)

    def exact(row: int, m: int) -> Tensor:
        there = seen[row]
        if not bool(there.any()):
            return torch.zeros(()).double()
        part = MultivariateNormal(numbers.mean[m][there], covariance[m][there][:, there])
        return torch.as_tensor(part.log_prob(x[row][there]))

    wanted = torch.stack([torch.stack([exact(row, m) for m in range(3)]) for row in range(len(x))])

    def check(x: Tensor, seen: Tensor | None) -> None:
        assert torch.allclose(numbers.log_prob(x, seen), wanted, rtol=1e-10, atol=1e-10)

    check(x, seen)
    check(torch.where(seen, x, 1e6), seen)  # what lies under a gap tells nothing
    assert torch.allclose(numbers.log_prob(x, seen, slice(1, 3)), wanted[:, 1:], rtol=1e-10, atol=1e-10)
    # Mutants: gaps filled with a mean, and a pattern that is one value off.
    for mutant in ((torch.where(seen, x, numbers.mean.mean(0)), None), (x, seen ^ (torch.arange(4) == 0))):
        with pytest.raises(AssertionError):
            check(*mutant)


# ---- the maximum ----


def mixed(n: int, sizes: list[int], *, gaps: bool, hidden: bool, seed: int = 0) -> Batch:
    """Two classes of mixed columns; with cells and labels missing where asked."""
    generator = torch.Generator().manual_seed(seed)
    y, d = torch.randint(2, (n,), generator=generator), sizes.count(0)
    x = 2 * noise(seed + 1, 2, d)[y] + torch.einsum("nij,nj->ni", noise(seed + 2, 2, d, d)[y], noise(seed + 3, n, d))
    numbers = iter(x.unbind(1))
    columns = [
        next(numbers) if size == 0 else ((y + torch.randint(size, (n,), generator=generator)) % size).double()
        for size in sizes
    ]
    mask = torch.rand(n, len(sizes), generator=generator) > 0.3 if gaps else None
    y = torch.where(torch.rand(n, generator=generator) < 0.5, y, -1) if hidden else y
    return Batch(torch.stack(columns, 1), y, mask)


def likelihood(model: GenerativeClassifier, batch: Batch) -> float:
    """Σ log p(x, y), of rows without a label Σ log p(x)."""
    joint, y = model.log_joint(batch), batch.y
    assert y is not None
    labeled = joint[y >= 0].gather(1, y[y >= 0].unsqueeze(1)).sum()
    return float(labeled + torch.logsumexp(joint[y < 0], 1).sum())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "with gaps"])
@pytest.mark.parametrize("hidden", [False, True], ids=["labeled", "half labeled"])
def test_expectation_maximization_never_lowers_the_likelihood(form: str, gaps: bool, hidden: bool) -> None:
    def check(components: int, sizes: list[int], spoil: float = 0.0) -> None:
        batch = mixed(120, sizes, gaps=gaps, hidden=hidden)
        numbers = plain(form, 2 * components, sizes.count(0))
        model = GenerativeClassifier(Mixture(2, components, sizes, numbers, smoothing=0.0), 2)
        found = []
        for number in range(12):
            model.sweep(lambda: batch.split(50))
            numbers.mean.add_(spoil if number == 9 else 0.0)
            found.append(likelihood(model, batch))
        drops = [before - after for before, after in itertools.pairwise(found)]
        assert max(drops) < 1e-8 * abs(found[0])
        # What a sweep reports is the mean of log p(x | y), or of log p(x), before it.
        said = model.sweep(lambda: batch.split(50))
        assert batch.y is not None and (said is None) == (components == 1 and not gaps and not hidden)
        if said is not None:
            given = found[-1] - float(model.log_prior[batch.y[batch.y >= 0]].sum())
            assert float(said) * len(batch) == pytest.approx(given, rel=1e-9)

    for components, sizes in itertools.product((1, 2), ([0, 0, 0], [0, 0, 4, 0, 2])):
        check(components, sizes)
    with pytest.raises(AssertionError):
        check(2, [0, 0, 0], 1.0)


def gradient(form: str, numbers: Any, batch: Batch) -> float:
    """Of one Gaussian a class, the largest derivative of the mean log-likelihood of what was observed."""
    names = {"diagonal": "variance", "full": "factor", "tied": "factor", "low rank": "weight"}
    own = [numbers.mean, getattr(numbers, names[form]), *([numbers.noise] if form == "low rank" else [])]
    mean, shape, *rest = (p.detach().clone().requires_grad_() for p in own)
    if form == "diagonal":
        covariance = torch.diag_embed(shape)
    elif form == "low rank":
        covariance = shape @ shape.mT + rest[0][:, None, None] * torch.eye(shape.shape[1]).double()
    else:
        covariance = (shape @ shape.mT).expand(len(mean), -1, -1)
    assert batch.mask is not None and batch.y is not None
    total = torch.zeros(()).double()
    for x, seen, y in zip(batch.x, batch.mask, batch.y.tolist(), strict=True):
        if bool(seen.any()):
            block = covariance[y][seen][:, seen]
            total = total + MultivariateNormal(mean[y][seen], block).log_prob(x[seen])
    (total / len(batch)).backward()
    return max(float(p.grad.abs().max()) for p in (mean, shape, *rest) if p.grad is not None)


@pytest.mark.parametrize("form", FORMS)
def test_with_gaps_it_ends_where_the_derivative_of_what_was_observed_is_zero(form: str) -> None:
    batch = mixed(90, [0, 0, 0], gaps=True, hidden=False)
    assert batch.mask is not None

    def fitted(batch: Batch, rounds: int) -> Any:
        numbers = plain(form, 2, 3, rank=1)
        mixture = Mixture(2, 1, 3, numbers)
        for _ in range(rounds):
            mixture.sweep(lambda: batch.split(40), torch.zeros(2))
        return numbers

    assert gradient(form, fitted(batch, 400), batch) < 1e-6
    # Mutant: gaps filled with the mean.
    mean = (batch.x * batch.mask).sum(0) / batch.mask.sum(0)
    filled = Batch(torch.where(batch.mask, batch.x, mean), batch.y)
    assert gradient(form, fitted(filled, 5), batch) > 1e-2


def test_one_gaussian_of_low_rank_reaches_the_closed_form_of_principal_components() -> None:
    scale = torch.tensor([3.0, 2.0, 0.7, 0.6, 0.5, 0.4]).double()
    turn = torch.linalg.qr(noise(1, 6, 6)).Q
    x = (noise(0, 300, 6) * scale) @ turn.T + 5
    values, vectors = np.linalg.eigh(np.cov(x.numpy().T, ddof=0))
    left = values[:4].mean()
    wanted = (vectors[:, 4:] * (values[4:] - left)) @ vectors[:, 4:].T

    def check(numbers: Any, tolerance: float) -> None:
        assert abs(float(numbers.noise) - left) < tolerance
        assert np.abs((numbers.weight[0] @ numbers.weight[0].T).numpy() - wanted).max() < tolerance
        assert torch.allclose(numbers.mean[0], x.mean(0), atol=tolerance)

    begun: Any = plain("low rank", 1, 6)
    begun.begin(0, x)
    check(begun, 1e-6)
    swept: Any = plain("low rank", 1, 6)  # from a start that knows nothing
    mixture = Mixture(1, 1, 6, swept)
    swept.weight.copy_(noise(2, 1, 6, 2))
    mixture.started.fill_(True)
    for _ in range(400):
        mixture.sweep(lambda: [Batch(x)], torch.zeros(1))
    check(swept, 1e-8)
    # Mutants: the first of the discarded eigenvalues for their mean; another noise.
    left, kept = values[3], left
    with pytest.raises(AssertionError):
        check(swept, 1e-3)
    left = kept
    swept.noise.mul_(1.05)
    with pytest.raises(AssertionError):
        check(swept, 1e-3)


@pytest.mark.parametrize("form", ["diagonal", "full", "tied"])
def test_an_update_is_numpys_weighted_mean_and_covariance(form: str) -> None:
    x, r = 100 + noise(0, 60, 3) @ noise(1, 3, 3), noise(2, 60, 2).abs()
    means = np.stack([np.average(x.numpy(), 0, r[:, m].numpy()) for m in range(2)])
    each = [np.cov(x.numpy().T, aweights=r[:, m].numpy(), ddof=0) for m in range(2)]

    def covariances(numbers: Any) -> list[Any]:
        if form == "diagonal":
            return [np.diag(v) for v in numbers.variance.numpy()]
        return [(f @ f.T).numpy() for f in numbers.factor]

    def updated(**options: float) -> Any:
        numbers = plain(form, 2, 3)
        numbers.shrinkage = options.get("shrinkage", 0.0)
        numbers.pseudo_count = options.get("pseudo_count", 0.0)
        numbers.mean.copy_(100 + noise(3, 2, 3))  # moments are taken about old means, wherever they are
        moments = numbers.moments()
        for part in (slice(0, 7), slice(7, 40), slice(40, 60)):
            numbers.gather(x[part], None, r[part], EVERY, moments)
        numbers.update(moments)
        return numbers

    def check(wanted: list[Any], **options: float) -> None:
        found = updated(**options)
        assert np.allclose(found.mean.numpy(), means, rtol=1e-12)
        assert np.allclose(covariances(found), wanted, rtol=1e-9)

    n, d = r.sum(0).numpy(), 3
    if form == "tied":
        each = [(n[0] * each[0] + n[1] * each[1]) / n.sum()]
    elif form == "diagonal":
        each = [np.diag(np.diag(c)) for c in each]
    check(each)
    counts = [n.sum()] if form == "tied" else list(n)
    average = sum(k * np.trace(c) for k, c in zip(counts, each, strict=True)) / (n.sum() * d)
    lent = [(k * c + 4 * average * np.eye(d)) / (k + 4) for k, c in zip(counts, each, strict=True)]
    shrunk = [0.9 * c + 0.1 * np.trace(c) / d * np.eye(d) for c in lent]
    check(shrunk, shrinkage=0.1, pseudo_count=4.0)
    with pytest.raises(AssertionError):
        check([c * n.sum() / (n.sum() - 1) for c in each])
    with pytest.raises(AssertionError):
        check(shrunk, shrinkage=0.1, pseudo_count=5.0)


@pytest.mark.parametrize("form", ["full", "tied"])
def test_numbers_that_depend_on_each_other_get_a_density_and_those_that_overflow_end(form: str) -> None:
    def fitted(x: Tensor) -> Any:
        numbers = plain(form, 1, 3)
        Mixture(1, 1, 3, numbers).sweep(lambda: [Batch(x)], torch.zeros(1))
        return numbers

    x = noise(0, 50, 2)
    numbers = fitted(torch.cat([x, x.sum(1, keepdim=True)], 1))
    covariance = np.cov(torch.cat([x, x.sum(1, keepdim=True)], 1).numpy().T, ddof=0)
    assert np.allclose((numbers.factor[0] @ numbers.factor[0].T).numpy(), covariance, atol=1e-6)
    assert not fitted(1e200 * noise(0, 50, 3)).factor.isfinite().all(), "it says so, and does not try for ever"


def test_categories_are_shares_with_rows_added() -> None:
    part = Categories(2, [3, 2], 1.5, torch.float64)
    x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, 0.0]]).double()
    seen = torch.tensor([[True, True], [True, False], [True, True]])
    r = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]).double()
    part.update(part.gather(x, seen, r))
    first = np.array([[1 + 1.5, 1.5, 0.5 + 1.5], [1.5, 1.5, 1.5 + 1.5]])
    second = np.array([[1.5, 1 + 1.5], [1 + 1.5, 1.5]])
    wanted = np.concatenate([first / first.sum(1, keepdims=True), second / second.sum(1, keepdims=True)], 1)
    assert np.allclose(part.log_p.exp().numpy(), wanted)
    said = part.log_prob(x, seen)
    assert np.allclose(said[1].numpy(), np.log(wanted[:, 2])), "what is missing counts nothing"
    # Mutant: another smoothing.
    part.smoothing = 1.0
    part.update(part.gather(x, seen, r))
    assert not np.allclose(part.log_p.exp().numpy(), wanted)


# ---- clusters ----


def test_clusters() -> None:
    x = torch.cat([noise(i, 40, 2) + torch.tensor([8.0 * i, 0.0]) for i in range(3)])
    generator = lambda: torch.Generator().manual_seed(1)  # noqa: E731

    def inertia(centers: Tensor) -> float:
        return float(torch.cdist(x, centers).square().min(1).values.sum())

    def check(centers: Tensor, which: Tensor) -> None:
        assert torch.equal(which, torch.cdist(x, centers).argmin(1)), "every row belongs to the nearest center"
        for j in range(len(centers)):
            assert torch.allclose(centers[j], x[which == j].mean(0)), "every center is the mean of its rows"
        assert len({tuple(which[40 * i : 40 * i + 40].tolist()) for i in range(3)}) == 3

    centers, which = kmeans(x, 3, generator())
    check(centers, which)
    assert all(len(set(which[40 * i : 40 * i + 40].tolist())) == 1 for i in range(3)), "far clusters are found"
    again, _ = kmeans(x, 3, generator())
    assert torch.equal(again, centers), "the same generator, the same clusters"
    falls = [inertia(kmeans(x, 5, generator(), iterations)[0]) for iterations in (0, 1, 2, 5, 25)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(falls))
    assert torch.allclose(kmeans(x, 1, generator())[0][0], x.mean(0))
    assert inertia(kmeans(x, len(x), generator())[0]) < 1e-9, "as many clusters as rows leave nothing"
    assert torch.allclose(squared_distances(x, x[:9]), torch.cdist(x, x[:9]).square(), atol=1e-9)
    same, which = kmeans(torch.ones(6, 2), 3, generator())
    assert same.isfinite().all() and set(which.tolist()) <= {0, 1, 2}, "rows that repeat one another break nothing"
    with pytest.raises(AssertionError):  # mutant: the first centers are no means
        check(*kmeans(x, 3, generator(), 0))


# ---- kernels ----


def brute(kernel: KernelDensity, sizes: list[int], x: Tensor, seen: Tensor) -> Tensor:
    """log p(x | c), a bump at a time."""
    h, found = float(kernel.width), torch.zeros(len(x), kernel.classes).double()
    for c in range(kernel.classes):
        kept = [i for i in range(kernel.rows) if float(kernel.share[i, c]) > 0]
        have = {j: [float(kernel.x[i, j]) for i in kept if bool(kernel.seen[i, j])] for j in range(len(sizes))}
        for row in range(len(x)):
            total = 0.0
            for i in kept:
                bump = 1.0
                for j, size in enumerate(sizes):
                    if not bool(seen[row, j]):
                        continue
                    value, theirs = float(x[row, j]), float(kernel.x[i, j])
                    if size == 0 and bool(kernel.seen[i, j]):
                        bump *= norm.pdf(value, theirs, h)
                    elif size == 0:
                        spread = math.sqrt(np.var(have[j]) + h**2)
                        bump *= norm.pdf(value, np.mean(have[j]), spread)
                    elif bool(kernel.seen[i, j]):
                        bump *= 1 - kernel.mixing if value == theirs else kernel.mixing / (size - 1)
                    else:
                        bump *= (have[j].count(value) + 1) / (len(have[j]) + size)
                total += bump * float(kernel.share[i, c])
            found[row, c] = math.log(total / float(kernel.share[:, c].sum()))
    return found


@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "with gaps"])
@pytest.mark.parametrize("sizes", [[0, 0], [0, 3, 0, 2], [3, 2]], ids=["numbers", "both", "categories"])
def test_kernels_are_the_sum_of_all_bumps(sizes: list[int], gaps: bool) -> None:
    train, test = (mixed(n, sizes, gaps=gaps, hidden=False, seed=n) for n in (25, 6))
    kernel = KernelDensity(2, sizes, rows=30, bandwidth=0.4, mixing=0.2).double()
    kernel.sweep(lambda: train.split(10), torch.zeros(2))
    seen = torch.ones_like(test.x, dtype=torch.bool) if test.mask is None else test.mask
    wanted = brute(kernel, sizes, test.x, seen)
    assert torch.allclose(kernel.log_probs(test), wanted, rtol=1e-10, atol=1e-10)
    # Mutant: another width, or, of categories, another mixing.
    kernel.width.mul_(1.1)
    kernel.mixing = 0.25
    assert not torch.allclose(kernel.log_probs(test), wanted, atol=1e-3)


def lines(n: int = 60) -> tuple[Batch, Tensor]:
    """Two parallel lines of points; a label at the left end of one, and at the right end of the other."""
    t = torch.linspace(0, 10, n).double()
    x = torch.cat([torch.stack([t, torch.zeros(n)], 1), torch.stack([t, torch.ones(n)], 1)])
    true = torch.arange(2).repeat_interleave(n)
    some = torch.full_like(true, -1)
    some[0], some[-1] = 0, 1
    return Batch(x, some), true


def test_labels_spread_along_rows_and_not_across_a_gap() -> None:
    train, true = lines()

    def wrong(kernel: KernelDensity) -> int:
        kernel.sweep(lambda: train.split(50), torch.tensor([0.5, 0.5]).log())
        return int((kernel.log_probs(Batch(train.x)).argmax(1) != true).sum())

    assert wrong(KernelDensity(2, 2, rows=120, bandwidth=0.2, iterations=300, neighbors=5).double()) == 0
    # Mutants: too few rounds to reach the other end; bumps so wide that they bridge the gap.
    assert wrong(KernelDensity(2, 2, rows=120, bandwidth=0.2, iterations=3, neighbors=5).double()) > 20
    assert wrong(KernelDensity(2, 2, rows=120, bandwidth=2.0, iterations=300, neighbors=100).double()) > 20


@pytest.mark.parametrize("sizes", [[0, 0], [0, 3, 0, 2]], ids=["numbers", "both"])
def test_a_round_gives_rows_without_a_label_their_posterior_under_the_others(sizes: list[int]) -> None:
    train = mixed(25, sizes, gaps=False, hidden=False, seed=3)
    assert train.y is not None
    some = train.y.where(torch.arange(25) % 2 == 0, -1)
    log_prior = torch.tensor([0.3, 0.7]).double().log()
    kernel = KernelDensity(2, sizes, rows=25, bandwidth=0.7, iterations=1).double()
    kernel.sweep(lambda: [Batch(train.x, some)], log_prior)
    teachers = KernelDensity(2, sizes, rows=25, bandwidth=0.7).double()
    teachers.sweep(lambda: [Batch(train.x[some >= 0], some[some >= 0])], log_prior)
    wanted = (teachers.log_probs(Batch(train.x[some < 0])) + log_prior).softmax(1)
    found = kernel.share[kernel.owner == 2]
    assert torch.allclose(found, wanted.where(wanted > 1e-4, 0.0), atol=1e-9)
    # The density is then the sum of all bumps by their shares, and draws come in their proportion.
    seen = torch.ones_like(train.x, dtype=torch.bool)
    assert torch.allclose(kernel.log_probs(Batch(train.x)), brute(kernel, sizes, train.x, seen), atol=1e-9)
    kernel.share[kernel.owner == 2] = 0.5  # mutant
    assert not torch.allclose(kernel.log_probs(Batch(train.x)), brute(teachers, sizes, train.x, seen), atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "dim", "grain"), [(400, 1, 0.0), (2000, 1, 0.0), (400, 3, 0.0), (400, 1, 0.2)], ids=str
)
def test_the_width_that_leaving_one_out_chooses_is_near_the_best(rows: int, dim: int, grain: float) -> None:
    """Of a normal density, whose best width is known by trying; in one dimension the nearest row is very near."""

    def draw(seed: int, n: int) -> Batch:
        x = noise(seed, n, dim).float()
        return Batch((x / grain).round() * grain if grain else x)

    kernel = KernelDensity(1, dim, rows=rows)
    kernel.sweep(lambda: [draw(0, rows)], torch.zeros(1))
    fresh = Batch(noise(1, 2000, dim).float())

    def at(width: float) -> float:
        kernel.width.fill_(width)
        return float(kernel.log_prob(fresh).double().mean())

    def check(width: float) -> None:
        assert at(width) > best - 8 / rows

    chosen = float(kernel.width)
    best = max(at(10 ** (step / 10)) for step in range(-20, 6))
    check(chosen)
    for mutant in (chosen / 10, chosen * 6):
        with pytest.raises(AssertionError):
            check(mutant)


# ---- draws ----


def inside(values: Tensor, distribution: Callable[[Any], Any]) -> None:
    """The empirical distribution function of the draws lies within the band about the exact one (DKW)."""
    assert len(values) == DRAWN
    ordered = np.sort(values.double().numpy())
    exact, steps = distribution(ordered), np.arange(DRAWN + 1) / DRAWN
    assert max((exact - steps[:-1]).max(), (steps[1:] - exact).max()) < BAND


def often(values: Tensor, shares: Tensor) -> None:
    """Each category was drawn as often as its share allows, by the exact binomial."""
    counts = torch.bincount(values.long(), minlength=len(shares)).tolist()
    for count, share in zip(counts, shares.tolist(), strict=True):
        low, high = binom.ppf([ALARM / 2 / len(counts), 1 - ALARM / 2 / len(counts)], len(values), share)
        assert low <= count <= high


@pytest.mark.parametrize("form", FORMS)
def test_draws_of_a_mixture_follow_its_density(form: str) -> None:
    numbers, covariance = known(form, 4, 3)
    sizes, direction = [0, 3, 0, 0], torch.tensor([1.0, -0.5, 2.0]).double()
    mixture = Mixture(2, 2, sizes, numbers)
    weight = torch.tensor([[0.3, 0.7], [0.5, 0.5]]).double()
    mixture.log_weight.copy_(weight.log())
    mixture.categories.log_p.copy_((5 * noise(9, 4, 3)).log_softmax(1))
    model = GenerativeClassifier(mixture, 2)
    model.log_prior.copy_(torch.tensor([0.1, 0.9]).double().log())
    centers, spreads = numbers.mean @ direction, (direction @ covariance @ direction).sqrt()

    def check(temperature: float = 1.0, c: int = 1) -> None:
        with seeds.seeded(0, "draws"):
            x = mixture.sample(DRAWN, torch.full((DRAWN,), 1), temperature=temperature)
        parts = zip(weight[c], centers[2 * c : 2 * c + 2], spreads[2 * c : 2 * c + 2], strict=True)
        told = [(float(w), float(m), float(s)) for w, m, s in parts]
        inside(x[:, [0, 2, 3]] @ direction, lambda t: sum(w * norm.cdf(t, m, s) for w, m, s in told))
        often(x[:, 1], weight[c] @ mixture.categories.log_p[2 * c : 2 * c + 2].exp())

    check()
    for mutant in ({"temperature": 1.2}, {"c": 0}):
        with pytest.raises(AssertionError):
            check(**mutant)  # type: ignore[arg-type]
    with seeds.seeded(0, "labels"):
        drawn = model.draw_labels(DRAWN)
    often(drawn, model.log_prior.exp())
    with pytest.raises(AssertionError):
        often(drawn, torch.tensor([0.11, 0.89]))


def test_draws_of_kernels_follow_their_density() -> None:
    sizes = [0, 3, 0]
    train = mixed(40, sizes, gaps=False, hidden=False)
    kernel = KernelDensity(2, sizes, rows=50, bandwidth=0.5, mixing=0.3).double()
    kernel.sweep(lambda: [train], torch.zeros(2))
    mine = kernel.x[kernel.owner == 1]
    places = (mine[:, 0] + 2 * mine[:, 2]).numpy()
    near = torch.bincount(mine[:, 1].long(), minlength=3) / len(mine)

    def check(temperature: float = 1.0, mixing: float = 0.3) -> None:
        with seeds.seeded(0, "draws"):
            x = kernel.sample(DRAWN, torch.full((DRAWN,), 1), temperature=temperature)
        spread = 0.5 * math.sqrt(5)
        inside(x[:, 0] + 2 * x[:, 2], lambda t: sum(norm.cdf(t, place, spread) for place in places) / len(places))
        often(x[:, 1], (1 - mixing) * near + mixing * (1 - near) / 2)

    check()
    for mutant in ({"temperature": 1.6}, {"mixing": 0.25}):
        with pytest.raises(AssertionError):
            check(**mutant)


def test_a_class_that_no_kept_row_has_can_be_drawn() -> None:
    train = mixed(20, [0, 3, 0], gaps=True, hidden=False)
    kernel = KernelDensity(3, [0, 3, 0], rows=30)
    kernel.sweep(lambda: [train], torch.zeros(3))
    x = kernel.sample(10, torch.full((10,), 2))
    assert x.isfinite().all() and set(x[:, 1].tolist()) <= {0.0, 1.0, 2.0}
    said = kernel.log_probs(train.map(lambda t: t.float() if t.is_floating_point() else t))
    assert said[:, 2].max() < -1e20, "its density is as good as nothing"


# ---- rows of mixed columns ----


class _Unscaled(RowDistribution):
    def log_prob(self, x: Tensor) -> Tensor:
        found = super().log_prob(x)
        return found + torch.where(torch.tensor([size == 0 for size in (0, 3, 0, 2)]), 0.3, 0.0)


def test_the_likelihood_of_a_row_integrates_to_one_and_draws_follow_it() -> None:
    head = RowHead([0, 3, 0, 2])
    with torch.no_grad():
        head.log_std.copy_(torch.tensor([-0.4, -1.2]))
    head.requires_grad_(False)
    features = noise(0, 1, head.outputs)
    row = head(features)

    def of(row: RowDistribution, x: Tensor) -> RowDistribution:
        parts = (part.expand(len(x), -1) for part in row.logits)
        return type(row)(row.columns, row.center.expand(len(x), -1), row.log_std, tuple(parts))

    def check(row: RowDistribution) -> None:
        fine = torch.linspace(-8, 8, 401).double()
        a, b = torch.meshgrid(fine, fine, indexing="ij")
        total = 0.0
        for first, second in itertools.product(range(3), range(2)):
            x = torch.stack([a, torch.full_like(a, first), b, torch.full_like(a, second)], -1).view(-1, 4)
            total += float(of(row, x).log_prob(x).sum(-1).exp().sum()) * float(fine[1] - fine[0]) ** 2
        assert abs(total - 1) < 1e-5

    check(row)
    with pytest.raises(AssertionError):
        check(_Unscaled(row.columns, row.center, row.log_std, row.logits))
    many = head(features.expand(DRAWN, -1))
    with seeds.seeded(0, "rows"):
        x = many.sample()
    center, spread = row.center[0].tolist(), row.log_std.exp().tolist()
    for j, place in enumerate((0, 2)):
        inside(x[:, place], lambda t, j=j: norm.cdf(t, center[j], spread[j]))  # type: ignore[misc]
    often(x[:, 1], row.logits[0][0].softmax(0))
    often(x[:, 3], row.logits[1][0].softmax(0))
    with pytest.raises(AssertionError):
        inside(x[:, 0], lambda t: norm.cdf(t, center[0] + 0.05 * spread[0], spread[0]))
    held = RowHead([0], smallest=0.1)
    with torch.no_grad():
        held.log_std.fill_(-9.0)
    assert float(held(torch.zeros(1, 1)).log_std.detach().exp()) == pytest.approx(0.1)


# ---- rows without a label ----


@pytest.mark.parametrize("form", FORMS)
def test_two_clusters_with_one_label_each_are_two_classes(form: str) -> None:
    truth = torch.arange(200) % 2
    x = noise(0, 200, 2) + 8 * truth.unsqueeze(1)
    y = torch.full((200,), -1)
    y[:2] = truth[:2]

    def right(rows: int) -> float:
        numbers = plain(form, 2, 2, rank=1)
        numbers.shrinkage = 1e-6
        model = GenerativeClassifier(Mixture(2, 1, 2, numbers), 2)
        for _ in range(20):
            model.sweep(lambda: Batch(x[:rows], y[:rows]).split(64))
        said = model.log_posterior(Batch(x))
        loss = -said.gather(1, truth.unsqueeze(1)).mean()
        told = model.log_prob(Batch(x)).mean()
        assert torch.isfinite(loss)
        return float((said.argmax(1) == truth).double().mean()) if float(told) > -10 else 0.0

    assert right(200) == 1.0
    assert right(2) < 1.0, "mutant: the labeled rows alone say nothing of the spread"


def test_columns_are_joined_as_they_were_taken_apart() -> None:
    columns, x = Columns([0, 3, 0, 2]), torch.tensor([[0.5, 2.0, -1.0, 1.0]])
    numbers, categories = columns.number(x), columns.category(x)
    assert numbers is not None and categories is not None
    assert torch.equal(columns.join(numbers, categories), x)


# ---- images that may lie elsewhere


def test_all_places_of_an_image_are_summed_over() -> None:
    x = noise(5, 3, 64).sigmoid().view(3, 1, 8, 8)

    class Exact(nn.Module):
        """p(x | y) ∝ exp(−y ‖x − center‖²): of an image's place too."""

        center = noise(6, 1, 64).view(1, 1, 8, 8)
        log_prob_is_bound = False

        def log_prob(self, batch: Batch, *, samples: int = 1) -> Tensor:
            assert batch.y is not None
            return -(1.0 + batch.y) * ((batch.x - self.center) ** 2).flatten(1).sum(1)

    model = GenerativeClassifier(Exact(), 2, max_shift=1).double()
    places = [torch.roll(x, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    each = torch.stack([GenerativeClassifier(Exact(), 2).log_joint(Batch(place)) for place in places])
    assert torch.allclose(model.log_joint(Batch(x)), each.logsumexp(0) - math.log(9))
    assert not torch.allclose(model.log_joint(Batch(x)), each[4], atol=1e-2)  # mutant: images stay
    far = torch.roll(x, (1, -1), (2, 3))
    assert not torch.allclose(model.log_joint(Batch(far)), model.log_joint(Batch(x)), atol=1e-3), "places have a limit"


@pytest.mark.parametrize("shape", [(2, 8, 12), (30,)], ids=str)
def test_gaps_are_made_in_the_share_of_examples_that_was_asked(shape: tuple[int, ...]) -> None:
    before = torch.ones(2000, *shape, dtype=torch.bool)
    before[:, :1] = False
    with seeds.seeded(0, "gaps"):
        batch = random_mask(Batch(noise(0, 2000, *shape), mask=before), 0.3)
    assert batch.mask is not None and not bool((batch.mask & ~before).any()), "what was missing stays so"
    seen = batch.mask.expand_as(before)[:, 1:].flatten(1).double().mean(1)
    often((seen < 1).long(), torch.tensor([0.7, 0.3]).double())
    with pytest.raises(AssertionError):
        often((seen < 1).long(), torch.tensor([0.6, 0.4]).double())  # mutant
    if len(shape) == 3:
        hidden = ~batch.mask[:, 1][seen < 1]
        for axis, side in ((2, 8), (1, 12)):
            sizes = hidden.any(axis).sum(1)
            assert sizes.min() == side // 4 and sizes.max() == 3 * side // 4
        filled = hidden.any(2)[:, :, None] & hidden.any(1)[:, None, :]
        assert torch.equal(filled, hidden), "a rectangle"
        assert all(bool(hidden[:, i, j].any()) for i in (0, -1) for j in (0, -1)), "anywhere"
    assert random_mask(batch, 0.0) is batch


def test_training_draws_a_place_for_each_image() -> None:
    x = noise(7, 400, 64).view(400, 1, 8, 8)
    seen = x > 0
    with seeds.seeded(0, "places"):
        moved = GenerativeClassifier(nn.Identity(), 2, max_shift=1).moved(
            Batch(x, torch.zeros(400, dtype=torch.long), seen)
        )
    places = torch.stack([torch.roll(x, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    at = (places == moved.x).flatten(2).all(2)
    assert bool((at.sum(0) == 1).all()), "each is one of the nine"
    often(at.double().argmax(0), torch.full((9,), 1 / 9).double())
    assert moved.mask is not None and torch.equal(moved.mask, moved.x > 0), "what is missing moves with the image"
    assert GenerativeClassifier(nn.Identity(), 2).moved(Batch(x)).x is x
