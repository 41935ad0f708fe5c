"""Processes of a run: workers end with the process that has started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(main_pid: int) -> None:
    """Let a worker end when the main process is killed, before another run begins beside it.

    Does something on Linux only, and only in a direct child of the main process.
    """
    if sys.platform == "linux" and os.getpid() != main_pid == os.getppid():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
