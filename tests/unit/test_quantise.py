"""Quantizers against closed forms."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch
from seisei.modalities.image import Image
from seisei.models.vqvae import SPREAD
from seisei.nn.quantizers.base import Quantizer, rotation_trick
from seisei.nn.quantizers.code_layout import Segment, collisions, usage
from seisei.nn.quantizers.codebooks import EMACodebook, GradientCodebook, SimVQCodebook
from seisei.nn.quantizers.nearest import nearest, smallest
from seisei.nn.quantizers.residual import ProductQuantizer, ResidualQuantizer
from seisei.nn.quantizers.scalar import FSQ, LFQ, levels_for
from seisei.recipes import recipe
from seisei.schema import Schema


def noise(*shape: int, key: str = "z") -> Tensor:
    return torch.randn(*shape, generator=seeds.generator("quantize", key))


def alone(counted: Tensor) -> Tensor:
    """What sums over processes, where there is one."""
    return counted


# ---- the search


@pytest.mark.parametrize(("rows", "codes"), [(1, 2), (7, 5), (300, 256), (5000, 512), (70, 1000), (40, 4096)])
def test_the_nearest_is_the_nearest(rows: int, codes: int) -> None:
    x, vectors = noise(rows, 6), noise(codes, 6, key="e")
    assert torch.equal(nearest(x, vectors), torch.cdist(x.double(), vectors.double()).argmin(1))


def test_the_place_of_the_smallest_wherever_it_is() -> None:
    scores = noise(512, 512).abs()
    scores[torch.arange(512), torch.arange(512)] = -1.0
    assert torch.equal(smallest(scores), torch.arange(512))
    assert int(smallest(torch.zeros(1, 512))) in range(512)


def test_distances_are_never_all_held_at_once() -> None:
    x, vectors = noise(20_000, 4), noise(4096, 4, key="e")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        nearest(x, vectors)
    largest = max(event.self_cpu_memory_usage for event in profile.events() or ())
    assert 0 < largest < 20_000 * 4096 * 4 / 16


@pytest.mark.parametrize(("rows", "codes", "size"), [(1, 2, 1), (130, 70, 16), (65, 64, 100), (0, 3, 4)])
def test_the_kernel_of_a_gpu_finds_the_same(monkeypatch: pytest.MonkeyPatch, rows: int, codes: int, size: int) -> None:
    if not torch.cuda.is_available():
        monkeypatch.setenv("TRITON_INTERPRET", "1")  # before it is imported
    pytest.importorskip("triton", reason="triton is not here: it comes with PyTorch for CUDA, or pip install triton")
    from seisei.nn.quantizers import triton_kernels

    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, vectors = noise(rows, size), noise(codes, size, key="e")
    found = triton_kernels.nearest(x.to(device), vectors.to(device)).cpu()
    assert torch.equal(found, nearest(x, vectors))
    # Of vectors that are equally near, the first, wherever in a block or between blocks.
    assert triton_kernels.nearest(x.to(device), vectors[:1].expand(200, -1).to(device)).unique().tolist() in ([0], [])


# ---- averages


def test_the_codebook_is_the_average_of_what_chose_it() -> None:
    """m_k and N_k kept apart, as in the paper, give the same vectors."""
    codes = EMACodebook(3, 8, decay=0.9, revival=0.0).train()
    codes.means.copy_(noise(8, 3, key="e"))
    n, m = torch.full((8,), 1 / 8), codes.means / 8
    for step in range(5):
        z = noise(64, 3, key=f"step {step}")
        chosen = torch.cdist(z, m / n.unsqueeze(1)).argmin(1)
        assert torch.equal(codes(z).codes[:, 0], chosen)
        codes.settle(alone)
        one_hot = torch.nn.functional.one_hot(chosen, 8).float()
        n = 0.9 * n + 0.1 * one_hot.sum(0) / 64
        m = 0.9 * m + 0.1 * one_hot.T @ z / 64
        assert torch.allclose(codes.means, m / n.unsqueeze(1), atol=1e-6)
        assert torch.allclose(codes.counts, n) and float(codes.counts.sum()) == pytest.approx(1)


def test_with_no_memory_a_step_is_one_of_lloyds_and_its_fixed_point_is_the_mean() -> None:
    codes = EMACodebook(1, 2, decay=0.0, revival=0.0).train()
    codes.means.copy_(torch.tensor([[0.0], [1.0]]))
    z = torch.tensor([[0.0], [0.2], [3.0], [5.0]])
    codes(z)
    codes.settle(alone)
    assert torch.allclose(codes.means, torch.tensor([[0.1], [4.0]]))
    codes(z)
    codes.settle(alone)
    assert torch.allclose(codes.means, torch.tensor([[0.1], [4.0]]))


def test_parts_of_a_batch_and_processes_count_as_the_batch_does() -> None:
    z = noise(32, 4)
    states = []
    for parts in (1, 4):
        codes = EMACodebook(4, 8).train()
        codes.means.copy_(noise(8, 4, key="e"))
        for part in z.chunk(parts):
            codes(part)
        codes.settle(alone)
        states.append(codes.state_dict())
    # Two processes with half of the batch each, and what sums over them.
    half = EMACodebook(4, 8).train()
    half.means.copy_(noise(8, 4, key="e"))
    half(z[16:])
    other = half._counted
    half._counted = None
    half(z[:16])
    assert other is not None
    half.settle(lambda counted: counted + other)
    states.append(half.state_dict())
    for state in states[1:]:
        assert all(torch.allclose(value, states[0][name], atol=1e-6) for name, value in state.items())


def test_what_was_counted_at_a_step_that_is_not_taken_is_forgotten() -> None:
    codes = EMACodebook(4, 8).train()
    before = codes.means.clone()
    codes(noise(32, 4))
    codes.settle(None)
    codes.settle(alone)
    assert torch.equal(codes.means, before) and int(codes.updates) == 0


def test_looking_counts_nothing() -> None:
    codes = EMACodebook(4, 8).train()
    with torch.no_grad():
        codes(noise(32, 4))
    codes.eval()(noise(32, 4))
    assert codes._counted is None


def test_a_code_that_nothing_chooses_is_revived_below_its_threshold_and_not_above() -> None:
    z = torch.cat([noise(500, 2), noise(500, 2, key="other") + 20])
    for threshold, moved in ((0.5, True), (0.05, False)):
        codes = EMACodebook(2, 4, decay=0.9, revival=threshold).train()
        codes.means.copy_(torch.tensor([[0.0, 0.0], [20.0, 20.0], [900.0, 900.0], [901.0, 900.0]]))
        for _ in range(10):  # 0.9^10 = 0.35 of the share they start with is left
            codes(z)
            codes.settle(alone)
        assert bool((codes.means.abs() < 30).all()) == moved
        # What the dead had left is gone, and grows again.
        assert 0.7 < float(codes.counts.sum()) < 1 + 1e-5


def test_a_code_is_worth_as_much_as_examples_choose_it_and_not_as_vectors_do() -> None:
    codes = EMACodebook(1, 3, decay=0.0, revival=0.0).train()
    codes.means.copy_(torch.tensor([[0.0], [1.0], [2.0]]))
    # Of two examples the first is full of what the second has none of.
    z = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0]).unsqueeze(1)
    codes(z, 2)
    codes.settle(alone)
    assert torch.allclose(codes.counts, torch.tensor([3.0, 3.0, 2.0]) / 8)
    assert torch.allclose(codes.presence, torch.tensor([1.0, 2.0, 1.0]) / 4)
    codes(z)
    codes.settle(alone)
    assert torch.equal(codes.presence, codes.counts)


def test_what_is_all_the_same_is_not_divided_and_is_no_measure() -> None:
    # Black is nine tenths of all, so that nothing else has half of what is a code's share on average.
    z = torch.cat([torch.full((900, 2), 5.0), noise(100, 2)])
    codes = EMACodebook(2, 5, decay=0.9, revival=0.5).train()
    codes.means.copy_(torch.tensor([[5.0, 5.0], [-0.5, 0.0], [0.5, 0.0], [99.0, 99.0], [-99.0, 99.0]]))
    codes.errors.copy_(torch.tensor([0.0, 2.0, 2.0, 0.0, 0.0]))
    for _ in range(60):
        codes(z)
        codes.settle(alone)
    chosen = codes(z).codes[:, 0]
    assert set(chosen[:900].tolist()) == {0} and set(chosen[900:].tolist()) == {1, 2, 3, 4}


def test_codes_that_were_left_behind_come_back_when_they_are_enlivened() -> None:
    """Learned codes that nothing chooses have no gradient; an objective asks for more where the watch sees it."""
    z = noise(2000, 3)
    for asked in (False, True):
        codes = GradientCodebook(3, 64).train()
        with torch.no_grad():
            codes.table.copy_(100 + noise(64, 3, key="far"))
            codes.table[0] = 0.0
        assert not asked or codes.raise_reset_threshold()
        descent = torch.optim.Adam(codes.parameters(), 0.02)
        for _ in range(300):
            descent.zero_grad()
            found = codes(z)
            found.cost.mean().backward()
            descent.step()
            codes.settle(alone)
        used = len(torch.unique(found.codes))
        assert used > 60 if asked else used == 1, used
        again = GradientCodebook(3, 64)
        again.load_state_dict(codes.state_dict())
        assert float(again.revival) == float(codes.revival) == pytest.approx(0.35 if asked else 0.0)
    assert codes.raise_reset_threshold() and not codes.raise_reset_threshold()
    assert (
        ResidualQuantizer([EMACodebook(6, 16), GradientCodebook(6, 16)]).raise_reset_threshold()
        and not FSQ([3, 3]).raise_reset_threshold()
    )


def smooth(count: int, side: int = 32, key: str = "smooth") -> Tensor:
    """Images of soft shapes with a little noise."""
    x = torch.rand(count, 3, side, side, generator=seeds.generator("quantize", key))
    coarse, fine = (F.interpolate(F.avg_pool2d(x, k), size=side, mode="bilinear") for k in (8, 4))
    return (0.5 + 4 * (coarse - 0.5) + 1.5 * (fine - 0.5) + 0.1 * (x - 0.5)).clamp(0, 1)


def started(name: str, x: Tensor, **dials: Any) -> Any:
    torch.manual_seed(0)
    schema = Schema(Image(*x.shape[2:], 3))
    model = recipe(name)(schema, width=16, **dials).objective.build().model
    model.initialize(Batch(x))
    return model.eval()


def wrong(model: Any, x: Tensor) -> float:
    with torch.no_grad():
        return float((model.decode(model.encode(x)) - x).square().mean())


def test_a_codec_starts_where_k_means_of_squares_of_pixels_ends() -> None:
    x, other = smooth(64), smooth(16, key="other")
    squares = F.pixel_unshuffle(x, 4).movedim(1, 3).flatten(0, 2)
    codes = EMACodebook(48, 64)
    codes.start_from(squares)
    with torch.no_grad():
        reached = float((codes(squares).values - squares).square().mean())
    model = started("vqvae", x, codebook_size=64, downsample=4)
    # A square is made of the vectors around too: nearer to the image, and to images that nothing was learned from.
    assert wrong(model, x) < 0.97 * reached and wrong(model, other) < reached
    # What comes out of the encoder are principal components, each of deviation 1.
    with torch.no_grad():
        h = model.encoders[0](2 * x - 1).movedim(1, 3).flatten(0, 2)
    values, directions = np.linalg.eigh(np.cov((2 * squares - 1).double().numpy().T, bias=True))
    centerd = (2 * squares - 1).double().numpy() - (2 * squares - 1).double().numpy().mean(0)
    wanted = (centerd @ directions[:, ::-1][:, :4]) / np.sqrt(values[::-1][:4])
    assert np.abs(wanted * h[:, :4].double().numpy()).mean(0) == pytest.approx(1.0, abs=1e-2)


def test_what_is_decoded_starts_without_edges_between_squares() -> None:
    x = smooth(64)
    rows = {many: started("vqvae", x[:many], codebook_size=64, downsample=4) for many in (64, 4)}

    def edges(model: Any) -> float:
        """How much images change from a square to the next, by how much they do inside."""
        with torch.no_grad():
            made = model.decode(model.encode(x))
        changes = made.diff(dim=3).abs().mean((0, 1, 2))
        return float(changes[3::4].mean() / torch.stack([changes[i::4].mean() for i in range(3)]).mean())

    assert edges(rows[64]) < 1.6 < 2.5 < edges(rows[4])
    # The closed form, edges repeated; and each square by itself where there are too few to tell what neighbors say.
    decoder, map_ = rows[64].decoders[0], noise(40, 16, 8, 8, key="maps")
    wanted = noise(40, 3, 32, 32, key="wanted")
    decoder.start_from(map_, wanted)
    around = F.pad(map_, (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1).movedim(1, 3)
    given = F.pad(around.reshape(-1, 16 * 9).double(), (0, 1), value=1.0)
    squares = F.pixel_unshuffle(wanted, 4).movedim(1, 3).reshape(-1, 48).double()
    best = given @ torch.linalg.lstsq(given, squares).solution
    with torch.no_grad():
        found = F.pixel_unshuffle(decoder(map_), 4).movedim(1, 3).reshape(-1, 48)
    assert found == pytest.approx(best.numpy(), abs=1e-3)
    decoder.start_from(map_[:10], wanted[:10])
    weight = decoder.straight_through.weight.detach()
    assert weight[:, :, 1, 1].abs().max() > 0.01
    assert weight.abs().sum((0, 1))[[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]].tolist() == [0.0] * 8


def test_a_finer_level_starts_with_what_the_coarser_leaves_open() -> None:
    x = smooth(128)
    two, one = started("vqvae2", x, codebook_size=32, downsample=4), started("vqvae", x, codebook_size=76, downsample=4)
    assert two.bits == pytest.approx(one.bits, rel=1e-2)
    assert wrong(two, x) < 0.8 * wrong(one, x)
    with torch.no_grad():
        h = [two.encoders[0](2 * x - 1)]
        h.append(two.encoders[1](h[0]))
        top = two.enter[1](h[1])
        q = two.quantizers[1](top.movedim(1, 3).flatten(0, 2)).values.reshape(len(x), 4, 4, -1).movedim(3, 1)
        told = two.decoders[1](q)
        z = two.enter[0](torch.cat([h[0], told], 1)).movedim(1, 3).flatten(0, 2)
    assert float(z.var(0).mean().sqrt()) == pytest.approx(SPREAD, rel=1e-2) and z.mean(0).abs().max() < 1e-3
    # No linear map tells anything of it from the coarser level.
    told = told.movedim(1, 3).flatten(0, 2)
    best = torch.linalg.lstsq((told - told.mean(0)).double(), z.double()).solution
    assert ((told - told.mean(0)).double() @ best).square().sum() < 1e-3 * z.square().sum()


def test_each_level_is_held_to_its_codes_as_much_as_any() -> None:
    x = smooth(16)
    for name, levels in (("vqvae", 1), ("vqvae2", 2)):
        model = started(name, x, codebook_size=32, downsample=4)
        with torch.no_grad():
            assert float(model.code(x).cost.mean()) == pytest.approx(0.25 * levels * wrong(model, x), rel=1e-2)


@pytest.mark.parametrize("head", ["bernoulli", "gaussian", "logistic"])
def test_a_codec_starts_near_images_of_any_size_whatever_it_says_of_pixels(head: str) -> None:
    x = smooth(32)[..., :30, :27]
    binary = head == "bernoulli"
    x = (x > 0.5).float() if binary else x
    torch.manual_seed(0)
    schema = Schema(Image(30, 27, 3))
    model = recipe("vqvae2")(schema, codebook_size=64, downsample=4, width=16, head=head).objective.build().model
    before = wrong(model, x)
    model.initialize(Batch(x))
    assert wrong(model, x) < (0.7 if binary else 0.3) * float(x.var()) < before


@pytest.mark.parametrize("kind", ["fsq", "lfq"])
def test_codes_that_lie_on_a_grid_are_all_in_use_from_the_start(kind: str) -> None:
    x = smooth(64)
    model = started("vqvae", x, codebook_size=64, downsample=4, quantizer=kind)
    (told,) = usage(model.encode(x), model.segments)
    assert told["used"] > 0.95 and told["perplexity"] > 0.6 * told["codes"]


def test_a_level_that_says_nothing_is_not_heard() -> None:
    x = torch.rand(6, 3, 16, 16, generator=seeds.generator("heard"))
    objective = recipe("vqvae2")(Schema(Image(16, 16)), codebook_size=8, downsample=2, width=16).objective.build()
    objective.initialize(Batch(x))
    objective.eval()
    with torch.no_grad():
        told = objective.examine([Batch(x)], lambda: [Batch(x)])
        assert told["scores"]["heard"] == min(each["heard"] for each in told["codes"])
        # All that the coarse level tells the finer one and the image is taken away: it comes out of its decoder.
        for parameter in objective.model.decoders[1].parameters():
            parameter.zero_()
        coarse, fine = objective.examine([Batch(x)], lambda: [Batch(x)])["codes"]
    assert coarse["heard"] == 1 and fine["heard"] != 1
    assert told["codes"][0]["heard"] != 1


def test_levels_start_on_images_of_one_color() -> None:
    model = recipe("vqvae2")(Schema(Image(8, 8)), codebook_size=4, downsample=4, width=8).objective.build().model
    model.initialize(Batch(torch.full((4, 3, 8, 8), 0.5)))
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def test_codes_start_on_the_data_and_all_are_used() -> None:
    centers = 10 * noise(16, 5, key="centers")
    z = centers.repeat_interleave(200, 0) + 0.01 * noise(3200, 5)
    codes = EMACodebook(5, 16)
    codes.start_from(z)
    assert float(torch.cdist(centers, codes.means).min(1).values.max()) < 0.1
    # More codes than there are vectors: none is left without a place of its own.
    few = EMACodebook(5, 64)
    few.start_from(noise(20, 5))
    EMACodebook(5, 4).start_from(noise(1, 5))  # and one vector has no spread
    assert bool(torch.isfinite(few.means).all())


@pytest.mark.parametrize("kind", [GradientCodebook, SimVQCodebook])
def test_codes_that_descend_start_where_the_data_are(kind: type) -> None:
    z = noise(4000, 6) * torch.tensor([9.0, 1.0, 1.0, 1.0, 1.0, 0.1]) + 3
    with seeds.seeded("start"):
        codes = kind(6, 32)
    codes.start_from(z)
    wide = codes.vectors().detach().std(0) / z.std(0)
    assert 0.7 < float(wide[0]) < 1.5 and float(wide.max()) < 2


# ---- gradients


def test_each_side_of_the_cost_has_its_own_gradient() -> None:
    beta, z = 0.25, noise(40, 6).requires_grad_()
    codes = GradientCodebook(6, 8, commitment=beta).train()
    found = codes(z)
    found.cost.sum().backward()
    e = codes.table.detach()[found.codes[:, 0]]
    assert torch.allclose(z.grad, 2 * beta * (z.detach() - e) / 6)  # type: ignore[arg-type]
    expected = torch.zeros_like(codes.table).index_add_(0, found.codes[:, 0], 2 * (e - z.detach()) / 6)
    assert torch.allclose(codes.table.grad, expected, atol=1e-6)  # type: ignore[arg-type]
    # The values themselves reach z only, as if nothing had happened on the way.
    z.grad, codes.table.grad = None, None
    codes(z).values.sum().backward()
    assert torch.equal(z.grad, torch.ones_like(z)) and codes.table.grad is None  # type: ignore[arg-type]


def test_the_rotation_is_a_rotation_and_a_stretching() -> None:
    z, e = noise(5, 4).double().requires_grad_(), noise(5, 4, key="e").double()
    found = rotation_trick(z, e)
    assert torch.allclose(found, e)
    for i in range(5):
        jacobian = torch.stack([torch.autograd.grad(found[i, k], z, retain_graph=True)[0][i] for k in range(4)])
        stretch = e[i].norm() / z[i].detach().norm()
        turn = jacobian / stretch
        assert torch.allclose(turn @ turn.T, torch.eye(4).double()) and float(torch.linalg.det(turn)) > 0
        assert torch.allclose(jacobian @ z[i].detach(), e[i])
    # Nothing else is rotated: what is orthogonal to both stays as it is.
    plane = torch.linalg.svd(torch.stack([z[0].detach(), e[0]])).Vh[2:]
    jacobian = torch.stack([torch.autograd.grad(found[0, k], z, retain_graph=True)[0][0] for k in range(4)])
    assert torch.allclose(jacobian @ plane.T, plane.T * (e[0].norm() / z[0].detach().norm()))


def test_codes_that_move_through_a_map_move_together() -> None:
    codes = SimVQCodebook(4, 16).train()
    found = codes(noise(3, 4))
    found.cost.sum().backward()
    assert set(dict(codes.named_parameters())) == {"map.weight"} and float(codes.map.weight.grad.abs().sum()) > 0  # type: ignore[union-attr]


# ---- grids


@pytest.mark.parametrize("levels", [[3, 2], [8, 5, 5, 5], [2, 2, 2], [7]])
def test_every_number_is_a_place_on_the_grid_and_back(levels: list[int]) -> None:
    q = FSQ(levels)
    own = torch.arange(q.codes).unsqueeze(1)
    places = q.look_up(own)
    assert len(places.unique(dim=0)) == q.codes == len(own)
    assert 0 < float(places.abs().max()) <= 1 and bool((places.abs().amax(0) == 1).all())
    # Every code is reached, by the z that its place is the bounded value of.
    z = torch.cartesian_prod(*[torch.linspace(-4, 4, 30)] * len(levels))
    found = q(z if z.dim() == 2 else z.unsqueeze(1))
    assert len(found.codes.unique()) == q.codes
    assert torch.allclose(found.values, q.look_up(found.codes))


def test_numbers_of_levels_are_near_to_what_is_asked_for() -> None:
    for codes in (2, 16, 100, 512, 1000, 4096, 16_384, 65_536):
        levels = levels_for(codes)
        assert 0.9 <= torch.tensor(levels).prod() / codes <= 1.1 and (len(levels) == 1 or min(levels) >= 5)


def test_signs_are_bits() -> None:
    q = LFQ(5)
    own = torch.arange(32).unsqueeze(1)
    assert torch.equal(q(q.look_up(own)).codes, own)
    assert torch.equal(q.look_up(own).unique(dim=0).abs(), torch.ones(32, 5))


def test_bits_that_are_all_alike_are_pushed_apart() -> None:
    q = LFQ(3, commitment=0.0, entropy=1.0).train()
    for _ in range(400):
        q(torch.full((8, 3), 0.3))
        q.settle(alone)
    z = torch.full((8, 3), 0.05).requires_grad_()
    q(z).cost.sum().backward()
    assert float(z.grad.min()) > 0  # type: ignore[union-attr]  # descending makes ones rarer


# ---- several codes a vector


def test_each_code_corrects_those_before() -> None:
    z = noise(4000, 8)
    errors = []
    for slots in (1, 2, 4):
        q = ResidualQuantizer([EMACodebook(8, 32) for _ in range(slots)])
        q.start_from(z)
        with torch.no_grad():
            found = q(z)
        assert found.codes.shape == (4000, slots)
        assert torch.allclose(q.look_up(found.codes), found.values, atol=1e-5)
        errors.append(float((found.values - z).square().mean()))
    assert errors == sorted(errors, reverse=True) and errors[2] < 0.7 * errors[0]


def test_each_code_is_of_its_part() -> None:
    z = noise(500, 6)
    q = ProductQuantizer([EMACodebook(2, 16), EMACodebook(4, 16)])
    q.start_from(z)
    with torch.no_grad():
        found, parts = q(z), [q.parts[0](z[:, [0, 2]]), q.parts[1](z[:, [1, 3, 4, 5]])]
    assert torch.equal(found.codes, torch.cat([part.codes for part in parts], 1))
    assert torch.allclose(found.cost, 0.25 * (found.values - z).square().mean(1), atol=1e-6)


def every() -> list[Quantizer]:
    return [
        EMACodebook(6, 16),
        EMACodebook(6, 16, distance="cosine", estimator="rotation"),
        GradientCodebook(6, 16),
        SimVQCodebook(6, 16),
        FSQ([5, 5, 5, 4, 4, 3]),
        LFQ(6),
        ResidualQuantizer([EMACodebook(6, 16), EMACodebook(6, 16)]),
        ProductQuantizer([EMACodebook(2, 16), GradientCodebook(4, 16)]),
    ]


@pytest.mark.parametrize("q", every(), ids=lambda q: type(q).__name__)
def test_the_contract(q: Quantizer) -> None:
    z = noise(50, q.dim).requires_grad_()
    q.start_from(z.detach())
    found = q.train()(z)
    assert found.values.shape == z.shape and found.codes.shape == (50, q.slots) and found.cost.shape == (50,)
    assert found.codes.dtype == torch.int64 and 0 <= int(found.codes.min()) <= int(found.codes.max()) < q.codes
    assert torch.allclose(q.look_up(found.codes), found.values, atol=1e-5)
    (found.values * noise(50, q.dim, key="gradient")).sum().backward()
    assert z.grad is not None and bool((z.grad.abs().sum(1) > 0).all())
    q.settle(alone)
    # What a vector becomes does not depend on those beside it.
    q.eval()
    with torch.no_grad():
        assert torch.equal(q(z[:7]).codes, q(z).codes[:7])
    assert not [name for name, value in q.state_dict().items() if not bool(torch.isfinite(value.double()).all())]


# ---- how well they are used


def test_used_equally_often_all_codes_are_the_perplexity_and_one_alone_is_one() -> None:
    segments = [Segment(2, 4, 1, 8), Segment(1, 2, 2, 4)]
    even = torch.cat([torch.arange(8).expand(6, 8), torch.tensor([[0, 3, 0, 3]]).expand(6, 4)], 1)
    first, second = usage(even, segments)
    assert first["perplexity"] == pytest.approx(8) and first["used"] == 1.0
    # Of two slots the worst counts: each has one code alone.
    assert second["perplexity"] == pytest.approx(1) and second["used"] == 0.25


def test_collisions_are_examples_that_share_all_their_codes() -> None:
    every_pair = torch.tensor(list(itertools.product(range(3), repeat=2)))
    assert collisions(every_pair) == 0.0
    assert collisions(torch.cat([every_pair, every_pair[:1]])) == pytest.approx(0.2)
