"""A node is tried again as if it had never been begun, in this run, in the next, and elsewhere."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Node

from tidemark import incidents
from tidemark.runner.runner import Conduct

ROOT = Path(__file__).parents[2]
AT_ONCE = {"first_delay_seconds": 0, "jitter_seconds": 0}


def split(numbers: list[int]) -> tuple[list[int], list[int]]:
    """Tell small numbers from large ones, and say whether a failure would be final."""
    incidents.report("fallback", f"last: {incidents.is_last_attempt()}")
    return [one for one in numbers if one < 3], [one for one in numbers if one >= 3]


def double(numbers: list[int]) -> list[int]:
    """Double numbers."""
    return [2 * number for number in numbers]


def die_once(numbers: list[int], marker: str) -> list[int]:
    """End the worker the first time, as a system without memory does."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers


@pytest.fixture
def splitting(bench: Any) -> Any:
    """Wire a node with two versioned outputs."""
    bench.add_files("numbers")
    bench.add_files("low", "high", versioned=True)
    bench.root.mkdir()
    (bench.root / "numbers.json").write_text("[1, 2, 3]", encoding="utf-8")
    bench.pipeline = [Node(split, "numbers", ["low", "high"], name="split")]
    return bench


def _versions(bench: Any) -> list[set[str]]:
    folders = [bench.root / f"{name}.json" for name in ("low", "high")]
    return [{path.name for path in one.iterdir()} if one.is_dir() else set() for one in folders]


def test_try_after_a_failure_between_two_versions_succeeds_within_the_run(
    splitting: Any, new_trouble: Any
) -> None:
    """The version that the first try had saved makes room for that of the second."""
    splitting.retries["storage"] = {"attempts": 2, **AT_ONCE}
    spy = splitting.run("r1", hooks=[new_trouble("high", OSError("the disk is busy"))])

    assert spy.error is None
    assert _versions(splitting) == [{"r1"}, {"r1"}]
    failed = [{"number": 1, "error": "OSError: the disk is busy", "seconds_waited": 0}]
    assert splitting.record("split").attempts == failed
    assert list(spy.results["split"].attempts) == failed
    assert [one.name for one in splitting.record("split").outputs] == ["low", "high"]


def test_try_that_is_not_the_last_is_told_so_and_only_the_last_is_recorded(
    splitting: Any, new_trouble: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A source may fall back only when nobody will ask it again; earlier incidents are no news."""
    splitting.retries["jobs"] = {"split": {"nodes": ["split"], "attempts": 3, **AT_ONCE}}
    errors = [ConnectionResetError("gone"), TimeoutError("silent")]
    spy = splitting.run("r1", hooks=[new_trouble("low", *errors)])

    assert spy.error is None
    told = [text for text in caplog.messages if text.startswith("fallback")]
    assert told == ["fallback: last: False", "fallback: last: False", "fallback: last: True"]
    assert [one["number"] for one in splitting.record("split").attempts] == [1, 2]
    fallback = {"kind": "fallback", "message": "last: True", "facts": {}}
    assert splitting.record("split").incidents == [fallback]
    assert list(spy.results["split"].incidents) == [fallback]


def test_tries_that_are_used_up_are_all_recorded(splitting: Any, new_trouble: Any) -> None:
    """The error is the last one; the checkpoint tells of those before."""
    splitting.retries["storage"] = {"attempts": 2, **AT_ONCE}
    errors = [OSError("first"), OSError("second"), OSError("third")]
    spy = splitting.run("r1", hooks=[new_trouble("high", *errors)])

    assert "Failed: split: OSError: second" in str(spy.error)
    record = splitting.record("split")
    assert (record.status, record.error) == ("failed", "OSError: second")
    assert [one["error"] for one in record.attempts] == ["OSError: first"]


def test_fault_of_the_code_is_not_tried_again(splitting: Any, new_trouble: Any) -> None:
    """What the next try would meet unchanged ends the node at once."""
    splitting.retries["storage"] = {"attempts": 5, **AT_ONCE}
    spy = splitting.run("r1", hooks=[new_trouble("high", ValueError("wrong"))])

    assert "Failed: split: ValueError: wrong" in str(spy.error)
    assert splitting.record("split").attempts == []


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("has_older", [True, False])
def test_run_after_one_that_left_half_of_its_versions_removes_them(
    splitting: Any, new_trouble: Any, error: BaseException, has_older: bool
) -> None:
    """Versions of a run that failed or died are nobody's; those of runs that finished stay."""
    older = {"r0"} if has_older else set()
    if has_older:
        splitting.run("r0")
        (splitting.root / "numbers.json").write_text("[1, 2, 3, 4]", encoding="utf-8")
    with suppress(KeyboardInterrupt):
        splitting.run("r1", hooks=[new_trouble("high", error)])
    between = _versions(splitting)
    spy = splitting.run("r2")

    assert between == [{"r1"} | older, older]
    assert spy.error is None
    assert _versions(splitting) == [{"r2"} | older, {"r2"} | older]
    assert splitting.read("high") == ([3, 4] if has_older else [3])


def test_node_that_has_finished_in_this_run_is_not_run_twice(splitting: Any) -> None:
    """What a worker finished just before it died is taken over, not made again."""
    splitting.run("r1")
    finished = splitting.record("split")
    spy = splitting.run("r1", conduct=Conduct(is_forced=True))

    assert spy.results["split"].is_ok
    assert [one["message"] for one in spy.results["split"].incidents] == ["last: True"]
    assert splitting.record("split") == finished


def test_run_of_processes_goes_on_when_a_worker_is_killed(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies takes no run with it: its node begins again in another."""
    monkeypatch.syspath_prepend(ROOT)  # workers find the functions of this file by their names
    monkeypatch.delenv("KEDRO_MP_CONTEXT", raising=False)
    bench.add_files("numbers", "kept", "doubled", "twice")
    bench.root.mkdir()
    (bench.root / "numbers.json").write_text("[1, 2, 3]", encoding="utf-8")
    bench.params["marker"] = str(tmp_path / "died")
    bench.pipeline = [
        Node(double, "numbers", "doubled", name="double"),
        Node(die_once, ["doubled", "params:marker"], "kept", name="die"),
        Node(double, "kept", "twice", name="again"),
    ]
    spy = bench.run("r1", executor="processes", max_workers=2)

    assert spy.error is None
    assert spy.ran == ["double", "die", "again"]
    assert (tmp_path / "died").exists()
    assert bench.read("twice") == [4, 8, 12]
    assert {bench.record(name).status for name in spy.ran} == {"finished"}
    assert not bench.run("r2").begun
