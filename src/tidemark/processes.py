"""Processes of a run: workers end with the process that has started them."""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from functools import cache

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_when_parent_dies() -> None:
    """Let Linux kill this process when the one that has started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@cache
def die_with_parent() -> None:
    """Let a worker of a pool end when the main process is killed, before another run begins.

    Two ways, because each misses a case: Linux tells a child of its parent's death, but to a
    worker of the fork server that server is the parent, and lives as long as its workers do; and
    a pipe to the main process closes with it, but forked workers hold each other's ends open.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    die_when_parent_dies()
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def limit_threads(threads: int) -> None:
    """Let numerical libraries of this process, and of its children, use so many threads.

    Those that are loaded are told; those that will be read the environment.
    """
    from threadpoolctl import threadpool_limits

    # XLA, which JAX compiles with, reads NPROC alone.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
        os.environ[name] = str(threads)
    threadpool_limits(threads)


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
