"""Runs that end before their end: interrupted, killed, or cut off from MLflow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
BASELINES = {f"returns_baseline.{model}" for model in ("zero", "trailing_mean", "last_value")}


def _start(place: Any, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        place.run_words(*words),
        cwd=PROJECT,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for(path: Path, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.05)


def _processes_of_session(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended in between
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner", "ParallelRunner"])
def test_run_interrupted_exits_130_and_leaves_nothing_running(runner: str, workplace: Any) -> None:
    """Ctrl-C ends the run with 130 and no process; MLflow hears of it with the next sync."""
    run = _start(workplace, "--runner", runner)
    _wait_for(workplace.data / "checkpoints/median_impute.split.ok")
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130, stderr
    assert "Interrupted" in stderr
    limit = time.monotonic() + 5
    while _processes_of_session(run.pid) and time.monotonic() < limit:
        time.sleep(0.05)
    assert _processes_of_session(run.pid) == []
    words = workplace.command("tracking", "sync", "--data-root", str(workplace.data))
    subprocess.run(words, cwd=PROJECT, env=workplace.environment(), check=True, capture_output=True)
    statuses = {run.info.status for run in workplace.mlflow_runs()}
    assert "KILLED" in statuses
    assert statuses <= {"KILLED", "FINISHED"}
    assert list((workplace.data / "outbox").iterdir()) == []


def test_run_killed_is_closed_as_killed_at_the_next_start(workplace: Any) -> None:
    """What SIGKILL leaves RUNNING is closed by the next run, with what it had done."""
    run = _start(workplace)
    _wait_for(workplace.data / "checkpoints/mean_impute.linear.train.ok")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    assert {one.info.status for one in workplace.mlflow_runs()} == {"RUNNING"}

    done = workplace.kedro("--to-nodes", "returns_data.publish")
    assert done.returncode == 0, done.stderr
    assert "had died" in done.stderr
    assert "Nothing to do" in done.stderr
    by_name = {one.info.run_name: one for one in workplace.mlflow_runs()}
    assert by_name["mean_impute.linear"].info.status == "KILLED"
    assert "cv_rmse_mean" in by_name["mean_impute.linear"].data.metrics
    cells = {name for name in by_name if not name.startswith("returns ")}
    assert cells - {"mean_impute.linear"} <= BASELINES  # nothing is fitted for them
    assert len(by_name) == len(cells) + 1
    assert {one.info.status for one in by_name.values()} == {"KILLED"}


def test_run_without_its_server_loses_nothing(workplace: Any, tmp_path: Path) -> None:
    """A server that is down costs a warning; once it is back, sync brings everything."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    words = ("--scenario", "mean_impute", "--model", "linear")
    done = workplace.kedro(*words, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be reached") == 1
    assert len(list((workplace.data / "outbox").iterdir())) == 1

    failed = _sync(workplace, uri)
    assert failed.returncode == 1
    assert "nothing is lost" in failed.stderr

    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--port",
            str(port),
            "--workers",
            "1",
            "--backend-store-uri",
            workplace.tracking_uri,
            "--artifacts-destination",
            str(tmp_path / "artifacts"),
        ],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for_port(port)
        sent = _sync(workplace, uri)
        assert sent.returncode == 0, sent.stderr
        assert "1 of 1 waiting runs are complete" in sent.stdout
        again = _sync(workplace, uri)
        assert "0 of 0 waiting runs" in again.stdout
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)
    runs = {run.info.run_name: run for run in workplace.mlflow_runs()}
    assert len(runs) == 2
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert "rmse_high" in runs["mean_impute.linear"].data.metrics
    assert list(tmp_path.rglob("predicted_vs_true.png"))
    assert list(tmp_path.rglob("MLmodel"))


def test_run_without_its_server_stops_at_once_if_tracking_is_required(
    workplace: Any, tmp_path: Path
) -> None:
    """With required: true, a server that is down ends the run before its first node."""
    import shutil

    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    settings = tmp_path / "conf/base/mlflow.yml"
    settings.write_text(settings.read_text().replace("required: false", "required: true"))
    done = workplace.kedro(
        "--conf-source", str(tmp_path / "conf"), MLFLOW_TRACKING_URI="http://127.0.0.1:9"
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be reached" in done.stderr
    left = {path.name for path in (workplace.data / "checkpoints").glob("*")}
    assert left <= {".code_cache"}  # what was read of the project's own modules, and of no node


def _sync(place: Any, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        place.command("tracking", "sync", "--data-root", str(place.data)),
        cwd=PROJECT,
        env=place.environment(MLFLOW_TRACKING_URI=uri),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _wait_for_port(port: int, seconds: float = 90) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"nothing listens on port {port}")


def test_run_whose_worker_cannot_save_marks_the_cell_failed(workplace: Any) -> None:
    """A node that fails while saving, in a worker, marks its child and the parent FAILED."""
    words = ("--scenario", "mean_impute", "--model", "ridge")
    place = workplace.data / "07_model_output/mean_impute"
    place.mkdir(parents=True)
    (place / "ridge").write_text("a file where a folder must be")
    done = workplace.kedro(*words, "--runner", "ParallelRunner")
    assert done.returncode == 1, done.stderr
    by_name = {run.info.run_name: run for run in workplace.mlflow_runs()}
    assert {run.info.status for run in by_name.values()} == {"FAILED"}
    assert "mean_impute.ridge" in by_name
    assert not (workplace.data / "checkpoints/mean_impute.ridge.evaluate.ok").exists()


def test_run_refused_after_a_good_one_does_not_claim_its_data(
    workplace: Any, tmp_path: Path
) -> None:
    """The data hash is that of data which this run accepted, or there is none."""
    good = workplace.kedro("--namespace", "returns_data")
    assert good.returncode == 0, good.stderr
    bad = tmp_path / "bad.csv"
    bad.write_text(workplace.prices.read_text().replace("close", "closing"))
    assert workplace.kedro(prices=bad).returncode == 2
    newest, oldest = workplace.mlflow_runs()
    assert oldest.data.tags["tidemark.data_hash"]
    assert "tidemark.data_hash" not in newest.data.tags
