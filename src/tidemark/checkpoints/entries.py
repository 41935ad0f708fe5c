"""What the catalog says of a dataset, and where its bytes lie, without making the dataset.

Making a dataset imports the library that reads it; asking what is fresh must not cost that.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, MemoryDataset, SharedMemoryDataset
from kedro.io.core import VersionNotFoundError

from tidemark.config import RunInfo, is_address
from tidemark.errors import mask

_IN_MEMORY = ("MemoryDataset", "SharedMemoryDataset")
# What people look at, and secrets: neither changes what is stored.
_APART = ("metadata", "credentials")
_SECRET = re.compile(r"headers|token|secret|passw|api_?key|authorization|^key$", re.I)


class Entries:
    """The resolved entries of one catalog."""

    def __init__(self, catalog: Any, info: RunInfo | None) -> None:
        self.catalog = catalog
        self._places = (
            [(str(info.data_root), "<data_root>"), (str(info.project_path), "<project>")]
            if info
            else []
        )
        self._known: dict[str, dict[str, Any] | None] = {}

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a dataset's resolved entry; None for what is held in memory only."""
        if name not in self._known:
            self._known[name] = self._resolve(name)
        return self._known[name]

    def _resolve(self, name: str) -> dict[str, Any] | None:
        resolver = self.catalog.config_resolver
        config = resolver.config.get(name) or resolver.resolve_pattern(name) or {}
        if str(config.get("type", "MemoryDataset")).rpartition(".")[2] not in _IN_MEMORY:
            return dict(config)
        held = self.catalog._datasets.get(name)
        if held is None or isinstance(held, MemoryDataset | SharedMemoryDataset):
            return None
        # Added by hand, without an entry.
        return {"type": f"{type(held).__module__}.{type(held).__qualname__}"}

    def describe(self, name: str) -> dict[str, Any] | None:
        """Return the part of an entry that decides what is stored, free of this machine's paths."""
        entry = self.get(name)
        if entry is None:
            return None
        described: dict[str, Any] = self._without_places(entry)
        return described

    def _without_places(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            kept = {str(key): one for key, one in value.items() if key not in _APART}
            return {
                key: _hide(one) if _SECRET.search(key) else self._without_places(one)
                for key, one in kept.items()
            }
        if isinstance(value, list | tuple):
            return [self._without_places(one) for one in value]
        if isinstance(value, str) and is_address(value):
            masked = mask(value)
            return masked if masked == value else f"{masked} {_hide(value)}"
        if isinstance(value, str):
            for place, word in self._places:
                value = value.replace(place, word)
            return value
        return value if isinstance(value, int | float | bool | None) else str(value)

    def locate(self, name: str, *, is_output: bool = False) -> Path | None:
        """Find the file or folder that a dataset would be loaded from.

        Parameters
        ----------
        is_output : bool
            Whether the newest version is meant, whatever ``--load-versions`` asks to be read.

        Returns
        -------
        Path or None
            None for what has no place on this machine's disk, and for a versioned dataset
            without a version.
        """
        entry = self.get(name)
        if entry is None:
            return None
        base = _place(entry)
        if not entry.get("versioned"):
            is_own = str(entry["type"]).startswith("tidemark.")
            return stored_path(self.catalog[name], saved=False) if is_own or not base else base
        if base is None:
            return None
        # The newest is looked for each time: a dataset remembers what was newest when it was
        # asked first, and another process may have saved since.
        pinned = None if is_output else self.catalog._load_versions.get(name)
        versions = [pinned] if pinned else sorted(_names(base), reverse=True)
        paths = (base / version / base.name for version in versions)
        return next((path for path in paths if path.exists()), None)

    def remove_versions(self, name: str, versions: set[str]) -> None:
        """Remove versions of a dataset that no checkpoint vouches for."""
        entry = self.get(name)
        base = _place(entry) if entry is not None and entry.get("versioned") else None
        if base is not None:
            for version in versions & set(_names(base)):
                shutil.rmtree(base / version)

    def is_watched(self, name: str) -> bool:
        """Say whether a change of what a dataset reads can be seen.

        It can on this machine's disk. What is pinned to an as-of date, or reads nothing, does
        not change.
        """
        entry = self.get(name)
        if entry is None:
            return False
        is_nothing = "filepath" in entry and entry["filepath"] is None
        return is_nothing or "as_of" in entry or self.locate(name) is not None


def _hide(secret: Any) -> str:
    """Stand in for a secret, so that a change of it is still a change."""
    return f"*** {hashlib.sha256(repr(secret).encode()).hexdigest()[:8]}"


def _place(entry: Mapping[str, Any]) -> Path | None:
    """Read where an entry says that a file or folder of this disk lies."""
    place = entry.get("filepath") or entry.get("path")
    if not isinstance(place, str) or "://" in place.removeprefix("file://"):
        return None
    return Path(place.removeprefix("file://"))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def stored_path(dataset: Any, *, saved: bool) -> Path | None:
    """Find the file or folder that a dataset was loaded from, or has just been saved to.

    Returns
    -------
    Path or None
        None for a dataset that has no place on this machine's disk.
    """
    if getattr(dataset, "_protocol", "file") not in ("file", "", "local"):
        return None
    current = getattr(dataset, "current_path", None)
    if isinstance(current, Path):
        return current
    if isinstance(dataset, AbstractVersionedDataset) and dataset._version is not None:
        return _versioned_path(dataset, saved=saved)
    place = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    return Path(place) if place else None


def _versioned_path(dataset: Any, *, saved: bool) -> Path | None:
    try:
        version = dataset.resolve_save_version() if saved else dataset.resolve_load_version()
    except VersionNotFoundError:
        return None
    return Path(dataset._get_versioned_path(version)) if version else None
