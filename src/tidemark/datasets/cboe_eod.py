"""End-of-day chains in the layout of the CBOE's delayed quotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemark.datasets.chain_file import ChainFileDataset, read_parquet
from tidemark.datasets.optionsdx import read_csv, read_header

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_DATE_FORMAT = "%m/%d/%Y"
_INDEX = {
    "SPX": {"settlement": "am", "exercise_style": "european"},
    "SPXW": {"settlement": "pm", "exercise_style": "european"},
}


class CboeEodDataset(ChainFileDataset):
    """Read end-of-day files of the CBOE in chunks of whole days; they are never written.

    Parameters
    ----------
    filepath : str
        A CSV file (perhaps gzipped), Parquet with the same columns, or a folder of such, read in
        the order of their names.
    terms : dict, optional
        ``settlement`` and ``exercise_style`` of each root, which the layout does not say; those
        of SPX and SPXW, if not given. A root without terms is an error.
    metadata : dict, optional
        For other tools; not read here.
    """

    suffixes = (".csv", ".csv.gz", ".parquet")

    def __init__(
        self,
        filepath: str,
        terms: Mapping[str, Mapping[str, Any]] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        from tidemark.domain.chains import Terms

        super().__init__(filepath, metadata)
        self._terms = {root: Terms(**one) for root, one in (terms or _INDEX).items()}

    @property
    def date_column(self) -> str:
        """The column of the quote date."""
        return "quotedate"

    def check(self, file: Path) -> None:
        """Refuse a file without the columns that are needed, with a ValueError."""
        import pyarrow.parquet as pq

        from tidemark.domain.cboe_layout import COLUMNS
        from tidemark.domain.chains import require_columns

        is_parquet = file.suffix == ".parquet"
        names = pq.read_schema(file).names if is_parquet else read_header(file)
        require_columns(names, COLUMNS, f"'{file.name}'")

    def read_tables(self, file: Path) -> Iterator[pa.Table]:
        """Read one file in pieces."""
        import pyarrow as pa

        from tidemark.domain import cboe_layout as layout

        if file.suffix == ".parquet":
            yield from read_parquet(file, list(layout.COLUMNS))
            return
        types: dict[str, Any] = dict.fromkeys(layout.NUMBERS, pa.float64())
        types |= dict.fromkeys(layout.TEXTS, pa.string())
        types |= dict.fromkeys(layout.DATES, pa.timestamp("s"))
        yield from read_csv(file, types, layout.COLUMNS, [_DATE_FORMAT, "%Y-%m-%d"])

    def convert(self, table: pa.Table, name: str) -> pd.DataFrame:
        """Convert one piece to a canonical table."""
        import pyarrow as pa

        from tidemark.domain.cboe_layout import DATES, convert_cboe

        for column in DATES:
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, table[column].cast(pa.timestamp("us")))
        return convert_cboe(table.to_pandas(), self._terms)
