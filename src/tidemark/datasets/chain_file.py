"""Option chains that are read in chunks of whole days, and the table that is canonical already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

from tidemark.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Rows of a chunk, before days are made whole: some 100 MB in memory.
CHUNK_ROWS = 262_144
_REPORT_EVERY = 1_000_000


class UnreadableChain(DataError, DatasetError):
    """A chain that cannot be read as one; Kedro lets it pass, and the process exits with 2."""


@dataclass(frozen=True)
class ChainFile:
    """A chain that is read as somebody iterates, each time anew.

    Attributes
    ----------
    name : str
        How messages and the log call it.
    read : callable
        Begins to read, and gives canonical tables of whole days in the order of their dates.
    """

    name: str
    read: Callable[[], Iterator[pd.DataFrame]]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Give the chunks: see `chunks`."""
        return self.chunks()

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Give canonical tables of whole days, each day in one of them, in order.

        Raises
        ------
        UnreadableChain
            If a column is missing, a cell cannot be read, or days are not in order.
        """
        rows = shown = 0
        tables = self.read()
        while True:
            try:
                chunk = next(tables, None)
            except ValueError as error:  # Arrow's errors of malformed cells are ValueErrors
                raise UnreadableChain(f"'{self.name}' cannot be read: {error}") from error
            if chunk is None:
                break
            rows += len(chunk)
            if rows - shown >= _REPORT_EVERY:
                last = chunk["quote_date"].iloc[-1]
                logger.info("%s: %d quotes up to %s", self.name, rows, f"{last:%Y-%m-%d}")
                shown = rows
            yield chunk
        logger.info("%s: %d quotes in all", self.name, rows)

    def days(self) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
        """Give each quote date with its rows."""
        import pandas as pd

        for chunk in self.chunks():
            for day, rows in chunk.groupby("quote_date", sort=True):
                yield pd.Timestamp(str(day)), rows.reset_index(drop=True)

    def load_whole(self) -> pd.DataFrame:
        """Read all of it into memory, as one table.

        Raises
        ------
        UnreadableChain
            Also if it has no row.
        """
        import pandas as pd

        chunks = list(self.chunks())
        if not chunks:
            raise UnreadableChain(f"'{self.name}' has no row. Give a file with quotes.")
        return pd.concat(chunks, ignore_index=True)


class ChainFileDataset(AbstractDataset[Any, ChainFile]):
    """Read a canonical table of quotes in Parquet, in chunks of whole days; it is never written.

    Readers of vendors' layouts derive from it.

    Parameters
    ----------
    filepath : str
        A file, or a folder whose files are read in the order of their names.
    metadata : dict, optional
        For other tools; not read here.
    """

    suffixes: Sequence[str] = (".parquet",)
    min_rows = 1  # of a chunk, as the source counts them

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> ChainFile:
        """Say where the chain is, after a look at the columns of every file.

        Raises
        ------
        UnreadableChain
            If there is no file, or one lacks a column.
        """
        files = self._list_files()
        for file in files:
            try:
                self.check(file)
            except (ValueError, OSError) as error:
                raise UnreadableChain(f"'{file}' cannot be read: {error}") from error
        return ChainFile(self._filepath.name, lambda: self._read(files))

    def check(self, file: Path) -> None:
        """Refuse a file without the columns that are needed, with a ValueError."""
        import pyarrow.parquet as pq

        from tidemark.domain.chains import COLUMNS, require_columns

        require_columns(pq.read_schema(file).names, COLUMNS, f"'{file.name}'")

    def read_tables(self, file: Path) -> Iterator[pa.Table]:
        """Read one file in pieces; the first column is the quote date."""
        yield from read_parquet(file)

    def convert(self, table: pa.Table, name: str) -> pd.DataFrame:
        """Convert one piece to a canonical table."""
        from tidemark.domain.chain_layouts import convert_canonical

        return convert_canonical(table.to_pandas(), f"'{name}'")

    @property
    def date_column(self) -> str:
        """The column of the quote date, as the source calls it."""
        return "quote_date"

    def _read(self, files: Sequence[Path]) -> Iterator[pd.DataFrame]:
        # While a chunk is used, the next one is converted and the one after it is read.
        tables = read_ahead(table for file in files for table in self.read_tables(file))
        days = regroup_days(tables, self.date_column, self.min_rows)
        yield from read_ahead(self.convert(table, self._filepath.name) for table in days)

    def _list_files(self) -> list[Path]:
        if self._filepath.is_dir():
            files = sorted(p for p in self._filepath.iterdir() if p.name.endswith(self._endings))
        else:
            files = [self._filepath] if self._filepath.is_file() else []
        if not files:
            raise UnreadableChain(
                f"There is no file '{self._filepath}', and no folder with files that end in "
                f"{' or '.join(self.suffixes)}. A relative path counts from the project's root."
            )
        return files

    @property
    def _endings(self) -> tuple[str, ...]:
        return tuple(self.suffixes)

    def save(self, data: Any) -> NoReturn:
        """Refuse: the file belongs to somebody else."""
        raise DatasetError(f"'{self._filepath}' is an input and is never written.")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def read_parquet(file: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Read a Parquet file in pieces of bounded size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(CHUNK_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Give items while another thread makes the next one."""
    remaining = iter(items)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(_take_next, remaining)
        while found := pending.result():
            pending = pool.submit(_take_next, remaining)
            yield found[0]


def _take_next(items: Iterator[T]) -> tuple[T, ...]:
    return tuple(islice(items, 1))


def regroup_days(
    tables: Iterable[pa.Table], date_column: str, min_rows: int = 1
) -> Iterator[pa.Table]:
    """Cut a stream of tables anew so that no day is in two of them.

    Parameters
    ----------
    tables : iterable of Table
        Of one schema, their days ascending but for the order within each table.
    date_column : str
        A column of dates.
    min_rows : int
        How many rows a table has at least, but for the last one.

    Yields
    ------
    Table
        Sorted by date if it was not. The last day of each table waits for the next one.

    Raises
    ------
    ValueError
        If a day comes back after a later one has begun in another table, or a date is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ready: list[pa.Table] = []  # whole days
    held: list[pa.Table] = []  # the last day
    held_day = None
    for table in tables:
        if not table.num_rows:
            continue
        dates = table[date_column]
        if dates.null_count:
            raise ValueError(f"{dates.null_count} rows have no {date_column}. Fill or remove them.")
        days = dates.combine_chunks().cast(pa.date32())
        if not _is_sorted(days):
            order = pc.sort_indices(days)
            table, days = table.take(order), days.take(order)
        first, last = days[0].as_py(), days[-1].as_py()
        if held_day is not None and first < held_day:
            raise ValueError(
                f"Its days are not in order: {first} follows {held_day}. Sort the source by "
                f"{date_column}."
            )
        begin = pc.index(days, days[-1]).as_py()
        if held_day != last:
            ready += [*held, table.slice(0, begin)]
            held = []
        held.append(table.slice(begin))
        held_day = last
        if sum(one.num_rows for one in ready) >= min_rows:
            yield pa.concat_tables(ready)
            ready = []
    if held:
        yield pa.concat_tables([*ready, *held])


def _is_sorted(days: pa.Array) -> bool:
    import numpy as np

    numbers = days.view("int32").to_numpy(zero_copy_only=False)
    return bool(np.all(numbers[1:] >= numbers[:-1]))
