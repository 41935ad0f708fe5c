"""Where a dataset's bytes lie, and what they hash to."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset
from kedro.io.core import VersionNotFoundError

_CHUNK = 1 << 20


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


def hash_path(path: Path) -> str:
    """Hash a file, or a folder's names and files in order, with SHA-256."""
    if path.is_dir():
        digest = hashlib.sha256()
        for part in sorted(path.rglob("*")):
            if part.is_file():
                name = part.relative_to(path).as_posix().encode()
                digest.update(b"%d:%b" % (len(name), name))
                digest.update(hash_path(part).encode())
        return digest.hexdigest()
    stat = path.stat()
    return _hash_file(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


@lru_cache(maxsize=4096)
def _hash_file(path: str, *_stat: int) -> str:
    """Hash a file once for as long as its size, times and inode stay."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
