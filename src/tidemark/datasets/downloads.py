"""What addresses have sent: kept by as-of date, and read again where an address fails for good."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidemark.datasets.http import show_address
from tidemark.datasets.snapshot import SnapshotDataset, newest_snapshot
from tidemark.errors import SourceError
from tidemark.incidents import is_last_attempt, report

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Source:
    """An address that is asked for one table.

    Parameters
    ----------
    address : str
        What tells the source from others: it names the folder of what is kept. It holds neither
        a key nor anything that changes with the as-of date.
    fetch : callable
        Asks for the table and reads it; raises `SourceError`.
    name : str
        How messages begin, such as ``Symbol 'SPY'``; blank for the address alone.
    """

    address: str
    fetch: Callable[[], pd.DataFrame]
    name: str = ""

    @property
    def shown(self) -> str:
        """The source as a person is told of it, without anything secret."""
        address = show_address(self.address)
        return f"{self.name} at {address}" if self.name else address


class Downloads:
    """Read tables from addresses, and keep what they send as snapshots by as-of date.

    Parameters
    ----------
    cached : mapping or None
        ``filepath``: the folder, with one folder in it for each address. None keeps nothing.
    as_of : str or None
        The as-of date, ``YYYY-MM-DD``: of what is kept now, and the latest that may stand in.

    Raises
    ------
    ValueError
        If ``cached`` has other keys, or stands without an as-of date.
    """

    def __init__(self, cached: Mapping[str, str] | None, as_of: str | None) -> None:
        if cached is not None and (set(cached) != {"filepath"} or as_of is None):
            raise ValueError("'cached' needs 'filepath' and nothing else, and 'as_of' beside it.")
        self._folder = Path(cached["filepath"]) if cached else None
        self._as_of = as_of or ""
        self._fetched: dict[str, pd.DataFrame] = {}

    def read(self, source: Source) -> pd.DataFrame:
        """Read one source; at the last attempt its newest snapshot may stand in.

        A stand-in is reported as ``degraded``. Only a transient failure has one.

        Raises
        ------
        SourceError
            If the source fails and nothing stands in for it.
        """
        folder = self._folder / name_folder(source.address) if self._folder else None
        try:
            frame = source.fetch()
        except SourceError as error:
            before = f"{source.name}: " if source.name else ""
            failure, cause = _restate(error, before), error.__cause__
        else:
            if folder is not None:
                SnapshotDataset(str(folder), self._as_of).save(frame)
            return frame
        if not failure.is_transient or folder is None or not is_last_attempt():
            raise failure from cause
        return self._load_kept(source, folder, failure, cause)

    def read_all(self, sources: Sequence[Source]) -> list[pd.DataFrame]:
        """Read several sources, in their order; the first that fails ends the attempt.

        What an attempt has read is read no more by the attempts that follow it: they go on where
        it ended. Nothing is left of it after a success, a failure for good or the last attempt.
        """
        is_tried_again = False
        try:
            for source in sources:
                if source.address not in self._fetched:
                    self._fetched[source.address] = self.read(source)
            return [self._fetched[source.address] for source in sources]
        except SourceError as error:
            is_tried_again = error.is_transient and not is_last_attempt()
            raise
        finally:
            if not is_tried_again:
                self._fetched = {}

    def _load_kept(
        self, source: Source, folder: Path, failure: SourceError, cause: BaseException | None
    ) -> pd.DataFrame:
        import pandas as pd

        found = newest_snapshot(folder, self._as_of)
        if found is None:
            more = f" There is no cached file of {self._as_of} or before in '{folder}' that could"
            raise _restate(failure, after=f"{more} stand in.") from cause
        as_of, path = found
        report(
            "degraded",
            f"{failure} The cached file '{path}' of {as_of} stands in.",
            source=source.shown,
            file=str(path),
            reason=str(failure),
        )
        return pd.read_parquet(path)


def name_folder(address: str) -> str:
    """Name the folder of an address: one source never stands in for another."""
    digest = hashlib.sha256(address.encode()).hexdigest()
    return f"{urlsplit(address).hostname}-{digest[:12]}"


def _restate(error: SourceError, before: str = "", after: str = "") -> SourceError:
    return SourceError(
        f"{before}{error}{after}",
        is_transient=error.is_transient,
        retry_after_seconds=error.retry_after_seconds,
    )
