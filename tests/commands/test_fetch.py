"""A source behind an address: it fails for a while, or for good."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def hasty_conf(tmp_path: Path) -> Path:
    """Copy the configuration, with short waits in the place of long ones."""
    conf = shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    retries = yaml.safe_load((conf / "base/retries.yml").read_text())
    retries["retries"]["jobs"]["fetch"] |= {"first_delay_seconds": 0.05, "jitter_seconds": 0.05}
    (conf / "base/retries.yml").write_text(yaml.safe_dump(retries))
    catalog = conf / "base/catalog.yml"
    text = catalog.read_text()
    assert "read_timeout_seconds: 30" in text
    catalog.write_text(text.replace("read_timeout_seconds: 30", "read_timeout_seconds: 4"))
    return conf


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a server that takes alerts, and hold what it was sent."""
    taken: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"json://127.0.0.1:{server.server_port}/secret-path", taken
        server.shutdown()
        thread.join()


def _record(place: Any, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.data / f"checkpoints/{node}.json").read_text())
    return found


def test_run_fetches_from_a_source_that_fails_for_a_while(
    workplace: Any, scripted_server: Any, hasty_conf: Path
) -> None:
    """429, 500, a page that is no table and a stall are tried again; then the data comes."""
    scripted_server.answer(status=429, headers={"Retry-After": "0.3"})
    scripted_server.answer(status=500)
    scripted_server.answer(body=b"<html>We are sorry</html>")
    scripted_server.answer(delay_seconds=8)
    scripted_server.answer(body=workplace.prices.read_bytes())

    done = workplace.kedro(
        *("--namespace", "returns_data", "--conf-source", str(hasty_conf)),
        prices=scripted_server.address("prices.csv?key=hunter2"),
    )

    assert done.returncode == 0, done.stderr
    record = _record(workplace, "returns_data.fetch")
    reasons = ["429", "500", "cannot be read as CSV", "silent for too long"]
    errors = [one["error"] for one in record["attempts"]]
    assert len(errors) == len(reasons)
    assert [word for word, error in zip(reasons, errors, strict=True) if word not in error] == []
    assert record["attempts"][0]["seconds_waited"] >= 0.3
    assert record["incidents"] == []
    assert "5 tries" in done.stdout
    (parent,) = workplace.mlflow_runs()
    assert parent.data.metrics["attempts.returns_data.fetch"] == 5
    written = [path for path in workplace.root.rglob("*") if path.is_file()]
    assert not [path for path in written if b"hunter2" in path.read_bytes()]


def test_run_on_a_source_that_stays_down_uses_the_cached_file_and_says_so(
    workplace: Any,
    scripted_server: Any,
    hasty_conf: Path,
    inbox: tuple[str, list[dict[str, Any]]],
) -> None:
    """The run goes on with what the source has sent before, marked degraded, and alerts."""
    address, alerts = inbox
    words = ("--namespace", "returns_data", "--conf-source", str(hasty_conf))
    prices = scripted_server.address("prices.csv")
    scripted_server.answer(body=workplace.prices.read_bytes())
    first = workplace.kedro(*words, prices=prices)
    assert first.returncode == 0, first.stderr

    scripted_server.answer(status=503)
    down = {"prices": prices, "TIDEMARK_ALERTS_DATA_ENGINEERING": address}
    done = workplace.kedro(*words, "--force", **down)

    assert done.returncode == 0, done.stderr
    record = _record(workplace, "returns_data.fetch")
    assert len(record["attempts"]) == 4
    (incident,) = record["incidents"]
    assert incident["kind"] == "degraded"
    assert "503" in incident["message"]
    assert "degraded" in done.stdout
    newest = workplace.mlflow_runs()[0]
    assert "stands in" in newest.data.tags["tidemark.degraded"]
    assert [one["title"] for one in alerts] == ["Tidemark: degraded: fetch"]
    assert "stands in" in alerts[0]["message"]
    assert "secret-path" not in done.stdout + done.stderr
    assert "secret-path" not in (workplace.data / "logs/pipeline.log").read_text()

    # What was made of a stand-in is tried again by the next run.
    scripted_server.answer(body=workplace.prices.read_bytes())
    again = workplace.kedro(*words, prices=prices)
    assert again.returncode == 0, again.stderr
    assert _record(workplace, "returns_data.fetch")["incidents"] == []


def test_run_on_a_source_that_never_answered_fails_and_blocks_what_needs_it(
    workplace: Any, hasty_conf: Path, inbox: tuple[str, list[dict[str, Any]]]
) -> None:
    """Without a cached file the run ends with 1 after the last try, and names what it blocks."""
    address, alerts = inbox
    done = workplace.kedro(
        *("--namespace", "returns_data", "--conf-source", str(hasty_conf)),
        prices="http://127.0.0.1:9/prices.csv",
        TIDEMARK_ALERTS=address,
    )
    assert done.returncode == 1, done.stderr
    assert "Blocked" in done.stderr
    assert "Traceback" not in done.stderr
    assert {one["title"] for one in alerts} >= {"Tidemark: failed run: run"}
