"""What was read out of modules, kept between processes for as long as the files stay."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from time import time_ns

from pydantic import BaseModel, ConfigDict

from tidemark.checkpoints import code
from tidemark.checkpoints.files import stat_of
from tidemark.files import write_aside

# No file system counts time in coarser steps: FAT's are two seconds.
_TICK_NS = 2_000_000_000
# What is kept is good for the reader that made it, and for the grammar of its Python.
_MADE_BY = f"{hashlib.sha256(Path(code.__file__).read_bytes()).hexdigest()} {sys.version}"


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    module: str
    stat: list[int]
    sha256: str
    imports: list[str]


class _Content(BaseModel):
    made_by: str
    files: dict[str, _Entry]


class CodeCache:
    """Hashes and imports of modules, good while size, times and inode of their files stay.

    A file that changed within the last tick before it was read is not kept: if it changed again
    in the same tick, that would not show. (Git mistrusts its index for the same reason.)

    Parameters
    ----------
    path : Path
        Where they are kept; losing that file costs time and nothing else.
    is_trusted : bool
        Whether what was kept is used; if not, every module is read anew.
    """

    def __init__(self, path: Path, is_trusted: bool = True) -> None:
        self._path = path
        self._known: dict[str, _Entry] = {}
        self._grown = False
        if is_trusted:
            try:
                content = _Content.model_validate_json(path.read_bytes())
            except (OSError, ValueError):  # none yet, torn, or not one of ours
                return
            if content.made_by == _MADE_BY:
                self._known = content.files

    def get(self, module: str, path: Path, read: Callable[[], code.Source]) -> code.Source:
        """Return what is known of a module's file, or else what ``read`` makes of it."""
        now, stat = time_ns(), stat_of(path)  # before reading: a change since would show
        known = self._known.get(str(path))
        if known is not None and (known.module, known.stat) == (module, stat):
            return code.Source(known.sha256, frozenset(known.imports))
        source = read()
        _, modified, changed, _ = stat
        if max(modified, changed) < now - _TICK_NS:
            self._known[str(path)] = _Entry(
                module=module, stat=stat, sha256=source.sha256, imports=sorted(source.imports)
            )
            self._grown = True
        return source

    def save(self) -> None:
        """Keep what was read; a folder that cannot be written costs reading it again."""
        if not self._grown:
            return
        kept = {path: entry for path, entry in self._known.items() if Path(path).exists()}
        try:
            write_aside(self._path, _Content(made_by=_MADE_BY, files=kept).model_dump_json())
        except OSError:
            return
        self._grown = False
