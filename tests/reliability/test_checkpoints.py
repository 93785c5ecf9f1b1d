"""P2-P5: checkpoints are complete or absent, say themselves whether they are whole, and outlive a full disk."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import edit_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import ended, finished, forked, request, told, train

from seisei.errors import ResourceError, UserError
from seisei.training import checkpoint as checkpoints
from seisei.training.checkpoint import Checkpoints, read, room_for
from seisei.training.loop import Training
from seisei.training.run import RunFolder
from seisei.training.tensors import all_finite, from_bytes, replace_bytes, to_bytes
from seisei.workflows import train as workflow

TENSORS = {"model": {"w": torch.arange(300.0).reshape(30, 10), "b": torch.ones(3)}, "average": {"w": torch.zeros(40)}}
FILES = ["model.safetensors", "average.safetensors", "state.json", "manifest.json"]


@pytest.fixture
def folder(tmp_path: Path) -> Checkpoints:
    """Two checkpoints, of steps 10 and 20."""
    found = Checkpoints(tmp_path / "checkpoints")
    for step in (10, 20):
        found.save(step, TENSORS, {"step": step})
    return found


def test_what_was_written_is_read(folder: Checkpoints) -> None:
    found, notes = folder.newest()
    assert (found.step, found.state, notes) == (20, {"step": 20}, [])
    assert all(torch.equal(found.tensors[g][n], t) for g, group in TENSORS.items() for n, t in group.items())
    assert sorted(p.name for p in found.path.iterdir()) == sorted(FILES)
    assert folder.newest(exact=10)[0].step == 10
    with pytest.raises(UserError, match="no checkpoint of step 15; choose one of: 20, 10"):
        folder.newest(exact=15)


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flipped(data: bytes, chance: random.Random) -> bytes:
    at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """What a crash leaves of a file whose size was set first: a right-sized tail of zeros."""
    keep = chance.randrange(len(data))
    return data[:keep] + bytes(len(data) - keep)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [truncated, flipped, zeroed])
def test_every_damage_is_detected_by_name(
    name: str, damage: Callable[[bytes, random.Random], bytes], folder: Checkpoints
) -> None:
    path, chance = folder.folder / "step-00000020" / name, random.Random(0)
    data = path.read_bytes()
    for _ in range(30):
        worse = damage(data, chance)
        if worse == data:  # a tail that was zeros
            continue
        path.write_bytes(worse)
        try:
            found, notes = folder.newest()
        except UserError as error:
            raise AssertionError(f"{damage.__name__}: no way back") from error
        if found.step == 20:
            # The manifest alone is not hashed: a changed blank in it changes nothing.
            assert name == "manifest.json" and read(path.parent).tensors.keys() == TENSORS.keys()
            continue
        (note,) = notes
        assert "step-00000020" in note and note.endswith("using step 10 instead") and "\n" not in note
        assert name == "manifest.json" or name in note
    path.write_bytes(data)
    assert folder.newest()[0].step == 20


def test_a_missing_file_and_swapped_files_are_detected(folder: Checkpoints) -> None:
    newest = folder.folder / "step-00000020"
    for name in FILES:
        kept = (newest / name).read_bytes()
        (newest / name).unlink()
        found, (note,) = folder.newest()
        assert found.step == 10 and (
            "no manifest" in note if name == "manifest.json" else f"{name}: is missing" in note
        )
        (newest / name).write_bytes(kept)
    one, two = newest / "model.safetensors", newest / "average.safetensors"
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b), two.write_bytes(a)
    found, (note,) = folder.newest()
    assert found.step == 10 and re.search(r"average.safetensors: \d+ bytes, wanted \d+;", note)


def test_without_hashes_a_flipped_bit_would_pass(folder: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the tests above: a manifest that is believed."""
    path = folder.folder / "step-00000020" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    size = len(data)
    listing = json.loads((path.parent / "manifest.json").read_text())
    listing["files"][path.name] = {"bytes": size, "sha256": __import__("hashlib").sha256(data).hexdigest()}
    (path.parent / "manifest.json").write_text(json.dumps(listing))
    assert folder.newest()[0].step == 20


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a pipe", "endless"])
def test_what_is_no_regular_file_is_not_read(kind: str, name: str, folder: Checkpoints) -> None:
    """A pipe would wait for ever, and a device has no end."""
    victim = folder.folder / "step-00000020" / name
    victim.unlink()
    if kind == "pipe":
        os.mkfifo(victim)
    elif kind == "device":
        victim.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(folder.folder / "pipe")
        victim.symlink_to(folder.folder / "pipe")
    else:
        with open(victim, "wb") as file:
            file.truncate(1 << 42)
    found, (note,) = folder.newest()
    assert found.step == 10 and ("manifest" if name == "manifest.json" else name) in note


def test_a_link_to_the_same_content_is_read(folder: Checkpoints, tmp_path: Path) -> None:
    victim = folder.folder / "step-00000020" / "model.safetensors"
    victim.rename(tmp_path / "elsewhere")
    victim.symlink_to(tmp_path / "elsewhere")
    assert folder.newest()[0].step == 20


def test_a_checkpoint_under_the_name_of_another_step_is_refused(folder: Checkpoints) -> None:
    (folder.folder / "step-00000020").rename(folder.folder / "step-00000030")
    found, (note,) = folder.newest()
    assert found.step == 10 and "step-00000030: holds step 20, its name says 30" in note
    with pytest.raises(UserError, match="rename it back to step-00000020"):
        folder.newest(exact=30)
    edit_json(folder.folder / "step-00000030" / "manifest.json", lambda manifest: manifest.update(step=30))
    assert folder.newest()[0].step == 10, "its state knows better"


# ---- the run's own files ----


def run_of(path: Path) -> RunFolder:
    """A run with a recipe, a schema and the checkpoints of two steps."""
    run = RunFolder.create(path, "x")
    run.write("recipe.json", {"steps": 20})
    run.write("schema.json", {"x": 1})
    for step in (10, 20):
        run.checkpoints.save(step, TENSORS, {"step": step})
    return run


@pytest.mark.parametrize("name", ["recipe.json", "schema.json"])
def test_the_files_of_a_run_belong_to_its_checkpoints(name: str, tmp_path: Path) -> None:
    path = run_of(tmp_path / "run").path
    kept = (path / name).read_bytes()
    for worse in (kept.replace(b"1", b"2").replace(b"20", b"21"), b""):
        (path / name).write_bytes(worse)
        with pytest.raises(UserError, match=f"{name}: has changed since step-00000020 was written .*restore"):
            RunFolder.open(path).checkpoints.newest()
    (path / name).unlink()
    with pytest.raises(UserError, match=f"{name}: is missing"):
        RunFolder(path).checkpoints.newest()
    (path / name).write_bytes(kept)
    assert RunFolder.open(path).checkpoints.newest()[0].step == 20
    path.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "copied")
    assert RunFolder.open(tmp_path / "copied").checkpoints.newest()[0].step == 20


def test_a_recipe_that_the_program_changes_takes_all_checkpoints_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever instant it is killed, the file that is there, old or new, belongs to every checkpoint."""
    path = run_of(tmp_path / "run").path
    seen = 0

    def watched(target: Path, content: bytes) -> None:
        nonlocal seen
        replace_bytes(target, content)
        for step in (10, 20):
            assert RunFolder.open(path).checkpoints.newest(exact=step)[0].step == step
        seen += 1

    monkeypatch.setattr(checkpoints, "replace_bytes", watched)
    monkeypatch.setattr("seisei.training.run.replace_bytes", watched)
    run = RunFolder.open(path)
    run.write("recipe.json", {"steps": 30})
    assert seen == 3, "two manifests and the recipe"
    run.write("schema.json", {"x": 1})
    assert seen == 4, "what is the same changes no manifest"
    run.checkpoints.save(30, TENSORS, {"step": 30})
    assert RunFolder.open(path).checkpoints.newest()[0].step == 30


def test_a_checkpoint_of_another_run_does_not_become_one_of_this(tmp_path: Path) -> None:
    run, other = run_of(tmp_path / "run"), RunFolder.create(tmp_path / "other", "x")
    other.write("recipe.json", {"steps": 99})
    other.checkpoints.save(40, TENSORS, {"step": 40})
    shutil.copytree(other.checkpoints.folder / "step-00000040", run.checkpoints.folder / "step-00000040")
    for _ in range(2):
        found, (note,) = RunFolder.open(run.path).checkpoints.newest()
        assert found.step == 20 and "recipe.json: has changed since step-00000040 was written" in note
        RunFolder.open(run.path).write("recipe.json", {"steps": 50})


@pytest.mark.parametrize(
    "left", [[], [".lock"], [".lock", ".recipe.json.123.tmp"], [".lock", "recipe.json", ".schema.json.123.tmp"]]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_start_that_was_interrupted_does_not_block_its_name(left: list[str], overwrite: bool, tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir()
    for name in left:
        (place / name).write_text("{")
    if len(left) > 1:
        with pytest.raises(UserError, match="stopped before its first step"):
            RunFolder.open(place)
    made = RunFolder.create(place, "any", overwrite=overwrite)
    assert not {path.name for path in made.path.iterdir()} - {".lock"}


@pytest.mark.parametrize("kept", ["mine.txt", "checkpoints", ".hidden", "log.jsonl"])
def test_what_is_no_interrupted_start_is_not_removed(kept: str, tmp_path: Path) -> None:
    for name in (".lock", ".recipe.json.123.tmp", kept):
        (tmp_path / name).write_text("{")
    for overwrite in (False, True):
        with pytest.raises(UserError):
            RunFolder.create(tmp_path, "any", overwrite=overwrite)
    assert (tmp_path / kept).exists()


def test_when_none_is_whole_each_reason_is_given(folder: Checkpoints) -> None:
    for path in folder.paths():
        (path / "state.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"no checkpoint is intact: .*step-00000020/state.json.*step-00000010/state"
    ) as caught:
        folder.newest()
    assert caught.value.code == "E-RES-25"
    shutil.rmtree(folder.folder)
    with pytest.raises(UserError, match="holds no checkpoint"):
        folder.newest()
    (folder.folder.parent / "model.pt").touch()
    with pytest.raises(UserError, match="pickle formats are not loaded"):
        folder.newest()


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b"{}", b'{"format": 1}', b"[" * 100_000, b'{"format": 2, "step": 20, "files": {}}', b"\xff",
     b'{"format": 1, "step": 20, "files": {"../../secret": {"bytes": 1, "sha256": "0"}}}',
     b'{"format": 1, "step": 20, "files": {"a\\u0000": {"bytes": 1, "sha256": "0"}}}',
     b'{"format": 1, "step": 20, "files": {"": {"bytes": 1, "sha256": "0"}}}',
     b'{"format": 1, "step": 20, "files": {}}'],
)  # fmt: skip
def test_a_foreign_manifest_is_refused(manifest: bytes, folder: Checkpoints) -> None:
    (folder.folder / "step-00000020" / "manifest.json").write_bytes(manifest)
    assert folder.newest()[0].step == 10


def test_the_newest_are_kept(folder: Checkpoints) -> None:
    folder.keep = 3
    for step in range(30, 80, 10):
        folder.save(step, TENSORS, {})
    assert [int(p.name[5:]) for p in folder.paths()] == [70, 60, 50]
    assert not [p for p in folder.folder.iterdir() if p.name.startswith(".")]


def test_the_best_is_kept_whatever_comes_after_it(folder: Checkpoints) -> None:
    folder.pinned = 10
    for step in range(30, 80, 10):
        folder.save(step, TENSORS, {})
    assert folder.steps() == [70, 60, 10]
    folder.pinned = 60
    folder.save(80, TENSORS, {})
    assert folder.steps() == [80, 70, 60]
    folder.save(90, TENSORS, {})
    assert folder.steps() == [90, 80, 60]


def test_a_failed_removal_is_tried_again(folder: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_remove", lambda path: (_ for _ in ()).throw(OSError(errno.EBUSY, "busy")))
        folder.save(30, TENSORS, {})
    assert len(folder.paths()) == 3
    folder.save(40, TENSORS, {})
    assert [int(p.name[5:]) for p in folder.paths()] == [40, 30]


def test_what_a_killed_process_left_is_tidied(folder: Checkpoints) -> None:
    for name in (".step-00000030.17.tmp", ".step-00000005.old"):
        (folder.folder / name).mkdir()
    (folder.folder / "notes.txt").touch()
    folder.tidy()
    assert sorted(p.name for p in folder.folder.iterdir()) == ["notes.txt", "step-00000010", "step-00000020"]


def test_everything_is_forced_to_disk_in_order(folder: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, then their folder, then the rename, then the folder above; older ones are removed only afterwards."""
    trace: list[tuple[str, str]] = []
    fsync, rename, verify = os.fsync, os.rename, checkpoints.verify

    def traced_fsync(handle: int) -> None:
        trace.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def traced_rename(old: Any, new: Any) -> None:
        trace.append(("rename", os.path.basename(new)))
        rename(old, new)

    def traced_verify(path: Path) -> Any:
        trace.append(("verify", path.name))
        return verify(path)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    monkeypatch.setattr(checkpoints, "verify", traced_verify)
    folder.save(30, TENSORS, {})
    temporary = f".step-00000030.{os.getpid()}.tmp"
    assert trace == [
        *[("fsync", name) for name in FILES],
        ("fsync", temporary),
        ("verify", temporary),
        ("rename", "step-00000030"),
        ("fsync", "checkpoints"),
        ("rename", ".step-00000010.old"),
    ]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_leaves_the_older_ones(
    number: int, call: str, folder: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
        with pytest.raises(
            ResourceError, match="2 older checkpoints are intact; free some space, then resume"
        ) as caught:
            folder.save(30, TENSORS, {})
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    assert sorted(p.name for p in folder.folder.iterdir()) == ["step-00000010", "step-00000020"]
    assert folder.newest()[0].step == 20


def test_a_disk_that_lies_is_noticed(folder: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is read back before anything older is removed."""
    write = checkpoints.write_bytes
    monkeypatch.setattr(checkpoints, "write_bytes", lambda path, data: write(path, bytes(len(data))))
    with pytest.raises(ResourceError, match="cannot write"):
        folder.save(30, TENSORS, {})
    assert folder.newest()[0].step == 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_never_reaches_the_disk(bad: float, folder: Checkpoints) -> None:
    broken = {"model": TENSORS["model"], "optimizer-model": {"w/exp_avg": torch.tensor([0.0, bad])}}
    with pytest.raises(ValueError, match="optimizer-model: w/exp_avg is not finite"):
        folder.save(30, broken, {})
    assert len(folder.paths()) == 2


def test_what_is_not_finite_is_not_loaded_either(folder: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "all_finite", lambda values: None)
        folder.save(30, {"model": {"w": torch.tensor([float("nan")])}}, {})
    found, (note,) = folder.newest()
    assert found.step == 20 and "model.safetensors: w is not finite" in note
    assert all_finite({"i": torch.tensor([1]), "f": torch.ones(1)}) is None


def test_room_is_asked_for_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"MB free, 3 checkpoints need \d+ MB; free some space, or choose") as caught:
        room_for(tmp_path, 10**18, 3)
    assert caught.value.code == "E-TRN-22"
    room_for(tmp_path, 1, 3)


# A whole run on a disk that fills up.


def _fails_between(first: int, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    save, now = checkpoints.write_bytes, [0]
    advance = Training.advance

    def counted(training: Training) -> None:
        advance(training)
        now[0] = training.step

    def full(path: Path, data: bytes) -> None:
        if first <= now[0] <= last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(path, data)

    monkeypatch.setattr(Training, "advance", counted)
    monkeypatch.setattr(checkpoints, "write_bytes", full)


def test_training_goes_on_until_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole")
    _fails_between(20, 40, monkeypatch)
    run = train(tmp_path / "run")
    troubles = [e for e in run.events() if e["event"] == "trouble"]
    assert [e["step"] for e in troubles] == [24, 30, 36] and "2 older checkpoints are intact" in troubles[0]["what"]
    assert finished(run) == finished(whole)
    assert [e for e in told(run) if e["event"] != "trouble"] == told(whole)


def test_a_full_disk_at_the_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _fails_between(20, 999, patch)
        with pytest.raises(ResourceError) as caught:
            train(tmp_path / "run")
    assert caught.value.exit_code == 3
    run = RunFolder.open(tmp_path / "run")
    assert run.checkpoints.newest()[0].step == 18
    workflow.resume(run.path)
    assert finished(run) == finished(train(tmp_path / "whole"))


def test_a_run_may_be_told_to_stop_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_between(20, 40, monkeypatch)
    with pytest.raises(ResourceError):
        train(tmp_path / "run", on_disk_full="stop")
    assert RunFolder.open(tmp_path / "run").checkpoints.newest()[0].step == 18


def test_a_log_on_a_full_disk_holds_no_half_lines(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "test")
    run.log({"event": "a", "text": "x" * 100})

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 2**20))
        __import__("signal").signal(__import__("signal").SIGXFSZ, __import__("signal").SIG_IGN)
        for i in range(3):
            run.log({"event": "b", "i": i, "text": "y" * 90})
        before = [e["event"] for e in run.events()]
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
        run.log({"event": "c"})
        assert before == ["a"], before
        assert [e["event"] for e in run.events()] == ["a", "b", "b", "b", "c"]

    assert ended(forked(work, tmp_path / "output.txt")) == 0, (tmp_path / "output.txt").read_text()


SMALL_DISK = """
import sys, subprocess, pathlib
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", sys.argv[1]], check=True)
from seisei.training.checkpoint import Checkpoints
from seisei.errors import ResourceError
import torch
found = Checkpoints(pathlib.Path(sys.argv[1]) / "checkpoints", keep=5)
tensors = {"model": {"w": torch.ones(1_200_000)}}
saved = 0
for step in range(1, 5):
    try:
        found.save(step, tensors, {})
        saved += 1
    except ResourceError as error:
        print(error.exit_code, error)
        break
print(saved, found.newest()[0].step, found.newest(exact=1)[0].step, sorted(p.name for p in found.folder.iterdir()))
"""


def test_a_real_full_disk(tmp_path: Path) -> None:
    """A file system of 12 MB, mounted without being root: the third checkpoint of 4.8 MB does not fit."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("user namespaces are not available here: no small disk can be mounted")
    command = ["unshare", "-Urm", sys.executable, "-c", SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "mount" in done.stderr and "CalledProcessError" in done.stderr:
        pytest.skip("mounting a tmpfs is not permitted here")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("3 ") and "No space left on device); 2 older checkpoints are intact" in lines[0], done
    assert lines[1] == "2 2 1 ['step-00000001', 'step-00000002']"


# Files that nobody trusts.

GOOD = to_bytes({"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor([1, 2])})
NUMBERS = st.one_of(
    st.integers(-2, 80), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400]), st.none(), st.booleans(),
    st.floats(), st.text(max_size=3),
)  # fmt: skip
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.one_of(
            st.sampled_from(["F32", "I64", "F64", "BF16", "F8_E4M3", "F4", "F8_E8M0", "BOOL", "C64", "X"]), NUMBERS
        ),
        "shape": st.one_of(st.lists(NUMBERS, max_size=4), NUMBERS),
        "data_offsets": st.one_of(st.lists(NUMBERS, min_size=2, max_size=2), st.lists(NUMBERS, max_size=3), NUMBERS),
    }
)
HEADERS = st.dictionaries(
    st.text(max_size=5), st.one_of(ENTRIES, NUMBERS, st.dictionaries(st.text(max_size=3), NUMBERS))
)


def _reads_or_refuses(content: bytes) -> None:
    try:
        found = from_bytes(content, "file")
    except UserError as error:
        assert "\n" not in str(error)
        return
    held = sum(t.numel() * t.element_size() for t in found.values())
    assert held <= len(content), "more was made than the file holds"


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(HEADERS, st.binary(max_size=60))
def test_any_header_is_read_or_refused(header: dict[str, Any], body: bytes) -> None:
    data = json.dumps(header).encode()
    _reads_or_refuses(struct.pack("<Q", len(data)) + data + body)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_to_a_good_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        if not content:
            break
    _reads_or_refuses(bytes(content))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E-*-05"),
        (b"PK\x03\x04" + GOOD, "E-*-03"),
        (b"\x80\x04" + GOOD, "E-*-03"),
        (struct.pack("<Q", 2**63) + GOOD[8:], "E-*-05"),
        (struct.pack("<Q", 2) + b"{}" + b"x", "E-*-06"),
        (struct.pack("<Q", 2) + b"[]", "E-*-05"),
        (struct.pack("<Q", 60_000) + b"[" * 60_000, "E-*-05"),
        (struct.pack("<Q", 16) + b'{"a": 1, "a": 2}', "E-*-05"),
        (GOOD[:-1], "E-*-06"),
        (GOOD + b"\0", "E-*-06"),
    ],
)
def test_known_attacks_are_refused_by_code(content: bytes, code: str) -> None:
    with pytest.raises(UserError) as caught:
        from_bytes(content, "file")
    assert caught.value.code == code


def test_the_same_tensors_make_the_same_bytes() -> None:
    shared = torch.ones(4)
    assert to_bytes({"b": shared, "a": shared.view(2, 2)}) == to_bytes({"a": torch.ones(2, 2), "b": torch.ones(4)})
    assert from_bytes(to_bytes({}), "file") == {}


def test_a_run_refuses_before_it_starts_when_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(UserError, match="MB free, 3 checkpoints need"):
        workflow.start(request(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("length", [0x80, 0x280, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle_is_read(length: int) -> None:
    """Headers are padded to eight bytes, and one length in 32 begins with a pickle's first byte."""
    weights = {"a": torch.arange(6.0)}
    plain = to_bytes(weights)
    header = plain[8 : 8 + int.from_bytes(plain[:8], "little")].rstrip()
    padded = length.to_bytes(8, "little") + header.ljust(length) + plain[-24:]
    assert padded[:1] == b"\x80" or padded[:2] == b"PK"
    assert torch.equal(from_bytes(padded, "x.safetensors")["a"], weights["a"])
