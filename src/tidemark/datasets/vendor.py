"""What the datasets of data vendors share: many series, each at an address of its own."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from kedro.io import AbstractDataset, DatasetError

from tidemark.datasets.downloads import Downloads, Source
from tidemark.datasets.http import show_address
from tidemark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd


class VendorDataset(AbstractDataset[Any, Any]):
    """Read one long frame from a vendor that answers for one series at a time; never written.

    Each series is kept, and falls back, on its own: see `tidemark.datasets.downloads.Downloads`.

    Parameters
    ----------
    codes : dict or list of str
        The vendor's code of each series by the project's own name, or codes that are names too.
    start : str
        The first date that is wanted, ``YYYY-MM-DD``.
    as_of : str
        The as-of date and the last date that is wanted, ``YYYY-MM-DD``.
    cached : dict or None
        ``filepath``: the folder of what was sent before.
    download_args : dict or None
        See `tidemark.datasets.http.download`.

    Raises
    ------
    ValueError
        If a code is no text, there is none or one twice, or the dates are none or out of order.
    """

    def __init__(
        self,
        codes: Mapping[str, str] | Sequence[str],
        start: str,
        as_of: str,
        cached: dict[str, str] | None,
        download_args: dict[str, Any] | None,
    ) -> None:
        self._codes = name_codes(codes)
        self._start, self._as_of = date.fromisoformat(start), date.fromisoformat(as_of)
        if self._start > self._as_of:
            raise ValueError(f"'start' ({start}) is after 'as_of' ({as_of}). Put it before.")
        self._downloads = Downloads(cached, as_of)
        self._download_args = download_args or {}

    def load(self) -> pd.DataFrame:
        """Ask for every series, and return their rows in the order of date and name.

        Raises
        ------
        DatasetError
            Kedro's wrapper of the SourceError of the first series that could not be had.
        """
        import pandas as pd

        sources = [self._source(name, code) for name, code in self._codes.items()]
        frame = pd.concat(self._downloads.read_all(sources), ignore_index=True)
        return frame.sort_values(list(frame.columns[:2]), ignore_index=True)

    @abstractmethod
    def _source(self, name: str, code: str) -> Source:
        """Say how one series is asked for. The table's first columns are its date and name."""

    def save(self, data: Any) -> NoReturn:
        """Refuse: what a vendor publishes is not ours to write."""
        raise DatasetError(f"'{self._describe()['address']}' is an input and is never written.")

    def _exists(self) -> bool:
        return True  # whether an address answers is unknown until it is asked


def name_codes(codes: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Map the project's names to a vendor's codes.

    Examples
    --------
    >>> name_codes(["SPY", "TLT"])
    {'SPY': 'SPY', 'TLT': 'TLT'}
    >>> name_codes([True])
    Traceback (most recent call last):
    ...
    ValueError: 'True' is no text. YAML reads ON, NO and 0700 as other things: put it in quotes.
    """
    pairs = list(codes.items()) if isinstance(codes, Mapping) else [(one, one) for one in codes]
    for word in (word for pair in pairs for word in pair):
        if not isinstance(word, str) or not word.strip():
            raise ValueError(
                f"'{word}' is no text. YAML reads ON, NO and 0700 as other things: put it in "
                "quotes."
            )
    named = dict(pairs)
    if not pairs or not len(pairs) == len(named) == len(set(named.values())):
        raise ValueError("There must be one series at least, and none twice. Correct the list.")
    return named


def check_base(url: str) -> str:
    """Return a base address without a slash at its end; refuse one with a query."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError(
            f"'{show_address(url)}' must begin with http:// or https:// and have no query. Keys "
            "belong into the credentials."
        )
    return url.rstrip("/")


def read_json(content: bytes, shown: str) -> dict[str, Any]:
    """Read a JSON object; bytes that are none are a fault that may pass.

    Raises
    ------
    SourceError
        Transient, with the size and what is wrong.
    """
    try:
        found = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError(f"it is a {type(found).__name__} and no object")
    except (ValueError, RecursionError) as error:
        raise unreadable(content, "JSON", shown, error) from error
    return found


def unreadable(content: bytes, kind: str, shown: str, reason: object) -> SourceError:
    """Make the error of an answer that is not what was asked for."""
    why = str(reason).strip().rstrip(".")
    return SourceError(
        f"{shown} sent {len(content)} bytes that cannot be read as {kind}: {why}. Try again later, "
        "or look at the address in a browser.",
        is_transient=True,
    )
