"""Yahoo's chains come as one table a session, and add up from day to day."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from replay import ReplayServer, pack

from tidemark.datasets.yahoo_chain_file import YahooChainFileDataset
from tidemark.datasets.yahoo_options import YahooOptionsDataset
from tidemark.domain.chains import COLUMNS, KEY
from tidemark.errors import SourceError
from tidemark.incidents import Collector, collect

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SPY = SHARED / "options" / "yahoo_chain_SPY_202608.parquet"
RECORDED = SHARED / "wire" / "yahoo_options_json"
NEAR, FAR = (int(datetime(2025, 2, 28, tzinfo=UTC).timestamp()), 1742515200)  # and 21 March
FRIDAY, MONDAY = "2025-02-21", "2025-02-24"


@pytest.fixture(autouse=True)
def attempt() -> Collector:
    """Make each test's loading the last attempt, and hold its incidents."""
    return collect(last_attempt=True)


def _contract(symbol: str, moment: int, kind: str, bid: float | None) -> dict[str, Any]:
    day = datetime.fromtimestamp(moment, UTC)
    return {
        "contractSymbol": f"{symbol}{day:%y%m%d}{kind}00100000",
        "strike": 100,
        "expiration": moment,
        "lastPrice": 1.5,
        "ask": 2,
        "openInterest": 7,
        "impliedVolatility": 0.2,
        **({} if bid is None else {"bid": bid}),
    }


def _answer(
    symbol: str = "AAPL",
    moments: tuple[int, ...] = (NEAR,),
    session: str = FRIDAY,
    state: str = "PRE",
    bid: float | None = 1.0,
) -> dict[str, Any]:
    close = datetime.fromisoformat(f"{session}T21:00:02+00:00")
    options = [
        {
            "expirationDate": moment,
            "calls": [_contract(symbol, moment, "C", bid)],
            "puts": [_contract(symbol, moment, "P", bid)],
        }
        for moment in moments
    ]
    result = {
        "underlyingSymbol": symbol,
        "expirationDates": [NEAR, FAR],
        "quote": {
            "regularMarketPrice": 245.55,
            "regularMarketTime": int(close.timestamp()),
            "exchangeTimezoneName": "America/New_York",
            "marketState": state,
        },
        "options": options,
    }
    return {"optionChain": {"result": [result], "error": None}}


def _serve(server: ReplayServer, symbol: str = "AAPL", **facts: Any) -> None:
    path = f"/v7/finance/options/{symbol}"
    server.record(path, pack(_answer(symbol, (NEAR,), **facts)))
    server.record(path, pack(_answer(symbol, (FAR,), **facts)), query={"date": str(FAR)})


def _dataset(
    server: ReplayServer, as_of: str = MONDAY, folder: Path | None = None, **more: Any
) -> YahooOptionsDataset:
    given: dict[str, Any] = {
        "symbols": ["AAPL"],
        "base_url": server.base,
        "cached": {"filepath": str(folder)} if folder else None,
        "download_args": {"read_timeout_seconds": 0.5},
    }
    return YahooOptionsDataset(as_of=as_of, **(given | more))


def _refused(dataset: YahooOptionsDataset) -> SourceError:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, SourceError)
    return caught.value.__cause__


def test_load_asks_for_every_expiration(replay_server: ReplayServer) -> None:
    """The first answer lists them, and holds the nearest."""
    _serve(replay_server)

    chain = _dataset(replay_server, symbols={"apple": "AAPL"}).load()

    assert replay_server.asked == [
        "/v7/finance/options/AAPL",
        f"/v7/finance/options/AAPL?date={FAR}",
    ]
    assert list(chain)[: len(COLUMNS)] == list(COLUMNS)
    assert set(chain["quote_date"]) == {pd.Timestamp(FRIDAY)}
    assert [f"{day:%m-%d}" for day in chain["expiration"]] == ["02-28", "02-28", "03-21", "03-21"]
    assert chain["option_type"].tolist() == ["call", "put"] * 2
    assert set(chain["underlying"]) == {"apple"}
    assert set(chain["root"]) == {"AAPL"}
    assert (chain["bid"] == 1.0).all()
    assert chain["volume"].isna().all()


def test_load_asks_for_near_expirations_only(replay_server: ReplayServer) -> None:
    """Each costs a request."""
    _serve(replay_server)

    chain = _dataset(replay_server, max_days=10).load()

    assert len(replay_server.asked) == 1
    assert len(chain) == 2


def test_sessions_add_up(replay_server: ReplayServer, tmp_path: Path) -> None:
    """Each as-of date keeps its session; a later look at one session does not replace it."""
    days = (("2025-02-22", FRIDAY, 1.0), ("2025-02-23", FRIDAY, 0.5), ("2025-02-25", MONDAY, 2.0))
    for as_of, session, bid in days:
        _serve(replay_server, session=session, bid=bid)
        chain = _dataset(replay_server, as_of, tmp_path).load()

    assert chain.groupby("quote_date")["bid"].unique().map(list).to_dict() == {
        pd.Timestamp(FRIDAY): [1.0],
        pd.Timestamp(MONDAY): [2.0],
    }
    assert not chain.duplicated(["underlying", *KEY]).any()


def test_history_ends_at_the_as_of_date(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector
) -> None:
    """A run of an earlier date sees what was kept by then, and says that it stands in."""
    _serve(replay_server)
    first = _dataset(replay_server, "2025-02-22", tmp_path).load()
    _serve(replay_server, session=MONDAY)
    _dataset(replay_server, "2025-02-25", tmp_path).load()

    again = _dataset(replay_server, "2025-02-23", tmp_path).load()

    pd.testing.assert_frame_equal(again, first)
    assert [incident.kind for incident in attempt.found] == ["degraded"]
    assert "after the as-of date 2025-02-23" in attempt.found[0].message


def test_session_that_goes_on_has_no_quotes(replay_server: ReplayServer) -> None:
    """There is no close yet; waiting helps."""
    _serve(replay_server, state="REGULAR")

    error = _refused(_dataset(replay_server))

    assert error.is_transient
    assert "goes on" in str(error)


def test_answers_of_two_sessions_are_no_chain(replay_server: ReplayServer) -> None:
    """The session changed between two requests."""
    path = "/v7/finance/options/AAPL"
    replay_server.record(path, pack(_answer(moments=(NEAR,))))
    later = pack(_answer(moments=(FAR,), session=MONDAY))
    replay_server.record(path, later, query={"date": str(FAR)})

    assert "A session began while" in str(_refused(_dataset(replay_server)))


@pytest.mark.parametrize(
    ("body", "is_transient", "words"),
    [
        ({"optionChain": {"result": [], "error": None}}, False, "knows no symbol 'AAPL'"),
        (_answer("MSFT"), False, "sent 'MSFT'"),
        ({"optionChain": None}, True, "cannot be read as an option chain"),
        ({"optionChain": {"result": [{"underlyingSymbol": "AAPL"}]}}, True, "KeyError"),
        (_answer(bid="1.0"), True, "bid is no number"),  # type: ignore[arg-type]
        (_answer(moments=()), True, ""),
    ],
)
def test_strange_answers_are_refused(
    replay_server: ReplayServer, body: dict[str, Any], is_transient: bool, words: str
) -> None:
    """Each says whether to try again."""
    if words == "":
        body["optionChain"]["result"][0]["options"] = None
    replay_server.record("/v7/finance/options/AAPL", pack(body))

    error = _refused(_dataset(replay_server))

    assert error.is_transient == is_transient
    assert words in str(error)


def test_symbol_without_options_is_refused(replay_server: ReplayServer) -> None:
    """A currency has none; trying again will not help."""
    answer = _answer("AAPL", ())
    answer["optionChain"]["result"][0]["expirationDates"] = []
    replay_server.record("/v7/finance/options/AAPL", pack(answer))

    error = _refused(_dataset(replay_server))

    assert not error.is_transient
    assert "lists no option" in str(error)


def test_refusal_names_the_remedy_and_no_secret(replay_server: ReplayServer) -> None:
    """Crumb and cookie are sent, and shown nowhere."""
    body = {"finance": {"result": None, "error": {"description": "Invalid Crumb"}}}
    replay_server.record("/v7/finance/options/AAPL", pack(body), status=401)
    secrets = {"crumb": "s3cret", "cookie": "A1=t0p"}

    dataset = _dataset(replay_server, credentials=secrets)
    error = _refused(dataset)

    assert "crumb=s3cret" in replay_server.asked[0]
    assert "Invalid Crumb" in str(error)
    assert "into the credentials" in str(error)
    assert "s3cret" not in f"{error}{dataset}"
    with pytest.raises(ValueError, match="'crumb' and 'cookie' and nothing else"):
        _dataset(replay_server, credentials={"key": "x"})


@pytest.mark.parametrize("fault", ["500", "stall", "garbage", "page", "cut"])
def test_cached_session_stands_in(
    replay_server: ReplayServer, tmp_path: Path, attempt: Collector, fault: str
) -> None:
    """The newest kept session is used where the service fails, and that is told."""
    _serve(replay_server)
    kept = _dataset(replay_server, "2025-02-22", tmp_path).load()
    replay_server.fail(fault, always=True)

    again = _dataset(replay_server, "2025-02-25", tmp_path).load()

    pd.testing.assert_frame_equal(again, kept)
    assert [incident.kind for incident in attempt.found] == ["degraded"]


def test_json_without_the_chain_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "x.json").write_text(json.dumps({"chart": {}}))

    with pytest.raises(DatasetError, match=r"'x\.json' is no answer of Yahoo's options"):
        YahooChainFileDataset(str(tmp_path)).load().load_whole()


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"needs the recorded answers in '{RECORDED}'")
def test_recorded_answers_are_one_session() -> None:
    """Those without an option add nothing."""
    chain = YahooChainFileDataset(str(RECORDED)).load().load_whole()

    assert chain["underlying"].value_counts().to_dict() == {
        "QQQ": 180,
        "SPOT": 179,
        "AAPL": 102,
        "GOOG": 81,
    }
    assert set(chain["quote_date"]) == {pd.Timestamp("2025-02-21")}
    first = chain[(chain["root"] == "AAPL") & (chain["strike"] == 110.0)].iloc[0]
    assert (first["bid"], first["ask"], first["last"]) == (135.9, 136.65, 111.67)
    assert first["expiration"] == pd.Timestamp("2025-02-28")
    assert np.isnan(first["volume"])


@pytest.mark.skipif(not SPY.is_file(), reason=f"needs the recorded chain '{SPY}'")
def test_recorded_table_of_yfinance_is_read() -> None:
    """Six sessions; blanks of volume, bid and open interest stay blank."""
    chain = YahooChainFileDataset(str(SPY)).load().load_whole()

    assert chain.groupby("quote_date").size().tolist() == [5472, 5231, 6036, 5538, 5314, 5097]
    assert chain[["bid", "volume", "open_interest"]].isna().sum().tolist() == [263, 2732, 124]
    assert not chain.duplicated(list(KEY)).any()
    assert set(chain["settlement"] + chain["exercise_style"]) == {"pmamerican"}
