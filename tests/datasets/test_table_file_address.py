"""A table at an address is read as a file is, and a cached one stands in only at the very last."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import AbstractDataset, DataCatalog, DatasetError

from tidemark.checkpoints.entries import stored_path
from tidemark.datasets.downloads import name_folder
from tidemark.datasets.snapshot import SnapshotDataset
from tidemark.datasets.table_file import TableFileDataset
from tidemark.errors import SourceError
from tidemark.incidents import Collector, collect

ROOT = Path(__file__).parents[2]
AS_OF = "2019-01-03"
TEXT = b"date,ticker,close\n2018-12-31,KO,47.35\n2019-01-02,0700,46.93\n"
PAGE = b"\n <!DOCTYPE html>\n<html><body>Bad gateway, come back</body></html>\n"


@pytest.fixture
def table() -> pd.DataFrame:
    """Hold what TEXT says."""
    return pd.DataFrame(
        {"date": ["2018-12-31", "2019-01-02"], "ticker": ["KO", "0700"], "close": [47.35, 46.93]}
    )


@pytest.fixture(autouse=True)
def attempt() -> Collector:
    """Make each test's loading the last attempt, and hold its incidents."""
    return collect(last_attempt=True)


@pytest.fixture
def folder(tmp_path: Path, scripted_server: Any) -> Path:
    """Name the folder of what the server's table was; it is not there yet."""
    return tmp_path / "downloads" / name_folder(scripted_server.address("prices.csv"))


@pytest.fixture
def keep(folder: Path) -> Callable[[str, float], Path]:
    """Store a snapshot of one price for an as-of date, and return its file."""

    def store(as_of: str, close: float) -> Path:
        dataset = SnapshotDataset(str(folder), as_of)
        dataset.save(pd.DataFrame({"ticker": ["KO"], "close": [close]}))
        assert dataset.current_path is not None
        return dataset.current_path

    return store


def _dataset(address: str, folder: Path | None = None) -> AbstractDataset[Any, Any]:
    cached = {"filepath": str(folder.parent)} if folder else None
    return TableFileDataset(address, text_columns=["ticker"], cached=cached, as_of=AS_OF)


def _refused(dataset: AbstractDataset[Any, Any]) -> SourceError:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, SourceError)
    assert str(caught.value.__cause__) in str(caught.value)
    return caught.value.__cause__


def _pack(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "path", ["prices.csv", "prices.csv.gz", "prices.parquet", "a/b/prices.csv?key=1&to=x.parquet"]
)
def test_address_with_known_ending_loads_every_row(
    scripted_server: Any, table: pd.DataFrame, attempt: Collector, path: str
) -> None:
    """The path's ending says the format, the query does not, and the rows come as they are."""
    bodies = {"csv": TEXT, "gz": gzip.compress(TEXT, mtime=0), "parquet": _pack(table)}
    scripted_server.answer(body=bodies[path.partition("?")[0].rpartition(".")[2]])

    loaded = _dataset(scripted_server.address(path)).load()

    pd.testing.assert_frame_equal(loaded, table)
    assert scripted_server.paths == [f"/{path}"]
    assert attempt.found == []


def test_address_of_packed_csv_that_the_server_declares_as_encoded_loads(
    scripted_server: Any, table: pd.DataFrame
) -> None:
    """Some servers call the packing of a .csv.gz an encoding, which then comes off on the way."""
    scripted_server.answer(body=gzip.compress(TEXT, mtime=0), headers={"Content-Encoding": "gzip"})

    loaded = _dataset(scripted_server.address("prices.csv.gz")).load()

    pd.testing.assert_frame_equal(loaded, table)


@pytest.mark.parametrize("path", ["prices", "prices.xlsx", "get?file=prices.csv", ""])
def test_address_with_unknown_ending_is_refused_before_it_is_asked(
    scripted_server: Any, path: str
) -> None:
    """What could not be read is not fetched."""
    with pytest.raises(DatasetError, match=r"must end in one of \.csv, \.csv\.gz, \.parquet"):
        _dataset(scripted_server.address(path)).load()

    assert scripted_server.paths == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("prices.csv", PAGE),
        ("prices.csv", b"\xef\xbb\xbf" + PAGE),
        ("prices.csv", b'{"error": "limit, reached"}'),
        ("prices.csv", b""),
        ("prices.csv", b" \n\n"),
        ("prices.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("prices.csv", b"date,ticker\n2019-01-02,\xe9\xff\n"),
        ("prices.csv.gz", PAGE),
        ("prices.csv.gz", gzip.compress(PAGE, mtime=0)),
        ("prices.csv.gz", gzip.compress(b"", mtime=0)),
        ("prices.csv.gz", gzip.compress(TEXT, mtime=0)[:-9]),
        ("prices.parquet", PAGE),
        ("prices.parquet", b""),
        ("prices.parquet", b"PAR1 and then no footer"),
    ],
)
def test_address_that_sends_no_table_is_a_transient_fault(
    scripted_server: Any, path: str, body: bytes
) -> None:
    """An error page with status 200 is no table, whatever pandas would make of it."""
    scripted_server.answer(body=body)
    address = scripted_server.address(path)

    error = _refused(_dataset(address))

    assert error.is_transient
    assert f"{address} sent {len(body)} bytes that cannot be read as" in str(error)


def test_address_that_fails_before_the_last_attempt_does_not_fall_back(
    scripted_server: Any, folder: Path, keep: Callable[[str, float], Path]
) -> None:
    """While somebody will try again, the failure is told with how long to wait."""
    keep(AS_OF, 1.0)
    scripted_server.answer(status=429, headers={"Retry-After": "3"})
    attempt = collect(last_attempt=False)

    error = _refused(_dataset(scripted_server.address("prices.csv"), folder))

    assert (error.is_transient, error.retry_after_seconds) == (True, 3.0)
    assert attempt.found == []


def test_address_that_recovers_is_read_and_nothing_stands_in(
    scripted_server: Any, table: pd.DataFrame, folder: Path, keep: Callable[[str, float], Path]
) -> None:
    """The third attempt gets the table; what is cached is not looked at."""
    keep(AS_OF, 1.0)
    scripted_server.answer(status=503)
    scripted_server.answer(body=PAGE)
    scripted_server.answer(body=TEXT)
    dataset = _dataset(scripted_server.address("prices.csv"), folder)
    collect(last_attempt=False)

    for _ in range(2):
        assert _refused(dataset).is_transient
    attempt = collect(last_attempt=True)

    pd.testing.assert_frame_equal(dataset.load(), table)
    assert attempt.found == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"body": PAGE},
        {"body": b""},
        {"body": TEXT, "headers": {"Content-Length": "999"}},
    ],
    ids=["status", "page", "empty", "cut"],
)
def test_address_down_at_the_last_attempt_lets_the_newest_cached_file_stand_in(
    scripted_server: Any,
    attempt: Collector,
    folder: Path,
    keep: Callable[[str, float], Path],
    answer: dict[str, Any],
) -> None:
    """Of the cached files up to the as-of date the newest is read, and an incident says so."""
    keep("2018-12-31", 1.0)
    keep("2019-01-02", 2.0)
    newest = keep("2019-01-02", 3.0)  # a correction: the pointer names it
    keep("2019-01-04", 4.0)
    scripted_server.answer(**answer)
    address = scripted_server.address("prices.csv")
    with_key = f"{address}?key=hunter2"
    newest = folder.rename(folder.with_name(name_folder(with_key))) / newest.name

    loaded = _dataset(with_key, folder).load()

    assert loaded["close"].tolist() == [3.0]
    (incident,) = attempt.found
    assert incident.kind == "degraded"
    assert incident.message.startswith(address)
    assert f"The cached file '{newest}' of 2019-01-02 stands in." in incident.message
    facts = dict(incident.facts)
    assert facts.pop("reason") in incident.message
    assert facts == {"source": address, "file": str(newest)}
    assert "hunter2" not in repr(incident)


def test_address_down_and_newest_cached_file_of_the_day_itself_stands_in(
    scripted_server: Any, folder: Path, keep: Callable[[str, float], Path]
) -> None:
    """The as-of date itself is not too late."""
    keep("2019-01-02", 2.0)
    keep(AS_OF, 3.0)
    scripted_server.answer(status=500)

    loaded = _dataset(scripted_server.address("prices.csv"), folder).load()

    assert loaded["close"].tolist() == [3.0]


@pytest.mark.parametrize("damage", ["altered", "cut", "removed", "empty pointer"])
def test_address_down_and_newest_cached_file_damaged_passes_it_over(
    scripted_server: Any,
    attempt: Collector,
    folder: Path,
    keep: Callable[[str, float], Path],
    damage: str,
) -> None:
    """A file that is no longer what was stored never stands in; an older one that is does."""
    whole = keep("2018-12-31", 1.0)
    newest = keep("2019-01-02", 2.0)
    if damage == "altered":
        pd.DataFrame({"ticker": ["KO"], "close": [9.0]}).to_parquet(newest, index=False)
    elif damage == "cut":
        newest.write_bytes(newest.read_bytes()[:-1])
    elif damage == "removed":
        newest.unlink()
    else:
        (folder / "2019-01-02.current").write_bytes(b"")
    scripted_server.answer(status=500)

    loaded = _dataset(scripted_server.address("prices.csv"), folder).load()

    assert loaded["close"].tolist() == [1.0]
    assert attempt.found[0].facts["file"] == str(whole)


@pytest.mark.parametrize("cached", ["nothing", "later ones", "damaged ones", "half a pointer"])
def test_address_down_without_a_usable_cached_file_says_so(
    scripted_server: Any,
    attempt: Collector,
    folder: Path,
    keep: Callable[[str, float], Path],
    cached: str,
) -> None:
    """The failure stays what it was, and its message adds that nothing could stand in."""
    if cached == "later ones":
        keep("2019-01-04", 1.0)
    elif cached == "damaged ones":
        keep("2019-01-02", 1.0).write_bytes(b"")
    elif cached == "half a pointer":  # what a killed writer leaves is not yet a pointer
        keep("2019-01-02", 1.0)
        (folder / "2019-01-02.current").rename(folder / ".aside-1-1-2019-01-02.current")
    scripted_server.answer(status=429, headers={"Retry-After": "3"})

    error = _refused(_dataset(scripted_server.address("prices.csv"), folder))

    assert "answered 429" in str(error)
    assert f"There is no cached file of {AS_OF} or before in '{folder}'" in str(error)
    assert (error.is_transient, error.retry_after_seconds) == (True, 3.0)
    assert attempt.found == []


@pytest.mark.parametrize("status", [401, 404])
def test_address_that_is_wrong_never_falls_back(
    scripted_server: Any,
    attempt: Collector,
    folder: Path,
    keep: Callable[[str, float], Path],
    status: int,
) -> None:
    """A misspelt address is told, not covered up by yesterday's file."""
    keep(AS_OF, 1.0)
    scripted_server.answer(status=status)

    error = _refused(_dataset(scripted_server.address("prices.csv"), folder))

    assert not error.is_transient
    assert attempt.found == []


def test_file_that_is_absent_never_falls_back(
    tmp_path: Path, attempt: Collector, folder: Path, keep: Callable[[str, float], Path]
) -> None:
    """What is cached stands in for addresses only."""
    keep(AS_OF, 1.0)

    with pytest.raises(DatasetError, match="There is no file"):
        _dataset(str(tmp_path / "prices.csv"), folder).load()

    assert attempt.found == []


def test_address_has_no_place_on_the_disk_and_keeps_its_secrets() -> None:
    """Checkpoints find no path; what is printed holds neither user, password nor query."""
    address = "https://bob:tiger@example.org//prices.csv?key=hunter2"
    dataset = pickle.loads(pickle.dumps(_dataset(address)))  # noqa: S301 -- its own bytes

    assert dataset._protocol == "https"
    assert stored_path(dataset, saved=False) is None
    assert dataset.exists()
    assert dataset._describe() == {"filepath": "https://***@example.org//prices.csv"}
    assert "example.org//prices.csv'" in repr(dataset)
    assert not any(word in repr(dataset) + str(dataset) for word in ("tiger", "hunter2"))
    with pytest.raises(DatasetError, match="is an input and is never written") as caught:
        dataset.save(pd.DataFrame())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("cached", [{}, {"path": "x"}, {"filepath": "x", "as_of": "y"}])
def test_cached_with_other_keys_is_refused(cached: dict[str, str]) -> None:
    """A misspelt key, or no date, would leave the fall-back out without a word."""
    with pytest.raises(ValueError, match="'cached' needs 'filepath'"):
        TableFileDataset("http://example.org/prices.csv", cached=cached, as_of=AS_OF)
    with pytest.raises(ValueError, match="'as_of' beside it"):
        TableFileDataset("http://example.org/prices.csv", cached={"filepath": "x"})


@pytest.fixture
def catalog(
    load_context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., DataCatalog]:
    """Make the project's catalog from a folder that is not the project's, with relative paths."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def load(**params: str) -> DataCatalog:
        given = {"data_root": os.path.relpath(tmp_path / "data", ROOT), **params}
        loaded: DataCatalog = load_context(given).catalog
        return loaded

    return load


@pytest.mark.filterwarnings("ignore:One or more dataset names contain")
@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")
def test_catalog_reads_addresses_and_finds_what_is_cached_from_any_folder(
    scripted_server: Any,
    catalog: Callable[..., DataCatalog],
    tmp_path: Path,
    attempt: Collector,
) -> None:
    """Each source falls back to what it has sent itself; a relative data root is the project's."""
    raw = tmp_path / "data/01_raw/returns/downloads"
    for answer in ({"body": b"close\n1.0\n"}, {"body": b"close\n2.0\n"}, {"status": 500}):
        scripted_server.answer(**answer)
    paths = ["~bob//prices.csv?key=a=b", "x/y.csv"]
    prices, exogenous = (scripted_server.address(path) for path in paths)

    loaded = catalog(prices_file=prices, exogenous_file=exogenous)
    sources = ["returns_data.source_prices", "returns_data.source_exogenous"] * 2
    closes = [loaded.load(source)["close"].item() for source in sources]

    assert closes == [1.0, 2.0, 1.0, 2.0]
    assert scripted_server.paths == [f"/{path}" for path in paths] * 2
    folders = [Path(incident.facts["file"]).parent for incident in attempt.found]
    assert [os.path.normpath(path) for path in folders] == [
        str(raw / name_folder(prices)),
        str(raw / name_folder(exogenous)),
    ]


@pytest.mark.filterwarnings("ignore:One or more dataset names contain")
@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")
def test_catalog_joins_prices_at_an_address_to_no_embedded_series(
    catalog: Callable[..., DataCatalog],
) -> None:
    """Only the embedded prices bring the embedded series along."""
    address = "http://127.0.0.1/data/01_raw/returns/prices.parquet"

    assert len(catalog(prices_file=address).load("returns_data.source_exogenous")) == 0
