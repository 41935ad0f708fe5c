"""What a failing node takes with it, and what it leaves to others and to the next run."""

from __future__ import annotations

from typing import Any

import pytest
from kedro.io import DatasetError

from tidemark.errors import RunError
from tidemark.runner.freshness import State

NAMES = ("parse", "scale", "total", "count")


def test_run_with_a_failing_node_blocks_only_what_needs_it(ready: Any) -> None:
    """The siblings run to their end; the error tells what failed, how, and what was blocked."""
    ready.params["factor"] = 0
    spy = ready.run("r1")

    assert sorted(spy.ran) == ["count", "parse", "scale"]
    assert isinstance(spy.error, RunError)
    assert spy.error.exit_status == 1
    lines = str(spy.error).splitlines()
    assert lines[:2] == [
        "Failed: scale: ValueError: by zero",
        "Blocked, because they need what failed: total",
    ]
    assert "pipeline.log" in lines[2]
    assert "by zero" in spy.results["scale"].traceback
    record = ready.record("scale")
    assert (record.status, record.error) == ("failed", "ValueError: by zero")
    assert ready.store.read("total") is None
    assert ready.read("number") == {"count": 3}


def test_run_with_refused_data_has_the_status_that_says_so(ready: Any) -> None:
    """Refused data ends with 2, whatever else went on."""
    ready.params["factor"] = -1
    spy = ready.run("r1")

    assert isinstance(spy.error, RunError)
    assert spy.error.exit_status == 2
    assert spy.results["scale"].exit_status == 2


def test_run_with_a_failing_node_leaves_old_outputs_of_blocked_nodes(ran: Any) -> None:
    """What is blocked neither reads old data nor loses what it had made of it."""
    before = ran.files()
    ran.params["factor"] = 0
    ran.run("r2")
    after = ran.files()

    for name in ("sum.json", "scaled.json", "checkpoints/total.json", "checkpoints/total.ok"):
        assert after[name] == before[name]
    assert "checkpoints/scale.ok" not in after
    states = ran.judge()
    assert (states["scale"].state, states["total"].state) == (State.FAILED, State.STALE)
    ran.params["factor"] = 2
    spy = ran.run("r3")
    assert (spy.ran, spy.error) == (["scale"], None)  # the same again: its consumer stays fresh


def test_run_with_an_input_that_cannot_be_loaded_is_a_failure_of_its_node(ready: Any) -> None:
    """What fails before the function is called is recorded as well."""
    (ready.root / "source.txt").unlink()
    spy = ready.run("r1")

    assert spy.ran == ["parse"]
    assert str(spy.error).startswith("Failed: parse: DatasetError: source: ")
    assert "count, scale, total" in str(spy.error)
    record = ready.record("parse")
    assert (record.status, record.inputs) == ("failed", [])


def test_run_with_an_output_that_cannot_be_saved_is_a_failure_of_its_node(
    ran: Any, new_trouble: Any
) -> None:
    """What fails after the function has returned is no success, and the old file stays."""
    (ran.root / "source.txt").write_text("1 2 3 4", encoding="utf-8")
    spy = ran.run("r2", hooks=[new_trouble("numbers", DatasetError("the disk is gone"))])

    assert str(spy.error).startswith("Failed: parse: DatasetError: the disk is gone")
    assert not ran.store.is_finished("parse")
    assert ran.read("numbers") == [1, 2, 3]


def test_run_interrupted_leaves_its_node_begun_and_the_next_run_goes_on(ready: Any) -> None:
    """An interrupt passes at once; what was finished stays so."""
    ready.params["factor"] = 1000
    with pytest.raises(KeyboardInterrupt):
        ready.run("r1")

    assert ready.record("scale").status == "started"
    assert ready.judge()["scale"].reasons[0] == "run r1 ended while it ran"
    ready.params["factor"] = 2
    spy = ready.run("r2")
    assert spy.error is None
    assert "parse" not in spy.ran
    assert ready.read("sum") == {"total": 12}


def test_run_with_a_failed_cell_goes_on_and_fails_in_the_end(ready: Any) -> None:
    """A cell without a model has an outcome, which the report needs; the run says it failed."""
    ready.params["factor"] = 100
    spy = ready.run("r1")

    assert sorted(spy.ran) == sorted(NAMES)
    assert str(spy.error) == "Failed cell: no model works"
    assert ready.record("scale").incidents == [
        {"kind": "failed_cell", "message": "no model works", "facts": {}}
    ]
    assert ready.run("r2").ran == ["scale"]
