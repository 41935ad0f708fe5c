"""The bytes of a file that something else has written, such as a network."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, Version

from tidemark.files import write_aside


class ContentDataset(AbstractVersionedDataset[bytes, bytes]):
    """Store the content of a file as it is; an empty file stands for what could not be made.

    Parameters
    ----------
    filepath : str
        Path of the file, on this machine's disk.
    version : Version, optional
        Which version to load and to save; without it there is one file.
    metadata : dict, optional
        For other tools; not read here.
    """

    _protocol = "file"

    def __init__(
        self, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(PurePosixPath(filepath), version)
        self.metadata = metadata

    def save(self, data: bytes) -> None:
        """Store the content."""
        write_aside(Path(self._get_save_path()), data)

    def load(self) -> bytes:
        """Read the content."""
        return Path(self._get_load_path()).read_bytes()

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
