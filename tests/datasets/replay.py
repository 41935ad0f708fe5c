"""A server on this machine that sends recorded answers, or fails in one of the usual ways."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# Answers of the real services, beside the project's root; not part of the project.
WIRE = Path(__file__).resolve().parents[3] / "shared" / "data" / "wire"

JSON = "application/json;charset=utf-8"
PAGE = b"<!DOCTYPE html>\n<html><body>Will be right back</body></html>\n"
# `cut` promises more than it sends, `truncated` does not.
FAULTS = ("429", "500", "stall", "garbage", "truncated", "cut", "page", "closed")


@dataclass(frozen=True)
class Recording:
    """An answer to every question of a path that has this query; ``span`` in UNIX seconds."""

    path: str
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    content_type: str = JSON
    span: tuple[float, float] = (0.0, 0.0)

    def overlap(self, query: Mapping[str, str]) -> float:
        """Tell how much of the period that is asked for was recorded, in seconds."""
        first, last = float(query.get("period1", 0)), float(query.get("period2", 0))
        return min(last, self.span[1]) - max(first, self.span[0])


class ReplayServer(ThreadingHTTPServer):
    """Send recordings; a fault that was asked for takes the place of the next answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = False  # closing waits for them
        self.recordings: list[Recording] = []
        self.asked: list[str] = []
        self.retry_after = "0.5"  # what 429 asks for
        self.stopping = threading.Event()
        self._faults: list[tuple[str, str, bool]] = []
        self._lock = threading.Lock()

    @property
    def base(self) -> str:
        """The address of the server's root."""
        return f"http://127.0.0.1:{self.server_port}"

    def record(self, path: str, body: bytes, **facts: Any) -> None:
        """Add an answer; of those that fit equally well, the newest is sent."""
        self.recordings.insert(0, Recording(path, body, **facts))

    def fail(self, *faults: str, path: str = "", always: bool = False) -> None:
        """Fail the next requests whose path holds a text, one for each fault, or all of them."""
        assert set(faults) <= set(FAULTS)
        self._faults += [(path, fault, always) for fault in faults]

    def heal(self) -> None:
        """Fail no more."""
        self._faults = []

    def take(self, target: str) -> tuple[Recording, str]:
        """Note a request, and choose its answer and its fault."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        with self._lock:
            self.asked.append(target)
            fault = self._next_fault(path)
        fits = [
            one
            for one in self.recordings
            if one.path == path and one.query.items() <= query.items()
        ]
        return max(fits, key=lambda one: one.overlap(query), default=_unknown(path)), fault

    def _next_fault(self, path: str) -> str:
        for number, (part, fault, always) in enumerate(self._faults):
            if part in path:
                if not always:
                    del self._faults[number]
                return fault
        return ""


class _Handler(BaseHTTPRequestHandler):
    server: ReplayServer

    def do_GET(self) -> None:
        recording, fault = self.server.take(self.path)
        body, half = recording.body, len(recording.body) // 2
        if fault == "429":
            headers = {"Retry-After": self.server.retry_after}
            self._send(429, b"Too Many Requests\r\n", "text/plain", headers)
        elif fault == "500":
            self._send(500, b"", "text/plain")
        elif fault == "garbage":
            self._send(200, bytes(range(256)), recording.content_type)
        elif fault == "truncated":
            self._send(200, body[:half], recording.content_type)
        elif fault == "cut":
            self._send(200, body[:half], recording.content_type, {"Content-Length": str(len(body))})
        elif fault == "page":
            self._send(200, PAGE, "text/html")
        elif fault == "closed":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            if fault == "stall":
                self.server.stopping.wait(30)
            self._send(recording.status, body, recording.content_type)

    def _send(
        self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        base = {"Content-Length": str(len(body)), "Content-Type": kind}
        try:
            self.send_response(status)
            for name, value in {**base, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # whoever asked has given up
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `asked` holds the requests."""


def _unknown(path: str) -> Recording:
    """Answer as the services do where they have nothing."""
    if path.startswith("/v8/finance/chart/"):
        error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        return Recording(path, pack({"chart": {"result": None, "error": error}}), status=404)
    if path.startswith("/fred/"):
        error = {"error_code": 400, "error_message": "Bad Request.  The series does not exist."}
        return Recording(path, pack(error), status=400)
    return Recording(path, PAGE, status=404, content_type="text/html")


def pack(answer: Any) -> bytes:
    """Write an answer as the services do."""
    return json.dumps(answer, separators=(",", ":")).encode()


def replay_wire(server: ReplayServer) -> None:
    """Let a server send what the real services have sent: daily charts, vintages and graphs."""
    for path in sorted((WIRE / "yahoo_chart_json").glob("*.json")):
        _record(server, json.loads(path.read_bytes()))
    for path in sorted((WIRE / "fred_json").glob("*.json.gz")):
        for one in json.loads(gzip.decompress(path.read_bytes())):
            _record(server, one)
    for path in sorted((WIRE / "fredgraph_csv").glob("*.csv")):
        query = {"id": path.stem.partition("_")[0]}
        body = path.read_bytes()
        server.record("/graph/fredgraph.csv", body, query=query, content_type="application/csv")


def _record(server: ReplayServer, one: dict[str, Any]) -> None:
    parts = urlsplit(one["url"])
    query, body = dict(parse_qsl(parts.query)), one["body"]
    facts: dict[str, Any] = {"status": one["status"]}
    if "period1" in query:
        if query["interval"] != "1d":
            return
        facts["span"] = float(query["period1"]), float(query["period2"])
    elif "observations" in body:
        if "output_type" in query:
            return
        vintage = body["realtime_start"]
        facts["query"] = {"series_id": query["series_id"], "realtime_start": vintage}
    server.record(unquote(parts.path), pack(body), **facts)
