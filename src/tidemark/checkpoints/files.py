"""What a file or folder hashes to, and the memory that saves hashing it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tidemark.files import write_aside

_CHUNK = 1 << 20


class HashCache:
    """Hashes of files, good for as long as size, modification, change time and inode stay.

    Parameters
    ----------
    path : Path, optional
        Where to keep them between processes; losing that file costs time and nothing else.
    is_trusted : bool
        Whether what was kept is used; if not, every file is hashed anew, once.
    """

    def __init__(self, path: Path | None = None, is_trusted: bool = True) -> None:
        self._path = path
        self._is_trusted = is_trusted
        self._known: dict[str, list[int | str]] = {}
        self._learnt: dict[str, list[int | str]] = {}
        self._grown = False
        if path is not None and is_trusted:
            try:
                self._known = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # none yet, or torn
                self._known = {}

    def hash_file(self, path: Path) -> str:
        """Hash a file with SHA-256, unless its hash is known."""
        facts = stat_of(path)
        for known in (self._known.get(str(path)), self._learnt.get(str(path))):
            if known is not None and known[:4] == facts:
                return str(known[4])
        digest = hashlib.sha256()
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        self._known[str(path)] = [*facts, digest.hexdigest()]
        self._grown = True
        return digest.hexdigest()

    def learn(self, path: Path, stat: list[int], sha256: str) -> None:
        """Take over what a record says of a file; it is used while the file is as it was."""
        if self._is_trusted:
            self._learnt[str(path)] = [*stat, sha256]

    def save(self) -> None:
        """Keep what was learnt; a folder that cannot be written costs hashing again."""
        if self._path is not None and self._grown:
            kept = {path: facts for path, facts in self._known.items() if Path(path).exists()}
            try:
                write_aside(self._path, json.dumps(kept))
            except OSError:
                return
            self._grown = False


def stat_of(path: Path) -> list[int]:
    """Return what tells that a file has changed: size, times in ns, inode."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


_of_this_process = HashCache()


def hash_path(path: Path, cache: HashCache = _of_this_process) -> str:
    """Hash a file, or a folder's names and files in order, with SHA-256."""
    if path.is_dir():
        digest = hashlib.sha256()
        for part in sorted(path.rglob("*")):
            if part.is_file():
                name = part.relative_to(path).as_posix().encode()
                digest.update(b"%d:%b" % (len(name), name))
                digest.update(cache.hash_file(part).encode())
        return digest.hexdigest()
    return cache.hash_file(path)
