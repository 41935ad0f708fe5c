"""One run at a time on one data root."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tidemark.errors import RunError, mask
from tidemark.files import is_alive, write_aside

logger = logging.getLogger(__name__)

_LOCK, _OWNER = ".run.lock", ".run.json"


@contextmanager
def hold_data_root(root: Path, run_id: str, *, wait: bool) -> Iterator[None]:
    """Hold a data root for one run.

    The operating system gives the lock of a process that has died back; the note that it left
    behind says so.

    Parameters
    ----------
    root : Path
        The data root.
    run_id : str
        Who holds it.
    wait : bool
        Whether to wait for another run to end.

    Raises
    ------
    RunError
        If another run holds it and ``wait`` is false, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            owner = describe_owner(root)
            if not wait:
                raise RunError(
                    f"{owner} holds {root}. Try later, or run without --no-wait."
                ) from None
            logger.warning("%s holds %s; waiting for it to end (Ctrl-C gives up)", owner, root)
            lock.acquire()
    except OSError as error:
        raise RunError(
            f"'{root}' cannot be written: {error}. Give another --params data_root=DIR."
        ) from error
    try:
        if (root / _OWNER).exists():
            logger.warning("%s had died; going on from what it finished", describe_owner(root))
        about = {
            "run_id": run_id,
            "pid": os.getpid(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": mask(" ".join(["kedro", *sys.argv[1:]])),
        }
        write_aside(root / _OWNER, json.dumps(about))
        yield
    finally:
        (root / _OWNER).unlink(missing_ok=True)
        lock.release()


def describe_owner(root: Path) -> str:
    """Say which run holds a data root, or held it last."""
    about = _read_owner(root)
    if about is None:  # between two runs
        return "Another run"
    return f"Run {about['run_id']} (process {about['pid']}, since {about['started']})"


def find_run(root: Path) -> str | None:
    """Find the id of the run that is going on, without getting into anybody's way."""
    about = _read_owner(root)
    return str(about["run_id"]) if about is not None and is_alive(int(about["pid"])) else None


def _read_owner(root: Path) -> dict[str, Any] | None:
    try:
        about = json.loads((root / _OWNER).read_text(encoding="utf-8"))
        return {key: about[key] for key in ("run_id", "pid", "started")}
    except (OSError, ValueError, KeyError, TypeError):  # none, torn, or not one of ours
        return None
