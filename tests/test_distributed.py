"""P6, P9, P10 with several processes: two are one, a lost one is named, signals reach all at the same step."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seisei.modalities.image_io import png_bytes
from seisei.recipes import RECIPES as ALL
from seisei.training.run import RunFolder

pytestmark = pytest.mark.distributed

# One starting of two processes costs seconds, so that each start makes all the runs it is given.
DRIVER = Path(__file__).with_name("driver.py")
STEPS = 10


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    place = {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {**os.environ, "OMP_NUM_THREADS": "1", **(place | address if world > 1 else {})}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(jobs: list[dict[str, Any]], world: int) -> list[subprocess.Popen[str]]:
    """`world` processes that each make these runs, one after the other."""
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, str(DRIVER), json.dumps(jobs)],
            env=environment(rank, world, port), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def finish(processes: list[subprocess.Popen[str]], timeout: float = 120) -> list[tuple[int, str]]:
    done = []
    for process in processes:
        try:
            out, error = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            for each in processes:
                each.kill()
                each.communicate()
            raise
        done.append((process.returncode, out + error))
    return done


def weights(folder: Path) -> dict[str, Tensor]:
    path = RunFolder.open(folder).checkpoints.newest()[0].path
    groups = [p.stem for p in sorted(path.glob("*.safetensors"))]
    return {f"{g}/{n}": t for g in groups for n, t in load_file(path / f"{g}.safetensors").items()}


def largest_difference(one: Path, other: Path, only: str = "") -> float:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((a[n].double() - b[n].double()).abs().max()) for n in a if n.startswith(only))


RECIPES: dict[str, dict[str, Any]] = {
    "elbo": {"recipe": "vae"},
    "iwae": {"recipe": "vae", "dials": {"importance_samples": 3}},
    "vamp": {"recipe": "vae", "dials": {"prior": "vamp", "components": 20}},
    "autoencoder": {"recipe": "autoencoder"},
    "labels": {"recipe": "vae", "dials": {"condition": "label"}},
    "conv": {"recipe": "vae", "dials": {"network": "conv", "width": 4}},
    "codes": {"recipe": "vqvae", "dials": {"codebook_size": 16, "code_dim": 4, "depth": 0}},
    "pixels": {"recipe": "prior", "dials": {"layers": 1, "heads": 2, "dropout": 0.0}},
}
PARTS = {"objective": "model/", "average": "average/", "moments": "optimizer-model/"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every recipe by one process, by one in four parts, by two, and sharded over two."""
    folder = tmp_path_factory.mktemp("runs")

    def jobs(kind: str, **more: Any) -> list[dict[str, Any]]:
        return [
            {**job, **more, "steps": STEPS, "output": str(folder / f"{kind}-{name}")} for name, job in RECIPES.items()
        ]

    two = jobs("two") + [{**j, "sharded": True} for j in jobs("sharded")]
    two += [{"recipe": "toy", "steps": STEPS, "output": str(folder / "two-toy")}]
    two += [{"recipe": "toy", "steps": STEPS, "output": str(folder / "sharded-toy"), "sharded": True}]
    two += [{"recipe": "vae", "steps": STEPS, "output": str(folder / "odd"), "dials": {"batch": 33}}]
    one = jobs("one") + jobs("parts", micro=4) + [{"recipe": "toy", "steps": STEPS, "output": str(folder / "one-toy")}]
    alone, pair = start(one, 1), start(two, 2)
    ((code, text),) = finish(alone)
    assert code == 0, text
    for code, text in finish(pair):
        assert code == 0, text
        assert "E-DST-24 --sharded: 2 players cannot be sharded, wanted one; leave out --sharded" in text
        assert "E-DST-02 --batch: 33 does not divide by 2 processes of 1 parts; use a number of processes" in text
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_parts_of_a_batch_are_the_batch(name: str, runs: Path) -> None:
    assert largest_difference(runs / f"one-{name}", runs / f"parts-{name}", "model/") < 1e-5


@pytest.mark.parametrize("name", [*RECIPES, "toy"])
def test_two_processes_are_one(name: str, runs: Path) -> None:
    for part in ("model/", "average/", "optimizer-"):
        # Moments are sums of squares of gradients of size 1,000: they are compared by their relation to that.
        limit = 1e-5 if part != "optimizer-" else 1.0
        assert largest_difference(runs / f"one-{name}", runs / f"two-{name}", part) < limit


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_that_share_the_parameters_are_one(name: str, runs: Path) -> None:
    """The checkpoint was written by two sharded processes and is read by this one."""
    # Muon makes its updates orthogonal in bf16, whose roundings depend on how a product is divided.
    limit = 1e-3 if name == "pixels" else 1e-5
    assert largest_difference(runs / f"one-{name}", runs / f"sharded-{name}", "model/") < limit
    assert largest_difference(runs / f"one-{name}", runs / f"sharded-{name}", "average/") < limit


SMALL_GAN: dict[str, Any] = {"latent": 4, "width": 8, "depth": 1, "batch": 16}
SMALL_PRIOR: dict[str, Any] = {"layers": 1, "heads": 2, "dropout": 0.0, "width": 16, "batch": 16}
TRANSLATION: dict[str, Any] = {"network": "auto", "width": 4, "downsample": 4, "batch": 4}
# Every recipe; those of `RECIPES` above are compared more closely.
EVERY: dict[str, dict[str, Any]] = {
    "vae": {},
    "autoencoder": {},
    "gan": {"dials": SMALL_GAN},
    "cgan": {"dials": SMALL_GAN},
    "vqvae": {"dials": {"codebook_size": 16, "code_dim": 4, "depth": 1, "width": 8, "batch": 16}},
    "vqvae2": {"dials": {"codebook_size": 16, "code_dim": 4, "depth": 1, "width": 8, "batch": 16}},
    "prior": {"dials": SMALL_PRIOR},
    "vqvae+prior": {"dials": {**SMALL_PRIOR, "codebook_size": 16, "codec_steps": 3}},
    "discriminant": {},
    "discriminative": {"dials": {"network": "mlp"}},
    "generative": {"dials": {"density": "vae", "width": 16, "latent": 4}},
    "density": {"dials": {"method": "vae", "width": 16, "latent": 4}},
    "pix2pix": {"data": "pairs", "dials": TRANSLATION},
    "colorize": {"data": "photos", "dials": TRANSLATION},
    "stylize": {"data": "photos", "dials": {"width": 4, "batch": 4}, "options": {"style": "photos"}},
}


def test_every_recipe_is_here() -> None:
    assert set(EVERY) == set(ALL)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every recipe by one process and by two."""
    folder = tmp_path_factory.mktemp("every")
    draw = np.random.default_rng(0)
    for place in ("photos", "pairs/a", "pairs/b"):
        (folder / place).mkdir(parents=True)
        for number in range(24):
            values = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            (folder / place / f"{number:02}.png").write_bytes(png_bytes(values))

    def jobs(kind: str) -> list[dict[str, Any]]:
        found = []
        for name, job in EVERY.items():
            data = {"data": str(folder / job["data"])} if "data" in job else {}
            style = {"options": {"style": str(folder / job["options"]["style"])}} if "options" in job else {}
            found.append({**job, **data, **style, "recipe": name, "steps": 3, "output": str(folder / f"{kind}-{name}")})
        return found

    alone, pair = start(jobs("one"), 1), start(jobs("two"), 2)
    for processes in (alone, pair):
        for code, text in finish(processes, timeout=300):
            assert code == 0 and "E-" not in text, text
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_two_processes_train_every_recipe_as_one_does(name: str, every: Path) -> None:
    one, two = weights(every / f"one-{name}"), weights(every / f"two-{name}")
    assert one.keys() == two.keys()
    for which, value in one.items():
        if not which.startswith("optimizer-"):
            scale = max(1.0, float(value.double().abs().max()))
            assert float((value.double() - two[which].double()).abs().max()) < 1e-4 * scale, which


@pytest.mark.parametrize("name", ["elbo", "iwae", "conv"])
def test_the_logs_are_the_same_too(name: str, runs: Path) -> None:
    lines = {
        k: [e for e in RunFolder.open(runs / f"{k}-{name}").events() if e["event"] == "train"] for k in ("one", "two")
    }
    assert len(lines["one"]) == len(lines["two"]) == STEPS
    for a, b in zip(lines["one"], lines["two"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=1e-4)


def test_the_comparison_would_see_other_noise(runs: Path) -> None:
    """The power of the tests above: another objective is further away than their limit by orders of magnitude."""
    a, b = weights(runs / "one-elbo"), weights(runs / "one-iwae")
    assert max(float((a[n] - b[n]).abs().max()) for n in a if n.startswith("model/")) > 1e-3


@pytest.mark.slow
def test_resuming_with_another_number_of_processes(tmp_path: Path) -> None:
    """Ten steps by two processes (sharded ones too), then ten by one; or the other way round; against twenty by one."""
    job = {"recipe": "vae", "steps": 20}
    names = ("two", "sharded", "one")
    first = [{**job, "output": str(tmp_path / n), "stop": 10, "sharded": n == "sharded"} for n in names]
    again = {n: {"resume": str(tmp_path / n), "sharded": False} for n in names}
    for code, text in finish(start(first[:2], 2)):
        assert code == 0 and "stopped at step 10 of 20" in text, text
    for code, text in finish(
        start([first[2], {**job, "output": str(tmp_path / "whole")}, again["two"], again["sharded"]], 1)
    ):
        assert code == 0, text
    for code, text in finish(start([again["one"]], 2)):
        assert code == 0, text
    for name in names:
        assert RunFolder.open(tmp_path / name).checkpoints.newest()[0].step == 20
        assert largest_difference(tmp_path / "whole", tmp_path / name, "model/") < 1e-5


@pytest.mark.slow
def test_two_processes_resume_to_the_same_bits(tmp_path: Path) -> None:
    jobs = [{"recipe": "vae", "steps": 20, "output": str(tmp_path / "whole")}]
    jobs += [
        {"recipe": "vae", "steps": 20, "output": str(tmp_path / "run"), "stop": 13},
        {"resume": str(tmp_path / "run")},
    ]
    for code, text in finish(start(jobs, 2)):
        assert code == 0, text
    assert largest_difference(tmp_path / "whole", tmp_path / "run") == 0.0


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [e for e in map(json.loads, lines) if e["event"] == kind]


def wait_for_step(folder: Path, step: int, processes: list[subprocess.Popen[str]]) -> None:
    until = time.monotonic() + 90
    while not any(e["step"] >= step for e in events(folder, "train")):
        assert time.monotonic() < until and all(p.poll() is None for p in processes), [
            p.communicate() for p in processes
        ]
        time.sleep(0.02)


LONG = {"recipe": "vae", "steps": 100_000}


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_is_named_and_the_other_ends(victim: int, tmp_path: Path) -> None:
    processes = start([{**LONG, "output": str(tmp_path / "run")}], 2)
    wait_for_step(tmp_path / "run", 500, processes)
    begun = time.monotonic()
    processes[victim].kill()
    survivor = processes[1 - victim]
    out, error = survivor.communicate(timeout=60)
    assert time.monotonic() - begun < 30
    assert survivor.returncode == 75, out + error
    line = error.strip().splitlines()[-1]
    here = re.escape(socket.gethostname())
    pattern = rf"rank {victim} \({here}, pid {processes[victim].pid}\) died or left; resume with: seisei resume \S+run"
    assert re.search(pattern, line), error
    processes[victim].communicate()
    assert RunFolder.open(tmp_path / "run").checkpoints.newest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "number", "code"), [(0, signal.SIGTERM, 143), (1, signal.SIGTERM, 143), (1, signal.SIGINT, 130)]
)
def test_a_signal_to_one_rank_stops_both_at_the_same_step(victim: int, number: int, code: int, tmp_path: Path) -> None:
    processes = start([{**LONG, "output": str(tmp_path / "run")}], 2)
    wait_for_step(tmp_path / "run", 500, processes)
    begun = time.monotonic()
    processes[victim].send_signal(number)
    done = finish(processes, 30)
    assert time.monotonic() - begun < 10
    assert [c for c, _ in done] == [code, code], done
    steps = {re.search(r"stopped at step (\d+) of 100000", text)[1] for _, text in done}  # type: ignore[index]
    assert steps == {str(RunFolder.open(tmp_path / "run").checkpoints.newest()[0].step)}


@pytest.mark.slow
def test_torchrun_starts_any_run_unchanged(tmp_path: Path, runs: Path) -> None:
    job = {"recipe": "vae", "steps": STEPS, "output": str(tmp_path / "run")}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(DRIVER),
        json.dumps([job]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment(0, 1, 0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert largest_difference(runs / "two-elbo", tmp_path / "run", "model/") == 0.0


@pytest.mark.slow
def test_under_torchrun_too_the_one_that_is_left_says_who_died(tmp_path: Path) -> None:
    """torchrun terminates it within a tenth of a second, before it knows."""
    job = json.dumps([{**LONG, "output": str(tmp_path / "run"), "patience": 1.0}])
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(DRIVER), job]
    whole = subprocess.Popen(
        start, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(0, 1, 0)
    )
    wait_for_step(tmp_path / "run", 500, [whole])
    children = Path(f"/proc/{whole.pid}/task/{whole.pid}/children").read_text().split()
    ranks = {Path(f"/proc/{pid}/environ").read_bytes().split(b"\0RANK=")[1][:1]: int(pid) for pid in children}
    os.kill(ranks[b"1"], signal.SIGKILL)
    _, error = whole.communicate(timeout=120)
    here = re.escape(socket.gethostname())
    pattern = rf"rank 1 \({here}, pid {ranks[b'1']}\) died or left; resume with: seisei resume \S+run\n"
    assert re.search(pattern, error) and whole.returncode != 0, error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}, "RANK: 2, wanted 0 to 1"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "environment: MASTER_ADDR and MASTER_PORT not set"),
        (
            {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
            "environment: invalid literal",
        ),
    ],
)
def test_a_half_made_environment_is_refused(
    changes: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seisei.errors import UserError
    from seisei.training.engine import Engine, Execution

    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=re.escape(words)):
        Engine(Execution(backend_tuning=False))


def test_processes_that_do_not_meet_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from seisei.errors import UserError
    from seisei.training import engine

    monkeypatch.setattr(engine, "MEETING", timedelta(seconds=1))
    for name, value in {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="2 processes could not connect at 127.0.0.1") as caught:
        engine.Engine(engine.Execution(backend_tuning=False))
    assert caught.value.code == "E-DST-13" and "\n" not in str(caught.value)
    assert not torch.distributed.is_initialized()
