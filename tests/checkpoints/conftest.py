"""A store and the record of a node, for the tests of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemark.checkpoints.store import CheckpointStore, DataRecord, NodeRecord


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "data" / "checkpoints"


@pytest.fixture
def store(folder: Path) -> CheckpointStore:
    """Return a store on that folder."""
    return CheckpointStore(folder)


@pytest.fixture
def record() -> NodeRecord:
    """Return the record of a node that finished."""
    return NodeRecord(
        node="median_impute.ridge.train",
        function="tidemark.pipelines.modelling.nodes.train",
        namespace="median_impute.ridge",
        run_id="2019-01-03T10.00.00.000Z",
        started="2019-01-03T10:00:00.000+00:00",
        ended="2019-01-03T10:00:01.500+00:00",
        seconds=1.5,
        status="finished",
        params={"modelling": {"seed": 7}},
        inputs=[
            DataRecord("median_impute.train", "/data/train.parquet", "ab" * 32, 12, [64, 2, 3, 4])
        ],
        outputs=[DataRecord("median_impute.ridge.model", None, None, None)],
        code={"tidemark.pipelines.modelling.nodes": "cd" * 32},
        entries={"median_impute.train": {"type": "pandas.ParquetDataset"}},
        libraries={"numpy": "2.3.0"},
        attempts=[{"number": 1, "error": "OSError: busy", "seconds_waited": 0.5}],
        incidents=[{"kind": "fallback", "message": "a simpler model", "facts": {}}],
        stale_inputs=["median_impute.train"],
    )
