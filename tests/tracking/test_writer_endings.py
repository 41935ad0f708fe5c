"""How a run ended is told of each of its cells: finished, failed, killed, or not at all."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.sync import sync_outbox

Put = Callable[..., None]
Read = Callable[[TrackingSettings], dict[str, dict[str, Any]]]

RUN_ID = "2019-01-03T10.00.00.000Z"
PARENT = f"returns {RUN_ID}"
ENDED = "2019-01-03T10:00:09.000+00:00"

# Opens a run, records what standard input names, and is killed while it holds the run's lock.
KILLED_RUN = """
import json, os, signal, sys
from pathlib import Path
from tidemark.tracking.outbox import Outbox

given = json.load(sys.stdin)
run = Outbox(Path(sys.argv[1])).open(given["facts"]["run_id"], given["facts"])
for record in given["records"]:
    run.put(record["node"], record)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def run(outbox: Outbox, facts: dict[str, Any]) -> OutboxRun:
    """Open a run of three cells, none of which has a record yet."""
    svr = {"nodes": ["median_impute.svr.train"], "params": {"model": "svr"}}
    facts["studies"]["returns"]["cells"]["median_impute.svr"] = svr
    return outbox.open(RUN_ID, facts)


def _statuses(runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["status"] for name, one in runs.items()}


def test_sync_of_a_failed_run_tells_the_guilty_from_the_innocent(
    run: OutboxRun, outbox: Outbox, put: Put, store: TrackingSettings, runs_of: Read
) -> None:
    """Failed cell and parent are FAILED, a half-done cell KILLED, an untouched one absent."""
    put(run, "median_impute.ridge.train", 1)
    put(run, "median_impute.ridge.evaluate", 2, error="ModelError: no test rows")
    put(run, "median_impute.linear.train", 3)
    run.close("FAILED", ENDED, "ModelError: no test rows")

    assert sync_outbox(outbox, store, RUN_ID) == 1
    runs = runs_of(store)

    assert _statuses(runs) == {
        PARENT: "FAILED",
        "median_impute.ridge": "FAILED",
        "median_impute.linear": "KILLED",
    }
    assert runs[PARENT]["tags"]["tidemark.error"] == "ModelError: no test rows"
    assert runs["median_impute.ridge"]["tags"]["tidemark.error"] == "ModelError: no test rows"
    assert runs["median_impute.ridge"]["metrics"]["cv_rmse_mean"] == [(0, 0.025)]


def test_sync_of_a_failed_run_leaves_whole_cells_finished(
    run: OutboxRun, outbox: Outbox, put: Put, store: TrackingSettings, runs_of: Read
) -> None:
    """A cell whose nodes all finished before the failure is FINISHED and bears no error."""
    put(run, "median_impute.ridge.train", 1)
    put(run, "median_impute.ridge.evaluate", 2)
    put(run, "median_impute.linear.train", 3, error="ModelError: singular")
    run.close("FAILED", ENDED, "ModelError: singular")

    sync_outbox(outbox, store, RUN_ID)
    runs = runs_of(store)

    assert _statuses(runs) == {
        PARENT: "FAILED",
        "median_impute.ridge": "FINISHED",
        "median_impute.linear": "FAILED",
    }
    assert "tidemark.error" not in runs["median_impute.ridge"]["tags"]


def test_sync_of_a_cell_whose_outcome_is_failed_ends_it_as_failed(
    run: OutboxRun, outbox: Outbox, put: Put, store: TrackingSettings, runs_of: Read
) -> None:
    """Its nodes have finished, yet no model could be fitted; parent and others are as they were."""
    for second, name in ((1, "svr"), (3, "ridge")):
        put(run, f"median_impute.{name}.train", second)
        status = "failed" if name == "svr" else "fallback"
        put(run, f"median_impute.{name}.conclude", second + 1, status=status)
    run.close("FINISHED", ENDED)

    sync_outbox(outbox, store, RUN_ID)
    runs = runs_of(store)

    assert _statuses(runs) == {
        PARENT: "FINISHED",
        "median_impute.svr": "FAILED",
        "median_impute.ridge": "FINISHED",
    }
    failed, replaced = (runs[f"median_impute.{name}"]["tags"] for name in ("svr", "ridge"))
    assert (failed["status"], failed["tidemark.failed"]) == ("failed", "svr did not converge")
    assert (replaced["status"], replaced["tidemark.fallback"]) == (
        "fallback",
        "svr did not converge",
    )
    assert "tidemark.failed" not in replaced


def test_sync_of_an_interrupted_run_kills_what_was_begun(
    run: OutboxRun, outbox: Outbox, put: Put, store: TrackingSettings, runs_of: Read
) -> None:
    """After an interrupt the parent and half-done cells are KILLED; nothing stays RUNNING."""
    put(run, "median_impute.ridge.train", 1)
    put(run, "median_impute.ridge.evaluate", 2)
    put(run, "median_impute.linear.train", 3)
    run.close("KILLED", ENDED, "interrupted")

    sync_outbox(outbox, store, RUN_ID)

    assert _statuses(runs_of(store)) == {
        PARENT: "KILLED",
        "median_impute.ridge": "FINISHED",
        "median_impute.linear": "KILLED",
    }


def test_sync_of_a_run_that_fails_before_any_cell_has_only_the_parent(
    run: OutboxRun, outbox: Outbox, put: Put, store: TrackingSettings, runs_of: Read
) -> None:
    """Data that was refused gives a FAILED parent and not one empty child."""
    put(run, "median_impute.preprocess", 1, error="DataRefused: 3 rows")
    run.close("FAILED", ENDED, "DataRefused: 3 rows")

    sync_outbox(outbox, store, RUN_ID)

    assert _statuses(runs_of(store)) == {PARENT: "FAILED"}


def _record(node: str) -> dict[str, Any]:
    cell = node.rpartition(".")[0]
    return {
        "node": node,
        "study": "returns",
        "cell": cell,
        "status": "finished",
        "error": None,
        "started": "2019-01-03T10:00:01.000+00:00",
        "ended": "2019-01-03T10:00:02.000+00:00",
        "metrics": [["rmse", 0.02, 0]],
        "params": {},
        "tags": {},
        "artifacts": [],
        "model": None,
    }


def test_sync_of_a_run_whose_process_died_closes_it_as_killed(
    outbox: Outbox,
    facts: dict[str, Any],
    store: TrackingSettings,
    runs_of: Read,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The records of a process that was killed are sent by the next one, and its runs closed."""
    records = [
        _record(f"median_impute.{name}")
        for name in ("ridge.train", "ridge.evaluate", "linear.train")
    ]
    died = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, str(tmp_path / "data" / "outbox")],
        input=json.dumps({"facts": facts, "records": records}).encode(),
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL

    with caplog.at_level(logging.WARNING):
        done = sync_outbox(outbox, store)

    assert done == 1
    assert _statuses(runs_of(store)) == {
        PARENT: "KILLED",
        "median_impute.ridge": "FINISHED",
        "median_impute.linear": "KILLED",
    }
    assert list(outbox.waiting()) == []
    assert f"run {RUN_ID} had died; it is closed as KILLED" in caplog.text


def test_sync_of_a_run_that_goes_on_elsewhere_leaves_it_alone(
    run: OutboxRun, put: Put, store: TrackingSettings, runs_of: Read, tmp_path: Path
) -> None:
    """What a living process still writes is neither sent nor closed by another one."""
    put(run, "median_impute.ridge.train", 1)

    done = sync_outbox(Outbox(tmp_path / "data" / "outbox"), store)

    assert done == 0
    assert runs_of(store) == {}
    assert run.end is None
    assert [name for name, _ in run.records()] == ["median_impute.ridge.train"]
