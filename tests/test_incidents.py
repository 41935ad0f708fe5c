"""What goes otherwise than planned is told to whoever listens, and changes nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import get_args

import pytest

from tidemark import incidents
from tidemark.incidents import Incident, Kind


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Begin without anybody who collects, whatever ran before in this thread, and end so."""
    token = incidents._current.set(None)
    yield
    incidents._current.reset(token)


def test_report_without_a_collector_is_logged_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A node function that is called by hand, or under another runner, works as ever."""
    incidents.report("degraded", "an old file stands in", day="2019-01-02")

    assert incidents.current() is None
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("tidemark.incidents", logging.WARNING)
    assert record.getMessage() == "degraded: an old file stands in"


def test_report_of_every_kind_is_collected_in_order_with_its_facts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The collector holds what was reported, ready for JSON; the log says it in words."""
    collector = incidents.collect()
    for kind in get_args(Kind):
        incidents.report(kind, f"about {kind}", number=1)

    kinds = ["degraded", "fallback", "missing", "failed_cell", "leak", "alarm"]
    assert [asdict(one) for one in collector.found] == [
        {"kind": kind, "message": f"about {kind}", "facts": {"number": 1}} for kind in kinds
    ]
    assert caplog.messages[3] == "failed cell: about failed_cell"


def test_report_message_with_percent_signs_is_logged_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A message is no format: shares of rows may be told."""
    incidents.report("fallback", "5% of 100%s")

    assert caplog.messages == ["fallback: 5% of 100%s"]


def test_collect_again_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    """What the first attempt met is not charged to the second."""
    first = incidents.collect()
    incidents.report("missing", "first")
    second = incidents.collect()
    incidents.report("missing", "second")

    assert incidents.current() is second
    assert first.found == [Incident("missing", "first")]
    assert second.found == [Incident("missing", "second")]
    assert len(caplog.messages) == 2


def test_is_last_attempt_is_what_the_collector_was_told() -> None:
    """Where nobody retries a failure is final; before the last attempt it is not."""
    found = [incidents.is_last_attempt()]
    for is_last in (False, True):
        incidents.collect(is_last)
        found.append(incidents.is_last_attempt())
    incidents.collect()

    assert found == [True, False, True]
    assert incidents.is_last_attempt()


def test_collectors_of_two_threads_are_apart() -> None:
    """Two nodes at once do not hear of each other's incidents."""
    barrier, found = threading.Barrier(2), {}

    def work(name: str, is_last: bool) -> None:
        collector = incidents.collect(is_last)
        barrier.wait(timeout=30)
        incidents.report("fallback", name)
        barrier.wait(timeout=30)
        found[name] = (collector.found, incidents.is_last_attempt())

    threads = [threading.Thread(target=work, args=one) for one in (("a", False), ("b", True))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert found == {
        "a": ([Incident("fallback", "a")], False),
        "b": ([Incident("fallback", "b")], True),
    }
    assert incidents.current() is None
