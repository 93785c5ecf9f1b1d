"""The watch: each rule fires on a broken run within a stated number of events, and is silent on a healthy one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seisei.training.hooks import plain
from seisei.training.watch.rules import RULES, Watch

Events = list[dict[str, Any]]
# Steps between two events: rules wait for 100.
EACH = 50
# Events that the watch itself writes.
OWN = ("watch", "withdrawn")


def train(losses: list[float], waiting: float = 0.02) -> Events:
    total = len(losses)
    return [
        {
            "event": "train",
            "step": EACH * (i + 1),
            "t": (i + 1) / total,
            "turn": "model",
            "loss": plain(v),
            "waiting": waiting,
        }
        for i, v in enumerate(losses)
    ]


def checks(losses: list[float], kl: list[float], active: int) -> Events:
    total = len(losses)
    return [
        {"event": "validation", "step": EACH * (i + 1), "t": (i + 1) / total, "loss": plain(v), "kl_per_dimension": kl,
        "active_units": active} for i, v in enumerate(losses)
    ]  # fmt: skip


def rounds(reported: list[float], norms: list[float] | None = None, sure: float = 0.6) -> Events:
    """Two lines a round, of discriminator and generator."""
    lines: Events = []
    for i, share in enumerate(reported):
        when = {"event": "train", "step": EACH * (i + 1), "t": (i + 1) / len(reported), "loss": 0.7, "waiting": 0.0}
        parts = {"told apart": share, "D(x)": sure, "D(G(z))": 1 - sure}
        lines.append({**when, "turn": "discriminator", "parts": parts, "gradient_norm": 1.0})
        lines.append({**when, "turn": "generator", "parts": {}, "gradient_norm": norms[i] if norms else 1.0})
    return lines


def latents(kl: list[float], idle: int) -> Events:
    """Validations of a VAE, by the KL divergence of all 8 dimensions, of which none is active in the first ones."""
    return [
        {
            "event": "validation", "step": EACH * (i + 1), "t": (i + 1) / len(kl), "loss": 300.0 - i,
            "kl_per_dimension": [total / 8] * 8, "active_units": 0 if i < idle else 8,
        }
        for i, total in enumerate(kl)
    ]  # fmt: skip


def looks(reported: list[float], varied: list[float], kind: float = 0.9, known: list[float] | None = None) -> Events:
    """Validations of a game."""
    return [
        {
            "event": "validation", "step": EACH * (i + 1), "t": (i + 1) / len(reported), "least_varied": 3,
            "scores": {
                "told apart": a, "diversity": b, "diversity of the least varied kind": kind,
                "training told from held out": known[i] if known else 0.52,
            },
        }
        for i, (a, b) in enumerate(zip(reported, varied, strict=True))
    ]  # fmt: skip


def found(events: Events) -> list[tuple[str, int]]:
    """Which rules spoke, and after how many events."""
    watch = Watch()
    said = [(finding, n) for n, event in enumerate(events, 1) for finding in watch.look(event)]
    return [(finding["rule"], n) for finding, n in said if finding["event"] == "watch"]


def coded(used: list[float], expected: float = 1.0, heard: list[float] | None = None) -> list[dict[str, Any]]:
    """Validations of 512 codes of which these shares are used, all of those equally often; of several grids of them."""
    return [
        {
            "event": "validation",
            "step": EACH * (i + 1),
            "t": (i + 1) / len(used),
            "codes": [
                {"codes": 512, "used": share, "expected": expected, "perplexity": 512 * share}
                | ({} if each is None else {"heard": each})
                for each in heard or [None]
            ],
        }
        for i, share in enumerate(used)
    ]


def answered(heed: list[float], chequered: float = 1.1, color: float = 0.9) -> Events:
    """Validations of images of images."""
    return [
        {
            "event": "validation", "step": EACH * (i + 1), "t": (i + 1) / len(heed),
            "scores": {"heed": share, "chequered": chequered, "color": color, "L1": 0.1},
        }
        for i, share in enumerate(heed)
    ]  # fmt: skip


def sheets(brightness: list[float], color: list[float], error: float = 0.1) -> Events:
    """Sheets of samples, measured."""
    return [
        {
            "event": "samples", "step": EACH * (i + 1), "t": (i + 1) / len(color), "file": "",
            "high_frequency": {"brightness": [a, error * a], "color": [b, error * b]},
        }
        for i, (a, b) in enumerate(zip(brightness, color, strict=True))
    ]  # fmt: skip


FALLING = [100 * math.exp(-i / 10) + 20 + (i % 3) for i in range(40)]
HEALTHY = {
    "train": train(FALLING),
    "validation": checks([90, 60, 45, 40, 38, 37, 36.9, 37.0, 36.8, 36.9], [0.8] * 8, 8),
    "a short wait": train(FALLING[:4], 0.9) + train(FALLING[4:]),
    "a rise while the KL term comes in": train([100, 60, 50, 48, 50, 52, 54, 55, 55, 54, 53, 52, 51, 50]),
    "sweeps that leave an overfitted start": [{**e, "swept": True} for e in train([-190, -90, -85, *[-84.0] * 12])],
    "a game in balance": rounds([0.8] * 40) + looks([0.78] * 5, [0.8] * 5),
    "a discriminator ahead, not sure": rounds([0.995] * 40, sure=0.8),
    "a generator that has arrived": rounds([0.5] * 40, [1.0] * 20 + [1e-5] * 20),
    "alike at the start, as all are": looks([0.9] * 20, [0.01, 0.1, *[0.6] * 18]),
    "codes that start few": coded([0.1, *[0.97] * 9]),
    "two grids that both say something": coded([0.97] * 10, heard=[1.1, 30.0]),
    "codes that come back": coded([0.9, 0.3, 0.1, 0.2, 0.35, 0.6, *[0.97] * 4]),
    "more codes than there are things to tell": coded([0.06] * 10, expected=0.07),
    "answers that heed what is given": answered([0.05, *[0.7] * 9]),
    "samples that are coarse, then as fine as images": sheets([9.0, 3.0, *[1.1] * 8], [30.0, 9.0, *[1.3] * 8]),
    "samples of which few are known": sheets([2.5] * 10, [6.0] * 10, error=0.4),
    # KL of the first 300 steps of healthy VAEs of digits: no dimension is active for half of the training.
    "a latent that carries more and more": latents(
        [0.5, 1.57, 0.75, 0.65, 0.69, 0.77, 0.83, 0.84, 0.87, 0.93, 1.0, 1.1, 1.2, 1.4, 1.5, 1.7, 1.8, 1.9, 2.0, 2.1], 9
    ),
    "a latent of an importance-weighted bound": latents(
        [0.2, 2.2, 1.3, 0.63, 0.49, 0.46, 0.54, 0.71, 0.89, 1.3, 1.8, 2.4, 2.8, 3.2, 3.7, 4.0, 4.2, 4.5, 4.6, 4.7], 7
    ),
    "collapsed at the start, as all are": checks([90, 60, 45, 40, 38, 37, 36, 35, 35, 35], [0.0] * 8, 0)[:1],
}
BROKEN = {
    "posterior collapse": (checks([90, 80, 79, 78, 78], [0.001] * 8, 0), 4),
    "unused latent dimensions": (checks([90, 80, 79, 78, 78, 77, 77, 77], [0.9, *[0.001] * 8], 1), 7),
    "divergence": (train(FALLING[:15]) + [{"event": "skipped", "step": 16, "term": "kl"}], 16),
    "data-loading bottleneck": (train(FALLING, 0.5), 10),
    "discriminator dominates": (rounds([0.9] * 5 + [1.0] * 15, sure=0.99), 2 * 14 - 1),
    "vanishing generator gradient": (rounds([0.98] * 40, [1.0] * 20 + [1e-5] * 20, sure=0.9), 2 * 30),
    "mode collapse": (looks([0.8] * 10, [0.7] * 4 + [0.05] * 6), 7),
    "overfitting discriminator": (looks([0.8] * 10, [0.8] * 10, known=[0.5] * 5 + [0.9] * 5), 8),
    "codebook collapse": (coded([0.9, 0.4, 0.1, 0.02, 0.02, 0.02]), 6),
    "unused level": (coded([0.97] * 10, heard=[1.0001, 30.0]), 6),
    "ignored input": (answered([0.5, *[0.1] * 9]), 4),
    "checkerboard artifacts in outputs": (answered([0.8] * 10, chequered=2.5), 4),
    "washed-out colors": (answered([0.8] * 10, color=0.2), 4),
    "checkerboard artifacts": (sheets([1.5] * 10, [8.0] * 10), 3),
    "overfitting": (checks([90, 60, 50, 45, 46, 50, 56, 60, 66], [0.8] * 8, 8), 7),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_in_peace(name: str) -> None:
    assert found(HEALTHY[name]) == []


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_fires_in_time_and_once(rule: str) -> None:
    events, within = BROKEN[rule]
    (only,) = found(events)
    assert only[0] == rule and only[1] <= within


def test_a_loss_that_diverges_is_seen_within_fourteen_lines() -> None:
    (only,) = found(train(FALLING[:20] + [40.0 * 2**i for i in range(20)]))
    assert only[0] == "divergence" and only[1] <= 20 + 14


def test_a_rule_speaks_again_after_it_was_silent() -> None:
    events = train(FALLING[:12], 0.5) + train(FALLING[:30]) + train(FALLING[:12], 0.5)
    watch = Watch()
    said = [(event["event"], event["rule"]) for given in events for event in watch.look(given)]
    starving = "data-loading bottleneck"
    assert said == [("watch", starving), ("withdrawn", starving), ("watch", starving)]


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"divergence"}))
def test_a_finding_is_withdrawn_when_its_evidence_goes_away(rule: str) -> None:
    """Not before some events of its own kind were calm, and then once."""
    events, _ = BROKEN[rule]
    watch = Watch()
    for event in events:
        watch.look(event)
    if rule not in watch.reported:
        return  # its evidence is a trend that this log does not end with
    kind = watch.reported[rule].kind
    healthy = [{**event, "step": 10_000 + n, "t": 0.9} for n, event in enumerate(calm(kind))]
    said = [(n, event) for n, given in enumerate(healthy, 1) for event in watch.look(given)]
    gone = [(n, event) for n, event in said if event["rule"] == rule]
    assert [event["event"] for _, event in gone] == ["withdrawn"] and gone[0][0] >= (10 if kind == "train" else 2)
    assert rule not in watch.reported


def calm(kind: str) -> Events:
    """Events of a kind at which no rule has anything to say."""
    if kind == "train":
        return [e for pair in zip(rounds([0.7] * 60), train([20.0] * 120), strict=True) for e in pair]
    if kind == "samples":
        return sheets([1.0] * 20, [1.0] * 20)
    game, codes, pairs = looks([0.7] * 20, [0.9] * 20), coded([0.99] * 20, heard=[3.0, 30.0]), answered([0.8] * 20)
    vae = checks([30.0] * 20, [0.8] * 8, 8)
    scores = [{**a["scores"], **c["scores"]} for a, c in zip(game, pairs, strict=True)]
    return [{**v, **b, **a, "scores": s} for v, b, a, s in zip(vae, codes, game, scores, strict=True)]


@pytest.mark.parametrize("steps", [4, 6, 20])
@pytest.mark.parametrize("rule", sorted(set(RULES) - {"divergence"}))
def test_nothing_is_said_of_a_training_of_a_few_steps(rule: str, steps: int) -> None:
    events, _ = BROKEN[rule]
    short = [{**e, "step": 1 + n * steps // len(events), "t": n / len(events)} for n, e in enumerate(events)]
    assert found(short) == []


OPTIONS: dict[str, Any] = {
    "r1_gamma": 0.1, "loss": "relativistic", "learning_rate": 1e-3, "augment": 0.2, "steps": 1000, "free_bits": 0.1,
    "warmup": 0.3, "beta": 1.0, "importance_samples": 1, "latent": 9, "quantizer": "ema", "codebook_size": 512,
    "l1_weight": 100.0, "dropout": 0.1, "width": 64, "size": 32,
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_advice_names_another_setting_than_the_one_in_force(rule: str) -> None:
    watch = Watch(options=OPTIONS)
    said = [event for given in BROKEN[rule][0] for event in watch.look(given) if event["event"] == "watch"]
    for event in said:
        assert "--loss relativistic" not in event["advice"] and "averaged" not in event["advice"]
        assert "--warmup 0.3" not in event["advice"] and "--free-bits 0.1 " not in event["advice"] + " "


def test_no_two_findings_ask_for_opposite_changes() -> None:
    """A discriminator that wins wants a larger penalty: nothing that stands beside it wants a smaller one."""
    watch = Watch(options=OPTIONS)
    for rule in RULES:
        for event in BROKEN[rule][0]:
            watch.look(event)
            ways: dict[str, set[str]] = {}
            for reported in watch.reported.values():
                for change in reported.changes:
                    if change.option:
                        ways.setdefault(change.option, set()).add(change.way)
            assert all(len(each) == 1 for each in ways.values()), ways


def test_a_collapsed_posterior_is_told_once_and_its_weight_is_to_be_lowered() -> None:
    """As with beta 20: the little that there is grows, and one dimension counts as active by a hair."""
    kl = [0.1, 0.04, 0.02, 0.016, 0.016, 0.017, 0.018, 0.02, 0.023, 0.026, 0.028, 0.03, 0.033, 0.036, 0.038, 0.04]
    watch = Watch((), {"beta": 20.0, "warmup": 0.1, "free_bits": 0.0, "latent": 8})
    (only,) = [finding for event in latents(kl, 9) for finding in watch.look(event)]
    assert only["rule"] == "posterior collapse"
    assert only["advice"] == "lower --beta (now 20) or raise --free-bits to 0.1 (now 0)"


def test_a_codec_that_begins_near_its_optimum_does_not_diverge() -> None:
    """Its loss goes up and down by more than it has fallen."""
    losses = [100 + 3 * math.sin(1.7 * i) + (4 if i > 40 else 0) for i in range(80)]
    assert found(train(losses)) == []


def test_every_finding_says_what_why_and_what_to_do() -> None:
    for events, _ in BROKEN.values():
        watch = Watch()
        (finding,) = [f for e in events for f in watch.look(e)]
        assert finding["severity"] in ("warning", "note") and finding["event"] == "watch"
        assert all(finding[part] and "\n" not in finding[part] for part in ("symptom", "evidence", "cause", "advice"))


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_watch_goes_on_as_if_never_stopped(rule: str) -> None:
    events, _ = BROKEN[rule]
    events = events + events  # silence and relapse included
    whole, log = Watch(), []
    for event in events:
        log += [event, *whole.look(event)]
    for stop in range(len(log)):
        past, rest = log[:stop], log[stop:]
        if rest and rest[0]["event"] in OWN:
            continue  # a finding is logged with its event: no checkpoint lies between
        resumed, again = Watch(past), list(past)
        for event in [e for e in rest if e["event"] not in OWN]:
            again += [event, *resumed.look(event)]
        assert again == log


def test_numbers_that_are_not_finite_break_no_rule() -> None:
    events = checks([90, math.nan, math.inf], [None, None], 0) + train([1.0, math.nan, math.inf] * 9)  # type: ignore[list-item]
    assert isinstance(found([plain(e) for e in events]), list)
