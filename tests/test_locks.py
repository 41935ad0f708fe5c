"""One run at a time on one data root, whatever becomes of the one before."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemark.errors import EXIT_ERROR, RunError
from tidemark.locks import describe_owner, find_run, hold_data_root

# Holds a data root, says so, and lives until it is told to end.
OWNER = """
import sys
from pathlib import Path
from tidemark.locks import hold_data_root

with hold_data_root(Path(sys.argv[1]), "the-first", wait=False):
    print("held", flush=True)
    sys.stdin.read()
print("ended", flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a data root that does not exist yet."""
    return tmp_path / "out" / "data"


@contextmanager
def _owner(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", OWNER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def _let_end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def test_hold_notes_its_owner_and_takes_the_note_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run holds a root, whoever asks is told who it is; secrets are masked."""
    monkeypatch.setattr(sys, "argv", ["kedro", "run", "--params", "a=http://me:s3cret@host/x?k=1"])
    with hold_data_root(root, "run-1", wait=False):
        about = json.loads((root / ".run.json").read_text(encoding="utf-8"))
        owner = describe_owner(root)

    assert (about["run_id"], about["pid"]) == ("run-1", os.getpid())
    assert about["command"] == "kedro run --params a=http://***@host/x?***"
    assert owner == f"Run run-1 (process {os.getpid()}, since {about['started']})"
    assert not (root / ".run.json").exists()
    assert describe_owner(root) == "Another run"


def test_hold_of_a_held_root_without_waiting_names_its_owner(root: Path) -> None:
    """The second one ends at once, with the run and the process that it would have to wait for."""
    with _owner(root) as process:
        with pytest.raises(RunError, match=r"Run the-first \(process") as caught:
            hold_data_root(root, "the-second", wait=False).__enter__()

        assert f"process {process.pid}," in str(caught.value)
        assert str(root) in str(caught.value)
        assert "without --no-wait" in str(caught.value)
        assert caught.value.exit_status == EXIT_ERROR
        assert json.loads((root / ".run.json").read_text(encoding="utf-8"))["pid"] == process.pid


def test_hold_twice_in_one_process_is_refused_as_well(root: Path) -> None:
    """Two sessions of one process are two runs."""
    with (
        hold_data_root(root, "run-1", wait=False),
        pytest.raises(RunError, match="Run run-1"),
        hold_data_root(root, "run-2", wait=False),
    ):
        pytest.fail("held twice")


def test_hold_that_waits_goes_on_when_the_first_run_ends(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Waiting is said once, with whom it is for, and ends with the other run, not before."""
    with _owner(root) as process:

        def end_it_when_waited_for() -> None:
            deadline = time.monotonic() + 30
            while not caplog.messages and time.monotonic() < deadline:
                time.sleep(0.01)
            _let_end(process)

        thread = threading.Thread(target=end_it_when_waited_for)
        thread.start()
        with hold_data_root(root, "the-second", wait=True):
            process.wait(timeout=30)
            about = json.loads((root / ".run.json").read_text(encoding="utf-8"))
        thread.join()
        assert process.stdout is not None
        said = process.stdout.read()

    (message,) = caplog.messages
    assert message.startswith(f"Run the-first (process {process.pid},")
    assert "waiting for it to end" in message
    assert (said, process.returncode, about["run_id"]) == (b"ended\n", 0, "the-second")


def test_hold_after_a_killed_run_is_free_and_says_that_it_died(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The system gives the lock of a dead process back; the note that it left is not lost on us."""
    with _owner(root) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        was_held = find_run(root)
        with hold_data_root(root, "the-second", wait=False):
            about = json.loads((root / ".run.json").read_text(encoding="utf-8"))

    assert was_held is None
    assert about["run_id"] == "the-second"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"Run the-first (process {process.pid},")
    assert "had died" in record.getMessage()


def test_hold_after_a_run_that_ended_says_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One run after the other is how it should be, also when the first one failed."""
    with pytest.raises(ValueError, match="broken"), hold_data_root(root, "run-1", wait=False):
        raise ValueError("broken")
    with hold_data_root(root, "run-2", wait=False):
        pass

    assert caplog.messages == []


@pytest.mark.parametrize("content", [b"", b'{"run_id": ', b"[]", b"{}", b"\xff\xfe"])
def test_hold_with_a_torn_note_says_that_another_run_died(
    root: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A note that cannot be read keeps nobody from running."""
    root.mkdir(parents=True)
    (root / ".run.json").write_bytes(content)

    with hold_data_root(root, "run-1", wait=False):
        pass
    assert [message.partition(";")[0] for message in caplog.messages] == ["Another run had died"]


@pytest.mark.parametrize("place", ["file", "file/data", "file/deep/data"])
def test_hold_of_a_place_that_cannot_be_written_is_a_run_error(tmp_path: Path, place: str) -> None:
    """A place that is no folder, or is in none, is answered with what can be done about it."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(RunError, match=r"cannot be written: .*Give another --params data_root=DIR"):
        hold_data_root(tmp_path / place, "run-1", wait=False).__enter__()


def test_find_run_tells_a_running_run_from_none(root: Path) -> None:
    """Asking makes no folder, disturbs nobody and does not keep the lock."""
    before = find_run(root), root.exists()
    with _owner(root) as process:
        during = [find_run(root) for _ in range(3)]
        _let_end(process)
        process.wait(timeout=30)
        after = [find_run(root) for _ in range(3)]

    assert before == (None, False)
    assert after == [None] * 3
    assert len(set(during)) == 1
    assert during[0] is not None
    with hold_data_root(root, "run-1", wait=False):
        assert find_run(root) == "run-1"
