"""What Kedro, checkpoints and MLflow cost: the study against the same mathematics in a script.

``python tests/benchmarks/overhead.py [--rounds N]`` runs (a) ``plain_returns.py`` and (b)
``kedro run --pipeline returns`` in turn, each as one whole process with one BLAS thread, on the
embedded data, after MLflow's database exists, and prints the ratio of the medians and the
seconds of tracking for each child run. Aims: a ratio of at most 1.5, at most 0.5 s a child.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
EMBEDDED = PROJECT / "data/01_raw/returns"
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def run(words: list[str], environment: dict[str, str]) -> float:
    """Run a command to its end and return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - started


def tracking_seconds(data: Path) -> float:
    """Read from the log how long a run spent on tracking."""
    lines = map(json.loads, (data / "logs/pipeline.log").read_text().splitlines())
    return sum(line["tracking_seconds"] for line in lines if "tracking_seconds" in line)


def count_children(data: Path) -> int:
    """Count the cells of a run, each of which has a child run."""
    return len(list((data / "checkpoints").glob("*.conclude.ok")))


def main() -> None:
    """Measure in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs (default 3)")
    rounds = parser.parse_args().rounds
    plain, study, tracking, children = [], [], [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            **THREADS,
            "DO_NOT_TRACK": "1",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        }
        create = "import os, mlflow; mlflow.MlflowClient().search_experiments()"
        print(f"MLflow's database is created in {run(['-c', create], environment):.1f} s, once")
        print(f"{'round':>5} {'script':>9} {'kedro run':>10} {'ratio':>6} {'tracking':>9}")
        for number in range(1, rounds + 1):
            words = [str(EMBEDDED / "prices.parquet"), str(EMBEDDED / "exogenous.parquet")]
            script = str(Path(__file__).with_name("plain_returns.py"))
            plain.append(run([script, *words, str(folder / f"plain{number}")], environment))
            data = folder / f"data{number}"
            command = ["-m", "kedro", "run", "--pipeline", "returns", "--params"]
            study.append(run([*command, f"data_root={data}"], environment))
            tracking.append(tracking_seconds(data))
            children = count_children(data)
            print(
                f"{number:>5} {plain[-1]:>7.1f} s {study[-1]:>8.1f} s "
                f"{study[-1] / plain[-1]:>6.2f} {tracking[-1]:>7.2f} s"
            )
    ratio = statistics.median(study) / statistics.median(plain)
    child = statistics.median(tracking) / children
    print(f"ratio of the medians {ratio:.2f} (aim: at most 1.50)")
    print(f"tracking for each of {children} child runs {child:.2f} s (aim: at most 0.50)")


if __name__ == "__main__":
    main()
