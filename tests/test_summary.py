"""The closing table of a run is printed whatever has happened to its cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tidemark.checkpoints.store import FINISHED, CheckpointStore, DataRecord, NodeRecord
from tidemark.config import RunInfo
from tidemark.summary import print_summary

RUN_ID = "2019-01-03T10.00.00.000Z"


def _put_outcome(root: Path, cell: str, status: str, rmse: float | None) -> None:
    scenario, model = cell.split(".")
    outcome: dict[str, Any] = {"scenario": scenario, "model": model, "status": status}
    outcome |= {"metrics": {}, "intervals": {}, "level": 0.95}
    if rmse is not None:
        outcome["metrics"] = {"rmse": rmse}
        outcome["intervals"] = {"rmse": {"low": rmse - 0.01, "high": rmse + 0.01}}
    path = root / f"{cell}.json"
    path.write_text(json.dumps(outcome))
    record = NodeRecord(f"{cell}.conclude", "f", cell, RUN_ID, "1", status=FINISHED)
    record.outputs = [DataRecord(f"{cell}.outcome", str(path), None, None)]
    CheckpointStore(root / "checkpoints").write(record)


def test_summary_best_of_a_scenario_is_never_a_failed_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failed cell has no error to be best with; a scenario of failed cells has no line."""
    for cell, status, rmse in (
        ("mean.linear", "ok", 0.03),
        ("mean.svr", "failed", None),
        ("mean.poly2", "fallback", 0.02),
        ("median.svr", "failed", None),
    ):
        _put_outcome(tmp_path, cell, status, rmse)
    info = RunInfo(
        project_path=tmp_path,
        data_root=tmp_path,
        scenarios={"mean": "returns", "median": "returns"},
        mlflow={"enabled": False},
        retries={},
    )
    print_summary(info, RUN_ID, 1.0)
    printed = capsys.readouterr().out
    assert "poly2: RMSE 0.020000 (95 % interval 0.010000 to 0.030000)" in printed
    assert "best of mean" in printed
    assert "best of median" not in printed
