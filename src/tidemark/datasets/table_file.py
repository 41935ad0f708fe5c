"""A table that somebody else has written: CSV or Parquet, read as it is."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".csv.gz", ".parquet")


class TableFileDataset(AbstractDataset[Any, Any]):
    """Read a CSV or Parquet file as it is; it is never written.

    Parameters
    ----------
    filepath : str or None
        Path of the file; its ending says the format. None stands for a table without rows.
    columns : list of str
        The columns of the table without rows.
    text_columns : list of str, optional
        Columns of a CSV file that are texts, not to be taken for numbers or blanks.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(
        self,
        filepath: str | None,
        columns: list[str] | None = None,
        text_columns: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = Path(filepath) if filepath else None
        self._columns = columns or []
        self._text_columns = text_columns or []
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read the file.

        Raises
        ------
        DatasetError
            If the file is absent, its ending is unknown, or it cannot be read.
        """
        import pandas as pd

        path = self._filepath
        if path is None:
            return pd.DataFrame({column: [] for column in self._columns})
        if not path.name.endswith(_SUFFIXES):
            raise DatasetError(f"'{path}' must end in one of {', '.join(_SUFFIXES)}.")
        if not path.is_file():
            raise DatasetError(
                f"There is no file '{path}'. A relative path counts from the project's root."
            )
        try:
            if path.suffix == ".parquet":
                return pd.read_parquet(path)
            # A ticker such as NA or 0700 is a text, whatever it looks like.
            texts = {column: str for column in self._text_columns}
            return pd.read_csv(path, low_memory=False, converters=texts)
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise DatasetError(f"'{path}' cannot be read as {path.suffix}: {error}") from error

    def save(self, data: Any) -> NoReturn:
        """Refuse: the file belongs to somebody else."""
        raise DatasetError(f"'{self._filepath}' is an input and is never written.")

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
