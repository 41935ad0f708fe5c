"""The metrics store takes each row once, from any number of writers, and shows no password."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemark.errors import TrackingError
from tidemark.tracking import metrics_store
from tidemark.tracking.metric_rows import MetricRow
from tidemark.tracking.metrics_store import MetricsStore, hide_secrets

DOCS = Path(__file__).parents[2] / "docs/checkpoints-and-tracking.md"
MORNING = datetime(2019, 1, 3, 10, tzinfo=UTC)

ROW = MetricRow(
    run_id="2019-01-03T10.00.00.000Z",
    study="returns",
    scenario="median_impute",
    model="ridge",
    metric="rmse",
    value=0.02,
    status="ok",
    started=MORNING,
    low=0.018,
    high=0.022,
    level=0.95,
    block_length=10.0,
    data_hash="ab" * 32,
    code_hash="c0de" * 4,
    params_hash="fab5" * 4,
    as_of=date(2019, 1, 3),
    mlflow_run_id=None,
    ended=MORNING + timedelta(seconds=9),
    daily="07_model_output/daily.parquet",
)

# Writes the runs that it is given, all three metrics of each, once a file says that all may begin.
WRITER = """
import sys, time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
import sqlalchemy
from tidemark.tracking.metric_rows import MetricRow
from tidemark.tracking.metrics_store import MetricsStore

uri, folder, own = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
(folder / f"{own}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.005)
for run in range(own, own + 4):
    started = datetime(2019, 1, 3, tzinfo=UTC) + timedelta(hours=run)
    row = MetricRow(f"run-{run}", "returns", "low", "ridge", "", run / 8, "ok", started)
    MetricsStore(uri).write([replace(row, metric=name) for name in ("rmse", "mae", "r2")])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database whose folder does not exist yet."""
    return tmp_path / "new" / "metrics.db"


def _store(path: Path) -> MetricsStore:
    return MetricsStore(f"sqlite:///{path}")


def _select(path: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


@pytest.fixture(params=["upsert", "delete and insert"])
def any_dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write as on SQLite and PostgreSQL, and as on a database of which nothing is known."""
    if request.param == "delete and insert":
        monkeypatch.setattr(metrics_store, "_find_insert", lambda _: None)


@pytest.mark.usefixtures("any_dialect")
def test_write_stores_every_column_of_a_row(path: Path) -> None:
    """What goes in is what SQL sees, dates and times as the database writes them."""
    _store(path).write([ROW, replace(ROW, metric="r2", value=-0.001, low=None, high=None)])

    r2, rmse = _select(path, "SELECT * FROM cell_metrics ORDER BY metric")

    assert rmse == {
        "run_id": "2019-01-03T10.00.00.000Z",
        "study": "returns",
        "scenario": "median_impute",
        "model": "ridge",
        "metric": "rmse",
        "value": 0.02,
        "low": 0.018,
        "high": 0.022,
        "level": 0.95,
        "block_length": 10.0,
        "status": "ok",
        "data_hash": "ab" * 32,
        "code_hash": "c0de" * 4,
        "params_hash": "fab5" * 4,
        "as_of": "2019-01-03",
        "mlflow_run_id": None,
        "started": "2019-01-03 10:00:00.000000",
        "ended": "2019-01-03 10:00:09.000000",
        "daily": "07_model_output/daily.parquet",
    }
    assert (r2["value"], r2["low"], r2["high"]) == (-0.001, None, None)


@pytest.mark.usefixtures("any_dialect")
def test_write_of_a_known_row_replaces_it(path: Path) -> None:
    """The same rows again change nothing, new figures stand in for old ones, no row is doubled."""
    rows = [ROW, replace(ROW, metric="r2"), replace(ROW, model="linear")]
    for _ in range(2):
        _store(path).write(rows)
    _store(path).write([replace(ROW, value=0.03, status="fallback", low=None)])

    found = _select(
        path, "SELECT model, metric, value, status, low FROM cell_metrics ORDER BY 1, 2"
    )

    assert [tuple(row.values()) for row in found] == [
        ("linear", "rmse", 0.02, "ok", 0.018),
        ("ridge", "r2", 0.02, "ok", 0.018),
        ("ridge", "rmse", 0.03, "fallback", None),
    ]


@pytest.mark.usefixtures("any_dialect")
def test_write_keeps_an_mlflow_run_that_is_known(path: Path) -> None:
    """The id is filled in when it is there, is replaced by another one, and is never lost."""
    seen = []
    for known in (None, "first", None, "second"):
        _store(path).write([replace(ROW, mlflow_run_id=known)])
        seen += _select(path, "SELECT mlflow_run_id AS id FROM cell_metrics")

    assert [row["id"] for row in seen] == [None, "first", "first", "second"]


def test_write_is_whole_or_absent(path: Path) -> None:
    """If one row is refused, none of its run is there: nobody takes half a run for a whole one."""
    broken = replace(ROW, metric="z", status=None)  # type: ignore[arg-type]

    with pytest.raises(TrackingError, match="NOT NULL"):
        _store(path).write([ROW, broken])

    assert _select(path, "SELECT * FROM cell_metrics") == []


def test_history_counts_runs_of_a_cell_and_metric_from_the_newest(path: Path) -> None:
    """Age 1 is the newest run of each study, scenario, model and metric, whatever was written."""
    days = {day: MORNING + timedelta(days=day) for day in (3, 1, 2)}
    for day, started in days.items():
        rows = [replace(ROW, run_id=f"run-{day}", started=started)]
        rows.append(replace(rows[0], metric="mae"))
        rows += [replace(rows[0], model="linear")] if day == 1 else []
        _store(path).write(rows)

    found = _select(path, "SELECT model, metric, run_id, age FROM metric_history ORDER BY 1, 2, 4")

    assert [tuple(row.values()) for row in found] == [
        ("linear", "rmse", "run-1", 1),
        ("ridge", "mae", "run-3", 1),
        ("ridge", "mae", "run-2", 2),
        ("ridge", "mae", "run-1", 3),
        ("ridge", "rmse", "run-3", 1),
        ("ridge", "rmse", "run-2", 2),
        ("ridge", "rmse", "run-1", 3),
    ]


def test_history_holds_all_columns_of_the_rows(path: Path) -> None:
    """Whatever is asked of the table can be asked of the view."""
    _store(path).write([ROW])

    (row,) = _select(path, "SELECT * FROM cell_metrics")

    assert _select(path, "SELECT * FROM metric_history") == [{**row, "age": 1}]


def test_history_answers_the_documented_question(path: Path) -> None:
    """The queries in the documentation say how ridge has done over its last 30 runs."""
    for day in range(40):
        started = MORNING + timedelta(days=day)
        row = replace(ROW, run_id=f"run-{day:02}", started=started, value=day / 100)
        count = replace(row, metric="scored_rows", value=7.0, low=None, high=None)
        is_failed = day == 38
        failed = replace(count, value=0.0, status="failed")
        _store(path).write([failed] if is_failed else [row, count])
    last, failures = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)

    found = _select(path, last)
    (counted,) = _select(path, failures)

    assert len(found) == 30
    assert [row["value"] for row in found[:3]] == [0.39, 0.37, 0.36]
    assert {row["scenario"] for row in found} == {"median_impute"}
    assert (counted["runs"], counted["failed"]) == (30, 1)


def test_writers_that_begin_at_once_lose_and_double_nothing(path: Path, tmp_path: Path) -> None:
    """Eight processes make the store and write runs that overlap: each row is there, once."""
    words = [sys.executable, "-c", WRITER, f"sqlite:///{path}", str(tmp_path)]
    writers = [
        subprocess.Popen([*words, str(n)], stderr=subprocess.PIPE, text=True) for n in range(8)
    ]
    try:
        while len(list(tmp_path.glob("*.ready"))) < 8:
            assert all(one.poll() is None for one in writers)
        (tmp_path / "go").touch()
        said = [one.communicate(timeout=120)[1] for one in writers]
    finally:
        for one in writers:
            one.kill()

    assert said == [""] * 8
    found = _select(path, "SELECT run_id, metric, value, age FROM metric_history")
    assert sorted(tuple(row.values()) for row in found) == sorted(
        (f"run-{n}", metric, n / 8, 11 - n) for n in range(11) for metric in ("mae", "r2", "rmse")
    )


def test_store_without_its_view_makes_it(path: Path) -> None:
    """A process that died between table and view leaves a store that the next one completes."""
    _store(path).write([ROW])
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP VIEW metric_history")

    _store(path).write([replace(ROW, metric="r2")])

    assert len(_select(path, "SELECT * FROM metric_history")) == 2


def test_store_beside_the_tables_of_mlflow_leaves_them_alone(empty_database: Path) -> None:
    """One database may hold both: no name is taken twice."""
    names = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
    own = {metrics_store.TABLE, metrics_store.VIEW}

    assert own.isdisjoint(row["name"] for row in _select(empty_database, names))


def test_store_that_is_busy_for_good_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that another program holds is waited for, and then given up."""
    monkeypatch.setitem(metrics_store._PATIENCE, "pysqlite", {"timeout": 0.05})
    _store(path).write([ROW])

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="database is locked"):
            _store(path).write([replace(ROW, value=0.5)])

    _store(path).write([replace(ROW, value=0.5)])
    assert _select(path, "SELECT value FROM cell_metrics") == [{"value": 0.5}]


@pytest.mark.parametrize("kind", ["file for folder", "folder for file", "other table"])
def test_store_that_cannot_be_used_says_where_and_why(path: Path, kind: str) -> None:
    """The message holds the place, the kind of error, and one line of it."""
    path.parent.mkdir()
    if kind == "file for folder":
        path.parent.rmdir()
        path.parent.touch()
    elif kind == "folder for file":
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE cell_metrics (value REAL)")

    with pytest.raises(TrackingError, match=r"Error: \S") as caught:
        _store(path).write([ROW])

    assert str(caught.value).startswith(f"sqlite:///{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://bob:hunter2@127.0.0.1:9/db",
        "postgresql://bob:hunter2@x@127.0.0.1:9/db",
        "postgresql://bob:hunter2/x@127.0.0.1:9/db",
        "postgresql://bob:hunter2 x@127.0.0.1:9/db",
        "postgresql://bob:%68unter2@127.0.0.1:9/db",
        "postgresql://127.0.0.1:9/db?user=bob&password=hunter2",
        "unheard-of://bob:hunter2@127.0.0.1/db",
        "bob:hunter2@127.0.0.1",
        "sqlite:////dev/null/metrics.db?key=hunter2",
    ],
)
def test_message_of_a_store_out_of_reach_has_no_password(uri: str) -> None:
    """However an address is written, and whatever the driver says of it, nobody reads the key."""
    with pytest.raises(TrackingError) as caught:
        MetricsStore(uri).write([ROW])

    for said in (str(caught.value), MetricsStore(uri).place):
        assert "hunter2" not in said
        assert "%68unter2" not in said


def test_hidden_secrets_leave_the_rest_readable() -> None:
    """Who reads the message still learns where the store is and what is wrong."""
    uri = "postgresql://bob:hunter2@db.example:5432/metrics"

    said = hide_secrets(f'{uri}: authentication of "bob" by hunter2 failed', uri)

    expected = 'postgresql://***@db.example:5432/metrics: authentication of "bob" by *** failed'
    assert said == expected


def test_import_of_the_store_costs_no_library() -> None:
    """A command that writes no row does not wait for SQLAlchemy or MLflow."""
    code = (
        "import sys, json, tidemark.tracking.sync as s; json.dump(sorted(sys.modules), sys.stdout)"
    )
    words = [sys.executable, "-c", code]
    loaded = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)

    assert "tidemark.tracking.metrics_store" in loaded
    assert {"sqlalchemy", "mlflow", "pandas"}.isdisjoint(loaded)
