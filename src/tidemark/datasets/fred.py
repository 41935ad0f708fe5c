"""Series of FRED: as known on the as-of date with a key, as known now without one."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from pydantic import SecretStr

from tidemark.datasets.downloads import Source
from tidemark.datasets.http import download, show_address
from tidemark.datasets.vendor import VendorDataset, check_base, read_json, unreadable
from tidemark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# FRED turns down more than two requests a second and 120 a minute.
_REQUESTS_PER_SECOND = 1.5
_MISSING = (".", "")
_DATE_HEADERS = ("observation_date", "DATE")  # the present format of fredgraph.csv, and the old


class FredDataset(VendorDataset):
    """Read series of FRED as one long frame; it is never written.

    The frame has the columns ``date``, ``series`` (the project's own name), ``value`` (float; NaN
    where FRED publishes a date without a value, so that holes are seen) and ``vintage``, ordered
    by date and series.

    With a key, values are those known at the end of the as-of date (ALFRED's real-time period of
    that one day), and ``vintage`` is that date, ``YYYY-MM-DD``. Without one, FRED sends what is
    known now, revisions of later years included, and ``vintage`` is missing: a revised series must
    not then be used as if it had been known. In either case a row of an earlier date holds the
    value of its vintage, not the one first published. A series that ALFRED does not keep, as is so
    for many that are never revised, is refused with a key: list it in an entry without
    credentials.

    Parameters
    ----------
    series : dict or list of str
        FRED's code by the project's own name, or codes that are names too.
    start : str
        The first observation that is wanted, ``YYYY-MM-DD``.
    as_of : str
        The as-of date, ``YYYY-MM-DD``: the vintage that is wanted, the last observation, the date
        of what is kept now, and the latest that may stand in.
    cached : dict, optional
        ``filepath``: a folder that keeps what was sent for each series, by as-of date. The newest
        stands in for a series that cannot be had at the last attempt, for a transient reason.
        What was sent with a key never stands in for what is asked without one, nor the reverse.
    credentials : dict, optional
        ``api_key``: the key. None, or a blank one, asks without a key.
    publication_lag_days : dict, optional
        By the project's name, after how many calendar days an observation is published. Without
        a key, later ones are left out; with one, the vintage itself has none.
    api_url, graph_url : str
        The addresses that are asked with and without a key.
    download_args : dict, optional
        Time-outs and ``requests_per_second``, see `tidemark.datasets.http.download`. Left alone,
        a process asks at most three times in two seconds.
    metadata : dict, optional
        For other tools; not read here.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    References
    ----------
    FRED API, fred/series/observations and Real-Time Periods,
    https://fred.stlouisfed.org/docs/api/fred/.
    """

    def __init__(  # noqa: PLR0913 -- each is a key of a catalog entry
        self,
        series: Mapping[str, str] | Sequence[str],
        start: str,
        as_of: str,
        *,
        cached: dict[str, str] | None = None,
        credentials: dict[str, str | None] | None = None,
        publication_lag_days: dict[str, int] | None = None,
        api_url: str = "https://api.stlouisfed.org/fred",
        graph_url: str = "https://fred.stlouisfed.org/graph/fredgraph.csv",
        download_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        given = {"requests_per_second": _REQUESTS_PER_SECOND, **(download_args or {})}
        super().__init__(series, start, as_of, cached, given)
        self._key = _read_key(credentials)
        self._lags = _check_lags(publication_lag_days or {}, self._codes)
        self._api, self._graph = check_base(api_url), check_base(graph_url)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Ask for every series, and return their rows in the order of date and name.

        Raises
        ------
        DatasetError
            Kedro's wrapper of the SourceError of the first series that could not be had.
        """
        frame = super().load()
        if self._key is not None or not self._lags:
            return frame
        import pandas as pd

        lags = pd.to_timedelta(frame["series"].map(self._lags).fillna(0).astype(int), unit="D")
        is_published = frame["date"] + lags <= pd.Timestamp(self._as_of)
        logger.info("%d observations not yet published are left out.", (~is_published).sum())
        return frame[is_published].reset_index(drop=True)

    def _source(self, name: str, code: str) -> Source:
        label = f"Series '{code}'" + (f" ({name})" if name != code else "")
        if self._key is None:
            query = {"id": code, "cosd": self._start.isoformat()}
            address = f"{self._graph}?{urlencode(query)}"
            return Source(address, lambda: self._fetch_graph(address, name, code), label)
        place = f"{self._api}/series/observations"
        query = {"series_id": code, "observation_start": self._start.isoformat()}
        address = f"{place}?{urlencode(query)}"
        key = self._key.get_secret_value()
        return Source(address, lambda: self._fetch(address, name, key), label)

    def _fetch(self, address: str, name: str, key: str) -> pd.DataFrame:
        """Ask the API for a series as it was known on the as-of date."""
        as_of, shown = self._as_of.isoformat(), show_address(address)
        more = {
            "observation_end": as_of,
            "realtime_start": as_of,
            "realtime_end": as_of,
            "sort_order": "asc",
            "file_type": "json",
            "api_key": key,
        }
        content = download(
            f"{address}&{urlencode(more)}",
            media_type="application/json",
            explain=lambda _, body: _explain(_hide(body, key)),
            **self._download_args,
        )
        content = _hide(content, key)
        answer = read_json(content, shown)
        try:
            rows = _read_observations(answer, as_of)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise unreadable(content, "observations", shown, error) from error
        return self._make_frame(rows, name, as_of, shown)

    def _fetch_graph(self, address: str, name: str, code: str) -> pd.DataFrame:
        """Ask for a series as it is known now."""
        shown = show_address(address)
        content = download(
            f"{address}&{urlencode({'coed': self._as_of.isoformat()})}",
            explain=lambda status, _: _explain_graph(status),
            **self._download_args,
        )
        try:
            rows = _read_graph(content, code)
        except (ValueError, csv.Error) as error:
            raise unreadable(content, "CSV", shown, error) from error
        return self._make_frame(rows, name, None, shown)

    def _make_frame(
        self, rows: list[tuple[date, float]], name: str, vintage: str | None, shown: str
    ) -> pd.DataFrame:
        import pandas as pd

        kept = [row for row in rows if self._start <= row[0] <= self._as_of]
        if not kept:
            raise SourceError(
                f"{shown} has no observation from {self._start} to {self._as_of}. Correct the "
                "dates or the series in the catalog.",
                is_transient=False,
            )
        dates, values = zip(*kept, strict=True)
        return pd.DataFrame(
            {
                "date": pd.to_datetime(list(dates)).as_unit("us"),
                "series": name,
                "value": pd.Series(values, dtype="float64"),
                "vintage": pd.Series([vintage] * len(kept), dtype="str"),
            }
        )

    def _describe(self) -> dict[str, Any]:
        return {
            "address": show_address(self._graph if self._key is None else self._api),
            "series": self._codes,
            "start": self._start.isoformat(),
            "as_of": self._as_of.isoformat(),
        }


def _read_key(credentials: Mapping[str, str | None] | None) -> SecretStr | None:
    unknown = set(credentials or {}) - {"api_key"}
    if unknown:
        raise ValueError(f"FRED's credentials hold 'api_key' alone, not {sorted(unknown)}.")
    key = (credentials or {}).get("api_key")
    return SecretStr(key.strip()) if key and key.strip() else None


def _check_lags(lags: dict[str, int], codes: Mapping[str, str]) -> dict[str, int]:
    unknown = sorted(set(lags) - set(codes))
    if unknown or any(type(days) is not int or days < 0 for days in lags.values()):
        raise ValueError(
            f"'publication_lag_days' takes whole days, 0 or more, of the series {sorted(codes)}; "
            f"unknown: {unknown}."
        )
    return lags


def _hide(content: bytes, key: str) -> bytes:
    """Take the key out of an answer that repeats it: its words may reach a message."""
    for form in {key, quote_plus(key)}:
        content = content.replace(form.encode(), b"***")
    return content


def _explain(body: bytes) -> str | None:
    """Say what the API's error body means: ``{"error_code", "error_message"}``."""
    try:
        words = " ".join(json.loads(body)["error_message"].split())[:300].rstrip(".")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (
        f"FRED says '{words}'. Correct the series, the as-of date or the key; a series that "
        "ALFRED does not keep belongs into an entry without credentials."
    )


def _explain_graph(status: int) -> str | None:
    if status not in (400, 404):
        return None
    return "FRED has no such series. Correct its code in the catalog."


def _read_observations(answer: Mapping[str, Any], as_of: str) -> list[tuple[date, float]]:
    """Read the values of one vintage; refuse any other, and a part of them."""
    period = answer["realtime_start"], answer["realtime_end"]
    if period != (as_of, as_of):
        raise ValueError(f"it is of the real-time period {period}, not of {as_of}")
    observations = answer["observations"]
    if answer["count"] != len(observations):
        raise ValueError(f"it has {len(observations)} of {answer['count']} observations")
    for one in observations:
        if not one["realtime_start"] <= as_of <= one["realtime_end"]:
            raise ValueError(f"the value of {one['date']} was not in force on {as_of}")
    return _read_rows((one["date"], one["value"]) for one in observations)


def _read_graph(content: bytes, code: str) -> list[tuple[date, float]]:
    text = content.decode("utf-8-sig")
    if not text.endswith("\n"):
        raise ValueError("its last line has no end")  # a number may be cut, and still be one
    header, *lines = csv.reader(text.splitlines())
    if len(header) != 2 or header[0] not in _DATE_HEADERS or header[1] != code:
        raise ValueError(f"its columns are not a date and {code}")
    if any(len(line) != 2 for line in lines):
        raise ValueError("a row has not two cells")
    return _read_rows((day, value) for day, value in lines)


def _read_rows(pairs: Iterable[tuple[str, str]]) -> list[tuple[date, float]]:
    rows = [(_read_date(day), _read_value(day, value)) for day, value in pairs]
    if any(later[0] <= earlier[0] for earlier, later in pairwise(rows)):
        raise ValueError("its dates are not in order")
    return rows


def _read_date(text: str) -> date:
    if len(text) != len("YYYY-MM-DD"):
        raise ValueError(f"'{text[:20]}' is no date")
    return date.fromisoformat(text)


def _read_value(day: str, text: str) -> float:
    if text.strip() in _MISSING:
        return math.nan
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the value of {day} is '{text[:20]}'")
    return value
