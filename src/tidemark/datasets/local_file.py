"""What versioned datasets of one file on this machine's disk share."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kedro.io import AbstractVersionedDataset, Version

T = TypeVar("T")


class LocalFileDataset(AbstractVersionedDataset[T, T]):
    """A file on this machine's disk, in one version or many; subclasses save and load it.

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

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
