"""An address is fetched whole, or refused with a reason, a remedy and no secret."""

from __future__ import annotations

import gzip
import logging
import shutil
import socket
import ssl
import subprocess
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tidemark.datasets.http import download, show_address
from tidemark.errors import SourceError

TEXT = b"date,ticker,close\n2018-12-31,KO,47.35\n2019-01-02,KO,46.93\n"
SECRETS = ("hunter2", "tiger", "bob")


def _refused(url: str, **limits: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        download(url, **limits)
    return caught.value


@pytest.fixture
def dead_address() -> Iterator[str]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/prices.csv"


def test_download_returns_the_bytes_and_says_who_asks(scripted_server: Any) -> None:
    """The body comes as it was sent; the source sees the project's name and further headers."""
    scripted_server.answer(body=TEXT)

    body = download(scripted_server.address("prices.csv?key=1"), headers={"X-Key": "k"})

    assert body == TEXT
    assert scripted_server.paths == ["/prices.csv?key=1"]
    assert scripted_server.headers[0]["User-Agent"] == f"tidemark/{version('tidemark')}"
    assert scripted_server.headers[0]["X-Key"] == "k"


def test_download_undoes_the_content_encoding(scripted_server: Any) -> None:
    """A server that packs the body although it was not asked to is understood."""
    scripted_server.answer(body=gzip.compress(TEXT, mtime=0), headers={"Content-Encoding": "gzip"})

    assert download(scripted_server.address("prices.csv")) == TEXT


def test_download_follows_a_redirect(scripted_server: Any) -> None:
    """A file that has moved is fetched from its new place."""
    scripted_server.answer(status=302, headers={"Location": "/moved.csv"})
    scripted_server.answer(body=TEXT)

    assert download(scripted_server.address("prices.csv")) == TEXT
    assert scripted_server.paths == ["/prices.csv", "/moved.csv"]


@pytest.mark.parametrize(
    ("status", "is_transient"),
    [
        (304, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (410, False),
        (429, True),
        (500, True),
        (503, True),
        (599, True),
    ],
)
def test_download_status_says_whether_to_try_again(
    scripted_server: Any, status: int, is_transient: bool
) -> None:
    """Faults of the server pass with time; what it says of the request does not."""
    scripted_server.answer(status=status, body=b"<html>sorry</html>")

    error = _refused(scripted_server.address("prices.csv"))

    assert error.is_transient is is_transient
    assert error.retry_after_seconds is None
    assert f"/prices.csv answered {status}" in str(error)
    assert ("Try again later" if is_transient else "Check the address") in str(error)
    assert len(scripted_server.paths) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_download_retry_after_in_seconds_is_passed_on(
    scripted_server: Any, status: int, value: str, expected: float | None
) -> None:
    """How long the source wants to be left alone reaches the caller; nonsense does not."""
    scripted_server.answer(status=status, headers={"Retry-After": value})

    error = _refused(scripted_server.address("prices.csv"))

    assert (error.is_transient, error.retry_after_seconds) == (True, expected)


@pytest.mark.parametrize(
    ("ahead_seconds", "low", "high"), [(90, 80.0, 90.0), (-90, 0.0, 0.0)], ids=["future", "past"]
)
def test_download_retry_after_as_date_becomes_seconds(
    scripted_server: Any, ahead_seconds: int, low: float, high: float
) -> None:
    """A date of HTTP counts from now, and one that has passed means at once."""
    moment = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    value = format_datetime(moment, usegmt=True)
    scripted_server.answer(status=429, headers={"Retry-After": value})

    error = _refused(scripted_server.address("prices.csv"))

    assert error.retry_after_seconds is not None
    assert low <= error.retry_after_seconds <= high


@pytest.mark.parametrize("when", ["before the answer", "within the body"])
def test_download_silence_ends_after_the_read_timeout(scripted_server: Any, when: str) -> None:
    """A source that falls silent is left, whether it had begun to answer or not."""
    late = "delay_seconds" if when == "before the answer" else "pause_seconds"
    scripted_server.answer(body=TEXT, **{late: 30.0})
    begun = time.monotonic()

    error = _refused(scripted_server.address("prices.csv"), read_timeout_seconds=0.1)

    assert time.monotonic() - begun < 5
    assert error.is_transient
    assert "silent for too long" in str(error)


def test_download_dribble_ends_after_the_total_timeout(scripted_server: Any) -> None:
    """A source that is never silent but never done is left, with what it has sent so far told."""
    scripted_server.answer(body=b"x" * 10_000, pause_seconds=0.02)
    begun = time.monotonic()

    error = _refused(
        scripted_server.address("prices.csv"), read_timeout_seconds=5, total_timeout_seconds=0.3
    )

    assert time.monotonic() - begun < 3
    assert error.is_transient
    assert "bytes after 0.3 seconds and was not at the end" in str(error)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (TEXT, {"Content-Length": str(len(TEXT) + 1)}),
        (b"", {"Content-Length": "100"}),
        (TEXT, {"Content-Encoding": "gzip"}),
    ],
    ids=["cut", "nothing of it", "wrongly packed"],
)
def test_download_body_that_is_not_what_was_promised_is_refused(
    scripted_server: Any, body: bytes, headers: dict[str, str]
) -> None:
    """A part never passes for the whole."""
    scripted_server.answer(body=body, headers=headers)

    error = _refused(scripted_server.address("prices.csv"))

    assert error.is_transient
    broken_off = "the answer broke off before its end" in str(error)
    assert broken_off is ("Content-Length" in headers)


def test_download_refused_connection_is_transient_and_keeps_its_cause(dead_address: str) -> None:
    """A server that is down may come back; without a secret to keep, the cause is shown."""
    error = _refused(dead_address)

    assert error.is_transient
    assert dead_address in str(error)
    assert "connection refused" in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/prices.csv",
        "http://",
        "http://[::1/prices.csv",
        "http://example.org:port/prices.csv",
        "http://.example.org/prices.csv",
    ],
)
def test_download_unusable_address_is_permanent(url: str) -> None:
    """Trying again cannot help an address that cannot be asked for."""
    error = _refused(url)

    assert not error.is_transient
    assert "cannot be asked for" in str(error)


def test_download_circle_of_redirects_is_permanent(scripted_server: Any) -> None:
    """A file that points to itself is given up."""
    scripted_server.answer(status=302, headers={"Location": "/prices.csv"})

    error = _refused(scripted_server.address("prices.csv"))

    assert not error.is_transient
    assert "circle of redirects" in str(error)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_download_unknown_certificate_is_permanent(scripted_server: Any, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused for good, and the remedy named."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    about = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *kind, *about, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    scripted_server.secure(context)

    error = _refused(scripted_server.address("prices.csv").replace("http:", "https:"))

    assert not error.is_transient
    assert "certificate" in str(error)
    assert "REQUESTS_CA_BUNDLE" in str(error)


@pytest.mark.parametrize(
    "fault",
    ["404", "500", "429", "cut", "silent", "dribble", "down", "moved", "no scheme", "header"],
)
def test_download_secrets_of_the_address_appear_nowhere(
    scripted_server: Any, dead_address: str, fault: str
) -> None:
    """User, password, query and headers are in neither the message nor the whole traceback."""
    path = "prices.csv?apikey=hunter2"
    url = scripted_server.address(path, user="bob:tiger")
    limits: dict[str, Any] = {"read_timeout_seconds": 0.1, "total_timeout_seconds": 0.3}
    if fault.isdigit():
        scripted_server.answer(status=int(fault))
    elif fault == "cut":
        scripted_server.answer(body=TEXT, headers={"Content-Length": "1000"})
    elif fault == "silent":
        scripted_server.answer(delay_seconds=30)
    elif fault == "dribble":
        scripted_server.answer(body=TEXT * 100, pause_seconds=0.05)
    elif fault == "down":
        url = dead_address.replace("http://", "http://bob:tiger@") + "?apikey=hunter2"
    elif fault == "moved":  # the new place has a key of its own
        url = scripted_server.address("prices.csv")
        headers = {"Location": f"{dead_address}?apikey=hunter2"}
        scripted_server.answer(status=302, headers=headers)
    elif fault == "no scheme":
        url = url.replace("http://", "htp://")
    else:
        limits["headers"] = {"X-Key": "hunter2\n"}

    error = _refused(url, **limits)

    shown = str(error) + repr(error) + _all_words(error)
    assert "127.0.0.1" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


def _all_words(error: BaseException) -> str:
    """Gather what a logger could find: the traceback's lines, and hidden contexts too."""
    words = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        words.append(f"{seen} {seen!r}")
        seen = seen.__cause__ or seen.__context__
    return "\n".join(words)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://example.org/a.csv", "http://example.org/a.csv"),
        ("http://example.org/a.csv?key=hunter2", "http://example.org/a.csv"),
        ("http://bob:tig@hunter2@example.org/a.csv", "http://***@example.org/a.csv"),
        ("http://[::1]:8000/a.csv#hunter2", "http://[::1]:8000/a.csv"),
        ("http://bob:tig/er@example.org/a.csv", "http://... (not a readable address)"),
        ("http://bob:tig?er@example.org/a.csv", "http://... (not a readable address)"),
        ("http:///a.csv?key=hunter2", "http://... (not a readable address)"),
    ],
)
def test_show_address_never_shows_what_is_secret(url: str, shown: str) -> None:
    """Host, port and path are left; of what cannot be taken apart, nothing is."""
    assert show_address(url) == shown


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("", True),
        (None, True),
        ("text/html; charset=UTF-8", False),
        ("application/jsonp", False),
    ],
)
def test_download_of_another_type_of_content_is_transient(
    scripted_server: Any, sent: str | None, is_taken: bool
) -> None:
    """An error page with status 200 says what it is; an answer that says nothing is looked at."""
    scripted_server.answer(body=TEXT, headers={} if sent is None else {"Content-Type": sent})
    address = scripted_server.address("prices.json")

    if is_taken:
        assert download(address, media_type="application/json") == TEXT
        return
    error = _refused(address, media_type="application/json")
    assert error.is_transient
    assert f"sent {sent.partition(';')[0]} and not application/json" in str(error)


@pytest.mark.parametrize(
    ("status", "explained"),
    [(404, True), (400, True), (304, True), (429, False), (503, False)],
)
def test_download_refused_for_good_says_what_its_caller_makes_of_it(
    scripted_server: Any, status: int, explained: bool
) -> None:
    """The caller reads the body of a refusal; a fault that passes needs no explanation."""
    scripted_server.answer(status=status, body=b"" if status == 304 else b"no such thing")
    seen: list[tuple[int, bytes]] = []

    def explain(status: int, body: bytes) -> str | None:
        seen.append((status, body))
        return "It does not exist. Take another."

    error = _refused(scripted_server.address("prices.csv"), explain=explain)

    assert error.is_transient is not explained
    assert seen == ([(status, b"" if status == 304 else b"no such thing")] if explained else [])
    assert str(error).endswith(": It does not exist. Take another.") is explained


@pytest.mark.parametrize("fault", ["nothing to say", "cut", "silent", "wrongly packed"])
def test_download_refused_without_an_explanation_names_the_general_remedy(
    scripted_server: Any, fault: str
) -> None:
    """A refusal whose body cannot be read is a refusal all the same."""
    facts: dict[str, Any] = {
        "nothing to say": {"body": b"sorry"},
        "cut": {"body": b"sorry", "headers": {"Content-Length": "999"}},
        "silent": {"body": b"sorry", "pause_seconds": 30.0},
        "wrongly packed": {"body": b"sorry", "headers": {"Content-Encoding": "gzip"}},
    }[fault]
    scripted_server.answer(status=404, **facts)

    error = _refused(
        scripted_server.address("prices.csv"),
        read_timeout_seconds=0.1,
        explain=lambda _, body: "never" if body not in (b"", b"sorry") else None,
    )

    assert not error.is_transient
    assert "answered 404 Not Found. Check the address" in str(error)


def test_download_host_that_asked_for_quiet_is_left_alone_at_every_address(
    scripted_server: Any,
) -> None:
    """Limits count requests of a host; another port is another host."""
    scripted_server.answer(status=429, headers={"Retry-After": "1"})
    scripted_server.answer(body=TEXT)
    _refused(scripted_server.address("prices.csv?key=1"))

    error = _refused(scripted_server.address("rates.csv", user="bob:tiger"))

    assert error.is_transient
    assert error.retry_after_seconds is not None
    assert 0 < error.retry_after_seconds <= 1
    assert "asked to be left alone" in str(error)
    assert len(scripted_server.paths) == 1
    time.sleep(error.retry_after_seconds)
    assert download(scripted_server.address("rates.csv")) == TEXT


def test_download_waits_for_its_turn(scripted_server: Any) -> None:
    """Requests of a process to one host are evenly apart; without a limit they do not wait."""
    scripted_server.answer(body=TEXT)
    begun = time.monotonic()
    for name in ("a", "b", "c"):
        download(scripted_server.address(name), requests_per_second=10)
    assert time.monotonic() - begun >= 0.2


def test_download_logs_of_the_library_show_no_query(
    scripted_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """At its finest level, urllib3 tells what it asks for; it does so without the query."""
    scripted_server.answer(body=TEXT)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")

    download(scripted_server.address("prices.csv?apikey=hunter2"))

    assert '"GET /prices.csv?*** HTTP/1.1" 200' in caplog.text
    assert "hunter2" not in caplog.text + "".join(str(record.args) for record in caplog.records)
