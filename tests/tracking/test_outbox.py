"""What waits for MLflow is whole or absent, and belongs to one living process at a time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tidemark.tracking.outbox import Outbox, OutboxRun

RUN_ID = "2019-01-03T10.00.00.000Z"

# Opens a run, says so, and lives until it is told to end.
OWNER = """
import sys
from pathlib import Path
from tidemark.tracking.outbox import Outbox

run = Outbox(Path(sys.argv[1])).open(sys.argv[2], {"studies": {}})
print("open", flush=True)
sys.stdin.read()
"""

# Puts a record, or notes a start, and is killed just before that would be moved into its place.
KILLED_PUT = """
import os, signal, sys
from pathlib import Path
from tidemark.tracking.outbox import OutboxRun

os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
getattr(OutboxRun(Path(sys.argv[1])), sys.argv[2])("a.train", {"ended": "1"})
"""


@pytest.fixture
def run(outbox: Outbox) -> Iterator[OutboxRun]:
    """Open a run, and give its lock back in the end."""
    run = outbox.open(RUN_ID, {"studies": {}})
    yield run
    run.release()


@contextmanager
def _owner(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", OWNER, str(folder), RUN_ID]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            yield process
        finally:
            process.kill()


def test_outbox_open_makes_a_run_that_waits_with_its_facts(outbox: Outbox, tmp_path: Path) -> None:
    """A run is there for any process as soon as it is open: facts, no end, nothing sent."""
    outbox.open(RUN_ID, {"studies": {"returns": {}}, "moment": Path("text")}).release()

    found = Outbox(tmp_path / "data" / "outbox").find(RUN_ID)

    assert found is not None
    assert found.facts == {"studies": {"returns": {}}, "moment": "text"}
    assert found.end is None
    assert found.state == {"runs": {}, "sent": []}
    assert list(found.records()) == []


def test_outbox_find_of_an_unknown_or_half_open_run_is_none(outbox: Outbox, tmp_path: Path) -> None:
    """A folder without facts is no run yet, neither found nor listed."""
    half = tmp_path / "data" / "outbox" / "half"
    assert list(outbox.waiting()) == []
    half.mkdir(parents=True)

    assert outbox.find("half") is None
    assert outbox.find("unknown") is None
    assert list(outbox.waiting()) == []


def test_outbox_waiting_is_oldest_first(outbox: Outbox) -> None:
    """Runs are sent in the order in which they began, whatever the disk's order is."""
    days = ["2019-01-03", "2018-12-31", "2019-01-02"]
    for day in days:
        outbox.open(f"{day}T10.00.00.000Z", {}).release()

    assert [one.run_id[:10] for one in outbox.waiting()] == sorted(days)


def test_outbox_lock_of_a_living_process_is_seen_by_another(outbox: Outbox, tmp_path: Path) -> None:
    """While its owner lives a run cannot be taken; when the owner ends in order, it can."""
    with _owner(tmp_path / "data" / "outbox") as process:
        (run,) = outbox.waiting()
        while_alive = run.hold()
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)

        assert (while_alive, run.hold()) == (False, True)
        run.release()


def test_outbox_lock_of_a_killed_process_is_free(outbox: Outbox, tmp_path: Path) -> None:
    """A kill leaves the lock's file but not the lock: nobody has to clear anything up."""
    with _owner(tmp_path / "data" / "outbox") as process:
        (run,) = outbox.waiting()
        assert not run.hold()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

        assert (run.folder / "lock").exists()
        assert run.hold()
        run.release()


def test_outbox_run_removed_while_it_is_taken_is_not_held(
    run: OutboxRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that another process removes at this very moment is not there any more."""

    def lose_folder(*_: object, **__: object) -> None:
        run.remove()
        raise FileNotFoundError(run.folder)

    monkeypatch.setattr(FileLock, "acquire", lose_folder)

    assert not OutboxRun(run.folder).hold()


def test_outbox_records_come_in_the_order_of_their_ends(run: OutboxRun) -> None:
    """Nodes that ended earlier are sent earlier; names decide between those that ended at once."""
    for name, ended in (("a", "3"), ("b", "1"), ("d", "2"), ("c", "2")):
        run.put(name, {"ended": ended, "when": Path("text")})

    assert [name for name, _ in run.records()] == ["b", "c", "d", "a"]
    assert dict(run.records())["b"] == {"ended": "1", "when": "text"}


def test_outbox_put_killed_midway_leaves_no_record(run: OutboxRun) -> None:
    """A process that dies while it writes a record leaves nothing that reads as one."""
    command = [sys.executable, "-c", KILLED_PUT, str(run.folder), "put"]
    killed = subprocess.run(command, check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert list((run.folder / "records").iterdir()) != []
    assert list(run.records()) == []


def test_outbox_start_killed_midway_is_no_node_that_began(run: OutboxRun) -> None:
    """Closing a run fails the nodes that began, and does not stumble over half a note."""
    run.start("b.train", {"status": "started"})
    command = [sys.executable, "-c", KILLED_PUT, str(run.folder), "start"]
    killed = subprocess.run(command, check=False, timeout=60)
    run.fail_started("killed", "2019-01-03")

    assert killed.returncode == -signal.SIGKILL
    assert len(list((run.folder / "started").iterdir())) == 1  # half a note
    expected = {"status": "failed", "error": "killed", "ended": "2019-01-03"}
    assert list(run.records()) == [("b.train", expected)]


def test_outbox_put_on_a_full_disk_keeps_the_earlier_record(
    run: OutboxRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that cannot be written again stays as it was."""
    run.put("a.train", {"ended": "1"})

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        run.put("a.train", {"ended": "2"})

    assert list(run.records()) == [("a.train", {"ended": "1"})]


def test_outbox_keep_copies_what_a_later_run_may_overwrite(run: OutboxRun, tmp_path: Path) -> None:
    """The copy has the bytes of its time, also when the original changes or goes."""
    source = tmp_path / "figure.png"
    source.write_bytes(b"first")
    name = run.keep(source, "a.figure.png")
    source.write_bytes(b"second")

    assert run.file(name).read_bytes() == b"first"


def test_outbox_close_keeps_the_first_word(run: OutboxRun) -> None:
    """How a run ended is said once: a later word does not change it."""
    daily = {"a.ridge": "07_model_output/daily.parquet"}
    ended = "2019-01-03T10:00:09+00:00"
    run.close("FAILED", ended, "ModelError: singular", {"returns": "ab"}, daily)
    run.close("KILLED", "2019-01-03T11:00:00+00:00", "its process died")

    assert run.end == {
        "status": "FAILED",
        "ended": ended,
        "error": "ModelError: singular",
        "data_hash": {"returns": "ab"},
        "daily": daily,
    }


def test_outbox_state_is_read_back(run: OutboxRun) -> None:
    """What MLflow has received survives the process that sent it."""
    state: dict[str, Any] = {"runs": {"returns": "abc"}, "sent": ["a.train"]}
    run.save_state(state)

    assert OutboxRun(run.folder).state == state


def test_outbox_removed_run_waits_no_more(run: OutboxRun, outbox: Outbox) -> None:
    """A run that is forgotten leaves no folder behind."""
    run.put("a", {"ended": "1"})
    run.remove()

    assert not run.folder.exists()
    assert list(outbox.waiting()) == []
    assert outbox.find(RUN_ID) is None
