"""A cell that several runs have made in parts: the last one's record of it is made whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import RunInfo
from tidemark.runner.plan import make_plan, whole_pipeline
from tidemark.tracking.outbox import OutboxRun
from tidemark.tracking.records import TrackingRecord, track_kind

logger = logging.getLogger(__name__)


def complete_cells(
    outbox: OutboxRun, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], info: RunInfo
) -> None:
    """Add to a run's records what was fresh of the cells that it worked on.

    Without this, a cell whose models were fitted by one run and judged by the next would have a
    model here, its metrics there, and be whole nowhere. Cells that are not fresh as a whole stay
    as they are.

    Parameters
    ----------
    outbox : OutboxRun
        The records of a run that will run no further node.
    pipeline : Pipeline
        A selection; the nodes are looked for in the whole that it is a part of.
    """
    parts = dict(_parts(outbox))
    if not parts:
        return
    whole = whole_pipeline(pipeline)
    known = {node.name for node in whole.nodes}
    wanted = {name for nodes in parts.values() for name in nodes} & known
    if not wanted:
        return
    states = make_plan(whole.filter(node_names=sorted(wanted)), catalog).states
    done = outbox.names
    for cell, nodes in parts.items():
        if all(name in states and states[name].is_usable for name in nodes):
            try:
                for name in nodes:
                    if name not in done:
                        _reuse(outbox, name, catalog, info)
            except (OSError, DatasetError) as error:
                logger.warning("the record of %s stays in parts: %s", cell, error)


def _parts(outbox: OutboxRun) -> Iterator[tuple[str, list[str]]]:
    """List the cells of which a run has some nodes and not all, with all of their nodes."""
    done = outbox.names
    for about in outbox.facts["studies"].values():
        for cell, expected in about["cells"].items():
            if done & set(expected["nodes"]) and not done >= set(expected["nodes"]):
                yield cell, expected["nodes"]


def _reuse(outbox: OutboxRun, name: str, catalog: CatalogProtocol[Any, Any], info: RunInfo) -> None:
    record = CheckpointStore(info.data_root / "checkpoints").read(name)
    if record is None:
        return
    tracked, entries = TrackingRecord(), Entries(catalog, info)
    for one in record.outputs:
        kind, path = track_kind(catalog[one.name]), entries.locate(one.name, is_output=True)
        if kind is not None and path is not None:
            tracked.add(kind, one.name, catalog.load(one.name), path, outbox.keep)
    study, cell = info.study_of(record.namespace), info.cell_of(record.namespace)
    about = tracked.to_dict(record, cell, study)
    about["tags"][f"tidemark.reused.{name.rpartition('.')[2]}"] = record.run_id
    outbox.put(name, about)
