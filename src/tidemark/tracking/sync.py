"""Bring all runs of an outbox to MLflow, and their rows to the metrics store."""

from __future__ import annotations

import hashlib
import logging
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tidemark.errors import TrackingError
from tidemark.tracking.metric_rows import find_daily, read_rows
from tidemark.tracking.metrics_store import MetricsStore
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.writer import Writer

logger = logging.getLogger(__name__)

# MLflow's codes for a run that is gone or deleted; anything else says that the store is at fault.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")

# What a damaged record or a missing copy raises; anything else says that the store is at fault.
_DAMAGED = (ValueError, KeyError, TypeError, FileNotFoundError, pickle.UnpicklingError)


def sync_outbox(
    outbox: Outbox,
    settings: TrackingSettings,
    current: str | None = None,
    warn: Callable[[str], None] = logger.warning,
) -> int:
    """Send every run that waits, and close as KILLED those whose process has died.

    A run's rows go to the metrics store first, whether or not MLflow can be reached. It leaves the
    outbox when both have all of it.

    Parameters
    ----------
    outbox : Outbox
        Where runs wait.
    settings : TrackingSettings
        The stores that they go to.
    current : str, optional
        The id of this process's own run, whose lock it holds already.
    warn : callable
        Told once if the metrics store cannot be written; that is no error.

    Returns
    -------
    int
        Runs that are complete in MLflow and in the metrics store now.

    Raises
    ------
    Exception
        Whatever MLflow raises where it cannot be reached.
    """
    waiting = list(outbox.waiting())
    if not waiting:
        return 0
    rows, mlflow, done = _Rows(settings.metrics_uri(outbox.data_root)), _Mlflow(settings), 0
    for run in waiting:
        own = run.run_id == current
        if not own and not run.hold():
            logger.info("run %s is still going on; its records stay", run.run_id)
            continue
        try:
            if not run.exists:  # another process has sent it since it was listed
                continue
            if not own and run.end is None:
                daily = find_daily(run, outbox.data_root)
                now = datetime.now(UTC).isoformat()
                run.close("KILLED", now, "its process died", daily=daily)
                logger.warning("run %s had died; it is closed as KILLED", run.run_id)
            done += _bring(run, rows, mlflow)
        except _DAMAGED as error:
            if own:
                raise
            logger.warning("run %s cannot be read and stays in the outbox: %s", run.run_id, error)
        finally:
            if not own:
                run.release()
    if rows.failure is not None:
        runs = "1 run" if rows.missing == 1 else f"{rows.missing} runs"
        warn(
            f"The metrics store cannot be written ({rows.failure}). The rows of {runs} wait in "
            f"{outbox.root}; write them with 'kedro tracking sync'."
        )
    if mlflow.failure is not None:
        raise mlflow.failure
    return done


def _bring(run: OutboxRun, rows: _Rows, mlflow: _Mlflow) -> bool:
    """Bring a run as far as the stores allow; return whether both have it whole."""
    has_ended = run.end is not None
    if has_ended:
        rows.write(run)
    is_complete = mlflow.send(run) and has_ended and rows.write(run)  # MLflow's ids are known now
    if is_complete:
        run.remove()
    return is_complete


class _Rows:
    """The way of rows to the metrics store, which is asked no more once it has failed."""

    def __init__(self, uri: str) -> None:
        self._uri, self._store = uri, MetricsStore(uri)
        self._waiting: set[str] = set()
        self.failure: str | None = None

    @property
    def missing(self) -> int:
        """How many runs have rows that the store lacks."""
        return len(self._waiting)

    def write(self, run: OutboxRun) -> bool:
        """Write the rows of a run that has ended, unless it is noted that the store has them."""
        found, state = read_rows(run), run.state
        digest = hashlib.sha256(repr((self._uri, found)).encode()).hexdigest()
        if not found or state.get("rows") == digest:
            return True
        if self.failure is None:
            try:
                self._store.write(found)
            except TrackingError as error:
                self.failure = str(error)
            else:
                run.save_state({**state, "rows": digest})
                return True
        self._waiting.add(run.run_id)
        return False


class _Mlflow:
    """The way of records to MLflow, which is asked no more once it has failed."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._writer: Writer | None = None
        self.failure: Exception | None = None

    def send(self, run: OutboxRun) -> bool:
        """Send a run; what is wrong with the run itself is raised."""
        if self.failure is not None:
            return False
        try:
            self._writer = self._writer or self._open()
        except Exception as error:
            self.failure = error
            return False
        try:
            _send(self._writer, run)
        except _DAMAGED:
            raise
        except Exception as error:
            self.failure = error
        return self.failure is None

    def _open(self) -> Writer:
        _check_database(self._settings.tracking_uri)
        return Writer(self._settings)


def _send(writer: Writer, run: OutboxRun) -> None:
    """Send a run; one that somebody has deleted in MLflow meanwhile is sent anew."""
    from mlflow.exceptions import MlflowException

    try:
        writer.send(run)
    except MlflowException as error:
        if error.error_code not in _REFUSALS:
            raise
        logger.warning("MLflow refuses what it holds of run %s; sending it anew", run.run_id)
        run.save_state({"runs": {}, "sent": []})
        try:
            writer.send(run)
        except MlflowException as again:
            if again.error_code not in _REFUSALS:
                raise
            raise ValueError(str(again)) from again


def _check_database(uri: str) -> None:
    """Open a SQLite store once: MLflow would try for minutes to open one that cannot be."""
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=10)) as database:
            database.execute("PRAGMA schema_version")
