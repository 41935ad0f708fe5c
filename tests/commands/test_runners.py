"""The same study under every runner, executor and start method.

It is cut down to cells in which every kind of node has its turn. Kedro's
SequentialRunner has the whole study in test_run_returns.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PARALLEL = ("--runner", "ParallelRunner")
POOL = ("--runner-params", "executor=processes,max_workers=2")
# A worker that is forked knows what its parent knew; one that is spawned begins with nothing, as
# those of a fork server do, by which our own pool starts them.
WAYS = [
    (("--runner", "ThreadRunner"), ""),
    *((PARALLEL, start) for start in ("fork", "spawn")),
    *((POOL, start) for start in ("fork", "spawn", "forkserver")),
    (("--runner-params", "executor=dask,max_workers=2"), ""),
]


def _hashes(data: Path) -> dict[str, str]:
    """Read the hashes of all outputs, models too."""
    return {
        output["name"]: output["sha256"]
        for path in (data / "checkpoints").glob("*.json")
        for output in json.loads(path.read_text())["outputs"]
    }


@dataclass(frozen=True)
class Study:
    """The study that is run, and what it comes to."""

    conf: Any
    hashes: dict[str, str]
    nodes: set[str]
    cells: set[str]


@pytest.fixture(scope="module")
def study(new_workplace: Callable[[], Any], make_conf: Callable[..., Any]) -> Study:
    """Run the study under the project's runner, one node after the other."""
    cells = {
        "returns_baseline": ["trailing_mean"],
        "mean_impute": ["svr"],
        "median_impute": ["ridge"],
    }
    conf, place = make_conf(**cells), new_workplace()
    done = place.kedro(*conf.words)
    assert done.returncode == 0, done.stderr
    names = {f"{scenario}.{model}" for scenario, kept in cells.items() for model in kept}
    return Study(conf, _hashes(place.data), conf.nodes, names)


@pytest.mark.parametrize(
    ("words", "start"), WAYS, ids=[f"{words[1]}-{start}".strip("-") for words, start in WAYS]
)
def test_run_under_any_runner_records_the_same(
    words: tuple[str, str], start: str, workplace: Any, study: Study
) -> None:
    """Outputs are bit-identical, checkpoints and logs complete, and there is a child a cell."""
    context = {"KEDRO_MP_CONTEXT": start} if start else {}
    done = workplace.kedro(*study.conf.words, *words, **context)
    assert done.returncode == 0, done.stderr
    assert _hashes(workplace.data) == study.hashes
    assert {path.stem for path in (workplace.data / "checkpoints").glob("*.ok")} == study.nodes

    lines = (workplace.data / "logs/pipeline.log").read_text().splitlines()
    finished = Counter(
        one["node"] for one in map(json.loads, lines) if one.get("status") == "finished"
    )
    assert finished == Counter(study.nodes)

    runs = workplace.mlflow_runs()
    assert {run.info.status for run in runs} == {"FINISHED"}
    cells = [run for run in runs if run.data.tags["tidemark.level"] == "cell"]
    assert len(runs) == len(cells) + 1
    assert sorted(run.info.run_name for run in cells) == sorted(study.cells)
    assert all("rmse" in run.data.metrics for run in cells)
