"""A table that somebody else has written: CSV or Parquet, a file or an address, read as it is."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from kedro.io import AbstractDataset, DatasetError

from tidemark.config import is_address
from tidemark.datasets.downloads import Downloads, Source
from tidemark.datasets.http import download, show_address
from tidemark.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_UNREADABLE = (ValueError, OSError, EOFError, zlib.error)
_GARBLED = (*_UNREADABLE, LookupError, TypeError)  # what pandas says of damaged metadata, too
# What pandas takes for a blank by default, see pandas.read_csv.
_BLANKS = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How a page or a JSON answer begins, and no table: pandas would read either as CSV.
_NO_TABLE = (b"<", b"{")


class TableFileDataset(AbstractDataset[Any, Any]):
    """Read a CSV or Parquet table as it is; it is never written.

    Parameters
    ----------
    filepath : str or None
        A path, or an http(s) address; its ending says the format, for an address that of the
        part before the query. None stands for a table without rows.
    columns : list of str
        The columns of the table without rows.
    text_columns : list of str, optional
        Columns of a CSV file that are texts, not to be taken for numbers or blanks.
    cached : dict, optional
        ``filepath``: a folder that keeps what each address has sent, as snapshots by as-of date.
        The newest stands in when its address cannot be read at the last attempt. Never used
        for a file.
    as_of : str, optional
        The as-of date, ``YYYY-MM-DD``: of what is kept now, and the latest that may stand in.
    download_args : dict, optional
        How long to wait for an address, see `tidemark.datasets.http.download`.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(
        self,
        filepath: str | None,
        columns: list[str] | None = None,
        text_columns: list[str] | None = None,
        cached: dict[str, str] | None = None,
        as_of: str | None = None,
        download_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._address = filepath if filepath and is_address(filepath) else None
        self._filepath = Path(filepath) if filepath and not self._address else None
        self._protocol = urlsplit(self._address).scheme if self._address else "file"
        self._columns = columns or []
        self._text_columns = text_columns or []
        self._downloads = Downloads(cached, as_of)
        self._download_args = download_args or {}
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read the table.

        Raises
        ------
        DatasetError
            If the file is absent, its ending is unknown, or it cannot be read. Kedro also wraps
            in it the SourceError of an address: that is its cause.
        """
        import pandas as pd

        if self._address is not None:
            return self._load_address(self._address)
        path = self._filepath
        if path is None:
            return pd.DataFrame({column: [] for column in self._columns})
        self._check_ending(path.name)
        if not path.is_file():
            raise DatasetError(
                f"There is no file '{path}'. A relative path counts from the project's root."
            )
        try:
            if path.suffix == ".parquet":
                return pd.read_parquet(path)
            return self._read_csv(path)
        except _UNREADABLE as error:
            raise DatasetError(f"'{path}' cannot be read as {path.suffix}: {error}") from error

    def _check_ending(self, name: str) -> None:
        if not name.endswith(_SUFFIXES):
            shown = self._describe()["filepath"]
            raise DatasetError(f"'{shown}' must end in one of {', '.join(_SUFFIXES)}.")

    def _read_csv(self, source: Path | io.BytesIO) -> pd.DataFrame:
        import pandas as pd

        # A ticker such as NA or 0700 is a text, whatever it looks like.
        columns = pd.read_csv(source, nrows=0).columns
        if isinstance(source, io.BytesIO):
            source.seek(0)
        return pd.read_csv(
            source,
            low_memory=False,
            dtype={name: str for name in columns if name in self._text_columns},
            keep_default_na=False,
            na_values={name: _BLANKS for name in columns if name not in self._text_columns},
        )

    def _load_address(self, address: str) -> pd.DataFrame:
        self._check_ending(urlsplit(address).path)
        source = Source(
            address, lambda: self._parse(address, download(address, **self._download_args))
        )
        return self._downloads.read(source)

    def _parse(self, address: str, content: bytes) -> pd.DataFrame:
        """Read what a server sent; if it is no table, the next try may bring one."""
        import pandas as pd

        shown, is_parquet = show_address(address), urlsplit(address).path.endswith(".parquet")
        kind = "Parquet" if is_parquet else "CSV"
        size = len(content)
        try:
            # Whether .gz arrives packed depends on the server, so the bytes are asked.
            if not is_parquet and content.startswith(_GZIP):
                content = gzip.decompress(content)
            _check_beginning(content)
            if is_parquet:
                return pd.read_parquet(io.BytesIO(content))
            return self._read_csv(io.BytesIO(content))
        except _GARBLED as error:
            reason = str(error).strip().rstrip(".")
            raise SourceError(
                f"{shown} sent {size} bytes that cannot be read as {kind}: {reason}. Try again "
                "later, or look at the address in a browser.",
                is_transient=True,
            ) from error

    def save(self, data: Any) -> NoReturn:
        """Refuse: the file belongs to somebody else."""
        raise DatasetError(f"'{self._describe()['filepath']}' is an input and is never written.")

    def _exists(self) -> bool:
        # Whether an address answers is unknown until it is asked.
        return self._filepath is None or self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        if self._address is not None:
            return {"filepath": show_address(self._address)}
        return {"filepath": str(self._filepath)}


def _check_beginning(content: bytes) -> None:
    head = content[:4096].removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(_NO_TABLE):
        raise ValueError(f"it begins with '{head[:1].decode()}', as a page or a message does")
