"""Chains of Yahoo that somebody has kept: tables of yfinance, and answers of the endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemark.datasets.chain_file import ChainFileDataset, read_parquet

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# What an answer of another shape leads to.
_MALFORMED = (TypeError, LookupError, AttributeError, ArithmeticError, OSError)


class YahooChainFileDataset(ChainFileDataset):
    """Read kept chains of Yahoo in chunks of whole days; they are never written.

    Parquet holds what yfinance gives, with the columns ``ticker``, ``spot`` and ``session`` added.
    JSON is one answer of the options endpoint a file, or a recording with the answer in ``body``.

    Parameters
    ----------
    filepath : str
        A file, or a folder of files, read in the order of their names; all JSON of a folder is
        read before its first day is given.
    terms : dict, optional
        ``settlement`` and ``exercise_style`` of each root that is not American and settled at the
        close.
    metadata : dict, optional
        For other tools; not read here.
    """

    suffixes = (".parquet", ".json")

    def __init__(
        self,
        filepath: str,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        from tidemark.domain.chains import Terms

        super().__init__(filepath, metadata)
        self._terms = {root: Terms(**one) for root, one in (terms or {}).items()}

    def check(self, file: Path) -> None:
        """Refuse a table without the columns that are needed, with a ValueError."""
        import pyarrow.parquet as pq

        from tidemark.domain.chains import require_columns
        from tidemark.domain.yahoo_layout import COLUMNS

        if file.suffix == ".parquet":
            require_columns(pq.read_schema(file).names, COLUMNS, f"'{file.name}'")

    @property
    def date_column(self) -> str:
        """The column of the quote date, once it is canonical."""
        return "quote_date"

    def read_tables(self, file: Path) -> Iterator[pa.Table]:
        """Read one file in canonical pieces."""
        import pyarrow as pa

        from tidemark.domain.yahoo_layout import COLUMNS, convert_yahoo

        if file.suffix == ".json":
            yield pa.Table.from_pandas(self._read_answer(file), preserve_index=False)
            return
        for table in read_parquet(file, list(COLUMNS)):
            chain = convert_yahoo(table.to_pandas(), self._terms)
            yield pa.Table.from_pandas(chain, preserve_index=False)

    def _read_answer(self, file: Path) -> pd.DataFrame:
        import pandas as pd

        from tidemark.domain.yahoo_layout import convert_yahoo_answer

        try:
            answer = json.loads(file.read_bytes())
            results = answer.get("body", answer)["optionChain"]["result"]
            parts = [
                convert_yahoo_answer(one, one["underlyingSymbol"], self._terms) for one in results
            ]
            return pd.concat(parts, ignore_index=True)
        except _MALFORMED as error:
            reason = f"{type(error).__name__} ({error})"
            raise ValueError(f"'{file.name}' is no answer of Yahoo's options: {reason}") from error

    def convert(self, table: pa.Table, name: str) -> pd.DataFrame:
        """Take a piece that is canonical already."""
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _read(self, files: Sequence[Path]) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        from tidemark.datasets.chain_file import regroup_days

        answers = [file for file in files if file.suffix == ".json"]
        tables = [table for file in answers for table in self.read_tables(file) if table.num_rows]
        if tables:  # small, and named by symbol: their days are in no order
            yield from map(self._to_frame, regroup_days([pa.concat_tables(tables)], "quote_date"))
        yield from super()._read([file for file in files if file not in answers])

    def _to_frame(self, table: pa.Table) -> pd.DataFrame:
        return self.convert(table, self._filepath.name)
