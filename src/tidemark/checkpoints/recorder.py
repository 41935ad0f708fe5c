"""Gather what a node does while it runs: one record, from before its function to its last save."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from kedro.pipeline.node import Node

from tidemark.checkpoints.entries import Entries, stored_path
from tidemark.checkpoints.files import hash_path, stat_of
from tidemark.checkpoints.identity import Identity
from tidemark.checkpoints.store import FAILED, FINISHED, DataRecord, NodeRecord
from tidemark.datasets.catalog import is_parameter
from tidemark.incidents import Collector


class NodeRecorder:
    """The record of one node in progress."""

    def __init__(
        self,
        node: Node,
        entries: Entries,
        identity: Identity,
        run_id: str,
        collector: Collector,
    ) -> None:
        self.catalog = entries.catalog
        self._before = {
            name: stat_of(path)
            for name in dict.fromkeys(node.inputs)
            if not is_parameter(name)
            and (path := entries.locate(name)) is not None
            and path.is_file()
        }
        self._missing = set(node.outputs)
        self._collector = collector
        self._clock = time.perf_counter()
        self.record = NodeRecord(
            node=node.name,
            namespace=node.namespace,
            run_id=run_id,
            started=now(),
            function=identity.function,
            wiring=dict(identity.wiring),
            code=dict(identity.code),
            params=dict(identity.params),
            entries=dict(identity.entries),
            libraries=dict(identity.libraries),
        )

    @property
    def is_complete(self) -> bool:
        """Whether every output has been saved."""
        return not self._missing

    def loaded(self, inputs: Mapping[str, Any]) -> None:
        """Note what the node's function is given.

        Raises
        ------
        OSError
            If an input was changed while it was read: what was read may be neither the old nor
            the new.
        """
        self.record.inputs = [
            self._describe(name, value, saved=False)
            for name, value in inputs.items()
            if not is_parameter(name)
        ]
        for one in self.record.inputs:
            if one.name in self._before and one.stat != self._before[one.name]:
                raise OSError(f"'{one.path}' was changed while it was read. Run again.")

    def saved(self, dataset: str, data: Any) -> None:
        """Note that an output was saved."""
        self._missing.discard(dataset)
        self.record.outputs.append(self._describe(dataset, data, saved=True))

    def finish(self, error: str | None = None) -> NodeRecord:
        """Close the record."""
        self.record.ended = now()
        self.record.seconds = round(time.perf_counter() - self._clock, 3)
        self.record.status = FINISHED if error is None else FAILED
        self.record.error = error
        self.record.incidents = [asdict(one) for one in self._collector.found]
        return self.record

    def _describe(self, name: str, data: Any, *, saved: bool) -> DataRecord:
        path = stored_path(self.catalog[name], saved=saved)
        there = path is not None and path.exists()
        return DataRecord(
            name=name,
            path=str(path) if path else None,
            sha256=hash_path(path) if there and path else None,
            rows=len(data) if hasattr(data, "columns") else None,
            stat=stat_of(path) if path is not None and path.is_file() else None,
        )


def now() -> str:
    """Return this moment, as records hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
