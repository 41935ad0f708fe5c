"""What addresses have sent stands in only at the very last, and each source for itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tidemark.datasets.downloads import Downloads, Source, name_folder
from tidemark.errors import SourceError
from tidemark.incidents import collect

AS_OF = "2020-01-10"
ADDRESS = "https://bob:tiger@example.org/prices?id={}"


class Vendor:
    """Sources whose answers a test decides, and how often each was asked."""

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.value = 1.0

    def source(self, code: str, name: str = "") -> Source:
        """Make a source that answers with one row."""
        return Source(ADDRESS.format(code), lambda: self._answer(code), name)

    def _answer(self, code: str) -> pd.DataFrame:
        self.asked.append(code)
        if code in self.failures:
            raise self.failures[code]
        return pd.DataFrame({"code": [code], "value": [self.value]})


@pytest.fixture
def vendor() -> Vendor:
    """Make a vendor that answers."""
    return Vendor()


@pytest.fixture
def new_downloads(tmp_path: Path) -> Callable[..., Downloads]:
    """Make downloads that keep what they read in one folder, by as-of date."""

    def make(as_of: str = AS_OF) -> Downloads:
        return Downloads({"filepath": str(tmp_path)}, as_of)

    return make


def _transient(words: str = "It is down.", wait: float | None = None) -> SourceError:
    return SourceError(words, is_transient=True, retry_after_seconds=wait)


def _values(frames: list[pd.DataFrame]) -> list[tuple[str, float]]:
    return [(frame["code"].item(), frame["value"].item()) for frame in frames]


def test_every_source_is_kept_in_a_folder_of_its_own(
    vendor: Vendor, new_downloads: Callable[..., Downloads], tmp_path: Path
) -> None:
    """The folder's name holds the host and nothing that is secret."""
    collect()
    frames = new_downloads().read_all([vendor.source("a"), vendor.source("b")])

    assert _values(frames) == [("a", 1.0), ("b", 1.0)]
    folders = {path.name for path in tmp_path.iterdir()}
    assert folders == {name_folder(ADDRESS.format(code)) for code in "ab"}
    assert all(name.startswith("example.org-") for name in folders)
    assert not any("tiger" in name or "bob" in name for name in folders)


def test_only_what_fails_for_a_while_at_the_last_attempt_falls_back(
    vendor: Vendor, new_downloads: Callable[..., Downloads]
) -> None:
    """Before it, the failure is told; after it, the newest file up to the as-of date is read."""
    collect()
    for as_of, value in (("2020-01-08", 1.0), ("2020-01-09", 2.0), ("2020-01-11", 3.0)):
        vendor.value = value
        new_downloads(as_of).read(vendor.source("a"))
    vendor.failures["a"] = _transient(wait=7.0)

    collect(last_attempt=False)
    with pytest.raises(SourceError, match=r"^It is down\.$") as caught:
        new_downloads().read(vendor.source("a"))
    assert (caught.value.is_transient, caught.value.retry_after_seconds) == (True, 7.0)

    attempt = collect(last_attempt=True)
    assert _values([new_downloads().read(vendor.source("a", "Symbol 'A'"))]) == [("a", 2.0)]
    (incident,) = attempt.found
    assert incident.kind == "degraded"
    assert incident.message.startswith("Symbol 'A': It is down. The cached file '")
    assert incident.message.endswith(" of 2020-01-09 stands in.")
    assert incident.facts["source"] == "Symbol 'A' at https://***@example.org/prices"
    assert incident.facts["reason"] == "Symbol 'A': It is down."

    vendor.failures["a"] = SourceError("It is gone.", is_transient=False)
    with pytest.raises(SourceError, match=r"^Symbol 'A': It is gone\.$"):
        new_downloads().read(vendor.source("a", "Symbol 'A'"))
    assert len(attempt.found) == 1


def test_failure_without_a_stand_in_keeps_its_kind_its_wait_and_its_cause(
    vendor: Vendor, new_downloads: Callable[..., Downloads], tmp_path: Path
) -> None:
    """Nothing kept, or nothing to keep it in: the message says which."""
    attempt = collect()
    cause = OSError("no route")
    error = _transient(wait=3.0)
    error.__cause__ = cause
    vendor.failures["a"] = error

    with pytest.raises(SourceError, match=r"Symbol 'A': It is down\. There is no cached") as caught:
        new_downloads().read(vendor.source("a", "Symbol 'A'"))
    assert (caught.value.is_transient, caught.value.retry_after_seconds) == (True, 3.0)
    assert caught.value.__cause__ is cause
    assert f"of {AS_OF} or before in '{tmp_path}" in str(caught.value)

    with pytest.raises(SourceError, match=r"^It is down\.$"):
        Downloads(None, None).read(vendor.source("a"))
    assert attempt.found == []


def test_attempts_go_on_where_the_last_one_ended(
    vendor: Vendor, new_downloads: Callable[..., Downloads]
) -> None:
    """What this process has read is not asked for again, until the whole has succeeded."""
    downloads, sources = new_downloads(), [vendor.source(code) for code in "abc"]
    vendor.failures["b"] = _transient()
    collect(last_attempt=False)
    with pytest.raises(SourceError):
        downloads.read_all(sources)
    vendor.value = 2.0
    vendor.failures.clear()

    assert _values(downloads.read_all(sources)) == [("a", 1.0), ("b", 2.0), ("c", 2.0)]
    assert vendor.asked == ["a", "b", "b", "c"]
    assert _values(downloads.read_all(sources)) == [("a", 2.0), ("b", 2.0), ("c", 2.0)]


@pytest.mark.parametrize(
    ("failure", "is_last"),
    [
        (_transient(), True),
        (SourceError("It is gone.", is_transient=False), False),
        (OSError("disk full"), False),
    ],
)
def test_nothing_is_remembered_once_nobody_tries_again(
    vendor: Vendor, failure: Exception, is_last: bool
) -> None:
    """A later load of the same dataset asks for everything anew."""
    downloads, sources = Downloads(None, None), [vendor.source(code) for code in "ab"]
    vendor.failures["b"] = failure
    collect(last_attempt=is_last)
    with pytest.raises(type(failure)):
        downloads.read_all(sources)
    vendor.value = 2.0
    vendor.failures.clear()

    assert _values(downloads.read_all(sources)) == [("a", 2.0), ("b", 2.0)]


def test_snapshot_of_an_earlier_run_never_replaces_a_fetch(
    vendor: Vendor, new_downloads: Callable[..., Downloads]
) -> None:
    """The same as-of date asked for again is asked for at the source."""
    collect()
    new_downloads().read(vendor.source("a"))
    vendor.value = 2.0

    assert _values(new_downloads().read_all([vendor.source("a")])) == [("a", 2.0)]


def test_damaged_file_does_not_stand_in(
    vendor: Vendor,
    new_downloads: Callable[..., Downloads],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bytes that are no longer those that were kept are passed over with a warning."""
    collect()
    new_downloads().read(vendor.source("a"))
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    vendor.failures["a"] = _transient()

    with caplog.at_level(logging.WARNING), pytest.raises(SourceError, match="no cached file"):
        new_downloads().read(vendor.source("a"))
    assert "is damaged" in caplog.text


def test_unreadable_snapshot_folder_is_a_fault_of_storage_and_no_stand_in(
    vendor: Vendor, tmp_path: Path
) -> None:
    """A disk that takes nothing fails the node, and is retried as such."""
    (tmp_path / "file").write_text("in the way")
    collect()

    with pytest.raises((DatasetError, OSError)):
        Downloads({"filepath": str(tmp_path / "file")}, AS_OF).read(vendor.source("a"))


@pytest.mark.parametrize(
    ("cached", "as_of"),
    [
        ({}, AS_OF),
        ({"path": "x"}, AS_OF),
        ({"filepath": "x", "as_of": "y"}, AS_OF),
        ({"filepath": "x"}, None),
    ],
)
def test_cached_that_cannot_be_used_is_refused(cached: dict[str, str], as_of: str | None) -> None:
    """A misspelt key, or no date, would leave the fall-back out without a word."""
    with pytest.raises(ValueError, match="'cached' needs 'filepath' and nothing else"):
        Downloads(cached, as_of)
