"""What a full disk, a kill or a damaged file leave of checkpoints: the old, the new, never half."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tidemark.checkpoints.store import CheckpointStore, NodeRecord
from tidemark.files import write_aside

NODE = "median_impute.ridge.train"

# Writes a checkpoint and is killed when the given number of files have been moved into place.
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from tidemark.checkpoints.store import CheckpointStore, NodeRecord

folder, node, survives = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
really_replace, moved = os.replace, []

def replace(source, target):
    if len(moved) == survives:
        os.kill(os.getpid(), signal.SIGKILL)
    really_replace(source, target)
    moved.append(target)

os.replace = replace
store = CheckpointStore(folder)
store.clear(node)
store.write(NodeRecord(node, "f", None, "killed", "2019-01-03", status="finished"))
"""


@pytest.mark.parametrize("fails_at", [0, 1])
@pytest.mark.parametrize("step", ["write", "move"])
def test_store_write_that_fails_midway_leaves_no_ok_and_no_half_json(
    store: CheckpointStore,
    record: NodeRecord,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    fails_at: int,
) -> None:
    """A full disk, at either file and either step, leaves the old record or the new, never half."""
    store.write(record)
    store.clear(NODE)
    calls = []

    def refuse_move(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        really_replace(source, target)

    def refuse_write(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) > fails_at:
            really_write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return really_write(path, content)

    really_replace, really_write = os.replace, Path.write_bytes
    with monkeypatch.context() as patch:
        if step == "move":
            patch.setattr(os, "replace", refuse_move)
        else:
            patch.setattr(Path, "write_bytes", refuse_write)
        with pytest.raises(OSError, match="No space left"):
            store.write(replace(record, run_id="newer"))

    assert not store.is_finished(NODE)
    assert [path.name for path in folder.iterdir()] == [f"{NODE}.json"]
    stored = store.read(NODE)
    assert stored is not None
    assert stored.run_id == (record.run_id if fails_at == 0 else "newer")


@pytest.mark.parametrize("survives", [0, 1])
def test_store_writer_killed_midway_leaves_a_whole_json_and_no_ok(
    store: CheckpointStore, record: NodeRecord, folder: Path, survives: int
) -> None:
    """A kill before either file is in place leaves a record that can be read and no mark."""
    store.write(record)

    command = [sys.executable, "-c", KILLED_WRITER, str(folder), NODE, str(survives)]
    killed = subprocess.run(command, check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert not store.is_finished(NODE)
    stored = store.read(NODE)
    assert stored is not None
    assert stored.run_id == (record.run_id if survives == 0 else "killed")
    assert list(store.finished()) == []


@pytest.mark.parametrize("content", ["whole", "truncated", "empty", "zeros", "binary", "list"])
def test_store_read_gives_only_what_is_whole(
    store: CheckpointStore, record: NodeRecord, folder: Path, content: str
) -> None:
    """A damaged checkpoint is as good as none: reading gives None and does not fail."""
    store.write(record)
    path = folder / f"{NODE}.json"
    whole = path.read_bytes()
    damaged = {"whole": whole, "truncated": whole[:-20], "empty": b"", "zeros": b"\0" * 64}
    path.write_bytes({**damaged, "binary": b"\xff\xfe\x80", "list": b"[1]"}[content])

    assert store.read(NODE) == (record if content == "whole" else None)
    assert store.find(NODE).is_torn is (content != "whole")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 1}, "its checkpoint has format 1, not 2"),
        ({"format": None}, "its checkpoint has format None, not 2"),
        ({"unheard_of": 1}, "its checkpoint cannot be read"),
    ],
)
def test_store_read_of_another_format_gives_none(
    store: CheckpointStore,
    record: NodeRecord,
    folder: Path,
    change: dict[str, object],
    problem: str,
) -> None:
    """A checkpoint of another version of the project is not guessed at, and it is said why."""
    store.write(record)
    changed = {**asdict(record), **change}
    (folder / f"{NODE}.json").write_text(json.dumps(changed), encoding="utf-8")

    assert store.read(NODE) is None
    assert store.find(NODE).problem == problem


def test_write_aside_interrupted_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt, which is no ordinary error, leaves the old text and no second file."""
    path = tmp_path / "state.json"
    write_aside(path, "old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_aside(path, "new")

    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
