"""What becomes a row: every figure of a cell that came to an outcome, and that a cell failed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemark.checkpoints.store import CheckpointStore, DataRecord, NodeRecord
from tidemark.tracking.metric_rows import MetricRow, find_daily, read_rows
from tidemark.tracking.outbox import Outbox, OutboxRun

Put = Callable[..., None]

RUN_ID = "2019-01-03T10.00.00.000Z"
CELL = "median_impute.ridge"
ENDED = "2019-01-03T10:00:09.000+00:00"
DAILY = "07_model_output/median_impute/ridge/daily.parquet/1/daily.parquet"


@pytest.fixture
def run(outbox: Outbox, facts: dict[str, Any]) -> OutboxRun:
    """Open a run of two cells that has no record yet."""
    run = outbox.open(RUN_ID, facts)
    run.release()
    return run


def _conclude(run: OutboxRun, put: Put, **changes: Any) -> None:
    """Record a cell's outcome, changed as it is told; a change to None takes a key away."""
    put(run, f"{CELL}.conclude", 3)
    path = run.file(f"{CELL}.outcome.json")
    changed = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: one for key, one in changed.items() if one is not None}))


def _values(rows: list[MetricRow]) -> dict[str, float]:
    return {row.metric: row.value for row in rows}


def test_rows_of_a_cell_hold_its_metrics_and_what_made_them(run: OutboxRun, put: Put) -> None:
    """One row for each metric, with its interval where it has one, and the run's facts on all."""
    put(run, f"{CELL}.evaluate", 2)
    _conclude(run, put)
    run.close("FINISHED", ENDED, None, {"returns": "ab" * 32}, {CELL: DAILY})
    run.save_state({"runs": {"returns": "p", f"returns/{CELL}": "child"}, "sent": []})

    shared = {
        "run_id": RUN_ID,
        "study": "returns",
        "scenario": "median_impute",
        "model": "ridge",
        "status": "ok",
        "data_hash": "ab" * 32,
        "code_hash": "c0de" * 4,
        "params_hash": "fab5" * 4,
        "as_of": date(2019, 1, 3),
        "mlflow_run_id": "child",
        "started": datetime(2019, 1, 3, 10, tzinfo=UTC),
        "ended": datetime(2019, 1, 3, 10, 0, 9, tzinfo=UTC),
        "daily": DAILY,
    }
    interval = {"low": 0.018, "high": 0.022, "level": 0.95, "block_length": 10.0}
    assert read_rows(run) == [
        MetricRow(**shared, metric="rmse", value=0.02, **interval),
        MetricRow(**shared, metric="r2", value=-0.001),
        MetricRow(**shared, metric="scored_rows", value=7.0),
    ]


def test_rows_of_an_older_outbox_lack_what_it_did_not_hold(
    run: OutboxRun, put: Put, facts: dict[str, Any]
) -> None:
    """The block length had another name once, and neither hashes nor losses were noted."""
    del facts["code_hash"], facts["studies"]["returns"]["params_hash"]
    (run.folder / "run.json").write_text(json.dumps(facts))
    _conclude(run, put, block_length=None, block_length_days=21)
    end = {"status": "FINISHED", "ended": ENDED, "error": None, "data_hash": {}}
    (run.folder / "end.json").write_text(json.dumps(end))

    row = read_rows(run)[0]

    assert (row.metric, row.block_length) == ("rmse", 21.0)
    assert (row.code_hash, row.params_hash, row.data_hash, row.daily) == (None,) * 4


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_rows_leave_out_what_is_no_number(run: OutboxRun, put: Put, value: float | None) -> None:
    """A metric that is not defined has no row, the end of an interval that is not defined none."""
    interval = {"low": value, "high": 0.3}
    _conclude(run, put, metrics={"r2": value, "mae": 0.2}, intervals={"mae": interval, "r2": {}})
    run.close("FINISHED", ENDED)

    mae, scored = read_rows(run)

    assert (mae.metric, mae.value, mae.low, mae.high) == ("mae", 0.2, None, 0.3)
    assert scored.metric == "scored_rows"


def test_rows_of_a_cell_that_fell_back_say_so(run: OutboxRun, put: Put) -> None:
    """A simpler model that stands in has figures, and its rows bear the mark."""
    _conclude(run, put, status="fallback")
    run.close("FINISHED", ENDED)

    rows = read_rows(run)

    assert _values(rows) == {"rmse": 0.02, "r2": -0.001, "scored_rows": 7.0}
    assert {row.status for row in rows} == {"fallback"}


@pytest.mark.parametrize("how", ["outcome", "node"])
def test_rows_of_a_failed_cell_are_one_without_scored_rows(
    run: OutboxRun, put: Put, how: str
) -> None:
    """History shows that a cell has failed, be it that no model fitted or that a node broke."""
    put(run, f"{CELL}.train", 2)
    if how == "outcome":
        _conclude(run, put, status="failed", metrics={"rmse": 0.5})
    else:
        put(run, f"{CELL}.evaluate", 3, error="ModelError: no test rows")
    run.close("FAILED", ENDED, "ModelError", {"returns": "ab"}, {CELL: DAILY})

    (row,) = read_rows(run)

    assert (row.metric, row.value, row.status) == ("scored_rows", 0.0, "failed")
    assert (row.study, row.scenario, row.model) == ("returns", "median_impute", "ridge")
    assert (row.data_hash, row.low, row.level, row.daily) == ("ab", None, None, None)


def test_rows_of_a_cell_that_was_not_finished_are_none(run: OutboxRun, put: Put) -> None:
    """What a run was cut short at, or was not asked for, is neither a result nor a failure."""
    put(run, "median_impute.preprocess", 1)
    put(run, f"{CELL}.train", 2)
    run.close("KILLED", ENDED)

    assert read_rows(run) == []


def test_rows_of_a_run_whose_copy_is_gone_are_refused(run: OutboxRun, put: Put) -> None:
    """A run that lost its outcome is not taken for one that had none."""
    _conclude(run, put)
    run.file(f"{CELL}.outcome.json").unlink()
    run.close("FINISHED", ENDED)

    with pytest.raises(FileNotFoundError, match="outcome"):
        read_rows(run)


@pytest.fixture
def evaluated(tmp_path: Path) -> NodeRecord:
    """Leave the checkpoint of a cell's evaluation, which saved losses by date."""
    root = tmp_path / "data"
    moment = "2019-01-03T10:00:02.500+00:00"
    record = NodeRecord(f"{CELL}.evaluate", "f", CELL, RUN_ID, moment, moment, status="finished")
    for name in ("predictions", "daily"):
        path = str(root / DAILY.replace("daily", name))
        record.outputs.append(DataRecord(f"{CELL}.{name}", path, "ab" * 32, 7))
    CheckpointStore(root / "checkpoints").write(record)
    return record


def test_daily_is_where_the_checkpoint_says_counted_from_the_data_root(
    run: OutboxRun, put: Put, evaluated: NodeRecord, tmp_path: Path
) -> None:
    """A data root that was moved finds the file again; a file outside of it keeps its place."""
    put(run, f"{CELL}.evaluate", 2)
    put(run, "median_impute.linear.evaluate", 3)

    assert find_daily(run, tmp_path / "data") == {CELL: DAILY}
    assert find_daily(run, tmp_path) == {}  # no checkpoints
    evaluated.outputs[1] = replace(evaluated.outputs[1], path="/srv/daily.parquet")
    CheckpointStore(tmp_path / "data/checkpoints").write(evaluated)
    assert find_daily(run, tmp_path / "data") == {CELL: "/srv/daily.parquet"}


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({}, True),
        ({"run_id": "an earlier run", "ended": "2019-01-02T10:00:00.000+00:00"}, True),
        ({"run_id": "a later run", "ended": "2019-01-04T10:00:00.000+00:00"}, False),
        ({"status": "failed"}, False),
        ({"outputs": []}, False),
    ],
)
def test_daily_is_that_of_the_run_or_of_what_it_went_on_from(
    run: OutboxRun,
    put: Put,
    evaluated: NodeRecord,
    tmp_path: Path,
    changes: dict[str, Any],
    is_found: bool,
) -> None:
    """The path is known unless the node has run again since, has failed, or saved nothing."""
    put(run, f"{CELL}.evaluate", 2)
    CheckpointStore(tmp_path / "data/checkpoints").write(replace(evaluated, **changes))

    assert (CELL in find_daily(run, tmp_path / "data")) == is_found


def test_daily_of_a_run_without_records_is_unknown(run: OutboxRun, tmp_path: Path) -> None:
    """A run that fails before its first node is closed like any other."""
    assert find_daily(run, tmp_path / "data") == {}
