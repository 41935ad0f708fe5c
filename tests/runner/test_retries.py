"""Only what may pass is tried again, as often and as slowly as its policy says."""

from __future__ import annotations

import errno
import json
import pickle
import socket
import sqlite3
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from http.client import IncompleteRead, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO, UnsupportedOperation
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.errors
import pandera.pandas as pa
import pytest
import requests
import tenacity
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DatasetError
from pydantic import ValidationError

from tidemark.config import Study
from tidemark.errors import DataRefused, ModelError, SourceError
from tidemark.pipeline_registry import slice_pipelines
from tidemark.runner.retries import (
    Attempt,
    JobPolicy,
    Retries,
    RetryPolicy,
    call_with_retries,
)
from tidemark.runner.transience import kind_of, retry_after

SHIPPED = Path(__file__).parents[2] / "conf/base/retries.yml"


@pytest.fixture(scope="module")
def shipped() -> Retries:
    """Read the policies that the project ships."""
    return Retries.model_validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["retries"])


class _Trial:
    """A node that fails as it is told, and what was seen of it."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[tuple[int, bool]] = []
        self.noted: list[tuple[Attempt, BaseException, int]] = []
        self.waits: list[float] = []

    def run(self, node_name: str, retries: Retries) -> str:
        return call_with_retries(self._act, node_name, retries, self._note, self.waits.append)

    def _act(self, number: int, is_last: bool) -> str:
        self.calls.append((number, is_last))
        outcome = self.outcomes[min(number, len(self.outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _note(self, attempt: Attempt, error: BaseException, allowed: int) -> None:
        assert len(self.noted) == len(self.waits), "it is noted before the wait"
        self.noted.append((attempt, error, allowed))


def _retries(**fetch: Any) -> Retries:
    job = JobPolicy(nodes=("fetch",), **{"attempts": 3, "jitter_seconds": 0, **fetch})
    return Retries(storage=RetryPolicy(attempts=1), jobs={"fetch": job})


def _caused(outer: BaseException, *causes: BaseException) -> BaseException:
    link = outer
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return outer


def _from_urllib(status: int, retry_after: str | None = None) -> urllib.error.HTTPError:
    headers = Message()
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return urllib.error.HTTPError("http://host/x", status, "reason", headers, BytesIO())


def _from_requests(status: int, retry_after: str | None = None) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    if retry_after is not None:
        response.headers["retry-after"] = retry_after
    return requests.HTTPError("reason", response=response)


class _AiohttpResponseError(Exception):
    """What ``aiohttp.ClientResponseError`` keeps."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status, self.headers = status, None


def _pandera_error() -> BaseException:
    schema = pa.DataFrameSchema({"close": pa.Column(float, pa.Check.gt(0))})
    with pytest.raises(pandera.errors.SchemaError) as caught:
        schema.validate(pd.DataFrame({"close": [-1.0]}))
    return caught.value


def _requests_json_error() -> BaseException:
    with pytest.raises(requests.exceptions.JSONDecodeError) as caught:
        _empty_response().json()
    return caught.value


def _empty_response() -> requests.Response:
    response = requests.Response()
    response._content = b"{torn"
    return response


def _json_error() -> BaseException:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{torn")
    return caught.value


KINDS: list[tuple[BaseException, str | None]] = [
    # the network, or a server that fails for a while
    (SourceError("busy", is_transient=True), "network"),
    (ConnectionResetError(), "network"),
    (ConnectionRefusedError(), "network"),
    (TimeoutError(), "network"),
    (socket.gaierror(socket.EAI_AGAIN, "name resolution"), "network"),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "network"),
    (OSError(errno.EHOSTUNREACH, "no route to host"), "network"),
    (RemoteDisconnected("closed without response"), "network"),
    (IncompleteRead(b"half"), "network"),
    (urllib.error.URLError(TimeoutError("timed out")), "network"),
    (urllib.error.URLError(socket.gaierror(-3, "name resolution")), "network"),
    (urllib.error.ContentTooShortError("got only 3 of 9 bytes", (b"", Message())), "network"),
    (_from_urllib(408), "network"),
    (_from_urllib(429), "network"),
    (_from_urllib(500), "network"),
    (_from_requests(503), "network"),
    (_AiohttpResponseError(502), "network"),
    (requests.ConnectionError("refused"), "network"),
    (requests.ConnectTimeout("silent"), "network"),
    (requests.ReadTimeout("silent"), "network"),
    (requests.exceptions.ChunkedEncodingError("broke off"), "network"),
    (requests.exceptions.ContentDecodingError("broke off"), "network"),
    # a source that will say the same tomorrow
    (SourceError("no such table", is_transient=False), None),
    (ssl.SSLCertVerificationError(1, "self-signed certificate"), None),
    (urllib.error.URLError(ssl.SSLCertVerificationError(1, "self-signed")), None),
    (_caused(requests.exceptions.SSLError("handshake"), ssl.SSLCertVerificationError(1)), None),
    (urllib.error.URLError(FileNotFoundError(2, "no such file")), None),
    (_from_urllib(302), None),
    (_from_urllib(404), None),
    (_from_requests(401), None),
    (_AiohttpResponseError(403), None),
    (requests.TooManyRedirects("30"), None),
    (requests.exceptions.InvalidURL("http://"), None),
    (_requests_json_error(), None),
    # storage
    (OSError(errno.EIO, "input/output error"), "storage"),
    (OSError(errno.ENOSPC, "no space left"), "storage"),
    (BlockingIOError(errno.EAGAIN, "try again"), "storage"),
    (OSError("a file that cannot be read now"), "storage"),
    (sqlite3.OperationalError("database is locked"), "storage"),
    (sqlite3.OperationalError("no such table: runs"), None),
    (FileNotFoundError(), None),
    (PermissionError(), None),
    (IsADirectoryError(), None),
    (NotADirectoryError(), None),
    (FileExistsError(), None),
    (OSError(errno.EROFS, "read-only"), None),
    (OSError(errno.ENAMETOOLONG, "too long"), None),
    (OSError(errno.ELOOP, "links in a ring"), None),
    (UnsupportedOperation("not readable"), None),
    # data and code
    (DataRefused("a price below zero"), None),
    (ModelError("singular"), None),
    (ValueError("bad"), None),
    (_json_error(), None),
    (_pandera_error(), None),
    (KeyError("close"), None),
    (TypeError("bad"), None),
    (MemoryError(), None),
    (RuntimeError("unknown"), None),
    (KeyboardInterrupt(), None),
    (SystemExit(1), None),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: repr(value)[:50])
def test_kind_of_an_error_is_the_same_bare_and_in_two_wrappers(
    error: BaseException, kind: str | None
) -> None:
    """Kedro wraps what a dataset raises, and a dataset within a dataset is wrapped twice."""
    assert kind_of(error) == kind
    assert kind_of(_caused(DatasetError("outer"), DatasetError("inner"), error)) == kind


def test_kind_of_a_chain_is_that_of_its_first_decisive_link() -> None:
    """A refusal stays one whatever caused it; a wrapper decides nothing."""
    for decisive in (ValueError("bad"), _pandera_error(), KeyboardInterrupt()):
        assert kind_of(_caused(decisive, ConnectionResetError())) is None
    assert kind_of(_caused(ConnectionResetError(), ValueError("bad"))) == "network"
    assert kind_of(_caused(RuntimeError("wrapped"), OSError(errno.EIO, "disk"))) == "storage"
    assert kind_of(DatasetError("alone")) is None


def test_kind_of_an_error_raised_while_handling_another_reads_it_unless_suppressed() -> None:
    """An implicit context counts, `from None` cuts it off, and a cause goes before it."""
    reset = ConnectionResetError()
    implicit, suppressed, explicit = (RuntimeError(name) for name in ("a", "b", "c"))
    for error in (implicit, suppressed, explicit):
        error.__context__ = reset
    suppressed.__suppress_context__ = True
    explicit.__cause__ = ValueError("bad")

    assert [kind_of(error) for error in (implicit, suppressed, explicit)] == ["network", None, None]


def test_kind_of_a_chain_that_closes_a_ring_ends() -> None:
    """A chain that leads back to its start is read once."""
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first

    assert kind_of(first) is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (SourceError("busy", is_transient=True, retry_after_seconds=7.5), 7.5),
        (SourceError("busy", is_transient=True), None),
        (_from_urllib(503, "120"), 120.0),
        (_from_urllib(503), None),
        (_from_requests(429, "3"), 3.0),
        (_AiohttpResponseError(503), None),
        (_from_urllib(503, "Wed, 21 Oct 2015 07:28:00 GMT"), 0.0),
        (_from_urllib(503, "Wed, 21 Oct 2015 07:28:00 -0000"), 0.0),
        (_from_urllib(503, "soon"), None),
        (_from_urllib(503, "-5"), None),
        (_from_urllib(503, "Wed, 21 Oct 2015 07:28:00 +" + "9" * 20), None),
        (_caused(SourceError("busy", is_transient=True), _from_urllib(503, "9")), 9.0),
        (_caused(DatasetError("outer"), DatasetError("inner"), _from_requests(503, "4")), 4.0),
        (ValueError("bad"), None),
    ],
)
def test_retry_after_is_read_from_the_error_or_its_causes(
    error: BaseException, seconds: float | None
) -> None:
    """Seconds or a date, of whichever library; a date gone by asks for nothing more."""
    assert retry_after(error) == seconds


def test_retry_after_as_a_date_counts_from_now() -> None:
    """An HTTP date is a moment; the wait is what is left until it."""
    moment = datetime.now(UTC) + timedelta(seconds=90)

    seconds = retry_after(_from_urllib(503, format_datetime(moment, usegmt=True)))

    assert seconds == pytest.approx(89, abs=1.5)  # HTTP dates have whole seconds


@pytest.mark.parametrize(
    ("backoff", "first", "longest", "waits"),
    [
        ("exponential", 1, 10, [1, 2, 4, 8, 10, 10]),
        ("exponential", 0.5, 300, [0.5, 1, 2, 4, 8, 16]),
        ("linear", 2, 7, [2, 4, 6, 7, 7, 7]),
        ("linear", 0, 7, [0, 0, 0, 0, 0, 0]),
        ("exponential", 5, 0, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_waits_grow_by_the_backoff_up_to_the_longest(
    backoff: str, first: float, longest: float, waits: list[float]
) -> None:
    """After attempt k: first * 2^(k-1), or first * k, and never above the longest."""
    policy = _retries(
        attempts=7, backoff=backoff, first_delay_seconds=first, longest_delay_seconds=longest
    )
    trial = _Trial(ConnectionResetError())

    with pytest.raises(ConnectionResetError):
        trial.run("fetch", policy)

    assert trial.waits == waits


@given(
    attempt=st.integers(1, 100),
    first=st.floats(0, 1000),
    longest=st.floats(0, 1000),
    jitter=st.floats(0, 1000),
)
def test_jitter_adds_at_most_itself_and_never_passes_the_longest(
    attempt: int, first: float, longest: float, jitter: float
) -> None:
    """Whatever the policy, a wait lies between its growth and that plus jitter, below the cap."""
    policy = RetryPolicy(
        attempts=1,
        first_delay_seconds=first,
        longest_delay_seconds=longest,
        jitter_seconds=jitter,
    )
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt

    wait = policy.delay()(state)

    growth = first * 2.0 ** (attempt - 1)
    lowest, highest = min(longest, growth), min(longest, growth + jitter)
    assert lowest - 1e-9 <= wait <= highest + 1e-9
    assert wait <= longest


def test_jitter_spreads_the_waits() -> None:
    """Workers that fail at once do not come back at once."""
    trial = _Trial(ConnectionResetError())

    with pytest.raises(ConnectionResetError):
        trial.run("fetch", _retries(attempts=20, longest_delay_seconds=3, jitter_seconds=1))

    assert 1 <= trial.waits[0] <= 2
    assert 2 <= trial.waits[1] <= 3
    assert len(set(trial.waits[:2])) == 2
    assert set(trial.waits[2:]) == {3}


def test_attempts_used_up_raise_the_last_error_itself() -> None:
    """Nobody has to unpack a RetryError; each failure but the last was recorded."""
    errors = [
        ConnectionResetError("http://bob:secret@host/1"),
        TimeoutError("2"),
        TimeoutError("3"),
    ]
    trial = _Trial(*errors)

    with pytest.raises(TimeoutError) as caught:
        trial.run("returns_data.fetch", _retries())

    assert caught.value is errors[2]
    assert trial.calls == [(1, False), (2, False), (3, True)]
    assert trial.noted == [
        (Attempt(1, "ConnectionResetError: http://***@host/1", 1.0), errors[0], 3),
        (Attempt(2, "TimeoutError: 2", 2.0), errors[1], 3),
    ]
    assert json.loads(json.dumps(asdict(trial.noted[1][0]))) == {
        "number": 2,
        "error": "TimeoutError: 2",
        "seconds_waited": 2.0,
    }


def test_success_after_failures_is_returned() -> None:
    """Two failures that pass leave only their records."""
    trial = _Trial(ConnectionResetError(), ConnectionResetError(), "done")

    assert trial.run("fetch", _retries()) == "done"
    assert trial.waits == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        DataRefused("a price below zero"),
        _caused(DatasetError("cannot load"), DataRefused("a price below zero")),
        KeyboardInterrupt(),
        SystemExit(3),
    ],
    ids=repr,
)
def test_errors_that_last_and_interrupts_pass_at_once(
    shipped: Retries, error: BaseException
) -> None:
    """Data stays refused, a fault stays one, and Ctrl-C means now."""
    trial = _Trial(error)

    with pytest.raises(type(error)) as caught:
        trial.run("returns_data.fetch", shipped)

    assert caught.value is error
    assert trial.calls == [(1, False)]
    assert not trial.noted
    assert not trial.waits


def test_storage_trouble_in_training_gets_the_attempts_of_storage(shipped: Retries) -> None:
    """A fit is never repeated for its own sake, but for a disk that is busy, twice."""
    trial = _Trial(_caused(DatasetError("cannot save"), OSError(errno.EIO, "disk")))

    with pytest.raises(DatasetError):
        trial.run("low.ridge.train", shipped)

    assert trial.calls == [(1, True), (2, True), (3, True)]
    assert [allowed for *_, allowed in trial.noted] == [3, 3]
    assert 0.5 <= trial.waits[0] <= 1
    assert 1 <= trial.waits[1] <= 1.5


def test_network_trouble_in_training_after_storage_trouble_ends_it(shipped: Retries) -> None:
    """Each failure is measured by its own policy."""
    trial = _Trial(OSError(errno.EIO, "disk"), ConnectionResetError(), "done")

    with pytest.raises(ConnectionResetError):
        trial.run("low.ridge.train", shipped)

    assert len(trial.calls) == 2


def test_storage_trouble_of_a_job_with_more_attempts_keeps_them(shipped: Retries) -> None:
    """Storage never takes attempts away, but its delays are its own."""
    policy = shipped.policy_for("returns_data.fetch", OSError(errno.EIO, "disk"))

    assert policy is not None
    assert (policy.attempts, policy.longest_delay_seconds) == (5, 10)


def test_a_node_that_no_job_lists_is_tried_once(shipped: Retries) -> None:
    """An unknown node is never repeated by surprise."""
    trial = _Trial(ConnectionResetError())

    with pytest.raises(ConnectionResetError):
        trial.run("low.guess", shipped)

    assert shipped.job_of("low.guess") == "other"
    assert trial.calls == [(1, True)]


def test_a_longer_retry_after_takes_the_place_of_the_delay() -> None:
    """The source knows best when it will be back, but never hastens us."""
    trial = _Trial(
        SourceError("busy", is_transient=True, retry_after_seconds=50),
        SourceError("busy", is_transient=True, retry_after_seconds=1),
        "done",
    )

    assert trial.run("fetch", _retries()) == "done"
    assert trial.waits == [50, 2]


def test_a_retry_after_longer_than_the_longest_delay_fails_with_a_note() -> None:
    """A run does not stand still for an hour; what may stand in is asked for, then it fails."""
    error = SourceError("busy", is_transient=True, retry_after_seconds=3600)
    trial = _Trial(error)

    with pytest.raises(SourceError) as caught:
        trial.run("returns_data.fetch", _retries())

    assert caught.value is error
    assert error.__notes__ == [
        "Not tried again: the source asks to wait 3600 s, longer than longest_delay_seconds (60) "
        "of job 'fetch' in retries.yml. Run later, or raise it."
    ]
    assert trial.calls == [(1, False), (2, True)]
    assert trial.waits == [0.0]


def test_policies_and_records_survive_the_way_to_a_worker(shipped: Retries) -> None:
    """Worker processes are handed the policies and hand back the records."""
    record = Attempt(1, "TimeoutError: silent", 1.5)

    assert pickle.loads(pickle.dumps((shipped, record))) == (shipped, record)  # noqa: S301 - ours


@pytest.mark.filterwarnings("ignore:One or more dataset names contain")  # on purpose
def test_shipped_policies_cover_every_node(shipped: Retries, studies: list[Study]) -> None:
    """No node of the project falls to `other`, and no policy names a node that does not exist."""
    nodes = slice_pipelines(studies)["__default__"].nodes
    assert "cross_asset_data.file.fetch" in {node.name for node in nodes}
    assert [node.name for node in nodes if shipped.job_of(node.name) == "other"] == []

    known = {node.name.rpartition(".")[2] for node in nodes}
    named = {name for job in shipped.jobs.values() for name in job.nodes}
    assert named - known == {"deploy"}  # of what is to come
    assert shipped.job_of("train") == "train"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attempts": 0}, "greater than or equal to 1"),
        ({"first_delay_seconds": -1}, "greater than or equal to 0"),
        ({"longest_delay_seconds": float("nan")}, "longest_delay_seconds"),
        ({"jitter_seconds": float("inf")}, "less than or equal to 86400"),
        ({"backoff": "cubic"}, "'exponential' or 'linear'"),
        ({"atempts": 2}, "Extra inputs are not permitted"),
        ({"nodes": []}, "at least 1 item"),
    ],
)
def test_policies_out_of_bounds_are_refused(change: dict[str, Any], message: str) -> None:
    """A typing error in retries.yml stops the run before any node."""
    with pytest.raises(ValidationError, match=message):
        JobPolicy.model_validate({"nodes": ["fetch"], "attempts": 1, **change})


def test_a_node_in_two_jobs_is_refused() -> None:
    """Which policy a node has must not depend on the order of jobs."""
    jobs = {name: JobPolicy(attempts=1, nodes=("train",)) for name in ("train", "fit")}

    with pytest.raises(ValidationError, match="'train' is in jobs 'train' and 'fit'"):
        Retries(storage=RetryPolicy(attempts=1), jobs=jobs)


class _Answers(BaseHTTPRequestHandler):
    """Answers 503 as often as the server is told, then 200."""

    def do_GET(self) -> None:
        is_busy = self.server.busy > 0
        self.server.busy -= 1
        body = b"busy" if is_busy else b"date,close"
        self.send_response(503 if is_busy else 200)
        self.send_header("Content-Length", str(len(body)))
        if is_busy:
            self.send_header("Retry-After", "20")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[[int], str]]:
    """Start a real server that is busy for so many requests; return its address."""
    servers = []

    def start(busy: int) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        server.busy = busy
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/prices.csv"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _fetch(address: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise DatasetError("Failed while loading data.") from error


def test_a_real_server_that_is_busy_once_is_asked_again(
    serve: Callable[[int], str], shipped: Retries
) -> None:
    """503 with Retry-After, then 200, through urllib and over a socket."""
    address, waits = serve(1), []

    body = call_with_retries(
        lambda *_: _fetch(address), "returns_data.fetch", shipped, lambda *_: None, waits.append
    )

    assert body == b"date,close"
    assert waits == [20]


def test_a_real_server_that_stays_busy_is_given_up(
    serve: Callable[[int], str], shipped: Retries
) -> None:
    """Five requests are made, and the server's own answer is what is raised."""
    address, waits = serve(99), []

    with pytest.raises(DatasetError) as caught:
        call_with_retries(
            lambda *_: _fetch(address), "returns_data.fetch", shipped, lambda *_: None, waits.append
        )

    assert caught.value.__cause__.code == 503
    assert waits == [20, 20, 20, 20]


def test_a_real_port_that_nobody_listens_to_is_network_trouble() -> None:
    """What urllib raises for a refused connection may pass."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/"

    with pytest.raises(urllib.error.URLError) as caught:
        _fetch(address)

    assert kind_of(caught.value) == "network"
