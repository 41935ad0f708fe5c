"""FRED's series come with their vintage, and the key goes nowhere but to FRED."""

from __future__ import annotations

import logging
import math
import pickle
import time
import traceback
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError
from replay import FAULTS, ReplayServer, pack

from tidemark.checkpoints.entries import stored_path
from tidemark.datasets.fred import FredDataset, _read_graph
from tidemark.datasets.snapshot import SnapshotDataset
from tidemark.errors import SourceError
from tidemark.incidents import Collector, collect

START, AS_OF = "2020-01-01", "2020-03-31"
KEY = "hunter2abcdefghijklmnopqrstuvwxy"
NAN = math.nan
OBSERVATIONS = "/fred/series/observations"
GRAPH = "/graph/fredgraph.csv"
Rows = Sequence[tuple[str, str]]
ROWS: Rows = [("2020-01-01", "."), ("2020-01-02", "1.88"), ("2020-01-03", "1.80")]


@pytest.fixture(autouse=True)
def attempt() -> Collector:
    """Make each test's loading the last attempt, and hold its incidents."""
    return collect(last_attempt=True)


def _answer(rows: Rows = ROWS, vintage: str = AS_OF, **changes: Any) -> dict[str, Any]:
    period = {"realtime_start": vintage, "realtime_end": vintage}
    observations = [{**period, "date": day, "value": value} for day, value in rows]
    answer = {**period, "count": len(observations), "observations": observations}
    return {**answer, **changes}


def _graph(code: str = "DGS10", rows: Rows = ROWS, header: str = "observation_date") -> bytes:
    return "".join(f"{day},{value}\n" for day, value in [(header, code), *rows]).encode()


def _serve(server: ReplayServer, *codes: str, rows: Rows = ROWS) -> None:
    """Let a server know series, for whoever has a key and whoever has none."""
    for code in codes or ("DGS10",):
        server.record(OBSERVATIONS, pack(_answer(rows)), query={"series_id": code})
        body = _graph(code, rows)
        server.record(GRAPH, body, query={"id": code}, content_type="application/csv")


def _dataset(
    server: ReplayServer,
    series: Any = ("DGS10",),
    key: str | None = None,
    folder: Path | None = None,
    **more: Any,
) -> FredDataset:
    given = {
        "start": START,
        "as_of": AS_OF,
        "cached": {"filepath": str(folder)} if folder else None,
        "credentials": None if key is None else {"api_key": key},
        "api_url": f"{server.base}/fred",
        "graph_url": f"{server.base}{GRAPH}",
        "download_args": {"read_timeout_seconds": 0.3, "requests_per_second": 1000},
        **more,
    }
    return FredDataset(series, **given)


def _refused(dataset: FredDataset) -> SourceError:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, SourceError)
    return caught.value.__cause__


@pytest.mark.parametrize(("key", "vintage"), [(KEY, AS_OF), (None, None), (" ", None)])
def test_load_gives_every_value_with_its_vintage(
    replay_server: ReplayServer, key: str | None, vintage: str | None
) -> None:
    """Holes stay, names are the project's own, and without a key the vintage is unknown."""
    _serve(replay_server, "DGS10", "DGS2")

    loaded = _dataset(replay_server, {"us2y": "DGS2", "us10y": "DGS10"}, key).load()

    expected = pd.DataFrame(
        {
            "date": pd.to_datetime([day for day, _ in ROWS for _ in range(2)]).as_unit("us"),
            "series": ["us10y", "us2y"] * 3,
            "value": [NAN, NAN, 1.88, 1.88, 1.80, 1.80],
            "vintage": pd.Series([vintage] * 6, dtype="str"),
        }
    )
    pd.testing.assert_frame_equal(loaded, expected)


def test_with_a_key_the_as_of_date_is_the_vintage_that_is_asked_for(
    replay_server: ReplayServer,
) -> None:
    """ALFRED's real-time period is that one day."""
    _serve(replay_server)

    _dataset(replay_server, key=KEY).load()

    assert replay_server.asked == [
        f"{OBSERVATIONS}?series_id=DGS10&observation_start={START}&observation_end={AS_OF}"
        f"&realtime_start={AS_OF}&realtime_end={AS_OF}&sort_order=asc&file_type=json&api_key={KEY}"
    ]


def test_without_a_key_the_graph_is_asked_for(replay_server: ReplayServer) -> None:
    """The span is that of the configuration."""
    _serve(replay_server)

    _dataset(replay_server).load()

    assert replay_server.asked == [f"{GRAPH}?id=DGS10&cosd={START}&coed={AS_OF}"]


@pytest.mark.parametrize("header", ["observation_date", "DATE"])
@pytest.mark.parametrize("hole", [".", ""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_both_formats_of_the_graph_are_read(
    replay_server: ReplayServer, header: str, hole: str, mark: bytes
) -> None:
    """FRED has renamed the column and changed how it writes a hole."""
    body = mark + _graph(rows=[("2020-01-01", hole), ("2020-01-02", "-37.63")], header=header)
    replay_server.record(GRAPH, body, content_type="text/csv")

    values = _dataset(replay_server).load()["value"]

    assert math.isnan(values[0])
    assert values[1] == -37.63


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_graph("DGS2"), "its columns are not a date and DGS10"),
        (b"<html>\n</html>\n", "its columns are not"),
        (b"date,DGS10\n2020-01-02,1.0\n", "its columns are not"),
        (b"observation_date,DGS10,DGS2\n2020-01-02,1.0,2.0\n", "its columns are not"),
        (_graph()[:-1], "its last line has no end"),
        (_graph()[:-2], "its last line has no end"),
        (b"", "its last line has no end"),
        (b"observation_date,DGS10\n2020-01-02\n", "a row has not two cells"),
        (b"observation_date,DGS10\n2020-01-02,1,234.5\n", "a row has not two cells"),
        (_graph(rows=[("2020-01-02", "abc")]), "could not convert"),
        (_graph(rows=[("2020-01-02", "inf")]), "the value of 2020-01-02 is 'inf'"),
        (_graph(rows=[("2020-01-02", "nan")]), "the value of 2020-01-02 is 'nan'"),
        (_graph(rows=[("02/01/2020", "1")]), "Invalid isoformat"),
        (_graph(rows=[("20200102", "1")]), "'20200102' is no date"),
        (_graph(rows=ROWS[::-1]), "its dates are not in order"),
        (_graph(rows=[*ROWS, ROWS[-1]]), "its dates are not in order"),
        (_graph() + b"\xff\n", "can't decode"),
    ],
)
def test_graph_that_is_not_the_series_is_a_transient_fault(
    replay_server: ReplayServer, body: bytes, words: str
) -> None:
    """What cannot be read for certain is not read at all."""
    replay_server.record(GRAPH, body, content_type="application/csv")

    refusal = _refused(_dataset(replay_server))

    assert refusal.is_transient
    assert f"sent {len(body)} bytes that cannot be read as CSV: " in str(refusal)
    assert words in str(refusal)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_answer(vintage="2026-03-31"), "it is of the real-time period"),
        (_answer(realtime_end="9999-12-31"), "it is of the real-time period"),
        (_answer(count=4), "it has 3 of 4 observations"),
        (_answer(ROWS[::-1]), "its dates are not in order"),
        (_answer([("2020-01-02", "1,88")]), "could not convert"),
        (_answer([("2020-01-02", None)]), "has no attribute 'strip'"),  # type: ignore[list-item]
        (_answer(observations=None), "has no len()"),
        (_answer(observations=[1], count=1), "not subscriptable"),
        ({"error_code": 1}, "realtime_start"),
        ({"observations": []}, "realtime_start"),
    ],
)
def test_answer_that_is_not_the_vintage_is_a_transient_fault(
    replay_server: ReplayServer, answer: dict[str, Any], words: str
) -> None:
    """Values of another day's knowledge, or a part of them, are not used."""
    replay_server.record(OBSERVATIONS, pack(answer))

    refusal = _refused(_dataset(replay_server, key=KEY))

    assert refusal.is_transient
    assert "bytes that cannot be read as observations: " in str(refusal)
    assert words in str(refusal)


def test_observation_that_was_not_in_force_on_the_as_of_date_is_refused(
    replay_server: ReplayServer,
) -> None:
    """Each value tells from when to when it stood; one from later is the future."""
    answer = _answer()
    answer["observations"][2]["realtime_start"] = "2020-04-01"
    replay_server.record(OBSERVATIONS, pack(answer))

    refusal = _refused(_dataset(replay_server, key=KEY))

    assert "the value of 2020-01-03 was not in force on 2020-03-31" in str(refusal)


@pytest.mark.parametrize("key", [KEY, None])
def test_dates_outside_the_span_are_cut_whatever_was_sent(
    replay_server: ReplayServer, key: str | None
) -> None:
    """No observation after the as-of date, and none before the start, gets through."""
    days = ["2019-12-31", "2020-01-01", "2020-03-31", "2020-04-01"]
    _serve(replay_server, rows=[(day, "1.0") for day in days])

    loaded = _dataset(replay_server, key=key).load()

    assert loaded["date"].dt.strftime("%Y-%m-%d").tolist() == days[1:3]


@pytest.mark.parametrize("key", [KEY, None])
def test_series_without_an_observation_is_refused_for_good(
    replay_server: ReplayServer, key: str | None
) -> None:
    """A series that ended, or begins later, is told and not left out."""
    _serve(replay_server, rows=[("2019-12-31", "1.0")])

    refusal = _refused(_dataset(replay_server, {"us10y": "DGS10"}, key))

    assert not refusal.is_transient
    assert str(refusal).startswith("Series 'DGS10' (us10y): ")
    assert "has no observation from 2020-01-01 to 2020-03-31" in str(refusal)


def test_observations_that_were_not_published_yet_are_left_out(
    replay_server: ReplayServer,
) -> None:
    """Without a vintage the lag stands in for it: date + lag up to the as-of date is kept."""
    days = ["2020-01-01", "2020-02-01", "2020-03-01", "2020-03-02"]
    _serve(replay_server, "CPI", "RATE", rows=[(day, "1.0") for day in days])

    def load(key: str | None, lag: int) -> pd.Series:
        lags = {"cpi": lag}
        series = {"cpi": "CPI", "rate": "RATE"}
        dataset = _dataset(replay_server, series, key, publication_lag_days=lags)
        return dataset.load().groupby("series")["date"].agg("count")

    # 2020-03-01 + 30 days is the as-of date itself.
    assert load(None, 30).to_dict() == {"cpi": 3, "rate": 4}
    assert load(None, 31).to_dict() == {"cpi": 2, "rate": 4}
    assert load(None, 0).to_dict() == {"cpi": 4, "rate": 4}
    assert load(KEY, 31).to_dict() == {"cpi": 4, "rate": 4}


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Bad Request.  The series does not exist.", 400),
        ("Bad Request. The series does not exist in ALFRED but may exist in FRED.", 400),
        ("Bad Request.  The value for variable api_key is not registered.", 400),
        ("Bad Request.  Variable realtime_start can not be after today's date.", 400),
        ("Forbidden.", 403),
    ],
)
def test_refusal_of_the_api_says_what_fred_says(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector, message: str, status: int
) -> None:
    """Whatever is wrong with the question is told, and nothing stands in."""
    _serve(replay_server)
    _dataset(replay_server, key=KEY, folder=tmp_path).load()
    error = {"error_code": status, "error_message": message}
    replay_server.record(OBSERVATIONS, pack(error), status=status)

    refusal = _refused(_dataset(replay_server, key=KEY, folder=tmp_path))

    assert not refusal.is_transient
    assert str(refusal).startswith("Series 'DGS10': ")
    assert f"FRED says '{' '.join(message.split()).rstrip('.')}'. Correct the series" in str(
        refusal
    )
    assert attempt.found == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error_message": 1}'])
def test_refusal_without_a_readable_reason_is_a_refusal_all_the_same(
    replay_server: ReplayServer, body: bytes
) -> None:
    """An error page instead of an error body changes the words and nothing else."""
    replay_server.record(OBSERVATIONS, body, status=400)

    refusal = _refused(_dataset(replay_server, key=KEY))

    assert not refusal.is_transient
    assert "answered 400 Bad Request. Check the address" in str(refusal)


def test_graph_that_does_not_exist_names_the_series(replay_server: ReplayServer) -> None:
    """FRED answers with a page; the error says what it means."""
    refusal = _refused(_dataset(replay_server, ["NOPE"]))

    assert not refusal.is_transient
    assert str(refusal).startswith("Series 'NOPE': ")
    assert "FRED has no such series. Correct its code" in str(refusal)


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize("fault", FAULTS)
def test_source_that_fails_for_a_while_is_a_transient_fault(
    replay_server: ReplayServer, fault: str, key: str | None
) -> None:
    """Each of the usual faults may pass, and the next attempt gets the series."""
    _serve(replay_server)
    replay_server.fail(fault)
    dataset = _dataset(replay_server, key=key)
    collect(last_attempt=False)

    refusal = _refused(dataset)

    assert refusal.is_transient
    assert str(refusal).startswith("Series 'DGS10': ")
    assert refusal.retry_after_seconds == (0.5 if fault == "429" else None)
    time.sleep(refusal.retry_after_seconds or 0)
    assert len(dataset.load()) == 3


def test_series_down_at_the_last_attempt_falls_back_alone(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """What stands in keeps the vintage that it had."""
    _serve(replay_server, "DGS2")
    for day, value in (("2020-03-30", "1.0"), ("2020-04-01", "3.0")):
        answer = pack(_answer([("2020-01-02", value)], vintage=day))
        replay_server.record(OBSERVATIONS, answer, query={"series_id": "DGS10"})
        _dataset(replay_server, key=KEY, folder=tmp_path, as_of=day).load()
    replay_server.record(OBSERVATIONS, b"<html>", query={"series_id": "DGS10"})

    loaded = _dataset(replay_server, {"two": "DGS2", "ten": "DGS10"}, KEY, tmp_path).load()

    ten = loaded[loaded["vintage"] != AS_OF]
    assert ten[["value", "vintage"]].to_numpy().tolist() == [[1.0, "2020-03-30"]]
    assert loaded["series"].value_counts()["two"] == 3
    (incident,) = attempt.found
    assert incident.kind == "degraded"
    assert incident.message.startswith("Series 'DGS10' (ten): ")


def test_latest_values_never_stand_in_for_a_vintage(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """What was kept without a key is another source, and the other way round."""
    _serve(replay_server)
    for key, other in ((None, KEY), (KEY, None)):
        folder = tmp_path / str(key)
        _dataset(replay_server, key=key, folder=folder).load()
        replay_server.fail("500")
        refusal = _refused(_dataset(replay_server, key=other, folder=folder))
        assert "no cached file" in str(refusal)
    assert attempt.found == []


@pytest.mark.parametrize("key", [KEY, None])
def test_same_answers_are_stored_as_the_same_bytes(
    replay_server: ReplayServer, tmp_path: Path, key: str | None
) -> None:
    """Two loads, fresh or from the cache, and in any order of series, leave one snapshot."""
    _serve(replay_server, "DGS10", "DGS2")
    store = SnapshotDataset(str(tmp_path / "raw"), AS_OF)

    store.save(_dataset(replay_server, ["DGS10", "DGS2"], key, tmp_path / "kept").load())
    store.save(_dataset(replay_server, ["DGS2", "DGS10"], key, tmp_path / "kept").load())
    replay_server.fail("500", always=True)
    store.save(_dataset(replay_server, ["DGS2", "DGS10"], key, tmp_path / "kept").load())

    assert len(list((tmp_path / "raw").glob("*.parquet"))) == 1


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Hold until when each request would have waited; nobody does."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda wait: found.append(time.monotonic() + wait))
    return found


def test_requests_of_a_process_are_apart(replay_server: ReplayServer, turns: list[float]) -> None:
    """Two datasets of one host share its turns."""
    codes = ["A", "B", "C", "D"]
    _serve(replay_server, *codes)
    slow = {"download_args": {"requests_per_second": 0.1}}

    _dataset(replay_server, codes[:2], **slow).load()
    _dataset(replay_server, codes[2:], KEY, **slow).load()

    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert [round(gap) for gap in gaps] == [10, 10, 10]


def test_fred_is_asked_less_than_twice_a_second_unless_told_otherwise(
    replay_server: ReplayServer, turns: list[float]
) -> None:
    """Time-outs of the configuration leave the pace as it is."""
    codes = ["A", "B", "C"]
    _serve(replay_server, *codes)

    _dataset(replay_server, codes, download_args={"read_timeout_seconds": 3}).load()

    assert len(turns) == 3
    assert min(later - earlier for earlier, later in pairwise(turns)) > 0.5


ECHOES = ("echo in a refusal", "echo in an answer", "echo in a value")


@pytest.mark.parametrize("has_kept", [True, False])
@pytest.mark.parametrize("fact", ["well", "down", *ECHOES, *FAULTS])
def test_key_is_nowhere_but_in_the_question(
    replay_server: ReplayServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fact: str,
    has_kept: bool,
) -> None:
    """Neither texts nor names nor bytes hold it, even if the server repeats it."""
    for name in (None, "urllib3", "kedro", "tidemark"):
        caplog.set_level(logging.DEBUG, name)
    _serve(replay_server)
    folder = tmp_path / "kept"
    if has_kept:
        _dataset(replay_server, key=KEY, folder=folder).load()
    _misbehave(replay_server, fact)
    dataset = _dataset(replay_server, key=KEY, folder=folder)
    if fact == "down":
        dataset._api = "http://127.0.0.1:9/fred"
    attempt = collect(last_attempt=True)
    # Kedro keeps the arguments of each dataset itself, to write the catalog's configuration.
    own = {name: value for name, value in vars(dataset).items() if name != "_init_args"}
    texts = [repr(dataset), str(dataset), str(dataset._describe()), repr(own)]

    try:
        frame = dataset.load()
        SnapshotDataset(str(tmp_path / "raw"), AS_OF).save(frame)
        texts.append(frame.to_csv())
    except DatasetError as error:
        assert fact != "well"
        texts.append(_all_words(error))

    texts += [f"{record.getMessage()} {record.exc_text} {record.args}" for record in caplog.records]
    texts += [repr(incident) for incident in attempt.found]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    texts += [str(path) for path in files]
    assert fact == "down" or any(KEY in target for target in replay_server.asked)
    assert [text for text in texts if KEY in text] == []
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert any("urllib3" in record.name for record in caplog.records)


def _misbehave(server: ReplayServer, fact: str) -> None:
    if fact in FAULTS:
        server.fail(fact, always=True)
    elif fact == "echo in a refusal":
        server.record(OBSERVATIONS, pack({"error_message": f"No key {KEY}"}), status=400)
    elif fact == "echo in an answer":
        server.record(OBSERVATIONS, pack(_answer(realtime_start=KEY)))
    elif fact == "echo in a value":
        server.record(OBSERVATIONS, pack(_answer([("2020-01-02", KEY)])))


def _all_words(error: BaseException) -> str:
    words = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        words.append(f"{seen} {seen!r} {getattr(seen, 'doc', '')}")
        seen = seen.__cause__ or seen.__context__
    return "\n".join(words)


def test_catalog_brings_the_key_and_shows_it_nowhere(replay_server: ReplayServer) -> None:
    """An entry names its credentials; they come from elsewhere, and a worker gets them, too."""
    _serve(replay_server)
    entry = {
        "type": "tidemark.datasets.fred.FredDataset",
        "series": {"us10y": "DGS10"},
        "start": START,
        "as_of": AS_OF,
        "api_url": f"{replay_server.base}/fred",
        "credentials": "fred",
        "metadata": {"kedro-viz": {"layer": "source"}},
    }
    catalog = DataCatalog.from_config({"rates": entry}, credentials={"fred": {"api_key": KEY}})

    dataset = pickle.loads(pickle.dumps(catalog["rates"]))  # noqa: S301 -- its own bytes

    assert dataset.load()["vintage"].unique().tolist() == [AS_OF]
    assert KEY not in repr(catalog) + repr(dataset)
    assert stored_path(dataset, saved=False) is None
    assert dataset.exists()
    with pytest.raises(DatasetError, match="is an input and is never written"):
        dataset.save(pd.DataFrame())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"series": []}, "one series at least"),
        ({"start": "2020-04-01"}, "is after 'as_of'"),
        ({"credentials": {"key": "hunter2"}}, "hold 'api_key' alone"),
        ({"publication_lag_days": {"DGS2": 1}}, r"unknown: \['DGS2'\]"),
        ({"publication_lag_days": {"DGS10": -1}}, "whole days, 0 or more"),
        ({"publication_lag_days": {"DGS10": 1.5}}, "whole days, 0 or more"),
        ({"api_url": "https://example.org?api_key=hunter2"}, "Keys belong into the credentials"),
        ({"graph_url": "example.org"}, "must begin with http"),
    ],
)
def test_argument_that_cannot_be_used_is_refused(changed: dict[str, Any], words: str) -> None:
    """A misspelt catalog entry fails before anything is asked, and shows no key."""
    given = {"series": ["DGS10"], "start": START, "as_of": AS_OF, **changed}

    with pytest.raises(ValueError, match=words) as caught:
        FredDataset(**given)

    assert "hunter2" not in str(caught.value)


@settings(deadline=None)
@given(
    values=st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=20),
    first=st.dates(date(1900, 1, 1), date(2100, 1, 1)),
)
def test_any_series_survives_the_graph_and_no_part_of_it_passes_for_it(
    values: list[float | None], first: date
) -> None:
    """Reading gives back what was written; cut anywhere, fewer whole rows or a refusal."""
    days = [first + timedelta(days=number) for number in range(len(values))]
    texts = ["." if one is None else repr(one) for one in values]
    content = _graph(rows=[(f"{day}", text) for day, text in zip(days, texts, strict=True)])

    rows = _read_graph(content, "DGS10")

    assert [day for day, _ in rows] == days
    expected = [NAN if one is None else one for one in values]
    assert repr([value for _, value in rows]) == repr(expected)
    for size in range(len(content)):
        try:
            part = _read_graph(content[:size], "DGS10")
        except ValueError:
            continue
        assert repr(part) == repr(rows[: len(part)])


def test_recorded_vintages_of_gdp_differ_as_they_did(wire_server: ReplayServer) -> None:
    """The third quarter of 2024 was 29349.924 on 30 October and 29374.914 on 19 December."""
    found = {}
    for day in ("2024-10-30", "2024-12-19"):
        loaded = _dataset(wire_server, {"gdp": "GDP"}, KEY, start="1946-01-01", as_of=day).load()
        assert len(loaded) == 315
        assert loaded["value"].isna().sum() == 4
        assert set(loaded["vintage"]) == {day}
        found[day] = loaded["value"].iloc[-1]
    assert found == {"2024-10-30": 29349.924, "2024-12-19": 29374.914}


def test_recorded_vintage_of_another_day_is_not_served(wire_server: ReplayServer) -> None:
    """A day without a recording is unknown to the server, and no other day stands in for it."""
    assert not _refused(_dataset(wire_server, ["GDP"], KEY, as_of="2024-11-29")).is_transient


def test_recorded_graphs_of_either_format_are_read(wire_server: ReplayServer) -> None:
    """Blanks and full stops are holes; nothing but holes is missing."""
    span = {"start": "1999-01-04", "as_of": "2025-09-25"}
    codes = ["DGS10", "DGS2", "VIXCLS", "BAMLH0A0HYM2", "DFII10", "DEXUSEU"]

    loaded = _dataset(wire_server, codes, **span).load()

    groups = loaded.groupby("series")["value"]
    assert groups.size().to_dict() == {
        "DGS10": 6974,
        "DGS2": 6974,
        "VIXCLS": 6974,
        "BAMLH0A0HYM2": 7064,
        "DFII10": 5931,
        "DEXUSEU": 5530,
    }
    assert groups.agg(lambda one: int(one.isna().sum())).to_dict() == {
        "DGS10": 286,
        "DGS2": 286,
        "VIXCLS": 223,
        "BAMLH0A0HYM2": 81,
        "DFII10": 243,
        "DEXUSEU": 209,
    }
    assert groups.last()["DEXUSEU"] == 1.1066
    assert loaded["vintage"].isna().all()
