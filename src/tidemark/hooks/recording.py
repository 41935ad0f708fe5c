"""When a node is recorded: its checkpoint, its log, its record for MLflow.

The object lives once in every process. Between a node's first try and its last save it keeps
that node's recorder. Everything else it finds in the catalog that it is given, so that workers
which never saw the session record just as well.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from tidemark import errors, incidents, logs
from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.identity import identify
from tidemark.checkpoints.recorder import NodeRecorder
from tidemark.checkpoints.store import CheckpointStore, NodeRecord
from tidemark.config import RUN_INFO, RunInfo
from tidemark.processes import die_with_parent
from tidemark.runner.specs import Attempt
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.records import TrackingRecord, track_kind

logger = logging.getLogger(__name__)


@dataclass
class _InFlight:
    """A node between its first try and its last save."""

    recorder: NodeRecorder
    tracked: TrackingRecord
    info: RunInfo
    outbox: OutboxRun | None
    task_log: logging.Handler
    is_by_runner: bool


class RecordingHooks:
    """Record every node, under the project's runner and under Kedro's."""

    def __init__(self) -> None:
        self._in_flight: dict[str, _InFlight] = {}
        self._loading: dict[str, Node] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._pid, self._total, self._done = 0, 0, 0

    def stop(self) -> None:
        """Let no further node of this process begin."""
        self._stopped = True

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Begin to count."""
        self._stopped = False
        self._pid, self._total, self._done = os.getpid(), len(pipeline.nodes), 0

    @hook_impl(tryfirst=True)
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Close the records of nodes that this process had not finished."""
        for node in list(self._loading.values()):  # an input could not be loaded
            self.before_node_run(node, catalog, {}, run_params["run_id"])
        for name in list(self._in_flight):
            self._finish(name, f"{type(error).__name__}: {error}")

    @hook_impl
    def before_attempt(
        self, node: Node, catalog: CatalogProtocol[Any, Any], run_id: str, attempt: Attempt
    ) -> None:
        """Begin a node's record before it loads anything."""
        self._begin(node, catalog, run_id, attempt)

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Under Kedro's runners, note that a node has begun to load what it needs."""
        if node.name not in self._in_flight and node.name not in self._loading:
            self._loading[node.name] = node
            incidents.collect()

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], run_id: str
    ) -> None:
        """Note what a node is given; under Kedro's runners its record begins here."""
        if self._stopped:
            raise KeyboardInterrupt
        is_loaded = self._loading.pop(node.name, None) is not None
        if node.name not in self._in_flight:
            die_with_parent()
            if not is_loaded:
                incidents.collect()
            self._begin(node, catalog, run_id, None)
        recorder = self._in_flight[node.name].recorder
        recorder.loaded(inputs)
        for one in recorder.record.inputs:
            logger.debug("read %s: rows %s, sha256 %s", one.name, one.rows, one.sha256)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Finish a node that saves nothing."""
        flight = self._in_flight.get(node.name)
        if flight is not None and flight.recorder.is_complete:
            self._finish(node.name)

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
        """Record that a node's function has failed, where nobody tries again."""
        flight = self._in_flight.get(node.name)
        if flight is not None and not flight.is_by_runner:
            self._finish(node.name, f"{type(error).__name__}: {error}")

    @hook_impl
    def on_node_failed(self, node: Node, error: str) -> None:
        """Record that a node has failed for good."""
        self._finish(node.name, error)

    def _begin(
        self, node: Node, catalog: CatalogProtocol[Any, Any], run_id: str, attempt: Attempt | None
    ) -> None:
        """Take back the node's ``.ok``, remove what an unfinished try has left, begin anew."""
        info: RunInfo = catalog[RUN_INFO].load()
        folder = info.data_root / "logs"
        logs.open_pipeline_log(folder)
        entries = Entries(catalog, info)
        store = CheckpointStore(info.data_root / "checkpoints")
        for name in node.outputs:
            entries.remove_versions(name, {run_id, *store.find(node.name).unfinished_run})
        identity = attempt.identity if attempt is not None else identify(node, entries)
        collector = incidents.current() or incidents.collect()
        recorder = NodeRecorder(node, entries, identity, run_id, collector)
        if attempt is not None:
            recorder.record.attempts = [dict(one) for one in attempt.failed]
            recorder.record.stale_inputs = list(attempt.stale_inputs)
        store.write(recorder.record)
        before = self._in_flight.get(node.name)
        task_log = before.task_log if before else logs.open_task_log(folder, task_name(node))
        outbox = Outbox(info.data_root / "outbox").find(run_id) if info.mlflow["enabled"] else None
        if outbox is not None:
            study, cell = info.study_of(node.namespace), info.cell_of(node.namespace)
            outbox.start(node.name, TrackingRecord().to_dict(recorder.record, cell, study))
        with self._lock:
            self._in_flight[node.name] = _InFlight(
                recorder, TrackingRecord(), info, outbox, task_log, attempt is not None
            )
        logger.debug("%s starts", node.name)

    def _finish(self, name: str, error: str | None = None) -> None:
        flight = self._in_flight.get(name)
        if flight is None:
            return
        record = flight.recorder.finish(error and errors.mask(error))
        info = flight.info
        try:
            if flight.outbox is not None:
                study, cell = info.study_of(record.namespace), info.cell_of(record.namespace)
                flight.outbox.put(name, flight.tracked.to_dict(record, cell, study))
            CheckpointStore(info.data_root / "checkpoints").write(record)
        except OSError as failure:
            if error is None:
                raise  # what could not be noted is not done: the node fails, and comes here again
            logger.error("%s failed, and that cannot be written down: %s", name, failure)
        with self._lock:
            self._in_flight.pop(name, None)
        self._say(record, is_by_runner=flight.is_by_runner)
        logs.close_task_log(flight.task_log)

    def _say(self, record: NodeRecord, *, is_by_runner: bool) -> None:
        """Say one line for each node; the project's runner has a display of its own."""
        facts = {
            "node": record.node,
            "status": record.status,
            "seconds": record.seconds,
            "started": record.started,
            "ended": record.ended,
            "run_id": record.run_id,
            "attempts": record.attempts,
            "incidents": record.incidents,
            "outputs": {
                one.name: {"rows": one.rows, "sha256": one.sha256} for one in record.outputs
            },
        }
        place = ""
        if not is_by_runner and self._pid == os.getpid():
            with self._lock:
                self._done += 1
                place = f"[{self._done:>3}/{self._total}] "
        text = f"{place}{record.node:<44} {record.seconds:7.1f} s"
        level = logging.INFO
        if record.error is not None:
            text = f"{place}{record.node:<44} failed: {(record.error.splitlines() or [''])[0]}"
            facts["error"] = record.error
            level = logging.ERROR
        logger.log(logging.DEBUG if is_by_runner else level, "%s", text, extra={"facts": facts})


def task_name(node: Node) -> str:
    """Name a node's log: the task, then where it runs.

    ``median_impute.ridge.train`` logs to ``train_median_impute_ridge.log``.
    """
    where = (node.namespace or "").replace(".", "_")
    return re.sub(r"[^\w-]", "_", f"{node.short_name.split('.')[-1]}_{where}".strip("_").lower())
