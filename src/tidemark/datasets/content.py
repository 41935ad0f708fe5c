"""The bytes of a file that something else has written, such as a network."""

from __future__ import annotations

from pathlib import Path

from tidemark.datasets.local_file import LocalFileDataset
from tidemark.files import write_aside


class ContentDataset(LocalFileDataset[bytes]):
    """Store the content of a file as it is; an empty file stands for what could not be made."""

    def save(self, data: bytes) -> None:
        """Store the content."""
        write_aside(Path(self._get_save_path()), data)

    def load(self) -> bytes:
        """Read the content."""
        return Path(self._get_load_path()).read_bytes()
