"""A run's rows reach the metrics store once, whatever is away or dies on their way."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tidemark.checkpoints.store import CheckpointStore, DataRecord, NodeRecord
from tidemark.tracking.metrics_store import MetricsStore
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.sync import sync_outbox
from tidemark.tracking.writer import Writer

Put = Callable[..., None]
Read = Callable[[TrackingSettings], dict[str, dict[str, Any]]]

RUN_ID = "2019-01-03T10.00.00.000Z"
RIDGE, LINEAR = "median_impute.ridge", "median_impute.linear"
ENDED = "2019-01-03T10:00:09.000+00:00"
DOWN = TrackingSettings(enabled=True, required=False, tracking_uri="http://127.0.0.1:9")


@pytest.fixture
def run(outbox: Outbox, facts: dict[str, Any], put: Put) -> OutboxRun:
    """Leave a run whose two cells came to an outcome."""
    return _leave(outbox, facts, put, RUN_ID)


def _leave(outbox: Outbox, facts: dict[str, Any], put: Put, run_id: str) -> OutboxRun:
    run = outbox.open(run_id, facts)
    for second, cell in ((1, RIDGE), (4, LINEAR)):
        for offset, step in enumerate(("train", "evaluate", "conclude")):
            put(run, f"{cell}.{step}", second + offset)
    run.close("FINISHED", ENDED, None, {"returns": "ab" * 32})
    run.release()
    return run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Name the store that is used where none is named."""
    return tmp_path / "data" / "metrics.db"


def _rows(database: Path) -> dict[tuple[str, str], str | None]:
    """Read the cell and metric of each row, with its MLflow run."""
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute(
            "SELECT scenario || '.' || model, metric, mlflow_run_id FROM cell_metrics"
        ).fetchall()
    rows = {(cell, metric): known for cell, metric, known in found}
    assert len(rows) == len(found)
    return rows


EXPECTED = {(cell, name) for cell in (RIDGE, LINEAR) for name in ("r2", "rmse", "scored_rows")}


def _mlflow_ids(settings: TrackingSettings) -> dict[str, str]:
    client = MlflowClient(settings.tracking_uri)
    experiment = client.get_experiment_by_name("returns")
    runs = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run.info.run_id for run in runs}


def test_sync_writes_the_rows_of_a_run_with_its_children_in_mlflow(
    run: OutboxRun, outbox: Outbox, store: TrackingSettings, database: Path
) -> None:
    """Each cell's rows name its child run, and the run leaves the outbox."""
    assert sync_outbox(outbox, store) == 1

    ids = _mlflow_ids(store)
    assert _rows(database) == {(cell, name): ids[cell] for cell, name in EXPECTED}
    assert not run.exists
    assert sync_outbox(outbox, store) == 0
    assert _rows(database).keys() == EXPECTED


def test_sync_without_mlflow_writes_rows_and_a_later_one_fills_in_the_ids(
    run: OutboxRun, outbox: Outbox, store: TrackingSettings, database: Path
) -> None:
    """A server that is down costs a run nothing but the ids, and those only for a while."""
    for _ in range(2):
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            sync_outbox(outbox, DOWN)
        assert _rows(database) == dict.fromkeys(EXPECTED)
        assert run.exists

    assert sync_outbox(outbox, store) == 1
    ids = _mlflow_ids(store)
    assert _rows(database) == {(cell, name): ids[cell] for cell, name in EXPECTED}


def test_sync_without_mlflow_writes_the_rows_of_every_run_that_waits(
    run: OutboxRun, outbox: Outbox, facts: dict[str, Any], put: Put, database: Path
) -> None:
    """The first run that MLflow cannot take does not hold back the rows of the next."""
    _leave(outbox, facts, put, "2019-01-04T10.00.00.000Z")

    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        sync_outbox(outbox, DOWN)

    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute("SELECT run_id, count(*) FROM cell_metrics GROUP BY 1").fetchall()
    assert found == [(RUN_ID, 6), ("2019-01-04T10.00.00.000Z", 6)]


def test_sync_with_a_store_out_of_reach_warns_and_keeps_the_run_until_it_is_back(
    run: OutboxRun,
    outbox: Outbox,
    facts: dict[str, Any],
    put: Put,
    store: TrackingSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """MLflow has the runs, one warning names the remedy, and the rows come once they can."""
    _leave(outbox, facts, put, "2019-01-04T10.00.00.000Z")
    (tmp_path / "blocked").touch()
    database = tmp_path / "blocked" / "metrics.db"
    settings = store.model_copy(update={"metrics_store_uri": f"sqlite:///{database}"})

    with caplog.at_level(logging.WARNING):
        assert sync_outbox(outbox, settings) == 0

    (warning,) = (one.getMessage() for one in caplog.records if one.name.startswith("tidemark"))
    assert "The rows of 2 runs wait" in warning
    assert "kedro tracking sync" in warning
    assert str(database) in warning
    assert len(list(outbox.waiting())) == 2
    (tmp_path / "blocked").unlink()
    assert sync_outbox(outbox, settings) == 2
    assert list(outbox.waiting()) == []
    with closing(sqlite3.connect(database)) as opened:
        query = "SELECT count(*), count(mlflow_run_id), count(DISTINCT run_id) FROM cell_metrics"
        assert opened.execute(query).fetchone() == (12, 12, 2)


def test_sync_of_a_run_that_waits_for_the_store_alone_does_not_send_it_again(
    run: OutboxRun,
    outbox: Outbox,
    store: TrackingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What MLflow has whole is not sent once more with every start while the store is away."""
    (tmp_path / "blocked").touch()
    blocked = f"sqlite:///{tmp_path}/blocked/metrics.db"
    settings = store.model_copy(update={"metrics_store_uri": blocked})
    sync_outbox(outbox, settings)
    calls: list[str] = []
    for name in ("log_batch", "log_artifacts", "set_terminated", "create_run", "search_runs"):
        monkeypatch.setattr(MlflowClient, name, lambda *_, name=name, **__: calls.append(name))

    assert sync_outbox(outbox, settings) == 0
    assert run.exists
    assert calls == []


def test_sync_with_both_away_loses_nothing(
    run: OutboxRun, outbox: Outbox, store: TrackingSettings, database: Path, tmp_path: Path
) -> None:
    """Neither MLflow nor the store is there; when both are back, both get all."""
    database.mkdir()
    said: list[str] = []
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        sync_outbox(outbox, DOWN, warn=said.append)
    assert len(said) == 1
    database.rmdir()

    assert sync_outbox(outbox, store, warn=said.append) == 1
    assert len(said) == 1
    assert None not in _rows(database).values()
    assert _rows(database).keys() == EXPECTED


@pytest.mark.parametrize(
    ("owner", "method"),
    [(MetricsStore, "write"), (OutboxRun, "save_state"), (Writer, "send"), (OutboxRun, "remove")],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_sync_that_dies_at_any_step_is_taken_up_by_the_next(
    run: OutboxRun,
    outbox: Outbox,
    store: TrackingSettings,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    moment: str,
) -> None:
    """Before or after each step, the first time and every later one: rows are there once."""
    really = getattr(owner, method)
    patience = {"calls": 0, "limit": 0}

    def call(*args: Any, **kwargs: Any) -> Any:
        patience["calls"] += 1
        is_last = patience["calls"] > patience["limit"]
        if is_last and moment == "before":
            raise KeyboardInterrupt
        result = really(*args, **kwargs)
        if is_last:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(owner, method, call)
    deaths = 0
    while list(outbox.waiting()) and deaths < 40:
        patience.update(calls=0, limit=deaths)  # each one comes a step further
        try:
            sync_outbox(outbox, store)
        except KeyboardInterrupt:
            deaths += 1
    monkeypatch.undo()

    assert deaths
    assert not run.exists
    ids = _mlflow_ids(store)
    assert len(ids) == 3
    assert _rows(database) == {(cell, name): ids[cell] for cell, name in EXPECTED}


def test_syncs_at_the_same_moment_share_the_work(
    run: OutboxRun,
    outbox: Outbox,
    facts: dict[str, Any],
    put: Put,
    store: TrackingSettings,
    database: Path,
) -> None:
    """Each run is brought by one of them, and no row or MLflow run is made twice."""
    others = [f"2019-01-0{day}T10.00.00.000Z" for day in (4, 5)]
    for run_id in others:
        _leave(outbox, facts, put, run_id)
    done: list[int] = []
    syncs = [
        threading.Thread(target=lambda: done.append(sync_outbox(Outbox(outbox.root), store)))
        for _ in range(3)
    ]
    for one in syncs:
        one.start()
    for one in syncs:
        one.join()

    assert sum(done) == 3
    assert list(outbox.waiting()) == []
    with closing(sqlite3.connect(database)) as opened:
        query = "SELECT count(*), count(DISTINCT mlflow_run_id) FROM cell_metrics"
        assert opened.execute(query).fetchone() == (18, 6)


def test_sync_of_a_run_that_died_writes_its_rows_and_where_its_losses_lie(
    outbox: Outbox, facts: dict[str, Any], put: Put, store: TrackingSettings, database: Path
) -> None:
    """What a killed process had concluded is in the store after the next sync, with its file."""
    run = outbox.open(RUN_ID, facts)
    for second, step in enumerate(("train", "evaluate", "conclude")):
        put(run, f"{RIDGE}.{step}", second)
    put(run, f"{LINEAR}.train", 4)
    run.release()
    moment = "2019-01-03T10:00:01.500+00:00"
    record = NodeRecord(f"{RIDGE}.evaluate", "f", RIDGE, RUN_ID, moment, moment, status="finished")
    place = outbox.data_root / "07_model_output/daily.parquet"
    record.outputs = [DataRecord(f"{RIDGE}.daily", str(place), None, None)]
    CheckpointStore(outbox.data_root / "checkpoints").write(record)

    assert sync_outbox(outbox, store) == 1

    assert {cell for cell, _ in _rows(database)} == {RIDGE}
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute("SELECT DISTINCT daily FROM cell_metrics").fetchall()
    assert found == [("07_model_output/daily.parquet",)]


def test_sync_of_a_run_completed_after_its_end_brings_what_came_late(
    outbox: Outbox,
    facts: dict[str, Any],
    put: Put,
    store: TrackingSettings,
    runs_of: Read,
    database: Path,
) -> None:
    """A cell that is made whole while the store is away is whole in both in the end."""
    database.mkdir(parents=True)
    run = outbox.open(RUN_ID, facts)
    put(run, f"{RIDGE}.train", 1)
    put(run, f"{LINEAR}.conclude", 2)
    run.close("KILLED", ENDED, "interrupted")
    run.release()
    assert sync_outbox(outbox, store, warn=lambda _: None) == 0
    assert runs_of(store)[RIDGE]["status"] == "KILLED"

    put(run, f"{RIDGE}.evaluate", 3)
    put(run, f"{RIDGE}.conclude", 4)
    database.rmdir()
    assert sync_outbox(outbox, store) == 1

    assert runs_of(store)[RIDGE]["status"] == "FINISHED"
    assert _rows(database).keys() == EXPECTED


def test_sync_of_runs_without_results_makes_no_store(
    outbox: Outbox,
    facts: dict[str, Any],
    put: Put,
    store: TrackingSettings,
    database: Path,
) -> None:
    """A run that has just begun, and one that concluded no cell, have no rows and need no store."""
    over = outbox.open("2019-01-02T10.00.00.000Z", facts)
    put(over, "median_impute.preprocess", 1)
    over.close("FINISHED", ENDED)
    over.release()
    run = outbox.open(RUN_ID, facts)
    put(run, f"{RIDGE}.conclude", 2)

    assert sync_outbox(outbox, store, RUN_ID) == 1
    assert not database.exists()
    run.close("FINISHED", ENDED)
    assert sync_outbox(outbox, store, RUN_ID) == 1
    assert {cell for cell, _ in _rows(database)} == {RIDGE}


def test_sync_to_another_store_writes_the_rows_there(
    run: OutboxRun, outbox: Outbox, tmp_path: Path, database: Path
) -> None:
    """What one store has is no news of another: a change of configuration loses nothing."""
    other = tmp_path / "other.db"
    moved = DOWN.model_copy(update={"metrics_store_uri": f"sqlite:///{other}"})
    for settings in (DOWN, moved):
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            sync_outbox(outbox, settings)

    assert _rows(other) == _rows(database) == dict.fromkeys(EXPECTED)


def test_sync_warning_of_a_store_behind_a_password_does_not_show_it(
    run: OutboxRun, outbox: Outbox, store: TrackingSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says which server is out of reach, and nothing else of its address."""
    uri = "postgresql://bob:hunter2@127.0.0.1:9/metrics"

    with caplog.at_level(logging.DEBUG):
        sync_outbox(outbox, store.model_copy(update={"metrics_store_uri": uri}))

    assert "postgresql://***@127.0.0.1:9/metrics" in caplog.text
    assert "hunter2" not in caplog.text
    kept = [path.read_text() for path in run.folder.rglob("*.json")]
    assert kept
    assert not any("hunter2" in text for text in kept)
