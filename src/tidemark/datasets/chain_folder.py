"""Chains that were checked: what is kept, what is quarantined, and the facts of every day."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from tidemark.datasets.chain_file import ChainFile, UnreadableChain, read_parquet, regroup_days
from tidemark.files import name_aside

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from tidemark.domain.chain_checks import CheckedChunk

logger = logging.getLogger(__name__)

_KEPT, _QUARANTINE, _DAYS = "kept.parquet", "quarantine.parquet", "days.parquet"
# The last is moved into its place last, and removed first: without it nothing is there.
_FILES = (_KEPT, _QUARANTINE, _DAYS)
# Few different values: a dictionary is smaller, and for others costs time and saves nothing.
_REPEATED = (
    *("quote_date", "underlying", "root", "settlement", "exercise_style", "underlying_price"),
    *("expiration", "option_type", "strike", "reason", "source"),
)


@dataclass(frozen=True)
class CheckedFolder:
    """A stored chain of which only the facts of the days are read until more is asked for.

    Attributes
    ----------
    folder : Path
        The folder.
    """

    folder: Path

    @property
    def days(self) -> pd.DataFrame:
        """The facts of each day; see `tidemark.domain.chain_checks.CheckedChunk`."""
        return self._read(_DAYS)

    @property
    def quarantine(self) -> pd.DataFrame:
        """The rows that left, each with its ``reason``."""
        return self._read(_QUARANTINE)

    def kept(self, columns: list[str] | None = None) -> ChainFile:
        """Say where the rows that go on are: they are read in chunks of whole days.

        Parameters
        ----------
        columns : list of str, optional
            Those that are wanted, ``quote_date`` among them; all, if not given.
        """
        if columns is not None and "quote_date" not in columns:
            raise ValueError("Chunks need the column 'quote_date'. Add it to the columns.")

        def read() -> Iterator[pd.DataFrame]:
            pieces = read_parquet(self.folder / _KEPT, columns)
            for table in regroup_days(pieces, "quote_date"):
                yield table.to_pandas()

        return ChainFile(self.folder.name, read)

    def _read(self, name: str) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.folder / name)


class ChainFolderDataset(AbstractDataset[Any, CheckedFolder]):
    """Store the chunks of a checked chain as they come, all of them or nothing.

    The folder holds ``kept.parquet`` and ``quarantine.parquet``, sorted by their keys, and
    ``days.parquet``. Chunks are written beside these, and moved into their places when the last
    has come: one that fails, or a process that is killed, leaves what was there before or nothing.

    What is saved is an iterable and no iterator: Kedro saves the items of a generator function
    one by one, and would call the first of them finished.

    Parameters
    ----------
    filepath : str
        The folder.
    compression : str
        As Parquet knows it.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(
        self, filepath: str, compression: str = "zstd", metadata: dict[str, Any] | None = None
    ) -> None:
        self._filepath = Path(filepath)
        self._compression = compression
        self.metadata = metadata

    def save(self, data: Iterable[CheckedChunk]) -> None:
        """Take every chunk, then put the files into their places.

        Raises
        ------
        UnreadableChain
            If the source of the chunks cannot be read, or has no quote.
        """
        self._filepath.mkdir(parents=True, exist_ok=True)
        aside = {name: name_aside(self._filepath / name) for name in _FILES}
        try:
            self._write(data, aside)
            (self._filepath / _DAYS).unlink(missing_ok=True)
            for name in _FILES:
                aside[name].replace(self._filepath / name)
        except ValueError as error:
            raise UnreadableChain(f"The chain cannot be checked: {error}") from error
        finally:
            for path in aside.values():
                path.unlink(missing_ok=True)

    def _write(self, data: Iterable[CheckedChunk], aside: dict[str, Path]) -> None:
        import pandas as pd

        days = []
        with ExitStack() as stack:
            kept = stack.enter_context(_Writer(aside[_KEPT], self._compression))
            left = stack.enter_context(_Writer(aside[_QUARANTINE], self._compression))
            # One thread writes a chunk while the next is read and checked. It is entered last:
            # its work ends before the files are closed, whatever fails.
            pool = stack.enter_context(ThreadPoolExecutor(1))
            pending: list[Future[None]] = []
            for chunk in data:
                days.append(chunk.days)
                for future in pending:
                    future.result()
                pending = [
                    pool.submit(kept.write, chunk.kept),
                    pool.submit(left.write, chunk.quarantine),
                ]
            for future in pending:
                future.result()
        if not days:
            raise UnreadableChain("The chain has no quote. Give a file with quotes.")
        facts = pd.concat(days, ignore_index=True)
        facts.to_parquet(aside[_DAYS], index=False)
        logger.info(
            "stored %d days: %d quotes kept, %d quarantined", len(facts), kept.rows, left.rows
        )

    def load(self) -> CheckedFolder:
        """Say where the chain is.

        Raises
        ------
        DatasetError
            If it was never stored whole.
        """
        if not self._exists():
            raise DatasetError(
                f"There is no whole chain in '{self._filepath}'. Run the node that stores it."
            )
        return CheckedFolder(self._filepath)

    def _exists(self) -> bool:
        return all((self._filepath / name).is_file() for name in _FILES)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "compression": self._compression}


class _Writer:
    """A Parquet file that grows by one table at a time, all of the first one's columns."""

    def __init__(self, path: Path, compression: str) -> None:
        self.rows = 0
        self._path, self._compression = path, compression
        self._writer: Any = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression=self._compression,
                use_dictionary=[name for name in _REPEATED if name in frame],
                write_statistics=["quote_date"],  # by which days are found
            )
        else:
            table = self._fit(frame)
        self._writer.write_table(table)
        self.rows += len(frame)

    def _fit(self, frame: pd.DataFrame) -> pa.Table:
        import pyarrow as pa

        schema = self._writer.schema
        if sorted(frame.columns) != sorted(schema.names):
            raise ValueError(
                f"A later part has the columns {', '.join(frame.columns)}, the first one "
                f"{', '.join(schema.names)}. Give the parts the same columns."
            )
        return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
