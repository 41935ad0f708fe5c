"""The metrics store: one row for each run, cell and metric, in a database that SQL can ask.

SQLAlchemy is imported when a store is used, and not before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from tidemark.errors import TrackingError, mask
from tidemark.tracking.metric_rows import SCORED_ROWS, MetricRow

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Select, Table

TABLE, VIEW = "cell_metrics", "metric_history"  # MLflow, which may share a database, has `metrics`

_KEY = ("run_id", "study", "scenario", "model", "metric")

# Drivers that know how long they may try to connect, or wait for a lock.
_PATIENCE: dict[str, dict[str, Any]] = {
    "pysqlite": {"timeout": 15},
    "psycopg": {"connect_timeout": 10},
    "psycopg2": {"connect_timeout": 10},
    "pymysql": {"connect_timeout": 10},
    "mysqldb": {"connect_timeout": 10},
}
_SECRET = re.compile(r"passw|secret|token|key", re.I)


@dataclass(frozen=True)
class StoredCell:
    """What a run has left of one cell; ``daily`` counts from the data root."""

    status: str
    daily: str | None
    data_hash: str | None


class MetricsStore:
    """A database of metric rows.

    Parameters
    ----------
    uri : str
        A SQLAlchemy URL.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._engine: Engine | None = None

    @property
    def place(self) -> str:
        """The URL, without what it keeps secret."""
        return hide_secrets(self._uri, self._uri)

    def write(self, rows: Sequence[MetricRow]) -> None:
        """Add rows, or replace those of the same run, cell and metric: all of them or none.

        An MLflow run id that is known is not replaced by none.

        Raises
        ------
        TrackingError
            If the store cannot be written, with its masked place and why.
        """
        try:
            engine = self._engine = self._engine or _open_engine(self._uri)
            # Writers that meet take the same rows in the same order, and none waits for the other.
            ordered = sorted(rows, key=lambda row: [getattr(row, name) for name in _KEY])
            with engine.begin() as connection:
                _upsert(connection, [asdict(row) for row in ordered])
        except Exception as error:  # whatever a driver raises
            raise self._explain(error) from error

    def list_runs(self) -> list[str]:
        """List the ids of all runs, the newest first.

        Raises
        ------
        TrackingError
            If the store cannot be read.
        """
        from sqlalchemy import func, select

        table = _table()
        newest = func.max(table.c.started).desc()
        rows = self._read(select(table.c.run_id).group_by(table.c.run_id).order_by(newest))
        return [str(run_id) for (run_id,) in rows]

    def list_cells(self, run_id: str) -> dict[str, StoredCell]:
        """List the cells that a run has brought to an outcome, by ``scenario.model``.

        Raises
        ------
        TrackingError
            If the store cannot be read.
        """
        from sqlalchemy import select

        table = _table()
        columns = (table.c[name] for name in ("scenario", "model", "status", "daily", "data_hash"))
        rows = self._read(
            select(*columns).where(table.c.run_id == run_id, table.c.metric == SCORED_ROWS)
        )
        return {f"{scenario}.{model}": StoredCell(*about) for scenario, model, *about in rows}

    def _read(self, query: Select[Any]) -> list[Any]:
        try:
            engine = self._engine = self._engine or _open_engine(self._uri)
            with engine.connect() as connection:
                return list(connection.execute(query))
        except Exception as error:  # whatever a driver raises
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> TrackingError:
        reason = hide_secrets((str(error).splitlines() or [""])[0], self._uri)[:200]
        return TrackingError(f"{self.place}: {type(error).__name__}: {reason}")


def hide_secrets(text: str, uri: str) -> str:
    """Mask a text about a store: addresses, and what the store's URL keeps secret.

    Examples
    --------
    >>> hide_secrets("no host 'ss@db' for bob, p@ss", "postgresql://bob:p@ss@db/metrics")
    "no host '***@db' for bob, ***"
    """
    _, _, rest = uri.partition("://")
    password = rest.rpartition("@")[0].partition(":")[2]
    query = parse_qsl(rest.partition("?")[2])
    secrets = {password, unquote(password), *(value for key, value in query if _SECRET.search(key))}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"[^\s\"'<>/]*@", "***@", mask(text))  # a password cut at its own "@"


@cache
def _table() -> Table:
    from sqlalchemy import Column, Date, DateTime, Double, MetaData, String, Table, Text

    return Table(
        TABLE,
        MetaData(),
        Column("run_id", String(64), primary_key=True),
        Column("study", String(64), primary_key=True),
        Column("scenario", String(128), primary_key=True),
        Column("model", String(128), primary_key=True),
        Column("metric", String(128), primary_key=True),
        Column("value", Double, nullable=False),
        Column("low", Double),
        Column("high", Double),
        Column("level", Double),
        Column("block_length", Double),
        Column("status", String(16), nullable=False),
        Column("data_hash", String(64)),
        Column("code_hash", String(64)),
        Column("params_hash", String(64)),
        Column("as_of", Date),
        Column("mlflow_run_id", String(64)),
        Column("started", DateTime(timezone=True), nullable=False),
        Column("ended", DateTime(timezone=True)),
        Column("daily", Text),
    )


def _open_engine(uri: str) -> Engine:
    """Connect to a store, and make its table and its view if they are not there."""
    from sqlalchemy import NullPool, create_engine, make_url

    url = make_url(uri)
    database = url.database or "file:"
    if url.get_backend_name() == "sqlite" and not database.startswith("file:"):
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    patience = _PATIENCE.get(url.get_driver_name(), {})
    patience = {key: value for key, value in patience.items() if key not in url.query}
    engine = create_engine(url, poolclass=NullPool, connect_args=patience)
    _ensure_objects(engine)
    return engine


def _ensure_objects(engine: Engine) -> None:
    """Make the table and the view; several processes may do so at the same moment."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError

    for attempts_left in (3, 2, 1, 0):
        if inspect(engine).has_table(VIEW):
            return
        try:
            with engine.begin() as connection:
                _table().metadata.create_all(connection)
                connection.exec_driver_sql(f"CREATE VIEW {VIEW} AS {_history(engine)}")
        except DBAPIError:  # another one was faster, and may not have made both yet
            if not attempts_left:
                raise
            time.sleep(0.1)


def _history(engine: Engine) -> str:
    """Write the view's query as the database's dialect has it."""
    from sqlalchemy import func, select

    table = _table()
    age = func.row_number().over(
        partition_by=[table.c[name] for name in _KEY if name != "run_id"],
        order_by=[table.c.started.desc(), table.c.run_id.desc()],
    )
    return str(select(table, age.label("age")).compile(dialect=engine.dialect))


def _upsert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    from sqlalchemy import func

    insert, table = _find_insert(connection.dialect.name), _table()
    if insert is None:
        _replace(connection, rows)
        return
    statement = insert(table)
    new = {column.name: statement.excluded[column.name] for column in table.c}
    new["mlflow_run_id"] = func.coalesce(new["mlflow_run_id"], table.c.mlflow_run_id)
    changes = {name: value for name, value in new.items() if name not in _KEY}
    connection.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=changes), rows)


def _find_insert(dialect: str) -> Callable[..., Any] | None:
    """Find the insert that replaces, of the databases that agree on how it is said."""
    from sqlalchemy.dialects import postgresql, sqlite

    known: dict[str, Callable[..., Any]] = {
        "postgresql": postgresql.insert,
        "sqlite": sqlite.insert,
    }
    return known.get(dialect)


def _replace(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Delete and insert, for every other database."""
    from sqlalchemy import and_, bindparam, delete, insert, select

    table = _table()
    where = and_(*(table.c[name] == bindparam(f"own_{name}") for name in _KEY))
    keys = [{f"own_{name}": row[name] for name in _KEY} for row in rows]
    known = [connection.scalar(select(table.c.mlflow_run_id).where(where), key) for key in keys]
    connection.execute(delete(table).where(where), keys)
    both = zip(rows, known, strict=True)
    rows = [{**row, "mlflow_run_id": row["mlflow_run_id"] or before} for row, before in both]
    connection.execute(insert(table), rows)
