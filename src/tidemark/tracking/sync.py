"""Bring all runs of an outbox to MLflow."""

from __future__ import annotations

import logging
import pickle
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.writer import Writer

logger = logging.getLogger(__name__)

# MLflow's codes for a run that is gone or deleted; anything else says that the store is at fault.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")

# What a damaged record or a missing copy raises; anything else says that the store is at fault.
_DAMAGED = (ValueError, KeyError, TypeError, FileNotFoundError, pickle.UnpicklingError)


def sync_outbox(outbox: Outbox, settings: TrackingSettings, current: str | None = None) -> int:
    """Send every run that waits, and close as KILLED those whose process has died.

    Parameters
    ----------
    outbox : Outbox
        Where runs wait.
    settings : TrackingSettings
        The store that they go to.
    current : str, optional
        The id of this process's own run, whose lock it holds already.

    Returns
    -------
    int
        Runs that are complete in MLflow now.
    """
    waiting = list(outbox.waiting())
    if not waiting:
        return 0
    _check_database(settings.tracking_uri)
    writer, done = Writer(settings), 0
    for run in waiting:
        own = run.run_id == current
        if not own and not run.hold():
            logger.info("run %s is still going on; its records stay", run.run_id)
            continue
        try:
            if not run.exists:  # another process has sent it since it was listed
                continue
            if not own and run.end is None:
                run.close("KILLED", datetime.now(UTC).isoformat(), "its process died")
                logger.warning("run %s had died; it is closed as KILLED", run.run_id)
            ended = run.end is not None
            _send(writer, run)
            done += ended
        except _DAMAGED as error:
            if own:
                raise
            logger.warning("run %s cannot be read and stays in the outbox: %s", run.run_id, error)
        finally:
            if not own:
                run.release()
    return done


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
