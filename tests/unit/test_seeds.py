"""Randomness as a function of a key, and the batch that meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seisei import seeds
from seisei.batch import Batch, observed


def test_derived_seeds_may_never_change() -> None:
    """Every run, split and sample hangs on these: a change breaks resuming and reproducing."""
    assert seeds.derive() == GOLDEN[()]
    for key, seed in GOLDEN.items():
        assert seeds.derive(*key) == seed, key
    values = list(GOLDEN.values())
    assert len(set(values)) == len(values) and all(0 <= v < seeds.SEED_LIMIT for v in values)
    assert seeds.derive(np.int64(0), "order", np.uint8(1)) == seeds.derive(0, "order", 1)
    # Keys are told apart by type and by where a part ends.
    assert len({seeds.derive(*k) for k in [(1, 2), (12,), ("1", 2), (1, "2"), ((1, 2),), (1.0, 2), (True, 2)]}) == 7


GOLDEN: dict[tuple[object, ...], int] = {
    (): 2847183694713211083,
    (0,): 2631537505891389924,
    (0, "order", 1): 2002067703672271585,
    (7, "draws", 12): 484891201875443720,
    ("split", "cat/01.png"): 8948029714232557806,
    (4611686018427387904, "weights"): 7956564967996791854,
}


def test_another_process_derives_the_same() -> None:
    code = "from seisei import seeds; print(seeds.derive(3, 'a', 4)); print(seeds.generator(3).initial_seed())"
    env = {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONHASHSEED": "77"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    ).stdout.split()
    assert out == [str(seeds.derive(3, "a", 4)), str(seeds.derive(3))]


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6))
def test_neighboring_keys_have_unlike_seeds(seed: int, step: int) -> None:
    a, b = seeds.derive(seed, step), seeds.derive(seed, step + 1)
    assert 0 <= a < seeds.SEED_LIMIT and a != b


def draw(total: int, offset: int, count: int) -> list[torch.Tensor]:
    with seeds.drawing(seeds.Draws(5, 3, total=total, offset=offset)):
        return [seeds.normal(count, 2, 3), seeds.uniform(count), seeds.normal(count, 4)]


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6, 12])
def test_parts_of_a_batch_meet_the_noise_of_the_whole(parts: int) -> None:
    """Micro-batches and processes: whatever the division, an example has its own noise."""
    whole, size = draw(12, 0, 12), 12 // parts
    slices = [draw(12, i * size, size) for i in range(parts)]
    for k, value in enumerate(whole):
        assert torch.equal(torch.cat([s[k] for s in slices]), value)
    ranks = [draw(12, rank * 6 + micro * 3, 3) for rank in (0, 1) for micro in (0, 1)]
    assert torch.equal(torch.cat([r[0] for r in ranks]), whole[0])
    assert torch.equal(torch.cat([draw(12, 0, 5)[0], draw(12, 5, 7)[0]]), whole[0])  # unequal parts
    if parts > 1:  # mutant: every part draws by itself
        alone = [draw(size, 0, size) for _ in range(parts)]
        assert not torch.equal(torch.cat([s[0] for s in alone]), whole[0])


def test_draws_follow_the_step_and_end_with_the_block() -> None:
    def at(seed: int, step: int) -> torch.Tensor:
        with seeds.drawing(seeds.Draws(seed, step, total=4, offset=0)):
            return seeds.normal(4)

    assert torch.equal(at(0, 1), at(0, 1))
    assert len({tuple(at(s, k).tolist()) for s in (0, 1) for k in (0, 1, 2)}) == 6
    with pytest.raises(AssertionError, match="more examples"), seeds.drawing(seeds.Draws(0, 0, total=4, offset=2)):
        seeds.normal(3)
    with seeds.seeded(0):
        a = seeds.normal(3)
    with seeds.seeded(0):
        b = torch.randn(3)
    assert torch.equal(a, b)  # outside of a step: torch's own randomness
    with pytest.raises(RuntimeError), seeds.drawing(seeds.Draws(0, 0, total=4, offset=0)):
        raise RuntimeError
    with seeds.seeded(0):
        assert torch.equal(seeds.normal(3), a)


def test_seeded_leaves_randomness_as_it_was() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with seeds.seeded("x", 1):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), seeds.seeded("x", 1):
        1 / 0  # noqa: B018
    assert torch.equal(torch.get_rng_state(), before)
    with seeds.seeded("x", 1):
        assert torch.equal(torch.rand(3), first)
    with seeds.seeded("x", 2):
        assert not torch.equal(torch.rand(3), first)


def test_values_of_a_step_may_never_change() -> None:
    """If this fails, torch draws other numbers than before, and old runs no longer resume to the same bits."""
    with seeds.drawing(seeds.Draws(0, 0, total=3, offset=0)):
        assert seeds.uniform(3).tolist() == pytest.approx(UNIFORM, abs=1e-7)
        assert seeds.normal(3).tolist() == pytest.approx(NORMAL, abs=1e-6)


UNIFORM = [0.69829172, 0.87551951, 0.47715378]
NORMAL = [-1.3884251, -2.891259, -0.4789994]


# ---- batches ----


def batch() -> Batch:
    x = torch.arange(14, dtype=torch.float32).reshape(7, 2)
    return Batch(x, torch.arange(7), x > 3)


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_splitting_keeps_everything_in_order(size: int, lengths: list[int]) -> None:
    parts = list(batch().split(size))
    assert [len(p) for p in parts] == lengths
    for name in ("x", "y", "mask"):
        assert torch.equal(torch.cat([getattr(p, name) for p in parts]), getattr(batch(), name))
    assert all(p.y is None and p.mask is None for p in Batch(torch.zeros(7, 2)).split(size))


def test_mapping_touches_each_tensor_and_nothing_in_place() -> None:
    old = batch()
    new = old.map(lambda t: t[:2])
    assert len(new) == 2 and len(old) == 7 and new.y is not None and new.y.tolist() == [0, 1] and new.mask is not None
    bare = Batch(old.x).map(lambda t: t + 1)
    assert bare.y is None and bare.mask is None and float(old.x[0, 0]) == 0
    with pytest.raises(AttributeError):
        old.x = new.x  # type: ignore[misc]


def test_an_encoder_sees_only_what_was_observed() -> None:
    b = batch()
    assert torch.equal(b.visible, b.x * (b.x > 3)) and Batch(b.x).visible is b.x


def test_observed_counts_only_what_is_there() -> None:
    log_p = torch.arange(12.0).reshape(2, 2, 3)
    mask = torch.tensor([True, False, True])
    assert observed(log_p, None).tolist() == [15.0, 51.0]
    assert observed(log_p, mask).tolist() == [0 + 2 + 3 + 5, 6 + 8 + 9 + 11]
    assert observed(log_p, torch.tensor([[True], [False]])[:, :, None]).tolist() == [15.0, 0.0]
    bad = log_p.clone().requires_grad_()
    value = observed(torch.log(bad - 1), mask.logical_not() & (bad > 3))  # log of negatives, all masked out
    assert bool(torch.isfinite(value).all())
    assert observed(log_p, mask).tolist() != (log_p.mean(-1).sum(-1)).tolist()  # mutant: a mean over values
