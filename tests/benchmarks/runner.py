"""What the runner costs, and what it gains: ratios measured in one run.

``python tests/benchmarks/runner.py [--rounds N] [--dvc COMMAND]`` prints three tables.

- Nothing to do: ``kedro run`` against ``kedro registry list``, in turn, and against ``dvc repro``
  on as many stages if ``--dvc`` names that command. Aims: at most 1.5 times, at most 3 s.
- Per node: 500 trivial nodes under ``TidemarkRunner``, and Kedro's ``SequentialRunner`` with the
  project's hooks and without any. Aim: at most 20 ms more than the latter for each node.
- Two processes: the returns study's modelling on the embedded data, one BLAS thread, from the
  first node's start to the last one's end. Aim: at least 1.6 times as fast as one process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
TRIVIAL_NODES = 500


def run(words: list[str], environment: dict[str, str], folder: Path = PROJECT) -> float:
    """Run a command to its end and return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def kedro(*words: str) -> list[str]:
    """Return the words of a kedro command."""
    return [sys.executable, "-m", "kedro", *words]


def measure_nothing_to_do(
    rounds: int, data: Path, environment: dict[str, str], dvc: str | None
) -> None:
    """Time a run that finds everything fresh, beside Kedro's cheapest command."""
    idle = kedro("run", "--pipeline", "returns", "--params", f"data_root={data}")
    run(idle, environment)
    nodes = len(list((data / "checkpoints").glob("*.ok")))
    repository = _prepare_dvc(dvc, data.parent / "dvc", environment, nodes) if dvc else None
    times: dict[str, list[float]] = {"kedro registry list": [], "kedro run": [], "dvc repro": []}
    for _ in range(rounds):
        times["kedro registry list"].append(run(kedro("registry", "list"), environment))
        times["kedro run"].append(run(idle, environment))
        if repository is not None and dvc:
            times["dvc repro"].append(run([dvc, "repro", "--quiet"], environment, repository))
    base = statistics.median(times["kedro registry list"])
    print(f"\nNothing to do, {nodes} nodes (medians of {rounds})")
    for name, seconds in times.items():
        if seconds:
            middle = statistics.median(seconds)
            print(f"  {name:<22} {middle:>6.2f} s   {middle / base:>5.2f}")
    print("  aims for kedro run: at most 1.50 and 3 s")


def _prepare_dvc(dvc: str, folder: Path, environment: dict[str, str], stage_count: int) -> Path:
    """Make a repository of as many stages in a chain, all done."""
    folder.mkdir()
    run(["git", "init", "--quiet"], environment, folder)
    run([dvc, "init", "--quiet"], environment, folder)
    (folder / "0.txt").write_text("0")
    stages = [
        f"  s{n}:\n    cmd: cp {n - 1}.txt {n}.txt\n    deps: [{n - 1}.txt]\n    outs: [{n}.txt]\n"
        for n in range(1, stage_count + 1)
    ]
    (folder / "dvc.yaml").write_text("stages:\n" + "".join(stages))
    run([dvc, "repro", "--quiet"], environment, folder)
    return folder


def echo(value: dict[str, int]) -> dict[str, int]:
    """Hand on what comes in: a node that does nothing."""
    return value


def measure_overhead(folder: Path, rounds: int) -> None:
    """Time a long chain of trivial nodes under both runners, in this process."""
    from kedro.runner import SequentialRunner

    from tidemark.runner.runner import TidemarkRunner

    logging.disable(logging.WARNING)  # a thousand lines on the terminal are not what is measured
    kinds: dict[str, tuple[Any, bool]] = {
        "SequentialRunner alone": (SequentialRunner, False),
        "... with hooks": (SequentialRunner, True),
        "TidemarkRunner": (TidemarkRunner, True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds):
        for name, (kind, is_recorded) in kinds.items():
            place = folder / f"{name.replace(' ', '')}{number}"
            seconds[name].append(_time_chain(place, kind(), is_recorded=is_recorded))
    print(f"\n{TRIVIAL_NODES} trivial nodes, in one process (medians of {rounds})")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"  {name:<22} {middle:>6.2f} s   {1000 * middle / TRIVIAL_NODES:>5.1f} ms a node")
    first, _, last = (statistics.median(values) for values in seconds.values())
    extra = 1000 * (last - first) / TRIVIAL_NODES
    print(f"  TidemarkRunner adds {extra:.1f} ms a node (aim: at most 20)")


def _time_chain(folder: Path, runner: Any, *, is_recorded: bool) -> float:
    from kedro.framework.hooks.manager import _create_hook_manager
    from kedro.io import MemoryDataset
    from kedro.pipeline import Node, Pipeline

    from tidemark.config import RUN_INFO, RunInfo
    from tidemark.datasets.catalog import TidemarkCatalog
    from tidemark.hooks import RecordingHooks
    from tidemark.runner.specs import add_specs

    folder.mkdir()
    (folder / "n0.json").write_text("{}")
    catalog = TidemarkCatalog.from_config(
        {"n{number}": {"type": "json.JSONDataset", "filepath": f"{folder}/n{{number}}.json"}}
    )
    policy = {"attempts": 1}
    info = RunInfo(
        project_path=folder,
        data_root=folder,
        scenarios={},
        mlflow={"enabled": False},
        retries={"storage": policy, "jobs": {}},
    )
    catalog[RUN_INFO] = MemoryDataset(info, copy_mode="deepcopy")
    manager = _create_hook_manager()
    add_specs(manager)
    if is_recorded:
        manager.register(RecordingHooks())
    chain = Pipeline(
        [Node(echo, f"n{n}", f"n{n + 1}", name=f"node{n}") for n in range(TRIVIAL_NODES)]
    )
    started = time.perf_counter()
    runner.run(chain, catalog, manager, run_id="2026-01-01T00.00.00.000Z")
    return time.perf_counter() - started


def measure_two_processes(data: Path, environment: dict[str, str]) -> None:
    """Time the modelling stage in one process and in two, without their start."""
    print("\nThe modelling stage on the embedded data, one BLAS thread")
    conf = yaml.safe_load((PROJECT / "conf/base/scenarios.yml").read_text(encoding="utf-8"))
    scenarios = ",".join(conf["scenarios"]["returns"])
    spans = {}
    for label, words in (
        ("sequential", ()),
        ("two processes", ("--runner-params", "executor=processes,max_workers=2")),
    ):
        command = kedro(
            "run", "--pipeline", "modelling", "--scenario", scenarios, "--force", *words
        )
        whole = run([*command, "--params", f"data_root={data}"], environment)
        spans[label], start = _span(data)
        print(f"  {label:<22} {spans[label]:>6.1f} s   start {start:.1f} s   command {whole:.1f} s")
    gain = spans["sequential"] / spans["two processes"]
    print(f"  two processes are {gain:.2f} times as fast once they run (aim: at least 1.60)")


def _span(data: Path) -> tuple[float, float]:
    """Read how long the newest run's nodes took as a whole, and how long it took to the first."""
    records = [json.loads(path.read_text()) for path in (data / "checkpoints").glob("*.json")]
    newest = max(record["run_id"] for record in records)
    own = [record for record in records if record["run_id"] == newest]
    begun = datetime.strptime(newest, "%Y-%m-%dT%H.%M.%S.%f%z")
    first = min(datetime.fromisoformat(record["started"]) for record in own)
    last = max(datetime.fromisoformat(record["ended"]) for record in own)
    return (last - first).total_seconds(), (first - begun).total_seconds()


def main() -> None:
    """Measure in turn and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (default 5)")
    parser.add_argument("--dvc", help="the dvc command of another environment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads = {key: "1" for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        environment = {
            **os.environ,
            **threads,
            "DO_NOT_TRACK": "1",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        }
        measure_overhead(folder, min(options.rounds, 3))
        measure_nothing_to_do(options.rounds, folder / "data", environment, options.dvc)
        measure_two_processes(folder / "data", environment)


if __name__ == "__main__":
    main()
