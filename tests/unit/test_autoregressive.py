"""A Transformer over codes, against enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seisei import seeds
from seisei.batch import Batch
from seisei.modalities.text import SYMBOLS, Text
from seisei.models.autoregressive import Autoregressive, places_of
from seisei.models.vqvae import VQVAE
from seisei.nn.codecs.pixel import PixelCodec
from seisei.nn.heads import GaussianHead
from seisei.nn.quantizers.code_layout import Segment
from seisei.nn.quantizers.codebooks import EMACodebook
from seisei.nn.spatial_conv import MapDecoder, MapEncoder
from seisei.nn.transformer.blocks import EXPLICIT, Transformer, apply_rope, attention, rope_angles
from seisei.nn.transformer.kv_cache import KVCache
from seisei.nn.transformer.sampling import SamplingOptions


def stirred(model: nn.Module, spread: float = 0.3) -> nn.Module:
    """Far from the start, where every code is about equally likely."""
    with seeds.seeded("stirred"):
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=spread)
    return model.eval()


def tiny(classes: int = 3) -> Autoregressive:
    model = Autoregressive(PixelCodec([1, 2, 3], 2), width=16, layers=2, heads=2, classes=classes)
    stirred(model.network)
    return model.eval()


def reading() -> Autoregressive:
    model = Autoregressive(PixelCodec([1, 2, 3], 2), width=16, layers=2, heads=2, text=5)
    stirred(model.network)
    return model.eval()


TEXTS = Text(5, ("", "a", "é", "cat", "tac"))
EVERY = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).reshape(-1, 1, 2, 3)


# ---- the Transformer


@pytest.mark.parametrize("length", [1, 5, 33])
def test_attention_is_a_softmax_over_what_came_before(length: int) -> None:
    q, k, v = (torch.randn(2, 3, length, 4, generator=seeds.generator("attention", i)) for i in range(3))
    scores = (q @ k.transpose(2, 3) / 2).masked_fill(torch.ones(length, length).triu(1).bool(), -math.inf)
    expected = scores.softmax(-1) @ v
    assert torch.allclose(attention(q, k, v), expected, atol=1e-6)


def test_the_librarys_attention_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = (torch.randn(1, 2, 9, 4, generator=seeds.generator("attention", i)) for i in range(3))
    ours = attention(q, k, v)
    assert EXPLICIT > 9
    monkeypatch.setattr("seisei.nn.transformer.blocks.EXPLICIT", 0)
    assert torch.allclose(ours, attention(q, k, v), atol=1e-6)


def test_turned_keys_know_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 16, generator=seeds.generator("turned"))
    places = torch.tensor([[0.0, 0.0], [2.0, 5.0], [7.0, 1.0], [9.0, 6.0]])
    by = rope_angles(places, 16)
    products = apply_rope(q.expand(4, -1), by) @ apply_rope(k.expand(4, -1), by).T
    assert products[0, 1] == pytest.approx(float(products[2, 3]), abs=1e-5)  # both two down, five across
    assert abs(float(products[0, 1] - products[0, 2])) > 1e-3
    assert torch.allclose(apply_rope(q, by[:, :1]), q)


def test_no_gradient_flows_to_what_came_before_and_nothing_leaks_from_the_future() -> None:
    model = stirred(Transformer(torch.arange(7.0).unsqueeze(1), 16, 2, 2))
    h = torch.randn(1, 7, 16, generator=seeds.generator("causal")).requires_grad_()
    out = model(h)
    for t in range(7):
        (gradient,) = torch.autograd.grad(out[0, t].sum(), h, retain_graph=True)
        assert bool((gradient[0, t + 1 :] == 0).all()) and bool((gradient[0, : t + 1].abs().sum(1) > 0).all())
    # To the last bit, however large it is.
    other = h.detach().clone()
    other[0, 4:] = 1e6
    with torch.no_grad():
        assert torch.equal(model(other)[0, :4], model(h)[0, :4])


@pytest.mark.parametrize(("rows", "down", "across"), [(5, 3, 4), (20, 7, 10), (16, 8, 8)])
def test_one_after_the_other_is_all_at_once(rows: int, down: int, across: int) -> None:
    places = torch.cartesian_prod(torch.arange(float(down)), torch.arange(float(across)))
    model = stirred(Transformer(places, 16, 3, 4))
    h = torch.randn(rows, len(places), 16, generator=seeds.generator("cached"))
    steps = KVCache(model, rows)
    with torch.no_grad():
        each = torch.stack([steps.step(h[:, t]) for t in range(len(places))], 1)
        assert float((each - model(h)).abs().max()) < 1e-5


@pytest.mark.parametrize(("count", "places", "at"), [(3, 6, 5), (32, 70, 40), (32, 70, 64)])
def test_steps_go_on_with_the_rows_that_are_chosen(count: int, places: int, at: int) -> None:
    model = stirred(Transformer(torch.arange(float(places)).unsqueeze(1), 16, 2, 2))
    generator = seeds.generator("rows")
    h, rows = torch.randn(count, places, 16, generator=generator), torch.randint(count, (count,), generator=generator)
    steps = KVCache(model, count)
    with torch.no_grad():
        for t in range(at):
            steps.step(h[:, t])
        steps.choose(rows)
        last = torch.cat([h[rows, :at], h[:, at:]], 1)
        for t in range(at, places):
            assert torch.allclose(steps.step(h[:, t]), model(last)[:, t], atol=1e-5)


def test_steps_are_as_precise_as_the_weights_under_autocast() -> None:
    model = stirred(Transformer(torch.arange(4.0).unsqueeze(1), 16, 2, 2))
    h = torch.randn(3, 4, 16, generator=seeds.generator("rows"))
    steps = KVCache(model, 3)
    with torch.no_grad():
        expected = model(h)
        with torch.autocast("cpu", torch.bfloat16):
            each = torch.stack([steps.step(h[:, t]) for t in range(4)], 1)
    assert torch.allclose(each, expected, atol=1e-5)


# ---- likelihood


def test_probabilities_of_all_images_sum_to_one() -> None:
    model = tiny()
    for kind in range(3):
        p = model.log_prob(Batch(EVERY, torch.full((64,), kind))).exp()
        assert float(p.double().sum()) == pytest.approx(1, abs=1e-5) and float(p.max()) > 2 / 64
    both = model.log_probs(Batch(EVERY))
    assert torch.allclose(both[:, 1], model.log_prob(Batch(EVERY, torch.ones(64, dtype=torch.long))), atol=1e-5)


def test_nothing_behind_a_mask_is_looked_at() -> None:
    model, mask = tiny(), torch.tensor([[True, False, True], [True, True, False]]).expand(64, 1, 2, 3)
    y = torch.zeros(64, dtype=torch.long)
    hidden = torch.where(mask, EVERY, 1 - EVERY)
    assert torch.equal(model.log_prob(Batch(EVERY, y, mask)), model.log_prob(Batch(hidden, y, mask)))
    assert torch.equal(model.log_probs(Batch(EVERY, None, mask)), model.log_probs(Batch(hidden, None, mask)))


@pytest.mark.parametrize("text", [0, 3])
@pytest.mark.parametrize("priors", ["one", "each"])
def test_several_segments_sum_to_one_too_and_are_drawn_as_often(priors: Any, text: int) -> None:
    codec = nn.Module()
    codec.segments = [Segment(1, 1, 2, 3), Segment(1, 2, 1, 2)]  # type: ignore[assignment]
    model = Autoregressive(codec, width=16, layers=1, heads=2, text=text, priors=priors).eval()
    stirred(model.network)
    assert len(model.network.parts) == (1 if priors == "one" else 2)
    codes = torch.cartesian_prod(*[torch.arange(k) for k in (3, 3, 2, 2)])
    y = Text(3).parse("ab", 20_000) if text else None
    with torch.no_grad(), seeds.seeded("segments"):
        log_p = model.log_codes(codes, None if y is None else y[:36])
        assert float(log_p.sum(1).exp().double().sum()) == pytest.approx(1, abs=1e-5)
        drawn = model.draw(20_000, y)
        if text:
            assert float((model.log_codes(codes) - log_p).abs().max()) > 1e-3
            steered = model.draw(9, y[:9], steering=SamplingOptions(guidance=2.0))  # type: ignore[index]
            assert steered.shape == (9, 4) and bool((steered[:, 2:] < 2).all())
    often = torch.bincount((drawn * torch.tensor([12, 4, 2, 1])).sum(1), minlength=36) / 20_000
    assert float((often - log_p.sum(1).exp()).abs().max()) < 4 * (0.25 / 20_000) ** 0.5


@pytest.mark.parametrize("priors", ["one", "each"])
def test_coarse_codes_are_told_nothing_of_fine_ones(priors: Any) -> None:
    codec = nn.Module()
    codec.segments = [Segment(1, 1, 2, 3), Segment(1, 2, 1, 2)]  # type: ignore[assignment]
    model = Autoregressive(codec, width=16, layers=1, heads=2, priors=priors).eval()
    stirred(model.network)
    one, other = torch.tensor([[0, 1, 0, 0], [0, 1, 1, 0]]).split(1)
    with torch.no_grad():
        a, b = model.log_codes(one)[0], model.log_codes(other)[0]
    assert torch.equal(a[:2], b[:2]) and abs(float(a[3] - b[3])) > 1e-4


def test_segments_stand_where_they_are() -> None:
    model = nn.Module()
    model.codec = nn.Module()
    model.codec.segments = [Segment(1, 1, 2, 3), Segment(1, 2, 1, 2)]  # type: ignore[assignment]
    assert places_of(model.codec.segments, 2)[:2].tolist() == [[-1.5, 1.0], [-0.5, 1.0]]  # type: ignore[arg-type]
    assert places_of(model.codec.segments).tolist() == [[0.5, 1.0], [0.5, 1.0], [0.5, 0.5], [0.5, 1.5]]


def test_draws_are_as_frequent_as_they_are_likely() -> None:
    model, y = tiny(), torch.ones(20_000, dtype=torch.long)
    with seeds.seeded("frequent"):
        codes = model.draw(20_000, y)
    share = torch.bincount((codes * 2 ** torch.arange(5, -1, -1)).sum(1), minlength=64) / 20_000
    p = model.log_prob(Batch(EVERY, torch.ones(64, dtype=torch.long))).exp()
    chi = float((20_000 * (share - p).square() / p).sum())
    assert chi < 63 + 5 * math.sqrt(2 * 63)


def test_an_image_costs_its_codes_and_what_they_leave_open() -> None:
    encoder, decoder = MapEncoder([1, 8, 8], 4, 8), MapDecoder([1, 8, 8], 6, 4, 8)
    codec = VQVAE([encoder], [EMACodebook(6, 16)], [decoder], GaussianHead())
    x = torch.rand(5, 1, 8, 8, generator=seeds.generator("two stages"))
    model = stirred(Autoregressive(codec, width=16, layers=1, heads=2), 0.1)
    assert isinstance(model, Autoregressive)
    codes = codec.encode(x)
    of_codes = model.log_codes(codes).sum(1)
    of_image = codec.likelihood(codes).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(model.log_prob(Batch(x)), of_codes + of_image) and model.log_prob_is_bound
    # Where nothing is known of the order of codes, that is the bound of the codec alone.
    for parameter in model.network.parts[0].logits.parameters():
        nn.init.zeros_(parameter)
    assert torch.allclose(model.log_prob(Batch(x)), codec.log_prob(Batch(x)), atol=1e-3)
    assert all(not parameter.requires_grad for parameter in codec.parameters())


def test_values_of_pixels_lose_nothing() -> None:
    codec = PixelCodec([3, 5, 4], 256)
    x = torch.randint(256, (6, 3, 5, 4), generator=seeds.generator("pixels")) / 255
    assert torch.equal(codec.decode(codec.encode(x)), x)
    codes = torch.randint(256, (6, 60), generator=seeds.generator("codes"))
    assert torch.equal(codec.encode(codec.decode(codes)), codes)


@pytest.mark.parametrize(("shape", "levels", "patch"), [([1, 4, 6], 2, [2, 3]), ([2, 4, 2], 3, [2, 1])])
def test_values_of_patches_lose_nothing(shape: list[int], levels: int, patch: list[int]) -> None:
    codec = PixelCodec(shape, levels, patch)
    x = torch.randint(levels, (6, *shape), generator=seeds.generator("pixels")) / (levels - 1)
    codes = codec.encode(x)
    assert codes.shape == (6, codec.segments[0].length) and torch.equal(codec.decode(codes), x)
    every = torch.arange(codec.segments[0].codes).unsqueeze(1).expand(-1, codes.shape[1])
    assert torch.equal(codec.encode(codec.decode(every)), every)
    # A code is of its own patch: by rows, and what it is made of is its pixels'.
    x[0, :, : patch[0], : patch[1]] = 1 - x[0, :, : patch[0], : patch[1]]
    assert (codec.encode(x)[0] != codes[0]).tolist().index(True) == 0
    assert torch.equal(codec.encode(x)[:, 1:], codes[:, 1:])


@pytest.mark.parametrize(
    ("shape", "levels", "patch"), [([1, 2, 2], 2, [2, 2]), ([2, 1, 2], 3, [1, 2]), ([3, 1, 1], 4, [1, 1])]
)
def test_codes_that_agree_are_those_of_images_that_agree(shape: list[int], levels: int, patch: list[int]) -> None:
    codec = PixelCodec(shape, levels, patch)
    x = torch.randint(levels, (1, *shape), generator=seeds.generator("agree")) / (levels - 1)
    every = torch.tensor(list(itertools.product(range(levels), repeat=math.prod(shape)))).reshape(-1, *shape)
    images = every / (levels - 1)
    for mask in torch.tensor(list(itertools.product([False, True], repeat=math.prod(shape)))).reshape(-1, 1, *shape):
        (allowed,) = codec.allowed(x, mask)
        fits = ((images == x) | ~mask).flatten(1).all(1)
        codes = codec.encode(images)
        told = torch.stack([allowed[0, t][codes[:, t]] for t in range(codes.shape[1])]).all(0)
        assert torch.equal(told, fits)


def test_what_is_seen_of_a_patch_counts() -> None:
    model = Autoregressive(PixelCodec([1, 2, 4], 2, [2, 2]), width=16, layers=2, heads=2)
    stirred(model.network, 0.6)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8))).reshape(-1, 1, 2, 4)
    log_p = model.log_prob(Batch(every))
    assert float(log_p.double().logsumexp(0)) == pytest.approx(0.0, abs=1e-5)
    mask = torch.tensor([[[[True, False, False, True], [False, True, True, False]]]])
    with seeds.seeded("half"):
        drawn = model.impute(Batch(every[77:78], None, mask), 4000, particles=32)[0]
    fits = ((every == every[77]) | ~mask).flatten(1).all(1)
    of = 2 ** torch.arange(7, -1, -1)
    share = torch.bincount((drawn.flatten(1).long() * of).sum(1), minlength=256) / 4000
    assert float(share[~fits].sum()) == 0
    assert float((share[fits] - log_p[fits].softmax(0)).abs().max()) < 0.03


# ---- drawing


def test_a_draw_does_not_depend_on_its_neighbors() -> None:
    model, y = tiny(), torch.tensor([2, 0, 1, 1])

    def drawn(labels: Tensor) -> Tensor:
        with seeds.drawing(seeds.Draws(7, 0, total=4, offset=0)):
            return model.draw(len(labels), labels)

    assert torch.equal(drawn(y)[:2], drawn(torch.tensor([2, 0, 0, 2]))[:2])
    assert torch.equal(drawn(y)[:2], drawn(y[:2]))


def test_guidance() -> None:
    """0 leaves the label out, 1 is the model, and more makes what the label is known by likelier still."""
    model = tiny()

    def first(guidance: float) -> float:
        with seeds.seeded("guidance"):
            codes = model.draw(4000, torch.zeros(4000, dtype=torch.long), steering=SamplingOptions(guidance=guidance))
        return float(codes[:, 0].double().mean())

    network, one = model.network.parts[0], torch.zeros(1, 6, dtype=torch.long)
    told = network(one, torch.zeros(1, dtype=torch.long))[0][0, 0].detach()
    untold = network(one)[0][0, 0].detach()
    for weight in (0.0, 1.0, 3.0):
        logits = untold + weight * (told - untold)
        expected = float(logits.softmax(0)[1])
        assert first(weight) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000) + 1e-3)


def test_what_is_left_to_draw_from() -> None:
    p = torch.tensor([[0.4, 0.3, 0.2, 0.1]])

    def left(**how: float) -> list[bool]:
        found: list[bool] = SamplingOptions(**how).left(p.log()).isfinite()[0].tolist()  # type: ignore[arg-type]
        return found

    assert left() == [True] * 4 and left(top_k=9) == [True] * 4 and left(top_p=1.0) == [True] * 4
    assert left(top_k=1) == left(top_p=0.01) == left(min_p=1.0) == [True, False, False, False]
    assert left(top_k=3) == left(top_p=0.75) == left(min_p=0.45) == [True, True, True, False]
    assert left(top_p=0.7) == [True, True, False, False]
    assert left(top_k=3, min_p=0.7) == [True, True, False, False]


def test_a_code_is_chosen_by_its_share_of_the_unit_interval() -> None:
    logits = torch.tensor([0.5, 0.0, 0.25, 0.25]).log().expand(6, 4)
    u = torch.tensor([0.0, 0.49, 0.51, 0.74, 0.76, 1 - 1e-7])
    assert SamplingOptions().choose(logits, u).tolist() == [0, 0, 2, 2, 3, 3]
    assert SamplingOptions(top_k=1).choose(logits, u).tolist() == [0] * 6
    # Twice as warm: square roots of the shares.
    warm = SamplingOptions().choose(logits, torch.full((6,), 0.42), temperature=2.0)
    assert warm.tolist() == [2] * 6  # √½ / (√½ + 1) = 0.414


def test_the_likeliest_is_drawn_where_it_is_the_only_one_left() -> None:
    model = tiny()
    codes = model.draw(3, torch.zeros(3, dtype=torch.long), steering=SamplingOptions(top_k=1))
    logits = model.network.parts[0](codes, torch.zeros(3, dtype=torch.long))[0]
    assert torch.equal(codes, logits.argmax(2))


# ---- filling holes


@pytest.mark.parametrize("holes", [[0, 1], [2, 5], [0, 3, 4]])
def test_what_is_missing_is_drawn_given_what_comes_after_it_too(holes: list[int]) -> None:
    model, n = tiny(), 3000
    codes, known = torch.tensor([1, 0, 1, 1, 0, 0]), torch.ones(6, dtype=torch.bool)
    known[holes] = False
    allowed = torch.nn.functional.one_hot(codes, 2).bool() | ~known.unsqueeze(1)
    with seeds.seeded("holes"):
        drawn = model.complete([allowed], n, torch.zeros(1, dtype=torch.long), particles=32)
    assert torch.equal(drawn[:, known], codes[known].expand(n, -1))
    fits = (EVERY.flatten(1).long()[:, known] == codes[known]).all(1)
    p = model.log_prob(Batch(EVERY[fits], torch.zeros(int(fits.sum()), dtype=torch.long))).softmax(0)
    places = 2 ** torch.arange(len(holes) - 1, -1, -1)
    share = torch.bincount((drawn[:, holes] * places).sum(1), minlength=len(p)) / n
    assert float((share - p).abs().max()) < 0.03


def test_what_is_seen_stays() -> None:
    model = tiny()
    x = (torch.rand(3, 1, 2, 3, generator=seeds.generator("seen")) > 0.5).float()
    mask = torch.tensor([[[[True, False, True], [False, False, True]]]]).expand(3, 1, 2, 3)
    with seeds.seeded("stays"):
        found = model.impute(Batch(x, torch.arange(3), mask), 4)
    assert found.shape == (3, 4, 1, 2, 3)
    assert torch.equal(found[:, :, :, mask[0, 0]], x[:, None, :, mask[0, 0]].expand(-1, 4, -1, -1))


def test_codes_beside_a_hole_are_not_known() -> None:
    encoder, decoder = MapEncoder([1, 16, 16], 4, 8), MapDecoder([1, 16, 16], 6, 4, 8)
    codec = VQVAE([encoder], [EMACodebook(6, 16)], [decoder], GaussianHead())
    mask = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    mask[..., :3, :3] = False
    known = codec.known(mask).reshape(4, 4)
    assert known.tolist() == [[False, False, True, True]] * 2 + [[True] * 4] * 2


# ---- a text for a condition


def test_a_text_is_read_in_its_order_and_probabilities_given_it_sum_to_one() -> None:
    model, found = reading(), []
    for row in TEXTS.parse(None, 5):
        log_p = model.log_prob(Batch(EVERY, row.expand(64, -1)))
        assert float(log_p.double().logsumexp(0)) == pytest.approx(0.0, abs=1e-5)
        found.append(log_p)
    assert all(float((a - b).abs().max()) > 1e-3 for a, b in itertools.combinations(found, 2))
    # Of nothing is as of no words.
    assert torch.equal(model.log_prob(Batch(EVERY)), found[0])


def test_a_text_that_is_kept_from_an_example_changes_nothing_of_it() -> None:
    model = reading()
    codes, y = model.codes(EVERY[:4]), TEXTS.parse(["cat", "tac", "cat", "a"], 4)
    told = torch.tensor([True, False, False, True])
    mixed = model.log_codes(codes, y, told)
    assert torch.allclose(mixed[told], model.log_codes(codes[told], y[told]), atol=1e-6)
    assert torch.allclose(mixed[~told], model.log_codes(codes[~told]), atol=1e-6)


def test_what_is_drawn_of_a_text_is_as_likely_as_it_says() -> None:
    model = reading()
    y = TEXTS.parse("cat", 20_000)
    with seeds.seeded("text"):
        drawn = model.sample(20_000, y).flatten(1)
    exact = model.log_prob(Batch(EVERY, y[:64])).exp()
    often = torch.bincount((drawn.long() * 2 ** torch.arange(5, -1, -1)).sum(1), minlength=64) / 20_000
    assert float((often - exact).abs().max()) < 4 * (0.25 / 20_000) ** 0.5


def test_guidance_weighs_a_text_against_none() -> None:
    model = reading()
    with seeds.seeded("guided"):
        one = model.draw(50, TEXTS.parse("cat", 50), steering=SamplingOptions(guidance=1.0))
    with seeds.seeded("guided"):
        none = model.draw(50, TEXTS.parse("cat", 50), steering=SamplingOptions(guidance=0.0))
    with seeds.seeded("guided"):
        assert torch.equal(none, model.draw(50)) and not torch.equal(none, one)


# ---- texts themselves


class Bytes(nn.Module):
    """The symbols of texts as they are."""

    lossless = True
    segments = (Segment(7, 1, 1, SYMBOLS),)

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, codes: Tensor) -> Tensor:
        return codes


@pytest.mark.slow
def test_the_same_class_learns_texts() -> None:
    """Sums of two digits: what it draws is right, and what is wrong is unlikely."""
    text = Text(7)
    sums = [f"{a}+{b}={a + b}" for a in range(10) for b in range(10)]
    x = torch.stack([text.encode(each) for each in sums])
    with seeds.seeded("texts"):
        model = Autoregressive(Bytes(), width=64, layers=3, heads=4)
        descent = torch.optim.Adam(model.network.parameters(), 3e-3)
        for _ in range(400):
            descent.zero_grad()
            (-model.log_codes(x).sum(1).mean()).backward()
            descent.step()
        drawn = [text.decode(each) for each in model.eval().sample(200)]
    assert sum(each in sums for each in drawn) > 190, drawn
    nats = model.log_prob(Batch(x))
    assert float(-nats.mean()) == pytest.approx(math.log(100), abs=0.1) and not model.log_prob_is_bound
    assert float(model.log_prob(Batch(text.encode("2+2=5")[None]))) < float(nats.min()) - 2


def test_values_outside_of_the_range_have_the_codes_of_the_nearest_inside() -> None:
    """A plane through the data leaves their range, and a code that is none cannot be looked up."""
    x = torch.tensor([-3.0, -0.01, 0.5, 1.2]).reshape(1, 1, 2, 2)
    codec = PixelCodec([1, 2, 2], 5)
    assert codec.encode(x).tolist() == [[0, 0, 2, 4]]
    assert [a.tolist() for a in codec.allowed(x, torch.ones_like(x, dtype=torch.bool))] == [
        [[[i == code for i in range(5)] for code in (0, 0, 2, 4)]]
    ]
