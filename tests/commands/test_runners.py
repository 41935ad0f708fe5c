"""The same study under Kedro's own runners."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CELLS = 12
NODES = 67


def _hashes(data: Path) -> dict[str, str]:
    """Read the hashes of all outputs but the models.

    A pickle writes an object that two places share once or twice, as chance in the process has
    it; equal models may differ as files. What they predict is compared.
    """
    return {
        output["name"]: output["sha256"]
        for path in (data / "checkpoints").glob("*.json")
        for output in json.loads(path.read_text())["outputs"]
        if not output["name"].endswith(".model")
    }


@pytest.fixture(scope="module")
def sequential(new_workplace: Callable[[], Any]) -> dict[str, str]:
    """Hashes of every output under the sequential runner."""
    place = new_workplace()
    done = place.kedro("--pipeline", "returns", "--runner", "SequentialRunner")
    assert done.returncode == 0, done.stderr
    return _hashes(place.data)


@pytest.mark.parametrize(
    ("runner", "start"),
    [("ThreadRunner", ""), ("ParallelRunner", "fork"), ("ParallelRunner", "spawn")],
)
def test_run_under_other_runners_records_the_same(
    runner: str, start: str, workplace: Any, sequential: dict[str, str]
) -> None:
    """Outputs are bit-identical, checkpoints and logs complete, children twelve, each once."""
    done = workplace.kedro(
        "--pipeline",
        "returns",
        "--runner",
        runner,
        **({"KEDRO_MP_CONTEXT": start} if start else {}),
    )
    assert done.returncode == 0, done.stderr
    assert _hashes(workplace.data) == sequential
    assert len(list((workplace.data / "checkpoints").glob("*.ok"))) == NODES

    lines = (workplace.data / "logs/pipeline.log").read_text().splitlines()
    finished = Counter(
        one["node"] for one in map(json.loads, lines) if one.get("status") == "finished"
    )
    assert len(finished) == NODES
    assert set(finished.values()) == {1}

    runs = workplace.mlflow_runs()
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert Counter(run.data.tags["tidemark.level"] for run in runs) == {"run": 1, "cell": CELLS}
    assert all("rmse" in run.data.metrics for run in runs if "tidemark.model" in run.data.tags)
