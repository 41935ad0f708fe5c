"""The record of a node tells what it read, what it wrote, with which settings and which code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node

from tidemark.checkpoints.recorder import NodeRecorder, plain
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import Cell, Strict


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
    catalog.save("table", pd.DataFrame({"ret": [0.01, -0.02, 0.03]}))
    return catalog


@pytest.fixture
def recorder(node: Node, catalog: DataCatalog) -> NodeRecorder:
    """Return the recorder of a node that has read its inputs."""
    inputs = {
        "table": catalog.load("table"),
        "params:features": Settings(lags=(1, 2)),
        "params:cell": Cell("returns", "median_impute", "ridge"),
    }
    return NodeRecorder(node, catalog, inputs, "run-1")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_recorder_inputs_have_path_hash_and_rows(recorder: NodeRecorder, tmp_path: Path) -> None:
    """Each dataset that is read is recorded with its bytes' hash; parameters are none of them."""
    (record,) = recorder.record.inputs

    path = tmp_path / "table.parquet"
    assert asdict(record) == {
        "name": "table",
        "path": str(path),
        "sha256": _sha256(path),
        "rows": 3,
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


@pytest.mark.parametrize("error", [ValueError("no rows"), KeyboardInterrupt("no rows")])
def test_recorder_finish_with_an_error_is_failed(
    recorder: NodeRecorder, error: BaseException
) -> None:
    """The kind of the error and its words are kept, for interrupts as well."""
    record = recorder.finish(error)

    assert (record.status, record.error) == ("failed", f"{type(error).__name__}: no rows")


def test_recorder_libraries_are_those_installed(recorder: NodeRecorder) -> None:
    """The versions that shape numbers are the installed ones."""
    found = recorder.record.libraries

    assert {"numpy", "pandas", "scikit-learn", "kedro", "tidemark"} <= found.keys()
    assert found["numpy"] == version("numpy")


@pytest.fixture
def hash_of(tmp_path: Path, catalog: DataCatalog) -> Callable[[str], str]:
    """Hash the module that a source text makes, as a node's record gives it."""

    def hash_source(source: str) -> str:
        name = f"module_{hashlib.sha256(source.encode()).hexdigest()[:8]}"
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
            node = Node(module.half, "table", "shifted", name=name)
            code: dict[str, Any] = NodeRecorder(node, catalog, {}, "run-1").record.code
        return str(code["sha256"])

    return hash_source


def test_recorder_code_hash_ignores_layout_and_sees_the_whole_module(
    hash_of: Callable[[str], str],
) -> None:
    """Comments and blank lines change nothing; a helper in the same module changes the hash."""
    source = "HALF = 2\n\ndef half(table):\n    return table / HALF\n"
    laid_out = "# why\nHALF = (2)\n\n\ndef half( table ):\n\n    return table/HALF  # because\n"

    assert hash_of(laid_out) == hash_of(source)
    assert hash_of(source.replace("HALF = 2", "HALF = 3")) != hash_of(source)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Settings(lags=(1,)), {"lags": [1], "level": 0.95}),
        (Path("x"), "x"),
        (None, None),
        (False, False),
        ([1, "a"], [1, "a"]),
    ],
)
def test_plain_value_is_what_json_holds_or_text(value: object, expected: object) -> None:
    """Models and dataclasses become dicts, what JSON knows stays, anything else becomes text."""
    assert plain(value) == expected
