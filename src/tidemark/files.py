"""Files that are whole or absent."""

from __future__ import annotations

import os
import threading
from pathlib import Path


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
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
