"""Kedro's command, in a process that kills itself just before a chosen change of the file system.

``python victim.py run --params ...`` is ``kedro run --params ...``. What to die at stands in the
file that ``TIDEMARK_CRASH_PLAN`` names (see `Killer`). Workers of a pool import this file as their
main module, so that the same plan watches them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

PLAN = "TIDEMARK_CRASH_PLAN"
MAIN = "TIDEMARK_CRASH_MAIN"

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event -> places of the path and of its folder's descriptor among the event's arguments.
_CHANGES = {
    "os.rename": (1, 3),
    "os.remove": (0, 1),
    "os.mkdir": (0, 2),
    "os.rmdir": (0, 1),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.truncate": (0, None),
    "shutil.rmtree": (0, 1),
}


class Killer:
    """An audit hook that ends its process at the first change that the plan names.

    The plan holds ``root``, the folder that is watched; ``points``, pairs of a node and one of
    ``json`` (before its finished checkpoint is moved into place), ``ok`` (before its ``.ok`` is)
    and ``after`` (before the first change after that); ``change``, the number of the change to
    die at, or None; ``target``, ``main`` or ``worker``; and ``hit``, the file that tells what
    was met. It is made once: nobody dies twice for one plan.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._root = plan["root"].rstrip("/") + "/"
        self._points = {(node, point) for node, point in plan["points"]}
        self._change: int | None = plan["change"]
        self._target: str = plan["target"]
        self._hit: str = plan["hit"]
        self._seen = 0
        self._passed: str | None = None  # the node whose `.ok` has just been moved
        self._busy = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one audit event."""
        if getattr(self._busy, "is_looking", False):
            return
        self._busy.is_looking = True
        try:
            path = find_changed(event, arguments)
            if path is not None and path.startswith(self._root):
                self._look(event, arguments, path)
        finally:
            self._busy.is_looking = False

    def _look(self, event: str, arguments: tuple[Any, ...], path: str) -> None:
        self._seen += 1
        passed, self._passed = self._passed, None
        if passed is not None and (passed, "after") in self._points:
            self._die("after", passed, path)
        if self._seen == self._change:
            self._die("change", str(self._seen), f"{event} {path}")
        if event != "os.rename" or Path(path).parent.name != "checkpoints":
            return
        node, _, ending = Path(path).name.rpartition(".")
        if ending == "json" and (node, "json") in self._points:
            if '"status": "finished"' in Path(os.fsdecode(arguments[0])).read_text("utf-8"):
                self._die("json", node, path)
        elif ending == "ok":
            if (node, "ok") in self._points:
                self._die("ok", node, path)
            self._passed = node

    def _die(self, point: str, subject: str, path: str) -> None:
        main = int(os.environ[MAIN])
        if self._target == "worker" and os.getpid() == main:
            return
        about = {"point": point, "subject": subject, "path": path, "pid": os.getpid()}
        try:
            with open(self._hit, "x", encoding="utf-8") as file:
                json.dump(about, file)
        except FileExistsError:
            return
        os.kill(main if self._target == "main" else os.getpid(), signal.SIGKILL)
        time.sleep(60)  # a worker, whose main process has just died: it must be ended in time


def find_changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Find the path that an audit event is about to change, if it changes any."""
    if event == "open":
        path, mode, flags = arguments
        writes = set(mode or "") & set("wax+") or (flags or 0) & _WRITING
        return absolute(path) if writes and not isinstance(path, int) else None
    if event not in _CHANGES:
        return None
    place, folder = _CHANGES[event]
    given = arguments[folder] if folder is not None and folder < len(arguments) else None
    return absolute(arguments[place], given)


def absolute(path: str | bytes | os.PathLike[str], folder: int | None = None) -> str | None:
    """Return a path as an absolute one; a descriptor may stand for the folder it counts from."""
    if isinstance(path, int):
        return None
    name = os.fsdecode(path)
    if folder is not None and folder >= 0 and not os.path.isabs(name):
        name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
    return os.path.abspath(name)


def install() -> None:
    """Watch this process, if there is a plan."""
    plan = os.environ.get(PLAN)
    if plan:
        sys.addaudithook(Killer(json.loads(Path(plan).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    os.environ[MAIN] = str(os.getpid())
    install()
    from kedro.framework.cli.cli import main as kedro_main

    kedro_main()
elif __name__ == "__mp_main__":  # a worker
    install()
