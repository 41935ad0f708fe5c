"""The closing table of a run is printed whatever has happened to its cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tidemark.checkpoints.store import FINISHED, CheckpointStore, DataRecord, NodeRecord
from tidemark.config import RunInfo
from tidemark.domain.scores import SCORES
from tidemark.summary import print_summary

RUN_ID = "2019-01-03T10.00.00.000Z"


def _put_outcome(
    root: Path, cell: str, status: str, value: float | None, score: str = "squared_error"
) -> None:
    scenario, model = cell.split(".")
    outcome: dict[str, Any] = {"scenario": scenario, "model": model, "status": status}
    outcome |= {"metrics": {}, "intervals": {}, "level": 0.95, "score": score, "loss": None}
    if value is not None:
        measure = SCORES[score].measure
        outcome["loss"] = value**2 if score == "squared_error" else -value
        outcome["metrics"] = {measure: value}
        outcome["intervals"] = {measure: {"low": value - 0.01, "high": value + 0.01}}
    path = root / f"{cell}.json"
    path.write_text(json.dumps(outcome))
    record = NodeRecord(f"{cell}.conclude", "f", cell, RUN_ID, "1", status=FINISHED)
    record.outputs = [DataRecord(f"{cell}.outcome", str(path), None, None)]
    CheckpointStore(root / "checkpoints").write(record)


def _print(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    mlflow: dict[str, Any] | None = None,
    **scenarios: str,
) -> str:
    info = RunInfo(
        project_path=root,
        data_root=root,
        scenarios=scenarios,
        mlflow=mlflow or {"enabled": False},
        retries={},
    )
    print_summary(info, RUN_ID, 1.0)
    return capsys.readouterr().out


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
    printed = _print(tmp_path, capsys, mean="returns", median="returns")
    assert "poly2: RMSE 0.020000 (95 % interval 0.010000 to 0.030000)" in printed
    assert "best of mean" in printed
    assert "best of median" not in printed


def test_summary_best_density_has_the_highest_log_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A density is the better, the higher its score; each scenario is told in its own measure."""
    for cell, value in (("pair.single", -1.5), ("pair.markov", -1.25), ("pair.zscore", -1.4)):
        _put_outcome(tmp_path, cell, "ok", value, "log_score")
    _put_outcome(tmp_path, "mean.linear", "ok", 0.03)
    printed = _print(tmp_path, capsys, mean="returns", pair="cross_asset")
    assert "markov: log score -1.250000 (95 % interval -1.260000 to -1.240000)" in printed
    assert "linear: RMSE 0.030000" in printed
    assert "zscore" not in printed


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:///mlruns/mlflow.db", "make mlflow, then http://127.0.0.1:5000"),
        ("https://me:hunter2@tracking.example", "https://***@tracking.example"),
    ],
)
def test_summary_says_where_runs_are_compared(
    uri: str,
    shown: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tracking server is open already; its password is nobody's business."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = {"enabled": True, "required": False, "tracking_uri": uri}
    _put_outcome(tmp_path, "mean.linear", "ok", 0.03)
    printed = _print(tmp_path, capsys, settings)
    assert shown in printed
    assert "hunter2" not in printed
