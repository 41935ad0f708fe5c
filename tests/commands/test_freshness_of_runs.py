"""What one run leaves fresh is fresh to every slice, runner and executor."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
GRID = [1.0, 3.0, 9.0]


@pytest.fixture(scope="module")
def finished(new_workplace: Callable[[], Any]) -> Any:
    """Run the whole study under one of Kedro's runners."""
    place = new_workplace()
    done = place.kedro("--pipeline", "returns", "--runner", "SequentialRunner")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def moved(finished: Any, new_workplace: Callable[[], Any]) -> Any:
    """Copy what was run to another place, where all is as fresh as it was."""
    place = new_workplace()
    shutil.copytree(finished.data, place.data)
    return place


@pytest.fixture
def other_grid(tmp_path: Path) -> Path:
    """Copy the configuration, with another grid for ridge."""
    conf = shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    scenarios = yaml.safe_load((conf / "base/scenarios.yml").read_text())
    scenarios["models"]["returns"]["ridge"]["grid"]["alpha"] = GRID
    (conf / "base/scenarios.yml").write_text(yaml.safe_dump(scenarios))
    return conf


def _record(place: Any, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.data / f"checkpoints/{node}.json").read_text())
    return found


def _hash(place: Any, node: str, side: str, dataset: str) -> str:
    (found,) = [one for one in _record(place, node)[side] if one["name"] == dataset]
    digest: str = found["sha256"]
    return digest


@pytest.mark.parametrize(
    "words",
    [
        ("--pipeline", "returns"),
        ("--pipeline", "feature_engineering"),
        ("--pipeline", "modelling", "--namespace", "median_impute"),
        ("--pipeline", "returns", "--scenario", "median_impute", "--model", "ridge"),
        ("--nodes", "returns_report.compare"),
    ],
    ids=" ".join,
)
def test_run_of_any_slice_of_what_is_fresh_has_nothing_to_do(
    words: tuple[str, ...], finished: Any
) -> None:
    """A slice has the same parameters, types and defaults as the whole."""
    before = len(finished.mlflow_runs())
    done = finished.kedro(*words)
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in done.stderr
    assert len(finished.mlflow_runs()) == before


def test_run_in_processes_reads_the_model_that_was_just_fitted(
    moved: Any, other_grid: Path
) -> None:
    """The main process remembers no older version than the one that a worker has saved."""
    before = _hash(moved, "median_impute.ridge.train", "outputs", "median_impute.ridge.model")
    done = moved.kedro(
        *("--pipeline", "modelling", "--model", "ridge", "--conf-source", str(other_grid)),
        *("--runner-params", "executor=processes,max_workers=2"),
    )
    assert done.returncode == 0, done.stderr
    fitted = _hash(moved, "median_impute.ridge.train", "outputs", "median_impute.ridge.model")
    assert "split" not in done.stderr  # nothing that was copied had to be made again
    assert fitted != before
    judged = _hash(moved, "median_impute.ridge.evaluate", "inputs", "median_impute.ridge.model")
    assert judged == fitted
    record = _record(moved, "median_impute.ridge.train")
    assert record["params"]["models.returns.ridge"]["grid"]["alpha"] == GRID
