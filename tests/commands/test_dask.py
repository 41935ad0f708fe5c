"""The returns study on a Dask cluster that is not ours: a scheduler, workers, and their deaths."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
CELLS = 4
SCENARIO = ("--scenario", "mean_impute")

pytestmark = pytest.mark.slow

# Waits until a worker fits a model, and kills that worker. It is a process of its own because a
# client starts threads that would outlive the test.
_KILLER = """
import os, signal, sys, time
from distributed import Client

with Client(sys.argv[1], timeout=20, set_as_default=False) as client:
    pids = client.run(os.getpid)
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for address, tasks in (client.call_stack() or {}).items():
            if any("modelling/nodes.py" in line for lines in tasks.values() for line in lines):
                os.kill(pids[address], signal.SIGKILL)
                os._exit(0)
sys.exit("no worker has fitted a model")
"""


@dataclass
class Cluster:
    """A scheduler and its workers, each a process."""

    folder: Path
    processes: list[subprocess.Popen[bytes]]
    address: str = ""

    def start(self, *words: str) -> None:
        """Start ``dask`` with some words."""
        name = f"{len(self.processes)}-{words[0]}"
        with (self.folder / f"{name}.txt").open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *words, "--no-dashboard"],
                    cwd=PROJECT,
                    env={**os.environ, "DO_NOT_TRACK": "1"},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    @property
    def said(self) -> str:
        """What the cluster's processes have printed."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.txt")))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler and two workers of one thread, on ports that happen to be free."""
    cluster = Cluster(tmp_path, [])
    about = tmp_path / "scheduler.json"
    try:
        cluster.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(about)
        )
        limit = time.monotonic() + 60
        while not about.exists() or not about.read_text():
            assert time.monotonic() < limit, cluster.said
            time.sleep(0.05)
        cluster.address = json.loads(about.read_text())["address"]
        for name in ("one", "two"):
            cluster.start(
                *("worker", cluster.address, "--name", name, "--host", "127.0.0.1"),
                *("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path / name)),
                *("--memory-limit", "0"),
            )
        while cluster.said.count("Registered to") < 2:
            assert time.monotonic() < limit, cluster.said
            time.sleep(0.05)
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait(30)


def _outputs(data: Path) -> dict[str, str]:
    return {
        output["name"]: output["sha256"]
        for path in (data / "checkpoints").glob("*.ok")
        for output in json.loads(path.with_suffix(".json").read_text())["outputs"]
    }


@pytest.fixture(scope="module")
def sequential(new_workplace: Callable[[], Any]) -> dict[str, str]:
    """Hashes of every output of a run in one process."""
    place = new_workplace()
    done = place.kedro(*SCENARIO)
    assert done.returncode == 0, done.stderr
    return _outputs(place.data)


def test_run_on_dask_whose_worker_is_killed_completes_with_the_same_outputs(
    cluster: Cluster,
    workplace: Any,
    sequential: dict[str, str],
    make_conf: Callable[..., Any],
) -> None:
    """A worker killed while it fits a model costs that fit; the other worker does the rest."""
    run = subprocess.Popen(
        workplace.run_words(
            *SCENARIO, "--runner-params", f"executor=dask,address={cluster.address}"
        ),
        cwd=PROJECT,
        env=workplace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        killer = [sys.executable, "-c", _KILLER, cluster.address]
        killed = subprocess.run(killer, capture_output=True, text=True, check=False, timeout=90)
        assert killed.returncode == 0, killed.stderr
        _, stderr = run.communicate(timeout=180)
    finally:
        run.kill()
    assert run.returncode == 0, f"{stderr}\n{cluster.said}"
    assert [one.poll() for one in cluster.processes].count(-signal.SIGKILL) == 1

    lines = (workplace.data / "logs/pipeline.log").read_text().splitlines()
    starts = Counter(
        one["message"].removesuffix(" starts")
        for one in map(json.loads, lines)
        if one["message"].endswith(" starts")
    )
    boxes = ("returns_data.", "mean_impute.")
    nodes = {name for name in make_conf().nodes if name.startswith(boxes)}
    assert starts.keys() == nodes
    again = [node for node, count in starts.items() if count > 1]
    assert len(again) == 1, again
    assert again[0].endswith(".train")

    assert {path.stem for path in (workplace.data / "checkpoints").glob("*.ok")} == nodes
    assert _outputs(workplace.data) == sequential
    runs = workplace.mlflow_runs()
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert Counter(one.data.tags["tidemark.level"] for one in runs) == {"run": 1, "cell": CELLS}
    assert len({one.info.run_name for one in runs}) == len(runs)


def test_run_on_dask_at_a_wrong_address_names_it_and_exits_1(workplace: Any) -> None:
    """Where no scheduler answers, the run says so, and what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    done = workplace.kedro("--runner-params", f"executor=dask,address={address}")
    assert done.returncode == 1, done.stderr
    assert f"No Dask scheduler answers at {address}." in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in (workplace.data / "checkpoints").glob("*")}
    assert left <= {".code_cache"}  # what was read of the project's own modules, and of no node
    assert {one.info.status for one in workplace.mlflow_runs()} <= {"FAILED"}
