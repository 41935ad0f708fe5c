"""Files that are whole or absent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_ASIDE = ".aside"


def name_aside(path: Path) -> Path:
    """Name a file beside another's place, for this thread alone, with the same ending."""
    owner = f"{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f"{_ASIDE}-{owner}-{path.name}")


def write_aside(path: Path, content: bytes | str) -> None:
    """Write beside a file's place, then move it there: nobody ever sees half of it.

    Parameters
    ----------
    path : Path
        The file's place; its folder is made if it is absent.
    content : bytes or str
        Text is stored as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = name_aside(path).with_suffix(".part")  # found by no reader that goes by the ending
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(aside, path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say what it has no room for
        raise


def sweep_aside(root: Path) -> int:
    """Remove what processes that were killed have left beside; return how many files."""
    swept = 0
    for path in root.rglob(f"{_ASIDE}-*"):
        owner = path.name.removeprefix(f"{_ASIDE}-").partition("-")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            path.unlink(missing_ok=True)
            swept += 1
    return swept


def is_alive(pid: int) -> bool:
    """Say whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
