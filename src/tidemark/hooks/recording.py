"""When nodes and runs are recorded.

The object lives once in every process. Between a node's start and its last save it keeps that
node's recorder; in the main process it also keeps the run's place in the outbox. Everything
else it finds in the catalog that it is given, so that workers which never saw the session
record just as well.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from tidemark import logs
from tidemark.checkpoints.recorder import NodeRecorder
from tidemark.checkpoints.store import CheckpointStore, NodeRecord
from tidemark.config import RUN_INFO, RunInfo
from tidemark.context import TidemarkContext, remember
from tidemark.errors import TrackingError, mask
from tidemark.processes import die_with_parent
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.records import TrackingRecord, track_kind
from tidemark.tracking.settings import TrackingSettings

logger = logging.getLogger(__name__)


@dataclass
class _InFlight:
    """A node between its start and its last save."""

    recorder: NodeRecorder
    tracked: TrackingRecord
    info: RunInfo
    outbox: OutboxRun | None
    task_log: logging.Handler


@dataclass
class _MainRun:
    """The run, in its main process."""

    info: RunInfo
    catalog: CatalogProtocol[Any, Any]
    studies: Mapping[str, Any]
    total: int
    outbox: OutboxRun | None
    done: int = 0
    warned: bool = False


class RecordingHooks:
    """Write checkpoints, logs and tracking records of every node, under any of Kedro's runners."""

    def __init__(self) -> None:
        self._in_flight: dict[str, _InFlight] = {}
        self._loading: dict[str, Node] = {}
        self._main: _MainRun | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Let no further node of this process begin."""
        self._stopped = True

    @hook_impl
    def after_context_created(self, context: TidemarkContext) -> None:
        """Let the registry read the configuration of this context."""
        remember(context)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Open the run's log and its place in the outbox, and its parent runs in MLflow."""
        info = _info(catalog)
        self._stopped = False
        logs.open_pipeline_log(info.data_root / "logs")
        self._main = _MainRun(info, catalog, {}, len(pipeline.nodes), None)
        if info.mlflow["enabled"]:
            from tidemark.tracking.facts import describe_run

            facts = describe_run(run_params, pipeline, catalog, info)
            self._main.studies = facts["studies"]
            self._main.outbox = Outbox(info.data_root / "outbox").open(run_params["run_id"], facts)
            try:
                self._sync()
            except TrackingError as error:  # Kedro calls no hook for an error in this one
                self._main.outbox.close("FAILED", _now(), str(error))
                self._main.outbox.release()
                self._main = None
                raise

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run as finished."""
        self.close_run("FINISHED")

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Close the run as failed, with the nodes that this process had not finished."""
        for node in list(self._loading.values()):  # an input could not be loaded
            self.before_node_run(node, catalog, {}, run_params["run_id"])
        for name in list(self._in_flight):
            self._finish(name, error)
        self.close_run("FAILED", f"{type(error).__name__}: {error}")

    def close_run(self, status: str, error: str | None = None) -> None:
        """Close the run in the outbox and send what waits there.

        Parameters
        ----------
        status : {"FINISHED", "FAILED", "KILLED"}
            MLflow's name for how it ended.
        error : str, optional
            Why it failed.
        """
        main = self._main
        if main is None:
            return
        if main.outbox is not None:
            from tidemark.tracking.facts import hash_data

            if status == "FAILED":
                main.outbox.fail_started(error, _now())
            store = CheckpointStore(main.info.data_root / "checkpoints")
            accepted = [name for name in main.studies if store.is_finished(f"{name}_data.accept")]
            main.outbox.close(status, _now(), error, hash_data(main.catalog, accepted))
            try:
                self._sync()
            finally:
                main.outbox.release()
        self._main = None

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Note that a node has begun to load what it needs."""
        self._loading[node.name] = node

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], run_id: str
    ) -> None:
        """Take back the node's ``.ok`` and begin its record."""
        self._loading.pop(node.name, None)
        if self._stopped:
            raise KeyboardInterrupt
        info = _info(catalog)
        die_with_parent(info.main_pid)
        folder = info.data_root / "logs"
        logs.open_pipeline_log(folder)
        CheckpointStore(info.data_root / "checkpoints").clear(node.name)
        task_log = logs.open_task_log(folder, task_name(node))
        outbox = Outbox(info.data_root / "outbox").find(run_id) if info.mlflow["enabled"] else None
        recorder = NodeRecorder(node, catalog, inputs, run_id)
        if outbox is not None:
            study, cell = info.study_of(node.namespace), info.cell_of(node.namespace)
            outbox.start(node.name, TrackingRecord().to_dict(recorder.record, cell, study))
        with self._lock:
            self._in_flight[node.name] = _InFlight(
                recorder, TrackingRecord(), info, outbox, task_log
            )
        logger.debug("%s starts", node.name)
        for one in recorder.record.inputs:
            logger.debug("read %s: rows %s, sha256 %s", one.name, one.rows, one.sha256)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Record an output; after the last one the node is finished."""
        flight = self._in_flight.get(node.name)
        if flight is None:
            return
        flight.recorder.saved(dataset_name, data)
        saved = flight.recorder.record.outputs[-1]
        logger.debug("wrote %s: rows %s, sha256 %s", saved.name, saved.rows, saved.sha256)
        if flight.outbox is not None:
            kind = track_kind(flight.recorder.catalog[dataset_name])
            if kind is not None and saved.path is not None:
                flight.tracked.add(kind, dataset_name, data, Path(saved.path), flight.outbox.keep)
        if flight.recorder.is_complete:
            self._finish(node.name)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node) -> None:
        """Record that a node's function has failed."""
        self._finish(node.name, error)

    def _finish(self, name: str, error: BaseException | None = None) -> None:
        with self._lock:
            flight = self._in_flight.pop(name, None)
        if flight is None:
            return
        record = flight.recorder.finish(error)
        info = flight.info
        if flight.outbox is not None:
            study, cell = info.study_of(record.namespace), info.cell_of(record.namespace)
            flight.outbox.put(name, flight.tracked.to_dict(record, cell, study))
        CheckpointStore(info.data_root / "checkpoints").write(record)
        self._say(record)
        logs.close_task_log(flight.task_log)

    def _say(self, record: NodeRecord) -> None:
        """Say one line for each node: on the terminal, in the project's and in the task's log."""
        facts = {
            "node": record.node,
            "status": record.status,
            "seconds": record.seconds,
            "started": record.started,
            "ended": record.ended,
            "run_id": record.run_id,
            "outputs": {
                one.name: {"rows": one.rows, "sha256": one.sha256} for one in record.outputs
            },
        }
        place = ""
        if self._main is not None and self._main.info.main_pid == os.getpid():
            with self._lock:
                self._main.done += 1
                place = f"[{self._main.done:>3}/{self._main.total}] "
        if record.error is None:
            logger.info(
                "%s%-44s %7.1f s", place, record.node, record.seconds, extra={"facts": facts}
            )
        else:
            brief = (record.error.splitlines() or [""])[0]
            facts["error"] = record.error
            logger.error("%s%-44s failed: %s", place, record.node, brief, extra={"facts": facts})

    def _sync(self) -> None:
        """Send what waits; a store that is out of reach costs a warning, or the run if required."""
        main = self._main
        if main is None or main.outbox is None:
            return
        from tidemark.tracking.sync import sync_outbox

        settings = TrackingSettings.resolve(main.info.mlflow, main.info.project_path)
        started = time.perf_counter()
        try:
            sync_outbox(Outbox(main.info.data_root / "outbox"), settings, main.outbox.run_id)
        except Exception as error:
            message = (
                f"MLflow at {mask(settings.tracking_uri)} cannot be reached ({_brief(error)}). "
                f"The run's records wait in {main.info.data_root / 'outbox'}; send them with "
                f"'kedro tracking sync'."
            )
            if settings.required:
                raise TrackingError(message) from error
            logger.warning(message) if not main.warned else logger.debug(message)
            main.warned = True
        seconds = round(time.perf_counter() - started, 3)
        logger.debug(
            "tracking took %.1f s", seconds, extra={"facts": {"tracking_seconds": seconds}}
        )


def task_name(node: Node) -> str:
    """Name a node's log: the task, then where it runs.

    ``median_impute.ridge.train`` logs to ``train_median_impute_ridge.log``.
    """
    where = (node.namespace or "").replace(".", "_")
    return re.sub(r"[^\w-]", "_", f"{node.short_name.split('.')[-1]}_{where}".strip("_").lower())


def _info(catalog: CatalogProtocol[Any, Any]) -> RunInfo:
    info: RunInfo = catalog[RUN_INFO].load()
    return info


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _brief(error: BaseException) -> str:
    """Shorten an error to its kind and the beginning of its first line."""
    text = mask((str(error).splitlines() or [""])[0])
    return f"{type(error).__name__}: {text[:100]}{'...' if len(text) > 100 else ''}"
