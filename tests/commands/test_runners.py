"""The same study under every runner, executor and start method."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CELLS = 12
NODES = 67
PARALLEL = [("--runner", "ParallelRunner")]
POOL = [("--runner-params", "executor=processes,max_workers=2")]
STARTS = ("fork", "spawn", "forkserver")
WAYS = [
    (("--runner", "SequentialRunner"), ""),
    (("--runner", "ThreadRunner"), ""),
    *((words, start) for words in (*PARALLEL, *POOL) for start in STARTS),
    (("--runner-params", "executor=dask,max_workers=2"), ""),
]


def _hashes(data: Path) -> dict[str, str]:
    """Read the hashes of all outputs, models too."""
    return {
        output["name"]: output["sha256"]
        for path in (data / "checkpoints").glob("*.json")
        for output in json.loads(path.read_text())["outputs"]
    }


@pytest.fixture(scope="module")
def sequential(new_workplace: Callable[[], Any]) -> dict[str, str]:
    """Hashes of every output under the project's runner, one node after the other."""
    place = new_workplace()
    done = place.kedro("--pipeline", "returns")
    assert done.returncode == 0, done.stderr
    return _hashes(place.data)


@pytest.mark.parametrize(
    ("words", "start"), WAYS, ids=[f"{words[1]}-{start}".strip("-") for words, start in WAYS]
)
def test_run_under_any_runner_records_the_same(
    words: tuple[str, str], start: str, workplace: Any, sequential: dict[str, str]
) -> None:
    """Outputs are bit-identical, checkpoints and logs complete, children twelve, each once."""
    context = {"KEDRO_MP_CONTEXT": start} if start else {}
    done = workplace.kedro("--pipeline", "returns", *words, **context)
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
