"""Raw data as it was fetched: stored once, named by as-of date and content hash."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from tidemark.files import write_aside

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class SnapshotDataset(AbstractDataset[Any, Any]):
    """Store a frame as ``STEM/AS_OF-SHA256.parquet`` and remember which one is current.

    The name holds the first 16 digits of the SHA-256 of the file's bytes, so that fetching the
    same data twice leaves one file. ``AS_OF.current`` names the snapshot that is current for
    its as-of date; loading refuses a file whose bytes no longer have its hash.

    Parameters
    ----------
    filepath : str
        Folder of the snapshots.
    as_of : str
        The as-of date, ``YYYY-MM-DD``.
    metadata : dict, optional
        For other tools; not read here.
    """

    def __init__(self, filepath: str, as_of: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self._as_of = as_of
        self.metadata = metadata

    @property
    def current_path(self) -> Path | None:
        """The current snapshot's file, or None before the first save."""
        try:
            return self._folder / self._pointer.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    @property
    def _pointer(self) -> Path:
        return self._folder / f"{self._as_of}.current"

    def save(self, data: pd.DataFrame) -> None:
        """Store the frame under its name, then make it current."""
        buffer = io.BytesIO()
        data.to_parquet(buffer, index=False, compression="zstd")
        content = buffer.getvalue()
        name = f"{self._as_of}-{_digest(content)}.parquet"
        write_aside(self._folder / name, content)
        write_aside(self._pointer, f"{name}\n")

    def load(self) -> pd.DataFrame:
        """Read the current snapshot.

        Raises
        ------
        DatasetError
            If there is none, or its bytes are not those that its name promises.
        """
        import pandas as pd

        path = self.current_path
        if path is None or not path.is_file():
            raise DatasetError(
                f"No snapshot of {self._as_of} in '{self._folder}'. Run the fetch node."
            )
        content = path.read_bytes()
        if _digest(content) not in path.name:
            raise DatasetError(
                f"'{path}' was altered after it was fetched. Remove it, fetch again."
            )
        return pd.read_parquet(io.BytesIO(content))

    def _exists(self) -> bool:
        path = self.current_path
        return path is not None and path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "as_of": self._as_of}


def newest_snapshot(folder: Path, not_after: str) -> tuple[str, Path] | None:
    """Find the newest current snapshot up to a date that still holds what was stored.

    Parameters
    ----------
    folder : Path
        Folder of a `SnapshotDataset`; it need not exist.
    not_after : str
        The latest as-of date to look at, ``YYYY-MM-DD``.

    Returns
    -------
    tuple of str and Path, or None
        As-of date and file. Damaged snapshots are passed over with a warning.
    """
    pointers = folder.glob("????-??-??.current")
    for as_of in sorted((pointer.stem for pointer in pointers), reverse=True):
        if as_of <= not_after:
            try:
                path = SnapshotDataset(str(folder), as_of).current_path
                if path is not None and _digest(path.read_bytes()) in path.name:
                    return as_of, path
            except (OSError, ValueError):  # removed, unreadable, or a pointer that is no text
                pass
            logger.warning("The snapshot of %s in '%s' is damaged.", as_of, folder)
    return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
