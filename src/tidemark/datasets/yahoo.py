"""Daily bars of Yahoo's chart endpoint."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from tidemark.datasets.downloads import Source
from tidemark.datasets.http import download, show_address
from tidemark.datasets.vendor import VendorDataset, check_base, read_json, unreadable
from tidemark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_PRICES = ("open", "high", "low", "close")
_DAILY = "1d"
_ONE_DAY = timedelta(days=1)
# What an answer of another shape leads to.
_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class YahooChartDataset(VendorDataset):
    """Read daily bars from Yahoo's chart endpoint as one long frame; it is never written.

    The frame has the columns ``date`` (the exchange's session date, without a zone), ``ticker``
    (the project's own name) and, as floats, ``open``, ``high``, ``low``, ``close``, ``volume``,
    ``adj_close``, ordered by date and ticker. A missing number is NaN.

    Prices are in the currency of the listing. Open, high, low, close and volume are as Yahoo sends
    them, which is adjusted for splits, not for dividends. ``adj_close`` is adjusted for both; for
    what Yahoo sends none, such as currencies, it is the close. A later split or dividend restates
    all of a symbol's past: an answer of today is not what was seen on an earlier as-of date, and
    two snapshots of different as-of dates may differ wherever they overlap.

    A bar belongs to the date that its beginning has at the exchange, summer time included. Left
    out, and counted in the log, are bars without any price, an earlier bar of the last date where
    Yahoo repeats that date, and the bar of a session that has not ended yet.

    Parameters
    ----------
    symbols : dict or list of str
        Yahoo's symbol by the project's own name, or symbols that are names too.
    start : str
        The first session that is wanted, ``YYYY-MM-DD``.
    as_of : str
        The as-of date, ``YYYY-MM-DD``: the last session that is wanted, the date of what is kept
        now, and the latest that may stand in.
    cached : dict, optional
        ``filepath``: a folder that keeps what was sent for each symbol, by as-of date. The newest
        stands in for a symbol that cannot be had at the last attempt, for a transient reason.
    base_url : str
        The scheme and host of the service.
    download_args : dict, optional
        Time-outs, ``requests_per_second`` and ``headers``, see `tidemark.datasets.http.download`.
        Yahoo turns down some agents with 429; ``headers`` may name another.
    metadata : dict, optional
        For other tools; not read here.

    Raises
    ------
    ValueError
        If an argument cannot be used.
    """

    def __init__(
        self,
        symbols: Mapping[str, str] | Sequence[str],
        start: str,
        as_of: str,
        cached: dict[str, str] | None = None,
        base_url: str = "https://query2.finance.yahoo.com",
        download_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(symbols, start, as_of, cached, download_args)
        self._base = check_base(base_url)
        self.metadata = metadata

    def _source(self, name: str, code: str) -> Source:
        place = f"{self._base}/v8/finance/chart/{quote(code, safe='')}"
        address = f"{place}?{urlencode({'interval': _DAILY, 'start': self._start.isoformat()})}"
        label = f"Symbol '{code}'" + (f" ({name})" if name != code else "")

        def fetch() -> pd.DataFrame:
            content = download(
                f"{place}?{urlencode(self._query())}",
                media_type="application/json",
                explain=lambda _, body: _explain(body),
                **self._download_args,
            )
            return self._read(content, name, code, show_address(place))

        return Source(address, fetch, label)

    def _query(self) -> dict[str, Any]:
        # A session of a date may begin hours before or after that date does in Greenwich.
        first = datetime.combine(self._start - _ONE_DAY, time(), UTC)
        end = datetime.combine(self._as_of + 2 * _ONE_DAY, time(), UTC)
        seconds = {"period1": int(first.timestamp()), "period2": int(end.timestamp())}
        return {**seconds, "interval": _DAILY, "events": "div,splits"}

    def _read(self, content: bytes, name: str, code: str, shown: str) -> pd.DataFrame:
        import pandas as pd

        result = _find_result(read_json(content, shown), content, shown)
        try:
            meta = result["meta"]
            _check_meta(meta, code)
            bars = _read_bars(result)
            zone = _find_zone(meta, shown)
            rows = _drop_bars(bars, meta, zone, code)
            dates = [day for day, _ in rows if self._start <= day <= self._as_of]
            values = [bar for day, bar in rows if self._start <= day <= self._as_of]
        except (*_MALFORMED, OSError) as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__} ({error})"
            raise unreadable(content, "daily bars", shown, reason) from error
        if not values:
            # Yahoo also sends this when it is busy.
            raise SourceError(
                f"{shown} sent no bar from {self._start} to {self._as_of}. Try again later, or "
                "check that the symbol was traded then.",
                is_transient=True,
            )
        frame = pd.DataFrame({"date": pd.to_datetime(dates).as_unit("us"), "ticker": name})
        for column in (*_PRICES, "volume", "adj_close"):
            frame[column] = pd.Series([bar[column] for bar in values], dtype="float64")
        return frame

    def _describe(self) -> dict[str, Any]:
        return {
            "address": show_address(self._base),
            "symbols": self._codes,
            "start": self._start.isoformat(),
            "as_of": self._as_of.isoformat(),
        }


def _explain(body: bytes) -> str | None:
    """Say what Yahoo's error body means: ``{"chart": {"error": {"code", "description"}}}``."""
    try:
        (answer,) = json.loads(body).values()
        return _describe_error(answer["error"])
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return None


def _describe_error(error: Mapping[str, Any]) -> str:
    words = " ".join(str(error.get("description") or "no reason given").split())[:200].rstrip(".")
    return (
        f"Yahoo says '{words}' ({error.get('code')}). Correct the symbol in the catalog, or take "
        "it out; one that was delisted needs another source."
    )


def _find_result(answer: dict[str, Any], content: bytes, shown: str) -> Any:
    chart = answer.get("chart")
    chart = chart if isinstance(chart, dict) else {}
    if isinstance(chart.get("error"), dict):
        raise SourceError(f"{shown}: {_describe_error(chart['error'])}", is_transient=False)
    results = chart.get("result")
    if not isinstance(results, list) or len(results) != 1:
        raise unreadable(content, "a chart", shown, "it holds not one result")
    return results[0]


def _check_meta(meta: Mapping[str, Any], code: str) -> None:
    """Refuse bars of another symbol or another length: no wait makes them the right ones."""
    for key, wanted in (("symbol", code), ("dataGranularity", _DAILY)):
        found = meta.get(key)
        if found != wanted:
            raise SourceError(
                f"Yahoo was asked for {key} '{wanted}' and sent '{found}'. Its data is not used. "
                "Correct the symbol in the catalog.",
                is_transient=False,
            )


def _read_bars(result: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    """Pair each bar with its beginning; refuse columns of other lengths, and any disorder."""
    moments = result.get("timestamp") or []
    if any(type(moment) is not int for moment in moments):
        raise ValueError("a timestamp is no whole number")
    if any(later <= earlier for earlier, later in pairwise(moments)):
        raise ValueError("its timestamps are not in order")
    (quotes,) = result["indicators"]["quote"]
    columns = {name: quotes.get(name, []) for name in (*_PRICES, "volume")}
    adjusted = result["indicators"].get("adjclose")
    if adjusted:
        columns["adj_close"] = adjusted[0]["adjclose"]
    elif (result.get("events") or {}).get("dividends"):
        raise ValueError("it has dividends and no adjusted close")
    else:
        columns["adj_close"] = columns["close"]
    for name, values in columns.items():
        if len(values) != len(moments):
            raise ValueError(f"{len(moments)} timestamps, but {len(values)} of {name}")
    numbers = {name: [_read_number(one) for one in values] for name, values in columns.items()}
    bars = [dict(zip(numbers, row, strict=True)) for row in zip(*numbers.values(), strict=True)]
    return list(zip(moments, bars, strict=True))


def _read_number(value: Any) -> float:
    if value is None:
        return math.nan
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"'{str(value)[:20]}' is no number")
    return float(value)


def _find_zone(meta: Mapping[str, Any], shown: str) -> ZoneInfo:
    # Not gmtoffset: that is the offset of today, in summer and winter alike.
    name = meta["exchangeTimezoneName"]
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise SourceError(
            f"{shown} names the time zone '{name}', which this machine does not know. Install "
            "the package tzdata.",
            is_transient=False,
        ) from error


def _drop_bars(
    bars: list[tuple[int, dict[str, float]]], meta: Mapping[str, Any], zone: ZoneInfo, code: str
) -> list[tuple[date, dict[str, float]]]:
    """Leave one finished bar with a price for each session date."""
    priced = [
        (datetime.fromtimestamp(moment, zone).date(), bar)
        for moment, bar in bars
        if not all(math.isnan(bar[name]) for name in _PRICES)
    ]
    # The live bar repeats the last date, with the volume up to now.
    single = [*priced[:-2], *priced[-1:]] if _repeats_last(priced) else priced
    dates = [day for day, _ in single]
    if len(set(dates)) != len(dates):
        raise ValueError("it has two bars of one session")
    unfinished = _find_unfinished(meta, zone)
    done = [one for one in single if unfinished is None or one[0] < unfinished]
    counts = {
        "without a price": len(bars) - len(priced),
        "of a date that is repeated": len(priced) - len(single),
        "of a session that has not ended": len(single) - len(done),
    }
    for what, count in counts.items():
        if count:
            logger.info("Symbol '%s': %d bars %s are left out.", code, count, what)
    return done


def _repeats_last(rows: list[tuple[date, dict[str, float]]]) -> bool:
    return len(rows) > 1 and rows[-1][0] == rows[-2][0]


def _find_unfinished(meta: Mapping[str, Any], zone: ZoneInfo) -> date | None:
    """Find the date of the session that goes on now, or is the next; None if it has ended."""
    session = (meta.get("currentTradingPeriod") or {}).get("regular")
    if not session or datetime.fromtimestamp(session["end"], UTC) <= datetime.now(UTC):
        return None
    return datetime.fromtimestamp(session["start"], zone).date()
