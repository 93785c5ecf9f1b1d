"""The watch: each rule fires on a broken run within a stated number of events, and is silent on a healthy one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from seisei.training.hooks import plain
from seisei.training.watch import RULES, Watch

Events = list[dict[str, Any]]


def train(losses: list[float], waiting: float = 0.02) -> Events:
    total = len(losses)
    return [
        {"event": "train", "step": i + 1, "t": (i + 1) / total, "turn": "model", "loss": plain(v), "waiting": waiting}
        for i, v in enumerate(losses)
    ]


def checks(losses: list[float], kl: list[float], active: int) -> Events:
    total = len(losses)
    return [
        {"event": "validation", "step": i + 1, "t": (i + 1) / total, "loss": plain(v), "kl_per_dimension": kl,
        "active_units": active} for i, v in enumerate(losses)
    ]  # fmt: skip


def rounds(told: list[float], norms: list[float] | None = None, sure: float = 0.6) -> Events:
    """Two lines a round, of critic and generator."""
    lines: Events = []
    for i, share in enumerate(told):
        when = {"event": "train", "step": i + 1, "t": (i + 1) / len(told), "loss": 0.7, "waiting": 0.0}
        parts = {"told apart": share, "D(x)": sure, "D(G(z))": 1 - sure}
        lines.append({**when, "turn": "critic", "parts": parts, "gradient_norm": 1.0})
        lines.append({**when, "turn": "generator", "parts": {}, "gradient_norm": norms[i] if norms else 1.0})
    return lines


def looks(told: list[float], varied: list[float], kind: float = 0.9, known: list[float] | None = None) -> Events:
    """Validations of a game."""
    return [
        {
            "event": "validation", "step": i + 1, "t": (i + 1) / len(told), "least_varied": 3,
            "scores": {
                "told apart": a, "diversity": b, "diversity of the least varied kind": kind,
                "training told from held out": known[i] if known else 0.52,
            },
        }
        for i, (a, b) in enumerate(zip(told, varied, strict=True))
    ]  # fmt: skip


def found(events: Events) -> list[tuple[str, int]]:
    """Which rules spoke, and after how many events."""
    watch = Watch()
    return [(finding["rule"], n) for n, event in enumerate(events, 1) for finding in watch.look(event)]


def coded(used: list[float], expected: float = 1.0, heard: list[float] | None = None) -> list[dict[str, Any]]:
    """Validations of 512 codes of which these shares are used, all of those equally often; of several grids of them."""
    return [
        {
            "event": "validation",
            "step": i + 1,
            "t": (i + 1) / len(used),
            "codes": [
                {"codes": 512, "used": share, "expected": expected, "perplexity": 512 * share}
                | ({} if each is None else {"heard": each})
                for each in heard or [None]
            ],
        }
        for i, share in enumerate(used)
    ]


def answered(heed: list[float], chequered: float = 1.1, colour: float = 0.9) -> Events:
    """Validations of pictures of pictures."""
    return [
        {
            "event": "validation", "step": i + 1, "t": (i + 1) / len(heed),
            "scores": {"heed": share, "chequered": chequered, "colour": colour, "L1": 0.1},
        }
        for i, share in enumerate(heed)
    ]  # fmt: skip


def sheets(brightness: list[float], color: list[float], error: float = 0.1) -> Events:
    """Sheets of samples, measured."""
    return [
        {
            "event": "samples", "step": i + 1, "t": (i + 1) / len(color), "file": "",
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
    "a critic ahead, not sure": rounds([0.995] * 40, sure=0.8),
    "a generator that has arrived": rounds([0.5] * 40, [1.0] * 20 + [1e-5] * 20),
    "alike at the start, as all are": looks([0.9] * 20, [0.01, 0.1, *[0.6] * 18]),
    "codes that start few": coded([0.1, *[0.97] * 9]),
    "two grids that both say something": coded([0.97] * 10, heard=[1.1, 30.0]),
    "codes that come back": coded([0.9, 0.3, 0.1, 0.2, 0.35, 0.6, *[0.97] * 4]),
    "more codes than there are things to tell": coded([0.06] * 10, expected=0.07),
    "answers that heed what is given": answered([0.05, *[0.7] * 9]),
    "samples that are coarse, then as fine as images": sheets([9.0, 3.0, *[1.1] * 8], [30.0, 9.0, *[1.3] * 8]),
    "samples of which few are known": sheets([2.5] * 10, [6.0] * 10, error=0.4),
    "collapsed at the start, as all are": checks([90, 60, 45, 40, 38, 37, 36, 35, 35, 35], [0.0] * 8, 0)[:1],
}
BROKEN = {
    "posterior collapse": (checks([90, 80, 79, 78, 78], [0.001] * 8, 0), 1),
    "divergence": (train(FALLING[:15]) + [{"event": "skipped", "step": 16, "term": "kl"}], 16),
    "starving data pipeline": (train(FALLING, 0.5), 5),
    "critic wins": (rounds([0.9] * 5 + [1.0] * 15, sure=0.99), 2 * 14 - 1),
    "starved generator": (rounds([0.98] * 40, [1.0] * 20 + [1e-5] * 20, sure=0.9), 2 * 30),
    "mode collapse": (looks([0.8] * 10, [0.7] * 4 + [0.05] * 6), 6),
    "copying critic": (looks([0.8] * 10, [0.8] * 10, known=[0.5] * 5 + [0.9] * 5), 7),
    "codebook collapse": (coded([0.9, 0.4, 0.1, 0.02, 0.02]), 4),
    "silent grid": (coded([0.97] * 10, heard=[1.0001, 30.0]), 5),
    "ignored input": (answered([0.5, *[0.1] * 9]), 4),
    "chequered answers": (answered([0.8] * 10, chequered=2.5), 3),
    "colour collapse": (answered([0.8] * 10, colour=0.2), 3),
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


def test_a_loss_that_runs_away_is_seen_within_twelve_lines() -> None:
    (only,) = found(train(FALLING[:20] + [40.0 * 2**i for i in range(12)]))
    assert only[0] == "divergence" and only[1] <= 20 + 6


def test_a_rule_speaks_again_after_it_was_silent() -> None:
    events = train(FALLING[:6], 0.5) + train(FALLING[:3]) + train(FALLING[:6], 0.5)
    assert [rule for rule, _ in found(events)] == ["starving data pipeline"] * 2


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
        if past and past[-1].get("event") != "watch" and rest and rest[0].get("event") == "watch":
            continue  # a finding is logged with its event: no checkpoint lies between
        resumed, again = Watch(past), list(past)
        for event in [e for e in rest if e["event"] != "watch"]:
            again += [event, *resumed.look(event)]
        assert again == log


def test_numbers_that_are_not_finite_break_no_rule() -> None:
    events = checks([90, math.nan, math.inf], [None, None], 0) + train([1.0, math.nan, math.inf] * 9)  # type: ignore[list-item]
    assert isinstance(found([plain(e) for e in events]), list)
