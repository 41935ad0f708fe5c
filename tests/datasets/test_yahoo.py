"""Daily bars come as Yahoo sent them, each on its session's date, or not at all."""

from __future__ import annotations

import json
import logging
import math
import pickle
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from replay import PAGE, ReplayServer, pack

from tidemark.checkpoints.entries import stored_path
from tidemark.datasets.snapshot import SnapshotDataset
from tidemark.datasets.yahoo import YahooChartDataset
from tidemark.errors import SourceError
from tidemark.incidents import Collector, collect
from tidemark.runner.retries import Attempt, Retries, call_with_retries

COLUMNS = ["date", "ticker", "open", "high", "low", "close", "volume", "adj_close"]
START, AS_OF = "2020-01-02", "2020-01-10"
NAN = math.nan


@pytest.fixture(autouse=True)
def attempt() -> Collector:
    """Make each test's loading the last attempt, and hold its incidents."""
    return collect(last_attempt=True)


def _moment(text: str) -> int:
    """Read a UTC moment as UNIX seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# Two sessions of New York, whose bars begin at 14:30 UTC in winter.
OPENINGS = [_moment("2020-01-02 14:30"), _moment("2020-01-03 14:30")]


def _answer(
    symbol: str = "SPY",
    moments: Sequence[int] = OPENINGS,
    closes: Sequence[float | None] | None = None,
    zone: str = "America/New_York",
    **meta: Any,
) -> dict[str, Any]:
    """Build an answer whose bars open at the close - 1, and whose adjusted close is half of it."""
    values = [100.0 + number for number in range(len(moments))] if closes is None else list(closes)

    def each(change: Callable[[float], float]) -> list[float | None]:
        return [None if one is None else change(one) for one in values]

    quotes = {
        "open": each(lambda one: one - 1),
        "high": each(lambda one: one + 1),
        "low": each(lambda one: one - 2),
        "close": each(lambda one: one),
        "volume": [1000] * len(values),
    }
    head = {"symbol": symbol, "dataGranularity": "1d", "exchangeTimezoneName": zone, **meta}
    indicators = {"quote": [quotes], "adjclose": [{"adjclose": each(lambda one: one / 2)}]}
    result = {"meta": head, "timestamp": list(moments), "indicators": indicators}
    return {"chart": {"result": [result], "error": None}}


def _serve(server: ReplayServer, *symbols: str, **facts: Any) -> None:
    for symbol in symbols or ("SPY",):
        server.record(f"/v8/finance/chart/{symbol}", pack(_answer(symbol, **facts)))


def _dataset(
    server: ReplayServer, symbols: Any = ("SPY",), folder: Path | None = None, **more: Any
) -> YahooChartDataset:
    given = {
        "start": START,
        "as_of": AS_OF,
        "base_url": server.base,
        "cached": {"filepath": str(folder)} if folder else None,
        "download_args": {"read_timeout_seconds": 0.3},
        **more,
    }
    return YahooChartDataset(symbols, **given)


def _refused(dataset: YahooChartDataset) -> SourceError:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, SourceError)
    return caught.value.__cause__


def _closes(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    days = frame["date"].dt.strftime("%Y-%m-%d")
    return dict(zip(zip(days, frame["ticker"], strict=True), frame["close"], strict=True))


def test_load_gives_every_bar_as_it_was_sent(replay_server: ReplayServer) -> None:
    """Values, types and order are those of the answers; the names are the project's own."""
    _serve(replay_server, "SPY", "^GSPC")

    loaded = _dataset(replay_server, {"spx": "^GSPC", "market": "SPY"}).load()

    days = pd.to_datetime(["2020-01-02", "2020-01-02", "2020-01-03", "2020-01-03"]).as_unit("us")
    expected = pd.DataFrame(
        {
            "date": days,
            "ticker": ["market", "spx"] * 2,
            "open": [99.0, 99.0, 100.0, 100.0],
            "high": [101.0, 101.0, 102.0, 102.0],
            "low": [98.0, 98.0, 99.0, 99.0],
            "close": [100.0, 100.0, 101.0, 101.0],
            "volume": [1000.0] * 4,
            "adj_close": [50.0, 50.0, 50.5, 50.5],
        }
    )
    pd.testing.assert_frame_equal(loaded, expected)


def test_load_asks_for_the_span_with_a_day_on_either_side(replay_server: ReplayServer) -> None:
    """Yahoo counts in Greenwich, sessions do not."""
    _serve(replay_server)

    _dataset(replay_server).load()

    (target,) = replay_server.asked
    first, end = _moment("2020-01-01 00:00"), _moment("2020-01-12 00:00")
    assert target == (
        f"/v8/finance/chart/SPY?period1={first}&period2={end}&interval=1d&events=div%2Csplits"
    )


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        ("America/New_York", "2020-01-06 14:30", "2020-01-06"),
        ("America/New_York", "2020-01-07 05:00", "2020-01-07"),  # a future: midnight
        ("Europe/London", "2020-07-05 23:00", "2020-07-06"),  # a currency: midnight, in summer
        ("Europe/London", "2020-01-06 00:00", "2020-01-06"),
        ("Europe/Berlin", "2020-07-06 07:00", "2020-07-06"),
        ("UTC", "2020-01-06 00:00", "2020-01-06"),
        ("Australia/Sydney", "2020-01-05 23:00", "2020-01-06"),
        ("Asia/Tokyo", "2020-01-06 00:00", "2020-01-06"),
    ],
)
def test_bar_belongs_to_the_date_at_the_exchange(
    replay_server: ReplayServer, zone: str, moment: str, expected: str
) -> None:
    """The zone decides, for winter and summer; an offset of today would not."""
    _serve(replay_server, moments=[_moment(moment)], zone=zone, gmtoffset=0)

    loaded = _dataset(replay_server, as_of="2020-12-31").load()

    assert loaded["date"].tolist() == [pd.Timestamp(expected)]


def test_bars_without_any_price_are_left_out_and_counted(
    replay_server: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A bar of nulls is no observation; one that lacks some prices is, with holes."""
    answer = _answer(moments=[*OPENINGS, _moment("2020-01-06 14:30")], closes=[100.0, None, 102.0])
    quotes = answer["chart"]["result"][0]["indicators"]["quote"][0]
    quotes["open"][2] = quotes["volume"][2] = None
    replay_server.record("/v8/finance/chart/SPY", pack(answer))

    with caplog.at_level(logging.INFO, "tidemark"):
        loaded = _dataset(replay_server).load()

    assert loaded["close"].tolist() == [100.0, 102.0]
    assert loaded["open"].isna().tolist() == [False, True]
    assert loaded["volume"].isna().tolist() == [False, True]
    assert "Symbol 'SPY': 1 bars without a price are left out." in caplog.messages


def test_live_bar_that_repeats_the_last_date_takes_its_place(
    replay_server: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    """After the close, Yahoo sends the session's bar and a live one: the later one stays."""
    moments = [*OPENINGS, _moment("2020-01-03 21:00")]
    _serve(replay_server, moments=moments, closes=[100.0, 101.0, 105.0])

    with caplog.at_level(logging.INFO, "tidemark"):
        loaded = _dataset(replay_server).load()

    assert _closes(loaded) == {("2020-01-02", "SPY"): 100.0, ("2020-01-03", "SPY"): 105.0}
    assert "Symbol 'SPY': 1 bars of a date that is repeated are left out." in caplog.messages


def test_live_bar_without_prices_does_not_take_the_place_of_one_with(
    replay_server: ReplayServer,
) -> None:
    """What is no observation replaces none."""
    moments = [*OPENINGS, _moment("2020-01-03 21:00")]
    _serve(replay_server, moments=moments, closes=[100.0, 101.0, None])

    assert _dataset(replay_server).load()["close"].tolist() == [100.0, 101.0]


@pytest.mark.parametrize(
    "moments",
    [
        ["2020-01-02 14:30", "2020-01-02 21:00", "2020-01-03 14:30"],
        ["2020-01-03 14:30", "2020-01-03 18:00", "2020-01-03 21:00"],
    ],
)
def test_two_bars_of_another_session_are_refused(
    replay_server: ReplayServer, moments: list[str]
) -> None:
    """Only the live bar may repeat a date; which of others is right, nobody can tell."""
    _serve(replay_server, moments=[_moment(one) for one in moments])

    assert "two bars of one session" in str(_refused(_dataset(replay_server)))


@pytest.mark.parametrize(
    ("end", "expected"), [("2020-01-03 21:00", [100.0, 101.0]), ("2100-01-03 21:00", [100.0])]
)
def test_bar_of_a_session_that_goes_on_is_left_out(
    replay_server: ReplayServer, end: str, expected: list[float]
) -> None:
    """Half a session has no close."""
    session = {"start": OPENINGS[1], "end": _moment(end)}
    _serve(replay_server, currentTradingPeriod={"regular": session})

    assert _dataset(replay_server).load()["close"].tolist() == expected


def test_dates_outside_the_span_are_cut_whatever_was_sent(replay_server: ReplayServer) -> None:
    """An earlier as-of date sees the same rows up to it, bit for bit, and none after it."""
    moments = [_moment(f"2020-01-{day:02d} 14:30") for day in (1, 2, 3, 6, 7, 8, 9, 10, 13)]
    _serve(replay_server, moments=moments)

    whole = _dataset(replay_server).load()

    assert whole["date"].min() == pd.Timestamp(START)
    assert whole["date"].max() == pd.Timestamp(AS_OF)
    for day in whole["date"]:
        early = _dataset(replay_server, as_of=f"{day:%Y-%m-%d}").load()
        pd.testing.assert_frame_equal(early, whole[whole["date"] <= day], check_exact=True)


def test_adjusted_close_that_yahoo_does_not_send_is_the_close(replay_server: ReplayServer) -> None:
    """Currencies have none; where there are dividends, its absence is a fault."""
    answer = _answer()
    result = answer["chart"]["result"][0]
    del result["indicators"]["adjclose"]
    replay_server.record("/v8/finance/chart/SPY", pack(answer))

    loaded = _dataset(replay_server).load()

    assert loaded["adj_close"].tolist() == loaded["close"].tolist() == [100.0, 101.0]
    result["events"] = {"dividends": {"1": {"amount": 0.5, "date": 1}}}
    replay_server.record("/v8/finance/chart/SPY", pack(answer))
    assert "dividends and no adjusted close" in str(_refused(_dataset(replay_server)))


@pytest.mark.parametrize("status", [404, 200, 422])
def test_symbol_that_yahoo_does_not_know_is_refused_for_good(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector, status: int
) -> None:
    """The error names the symbol, says what Yahoo says and what to do; nothing stands in."""
    _serve(replay_server, "SPY", "FB")
    _dataset(replay_server, {"meta": "FB"}, tmp_path).load()
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    body = pack({"chart": {"result": None, "error": error}})
    replay_server.record("/v8/finance/chart/FB", body, status=status)

    refusal = _refused(_dataset(replay_server, {"spy": "SPY", "meta": "FB"}, tmp_path))

    assert not refusal.is_transient
    assert str(refusal).startswith("Symbol 'FB' (meta): ")
    assert "Yahoo says 'No data found, symbol may be delisted' (Not Found)" in str(refusal)
    assert "Correct the symbol in the catalog" in str(refusal)
    assert attempt.found == []


@pytest.mark.parametrize("body", [b"", PAGE, b"[1]", b'{"chart": 1}', b'{"a": {"error": {}}}'])
def test_refusal_without_a_readable_reason_is_a_refusal_all_the_same(
    replay_server: ReplayServer, body: bytes
) -> None:
    """An error page instead of an error body changes the words and nothing else."""
    replay_server.record("/v8/finance/chart/SPY", body, status=403)

    refusal = _refused(_dataset(replay_server))

    assert not refusal.is_transient
    assert "answered 403 Forbidden" in str(refusal)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"symbol": "SPYD"}, "asked for symbol 'SPY' and sent 'SPYD'"),
        ({"symbol": None}, "asked for symbol 'SPY' and sent 'None'"),
        ({"dataGranularity": "1mo"}, "asked for dataGranularity '1d' and sent '1mo'"),
    ],
)
def test_bars_of_something_else_are_refused_for_good(
    replay_server: ReplayServer, meta: dict[str, Any], words: str
) -> None:
    """Another symbol's prices, or monthly ones, would be wrong data."""
    answer = _answer()
    answer["chart"]["result"][0]["meta"] |= meta
    replay_server.record("/v8/finance/chart/SPY", pack(answer))

    refusal = _refused(_dataset(replay_server))

    assert words in str(refusal)
    assert not refusal.is_transient


def test_zone_that_this_machine_does_not_know_is_refused(replay_server: ReplayServer) -> None:
    """A guessed zone would shift dates."""
    _serve(replay_server, zone="Europe/Atlantis")

    refusal = _refused(_dataset(replay_server))

    assert not refusal.is_transient
    assert "Install the package tzdata" in str(refusal)


def test_answer_without_a_bar_is_a_transient_fault(replay_server: ReplayServer) -> None:
    """Yahoo sends an empty history when it is busy, too: it never passes for the symbol's."""
    for moments in ([], [_moment("2020-01-13 14:30")]):
        _serve(replay_server, moments=moments)
        refusal = _refused(_dataset(replay_server))
        assert refusal.is_transient
        assert "sent no bar from 2020-01-02 to 2020-01-10" in str(refusal)


def _damage(change: Callable[[dict[str, Any]], Any]) -> bytes:
    answer = _answer()
    change(answer["chart"]["result"][0])
    return pack(answer)


def _quotes(result: dict[str, Any]) -> dict[str, Any]:
    quotes: dict[str, Any] = result["indicators"]["quote"][0]
    return quotes


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "disorder": (lambda one: one["timestamp"].reverse(), "timestamps are not in order"),
    "twice": (lambda one: one.update(timestamp=OPENINGS[:1] * 2), "are not in order"),
    "one price short": (lambda one: _quotes(one)["low"].pop(), "2 timestamps, but 1 of low"),
    "no column": (lambda one: _quotes(one).pop("high"), "2 timestamps, but 0 of high"),
    "one timestamp short": (lambda one: one["timestamp"].pop(), "1 timestamps, but 2 of open"),
    "no timestamps": (lambda one: one.pop("timestamp"), "0 timestamps, but 2 of open"),
    "one adjusted close short": (
        lambda one: one["indicators"]["adjclose"][0]["adjclose"].pop(),
        "2 timestamps, but 1 of adj_close",
    ),
    "no quotes": (lambda one: one.pop("indicators"), "KeyError ('indicators')"),
    "words": (lambda one: _quotes(one)["close"].__setitem__(0, "100"), "'100' is no number"),
    "truth": (lambda one: _quotes(one)["close"].__setitem__(0, True), "'True' is no number"),
    "too large": (lambda one: _quotes(one)["volume"].__setitem__(0, 10**400), "OverflowError"),
    "no number": (lambda one: _quotes(one)["close"].__setitem__(0, NAN), "'nan' is no number"),
    "infinite": (lambda one: _quotes(one)["close"].__setitem__(0, math.inf), "'inf' is no number"),
    "half seconds": (
        lambda one: one["timestamp"].__setitem__(0, OPENINGS[0] + 0.5),
        "a timestamp is no whole number",
    ),
    "far future": (lambda one: one["timestamp"].__setitem__(1, 10**12), "out of range"),
    "farther": (lambda one: one["timestamp"].__setitem__(1, 10**18), "cannot be read"),
    "no meta": (lambda one: one.pop("meta"), "KeyError ('meta')"),
    "no zone": (lambda one: one["meta"].pop("exchangeTimezoneName"), "exchangeTimezoneName"),
    "meta of words": (lambda one: one.update(meta="words"), "AttributeError"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_answer_of_another_shape_is_a_transient_fault(
    replay_server: ReplayServer, damage: str
) -> None:
    """What cannot be read for certain is not read at all, and the message says why."""
    change, words = DAMAGES[damage]
    body = _damage(change)
    replay_server.record("/v8/finance/chart/SPY", body)

    refusal = _refused(_dataset(replay_server))

    assert refusal.is_transient
    assert f"sent {len(body)} bytes that cannot be read as daily bars: " in str(refusal)
    assert words in str(refusal)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"chart": 1}', b'{"chart": {"result": []}}', b"[" * 100_000, b"\xff"],
)
def test_answer_that_is_no_chart_is_a_transient_fault(
    replay_server: ReplayServer, body: bytes
) -> None:
    """JSON of something else is as little use as no JSON."""
    replay_server.record("/v8/finance/chart/SPY", body)

    refusal = _refused(_dataset(replay_server))

    assert refusal.is_transient
    assert f"sent {len(body)} bytes that cannot be read as" in str(refusal)


def test_symbol_is_quoted_whatever_it_holds(replay_server: ReplayServer) -> None:
    """A symbol is one part of the path, and begins neither a query nor another part."""
    refusal = _refused(_dataset(replay_server, ["A/B?C#D=^%"]))

    assert not refusal.is_transient
    assert replay_server.asked[0].startswith("/v8/finance/chart/A%2FB%3FC%23D%3D%5E%25?period1=")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_part_replaced_by_anything_is_refused_or_leaves_a_sound_frame(
    data: st.DataObject,
) -> None:
    """No answer ends in another exception, or in a frame of another shape."""
    answer: Any = _answer(
        currentTradingPeriod={"regular": {"start": OPENINGS[0], "end": OPENINGS[1]}}
    )
    part = answer
    while True:
        key = data.draw(
            st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part)))
        )
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = data.draw(_values)
    dataset = YahooChartDataset(["SPY"], START, AS_OF)

    try:
        frame = dataset._read(pack(answer), "SPY", "SPY", "Yahoo")
    except SourceError:
        return

    assert list(frame.columns) == COLUMNS
    assert frame["date"].is_monotonic_increasing
    assert frame["date"].is_unique
    assert frame["date"].between(START, AS_OF).all()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("429", "answered 429 Too Many Requests"),
        ("500", "answered 500 Internal Server Error"),
        ("stall", "silent for too long"),
        ("garbage", "sent 256 bytes that cannot be read as JSON"),
        ("truncated", "bytes that cannot be read as JSON"),
        ("cut", "the answer broke off before its end"),
        ("page", "sent text/html and not application/json"),
        ("closed", "could not be read"),
    ],
)
def test_source_that_fails_for_a_while_is_a_transient_fault(
    replay_server: ReplayServer, fault: str, words: str
) -> None:
    """Each fault says which symbol and what happened, and that it may pass."""
    _serve(replay_server)
    replay_server.fail(fault)

    refusal = _refused(_dataset(replay_server))

    assert refusal.is_transient
    assert str(refusal).startswith("Symbol 'SPY': ")
    assert words in str(refusal)
    assert refusal.retry_after_seconds == (0.5 if fault == "429" else None)


def test_runner_tries_again_and_asks_only_for_what_is_missing(replay_server: ReplayServer) -> None:
    """The retries of the fetch job end in the whole frame; no symbol is read twice."""
    _serve(replay_server, "SPY", "TLT", "GLD")
    replay_server.fail("429", "500", "closed", "garbage", path="TLT")
    dataset = _dataset(replay_server, ["SPY", "TLT", "GLD"])
    policy = {"attempts": 5, "first_delay_seconds": 0.01, "jitter_seconds": 0.01}
    retries = Retries.model_validate(
        {"storage": {"attempts": 1}, "jobs": {"fetch": {"nodes": ["fetch"], **policy}}}
    )
    records: list[Attempt] = []

    def load(_: int, is_last: bool) -> pd.DataFrame:
        collect(is_last)
        return dataset.load()

    loaded = call_with_retries(
        load, "data.fetch", retries, lambda record, *_: records.append(record)
    )

    assert sorted(set(loaded["ticker"])) == ["GLD", "SPY", "TLT"]
    asked = [target.partition("?")[0].rpartition("/")[2] for target in replay_server.asked]
    assert asked == ["SPY", "TLT", "TLT", "TLT", "TLT", "TLT", "GLD"]
    assert records[0].seconds_waited >= 0.5
    replay_server.asked.clear()
    dataset.load()
    assert len(replay_server.asked) == 3


def test_symbol_down_at_the_last_attempt_falls_back_alone(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """The others are as of today; an incident tells of the one that is not."""
    _serve(replay_server, "SPY", "TLT", closes=[1.0, 2.0])
    _dataset(replay_server, ["SPY", "TLT"], tmp_path, as_of="2020-01-08").load()
    _serve(replay_server, "SPY", "TLT", closes=[3.0, 4.0])
    _dataset(replay_server, ["SPY", "TLT"], tmp_path, as_of="2020-01-31").load()
    _serve(replay_server, "SPY", "TLT", closes=[5.0, 6.0])
    replay_server.fail("500", path="TLT", always=True)
    collect(last_attempt=False)
    dataset = _dataset(replay_server, {"equity": "SPY", "bond": "TLT"}, tmp_path)
    assert _refused(dataset).is_transient

    attempt = collect(last_attempt=True)
    loaded = dataset.load()

    assert loaded[loaded["ticker"] == "equity"]["close"].tolist() == [5.0, 6.0]
    assert loaded[loaded["ticker"] == "TLT"]["close"].tolist() == [1.0, 2.0]
    (incident,) = attempt.found
    assert incident.kind == "degraded"
    assert incident.message.startswith("Symbol 'TLT' (bond): ")
    assert "of 2020-01-08 stands in" in incident.message
    place = f"{replay_server.base}/v8/finance/chart/TLT"
    assert incident.facts["source"] == f"Symbol 'TLT' (bond) at {place}"
    assert Path(incident.facts["file"]).name.startswith("2020-01-08-")


def test_symbol_down_without_a_cached_file_is_named(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """Half a panel never passes for a panel."""
    _serve(replay_server, "SPY", "TLT")
    _dataset(replay_server, ["SPY"], tmp_path).load()
    replay_server.fail("500", always=True)

    refusal = _refused(_dataset(replay_server, ["SPY", "TLT"], tmp_path))

    assert str(refusal).startswith("Symbol 'TLT': ")
    assert f"no cached file of {AS_OF} or before" in str(refusal)
    assert [incident.facts["source"].split()[1] for incident in attempt.found] == ["'SPY'"]


def test_host_that_asks_for_quiet_is_not_asked_for_the_next_symbol(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """429 is meant for all symbols: at the last attempt, what was kept stands in for each."""
    _serve(replay_server, "SPY", "TLT")
    _dataset(replay_server, ["SPY", "TLT"], tmp_path).load()
    replay_server.fail("429", always=True)
    replay_server.retry_after = "60"

    loaded = _dataset(replay_server, ["SPY", "TLT"], tmp_path).load()

    assert len(replay_server.asked) == 3
    assert len(attempt.found) == 2
    assert "asked to be left alone" in attempt.found[1].message
    assert len(loaded) == 4


def test_same_answers_are_stored_as_the_same_bytes(
    replay_server: ReplayServer, tmp_path: Path
) -> None:
    """Two loads, fresh or from the cache, and in any order of symbols, leave one snapshot."""
    _serve(replay_server, "SPY", "TLT", "^GSPC")
    symbols, kept = ["TLT", "SPY", "^GSPC"], tmp_path / "kept"
    store = SnapshotDataset(str(tmp_path / "raw"), AS_OF)

    store.save(_dataset(replay_server, symbols, kept).load())
    store.save(_dataset(replay_server, sorted(symbols), kept).load())
    replay_server.fail("500", always=True)
    store.save(_dataset(replay_server, symbols, kept).load())

    assert len(list((tmp_path / "raw").glob("*.parquet"))) == 1
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"symbols": []}, "one series at least"),
        ({"symbols": {}}, "one series at least"),
        ({"symbols": ["SPY", "SPY"]}, "none twice"),
        ({"symbols": {"a": "SPY", "b": "SPY"}}, "none twice"),
        ({"symbols": [True]}, "'True' is no text"),
        ({"symbols": {"tencent": 700}}, "'700' is no text"),
        ({"symbols": [" "]}, "' ' is no text"),
        ({"start": "2020-01-11"}, "is after 'as_of'"),
        ({"start": "soon"}, "Invalid isoformat"),
        ({"cached": {"path": "x"}}, "'cached' needs 'filepath'"),
        ({"base_url": "ftp://example.org"}, "must begin with http"),
        ({"base_url": "https://example.org?key=hunter2"}, "Keys belong into the credentials"),
    ],
)
def test_argument_that_cannot_be_used_is_refused(changed: dict[str, Any], words: str) -> None:
    """A misspelt catalog entry fails before anything is asked."""
    given = {"symbols": ["SPY"], "start": START, "as_of": AS_OF, **changed}

    with pytest.raises(ValueError, match=words) as caught:
        YahooChartDataset(**given)

    assert "hunter2" not in str(caught.value)


def test_dataset_travels_shows_no_secret_and_is_never_written() -> None:
    """A worker gets it whole; what is printed holds neither user nor headers."""
    made = YahooChartDataset(
        {"spy": "SPY"},
        START,
        AS_OF,
        base_url="https://bob:tiger@example.org/",
        download_args={"headers": {"X-Key": "hunter2"}},
    )

    dataset = pickle.loads(pickle.dumps(made))  # noqa: S301 -- its own bytes

    shown = repr(dataset) + str(dataset) + json.dumps(dataset._describe())
    assert "https://***@example.org" in shown
    assert "'spy': 'SPY'" in shown
    assert not any(word in shown for word in ("tiger", "bob", "hunter2"))
    assert stored_path(dataset, saved=False) is None
    assert dataset.exists()
    with pytest.raises(DatasetError, match="is an input and is never written"):
        dataset.save(pd.DataFrame())


SPAN = {"start": "2020-01-01", "as_of": "2020-01-03"}


def test_recorded_answers_of_six_kinds_of_instrument_are_read(wire_server: ReplayServer) -> None:
    """Shares, a fund, a currency, a coin and a future all land on their session's date."""
    symbols = ["AAPL", "QQQ", "0P000071W8.TO", "EURUSD=X", "BTC-USD", "GC=F"]

    loaded = _dataset(wire_server, symbols, **SPAN).load()

    closes = {key: round(value, 4) for key, value in _closes(loaded).items()}
    assert closes == {
        ("2020-01-02", "AAPL"): 75.0875,
        ("2020-01-02", "QQQ"): 216.16,
        ("2020-01-02", "0P000071W8.TO"): 73.72,
        ("2020-01-02", "GC=F"): 1524.5,
        ("2020-01-01", "EURUSD=X"): 1.1221,
        ("2020-01-02", "EURUSD=X"): 1.1221,
        ("2020-01-03", "EURUSD=X"): 1.1171,
        ("2020-01-01", "BTC-USD"): 7200.1743,
        ("2020-01-02", "BTC-USD"): 6985.4702,
        ("2020-01-03", "BTC-USD"): 7344.8843,
    }
    assert list(loaded.columns) == COLUMNS
    apple = loaded[loaded["ticker"] == "AAPL"].iloc[0]
    assert (round(apple["adj_close"], 4), apple["volume"]) == (72.7161, 135480400)


def test_recorded_year_of_msft_has_the_dates_of_its_sessions(wire_server: ReplayServer) -> None:
    """252 sessions over both changes of the clock; the dividends part the two closes."""
    loaded = _dataset(wire_server, ["MSFT"], start="2021-02-01", as_of="2022-01-31").load()

    assert len(loaded) == 252
    assert loaded["date"].iloc[[0, -1]].dt.strftime("%Y-%m-%d").tolist() == [
        "2021-02-01",
        "2022-01-28",
    ]
    assert (loaded["date"].dt.day_of_week < 5).all()
    for holiday in ("2021-02-15", "2021-04-02", "2021-07-05", "2021-11-25", "2022-01-17"):
        assert pd.Timestamp(holiday) not in set(loaded["date"])
    share = loaded["adj_close"] / loaded["close"]
    assert (share.diff().abs() > 1e-4).sum() == 4  # as many as dividends


def test_recorded_summer_of_berlin_and_a_split_are_read(wire_server: ReplayServer) -> None:
    """Three sessions of Frankfurt in summer time; across a 4:1 split prices do not jump."""
    berlin = _dataset(wire_server, ["WSU.DE"], start="2023-08-04", as_of="2023-08-09").load()
    apple = _dataset(wire_server, ["AAPL"], start="2020-08-31", as_of="2020-11-06").load()

    days = berlin["date"].dt.strftime("%Y-%m-%d").tolist()
    assert days == ["2023-08-04", "2023-08-07", "2023-08-08"]
    assert len(apple) == 49
    assert apple["close"].pct_change().abs().max() < 0.1


def test_recorded_service_does_not_know_a_symbol(wire_server: ReplayServer) -> None:
    """The remedy names the symbol."""
    refusal = _refused(_dataset(wire_server, ["AAPL", "TWTR"], **SPAN))

    assert str(refusal).startswith("Symbol 'TWTR': ")
    assert not refusal.is_transient
