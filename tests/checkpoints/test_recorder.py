"""The record of a node tells what it read, what it wrote, with which settings and which code."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.identity import Identity, identify
from tidemark.checkpoints.recorder import NodeRecorder
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import Cell, Strict
from tidemark.incidents import Collector, Incident


class Settings(Strict):
    """Stand for a node's typed parameters."""

    lags: tuple[int, ...]
    level: float = 0.95


def shift(table: pd.DataFrame, params: Settings, cell: Cell) -> tuple[pd.DataFrame, dict[str, int]]:
    """Stand for a node function."""
    return table, {"rows": len(table)}


@pytest.fixture
def node() -> Node:
    """Return a node inside a cell's namespace."""
    inputs = ["table", "params:features", "params:cell"]
    return Node(shift, inputs, ["shifted", "report"], name="shift", namespace="median_impute.ridge")


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    """Return a catalog with the node's input on disk."""
    config = {
        "table": {"type": "pandas.ParquetDataset", "filepath": str(tmp_path / "table.parquet")},
        "shifted": {"type": "pandas.ParquetDataset", "filepath": str(tmp_path / "shifted.parquet")},
        "report": {
            "type": "json.JSONDataset",
            "filepath": str(tmp_path / "r.json"),
            "versioned": True,
        },
    }
    catalog = DataCatalog.from_config(config, save_version="2019-01-03T10.00.00.000Z")
    catalog["params:features"] = Settings(lags=(1, 2))
    catalog["params:cell"] = Cell("returns", "median_impute", "ridge")
    catalog.save("table", pd.DataFrame({"ret": [0.01, -0.02, 0.03]}))
    return catalog


@pytest.fixture
def identity(node: Node, catalog: DataCatalog) -> Identity:
    """Return the node's identity."""
    return identify(node, Entries(catalog, None))


@pytest.fixture
def collector() -> Collector:
    """Collect what the node reports."""
    return Collector()


@pytest.fixture
def recorder(
    node: Node, catalog: DataCatalog, identity: Identity, collector: Collector
) -> NodeRecorder:
    """Return the recorder of a node that has read its inputs."""
    recorder = NodeRecorder(node, Entries(catalog, None), identity, "run-1", collector)
    recorder.loaded({name: catalog.load(name) for name in node.inputs})
    return recorder


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _stat(path: Path) -> list[int]:
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def test_recorder_before_loading_has_no_inputs_and_is_started(
    node: Node, catalog: DataCatalog, identity: Identity, tmp_path: Path
) -> None:
    """A node that dies while it loads leaves a record that names it, and no input or end."""
    recorder = NodeRecorder(node, Entries(catalog, None), identity, "run-1", Collector())

    record = recorder.record
    assert (record.status, record.ended, record.seconds, record.error) == ("started", "", 0, None)
    assert (record.inputs, record.outputs) == ([], [])
    assert record.params == identity.params


def test_recorder_inputs_have_path_hash_and_rows(recorder: NodeRecorder, tmp_path: Path) -> None:
    """A dataset that is read is recorded with its hash and stat; parameters are none of them."""
    (record,) = recorder.record.inputs

    path = tmp_path / "table.parquet"
    assert asdict(record) == {
        "name": "table",
        "path": str(path),
        "sha256": _sha256(path),
        "rows": 3,
        "stat": _stat(path),
    }


def test_recorder_params_are_plain_values(recorder: NodeRecorder) -> None:
    """Typed parameters are recorded whole, with their defaults, as JSON can hold them."""
    expected = {
        "features": {"lags": [1, 2], "level": 0.95},
        "cell": {"study": "returns", "scenario": "median_impute", "model": "ridge"},
    }

    assert recorder.record.params == expected
    assert json.loads(json.dumps(recorder.record.params)) == expected


def test_recorder_is_complete_only_after_the_last_output(
    recorder: NodeRecorder, catalog: DataCatalog, tmp_path: Path
) -> None:
    """One saved output of two is not enough; each has the path and hash of what was saved."""
    outputs = {"shifted": pd.DataFrame({"ret": [0.5]}), "report": {"rows": 1}}
    states = [recorder.is_complete]
    for name, data in outputs.items():
        catalog.save(name, data)
        recorder.saved(name, data)
        states.append(recorder.is_complete)

    assert states == [False, False, True]
    shifted, report = recorder.record.outputs
    assert (shifted.name, shifted.rows) == ("shifted", 1)
    assert shifted.sha256 == _sha256(tmp_path / "shifted.parquet")
    saved = tmp_path / "r.json" / "2019-01-03T10.00.00.000Z" / "r.json"
    assert (report.path, report.sha256, report.rows) == (str(saved), _sha256(saved), None)
    assert report.stat == _stat(saved)


def test_recorder_output_in_memory_has_neither_path_nor_hash(
    node: Node, catalog: DataCatalog, identity: Identity
) -> None:
    """What stays in memory is recorded by its name and its rows."""
    catalog["shifted"] = pd.DataFrame()
    recorder = NodeRecorder(node, Entries(catalog, None), identity, "run-1", Collector())
    recorder.saved("shifted", pd.DataFrame({"ret": [0.5, 0.6]}))

    (record,) = recorder.record.outputs
    assert asdict(record) == {
        "name": "shifted",
        "path": None,
        "sha256": None,
        "rows": 2,
        "stat": None,
    }


def test_recorder_finish_gives_a_record_that_the_store_keeps(
    recorder: NodeRecorder, node: Node, tmp_path: Path
) -> None:
    """A closed record names node, function, namespace and run, and is stored without loss."""
    record = recorder.finish()
    store = CheckpointStore(tmp_path / "checkpoints")
    store.write(record)

    assert record.node == node.name == "median_impute.ridge.shift"
    assert record.function.endswith(".shift")
    assert (record.namespace, record.run_id) == ("median_impute.ridge", "run-1")
    assert (record.status, record.error) == ("finished", None)
    assert record.started <= record.ended
    assert record.seconds >= 0
    assert store.read(node.name) == record


def test_recorder_finish_with_an_error_is_failed(recorder: NodeRecorder) -> None:
    """The words of the error are kept as they are given, however few."""
    assert (recorder.finish("").status, recorder.record.error) == ("failed", "")
    record = recorder.finish("KeyboardInterrupt: no rows")

    assert (record.status, record.error) == ("failed", "KeyboardInterrupt: no rows")


def test_recorder_finish_keeps_what_the_node_reported(
    recorder: NodeRecorder, collector: Collector, node: Node, tmp_path: Path
) -> None:
    """Incidents are read when the node ends, and are stored as plain values."""
    collector.found.append(Incident("degraded", "an old file stands in", {"day": "2019-01-02"}))
    store = CheckpointStore(tmp_path / "checkpoints")
    store.write(recorder.finish())

    stored = store.read(node.name)
    assert stored is not None
    assert stored.incidents == [
        {"kind": "degraded", "message": "an old file stands in", "facts": {"day": "2019-01-02"}}
    ]


def test_recorder_holds_the_whole_identity(recorder: NodeRecorder, identity: Identity) -> None:
    """Code, entries and libraries are recorded as they were found; `test_identity` says how."""
    record = recorder.record

    assert (record.code, record.entries) == (identity.code, identity.entries)
    assert (record.function, record.libraries) == (identity.function, identity.libraries)
    assert all([record.code, record.entries, record.libraries])
