"""MLflow's pages are those of the store that runs are written to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

PROJECT = Path(__file__).parents[2]


def _list_experiments(port: int, seconds: float = 90) -> set[str]:
    """Ask until somebody answers."""
    limit, address = time.monotonic() + seconds, f"http://127.0.0.1:{port}"
    while True:
        try:
            answer = requests.post(
                f"{address}/api/2.0/mlflow/experiments/search", json={"max_results": 9}, timeout=30
            )
            return {one["name"] for one in answer.json()["experiments"]}
        except requests.ConnectionError:
            assert time.monotonic() < limit, f"nothing listens on port {port}"
            time.sleep(0.2)


def test_ui_opens_the_configured_store_and_ends_with_ctrl_c(
    workplace: Any, make_conf: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages know what was written to the store; one signal ends all of it."""
    from mlflow import MlflowClient

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    MlflowClient(workplace.tracking_uri).create_experiment("ours")
    conf = make_conf()
    conf.change("mlflow", lambda tree: tree["mlflow"].update(tracking_uri=workplace.tracking_uri))
    environment = workplace.environment()
    del environment["MLFLOW_TRACKING_URI"]  # so that it is the configuration that says where
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        workplace.command("tracking", "ui", "--port", str(port), *conf.words),
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert "ours" in _list_experiments(port)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            stdout, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert f"http://127.0.0.1:{port}" in stdout
    with pytest.raises(ProcessLookupError):  # no server is left of its session
        os.killpg(process.pid, 0)


def test_ui_of_a_server_tells_its_address_without_the_password(workplace: Any) -> None:
    """There is nothing to open but a browser."""
    done = subprocess.run(
        workplace.command("tracking", "ui"),
        cwd=PROJECT,
        env=workplace.environment(MLFLOW_TRACKING_URI="http://me:hunter2@tracking.example:5000"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "tracking.example:5000" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["ui", "sync"])
def test_tracking_with_a_wrong_configuration_says_what_is_wrong(
    command: str, workplace: Any, make_conf: Callable[..., Any]
) -> None:
    """An error with its name and no traceback, as every command gives it."""
    conf = make_conf()
    conf.change("mlflow", lambda tree: tree["mlflow"].update(tracking_url="sqlite:///x.db"))
    done = subprocess.run(
        workplace.command("tracking", command, *conf.words),
        cwd=PROJECT,
        env=workplace.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "tracking_url" in done.stderr
    assert "Traceback" not in done.stderr
