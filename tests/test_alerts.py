"""Alerts reach the owner of a job over real HTTP, hold nothing up and give no address away."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from tidemark import alerts, incidents
from tidemark.alerts import Alert, Alerts, AlertSettings
from tidemark.errors import ConfigError, UnknownName
from tidemark.hooks.alerting import _of_result
from tidemark.runner.specs import NodeResult

# On Python 3.11 and 3.12 apprise imports a module that 3.13 has not.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SHIPPED = Path(__file__).parents[1] / "conf/base/alerts.yml"
OWNERS = {"engineers": ("fetch",), "platform": ("run", "storage"), "analyst": ("plot",)}
DEGRADED = Alert.of("degraded", "fetch", "The source was down; the file of 2024-03-01 stands in.")
SECRET = "hunter2hunter2"  # noqa: S105 - it opens nothing
TRACE = 1

# Tells nobody, and says whether apprise came in.
SILENT = """
import sys
from tidemark.alerts import Alert, Alerts, AlertSettings

settings = AlertSettings(timeout_seconds=1, owners={"platform": ("run",)})
told = Alerts(settings, None, {}).send(Alert.of("failed run", "run", "It failed."))
print(told, "apprise" in sys.modules)
"""


@dataclass
class Endpoint:
    """An HTTP server whose paths begin with what they do: /ok, /fail or /stall."""

    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)

    def address(self, path: str, user: str = "") -> str:
        """Return the address of a path in apprise's spelling."""
        return f"json://{user}127.0.0.1:{self.port}/{path}"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Serve on a free port of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.paths.append(self.path)
            if self.path.startswith("/stall"):
                found.over.wait(30)
                self.close_connection = True
                return
            if self.path.startswith("/ok"):
                found.received.append(json.loads(body) | {"auth": self.headers["Authorization"]})
            self.send_response(200 if self.path.startswith("/ok") else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """Collect what reaches the root's handlers when every logger says all it can."""
    found: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    keeper = Keeper()
    loggers = [logging.getLogger(name) for name in (None, "tidemark", "urllib3", "apprise")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(keeper)
    for logger in loggers:
        logger.setLevel(TRACE)
    yield found
    loggers[0].removeHandler(keeper)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _alerts(
    credentials: dict[str, Any] | None = None, timeout_seconds: float = 1, **environment: str
) -> Alerts:
    settings = AlertSettings(timeout_seconds=timeout_seconds, owners=OWNERS)
    return Alerts(settings, credentials, environment)


def _said(records: list[logging.LogRecord], level: int = TRACE) -> list[str]:
    return [
        record.getMessage()
        for record in records
        if record.name == "tidemark.alerts" and record.levelno >= level
    ]


@pytest.mark.parametrize(
    ("kind", "gravity"),
    [
        ("refused data", "failure"),
        ("failed run", "failure"),
        ("retries exhausted", "warning"),
        ("degraded", "warning"),
        ("fallback", "warning"),
        ("missing", "warning"),
        ("failed cell", "warning"),
        ("leak", "warning"),
        ("alarm", "warning"),
    ],
)
def test_alert_reaches_owner_with_title_body_and_gravity(
    endpoint: Endpoint, kind: alerts.Kind, gravity: str
) -> None:
    """The service gets the title, the text and how grave it is."""
    told = _alerts({"engineers": endpoint.address("ok")}).send(
        Alert.of(kind, "fetch", "Two <rows>\nof\t3 & more")
    )

    assert told is True
    (message,) = endpoint.received
    assert message["title"] == f"Tidemark: {kind}: fetch"
    assert message["message"] == "Two <rows>\nof\t3 & more"
    assert message["type"] == gravity


@pytest.mark.parametrize("kind", get_args(incidents.Kind))
def test_hooks_turn_every_kind_of_incident_into_an_alert(kind: str) -> None:
    """No incident is left without words; each names its node."""
    result = NodeResult("mean.audit", 1.0, incidents=({"kind": kind, "message": "so it is"},))
    (alert,) = _of_result(result, "features")
    assert (alert.kind, alert.job) == (kind.replace("_", " "), "features")
    assert alert.body == "mean.audit: so it is"
    assert alert.kind in get_args(alerts.MildKind)


def test_alert_text_is_masked_and_bounded(endpoint: Endpoint) -> None:
    """Passwords in the caller's text go no further, and a long text is cut."""
    body = f"no answer from http://bob:{SECRET}@host/x " + "y" * 5000
    alert = Alert("degraded", "fetch", f"http://bob:{SECRET}@host/x\nis down", body)

    _alerts({"engineers": endpoint.address("ok")}).send(alert)

    (message,) = endpoint.received
    assert message["title"] == "http://***@host/x is down"
    assert message["message"].startswith("no answer from http://***@host/x yyy")
    assert len(message["message"]) == 3000


def test_alert_without_body_is_delivered(endpoint: Endpoint) -> None:
    """The title alone says enough."""
    told = _alerts({"engineers": endpoint.address("ok")}).send(Alert.of("degraded", "fetch", ""))

    assert told is True
    assert endpoint.received[0]["message"] == "Tidemark: degraded: fetch"


def test_alert_is_sent_by_the_thread_that_asks(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may fork after an alert, which is safe only without threads of the sender's."""
    pooled: list[object] = []
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *task: pooled.append(task))

    assert _alerts({"engineers": endpoint.address("ok")}).send(DEGRADED) is True

    assert pooled == []


def test_endpoint_failing_is_warned_of_once_and_not_tried_again(
    endpoint: Endpoint, records: list[logging.LogRecord]
) -> None:
    """After the first failure an owner's alerts are counted, not sent."""
    sender = _alerts({"engineers": endpoint.address("fail")})

    assert [sender.send(DEGRADED) for _ in range(3)] == [False, False, False]

    assert endpoint.paths == ["/fail"]
    assert sender.undelivered == {"engineers": 3}
    (warning,) = _said(records, logging.WARNING)
    assert warning == (
        "Alert 1 not delivered to engineers: 'Tidemark: degraded: fetch'. Of 1 addresses 1 failed "
        "and are not tried again in this run: json://*** did not accept it within 1 s. Check "
        "TIDEMARK_ALERTS_ENGINEERS, TIDEMARK_ALERTS and the section 'alerts' of credentials.yml."
    )
    assert [line[:32] for line in _said(records) if line != warning] == [
        "Alert 2 not delivered to enginee",
        "Alert 3 not delivered to enginee",
    ]


def test_retries_asked_for_in_address_are_not_made(endpoint: Endpoint) -> None:
    """An address cannot lengthen the wait: its own retries and limits do not count."""
    address = endpoint.address("fail") + "?retry=3&wait=60&rto=60&cto=60"

    assert _alerts({"engineers": address}).send(DEGRADED) is False

    assert endpoint.paths == ["/fail"]


def test_endpoint_stalling_holds_the_run_up_for_the_timeout_only(endpoint: Endpoint) -> None:
    """Nobody waits for an answer that does not come, and no later alert waits at all."""
    sender = _alerts({"default": endpoint.address("stall") + "?rto=30"}, timeout_seconds=1)
    assert _alerts({"engineers": endpoint.address("ok")}).send(DEGRADED)  # apprise is loaded

    start = time.monotonic()
    told = sender.send(DEGRADED)
    first = time.monotonic() - start
    again = [sender.send(Alert.of("failed run", job, "")) for job in ("fetch", "run", "plot")]
    later = time.monotonic() - start - first

    assert told is False
    assert again == [False, False, False]
    assert 0.9 < first < 2
    assert later < 0.5


def test_nobody_listening_fails_without_raising(
    endpoint: Endpoint, records: list[logging.LogRecord]
) -> None:
    """A closed port is a warning, not an error."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint.port = closed.getsockname()[1]

    assert _alerts({"engineers": endpoint.address("ok")}).send(DEGRADED) is False

    assert len(_said(records, logging.WARNING)) == 1


def test_service_raising_fails_without_raising(
    monkeypatch: pytest.MonkeyPatch, records: list[logging.LogRecord]
) -> None:
    """Whatever goes wrong in a service stays there, its words included."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("apprise.Apprise.instantiate", fail)

    assert _alerts({"engineers": "json://127.0.0.1"}).send(DEGRADED) is False

    (warning,) = _said(records, logging.WARNING)
    assert "json://*** raised RuntimeError." in warning


@pytest.mark.parametrize("address", [f"nonsense://{SECRET}", SECRET, f"slack://{SECRET}"])
def test_bad_address_fails_and_is_masked(address: str, records: list[logging.LogRecord]) -> None:
    """What apprise cannot read counts as not delivered."""
    assert _alerts({"engineers": address}).send(DEGRADED) is False

    (warning,) = _said(records, logging.WARNING)
    assert "*** is nothing that apprise can read" in warning
    assert not [record for record in records if SECRET in str(vars(record))]


@pytest.mark.parametrize("path", ["ok", "fail"])
def test_secrets_of_an_address_reach_no_log(
    endpoint: Endpoint, records: list[logging.LogRecord], path: str
) -> None:
    """The password, the path and the query of an address are in no record, however fine."""
    address = endpoint.address(f"{path}/{SECRET}?+X-Key={SECRET}", user=f"bob:{SECRET}@")
    sender = _alerts({"engineers": address})

    assert sender.send(DEGRADED) is (path == "ok")

    assert endpoint.paths == [f"/{path}/{SECRET}"]
    assert _said(records)
    assert not [record for record in records if SECRET in str(vars(record))]
    assert SECRET not in f"{vars(sender)}{sender!r}"
    if path == "ok":
        assert endpoint.received[0]["auth"].startswith("Basic ")


def test_secrets_would_reach_the_log_if_libraries_were_heard(
    endpoint: Endpoint, records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is needed: apprise and urllib3 both write addresses down."""
    monkeypatch.setattr(alerts, "_unheard", nullcontext)

    _alerts({"engineers": endpoint.address(f"ok/{SECRET}")}).send(DEGRADED)

    tellers = {record.name for record in records if SECRET in str(vars(record))}
    assert tellers == {"apprise", "urllib3.connectionpool"}


def test_other_threads_are_heard_while_an_alert_is_sent(records: list[logging.LogRecord]) -> None:
    """Only the sender is silenced, and only while it sends."""
    logger = logging.getLogger("tidemark.test")
    with alerts._unheard():
        logger.info("the sender")
        other = threading.Thread(target=logger.info, args=("another",))
        other.start()
        other.join()
    logger.info("afterwards")

    assert [record.getMessage() for record in records] == ["another", "afterwards"]


def test_each_owner_has_addresses_of_its_own(endpoint: Endpoint) -> None:
    """An alert goes to the owner of its job; a job that nobody lists is the platform's."""
    sender = _alerts({"engineers": endpoint.address("ok/e"), "platform": endpoint.address("ok/p")})

    told = [sender.send(Alert.of("failed cell", job, "")) for job in ("fetch", "run", "unheard_of")]

    assert told == [True, True, True]
    assert endpoint.paths == ["/ok/e", "/ok/p", "/ok/p"]
    assert sender.send(Alert.of("failed cell", "plot", "")) is None


def test_several_addresses_are_all_told_though_one_fails(endpoint: Endpoint) -> None:
    """Delivered means everywhere; an address that failed does not silence the others."""
    sender = _alerts({"engineers": [endpoint.address("fail"), endpoint.address("ok")]})

    assert [sender.send(DEGRADED), sender.send(DEGRADED)] == [False, False]

    assert endpoint.paths == ["/fail", "/ok", "/ok"]


@pytest.mark.parametrize(
    ("environment", "credentials", "paths"),
    [
        ({"TIDEMARK_ALERTS_ENGINEERS": "1", "TIDEMARK_ALERTS": "3"}, "24", ["1"]),
        ({"TIDEMARK_ALERTS": "3"}, "24", ["2"]),
        ({"TIDEMARK_ALERTS": "3"}, "-4", ["3"]),
        ({}, "-4", ["4"]),
        ({"TIDEMARK_ALERTS_ENGINEERS": "", "TIDEMARK_ALERTS": " "}, "-4", ["4"]),
        ({"TIDEMARK_ALERTS_ENGINEERS": "1 5\n1"}, "24", ["1", "5"]),
        ({"TIDEMARK_ALERTS_PLATFORM": "1"}, "--", []),
    ],
)
def test_address_of_an_owner_comes_from_the_first_place_that_has_one(
    endpoint: Endpoint, environment: dict[str, str], credentials: str, paths: list[str]
) -> None:
    """Own variable, own credentials, everybody's variable, everybody's credentials."""

    def spell(numbers: str) -> str:
        return " ".join(endpoint.address(f"ok/{number}") for number in numbers.split())

    given = zip(("engineers", "default"), credentials, strict=True)
    section = {key: spell(number) for key, number in given if number != "-"}
    variables = {name: spell(numbers) for name, numbers in environment.items()}

    told = _alerts(section, **variables).send(DEGRADED)

    assert told is (True if paths else None)
    assert endpoint.paths == [f"/ok/{path}" for path in paths]


def test_nobody_to_tell_leaves_apprise_alone() -> None:
    """Most runs tell nobody, and do not pay for the import."""
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["None", "False"]


def test_alerts_switched_off_tell_nobody(endpoint: Endpoint) -> None:
    """The switch is in alerts.yml."""
    settings = AlertSettings(enabled=False, timeout_seconds=1, owners=OWNERS)

    assert Alerts(settings, {"default": endpoint.address("ok")}, {}).send(DEGRADED) is None

    assert endpoint.paths == []


def test_credentials_of_unknown_owner_are_refused() -> None:
    """A typing error must not leave an owner without word."""
    with pytest.raises(UnknownName, match=r"'plaform'\. Did you mean 'platform'"):
        _alerts({"plaform": f"json://{SECRET}"})


@pytest.mark.parametrize("value", [None, 5, {"url": SECRET}, [SECRET, 5]])
def test_credentials_that_are_no_addresses_are_refused_unseen(value: object) -> None:
    """The message names the key and never what stands under it."""
    with pytest.raises(ConfigError, match="Key 'platform' in the section 'alerts'") as caught:
        _alerts({"platform": value})

    assert SECRET not in str(caught.value)


def test_credentials_without_owners_are_refused_unseen() -> None:
    """One address for the whole section is no mapping by owner."""
    with pytest.raises(ConfigError, match="a key for each owner, or 'default'") as caught:
        _alerts(f"json://{SECRET}")  # type: ignore[arg-type]

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"owners": {"one": ["fetch"], "two": ["fetch"]}}, "listed more than once: fetch"),
        ({"owners": {"one": ["fetch", "fetch"]}}, "listed more than once: fetch"),
        ({"owners": {"default": ["fetch"]}}, "'default' means every owner"),
        ({"owners": {"Some One": ["fetch"]}}, "should match pattern"),
        ({"owners": {}}, "at least 1 item"),
        ({"timeout_seconds": 0}, "greater than 0"),
        ({"timeout_seconds": 61}, "less than or equal to 60"),
        ({"timeout_seconds": float("nan")}, "less than or equal to 60"),
        ({"urls": []}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(change: dict[str, Any], reason: str) -> None:
    """Each job has one owner, and a wait has an end."""
    usable = {"timeout_seconds": 5, "owners": {"one": ["fetch"]}}
    AlertSettings.model_validate(usable)

    with pytest.raises(ValidationError, match=reason):
        AlertSettings.model_validate(usable | change)


def test_owner_of_job_without_platform_is_the_first() -> None:
    """Somebody answers for a job that nobody lists."""
    settings = AlertSettings(timeout_seconds=1, owners={"zoe": ("fetch",), "adam": ("plot",)})

    assert [settings.owner_of(job) for job in ("plot", "other")] == ["adam", "zoe"]


def test_shipped_settings_give_every_job_an_owner() -> None:
    """The file in conf/base is usable as it is."""
    tree = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))

    settings = AlertSettings.model_validate(tree.pop("alerts"))

    assert not tree
    assert settings.enabled
    assert settings.timeout_seconds == 5
    owners = {job: settings.owner_of(job) for job in ("fetch", "train", "storage", "report")}
    assert owners == {
        "fetch": "data_engineering",
        "train": "machine_learning",
        "storage": "platform",
        "report": "analyst",
    }
