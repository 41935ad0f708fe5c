"""The metrics store on a PostgreSQL server of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tidemark.errors import TrackingError
from tidemark.tracking.metric_rows import MetricRow
from tidemark.tracking.metrics_store import MetricsStore

MORNING = datetime(2019, 1, 3, 10, tzinfo=UTC)
ROW = MetricRow("run-0", "returns", "low", "ridge", "rmse", 0.02, "ok", MORNING)
PASSWORD = "hunter2"  # noqa: S105 - of a server that lives as long as these tests


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server behind a socket, and return the folder of the socket."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install 'psycopg[binary]'")
    commands = [shutil.which(name) for name in ("initdb", "pg_ctl")]
    if None in commands:
        pytest.skip("no PostgreSQL server is installed here")
    initdb, pg_ctl = (str(Path(str(name)).resolve()) for name in commands)
    user = _find_user()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pg") as folder:
        if user is not None:
            shutil.chown(folder, user)
        (Path(folder) / "password").write_text(PASSWORD, encoding="utf-8")
        (Path(folder) / "password").chmod(0o644)

        def call(*words: str) -> None:
            done = subprocess.run(
                words, user=user, cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr

        data = f"{folder}/data"
        secret = ["-A", "scram-sha-256", f"--pwfile={folder}/password"]
        call(initdb, "-D", data, "-U", "bob", "--no-sync", *secret)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        call(pg_ctl, "-D", data, "-l", f"{folder}/log", "-o", options, "-w", "start")
        yield folder
        call(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")


def _find_user() -> str | None:
    """Name who may start a server: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@pytest.fixture
def uri(server: str, request: pytest.FixtureRequest) -> str:
    """Make an empty database for one test."""
    import psycopg

    name = f"db_{abs(hash(request.node.name))}"
    with psycopg.connect(
        host=server, user="bob", password=PASSWORD, dbname="postgres", autocommit=True
    ) as opened:
        opened.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://bob:{PASSWORD}@/{name}?host={server}"


def _select(uri: str, query: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(uri.replace("+psycopg", "")) as opened:
        return opened.execute(query).fetchall()


def test_postgresql_takes_rows_and_replaces_them(uri: str) -> None:
    """The same rows again change nothing, new figures stand in, a known id is not lost."""
    full = replace(ROW, low=0.01, as_of=date(2019, 1, 3), mlflow_run_id="m", ended=MORNING)
    for value in (0.02, 0.02, 0.03):
        MetricsStore(uri).write([replace(full, value=value), replace(ROW, metric="mae")])
        full = replace(full, mlflow_run_id=None)

    found = _select(uri, "SELECT metric, value, low, as_of, mlflow_run_id, ended FROM cell_metrics")

    assert sorted(found) == [
        ("mae", 0.02, None, None, None, None),
        ("rmse", 0.03, 0.01, date(2019, 1, 3), "m", MORNING),
    ]


def test_postgresql_history_counts_from_the_newest(uri: str) -> None:
    """The view is that of every other database."""
    for day in (3, 1, 2):
        started = MORNING + timedelta(days=day)
        MetricsStore(uri).write([replace(ROW, run_id=f"run-{day}", started=started)])

    found = _select(uri, "SELECT run_id, age FROM metric_history ORDER BY age")

    assert found == [("run-3", 1), ("run-2", 2), ("run-1", 3)]


def test_postgresql_writers_that_begin_at_once_lose_and_double_nothing(uri: str) -> None:
    """Table and view are made once, and rows that several write at once are there once."""
    begin, failures = threading.Barrier(8), []

    def write(own: int) -> None:
        begin.wait()
        try:
            for run in range(own, own + 4):
                rows = [replace(ROW, run_id=f"run-{run}", metric=name) for name in ("r2", "mae")]
                MetricsStore(uri).write(rows if own % 2 else rows[::-1])
        except TrackingError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(own,)) for own in range(8)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()

    assert failures == []
    assert _select(uri, "SELECT count(*), count(DISTINCT run_id) FROM metric_history") == [(22, 11)]


def test_postgresql_that_refuses_a_password_does_not_show_it(uri: str) -> None:
    """What the server says is told; which password it was told is not."""
    wrong = uri.replace(PASSWORD, "swordfish")

    with pytest.raises(TrackingError, match="password authentication failed") as caught:
        MetricsStore(wrong).write([ROW])

    assert "swordfish" not in str(caught.value)
