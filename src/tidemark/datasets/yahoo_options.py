"""Option chains of Yahoo's options endpoint, one snapshot a session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tidemark.datasets.downloads import Source, name_folder
from tidemark.datasets.http import download, show_address
from tidemark.datasets.snapshot import newest_snapshot
from tidemark.datasets.vendor import VendorDataset, check_base, read_json, unreadable
from tidemark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError)
_OPEN = "REGULAR"


class YahooOptionsDataset(VendorDataset):
    """Read chains from Yahoo's options endpoint as one canonical table; it is never written.

    Yahoo sends the newest quotes and no earlier ones, so that a history is what was kept: with
    ``cached``, each session's chain is kept as a snapshot, and `load` returns every session up to
    the as-of date. Of one that was asked for on several as-of dates the first counts, which is
    the nearest to its close.

    Quotes belong to the session of the underlying's last regular trade. While a session goes on
    there is no close: that is a transient error, for which what was kept stands in.

    Parameters
    ----------
    symbols : dict or list of str
        Yahoo's symbol of each underlying by the project's own name, or symbols that are names too.
    as_of : str
        The as-of date, ``YYYY-MM-DD``: of what is kept now, and the latest session that is wanted.
    cached : dict, optional
        ``filepath``: the folder of what was kept.
    max_days : int, optional
        How far the expirations that are asked for may be from the as-of date; all, if not given.
        Each costs a request.
    terms : dict, optional
        ``settlement`` and ``exercise_style`` of each root that is not American and settled at the
        close.
    base_url : str
        The scheme and host of the service.
    credentials : dict, optional
        ``crumb`` and ``cookie`` of a session in a browser, where Yahoo asks for them; an empty
        one counts as none.
    download_args : dict, optional
        Time-outs, ``requests_per_second`` and ``headers``, see `tidemark.datasets.http.download`.
    metadata : dict, optional
        For other tools; not read here.

    Raises
    ------
    ValueError
        If an argument cannot be used.
    """

    def __init__(  # noqa: PLR0913 - what an entry of the catalog may name
        self,
        symbols: Mapping[str, str] | Sequence[str],
        as_of: str,
        *,
        cached: dict[str, str] | None = None,
        max_days: int | None = None,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        base_url: str = "https://query2.finance.yahoo.com",
        credentials: dict[str, str] | None = None,
        download_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(symbols, as_of, as_of, cached, download_args)
        self._base = check_base(base_url)
        self._folder = Path(cached["filepath"]) if cached else None
        self._max_days = max_days
        self._given_terms = {root: dict(one) for root, one in (terms or {}).items()}
        self._secrets = _check_secrets(credentials or {})
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Ask for every symbol, and return all sessions that are known, sorted by their keys.

        Raises
        ------
        DatasetError
            Kedro's wrapper of the SourceError of the first symbol that could not be had.
        """
        import pandas as pd

        from tidemark.domain.chains import KEY

        sources = [self._source(name, code) for name, code in self._codes.items()]
        newest = self._downloads.read_all(sources)
        frames = [
            part
            for source, frame in zip(sources, newest, strict=True)
            for part in (self._load_sessions(source) or [frame])
        ]
        chain = pd.concat(frames, ignore_index=True)
        return chain.sort_values(["underlying", *KEY], kind="stable", ignore_index=True)

    def _load_sessions(self, source: Source) -> list[pd.DataFrame]:
        """Load one snapshot for each session: the one with the earliest as-of date."""
        import pandas as pd

        by_session: dict[pd.Timestamp, pd.DataFrame] = {}
        not_after = self._as_of.isoformat()
        while self._folder is not None:
            found = newest_snapshot(self._folder / name_folder(source.address), not_after)
            if found is None:
                break
            as_of, path = found
            frame = pd.read_parquet(path)
            by_session[frame["quote_date"].iloc[0]] = frame  # an earlier one takes its place
            not_after = (date.fromisoformat(as_of) - timedelta(days=1)).isoformat()
        return list(by_session.values())

    def _source(self, name: str, code: str) -> Source:
        place = f"{self._base}/v7/finance/options/{quote(code, safe='')}"
        label = f"Symbol '{code}'" + (f" ({name})" if name != code else "")
        return Source(place, lambda: self._fetch(place, name, code), label)

    def _fetch(self, place: str, name: str, code: str) -> pd.DataFrame:
        """Ask for the nearest expiration, and then for all others."""
        import pandas as pd

        shown = show_address(place)
        first, content = self._ask(place, {}, code)
        try:
            self._check_session(first["quote"], shown)
            wanted = self._choose(first["expirationDates"])
            sent = {listed["expirationDate"] for listed in first["options"]}
            parts = [self._convert(first, name, set(wanted))]
            for moment in wanted:
                if moment not in sent:
                    result, content = self._ask(place, {"date": moment}, code)
                    self._check_same(first, result, shown)
                    parts.append(self._convert(result, name, {moment}))
        except _MALFORMED as error:
            reason = error if isinstance(error, ValueError) else f"{type(error).__name__} ({error})"
            raise unreadable(content, "an option chain", shown, reason) from error
        chain = pd.concat(parts, ignore_index=True)
        if chain.empty:
            raise SourceError(
                f"{shown} lists no option that expires after {self._as_of}"
                + (f" within {self._max_days} days. " if self._max_days is not None else ". ")
                + "Take the symbol out of the catalog, or ask for later expirations.",
                is_transient=False,
            )
        return chain

    def _ask(self, place: str, query: dict[str, Any], code: str) -> tuple[dict[str, Any], bytes]:
        crumb = {"crumb": self._secrets["crumb"]} if "crumb" in self._secrets else {}
        options = dict(self._download_args)
        if "cookie" in self._secrets:
            options["headers"] = {**options.get("headers", {}), "Cookie": self._secrets["cookie"]}
        asked = urlencode({**query, **crumb})
        content = download(
            f"{place}?{asked}" if asked else place,
            media_type="application/json",
            explain=_explain,
            **options,
        )
        shown = show_address(place)
        chain = read_json(content, shown).get("optionChain")
        results = chain.get("result") if isinstance(chain, dict) else None
        if not isinstance(results, list) or len(results) > 1:
            raise unreadable(content, "an option chain", shown, "it holds not one result")
        if not results:
            raise SourceError(
                f"{shown} knows no symbol '{code}'. Correct it in the catalog, or take it out.",
                is_transient=False,
            )
        found = results[0]
        if not isinstance(found, dict) or found.get("underlyingSymbol") != code:
            got = found.get("underlyingSymbol") if isinstance(found, dict) else None
            raise SourceError(
                f"Yahoo was asked for symbol '{code}' and sent '{got}'. Its data is not used. "
                "Correct the symbol in the catalog.",
                is_transient=False,
            )
        return found, content

    def _check_session(self, quoted: Mapping[str, Any], shown: str) -> None:
        from tidemark.domain.yahoo_layout import find_yahoo_session

        session = find_yahoo_session(quoted).date()
        if quoted.get("marketState") == _OPEN:
            raise SourceError(
                f"The session of {session} goes on: {shown} has no closing quotes yet. Ask again "
                "after the close.",
                is_transient=True,
            )
        if session > self._as_of:
            raise SourceError(
                f"{shown} sends the session of {session} alone, which is after the as-of date "
                f"{self._as_of}. Move the as-of date, or use what was kept.",
                is_transient=True,
            )

    def _check_same(self, first: dict[str, Any], later: dict[str, Any], shown: str) -> None:
        """Refuse answers of two sessions: they would be one chain."""
        from tidemark.domain.yahoo_layout import find_yahoo_session

        if find_yahoo_session(first["quote"]) != find_yahoo_session(later["quote"]):
            raise SourceError(
                f"A session began while {shown} was asked. Ask again after its close.",
                is_transient=True,
            )
        self._check_session(later["quote"], shown)

    def _choose(self, moments: Sequence[int]) -> list[int]:
        from datetime import UTC, datetime

        if any(type(moment) is not int for moment in moments):
            raise ValueError("an expiration is no whole number")
        if self._max_days is None:
            return list(moments)
        last = self._as_of + timedelta(days=self._max_days)
        return [one for one in moments if datetime.fromtimestamp(one, UTC).date() <= last]

    def _convert(self, result: dict[str, Any], name: str, wanted: set[int]) -> pd.DataFrame:
        from tidemark.domain.chains import Terms
        from tidemark.domain.yahoo_layout import convert_yahoo_answer

        listed = [one for one in result["options"] if one["expirationDate"] in wanted]
        terms = {root: Terms(**one) for root, one in self._given_terms.items()}
        return convert_yahoo_answer({**result, "options": listed}, name, terms)

    def _describe(self) -> dict[str, Any]:
        return {
            "address": show_address(self._base),
            "symbols": self._codes,
            "as_of": self._as_of.isoformat(),
        }


def _check_secrets(credentials: dict[str, str]) -> dict[str, str]:
    if not set(credentials) <= {"crumb", "cookie"}:
        raise ValueError("'credentials' of Yahoo may have 'crumb' and 'cookie' and nothing else.")
    return {name: secret for name, secret in credentials.items() if secret}


def _explain(status: int, body: bytes) -> str | None:
    """Say what Yahoo's refusal means, and what to do."""
    try:
        (answer,) = json.loads(body).values()
        words = " ".join(str(answer["error"]["description"]).split())[:200].rstrip(".")
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return None
    remedy = (
        "Put the crumb and the cookie of a browser's session into the credentials."
        if status == 401
        else "Correct the symbol in the catalog, or take it out."
    )
    return f"Yahoo says '{words}'. {remedy}"
